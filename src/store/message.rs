//! The messages of a mailbox: counting, listing, hearing, saving, deleting.
//!
//! A message in the deleted list is seen by [`deleted`] and [`listing`](super::listing) alone.
//!
//! An expired message is invisible from that millisecond on, whenever the calendar removes it. A change names the version it was
//! decided on, and is refused when somebody else was quicker; the mail server's acceptance and warnings raise no version, because
//! they never contradict what a session decides.

use std::time::Duration;

use sqlx::{AnyConnection, any::AnyRow};

use super::{
    ChangeError, Store, StoreError, audio,
    database::{Columns as _, Write},
    deleted, subscription,
};
use crate::domain::{
    caller::Caller,
    id::{AudioKey, MailboxId, MessageId},
    message::{Counts, Message},
    rules,
    sending::{Sent, SentKindError},
    time::Timestamp,
};

impl Store {
    /// How many messages a mailbox holds.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn counts(&self, mailbox: &MailboxId, now: Timestamp) -> Result<Counts, StoreError> {
        let mut connection = self.0.database.reader().acquire().await?;
        Ok(counts(&mut connection, mailbox, now).await?)
    }

    /// All messages of a mailbox: new ones, then saved ones, each list oldest first. Deleted ones are not among them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn messages(&self, mailbox: &MailboxId, now: Timestamp) -> Result<Vec<Message>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM messages WHERE mailbox_id = $1 AND expires_at > $2 AND deleted_at IS NULL
             ORDER BY CASE WHEN heard_at IS NULL AND saved_at IS NULL THEN 0 ELSE 1 END, stamp_at, id",
        )
        .bind(mailbox.as_str())
        .bind(now.as_millis())
        .fetch_all(self.0.database.reader())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// One message, unless it has expired or was deleted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn message(&self, id: &MessageId, now: Timestamp) -> Result<Option<Message>, StoreError> {
        let mut connection = self.0.database.reader().acquire().await?;
        Ok(find(&mut connection, id, now).await?)
    }

    /// Notes that a message was heard to its end: from now on it is in the saved list. Its life stays as it is.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Conflict`] when `version` is not the message's, [`ChangeError::Gone`] when there is no such message.
    pub async fn mark_heard(&self, id: &MessageId, version: i64, now: Timestamp) -> Result<Message, ChangeError> {
        let mut transaction = self.0.database.begin().await?;
        let mut message = at_version(&mut transaction, id, version, now).await?;
        message.heard_at = Some(message.heard_at.unwrap_or(now));
        message.version += 1;
        self.update(transaction, &message, version, now).await?;
        Ok(message)
    }

    /// Saves a message: it gets a new life and a new stamp.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Conflict`] when `version` is not the message's, [`ChangeError::Gone`] when there is no such message.
    pub async fn save(&self, id: &MessageId, version: i64, now: Timestamp) -> Result<Message, ChangeError> {
        let mut transaction = self.0.database.begin().await?;
        let mut message = at_version(&mut transaction, id, version, now).await?;
        message.saved_at = Some(now);
        message.stamp_at = now;
        message.expires_at = rules::expiry_after_save(now);
        message.version += 1;
        self.update(transaction, &message, version, now).await?;
        Ok(message)
    }

    /// Puts a message back into the list of new ones. Its life and its stamp stay as they are.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Conflict`] when `version` is not the message's, [`ChangeError::Gone`] when there is no such message.
    pub async fn mark_new(&self, id: &MessageId, version: i64, now: Timestamp) -> Result<Message, ChangeError> {
        let mut transaction = self.0.database.begin().await?;
        let mut message = at_version(&mut transaction, id, version, now).await?;
        (message.heard_at, message.saved_at) = (None, None);
        message.version += 1;
        self.update(transaction, &message, version, now).await?;
        Ok(message)
    }

    /// Deletes a message and all its audio for good, be it in the deleted list or not, and whatever was still to be sent about it.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Conflict`] when `version` is not the message's, [`ChangeError::Gone`] when there is no such message.
    pub async fn delete(&self, id: &MessageId, version: i64, now: Timestamp) -> Result<(), ChangeError> {
        let mut transaction = self.0.database.begin().await?;
        let message = deleted::find_anywhere(&mut transaction, id, now).await?.ok_or(ChangeError::Gone)?;
        if message.version != version {
            return Err(ChangeError::Conflict);
        }
        let deleted = sqlx::query("DELETE FROM messages WHERE id = $1 AND version = $2")
            .bind(id.as_str())
            .bind(version)
            .execute(&mut *transaction)
            .await?;
        if deleted.rows_affected() == 0 {
            return Err(ChangeError::Conflict);
        }
        sqlx::query("DELETE FROM outbox WHERE message_id = $1").bind(id.as_str()).execute(&mut *transaction).await?;
        let mut objects: Vec<AudioKey> = message.audio_objects().cloned().collect();
        objects.sort();
        for key in &objects {
            audio::mark_removed(&mut transaction, key, now).await?;
        }
        subscription::mailbox_changed(&mut transaction, &message.mailbox, now).await?;
        transaction.commit().await?;
        self.0.lamps_changed.notify_one();
        self.remove_marked_audio(&objects).await;
        Ok(())
    }

    /// Writes what was heard or saved, if the message is still at `version`.
    async fn update(&self, mut transaction: Write, message: &Message, version: i64, now: Timestamp) -> Result<(), ChangeError> {
        let updated = sqlx::query(
            "UPDATE messages SET heard_at = $3, saved_at = $4, stamp_at = $5, version = $6,
                    -- Only a save sets the expiry; anything else leaves alone what the mail server's acceptance may set meanwhile.
                    expires_at = CASE WHEN $7 = 1 THEN $8 ELSE expires_at END
             WHERE id = $1 AND version = $2 AND expires_at > $9 AND deleted_at IS NULL",
        )
        .bind(message.id.as_str())
        .bind(version)
        .bind(message.heard_at.map(Timestamp::as_millis))
        .bind(message.saved_at.map(Timestamp::as_millis))
        .bind(message.stamp_at.as_millis())
        .bind(message.version)
        .bind(i64::from(message.saved_at == Some(now)))
        .bind(message.expires_at.as_millis())
        .bind(now.as_millis())
        .execute(&mut *transaction)
        .await?;
        if updated.rows_affected() == 0 {
            return Err(ChangeError::Conflict);
        }
        subscription::mailbox_changed(&mut transaction, &message.mailbox, now).await?;
        transaction.commit().await?;
        self.0.lamps_changed.notify_one();
        Ok(())
    }
}

/// The message as it is, if that is what the caller believes it to be.
pub(super) async fn at_version(
    connection: &mut AnyConnection,
    id: &MessageId,
    version: i64,
    now: Timestamp,
) -> Result<Message, ChangeError> {
    let message = find(connection, id, now).await?.ok_or(ChangeError::Gone)?;
    if message.version == version { Ok(message) } else { Err(ChangeError::Conflict) }
}

pub(super) async fn find(connection: &mut AnyConnection, id: &MessageId, now: Timestamp) -> Result<Option<Message>, sqlx::Error> {
    let rows = sqlx::query("SELECT * FROM messages WHERE id = $1 AND expires_at > $2 AND deleted_at IS NULL")
        .bind(id.as_str())
        .bind(now.as_millis())
        .fetch_all(connection)
        .await?;
    rows.first().map(read).transpose()
}

pub(super) async fn counts(connection: &mut AnyConnection, mailbox: &MailboxId, now: Timestamp) -> Result<Counts, sqlx::Error> {
    let row = sqlx::query(
        "SELECT COUNT(CASE WHEN heard_at IS NULL AND saved_at IS NULL THEN 1 END) AS fresh, COUNT(*) AS held,
                COUNT(CASE WHEN urgent = 1 AND heard_at IS NULL AND saved_at IS NULL THEN 1 END) AS urgent_fresh,
                COUNT(CASE WHEN urgent = 1 THEN 1 END) AS urgent_held
         FROM messages WHERE mailbox_id = $1 AND expires_at > $2 AND deleted_at IS NULL",
    )
    .bind(mailbox.as_str())
    .bind(now.as_millis())
    .fetch_one(connection)
    .await?;
    let (new, urgent_new) = (row.count("fresh")?, row.count("urgent_fresh")?);
    Ok(Counts {
        new,
        saved: row.count("held")?.saturating_sub(new),
        urgent_new,
        urgent_saved: row.count("urgent_held")?.saturating_sub(urgent_new),
    })
}

pub(super) async fn insert(connection: &mut AnyConnection, message: &Message) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO messages (id, mailbox_id, caller_number, caller_name, caller_verified, deposited_at, stamp_at, expires_at, duration_ms,
                               audio, interrupted, urgent, private, sent_kind, sender_id, origin_id, version, original_audio, called_number)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
    )
    .bind(message.id.as_str())
    .bind(message.mailbox.as_str())
    .bind(message.caller.number.as_deref().map(storable))
    .bind(message.caller.name.as_deref().map(storable))
    .bind(i64::from(message.caller_verified))
    .bind(message.deposited_at.as_millis())
    .bind(message.stamp_at.as_millis())
    .bind(message.expires_at.as_millis())
    .bind(i64::try_from(message.duration.as_millis()).unwrap_or(i64::MAX))
    .bind(message.audio.as_str())
    .bind(i64::from(message.interrupted))
    .bind(i64::from(message.urgent))
    .bind(i64::from(message.private))
    .bind(message.sent.as_ref().map(|sent| sent.kind.as_str()))
    .bind(message.sent.as_ref().and_then(|sent| sent.sender.as_ref()).map(MailboxId::as_str))
    .bind(message.sent.as_ref().and_then(|sent| sent.origin.as_ref()).map(MessageId::as_str))
    .bind(message.version)
    .bind(message.original_audio.as_ref().map(AudioKey::as_str))
    .bind(message.called.as_deref().map(storable))
    .execute(connection)
    .await?;
    Ok(())
}

/// What a phone sent, as a database can keep it: PostgreSQL takes no NUL.
fn storable(text: &str) -> String {
    text.replace('\0', "")
}

pub(super) fn read(row: &AnyRow) -> Result<Message, sqlx::Error> {
    Ok(Message {
        id: MessageId::from_stored(row.text("id")?),
        mailbox: MailboxId::from_stored(row.text("mailbox_id")?),
        caller: Caller { number: row.maybe_text("caller_number")?, name: row.maybe_text("caller_name")? },
        caller_verified: row.flag("caller_verified")?,
        called: row.maybe_text("called_number")?,
        deposited_at: row.moment("deposited_at")?,
        stamp_at: row.moment("stamp_at")?,
        expires_at: row.moment("expires_at")?,
        heard_at: row.maybe_moment("heard_at")?,
        saved_at: row.maybe_moment("saved_at")?,
        mailed_at: row.maybe_moment("mailed_at")?,
        deleted_at: row.maybe_moment("deleted_at")?,
        duration: Duration::from_millis(u64::try_from(row.integer("duration_ms")?).unwrap_or(0)),
        audio: AudioKey::from_stored(row.text("audio")?),
        original_audio: row.maybe_text("original_audio")?.map(AudioKey::from_stored),
        interrupted: row.flag("interrupted")?,
        urgent: row.flag("urgent")?,
        private: row.flag("private")?,
        sent: row.maybe_text("sent_kind")?.map(|kind| sent(&kind, row)).transpose()?,
        version: row.integer("version")?,
    })
}

/// How a message came from another mailbox, from a row that says so.
pub(super) fn sent(kind: &str, row: &AnyRow) -> Result<Sent, sqlx::Error> {
    let unknown = |error: SentKindError| sqlx::Error::ColumnDecode { index: "kind".to_owned(), source: Box::new(error) };
    Ok(Sent {
        kind: kind.parse().map_err(unknown)?,
        sender: row.maybe_text("sender_id")?.map(MailboxId::from_stored),
        origin: row.maybe_text("origin_id")?.map(MessageId::from_stored),
    })
}
