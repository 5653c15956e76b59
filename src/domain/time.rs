//! Calendar moments and time zones. A span is a [`Duration`], a moment is a [`Timestamp`].

use std::{fmt, ops::Sub, str::FromStr, time::Duration};

use chrono::{DateTime, Datelike, TimeZone as _, Timelike, Utc};
use serde::{Deserialize, Serialize};

/// A calendar moment: milliseconds since 1970-01-01T00:00:00Z, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From UTC milliseconds, as stored.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// UTC milliseconds, to be stored.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The moment `span` later; the end of time if that cannot be represented.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// The moment `span` earlier.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// How long after `earlier` this is; zero if it is not.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The same moment as a chrono value; moments beyond chrono's range become its nearest end.
    #[must_use]
    pub fn to_utc(self) -> DateTime<Utc> {
        match Utc.timestamp_millis_opt(self.0) {
            chrono::LocalResult::Single(moment) => moment,
            _ if self.0 < 0 => DateTime::<Utc>::MIN_UTC,
            _ => DateTime::<Utc>::MAX_UTC,
        }
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(moment: DateTime<Utc>) -> Self {
        Self(moment.timestamp_millis())
    }
}

impl Sub for Timestamp {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

/// RFC 3339 in UTC, whole seconds: `2026-11-21T08:05:00Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
    }
}

/// Reads RFC 3339, with any offset.
impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let moment = DateTime::parse_from_rfc3339(text).map_err(|_| TimestampError(text.to_owned()))?;
        Ok(moment.with_timezone(&Utc).into())
    }
}

/// A text that is no moment.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a date and time such as 2026-11-21T08:05:00Z")]
pub struct TimestampError(String);

/// An IANA time zone, such as `Europe/Paris`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeZone(chrono_tz::Tz);

impl TimeZone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(chrono_tz::UTC);

    /// What a clock on the wall shows there at `moment`, with daylight saving as it then is.
    #[must_use]
    pub fn local(self, moment: Timestamp) -> LocalTime {
        let local = moment.to_utc().with_timezone(&self.0);
        LocalTime {
            year: local.year(),
            month: local.month(),
            day: local.day(),
            weekday: local.weekday(),
            hour: local.hour(),
            minute: local.minute(),
            days_since_epoch: local.num_days_from_ce(),
        }
    }

    /// The `days`-th midnight there after `moment`: the first one ends the day. Where clocks skip midnight, the first moment of the day.
    #[must_use]
    pub fn midnight_after(self, moment: Timestamp, days: u32) -> Timestamp {
        let today = moment.to_utc().with_timezone(&self.0).date_naive();
        let Some(day) = today.checked_add_days(chrono::Days::new(days.into())) else { return Timestamp(i64::MAX) };
        // No zone has ever skipped more than a day.
        let starts = (0..48).filter_map(|half_hours| day.and_hms_opt(half_hours / 2, half_hours % 2 * 30, 0));
        let start = starts.map(|start| start.and_local_timezone(self.0)).find_map(|start| start.earliest());
        start.map_or(Timestamp(i64::MAX), |start| start.with_timezone(&Utc).into())
    }

    /// The end of the day `date` there, as `2026-12-24`: the midnight after it.
    ///
    /// # Errors
    ///
    /// [`DateError`] for what is no date.
    pub fn end_of_day(self, date: &str) -> Result<Timestamp, DateError> {
        let day: chrono::NaiveDate = date.parse().map_err(|_| DateError(date.to_owned()))?;
        let noon = day.and_hms_opt(12, 0, 0).and_then(|noon| noon.and_local_timezone(self.0).earliest());
        let noon = noon.ok_or_else(|| DateError(date.to_owned()))?;
        Ok(self.midnight_after(noon.with_timezone(&Utc).into(), 1))
    }

    /// The moment formatted with chrono's `strftime` letters, in this zone.
    #[must_use]
    pub fn format(self, moment: Timestamp, format: &str) -> String {
        moment.to_utc().with_timezone(&self.0).format(format).to_string()
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl FromStr for TimeZone {
    type Err = TimeZoneError;

    fn from_str(name: &str) -> Result<Self, TimeZoneError> {
        name.parse().map(Self).map_err(|_| TimeZoneError(name.to_owned()))
    }
}

/// A name that is no time zone.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a time zone; use a name such as Europe/Paris or America/New_York")]
pub struct TimeZoneError(String);

/// A text that is no date.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a date such as 2026-12-24")]
pub struct DateError(String);

/// What a clock and a calendar on the wall show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// Calendar year.
    pub year: i32,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
    /// Day of the week.
    pub weekday: chrono::Weekday,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    days_since_epoch: i32,
}

impl LocalTime {
    /// How many midnights lie between this date and `now`'s: 0 today, 1 yesterday; negative in the future.
    #[must_use]
    pub fn days_before(&self, now: &Self) -> i32 {
        now.days_since_epoch - self.days_since_epoch
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_follows_daylight_saving() {
        let paris: TimeZone = "Europe/Paris".parse().unwrap();

        let winter = paris.local("2026-03-29T00:30:00Z".parse().unwrap());
        let summer = paris.local("2026-03-29T01:30:00Z".parse().unwrap());

        assert_eq!((winter.hour, summer.hour), (1, 3));
    }

    #[test]
    fn yesterday_is_counted_in_local_midnights() {
        let auckland: TimeZone = "Pacific/Auckland".parse().unwrap();
        let stamp = auckland.local("2026-11-20T10:59:00Z".parse().unwrap());
        let now = auckland.local("2026-11-20T11:01:00Z".parse().unwrap());

        assert_eq!(stamp.days_before(&now), 1);
    }

    #[test]
    fn a_day_ends_at_midnight_or_when_the_next_one_begins() {
        let zone = |name: &str| name.parse::<TimeZone>().unwrap();

        assert_eq!(zone("Europe/Paris").end_of_day("2026-03-29").unwrap().to_string(), "2026-03-29T22:00:00Z");
        assert_eq!(zone("America/New_York").end_of_day("2026-12-24").unwrap().to_string(), "2026-12-25T05:00:00Z");
        // Clocks went from 0:00 to 1:00.
        assert_eq!(zone("America/Sao_Paulo").end_of_day("2018-11-03").unwrap().to_string(), "2018-11-04T03:00:00Z");
        assert!(TimeZone::UTC.end_of_day("24.12.2026").is_err());
        assert!(TimeZone::UTC.end_of_day("2026-02-30").is_err());
        for millis in [i64::MIN, i64::MAX] {
            let _ = TimeZone::UTC.midnight_after(Timestamp::from_millis(millis), 366);
        }
    }

    #[test]
    fn no_moment_is_beyond_us() {
        for millis in [i64::MIN, i64::MAX] {
            let moment = Timestamp::from_millis(millis);

            assert_eq!(moment.after(Duration::MAX).as_millis(), if millis < 0 { -1 } else { i64::MAX });
            let _ = TimeZone::UTC.local(moment);
            let _ = moment.to_string();
        }
    }
}
