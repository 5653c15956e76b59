//! Signals for the tests of this folder: the same ones every time.

use std::f64::consts::TAU;

use super::{SAMPLE_RATE, level::level};

/// White noise of a level in dB.
pub fn noise(seconds: f64, decibels: f32) -> Vec<i16> {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let samples = (0..count(seconds)).map(|_| random.next() * 1000.0).collect();
    at_level(samples, decibels)
}

/// A voice that says syllables without meaning: harmonics of a wandering pitch under three wandering formants, in words with
/// breaths between them.
pub fn speech(seconds: f64, decibels: f32) -> Vec<i16> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut samples = Vec::with_capacity(count(seconds));
    while samples.len() < count(seconds) {
        for _ in 0..3 + random.below(5) {
            syllable(&mut random, &mut samples);
        }
        samples.extend((0..800 + random.below(3200)).map(|_| 0.0));
    }
    samples.truncate(count(seconds));
    at_level(samples, decibels)
}

/// The same voice at 16,000 Hz, with a bright noise in its breaths, so that there is something above 4 kHz.
pub fn wide_speech(seconds: f64, decibels: f32) -> Vec<i16> {
    let narrow = super::resample::resample(&speech(seconds, decibels), SAMPLE_RATE, 2 * SAMPLE_RATE);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut before = 0.0;
    let bright = (0..narrow.len()).map(|_| {
        let noise = random.next() * 300.0;
        let high = noise - before;
        before = noise;
        high as i16
    });
    let envelope = narrow.chunks(800).flat_map(|part| {
        let loud = level(part) > decibels - 6.0;
        std::iter::repeat_n(i16::from(loud), part.len())
    });
    narrow.iter().zip(bright).zip(envelope).map(|((&voice, bright), on)| voice.saturating_add(bright * on)).collect()
}

/// [`speech`] or [`wide_speech`].
pub fn resampled_speech(seconds: f64, decibels: f32, factor: usize) -> Vec<i16> {
    if factor == 1 { speech(seconds, decibels) } else { wide_speech(seconds, decibels) }
}

/// The delay of `heard` behind `said`, up to `most` samples, at which they are most alike in their first second, and how alike
/// they are: 1 is the same, 0 unrelated.
pub fn likeness(said: &[i16], heard: &[i16], most: usize) -> (usize, f64) {
    let at = |delay: usize| {
        let (mut product, mut first, mut second) = (0.0, 1.0, 1.0);
        for (&said, &heard) in said.iter().zip(&heard[delay.min(heard.len())..]).take(16_000) {
            let (said, heard) = (f64::from(said), f64::from(heard));
            product += said * heard;
            first += said * said;
            second += heard * heard;
        }
        (delay, product / f64::sqrt(first * second))
    };
    (0..=most).map(at).max_by(|a, b| a.1.total_cmp(&b.1)).expect("no delay is one")
}

/// The mean over the frames that differ and are no silence of how far the error is below the signal, in dB between -10 and 35.
pub fn segmental_snr(signal: &[i16], other: &[i16], factor: usize) -> f64 {
    let frame = 160 * factor;
    let (mut sum, mut count) = (0.0, 0.0);
    for (signal, other) in signal.chunks_exact(frame).zip(other.chunks_exact(frame)) {
        if level(signal) < -50.0 || signal == other {
            continue;
        }
        let energy: f64 = signal.iter().map(|&sample| f64::from(sample).powi(2)).sum();
        let error: f64 = signal.iter().zip(other).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
        sum += (10.0 * (energy / error.max(1e-9)).log10()).clamp(-10.0, 35.0);
        count += 1.0;
    }
    sum / count
}

/// The first signal with the second one added to its start.
pub fn mixed(first: &[i16], second: &[i16]) -> Vec<i16> {
    let padded = second.iter().copied().chain(std::iter::repeat(0));
    first.iter().zip(padded).map(|(&first, second)| first.saturating_add(second)).collect()
}

fn syllable(random: &mut Random, samples: &mut Vec<f64>) {
    let length = 800 + random.below(1600);
    let pitch = 90.0 + 130.0 * random.next().abs();
    let glide = 1.0 + 0.15 * random.next();
    let formants = [300.0 + 500.0 * random.next().abs(), 900.0 + 1300.0 * random.next().abs(), 2500.0 + 400.0 * random.next()];
    let mut phase = 0.0;
    for n in 0..length {
        let progress = f64::from(n) / f64::from(length);
        let pitch = pitch * (1.0 + (glide - 1.0) * progress);
        phase += pitch / f64::from(SAMPLE_RATE);
        let harmonics = (1..=(3600.0 / pitch) as u32).map(f64::from);
        let voice: f64 = harmonics
            .map(|harmonic| {
                let frequency = pitch * harmonic;
                let gain: f64 = formants.iter().map(|formant| 1.0 / (1.0 + ((frequency - formant) / 90.0).powi(2))).sum();
                gain * (TAU * harmonic * phase).sin()
            })
            .sum();
        samples.push((TAU / 2.0 * progress).sin().sqrt() * voice * 2000.0 + random.next() * 20.0);
    }
}

fn at_level(samples: Vec<f64>, decibels: f32) -> Vec<i16> {
    let rounded: Vec<i16> = samples.iter().map(|sample| sample.round() as i16).collect();
    let gain = 10_f64.powf(f64::from(decibels - level(&rounded)) / 20.0);
    samples.into_iter().map(|sample| (sample * gain).round() as i16).collect()
}

fn count(seconds: f64) -> usize {
    (seconds * f64::from(SAMPLE_RATE)) as usize
}

/// Xorshift: random enough for noise.
struct Random(u64);

impl Random {
    /// From -1 to 1.
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / f64::from(1_u32 << 31) / f64::from(1 << 21) - 1.0
    }

    fn below(&mut self, limit: u32) -> u32 {
        (self.next().abs() * f64::from(limit)) as u32
    }
}
