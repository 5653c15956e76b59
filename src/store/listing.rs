//! The lists of a mailbox, part by part, as a subscriber listens to them: a mailbox may hold thousands of messages.

use std::collections::HashMap;

use super::{
    Store, StoreError,
    database::{Columns as _, placeholders},
    message::{self, read},
};
use crate::domain::{
    id::{AudioKey, MailboxId},
    listening::First,
    message::{Folder, Holdings, ListPart, Message},
    rules,
    time::Timestamp,
};

impl Store {
    /// How many messages are in each list of a mailbox.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn holdings(&self, mailbox: &MailboxId, now: Timestamp) -> Result<Holdings, StoreError> {
        let mut connection = self.0.database.reader().acquire().await?;
        let counts = message::counts(&mut connection, mailbox, now).await?;
        let row =
            sqlx::query("SELECT COUNT(*) AS deleted FROM messages WHERE mailbox_id = $1 AND expires_at > $2 AND deleted_at > $3")
                .bind(mailbox.as_str())
                .bind(now.as_millis())
                .bind(now.before(rules::DELETED_LIFE).as_millis())
                .fetch_one(&mut *connection)
                .await?;
        Ok(Holdings { counts, deleted: row.count("deleted")? })
    }

    /// A part of a list. It is the last if it has fewer messages than were asked for.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn list(&self, mailbox: &MailboxId, part: &ListPart, now: Timestamp) -> Result<Vec<Message>, StoreError> {
        // Every moment and id lies beyond nowhere, and no message is more urgent than urgent.
        let nowhere = if is_backwards(part) { (2, i64::MAX, "") } else { (2, i64::MIN, "") };
        let (urgent, at, id) = part.after.as_ref().map_or(nowhere, |place| {
            (i64::from(place.urgent && part.folder != Folder::Deleted), place.at.as_millis(), place.id.as_str())
        });
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement(part)))
            .bind(mailbox.as_str())
            .bind(now.as_millis())
            .bind(now.before(rules::DELETED_LIFE).as_millis())
            .bind(urgent)
            .bind(at)
            .bind(id)
            .bind(i64::from(part.limit))
            .fetch_all(self.0.database.reader())
            .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// The recorded names of those subscribers of a tenant whom these numbers reach.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn spoken_names(&self, tenant: &str, numbers: &[&str]) -> Result<HashMap<String, AudioKey>, StoreError> {
        if numbers.is_empty() {
            return Ok(HashMap::new());
        }
        let sql = format!(
            "SELECT n.number AS number, m.spoken_name AS spoken_name FROM mailbox_numbers n JOIN mailboxes m ON m.id = n.mailbox_id
             WHERE n.tenant = $1 AND m.spoken_name IS NOT NULL AND m.enabled = 1 AND n.number IN ({})",
            placeholders(2, numbers.len())
        );
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(tenant);
        for number in numbers {
            query = query.bind(*number);
        }
        let rows = query.fetch_all(self.0.database.reader()).await?;
        let mut names = HashMap::with_capacity(rows.len());
        for row in &rows {
            names.insert(row.text("number")?, AudioKey::from_stored(row.text("spoken_name")?));
        }
        Ok(names)
    }
}

/// The statement behind [`Store::list`], with `$1` the mailbox, `$2` now, `$3` when the deleted list begins, `$4` to `$6` the place
/// (urgent, moment, id) and `$7` the limit. It is seen from outside so that its plan can be looked at.
#[must_use]
pub fn statement(part: &ListPart) -> String {
    let (inside, urgency, column) = match part.folder {
        Folder::New => ("deleted_at IS NULL AND heard_at IS NULL AND saved_at IS NULL", "urgent", "stamp_at"),
        Folder::Saved => ("deleted_at IS NULL AND (heard_at IS NOT NULL OR saved_at IS NOT NULL)", "urgent", "stamp_at"),
        // What was deleted last comes first, urgent or not.
        Folder::Deleted => ("deleted_at > $3", "urgent * 0", "deleted_at"),
    };
    let (beyond, order) = if is_backwards(part) { ("<", "DESC") } else { (">", "ASC") };
    // A database wants to know the type of every value, so `$3` is mentioned in each of them.
    format!(
        "SELECT * FROM messages
         WHERE mailbox_id = $1 AND expires_at > $2 AND {inside} AND $3 < $2
           AND ({urgency} < $4 OR ({urgency} = $4 AND ({column}, id) {beyond} ($5, $6)))
         ORDER BY {urgency} DESC, {column} {order}, id {order} LIMIT $7"
    )
}

/// Whether what came last comes first.
fn is_backwards(part: &ListPart) -> bool {
    part.folder == Folder::Deleted || part.first == First::Newest
}
