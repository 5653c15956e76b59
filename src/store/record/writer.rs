//! Brings records into the database, off the path of the calls: whoever has one puts it down and goes on.
//!
//! What cannot be written for lack of the database waits here up to a bound; what comes beyond it is counted and lost. Attempts
//! that were not let in are counted together, so that a flood makes a few rows a minute.

use std::{
    borrow::Cow,
    collections::HashMap,
    error::Error,
    future::Future,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tracing::{error, warn};

use super::{CallRecord, Outcome, Purpose};
use crate::{
    domain::{caller::Caller, id::CallId, time::Timestamp},
    store::{Store, StoreError},
};

/// How many calls may wait to be written; about a kilobyte each.
const MOST_WAITING: usize = 10_000;
/// How many sums of attempts there are at once; what exceeds them goes to one sum for each purpose and reason.
const MOST_SUMS: usize = 1_024;
/// How many records one transaction writes, so that deposits get their turns in between.
const BATCH: usize = 256;
/// What stands for the source of attempts from more networks than are counted apart.
const MANY_NETWORKS: &str = "many networks";
/// How long records are gathered before they are written: a call that is over by then is one row written once.
const GATHERING: Duration = Duration::from_millis(500);
/// How long is waited after the database failed.
const RETRY: Duration = Duration::from_secs(5);
/// How long one transaction may take.
const WRITING: Duration = Duration::from_secs(20);

/// Takes records. Clones share everything; taking one never waits for a database.
#[derive(Clone, Default)]
pub struct Records(Arc<Shared>);

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    wake: Notify,
    /// Nothing is kept at all.
    off: bool,
}

/// An attempt that was not let in.
#[derive(Clone)]
pub struct Attempt {
    /// When.
    pub at: Timestamp,
    /// From which address.
    pub source: IpAddr,
    /// What carried it: `udp`, `tcp` …
    pub transport: Cow<'static, str>,
    /// What it was for, as far as that is known.
    pub purpose: Purpose,
    /// The user part of the Request-URI, or the line to be registered.
    pub called: String,
    /// Who calls, by its own word.
    pub caller: Caller,
    /// The SIP Call-ID.
    pub sip_call_id: Option<String>,
    /// Why it was not let in, in few and always the same words, such as `not on the access list`: attempts with the same reason
    /// are counted together.
    pub reason: Cow<'static, str>,
    /// The status it was refused with; none when it was not answered.
    pub status: Option<u16>,
}

impl Records {
    /// Takes records if there is a use for them, which is when they are kept for a while.
    #[must_use]
    pub fn new(keep: Duration) -> Self {
        Self(Arc::new(Shared { off: keep.is_zero(), ..Shared::default() }))
    }

    /// Notes a call or an attempt as far as it has come. A later record with the same id takes the place of an earlier one.
    pub fn note(&self, record: CallRecord) {
        if self.0.off {
            return;
        }
        let record = record.tidied();
        let mut waiting = self.waiting();
        if waiting.calls.len() < MOST_WAITING || waiting.calls.contains_key(&record.id) {
            waiting.calls.insert(record.id.clone(), record);
        } else {
            waiting.lose(1, record.started_at);
        }
        drop(waiting);
        self.0.wake.notify_one();
    }

    /// Notes an attempt that was not let in, counted together with others of its minute from the same network (an IPv4 /24, an
    /// IPv6 /64) and for the same reason. The row shows the first of them.
    pub fn blocked(&self, attempt: Attempt) {
        self.counted(Outcome::Blocked, None, attempt);
    }

    /// The same for an attempt that came to this outcome, and of the line that proved itself, if one did: those of different lines are
    /// counted apart.
    pub fn counted(&self, outcome: Outcome, line: Option<&str>, attempt: Attempt) {
        if self.0.off {
            return;
        }
        self.waiting().add(outcome, line, attempt);
        self.0.wake.notify_one();
    }

    /// Writes what is noted until `stop` is ready, and then what is left.
    pub async fn write(self, store: Store, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut stopping = false;
        let mut failing = false;
        loop {
            let pause = if failing { RETRY } else { GATHERING };
            tokio::select! {
                // Not even while nothing is to be done does an idle server wake up for this.
                () = async { self.0.wake.notified().await; sleep(pause).await }, if !stopping => {}
                () = &mut stop, if !stopping => stopping = true,
            }
            match self.write_waiting(&store).await {
                Ok(()) => {
                    let lost = std::mem::take(&mut self.waiting().lost);
                    if let Some(Lost { count, since }) = lost {
                        warn!(lost = count, "the database takes call records again; some could not be kept");
                        self.note(row_for_lost(count, since));
                    }
                    failing = false;
                }
                Err(error) => {
                    if !failing {
                        error!(error = &error as &dyn Error, "call records cannot be written; they wait");
                    }
                    failing = true;
                    // There is something left to be done without anybody saying so.
                    self.0.wake.notify_one();
                }
            }
            if stopping {
                let mut waiting = self.waiting();
                let left = waiting.calls.len() + waiting.sums.values().filter(|sum| !sum.written).count();
                let lost = left as u64 + waiting.lost.take().map_or(0, |lost| lost.count);
                if lost > 0 {
                    error!(lost, "call records are lost: the server stops, and the database does not take them");
                }
                return;
            }
        }
    }

    async fn write_waiting(&self, store: &Store) -> Result<(), StoreError> {
        loop {
            let batch = self.waiting().take(BATCH);
            if batch.is_empty() {
                return Ok(());
            }
            // Whether a commit that failed took effect does not matter: writing again changes nothing.
            let written = timeout(WRITING, store.write_records(&batch)).await.unwrap_or(Err(StoreError::Silent("the database")));
            if let Err(error) = written {
                self.waiting().put_back(batch);
                return Err(error);
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What waits to be written.
#[derive(Default)]
struct Waiting {
    calls: HashMap<CallId, CallRecord>,
    sums: HashMap<SumKey, Sum>,
    lost: Option<Lost>,
}

/// Records that there was no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lost {
    count: u64,
    /// When the first of them began.
    since: Timestamp,
}

/// Attempts with the same key are counted together.
#[derive(Clone, PartialEq, Eq, Hash)]
struct SumKey {
    /// None when there are too many networks.
    network: Option<IpAddr>,
    /// None when it did not prove itself, or there are too many.
    line: Option<String>,
    outcome: Outcome,
    purpose: Purpose,
    reason: Cow<'static, str>,
    minute: i64,
}

struct Sum {
    record: CallRecord,
    written: bool,
}

impl Waiting {
    fn add(&mut self, outcome: Outcome, line: Option<&str>, attempt: Attempt) {
        let minute = attempt.at.as_millis().div_euclid(60_000);
        let source = attempt.source.to_canonical();
        let line = line.map(ToOwned::to_owned);
        let purpose = attempt.purpose;
        let mut key = SumKey { network: Some(network(source)), line, outcome, purpose, reason: attempt.reason, minute };
        if !self.sums.contains_key(&key) && self.sums.len() >= MOST_SUMS {
            self.sums.retain(|key, sum| !sum.written || key.minute >= minute);
        }
        if !self.sums.contains_key(&key) && self.sums.len() >= MOST_SUMS {
            (key.network, key.line) = (None, None);
            if !self.sums.contains_key(&key) && self.sums.len() >= 2 * MOST_SUMS {
                return self.lose(1, attempt.at);
            }
        }
        let everywhere = key.network.is_none();
        if let Some(sum) = self.sums.get_mut(&key) {
            sum.written = false;
            sum.record.attempts += 1;
            sum.record.ended_at = Some(attempt.at);
            if !everywhere && sum.record.source != source.to_string() {
                sum.record.source = network_text(source);
            }
            return;
        }
        let mut record = CallRecord::new(CallId::random(), attempt.at, source, attempt.transport);
        if everywhere {
            MANY_NETWORKS.clone_into(&mut record.source);
        }
        record.ended_at = Some(attempt.at);
        record.purpose = key.purpose;
        record.line.clone_from(&key.line);
        record.called = attempt.called;
        record.caller = attempt.caller;
        record.believed = super::Belief::Nobody;
        record.sip_call_id = attempt.sip_call_id;
        record.outcome = key.outcome;
        record.reason = Some(key.reason.to_string());
        record.status = attempt.status;
        self.sums.insert(key, Sum { record: record.tidied(), written: false });
    }

    /// Takes up to `count` records to write them.
    fn take(&mut self, count: usize) -> Vec<CallRecord> {
        let ids: Vec<CallId> = self.calls.keys().take(count).cloned().collect();
        let mut batch: Vec<CallRecord> = ids.iter().filter_map(|id| self.calls.remove(id)).collect();
        if self.calls.is_empty() {
            // What waited in a flood needs no room any more.
            self.calls.shrink_to(BATCH);
        }
        for sum in self.sums.values_mut().filter(|sum| !sum.written).take(count - batch.len()) {
            sum.written = true;
            batch.push(sum.record.clone());
        }
        batch
    }

    /// Takes back what could not be written, unless there is something newer.
    fn put_back(&mut self, batch: Vec<CallRecord>) {
        for record in batch {
            match self.sums.values_mut().find(|sum| sum.record.id == record.id) {
                Some(sum) => sum.written = false,
                None if self.calls.len() >= MOST_WAITING => self.lose(1, record.started_at),
                None => _ = self.calls.entry(record.id.clone()).or_insert(record),
            }
        }
    }

    fn lose(&mut self, count: u64, since: Timestamp) {
        let lost = self.lost.get_or_insert_with(|| {
            warn!("too many call records wait for the database; further ones are counted only");
            Lost { count: 0, since }
        });
        lost.count = lost.count.saturating_add(count);
    }
}

/// The one row that stands for those that have none.
fn row_for_lost(count: u64, since: Timestamp) -> CallRecord {
    let mut record = CallRecord::new(CallId::random(), since, Ipv4Addr::UNSPECIFIED.into(), "");
    MANY_NETWORKS.clone_into(&mut record.source);
    record.purpose = Purpose::Other;
    record.outcome = Outcome::BrokenOff;
    record.reason = Some("too many records waited for the database: these have no rows of their own".to_owned());
    record.attempts = count;
    record
}

/// The part of an address that one party usually has for itself.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & 0xFFFF_FF00).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

fn network_text(address: IpAddr) -> String {
    format!("{}/{}", network(address), if address.is_ipv4() { 24 } else { 64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn a_flood_from_one_network_is_one_row_a_minute() {
        let records = Records::new(Duration::from_secs(1));
        for n in 0..10_000_u32 {
            let host = if n < 5_000 { 7 } else { 8 };
            records.blocked(attempt(&format!("192.0.2.{host}"), "too many requests", NOW));
        }
        records.blocked(attempt("192.0.2.7", "not on the access list", NOW));
        records.blocked(attempt("192.0.2.7", "too many requests", NOW.after(Duration::from_secs(60))));

        let mut rows = records.waiting().take(BATCH);
        rows.sort_by_key(|row| std::cmp::Reverse(row.attempts));

        assert_eq!(rows.iter().map(|row| row.attempts).collect::<Vec<_>>(), [10_000, 1, 1]);
        assert_eq!(rows[0].source, "192.0.2.0/24");
        assert_eq!(rows[0].called, "1001");
        assert_eq!((rows[0].outcome, rows[0].reason.as_deref()), (Outcome::Blocked, Some("too many requests")));
        assert!(records.waiting().take(BATCH).is_empty());
    }

    #[test]
    fn a_flood_from_everywhere_stays_within_its_bound() {
        let records = Records::new(Duration::from_secs(1));
        for n in 0..100_000_u32 {
            records.blocked(attempt(&Ipv4Addr::from_bits(n << 8).to_string(), "too many requests", NOW));
        }

        let rows = records.waiting().take(usize::MAX);

        assert_eq!(rows.len(), MOST_SUMS + 1);
        assert_eq!(rows.iter().map(|row| row.attempts).sum::<u64>(), 100_000);
        assert!(rows.iter().any(|row| row.source == "many networks"));
    }

    #[test]
    fn calls_wait_up_to_a_bound_and_are_counted_beyond_it() {
        let records = Records::new(Duration::from_secs(1));
        for _ in 0..MOST_WAITING + 3 {
            records.note(call());
        }

        let waiting = records.waiting();
        assert_eq!((waiting.calls.len(), waiting.lost), (MOST_WAITING, Some(Lost { count: 3, since: NOW })));
    }

    #[tokio::test]
    async fn what_could_not_be_kept_is_told_in_a_row() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(crate::store::StoreConfig::local(folder.path()).unwrap()).await.unwrap();
        let records = Records::new(Duration::from_secs(1));
        records.waiting().lose(3, NOW);
        records.waiting().lose(4, NOW.after(Duration::from_secs(1)));
        records.note(call());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let writer = tokio::spawn(records.clone().write(store.clone(), async move { _ = stopped.await }));

        let told = loop {
            let rows = store.records(&crate::store::record::RecordFilter::default(), None, 10).await.unwrap();
            if let Some(row) = rows.into_iter().find(|row| row.outcome == Outcome::BrokenOff) {
                break row;
            }
            sleep(Duration::from_millis(20)).await;
        };

        assert_eq!((told.attempts, told.started_at), (7, NOW));
        stop.send(()).unwrap();
        writer.await.unwrap();
    }

    #[test]
    fn attempts_of_different_lines_are_counted_apart() {
        let records = Records::new(Duration::from_secs(1));
        for line in [Some("1001"), Some("1002"), Some("1001"), None] {
            records.counted(Outcome::Refused, line, attempt("192.0.2.7", "not its own address", NOW));
        }

        let mut rows: Vec<_> = records.waiting().take(BATCH).into_iter().map(|row| (row.line, row.attempts)).collect();
        rows.sort();

        assert_eq!(rows, [(None, 1), (Some("1001".to_owned()), 2), (Some("1002".to_owned()), 1)]);
    }

    #[test]
    fn a_later_record_replaces_an_earlier_one_even_while_that_is_being_written() {
        let records = Records::new(Duration::from_secs(1));
        let mut record = call();
        records.note(record.clone());
        let batch = records.waiting().take(BATCH);
        record.outcome = Outcome::Ended;
        records.note(record.clone());

        records.waiting().put_back(batch);

        assert_eq!(records.waiting().take(BATCH), [record]);
    }

    #[test]
    fn sums_that_could_not_be_written_are_written_again() {
        let records = Records::new(Duration::from_secs(1));
        records.blocked(attempt("192.0.2.7", "banned", NOW));
        let batch = records.waiting().take(BATCH);
        records.blocked(attempt("192.0.2.7", "banned", NOW));

        records.waiting().put_back(batch);

        assert_eq!(records.waiting().take(BATCH).iter().map(|row| row.attempts).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn nothing_is_taken_when_nothing_is_kept() {
        let records = Records::new(Duration::ZERO);

        records.note(call());
        records.blocked(attempt("192.0.2.7", "banned", NOW));

        assert!(records.waiting().take(BATCH).is_empty());
    }

    #[test]
    fn what_peers_write_is_cut_and_cleaned() {
        let records = Records::new(Duration::from_secs(1));
        records.note(CallRecord { called: format!("\0{}", "9".repeat(60_000)), reasoning: Some("x".repeat(60_000)), ..call() });

        let rows = records.waiting().take(BATCH);

        assert_eq!((rows[0].called.as_str(), &rows[0].reasoning), ("9".repeat(256).as_str(), &None));
    }

    fn call() -> CallRecord {
        CallRecord::new(CallId::random(), NOW, "192.0.2.7".parse().unwrap(), "udp")
    }

    fn attempt(source: &str, reason: &'static str, at: Timestamp) -> Attempt {
        Attempt {
            at,
            source: source.parse().unwrap(),
            transport: "udp".into(),
            purpose: Purpose::Call,
            called: "1001".to_owned(),
            caller: Caller::private(),
            sip_call_id: None,
            reason: reason.into(),
            status: Some(403),
        }
    }
}
