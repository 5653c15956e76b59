//! Distribution lists and their members.

use sqlx::{AnyConnection, any::AnyRow};

use super::{
    ChangeError, Store, StoreError, audio,
    database::{self, Columns as _, placeholders},
    mailbox,
};
use crate::domain::{
    distribution::DistributionList,
    id::{AudioKey, ListId, MailboxId},
    mailbox::{Mailbox, MailboxNumber},
    rules,
    time::Timestamp,
};

/// A distribution list to be made.
#[derive(Clone, Debug)]
pub struct NewList {
    /// The SIP domain; empty for the default tenant.
    pub tenant: String,
    /// Whose it is; without one, the tenant's.
    pub owner: Option<MailboxId>,
    /// Its number.
    pub number: MailboxNumber,
    /// Its name; may be empty.
    pub name: String,
    /// The mailboxes in it, all of the tenant.
    pub members: Vec<MailboxId>,
}

/// Why a list was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// A mailbox of the tenant has this number, or another list of the same owner.
    #[error("the number {0} is already taken")]
    NumberTaken(MailboxNumber),
    /// It would have more members than a list can have.
    #[error("a distribution list has {} members at most", rules::MOST_LIST_MEMBERS)]
    TooManyMembers,
    /// It would have more members than a list can have that callers reach.
    #[error("a distribution list that callers reach has {} members at most", rules::MAILBOXES_AT_ONCE)]
    TooManyForCallers,
    /// It is a subscriber's own, which callers never reach.
    #[error("a subscriber's own list takes no calls")]
    NotForCallers,
    /// The list, its owner or a member does not exist (any more), or belongs to another tenant.
    #[error("the list or a mailbox of it does not exist any more")]
    Gone,
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for ListError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// The lists with how many members each has.
const LISTS: &str = "SELECT l.*, (SELECT COUNT(*) FROM distribution_members d WHERE d.list_id = l.id) AS members
                     FROM distribution_lists l";

impl Store {
    /// Makes a distribution list.
    ///
    /// # Errors
    ///
    /// See [`ListError`].
    pub async fn create_list(&self, new: &NewList, now: Timestamp) -> Result<DistributionList, ListError> {
        let id = ListId::random();
        let owner = new.owner.as_ref().map_or("", MailboxId::as_str);
        let mut transaction = self.0.database.begin().await?;
        database::take_turn(&mut transaction, "numbers").await?;
        let taken = sqlx::query("SELECT mailbox_id FROM mailbox_numbers WHERE tenant = $1 AND number = $2")
            .bind(&new.tenant)
            .bind(new.number.as_str())
            .fetch_all(&mut *transaction)
            .await?;
        if !taken.is_empty() {
            return Err(ListError::NumberTaken(new.number.clone()));
        }
        if let Some(owner) = &new.owner {
            let owner = mailbox::find(&mut transaction, owner).await?.filter(|owner| owner.tenant == new.tenant);
            owner.ok_or(ListError::Gone)?;
        }
        let inserted = sqlx::query(
            "INSERT INTO distribution_lists (id, tenant, owner, number, name, created_at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT DO NOTHING",
        )
        .bind(id.as_str())
        .bind(&new.tenant)
        .bind(owner)
        .bind(new.number.as_str())
        .bind(&new.name)
        .bind(now.as_millis())
        .execute(&mut *transaction)
        .await?;
        if inserted.rows_affected() == 0 {
            return Err(ListError::NumberTaken(new.number.clone()));
        }
        add_members(&mut transaction, &id, &new.members).await?;
        let list = find(&mut transaction, &id).await?.ok_or(ListError::Gone)?;
        transaction.commit().await?;
        Ok(list)
    }

    /// The distribution list that a number stands for when a subscriber types it: the subscriber's own before the tenant's.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn find_list(
        &self,
        tenant: &str,
        owner: Option<&MailboxId>,
        number: &str,
    ) -> Result<Option<DistributionList>, StoreError> {
        if number.parse::<MailboxNumber>().is_err() || tenant.contains('\0') {
            return Ok(None);
        }
        let sql = format!("{LISTS} WHERE l.tenant = $1 AND l.number = $2 AND l.owner IN ($3, '') ORDER BY l.owner DESC");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(tenant)
            .bind(number)
            .bind(owner.map_or("", MailboxId::as_str))
            .fetch_all(self.0.database.reader())
            .await?;
        rows.first().map(read).transpose()
    }

    /// The list that a number stands for when a caller dials it, by the first of these ways of writing it that is one's: of the tenant
    /// that it was dialled in, else of the default tenant.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn called_list(&self, tenant: &str, numbers: &[String]) -> Result<Option<DistributionList>, StoreError> {
        let numbers: Vec<&String> = numbers.iter().filter(|number| number.parse::<MailboxNumber>().is_ok()).collect();
        if numbers.is_empty() {
            return Ok(None);
        }
        let sql = format!(
            "{LISTS} WHERE l.takes_calls = 1 AND l.owner = '' AND l.tenant IN ($1, '') AND l.number IN ({})",
            placeholders(2, numbers.len())
        );
        // PostgreSQL would refuse to compare with what may have been dialled.
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(if tenant.contains('\0') { "" } else { tenant });
        for number in &numbers {
            query = query.bind(number.as_str());
        }
        let rows = query.fetch_all(self.0.database.reader()).await?;
        let lists: Vec<DistributionList> = rows.iter().map(read).collect::<Result<_, _>>()?;
        let place =
            |list: &DistributionList| (numbers.iter().position(|number| *number == list.number.as_str()), list.tenant.is_empty());
        Ok(lists.into_iter().min_by_key(place))
    }

    /// Lets callers reach a list by its number, or no longer.
    ///
    /// # Errors
    ///
    /// [`ListError::NotForCallers`], [`ListError::TooManyForCallers`], or [`ListError::Gone`] when there is no such list.
    pub async fn set_list_calls(&self, id: &ListId, takes_calls: bool) -> Result<DistributionList, ListError> {
        let mut transaction = self.0.database.begin().await?;
        sqlx::query("UPDATE distribution_lists SET takes_calls = $2 WHERE id = $1")
            .bind(id.as_str())
            .bind(i64::from(takes_calls))
            .execute(&mut *transaction)
            .await?;
        let list = find(&mut transaction, id).await?.ok_or(ListError::Gone)?;
        if takes_calls && list.owner.is_some() {
            return Err(ListError::NotForCallers);
        }
        admit(&list)?;
        transaction.commit().await?;
        Ok(list)
    }

    /// Makes a WAV (mono, 16-bit, 8000 or 16,000 Hz) that was looked at before what a list's callers hear; or removes it.
    ///
    /// # Errors
    ///
    /// [`ListError::NotForCallers`], or [`ListError::Gone`] when there is no such list.
    pub async fn set_list_greeting(
        &self,
        id: &ListId,
        wav: Option<Vec<u8>>,
        now: Timestamp,
    ) -> Result<DistributionList, ListError> {
        let new = match wav {
            Some(wav) => Some(self.put_audio(wav).await?),
            None => None,
        };
        let written = self.write_list_greeting(id, new.as_ref(), now).await;
        // A commit that was not confirmed may have taken effect; the sweep judges its audio.
        if let (Err(ListError::Gone | ListError::NotForCallers), Some(new)) = (&written, &new) {
            self.drop_unused_audio(new).await;
        }
        let (list, old) = written?;
        self.remove_marked_audio(old.as_slice()).await;
        Ok(list)
    }

    /// The transaction itself. Answers the list, and the greeting that it had.
    async fn write_list_greeting(
        &self,
        id: &ListId,
        new: Option<&AudioKey>,
        now: Timestamp,
    ) -> Result<(DistributionList, Option<AudioKey>), ListError> {
        let mut transaction = self.0.database.begin().await?;
        take_turn(&mut transaction, id).await?;
        let old = find(&mut transaction, id).await?.ok_or(ListError::Gone)?.greeting;
        if let Some(new) = new {
            audio::claim(&mut transaction, new).await?;
        }
        sqlx::query("UPDATE distribution_lists SET greeting = $2 WHERE id = $1")
            .bind(id.as_str())
            .bind(new.map(AudioKey::as_str))
            .execute(&mut *transaction)
            .await?;
        if let Some(old) = &old {
            audio::mark_removed(&mut transaction, old, now).await?;
        }
        let list = find(&mut transaction, id).await?.ok_or(ListError::Gone)?;
        // Whoever removes a mailbox removes its own lists, and looks for no audio of theirs.
        if list.owner.is_some() {
            return Err(ListError::NotForCallers);
        }
        transaction.commit().await?;
        Ok((list, old))
    }

    /// All distribution lists, in order of tenant and number: a tenant's own lists, then its subscribers'.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn lists(&self) -> Result<Vec<DistributionList>, StoreError> {
        let sql = format!("{LISTS} ORDER BY l.tenant, l.owner, l.number");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(self.0.database.reader()).await?;
        rows.iter().map(read).collect()
    }

    /// The mailboxes in a list, in order of their numbers.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn list_members(&self, id: &ListId) -> Result<Vec<Mailbox>, StoreError> {
        mailbox::find_in_order(
            self.0.database.reader(),
            "SELECT mailbox_id FROM distribution_members WHERE list_id = $1",
            id.as_str(),
        )
        .await
    }

    /// Puts mailboxes into a list; those that are in it already stay.
    ///
    /// # Errors
    ///
    /// [`ListError::TooManyMembers`], or [`ListError::Gone`] when there is no such list or mailbox in its tenant.
    pub async fn add_list_members(&self, id: &ListId, members: &[MailboxId]) -> Result<DistributionList, ListError> {
        let mut transaction = self.0.database.begin().await?;
        add_members(&mut transaction, id, members).await?;
        let list = find(&mut transaction, id).await?.ok_or(ListError::Gone)?;
        transaction.commit().await?;
        Ok(list)
    }

    /// Takes mailboxes out of a list. Answers how many were in it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn remove_list_members(&self, id: &ListId, members: &[MailboxId]) -> Result<u64, StoreError> {
        let mut transaction = self.0.database.begin().await?;
        take_turn(&mut transaction, id).await?;
        let mut removed = 0;
        for member in members {
            let done = sqlx::query("DELETE FROM distribution_members WHERE list_id = $1 AND mailbox_id = $2")
                .bind(id.as_str())
                .bind(member.as_str())
                .execute(&mut *transaction)
                .await?;
            removed += done.rows_affected();
        }
        transaction.commit().await?;
        Ok(removed)
    }

    /// Removes a list; its mailboxes stay.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Gone`] when there is no such list.
    pub async fn remove_list(&self, id: &ListId, now: Timestamp) -> Result<(), ChangeError> {
        let mut transaction = self.0.database.begin().await?;
        take_turn(&mut transaction, id).await?;
        sqlx::query("DELETE FROM distribution_members WHERE list_id = $1").bind(id.as_str()).execute(&mut *transaction).await?;
        let removed = sqlx::query("DELETE FROM distribution_lists WHERE id = $1 RETURNING greeting")
            .bind(id.as_str())
            .fetch_all(&mut *transaction)
            .await?;
        let greeting = removed.first().ok_or(ChangeError::Gone)?.maybe_text("greeting")?.map(AudioKey::from_stored);
        if let Some(greeting) = &greeting {
            audio::mark_removed(&mut transaction, greeting, now).await?;
        }
        transaction.commit().await?;
        self.remove_marked_audio(greeting.as_slice()).await;
        Ok(())
    }
}

/// Forgets a mailbox that is being removed: its own lists, and its places in others'.
pub(super) async fn mailbox_removed(connection: &mut AnyConnection, mailbox: &MailboxId) -> Result<(), sqlx::Error> {
    for sql in [
        "DELETE FROM distribution_members WHERE list_id IN (SELECT id FROM distribution_lists WHERE owner = $1)",
        "DELETE FROM distribution_lists WHERE owner = $1",
        "DELETE FROM distribution_members WHERE mailbox_id = $1",
    ] {
        sqlx::query(sql).bind(mailbox.as_str()).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Has everybody else who changes a list wait for the end of this transaction, and finds what they have set. Otherwise two that
/// each add what there is room for would both find room.
async fn take_turn(connection: &mut AnyConnection, id: &ListId) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE distribution_lists SET created_at = created_at WHERE id = $1")
        .bind(id.as_str())
        .execute(&mut *connection)
        .await?;
    Ok(())
}

async fn add_members(connection: &mut AnyConnection, id: &ListId, members: &[MailboxId]) -> Result<(), ListError> {
    take_turn(connection, id).await?;
    for member in members {
        let is_there = sqlx::query(
            "SELECT m.id FROM mailboxes m JOIN distribution_lists l ON l.tenant = m.tenant WHERE m.id = $1 AND l.id = $2",
        )
        .bind(member.as_str())
        .bind(id.as_str())
        .fetch_all(&mut *connection)
        .await?;
        if is_there.is_empty() {
            return Err(ListError::Gone);
        }
        sqlx::query("INSERT INTO distribution_members (list_id, mailbox_id) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(id.as_str())
            .bind(member.as_str())
            .execute(&mut *connection)
            .await?;
    }
    admit(&find(connection, id).await?.ok_or(ListError::Gone)?)
}

/// Whether a list can have as many members as it has.
fn admit(list: &DistributionList) -> Result<(), ListError> {
    if !rules::admits_list_members(list.members) {
        return Err(ListError::TooManyMembers);
    }
    let at_once = usize::try_from(list.members).unwrap_or(usize::MAX);
    if list.takes_calls && !rules::admits_at_once(at_once) {
        return Err(ListError::TooManyForCallers);
    }
    Ok(())
}

async fn find(connection: &mut AnyConnection, id: &ListId) -> Result<Option<DistributionList>, StoreError> {
    let sql = format!("{LISTS} WHERE l.id = $1");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.as_str()).fetch_all(connection).await?;
    rows.first().map(read).transpose()
}

fn read(row: &AnyRow) -> Result<DistributionList, StoreError> {
    let owner = row.text("owner")?;
    Ok(DistributionList {
        id: ListId::from_stored(row.text("id")?),
        tenant: row.text("tenant")?,
        owner: (!owner.is_empty()).then(|| MailboxId::from_stored(owner)),
        number: mailbox::parse(&row.text("number")?, "distribution_lists.number")?,
        name: row.text("name")?,
        members: row.count("members")?,
        takes_calls: row.flag("takes_calls")?,
        greeting: row.maybe_text("greeting")?.map(AudioKey::from_stored),
        created_at: row.moment("created_at")?,
    })
}
