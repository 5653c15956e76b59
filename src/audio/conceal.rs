//! Makes up for audio that was lost, so that a word stays a word: after the idea of ITU-T G.711 Appendix I, the last period of
//! the voice is repeated and fades away. As a recording need not be played at once, the audio after the gap is known as well:
//! the end of the gap is made of that, backwards, and both ends stay as they were received.

/// How much of what was heard before a gap is looked at, in 8000ths of a second: the longest period and the window in which it is
/// found.
pub const MEMORY: usize = LONGEST_PERIOD + WINDOW;
/// How much of what comes after a gap is looked at, in 8000ths of a second.
pub const OUTLOOK: usize = MEMORY;

/// The longest and shortest period of a voice that is repeated: 66 and 200 Hz. A higher voice is repeated by twos or threes.
const LONGEST_PERIOD: usize = 120;
const SHORTEST_PERIOD: usize = 40;
/// The window in which periods are compared: 20 ms.
const WINDOW: usize = 160;
/// What is repeated is as loud as before for so long, and then fades: 10 ms and 60 ms.
const FULL: usize = 80;
const GONE: usize = 480;
/// Less likeness between periods than this is no voice: what is repeated is then as long as possible, or it would hum.
const VOICED: f32 = 0.4;

/// Fills a gap between `before` and `after`, both nearest to the gap where they touch it; `factor` is 1 at 8000 samples a second
/// and 2 at 16,000. Either may be short or empty. Nothing is made up beyond 60 ms from each of them: there it is silent.
pub fn conceal(before: &[i16], gap: &mut [i16], after: &[i16], factor: usize) {
    let length = gap.len();
    let forwards = Repeated::new(before.iter().copied(), factor);
    let backwards = Repeated::new(after.iter().rev().copied(), factor);
    for (at, sample) in gap.iter_mut().enumerate() {
        let (since, until) = (at, length - 1 - at);
        // Each side has more to say where it is near.
        let share = crossfade((since as f32 + 0.5) / length as f32);
        let value = forwards.sample(since) * (1.0 - share) + backwards.sample(until) * share;
        *sample = value.round() as i16;
    }
}

/// From 0 to 1 in the middle half.
fn crossfade(place: f32) -> f32 {
    ((place - 0.25) * 2.0).clamp(0.0, 1.0)
}

/// The last period of a voice, over and over.
struct Repeated {
    /// The newest sample last.
    heard: [f32; 2 * MEMORY],
    length: usize,
    period: usize,
    factor: usize,
}

impl Repeated {
    fn new(heard: impl DoubleEndedIterator<Item = i16> + ExactSizeIterator, factor: usize) -> Self {
        let length = heard.len().min(MEMORY * factor);
        let mut kept = [0.0; 2 * MEMORY];
        for (place, sample) in kept[..length].iter_mut().rev().zip(heard.rev()) {
            *place = f32::from(sample);
        }
        let period = period(&kept[..length], factor);
        Self { heard: kept, length, period, factor }
    }

    /// So many samples away from what was heard.
    fn sample(&self, distance: usize) -> f32 {
        let (full, gone) = (FULL * self.factor, GONE * self.factor);
        if self.period == 0 || distance >= gone {
            return 0.0;
        }
        let fade = (gone - distance.max(full)) as f32 / (gone - full) as f32;
        self.heard[self.length - self.period + distance % self.period] * fade
    }
}

/// After how many samples what was heard is most like itself; all of it when it is shorter than a period.
fn period(heard: &[f32], factor: usize) -> usize {
    let longest = (LONGEST_PERIOD * factor).min(heard.len());
    let window = (WINDOW * factor).min(heard.len() - longest);
    if window < SHORTEST_PERIOD * factor {
        return longest;
    }
    let newest = &heard[heard.len() - window..];
    let likeness = |lag: usize, step: usize| {
        let older = &heard[heard.len() - window - lag..];
        let (mut product, mut energy) = (0.0, 1.0);
        for (new, old) in newest.iter().zip(older).step_by(step) {
            product += new * old;
            energy += old * old;
        }
        product / f32::sqrt(energy)
    };
    let best = |lags: &mut dyn Iterator<Item = usize>, step| {
        lags.map(|lag| (likeness(lag, step), lag)).max_by(|a, b| a.0.total_cmp(&b.0)).map_or(longest, |(_, lag)| lag)
    };
    // Roughly first: every second period of every second sample, then those beside the best one.
    let rough = best(&mut (SHORTEST_PERIOD * factor..=longest).step_by(2), 2);
    let fine = best(&mut (rough.saturating_sub(1).max(1)..=(rough + 1).min(longest)), 1);
    let energy = f32::sqrt(newest.iter().map(|sample| sample * sample).sum::<f32>() + 1.0);
    if likeness(fine, 1) / energy < VOICED { longest } else { fine }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::audio::testing::{resampled_speech, segmental_snr};

    #[test]
    fn a_voice_goes_on_through_a_gap() {
        for factor in [1, 2] {
            let voice: Vec<i16> = (0..1600 * factor).map(|n| voiced(n, factor)).collect();
            let gap = 800 * factor..960 * factor;

            let mut made_up = vec![0; gap.len()];
            conceal(&voice[..gap.start], &mut made_up, &voice[gap.end..], factor);

            let error: f64 = made_up.iter().zip(&voice[gap.clone()]).map(|(&a, &b)| f64::from(a - b).powi(2)).sum();
            let energy: f64 = voice[gap].iter().map(|&sample| f64::from(sample).powi(2)).sum();
            assert!(error < energy / 10.0, "{} dB", 10.0 * (energy / error).log10());
        }
    }

    #[test]
    fn a_long_gap_falls_silent_and_wakes_again() {
        let voice: Vec<i16> = (0..320).map(|n| voiced(n, 1)).collect();
        let mut gap = vec![1; 1600];

        conceal(&voice, &mut gap, &voice, 1);

        assert!(gap[..80].iter().any(|&sample| sample.abs() > 4000));
        assert!(gap[480..1120].iter().all(|&sample| sample == 0));
        assert!(gap[1520..].iter().any(|&sample| sample.abs() > 4000));
    }

    #[test]
    fn there_may_be_little_or_nothing_around_a_gap() {
        let voice: Vec<i16> = (0..400).map(|n| voiced(n, 1)).collect();
        for before in [0, 1, 39, 41, 160, 200, 279, 280, 281] {
            for after in [0, 1, 40, 160, 300] {
                for length in [0, 1, 2, 160, 700] {
                    let mut gap = vec![0; length];
                    conceal(&voice[..before], &mut gap, &voice[..after], 1);
                    assert!(before + after > 0 || gap.iter().all(|&sample| sample == 0));
                }
            }
        }
    }

    #[test]
    fn speech_with_losses_is_nearer_to_itself_than_with_holes() {
        for (factor, share) in [(1, 5), (1, 20), (2, 5), (2, 20)] {
            let speech = resampled_speech(8.0, -20.0, factor);
            let (holes, concealed) = lose(&speech, factor, share);

            let (with_holes, better) = (segmental_snr(&speech, &holes, factor), segmental_snr(&speech, &concealed, factor));
            println!("{share} % at {} Hz: {with_holes:.2} dB with holes, {better:.2} dB", factor * 8000);
            assert!(better > with_holes + 2.0, "{share} % at factor {factor}: {with_holes:.2} dB with holes, {better:.2} dB");
        }
    }

    fn voiced(n: usize, factor: usize) -> i16 {
        let phase = n as f64 / factor as f64 / 70.0;
        (1..6).map(|harmonic| 3000.0 / f64::from(harmonic) * (TAU * phase * f64::from(harmonic)).sin()).sum::<f64>() as i16
    }

    /// Loses so many of a hundred frames.
    fn lose(speech: &[i16], factor: usize, share: u32) -> (Vec<i16>, Vec<i16>) {
        let (mut holes, mut concealed) = (speech.to_vec(), speech.to_vec());
        let frame = 160 * factor;
        let mut random = 12_345_u32;
        let lost: Vec<bool> = (0..speech.len() / frame)
            .map(|_| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 8) % 100 < share
            })
            .collect();
        let mut index = 0;
        while index < lost.len() {
            let count = lost[index..].iter().take_while(|lost| **lost).count();
            if count > 0 {
                let (start, end) = (index * frame, (index + count) * frame);
                holes[start..end].fill(0);
                let (before, rest) = concealed.split_at_mut(start);
                let (gap, after) = rest.split_at_mut(end - start);
                conceal(before, gap, &after[..after.len().min(frame)], factor);
            }
            index += count + 1;
        }
        (holes, concealed)
    }
}
