//! Removing what has reached its end: expired messages, and audio that nothing refers to.

use std::{
    collections::{BTreeSet, HashSet},
    fs, io,
    path::Path,
    time::{Duration, SystemTime},
};

use futures_util::{StreamExt as _, TryStreamExt as _, future::ready};
use object_store::{ObjectStore as _, ObjectStoreExt as _};

use super::{
    Store, StoreError, audio,
    database::{Columns as _, placeholders},
    journal::blocking,
    sending, shared,
    spool::{self, SpoolReport},
    subscription,
};
use crate::domain::{
    id::{AudioKey, MailboxId, MessageId},
    rules,
    time::Timestamp,
};

/// The youngest object that a sweep may take for an orphan, whatever it is told: longer than any deposit takes.
const YOUNGEST_ORPHAN: Duration = Duration::from_hours(1);

/// How long the list of removed keys, and of deposits whose messages have expired, is remembered.
const MEMORY: Duration = Duration::from_hours(7 * 24);

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Audio objects removed.
    pub objects: u32,
    /// Half-written audio files removed.
    pub scraps: u32,
    /// Journals that nobody owned.
    pub spool: SpoolReport,
}

impl Store {
    /// Removes the messages that have expired at `now`, and those that can be restored no longer, with their audio. Answers how
    /// many. Whether anybody listens to one, or has it in a list, does not matter.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]. What was removed until then is gone; the rest goes next time.
    pub async fn expire(&self, now: Timestamp) -> Result<u32, StoreError> {
        let over = self.remove_where("expires_at", now, now).await?;
        Ok(over + self.remove_where("deleted_at", now.before(rules::DELETED_LIFE), now).await?)
    }

    /// Removes the messages whose `column` has come to `end`.
    async fn remove_where(&self, column: &'static str, end: Timestamp, now: Timestamp) -> Result<u32, StoreError> {
        let mut expired = 0;
        let sql = format!(
            "DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE {column} <= $1 ORDER BY {column} LIMIT 200)
             AND {column} <= $1 RETURNING id, mailbox_id, audio, original_audio"
        );
        loop {
            let mut transaction = self.0.database.begin().await?;
            // In handfuls, so that deposits get their turns in between. The outer condition is checked again on a row that somebody
            // has saved or restored meanwhile.
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql.clone())).bind(end.as_millis()).fetch_all(&mut *transaction).await?;
            if rows.is_empty() {
                return Ok(expired);
            }
            let mut objects = Vec::with_capacity(rows.len());
            // In order, so that two nodes never wait for each other.
            let mut mailboxes = BTreeSet::new();
            for row in &rows {
                mailboxes.insert(row.text("mailbox_id")?);
                sqlx::query("DELETE FROM outbox WHERE message_id = $1").bind(row.text("id")?).execute(&mut *transaction).await?;
                objects.extend(audio::keys(row)?);
            }
            objects.sort();
            for key in &objects {
                audio::mark_removed(&mut transaction, key, now).await?;
            }
            let mailboxes: Vec<MailboxId> = mailboxes.into_iter().map(MailboxId::from_stored).collect();
            subscription::mailboxes_changed(&mut transaction, &mailboxes, now).await?;
            transaction.commit().await?;
            self.0.lamps_changed.notify_one();
            self.remove_marked_audio(&objects).await;
            expired += u32::try_from(rows.len()).unwrap_or(u32::MAX);
        }
    }

    /// Removes audio that nothing refers to and that is older than `older_than` (an hour at least), finishes removals that were
    /// interrupted, brings ownerless journals to their end, and forgets what need not be remembered.
    ///
    /// Age is judged by the machine's clock and the object store's, not by `now`: a run "at" another time removes nothing early.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; what was swept until then stays swept.
    pub async fn sweep_orphans(&self, now: Timestamp, older_than: Duration) -> Result<SweepReport, StoreError> {
        let older_than = older_than.max(YOUNGEST_ORPHAN);
        let mut report = SweepReport { spool: self.retry_spool(now).await?, ..SweepReport::default() };
        report.objects += self.finish_removals().await?;
        report.objects += self.remove_orphans(now, older_than).await?;
        if let Some(dir) = self.0.audio_dir.clone() {
            report.scraps += blocking(move || remove_half_written(&dir, older_than)).await;
        }
        report.scraps += self.remove_stray_journal_audio(older_than).await?;
        self.forget(now).await?;
        Ok(report)
    }

    /// Objects whose rows are gone but which could not be removed then.
    async fn finish_removals(&self) -> Result<u32, StoreError> {
        let rows =
            sqlx::query("SELECT key, swept FROM audio WHERE removed_at IS NOT NULL").fetch_all(self.0.database.reader()).await?;
        let (mut marked, mut swept) = (Vec::new(), Vec::new());
        for row in &rows {
            let keys = if row.flag("swept")? { &mut swept } else { &mut marked };
            keys.push(AudioKey::from_stored(row.text("key")?));
        }
        // Nearly always gone already.
        self.remove_marked_audio(&swept).await;
        Ok(self.remove_marked_audio(&marked).await)
    }

    /// Objects that no row has ever referred to: their deposit did not get as far.
    async fn remove_orphans(&self, now: Timestamp, older_than: Duration) -> Result<u32, StoreError> {
        let clock = chrono::DateTime::<chrono::Utc>::from(SystemTime::now());
        let folder = object_store::path::Path::from(audio::FOLDER);
        let listing = self
            .0
            .audio
            .list(Some(&folder))
            .try_filter_map(move |object| {
                let old = clock.signed_duration_since(object.last_modified).to_std().is_ok_and(|age| age >= older_than);
                ready(Ok(audio::key(&object.location).filter(|_| old)))
            })
            .try_chunks(200);
        let mut listing = std::pin::pin!(listing);
        let mut removed = 0;
        while let Some(keys) = listing.next().await {
            let keys = keys.map_err(|error| StoreError::Audio(error.1))?;
            let known = self.known_audio(&keys).await?;
            let unknown: Vec<AudioKey> = keys.into_iter().filter(|key| !known.contains(key.as_str())).collect();
            for key in &unknown {
                // Who inserts the key first decides: a deposit that comes later finds the key taken, and puts its audio anew.
                let mut transaction = self.0.database.begin().await?;
                let claimed = sqlx::query("INSERT INTO audio (key, removed_at, swept) VALUES ($1, $2, 1) ON CONFLICT DO NOTHING")
                    .bind(key.as_str())
                    .bind(now.as_millis())
                    .execute(&mut *transaction)
                    .await?;
                transaction.commit().await?;
                if claimed.rows_affected() == 1 {
                    match self.0.audio.delete(&audio::path(key)).await {
                        Ok(()) | Err(object_store::Error::NotFound { .. }) => removed += 1,
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
        Ok(removed)
    }

    async fn known_audio(&self, keys: &[AudioKey]) -> Result<HashSet<String>, StoreError> {
        let sql = format!("SELECT key FROM audio WHERE key IN ({})", placeholders(1, keys.len()));
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for key in keys {
            query = query.bind(key.as_str());
        }
        let rows = query.fetch_all(self.0.database.reader()).await?;
        Ok(rows.iter().map(|row| row.text("key")).collect::<Result<_, _>>()?)
    }

    /// Audio in the spool whose envelope is gone: of a message that is in its mailbox, or of a call that never got to its beep.
    /// Anything else is put aside for a person.
    async fn remove_stray_journal_audio(&self, older_than: Duration) -> Result<u32, StoreError> {
        let dir = self.0.spool_dir.clone();
        let strays = blocking(move || spool::stray_audio(&dir).map_err(|source| StoreError::spool(&dir, source))).await?;
        let mut removed = 0;
        for (id, path) in strays {
            if !is_old(&path, older_than) {
                continue;
            }
            let empty = fs::metadata(&path).is_ok_and(|file| file.len() == 0);
            let outcome = if empty || self.deposited(&id).await? {
                removed += 1;
                fs::remove_file(&path)
            } else {
                tracing::error!(message.id = %id, "a recording without an envelope was moved to the spool's quarantine folder");
                spool::quarantine(&path)
            };
            outcome.map_err(|source| StoreError::spool(&path, source))?;
        }
        Ok(removed)
    }

    async fn forget(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.0.database.begin().await?;
        // A journal older than a message's life is discarded anyway, so its id need not be known any more.
        sqlx::query("DELETE FROM deposited WHERE deposited_at <= $1")
            .bind(now.before(rules::MESSAGE_LIFE).before(MEMORY).as_millis())
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM passcode_attempts WHERE last_at <= $1 AND (locked_until IS NULL OR locked_until <= $2)")
            .bind(now.before(rules::MESSAGE_LIFE).as_millis())
            .bind(now.as_millis())
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM registrations WHERE expires_at <= $1").bind(now.as_millis()).execute(&mut *transaction).await?;
        sending::forget(&mut transaction, now.before(MEMORY)).await?;
        shared::forget(&mut transaction, now.before(rules::RECORD_LIFE)).await?;
        sqlx::query("DELETE FROM audio WHERE swept = 1 AND removed_at <= $1")
            .bind(now.before(MEMORY).as_millis())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Whether a message with this id was deposited, however it ended.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn was_deposited(&self, id: &MessageId) -> Result<bool, StoreError> {
        self.deposited(id).await
    }
}

/// Files that a local object store was writing when the process died. It names them `<key>.wav#<number>` and never lists them.
fn remove_half_written(dir: &Path, older_than: Duration) -> u32 {
    let mut removed = 0;
    let Ok(shards) = fs::read_dir(dir.join(audio::FOLDER)) else { return 0 };
    for shard in shards.flatten() {
        for file in fs::read_dir(shard.path()).into_iter().flatten().flatten() {
            let half = file.file_name().to_string_lossy().contains(".wav#");
            if half && is_old(&file.path(), older_than) && fs::remove_file(file.path()).is_ok() {
                removed += 1;
            }
        }
    }
    removed
}

fn is_old(path: &Path, older_than: Duration) -> bool {
    let modified = || -> io::Result<SystemTime> { fs::metadata(path)?.modified() };
    modified().is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age >= older_than))
}
