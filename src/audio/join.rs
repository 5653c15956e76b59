//! One recording after another.

use std::time::Duration;

use super::{SAMPLE_RATE, WIDE_RATE, samples_in, wav};

/// A whole file of ours with both recordings and a pause between them, and its length. It is wideband if either of them is.
///
/// # Errors
///
/// When one of them is no WAV file, or both together are longer than `longest`.
pub fn joined(first: &[u8], second: &[u8], pause: Duration, longest: Duration) -> Result<(Vec<u8>, Duration), wav::WavError> {
    let is_wide = [first, second].into_iter().any(|file| wav::rate_of(file).is_some_and(|rate| rate > SAMPLE_RATE));
    let rate = if is_wide { WIDE_RATE } else { SAMPLE_RATE };
    let mut samples = wav::read_at(rate, first, longest)?;
    let in_a_second = usize::try_from(rate / SAMPLE_RATE).unwrap_or(1);
    samples.resize(samples.len() + usize::try_from(samples_in(pause)).unwrap_or(0) * in_a_second, 0);
    samples.extend(wav::read_at(rate, second, longest)?);
    let length = Duration::from_secs_f64(samples.len() as f64 / f64::from(rate));
    if length > longest {
        return Err(wav::WavError::TooLong(longest));
    }
    Ok((wav::from_samples_at(rate, &samples), length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::testing::speech;

    const PAUSE: Duration = Duration::from_millis(500);
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn recordings_of_one_rate_stay_sample_for_sample() {
        let [first, second] = [speech(1.0, -20.0), speech(2.0, -25.0)];

        let (file, length) = joined(&wav::from_samples(&first), &wav::from_samples(&second), PAUSE, MINUTE).unwrap();

        assert_eq!(wav::rate_of(&file), Some(8000));
        assert_eq!(wav::read(&file, MINUTE).unwrap(), [&first[..], &[0; 4000], &second[..]].concat());
        assert_eq!(length, Duration::from_millis(3500));
    }

    #[test]
    fn a_wideband_recording_stays_so_whatever_is_joined_to_it() {
        let narrow = wav::from_samples(&speech(1.0, -20.0));
        let wide = wav::from_samples_at(16_000, &[100; 16_000]);

        for (first, second, wide_at) in [(&narrow, &wide, 24_000), (&wide, &narrow, 0)] {
            let (file, length) = joined(first, second, PAUSE, MINUTE).unwrap();
            let samples = wav::read_at(16_000, &file, MINUTE).unwrap();

            assert_eq!(wav::rate_of(&file), Some(16_000));
            assert_eq!(length, Duration::from_millis(2500));
            assert_eq!(samples[wide_at..][..16_000], [100; 16_000]);
        }
    }

    #[test]
    fn both_together_are_no_longer_than_a_message_can_be() {
        let second = wav::from_samples(&[0; 8000]);

        assert!(joined(&second, &second, PAUSE, Duration::from_millis(2500)).is_ok());
        assert!(joined(&second, &second, PAUSE, Duration::from_millis(2499)).is_err());
        assert!(joined(b"no WAV", &second, PAUSE, MINUTE).is_err());
    }
}
