//! Louder and softer, without clipping.

/// The loudest sample that is let through: 1 dB below full scale.
const CEILING: f32 = 29_200.0;
/// How long a stretch of samples is that has one limit, in thousandths of a second.
const BLOCK: usize = 5;
/// How fast the gain falls before a loud place, and rises after it, in a block.
const FALL: f32 = 0.6;
const RISE: f32 = 1.06;

/// Makes `samples`, of which there are `rate` a second, louder by so many `decibels`, or softer when they are below 0.
///
/// What would become too loud for 16 bits is held below them: the gain falls in the blocks before it and rises slowly after it, so
/// that loud words are soft-limited, but never distorted.
pub fn amplify(samples: &mut [i16], rate: u32, decibels: i32) {
    if decibels == 0 || samples.is_empty() {
        return;
    }
    let wanted = 10.0_f32.powf(decibels as f32 / 20.0);
    let block = (rate as usize * BLOCK / 1000).max(1);
    let allowed: Vec<f32> = samples.chunks(block).map(|block| allowed(block, wanted)).collect();
    // The gain at the edges of the blocks, which neither neighbour finds too high.
    let mut edges: Vec<f32> = (0..=allowed.len())
        .map(|edge| {
            let before = edge.checked_sub(1).map_or(wanted, |before| allowed[before]);
            before.min(allowed.get(edge).copied().unwrap_or(wanted))
        })
        .collect();
    for edge in 1..edges.len() {
        edges[edge] = edges[edge].min(edges[edge - 1] * RISE);
    }
    for edge in (0..edges.len() - 1).rev() {
        edges[edge] = edges[edge].min(edges[edge + 1] / FALL);
    }
    for (at, block) in samples.chunks_mut(block).enumerate() {
        let (from, to, length) = (edges[at], edges[at + 1], block.len() as f32);
        for (n, sample) in block.iter_mut().enumerate() {
            let gain = from + (to - from) * n as f32 / length;
            *sample = (f32::from(*sample) * gain).round() as i16;
        }
    }
}

/// The highest gain up to `wanted` that keeps a block below the ceiling; what is above it already is left as it is.
fn allowed(block: &[i16], wanted: f32) -> f32 {
    let peak = block.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
    let most = (CEILING / f32::from(peak.max(1))).max(1.0);
    wanted.min(most)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::audio::{
        level::level,
        testing::speech,
        tone::{self, Sine},
    };

    #[test]
    fn soft_audio_changes_by_just_so_many_decibels() {
        for rate in [8000, 16_000] {
            for decibels in [-12, -6, 0, 6, 12] {
                let said = speech(3.0, -40.0);
                let mut heard = said.clone();

                amplify(&mut heard, rate, decibels);

                assert!((level(&heard) - level(&said) - decibels as f32).abs() < 0.1, "{decibels} dB: {}", level(&heard));
            }
        }
    }

    #[test]
    fn loud_audio_is_limited_without_distortion() {
        let loud = tone::tone(&[Sine { frequency: 500.0, level: -3.0 }], Duration::from_secs(2));
        let mut heard = loud.clone();

        amplify(&mut heard, 8000, 12);

        assert!(heard.iter().all(|sample| f32::from(sample.saturating_abs()) <= CEILING + 1.0));
        assert!((level(&heard[4000..12_000]) - -1.0).abs() < 0.3, "{}", level(&heard[4000..12_000]));
        // The same sine but for its size: whatever else there is lies 40 dB below.
        let (heard, loud) = (&heard[4000..12_000], &loud[4000..12_000]);
        let product: f64 = heard.iter().zip(loud).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        let energy: f64 = loud.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        let rest: Vec<i16> =
            heard.iter().zip(loud).map(|(a, b)| (f64::from(*a) - f64::from(*b) * product / energy).round() as i16).collect();
        assert!(level(&rest) < level(heard) - 40.0, "{}", level(&rest));
    }

    #[test]
    fn soft_words_beside_loud_ones_are_lifted_all_the_same() {
        let said = [speech(3.0, -38.0), speech(1.0, -18.0), speech(3.0, -38.0)].concat();
        let mut heard = said.clone();

        amplify(&mut heard, 8000, 12);

        assert!(level(&heard[..20_000]) > level(&said[..20_000]) + 11.0);
        assert!(level(&heard[36_000..]) > level(&said[36_000..]) + 11.0);
        assert!(heard.iter().all(|sample| f32::from(sample.saturating_abs()) <= CEILING + 1.0));
    }

    #[test]
    fn what_is_as_loud_as_can_be_is_never_wrapped_around() {
        let square: Vec<i16> = (0..8000).map(|n| if n / 40 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let mut heard = square.clone();

        amplify(&mut heard, 8000, 12);

        assert_eq!(heard, square);
        amplify(&mut [], 8000, 12);
        amplify(&mut [i16::MIN], 8000, -12);
    }
}
