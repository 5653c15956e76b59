//! Twice and half the sample rate while audio comes in: for streams, where [`resample`](super::resample) is for whole recordings.
//!
//! A half-band filter of 63 coefficients, every second of which is zero: flat to 3.4 kHz, 50 dB down above 4.6 kHz. What comes
//! out is 2 ms late.

use std::{f64::consts::PI, sync::LazyLock};

/// Coefficients on each side of the middle that are not zero.
const SIDE: usize = 16;

/// The coefficients at odd distances from the middle, nearest first; the middle is a half.
static WEIGHTS: LazyLock<[f32; SIDE]> = LazyLock::new(|| {
    let window = |distance: f64| {
        let angle = PI * distance / (2 * SIDE) as f64;
        0.42 + 0.5 * angle.cos() + 0.08 * (2.0 * angle).cos()
    };
    let mut weights = [0.0; SIDE];
    for (weight, distance) in weights.iter_mut().zip((1..).step_by(2).map(f64::from)) {
        *weight = ((PI * distance / 2.0).sin() / (PI * distance) * window(distance)) as f32;
    }
    weights
});

/// From 8000 to 16,000 samples a second, or from anything to twice as much.
#[derive(Clone, Debug, Default)]
pub struct Doubler {
    /// The oldest first.
    memory: [f32; 2 * SIDE],
}

impl Doubler {
    /// Takes samples and appends twice as many.
    pub fn push(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        for &sample in samples {
            self.memory.copy_within(1.., 0);
            self.memory[2 * SIDE - 1] = f32::from(sample);
            // Every second sample is one that was there; between them is the sum of the neighbours.
            out.push(self.memory[SIDE - 1] as i16);
            out.push((2.0 * weighted(&self.memory)).round() as i16);
        }
    }
}

/// From 16,000 to 8000 samples a second, or from anything to half as much.
#[derive(Clone, Debug, Default)]
pub struct Halver {
    /// Every second sample, the oldest first, and those between.
    outer: [f32; 2 * SIDE],
    middle: [f32; SIDE + 1],
}

impl Halver {
    /// Takes pairs of samples and appends one for each; a last odd sample is left out.
    pub fn push(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        for &[first, second] in samples.as_chunks::<2>().0 {
            self.middle.copy_within(1.., 0);
            self.middle[SIDE] = f32::from(first);
            self.outer.copy_within(1.., 0);
            self.outer[2 * SIDE - 1] = f32::from(second);
            out.push((0.5 * self.middle[1] + weighted(&self.outer)).round() as i16);
        }
    }
}

/// The sum of values that are at odd distances from a middle between them.
fn weighted(values: &[f32; 2 * SIDE]) -> f32 {
    let (before, after) = values.split_at(SIDE);
    WEIGHTS.iter().zip(before.iter().rev().zip(after)).map(|(weight, (before, after))| weight * (before + after)).sum()
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::audio::{level::level, testing::likeness};

    #[test]
    fn telephone_frequencies_pass_both_ways() {
        for frequency in [300.0, 1000.0, 3000.0, 3400.0] {
            let (narrow, wide) = (sine(frequency, 8000.0), sine(frequency, 16_000.0));

            let (mut doubled, mut halved) = (Vec::new(), Vec::new());
            let (mut doubler, mut halver) = (Doubler::default(), Halver::default());
            narrow.chunks(160).for_each(|part| doubler.push(part, &mut doubled));
            wide.chunks(320).for_each(|part| halver.push(part, &mut halved));

            assert_eq!((doubled.len(), halved.len()), (wide.len(), narrow.len()));
            for (got, want) in [(&doubled, &wide), (&halved, &narrow)] {
                let (_, alike) = likeness(&want[400..1800], &got[400..1900], 64);
                assert!(alike > 0.999, "{frequency} Hz: {alike}");
                assert!((level(&got[400..2000]) - level(&want[400..2000])).abs() < 0.3, "{frequency} Hz");
            }
        }
    }

    #[test]
    fn what_a_telephone_cannot_carry_is_removed() {
        for frequency in [4700.0, 6000.0, 7500.0] {
            let mut halved = Vec::new();
            Halver::default().push(&sine(frequency, 16_000.0), &mut halved);

            assert!(level(&halved[400..]) < -45.0, "{frequency} Hz: {} dB", level(&halved[400..]));
        }
    }

    fn sine(frequency: f64, rate: f64) -> Vec<i16> {
        (0..(rate / 4.0) as usize).map(|n| (12_000.0 * (TAU * frequency * n as f64 / rate).sin()).round() as i16).collect()
    }
}
