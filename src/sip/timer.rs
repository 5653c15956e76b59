//! The timers of RFC 3261 §17 as data: who wants to be woken when.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    time::{Duration, Instant},
};

use super::room::Roomy as _;

/// An estimate of the round trip: the first retransmission interval.
pub const T1: Duration = Duration::from_millis(500);
/// The longest retransmission interval of an INVITE's response and of other requests.
pub const T2: Duration = Duration::from_secs(4);
/// How long a message stays in the network.
pub const T4: Duration = Duration::from_secs(5);
/// How long a transaction waits for its peer: 64 × T1 (timers B, F, H, J, L, M; and the ACK for a 2xx).
pub const TRANSACTION_LIFE: Duration = Duration::from_secs(32);

/// The next interval of a retransmission that doubles up to T2.
#[must_use]
pub fn doubled(interval: Duration) -> Duration {
    (interval * 2).min(T2)
}

/// At most one deadline for every key, in order of time.
#[derive(Debug)]
pub struct Timers<K> {
    by_time: BTreeSet<(Instant, K)>,
    by_key: HashMap<K, Instant>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), by_key: HashMap::new() }
    }
}

impl<K: Copy + Ord + Hash> Timers<K> {
    /// Sets, moves or removes the deadline of `key`.
    pub fn set(&mut self, key: K, at: Option<Instant>) {
        let before = match at {
            Some(at) => self.by_key.insert(key, at),
            None => self.by_key.remove(&key),
        };
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.by_time.remove(&(before, key));
        }
        if let Some(at) = at {
            self.by_time.insert((at, key));
        }
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|&(at, _)| at)
    }

    /// Takes out one key whose deadline has come.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        let &(at, key) = self.by_time.first()?;
        if at > now {
            return None;
        }
        self.set(key, None);
        self.by_key.give_room_back();
        Some(key)
    }

    /// How many keys wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_out_in_the_order_of_their_deadlines() {
        let start = Instant::now();
        let mut timers = Timers::default();
        timers.set('b', Some(start + T1 * 2));
        timers.set('a', Some(start + T1));
        timers.set('c', Some(start + T1 * 3));

        assert_eq!(timers.pop_due(start), None);
        assert_eq!(timers.next(), Some(start + T1));
        let due: Vec<_> = std::iter::from_fn(|| timers.pop_due(start + T1 * 2)).collect();
        assert_eq!(due, ['a', 'b']);
        assert_eq!(timers.len(), 1);
    }

    #[test]
    fn a_deadline_that_moves_or_goes_leaves_nothing_behind() {
        let start = Instant::now();
        let mut timers = Timers::default();
        timers.set('a', Some(start));
        timers.set('a', Some(start + T1));

        assert_eq!(timers.pop_due(start), None);
        timers.set('a', None);
        assert!(timers.is_empty());
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn intervals_double_up_to_four_seconds() {
        let intervals: Vec<_> = std::iter::successors(Some(T1), |&i| Some(doubled(i))).take(5).map(|i| i.as_millis()).collect();

        assert_eq!(intervals, [500, 1000, 2000, 4000, 4000]);
    }
}
