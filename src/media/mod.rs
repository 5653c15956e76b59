//! Media threads: the sockets, players and recorders of all calls, outside the asynchronous runtime.
//!
//! A call opens a [`MediaSession`] for a local port, connects it to the stream that SDP agreed on, and then orders: play,
//! record, send keys. What happens comes back as [`MediaEvent`]s. Orders return at once.
//!
//! Per packet there is no allocation, no lock and no wait. [`thread`] has the tick, [`session`] what a call does in it,
//! [`recorder`] the recording, [`prelude`] what it begins with, [`intake`] and [`tape`] what is kept of it, and [`journal`] its way to
//! the disk. What packets mean is decided in `rtp`.

mod clip;
mod handshake;
mod intake;
mod journal;
mod order;
mod packer;
mod ports;
mod prelude;
mod recorder;
mod secure;
mod session;
mod tape;
mod thread;
mod transcoder;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::mpsc;

pub use self::{
    clip::{Clip, EncodedAudio},
    order::{DigitSet, MediaEvent, PlayId, RecordSpec, RecordingEnd, RecordingId, Stream},
};
use self::{handshake::Handshakes, journal::Writer, order::Order, session::Session, thread::Orders};
use crate::{audio::FRAME, dtls::Identity, rtp::secure::Fingerprint};

/// How the media of all calls is handled.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// How many threads share the calls, at least one. One serves some thousands of calls.
    pub threads: usize,
    /// The UDP ports of calls, two each; `None` leaves the choice to the system.
    pub ports: Option<RangeInclusive<u16>>,
    /// How long nothing may come before a call is told [`MediaEvent::RtpTimeout`].
    pub rtp_timeout: Duration,
    /// How often a frame of silence is sent while nothing plays.
    pub keep_alive: Duration,
    /// Who we are in RTCP. Nothing that a stranger should not know.
    pub cname: String,
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self {
            threads: 1,
            ports: None,
            rtp_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(5),
            cname: format!("{:016x}@afterbeep", rand::random::<u64>()),
        }
    }
}

/// The media of all calls.
#[derive(Debug)]
pub struct MediaEngine {
    ports: Option<RangeInclusive<u16>>,
    threads: Vec<Arc<Orders>>,
    fingerprint: Fingerprint,
    next_id: AtomicU64,
}

impl MediaEngine {
    /// Starts the media threads and the writer. They end when the engine and all of its sessions are dropped.
    ///
    /// # Errors
    ///
    /// When the system has no more threads or descriptors.
    pub fn start(config: MediaConfig) -> io::Result<Arc<Self>> {
        allow_many_sockets();
        let writer = Writer::start()?;
        let identity = Identity::generate()?;
        let fingerprint = identity.fingerprint();
        let handshakes = Handshakes::start(identity)?;
        let ports = config.ports.clone();
        let config = Arc::new(config);
        let threads = (0..config.threads.max(1))
            .map(|index| thread::start(index, Arc::clone(&config), writer.clone(), handshakes.clone()))
            .collect::<io::Result<_>>()?;
        Ok(Arc::new(Self { ports, threads, fingerprint, next_id: AtomicU64::new(0) }))
    }

    /// The fingerprint of the certificate with which DTLS handshakes are answered.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Opens a session with a port of its own, which can be put into an answer at once. Nothing is taken or sent before it
    /// is connected.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AddrInUse`] when every port is taken, [`io::ErrorKind::NotConnected`] when no media thread is left, or
    /// what the system says.
    pub fn open(&self, spec: SessionSpec) -> io::Result<MediaSession> {
        let ports = ports::bind(spec.local_ip, self.ports.as_ref())?;
        let local = ports.local;
        let living = self.threads.iter().filter(|orders| !orders.is_gone());
        let orders = living.min_by_key(|orders| orders.sessions.load(Ordering::Relaxed));
        let orders = Arc::clone(orders.ok_or(io::ErrorKind::NotConnected)?);
        orders.sessions.fetch_add(1, Ordering::Relaxed);
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let progress = Arc::new(AtomicU64::new(0));
        let session = Session::new(id, ports, spec.proven, spec.events, Arc::clone(&progress));
        let opened = orders.send(id, Order::Open(Box::new(session)));
        let session = MediaSession { id, local, orders, progress };
        if opened { Ok(session) } else { Err(io::ErrorKind::NotConnected.into()) }
    }
}

/// What a session needs from the start.
#[derive(Clone, Debug)]
pub struct SessionSpec {
    /// The address to listen on and send from.
    pub local_ip: IpAddr,
    /// The only host that is sent something before it has sent anything, for it has answered otherwise; none if the peer is trusted to
    /// name the right one.
    pub proven: Option<IpAddr>,
    /// Where to tell what happens.
    pub events: mpsc::Sender<MediaEvent>,
}

/// The media of one call. Dropping it ends a recording, says goodbye to the peer and frees the ports.
#[derive(Debug)]
pub struct MediaSession {
    id: u64,
    local: SocketAddr,
    orders: Arc<Orders>,
    progress: Arc<AtomicU64>,
}

impl MediaSession {
    /// The port for RTP; RTCP has the next.
    #[must_use]
    pub fn local_port(&self) -> u16 {
        self.local.port()
    }

    /// Address and port for RTP.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Connects to the stream that was agreed on, or to another after a new offer.
    pub fn connect(&self, stream: Stream) {
        self.order(Order::Connect(Box::new(stream)));
    }

    /// Plays clips in a row, instead of what is playing. [`MediaEvent::PlaybackDone`] follows unless it is stopped or replaced.
    ///
    /// Nothing is sent, and so nothing ends, before the session is connected to a peer that wants to hear us.
    pub fn play(&self, id: PlayId, clips: Vec<Clip>) {
        self.order(Order::Play(id, clips));
    }

    /// Stops playing for good. What was said until now belongs to no recording.
    pub fn stop_playing(&self) {
        self.order(Order::StopPlaying);
    }

    /// Interrupts playing.
    pub fn pause_playing(&self) {
        self.order(Order::PausePlaying);
    }

    /// Goes on where playing was interrupted.
    pub fn resume_playing(&self) {
        self.order(Order::ResumePlaying);
    }

    /// How much of a `play` has been sent so far, its pauses not counted; `None` when another was the last to begin, or when
    /// it has not begun yet. Stays when it has been stopped or is done.
    #[must_use]
    pub fn position(&self, PlayId(id): PlayId) -> Option<Duration> {
        let progress = self.progress.load(Ordering::Relaxed);
        ((progress >> 32) as u32 == id).then(|| FRAME * progress as u32)
    }

    /// Records what the peer says, from the end of what has just been played to its end if neither [`play`](Self::play) nor
    /// [`stop_playing`](Self::stop_playing) came since, else from now on. What is said more than a second after such an end, and
    /// before this order, is silence in the recording. Ends in exactly one [`MediaEvent::RecordingDone`], also when another
    /// recording begins or the session is dropped.
    pub fn record(&self, spec: RecordSpec) {
        self.order(Order::Record(Box::new(spec)));
    }

    /// Ends the recording, if there is one.
    pub fn stop_recording(&self) {
        self.order(Order::StopRecording);
    }

    /// Presses a key, after those that were sent before: by telephone-event, or as a tone when there is none. What plays
    /// waits.
    pub fn send_digit(&self, digit: char, length: Duration) {
        self.order(Order::SendDigit(digit, length));
    }

    fn order(&self, order: Order) {
        self.orders.send(self.id, order);
    }
}

impl Drop for MediaSession {
    fn drop(&mut self) {
        self.order(Order::Close);
    }
}

/// Raises the limit of open files as far as we may: a call takes two sockets and its recording a file.
fn allow_many_sockets() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        tracing::warn!(%error, files = ?limit.current, "the limit of open files stays as it is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_not_given_to_a_media_thread_that_is_gone() {
        let (gone, its_orders) = Orders::unserved();
        drop(its_orders);
        let (living, _orders) = Orders::unserved();
        let engine = MediaEngine {
            ports: None,
            threads: vec![gone, living],
            fingerprint: Fingerprint::of(b""),
            next_id: AtomicU64::new(0),
        };
        let (events, _told) = mpsc::channel(1);
        let spec = || SessionSpec { local_ip: IpAddr::from([127, 0, 0, 1]), proven: None, events: events.clone() };

        let first = engine.open(spec());
        let second = engine.open(spec());

        assert_eq!(first.map(|_| ()).unwrap_err().kind(), io::ErrorKind::NotConnected);
        assert!(second.is_ok(), "{second:?}");
    }
}
