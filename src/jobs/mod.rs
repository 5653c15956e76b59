//! Work by the calendar: what expires, what is left over, whom to warn, what to try again.
//!
//! Every job is also a command, and says what it did. [`run`] does one job now; [`scheduler`] does each when its `cron` expression
//! says so, catches up what was missed, and goes by the steady clock while the wall clock cannot be believed ([`clock`]).

pub mod clock;
pub mod scheduler;

use std::{fmt, str::FromStr, time::Duration};

use chrono::Utc;

use crate::{
    domain::{rules, time::Timestamp},
    store::{Store, StoreError, spool::SpoolReport},
};

/// How old audio without a message must be before it counts as left over.
const ORPHAN_AGE: Duration = Duration::from_hours(24);
/// How many mails are looked at together that have been tried for long enough.
const HANDFUL: u32 = 200;
/// How long a job is locked at most: a node that dies while it runs one keeps nobody else from it for longer.
const LEASE: Duration = Duration::from_mins(15);

/// What can be done by the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Job {
    /// Remove messages whose life is over, and their audio.
    ExpireMessages,
    /// Remove audio that belongs to no message.
    SweepOrphans,
    /// Warn subscribers whose messages are about to expire or whose mailbox is filling up.
    WarnSubscribers,
    /// Store recordings that wait in the spool, and give up mails that were tried for long enough.
    RetryOutbox,
    /// Remove call records that are older than they are kept.
    PruneRecords,
}

impl Job {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::ExpireMessages, Self::SweepOrphans, Self::WarnSubscribers, Self::RetryOutbox, Self::PruneRecords];

    /// The name on the command line and in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ExpireMessages => "expire-messages",
            Self::SweepOrphans => "sweep-orphans",
            Self::WarnSubscribers => "warn-subscribers",
            Self::RetryOutbox => "retry-outbox",
            Self::PruneRecords => "prune-records",
        }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Job {
    type Err = UnknownJob;

    fn from_str(name: &str) -> Result<Self, UnknownJob> {
        Self::ALL.into_iter().find(|job| job.name() == name).ok_or_else(|| UnknownJob(name.to_owned()))
    }
}

/// A name that is no job.
#[derive(Debug, thiserror::Error)]
#[error("there is no job {0:?}; there are expire-messages, sweep-orphans, warn-subscribers, retry-outbox and prune-records")]
pub struct UnknownJob(String);

/// What a job did, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// [`Job::ExpireMessages`].
    Expired {
        /// Messages removed.
        messages: u32,
    },
    /// [`Job::SweepOrphans`].
    Swept {
        /// Audio objects and half-written files removed.
        objects: u32,
        /// What became of journals that nobody owned.
        spool: SpoolReport,
    },
    /// [`Job::WarnSubscribers`].
    Warned {
        /// Mailboxes warned of messages that are about to expire.
        expiring: u32,
        /// Mailboxes warned of being nearly full, or full.
        filling: u32,
    },
    /// [`Job::RetryOutbox`].
    Retried {
        /// What became of recordings that waited in the spool.
        spool: SpoolReport,
        /// Mails given up.
        given_up: u32,
        /// Mails still waiting.
        waiting: u32,
    },
    /// [`Job::PruneRecords`].
    Pruned {
        /// Call records removed.
        records: u32,
    },
}

impl Report {
    /// Whether anything changed, so that a log need not tell of every quiet minute.
    #[must_use]
    pub fn is_news(&self) -> bool {
        let settled = |spool: &SpoolReport| spool.deposited + spool.discarded + spool.quarantined > 0;
        match self {
            Self::Expired { messages } => *messages > 0,
            Self::Swept { objects, spool } => *objects > 0 || settled(spool),
            Self::Warned { expiring, filling } => expiring + filling > 0,
            Self::Retried { spool, given_up, .. } => *given_up > 0 || settled(spool),
            Self::Pruned { records } => *records > 0,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { messages } => write!(f, "{} removed", Count(*messages, "expired message")),
            Self::Swept { objects, spool } => write!(f, "{} removed{}", Count(*objects, "orphaned file"), Spool(spool)),
            Self::Warned { expiring, filling } => {
                write!(f, "{} warned of expiring messages, {} of filling up", Count(*expiring, "subscriber"), filling)
            }
            Self::Pruned { records } => write!(f, "{} removed", Count(*records, "call record")),
            Self::Retried { spool, given_up, waiting } => {
                write!(f, "{} waiting, {given_up} given up{}", Count(*waiting, "mail"), Spool(spool))
            }
        }
    }
}

struct Count(u32, &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number, what) = self;
        write!(f, "{number} {what}{}", if *number == 1 { "" } else { "s" })
    }
}

/// The recordings of a spool, when there were any.
struct Spool<'a>(&'a SpoolReport);

impl fmt::Display for Spool<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SpoolReport { deposited, discarded, waiting, quarantined } = *self.0;
        if deposited + discarded + waiting + quarantined == 0 {
            return Ok(());
        }
        write!(
            f,
            "; recordings in the spool: {deposited} stored, {discarded} discarded, {waiting} waiting, {quarantined} unreadable"
        )
    }
}

/// Why a job did nothing, or not everything.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The same job is running, here or on another node.
    #[error("{0} is running already")]
    Running(Job),
    /// The store could not be used. What was done until then stays done.
    #[error("{0} could not be finished")]
    Store(Job, #[source] StoreError),
}

/// Does a job as if it were `at`, unless it is being done already, and notes that it ran.
///
/// # Errors
///
/// See [`JobError`].
pub async fn run(job: Job, store: &Store, at: Timestamp) -> Result<Report, JobError> {
    // A run "at" next year must not keep the calendar waiting for it.
    run_noted(job, store, at, at.min(now())).await
}

/// Does a job as if it were `at`, and notes that it ran at `noted`.
async fn run_noted(job: Job, store: &Store, at: Timestamp, noted: Timestamp) -> Result<Report, JobError> {
    let failed = |error| JobError::Store(job, error);
    let Some(lock) = store.try_lock_job(job.name(), LEASE, now()).await.map_err(failed)? else {
        return Err(JobError::Running(job));
    };
    let outcome = work(job, store, at).await;
    let recorded = match &outcome {
        Ok(report) => store.record_run(job.name(), noted, &report.to_string()).await,
        Err(_) => Ok(()),
    };
    let unlocked = store.unlock_job(lock).await;
    let report = outcome.map_err(failed)?;
    recorded.and(unlocked).map_err(failed)?;
    Ok(report)
}

async fn work(job: Job, store: &Store, at: Timestamp) -> Result<Report, StoreError> {
    match job {
        Job::ExpireMessages => Ok(Report::Expired { messages: store.expire(at).await? }),
        Job::SweepOrphans => {
            let swept = store.sweep_orphans(at, ORPHAN_AGE).await?;
            Ok(Report::Swept { objects: swept.objects + swept.scraps, spool: swept.spool })
        }
        Job::WarnSubscribers => {
            let expiring = store.warn_expiring(at).await?;
            let filling = store.warn_full(at).await?;
            Ok(Report::Warned { expiring, filling })
        }
        Job::RetryOutbox => {
            let spool = store.retry_spool(at).await?;
            let (given_up, waiting) = give_up_old_mails(store, at).await?;
            Ok(Report::Retried { spool, given_up, waiting })
        }
        Job::PruneRecords => {
            let keep = store.keep_records();
            let records = store.prune_records(at.before(keep)).await?;
            store.prune_logs(at.before(logs_are_kept(keep))).await?;
            Ok(Report::Pruned { records })
        }
    }
}

/// How long the logs of mailboxes are kept: as long as the records of calls; who wants none of these has said nothing about those.
fn logs_are_kept(records: Duration) -> Duration {
    if records.is_zero() { rules::RECORD_LIFE } else { records }
}

/// Ends what has been tried for long enough, also while the relay is down and its breaker lets nothing through.
async fn give_up_old_mails(store: &Store, at: Timestamp) -> Result<(u32, u32), StoreError> {
    let mut given_up = 0;
    loop {
        let overdue = store.overdue_outbox(HANDFUL, at).await?;
        for item in &overdue {
            let last = item.last_error.as_deref().unwrap_or("the relay could not be used");
            store.dead(&item.id, last, at).await?;
            given_up += 1;
        }
        if overdue.len() < HANDFUL as usize {
            return Ok((given_up, store.waiting_outbox().await?));
        }
    }
}

fn now() -> Timestamp {
    Utc::now().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_has_a_name_that_finds_it() {
        for job in Job::ALL {
            assert_eq!(job.name().parse::<Job>().unwrap(), job);
        }
        assert!("expire".parse::<Job>().is_err());
    }

    #[test]
    fn who_wants_no_call_records_has_logs_of_mailboxes_all_the_same() {
        let day = Duration::from_hours(24);

        assert_eq!(logs_are_kept(day), day);
        assert_eq!(logs_are_kept(Duration::ZERO), rules::RECORD_LIFE);
    }

    #[test]
    fn reports_read_well() {
        let quiet = SpoolReport::default();
        let busy = SpoolReport { deposited: 2, waiting: 1, ..quiet };

        for (report, text) in [
            (Report::Expired { messages: 1 }, "1 expired message removed"),
            (Report::Pruned { records: 2 }, "2 call records removed"),
            (Report::Swept { objects: 0, spool: quiet }, "0 orphaned files removed"),
            (Report::Warned { expiring: 2, filling: 1 }, "2 subscribers warned of expiring messages, 1 of filling up"),
            (
                Report::Retried { spool: busy, given_up: 0, waiting: 3 },
                "3 mails waiting, 0 given up; recordings in the spool: 2 stored, 0 discarded, 1 waiting, 0 unreadable",
            ),
        ] {
            assert_eq!(report.to_string(), text);
        }
    }

    #[test]
    fn a_quiet_minute_is_no_news() {
        assert!(
            !Report::Retried { spool: SpoolReport { waiting: 5, ..SpoolReport::default() }, given_up: 0, waiting: 9 }.is_news()
        );
        assert!(Report::Retried { spool: SpoolReport::default(), given_up: 1, waiting: 9 }.is_news());
    }
}
