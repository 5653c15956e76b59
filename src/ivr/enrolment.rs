//! The first login: a new passcode, then the name, then the greeting. Each is done for good when it is done: whoever gives up half-way
//! is asked for the rest next time. Whose passcode was reset is asked for a new one only.

use super::{
    AccountQuestion, Answer, Input, Item, PromptId, Question,
    greeting::{self, OwnRecording, Target},
    login::Subscriber,
    passcode::{self, NewPasscode},
    phrase::say,
    retrieval::Retrieval,
    session::{Call, Moment, Wait},
};
use crate::domain::{greeting::GreetingKind, mailbox::Due};

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
    /// It is being noted that this recording is not wanted.
    Skipping(GreetingKind),
}

impl Enrolment {
    pub fn begin(call: &mut Call, who: Subscriber) -> Moment {
        let preface = if who.mailbox.due == Due::EVERYTHING { say([PromptId::Welcome]) } else { vec![] };
        next(who, preface, call)
    }

    pub fn step(self, input: Input, call: &mut Call) -> Moment {
        let Self { who, state } = self;
        match state {
            State::Passcode(passcode) => choose_passcode(who, passcode, input, call),
            State::Recording(kind, recording) => record(who, kind, recording, input, call),
            State::Skipping(kind) => skipping(who, kind, input, call),
        }
    }

    pub fn wait(&self) -> Wait {
        match &self.state {
            State::Passcode(passcode) => passcode.wait(),
            State::Recording(_, recording) => recording.wait(),
            State::Skipping(_) => Wait::Answer,
        }
    }
}

fn at(who: Subscriber, state: State) -> Moment {
    Moment::Enrolment(Box::new(Enrolment { who, state }))
}

/// Goes on with what is still asked for, after `preface`.
fn next(who: Subscriber, mut preface: Vec<Item>, call: &mut Call) -> Moment {
    let due = who.mailbox.due;
    if call.hung_up() {
        return Retrieval::leave(call, who);
    }
    if due.passcode {
        let passcode = NewPasscode::begin(call, preface);
        return at(who, State::Passcode(passcode));
    }
    for (is_due, kind) in [(due.name, GreetingKind::Name), (due.greeting, GreetingKind::Standard)] {
        if is_due {
            let recording = OwnRecording::begin(call, Target::Own(kind), &who, preface);
            return at(who, State::Recording(kind, recording));
        }
    }
    preface.push(Item::Prompt(PromptId::MailboxReady));
    Retrieval::begin(call, who, preface)
}

fn choose_passcode(mut who: Subscriber, passcode: NewPasscode, input: Input, call: &mut Call) -> Moment {
    match passcode.step(input, &who, call) {
        passcode::Step::More(passcode) => at(who, State::Passcode(passcode)),
        passcode::Step::Done(passcode::Outcome::Changed(passcode)) => {
            who.passcode = passcode;
            who.mailbox.due.passcode = false;
            next(who, say([PromptId::PasscodeChanged]), call)
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

fn record(mut who: Subscriber, kind: GreetingKind, recording: OwnRecording, input: Input, call: &mut Call) -> Moment {
    match recording.step(input, call) {
        greeting::Step::More(recording) => at(who, State::Recording(kind, recording)),
        greeting::Step::Done(greeting::Outcome::Cancelled) if call.hung_up() => Retrieval::leave(call, who),
        greeting::Step::Done(greeting::Outcome::Kept) => {
            settle(&mut who, kind);
            next(who, say([Target::Own(kind).saved()]), call)
        }
        // Whoever does not want a name or a greeting need not have one.
        greeting::Step::Done(greeting::Outcome::Cancelled) => {
            call.ask(Question::Account(AccountQuestion::Skip(who.mailbox.id.clone(), kind)));
            at(who, State::Skipping(kind))
        }
        greeting::Step::Done(greeting::Outcome::NotDone) => call.part(say([PromptId::SomethingWrong, PromptId::Goodbye])),
        // It is asked for again next time, perhaps on a better line.
        greeting::Step::Done(greeting::Outcome::Refused(why)) => call.part(say([why, PromptId::NotKept, PromptId::Goodbye])),
        greeting::Step::Done(greeting::Outcome::Silence) => Retrieval::leave(call, who),
        greeting::Step::Done(greeting::Outcome::MailboxGone) => call.part(say([PromptId::MailboxGone, PromptId::Goodbye])),
    }
}

fn skipping(mut who: Subscriber, kind: GreetingKind, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Answer(Answer::MailboxGone) => call.part(say([PromptId::MailboxGone, PromptId::Goodbye])),
        // If it could not be noted, it is asked for again next time.
        Input::Answer(_) => {
            settle(&mut who, kind);
            next(who, say([PromptId::NotKept]), call)
        }
        Input::Timeout => {
            call.excuse();
            at(who, State::Skipping(kind))
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            at(who, State::Skipping(kind))
        }
    }
}

/// This recording is not asked for any more.
fn settle(who: &mut Subscriber, kind: GreetingKind) {
    match kind {
        GreetingKind::Name => who.mailbox.due.name = false,
        GreetingKind::Standard => who.mailbox.due.greeting = false,
        GreetingKind::Forwarded(_) | GreetingKind::Temporary => {}
    }
}
