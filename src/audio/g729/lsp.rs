//! The filter of the mouth, as line spectral frequencies: how it is sent, and how it becomes coefficients again (§3.2).

use std::f32::consts::PI;

use super::{
    Filter, ORDER,
    frame::FilterIndices,
    tables::{FIRST_STAGE, PREDICTORS, SECOND_STAGE},
};

/// Line spectral frequencies in radians, rising, or their cosines.
pub(super) type Lsp = [f32; ORDER];

/// The cosines before the first frame.
pub(super) const FIRST_COSINES: Lsp = [0.9155, 0.7935, 0.6409, 0.4578, 0.2441, 0.0, -0.2441, -0.4578, -0.6409, -0.7935];

/// How near two frequencies may be: while they are put together, and in the end.
const GAPS: [f32; 2] = [0.0012, 0.0006];
const LEAST_GAP: f32 = 0.0392;
/// The lowest and the highest frequency.
const LOWEST: f32 = 0.005;
const HIGHEST: f32 = 3.135;

/// What is expected of the next frame by the last four, and what differs from that: the newest first.
#[derive(Clone, Debug)]
pub(super) struct Predictor {
    past: [Lsp; 4],
}

impl Predictor {
    pub(super) fn new() -> Self {
        Self { past: [evenly_spread(); 4] }
    }

    /// The frequencies that a frame names.
    pub(super) fn decode(&mut self, indices: FilterIndices) -> Lsp {
        let mut new = first_stage(indices.first);
        for (index, value) in new.iter_mut().enumerate() {
            *value += second_stage(if index < 5 { indices.low } else { indices.high }, index);
        }
        GAPS.iter().for_each(|&gap| keep_apart(&mut new, gap));
        self.accept(indices.predictor, new)
    }

    /// What the predictor would have to be told to expect the same frequencies again, when a frame was lost (§4.4.1).
    pub(super) fn repeat(&mut self, predictor: usize, frequencies: &Lsp) {
        let new = self.difference(predictor, frequencies);
        self.remember(new);
    }

    /// The nearest frequencies that can be sent, and how they are (§3.2.4).
    pub(super) fn encode(&mut self, wanted: &Lsp) -> (FilterIndices, Lsp) {
        let weights = weights(wanted);
        let mut best = (f32::INFINITY, FilterIndices::default(), [0.0; ORDER]);
        for predictor in 0..2 {
            let difference = self.difference(predictor, wanted);
            let distance = |index: &usize| {
                let stage = FIRST_STAGE[*index].iter();
                stage.zip(&difference).map(|(&step, &wanted)| (wanted - f32::from(step) / 8192.0).powi(2)).sum::<f32>()
            };
            let first = nearest(FIRST_STAGE.len(), |index| distance(&index));
            let mut new = first_stage(first);
            let mut share = [0.0; ORDER];
            for (index, share) in share.iter_mut().enumerate() {
                *share = weights[index] * own_share(predictor, index).powi(2);
            }
            let mut choose = |part: std::ops::Range<usize>| {
                let with = |choice: usize| {
                    let mut candidate = new;
                    for index in part.clone() {
                        candidate[index] += second_stage(choice, index);
                    }
                    keep_apart(&mut candidate[part.clone()], GAPS[0]);
                    candidate
                };
                let error = |choice| {
                    let candidate = with(choice);
                    part.clone().map(|index| share[index] * (difference[index] - candidate[index]).powi(2)).sum()
                };
                let choice = nearest(SECOND_STAGE.len(), error);
                for index in part.clone() {
                    new[index] += second_stage(choice, index);
                }
                choice
            };
            let (low, high) = (choose(0..5), choose(5..ORDER));
            GAPS.iter().for_each(|&gap| keep_apart(&mut new, gap));
            let error = (0..ORDER).map(|index| share[index] * (difference[index] - new[index]).powi(2)).sum();
            if error < best.0 {
                best = (error, FilterIndices { predictor, first, low, high }, new);
            }
        }
        let (_, indices, new) = best;
        (indices, self.accept(indices.predictor, new))
    }

    /// What is not expected in these frequencies.
    fn difference(&self, predictor: usize, frequencies: &Lsp) -> Lsp {
        let expected = self.expected(predictor);
        std::array::from_fn(|index| (frequencies[index] - expected[index]) / own_share(predictor, index))
    }

    fn expected(&self, predictor: usize) -> Lsp {
        std::array::from_fn(|index| {
            let shares = PREDICTORS[predictor].iter().map(|shares| f32::from(shares[index]) / 32_768.0);
            shares.zip(&self.past).map(|(share, past)| share * past[index]).sum()
        })
    }

    fn accept(&mut self, predictor: usize, new: Lsp) -> Lsp {
        let expected = self.expected(predictor);
        let mut frequencies = std::array::from_fn(|index| expected[index] + own_share(predictor, index) * new[index]);
        self.remember(new);
        stabilise(&mut frequencies);
        frequencies
    }

    fn remember(&mut self, new: Lsp) {
        self.past.rotate_right(1);
        self.past[0] = new;
    }
}

/// Frequencies of a mouth that colours nothing.
pub(super) fn evenly_spread() -> Lsp {
    std::array::from_fn(|index| (index + 1) as f32 * PI / 11.0)
}

/// How much of a frequency is not expected of the past.
fn own_share(predictor: usize, index: usize) -> f32 {
    let expected: i32 = PREDICTORS[predictor].iter().map(|shares| i32::from(shares[index])).sum();
    (32_768 - expected) as f32 / 32_768.0
}

fn first_stage(index: usize) -> Lsp {
    FIRST_STAGE[index].map(|step| f32::from(step) / 8192.0)
}

fn second_stage(choice: usize, index: usize) -> f32 {
    f32::from(SECOND_STAGE[choice][index]) / 8192.0
}

fn nearest(count: usize, mut error: impl FnMut(usize) -> f32) -> usize {
    let mut best = (f32::INFINITY, 0);
    for index in 0..count {
        let error = error(index);
        if error < best.0 {
            best = (error, index);
        }
    }
    best.1
}

/// What is near another is a formant, and has to be more exact.
fn weights(frequencies: &Lsp) -> Lsp {
    std::array::from_fn(|index| {
        let below = if index == 0 { 0.04 * PI } else { frequencies[index - 1] };
        let above = if index == ORDER - 1 { 0.92 * PI } else { frequencies[index + 1] };
        let room = above - below - 1.0;
        let weight = if room > 0.0 { 1.0 } else { 10.0 * room * room + 1.0 };
        if matches!(index, 4 | 5) { 1.2 * weight } else { weight }
    })
}

fn keep_apart(values: &mut [f32], gap: f32) {
    for index in 1..values.len() {
        let overlap = (values[index - 1] - values[index] + gap) / 2.0;
        if overlap > 0.0 {
            values[index - 1] -= overlap;
            values[index] += overlap;
        }
    }
}

fn stabilise(frequencies: &mut Lsp) {
    for index in 1..ORDER {
        if frequencies[index] < frequencies[index - 1] {
            frequencies.swap(index, index - 1);
        }
    }
    frequencies[0] = frequencies[0].max(LOWEST);
    for index in 1..ORDER {
        frequencies[index] = frequencies[index].max(frequencies[index - 1] + LEAST_GAP);
    }
    frequencies[ORDER - 1] = frequencies[ORDER - 1].min(HIGHEST);
}

/// The filters of the two subframes: the first one is between the last frame's and this one's (§3.2.5).
pub(super) fn filters(before: &Lsp, cosines: &Lsp) -> [Filter; 2] {
    [filter(&std::array::from_fn(|index| (before[index] + cosines[index]) / 2.0)), filter(cosines)]
}

/// Coefficients of cosines (§3.2.6).
pub(super) fn filter(cosines: &Lsp) -> Filter {
    let half = |first: usize| {
        let mut product = [1.0, -2.0 * cosines[first], 0.0, 0.0, 0.0, 0.0];
        for count in 2..=5 {
            let cosine = -2.0 * cosines[first + 2 * (count - 1)];
            product[count] = cosine * product[count - 1] + 2.0 * product[count - 2];
            for index in (2..count).rev() {
                product[index] += cosine * product[index - 1] + product[index - 2];
            }
            product[1] += cosine;
        }
        product
    };
    let (even, odd) = (half(0), half(1));
    let mut filter = [0.0; ORDER];
    for index in 1..=5 {
        let (sum, difference) = (even[index] + even[index - 1], odd[index] - odd[index - 1]);
        filter[index - 1] = (sum + difference) / 2.0;
        filter[ORDER - index] = (sum - difference) / 2.0;
    }
    filter
}

/// Cosines of coefficients, by where two polynomials change their signs in turn (§3.2.3); `None` when the filter is not
/// stable, or nearly not.
pub(super) fn cosines(filter: &Filter) -> Option<Lsp> {
    let (mut even, mut odd) = ([1.0_f32; 6], [1.0_f32; 6]);
    for index in 0..5 {
        let (near, far) = (filter[index], filter[ORDER - 1 - index]);
        even[index + 1] = near + far - even[index];
        odd[index + 1] = near - far + odd[index];
    }
    let value = |series: &[f32; 6], x: f32| {
        let (mut before, mut last) = (1.0, 2.0 * x + series[1]);
        for coefficient in &series[2..5] {
            (before, last) = (last, 2.0 * x * last - before + coefficient);
        }
        x * last - before + series[5] / 2.0
    };
    let mut found = [0.0; ORDER];
    let mut count = 0;
    let mut from = 1.0;
    for step in 1..=GRID {
        let mut to = (PI * step as f32 / GRID as f32).cos();
        let step_end = to;
        // There may be one of each in a step.
        while count < ORDER {
            let series = if count % 2 == 0 { &even } else { &odd };
            let (mut left, mut right) = (value(series, from), value(series, to));
            if left * right > 0.0 {
                break;
            }
            let mut start = from;
            for _ in 0..4 {
                let middle = f32::midpoint(start, to);
                let there = value(series, middle);
                if left * there <= 0.0 {
                    (to, right) = (middle, there);
                } else {
                    (start, left) = (middle, there);
                }
            }
            let spread = right - left;
            let root = if spread == 0.0 { start } else { start - left * (to - start) / spread };
            found[count] = root;
            count += 1;
            (from, to) = (root, step_end);
        }
        from = step_end;
    }
    (count == ORDER).then_some(found)
}

/// Steps in which changes of sign are looked for.
const GRID: usize = 60;
