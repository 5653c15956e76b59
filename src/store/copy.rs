//! A message is mailed to its subscriber because the subscriber asks for it.

use super::{ChangeError, Store, database::Columns as _, deleted, outbox, outbox::Errand};
use crate::domain::{id::MessageId, time::Timestamp};

/// Why a copy is not mailed.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The mailbox has no mail address.
    #[error("the mailbox has no mail address")]
    NoAddress,
    /// [`ChangeError::Gone`] when there is no such message.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl From<sqlx::Error> for CopyError {
    fn from(error: sqlx::Error) -> Self {
        Self::Change(error.into())
    }
}

impl Store {
    /// Has a message, which may be in the deleted list, mailed to its mailbox's address. A copy that is still on its way is not sent
    /// twice. That it is mailed changes nothing about the message.
    ///
    /// # Errors
    ///
    /// [`CopyError`].
    pub async fn mail_copy(&self, id: &MessageId, now: Timestamp) -> Result<(), CopyError> {
        let mut transaction = self.0.database.begin().await?;
        let message = deleted::find_anywhere(&mut transaction, id, now).await?.ok_or(ChangeError::Gone)?;
        // Whoever asks at the same time waits here.
        let mailbox = sqlx::query("UPDATE mailboxes SET deposit_turn = deposit_turn + 1 WHERE id = $1 RETURNING email")
            .bind(message.mailbox.as_str())
            .fetch_all(&mut *transaction)
            .await?;
        if mailbox.first().ok_or(ChangeError::Gone)?.maybe_text("email")?.is_none() {
            return Err(CopyError::NoAddress);
        }
        let under_way = sqlx::query("SELECT id FROM outbox WHERE message_id = $1 AND kind = 'copy' AND dead_at IS NULL")
            .bind(id.as_str())
            .fetch_all(&mut *transaction)
            .await?;
        if under_way.is_empty() {
            outbox::insert(&mut transaction, &message.mailbox, &Errand::Copy { message: id.clone() }, now).await?;
        }
        transaction.commit().await?;
        self.0.outbox_grew.notify_one();
        Ok(())
    }
}
