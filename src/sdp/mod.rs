//! Offer in, answer out (RFC 3264): one audio stream in one codec, and telephone-event.
//!
//! [`parse_offer`] and [`answer`] are what a call needs; [`offer`] and [`accept_answer`] are the other side of the table, for a
//! late offer and for our own telephone. Bytes are read over the `sdp-types` crate, after lines that do not concern us are
//! dropped ([`description`]). No sockets, no names to resolve: an address that is no IP address is refused.

// Tests may take their first moment from the clock.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

use std::net::{IpAddr, SocketAddr};

use crate::{audio::codec::Codec, rtp::Security};

mod answer;
mod crypto;
mod description;
mod offer;
mod protection;
#[cfg(test)]
mod tests;

pub use answer::{Offer, answer, parse_offer};
pub use crypto::CallKeys;
pub use description::{LONGEST_DESCRIPTION, MOST_STREAMS, SdpError};
pub use offer::{OwnOffer, accept_answer, offer};
pub use protection::{LocalSecurity, Policy};

/// What both sides agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// The codec of the audio, in both directions.
    pub codec: Codec,
    /// The payload type that carries it.
    pub codec_payload_type: u8,
    /// The payload type of telephone-event, if both sides have it.
    pub telephone_event: Option<u8>,
    /// How many milliseconds of audio the peer would like in a packet.
    pub packet_time: u8,
    /// Where the peer wants RTP. The unspecified address (and then [`direction_send`](Self::direction_send) is off) when it
    /// wants none for now.
    pub remote: SocketAddr,
    /// Where the peer wants RTCP: the RTP port with `rtcp-mux`, what `a=rtcp` says, or else the next port.
    pub remote_rtcp: SocketAddr,
    /// Whether we may send audio.
    pub direction_send: bool,
    /// Whether the peer may send audio.
    pub direction_receive: bool,
    /// Whether RTP and RTCP share a port on both sides (RFC 5761).
    pub rtcp_mux: bool,
    /// How both directions are protected.
    pub security: Security,
}

impl Negotiated {
    /// Whether the peer has put us on hold: it does not want to hear us, though it may play music to us.
    ///
    /// A first offer that is `sendonly` looks the same and is no hold, but a caller who only speaks.
    #[must_use]
    pub fn is_hold(&self) -> bool {
        !self.direction_send
    }
}

/// Our end of the audio stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalMedia {
    /// The address to be told: it may differ from the one the socket is bound to.
    pub address: IpAddr,
    /// The RTP port; RTCP has the next one, or the same with `rtcp-mux`.
    pub port: u16,
    /// Random, and the same for the whole call.
    pub session_id: u64,
    /// Raised by one with every description that differs from the one before in the same call.
    pub version: u64,
}

/// Which way audio flows, as its speaker sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendReceive,
    /// Only from the speaker.
    SendOnly,
    /// Only to the speaker.
    ReceiveOnly,
    /// Neither way.
    Inactive,
}

impl Direction {
    const ALL: [Self; 4] = [Self::SendReceive, Self::SendOnly, Self::ReceiveOnly, Self::Inactive];

    /// The direction with these two halves.
    #[must_use]
    pub const fn new(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendReceive,
            (true, false) => Self::SendOnly,
            (false, true) => Self::ReceiveOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether the speaker sends.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendReceive | Self::SendOnly)
    }

    /// Whether the speaker receives.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendReceive | Self::ReceiveOnly)
    }

    /// The same flow as the listener sees it.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self::new(self.receives(), self.sends())
    }

    /// The name of the SDP attribute.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendReceive => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::ReceiveOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|direction| direction.name() == name)
    }
}

/// Why an offer and our abilities, or our offer and an answer, lead to no call.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// No audio stream over RTP whose protection we can do, or none that is switched on. The call is refused with 488.
    #[error("no audio stream over RTP that we can take")]
    NoAudio,
    /// Audio without encryption, where it is required. The call is refused with 488.
    #[error("no audio stream with encryption, which is required here")]
    NotEncrypted,
    /// None of our codecs. The call is refused with 488.
    #[error("none of our codecs")]
    NoCommonCodec,
    /// The media address is a name, a multicast group, or missing. The call is refused with 488.
    #[error("the media address is not one host's IP address")]
    UnusableAddress,
    /// IPv6 media was asked of an IPv4 socket, or the other way round. The call is refused with 488.
    #[error("the media address is of another IP version than ours")]
    OtherIpVersion,
    /// The answer to our offer is not a session description. The call is ended.
    #[error("the answer cannot be read")]
    Unreadable(#[from] SdpError),
}
