//! One connection, of TCP or something above it: a task that reads messages and writes what waits, so that a stuck peer holds up
//! nobody but itself.

use std::{
    future::pending,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::StreamExt as _;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};
use tokio_rustls::TlsStream;
use tracing::debug;

use super::{
    flow::{ConnectionId, Flow, Proof, Transport},
    introduction::Introduction,
    tls::Tls,
    websocket::{self, WebSocket},
    wire::{Frame, StreamFramer},
};

/// How many messages may wait for a peer that reads slowly. A peer behind by more is cut off.
const WRITE_QUEUE: usize = 128;
/// How long one message may take to be written.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long making a TCP connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection is not kept open without a word for longer than this.
const LONGEST_PROMISE: Duration = Duration::from_hours(24);
/// How long saying farewell may take.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Keep-alives that are answered at once; after so many, one a second. Peers send one in 95 to 120 seconds (RFC 5626 §4.4.1).
const PINGS: u32 = 16;

/// When connections are refused or closed.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// Connections at once, in both directions.
    pub connections: usize,
    /// Connections at once from one address.
    pub connections_per_address: usize,
    /// Connections at once that have not shaken hands yet (TLS, WebSocket), of all peers. More are refused before they cost more than
    /// a socket.
    pub handshakes: usize,
    /// Connections at once from one address that have not shaken hands yet.
    pub handshakes_per_address: usize,
    /// How long shaking hands may take.
    pub handshake: Duration,
    /// How long a new connection may take to send its first whole message.
    pub first_message: Duration,
    /// How long a connection that no call, registration or subscription needs may stay without a whole message or keep-alive.
    pub idle: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_address: 1024,
            handshakes: 512,
            handshakes_per_address: 64,
            handshake: Duration::from_secs(10),
            first_message: Duration::from_secs(30),
            idle: Duration::from_mins(10),
        }
    }
}

/// What a connection tells the task that owns the user agent server.
#[derive(Debug)]
pub(super) enum FromConnection {
    /// Hands have been shaken; of an accepted TCP connection, for which there is nothing to do, it is not told.
    Opened(ConnectionId, Introduction),
    /// A whole message came.
    Message(ConnectionId, Bytes),
    /// The connection is no more.
    Closed(ConnectionId),
}

/// The bytes of a connection.
pub(super) enum Stream {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    WebSocket(Box<WebSocket>),
}

/// What hands are shaken with when somebody connects.
#[derive(Clone, Debug)]
pub(super) struct Hands {
    pub(super) tls: Tls,
    /// The sites whose pages may open a WebSocket; if there are none, all may.
    pub(super) origins: Arc<[String]>,
}

impl Stream {
    /// What becomes of a connection that was accepted, for this transport.
    async fn accepted(stream: TcpStream, transport: Transport, hands: Hands) -> io::Result<(Self, Introduction)> {
        prepare(&stream);
        match transport {
            Transport::Udp | Transport::Tcp => Ok((Self::Tcp(stream), Introduction::default())),
            Transport::Tls => {
                let (stream, introduction) = hands.tls.accept(stream).await?;
                Ok((Self::Tls(Box::new(stream)), introduction))
            }
            Transport::Ws => {
                let socket = websocket::accept(Box::new(stream), hands.origins).await?;
                Ok((Self::WebSocket(Box::new(socket)), Proof::Relayed.into()))
            }
            Transport::Wss => {
                let (stream, introduction) = hands.tls.accept(stream).await?;
                let socket = websocket::accept(Box::new(stream), hands.origins).await?;
                let introduction = if introduction.proof.is_trusted() { introduction } else { Proof::Relayed.into() };
                Ok((Self::WebSocket(Box::new(socket)), introduction))
            }
        }
    }

    /// Connects to `flow.remote`; over TLS, its certificate must have this name.
    pub(super) async fn connected(flow: Flow, name: ServerName<'static>, tls: Tls) -> io::Result<(Self, Introduction)> {
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(flow.remote)).await??;
        prepare(&stream);
        match flow.transport {
            Transport::Tls => {
                let (stream, introduction) = tls.connect(stream, name).await?;
                Ok((Self::Tls(Box::new(stream)), introduction))
            }
            Transport::Tcp => Ok((Self::Tcp(stream), Introduction::default())),
            // Datagrams need none, and a browser takes none.
            Transport::Udp | Transport::Ws | Transport::Wss => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Our own address on it.
    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr(),
            Self::Tls(stream) => stream.get_ref().0.local_addr(),
            Self::WebSocket(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    // A peer that vanished without a word during a call is found out by the kernel.
    let keepalive = TcpKeepalive::new().with_time(Duration::from_mins(1)).with_interval(Duration::from_secs(15));
    let _ = SockRef::from(stream).set_tcp_keepalive(&keepalive);
}

/// A connection as its owner sees it. Dropping it closes the connection after what waits was written.
#[derive(Debug)]
pub(super) struct Connection {
    id: ConnectionId,
    pub(super) flow: Flow,
    /// Whether hands have been shaken.
    pub(super) is_open: bool,
    /// Where the peer takes connections, if it lets us use this one instead.
    pub(super) alias: Option<SocketAddr>,
    queue: mpsc::Sender<Bytes>,
    /// Whose certificate is asked for, until there is one.
    asked: Option<ServerName<'static>>,
    introduction: Introduction,
    need: Arc<Need>,
}

/// Who needs a connection, so that it is not closed for being idle.
#[derive(Debug)]
pub(super) struct Need {
    calls: AtomicUsize,
    born: Instant,
    /// Until when a registration or subscription needs it, in milliseconds since it was born.
    until: AtomicU64,
}

impl Need {
    fn new(now: Instant) -> Self {
        Self { calls: AtomicUsize::new(0), born: now, until: AtomicU64::new(0) }
    }

    /// Until when the connection is to be kept open, whatever does not happen on it. None if nobody needs it.
    fn until(&self, now: Instant, idle: Duration) -> Option<Instant> {
        let calls = (self.calls.load(Ordering::Relaxed) > 0).then(|| now + idle);
        let promised = self.born + Duration::from_millis(self.until.load(Ordering::Relaxed));
        calls.max(Some(promised).filter(|promised| *promised > now))
    }

    fn keep_for(&self, life: Duration, now: Instant) {
        let until = now.saturating_duration_since(self.born) + life.min(LONGEST_PROMISE);
        self.until.fetch_max(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Counts one call on a connection as long as it lives.
pub(super) struct InUse(Arc<Need>);

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection {
    /// Starts the task of a connection that was accepted.
    pub(super) fn accepted(
        stream: TcpStream,
        flow: Flow,
        hands: Hands,
        limits: &ConnectionLimits,
        inbox: mpsc::Sender<FromConnection>,
    ) -> Self {
        let within = limits.handshake;
        let opening = async move { timeout(within, Stream::accepted(stream, flow.transport, hands)).await? };
        Self::start(flow, None, flow.transport == Transport::Tcp, limits, inbox, opening)
    }

    /// Starts the task of a connection that is yet to be made to `flow.remote`.
    pub(super) fn connecting(
        flow: Flow,
        name: ServerName<'static>,
        tls: Tls,
        limits: &ConnectionLimits,
        inbox: mpsc::Sender<FromConnection>,
    ) -> Self {
        let within = CONNECT_TIMEOUT + limits.handshake;
        let asked = Some(name.clone());
        let opening = async move { timeout(within, Stream::connected(flow, name, tls)).await? };
        Self::start(flow, asked, false, limits, inbox, opening)
    }

    /// Starts the task of a connection that is there.
    pub(super) fn open(stream: Stream, flow: Flow, limits: &ConnectionLimits, inbox: mpsc::Sender<FromConnection>) -> Self {
        Self::start(flow, None, true, limits, inbox, async move { Ok((stream, flow.proof.into())) })
    }

    fn start(
        flow: Flow,
        asked: Option<ServerName<'static>>,
        is_open: bool,
        limits: &ConnectionLimits,
        inbox: mpsc::Sender<FromConnection>,
        opening: impl Future<Output = io::Result<(Stream, Introduction)>> + Send + 'static,
    ) -> Self {
        let id = flow.connection.expect("a connection's flow names it");
        let (queue, waiting) = mpsc::channel(WRITE_QUEUE);
        let need = Arc::new(Need::new(Instant::now()));
        let mut reader = Reader {
            id,
            inbox: inbox.clone(),
            pong: queue.downgrade(),
            need: need.clone(),
            idle: limits.idle,
            deadline: Instant::now(),
            pings: Pings::new(Instant::now()),
        };
        let first_message = limits.first_message;
        tokio::spawn(async move {
            let why = match opening.await {
                Ok((stream, introduction)) => {
                    reader.deadline = Instant::now() + first_message;
                    if !is_open {
                        let _ = inbox.send(FromConnection::Opened(id, introduction)).await;
                    }
                    run(stream, reader, waiting).await
                }
                Err(error) => error.to_string(),
            };
            debug!(peer = %flow.remote, transport = %flow.transport, why, "closed a SIP connection");
            let _ = inbox.send(FromConnection::Closed(id)).await;
        });
        Self { id, flow, is_open, alias: None, queue, asked, introduction: flow.proof.into(), need }
    }

    /// Which connection it is.
    pub(super) fn id(&self) -> ConnectionId {
        self.id
    }

    /// Whether its task has ended, of which its owner will hear soon.
    pub(super) fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// Lets a message be written in its turn; whether the peer keeps up.
    pub(super) fn write(&self, bytes: Bytes) -> bool {
        self.queue.try_send(bytes).is_ok()
    }

    /// Hears that hands have been shaken.
    pub(super) fn opened(&mut self, introduction: Introduction) {
        self.flow.proof = introduction.proof;
        self.introduction = introduction;
        self.is_open = true;
    }

    /// What the peer has shown of itself.
    pub(super) fn introduction(&self) -> &Introduction {
        &self.introduction
    }

    /// Whether the peer has proven, or will have when the connection is made, that it is the host of this name.
    pub(super) fn leads_to(&self, name: &ServerName<'_>) -> bool {
        self.asked.as_ref() == Some(name) || self.introduction.names(name)
    }

    /// A call depends on the connection, which is not closed for being idle while the answer lives.
    pub(super) fn used_by_a_call(&self) -> InUse {
        self.need.calls.fetch_add(1, Ordering::Relaxed);
        InUse(self.need.clone())
    }

    /// A registration or subscription of this life depends on the connection.
    pub(super) fn keep_for(&self, life: Duration) {
        self.need.keep_for(life, Instant::now());
    }
}

/// Reads and writes until either side ends; says why.
async fn run(stream: Stream, reader: Reader, waiting: mpsc::Receiver<Bytes>) -> String {
    match stream {
        Stream::Tcp(stream) => {
            let (read_half, write_half) = stream.into_split();
            both(reader.run(read_half), write(write_half, waiting)).await
        }
        Stream::Tls(stream) => {
            let (read_half, write_half) = tokio::io::split(stream);
            both(reader.run(read_half), write(write_half, waiting)).await
        }
        Stream::WebSocket(socket) => {
            let (write_half, read_half) = (*socket).split();
            both(websocket::read(read_half, reader), websocket::write(write_half, waiting)).await
        }
    }
}

async fn both(reading: impl Future<Output = String>, writing: impl Future<Output = String>) -> String {
    tokio::select! {
        why = reading => why,
        why = writing => why,
    }
}

async fn write(mut stream: impl AsyncWrite + Unpin, mut waiting: mpsc::Receiver<Bytes>) -> String {
    while let Some(bytes) = waiting.recv().await {
        let write = async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        };
        match timeout(WRITE_TIMEOUT, write).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return "the peer does not read".to_owned(),
        }
    }
    let _ = timeout(CLOSE_TIMEOUT, stream.shutdown()).await;
    "no longer needed".to_owned()
}

/// What a peer may say at any time.
pub(super) enum Heard {
    Message(Bytes),
    /// A keep-alive, and how it is answered; not at all if that is done already.
    Ping {
        answer: Bytes,
    },
}

/// Hands on what was heard, and knows how long to wait for more.
pub(super) struct Reader {
    id: ConnectionId,
    inbox: mpsc::Sender<FromConnection>,
    pong: mpsc::WeakSender<Bytes>,
    need: Arc<Need>,
    idle: Duration,
    deadline: Instant,
    pings: Pings,
}

impl Reader {
    /// Waits for the peer, but not without end unless somebody needs the connection.
    ///
    /// # Errors
    ///
    /// Why nothing is waited for any longer.
    pub(super) async fn wait<T>(&mut self, next: impl Future<Output = T>) -> Result<T, String> {
        let mut next = pin!(next);
        loop {
            match timeout_at(self.deadline, next.as_mut()).await {
                Ok(done) => return Ok(done),
                Err(_) => match self.need.until(Instant::now(), self.idle) {
                    Some(later) => self.deadline = later,
                    None => return Err("it was idle".to_owned()),
                },
            }
        }
    }

    /// Takes something whole, which moves the deadline. Single bytes do not: a peer that drips them is closed as well.
    ///
    /// # Errors
    ///
    /// Why the connection is to be closed.
    pub(super) async fn hear(&mut self, heard: Heard) -> Result<(), String> {
        let now = Instant::now();
        match heard {
            Heard::Message(message) => {
                let handed_over = self.inbox.send(FromConnection::Message(self.id, message)).await;
                handed_over.map_err(|_| "the server stopped".to_owned())?;
            }
            Heard::Ping { .. } if !self.pings.allow(now) => return Err("it sends too many keep-alives".to_owned()),
            Heard::Ping { answer } => {
                if !answer.is_empty()
                    && let Some(queue) = self.pong.upgrade()
                {
                    let _ = queue.try_send(answer);
                }
            }
        }
        self.deadline = now + self.idle;
        Ok(())
    }

    async fn run(mut self, mut stream: impl AsyncRead + Unpin) -> String {
        let mut framer = StreamFramer::new();
        let mut buffer = vec![0; 4096];
        loop {
            let length = match self.wait(stream.read(&mut buffer)).await {
                Ok(Ok(0)) => {
                    self.leave(stream).await;
                    return "the peer closed it".to_owned();
                }
                Ok(Ok(length)) => length,
                Ok(Err(error)) => return error.to_string(),
                Err(why) => return why,
            };
            framer.push(&buffer[..length]);
            loop {
                let heard = match framer.next() {
                    Ok(None) => break,
                    Ok(Some(Frame::Ping)) => Heard::Ping { answer: Bytes::from_static(b"\r\n") },
                    Ok(Some(Frame::Message(message))) => Heard::Message(message),
                    Err(error) => {
                        self.leave(stream).await;
                        return error.to_string();
                    }
                };
                if let Err(why) = self.hear(heard).await {
                    return why;
                }
            }
        }
    }

    /// Lets the owner answer what was heard last before the connection is closed: it drops its end when it hears of this, in its turn,
    /// and then what waits is written. Meanwhile whatever else comes is read past, for a peer whose bytes were not read may be told so
    /// instead of the answer.
    async fn leave(self, mut stream: impl AsyncRead + Unpin) {
        if self.inbox.send(FromConnection::Closed(self.id)).await.is_err() {
            return;
        }
        let read_past = async {
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {}
            pending::<()>().await;
        };
        let _ = timeout(CLOSE_TIMEOUT, read_past).await;
    }
}

/// How many keep-alives a peer has left.
struct Pings {
    left: u32,
    since: Instant,
}

impl Pings {
    fn new(now: Instant) -> Self {
        Self { left: PINGS, since: now }
    }

    /// Takes one, if there is one.
    fn allow(&mut self, now: Instant) -> bool {
        let earned = u32::try_from(now.saturating_duration_since(self.since).as_secs()).unwrap_or(u32::MAX);
        if earned > 0 {
            self.left = self.left.saturating_add(earned).min(PINGS);
            self.since = now;
        }
        let left = self.left.checked_sub(1);
        self.left = left.unwrap_or(0);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_needed_by_calls_and_as_long_as_a_registration_lives() {
        let (start, idle) = (Instant::now(), Duration::from_secs(600));
        let need = Arc::new(Need::new(start));
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(need.until(after(1), idle), None);

        need.keep_for(Duration::from_secs(3600), after(10));
        need.keep_for(Duration::from_secs(60), after(20));
        assert_eq!(need.until(after(3609), idle), Some(after(3610)));
        assert_eq!(need.until(after(3610), idle), None);

        need.calls.fetch_add(1, Ordering::Relaxed);
        let call = InUse(need.clone());
        assert_eq!(need.until(after(9000), idle), Some(after(9600)));
        drop(call);
        assert_eq!(need.until(after(9000), idle), None);
    }

    #[test]
    fn a_peer_may_send_a_keep_alive_a_second_and_some_at_once() {
        let start = Instant::now();
        let mut pings = Pings::new(start);

        let at_once = (0..100).filter(|_| pings.allow(start)).count();
        let later = (1..=100).filter(|second| pings.allow(start + Duration::from_secs(*second))).count();
        let after_a_pause = (0..100).filter(|_| pings.allow(start + Duration::from_secs(1000))).count();

        assert_eq!([at_once, later, after_a_pause], [16, 100, 16]);
    }
}
