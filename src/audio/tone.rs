//! Tones we make: the beep, keys, and the busy tone.

use std::{f64::consts::TAU, time::Duration};

use super::{SAMPLE_RATE, samples_in};

/// How long the beep before a recording is.
pub const BEEP: Duration = Duration::from_millis(400);

/// Frequencies of the rows of a keypad, in hertz (ITU-T Q.23).
pub const ROWS: [f64; 4] = [697.0, 770.0, 852.0, 941.0];

/// Frequencies of the columns of a keypad, in hertz.
pub const COLUMNS: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];

/// The keys, by row and column.
pub const KEYS: [[char; 4]; 4] = [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// One sine of a tone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sine {
    /// In hertz.
    pub frequency: f64,
    /// In dB relative to the loudest possible sine.
    pub level: f64,
}

/// A tone of several sines, that fades in and out for 5 ms so that it neither clicks nor spreads over the spectrum.
#[must_use]
pub fn tone(sines: &[Sine], length: Duration) -> Vec<i16> {
    const RAMP: f64 = 0.005 * SAMPLE_RATE as f64;
    let count = usize::try_from(samples_in(length)).unwrap_or(usize::MAX);
    (0..count)
        .map(|n| {
            let edge = n.min(count - 1 - n) as f64 + 0.5;
            let fade = if edge < RAMP { (1.0 - (TAU / 2.0 * edge / RAMP).cos()) / 2.0 } else { 1.0 };
            (fade * sum(sines, n)).round() as i16
        })
        .collect()
}

/// The beep: 1000 Hz at -12 dB, [`BEEP`] long.
///
/// Clear of every keypad frequency by 6 %, so its echo is no key.
#[must_use]
pub fn beep() -> Vec<i16> {
    tone(&[Sine { frequency: 1000.0, level: -12.0 }], BEEP)
}

/// A key's tone at -10 dB a frequency, without ramps as a telephone makes it; `None` when there is no such key.
#[must_use]
pub fn key(key: char, length: Duration) -> Option<Vec<i16>> {
    let (row, column) = row_and_column(key)?;
    let sines = [Sine { frequency: ROWS[row], level: -10.0 }, Sine { frequency: COLUMNS[column], level: -10.0 }];
    Some((0..usize::try_from(samples_in(length)).ok()?).map(|n| sum(&sines, n).round() as i16).collect())
}

/// The busy tone of most of Europe: 425 Hz, half a second on and half a second off, `length` in all.
#[must_use]
pub fn busy(length: Duration) -> Vec<i16> {
    const HALF: usize = SAMPLE_RATE as usize / 2;
    let mut period = tone(&[Sine { frequency: 425.0, level: -13.0 }], Duration::from_millis(500));
    period.resize(2 * HALF, 0);
    period.into_iter().cycle().take(usize::try_from(samples_in(length)).unwrap_or(usize::MAX)).collect()
}

/// Where a key is on the keypad.
#[must_use]
pub fn row_and_column(key: char) -> Option<(usize, usize)> {
    KEYS.iter().enumerate().find_map(|(row, keys)| Some((row, keys.iter().position(|&k| k == key)?)))
}

fn sum(sines: &[Sine], n: usize) -> f64 {
    let time = n as f64 / f64::from(SAMPLE_RATE);
    sines.iter().map(|sine| f64::from(i16::MAX) * 10_f64.powf(sine.level / 20.0) * (TAU * sine.frequency * time).sin()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beep_starts_and_ends_softly() {
        let beep = beep();

        assert_eq!(beep.len(), 3200);
        assert!(beep[0].abs() < 50 && beep[3199].abs() < 50);
        let loudest = beep.iter().map(|sample| sample.abs()).max().unwrap();
        assert!((8000..8400).contains(&loudest), "{loudest}");
        assert!(beep.windows(2).all(|pair| pair[0].abs_diff(pair[1]) < 6600), "no clicks");
    }

    #[test]
    fn every_key_has_a_tone_that_does_not_clip() {
        for key in "0123456789*#ABCD".chars() {
            let tone = self::key(key, Duration::from_millis(100)).unwrap();

            assert_eq!(tone.len(), 800);
            assert!(tone.iter().all(|sample| sample.abs() < 21_000));
        }
        assert_eq!(key('E', Duration::from_millis(100)), None);
    }

    #[test]
    fn the_busy_tone_is_half_silent() {
        let busy = busy(Duration::from_secs(3));

        assert_eq!(busy.len(), 24_000);
        assert_eq!(busy[4000..8000], [0; 4000]);
        assert!(busy[8000..12_000].iter().any(|&sample| sample != 0));
    }
}
