//! How loud audio is, and how long it has been silent.

use std::time::Duration;

use super::duration_of;

/// The level of samples in dB relative to the loudest sine, -100 at the least. A constant offset is not heard, so not counted.
#[must_use]
pub fn level(samples: &[i16]) -> f32 {
    if samples.is_empty() {
        return SILENT;
    }
    let (mut sum, mut squares) = (0, 0);
    // Halves of squares are added in 32 bits, which vectorises; no half overflows within 4096 samples.
    for part in samples.chunks(4096) {
        let (mut part_sum, mut low, mut high) = (0_i32, 0_u32, 0_u32);
        for &sample in part {
            let square = (i32::from(sample) * i32::from(sample)) as u32;
            part_sum += i32::from(sample);
            low += square & 0xffff;
            high += square >> 16;
        }
        sum += i64::from(part_sum);
        squares += (u64::from(high) << 16) + u64::from(low);
    }
    let count = samples.len() as f64;
    let mean = sum as f64 / count;
    let power = squares as f64 / count - mean * mean;
    (10.0 * (power / LOUDEST_SINE).max(1e-10).log10()) as f32
}

/// The power of a sine that just does not clip.
const LOUDEST_SINE: f64 = 32_767.0 * 32_767.0 / 2.0;
const SILENT: f32 = -100.0;

/// Measures the silence at the end of a recording while it is made.
///
/// Silence is what is not clearly louder than the background, and the background is learnt: it is the lowest level of the last
/// 2.5 s, so that it rises in a car but not while somebody speaks without a long breath. A click is no speech. Steady music
/// or a tone is no background: losing a message is worse than keeping its end.
#[derive(Clone, Debug)]
pub struct TrailingSilence {
    /// Lowest smoothed levels of the last half seconds, the newest last.
    minima: [f32; HALF_SECONDS],
    /// Lowest smoothed level of the current half second, and how many frames of it there were.
    minimum: f32,
    frames: u32,
    smoothed: f32,
    /// Whether each of the last frames was loud, the newest in the lowest bit.
    loud: u8,
    /// Samples since speech was last heard, and how many of them still belong to it.
    silent: u64,
    hang_over: u64,
}

const HALF_SECONDS: usize = 5;
const FRAMES_IN_HALF_SECOND: u32 = 25;
/// The background before anything was learnt, in dB.
const FIRST_BACKGROUND: f32 = -60.0;
/// No background is louder than this.
const LOUDEST_BACKGROUND: f32 = -36.0;
/// Speech is so much louder than the background, and never softer than [`SOFTEST_SPEECH`].
const ABOVE_BACKGROUND: f32 = 8.0;
const SOFTEST_SPEECH: f32 = -48.0;
/// What is below this came from no microphone: filled gaps and muted lines, from which no background can be learnt.
const NO_MICROPHONE: f32 = -80.0;
/// How much of the silence after speech is kept with it, because words end softly: 300 ms.
const HANG_OVER: u64 = 2400;

impl TrailingSilence {
    /// At the start of a recording.
    #[must_use]
    pub fn new() -> Self {
        Self {
            minima: [FIRST_BACKGROUND; HALF_SECONDS],
            minimum: f32::INFINITY,
            frames: 0,
            smoothed: FIRST_BACKGROUND,
            loud: 0,
            silent: 0,
            hang_over: 0,
        }
    }

    /// Hears the next frame.
    pub fn push(&mut self, frame: &[i16]) {
        let level = level(frame);
        let background = self.background();
        self.loud = self.loud << 1 | u8::from(level > SOFTEST_SPEECH.max(background + ABOVE_BACKGROUND));
        // Three loud frames of the last five are speech; fewer are a click.
        if (self.loud & 0b1_1111).count_ones() >= 3 {
            self.silent = 0;
            self.hang_over = HANG_OVER;
        } else {
            self.silent += frame.len() as u64;
        }
        if level > NO_MICROPHONE {
            self.learn(level);
        }
    }

    /// How many samples at the end are silence.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.silent.saturating_sub(self.hang_over)
    }

    /// How long the silence at the end is.
    #[must_use]
    pub fn length(&self) -> Duration {
        duration_of(self.samples())
    }

    fn background(&self) -> f32 {
        self.minima.iter().copied().fold(self.minimum, f32::min).min(LOUDEST_BACKGROUND)
    }

    fn learn(&mut self, level: f32) {
        self.smoothed += 0.3 * (level - self.smoothed);
        self.minimum = self.minimum.min(self.smoothed);
        self.frames += 1;
        if self.frames == FRAMES_IN_HALF_SECOND {
            self.minima.rotate_left(1);
            self.minima[HALF_SECONDS - 1] = self.minimum;
            self.minimum = f32::INFINITY;
            self.frames = 0;
        }
    }
}

impl Default for TrailingSilence {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::audio::{
        FRAME_SAMPLES,
        law::Law,
        testing::{mixed, noise, speech},
        tone::{self, Sine},
    };

    #[test]
    fn a_full_sine_is_the_reference() {
        let sine = |level| tone::tone(&[Sine { frequency: 1000.0, level }], Duration::from_secs(1))[800..1600].to_vec();

        assert!(level(&sine(0.0)).abs() < 0.01);
        assert!((level(&sine(-40.0)) + 40.0).abs() < 0.1);
        assert_eq!(level(&[]), -100.0);
        assert_eq!(level(&[1234; 160]), -100.0);
        assert_eq!(level(&[0; 160]), -100.0);
        assert!((level(&[i16::MIN, i16::MAX]) - 3.01).abs() < 0.01);
        assert!((level(&[i16::MIN, i16::MAX].repeat(50_000)) - 3.01).abs() < 0.01);
    }

    #[test]
    fn a_recording_of_nothing_is_all_silence() {
        assert_eq!(silence_after(&[0; 80_000]), Duration::from_secs(10));
        assert_eq!(silence_after(&[]), Duration::ZERO);
    }

    #[test]
    fn silence_is_counted_from_the_last_word() {
        for quiet in [[0; 80_000].to_vec(), noise(10.0, -55.0)] {
            let silence = silence_after(&[speech(6.0, -22.0), quiet].concat());

            assert!(near(silence, 9.7, 0.15), "{silence:?}");
        }
    }

    #[test]
    fn soft_and_loud_speech_is_no_silence() {
        for level in [-10.0, -22.0, -34.0] {
            let speech = speech(30.0, level);

            assert!(longest_silence(&speech) < Duration::from_millis(1500), "{level} dB: {:?}", longest_silence(&speech));
        }
    }

    #[test]
    fn the_background_is_learnt() {
        for background in [-60.0, -50.0, -45.0, -40.0] {
            let call = mixed(&noise(22.0, background), &speech(12.0, -20.0));

            let silence = silence_after(&call);

            assert!(near(silence, 9.7, 0.3), "{background} dB: {silence:?}");
        }
    }

    #[test]
    fn a_background_that_grows_is_learnt_within_three_seconds() {
        let silence = silence_after(&[noise(5.0, -60.0), noise(10.0, -40.0)].concat());

        assert!(silence > Duration::from_millis(6500), "{silence:?}");
    }

    #[test]
    fn filled_gaps_do_not_make_the_background_speech() {
        let mut call = [speech(4.0, -20.0), noise(12.0, -42.0)].concat();
        for gap in [6.0, 7.5, 9.0, 12.0] {
            let start = (gap * 8000.0) as usize;
            call[start..start + 4000].fill(0);
        }

        let silence = silence_after(&call);

        assert!(silence > Duration::from_secs(8), "{silence:?}");
    }

    #[test]
    fn clicks_are_no_speech() {
        let mut call = noise(10.0, -60.0);
        for click in (8000..80_000).step_by(8000) {
            call[click..click + 100].fill(12_000);
            call[click + 50..click + 100].fill(-12_000);
        }

        assert_eq!(silence_after(&call), Duration::from_secs(10));
    }

    #[test]
    fn steady_music_is_no_background() {
        let chord = [440.0, 554.0, 659.0].map(|frequency| Sine { frequency, level: -28.0 });

        assert_eq!(silence_after(&tone::tone(&chord, Duration::from_secs(30))), Duration::ZERO);
    }

    #[test]
    fn both_codecs_give_the_same_silence() {
        let call = [speech(6.0, -22.0), noise(10.0, -62.0)].concat();

        for law in Law::ALL {
            let silence = silence_after(&law.decoded(&law.encoded(&call)));
            assert!(near(silence, 9.7, 0.15), "{law:?}: {silence:?}");
        }
    }

    fn silence_after(samples: &[i16]) -> Duration {
        let mut detector = TrailingSilence::new();
        samples.chunks(FRAME_SAMPLES).for_each(|frame| detector.push(frame));
        detector.length()
    }

    fn longest_silence(samples: &[i16]) -> Duration {
        let mut detector = TrailingSilence::new();
        let lengths = samples.chunks(FRAME_SAMPLES).map(|frame| {
            detector.push(frame);
            detector.length()
        });
        lengths.max().unwrap_or_default()
    }

    fn near(length: Duration, seconds: f64, tolerance: f64) -> bool {
        (length.as_secs_f64() - seconds).abs() <= tolerance
    }
}
