//! DTLS handshakes on a thread of their own: their public-key work takes longer than a media thread has, and its other calls would
//! hear it. Sessions hand datagrams over and are told what to send, and in the end the keys.

use std::{
    collections::HashMap,
    fmt, io,
    net::{IpAddr, SocketAddr},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Weak,
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    thread,
    time::Instant,
};

use super::{order::Order, thread::Orders};
use crate::{
    dtls::{Handshake, Identity, Output},
    rtp::{
        secure::{DtlsTerms, Fingerprint},
        srtp::MasterKey,
    },
};

/// How many datagrams and other tasks wait at most. More are lost, and come again.
const TASKS: usize = 1024;
/// How many handshakes may be unfinished at once; a call beyond that fails.
const MOST_UNFINISHED: usize = 256;
/// How many of them may be with one host. What comes from it for more is lost, and comes again when others are done.
const MOST_OF_ONE_HOST: usize = 32;

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
        let mut thread = Thread { identity: Arc::new(identity), handshakes: HashMap::new() };
        thread::Builder::new().name("handshakes".to_owned()).spawn(move || thread.run(&tasks))?;
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
    identity: Arc<Identity>,
    handshakes: HashMap<u64, (Handshake, Weak<Orders>)>,
}

impl Thread {
    fn run(&mut self, tasks: &Receiver<Task>) {
        loop {
            let due = self.handshakes.values().map(|(handshake, _)| handshake.due()).min();
            let task = match due {
                Some(due) => tasks.recv_timeout(due.saturating_duration_since(Instant::now())),
                None => tasks.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match task {
                Ok(Task::Begin { session, orders, terms, peer }) => self.begin(session, orders, terms, peer),
                Ok(Task::Datagram { session, source, bytes }) => self.take(session, source, &bytes),
                Ok(Task::End { session }) => _ = self.handshakes.remove(&session),
                Err(RecvTimeoutError::Timeout) => self.tick(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn begin(&mut self, session: u64, orders: Weak<Orders>, terms: DtlsTerms, peer: SocketAddr) {
        self.handshakes.remove(&session);
        if self.unfinished().count() >= MOST_UNFINISHED {
            tracing::warn!("too many handshakes at once; a call has no audio");
            return tell(&orders, session, Told::Failed);
        }
        self.handshakes.insert(session, (Handshake::new(&self.identity, terms, peer, Instant::now()), orders));
        self.step(session, None);
    }

    fn take(&mut self, session: u64, source: SocketAddr, bytes: &[u8]) {
        let Some((handshake, _)) = self.handshakes.get(&session) else { return };
        if handshake.heard_from().is_some() || self.unfinished_with(source.ip()) < MOST_OF_ONE_HOST {
            self.step(session, Some((source, bytes)));
        }
    }

    fn unfinished(&self) -> impl Iterator<Item = &Handshake> {
        self.handshakes.values().map(|(handshake, _)| handshake).filter(|handshake| !handshake.is_finished())
    }

    fn unfinished_with(&self, host: IpAddr) -> usize {
        self.unfinished().filter(|handshake| handshake.heard_from().is_some_and(|peer| peer.ip() == host)).count()
    }

    fn tick(&mut self) {
        let now = Instant::now();
        let due = self.handshakes.iter().filter(|(_, (handshake, _))| handshake.due() <= now);
        let due: Vec<u64> = due.map(|(&session, _)| session).collect();
        due.into_iter().for_each(|session| self.step(session, None));
    }

    /// Gives a handshake the time and perhaps a datagram, and passes on what comes of it.
    fn step(&mut self, session: u64, datagram: Option<(SocketAddr, &[u8])>) {
        let Some((handshake, orders)) = self.handshakes.get_mut(&session) else { return };
        let peer = handshake.terms().peer;
        let mut pass_on = |output: Output<'_>| {
            let told = match output {
                Output::Send(to, bytes) => Told::Send(to, bytes.into()),
                Output::Keys { send, receive } => Told::Keys { peer, send, receive },
                Output::Failed => Told::Failed,
            };
            tell(orders, session, told);
        };
        // Strangers' bytes go through much code that is not ours: should it break off, it does so for this call only.
        let goes_on = catch_unwind(AssertUnwindSafe(|| handshake.step(Instant::now(), datagram, &mut pass_on)));
        if goes_on.is_err() {
            tracing::error!("a DTLS handshake broke off; its call has no audio");
            pass_on(Output::Failed);
        }
        if !goes_on.unwrap_or(false) {
            self.handshakes.remove(&session);
        }
    }
}

fn tell(orders: &Weak<Orders>, session: u64, told: Told) {
    if let Some(orders) = orders.upgrade() {
        orders.send(session, Order::Handshake(told));
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc::Receiver, time::Duration};

    use super::*;

    const CLIENT: u64 = 2;

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

    /// One end, with what its sessions would be told.
    struct Side {
        handshakes: Handshakes,
        fingerprint: Fingerprint,
        way: Arc<Orders>,
        orders: Receiver<(u64, Order)>,
    }

    impl Side {
        fn new() -> Self {
            let identity = Identity::generate().expect("randomness");
            let fingerprint = identity.fingerprint();
            let (way, orders) = Orders::unserved();
            Self { handshakes: Handshakes::start(identity).expect("a thread"), fingerprint, way, orders }
        }

        fn begin(&self, session: u64, peer_is: Fingerprint, active: bool) -> bool {
            let terms = DtlsTerms { peer: peer_is, active, ice: None };
            self.handshakes.begin(session, &Arc::downgrade(&self.way), terms, peer())
        }
    }

    fn peer() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 4000))
    }
}
