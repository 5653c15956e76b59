//! Where a message came from and where the answer goes: a transport, two addresses and, but for datagrams, one
//! connection with what its peer has proven.

use std::{fmt, net::SocketAddr};

/// What carries a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams: may be lost, so transactions repeat themselves.
    Udp,
    /// A stream that repeats lost bytes by itself.
    Tcp,
    /// An encrypted stream whose server, and perhaps whose client, has shown a certificate.
    Tls,
    /// WebSocket (RFC 7118), as spoken behind a proxy that has taken the encryption off.
    Ws,
    /// WebSocket over TLS, as browsers speak it.
    Wss,
}

impl Transport {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss];

    /// Reads what `Display` wrote.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transport| transport.to_string() == text)
    }

    /// Whether what is sent arrives or the connection breaks (RFC 3261 §17: no retransmission then).
    #[must_use]
    pub fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Tls | Self::Ws | Self::Wss => true,
        }
    }

    /// Whether nobody between can read or change what is said.
    #[must_use]
    pub fn is_secure(self) -> bool {
        match self {
            Self::Udp | Self::Tcp | Self::Ws => false,
            Self::Tls | Self::Wss => true,
        }
    }

    /// Whether it is WebSocket: such a peer takes no connections, and is reached over the one it made or not at all.
    #[must_use]
    pub fn is_websocket(self) -> bool {
        match self {
            Self::Udp | Self::Tcp | Self::Tls => false,
            Self::Ws | Self::Wss => true,
        }
    }

    /// The port when none is said.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// The word used in Via: `UDP`, `TCP`, `TLS`, `WS`, `WSS`.
    #[must_use]
    pub fn in_via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The `transport` parameter of a `sip:` URI that is reached so; UDP needs none. Both kinds of WebSocket are `ws` (RFC 7118 §4.1).
    #[must_use]
    pub fn in_uri(self) -> Option<&'static str> {
        match self {
            Self::Udp => None,
            Self::Tcp => Some("tcp"),
            Self::Tls => Some("tls"),
            Self::Ws | Self::Wss => Some("ws"),
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        })
    }
}

/// What the peer at the other end of a connection has proven about itself before its first message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Proof {
    /// Nothing: it may be anybody.
    #[default]
    Nothing,
    /// Less than nothing: it may be anybody, and the address is perhaps that of a proxy that serves everybody. WebSockets are like that,
    /// so even a trusted address makes nobody trusted there.
    Relayed,
    /// Its certificate, which a certificate authority of ours has signed, has a name that is configured as trusted.
    TrustedName,
}

impl Proof {
    /// Whether the peer is a trusted one, whatever its address.
    #[must_use]
    pub fn is_trusted(self) -> bool {
        self.is_trusted_or(|| false)
    }

    /// Whether the peer is a trusted one, when its address may say so as well.
    #[must_use]
    pub fn is_trusted_or(self, by_address: impl FnOnce() -> bool) -> bool {
        match self {
            Self::Nothing => by_address(),
            Self::Relayed => false,
            Self::TrustedName => true,
        }
    }
}

/// One connection, of TCP or something above it, among all since the server started.
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
    /// The connection, if there is one already; without it the transport makes one to `remote`.
    pub connection: Option<ConnectionId>,
    /// What the peer has proven about itself.
    pub proof: Proof,
}

impl Flow {
    /// A datagram flow.
    #[must_use]
    pub fn udp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self { transport: Transport::Udp, local, remote, connection: None, proof: Proof::Nothing }
    }

    /// A flow over a TCP connection that exists.
    #[must_use]
    pub fn tcp(local: SocketAddr, remote: SocketAddr, connection: ConnectionId) -> Self {
        Self::connected(Transport::Tcp, local, remote, connection)
    }

    /// A flow over a connection that exists, whose peer has proven nothing.
    #[must_use]
    pub fn connected(transport: Transport, local: SocketAddr, remote: SocketAddr, connection: ConnectionId) -> Self {
        Self { transport, local, remote, connection: Some(connection), proof: Proof::Nothing }
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
