//! Asking a caller for a key, or for digits: said once, again twice if nothing comes, then given up.

use std::{fmt, time::Duration};

use super::{
    Input, Item,
    keymap::Digit,
    session::{Call, Wait},
};

/// How long a caller may think about a menu.
const FIRST_KEY: Duration = Duration::from_secs(5);
/// How long after a digit its entry is taken as complete.
const NEXT_DIGIT: Duration = Duration::from_secs(4);
/// How often a silent caller is asked again.
const ASKED_AGAIN: u32 = 2;
/// More digits than this are no entry; they are dropped.
const LONGEST_ENTRY: usize = 40;

/// A menu that was put to the caller.
#[derive(Debug)]
pub(super) struct Asking {
    again: Vec<Item>,
    asked_again: u32,
    speaking: bool,
}

impl Asking {
    /// Says `preface` and `menu`; what is said again is only the menu.
    pub fn begin(call: &mut Call, preface: Vec<Item>, menu: Vec<Item>) -> Self {
        call.ask_caller([preface, menu.clone()].concat());
        Self { again: menu, asked_again: 0, speaking: true }
    }

    /// Notes that the phrase is over, or was stopped by a key.
    pub fn silent(self) -> Self {
        Self { speaking: false, ..self }
    }

    /// Asks again, after `preface`; what was not understood does not count as silence.
    pub fn repeat(self, call: &mut Call, preface: Vec<Item>) -> Self {
        Self::begin(call, preface, self.again)
    }

    /// Asks once more, or gives up.
    pub fn nothing_came(self, call: &mut Call) -> Option<Self> {
        if self.asked_again == ASKED_AGAIN {
            return None;
        }
        call.ask_caller(self.again.clone());
        Some(Self { asked_again: self.asked_again + 1, speaking: true, ..self })
    }

    pub fn wait(&self) -> Wait {
        if self.speaking { Wait::Phrase } else { Wait::Keys(FIRST_KEY) }
    }
}

/// Digits that the caller was asked to type.
pub(super) struct DigitEntry {
    asking: Asking,
    typed: String,
}

/// What is typed may be a passcode.
impl fmt::Debug for DigitEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DigitEntry").field("asking", &self.asking).finish_non_exhaustive()
    }
}

/// What came of an input to a [`DigitEntry`].
pub(super) enum Typed {
    /// More is awaited.
    More(DigitEntry),
    /// `#`, or a pause after digits. May be empty.
    Complete(String),
    /// `*` before any digit.
    Back,
    /// Nothing came, however often it was asked.
    Silence,
}

impl DigitEntry {
    pub fn begin(call: &mut Call, preface: Vec<Item>, question: Vec<Item>) -> Self {
        Self { asking: Asking::begin(call, preface, question), typed: String::new() }
    }

    /// What comes of an input, where a hang-up is like silence.
    pub fn step(self, input: Input, call: &mut Call) -> Typed {
        match input {
            Input::Digit(digit) => self.digit(digit, call),
            Input::PlaybackDone | Input::PlaybackFailed => self.silent(),
            Input::Timeout => self.nothing_came(call),
            Input::Hangup => Typed::Silence,
            Input::RecordingDone { .. } | Input::Answer(_) => Typed::More(self),
        }
    }

    fn digit(mut self, digit: Digit, call: &mut Call) -> Typed {
        self.asking = self.asking.silent();
        match digit {
            Digit::Pound => Typed::Complete(self.typed),
            Digit::Star if self.typed.is_empty() => Typed::Back,
            Digit::Star => {
                self.typed.clear();
                self.asking = self.asking.repeat(call, vec![]);
                Typed::More(self)
            }
            digit => {
                if self.typed.len() < LONGEST_ENTRY {
                    self.typed.push(digit.as_char());
                }
                Typed::More(self)
            }
        }
    }

    fn silent(self) -> Typed {
        Typed::More(Self { asking: self.asking.silent(), ..self })
    }

    fn nothing_came(self, call: &mut Call) -> Typed {
        if !self.typed.is_empty() {
            return Typed::Complete(self.typed);
        }
        match self.asking.nothing_came(call) {
            Some(asking) => Typed::More(Self { asking, typed: String::new() }),
            None => Typed::Silence,
        }
    }

    /// What was typed so far.
    pub fn typed(&self) -> &str {
        &self.typed
    }

    pub fn wait(&self) -> Wait {
        if self.typed.is_empty() { self.asking.wait() } else { Wait::Keys(NEXT_DIGIT) }
    }
}
