//! A recording while it is made: an envelope that says whose it is, and its audio, as two files in the spool.
//!
//! The envelope is durable before the beep. From then on the recording ends as exactly one message or as a discard that is
//! logged, whatever happens to this process: [`spool`](super::spool) looks after those that nobody owns any more. An owner holds
//! a lock on the envelope file, which the kernel lets go of when the owner dies; so a journal being written, or being made into
//! a message, is never touched by anybody else.
//!
//! The envelope file has one line when it is made, a further one whenever the caller changes the *marks* of the message, and one,
//! the *seal*, when the recording is finished. Each line carries a check sum, so that a torn line is seen.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

use super::{Store, StoreError, spool};
use crate::{
    audio::{form::Form, law::Law},
    domain::{
        caller::Caller,
        id::{CallId, MailboxId, MessageId},
        message::Marks,
        rules,
        time::Timestamp,
    },
};

/// How recorded bytes represent audio, as an envelope says it: [`Form`] in words that stay the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// G.711 µ-law, one byte a sample, 8000 samples a second.
    Mulaw,
    /// G.711 A-law, one byte a sample, 8000 samples a second.
    Alaw,
    /// 16-bit little-endian PCM, two bytes a sample, 8000 samples a second.
    Linear16,
    /// 16-bit little-endian PCM, two bytes a sample, 16,000 samples a second.
    Wide16,
}

impl Encoding {
    /// What the bytes are.
    #[must_use]
    pub const fn form(self) -> Form {
        match self {
            Self::Mulaw => Form::G711(Law::Mu),
            Self::Alaw => Form::G711(Law::A),
            Self::Linear16 => Form::Linear,
            Self::Wide16 => Form::WideLinear,
        }
    }

    /// How much time so many bytes are.
    #[must_use]
    pub fn duration(self, bytes: u64) -> Duration {
        self.form().duration(bytes)
    }

    /// How many bytes so much time is, down to an 8000th of a second.
    #[must_use]
    pub fn bytes(self, duration: Duration) -> u64 {
        self.form().bytes(duration)
    }
}

impl From<Form> for Encoding {
    fn from(form: Form) -> Self {
        match form {
            Form::G711(Law::Mu) => Self::Mulaw,
            Form::G711(Law::A) => Self::Alaw,
            Form::Linear => Self::Linear16,
            Form::WideLinear => Self::Wide16,
        }
    }
}

/// What must be known about a recording to make a message of it, should nobody be left to say more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The message it will become.
    pub message: MessageId,
    /// Whose it is.
    pub mailbox: MailboxId,
    /// Who else gets it, each a message of their own: the caller called a number that stands for several mailboxes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<MailboxId>,
    /// Who speaks.
    pub caller: Caller,
    /// The number that the caller dialled, if it is not the mailbox's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub called: Option<String>,
    /// When the beep was due.
    pub started_at: Timestamp,
    /// What the audio bytes are.
    pub encoding: Encoding,
    /// Whether somebody who is believed vouches for the caller's number.
    #[serde(default)]
    pub verified: bool,
    /// The call, for the log.
    pub call: CallId,
}

impl Envelope {
    /// Everybody who gets it.
    pub(super) fn mailboxes(&self) -> Vec<MailboxId> {
        std::iter::once(&self.mailbox).chain(&self.also).cloned().collect()
    }
}

/// What became of a recording whose end is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seal {
    pub(super) kept_bytes: u64,
    pub(super) ended_at: Timestamp,
    pub(super) interrupted: bool,
}

/// A recording that this process owns. Dropped without [`deposit`](Store::deposit) or [`discard`](Journal::discard), it stays
/// in the spool and becomes an interrupted message.
#[derive(Debug)]
pub struct Journal {
    envelope: Envelope,
    marks: Marks,
    seal: Option<Seal>,
    envelope_path: PathBuf,
    audio_path: PathBuf,
    /// Carries the lock; closing it gives the journal up.
    envelope_file: File,
}

pub(super) const ENVELOPE: &str = "envelope";
pub(super) const AUDIO: &str = "audio";
pub(super) const UNFINISHED: &str = "unfinished";

impl Store {
    /// Starts a journal. When this returns, the envelope survives a power cut.
    ///
    /// # Errors
    ///
    /// [`StoreError::Spool`] when the spool cannot take it: then there must be no beep.
    pub async fn create_journal(&self, envelope: Envelope) -> Result<Journal, StoreError> {
        let spool = self.0.spool_dir.clone();
        blocking(move || Journal::create(&spool, envelope).map_err(|source| StoreError::Spool { path: spool, source })).await
    }
}

impl Journal {
    /// Starts a journal in the folder `spool`; it waits for the disk. See [`Store::create_journal`].
    ///
    /// # Errors
    ///
    /// When the files cannot be made or synced.
    pub fn create(spool: &Path, envelope: Envelope) -> io::Result<Self> {
        let name = envelope.message.as_str();
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a message id is letters and digits"));
        }
        if !rules::admits_at_once(envelope.mailboxes().len()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a recording for too many mailboxes at once"));
        }
        let envelope_path = spool.join(name).with_extension(ENVELOPE);
        let audio_path = spool.join(name).with_extension(AUDIO);
        let unfinished = spool.join(name).with_extension(UNFINISHED);
        let create = || OpenOptions::new().create_new(true).append(true).mode(0o600).clone();
        // The envelope gets its real name only when it is whole and locked, so that nobody who scans the spool finds it earlier.
        let mut envelope_file = create().open(&unfinished)?;
        let write = || {
            envelope_file.lock()?;
            envelope_file.write_all(&line(&envelope)?)?;
            envelope_file.sync_all()?;
            drop(create().open(&audio_path)?);
            fs::rename(&unfinished, &envelope_path)?;
            File::open(spool)?.sync_all()
        };
        let written: io::Result<()> = { write }();
        if let Err(error) = written {
            for path in [&audio_path, &unfinished, &envelope_path] {
                // What cannot be removed either is found by the sweep.
                let _ = fs::remove_file(path);
            }
            return Err(error);
        }
        Ok(Self { envelope, marks: Marks::default(), seal: None, envelope_path, audio_path, envelope_file })
    }

    /// Takes over a journal that nobody owns.
    pub(super) fn adopt(envelope_path: &Path) -> io::Result<Adoption> {
        let mut envelope_file = match OpenOptions::new().read(true).append(true).open(envelope_path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Adoption::Gone),
            Err(error) => return Err(error),
        };
        match lock_soon(&envelope_file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Adoption::Owned),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Its owner may have finished with it between our opening and our locking.
        if envelope_file.metadata()?.nlink() == 0 {
            return Ok(Adoption::Gone);
        }
        let mut text = Vec::new();
        envelope_file.read_to_end(&mut text)?;
        let mut lines = text.split_inclusive(|byte| *byte == b'\n');
        let Some(envelope) = lines.next().and_then(read_line::<Envelope>) else {
            return Ok(Adoption::Corrupt(envelope_file));
        };
        if envelope_path.file_stem().and_then(|stem| stem.to_str()) != Some(envelope.message.as_str()) {
            return Ok(Adoption::Corrupt(envelope_file));
        }
        // The last whole line of a kind counts: one that was torn by a crash is followed by that of the next attempt.
        let marks = lines.clone().filter_map(read_line::<Marks>).next_back().unwrap_or_default();
        let seal = lines.filter_map(read_line::<Seal>).next_back();
        Ok(Adoption::Adopted(Box::new(Self {
            envelope,
            marks,
            seal,
            envelope_path: envelope_path.to_owned(),
            audio_path: envelope_path.with_extension(AUDIO),
            envelope_file,
        })))
    }

    /// What was written before the beep.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// What the caller has marked the message as.
    #[must_use]
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// Marks the message, and waits for the disk: when this returns, the marks survive a power cut.
    ///
    /// # Errors
    ///
    /// When they cannot be written; then a crash before the deposit would lose them, and nothing else.
    pub fn mark(&mut self, marks: Marks) -> io::Result<()> {
        self.marks = marks;
        self.append(&marks)?;
        self.envelope_file.sync_data()
    }

    /// The audio file, to which the recorder appends bytes in the envelope's encoding.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn audio_file(&self) -> io::Result<File> {
        OpenOptions::new().read(true).append(true).open(&self.audio_path)
    }

    /// Forgets what was recorded, because the caller wants to say it again.
    ///
    /// # Errors
    ///
    /// When the audio file cannot be emptied.
    pub fn restart(&self) -> io::Result<File> {
        let file = self.audio_file()?;
        file.set_len(0)?;
        Ok(file)
    }

    /// Keeps the first `kept` of what was recorded, to go on behind it.
    ///
    /// # Errors
    ///
    /// When the audio file cannot be cut.
    pub fn go_on(&self, kept: Duration) -> io::Result<File> {
        let file = self.audio_file()?;
        let bytes = self.envelope.encoding.bytes(kept);
        // Never longer than it is: what cannot be there is not made up.
        if bytes < file.metadata()?.len() {
            file.set_len(bytes)?;
        }
        Ok(file)
    }

    /// The recorded bytes up to `kept`, to be played back to the caller: read when the function given back is called, which
    /// waits for the disk.
    pub fn reader(&self, kept: Duration) -> impl FnOnce() -> io::Result<Vec<u8>> + Send + use<> {
        let (path, bytes) = (self.audio_path.clone(), self.envelope.encoding.bytes(kept));
        move || read_at_most(&path, bytes)
    }

    /// Removes the recording: the caller does not want it kept. The reason goes to the log.
    ///
    /// # Errors
    ///
    /// When a file cannot be removed; then the spool's retry meets the journal again.
    pub fn discard(self, reason: &str) -> io::Result<()> {
        self.remove()?;
        // Without this a power cut could bring back what the caller took back.
        if let Some(spool) = self.envelope_path.parent() {
            File::open(spool)?.sync_all()?;
        }
        tracing::info!(call.id = %self.envelope.call, message.id = %self.envelope.message, reason, "discarded a recording");
        Ok(())
    }

    /// Removes the files of a journal that needs them no more.
    pub(super) fn remove(&self) -> io::Result<()> {
        // The envelope goes last: audio without an envelope could not be told from somebody's lost message.
        match fs::remove_file(&self.audio_path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::remove_file(&self.envelope_path),
        }
    }

    /// Moves the files where nothing touches them but a person.
    pub(super) fn put_aside(self) -> io::Result<()> {
        put_aside(&self.envelope_path)
    }

    pub(super) fn seal(&self) -> Option<Seal> {
        self.seal
    }

    /// Notes how the recording ended. Kept by the operating system at once, so that it outlives this process; durable after
    /// [`sync`](Self::sync).
    pub(super) fn write_seal(&mut self, seal: Seal) -> io::Result<()> {
        self.append(&seal)?;
        self.seal = Some(seal);
        Ok(())
    }

    fn append(&mut self, value: &impl Serialize) -> io::Result<()> {
        // A line torn earlier must not swallow this one.
        let mut text = b"\n".to_vec();
        text.extend(line(value)?);
        self.envelope_file.write_all(&text)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.audio_file()?.sync_all()?;
        self.envelope_file.sync_all()
    }

    /// How many bytes of audio there are, and so what the seal of a recording is whose owner died.
    pub(super) fn seal_as_found(&self) -> io::Result<Seal> {
        let recorded = match read_at_most(&self.audio_path, u64::MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        // A file whose length was written before its contents ends in zeros after a power cut. They are no audio: G.711
        // speech or silence never has a tenth of a second of them, and in linear audio they are a silence nobody misses.
        let zeros = recorded.iter().rev().take_while(|byte| **byte == 0).count();
        let whole = if zeros >= 800 { recorded.len() - zeros } else { recorded.len() };
        let kept_bytes = whole.next_multiple_of(self.envelope.encoding.form().width()).min(recorded.len()) as u64;
        let length = self.envelope.encoding.duration(kept_bytes);
        Ok(Seal { kept_bytes, ended_at: self.envelope.started_at.after(length), interrupted: true })
    }

    pub(super) fn read_bytes(&self, bytes: u64) -> io::Result<Vec<u8>> {
        match read_at_most(&self.audio_path, bytes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => other,
        }
    }
}

/// What became of an attempt to take over a journal.
pub(super) enum Adoption {
    /// It is ours now.
    Adopted(Box<Journal>),
    /// Somebody is still at work on it.
    Owned,
    /// It has just been finished.
    Gone,
    /// Its envelope cannot be read; the lock on it is in the file.
    Corrupt(File),
}

/// Moves an envelope and its audio to the spool's quarantine folder, by whoever has the lock on it.
pub(super) fn put_aside(envelope: &Path) -> io::Result<()> {
    match spool::quarantine(&envelope.with_extension(AUDIO)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => spool::quarantine(envelope),
    }
}

/// Runs something that waits for a disk.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is being shut down, and this future with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Locks a file unless somebody holds it for longer than a moment.
///
/// A program that is being started shares our descriptors until it runs, and keeps the lock of a file that we closed meanwhile.
pub(super) fn lock_soon(file: &File) -> Result<(), TryLockError> {
    const TRIES: u32 = 5;
    const PAUSE: Duration = Duration::from_millis(4);
    for _ in 1..TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
    file.try_lock()
}

pub(super) fn read_at_most(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    File::open(path)?.take(bytes).read_to_end(&mut read)?;
    Ok(read)
}

fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let json = serde_json::to_string(value)?;
    Ok(format!("{} {json}\n", check_sum(json.as_bytes())).into_bytes())
}

/// Reads a line with its check sum and its line end; anything torn or altered is `None`.
fn read_line<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (sum, json) = line.split_once(' ')?;
    (check_sum(json.as_bytes()) == sum).then(|| serde_json::from_str(json).ok())?
}

fn check_sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_owned_until_it_is_dropped() {
        let spool = tempfile::tempdir().unwrap();
        let journal = Journal::create(spool.path(), envelope()).unwrap();
        let path = journal.envelope_path.clone();
        journal.audio_file().unwrap().write_all(&[0xff; 1600]).unwrap();

        assert!(matches!(Journal::adopt(&path).unwrap(), Adoption::Owned));
        let written = journal.envelope().clone();
        drop(journal);
        let Adoption::Adopted(adopted) = Journal::adopt(&path).unwrap() else { panic!("nobody owns it") };

        assert_eq!(adopted.envelope(), &written);
        assert_eq!(adopted.reader(Duration::from_millis(100))().unwrap().len(), 800);
        assert!(matches!(Journal::adopt(&path).unwrap(), Adoption::Owned));
        adopted.discard("a test").unwrap();
        assert!(matches!(Journal::adopt(&path).unwrap(), Adoption::Gone));
        assert_eq!(fs::read_dir(spool.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_envelope_torn_anywhere_is_corrupt_and_a_torn_seal_is_no_seal() {
        let spool = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(spool.path(), envelope()).unwrap();
        let path = journal.envelope_path.clone();
        let whole = fs::read(&path).unwrap().len();
        let seal = Seal { kept_bytes: 7, ended_at: Timestamp::from_millis(9), interrupted: false };
        journal.write_seal(seal).unwrap();
        drop(journal);
        let text = fs::read(&path).unwrap();

        for length in 0..text.len() {
            fs::write(&path, &text[..length]).unwrap();
            match Journal::adopt(&path).unwrap() {
                Adoption::Corrupt(_) => assert!(length < whole, "{length}"),
                Adoption::Adopted(journal) => {
                    assert!(length >= whole, "{length}");
                    assert_eq!(journal.seal(), None);
                }
                _ => panic!("nobody owns it"),
            }
        }
        fs::write(&path, &text[..text.len() - 3]).unwrap();
        let Adoption::Adopted(mut journal) = Journal::adopt(&path).unwrap() else { panic!("nobody owns it") };
        journal.write_seal(seal).unwrap();
        drop(journal);
        let Adoption::Adopted(journal) = Journal::adopt(&path).unwrap() else { panic!("nobody owns it") };
        assert_eq!(journal.seal(), Some(seal));
    }

    #[test]
    fn the_latest_marks_that_are_whole_outlive_their_writer() {
        let spool = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(spool.path(), envelope()).unwrap();
        let path = journal.envelope_path.clone();
        let seal = Seal { kept_bytes: 7, ended_at: Timestamp::from_millis(9), interrupted: false };
        let [first, latest] = [Marks { urgent: true, private: false }, Marks { urgent: false, private: true }];
        journal.mark(first).unwrap();
        let one = fs::metadata(&path).unwrap().len();
        journal.mark(latest).unwrap();
        let both = fs::metadata(&path).unwrap().len();
        journal.write_seal(seal).unwrap();
        drop(journal);
        let text = fs::read(&path).unwrap();

        let adopted = |length: u64| {
            fs::write(&path, &text[..length as usize]).unwrap();
            let Adoption::Adopted(journal) = Journal::adopt(&path).unwrap() else { panic!("nobody owns it") };
            (journal.marks(), journal.seal())
        };

        assert_eq!(adopted(one - 1), (Marks::default(), None));
        assert_eq!(adopted(one), (first, None));
        assert_eq!(adopted(both - 1), (first, None));
        assert_eq!(adopted(both), (latest, None));
        assert_eq!(adopted(text.len() as u64), (latest, Some(seal)));
    }

    #[test]
    fn a_recording_goes_on_behind_what_was_kept_of_it() {
        let spool = tempfile::tempdir().unwrap();
        let journal = Journal::create(spool.path(), envelope()).unwrap();
        journal.audio_file().unwrap().write_all(&[1; 1600]).unwrap();

        journal.go_on(Duration::from_millis(100)).unwrap().write_all(&[2; 400]).unwrap();
        let all = journal.reader(Duration::from_secs(9))().unwrap();
        journal.go_on(Duration::from_secs(9)).unwrap().write_all(&[3; 1]).unwrap();

        assert_eq!(all, [[1; 400].as_slice(), &[1; 400], &[2; 400]].concat());
        assert_eq!(journal.reader(Duration::from_secs(9))().unwrap().len(), 1201);
    }

    #[test]
    fn an_envelope_for_one_mailbox_is_written_as_ever_and_one_of_before_is_read() {
        let alone = serde_json::to_string(&envelope()).unwrap();
        let also = vec![MailboxId::random(), MailboxId::random()];
        let several = Envelope { also, ..envelope() };

        assert!(!alone.contains("also"), "{alone}");
        assert_eq!(serde_json::from_str::<Envelope>(&alone).unwrap().also, []);
        let written = serde_json::to_string(&several).unwrap();
        assert_eq!(serde_json::from_str::<Envelope>(&written).unwrap(), several);
    }

    #[test]
    fn an_envelope_names_as_many_mailboxes_as_get_a_message_at_once() {
        let spool = tempfile::tempdir().unwrap();
        let create = |mailboxes: usize| {
            let also = (1..mailboxes).map(|_| MailboxId::random()).collect();
            Journal::create(spool.path(), Envelope { also, ..envelope() })
        };

        assert!(create(rules::MAILBOXES_AT_ONCE).is_ok());
        assert_eq!(create(rules::MAILBOXES_AT_ONCE + 1).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn one_altered_byte_makes_an_envelope_corrupt() {
        let spool = tempfile::tempdir().unwrap();
        let journal = Journal::create(spool.path(), envelope()).unwrap();
        let path = journal.envelope_path.clone();
        drop(journal);
        let text = fs::read(&path).unwrap();

        for place in 0..text.len() {
            let mut altered = text.clone();
            altered[place] ^= 0x01;
            fs::write(&path, altered).unwrap();
            assert!(matches!(Journal::adopt(&path).unwrap(), Adoption::Corrupt(_)), "{place}");
        }
    }

    #[test]
    fn bytes_and_time_agree_to_the_sample() {
        assert_eq!(Encoding::Mulaw.duration(8001), Duration::from_micros(1_000_125));
        assert_eq!(Encoding::Linear16.bytes(Duration::from_micros(1_000_249)), 16_002);
        assert_eq!(Encoding::Alaw.bytes(Encoding::Alaw.duration(12_345)), 12_345);
    }

    fn envelope() -> Envelope {
        Envelope {
            message: MessageId::random(),
            mailbox: MailboxId::random(),
            also: Vec::new(),
            caller: Caller { number: Some("2025550143".into()), name: Some("Zoë".into()) },
            started_at: Timestamp::from_millis(1_000),
            called: None,
            encoding: Encoding::Mulaw,
            verified: false,
            call: CallId::random(),
        }
    }
}
