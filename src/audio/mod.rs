//! Audio as samples in memory: G.711, WAV, tones, levels, resampling, and keys heard in the audio itself.
//!
//! Audio in memory is mono 16-bit PCM, at 8000 Hz unless it says otherwise: wideband codecs have 16,000. A frame is 20 ms, 160
//! samples at 8000 Hz. Nothing here knows of packets, calls or files: `rtp` and `media` move the samples. Start with
//! [`codec::Codec`].

// Tests may take their first moment from the clock.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

use std::time::Duration;

pub mod codec;
pub mod encoder;
pub mod decoder;
pub mod g711;
pub mod law;
pub mod g722;
pub mod g729;
pub mod opus;
pub mod conceal;
pub mod form;
pub mod halfband;
pub mod noise;
pub mod tone;
pub mod wav;
pub mod join;
pub mod import;
pub mod resample;
pub mod stretch;
pub mod volume;
pub mod level;
pub mod quality;
pub mod dtmf;
mod sines;
mod ending;
pub mod loudness;
pub mod clean;
#[cfg(test)]
mod testing;

/// Samples a second of audio in memory.
pub const SAMPLE_RATE: u32 = 8000;

/// Samples a second of wideband audio.
pub const WIDE_RATE: u32 = 16_000;

/// Samples in a frame.
pub const FRAME_SAMPLES: usize = 160;

/// How long a frame is.
pub const FRAME: Duration = Duration::from_millis(20);

/// How long so many samples last, to the nanosecond.
#[must_use]
pub const fn duration_of(samples: u64) -> Duration {
    // 125 µs a sample, exactly; split so that no count overflows.
    let rate = SAMPLE_RATE as u64;
    Duration::new(samples / rate, (samples % rate) as u32 * 125_000)
}

/// How many whole samples fit in `span`.
#[must_use]
pub const fn samples_in(span: Duration) -> u64 {
    span.as_secs().saturating_mul(SAMPLE_RATE as u64).saturating_add(span.subsec_nanos() as u64 / 125_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_and_durations_agree() {
        assert_eq!(duration_of(FRAME_SAMPLES as u64), FRAME);
        assert_eq!(samples_in(FRAME), FRAME_SAMPLES as u64);
        assert_eq!(duration_of(12_001), Duration::from_micros(1_500_125));
        assert_eq!(samples_in(Duration::from_micros(1_500_249)), 12_001);
        assert_eq!(samples_in(Duration::MAX), u64::MAX);
        assert!(duration_of(u64::MAX) > Duration::from_hours(1 << 30));
    }
}
