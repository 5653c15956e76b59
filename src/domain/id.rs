//! Identifiers made by us, before anything is written, so that an unknown commit outcome is resolved by asking.

use std::fmt;

use rand::Rng as _;
use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Makes a new random id: 26 characters of Crockford base 32, 130 random bits.
            #[must_use]
            pub fn random() -> Self {
                Self(random_text())
            }

            /// Reads an id that we wrote earlier. Any text is accepted: an unknown id simply finds nothing.
            #[must_use]
            pub fn from_stored(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The id as it is stored.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    };
}

id! {
    /// A mailbox, whatever number it has today.
    MailboxId
}
id! {
    /// A message; also the name of its journal and the base of its e-mail's Message-ID.
    MessageId
}
id! {
    /// An audio object (message, greeting or name). Keys are random and never reused, so an object is never overwritten.
    AudioKey
}
id! {
    /// A row of the outbox.
    OutboxId
}
id! {
    /// A subscription to a mailbox's counts; also our tag in its dialog.
    SubscriptionId
}
id! {
    /// A distribution list.
    ListId
}
id! {
    /// A recording on its way to several mailboxes; the ids of its messages follow from it.
    SendingId
}
id! {
    /// A call, in logs and records.
    CallId
}

const CROCKFORD: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn random_text() -> String {
    let mut random = rand::rng();
    (0..26).map(|_| char::from(CROCKFORD[random.random_range(0..CROCKFORD.len())])).collect()
}
