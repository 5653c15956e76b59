//! Recognising, in what was heard, audio that we know.

use std::ops::Range;

/// Samples in one step of the coarse search: 10 ms.
const STEP: usize = 80;
/// How many of the best coarse places are looked at sample by sample.
const CANDIDATES: usize = 12;
/// A place whose loudness is less alike than this is looked at only if none is better.
const PROMISING: f64 = 0.5;
/// How much of the known audio, its loudest part, is enough to find the very sample: 250 ms.
const EXCERPT: usize = 2000;

/// A place where the known audio was heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// The first sample of it in what was heard.
    pub at: usize,
    /// Normalised correlation at that place: 1 is the same audio, 0 is unrelated.
    pub likeness: f64,
}

/// Finds where `known` sounds most in `heard`, both mono at 8000 Hz.
///
/// `None` if `heard` is shorter than `known`, or one of them is silent.
#[must_use]
pub fn find(known: &[i16], heard: &[i16]) -> Option<Match> {
    if known.len() < STEP || heard.len() < known.len() {
        return None;
    }
    let known_loudness = loudness(known);
    let heard_loudness = loudness(heard);
    let mut coarse: Vec<(f64, usize)> = heard_loudness
        .windows(known_loudness.len())
        .enumerate()
        .filter_map(|(place, window)| correlation(&known_loudness, window).map(|likeness| (likeness, place * STEP)))
        .collect();
    coarse.sort_by(|a, b| b.0.total_cmp(&a.0));
    coarse.truncate(CANDIDATES.min(coarse.partition_point(|(likeness, _)| *likeness >= PROMISING)).max(1));

    let excerpt = loudest(known, &known_loudness);
    let mut best: Option<Match> = None;
    for (_, place) in coarse {
        let first = place.saturating_sub(STEP);
        let last = (place + STEP).min(heard.len() - known.len());
        let alike = |at: &usize| {
            let there = &heard[at + excerpt.start..at + excerpt.end];
            sample_correlation(&known[excerpt.clone()], there).unwrap_or(-1.0)
        };
        let Some(at) = (first..=last).max_by(|a, b| alike(a).total_cmp(&alike(b))) else { continue };
        let Some(likeness) = sample_correlation(known, &heard[at..at + known.len()]) else { continue };
        if best.is_none_or(|best| likeness > best.likeness) {
            best = Some(Match { at, likeness });
        }
    }
    best
}

/// Where the loudest part of the known audio is.
fn loudest(known: &[i16], loudness: &[f64]) -> Range<usize> {
    let steps = (EXCERPT / STEP).min(loudness.len());
    let energy = |from: &usize| loudness[*from..from + steps].iter().map(|level| level * level).sum::<f64>();
    let from = (0..=loudness.len() - steps).max_by(|a, b| energy(a).total_cmp(&energy(b))).unwrap_or(0);
    from * STEP..((from + steps) * STEP).min(known.len())
}

/// Root mean square of each whole step.
fn loudness(samples: &[i16]) -> Vec<f64> {
    let power = |step: &[i16]| step.iter().map(|&s| f64::from(s).powi(2)).sum::<f64>() / STEP as f64;
    samples.chunks_exact(STEP).map(|step| power(step).sqrt()).collect()
}

fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    (aa > 1.0 && bb > 1.0).then(|| ab / (aa * bb).sqrt())
}

fn sample_correlation(a: &[i16], b: &[i16]) -> Option<f64> {
    let (mut ab, mut aa, mut bb) = (0_i64, 0_i64, 0_i64);
    for (&a, &b) in a.iter().zip(b) {
        let (a, b) = (i64::from(a), i64::from(b));
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    (aa > 0 && bb > 0).then(|| ab as f64 / (aa as f64 * bb as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_audio_is_found_to_the_sample_in_noise() {
        let known = babble(1, 8000);
        let mut heard = babble(2, 40_000);
        for (there, sample) in heard[12_345..].iter_mut().zip(&known) {
            *there = there.saturating_div(8).saturating_add(*sample);
        }

        let found = find(&known, &heard).unwrap();

        assert_eq!(found.at, 12_345);
        assert!(found.likeness > 0.9, "{found:?}");
    }

    #[test]
    fn unrelated_audio_is_not_alike() {
        let found = find(&babble(3, 8000), &babble(4, 40_000)).unwrap();

        assert!(found.likeness < 0.5, "{found:?}");
    }

    #[test]
    fn silence_is_never_found() {
        assert_eq!(find(&[0; 800], &[0; 8000]), None);
        assert_eq!(find(&babble(5, 8000), &[0; 800]), None);
    }

    /// Noise with syllables: loud and quiet in turn, each 100 ms to 400 ms.
    fn babble(seed: u64, samples: usize) -> Vec<i16> {
        let mut state = seed;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as i64
        };
        let mut audio = Vec::with_capacity(samples);
        while audio.len() < samples {
            let gain = next() % 8000;
            for _ in 0..800 + next() % 2400 {
                audio.push((next() % (gain + 1) * 2 - gain) as i16);
            }
        }
        audio.truncate(samples);
        audio
    }
}
