//! Who is told of a mailbox's counts, and what they are still to be told (message waiting indication).
//!
//! Whatever changes counts writes, in the same transaction, that the mailbox has changed ([`mailbox_changed`]); this is the outbox of
//! lamps, of one row a mailbox. [`Store::spread_changes`] makes a notice due for everybody who is told of it, and
//! [`Store::claim_notices`] leases those that are due. What a notice says is not kept: counts are read when it is sent, so that a
//! burst of changes is one notice, and none is older than the one before it. Its CSeq is raised when it is claimed, so no
//! number is used twice whatever stops in between.

use std::time::Duration;

use sqlx::{AnyConnection, any::AnyRow};
use tokio::sync::Notify;

use super::{
    ChangeError, Store, StoreError,
    database::{Columns as _, placeholders},
};
use crate::domain::{
    id::{MailboxId, SubscriptionId},
    rules,
    time::Timestamp,
};

/// How many changed mailboxes are spread in one transaction.
const SPREAD: i64 = 64;
/// The end of those that have none.
const NEVER: Timestamp = Timestamp::from_millis(253_402_300_799_000);

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// Who has subscribed.
    Subscriber,
    /// A registered phone, which has not.
    Phone,
    /// The proxy of the configuration.
    Proxy,
}

/// Why a notice is the last one of its subscription (RFC 6665 §4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastReason {
    /// It was not renewed, or unsubscribed.
    Timeout,
    /// The mailbox was removed.
    NoResource,
    /// Who it was may not be believed any more: the line it may have come from was removed, or has another password.
    Deactivated,
}

impl LastReason {
    fn from_stored(word: &str) -> Self {
        match word {
            "noresource" => Self::NoResource,
            "deactivated" => Self::Deactivated,
            _ => Self::Timeout,
        }
    }
}

/// A subscription to be kept. One that ends at once is a question that is answered once.
#[derive(Clone, Debug)]
pub struct NewSubscription {
    /// Our tag.
    pub id: SubscriptionId,
    /// Whose counts.
    pub mailbox: MailboxId,
    /// The peer, as the SIP layer writes it.
    pub dialog: String,
    /// CSeq of the SUBSCRIBE.
    pub remote_sequence: u32,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A subscription that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Our tag.
    pub id: SubscriptionId,
    /// Whose counts.
    pub mailbox: MailboxId,
    /// The peer, as the SIP layer wrote it.
    pub dialog: String,
    /// CSeq of the latest SUBSCRIBE.
    pub remote_sequence: u32,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Something to be told, leased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// To whom: our tag, or what else names it.
    pub id: SubscriptionId,
    /// Whose counts.
    pub mailbox: MailboxId,
    /// What kind of listener.
    pub listener: Listener,
    /// The contact of a registered phone.
    pub contact: Option<String>,
    /// A subscriber, as the SIP layer wrote it; for the proxy, the mailbox's number and tenant when it last changed.
    pub dialog: String,
    /// Its CSeq, which nothing before had and nothing after will have.
    pub sequence: u32,
    /// When the subscription ends.
    pub expires_at: Timestamp,
    /// Why this is the last.
    pub last: Option<LastReason>,
    /// How often the attempts before have failed.
    pub attempts: u32,
    change: i64,
    leased_until: Timestamp,
}

/// What became of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It was taken; the next one may be sent at that time.
    Taken {
        /// Not before.
        quiet_until: Timestamp,
    },
    /// It failed, and is tried again, with the counts of then.
    Again {
        /// When.
        at: Timestamp,
    },
    /// Nobody is to be told any more.
    Over,
}

/// Why there is no subscription.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// The mailbox has as many as it can have.
    #[error("the mailbox has too many subscriptions")]
    TooMany,
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for SubscribeError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// Is notified when counts have changed or a notice is due, here; other processes' changes are found by looking. One waiter at
    /// a time.
    #[must_use]
    pub fn lamps_changed(&self) -> &Notify {
        &self.0.lamps_changed
    }

    /// Keeps a subscription of this node, with a first notice that is due now.
    ///
    /// # Errors
    ///
    /// See [`SubscribeError`].
    pub async fn subscribe(&self, new: &NewSubscription, now: Timestamp) -> Result<(), SubscribeError> {
        let mut transaction = self.0.database.begin().await?;
        let row = sqlx::query("SELECT COUNT(*) AS held FROM subscriptions WHERE mailbox_id = $1 AND kind = 'subscribed'")
            .bind(new.mailbox.as_str())
            .fetch_one(&mut *transaction)
            .await?;
        if !rules::admits_subscription(row.count("held")?) {
            return Err(SubscribeError::TooMany);
        }
        sqlx::query(
            "INSERT INTO subscriptions (id, mailbox_id, kind, dialog, local_sequence, remote_sequence, expires_at, ends, change,
                                        due_at, quiet_until, attempts, owner, created_at)
             VALUES ($1, $2, 'subscribed', $3, 0, $4, $5, $6, 1, $7, $7, 0, $8, $7)",
        )
        .bind(new.id.as_str())
        .bind(new.mailbox.as_str())
        .bind(&new.dialog)
        .bind(i64::from(new.remote_sequence))
        .bind(new.expires_at.as_millis())
        .bind((new.expires_at <= now).then_some("timeout"))
        .bind(now.as_millis())
        .bind(&self.0.node)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        self.0.lamps_changed.notify_one();
        Ok(())
    }

    /// The subscription with this tag of ours, unless it has ended.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn subscription(&self, id: &SubscriptionId, now: Timestamp) -> Result<Option<Subscription>, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM subscriptions WHERE id = $1 AND kind = 'subscribed' AND ends IS NULL AND expires_at > $2")
                .bind(id.as_str())
                .bind(now.as_millis())
                .fetch_all(self.0.database.reader())
                .await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Subscription {
            id: SubscriptionId::from_stored(row.text("id")?),
            mailbox: MailboxId::from_stored(row.text("mailbox_id")?),
            dialog: row.text("dialog")?,
            remote_sequence: row.count("remote_sequence")?,
            expires_at: row.moment("expires_at")?,
        }))
    }

    /// Renews a subscription, which is this node's from now on, or ends it when `expires_at` has come. A notice is due now.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Gone`] when there is none, or it has ended; [`ChangeError::Conflict`] when a later SUBSCRIBE was there first.
    pub async fn renew_subscription(&self, renewed: &Subscription, now: Timestamp) -> Result<(), ChangeError> {
        let mut transaction = self.0.database.begin().await?;
        let updated = sqlx::query(
            "UPDATE subscriptions SET dialog = $2, remote_sequence = $3, expires_at = $4, ends = $5, owner = $6, attempts = 0,
                                      change = change + 1, due_at = $7, quiet_until = $7
             WHERE id = $1 AND kind = 'subscribed' AND ends IS NULL AND expires_at > $7 AND remote_sequence < $3",
        )
        .bind(renewed.id.as_str())
        .bind(&renewed.dialog)
        .bind(i64::from(renewed.remote_sequence))
        .bind(renewed.expires_at.as_millis())
        .bind((renewed.expires_at <= now).then_some("timeout"))
        .bind(&self.0.node)
        .bind(now.as_millis())
        .execute(&mut *transaction)
        .await?;
        if updated.rows_affected() == 0 {
            drop(transaction);
            return Err(match self.subscription(&renewed.id, now).await? {
                Some(_) => ChangeError::Conflict,
                None => ChangeError::Gone,
            });
        }
        transaction.commit().await?;
        self.0.lamps_changed.notify_one();
        Ok(())
    }

    /// Everybody who has subscribed to a mailbox, as the SIP layer wrote them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn subscribers(&self, mailbox: &MailboxId, now: Timestamp) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query(
            "SELECT dialog FROM subscriptions WHERE mailbox_id = $1 AND kind = 'subscribed' AND ends IS NULL AND expires_at > $2",
        )
        .bind(mailbox.as_str())
        .bind(now.as_millis())
        .fetch_all(self.0.database.reader())
        .await?;
        Ok(rows.iter().map(|row| row.text("dialog")).collect::<Result<_, _>>()?)
    }

    /// Says that this node is alive until then, so that no other takes over what it owns.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn notifier_lives(&self, until: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.0.database.begin().await?;
        sqlx::query(
            "INSERT INTO notifiers (node, alive_until) VALUES ($1, $2)
             ON CONFLICT (node) DO UPDATE SET alive_until = excluded.alive_until",
        )
        .bind(&self.0.node)
        .bind(until.as_millis())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Begins this node's notifying: an earlier run's leases are over, everybody it owns is told anew, and only this proxy is told
    /// (none without one). A proxy that is new is told of every mailbox that has new messages.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn begin_notifying(&self, proxy: Option<&str>, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.0.database.begin().await?;
        sqlx::query(
            "UPDATE subscriptions SET change = change + 1, due_at = $2, quiet_until = $2, attempts = 0, leased_until = NULL
             WHERE owner = $1 AND kind <> 'proxy'",
        )
        .bind(&self.0.node)
        .bind(now.as_millis())
        .execute(&mut *transaction)
        .await?;
        sqlx::query("UPDATE subscriptions SET leased_until = NULL WHERE owner = $1 AND kind = 'proxy'")
            .bind(&self.0.node)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM subscriptions WHERE kind = 'proxy' AND target <> $1")
            .bind(proxy.unwrap_or_default())
            .execute(&mut *transaction)
            .await?;
        if proxy.is_some() {
            sqlx::query(
                "INSERT INTO mwi_changes (mailbox_id, changed_at)
                 SELECT DISTINCT mailbox_id, CAST($1 AS BIGINT) FROM messages
                 WHERE heard_at IS NULL AND saved_at IS NULL AND expires_at > $1 AND deleted_at IS NULL
                 AND NOT EXISTS (SELECT 1 FROM subscriptions WHERE kind = 'proxy')
                 ON CONFLICT (mailbox_id) DO NOTHING",
            )
            .bind(now.as_millis())
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Makes notices due for everybody who is told of mailboxes that have changed: subscribers, phones, and the proxy. Answers
    /// whether there may be more of them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; then the changes still stand.
    pub async fn spread_changes(&self, proxy: Option<&str>, now: Timestamp) -> Result<bool, StoreError> {
        // In the same order by everybody, so that two nodes never wait for each other.
        let rows = sqlx::query("SELECT mailbox_id FROM mwi_changes ORDER BY mailbox_id LIMIT $1")
            .bind(SPREAD)
            .fetch_all(self.0.database.reader())
            .await?;
        if rows.is_empty() {
            return Ok(false);
        }
        let mut transaction = self.0.database.begin().await?;
        for row in &rows {
            let mailbox = row.text("mailbox_id")?;
            // This waits for whoever is changing the mailbox right now: counts that are read after our commit have it in.
            sqlx::query("DELETE FROM mwi_changes WHERE mailbox_id = $1").bind(&mailbox).execute(&mut *transaction).await?;
            if let Some(proxy) = proxy {
                sqlx::query(
                    "INSERT INTO subscriptions (id, mailbox_id, kind, target, dialog, local_sequence, remote_sequence, expires_at,
                                                change, due_at, quiet_until, attempts, owner, created_at)
                     SELECT $1, id, 'proxy', $3, number || ' ' || tenant, 0, 0, CAST($4 AS BIGINT), 0, CAST($5 AS BIGINT),
                            CAST($5 AS BIGINT), 0, '', CAST($5 AS BIGINT)
                     FROM mailboxes WHERE id = $2
                     ON CONFLICT (id) DO UPDATE SET dialog = excluded.dialog",
                )
                .bind(format!("proxy {mailbox}"))
                .bind(&mailbox)
                .bind(proxy)
                .bind(NEVER.as_millis())
                .bind(now.as_millis())
                .execute(&mut *transaction)
                .await?;
            }
            sqlx::query(
                "UPDATE subscriptions SET change = change + 1,
                        due_at = CASE WHEN due_at <= $2 THEN due_at
                                      WHEN quiet_until <= $2 THEN $2
                                      WHEN quiet_until < due_at THEN quiet_until
                                      ELSE due_at END
                 WHERE mailbox_id = $1",
            )
            .bind(&mailbox)
            .bind(now.as_millis())
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(rows.len() >= usize::try_from(SPREAD).unwrap_or(usize::MAX))
    }

    /// Claims up to `limit` notices that are due, to the proxy or to all others, of this node or of one that is gone. Nobody else
    /// gets them before `lease` is over, and each has a new CSeq.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn claim_notices(
        &self,
        to_proxy: bool,
        limit: usize,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<Notice>, StoreError> {
        let (looking, claiming) = if to_proxy { (DUE_TO_PROXY, CLAIM_TO_PROXY) } else { (DUE, CLAIM) };
        // Most polls find nothing: that should not cost a write.
        let due =
            sqlx::query(looking).bind(now.as_millis()).bind(&self.0.node).bind(1_i64).fetch_all(self.0.database.reader()).await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let mut transaction = self.0.database.begin().await?;
        let rows = sqlx::query(claiming)
            .bind(now.as_millis())
            .bind(&self.0.node)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .bind(now.after(lease).as_millis())
            .fetch_all(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(rows.iter().map(read_notice).collect::<Result<_, _>>()?)
    }

    /// Notes what became of notices. One whose lease was over, and is somebody else's by now, is left alone.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; then none is noted, and each is sent again when its lease is over.
    pub async fn settle_notices(&self, settled: &[(Notice, Settled)]) -> Result<(), StoreError> {
        let mut transaction = self.0.database.begin().await?;
        for (notice, settled) in settled {
            let query = match settled {
                Settled::Taken { quiet_until } => sqlx::query(
                    "UPDATE subscriptions SET leased_until = NULL, attempts = 0, quiet_until = $3,
                            due_at = CASE WHEN change = $4 OR expires_at < $3 THEN expires_at ELSE $3 END
                     WHERE id = $1 AND leased_until = $2",
                )
                .bind(notice.id.as_str())
                .bind(notice.leased_until.as_millis())
                .bind(quiet_until.as_millis())
                .bind(notice.change),
                Settled::Again { at } => sqlx::query(
                    "UPDATE subscriptions SET leased_until = NULL, attempts = attempts + 1, quiet_until = $3, due_at = $3
                     WHERE id = $1 AND leased_until = $2",
                )
                .bind(notice.id.as_str())
                .bind(notice.leased_until.as_millis())
                .bind(at.as_millis()),
                Settled::Over => sqlx::query("DELETE FROM subscriptions WHERE id = $1 AND leased_until = $2")
                    .bind(notice.id.as_str())
                    .bind(notice.leased_until.as_millis()),
            };
            query.execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(())
    }
}

/// Notes that a mailbox's counts change in this transaction, whose last statement but for the commit this is to be: nobody waits for
/// anything else while holding the row.
pub(super) async fn mailbox_changed(
    connection: &mut AnyConnection,
    mailbox: &MailboxId,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    mailboxes_changed(connection, std::slice::from_ref(mailbox), now).await
}

/// The same for several mailboxes at once.
pub(super) async fn mailboxes_changed(
    connection: &mut AnyConnection,
    mailboxes: &[MailboxId],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    // Who owns a shared mailbox is told of it. In one order by everybody, so that two never wait for each other. An update even if
    // the row is there: it makes whoever spreads the change wait for our commit.
    let list = placeholders(2, mailboxes.len());
    let sql = format!(
        "INSERT INTO mwi_changes (mailbox_id, changed_at)
         SELECT id, $1 FROM (SELECT id FROM mailboxes WHERE id IN ({list})
                             UNION SELECT owner_id FROM mailbox_owners WHERE mailbox_id IN ({list})) told
         WHERE 1 = 1 ORDER BY id
         ON CONFLICT (mailbox_id) DO UPDATE SET changed_at = excluded.changed_at"
    );
    let mut query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(now.as_millis());
    for mailbox in mailboxes {
        query = query.bind(mailbox.as_str());
    }
    query.execute(connection).await?;
    Ok(())
}

/// Tells the phones of a mailbox's line that are registered in this transaction, and those that are not no more. A notice is due
/// now for a phone that is new, has started anew or is somewhere else: its lamp may be dark for no reason.
pub(super) async fn phones_registered(
    connection: &mut AnyConnection,
    mailbox: &MailboxId,
    node: &str,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM subscriptions WHERE mailbox_id = $1 AND kind = 'phone'
         AND target NOT IN (SELECT contact FROM registrations WHERE mailbox_id = $1)",
    )
    .bind(mailbox.as_str())
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO subscriptions (id, mailbox_id, kind, target, dialog, local_sequence, remote_sequence, expires_at, change,
                                    due_at, quiet_until, attempts, owner, created_at)
         SELECT 'phone ' || mailbox_id || ' ' || contact, mailbox_id, 'phone', contact, transport || ' ' || remote || ' ' || call_id,
                0, 0, CAST($2 AS BIGINT), 1, CAST($3 AS BIGINT), CAST($3 AS BIGINT), 0, CAST($4 AS TEXT), CAST($3 AS BIGINT)
         FROM registrations WHERE mailbox_id = $1
         ON CONFLICT (id) DO UPDATE SET dialog = excluded.dialog, change = subscriptions.change + 1, due_at = excluded.due_at,
             quiet_until = excluded.quiet_until, owner = excluded.owner
         WHERE subscriptions.dialog <> excluded.dialog",
    )
    .bind(mailbox.as_str())
    .bind(NEVER.as_millis())
    .bind(now.as_millis())
    .bind(node)
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that a mailbox's line has another password, or is no more: whoever has subscribed must show anew who they are.
pub(super) async fn line_changed(connection: &mut AnyConnection, mailbox: &MailboxId, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE subscriptions SET ends = 'deactivated', change = change + 1, due_at = $2, quiet_until = $2
         WHERE mailbox_id = $1 AND kind = 'subscribed' AND ends IS NULL",
    )
    .bind(mailbox.as_str())
    .bind(now.as_millis())
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that a mailbox is being removed: who is told of it is told so, once.
pub(super) async fn mailbox_removed(
    connection: &mut AnyConnection,
    mailbox: &MailboxId,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM mwi_changes WHERE mailbox_id = $1").bind(mailbox.as_str()).execute(&mut *connection).await?;
    sqlx::query(
        "UPDATE subscriptions SET ends = 'noresource', change = change + 1, due_at = $2, quiet_until = $2 WHERE mailbox_id = $1",
    )
    .bind(mailbox.as_str())
    .bind(now.as_millis())
    .execute(connection)
    .await?;
    Ok(())
}

macro_rules! due {
    ($kind:literal) => {
        concat!(
            "SELECT id FROM subscriptions
             WHERE due_at <= $1 AND (leased_until IS NULL OR leased_until <= $1) AND kind ",
            $kind,
            " AND (owner = $2 OR owner NOT IN (SELECT node FROM notifiers WHERE alive_until > $1))
             ORDER BY due_at, id LIMIT $3"
        )
    };
}

macro_rules! claim {
    ($due:expr) => {
        // The outer condition is checked again after waiting for another node's claim, so none is claimed twice.
        concat!(
            "UPDATE subscriptions SET leased_until = $4, local_sequence = local_sequence + 1, owner = $2,
                                      ends = CASE WHEN ends IS NULL AND expires_at <= $1 THEN 'timeout' ELSE ends END
             WHERE id IN (",
            $due,
            ") AND (leased_until IS NULL OR leased_until <= $1) RETURNING *"
        )
    };
}

const DUE: &str = due!("<> 'proxy'");
const DUE_TO_PROXY: &str = due!("= 'proxy'");
const CLAIM: &str = claim!(due!("<> 'proxy'"));
const CLAIM_TO_PROXY: &str = claim!(due!("= 'proxy'"));

fn read_notice(row: &AnyRow) -> Result<Notice, sqlx::Error> {
    Ok(Notice {
        id: SubscriptionId::from_stored(row.text("id")?),
        mailbox: MailboxId::from_stored(row.text("mailbox_id")?),
        listener: match row.text("kind")?.as_str() {
            "subscribed" => Listener::Subscriber,
            "phone" => Listener::Phone,
            _ => Listener::Proxy,
        },
        contact: row.maybe_text("target")?,
        dialog: row.text("dialog")?,
        sequence: row.count("local_sequence")?,
        expires_at: row.moment("expires_at")?,
        last: row.maybe_text("ends")?.map(|why| LastReason::from_stored(&why)),
        attempts: row.count("attempts")?,
        change: row.integer("change")?,
        leased_until: row.moment("leased_until")?,
    })
}
