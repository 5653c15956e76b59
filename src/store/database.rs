//! One pool of connections to SQLite or PostgreSQL, and writing transactions on it.

use std::{
    ops::{Deref, DerefMut},
    sync::Once,
    time::Duration,
};

use sqlx::{
    Any, AnyConnection, AnyPool, Connection as _, Executor as _, Row as _, SqlSafeStr as _, Transaction,
    any::{AnyPoolOptions, AnyRow},
    migrate::{Migration, MigrationType, Migrator},
};

use super::StoreError;
use crate::domain::time::Timestamp;

/// How long a transaction waits for its turn before the database counts as unreachable.
const PATIENCE: Duration = Duration::from_secs(10);

/// A database. Clones share its connections.
#[derive(Clone)]
pub(super) struct Database {
    readers: AnyPool,
    /// On SQLite a single connection, so that writers of this process take turns in order, without busy-waiting; `BEGIN
    /// IMMEDIATE` and the busy time-out settle it with other processes. On PostgreSQL the same pool as `readers`.
    writers: AnyPool,
    kind: Kind,
}

/// What differs between the databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
}

impl Database {
    pub(super) async fn open(url: &str) -> Result<Self, StoreError> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        if url.starts_with("sqlite:") {
            let url = match url {
                _ if url.contains("mode=") => url.to_owned(),
                _ if url.contains('?') => format!("{url}&mode=rwc"),
                _ => format!("{url}?mode=rwc"),
            };
            let writers = sqlite_pool(1).connect(&url).await?;
            migrate(&writers, Kind::Sqlite).await?;
            let readers = sqlite_pool(4).connect(&url).await?;
            Ok(Self { readers, writers, kind: Kind::Sqlite })
        } else {
            let pool = AnyPoolOptions::new().max_connections(16).acquire_timeout(PATIENCE).connect(url).await?;
            migrate(&pool, Kind::Postgres).await?;
            Ok(Self { readers: pool.clone(), writers: pool, kind: Kind::Postgres })
        }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// The pool to read from.
    pub(super) fn reader(&self) -> &AnyPool {
        &self.readers
    }

    /// Begins a transaction that writes. Dropping it rolls back.
    pub(super) async fn begin(&self) -> Result<Write, sqlx::Error> {
        let begin = match self.kind {
            // A plain BEGIN takes the write lock only at the first write, and then fails if another process was quicker.
            Kind::Sqlite => "BEGIN IMMEDIATE",
            Kind::Postgres => "BEGIN",
        };
        self.writers.begin_with(begin).await.map(Write)
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").fetch_all(&self.readers).await?;
        Ok(())
    }
}

/// A writing transaction.
pub(super) struct Write(Transaction<'static, Any>);

impl Write {
    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        self.0.commit().await
    }
}

impl Deref for Write {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        &self.0
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        &mut self.0
    }
}

fn sqlite_pool(connections: u32) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        // A full disk makes SQLite roll back by itself; the driver still waits for a transaction to end, and begins no other.
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        .after_connect(|connection, _| {
            Box::pin(async move {
                // The time-out comes first, so that switching to WAL waits for another process that does the same. FULL makes
                // every commit durable: with NORMAL a power cut can undo what a caller was told is saved.
                connection
                    .execute(
                        "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                         PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;",
                    )
                    .await?;
                Ok(())
            })
        })
}

async fn migrate(pool: &AnyPool, kind: Kind) -> Result<(), StoreError> {
    let mut migrator = Migrator::with_migrations(vec![
        migration(1, "first", include_str!("../../migrations/0001_first.sql")),
        migration(2, "lines", include_str!("../../migrations/0002_lines.sql")),
        migration(3, "subscriptions", include_str!("../../migrations/0003_subscriptions.sql")),
        migration(4, "access", include_str!("../../migrations/0004_access.sql")),
        migration(5, "call records", include_str!("../../migrations/0005_call_records.sql")),
        migration(6, "forward greetings", include_str!("../../migrations/0006_forward_greetings.sql")),
        migration(7, "marks", include_str!("../../migrations/0007_marks.sql")),
        migration(8, "listening", include_str!("../../migrations/0008_listening.sql")),
        migration(9, "sending", include_str!("../../migrations/0009_sending.sql")),
        migration(10, "greetings", include_str!("../../migrations/0010_greetings.sql")),
        migration(11, "transfers", include_str!("../../migrations/0011_transfers.sql")),
        migration(12, "preferences", include_str!("../../migrations/0012_preferences.sql")),
        migration(14, "called lists", include_str!("../../migrations/0014_called_lists.sql")),
        migration(19, "shared actions", include_str!("../../migrations/0019_shared_actions.sql")),
        migration(20, "deleted lists", include_str!("../../migrations/0020_deleted_lists.sql")),
        migration(21, "previous ends", include_str!("../../migrations/0021_previous_ends.sql")),
        migration(22, "turns", include_str!("../../migrations/0022_turns.sql")),
    ]);
    // A newer release may have added tables already: an older node beside it, in a rolling upgrade, goes on.
    migrator.set_ignore_missing(true);
    match kind {
        Kind::Postgres => migrator.run(pool).await?,
        Kind::Sqlite => {
            // SQLite has no migration lock of its own: a command and a server that start together take turns here.
            let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
            migrator.run_direct(None, &mut *transaction, false).await?;
            transaction.commit().await?;
        }
    }
    Ok(())
}

fn migration(version: i64, name: &'static str, sql: &'static str) -> Migration {
    Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
}

/// Reading columns into our types.
pub(super) trait Columns {
    fn text(&self, column: &str) -> Result<String, sqlx::Error>;
    fn maybe_text(&self, column: &str) -> Result<Option<String>, sqlx::Error>;
    fn integer(&self, column: &str) -> Result<i64, sqlx::Error>;
    fn maybe_integer(&self, column: &str) -> Result<Option<i64>, sqlx::Error>;

    fn flag(&self, column: &str) -> Result<bool, sqlx::Error> {
        Ok(self.integer(column)? != 0)
    }

    /// A count that cannot be negative or beyond `u32`.
    fn count(&self, column: &str) -> Result<u32, sqlx::Error> {
        Ok(u32::try_from(self.integer(column)?.max(0)).unwrap_or(u32::MAX))
    }

    fn moment(&self, column: &str) -> Result<Timestamp, sqlx::Error> {
        self.integer(column).map(Timestamp::from_millis)
    }

    fn maybe_moment(&self, column: &str) -> Result<Option<Timestamp>, sqlx::Error> {
        Ok(self.maybe_integer(column)?.map(Timestamp::from_millis))
    }
}

impl Columns for AnyRow {
    fn text(&self, column: &str) -> Result<String, sqlx::Error> {
        self.try_get(column)
    }

    fn maybe_text(&self, column: &str) -> Result<Option<String>, sqlx::Error> {
        self.try_get(column)
    }

    fn integer(&self, column: &str) -> Result<i64, sqlx::Error> {
        self.try_get(column)
    }

    fn maybe_integer(&self, column: &str) -> Result<Option<i64>, sqlx::Error> {
        self.try_get(column)
    }
}

/// From here to the commit, those who change `what` take turns: each sees what the one before has changed. Taken before anything else, so
/// that nobody who has the turn waits for somebody who waits for it.
pub(super) async fn take_turn(connection: &mut AnyConnection, what: &'static str) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE turns SET turn = turn + 1 WHERE what = $1").bind(what).execute(connection).await?;
    Ok(())
}

/// `$1, $2, …` for `count` values, numbered from `first`.
pub(super) fn placeholders(first: usize, count: usize) -> String {
    let list: Vec<String> = (first..first + count).map(|n| format!("${n}")).collect();
    list.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_commit_on_sqlite_reaches_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(&super::super::sqlite_url(&dir.path().join("a.db"))).await.unwrap();

        for pool in [&database.readers, &database.writers] {
            let full = sqlx::query("PRAGMA synchronous").fetch_one(pool).await.unwrap();
            let mode = sqlx::query("PRAGMA journal_mode").fetch_one(pool).await.unwrap();
            assert_eq!((full.integer("synchronous").unwrap(), mode.text("journal_mode").unwrap().as_str()), (2, "wal"));
        }
    }

    #[tokio::test]
    async fn a_dropped_transaction_changes_nothing_and_frees_the_writer() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(&super::super::sqlite_url(&dir.path().join("a.db"))).await.unwrap();

        let mut dropped = database.begin().await.unwrap();
        sqlx::query("INSERT INTO clock (id, seen_at) VALUES (1, 5)").execute(&mut *dropped).await.unwrap();
        drop(dropped);
        let kept = database.begin().await.unwrap();
        kept.commit().await.unwrap();

        assert_eq!(sqlx::query("SELECT * FROM clock").fetch_all(database.reader()).await.unwrap().len(), 0);
    }

    #[tokio::test]
    async fn a_transaction_that_sqlite_rolled_back_by_itself_stops_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let database = Database::open(&super::super::sqlite_url(&dir.path().join("a.db"))).await.unwrap();

        let mut broken = database.begin().await.unwrap();
        sqlx::query("ROLLBACK").execute(&mut *broken).await.unwrap();
        drop(broken);

        database.begin().await.expect("another transaction").commit().await.unwrap();
    }
}
