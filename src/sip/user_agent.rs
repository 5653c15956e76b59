//! Our own telephone: `afterbeep call`, the quickstart's caller, and the phone of the whole-server tests.
//!
//! A [`UserAgent`] has one UDP socket or one connection and makes any number of calls over it. It carries SIP only; what is
//! said goes over RTP, as the SDP bodies agree.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use bytes::Bytes;
use rustls::pki_types::ServerName;
use tokio::{
    net::{UdpSocket, lookup_host},
    sync::{mpsc, oneshot},
};

pub use super::uac::{DialCommand, DialEnd, DialEvent, Invitation, Login, RegisterAnswer, Registering};
use super::{
    connection::{Connection, ConnectionLimits, FromConnection, Stream},
    event::CallRef,
    flow::{ConnectionId, Flow, Transport},
    resolve::{Place, Target},
    resolver::Resolver,
    tls::{Tls, TlsSettings, server_name},
    transport::{bind_udp, local_address_towards, send_datagram, sleep_until},
    uac::{Output, Uac},
    wire::{Host, MAX_MESSAGE, SipUri},
};

/// How many events may wait for the one who made a call; more are lost, but the end never is.
const EVENT_QUEUE: usize = 64;

/// A telephone. Dropping it lets its calls go on until they are dropped as well.
#[derive(Clone, Debug)]
pub struct UserAgent {
    flow: Flow,
    orders: mpsc::UnboundedSender<Order>,
}

/// A call that we made. Dropping it hangs up.
#[derive(Debug)]
pub struct DialledCall {
    call: CallRef,
    events: mpsc::Receiver<DialEvent>,
    orders: mpsc::UnboundedSender<Order>,
    is_over: bool,
}

#[derive(Debug)]
enum Order {
    Dial(Box<Invitation>, oneshot::Sender<DialledCall>),
    Command(CallRef, DialCommand),
    Register(Box<Registering>, oneshot::Sender<RegisterAnswer>),
}

impl UserAgent {
    /// A telephone for calls to this URI's host, from a port of the system's choice: over TLS if it is a `sips:` URI, else over what its
    /// `transport` parameter or the DNS says, else over UDP. `settings` are for TLS; these DNS servers are asked, or those of this machine
    /// if there are none. Of several places the first that takes a connection is called; over UDP that is not known before the call.
    ///
    /// # Errors
    ///
    /// When the host cannot be found, the socket cannot be opened, or no connection can be made.
    pub async fn towards(target: &SipUri, settings: &TlsSettings, dns_servers: &[SocketAddr]) -> io::Result<Self> {
        let mut latest = io::Error::new(io::ErrorKind::NotFound, format!("{target} has no address"));
        for Place { transport, address } in places(target, dns_servers).await? {
            let made = match (transport, &target.host) {
                (Transport::Tls, Some(host)) => Self::tls(address, host, settings).await,
                (Transport::Tcp, _) => Self::tcp(address).await,
                _ => Self::udp(address),
            };
            match made {
                Ok(telephone) => return Ok(telephone),
                Err(error) => latest = error,
            }
        }
        Err(latest)
    }

    /// A telephone that calls a server over UDP. Must be made inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the socket cannot be opened.
    pub fn udp(remote: SocketAddr) -> io::Result<Self> {
        let socket = bind_udp(SocketAddr::new(local_address_towards(remote)?, 0))?;
        let flow = Flow::udp(socket.local_addr()?, remote);
        let (orders, order_inbox) = mpsc::unbounded_channel();
        tokio::spawn(run(Line::Datagrams(socket), order_inbox, Telephone::new(flow, orders.clone())));
        Ok(Self { flow, orders })
    }

    /// A telephone that calls a server over a TCP connection.
    ///
    /// # Errors
    ///
    /// When the connection cannot be made.
    pub async fn tcp(remote: SocketAddr) -> io::Result<Self> {
        let name = ServerName::IpAddress(remote.ip().into());
        Self::over_a_stream(Transport::Tcp, remote, name, &TlsSettings::default()).await
    }

    /// A telephone that calls a server over a TLS connection, if the server's certificate has this name.
    ///
    /// # Errors
    ///
    /// When the connection cannot be made, the server is another one, or a file of `settings` cannot be used.
    pub async fn tls(remote: SocketAddr, name: &Host, settings: &TlsSettings) -> io::Result<Self> {
        let name =
            server_name(name).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("{name} is no host name")))?;
        Self::over_a_stream(Transport::Tls, remote, name, settings).await
    }

    async fn over_a_stream(
        transport: Transport,
        remote: SocketAddr,
        name: ServerName<'static>,
        settings: &TlsSettings,
    ) -> io::Result<Self> {
        let (tls, _) = Tls::load(settings, false).map_err(io::Error::other)?;
        let flow = Flow::connected(transport, remote, remote, ConnectionId(0));
        let (stream, _) = Stream::connected(flow, name, tls).await?;
        let flow = Flow { local: stream.local_addr()?, ..flow };
        let (messages, inbox) = mpsc::channel(EVENT_QUEUE);
        let limits = ConnectionLimits { first_message: ConnectionLimits::default().idle, ..ConnectionLimits::default() };
        let line = Line::Stream(Connection::open(stream, flow, &limits, messages), inbox);
        let (orders, order_inbox) = mpsc::unbounded_channel();
        tokio::spawn(run(line, order_inbox, Telephone::new(flow, orders.clone())));
        Ok(Self { flow, orders })
    }

    /// The address that calls leave from; RTP should come from the same.
    #[must_use]
    pub fn local_ip(&self) -> IpAddr {
        self.flow.local.ip()
    }

    /// The address and port that calls leave from.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.flow.local
    }

    /// Begins a call. It goes to the telephone's server, whatever the target's host is.
    ///
    /// # Errors
    ///
    /// When the telephone's task has ended with its runtime or its connection.
    pub async fn dial(&self, invitation: Invitation) -> io::Result<DialledCall> {
        let (answer, call) = oneshot::channel();
        self.orders.send(Order::Dial(Box::new(invitation), answer)).map_err(|_| gone())?;
        call.await.map_err(|_| gone())
    }

    /// Registers the telephone, or takes that back, and waits for what becomes of it.
    ///
    /// # Errors
    ///
    /// When the telephone's task has ended with its runtime or its connection.
    pub async fn register(&self, registering: Registering) -> io::Result<RegisterAnswer> {
        let (answer, answered) = oneshot::channel();
        self.orders.send(Order::Register(Box::new(registering), answer)).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    }
}

impl DialledCall {
    /// Waits for the next event. After the last one, [`DialEnd::Stopped`] is told each time.
    ///
    /// Nothing is lost when the returned future is dropped.
    pub async fn next_event(&mut self) -> DialEvent {
        if self.is_over {
            return DialEvent::Ended(DialEnd::Stopped);
        }
        let event = self.events.recv().await.unwrap_or(DialEvent::Ended(DialEnd::Stopped));
        self.is_over = matches!(event, DialEvent::Ended(_) | DialEvent::Rejected { .. });
        event
    }

    /// Confirms an answer whose offer was the other side's.
    pub fn confirm(&self, sdp: Vec<u8>) {
        self.send(DialCommand::Confirm { sdp });
    }

    /// Cancels the call while it is not answered, and ends it after.
    pub fn hangup(&self) {
        self.send(DialCommand::Hangup);
    }

    /// Sends an INFO request, such as a digit.
    pub fn info(&self, content_type: &str, body: impl Into<Vec<u8>>) {
        self.send(DialCommand::Info { content_type: content_type.to_owned(), body: body.into() });
    }

    /// Offers another session: hold, resume, another address.
    pub fn reinvite(&self, offer: Vec<u8>) {
        self.send(DialCommand::Reinvite { offer });
    }

    fn send(&self, command: DialCommand) {
        let _ = self.orders.send(Order::Command(self.call, command));
    }
}

impl Drop for DialledCall {
    fn drop(&mut self) {
        if !self.is_over {
            self.hangup();
        }
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the telephone has no connection any more")
}

/// Finds where a URI's host is (RFC 3263), or what this machine otherwise knows of its name.
async fn places(target: &SipUri, dns_servers: &[SocketAddr]) -> io::Result<Vec<Place>> {
    let transport = target.transport();
    match (&target.host, target.socket_address()) {
        (_, Some(address)) => Ok(vec![Place { transport, address }]),
        (Some(Host::Name(name)), None) => {
            // A port leaves nothing to ask a server of ours for, and a name without dots is one of this machine's.
            let whom = Target::of(target).filter(|_| !dns_servers.is_empty() || (target.port.is_none() && name.contains('.')));
            let found = match whom {
                Some(whom) => Resolver::new(dns_servers).places(whom, true).await,
                None => Vec::new(),
            };
            if !found.is_empty() {
                return Ok(found);
            }
            let addresses = lookup_host((name.as_str(), target.port.unwrap_or(transport.default_port()))).await?;
            Ok(addresses.map(|address| Place { transport, address }).collect())
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{target} does not say where to call"))),
    }
}

/// What the calls go over.
enum Line {
    Datagrams(UdpSocket),
    Stream(Connection, mpsc::Receiver<FromConnection>),
}

impl Line {
    /// Waits for a message; none when the connection is closed.
    async fn receive(&mut self, buffer: &mut [u8]) -> Option<Bytes> {
        match self {
            Self::Datagrams(socket) => loop {
                // An error is that of a datagram sent earlier; timers take care of it.
                if let Ok((length, _)) = socket.recv_from(buffer).await {
                    return Some(Bytes::copy_from_slice(&buffer[..length]));
                }
            },
            Self::Stream(_, inbox) => match inbox.recv().await {
                Some(FromConnection::Message(_, bytes)) => Some(bytes),
                // It was open when the line was made.
                Some(FromConnection::Opened(..) | FromConnection::Closed(_)) | None => None,
            },
        }
    }

    fn send(&self, flow: &Flow, bytes: Bytes) {
        match self {
            // What cannot be sent now is sent again.
            Self::Datagrams(socket) if flow.transport == Transport::Udp => _ = send_datagram(socket, &bytes, flow.remote),
            Self::Datagrams(_) => {}
            Self::Stream(connection, _) => _ = connection.write(bytes),
        }
    }
}

struct Telephone {
    uac: Uac,
    flow: Flow,
    calls: std::collections::HashMap<CallRef, mpsc::Sender<DialEvent>>,
    registers: std::collections::HashMap<CallRef, oneshot::Sender<RegisterAnswer>>,
    orders: mpsc::WeakUnboundedSender<Order>,
}

impl Telephone {
    fn new(flow: Flow, orders: mpsc::UnboundedSender<Order>) -> Self {
        Self {
            uac: Uac::new(rand::random()),
            flow,
            calls: std::collections::HashMap::new(),
            registers: std::collections::HashMap::new(),
            orders: orders.downgrade(),
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Dial(invitation, answer) => {
                let Some(orders) = self.orders.upgrade() else { return };
                let call = self.uac.dial(&invitation, &self.flow, Instant::now());
                let (sender, events) = mpsc::channel(EVENT_QUEUE);
                self.calls.insert(call, sender);
                let _ = answer.send(DialledCall { call, events, orders, is_over: false });
            }
            Order::Command(call, command) => self.uac.command(call, command, Instant::now()),
            Order::Register(registering, answer) => {
                let reference = self.uac.register(*registering, &self.flow, Instant::now());
                self.registers.insert(reference, answer);
            }
        }
    }

    fn flush(&mut self, line: &Line) {
        while let Some(output) = self.uac.poll() {
            match output {
                Output::Send { flow, bytes } => line.send(&flow, bytes),
                Output::Registered(reference, answer) => {
                    if let Some(waiting) = self.registers.remove(&reference) {
                        let _ = waiting.send(answer);
                    }
                }
                Output::Event(call, event) => {
                    let is_last = matches!(event, DialEvent::Ended(_) | DialEvent::Rejected { .. });
                    if let Some(sender) = self.calls.get(&call) {
                        let _ = sender.try_send(event);
                    }
                    if is_last {
                        self.calls.remove(&call);
                    }
                }
            }
        }
    }
}

/// Runs a telephone until nobody holds it or one of its calls, and the last call has ended.
async fn run(mut line: Line, mut orders: mpsc::UnboundedReceiver<Order>, mut telephone: Telephone) {
    let mut buffer = vec![0; MAX_MESSAGE];
    let mut is_wanted = true;
    loop {
        telephone.flush(&line);
        if !is_wanted && telephone.uac.is_idle() {
            return;
        }
        let deadline = telephone.uac.next_deadline();
        tokio::select! {
            message = line.receive(&mut buffer) => match message {
                Some(bytes) => telephone.uac.handle(&telephone.flow, &bytes, Instant::now()),
                None => return,
            },
            order = orders.recv(), if is_wanted => match order {
                Some(order) => telephone.obey(order),
                None => is_wanted = false,
            },
            () = sleep_until(deadline) => telephone.uac.tick(Instant::now()),
        }
    }
}
