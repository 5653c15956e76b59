//! The gate in front of the user agent server: what is let in, and what is let out to whom.
//!
//! Trusted peers pass. Everybody else is a stranger, known by an IPv4 address or the /64 network of an IPv6 one, with an
//! allowance of requests, of calls that are not acknowledged yet, of calls and of connections; all strangers together have
//! another. A message is judged by its source and its first word, before anything else of it is read, for what is dropped in a
//! flood must cost next to nothing.
//!
//! Whoever sends datagrams may be lying about where it is. Until a source has proven that it receives what is sent to it (by
//! the ACK of an answer, by using a nonce of ours, or by a TCP connection), never more than one and a half times the bytes that
//! came from it are sent to it, whatever they are: first answers, repetitions and requests alike. What is above that is not
//! sent; the peer's own repetitions bring the allowance that the answer needs.
//!
//! Sources that guess or scan are banned, each time for longer. The table of sources has a fixed size; in a flood of sources
//! it forgets those that matter least, and those that matter no more soon afterwards.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::{event::CallRef, flow::Transport, room::Roomy as _};

/// How many sources are remembered at most.
const MOST_SOURCES: usize = 32 * 1024;
/// How many sources are looked at to find one to be forgotten.
const EVICTION_SAMPLE: usize = 8;
/// How many bytes may be sent for `BYTES_IN` received, to a source that has proven nothing.
const BYTES_OUT: u32 = 3;
/// See [`BYTES_OUT`].
const BYTES_IN: u32 = 2;
/// The most bytes a source can save up, so that what is collected over hours is not sent at once.
const MOST_CREDIT: u32 = 64 * 1024;
/// How long a source counts as proven after it last was.
const PROVEN_LIFE: Duration = Duration::from_hours(2);
/// How much faster than outside of a call a source with calls may send: keys by INFO, re-INVITEs, keep-alives.
const IN_CALL_FACTOR: u32 = 5;
/// How many seconds' worth of an allowance can be used at once.
const BURST: Duration = Duration::from_secs(3);
/// How many requests of ours a second may go to places that nothing came from: a caller's Contact may name anybody.
const UNPROVEN_REQUESTS: u32 = 100;
/// A source's offences are forgiven one by one, each after so long.
const FORGIVEN_AFTER: Duration = Duration::from_secs(20);
/// A ban never lasts longer.
const LONGEST_BAN: Duration = Duration::from_hours(24);
/// A ban for what anybody may have sent in the source's name never lasts longer.
const LONGEST_BAN_UNPROVEN: Duration = Duration::from_mins(15);
/// Bans are remembered so long after they end; the next one is longer.
const BAN_MEMORY: Duration = Duration::from_hours(24);
/// How long a source that nothing else is known of is remembered after its last message: its requests may be repeated for so long, and
/// what it may be sent for them is saved up.
const REST: Duration = Duration::from_secs(40);
/// How often the table is looked through at most for sources that matter no more.
const SWEEP_EVERY: Duration = Duration::from_secs(20);
/// How many networks a report names.
const NAMED_NETWORKS: usize = 8;
/// As many bytes of a request are looked at to say what was kept out.
const LONGEST_START: usize = 256;
/// How often a report is made at most.
pub const REPORT_EVERY: Duration = Duration::from_mins(1);

/// How much strangers may do.
#[derive(Clone)]
pub struct GateConfig {
    /// Whether an address is a trusted peer's, for whom nothing here holds.
    pub trusts: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
    /// Is told of every request and connection that is kept out, thousands a second in a flood: it must be quick.
    pub kept_out: Arc<dyn Fn(&KeptOut<'_>) + Send + Sync>,
    /// Messages a second from one source.
    pub requests_per_source: u32,
    /// Messages a second from all sources without calls that have not proven themselves.
    pub requests_in_all: u32,
    /// New calls a second from all sources that have not proven themselves.
    pub calls_in_all: u32,
    /// Calls of one source at once that wait for an answer or for its ACK.
    pub half_open_per_source: u32,
    /// Such calls of all strangers; for one more, the oldest is given up.
    pub half_open_in_all: usize,
    /// Calls of one source at once.
    pub calls_per_source: u32,
    /// Connections of one source at once.
    pub connections_per_source: u32,
    /// Offences that ban a source; zero never bans.
    pub offences: u32,
    /// How long the first ban lasts; each further one doubles.
    pub first_ban: Duration,
}

impl Default for GateConfig {
    fn default() -> Self {
        Self {
            trusts: Arc::new(|_| false),
            kept_out: Arc::new(|_| {}),
            requests_per_source: 50,
            requests_in_all: 1000,
            calls_in_all: 100,
            half_open_per_source: 20,
            half_open_in_all: 500,
            calls_per_source: 100,
            connections_per_source: 100,
            offences: 30,
            first_ban: Duration::from_mins(1),
        }
    }
}

impl fmt::Debug for GateConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateConfig").finish_non_exhaustive()
    }
}

/// Why something was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dropped {
    /// The source is banned.
    Banned,
    /// The source sends too much.
    TooMuch,
    /// All strangers together send too much.
    TooMuchInAll,
    /// The source has too many calls that it does not acknowledge.
    HalfOpen,
    /// The source has too many calls.
    Calls,
    /// The source has too many connections.
    Connections,
    /// More would have been sent to the source than it may be sent.
    Amplification,
}

impl Dropped {
    const COUNT: usize = 7;

    /// The reason in words, for records.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Banned => "the source is banned",
            Self::TooMuch => "the source sends too much",
            Self::TooMuchInAll => "strangers send too much",
            Self::HalfOpen => "the source has too many calls that it does not acknowledge",
            Self::Calls => "the source has too many calls",
            Self::Connections => "the source has too many connections",
            Self::Amplification => "the source has not proven that it is there",
        }
    }
}

/// A request or a connection that was kept out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptOut<'a> {
    /// Where it came from.
    pub source: IpAddr,
    /// What it came by.
    pub transport: Transport,
    /// The request's first word; none of a connection, or where there is none.
    pub method: Option<&'a str>,
    /// The user part of the Request-URI as it is written, if it is easy to see.
    pub user: Option<&'a str>,
    /// Why.
    pub why: Dropped,
}

impl<'a> KeptOut<'a> {
    fn new(source: IpAddr, transport: Transport, bytes: &'a [u8], why: Dropped) -> Self {
        let start = bytes.get(..LONGEST_START).unwrap_or(bytes);
        let line = start.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        let mut words = std::str::from_utf8(line).unwrap_or_default().split(' ');
        let method = words.next().filter(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase()));
        let user = words.next().and_then(|uri| uri.split_once(':')?.1.split_once('@')).map(|(user, _)| user);
        Self { source, transport, method, user, why }
    }
}

/// What a source did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offence {
    /// A wrong password, with a nonce that only whoever receives at this address can know.
    WrongPassword,
    /// A request that was challenged and refused, or made no sense; anybody may have sent it in the source's name.
    Unproven,
}

/// What the gate is told of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// It has shown the right password.
    Authenticated(IpAddr),
    /// It has shown a wrong password, with a nonce of ours.
    WrongPassword(IpAddr),
    /// It has answered a request of ours, whose branch nobody can guess.
    Answered(IpAddr),
    /// It was refused something, or asked for a password.
    Refused(IpAddr),
}

/// Whether a message of ours tells a stranger that it may not do this, or asks for a password: what guessers and scanners get.
#[must_use]
pub fn refuses(bytes: &[u8]) -> bool {
    const REFUSALS: [&[u8]; 9] = [b"400", b"401", b"403", b"404", b"405", b"407", b"415", b"416", b"420"];
    bytes.strip_prefix(b"SIP/2.0 ").and_then(|rest| rest.get(..3)).is_some_and(|status| REFUSALS.contains(&status))
}

/// An IPv4 address, or the /64 network of an IPv6 address: what one stranger cannot change at will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct SourceKey(u128);

impl SourceKey {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.to_ipv6_mapped().to_bits()),
            IpAddr::V6(address) => Self(address.to_bits() & !u128::from(u64::MAX)),
        }
    }
}

/// The /24 or /48 network of an address, as reports name it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceNetwork(u128);

impl SourceNetwork {
    /// The network of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        let key = SourceKey::of(address).0;
        match Ipv6Addr::from_bits(key).to_ipv4_mapped() {
            Some(_) => Self(key & !0xff),
            None => Self(key & !(u128::MAX >> 48)),
        }
    }
}

impl fmt::Display for SourceNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let network = Ipv6Addr::from_bits(self.0);
        match network.to_ipv4_mapped() {
            Some(network) => write!(f, "{network}/24"),
            None => write!(f, "{network}/48"),
        }
    }
}

impl fmt::Debug for SourceNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What was dropped since the last report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How often, by reason.
    pub dropped: Vec<(Dropped, u64)>,
    /// The networks that most of it came from, with how often at least, most first.
    pub networks: Vec<(SourceNetwork, u64)>,
    /// How many half-open calls were given up for newer ones.
    pub given_up: u64,
    /// How many bans began.
    pub bans: u64,
}

/// The gate.
#[derive(Debug)]
pub struct Gate {
    config: GateConfig,
    sources: Sources,
    requests: Bucket,
    calls: Bucket,
    own_requests: Bucket,
    /// Calls of strangers, and which of them are half open.
    open: HashMap<CallRef, SourceKey>,
    half_open: BTreeSet<CallRef>,
    dropped: [u64; Dropped::COUNT],
    networks: HeavyHitters,
    given_up: u64,
    bans: u64,
    reported_at: Option<Instant>,
}

impl Gate {
    /// A gate that has seen nobody.
    #[must_use]
    pub fn new(config: GateConfig, seed: [u8; 32], now: Instant) -> Self {
        Self {
            requests: Bucket::full(now),
            calls: Bucket::full(now),
            own_requests: Bucket::full(now),
            config,
            sources: Sources::new(seed),
            open: HashMap::new(),
            half_open: BTreeSet::new(),
            dropped: [0; Dropped::COUNT],
            networks: HeavyHitters::default(),
            given_up: 0,
            bans: 0,
            reported_at: None,
        }
    }

    /// When [`Self::tick`] wants to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.sources.sweep_at
    }

    /// Forgets the sources that matter no more, when that is due.
    pub fn tick(&mut self, now: Instant) {
        self.sources.sweep(now);
        self.open.give_room_back();
    }

    /// Whether nothing here holds for an address.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        (self.config.trusts)(address)
    }

    /// Whether a datagram is let in.
    pub fn admits_datagram(&mut self, from: IpAddr, bytes: &[u8], now: Instant) -> bool {
        self.admits(from, Transport::Udp, bytes, now)
    }

    /// Whether a whole message of a connection is let in.
    pub fn admits_message(&mut self, from: IpAddr, transport: Transport, bytes: &[u8], now: Instant) -> bool {
        self.admits(from, transport, bytes, now)
    }

    fn admits(&mut self, from: IpAddr, transport: Transport, bytes: &[u8], now: Instant) -> bool {
        if self.trusts(from) {
            return true;
        }
        let Err(why) = self.judge(from, bytes, transport.is_reliable(), now) else { return true };
        self.drop(from, why);
        (self.config.kept_out)(&KeptOut::new(from, transport, bytes, why));
        false
    }

    /// Whether a connection is let in. Each that is must be followed by [`Self::connection_closed`].
    pub fn admits_connection(&mut self, from: IpAddr, transport: Transport, now: Instant) -> bool {
        if self.trusts(from) {
            return true;
        }
        let verdict = match self.sources.enter(SourceKey::of(from), now) {
            None => Err(Dropped::TooMuchInAll),
            Some(source) if source.is_banned(now) => Err(Dropped::Banned),
            Some(source) if source.connections >= self.config.connections_per_source => Err(Dropped::Connections),
            Some(source) => {
                source.connections += 1;
                Ok(())
            }
        };
        let Err(why) = verdict else { return true };
        self.drop(from, why);
        (self.config.kept_out)(&KeptOut::new(from, transport, b"", why));
        false
    }

    /// A connection is no more.
    pub fn connection_closed(&mut self, from: IpAddr) {
        if let Some(source) = self.sources.get(SourceKey::of(from)) {
            source.connections = source.connections.saturating_sub(1);
        }
    }

    fn judge(&mut self, from: IpAddr, bytes: &[u8], is_connected: bool, now: Instant) -> Result<(), Dropped> {
        let is_call = bytes.starts_with(b"INVITE ");
        let key = SourceKey::of(from);
        if let Some(source) = self.sources.get(key) {
            if !is_connected {
                source.earn(bytes.len());
            }
            if source.is_banned(now) {
                return Err(Dropped::Banned);
            }
            if is_call && source.half_open >= self.config.half_open_per_source {
                return Err(Dropped::HalfOpen);
            }
            if is_call && source.calls >= self.config.calls_per_source {
                return Err(Dropped::Calls);
            }
            let rate = self.config.requests_per_source;
            if !source.bucket.take(if source.calls > 0 { rate.saturating_mul(IN_CALL_FACTOR) } else { rate }, now) {
                return Err(Dropped::TooMuch);
            }
            source.seen_at = now;
            if source.is_proven(now) || is_connected || (source.calls > 0 && !is_call) {
                return Ok(());
            }
        }
        // From here on it may be anybody, with a new name each time.
        if is_call && !self.calls.take(self.config.calls_in_all, now) || !self.requests.take(self.config.requests_in_all, now) {
            return Err(Dropped::TooMuchInAll);
        }
        let is_new = self.sources.get(key).is_none();
        let source = self.sources.enter(key, now).ok_or(Dropped::TooMuchInAll)?;
        if is_new {
            source.bucket.take(self.config.requests_per_source, now);
            if !is_connected {
                source.earn(bytes.len());
            }
        }
        Ok(())
    }

    /// Whether a datagram is let out.
    ///
    /// A 100 is nothing that an unproven source needs: it would keep quiet then, and its repetitions are what pays for the answer.
    pub fn admits_reply(&mut self, to: IpAddr, bytes: &[u8], now: Instant) -> bool {
        if self.trusts(to) {
            return true;
        }
        let is_ours = !bytes.starts_with(b"SIP/2.0 ");
        let verdict = match self.sources.get(SourceKey::of(to)) {
            Some(source) if source.is_proven(now) => true,
            Some(_) if bytes.starts_with(b"SIP/2.0 100 ") => return false,
            Some(source) => source.spend(bytes.len()),
            None => is_ours && self.own_requests.take(UNPROVEN_REQUESTS, now),
        };
        if !verdict {
            self.drop(to, Dropped::Amplification);
        }
        verdict
    }

    /// A call came from a source. Answers a call that must be given up for it.
    pub fn call_began(&mut self, call: CallRef, from: IpAddr, now: Instant) -> Option<CallRef> {
        if self.trusts(from) {
            return None;
        }
        let key = SourceKey::of(from);
        let source = self.sources.enter(key, now)?;
        source.calls += 1;
        source.half_open += 1;
        self.open.insert(call, key);
        self.half_open.insert(call);
        if self.half_open.len() <= self.config.half_open_in_all {
            return None;
        }
        self.given_up += 1;
        self.half_open.first().copied()
    }

    /// The caller has our answer: it is where it seems to be.
    pub fn call_confirmed(&mut self, call: CallRef, now: Instant) {
        let is_half_open = self.half_open.remove(&call);
        if let Some(source) = self.open.get(&call).and_then(|key| self.sources.get(*key)) {
            source.half_open -= u32::from(is_half_open);
            source.proven_until = Some(now + PROVEN_LIFE);
        }
    }

    /// A call is over.
    pub fn call_ended(&mut self, call: CallRef) {
        let is_half_open = self.half_open.remove(&call);
        if let Some(source) = self.open.remove(&call).and_then(|key| self.sources.get(key)) {
            source.half_open -= u32::from(is_half_open);
            source.calls -= 1;
        }
    }

    /// Takes note of what became of a source's request.
    pub fn note(&mut self, note: Note, now: Instant) {
        match note {
            Note::Authenticated(from) => self.authenticated(from, now),
            Note::Answered(from) => self.answered(from, now),
            Note::WrongPassword(from) => self.offended(from, Offence::WrongPassword, now),
            Note::Refused(from) => self.offended(from, Offence::Unproven, now),
        }
    }

    /// A source has shown a secret that it shares with us: it is there, and its offences are forgotten.
    pub fn authenticated(&mut self, from: IpAddr, now: Instant) {
        if !self.trusts(from)
            && let Some(source) = self.sources.enter(SourceKey::of(from), now)
        {
            source.proven_until = Some(now + PROVEN_LIFE);
            source.offences = Offences::default();
        }
    }

    /// A source has answered a request of ours: it is there.
    pub fn answered(&mut self, from: IpAddr, now: Instant) {
        if !self.trusts(from)
            && let Some(source) = self.sources.enter(SourceKey::of(from), now)
        {
            source.proven_until = Some(now + PROVEN_LIFE);
        }
    }

    /// The operator has chosen a host for requests of ours: what is sent to it is none of a stranger's doing.
    pub fn chosen(&mut self, host: IpAddr, now: Instant) {
        // As if it had answered already.
        self.answered(host, now);
    }

    /// A source has done something wrong.
    pub fn offended(&mut self, from: IpAddr, offence: Offence, now: Instant) {
        if self.config.offences == 0 || self.trusts(from) {
            return;
        }
        let (limit, first_ban) = (self.config.offences, self.config.first_ban);
        let Some(source) = self.sources.enter(SourceKey::of(from), now) else { return };
        let (weight, longest) = match offence {
            Offence::WrongPassword => (3, LONGEST_BAN),
            // Somebody else would only have to write its address to have a phone banned that is known to be there.
            Offence::Unproven if source.is_proven(now) || source.calls > 0 => return,
            Offence::Unproven => (1, LONGEST_BAN_UNPROVEN),
        };
        if source.offences.add(weight, now) < limit {
            return;
        }
        source.offences = Offences::default();
        let before = source.ban.filter(|ban| ban.until + BAN_MEMORY > now).map_or(0, |ban| ban.number);
        let length = first_ban.saturating_mul(1_u32.checked_shl(before).unwrap_or(u32::MAX)).min(longest);
        source.ban = Some(Ban { until: now + length, number: before.saturating_add(1) });
        self.bans += 1;
    }

    /// What was dropped since the last report, if anything was and a report is due.
    pub fn report(&mut self, now: Instant) -> Option<Report> {
        let is_due = self.reported_at.is_none_or(|at| now >= at + REPORT_EVERY);
        if !is_due || (self.dropped.iter().all(|&count| count == 0) && self.given_up == 0 && self.bans == 0) {
            return None;
        }
        self.reported_at = Some(now);
        let reasons = [
            Dropped::Banned,
            Dropped::TooMuch,
            Dropped::TooMuchInAll,
            Dropped::HalfOpen,
            Dropped::Calls,
            Dropped::Connections,
            Dropped::Amplification,
        ];
        let dropped = std::mem::take(&mut self.dropped);
        Some(Report {
            dropped: reasons.into_iter().map(|why| (why, dropped[why as usize])).filter(|(_, count)| *count > 0).collect(),
            networks: std::mem::take(&mut self.networks).into_sorted(),
            given_up: std::mem::take(&mut self.given_up),
            bans: std::mem::take(&mut self.bans),
        })
    }

    /// How many sources are remembered.
    #[must_use]
    pub fn sources(&self) -> usize {
        self.sources.by_key.len()
    }

    fn drop(&mut self, from: IpAddr, why: Dropped) {
        self.dropped[why as usize] += 1;
        self.networks.count(SourceNetwork::of(from));
    }
}

/// What is remembered of a stranger.
#[derive(Debug)]
struct Source {
    /// Where its key stands among all keys.
    place: usize,
    seen_at: Instant,
    bucket: Bucket,
    /// Bytes that may still be sent to it, times [`BYTES_IN`].
    credit: u32,
    proven_until: Option<Instant>,
    calls: u32,
    half_open: u32,
    connections: u32,
    offences: Offences,
    ban: Option<Ban>,
}

#[derive(Clone, Copy, Debug)]
struct Ban {
    until: Instant,
    /// The how manyth it is.
    number: u32,
}

impl Source {
    fn is_banned(&self, now: Instant) -> bool {
        self.ban.is_some_and(|ban| ban.until > now)
    }

    fn is_proven(&self, now: Instant) -> bool {
        self.connections > 0 || self.proven_until.is_some_and(|until| until > now)
    }

    fn earn(&mut self, bytes: usize) {
        let earned = u32::try_from(bytes).unwrap_or(u32::MAX).saturating_mul(BYTES_OUT);
        self.credit = self.credit.saturating_add(earned).min(MOST_CREDIT * BYTES_IN);
    }

    fn spend(&mut self, bytes: usize) -> bool {
        let needed = u32::try_from(bytes).unwrap_or(u32::MAX).saturating_mul(BYTES_IN);
        let is_there = self.credit >= needed;
        if is_there {
            self.credit -= needed;
        }
        is_there
    }

    /// From when on it matters no more: whoever is not known is treated alike. As far as can be seen now.
    fn matters_until(&self, now: Instant) -> Instant {
        let in_use = (self.calls > 0 || self.connections > 0).then_some(now);
        let resting = Some(in_use.unwrap_or(self.seen_at) + REST);
        let remembered = self.ban.map(|ban| ban.until + BAN_MEMORY);
        [resting, self.proven_until, remembered, self.offences.forgiven_at()].into_iter().flatten().max().unwrap_or(now)
    }

    /// How much would be lost by forgetting it: more is worse.
    fn worth(&self, now: Instant) -> (bool, bool, bool, Instant) {
        (self.calls > 0 || self.connections > 0, self.is_banned(now), self.is_proven(now), self.seen_at)
    }
}

/// The sources, in a table that does not grow beyond [`MOST_SOURCES`].
#[derive(Debug)]
struct Sources {
    by_key: HashMap<SourceKey, Source>,
    keys: Vec<SourceKey>,
    random: StdRng,
    most: usize,
    /// None while there is no source.
    sweep_at: Option<Instant>,
}

impl Sources {
    fn new(seed: [u8; 32]) -> Self {
        Self { by_key: HashMap::new(), keys: Vec::new(), random: StdRng::from_seed(seed), most: MOST_SOURCES, sweep_at: None }
    }

    fn get(&mut self, key: SourceKey) -> Option<&mut Source> {
        self.by_key.get_mut(&key)
    }

    /// The source, which becomes known if it was not. None when everybody who is known matters more.
    fn enter(&mut self, key: SourceKey, now: Instant) -> Option<&mut Source> {
        if !self.by_key.contains_key(&key) {
            if self.keys.len() >= self.most {
                self.forget_one(now)?;
            }
            let source = Source {
                place: self.keys.len(),
                seen_at: now,
                bucket: Bucket::full(now),
                credit: 0,
                proven_until: None,
                calls: 0,
                half_open: 0,
                connections: 0,
                offences: Offences::default(),
                ban: None,
            };
            self.keys.push(key);
            self.by_key.insert(key, source);
            self.sweep_at.get_or_insert(now + SWEEP_EVERY);
        }
        self.by_key.get_mut(&key)
    }

    /// Forgets the least worthy of a few sources, unless all of those have calls or connections.
    fn forget_one(&mut self, now: Instant) -> Option<()> {
        let candidates: [SourceKey; EVICTION_SAMPLE] =
            std::array::from_fn(|_| self.keys[self.random.random_range(0..self.keys.len())]);
        let worth = |key: &SourceKey| self.by_key.get(key).map(|source| source.worth(now));
        let least = candidates.into_iter().min_by_key(worth)?;
        if self.by_key.get(&least).is_none_or(|source| source.calls > 0 || source.connections > 0) {
            return None;
        }
        self.forget(least)
    }

    fn forget(&mut self, key: SourceKey) -> Option<()> {
        let place = self.by_key.remove(&key)?.place;
        self.keys.swap_remove(place);
        if let Some(moved) = self.keys.get(place).and_then(|key| self.by_key.get_mut(key)) {
            moved.place = place;
        }
        Some(())
    }

    /// Forgets those that matter no more, when it is time to.
    fn sweep(&mut self, now: Instant) {
        if self.sweep_at.is_none_or(|at| at > now) {
            return;
        }
        let (mut over, mut next) = (Vec::new(), None);
        for (key, source) in &self.by_key {
            match source.matters_until(now) {
                until if until <= now => over.push(*key),
                until => next = Some(next.map_or(until, |next| until.min(next))),
            }
        }
        for key in over {
            self.forget(key);
        }
        self.by_key.give_room_back();
        self.keys.shrink_to(self.by_key.capacity());
        self.sweep_at = next.map(|next| next.max(now + SWEEP_EVERY));
    }
}

/// Tokens that come at a steady rate and are saved up for [`BURST`].
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// When the bucket was, or will be, empty: what it holds is the time since then.
    empty_at: Option<Instant>,
}

impl Bucket {
    fn full(now: Instant) -> Self {
        Self { empty_at: now.checked_sub(BURST) }
    }

    /// Takes one token, if there is one.
    fn take(&mut self, rate: u32, now: Instant) -> bool {
        let Some(pause) = Duration::from_secs(1).checked_div(rate) else { return false };
        let fullest = now.checked_sub(BURST).unwrap_or(now);
        let empty_at = self.empty_at.map_or(fullest, |at| at.max(fullest));
        let is_there = empty_at + pause <= now;
        self.empty_at = Some(if is_there { empty_at + pause } else { empty_at });
        is_there
    }
}

/// A count that goes down by itself.
#[derive(Clone, Copy, Debug, Default)]
struct Offences {
    count: u32,
    /// Since when one is being forgiven.
    since: Option<Instant>,
}

impl Offences {
    /// When the last of them is forgiven.
    fn forgiven_at(&self) -> Option<Instant> {
        self.since?.checked_add(FORGIVEN_AFTER * self.count)
    }

    /// Adds to the count, and answers what it is now.
    fn add(&mut self, weight: u32, now: Instant) -> u32 {
        let since = self.since.unwrap_or(now);
        let forgiven = now.saturating_duration_since(since).as_secs() / FORGIVEN_AFTER.as_secs();
        let forgiven = u32::try_from(forgiven).unwrap_or(u32::MAX);
        self.since = Some(since.checked_add(FORGIVEN_AFTER * forgiven).unwrap_or(now));
        self.count = self.count.saturating_sub(forgiven).saturating_add(weight);
        self.count
    }
}

/// The networks that are counted most often, by Misra and Gries: each count is too low by the same bounded amount at most.
#[derive(Debug, Default)]
struct HeavyHitters(HashMap<SourceNetwork, u64>);

impl HeavyHitters {
    fn count(&mut self, network: SourceNetwork) {
        if let Some(count) = self.0.get_mut(&network) {
            *count += 1;
        } else if self.0.len() < NAMED_NETWORKS * 4 {
            self.0.insert(network, 1);
        } else {
            self.0.retain(|_, count| {
                *count -= 1;
                *count > 0
            });
        }
    }

    fn into_sorted(self) -> Vec<(SourceNetwork, u64)> {
        let mut networks: Vec<_> = self.0.into_iter().collect();
        networks.sort_by_key(|&(network, count)| (std::cmp::Reverse(count), network));
        networks.truncate(NAMED_NETWORKS);
        networks
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::*;
    use crate::sip::{
        event::{Command, Event},
        flow::Flow,
        request::Reply,
        uas::{Output, Uas, UasConfig},
    };

    const INVITE: &[u8] = b"INVITE sip:1001@vm SIP/2.0\r\n";
    const OPTIONS: &[u8] = b"OPTIONS sip:vm SIP/2.0\r\n";
    const BYE: &[u8] = b"BYE sip:vm SIP/2.0\r\n";

    #[test]
    fn one_source_has_an_allowance_that_comes_back() {
        let (mut gate, start) = gate();

        let burst = count(1000, |_| gate.admits_datagram(source(1), OPTIONS, start));
        let other = gate.admits_datagram(source(2), OPTIONS, start);
        let later = count(1000, |_| gate.admits_datagram(source(1), OPTIONS, start + Duration::from_secs(1)));

        assert_eq!((burst, other, later), (150, true, 50));
    }

    #[test]
    fn a_flood_of_many_sources_is_cut_to_the_allowance_of_all() {
        let (mut gate, start) = gate();

        let calls = count(100_000, |n| gate.admits_datagram(source(n), INVITE, start));

        assert_eq!(calls, 300);
        assert_eq!(gate.sources(), 300, "what is dropped is not remembered");
    }

    #[test]
    fn trusted_peers_and_callers_who_talk_pass_through_a_flood() {
        let (mut gate, start) = gate();
        assert!(gate.admits_datagram(source(1), INVITE, start));
        gate.call_began(CallRef(1), source(1), start);
        gate.call_confirmed(CallRef(1), start);
        gate.authenticated(source(2), start);
        count(100_000, |n| gate.admits_datagram(source(100 + n), INVITE, start));
        count(100_000, |n| gate.admits_datagram(source(200_000 + n), OPTIONS, start));

        assert!(!gate.admits_datagram(source(3), OPTIONS, start));
        assert!(gate.admits_datagram(source(1), BYE, start));
        assert!(gate.admits_datagram(source(1), INVITE, start), "a re-INVITE");
        assert!(gate.admits_datagram(source(2), INVITE, start));
        assert_eq!(count(10_000, |_| gate.admits_datagram(trusted(), INVITE, start)), 10_000);
    }

    #[test]
    fn a_caller_who_is_yet_to_acknowledge_can_do_so_in_a_flood() {
        let (mut gate, start) = gate();
        assert!(gate.admits_datagram(source(1), INVITE, start));
        gate.call_began(CallRef(1), source(1), start);
        count(100_000, |n| gate.admits_datagram(source(100 + n), OPTIONS, start));

        assert!(gate.admits_datagram(source(1), b"ACK sip:vm SIP/2.0\r\n", start));
        assert!(gate.admits_datagram(source(1), BYE, start));
    }

    #[test]
    fn the_oldest_half_open_call_gives_way_to_the_newest() {
        let (mut gate, start) = gate();
        let most = gate.config.half_open_in_all as u64;
        for n in 0..most {
            assert_eq!(gate.call_began(CallRef(n), source(n as u32), start), None);
        }
        gate.call_confirmed(CallRef(0), start);

        assert_eq!(gate.call_began(CallRef(most), source(7), start), None);
        assert_eq!(gate.call_began(CallRef(most + 1), source(7), start), Some(CallRef(1)));
        assert_eq!(gate.call_began(CallRef(most + 2), trusted(), start), None);
    }

    #[test]
    fn one_source_has_so_many_calls_and_so_many_half_open() {
        let (mut gate, start) = gate();
        let admits = |gate: &mut Gate, at| gate.admits_datagram(source(1), INVITE, at);
        for n in 0..100 {
            let at = start + Duration::from_secs(n);
            assert!(admits(&mut gate, at), "{n}");
            gate.call_began(CallRef(n), source(1), at);
            if n >= 20 {
                gate.call_confirmed(CallRef(n - 1), at);
                gate.call_confirmed(CallRef(n), at);
            }
            if n == 19 {
                assert!(!admits(&mut gate, at), "twenty wait for their ACK");
                gate.call_confirmed(CallRef(0), at);
            }
        }
        let end = start + Duration::from_secs(200);

        assert!(!admits(&mut gate, end), "it has a hundred calls");
        gate.call_ended(CallRef(50));
        assert!(admits(&mut gate, end));
    }

    #[test]
    fn every_ended_call_is_forgotten() {
        let (mut gate, start) = gate();
        for n in 0..1000 {
            gate.call_began(CallRef(n), source(1), start);
            if n % 2 == 0 {
                gate.call_confirmed(CallRef(n), start);
                gate.call_confirmed(CallRef(n), start);
            }
        }
        for n in 0..1000 {
            gate.call_ended(CallRef(n));
            gate.call_ended(CallRef(n));
        }

        assert!(gate.open.is_empty() && gate.half_open.is_empty());
        let source = gate.sources.get(SourceKey::of(source(1))).unwrap();
        assert_eq!((source.calls, source.half_open), (0, 0));
    }

    #[test]
    fn guessers_are_banned_each_time_for_longer() {
        let (mut gate, start) = gate();
        let mut now = start;
        let mut lengths = Vec::new();
        for _ in 0..3 {
            for _ in 0..9 {
                gate.offended(source(1), Offence::WrongPassword, now);
            }
            assert!(gate.admits_datagram(source(1), OPTIONS, now), "nine wrong passwords are no ban");
            gate.offended(source(1), Offence::WrongPassword, now);
            let from = now;
            while !gate.admits_datagram(source(1), OPTIONS, now) {
                now += Duration::from_secs(1);
            }
            lengths.push((now - from).as_secs());
        }

        assert_eq!(lengths, [60, 120, 240]);
        assert!(gate.admits_datagram(source(2), OPTIONS, now));
    }

    #[test]
    fn a_right_password_forgives_the_wrong_ones() {
        let (mut gate, start) = gate();
        for _ in 0..9 {
            gate.offended(source(1), Offence::WrongPassword, start);
        }
        gate.authenticated(source(1), start);
        gate.offended(source(1), Offence::WrongPassword, start);

        assert!(gate.admits_datagram(source(1), OPTIONS, start));
    }

    #[test]
    fn nobody_can_have_a_phone_banned_in_its_name() {
        let (mut gate, start) = gate();
        gate.authenticated(source(1), start);
        for _ in 0..1000 {
            gate.offended(source(1), Offence::Unproven, start);
            gate.offended(source(2), Offence::Unproven, start);
            gate.offended(trusted(), Offence::WrongPassword, start);
        }

        assert!(gate.admits_datagram(source(1), OPTIONS, start));
        assert!(!gate.admits_datagram(source(2), OPTIONS, start));
        assert!(gate.admits_datagram(trusted(), OPTIONS, start));
    }

    #[test]
    fn who_answers_a_request_of_ours_is_there_and_nothing_is_forgiven() {
        let (mut gate, start) = gate();
        let notify = [b"NOTIFY ".as_slice(), &[b'x'; 2000]].concat();
        assert!(gate.admits_datagram(source(1), OPTIONS, start) && !gate.admits_reply(source(1), &notify, start));
        for _ in 0..9 {
            gate.offended(source(1), Offence::WrongPassword, start);
        }

        gate.note(Note::Answered(source(1)), start);

        assert!(gate.admits_reply(source(1), &notify, start));
        gate.offended(source(1), Offence::WrongPassword, start);
        assert!(!gate.admits_datagram(source(1), OPTIONS, start));
    }

    #[test]
    fn rare_mistakes_are_forgiven() {
        let (mut gate, start) = gate();
        for n in 0..1000 {
            gate.offended(source(1), Offence::WrongPassword, start + FORGIVEN_AFTER * 3 * n);
        }

        assert!(gate.admits_datagram(source(1), OPTIONS, start + FORGIVEN_AFTER * 3000));
    }

    #[test]
    fn connections_are_counted_by_source() {
        let (mut gate, start) = gate();

        let admitted = count(1000, |_| gate.admits_connection(source(1), Transport::Tcp, start));
        gate.connection_closed(source(1));

        assert_eq!(admitted, 100);
        assert!(
            gate.admits_connection(source(1), Transport::Tcp, start) && !gate.admits_connection(source(1), Transport::Tcp, start)
        );
        assert!(gate.admits_connection(source(2), Transport::Tcp, start));
        assert_eq!(count(1000, |_| gate.admits_connection(trusted(), Transport::Tcp, start)), 1000);
    }

    #[test]
    fn what_is_kept_out_is_told_with_what_it_wanted() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let start = Instant::now() + Duration::from_hours(1);
        let teller = told.clone();
        let kept_out = Arc::new(move |it: &KeptOut<'_>| {
            let text = |word: Option<&str>| word.unwrap_or("-").to_owned();
            teller.lock().unwrap().push((it.source, it.transport, text(it.method), text(it.user), it.why));
        });
        let config = GateConfig {
            kept_out,
            requests_per_source: 0,
            requests_in_all: 0,
            connections_per_source: 0,
            ..GateConfig::default()
        };
        let mut gate = Gate::new(config, [7; 32], start);
        gate.admits_connection(source(1), Transport::Tls, start);
        gate.admits_message(source(1), Transport::Tcp, INVITE, start);
        gate.admits_datagram(source(1), OPTIONS, start);
        gate.admits_datagram(source(1), b"\xff\xfe rubbish", start);

        let word = ToOwned::to_owned;
        let udp = Transport::Udp;
        assert_eq!(
            *told.lock().unwrap(),
            [
                (source(1), Transport::Tls, word("-"), word("-"), Dropped::Connections),
                (source(1), Transport::Tcp, word("INVITE"), word("1001"), Dropped::TooMuch),
                (source(1), udp, word("OPTIONS"), word("-"), Dropped::TooMuch),
                (source(1), udp, word("-"), word("-"), Dropped::TooMuch),
            ]
        );
    }

    #[test]
    fn a_host_is_one_source_whatever_it_calls_itself() {
        let key = |text: &str| SourceKey::of(text.parse().unwrap());

        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("192.0.2.1"), key("::ffff:192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }

    #[test]
    fn the_table_of_sources_does_not_grow_and_keeps_those_that_matter() {
        let (mut gate, start) = gate();
        gate.sources.most = 64;
        gate.call_began(CallRef(1), source(1), start);
        for _ in 0..10 {
            gate.offended(source(2), Offence::WrongPassword, start);
        }
        for n in 0..10_000 {
            gate.admits_datagram(source(100 + n), OPTIONS, start + Duration::from_millis(u64::from(n)));
        }

        assert_eq!((gate.sources(), gate.sources.keys.len()), (64, 64));
        for (place, key) in gate.sources.keys.iter().enumerate() {
            assert_eq!(gate.sources.by_key[key].place, place);
        }
        assert!(gate.sources.get(SourceKey::of(source(1))).is_some());
        assert!(gate.sources.get(SourceKey::of(source(2))).is_some());
    }

    #[test]
    fn sources_are_forgotten_when_they_matter_no_more() {
        let (mut gate, start) = gate();
        let seconds = |seconds| start + Duration::from_secs(seconds);
        for n in 0..10_000 {
            gate.admits_datagram(source(100 + n), OPTIONS, start + Duration::from_millis(u64::from(n)));
        }
        let known = gate.sources();
        gate.call_began(CallRef(1), source(1), start);
        gate.offended(source(2), Offence::WrongPassword, start);
        gate.offended(source(3), Offence::WrongPassword, start);
        gate.authenticated(source(3), start);
        (0..10).for_each(|_| gate.offended(source(4), Offence::WrongPassword, start));
        assert!(known > 5000 && !gate.admits_datagram(source(4), OPTIONS, start));

        let mut left = Vec::new();
        let mut now = start;
        while let Some(at) = gate.next_deadline().filter(|at| *at <= seconds(90_000)) {
            now = at.max(now);
            gate.tick(now);
            left.push((gate.sources(), now));
        }

        let after = |at| left.iter().rfind(|(_, now)| *now <= seconds(at)).map(|(count, _)| *count);
        assert_eq!(after(39), Some(known + 4), "those of the flood rest for 40 s");
        assert_eq!(after(61), Some(3), "three offences are forgiven after 60 s");
        assert_eq!((after(7199), after(7241)), (Some(3), Some(2)), "proven for two hours");
        assert_eq!(after(86_500), Some(1), "a call goes on; a ban was remembered for a day");
        assert!(gate.sources.by_key.capacity() < 200 && gate.sources.keys.capacity() < 200);
        gate.call_ended(CallRef(1));
        gate.tick(now + Duration::from_secs(60));
        gate.tick(now + Duration::from_secs(120));
        assert_eq!((gate.sources(), gate.next_deadline()), (0, None));
    }

    #[test]
    fn a_report_tells_reasons_and_networks_once_a_minute() {
        let (mut gate, start) = gate();
        assert_eq!(gate.report(start), None);
        for _ in 0..1000 {
            gate.admits_datagram("198.51.100.7".parse().unwrap(), OPTIONS, start);
        }

        let report = gate.report(start).unwrap();
        gate.admits_datagram("2001:db8:1:2::7".parse().unwrap(), OPTIONS, start);
        count(500, |_| gate.admits_datagram("2001:db8:1:2::7".parse().unwrap(), OPTIONS, start));

        assert_eq!(report.dropped, [(Dropped::TooMuch, 850)]);
        assert_eq!(format!("{:?}", report.networks), "[(198.51.100.0/24, 850)]");
        assert_eq!(gate.report(start + REPORT_EVERY - Duration::from_secs(1)), None);
        let next = gate.report(start + REPORT_EVERY).unwrap();
        assert_eq!(format!("{:?}", next.networks), "[(2001:db8:1::/48, 351)]");
    }

    #[test]
    fn no_request_of_a_stranger_is_answered_with_more_than_one_and_a_half_times_its_bytes() {
        for method in
            ["INVITE", "OPTIONS", "BYE", "CANCEL", "INFO", "REGISTER", "SUBSCRIBE", "NOTIFY", "MESSAGE", "UPDATE", "NONSENSE"]
        {
            for padding in [0, 200, 2000] {
                for repeats in [1, 7] {
                    let (received, sent) = conversation(method, padding, repeats);

                    assert!(2 * sent <= 3 * received, "{method} {padding} {repeats}: {sent} bytes for {received}");
                    assert!(method == "INVITE" && padding == 0 || sent > 0, "{method} {padding} is answered at all");
                }
            }
        }
    }

    #[test]
    fn a_stranger_gets_its_answer_however_short_its_invite_is() {
        let (_, sent) = conversation("INVITE", 0, 3);

        assert!(sent > 300, "only {sent} bytes were sent");
    }

    proptest! {
        #[test]
        fn whatever_comes_no_source_is_sent_more_than_it_earned(
            steps in proptest::collection::vec((0_u32..4, 1_usize..3000, any::<bool>()), 1..200)
        ) {
            let (mut gate, start) = gate();
            gate.sources.most = 3;
            let mut balance = [0_i64; 4];
            let mut now = start;
            for (who, bytes, comes) in steps {
                now += Duration::from_millis(100);
                let text = vec![b'S'; bytes];
                if comes {
                    gate.admits_datagram(source(who), &text, now);
                    balance[who as usize] += 3 * bytes as i64;
                } else if gate.admits_reply(source(who), &[b"SIP/2.0 200 ", &text[..]].concat(), now) {
                    balance[who as usize] -= 2 * (bytes as i64 + 12);
                }
                prop_assert!(balance[who as usize] >= 0);
            }
        }
    }

    /// Sends a request from a stranger who reacts to nothing, repeating it, and waits until everything is over. Answers the bytes
    /// that went in and that went out.
    fn conversation(method: &str, padding: usize, repeats: u32) -> (usize, usize) {
        let (mut gate, start) = gate();
        let mut uas = Uas::new(UasConfig::default(), [1; 32]);
        let flow = Flow::udp("192.0.2.1:5060".parse().unwrap(), "198.51.100.1:5060".parse().unwrap());
        let request = request(method, padding);
        let (mut received, mut sent, mut now) = (0, 0, start);
        for step in 0..600 {
            now = start + Duration::from_millis(500 * step);
            if step < u64::from(repeats) {
                received += request.len();
                if gate.admits_datagram(flow.remote.ip(), &request, now) {
                    uas.handle(&flow, &request, now);
                }
            }
            uas.tick(now);
            while let Some(output) = uas.poll() {
                match output {
                    Output::Send { flow, bytes, .. } => {
                        if gate.admits_reply(flow.remote.ip(), &bytes, now) {
                            sent += bytes.len();
                        }
                    }
                    Output::Event(call, Event::Incoming(_)) => {
                        gate.call_began(call, flow.remote.ip(), now);
                        uas.command(call, Command::Answer { sdp: vec![b'v'; 250] }, now);
                    }
                    Output::Event(call, Event::Ended(_)) => gate.call_ended(call),
                    Output::Event(..) | Output::Answered(..) | Output::Farewell(..) => {}
                    Output::Request(request, _) => uas.respond(request, Reply::status(200), now),
                }
            }
        }
        assert!(uas.is_idle() && now > start + Duration::from_mins(4));
        (received, sent)
    }

    fn request(method: &str, padding: usize) -> Vec<u8> {
        format!(
            "{method} sip:1001@vm SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.1;rport;branch=z9hG4bKa\r\nMax-Forwards: 70\r\n\
             From: <sip:a@far>;tag=1\r\nTo: <sip:1001@vm>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\nContact: <sip:a@198.51.100.1>\r\n\
             X: {}\r\nContent-Length: 0\r\n\r\n",
            "x".repeat(padding)
        )
        .into_bytes()
    }

    #[test]
    fn a_host_that_the_operator_has_chosen_is_told_whatever_there_is_to_tell() {
        let (mut gate, now) = gate();
        let notify = [b"NOTIFY ".to_vec(), vec![b'x'; 600]].concat();
        assert!(gate.admits_datagram(source(1), b"OPTIONS sip:a", now));
        assert!(!gate.admits_reply(source(1), &notify, now));

        gate.chosen(source(1), now);
        gate.chosen(source(2), now);

        assert_eq!(count(1000, |_| gate.admits_reply(source(1), &notify, now)), 1000);
        assert_eq!(count(1000, |_| gate.admits_reply(source(2), &notify, now)), 1000);
    }

    fn gate() -> (Gate, Instant) {
        let start = Instant::now() + Duration::from_hours(1);
        let trusts = Arc::new(|address| address == trusted());
        (Gate::new(GateConfig { trusts, ..GateConfig::default() }, [7; 32], start), start)
    }

    fn source(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into()
    }

    fn trusted() -> IpAddr {
        IpAddr::from([192, 0, 2, 10])
    }

    fn count(times: u32, mut what: impl FnMut(u32) -> bool) -> u32 {
        (0..times).map(|n| u32::from(what(n))).sum()
    }
}
