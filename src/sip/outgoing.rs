//! Requests of ours that belong to no call: NOTIFY, OPTIONS. Each is one client transaction (RFC 3261 §17.1.2), and has one
//! [`Outcome`].
//!
//! What names a request (Call-ID, tags, CSeq) is given by whoever sends it, for it may have to outlive this process: a
//! subscription does. Only the branch, our address in Via and Contact, and the repetitions are made here.

use std::{
    collections::HashMap,
    fmt,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rsip::{Header, Method, Response, headers::UntypedHeader as _};

use super::{
    dialog::Dialog,
    flow::Flow,
    resolve::{Place, Target},
    room::Roomy as _,
    transaction::{ClientRequest, Due, Received, TransactionId},
    wire::{HeaderViews as _, NameAddr, Scheme, SipUri},
};

/// Requests at once, with those that were answered in the last five seconds. More are not sent.
pub(super) const MOST_OUTGOING: usize = 8192;

/// One request of ours, among all since the server started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OutgoingRef(pub u64);

/// A request to be sent. It goes to the topmost route, else to the target.
#[derive(Clone)]
pub struct OutgoingRequest {
    /// Neither INVITE, ACK nor CANCEL.
    pub method: Method,
    /// The Request-URI.
    pub target: SipUri,
    /// Proxies that want to see it, nearest first.
    pub routes: Vec<NameAddr>,
    /// From, with our tag.
    pub from: String,
    /// To, with the peer's tag inside a dialog.
    pub to: String,
    /// Call-ID.
    pub call_id: String,
    /// The number of CSeq.
    pub sequence: u32,
    /// The path that the peer was met on, if it was. Its connection is used while it is there, and its address where the
    /// target is a name.
    pub path: Option<Flow>,
    /// Whether the peer itself is at the other end of `path`, and reachable there, whatever its Contact says (NAT).
    pub is_direct: bool,
    /// Headers beside those that every request has.
    pub headers: Vec<Header>,
    /// The body; its type is among the headers.
    pub body: Vec<u8>,
}

/// Logs must not carry numbers.
impl fmt::Debug for OutgoingRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingRequest")
            .field("method", &self.method)
            .field("call_id", &self.call_id)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A final response came.
    Answered {
        /// Its status, 200 or above.
        status: u16,
        /// How long the peer wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// No final response came in 32 seconds, or sooner where another place was to be tried: RFC 3261 §8.1.3.1 takes it for a 408.
    TimedOut,
    /// The connection could not be made or broke off: RFC 3261 §8.1.3.1 takes it for a 503.
    Unreachable,
    /// It was not sent: there is no way to the target, there are too many requests already, or the server stops.
    NotSent,
}

impl OutgoingRequest {
    /// The latest request of a call's dialog.
    pub(super) fn of(dialog: &Dialog, method: Method, headers: Vec<Header>) -> Self {
        Self {
            method,
            target: dialog.target.clone(),
            routes: dialog.routes.clone(),
            from: dialog.local.clone(),
            to: dialog.remote.clone(),
            call_id: dialog.call_id.clone(),
            sequence: dialog.local_sequence,
            path: Some(dialog.flow),
            is_direct: dialog.is_direct,
            headers,
            body: Vec::new(),
        }
    }

    /// As the request of a dialog, which knows the path and how to write it. None without any path.
    pub(super) fn dialog(&self) -> Option<Dialog> {
        Some(Dialog {
            call_id: self.call_id.clone(),
            local: self.from.clone(),
            remote: self.to.clone(),
            remote_tag: String::new(),
            target: self.target.clone(),
            routes: self.routes.clone(),
            local_sequence: self.sequence,
            remote_sequence: 0,
            flow: self.path?,
            is_direct: self.is_direct,
            is_sips: self.target.scheme == Scheme::Sips,
        })
    }

    /// Writes it.
    pub(super) fn write(&self, dialog: &Dialog, branch: &str, user: &str, agent: &str) -> Bytes {
        let mut more = vec![Header::UserAgent(rsip::headers::UserAgent::new(agent))];
        // Who is told goodbye needs not know where we are (RFC 3261 §20, table 2).
        if self.method != Method::Bye {
            more.push(dialog.contact(user, &dialog.path()));
        }
        more.extend(self.headers.iter().cloned());
        dialog.request(self.method, self.sequence, branch, more, self.body.clone())
    }

    /// Where it goes first, if nothing is known of a path: the next hop's URI.
    pub(super) fn next_hop(&self) -> &SipUri {
        self.routes.first().map_or(&self.target, |route| &route.uri)
    }
}

/// How long a place may say nothing before the next one is tried, if there is one: three repetitions over UDP. RFC 3263 §4.3 would
/// wait for the end of the transaction, which is longer than anybody wants to wait.
pub(super) const FAIL_OVER: Duration = Duration::from_secs(4);

impl OutgoingRequest {
    /// What must be looked up before it can be sent (RFC 3263): nothing if the next hop is an address, or the peer is at the other end
    /// of the path.
    pub(super) fn lookup(&self) -> Option<Target> {
        let is_met = self.path.is_some_and(|path| self.is_direct || path.transport.is_websocket());
        let hop = self.next_hop();
        if is_met || hop.socket_address().is_some() { None } else { Target::of(hop) }
    }

    /// The paths to try, the best first, when these places were found for the next hop.
    ///
    /// A connection by which the next hop has come to us is used again. A place that the peer was met at goes before the others: it knows
    /// the call. When nobody knows a place, whoever sent the request knows the way.
    pub(super) fn ways(&self, mut places: Vec<Place>) -> Vec<Option<Flow>> {
        let Some(path) = self.path else {
            return places.into_iter().map(|place| Some(place.flow(place.address))).collect();
        };
        let is_there = |place: &Place| place.transport == path.transport && place.address == path.remote;
        places.sort_by_key(|place| !is_there(place));
        let transport = Some(self.next_hop()).filter(|hop| hop.params.has("transport")).map_or(path.transport, SipUri::transport);
        let reusable = path.connection.is_some() && transport == path.transport && !self.routes.is_empty();
        let mut ways: Vec<_> = reusable.then_some(Some(path)).into_iter().collect();
        ways.extend(places.into_iter().map(|place| Some(place.flow(path.local))));
        if ways.is_empty() { vec![Some(path)] } else { ways }
    }
}

impl Outcome {
    /// Whether another place may do better (RFC 3263 §4.3).
    pub(super) fn wants_another_place(self) -> bool {
        match self {
            Self::Answered { status, .. } => status == 503,
            Self::TimedOut | Self::Unreachable | Self::NotSent => true,
        }
    }
}

impl Place {
    fn flow(self, local: SocketAddr) -> Flow {
        Flow { transport: self.transport, ..Flow::udp(local, self.address) }
    }
}

/// The requests that are on their way.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    sent: HashMap<TransactionId, Sent>,
    latest: u64,
}

#[derive(Debug)]
struct Sent {
    transaction: ClientRequest,
    flow: Flow,
    /// None once its outcome was told.
    awaited: Option<OutgoingRef>,
}

/// What is to be done for a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is to be sent once more.
    Repeat(Flow, Bytes),
    /// It has come to this.
    Tell(OutgoingRef, Outcome),
}

impl Outgoing {
    /// Remembers a request, which is sent for the first time now, and is given up after `patience`, or 32 s if that is sooner. None when
    /// there are too many.
    pub(super) fn start(
        &mut self,
        id: TransactionId,
        flow: Flow,
        bytes: Bytes,
        patience: Duration,
        now: Instant,
    ) -> Option<OutgoingRef> {
        if self.sent.len() >= MOST_OUTGOING {
            return None;
        }
        self.latest += 1;
        let reference = OutgoingRef(self.latest);
        let transaction = ClientRequest::new(bytes, flow.transport.is_reliable(), now).given_up_at(now + patience);
        self.sent.insert(id, Sent { transaction, flow, awaited: Some(reference) });
        Some(reference)
    }

    /// Takes a response to one of them.
    pub(super) fn response(&mut self, id: TransactionId, response: &Response, now: Instant) -> Option<Step> {
        let sent = self.sent.get_mut(&id)?;
        let status = response.status_code.code();
        if sent.transaction.response(status, now) != Received::New {
            return None;
        }
        let retry_after = response.headers.retry_after();
        Some(Step::Tell(sent.awaited.take()?, Outcome::Answered { status, retry_after }))
    }

    /// When [`Self::tick`] wants to be called for a request.
    pub(super) fn deadline(&self, id: TransactionId) -> Option<Instant> {
        self.sent.get(&id).map(|sent| sent.transaction.deadline())
    }

    /// Does what is due for a request.
    pub(super) fn tick(&mut self, id: TransactionId, now: Instant) -> Option<Step> {
        let sent = self.sent.get_mut(&id)?;
        match sent.transaction.tick(now)? {
            Due::Send(bytes) => Some(Step::Repeat(sent.flow, bytes)),
            Due::GaveUp | Due::Over => {
                let reference = self.sent.remove(&id)?.awaited?;
                Some(Step::Tell(reference, Outcome::TimedOut))
            }
        }
    }

    /// Ends the requests that went by this connection, or one to this peer, which is no more.
    pub(super) fn lost(&mut self, lost: &Flow) -> Vec<(TransactionId, Step)> {
        let on_it = |flow: &Flow| match (flow.connection, lost.connection) {
            (Some(used), Some(lost)) => used == lost,
            _ => flow.transport == lost.transport && flow.remote == lost.remote,
        };
        let ids: Vec<TransactionId> = self.sent.iter().filter(|(_, sent)| on_it(&sent.flow)).map(|(id, _)| *id).collect();
        let mut ended = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(reference) = self.sent.remove(&id).and_then(|sent| sent.awaited) {
                ended.push((id, Step::Tell(reference, Outcome::Unreachable)));
            }
        }
        ended
    }

    /// How many are remembered.
    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    /// Gives back the room that a flood has left.
    pub(super) fn give_room_back(&mut self) {
        self.sent.give_room_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{
        flow::{ConnectionId, Transport},
        uas::{Output, Uas, UasConfig},
    };

    const PEER: &str = "198.51.100.7:5070";

    #[test]
    fn a_request_has_all_that_a_request_must_have() {
        let mut uas = uas();

        uas.send(&request("sip:6001@198.51.100.7:5070"), Instant::now()).unwrap();

        let (flow, text) = sent(&mut uas);
        assert_eq!(flow.remote, PEER.parse().unwrap());
        for line in [
            "NOTIFY sip:6001@198.51.100.7:5070 SIP/2.0",
            "Max-Forwards: 70",
            "From: <sip:6001@vm.example>;tag=ours",
            "To: <sip:6001@198.51.100.7>;tag=theirs",
            "Call-ID: c1",
            "CSeq: 7 NOTIFY",
            "Contact: <sip:voicemail@192.0.2.9:5060>",
            "Event: message-summary",
            "Content-Length: 2",
        ] {
            assert!(text.split("\r\n").any(|found| found == line), "{line} is not in {text}");
        }
        assert!(text.contains("Via: SIP/2.0/UDP 192.0.2.9:5060;rport;branch=z9hG4bK"), "{text}");
    }

    #[test]
    fn the_first_final_response_is_the_outcome() {
        let mut uas = uas();
        let now = Instant::now();
        let reference = uas.send(&request("sip:6001@198.51.100.7:5070"), now).unwrap();
        let (flow, text) = sent(&mut uas);

        uas.handle(&flow, &answer(&text, "100 Trying"), now);
        assert!(uas.poll().is_none());
        uas.handle(&flow, &answer(&text, "503 Busy\r\nRetry-After: 17"), now);
        uas.handle(&flow, &answer(&text, "200 OK"), now);

        let outcome = Outcome::Answered { status: 503, retry_after: Some(Duration::from_secs(17)) };
        assert!(matches!(uas.poll(), Some(Output::Answered(told, o)) if told == reference && o == outcome));
        assert!(uas.poll().is_none());
    }

    #[test]
    fn a_challenge_is_an_outcome_and_never_answered() {
        for (status, line) in [(401, "401 Unauthorized\r\nWWW-Authenticate"), (407, "407 No\r\nProxy-Authenticate")] {
            let mut uas = uas();
            let now = Instant::now();
            uas.send(&request("sip:6001@198.51.100.7:5070"), now).unwrap();
            let (flow, text) = sent(&mut uas);

            uas.handle(&flow, &answer(&text, &format!("{line}: Digest realm=\"r\", nonce=\"n\"")), now);

            let is_told = |outcome| matches!(outcome, Outcome::Answered { status: told, .. } if told == status);
            assert!(matches!(uas.poll(), Some(Output::Answered(_, outcome)) if is_told(outcome)));
            uas.tick(now + Duration::from_secs(60));
            assert!(uas.poll().is_none());
            assert_eq!(uas.transactions(), 0);
        }
    }

    #[test]
    fn a_request_is_repeated_and_given_up_after_32_seconds() {
        let mut uas = uas();
        let start = Instant::now();
        uas.send(&request("sip:6001@198.51.100.7:5070"), start).unwrap();
        sent(&mut uas);

        let mut copies = 0;
        let outcome = loop {
            let at = uas.next_deadline().expect("a request that waits has a deadline");
            uas.tick(at);
            match uas.poll() {
                Some(Output::Send { .. }) => copies += 1,
                Some(Output::Answered(_, outcome)) => break (outcome, at - start),
                _ => {}
            }
        };

        assert_eq!((copies, outcome), (10, (Outcome::TimedOut, Duration::from_secs(32))));
        assert_eq!((uas.transactions(), uas.next_deadline()), (0, None));
    }

    #[test]
    fn a_connection_that_breaks_off_ends_the_requests_on_it_only() {
        let mut uas = uas();
        let now = Instant::now();
        let mut by_tcp = request("sip:6001@198.51.100.7:5070;transport=tcp");
        by_tcp.is_direct = false;
        let lost = uas.send(&by_tcp, now).unwrap();
        let (flow, _) = sent(&mut uas);
        uas.send(&request("sip:6002@198.51.100.7:5070"), now).unwrap();
        sent(&mut uas);

        uas.connection_lost(&flow);

        assert!(matches!(uas.poll(), Some(Output::Answered(told, Outcome::Unreachable)) if told == lost));
        assert!(uas.poll().is_none());
        assert_eq!(uas.transactions(), 1);
    }

    #[test]
    fn there_is_a_limit_to_the_requests_at_once() {
        let mut uas = uas();
        let now = Instant::now();
        let request = request("sip:6001@198.51.100.7:5070");

        let accepted = (0..MOST_OUTGOING + 10).filter(|_| uas.send(&request, now).is_some()).count();

        assert_eq!(accepted, MOST_OUTGOING);
    }

    #[test]
    fn a_request_to_a_name_without_a_path_is_not_sent() {
        let unknown = OutgoingRequest { path: None, ..request("sip:proxy.example") };

        assert_eq!(uas().send(&unknown, Instant::now()), None);
    }

    #[test]
    fn a_name_is_looked_up_unless_the_peer_is_at_hand() {
        let path = request("sip:a@h").path.unwrap();
        let met = |path: Option<Flow>, is_direct, target| {
            let request = OutgoingRequest { path, is_direct, ..request(target) };
            request.lookup().is_some()
        };

        assert!(met(None, false, "sip:proxy.example"));
        assert!(met(Some(path), false, "sip:a@pc.example"));
        assert!(!met(Some(path), true, "sip:a@pc.example"));
        assert!(!met(Some(path), false, "sip:a@192.0.2.77"));
        assert!(!met(Some(Flow { transport: Transport::Wss, ..path }), false, "sip:a@x.invalid"));
    }

    #[test]
    fn a_connection_and_a_place_that_know_the_call_are_tried_first_and_the_path_last() {
        let place = |transport, address: &str| Place { transport, address: address.parse().unwrap() };
        let places = [place(Transport::Udp, "192.0.2.1:5060"), place(Transport::Udp, PEER)];
        let remotes = |request: &OutgoingRequest, places: &[Place]| -> Vec<String> {
            request.ways(places.to_vec()).into_iter().flatten().map(|way| format!("{}:{}", way.transport, way.remote)).collect()
        };
        let mut routed = OutgoingRequest { is_direct: false, ..request("sip:a@pc.example") };
        routed.routes = vec![NameAddr::parse("<sip:proxy.example;lr>").unwrap()];

        assert_eq!(remotes(&routed, &places), [format!("udp:{PEER}"), "udp:192.0.2.1:5060".to_owned()]);
        assert_eq!(remotes(&routed, &[]), [format!("udp:{PEER}")]);
        routed.path = routed.path.map(|path| Flow { transport: Transport::Tcp, connection: Some(ConnectionId(1)), ..path });
        assert_eq!(remotes(&routed, &places[..1]), [format!("tcp:{PEER}"), "udp:192.0.2.1:5060".to_owned()]);
        routed.path = None;
        assert_eq!(remotes(&routed, &[]), Vec::<String>::new());
    }

    #[test]
    fn numbers_do_not_reach_debug_output() {
        assert!(!format!("{:?}", request("sip:6001@198.51.100.7")).contains("6001"));
    }

    fn uas() -> Uas {
        Uas::new(UasConfig::default(), [7; 32])
    }

    fn request(target: &str) -> OutgoingRequest {
        OutgoingRequest {
            method: Method::Notify,
            target: SipUri::parse(target).unwrap(),
            routes: Vec::new(),
            from: "<sip:6001@vm.example>;tag=ours".to_owned(),
            to: "<sip:6001@198.51.100.7>;tag=theirs".to_owned(),
            call_id: "c1".to_owned(),
            sequence: 7,
            path: Some(Flow::udp("192.0.2.9:5060".parse().unwrap(), PEER.parse().unwrap())),
            is_direct: true,
            headers: vec![Header::Event(rsip::headers::Event::new("message-summary"))],
            body: b"x\n".to_vec(),
        }
    }

    fn sent(uas: &mut Uas) -> (Flow, String) {
        match uas.poll() {
            Some(Output::Send { flow, bytes, .. }) => (flow, String::from_utf8(bytes.to_vec()).unwrap()),
            other => panic!("{other:?}"),
        }
    }

    /// A response to a request, with more headers after the status if need be.
    fn answer(request: &str, status: &str) -> Vec<u8> {
        let echoed = |line: &&str| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name));
        let lines: Vec<&str> = request.split("\r\n").filter(echoed).collect();
        format!("SIP/2.0 {status}\r\n{}\r\nContent-Length: 0\r\n\r\n", lines.join("\r\n")).into_bytes()
    }
}
