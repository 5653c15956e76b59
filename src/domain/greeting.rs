//! The subscriber's own recordings.

use std::time::Duration;

use super::rules;

/// Which recording of the subscriber's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GreetingKind {
    /// Played to callers before the beep.
    Greeting,
    /// The spoken name, played inside our own phrases.
    Name,
}

impl GreetingKind {
    /// The longest such recording.
    #[must_use]
    pub const fn longest(self) -> Duration {
        match self {
            Self::Greeting => rules::LONGEST_GREETING,
            Self::Name => rules::LONGEST_NAME,
        }
    }

    /// The stored name of the kind.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::Name => "name",
        }
    }
}
