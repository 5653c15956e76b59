//! A breaker for one host: after a few failures in a row it is left alone for a while, then tried with one mail.

use std::time::{Duration, Instant};

const FAILURES_TO_OPEN: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Whether a host is worth trying. Mails that wait because of it lose no attempt and wait no longer than it does.
#[derive(Debug, Default)]
pub struct Breaker {
    failures: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    until: Instant,
    pause: Duration,
    probing: bool,
}

/// How much may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// As much as there is.
    Everything,
    /// One mail, to see whether the host is back.
    OneProbe,
    /// Nothing before this moment; `None` while a probe is under way.
    NothingUntil(Option<Instant>),
}

impl Breaker {
    /// What may be sent at `now`.
    #[must_use]
    pub fn allowance(&self, now: Instant) -> Allowance {
        match &self.open {
            None => Allowance::Everything,
            Some(Open { probing: true, .. }) => Allowance::NothingUntil(None),
            Some(open) if now < open.until => Allowance::NothingUntil(Some(open.until)),
            Some(_) => Allowance::OneProbe,
        }
    }

    /// Notes that the probe has been sent.
    pub fn probe_sent(&mut self) {
        if let Some(open) = &mut self.open {
            open.probing = true;
        }
    }

    /// Notes that there was nothing to probe with after all.
    pub fn probe_withdrawn(&mut self) {
        if let Some(open) = &mut self.open {
            open.probing = false;
        }
    }

    /// Notes that the host answered sensibly. Returns whether it had been given up.
    pub fn succeeded(&mut self) -> bool {
        self.failures = 0;
        self.open.take().is_some()
    }

    /// Notes that the host could not be used. Returns whether the breaker has just opened (not: stayed open).
    pub fn failed(&mut self, now: Instant) -> bool {
        self.failures = self.failures.saturating_add(1);
        match &mut self.open {
            Some(open) if open.probing => {
                open.pause = (open.pause * 2).min(LONGEST_PAUSE);
                open.until = now + open.pause;
                open.probing = false;
                false
            }
            // A mail that was under way when the breaker opened tells nothing new.
            Some(_) => false,
            None if self.failures >= FAILURES_TO_OPEN => {
                self.open = Some(Open { until: now + FIRST_PAUSE, pause: FIRST_PAUSE, probing: false });
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_failures_in_a_row_open_it_once() {
        let now = Instant::now();
        let mut breaker = Breaker::default();

        assert!(!breaker.failed(now));
        assert!(!breaker.failed(now));
        assert_eq!(breaker.allowance(now), Allowance::Everything);
        assert!(breaker.failed(now));
        assert!(!breaker.failed(now));

        assert_eq!(breaker.allowance(now), Allowance::NothingUntil(Some(now + FIRST_PAUSE)));
        assert_eq!(breaker.allowance(now + FIRST_PAUSE), Allowance::OneProbe);
    }

    #[test]
    fn a_success_between_failures_keeps_it_closed() {
        let now = Instant::now();
        let mut breaker = Breaker::default();

        for _ in 0..5 {
            assert!(!breaker.failed(now));
            assert!(!breaker.failed(now));
            assert!(!breaker.succeeded());
        }

        assert_eq!(breaker.allowance(now), Allowance::Everything);
    }

    #[test]
    fn a_failed_probe_doubles_the_pause_up_to_a_minute() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        let mut pauses = Vec::new();

        for _ in 0..8 {
            let Allowance::NothingUntil(Some(until)) = breaker.allowance(now) else { panic!("{breaker:?}") };
            pauses.push((until - now).as_secs());
            now = until;
            breaker.probe_sent();
            assert_eq!(breaker.allowance(now), Allowance::NothingUntil(None));
            assert!(!breaker.failed(now));
        }

        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn a_probe_that_succeeds_closes_it() {
        let now = Instant::now();
        let mut breaker = opened(now);

        breaker.probe_sent();
        assert!(breaker.succeeded());

        assert_eq!(breaker.allowance(now), Allowance::Everything);
        assert!(!breaker.failed(now));
    }

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES_TO_OPEN {
            breaker.failed(now);
        }
        breaker
    }
}
