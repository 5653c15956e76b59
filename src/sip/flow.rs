//! Where a message came from and where the answer goes: a transport, two addresses and, over TCP, one connection.

use std::{fmt, net::SocketAddr};

/// What carries a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams: may be lost, so transactions repeat themselves.
    Udp,
    /// A stream that repeats lost bytes by itself.
    Tcp,
}

impl Transport {
    /// Whether what is sent arrives or the connection breaks (RFC 3261 §17: no retransmission then).
    #[must_use]
    pub fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp => true,
        }
    }

    /// The word used in Via: `UDP`, `TCP`.
    #[must_use]
    pub fn in_via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        })
    }
}

/// One TCP connection, among all since the server started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// The path of one message between us and a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// What carries it.
    pub transport: Transport,
    /// Our address on it: a concrete one, never 0.0.0.0, for it is what peers are told.
    pub local: SocketAddr,
    /// The peer's address as seen on the wire.
    pub remote: SocketAddr,
    /// The TCP connection, if there is one already; without it the transport makes one to `remote`.
    pub connection: Option<ConnectionId>,
}

impl Flow {
    /// A datagram flow.
    #[must_use]
    pub fn udp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self { transport: Transport::Udp, local, remote, connection: None }
    }

    /// A flow over a TCP connection that exists.
    #[must_use]
    pub fn tcp(local: SocketAddr, remote: SocketAddr, connection: ConnectionId) -> Self {
        Self { transport: Transport::Tcp, local, remote, connection: Some(connection) }
    }
}

/// One address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenAddr {
    /// What is listened for.
    pub transport: Transport,
    /// Where; port 0 lets the system choose.
    pub address: SocketAddr,
}

impl ListenAddr {
    /// A UDP socket's address.
    #[must_use]
    pub fn udp(address: SocketAddr) -> Self {
        Self { transport: Transport::Udp, address }
    }

    /// A TCP listener's address.
    #[must_use]
    pub fn tcp(address: SocketAddr) -> Self {
        Self { transport: Transport::Tcp, address }
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport, self.address)
    }
}
