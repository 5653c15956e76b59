//! The subscriber chooses a new passcode: typed twice, refused with the reason when it is too easy to guess.

use super::{
    Answer, Input, Item, PromptId, Question,
    asking::{DigitEntry, Typed},
    login::Subscriber,
    phrase::{self, say},
    session::{Call, Wait},
};
use crate::domain::passcode::Passcode;

/// A passcode being chosen.
#[derive(Debug)]
pub(super) struct NewPasscode {
    state: State,
}

#[derive(Debug)]
enum State {
    First(DigitEntry),
    /// The same once more.
    Again(Passcode, DigitEntry),
    Storing(Passcode),
}

/// What came of an input.
#[derive(Debug)]
pub(super) enum Step {
    More(NewPasscode),
    Done(Outcome),
}

/// How it ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// This is the passcode from now on.
    Changed(Passcode),
    /// The old one stays.
    Cancelled,
    /// It could not be kept.
    NotDone,
    /// Nobody is there.
    Silence,
    MailboxGone,
}

impl NewPasscode {
    pub fn begin(call: &mut Call, preface: Vec<Item>) -> Self {
        Self { state: State::First(DigitEntry::begin(call, preface, say([PromptId::NewPasscode]))) }
    }

    pub fn step(self, input: Input, who: &Subscriber, call: &mut Call) -> Step {
        match self.state {
            State::First(entry) => first(entry, input, who, call),
            State::Again(passcode, entry) => again(passcode, entry, input, who, call),
            State::Storing(passcode) => storing(passcode, input, call),
        }
    }

    pub fn wait(&self) -> Wait {
        match &self.state {
            State::First(entry) | State::Again(_, entry) => entry.wait(),
            State::Storing(_) => Wait::Answer,
        }
    }
}

fn at(state: State) -> Step {
    Step::More(NewPasscode { state })
}

fn first(entry: DigitEntry, input: Input, who: &Subscriber, call: &mut Call) -> Step {
    match entry.step(input, call) {
        Typed::More(entry) => at(State::First(entry)),
        Typed::Complete(digits) => match chosen(&digits, who, call) {
            Ok(passcode) => {
                let entry = DigitEntry::begin(call, vec![], say([PromptId::ConfirmPasscode]));
                at(State::Again(passcode, entry))
            }
            Err(reason) => Step::More(NewPasscode::begin(call, reason)),
        },
        Typed::Back => Step::Done(Outcome::Cancelled),
        Typed::Silence => Step::Done(Outcome::Silence),
    }
}

fn again(passcode: Passcode, entry: DigitEntry, input: Input, who: &Subscriber, call: &mut Call) -> Step {
    match entry.step(input, call) {
        Typed::More(entry) => at(State::Again(passcode, entry)),
        Typed::Complete(digits) if digits == passcode.digits() => {
            call.ask(Question::ChangePasscode(who.mailbox.id.clone(), passcode.clone()));
            at(State::Storing(passcode))
        }
        Typed::Complete(_) => Step::More(NewPasscode::begin(call, say([PromptId::PasscodesDiffer]))),
        Typed::Back => Step::Done(Outcome::Cancelled),
        Typed::Silence => Step::Done(Outcome::Silence),
    }
}

fn storing(passcode: Passcode, input: Input, call: &mut Call) -> Step {
    match input {
        Input::Answer(Answer::Done) => Step::Done(Outcome::Changed(passcode)),
        Input::Answer(Answer::MailboxGone) => Step::Done(Outcome::MailboxGone),
        Input::Answer(_) => Step::Done(Outcome::NotDone),
        Input::Timeout => {
            call.excuse();
            at(State::Storing(passcode))
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            at(State::Storing(passcode))
        }
    }
}

/// The passcode, or why it is refused.
fn chosen(digits: &str, who: &Subscriber, call: &Call) -> Result<Passcode, Vec<Item>> {
    let mailbox = &who.mailbox;
    let numbers: Vec<&str> = std::iter::once(&mailbox.number).chain(&mailbox.aliases).map(|number| number.as_str()).collect();
    match Passcode::chosen(digits, call.settings.shortest_passcode, &numbers) {
        Ok(passcode) if passcode == who.passcode => Err(say([PromptId::PasscodeIsOld])),
        Ok(passcode) => Ok(passcode),
        Err(weakness) => Err(phrase::weakness(call.language(), weakness)),
    }
}
