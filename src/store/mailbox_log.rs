//! The log of each mailbox: who opened it or tried to, who changed its passcode or its greetings, and what its subscriber is told
//! of that by mail.

use sqlx::{AnyConnection, any::AnyRow};

use super::{
    Store, StoreError, credential,
    database::Columns as _,
    outbox::{self, Errand},
};
use crate::domain::{
    id::{CallId, MailboxId},
    mailbox_log::{self, Channel, Event, LastAccess, MOST_ENTRIES, Origin},
    time::Timestamp,
};

/// How long the same failed attempt from the same source counts as one that is repeated.
const SAME: std::time::Duration = std::time::Duration::from_hours(1);

/// A row of a mailbox's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// When it happened, first.
    pub at: Timestamp,
    /// What.
    pub event: Event,
    /// From where.
    pub by: Origin,
    /// The call, if it was one.
    pub call: Option<CallId>,
    /// How often it happened again within the hour.
    pub repeated: u32,
    /// When it last did.
    pub last_at: Timestamp,
    /// Whether a mail went out for it.
    pub mailed: bool,
}

impl Store {
    /// Notes that a mailbox was opened. A source that was not seen before is told by mail, unless the mailbox does not want that or
    /// was told of too many.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn note_login(&self, mailbox: &MailboxId, by: &Origin, call: &CallId, now: Timestamp) -> Result<(), StoreError> {
        let tells = mailbox_log::tells_new_source(self.alerts(mailbox).await?);
        let mut transaction = self.0.database.begin().await?;
        let mut mails = false;
        if let Some(source) = by.source() {
            let is_new = !credential::is_known(&mut transaction, mailbox, "login", &source).await?;
            credential::remember(&mut transaction, mailbox, "login", &source, now).await?;
            if is_new
                && tells
                && let Some(last) = credential::allowance(&mut transaction, mailbox, now).await?
            {
                let errand = Errand::Noticed { event: Event::LoggedIn, by: by.clone(), last };
                outbox::insert(&mut transaction, mailbox, &errand, now).await?;
                mails = true;
            }
        }
        write(&mut transaction, mailbox, &Event::LoggedIn, by, Some(call), mails, now).await?;
        transaction.commit().await?;
        if mails {
            self.0.outbox_grew.notify_one();
        }
        Ok(())
    }

    /// Notes an attempt that failed; the same from the same source within an hour is counted together.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn note_failure(
        &self,
        mailbox: &MailboxId,
        failure: &Event,
        by: &Origin,
        call: &CallId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.0.database.begin().await?;
        // What was before the latest login is not counted with what came after it: a subscriber is told what came since.
        let repeated = sqlx::query(
            "UPDATE mailbox_log SET repeated = repeated + 1, last_at = $7
             WHERE mailbox_id = $1 AND what = $2 AND channel = $3 AND COALESCE(number, '') = $4 AND COALESCE(address, '') = $5
               AND at > $6
               AND at > COALESCE((SELECT MAX(at) FROM mailbox_log WHERE mailbox_id = $1 AND what = 'logged_in'), 0)",
        )
        .bind(mailbox.as_str())
        .bind(failure.what())
        .bind(by.channel.as_str())
        .bind(by.number.as_deref().unwrap_or_default())
        .bind(by.address.as_deref().unwrap_or_default())
        .bind(now.before(SAME).as_millis())
        .bind(now.as_millis())
        .execute(&mut *transaction)
        .await?;
        if repeated.rows_affected() == 0 {
            write(&mut transaction, mailbox, failure, by, Some(call), false, now).await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// When a mailbox was last opened, by another call than `this`, and how many attempts have failed since.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], or [`StoreError::Unreadable`].
    pub async fn last_access(&self, mailbox: &MailboxId, this: &CallId) -> Result<LastAccess, StoreError> {
        let mut connection = self.0.database.reader().acquire().await.map_err(StoreError::from)?;
        let row = sqlx::query(
            "SELECT * FROM mailbox_log WHERE mailbox_id = $1 AND what = 'logged_in' AND COALESCE(call_id, '') <> $2
             ORDER BY at DESC, id DESC LIMIT 1",
        )
        .bind(mailbox.as_str())
        .bind(this.as_str())
        .fetch_optional(&mut *connection)
        .await?;
        let opened = row.map(|row| Ok::<_, StoreError>((row.moment("at")?, origin(&row)?))).transpose()?;
        let failures = sqlx::query(
            "SELECT CAST(COALESCE(SUM(repeated + 1), 0) AS BIGINT) AS failures FROM mailbox_log
             WHERE mailbox_id = $1 AND what IN ('wrong_passcode', 'locked_out') AND at > $2",
        )
        .bind(mailbox.as_str())
        .bind(opened.as_ref().map_or(0, |(at, _)| at.as_millis()))
        .fetch_one(&mut *connection)
        .await?
        .count("failures")?;
        Ok(LastAccess { opened, failures })
    }

    /// A mailbox's log, latest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], or [`StoreError::Unreadable`].
    pub async fn mailbox_log(&self, mailbox: &MailboxId, limit: u32) -> Result<Vec<LogEntry>, StoreError> {
        let rows = sqlx::query("SELECT * FROM mailbox_log WHERE mailbox_id = $1 ORDER BY at DESC, id DESC LIMIT $2")
            .bind(mailbox.as_str())
            .bind(i64::from(limit))
            .fetch_all(self.0.database.reader())
            .await?;
        rows.iter()
            .map(|row| {
                Ok(LogEntry {
                    at: row.moment("at")?,
                    event: serde_json::from_str(&row.text("event")?)
                        .map_err(|_| StoreError::Unreadable { what: "mailbox_log.event" })?,
                    by: origin(row)?,
                    call: row.maybe_text("call_id")?.map(CallId::from_stored),
                    repeated: row.count("repeated")?,
                    last_at: row.moment("last_at")?,
                    mailed: row.flag("told")?,
                })
            })
            .collect()
    }
}

/// Writes an entry, and a mail about it if `mails` and the mailbox has an address. Answers whether a mail will go out: then whoever
/// commits wakes delivery.
pub(super) async fn note(
    connection: &mut AnyConnection,
    mailbox: &MailboxId,
    event: &Event,
    by: &Origin,
    mails: bool,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let mails = mails && has_address(connection, mailbox).await?;
    if mails {
        let errand = Errand::Noticed { event: event.clone(), by: by.clone(), last: false };
        outbox::insert(connection, mailbox, &errand, now).await?;
    }
    write(connection, mailbox, event, by, None, mails, now).await?;
    Ok(mails)
}

/// Forgets what is older than `moment`: here, and of the passwords of lines.
pub(super) async fn prune(connection: &mut AnyConnection, moment: Timestamp) -> Result<(), sqlx::Error> {
    for sql in ["DELETE FROM mailbox_log WHERE last_at < $1", "DELETE FROM access_log WHERE last_at < $1"] {
        sqlx::query(sql).bind(moment.as_millis()).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn has_address(connection: &mut AnyConnection, mailbox: &MailboxId) -> Result<bool, sqlx::Error> {
    let row = sqlx::query("SELECT email FROM mailboxes WHERE id = $1").bind(mailbox.as_str()).fetch_optional(connection).await?;
    Ok(row.map(|row| row.maybe_text("email")).transpose()?.flatten().is_some())
}

async fn write(
    connection: &mut AnyConnection,
    mailbox: &MailboxId,
    event: &Event,
    by: &Origin,
    call: Option<&CallId>,
    told: bool,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let json = serde_json::to_string(event).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    sqlx::query(
        "INSERT INTO mailbox_log (id, mailbox_id, at, what, event, channel, number, address, call_id, repeated, last_at, told)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $3, $10)",
    )
    .bind(CallId::random().as_str())
    .bind(mailbox.as_str())
    .bind(now.as_millis())
    .bind(event.what())
    .bind(json)
    .bind(by.channel.as_str())
    .bind(by.number.as_deref())
    .bind(by.address.as_deref())
    .bind(call.map(CallId::as_str))
    .bind(i64::from(told))
    .execute(&mut *connection)
    .await?;
    // Strangers can cause failures only, which push nothing else out.
    let failures = if event.is_failure() { "IN" } else { "NOT IN" };
    let sql = format!(
        "DELETE FROM mailbox_log WHERE mailbox_id = $1 AND what {failures} ('wrong_passcode', 'locked_out') AND id NOT IN
             (SELECT id FROM mailbox_log WHERE mailbox_id = $1 AND what {failures} ('wrong_passcode', 'locked_out')
              ORDER BY at DESC, id DESC LIMIT $2)"
    );
    sqlx::query(sqlx::AssertSqlSafe(sql)).bind(mailbox.as_str()).bind(i64::from(MOST_ENTRIES)).execute(connection).await?;
    Ok(())
}

fn origin(row: &AnyRow) -> Result<Origin, StoreError> {
    let channel = row.text("channel")?;
    let channel = Channel::ALL.into_iter().find(|known| known.as_str() == channel);
    Ok(Origin {
        channel: channel.ok_or(StoreError::Unreadable { what: "mailbox_log.channel" })?,
        number: row.maybe_text("number")?,
        address: row.maybe_text("address")?,
    })
}
