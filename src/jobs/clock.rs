//! Whether the wall clock may be believed, before anything is removed because of what it shows.

use std::time::{Duration, Instant};

use crate::domain::{rules, time::Timestamp};

/// How long a clock that leapt must go on steadily until it is believed after all: the server may simply have been off for
/// longer than a day, and nobody needs to tell it so.
const PROBATION: Duration = Duration::from_hours(24);

/// Compares the wall clock with the machine's steady one, and with where it was before a restart.
#[derive(Debug)]
pub struct ClockWatch {
    believed: Option<Sight>,
    doubted: Option<Sight>,
}

/// The wall clock and the steady clock, seen together.
#[derive(Clone, Copy, Debug)]
struct Sight {
    wall: Timestamp,
    steady: Instant,
}

/// What to make of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes as it should.
    Believed,
    /// It has leapt just now: somebody should look.
    Leapt {
        /// What it was last believed to show.
        from: Timestamp,
    },
    /// It leapt, and has gone steadily since, but not for long enough.
    OnProbation,
}

impl ClockWatch {
    /// `last_seen` is what the wall clock was last believed to show, before this start.
    #[must_use]
    pub fn new(last_seen: Option<Timestamp>, steady: Instant) -> Self {
        Self { believed: last_seen.map(|wall| Sight { wall, steady }), doubted: None }
    }

    /// Judges what the wall clock shows now.
    pub fn look(&mut self, wall: Timestamp, steady: Instant) -> Verdict {
        let sight = Sight { wall, steady };
        let Some(believed) = self.believed else {
            self.believed = Some(sight);
            return Verdict::Believed;
        };
        if believed.leads_to(sight) {
            self.believed = Some(sight);
            self.doubted = None;
            return Verdict::Believed;
        }
        match self.doubted {
            Some(doubted) if doubted.leads_to(sight) => {
                if steady.duration_since(doubted.steady) < PROBATION {
                    return Verdict::OnProbation;
                }
                self.believed = Some(sight);
                self.doubted = None;
                Verdict::Believed
            }
            _ => {
                self.doubted = Some(sight);
                Verdict::Leapt { from: believed.wall }
            }
        }
    }
}

impl ClockWatch {
    /// What the wall clock would show now had it not leapt since it was last believed. Nothing is removed by a later time.
    #[must_use]
    pub fn trusted_time(&self, steady: Instant) -> Option<Timestamp> {
        self.believed.map(|believed| believed.wall.after(steady.duration_since(believed.steady)))
    }
}

impl Sight {
    fn leads_to(self, later: Self) -> bool {
        rules::clock_is_plausible(self.wall, later.wall, later.steady.duration_since(self.steady))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn a_clock_that_goes_on_is_believed_for_years() {
        let start = Instant::now();
        let mut watch = ClockWatch::new(None, start);

        for hours in (0..2 * 365 * 24).step_by(7) {
            assert_eq!(watch.look(START.after(HOUR * hours), start + HOUR * hours), Verdict::Believed);
        }
    }

    #[test]
    fn a_leap_is_reported_once_and_believed_after_a_day() {
        let start = Instant::now();
        let mut watch = ClockWatch::new(Some(START), start);
        let leap = HOUR * 24 * 40;
        let mut look = |hours| watch.look(START.after(leap + HOUR * hours), start + HOUR * hours);

        assert_eq!(look(0), Verdict::Leapt { from: START });
        assert_eq!(look(1), Verdict::OnProbation);
        assert_eq!(look(23), Verdict::OnProbation);
        assert_eq!(look(24), Verdict::Believed);
        assert_eq!(look(25), Verdict::Believed);
        assert_eq!(watch.trusted_time(start + HOUR * 25), Some(START.after(leap + HOUR * 25)));
    }

    #[test]
    fn while_a_clock_is_doubted_time_goes_on_steadily() {
        let start = Instant::now();
        let mut watch = ClockWatch::new(Some(START), start);

        assert_eq!(watch.look(START.after(HOUR * 24 * 40), start + HOUR), Verdict::Leapt { from: START });

        assert_eq!(watch.trusted_time(start + HOUR * 2), Some(START.after(HOUR * 2)));
    }

    #[test]
    fn a_clock_that_comes_back_is_believed_at_once() {
        let start = Instant::now();
        let mut watch = ClockWatch::new(Some(START), start);

        assert_eq!(watch.look(START.after(HOUR * 24 * 40), start), Verdict::Leapt { from: START });
        assert_eq!(watch.look(START.after(HOUR), start + HOUR), Verdict::Believed);
    }

    #[test]
    fn a_second_leap_begins_probation_anew() {
        let start = Instant::now();
        let mut watch = ClockWatch::new(Some(START), start);

        watch.look(START.after(HOUR * 24 * 40), start);
        let second = START.after(HOUR * 24 * 80);
        assert_eq!(watch.look(second, start + HOUR * 23), Verdict::Leapt { from: START });
        assert_eq!(watch.look(second.after(HOUR * 23), start + HOUR * 46), Verdict::OnProbation);
        assert_eq!(watch.look(second.after(HOUR * 24), start + HOUR * 47), Verdict::Believed);
    }
}
