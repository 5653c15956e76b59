//! What is said of messages between mailboxes, and of mailboxes that several people open.

use super::{BREATH, Noun, digits, number, say};
use crate::{
    domain::{
        id::AudioKey,
        language::Language,
        mailbox::MailboxNumber,
        message::Message,
        sending::{SendOutcome, SentKind},
    },
    ivr::{Addressee, Item, Missed, PromptId, SendReport, SharedMailbox},
};

/// How many mailboxes are named that did not get a message.
const NAMED: usize = 10;

/// Whom a number stands for: the name, or "mailbox" or "distribution list" and its digits.
pub fn addressee(language: &Language, addressee: &Addressee) -> Vec<Item> {
    match addressee {
        Addressee::Mailbox { spoken_name: Some(name), .. } => vec![Item::SpokenName(name.clone()), BREATH],
        Addressee::Mailbox { number, .. } => numbered(language, PromptId::MailboxNumber, number),
        Addressee::List { number, .. } => numbered(language, PromptId::ListNumber, number),
    }
}

/// "You are replying to …"
pub fn reply_to(language: &Language, addressee: &Addressee) -> Vec<Item> {
    let (Addressee::Mailbox { number, spoken_name, .. }, first) = (addressee, PromptId::ReplyTo) else { return vec![] };
    [say([first]), name(language, number, spoken_name.as_ref()), vec![BREATH]].concat()
}

/// "Your message was sent to three mailboxes. It was not sent to these full mailboxes: …"
pub fn sent(language: &Language, report: &SendReport) -> Vec<Item> {
    let mut items = match report.sent {
        0 => say([PromptId::SentToNobody]),
        1 => say([PromptId::SentTo1]),
        mailboxes => {
            let mut items = say([PromptId::SentTo]);
            items.extend(number(language, mailboxes, Noun::Mailbox));
            items.push(Item::Prompt(PromptId::Mailboxes));
            items
        }
    };
    for (outcome, first) in [(SendOutcome::Full, PromptId::NotSentToFull), (SendOutcome::Gone, PromptId::NotSentTo)] {
        let missed = report.missed.iter().filter(|missed| missed.outcome == outcome).take(NAMED);
        let names: Vec<Item> =
            missed.flat_map(|Missed { number, spoken_name, .. }| name(language, number, spoken_name.as_ref())).collect();
        if !names.is_empty() {
            items.push(BREATH);
            items.push(Item::Prompt(first));
            items.extend(names);
        }
    }
    items.push(BREATH);
    items
}

/// What the message is marked as now.
pub fn marked_urgent(urgent: bool) -> Vec<Item> {
    say([if urgent { PromptId::MarkedUrgent } else { PromptId::NotUrgent }])
}

/// What the message is marked as now.
pub fn marked_private(private: bool) -> Vec<Item> {
    say([if private { PromptId::MarkedPrivate } else { PromptId::NotPrivate }])
}

/// How a message came from another mailbox, before its stamp.
pub fn sent_as(message: &Message) -> Vec<Item> {
    match message.sent.as_ref().map(|sent| sent.kind) {
        Some(SentKind::Forwarded) => say([PromptId::ForwardedMessage]),
        Some(SentKind::Reply) => say([PromptId::ReplyMessage]),
        Some(SentKind::Broadcast) => say([PromptId::BroadcastMessage]),
        Some(SentKind::Sent) | None => vec![],
    }
}

/// "Mailbox … has two new messages." for each shared mailbox that has any.
pub fn shared(language: &Language, mailboxes: &[SharedMailbox]) -> Vec<Item> {
    let mut items = vec![];
    for SharedMailbox { view, new } in mailboxes.iter().filter(|it| it.new > 0) {
        items.push(Item::Prompt(PromptId::MailboxNumber));
        items.extend(name(language, &view.number, view.spoken_name.as_ref()));
        if *new == 1 {
            items.push(Item::Prompt(PromptId::HasNew1));
        } else {
            items.push(Item::Prompt(PromptId::HasNew));
            items.extend(number(language, *new, Noun::Message));
            items.push(Item::Prompt(PromptId::NewMessages));
        }
        items.push(BREATH);
    }
    items
}

/// "For mailbox …"
pub fn for_mailbox(language: &Language, number: &MailboxNumber, spoken_name: Option<&AudioKey>) -> Vec<Item> {
    [say([PromptId::ForMailbox]), name(language, number, spoken_name)].concat()
}

/// "You are in mailbox …"
pub fn in_mailbox(language: &Language, number: &MailboxNumber, spoken_name: Option<&AudioKey>) -> Vec<Item> {
    [say([PromptId::InMailbox]), name(language, number, spoken_name), vec![BREATH]].concat()
}

fn numbered(language: &Language, first: PromptId, number: &MailboxNumber) -> Vec<Item> {
    [say([first]), name(language, number, None), vec![BREATH]].concat()
}

/// The recorded name, or the digits; nothing of a number that has letters.
fn name(language: &Language, number: &MailboxNumber, spoken_name: Option<&AudioKey>) -> Vec<Item> {
    match spoken_name {
        Some(name) => vec![Item::SpokenName(name.clone())],
        None if number.as_str().bytes().all(|sign| sign.is_ascii_digit()) => digits(language, number.as_str()),
        None => vec![],
    }
}
