//! DTLS handshakes (RFC 5764), on a thread of their own: their public-key work takes longer than a media thread has, and its
//! other calls would hear it. Sessions hand datagrams over and are told what to send, and in the end the keys.

use std::{
    collections::HashMap,
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Weak,
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

use dimpl::{Dtls, DtlsCertificate, Output, SrtpProfile};

use super::{order::Order, thread::Orders};
use crate::rtp::{
    secure::{DtlsTerms, Fingerprint},
    srtp::{MasterKey, Suite},
};

/// How many datagrams and other tasks wait at most. More are lost, and come again.
const TASKS: usize = 1024;
/// How many handshakes may be unfinished at once; a call beyond that fails.
const MOST_UNFINISHED: usize = 256;
/// How many of them may be with one host. What comes from it for more is lost, and comes again when others are done.
const MOST_OF_ONE_HOST: usize = 32;
/// How long a finished one is kept, to repeat its last words to a peer that did not hear them.
const LINGER: Duration = Duration::from_secs(30);
/// How long a handshake may take.
const LONGEST: Duration = Duration::from_secs(20);
/// How often a call's handshake may fail, as when a stranger meddles, before the call does.
const ATTEMPTS: u8 = 3;
/// The most bytes of a datagram, so that it passes tunnels.
const LONGEST_DATAGRAM: usize = 1200;

/// The certificate with which this process answers handshakes. Made anew at each start, as descriptions name it.
pub(super) struct Identity {
    certificate: DtlsCertificate,
    fingerprint: Fingerprint,
}

impl Identity {
    /// A new key on the curve P-256, which every peer has (RFC 8827 §6.5), and a certificate for it.
    ///
    /// # Errors
    ///
    /// When the system has no randomness.
    pub(super) fn generate() -> io::Result<Self> {
        let make = || {
            let key = rcgen::KeyPair::generate()?;
            let mut parameters = rcgen::CertificateParams::default();
            // Some peers take two certificates with one serial number for the same.
            parameters.serial_number = Some(rcgen::SerialNumber::from(rand::random::<[u8; 16]>().to_vec()));
            let certificate = parameters.self_signed(&key)?;
            Ok((certificate.der().to_vec(), key.serialize_der()))
        };
        let (certificate, private_key) = make().map_err(|error: rcgen::Error| io::Error::other(error))?;
        let fingerprint = Fingerprint::of(&certificate);
        Ok(Self { certificate: DtlsCertificate { certificate, private_key }, fingerprint })
    }

    /// The fingerprint that descriptions name.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// Something for the thread to do.
enum Task {
    Begin { session: u64, orders: Weak<Orders>, terms: DtlsTerms, peer: SocketAddr },
    Datagram { session: u64, source: SocketAddr, bytes: Box<[u8]> },
    End { session: u64 },
}

/// What a session is told.
pub(super) enum Told {
    /// Send this to the peer.
    Send(SocketAddr, Box<[u8]>),
    /// The handshake is done, and these are the keys.
    Keys {
        /// Who it was done with.
        peer: Fingerprint,
        /// For what we send.
        send: MasterKey,
        /// For what the peer sends.
        receive: MasterKey,
    },
    /// Nothing comes of it.
    Failed,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Send(..) => "Send",
            Self::Keys { .. } => "Keys",
            Self::Failed => "Failed",
        })
    }
}

/// The way to the thread. It ends when the last of these is gone.
#[derive(Clone, Debug)]
pub(super) struct Handshakes(SyncSender<Task>);

impl Handshakes {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the system has no more threads.
    pub(super) fn start(identity: Identity) -> io::Result<Self> {
        let (sender, tasks) = mpsc::sync_channel(TASKS);
        thread::Builder::new().name("handshakes".to_owned()).spawn(move || Thread::new(identity).run(&tasks))?;
        Ok(Self(sender))
    }

    /// Prepares the handshake of a session, and begins it if that is for us to do. One before it is forgotten. Says whether there
    /// was room.
    pub(super) fn begin(&self, session: u64, orders: &Weak<Orders>, terms: DtlsTerms, peer: SocketAddr) -> bool {
        self.0.try_send(Task::Begin { session, orders: Weak::clone(orders), terms, peer }).is_ok()
    }

    /// Hands over a datagram of a session. It may be lost, as on the way here.
    pub(super) fn datagram(&self, session: u64, source: SocketAddr, bytes: &[u8]) {
        let _ = self.0.try_send(Task::Datagram { session, source, bytes: bytes.into() });
    }

    /// Forgets the handshake of a session.
    pub(super) fn end(&self, session: u64) {
        // If there is no room it lingers for a while, and is forgotten then.
        let _ = self.0.try_send(Task::End { session });
    }
}

struct Thread {
    identity: Identity,
    config: Arc<dimpl::Config>,
    handshakes: HashMap<u64, Handshake>,
    buffer: Vec<u8>,
}

struct Handshake {
    dtls: Dtls,
    terms: DtlsTerms,
    orders: Weak<Orders>,
    peer: SocketAddr,
    /// Whether anything has come from the peer.
    heard: bool,
    /// When it wants to be looked at.
    due: Instant,
    /// When it is forgotten.
    end: Instant,
    finished: bool,
    peer_is_right: bool,
    failures: u8,
}

impl Thread {
    fn new(identity: Identity) -> Self {
        let config = dimpl::Config::builder().mtu(LONGEST_DATAGRAM).handshake_timeout(LONGEST).build();
        let config = Arc::new(config.expect("the configuration contradicts nothing"));
        Self { identity, config, handshakes: HashMap::new(), buffer: vec![0; 2 * LONGEST_DATAGRAM] }
    }

    fn run(&mut self, tasks: &Receiver<Task>) {
        loop {
            let due = self.handshakes.values().map(|handshake| handshake.due.min(handshake.end)).min();
            let task = match due {
                Some(due) => tasks.recv_timeout(due.saturating_duration_since(Instant::now())),
                None => tasks.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match task {
                Ok(Task::Begin { session, orders, terms, peer }) => self.begin(session, orders, terms, peer),
                Ok(Task::Datagram { session, source, bytes }) => self.step(session, Some((source, &bytes))),
                Ok(Task::End { session }) => _ = self.handshakes.remove(&session),
                Err(RecvTimeoutError::Timeout) => self.tick(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn begin(&mut self, session: u64, orders: Weak<Orders>, terms: DtlsTerms, peer: SocketAddr) {
        self.handshakes.remove(&session);
        if self.handshakes.values().filter(|handshake| !handshake.finished).count() >= MOST_UNFINISHED {
            tracing::warn!("too many handshakes at once; a call has no audio");
            return tell(&orders, session, Told::Failed);
        }
        let now = Instant::now();
        let handshake = Handshake {
            dtls: dtls(&self.config, &self.identity, terms.active, now),
            terms,
            orders,
            peer,
            heard: false,
            due: now,
            end: now + LONGEST,
            finished: false,
            peer_is_right: false,
            failures: 0,
        };
        self.handshakes.insert(session, handshake);
        self.step(session, None);
    }

    /// How many handshakes with a host have begun on its side and are not done.
    fn unfinished_with(&self, host: IpAddr) -> usize {
        let is_one = |handshake: &&Handshake| handshake.heard && !handshake.finished && handshake.peer.ip() == host;
        self.handshakes.values().filter(is_one).count()
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let due = self.handshakes.iter().filter(|(_, handshake)| handshake.due.min(handshake.end) <= now);
        let due: Vec<u64> = due.map(|(&session, _)| session).collect();
        due.into_iter().for_each(|session| self.step(session, None));
    }

    /// Gives a handshake the time and perhaps a datagram, and passes on what comes of it.
    fn step(&mut self, session: u64, datagram: Option<(SocketAddr, &[u8])>) {
        let now = Instant::now();
        let is_full = |(source, _): &(SocketAddr, &[u8])| self.unfinished_with(source.ip()) >= MOST_OF_ONE_HOST;
        let is_first = self.handshakes.get(&session).is_some_and(|handshake| !handshake.heard);
        if is_first && datagram.as_ref().is_some_and(is_full) {
            return;
        }
        let Some(handshake) = self.handshakes.get_mut(&session) else { return };
        if handshake.end <= now {
            if !handshake.finished {
                tell(&handshake.orders, session, Told::Failed);
            }
            self.handshakes.remove(&session);
            return;
        }
        let mut went = handshake.dtls.handle_timeout(now).map_err(Failure::Dtls);
        if let (Ok(()), Some((source, bytes))) = (&went, datagram) {
            (handshake.peer, handshake.heard) = (source, true);
            went = handshake.dtls.handle_packet(bytes).map_err(Failure::Dtls);
        }
        let went = went.and_then(|()| handshake.pass_on(session, now, &mut self.buffer));
        let Err(error) = went else { return };
        if handshake.finished {
            // Its keys go on without it.
            self.handshakes.remove(&session);
            return;
        }
        handshake.failures += 1;
        tracing::debug!(%error, attempt = handshake.failures, "a DTLS handshake failed");
        // Whoever got as far as to show a certificate does not begin again, nor is it begun with somebody who said nothing.
        if handshake.failures == ATTEMPTS || !handshake.heard || !matches!(error, Failure::Dtls(_)) {
            tell(&handshake.orders, session, Told::Failed);
            self.handshakes.remove(&session);
            return;
        }
        handshake.dtls = dtls(&self.config, &self.identity, handshake.terms.active, now);
        handshake.due = now;
        handshake.peer_is_right = false;
    }
}

fn dtls(config: &Arc<dimpl::Config>, identity: &Identity, active: bool, now: Instant) -> Dtls {
    // A client of DTLS 1.3 fills its first datagram up to be answered by much; ours may go to somebody who asked for nothing.
    let new = if active { Dtls::new_12 } else { Dtls::new_auto };
    let mut dtls = new(Arc::clone(config), identity.certificate.clone(), now);
    dtls.set_active(active);
    dtls
}

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("DTLS: {0}")]
    Dtls(dimpl::Error),
    #[error("the peer's certificate is not the one that its description names")]
    WrongCertificate,
    #[error("the peer has shown no certificate")]
    NoCertificate,
    #[error("the handshake chose an encryption that we do not have")]
    UnknownSuite,
}

impl Handshake {
    /// Passes on what DTLS has to say.
    fn pass_on(&mut self, session: u64, now: Instant, buffer: &mut Vec<u8>) -> Result<(), Failure> {
        loop {
            match self.dtls.poll_output(buffer) {
                Output::Packet(bytes) => tell(&self.orders, session, Told::Send(self.peer, bytes.into())),
                Output::BufferTooSmall { needed } => buffer.resize(needed, 0),
                Output::PeerCert(certificate) => {
                    if !self.terms.peer.matches(certificate) {
                        return Err(Failure::WrongCertificate);
                    }
                    self.peer_is_right = true;
                }
                Output::KeyingMaterial(material, profile) => {
                    if !self.peer_is_right {
                        return Err(Failure::NoCertificate);
                    }
                    let keys = keys(&material, profile, &self.terms).ok_or(Failure::UnknownSuite)?;
                    self.finished = true;
                    self.end = now + LINGER;
                    tell(&self.orders, session, keys);
                }
                Output::Timeout(due) => {
                    // Never at once again, whatever it asks for.
                    self.due = due.max(now + Duration::from_millis(1));
                    return Ok(());
                }
                // We have no use for data, and the end of the call is told by SIP.
                Output::Connected | Output::ApplicationData(_) | Output::CloseNotify => {}
                _ => {}
            }
        }
    }
}

/// Splits the keys that both sides derive: the client's and the server's key, then the client's and the server's salt
/// (RFC 5764 §4.2).
fn keys(material: &[u8], profile: SrtpProfile, terms: &DtlsTerms) -> Option<Told> {
    let suite = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Suite::AesCm128HmacSha1_80,
        SrtpProfile::AEAD_AES_128_GCM => Suite::AeadAes128Gcm,
        SrtpProfile::AEAD_AES_256_GCM => Suite::AeadAes256Gcm,
        // One that a later version of the crate may know.
        _ => return None,
    };
    let (keys, salts) = material.split_at_checked(2 * suite.key_length())?;
    let (client_key, server_key) = keys.split_at(suite.key_length());
    let (client_salt, server_salt) = salts.get(..2 * suite.salt_length())?.split_at(suite.salt_length());
    let of_client = MasterKey::new(suite, &[client_key, client_salt].concat())?;
    let of_server = MasterKey::new(suite, &[server_key, server_salt].concat())?;
    let (send, receive) = if terms.active { (of_client, of_server) } else { (of_server, of_client) };
    Some(Told::Keys { peer: terms.peer, send, receive })
}

fn tell(orders: &Weak<Orders>, session: u64, told: Told) {
    if let Some(orders) = orders.upgrade() {
        orders.send(session, Order::Handshake(told));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;

    use super::*;

    const SERVER: u64 = 1;
    const CLIENT: u64 = 2;

    #[test]
    fn two_sides_agree_on_keys() {
        let (mut server, mut client) = (Side::new(), Side::new());

        let (ours, theirs) = shake_hands(&mut server, &mut client, |_| false);

        let (Told::Keys { send, receive, .. }, Told::Keys { send: sent, receive: received, .. }) = (ours, theirs) else {
            panic!("no keys")
        };
        assert!(send == received && receive == sent && send != receive);
    }

    #[test]
    fn what_is_lost_on_the_way_comes_again() {
        let (mut server, mut client) = (Side::new(), Side::new());

        // The first of each flight.
        let (ours, theirs) = shake_hands(&mut server, &mut client, |datagram| [0, 3, 5].contains(&datagram));

        assert!(matches!((ours, theirs), (Told::Keys { .. }, Told::Keys { .. })));
    }

    #[test]
    fn another_certificate_than_the_one_described_fails() {
        let (mut server, mut client) = (Side::new(), Side::new());
        server.expects = Some(Fingerprint::of(b"somebody else's"));

        let (ours, _) = shake_hands(&mut server, &mut client, |_| false);

        assert!(matches!(ours, Told::Failed));
    }

    #[test]
    fn bytes_that_are_no_handshake_do_not_hinder_it() {
        let (mut server, mut client) = (Side::new(), Side::new());
        server.begin(SERVER, client.fingerprint, false);
        for length in 1..100 {
            server.handshakes.datagram(SERVER, peer(), &vec![22; length]);
            server.handshakes.datagram(99, peer(), &[22, 254, 255]);
        }

        let (ours, theirs) = shake_hands(&mut server, &mut client, |_| false);

        assert!(matches!((ours, theirs), (Told::Keys { .. }, Told::Keys { .. })));
    }

    #[test]
    fn unfinished_handshakes_are_bounded() {
        let side = Side::new();
        for session in 0..MOST_UNFINISHED as u64 + 1 {
            while !side.begin(session, side.fingerprint, false) {
                thread::yield_now();
            }
        }

        let (session, order) = side.orders.recv_timeout(Duration::from_secs(20)).expect("one too many");

        assert!(session == MOST_UNFINISHED as u64 && matches!(order, Order::Handshake(Told::Failed)));
    }

    #[test]
    fn one_host_cannot_have_all_handshakes() {
        let (server, client) = (Side::new(), Side::new());
        client.begin(CLIENT, server.fingerprint, true);
        let hello = match client.orders.recv_timeout(Duration::from_secs(20)).expect("a hello") {
            (_, Order::Handshake(Told::Send(_, hello))) => hello,
            other => panic!("{other:?}"),
        };

        let (greedy, last) = (MOST_OF_ONE_HOST as u64, MOST_OF_ONE_HOST as u64 + 1);
        for session in 0..=last {
            server.begin(session, client.fingerprint, false);
            let host = if session == last { SocketAddr::from(([192, 0, 2, 2], 4000)) } else { peer() };
            server.handshakes.datagram(session, host, &hello);
        }

        let mut answered = Vec::new();
        while answered.last() != Some(&last) {
            let (session, order) = server.orders.recv_timeout(Duration::from_secs(20)).expect("the other host is answered");
            assert!(matches!(order, Order::Handshake(Told::Send(_, answer)) if answer.len() <= hello.len()));
            answered.push(session);
        }
        assert!(!answered.contains(&greedy) && answered.contains(&(greedy - 1)), "{answered:?}");
    }

    #[test]
    fn who_says_nothing_is_asked_a_few_times_and_no_more() {
        let side = Side::new();
        side.begin(CLIENT, side.fingerprint, true);

        let mut sent = 0;
        loop {
            match side.orders.recv_timeout(Duration::from_secs(60)).expect("an end") {
                (_, Order::Handshake(Told::Send(_, bytes))) => sent += bytes.len(),
                (_, Order::Handshake(Told::Failed)) => break,
                other => panic!("{other:?}"),
            }
        }

        // The request that named the address was longer than that, with its acknowledgement.
        assert!((200..2000).contains(&sent), "{sent} bytes");
    }

    /// One end, with what its sessions would be told.
    struct Side {
        handshakes: Handshakes,
        fingerprint: Fingerprint,
        expects: Option<Fingerprint>,
        way: Arc<Orders>,
        orders: Receiver<(u64, Order)>,
    }

    impl Side {
        fn new() -> Self {
            let identity = Identity::generate().expect("randomness");
            let fingerprint = identity.fingerprint();
            let (way, orders) = Orders::unserved();
            Self { handshakes: Handshakes::start(identity).expect("a thread"), fingerprint, expects: None, way, orders }
        }

        fn begin(&self, session: u64, peer_is: Fingerprint, active: bool) -> bool {
            let terms = DtlsTerms { peer: self.expects.unwrap_or(peer_is), active, ice: None };
            self.handshakes.begin(session, &Arc::downgrade(&self.way), terms, peer())
        }
    }

    /// Carries datagrams from one side to the other, but for those that `loses` says, until both know what came of it, or the
    /// server does and the client cannot.
    fn shake_hands(server: &mut Side, client: &mut Side, loses: impl Fn(usize) -> bool) -> (Told, Told) {
        server.begin(SERVER, client.fingerprint, false);
        client.begin(CLIENT, server.fingerprint, true);
        let deadline = Instant::now() + Duration::from_secs(60);
        let (mut ours, mut theirs) = (None, None);
        let mut carried = 0;
        loop {
            assert!(Instant::now() < deadline, "no end: {ours:?}, {theirs:?}");
            for (from, to, session, told) in [(&*client, &*server, SERVER, &mut theirs), (&*server, &*client, CLIENT, &mut ours)]
            {
                while let Ok((_, order)) = from.orders.recv_timeout(Duration::from_millis(5)) {
                    match order {
                        Order::Handshake(Told::Send(to_peer, bytes)) => {
                            assert_eq!(to_peer, peer());
                            assert!(bytes.len() <= LONGEST_DATAGRAM);
                            if !loses(carried) {
                                to.handshakes.datagram(session, peer(), &bytes);
                            }
                            carried += 1;
                        }
                        Order::Handshake(other) => *told = Some(other),
                        _ => panic!("no order of a handshake"),
                    }
                }
            }
            match (ours.take(), theirs.take()) {
                (Some(Told::Failed), other) => return (Told::Failed, other.unwrap_or(Told::Failed)),
                (Some(one), Some(other)) => return (one, other),
                (one, other) => (ours, theirs) = (one, other),
            }
        }
    }

    fn peer() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 4000))
    }
}
