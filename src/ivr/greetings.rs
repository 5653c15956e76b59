//! What can be done with a greeting, the name or a tenant's phrase: hear it, record it, bring back the one before, say when it ends,
//! remove it.

use super::{
    AccountAnswer, AccountQuestion, Answer, Input, Item, PromptId, Question,
    asking::{Asking, DigitEntry, Typed},
    greeting::{self, OwnRecording, Target},
    keymap::{self, Digit, Meaning, RecordingAction},
    login::Subscriber,
    phrase::{self, BREATH, say},
    session::{Call, Wait},
};
use crate::domain::{
    greeting::{GreetingKind, Temporary},
    id::AudioKey,
    time::Timestamp,
};

/// One recording that a subscriber manages.
#[derive(Debug)]
pub(super) struct Managing {
    target: Target,
    state: State,
}

#[derive(Debug)]
enum State {
    /// It is being looked up; these words come next.
    Looking(Vec<Item>),
    Menu(Held, Asking),
    Recording(OwnRecording),
    /// It is being changed; these words come next.
    Changing(PromptId),
    Days(Held, DigitEntry),
    EndingAt,
}

/// What there is.
#[derive(Clone, Debug, Default)]
struct Held {
    audio: Option<AudioKey>,
    has_previous: bool,
    until: Option<Timestamp>,
}

/// What came of an input.
#[derive(Debug)]
pub(super) enum Step {
    More(Managing),
    /// The subscriber goes back, perhaps after these words.
    Back(Vec<Item>),
    /// Nobody is there.
    Silence,
    MailboxGone,
}

impl Managing {
    /// Looks up what there is, and offers what can be done with it.
    pub fn begin(call: &mut Call, who: &Subscriber, target: Target) -> Self {
        look(target, who, vec![], call)
    }

    /// Begins with recording it; the menu of what can be done comes after a temporary greeting only, to say when it ends.
    pub fn begin_recording(call: &mut Call, who: &Subscriber, target: Target) -> Self {
        Self { target, state: State::Recording(OwnRecording::begin(call, target, who, vec![])) }
    }

    pub fn step(self, input: Input, who: &mut Subscriber, call: &mut Call) -> Step {
        let Self { target, state } = self;
        match state {
            State::Looking(preface) => looking(target, preface, input, who, call),
            State::Menu(held, asking) => menu(target, held, asking, input, who, call),
            State::Recording(recording) => recording_it(target, recording, input, who, call),
            State::Changing(said) => changing(target, said, input, who, call),
            State::Days(held, entry) => days(target, held, entry, input, who, call),
            State::EndingAt => ending_at(target, input, who, call),
        }
    }

    pub fn wait(&self) -> Wait {
        match &self.state {
            State::Looking(_) | State::Changing(_) | State::EndingAt => Wait::Answer,
            State::Menu(_, asking) => asking.wait(),
            State::Recording(recording) => recording.wait(),
            State::Days(_, entry) => entry.wait(),
        }
    }
}

fn at(target: Target, state: State) -> Step {
    Step::More(Managing { target, state })
}

fn look(target: Target, who: &Subscriber, preface: Vec<Item>, call: &mut Call) -> Managing {
    let id = who.mailbox.id.clone();
    call.ask(Question::Account(match target {
        Target::Own(kind) => AccountQuestion::Greeting(id, kind),
        Target::Phrase(phrase) => AccountQuestion::Phrase(id, phrase),
    }));
    Managing { target, state: State::Looking(preface) }
}

fn looking(target: Target, preface: Vec<Item>, input: Input, who: &mut Subscriber, call: &mut Call) -> Step {
    let held = match input {
        Input::Answer(Answer::Account(AccountAnswer::Greeting { now, greeting })) => {
            let in_force = greeting.as_ref().and_then(|greeting| greeting.in_force(now).cloned());
            let until = greeting.as_ref().and_then(|greeting| greeting.until);
            Held { until: until.filter(|_| in_force.is_some()), audio: in_force, has_previous: has_previous(greeting) }
        }
        Input::Answer(Answer::Account(AccountAnswer::Phrase(audio))) => Held { audio, ..Held::default() },
        Input::Answer(Answer::MailboxGone) => return Step::MailboxGone,
        Input::Answer(_) => return Step::Back(say([PromptId::NotDone])),
        Input::Timeout => {
            call.excuse();
            return at(target, State::Looking(preface));
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            return at(target, State::Looking(preface));
        }
    };
    if target == Target::Own(GreetingKind::Temporary) {
        who.mailbox.temporary = held.audio.as_ref().map(|_| Temporary { until: held.until });
    }
    offer(target, held, preface, who, call)
}

fn has_previous(greeting: Option<crate::domain::greeting::Greeting>) -> bool {
    greeting.is_some_and(|greeting| greeting.previous.is_some())
}

fn offer(target: Target, held: Held, mut preface: Vec<Item>, who: &Subscriber, call: &mut Call) -> Step {
    if held.audio.is_none() {
        preface.push(Item::Prompt(PromptId::NoRecording));
    }
    if let Some(until) = held.until {
        preface.extend(phrase::last_day(call.language(), until, who.mailbox.time_zone));
    }
    let menu = keymap::tell(call.keys().recording, |action| can(target, &held, action));
    let asking = Asking::begin(call, preface, menu);
    at(target, State::Menu(held, asking))
}

/// Whether there is something to do it with.
fn can(target: Target, held: &Held, action: RecordingAction) -> bool {
    match action {
        RecordingAction::Hear | RecordingAction::Remove => held.audio.is_some(),
        RecordingAction::BringBack => held.has_previous,
        RecordingAction::SetEnd => held.audio.is_some() && target == Target::Own(GreetingKind::Temporary),
        RecordingAction::Record | RecordingAction::Back => true,
    }
}

fn menu(target: Target, held: Held, asking: Asking, input: Input, who: &Subscriber, call: &mut Call) -> Step {
    match input {
        Input::Digit(digit) => menu_key(target, held, asking, digit, who, call),
        Input::PlaybackDone | Input::PlaybackFailed => at(target, State::Menu(held, asking.silent())),
        Input::Timeout => match asking.nothing_came(call) {
            Some(asking) => at(target, State::Menu(held, asking)),
            None => Step::Silence,
        },
        Input::Hangup => Step::Silence,
        Input::RecordingDone { .. } | Input::Answer(_) => at(target, State::Menu(held, asking)),
    }
}

fn menu_key(target: Target, held: Held, asking: Asking, digit: Digit, who: &Subscriber, call: &mut Call) -> Step {
    let action = match call.key(call.keys().recording, digit) {
        Meaning::Begins => return at(target, State::Menu(held, asking.silent())),
        Meaning::Does(action) if can(target, &held, action) => action,
        Meaning::Does(_) | Meaning::Nothing => {
            let asking = asking.repeat(call, say([PromptId::InvalidChoice]));
            return at(target, State::Menu(held, asking));
        }
    };
    let id = who.mailbox.id.clone();
    match (action, target) {
        (RecordingAction::Hear, _) => {
            let audio = held.audio.clone().map(Item::Greeting);
            let asking = asking.repeat(call, audio.into_iter().chain([BREATH]).collect());
            at(target, State::Menu(held, asking))
        }
        (RecordingAction::Record, _) => Step::More(Managing::begin_recording(call, who, target)),
        (RecordingAction::BringBack, Target::Own(kind)) => {
            call.ask(Question::Account(AccountQuestion::BringBack(id, kind)));
            at(target, State::Changing(PromptId::BroughtBack))
        }
        (RecordingAction::Remove, target) => {
            call.ask(Question::Account(match target {
                Target::Own(kind) => AccountQuestion::Remove(id, kind),
                Target::Phrase(phrase) => AccountQuestion::RemovePhrase(id, phrase),
            }));
            at(target, State::Changing(PromptId::RecordingRemoved))
        }
        (RecordingAction::SetEnd, _) => {
            let entry = DigitEntry::begin(call, vec![], say([PromptId::EnterDays]));
            at(target, State::Days(held, entry))
        }
        // A phrase has none before it that could be brought back.
        (RecordingAction::Back | RecordingAction::BringBack, _) => Step::Back(vec![]),
    }
}

fn recording_it(target: Target, recording: OwnRecording, input: Input, who: &Subscriber, call: &mut Call) -> Step {
    match recording.step(input, call) {
        greeting::Step::More(recording) => at(target, State::Recording(recording)),
        // Whoever records a temporary greeting may want to say when it ends.
        greeting::Step::Done(greeting::Outcome::Kept) if target == Target::Own(GreetingKind::Temporary) => {
            Step::More(look(target, who, say([target.saved()]), call))
        }
        greeting::Step::Done(greeting::Outcome::Kept) => Step::Back(say([target.saved()])),
        greeting::Step::Done(greeting::Outcome::Cancelled) => Step::Back(say([PromptId::NotKept])),
        greeting::Step::Done(greeting::Outcome::NotDone) => Step::Back(say([PromptId::NotDone])),
        greeting::Step::Done(greeting::Outcome::Refused(why)) => Step::Back(say([why, PromptId::NotKept])),
        greeting::Step::Done(greeting::Outcome::Silence) => Step::Silence,
        greeting::Step::Done(greeting::Outcome::MailboxGone) => Step::MailboxGone,
    }
}

fn changing(target: Target, said: PromptId, input: Input, who: &Subscriber, call: &mut Call) -> Step {
    match input {
        Input::Answer(Answer::Done) => Step::More(look(target, who, say([said]), call)),
        Input::Answer(Answer::MailboxGone) => Step::MailboxGone,
        Input::Answer(_) => Step::More(look(target, who, say([PromptId::NotDone]), call)),
        Input::Timeout => {
            call.excuse();
            at(target, State::Changing(said))
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            at(target, State::Changing(said))
        }
    }
}

fn days(target: Target, held: Held, entry: DigitEntry, input: Input, who: &Subscriber, call: &mut Call) -> Step {
    match entry.step(input, call) {
        Typed::More(entry) => at(target, State::Days(held, entry)),
        Typed::Complete(digits) => match digits.parse() {
            Ok(days @ 1..) => {
                call.ask(Question::Account(AccountQuestion::EndTemporaryAfter(who.mailbox.id.clone(), days)));
                at(target, State::EndingAt)
            }
            Ok(0) | Err(_) => {
                let entry = DigitEntry::begin(call, say([PromptId::InvalidChoice]), say([PromptId::EnterDays]));
                at(target, State::Days(held, entry))
            }
        },
        Typed::Back => offer(target, held, vec![], who, call),
        Typed::Silence => Step::Silence,
    }
}

fn ending_at(target: Target, input: Input, who: &mut Subscriber, call: &mut Call) -> Step {
    match input {
        // What is told of it next is looked up, and says when it ends.
        Input::Answer(Answer::Account(AccountAnswer::EndsAt { .. })) => Step::More(look(target, who, vec![], call)),
        Input::Answer(Answer::MailboxGone) => Step::MailboxGone,
        Input::Answer(_) => Step::More(look(target, who, say([PromptId::NotDone]), call)),
        Input::Timeout => {
            call.excuse();
            at(target, State::EndingAt)
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            at(target, State::EndingAt)
        }
    }
}
