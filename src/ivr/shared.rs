//! An owner of shared mailboxes chooses one of them, or goes back to the own one.

use super::{
    Answer, Input, Item, MailboxView, PromptId, Question, SharedMailbox,
    asking::Asking,
    keymap::Digit,
    login::Subscriber,
    phrase::{self, say},
    session::{Call, Wait},
};
use crate::domain::id::MailboxId;

/// A choice among mailboxes.
#[derive(Debug)]
pub(super) struct Choice {
    owner: MailboxId,
    /// Whether the own mailbox is among them, because another one is open.
    may_return: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    Listing,
    Menu { mailboxes: Vec<SharedMailbox>, asking: Asking },
    Opening,
}

/// What came of an input.
#[derive(Debug)]
pub(super) enum Step {
    More(Choice),
    Done(Outcome),
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// This mailbox is open now.
    Opened(Box<MailboxView>),
    /// The mailbox that was open stays so; these words are said.
    Stayed(Vec<Item>),
    /// Nobody is there.
    Silence,
    MailboxGone,
}

impl Choice {
    pub fn begin(call: &mut Call, who: &Subscriber) -> Self {
        let owner = who.own().id.clone();
        call.ask(Question::SharedMailboxes(owner.clone()));
        Self { owner, may_return: who.own.is_some(), state: State::Listing }
    }

    pub fn step(self, input: Input, call: &mut Call) -> Step {
        let Self { owner, may_return, state } = self;
        match state {
            State::Listing => listing(owner, may_return, input, call),
            State::Menu { mailboxes, asking } => menu(owner, may_return, mailboxes, asking, input, call),
            State::Opening => opening(owner, may_return, input, call),
        }
    }

    pub fn wait(&self) -> Wait {
        match &self.state {
            State::Listing | State::Opening => Wait::Answer,
            State::Menu { asking, .. } => asking.wait(),
        }
    }
}

fn listing(owner: MailboxId, may_return: bool, input: Input, call: &mut Call) -> Step {
    match input {
        Input::Answer(Answer::SharedMailboxes(mailboxes)) => {
            let mut items = vec![];
            for (SharedMailbox { view, .. }, key) in mailboxes.iter().zip(&Digit::ALL[1..10]) {
                items.extend(phrase::for_mailbox(call.language(), &view.number, view.spoken_name.as_ref()));
                items.push(Item::Prompt(key.press()));
            }
            if may_return {
                items.extend(say([PromptId::ForOwnMailbox, Digit::Zero.press()]));
            }
            if items.is_empty() {
                return Step::Done(Outcome::Stayed(say([PromptId::MailboxGone])));
            }
            items.extend(say([PromptId::ToCancel, Digit::Star.press()]));
            let asking = Asking::begin(call, vec![], items);
            Step::More(Choice { owner, may_return, state: State::Menu { mailboxes, asking } })
        }
        Input::Answer(Answer::MailboxGone) => Step::Done(Outcome::MailboxGone),
        Input::Answer(_) => Step::Done(Outcome::Stayed(say([PromptId::NotDone]))),
        Input::Timeout => {
            call.excuse();
            Step::More(Choice { owner, may_return, state: State::Listing })
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            Step::More(Choice { owner, may_return, state: State::Listing })
        }
    }
}

fn menu(
    owner: MailboxId,
    may_return: bool,
    mailboxes: Vec<SharedMailbox>,
    asking: Asking,
    input: Input,
    call: &mut Call,
) -> Step {
    let asking = match input {
        Input::Digit(Digit::Star | Digit::Pound) => return Step::Done(Outcome::Stayed(vec![])),
        Input::Digit(digit) => {
            let mailbox = match digit {
                Digit::Zero => may_return.then(|| owner.clone()),
                digit => {
                    Digit::ALL[1..10].iter().position(|key| *key == digit).and_then(|at| Some(mailboxes.get(at)?.view.id.clone()))
                }
            };
            if let Some(mailbox) = mailbox {
                call.ask(Question::OpenMailbox { mailbox, owner: owner.clone() });
                return Step::More(Choice { owner, may_return, state: State::Opening });
            }
            asking.repeat(call, say([PromptId::InvalidChoice]))
        }
        Input::PlaybackDone | Input::PlaybackFailed => asking.silent(),
        Input::Timeout => match asking.nothing_came(call) {
            Some(asking) => asking,
            None => return Step::Done(Outcome::Silence),
        },
        Input::Hangup => return Step::Done(Outcome::Stayed(vec![])),
        Input::RecordingDone { .. } | Input::Answer(_) => asking,
    };
    Step::More(Choice { owner, may_return, state: State::Menu { mailboxes, asking } })
}

fn opening(owner: MailboxId, may_return: bool, input: Input, call: &mut Call) -> Step {
    match input {
        Input::Answer(Answer::Mailbox(Some(view))) => Step::Done(Outcome::Opened(view)),
        // It was taken from the owner, or removed, in this moment.
        Input::Answer(Answer::Mailbox(None) | Answer::MailboxGone) => Step::Done(Outcome::Stayed(say([PromptId::MailboxGone]))),
        Input::Answer(_) => Step::Done(Outcome::Stayed(say([PromptId::NotDone]))),
        Input::Timeout => {
            call.excuse();
            Step::More(Choice { owner, may_return, state: State::Opening })
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            Step::More(Choice { owner, may_return, state: State::Opening })
        }
    }
}
