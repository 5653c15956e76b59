//! Does each job when the calendar says so.

use std::{
    error::Error,
    future::Future,
    time::{Duration, Instant},
};

use chrono::Utc;
use cron::Schedule;

use super::{
    Job, JobError,
    clock::{ClockWatch, Verdict},
};
use crate::{domain::time::Timestamp, store::Store};

/// The calendar is looked at at least so often, because the wall clock can be set at any moment.
const LONGEST_SLEEP: Duration = Duration::from_secs(20);
/// After a job failed, or another node was running it.
const PAUSE: Duration = Duration::from_secs(60);
/// How often it is noted what the clock shows.
const CLOCK_NOTE: Duration = Duration::from_mins(10);

/// When each job is done, in UTC.
#[derive(Clone, Debug)]
pub struct Calendar {
    /// [`Job::ExpireMessages`].
    pub expire_messages: Schedule,
    /// [`Job::SweepOrphans`].
    pub sweep_orphans: Schedule,
    /// [`Job::WarnSubscribers`].
    pub warn_subscribers: Schedule,
    /// [`Job::RetryOutbox`].
    pub retry_outbox: Schedule,
    /// [`Job::PruneRecords`].
    pub prune_records: Schedule,
}

impl Calendar {
    fn schedule(&self, job: Job) -> &Schedule {
        match job {
            Job::ExpireMessages => &self.expire_messages,
            Job::SweepOrphans => &self.sweep_orphans,
            Job::WarnSubscribers => &self.warn_subscribers,
            Job::RetryOutbox => &self.retry_outbox,
            Job::PruneRecords => &self.prune_records,
        }
    }
}

/// Keeps the calendar until `shutdown` is ready; a job that is running then is finished first.
pub async fn run(store: Store, calendar: Calendar, shutdown: impl Future<Output = ()>) {
    let mut shutdown = std::pin::pin!(shutdown);
    let mut watch: Option<ClockWatch> = None;
    let mut clock_noted: Option<Instant> = None;
    let mut not_before = [None; Job::ALL.len()];
    loop {
        let now = Timestamp::from(Utc::now());
        let steady = Instant::now();
        let watch = match &mut watch {
            Some(watch) => watch,
            None => match store.last_clock().await {
                Ok(last_seen) => watch.insert(ClockWatch::new(last_seen, steady)),
                Err(error) => {
                    tracing::error!(error = &error as &dyn Error, "the calendar waits for the store");
                    if sleep(PAUSE, &mut shutdown).await {
                        continue;
                    }
                    return;
                }
            },
        };
        let verdict = watch.look(now, steady);
        if let Verdict::Leapt { from } = verdict {
            tracing::error!(%from, to = %now, "the clock has leapt: until it has gone on for a day, the calendar goes by what it would have shown");
        }
        if verdict == Verdict::Believed && clock_noted.is_none_or(|noted| steady - noted >= CLOCK_NOTE) {
            match store.record_clock(now).await {
                Ok(()) => clock_noted = Some(steady),
                Err(error) => tracing::warn!(error = &error as &dyn Error, "what the clock shows could not be noted"),
            }
        }
        let mut next = now.after(LONGEST_SLEEP);
        for (job, not_before) in Job::ALL.into_iter().zip(&mut not_before) {
            if not_before.is_some_and(|until| steady < until) {
                continue;
            }
            let at = watch.trusted_time(steady).unwrap_or(now);
            match step(job, &store, calendar.schedule(job), now, at).await {
                Ok(due) => next = next.min(due.unwrap_or(next)),
                Err(error) => {
                    *not_before = Some(steady + PAUSE);
                    match error {
                        JobError::Running(_) => tracing::debug!(%job, "a job is being done elsewhere"),
                        JobError::Store(..) => {
                            tracing::error!(%job, error = &error as &dyn Error, "a job failed; it is tried again in a minute")
                        }
                    }
                }
            }
        }
        let pause = next.since(Utc::now().into()).clamp(Duration::from_millis(10), LONGEST_SLEEP);
        if !sleep(pause, &mut shutdown).await {
            return;
        }
    }
}

/// Does a job if it is due at `now`, as if it were `at`, and says when it is due next.
async fn step(
    job: Job,
    store: &Store,
    schedule: &Schedule,
    now: Timestamp,
    at: Timestamp,
) -> Result<Option<Timestamp>, JobError> {
    let last = store.last_run(job.name()).await.map_err(|error| JobError::Store(job, error))?.map(|run| run.at);
    if !is_due(schedule, last, now) {
        return Ok(last.and_then(|last| next_after(schedule, last)));
    }
    let started = Instant::now();
    let report = super::run_noted(job, store, at, now).await?;
    if report.is_news() {
        tracing::info!(%job, took = ?started.elapsed(), "{report}");
    } else {
        tracing::debug!(%job, took = ?started.elapsed(), "{report}");
    }
    Ok(next_after(schedule, now))
}

/// Whether a job should run at `now`: one of its moments has come since it last ran. However many have, one run catches up; a
/// job that never ran is due at once. A last run in the future is a clock that was set back, and counts for nothing.
fn is_due(schedule: &Schedule, last: Option<Timestamp>, now: Timestamp) -> bool {
    match last {
        None => true,
        Some(last) if last > now => true,
        Some(last) => next_after(schedule, last).is_some_and(|next| next <= now),
    }
}

fn next_after(schedule: &Schedule, moment: Timestamp) -> Option<Timestamp> {
    schedule.after(&moment.to_utc()).next().map(Timestamp::from)
}

/// Sleeps; `false` when it is time to stop.
async fn sleep(pause: Duration, shutdown: &mut (impl Future<Output = ()> + Unpin)) -> bool {
    tokio::select! {
        () = tokio::time::sleep(pause) => true,
        () = shutdown => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_due_at_its_moment_and_once() {
        let daily = schedule("0 30 3 * * *");
        let last = Some(at("2026-11-20T03:30:00Z"));

        assert!(!is_due(&daily, last, at("2026-11-21T03:29:59Z")));
        assert!(is_due(&daily, last, at("2026-11-21T03:30:00Z")));
        assert!(!is_due(&daily, Some(at("2026-11-21T03:30:00Z")), at("2026-11-21T03:30:01Z")));
    }

    #[test]
    fn missed_moments_are_caught_up_by_one_run() {
        let daily = schedule("0 30 3 * * *");
        let now = at("2026-11-21T12:00:00Z");

        assert!(is_due(&daily, Some(at("2026-11-11T03:30:00Z")), now));
        assert!(!is_due(&daily, Some(now), now.after(Duration::from_secs(1))));
        assert!(is_due(&daily, None, now));
    }

    #[test]
    fn a_clock_set_back_does_not_stop_the_calendar() {
        let minutely = schedule("0 * * * * *");

        assert!(is_due(&minutely, Some(at("2027-01-01T00:00:00Z")), at("2026-11-21T12:00:30Z")));
    }

    #[test]
    fn weekdays_go_by_name() {
        let mondays = schedule("0 0 9 * * Mon");

        assert_eq!(next_after(&mondays, at("2026-11-21T12:00:00Z")), Some(at("2026-11-23T09:00:00Z")));
    }

    fn schedule(expression: &str) -> Schedule {
        expression.parse().unwrap()
    }

    fn at(moment: &str) -> Timestamp {
        moment.parse().unwrap()
    }
}
