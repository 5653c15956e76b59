//! Where a request for a host name goes (RFC 3263): which questions to ask the DNS, and in which order to try what it answers.
//!
//! [`Search`] asks and is answered; who really asks is [`super::resolver`]. Services of NAPTR come before those that are guessed,
//! lower priorities before higher ones, heavier servers more often before lighter ones.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

use super::{
    flow::Transport,
    wire::{Host, Scheme, SipUri},
};

/// So many places are tried at most; a name with more has told enough.
pub const MOST_PLACES: usize = 8;
/// So many questions are asked at most: answers can lead to more of them without end.
const MOST_QUESTIONS: usize = 24;

/// What a URI says about the next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    host: Host,
    port: Option<u16>,
    /// When the URI says it.
    transport: Option<Transport>,
    /// Whether only TLS will do.
    is_sips: bool,
}

impl Target {
    /// Reads a URI. None for one without a host.
    #[must_use]
    pub fn of(uri: &SipUri) -> Option<Self> {
        let is_sips = uri.scheme == Scheme::Sips;
        // `maddr` is the host to be asked instead (RFC 3263 §4).
        let host = uri.params.get("maddr").and_then(|maddr| Host::parse(maddr).ok()).or_else(|| uri.host.clone())?;
        let says_transport = uri.params.has("transport") && !(is_sips && uri.transport() == Transport::Tls);
        Some(Self { host, port: uri.port, transport: says_transport.then(|| uri.transport()), is_sips })
    }

    /// What it is over when neither the URI nor the DNS says anything.
    fn usual_transport(&self) -> Transport {
        self.transport.unwrap_or(if self.is_sips { Transport::Tls } else { Transport::Udp })
    }

    /// The transports that may be asked for, best first.
    fn transports(&self) -> Vec<Transport> {
        match self.transport {
            Some(transport) => vec![transport],
            None if self.is_sips => vec![Transport::Tls],
            None => vec![Transport::Udp, Transport::Tcp, Transport::Tls],
        }
    }
}

/// Where a request may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// By this transport.
    pub transport: Transport,
    /// To this address.
    pub address: SocketAddr,
}

/// Something to ask the DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Which services the domain has.
    Naptr(String),
    /// Which servers there are under a name like `_sip._udp.example.com`.
    Srv(String),
    /// Which addresses a host has, of either family.
    Addresses(String),
}

/// What the DNS knows. Nothing at all is an empty answer, whatever the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The services.
    Naptr(Vec<Naptr>),
    /// The servers.
    Srv(Vec<Srv>),
    /// The addresses.
    Addresses(Vec<IpAddr>),
}

/// A NAPTR record (RFC 3403) as far as SIP uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naptr {
    /// Lower ones are used first.
    pub order: u16,
    /// Among equal ones, lower ones are preferred.
    pub preference: u16,
    /// `s` when the replacement is to be asked for SRV.
    pub flags: String,
    /// Like `SIP+D2U`.
    pub services: String,
    /// Where to go on.
    pub replacement: String,
}

/// An SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Srv {
    /// Lower ones are tried first.
    pub priority: u16,
    /// How often it comes first among equal ones.
    pub weight: u16,
    /// The port.
    pub port: u16,
    /// The host; the root when the service is not offered.
    pub target: String,
}

/// The search for the places of one target.
#[derive(Debug)]
pub struct Search {
    target: Target,
    steps: VecDeque<Step>,
    /// Asked when no service was found at all.
    otherwise: Option<Step>,
    asked: usize,
    found: Vec<Place>,
}

/// A question, and what its answer is for.
#[derive(Clone, Debug)]
enum Step {
    Naptr(String),
    Srv(Transport, String),
    Addresses(Transport, String, u16),
}

impl Search {
    /// Begins a search (RFC 3263 §4.1, §4.2). What has an address needs no question.
    #[must_use]
    pub fn new(target: Target) -> Self {
        let transport = target.usual_transport();
        let port = target.port.unwrap_or(transport.default_port());
        let mut search = Self { steps: VecDeque::new(), otherwise: None, asked: 0, found: Vec::new(), target };
        match &search.target.host {
            Host::Ip(address) => search.found.push(Place { transport, address: SocketAddr::new(*address, port) }),
            Host::Name(name) => {
                let addresses = Step::Addresses(transport, name.clone(), port);
                match (search.target.port, search.target.transport) {
                    (Some(_), _) => search.steps.push_back(addresses),
                    (None, Some(transport)) => {
                        search.steps.extend(service(transport, name));
                        search.otherwise = Some(addresses);
                    }
                    (None, None) => {
                        search.steps.push_back(Step::Naptr(name.clone()));
                        search.otherwise = Some(addresses);
                    }
                }
            }
        }
        search
    }

    /// What is to be asked next; none when all is known.
    #[must_use]
    pub fn question(&mut self) -> Option<Question> {
        if self.steps.is_empty() {
            self.steps.extend(self.otherwise.take());
        }
        if self.asked >= MOST_QUESTIONS || self.found.len() >= MOST_PLACES {
            return None;
        }
        self.steps.front().map(|step| match step {
            Step::Naptr(name) => Question::Naptr(name.clone()),
            Step::Srv(_, name) => Question::Srv(name.clone()),
            Step::Addresses(_, name, _) => Question::Addresses(name.clone()),
        })
    }

    /// Takes the answer to the latest question. `random` gives a number from zero up to and including its argument.
    pub fn answer(&mut self, answer: Answer, random: impl FnMut(u32) -> u32) {
        self.asked += 1;
        match (self.steps.pop_front(), answer) {
            (Some(Step::Naptr(name)), Answer::Naptr(records)) => {
                self.steps = self.services(records);
                if self.steps.is_empty() {
                    self.steps = self.target.transports().into_iter().filter_map(|transport| service(transport, &name)).collect();
                }
            }
            (Some(Step::Srv(transport, _)), Answer::Srv(records)) if !records.is_empty() => {
                // There is a service, or it is said that there is none: nothing else is guessed.
                self.otherwise = None;
                let servers = in_order(records, random).into_iter().filter(|server| !matches!(server.target.as_str(), "" | "."));
                let steps: Vec<Step> = servers.map(|server| Step::Addresses(transport, server.target, server.port)).collect();
                for step in steps.into_iter().rev() {
                    self.steps.push_front(step);
                }
            }
            (Some(Step::Addresses(transport, _, port)), Answer::Addresses(addresses)) => {
                for address in addresses {
                    let place = Place { transport, address: SocketAddr::new(address, port) };
                    if self.found.len() < MOST_PLACES && !self.found.contains(&place) {
                        self.found.push(place);
                    }
                }
            }
            // Nothing there, or no answer to this question.
            (Some(_) | None, Answer::Naptr(_) | Answer::Srv(_) | Answer::Addresses(_)) => {}
        }
    }

    /// The places, in the order in which they are to be tried.
    #[must_use]
    pub fn places(self) -> Vec<Place> {
        self.found
    }

    /// The services that we can use, in order.
    fn services(&self, mut records: Vec<Naptr>) -> VecDeque<Step> {
        records.sort_by_key(|record| (record.order, record.preference));
        let allowed = self.target.transports();
        let usable = records.into_iter().filter(|record| record.flags.eq_ignore_ascii_case("s")).filter_map(|record| {
            let transport = match record.services.to_ascii_uppercase().as_str() {
                "SIP+D2U" => Transport::Udp,
                "SIP+D2T" => Transport::Tcp,
                "SIPS+D2T" => Transport::Tls,
                _ => return None,
            };
            allowed.contains(&transport).then_some(Step::Srv(transport, record.replacement))
        });
        usable.take(MOST_PLACES).collect()
    }
}

/// The SRV question for a transport. None for WebSocket, whose servers are only found in pages (RFC 7118 §5.2.1).
fn service(transport: Transport, domain: &str) -> Option<Step> {
    let prefix = match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
        Transport::Ws | Transport::Wss => return None,
    };
    Some(Step::Srv(transport, format!("{prefix}.{domain}")))
}

/// Servers by priority, and among equals at random by weight (RFC 2782).
fn in_order(mut records: Vec<Srv>, mut random: impl FnMut(u32) -> u32) -> Vec<Srv> {
    // Those without weight come first, so that they have a small chance of being chosen first.
    records.sort_by_key(|record| (record.priority, record.weight != 0));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(first) = records.first() {
        let equals = records.iter().take_while(|record| record.priority == first.priority).count();
        let sum = records[..equals].iter().map(|record| u32::from(record.weight)).sum();
        let mut left = random(sum).min(sum);
        let chosen = records[..equals].iter().position(|record| match left.checked_sub(u32::from(record.weight)) {
            // A weight that is reached exactly is chosen as well.
            Some(0) | None => true,
            Some(rest) => {
                left = rest;
                false
            }
        });
        ordered.push(records.remove(chosen.unwrap_or(0)));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_address_needs_no_question() {
        assert_eq!(search("sip:a@192.0.2.1", &[]), (vec![], vec!["udp:192.0.2.1:5060".to_owned()]));
        assert_eq!(search("sips:a@[2001:db8::1]", &[]), (vec![], vec!["tls:[2001:db8::1]:5061".to_owned()]));
        assert_eq!(search("sip:a@192.0.2.1:5070;transport=tcp", &[]), (vec![], vec!["tcp:192.0.2.1:5070".to_owned()]));
        assert_eq!(search("sip:a@b.example;maddr=192.0.2.7", &[]), (vec![], vec!["udp:192.0.2.7:5060".to_owned()]));
    }

    #[test]
    fn a_port_leaves_only_the_address_to_be_asked() {
        let (asked, places) = search("sip:a@b.example:5070;transport=tls", &[("A b.example", "192.0.2.1 2001:db8::1")]);

        assert_eq!(asked, ["A b.example"]);
        assert_eq!(places, ["tls:192.0.2.1:5070", "tls:[2001:db8::1]:5070"]);
    }

    #[test]
    fn the_example_of_rfc_3263_is_followed() {
        let (asked, places) = search(
            "sip:user@example.com",
            &[
                (
                    "NAPTR example.com",
                    "100 50 s SIP+D2T _sip._tcp.example.com|90 50 s SIPS+D2T _sips._tcp.example.com|110 50 s SIP+D2U _sip._udp.example.com",
                ),
                ("SRV _sips._tcp.example.com", "0 1 5061 server1.example.com"),
                ("SRV _sip._tcp.example.com", "0 1 5060 server1.example.com|1 1 5060 server2.example.com"),
                ("A server1.example.com", "192.0.2.1"),
                ("A server2.example.com", "192.0.2.2"),
            ],
        );

        assert_eq!(asked[..2], ["NAPTR example.com", "SRV _sips._tcp.example.com"]);
        assert_eq!(places, ["tls:192.0.2.1:5061", "tcp:192.0.2.1:5060", "tcp:192.0.2.2:5060"]);
    }

    #[test]
    fn a_sips_uri_goes_by_tls_whatever_else_there_is() {
        let naptr = "10 1 s SIP+D2U _sip._udp.b.example|20 1 s SIPS+D2T _sips._tcp.b.example|5 1 u E2U+sip x";
        let records =
            [("NAPTR b.example", naptr), ("SRV _sips._tcp.b.example", "0 0 5071 c.example"), ("A c.example", "192.0.2.3")];

        assert_eq!(search("sips:a@b.example", &records).1, ["tls:192.0.2.3:5071"]);
        assert_eq!(search("sips:a@b.example", &[("A b.example", "192.0.2.1")]).1, ["tls:192.0.2.1:5061"]);
    }

    #[test]
    fn without_naptr_services_are_guessed_and_without_services_the_host_itself_is_asked() {
        let (asked, places) =
            search("sip:a@b.example", &[("SRV _sip._tcp.b.example", "0 0 5080 c.example"), ("A c.example", "192.0.2.3")]);
        assert_eq!(asked[..3], ["NAPTR b.example", "SRV _sip._udp.b.example", "SRV _sip._tcp.b.example"]);
        assert_eq!(places, ["tcp:192.0.2.3:5080"]);

        let (asked, places) = search("sip:a@b.example;transport=tcp", &[("A b.example", "192.0.2.1")]);
        assert_eq!(asked, ["SRV _sip._tcp.b.example", "A b.example"]);
        assert_eq!(places, ["tcp:192.0.2.1:5060"]);
    }

    #[test]
    fn a_service_that_is_not_offered_is_not_guessed_at() {
        let records = [("SRV _sip._udp.b.example", "0 0 0 ."), ("A b.example", "192.0.2.1")];

        assert_eq!(search("sip:a@b.example", &records).1, Vec::<String>::new());
    }

    #[test]
    fn heavier_servers_come_first_more_often_and_every_one_gets_its_turn() {
        let servers =
            |weights: [u16; 3]| weights.map(|weight| Srv { priority: 1, weight, port: 1, target: weight.to_string() }).to_vec();
        let first = |roll: u32| in_order(servers([0, 10, 30]), |_| roll).remove(0).weight;

        assert_eq!([first(0), first(1), first(10), first(11), first(40)], [0, 10, 10, 30, 30]);
        let of_other_priority = Srv { priority: 0, weight: 0, port: 1, target: "first".to_owned() };
        let all = in_order([servers([5, 5, 5]), vec![of_other_priority]].concat(), |most| most);
        assert_eq!((all.len(), all[0].target.as_str()), (4, "first"));
    }

    proptest! {
        #[test]
        fn no_answers_make_it_ask_without_end(
            uri in prop::sample::select(vec!["sip:b.example", "sips:b.example", "sip:b.example;transport=tcp", "sip:b.example:1"]),
            servers in prop::collection::vec((any::<u16>(), any::<u16>(), 0..9_u16), 0..60),
            services in prop::collection::vec((any::<u16>(), any::<u16>(), prop::sample::select(vec!["SIP+D2U", "SIP+D2T", "X"])), 0..60),
            roll in any::<u32>(),
        ) {
            let mut search = Search::new(Target::of(&SipUri::parse(uri).unwrap()).unwrap());
            let mut asked = 0;
            while let Some(question) = search.question() {
                asked += 1;
                let answer = match question {
                    Question::Naptr(_) => Answer::Naptr(services.iter().map(|(order, preference, service)| Naptr {
                        order: *order,
                        preference: *preference,
                        flags: "s".to_owned(),
                        services: (*service).to_owned(),
                        replacement: "c.example".to_owned(),
                    }).collect()),
                    Question::Srv(_) => Answer::Srv(servers.iter().map(|(priority, weight, port)| Srv {
                        priority: *priority,
                        weight: *weight,
                        port: *port,
                        target: "d.example".to_owned(),
                    }).collect()),
                    Question::Addresses(_) => Answer::Addresses(vec![[192, 0, 2, 1].into()]),
                };
                search.answer(answer, |_| roll);
            }
            prop_assert!(asked <= MOST_QUESTIONS);
            prop_assert!(search.places().len() <= MOST_PLACES);
        }
    }

    /// Searches in a zone of `(question, records)`; tells what was asked and what was found.
    fn search(uri: &str, zone: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
        let mut search = Search::new(Target::of(&SipUri::parse(uri).unwrap()).unwrap());
        let mut asked = Vec::new();
        while let Some(question) = search.question() {
            let text = match &question {
                Question::Naptr(name) => format!("NAPTR {name}"),
                Question::Srv(name) => format!("SRV {name}"),
                Question::Addresses(name) => format!("A {name}"),
            };
            let records = zone.iter().find(|(question, _)| *question == text).map_or("", |(_, records)| *records);
            let fields =
                records.split('|').filter(|record| !record.is_empty()).map(|record| record.split(' ').collect::<Vec<_>>());
            let answer = match question {
                Question::Naptr(_) => Answer::Naptr(fields.map(naptr).collect()),
                Question::Srv(_) => Answer::Srv(fields.map(srv).collect()),
                Question::Addresses(_) => Answer::Addresses(fields.flatten().map(|address| address.parse().unwrap()).collect()),
            };
            asked.push(text);
            search.answer(answer, |_| 0);
        }
        (asked, search.places().into_iter().map(|place| format!("{}:{}", place.transport, place.address)).collect())
    }

    fn naptr(fields: Vec<&str>) -> Naptr {
        Naptr {
            order: fields[0].parse().unwrap(),
            preference: fields[1].parse().unwrap(),
            flags: fields[2].to_owned(),
            services: fields[3].to_owned(),
            replacement: fields[4].to_owned(),
        }
    }

    fn srv(fields: Vec<&str>) -> Srv {
        Srv {
            priority: fields[0].parse().unwrap(),
            weight: fields[1].parse().unwrap(),
            port: fields[2].parse().unwrap(),
            target: fields[3].to_owned(),
        }
    }
}
