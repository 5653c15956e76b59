//! Keys heard in the audio itself, where neither telephone-event nor INFO was agreed on (ITU-T Q.23, Q.24).
//!
//! Every 5 ms the last 20 ms are correlated with the eight frequencies. The correlation is kept in blocks of 5 ms that are
//! turned and added, so each sample is multiplied once per frequency; and the phase a frequency gains from block to block says
//! how far off its nominal value it is, which the width of so short a window could not. A voice seldom passes that together
//! with the share of the energy that the two tones must have.

use std::{f32::consts::PI, f64::consts::TAU, sync::LazyLock};

use super::{
    SAMPLE_RATE,
    tone::{COLUMNS, KEYS, ROWS},
};

/// Something a key did. Positions are samples since the detector began, within 5 ms of the true ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyTone {
    /// A key went down. Told within 40 ms of its tone's begin.
    Down {
        /// Which one: `0`–`9`, `*`, `#`, `A`–`D`.
        key: char,
        /// Where its tone begins.
        start: u64,
    },
    /// It went up.
    Up {
        /// Which one.
        key: char,
        /// Where its tone begins.
        start: u64,
        /// Where its tone ends.
        end: u64,
    },
}

/// Hears keys. Tones of 40 ms are keys and of 23 ms are not; pauses of 40 ms part two presses and of 10 ms do not.
#[derive(Clone, Debug)]
pub struct Detector {
    /// The block being filled.
    block: [i16; BLOCK],
    filled: usize,
    /// Samples in whole blocks so far.
    position: u64,
    /// The last blocks, the newest last.
    spectra: [Spectrum; BLOCKS],
    /// The window one block ago.
    previous: [Complex; TONES],
    /// Blocks in a row that sound like this key, and where the first of them begins.
    candidate: Option<(usize, Press)>,
    pressed: Option<Press>,
    /// Blocks in a row that do not sound like the pressed key.
    misses: usize,
}

#[derive(Clone, Copy, Debug)]
struct Press {
    key: char,
    start: u64,
    end: u64,
}

/// 5 ms.
const BLOCK: usize = 40;
/// Blocks in a window of 20 ms.
const BLOCKS: usize = 4;
const WINDOW: usize = BLOCK * BLOCKS;
const TONES: usize = 8;

/// Blocks in a row that make a key: a tone of 32 ms always has four, one of 27 ms never.
const HITS: usize = 4;
/// Blocks in a row that end it: a pause of 23 ms always has six, one of 17 ms never.
const MISSES: usize = 6;

/// The power of the softest tone: 35 dB below the loudest sine, which is 7 dB less than Q.24 asks for.
const SOFTEST: f32 = 169_760.0;
/// How much more power one tone may have than the other, 9 and 6 dB: lines attenuate high frequencies, so that the columns are
/// softer.
const ROW_OVER_COLUMN: f32 = 7.943;
const COLUMN_OVER_ROW: f32 = 3.981;
/// How far off its nominal value a frequency may be: Q.24 demands 1.5 % and forbids 3.5 %.
const TOLERANCE: f32 = 0.025;
/// The share of the energy that the two tones have at least.
const PURITY: f32 = 0.8;

impl Detector {
    /// A detector that has heard nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            block: [0; BLOCK],
            filled: 0,
            position: 0,
            spectra: [Spectrum::default(); BLOCKS],
            previous: [Complex::default(); TONES],
            candidate: None,
            pressed: None,
            misses: 0,
        }
    }

    /// Hears the next samples, any number of them, and tells what the keys did.
    pub fn push(&mut self, mut samples: &[i16], mut tell: impl FnMut(KeyTone)) {
        while !samples.is_empty() {
            let (now, later) = samples.split_at(samples.len().min(BLOCK - self.filled));
            self.block[self.filled..self.filled + now.len()].copy_from_slice(now);
            self.filled += now.len();
            samples = later;
            if self.filled == BLOCK {
                self.filled = 0;
                self.position += BLOCK as u64;
                let heard = self.hear();
                self.decide(heard, &mut tell);
            }
        }
    }

    /// The key that is down.
    #[must_use]
    pub fn pressed(&self) -> Option<char> {
        self.pressed.map(|press| press.key)
    }

    /// The key that the last window sounds like.
    fn hear(&mut self) -> Option<char> {
        self.spectra.rotate_left(1);
        self.spectra[BLOCKS - 1] = Spectrum::of(&self.block);
        let power = self.spectra.iter().map(|spectrum| spectrum.power).sum::<f32>() / BLOCKS as f32;
        // Silence is most of a call, and decided without any of the rest.
        if power < SOFTEST {
            self.previous = [Complex::default(); TONES];
            return None;
        }
        let window = self.window();
        let previous = std::mem::replace(&mut self.previous, window);
        let loudest = |tones: std::ops::Range<usize>| {
            tones.max_by(|&a, &b| window[a].squared().total_cmp(&window[b].squared())).expect("there are four tones")
        };
        let (row, column) = (loudest(0..4), loudest(4..8));
        let row_power = tone_power(row, window[row], previous[row])?;
        let column_power = tone_power(column, window[column], previous[column])?;
        let loud = row_power.min(column_power) >= SOFTEST;
        let balanced = row_power <= column_power * ROW_OVER_COLUMN && column_power <= row_power * COLUMN_OVER_ROW;
        let pure = row_power + column_power >= power * PURITY;
        (loud && balanced && pure).then(|| KEYS[row][column - 4])
    }

    /// The correlation of the whole window with the eight frequencies.
    fn window(&self) -> [Complex; TONES] {
        // Horner's rule: every step turns what is later in the window by one block more.
        let turns = &TABLES.turns;
        self.spectra.iter().rev().fold([Complex::default(); TONES], |later, spectrum| {
            std::array::from_fn(|tone| Complex {
                re: spectrum.re[tone] + later[tone].re * turns[tone].re - later[tone].im * turns[tone].im,
                im: spectrum.im[tone] + later[tone].re * turns[tone].im + later[tone].im * turns[tone].re,
            })
        })
    }

    fn decide(&mut self, heard: Option<char>, tell: &mut impl FnMut(KeyTone)) {
        let (start, end) = (self.position.saturating_sub(WINDOW as u64), self.position);
        if let Some(press) = self.pressed.as_mut().filter(|press| heard == Some(press.key)) {
            press.end = end;
            self.misses = 0;
            self.candidate = None;
            return;
        }
        self.misses += 1;
        self.candidate = heard.map(|key| match self.candidate {
            Some((hits, press)) if press.key == key => (hits + 1, Press { end, ..press }),
            Some(_) | None => (1, Press { key, start, end }),
        });
        let next = self.candidate.filter(|&(hits, _)| hits >= HITS).map(|(_, press)| press);
        let over = next.is_some() || self.misses >= MISSES;
        if let Some(Press { key, start, end }) = self.pressed.take_if(|_| over) {
            tell(KeyTone::Up { key, start, end });
        }
        if let Some(press) = next {
            tell(KeyTone::Down { key: press.key, start: press.start });
            self.pressed = Some(press);
            self.candidate = None;
            self.misses = 0;
        }
    }
}

impl Default for Detector {
    fn default() -> Self {
        Self::new()
    }
}

/// A block's correlation with the eight frequencies, rows first, from its own first sample.
#[derive(Clone, Copy, Debug, Default)]
struct Spectrum {
    re: [f32; TONES],
    im: [f32; TONES],
    power: f32,
}

impl Spectrum {
    fn of(block: &[i16; BLOCK]) -> Self {
        // Both sums are exact: 40 squares of 16-bit numbers fit in 36 bits.
        let (sum, squares) = block.iter().fold((0_i32, 0_i64), |(sum, squares), &sample| {
            (sum + i32::from(sample), squares + i64::from(i32::from(sample) * i32::from(sample)))
        });
        let mean = sum as f32 / BLOCK as f32;
        let power = squares as f32 / BLOCK as f32 - mean * mean;
        // A block that is silent for itself adds nothing to a window either.
        if power < SOFTEST / 16.0 {
            return Self { power, ..Self::default() };
        }
        let tables = &*TABLES;
        let (mut re, mut im) = ([0.0; TONES], [0.0; TONES]);
        for (&sample, (cosines, sines)) in block.iter().zip(tables.cosines.iter().zip(&tables.sines)) {
            let sample = f32::from(sample) - mean;
            for (re, cosine) in re.iter_mut().zip(cosines) {
                *re += sample * cosine;
            }
            for (im, sine) in im.iter_mut().zip(sines) {
                *im -= sample * sine;
            }
        }
        Self { re, im, power }
    }
}

/// The power of the sine that a window holds near a nominal frequency, if it is near enough.
fn tone_power(tone: usize, window: Complex, previous: Complex) -> Option<f32> {
    // The phase that a sine gains in a block, less what the nominal frequency gains in it.
    let gain = window.times(previous.conjugate()).times(TABLES.turns[tone]);
    let offset = gain.im.atan2(gain.re) / (2.0 * PI) * SAMPLE_RATE as f32 / BLOCK as f32;
    if gain == Complex::default() || offset.abs() > TOLERANCE * FREQUENCIES[tone] as f32 {
        return None;
    }
    // Off the nominal frequency a window shows less than there is.
    let angle = PI * offset * WINDOW as f32 / SAMPLE_RATE as f32;
    let shown = if angle.abs() < 0.01 { 1.0 } else { angle.sin() / angle };
    Some(2.0 * window.squared() / (shown * WINDOW as f32).powi(2))
}

const FREQUENCIES: [f64; TONES] = [ROWS[0], ROWS[1], ROWS[2], ROWS[3], COLUMNS[0], COLUMNS[1], COLUMNS[2], COLUMNS[3]];

/// What the eight frequencies do in a block, sample by sample, and in a whole block.
struct Tables {
    cosines: [[f32; TONES]; BLOCK],
    sines: [[f32; TONES]; BLOCK],
    turns: [Complex; TONES],
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let angle = |sample: usize, tone: usize| TAU * FREQUENCIES[tone] * sample as f64 / f64::from(SAMPLE_RATE);
    Tables {
        cosines: std::array::from_fn(|sample| std::array::from_fn(|tone| angle(sample, tone).cos() as f32)),
        sines: std::array::from_fn(|sample| std::array::from_fn(|tone| angle(sample, tone).sin() as f32)),
        turns: std::array::from_fn(|tone| Complex { re: angle(BLOCK, tone).cos() as f32, im: -angle(BLOCK, tone).sin() as f32 }),
    }
});

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Complex {
    re: f32,
    im: f32,
}

impl Complex {
    fn times(self, other: Self) -> Self {
        Self { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }

    fn conjugate(self) -> Self {
        Self { im: -self.im, ..self }
    }

    fn squared(self) -> f32 {
        self.re * self.re + self.im * self.im
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::audio::{
        law::Law,
        samples_in,
        testing::{mixed, noise, speech},
        tone::{self, Sine},
    };

    const ALL_KEYS: &str = "0123456789*#ABCD";

    #[test]
    fn every_key_is_heard_once_and_where_it_was_pressed() {
        for law in Law::ALL {
            for key in ALL_KEYS.chars() {
                let call = [vec![0; 1234], press(key, 100, 0.0, 0.0), vec![0; 800]].concat();

                let heard = heard(&law.decoded(&law.encoded(&call)));

                let [KeyTone::Down { key: down, start }, KeyTone::Up { key: up, start: same, end }] = heard[..] else {
                    panic!("{key}: {heard:?}");
                };
                assert_eq!((down, up, same), (key, key, start));
                assert!(start.abs_diff(1234) <= 40 && end.abs_diff(1234 + 800) <= 40, "{key}: {start} to {end}");
            }
        }
    }

    #[test]
    fn a_key_is_told_within_forty_milliseconds() {
        for offset in 0..40 {
            let mut detector = Detector::new();
            detector.push(&vec![0; 400 + offset], |_| {});
            detector.push(&press('5', 40, 0.0, 0.0), |_| {});

            assert_eq!(detector.pressed(), Some('5'), "offset {offset}");
        }
    }

    #[test]
    fn forty_milliseconds_are_a_key_and_twenty_three_are_none() {
        for key in ALL_KEYS.chars() {
            for offset in 0..40 {
                let call = |length| [vec![0; 400 + offset], press(key, length, 0.0, 0.0), vec![0; 400]].concat();

                assert_eq!(keys(&call(40)), key.to_string(), "offset {offset}");
                assert_eq!(keys(&call(23)), "", "offset {offset}");
            }
        }
    }

    #[test]
    fn forty_milliseconds_part_two_presses_and_ten_do_not() {
        for offset in 0..40 {
            let call = |pause: usize| {
                let press = press('7', 60, 0.0, 0.0);
                [vec![0; 400 + offset], press.clone(), vec![0; pause * 8], press, vec![0; 400]].concat()
            };

            assert_eq!(keys(&call(40)), "77", "offset {offset}");
            assert_eq!(keys(&call(10)), "7", "offset {offset}");
        }
    }

    #[test]
    fn a_number_dialled_as_fast_as_is_allowed_is_heard() {
        let number = "0147*2580#369ABCD";
        let call: Vec<i16> = number.chars().flat_map(|key| [press(key, 40, 0.0, 0.0), vec![0; 320]].concat()).collect();

        assert_eq!(keys(&call), number);
    }

    #[test]
    fn one_key_after_another_without_a_pause_is_two_keys() {
        let call = [press('1', 80, 0.0, 0.0), press('9', 80, 0.0, 0.0), vec![0; 400]].concat();

        assert_eq!(keys(&call), "19");
    }

    #[test]
    fn frequencies_may_be_off_by_a_little() {
        for key in ALL_KEYS.chars() {
            for row_off in [-0.015, 0.0, 0.015] {
                for column_off in [-0.015, 0.0, 0.015] {
                    assert_eq!(
                        keys(&[press(key, 60, row_off, column_off), vec![0; 400]].concat()),
                        key.to_string(),
                        "{row_off} {column_off}"
                    );
                }
            }
            for off in [-0.035, 0.035] {
                assert_eq!(keys(&press(key, 200, off, 0.0)), "", "{key}: row {off}");
                assert_eq!(keys(&press(key, 200, 0.0, off)), "", "{key}: column {off}");
            }
        }
    }

    #[test]
    fn one_tone_may_be_softer_than_the_other() {
        let pressed = |key, row_level, column_level| [levels(key, 60, row_level, column_level), vec![0; 400]].concat();
        for key in ALL_KEYS.chars() {
            for (row_level, column_level) in [(-8.0, -16.0), (-12.0, -8.0), (-20.0, -28.0), (-28.0, -28.0)] {
                for law in Law::ALL {
                    let call = law.decoded(&law.encoded(&pressed(key, row_level, column_level)));
                    assert_eq!(keys(&call), key.to_string(), "{row_level} {column_level}");
                }
            }
            for (row_level, column_level) in [(-8.0, -20.0), (-17.0, -8.0), (-40.0, -40.0), (-8.0, -60.0), (-60.0, -8.0)] {
                assert_eq!(keys(&pressed(key, row_level, column_level)), "", "{row_level} {column_level}");
            }
        }
    }

    #[test]
    fn off_frequency_and_unequal_at_once_is_still_a_key() {
        for key in ALL_KEYS.chars() {
            for off in [-0.015, 0.015] {
                let sines = sines(key, (-8.0, -15.0), (off, -off));
                assert_eq!(keys(&[tone_of(&sines, 60), vec![0; 400]].concat()), key.to_string(), "{off}");
            }
        }
    }

    #[test]
    fn keys_are_heard_through_noise() {
        let number = "159#0*357A";
        let dialled: Vec<i16> = number.chars().flat_map(|key| [press(key, 60, 0.0, 0.0), vec![0; 640]].concat()).collect();

        // The tones have -7 dB together.
        let call = mixed(&noise(1.5, -22.0), &dialled);

        assert_eq!(keys(&call), number);
    }

    #[test]
    fn keys_are_heard_through_the_echo_of_a_prompt() {
        let number = "159#0*357A";
        let dialled: Vec<i16> = number.chars().flat_map(|key| [press(key, 80, 0.0, 0.0), vec![0; 640]].concat()).collect();

        let call = mixed(&speech(2.0, -30.0), &dialled);

        assert_eq!(keys(&call), number);
    }

    #[test]
    fn no_voice_or_noise_is_a_key() {
        for level in [-10.0, -20.0, -30.0] {
            assert_eq!(keys(&speech(40.0, level)), "", "speech at {level} dB");
            assert_eq!(keys(&noise(20.0, level)), "", "noise at {level} dB");
        }
    }

    #[test]
    fn our_own_tones_are_no_keys() {
        assert_eq!(keys(&tone::beep()), "");
        assert_eq!(keys(&tone::busy(Duration::from_secs(2))), "");
        for frequency in ROWS.into_iter().chain(COLUMNS) {
            assert_eq!(keys(&tone::tone(&[Sine { frequency, level: -10.0 }], Duration::from_secs(1))), "", "{frequency}");
        }
        for steady in [0, i16::MAX, i16::MIN] {
            assert_eq!(keys(&[steady; 1600]), "");
        }
    }

    #[test]
    fn a_dial_tone_is_no_key() {
        let dial_tone = [350.0, 440.0].map(|frequency| Sine { frequency, level: -13.0 });

        assert_eq!(keys(&tone::tone(&dial_tone, Duration::from_secs(1))), "");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn how_the_samples_are_cut_changes_nothing(cuts in proptest::collection::vec(1_usize..400, 1..50)) {
            let call = [press('3', 70, 0.0, 0.0), vec![0; 500], press('#', 70, 0.0, 0.0), vec![0; 500]].concat();
            let mut detector = Detector::new();
            let mut in_pieces = Vec::new();
            let mut rest = &call[..];
            for cut in cuts.into_iter().cycle() {
                let (now, later) = rest.split_at(cut.min(rest.len()));
                detector.push(now, |event| in_pieces.push(event));
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }

            prop_assert_eq!(in_pieces, heard(&call));
        }

        /// Downs and ups alternate, in order of time, whatever comes in.
        #[test]
        fn every_key_that_goes_down_comes_up(pieces in proptest::collection::vec((0_usize..20, 5_u64..120), 0..20)) {
            let call: Vec<i16> = pieces
                .into_iter()
                .flat_map(|(key, length)| match ALL_KEYS.chars().nth(key) {
                    Some(key) => press(key, length, 0.0, 0.0),
                    None => noise(length as f64 / 1000.0, -8.0),
                })
                .chain(vec![0; 400])
                .collect();

            let mut down = None;
            let mut last = 0;
            for event in heard(&call) {
                match event {
                    KeyTone::Down { key, start } => {
                        prop_assert_eq!(down.replace((key, start)), None);
                        prop_assert!(start + 160 >= last);
                    }
                    KeyTone::Up { key, start, end } => {
                        prop_assert_eq!(down.take(), Some((key, start)));
                        prop_assert!(start < end && end <= call.len() as u64);
                        last = end;
                    }
                }
            }
            prop_assert_eq!(down, None);
        }
    }

    fn heard(samples: &[i16]) -> Vec<KeyTone> {
        let mut events = Vec::new();
        Detector::new().push(samples, |event| events.push(event));
        events
    }

    fn keys(samples: &[i16]) -> String {
        let downs = heard(samples).into_iter().filter_map(|event| match event {
            KeyTone::Down { key, .. } => Some(key),
            KeyTone::Up { .. } => None,
        });
        downs.collect()
    }

    fn press(key: char, millis: u64, row_off: f64, column_off: f64) -> Vec<i16> {
        tone_of(&sines(key, (-10.0, -10.0), (row_off, column_off)), millis)
    }

    fn levels(key: char, millis: u64, row_level: f64, column_level: f64) -> Vec<i16> {
        tone_of(&sines(key, (row_level, column_level), (0.0, 0.0)), millis)
    }

    fn sines(key: char, levels: (f64, f64), off: (f64, f64)) -> [Sine; 2] {
        let (row, column) = tone::row_and_column(key).unwrap();
        [
            Sine { frequency: ROWS[row] * (1.0 + off.0), level: levels.0 },
            Sine { frequency: COLUMNS[column] * (1.0 + off.1), level: levels.1 },
        ]
    }

    /// Without ramps: the hardest case.
    fn tone_of(sines: &[Sine], millis: u64) -> Vec<i16> {
        let count = samples_in(Duration::from_millis(millis));
        let sample = |n: u64| {
            let time = n as f64 / f64::from(SAMPLE_RATE);
            let values = sines.iter().map(|sine| 10_f64.powf(sine.level / 20.0) * (TAU * sine.frequency * time).sin());
            (32_767.0 * values.sum::<f64>()).round() as i16
        };
        (0..count).map(sample).collect()
    }
}
