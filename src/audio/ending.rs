//! Where a message really ends: before the busy tone that a network adds when the caller is gone, before the key that ended it,
//! and before the silence at its end.
//!
//! What sounds like a voice is never an end. When in doubt nothing is cut: a second too much of a busy tone is a nuisance, a
//! word too little is a loss.

use std::{ops::Range, sync::LazyLock};

use super::{
    FRAME_SAMPLES,
    level::level,
    sines::Sines,
    tone::{COLUMNS, ROWS},
};

/// What was found in a message at 8000 Hz.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    /// How many samples of its start are the message.
    pub kept: usize,
    /// Whether a tone or a key was what ended it, so that no sample may be kept beyond.
    pub is_sharp: bool,
    /// What is in the part that remains.
    pub voice: Voice,
}

/// How much silence is kept after the last sound, because words end softly: half a second.
const AFTER_LAST: usize = 25;
/// How often an end is looked for behind another.
const ROUNDS: usize = 6;

/// Finds the end of a message, of which there are the samples and the levels of its frames.
pub(super) fn find(samples: &[i16], levels: &[f32]) -> Ending {
    let (mut end, mut is_sharp) = (samples.len(), false);
    for _ in 0..ROUNDS {
        let Some(start) = tones_start(&samples[..end], levels).or_else(|| key_start(&samples[..end])) else { break };
        (end, is_sharp) = (start, true);
    }
    let voice = Voice::of(&levels[..(end / FRAME_SAMPLES).min(levels.len())]);
    match voice.last {
        Some(last) if (last + AFTER_LAST) * FRAME_SAMPLES < end => {
            Ending { kept: (last + AFTER_LAST) * FRAME_SAMPLES, is_sharp: false, voice }
        }
        Some(_) | None => Ending { kept: end, is_sharp, voice },
    }
}

/// The levels of whole frames, in dB as [`level`] has them.
pub(super) fn levels(samples: &[i16]) -> Vec<f32> {
    samples.chunks_exact(FRAME_SAMPLES).map(level).collect()
}

/// What stands out from the background of a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Voice {
    /// The background, in dB.
    pub background: f32,
    /// What is louder than this stands out from it, in dB.
    pub least: f32,
    /// Whether anything in it, however short, is loud enough to be a voice.
    pub audible: bool,
    /// How many frames stand out from it and are no clicks.
    pub frames: usize,
    /// The number of the frame after the last of them; none when nothing stands out clearly, so that nobody can tell.
    pub last: Option<usize>,
}

/// What is below this came from no microphone.
const NOTHING: f32 = -80.0;
/// Between these the background is looked for. Above, it could be music.
const SOFTEST_BACKGROUND: f32 = -72.0;
const LOUDEST_BACKGROUND: f32 = -42.0;
/// A sound is so much louder than the background.
const ABOVE_BACKGROUND: f32 = 6.0;
/// And the loudest fifth of a second of a voice is so much louder than the background.
const RANGE: f32 = 12.0;
const LOUDEST_FRAMES: usize = 10;
/// So many frames that stand out are a word.
const WORD: usize = 8;
/// What is softer than this, in dB, nobody could understand.
const WHISPER: f32 = -55.0;

impl Voice {
    pub fn of(levels: &[f32]) -> Self {
        let mut sorted: Vec<f32> = levels.iter().map(|level| level.max(NOTHING)).collect();
        sorted.sort_by(f32::total_cmp);
        let (Some(background), Some(top)) =
            (sorted.get(sorted.len() / 10).copied(), sorted.get(sorted.len().saturating_sub(LOUDEST_FRAMES)).copied())
        else {
            return Self { background: NOTHING, least: NOTHING, audible: false, frames: 0, last: None };
        };
        let audible = sounds(levels, WHISPER).next().is_some();
        let least = background.clamp(SOFTEST_BACKGROUND, LOUDEST_BACKGROUND) + ABOVE_BACKGROUND;
        if top - background < RANGE || top < least {
            return Self { background, least, audible, frames: 0, last: None };
        }
        let (mut frames, mut last) = (0, None);
        for at in sounds(levels, least) {
            frames += 1;
            if levels[at] > least {
                last = Some(at + 1);
            }
        }
        Self { background, least, audible, frames, last }
    }

    /// Whether somebody has said something, as far as that can be told from the background.
    pub fn said_something(self) -> bool {
        self.frames >= WORD
    }

    /// Whether certainly nobody has: not even a whisper is so soft.
    pub fn is_silence(self) -> bool {
        !self.audible
    }
}

/// The numbers of the frames that end a sound louder than this: three loud frames of the last five are one, fewer are a click.
fn sounds(levels: &[f32], louder_than: f32) -> impl Iterator<Item = usize> {
    let recent = levels.iter().scan(0_u8, move |recent, level| {
        *recent = *recent << 1 | u8::from(*level > louder_than);
        Some(*recent)
    });
    recent.enumerate().filter(|(_, recent)| (recent & 0b1_1111).count_ones() >= 3).map(|(at, _)| at)
}

/// 40 ms, looked at every 20 ms.
const WINDOW: usize = 2 * FRAME_SAMPLES;
/// How pure a tone is where it is first looked for, and where it goes on.
const PURITY: f32 = 0.95;
const GOES_ON: f32 = 0.93;
/// A softer tone is none, in dB.
const SOFTEST_TONE: f32 = -48.0;
/// A tone keeps its level, to so many dB.
const STEADY: f32 = 3.0;
/// Its pauses are so many dB softer.
const PAUSE_BELOW: f32 = 12.0;
/// The longest pause between two beeps of a busy tone: 1.2 s.
const LONGEST_PAUSE: usize = 60;
/// Windows over the edge of a beep, which hold both tone and pause.
const EDGE: usize = 3;
/// Windows of a beep at least, all windows of two beeps, and of one without pause: half a second.
const BEEP: usize = 3;
const BEEPS: usize = 12;
const STEADY_TONE: usize = 24;
/// How many windows are tried for a tone.
const TRIES: usize = 12;

/// Where the tones begin that a recording ends in: a busy or congestion tone, a dial tone, or whatever else beeps steadily.
fn tones_start(samples: &[i16], levels: &[f32]) -> Option<usize> {
    let windows = (samples.len() / FRAME_SAMPLES).min(levels.len()).checked_sub(1)?;
    let window = |at: usize| &samples[at * FRAME_SAMPLES..at * FRAME_SAMPLES + WINDOW];
    let loudness = |at: usize| level(window(at));
    let near = windows.saturating_sub(LONGEST_PAUSE + BEEP)..windows;
    let loudest = near.clone().map(|at| levels[at].min(levels[at + 1])).fold(f32::NEG_INFINITY, f32::max);
    if loudest < SOFTEST_TONE {
        return None;
    }
    let loud = near.rev().filter(|&at| levels[at].min(levels[at + 1]) > loudest - STEADY);
    let (tone, tone_level) = loud.take(TRIES).find_map(|at| Some((Sines::of(window(at), PURITY)?, loudness(at))))?;

    // Back from the end, as long as there is nothing but the tone and its pauses.
    let mut beeps: Vec<Range<usize>> = Vec::new();
    let (mut other, mut pause) = (0, 0);
    for at in (0..windows).rev() {
        let its_level = loudness(at);
        if (its_level - tone_level).abs() <= STEADY && tone.share(window(at)) >= GOES_ON {
            match beeps.last_mut() {
                Some(beep) if beep.start == at + 1 => beep.start = at,
                _ => beeps.push(at..at + 1),
            }
            (other, pause) = (0, 0);
        } else if its_level <= tone_level - PAUSE_BELOW {
            other = 0;
            pause += 1;
        } else {
            other += 1;
        }
        if other > EDGE || pause > LONGEST_PAUSE {
            break;
        }
    }
    beeps.retain(|beep| beep.len() >= BEEP);
    let all: usize = beeps.iter().map(ExactSizeIterator::len).sum();
    let is_tone = (beeps.len() >= 2 && all >= BEEPS) || beeps.iter().any(|beep| beep.len() >= STEADY_TONE);
    let first = beeps.last().filter(|_| is_tone)?;
    Some(onset(samples, first.start * FRAME_SAMPLES))
}

/// Where a tone that is there at `start` begins, to some milliseconds: up to 40 ms earlier, as long as it is no softer.
fn onset(samples: &[i16], start: usize) -> usize {
    const STEP: usize = 40;
    let least = level(&samples[start..start + FRAME_SAMPLES]) - 6.0;
    let mut onset = start;
    while onset >= STEP && start - onset < WINDOW && level(&samples[onset - STEP..onset]) > least {
        onset -= STEP;
    }
    // All of it sounded: then it is something else that the tone follows, of which nothing is cut.
    if start - onset >= WINDOW { start } else { onset.saturating_sub(STEP) }
}

/// 20 ms, looked at every 5 ms.
const KEY_WINDOW: usize = FRAME_SAMPLES;
const KEY_STEP: usize = FRAME_SAMPLES / 4;
/// How much of the energy a key's two frequencies have, and the weaker one of them.
const KEY_PURITY: f32 = 0.93;
const WEAKER: f32 = 0.08;
/// So many windows in a row are a key; nobody has heard a vowel that is one for 35 ms.
const KEY_WINDOWS: usize = 4;
/// How long before the end of a recording a key may have been pressed: 1 s.
const KEY_REACH: usize = 50 * FRAME_SAMPLES;
/// What follows a key, at most: 120 ms of anything, or silence.
const AFTER_KEY: usize = 6 * FRAME_SAMPLES;

/// The sixteen keys.
static KEYS: LazyLock<Vec<Sines>> = LazyLock::new(|| {
    let keys = ROWS.iter().flat_map(|row| COLUMNS.iter().map(|column| [*row, *column]));
    keys.map(|key| Sines::new(&key, KEY_WINDOW)).collect()
});

/// Where the tone of a key begins with which a recording ends, or what telephone-events have left of it.
fn key_start(samples: &[i16]) -> Option<usize> {
    let reach = samples.len().saturating_sub(KEY_REACH);
    let starts = (reach..(samples.len() + 1).saturating_sub(KEY_WINDOW)).step_by(KEY_STEP);
    let mut run: Option<(usize, Range<usize>)> = None;
    // The latest is the one that ended it.
    for start in starts.rev() {
        let window = &samples[start..start + KEY_WINDOW];
        let key = (level(window) > SOFTEST_TONE).then(|| key_in(window)).flatten();
        match (&mut run, key) {
            (Some((same, range)), Some(key)) if *same == key => range.start = start,
            (Some((_, range)), _) if range.len() >= (KEY_WINDOWS - 1) * KEY_STEP => break,
            (_, Some(key)) => run = Some((key, start..start)),
            (_, None) => run = None,
        }
    }
    let (_, range) = run.filter(|(_, range)| range.len() >= (KEY_WINDOWS - 1) * KEY_STEP)?;
    let after = &samples[range.end + KEY_WINDOW..];
    let is_last =
        after.len() <= AFTER_KEY || after.chunks(FRAME_SAMPLES).filter(|frame| level(frame) > SOFTEST_TONE).count() <= 2;
    is_last.then(|| range.start.saturating_sub(KEY_STEP))
}

/// The key that a window holds nothing else but.
fn key_in(window: &[i16]) -> Option<usize> {
    KEYS.iter().position(|key| {
        let energies = key.energies(window);
        energies.iter().sum::<f32>() >= KEY_PURITY && energies.iter().all(|share| *share >= WEAKER)
    })
}
