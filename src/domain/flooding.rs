//! How often one caller may leave messages in one mailbox.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    time::{Duration, Instant},
};

use super::id::MailboxId;

/// How many pairs of caller and mailbox are remembered at most.
const MOST_PAIRS: usize = 16 * 1024;

/// How many calls of one caller a mailbox takes; zero is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallerLimits {
    /// Within a minute.
    pub per_minute: u32,
    /// Within an hour.
    pub per_hour: u32,
}

/// Counts the calls of callers to mailboxes.
#[derive(Debug)]
pub struct CallerCounts {
    limits: CallerLimits,
    keys: RandomState,
    pairs: HashMap<u64, Pair>,
}

/// When the calls of a pair would be forgotten if each took its share of the minute and of the hour: ahead of now by as much as was
/// used up.
#[derive(Clone, Copy, Debug)]
struct Pair {
    minute: Instant,
    hour: Instant,
}

impl CallerCounts {
    /// Nobody has called yet.
    #[must_use]
    pub fn new(limits: CallerLimits) -> Self {
        Self { limits, keys: RandomState::new(), pairs: HashMap::new() }
    }

    /// Whether the mailbox takes one more call of the caller, which then counts. `caller` is what tells callers apart.
    pub fn admits(&mut self, mailbox: &MailboxId, caller: &str, now: Instant) -> bool {
        const MINUTE: Duration = Duration::from_mins(1);
        const HOUR: Duration = Duration::from_hours(1);
        let key = self.keys.hash_one((mailbox, caller));
        if self.pairs.len() >= MOST_PAIRS && !self.pairs.contains_key(&key) {
            self.make_room(now);
        }
        let pair = self.pairs.entry(key).or_insert(Pair { minute: now, hour: now });
        let minute = used(pair.minute, now, self.limits.per_minute, MINUTE);
        let hour = used(pair.hour, now, self.limits.per_hour, HOUR);
        let (Some(minute), Some(hour)) = (minute, hour) else { return false };
        *pair = Pair { minute, hour };
        true
    }

    /// Forgets pairs without calls that count; if there is none, some others.
    fn make_room(&mut self, now: Instant) {
        self.pairs.retain(|_, pair| pair.hour > now || pair.minute > now);
        if self.pairs.len() >= MOST_PAIRS {
            // The order of the map is nobody's choice.
            let some: Vec<u64> = self.pairs.keys().take(MOST_PAIRS / 16).copied().collect();
            for key in some {
                self.pairs.remove(&key);
            }
        }
    }
}

/// The end of what is used up after one more call, if it is within the limit.
fn used(until: Instant, now: Instant, limit: u32, span: Duration) -> Option<Instant> {
    let Some(share) = span.checked_div(limit) else { return Some(until) };
    let until = until.max(now) + share;
    (until <= now + span).then_some(until)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: CallerLimits = CallerLimits { per_minute: 3, per_hour: 10 };

    #[test]
    fn a_caller_has_so_many_calls_a_minute_and_an_hour() {
        let (mut counts, mailbox, start) = (CallerCounts::new(LIMITS), MailboxId::random(), Instant::now());
        let calls = |counts: &mut CallerCounts, at| (0..100).filter(|_| counts.admits(&mailbox, "a", at)).count();

        assert_eq!(calls(&mut counts, start), 3);
        assert_eq!(calls(&mut counts, start + Duration::from_secs(20)), 1);
        assert_eq!(calls(&mut counts, start + Duration::from_secs(80)), 3);
        assert_eq!(calls(&mut counts, start + Duration::from_secs(140)), 3);
        assert_eq!(calls(&mut counts, start + Duration::from_secs(200)), 0, "the hour's are used up");
        assert_eq!(calls(&mut counts, start + Duration::from_hours(2)), 3);
    }

    #[test]
    fn callers_and_mailboxes_do_not_count_for_each_other() {
        let (mut counts, one, other, now) = (CallerCounts::new(LIMITS), MailboxId::random(), MailboxId::random(), Instant::now());
        while counts.admits(&one, "a", now) {}

        assert!(counts.admits(&one, "b", now));
        assert!(counts.admits(&other, "a", now));
    }

    #[test]
    fn zero_is_no_limit() {
        let mut counts = CallerCounts::new(CallerLimits { per_minute: 0, per_hour: 0 });
        let (mailbox, now) = (MailboxId::random(), Instant::now());

        assert!((0..10_000).all(|_| counts.admits(&mailbox, "a", now)));
    }

    #[test]
    fn what_is_remembered_does_not_grow() {
        let (mut counts, mailbox, start) = (CallerCounts::new(LIMITS), MailboxId::random(), Instant::now());
        for n in 0..40_000 {
            assert!(counts.admits(&mailbox, &n.to_string(), start + Duration::from_millis(n)));
        }

        assert!(counts.pairs.len() <= MOST_PAIRS);
    }
}
