//! Greetings for callers who were forwarded for one reason: busy, no answer, unavailable.

use sqlx::AnyConnection;

use super::{ChangeError, Store, StoreError, audio, database::Columns as _};
use crate::domain::{
    forward::Forward,
    id::{AudioKey, MailboxId},
    time::Timestamp,
};

impl Store {
    /// Makes a WAV (mono, 16-bit, 8000 Hz) the greeting for this reason. The old one goes when the new one is in place.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Gone`] when there is no such mailbox.
    pub async fn set_forward_greeting(
        &self,
        mailbox: &MailboxId,
        forward: Forward,
        wav: Vec<u8>,
        now: Timestamp,
    ) -> Result<AudioKey, ChangeError> {
        let key = self.put_audio(wav).await?;
        match self.replace_forward_greeting(mailbox, forward, Some(&key), now).await {
            Ok(_) => Ok(key),
            Err(error) => {
                // After any other error it may have been referred to: the sweep judges.
                if matches!(error, ChangeError::Gone) {
                    self.drop_unused_audio(&key).await;
                }
                Err(error)
            }
        }
    }

    /// Goes back to the mailbox's own greeting for this reason; whether there was another.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Gone`] when there is no such mailbox.
    pub async fn remove_forward_greeting(
        &self,
        mailbox: &MailboxId,
        forward: Forward,
        now: Timestamp,
    ) -> Result<bool, ChangeError> {
        self.replace_forward_greeting(mailbox, forward, None, now).await
    }

    /// The greeting for this reason, if the mailbox has one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn forward_greeting(&self, mailbox: &MailboxId, forward: Forward) -> Result<Option<AudioKey>, StoreError> {
        let row = sqlx::query("SELECT audio FROM forward_greetings WHERE mailbox_id = $1 AND forward = $2")
            .bind(mailbox.as_str())
            .bind(forward.as_str())
            .fetch_optional(self.0.database.reader())
            .await?;
        row.map(|row| Ok(AudioKey::from_stored(row.text("audio")?))).transpose()
    }

    /// The reasons that a mailbox has greetings for.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], or [`StoreError::Unreadable`] when a row was not written by us.
    pub async fn forward_greetings(&self, mailbox: &MailboxId) -> Result<Vec<Forward>, StoreError> {
        let rows = sqlx::query("SELECT forward FROM forward_greetings WHERE mailbox_id = $1 ORDER BY forward")
            .bind(mailbox.as_str())
            .fetch_all(self.0.database.reader())
            .await?;
        let read = |word: String| word.parse().map_err(|_| StoreError::Unreadable { what: "forward_greetings.forward" });
        rows.iter().map(|row| read(row.text("forward")?)).collect()
    }

    async fn replace_forward_greeting(
        &self,
        mailbox: &MailboxId,
        forward: Forward,
        new: Option<&AudioKey>,
        now: Timestamp,
    ) -> Result<bool, ChangeError> {
        let mut transaction = self.0.database.begin().await?;
        // Takes the row first, so that of two commands each replaces what it sees.
        let turn = sqlx::query("UPDATE mailboxes SET deposit_turn = deposit_turn + 1 WHERE id = $1")
            .bind(mailbox.as_str())
            .execute(&mut *transaction)
            .await?;
        if turn.rows_affected() == 0 {
            return Err(ChangeError::Gone);
        }
        let old = sqlx::query("DELETE FROM forward_greetings WHERE mailbox_id = $1 AND forward = $2 RETURNING audio")
            .bind(mailbox.as_str())
            .bind(forward.as_str())
            .fetch_all(&mut *transaction)
            .await?;
        let old = old.first().map(|row| Ok::<_, sqlx::Error>(AudioKey::from_stored(row.text("audio")?))).transpose()?;
        if let Some(new) = new {
            audio::claim(&mut transaction, new).await?;
            sqlx::query("INSERT INTO forward_greetings (mailbox_id, forward, audio) VALUES ($1, $2, $3)")
                .bind(mailbox.as_str())
                .bind(forward.as_str())
                .bind(new.as_str())
                .execute(&mut *transaction)
                .await?;
        }
        if let Some(old) = &old {
            audio::mark_removed(&mut transaction, old, now).await?;
        }
        transaction.commit().await?;
        let was_there = old.is_some();
        if let Some(old) = old {
            self.remove_marked_audio(&[old]).await;
        }
        Ok(was_there)
    }
}

/// Forgets the greetings of a mailbox that is removed, and tells their audio.
pub(super) async fn mailbox_removed(connection: &mut AnyConnection, mailbox: &MailboxId) -> Result<Vec<AudioKey>, sqlx::Error> {
    let rows = sqlx::query("DELETE FROM forward_greetings WHERE mailbox_id = $1 RETURNING audio")
        .bind(mailbox.as_str())
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok(AudioKey::from_stored(row.text("audio")?))).collect()
}
