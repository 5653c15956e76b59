//! A subscriber listens: counts, main menu, the lists, and each message with its stamp.
//!
//! Here is what surrounds the messages: counting, the main menu, opening a list, leaving. [`list`] has the messages that are
//! listened to, [`playing`] what happens while one is heard, [`after`] the menu after it, [`changing`] what is done with it.

use super::{
    Answer, Effect, Input, Item, PromptId, Question,
    asking::Asking,
    compose::Compose,
    keymap::{self, MainAction, Meaning},
    login::Subscriber,
    options::{self, Options},
    phrase::{self, say},
    session::{Call, Moment, Wait},
    shared::Choice,
};
use crate::domain::{
    message::{Counts, Folder},
    preferences::Preferences,
};

mod after;
mod changing;
mod list;
mod playing;
mod sending;

use changing::Change;
pub(super) use list::List;
use playing::{LONGEST_PAUSE, Part};

/// A subscriber's session, from the counts to the goodbye.
#[derive(Debug)]
pub(super) struct Retrieval {
    who: Subscriber,
    state: State,
}

#[derive(Debug)]
enum State {
    /// For the main menu, after these words.
    Counting(Vec<Item>),
    Main(Asking),
    /// The new messages of shared mailboxes are looked up, to be told after these words.
    Telling(Vec<Item>),
    /// A message to other mailboxes is made: begun at a message of the list, or in the main menu.
    Composing {
        list: Option<List>,
        compose: Compose,
    },
    /// Another mailbox is chosen.
    Choosing(Choice),
    Opening(Folder),
    /// The messages after the last of those that are known are being listed.
    Turning {
        list: List,
        /// What is said before the next one.
        preface: Vec<Item>,
    },
    Hearing {
        list: List,
        part: Part,
        paused: bool,
    },
    Changing {
        list: List,
        change: Change,
        retried: bool,
    },
    After {
        list: List,
        asking: Asking,
    },
    /// Goodbye is said, and what the subscriber prefers by now is remembered.
    Leaving {
        speaking: bool,
        asked: bool,
    },
}

impl Retrieval {
    /// Tells the counts, after `preface`, and offers the main menu.
    pub fn begin(call: &mut Call, who: Subscriber, preface: Vec<Item>) -> Moment {
        call.ask(Question::CountMessages(who.mailbox.id.clone()));
        at(who, State::Counting(preface))
    }

    /// Says goodbye, remembers how messages were played at last, and ends the call.
    pub fn leave(call: &mut Call, who: Subscriber) -> Moment {
        call.tell(say([PromptId::Goodbye]));
        let speaking = !call.hung_up();
        Self::end(call, who, speaking)
    }

    /// The same without a word, for somebody who does not listen to us any more.
    pub fn leave_silently(call: &mut Call, who: Subscriber) -> Moment {
        Self::end(call, who, false)
    }

    /// Says this, and offers the menu of the current message again.
    pub fn back_to_message(call: &mut Call, who: Subscriber, list: List, preface: Vec<Item>) -> Moment {
        after::offer(who, list, preface, call)
    }

    fn end(call: &mut Call, who: Subscriber, speaking: bool) -> Moment {
        let asked = who.listening.playback != who.remembered;
        if asked {
            let preferences = Preferences { listening: who.listening.playback.into(), ..Preferences::default() };
            call.ask(Question::Prefer(who.own().id.clone(), Box::new(preferences)));
        }
        still_leaving(who, speaking, asked, call)
    }

    pub fn step(self, input: Input, call: &mut Call) -> Moment {
        let Self { who, state } = self;
        match state {
            State::Counting(preface) => counting(who, preface, input, call),
            State::Telling(said) => telling(who, said, input, call),
            State::Composing { list, compose } => sending::composing(who, list, compose, input, call),
            State::Choosing(choice) => sending::choosing(who, choice, input, call),
            State::Main(asking) => main_menu(who, asking, input, call),
            State::Opening(folder) => opening(who, folder, input, call),
            State::Turning { list, preface } => playing::turning(who, list, preface, input, call),
            State::Hearing { list, part, paused } => playing::hearing(who, list, part, paused, input, call),
            State::Changing { list, change, retried } => changing::changing(who, list, change, retried, input, call),
            State::After { list, asking } => after::after(who, list, asking, input, call),
            State::Leaving { speaking, asked } => leaving(who, speaking, asked, input, call),
        }
    }

    pub fn wait(&self) -> Wait {
        match &self.state {
            State::Composing { compose, .. } => compose.wait(),
            State::Choosing(choice) => choice.wait(),
            State::Telling(_) | State::Counting(_) | State::Opening(_) | State::Turning { .. } | State::Changing { .. } => {
                Wait::Answer
            }
            State::Main(asking) | State::After { asking, .. } => asking.wait(),
            State::Hearing { paused: true, .. } => Wait::Keys(LONGEST_PAUSE),
            State::Hearing { paused: false, .. } | State::Leaving { asked: false, .. } => Wait::Phrase,
            State::Leaving { asked: true, .. } => Wait::Answer,
        }
    }
}

impl From<Retrieval> for Moment {
    fn from(retrieval: Retrieval) -> Self {
        Self::Retrieval(Box::new(retrieval))
    }
}

fn at(who: Subscriber, state: State) -> Moment {
    Retrieval { who, state }.into()
}

fn counting(mut who: Subscriber, preface: Vec<Item>, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Answer(Answer::Counted { now, holdings }) => {
            who.holdings = holdings;
            let counts = holdings.counts;
            let reminder = options::reminder(call, &mut who, now);
            let held = Counts { saved: counts.total(), ..Counts::default() };
            let said = [
                preface,
                phrase::counts(call.language(), counts),
                phrase::urgent_among(call.language(), counts),
                phrase::fullness(held),
                vec![phrase::BREATH],
                reminder,
            ]
            .concat();
            if std::mem::take(&mut who.tell_shared) {
                call.ask(Question::SharedMailboxes(who.mailbox.id.clone()));
                return at(who, State::Telling(said));
            }
            offer_main_menu(who, said, call)
        }
        Input::Answer(answer) => part_for(answer, call),
        Input::Timeout => {
            call.excuse();
            at(who, State::Counting(preface))
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            at(who, State::Counting(preface))
        }
    }
}

fn telling(who: Subscriber, said: Vec<Item>, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Answer(answer) => {
            // What cannot be looked up is found when the mailbox is opened.
            let shared = if let Answer::SharedMailboxes(shared) = answer { shared } else { vec![] };
            let said = [said, phrase::shared(call.language(), &shared)].concat();
            offer_main_menu(who, said, call)
        }
        Input::Timeout => {
            call.excuse();
            at(who, State::Telling(said))
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            at(who, State::Telling(said))
        }
    }
}

/// Ends the call after an answer that leaves nothing to go on with.
fn part_for(answer: Answer, call: &mut Call) -> Moment {
    let why = if answer == Answer::MailboxGone { PromptId::MailboxGone } else { PromptId::SomethingWrong };
    call.part(say([why, PromptId::Goodbye]))
}

fn offer_main_menu(who: Subscriber, preface: Vec<Item>, call: &mut Call) -> Moment {
    let menu = keymap::tell(call.keys().main, |action| match action {
        MainAction::HearNew => who.holdings.counts.new > 0,
        MainAction::HearSaved => who.holdings.counts.saved > 0,
        MainAction::HearDeleted => who.holdings.deleted > 0,
        MainAction::EndTemporary => who.mailbox.temporary.is_some(),
        MainAction::Shared => who.own().owns_shared,
        MainAction::Compose => call.tells_all(),
        MainAction::Broadcast => call.tells_all() && who.own().administrator,
        MainAction::Options | MainAction::Help | MainAction::Leave => true,
    });
    let asking = Asking::begin(call, preface, menu);
    at(who, State::Main(asking))
}

fn main_menu(who: Subscriber, asking: Asking, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Digit(digit) => match call.key(call.keys().main, digit) {
            Meaning::Does(MainAction::HearNew) => open(who, Folder::New, call),
            Meaning::Does(MainAction::HearSaved) => open(who, Folder::Saved, call),
            Meaning::Does(MainAction::HearDeleted) => open(who, Folder::Deleted, call),
            Meaning::Does(MainAction::EndTemporary) if who.mailbox.temporary.is_some() => Options::end_temporary(call, who),
            Meaning::Does(MainAction::Compose) => {
                let step = Compose::send(call, &who);
                sending::compose(who, None, step, call)
            }
            Meaning::Does(MainAction::Broadcast) if who.own().administrator => {
                let step = Compose::broadcast(call, &who);
                sending::compose(who, None, step, call)
            }
            Meaning::Does(MainAction::Shared) if who.own().owns_shared => {
                call.effect(Effect::StopPlaying);
                let choice = Choice::begin(call, &who);
                at(who, State::Choosing(choice))
            }
            Meaning::Does(MainAction::Options) => Options::begin(call, who),
            Meaning::Does(MainAction::Help) => {
                let mut help = keymap::tell(call.keys().main, |action| match action {
                    MainAction::EndTemporary => who.mailbox.temporary.is_some(),
                    MainAction::Shared => who.own().owns_shared,
                    MainAction::Broadcast => who.own().administrator,
                    _ => true,
                });
                help.extend([phrase::BREATH, Item::Prompt(PromptId::WhilePlaying)]);
                help.extend(keymap::tell(call.keys().playing, |_| true));
                help.push(phrase::BREATH);
                at(who, State::Main(asking.repeat(call, help)))
            }
            Meaning::Does(MainAction::Leave) => Retrieval::leave(call, who),
            Meaning::Begins => at(who, State::Main(asking.silent())),
            // What others may do is nothing to whoever may not.
            Meaning::Does(MainAction::EndTemporary | MainAction::Broadcast | MainAction::Shared) | Meaning::Nothing => {
                at(who, State::Main(asking.repeat(call, say([PromptId::InvalidChoice]))))
            }
        },
        Input::PlaybackDone | Input::PlaybackFailed => at(who, State::Main(asking.silent())),
        Input::Timeout => match asking.nothing_came(call) {
            Some(asking) => at(who, State::Main(asking)),
            None => Retrieval::leave(call, who),
        },
        Input::Hangup => Retrieval::leave(call, who),
        Input::RecordingDone { .. } | Input::Answer(_) => at(who, State::Main(asking)),
    }
}

/// Opens a list at its first message.
fn open(who: Subscriber, folder: Folder, call: &mut Call) -> Moment {
    call.ask(list::question(&who, folder, None));
    at(who, State::Opening(folder))
}

fn opening(mut who: Subscriber, folder: Folder, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Answer(Answer::Messages(page)) => match List::new(folder, page) {
            Some(list) => playing::introduce(who, list, PromptId::FirstMessage, call),
            None => {
                let (held, nothing) = match folder {
                    Folder::New => (&mut who.holdings.counts.new, PromptId::NoNew),
                    Folder::Saved => (&mut who.holdings.counts.saved, PromptId::NoSaved),
                    Folder::Deleted => (&mut who.holdings.deleted, PromptId::NoDeleted),
                };
                *held = 0;
                offer_main_menu(who, say([nothing]), call)
            }
        },
        Input::Answer(answer) => part_for(answer, call),
        Input::Timeout => {
            call.excuse();
            at(who, State::Opening(folder))
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            at(who, State::Opening(folder))
        }
    }
}

fn leaving(who: Subscriber, speaking: bool, asked: bool, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Answer(_) => still_leaving(who, speaking, false, call),
        Input::PlaybackDone | Input::PlaybackFailed | Input::Hangup => still_leaving(who, false, asked, call),
        // The goodbye has never ended.
        Input::Timeout => still_leaving(who, speaking && asked, asked, call),
        Input::Digit(_) | Input::RecordingDone { .. } => at(who, State::Leaving { speaking, asked }),
    }
}

fn still_leaving(who: Subscriber, speaking: bool, asked: bool, call: &mut Call) -> Moment {
    if speaking || asked { at(who, State::Leaving { speaking, asked }) } else { call.hang_up() }
}
