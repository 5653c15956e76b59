//! One TCP connection: a task that reads messages and writes what waits, so that a stuck peer holds up nobody but itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};
use tracing::debug;

use super::{
    flow::{ConnectionId, Flow},
    wire::{Frame, StreamFramer},
};

/// How many messages may wait for a peer that reads slowly. A peer behind by more is cut off.
const WRITE_QUEUE: usize = 128;
/// How long one message may take to be written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long making a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// When connections are refused or closed.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// Connections at once, in both directions.
    pub connections: usize,
    /// Connections at once from one address.
    pub connections_per_address: usize,
    /// How long a new connection may take to send its first whole message.
    pub first_message: Duration,
    /// How long a connection without a call may stay without a whole message or keep-alive.
    pub idle: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_address: 1024,
            first_message: Duration::from_secs(30),
            idle: Duration::from_mins(10),
        }
    }
}

/// What a connection tells the task that owns the user agent server.
#[derive(Debug)]
pub(super) enum FromConnection {
    /// A whole message came.
    Message(ConnectionId, Bytes),
    /// The connection is no more.
    Closed(ConnectionId),
}

/// A connection as its owner sees it. Dropping it closes the connection after what waits was written.
#[derive(Debug)]
pub(super) struct Connection {
    id: ConnectionId,
    pub(super) flow: Flow,
    queue: mpsc::Sender<Bytes>,
    calls: Arc<AtomicUsize>,
}

impl Connection {
    /// Starts the task of a connection that was accepted.
    pub(super) fn accepted(
        stream: TcpStream,
        flow: Flow,
        limits: &ConnectionLimits,
        inbox: mpsc::Sender<FromConnection>,
    ) -> Self {
        Self::start(flow, limits, inbox, async move { Ok(stream) })
    }

    /// Starts the task of a connection that is yet to be made to `flow.remote`.
    pub(super) fn connecting(flow: Flow, limits: &ConnectionLimits, inbox: mpsc::Sender<FromConnection>) -> Self {
        Self::start(flow, limits, inbox, async move { timeout(CONNECT_TIMEOUT, TcpStream::connect(flow.remote)).await? })
    }

    fn start(
        flow: Flow,
        limits: &ConnectionLimits,
        inbox: mpsc::Sender<FromConnection>,
        stream: impl Future<Output = std::io::Result<TcpStream>> + Send + 'static,
    ) -> Self {
        let id = flow.connection.expect("a connection's flow names it");
        let (queue, waiting) = mpsc::channel(WRITE_QUEUE);
        let calls = Arc::new(AtomicUsize::new(0));
        let reader = Reader {
            id,
            inbox: inbox.clone(),
            pong: queue.downgrade(),
            calls: calls.clone(),
            first_message: limits.first_message,
            idle: limits.idle,
        };
        tokio::spawn(async move {
            let why = match stream.await {
                Ok(stream) => run(stream, reader, waiting).await,
                Err(error) => error.to_string(),
            };
            debug!(peer = %flow.remote, why, "closed a SIP connection");
            let _ = inbox.send(FromConnection::Closed(id)).await;
        });
        Self { id, flow, queue, calls }
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

    /// A count to be raised while a call depends on the connection, which then is not closed for being idle.
    pub(super) fn calls(&self) -> &Arc<AtomicUsize> {
        &self.calls
    }
}

/// Reads and writes until either side ends; says why.
async fn run(stream: TcpStream, reader: Reader, waiting: mpsc::Receiver<Bytes>) -> String {
    let _ = stream.set_nodelay(true);
    // A peer that vanished without a word during a call is found out by the kernel.
    let keepalive = TcpKeepalive::new().with_time(Duration::from_mins(1)).with_interval(Duration::from_secs(15));
    let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
    let (read_half, write_half) = stream.into_split();
    tokio::select! {
        why = reader.run(read_half) => why,
        why = write(write_half, waiting) => why,
    }
}

async fn write(mut stream: OwnedWriteHalf, mut waiting: mpsc::Receiver<Bytes>) -> String {
    while let Some(bytes) = waiting.recv().await {
        match timeout(WRITE_TIMEOUT, stream.write_all(&bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return "the peer does not read".to_owned(),
        }
    }
    "no longer needed".to_owned()
}

struct Reader {
    id: ConnectionId,
    inbox: mpsc::Sender<FromConnection>,
    pong: mpsc::WeakSender<Bytes>,
    calls: Arc<AtomicUsize>,
    first_message: Duration,
    idle: Duration,
}

impl Reader {
    async fn run(self, mut stream: OwnedReadHalf) -> String {
        let mut framer = StreamFramer::new();
        let mut buffer = vec![0; 4096];
        // Whole messages move the deadline, single bytes do not: a peer that drips them is closed as well.
        let mut deadline = Instant::now() + self.first_message;
        loop {
            let length = match timeout_at(deadline, stream.read(&mut buffer)).await {
                Ok(Ok(0)) => return "the peer closed it".to_owned(),
                Ok(Ok(length)) => length,
                Ok(Err(error)) => return error.to_string(),
                Err(_) if self.calls.load(Ordering::Relaxed) > 0 => {
                    deadline = Instant::now() + self.idle;
                    continue;
                }
                Err(_) => return "it was idle".to_owned(),
            };
            framer.push(&buffer[..length]);
            loop {
                match framer.next() {
                    Ok(None) => break,
                    Ok(Some(Frame::Ping)) => {
                        if let Some(queue) = self.pong.upgrade() {
                            let _ = queue.try_send(Bytes::from_static(b"\r\n"));
                        }
                    }
                    Ok(Some(Frame::Message(message))) => {
                        if self.inbox.send(FromConnection::Message(self.id, message)).await.is_err() {
                            return "the server stopped".to_owned();
                        }
                    }
                    Err(error) => return error.to_string(),
                }
                deadline = Instant::now() + self.idle;
            }
        }
    }
}
