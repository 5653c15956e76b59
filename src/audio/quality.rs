//! Whether a recording is worth keeping as a greeting: something is heard in it, and it is not distorted.

use super::level::level;

/// What is wrong with a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing but silence, a hum or the noise of the line.
    #[error("nothing can be heard in it")]
    Silent,
    /// Far too loud: the tops of its waves are cut off.
    #[error("it is distorted: it was recorded much too loud")]
    Clipped,
}

/// What is wrong with a recording at `rate` samples a second, if anything is.
///
/// Quiet speech is not silent, and speech that reaches full scale is not clipped.
#[must_use]
pub fn fault(samples: &[i16], rate: u32) -> Option<Fault> {
    let frames = frames(samples, rate);
    if heard(&frames) < SHORTEST {
        Some(Fault::Silent)
    } else if share_at_the_peak(&frames) > MOST_AT_THE_PEAK {
        Some(Fault::Clipped)
    } else {
        None
    }
}

/// Whether the tops of the waves of a recording at `rate` samples a second are cut off: of its own samples, for another rate smooths
/// them.
#[must_use]
pub fn is_clipped(samples: &[i16], rate: u32) -> bool {
    share_at_the_peak(&frames(samples, rate)) > MOST_AT_THE_PEAK
}

/// Frames of 20 ms with their levels.
fn frames(samples: &[i16], rate: u32) -> Vec<(&[i16], f32)> {
    let frame = usize::try_from(rate / 50).unwrap_or(usize::MAX).max(1);
    samples.chunks_exact(frame).map(|samples| (samples, level(samples))).collect()
}

/// The fewest frames of 20 ms in which something is heard: even a short name has 160 ms.
const SHORTEST: usize = 8;
/// Softer frames than this are not understood over a telephone, in dB.
const SOFTEST: f32 = -55.0;
/// What is heard is so much louder than the background.
const ABOVE_BACKGROUND: f32 = 8.0;
/// No background is louder than this: loud music has no pauses, and is no silence.
const LOUDEST_BACKGROUND: f32 = -36.0;
/// From its softest tenth to its loudest, noise and hum change less than this, in dB; what has pauses changes more than the other.
const STEADY: f32 = 4.0;
const WITH_PAUSES: f32 = 12.0;

/// The level below which a tenth of the frames are is taken for the background: even fast speakers breathe. Where their breath was
/// cut off or made as loud as the rest, there is no background, but a voice that is never as steady as noise.
fn heard(frames: &[(&[i16], f32)]) -> usize {
    let mut levels: Vec<f32> = frames.iter().map(|(_, level)| *level).collect();
    levels.sort_by(f32::total_cmp);
    let tenth = |at: usize| levels.get(levels.len() * at / 10).copied().unwrap_or_default();
    let changes = tenth(9) - tenth(1);
    let threshold = if (STEADY..WITH_PAUSES).contains(&changes) {
        SOFTEST
    } else {
        SOFTEST.max(tenth(1).min(LOUDEST_BACKGROUND) + ABOVE_BACKGROUND)
    };
    let runs = frames.chunk_by(|(_, one), (_, other)| (*one > threshold) == (*other > threshold));
    // Less than three frames in a row are a click.
    runs.filter(|run| run.len() >= 3 && run[0].1 > threshold).map(<[_]>::len).sum()
}

/// Below this peak, nothing was cut off: 1 dB below full scale.
const FULL_SCALE: f32 = 29_200.0;
/// What is so near to the peak is at it: G.711 has steps of this size there.
const AT_THE_PEAK: f32 = 0.96;
/// How many samples of loud frames are at the peak. Measured on speech: at most 0.1 % as it is, 10 to 25 % when it is amplified by
/// 12 dB too much.
const MOST_AT_THE_PEAK: f32 = 0.1;
/// How much softer than the loudest frame a loud frame can be, in dB.
const LOUD: f32 = 20.0;

fn share_at_the_peak(frames: &[(&[i16], f32)]) -> f32 {
    let magnitude = |sample: &i16| f32::from(*sample).abs();
    let peak = frames.iter().flat_map(|(samples, _)| samples.iter()).map(magnitude).fold(0.0, f32::max);
    if peak < FULL_SCALE {
        return 0.0;
    }
    let loudest = frames.iter().map(|(_, level)| *level).fold(f32::MIN, f32::max);
    let loud = || frames.iter().filter(|(_, level)| *level > loudest - LOUD).flat_map(|(samples, _)| samples.iter());
    let at_the_peak = loud().filter(|sample| magnitude(sample) >= AT_THE_PEAK * peak).count();
    at_the_peak as f32 / loud().count().max(1) as f32
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;
    use crate::audio::{
        law::Law,
        resample::resample,
        testing::{mixed, noise},
        tone::{self, Sine},
        wav,
    };

    /// What people say in a greeting, and in a name: one word.
    const SPOKEN: [&str; 7] = ["welcome", "record-greeting", "new-passcode", "no-messages-here", "goodbye", "reached", "at"];

    #[test]
    fn speech_is_good_at_every_level_that_can_be_understood() {
        for name in SPOKEN {
            for level in [-45.0, -40.0, -30.0, -20.0, -12.0] {
                for law in Law::ALL {
                    let line = law.decoded(&law.encoded(&speech(name, 8000, level)));
                    assert_eq!(fault(&line, 8000), None, "{name} at {level} dB");
                }
                assert_eq!(fault(&speech(name, 16_000, level), 16_000), None, "{name} at {level} dB");
            }
        }
    }

    #[test]
    fn quiet_speech_is_good_over_the_noise_of_a_line() {
        for name in SPOKEN {
            let line = mixed(&noise(30.0, -60.0), &speech(name, 8000, -42.0));

            assert_eq!(fault(&line[..speech(name, 8000, 0.0).len()], 8000), None, "{name}");
        }
    }

    #[test]
    fn speech_without_a_pause_is_good() {
        for name in SPOKEN {
            for level in [-40.0, -33.0, -20.0] {
                let trimmed = without_pauses(&speech(name, 8000, level));
                assert_eq!(fault(&trimmed, 8000), None, "{name} at {level} dB");
            }
            let trimmed = without_pauses(&speech(name, 8000, -38.0));
            let line = mixed(&noise(30.0, -46.0), &trimmed);
            assert_eq!(fault(&line[..trimmed.len()], 8000), None, "{name} over noise");
        }
    }

    #[test]
    fn speech_at_full_scale_is_good() {
        for name in SPOKEN {
            for rate in rates(name) {
                assert_eq!(fault(&overdriven(name, rate, 0.0), rate), None, "{name} at {rate}");
            }
        }
    }

    #[test]
    fn speech_that_is_cut_off_at_the_top_is_clipped() {
        for name in SPOKEN {
            for rate in rates(name) {
                for decibels in [15.0, 20.0, 30.0] {
                    let clipped = overdriven(name, rate, decibels);

                    assert_eq!(fault(&clipped, rate), Some(Fault::Clipped), "{name} at {rate}, {decibels} dB");
                }
            }
            for law in Law::ALL {
                let line = law.decoded(&law.encoded(&overdriven(name, 8000, 15.0)));
                assert_eq!(fault(&line, 8000), Some(Fault::Clipped), "{name}");
            }
        }
    }

    #[test]
    fn silence_noise_hum_and_clicks_are_silent() {
        assert_eq!(fault(&[], 8000), Some(Fault::Silent));
        assert_eq!(fault(&[0; 40_000], 8000), Some(Fault::Silent));
        for level in [-70.0, -50.0, -40.0, -32.0] {
            for seconds in [1.0, 5.0, 15.0] {
                assert_eq!(fault(&noise(seconds, level), 8000), Some(Fault::Silent), "noise of {level} dB");
            }
            let hum = tone::tone(&[Sine { frequency: 100.0, level: level.into() }], Duration::from_secs(3));
            assert_eq!(fault(&hum, 8000), Some(Fault::Silent), "hum of {level} dB");
        }
        let mut clicks = noise(5.0, -60.0);
        for click in (2000..40_000).step_by(8000) {
            clicks[click..click + 100].fill(12_000);
        }
        assert_eq!(fault(&clicks, 8000), Some(Fault::Silent));
    }

    #[test]
    fn music_is_no_silence() {
        let chord = [440.0, 554.0, 659.0].map(|frequency| Sine { frequency, level: -24.0 });

        assert_eq!(fault(&tone::tone(&chord, Duration::from_secs(5)), 8000), None);
    }

    /// Resampling long ones to 48 kHz takes seconds.
    fn rates(name: &str) -> Vec<u32> {
        if name.len() < 8 { vec![8000, 16_000, 48_000] } else { vec![8000, 16_000] }
    }

    /// A prompt, at a level in dB.
    fn speech(name: &str, rate: u32, decibels: f32) -> Vec<i16> {
        let samples = spoken(name, rate);
        let frames: Vec<f32> = samples.chunks((rate / 50) as usize).map(level).filter(|level| *level > -50.0).collect();
        let active = frames.iter().sum::<f32>() / frames.len() as f32;
        amplified(&samples, decibels - active)
    }

    /// All that is within 14 dB of the loudest.
    fn without_pauses(samples: &[i16]) -> Vec<i16> {
        let loudest = samples.chunks(160).map(level).fold(f32::MIN, f32::max);
        samples.chunks(160).filter(|frame| level(frame) > loudest - 14.0).flatten().copied().collect()
    }

    /// A prompt whose peak is so much louder than full scale.
    fn overdriven(name: &str, rate: u32, decibels: f32) -> Vec<i16> {
        let samples = spoken(name, rate);
        let peak = samples.iter().map(|sample| f32::from(*sample).abs()).fold(0.0, f32::max);
        amplified(&samples, decibels + 20.0 * (32_767.0 / peak).log10())
    }

    fn amplified(samples: &[i16], decibels: f32) -> Vec<i16> {
        let gain = 10.0_f32.powf(decibels / 20.0);
        samples.iter().map(|sample| (f32::from(*sample) * gain) as i16).collect()
    }

    fn spoken(name: &str, rate: u32) -> Vec<i16> {
        let file = format!("{}/prompts/en/{name}.wav", env!("CARGO_MANIFEST_DIR"));
        let wide = wav::read_at(16_000, &fs::read(file).unwrap(), Duration::from_secs(60)).unwrap();
        resample(&wide, 16_000, rate)
    }
}
