//! A message in a mailbox.

use std::time::Duration;

use serde::Serialize;

use super::{
    caller::Caller,
    id::{AudioKey, MailboxId, MessageId},
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
    /// Whether the server stopped while it was being recorded, so that its end is missing.
    pub interrupted: bool,
    /// Raised by every change; a change names the version it was decided on (compare-and-set).
    pub version: i64,
}

impl Message {
    /// The list the message is in.
    #[must_use]
    pub fn folder(&self) -> Folder {
        if self.heard_at.is_some() || self.saved_at.is_some() { Folder::Saved } else { Folder::New }
    }
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
}

impl Counts {
    /// All messages: what the capacity counts.
    #[must_use]
    pub const fn total(self) -> u32 {
        self.new + self.saved
    }
}
