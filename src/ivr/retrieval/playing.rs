//! A message is heard: what is said before it, then the message, and the keys meanwhile.

use std::time::Duration;

use super::{
    Retrieval, State, after, at,
    changing::{self, Change},
    list::{self, List},
    sending,
};
use crate::{
    domain::{
        listening::{Announcement, Playback, Speed},
        message::Folder,
    },
    ivr::{
        Answer, Effect, Input, Item, PlayFrom, PromptId, Seek,
        keymap::{Digit, Meaning, PlayingAction},
        login::Subscriber,
        phrase::{self, say},
        session::{Call, Moment},
    },
};

/// How long a message may be held.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// What of a message is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Date and caller; then the message.
    Stamp(PlayFrom),
    Message,
}

/// Says where in the list we are, and the stamp; the message follows.
pub(super) fn introduce(who: Subscriber, list: List, position: PromptId, call: &mut Call) -> Moment {
    introduce_after(vec![], who, list, position, call)
}

pub(super) fn introduce_after(preface: Vec<Item>, who: Subscriber, list: List, position: PromptId, call: &mut Call) -> Moment {
    let items = [preface, list.position(position), stamp(call, &who, &list)].concat();
    call.tell(items);
    at(who, State::Hearing { list, part: Part::Stamp(PlayFrom::Start), paused: false })
}

pub(super) fn previous(who: Subscriber, mut list: List, call: &mut Call) -> Moment {
    if list.go_back() {
        return introduce(who, list, PromptId::PreviousMessage, call);
    }
    after::offer(who, list, say([PromptId::AtFirstMessage]), call)
}

pub(super) fn next(who: Subscriber, list: List, call: &mut Call) -> Moment {
    next_after(vec![], who, list, call)
}

pub(super) fn next_after(preface: Vec<Item>, who: Subscriber, mut list: List, call: &mut Call) -> Moment {
    if let Some(place) = list.turns_after() {
        call.ask(list::question(&who, list.folder, Some(place.clone())));
        return at(who, State::Turning { list, preface });
    }
    if list.advance() {
        return introduce_after(preface, who, list, PromptId::NextMessage, call);
    }
    after::offer(who, list, [preface, say([PromptId::NoMoreMessages])].concat(), call)
}

pub(super) fn turning(who: Subscriber, mut list: List, preface: Vec<Item>, input: Input, call: &mut Call) -> Moment {
    match input {
        // Those that were to follow may have been deleted, or heard elsewhere.
        Input::Answer(Answer::Messages(page)) => {
            list.extend(page);
            next_after(preface, who, list, call)
        }
        Input::Answer(answer) => super::part_for(answer, call),
        Input::Timeout => {
            call.excuse();
            at(who, State::Turning { list, preface })
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            at(who, State::Turning { list, preface })
        }
    }
}

/// Date and caller once more, then the message.
pub(super) fn repeat(who: Subscriber, list: List, call: &mut Call) -> Moment {
    let items = stamp(call, &who, &list);
    call.tell(items);
    at(who, State::Hearing { list, part: Part::Stamp(PlayFrom::Start), paused: false })
}

fn stamp(call: &Call, who: &Subscriber, list: &List) -> Vec<Item> {
    let message = list.current();
    // In the list of deleted ones that is no news.
    let is_news = message.deleted_at.is_some() && list.folder != Folder::Deleted;
    let mut items = if is_news { say([PromptId::IsDeleted]) } else { vec![] };
    items.extend(phrase::sent_as(message));
    items.extend(announced(call, who, list, who.listening.announcement));
    items.push(phrase::BREATH);
    items
}

/// Everything that is known about the message.
pub(super) fn envelope(call: &Call, who: &Subscriber, list: &List) -> Vec<Item> {
    let message = list.current();
    let mut items = announced(call, who, list, Announcement::Full);
    items.extend(phrase::called(call.language(), message));
    items.push(phrase::BREATH);
    items.extend(phrase::length(call.language(), message.duration));
    items.push(phrase::BREATH);
    items
}

fn announced(call: &Call, who: &Subscriber, list: &List, announcement: Announcement) -> Vec<Item> {
    let message = (list.current(), list.current_caller_name());
    phrase::announcement(call.language(), announcement, message, who.mailbox.time_zone, list.now)
}

fn play(who: Subscriber, list: List, from: PlayFrom, call: &mut Call) -> Moment {
    let message = list.current();
    let playback = who.listening.playback;
    call.effect(Effect::PlayMessage { id: message.id.clone(), audio: message.audio.clone(), from, playback });
    at(who, State::Hearing { list, part: Part::Message, paused: false })
}

pub(super) fn hearing(who: Subscriber, list: List, part: Part, paused: bool, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Digit(digit) => key(who, list, part, paused, digit, call),
        Input::PlaybackDone | Input::PlaybackFailed if part != Part::Message => {
            let from = if let Part::Stamp(from) = part { from } else { PlayFrom::Start };
            play(who, list, from, call)
        }
        Input::PlaybackDone | Input::PlaybackFailed => match call.complete_key(call.keys().playing) {
            // No further key comes in time.
            Meaning::Does(action) if !is_for_what_plays(action) => act(who, list, part, paused, action, call),
            Meaning::Does(_) | Meaning::Begins | Meaning::Nothing if matches!(input, Input::PlaybackFailed) => {
                after::offer(who, list, say([PromptId::CannotPlay]), call)
            }
            Meaning::Does(_) | Meaning::Begins | Meaning::Nothing => heard_to_its_end(who, list, call),
        },
        // Held for too long, or a phrase that never ended.
        Input::Timeout => after::offer(who, list, vec![], call),
        Input::Hangup => Retrieval::leave(call, who),
        Input::RecordingDone { .. } | Input::Answer(_) => at(who, State::Hearing { list, part, paused }),
    }
}

fn key(who: Subscriber, list: List, part: Part, paused: bool, digit: Digit, call: &mut Call) -> Moment {
    match call.key(call.keys().playing, digit) {
        Meaning::Does(action) => act(who, list, part, paused, action, call),
        // A slip of the finger does not disturb the message.
        Meaning::Begins | Meaning::Nothing => at(who, State::Hearing { list, part, paused }),
    }
}

/// Whether it means nothing once the message is over.
fn is_for_what_plays(action: PlayingAction) -> bool {
    match action {
        PlayingAction::PauseOrContinue
        | PlayingAction::Back
        | PlayingAction::Ahead
        | PlayingAction::ToStart
        | PlayingAction::ToEnd
        | PlayingAction::Slower
        | PlayingAction::Faster
        | PlayingAction::NormalSpeed
        | PlayingAction::Louder
        | PlayingAction::Softer
        | PlayingAction::Envelope => true,
        PlayingAction::Previous
        | PlayingAction::Repeat
        | PlayingAction::Next
        | PlayingAction::DeleteOrRestore
        | PlayingAction::Save
        | PlayingAction::KeepAsNew
        | PlayingAction::Forward
        | PlayingAction::Reply
        | PlayingAction::MainMenu => false,
    }
}

fn act(who: Subscriber, list: List, part: Part, paused: bool, action: PlayingAction, call: &mut Call) -> Moment {
    let stay = |who, list, paused| at(who, State::Hearing { list, part, paused });
    let skip = who.listening.skip.span();
    match action {
        PlayingAction::PauseOrContinue => {
            call.effect(if paused { Effect::ResumePlaying } else { Effect::PausePlaying });
            stay(who, list, !paused)
        }
        PlayingAction::Back => match part {
            Part::Message => seek(who, list, Seek::Back(skip), paused, call),
            // Once more.
            Part::Stamp(_) => {
                let items = stamp(call, &who, &list);
                call.tell(items);
                stay(who, list, false)
            }
        },
        PlayingAction::Ahead => match part {
            Part::Message => seek(who, list, Seek::Ahead(skip), paused, call),
            // On to the message.
            Part::Stamp(from) => play(who, list, from, call),
        },
        PlayingAction::ToStart => match part {
            Part::Message => seek(who, list, Seek::Start, paused, call),
            Part::Stamp(_) => play(who, list, PlayFrom::Start, call),
        },
        // What was passed over was not heard: a new message stays new.
        PlayingAction::ToEnd => {
            call.effect(Effect::StopPlaying);
            after::offer(who, list, vec![], call)
        }
        PlayingAction::Slower => {
            change_playback(who, list, part, paused, call, |playback| Playback { speed: playback.speed.slower(), ..playback })
        }
        PlayingAction::Faster => {
            change_playback(who, list, part, paused, call, |playback| Playback { speed: playback.speed.faster(), ..playback })
        }
        PlayingAction::NormalSpeed => {
            change_playback(who, list, part, paused, call, |playback| Playback { speed: Speed::NORMAL, ..playback })
        }
        PlayingAction::Louder => {
            change_playback(who, list, part, paused, call, |playback| Playback { volume: playback.volume.louder(), ..playback })
        }
        PlayingAction::Softer => {
            change_playback(who, list, part, paused, call, |playback| Playback { volume: playback.volume.softer(), ..playback })
        }
        PlayingAction::Envelope => {
            let from = match part {
                Part::Stamp(from) => from,
                Part::Message => PlayFrom::WhereItStopped,
            };
            let items = envelope(call, &who, &list);
            call.tell(items);
            at(who, State::Hearing { list, part: Part::Stamp(from), paused: false })
        }
        PlayingAction::Previous => previous(who, list, call),
        PlayingAction::Repeat => repeat(who, list, call),
        PlayingAction::Next => next(who, list, call),
        PlayingAction::DeleteOrRestore => changing::delete_or_restore(who, list, call),
        PlayingAction::Save => changing::save(who, list, call),
        PlayingAction::KeepAsNew => changing::keep_as_new(who, list, call),
        PlayingAction::Forward => sending::forward(who, list, call),
        PlayingAction::Reply => sending::reply(who, list, call),
        PlayingAction::MainMenu => Retrieval::begin(call, who, vec![]),
    }
}

/// Moves within the message; one that is held goes on.
fn seek(who: Subscriber, list: List, seek: Seek, paused: bool, call: &mut Call) -> Moment {
    call.effect(Effect::Seek(seek));
    if paused {
        call.effect(Effect::ResumePlaying);
    }
    at(who, State::Hearing { list, part: Part::Message, paused: false })
}

/// Plays the message otherwise from where it is, and all that follow. At the last step a key does nothing.
fn change_playback(
    mut who: Subscriber,
    list: List,
    part: Part,
    paused: bool,
    call: &mut Call,
    changed: impl Fn(Playback) -> Playback,
) -> Moment {
    let before = who.listening.playback;
    who.listening.playback = changed(before);
    if part == Part::Message && who.listening.playback != before {
        call.effect(Effect::ChangePlayback(who.listening.playback));
    }
    at(who, State::Hearing { list, part, paused })
}

fn heard_to_its_end(who: Subscriber, list: List, call: &mut Call) -> Moment {
    let message = list.current();
    if message.heard_at.is_some() || message.deleted_at.is_some() {
        return after::offer_after_hearing(who, list, call);
    }
    changing::begin(who, list, Change::Heard, call)
}
