//! Access lists: kept here, and followed by running servers through a version that every change raises.

use sqlx::{AnyConnection, any::AnyRow};

use super::{Store, StoreError, database::Columns as _};
use crate::domain::{
    access::{AccessList, AccessPolicy, Purpose, Scope},
    id::MailboxId,
    time::Timestamp,
};

/// A list, and whom it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopedList {
    /// Whom it is for.
    pub scope: Scope,
    /// What it admits to.
    pub purpose: Purpose,
    /// Who is admitted.
    pub list: AccessList,
    /// When it became so.
    pub changed_at: Timestamp,
}

/// The lists as far as a server knows them, to be brought up to date by [`Store::follow_access`].
#[derive(Clone, Debug, Default)]
pub struct FollowedAccess {
    /// The lists.
    pub policy: AccessPolicy,
    version: i64,
}

impl Store {
    /// Puts a list in the place of the one there was, or takes it away. Running servers follow within a second.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn set_access_list(
        &self,
        scope: &Scope,
        purpose: Purpose,
        list: Option<&AccessList>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.0.database.begin().await?;
        let version = next_version(&mut transaction).await?;
        let (scope, subject) = stored_scope(scope);
        sqlx::query(
            "INSERT INTO access_lists (scope, subject, purpose, entries, changed_at, version) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (scope, subject, purpose) DO UPDATE SET entries = $4, changed_at = $5, version = $6",
        )
        .bind(scope)
        .bind(subject)
        .bind(purpose.to_string())
        .bind(list.map(AccessList::to_string))
        .bind(now.as_millis())
        .bind(version)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Every list there is: of the service, then of tenants, then of mailboxes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], or [`StoreError::Unreadable`] when a row was not written by us.
    pub async fn access_lists(&self) -> Result<Vec<ScopedList>, StoreError> {
        let rows = sqlx::query("SELECT * FROM access_lists WHERE entries IS NOT NULL ORDER BY subject, purpose")
            .fetch_all(self.0.database.reader())
            .await?;
        let mut lists = Vec::new();
        for row in &rows {
            let (scope, purpose, list) = read(row)?;
            if let Some(list) = list {
                lists.push(ScopedList { scope, purpose, list, changed_at: row.moment("changed_at")? });
            }
        }
        lists.sort_by(|one, other| (&one.scope, one.purpose).cmp(&(&other.scope, other.purpose)));
        Ok(lists)
    }

    /// Brings the lists that a server knows up to date. Answers whether anything changed; mostly one row is looked at.
    ///
    /// # Errors
    ///
    /// As [`Self::access_lists`]; what was known stays as it was.
    pub async fn follow_access(&self, known: &mut FollowedAccess) -> Result<bool, StoreError> {
        let mut connection = self.0.database.reader().acquire().await.map_err(StoreError::from)?;
        if version(&mut connection).await? == known.version {
            return Ok(false);
        }
        let rows = sqlx::query("SELECT * FROM access_lists WHERE version > $1 ORDER BY version")
            .bind(known.version)
            .fetch_all(&mut *connection)
            .await?;
        let mut changes = Vec::with_capacity(rows.len());
        let mut latest = known.version;
        for row in &rows {
            changes.push(read(row)?);
            latest = latest.max(row.integer("version")?);
        }
        for (scope, purpose, list) in changes {
            known.policy.set(scope, purpose, list);
        }
        known.version = latest;
        Ok(!rows.is_empty())
    }
}

/// Takes away the lists of a mailbox that is removed.
pub(super) async fn forget(connection: &mut AnyConnection, mailbox: &MailboxId) -> Result<(), sqlx::Error> {
    let (scope, subject) = stored_scope(&Scope::Mailbox(mailbox.clone()));
    sqlx::query("DELETE FROM access_lists WHERE scope = $1 AND subject = $2")
        .bind(scope)
        .bind(subject)
        .execute(connection)
        .await?;
    Ok(())
}

/// Raises the version. Others who change a list wait here until this transaction ends, so versions come in the order of commits.
async fn next_version(connection: &mut AnyConnection) -> Result<i64, sqlx::Error> {
    sqlx::query("UPDATE access_version SET version = version + 1 WHERE id = 1 RETURNING version")
        .fetch_one(connection)
        .await?
        .integer("version")
}

async fn version(connection: &mut AnyConnection) -> Result<i64, sqlx::Error> {
    sqlx::query("SELECT version FROM access_version WHERE id = 1").fetch_one(connection).await?.integer("version")
}

fn stored_scope(scope: &Scope) -> (&'static str, String) {
    match scope {
        Scope::Service => ("service", String::new()),
        Scope::Tenant(tenant) => ("tenant", tenant.clone()),
        Scope::Mailbox(mailbox) => ("mailbox", mailbox.as_str().to_owned()),
    }
}

fn read(row: &AnyRow) -> Result<(Scope, Purpose, Option<AccessList>), StoreError> {
    let subject = row.text("subject")?;
    let scope = match row.text("scope")?.as_str() {
        "service" => Scope::Service,
        "tenant" => Scope::Tenant(subject),
        "mailbox" => Scope::Mailbox(MailboxId::from_stored(subject)),
        _ => return Err(StoreError::Unreadable { what: "access_lists.scope" }),
    };
    let purpose = row.text("purpose")?;
    let purpose = Purpose::ALL.into_iter().find(|known| known.to_string() == purpose);
    let list = row.maybe_text("entries")?.map(|entries| entries.parse()).transpose();
    Ok((
        scope,
        purpose.ok_or(StoreError::Unreadable { what: "access_lists.purpose" })?,
        list.map_err(|_| StoreError::Unreadable { what: "access_lists.entries" })?,
    ))
}
