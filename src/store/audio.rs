//! Audio objects: WAVs under random keys that are never reused. Messages that were sent to several mailboxes share one.
//!
//! An object is put first and referred to afterwards, in a transaction that also adds its key to the table `audio`. It is
//! removed the other way round: the transaction marks the key, and the object goes after the commit. A crash in between leaves
//! an object too many, never one too few; the [sweep](Store::sweep_orphans) finds it.

use std::{collections::HashSet, path::Path as FilePath, sync::Arc};

use bytes::Bytes;
use futures_util::StreamExt as _;
use object_store::{ObjectStore, ObjectStoreExt as _, local::LocalFileSystem, path::Path};
use sqlx::{AnyConnection, any::AnyRow};

use super::{
    Store, StoreError,
    database::{Columns as _, placeholders},
    spool,
};
use crate::domain::{id::AudioKey, time::Timestamp};

/// The folder of all audio inside the object store.
pub(super) const FOLDER: &str = "audio";

/// Audio objects as files below `folder`, which is made if it is missing. A file is durable, and its name as well, when
/// [`put`](ObjectStore::put) returns.
///
/// # Errors
///
/// [`StoreError::Spool`] when the folder can be neither made nor used.
pub fn local(folder: &FilePath) -> Result<Arc<dyn ObjectStore>, StoreError> {
    spool::make_private_dir(folder)?;
    Ok(Arc::new(LocalFileSystem::new_with_prefix(folder)?.with_fsync(true)))
}

impl Store {
    /// The WAV under `key`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Audio`] when it is not there or cannot be read.
    pub async fn audio(&self, key: &AudioKey) -> Result<Bytes, StoreError> {
        Ok(self.0.audio.get(&path(key)).await?.bytes().await?)
    }

    /// Puts a WAV under a new key; durable when this returns.
    pub(super) async fn put_audio(&self, wav: Vec<u8>) -> Result<AudioKey, StoreError> {
        let key = AudioKey::random();
        self.0.audio.put(&path(&key), wav.into()).await?;
        Ok(key)
    }

    /// Removes an object that no row has ever referred to. If that fails the sweep will do it.
    pub(super) async fn drop_unused_audio(&self, key: &AudioKey) {
        if let Err(error) = self.0.audio.delete(&path(key)).await {
            tracing::warn!(audio.key = %key, error = &error as &dyn std::error::Error, "unused audio was left behind");
        }
    }

    /// Removes those objects whose keys a committed transaction has marked; those that cannot be removed now stay marked.
    ///
    /// Answers how many are gone.
    pub(super) async fn remove_marked_audio(&self, keys: &[AudioKey]) -> u32 {
        let marked = match self.marked_audio(keys).await {
            Ok(marked) => marked,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "audio was left behind");
                return 0;
            }
        };
        let keys: Vec<AudioKey> = keys.iter().filter(|key| marked.contains(key.as_str())).cloned().collect();
        // Made before they are awaited: a closure over borrowed keys would not be `Send` for every lifetime.
        let removals: Vec<_> = keys.iter().map(|key| self.remove_object(key)).collect();
        let removed: Vec<Option<&AudioKey>> = futures_util::stream::iter(removals).buffer_unordered(8).collect().await;
        let removed: Vec<&AudioKey> = removed.into_iter().flatten().collect();
        for some in removed.chunks(500) {
            if let Err(error) = self.forget_audio(some).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "removed audio stays on the list of what to remove");
            }
        }
        u32::try_from(removed.len()).unwrap_or(u32::MAX)
    }

    /// Those of the keys that no row refers to any more.
    async fn marked_audio(&self, keys: &[AudioKey]) -> Result<HashSet<String>, sqlx::Error> {
        let mut marked = HashSet::new();
        for some in keys.chunks(500) {
            let list = placeholders(1, some.len());
            let sql = format!("SELECT key FROM audio WHERE removed_at IS NOT NULL AND key IN ({list})");
            let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
            for key in some {
                query = query.bind(key.as_str());
            }
            for row in &query.fetch_all(self.0.database.reader()).await? {
                marked.insert(row.text("key")?);
            }
        }
        Ok(marked)
    }

    async fn remove_object<'key>(&self, key: &'key AudioKey) -> Option<&'key AudioKey> {
        match self.0.audio.delete(&path(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Some(key),
            Err(error) => {
                tracing::warn!(audio.key = %key, error = &error as &dyn std::error::Error, "audio was left behind");
                None
            }
        }
    }

    async fn forget_audio(&self, keys: &[&AudioKey]) -> Result<(), sqlx::Error> {
        let mut transaction = self.0.database.begin().await?;
        let sql =
            format!("DELETE FROM audio WHERE removed_at IS NOT NULL AND swept = 0 AND key IN ({})", placeholders(1, keys.len()));
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for key in keys {
            query = query.bind(key.as_str());
        }
        query.execute(&mut *transaction).await?;
        transaction.commit().await
    }
}

/// The objects of a message, from its columns `audio` and `original_audio`.
pub(super) fn keys(row: &AnyRow) -> Result<Vec<AudioKey>, sqlx::Error> {
    let keys = std::iter::once(row.text("audio")?).chain(row.maybe_text("original_audio")?);
    Ok(keys.map(AudioKey::from_stored).collect())
}

/// Adds the key of a new object that is about to be referred to. Fails when the object has been swept.
pub(super) async fn claim(connection: &mut AnyConnection, key: &AudioKey) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO audio (key, swept) VALUES ($1, 0)").bind(key.as_str()).execute(connection).await?;
    Ok(())
}

/// Lets one row more refer to an object that rows refer to already: it is removed with the last of them.
///
/// # Errors
///
/// [`sqlx::Error::RowNotFound`] when none refers to it any more.
pub(super) async fn share(connection: &mut AnyConnection, key: &AudioKey) -> Result<(), sqlx::Error> {
    let shared = sqlx::query("UPDATE audio SET uses = uses + 1 WHERE key = $1 AND removed_at IS NULL")
        .bind(key.as_str())
        .execute(connection)
        .await?;
    if shared.rows_affected() == 0 { Err(sqlx::Error::RowNotFound) } else { Ok(()) }
}

/// Notes that one row less refers to an object. When it was the last, the object is marked, to be removed after the commit.
///
/// Whoever marks several in one transaction does so in order of their keys, so that two never wait for each other.
pub(super) async fn mark_removed(connection: &mut AnyConnection, key: &AudioKey, now: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE audio SET uses = uses - 1, removed_at = CASE WHEN uses <= 1 THEN $2 ELSE removed_at END
         WHERE key = $1 AND removed_at IS NULL",
    )
    .bind(key.as_str())
    .bind(now.as_millis())
    .execute(connection)
    .await?;
    Ok(())
}

/// Two characters of the key make a folder, so that no folder grows beyond what file systems like.
pub(super) fn path(key: &AudioKey) -> Path {
    let key = key.as_str();
    let shard = key.get(..2).unwrap_or("__");
    Path::from_iter([FOLDER, shard, &format!("{key}.wav")])
}

/// The key of an object found at `path`, if it is one of ours.
pub(super) fn key(path: &Path) -> Option<AudioKey> {
    Some(AudioKey::from_stored(path.filename()?.strip_suffix(".wav")?))
}
