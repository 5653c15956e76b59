//! Passcodes: hashing them, checking them, and locking out who guesses.
//!
//! Every check costs the same work and the same one write, whether the mailbox exists, is disabled, is locked to the outside or just
//! has another passcode (but for the one failure that locks it); only a source that is locked itself is turned away without any. A failure is written down *before* the work and taken
//! back after a success, so that guesses made at the same time, in many calls or on many nodes, count like guesses in a row.
//! Attempts from one source take turns, so that subscribers behind one PBX who log in at the same moment do not lock each other
//! out with failures that are yet to be taken back.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, LazyLock},
};

use sqlx::AnyConnection;

use super::{
    ChangeError, Store, StoreError,
    database::Columns as _,
    enrolment::{self, Step},
    hash,
    journal::blocking,
    mailbox_log,
    outbox::{self, Errand},
};
use crate::domain::{
    id::MailboxId,
    mailbox::Mailbox,
    mailbox_log::{Channel, Event, Origin},
    passcode::{Attempts, Passcode},
    rules,
    time::Timestamp,
};

/// Where an attempt comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptSource {
    /// The mailbox's own identified line. Its failures are counted apart, so that strangers cannot lock the subscriber out.
    OwnLine,
    /// Anywhere else: a caller's number, an address; whatever best tells one guesser from another.
    Remote(String),
}

/// The answer to a passcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasscodeVerdict {
    /// Let in.
    Right,
    /// Not let in: wrong, or there is no such mailbox, or it is disabled, or it takes no remote access any more.
    Wrong,
    /// This source has failed too often and is not even listened to.
    LockedOut,
}

/// Whether a mailbox can still be reached from elsewhere than its own line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoteAccess {
    /// Failures in a row since the last success.
    pub failures: u32,
    /// When it was locked, until [`Store::unlock`].
    pub locked_at: Option<Timestamp>,
}

impl Store {
    /// Checks a passcode. `mailbox` is `None` when the caller named one that does not exist.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: nobody is let in while failures cannot be counted.
    pub async fn check_passcode(
        &self,
        mailbox: Option<&MailboxId>,
        source: &AttemptSource,
        passcode: &Passcode,
        now: Timestamp,
    ) -> Result<PasscodeVerdict, StoreError> {
        let _turn = self.0.attempts.take(&source_key(mailbox, source)).await;
        let Some(counted) = self.count_failure(mailbox, source, now).await? else {
            tracing::warn!(mailbox.id = mailbox.map(MailboxId::as_str), "a locked-out source tried a passcode");
            return Ok(PasscodeVerdict::LockedOut);
        };
        let hash = counted.hash.clone();
        let fits = self.verify(hash, passcode).await?;
        if fits && let Some(mailbox) = mailbox.filter(|_| counted.open) {
            self.take_back_failure(mailbox, source, &counted).await?;
            tracing::info!(mailbox.id = mailbox.as_str(), "a passcode was right");
            return Ok(PasscodeVerdict::Right);
        }
        if let Some(mailbox) = mailbox.filter(|_| counted.locks_remote_access) {
            self.lock_remote_access(mailbox, now).await?;
        }
        tracing::info!(mailbox.id = mailbox.map(MailboxId::as_str), "a passcode was wrong");
        Ok(PasscodeVerdict::Wrong)
    }

    /// Gives a mailbox another passcode, and tells its subscriber by mail. Locks stay as they are.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Gone`] when there is no such mailbox.
    pub async fn set_passcode(
        &self,
        mailbox: &MailboxId,
        passcode: &Passcode,
        by: &Origin,
        now: Timestamp,
    ) -> Result<(), ChangeError> {
        let hash = self.hash(passcode).await?;
        let mut transaction = self.0.database.begin().await?;
        let updated = sqlx::query("UPDATE mailboxes SET passcode_hash = $2 WHERE id = $1")
            .bind(mailbox.as_str())
            .bind(hash)
            .execute(&mut *transaction)
            .await?;
        if updated.rows_affected() == 0 {
            return Err(ChangeError::Gone);
        }
        let mut mails = mailbox_log::note(&mut transaction, mailbox, &Event::PasscodeChanged, by, true, now).await?;
        if by.channel != Channel::Command {
            mails |= enrolment::done(&mut transaction, mailbox, Step::Passcode, by, now).await?;
        }
        transaction.commit().await?;
        self.announce_mail(mails);
        Ok(())
    }

    /// Gives a mailbox of an administrator's tenant a passcode that its subscriber has to change at the next login, takes its locks
    /// away, and tells its subscriber by mail. Both mailboxes' logs tell of it.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Gone`] when there is no such mailbox.
    pub async fn reset_passcode(
        &self,
        mailbox: &Mailbox,
        passcode: &Passcode,
        administrator: &MailboxId,
        by: &Origin,
        now: Timestamp,
    ) -> Result<(), ChangeError> {
        let hash = self.hash(passcode).await?;
        let mut transaction = self.0.database.begin().await?;
        // Whoever was enrolled is asked for the passcode only.
        let updated = sqlx::query(
            "UPDATE mailboxes SET passcode_hash = $2, passcode_due = 1, name_due = name_due * (1 - enrolled),
                                  greeting_due = greeting_due * (1 - enrolled), enrolled = 0
             WHERE id = $1",
        )
        .bind(mailbox.id.as_str())
        .bind(hash)
        .execute(&mut *transaction)
        .await?;
        if updated.rows_affected() == 0 {
            return Err(ChangeError::Gone);
        }
        unlock(&mut transaction, &mailbox.id).await?;
        let mails = mailbox_log::note(&mut transaction, &mailbox.id, &Event::PasscodeReset, by, true, now).await?;
        let reset = Event::ResetPasscodeOf { mailbox: mailbox.number.clone() };
        mailbox_log::note(&mut transaction, administrator, &reset, by, false, now).await?;
        transaction.commit().await?;
        self.announce_mail(mails);
        tracing::info!(mailbox.id = %mailbox.id, administrator = %administrator, "an administrator reset a passcode");
        Ok(())
    }

    /// Opens a mailbox to remote access again, and its own line.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Gone`] when there is no such mailbox.
    pub async fn unlock(&self, mailbox: &MailboxId) -> Result<(), ChangeError> {
        let mut transaction = self.0.database.begin().await?;
        unlock(&mut transaction, mailbox).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Whether a mailbox is open to remote access.
    ///
    /// # Errors
    ///
    /// [`ChangeError::Gone`] when there is no such mailbox.
    pub async fn remote_access(&self, mailbox: &MailboxId) -> Result<RemoteAccess, ChangeError> {
        let rows = sqlx::query("SELECT remote_failures, remote_locked_at FROM mailboxes WHERE id = $1")
            .bind(mailbox.as_str())
            .fetch_all(self.0.database.reader())
            .await?;
        let row = rows.first().ok_or(ChangeError::Gone)?;
        Ok(RemoteAccess { failures: row.count("remote_failures")?, locked_at: row.maybe_moment("remote_locked_at")? })
    }

    /// Hashes a passcode for keeping.
    pub(super) async fn hash(&self, passcode: &Passcode) -> Result<String, StoreError> {
        let digits = passcode.digits().to_owned();
        self.hashing(move || hash(&digits)).await?
    }

    async fn verify(&self, hash: String, passcode: &Passcode) -> Result<bool, StoreError> {
        let digits = passcode.digits().to_owned();
        self.hashing(move || hash::fits(&hash, &digits).ok_or(StoreError::Unreadable { what: "mailboxes.passcode_hash" })).await?
    }

    /// Runs hashing work, a bounded number at once: it takes 19 MiB and some ten milliseconds of a processor each.
    async fn hashing<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, StoreError> {
        let turn = Arc::clone(&self.0.hashing).acquire_owned().await.map_err(|_| StoreError::Hash)?;
        Ok(blocking(move || {
            let _turn = turn;
            work()
        })
        .await)
    }

    /// Writes a failure down in advance, unless the source is locked.
    async fn count_failure(
        &self,
        mailbox: Option<&MailboxId>,
        source: &AttemptSource,
        now: Timestamp,
    ) -> Result<Option<Counted>, StoreError> {
        let key = source_key(mailbox, source);
        let mut transaction = self.0.database.begin().await?;
        // Makes the row if need be, and takes its turn on it.
        sqlx::query(
            "INSERT INTO passcode_attempts (source, mailbox_id, failures, locks, last_at, version) VALUES ($1, $2, 0, 0, $3, 0)
             ON CONFLICT (source) DO UPDATE SET version = passcode_attempts.version + 1",
        )
        .bind(key.as_str())
        .bind(mailbox.map(MailboxId::as_str))
        .bind(now.as_millis())
        .execute(&mut *transaction)
        .await?;
        let row = sqlx::query("SELECT * FROM passcode_attempts WHERE source = $1")
            .bind(key.as_str())
            .fetch_one(&mut *transaction)
            .await?;
        let before = Attempts {
            failures: row.count("failures")?,
            locks: row.count("locks")?,
            locked_until: row.maybe_moment("locked_until")?,
        };
        if !before.may_try(now) {
            return Ok(None);
        }
        let after = before.after_failure(now);
        let against = row.maybe_text("mailbox_id")?;
        let same = (against.is_some() || before == Attempts::default()) && against.as_deref() == mailbox.map(MailboxId::as_str);
        let version = row.integer("version")? + 1;
        sqlx::query(
            "UPDATE passcode_attempts SET mailbox_id = $2, failures = $3, locks = $4, locked_until = $5, last_at = $6, version = $7
             WHERE source = $1",
        )
        .bind(key.as_str())
        .bind(mailbox.map(MailboxId::as_str).filter(|_| same))
        .bind(i64::from(after.failures))
        .bind(i64::from(after.locks))
        .bind(after.locked_until.map(Timestamp::as_millis))
        .bind(now.as_millis())
        .bind(version)
        .execute(&mut *transaction)
        .await?;
        let mut counted =
            Counted { key, before, same, version, hash: DUMMY_HASH.clone(), open: false, locks_remote_access: false };
        if let Some(mailbox) = mailbox {
            let remote = i64::from(*source != AttemptSource::OwnLine);
            let rows = sqlx::query(
                "UPDATE mailboxes SET remote_failures = remote_failures + $2 WHERE id = $1
                 RETURNING passcode_hash, enabled, remote_failures, remote_locked_at",
            )
            .bind(mailbox.as_str())
            .bind(remote)
            .fetch_all(&mut *transaction)
            .await?;
            if let Some(row) = rows.first() {
                counted.hash = row.text("passcode_hash")?;
                let unlocked = row.maybe_moment("remote_locked_at")?.is_none();
                counted.open = row.flag("enabled")? && (remote == 0 || unlocked);
                counted.locks_remote_access =
                    remote == 1 && unlocked && rules::locks_remote_access(row.count("remote_failures")?);
            }
        }
        transaction.commit().await?;
        Ok(Some(counted))
    }

    /// After a success: nothing has happened.
    async fn take_back_failure(&self, mailbox: &MailboxId, source: &AttemptSource, counted: &Counted) -> Result<(), StoreError> {
        let mut transaction = self.0.database.begin().await?;
        if counted.same {
            sqlx::query("DELETE FROM passcode_attempts WHERE source = $1")
                .bind(counted.key.as_str())
                .execute(&mut *transaction)
                .await?;
        } else {
            // Failures against other mailboxes stay: knowing one passcode must not pay for guessing others.
            sqlx::query(
                "UPDATE passcode_attempts SET failures = $3, locks = $4, locked_until = $5 WHERE source = $1 AND version = $2",
            )
            .bind(counted.key.as_str())
            .bind(counted.version)
            .bind(i64::from(counted.before.failures))
            .bind(i64::from(counted.before.locks))
            .bind(counted.before.locked_until.map(Timestamp::as_millis))
            .execute(&mut *transaction)
            .await?;
        }
        if *source != AttemptSource::OwnLine {
            sqlx::query("UPDATE mailboxes SET remote_failures = 0 WHERE id = $1 AND remote_locked_at IS NULL")
                .bind(mailbox.as_str())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// After a failure that was one too many: ends remote access, unless a success came between, and tells the owner once.
    async fn lock_remote_access(&self, mailbox: &MailboxId, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.0.database.begin().await?;
        let rows = sqlx::query(
            "UPDATE mailboxes SET deposit_turn = deposit_turn + 1 WHERE id = $1 AND remote_locked_at IS NULL
             RETURNING remote_failures, email",
        )
        .bind(mailbox.as_str())
        .fetch_all(&mut *transaction)
        .await?;
        let Some(row) = rows.first() else { return Ok(()) };
        if !rules::locks_remote_access(row.count("remote_failures")?) {
            return Ok(());
        }
        sqlx::query("UPDATE mailboxes SET remote_locked_at = $2 WHERE id = $1")
            .bind(mailbox.as_str())
            .bind(now.as_millis())
            .execute(&mut *transaction)
            .await?;
        if row.maybe_text("email")?.is_some() {
            outbox::insert(&mut transaction, mailbox, &Errand::RemoteAccessLocked, now).await?;
        }
        transaction.commit().await?;
        self.0.outbox_grew.notify_one();
        tracing::warn!(mailbox.id = %mailbox, "remote access to a mailbox was locked after too many wrong passcodes");
        Ok(())
    }
}

/// The turns of sources on this node. Sources that share a place wait for each other for nothing, some ten milliseconds.
pub(super) struct Turns([tokio::sync::Mutex<()>; 64]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| tokio::sync::Mutex::new(())))
    }
}

impl Turns {
    async fn take(&self, source: &str) -> tokio::sync::MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        source.hash(&mut hasher);
        self.0[hasher.finish() as usize % self.0.len()].lock().await
    }
}

/// A failure written down in advance.
struct Counted {
    key: String,
    before: Attempts,
    /// Whether all the source's failures were against the same mailbox.
    same: bool,
    version: i64,
    hash: String,
    open: bool,
    /// Whether it is one failure too many in a row from elsewhere than the own line.
    locks_remote_access: bool,
}

fn source_key(mailbox: Option<&MailboxId>, source: &AttemptSource) -> String {
    match (source, mailbox) {
        (AttemptSource::OwnLine, Some(mailbox)) => own_line_key(mailbox),
        (AttemptSource::OwnLine, None) => "line:".to_owned(),
        (AttemptSource::Remote(source), _) => format!("remote:{source}"),
    }
}

fn own_line_key(mailbox: &MailboxId) -> String {
    format!("line:{mailbox}")
}

async fn unlock(connection: &mut AnyConnection, mailbox: &MailboxId) -> Result<(), ChangeError> {
    let updated = sqlx::query("UPDATE mailboxes SET remote_failures = 0, remote_locked_at = NULL WHERE id = $1")
        .bind(mailbox.as_str())
        .execute(&mut *connection)
        .await?;
    if updated.rows_affected() == 0 {
        return Err(ChangeError::Gone);
    }
    forget_own_line(connection, mailbox).await?;
    // Sources that tried nothing but this mailbox are most likely its subscriber.
    sqlx::query("DELETE FROM passcode_attempts WHERE mailbox_id = $1").bind(mailbox.as_str()).execute(connection).await?;
    Ok(())
}

pub(super) async fn forget_own_line(connection: &mut AnyConnection, mailbox: &MailboxId) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM passcode_attempts WHERE source = $1").bind(own_line_key(mailbox)).execute(connection).await?;
    Ok(())
}

/// Verified against when there is no mailbox, so that it takes as long as when there is one.
static DUMMY_HASH: LazyLock<String> = LazyLock::new(|| {
    // Nobody can type these characters.
    hash("no passcode").unwrap_or_default()
});

fn hash(digits: &str) -> Result<String, StoreError> {
    // Cheap: 16 random bytes.
    let salt: [u8; 16] = rand::random();
    hash::new(digits, &salt).ok_or(StoreError::Hash)
}
