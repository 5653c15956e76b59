//! What a mailbox does with callers, by phone: refuse the last one, refuse those who show no number.
//!
//! Whoever is here has said the passcode. One thing is done, said, and the call ends.

use super::{
    Answer, Digits, Input, Item, PromptId, Question, ScreeningWish,
    asking::Asking,
    keymap::{self, BlockAction, Meaning},
    phrase::{self, say},
    session::{Call, Moment, Wait},
};
use crate::domain::{caller::Caller, id::MailboxId};

/// A subscriber who decides about callers.
#[derive(Debug)]
pub(super) struct Screening {
    mailbox: MailboxId,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Who called last is looked up.
    Finding,
    /// The subscriber has heard who it was.
    Offer(Asking, Digits),
    /// It is being done.
    Doing,
}

impl Screening {
    pub fn begin(call: &mut Call, mailbox: MailboxId, wish: ScreeningWish) -> Moment {
        let (question, state) = match wish {
            ScreeningWish::BlockLastCaller => (Question::LastCaller(mailbox.clone()), State::Finding),
            ScreeningWish::SwitchAnonymous => (Question::SwitchAnonymous(mailbox.clone()), State::Doing),
        };
        call.ask(question);
        Self { mailbox, state }.into()
    }

    pub fn step(self, input: Input, call: &mut Call) -> Moment {
        let Self { mailbox, state } = self;
        match state {
            State::Finding => finding(mailbox, input, call),
            State::Offer(asking, number) => offer(mailbox, asking, number, input, call),
            State::Doing => doing(mailbox, input, call),
        }
    }

    pub fn wait(&self) -> Wait {
        match &self.state {
            State::Finding | State::Doing => Wait::Answer,
            State::Offer(asking, _) => asking.wait(),
        }
    }
}

impl From<Screening> for Moment {
    fn from(screening: Screening) -> Self {
        Self::Screening(Box::new(screening))
    }
}

fn finding(mailbox: MailboxId, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Answer(Answer::LastCaller(Some(Caller { number: Some(number), name }))) => {
            let who = phrase::last_caller(call.language(), &Caller { number: Some(number.clone()), name });
            let menu = keymap::tell(call.keys().block, |_| true);
            let asking = Asking::begin(call, who, menu);
            Screening { mailbox, state: State::Offer(asking, Digits(number)) }.into()
        }
        Input::Answer(Answer::LastCaller(_)) => part(PromptId::NoLastCaller, call),
        Input::Answer(answer) => failed(&answer, call),
        Input::Timeout => {
            call.excuse();
            Screening { mailbox, state: State::Finding }.into()
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            Screening { mailbox, state: State::Finding }.into()
        }
    }
}

fn offer(mailbox: MailboxId, asking: Asking, number: Digits, input: Input, call: &mut Call) -> Moment {
    let asking = match input {
        Input::Digit(digit) => match call.key(call.keys().block, digit) {
            Meaning::Does(BlockAction::Block) => {
                call.ask(Question::BlockCaller(mailbox.clone(), number));
                return Screening { mailbox, state: State::Doing }.into();
            }
            Meaning::Does(BlockAction::Leave) => return call.part(say([PromptId::Goodbye])),
            Meaning::Begins => asking.silent(),
            Meaning::Nothing => asking.repeat(call, say([PromptId::InvalidChoice])),
        },
        Input::PlaybackDone | Input::PlaybackFailed => asking.silent(),
        Input::Timeout => match asking.nothing_came(call) {
            Some(asking) => asking,
            None => return call.part(say([PromptId::Goodbye])),
        },
        Input::Hangup => return Moment::Over,
        Input::RecordingDone { .. } | Input::Answer(_) => asking,
    };
    Screening { mailbox, state: State::Offer(asking, number) }.into()
}

fn doing(mailbox: MailboxId, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Answer(Answer::Done) => part(PromptId::CallerBlocked, call),
        Input::Answer(Answer::AnonymousRefused(true)) => part(PromptId::AnonymousRefused, call),
        Input::Answer(Answer::AnonymousRefused(false)) => part(PromptId::AnonymousAccepted, call),
        Input::Answer(answer) => failed(&answer, call),
        Input::Timeout => {
            call.excuse();
            Screening { mailbox, state: State::Doing }.into()
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            Screening { mailbox, state: State::Doing }.into()
        }
    }
}

fn failed(answer: &Answer, call: &mut Call) -> Moment {
    part(if *answer == Answer::MailboxGone { PromptId::MailboxGone } else { PromptId::NotDone }, call)
}

fn part(said: PromptId, call: &mut Call) -> Moment {
    call.part(vec![Item::Prompt(said), phrase::BREATH, Item::Prompt(PromptId::Goodbye)])
}
