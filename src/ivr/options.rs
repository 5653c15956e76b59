//! The options: greeting, name, passcode.

use super::{
    Input, Item, PromptId,
    asking::Asking,
    greeting::{self, OwnRecording, Target},
    keymap::{self, Meaning, OptionsAction},
    login::Subscriber,
    passcode::{self, NewPasscode},
    phrase::say,
    retrieval::Retrieval,
    session::{Call, Moment, Wait},
};
use crate::domain::greeting::GreetingKind;

/// A subscriber among the options.
#[derive(Debug)]
pub(super) struct Options {
    who: Subscriber,
    state: State,
}

#[derive(Debug)]
enum State {
    Menu(Asking),
    Recording(GreetingKind, OwnRecording),
    Passcode(NewPasscode),
}

impl Options {
    pub fn begin(call: &mut Call, who: Subscriber) -> Moment {
        Self::offer(who, vec![], call)
    }

    pub fn step(self, input: Input, call: &mut Call) -> Moment {
        let Self { who, state } = self;
        match state {
            State::Menu(asking) => menu(who, asking, input, call),
            State::Recording(kind, recording) => record(who, kind, recording, input, call),
            State::Passcode(passcode) => change_passcode(who, passcode, input, call),
        }
    }

    pub fn wait(&self) -> Wait {
        match &self.state {
            State::Menu(asking) => asking.wait(),
            State::Recording(_, recording) => recording.wait(),
            State::Passcode(passcode) => passcode.wait(),
        }
    }

    fn offer(who: Subscriber, preface: Vec<Item>, call: &mut Call) -> Moment {
        let menu = keymap::tell(call.keys().options, |action| action != OptionsAction::Help);
        let asking = Asking::begin(call, preface, menu);
        at(who, State::Menu(asking))
    }
}

fn at(who: Subscriber, state: State) -> Moment {
    Moment::Options(Box::new(Options { who, state }))
}

fn menu(who: Subscriber, asking: Asking, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Digit(digit) => match call.key(call.keys().options, digit) {
            Meaning::Does(OptionsAction::Greeting) => begin_recording(who, GreetingKind::Standard, call),
            Meaning::Does(OptionsAction::Name) => begin_recording(who, GreetingKind::Name, call),
            Meaning::Does(OptionsAction::Passcode) => {
                let passcode = NewPasscode::begin(call, vec![]);
                at(who, State::Passcode(passcode))
            }
            Meaning::Does(OptionsAction::Help) => at(who, State::Menu(asking.repeat(call, vec![]))),
            Meaning::Does(OptionsAction::MainMenu) => Retrieval::begin(call, who, vec![]),
            Meaning::Begins => at(who, State::Menu(asking.silent())),
            Meaning::Nothing => at(who, State::Menu(asking.repeat(call, say([PromptId::InvalidChoice])))),
        },
        Input::PlaybackDone | Input::PlaybackFailed => at(who, State::Menu(asking.silent())),
        Input::Timeout => match asking.nothing_came(call) {
            Some(asking) => at(who, State::Menu(asking)),
            None => Retrieval::leave(call, who),
        },
        Input::Hangup => Retrieval::leave(call, who),
        Input::RecordingDone { .. } | Input::Answer(_) => at(who, State::Menu(asking)),
    }
}

fn begin_recording(who: Subscriber, kind: GreetingKind, call: &mut Call) -> Moment {
    let recording = OwnRecording::begin(call, Target::Own(kind), &who, vec![]);
    at(who, State::Recording(kind, recording))
}

fn record(who: Subscriber, kind: GreetingKind, recording: OwnRecording, input: Input, call: &mut Call) -> Moment {
    match recording.step(input, call) {
        greeting::Step::More(recording) => at(who, State::Recording(kind, recording)),
        greeting::Step::Done(greeting::Outcome::Kept) => Options::offer(who, say([Target::Own(kind).saved()]), call),
        greeting::Step::Done(greeting::Outcome::Cancelled) => Options::offer(who, say([PromptId::NotKept]), call),
        greeting::Step::Done(greeting::Outcome::NotDone) => Options::offer(who, say([PromptId::NotDone]), call),
        greeting::Step::Done(greeting::Outcome::Silence) => Retrieval::leave(call, who),
        greeting::Step::Done(greeting::Outcome::MailboxGone) => call.part(say([PromptId::MailboxGone, PromptId::Goodbye])),
    }
}

fn change_passcode(mut who: Subscriber, passcode: NewPasscode, input: Input, call: &mut Call) -> Moment {
    match passcode.step(input, &who, call) {
        passcode::Step::More(passcode) => at(who, State::Passcode(passcode)),
        passcode::Step::Done(passcode::Outcome::Changed(passcode)) => {
            who.passcode = passcode;
            Options::offer(who, say([PromptId::PasscodeChanged]), call)
        }
        passcode::Step::Done(passcode::Outcome::Cancelled) => Options::offer(who, vec![], call),
        passcode::Step::Done(passcode::Outcome::NotDone) => Options::offer(who, say([PromptId::NotDone]), call),
        passcode::Step::Done(passcode::Outcome::Silence) => Retrieval::leave(call, who),
        passcode::Step::Done(passcode::Outcome::MailboxGone) => call.part(say([PromptId::MailboxGone, PromptId::Goodbye])),
    }
}
