//! A message to other mailboxes, and what is known of those who get it; and the mailboxes that several subscribers share.

use super::MailboxView;
use crate::domain::{
    id::{AudioKey, ListId, MailboxId, MessageId},
    mailbox::MailboxNumber,
    message::Marks,
    sending::{SendOutcome, SentKind},
};

/// Whom a message is addressed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addressee {
    /// A mailbox.
    Mailbox {
        /// Its id.
        id: MailboxId,
        /// Its number.
        number: MailboxNumber,
        /// The recording of its subscriber's name.
        spoken_name: Option<AudioKey>,
    },
    /// A distribution list.
    List {
        /// Its id.
        id: ListId,
        /// Its number.
        number: MailboxNumber,
    },
}

/// A message to other mailboxes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Why it is sent.
    pub kind: SentKind,
    /// The mailbox it comes from.
    pub sender: MailboxId,
    /// To whom.
    pub to: To,
    /// The message that is forwarded or replied to.
    pub about: Option<MessageId>,
    /// Whether what was recorded goes with it.
    pub recorded: bool,
    /// What the sender marks it as.
    pub marks: Marks,
}

/// Who gets a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// These.
    These(Vec<Addressee>),
    /// Every mailbox of the sender's tenant.
    Everybody,
}

/// To whom a message went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SendReport {
    /// How many mailboxes have it, or will.
    pub sent: u32,
    /// Those that do not get it, as far as they can be named.
    pub missed: Vec<Missed>,
}

/// A mailbox that does not get a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// Its number.
    pub number: MailboxNumber,
    /// The recording of its subscriber's name.
    pub spoken_name: Option<AudioKey>,
    /// Why.
    pub outcome: SendOutcome,
}

/// A shared mailbox, as one of its owners is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedMailbox {
    /// The mailbox.
    pub view: MailboxView,
    /// How many new messages it holds.
    pub new: u32,
}
