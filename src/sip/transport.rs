//! The sockets of the SIP server, and the one task that owns the [`Uas`]. The only file here, with those of one
//! connection, one call's handle and our own telephone, that waits.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    future::{pending, poll_fn},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::pin,
    task::Poll,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rsip::Method;
use rustls::pki_types::ServerName;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, UdpSocket},
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tracing::{debug, warn};

use crate::stun;

pub use super::{
    connection::ConnectionLimits,
    flow::ListenAddr,
    handle::{CallHandle, NewCall, NewRequest, OutgoingHandle, RequestHandle},
    tls::{RenewalHandle, TlsError, TlsSettings},
};
use super::{
    connection::{Connection, FromConnection, Hands, InUse},
    event::{CallRef, Command, Event},
    flow::{ConnectionId, Flow, Proof, Transport},
    gate::{Gate, Note, Report, refuses},
    handle::{EventSender, GateHandle, Order, OutgoingOrder, gate, handle, outgoing, request_handle},
    introduction::Introduction,
    outgoing::{Outcome, OutgoingRef, OutgoingRequest},
    request::{OutsideRequest, RequestRef},
    resolver::Resolver,
    room::Roomy as _,
    tls::{Renewal, Tls, server_name},
    uas::{Output, Reach, Uas, UasConfig},
    wire::alias_port,
};

/// Kernel buffer of a UDP socket, so that a burst of INVITEs waits for a busy moment to pass. The kernel may give less.
const UDP_BUFFER: usize = 4 * 1024 * 1024;
/// How many messages or orders are taken in one go before the other sources get their turn.
const BATCH: usize = 64;
/// How many messages of all connections may wait; then connections are read no further.
const CONNECTION_QUEUE: usize = 1024;

/// A SIP server that listens.
#[derive(Debug)]
pub struct SipServer {
    config: UasConfig,
    udp: Vec<Datagrams>,
    streams: Vec<(Transport, TcpListener)>,
    tls: Tls,
    renewal: Renewal,
    outgoing: (OutgoingHandle, mpsc::Receiver<OutgoingOrder>),
    gate: (GateHandle, mpsc::Receiver<Note>),
}

/// A UDP socket, and where it is bound.
#[derive(Debug)]
struct Datagrams {
    socket: UdpSocket,
    bound: SocketAddr,
}

impl SipServer {
    /// Opens all the sockets.
    ///
    /// Must be called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// When one of them cannot be opened; the text names the address.
    pub fn bind(listen: &[ListenAddr], config: UasConfig) -> io::Result<Self> {
        let resolver = Resolver::new(&config.dns_servers);
        let serves_tls = listen.iter().any(|address| address.transport.is_secure());
        let (tls, renewal) = Tls::load(&config.tls, serves_tls).map_err(io::Error::other)?;
        let mut server =
            Self { config, udp: Vec::new(), streams: Vec::new(), tls, renewal, outgoing: outgoing(resolver), gate: gate() };
        for address in listen {
            let opened = match address.transport {
                Transport::Udp => bind_udp(address.address)
                    .and_then(|socket| Ok(Datagrams { bound: socket.local_addr()?, socket }))
                    .map(|datagrams| server.udp.push(datagrams)),
                transport @ (Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss) => {
                    bind_tcp(address.address).map(|listener| server.streams.push((transport, listener)))
                }
            };
            opened.map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))?;
        }
        Ok(server)
    }

    /// The addresses that are listened on, with the ports that the system chose.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<ListenAddr> {
        let udp = self.udp.iter().map(|datagrams| ListenAddr::udp(datagrams.bound));
        let streams = self.streams.iter().filter_map(|(transport, listener)| {
            listener.local_addr().ok().map(|address| ListenAddr { transport: *transport, address })
        });
        udp.chain(streams).collect()
    }

    /// A handle for requests that belong to no call; they are sent while the server runs.
    #[must_use]
    pub fn outgoing(&self) -> OutgoingHandle {
        self.outgoing.0.clone()
    }

    /// A handle by which the TLS certificate is read again at once.
    #[must_use]
    pub fn renewal(&self) -> RenewalHandle {
        self.renewal.handle()
    }

    /// A handle by which whoever checks passwords tells the gate what came of it.
    #[must_use]
    pub fn gate(&self) -> GateHandle {
        self.gate.0.clone()
    }

    /// Serves until `drain` is ready and then until the last call has ended. New calls go to `incoming`, requests outside calls to
    /// `requests`; when nobody takes them out they are refused with 503, and so are all that come after `drain`.
    pub async fn run(self, incoming: mpsc::Sender<NewCall>, requests: mpsc::Sender<NewRequest>, drain: impl Future<Output = ()>) {
        let (from_connections, mut connection_inbox) = mpsc::channel(CONNECTION_QUEUE);
        let (accepted, mut accepted_inbox) = mpsc::channel(16);
        let (orders, mut order_inbox) = mpsc::unbounded_channel();
        let listening_on = self.local_addrs();
        let (outgoing, mut outgoing_inbox) = self.outgoing;
        let (_gate, mut notes) = self.gate;
        let mut listening = JoinSet::new();
        for (transport, listener) in self.streams {
            listening.spawn(accept(transport, listener, accepted.clone()));
        }
        listening.spawn(self.renewal.run());
        let mut edge = Edge {
            gate: Gate::new(self.config.gate.clone(), rand::random(), Instant::now()),
            uas: Uas::new(self.config.clone(), rand::random()),
            limits: self.config.connections.clone(),
            udp: self.udp,
            hands: Hands { tls: self.tls, origins: self.config.websocket_origins.clone().into() },
            connections: HashMap::new(),
            peers: HashMap::new(),
            handshakes: 0,
            by_remote: HashMap::new(),
            aliases: HashMap::new(),
            counted: HashMap::new(),
            silent: BTreeSet::new(),
            next_connection: 0,
            from_connections,
            calls: HashMap::new(),
            incoming,
            requests,
            orders,
            listening_on,
            outgoing,
            outcomes: HashMap::new(),
            local_addresses: LocalAddresses::default(),
            shed: Shed::default(),
        };
        let mut buffer = vec![0; super::wire::MAX_MESSAGE];
        let mut next_socket = 0;
        let mut drain = pin!(drain);
        let mut draining = false;
        loop {
            edge.flush();
            if let Some(report) = edge.gate.report(Instant::now()) {
                tell_dropped(&report);
            }
            if draining && edge.uas.is_idle() {
                return;
            }
            let deadline = edge.uas.next_deadline().into_iter().chain(edge.gate.next_deadline()).min();
            tokio::select! {
                socket = readable(&edge.udp, next_socket) => {
                    next_socket = socket + 1;
                    edge.receive(socket, &mut buffer);
                }
                Some(order) = order_inbox.recv() => {
                    edge.obey(order);
                    for _ in 0..BATCH {
                        let Ok(order) = order_inbox.try_recv() else { break };
                        edge.obey(order);
                    }
                }
                Some(order) = outgoing_inbox.recv() => edge.send_outgoing(order),
                Some(note) = notes.recv() => edge.gate.note(note, Instant::now()),
                Some(message) = connection_inbox.recv() => {
                    edge.hear(message);
                    for _ in 0..BATCH {
                        let Ok(message) = connection_inbox.try_recv() else { break };
                        edge.hear(message);
                    }
                }
                Some(accepted) = accepted_inbox.recv() => edge.take(accepted),
                () = sleep_until(deadline) => edge.tick(Instant::now()),
                () = &mut drain, if !draining => {
                    draining = true;
                    edge.uas.drain();
                }
            }
        }
    }
}

/// What the task owns.
struct Edge {
    gate: Gate,
    uas: Uas,
    limits: ConnectionLimits,
    udp: Vec<Datagrams>,
    hands: Hands,
    connections: HashMap<ConnectionId, Connection>,
    /// How many connections there are with each host.
    peers: HashMap<IpAddr, Load>,
    /// How many connections have not shaken hands yet.
    handshakes: usize,
    /// Connections by the peer's address, to use them again.
    by_remote: HashMap<(Transport, SocketAddr), ConnectionId>,
    /// Connections by the address where their peers take connections themselves, but would rather not (RFC 5923). One for each connection
    /// at most.
    aliases: HashMap<SocketAddr, ConnectionId>,
    /// Connections that count among those of their source.
    counted: HashMap<ConnectionId, IpAddr>,
    /// Strangers' connections that no whole message came from yet: when there is no room, the oldest goes.
    silent: BTreeSet<ConnectionId>,
    next_connection: u64,
    from_connections: mpsc::Sender<FromConnection>,
    calls: HashMap<CallRef, LiveCall>,
    incoming: mpsc::Sender<NewCall>,
    requests: mpsc::Sender<NewRequest>,
    orders: mpsc::UnboundedSender<Order>,
    listening_on: Vec<ListenAddr>,
    /// For BYEs whose way must be looked up.
    outgoing: OutgoingHandle,
    /// Who waits for what becomes of our requests, and whom they were sent to.
    outcomes: HashMap<OutgoingRef, (oneshot::Sender<Outcome>, Option<IpAddr>)>,
    local_addresses: LocalAddresses,
    shed: Shed,
}

/// The connections of one host.
#[derive(Debug, Default)]
struct Load {
    connections: usize,
    handshakes: usize,
}

/// A connection that a listener has taken.
struct Accepted {
    transport: Transport,
    stream: TcpStream,
    remote: SocketAddr,
}

struct LiveCall {
    events: EventSender,
    /// The connection it came by, kept open for it.
    _connection: Option<InUse>,
}

impl Edge {
    /// Does what is due, and gives back the room of the tables that a flood has left.
    fn tick(&mut self, now: Instant) {
        self.uas.tick(now);
        self.gate.tick(now);
        self.calls.give_room_back();
        self.outcomes.give_room_back();
    }

    /// Takes the datagrams that wait on a socket.
    fn receive(&mut self, socket: usize, buffer: &mut [u8]) {
        for _ in 0..BATCH {
            match self.udp[socket].socket.try_recv_from(buffer) {
                Ok((length, remote)) => {
                    let now = Instant::now();
                    if !self.gate.admits_datagram(remote.ip(), &buffer[..length], now) {
                        continue;
                    }
                    if stun::is_stun(&buffer[..length]) {
                        self.answer_stun(socket, &buffer[..length], remote, now);
                        continue;
                    }
                    let local = self.local_addresses.concrete(self.udp[socket].bound, remote, now);
                    let flow = Flow::udp(local, remote);
                    self.uas.handle(&flow, &buffer[..length], now);
                    self.flush();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An ICMP error of something sent earlier; the transaction's timers know what to do.
                Err(error) => debug!(%error, "a datagram was not delivered"),
            }
        }
    }

    /// Answers a keep-alive: a binding request on the SIP port, which tells a telephone that its way to us is still open (RFC 5626
    /// §3.5.2, §5.4).
    fn answer_stun(&mut self, socket: usize, datagram: &[u8], remote: SocketAddr, now: Instant) {
        let mut buffer = [0; stun::LONGEST_ANSWER];
        let Some(request) = stun::Request::parse(datagram) else { return };
        let answer = request.answer(remote, None, &mut buffer);
        if self.gate.admits_reply(remote.ip(), answer, now)
            && let Err(error) = send_datagram(&self.udp[socket].socket, answer, remote)
        {
            debug!(peer = %remote, %error, "could not answer a keep-alive");
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Command(call, command) => self.uas.command(call, command, Instant::now()),
            Order::Abandon(call) => self.uas.abandon(call, Instant::now()),
            Order::Respond(request, reply) => {
                if let Some(life) = reply.promised_life()
                    && let Some(connection) = self.uas.came_by(request).and_then(|id| self.connections.get(&id))
                {
                    connection.keep_for(life);
                }
                self.uas.respond(request, reply, Instant::now());
            }
            Order::Departed(tag) => self.uas.departed(tag),
        }
        self.flush();
    }

    fn hear(&mut self, message: FromConnection) {
        match message {
            FromConnection::Opened(id, introduction) => self.opened(id, introduction),
            FromConnection::Message(id, bytes) => {
                self.silent.remove(&id);
                let now = Instant::now();
                if let Some(connection) = self.connections.get(&id)
                    && (connection.flow.proof.is_trusted()
                        || self.gate.admits_message(connection.flow.remote.ip(), connection.flow.transport, &bytes, now))
                {
                    self.uas.handle(&connection.flow, &bytes, now);
                    if connection.alias.is_none() && connection.introduction().is_certified() {
                        self.note_alias(id, &bytes);
                    }
                    self.flush();
                }
            }
            FromConnection::Closed(id) => self.forget(id),
        }
    }

    fn take(&mut self, accepted: Accepted) {
        let Accepted { transport, stream, remote } = accepted;
        let Ok(local) = stream.local_addr() else { return };
        let handshakes_are_full = transport != Transport::Tcp && self.handshakes >= self.limits.handshakes;
        if (self.connections.len() >= self.limits.connections || handshakes_are_full)
            && let Some(oldest) = self.silent.pop_first()
        {
            debug!("closed a connection that said nothing, to make room for another");
            self.forget(oldest);
        }
        let limits = &self.limits;
        let from_there = self.peers.get(&host(remote.ip()));
        let has_room = self.connections.len() < limits.connections
            && from_there.is_none_or(|load| load.connections < limits.connections_per_address);
        let may_shake_hands = transport == Transport::Tcp
            || (self.handshakes < limits.handshakes
                && from_there.is_none_or(|load| load.handshakes < limits.handshakes_per_address));
        if !has_room || !may_shake_hands {
            debug!(%remote, "refused a connection, for there are too many");
            return;
        }
        if !self.gate.admits_connection(remote.ip(), transport, Instant::now()) {
            return;
        }
        let flow = Flow::connected(transport, local, remote, self.new_connection_id());
        let connection = Connection::accepted(stream, flow, self.hands.clone(), &self.limits, self.from_connections.clone());
        let id = self.keep(connection);
        self.counted.insert(id, remote.ip());
        if !self.gate.trusts(remote.ip()) {
            self.silent.insert(id);
        }
    }

    fn new_connection_id(&mut self) -> ConnectionId {
        self.next_connection += 1;
        ConnectionId(self.next_connection)
    }

    fn keep(&mut self, connection: Connection) -> ConnectionId {
        let id = connection.id();
        let load = self.peers.entry(host(connection.flow.remote.ip())).or_default();
        load.connections += 1;
        if !connection.is_open {
            load.handshakes += 1;
            self.handshakes += 1;
        }
        self.by_remote.insert((connection.flow.transport, connection.flow.remote), id);
        self.connections.insert(id, connection);
        id
    }

    /// Remembers where else than by its own address a peer is to be found by its connection, if it says so. Its certificate has to name
    /// whoever is looked for there.
    fn note_alias(&mut self, id: ConnectionId, message: &[u8]) {
        let Some(connection) = self.connections.get_mut(&id).filter(|open| open.flow.transport == Transport::Tls) else { return };
        if let Some(port) = alias_port(message) {
            let alias = SocketAddr::new(connection.flow.remote.ip(), port);
            connection.alias = Some(alias);
            self.aliases.insert(alias, id);
        }
    }

    fn opened(&mut self, id: ConnectionId, introduction: Introduction) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.opened(introduction);
            self.handshakes -= 1;
            if let Some(load) = self.peers.get_mut(&host(connection.flow.remote.ip())) {
                load.handshakes -= 1;
            }
        }
    }

    fn forget(&mut self, id: ConnectionId) {
        self.silent.remove(&id);
        if let Some(source) = self.counted.remove(&id) {
            self.gate.connection_closed(source);
        }
        let Some(connection) = self.connections.remove(&id) else { return };
        let flow = connection.flow;
        if let Entry::Occupied(mut load) = self.peers.entry(host(flow.remote.ip())) {
            load.get_mut().connections -= 1;
            if !connection.is_open {
                load.get_mut().handshakes -= 1;
                self.handshakes -= 1;
            }
            if load.get().connections == 0 {
                load.remove();
            }
        }
        if let Some(alias) = connection.alias.filter(|alias| self.aliases.get(alias) == Some(&id)) {
            self.aliases.remove(&alias);
        }
        if self.by_remote.get(&(flow.transport, flow.remote)) == Some(&id) {
            self.by_remote.remove(&(flow.transport, flow.remote));
        }
        self.uas.connection_lost(&flow);
        self.connections.give_room_back();
        self.peers.give_room_back();
        self.by_remote.give_room_back();
        self.aliases.give_room_back();
        self.counted.give_room_back();
    }

    /// Sends a request of ours that belongs to no call.
    fn send_outgoing(&mut self, order: OutgoingOrder) {
        let OutgoingOrder { mut request, patience, is_ours, reply } = order;
        request.path = self.path_from_here(&request);
        if !request.is_direct {
            // Where the next hop says that it is, which may be elsewhere than where the peer was met.
            request.path = request.dialog().map(|dialog| dialog.path());
        }
        if let Some(path) = request.path.filter(|path| path.transport.is_reliable() && path.connection.is_none()) {
            // Here it is still known which name the peer has to prove.
            let name = request.next_hop().host.as_ref().and_then(server_name);
            let connection = match (path.transport, name) {
                (Transport::Tls, Some(name)) => {
                    let proven = Some(&name).filter(|_| !request.is_direct);
                    self.connection_of(&path, proven).or_else(|| self.connect(path, name))
                }
                (Transport::Tls, None) => None,
                _ => self.connection_of(&path, None),
            };
            if path.transport == Transport::Tls && connection.is_none() {
                // Later on it would go to whoever has that address.
                let _ = reply.send(Outcome::NotSent);
                return;
            }
            request.path = Some(Flow { connection, ..path });
        }
        if is_ours && let Some(path) = request.path.filter(|path| path.transport == Transport::Udp) {
            self.gate.chosen(path.remote.ip(), Instant::now());
        }
        match self.uas.send_within(patience, &request, Instant::now()) {
            Some(reference) => {
                // Where a BYE goes is a stranger's choice: it may be somebody who answers whatever comes.
                let asked = request.path.filter(|_| request.method != Method::Bye).map(|path| path.remote.ip());
                self.outcomes.insert(reference, (reply, asked));
            }
            None => _ = reply.send(Outcome::NotSent),
        }
        self.flush();
    }

    /// The path of a request, with the address of ours that the peer can be told, and without a connection that is gone.
    fn path_from_here(&mut self, request: &OutgoingRequest) -> Option<Flow> {
        let path = request.path.or_else(|| {
            let hop = request.next_hop();
            let remote = hop.socket_address()?;
            Some(Flow { transport: hop.transport(), ..Flow::udp(remote, remote) })
        })?;
        let same = |to: &&ListenAddr| to.transport == path.transport && to.address.is_ipv4() == path.remote.is_ipv4();
        let exact = |to: &&ListenAddr| {
            same(to) && to.address.port() == path.local.port() && (to.address.ip().is_unspecified() || to.address == path.local)
        };
        let family = |to: &&ListenAddr| to.address.is_ipv4() == path.remote.is_ipv4();
        let nearest = self.listening_on.iter().find(exact).or_else(|| self.listening_on.iter().find(same));
        // Who only connects by a transport has no address there, but some address must be told.
        let elsewhere = || self.listening_on.iter().find(family).filter(|_| path.transport.is_reliable());
        let bound = nearest.or_else(elsewhere)?.address;
        let local = self.local_addresses.concrete(bound, path.remote, Instant::now());
        let connection = path.connection.filter(|id| self.open(id).is_some_and(|open| open.flow.remote == path.remote));
        Some(Flow { local, connection, ..path })
    }

    /// Sends and tells everything that the user agent server has ready.
    fn flush(&mut self) {
        while let Some(output) = self.uas.poll() {
            match output {
                Output::Send { flow, bytes, reach } => {
                    let now = Instant::now();
                    if refuses(&bytes) && !flow.proof.is_trusted() {
                        self.gate.note(Note::Refused(flow.remote.ip()), now);
                    }
                    match flow.transport {
                        Transport::Udp if self.gate.admits_reply(flow.remote.ip(), &bytes, now) => {
                            self.send_datagram(&flow, &bytes)
                        }
                        Transport::Udp => {}
                        Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                            self.send_on_connection(flow, bytes, reach);
                        }
                    }
                }
                Output::Event(call, event) => self.tell(call, event),
                Output::Request(reference, request) => self.hand_over(reference, *request),
                Output::Farewell(tag, bye) => {
                    let (outgoing, orders) = (self.outgoing.clone(), self.orders.clone());
                    tokio::spawn(async move {
                        outgoing.send(*bye).await;
                        let _ = orders.send(Order::Departed(tag));
                    });
                }
                Output::Answered(request, outcome) => {
                    if let Some((reply, asked)) = self.outcomes.remove(&request) {
                        if let (Outcome::Answered { .. }, Some(asked)) = (outcome, asked) {
                            self.gate.note(Note::Answered(asked), Instant::now());
                        }
                        let _ = reply.send(outcome);
                    }
                }
            }
        }
    }

    fn send_datagram(&self, flow: &Flow, bytes: &[u8]) {
        let same_family = |to: &&Datagrams| to.bound.is_ipv4() == flow.remote.is_ipv4();
        let same_port = |to: &&Datagrams| {
            to.bound.port() == flow.local.port() && (to.bound.ip().is_unspecified() || to.bound.ip() == flow.local.ip())
        };
        let exact = self.udp.iter().find(|to| same_family(to) && same_port(to));
        let Some(Datagrams { socket, .. }) = exact.or_else(|| self.udp.iter().find(same_family)) else { return };
        if let Err(error) = send_datagram(socket, bytes, flow.remote) {
            debug!(peer = %flow.remote, %error, "could not send a datagram");
        }
    }

    fn send_on_connection(&mut self, flow: Flow, bytes: Bytes, reach: Reach) {
        if let Some(connection) = flow.connection.as_ref().and_then(|id| self.open(id)) {
            return self.write(connection.id(), bytes);
        }
        if reach == Reach::SameConnection {
            return;
        }
        if flow.transport.is_websocket() {
            // A browser takes no connections: its own is the only way.
            return self.uas.connection_lost(&flow);
        }
        let name = ServerName::IpAddress(flow.remote.ip().into());
        match self.connection_of(&flow, None).or_else(|| self.connect(flow, name)) {
            Some(id) => self.write(id, bytes),
            None => self.uas.connection_lost(&flow),
        }
    }

    /// A connection that is there, unless its end is known already.
    fn open(&self, id: &ConnectionId) -> Option<&Connection> {
        self.connections.get(id).filter(|connection| !connection.is_closed())
    }

    /// The connection that leads to a flow's remote address, if there is one: to or from there, or of a peer that lets us use it for that
    /// (RFC 5923). Over TLS its peer must have proven that it is the host of `name`, where that is known.
    fn connection_of(&self, flow: &Flow, name: Option<&ServerName<'_>>) -> Option<ConnectionId> {
        let is_tls = flow.transport == Transport::Tls;
        let leads_there = |connection: &Connection| !is_tls || name.is_none_or(|name| connection.leads_to(name));
        let same = self.by_remote.get(&(flow.transport, flow.remote));
        let alias = self.aliases.get(&flow.remote).filter(|_| is_tls && name.is_some());
        [same, alias].into_iter().flatten().find(|id| self.open(id).is_some_and(leads_there)).copied()
    }

    /// Begins to connect to a flow's remote address; over TLS the peer has to prove its name. None when there are too many connections.
    fn connect(&mut self, flow: Flow, name: ServerName<'static>) -> Option<ConnectionId> {
        if self.connections.len() >= self.limits.connections {
            return None;
        }
        let flow = Flow { connection: Some(self.new_connection_id()), proof: Proof::Nothing, ..flow };
        let connection = Connection::connecting(flow, name, self.hands.tls.clone(), &self.limits, self.from_connections.clone());
        Some(self.keep(connection))
    }

    fn write(&mut self, id: ConnectionId, bytes: Bytes) {
        if let Some(connection) = self.connections.get(&id)
            && !connection.write(bytes)
        {
            debug!(peer = %connection.flow.remote, "cut off a peer that does not read");
            self.forget(id);
        }
    }

    fn tell(&mut self, call: CallRef, event: Event) {
        match event {
            Event::Incoming(invite) => {
                if !invite.proof.is_trusted()
                    && let Some(oldest) = self.gate.call_began(call, invite.source.ip(), Instant::now())
                {
                    self.uas.give_up(oldest, Instant::now());
                }
                self.announce(call, *invite);
            }
            Event::Ended(_) => {
                self.gate.call_ended(call);
                if let Some(live) = self.calls.remove(&call) {
                    live.events.send(event);
                }
            }
            Event::EarlyAnswer { .. }
            | Event::Acknowledged { .. }
            | Event::Reoffer { .. }
            | Event::Refreshed { .. }
            | Event::Transferred(_)
            | Event::Info { .. } => {
                // All of them name our tag, which only whoever got our answer knows.
                self.gate.call_confirmed(call, Instant::now());
                if let Some(live) = self.calls.get(&call)
                    && !live.events.send(event)
                {
                    debug!("dropped an INFO request of a caller who sends more than we can take");
                }
            }
        }
    }

    fn hand_over(&mut self, reference: RequestRef, request: OutsideRequest) {
        match self.requests.try_reserve() {
            Ok(place) => place.send(NewRequest { request, handle: request_handle(reference, self.orders.clone()) }),
            Err(_) => {
                self.shed.note();
                self.uas.shed(reference, Instant::now());
            }
        }
    }

    fn announce(&mut self, call: CallRef, invite: super::event::IncomingCall) {
        let connection = self.uas.connection(call).and_then(|id| self.connections.get(&id));
        let connection = connection.map(Connection::used_by_a_call);
        let (handle, events) = handle(call, self.orders.clone());
        self.calls.insert(call, LiveCall { events, _connection: connection });
        if let Err(error) = self.incoming.try_send(NewCall { invite, handle }) {
            self.shed.note();
            let command = Command::Refuse { status: 503, retry_after: Some(self.uas.retry_after()) };
            self.uas.command(call, command, Instant::now());
            drop(error);
        }
    }
}

/// Calls and requests that were refused because nobody took those before them, which a flood must not turn into a flood of log lines.
#[derive(Debug, Default)]
struct Shed {
    count: u64,
    told_at: Option<Instant>,
}

impl Shed {
    fn note(&mut self) {
        self.count += 1;
        if self.told_at.is_none_or(|at| at.elapsed() >= Duration::from_secs(1)) {
            warn!(count = self.count, "refused calls or requests, for those before them wait to be taken");
            *self = Self { count: 0, told_at: Some(Instant::now()) };
        }
    }
}

/// Says what was dropped: counts and networks, but nobody's number.
fn tell_dropped(report: &Report) {
    let reasons: Vec<String> = report.dropped.iter().map(|(why, count)| format!("{} × {count}", why.words())).collect();
    let networks: Vec<String> = report.networks.iter().map(|(network, count)| format!("{network} × {count}")).collect();
    warn!(
        dropped = reasons.join(", "),
        networks = networks.join(", "),
        given_up = report.given_up,
        bans = report.bans,
        "strangers were kept out"
    );
}

/// Which of our addresses a peer sees when a socket is bound to all of them.
///
/// The kernel sends from the address that its route to the peer prescribes; a connected socket tells which one that is.
#[derive(Debug, Default)]
struct LocalAddresses {
    by_peer: HashMap<IpAddr, IpAddr>,
    stale_at: Option<Instant>,
}

impl LocalAddresses {
    const LIFE: Duration = Duration::from_mins(1);
    const LIMIT: usize = 4096;

    fn concrete(&mut self, bound: SocketAddr, remote: SocketAddr, now: Instant) -> SocketAddr {
        if !bound.ip().is_unspecified() {
            return bound;
        }
        if self.by_peer.len() >= Self::LIMIT || self.stale_at.is_some_and(|at| at <= now) {
            self.by_peer.clear();
            self.stale_at = None;
        }
        self.stale_at.get_or_insert(now + Self::LIFE);
        let address = self.by_peer.entry(remote.ip()).or_insert_with(|| local_address_towards(remote).unwrap_or(bound.ip()));
        SocketAddr::new(*address, bound.port())
    }
}

/// What a host's connections are counted by: its address, and of an IPv6 address only the network, since every host has 2^64
/// addresses to choose from.
fn host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// The address of ours that packets to `remote` leave from.
pub(super) fn local_address_towards(remote: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.connect(remote)?;
    Ok(socket.local_addr()?.ip())
}

/// Waits until one of the sockets has a datagram; looks at `first` first, so that each gets its turn.
async fn readable(sockets: &[Datagrams], first: usize) -> usize {
    poll_fn(|context| {
        let ready = (0..sockets.len())
            .map(|offset| (first + offset) % sockets.len())
            .find(|&index| sockets[index].socket.poll_recv_ready(context).is_ready());
        ready.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// Waits for an instant, or for ever without one.
pub(super) async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => pending().await,
    }
}

async fn accept(transport: Transport, listener: TcpListener, accepted: mpsc::Sender<Accepted>) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                if accepted.send(Accepted { transport, stream, remote }).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                // Most likely no file descriptor is left; some will be, soon.
                warn!(%error, "could not accept a SIP connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Sends a datagram now or not at all: a full kernel buffer loses it like any router may, and it is sent again if it matters.
///
/// This asks the kernel itself, since tokio does not know that a new socket can be written to until it has waited for that.
pub(super) fn send_datagram(socket: &UdpSocket, bytes: &[u8], remote: SocketAddr) -> io::Result<()> {
    SockRef::from(socket).send_to(bytes, &remote.into()).map(|_| ())
}

/// Opens a UDP socket with large buffers. An IPv6 one takes IPv6 only, so that both can be bound to the same port.
pub(super) fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    let _ = socket.set_recv_buffer_size(UDP_BUFFER);
    let _ = socket.set_send_buffer_size(UDP_BUFFER);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    TcpSocket::from_std_stream(socket.into()).listen(1024)
}
