//! What the callers and subscribers of one tenant hear instead of our own words.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::rules;

/// A phrase that an administrator may record for a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TenantPhrase {
    /// Said to callers of a mailbox that has neither greeting nor spoken name, instead of its number.
    Greeting,
    /// Said to subscribers before they log in.
    Welcome,
    /// Said to callers of a number that has no mailbox, or one that is closed.
    NoMailbox,
}

impl TenantPhrase {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Greeting, Self::Welcome, Self::NoMailbox];

    /// The longest such recording.
    #[must_use]
    pub const fn longest(self) -> Duration {
        rules::LONGEST_GREETING
    }

    /// The stored name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Welcome => "welcome",
            Self::NoMailbox => "no-mailbox",
        }
    }
}

impl fmt::Display for TenantPhrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TenantPhrase {
    type Err = UnknownPhrase;

    fn from_str(word: &str) -> Result<Self, UnknownPhrase> {
        Self::ALL.into_iter().find(|phrase| phrase.as_str() == word).ok_or(UnknownPhrase)
    }
}

/// A text that is no [`TenantPhrase`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the phrases are greeting, welcome and no-mailbox")]
pub struct UnknownPhrase;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phrase_is_read_as_it_is_written() {
        for phrase in TenantPhrase::ALL {
            assert_eq!(phrase.as_str().parse(), Ok(phrase));
            assert_eq!(serde_json::to_value(phrase).unwrap(), phrase.as_str());
        }
    }
}
