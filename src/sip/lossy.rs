//! A thousand calls over a network that loses every fifth datagram each way, delays the others and lets them overtake each other:
//! lived through in seconds, and the same each time.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use bytes::Bytes;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    event::{CallRef, Command, EndReason, Event},
    flow::Flow,
    uac::{self, DialCommand, DialEnd, DialEvent, Invitation, Uac},
    uas::{self, Uas, UasConfig},
    wire::{NameAddr, SipUri},
};

const CALLS: u64 = 1000;
const LOSS: f64 = 0.2;
/// How long a datagram is on its way: a second one is often there before the first.
const DELAY: std::ops::Range<Duration> = Duration::from_millis(20)..Duration::from_millis(80);
/// How long after the one before a call begins.
const PAUSE: Duration = Duration::from_millis(50);

#[test]
fn of_a_thousand_calls_that_lose_a_fifth_of_their_datagrams_each_way_all_but_one_are_set_up_and_torn_down() {
    for seed in 0..3 {
        let mut network = Network::new(seed);

        network.run();

        let whole = (1..=CALLS).filter(|call| network.is_whole(CallRef(*call))).count();
        assert!(whole >= 999, "seed {seed}: {whole} calls of {CALLS}");
        let lost = f64::from(network.lost) / f64::from(network.sent);
        assert!((LOSS - 0.02..LOSS + 0.02).contains(&lost), "{lost} of all datagrams were lost");
        // Nobody remembers anything of them.
        assert!(network.uac.is_idle());
        assert_eq!((network.uas.calls(), network.uas.transactions(), network.uas.next_deadline()), (0, 0, None));
        assert_eq!(network.uac.next_deadline(), None);
    }
}

/// A telephone with a thousand lines, a server, and what is between them.
struct Network {
    uac: Uac,
    uas: Uas,
    phone: Flow,
    server: Flow,
    start: Instant,
    now: Instant,
    random: StdRng,
    /// What will happen, by its time, and at one time in order.
    coming: BTreeMap<(Instant, u64), Coming>,
    counter: u64,
    sent: u32,
    lost: u32,
    told: HashMap<CallRef, Vec<DialEvent>>,
    happened: HashMap<CallRef, Vec<Event>>,
    /// The server's name of a call, by the number that was dialled, which is the telephone's.
    dialled: HashMap<CallRef, CallRef>,
}

enum Coming {
    ToServer(Bytes),
    ToPhone(Bytes),
    Dial(u64),
    /// The telephone does something with a call.
    Order(CallRef, DialCommand),
    /// The server does.
    Serve(CallRef, Command),
}

impl Network {
    fn new(seed: u64) -> Self {
        let (phone, server) = ("192.0.2.1:5060".parse().unwrap(), "192.0.2.9:5060".parse().unwrap());
        let start = Instant::now();
        let mut network = Self {
            uac: Uac::new([1; 32]),
            uas: Uas::new(UasConfig::default(), [2; 32]),
            phone: Flow::udp(phone, server),
            server: Flow::udp(server, phone),
            start,
            now: start,
            random: StdRng::seed_from_u64(seed),
            coming: BTreeMap::new(),
            counter: 0,
            sent: 0,
            lost: 0,
            told: HashMap::new(),
            happened: HashMap::new(),
            dialled: HashMap::new(),
        };
        for call in 1..=CALLS {
            network.will(PAUSE * u32::try_from(call).unwrap(), Coming::Dial(call));
        }
        network
    }

    /// Something will happen after a while.
    fn will(&mut self, after: Duration, what: Coming) {
        self.counter += 1;
        self.coming.insert((self.now + after, self.counter), what);
    }

    fn transmit(&mut self, what: Coming) {
        self.sent += 1;
        if self.random.random_bool(LOSS) {
            self.lost += 1;
            return;
        }
        let delay = self.random.random_range(DELAY);
        self.will(delay, what);
    }

    /// Lets time pass until nothing is left to happen.
    fn run(&mut self) {
        loop {
            let coming = self.coming.first_key_value().map(|((at, _), _)| *at);
            let Some(at) = [coming, self.uac.next_deadline(), self.uas.next_deadline()].into_iter().flatten().min() else {
                return;
            };
            assert!(at < self.start + Duration::from_secs(3600), "an hour is enough for everybody");
            self.now = at.max(self.now);
            if coming.is_some_and(|coming| coming <= self.now)
                && let Some((_, what)) = self.coming.pop_first()
            {
                self.happen(what);
            }
            self.uac.tick(self.now);
            self.uas.tick(self.now);
            self.collect();
        }
    }

    fn happen(&mut self, what: Coming) {
        match what {
            Coming::ToServer(bytes) => self.uas.handle(&self.server, &bytes, self.now),
            Coming::ToPhone(bytes) => self.uac.handle(&self.phone, &bytes, self.now),
            Coming::Dial(call) => {
                let target = SipUri::parse(&format!("sip:{call}@192.0.2.9")).unwrap();
                let from = NameAddr::parse("<sip:ann@192.0.2.1>").unwrap();
                let mut invitation = Invitation::new(target, from, b"v=0 offer".to_vec());
                match call % 4 {
                    // Ringing that must be acknowledged.
                    1 => invitation = invitation.header("Require", "100rel"),
                    // An offer that is left to the server.
                    2 => invitation.offer = None,
                    _ => {}
                }
                assert_eq!(self.uac.dial(&invitation, &self.phone, self.now), CallRef(call));
            }
            Coming::Order(call, command) => self.uac.command(call, command, self.now),
            Coming::Serve(call, command) => self.uas.command(call, command, self.now),
        }
    }

    fn collect(&mut self) {
        loop {
            if let Some(output) = self.uac.poll() {
                match output {
                    uac::Output::Send { bytes, .. } => self.transmit(Coming::ToServer(bytes)),
                    uac::Output::Event(call, event) => self.telephone(call, event),
                    uac::Output::Registered(..) => panic!("this telephone registers nowhere"),
                }
            } else if let Some(output) = self.uas.poll() {
                match output {
                    uas::Output::Send { bytes, .. } => self.transmit(Coming::ToPhone(bytes)),
                    uas::Output::Event(call, event) => self.serve(call, event),
                    other => panic!("{other:?}"),
                }
            } else {
                return;
            }
        }
    }

    /// What a caller does: it confirms, puts some calls on hold, and ends its call unless the server is to.
    fn telephone(&mut self, call: CallRef, event: DialEvent) {
        let leaves = !is_ended_by_server(call);
        match event {
            DialEvent::Answered { .. } => {
                self.will(Duration::ZERO, Coming::Order(call, DialCommand::Confirm { sdp: b"v=0 answer".to_vec() }));
                if is_held(call) {
                    self.will(Duration::from_secs(8), Coming::Order(call, DialCommand::Reinvite { offer: b"v=0 hold".to_vec() }));
                }
                if leaves {
                    self.will(Duration::from_secs(40), Coming::Order(call, DialCommand::Hangup));
                }
            }
            DialEvent::Provisional(_)
            | DialEvent::Rejected { .. }
            | DialEvent::Reanswered { .. }
            | DialEvent::ReofferRefused { .. }
            | DialEvent::InfoAnswered { .. }
            | DialEvent::Ended(_) => {}
        }
        self.told.entry(call).or_default().push(event);
    }

    /// What a server does: it lets every call ring for a second, takes what it is offered, and ends every second call.
    fn serve(&mut self, call: CallRef, event: Event) {
        match &event {
            Event::Incoming(incoming) => {
                let number = incoming.request_uri.user_text().unwrap().parse().unwrap();
                self.dialled.insert(CallRef(number), call);
                self.will(Duration::ZERO, Coming::Serve(call, Command::Ring { offer: None }));
                self.will(Duration::from_secs(1), Coming::Serve(call, Command::Answer { sdp: b"v=0 ours".to_vec() }));
                if is_ended_by_server(CallRef(number)) {
                    self.will(Duration::from_secs(41), Coming::Serve(call, Command::Hangup { reason: None }));
                }
            }
            Event::Reoffer { .. } => {
                self.will(Duration::ZERO, Coming::Serve(call, Command::AnswerReoffer { sdp: b"v=0 ours".to_vec() }));
            }
            _ => {}
        }
        self.happened.entry(call).or_default().push(event);
    }

    /// Whether both sides saw a call begin, be answered, and end as it was meant to.
    fn is_whole(&self, call: CallRef) -> bool {
        let told = &self.told[&call];
        let happened = self.dialled.get(&call).map_or(&[][..], |server| &self.happened[server]);
        let ended = match (told.last(), happened.last()) {
            (Some(DialEvent::Ended(DialEnd::WeHungUp(200))), Some(Event::Ended(EndReason::Bye(_)))) => !is_ended_by_server(call),
            (Some(DialEvent::Ended(DialEnd::TheyHungUp)), Some(Event::Ended(EndReason::HungUp))) => is_ended_by_server(call),
            _ => false,
        };
        let is_reanswered = !is_held(call) || told.iter().any(|event| matches!(event, DialEvent::Reanswered { .. }));
        let is_confirmed = happened.iter().any(|event| matches!(event, Event::Acknowledged { .. }));
        ended && is_reanswered && is_confirmed
    }
}

fn is_ended_by_server(call: CallRef) -> bool {
    call.0.is_multiple_of(2)
}

/// Every third, but where the server's own offer may still wait for its answer.
fn is_held(call: CallRef) -> bool {
    call.0.is_multiple_of(3) && call.0 % 4 != 2
}
