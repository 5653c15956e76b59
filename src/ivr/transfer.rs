//! Callers who are handed on: to an operator, who is reached without leaving a message, and back to whoever left one.
//!
//! Whether anybody may be, and where to, is decided outside, and so is what came of it. Whoever could not be connected goes on here.

use super::{
    Answer, CallBackRefusal, Digits, Effect, Input, Item, MailboxView, PromptId, Question,
    asking::Asking,
    deposit::Deposit,
    keymap::{self, BeforeOperatorAction, CallBackAction, Meaning},
    login::Subscriber,
    phrase::{self, say},
    retrieval::{List, Retrieval},
    session::{Call, Moment, Wait},
};

/// A caller who wants to reach an operator.
#[derive(Debug)]
pub(super) struct ToOperator {
    mailbox: MailboxView,
    state: OperatorState,
}

#[derive(Debug)]
enum OperatorState {
    /// The caller is asked what is to become of the message.
    Choosing(Asking),
    /// The message is being stored.
    Storing,
    /// The caller is being told what comes; after a recording that is done with, none follows.
    Announcing { is_recorded: bool },
    /// The operator is being called.
    Connecting { is_recorded: bool, waited: u32 },
}

impl ToOperator {
    /// Calls the operator; no message was recorded.
    pub fn begin(call: &mut Call, mailbox: MailboxView) -> Moment {
        Self::announce(call, mailbox, vec![], false)
    }

    /// Asks first what is to become of the message that was recorded.
    pub fn begin_after_recording(call: &mut Call, mailbox: MailboxView) -> Moment {
        let asking = Asking::begin(call, vec![], keymap::tell(call.keys().before_operator, |_| true));
        Self { mailbox, state: OperatorState::Choosing(asking) }.into()
    }

    pub fn step(self, input: Input, call: &mut Call) -> Moment {
        let Self { mailbox, state } = self;
        match state {
            OperatorState::Choosing(asking) => choosing(mailbox, asking, input, call),
            OperatorState::Storing => storing(mailbox, input, call),
            OperatorState::Announcing { is_recorded } => announcing(mailbox, is_recorded, input, call),
            OperatorState::Connecting { is_recorded, waited } => connecting(mailbox, is_recorded, waited, input, call),
        }
    }

    pub fn wait(&self) -> Wait {
        match &self.state {
            OperatorState::Choosing(asking) => asking.wait(),
            OperatorState::Announcing { .. } => Wait::Phrase,
            OperatorState::Storing | OperatorState::Connecting { .. } => Wait::Answer,
        }
    }

    /// Says what comes, to its end: once the operator is called, whoever connects the caller may take the line away.
    fn announce(call: &mut Call, mailbox: MailboxView, mut preface: Vec<Item>, is_recorded: bool) -> Moment {
        call.transfers += 1;
        preface.extend(say([PromptId::Connecting]));
        call.tell(preface);
        Self { mailbox, state: OperatorState::Announcing { is_recorded } }.into()
    }

    fn store(call: &mut Call, mailbox: MailboxView) -> Moment {
        call.effect(Effect::StopPlaying);
        call.ask(Question::StoreMessage);
        Self { mailbox, state: OperatorState::Storing }.into()
    }
}

impl From<ToOperator> for Moment {
    fn from(operator: ToOperator) -> Self {
        Self::ToOperator(Box::new(operator))
    }
}

fn choosing(mailbox: MailboxView, asking: Asking, input: Input, call: &mut Call) -> Moment {
    let asking = match input {
        Input::Digit(digit) => match call.key(call.keys().before_operator, digit) {
            Meaning::Does(BeforeOperatorAction::Send) => return ToOperator::store(call, mailbox),
            Meaning::Does(BeforeOperatorAction::Drop) => {
                call.discard_recording();
                return ToOperator::announce(call, mailbox, vec![], false);
            }
            Meaning::Begins => asking.silent(),
            Meaning::Nothing => asking.repeat(call, say([PromptId::InvalidChoice])),
        },
        Input::PlaybackDone | Input::PlaybackFailed => asking.silent(),
        Input::Timeout => match asking.nothing_came(call) {
            Some(asking) => asking,
            None => return ToOperator::store(call, mailbox),
        },
        // What was said is kept unless its caller says otherwise.
        Input::Hangup => return ToOperator::store(call, mailbox),
        Input::RecordingDone { .. } | Input::Answer(_) => asking,
    };
    ToOperator { mailbox, state: OperatorState::Choosing(asking) }.into()
}

fn storing(mailbox: MailboxView, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Answer(_) if call.hung_up() => Moment::Over,
        Input::Answer(Answer::Stored) => ToOperator::announce(call, mailbox, say([PromptId::MessageSent]), true),
        Input::Answer(Answer::MailboxFull) => ToOperator::announce(call, mailbox, say([PromptId::BecameFull]), true),
        Input::Answer(Answer::MailboxGone) => Deposit::turn_away(call, None),
        // Whoever does not reach the operator then can leave a message once more.
        Input::Answer(Answer::NothingSaid) => ToOperator::announce(call, mailbox, say([PromptId::NothingSaid]), false),
        Input::Answer(_) => ToOperator::announce(call, mailbox, say([PromptId::NotSaved]), false),
        Input::Timeout => {
            call.excuse();
            ToOperator { mailbox, state: OperatorState::Storing }.into()
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            ToOperator { mailbox, state: OperatorState::Storing }.into()
        }
    }
}

fn announcing(mailbox: MailboxView, is_recorded: bool, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::PlaybackDone | Input::PlaybackFailed | Input::Timeout => {
            call.ask(Question::ConnectOperator(mailbox.id.clone()));
            ToOperator { mailbox, state: OperatorState::Connecting { is_recorded, waited: 0 } }.into()
        }
        Input::Hangup => Moment::Over,
        Input::Digit(_) | Input::RecordingDone { .. } | Input::Answer(_) => {
            ToOperator { mailbox, state: OperatorState::Announcing { is_recorded } }.into()
        }
    }
}

fn connecting(mailbox: MailboxView, is_recorded: bool, waited: u32, input: Input, call: &mut Call) -> Moment {
    let waited = match input {
        Input::Answer(_) if call.hung_up() => return Moment::Over,
        Input::Answer(Answer::Transferred) => return call.hang_up(),
        Input::Answer(_) if is_recorded => return call.part(say([PromptId::OperatorUnavailable, PromptId::Goodbye])),
        Input::Answer(_) if mailbox.full => return Deposit::turn_away_after(call, mailbox, say([PromptId::OperatorUnavailable])),
        Input::Answer(_) => return Deposit::begin_after(call, mailbox, say([PromptId::OperatorUnavailable])),
        Input::Timeout => be_patient(waited, call),
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => waited,
    };
    ToOperator { mailbox, state: OperatorState::Connecting { is_recorded, waited } }.into()
}

/// Says now and then that it takes a moment: whoever connects the caller may let nothing be heard.
fn be_patient(waited: u32, call: &mut Call) -> u32 {
    if waited % 2 == 1 {
        call.excuse();
    }
    waited + 1
}

/// A subscriber who calls back whoever left a message.
#[derive(Debug)]
pub(super) struct CallBack {
    who: Subscriber,
    list: List,
    state: CallBackState,
}

#[derive(Debug)]
enum CallBackState {
    /// Whether it may be done is found out.
    Asking,
    /// The subscriber has heard the number.
    Offer(Asking),
    /// The subscriber is being told what comes.
    Announcing,
    /// The number is being called.
    Connecting { waited: u32 },
}

impl CallBack {
    pub fn begin(call: &mut Call, who: Subscriber, list: List) -> Moment {
        call.effect(Effect::StopPlaying);
        call.ask(Question::MayCallBack(who.mailbox.id.clone(), list.current().id.clone()));
        Self { who, list, state: CallBackState::Asking }.into()
    }

    pub fn step(self, input: Input, call: &mut Call) -> Moment {
        let Self { who, list, state } = self;
        match state {
            CallBackState::Asking => asking_whether(who, list, input, call),
            CallBackState::Offer(asking) => offer(who, list, asking, input, call),
            CallBackState::Announcing => about_to_call(who, list, input, call),
            CallBackState::Connecting { waited } => calling(who, list, waited, input, call),
        }
    }

    pub fn wait(&self) -> Wait {
        match &self.state {
            CallBackState::Asking | CallBackState::Connecting { .. } => Wait::Answer,
            CallBackState::Offer(asking) => asking.wait(),
            CallBackState::Announcing => Wait::Phrase,
        }
    }
}

impl From<CallBack> for Moment {
    fn from(call_back: CallBack) -> Self {
        Self::CallBack(Box::new(call_back))
    }
}

fn asking_whether(who: Subscriber, list: List, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Answer(_) if call.hung_up() => Retrieval::leave(call, who),
        Input::Answer(Answer::MayCallBack(Digits(number))) => {
            let number = phrase::call_back_number(call.language(), &number);
            let asking = Asking::begin(call, number, keymap::tell(call.keys().call_back, |_| true));
            CallBack { who, list, state: CallBackState::Offer(asking) }.into()
        }
        Input::Answer(answer) => back(who, list, &answer, call),
        Input::Timeout => {
            call.excuse();
            CallBack { who, list, state: CallBackState::Asking }.into()
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            CallBack { who, list, state: CallBackState::Asking }.into()
        }
    }
}

fn offer(who: Subscriber, list: List, asking: Asking, input: Input, call: &mut Call) -> Moment {
    let asking = match input {
        Input::Digit(digit) => match call.key(call.keys().call_back, digit) {
            Meaning::Does(CallBackAction::Call) => {
                call.tell(say([PromptId::Connecting]));
                return CallBack { who, list, state: CallBackState::Announcing }.into();
            }
            Meaning::Does(CallBackAction::Leave) => return Retrieval::back_to_message(call, who, list, vec![]),
            Meaning::Begins => asking.silent(),
            Meaning::Nothing => asking.repeat(call, say([PromptId::InvalidChoice])),
        },
        Input::PlaybackDone | Input::PlaybackFailed => asking.silent(),
        // Nobody is called because nothing was pressed.
        Input::Timeout => match asking.nothing_came(call) {
            Some(asking) => asking,
            None => return Retrieval::leave(call, who),
        },
        Input::Hangup => return Retrieval::leave(call, who),
        Input::RecordingDone { .. } | Input::Answer(_) => asking,
    };
    CallBack { who, list, state: CallBackState::Offer(asking) }.into()
}

fn about_to_call(who: Subscriber, list: List, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::PlaybackDone | Input::PlaybackFailed | Input::Timeout => {
            call.ask(Question::CallBack(who.mailbox.id.clone(), list.current().id.clone()));
            CallBack { who, list, state: CallBackState::Connecting { waited: 0 } }.into()
        }
        Input::Hangup => Retrieval::leave(call, who),
        Input::Digit(_) | Input::RecordingDone { .. } | Input::Answer(_) => {
            CallBack { who, list, state: CallBackState::Announcing }.into()
        }
    }
}

fn calling(who: Subscriber, list: List, waited: u32, input: Input, call: &mut Call) -> Moment {
    let waited = match input {
        Input::Answer(_) if call.hung_up() => return Retrieval::leave(call, who),
        Input::Answer(Answer::Transferred) => return Retrieval::leave_silently(call, who),
        Input::Answer(answer) => return back(who, list, &answer, call),
        Input::Timeout => be_patient(waited, call),
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => waited,
    };
    CallBack { who, list, state: CallBackState::Connecting { waited } }.into()
}

/// Says why nobody was called, and goes on with the message.
fn back(who: Subscriber, list: List, answer: &Answer, call: &mut Call) -> Moment {
    let why = match answer {
        Answer::CallBackRefused(CallBackRefusal::Off) => PromptId::CallBackOff,
        Answer::CallBackRefused(CallBackRefusal::NoNumber) => PromptId::CallBackNoNumber,
        Answer::CallBackRefused(CallBackRefusal::Unverified) => PromptId::CallBackUnverified,
        Answer::CallBackRefused(CallBackRefusal::NotAllowed) => PromptId::CallBackNotAllowed,
        Answer::CallBackRefused(CallBackRefusal::TooOften) => PromptId::CallBackTooOften,
        Answer::NotTransferred => PromptId::NotConnected,
        Answer::MailboxGone => return call.part(say([PromptId::MailboxGone, PromptId::Goodbye])),
        _ => PromptId::NotDone,
    };
    Retrieval::back_to_message(call, who, list, say([why]))
}
