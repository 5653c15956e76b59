//! One recording that several mailboxes get: a caller left it at a number that stands for all of them.
//!
//! All copies are written in one transaction, so there is no moment at which some mailboxes have theirs and others have not. The id of
//! each follows from the recording's and the mailbox's; the recording's own id is in `deposited` as soon as anybody has it, so a
//! journal that is met again finds all of it done, whoever was full then. All copies refer to the same audio objects.

use sha2::{Digest as _, Sha256};
use sqlx::AnyConnection;

use super::{
    Store, StoreError,
    deposit::{self, Added, Objects, Written},
    journal::Envelope,
    subscription,
};
use crate::domain::{
    id::{MailboxId, MessageId},
    message::Message,
    rules,
    time::Timestamp,
};

/// The messages that a recording becomes, if every mailbox takes it: that of the envelope's own mailbox comes first.
pub(super) fn copies(envelope: &Envelope) -> Vec<(MessageId, MailboxId)> {
    let also = envelope.also.iter().map(|mailbox| (message_id(envelope.message.as_str(), mailbox), mailbox.clone()));
    std::iter::once((envelope.message.clone(), envelope.mailbox.clone())).chain(also).collect()
}

/// The id of what a mailbox gets of something that several get: the same whoever asks, and as hard to guess as the two it is made of.
pub(super) fn message_id(of: &str, mailbox: &MailboxId) -> MessageId {
    let digest = Sha256::digest(format!("{of} {mailbox}"));
    MessageId::from_stored(digest[..13].iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// Adds a copy of a message to each mailbox that takes it; the rest of the transaction of [`deposit`].
pub(super) async fn insert(
    connection: &mut AnyConnection,
    message: &Message,
    copies: &[(MessageId, MailboxId)],
    now: Timestamp,
) -> Result<Written, sqlx::Error> {
    let mut in_order: Vec<_> = copies.iter().enumerate().collect();
    // In order, so that two deposits into the same mailboxes never wait for each other.
    in_order.sort_by(|(_, (_, one)), (_, (_, other))| one.cmp(other));
    in_order.dedup_by(|(_, (_, other)), (_, (_, one))| one == other);
    let (mut is_known, mut is_full) = (None, false);
    let mut stored: Vec<(usize, Added)> = Vec::new();
    let mut changed: Vec<MailboxId> = Vec::new();
    for (place, (id, mailbox)) in in_order {
        let Some(row) = deposit::take_turn(connection, mailbox).await? else { continue };
        // Asked once it is our turn: an earlier attempt whose commit is still under way is over then.
        if is_known.is_none() {
            is_known = Some(deposit::is_known(connection, &message.id).await?);
        }
        if is_known == Some(true) {
            return Ok(Written::Already);
        }
        let copy = Message { id: id.clone(), mailbox: mailbox.clone(), ..message.clone() };
        let objects = if stored.is_empty() { Objects::New } else { Objects::Shared };
        match deposit::add(connection, &row, &copy, objects, now).await? {
            Some(added) => {
                stored.push((place, added));
                changed.push(copy.mailbox);
            }
            None => is_full = true,
        }
    }
    let mails = stored.iter().any(|(_, added)| added.mails);
    match stored.iter().min_by_key(|(place, _)| *place) {
        Some((first, added)) => {
            if *first != 0 {
                deposit::remember(&mut *connection, &message.id, message.deposited_at).await?;
            }
            // After the last turn: whoever owns a shared mailbox among them is told of it, and may be waited for by others.
            subscription::mailboxes_changed(connection, &changed, now).await?;
            Ok(Written::Stored { first: *first, counts: added.counts, mails })
        }
        None if is_full => Ok(Written::Full),
        None => Ok(Written::NoMailbox),
    }
}

impl Store {
    /// Whether one of these mailboxes at least takes another message.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn has_room_in_any(&self, mailboxes: &[MailboxId], now: Timestamp) -> Result<bool, StoreError> {
        for mailbox in mailboxes {
            if rules::admits(self.counts(mailbox, now).await?.total()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
