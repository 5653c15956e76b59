//! One recording to several mailboxes: forwarded, as a reply, of one's own accord, or to everybody of a tenant.
//!
//! [`Store::send`] writes down what is to be sent and to whom, and its audio, durably; from then on it is sent, whoever stops.
//! [`Store::deliver`] deposits it in one mailbox after the other, by the same transaction as any deposit. The id of each message
//! follows from the sending's and the mailbox's, so going on where another stopped deposits none twice. All of them refer to one
//! audio object.

use std::time::Duration;

use futures_util::StreamExt as _;
use sqlx::{AnyConnection, any::AnyRow};
use tokio::{sync::Notify, time::Instant};

use super::{
    Store, StoreError, audio,
    cleaning::{self, Wishes},
    database::Columns as _,
    deposit::{WriteError, Written},
    greeting::Scratch,
    journal::blocking,
    mailbox, message, several, wav,
};
use crate::{
    audio::{join, wav::WavError},
    domain::{
        caller::Caller,
        id::{AudioKey, ListId, MailboxId, MessageId, SendingId},
        mailbox::MailboxNumber,
        message::{Marks, Message},
        rules,
        sending::{SendOutcome, Sent, SentKind},
        time::Timestamp,
    },
};

/// How many mailboxes are deposited into before their outcomes are noted, and how many at once.
const PAGE: u32 = 64;
const AT_ONCE: usize = 32;
/// How long a sending is its deliverer's: longer than a page takes with a database that is slow.
const LEASE: Duration = Duration::from_mins(1);

/// Something to be sent.
#[derive(Clone, Debug)]
pub struct NewSending {
    /// Made by whoever sends it, so that asking twice sends once.
    pub id: SendingId,
    /// Why.
    pub kind: SentKind,
    /// The mailbox it comes from; none when the operator sends.
    pub sender: Option<MailboxId>,
    /// To whom.
    pub to: Recipients,
    /// What.
    pub content: Content,
    /// What the sender marks it as.
    pub marks: Marks,
}

/// Who gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipients {
    /// These mailboxes, and those in these lists; each gets it once. The sender is left out of lists.
    These {
        /// The mailboxes.
        mailboxes: Vec<MailboxId>,
        /// The lists.
        lists: Vec<ListId>,
    },
    /// Every mailbox of a tenant that is in use, but the sender's.
    Everybody {
        /// The tenant; empty for the default one.
        tenant: String,
    },
}

/// What is sent.
#[derive(Clone, Debug)]
pub enum Content {
    /// A WAV of ours.
    Recording(Vec<u8>),
    /// A reply to a message: a WAV of ours.
    Reply {
        /// The message that is replied to.
        to: MessageId,
        /// The reply.
        wav: Vec<u8>,
    },
    /// A message, after an introduction if there is one: a WAV of ours.
    Message {
        /// The message.
        message: MessageId,
        /// What is heard before it.
        introduction: Option<Vec<u8>>,
    },
}

/// Why nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Its caller marked the message as private.
    #[error("a private message is not passed on")]
    Private,
    /// The message, or the sender's mailbox, is not there any more.
    #[error("the message or the sender's mailbox does not exist any more")]
    Gone,
    /// The recording is unusable, or too long with its introduction.
    #[error("the recording cannot be sent")]
    Unfit(#[source] WavError),
    /// No mailbox is to get it.
    #[error("there is nobody to send it to")]
    Nobody,
    /// The store could not be used. Whether it is sent may be unknown; sending it again under the same id sends it once.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for SendError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// How far a sending is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Mailboxes that wait for it.
    pub waiting: u32,
    /// Mailboxes that got it.
    pub delivered: u32,
    /// Mailboxes that took no further message.
    pub full: u32,
    /// Mailboxes that were removed or disabled.
    pub gone: u32,
}

/// A mailbox that did not get what was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// Its number; none when it was removed.
    pub number: Option<MailboxNumber>,
    /// The recording of its subscriber's name.
    pub spoken_name: Option<AudioKey>,
    /// Why.
    pub outcome: SendOutcome,
}

/// A sending in a listing.
#[derive(Clone, Debug)]
pub struct ListedSending {
    /// Its id.
    pub id: SendingId,
    /// Why it was sent.
    pub kind: SentKind,
    /// The number of the sender; none when the operator sent it.
    pub sender: Option<String>,
    /// How long the recording is.
    pub duration: Duration,
    /// When it was sent.
    pub created_at: Timestamp,
    /// When nobody waited for it any more.
    pub finished_at: Option<Timestamp>,
    /// How far it is.
    pub progress: Progress,
}

/// A sending as it is delivered.
struct Sending {
    id: SendingId,
    sent: Sent,
    caller: Caller,
    audio: AudioKey,
    duration: Duration,
    marks: Marks,
    created_at: Timestamp,
}

/// The audio of a sending: one that was put for it, or the one of the message that is forwarded.
struct Source {
    key: AudioKey,
    duration: Duration,
    origin: Option<MessageId>,
    is_new: bool,
}

impl Store {
    /// Is notified when there is something to deliver that nobody delivers yet. One waiter at a time.
    #[must_use]
    pub fn sendings_grew(&self) -> &Notify {
        &self.0.sendings_grew
    }

    /// Writes down what is to be sent; when this returns, it is sent. Whoever asks should [`deliver`](Self::deliver) it: it is theirs
    /// for a while, unless it is for everybody, which is left to whoever looks for something to deliver.
    ///
    /// # Errors
    ///
    /// See [`SendError`].
    pub async fn send(&self, new: NewSending, now: Timestamp) -> Result<(), SendError> {
        if self.is_sent(&new.id).await? {
            return Ok(());
        }
        let source = self.source(&new, now).await?;
        match self.write_sending(&new, &source, now).await {
            Ok(true) => {
                if matches!(new.to, Recipients::Everybody { .. }) {
                    self.0.sendings_grew.notify_one();
                }
                Ok(())
            }
            // Sent by an earlier attempt, whose audio it is.
            Ok(false) => {
                self.drop_source(&source).await;
                Ok(())
            }
            // A commit that was not confirmed may have taken effect; then its audio is referred to.
            Err(SendError::Store(error)) => {
                if self.is_sent(&new.id).await? {
                    return Ok(());
                }
                Err(SendError::Store(error))
            }
            Err(error) => {
                self.drop_source(&source).await;
                Err(error)
            }
        }
    }

    /// Deposits what was sent in every mailbox that waits for it, and says how far it has come.
    ///
    /// Can be dropped at any moment: whoever calls it again goes on.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; what was deposited until then is deposited.
    pub async fn deliver(&self, id: &SendingId, now: Timestamp) -> Result<Progress, StoreError> {
        let rows =
            sqlx::query("SELECT * FROM sendings WHERE id = $1").bind(id.as_str()).fetch_all(self.0.database.reader()).await?;
        let Some(sending) = rows.first().map(read).transpose()? else { return Ok(Progress::default()) };
        let began = Instant::now();
        loop {
            let rows = sqlx::query(
                "SELECT mailbox_id FROM sending_recipients WHERE sending_id = $1 AND outcome IS NULL ORDER BY mailbox_id LIMIT $2",
            )
            .bind(id.as_str())
            .bind(i64::from(PAGE))
            .fetch_all(self.0.database.reader())
            .await?;
            if rows.is_empty() {
                break;
            }
            let waiting: Vec<MailboxId> =
                rows.iter().map(|row| row.text("mailbox_id").map(MailboxId::from_stored)).collect::<Result<_, _>>()?;
            self.deliver_to(&sending, waiting, now, now.after(began.elapsed())).await?;
        }
        self.finish(&sending, now.after(began.elapsed())).await?;
        self.progress(id).await
    }

    /// Delivers whatever was sent and is nobody's at the moment. Answers how many sendings that were.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; what is left is delivered later.
    pub async fn deliver_sendings(&self, now: Timestamp) -> Result<u32, StoreError> {
        let began = Instant::now();
        let mut delivered = 0;
        while let Some(id) = self.claim_sending(now.after(began.elapsed())).await? {
            let progress = self.deliver(&id, now.after(began.elapsed())).await?;
            tracing::info!(sending.id = %id, delivered = progress.delivered, full = progress.full, gone = progress.gone,
                "a message to several mailboxes is delivered");
            delivered += 1;
        }
        Ok(delivered)
    }

    /// How far a sending is.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn progress(&self, id: &SendingId) -> Result<Progress, StoreError> {
        let rows =
            sqlx::query("SELECT outcome, COUNT(*) AS mailboxes FROM sending_recipients WHERE sending_id = $1 GROUP BY outcome")
                .bind(id.as_str())
                .fetch_all(self.0.database.reader())
                .await?;
        let mut progress = Progress::default();
        for row in &rows {
            let mailboxes = row.count("mailboxes")?;
            let outcome = row.maybe_text("outcome")?;
            match outcome.as_deref().and_then(SendOutcome::from_stored) {
                Some(SendOutcome::Delivered) => progress.delivered = mailboxes,
                Some(SendOutcome::Full) => progress.full = mailboxes,
                Some(SendOutcome::Gone) => progress.gone = mailboxes,
                None => progress.waiting = mailboxes,
            }
        }
        Ok(progress)
    }

    /// The mailboxes that did not get what was sent, in order of their numbers, up to `limit`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn missed(&self, id: &SendingId, limit: u32) -> Result<Vec<Missed>, StoreError> {
        let rows = sqlx::query(
            "SELECT r.outcome, m.number, m.spoken_name FROM sending_recipients r LEFT JOIN mailboxes m ON m.id = r.mailbox_id
             WHERE r.sending_id = $1 AND r.outcome IN ('full', 'gone') ORDER BY m.number LIMIT $2",
        )
        .bind(id.as_str())
        .bind(i64::from(limit))
        .fetch_all(self.0.database.reader())
        .await?;
        let read = |row: &AnyRow| {
            let number = row.maybe_text("number")?;
            Ok(Missed {
                number: number.map(|number| mailbox::parse(&number, "mailboxes.number")).transpose()?,
                spoken_name: row.maybe_text("spoken_name")?.map(AudioKey::from_stored),
                outcome: SendOutcome::from_stored(&row.text("outcome")?)
                    .ok_or(StoreError::Unreadable { what: "sending_recipients.outcome" })?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// What was sent to several mailboxes, the latest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn sendings(&self, limit: u32) -> Result<Vec<ListedSending>, StoreError> {
        let rows = sqlx::query("SELECT * FROM sendings ORDER BY created_at DESC, id DESC LIMIT $1")
            .bind(i64::from(limit))
            .fetch_all(self.0.database.reader())
            .await?;
        let mut listed = Vec::with_capacity(rows.len());
        for row in &rows {
            let Sending { id, sent, caller, duration, created_at, .. } = read(row)?;
            let (finished_at, progress) = (row.maybe_moment("finished_at")?, self.progress(&id).await?);
            listed.push(ListedSending {
                id,
                kind: sent.kind,
                sender: caller.number,
                duration,
                created_at,
                finished_at,
                progress,
            });
        }
        Ok(listed)
    }

    /// The WAV of what was recorded into a scratch, cleaned as a caller's message is. The sender has heard and accepted it: the
    /// recording as it came is not kept.
    ///
    /// # Errors
    ///
    /// [`StoreError::Spool`] when it cannot be read.
    pub async fn scratch_wav(&self, scratch: Scratch, kept: Duration) -> Result<Vec<u8>, StoreError> {
        let (spool, wishes) = (self.0.spool_dir.clone(), Wishes { clean: self.0.clean_audio, keep_silent: true });
        blocking(move || {
            let recorded = scratch.reader(kept)().map_err(|source| StoreError::spool(&spool, source))?;
            let finished = cleaning::finish(scratch.encoding(), &recorded, wishes);
            Ok(finished.map_or_else(|| wav::finish(scratch.encoding(), &recorded), |audio| audio.wav))
        })
        .await
    }

    async fn is_sent(&self, id: &SendingId) -> Result<bool, StoreError> {
        let rows =
            sqlx::query("SELECT id FROM sendings WHERE id = $1").bind(id.as_str()).fetch_all(self.0.database.reader()).await?;
        Ok(!rows.is_empty())
    }

    /// The audio that is sent, in the audio store.
    async fn source(&self, new: &NewSending, now: Timestamp) -> Result<Source, SendError> {
        let (wav, origin) = match &new.content {
            Content::Recording(wav) => (wav.clone(), None),
            Content::Reply { to, wav } => (wav.clone(), Some(to.clone())),
            Content::Message { message, introduction } => {
                let message = self.message(message, now).await?.ok_or(SendError::Gone)?;
                if message.private {
                    return Err(SendError::Private);
                }
                let Some(introduction) = introduction.clone() else {
                    let Message { id, audio, duration, .. } = message;
                    return Ok(Source { key: audio, duration, origin: Some(id), is_new: false });
                };
                let heard = self.audio(&message.audio).await?;
                let pause = rules::PAUSE_AFTER_INTRODUCTION;
                let joined = move || join::joined(&introduction, &heard, pause, rules::LONGEST_FORWARDED);
                let (wav, duration) = blocking(joined).await.map_err(SendError::Unfit)?;
                let key = self.put_audio(wav).await?;
                return Ok(Source { key, duration, origin: Some(message.id), is_new: true });
            }
        };
        let duration = crate::audio::wav::length(&wav, rules::LONGEST_FORWARDED).map_err(SendError::Unfit)?;
        Ok(Source { key: self.put_audio(wav).await?, duration, origin, is_new: true })
    }

    async fn drop_source(&self, source: &Source) {
        if source.is_new {
            self.drop_unused_audio(&source.key).await;
        }
    }

    /// The transaction itself. Answers whether it was not sent before.
    async fn write_sending(&self, new: &NewSending, source: &Source, now: Timestamp) -> Result<bool, SendError> {
        let mut transaction = self.0.database.begin().await?;
        let sender = match &new.sender {
            Some(id) => Some(mailbox::find(&mut transaction, id).await?.ok_or(SendError::Gone)?),
            None => None,
        };
        let leased_until = match new.to {
            Recipients::These { .. } => now.after(LEASE),
            Recipients::Everybody { .. } => now,
        };
        let inserted = sqlx::query(
            "INSERT INTO sendings (id, kind, sender_id, sender_number, sender_name, origin_id, audio, duration_ms, urgent, private,
                                   created_at, leased_until)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING",
        )
        .bind(new.id.as_str())
        .bind(new.kind.as_str())
        .bind(new.sender.as_ref().map(MailboxId::as_str))
        .bind(sender.as_ref().map(|sender| sender.number.as_str()))
        .bind(sender.as_ref().map(|sender| sender.name.as_str()).filter(|name| !name.is_empty()))
        .bind(source.origin.as_ref().map(MessageId::as_str))
        .bind(source.key.as_str())
        .bind(i64::try_from(source.duration.as_millis()).unwrap_or(i64::MAX))
        .bind(i64::from(new.marks.urgent))
        .bind(i64::from(new.marks.private))
        .bind(now.as_millis())
        .bind(leased_until.as_millis())
        .execute(&mut *transaction)
        .await?;
        if inserted.rows_affected() == 0 {
            return Ok(false);
        }
        insert_recipients(&mut transaction, new).await?;
        let recipients = sqlx::query("SELECT COUNT(*) AS mailboxes FROM sending_recipients WHERE sending_id = $1")
            .bind(new.id.as_str())
            .fetch_one(&mut *transaction)
            .await?;
        if recipients.count("mailboxes")? == 0 {
            return Err(SendError::Nobody);
        }
        match source.is_new {
            true => audio::claim(&mut transaction, &source.key).await?,
            false => match audio::share(&mut transaction, &source.key).await {
                // It was deleted meanwhile.
                Err(sqlx::Error::RowNotFound) => return Err(SendError::Gone),
                other => other?,
            },
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Deposits in some mailboxes, and notes what became of it in each.
    async fn deliver_to(
        &self,
        sending: &Sending,
        mailboxes: Vec<MailboxId>,
        now: Timestamp,
        noted_at: Timestamp,
    ) -> Result<(), StoreError> {
        let deposits = mailboxes.into_iter().map(|mailbox| async {
            let outcome = self.deposit_sent(sending, mailbox.clone(), now).await;
            (mailbox, outcome)
        });
        // Made before they are awaited: a closure over borrowed values would not be `Send` for every lifetime.
        let deposits: Vec<_> = deposits.collect();
        let outcomes: Vec<_> = futures_util::stream::iter(deposits).buffer_unordered(AT_ONCE).collect().await;
        let mut failed = None;
        let mut transaction = self.0.database.begin().await?;
        for (mailbox, outcome) in outcomes {
            let outcome = match outcome {
                Ok(outcome) => outcome,
                Err(error) => {
                    failed = Some(error);
                    continue;
                }
            };
            sqlx::query(
                "UPDATE sending_recipients SET outcome = $3 WHERE sending_id = $1 AND mailbox_id = $2 AND outcome IS NULL",
            )
            .bind(sending.id.as_str())
            .bind(mailbox.as_str())
            .bind(outcome.as_str())
            .execute(&mut *transaction)
            .await?;
        }
        sqlx::query("UPDATE sendings SET leased_until = $2 WHERE id = $1")
            .bind(sending.id.as_str())
            .bind(noted_at.after(LEASE).as_millis())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        failed.map_or(Ok(()), Err)
    }

    async fn deposit_sent(&self, sending: &Sending, mailbox: MailboxId, now: Timestamp) -> Result<SendOutcome, StoreError> {
        let message = sending.message_for(mailbox);
        let id = message.id.clone();
        match self.write(message, vec![], now).await {
            Ok(Written::Stored { mails, .. }) => {
                if mails {
                    self.0.outbox_grew.notify_one();
                }
                self.0.lamps_changed.notify_one();
                Ok(SendOutcome::Delivered)
            }
            Ok(Written::Already) => Ok(SendOutcome::Delivered),
            Ok(Written::Full) => Ok(SendOutcome::Full),
            Ok(Written::NoMailbox) => Ok(SendOutcome::Gone),
            Err(WriteError::Unknown(error)) => match self.deposited(&id).await {
                Ok(true) => Ok(SendOutcome::Delivered),
                Ok(false) | Err(_) => Err(error),
            },
            Err(WriteError::NotWritten(error)) => Err(error),
        }
    }

    /// Notes that nobody waits for it any more: its audio is the messages' alone.
    async fn finish(&self, sending: &Sending, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.0.database.begin().await?;
        let finished = sqlx::query("UPDATE sendings SET finished_at = $2 WHERE id = $1 AND finished_at IS NULL")
            .bind(sending.id.as_str())
            .bind(now.as_millis())
            .execute(&mut *transaction)
            .await?;
        if finished.rows_affected() == 0 {
            return Ok(());
        }
        audio::mark_removed(&mut transaction, &sending.audio, now).await?;
        transaction.commit().await?;
        self.remove_marked_audio(std::slice::from_ref(&sending.audio)).await;
        Ok(())
    }

    /// Takes the oldest sending that is nobody's.
    async fn claim_sending(&self, now: Timestamp) -> Result<Option<SendingId>, StoreError> {
        const UNCLAIMED: &str =
            "SELECT id FROM sendings WHERE finished_at IS NULL AND leased_until <= $1 ORDER BY created_at, id LIMIT 1";
        // Most looks find nothing: that should not cost a write.
        let due = sqlx::query(UNCLAIMED).bind(now.as_millis()).fetch_all(self.0.database.reader()).await?;
        if due.is_empty() {
            return Ok(None);
        }
        let mut transaction = self.0.database.begin().await?;
        // The outer condition is checked again after waiting for another node's claim, so none is claimed twice.
        let sql = format!(
            "UPDATE sendings SET leased_until = $2 WHERE id IN ({UNCLAIMED}) AND finished_at IS NULL AND leased_until <= $1 RETURNING id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(now.as_millis())
            .bind(now.after(LEASE).as_millis())
            .fetch_all(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(rows.first().map(|row| row.text("id").map(SendingId::from_stored)).transpose()?)
    }
}

impl Sending {
    /// The message that a mailbox gets.
    fn message_for(&self, mailbox: MailboxId) -> Message {
        Message {
            called: None,
            deleted_at: None,
            id: several::message_id(self.id.as_str(), &mailbox),
            mailbox,
            caller: self.caller.clone(),
            caller_verified: true,
            deposited_at: self.created_at,
            stamp_at: self.created_at,
            expires_at: rules::expiry_after_deposit(self.created_at),
            heard_at: None,
            saved_at: None,
            mailed_at: None,
            duration: self.duration,
            audio: self.audio.clone(),
            original_audio: None,
            interrupted: false,
            urgent: self.marks.urgent,
            private: self.marks.private,
            sent: Some(self.sent.clone()),
            version: 1,
        }
    }
}

async fn insert_recipients(connection: &mut AnyConnection, new: &NewSending) -> Result<(), sqlx::Error> {
    let sender = new.sender.as_ref().map_or("", MailboxId::as_str);
    match &new.to {
        Recipients::Everybody { tenant } => {
            sqlx::query(
                "INSERT INTO sending_recipients (sending_id, mailbox_id)
                 SELECT $1, id FROM mailboxes WHERE tenant = $2 AND enabled = 1 AND id <> $3",
            )
            .bind(new.id.as_str())
            .bind(tenant)
            .bind(sender)
            .execute(&mut *connection)
            .await?;
        }
        Recipients::These { mailboxes, lists } => {
            for mailbox in mailboxes {
                sqlx::query(
                    "INSERT INTO sending_recipients (sending_id, mailbox_id, outcome)
                     VALUES ($1, $2, CASE WHEN EXISTS (SELECT 1 FROM mailboxes WHERE id = $2 AND enabled = 1) THEN NULL ELSE 'gone' END)
                     ON CONFLICT DO NOTHING",
                )
                .bind(new.id.as_str())
                .bind(mailbox.as_str())
                .execute(&mut *connection)
                .await?;
            }
            for list in lists {
                sqlx::query(
                    "INSERT INTO sending_recipients (sending_id, mailbox_id)
                     SELECT $1, m.id FROM distribution_members d JOIN mailboxes m ON m.id = d.mailbox_id
                     WHERE d.list_id = $2 AND m.enabled = 1 AND m.id <> $3
                     ON CONFLICT DO NOTHING",
                )
                .bind(new.id.as_str())
                .bind(list.as_str())
                .bind(sender)
                .execute(&mut *connection)
                .await?;
            }
        }
    }
    Ok(())
}

/// Forgets what was delivered before `until`.
pub(super) async fn forget(connection: &mut AnyConnection, until: Timestamp) -> Result<(), sqlx::Error> {
    for sql in [
        "DELETE FROM sending_recipients WHERE sending_id IN (SELECT id FROM sendings WHERE finished_at <= $1)",
        "DELETE FROM sendings WHERE finished_at <= $1",
    ] {
        sqlx::query(sql).bind(until.as_millis()).execute(&mut *connection).await?;
    }
    Ok(())
}

fn read(row: &AnyRow) -> Result<Sending, StoreError> {
    Ok(Sending {
        id: SendingId::from_stored(row.text("id")?),
        sent: message::sent(&row.text("kind")?, row)?,
        caller: Caller { number: row.maybe_text("sender_number")?, name: row.maybe_text("sender_name")? },
        audio: AudioKey::from_stored(row.text("audio")?),
        duration: Duration::from_millis(u64::try_from(row.integer("duration_ms")?).unwrap_or(0)),
        marks: Marks { urgent: row.flag("urgent")?, private: row.flag("private")? },
        created_at: row.moment("created_at")?,
    })
}
