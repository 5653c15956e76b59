//! Callers whom a mailbox does not accept.

use sqlx::{AnyConnection, any::AnyRow};

use super::{Store, StoreError, database::Columns as _, record::Purpose};
use crate::domain::{caller::Caller, id::MailboxId, screening::RefusedCaller, time::Timestamp};

/// The most callers that a mailbox can block.
pub const MOST_BLOCKED: u32 = 1000;

/// Why a caller was not blocked.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The mailbox blocks as many as it can.
    #[error("the mailbox blocks {MOST_BLOCKED} callers already; unblock some")]
    TooMany,
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for BlockError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A caller whom a mailbox does not accept.
#[derive(Clone, PartialEq, Eq)]
pub struct BlockedCaller {
    /// The number, as callers show it.
    pub number: String,
    /// Since when.
    pub since: Timestamp,
}

impl Store {
    /// Whether a mailbox refuses a caller with this number, or one who shows none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn refuses_caller(&self, mailbox: &MailboxId, number: Option<&str>) -> Result<Option<RefusedCaller>, StoreError> {
        let Some(number) = number.and_then(comparable) else {
            return Ok(self.refuses_anonymous(mailbox).await?.then_some(RefusedCaller::Anonymous));
        };
        let rows = sqlx::query("SELECT blocked_at FROM blocked_callers WHERE mailbox_id = $1 AND number = $2")
            .bind(mailbox.as_str())
            .bind(number)
            .fetch_all(self.0.database.reader())
            .await?;
        Ok((!rows.is_empty()).then_some(RefusedCaller::Blocked))
    }

    /// Whether a mailbox refuses callers who show no number.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn refuses_anonymous(&self, mailbox: &MailboxId) -> Result<bool, StoreError> {
        let rows = sqlx::query("SELECT refuses_anonymous FROM mailbox_screening WHERE mailbox_id = $1")
            .bind(mailbox.as_str())
            .fetch_all(self.0.database.reader())
            .await?;
        Ok(rows.first().map(|row| row.flag("refuses_anonymous")).transpose()?.unwrap_or(false))
    }

    /// Lets a mailbox refuse callers who show no number, or accept them again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn refuse_anonymous(&self, mailbox: &MailboxId, refuse: bool) -> Result<(), StoreError> {
        let mut transaction = self.0.database.begin().await?;
        ensure_row(&mut transaction, mailbox).await?;
        sqlx::query("UPDATE mailbox_screening SET refuses_anonymous = $2 WHERE mailbox_id = $1")
            .bind(mailbox.as_str())
            .bind(i64::from(refuse))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Who called a mailbox last to leave a message, as far as records are kept: also whoever left one in several mailboxes at once,
    /// whose call is recorded for the first of them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn last_caller(&self, mailbox: &MailboxId) -> Result<Option<Caller>, StoreError> {
        let recorded = sqlx::query(
            "SELECT caller_number, caller_name, started_at FROM call_records WHERE mailbox_id = $1 AND purpose = $2
             ORDER BY started_at DESC, id DESC LIMIT 1",
        )
        .bind(mailbox.as_str())
        .bind(Purpose::Deposit.as_str())
        .fetch_all(self.0.database.reader())
        .await?;
        let since = recorded.first().map_or(Ok(0), |row| row.integer("started_at"))?;
        let left = sqlx::query(
            "SELECT m.caller_number, m.caller_name FROM messages m
             WHERE m.mailbox_id = $1 AND m.sent_kind IS NULL AND m.deposited_at > $2
                   AND NOT EXISTS (SELECT 1 FROM call_records r WHERE r.mailbox_id = $1 AND r.message_id = m.id)
             ORDER BY m.deposited_at DESC, m.id DESC LIMIT 1",
        )
        .bind(mailbox.as_str())
        .bind(since)
        .fetch_all(self.0.database.reader())
        .await?;
        let caller = |row: &AnyRow| Ok(Caller { number: row.maybe_text("caller_number")?, name: row.maybe_text("caller_name")? });
        left.first().or(recorded.first()).map(caller).transpose()
    }

    /// Lets a mailbox refuse a caller. Answers whether it did not already.
    ///
    /// # Errors
    ///
    /// [`BlockError`].
    pub async fn block_caller(&self, mailbox: &MailboxId, number: &str, now: Timestamp) -> Result<bool, BlockError> {
        let Some(number) = comparable(number) else { return Ok(false) };
        let mut transaction = self.0.database.begin().await?;
        let row = sqlx::query("SELECT COUNT(*) AS blocked FROM blocked_callers WHERE mailbox_id = $1")
            .bind(mailbox.as_str())
            .fetch_one(&mut *transaction)
            .await?;
        if row.count("blocked")? >= MOST_BLOCKED {
            return Err(BlockError::TooMany);
        }
        let done = sqlx::query(
            "INSERT INTO blocked_callers (mailbox_id, number, blocked_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        )
        .bind(mailbox.as_str())
        .bind(number)
        .bind(now.as_millis())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Lets a mailbox accept a caller again. Answers whether it did not already.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn unblock_caller(&self, mailbox: &MailboxId, number: &str) -> Result<bool, StoreError> {
        let Some(number) = comparable(number) else { return Ok(false) };
        let mut transaction = self.0.database.begin().await?;
        let done = sqlx::query("DELETE FROM blocked_callers WHERE mailbox_id = $1 AND number = $2")
            .bind(mailbox.as_str())
            .bind(number)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// The callers whom a mailbox refuses, latest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn blocked_callers(&self, mailbox: &MailboxId) -> Result<Vec<BlockedCaller>, StoreError> {
        let rows =
            sqlx::query("SELECT number, blocked_at FROM blocked_callers WHERE mailbox_id = $1 ORDER BY blocked_at DESC, number")
                .bind(mailbox.as_str())
                .fetch_all(self.0.database.reader())
                .await?;
        rows.iter().map(|row| Ok(BlockedCaller { number: row.text("number")?, since: row.moment("blocked_at")? })).collect()
    }
}

/// Makes the row of a mailbox's wishes, with the defaults, if there is none.
pub(super) async fn ensure_row(connection: &mut AnyConnection, mailbox: &MailboxId) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO mailbox_screening (mailbox_id, alerts, refuses_anonymous, alerts_mailed, alerts_since)
         VALUES ($1, $2, 0, 0, 0) ON CONFLICT DO NOTHING",
    )
    .bind(mailbox.as_str())
    .bind(crate::domain::credential::Alerts::default().to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// A number as it is compared: without what people put between digits, and nothing that PostgreSQL could not keep.
fn comparable(number: &str) -> Option<String> {
    let text: String = number.chars().filter(|c| !c.is_control() && !matches!(c, ' ' | '-' | '(' | ')' | '.')).take(80).collect();
    (!text.is_empty()).then_some(text)
}
