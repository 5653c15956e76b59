//! What the calendar remembers between runs: when each job ran, who runs it now, and the last moment a clock was believed.

use std::time::Duration;

use super::{Store, StoreError, database::Columns as _};
use crate::domain::time::Timestamp;

/// The right to run a job, until it is released or its lease is over.
#[derive(Debug)]
pub struct JobLock {
    name: String,
    holder: String,
}

/// The latest run of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRun {
    /// The job.
    pub name: String,
    /// When it ran.
    pub at: Timestamp,
    /// What it said it did.
    pub report: String,
}

impl Store {
    /// Takes the right to run a job, unless somebody has it. `now` is the real clock, also for a run "at" another time.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn try_lock_job(&self, name: &str, lease: Duration, now: Timestamp) -> Result<Option<JobLock>, StoreError> {
        let holder = format!("{} {}", self.node(), crate::domain::id::OutboxId::random());
        let mut transaction = self.0.database.begin().await?;
        let locked = sqlx::query(
            "INSERT INTO job_runs (name, locked_until, lock_holder) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET locked_until = $2, lock_holder = $3
             WHERE job_runs.locked_until IS NULL OR job_runs.locked_until <= $4",
        )
        .bind(name)
        .bind(now.after(lease).as_millis())
        .bind(holder.as_str())
        .bind(now.as_millis())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok((locked.rows_affected() == 1).then(|| JobLock { name: name.to_owned(), holder }))
    }

    /// Gives the right back.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`]; then it ends with its lease.
    pub async fn unlock_job(&self, lock: JobLock) -> Result<(), StoreError> {
        let mut transaction = self.0.database.begin().await?;
        sqlx::query("UPDATE job_runs SET locked_until = NULL, lock_holder = NULL WHERE name = $1 AND lock_holder = $2")
            .bind(lock.name)
            .bind(lock.holder)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Notes that a job ran, as of `at`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn record_run(&self, name: &str, at: Timestamp, report: &str) -> Result<(), StoreError> {
        let mut transaction = self.0.database.begin().await?;
        sqlx::query(
            "INSERT INTO job_runs (name, last_run_at, last_report) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET last_run_at = $2, last_report = $3",
        )
        .bind(name)
        .bind(at.as_millis())
        .bind(report)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The latest run of a job, if it ever ran.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn last_run(&self, name: &str) -> Result<Option<JobRun>, StoreError> {
        let rows = sqlx::query("SELECT last_run_at, last_report FROM job_runs WHERE name = $1 AND last_run_at IS NOT NULL")
            .bind(name)
            .fetch_all(self.0.database.reader())
            .await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(JobRun {
            name: name.to_owned(),
            at: row.moment("last_run_at")?,
            report: row.maybe_text("last_report")?.unwrap_or_default(),
        }))
    }

    /// The moment last noted by [`record_clock`](Self::record_clock), on any node.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn last_clock(&self) -> Result<Option<Timestamp>, StoreError> {
        let rows = sqlx::query("SELECT seen_at FROM clock WHERE id = 1").fetch_all(self.0.database.reader()).await?;
        Ok(rows.first().map(|row| row.moment("seen_at")).transpose()?)
    }

    /// Notes what a clock shows that is believed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Database`].
    pub async fn record_clock(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.0.database.begin().await?;
        sqlx::query("INSERT INTO clock (id, seen_at) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET seen_at = $1")
            .bind(now.as_millis())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}
