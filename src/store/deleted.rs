//! The deleted list: what a subscriber deleted can be restored for a while.
//!
//! Such a message keeps its row, its audio and its life; it only stops to be seen by anything but this file, and counts no more.
//! The clean-up removes it when it can be restored no longer, or when its life is over, whatever else happens.

use sqlx::AnyConnection;

use super::{
    ChangeError, Store, StoreError,
    database::Columns as _,
    message::{self, read},
    outbox::{self, Errand},
    subscription,
};
use crate::domain::{
    id::{MailboxId, MessageId},
    message::Message,
    rules,
    time::Timestamp,
};

/// Why a message was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The mailbox holds as many messages as it can. The message stays in the deleted list.
    #[error("the mailbox is full")]
    MailboxFull,
    /// See [`ChangeError`]. A message that is in its mailbox already is [`ChangeError::Gone`] from the deleted list.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl From<sqlx::Error> for RestoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Change(error.into())
    }
}

impl Store {
    /// Moves a message to the deleted list. What was still to be sent about it is not sent any
    /// more, but for a copy that was asked for.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Conflict`] when `version` is not the message's, [`ChangeError::Gone`] when there is no such message.
    pub async fn move_to_deleted(&self, id: &MessageId, version: i64, now: Timestamp) -> Result<Message, ChangeError> {
        let mut transaction = self.0.database.begin().await?;
        let mut message = message::at_version(&mut transaction, id, version, now).await?;
        let moved = sqlx::query(
            "UPDATE messages SET deleted_at = $3, version = version + 1
             WHERE id = $1 AND version = $2 AND deleted_at IS NULL AND expires_at > $3",
        )
        .bind(id.as_str())
        .bind(version)
        .bind(now.as_millis())
        .execute(&mut *transaction)
        .await?;
        if moved.rows_affected() == 0 {
            return Err(ChangeError::Conflict);
        }
        // A copy that the subscriber asked for is sent all the same.
        sqlx::query("DELETE FROM outbox WHERE message_id = $1 AND kind <> 'copy'")
            .bind(id.as_str())
            .execute(&mut *transaction)
            .await?;
        subscription::mailbox_changed(&mut transaction, &message.mailbox, now).await?;
        transaction.commit().await?;
        self.0.lamps_changed.notify_one();
        message.deleted_at = Some(now);
        message.version += 1;
        Ok(message)
    }

    /// Moves a message back from the deleted list to where it was, with what was left of its life. If it was to be mailed and was
    /// not yet, it is.
    ///
    /// # Errors
    ///
    /// [`RestoreError::MailboxFull`]; [`ChangeError::Conflict`] when `version` is not the message's; [`ChangeError::Gone`] when it is
    /// not in the deleted list (any more).
    pub async fn restore(&self, id: &MessageId, version: i64, now: Timestamp) -> Result<Message, RestoreError> {
        let mut transaction = self.0.database.begin().await?;
        let found = find_anywhere(&mut transaction, id, now).await?.filter(|message| message.deleted_at.is_some());
        let mut message = found.ok_or(ChangeError::Gone)?;
        // Deposits wait here, as in `deposit`: the count below cannot become wrong.
        let mailbox = sqlx::query(
            "UPDATE mailboxes SET deposit_turn = deposit_turn + 1 WHERE id = $1 RETURNING email, voice_to_email_since",
        )
        .bind(message.mailbox.as_str())
        .fetch_all(&mut *transaction)
        .await?;
        let mailbox = mailbox.first().ok_or(ChangeError::Gone)?;
        if message.version != version {
            return Err(ChangeError::Conflict.into());
        }
        let counts = message::counts(&mut transaction, &message.mailbox, now).await?;
        if !rules::admits(counts.total()) {
            return Err(RestoreError::MailboxFull);
        }
        let restored = sqlx::query(
            "UPDATE messages SET deleted_at = NULL, version = version + 1
             WHERE id = $1 AND version = $2 AND deleted_at > $3 AND expires_at > $4",
        )
        .bind(id.as_str())
        .bind(version)
        .bind(now.before(rules::DELETED_LIFE).as_millis())
        .bind(now.as_millis())
        .execute(&mut *transaction)
        .await?;
        if restored.rows_affected() == 0 {
            return Err(ChangeError::Conflict.into());
        }
        let mails = message.mailed_at.is_none()
            && mailbox.maybe_text("email")?.is_some()
            && rules::is_mailed(message.deposited_at, mailbox.maybe_moment("voice_to_email_since")?);
        if mails {
            outbox::insert(&mut transaction, &message.mailbox, &Errand::Message { message: id.clone() }, now).await?;
        }
        subscription::mailbox_changed(&mut transaction, &message.mailbox, now).await?;
        transaction.commit().await?;
        if mails {
            self.0.outbox_grew.notify_one();
        }
        self.0.lamps_changed.notify_one();
        message.deleted_at = None;
        message.version += 1;
        Ok(message)
    }

    /// One message, in the deleted list or not.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn message_anywhere(&self, id: &MessageId, now: Timestamp) -> Result<Option<Message>, StoreError> {
        let mut connection = self.0.database.reader().acquire().await?;
        Ok(find_anywhere(&mut connection, id, now).await?)
    }

    /// The deleted messages of a mailbox that can still be restored, the last deleted first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn deleted_messages(&self, mailbox: &MailboxId, now: Timestamp) -> Result<Vec<Message>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM messages WHERE mailbox_id = $1 AND expires_at > $2 AND deleted_at > $3
             ORDER BY deleted_at DESC, id DESC",
        )
        .bind(mailbox.as_str())
        .bind(now.as_millis())
        .bind(now.before(rules::DELETED_LIFE).as_millis())
        .fetch_all(self.0.database.reader())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }
}

/// Asked in one statement, so that a message on its way from one list to the other is found in either.
pub(super) async fn find_anywhere(
    connection: &mut AnyConnection,
    id: &MessageId,
    now: Timestamp,
) -> Result<Option<Message>, sqlx::Error> {
    let rows =
        sqlx::query("SELECT * FROM messages WHERE id = $1 AND expires_at > $2 AND (deleted_at IS NULL OR deleted_at > $3)")
            .bind(id.as_str())
            .bind(now.as_millis())
            .bind(now.before(rules::DELETED_LIFE).as_millis())
            .fetch_all(connection)
            .await?;
    rows.first().map(read).transpose()
}
