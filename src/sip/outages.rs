//! Places that have failed lately, so that the next request does not wait for them again (RFC 3263 §4.3 leaves that to us).

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::{outgoing::Outcome, resolve::Place};

/// How long a place that did not answer, or could not be connected to, comes after those that may.
const LIFE: Duration = Duration::from_secs(30);
/// And one that says itself how long it wants to be left alone, at most.
const LONGEST: Duration = Duration::from_mins(5);
/// So many places are remembered; more are tried as if they had not failed.
const MOST: usize = 1024;

/// What is known of places.
#[derive(Debug, Default)]
pub(super) struct Outages(HashMap<Place, Instant>);

impl Outages {
    /// Learns what came of a request to a place.
    pub(super) fn tried(&mut self, place: Place, outcome: Outcome, now: Instant) {
        let pause = match outcome {
            Outcome::Answered { status: 503, retry_after } => retry_after.unwrap_or(LIFE).min(LONGEST),
            Outcome::TimedOut | Outcome::Unreachable => LIFE,
            Outcome::Answered { .. } => {
                self.0.remove(&place);
                return;
            }
            // That was our own trouble.
            Outcome::NotSent => return,
        };
        if self.0.len() >= MOST {
            self.0.retain(|_, until| *until > now);
        }
        if self.0.len() < MOST {
            self.0.insert(place, now + pause);
        }
    }

    /// Puts places that have failed lately behind the others, and changes nothing else of their order.
    pub(super) fn put_last(&self, places: &mut [Place], now: Instant) {
        places.sort_by_key(|place| self.0.get(place).is_some_and(|until| *until > now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::flow::Transport;

    #[test]
    fn a_place_that_failed_comes_last_for_a_while_or_until_it_answers() {
        let (start, mut outages) = (Instant::now(), Outages::default());
        let order = |outages: &Outages, after: u64| {
            let mut places = [place(1), place(2), place(3)];
            outages.put_last(&mut places, start + Duration::from_secs(after));
            places.map(|place| place.address.port())
        };

        outages.tried(place(1), Outcome::TimedOut, start);
        outages.tried(place(2), Outcome::Answered { status: 503, retry_after: Some(Duration::from_secs(100)) }, start);
        assert_eq!(order(&outages, 29), [3, 1, 2]);
        assert_eq!(order(&outages, 30), [1, 3, 2]);
        assert_eq!(order(&outages, 100), [1, 2, 3]);

        outages.tried(place(3), Outcome::NotSent, start);
        outages.tried(place(2), Outcome::Answered { status: 404, retry_after: None }, start);
        assert_eq!(order(&outages, 0), [2, 3, 1]);
    }

    #[test]
    fn no_more_places_are_remembered_than_there_is_room_for_and_old_ones_make_room() {
        let (start, mut outages) = (Instant::now(), Outages::default());

        (0..2000).for_each(|port| outages.tried(place(port), Outcome::Unreachable, start));
        assert_eq!(outages.0.len(), MOST);
        outages.tried(place(5000), Outcome::Unreachable, start + LIFE);

        assert_eq!(outages.0.keys().collect::<Vec<_>>(), [&place(5000)]);
    }

    fn place(port: u16) -> Place {
        Place { transport: Transport::Tcp, address: ([192, 0, 2, 1], port).into() }
    }
}
