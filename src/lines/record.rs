//! The records of what phones ask outside calls: registrations and subscriptions that begin or end, and whatever is refused.
//!
//! A phone says the same again every few minutes. A refresh of what is known, from the same address, leaves no row; refused
//! attempts are counted together by minute, network, line and reason.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use rsip::Method;

use crate::{
    domain::{caller::Caller, id::CallId, time::Timestamp},
    sip::{
        registrar::{self, Lives, Wanted},
        request::{OutsideRequest, Reply},
        wire::{HeaderViews as _, SipUri},
    },
    store::{
        line::Line,
        record::{Attempt, Belief, CallRecord, Outcome, Purpose, RecordedMailbox, Records},
    },
};

/// How many registrations are known to have their row. Beyond that all are forgotten, which costs a row for each at most.
const MOST_KNOWN: usize = 65_536;

/// Who a request came from, as far as it has shown.
#[derive(Debug)]
pub(super) enum Standing {
    /// A line.
    Line(Line),
    /// A trusted peer, who needs no credentials.
    Peer,
    /// Nobody knows: the store does not answer.
    Unknown,
    /// Nobody: its credentials are no line's, or come from where they may not, as the words say.
    Wrong(&'static str),
    /// It is to come again with another nonce: nothing has happened yet.
    NotYet,
}

/// Records requests outside calls.
#[derive(Default)]
pub(super) struct Recorder {
    records: Records,
    /// Where each registration that has a row was made from, by its line and Call-ID. Hashed with a key of this run, so that nobody
    /// can choose what collides.
    known: Mutex<HashMap<u64, IpAddr>>,
    hashed: RandomState,
}

/// What a request that was accepted has changed.
enum Change {
    Begun,
    Refreshed,
    Ended,
    Nothing,
}

impl Recorder {
    pub(super) fn new(records: Records) -> Self {
        Self { records, ..Self::default() }
    }

    /// Records a request and its answer, if there is anything to record.
    pub(super) fn note(&self, request: &OutsideRequest, standing: &Standing, reply: &Reply, lives: Lives, now: Timestamp) {
        let is_accepted = (200..300).contains(&reply.status);
        match standing {
            Standing::Line(line) if is_accepted => self.accepted(request, line, lives, now),
            Standing::Line(line) => {
                let attempt = attempt(request, refusal(request.method(), reply.status), reply.status, now);
                self.records.counted(Outcome::Refused, Some(line.number.as_str()), attempt);
            }
            // A proxy that asks whether we are there does so every few seconds.
            Standing::Peer if is_accepted => {}
            Standing::Peer | Standing::Unknown => {
                let attempt = attempt(request, refusal(request.method(), reply.status), reply.status, now);
                self.records.counted(Outcome::Refused, None, attempt);
            }
            Standing::Wrong(why) => {
                self.records.blocked(attempt(request, why, reply.status, now));
            }
            Standing::NotYet => {}
        }
    }

    fn accepted(&self, request: &OutsideRequest, line: &Line, lives: Lives, now: Timestamp) {
        let (change, words) = match request.method() {
            Method::Register => (registration(request, lives), ["registered", "unregistered"]),
            Method::Subscribe => (subscription(request), ["subscribed", "unsubscribed"]),
            _ => return,
        };
        let source = request.flow.remote.ip().to_canonical();
        let reason = match change {
            Change::Begun if self.is_known(request, line, source) => return,
            Change::Begun => words[0],
            Change::Ended => {
                self.forget(request, line);
                words[1]
            }
            Change::Refreshed | Change::Nothing => return,
        };
        let mut record = CallRecord::new(CallId::random(), now, source, request.flow.transport);
        record.ended_at = Some(now);
        record.sip_call_id = request.request.headers.call_id().ok().map(ToOwned::to_owned);
        record.caller = Caller { number: Some(line.number.to_string()), name: None };
        record.believed = Belief::Line;
        record.called = called(request);
        record.line = Some(line.number.to_string());
        record.mailbox =
            Some(RecordedMailbox { id: line.mailbox.clone(), tenant: line.tenant.clone(), number: line.number.to_string() });
        record.purpose = purpose(request.method());
        record.outcome = Outcome::Accepted;
        record.reason = Some(reason.to_owned());
        self.records.note(record);
    }

    /// Whether what begins here has its row already, and comes from where it came from.
    fn is_known(&self, request: &OutsideRequest, line: &Line, source: IpAddr) -> bool {
        // Each subscription begins once: its refreshes are in its dialog.
        if request.method() != Method::Register {
            return false;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = self.key(request, line);
        if known.len() >= MOST_KNOWN && !known.contains_key(&key) {
            known.clear();
        }
        known.insert(key, source) == Some(source)
    }

    fn forget(&self, request: &OutsideRequest, line: &Line) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key(request, line));
    }

    fn key(&self, request: &OutsideRequest, line: &Line) -> u64 {
        self.hashed.hash_one((&line.mailbox, request.request.headers.call_id().unwrap_or_default()))
    }
}

fn registration(request: &OutsideRequest, lives: Lives) -> Change {
    match registrar::read(&request.request.headers, lives) {
        Ok(Wanted::RemoveAll) => Change::Ended,
        Ok(Wanted::Contacts(contacts)) if contacts.is_empty() => Change::Nothing,
        Ok(Wanted::Contacts(contacts)) if contacts.iter().all(|contact| contact.life.is_zero()) => Change::Ended,
        Ok(Wanted::Contacts(_)) => Change::Begun,
        // It was accepted, so it can be read.
        Err(_) => Change::Nothing,
    }
}

fn subscription(request: &OutsideRequest) -> Change {
    let headers = &request.request.headers;
    let is_in_a_dialog = headers.to_address().is_ok_and(|to| to.tag().is_some());
    let ends = headers.value("Expires").is_some_and(|expires| expires.trim() == "0");
    match (is_in_a_dialog, ends) {
        (true, true) => Change::Ended,
        (true, false) => Change::Refreshed,
        (false, _) => Change::Begun,
    }
}

/// Why a request was refused, in few and always the same words.
fn refusal(method: Method, status: u16) -> &'static str {
    match (method, status) {
        (Method::Register, 403) => "not its own address, too many contacts, or no password",
        (Method::Register, 423) => "registered for too short a time",
        (Method::Register, 500) => "a later registration came first",
        (Method::Subscribe, 403 | 404) => "not its own mailbox",
        (_, 400) => "cannot be read",
        (_, 405) => "not a method for this server",
        (_, 481) => "no such subscription",
        (_, 489) => "no such event package",
        (_, 503) => "the store does not answer",
        _ => "refused",
    }
}

fn attempt(request: &OutsideRequest, reason: &'static str, status: u16, now: Timestamp) -> Attempt {
    let headers = &request.request.headers;
    Attempt {
        at: now,
        source: request.flow.remote.ip(),
        transport: request.flow.transport.to_string().into(),
        purpose: purpose(request.method()),
        called: called(request),
        caller: Caller { number: headers.from_address().ok().and_then(|from| from.uri.user_text()), name: None },
        sip_call_id: headers.call_id().ok().map(ToOwned::to_owned),
        reason: reason.into(),
        status: Some(status),
    }
}

/// The line to be registered, or what the request is for.
fn called(request: &OutsideRequest) -> String {
    let address = match request.method() {
        Method::Register => request.request.headers.to_address().ok().map(|to| to.uri),
        _ => Some(SipUri::from(&request.request.uri)),
    };
    address.and_then(|address| address.user_text()).unwrap_or_default()
}

fn purpose(method: Method) -> Purpose {
    match method {
        Method::Register => Purpose::Registration,
        Method::Subscribe => Purpose::Subscription,
        _ => Purpose::Other,
    }
}
