//! How long the outbox waits before it tries again.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_hours(1);

/// The pause after attempt number `attempt` (1 is the first) failed: half a minute, doubling up to an hour.
///
/// `random` is from 0 to 1 and takes up to half of it away, so that mails that failed together do not come back together.
#[must_use]
pub fn backoff(attempt: u32, random: f64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    let full = (FIRST * 2_u32.pow(doublings)).min(LONGEST);
    full.mul_f64(1.0 - random.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_an_hour() {
        let pauses = [0, 1, 2, 3, 7, 8, 9, u32::MAX].map(|attempt| backoff(attempt, 0.0).as_secs());

        assert_eq!(pauses, [30, 30, 60, 120, 1920, 3600, 3600, 3600]);
    }

    #[test]
    fn chance_takes_up_to_half_away() {
        assert_eq!(backoff(1, 1.0), Duration::from_secs(15));
        assert_eq!(backoff(1, 0.5), Duration::from_millis(22_500));
        assert_eq!(backoff(1, 7.0), Duration::from_secs(15));
    }
}
