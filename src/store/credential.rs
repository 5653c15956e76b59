//! Uses of credentials: what is remembered of them, the access log, and the alerts that go out by mail.

use std::net::IpAddr;

use sqlx::AnyConnection;

use super::{
    Store, StoreError,
    database::Columns as _,
    outbox::{self, Errand},
    screening::ensure_row,
};
use crate::domain::{
    credential::{self, Alerts, Notice},
    id::{CallId, MailboxId},
    time::Timestamp,
};

/// How long the same notice about the same address counts as one that is repeated.
const SAME: std::time::Duration = std::time::Duration::from_hours(1);

/// A use of a mailbox's right credentials.
#[derive(Clone, Debug)]
pub struct CredentialUse<'a> {
    /// Whose they are.
    pub mailbox: &'a MailboxId,
    /// Where they came from.
    pub address: IpAddr,
    /// The software, by its own word.
    pub agent: Option<&'a str>,
    /// Whether the access list lets this address in.
    pub admitted: bool,
}

/// A row of the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLogEntry {
    /// Whose credentials it is about.
    pub mailbox: MailboxId,
    /// When it was noticed first.
    pub at: Timestamp,
    /// What.
    pub notice: Notice,
    /// The address, or the /64 network of an IPv6 address.
    pub address: String,
    /// The software, by its own word; may be empty.
    pub agent: String,
    /// How often it happened again within the hour.
    pub repeated: u32,
    /// When it last did.
    pub last_at: Timestamp,
    /// Whether a mail went out for it.
    pub mailed: bool,
}

impl Store {
    /// Remembers a use of right credentials; writes the access log and an alert if it is one to be noticed. A use like the last ones
    /// costs one look at the database.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn note_credential_use(&self, used: &CredentialUse<'_>, now: Timestamp) -> Result<Option<Notice>, StoreError> {
        let (place, agent) = (credential::place(used.address), credential::agent(used.agent));
        let alerts = self.alerts(used.mailbox).await?;
        let mut reader = self.0.database.reader().acquire().await.map_err(StoreError::from)?;
        let address_is_new = !is_known(&mut reader, used.mailbox, "address", &place).await?;
        let agent_is_new = !is_known(&mut reader, used.mailbox, "agent", &agent).await?;
        drop(reader);
        if used.admitted && !address_is_new && !agent_is_new {
            return Ok(None);
        }
        let notice = credential::notice(alerts, used.admitted, address_is_new, agent_is_new);
        let mut transaction = self.0.database.begin().await?;
        if used.admitted {
            // What a blocked address uses is not known from then on.
            remember(&mut transaction, used.mailbox, "address", &place, now).await?;
            remember(&mut transaction, used.mailbox, "agent", &agent, now).await?;
        }
        let mut mails = false;
        if let Some(notice) = notice
            && !is_repeated(&mut transaction, used.mailbox, notice, &place, now).await?
        {
            mails = alert(&mut transaction, used.mailbox, notice, &place, &agent, now).await?;
            write_log(&mut transaction, used.mailbox, notice, &place, &agent, mails, now).await?;
        }
        transaction.commit().await?;
        if mails {
            self.0.outbox_grew.notify_one();
        }
        Ok(notice)
    }

    /// Which uses of its credentials a mailbox is alerted to.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], or [`StoreError::Unreadable`].
    pub async fn alerts(&self, mailbox: &MailboxId) -> Result<Alerts, StoreError> {
        let rows = sqlx::query("SELECT alerts FROM mailbox_screening WHERE mailbox_id = $1")
            .bind(mailbox.as_str())
            .fetch_all(self.0.database.reader())
            .await?;
        let Some(row) = rows.first() else { return Ok(Alerts::default()) };
        row.text("alerts")?.parse().map_err(|_| StoreError::Unreadable { what: "mailbox_screening.alerts" })
    }

    /// Sets which uses of its credentials a mailbox is alerted to.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn set_alerts(&self, mailbox: &MailboxId, alerts: Alerts) -> Result<(), StoreError> {
        let mut transaction = self.0.database.begin().await?;
        ensure_row(&mut transaction, mailbox).await?;
        sqlx::query("UPDATE mailbox_screening SET alerts = $2 WHERE mailbox_id = $1")
            .bind(mailbox.as_str())
            .bind(alerts.to_string())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The access log, latest first: of one mailbox or of all.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], or [`StoreError::Unreadable`].
    pub async fn access_log(&self, mailbox: Option<&MailboxId>, limit: u32) -> Result<Vec<AccessLogEntry>, StoreError> {
        let rows = sqlx::query("SELECT * FROM access_log WHERE ($1 = '' OR mailbox_id = $1) ORDER BY at DESC, id DESC LIMIT $2")
            .bind(mailbox.map_or("", |mailbox| mailbox.as_str()))
            .bind(i64::from(limit))
            .fetch_all(self.0.database.reader())
            .await?;
        rows.iter()
            .map(|row| {
                let what = row.text("what")?;
                Ok(AccessLogEntry {
                    mailbox: MailboxId::from_stored(row.text("mailbox_id")?),
                    at: row.moment("at")?,
                    notice: Notice::ALL
                        .into_iter()
                        .find(|notice| notice.to_string() == what)
                        .ok_or(StoreError::Unreadable { what: "access_log.what" })?,
                    address: row.text("address")?,
                    agent: row.maybe_text("agent")?.unwrap_or_default(),
                    repeated: row.count("repeated")?,
                    last_at: row.moment("last_at")?,
                    mailed: row.flag("told")?,
                })
            })
            .collect()
    }
}

pub(super) async fn is_known(
    connection: &mut AnyConnection,
    mailbox: &MailboxId,
    kind: &str,
    value: &str,
) -> Result<bool, sqlx::Error> {
    let rows = sqlx::query("SELECT last_at FROM credential_uses WHERE mailbox_id = $1 AND kind = $2 AND value = $3")
        .bind(mailbox.as_str())
        .bind(kind)
        .bind(value)
        .fetch_all(connection)
        .await?;
    Ok(!rows.is_empty())
}

/// Remembers an address or an agent, and forgets the oldest if there are too many.
pub(super) async fn remember(
    connection: &mut AnyConnection,
    mailbox: &MailboxId,
    kind: &str,
    value: &str,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO credential_uses (mailbox_id, kind, value, first_at, last_at) VALUES ($1, $2, $3, $4, $4)
         ON CONFLICT (mailbox_id, kind, value) DO UPDATE SET last_at = $4",
    )
    .bind(mailbox.as_str())
    .bind(kind)
    .bind(value)
    .bind(now.as_millis())
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "DELETE FROM credential_uses WHERE mailbox_id = $1 AND kind = $2 AND value NOT IN
             (SELECT value FROM credential_uses WHERE mailbox_id = $1 AND kind = $2 ORDER BY last_at DESC, value LIMIT $3)",
    )
    .bind(mailbox.as_str())
    .bind(kind)
    .bind(i64::from(credential::MOST_KNOWN))
    .execute(connection)
    .await?;
    Ok(())
}

/// Counts a notice with one of the last hour that is the same, if there is one.
async fn is_repeated(
    connection: &mut AnyConnection,
    mailbox: &MailboxId,
    notice: Notice,
    place: &str,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE access_log SET repeated = repeated + 1, last_at = $5
         WHERE mailbox_id = $1 AND what = $2 AND address = $3 AND at > $4",
    )
    .bind(mailbox.as_str())
    .bind(notice.to_string())
    .bind(place)
    .bind(now.before(SAME).as_millis())
    .bind(now.as_millis())
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Puts an alert into the outbox if the mailbox has an address and has not had too many. Answers whether it did.
async fn alert(
    connection: &mut AnyConnection,
    mailbox: &MailboxId,
    notice: Notice,
    place: &str,
    agent: &str,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let Some(last) = allowance(connection, mailbox, now).await? else { return Ok(false) };
    let errand = Errand::Credential { notice, address: place.to_owned(), agent: agent.to_owned(), last };
    outbox::insert(connection, mailbox, &errand, now).await?;
    Ok(true)
}

/// Counts one more alert; whether it is the last that is mailed for now, or nothing if none is: the mailbox has no address, or has had
/// too many.
pub(super) async fn allowance(
    connection: &mut AnyConnection,
    mailbox: &MailboxId,
    now: Timestamp,
) -> Result<Option<bool>, sqlx::Error> {
    let rows =
        sqlx::query("SELECT email FROM mailboxes WHERE id = $1").bind(mailbox.as_str()).fetch_all(&mut *connection).await?;
    if rows.first().map(|row| row.maybe_text("email")).transpose()?.flatten().is_none() {
        return Ok(None);
    }
    ensure_row(connection, mailbox).await?;
    let row = sqlx::query("SELECT alerts_mailed, alerts_since FROM mailbox_screening WHERE mailbox_id = $1")
        .bind(mailbox.as_str())
        .fetch_one(&mut *connection)
        .await?;
    let (mails, mailed, since) = credential::mails_alert(row.count("alerts_mailed")?, row.moment("alerts_since")?, now);
    sqlx::query("UPDATE mailbox_screening SET alerts_mailed = $2, alerts_since = $3 WHERE mailbox_id = $1")
        .bind(mailbox.as_str())
        .bind(i64::from(mailed))
        .bind(since.as_millis())
        .execute(connection)
        .await?;
    Ok(mails.then_some(mailed >= credential::MOST_ALERTS))
}

async fn write_log(
    connection: &mut AnyConnection,
    mailbox: &MailboxId,
    notice: Notice,
    place: &str,
    agent: &str,
    told: bool,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO access_log (id, mailbox_id, at, what, address, agent, repeated, last_at, told)
         VALUES ($1, $2, $3, $4, $5, $6, 0, $3, $7)",
    )
    .bind(CallId::random().as_str())
    .bind(mailbox.as_str())
    .bind(now.as_millis())
    .bind(notice.to_string())
    .bind(place)
    .bind(agent)
    .bind(i64::from(told))
    .execute(connection)
    .await?;
    Ok(())
}
