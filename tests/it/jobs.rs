//! Work by the calendar, on a real store.

use std::{io::Write as _, time::Duration};

use afterbeep::{
    domain::{
        caller::Caller,
        id::{CallId, MessageId},
        mailbox::Mailbox,
        message::Message,
        passcode::Passcode,
        rules,
        time::Timestamp,
    },
    jobs::{
        self, Job, JobError, Report,
        scheduler::{self, Calendar},
    },
    store::{
        Store, StoreConfig,
        journal::{Encoding, Envelope},
        mailbox::NewMailbox,
        outbox::Errand,
    },
};
use tempfile::TempDir;
use tokio::sync::oneshot;

#[tokio::test]
async fn expired_messages_go_at_their_millisecond_and_not_before() {
    let (store, mailbox, _folder) = system(None).await;
    let message = deposit(&store, &mailbox).await;

    let before = jobs::run(Job::ExpireMessages, &store, message.expires_at.before(Duration::from_millis(1))).await.unwrap();
    let then = jobs::run(Job::ExpireMessages, &store, message.expires_at).await.unwrap();
    let again = jobs::run(Job::ExpireMessages, &store, message.expires_at).await.unwrap();

    let removed = [before, then, again].map(|report| report.to_string());
    assert_eq!(removed, ["0 expired messages removed", "1 expired message removed", "0 expired messages removed"]);
    assert!(store.audio(&message.audio).await.is_err());
}

#[tokio::test]
async fn subscribers_are_warned_once() {
    let (store, mailbox, _folder) = system(Some("zoe@example.org")).await;
    let message = deposit(&store, &mailbox).await;
    let too_early = message.expires_at.before(rules::EXPIRY_WARNING + Duration::from_secs(1));
    let soon = message.expires_at.before(rules::EXPIRY_WARNING);

    for (at, warned) in [(too_early, 0), (soon, 1), (soon.after(Duration::from_secs(1)), 0)] {
        let report = jobs::run(Job::WarnSubscribers, &store, at).await.unwrap();
        assert_eq!(report, Report::Warned { expiring: warned, filling: 0 });
    }

    let outbox = store.list_outbox().await.unwrap();
    assert_eq!(outbox[0].errand, Errand::Expiring { messages: 1, first: message.expires_at });
}

#[tokio::test]
async fn mails_are_given_up_after_five_days_even_while_nobody_tries() {
    let (store, mailbox, _folder) = system(Some("zoe@example.org")).await;
    let message = deposit(&store, &mailbox).await;
    jobs::run(Job::WarnSubscribers, &store, message.expires_at.before(Duration::from_hours(1))).await.unwrap();
    let item = store.list_outbox().await.unwrap().remove(0);
    let end = item.created_at.after(rules::DELIVERY_LIFE);

    let before = jobs::run(Job::RetryOutbox, &store, end.before(Duration::from_millis(1))).await.unwrap();
    let then = jobs::run(Job::RetryOutbox, &store, end).await.unwrap();

    assert_eq!(before.to_string(), "1 mail waiting, 0 given up");
    assert_eq!(then.to_string(), "0 mails waiting, 1 given up");
    assert_eq!(store.list_outbox().await.unwrap()[0].dead_at, Some(end));
    assert!(store.mailbox(&mailbox.id).await.unwrap().unwrap().mail_problem.is_some());
}

#[tokio::test]
async fn the_same_job_twice_at_once_runs_once() {
    let (store, _mailbox, _folder) = system(None).await;
    let lock = store.try_lock_job(Job::SweepOrphans.name(), Duration::from_mins(1), now()).await.unwrap().unwrap();

    let refused = jobs::run(Job::SweepOrphans, &store, now()).await.unwrap_err();
    let other = jobs::run(Job::ExpireMessages, &store, now()).await;
    store.unlock_job(lock).await.unwrap();
    let then = jobs::run(Job::SweepOrphans, &store, now()).await;

    assert!(matches!(refused, JobError::Running(Job::SweepOrphans)));
    assert!(other.is_ok());
    assert!(then.is_ok());
}

#[tokio::test]
async fn a_run_at_a_future_time_does_not_keep_the_calendar_waiting_for_it() {
    let (store, _mailbox, _folder) = system(None).await;
    let earliest = now();

    jobs::run(Job::ExpireMessages, &store, earliest.after(Duration::from_hours(1000))).await.unwrap();

    let run = store.last_run(Job::ExpireMessages.name()).await.unwrap().unwrap();
    assert!(run.at >= earliest && run.at <= now(), "{:?}", run.at);
    assert_eq!(run.report, "0 expired messages removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_catches_up_every_job_and_leaves_what_is_not_due() {
    let (store, _mailbox, _folder) = system(None).await;
    let yesterday = now().before(Duration::from_hours(24));
    for job in [Job::ExpireMessages, Job::SweepOrphans] {
        store.record_run(job.name(), yesterday, "").await.unwrap();
    }
    let not_due = now();
    store.record_run(Job::RetryOutbox.name(), not_due, "just now").await.unwrap();
    let calendar = Calendar {
        expire_messages: "0 */5 * * * *".parse().unwrap(),
        sweep_orphans: "0 30 3 * * *".parse().unwrap(),
        warn_subscribers: "0 0 9 * * *".parse().unwrap(),
        // Once, a long time ago.
        retry_outbox: "0 0 0 1 1 * 2001".parse().unwrap(),
        prune_records: "0 15 4 * * *".parse().unwrap(),
    };

    with_scheduler(&store, calendar, async || {
        let runs = [Job::ExpireMessages, Job::SweepOrphans, Job::WarnSubscribers].map(|job| store.last_run(job.name()));
        let runs = futures_util::future::join_all(runs).await;
        runs.into_iter().all(|run| run.unwrap().is_some_and(|run| run.at >= not_due))
    })
    .await;

    assert_eq!(store.last_run(Job::RetryOutbox.name()).await.unwrap().unwrap().report, "just now");
    assert!(store.last_clock().await.unwrap().unwrap() >= not_due);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_has_leapt_removes_nothing() {
    let (store, mailbox, _folder) = system(None).await;
    // Seen from here, the clock that deposited the message was right, and today's has leapt by forty days.
    let message = deposit_at(&store, &mailbox, now().before(Duration::from_hours(24 * 29))).await;
    let last_seen = now().before(Duration::from_hours(24 * 40));
    store.record_clock(last_seen).await.unwrap();
    let expired = deposit_at(&store, &mailbox, last_seen.before(Duration::from_hours(24))).await;
    let calendar = every_second();

    let start = now();
    with_scheduler(&store, calendar, async || {
        store.last_run(Job::ExpireMessages.name()).await.unwrap().is_some_and(|run| run.at > start)
    })
    .await;

    for kept in [message, expired] {
        assert!(store.audio(&kept.audio).await.is_ok());
    }
    assert_eq!(store.last_clock().await.unwrap(), Some(last_seen));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_schedulers_share_the_work() {
    let (store, mailbox, _folder) = system(Some("zoe@example.org")).await;
    let message = deposit_at(&store, &mailbox, now().before(rules::MESSAGE_LIFE).after(Duration::from_hours(24))).await;
    let warned = async || !store.list_outbox().await.unwrap().is_empty();

    tokio::join!(with_scheduler(&store, every_second(), warned), with_scheduler(&store, every_second(), warned));

    let outbox = store.list_outbox().await.unwrap();
    assert_eq!(
        outbox.iter().map(|item| &item.errand).collect::<Vec<_>>(),
        [&Errand::Expiring { messages: 1, first: message.expires_at }]
    );
}

fn every_second() -> Calendar {
    let every = || "* * * * * *".parse().unwrap();
    Calendar {
        expire_messages: every(),
        sweep_orphans: every(),
        warn_subscribers: every(),
        retry_outbox: every(),
        prune_records: every(),
    }
}

/// Runs the scheduler until `done`, for half a minute at most, and stops it.
async fn with_scheduler(store: &Store, calendar: Calendar, done: impl AsyncFn() -> bool) {
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(scheduler::run(store.clone(), calendar, async { stopped.await.unwrap_or_default() }));
    let waiting = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("the calendar should have come to it");
    stop.send(()).unwrap();
    running.await.unwrap();
}

async fn system(email: Option<&str>) -> (Store, Mailbox, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(StoreConfig::local(folder.path()).unwrap()).await.unwrap();
    let subscriber = NewMailbox {
        tenant: String::new(),
        number: "1001".parse().unwrap(),
        aliases: vec![],
        name: String::new(),
        email: email.map(str::to_owned),
        voice_to_email: false,
        time_zone: "Europe/Paris".parse().unwrap(),
        language: "en".into(),
        passcode: Passcode::typed("49158730").unwrap(),
    };
    let mailbox = store.create_mailbox(subscriber, now()).await.unwrap();
    (store, mailbox, folder)
}

async fn deposit(store: &Store, mailbox: &Mailbox) -> Message {
    deposit_at(store, mailbox, now()).await
}

async fn deposit_at(store: &Store, mailbox: &Mailbox, at: Timestamp) -> Message {
    let envelope = Envelope {
        message: MessageId::random(),
        mailbox: mailbox.id.clone(),
        also: Vec::new(),
        caller: Caller::private(),
        started_at: at,
        called: None,
        encoding: Encoding::Mulaw,
        verified: false,
        call: CallId::random(),
    };
    let journal = store.create_journal(envelope).await.unwrap();
    journal.audio_file().unwrap().write_all(&[0xFF; 24_000]).unwrap();
    store.deposit(journal, Duration::from_secs(3), at, false).await.unwrap().message
}

fn now() -> Timestamp {
    chrono::Utc::now().into()
}
