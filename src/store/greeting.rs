//! The subscriber's own recordings: greetings and spoken name, and the ones before them, which can be brought back.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    time::Duration,
};

use sqlx::{AnyConnection, any::AnyRow};

use super::{
    ChangeError, Store, StoreError, audio,
    database::Columns as _,
    enrolment,
    journal::{Encoding, blocking, read_at_most},
    mailbox_log, wav,
};
use crate::{
    audio::quality::{self, Fault},
    domain::{
        greeting::{Greeting, GreetingKind},
        id::{AudioKey, MailboxId, MessageId},
        mailbox_log::{Change, Event, Origin},
        time::Timestamp,
    },
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

/// Whose greeting is changed, which, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct GreetingChange<'a> {
    /// Whose.
    pub mailbox: &'a MailboxId,
    /// Which.
    pub kind: GreetingKind,
    /// From where.
    pub by: &'a Origin,
}

/// Why a recording did not become a greeting.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It is no good. The old one stays.
    #[error("the recording cannot be used: {0}")]
    Unfit(Fault),
    /// It was not put in place.
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl From<StoreError> for RecordingError {
    fn from(error: StoreError) -> Self {
        Self::Change(error.into())
    }
}

/// A recording of a mailbox, and when it ends.
struct Recorded {
    audio: AudioKey,
    until: Option<Timestamp>,
}

/// When a new temporary greeting ends.
#[derive(Clone, Copy)]
enum End {
    /// At this moment, or never by itself.
    At(Option<Timestamp>),
    /// When the one before was to end, if that is still ahead: other words do not change how long it is heard.
    AsBefore,
}

/// What becomes of the current recording.
enum Next<'a> {
    Is(&'a AudioKey, End),
    IsNone,
    IsThePrevious,
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

    /// Makes the first `kept` of a recording the mailbox's greeting or name. The old one is kept as the previous one, and the one
    /// before that goes when the new one is in place. A temporary greeting ends when the one before was to end, if that is still ahead.
    ///
    /// # Errors
    ///
    /// [`RecordingError::Unfit`] when nothing can be heard in it or it is distorted, [`ChangeError::Gone`] when there is no such
    /// mailbox.
    pub async fn set_greeting(
        &self,
        change: GreetingChange<'_>,
        scratch: Scratch,
        kept: Duration,
        now: Timestamp,
    ) -> Result<AudioKey, RecordingError> {
        let wav = finished(scratch, kept).await?;
        Ok(self.put_greeting(change, End::AsBefore, wav, now).await?)
    }

    /// Makes a WAV (mono, 16-bit, 8000 or 16,000 Hz) that was looked at before the mailbox's greeting or name. `until` is when a
    /// temporary greeting ends.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Gone`] when there is no such mailbox.
    pub async fn set_greeting_wav(
        &self,
        change: GreetingChange<'_>,
        until: Option<Timestamp>,
        wav: Vec<u8>,
        now: Timestamp,
    ) -> Result<AudioKey, ChangeError> {
        self.put_greeting(change, End::At(until), wav, now).await
    }

    async fn put_greeting(
        &self,
        change: GreetingChange<'_>,
        end: End,
        wav: Vec<u8>,
        now: Timestamp,
    ) -> Result<AudioKey, ChangeError> {
        let key = self.put_audio(wav).await?;
        match self.change_greeting(change, Next::Is(&key, end), now).await {
            Ok(_) => Ok(key),
            Err(error) => {
                // After any other error it may have been referred to: the sweep judges.
                if matches!(error, ChangeError::Gone) {
                    self.drop_unused_audio(&key).await;
                }
                Err(error)
            }
        }
    }

    /// Takes a greeting or the name away, to be brought back perhaps; whether there was one.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Gone`] when there is no such mailbox.
    pub async fn remove_greeting(&self, change: GreetingChange<'_>, now: Timestamp) -> Result<bool, ChangeError> {
        self.change_greeting(change, Next::IsNone, now).await
    }

    /// Brings the recording back that was there before the current one, which becomes the previous one; whether there was one. A
    /// temporary greeting ends when it was to end, if that is still ahead.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Gone`] when there is no such mailbox.
    pub async fn bring_back_greeting(&self, change: GreetingChange<'_>, now: Timestamp) -> Result<bool, ChangeError> {
        self.change_greeting(change, Next::IsThePrevious, now).await
    }

    /// Lets the temporary greeting end at another moment, or never by itself; whether there is one.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Gone`] when there is no such mailbox.
    pub async fn end_temporary_greeting(
        &self,
        mailbox: &MailboxId,
        until: Option<Timestamp>,
        by: &Origin,
        now: Timestamp,
    ) -> Result<bool, ChangeError> {
        let mut transaction = self.0.database.begin().await?;
        let updated = sqlx::query("UPDATE temporary_greetings SET ends_at = $2 WHERE mailbox_id = $1")
            .bind(mailbox.as_str())
            .bind(until.map(Timestamp::as_millis))
            .execute(&mut *transaction)
            .await?;
        if updated.rows_affected() == 0 {
            return Ok(false);
        }
        let event = Event::GreetingChanged { greeting: GreetingKind::Temporary, how: Change::EndSet };
        let mails = mailbox_log::note(&mut transaction, mailbox, &event, by, true, now).await?;
        transaction.commit().await?;
        self.announce_mail(mails);
        Ok(true)
    }

    /// The recordings that a mailbox has or can bring back, in the order of [`GreetingKind::ALL`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`], or [`StoreError::Unreadable`] when a row was not written by us.
    pub async fn greetings(&self, mailbox: &MailboxId) -> Result<Vec<Greeting>, StoreError> {
        let rows = sqlx::query(
            "SELECT CAST('standard' AS TEXT) AS kind, greeting AS audio, CAST(NULL AS BIGINT) AS ends_at, 0 AS previous
             FROM mailboxes WHERE id = $1 AND greeting IS NOT NULL
             UNION ALL SELECT 'name', spoken_name, CAST(NULL AS BIGINT), 0 FROM mailboxes WHERE id = $1 AND spoken_name IS NOT NULL
             UNION ALL SELECT forward, audio, CAST(NULL AS BIGINT), 0 FROM forward_greetings WHERE mailbox_id = $1
             UNION ALL SELECT 'temporary', audio, ends_at, 0 FROM temporary_greetings WHERE mailbox_id = $1
             UNION ALL SELECT kind, audio, CAST(NULL AS BIGINT), 1 FROM previous_greetings WHERE mailbox_id = $1",
        )
        .bind(mailbox.as_str())
        .fetch_all(self.0.database.reader())
        .await?;
        let mut found: Vec<Greeting> = Vec::new();
        for row in &rows {
            let kind = row.text("kind")?.parse().map_err(|_| StoreError::Unreadable { what: "the kind of a greeting" })?;
            let at = found.iter().position(|greeting| greeting.kind == kind).unwrap_or_else(|| {
                found.push(Greeting { kind, audio: None, previous: None, until: None });
                found.len() - 1
            });
            let audio = Some(AudioKey::from_stored(row.text("audio")?));
            if row.flag("previous")? {
                found[at].previous = audio;
            } else {
                (found[at].audio, found[at].until) = (audio, row.maybe_moment("ends_at")?);
            }
        }
        found.sort_by_key(|greeting| GreetingKind::ALL.iter().position(|kind| *kind == greeting.kind));
        Ok(found)
    }

    /// Notes that whoever is enrolled does not want a greeting or a name: it is not asked for again.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Gone`] when there is no such mailbox.
    pub async fn skip_greeting(&self, change: GreetingChange<'_>, now: Timestamp) -> Result<(), ChangeError> {
        let mut transaction = self.0.database.begin().await?;
        let mails = match enrolment::Step::of(change.kind) {
            Some(step) => enrolment::done(&mut transaction, change.mailbox, step, change.by, now).await?,
            None => false,
        };
        transaction.commit().await?;
        self.announce_mail(mails);
        Ok(())
    }

    async fn change_greeting(&self, change: GreetingChange<'_>, next: Next<'_>, now: Timestamp) -> Result<bool, ChangeError> {
        let GreetingChange { mailbox, kind, by } = change;
        let mut transaction = self.0.database.begin().await?;
        // Takes the row first, so that of two sessions each replaces what it sees.
        let rows = sqlx::query("UPDATE mailboxes SET deposit_turn = deposit_turn + 1 WHERE id = $1 RETURNING enrolled")
            .bind(mailbox.as_str())
            .fetch_all(&mut *transaction)
            .await?;
        let enrolled = rows.first().ok_or(ChangeError::Gone)?.flag("enrolled")?;
        let current = current(&mut transaction, mailbox, kind).await?;
        let previous = take_previous(&mut transaction, mailbox, kind).await?;
        let how = match next {
            Next::Is(new, end) => {
                audio::claim(&mut transaction, new).await?;
                let until = match end {
                    End::At(until) => until,
                    End::AsBefore => current.as_ref().and_then(|current| still_ahead(current.until, now)),
                };
                put(&mut transaction, mailbox, kind, Some((new, until))).await?;
                Change::Replaced
            }
            Next::IsNone if current.is_none() => return Ok(false),
            Next::IsNone => {
                put(&mut transaction, mailbox, kind, None).await?;
                Change::Removed
            }
            Next::IsThePrevious => {
                let Some(previous) = &previous else { return Ok(false) };
                put(&mut transaction, mailbox, kind, Some((&previous.audio, still_ahead(previous.until, now)))).await?;
                Change::BroughtBack
            }
        };
        // Where there was none, the one that was taken away before stays the one to be brought back.
        let (kept, dropped) = match (how, current) {
            (Change::BroughtBack, current) => (current, None),
            (_, None) => (previous, None),
            (_, current) => (current, previous),
        };
        if let Some(kept) = &kept {
            sqlx::query("INSERT INTO previous_greetings (mailbox_id, kind, audio, ends_at) VALUES ($1, $2, $3, $4)")
                .bind(mailbox.as_str())
                .bind(kind.as_str())
                .bind(kept.audio.as_str())
                .bind(kept.until.map(Timestamp::as_millis))
                .execute(&mut *transaction)
                .await?;
        }
        if let Some(dropped) = &dropped {
            audio::mark_removed(&mut transaction, &dropped.audio, now).await?;
        }
        // At a first login one mail tells of it all.
        let event = Event::GreetingChanged { greeting: kind, how };
        let mut mails = mailbox_log::note(&mut transaction, mailbox, &event, by, enrolled, now).await?;
        if let (Change::Replaced, Some(step)) = (how, enrolment::Step::of(kind)) {
            mails |= enrolment::done(&mut transaction, mailbox, step, by, now).await?;
        }
        transaction.commit().await?;
        self.announce_mail(mails);
        if let Some(dropped) = dropped {
            self.remove_marked_audio(&[dropped.audio]).await;
        }
        Ok(true)
    }
}

/// A recording as a WAV of ours, if it is fit to be heard by others. The scratch goes.
pub(super) async fn finished(scratch: Scratch, kept: Duration) -> Result<Vec<u8>, RecordingError> {
    blocking(move || {
        let recorded = scratch.reader(kept)().map_err(|source| StoreError::spool(&scratch.path, source))?;
        let form = scratch.encoding.form();
        match quality::fault(&form.samples(&recorded), form.sample_rate()) {
            Some(fault) => Err(RecordingError::Unfit(fault)),
            None => Ok(wav::finish(scratch.encoding, &recorded)),
        }
    })
    .await
}

async fn current(
    connection: &mut AnyConnection,
    mailbox: &MailboxId,
    kind: GreetingKind,
) -> Result<Option<Recorded>, sqlx::Error> {
    let sql = match kind {
        GreetingKind::Standard => "SELECT greeting AS audio, CAST(NULL AS BIGINT) AS ends_at FROM mailboxes WHERE id = $1",
        GreetingKind::Name => "SELECT spoken_name AS audio, CAST(NULL AS BIGINT) AS ends_at FROM mailboxes WHERE id = $1",
        GreetingKind::Temporary => "SELECT audio, ends_at FROM temporary_greetings WHERE mailbox_id = $1",
        GreetingKind::Forwarded(_) => {
            "SELECT audio, CAST(NULL AS BIGINT) AS ends_at FROM forward_greetings WHERE mailbox_id = $1 AND forward = $2"
        }
    };
    let mut query = sqlx::query(sql).bind(mailbox.as_str());
    if let GreetingKind::Forwarded(forward) = kind {
        query = query.bind(forward.as_str());
    }
    let row = query.fetch_optional(connection).await?;
    Ok(row.as_ref().map(recorded).transpose()?.flatten())
}

async fn take_previous(
    connection: &mut AnyConnection,
    mailbox: &MailboxId,
    kind: GreetingKind,
) -> Result<Option<Recorded>, sqlx::Error> {
    let rows = sqlx::query("DELETE FROM previous_greetings WHERE mailbox_id = $1 AND kind = $2 RETURNING audio, ends_at")
        .bind(mailbox.as_str())
        .bind(kind.as_str())
        .fetch_all(connection)
        .await?;
    Ok(rows.first().map(recorded).transpose()?.flatten())
}

fn recorded(row: &AnyRow) -> Result<Option<Recorded>, sqlx::Error> {
    let Some(audio) = row.maybe_text("audio")?.map(AudioKey::from_stored) else { return Ok(None) };
    Ok(Some(Recorded { audio, until: row.maybe_moment("ends_at")? }))
}

/// The end of a greeting, unless it has passed: a greeting that is recorded or brought back is to be heard.
fn still_ahead(until: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    until.filter(|until| *until > now)
}

async fn put(
    connection: &mut AnyConnection,
    mailbox: &MailboxId,
    kind: GreetingKind,
    new: Option<(&AudioKey, Option<Timestamp>)>,
) -> Result<(), sqlx::Error> {
    let audio = new.map(|(audio, _)| audio.as_str());
    let until = new.and_then(|(_, until)| until).map(Timestamp::as_millis);
    let column = match kind {
        GreetingKind::Standard => Some("UPDATE mailboxes SET greeting = $2 WHERE id = $1"),
        GreetingKind::Name => Some("UPDATE mailboxes SET spoken_name = $2 WHERE id = $1"),
        GreetingKind::Forwarded(_) | GreetingKind::Temporary => None,
    };
    if let Some(sql) = column {
        sqlx::query(sql).bind(mailbox.as_str()).bind(audio).execute(connection).await?;
        return Ok(());
    }
    let delete = match kind {
        GreetingKind::Temporary => sqlx::query("DELETE FROM temporary_greetings WHERE mailbox_id = $1").bind(mailbox.as_str()),
        _ => sqlx::query("DELETE FROM forward_greetings WHERE mailbox_id = $1 AND forward = $2")
            .bind(mailbox.as_str())
            .bind(kind.as_str()),
    };
    delete.execute(&mut *connection).await?;
    let Some(audio) = audio else { return Ok(()) };
    let insert = match kind {
        GreetingKind::Temporary => {
            sqlx::query("INSERT INTO temporary_greetings (mailbox_id, audio, ends_at) VALUES ($1, $2, $3)")
                .bind(mailbox.as_str())
                .bind(audio)
                .bind(until)
        }
        _ => sqlx::query("INSERT INTO forward_greetings (mailbox_id, audio, forward) VALUES ($1, $2, $3)")
            .bind(mailbox.as_str())
            .bind(audio)
            .bind(kind.as_str()),
    };
    insert.execute(connection).await?;
    Ok(())
}

/// Forgets the recordings of a mailbox that is removed, but those in its own row, and tells their audio.
pub(super) async fn mailbox_removed(connection: &mut AnyConnection, mailbox: &MailboxId) -> Result<Vec<AudioKey>, sqlx::Error> {
    let mut removed = Vec::new();
    for sql in [
        "DELETE FROM forward_greetings WHERE mailbox_id = $1 RETURNING audio",
        "DELETE FROM temporary_greetings WHERE mailbox_id = $1 RETURNING audio",
        "DELETE FROM previous_greetings WHERE mailbox_id = $1 RETURNING audio",
    ] {
        let rows = sqlx::query(sql).bind(mailbox.as_str()).fetch_all(&mut *connection).await?;
        for row in &rows {
            removed.push(AudioKey::from_stored(row.text("audio")?));
        }
    }
    Ok(removed)
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
