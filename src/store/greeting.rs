//! The subscriber's own recordings: greeting and spoken name.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    time::Duration,
};

use super::{
    ChangeError, Store, StoreError, audio,
    database::Columns as _,
    journal::{Encoding, blocking, read_at_most},
    wav,
};
use crate::domain::{
    greeting::GreetingKind,
    id::{AudioKey, MailboxId, MessageId},
    time::Timestamp,
};

pub(super) const SCRATCH: &str = "scratch";

/// A recording that is nothing until it is accepted: it goes when it is dropped, and after a crash.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    encoding: Encoding,
    /// Carries the lock that tells it from one whose server died.
    _owner: File,
}

impl Store {
    /// Starts a recording that becomes a greeting or a name with [`set_greeting`](Self::set_greeting).
    ///
    /// # Errors
    ///
    /// [`StoreError::Spool`] when the spool cannot take it.
    pub async fn create_scratch(&self, encoding: Encoding) -> Result<Scratch, StoreError> {
        let path = self.0.spool_dir.join(MessageId::random().as_str()).with_extension(SCRATCH);
        blocking(move || {
            let create = || {
                let file = OpenOptions::new().create_new(true).append(true).mode(0o600).open(&path)?;
                file.lock()?;
                Ok(file)
            };
            match create() {
                Ok(owner) => Ok(Scratch { path, encoding, _owner: owner }),
                Err(source) => Err(StoreError::Spool { path, source }),
            }
        })
        .await
    }

    /// Makes the first `kept` of a recording the mailbox's greeting or name. The old one goes when the new one is in place.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Gone`] when there is no such mailbox.
    pub async fn set_greeting(
        &self,
        mailbox: &MailboxId,
        kind: GreetingKind,
        scratch: Scratch,
        kept: Duration,
        now: Timestamp,
    ) -> Result<AudioKey, ChangeError> {
        let wav = blocking(move || {
            let recorded = scratch.reader(kept)().map_err(|source| StoreError::spool(&scratch.path, source))?;
            Ok::<_, StoreError>(wav::finish(scratch.encoding, &recorded))
        })
        .await?;
        self.set_greeting_wav(mailbox, kind, wav, now).await
    }

    /// Makes a WAV (mono, 16-bit, 8000 Hz) the mailbox's greeting or name.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Gone`] when there is no such mailbox.
    pub async fn set_greeting_wav(
        &self,
        mailbox: &MailboxId,
        kind: GreetingKind,
        wav: Vec<u8>,
        now: Timestamp,
    ) -> Result<AudioKey, ChangeError> {
        let key = self.put_audio(wav).await?;
        match self.replace_greeting(mailbox, kind, Some(&key), now).await {
            Ok(()) => Ok(key),
            Err(error) => {
                // After any other error it may have been referred to: the sweep judges.
                if matches!(error, ChangeError::Gone) {
                    self.drop_unused_audio(&key).await;
                }
                Err(error)
            }
        }
    }

    /// Goes back to the standard greeting, or to a mailbox without a spoken name.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Gone`] when there is no such mailbox.
    pub async fn remove_greeting(&self, mailbox: &MailboxId, kind: GreetingKind, now: Timestamp) -> Result<(), ChangeError> {
        self.replace_greeting(mailbox, kind, None, now).await
    }

    async fn replace_greeting(
        &self,
        mailbox: &MailboxId,
        kind: GreetingKind,
        new: Option<&AudioKey>,
        now: Timestamp,
    ) -> Result<(), ChangeError> {
        let mut transaction = self.0.database.begin().await?;
        // Takes the row first, so that of two sessions each replaces what it sees.
        let rows =
            sqlx::query("UPDATE mailboxes SET deposit_turn = deposit_turn + 1 WHERE id = $1 RETURNING greeting, spoken_name")
                .bind(mailbox.as_str())
                .fetch_all(&mut *transaction)
                .await?;
        let row = rows.first().ok_or(ChangeError::Gone)?;
        let (column, sql) = match kind {
            GreetingKind::Greeting => ("greeting", "UPDATE mailboxes SET greeting = $2 WHERE id = $1"),
            GreetingKind::Name => ("spoken_name", "UPDATE mailboxes SET spoken_name = $2 WHERE id = $1"),
        };
        let old = row.maybe_text(column)?.map(AudioKey::from_stored);
        if let Some(new) = new {
            audio::claim(&mut transaction, new).await?;
        }
        sqlx::query(sql).bind(mailbox.as_str()).bind(new.map(AudioKey::as_str)).execute(&mut *transaction).await?;
        if let Some(old) = &old {
            audio::mark_removed(&mut transaction, old, now).await?;
        }
        transaction.commit().await?;
        if let Some(old) = old {
            self.remove_marked_audio(&[old]).await;
        }
        Ok(())
    }
}

impl Scratch {
    /// The file to which the recorder appends.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn audio_file(&self) -> io::Result<File> {
        OpenOptions::new().read(true).append(true).open(&self.path)
    }

    /// Forgets what was recorded, to be said again.
    ///
    /// # Errors
    ///
    /// When the file cannot be emptied.
    pub fn restart(&self) -> io::Result<File> {
        let file = self.audio_file()?;
        file.set_len(0)?;
        Ok(file)
    }

    /// The recorded bytes up to `kept`, to be played back: read when the function given back is called, which waits for the disk.
    pub fn reader(&self, kept: Duration) -> impl FnOnce() -> io::Result<Vec<u8>> + Send + use<> {
        let (path, bytes) = (self.path.clone(), self.encoding.bytes(kept));
        move || read_at_most(&path, bytes)
    }

    /// What the bytes are.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // One that cannot be removed now goes at the next start.
        let _ = fs::remove_file(&self.path);
    }
}
