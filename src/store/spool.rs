//! The spool: recordings on this node that are not messages yet.
//!
//! At start-up, and again whenever the store was down, every journal that nobody owns is brought to its end: a sealed one as its
//! caller left it, one without a seal (its server died) as an *interrupted* message. What cannot be read is moved to the folder
//! `quarantine` for a person to look at, never deleted.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use futures_util::StreamExt as _;

use super::{
    Store, StoreError,
    deposit::{Attempt, DepositError},
    journal::{self, AUDIO, Adoption, ENVELOPE, Journal, UNFINISHED, blocking},
};
use crate::domain::{id::MessageId, time::Timestamp};

const LOCK: &str = "lock";
const QUARANTINE: &str = "quarantine";

/// Free space that must be there before a caller is asked to speak: hundreds of the longest messages.
const SPARE_BYTES: u64 = 256 * 1024 * 1024;

/// What became of the journals that nobody owned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolReport {
    /// Became messages, or were found to be messages already.
    pub deposited: u32,
    /// Discarded, each with its reason in the log: too short, mailbox full or gone.
    pub discarded: u32,
    /// Still waiting, because something is down.
    pub waiting: u32,
    /// Could not be read, or are older than any message, and were put aside.
    pub quarantined: u32,
}

impl Store {
    /// Takes this spool for this server, until the store is dropped, and does what [`retry_spool`](Self::retry_spool) does.
    /// New journals may be made meanwhile.
    ///
    /// # Errors
    ///
    /// [`StoreError::SpoolInUse`] when another server has it; [`StoreError::Spool`] when it cannot be read.
    pub async fn recover(&self, now: Timestamp) -> Result<SpoolReport, StoreError> {
        let dir = self.0.spool_dir.clone();
        let lock = blocking(move || lock_spool(&dir)).await?;
        *self.0.spool_lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(lock);
        let dir = self.0.spool_dir.clone();
        blocking(move || remove_scraps(&dir)).await;
        self.retry_spool(now).await
    }

    /// Brings every journal to its end that nobody owns.
    ///
    /// # Errors
    ///
    /// [`StoreError::Spool`] when the folder cannot be read. What is wrong with one journal is logged, and it waits.
    pub async fn retry_spool(&self, now: Timestamp) -> Result<SpoolReport, StoreError> {
        let _turn = self.0.spool_turn.lock().await;
        let dir = self.0.spool_dir.clone();
        let envelopes = blocking(move || files(&dir, ENVELOPE).map_err(|source| StoreError::spool(&dir, source))).await?;
        let report = futures_util::stream::iter(envelopes)
            .map(|path| self.retry_one(path, now))
            .buffer_unordered(8)
            .fold(SpoolReport::default(), async |mut report, end| {
                match end {
                    End::Deposited => report.deposited += 1,
                    End::Discarded => report.discarded += 1,
                    End::Waiting => report.waiting += 1,
                    End::Quarantined => report.quarantined += 1,
                    End::NotOurs => {}
                }
                report
            })
            .await;
        Ok(report)
    }

    /// How many journals are in the spool, whoever owns them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Spool`] when the folder cannot be read.
    pub async fn spooled(&self) -> Result<u32, StoreError> {
        let dir = self.0.spool_dir.clone();
        let envelopes = blocking(move || files(&dir, ENVELOPE).map_err(|source| StoreError::spool(&dir, source))).await?;
        Ok(u32::try_from(envelopes.len()).unwrap_or(u32::MAX))
    }

    /// Whether the spool can take a recording: to be asked before a caller is invited to speak.
    ///
    /// # Errors
    ///
    /// [`StoreError::Spool`] when the disk is nearly full, read-only or gone.
    pub async fn check_spool(&self) -> Result<(), StoreError> {
        let dir = self.0.spool_dir.clone();
        blocking(move || {
            let check = || {
                let space = rustix::fs::statvfs(&dir)?;
                if space.f_bavail.saturating_mul(space.f_frsize) < SPARE_BYTES {
                    return Err(io::Error::from(io::ErrorKind::StorageFull));
                }
                if space.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
                    return Err(io::Error::from(io::ErrorKind::ReadOnlyFilesystem));
                }
                rustix::fs::access(&dir, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)?;
                Ok(())
            };
            check().map_err(|source| StoreError::spool(&dir, source))
        })
        .await
    }

    async fn retry_one(&self, path: PathBuf, now: Timestamp) -> End {
        let adopting = path.clone();
        let adopted = blocking(move || Journal::adopt(&adopting)).await;
        let journal = match adopted {
            Ok(Adoption::Adopted(journal)) => *journal,
            Ok(Adoption::Owned | Adoption::Gone) => return End::NotOurs,
            Ok(Adoption::Corrupt(lock)) => return put_aside(path, lock).await,
            Err(source) => return wait(&path, &source),
        };
        let (journal, seal) = blocking(move || {
            let seal = journal.seal().map_or_else(|| journal.seal_as_found(), Ok);
            (journal, seal)
        })
        .await;
        let seal = match seal {
            Ok(seal) => seal,
            Err(source) => return wait(&path, &source),
        };
        match self.settle(journal, seal, now, Attempt::Again).await {
            Ok(_) => End::Deposited,
            Err(DepositError::Later(error)) => {
                tracing::error!(path = %path.display(), error = &error as &dyn std::error::Error,
                    "a message waits in the spool until the store can take it");
                End::Waiting
            }
            Err(DepositError::Expired) => End::Quarantined,
            Err(DepositError::MailboxFull | DepositError::TooShort | DepositError::NothingSaid | DepositError::Pointless) => {
                End::Discarded
            }
        }
    }
}

enum End {
    Deposited,
    Discarded,
    Waiting,
    Quarantined,
    NotOurs,
}

fn wait(path: &Path, source: &io::Error) -> End {
    tracing::error!(path = %path.display(), error = source as &dyn std::error::Error, "a journal could not be read, and waits");
    End::Waiting
}

/// Moves an envelope that cannot be read, and its audio, out of the way.
async fn put_aside(envelope: PathBuf, lock: File) -> End {
    let shown = envelope.display().to_string();
    let moved: io::Result<()> = blocking(move || {
        journal::put_aside(&envelope)?;
        drop(lock);
        Ok(())
    })
    .await;
    match moved {
        Ok(()) => {
            tracing::error!(path = shown, "a journal cannot be read; it was moved to the spool's quarantine folder");
            End::Quarantined
        }
        Err(source) => {
            tracing::error!(path = shown, error = &source as &dyn std::error::Error, "an unreadable journal could not be moved");
            End::Waiting
        }
    }
}

/// Moves a file of the spool into its folder `quarantine`.
pub(super) fn quarantine(path: &Path) -> io::Result<()> {
    let folder = path.with_file_name(QUARANTINE);
    make_private_dir_io(&folder)?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    fs::rename(path, folder.join(name))
}

fn lock_spool(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(LOCK);
    let open = OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(&path);
    let file = open.map_err(|source| StoreError::spool(&path, source))?;
    match journal::lock_soon(&file) {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::SpoolInUse(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(StoreError::spool(&path, source)),
    }
}

/// Removes envelopes that never got their name and recordings of greetings that nobody has kept: there was no beep, or its caller
/// is gone. Only while holding the spool's lock, at the start, and only what nobody has locked.
fn remove_scraps(dir: &Path) {
    for extension in [UNFINISHED, super::greeting::SCRATCH] {
        for path in files(dir, extension).unwrap_or_default() {
            // Not one that is being made at this moment, and is not locked yet.
            let young = |modified| SystemTime::now().duration_since(modified).is_ok_and(|age| age < Duration::from_mins(1));
            let young = fs::metadata(&path).and_then(|file| file.modified()).is_ok_and(young);
            let unlocked = || File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
            if !young
                && unlocked()
                && let Err(source) = fs::remove_file(&path)
            {
                tracing::warn!(path = %path.display(), error = &source as &dyn std::error::Error, "a scrap stays behind");
            }
        }
    }
}

/// Audio files without an envelope: what is left when a power cut separates the two.
pub(super) fn stray_audio(dir: &Path) -> io::Result<Vec<(MessageId, PathBuf)>> {
    let strays = files(dir, AUDIO)?
        .into_iter()
        .filter(|path| !path.with_extension(ENVELOPE).exists() && !path.with_extension(UNFINISHED).exists());
    let named = strays.filter_map(|path| {
        let id = MessageId::from_stored(path.file_stem()?.to_str()?);
        Some((id, path))
    });
    Ok(named.collect())
}

fn files(dir: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|its| its == extension) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Makes a folder that only the server can look into, and the folders above it: it will hold what people said, or the hashes of
/// their passcodes. One that is there stays as it is.
///
/// # Errors
///
/// [`StoreError::Spool`] when it can be neither made nor used.
pub fn make_private_dir(dir: &Path) -> Result<(), StoreError> {
    make_private_dir_io(dir).map_err(|source| StoreError::spool(dir, source))
}

fn make_private_dir_io(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}
