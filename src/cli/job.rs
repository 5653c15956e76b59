//! `afterbeep job`.

use std::path::Path;

use clap::Subcommand;
use serde::Serialize;

use super::{output, workplace::Workplace};
use crate::{
    config::{CronExpression, JobSettings},
    domain::time::Timestamp,
    jobs::{self, Job},
};

#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// List the jobs, when each ran last and what it did, and when it runs next
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Do a job now, and say what it did
    Run {
        /// The job's name, as listed
        #[arg(value_name = "NAME")]
        job: Job,
        /// Do it as if it were this moment, such as 2026-11-21T08:05:00Z
        #[arg(long, value_name = "TIME")]
        at: Option<Timestamp>,
    },
}

pub async fn run(command: JobCommand, file: Option<&Path>) -> anyhow::Result<()> {
    let place = Workplace::open(file).await?;
    match command {
        JobCommand::List { json } => list(&place, json).await,
        JobCommand::Run { job, at } => {
            let report = jobs::run(job, &place.store, at.unwrap_or(place.now)).await?;
            output::text(&format!("{report}\n"))
        }
    }
}

async fn list(place: &Workplace, json: bool) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for job in Job::ALL {
        let expression = expression(&place.config.jobs, job);
        let last = place.store.last_run(job.name()).await?;
        let next = expression.schedule().after(&place.now.to_utc()).next();
        rows.push(Listed {
            name: job.name(),
            does: does(job),
            schedule: expression.as_str().to_owned(),
            last_run_at: last.as_ref().map(|run| run.at.to_string()),
            last_report: last.map(|run| run.report),
            next_run_at: next.map(|at| Timestamp::from(at).to_string()),
        });
    }
    let or_dash = |text: Option<&String>| text.cloned().unwrap_or_else(|| "-".to_owned());
    output::rows(
        &rows,
        &[
            ("NAME", &|row| row.name.to_owned()),
            ("SCHEDULE (UTC)", &|row| row.schedule.clone()),
            ("LAST RUN", &|row| or_dash(row.last_run_at.as_ref())),
            ("NEXT RUN", &|row| or_dash(row.next_run_at.as_ref())),
            ("LAST REPORT", &|row| or_dash(row.last_report.as_ref())),
        ],
        json,
    )
}

fn expression(settings: &JobSettings, job: Job) -> &CronExpression {
    match job {
        Job::ExpireMessages => &settings.expire_messages,
        Job::SweepOrphans => &settings.sweep_orphans,
        Job::WarnSubscribers => &settings.warn_subscribers,
        Job::RetryOutbox => &settings.retry_outbox,
        Job::PruneRecords => &settings.prune_records,
    }
}

fn does(job: Job) -> &'static str {
    match job {
        Job::ExpireMessages => "removes messages whose life is over, and their audio",
        Job::SweepOrphans => "removes audio that belongs to no message",
        Job::WarnSubscribers => "warns subscribers whose messages are about to expire or whose mailbox is filling up",
        Job::RetryOutbox => "stores recordings that wait in the spool, and gives up mails that were tried for long enough",
        Job::PruneRecords => "removes call records that are older than they are kept",
    }
}

#[derive(Serialize)]
struct Listed {
    name: &'static str,
    does: &'static str,
    schedule: String,
    last_run_at: Option<String>,
    last_report: Option<String>,
    next_run_at: Option<String>,
}
