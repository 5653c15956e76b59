//! Shared mailboxes: several subscribers open one mailbox, each from a mailbox of their own, and are told of what happens in it.
//!
//! The messages are one set: what one owner has heard is heard, what one has deleted is gone. Changes are compare-and-set, so two
//! owners at once do each other no harm.

use sqlx::{AnyConnection, any::AnyRow};

use super::{
    Store, StoreError,
    database::Columns as _,
    mailbox::{self, find_in_order},
    subscription,
};
use crate::domain::{
    id::{MailboxId, MessageId},
    mailbox::Mailbox,
    message::Counts,
    rules,
    sharing::{OwnerAction, OwnerDeed},
    time::Timestamp,
};

/// Why a subscriber was not made an owner.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// A mailbox cannot own itself, or one of another tenant, or one that owns mailboxes itself; nor can one that is owned own others.
    #[error("an owner is another mailbox of the same tenant; neither is it shared, nor does the shared one own others")]
    Unfit,
    /// There are too many owners, or the owner has too many.
    #[error("a mailbox has {} owners at most, and owns {} at most", rules::OWNERS_PER_MAILBOX, rules::SHARED_PER_OWNER)]
    TooMany,
    /// One of them does not exist (any more).
    #[error("there is no such mailbox")]
    Gone,
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for OwnerError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// Makes a subscriber an owner of a shared mailbox. Answers whether it was not one already.
    ///
    /// # Errors
    ///
    /// See [`OwnerError`].
    pub async fn add_owner(&self, shared: &MailboxId, owner: &MailboxId, now: Timestamp) -> Result<bool, OwnerError> {
        let mut transaction = self.0.database.begin().await?;
        // Changes of either's owners take turns; both databases lock in the same order.
        let mut both = [shared, owner];
        both.sort();
        for mailbox in both {
            let locked = sqlx::query("UPDATE mailboxes SET deposit_turn = deposit_turn + 1 WHERE id = $1")
                .bind(mailbox.as_str())
                .execute(&mut *transaction)
                .await?;
            if locked.rows_affected() == 0 {
                return Err(OwnerError::Gone);
            }
        }
        let of = |mailbox: Option<Mailbox>| mailbox.map(|mailbox| mailbox.tenant).ok_or(OwnerError::Gone);
        let tenant = of(mailbox::find(&mut transaction, shared).await?)?;
        if shared == owner || tenant != of(mailbox::find(&mut transaction, owner).await?)? {
            return Err(OwnerError::Unfit);
        }
        let rows = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM mailbox_owners WHERE mailbox_id = $2) AS owns_the_owner,
                    (SELECT COUNT(*) FROM mailbox_owners WHERE owner_id = $1) AS owned_by_shared,
                    (SELECT COUNT(*) FROM mailbox_owners WHERE mailbox_id = $1 AND owner_id <> $2) AS owners,
                    (SELECT COUNT(*) FROM mailbox_owners WHERE owner_id = $2 AND mailbox_id <> $1) AS owned",
        )
        .bind(shared.as_str())
        .bind(owner.as_str())
        .fetch_one(&mut *transaction)
        .await?;
        if rows.count("owns_the_owner")? > 0 || rows.count("owned_by_shared")? > 0 {
            return Err(OwnerError::Unfit);
        }
        if !rules::admits_owner(rows.count("owners")? + 1, rows.count("owned")? + 1) {
            return Err(OwnerError::TooMany);
        }
        let added =
            sqlx::query("INSERT INTO mailbox_owners (mailbox_id, owner_id, added_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
                .bind(shared.as_str())
                .bind(owner.as_str())
                .bind(now.as_millis())
                .execute(&mut *transaction)
                .await?;
        subscription::mailbox_changed(&mut transaction, owner, now).await?;
        transaction.commit().await?;
        self.0.lamps_changed.notify_one();
        Ok(added.rows_affected() > 0)
    }

    /// Takes a shared mailbox from an owner. Answers whether it was one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn remove_owner(&self, shared: &MailboxId, owner: &MailboxId, now: Timestamp) -> Result<bool, StoreError> {
        let mut transaction = self.0.database.begin().await?;
        let removed = sqlx::query("DELETE FROM mailbox_owners WHERE mailbox_id = $1 AND owner_id = $2")
            .bind(shared.as_str())
            .bind(owner.as_str())
            .execute(&mut *transaction)
            .await?;
        if removed.rows_affected() > 0 {
            subscription::mailbox_changed(&mut transaction, owner, now).await?;
        }
        transaction.commit().await?;
        self.0.lamps_changed.notify_one();
        Ok(removed.rows_affected() > 0)
    }

    /// The owners of a shared mailbox, in order of their numbers.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn owners(&self, shared: &MailboxId) -> Result<Vec<Mailbox>, StoreError> {
        let reader = self.0.database.reader();
        find_in_order(reader, "SELECT owner_id FROM mailbox_owners WHERE mailbox_id = $1", shared.as_str()).await
    }

    /// The shared mailboxes that a subscriber owns, in order of their numbers, each with what it holds.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn shared_mailboxes(&self, owner: &MailboxId, now: Timestamp) -> Result<Vec<(Mailbox, Counts)>, StoreError> {
        let reader = self.0.database.reader();
        let mut shared = Vec::new();
        for mailbox in find_in_order(reader, "SELECT mailbox_id FROM mailbox_owners WHERE owner_id = $1", owner.as_str()).await? {
            let counts = self.counts(&mailbox.id, now).await?;
            shared.push((mailbox, counts));
        }
        Ok(shared)
    }

    /// Whether a subscriber owns a shared mailbox.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn is_owner(&self, shared: &MailboxId, owner: &MailboxId) -> Result<bool, StoreError> {
        let rows = sqlx::query("SELECT owner_id FROM mailbox_owners WHERE mailbox_id = $1 AND owner_id = $2")
            .bind(shared.as_str())
            .bind(owner.as_str())
            .fetch_all(self.0.database.reader())
            .await?;
        Ok(!rows.is_empty())
    }

    /// Notes what an owner did with a message of a shared mailbox.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn note_deed(
        &self,
        shared: &MailboxId,
        owner: &MailboxId,
        message: &MessageId,
        what: OwnerAction,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.0.database.begin().await?;
        sqlx::query(
            "INSERT INTO shared_actions (mailbox_id, at, message_id, what, owner_id, owner_number)
             SELECT s.id, $3, $4, $5, o.id, o.number FROM mailboxes s, mailboxes o WHERE s.id = $1 AND o.id = $2
             ON CONFLICT DO NOTHING",
        )
        .bind(shared.as_str())
        .bind(owner.as_str())
        .bind(now.as_millis())
        .bind(message.as_str())
        .bind(what.as_str())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// What owners did in a shared mailbox, the latest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn deeds(&self, shared: &MailboxId, limit: u32) -> Result<Vec<OwnerDeed>, StoreError> {
        let rows = sqlx::query("SELECT * FROM shared_actions WHERE mailbox_id = $1 ORDER BY at DESC, message_id LIMIT $2")
            .bind(shared.as_str())
            .bind(i64::from(limit))
            .fetch_all(self.0.database.reader())
            .await?;
        let read = |row: &AnyRow| {
            Ok(OwnerDeed {
                at: row.moment("at")?,
                owner: row.text("owner_number")?,
                what: OwnerAction::from_stored(&row.text("what")?)
                    .ok_or(StoreError::Unreadable { what: "shared_actions.what" })?,
                message: MessageId::from_stored(row.text("message_id")?),
            })
        };
        rows.iter().map(read).collect()
    }

    /// What the lamps of a mailbox's phones tell of: its messages, and those of the shared mailboxes that it owns and that are in use.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn lamp_counts(&self, mailbox: &MailboxId, now: Timestamp) -> Result<Counts, StoreError> {
        let mut counts = self.counts(mailbox, now).await?;
        let shared = sqlx::query(
            "SELECT m.id FROM mailbox_owners o JOIN mailboxes m ON m.id = o.mailbox_id WHERE o.owner_id = $1 AND m.enabled = 1",
        )
        .bind(mailbox.as_str())
        .fetch_all(self.0.database.reader())
        .await?;
        for row in &shared {
            counts = counts.plus(self.counts(&MailboxId::from_stored(row.text("id")?), now).await?);
        }
        Ok(counts)
    }
}

/// Forgets a mailbox that is being removed, and tells the lamps of those who owned it.
pub(super) async fn mailbox_removed(
    connection: &mut AnyConnection,
    mailbox: &MailboxId,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    subscription::mailbox_changed(&mut *connection, mailbox, now).await?;
    for sql in
        ["DELETE FROM mailbox_owners WHERE mailbox_id = $1 OR owner_id = $1", "DELETE FROM shared_actions WHERE mailbox_id = $1"]
    {
        sqlx::query(sql).bind(mailbox.as_str()).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Forgets what owners did before `until`.
pub(super) async fn forget(connection: &mut AnyConnection, until: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM shared_actions WHERE at <= $1").bind(until.as_millis()).execute(connection).await?;
    Ok(())
}
