//! Where callers are handed on to: a mailbox's operator, where its subscriber may call back, and how often it did.

use sqlx::{AnyConnection, any::AnyRow};

use super::{
    Store, StoreError,
    database::{self, Columns as _},
};
use crate::domain::{
    access::Scope,
    destination::{Calls, Destinations, E164, Lists, Prefix, Refusal},
    id::{CallId, MailboxId, MessageId},
    mailbox::Mailbox,
    rules,
    time::Timestamp,
};

/// What a mailbox may do with callers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransferSettings {
    /// Whom callers reach who ask for an operator.
    pub operator: Option<String>,
    /// Whether the subscriber may call back.
    pub call_back: bool,
}

/// What to change about it; `None` leaves it alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransferChange {
    /// The operator, or none.
    pub operator: Option<Option<String>>,
    /// Whether the subscriber may call back.
    pub call_back: Option<bool>,
}

/// A list, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopedDestinations {
    /// Whose it is.
    pub scope: Scope,
    /// The list.
    pub list: Destinations,
}

/// Who left a message, as far as calling back is concerned.
#[derive(Clone, PartialEq, Eq)]
pub struct MessageCaller {
    /// The number, unless it was withheld.
    pub number: Option<String>,
    /// Whether somebody vouched for it who was believed.
    pub is_verified: bool,
}

/// What a call back is judged by, beside what the call itself tells.
#[derive(Clone, Debug, Default)]
pub struct CallBackState {
    /// Whether the mailbox may.
    pub mailbox_allows: bool,
    /// The lists; that of the service is not kept here.
    pub lists: Lists,
    /// What the mailbox called back so far.
    pub of_mailbox: Calls,
    /// What all mailboxes together called back so far.
    pub of_service: Calls,
}

impl Store {
    /// What a mailbox may do with callers.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn transfer_settings(&self, mailbox: &MailboxId) -> Result<TransferSettings, StoreError> {
        let mut connection = self.0.database.reader().acquire().await.map_err(StoreError::from)?;
        Ok(settings(&mut connection, mailbox).await?)
    }

    /// Changes what a mailbox may do with callers.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], also when there is no such mailbox.
    pub async fn change_transfer_settings(&self, mailbox: &MailboxId, change: TransferChange) -> Result<(), StoreError> {
        let mut transaction = self.0.database.begin().await?;
        // Two who change it take turns at the mailbox: each changes what the other has left.
        sqlx::query("UPDATE mailboxes SET deposit_turn = deposit_turn + 1 WHERE id = $1")
            .bind(mailbox.as_str())
            .execute(&mut *transaction)
            .await?;
        let before = settings(&mut transaction, mailbox).await?;
        sqlx::query(
            "INSERT INTO mailbox_transfers (mailbox_id, operator, call_back) VALUES ($1, $2, $3)
             ON CONFLICT (mailbox_id) DO UPDATE SET operator = $2, call_back = $3",
        )
        .bind(mailbox.as_str())
        .bind(change.operator.unwrap_or(before.operator))
        .bind(i64::from(change.call_back.unwrap_or(before.call_back)))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The list of a tenant or a mailbox. That of the whole service is in the configuration, and empty here.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], or [`StoreError::Unreadable`].
    pub async fn destinations(&self, scope: &Scope) -> Result<Destinations, StoreError> {
        let mut connection = self.0.database.reader().acquire().await.map_err(StoreError::from)?;
        list(&mut connection, scope).await
    }

    /// Every list that has an entry: of tenants, then of mailboxes.
    ///
    /// # Errors
    ///
    /// As [`Self::destinations`].
    pub async fn all_destinations(&self) -> Result<Vec<ScopedDestinations>, StoreError> {
        let rows = sqlx::query("SELECT DISTINCT scope, subject FROM destinations ORDER BY scope DESC, subject")
            .fetch_all(self.0.database.reader())
            .await?;
        let mut lists = Vec::with_capacity(rows.len());
        for row in &rows {
            let subject = row.text("subject")?;
            let scope = match row.text("scope")?.as_str() {
                "tenant" => Scope::Tenant(subject),
                "mailbox" => Scope::Mailbox(MailboxId::from_stored(subject)),
                _ => return Err(StoreError::Unreadable { what: "destinations.scope" }),
            };
            let list = self.destinations(&scope).await?;
            lists.push(ScopedDestinations { scope, list });
        }
        Ok(lists)
    }

    /// Changes a list by `change`, which may refuse. Changes take turns, so that none undoes another.
    ///
    /// # Errors
    ///
    /// The refusal inside, then nothing is changed; [`StoreError::Database`], or [`StoreError::Unreadable`].
    pub async fn change_destinations<E>(
        &self,
        scope: &Scope,
        now: Timestamp,
        change: impl FnOnce(Destinations) -> Result<Destinations, E>,
    ) -> Result<Result<(), E>, StoreError> {
        let mut transaction = self.0.database.begin().await?;
        database::take_turn(&mut transaction, "destinations").await?;
        let list = match change(list(&mut transaction, scope).await?) {
            Ok(list) => list,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Some((scope, subject)) = stored_scope(scope) else { return Ok(Ok(())) };
        sqlx::query("DELETE FROM destinations WHERE scope = $1 AND subject = $2")
            .bind(scope)
            .bind(subject)
            .execute(&mut *transaction)
            .await?;
        for (prefix, is_allowed) in list.entries() {
            sqlx::query("INSERT INTO destinations (scope, subject, prefix, allowed, changed_at) VALUES ($1, $2, $3, $4, $5)")
                .bind(scope)
                .bind(subject)
                .bind(prefix.to_string())
                .bind(i64::from(is_allowed))
                .bind(now.as_millis())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(Ok(()))
    }

    /// Who left a message of a mailbox, if it is still there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn message_caller(
        &self,
        mailbox: &MailboxId,
        message: &MessageId,
        now: Timestamp,
    ) -> Result<Option<MessageCaller>, StoreError> {
        let rows = sqlx::query(
            "SELECT caller_number, caller_verified FROM messages WHERE id = $1 AND mailbox_id = $2 AND expires_at > $3",
        )
        .bind(message.as_str())
        .bind(mailbox.as_str())
        .bind(now.as_millis())
        .fetch_all(self.0.database.reader())
        .await?;
        let read = |row: &AnyRow| -> Result<_, sqlx::Error> {
            Ok(MessageCaller { number: row.maybe_text("caller_number")?, is_verified: row.flag("caller_verified")? })
        };
        Ok(rows.first().map(read).transpose()?)
    }

    /// What a call back of a mailbox would be judged by now.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], or [`StoreError::Unreadable`].
    pub async fn call_back_state(&self, mailbox: &Mailbox, now: Timestamp) -> Result<CallBackState, StoreError> {
        let mut connection = self.0.database.reader().acquire().await.map_err(StoreError::from)?;
        state(&mut connection, mailbox, now).await
    }

    /// Counts a call back, if `decide` lets it be made. Calls back take turns here, so that no two are the last that may be made.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], or [`StoreError::Unreadable`]; nothing is counted then.
    pub async fn begin_call_back(
        &self,
        mailbox: &Mailbox,
        now: Timestamp,
        decide: impl FnOnce(&CallBackState) -> Result<E164, Refusal>,
    ) -> Result<Result<(CallId, E164), Refusal>, StoreError> {
        let mut transaction = self.0.database.begin().await?;
        sqlx::query("UPDATE call_back_turn SET turn = turn + 1 WHERE id = 1").execute(&mut *transaction).await?;
        sqlx::query("DELETE FROM call_backs WHERE begun_at <= $1")
            .bind(now.before(rules::CALL_BACK_DAY).as_millis())
            .execute(&mut *transaction)
            .await?;
        let state = state(&mut transaction, mailbox, now).await?;
        let number = match decide(&state) {
            Ok(number) => number,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let id = CallId::random();
        sqlx::query("INSERT INTO call_backs (id, mailbox_id, begun_at) VALUES ($1, $2, $3)")
            .bind(id.as_str())
            .bind(mailbox.id.as_str())
            .bind(now.as_millis())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Ok((id, number)))
    }

    /// Notes that it is known what came of a call back: another may be made.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn end_call_back(&self, id: &CallId, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.0.database.begin().await?;
        sqlx::query("UPDATE call_backs SET ended_at = $2 WHERE id = $1")
            .bind(id.as_str())
            .bind(now.as_millis())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Takes away what a mailbox has here that is removed.
pub(super) async fn mailbox_removed(connection: &mut AnyConnection, mailbox: &MailboxId) -> Result<(), sqlx::Error> {
    for sql in [
        "DELETE FROM mailbox_transfers WHERE mailbox_id = $1",
        "DELETE FROM destinations WHERE scope = 'mailbox' AND subject = $1",
    ] {
        sqlx::query(sql).bind(mailbox.as_str()).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn settings(connection: &mut AnyConnection, mailbox: &MailboxId) -> Result<TransferSettings, sqlx::Error> {
    let rows = sqlx::query("SELECT operator, call_back FROM mailbox_transfers WHERE mailbox_id = $1")
        .bind(mailbox.as_str())
        .fetch_all(connection)
        .await?;
    let Some(row) = rows.first() else { return Ok(TransferSettings::default()) };
    Ok(TransferSettings { operator: row.maybe_text("operator")?, call_back: row.flag("call_back")? })
}

async fn list(connection: &mut AnyConnection, scope: &Scope) -> Result<Destinations, StoreError> {
    let Some((scope, subject)) = stored_scope(scope) else { return Ok(Destinations::default()) };
    let rows = sqlx::query("SELECT prefix, allowed FROM destinations WHERE scope = $1 AND subject = $2")
        .bind(scope)
        .bind(subject)
        .fetch_all(connection)
        .await?;
    let mut list = Destinations::default();
    for row in &rows {
        let prefix: Prefix = row.text("prefix")?.parse().map_err(|_| StoreError::Unreadable { what: "destinations.prefix" })?;
        // What became premium since it was allowed is left out: it is never called in any case.
        list = list.clone().with(prefix, row.flag("allowed")?).unwrap_or(list);
    }
    Ok(list)
}

async fn state(connection: &mut AnyConnection, mailbox: &Mailbox, now: Timestamp) -> Result<CallBackState, StoreError> {
    let count = "SELECT
         COUNT(*) AS a_day,
         COUNT(CASE WHEN begun_at > $2 THEN 1 END) AS an_hour,
         COUNT(CASE WHEN ended_at IS NULL AND begun_at > $3 THEN 1 END) AS at_once,
         COUNT(CASE WHEN mailbox_id = $4 THEN 1 END) AS own_a_day,
         COUNT(CASE WHEN mailbox_id = $4 AND begun_at > $2 THEN 1 END) AS own_an_hour,
         COUNT(CASE WHEN mailbox_id = $4 AND ended_at IS NULL AND begun_at > $3 THEN 1 END) AS own_at_once
         FROM call_backs WHERE begun_at > $1";
    let row = sqlx::query(count)
        .bind(now.before(rules::CALL_BACK_DAY).as_millis())
        .bind(now.before(rules::CALL_BACK_HOUR).as_millis())
        // What a server that stopped dead has not ended is over by now.
        .bind(now.before(rules::LONGEST_TRANSFER).as_millis())
        .bind(mailbox.id.as_str())
        .fetch_one(&mut *connection)
        .await?;
    let calls = |an_hour, a_day, at_once| -> Result<Calls, sqlx::Error> {
        Ok(Calls { an_hour: row.count(an_hour)?, a_day: row.count(a_day)?, at_once: row.count(at_once)? })
    };
    Ok(CallBackState {
        mailbox_allows: settings(connection, &mailbox.id).await?.call_back,
        lists: Lists {
            service: Destinations::default(),
            tenant: list(connection, &Scope::Tenant(mailbox.tenant.clone())).await?,
            mailbox: list(connection, &Scope::Mailbox(mailbox.id.clone())).await?,
        },
        of_mailbox: calls("own_an_hour", "own_a_day", "own_at_once")?,
        of_service: calls("an_hour", "a_day", "at_once")?,
    })
}

/// How a scope is stored; that of the whole service is not.
fn stored_scope(scope: &Scope) -> Option<(&'static str, &str)> {
    match scope {
        Scope::Service => None,
        Scope::Tenant(tenant) => Some(("tenant", tenant)),
        Scope::Mailbox(mailbox) => Some(("mailbox", mailbox.as_str())),
    }
}
