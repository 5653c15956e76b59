//! A message in a mailbox.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    caller::Caller,
    id::{AudioKey, MailboxId, MessageId},
    listening::First,
    sending::Sent,
    time::Timestamp,
};

/// A deposited message, as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Stable for the message's whole life.
    pub id: MessageId,
    /// Whose it is.
    pub mailbox: MailboxId,
    /// Who left it.
    pub caller: Caller,
    /// Whether somebody who is believed vouched for the caller's number: a trusted peer, or a line's password. Always so for what
    /// came from another mailbox.
    pub caller_verified: bool,
    /// The number that the caller dialled, if it is not the mailbox's own.
    pub called: Option<String>,
    /// When the caller finished it. Never changes.
    pub deposited_at: Timestamp,
    /// The date and time spoken and shown: the deposit, or the latest save.
    pub stamp_at: Timestamp,
    /// When it may be removed, unless saved before.
    pub expires_at: Timestamp,
    /// When it was first heard to its end.
    pub heard_at: Option<Timestamp>,
    /// The latest save.
    pub saved_at: Option<Timestamp>,
    /// When a mail server accepted it (voice-to-email).
    pub mailed_at: Option<Timestamp>,
    /// When its subscriber deleted it. It can be restored for a while ([`rules::end_in_deleted_list`](super::rules::end_in_deleted_list)).
    pub deleted_at: Option<Timestamp>,
    /// Length of the audio.
    pub duration: Duration,
    /// The WAV.
    pub audio: AudioKey,
    /// The recording as it came, if `audio` is a cleaned one.
    pub original_audio: Option<AudioKey>,
    /// Whether the server stopped while it was being recorded, so that its end is missing.
    pub interrupted: bool,
    /// Whether its caller marked it as urgent.
    pub urgent: bool,
    /// Whether its caller marked it as private: it is not passed on to others.
    pub private: bool,
    /// How it came from another mailbox; none when it was left by a call.
    pub sent: Option<Sent>,
    /// Raised by every change; a change names the version it was decided on (compare-and-set).
    pub version: i64,
}

impl Message {
    /// Every audio object that the message refers to. Messages that several mailboxes got at once share theirs.
    pub fn audio_objects(&self) -> impl Iterator<Item = &AudioKey> {
        std::iter::once(&self.audio).chain(&self.original_audio)
    }

    /// What its caller marked it as.
    #[must_use]
    pub const fn marks(&self) -> Marks {
        Marks { urgent: self.urgent, private: self.private }
    }

    /// The list the message is in.
    #[must_use]
    pub fn folder(&self) -> Folder {
        if self.deleted_at.is_some() {
            Folder::Deleted
        } else if self.heard_at.is_some() || self.saved_at.is_some() {
            Folder::Saved
        } else {
            Folder::New
        }
    }
}

/// What a caller can mark a message as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks {
    /// It should be heard before others.
    pub urgent: bool,
    /// It is for the subscriber alone.
    pub private: bool,
}

/// The lists of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Folder {
    /// Never heard to the end, never saved.
    New,
    /// Heard to the end, or saved. Only a save renews the message's life.
    Saved,
    /// Deleted by the subscriber, and not purged yet. In no count, and no part of the capacity.
    Deleted,
}

impl Folder {
    /// The list's name, as printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Saved => "saved",
            Self::Deleted => "deleted",
        }
    }
}

/// How many messages a mailbox holds, by list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// New messages.
    pub new: u32,
    /// Saved messages.
    pub saved: u32,
    /// Those of the new ones that are urgent.
    pub urgent_new: u32,
    /// Those of the saved ones that are urgent.
    pub urgent_saved: u32,
}

impl Counts {
    /// Counts one message more. Deleted ones do not count.
    pub fn add(&mut self, folder: Folder, urgent: bool) {
        let (all, urgents) = match folder {
            Folder::New => (&mut self.new, &mut self.urgent_new),
            Folder::Saved => (&mut self.saved, &mut self.urgent_saved),
            Folder::Deleted => return,
        };
        *all += 1;
        *urgents += u32::from(urgent);
    }

    /// These messages and others.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            new: self.new + other.new,
            saved: self.saved + other.saved,
            urgent_new: self.urgent_new + other.urgent_new,
            urgent_saved: self.urgent_saved + other.urgent_saved,
        }
    }

    /// All messages: what the capacity counts.
    #[must_use]
    pub const fn total(self) -> u32 {
        self.new + self.saved
    }
}

/// Everything that a mailbox holds, as its subscriber is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Holdings {
    /// The two lists that count.
    pub counts: Counts,
    /// How many can still be restored.
    pub deleted: u32,
}

/// A part of one list of a mailbox, in the order in which it is listened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPart {
    /// Which list.
    pub folder: Folder,
    /// Which message comes first. Urgent ones come before all others; in the deleted list, what was deleted last does.
    pub first: First,
    /// The place after which the part begins; the beginning of the list without one.
    pub after: Option<ListPlace>,
    /// How many messages at most.
    pub limit: u32,
}

/// A place in a list: that of a message, whatever has become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPlace {
    /// Urgent messages come before all others.
    pub urgent: bool,
    /// What the list is ordered by among its equals.
    pub at: Timestamp,
    /// Tells messages of the same moment apart.
    pub id: MessageId,
}

impl Message {
    /// The place of the message in the list that it is in.
    #[must_use]
    pub fn place(&self) -> ListPlace {
        ListPlace { urgent: self.urgent, at: self.deleted_at.unwrap_or(self.stamp_at), id: self.id.clone() }
    }
}
