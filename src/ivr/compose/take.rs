//! The sender records a message, or an introduction to one: heard and accepted before it is sent.

use std::time::Duration;

use crate::{
    domain::{id::MailboxId, message::Marks, rules, sending::SentKind},
    ivr::{
        Answer, Effect, Input, Item, PromptId, Question, RecordKind, RecordingEnd,
        asking::Asking,
        keymap::{self, Digit, Meaning, SendAction},
        phrase::{self, say},
        session::{Call, Wait},
    },
};

/// How often nothing may be recorded before we give up on the line.
const TRIES: u32 = 3;

/// One recording, from "after the tone" to its acceptance. When it is accepted, it waits to be taken over.
#[derive(Debug)]
pub(super) struct Take {
    kind: SentKind,
    mailbox: MailboxId,
    longest: Duration,
    tries_left: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Instruction,
    Preparing,
    Beep,
    Recording,
    Review(Asking),
}

/// What came of an input.
#[derive(Debug)]
pub(super) enum Step {
    More(Take),
    Done(Outcome),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is to be sent; it was neither discarded nor taken over yet.
    Accepted,
    Cancelled,
    /// It could not be recorded.
    NotDone,
    /// Nobody is there.
    Silence,
    MailboxGone,
}

impl Take {
    pub fn begin(call: &mut Call, kind: SentKind, mailbox: MailboxId, longest: Duration, preface: Vec<Item>) -> Self {
        call.tell([preface, say([instruction(kind)])].concat());
        Self { kind, mailbox, longest, tries_left: TRIES, state: State::Instruction }
    }

    pub fn step(mut self, input: Input, marks: &mut Marks, call: &mut Call) -> Step {
        match std::mem::replace(&mut self.state, State::Instruction) {
            State::Instruction => self.instruction(input, call),
            State::Preparing => self.preparing(input, call),
            State::Beep => self.beep(input, call),
            State::Recording => self.recording(input, call),
            State::Review(asking) => self.review(asking, input, marks, call),
        }
    }

    pub fn wait(&self) -> Wait {
        match &self.state {
            State::Instruction | State::Beep => Wait::Phrase,
            State::Preparing => Wait::Answer,
            State::Recording => Wait::Recording(self.longest),
            State::Review(asking) => asking.wait(),
        }
    }

    fn instruction(self, input: Input, call: &mut Call) -> Step {
        match input {
            Input::Digit(Digit::Star) => Step::Done(Outcome::Cancelled),
            Input::Digit(Digit::Pound) => {
                call.effect(Effect::StopPlaying);
                self.prepare(call)
            }
            Input::PlaybackDone | Input::PlaybackFailed | Input::Timeout => self.prepare(call),
            Input::Hangup => Step::Done(Outcome::Cancelled),
            Input::Digit(_) | Input::RecordingDone { .. } | Input::Answer(_) => self.at(State::Instruction),
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
            Input::Digit(Digit::Star) | Input::Hangup => discarded(Outcome::Cancelled, call),
            Input::PlaybackDone | Input::PlaybackFailed | Input::Timeout => {
                call.record(RecordKind::Letter, self.longest);
                self.at(State::Recording)
            }
            Input::Digit(_) | Input::RecordingDone { .. } | Input::Answer(_) => self.at(State::Beep),
        }
    }

    fn recording(self, input: Input, call: &mut Call) -> Step {
        match input {
            Input::RecordingDone { kept, ended_by } => self.recorded(kept, ended_by, call),
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

    fn recorded(mut self, kept: Duration, ended_by: RecordingEnd, call: &mut Call) -> Step {
        let is_long_enough = rules::is_long_enough(kept, call.settings.shortest_message);
        if call.hung_up() {
            return self.left(is_long_enough, call);
        }
        if is_long_enough {
            let preface = if ended_by == RecordingEnd::Longest { say([PromptId::LongestReached]) } else { vec![] };
            let asking = Asking::begin(call, preface, keymap::tell(call.keys().send, |_| true));
            return self.at(State::Review(asking));
        }
        call.discard_recording();
        if ended_by == RecordingEnd::Failed {
            return Step::Done(Outcome::NotDone);
        }
        self.tries_left = self.tries_left.saturating_sub(1);
        if self.tries_left == 0 {
            return Step::Done(Outcome::Silence);
        }
        call.tell(say([PromptId::TooShort]));
        self.at(State::Instruction)
    }

    fn review(self, asking: Asking, input: Input, marks: &mut Marks, call: &mut Call) -> Step {
        match input {
            Input::Digit(digit) => match call.key(call.keys().send, digit) {
                Meaning::Does(SendAction::Accept) => Step::Done(Outcome::Accepted),
                Meaning::Does(SendAction::Listen) => {
                    let asking = asking.repeat(call, vec![Item::TheRecording, phrase::BREATH]);
                    self.at(State::Review(asking))
                }
                Meaning::Does(SendAction::RecordAgain) => {
                    call.discard_recording();
                    self.prepare(call)
                }
                Meaning::Does(SendAction::MarkUrgent) => {
                    marks.urgent = !marks.urgent;
                    let asking = asking.repeat(call, phrase::marked_urgent(marks.urgent));
                    self.at(State::Review(asking))
                }
                Meaning::Does(SendAction::MarkPrivate) => {
                    marks.private = !marks.private;
                    let asking = asking.repeat(call, phrase::marked_private(marks.private));
                    self.at(State::Review(asking))
                }
                Meaning::Does(SendAction::Cancel) => discarded(Outcome::Cancelled, call),
                Meaning::Begins => self.at(State::Review(asking.silent())),
                Meaning::Nothing => {
                    let asking = asking.repeat(call, say([PromptId::InvalidChoice]));
                    self.at(State::Review(asking))
                }
            },
            Input::PlaybackDone | Input::PlaybackFailed => self.at(State::Review(asking.silent())),
            Input::Timeout => match asking.nothing_came(call) {
                Some(asking) => self.at(State::Review(asking)),
                None if self.is_sent_unasked() => Step::Done(Outcome::Accepted),
                None => discarded(Outcome::Silence, call),
            },
            Input::Hangup => self.left(true, call),
            Input::RecordingDone { .. } | Input::Answer(_) => self.at(State::Review(asking)),
        }
    }

    /// The sender has hung up.
    fn left(self, is_long_enough: bool, call: &mut Call) -> Step {
        if is_long_enough && self.is_sent_unasked() { Step::Done(Outcome::Accepted) } else { discarded(Outcome::Cancelled, call) }
    }

    /// Most people finish a message by hanging up: then it is sent. But nothing is forwarded, and nothing goes to everybody, that was
    /// not accepted.
    fn is_sent_unasked(&self) -> bool {
        match self.kind {
            SentKind::Reply | SentKind::Sent => true,
            SentKind::Forwarded | SentKind::Broadcast => false,
        }
    }

    fn prepare(self, call: &mut Call) -> Step {
        call.ask(Question::PrepareRecording { kind: RecordKind::Letter, mailbox: self.mailbox.clone() });
        self.at(State::Preparing)
    }

    fn at(self, state: State) -> Step {
        Step::More(Self { state, ..self })
    }
}

fn instruction(kind: SentKind) -> PromptId {
    match kind {
        SentKind::Forwarded => PromptId::RecordIntroduction,
        SentKind::Reply | SentKind::Sent => PromptId::RecordMessage,
        SentKind::Broadcast => PromptId::RecordBroadcast,
    }
}

fn discarded(outcome: Outcome, call: &mut Call) -> Step {
    call.discard_recording();
    Step::Done(outcome)
}
