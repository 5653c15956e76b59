//! Lines: phones that are put directly on the server. A line belongs to a mailbox, and calls itself by one of its numbers.

use std::fmt;

use sqlx::any::AnyRow;

use super::{ChangeError, Store, StoreError, database::Columns as _, subscription};
use crate::domain::{id::MailboxId, mailbox::MailboxNumber, time::Timestamp};

/// Whose line it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Line {
    /// The mailbox.
    pub mailbox: MailboxId,
    /// Its tenant.
    pub tenant: String,
    /// Its number, also where the line calls itself by an alias.
    pub number: MailboxNumber,
    /// Its subscriber's name; may be empty.
    pub name: String,
}

/// Logs must not carry names or full numbers.
impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("mailbox", &self.mailbox).finish_non_exhaustive()
    }
}

/// The digests of a name, a realm and a password (HA1), as hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct LineSecret {
    /// With MD5.
    pub md5: String,
    /// With SHA-256.
    pub sha256: String,
}

/// Nobody must read it.
impl fmt::Debug for LineSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LineSecret")
    }
}

/// A line in a listing.
#[derive(Clone, Debug)]
pub struct ListedLine {
    /// Whose it is.
    pub line: Line,
    /// The names it may call itself by.
    pub usernames: Vec<String>,
    /// The realm that its password was set for.
    pub realm: String,
    /// When that was.
    pub changed_at: Timestamp,
}

impl Store {
    /// Makes a mailbox's line, or gives it other secrets: one for each name it may call itself by.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Gone`] when there is no such mailbox.
    pub async fn set_line(
        &self,
        mailbox: &MailboxId,
        realm: &str,
        secrets: &[(String, LineSecret)],
        now: Timestamp,
    ) -> Result<(), ChangeError> {
        let mut transaction = self.0.database.begin().await?;
        let rows =
            sqlx::query("SELECT tenant FROM mailboxes WHERE id = $1").bind(mailbox.as_str()).fetch_all(&mut *transaction).await?;
        let tenant = rows.first().ok_or(ChangeError::Gone)?.text("tenant")?;
        let before =
            sqlx::query("DELETE FROM lines WHERE mailbox_id = $1").bind(mailbox.as_str()).execute(&mut *transaction).await?;
        for (username, secret) in secrets {
            // A number that was another mailbox's before: its line loses it as that mailbox did.
            sqlx::query(
                "INSERT INTO lines (tenant, username, mailbox_id, realm, ha1_md5, ha1_sha256, changed_at, turn)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, 0)
                 ON CONFLICT (tenant, username) DO UPDATE SET mailbox_id = excluded.mailbox_id, realm = excluded.realm,
                     ha1_md5 = excluded.ha1_md5, ha1_sha256 = excluded.ha1_sha256, changed_at = excluded.changed_at",
            )
            .bind(tenant.as_str())
            .bind(username.as_str())
            .bind(mailbox.as_str())
            .bind(realm)
            .bind(secret.md5.as_str())
            .bind(secret.sha256.as_str())
            .bind(now.as_millis())
            .execute(&mut *transaction)
            .await?;
        }
        if before.rows_affected() > 0 {
            subscription::line_changed(&mut transaction, mailbox, now).await?;
        }
        transaction.commit().await?;
        self.0.lamps_changed.notify_one();
        Ok(())
    }

    /// Removes a mailbox's line, its registrations, and the subscriptions that it may have made; whether it had one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn remove_line(&self, mailbox: &MailboxId, now: Timestamp) -> Result<bool, StoreError> {
        let mut transaction = self.0.database.begin().await?;
        let removed =
            sqlx::query("DELETE FROM lines WHERE mailbox_id = $1").bind(mailbox.as_str()).execute(&mut *transaction).await?;
        sqlx::query("DELETE FROM registrations WHERE mailbox_id = $1").bind(mailbox.as_str()).execute(&mut *transaction).await?;
        subscription::line_changed(&mut transaction, mailbox, now).await?;
        transaction.commit().await?;
        self.0.lamps_changed.notify_one();
        Ok(removed.rows_affected() > 0)
    }

    /// The line that calls itself by a name, in a tenant, else in the default tenant; none of a disabled mailbox, of another realm,
    /// or of a number that is the mailbox's no more. The same is asked of the database whatever is found.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn find_line(&self, tenant: &str, username: &str, realm: &str) -> Result<Option<(Line, LineSecret)>, StoreError> {
        // PostgreSQL would refuse to compare with some of what can be claimed.
        let username = if username.parse::<MailboxNumber>().is_ok() { username } else { "" };
        let tenant = if tenant.contains('\0') { "" } else { tenant };
        let rows = sqlx::query(
            "SELECT m.id, m.tenant, m.number, m.name, l.ha1_md5, l.ha1_sha256 FROM lines l
             JOIN mailbox_numbers n ON n.tenant = l.tenant AND n.number = l.username AND n.mailbox_id = l.mailbox_id
             JOIN mailboxes m ON m.id = l.mailbox_id
             WHERE l.tenant IN ($1, '') AND l.username = $2 AND l.realm = $3 AND m.enabled = 1
             ORDER BY l.tenant DESC LIMIT 1",
        )
        .bind(tenant)
        .bind(username)
        .bind(realm)
        .fetch_all(self.0.database.reader())
        .await?;
        let read = |row| Ok((line(row)?, LineSecret { md5: row.text("ha1_md5")?, sha256: row.text("ha1_sha256")? }));
        rows.first().map(read).transpose()
    }

    /// Every line, in order of tenant and number.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn lines(&self) -> Result<Vec<ListedLine>, StoreError> {
        let rows = sqlx::query(
            "SELECT m.id, m.tenant, m.number, m.name, l.username, l.realm, l.changed_at FROM lines l
             JOIN mailboxes m ON m.id = l.mailbox_id ORDER BY m.tenant, m.number, l.username",
        )
        .fetch_all(self.0.database.reader())
        .await?;
        let mut lines: Vec<ListedLine> = Vec::new();
        for row in &rows {
            let (line, username) = (line(row)?, row.text("username")?);
            match lines.last_mut().filter(|last| last.line.mailbox == line.mailbox) {
                Some(last) => last.usernames.push(username),
                None => lines.push(ListedLine {
                    line,
                    usernames: vec![username],
                    realm: row.text("realm")?,
                    changed_at: row.moment("changed_at")?,
                }),
            }
        }
        Ok(lines)
    }

    /// A secret that all nodes share: the given one, unless there is one of that name already.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn server_key(&self, name: &str, new: &str) -> Result<String, StoreError> {
        let mut transaction = self.0.database.begin().await?;
        sqlx::query("INSERT INTO server_keys (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(name)
            .bind(new)
            .execute(&mut *transaction)
            .await?;
        let row = sqlx::query("SELECT value FROM server_keys WHERE name = $1").bind(name).fetch_one(&mut *transaction).await?;
        let value = row.text("value")?;
        transaction.commit().await?;
        Ok(value)
    }
}

fn line(row: &AnyRow) -> Result<Line, StoreError> {
    Ok(Line {
        mailbox: MailboxId::from_stored(row.text("id")?),
        tenant: row.text("tenant")?,
        number: row.text("number")?.parse().map_err(|_| StoreError::Unreadable { what: "mailboxes.number" })?,
        name: row.text("name")?,
    })
}
