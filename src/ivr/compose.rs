//! A message to other mailboxes: forwarding one, replying to one, sending one, and sending one to everybody.
//!
//! First comes to whom: numbers one after the other, each confirmed by the name or the digits of what it stands for. Then what: an
//! introduction to the message that is forwarded, or the message itself, in [`Take`]. Whoever is logged in uses it from a menu, and
//! comes back to it with the words that say how it ended.

use std::time::Duration;

use super::{
    Addressee, Answer, Digits, Effect, Input, Item, Letter, PromptId, Question, SendReport, To,
    asking::{Asking, DigitEntry, Typed},
    keymap::{self, ForwardAction, Meaning},
    login::Subscriber,
    phrase::{self, say},
    session::{Call, Wait},
};
use crate::domain::{
    message::{Marks, Message},
    rules,
    sending::SentKind,
};

mod take;

use take::Take;

/// A message on its way, from the first number to its confirmation.
#[derive(Debug)]
pub(super) struct Compose {
    letter: Letter,
    /// What was addressed, to be said and taken back.
    to: Vec<Addressee>,
    /// How long the message is that is forwarded.
    forwarded: Option<Duration>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// A number is being typed, or the end of them.
    Addressing(DigitEntry),
    /// It is being looked up.
    Finding,
    /// The mailbox that a reply goes to is being looked up.
    FindingSender,
    /// Whether there is to be an introduction.
    Introducing(Asking),
    /// Something is being recorded.
    Taking(Box<Take>),
    Sending,
}

/// What came of an input.
#[derive(Debug)]
pub(super) enum Step {
    More(Compose),
    Done(Outcome),
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// With these words.
    Said(Vec<Item>),
    /// Nobody is there.
    Silence,
    MailboxGone,
}

impl Compose {
    /// Forwards a message. One that is private is not.
    pub fn forward(call: &mut Call, who: &Subscriber, message: &Message) -> Step {
        if message.private {
            return said(say([PromptId::PrivateNotForwarded]));
        }
        let letter = Letter { about: Some(message.id.clone()), ..letter(who, SentKind::Forwarded) };
        Self::address(call, who, letter, Some(message.duration))
    }

    /// Replies to a message.
    pub fn reply(call: &mut Call, who: &Subscriber, message: &Message) -> Step {
        call.effect(Effect::StopPlaying);
        call.ask(Question::FindSender(message.id.clone()));
        let letter = Letter { about: Some(message.id.clone()), ..letter(who, SentKind::Reply) };
        Step::More(Self { letter, to: vec![], forwarded: None, state: State::FindingSender })
    }

    /// Sends a message of one's own accord.
    pub fn send(call: &mut Call, who: &Subscriber) -> Step {
        Self::address(call, who, letter(who, SentKind::Sent), None)
    }

    /// Sends a message to everybody of the tenant.
    pub fn broadcast(call: &mut Call, who: &Subscriber) -> Step {
        let letter = Letter { to: To::Everybody, ..letter(who, SentKind::Broadcast) };
        let take = Take::begin(call, letter.kind, letter.sender.clone(), rules::LONGEST_MESSAGE, vec![]);
        Step::More(Self { letter, to: vec![], forwarded: None, state: State::Taking(Box::new(take)) })
    }

    fn address(call: &mut Call, who: &Subscriber, letter: Letter, forwarded: Option<Duration>) -> Step {
        if who.numbers_left == 0 {
            return said(say([PromptId::TooManyAttempts]));
        }
        let entry = DigitEntry::begin(call, vec![], say([PromptId::EnterAddressee]));
        Step::More(Self { letter, to: vec![], forwarded, state: State::Addressing(entry) })
    }

    pub fn step(mut self, input: Input, who: &mut Subscriber, call: &mut Call) -> Step {
        match std::mem::replace(&mut self.state, State::Sending) {
            State::Addressing(entry) => self.addressing(entry, input, call),
            State::Finding => self.finding(input, who, call),
            State::FindingSender => self.finding_sender(input, call),
            State::Introducing(asking) => self.introducing(asking, input, call),
            State::Taking(take) => self.taking(*take, input, call),
            State::Sending => self.sending(input, call),
        }
    }

    pub fn wait(&self) -> Wait {
        match &self.state {
            State::Addressing(entry) => entry.wait(),
            State::Finding | State::FindingSender | State::Sending => Wait::Answer,
            State::Introducing(asking) => asking.wait(),
            State::Taking(take) => take.wait(),
        }
    }

    fn addressing(mut self, entry: DigitEntry, input: Input, call: &mut Call) -> Step {
        match entry.step(input, call) {
            Typed::More(entry) => self.at(State::Addressing(entry)),
            Typed::Complete(number) if !number.is_empty() => {
                call.ask(Question::FindAddressee { sender: self.letter.sender.clone(), number: Digits(number) });
                self.at(State::Finding)
            }
            Typed::Complete(_) if self.to.is_empty() => self.next_number(vec![], call),
            Typed::Complete(_) => self.addressed(vec![], call),
            Typed::Back => match self.to.pop() {
                Some(taken_back) => {
                    let items = [say([PromptId::AddresseeRemoved]), phrase::addressee(call.language(), &taken_back)].concat();
                    self.next_number(items, call)
                }
                None => cancelled(),
            },
            Typed::Silence => Step::Done(Outcome::Silence),
        }
    }

    fn finding(mut self, input: Input, who: &mut Subscriber, call: &mut Call) -> Step {
        match input {
            Input::Answer(Answer::Addressee(Some(found))) => {
                let items = phrase::addressee(call.language(), &found);
                if !self.to.contains(&found) {
                    self.to.push(found);
                }
                if rules::admits_addressee(self.to.len()) {
                    return self.next_number(items, call);
                }
                self.addressed([items, say([PromptId::NoMoreAddressees])].concat(), call)
            }
            Input::Answer(Answer::MailboxGone) => Step::Done(Outcome::MailboxGone),
            // What cannot be looked up is treated like what is not there. A line is no tool for listing numbers.
            Input::Answer(_) => {
                who.numbers_left = who.numbers_left.saturating_sub(1);
                let items = say([PromptId::AddresseeUnknown]);
                match (who.numbers_left, self.to.is_empty()) {
                    (0, true) => said([items, say([PromptId::TooManyAttempts])].concat()),
                    (0, false) => self.addressed(items, call),
                    _ => self.next_number(items, call),
                }
            }
            Input::Timeout => {
                call.excuse();
                self.at(State::Finding)
            }
            Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
                self.at(State::Finding)
            }
        }
    }

    fn finding_sender(mut self, input: Input, call: &mut Call) -> Step {
        match input {
            Input::Answer(Answer::Addressee(Some(found))) => {
                let items = phrase::reply_to(call.language(), &found);
                self.to.push(found);
                self.addressed(items, call)
            }
            Input::Answer(Answer::Addressee(None)) => said(say([PromptId::NobodyToReplyTo])),
            Input::Answer(Answer::Conflict(None)) => said(say([PromptId::MessageGone])),
            Input::Answer(Answer::MailboxGone) => Step::Done(Outcome::MailboxGone),
            Input::Answer(_) => said(say([PromptId::NotDone])),
            Input::Timeout => {
                call.excuse();
                self.at(State::FindingSender)
            }
            Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
                self.at(State::FindingSender)
            }
        }
    }

    /// Asks for another number, after `preface`.
    fn next_number(self, preface: Vec<Item>, call: &mut Call) -> Step {
        let question = if self.to.is_empty() { PromptId::EnterAddressee } else { PromptId::AnotherAddressee };
        let entry = DigitEntry::begin(call, preface, say([question]));
        self.at(State::Addressing(entry))
    }

    /// It is known to whom; what comes next follows `preface`.
    fn addressed(mut self, preface: Vec<Item>, call: &mut Call) -> Step {
        self.letter.to = To::These(self.to.clone());
        if self.forwarded.is_none() {
            return self.take(rules::LONGEST_MESSAGE, preface, call);
        }
        let has_room = self.room_for_introduction().is_some();
        let menu = keymap::tell(call.keys().forward, |action| action != ForwardAction::Introduce || has_room);
        let asking = Asking::begin(call, preface, menu);
        self.at(State::Introducing(asking))
    }

    /// How long an introduction to the message that is forwarded can get, if it can have one.
    fn room_for_introduction(&self) -> Option<Duration> {
        self.forwarded.and_then(rules::room_for_introduction)
    }

    fn introducing(mut self, asking: Asking, input: Input, call: &mut Call) -> Step {
        match input {
            Input::Digit(digit) => match call.key(call.keys().forward, digit) {
                Meaning::Does(ForwardAction::Introduce) => match self.room_for_introduction() {
                    Some(room) => self.take(room, vec![], call),
                    None => {
                        let asking = asking.repeat(call, say([PromptId::InvalidChoice]));
                        self.at(State::Introducing(asking))
                    }
                },
                Meaning::Does(ForwardAction::Send) => self.send_now(call),
                Meaning::Does(ForwardAction::MarkUrgent) => {
                    self.letter.marks.urgent = !self.letter.marks.urgent;
                    let asking = asking.repeat(call, phrase::marked_urgent(self.letter.marks.urgent));
                    self.at(State::Introducing(asking))
                }
                Meaning::Does(ForwardAction::MarkPrivate) => {
                    self.letter.marks.private = !self.letter.marks.private;
                    let asking = asking.repeat(call, phrase::marked_private(self.letter.marks.private));
                    self.at(State::Introducing(asking))
                }
                Meaning::Does(ForwardAction::Cancel) => cancelled(),
                Meaning::Begins => self.at(State::Introducing(asking.silent())),
                Meaning::Nothing => {
                    let asking = asking.repeat(call, say([PromptId::InvalidChoice]));
                    self.at(State::Introducing(asking))
                }
            },
            Input::PlaybackDone | Input::PlaybackFailed => self.at(State::Introducing(asking.silent())),
            Input::Timeout => match asking.nothing_came(call) {
                Some(asking) => self.at(State::Introducing(asking)),
                None => Step::Done(Outcome::Silence),
            },
            Input::Hangup => cancelled(),
            Input::RecordingDone { .. } | Input::Answer(_) => self.at(State::Introducing(asking)),
        }
    }

    fn take(self, longest: Duration, preface: Vec<Item>, call: &mut Call) -> Step {
        let take = Take::begin(call, self.letter.kind, self.letter.sender.clone(), longest, preface);
        self.at(State::Taking(Box::new(take)))
    }

    fn taking(mut self, take: Take, input: Input, call: &mut Call) -> Step {
        match take.step(input, &mut self.letter.marks, call) {
            take::Step::More(take) => self.at(State::Taking(Box::new(take))),
            take::Step::Done(take::Outcome::Accepted) => {
                self.letter.recorded = true;
                self.send_now(call)
            }
            take::Step::Done(take::Outcome::Cancelled) => cancelled(),
            take::Step::Done(take::Outcome::NotDone) => said(say([PromptId::NotDone])),
            take::Step::Done(take::Outcome::Silence) => Step::Done(Outcome::Silence),
            take::Step::Done(take::Outcome::MailboxGone) => Step::Done(Outcome::MailboxGone),
        }
    }

    fn send_now(self, call: &mut Call) -> Step {
        call.effect(Effect::StopPlaying);
        call.ask(Question::SendMessage(Box::new(self.letter.clone())));
        self.at(State::Sending)
    }

    fn sending(self, input: Input, call: &mut Call) -> Step {
        match input {
            Input::Answer(Answer::Sent(report)) => said(self.confirmation(&report, call)),
            Input::Answer(Answer::IsPrivate) => said(say([PromptId::PrivateNotForwarded])),
            Input::Answer(Answer::NobodyThere) => said(say([PromptId::SentToNobody])),
            Input::Answer(Answer::Conflict(None)) => said(say([PromptId::MessageGone])),
            Input::Answer(Answer::MailboxGone) => Step::Done(Outcome::MailboxGone),
            Input::Answer(_) => said(say([PromptId::NotDone])),
            Input::Timeout => {
                call.excuse();
                self.at(State::Sending)
            }
            Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
                self.at(State::Sending)
            }
        }
    }

    /// To how many it went, and to whom it did not.
    fn confirmation(&self, report: &SendReport, call: &Call) -> Vec<Item> {
        match self.letter.to {
            To::Everybody => say([PromptId::SentToEverybody]),
            To::These(_) => phrase::sent(call.language(), report),
        }
    }

    fn at(self, state: State) -> Step {
        Step::More(Self { state, ..self })
    }
}

fn letter(who: &Subscriber, kind: SentKind) -> Letter {
    Letter { kind, sender: who.own().id.clone(), to: To::These(vec![]), about: None, recorded: false, marks: Marks::default() }
}

fn cancelled() -> Step {
    said(say([PromptId::MessageCancelled]))
}

fn said(items: Vec<Item>) -> Step {
    Step::Done(Outcome::Said(items))
}
