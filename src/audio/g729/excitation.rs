//! What excites the filter: the past once more, pulses, and how strong they are.

use super::{
    LONGEST_DELAY, SHORTEST_DELAY, SUBFRAME,
    tables::{GAINS, MORE_GAINS, THIRDS},
};

/// How much of the past must be known: the longest delay, and what the filter that reads between samples needs.
pub(super) const PAST: usize = LONGEST_DELAY + REACH + 1;
/// Samples to each side that are read for one between them.
const REACH: usize = 10;

/// Least and most of what is repeated within a subframe.
const LEAST_SHARPNESS: f32 = 0.2;
const MOST_SHARPNESS: f32 = 0.7945;

/// A delay in samples and thirds, from -1 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delay {
    pub whole: usize,
    pub thirds: i8,
}

impl Delay {
    /// Of the first subframe (§4.1.3).
    pub(super) fn first(index: usize) -> Self {
        if index < 197 {
            let whole = index.div_ceil(3) + 19;
            Self { whole, thirds: (index as i32 - 3 * whole as i32 + 58) as i8 }
        } else {
            Self { whole: (index - 112).min(LONGEST_DELAY), thirds: 0 }
        }
    }

    /// Of the second one, near the first.
    pub(super) fn second(index: usize, first: usize) -> Self {
        let steps = index.div_ceil(3);
        let whole = Self::least(first) + steps - 1;
        Self { whole, thirds: (index as i32 - 2 - 3 * (steps as i32 - 1)) as i8 }
    }

    /// The shortest delay of a second subframe.
    pub(super) fn least(first: usize) -> usize {
        first.saturating_sub(5).clamp(SHORTEST_DELAY, LONGEST_DELAY - 9)
    }

    pub(super) fn first_index(self) -> usize {
        if self.whole <= 85 { (3 * self.whole as i32 - 58 + i32::from(self.thirds)) as usize } else { self.whole + 112 }
    }

    pub(super) fn second_index(self, first: usize) -> usize {
        (3 * (self.whole - Self::least(first)) as i32 + 2 + i32::from(self.thirds)) as usize
    }
}

/// Repeats the excitation of `delay` ago at `at`, where it is shorter than a subframe more than once (§4.1.3).
pub(super) fn repeat(excitation: &mut [f32], at: usize, delay: Delay) {
    // To the right of the sample from which thirds are counted.
    let (back, third) = if delay.thirds > 0 { (1, 3 - delay.thirds) } else { (0, -delay.thirds) };
    let third = third as usize;
    for now in at..at + SUBFRAME {
        let middle = now - delay.whole - back;
        let mut sample = 0.0;
        for reach in 0..REACH {
            sample += excitation[middle - reach] * f32::from(THIRDS[third + 3 * reach]);
            sample += excitation[middle + 1 + reach] * f32::from(THIRDS[3 - third + 3 * reach]);
        }
        excitation[now] = sample / 32_768.0;
    }
}

/// The pulses that a subframe names (§4.1.4), and what `sharpness` of them is repeated after a delay shorter than it (§3.8).
pub(super) fn pulses(positions: usize, signs: usize, delay: usize, sharpness: f32) -> [f32; SUBFRAME] {
    let mut code = [0.0; SUBFRAME];
    let last = 5 * (positions >> 10 & 7) + 3 + (positions >> 9 & 1);
    let places = [5 * (positions & 7), 5 * (positions >> 3 & 7) + 1, 5 * (positions >> 6 & 7) + 2, last];
    for (pulse, place) in places.into_iter().enumerate() {
        code[place] = if signs >> pulse & 1 == 1 { 1.0 } else { -1.0 };
    }
    sharpen(&mut code, delay, sharpness);
    code
}

/// Repeats what is there after `delay` (§3.8).
pub(super) fn sharpen(code: &mut [f32; SUBFRAME], delay: usize, sharpness: f32) {
    for now in delay..SUBFRAME {
        code[now] += sharpness * code[now - delay];
    }
}

/// How much is repeated within the next subframe, where the gain of this one's repetition was `gain`.
pub(super) fn sharpness(gain: f32) -> f32 {
    gain.clamp(LEAST_SHARPNESS, MOST_SHARPNESS)
}

/// The gain of what is repeated, and the correction of what is expected of the pulses'.
pub(super) fn gains(indices: [usize; 2]) -> [f32; 2] {
    let ([repeated, pulses], [more_repeated, more_pulses]) = (GAINS[indices[0]], MORE_GAINS[indices[1]]);
    [f32::from(repeated + more_repeated) / 16_384.0, (f32::from(pulses) + f32::from(more_pulses)) / 8192.0]
}

/// Expects the gain of pulses by the last four corrections, in dB, the newest first (§3.9.1).
#[derive(Clone, Debug)]
pub(super) struct GainPredictor {
    past: [f32; 4],
}

/// What counts as expected where nothing was, and the least.
const QUIET: f32 = -14.0;
/// The mean energy of excitations in dB.
const MEAN_ENERGY: f32 = 30.0;

impl GainPredictor {
    pub(super) fn new() -> Self {
        Self { past: [QUIET; 4] }
    }

    /// The expected gain of these pulses.
    pub(super) fn expected(&self, code: &[f32; SUBFRAME]) -> f32 {
        let energy: f32 = code.iter().map(|pulse| pulse * pulse).sum::<f32>() / SUBFRAME as f32;
        let expected: f32 = [0.68, 0.58, 0.34, 0.19].iter().zip(&self.past).map(|(share, past)| share * past).sum();
        10_f32.powf((expected + MEAN_ENERGY - 10.0 * energy.log10()) / 20.0)
    }

    /// Takes note of a correction.
    pub(super) fn learn(&mut self, correction: f32) {
        self.remember(20.0 * correction.log10());
    }

    /// Takes note of a subframe that was lost (§4.4.3).
    pub(super) fn forget(&mut self) {
        let mean = self.past.iter().sum::<f32>() / 4.0;
        self.remember((mean - 4.0).max(QUIET));
    }

    fn remember(&mut self, decibels: f32) {
        self.past.rotate_right(1);
        self.past[0] = decibels;
    }
}
