//! What is said of a message beside when it came and from which number.

use super::{
    BREATH, Grammar, Item, Language, Noun, PromptId, TimeZone, Timestamp, date, digits, from, moment, number, say, time,
};
use crate::domain::{
    caller::Caller,
    id::AudioKey,
    listening::Announcement,
    message::{Counts, Message},
};

/// "One of them is urgent.", after the counts.
pub fn urgent_among(language: &Language, counts: Counts) -> Vec<Item> {
    match (counts.urgent_new, counts.new) {
        (0, _) => vec![],
        (1, 1) if counts.saved == 0 => say([PromptId::ItIsUrgent]),
        (1, _) => say([PromptId::OneIsUrgent]),
        (urgent, new) if urgent == new && counts.saved == 0 => say([PromptId::AllAreUrgent]),
        (urgent, _) => {
            let mut items = number(language, urgent, Noun::Message);
            items.push(Item::Prompt(PromptId::AreUrgent));
            items
        }
    }
}

/// What the caller marked the message as.
fn marks(message: &Message) -> Vec<Item> {
    let urgent = message.urgent.then_some(PromptId::UrgentMessage);
    let private = message.private.then_some(PromptId::PrivateMessage);
    urgent.into_iter().chain(private).map(Item::Prompt).collect()
}

/// As much of the stamp as the subscriber wants to hear before each message. A caller who has a mailbox here is named by the
/// recording of the name.
pub fn announcement(
    language: &Language,
    announcement: Announcement,
    (message, caller_name): (&Message, Option<&AudioKey>),
    zone: TimeZone,
    now: Timestamp,
) -> Vec<Item> {
    let time = || moment(language, &zone.local(message.stamp_at), &zone.local(now));
    let caller = || match caller_name {
        Some(name) => vec![Item::Prompt(PromptId::FromName), Item::SpokenName(name.clone())],
        None => from(language, &message.caller),
    };
    let marks = marks(message);
    match announcement {
        Announcement::Full => [marks, time(), caller()].concat(),
        Announcement::Time => [marks, time()].concat(),
        Announcement::Caller => [marks, caller()].concat(),
        Announcement::None => vec![],
    }
}

/// "To number one zero zero two": whom the caller dialled, if it was another number than the mailbox's own.
pub fn called(language: &Language, message: &Message) -> Vec<Item> {
    let called = Caller { number: message.called.clone(), name: None };
    let Some(number) = called.spoken_digits() else { return vec![] };
    let mut items = say([PromptId::ToNumber]);
    items.extend(digits(language, number));
    items
}

/// "This message is kept until December twentieth, at nine A.M."
pub fn kept_until(language: &Language, end: Timestamp, zone: TimeZone) -> Vec<Item> {
    let end = zone.local(end);
    let mut items = say([PromptId::KeptUntil]);
    items.extend(date(language, end.month, end.day));
    // In Spanish the hour brings its own "at".
    if language.grammar != Grammar::Spanish {
        items.push(Item::Prompt(PromptId::At));
    }
    items.extend(time(language, end.hour, end.minute));
    items.push(BREATH);
    items
}
