//! Speech faster or slower without another pitch, by WSOLA (waveform similarity overlap-add, Verhelst and Roelands 1993).
//!
//! The output is put together from overlapping pieces of the input, each faded into the next. A piece is taken near the place
//! that the speed asks for, and there where it is most like what would have followed the piece before: so voices keep their
//! periods, and nothing clicks. At a speed of 100 percent the output is the input.
//!
//! Time runs evenly: what is heard after `t` was said at `t` times the speed, within [`REACH`] and [`HOP`], wherever it is looked at.
//! A place in the output is therefore a place in the input, whatever the speed was before.

/// Pieces follow each other so closely in the output, in thousandths of a second; each is twice as long.
const HOP: u32 = 15;
/// A piece is looked for so far before and after its place: the two together hold a period of the deepest voice.
const REACH: u32 = 8;

/// Plays `samples`, of which there are `rate` a second, at `percent` of their speed: 200 takes half the time.
///
/// # Panics
///
/// When `rate` is below 1000 or `percent` is 0.
#[must_use]
pub fn stretch(samples: &[i16], rate: u32, percent: u32) -> Vec<i16> {
    assert!(rate >= 1000 && percent > 0, "no sound is {rate} samples a second long, or {percent} percent fast");
    let length = (samples.len() as u64 * 100).div_ceil(u64::from(percent)) as usize;
    if percent == 100 || samples.is_empty() {
        return samples.to_vec();
    }
    let hop = (rate * HOP / 1000) as usize;
    let reach = (rate * REACH / 1000) as usize;
    let mut finder = Finder::new(hop, reach, rate);
    let fade: Vec<f32> = (0..hop).map(|n| 0.5 - 0.5 * (std::f32::consts::PI * (n as f32 + 0.5) / hop as f32).cos()).collect();
    let mut stretched = Vec::with_capacity(length + hop);
    // What follows the piece before.
    let mut follows = 0;
    let mut count = 0;
    while stretched.len() < length {
        let place = (count as u64 * hop as u64 * u64::from(percent) / 100) as usize;
        let piece = finder.most_alike(samples, follows, place);
        stretched.extend((0..hop).map(|n| {
            let (old, new) = (sample(samples, follows + n), sample(samples, piece + n));
            (old + (new - old) * fade[n]).round() as i16
        }));
        follows = piece + hop;
        count += 1;
    }
    stretched.truncate(length);
    stretched
}

/// Silence follows the end.
fn sample(samples: &[i16], at: usize) -> f32 {
    samples.get(at).copied().map_or(0.0, f32::from)
}

/// Looks for the piece that goes on best.
struct Finder {
    hop: usize,
    reach: usize,
    /// First every such place is tried, then those around the best.
    step: usize,
    wanted: Vec<f32>,
    around: Vec<f32>,
    /// The energy of the piece at each place.
    energies: Vec<f32>,
}

impl Finder {
    fn new(hop: usize, reach: usize, rate: u32) -> Self {
        // What is above 4 kHz is noise, whose phase nobody hears.
        let step = (rate / 8000).max(1) as usize;
        Self { hop, reach, step, wanted: vec![0.0; hop], around: vec![0.0; hop + 2 * reach], energies: vec![] }
    }

    /// Where, at most [`REACH`] from `place`, the piece begins that is most like the one at `follows`; the nearest of equals.
    fn most_alike(&mut self, samples: &[i16], follows: usize, place: usize) -> usize {
        let first = place.saturating_sub(self.reach);
        let places = place + self.reach - first + 1;
        let centre = place - first;
        load(&mut self.wanted, samples, follows);
        if self.wanted.iter().all(|sample| *sample == 0.0) {
            return place;
        }
        load(&mut self.around[..places - 1 + self.hop], samples, first);
        self.add_up_energies(places);
        let mut best = (centre, self.likeness(centre));
        let mut distance = self.step;
        while distance <= self.reach {
            for at in
                [centre.checked_sub(distance), (centre + distance < places).then_some(centre + distance)].into_iter().flatten()
            {
                best = self.better(best, at);
            }
            distance += self.step;
        }
        for offset in 1..self.step {
            let around = best.0;
            for at in [around.checked_sub(offset), (around + offset < places).then_some(around + offset)].into_iter().flatten() {
                best = self.better(best, at);
            }
        }
        first + best.0
    }

    fn better(&self, best: (usize, f32), at: usize) -> (usize, f32) {
        let likeness = self.likeness(at);
        if likeness > best.1 { (at, likeness) } else { best }
    }

    /// How alike the pieces are, whatever their loudness; 1 for equal ones but for a factor that all have.
    fn likeness(&self, at: usize) -> f32 {
        product(&self.wanted, &self.around[at..at + self.hop]) / self.energies[at].max(1.0).sqrt()
    }

    fn add_up_energies(&mut self, places: usize) {
        self.energies.clear();
        let mut energy: f64 = self.around[..self.hop].iter().map(|sample| f64::from(*sample).powi(2)).sum();
        self.energies.push(energy as f32);
        for at in 1..places {
            energy += f64::from(self.around[at - 1 + self.hop]).powi(2) - f64::from(self.around[at - 1]).powi(2);
            self.energies.push(energy as f32);
        }
    }
}

fn load(piece: &mut [f32], samples: &[i16], from: usize) {
    for (n, slot) in piece.iter_mut().enumerate() {
        *slot = sample(samples, from + n);
    }
}

/// In eight sums, so that the processor can add them side by side.
fn product(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for n in 0..8 {
            sums[n] += a[n] * b[n];
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::audio::{
        level::level,
        resample::resample,
        testing::{noise, speech, wide_speech},
    };

    const SPEEDS: [u32; 7] = [50, 60, 80, 101, 125, 150, 200];

    #[test]
    fn the_length_is_divided_by_the_speed() {
        for rate in [8000, 16_000] {
            for percent in SPEEDS {
                for length in [0, 1, 159, 160, 40_001] {
                    let stretched = stretch(&vec![700; length], rate, percent);

                    assert_eq!(stretched.len(), (length * 100).div_ceil(percent as usize), "{percent} % of {length}");
                }
            }
        }
    }

    #[test]
    fn the_ordinary_speed_changes_nothing() {
        let said = speech(2.0, -20.0);

        assert_eq!(stretch(&said, 8000, 100), said);
    }

    #[test]
    fn a_tone_keeps_its_pitch_and_level() {
        for rate in [8000, 16_000] {
            for frequency in [90.0, 123.4, 440.0, 1000.0, 1777.0, 3100.0] {
                for percent in SPEEDS {
                    let stretched = stretch(&sine(frequency, rate, 2.0), rate, percent);

                    let middle = &stretched[2000..stretched.len() - 2000];
                    let share = share_near(middle, rate, frequency);
                    assert!((0.97..1.03).contains(&share), "{frequency} Hz at {percent} %, {rate}: {share}");
                    assert!((level(middle) - level(&sine(frequency, rate, 1.0))).abs() < 0.3, "{frequency} Hz at {percent} %");
                }
            }
        }
    }

    #[test]
    fn two_tones_stay_two_tones() {
        let chord: Vec<i16> = sine(350.0, 8000, 2.0).iter().zip(sine(440.0, 8000, 2.0)).map(|(a, b)| a / 2 + b / 2).collect();
        for percent in SPEEDS {
            let stretched = stretch(&chord, 8000, percent);

            let middle = &stretched[2000..stretched.len() - 2000];
            for frequency in [350.0, 440.0] {
                assert!((0.4..0.6).contains(&share_near(middle, 8000, frequency)), "{frequency} Hz at {percent} %");
            }
        }
    }

    /// Third-octave bands of the whole, which a change of pitch by a tenth already moves.
    #[test]
    fn speech_keeps_its_spectrum_as_resampled_speech_does_not() {
        for (rate, said) in [(8000, speech(6.0, -20.0)), (16_000, wide_speech(6.0, -20.0))] {
            let before = bands(&said, rate);
            for percent in SPEEDS {
                let difference = distance(&before, &bands(&stretch(&said, rate, percent), rate));
                assert!(difference < 2.0, "{percent} %, {rate}: {difference} dB");
            }
            for percent in [80, 125] {
                let difference = distance(&before, &bands(&resample(&said, rate * percent / 100, rate), rate));
                assert!(difference > 2.5, "resampled to {percent} %: {difference} dB");
            }
        }
    }

    #[test]
    fn voices_keep_their_period() {
        for period in [32, 50, 73, 100] {
            let voice: Vec<i16> = (0..16_000).map(|n| [9000, 5000, 1000, -4000, -2000][(n % period).min(4)]).collect();
            for percent in SPEEDS {
                let stretched = stretch(&voice, 8000, percent);

                assert_eq!(period_of(&stretched[3000..7000]), period, "{percent} %");
            }
        }
    }

    #[test]
    fn nothing_clicks() {
        for (rate, said) in [(8000, speech(6.0, -16.0)), (16_000, wide_speech(6.0, -16.0)), (8000, sine(200.0, 8000, 3.0))] {
            for percent in SPEEDS {
                let stretched = stretch(&said, rate, percent);

                assert!(steepest(&stretched) <= steepest(&said) * 21 / 20, "{percent} %, {rate}");
            }
        }
    }

    #[test]
    fn time_runs_evenly() {
        let mut said = noise(20.0, -60.0);
        for second in 1..20 {
            let at = second * 8000;
            said.splice(at..at + 400, sine(500.0, 8000, 0.05));
        }
        for percent in SPEEDS {
            let stretched = stretch(&said, 8000, percent);

            for second in 1..20 {
                let expected = (second * 8000 + 200) * 100 / percent as usize;
                let loudest = (expected - 800..(expected + 800).min(stretched.len() - 80))
                    .step_by(8)
                    .max_by(|a, b| level(&stretched[a - 80..a + 80]).total_cmp(&level(&stretched[b - 80..b + 80])))
                    .unwrap();
                // The pip itself is 50 ms long, a piece may come 8 ms early or late, and pieces overlap by 15 ms.
                assert!(
                    loudest.abs_diff(expected) <= 8 * 55,
                    "{percent} %: the pip of second {second} is at {loudest}, not {expected}"
                );
            }
        }
    }

    #[test]
    fn silence_and_the_loudest_square_are_no_trouble() {
        assert!(stretch(&[0; 8000], 8000, 150).iter().all(|sample| *sample == 0));
        let square: Vec<i16> = (0..8000).map(|n| if n / 40 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        for percent in SPEEDS {
            let stretched = stretch(&square, 8000, percent);
            assert!(stretched.iter().any(|sample| *sample > 32_000) && stretched.iter().any(|sample| *sample < -32_000));
        }
    }

    fn sine(frequency: f64, rate: u32, seconds: f64) -> Vec<i16> {
        let count = (f64::from(rate) * seconds) as usize;
        (0..count).map(|n| (12_000.0 * (TAU * frequency * n as f64 / f64::from(rate)).sin()).round() as i16).collect()
    }

    /// The share of the power that lies within 12 Hz of `frequency`, in a quarter of a second in the middle.
    fn share_near(samples: &[i16], rate: u32, frequency: f64) -> f64 {
        let window = rate as usize / 4;
        let start = (samples.len() - window) / 2;
        let faded = faded(&samples[start..start + window]);
        let total: f64 = faded.iter().map(|sample| sample.powi(2)).sum();
        let near: f64 = (-12..=12)
            .map(|offset| {
                let step = TAU * (frequency + f64::from(offset)) / f64::from(rate);
                power(&faded, |n| step * n as f64)
            })
            .sum();
        // Powers at whole Hertz, of which four lie in each line of the spectrum; half of the power is at frequencies below zero.
        near * 2.0 / (f64::from(rate) * total)
    }

    /// Under Hann's window.
    fn faded(samples: &[i16]) -> Vec<f64> {
        let angle = TAU / samples.len() as f64;
        samples.iter().enumerate().map(|(n, sample)| f64::from(*sample) * (0.5 - 0.5 * (angle * n as f64).cos())).collect()
    }

    fn power(samples: &[f64], angle: impl Fn(usize) -> f64) -> f64 {
        let (real, imaginary) = samples.iter().enumerate().fold((0.0, 0.0), |(real, imaginary), (n, sample)| {
            let (sin, cos) = angle(n).sin_cos();
            (real + sample * cos, imaginary + sample * sin)
        });
        real * real + imaginary * imaginary
    }

    /// Levels in dB of third-octave bands from 100 Hz on, relative to the loudest, of the sum over windows of 64 ms.
    fn bands(samples: &[i16], rate: u32) -> Vec<f64> {
        let window = rate as usize * 64 / 1000;
        let waves: Vec<(f64, f64)> = (0..window).map(|n| (TAU * n as f64 / window as f64).sin_cos()).collect();
        let mut lines = vec![0.0; window / 2];
        for piece in samples.chunks_exact(window).step_by(2) {
            let faded = faded(piece);
            for (line, sum) in lines.iter_mut().enumerate() {
                let (mut real, mut imaginary) = (0.0, 0.0);
                for (n, sample) in faded.iter().enumerate() {
                    let (sin, cos) = waves[line * n % window];
                    real += sample * cos;
                    imaginary += sample * sin;
                }
                *sum += real * real + imaginary * imaginary;
            }
        }
        let mut levels = vec![];
        let mut low = 100.0;
        while low * 1.26 < f64::from(rate) / 2.0 {
            let high = low * 1.26;
            let inside = lines.iter().enumerate().filter(|(line, _)| {
                let frequency = *line as f64 * f64::from(rate) / window as f64;
                (low..high).contains(&frequency)
            });
            levels.push(10.0 * inside.map(|(_, power)| power).sum::<f64>().max(1.0).log10());
            low = high;
        }
        let whole = levels.iter().copied().fold(f64::MIN, f64::max);
        levels.iter().map(|level| (level - whole).max(-45.0)).collect()
    }

    /// The mean difference of the bands in dB.
    fn distance(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>() / a.len() as f64
    }

    fn period_of(samples: &[i16]) -> usize {
        let alike = |lag: usize| {
            let pairs = samples.iter().zip(&samples[lag..]).map(|(a, b)| (f64::from(*a), f64::from(*b)));
            let (product, energy) = pairs.fold((0.0, 0.0), |(p, e), (a, b)| (p + a * b, e + b * b));
            product / energy.max(1.0)
        };
        let best = (20..130).map(alike).fold(f64::MIN, f64::max);
        (20..130).find(|lag| alike(*lag) > best - 0.03).unwrap()
    }

    fn steepest(samples: &[i16]) -> i32 {
        samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap()
    }
}
