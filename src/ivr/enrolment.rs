//! The first login: a new passcode, then the name, then the greeting. Whoever gives up half-way is asked again next time.

use super::{
    Answer, Input, Item, PromptId, Question,
    greeting::{self, OwnRecording},
    login::Subscriber,
    passcode::{self, NewPasscode},
    phrase::say,
    retrieval::Retrieval,
    session::{Call, Moment, Wait},
};
use crate::domain::greeting::GreetingKind;

/// A first login in progress.
#[derive(Debug)]
pub(super) struct Enrolment {
    who: Subscriber,
    state: State,
}

#[derive(Debug)]
enum State {
    Passcode(NewPasscode),
    Recording(GreetingKind, OwnRecording),
    /// It is being noted that all was asked; these words come next.
    Finishing(Vec<Item>),
}

impl Enrolment {
    pub fn begin(call: &mut Call, who: Subscriber) -> Moment {
        let passcode = NewPasscode::begin(call, say([PromptId::Welcome]));
        at(who, State::Passcode(passcode))
    }

    pub fn step(self, input: Input, call: &mut Call) -> Moment {
        let Self { who, state } = self;
        match state {
            State::Passcode(passcode) => choose_passcode(who, passcode, input, call),
            State::Recording(kind, recording) => record(who, kind, recording, input, call),
            State::Finishing(preface) => finishing(who, preface, input, call),
        }
    }

    pub fn wait(&self) -> Wait {
        match &self.state {
            State::Passcode(passcode) => passcode.wait(),
            State::Recording(_, recording) => recording.wait(),
            State::Finishing(_) => Wait::Answer,
        }
    }
}

fn at(who: Subscriber, state: State) -> Moment {
    Moment::Enrolment(Box::new(Enrolment { who, state }))
}

fn choose_passcode(mut who: Subscriber, passcode: NewPasscode, input: Input, call: &mut Call) -> Moment {
    match passcode.step(input, &who, call) {
        passcode::Step::More(passcode) => at(who, State::Passcode(passcode)),
        passcode::Step::Done(passcode::Outcome::Changed(passcode)) => {
            who.passcode = passcode;
            begin_recording(who, GreetingKind::Name, say([PromptId::PasscodeChanged]), call)
        }
        // The passcode that was handed out does not stay: this step cannot be skipped.
        passcode::Step::Done(passcode::Outcome::Cancelled) => {
            let passcode = NewPasscode::begin(call, vec![]);
            at(who, State::Passcode(passcode))
        }
        passcode::Step::Done(passcode::Outcome::NotDone) => call.part(say([PromptId::SomethingWrong, PromptId::Goodbye])),
        passcode::Step::Done(passcode::Outcome::Silence) => Retrieval::leave(call, who),
        passcode::Step::Done(passcode::Outcome::MailboxGone) => call.part(say([PromptId::MailboxGone, PromptId::Goodbye])),
    }
}

fn begin_recording(who: Subscriber, kind: GreetingKind, preface: Vec<Item>, call: &mut Call) -> Moment {
    let recording = OwnRecording::begin(call, kind, who.mailbox.id.clone(), preface);
    at(who, State::Recording(kind, recording))
}

fn record(who: Subscriber, kind: GreetingKind, recording: OwnRecording, input: Input, call: &mut Call) -> Moment {
    match recording.step(input, call) {
        greeting::Step::More(recording) => at(who, State::Recording(kind, recording)),
        greeting::Step::Done(greeting::Outcome::Cancelled) if call.hung_up() => Retrieval::leave(call, who),
        greeting::Step::Done(greeting::Outcome::Kept) => {
            let kept = match kind {
                GreetingKind::Greeting => PromptId::GreetingSaved,
                GreetingKind::Name => PromptId::NameSaved,
            };
            recorded(who, kind, say([kept]), call)
        }
        // Whoever does not want a name or a greeting need not have one.
        greeting::Step::Done(greeting::Outcome::Cancelled) => recorded(who, kind, say([PromptId::NotKept]), call),
        greeting::Step::Done(greeting::Outcome::NotDone) => call.part(say([PromptId::SomethingWrong, PromptId::Goodbye])),
        greeting::Step::Done(greeting::Outcome::Silence) => Retrieval::leave(call, who),
        greeting::Step::Done(greeting::Outcome::MailboxGone) => call.part(say([PromptId::MailboxGone, PromptId::Goodbye])),
    }
}

fn recorded(who: Subscriber, kind: GreetingKind, said: Vec<Item>, call: &mut Call) -> Moment {
    match kind {
        GreetingKind::Name => begin_recording(who, GreetingKind::Greeting, said, call),
        GreetingKind::Greeting => {
            call.ask(Question::FinishEnrolment(who.mailbox.id.clone()));
            at(who, State::Finishing(said))
        }
    }
}

fn finishing(who: Subscriber, mut preface: Vec<Item>, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Answer(Answer::Done) => {
            preface.push(Item::Prompt(PromptId::MailboxReady));
            Retrieval::begin(call, who, preface)
        }
        Input::Answer(Answer::MailboxGone) => call.part(say([PromptId::MailboxGone, PromptId::Goodbye])),
        // What was recorded is kept; only the questions will come again.
        Input::Answer(_) => Retrieval::begin(call, who, preface),
        Input::Timeout => {
            call.excuse();
            at(who, State::Finishing(preface))
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            at(who, State::Finishing(preface))
        }
    }
}
