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
        let (inside, column) = match part.folder {
            Folder::New => ("deleted_at IS NULL AND heard_at IS NULL AND saved_at IS NULL", "stamp_at"),
            Folder::Saved => ("deleted_at IS NULL AND (heard_at IS NOT NULL OR saved_at IS NOT NULL)", "stamp_at"),
            Folder::Deleted => ("deleted_at > $3", "deleted_at"),
        };
        let (beyond, order) = match (part.folder, part.first) {
            (Folder::New | Folder::Saved, First::Oldest) => (">", "ASC"),
            (Folder::New | Folder::Saved, First::Newest) | (Folder::Deleted, _) => ("<", "DESC"),
        };
        let deleted = part.folder == Folder::Deleted;
        // Every moment and id lies beyond nowhere, and no message is more urgent than urgent.
        let nowhere = if beyond == ">" { (2, i64::MIN, "") } else { (2, i64::MAX, "") };
        let (urgent, at, id) = part
            .after
            .as_ref()
            .map_or(nowhere, |place| (i64::from(place.urgent && !deleted), place.at.as_millis(), place.id.as_str()));
        let urgency = if deleted { "urgent * 0" } else { "urgent" };
        // A database wants to know the type of every value, so `$3` is mentioned in each of them.
        let sql = format!(
            "SELECT * FROM messages
             WHERE mailbox_id = $1 AND expires_at > $2 AND {inside} AND $3 < $2
               AND ({urgency} < $4 OR ({urgency} = $4 AND ({column}, id) {beyond} ($5, $6)))
             ORDER BY {urgency} DESC, {column} {order}, id {order} LIMIT $7"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
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
