//! SQL rows and audio objects; the deposit transaction; the outbox; passcode attempts; what the calendar needs.
//!
//! [`Store`] is the only way in; each file here adds the questions of one subject to it. Decisions are `domain`'s: this folder
//! waits for disks and databases, and compares with no number of the service. It does not deliver anything, and knows no call.
//! Start with [`journal`], which holds a recording while it is made, then [`deposit`], which turns it into a message.

pub mod journal;
pub mod deposit;
pub mod spool;
pub mod audio;
pub mod message;
pub mod listing;
pub mod copy;
pub mod deleted;
pub mod mailbox;
pub mod access;
pub mod line;
pub mod registration;
pub mod screening;
pub mod destination;
pub mod credential;
mod hash;
pub mod passcode;
mod enrolment;
pub mod greeting;
pub mod distribution;
mod several;
pub mod sending;
pub mod shared;
pub mod tenant_phrase;
pub mod mailbox_log;
pub mod outbox;
pub mod subscription;
pub mod cleanup;
pub mod calendar;
pub mod record;
mod wav;
mod cleaning;
mod database;

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use object_store::ObjectStore;
use tokio::sync::{Notify, Semaphore, mpsc};

use crate::domain::rules;
use database::Database;

/// Where everything is kept.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// `sqlite:///path/to/file.db` or `postgres://user@host/database`.
    pub database_url: String,
    /// Audio objects. What [`put`](ObjectStore::put) has accepted must be durable; see [`audio::local`].
    pub audio: Arc<dyn ObjectStore>,
    /// The folder behind `audio` when it is local, so that half-written files can be swept from it.
    pub audio_dir: Option<PathBuf>,
    /// The folder of journals: a local disk, one folder a node.
    pub spool_dir: PathBuf,
    /// This node's name, as leases and journals show it.
    pub node: String,
    /// The shortest recording that becomes a message.
    pub shortest_message: Duration,
    /// Whether messages are cleaned: brought to the level of the prompts, and freed of tones and silence at their end.
    pub clean_audio: bool,
    /// Whether a message in which nobody says anything is kept.
    pub keep_silent: bool,
    /// How long call records are kept; zero for no records at all.
    pub keep_records: Duration,
}

impl StoreConfig {
    /// Everything below one folder, which is made if it is missing: `afterbeep.db`, `audio`, `spool`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Spool`] when a folder can be neither made nor opened.
    pub fn local(data_dir: &Path) -> Result<Self, StoreError> {
        let audio_dir = data_dir.join("audio");
        spool::make_private_dir(data_dir)?;
        Ok(Self {
            database_url: sqlite_url(&data_dir.join("afterbeep.db")),
            audio: audio::local(&audio_dir)?,
            audio_dir: Some(audio_dir),
            spool_dir: data_dir.join("spool"),
            node: "local".to_owned(),
            shortest_message: Duration::from_secs(2),
            clean_audio: true,
            keep_silent: true,
            keep_records: rules::RECORD_LIFE,
        })
    }
}

/// The URL of a SQLite file, whatever characters its path has.
#[must_use]
pub fn sqlite_url(file: &Path) -> String {
    let mut url = "sqlite://".to_owned();
    for byte in file.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => url.push(char::from(*byte)),
            other => url.push_str(&format!("%{other:02X}")),
        }
    }
    url
}

pub use spool::make_private_dir;

/// The store. Clones share everything.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    database: Database,
    audio: Arc<dyn ObjectStore>,
    audio_dir: Option<PathBuf>,
    spool_dir: PathBuf,
    node: String,
    shortest_message: Duration,
    clean_audio: bool,
    keep_silent: bool,
    keep_records: Duration,
    /// Deposits on their way to the one writer that groups them into transactions.
    deposits: mpsc::Sender<deposit::Pending>,
    /// Attempts from one source take turns.
    attempts: passcode::Turns,
    /// How many passcodes are hashed at once.
    hashing: Arc<Semaphore>,
    outbox_grew: Notify,
    sendings_grew: Notify,
    lamps_changed: Notify,
    /// Held from [`Store::recover`] on: the folder's lock file.
    spool_lock: std::sync::Mutex<Option<std::fs::File>>,
    /// Retries of the spool take turns.
    spool_turn: tokio::sync::Mutex<()>,
}

impl Store {
    /// Opens the database, bringing its schema up to date, and makes the spool folder.
    ///
    /// Journals left by an earlier run are not touched: that is [`Store::recover`], for the server only.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] or [`StoreError::Migration`] when the database cannot be used, [`StoreError::Spool`] when the
    /// spool cannot.
    pub async fn open(config: StoreConfig) -> Result<Self, StoreError> {
        spool::make_private_dir(&config.spool_dir)?;
        let database = Database::open(&config.database_url).await?;
        let (deposits, pending) = mpsc::channel(1024);
        tokio::spawn(deposit::write_in_groups(database.clone(), pending));
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self(Arc::new(Inner {
            database,
            audio: config.audio,
            audio_dir: config.audio_dir,
            spool_dir: config.spool_dir,
            node: config.node,
            shortest_message: config.shortest_message,
            clean_audio: config.clean_audio,
            keep_silent: config.keep_silent,
            keep_records: config.keep_records,
            deposits,
            attempts: passcode::Turns::default(),
            hashing: Arc::new(Semaphore::new(processors)),
            outbox_grew: Notify::new(),
            sendings_grew: Notify::new(),
            lamps_changed: Notify::new(),
            spool_lock: std::sync::Mutex::new(None),
            spool_turn: tokio::sync::Mutex::new(()),
        })))
    }

    /// The name of this node.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.0.node
    }

    /// The setting [`StoreConfig::shortest_message`].
    #[must_use]
    pub fn shortest_message(&self) -> Duration {
        self.0.shortest_message
    }

    /// The setting [`StoreConfig::keep_records`].
    #[must_use]
    pub fn keep_records(&self) -> Duration {
        self.0.keep_records
    }

    /// Whether the database answers.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`] when it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.0.database.ping().await
    }
}

/// Something the store needs is not there. Whoever asked may ask again later.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused, or cannot be reached.
    #[error("the database could not be used")]
    Database(#[from] sqlx::Error),
    /// The database did not confirm a commit, which may have taken effect or not.
    #[error("the database did not confirm that it saved")]
    Commit(#[source] Arc<sqlx::Error>),
    /// The database cannot be written to at the moment.
    #[error("the database takes no deposits")]
    Busy(#[source] Arc<sqlx::Error>),
    /// The database or the audio store neither works nor fails.
    #[error("{0} did not answer in time")]
    Silent(&'static str),
    /// A message that was accepted does not fit into its mailbox any more.
    #[error("the mailbox is full; what its caller was told is sent waits for room")]
    NoRoom,
    /// The schema could not be brought up to date.
    #[error("the database's schema could not be brought up to date")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The object store refused, or cannot be reached.
    #[error("the audio store could not be used")]
    Audio(#[from] object_store::Error),
    /// A folder or file of the spool cannot be used.
    #[error("{path} could not be used")]
    Spool {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another server works on this spool.
    #[error("the spool {0} belongs to another running server; give each server a spool of its own")]
    SpoolInUse(PathBuf),
    /// A row holds something this version cannot read.
    #[error("{what} in the database cannot be read")]
    Unreadable {
        /// Table and column.
        what: &'static str,
    },
    /// Hashing a passcode failed.
    #[error("the passcode could not be hashed")]
    Hash,
}

impl StoreError {
    fn spool(path: &Path, source: io::Error) -> Self {
        Self::Spool { path: path.to_owned(), source }
    }
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// Somebody else changed it first: read it again, then decide again.
    #[error("it was changed by somebody else in the meantime")]
    Conflict,
    /// It does not exist (any more).
    #[error("it does not exist any more")]
    Gone,
    /// The store could not be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for ChangeError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}
