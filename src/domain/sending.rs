//! A message that came from another mailbox, instead of by a call.

use std::{fmt, str::FromStr};

use serde::Serialize;

use super::id::{MailboxId, MessageId};

/// Why somebody sent a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SentKind {
    /// To pass on a message, perhaps with words of their own before it.
    Forwarded,
    /// As an answer to a message.
    Reply,
    /// Of their own accord.
    Sent,
    /// To every mailbox of a tenant.
    Broadcast,
}

impl SentKind {
    const ALL: [Self; 4] = [Self::Forwarded, Self::Reply, Self::Sent, Self::Broadcast];

    /// The name in the store and on the command line.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Reply => "reply",
            Self::Sent => "sent",
            Self::Broadcast => "broadcast",
        }
    }
}

impl fmt::Display for SentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SentKind {
    type Err = SentKindError;

    fn from_str(name: &str) -> Result<Self, SentKindError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or(SentKindError)
    }
}

/// A name that no kind has.
#[derive(Debug, thiserror::Error)]
#[error("there is no such kind of message; there are forwarded, reply, sent and broadcast")]
pub struct SentKindError;

/// How a message came from another mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Why.
    pub kind: SentKind,
    /// The sender's mailbox, which may be gone by now; none when the operator sent it.
    pub sender: Option<MailboxId>,
    /// The message that was forwarded or replied to.
    pub origin: Option<MessageId>,
}

/// What became of a message for one of several mailboxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SendOutcome {
    /// It is in the mailbox, or was.
    Delivered,
    /// The mailbox took no further message.
    Full,
    /// The mailbox was removed or disabled.
    Gone,
}

impl SendOutcome {
    const ALL: [Self; 3] = [Self::Delivered, Self::Full, Self::Gone];

    /// The name in the store and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Full => "full",
            Self::Gone => "gone",
        }
    }

    /// Reads a name that was stored.
    #[must_use]
    pub fn from_stored(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for kind in SentKind::ALL {
            assert_eq!(kind.to_string().parse::<SentKind>().unwrap(), kind);
        }
        for outcome in SendOutcome::ALL {
            assert_eq!(SendOutcome::from_stored(outcome.as_str()), Some(outcome));
        }
        assert!("Reply".parse::<SentKind>().is_err());
    }
}
