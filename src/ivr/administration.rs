//! What administrators do by phone: give a mailbox of their tenant a new passcode, record what its callers and subscribers hear.

use super::{
    AccountAnswer, AccountQuestion, Answer, Digits, Input, Item, PromptId, Question,
    asking::{Asking, DigitEntry, Typed},
    greeting::Target,
    greetings::{self, Managing},
    keymap::{self, AdministrationAction, Meaning, ResetAction},
    login::Subscriber,
    phrase::{self, say},
    session::{Call, Wait},
};
use crate::domain::tenant_phrase::TenantPhrase;

/// An administrator at work.
#[derive(Debug)]
pub(super) struct Administration {
    state: State,
}

#[derive(Debug)]
enum State {
    Menu(Asking),
    Number(DigitEntry),
    /// What was typed, or the new passcode, has been said.
    Reset(Stage, Asking),
    Resetting,
    Phrase(Managing),
}

/// Before a mailbox gets a new passcode, and after it.
#[derive(Debug)]
enum Stage {
    Confirm(Digits),
    Told(Digits),
}

/// What came of an input.
#[derive(Debug)]
pub(super) enum Step {
    More(Administration),
    /// Back to the options.
    Back,
    /// Nobody is there.
    Silence,
    MailboxGone,
}

impl Administration {
    pub fn begin(call: &mut Call) -> Self {
        offer(vec![], call)
    }

    pub fn step(self, input: Input, who: &mut Subscriber, call: &mut Call) -> Step {
        match self.state {
            State::Menu(asking) => menu(asking, input, who, call),
            State::Number(entry) => number(entry, input, call),
            State::Reset(stage, asking) => reset(stage, asking, input, who, call),
            State::Resetting => resetting(input, call),
            State::Phrase(managing) => match managing.step(input, who, call) {
                greetings::Step::More(managing) => at(State::Phrase(managing)),
                greetings::Step::Back(said) => Step::More(offer(said, call)),
                greetings::Step::Silence => Step::Silence,
                greetings::Step::MailboxGone => Step::MailboxGone,
            },
        }
    }

    pub fn wait(&self) -> Wait {
        match &self.state {
            State::Menu(asking) | State::Reset(_, asking) => asking.wait(),
            State::Number(entry) => entry.wait(),
            State::Resetting => Wait::Answer,
            State::Phrase(managing) => managing.wait(),
        }
    }
}

fn at(state: State) -> Step {
    Step::More(Administration { state })
}

fn offer(preface: Vec<Item>, call: &mut Call) -> Administration {
    let menu = keymap::tell(call.keys().administration, |_| true);
    Administration { state: State::Menu(Asking::begin(call, preface, menu)) }
}

fn menu(asking: Asking, input: Input, who: &Subscriber, call: &mut Call) -> Step {
    match input {
        Input::Digit(digit) => {
            let phrase = match call.key(call.keys().administration, digit) {
                Meaning::Does(AdministrationAction::ResetPasscode) => return Step::More(ask_number(vec![], call)),
                Meaning::Does(AdministrationAction::Greeting) => TenantPhrase::Greeting,
                Meaning::Does(AdministrationAction::Welcome) => TenantPhrase::Welcome,
                Meaning::Does(AdministrationAction::NoMailbox) => TenantPhrase::NoMailbox,
                Meaning::Does(AdministrationAction::Back) => return Step::Back,
                Meaning::Begins => return at(State::Menu(asking.silent())),
                Meaning::Nothing => return at(State::Menu(asking.repeat(call, say([PromptId::InvalidChoice])))),
            };
            at(State::Phrase(Managing::begin(call, who, Target::Phrase(phrase))))
        }
        Input::PlaybackDone | Input::PlaybackFailed => at(State::Menu(asking.silent())),
        Input::Timeout => match asking.nothing_came(call) {
            Some(asking) => at(State::Menu(asking)),
            None => Step::Silence,
        },
        Input::Hangup => Step::Silence,
        Input::RecordingDone { .. } | Input::Answer(_) => at(State::Menu(asking)),
    }
}

fn ask_number(preface: Vec<Item>, call: &mut Call) -> Administration {
    Administration { state: State::Number(DigitEntry::begin(call, preface, say([PromptId::EnterOtherMailbox]))) }
}

fn number(entry: DigitEntry, input: Input, call: &mut Call) -> Step {
    match entry.step(input, call) {
        Typed::More(entry) => at(State::Number(entry)),
        Typed::Complete(digits) if !digits.is_empty() => {
            let said = phrase::mailbox_is(call.language(), &digits);
            let asking = Asking::begin(call, said, keymap::tell(call.keys().reset, |action| action != ResetAction::Again));
            at(State::Reset(Stage::Confirm(Digits(digits)), asking))
        }
        Typed::Complete(_) | Typed::Back => Step::More(offer(vec![], call)),
        Typed::Silence => Step::Silence,
    }
}

fn reset(stage: Stage, asking: Asking, input: Input, who: &Subscriber, call: &mut Call) -> Step {
    let asking = match input {
        Input::Digit(digit) => match (call.key(call.keys().reset, digit), &stage) {
            (Meaning::Does(ResetAction::Confirm), Stage::Confirm(number)) => {
                call.ask(Question::Account(AccountQuestion::ResetPasscode(who.mailbox.id.clone(), number.clone())));
                return at(State::Resetting);
            }
            (Meaning::Does(ResetAction::Again), Stage::Told(passcode)) => {
                let said = phrase::new_passcode(&passcode.0);
                asking.repeat(call, said)
            }
            (Meaning::Does(ResetAction::Back), _) => return Step::More(offer(vec![], call)),
            (Meaning::Begins, _) => asking.silent(),
            (Meaning::Does(ResetAction::Confirm | ResetAction::Again) | Meaning::Nothing, _) => {
                asking.repeat(call, say([PromptId::InvalidChoice]))
            }
        },
        Input::PlaybackDone | Input::PlaybackFailed => asking.silent(),
        Input::Timeout => match asking.nothing_came(call) {
            Some(asking) => asking,
            None => return Step::Silence,
        },
        Input::Hangup => return Step::Silence,
        Input::RecordingDone { .. } | Input::Answer(_) => asking,
    };
    at(State::Reset(stage, asking))
}

fn resetting(input: Input, call: &mut Call) -> Step {
    match input {
        Input::Answer(Answer::Account(AccountAnswer::NewPasscode(Some(passcode)))) => {
            let said = phrase::new_passcode(&passcode.0);
            let asking = Asking::begin(call, said, keymap::tell(call.keys().reset, |action| action != ResetAction::Confirm));
            at(State::Reset(Stage::Told(passcode), asking))
        }
        Input::Answer(Answer::Account(AccountAnswer::NewPasscode(None))) => {
            Step::More(ask_number(say([PromptId::NoSuchMailbox]), call))
        }
        Input::Answer(Answer::MailboxGone) => Step::MailboxGone,
        Input::Answer(_) => Step::More(offer(say([PromptId::NotDone]), call)),
        Input::Timeout => {
            call.excuse();
            at(State::Resetting)
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            at(State::Resetting)
        }
    }
}
