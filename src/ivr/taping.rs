//! From "after the tone" to the end of a recording, for whatever somebody with a mailbox records.

use std::time::Duration;

use super::{
    Answer, Effect, Input, Item, Question, RecordKind, RecordingEnd,
    keymap::{Meaning, TapingAction},
    session::{Call, Wait},
};
use crate::domain::id::MailboxId;

/// What is to be recorded.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub kind: RecordKind,
    pub mailbox: MailboxId,
    pub longest: Duration,
}

/// One recording in progress.
#[derive(Debug)]
pub(super) struct Taping {
    wanted: Wanted,
    state: State,
}

#[derive(Debug)]
enum State {
    Instruction,
    Preparing,
    Beep,
    Recording,
}

/// What came of an input.
#[derive(Debug)]
pub(super) enum Step {
    More(Taping),
    Done(Outcome),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Something was recorded; it was neither discarded nor taken over yet.
    Recorded {
        kept: Duration,
        ended_by: RecordingEnd,
    },
    /// Before anything was recorded.
    Cancelled,
    /// It cannot be recorded.
    NotDone,
    MailboxGone,
}

impl Taping {
    /// Says what is to be said; then comes the tone.
    pub fn begin(call: &mut Call, wanted: Wanted, instruction: Vec<Item>) -> Self {
        call.tell(instruction);
        Self { wanted, state: State::Instruction }
    }

    /// The tone comes at once.
    pub fn again(call: &mut Call, wanted: Wanted) -> Self {
        call.ask(Question::PrepareRecording { kind: wanted.kind, mailbox: wanted.mailbox.clone(), also: vec![] });
        Self { wanted, state: State::Preparing }
    }

    pub fn wait(&self) -> Wait {
        match &self.state {
            State::Instruction | State::Beep => Wait::Phrase,
            State::Preparing => Wait::Answer,
            State::Recording => Wait::Recording(self.wanted.longest),
        }
    }

    pub fn step(self, input: Input, call: &mut Call) -> Step {
        match self.state {
            State::Instruction => self.instruction(input, call),
            State::Preparing => self.preparing(input, call),
            State::Beep => self.beep(input, call),
            State::Recording => self.recording(input, call),
        }
    }

    fn instruction(self, input: Input, call: &mut Call) -> Step {
        match input {
            Input::Digit(digit) => match call.key(call.keys().taping, digit) {
                Meaning::Does(TapingAction::Begin) => {
                    call.effect(Effect::StopPlaying);
                    Step::More(Self::again(call, self.wanted))
                }
                Meaning::Does(TapingAction::Cancel) => Step::Done(Outcome::Cancelled),
                Meaning::Begins | Meaning::Nothing => self.at(State::Instruction),
            },
            Input::PlaybackDone | Input::PlaybackFailed | Input::Timeout => Step::More(Self::again(call, self.wanted)),
            Input::Hangup => Step::Done(Outcome::Cancelled),
            Input::RecordingDone { .. } | Input::Answer(_) => self.at(State::Instruction),
        }
    }

    fn preparing(self, input: Input, call: &mut Call) -> Step {
        match input {
            Input::Answer(Answer::RecordingReady) => {
                call.beep();
                self.at(State::Beep)
            }
            Input::Answer(Answer::MailboxGone) => Step::Done(Outcome::MailboxGone),
            Input::Answer(_) => Step::Done(Outcome::NotDone),
            Input::Timeout => {
                call.excuse();
                self.at(State::Preparing)
            }
            Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
                self.at(State::Preparing)
            }
        }
    }

    fn beep(self, input: Input, call: &mut Call) -> Step {
        match input {
            Input::Digit(digit) => match call.key(call.keys().taping, digit) {
                Meaning::Does(TapingAction::Cancel) => Self::cancelled(call),
                Meaning::Does(TapingAction::Begin) | Meaning::Begins | Meaning::Nothing => self.at(State::Beep),
            },
            Input::Hangup => Self::cancelled(call),
            Input::PlaybackDone | Input::PlaybackFailed | Input::Timeout => {
                call.record(self.wanted.kind, self.wanted.longest);
                self.at(State::Recording)
            }
            Input::RecordingDone { .. } | Input::Answer(_) => self.at(State::Beep),
        }
    }

    /// What was prepared is not wanted.
    fn cancelled(call: &mut Call) -> Step {
        call.discard_recording();
        Step::Done(Outcome::Cancelled)
    }

    fn recording(self, input: Input, call: &mut Call) -> Step {
        match input {
            Input::RecordingDone { kept, ended_by } => Step::Done(Outcome::Recorded { kept, ended_by }),
            Input::Digit(digit) => {
                // An end digit that did not come in the media stream, such as one by INFO.
                if call.keys().end_recording.contains(&digit) {
                    call.stop_recording();
                }
                self.at(State::Recording)
            }
            Input::Timeout | Input::Hangup => {
                call.stop_recording();
                self.at(State::Recording)
            }
            Input::PlaybackDone | Input::PlaybackFailed | Input::Answer(_) => self.at(State::Recording),
        }
    }

    fn at(self, state: State) -> Step {
        Step::More(Self { state, ..self })
    }
}
