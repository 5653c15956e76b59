//! The options: greetings, name, passcode, when the mailbox was last opened, and what administrators do.

use super::{
    AccountAnswer, AccountQuestion, Answer, Input, Item, PromptId, Question,
    administration::{self, Administration},
    asking::Asking,
    greeting::Target,
    greetings::{self, Managing},
    keymap::{self, GreetingsAction, Meaning, OptionsAction},
    login::Subscriber,
    passcode::{self, NewPasscode},
    phrase::{self, say},
    retrieval::Retrieval,
    session::{Call, Moment, Wait},
};
use crate::domain::{forward::Forward, greeting::GreetingKind, time::Timestamp};

/// A subscriber among the options.
#[derive(Debug)]
pub(super) struct Options {
    who: Subscriber,
    state: State,
}

#[derive(Debug)]
enum State {
    Menu(Asking),
    /// Which greeting is meant.
    Greetings(Asking),
    /// One of them; afterwards we are back where it was chosen.
    Managing(Managing, ChosenIn),
    Passcode(NewPasscode),
    LastAccess,
    Administration(Administration),
    /// The temporary greeting is being erased, from the main menu.
    EndingTemporary,
}

#[derive(Clone, Copy, Debug)]
enum ChosenIn {
    Options,
    Greetings,
}

impl Options {
    pub fn begin(call: &mut Call, who: Subscriber) -> Moment {
        Self::offer(who, vec![], call)
    }

    /// Erases the temporary greeting, then goes back to the main menu.
    pub fn end_temporary(call: &mut Call, who: Subscriber) -> Moment {
        call.ask(Question::Account(AccountQuestion::Remove(who.mailbox.id.clone(), GreetingKind::Temporary)));
        at(who, State::EndingTemporary)
    }

    pub fn step(self, input: Input, call: &mut Call) -> Moment {
        let Self { who, state } = self;
        match state {
            State::Menu(asking) => menu(who, asking, input, call),
            State::Greetings(asking) => choose_greeting(who, asking, input, call),
            State::Managing(managing, chosen_in) => manage(who, managing, chosen_in, input, call),
            State::Passcode(passcode) => change_passcode(who, passcode, input, call),
            State::LastAccess => last_access(who, input, call),
            State::Administration(administration) => administrate(who, administration, input, call),
            State::EndingTemporary => ending_temporary(who, input, call),
        }
    }

    pub fn wait(&self) -> Wait {
        match &self.state {
            State::Menu(asking) | State::Greetings(asking) => asking.wait(),
            State::Managing(managing, _) => managing.wait(),
            State::Passcode(passcode) => passcode.wait(),
            State::LastAccess | State::EndingTemporary => Wait::Answer,
            State::Administration(administration) => administration.wait(),
        }
    }

    fn offer(who: Subscriber, preface: Vec<Item>, call: &mut Call) -> Moment {
        let tells_all = call.tells_all();
        let menu = keymap::tell(call.keys().options, |action| match action {
            OptionsAction::Greeting | OptionsAction::Name | OptionsAction::Temporary | OptionsAction::MainMenu => true,
            OptionsAction::Passcode => may_change_passcode(&who),
            OptionsAction::Busy | OptionsAction::Greetings | OptionsAction::LastAccess => tells_all,
            OptionsAction::Help => !tells_all,
            OptionsAction::Administration => who.administrates(),
        });
        let asking = Asking::begin(call, preface, menu);
        at(who, State::Menu(asking))
    }
}

/// That callers hear the temporary greeting at `now`, said when the mailbox is opened: whoever comes back from a journey forgets it. One
/// that has ended is forgotten here.
pub(super) fn reminder(call: &Call, who: &mut Subscriber, now: Timestamp) -> Vec<Item> {
    who.mailbox.temporary = who.mailbox.temporary.filter(|temporary| temporary.is_in_force(now));
    let Some(temporary) = who.mailbox.temporary.filter(|_| who.reminded_of.as_ref() != Some(&who.mailbox.id)) else {
        return vec![];
    };
    who.reminded_of = Some(who.mailbox.id.clone());
    let mut items = say([PromptId::TemporaryOn]);
    if let Some(until) = temporary.until {
        items.extend(phrase::last_day(call.language(), until, who.mailbox.time_zone));
    }
    items.push(phrase::BREATH);
    items
}

fn at(who: Subscriber, state: State) -> Moment {
    Moment::Options(Box::new(Options { who, state }))
}

fn menu(who: Subscriber, asking: Asking, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Digit(digit) => match call.key(call.keys().options, digit) {
            Meaning::Does(OptionsAction::Greeting) => record(who, GreetingKind::Standard, call),
            Meaning::Does(OptionsAction::Busy) => record(who, GreetingKind::Forwarded(Forward::Busy), call),
            Meaning::Does(OptionsAction::Name) => record(who, GreetingKind::Name, call),
            Meaning::Does(OptionsAction::Temporary) => record(who, GreetingKind::Temporary, call),
            Meaning::Does(OptionsAction::Greetings) => offer_greetings(who, vec![], call),
            Meaning::Does(OptionsAction::Passcode) if !may_change_passcode(&who) => {
                Options::offer(who, say([PromptId::NotDone]), call)
            }
            Meaning::Does(OptionsAction::Passcode) => {
                let passcode = NewPasscode::begin(call, vec![]);
                at(who, State::Passcode(passcode))
            }
            Meaning::Does(OptionsAction::LastAccess) => {
                call.ask(Question::Account(AccountQuestion::LastAccess(who.mailbox.id.clone())));
                at(who, State::LastAccess)
            }
            Meaning::Does(OptionsAction::Administration) if who.administrates() => {
                let administration = Administration::begin(call);
                at(who, State::Administration(administration))
            }
            Meaning::Does(OptionsAction::Help) => {
                let menu = keymap::tell(call.keys().options, |action| match action {
                    OptionsAction::Help => false,
                    OptionsAction::Administration => who.administrates(),
                    OptionsAction::Passcode => may_change_passcode(&who),
                    _ => true,
                });
                let asking = Asking::begin(call, vec![], menu);
                at(who, State::Menu(asking))
            }
            Meaning::Does(OptionsAction::MainMenu) => Retrieval::begin(call, who, vec![]),
            Meaning::Begins => at(who, State::Menu(asking.silent())),
            Meaning::Does(OptionsAction::Administration) | Meaning::Nothing => {
                at(who, State::Menu(asking.repeat(call, say([PromptId::InvalidChoice]))))
            }
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

/// An owner's passcode opens the own mailbox; that of a shared one is for whoever administers it.
fn may_change_passcode(who: &Subscriber) -> bool {
    who.own.is_none()
}

fn record(who: Subscriber, kind: GreetingKind, call: &mut Call) -> Moment {
    let managing = Managing::begin_recording(call, &who, Target::Own(kind));
    at(who, State::Managing(managing, ChosenIn::Options))
}

fn offer_greetings(who: Subscriber, preface: Vec<Item>, call: &mut Call) -> Moment {
    let asking = Asking::begin(call, preface, keymap::tell(call.keys().greetings, |_| true));
    at(who, State::Greetings(asking))
}

fn choose_greeting(who: Subscriber, asking: Asking, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Digit(digit) => {
            let kind = match call.key(call.keys().greetings, digit) {
                Meaning::Does(GreetingsAction::Standard) => GreetingKind::Standard,
                Meaning::Does(GreetingsAction::Busy) => GreetingKind::Forwarded(Forward::Busy),
                Meaning::Does(GreetingsAction::NoAnswer) => GreetingKind::Forwarded(Forward::NoAnswer),
                Meaning::Does(GreetingsAction::Temporary) => GreetingKind::Temporary,
                Meaning::Does(GreetingsAction::Name) => GreetingKind::Name,
                Meaning::Does(GreetingsAction::Back) => return Options::offer(who, vec![], call),
                Meaning::Begins => return at(who, State::Greetings(asking.silent())),
                Meaning::Nothing => {
                    return at(who, State::Greetings(asking.repeat(call, say([PromptId::InvalidChoice]))));
                }
            };
            let managing = Managing::begin(call, &who, Target::Own(kind));
            at(who, State::Managing(managing, ChosenIn::Greetings))
        }
        Input::PlaybackDone | Input::PlaybackFailed => at(who, State::Greetings(asking.silent())),
        Input::Timeout => match asking.nothing_came(call) {
            Some(asking) => at(who, State::Greetings(asking)),
            None => Retrieval::leave(call, who),
        },
        Input::Hangup => Retrieval::leave(call, who),
        Input::RecordingDone { .. } | Input::Answer(_) => at(who, State::Greetings(asking)),
    }
}

fn manage(mut who: Subscriber, managing: Managing, chosen_in: ChosenIn, input: Input, call: &mut Call) -> Moment {
    match (managing.step(input, &mut who, call), chosen_in) {
        (greetings::Step::More(managing), _) => at(who, State::Managing(managing, chosen_in)),
        (greetings::Step::Back(said), ChosenIn::Options) => Options::offer(who, said, call),
        (greetings::Step::Back(said), ChosenIn::Greetings) => offer_greetings(who, said, call),
        (greetings::Step::Silence, _) => Retrieval::leave(call, who),
        (greetings::Step::MailboxGone, _) => call.part(say([PromptId::MailboxGone, PromptId::Goodbye])),
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

fn last_access(who: Subscriber, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Answer(Answer::Account(AccountAnswer::LastAccess { now, access })) => {
            let said = phrase::last_access(call.language(), &access, who.mailbox.time_zone, now);
            Options::offer(who, said, call)
        }
        Input::Answer(Answer::MailboxGone) => call.part(say([PromptId::MailboxGone, PromptId::Goodbye])),
        Input::Answer(_) => Options::offer(who, say([PromptId::NotDone]), call),
        Input::Timeout => {
            call.excuse();
            at(who, State::LastAccess)
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            at(who, State::LastAccess)
        }
    }
}

fn administrate(mut who: Subscriber, administration: Administration, input: Input, call: &mut Call) -> Moment {
    match administration.step(input, &mut who, call) {
        administration::Step::More(administration) => at(who, State::Administration(administration)),
        administration::Step::Back => Options::offer(who, vec![], call),
        administration::Step::Silence => Retrieval::leave(call, who),
        administration::Step::MailboxGone => call.part(say([PromptId::MailboxGone, PromptId::Goodbye])),
    }
}

fn ending_temporary(mut who: Subscriber, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Answer(Answer::Done) => {
            who.mailbox.temporary = None;
            Retrieval::begin(call, who, say([PromptId::TemporaryOff]))
        }
        Input::Answer(Answer::MailboxGone) => call.part(say([PromptId::MailboxGone, PromptId::Goodbye])),
        Input::Answer(_) => Retrieval::begin(call, who, say([PromptId::NotDone])),
        Input::Timeout => {
            call.excuse();
            at(who, State::EndingTemporary)
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            at(who, State::EndingTemporary)
        }
    }
}
