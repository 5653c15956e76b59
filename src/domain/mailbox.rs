//! A subscriber's mailbox.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    greeting::Temporary,
    id::{AudioKey, MailboxId},
    preferences::Preferences,
    time::{TimeZone, Timestamp},
};

/// A mailbox and its settings. The passcode's hash is not part of it: it never leaves the store.
#[derive(Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Stable; the number may change.
    pub id: MailboxId,
    /// The SIP domain it belongs to; empty for the default tenant.
    pub tenant: String,
    /// The number callers dial.
    pub number: MailboxNumber,
    /// Other numbers that reach it, sorted.
    pub aliases: Vec<MailboxNumber>,
    /// The subscriber's name as text; may be empty.
    pub name: String,
    /// Where voice-to-email and warnings go.
    pub email: Option<String>,
    /// When voice-to-email was switched on; `None` while it is off. Messages older than this are not mailed.
    pub voice_to_email_since: Option<Timestamp>,
    /// The zone stamps are spoken and shown in.
    pub time_zone: TimeZone,
    /// Prompt language, such as `en`.
    pub language: String,
    /// A disabled mailbox takes no messages and lets nobody in.
    pub enabled: bool,
    /// Whether the subscriber has set passcode, name and greeting at a first login.
    pub enrolled: bool,
    /// What the first login still asks for; nothing once it is done.
    pub due: Due,
    /// Whether its subscriber may look after the tenant's mailboxes by phone.
    pub administrator: bool,
    /// Whether its subscriber opens shared mailboxes as well.
    pub owns_shared: bool,
    /// Whether callers are told how to leave a message after a personal greeting, too.
    pub instructions: bool,
    /// The personal greeting.
    pub greeting: Option<AudioKey>,
    /// The spoken name.
    pub spoken_name: Option<AudioKey>,
    /// The temporary greeting, until it is erased; it may have ended.
    pub temporary: Option<Temporary>,
    /// What the subscriber prefers on the telephone.
    pub preferences: Preferences,
    /// Why mail to the subscriber was finally refused, until a later mail is accepted or the address changes.
    pub mail_problem: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a first login still asks for: one that is broken off goes on with what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// A passcode of the subscriber's own choice.
    pub passcode: bool,
    /// The spoken name.
    pub name: bool,
    /// The greeting.
    pub greeting: bool,
}

impl Due {
    /// All is done.
    pub const NOTHING: Self = Self { passcode: false, name: false, greeting: false };
    /// Nothing was asked yet.
    pub const EVERYTHING: Self = Self { passcode: true, name: true, greeting: true };
}

/// Logs must not carry names or mail addresses.
impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("id", &self.id).field("number", &self.number).finish_non_exhaustive()
    }
}

/// A number that a mailbox can have: 1 to 32 characters of `0-9`, `A-Z a-z`, `.`, `_`, `-`, with an optional `+` first.
///
/// Numbers are compared exactly as written; nothing in them is ever evaluated.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MailboxNumber(String);

impl MailboxNumber {
    /// The number as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MailboxNumber {
    type Err = MailboxNumberError;

    fn from_str(text: &str) -> Result<Self, MailboxNumberError> {
        let body = text.strip_prefix('+').unwrap_or(text);
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if (1..=32).contains(&body.len()) && body.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(MailboxNumberError)
        }
    }
}

impl TryFrom<String> for MailboxNumber {
    type Error = MailboxNumberError;

    fn try_from(text: String) -> Result<Self, MailboxNumberError> {
        text.parse()
    }
}

impl From<MailboxNumber> for String {
    fn from(number: MailboxNumber) -> Self {
        number.0
    }
}

impl fmt::Display for MailboxNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Logs must not carry full numbers, so the debug form shows the last two characters only.
impl fmt::Debug for MailboxNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailboxNumber(…{})", &self.0[self.0.len().saturating_sub(2)..])
    }
}

/// A text that cannot be a mailbox number.
#[derive(Debug, thiserror::Error)]
#[error("a mailbox number is 1 to 32 letters, digits, dots, underscores or hyphens, with an optional + first")]
pub struct MailboxNumberError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_plain_text() {
        for good in ["1001", "+12025550143", "ann.lee", "A"] {
            assert!(good.parse::<MailboxNumber>().is_ok(), "{good}");
        }
        let shown = format!("{:?}", "+12025550143".parse::<MailboxNumber>().unwrap());
        assert_eq!(shown, "MailboxNumber(…43)");
        for bad in ["", "+", "10 01", "*98", "1001;x", "é", &"1".repeat(33)] {
            assert!(bad.parse::<MailboxNumber>().is_err(), "{bad}");
        }
    }
}
