//! Keys that come by SIP INFO, and those that come twice because a telephone sends them in more than one way.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// The key in an INFO body: `application/dtmf-relay` (`Signal=5`), or `application/dtmf` (the bare key).
#[must_use]
pub fn of_info(content_type: &str, body: &[u8]) -> Option<char> {
    let text = std::str::from_utf8(body).ok()?;
    let key = match content_type {
        "application/dtmf-relay" => text.lines().find_map(|line| {
            let (name, value) = line.split_once(['=', ':'])?;
            name.trim().eq_ignore_ascii_case("signal").then_some(value.trim())
        })?,
        "application/dtmf" => text.trim(),
        _ => return None,
    };
    match key {
        // Some phones send the event's number instead of the key (RFC 4733 §3.2).
        "10" => Some('*'),
        "11" => Some('#'),
        key => {
            let mut keys = key.chars();
            let key = keys.next()?.to_ascii_uppercase();
            (keys.next().is_none() && "0123456789*#ABCD".contains(key)).then_some(key)
        }
    }
}

/// How a key came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// As a telephone-event or a tone.
    Media,
    /// By SIP INFO.
    Info,
}

/// How much later a key may come the other way: some telephones send INFO when it is let go.
const TWICE_WITHIN: Duration = Duration::from_secs(3);
/// How many keys are remembered: nobody presses more in that time.
const REMEMBERED: usize = 32;

/// Counts each press once, though a telephone may send it both as RTP and by INFO.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// The presses that have come one way and not yet the other.
    pressed: VecDeque<(char, Way, Instant)>,
}

impl Keys {
    /// Whether a key that came at `now` is another press than those that came the other way.
    pub(super) fn is_new(&mut self, key: char, way: Way, now: Instant) -> bool {
        self.pressed.retain(|(.., at)| now.saturating_duration_since(*at) <= TWICE_WITHIN);
        let same = self.pressed.iter().position(|(pressed, by, _)| *pressed == key && *by != way);
        if let Some(at) = same {
            self.pressed.remove(at);
            return false;
        }
        if self.pressed.len() == REMEMBERED {
            self.pressed.pop_front();
        }
        self.pressed.push_back((key, way, now));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_comes_both_ways_counts_once() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut keys = Keys::default();

        // Quick, with INFO when a key is let go; then the other way round.
        let came = [
            ('5', Way::Media, 0),
            ('5', Way::Media, 150),
            ('5', Way::Info, 160),
            ('7', Way::Media, 300),
            ('5', Way::Info, 310),
            ('7', Way::Info, 450),
            ('1', Way::Info, 2000),
            ('1', Way::Media, 2050),
        ];
        let counted: String =
            came.iter().filter(|(key, way, ms)| keys.is_new(*key, *way, at(*ms))).map(|(key, ..)| key).collect();

        assert_eq!(counted, "5571");
    }

    #[test]
    fn keys_that_come_one_way_all_count_and_both_ways_may_be_used_in_turn() {
        let start = Instant::now();
        let mut keys = Keys::default();

        for press in 0..100 {
            assert!(keys.is_new('1', Way::Info, start + Duration::from_millis(press * 100)));
        }
        assert!(keys.is_new('1', Way::Media, start + Duration::from_secs(20)));
        assert!(keys.pressed.len() <= REMEMBERED);
    }

    #[test]
    fn keys_are_read_as_phones_write_them() {
        assert_eq!(of_info("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n"), Some('5'));
        assert_eq!(of_info("application/dtmf-relay", b"Signal= #\nDuration= 250\n"), Some('#'));
        assert_eq!(of_info("application/dtmf-relay", b"signal=11\r\nduration=100"), Some('#'));
        assert_eq!(of_info("application/dtmf", b"*"), Some('*'));
        assert_eq!(of_info("application/dtmf", b"10\r\n"), Some('*'));
    }

    #[test]
    fn what_is_no_key_is_none() {
        for body in [&b""[..], b"Duration=160", b"Signal=", b"Signal=55", b"Signal=x", b"\xff\xfe"] {
            assert_eq!(of_info("application/dtmf-relay", body), None, "{body:?}");
        }
        assert_eq!(of_info("text/plain", b"5"), None);
    }
}
