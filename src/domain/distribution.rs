//! Distribution lists: one number for several mailboxes of a tenant.

use super::{
    id::{AudioKey, ListId, MailboxId},
    mailbox::MailboxNumber,
    time::Timestamp,
};

/// A distribution list, without its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistributionList {
    /// Stable.
    pub id: ListId,
    /// The SIP domain it belongs to; empty for the default tenant.
    pub tenant: String,
    /// Whose it is: only this mailbox's subscriber sends to it. Without one, everybody of the tenant does.
    pub owner: Option<MailboxId>,
    /// What is typed for it. A mailbox that has the same number is meant before a list.
    pub number: MailboxNumber,
    /// Its name as text; may be empty.
    pub name: String,
    /// How many mailboxes are in it.
    pub members: u32,
    /// Whether callers reach it by its number: what they leave there goes to all of its mailboxes.
    pub takes_calls: bool,
    /// What they hear; without one, the greeting of the first mailbox that takes the message.
    pub greeting: Option<AudioKey>,
    /// When it was made.
    pub created_at: Timestamp,
}
