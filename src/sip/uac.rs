//! A user agent client: the calls of our own telephone, as data. [`super::user_agent`] is the telephone itself.
//!
//! It knows as much as calling a voicemail takes: REGISTER, INVITE with or without an offer, CANCEL, ACK, INFO, re-INVITE and BYE,
//! answers to challenges, and what the other side may send meanwhile. Everything it sends goes to where the call was dialled, as
//! through an outbound proxy.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use bytes::Bytes;
use rand::{Rng, SeedableRng, rngs::StdRng};
use rsip::{Header, Method, Response};

use super::{
    dialog::Dialog,
    event::CallRef,
    flow::Flow,
    inbound::{Inbound, Keys, read_tag, tag_text, written},
    timer::Timers,
    transaction::{ClientInvite, ClientRequest, Due, Received, ServerRequest, TransactionId},
    uas::INFO_TYPES,
    wire::{
        self, Capabilities, HeaderViews, Message, NameAddr, RAck, Scheme, SipUri, body_of_type, reason_phrase, reliable_number,
    },
};

/// What a telephone can do.
const CAPABILITIES: Capabilities = Capabilities {
    methods: &[Method::Invite, Method::Ack, Method::Bye, Method::Cancel, Method::Options, Method::Info, Method::Update],
    extensions: &["100rel"],
    bodies: &["application/sdp", INFO_TYPES[0], INFO_TYPES[1]],
};

/// The user part of a telephone's Contact.
const CONTACT_USER: &str = "telephone";

/// A call to be made.
#[derive(Clone, Debug)]
pub struct Invitation {
    /// Whom to call.
    pub target: SipUri,
    /// Who is calling: the From address, without a tag.
    pub from: NameAddr,
    /// More headers, like `Diversion`.
    pub headers: Vec<(String, String)>,
    /// The SDP offer; without one the other side makes it, and [`DialCommand::Confirm`] answers.
    pub offer: Option<Vec<u8>>,
    /// Who calls, if that is asked for.
    pub login: Option<Login>,
}

impl Invitation {
    /// A call with an offer, by someone at the address that the call leaves from.
    #[must_use]
    pub fn new(target: SipUri, from: NameAddr, offer: Vec<u8>) -> Self {
        Self { target, from, headers: Vec::new(), offer: Some(offer), login: None }
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// Something happened in a call that we made. [`DialEvent::Rejected`] or [`DialEvent::Ended`] comes last, one of them once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialEvent {
    /// A provisional response, like 180. One that must be acknowledged (RFC 3262) is, and told once.
    Provisional(u16),
    /// The call was answered. It is confirmed already, unless the offer was left to the other side.
    Answered {
        /// The answer, or the other side's offer.
        sdp: Vec<u8>,
    },
    /// The call was refused, cancelled (487), or nobody answered (408).
    Rejected {
        /// The status.
        status: u16,
        /// Its words.
        reason: String,
        /// When another try may succeed.
        retry_after: Option<Duration>,
    },
    /// Our re-INVITE was accepted.
    Reanswered {
        /// The answer.
        sdp: Vec<u8>,
    },
    /// Our re-INVITE was refused; the session is as before.
    ReofferRefused {
        /// The status.
        status: u16,
    },
    /// Our INFO was answered.
    InfoAnswered {
        /// The status.
        status: u16,
    },
    /// The call is over.
    Ended(DialEnd),
}

/// How an answered call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialEnd {
    /// The other side hung up.
    TheyHungUp,
    /// We hung up, and the other side confirmed it with this status (408: it said nothing).
    WeHungUp(u16),
    /// The telephone was taken away.
    Stopped,
}

/// Something to do with a call that we made. What does not fit the moment has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialCommand {
    /// Confirms an answered call whose offer came from the other side.
    Confirm {
        /// Our answer.
        sdp: Vec<u8>,
    },
    /// Sends an INFO request.
    Info {
        /// The media type, like `application/dtmf-relay`.
        content_type: String,
        /// The body.
        body: Vec<u8>,
    },
    /// Offers another session: hold, resume, another address.
    Reinvite {
        /// The offer.
        offer: Vec<u8>,
    },
    /// Ends the call: CANCEL before it is answered, BYE after.
    Hangup,
}

/// What the user agent client wants done.
#[derive(Debug)]
pub(super) enum Output {
    Send { flow: Flow, bytes: Bytes },
    Event(CallRef, DialEvent),
    Registered(CallRef, RegisterAnswer),
}

/// A user agent client and all its calls.
#[derive(Debug)]
pub(super) struct Uac {
    keys: Keys,
    random: StdRng,
    calls: HashMap<CallRef, Call>,
    registers: HashMap<CallRef, Register>,
    /// Calls by the tag that we gave them.
    dialogs: HashMap<u64, CallRef>,
    clients: HashMap<TransactionId, Client>,
    requests: HashMap<TransactionId, (ServerRequest, Flow)>,
    timers: Timers<Timer>,
    outputs: VecDeque<Output>,
    latest_call: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    Client(TransactionId),
    Request(TransactionId),
}

#[derive(Debug)]
struct Call {
    dialog: Dialog,
    tag: u64,
    phase: Phase,
    /// The INVITE or re-INVITE that is not answered yet.
    inviting: Option<Inviting>,
    /// The ACK of the latest 2xx, for its repetitions.
    ack: Option<(u32, Bytes)>,
    /// The sequence number of the 2xx that waits for [`DialCommand::Confirm`].
    unconfirmed: Option<u32>,
    /// What answers a challenge to the first INVITE, until one was answered.
    again: Option<Again>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Calling,
    Talking,
    Leaving,
}

#[derive(Clone, Debug)]
struct Inviting {
    branch: String,
    sequence: u32,
    has_offer: bool,
    cancel: Cancel,
    /// The number of the latest reliable response; one that does not follow it came before it, or again.
    reliable: Option<u32>,
    /// The dialog as it was when the INVITE was sent, which CANCEL and the ACK of a refusal are like (§9.1, §17.1.1.3).
    dialog: Box<Dialog>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancel {
    No,
    /// As soon as a provisional response came, for only then may it be sent (§9.1).
    Wanted,
    Sent,
}

/// A transaction of ours.
#[derive(Debug)]
struct Client {
    call: CallRef,
    flow: Flow,
    sequence: u32,
    branch: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Invite(ClientInvite),
    Bye(ClientRequest),
    Cancel(ClientRequest),
    Info(ClientRequest),
    Prack(ClientRequest),
    Register(ClientRequest),
}

impl Client {
    fn deadline(&self) -> Instant {
        match &self.kind {
            Kind::Invite(transaction) => transaction.deadline(),
            Kind::Bye(transaction)
            | Kind::Cancel(transaction)
            | Kind::Info(transaction)
            | Kind::Prack(transaction)
            | Kind::Register(transaction) => transaction.deadline(),
        }
    }

    fn tick(&mut self, now: Instant) -> Option<Due> {
        match &mut self.kind {
            Kind::Invite(transaction) => transaction.tick(now),
            Kind::Bye(transaction)
            | Kind::Cancel(transaction)
            | Kind::Info(transaction)
            | Kind::Prack(transaction)
            | Kind::Register(transaction) => transaction.tick(now),
        }
    }
}

impl Uac {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self {
            keys: Keys::default(),
            random: StdRng::from_seed(seed),
            calls: HashMap::new(),
            registers: HashMap::new(),
            dialogs: HashMap::new(),
            clients: HashMap::new(),
            requests: HashMap::new(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            latest_call: 0,
        }
    }

    pub(super) fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Whether no call is left, nor a registration that is not answered.
    pub(super) fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.registers.is_empty()
    }

    /// Begins a call along a flow.
    pub(super) fn dial(&mut self, invitation: &Invitation, flow: &Flow, now: Instant) -> CallRef {
        self.latest_call += 1;
        let reference = CallRef(self.latest_call);
        let tag = self.random.random();
        let mut from = invitation.from.clone();
        from.params.set("tag", Some(&tag_text(tag)));
        let dialog = Dialog {
            call_id: format!("{:032x}", self.random.random::<u128>()),
            local: from.to_string(),
            remote: NameAddr::new(invitation.target.clone()).to_string(),
            remote_tag: String::new(),
            target: invitation.target.clone(),
            routes: Vec::new(),
            local_sequence: 0,
            remote_sequence: 0,
            flow: *flow,
            is_direct: true,
            is_sips: invitation.target.scheme == Scheme::Sips,
        };
        let more: Vec<Header> =
            invitation.headers.iter().map(|(name, value)| Header::Other(name.clone(), value.clone())).collect();
        let again = |login: &Login| Again { offer: invitation.offer.clone(), headers: more.clone(), login: login.clone() };
        let again = invitation.login.as_ref().map(again);
        let call = Call { dialog, tag, phase: Phase::Calling, inviting: None, ack: None, unconfirmed: None, again };
        self.calls.insert(reference, call);
        self.dialogs.insert(tag, reference);
        self.invite(reference, invitation.offer.clone(), more, now);
        reference
    }

    /// Does something with a call.
    pub(super) fn command(&mut self, reference: CallRef, command: DialCommand, now: Instant) {
        let Some(call) = self.calls.get_mut(&reference) else { return };
        match (command, call.phase) {
            (DialCommand::Confirm { sdp }, Phase::Talking) => {
                if let Some(sequence) = call.unconfirmed.take() {
                    self.acknowledge(reference, sequence, Some(sdp));
                }
            }
            (DialCommand::Info { content_type, body }, Phase::Talking) => {
                let more = vec![Header::ContentType(content_type.into())];
                self.request(reference, Method::Info, more, body, Kind::Info, now);
            }
            (DialCommand::Reinvite { offer }, Phase::Talking) if call.inviting.is_none() => {
                self.invite(reference, Some(offer), Vec::new(), now);
            }
            (DialCommand::Hangup, Phase::Calling) => self.cancel(reference, now),
            (DialCommand::Hangup, Phase::Talking) => self.hang_up(reference, now),
            (DialCommand::Hangup, Phase::Leaving)
            | (DialCommand::Reinvite { .. }, _)
            | (DialCommand::Confirm { .. } | DialCommand::Info { .. }, Phase::Calling | Phase::Leaving) => {}
        }
    }

    fn invite(&mut self, reference: CallRef, offer: Option<Vec<u8>>, mut more: Vec<Header>, now: Instant) {
        let branch = self.new_branch();
        let Some(call) = self.calls.get_mut(&reference) else { return };
        call.dialog.local_sequence += 1;
        let sequence = call.dialog.local_sequence;
        let flow = call.dialog.path();
        more.extend([call.dialog.contact(CONTACT_USER, &flow), CAPABILITIES.allow()]);
        // An offer of the other side in its ringing would have to be answered at once.
        more.extend(offer.is_some().then(|| CAPABILITIES.supported()));
        more.extend(offer.is_some().then(|| Header::ContentType("application/sdp".into())));
        let has_offer = offer.is_some();
        let dialog = Box::new(call.dialog.clone());
        let bytes = call.dialog.request(Method::Invite, sequence, &branch, more, offer.unwrap_or_default());
        call.inviting =
            Some(Inviting { branch: branch.clone(), sequence, has_offer, cancel: Cancel::No, reliable: None, dialog });
        let kind = Kind::Invite(ClientInvite::new(bytes.clone(), flow.transport.is_reliable(), now));
        self.start(Client { call: reference, flow, sequence, branch, kind }, "INVITE", bytes);
    }

    /// Sends another request in the dialog.
    fn request(
        &mut self,
        reference: CallRef,
        method: Method,
        more: Vec<Header>,
        body: Vec<u8>,
        kind: fn(ClientRequest) -> Kind,
        now: Instant,
    ) {
        let branch = self.new_branch();
        let Some(call) = self.calls.get_mut(&reference) else { return };
        call.dialog.local_sequence += 1;
        let sequence = call.dialog.local_sequence;
        let flow = call.dialog.path();
        let bytes = call.dialog.request(method, sequence, &branch, more, body);
        let kind = kind(ClientRequest::new(bytes.clone(), flow.transport.is_reliable(), now));
        self.start(Client { call: reference, flow, sequence, branch, kind }, &method.to_string(), bytes);
    }

    fn start(&mut self, client: Client, method: &str, bytes: Bytes) {
        let id = self.keys.client_transaction(&client.branch, method);
        self.outputs.push_back(Output::Send { flow: client.flow, bytes });
        self.timers.set(Timer::Client(id), Some(client.deadline()));
        self.clients.insert(id, client);
    }

    fn hang_up(&mut self, reference: CallRef, now: Instant) {
        let Some(call) = self.calls.get_mut(&reference) else { return };
        call.phase = Phase::Leaving;
        if let Some(sequence) = call.unconfirmed.take() {
            self.acknowledge(reference, sequence, None);
        }
        self.request(reference, Method::Bye, Vec::new(), Vec::new(), Kind::Bye, now);
    }

    fn cancel(&mut self, reference: CallRef, now: Instant) {
        let Some(call) = self.calls.get_mut(&reference) else { return };
        let Some(inviting) = call.inviting.as_mut().filter(|inviting| inviting.cancel != Cancel::Sent) else { return };
        inviting.cancel = Cancel::Wanted;
        let (branch, sequence) = (inviting.branch.clone(), inviting.sequence);
        let invite = self.clients.get(&self.keys.client_transaction(&branch, "INVITE"));
        if !matches!(invite, Some(Client { kind: Kind::Invite(transaction), .. }) if transaction.is_proceeding()) {
            return;
        }
        inviting.cancel = Cancel::Sent;
        let flow = call.dialog.path();
        let bytes = inviting.dialog.request(Method::Cancel, sequence, &branch, Vec::new(), Vec::new());
        let kind = Kind::Cancel(ClientRequest::new(bytes.clone(), flow.transport.is_reliable(), now));
        self.start(Client { call: reference, flow, sequence, branch, kind }, "CANCEL", bytes);
    }

    /// Sends the ACK of a 2xx, and keeps it.
    fn acknowledge(&mut self, reference: CallRef, sequence: u32, sdp: Option<Vec<u8>>) {
        let branch = self.new_branch();
        let Some(call) = self.calls.get_mut(&reference) else { return };
        let more = sdp.is_some().then(|| Header::ContentType("application/sdp".into()));
        let bytes = call.dialog.request(Method::Ack, sequence, &branch, more.into_iter().collect(), sdp.unwrap_or_default());
        call.ack = Some((sequence, bytes.clone()));
        self.outputs.push_back(Output::Send { flow: call.dialog.path(), bytes });
    }

    fn new_branch(&mut self) -> String {
        format!("z9hG4bK{:016x}", self.random.random::<u64>())
    }

    /// Takes a datagram, or a whole message from a stream.
    pub(super) fn handle(&mut self, flow: &Flow, bytes: &[u8], now: Instant) {
        match wire::parse(bytes) {
            Ok(Message::Response(response)) if wire::validate_response(&response).is_ok() => self.response(&response, now),
            Ok(Message::Request(request)) => {
                let refusal = wire::validate(&request, &CAPABILITIES).err();
                let Ok(inbound) = Inbound::new(request, flow, bytes.len(), &self.keys) else { return };
                match refusal {
                    None => self.inbound(&inbound, now),
                    // What we do not know is refused; who sent it waits for an answer.
                    Some(refusal) if inbound.method() != Method::Ack => self.respond(&inbound, refusal.status(), now),
                    Some(_) => {}
                }
            }
            Ok(Message::Response(_)) | Err(_) => {}
        }
    }

    fn response(&mut self, response: &Response, now: Instant) {
        let status = response.status_code.code();
        let (Ok(via), Ok(sequence)) = (response.headers.top_via(), response.headers.cseq()) else { return };
        let id = self.keys.client_transaction(via.branch().unwrap_or_default(), &sequence.method);
        let Some(client) = self.clients.get_mut(&id) else { return };
        let reference = client.call;
        match &mut client.kind {
            Kind::Invite(transaction) => match status {
                ..200 => {
                    let is_first = !transaction.is_proceeding();
                    if transaction.provisional(now) == Received::New {
                        self.proceeding(reference, response, is_first, now);
                    }
                }
                200..300 => match transaction.accepted(now) {
                    Received::New => self.answered(reference, response, now),
                    Received::Repeated => self.acknowledge_again(reference, sequence.number),
                },
                _ => self.refused(id, response, now),
            },
            Kind::Bye(transaction) => {
                if transaction.response(status, now) == Received::New {
                    self.end(reference, DialEvent::Ended(DialEnd::WeHungUp(status)));
                }
            }
            Kind::Cancel(transaction) | Kind::Prack(transaction) => _ = transaction.response(status, now),
            Kind::Register(transaction) => {
                if transaction.response(status, now) == Received::New {
                    self.registered(reference, response, now);
                }
            }
            Kind::Info(transaction) => {
                if transaction.response(status, now) == Received::New {
                    self.outputs.push_back(Output::Event(reference, DialEvent::InfoAnswered { status }));
                }
            }
        }
        if let Some(client) = self.clients.get(&id) {
            self.timers.set(Timer::Client(id), Some(client.deadline()));
        }
    }

    fn proceeding(&mut self, reference: CallRef, response: &Response, is_first: bool, now: Instant) {
        let Some(call) = self.calls.get(&reference) else { return };
        if is_first && call.inviting.as_ref().is_some_and(|inviting| inviting.cancel == Cancel::Wanted) {
            self.cancel(reference, now);
        }
        let status = response.status_code.code();
        let is_news =
            reliable_number(&response.headers).is_none_or(|number| self.acknowledge_early(reference, number, response, now));
        if status > 100 && is_news {
            self.outputs.push_back(Output::Event(reference, DialEvent::Provisional(status)));
        }
    }

    /// Acknowledges a reliable provisional response (RFC 3262 §4), unless it was already, or its time has not come. An offer in it
    /// is not answered: who leaves the offer to the other side waits for the one in its 200.
    fn acknowledge_early(&mut self, reference: CallRef, number: u32, response: &Response, now: Instant) -> bool {
        let Some(call) = self.calls.get_mut(&reference).filter(|call| call.phase == Phase::Calling) else { return false };
        let Some(inviting) = call.inviting.as_mut().filter(|it| it.reliable.is_none_or(|latest| number == latest + 1)) else {
            return false;
        };
        inviting.reliable = Some(number);
        let rack = RAck { response: number, sequence: inviting.sequence, method: "INVITE".to_owned() };
        call.begin_dialog(response);
        self.request(
            reference,
            Method::PRack,
            vec![Header::Other("RAck".to_owned(), rack.to_string())],
            Vec::new(),
            Kind::Prack,
            now,
        );
        true
    }

    fn answered(&mut self, reference: CallRef, response: &Response, now: Instant) {
        let Some(call) = self.calls.get_mut(&reference) else { return };
        let Some(inviting) = call.inviting.take() else { return };
        let is_first = call.phase == Phase::Calling;
        call.dialog.refresh_target(&response.headers);
        if is_first {
            call.begin_dialog(response);
            call.phase = Phase::Talking;
        }
        let sdp = body_of_type(&response.headers, &response.body, "application/sdp").unwrap_or_default().to_vec();
        if inviting.cancel != Cancel::No {
            // The answer was faster than our CANCEL.
            self.acknowledge(reference, inviting.sequence, None);
            return self.hang_up(reference, now);
        }
        if inviting.has_offer {
            self.acknowledge(reference, inviting.sequence, None);
        } else if let Some(call) = self.calls.get_mut(&reference) {
            call.unconfirmed = Some(inviting.sequence);
        }
        let event = if is_first { DialEvent::Answered { sdp } } else { DialEvent::Reanswered { sdp } };
        self.outputs.push_back(Output::Event(reference, event));
    }

    fn acknowledge_again(&mut self, reference: CallRef, sequence: u32) {
        let Some(call) = self.calls.get(&reference) else { return };
        if let Some((_, bytes)) = call.ack.as_ref().filter(|(of, _)| *of == sequence) {
            self.outputs.push_back(Output::Send { flow: call.dialog.path(), bytes: bytes.clone() });
        }
    }

    /// An INVITE was refused: its ACK belongs to its transaction (§17.1.1.3).
    fn refused(&mut self, id: TransactionId, response: &Response, now: Instant) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        let Kind::Invite(transaction) = &mut client.kind else { return };
        let inviting = self.calls.get(&client.call).and_then(|call| call.inviting.as_ref());
        let dialog = inviting.map(|inviting| &inviting.dialog);
        let remote = response.headers.value("To").unwrap_or_default();
        let ack = || {
            dialog.map_or_else(Bytes::new, |dialog| {
                let dialog = Dialog { remote: remote.to_owned(), ..Dialog::clone(dialog) };
                dialog.request(Method::Ack, client.sequence, &client.branch, Vec::new(), Vec::new())
            })
        };
        let (received, ack) = transaction.refused(ack, now);
        let reference = client.call;
        self.outputs.extend(ack.filter(|ack| !ack.is_empty()).map(|bytes| Output::Send { flow: client.flow, bytes }));
        if received == Received::New && !self.invites_again(reference, response, now) {
            let status = response.status_code.code();
            let reason = match &response.status_code {
                rsip::StatusCode::Other(_, reason) => wire::readable(reason),
                _ => reason_phrase(status).to_owned(),
            };
            self.invite_failed(reference, status, reason, response.headers.retry_after());
        }
    }

    fn invite_failed(&mut self, reference: CallRef, status: u16, reason: String, retry_after: Option<Duration>) {
        let Some(call) = self.calls.get_mut(&reference) else { return };
        call.inviting = None;
        match call.phase {
            Phase::Calling => self.end(reference, DialEvent::Rejected { status, reason, retry_after }),
            Phase::Talking => self.outputs.push_back(Output::Event(reference, DialEvent::ReofferRefused { status })),
            Phase::Leaving => {}
        }
    }

    /// Takes a request of the other side.
    fn inbound(&mut self, inbound: &Inbound, now: Instant) {
        if inbound.method() == Method::Ack {
            return;
        }
        if let Some((request, flow)) = self.requests.get(&inbound.id) {
            self.outputs.push_back(Output::Send { flow: *flow, bytes: request.repetition() });
            return;
        }
        let reference = inbound.to_tag.as_deref().and_then(read_tag).and_then(|tag| self.dialogs.get(&tag)).copied();
        let call = reference.and_then(|reference| self.calls.get_mut(&reference)).filter(|call| call.dialog.fits(inbound));
        let Some(call) = call else { return self.respond(inbound, 481, now) };
        if inbound.sequence <= call.dialog.remote_sequence {
            return self.respond(inbound, 500, now);
        }
        call.dialog.remote_sequence = inbound.sequence;
        match inbound.method() {
            Method::Bye => {
                self.respond(inbound, 200, now);
                if let Some(reference) = reference {
                    self.end(reference, DialEvent::Ended(DialEnd::TheyHungUp));
                }
            }
            Method::Invite if call.inviting.is_some() => self.respond(inbound, 491, now),
            Method::Invite => self.respond(inbound, 488, now),
            Method::Cancel => self.respond(inbound, 481, now),
            Method::Update => {
                let is_offer = body_of_type(&inbound.request.headers, &inbound.request.body, "application/sdp").is_some();
                if !is_offer {
                    call.dialog.refresh_target(&inbound.request.headers);
                }
                self.respond(inbound, if is_offer { 488 } else { 200 }, now);
            }
            _ => self.respond(inbound, 200, now),
        }
    }

    fn respond(&mut self, inbound: &Inbound, status: u16, now: Instant) {
        let tag = self.keys.stateless_tag(&inbound.request.headers);
        let bytes = written(&inbound.response(status, tag));
        let path = inbound.reply_to;
        if !path.transport.is_reliable() && self.requests.len() < 1024 {
            let transaction = ServerRequest::answered(bytes.clone(), false, now);
            self.timers.set(Timer::Request(inbound.id), Some(transaction.deadline()));
            self.requests.insert(inbound.id, (transaction, path));
        }
        self.outputs.push_back(Output::Send { flow: path, bytes });
    }

    /// Tells the end and forgets the call.
    fn end(&mut self, reference: CallRef, event: DialEvent) {
        if let Some(call) = self.calls.remove(&reference) {
            self.dialogs.remove(&call.tag);
            self.outputs.push_back(Output::Event(reference, event));
        }
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Request(id) => _ = self.requests.remove(&id),
                Timer::Client(id) => self.client_is_due(id, now),
            }
        }
    }

    fn client_is_due(&mut self, id: TransactionId, now: Instant) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        match client.tick(now) {
            Some(Due::Send(bytes)) => self.outputs.push_back(Output::Send { flow: client.flow, bytes }),
            Some(Due::Over) => {
                self.clients.remove(&id);
                return;
            }
            Some(Due::GaveUp) => {
                if let Some(client) = self.clients.remove(&id) {
                    self.gave_up(client.call, &client.kind);
                }
                return;
            }
            None => {}
        }
        self.timers.set(Timer::Client(id), Some(client.deadline()));
    }

    fn gave_up(&mut self, reference: CallRef, kind: &Kind) {
        match kind {
            // What was cancelled and never refused is over as well (§9.1).
            Kind::Invite(_) | Kind::Cancel(_) => self.invite_failed(reference, 408, reason_phrase(408).to_owned(), None),
            Kind::Bye(_) => self.end(reference, DialEvent::Ended(DialEnd::WeHungUp(408))),
            // The other side repeats its response, or gives the call up.
            Kind::Prack(_) => {}
            Kind::Register(_) => self.register_is_over(reference, RegisterAnswer { status: 408, life: None }),
            Kind::Info(_) => self.outputs.push_back(Output::Event(reference, DialEvent::InfoAnswered { status: 408 })),
        }
    }
}

mod register;

use register::{Again, Register};
pub use register::{Login, RegisterAnswer, Registering};

impl Call {
    /// Learns the other side's part of the dialog (§12.1.2).
    fn begin_dialog(&mut self, response: &Response) {
        let headers = &response.headers;
        self.dialog.refresh_target(headers);
        self.dialog.remote = headers.value("To").unwrap_or_default().to_owned();
        self.dialog.remote_tag = headers.to_address().ok().and_then(|to| to.tag().map(ToOwned::to_owned)).unwrap_or_default();
        self.dialog.routes = headers.record_routes().unwrap_or_default();
        self.dialog.routes.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{
        event::{Command, EndReason, Event},
        uas::{self, Uas, UasConfig},
    };

    #[test]
    fn a_call_is_made_answered_and_hung_up() {
        let mut pair = Pair::new();
        pair.dial(Some("offer"));
        pair.serve(Command::Ring { offer: None });
        pair.serve(Command::Answer { sdp: b"answer".to_vec() });
        pair.order(DialCommand::Hangup);

        assert_eq!(
            pair.told,
            [
                DialEvent::Provisional(180),
                DialEvent::Answered { sdp: b"answer".to_vec() },
                DialEvent::Ended(DialEnd::WeHungUp(200))
            ]
        );
        assert_eq!(pair.kinds(), ["Incoming", "Acknowledged", "Ended(Bye)"]);
        pair.settles();
    }

    #[test]
    fn the_other_side_can_hang_up() {
        let mut pair = Pair::talking();
        pair.serve(Command::Hangup { reason: None });

        assert_eq!(pair.told.last(), Some(&DialEvent::Ended(DialEnd::TheyHungUp)));
        pair.settles();
    }

    #[test]
    fn a_late_offer_is_answered_in_the_ack() {
        let mut pair = Pair::new();
        pair.dial(None);
        pair.serve(Command::Answer { sdp: b"their offer".to_vec() });
        pair.order(DialCommand::Confirm { sdp: b"our answer".to_vec() });

        assert_eq!(pair.told, [DialEvent::Answered { sdp: b"their offer".to_vec() }]);
        let Some(Event::Acknowledged { answer }) = pair.events.last() else { panic!("{:?}", pair.events) };
        assert_eq!(answer.as_deref(), Some(&b"our answer"[..]));
    }

    #[test]
    fn a_call_that_rings_can_be_cancelled_and_one_that_does_not_is_when_it_does() {
        let mut pair = Pair::new();
        pair.dial(Some("offer"));
        pair.order(DialCommand::Hangup);
        assert!(pair.told.is_empty());
        pair.serve(Command::Ring { offer: None });

        assert!(matches!(pair.told.last(), Some(DialEvent::Rejected { status: 487, .. })), "{:?}", pair.told);
        assert_eq!(pair.kinds(), ["Incoming", "Ended(Cancelled)"]);
        pair.settles();
    }

    #[test]
    fn an_answer_that_is_faster_than_the_cancel_is_hung_up() {
        let mut pair = Pair::new();
        pair.dial(Some("offer"));
        pair.order(DialCommand::Hangup);
        pair.serve(Command::Answer { sdp: b"answer".to_vec() });

        assert_eq!(pair.told, [DialEvent::Ended(DialEnd::WeHungUp(200))]);
        assert_eq!(pair.kinds(), ["Incoming", "Acknowledged", "Ended(Bye)"]);
        pair.settles();
    }

    #[test]
    fn digits_and_hold_reach_the_other_side() {
        let mut pair = Pair::talking();
        pair.order(DialCommand::Info { content_type: "application/dtmf-relay".to_owned(), body: b"Signal=1".to_vec() });
        pair.order(DialCommand::Reinvite { offer: b"hold".to_vec() });
        pair.serve(Command::AnswerReoffer { sdp: b"held".to_vec() });
        pair.order(DialCommand::Reinvite { offer: b"video".to_vec() });
        pair.serve(Command::RefuseReoffer { status: 488 });

        assert_eq!(pair.kinds(), ["Incoming", "Acknowledged", "Info", "Reoffer", "Acknowledged", "Reoffer"]);
        assert_eq!(
            pair.told[1..],
            [
                DialEvent::InfoAnswered { status: 200 },
                DialEvent::Reanswered { sdp: b"held".to_vec() },
                DialEvent::ReofferRefused { status: 488 }
            ]
        );
    }

    #[test]
    fn a_refusal_says_why_and_when_to_try_again() {
        let mut pair = Pair::new();
        pair.dial(Some("offer"));
        pair.serve(Command::Refuse { status: 486, retry_after: Some(Duration::from_secs(9)) });

        let reason = "Busy Here".to_owned();
        assert_eq!(pair.told, [DialEvent::Rejected { status: 486, reason, retry_after: Some(Duration::from_secs(9)) }]);
        pair.settles();
    }

    #[test]
    fn calls_survive_a_network_that_loses_a_quarter_of_all_datagrams() {
        for seed in 0..40 {
            let mut pair = Pair::new();
            pair.loss = 0.25;
            pair.random = StdRng::seed_from_u64(seed);
            pair.dial(Some("offer"));
            pair.pass(Duration::from_secs(5));
            pair.serve(Command::Answer { sdp: b"answer".to_vec() });
            pair.pass(Duration::from_secs(20));
            pair.order(DialCommand::Hangup);
            pair.pass(Duration::from_secs(20));

            assert_eq!(pair.kinds(), ["Incoming", "Acknowledged", "Ended(Bye)"]);
            assert_eq!(pair.told.last(), Some(&DialEvent::Ended(DialEnd::WeHungUp(200))));
            pair.settles();
        }
    }

    #[test]
    fn nobody_there_is_a_408() {
        let mut pair = Pair::new();
        pair.loss = 1.0;
        pair.dial(Some("offer"));
        pair.pass(Duration::from_secs(32));

        assert!(matches!(pair.told.last(), Some(DialEvent::Rejected { status: 408, .. })), "{:?}", pair.told);
        pair.settles();
    }

    /// Our telephone and our server with a network between them.
    struct Pair {
        uac: Uac,
        uas: Uas,
        phone: Flow,
        server: Flow,
        now: Instant,
        told: Vec<DialEvent>,
        events: Vec<Event>,
        /// How likely a datagram is lost.
        loss: f64,
        random: StdRng,
    }

    impl Pair {
        fn new() -> Self {
            let (phone, server) = ("192.0.2.1:5060".parse().unwrap(), "192.0.2.9:5060".parse().unwrap());
            Self {
                uac: Uac::new([1; 32]),
                uas: Uas::new(UasConfig::default(), [2; 32]),
                phone: Flow::udp(phone, server),
                server: Flow::udp(server, phone),
                now: Instant::now(),
                told: Vec::new(),
                events: Vec::new(),
                loss: 0.0,
                random: StdRng::seed_from_u64(0),
            }
        }

        fn talking() -> Self {
            let mut pair = Self::new();
            pair.dial(Some("offer"));
            pair.serve(Command::Answer { sdp: b"answer".to_vec() });
            pair
        }

        fn dial(&mut self, offer: Option<&str>) {
            let mut invitation = Invitation::new(
                SipUri::parse("sip:6001@192.0.2.9").unwrap(),
                NameAddr::parse("\"Ann\" <sip:ann@192.0.2.1>").unwrap(),
                Vec::new(),
            );
            invitation.offer = offer.map(|offer| offer.as_bytes().to_vec());
            self.uac.dial(&invitation, &self.phone, self.now);
            self.carry();
        }

        fn order(&mut self, command: DialCommand) {
            self.uac.command(CallRef(1), command, self.now);
            self.carry();
        }

        fn serve(&mut self, command: Command) {
            self.uas.command(CallRef(1), command, self.now);
            self.carry();
        }

        fn is_lost(&mut self) -> bool {
            self.random.random_bool(self.loss)
        }

        /// Carries datagrams until there are none.
        fn carry(&mut self) {
            loop {
                if let Some(output) = self.uac.poll() {
                    match output {
                        Output::Send { bytes, .. } => {
                            if !self.is_lost() {
                                self.uas.handle(&self.server, &bytes, self.now);
                            }
                        }
                        Output::Event(_, event) => self.told.push(event),
                        Output::Registered(..) => unreachable!("nobody registers here"),
                    }
                } else if let Some(output) = self.uas.poll() {
                    match output {
                        uas::Output::Send { bytes, .. } => {
                            if !self.is_lost() {
                                self.uac.handle(&self.phone, &bytes, self.now);
                            }
                        }
                        uas::Output::Event(_, event) => self.events.push(event),
                        uas::Output::Request(..) => panic!("a telephone that calls asks nothing else"),
                        uas::Output::Answered(..) | uas::Output::Farewell(..) => {
                            unreachable!("this server sends no requests outside calls, and knows every address")
                        }
                    }
                } else {
                    return;
                }
            }
        }

        fn pass(&mut self, time: Duration) {
            let end = self.now + time;
            while let Some(at) =
                [self.uac.next_deadline(), self.uas.next_deadline()].into_iter().flatten().min().filter(|at| *at <= end)
            {
                self.now = at.max(self.now);
                self.uac.tick(self.now);
                self.uas.tick(self.now);
                self.carry();
            }
            self.now = end;
        }

        fn kinds(&self) -> Vec<String> {
            let kind = |event: &Event| match event {
                Event::Ended(EndReason::Bye(_)) => "Ended(Bye)".to_owned(),
                Event::Ended(EndReason::Cancelled(_)) => "Ended(Cancelled)".to_owned(),
                other => format!("{other:?}").split([' ', '(']).next().unwrap().to_owned(),
            };
            self.events.iter().map(kind).collect()
        }

        fn settles(&mut self) {
            self.pass(Duration::from_secs(200));
            assert!(self.uac.is_idle());
            assert_eq!((self.uac.clients.len(), self.uac.requests.len(), self.uac.dialogs.len()), (0, 0, 0));
            assert_eq!((self.uas.calls(), self.uas.transactions()), (0, 0));
        }
    }
}
