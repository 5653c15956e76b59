//! Whether a short stretch of audio is one or two steady sines, as the tones of telephone networks and keypads are.
//!
//! The share of the energy that lies in the space of these sines is what is measured; that space is the same wherever the stretch
//! begins, so its base is made once for a tone. A voice has many harmonics and never keeps its pitch for long.

use std::f64::consts::TAU;

use super::SAMPLE_RATE;

/// Sines of certain frequencies, to be compared with stretches of so many samples at 8000 Hz.
#[derive(Clone, Debug)]
pub(super) struct Sines {
    /// Vectors of length one, square to each other and to a constant.
    base: Vec<Vec<f32>>,
}

/// Where tones of networks are, in hertz.
const LOWEST: f64 = 250.0;
const HIGHEST: f64 = 2200.0;
/// The step in which a spectrum is looked at.
const STEP: f64 = 25.0;
/// Two tones are so far apart at least: the dial tones of North America and Britain are 90 and 100 Hz.
const APART: f64 = 60.0;

impl Sines {
    /// Sines of these frequencies, in hertz, for stretches of `length` samples.
    pub fn new(frequencies: &[f64], length: usize) -> Self {
        let mut base: Vec<Vec<f32>> = vec![vec![1.0; length]];
        normalise(&mut base[0]);
        for frequency in frequencies {
            let angle = |n: usize| TAU * frequency * n as f64 / f64::from(SAMPLE_RATE);
            for wave in [f64::cos as fn(f64) -> f64, f64::sin] {
                let mut vector: Vec<f32> = (0..length).map(|n| wave(angle(n)) as f32).collect();
                // Twice, because the first time leaves some of what is nearly the same.
                for _ in 0..2 {
                    for other in &base {
                        let common = product(&vector, other);
                        vector.iter_mut().zip(other).for_each(|(value, other)| *value -= common * other);
                    }
                }
                normalise(&mut vector);
                base.push(vector);
            }
        }
        base.remove(0);
        Self { base }
    }

    /// The share of a stretch's energy that is in these sines, 0 to 1. A constant offset is no energy.
    pub fn share(&self, stretch: &[i16]) -> f32 {
        let shares = self.energies(stretch);
        shares.iter().sum()
    }

    /// The share of a stretch's energy that each sine adds, in the order in which they were given.
    pub fn energies(&self, stretch: &[i16]) -> Vec<f32> {
        let values = centred(stretch);
        let energy = product(&values, &values);
        if energy <= 0.0 {
            return vec![0.0; self.base.len() / 2];
        }
        let share = |pair: &[Vec<f32>]| pair.iter().map(|vector| product(&values, vector).powi(2)).sum::<f32>() / energy;
        self.base.chunks(2).map(share).collect()
    }

    /// The one or two sines that a stretch consists of, to `purity` of its energy.
    pub fn of(stretch: &[i16], purity: f32) -> Option<Self> {
        let spectrum = spectrum(stretch);
        let share = |frequencies: &[f64]| Self::new(frequencies, stretch.len()).share(stretch);
        let loudest = |but: Option<f64>| {
            let bins = spectrum.iter().enumerate().map(|(bin, power)| (LOWEST + STEP * bin as f64, *power));
            let bins = bins.filter(|(frequency, _)| but.is_none_or(|but| (frequency - but).abs() >= APART));
            bins.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(frequency, _)| frequency)
        };
        let mut frequencies = vec![loudest(None)?];
        let alone = refine(&mut frequencies, share);
        if alone < purity {
            frequencies.push(loudest(frequencies.first().copied())?);
            if refine(&mut frequencies, share) < purity {
                return None;
            }
        }
        let in_band = frequencies.iter().all(|frequency| (LOWEST..=HIGHEST).contains(frequency));
        in_band.then(|| Self::new(&frequencies, stretch.len()))
    }
}

/// Moves the frequencies to where their sines have the most of the energy. Answers the share they have then.
fn refine(frequencies: &mut [f64], share: impl Fn(&[f64]) -> f32) -> f32 {
    let mut best = share(frequencies);
    for step in [12.0, 6.0, 3.0, 1.5, 0.8] {
        for at in 0..frequencies.len() {
            for step in [step, -step] {
                loop {
                    frequencies[at] += step;
                    let moved = share(frequencies);
                    if moved <= best {
                        frequencies[at] -= step;
                        break;
                    }
                    best = moved;
                }
            }
        }
    }
    best
}

/// The power at every [`STEP`] from [`LOWEST`] to [`HIGHEST`], through a Hann window.
fn spectrum(stretch: &[i16]) -> Vec<f64> {
    let length = stretch.len() as f64;
    let values: Vec<f64> = centred(stretch)
        .iter()
        .enumerate()
        .map(|(n, value)| f64::from(*value) * (0.5 - 0.5 * (TAU * (n as f64 + 0.5) / length).cos()))
        .collect();
    let bins = ((HIGHEST - LOWEST) / STEP) as usize + 1;
    (0..bins)
        .map(|bin| {
            // Goertzel's recurrence.
            let turn = 2.0 * (TAU * (LOWEST + STEP * bin as f64) / f64::from(SAMPLE_RATE)).cos();
            let (last, before) = values.iter().fold((0.0, 0.0), |(last, before), value| (value + turn * last - before, last));
            last * last + before * before - turn * last * before
        })
        .collect()
}

fn centred(stretch: &[i16]) -> Vec<f32> {
    let sum: i64 = stretch.iter().map(|&sample| i64::from(sample)).sum();
    let mean = sum as f32 / stretch.len().max(1) as f32;
    stretch.iter().map(|&sample| f32::from(sample) - mean).collect()
}

fn product(one: &[f32], other: &[f32]) -> f32 {
    // Eight sums side by side, so that it vectorises.
    let (one, rest) = one.as_chunks::<8>();
    let (other, other_rest) = other.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for (one, other) in one.iter().zip(other) {
        for ((sum, one), other) in sums.iter_mut().zip(one).zip(other) {
            *sum += one * other;
        }
    }
    sums.iter().sum::<f32>() + rest.iter().zip(other_rest).map(|(one, other)| one * other).sum::<f32>()
}

fn normalise(vector: &mut [f32]) {
    let length = product(vector, vector).sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::audio::{
        law::Law,
        testing::{mixed, noise, speech},
        tone::{self, Sine},
    };

    const LENGTH: usize = 320;

    #[test]
    fn the_tones_of_every_network_are_found_and_stay_found() {
        for frequencies in [
            vec![400.0],
            vec![425.0],
            vec![450.0],
            vec![480.0, 620.0],
            vec![440.0, 480.0 + 40.0],
            vec![350.0, 440.0],
            vec![350.0, 450.0],
            vec![1400.0],
            vec![950.0],
            vec![400.0 * 1.015],
        ] {
            for law in Law::ALL {
                let sines: Vec<_> = frequencies.iter().map(|&frequency| Sine { frequency, level: -19.0 }).collect();
                let tone = law.decoded(&law.encoded(&tone::tone(&sines, Duration::from_secs(1))));
                let tone = mixed(&tone, &noise(1.0, -50.0));

                let found = Sines::of(&tone[1000..1000 + LENGTH], 0.95).unwrap_or_else(|| panic!("{frequencies:?}"));

                let least = tone[400..7600].windows(LENGTH).step_by(77).map(|window| found.share(window)).fold(1.0, f32::min);
                assert!(least > 0.94, "{frequencies:?}: {least}");
            }
        }
    }

    #[test]
    fn a_voice_and_noise_are_no_tone() {
        for signal in [speech(20.0, -20.0), noise(5.0, -20.0)] {
            let found = signal.windows(LENGTH).step_by(160).filter(|window| Sines::of(window, 0.95).is_some()).count();

            assert!(found * 50 < signal.len() / 160, "{found} of {}", signal.len() / 160);
        }
    }

    #[test]
    fn nothing_has_no_share() {
        let sines = Sines::new(&[425.0], LENGTH);

        assert_eq!(sines.share(&[0; LENGTH]), 0.0);
        assert_eq!(sines.share(&[1000; LENGTH]), 0.0);
        assert!(Sines::of(&[0; LENGTH], 0.95).is_none());
    }
}
