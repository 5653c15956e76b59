//! Mailboxes and their numbers.

use sqlx::{AnyConnection, AnyPool, any::AnyRow};

use super::{
    ChangeError, Store, StoreError, access, audio,
    database::{self, Columns as _},
    destination, distribution, greeting, message, passcode, shared, subscription,
};
use crate::domain::{
    greeting::Temporary,
    id::{AudioKey, MailboxId},
    mailbox::{Due, Mailbox, MailboxNumber},
    passcode::Passcode,
    preferences::Preferences,
    rules,
    time::{TimeZone, Timestamp},
};

/// A mailbox to be made.
#[derive(Clone)]
pub struct NewMailbox {
    /// The SIP domain; empty for the default tenant.
    pub tenant: String,
    /// Its number.
    pub number: MailboxNumber,
    /// Further numbers that reach it.
    pub aliases: Vec<MailboxNumber>,
    /// The subscriber's name; may be empty.
    pub name: String,
    /// Where mail goes.
    pub email: Option<String>,
    /// Whether messages are mailed.
    pub voice_to_email: bool,
    /// The zone of its stamps.
    pub time_zone: TimeZone,
    /// Prompt language, such as `en`.
    pub language: String,
    /// The first passcode.
    pub passcode: Passcode,
}

/// What to change about a mailbox; `None` leaves it alone.
#[derive(Clone, Default)]
pub struct MailboxChange {
    /// A new number.
    pub number: Option<MailboxNumber>,
    /// All aliases from now on.
    pub aliases: Option<Vec<MailboxNumber>>,
    /// The subscriber's name.
    pub name: Option<String>,
    /// The mail address, or none.
    pub email: Option<Option<String>>,
    /// Voice-to-email on or off. Off gives mailed messages back the life they would have had, and stops mails on their way.
    pub voice_to_email: Option<bool>,
    /// The zone of its stamps.
    pub time_zone: Option<TimeZone>,
    /// Prompt language.
    pub language: Option<String>,
    /// Whether it takes messages and lets its subscriber in.
    pub enabled: Option<bool>,
    /// Whether the first login is done.
    pub enrolled: Option<bool>,
    /// What is preferred otherwise than before.
    pub preferences: Preferences,
    /// Whether all preferences that are not named are forgotten.
    pub forget_preferences: bool,
    /// Whether its subscriber may look after the tenant's mailboxes by phone.
    pub administrator: Option<bool>,
    /// Whether callers are told how to leave a message after a personal greeting, too.
    pub instructions: Option<bool>,
}

/// A part of the list of mailboxes, which is in order of tenant and number.
#[derive(Clone, Debug)]
pub struct MailboxPage {
    /// Tenant and number of the last mailbox already seen.
    pub after: Option<(String, MailboxNumber)>,
    /// How many to list at most.
    pub limit: u32,
}

/// Why a mailbox was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum MailboxError {
    /// Another mailbox of the tenant, or a distribution list, has this number or alias, or it was given twice.
    #[error("the number {0} is already taken")]
    NumberTaken(MailboxNumber),
    /// There is no such mailbox.
    #[error("there is no such mailbox")]
    Gone,
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for MailboxError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// Makes a mailbox.
    ///
    /// # Errors
    ///
    /// [`MailboxError::NumberTaken`] names the first number that another mailbox has.
    pub async fn create_mailbox(&self, new: NewMailbox, now: Timestamp) -> Result<Mailbox, MailboxError> {
        let hash = self.hash(&new.passcode).await?;
        let id = MailboxId::random();
        let mut transaction = self.0.database.begin().await?;
        database::take_turn(&mut transaction, "numbers").await?;
        sqlx::query(
            "INSERT INTO mailboxes (id, tenant, number, name, email, voice_to_email_since, time_zone, language, enabled, enrolled,
                                    passcode_hash, fullness_told, remote_failures, deposit_turn, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, 0, $9, 0, 0, 0, $10) ON CONFLICT DO NOTHING",
        )
        .bind(id.as_str())
        .bind(new.tenant.as_str())
        .bind(new.number.as_str())
        .bind(new.name.as_str())
        .bind(new.email.as_deref())
        .bind(new.voice_to_email.then_some(now.as_millis()))
        .bind(new.time_zone.to_string())
        .bind(new.language.as_str())
        .bind(hash)
        .bind(now.as_millis())
        .execute(&mut *transaction)
        .await
        .and_then(|done| if done.rows_affected() == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) })
        .map_err(|error| match error {
            sqlx::Error::RowNotFound => MailboxError::NumberTaken(new.number.clone()),
            other => other.into(),
        })?;
        insert_numbers(&mut transaction, &id, &new.tenant, &new.number, &new.aliases).await?;
        let mailbox = find(&mut transaction, &id).await?.ok_or(MailboxError::Gone)?;
        transaction.commit().await?;
        Ok(mailbox)
    }

    /// The mailbox that a dialled number reaches: its number or one of its aliases, exactly. What cannot be a number or a tenant
    /// reaches none; PostgreSQL would refuse to compare with some of what can be dialled, such as `%00`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn find_mailbox(&self, tenant: &str, dialled: &str) -> Result<Option<Mailbox>, StoreError> {
        if dialled.parse::<MailboxNumber>().is_err() || tenant.contains('\0') {
            return Ok(None);
        }
        let rows = sqlx::query(
            "SELECT m.*, t.mailbox_id AS temporary, t.ends_at AS temporary_ends_at, a.number AS alias_number,
                    (SELECT COUNT(*) FROM mailbox_owners o WHERE o.owner_id = m.id) AS owns_shared FROM mailbox_numbers n
             JOIN mailboxes m ON m.id = n.mailbox_id
             LEFT JOIN temporary_greetings t ON t.mailbox_id = m.id
             LEFT JOIN mailbox_numbers a ON a.mailbox_id = m.id AND a.alias = 1
             WHERE n.tenant = $1 AND n.number = $2 ORDER BY a.number",
        )
        .bind(tenant)
        .bind(dialled)
        .fetch_all(self.0.database.reader())
        .await?;
        Ok(read_all(&rows)?.pop())
    }

    /// A mailbox by its id.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn mailbox(&self, id: &MailboxId) -> Result<Option<Mailbox>, StoreError> {
        let mut connection = self.0.database.reader().acquire().await.map_err(StoreError::from)?;
        find(&mut connection, id).await
    }

    /// A part of the list of all mailboxes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn list_mailboxes(&self, page: &MailboxPage) -> Result<Vec<Mailbox>, StoreError> {
        // Every tenant and number is greater than nothing.
        let (tenant, number) = page.after.as_ref().map_or(("", ""), |(tenant, number)| (tenant.as_str(), number.as_str()));
        let rows = sqlx::query(
            "SELECT m.*, t.mailbox_id AS temporary, t.ends_at AS temporary_ends_at, a.number AS alias_number,
                    (SELECT COUNT(*) FROM mailbox_owners o WHERE o.owner_id = m.id) AS owns_shared FROM
                 (SELECT * FROM mailboxes WHERE (tenant, number) > ($1, $2) ORDER BY tenant, number LIMIT $3) m
             LEFT JOIN temporary_greetings t ON t.mailbox_id = m.id
             LEFT JOIN mailbox_numbers a ON a.mailbox_id = m.id AND a.alias = 1
             ORDER BY m.tenant, m.number, a.number",
        )
        .bind(tenant)
        .bind(number)
        .bind(i64::from(page.limit))
        .fetch_all(self.0.database.reader())
        .await?;
        read_all(&rows)
    }

    /// Whether any mailbox belongs to this tenant.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn has_mailboxes(&self, tenant: &str) -> Result<bool, StoreError> {
        let found = sqlx::query("SELECT 1 FROM mailboxes WHERE tenant = $1 LIMIT 1").bind(tenant);
        Ok(found.fetch_optional(self.0.database.reader()).await?.is_some())
    }

    /// Changes a mailbox.
    ///
    /// # Errors
    ///
    /// [`MailboxError::Gone`] when there is no such mailbox, [`MailboxError::NumberTaken`] when a new number or alias is another's.
    pub async fn update_mailbox(&self, id: &MailboxId, change: MailboxChange, now: Timestamp) -> Result<Mailbox, MailboxError> {
        let mut transaction = self.0.database.begin().await?;
        if change.number.is_some() || change.aliases.is_some() {
            database::take_turn(&mut transaction, "numbers").await?;
        }
        // Deposits and other changes wait here.
        sqlx::query("UPDATE mailboxes SET deposit_turn = deposit_turn + 1 WHERE id = $1")
            .bind(id.as_str())
            .execute(&mut *transaction)
            .await?;
        let before = find(&mut transaction, id).await?.ok_or(MailboxError::Gone)?;
        let mut after = before.clone();
        if let Some(number) = change.number {
            after.number = number;
        }
        if let Some(aliases) = change.aliases {
            after.aliases = aliases;
        }
        after.name = change.name.unwrap_or(after.name);
        after.email = change.email.unwrap_or(after.email);
        after.time_zone = change.time_zone.unwrap_or(after.time_zone);
        after.language = change.language.unwrap_or(after.language);
        after.enabled = change.enabled.unwrap_or(after.enabled);
        after.due = change.enrolled.map_or(after.due, |enrolled| if enrolled { Due::NOTHING } else { Due::EVERYTHING });
        after.enrolled = change.enrolled.unwrap_or(after.enrolled);
        let kept = if change.forget_preferences { Preferences::default() } else { after.preferences };
        after.preferences = kept.changed(change.preferences);
        after.administrator = change.administrator.unwrap_or(after.administrator);
        after.instructions = change.instructions.unwrap_or(after.instructions);
        match change.voice_to_email {
            Some(true) => after.voice_to_email_since = Some(after.voice_to_email_since.unwrap_or(now)),
            Some(false) => after.voice_to_email_since = None,
            None => {}
        }
        if after.email != before.email {
            after.mail_problem = None;
        }
        sqlx::query(
            "UPDATE mailboxes SET number = $2, name = $3, email = $4, voice_to_email_since = $5, time_zone = $6, language = $7,
                                  enabled = $8, enrolled = $9, mail_problem = $10, preferences = $11, administrator = $12,
                                  passcode_due = $13, name_due = $14, greeting_due = $15, instructions = $16
             WHERE id = $1",
        )
        .bind(id.as_str())
        .bind(after.number.as_str())
        .bind(after.name.as_str())
        .bind(after.email.as_deref())
        .bind(after.voice_to_email_since.map(Timestamp::as_millis))
        .bind(after.time_zone.to_string())
        .bind(after.language.as_str())
        .bind(i64::from(after.enabled))
        .bind(i64::from(after.enrolled))
        .bind(after.mail_problem.as_deref())
        .bind(serde_json::to_string(&after.preferences).map_err(|_| StoreError::Unreadable { what: "preferences" })?)
        .bind(i64::from(after.administrator))
        .bind(i64::from(after.due.passcode))
        .bind(i64::from(after.due.name))
        .bind(i64::from(after.due.greeting))
        .bind(i64::from(after.instructions))
        .execute(&mut *transaction)
        .await
        .map_err(|error| match error.as_database_error() {
            Some(refusal) if refusal.is_unique_violation() => MailboxError::NumberTaken(after.number.clone()),
            _ => error.into(),
        })?;
        if after.number != before.number || after.aliases != before.aliases {
            sqlx::query("DELETE FROM mailbox_numbers WHERE mailbox_id = $1").bind(id.as_str()).execute(&mut *transaction).await?;
            insert_numbers(&mut transaction, id, &after.tenant, &after.number, &after.aliases).await?;
        }
        if before.voice_to_email_since.is_some() && after.voice_to_email_since.is_none() {
            take_back_from_mail(&mut transaction, id, now).await?;
        }
        let mailbox = find(&mut transaction, id).await?.ok_or(MailboxError::Gone)?;
        let changes_lamps = after.enabled != before.enabled || after.number != before.number;
        if changes_lamps {
            subscription::mailbox_changed(&mut transaction, id, now).await?;
        }
        transaction.commit().await?;
        if changes_lamps {
            self.0.lamps_changed.notify_one();
        }
        Ok(mailbox)
    }

    /// Removes a mailbox with everything in it.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Gone`] when there is no such mailbox.
    pub async fn remove_mailbox(&self, id: &MailboxId, now: Timestamp) -> Result<(), ChangeError> {
        let mut transaction = self.0.database.begin().await?;
        let rows =
            sqlx::query("UPDATE mailboxes SET deposit_turn = deposit_turn + 1 WHERE id = $1 RETURNING greeting, spoken_name")
                .bind(id.as_str())
                .fetch_all(&mut *transaction)
                .await?;
        let row = rows.first().ok_or(ChangeError::Gone)?;
        let mut objects = Vec::new();
        objects.extend(row.maybe_text("greeting")?.map(AudioKey::from_stored));
        objects.extend(row.maybe_text("spoken_name")?.map(AudioKey::from_stored));
        let messages = sqlx::query("DELETE FROM messages WHERE mailbox_id = $1 RETURNING audio, original_audio")
            .bind(id.as_str())
            .fetch_all(&mut *transaction)
            .await?;
        for row in &messages {
            objects.extend(audio::keys(row)?);
        }
        objects.extend(greeting::mailbox_removed(&mut transaction, id).await?);
        objects.sort();
        for key in &objects {
            audio::mark_removed(&mut transaction, key, now).await?;
        }
        shared::mailbox_removed(&mut transaction, id, now).await?;
        distribution::mailbox_removed(&mut transaction, id).await?;
        subscription::mailbox_removed(&mut transaction, id, now).await?;
        destination::mailbox_removed(&mut transaction, id).await?;
        for sql in [
            "DELETE FROM outbox WHERE mailbox_id = $1",
            "DELETE FROM credential_uses WHERE mailbox_id = $1",
            "DELETE FROM access_log WHERE mailbox_id = $1",
            "DELETE FROM mailbox_log WHERE mailbox_id = $1",
            "DELETE FROM mailbox_screening WHERE mailbox_id = $1",
            "DELETE FROM blocked_callers WHERE mailbox_id = $1",
            "DELETE FROM registrations WHERE mailbox_id = $1",
            "DELETE FROM lines WHERE mailbox_id = $1",
            "DELETE FROM mailbox_numbers WHERE mailbox_id = $1",
            "DELETE FROM mailboxes WHERE id = $1",
        ] {
            sqlx::query(sql).bind(id.as_str()).execute(&mut *transaction).await?;
        }
        passcode::forget_own_line(&mut transaction, id).await?;
        access::forget(&mut transaction, id).await?;
        transaction.commit().await?;
        self.0.lamps_changed.notify_one();
        self.remove_marked_audio(&objects).await;
        Ok(())
    }
}

/// Switching voice-to-email off: mails on their way are called back, mailed messages get their life back.
async fn take_back_from_mail(connection: &mut AnyConnection, id: &MailboxId, now: Timestamp) -> Result<(), sqlx::Error> {
    let mailed = sqlx::query(
        "SELECT * FROM messages WHERE mailbox_id = $1 AND mailed_at IS NOT NULL AND saved_at IS NULL AND expires_at > $2 ORDER BY id",
    )
    .bind(id.as_str())
    .bind(now.as_millis())
    .fetch_all(&mut *connection)
    .await?;
    for row in &mailed {
        let message = message::read(row)?;
        sqlx::query("UPDATE messages SET expires_at = $2 WHERE id = $1")
            .bind(message.id.as_str())
            .bind(rules::expiry_without_mail(&message).as_millis())
            .execute(&mut *connection)
            .await?;
    }
    // After the messages, as in every transaction that changes both, so that no two ever wait for each other.
    sqlx::query("DELETE FROM outbox WHERE mailbox_id = $1 AND kind = 'message' AND dead_at IS NULL")
        .bind(id.as_str())
        .execute(&mut *connection)
        .await?;
    Ok(())
}

async fn insert_numbers(
    connection: &mut AnyConnection,
    id: &MailboxId,
    tenant: &str,
    number: &MailboxNumber,
    aliases: &[MailboxNumber],
) -> Result<(), MailboxError> {
    let numbers = std::iter::once((number, 0)).chain(aliases.iter().map(|alias| (alias, 1)));
    for (number, alias) in numbers {
        let inserted = sqlx::query(
            "INSERT INTO mailbox_numbers (tenant, number, mailbox_id, alias) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(tenant)
        .bind(number.as_str())
        .bind(id.as_str())
        .bind(alias)
        .execute(&mut *connection)
        .await?;
        if inserted.rows_affected() == 0 {
            return Err(MailboxError::NumberTaken(number.clone()));
        }
    }
    for number in std::iter::once(number).chain(aliases) {
        let lists = sqlx::query("SELECT id FROM distribution_lists WHERE tenant = $1 AND number = $2 AND owner = ''")
            .bind(tenant)
            .bind(number.as_str())
            .fetch_all(&mut *connection)
            .await?;
        // A mailbox is meant before a list: that would never be reached again.
        if !lists.is_empty() {
            return Err(MailboxError::NumberTaken(number.clone()));
        }
    }
    Ok(())
}

pub(super) async fn find(connection: &mut AnyConnection, id: &MailboxId) -> Result<Option<Mailbox>, StoreError> {
    let rows = sqlx::query(
        "SELECT m.*, t.mailbox_id AS temporary, t.ends_at AS temporary_ends_at, a.number AS alias_number,
                    (SELECT COUNT(*) FROM mailbox_owners o WHERE o.owner_id = m.id) AS owns_shared FROM mailboxes m
         LEFT JOIN temporary_greetings t ON t.mailbox_id = m.id
         LEFT JOIN mailbox_numbers a ON a.mailbox_id = m.id AND a.alias = 1
         WHERE m.id = $1 ORDER BY a.number",
    )
    .bind(id.as_str())
    .fetch_all(connection)
    .await?;
    Ok(read_all(&rows)?.pop())
}

/// The mailboxes whose ids `ids` selects for `key`, in order of their numbers.
pub(super) async fn find_in_order(reader: &AnyPool, ids: &str, key: &str) -> Result<Vec<Mailbox>, StoreError> {
    let sql = format!(
        "SELECT m.*, t.mailbox_id AS temporary, t.ends_at AS temporary_ends_at, a.number AS alias_number,
                    (SELECT COUNT(*) FROM mailbox_owners o WHERE o.owner_id = m.id) AS owns_shared FROM mailboxes m
         LEFT JOIN temporary_greetings t ON t.mailbox_id = m.id
         LEFT JOIN mailbox_numbers a ON a.mailbox_id = m.id AND a.alias = 1
         WHERE m.id IN ({ids}) ORDER BY m.tenant, m.number, a.number"
    );
    read_all(&sqlx::query(sqlx::AssertSqlSafe(sql)).bind(key).fetch_all(reader).await?)
}

/// Reads mailboxes from rows that repeat a mailbox for each of its aliases.
fn read_all(rows: &[AnyRow]) -> Result<Vec<Mailbox>, StoreError> {
    let mut mailboxes: Vec<Mailbox> = Vec::new();
    for row in rows {
        let id = row.text("id")?;
        if mailboxes.last().is_none_or(|last| last.id.as_str() != id) {
            mailboxes.push(read(row, MailboxId::from_stored(id))?);
        }
        let alias = row.maybe_text("alias_number")?;
        if let (Some(mailbox), Some(alias)) = (mailboxes.last_mut(), alias) {
            mailbox.aliases.push(parse(&alias, "mailbox_numbers.number")?);
        }
    }
    Ok(mailboxes)
}

fn read(row: &AnyRow, id: MailboxId) -> Result<Mailbox, StoreError> {
    Ok(Mailbox {
        id,
        tenant: row.text("tenant")?,
        number: parse(&row.text("number")?, "mailboxes.number")?,
        aliases: Vec::new(),
        name: row.text("name")?,
        email: row.maybe_text("email")?,
        voice_to_email_since: row.maybe_moment("voice_to_email_since")?,
        time_zone: parse(&row.text("time_zone")?, "mailboxes.time_zone")?,
        language: row.text("language")?,
        enabled: row.flag("enabled")?,
        enrolled: row.flag("enrolled")?,
        due: due(row)?,
        administrator: row.flag("administrator")?,
        owns_shared: row.flag("owns_shared")?,
        instructions: row.flag("instructions")?,
        greeting: row.maybe_text("greeting")?.map(AudioKey::from_stored),
        spoken_name: row.maybe_text("spoken_name")?.map(AudioKey::from_stored),
        temporary: temporary(row)?,
        preferences: preferences(&row.text("preferences")?)?,
        mail_problem: row.maybe_text("mail_problem")?,
        created_at: row.moment("created_at")?,
    })
}

fn preferences(stored: &str) -> Result<Preferences, StoreError> {
    serde_json::from_str(stored).map_err(|_| StoreError::Unreadable { what: "mailboxes.preferences" })
}

fn temporary(row: &AnyRow) -> Result<Option<Temporary>, sqlx::Error> {
    if row.maybe_text("temporary")?.is_none() {
        return Ok(None);
    }
    Ok(Some(Temporary { until: row.maybe_moment("temporary_ends_at")? }))
}

/// What the first login still asks for. Where a server of before these columns asks for everything again, so do we.
fn due(row: &AnyRow) -> Result<Due, StoreError> {
    let due = Due { passcode: row.flag("passcode_due")?, name: row.flag("name_due")?, greeting: row.flag("greeting_due")? };
    Ok(match row.flag("enrolled")? {
        true => Due::NOTHING,
        false if due == Due::NOTHING => Due::EVERYTHING,
        false => due,
    })
}

pub(super) fn parse<T: std::str::FromStr>(text: &str, what: &'static str) -> Result<T, StoreError> {
    text.parse().map_err(|_| StoreError::Unreadable { what })
}
