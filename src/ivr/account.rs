//! What the menus ask about a subscriber's own matters: greetings, the first login, the log; and as an administrator about others'.

use super::Digits;
use crate::domain::{
    greeting::{Greeting, GreetingKind},
    id::{AudioKey, MailboxId},
    mailbox_log::LastAccess,
    tenant_phrase::TenantPhrase,
    time::Timestamp,
};

/// Something about a subscriber's own matters. Any may be answered with `MailboxGone` or `Failed`, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountQuestion {
    /// Looks up a recording. `Greeting`.
    Greeting(MailboxId, GreetingKind),
    /// Brings the previous recording back. `Done`.
    BringBack(MailboxId, GreetingKind),
    /// Takes a recording away. `Done`.
    Remove(MailboxId, GreetingKind),
    /// Lets the temporary greeting end after so many days, today included. `EndsAt`.
    EndTemporaryAfter(MailboxId, u32),
    /// Notes that this recording is not wanted: the first login asks for it no more. `Done`.
    Skip(MailboxId, GreetingKind),
    /// Looks up when the mailbox was last opened, but by this call. `LastAccess`.
    LastAccess(MailboxId),
    /// As this administrator, gives the mailbox of the same tenant with the number typed a passcode that was never heard before.
    /// `NewPasscode`.
    ResetPasscode(MailboxId, Digits),
    /// As this administrator, looks up a phrase of the tenant. `Phrase`.
    Phrase(MailboxId, TenantPhrase),
    /// As this administrator, takes the recording over as a phrase of the tenant. `Done`, `Unfit`.
    SetPhrase(MailboxId, TenantPhrase),
    /// As this administrator, goes back to our own words. `Done`.
    RemovePhrase(MailboxId, TenantPhrase),
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountAnswer {
    /// The recording and the one before it, if there are any, and what time it is.
    Greeting {
        /// Now.
        now: Timestamp,
        /// The recordings.
        greeting: Option<Greeting>,
    },
    /// When the temporary greeting ends.
    EndsAt {
        /// Now.
        now: Timestamp,
        /// The end.
        until: Timestamp,
    },
    /// When the mailbox was last opened.
    LastAccess {
        /// Now.
        now: Timestamp,
        /// By whom, and what failed since.
        access: LastAccess,
    },
    /// The new passcode, to be said once; none if there is no such mailbox in the tenant.
    NewPasscode(Option<Digits>),
    /// The tenant's phrase, if it has one.
    Phrase(Option<AudioKey>),
    /// The recording cannot be used, and is gone.
    Unfit(Unfit),
}

/// Why a recording is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Nothing can be heard in it.
    Silent,
    /// It is distorted, because it was much too loud.
    Clipped,
}
