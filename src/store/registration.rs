//! Registrations: where the phones of a line can be reached, shared by all nodes and kept across restarts.

use std::fmt;

use sqlx::{AnyConnection, any::AnyRow};

use super::{Store, StoreError, database::Columns as _, subscription};
use crate::domain::{id::MailboxId, rules, time::Timestamp};

/// A contact of a line, and how it is reached.
#[derive(Clone, PartialEq, Eq)]
pub struct Registration {
    /// The contact's URI as it was given.
    pub contact: String,
    /// The proxies on the way to it (RFC 3327), nearest first, as they were given.
    pub path: Vec<String>,
    /// How much it is preferred (`q`), in thousandths.
    pub preference: Option<u16>,
    /// The software it runs.
    pub user_agent: Option<String>,
    /// The way its REGISTER came.
    pub way: Way,
    /// When it was registered, or refreshed.
    pub registered_at: Timestamp,
    /// When it is not reachable any more.
    pub expires_at: Timestamp,
}

/// Logs must not carry numbers.
impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("way", &self.way).field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// A registered phone among those of all lines.
#[derive(Clone, PartialEq, Eq)]
pub struct RegisteredPhone {
    /// Whose it is.
    pub mailbox: MailboxId,
    /// The mailbox's tenant.
    pub tenant: String,
    /// The mailbox's number.
    pub number: String,
    key: String,
    /// The contact's URI as it was given.
    pub contact: String,
    /// The socket address that its REGISTER came from.
    pub remote: String,
}

/// A transport, two socket addresses and a connection, as text: what they mean is for those who know SIP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// What carried it.
    pub transport: String,
    /// The phone's address, or its router's.
    pub remote: String,
    /// Our address.
    pub local: String,
    /// The connection, among all of all nodes.
    pub connection: Option<String>,
    /// Whether the phone itself is at the other end, and no proxy.
    pub is_direct: bool,
}

/// What a REGISTER wants.
#[derive(Clone)]
pub struct RegistrationChange {
    /// Call-ID and CSeq: a request that is not later than what is known of the same Call-ID changes nothing.
    pub call_id: String,
    /// See `call_id`.
    pub sequence: u32,
    /// The contacts it is about.
    pub contacts: ContactChange,
    /// See [`Registration`].
    pub path: Vec<String>,
    /// See [`Registration`].
    pub user_agent: Option<String>,
    /// See [`Registration`].
    pub way: Way,
}

/// What happens to the contacts of a line.
#[derive(Clone)]
pub enum ContactChange {
    /// All of them go.
    RemoveAll,
    /// Some come, stay or go. None at all only asks which there are.
    Each(Vec<NewContact>),
}

/// A contact to be added, refreshed or removed.
#[derive(Clone)]
pub struct NewContact {
    /// The URI in the form it is compared in.
    pub key: String,
    /// The URI as it was given.
    pub contact: String,
    /// See [`Registration`].
    pub preference: Option<u16>,
    /// When it ends; `None` removes it now.
    pub expires_at: Option<Timestamp>,
}

/// Why nothing was registered.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// A later request of the same Call-ID has been seen.
    #[error("a later registration came first")]
    OutOfOrder,
    /// The line would have more contacts than it may.
    #[error("the line has too many contacts")]
    TooMany,
    /// There is no such line any more.
    #[error("there is no such line any more")]
    Gone,
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for RegistrationError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// Does what a REGISTER wants, all of it or nothing, and answers all contacts of the line.
    ///
    /// # Errors
    ///
    /// See [`RegistrationError`].
    pub async fn register(
        &self,
        mailbox: &MailboxId,
        change: &RegistrationChange,
        now: Timestamp,
    ) -> Result<Vec<Registration>, RegistrationError> {
        if matches!(&change.contacts, ContactChange::Each(contacts) if contacts.is_empty()) {
            return Ok(self.registrations(mailbox, now).await?);
        }
        let mut transaction = self.0.database.begin().await?;
        let turn = sqlx::query("UPDATE lines SET turn = turn + 1 WHERE mailbox_id = $1")
            .bind(mailbox.as_str())
            .execute(&mut *transaction)
            .await?;
        if turn.rows_affected() == 0 {
            return Err(RegistrationError::Gone);
        }
        sqlx::query("DELETE FROM registrations WHERE mailbox_id = $1 AND expires_at <= $2")
            .bind(mailbox.as_str())
            .bind(now.as_millis())
            .execute(&mut *transaction)
            .await?;
        let known = sqlx::query("SELECT contact_key, call_id, sequence FROM registrations WHERE mailbox_id = $1")
            .bind(mailbox.as_str())
            .fetch_all(&mut *transaction)
            .await?;
        for row in &known {
            let key = row.text("contact_key")?;
            let is_meant = match &change.contacts {
                ContactChange::RemoveAll => true,
                ContactChange::Each(contacts) => contacts.iter().any(|contact| contact.key == key),
            };
            if is_meant && row.text("call_id")? == change.call_id && row.integer("sequence")? >= i64::from(change.sequence) {
                return Err(RegistrationError::OutOfOrder);
            }
        }
        match &change.contacts {
            ContactChange::RemoveAll => {
                sqlx::query("DELETE FROM registrations WHERE mailbox_id = $1")
                    .bind(mailbox.as_str())
                    .execute(&mut *transaction)
                    .await?;
            }
            ContactChange::Each(contacts) => {
                for contact in contacts {
                    set_contact(&mut transaction, mailbox, contact, change, now).await?;
                }
            }
        }
        let registrations = read_all(&mut transaction, mailbox, now).await?;
        if !rules::admits_contacts(registrations.len()) {
            return Err(RegistrationError::TooMany);
        }
        subscription::phones_registered(&mut transaction, mailbox, &self.0.node, now).await?;
        transaction.commit().await?;
        self.0.lamps_changed.notify_one();
        Ok(registrations)
    }

    /// All contacts of a mailbox's line, the preferred ones first, then the latest.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn registrations(&self, mailbox: &MailboxId, now: Timestamp) -> Result<Vec<Registration>, StoreError> {
        let mut connection = self.0.database.reader().acquire().await?;
        Ok(read_all(&mut connection, mailbox, now).await?)
    }

    /// Up to `limit` registrations of all lines, in an order of their own; with `after`, those that come after it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn registered_phones(
        &self,
        after: Option<&RegisteredPhone>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Vec<RegisteredPhone>, StoreError> {
        let (mailbox, key) = after.map_or(("", ""), |phone| (phone.mailbox.as_str(), phone.key.as_str()));
        let rows = sqlx::query(
            "SELECT r.mailbox_id, r.contact_key, r.contact, r.remote, m.tenant, m.number
             FROM registrations r JOIN mailboxes m ON m.id = r.mailbox_id
             WHERE r.expires_at > $1 AND (r.mailbox_id, r.contact_key) > ($2, $3)
             ORDER BY r.mailbox_id, r.contact_key LIMIT $4",
        )
        .bind(now.as_millis())
        .bind(mailbox)
        .bind(key)
        .bind(i64::from(limit))
        .fetch_all(self.0.database.reader())
        .await?;
        let phone = |row: &AnyRow| {
            Ok(RegisteredPhone {
                mailbox: MailboxId::from_stored(row.text("mailbox_id")?),
                tenant: row.text("tenant")?,
                number: row.text("number")?,
                key: row.text("contact_key")?,
                contact: row.text("contact")?,
                remote: row.text("remote")?,
            })
        };
        rows.iter().map(phone).collect()
    }

    /// Forgets one contact of a line, which must not be there any more; whether it was there. Whoever subscribes to the mailbox's counts
    /// must show anew that they may: the phone behind that contact is among them, if it does.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn drop_registration(&self, mailbox: &MailboxId, contact: &str, now: Timestamp) -> Result<bool, StoreError> {
        let mut transaction = self.0.database.begin().await?;
        let dropped = sqlx::query("DELETE FROM registrations WHERE mailbox_id = $1 AND contact = $2")
            .bind(mailbox.as_str())
            .bind(contact)
            .execute(&mut *transaction)
            .await?;
        let dropped = dropped.rows_affected() > 0;
        if dropped {
            subscription::line_changed(&mut transaction, mailbox, now).await?;
        }
        transaction.commit().await?;
        Ok(dropped)
    }
}

async fn set_contact(
    connection: &mut AnyConnection,
    mailbox: &MailboxId,
    contact: &NewContact,
    change: &RegistrationChange,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let Some(expires_at) = contact.expires_at else {
        sqlx::query("DELETE FROM registrations WHERE mailbox_id = $1 AND contact_key = $2")
            .bind(mailbox.as_str())
            .bind(contact.key.as_str())
            .execute(connection)
            .await?;
        return Ok(());
    };
    sqlx::query(
        "INSERT INTO registrations (mailbox_id, contact_key, contact, path, preference, call_id, sequence, user_agent, transport,
                                    remote, local, connection, direct, registered_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
         ON CONFLICT (mailbox_id, contact_key) DO UPDATE SET contact = excluded.contact, path = excluded.path,
             preference = excluded.preference, call_id = excluded.call_id, sequence = excluded.sequence,
             user_agent = excluded.user_agent, transport = excluded.transport, remote = excluded.remote,
             local = excluded.local, connection = excluded.connection, direct = excluded.direct,
             registered_at = excluded.registered_at,
             expires_at = excluded.expires_at",
    )
    .bind(mailbox.as_str())
    .bind(contact.key.as_str())
    .bind(contact.contact.as_str())
    .bind(change.path.join("\n"))
    .bind(contact.preference.map(i64::from))
    .bind(change.call_id.as_str())
    .bind(i64::from(change.sequence))
    .bind(change.user_agent.as_deref())
    .bind(change.way.transport.as_str())
    .bind(change.way.remote.as_str())
    .bind(change.way.local.as_str())
    .bind(change.way.connection.as_deref())
    .bind(i64::from(change.way.is_direct))
    .bind(now.as_millis())
    .bind(expires_at.as_millis())
    .execute(connection)
    .await?;
    Ok(())
}

async fn read_all(connection: &mut AnyConnection, mailbox: &MailboxId, now: Timestamp) -> Result<Vec<Registration>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT * FROM registrations WHERE mailbox_id = $1 AND expires_at > $2
         ORDER BY COALESCE(preference, 1000) DESC, registered_at DESC, contact_key",
    )
    .bind(mailbox.as_str())
    .bind(now.as_millis())
    .fetch_all(connection)
    .await?;
    rows.iter().map(read).collect()
}

fn read(row: &AnyRow) -> Result<Registration, sqlx::Error> {
    Ok(Registration {
        contact: row.text("contact")?,
        path: row.text("path")?.lines().map(ToOwned::to_owned).collect(),
        preference: row.maybe_integer("preference")?.and_then(|q| u16::try_from(q).ok()),
        user_agent: row.maybe_text("user_agent")?,
        way: Way {
            transport: row.text("transport")?,
            remote: row.text("remote")?,
            local: row.text("local")?,
            connection: row.maybe_text("connection")?,
            is_direct: row.flag("direct")?,
        },
        registered_at: row.moment("registered_at")?,
        expires_at: row.moment("expires_at")?,
    })
}
