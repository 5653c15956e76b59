//! What a mailbox's access log tells: who opened it or tried to, and who changed its passcode or its greetings.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{credential::Alerts, greeting::GreetingKind, mailbox::MailboxNumber, tenant_phrase::TenantPhrase, time::Timestamp};

/// How many failed attempts a mailbox's log keeps, and how many other entries; the oldest go first.
pub const MOST_ENTRIES: u32 = 500;

/// Something that its subscriber may want to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Event {
    /// The mailbox was opened.
    LoggedIn,
    /// Somebody did not know the passcode, or may not try it from there.
    WrongPasscode,
    /// Somebody tried who had failed too often, and was not listened to.
    LockedOut,
    /// The passcode was changed.
    PasscodeChanged,
    /// An administrator gave the mailbox a new passcode, and took its locks away.
    PasscodeReset,
    /// A greeting or the spoken name was changed.
    GreetingChanged {
        /// Which.
        greeting: GreetingKind,
        /// How.
        how: Change,
    },
    /// The first login was finished.
    SetUp,
    /// As an administrator, its subscriber gave another mailbox a new passcode.
    ResetPasscodeOf {
        /// Which.
        mailbox: MailboxNumber,
    },
    /// As an administrator, its subscriber changed what the tenant's callers hear.
    PhraseChanged {
        /// Which phrase.
        phrase: TenantPhrase,
        /// How.
        how: Change,
    },
}

impl Event {
    /// The stored name.
    #[must_use]
    pub const fn what(&self) -> &'static str {
        match self {
            Self::LoggedIn => "logged_in",
            Self::WrongPasscode => "wrong_passcode",
            Self::LockedOut => "locked_out",
            Self::PasscodeChanged => "passcode_changed",
            Self::PasscodeReset => "passcode_reset",
            Self::GreetingChanged { .. } => "greeting_changed",
            Self::SetUp => "set_up",
            Self::ResetPasscodeOf { .. } => "reset_passcode_of",
            Self::PhraseChanged { .. } => "phrase_changed",
        }
    }

    /// Whether it is an attempt that failed. Anybody can cause these, so they are counted together and kept apart.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        matches!(self, Self::WrongPasscode | Self::LockedOut)
    }
}

/// What happened to a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was recorded by phone, or uploaded.
    Replaced,
    /// The previous one was brought back.
    BroughtBack,
    /// It was taken away.
    Removed,
    /// It got another end, or none.
    EndSet,
}

impl Change {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::BroughtBack => "brought_back",
            Self::Removed => "removed",
            Self::EndSet => "end_set",
        }
    }
}

/// By which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// From the mailbox's own identified line.
    OwnLine,
    /// By any other phone.
    Phone,
    /// By a phone that shows a number which nobody vouches for: the caller may have made it up.
    UnsureNumber,
    /// By a command of the operator's.
    Command,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::OwnLine, Self::Phone, Self::UnsureNumber, Self::Command];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OwnLine => "own-line",
            Self::Phone => "phone",
            Self::UnsureNumber => "unsure-number",
            Self::Command => "command",
        }
    }
}

/// Where something came from, as far as it is known.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// By which way.
    pub channel: Channel,
    /// The number that called, if somebody who is believed told it.
    pub number: Option<String>,
    /// The address that the call came from; of an IPv6 address the network.
    pub address: Option<String>,
}

impl Origin {
    /// A command of the operator's.
    #[must_use]
    pub const fn command() -> Self {
        Self { channel: Channel::Command, number: None, address: None }
    }

    /// What tells it from others, if a login from it can be news: the own line is none.
    #[must_use]
    pub fn source(&self) -> Option<String> {
        let number = match self.channel {
            Channel::OwnLine | Channel::Command => return None,
            Channel::Phone => "number",
            // Whoever shows the subscriber's mobile number, and is not known to have it, is news.
            Channel::UnsureNumber => "unsure number",
        };
        match (&self.number, &self.address) {
            (Some(shown), _) => Some(format!("{number} {shown}")),
            (None, Some(address)) => Some(format!("address {address}")),
            (None, None) => None,
        }
    }
}

/// Logs must not carry numbers.
impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").field("channel", &self.channel).finish_non_exhaustive()
    }
}

/// When a mailbox was last opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastAccess {
    /// The moment, and from where; nothing if it never was.
    pub opened: Option<(Timestamp, Origin)>,
    /// How many attempts have failed since.
    pub failures: u32,
}

/// Whether a login from a number or an address that was not seen before is told by mail. Whoever wants to hear of new software
/// only has addresses that change, but hardly numbers.
#[must_use]
pub const fn tells_new_source(alerts: Alerts) -> bool {
    match alerts {
        Alerts::NewAddressOrAgent | Alerts::NewAgent => true,
        Alerts::None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::forward::Forward;

    #[test]
    fn an_event_is_stored_by_its_name() {
        for event in [
            Event::LoggedIn,
            Event::WrongPasscode,
            Event::LockedOut,
            Event::PasscodeChanged,
            Event::PasscodeReset,
            Event::GreetingChanged { greeting: GreetingKind::Forwarded(Forward::Busy), how: Change::BroughtBack },
            Event::SetUp,
            Event::ResetPasscodeOf { mailbox: "1002".parse().unwrap() },
            Event::PhraseChanged { phrase: TenantPhrase::Welcome, how: Change::Removed },
        ] {
            let stored = serde_json::to_value(&event).unwrap();

            assert_eq!(stored["what"], event.what());
            assert_eq!(serde_json::from_value::<Event>(stored).unwrap(), event);
        }
    }

    #[test]
    fn sources_are_told_by_number_before_address_and_never_printed() {
        let origin = |channel, number: Option<&str>| Origin {
            channel,
            number: number.map(str::to_owned),
            address: Some("192.0.2.7".to_owned()),
        };

        assert_eq!(origin(Channel::Phone, Some("2025550143")).source().as_deref(), Some("number 2025550143"));
        assert_eq!(origin(Channel::UnsureNumber, Some("2025550143")).source().as_deref(), Some("unsure number 2025550143"));
        assert_eq!(origin(Channel::Phone, None).source().as_deref(), Some("address 192.0.2.7"));
        assert_eq!(origin(Channel::OwnLine, Some("1001")).source(), None);
        assert_eq!(Origin::command().source(), None);
        let printed = format!("{:?}", origin(Channel::Phone, Some("2025550143")));
        assert!(!printed.contains("0143") && !printed.contains("192"), "{printed}");
    }
}
