//! The sender records a message, or an introduction to one: heard and accepted before it is sent.

use std::time::Duration;

use crate::{
    domain::{id::MailboxId, message::Marks, rules, sending::SentKind},
    ivr::{
        Input, Item, PromptId, RecordKind, RecordingEnd,
        asking::Asking,
        keymap::{self, Meaning, SendAction},
        phrase::{self, say},
        session::{Call, Wait},
        taping::{self, Taping, Wanted},
    },
};

/// How often nothing may be recorded before we give up on the line.
const TRIES: u32 = 3;

/// One recording, from "after the tone" to its acceptance. When it is accepted, it waits to be taken over.
#[derive(Debug)]
pub(super) struct Take {
    what: What,
    state: State,
}

/// What stays the same from one attempt to the next, but how many are left.
#[derive(Debug)]
struct What {
    kind: SentKind,
    wanted: Wanted,
    tries_left: u32,
}

#[derive(Debug)]
enum State {
    Recording(Taping),
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
        let wanted = Wanted { kind: RecordKind::Letter, mailbox, longest };
        let taping = Taping::begin(call, wanted.clone(), [preface, say([instruction(kind)])].concat());
        What { kind, wanted, tries_left: TRIES }.at(State::Recording(taping))
    }

    pub fn step(self, input: Input, marks: &mut Marks, call: &mut Call) -> Step {
        let Self { what, state } = self;
        match state {
            State::Recording(taping) => match taping.step(input, call) {
                taping::Step::More(taping) => Step::More(what.at(State::Recording(taping))),
                taping::Step::Done(taping::Outcome::Recorded { kept, ended_by }) => what.recorded(kept, ended_by, call),
                taping::Step::Done(taping::Outcome::Cancelled) => Step::Done(Outcome::Cancelled),
                taping::Step::Done(taping::Outcome::NotDone) => Step::Done(Outcome::NotDone),
                taping::Step::Done(taping::Outcome::MailboxGone) => Step::Done(Outcome::MailboxGone),
            },
            State::Review(asking) => what.review(asking, input, marks, call),
        }
    }

    pub fn wait(&self) -> Wait {
        match &self.state {
            State::Recording(taping) => taping.wait(),
            State::Review(asking) => asking.wait(),
        }
    }
}

impl What {
    fn recorded(mut self, kept: Duration, ended_by: RecordingEnd, call: &mut Call) -> Step {
        let is_long_enough = rules::is_long_enough(kept, call.settings.shortest_message);
        if call.hung_up() {
            return self.left(is_long_enough, call);
        }
        if is_long_enough {
            let asking = Asking::begin(call, phrase::cut_off(ended_by), keymap::tell(call.keys().send, |_| true));
            return Step::More(self.at(State::Review(asking)));
        }
        call.discard_recording();
        if ended_by == RecordingEnd::Failed {
            return Step::Done(Outcome::NotDone);
        }
        self.tries_left = self.tries_left.saturating_sub(1);
        if self.tries_left == 0 {
            return Step::Done(Outcome::Silence);
        }
        let taping = Taping::begin(call, self.wanted.clone(), say([PromptId::TooShort]));
        Step::More(self.at(State::Recording(taping)))
    }

    fn review(self, asking: Asking, input: Input, marks: &mut Marks, call: &mut Call) -> Step {
        match input {
            Input::Digit(digit) => match call.key(call.keys().send, digit) {
                Meaning::Does(SendAction::Accept) => Step::Done(Outcome::Accepted),
                Meaning::Does(SendAction::Listen) => {
                    let asking = asking.repeat(call, vec![Item::TheRecording, phrase::BREATH]);
                    Step::More(self.at(State::Review(asking)))
                }
                Meaning::Does(SendAction::RecordAgain) => {
                    call.discard_recording();
                    let taping = Taping::again(call, self.wanted.clone());
                    Step::More(self.at(State::Recording(taping)))
                }
                Meaning::Does(SendAction::MarkUrgent) => {
                    marks.urgent = !marks.urgent;
                    let asking = asking.repeat(call, phrase::marked_urgent(marks.urgent));
                    Step::More(self.at(State::Review(asking)))
                }
                Meaning::Does(SendAction::MarkPrivate) => {
                    marks.private = !marks.private;
                    let asking = asking.repeat(call, phrase::marked_private(marks.private));
                    Step::More(self.at(State::Review(asking)))
                }
                Meaning::Does(SendAction::Cancel) => discarded(Outcome::Cancelled, call),
                Meaning::Begins => Step::More(self.at(State::Review(asking.silent()))),
                Meaning::Nothing => {
                    let asking = asking.repeat(call, say([PromptId::InvalidChoice]));
                    Step::More(self.at(State::Review(asking)))
                }
            },
            Input::PlaybackDone | Input::PlaybackFailed => Step::More(self.at(State::Review(asking.silent()))),
            Input::Timeout => match asking.nothing_came(call) {
                Some(asking) => Step::More(self.at(State::Review(asking))),
                None if self.is_sent_unasked() => Step::Done(Outcome::Accepted),
                None => discarded(Outcome::Silence, call),
            },
            Input::Hangup => self.left(true, call),
            Input::RecordingDone { .. } | Input::Answer(_) => Step::More(self.at(State::Review(asking))),
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

    fn at(self, state: State) -> Take {
        Take { what: self, state }
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
