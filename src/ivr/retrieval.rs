//! A subscriber listens: counts, main menu, the lists, and each message with its stamp.

use std::time::Duration;

use super::{
    Answer, Effect, Input, Item, PlayFrom, PromptId, Question, Seek,
    asking::Asking,
    compose::Compose,
    keymap::{self, AfterAction, Digit, MainAction, Meaning, PlayingAction},
    login::Subscriber,
    options::{self, Options},
    phrase::{self, say},
    session::{Call, Moment, Wait},
    shared::Choice,
    transfer::CallBack,
};
use crate::domain::{
    message::{Counts, Folder, Message},
    time::Timestamp,
};

mod sending;

/// How far back and ahead go.
const SKIP: Duration = Duration::from_secs(3);
/// How long a message may be held.
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// A subscriber's session, from the counts to the goodbye.
#[derive(Debug)]
pub(super) struct Retrieval {
    who: Subscriber,
    state: State,
}

#[derive(Debug)]
enum State {
    Listing(Purpose),
    Main(Asking),
    /// The new messages of shared mailboxes are looked up, to be told after these words.
    Telling(Vec<Item>, Counts),
    /// A message to other mailboxes is made: begun at a message of the list, or in the main menu.
    Composing {
        list: Option<List>,
        compose: Compose,
    },
    /// Another mailbox is chosen.
    Choosing(Choice),
    Hearing {
        list: List,
        part: Part,
        paused: bool,
    },
    /// It is being noted that the message was heard to its end.
    Marking {
        list: List,
        retried: bool,
    },
    Saving {
        list: List,
        retried: bool,
    },
    After {
        list: List,
        asking: Asking,
    },
    /// Marked messages are being deleted while goodbye is said.
    Leaving {
        left: Vec<Message>,
        retried: bool,
        speaking: bool,
    },
}

/// Why the messages are listed.
#[derive(Debug)]
enum Purpose {
    /// For the main menu, after these words.
    Menu(Vec<Item>),
    Listen(Folder),
}

/// What of a message is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Date and caller; then the message.
    Stamp(PlayFrom),
    Message,
}

/// A list being listened to. Never empty; `at` is the current message.
#[derive(Debug)]
pub(super) struct List {
    now: Timestamp,
    messages: Vec<Message>,
    at: usize,
}

impl List {
    pub(super) fn current(&self) -> &Message {
        &self.messages[self.at]
    }

    fn is_at_last(&self) -> bool {
        self.at + 1 == self.messages.len()
    }

    fn replace_current(&mut self, message: Message) {
        self.messages[self.at] = message;
    }

    /// First, next, previous or last; nothing is said about the only message.
    fn position(&self, otherwise: PromptId) -> Vec<Item> {
        match (self.messages.len(), self.at) {
            (1, _) => vec![],
            (_, 0) => say([PromptId::FirstMessage]),
            _ if self.is_at_last() => say([PromptId::LastMessage]),
            _ => say([otherwise]),
        }
    }
}

impl Retrieval {
    /// Tells the counts, after `preface`, and offers the main menu.
    pub fn begin(call: &mut Call, who: Subscriber, preface: Vec<Item>) -> Moment {
        list(who, Purpose::Menu(preface), call)
    }

    /// Deletes what was marked, says goodbye, and ends the call.
    pub fn leave(call: &mut Call, who: Subscriber) -> Moment {
        call.tell(say([PromptId::Goodbye]));
        let speaking = !call.hung_up();
        let left = who.marked.clone();
        delete_next(who, left, speaking, call)
    }

    /// The same without a word, for somebody who does not listen to us any more.
    pub fn leave_silently(call: &mut Call, who: Subscriber) -> Moment {
        let left = who.marked.clone();
        delete_next(who, left, false, call)
    }

    /// Says this, and offers the menu of the current message again.
    pub fn back_to_message(call: &mut Call, who: Subscriber, list: List, preface: Vec<Item>) -> Moment {
        offer_message_menu(who, list, preface, call)
    }

    pub fn step(self, input: Input, call: &mut Call) -> Moment {
        let Self { who, state } = self;
        match state {
            State::Listing(purpose) => listing(who, purpose, input, call),
            State::Main(asking) => main_menu(who, asking, input, call),
            State::Telling(said, counts) => telling(who, said, counts, input, call),
            State::Composing { list, compose } => sending::composing(who, list, compose, input, call),
            State::Choosing(choice) => sending::choosing(who, choice, input, call),
            State::Hearing { list, part, paused } => hearing(who, list, part, paused, input, call),
            State::Marking { list, retried } => marking(who, list, retried, input, call),
            State::Saving { list, retried } => saving(who, list, retried, input, call),
            State::After { list, asking } => after(who, list, asking, input, call),
            State::Leaving { left, retried, speaking } => leaving(who, left, retried, speaking, input, call),
        }
    }

    pub fn wait(&self) -> Wait {
        match &self.state {
            State::Composing { compose, .. } => compose.wait(),
            State::Choosing(choice) => choice.wait(),
            State::Telling(..) | State::Listing(_) | State::Marking { .. } | State::Saving { .. } => Wait::Answer,
            State::Main(asking) | State::After { asking, .. } => asking.wait(),
            State::Hearing { paused: true, .. } => Wait::Keys(LONGEST_PAUSE),
            State::Hearing { paused: false, .. } => Wait::Phrase,
            State::Leaving { left, .. } if left.is_empty() => Wait::Phrase,
            State::Leaving { .. } => Wait::Answer,
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

fn list(who: Subscriber, purpose: Purpose, call: &mut Call) -> Moment {
    call.ask(Question::ListMessages(who.mailbox.id.clone()));
    at(who, State::Listing(purpose))
}

fn listing(mut who: Subscriber, purpose: Purpose, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Answer(Answer::Messages { now, messages }) => match purpose {
            Purpose::Menu(preface) => {
                let counts = counts(&who, &messages);
                let held = Counts { saved: u32::try_from(messages.len()).unwrap_or(u32::MAX), ..Counts::default() };
                let reminder = options::reminder(call, &mut who, now);
                let counted = phrase::counts(call.language(), counts);
                let said = [preface, counted, phrase::fullness(held), vec![phrase::BREATH], reminder].concat();
                if std::mem::take(&mut who.tell_shared) {
                    call.ask(Question::SharedMailboxes(who.mailbox.id.clone()));
                    return at(who, State::Telling(said, counts));
                }
                offer_main_menu(who, counts, said, call)
            }
            Purpose::Listen(folder) => {
                let counts = counts(&who, &messages);
                let messages: Vec<_> = messages.into_iter().filter(|message| message.folder() == folder).collect();
                if messages.is_empty() {
                    let nothing = match folder {
                        Folder::New => PromptId::NoNew,
                        Folder::Saved => PromptId::NoSaved,
                    };
                    return offer_main_menu(who, counts, say([nothing]), call);
                }
                introduce(who, List { now, messages, at: 0 }, PromptId::FirstMessage, call)
            }
        },
        Input::Answer(answer) => part_for(answer, call),
        Input::Timeout => {
            call.excuse();
            at(who, State::Listing(purpose))
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            at(who, State::Listing(purpose))
        }
    }
}

fn telling(who: Subscriber, said: Vec<Item>, counts: Counts, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Answer(answer) => {
            // What cannot be looked up is found when the mailbox is opened.
            let shared = if let Answer::SharedMailboxes(shared) = answer { shared } else { vec![] };
            let said = [said, phrase::shared(call.language(), &shared)].concat();
            offer_main_menu(who, counts, said, call)
        }
        Input::Timeout => {
            call.excuse();
            at(who, State::Telling(said, counts))
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            at(who, State::Telling(said, counts))
        }
    }
}

/// What is there, without what is marked as deleted.
fn counts(who: &Subscriber, messages: &[Message]) -> Counts {
    let mut counts = Counts::default();
    for message in messages.iter().filter(|message| !who.is_marked(&message.id)) {
        counts.add(message.folder(), message.urgent);
    }
    counts
}

/// Ends the call after an answer that leaves nothing to go on with.
fn part_for(answer: Answer, call: &mut Call) -> Moment {
    let why = if answer == Answer::MailboxGone { PromptId::MailboxGone } else { PromptId::SomethingWrong };
    call.part(say([why, PromptId::Goodbye]))
}

fn offer_main_menu(who: Subscriber, counts: Counts, preface: Vec<Item>, call: &mut Call) -> Moment {
    let menu = keymap::tell(call.keys().main, |action| match action {
        MainAction::HearNew => counts.new > 0,
        MainAction::HearSaved => counts.saved > 0,
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
            Meaning::Does(MainAction::HearNew) => list(who, Purpose::Listen(Folder::New), call),
            Meaning::Does(MainAction::HearSaved) => list(who, Purpose::Listen(Folder::Saved), call),
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

/// Says where in the list we are, and the stamp; the message follows.
fn introduce(who: Subscriber, list: List, position: PromptId, call: &mut Call) -> Moment {
    let mut items = list.position(position);
    items.extend(stamp(call, &who, &list));
    call.tell(items);
    at(who, State::Hearing { list, part: Part::Stamp(PlayFrom::Start), paused: false })
}

fn stamp(call: &Call, who: &Subscriber, list: &List) -> Vec<Item> {
    let message = list.current();
    let mut items = if who.is_marked(&message.id) { say([PromptId::IsDeleted]) } else { vec![] };
    items.extend(phrase::sent_as(message));
    items.extend(phrase::stamp(call.language(), message, who.mailbox.time_zone, list.now));
    items.push(phrase::BREATH);
    items
}

fn play(who: Subscriber, list: List, from: PlayFrom, call: &mut Call) -> Moment {
    let message = list.current();
    call.effect(Effect::PlayMessage { id: message.id.clone(), audio: message.audio.clone(), from });
    at(who, State::Hearing { list, part: Part::Message, paused: false })
}

fn hearing(who: Subscriber, list: List, part: Part, paused: bool, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Digit(digit) => hearing_key(who, list, part, paused, digit, call),
        Input::PlaybackDone | Input::PlaybackFailed if part != Part::Message => {
            let from = if let Part::Stamp(from) = part { from } else { PlayFrom::Start };
            play(who, list, from, call)
        }
        Input::PlaybackDone => heard_to_its_end(who, list, call),
        Input::PlaybackFailed => offer_message_menu(who, list, say([PromptId::CannotPlay]), call),
        // Held for too long, or a phrase that never ended.
        Input::Timeout => offer_message_menu(who, list, vec![], call),
        Input::Hangup => Retrieval::leave(call, who),
        Input::RecordingDone { .. } | Input::Answer(_) => at(who, State::Hearing { list, part, paused }),
    }
}

fn hearing_key(who: Subscriber, list: List, part: Part, paused: bool, digit: Digit, call: &mut Call) -> Moment {
    let stay = |who, list, paused| at(who, State::Hearing { list, part, paused });
    match call.key(call.keys().playing, digit) {
        Meaning::Does(PlayingAction::PauseOrContinue) => {
            call.effect(if paused { Effect::ResumePlaying } else { Effect::PausePlaying });
            stay(who, list, !paused)
        }
        Meaning::Does(skip @ (PlayingAction::Back | PlayingAction::Ahead)) => match part {
            Part::Message => {
                let seek = if skip == PlayingAction::Back { Seek::Back(SKIP) } else { Seek::Ahead(SKIP) };
                call.effect(Effect::Seek(seek));
                if paused {
                    call.effect(Effect::ResumePlaying);
                }
                stay(who, list, false)
            }
            // During the stamp: once more, or on to the message.
            Part::Stamp(_) if skip == PlayingAction::Back => {
                call.tell(stamp(call, &who, &list));
                stay(who, list, false)
            }
            Part::Stamp(from) => play(who, list, from, call),
        },
        Meaning::Does(PlayingAction::Envelope) => {
            let from = match part {
                Part::Stamp(from) => from,
                Part::Message => PlayFrom::WhereItStopped,
            };
            call.tell(envelope(call, &who, &list));
            at(who, State::Hearing { list, part: Part::Stamp(from), paused: false })
        }
        Meaning::Does(PlayingAction::Previous) => previous(who, list, call),
        Meaning::Does(PlayingAction::Repeat) => repeat(who, list, call),
        Meaning::Does(PlayingAction::Next) => next(who, list, call),
        Meaning::Does(PlayingAction::DeleteOrRestore) => delete_or_restore(who, list, call),
        Meaning::Does(PlayingAction::Save) => save(who, list, call),
        Meaning::Does(PlayingAction::Forward) => forward(who, list, call),
        Meaning::Does(PlayingAction::Reply) => reply(who, list, call),
        Meaning::Does(PlayingAction::MainMenu) => Retrieval::begin(call, who, vec![]),
        // A slip of the finger does not disturb the message.
        Meaning::Begins | Meaning::Nothing => stay(who, list, paused),
    }
}

fn envelope(call: &Call, who: &Subscriber, list: &List) -> Vec<Item> {
    let mut items = phrase::envelope(call.language(), list.current(), who.mailbox.time_zone, list.now);
    items.push(phrase::BREATH);
    items
}

fn heard_to_its_end(who: Subscriber, list: List, call: &mut Call) -> Moment {
    let message = list.current();
    if message.heard_at.is_some() || who.is_marked(&message.id) {
        return offer_menu_after_hearing(who, list, call);
    }
    call.ask(Question::MarkHeard(message.id.clone(), message.version));
    at(who, State::Marking { list, retried: false })
}

fn offer_menu_after_hearing(who: Subscriber, list: List, call: &mut Call) -> Moment {
    let preface = if list.current().interrupted { say([PromptId::EndMissing]) } else { vec![] };
    offer_message_menu(who, list, preface, call)
}

fn marking(who: Subscriber, mut list: List, retried: bool, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Answer(Answer::Changed(message)) => {
            list.replace_current(*message);
            offer_menu_after_hearing(who, list, call)
        }
        Input::Answer(Answer::Conflict(Some(message))) => {
            let still_new = message.heard_at.is_none();
            list.replace_current(*message);
            if !still_new || retried {
                return offer_menu_after_hearing(who, list, call);
            }
            let message = list.current();
            call.ask(Question::MarkHeard(message.id.clone(), message.version));
            at(who, State::Marking { list, retried: true })
        }
        Input::Answer(Answer::Conflict(None)) => gone(who, list, call),
        Input::Answer(Answer::MailboxGone) => part_for(Answer::MailboxGone, call),
        // It stays new; nobody has to be told.
        Input::Answer(_) => offer_menu_after_hearing(who, list, call),
        Input::Timeout => {
            call.excuse();
            at(who, State::Marking { list, retried })
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            at(who, State::Marking { list, retried })
        }
    }
}

/// The current message was deleted by somebody else.
fn gone(who: Subscriber, mut list: List, call: &mut Call) -> Moment {
    let mut who = who;
    let message = list.messages.remove(list.at);
    who.unmark(&message.id);
    if list.messages.is_empty() {
        return Retrieval::begin(call, who, say([PromptId::MessageGone]));
    }
    list.at = list.at.min(list.messages.len() - 1);
    let items = [say([PromptId::MessageGone]), list.position(PromptId::NextMessage), stamp(call, &who, &list)].concat();
    call.tell(items);
    at(who, State::Hearing { list, part: Part::Stamp(PlayFrom::Start), paused: false })
}

fn offer_message_menu(who: Subscriber, list: List, preface: Vec<Item>, call: &mut Call) -> Moment {
    let is_last = list.is_at_last();
    let menu = message_menu(call, &who, &list, |action| match action {
        AfterAction::DeleteOrRestore | AfterAction::Save | AfterAction::Help => true,
        AfterAction::Next => !is_last,
        AfterAction::MainMenu => is_last,
        AfterAction::Repeat
        | AfterAction::Previous
        | AfterAction::Forward
        | AfterAction::Reply
        | AfterAction::Envelope
        | AfterAction::HearNew
        | AfterAction::HearSaved
        | AfterAction::Options
        | AfterAction::CallBack => false,
    });
    let asking = Asking::begin(call, preface, menu);
    at(who, State::After { list, asking })
}

fn message_menu(call: &Call, who: &Subscriber, list: &List, told: impl Fn(AfterAction) -> bool) -> Vec<Item> {
    let can = |action| action != AfterAction::CallBack || who.mailbox.call_back;
    let mut menu = keymap::tell(call.keys().after, |action| can(action) && (told(action) || call.tells_all()));
    if who.is_marked(&list.current().id) {
        for item in &mut menu {
            if *item == Item::Prompt(PromptId::ToDelete) {
                *item = Item::Prompt(PromptId::ToRestore);
            }
        }
    }
    menu
}

fn after(who: Subscriber, list: List, asking: Asking, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Digit(digit) => after_key(who, list, asking, digit, call),
        Input::PlaybackDone | Input::PlaybackFailed => at(who, State::After { list, asking: asking.silent() }),
        Input::Timeout => match asking.nothing_came(call) {
            Some(asking) => at(who, State::After { list, asking }),
            None => Retrieval::leave(call, who),
        },
        Input::Hangup => Retrieval::leave(call, who),
        Input::RecordingDone { .. } | Input::Answer(_) => at(who, State::After { list, asking }),
    }
}

fn after_key(who: Subscriber, list: List, asking: Asking, digit: Digit, call: &mut Call) -> Moment {
    match call.key(call.keys().after, digit) {
        Meaning::Does(AfterAction::DeleteOrRestore) => delete_or_restore(who, list, call),
        Meaning::Does(AfterAction::Save) => save(who, list, call),
        Meaning::Does(AfterAction::Forward) => forward(who, list, call),
        Meaning::Does(AfterAction::Reply) => reply(who, list, call),
        Meaning::Does(AfterAction::Next) => next(who, list, call),
        Meaning::Does(AfterAction::Repeat) => repeat(who, list, call),
        Meaning::Does(AfterAction::Previous) => previous(who, list, call),
        Meaning::Does(AfterAction::Envelope) => {
            let items = envelope(call, &who, &list);
            at(who, State::After { list, asking: asking.repeat(call, items) })
        }
        Meaning::Does(AfterAction::HearNew) => self::list(who, Purpose::Listen(Folder::New), call),
        Meaning::Does(AfterAction::HearSaved) => self::list(who, Purpose::Listen(Folder::Saved), call),
        Meaning::Does(AfterAction::Options) => Options::begin(call, who),
        Meaning::Does(AfterAction::CallBack) => CallBack::begin(call, who, list),
        Meaning::Does(AfterAction::Help) => {
            let asking = Asking::begin(call, vec![], message_menu(call, &who, &list, |action| action != AfterAction::Help));
            at(who, State::After { list, asking })
        }
        Meaning::Does(AfterAction::MainMenu) => Retrieval::begin(call, who, vec![]),
        Meaning::Begins => at(who, State::After { list, asking: asking.silent() }),
        Meaning::Nothing => at(who, State::After { list, asking: asking.repeat(call, say([PromptId::InvalidChoice])) }),
    }
}

fn previous(who: Subscriber, mut list: List, call: &mut Call) -> Moment {
    match list.at.checked_sub(1) {
        Some(at) => {
            list.at = at;
            introduce(who, list, PromptId::PreviousMessage, call)
        }
        None => offer_message_menu(who, list, say([PromptId::AtFirstMessage]), call),
    }
}

fn next(who: Subscriber, mut list: List, call: &mut Call) -> Moment {
    if list.is_at_last() {
        return offer_message_menu(who, list, say([PromptId::NoMoreMessages]), call);
    }
    list.at += 1;
    introduce(who, list, PromptId::NextMessage, call)
}

fn repeat(who: Subscriber, list: List, call: &mut Call) -> Moment {
    let items = stamp(call, &who, &list);
    call.tell(items);
    at(who, State::Hearing { list, part: Part::Stamp(PlayFrom::Start), paused: false })
}

fn forward(who: Subscriber, list: List, call: &mut Call) -> Moment {
    let step = Compose::forward(call, &who, list.current());
    sending::compose(who, Some(list), step, call)
}

fn reply(who: Subscriber, list: List, call: &mut Call) -> Moment {
    let step = Compose::reply(call, &who, list.current());
    sending::compose(who, Some(list), step, call)
}

/// Marks the message, or takes the mark away. It goes when the session ends.
fn delete_or_restore(mut who: Subscriber, list: List, call: &mut Call) -> Moment {
    let message = list.current();
    let said = if who.is_marked(&message.id) {
        who.unmark(&message.id);
        PromptId::MessageRestored
    } else {
        who.marked.push(message.clone());
        PromptId::MessageDeleted
    };
    offer_message_menu(who, list, say([said]), call)
}

/// Saves the message; a mark on it is taken away.
fn save(mut who: Subscriber, list: List, call: &mut Call) -> Moment {
    let message = list.current();
    who.unmark(&message.id);
    call.effect(Effect::StopPlaying);
    call.ask(Question::Save(message.id.clone(), message.version));
    at(who, State::Saving { list, retried: false })
}

fn saving(who: Subscriber, mut list: List, retried: bool, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Answer(Answer::Changed(message)) => {
            list.replace_current(*message);
            offer_message_menu(who, list, say([PromptId::MessageSaved]), call)
        }
        // Somebody else changed it meanwhile; it is to be saved all the same.
        Input::Answer(Answer::Conflict(Some(message))) if !retried => {
            call.ask(Question::Save(message.id.clone(), message.version));
            list.replace_current(*message);
            at(who, State::Saving { list, retried: true })
        }
        Input::Answer(Answer::Conflict(None)) => gone(who, list, call),
        Input::Answer(Answer::MailboxGone) => part_for(Answer::MailboxGone, call),
        Input::Answer(_) => offer_message_menu(who, list, say([PromptId::NotDone]), call),
        Input::Timeout => {
            call.excuse();
            at(who, State::Saving { list, retried })
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            at(who, State::Saving { list, retried })
        }
    }
}

/// Deletes the first of `left`; ends the call when none is left and nothing more is said.
fn delete_next(who: Subscriber, left: Vec<Message>, speaking: bool, call: &mut Call) -> Moment {
    match left.first() {
        Some(message) => call.ask(Question::Delete(message.id.clone(), message.version)),
        None if speaking => {}
        None => return call.hang_up(),
    }
    at(who, State::Leaving { left, retried: false, speaking })
}

fn leaving(who: Subscriber, mut left: Vec<Message>, retried: bool, speaking: bool, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Answer(_) if left.is_empty() => at(who, State::Leaving { left, retried, speaking }),
        // Changed meanwhile, perhaps because it was mailed: deleted all the same, unless it was saved by somebody else.
        Input::Answer(Answer::Conflict(Some(message))) if !retried && message.saved_at == left[0].saved_at => {
            call.ask(Question::Delete(message.id.clone(), message.version));
            left[0] = *message;
            at(who, State::Leaving { left, retried: true, speaking })
        }
        Input::Answer(Answer::MailboxGone) => delete_next(who, vec![], speaking, call),
        Input::Answer(_) => {
            left.remove(0);
            delete_next(who, left, speaking, call)
        }
        Input::PlaybackDone | Input::PlaybackFailed | Input::Hangup | Input::Timeout if left.is_empty() => call.hang_up(),
        Input::PlaybackDone | Input::PlaybackFailed | Input::Hangup => at(who, State::Leaving { left, retried, speaking: false }),
        Input::Digit(_) | Input::RecordingDone { .. } | Input::Timeout => at(who, State::Leaving { left, retried, speaking }),
    }
}
