//! From one sample rate to another.

use std::f64::consts::PI;

/// Resamples mono audio from one rate to another, in samples a second.
///
/// Every sample is a sum of its neighbours weighted with a windowed sinc, that lets nothing above half of the lower rate pass.
/// The result is as long as the original, to half a sample; equal rates change nothing.
///
/// # Panics
///
/// When a rate is 0.
#[must_use]
pub fn resample(samples: &[i16], from: u32, to: u32) -> Vec<i16> {
    assert!(from > 0 && to > 0, "audio has a sample rate");
    if from == to {
        return samples.to_vec();
    }
    // In whole numbers, so that an hour does not drift. After `phases` samples the weights are the same again.
    let common = greatest_common_divisor(from, to) as usize;
    let (step, phases) = (from as usize / common, to as usize / common);
    // The filter is stretched so that it cuts at half of the lower rate.
    let scale = (f64::from(to) / f64::from(from)).min(1.0);
    let reach = (LOBES / scale).ceil() as usize;
    let mut resampled = vec![0; (samples.len() * phases).div_ceil(step)];
    let mut weights = vec![0.0; 2 * reach];
    for phase in 0..phases.min(resampled.len()) {
        let (before, fraction) = (phase * step / phases, (phase * step % phases) as f64 / phases as f64);
        // The first weight is for the sample that is `reach - 1` before the one before.
        for (weight, at) in weights.iter_mut().zip(1..) {
            *weight = (scale * kernel(scale * (f64::from(at) - reach as f64 - fraction))) as f32;
        }
        for (turn, sample) in resampled[phase..].iter_mut().step_by(phases).enumerate() {
            let after = before + turn * step + 1;
            let missing = reach.saturating_sub(after);
            let near = &samples[(after + missing - reach).min(samples.len())..(after + reach).min(samples.len())];
            let sum: f32 = near.iter().zip(&weights[missing..]).map(|(&sample, weight)| f32::from(sample) * weight).sum();
            *sample = sum.round() as i16;
        }
    }
    resampled
}

/// Zero crossings of the sinc on each side.
const LOBES: f64 = 32.0;
/// The edge of what passes, as a share of half the lower rate: the filter needs room to fall.
const EDGE: f64 = 0.94;

/// A sinc under Blackman's window, which is 74 dB down and flat where it ends.
fn kernel(x: f64) -> f64 {
    if x.abs() >= LOBES {
        return 0.0;
    }
    let sinc = if x == 0.0 { EDGE } else { (PI * EDGE * x).sin() / (PI * x) };
    let angle = PI * x / LOBES;
    sinc * (0.42 + 0.5 * angle.cos() + 0.08 * (2.0 * angle).cos())
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::audio::level::level;

    const RATES: [u32; 9] = [11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];

    #[test]
    fn speech_frequencies_keep_their_level_and_place() {
        for from in RATES.into_iter().chain([4000, 6000, 7999, 8001]) {
            for frequency in [100.0, 300.0, 1000.0, 1800.0, 3000.0, 3400.0] {
                if frequency < f64::from(from) / 2.0 * 0.85 {
                    let resampled = resample(&sine(frequency, from, 1.0), from, 8000);
                    let expected = sine(frequency, 8000, 1.0);

                    assert_eq!(resampled.len(), 8000, "{from}");
                    let error: Vec<i16> = resampled.iter().zip(&expected).map(|(got, want)| got - want).collect();
                    assert!(level(&error[400..7600]) < -60.0, "{frequency} Hz from {from}: {} dB", level(&error[400..7600]));
                }
            }
        }
    }

    #[test]
    fn what_eight_thousand_cannot_hold_is_removed() {
        for from in RATES {
            for frequency in [4400.0, 5000.0, 7000.0, 15_000.0] {
                if frequency < f64::from(from) / 2.0 {
                    let resampled = resample(&sine(frequency, from, 1.0), from, 8000);

                    assert!(level(&resampled[400..7600]) < -60.0, "{frequency} Hz from {from}: {}", level(&resampled[400..7600]));
                }
            }
        }
    }

    #[test]
    fn a_constant_stays_constant() {
        for from in RATES {
            let resampled = resample(&vec![10_000; from as usize], from, 8000);

            assert!(resampled[400..7600].iter().all(|&sample| (9990..=10_010).contains(&sample)), "{from}");
        }
    }

    #[test]
    fn the_loudest_audio_is_not_wrapped_around() {
        let square: Vec<i16> = (0..4800).map(|n| if n / 24 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();

        let resampled = resample(&square, 48_000, 8000);

        assert!(resampled[8..].chunks(8).all(|period| period.iter().any(|&s| s > 30_000) && period.iter().any(|&s| s < -30_000)));
    }

    #[test]
    fn short_audio_and_odd_rates_are_no_trouble() {
        assert!(resample(&[], 44_100, 8000).is_empty());
        assert!(resample(&[], 8000, 44_100).is_empty());
        assert_eq!(resample(&[1, -2, 3], 8000, 8000), [1, -2, 3]);
        for rate in [1, 7, 7919, 191_999, 1_000_003] {
            for samples in [&[1000][..], &[1000; 3], &[-1000; 50]] {
                let resampled = resample(samples, rate.max(1000), 8000);
                assert_eq!(resampled.len() as u64, (samples.len() as u64 * 8000).div_ceil(u64::from(rate.max(1000))));
            }
        }
    }

    fn sine(frequency: f64, rate: u32, seconds: f64) -> Vec<i16> {
        let count = (f64::from(rate) * seconds) as usize;
        (0..count).map(|n| (12_000.0 * (TAU * frequency * n as f64 / f64::from(rate)).sin()).round() as i16).collect()
    }
}
