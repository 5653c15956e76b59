//! A subscriber records a greeting or the name, an administrator a phrase: heard and accepted before it replaces the old one.
//!
//! Whoever comes here has given the passcode in this call: only a [`Subscriber`] can begin.

use std::time::Duration;

use super::{
    AccountAnswer, AccountQuestion, Answer, Effect, Input, Item, PromptId, Question, RecordKind, RecordingEnd, Unfit,
    asking::Asking,
    keymap::{self, Meaning, OwnReviewAction},
    login::Subscriber,
    phrase::{self, say},
    session::{Call, Wait},
    taping::{self, Taping, Wanted},
};
use crate::domain::{forward::Forward, greeting::GreetingKind, id::MailboxId, rules, tenant_phrase::TenantPhrase};

/// Less than this is a click, not a name.
const SHORTEST: Duration = Duration::from_millis(300);
/// How often nothing may be recorded before we give up on the line.
const TRIES: u32 = 3;

/// What is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The subscriber's own recording.
    Own(GreetingKind),
    /// What the callers or subscribers of the administrator's tenant hear.
    Phrase(TenantPhrase),
}

/// One recording, from "after the tone" to its acceptance.
#[derive(Debug)]
pub(super) struct OwnRecording {
    target: Target,
    mailbox: MailboxId,
    tries_left: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Recording(Taping),
    Review(Asking),
    Storing,
}

/// What came of an input.
#[derive(Debug)]
pub(super) enum Step {
    More(OwnRecording),
    Done(Outcome),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The recording is the subscriber's now.
    Kept,
    /// The old one stays.
    Cancelled,
    /// It could not be recorded or kept.
    NotDone,
    /// It was refused too often, for this reason at last.
    Refused(PromptId),
    /// Nobody is there.
    Silence,
    MailboxGone,
}

impl OwnRecording {
    pub fn begin(call: &mut Call, target: Target, who: &Subscriber, preface: Vec<Item>) -> Self {
        let mailbox = who.mailbox.id.clone();
        let taping = Taping::begin(call, target.wanted(&mailbox), [preface, say([target.instruction()])].concat());
        Self { target, mailbox, tries_left: TRIES, state: State::Recording(taping) }
    }

    pub fn step(mut self, input: Input, call: &mut Call) -> Step {
        match std::mem::replace(&mut self.state, State::Storing) {
            State::Recording(taping) => self.recording(taping, input, call),
            State::Review(asking) => self.review(asking, input, call),
            State::Storing => self.storing(input, call),
        }
    }

    pub fn wait(&self) -> Wait {
        match &self.state {
            State::Recording(taping) => taping.wait(),
            State::Review(asking) => asking.wait(),
            State::Storing => Wait::Answer,
        }
    }

    fn recording(mut self, taping: Taping, input: Input, call: &mut Call) -> Step {
        let (kept, ended_by) = match taping.step(input, call) {
            taping::Step::More(taping) => return self.at(State::Recording(taping)),
            taping::Step::Done(taping::Outcome::Recorded { kept, ended_by }) => (kept, ended_by),
            taping::Step::Done(taping::Outcome::Cancelled) => return Step::Done(Outcome::Cancelled),
            taping::Step::Done(taping::Outcome::NotDone) => return Step::Done(Outcome::NotDone),
            taping::Step::Done(taping::Outcome::MailboxGone) => return Step::Done(Outcome::MailboxGone),
        };
        if call.hung_up() {
            return discarded(Outcome::Cancelled, call);
        }
        if rules::is_long_enough(kept, SHORTEST) {
            // One that has become too long is heard now. That a disk failed is not.
            let failed = if ended_by == RecordingEnd::Failed { phrase::cut_off(ended_by) } else { vec![] };
            let preface = [failed, vec![Item::Prompt(PromptId::YouRecorded), Item::TheRecording, phrase::BREATH]].concat();
            let asking = Asking::begin(call, preface, keymap::tell(call.keys().own_review, |_| true));
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
        self.once_more(PromptId::NothingRecorded, call)
    }

    fn review(self, asking: Asking, input: Input, call: &mut Call) -> Step {
        match input {
            Input::Digit(digit) => match call.key(call.keys().own_review, digit) {
                Meaning::Does(OwnReviewAction::Accept) => {
                    call.effect(Effect::StopPlaying);
                    call.ask(match self.target {
                        Target::Own(kind) => Question::SetGreeting(self.mailbox.clone(), kind),
                        Target::Phrase(phrase) => Question::Account(AccountQuestion::SetPhrase(self.mailbox.clone(), phrase)),
                    });
                    self.at(State::Storing)
                }
                Meaning::Does(OwnReviewAction::Listen) => {
                    let asking = asking.repeat(call, vec![Item::TheRecording, phrase::BREATH]);
                    self.at(State::Review(asking))
                }
                Meaning::Does(OwnReviewAction::RecordAgain) => {
                    call.discard_recording();
                    let taping = Taping::again(call, self.target.wanted(&self.mailbox));
                    self.at(State::Recording(taping))
                }
                Meaning::Does(OwnReviewAction::Cancel) => discarded(Outcome::Cancelled, call),
                Meaning::Begins => self.at(State::Review(asking.silent())),
                Meaning::Nothing => {
                    let asking = asking.repeat(call, say([PromptId::InvalidChoice]));
                    self.at(State::Review(asking))
                }
            },
            Input::PlaybackDone | Input::PlaybackFailed => self.at(State::Review(asking.silent())),
            Input::Timeout => match asking.nothing_came(call) {
                Some(asking) => self.at(State::Review(asking)),
                None => discarded(Outcome::Silence, call),
            },
            // What was not accepted does not replace anything.
            Input::Hangup => discarded(Outcome::Cancelled, call),
            Input::RecordingDone { .. } | Input::Answer(_) => self.at(State::Review(asking)),
        }
    }

    fn storing(self, input: Input, call: &mut Call) -> Step {
        match input {
            Input::Answer(Answer::Done) => Step::Done(Outcome::Kept),
            Input::Answer(Answer::Account(AccountAnswer::Unfit(_))) if call.hung_up() => Step::Done(Outcome::Cancelled),
            Input::Answer(Answer::Account(AccountAnswer::Unfit(unfit))) => {
                let why = match unfit {
                    Unfit::Silent => PromptId::NothingHeard,
                    Unfit::Clipped => PromptId::TooLoud,
                };
                match self.tries_left.saturating_sub(1) {
                    0 => Step::Done(Outcome::Refused(why)),
                    tries_left => Self { tries_left, ..self }.once_more(why, call),
                }
            }
            Input::Answer(Answer::MailboxGone) => Step::Done(Outcome::MailboxGone),
            Input::Answer(_) => Step::Done(Outcome::NotDone),
            Input::Timeout => {
                call.excuse();
                self.at(State::Storing)
            }
            Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
                self.at(State::Storing)
            }
        }
    }

    /// Says what was wrong, and begins again.
    fn once_more(self, why: PromptId, call: &mut Call) -> Step {
        let taping = Taping::begin(call, self.target.wanted(&self.mailbox), say([why, self.target.instruction()]));
        self.at(State::Recording(taping))
    }

    fn at(self, state: State) -> Step {
        Step::More(Self { state, ..self })
    }
}

impl Target {
    /// What is said when it is kept.
    pub fn saved(self) -> PromptId {
        match self {
            Self::Own(GreetingKind::Name) => PromptId::NameSaved,
            Self::Own(GreetingKind::Standard | GreetingKind::Forwarded(_) | GreetingKind::Temporary) => PromptId::GreetingSaved,
            Self::Phrase(_) => PromptId::RecordingKept,
        }
    }

    fn instruction(self) -> PromptId {
        match self {
            Self::Own(GreetingKind::Name) => PromptId::RecordName,
            Self::Own(GreetingKind::Temporary) => PromptId::RecordTemporary,
            Self::Own(GreetingKind::Forwarded(Forward::Busy)) => PromptId::RecordBusy,
            Self::Own(GreetingKind::Forwarded(Forward::NoAnswer)) => PromptId::RecordNoAnswer,
            Self::Own(GreetingKind::Standard | GreetingKind::Forwarded(_)) => PromptId::RecordGreeting,
            Self::Phrase(_) => PromptId::RecordPhrase,
        }
    }

    fn wanted(self, mailbox: &MailboxId) -> Wanted {
        Wanted { kind: self.kind(), mailbox: mailbox.clone(), longest: self.longest() }
    }

    fn longest(self) -> Duration {
        match self {
            Self::Own(kind) => kind.longest(),
            Self::Phrase(phrase) => phrase.longest(),
        }
    }

    fn kind(self) -> RecordKind {
        match self {
            Self::Own(kind) => kind.into(),
            Self::Phrase(_) => RecordKind::Phrase,
        }
    }
}

fn discarded(outcome: Outcome, call: &mut Call) -> Step {
    call.discard_recording();
    Step::Done(outcome)
}
