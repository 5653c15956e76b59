//! Session timers (RFC 4028), as data: an answered call that nobody refreshes ends, even when its peer has vanished in silence.

use std::time::{Duration, Instant};

use rsip::Headers;

use super::wire::{HeaderError, HeaderViews, Refresher, SessionExpires, min_session_expires};

/// The shortest interval, which is what `Min-SE` means when nobody says it (§4).
pub const SHORTEST_SESSION: Duration = Duration::from_secs(90);
/// So long before its interval is over a session ends, or a third of the interval, so that BYE still comes in time (§10).
const EARLY: Duration = Duration::from_secs(32);

/// The shortest pause before a refresh is tried once more, if the other side asked for none.
const SHORTEST_PAUSE: Duration = Duration::from_secs(2);

/// What a request that refreshes a session asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    expires: Option<SessionExpires>,
    shortest: Duration,
    /// Whether its sender knows session timers, and can refresh.
    is_supported: bool,
}

/// The interval is below our shortest: refused with 422 and `Min-SE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooShort;

impl Wish {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// When one of its headers is malformed.
    pub(super) fn of(headers: &Headers) -> Result<Self, HeaderError> {
        let knows = |tags: Vec<&str>| tags.iter().any(|tag| tag.eq_ignore_ascii_case("timer"));
        Ok(Self {
            expires: SessionExpires::of(headers)?,
            shortest: min_session_expires(headers)?.unwrap_or_default().max(SHORTEST_SESSION),
            is_supported: knows(headers.supported()) || knows(headers.require()),
        })
    }

    /// What is agreed on: at most `longest`, but never less than what those on the way take. Who does not know session timers
    /// cannot refresh, so we do (table 2 of §9).
    ///
    /// # Errors
    ///
    /// [`TooShort`], which only those are told who know what it means.
    pub(super) fn agree(&self, longest: Duration) -> Result<SessionExpires, TooShort> {
        let asked = self.expires.map_or(longest, |expires| expires.interval);
        if asked < SHORTEST_SESSION && self.is_supported && self.expires.is_some() {
            return Err(TooShort);
        }
        let said = self.expires.and_then(|expires| expires.refresher).unwrap_or(Refresher::Uac);
        let refresher = if self.is_supported { said } else { Refresher::Uas };
        Ok(SessionExpires { interval: asked.min(longest).max(self.shortest), refresher: Some(refresher) })
    }
}

/// The clock of one session.
#[derive(Debug)]
pub(super) struct SessionTimer {
    pub(super) interval: Duration,
    /// When we refresh it, if that is our part and we are not at it.
    refresh_at: Option<Instant>,
    ends_at: Instant,
}

/// What a session's clock wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SessionDue {
    /// It is to be refreshed.
    Refresh,
    /// Nobody refreshed it.
    Over,
}

impl SessionTimer {
    /// Starts anew, as every refresh does. We refresh halfway (§10), so that there is time for a second try.
    pub(super) fn start(interval: Duration, is_ours: bool, now: Instant) -> Self {
        let ends_at = now + interval.saturating_sub(EARLY.min(interval / 3));
        Self { interval, refresh_at: is_ours.then(|| now + interval / 2), ends_at }
    }

    /// Tries again after a pause, if there is time for that.
    pub(super) fn postpone(&mut self, pause: Duration, now: Instant) {
        self.refresh_at = Some(now + pause).filter(|at| *at < self.ends_at);
    }

    /// Tries again halfway to the end.
    pub(super) fn postpone_halfway(&mut self, now: Instant) {
        let pause = self.ends_at.saturating_duration_since(now) / 2;
        self.refresh_at = Some(now + pause).filter(|_| pause >= SHORTEST_PAUSE);
    }

    /// When [`Self::tick`] wants to be called.
    pub(super) fn deadline(&self) -> Instant {
        self.refresh_at.map_or(self.ends_at, |at| at.min(self.ends_at))
    }

    /// Says what is due. A refresh is said once.
    pub(super) fn tick(&mut self, now: Instant) -> Option<SessionDue> {
        if self.ends_at <= now {
            return Some(SessionDue::Over);
        }
        self.refresh_at.take_if(|at| *at <= now).map(|_| SessionDue::Refresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::wire::{Message, parse};

    const LONGEST: Duration = Duration::from_mins(30);

    fn agreed(lines: &str) -> Result<String, TooShort> {
        let text = format!("INVITE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n{lines}\r\n");
        let Ok(Message::Request(request)) = parse(text.as_bytes()) else { panic!("{text}") };
        Wish::of(&request.headers).unwrap().agree(LONGEST).map(|agreed| agreed.to_string())
    }

    #[test]
    fn who_knows_session_timers_refreshes_unless_it_asks_us_to() {
        for (lines, expected) in [
            ("", "1800;refresher=uas"),
            ("Supported: timer\r\n", "1800;refresher=uac"),
            ("k: Timer\r\nx: 600\r\n", "600;refresher=uac"),
            ("Require: timer\r\nSession-Expires: 600;refresher=uas\r\n", "600;refresher=uas"),
            ("Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n", "600;refresher=uac"),
            ("Session-Expires: 600;refresher=uac\r\n", "600;refresher=uas"),
        ] {
            assert_eq!(agreed(lines), Ok(expected.to_owned()), "{lines}");
        }
    }

    #[test]
    fn the_interval_is_shortened_to_ours_and_never_below_the_shortest() {
        for (lines, expected) in [
            ("Supported: timer\r\nSession-Expires: 90\r\n", Ok("90;refresher=uac".to_owned())),
            ("Supported: timer\r\nSession-Expires: 89\r\n", Err(TooShort)),
            ("Session-Expires: 89\r\n", Ok("90;refresher=uas".to_owned())),
            ("Supported: timer\r\nSession-Expires: 7200\r\n", Ok("1800;refresher=uac".to_owned())),
            ("Supported: timer\r\nSession-Expires: 7200\r\nMin-SE: 3600\r\n", Ok("3600;refresher=uac".to_owned())),
            ("Supported: timer\r\nMin-SE: 30\r\nSession-Expires: 100\r\n", Ok("100;refresher=uac".to_owned())),
        ] {
            assert_eq!(agreed(lines), expected, "{lines}");
        }
    }

    #[test]
    fn a_session_is_refreshed_halfway_and_ends_before_its_interval_does() {
        let start = Instant::now();
        let mut ours = SessionTimer::start(Duration::from_secs(1800), true, start);
        let mut theirs = SessionTimer::start(Duration::from_secs(90), false, start);

        assert_eq!(ours.deadline(), start + Duration::from_secs(900));
        assert_eq!(ours.tick(start + Duration::from_secs(899)), None);
        assert_eq!(ours.tick(start + Duration::from_secs(900)), Some(SessionDue::Refresh));
        assert_eq!(ours.deadline(), start + Duration::from_secs(1768));
        assert_eq!(theirs.deadline(), start + Duration::from_secs(60));
        assert_eq!(theirs.tick(start + Duration::from_secs(60)), Some(SessionDue::Over));
    }

    #[test]
    fn a_refresh_that_failed_is_tried_again_while_there_is_time() {
        let start = Instant::now();
        let mut timer = SessionTimer::start(Duration::from_secs(90), true, start);
        let mut tries = Vec::new();

        let mut now = timer.deadline();
        while timer.tick(now) == Some(SessionDue::Refresh) {
            tries.push((now - start).as_secs());
            timer.postpone_halfway(now);
            now = timer.deadline();
        }

        assert_eq!(tries, [45, 52, 56]);
        timer.postpone(Duration::from_secs(90), start);
        assert_eq!(timer.deadline(), start + Duration::from_secs(60));
    }
}
