//! Whatever comes in, in whatever order: nothing panics, state is bounded, every call has one beginning and one end, and when
//! everybody has left nothing is remembered.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*, sample::select};

use super::{tests::message, *};
use crate::sip::{event::Referral, request::Reply};

const MAX_CALLS: usize = 3;

/// Something that happens to the server.
#[derive(Clone, Debug)]
enum Step {
    /// A request of one of a few callers, with tags and sequence numbers that often fit.
    Request {
        method: &'static str,
        call: u8,
        sequence: u32,
        has_tag: bool,
        body: &'static str,
        branch: u8,
        over_tcp: bool,
        /// Lines that concern reliable ringing, session timers and calls to be replaced.
        lines: &'static str,
    },
    /// The same with a part overwritten.
    Spoilt {
        request: Box<Step>,
        at: usize,
        with: Vec<u8>,
    },
    /// A response to the latest request of ours, or to none.
    Response(u16),
    Command(u64, Command),
    Abandon(u64),
    Respond(u64, u16),
    Pass(u64),
    Drain,
}

const LINES: &[&str] = &[
    "",
    "",
    "Require: 100rel\r\n",
    "Require: 100rel\r\nAllow: UPDATE\r\n",
    "Allow: INVITE, UPDATE\r\nSession-Expires: 90;refresher=uas\r\nSupported: timer\r\n",
    "Session-Expires: 91\r\nSupported: timer\r\n",
    "Session-Expires: 5\r\nSupported: timer\r\n",
    "Min-SE: 600\r\n",
    "Replaces: call-1;to-tag=TAG;from-tag=c\r\n",
    "Event: refer\r\nSubscription-State: active\r\n",
    "Event: refer;id=1\r\nSubscription-State: terminated\r\n",
];

fn request() -> impl Strategy<Value = Step> {
    (
        select(vec![
            "INVITE",
            "INVITE",
            "ACK",
            "ACK",
            "BYE",
            "CANCEL",
            "OPTIONS",
            "INFO",
            "UPDATE",
            "UPDATE",
            "PRACK",
            "BOGUS",
            "REGISTER",
            "SUBSCRIBE",
            "NOTIFY",
            "NOTIFY",
        ]),
        1..6_u8,
        1..6_u32,
        any::<bool>(),
        select(vec!["", "v=0", "SIP/2.0 200 OK"]),
        0..3_u8,
        proptest::bool::weighted(0.2),
        select(LINES),
    )
        .prop_map(|(method, call, sequence, has_tag, body, branch, over_tcp, lines)| Step::Request {
            method,
            call,
            sequence,
            has_tag,
            body,
            branch,
            over_tcp,
            lines,
        })
}

fn uri(text: &str) -> SipUri {
    SipUri::parse(text).unwrap()
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        Just(Command::Ring { offer: None }),
        Just(Command::Ring { offer: Some(b"v=0".to_vec()) }),
        Just(Command::Answer { sdp: b"v=0".to_vec() }),
        Just(Command::Answer { sdp: b"v=0".to_vec() }),
        (100..800_u16).prop_map(|status| Command::Refuse { status, retry_after: None }),
        Just(Command::AnswerReoffer { sdp: b"v=0".to_vec() }),
        (100..800_u16).prop_map(|status| Command::RefuseReoffer { status }),
        Just(Command::Hangup { reason: None }),
        Just(Command::Transfer(Box::new(Referral { target: uri("sip:0@192.0.2.1"), referred_by: uri("sip:6001@192.0.2.9") }))),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => request(),
        1 => (request(), 0..400_usize, vec(any::<u8>(), 0..6))
            .prop_map(|(request, at, with)| Step::Spoilt { request: Box::new(request), at, with }),
        1 => (100..700_u16).prop_map(Step::Response),
        5 => (1..8_u64, command()).prop_map(|(call, command)| Step::Command(call, command)),
        1 => (1..8_u64).prop_map(Step::Abandon),
        1 => (1..8_u64, 100..800_u16).prop_map(|(request, status)| Step::Respond(request, status)),
        2 => (0..40_000_u64).prop_map(Step::Pass),
        1 => (40_000..1_000_000_u64).prop_map(Step::Pass),
        1 => proptest::option::weighted(0.05, Just(())).prop_map(|drain| drain.map_or(Step::Pass(1), |()| Step::Drain)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_calls_begin_and_end_once_and_nothing_stays(steps in vec(step(), 1..120)) {
        let mut world = World::new();

        for step in &steps {
            world.take(step)?;
        }

        world.leave()?;
    }
}

struct World {
    uas: Uas,
    now: Instant,
    tags: BTreeMap<String, String>,
    /// The latest number of reliable ringing of a call.
    numbers: BTreeMap<String, String>,
    /// The latest request of ours.
    latest_request: Option<String>,
    begun: BTreeSet<CallRef>,
    ended: BTreeSet<CallRef>,
    asked: BTreeSet<RequestRef>,
}

impl World {
    fn new() -> Self {
        let config = UasConfig { max_calls: MAX_CALLS, ..UasConfig::default() };
        Self {
            uas: Uas::new(config, [3; 32]),
            now: Instant::now(),
            tags: BTreeMap::new(),
            numbers: BTreeMap::new(),
            latest_request: None,
            begun: BTreeSet::new(),
            ended: BTreeSet::new(),
            asked: BTreeSet::new(),
        }
    }

    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Request { over_tcp, .. } => self.receive(&self.text(step).into_bytes(), *over_tcp),
            Step::Spoilt { request, at, with } => {
                let mut bytes = self.text(request).into_bytes();
                let at = at % bytes.len();
                let end = (at + with.len()).min(bytes.len());
                bytes.splice(at..end, with.iter().copied());
                self.receive(&bytes, false);
            }
            Step::Response(status) => {
                let request = self.latest_request.clone().unwrap_or_else(|| message("BYE", "9", 1, "", ""));
                if let Ok(Message::Request(request)) = wire::parse(request.as_bytes()) {
                    let response = wire::response_to(&request.headers, (*status).into());
                    self.receive(&wire::write_response(&response), false);
                }
            }
            Step::Command(call, command) => self.uas.command(CallRef(*call), command.clone(), self.now),
            Step::Abandon(call) => self.uas.abandon(CallRef(*call), self.now),
            Step::Respond(request, status) => self.uas.respond(RequestRef(*request), Reply::status(*status), self.now),
            Step::Pass(milliseconds) => self.pass(Duration::from_millis(*milliseconds))?,
            Step::Drain => self.uas.drain(),
        }
        self.collect()?;
        prop_assert!(self.uas.calls() <= MAX_CALLS);
        prop_assert!(self.uas.transactions() <= 4 * self.uas.most_transactions());
        prop_assert!(self.uas.dialogs.len() <= self.uas.calls.len() + self.uas.farewells.len());
        prop_assert!(self.uas.timers.len() <= self.uas.calls.len() + self.uas.transactions());
        Ok(())
    }

    fn text(&self, step: &Step) -> String {
        let Step::Request { method, call, sequence, has_tag, body, branch, over_tcp, lines } = step else {
            return String::new();
        };
        let content_type = match (*body, *method) {
            ("", _) => "",
            (_, "INFO") => "application/dtmf",
            (_, "NOTIFY") => "message/sipfrag",
            _ => "application/sdp",
        };
        let call = call.to_string();
        let mut text = message(method, &call, *sequence, content_type, body);
        // ACK and CANCEL name the INVITE that they belong to by its branch.
        let of = if matches!(*method, "ACK" | "CANCEL") { "INVITE" } else { method };
        text = text.replace(&format!("z9hG4bK-{sequence}-{method}"), &format!("z9hG4bK-{call}-{sequence}-{branch}-{of}"));
        if *has_tag && let Some(tag) = self.tags.get(&call) {
            text = text.replace("To: <sip:6001@192.0.2.9>", &format!("To: <sip:6001@192.0.2.9>;tag={tag}"));
        }
        let replaced = self.tags.get("1").map_or("none", String::as_str);
        text = text.replace("Max-Forwards: 70\r\n", &lines.replace("TAG", replaced));
        if *method == "PRACK" {
            let number = self.numbers.get(&call).map_or("1", String::as_str);
            text = text.replace("Contact:", &format!("RAck: {number} 1 INVITE\r\nContact:"));
        }
        if *over_tcp { text.replace("SIP/2.0/UDP", "SIP/2.0/TCP") } else { text }
    }

    fn receive(&mut self, bytes: &[u8], over_tcp: bool) {
        let (local, remote) = ("192.0.2.9:5060".parse().unwrap(), "192.0.2.1:5060".parse().unwrap());
        let flow = if over_tcp { Flow::tcp(local, remote, ConnectionId(1)) } else { Flow::udp(local, remote) };
        self.uas.handle(&flow, bytes, self.now);
    }

    fn pass(&mut self, time: Duration) -> Result<(), TestCaseError> {
        let end = self.now + time;
        while let Some(at) = self.uas.next_deadline().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.uas.tick(self.now);
            self.collect()?;
        }
        self.now = end;
        Ok(())
    }

    fn collect(&mut self) -> Result<(), TestCaseError> {
        while let Some(output) = self.uas.poll() {
            match output {
                Output::Send { bytes, .. } => self.look_at(&bytes)?,
                Output::Event(call, Event::Incoming(_)) => prop_assert!(self.begun.insert(call)),
                Output::Event(call, Event::Ended(_)) => {
                    prop_assert!(self.begun.contains(&call));
                    prop_assert!(self.ended.insert(call));
                }
                Output::Request(reference, _) => prop_assert!(self.asked.insert(reference)),
                Output::Answered(..) => prop_assert!(false, "nobody has asked anything"),
                Output::Farewell(..) => prop_assert!(false, "every Contact is an address"),
                Output::Event(call, _) => prop_assert!(self.begun.contains(&call) && !self.ended.contains(&call)),
            }
        }
        Ok(())
    }

    /// What is sent can be read, and tells the tags that later requests use.
    fn look_at(&mut self, bytes: &[u8]) -> Result<(), TestCaseError> {
        match wire::parse(bytes) {
            Ok(Message::Request(request)) => {
                prop_assert!(matches!(
                    request.method,
                    Method::Bye | Method::Update | Method::Invite | Method::Ack | Method::Refer
                ));
                prop_assert!(request.headers.value("Authorization").is_none());
                if request.method != Method::Ack {
                    self.latest_request = Some(String::from_utf8_lossy(bytes).into_owned());
                }
            }
            Ok(Message::Response(response)) => {
                let call = response.headers.call_id().ok().and_then(|id| id.strip_prefix("call-")).map(ToOwned::to_owned);
                let tag = response.headers.to_address().ok().and_then(|to| to.tag().map(ToOwned::to_owned));
                let is_invite = response.headers.cseq().is_ok_and(|sequence| sequence.method == "INVITE");
                if let (Some(call), Some(number)) = (&call, response.headers.value("RSeq")) {
                    self.numbers.insert(call.clone(), number.to_owned());
                }
                if let (Some(call), Some(tag), true, 101..300) = (call, tag, is_invite, response.status_code.code()) {
                    self.tags.insert(call, tag);
                }
            }
            Err(error) => prop_assert!(false, "{:?}: {}", error, String::from_utf8_lossy(bytes)),
        }
        Ok(())
    }

    /// Everybody leaves; after the longest time that anything is kept, nothing is.
    fn leave(&mut self) -> Result<(), TestCaseError> {
        for call in self.begun.clone() {
            self.uas.abandon(call, self.now);
        }
        self.collect()?;
        // A refresh by INVITE that was answered provisionally waits for three minutes.
        self.pass(Duration::from_secs(400))?;
        prop_assert_eq!(&self.begun, &self.ended);
        prop_assert_eq!((self.uas.calls.len(), self.uas.dialogs.len(), self.uas.transactions()), (0, 0, 0));
        prop_assert_eq!((self.uas.merged.len(), self.uas.unacknowledged.len(), self.uas.timers.len()), (0, 0, 0));
        prop_assert!(self.uas.is_idle());
        Ok(())
    }
}
