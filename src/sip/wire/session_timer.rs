//! `Session-Expires` and `Min-SE` (RFC 4028): how long a session lasts that nobody refreshes, and who does.

use std::time::Duration;

use super::text::{Malformed, trim};
use super::{HeaderError, HeaderViews, Params};

/// `Session-Expires`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionExpires {
    /// How long the session lasts without being refreshed; whole seconds.
    pub interval: Duration,
    /// Who is to refresh it, if that is said.
    pub refresher: Option<Refresher>,
}

/// Who refreshes a session: a side of the latest refresh, not of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresher {
    /// Who sent the request that refreshed it last.
    Uac,
    /// Who answered it.
    Uas,
}

impl SessionExpires {
    /// Reads `1800;refresher=uac`. An unknown refresher is as none.
    ///
    /// # Errors
    ///
    /// When it does not begin with a number of seconds.
    pub fn parse(value: &str) -> Result<Self, Malformed> {
        let (seconds, params) = value.split_once(';').unwrap_or((value, ""));
        let params = Params::parse(params)?;
        let refresher = match params.get("refresher").map(str::to_ascii_lowercase).as_deref() {
            Some("uac") => Some(Refresher::Uac),
            Some("uas") => Some(Refresher::Uas),
            _ => None,
        };
        Ok(Self { interval: seconds_of(seconds)?, refresher })
    }

    /// The `Session-Expires` of a message, if it has one.
    ///
    /// # Errors
    ///
    /// When it is malformed.
    pub fn of(headers: &rsip::Headers) -> Result<Option<Self>, HeaderError> {
        let read = headers.value("Session-Expires").map(Self::parse).transpose();
        read.map_err(|problem| HeaderError::Malformed("Session-Expires", problem))
    }
}

impl std::fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.interval.as_secs())?;
        match self.refresher {
            Some(Refresher::Uac) => f.write_str(";refresher=uac"),
            Some(Refresher::Uas) => f.write_str(";refresher=uas"),
            None => Ok(()),
        }
    }
}

/// The `Min-SE` of a message: the shortest interval that those on its way take.
///
/// # Errors
///
/// When it is malformed.
pub fn min_session_expires(headers: &rsip::Headers) -> Result<Option<Duration>, HeaderError> {
    let seconds = headers.value("Min-SE").map(|value| seconds_of(value.split(';').next().unwrap_or_default()));
    seconds.transpose().map_err(|problem| HeaderError::Malformed("Min-SE", problem))
}

/// A number of seconds. More than 2³² of them are as good as 2³²: both are longer than any call.
fn seconds_of(text: &str) -> Result<Duration, Malformed> {
    let digits = trim(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed("not a number of seconds"));
    }
    Ok(Duration::from_secs(u64::from(digits.parse::<u32>().unwrap_or(u32::MAX))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_may_say_who_refreshes() {
        let read = |text: &str| SessionExpires::parse(text).map(|read| (read.interval.as_secs(), read.refresher));

        assert_eq!(read("1800"), Ok((1800, None)));
        assert_eq!(read(" 90 ; Refresher=UAS"), Ok((90, Some(Refresher::Uas))));
        assert_eq!(read("90;x=y;refresher=uac"), Ok((90, Some(Refresher::Uac))));
        assert_eq!(read("90;refresher=proxy"), Ok((90, None)));
        assert_eq!(read("99999999999999999999"), Ok((u64::from(u32::MAX), None)));
        for text in ["", ";refresher=uac", "-1", "soon", "90;=x", "90 s"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_interval_is_written_as_it_is_read() {
        for text in ["1800", "90;refresher=uac", "3600;refresher=uas"] {
            assert_eq!(SessionExpires::parse(text).unwrap().to_string(), text);
        }
    }
}
