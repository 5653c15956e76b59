//! A message in a mailbox.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    caller::Caller,
    id::{AudioKey, MailboxId, MessageId},
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
    /// Every audio object that is there for this message alone.
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
        if self.heard_at.is_some() || self.saved_at.is_some() { Folder::Saved } else { Folder::New }
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

/// The two lists of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Folder {
    /// Never heard to the end, never saved.
    New,
    /// Heard to the end, or saved. Only a save renews the message's life.
    Saved,
}

impl Folder {
    /// The list's name, as printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Saved => "saved",
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
    /// Counts one message more.
    pub fn add(&mut self, folder: Folder, urgent: bool) {
        let (all, urgents) = match folder {
            Folder::New => (&mut self.new, &mut self.urgent_new),
            Folder::Saved => (&mut self.saved, &mut self.urgent_saved),
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
