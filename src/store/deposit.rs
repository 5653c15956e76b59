//! The deposit: a finished recording becomes a message, durably, exactly once.
//!
//! The order is what makes it safe: the recording is sealed in its journal, the WAV is put under a new key, one transaction counts
//! the mailbox and adds the message with all that must be sent about it, and the journal goes last. Until the transaction has
//! been committed the journal can do all of it again; afterwards the table `deposited` knows the message's id for as long as a
//! journal of it could turn up.

use std::{sync::Arc, time::Duration};

use sqlx::{AnyConnection, any::AnyRow};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};

use super::{
    Store, StoreError, audio,
    cleaning::{self, Audio, Wishes},
    database::{Columns as _, Database, Kind},
    journal::{Journal, Seal, blocking},
    message,
    outbox::{self, Errand},
    several, subscription,
};
use crate::domain::{
    id::{AudioKey, MailboxId, MessageId},
    message::{Counts, Message},
    rules::{self, Fullness},
    time::Timestamp,
};

/// How many deposits share one commit at most.
const GROUP: usize = 64;

/// How long the writing of a deposit is waited for: longer than SQLite waits for another process that has it locked.
const WRITING: Duration = Duration::from_secs(15);
/// How long the audio store may take.
const PUTTING: Duration = Duration::from_secs(30);
/// How long a question to the database may take.
const ASKING: Duration = Duration::from_secs(5);

/// A message that is now in its mailbox.
#[derive(Clone, Debug)]
pub struct Deposited {
    /// The message; of several mailboxes, that of the first which took it.
    pub message: Message,
    /// What its mailbox holds, this message included.
    pub counts: Counts,
}

/// Why there is no message (yet).
#[derive(Debug, thiserror::Error)]
pub enum DepositError {
    /// Somebody else's message was the last that fitted. The recording is discarded.
    #[error("the mailbox is full")]
    MailboxFull,
    /// Too short to be a message. The recording is discarded.
    #[error("the recording is too short")]
    TooShort,
    /// Nobody said anything, and such messages are not wanted. The recording is discarded.
    #[error("nobody said anything")]
    NothingSaid,
    /// The mailbox or the message has been removed. The recording is discarded.
    #[error("nobody could hear the recording any more")]
    Pointless,
    /// It would have expired already. The recording is put aside for a person: it may be the clock that is wrong.
    #[error("the recording is older than a message's life")]
    Expired,
    /// Something needed is down. The recording is safe in the spool and is tried again by [`Store::retry_spool`].
    #[error("the message is kept in the spool until the store can take it")]
    Later(#[source] StoreError),
}

impl Store {
    /// Makes a message of the first `kept` of a recording that ended at `ended_at`.
    ///
    /// Once this is called the recording is safe even if the future is dropped: the spool's retry finishes it.
    ///
    /// # Errors
    ///
    /// See [`DepositError`]: all but [`DepositError::Later`] are final.
    pub async fn deposit(
        &self,
        journal: Journal,
        kept: Duration,
        ended_at: Timestamp,
        interrupted: bool,
    ) -> Result<Deposited, DepositError> {
        let kept_bytes = journal.envelope().encoding.bytes(kept);
        let seal = Seal { kept_bytes, ended_at, interrupted };
        self.settle(journal, seal, ended_at, Attempt::First).await
    }

    /// Deposits a journal: to be called by its owner, as often as needed.
    pub(super) async fn settle(
        &self,
        journal: Journal,
        seal: Seal,
        now: Timestamp,
        attempt: Attempt,
    ) -> Result<Deposited, DepositError> {
        let (envelope, marks) = (journal.envelope().clone(), journal.marks());
        let copies = several::copies(&envelope);
        if rules::is_expired(rules::expiry_after_deposit(seal.ended_at), now) {
            return Err(self.put_aside(journal).await);
        }
        let (shortest, wishes) = (self.0.shortest_message, Wishes { clean: self.0.clean_audio, keep_silent: self.0.keep_silent });
        let (journal, kept) = blocking(move || {
            let mut journal = journal;
            if attempt == Attempt::First
                && let Err(source) = journal.write_seal(seal)
            {
                // The message can still be made; only a crash within the next moments would take it for an interrupted one.
                tracing::warn!(message.id = %journal.envelope().message, error = &source as &dyn std::error::Error,
                    "the end of a recording could not be noted in the spool");
            }
            let kept = finish(&journal, seal, shortest, wishes);
            (journal, kept)
        })
        .await;
        let Audio { duration, wav, original } = match kept {
            Ok(Finished::Message(audio)) => audio,
            Ok(Finished::TooShort) => {
                return Err(throw_away(journal, "it is too short to be a message", DepositError::TooShort).await);
            }
            Ok(Finished::NothingSaid) => {
                return Err(throw_away(journal, "nobody said anything", DepositError::NothingSaid).await);
            }
            Err(source) => return Err(self.keep(journal, StoreError::spool(&self.0.spool_dir, source)).await),
        };
        if attempt == Attempt::Again {
            // Ask first: an earlier attempt may have got through without our hearing of it.
            match self.deposited(&envelope.message).await {
                Ok(false) => {}
                Ok(true) => return self.already(journal, &copies, now).await,
                Err(error) => return Err(self.keep(journal, error).await),
            }
            if !seal.interrupted {
                // Its caller may have been told that it is sent. Asked before its audio is put, because it will be asked often.
                match within(ASKING, DATABASE, self.has_room_in_any(&envelope.mailboxes(), now)).await {
                    Ok(true) => {}
                    Ok(false) => return Err(self.keep(journal, StoreError::NoRoom).await),
                    Err(error) => return Err(self.keep(journal, error).await),
                }
            }
        }
        let (key, original) = match within(PUTTING, "the audio store", self.put_both(wav, original)).await {
            Ok(keys) => keys,
            Err(error) => return Err(self.keep(journal, error).await),
        };
        let message = Message {
            id: envelope.message,
            mailbox: envelope.mailbox,
            caller: envelope.caller,
            caller_verified: envelope.verified,
            called: envelope.called,
            deposited_at: seal.ended_at,
            stamp_at: seal.ended_at,
            expires_at: rules::expiry_after_deposit(seal.ended_at),
            heard_at: None,
            saved_at: None,
            mailed_at: None,
            deleted_at: None,
            // As the database keeps it.
            duration: Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
            audio: key,
            original_audio: original,
            interrupted: seal.interrupted,
            urgent: marks.urgent,
            private: marks.private,
            sent: None,
            version: 1,
        };
        match self.write(message.clone(), copies.clone(), now).await {
            Ok(Written::Stored { first, counts, mails }) => {
                let message = match copies.into_iter().nth(first) {
                    Some((id, mailbox)) => Message { id, mailbox, ..message },
                    None => message,
                };
                if mails {
                    self.0.outbox_grew.notify_one();
                }
                self.0.lamps_changed.notify_one();
                // The call that waits for a first attempt reports it itself.
                if attempt == Attempt::Again {
                    tracing::info!(call.id = %envelope.call, message.id = %message.id, mailbox.id = %message.mailbox,
                        seconds = duration.as_secs_f32(), interrupted = message.interrupted, "deposited a message from the spool");
                }
                finished(journal).await;
                Ok(Deposited { message, counts })
            }
            Ok(Written::Already) => {
                self.drop_unused(&message).await;
                self.already(journal, &copies, now).await
            }
            Ok(Written::Full) if attempt == Attempt::Again && !seal.interrupted => {
                self.drop_unused(&message).await;
                Err(self.keep(journal, StoreError::NoRoom).await)
            }
            Ok(Written::Full) => {
                self.drop_unused(&message).await;
                Err(throw_away(journal, "the mailbox is full", DepositError::MailboxFull).await)
            }
            Ok(Written::NoMailbox) => {
                self.drop_unused(&message).await;
                Err(throw_away(journal, "the mailbox has been removed", DepositError::Pointless).await)
            }
            Err(WriteError::NotWritten(error)) => {
                self.drop_unused(&message).await;
                Err(self.keep(journal, error).await)
            }
            Err(WriteError::Unknown(error)) => match self.deposited(&message.id).await {
                Ok(true) => self.already(journal, &copies, now).await,
                // Not there, but a server that lost our connection may still be busy committing it, so the audio stays for the
                // sweep to judge. The next attempt asks again.
                Ok(false) | Err(_) => Err(self.keep(journal, error).await),
            },
        }
    }

    /// Puts a message's WAV and, when it was cleaned, the recording as it came.
    async fn put_both(&self, wav: Vec<u8>, original: Option<Vec<u8>>) -> Result<(AudioKey, Option<AudioKey>), StoreError> {
        let Some(original) = original else { return Ok((self.put_audio(wav).await?, None)) };
        match tokio::join!(self.put_audio(wav), self.put_audio(original)) {
            (Ok(key), Ok(original)) => Ok((key, Some(original))),
            (Ok(key), Err(error)) | (Err(error), Ok(key)) => {
                self.drop_unused_audio(&key).await;
                Err(error)
            }
            (Err(error), Err(_)) => Err(error),
        }
    }

    async fn drop_unused(&self, message: &Message) {
        for key in message.audio_objects() {
            self.drop_unused_audio(key).await;
        }
    }

    /// Whether a message with this id has ever been deposited.
    pub(super) async fn deposited(&self, id: &MessageId) -> Result<bool, StoreError> {
        let ask = sqlx::query("SELECT message_id FROM deposited WHERE message_id = $1").bind(id.as_str());
        let asked = async { Ok(ask.fetch_all(self.0.database.reader()).await?) };
        Ok(!within(ASKING, DATABASE, asked).await?.is_empty())
    }

    /// A recording that is deposited: whoever did not get it then does not get it now.
    async fn already(
        &self,
        journal: Journal,
        copies: &[(MessageId, MailboxId)],
        now: Timestamp,
    ) -> Result<Deposited, DepositError> {
        let find = async {
            for (id, mailbox) in copies {
                if let Some(message) = self.message(id, now).await? {
                    return Ok(Some(Deposited { message, counts: self.counts(mailbox, now).await? }));
                }
            }
            Ok(None)
        };
        match within(ASKING, DATABASE, find).await {
            Ok(Some(deposited)) => {
                finished(journal).await;
                Ok(deposited)
            }
            Ok(None) => Err(throw_away(journal, "its message was deleted again", DepositError::Pointless).await),
            Err(error) => Err(self.keep(journal, error).await),
        }
    }

    /// Hands a message to the transaction, which adds these copies of it, or the message alone if there is but one. Waits as long
    /// as a call can.
    pub(super) async fn write(
        &self,
        message: Message,
        copies: Vec<(MessageId, MailboxId)>,
        now: Timestamp,
    ) -> Result<Written, WriteError> {
        let (reply, written) = oneshot::channel();
        let deadline = Instant::now() + WRITING;
        match timeout_at(deadline, self.0.deposits.send(Pending { message, copies, now, reply })).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(WriteError::NotWritten(StoreError::Database(sqlx::Error::PoolClosed))),
            Err(_) => return Err(WriteError::NotWritten(StoreError::Silent(DATABASE))),
        }
        match timeout_at(deadline, written).await {
            Ok(Ok(written)) => written,
            // It may be committed by now, or still be on its way.
            Ok(Err(_)) | Err(_) => Err(WriteError::Unknown(StoreError::Silent(DATABASE))),
        }
    }

    async fn put_aside(&self, journal: Journal) -> DepositError {
        let id = journal.envelope().message.clone();
        tracing::error!(message.id = %id, "a recording is older than a message's life; it goes to the spool's quarantine folder");
        match blocking(move || journal.put_aside()).await {
            Ok(()) => DepositError::Expired,
            Err(source) => DepositError::Later(StoreError::spool(&self.0.spool_dir, source)),
        }
    }

    /// Leaves a journal in the spool, durably, and gives it up.
    async fn keep(&self, journal: Journal, error: StoreError) -> DepositError {
        let id = journal.envelope().message.clone();
        if let Err(source) = blocking(move || journal.sync()).await {
            tracing::error!(message.id = %id, error = &source as &dyn std::error::Error,
                "a waiting message could not be synced");
        }
        DepositError::Later(error)
    }
}

const DATABASE: &str = "the database";

/// Gives up waiting for something that neither works nor fails, as a call waits for it.
async fn within<T>(
    limit: Duration,
    what: &'static str,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(limit, work).await.unwrap_or(Err(StoreError::Silent(what)))
}

/// What a sealed journal holds.
enum Finished {
    Message(Audio),
    TooShort,
    NothingSaid,
}

/// Reads a sealed journal and makes of it what is kept.
fn finish(journal: &Journal, seal: Seal, shortest: Duration, wishes: Wishes) -> std::io::Result<Finished> {
    let encoding = journal.envelope().encoding;
    let recorded = journal.read_bytes(seal.kept_bytes)?;
    if !rules::is_long_enough(encoding.duration(recorded.len() as u64), shortest) {
        return Ok(Finished::TooShort);
    }
    Ok(cleaning::finish(encoding, &recorded, wishes).map_or(Finished::NothingSaid, Finished::Message))
}

/// Whether a journal is deposited for the first time; if not, the message may already be there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    First,
    Again,
}

async fn finished(journal: Journal) {
    let id = journal.envelope().message.clone();
    if let Err(source) = blocking(move || journal.remove()).await {
        tracing::warn!(message.id = %id, error = &source as &dyn std::error::Error,
            "the journal of a deposited message stays behind until the next retry");
    }
}

async fn throw_away(journal: Journal, reason: &'static str, why: DepositError) -> DepositError {
    let id = journal.envelope().message.clone();
    if let Err(source) = blocking(move || journal.discard(reason)).await {
        tracing::warn!(message.id = %id, error = &source as &dyn std::error::Error,
            "a discarded recording stays behind until the next retry");
    }
    why
}

/// A message on its way into the database.
pub(super) struct Pending {
    message: Message,
    /// What several mailboxes get of it; one or none if it is for its own alone.
    copies: Vec<(MessageId, MailboxId)>,
    now: Timestamp,
    reply: oneshot::Sender<Result<Written, WriteError>>,
}

impl Pending {
    async fn insert(&self, connection: &mut AnyConnection) -> Result<Written, sqlx::Error> {
        match self.copies.len() {
            0 | 1 => insert(connection, &self.message, self.now).await,
            _ => several::insert(connection, &self.message, &self.copies, self.now).await,
        }
    }
}

/// What the transaction decided.
#[derive(Clone, Copy, Debug)]
pub(super) enum Written {
    /// By the first of the copies that was added, what its mailbox holds now, and whether any of them is to be mailed.
    Stored {
        first: usize,
        counts: Counts,
        mails: bool,
    },
    Already,
    Full,
    NoMailbox,
}

pub(super) enum WriteError {
    /// Certainly not.
    NotWritten(StoreError),
    /// The commit failed; whether it took effect is not known.
    Unknown(StoreError),
}

/// Writes deposits until the store is dropped.
///
/// On SQLite, which has one writer and syncs the disk at every commit, deposits that arrive while a commit is under way share
/// the next one. PostgreSQL does the like by itself, so there each has a connection of its own.
pub(super) async fn write_in_groups(database: Database, mut pending: mpsc::Receiver<Pending>) {
    if database.kind() == Kind::Postgres {
        let database = Arc::new(database);
        while let Some(one) = pending.recv().await {
            let database = Arc::clone(&database);
            tokio::spawn(async move { write_one(&database, one).await });
        }
        return;
    }
    let mut group = Vec::with_capacity(GROUP);
    while pending.recv_many(&mut group, GROUP).await > 0 {
        write_group(&database, std::mem::take(&mut group)).await;
    }
}

async fn write_group(database: &Database, group: Vec<Pending>) {
    let mut transaction = match database.begin().await {
        Ok(transaction) => transaction,
        Err(error) => {
            // None of them is at fault, and each would wait as long again.
            let error = Arc::new(error);
            for one in group {
                let _ = one.reply.send(Err(WriteError::NotWritten(StoreError::Busy(Arc::clone(&error)))));
            }
            return;
        }
    };
    let mut decided = Vec::with_capacity(group.len());
    let together: Result<_, sqlx::Error> = async {
        for one in &group {
            decided.push(one.insert(&mut transaction).await?);
        }
        Ok(transaction)
    }
    .await;
    match together {
        Ok(transaction) => {
            let committed = transaction.commit().await.map_err(Arc::new);
            for (one, written) in group.into_iter().zip(decided) {
                let answer = match &committed {
                    Ok(()) => Ok(written),
                    Err(error) => Err(WriteError::Unknown(StoreError::Commit(Arc::clone(error)))),
                };
                // Nobody waits any more: the spool's retry will ask.
                let _ = one.reply.send(answer);
            }
        }
        Err(error) if group.len() == 1 => {
            if let Some(one) = group.into_iter().next() {
                let _ = one.reply.send(Err(WriteError::NotWritten(error.into())));
            }
        }
        // One of them may be at fault: the others must not suffer.
        Err(_) => {
            for one in group {
                write_one(database, one).await;
            }
        }
    }
}

async fn write_one(database: &Database, one: Pending) {
    let not_written = |error: sqlx::Error| WriteError::NotWritten(error.into());
    let answer = async {
        let mut transaction = database.begin().await.map_err(not_written)?;
        let written = one.insert(&mut transaction).await.map_err(not_written)?;
        transaction.commit().await.map_err(|error| WriteError::Unknown(StoreError::Commit(Arc::new(error))))?;
        Ok(written)
    }
    .await;
    let _ = one.reply.send(answer);
}

/// The transaction itself. It decides everything before it writes anything that would have to be taken back, so that one
/// refused message does not undo the others of its group.
async fn insert(connection: &mut AnyConnection, message: &Message, now: Timestamp) -> Result<Written, sqlx::Error> {
    let Some(mailbox) = take_turn(connection, &message.mailbox).await? else { return Ok(Written::NoMailbox) };
    if is_known(connection, &message.id).await? {
        return Ok(Written::Already);
    }
    // A caller who was let in is heard to the end; what another mailbox sends may come long after this one was disabled.
    if message.sent.is_some() && !mailbox.flag("enabled")? {
        return Ok(Written::NoMailbox);
    }
    let objects = if message.sent.is_some() { Objects::Shared } else { Objects::New };
    let added = add(connection, &mailbox, message, objects, now).await?;
    let Some(Added { counts, mails }) = added else { return Ok(Written::Full) };
    subscription::mailbox_changed(connection, &message.mailbox, now).await?;
    Ok(Written::Stored { first: 0, counts, mails })
}

/// From here to the commit, deposits into this mailbox take turns: its count cannot become wrong. None if there is no such mailbox.
pub(super) async fn take_turn(connection: &mut AnyConnection, mailbox: &MailboxId) -> Result<Option<AnyRow>, sqlx::Error> {
    let rows = sqlx::query(
        "UPDATE mailboxes SET deposit_turn = deposit_turn + 1 WHERE id = $1
         RETURNING email, voice_to_email_since, fullness_told, enabled",
    )
    .bind(mailbox.as_str())
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().next())
}

/// Whether a recording with this id has been deposited; to be asked after [`take_turn`].
pub(super) async fn is_known(connection: &mut AnyConnection, id: &MessageId) -> Result<bool, sqlx::Error> {
    let known =
        sqlx::query("SELECT message_id FROM deposited WHERE message_id = $1").bind(id.as_str()).fetch_all(connection).await?;
    Ok(!known.is_empty())
}

/// Remembers that a recording with this id has been deposited.
pub(super) async fn remember(connection: &mut AnyConnection, id: &MessageId, at: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO deposited (message_id, deposited_at) VALUES ($1, $2)")
        .bind(id.as_str())
        .bind(at.as_millis())
        .execute(connection)
        .await?;
    Ok(())
}

/// Whether rows refer to the audio of a message already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Objects {
    New,
    Shared,
}

/// What came of adding a message to a mailbox that had room.
pub(super) struct Added {
    pub(super) counts: Counts,
    pub(super) mails: bool,
}

/// Adds a message, and the mails that must be sent about it, to a mailbox whose turn was taken; none when that is full. The lamp is left
/// to the end of the transaction.
pub(super) async fn add(
    connection: &mut AnyConnection,
    mailbox: &AnyRow,
    message: &Message,
    objects: Objects,
    now: Timestamp,
) -> Result<Option<Added>, sqlx::Error> {
    let mut counts = message::counts(&mut *connection, &message.mailbox, now).await?;
    if !rules::admits(counts.total()) {
        return Ok(None);
    }

    remember(&mut *connection, &message.id, message.deposited_at).await?;
    for key in message.audio_objects() {
        match objects {
            Objects::New => audio::claim(&mut *connection, key).await?,
            Objects::Shared => audio::share(&mut *connection, key).await?,
        }
    }
    message::insert(&mut *connection, message).await?;
    counts.add(message.folder(), message.urgent);

    let has_email = mailbox.maybe_text("email")?.is_some();
    let mut mails = false;
    if has_email && rules::is_mailed(message.deposited_at, mailbox.maybe_moment("voice_to_email_since")?) {
        let errand = Errand::Message { message: message.id.clone() };
        outbox::insert(&mut *connection, &message.mailbox, &errand, now).await?;
        mails = true;
    }
    let told = Fullness::from_stored(mailbox.integer("fullness_told")?);
    let level = rules::fullness(counts.total());
    // Without an address nobody is told: a later address gets the warning.
    if level < told || (level > told && has_email) {
        outbox::set_fullness_told(&mut *connection, &message.mailbox, level).await?;
        if level > told {
            let errand = Errand::Fullness { held: counts.total() };
            outbox::insert(&mut *connection, &message.mailbox, &errand, now).await?;
            mails = true;
        }
    }
    Ok(Some(Added { counts, mails }))
}

/// How a level of fullness is stored.
pub(super) trait StoredFullness {
    fn from_stored(stored: i64) -> Self;
    fn to_stored(self) -> i64;
}

impl StoredFullness for Fullness {
    fn from_stored(stored: i64) -> Self {
        match stored {
            2.. => Self::Full,
            1 => Self::NearlyFull,
            _ => Self::Roomy,
        }
    }

    fn to_stored(self) -> i64 {
        match self {
            Self::Roomy => 0,
            Self::NearlyFull => 1,
            Self::Full => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{caller::Caller, id::CallId, passcode::Passcode, time::TimeZone},
        store::{
            StoreConfig,
            journal::{Encoding, Envelope},
            mailbox::NewMailbox,
        },
    };
    use std::io::Write as _;

    #[tokio::test]
    async fn a_commit_that_nobody_reports_keeps_its_audio() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(StoreConfig::local(dir.path()).unwrap()).await.unwrap();
        let mut inner = Arc::into_inner(store.0).unwrap();
        let (deposits, mut pending) = mpsc::channel(1);
        inner.deposits = deposits;
        let database = inner.database.clone();
        tokio::spawn(async move {
            while let Some(Pending { message, copies, now, reply }) = pending.recv().await {
                let (unheard, _) = oneshot::channel();
                write_one(&database, Pending { message, copies, now, reply: unheard }).await;
                drop(reply);
            }
        });
        let store = Store(Arc::new(inner));
        let now = Timestamp::from_millis(1_800_000_000_000);
        let mailbox = store.create_mailbox(mailbox(), now).await.unwrap().id;
        let journal = store.create_journal(envelope(mailbox, now)).await.unwrap();
        journal.audio_file().unwrap().write_all(&[0x9a; 24_000]).unwrap();

        let deposited = store.deposit(journal, Duration::from_secs(3), now, false).await.unwrap();

        assert_eq!(store.audio(&deposited.message.audio).await.unwrap().len(), 44 + 2 * 24_000);
        assert_eq!(store.spooled().await.unwrap(), 0);
    }

    fn envelope(mailbox: MailboxId, now: Timestamp) -> Envelope {
        Envelope {
            message: MessageId::random(),
            mailbox,
            also: Vec::new(),
            caller: Caller::private(),
            started_at: now,
            called: None,
            encoding: Encoding::Mulaw,
            verified: false,
            call: CallId::random(),
        }
    }

    fn mailbox() -> NewMailbox {
        NewMailbox {
            tenant: String::new(),
            number: "1001".parse().unwrap(),
            aliases: Vec::new(),
            name: String::new(),
            email: None,
            voice_to_email: false,
            time_zone: TimeZone::UTC,
            language: "en".to_owned(),
            passcode: Passcode::typed("49158730").unwrap(),
        }
    }
}
