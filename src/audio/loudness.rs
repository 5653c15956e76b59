//! How loud speech is, and making it louder or softer without clipping.

use super::{FRAME_SAMPLES, level::level};

/// How loud speech is made, in dB as [`level`] has them: that of our prompts, whose active speech is 20 dB below full scale.
pub(super) const WANTED: f32 = -17.0;
/// The most that is changed, either way.
const MOST: f32 = 12.0;
/// Less than this is not worth a change.
const LEAST: f32 = 1.0;
/// What is made louder must not bring the background above this.
const LOUDEST_BACKGROUND: f32 = -42.0;
/// What is so much softer than the speech is a pause in it (ITU-T P.56 has 15.9 dB).
const PAUSE_BELOW: f32 = 16.0;
/// The highest sample of what was made louder: 1 dB below full scale.
const CEILING: f32 = 29_204.0;
/// The gain changes by so much within 5 ms at most, as a factor.
const SLOPE: f32 = 1.12;

/// What is so much louder than nine tenths of the frames of speech is a bang.
const BANG_ABOVE: f32 = 6.0;

/// The level of speech without its pauses and without bangs, from the levels of its frames.
pub(super) fn active_level(mut levels: Vec<f32>) -> f32 {
    levels.sort_by(f32::total_cmp);
    let loudest = levels.get(levels.len() * 9 / 10).map_or(0.0, |level| level + BANG_ABOVE);
    levels.retain(|level| *level <= loudest);
    let mut active = f32::NEG_INFINITY;
    // The pauses are found by the level and the level without them: a few rounds settle it.
    for _ in 0..8 {
        let (power, count) = levels
            .iter()
            .filter(|level| **level >= active - PAUSE_BELOW)
            .fold((0.0, 0_u32), |(power, count), level| (power + 10_f64.powf(f64::from(*level) / 10.0), count + 1));
        let next = (10.0 * (power / f64::from(count.max(1))).max(1e-10).log10()) as f32;
        if (next - active).abs() < 0.05 {
            break;
        }
        active = next;
    }
    active
}

/// How much louder speech of a level should be, in dB, before a background of another; 0 when it is well as it is.
pub(super) fn gain(active: f32, background: f32) -> f32 {
    let wanted = (WANTED - active).clamp(-MOST, MOST);
    let gain = wanted.min((LOUDEST_BACKGROUND - background).max(0.0));
    if gain.abs() < LEAST { 0.0 } else { gain }
}

/// Makes samples so much louder. Around peaks that would clip the gain gives way, 5 ms before them already.
pub(super) fn amplify(samples: &mut [i16], rate: u32, decibels: f32) {
    let wanted = 10_f32.powf(decibels / 20.0);
    let block = (rate / 200) as usize;
    let mut gains: Vec<f32> = samples
        .chunks(block)
        .map(|block| {
            let peak = block.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
            wanted.min(CEILING / f32::from(peak.max(1)))
        })
        .collect();
    // Nowhere steeper than the slope, so that nobody hears it move. The gain of a block also holds for half of both neighbours.
    let lowest: Vec<f32> = (0..gains.len())
        .map(|at| gains[at.saturating_sub(1)..(at + 2).min(gains.len())].iter().copied().fold(wanted, f32::min))
        .collect();
    gains.copy_from_slice(&lowest);
    for at in 1..gains.len() {
        gains[at] = gains[at].min(gains[at - 1] * SLOPE);
    }
    for at in (1..gains.len()).rev() {
        gains[at - 1] = gains[at - 1].min(gains[at] * SLOPE);
    }
    let middle = block as f32 / 2.0;
    for (at, part) in samples.chunks_mut(block).enumerate() {
        let own = gains[at];
        let (before, after) = (gains[at.saturating_sub(1)], gains[(at + 1).min(gains.len() - 1)]);
        for (n, sample) in part.iter_mut().enumerate() {
            // From the middle of one block to the middle of the next in a straight line.
            let place = (n as f32 + 0.5 - middle) / block as f32;
            let gain = if place < 0.0 { own + (own - before) * place } else { own + (after - own) * place };
            *sample = (f32::from(*sample) * gain).round() as i16;
        }
    }
}

/// Lets samples end softly, within 5 ms.
pub(super) fn fade_out(samples: &mut [i16], rate: u32) {
    let length = samples.len().min((rate / 200) as usize);
    let start = samples.len() - length;
    for (n, sample) in samples[start..].iter_mut().enumerate() {
        *sample = (f32::from(*sample) * (length - n) as f32 / (length + 1) as f32) as i16;
    }
}

/// The level of the speech in samples at 8000 Hz, in dB as [`level`] has them, without its pauses.
#[must_use]
pub fn speech_level(samples: &[i16]) -> f32 {
    active_level(samples.chunks_exact(FRAME_SAMPLES).map(level).collect())
}
