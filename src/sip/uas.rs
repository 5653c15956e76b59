//! The user agent server: bytes and the time go in; bytes, events and a deadline come out.
//!
//! [`Uas::handle`] takes a message, [`Uas::command`] a wish of whoever leads a call, [`Uas::tick`] the time. After each,
//! [`Uas::poll`] is emptied. One task owns it; nothing in it waits, and everything in it is bounded.
//!
//! A call is announced by [`Event::Incoming`], then answered (200 repeated until its ACK) or refused. What is refused before
//! it becomes a call (nonsense, overload, the wrong method) is answered without keeping anything, as RFC 3261 §8.2.7
//! allows: the same request gets the same answer again.

use std::{
    collections::{HashMap, HashSet, VecDeque, hash_map::Entry},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use bytes::Bytes;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rsip::{Header, Headers, Method, Response};

use super::{
    connection::ConnectionLimits,
    dialog::Dialog,
    event::{CallRef, Command, EndReason, Event, IncomingCall},
    flow::{ConnectionId, Flow, Transport},
    gate::GateConfig,
    inbound::{Inbound, Keys, read_tag, reply_path, tag_text, written},
    outgoing::{Outcome, Outgoing, OutgoingRef, OutgoingRequest, Step},
    policy::Policy,
    reliable::Reliable,
    request::{OutsideRequest, RequestRef, WaitingRequests},
    room::Roomy as _,
    session_timer::SessionTimer,
    timer::{T1, TRANSACTION_LIFE, Timers, doubled},
    tls::TlsSettings,
    transaction::{ClientRequest, Due, Received, ServerInvite, ServerRequest, TransactionId},
    wire::{self, Capabilities, HeaderViews, Message, Reason, Refusal, Rejected, SessionExpires, SipUri, body_of_type},
};

use refer::{Referring, Transfer};
use refresh::Refresh;
use replace::Refused;
use update::Updating;

/// The media types of INFO bodies that mean digits; others get 415.
pub const INFO_TYPES: [&str; 2] = ["application/dtmf-relay", "application/dtmf"];
/// The longest INFO body that can mean a digit.
const LONGEST_INFO: usize = 1024;
/// How long the part of an INVITE may be that its responses repeat, in bytes. It is remembered, for 32 seconds even of a refused
/// one: so a flood of them can take a quarter of what it could with messages as long as the wire layer reads.
const LONGEST_KEPT: usize = 16 * 1024;
/// So many calls of one address may always wait for their ACK, as far as there are so many.
const ALWAYS_UNACKNOWLEDGED: usize = 8;
/// How long a call or a re-INVITE may wait for the answer of our own side.
const LONGEST_SILENCE: Duration = Duration::from_mins(2);
/// What this server can do.
pub const CAPABILITIES: Capabilities = Capabilities {
    methods: &[
        Method::Invite,
        Method::Ack,
        Method::Bye,
        Method::Cancel,
        Method::Options,
        Method::Info,
        Method::PRack,
        Method::Update,
        Method::Register,
        Method::Subscribe,
        Method::Notify,
    ],
    extensions: &["100rel", "timer", "replaces", "path"],
    bodies: &["application/sdp", INFO_TYPES[0], INFO_TYPES[1]],
};
/// The part of it that belongs into a call, which its messages name (RFC 3261 §13.3.1.4). It is short, as an answer to a stranger may
/// not be much longer than its INVITE.
const IN_CALL: Capabilities = Capabilities {
    methods: &[
        Method::Invite,
        Method::Ack,
        Method::Bye,
        Method::Cancel,
        Method::Options,
        Method::Info,
        Method::PRack,
        Method::Update,
        Method::Notify,
    ],
    extensions: &["100rel", "timer", "replaces"],
    bodies: CAPABILITIES.bodies,
};

/// The settings of a user agent server and its sockets.
#[derive(Clone, Debug)]
pub struct UasConfig {
    /// Calls at once; more are refused with 503.
    pub max_calls: usize,
    /// Calls at once from one address that it has not acknowledged yet; more are refused with 503. It is never more than half of
    /// `max_calls`, so a stranger who only sends INVITEs cannot take all the calls there are.
    pub max_unacknowledged_per_address: usize,
    /// When a caller refused for overload may try again.
    pub retry_after: Duration,
    /// How long an answered call lasts that nobody refreshes (RFC 4028); a caller may ask for less.
    pub session_expires: Duration,
    /// The user part of our Contact.
    pub user: String,
    /// The Server header.
    pub server: String,
    /// When connections are refused or closed.
    pub connections: ConnectionLimits,
    /// What TLS needs.
    pub tls: TlsSettings,
    /// How much strangers may do.
    pub gate: GateConfig,
    /// The sites whose pages may open a WebSocket, like `https://phone.example.com`; if there are none, all may.
    pub websocket_origins: Vec<String>,
    /// Who needs credentials; without it, nobody does.
    pub policy: Option<Policy>,
    /// Who is asked for the addresses of host names; if nobody, those that this machine asks.
    pub dns_servers: Vec<SocketAddr>,
}

impl Default for UasConfig {
    fn default() -> Self {
        Self {
            max_calls: 4000,
            max_unacknowledged_per_address: 1000,
            retry_after: Duration::from_secs(5),
            session_expires: Duration::from_mins(30),
            user: "voicemail".to_owned(),
            server: concat!("afterbeep/", env!("CARGO_PKG_VERSION")).to_owned(),
            connections: ConnectionLimits::default(),
            tls: TlsSettings::default(),
            gate: GateConfig::default(),
            websocket_origins: Vec::new(),
            policy: None,
            dns_servers: Vec::new(),
        }
    }
}

/// What the user agent server wants done.
#[derive(Debug)]
pub enum Output {
    /// A message is to be sent.
    Send {
        /// On this path.
        flow: Flow,
        /// The whole message.
        bytes: Bytes,
        /// What to do when the path's connection is no more.
        reach: Reach,
    },
    /// Something happened in a call.
    Event(CallRef, Event),
    /// A request outside a call waits for [`Uas::respond`].
    Request(RequestRef, Box<OutsideRequest>),
    /// What became of a request of ours that belongs to no call.
    Answered(OutgoingRef, Outcome),
    /// The BYE of the dialog with this tag of ours, whose next hop must be looked up. [`Uas::departed`] waits to hear of its end.
    Farewell(u64, Box<OutgoingRequest>),
}

/// What to do with a message whose TCP connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Forget it: a response, whose receiver has left.
    SameConnection,
    /// Connect to the flow's remote address: a request of ours.
    Connect,
}

/// A user agent server and all its calls.
#[derive(Debug)]
pub struct Uas {
    config: UasConfig,
    keys: Keys,
    random: StdRng,
    calls: HashMap<CallRef, Call>,
    /// Dialogs by the tag that we gave them.
    dialogs: HashMap<u64, Place>,
    invites: HashMap<TransactionId, Invite>,
    requests: HashMap<TransactionId, (ServerRequest, Flow)>,
    farewells: HashMap<TransactionId, Farewell>,
    /// Dialogs, by our tag, whose BYE somebody else sends.
    departing: HashSet<u64>,
    refreshes: HashMap<TransactionId, Refresh>,
    referring: HashMap<TransactionId, Referring>,
    waiting: WaitingRequests,
    outgoing: Outgoing,
    /// INVITEs by what a second copy that came another way has in common with the first (§8.2.2.2).
    merged: HashMap<u128, TransactionId>,
    /// How many calls of an address wait for their ACK.
    unacknowledged: HashMap<IpAddr, usize>,
    timers: Timers<Timer>,
    outputs: VecDeque<Output>,
    latest_call: u64,
    draining: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    Invite(TransactionId),
    Request(TransactionId),
    Farewell(TransactionId),
    Outgoing(TransactionId),
    Refresh(TransactionId),
    Referring(TransactionId),
    Call(CallRef),
    Waiting(RequestRef),
}

/// Where a dialog stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    Call(CallRef),
    /// We sent BYE; when the caller's BYE crosses it, that is answered as well.
    Leaving,
}

/// An INVITE's transaction, and whose it is.
#[derive(Debug)]
struct Invite {
    transaction: ServerInvite,
    flow: Flow,
    call: CallRef,
    merge_key: Option<u128>,
}

/// A BYE that we sent.
#[derive(Debug)]
struct Farewell {
    transaction: ClientRequest,
    flow: Flow,
    tag: u64,
}

#[derive(Debug)]
struct Call {
    dialog: Dialog,
    /// Our tag.
    tag: u64,
    source: IpAddr,
    phase: Phase,
    /// The INVITE or re-INVITE that waits for our side's answer.
    offered: Option<Box<Offered>>,
    /// The 200 that waits for its ACK.
    answered: Option<Box<Answered>>,
    /// The latest response that a PRACK is to acknowledge.
    reliable: Option<Box<Reliable>>,
    /// Whether offer and answer were exchanged before the call was answered.
    is_agreed: bool,
    /// The answer that must wait for a PRACK.
    postponed_answer: Option<Vec<u8>>,
    /// The UPDATE whose offer waits for our side's answer.
    updating: Option<Box<Updating>>,
    /// The call that this one takes the place of when it is answered.
    replaces: Option<CallRef>,
    /// What keeps an answered call from lasting when its other side has vanished.
    session: Option<SessionTimer>,
    /// The shortest interval that the way to the other side takes.
    shortest_session: Duration,
    /// Whether the other side takes UPDATE.
    takes_update: bool,
    /// Whether a refresh of ours is not answered yet.
    refreshing: bool,
    /// Whether it is an INVITE, with an offer.
    reoffering: bool,
    /// The transfer that the other side was asked for last.
    transfer: Option<Transfer>,
    /// The description that we sent last.
    description: Vec<u8>,
    /// Whether the call is counted among its address's calls that wait for their first ACK.
    counted: bool,
}

#[derive(Debug)]
enum Phase {
    /// Not answered.
    Early,
    /// Answered.
    Talking,
    /// We hung up, but a BYE must wait for the ACK (§15).
    Leaving { reason: Option<Reason> },
}

#[derive(Debug)]
struct Offered {
    transaction: TransactionId,
    inbound: Inbound,
    /// Whether it brought an offer; otherwise our answer is one.
    has_offer: bool,
    /// Whether its sender requires reliable provisional responses.
    wants_reliable: bool,
    /// The session timer that is agreed on by answering it.
    session: SessionExpires,
    give_up_at: Instant,
}

#[derive(Debug)]
struct Answered {
    sequence: u32,
    response: Bytes,
    flow: Flow,
    interval: Duration,
    send_at: Instant,
    give_up_at: Instant,
    /// Whether the ACK is to bring the answer to our offer.
    offer_is_ours: bool,
}

impl Uas {
    /// A server without calls. The seed makes tags that nobody can guess.
    #[must_use]
    pub fn new(config: UasConfig, seed: [u8; 32]) -> Self {
        Self {
            config,
            keys: Keys::default(),
            random: StdRng::from_seed(seed),
            calls: HashMap::new(),
            dialogs: HashMap::new(),
            invites: HashMap::new(),
            requests: HashMap::new(),
            farewells: HashMap::new(),
            departing: HashSet::new(),
            refreshes: HashMap::new(),
            referring: HashMap::new(),
            waiting: WaitingRequests::default(),
            outgoing: Outgoing::default(),
            merged: HashMap::new(),
            unacknowledged: HashMap::new(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            latest_call: 0,
            draining: false,
        }
    }

    /// Takes the next thing to be done.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::tick`] wants to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Refuses new calls from now on; those there are go on.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Whether no call is left, nor a BYE that waits for its answer.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.farewells.is_empty() && self.departing.is_empty()
    }

    /// How many calls there are, in any state.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// How many transactions are remembered.
    #[must_use]
    pub fn transactions(&self) -> usize {
        self.invites.len()
            + self.requests.len()
            + self.farewells.len()
            + self.departing.len()
            + self.refreshes.len()
            + self.referring.len()
            + self.waiting.len()
            + self.outgoing.len()
    }

    /// The connection that a call came by.
    #[must_use]
    pub fn connection(&self, call: CallRef) -> Option<ConnectionId> {
        self.calls.get(&call)?.dialog.flow.connection
    }

    /// When a caller refused for overload may try again.
    #[must_use]
    pub fn retry_after(&self) -> Duration {
        self.config.retry_after
    }

    /// Takes a datagram, or a whole message from a stream.
    pub fn handle(&mut self, flow: &Flow, bytes: &[u8], now: Instant) {
        match wire::parse(bytes) {
            Ok(Message::Request(request)) => match wire::validate(&request, &CAPABILITIES) {
                Ok(()) => {
                    if let Ok(inbound) = Inbound::new(request, flow, bytes.len(), &self.keys) {
                        self.request(inbound, now);
                    }
                }
                Err(_) if request.method == Method::Ack => {}
                Err(refusal) => self.refuse_unread(&refusal, request.headers, flow, bytes.len()),
            },
            Ok(Message::Response(response)) => self.response(&response, now),
            Err(Rejected::Refuse { refusal, headers }) => self.refuse_unread(&refusal, headers, flow, bytes.len()),
            Err(Rejected::Ignore(_)) => {}
        }
    }

    fn request(&mut self, mut inbound: Inbound, now: Instant) {
        if inbound.method() == Method::Ack {
            return self.ack(&inbound, now);
        }
        if self.is_repetition(inbound.id) || !self.lets_in(&mut inbound, now) {
            return;
        }
        match inbound.method() {
            Method::Cancel => self.cancel(&inbound, now),
            Method::Invite if inbound.kept_length() > LONGEST_KEPT => self.reject(&inbound, 513),
            // The dialogs of subscriptions are no calls.
            Method::Register | Method::Subscribe => self.outside(inbound, now),
            _ if inbound.to_tag.is_some() => self.in_dialog(inbound, now),
            Method::Invite => self.invite(inbound, now),
            Method::Options if inbound.credentials.is_some() => self.outside(inbound, now),
            Method::Options => self.options(&inbound, now),
            // BYE, INFO and NOTIFY; other methods are not among our capabilities.
            _ => self.reject(&inbound, 481),
        }
    }

    /// Answers a request that was answered before as before.
    fn is_repetition(&mut self, id: TransactionId) -> bool {
        if let Some(invite) = self.invites.get_mut(&id) {
            let repetition = invite.transaction.repetition();
            self.timers.set(Timer::Invite(id), invite.transaction.deadline());
            if let Some(bytes) = repetition {
                self.outputs.push_back(response(invite.flow, bytes));
            }
            return true;
        }
        if let Some((request, flow)) = self.requests.get(&id) {
            self.outputs.push_back(response(*flow, request.repetition()));
            return true;
        }
        self.waiting.has(id)
    }

    // What is answered without being remembered.

    /// Refuses what could not be read.
    fn refuse_unread(&mut self, refusal: &Refusal, mut headers: Headers, flow: &Flow, length: usize) {
        let path = reply_path(&headers, flow);
        wire::note_source(&mut headers, flow.remote);
        let response = refusal.response(&headers, &CAPABILITIES);
        let tag = self.keys.stateless_tag(&headers);
        self.send_stateless(path, length, response, tag, Vec::new());
    }

    fn reject(&mut self, inbound: &Inbound, status: u16) {
        self.reject_with(inbound, status, Vec::new());
    }

    fn reject_with(&mut self, inbound: &Inbound, status: u16, more: Vec<Header>) {
        let tag = self.keys.stateless_tag(&inbound.request.headers);
        let mut response = inbound.response(status, tag);
        response.headers.extend(more);
        self.send_stateless(inbound.reply_to, inbound.length, response, tag, Vec::new());
    }

    fn reject_for_overload(&mut self, inbound: &Inbound) {
        let retry_after = retry_after(self.config.retry_after);
        self.reject_with(inbound, 503, vec![retry_after]);
    }

    fn options(&mut self, inbound: &Inbound, now: Instant) {
        if self.draining && inbound.to_tag.is_none() {
            // The answer is what an INVITE would get (§11.2), so that a proxy sends the next calls elsewhere.
            return self.reject_for_overload(inbound);
        }
        let tag = self.keys.stateless_tag(&inbound.request.headers);
        let mut response = inbound.response(200, tag);
        let more = vec![CAPABILITIES.allow(), CAPABILITIES.accept(), CAPABILITIES.supported(), self.server()];
        match inbound.to_tag {
            None => self.send_stateless(inbound.reply_to, inbound.length, response, tag, more),
            Some(_) => {
                response.headers.extend(more);
                self.respond_and_remember(inbound, &response, now);
            }
        }
    }

    /// Sends a response to someone who may not be who it seems. Over UDP it is not made larger than the request by what can be
    /// left out, the last first, so that we are no use for flooding third parties.
    fn send_stateless(&mut self, path: Flow, length: usize, mut response: Response, tag: u64, optional: Vec<Header>) {
        wire::set_to_tag(&mut response.headers, &tag_text(tag));
        let mut bytes = written(&response);
        for header in optional {
            response.headers.push(header);
            let longer = written(&response);
            if path.transport == Transport::Udp && longer.len() > length {
                break;
            }
            bytes = longer;
        }
        self.outputs.push_back(self::response(path, bytes));
    }

    fn server(&self) -> Header {
        Header::Server(self.config.server.as_str().into())
    }

    /// Sends the response to a request, and keeps it for the request's repetitions if there is room. Without room the
    /// repetition is a request out of order, or one without a dialog, which does no harm either.
    fn respond_and_remember(&mut self, inbound: &Inbound, response: &Response, now: Instant) {
        self.send_and_remember(inbound.id, inbound.reply_to, written(response), now);
    }

    fn send_and_remember(&mut self, id: TransactionId, path: Flow, bytes: Bytes, now: Instant) {
        if !path.transport.is_reliable() && self.requests.len() < self.most_transactions() {
            let transaction = ServerRequest::answered(bytes.clone(), false, now);
            self.timers.set(Timer::Request(id), Some(transaction.deadline()));
            self.requests.insert(id, (transaction, path));
        }
        self.outputs.push_back(self::response(path, bytes));
    }

    /// How many transactions of each kind are remembered at most.
    fn most_transactions(&self) -> usize {
        4 * self.config.max_calls + 1024
    }

    /// How many calls of one address may wait for their ACK.
    fn most_unacknowledged(&self) -> usize {
        self.config.max_unacknowledged_per_address.min((self.config.max_calls / 2).max(ALWAYS_UNACKNOWLEDGED))
    }

    // A call begins.

    fn invite(&mut self, inbound: Inbound, now: Instant) {
        let merge_key = self.keys.merge_key(&inbound);
        if self.merged.contains_key(&merge_key) {
            return self.reject(&inbound, 482);
        }
        let source = inbound.flow.remote.ip();
        if self.draining
            || self.calls.len() >= self.config.max_calls
            || self.invites.len() >= self.most_transactions()
            || self.unacknowledged.get(&source).is_some_and(|&calls| calls >= self.most_unacknowledged())
        {
            return self.reject_for_overload(&inbound);
        }
        let replaces = match self.replaced(&inbound) {
            Ok(replaces) => replaces,
            Err(Refused::Status(status)) => return self.reject(&inbound, status),
            Err(Refused::Malformed(refusal)) => {
                return self.refuse_unread(&refusal, inbound.request.headers, &inbound.flow, inbound.length);
            }
        };
        let session = match self.wished_session(&inbound) {
            Ok(session) => session,
            Err(response) => {
                let tag = self.keys.stateless_tag(&inbound.request.headers);
                return self.send_stateless(inbound.reply_to, inbound.length, response, tag, Vec::new());
            }
        };
        let tag = self.random.random();
        let Some(dialog) = Dialog::answering(&inbound, &tag_text(tag)) else {
            let refusal = Refusal::Malformed("Missing Contact header".to_owned());
            let response = refusal.response(&inbound.request.headers, &CAPABILITIES);
            return self.send_stateless(inbound.reply_to, inbound.length, response, tag, Vec::new());
        };
        self.latest_call += 1;
        let reference = CallRef(self.latest_call);
        let Ok(incoming) = incoming_call(&inbound) else { return };
        let mut call = Call::early(dialog, tag, source);
        call.learn_abilities(&inbound.request.headers);
        call.replaces = replaces;
        call.offered = Some(self.offer(reference, inbound, session, Some(merge_key), now));
        self.calls.insert(reference, call);
        self.dialogs.insert(tag, Place::Call(reference));
        *self.unacknowledged.entry(source).or_default() += 1;
        self.set_call_timer(reference);
        self.outputs.push_back(Output::Event(reference, Event::Incoming(Box::new(incoming))));
    }

    /// Starts the transaction of an INVITE that our side is to answer.
    fn offer(
        &mut self,
        call: CallRef,
        mut inbound: Inbound,
        session: SessionExpires,
        merge_key: Option<u128>,
        now: Instant,
    ) -> Box<Offered> {
        let trying = wire::response_to(&inbound.request.headers, 100.into());
        let transaction = ServerInvite::new(written(&trying), inbound.reply_to.transport.is_reliable(), now);
        let id = inbound.id;
        self.timers.set(Timer::Invite(id), transaction.deadline());
        self.invites.insert(id, Invite { transaction, flow: inbound.reply_to, call, merge_key });
        if let Some(key) = merge_key {
            self.merged.insert(key, id);
        }
        let has_offer = session_description(&inbound).is_some();
        let wants_reliable = inbound.request.headers.require().iter().any(|tag| tag.eq_ignore_ascii_case("100rel"));
        inbound.keep_what_a_response_needs();
        Box::new(Offered { transaction: id, inbound, has_offer, wants_reliable, session, give_up_at: now + LONGEST_SILENCE })
    }

    /// Takes the ACK of a refusal or of a 200.
    fn ack(&mut self, inbound: &Inbound, now: Instant) {
        if let Some(invite) = self.invites.get_mut(&inbound.id) {
            invite.transaction.acknowledge(now);
            self.timers.set(Timer::Invite(inbound.id), invite.transaction.deadline());
        }
        let Some(Place::Call(reference)) = self.place(inbound) else { return };
        let Some(call) = self.calls.get_mut(&reference) else { return };
        let is_awaited = |answered: &mut Box<Answered>| answered.sequence == inbound.sequence;
        let Some(answered) = call.answered.take_if(is_awaited) else { return };
        let answer = answered.offer_is_ours.then(|| session_description(inbound)).flatten();
        self.confirmed(reference, answer, now);
    }

    /// The caller has our 200.
    fn confirmed(&mut self, reference: CallRef, answer: Option<Vec<u8>>, now: Instant) {
        self.uncount(reference);
        let Some(call) = self.calls.get_mut(&reference) else { return };
        call.answered = None;
        match &mut call.phase {
            Phase::Early | Phase::Talking => {
                self.set_call_timer(reference);
                self.outputs.push_back(Output::Event(reference, Event::Acknowledged { answer }));
            }
            Phase::Leaving { reason } => {
                let reason = reason.take();
                self.say_goodbye(reference, reason, now);
            }
        }
    }

    /// Takes a CANCEL, which has the branch of the INVITE it means (§9.2).
    fn cancel(&mut self, inbound: &Inbound, now: Instant) {
        let Ok(invite_id) = self.keys.transaction(&inbound.request.headers, Method::Invite) else { return };
        let Some(invite) = self.invites.get(&invite_id) else {
            return self.reject(inbound, 481);
        };
        let (reference, is_proceeding) = (invite.call, invite.transaction.is_proceeding());
        let call = self.calls.get_mut(&reference);
        let tag = call.as_ref().map_or_else(|| self.keys.stateless_tag(&inbound.request.headers), |call| call.tag);
        self.respond_and_remember(inbound, &inbound.response(200, tag), now);
        if !is_proceeding {
            return;
        }
        self.refuse_offered(reference, 487, Vec::new(), now);
        if self.calls.get(&reference).is_some_and(|call| matches!(call.phase, Phase::Early)) {
            self.end(reference, EndReason::Cancelled(Reason::of(&inbound.request.headers)), now);
        }
    }

    // A call goes on.

    /// Finds the dialog of a request.
    fn place(&self, inbound: &Inbound) -> Option<Place> {
        let place = *self.dialogs.get(&read_tag(inbound.to_tag.as_deref()?)?)?;
        match place {
            Place::Call(reference) => self.calls.get(&reference)?.dialog.fits(inbound).then_some(place),
            Place::Leaving => Some(place),
        }
    }

    fn in_dialog(&mut self, inbound: Inbound, now: Instant) {
        let reference = match self.place(&inbound) {
            None => return self.reject(&inbound, 481),
            // Their BYE and ours have crossed.
            Some(Place::Leaving) if inbound.method() == Method::Bye => {
                return self.respond_and_remember(&inbound, &inbound.response(200, 0), now);
            }
            Some(Place::Leaving) => return self.reject(&inbound, 481),
            Some(Place::Call(reference)) => reference,
        };
        let Some(call) = self.calls.get_mut(&reference) else { return };
        if call.updating.as_ref().is_some_and(|waiting| waiting.inbound.id == inbound.id) {
            // The UPDATE that is being answered, once more.
            return;
        }
        if inbound.sequence <= call.dialog.remote_sequence {
            return self.reject(&inbound, 500);
        }
        call.dialog.remote_sequence = inbound.sequence;
        call.dialog.flow = inbound.reply_to;
        match inbound.method() {
            Method::Invite => self.reinvite(reference, inbound, now),
            Method::Bye => {
                self.respond_and_remember(&inbound, &inbound.response(200, 0), now);
                self.refuse_offered(reference, 487, Vec::new(), now);
                self.end(reference, EndReason::Bye(Reason::of(&inbound.request.headers)), now);
            }
            Method::Info => self.info(reference, inbound, now),
            Method::PRack => self.prack(reference, &inbound, now),
            Method::Update => self.update(reference, inbound, now),
            Method::Notify => self.notify(reference, &inbound, now),
            _ => self.options(&inbound, now),
        }
    }

    fn reinvite(&mut self, reference: CallRef, inbound: Inbound, now: Instant) {
        let Some(call) = self.calls.get_mut(&reference) else { return };
        let glare = match call.phase {
            Phase::Leaving { .. } => Some(481),
            // Another offer of theirs is not answered yet (§14.2).
            _ if call.offered.is_some() || call.updating.is_some() => Some(500),
            // Our own offer waits for its answer.
            _ if call.awaits_answer() => Some(491),
            _ => None,
        };
        if let Some(status) = glare {
            let response = self.glare_response(&inbound, status);
            return self.refuse_reinvite(reference, &inbound, &response, now);
        }
        let session = match self.wished_session(&inbound) {
            Ok(session) => session,
            Err(response) => return self.refuse_reinvite(reference, &inbound, &response, now),
        };
        let Some(call) = self.calls.get_mut(&reference) else { return };
        let is_unacknowledged = call.answered.is_some();
        if self.invites.len() >= self.most_transactions() {
            return self.reject_for_overload(&inbound);
        }
        if is_unacknowledged {
            // Who sends another INVITE has our 200; only its ACK was lost.
            self.confirmed(reference, None, now);
        }
        let offer = session_description(&inbound);
        if let Some(call) = self.calls.get_mut(&reference) {
            call.learn_abilities(&inbound.request.headers);
        }
        let offered = self.offer(reference, inbound, session, None, now);
        if let Some(call) = self.calls.get_mut(&reference) {
            call.offered = Some(offered);
        }
        self.set_call_timer(reference);
        self.outputs.push_back(Output::Event(reference, Event::Reoffer { offer }));
    }

    /// Refuses a re-INVITE, and repeats that until its ACK.
    fn refuse_reinvite(&mut self, call: CallRef, inbound: &Inbound, response: &Response, now: Instant) {
        let bytes = written(response);
        let flow = inbound.reply_to;
        if self.invites.len() < self.most_transactions() {
            let mut transaction = ServerInvite::new(Bytes::new(), flow.transport.is_reliable(), now);
            transaction.refuse(bytes.clone(), now);
            self.timers.set(Timer::Invite(inbound.id), transaction.deadline());
            self.invites.insert(inbound.id, Invite { transaction, flow, call, merge_key: None });
        }
        self.outputs.push_back(self::response(flow, bytes));
    }

    fn info(&mut self, reference: CallRef, inbound: Inbound, now: Instant) {
        let content_type = inbound.request.headers.content_type().ok().flatten().map(|media_type| media_type.essence);
        let body = &inbound.request.body;
        match content_type {
            // Without a body it only asks whether the dialog is there (RFC 6086 §4.2.2).
            _ if body.is_empty() => self.respond_and_remember(&inbound, &inbound.response(200, 0), now),
            Some(content_type) if INFO_TYPES.contains(&content_type.as_str()) && body.len() <= LONGEST_INFO => {
                self.respond_and_remember(&inbound, &inbound.response(200, 0), now);
                if self.calls.get(&reference).and_then(|call| call.answered.as_ref()).is_some_and(|it| !it.offer_is_ours) {
                    // Who sends INFO has our 200; only its ACK was lost.
                    self.confirmed(reference, None, now);
                }
                if self.calls.get(&reference).is_some_and(|call| !matches!(call.phase, Phase::Leaving { .. })) {
                    let event = Event::Info { content_type, body: inbound.request.body };
                    self.outputs.push_back(Output::Event(reference, event));
                }
            }
            Some(_) | None => {
                let mut response = inbound.response(415, 0);
                response.headers.push(CAPABILITIES.accept());
                self.respond_and_remember(&inbound, &response, now);
            }
        }
    }

    /// Does what whoever leads the call wants.
    pub fn command(&mut self, reference: CallRef, command: Command, now: Instant) {
        let Some(call) = self.calls.get(&reference) else { return };
        match (command, &call.phase) {
            (_, Phase::Leaving { .. }) => {}
            (Command::Ring { offer }, Phase::Early) => self.ring(reference, offer, now),
            (Command::AnswerReoffer { sdp }, _) if call.updating.is_some() => self.answer_update(reference, &sdp, now),
            (Command::RefuseReoffer { status }, _) if call.updating.is_some() => {
                self.refuse_update(reference, refusing(status), now);
            }
            (Command::Answer { sdp }, Phase::Early) | (Command::AnswerReoffer { sdp }, Phase::Talking) => {
                self.accept(reference, sdp, now);
            }
            (Command::Refuse { status, retry_after }, Phase::Early) => {
                let status = refusing(status);
                self.refuse_offered(reference, status, retry_after.map(self::retry_after).into_iter().collect(), now);
                self.end(reference, EndReason::Refused(status), now);
            }
            (Command::Challenge { challenges }, Phase::Early) => {
                self.refuse_offered(reference, 401, challenges, now);
                self.end(reference, EndReason::Refused(401), now);
            }
            (Command::RefuseReoffer { status }, Phase::Talking) => {
                self.refuse_offered(reference, refusing(status), Vec::new(), now);
                self.set_call_timer(reference);
            }
            (Command::Transfer(referral), Phase::Talking) => self.refer(reference, &referral, now),
            (Command::Hangup { .. }, Phase::Early) => {
                self.refuse_offered(reference, 480, Vec::new(), now);
                self.end(reference, EndReason::Refused(480), now);
            }
            (Command::Hangup { reason }, Phase::Talking) => self.hang_up(reference, reason, EndReason::HungUp, now),
            (
                Command::Answer { .. } | Command::Refuse { .. } | Command::Challenge { .. } | Command::Ring { .. },
                Phase::Talking,
            )
            | (Command::AnswerReoffer { .. } | Command::RefuseReoffer { .. } | Command::Transfer(_), Phase::Early) => {}
        }
    }

    /// Ends a call that nobody leads any more.
    pub fn abandon(&mut self, reference: CallRef, now: Instant) {
        match self.calls.get(&reference).map(|call| &call.phase) {
            Some(Phase::Early) => self.command(reference, Command::Refuse { status: 500, retry_after: None }, now),
            Some(Phase::Talking) => self.hang_up(reference, None, EndReason::HungUp, now),
            Some(Phase::Leaving { .. }) | None => {}
        }
    }

    /// Gives up a call whose caller has not acknowledged anything yet, for there are too many such. Nothing is sent but a refusal of
    /// what was not answered: a BYE would go to somebody who may never have called.
    pub fn give_up(&mut self, reference: CallRef, now: Instant) {
        match self.calls.get(&reference).map(|call| &call.phase) {
            Some(Phase::Early) => {
                let retry_after = Some(self.config.retry_after);
                self.command(reference, Command::Refuse { status: 503, retry_after }, now);
            }
            Some(Phase::Talking | Phase::Leaving { .. }) => self.end(reference, EndReason::AckTimeout, now),
            None => {}
        }
    }

    /// Answers the INVITE or re-INVITE that waits.
    fn accept(&mut self, reference: CallRef, sdp: Vec<u8>, now: Instant) {
        let server = self.server();
        let Some(call) = self.calls.get_mut(&reference) else { return };
        if call.reliable.as_ref().is_some_and(|reliable| reliable.awaits_answer()) {
            // Not before the PRACK has brought the answer to the offer in our ringing (RFC 3262 §3).
            call.postponed_answer = call.offered.is_some().then_some(sdp);
            return;
        }
        let Some(offered) = call.offered.take() else { return };
        let Some(invite) = self.invites.get_mut(&offered.transaction) else { return };
        let inbound = &offered.inbound;
        let mut response = inbound.response(200, call.tag);
        let is_first = matches!(call.phase, Phase::Early);
        if is_first {
            response.headers.extend(inbound.record_routes());
        } else {
            call.dialog.refresh_target(&inbound.request.headers);
        }
        response.headers.extend(vec![
            call.dialog.contact(&self.config.user, &invite.flow),
            IN_CALL.allow(),
            IN_CALL.supported(),
            server,
        ]);
        response.headers.extend(call.start_session(offered.session, now));
        call.description.clone_from(&sdp);
        // What was agreed on before the call was answered is not said again (§13.2.1).
        let is_agreed = is_first && call.is_agreed;
        if !is_agreed {
            response.headers.push(Header::ContentType("application/sdp".into()));
            response.body = sdp;
        }
        let bytes = written(&response);
        invite.transaction.accept(now);
        self.timers.set(Timer::Invite(offered.transaction), invite.transaction.deadline());
        call.phase = Phase::Talking;
        call.reliable.iter_mut().for_each(|reliable| reliable.overtake());
        call.answered = Some(Box::new(Answered {
            sequence: inbound.sequence,
            response: bytes.clone(),
            flow: invite.flow,
            interval: T1,
            send_at: now + T1,
            give_up_at: now + TRANSACTION_LIFE,
            offer_is_ours: !offered.has_offer && !is_agreed,
        }));
        let replaced = call.replaces.take();
        self.outputs.push_back(self::response(invite.flow, bytes));
        self.set_call_timer(reference);
        if let Some(replaced) = replaced.filter(|other| self.is_talking(*other)) {
            self.hang_up(replaced, Some(Reason::sip(200, "replaced by another call")), EndReason::Replaced, now);
        }
    }

    fn is_talking(&self, reference: CallRef) -> bool {
        self.calls.get(&reference).is_some_and(|call| matches!(call.phase, Phase::Talking))
    }

    /// Refuses the INVITE or re-INVITE that waits, if one does.
    fn refuse_offered(&mut self, reference: CallRef, status: u16, more: Vec<Header>, now: Instant) {
        let Some(call) = self.calls.get_mut(&reference) else { return };
        let Some(offered) = call.offered.take() else { return };
        let Some(invite) = self.invites.get_mut(&offered.transaction) else { return };
        let mut response = offered.inbound.response(status, call.tag);
        response.headers.extend(more);
        let bytes = written(&response);
        invite.transaction.refuse(bytes.clone(), now);
        self.timers.set(Timer::Invite(offered.transaction), invite.transaction.deadline());
        self.outputs.push_back(self::response(invite.flow, bytes));
    }

    // A call ends.

    /// Ends an answered call: tells so at once, and says BYE as soon as that is allowed.
    fn hang_up(&mut self, reference: CallRef, reason: Option<Reason>, end: EndReason, now: Instant) {
        self.refuse_offered(reference, 487, Vec::new(), now);
        self.refuse_update(reference, 487, now);
        self.outputs.push_back(Output::Event(reference, Event::Ended(end)));
        let Some(call) = self.calls.get_mut(&reference) else { return };
        if call.answered.is_some() {
            call.phase = Phase::Leaving { reason };
            self.set_call_timer(reference);
        } else {
            self.say_goodbye(reference, reason, now);
        }
    }

    /// Sends BYE and forgets the call.
    fn say_goodbye(&mut self, reference: CallRef, reason: Option<Reason>, now: Instant) {
        self.uncount(reference);
        let Some(mut call) = self.calls.remove(&reference) else { return };
        self.timers.set(Timer::Call(reference), None);
        let branch = format!("z9hG4bK{:016x}", self.random.random::<u64>());
        call.dialog.local_sequence += 1;
        let more: Vec<Header> = reason.map(|reason| reason.header()).into_iter().collect();
        let bye = OutgoingRequest::of(&call.dialog, Method::Bye, more.clone());
        if bye.lookup().is_some() && self.departing.len() < self.most_transactions() {
            self.departing.insert(call.tag);
            self.dialogs.insert(call.tag, Place::Leaving);
            return self.outputs.push_back(Output::Farewell(call.tag, Box::new(bye)));
        }
        let bytes = call.dialog.request(Method::Bye, call.dialog.local_sequence, &branch, more, Vec::new());
        let flow = call.dialog.path();
        self.outputs.push_back(Output::Send { flow, bytes: bytes.clone(), reach: Reach::Connect });
        if self.farewells.len() >= self.most_transactions() {
            self.dialogs.remove(&call.tag);
            return;
        }
        let id = self.keys.client_transaction(&branch, "BYE");
        let transaction = ClientRequest::new(bytes, flow.transport.is_reliable(), now);
        self.timers.set(Timer::Farewell(id), Some(transaction.deadline()));
        self.farewells.insert(id, Farewell { transaction, flow, tag: call.tag });
        self.dialogs.insert(call.tag, Place::Leaving);
    }

    /// Hears that the BYE of [`Output::Farewell`] was answered, or never will be.
    pub fn departed(&mut self, tag: u64) {
        if self.departing.remove(&tag) {
            self.dialogs.remove(&tag);
        }
    }

    /// Tells the end, unless that was told already, and forgets the call.
    fn end(&mut self, reference: CallRef, reason: EndReason, now: Instant) {
        self.refuse_update(reference, 487, now);
        self.uncount(reference);
        let Some(call) = self.calls.remove(&reference) else { return };
        self.timers.set(Timer::Call(reference), None);
        self.dialogs.remove(&call.tag);
        if !matches!(call.phase, Phase::Leaving { .. }) {
            self.outputs.push_back(Output::Event(reference, Event::Ended(reason)));
        }
    }

    /// Counts the call no longer among those of its address that wait for their first ACK.
    fn uncount(&mut self, reference: CallRef) {
        let Some(call) = self.calls.get_mut(&reference) else { return };
        if std::mem::take(&mut call.counted)
            && let Entry::Occupied(mut entry) = self.unacknowledged.entry(call.source)
        {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }

    fn response(&mut self, response: &Response, now: Instant) {
        if wire::validate_response(response).is_err() {
            return;
        }
        let (Ok(via), Ok(sequence)) = (response.headers.top_via(), response.headers.cseq()) else { return };
        let Some(branch) = via.branch() else { return };
        let id = self.keys.client_transaction(branch, &sequence.method);
        if let Some(step) = self.outgoing.response(id, response, now) {
            return self.outgoing_step(id, step);
        }
        if let Some(farewell) = self.farewells.get_mut(&id) {
            if farewell.transaction.response(response.status_code.code(), now) == Received::New {
                // The caller is gone; nothing of the dialog is left to be answered.
                self.dialogs.remove(&farewell.tag);
            }
            self.timers.set(Timer::Farewell(id), Some(farewell.transaction.deadline()));
        } else if !self.referred(id, response, now) {
            self.refreshed(id, response, now);
        }
    }

    // Requests of ours that belong to no call.

    /// Sends a request, whose outcome is told by [`Output::Answered`]. Its path is to have an address of ours that peers can be
    /// told. None when it has no path at all, or when there are too many requests: it is not sent then.
    pub fn send(&mut self, request: &OutgoingRequest, now: Instant) -> Option<OutgoingRef> {
        self.send_within(TRANSACTION_LIFE, request, now)
    }

    /// The same, but given up sooner.
    pub(super) fn send_within(&mut self, patience: Duration, request: &OutgoingRequest, now: Instant) -> Option<OutgoingRef> {
        let dialog = request.dialog()?;
        let branch = format!("z9hG4bK{:016x}", self.random.random::<u64>());
        let bytes = request.write(&dialog, &branch, &self.config.user, &self.config.server);
        let id = self.keys.client_transaction(&branch, &request.method.to_string());
        let flow = dialog.path();
        let reference = self.outgoing.start(id, flow, bytes.clone(), patience, now)?;
        self.timers.set(Timer::Outgoing(id), self.outgoing.deadline(id));
        self.outputs.push_back(Output::Send { flow, bytes, reach: Reach::Connect });
        Some(reference)
    }

    /// Ends the requests of ours that went by a connection which could not be made, or is closed.
    pub fn connection_lost(&mut self, flow: &Flow) {
        for (id, step) in self.outgoing.lost(flow) {
            self.outgoing_step(id, step);
        }
    }

    fn outgoing_is_due(&mut self, id: TransactionId, now: Instant) {
        match self.outgoing.tick(id, now) {
            Some(step) => self.outgoing_step(id, step),
            None => self.timers.set(Timer::Outgoing(id), self.outgoing.deadline(id)),
        }
    }

    fn outgoing_step(&mut self, id: TransactionId, step: Step) {
        self.timers.set(Timer::Outgoing(id), self.outgoing.deadline(id));
        self.outputs.push_back(match step {
            Step::Repeat(flow, bytes) => Output::Send { flow, bytes, reach: Reach::Connect },
            Step::Tell(reference, outcome) => Output::Answered(reference, outcome),
        });
    }

    // Time passes.

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Invite(id) => self.invite_is_due(id, now),
                Timer::Request(id) => _ = self.requests.remove(&id),
                Timer::Farewell(id) => self.farewell_is_due(id, now),
                Timer::Outgoing(id) => self.outgoing_is_due(id, now),
                Timer::Refresh(id) => self.refresh_is_due(id, now),
                Timer::Referring(id) => self.referring_is_due(id, now),
                Timer::Call(reference) => self.call_is_due(reference, now),
                Timer::Waiting(reference) => self.shed(reference, now),
            }
        }
        self.give_room_back();
    }

    /// Gives back the room of the tables that a flood has left.
    fn give_room_back(&mut self) {
        self.calls.give_room_back();
        self.dialogs.give_room_back();
        self.invites.give_room_back();
        self.requests.give_room_back();
        self.farewells.give_room_back();
        self.departing.give_room_back();
        self.refreshes.give_room_back();
        self.merged.give_room_back();
        self.unacknowledged.give_room_back();
        self.waiting.give_room_back();
        self.outgoing.give_room_back();
        self.outputs.give_room_back();
    }

    fn invite_is_due(&mut self, id: TransactionId, now: Instant) {
        let Some(invite) = self.invites.get_mut(&id) else { return };
        match invite.transaction.tick(now) {
            Some(Due::Send(bytes)) => self.outputs.push_back(response(invite.flow, bytes)),
            Some(Due::GaveUp | Due::Over) => {
                if let Some(key) = self.invites.remove(&id).and_then(|invite| invite.merge_key) {
                    self.merged.remove(&key);
                }
                return;
            }
            None => {}
        }
        self.timers.set(Timer::Invite(id), invite.transaction.deadline());
    }

    fn farewell_is_due(&mut self, id: TransactionId, now: Instant) {
        let Some(farewell) = self.farewells.get_mut(&id) else { return };
        match farewell.transaction.tick(now) {
            Some(Due::Send(bytes)) => {
                self.outputs.push_back(Output::Send { flow: farewell.flow, bytes, reach: Reach::Connect });
            }
            Some(Due::GaveUp | Due::Over) => {
                self.dialogs.remove(&farewell.tag);
                self.farewells.remove(&id);
                return;
            }
            None => {}
        }
        self.timers.set(Timer::Farewell(id), Some(farewell.transaction.deadline()));
    }

    fn call_is_due(&mut self, reference: CallRef, now: Instant) {
        let Some(call) = self.calls.get_mut(&reference) else { return };
        if let Some(answered) = &mut call.answered
            && answered.give_up_at > now
            && answered.send_at <= now
        {
            answered.interval = doubled(answered.interval);
            answered.send_at = now + answered.interval;
            self.outputs.push_back(response(answered.flow, answered.response.clone()));
        }
        if call.answered.take_if(|answered| answered.give_up_at <= now).is_some() {
            return match &mut call.phase {
                Phase::Leaving { reason } => {
                    let reason = reason.take();
                    self.say_goodbye(reference, reason, now);
                }
                Phase::Early | Phase::Talking => {
                    self.hang_up(reference, Some(Reason::sip(408, "ACK was not received")), EndReason::AckTimeout, now);
                }
            };
        }
        if call.offered.as_ref().is_some_and(|offered| offered.give_up_at <= now) {
            self.refuse_offered(reference, 480, Vec::new(), now);
            if self.calls.get(&reference).is_some_and(|call| matches!(call.phase, Phase::Early)) {
                return self.end(reference, EndReason::Unanswered, now);
            }
        }
        if self.calls.get(&reference).is_some_and(|call| call.updating.as_ref().is_some_and(|it| it.give_up_at <= now)) {
            self.refuse_update(reference, 504, now);
        }
        self.transfer_is_due(reference, now);
        if self.reliable_is_due(reference, now) && self.session_is_due(reference, now) {
            self.set_call_timer(reference);
        }
    }

    fn set_call_timer(&mut self, reference: CallRef) {
        let Some(call) = self.calls.get(&reference) else { return };
        let answered = call.answered.as_ref().map(|answered| answered.send_at.min(answered.give_up_at));
        let offered = call.offered.as_ref().map(|offered| offered.give_up_at);
        let reliable = call.reliable.as_ref().and_then(|reliable| reliable.deadline());
        let updating = call.updating.as_ref().map(|waiting| waiting.give_up_at);
        let is_talking = matches!(call.phase, Phase::Talking);
        let session = call.session.as_ref().filter(|_| is_talking).map(SessionTimer::deadline);
        let transfer = call.transfer.as_ref().and_then(Transfer::deadline);
        let first = [answered, offered, reliable, updating, session, transfer].into_iter().flatten().min();
        self.timers.set(Timer::Call(reference), first);
    }
}

impl Call {
    /// A call that has just begun.
    fn early(dialog: Dialog, tag: u64, source: IpAddr) -> Self {
        Self {
            dialog,
            tag,
            source,
            phase: Phase::Early,
            offered: None,
            answered: None,
            reliable: None,
            is_agreed: false,
            postponed_answer: None,
            updating: None,
            replaces: None,
            session: None,
            shortest_session: Duration::ZERO,
            takes_update: false,
            refreshing: false,
            reoffering: false,
            transfer: None,
            description: Vec::new(),
            counted: true,
        }
    }
}

/// A response on its way: its receiver is there or has left.
fn response(flow: Flow, bytes: Bytes) -> Output {
    Output::Send { flow, bytes, reach: Reach::SameConnection }
}

fn retry_after(pause: Duration) -> Header {
    Header::RetryAfter(pause.as_secs().max(1).to_string().into())
}

/// A status that refuses; anything else is a mistake of ours.
fn refusing(status: u16) -> u16 {
    if (300..700).contains(&status) { status } else { 500 }
}

fn session_description(inbound: &Inbound) -> Option<Vec<u8>> {
    body_of_type(&inbound.request.headers, &inbound.request.body, "application/sdp").map(<[u8]>::to_vec)
}

/// Reads an INVITE as the server would, for those who want to know what it would do.
///
/// # Errors
///
/// What the sender would be told, or that it would be told nothing.
pub fn read_invite(bytes: &[u8], flow: &Flow) -> Result<IncomingCall, Unreadable> {
    let request = match wire::parse(bytes) {
        Ok(Message::Request(request)) => request,
        Ok(Message::Response(_)) => return Err(Unreadable::Ignored("a response, not a request".to_owned())),
        Err(Rejected::Ignore(problem)) => return Err(Unreadable::Ignored(problem.to_owned())),
        Err(Rejected::Refuse { refusal, .. }) => return Err(Unreadable::Refused(refusal)),
    };
    wire::validate(&request, &CAPABILITIES).map_err(Unreadable::Refused)?;
    if request.method != Method::Invite {
        return Err(Unreadable::Ignored(format!("{}, not INVITE", request.method)));
    }
    let malformed = |error: wire::HeaderError| Unreadable::Refused(Refusal::Malformed(error.to_string()));
    let inbound = Inbound::new(request, flow, bytes.len(), &Keys::default()).map_err(malformed)?;
    incoming_call(&inbound).map_err(malformed)
}

/// Why a message is no call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is refused with a status.
    Refused(Refusal),
    /// It is not answered as a call, for a reason in words.
    Ignored(String),
}

fn incoming_call(inbound: &Inbound) -> Result<IncomingCall, wire::HeaderError> {
    let headers = &inbound.request.headers;
    Ok(IncomingCall {
        call_id: inbound.call_id.clone(),
        source: inbound.flow.remote,
        proof: inbound.flow.proof,
        transport: inbound.flow.transport,
        local: inbound.flow.local,
        request_uri: SipUri::from(&inbound.request.uri),
        from: headers.from_address()?,
        to: headers.to_address()?,
        diversions: headers.diversions(),
        history: headers.history_info(),
        asserted: headers.asserted_identities(),
        remote_parties: headers.remote_party_ids(),
        privacy: headers.privacy(),
        user_agent: headers.user_agent(),
        credentials: inbound.credentials.clone(),
        offer: session_description(inbound),
    })
}

mod challenge;
mod early;
mod outside;
mod refer;
mod refresh;
mod replace;
mod update;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
