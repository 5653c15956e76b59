//! Mailbox number and passcode. Nothing that is said tells an unknown mailbox, a disabled one, a wrong passcode and a
//! locked one apart.

use super::{
    Answer, Digits, Input, Item, MailboxView, PromptId, Question, ScreeningWish, Verdict,
    asking::{DigitEntry, Typed},
    enrolment::Enrolment,
    keymap::Digit,
    phrase::say,
    retrieval::Retrieval,
    screening::Screening,
    session::{Call, Moment, Wait},
};
use crate::domain::{
    id::MailboxId,
    listening::{Listening, Playback},
    message::Holdings,
    passcode::Passcode,
    rules,
};

/// A login in progress.
#[derive(Debug)]
pub(super) struct Login {
    /// The mailbox to be opened; none if there is no such mailbox.
    mailbox: Option<MailboxView>,
    /// The mailbox of the identified line that calls.
    own: Option<MailboxId>,
    /// Whether another mailbox can be chosen with `*`.
    may_choose: bool,
    /// What follows the login; the messages, if nothing else is wished.
    wish: Option<ScreeningWish>,
    attempts_left: u32,
    /// How often a number can still be asked for.
    numbers_left: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Number(DigitEntry),
    Finding,
    Passcode(DigitEntry),
    Checking(Passcode),
}

impl Login {
    /// `*` during the greeting: straight to the passcode of the mailbox called.
    pub fn begin_from_greeting(call: &mut Call, mailbox: Option<MailboxView>) -> Moment {
        Self::begin(call, mailbox, None, None)
    }

    pub fn begin_on_own_line(call: &mut Call, mailbox: MailboxView, wish: Option<ScreeningWish>) -> Moment {
        let own = mailbox.id.clone();
        Self::begin(call, Some(mailbox), Some(own), wish)
    }

    pub fn begin_with_number(call: &mut Call, wish: Option<ScreeningWish>) -> Moment {
        let welcome = call.welcome();
        let entry = DigitEntry::begin(call, welcome, say([PromptId::EnterMailbox]));
        let (attempts_left, numbers_left) = (rules::ATTEMPTS_PER_CALL, rules::NUMBERS_PER_CALL.saturating_sub(1));
        Self { mailbox: None, own: None, may_choose: true, wish, attempts_left, numbers_left, state: State::Number(entry) }.into()
    }

    fn begin(call: &mut Call, mailbox: Option<MailboxView>, own: Option<MailboxId>, wish: Option<ScreeningWish>) -> Moment {
        let may_choose = own.is_some();
        // Whoever comes from a greeting has heard enough.
        let welcome = if may_choose { call.welcome() } else { vec![] };
        let entry = DigitEntry::begin(call, welcome, say([PromptId::EnterPasscode]));
        let (attempts_left, numbers_left) = (rules::ATTEMPTS_PER_CALL, rules::NUMBERS_PER_CALL);
        Self { mailbox, own, may_choose, wish, attempts_left, numbers_left, state: State::Passcode(entry) }.into()
    }

    pub fn step(mut self, input: Input, call: &mut Call) -> Moment {
        match std::mem::replace(&mut self.state, State::Finding) {
            State::Number(entry) => self.number(entry, input, call),
            State::Finding => self.finding(input, call),
            State::Passcode(entry) => self.passcode(entry, input, call),
            State::Checking(passcode) => self.checking(passcode, input, call),
        }
    }

    pub fn wait(&self) -> Wait {
        match &self.state {
            State::Number(entry) | State::Passcode(entry) => entry.wait(),
            State::Finding | State::Checking(_) => Wait::Answer,
        }
    }

    fn number(self, entry: DigitEntry, input: Input, call: &mut Call) -> Moment {
        match entry.step(input, call) {
            Typed::More(entry) => self.at(State::Number(entry)),
            Typed::Complete(number) if !number.is_empty() => {
                call.ask(Question::FindMailbox(Digits(number)));
                self.at(State::Finding)
            }
            Typed::Complete(_) | Typed::Back => self.ask_number(call),
            Typed::Silence => call.part(say([PromptId::Goodbye])),
        }
    }

    fn finding(self, input: Input, call: &mut Call) -> Moment {
        match input {
            Input::Answer(answer) => {
                let mailbox = match answer {
                    Answer::Mailbox(found) => found.map(|found| *found).filter(|found| found.enabled),
                    // What cannot be looked up is treated like what is not there.
                    _ => None,
                };
                Self { mailbox, ..self }.ask_passcode(call, say([PromptId::EnterPasscode]))
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

    fn passcode(self, entry: DigitEntry, input: Input, call: &mut Call) -> Moment {
        let typed = match input {
            // A passcode that cannot get any longer is one guess; what follows is the next one. It waits for the first key of that,
            // so that a `#` still ends this one.
            Input::Digit(digit) if !matches!(digit, Digit::Pound | Digit::Star) && is_longest(entry.typed()) => {
                call.hand_back(digit);
                Typed::Complete(entry.typed().to_owned())
            }
            other => entry.step(other, call),
        };
        match typed {
            Typed::More(entry) => self.at(State::Passcode(entry)),
            Typed::Complete(digits) => match Passcode::typed(&digits) {
                Some(passcode) => self.check(passcode, call),
                None => self.refuse(call),
            },
            Typed::Back if self.may_choose => self.ask_number(call),
            // A line is not held for ever by asking.
            Typed::Back => match self.numbers_left.checked_sub(1) {
                Some(numbers_left) => Self { numbers_left, ..self }.ask_passcode(call, say([PromptId::EnterPasscode])),
                None => call.part(say([PromptId::TooManyAttempts, PromptId::Goodbye])),
            },
            Typed::Silence => call.part(say([PromptId::Goodbye])),
        }
    }

    fn check(self, passcode: Passcode, call: &mut Call) -> Moment {
        let mailbox = self.mailbox.as_ref().map(|mailbox| mailbox.id.clone());
        let own_line = mailbox.is_some() && mailbox == self.own;
        call.ask(Question::CheckPasscode { mailbox, digits: passcode.clone(), own_line });
        self.at(State::Checking(passcode))
    }

    fn checking(self, passcode: Passcode, input: Input, call: &mut Call) -> Moment {
        match input {
            Input::Answer(Answer::Passcode(Verdict::Right)) => match self.mailbox {
                Some(mailbox) => Self::enter(mailbox, passcode, self.wish, call),
                None => self.refuse(call),
            },
            Input::Answer(Answer::Passcode(Verdict::Wrong | Verdict::LockedOut) | Answer::MailboxGone) => self.refuse(call),
            Input::Answer(_) => call.part(say([PromptId::SomethingWrong, PromptId::Goodbye])),
            Input::Timeout => {
                call.excuse();
                self.at(State::Checking(passcode))
            }
            Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
                self.at(State::Checking(passcode))
            }
        }
    }

    fn enter(mailbox: MailboxView, passcode: Passcode, wish: Option<ScreeningWish>, call: &mut Call) -> Moment {
        call.follow(&mailbox);
        call.let_in(&mailbox);
        let enrolled = mailbox.enrolled;
        let tell_shared = mailbox.owns_shared;
        let numbers_left = rules::NUMBERS_PER_CALL;
        let listening = mailbox.preferences.listening.settings();
        let remembered = listening.playback;
        let subscriber = Subscriber {
            mailbox,
            own: None,
            tell_shared,
            numbers_left,
            passcode,
            listening,
            remembered,
            holdings: Holdings::default(),
            reminded_of: None,
        };
        match wish {
            // Whoever has yet to choose a passcode does that first, and may call again.
            _ if !enrolled => Enrolment::begin(call, subscriber),
            Some(wish) => Screening::begin(call, subscriber.mailbox.id, wish),
            None => Retrieval::begin(call, subscriber, vec![]),
        }
    }

    fn refuse(mut self, call: &mut Call) -> Moment {
        self.attempts_left = self.attempts_left.saturating_sub(1);
        if self.attempts_left == 0 {
            return call.part(say([PromptId::LoginWrong, PromptId::TooManyAttempts, PromptId::Goodbye]));
        }
        let mut question = say([PromptId::EnterPasscodeAgain]);
        if self.may_choose {
            question.push(Item::Prompt(PromptId::OtherMailbox));
        }
        let entry = DigitEntry::begin(call, say([PromptId::LoginWrong]), question);
        self.at(State::Passcode(entry))
    }

    fn ask_number(self, call: &mut Call) -> Moment {
        let Some(numbers_left) = self.numbers_left.checked_sub(1) else {
            return call.part(say([PromptId::TooManyAttempts, PromptId::Goodbye]));
        };
        let entry = DigitEntry::begin(call, vec![], say([PromptId::EnterMailbox]));
        Self { mailbox: None, numbers_left, ..self }.at(State::Number(entry))
    }

    fn ask_passcode(self, call: &mut Call, question: Vec<Item>) -> Moment {
        let entry = DigitEntry::begin(call, vec![], question);
        self.at(State::Passcode(entry))
    }

    fn at(self, state: State) -> Moment {
        Self { state, ..self }.into()
    }
}

impl From<Login> for Moment {
    fn from(login: Login) -> Self {
        Self::Login(Box::new(login))
    }
}

/// Whoever is logged in.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub mailbox: MailboxView,
    /// The own mailbox, while a shared one is open.
    pub own: Option<Box<MailboxView>>,
    /// Whether the new messages of shared mailboxes are still to be told.
    pub tell_shared: bool,
    /// How many numbers that stand for nobody can still be typed.
    pub numbers_left: u32,
    /// What was typed to get in: a new passcode must differ.
    pub passcode: Passcode,
    /// How messages are listened to in this call.
    pub listening: Listening,
    /// How the mailbox remembers that messages are played.
    pub remembered: Playback,
    /// What the mailbox held when it was counted.
    pub holdings: Holdings,
    /// Of which mailbox it was said last that its temporary greeting is on.
    pub reminded_of: Option<MailboxId>,
}

impl Subscriber {
    /// The mailbox of whoever is logged in, also while a shared one is open.
    pub fn own(&self) -> &MailboxView {
        self.own.as_deref().unwrap_or(&self.mailbox)
    }

    /// Whether it is an administrator's own mailbox that is open: whoever opens a shared one does not become what it is.
    pub fn administrates(&self) -> bool {
        self.own.is_none() && self.mailbox.administrator
    }
}

fn is_longest(digits: &str) -> bool {
    Passcode::typed(&format!("{digits}0")).is_none()
}
