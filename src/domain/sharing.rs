//! What owners do with the messages of a mailbox that they share.

use serde::Serialize;

use super::{id::MessageId, time::Timestamp};

/// Something that an owner did with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwnerAction {
    /// Heard it to its end for the first time.
    Heard,
    /// Saved it.
    Saved,
    /// Put it back among the new ones.
    KeptAsNew,
    /// Deleted it.
    Deleted,
    /// Brought it back from the deleted list.
    Restored,
}

impl OwnerAction {
    const ALL: [Self; 5] = [Self::Heard, Self::Saved, Self::KeptAsNew, Self::Deleted, Self::Restored];

    /// The name in the store and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Heard => "heard",
            Self::Saved => "saved",
            Self::KeptAsNew => "kept-as-new",
            Self::Deleted => "deleted",
            Self::Restored => "restored",
        }
    }

    /// Reads a name that was stored.
    #[must_use]
    pub fn from_stored(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }
}

/// What was done, when, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OwnerDeed {
    /// When.
    pub at: Timestamp,
    /// The owner's number at that time.
    pub owner: String,
    /// What.
    pub what: OwnerAction,
    /// With which message.
    pub message: MessageId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for action in OwnerAction::ALL {
            assert_eq!(OwnerAction::from_stored(action.as_str()), Some(action));
        }
        assert_eq!(OwnerAction::from_stored("read"), None);
    }
}
