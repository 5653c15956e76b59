//! The outbox: what must still be sent, written in the transaction that made it necessary, and sent at least once.
//!
//! A row is claimed with a lease. Who does not report back in time, because it crashed or lost the database, loses the lease, and
//! the next one tries; the receiver tells a repetition by the stable id.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, any::AnyRow};
use tokio::sync::Notify;

use super::{ChangeError, Store, StoreError, database::Columns as _, deleted, deposit::StoredFullness as _};
use crate::domain::{
    credential::Notice,
    id::{MailboxId, MessageId, OutboxId},
    mailbox_log::{Event, Origin},
    rules::{self, Fullness},
    time::Timestamp,
};

/// What must be sent to a subscriber.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Errand {
    /// Voice-to-email: the message itself.
    Message {
        /// Which one.
        message: MessageId,
    },
    /// A copy of a message that its subscriber asked for, be voice-to-email on or off. Its acceptance changes nothing about the message.
    Copy {
        /// Which one.
        message: MessageId,
    },
    /// A warning that the mailbox is nearly full, or full.
    Fullness {
        /// How many messages it held.
        held: u32,
    },
    /// A warning that unsaved messages will expire.
    Expiring {
        /// How many.
        messages: u32,
        /// When the first of them goes.
        first: Timestamp,
    },
    /// A warning that remote access is locked after too many wrong passcodes.
    RemoteAccessLocked,
    /// An alert about a use of the mailbox's credentials.
    Credential {
        /// What was noticed.
        notice: Notice,
        /// The address, or the network of an IPv6 address.
        address: String,
        /// The software, by its own word; may be empty.
        agent: String,
        /// Whether further ones within the hour are not mailed.
        last: bool,
    },
    /// News of the mailbox: a login from a new source, another passcode, another greeting.
    Noticed {
        /// What happened.
        event: Event,
        /// From where.
        by: Origin,
        /// Whether further ones within the hour are not mailed.
        last: bool,
    },
}

impl Errand {
    /// The message that it is about, if it is about one.
    fn message(&self) -> Option<&MessageId> {
        match self {
            Self::Message { message } | Self::Copy { message } => Some(message),
            Self::Fullness { .. }
            | Self::Expiring { .. }
            | Self::RemoteAccessLocked
            | Self::Credential { .. }
            | Self::Noticed { .. } => None,
        }
    }

    /// The stored name of its kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Message { .. } => "message",
            Self::Copy { .. } => "copy",
            Self::Fullness { .. } => "fullness",
            Self::Expiring { .. } => "expiring",
            Self::RemoteAccessLocked => "remote_access_locked",
            Self::Credential { .. } => "credential",
            Self::Noticed { event: Event::LoggedIn, .. } => "new_source",
            Self::Noticed { event, .. } => event.what(),
        }
    }
}

/// A row of the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutboxItem {
    /// Stable over all attempts.
    pub id: OutboxId,
    /// Whose it is.
    pub mailbox: MailboxId,
    /// What to send.
    pub errand: Errand,
    /// Since when it is tried.
    pub created_at: Timestamp,
    /// When it is tried next.
    pub due_at: Timestamp,
    /// How often it has failed so far.
    pub attempts: u32,
    /// Why it failed last.
    pub last_error: Option<String>,
    /// When it was given up.
    pub dead_at: Option<Timestamp>,
}

impl Store {
    /// Is notified when something new is due, so that delivery need not wait for its timer. One waiter at a time.
    #[must_use]
    pub fn outbox_grew(&self) -> &Notify {
        &self.0.outbox_grew
    }

    /// Claims up to `limit` items that are due. Nobody else gets them before `lease` is over.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn claim_outbox(
        &self,
        limit: u32,
        lease: std::time::Duration,
        now: Timestamp,
    ) -> Result<Vec<OutboxItem>, StoreError> {
        // Most polls find nothing: that should not cost a write.
        let due = sqlx::query(
            "SELECT id FROM outbox WHERE dead_at IS NULL AND due_at <= $1 AND (leased_until IS NULL OR leased_until <= $1) LIMIT 1",
        )
        .bind(now.as_millis())
        .fetch_all(self.0.database.reader())
        .await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let mut transaction = self.0.database.begin().await?;
        // The outer condition is checked again after waiting for another node's claim, so none is claimed twice.
        let rows = sqlx::query(
            "UPDATE outbox SET leased_until = $2
             WHERE id IN (SELECT id FROM outbox
                          WHERE dead_at IS NULL AND due_at <= $1 AND (leased_until IS NULL OR leased_until <= $1)
                          ORDER BY due_at, id LIMIT $3)
               AND dead_at IS NULL AND (leased_until IS NULL OR leased_until <= $1)
             RETURNING *",
        )
        .bind(now.as_millis())
        .bind(now.after(lease).as_millis())
        .bind(i64::from(limit))
        .fetch_all(&mut *transaction)
        .await?;
        transaction.commit().await?;
        let mut items: Vec<OutboxItem> = rows.iter().map(read).collect::<Result<_, _>>()?;
        items.sort_by(|a, b| (a.due_at, &a.id).cmp(&(b.due_at, &b.id)));
        Ok(items)
    }

    /// Notes that an item was accepted by its receiver at `now`, and removes it. A mailed message's shorter life starts here, and
    /// the mailbox's mail works again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; an item that is not there any more is no error: what it was about was mailed all the same.
    pub async fn complete(&self, item: &OutboxItem, now: Timestamp) -> Result<(), StoreError> {
        self.complete_all(&[(item.clone(), now)]).await
    }

    /// [`complete`](Self::complete)s several items, each with its moment, in one transaction: what comes in bursts need not
    /// wait for one disk sync each.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; then none is completed.
    pub async fn complete_all(&self, accepted: &[(OutboxItem, Timestamp)]) -> Result<(), StoreError> {
        // Whoever takes several takes mailboxes, then messages, then items, each in order, so that no two ever wait for each other.
        let mut accepted: Vec<_> = accepted.iter().collect();
        accepted.sort_by(|(a, _), (b, _)| (&a.mailbox, a.errand.message()).cmp(&(&b.mailbox, b.errand.message())));
        let mut transaction = self.0.database.begin().await?;
        let mut mails = HashMap::new();
        for (item, _) in &accepted {
            if !mails.contains_key(&item.mailbox) {
                let mailbox =
                    sqlx::query("UPDATE mailboxes SET mail_problem = NULL WHERE id = $1 RETURNING voice_to_email_since")
                        .bind(item.mailbox.as_str())
                        .fetch_all(&mut *transaction)
                        .await?;
                let since = mailbox.first().map(|row| row.maybe_moment("voice_to_email_since")).transpose()?.flatten();
                mails.insert(&item.mailbox, since.is_some());
            }
        }
        for (item, at) in &accepted {
            if let Errand::Message { message } = &item.errand {
                mailed(&mut transaction, message, mails.get(&item.mailbox) == Some(&true), *at).await?;
            }
        }
        for (item, _) in &accepted {
            sqlx::query("DELETE FROM outbox WHERE id = $1").bind(item.id.as_str()).execute(&mut *transaction).await?;
            // A message that was deleted and restored while its mail was on its way waits to be mailed anew.
            if let Errand::Message { message } = &item.errand {
                sqlx::query("DELETE FROM outbox WHERE message_id = $1 AND kind = 'message'")
                    .bind(message.as_str())
                    .execute(&mut *transaction)
                    .await?;
            }
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Notes a failed attempt; the next one is at `at`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn retry_at(&self, id: &OutboxId, at: Timestamp, error: &str) -> Result<(), StoreError> {
        let mut transaction = self.0.database.begin().await?;
        sqlx::query(
            "UPDATE outbox SET due_at = $2, leased_until = NULL, attempts = attempts + 1, last_error = $3
             WHERE id = $1 AND dead_at IS NULL",
        )
        .bind(id.as_str())
        .bind(at.as_millis())
        .bind(storable(error))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Gives an item up: it stays for the operator to see, and the mailbox says that mail to its subscriber fails.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn dead(&self, id: &OutboxId, error: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.0.database.begin().await?;
        // The mailbox comes first, as everywhere, so that no two ever wait for each other.
        sqlx::query(
            "UPDATE mailboxes SET mail_problem = $2
             WHERE id IN (SELECT mailbox_id FROM outbox WHERE id = $1 AND dead_at IS NULL)",
        )
        .bind(id.as_str())
        .bind(storable(error))
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "UPDATE outbox SET dead_at = $2, leased_until = NULL, attempts = attempts + 1, last_error = $3
             WHERE id = $1 AND dead_at IS NULL",
        )
        .bind(id.as_str())
        .bind(now.as_millis())
        .bind(storable(error))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Everything in the outbox, dead items too, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn list_outbox(&self) -> Result<Vec<OutboxItem>, StoreError> {
        let rows = sqlx::query("SELECT * FROM outbox ORDER BY created_at, id").fetch_all(self.0.database.reader()).await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Items that are due and have been tried for as long as anything is, oldest first, up to `limit`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn overdue_outbox(&self, limit: u32, now: Timestamp) -> Result<Vec<OutboxItem>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM outbox WHERE due_at <= $1 AND dead_at IS NULL AND created_at <= $2 ORDER BY created_at, id LIMIT $3",
        )
        .bind(now.as_millis())
        .bind(now.before(rules::DELIVERY_LIFE).as_millis())
        .bind(i64::from(limit))
        .fetch_all(self.0.database.reader())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// How many items wait to be sent; dead ones do not.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn waiting_outbox(&self) -> Result<u32, StoreError> {
        let row = sqlx::query("SELECT COUNT(*) AS waiting FROM outbox WHERE dead_at IS NULL")
            .fetch_one(self.0.database.reader())
            .await?;
        Ok(row.count("waiting")?)
    }

    /// Makes an item, dead or waiting, due now, with a whole delivery life before it.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Gone`] when there is no such item.
    pub async fn retry_outbox(&self, id: &OutboxId, now: Timestamp) -> Result<(), ChangeError> {
        let mut transaction = self.0.database.begin().await?;
        let updated = sqlx::query(
            "UPDATE outbox SET due_at = $2, created_at = CASE WHEN dead_at IS NULL THEN created_at ELSE $2 END,
                               leased_until = CASE WHEN dead_at IS NULL THEN leased_until ELSE NULL END, dead_at = NULL
             WHERE id = $1",
        )
        .bind(id.as_str())
        .bind(now.as_millis())
        .execute(&mut *transaction)
        .await?;
        if updated.rows_affected() == 0 {
            return Err(ChangeError::Gone);
        }
        transaction.commit().await?;
        self.0.outbox_grew.notify_one();
        Ok(())
    }

    /// Removes an item unsent.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Gone`] when there is no such item.
    pub async fn drop_outbox(&self, id: &OutboxId) -> Result<(), ChangeError> {
        let mut transaction = self.0.database.begin().await?;
        let deleted = sqlx::query("DELETE FROM outbox WHERE id = $1").bind(id.as_str()).execute(&mut *transaction).await?;
        if deleted.rows_affected() == 0 {
            return Err(ChangeError::Gone);
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Writes warnings for messages that will expire within [`rules::EXPIRY_WARNING`], one mail a mailbox, each message once.
    /// Saved and mailed messages need none. Answers how many mailboxes are warned.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn warn_expiring(&self, now: Timestamp) -> Result<u32, StoreError> {
        let mut transaction = self.0.database.begin().await?;
        let rows = sqlx::query(
            "UPDATE messages SET warned_at = $1
             WHERE warned_at IS NULL AND saved_at IS NULL AND mailed_at IS NULL AND deleted_at IS NULL AND expires_at > $1 AND expires_at <= $2
               AND mailbox_id IN (SELECT id FROM mailboxes WHERE email IS NOT NULL)
             RETURNING mailbox_id, expires_at",
        )
        .bind(now.as_millis())
        .bind(now.after(rules::EXPIRY_WARNING).as_millis())
        .fetch_all(&mut *transaction)
        .await?;
        let mut warnings = std::collections::BTreeMap::<String, (u32, Timestamp)>::new();
        for row in &rows {
            let expires_at = row.moment("expires_at")?;
            let (messages, first) = warnings.entry(row.text("mailbox_id")?).or_insert((0, expires_at));
            *messages += 1;
            *first = expires_at.min(*first);
        }
        for (mailbox, (messages, first)) in &warnings {
            let errand = Errand::Expiring { messages: *messages, first: *first };
            insert(&mut transaction, &MailboxId::from_stored(mailbox), &errand, now).await?;
        }
        transaction.commit().await?;
        Ok(self.announce(warnings.len()))
    }

    /// Writes warnings for mailboxes that are fuller than their subscribers were told, and forgets what was told about those that
    /// have room again. Answers how many are warned.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn warn_full(&self, now: Timestamp) -> Result<u32, StoreError> {
        // Counting all mailboxes takes a while: nobody waits for it with a deposit.
        let rows = sqlx::query(
            "SELECT m.id, m.email, m.fullness_told, COUNT(v.id) AS held FROM mailboxes m
             LEFT JOIN messages v ON v.mailbox_id = m.id AND v.expires_at > $1 AND v.deleted_at IS NULL
             GROUP BY m.id, m.email, m.fullness_told HAVING COUNT(v.id) >= $2 OR m.fullness_told > 0
             ORDER BY m.id",
        )
        .bind(now.as_millis())
        .bind(i64::from(rules::MAILBOX_CAPACITY / 2))
        .fetch_all(self.0.database.reader())
        .await?;
        let mut warned = 0;
        for row in &rows {
            let mailbox = MailboxId::from_stored(row.text("id")?);
            let told = Fullness::from_stored(row.integer("fullness_told")?);
            let held = row.count("held")?;
            let level = rules::fullness(held);
            let has_email = row.maybe_text("email")?.is_some();
            // Without an address nobody has been told: a later address gets the warning.
            if level == told || (level > told && !has_email) {
                continue;
            }
            let mut transaction = self.0.database.begin().await?;
            // Unless a deposit has told something else meanwhile.
            let updated = sqlx::query("UPDATE mailboxes SET fullness_told = $2 WHERE id = $1 AND fullness_told = $3")
                .bind(mailbox.as_str())
                .bind(level.to_stored())
                .bind(told.to_stored())
                .execute(&mut *transaction)
                .await?;
            if updated.rows_affected() > 0 && level > told {
                insert(&mut transaction, &mailbox, &Errand::Fullness { held }, now).await?;
                warned += 1;
            }
            transaction.commit().await?;
        }
        Ok(self.announce(warned))
    }

    /// Wakes delivery if a mail was written.
    pub(super) fn announce_mail(&self, mails: bool) {
        if mails {
            self.0.outbox_grew.notify_one();
        }
    }

    fn announce(&self, warnings: usize) -> u32 {
        if warnings > 0 {
            self.0.outbox_grew.notify_one();
        }
        u32::try_from(warnings).unwrap_or(u32::MAX)
    }
}

/// Notes at a message that its mail was accepted, be it in the deleted list by now: once, at the first time. Switched off while the mail
/// was on its way, the message keeps its full life.
async fn mailed(connection: &mut AnyConnection, id: &MessageId, still_on: bool, now: Timestamp) -> Result<(), StoreError> {
    let Some(message) = deleted::find_anywhere(&mut *connection, id, now).await? else { return Ok(()) };
    let expires_at = if still_on { rules::expiry_after_mail(&message, now) } else { message.expires_at };
    sqlx::query(
        "UPDATE messages SET mailed_at = $2, expires_at = CASE WHEN saved_at IS NULL THEN $3 ELSE expires_at END
         WHERE id = $1 AND mailed_at IS NULL",
    )
    .bind(id.as_str())
    .bind(now.as_millis())
    .bind(expires_at.as_millis())
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn insert(
    connection: &mut AnyConnection,
    mailbox: &MailboxId,
    errand: &Errand,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let message = errand.message().map(MessageId::as_str);
    let payload = serde_json::to_string(errand).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    sqlx::query(
        "INSERT INTO outbox (id, kind, mailbox_id, message_id, payload, created_at, due_at, attempts)
         VALUES ($1, $2, $3, $4, $5, $6, $6, 0)",
    )
    .bind(OutboxId::random().as_str())
    .bind(errand.kind())
    .bind(mailbox.as_str())
    .bind(message)
    .bind(payload)
    .bind(now.as_millis())
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes which fullness the subscriber knows of. Answers whether that was news.
pub(super) async fn set_fullness_told(
    connection: &mut AnyConnection,
    mailbox: &MailboxId,
    level: Fullness,
) -> Result<bool, sqlx::Error> {
    let updated = sqlx::query("UPDATE mailboxes SET fullness_told = $2 WHERE id = $1 AND fullness_told <> $2")
        .bind(mailbox.as_str())
        .bind(level.to_stored())
        .execute(connection)
        .await?;
    Ok(updated.rows_affected() > 0)
}

/// A server's words as a database can keep them: PostgreSQL takes no NUL, and nobody reads a thousand characters.
fn storable(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(1000).collect()
}

fn read(row: &AnyRow) -> Result<OutboxItem, sqlx::Error> {
    let errand = serde_json::from_str(&row.text("payload")?)
        .map_err(|error| sqlx::Error::ColumnDecode { index: "payload".to_owned(), source: Box::new(error) })?;
    Ok(OutboxItem {
        id: OutboxId::from_stored(row.text("id")?),
        mailbox: MailboxId::from_stored(row.text("mailbox_id")?),
        errand,
        created_at: row.moment("created_at")?,
        due_at: row.moment("due_at")?,
        attempts: row.count("attempts")?,
        last_error: row.maybe_text("last_error")?,
        dead_at: row.maybe_moment("dead_at")?,
    })
}
