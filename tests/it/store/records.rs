//! Call records: written beside the calls, found again, and removed when they are old.

use std::{slice, time::Duration};

use afterbeep::{
    domain::{
        caller::Caller,
        id::{CallId, MailboxId, MessageId},
        time::Timestamp,
    },
    store::{
        Store,
        record::{Attempt, Belief, CallRecord, Outcome, Purpose, RecordFilter, RecordedMailbox, RecordedTransfer, Records},
    },
};
use tokio::{sync::oneshot, task::JoinHandle};

use super::{DAY, House, NOW, on_both_databases};

on_both_databases! {
    a_record_reads_as_it_was_written
    a_call_is_one_row_however_often_it_is_noted
    records_are_found_by_what_is_asked_for
    pages_follow_each_other_without_gaps
    blocked_attempts_are_counted_in_their_row
    what_cannot_be_written_waits_for_the_database
    old_records_are_pruned
    calls_that_went_on_when_the_server_died_broke_off
}

async fn a_record_reads_as_it_was_written(house: House) {
    let records = Writing::start(&house.store);
    let whole = CallRecord {
        answered_at: Some(NOW.after(Duration::from_millis(20))),
        ended_at: Some(NOW.after(Duration::from_secs(12))),
        sip_call_id: Some("a84b4c76e66710@192.0.2.7".to_owned()),
        caller: Caller { number: Some("+12025550143".to_owned()), name: Some("Zoë".to_owned()) },
        believed: Belief::Asserted,
        called: "1001".to_owned(),
        line: Some("1002".to_owned()),
        mailbox: Some(RecordedMailbox { id: MailboxId::random(), tenant: "a.example".to_owned(), number: "1001".to_owned() }),
        reasoning: Some(r#"{"header":"Diversion"}"#.to_owned()),
        purpose: Purpose::Deposit,
        codec: Some("PCMU".to_owned()),
        outcome: Outcome::Ended,
        status: Some(200),
        reason: Some("the caller hung up".to_owned()),
        end_cause: Some("Q.850;cause=16".to_owned()),
        message: Some(MessageId::random()),
        transfers: vec![RecordedTransfer {
            at: NOW.to_string(),
            what: "call back".to_owned(),
            to: Some("+442079460123".to_owned()),
            outcome: "not connected".to_owned(),
            status: Some(486),
            reason: Some("the call was not taken".to_owned()),
        }],
        attempts: 3,
        ..call(NOW)
    };
    let bare = call(NOW.before(DAY));
    records.note(whole.clone());
    records.note(bare.clone());

    records.finish().await;

    assert_eq!(all(&house.store).await, [whole.clone(), bare]);
    assert_eq!(whole.duration(), Some(Duration::from_millis(11_980)));
}

async fn a_call_is_one_row_however_often_it_is_noted(house: House) {
    let records = Writing::start(&house.store);
    let mut record = CallRecord { outcome: Outcome::Running, ..call(NOW) };
    records.note(record.clone());
    house.until_records(|rows| rows.len() == 1).await;
    record.outcome = Outcome::Ended;
    record.ended_at = Some(NOW.after(Duration::from_secs(1)));
    records.note(record.clone());

    records.finish().await;

    assert_eq!(all(&house.store).await, [record]);
}

async fn records_are_found_by_what_is_asked_for(house: House) {
    let mailbox = MailboxId::random();
    let records = Writing::start(&house.store);
    let of_mailbox = CallRecord {
        mailbox: Some(RecordedMailbox { id: mailbox.clone(), tenant: String::new(), number: "1001".to_owned() }),
        ..call(NOW)
    };
    let caller = |number: &str| Caller { number: Some(number.to_owned()), name: None };
    let from_ann = CallRecord { caller: caller("+12025550143"), ..call(NOW.after(Duration::from_secs(1))) };
    let odd = CallRecord { caller: caller("50%!_x"), ..call(NOW.after(Duration::from_secs(2))) };
    let blocked = CallRecord { outcome: Outcome::Blocked, ..call(NOW.after(Duration::from_secs(3))) };
    for record in [&of_mailbox, &from_ann, &odd, &blocked] {
        records.note(record.clone());
    }
    records.finish().await;

    let found = async |filter: RecordFilter| house.store.records(&filter, None, 10).await.unwrap();
    let by_caller = |number: &str| RecordFilter { caller: Some(number.to_owned()), ..RecordFilter::default() };
    assert_eq!(found(RecordFilter { mailbox: Some(mailbox), ..RecordFilter::default() }).await, slice::from_ref(&of_mailbox));
    assert_eq!(found(by_caller("2025550143")).await, slice::from_ref(&from_ann));
    assert_eq!(found(by_caller("%!_x")).await, slice::from_ref(&odd));
    assert_eq!(found(by_caller("%")).await, []);
    assert_eq!(
        found(RecordFilter { outcome: Some(Outcome::Blocked), ..RecordFilter::default() }).await,
        slice::from_ref(&blocked)
    );
    let between = RecordFilter { since: Some(from_ann.started_at), until: Some(blocked.started_at), ..RecordFilter::default() };
    assert_eq!(found(between).await, [odd, from_ann]);
}

async fn pages_follow_each_other_without_gaps(house: House) {
    let records = Writing::start(&house.store);
    // Several of each moment, so that the moment alone does not tell them apart.
    for n in 0..50 {
        records.note(call(NOW.after(Duration::from_millis(n / 5))));
    }
    records.finish().await;

    let mut paged: Vec<CallRecord> = Vec::new();
    loop {
        let page = house.store.records(&RecordFilter::default(), paged.last(), 7).await.unwrap();
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }

    assert_eq!(paged.len(), 50);
    assert_eq!(paged, all(&house.store).await);
}

async fn blocked_attempts_are_counted_in_their_row(house: House) {
    let records = Writing::start(&house.store);
    for _ in 0..1_000 {
        records.blocked(attempt("192.0.2.7"));
    }
    house.until_records(|rows| rows.iter().map(|row| row.attempts).sum::<u64>() == 1_000).await;
    records.blocked(attempt("192.0.2.8"));

    records.finish().await;

    let rows = all(&house.store).await;
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].attempts, rows[0].source.as_str()), (1_001, "192.0.2.0/24"));
    assert_eq!((rows[0].outcome, rows[0].status), (Outcome::Blocked, Some(403)));
}

async fn what_cannot_be_written_waits_for_the_database(house: House) {
    house.sql("ALTER TABLE call_records RENAME TO elsewhere").await;
    let records = Writing::start(&house.store);
    let record = call(NOW);
    records.note(record.clone());
    records.blocked(attempt("192.0.2.7"));
    // Long enough for a first attempt to fail; a slow machine has only not tried yet.
    tokio::time::timeout(Duration::from_secs(2), std::future::pending::<()>()).await.unwrap_err();
    house.sql("ALTER TABLE elsewhere RENAME TO call_records").await;

    house.until_records(|rows| rows.len() == 2).await;

    records.finish().await;
    assert!(all(&house.store).await.contains(&record));
}

async fn old_records_are_pruned(house: House) {
    let records = Writing::start(&house.store);
    let (old, young) = (call(NOW.before(Duration::from_millis(1))), call(NOW));
    for _ in 0..1_200 {
        records.note(CallRecord { id: CallId::random(), ..old.clone() });
    }
    records.note(young.clone());
    records.finish().await;

    assert_eq!(house.store.prune_records(NOW).await.unwrap(), 1_200);
    assert_eq!(all(&house.store).await, [young]);
}

async fn calls_that_went_on_when_the_server_died_broke_off(house: House) {
    let records = Writing::start(&house.store);
    records.note(CallRecord { outcome: Outcome::Running, ..call(NOW) });
    records.note(call(NOW.before(DAY)));
    records.finish().await;

    assert_eq!(house.another().await.close_records().await.unwrap(), 1);

    assert_eq!(all(&house.store).await.iter().map(|row| row.outcome).collect::<Vec<_>>(), [Outcome::BrokenOff, Outcome::Refused]);
}

/// Records with their writer.
struct Writing {
    records: Records,
    stop: oneshot::Sender<()>,
    writer: JoinHandle<()>,
}

impl Writing {
    fn start(store: &Store) -> Self {
        let records = Records::new(DAY);
        let (stop, stopped) = oneshot::channel::<()>();
        let writer = records.clone().write(store.clone(), async {
            let _ = stopped.await;
        });
        Self { records, stop, writer: tokio::spawn(writer) }
    }

    async fn finish(self) {
        self.stop.send(()).unwrap();
        self.writer.await.unwrap();
    }
}

impl std::ops::Deref for Writing {
    type Target = Records;

    fn deref(&self) -> &Records {
        &self.records
    }
}

impl House {
    async fn until_records(&self, enough: impl Fn(&[CallRecord]) -> bool) {
        let wait = async {
            loop {
                if self.store.records(&RecordFilter::default(), None, 100).await.is_ok_and(|rows| enough(&rows)) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.expect("the records are written");
    }
}

async fn all(store: &Store) -> Vec<CallRecord> {
    store.records(&RecordFilter::default(), None, 10_000).await.unwrap()
}

fn call(at: Timestamp) -> CallRecord {
    CallRecord { outcome: Outcome::Refused, ..CallRecord::new(CallId::random(), at, "192.0.2.7".parse().unwrap(), "udp") }
}

fn attempt(source: &str) -> Attempt {
    Attempt {
        at: NOW,
        source: source.parse().unwrap(),
        transport: "udp".into(),
        purpose: Purpose::Call,
        called: "1001".to_owned(),
        caller: Caller::private(),
        sip_call_id: None,
        reason: "not on the access list".into(),
        status: Some(403),
    }
}
