//! The store on SQLite and on PostgreSQL: every test here runs on both.

use std::{
    fmt, fs,
    io::Write as _,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use afterbeep::{
    domain::{
        caller::Caller,
        id::{CallId, MailboxId, MessageId},
        mailbox::Mailbox,
        message::Message,
        passcode::Passcode,
        time::{TimeZone, Timestamp},
    },
    store::{
        Store, StoreConfig, audio,
        deposit::{DepositError, Deposited},
        journal::{Encoding, Envelope, Journal},
        mailbox::NewMailbox,
        sqlite_url,
    },
};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, path,
};
use sqlx::{Connection as _, Executor as _};

use crate::support::postgres;

mod access;
mod calendar;
mod called;
mod cleanup;
mod credentials;
mod deleted;
mod deposit;
mod destinations;
mod distribution;
mod greetings;
mod lines;
mod listing;
mod mailbox_log;
mod mailboxes;
mod messages;
mod outbox;
mod passcodes;
mod records;
mod sending;
mod several;
mod shared;
mod spool;
mod subscriptions;

/// Makes a test of each function for each database.
macro_rules! on_both_databases {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::store::House::on_sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                if let Some(house) = crate::store::House::on_postgres().await {
                    super::$name(house).await;
                }
            })*
        }
    };
}
pub(crate) use on_both_databases;

pub const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub const DAY: Duration = Duration::from_hours(24);

/// A store with folders of its own, and ways to break it.
pub struct House {
    pub store: Store,
    pub database_url: String,
    pub audio: Arc<FaultyAudio>,
    dir: tempfile::TempDir,
}

impl House {
    pub async fn on_sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = sqlite_url(&dir.path().join("a name with spaces, 100% ü.db"));
        Self::open(dir, url).await
    }

    pub async fn on_postgres() -> Option<Self> {
        let url = postgres::new_database().await?;
        Some(Self::open(tempfile::tempdir().unwrap(), url).await)
    }

    async fn open(dir: tempfile::TempDir, database_url: String) -> Self {
        let audio =
            Arc::new(FaultyAudio { inner: audio::local(&dir.path().join("audio")).unwrap(), down: AtomicBool::new(false) });
        let store = Store::open(config(dir.path(), &database_url, &audio)).await.unwrap();
        Self { store, database_url, audio, dir }
    }

    /// Another process on the same database and folders.
    pub async fn another(&self) -> Store {
        Store::open(config(self.dir.path(), &self.database_url, &self.audio)).await.unwrap()
    }

    /// Another node: the same database and audio, a spool of its own.
    pub async fn another_node(&self) -> Store {
        let mut config = config(self.dir.path(), &self.database_url, &self.audio);
        config.spool_dir = self.dir.path().join("another spool");
        Store::open(config).await.unwrap()
    }

    /// Another node, with a name of its own.
    pub async fn another_named(&self, node: &str) -> Store {
        let mut config = config(self.dir.path(), &self.database_url, &self.audio);
        config.spool_dir = self.dir.path().join(node);
        config.node = node.to_owned();
        Store::open(config).await.unwrap()
    }

    /// Another process on the same database and folders, whose operator wants no messages in which nobody speaks.
    pub async fn another_that_keeps_no_silence(&self) -> Store {
        let config = config(self.dir.path(), &self.database_url, &self.audio);
        Store::open(StoreConfig { keep_silent: false, ..config }).await.unwrap()
    }

    pub fn spool(&self) -> PathBuf {
        self.dir.path().join("spool")
    }

    /// Names of the files in the spool, but its lock.
    pub fn spooled_files(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(self.spool()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != "lock");
        names.sort();
        names
    }

    /// Names of all audio files.
    pub fn audio_files(&self) -> Vec<PathBuf> {
        fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { walk(&path, found) } else { found.push(path) }
            }
        }
        let mut found = Vec::new();
        walk(&self.dir.path().join("audio"), &mut found);
        found
    }

    /// Runs a statement behind the store's back.
    pub async fn sql(&self, statement: &'static str) {
        let mut connection = sqlx::AnyConnection::connect(&self.database_url).await.unwrap();
        connection.execute(statement).await.unwrap();
        connection.close().await.unwrap();
    }

    /// A mailbox with an address, voice-to-email off.
    pub async fn mailbox(&self, number: &str) -> Mailbox {
        self.store.create_mailbox(new_mailbox(number), NOW).await.unwrap()
    }

    pub async fn journal(&self, mailbox: &MailboxId, recorded: &[u8]) -> Journal {
        journal(&self.store, mailbox, recorded).await
    }

    /// A three-second message that ended at `at`.
    pub async fn deposit(&self, mailbox: &MailboxId, at: Timestamp) -> Message {
        deposit(&self.store, mailbox, at).await.unwrap().message
    }

    /// Puts `count` messages without audio into a mailbox, all at once.
    pub async fn crowd(&self, mailbox: &MailboxId, count: u32) {
        let (now, end) = (NOW.as_millis(), NOW.after(DAY).as_millis());
        let sql = format!(
            "INSERT INTO messages (id, mailbox_id, deposited_at, stamp_at, expires_at, duration_ms, audio, interrupted, version)
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count})
             SELECT '{mailbox}' || n, '{mailbox}', {now}, {now}, {end}, 3000, '{mailbox}' || n, 0, 1 FROM n"
        );
        let mut connection = sqlx::AnyConnection::connect(&self.database_url).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Adds the mailboxes `2` to `count` of the default tenant, with ids like `m2`, all at once; nobody can log in.
    pub async fn add_mailboxes(&self, count: u32) {
        let sql = format!(
            "INSERT INTO mailboxes (id, tenant, number, name, time_zone, language, enabled, enrolled, passcode_hash, fullness_told,
                                    remote_failures, deposit_turn, created_at)
             WITH RECURSIVE n (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < {count})
             SELECT 'm' || n, '', 'm' || n, '', 'UTC', 'en', 1, 1, '', 0, 0, 0, 0 FROM n"
        );
        let mut connection = sqlx::AnyConnection::connect(&self.database_url).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Fills a mailbox with `count` messages, quickly.
    pub async fn fill(&self, mailbox: &MailboxId, count: u32) {
        futures_util::stream::iter(0..count)
            .map(|n| deposit(&self.store, mailbox, NOW.after(Duration::from_millis(n.into()))))
            .buffer_unordered(8)
            .for_each(async |deposited| drop(deposited.unwrap()))
            .await;
    }
}

fn config(dir: &Path, database_url: &str, audio: &Arc<FaultyAudio>) -> StoreConfig {
    let audio: Arc<dyn ObjectStore> = Arc::<FaultyAudio>::clone(audio);
    StoreConfig {
        database_url: database_url.to_owned(),
        audio,
        audio_dir: Some(dir.join("audio")),
        spool_dir: dir.join("spool"),
        node: "test".to_owned(),
        shortest_message: Duration::from_secs(2),
        clean_audio: true,
        keep_silent: true,
        keep_records: 30 * DAY,
    }
}

pub fn new_mailbox(number: &str) -> NewMailbox {
    NewMailbox {
        tenant: String::new(),
        number: number.parse().unwrap(),
        aliases: Vec::new(),
        name: "Ann Lee".to_owned(),
        email: Some("ann@example.com".to_owned()),
        voice_to_email: false,
        time_zone: TimeZone::UTC,
        language: "en".to_owned(),
        passcode: passcode("49158730"),
    }
}

pub fn passcode(digits: &str) -> Passcode {
    Passcode::typed(digits).unwrap()
}

pub fn envelope(mailbox: &MailboxId) -> Envelope {
    Envelope {
        message: MessageId::random(),
        mailbox: mailbox.clone(),
        also: Vec::new(),
        caller: Caller { number: Some("2025550143".to_owned()), name: Some("Zoë".to_owned()) },
        started_at: NOW,
        called: None,
        encoding: Encoding::Mulaw,
        verified: false,
        call: CallId::random(),
    }
}

pub async fn journal(store: &Store, mailbox: &MailboxId, recorded: &[u8]) -> Journal {
    let journal = store.create_journal(envelope(mailbox)).await.unwrap();
    journal.audio_file().unwrap().write_all(recorded).unwrap();
    journal
}

pub async fn deposit(store: &Store, mailbox: &MailboxId, at: Timestamp) -> Result<Deposited, DepositError> {
    let journal = journal(store, mailbox, &[0x9a; 24_000]).await;
    store.deposit(journal, Duration::from_secs(3), at, false).await
}

/// An object store that can be down.
#[derive(Debug)]
pub struct FaultyAudio {
    inner: Arc<dyn ObjectStore>,
    down: AtomicBool,
}

impl FaultyAudio {
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    fn check(&self) -> object_store::Result<()> {
        if self.down.load(Ordering::SeqCst) {
            return Err(object_store::Error::Generic { store: "faulty", source: "it is down".into() });
        }
        Ok(())
    }
}

impl fmt::Display for FaultyAudio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty")
    }
}

#[async_trait]
impl ObjectStore for FaultyAudio {
    async fn put_opts(&self, location: &path::Path, payload: PutPayload, opts: PutOptions) -> object_store::Result<PutResult> {
        self.check()?;
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &path::Path,
        opts: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.check()?;
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &path::Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.check()?;
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &path::Path, ranges: &[Range<u64>]) -> object_store::Result<Vec<Bytes>> {
        self.check()?;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<path::Path>>,
    ) -> BoxStream<'static, object_store::Result<path::Path>> {
        match self.check() {
            Ok(()) => self.inner.delete_stream(locations),
            Err(error) => futures_util::stream::iter([Err(error)]).boxed(),
        }
    }

    fn list(&self, prefix: Option<&path::Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        match self.check() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => futures_util::stream::iter([Err(error)]).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&path::Path>) -> object_store::Result<ListResult> {
        self.check()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &path::Path, to: &path::Path, options: CopyOptions) -> object_store::Result<()> {
        self.check()?;
        self.inner.copy_opts(from, to, options).await
    }
}
