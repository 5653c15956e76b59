//! A peer that requests of ours go to, as a value that outlives the process: a subscription's dialog, a registered phone, a proxy.
//!
//! CSeq is not in it: whoever keeps the value raises the number before each use.

use std::{fmt, net::SocketAddr};

use rsip::{Header, Method};
use serde::{Deserialize, Serialize};

use super::{
    flow::{Flow, Transport},
    outgoing::OutgoingRequest,
    request::OutsideRequest,
    wire::{HeaderViews as _, Malformed, NameAddr, SipUri},
};

/// What our requests to a peer need.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Kept", try_from = "Kept")]
pub struct Peer {
    /// Call-ID.
    pub call_id: String,
    /// From, with our tag.
    pub local: String,
    /// To; with the peer's tag in a dialog.
    pub remote: String,
    /// The Request-URI.
    pub target: SipUri,
    /// Proxies that want to see our requests, nearest first.
    pub routes: Vec<NameAddr>,
    /// How the peer was met, if it was.
    pub met: Option<Met>,
}

/// How a peer's latest request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Met {
    /// By which transport.
    pub transport: Transport,
    /// To which address of ours.
    pub local: SocketAddr,
    /// From which address.
    pub remote: SocketAddr,
    /// Whether that is the peer's own address, and it can be reached there.
    pub is_direct: bool,
}

/// Logs must not carry numbers.
impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("call_id", &self.call_id).field("met", &self.met).finish_non_exhaustive()
    }
}

impl Peer {
    /// The subscriber that a request to us begins a dialog with (RFC 6665 §4.4.1), with this tag of ours. None without a Contact.
    #[must_use]
    pub fn subscribing(request: &OutsideRequest, tag: &str) -> Option<Self> {
        let headers = &request.request.headers;
        let to = headers.value("To").unwrap_or_default();
        let routes = headers.record_routes().unwrap_or_default();
        Some(Self {
            call_id: headers.call_id().ok()?.to_owned(),
            local: format!("{to};tag={tag}"),
            remote: headers.value("From").unwrap_or_default().to_owned(),
            target: headers.contact().ok()??.uri,
            met: Some(Met::by(request, routes.is_empty())),
            routes,
        })
    }

    /// Whether a request belongs to this dialog, our tag apart.
    #[must_use]
    pub fn fits(&self, request: &OutsideRequest) -> bool {
        let headers = &request.request.headers;
        let tag = |value: &str| NameAddr::parse(value).ok().and_then(|address| address.tag().map(ToOwned::to_owned));
        headers.call_id().is_ok_and(|id| id == self.call_id)
            && headers.from_address().is_ok_and(|from| from.tag().map(ToOwned::to_owned) == tag(&self.remote))
    }

    /// Learns where the peer is now, from a request of its dialog (RFC 3261 §12.2.2).
    pub fn refresh(&mut self, request: &OutsideRequest) {
        if let Ok(Some(contact)) = request.request.headers.contact() {
            self.target = contact.uri;
        }
        self.met = Some(Met::by(request, self.routes.is_empty()));
    }

    /// Whether both are the same telephone: at one address, or with one Contact.
    #[must_use]
    pub fn is_at(&self, other: &Self) -> bool {
        let address = |peer: &Self| peer.met.filter(|met| met.is_direct).map(|met| (met.transport, met.remote));
        let contact = |peer: &Self| (peer.target.user.clone(), peer.target.host.clone(), peer.target.port);
        address(self).is_some_and(|met| Some(met) == address(other)) || contact(self) == contact(other)
    }

    /// A request to the peer.
    #[must_use]
    pub fn request(&self, method: Method, sequence: u32, headers: Vec<Header>, body: Vec<u8>) -> OutgoingRequest {
        let path = self.met.map(|met| Flow { transport: met.transport, ..Flow::udp(met.local, met.remote) });
        OutgoingRequest {
            method,
            target: self.target.clone(),
            routes: self.routes.clone(),
            from: self.local.clone(),
            to: self.remote.clone(),
            call_id: self.call_id.clone(),
            sequence,
            path,
            is_direct: self.met.is_some_and(|met| met.is_direct),
            headers,
            body,
        }
    }
}

impl Met {
    /// How a request came.
    #[must_use]
    pub fn by(request: &OutsideRequest, is_unrouted: bool) -> Self {
        let Flow { transport, local, remote, .. } = request.flow;
        let vias = request.request.headers.vias().unwrap_or_default();
        let is_symmetric = transport.is_reliable() || vias.first().is_some_and(|via| via.wants_rport());
        Self { transport, local, remote, is_direct: is_symmetric && vias.len() == 1 && is_unrouted }
    }
}

/// A peer as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    call_id: String,
    local: String,
    remote: String,
    target: String,
    routes: Vec<String>,
    met: Option<KeptMet>,
}

#[derive(Serialize, Deserialize)]
struct KeptMet {
    transport: String,
    local: SocketAddr,
    remote: SocketAddr,
    is_direct: bool,
}

impl From<Peer> for Kept {
    fn from(peer: Peer) -> Self {
        Self {
            target: peer.target.to_string(),
            routes: peer.routes.iter().map(ToString::to_string).collect(),
            met: peer.met.map(|Met { transport, local, remote, is_direct }| KeptMet {
                transport: transport.to_string(),
                local,
                remote,
                is_direct,
            }),
            call_id: peer.call_id,
            local: peer.local,
            remote: peer.remote,
        }
    }
}

impl TryFrom<Kept> for Peer {
    type Error = Malformed;

    fn try_from(kept: Kept) -> Result<Self, Malformed> {
        let met = kept.met.map(|met| {
            let transport = Transport::from_text(&met.transport).ok_or(Malformed("a kept transport"))?;
            Ok(Met { transport, local: met.local, remote: met.remote, is_direct: met.is_direct })
        });
        Ok(Self {
            target: SipUri::parse(&kept.target)?,
            routes: kept.routes.iter().map(|route| NameAddr::parse(route)).collect::<Result<_, _>>()?,
            met: met.transpose()?,
            call_id: kept.call_id,
            local: kept.local,
            remote: kept.remote,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sip::wire::{self, Message};

    #[test]
    fn a_subscriber_is_reached_where_it_subscribed_from() {
        let request = subscribe("Via: SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bK1\r\n", "");

        let peer = Peer::subscribing(&request, "ours").unwrap();

        assert_eq!(peer.local, "<sip:6001@vm.example>;tag=ours");
        assert_eq!(peer.remote, "\"Ann\" <sip:6001@vm.example>;tag=1");
        assert_eq!(peer.target.to_string(), "sip:ann@10.0.0.1:5070");
        let met = peer.met.unwrap();
        assert_eq!((met.remote, met.is_direct), ("203.0.113.1:40000".parse().unwrap(), true));
    }

    #[test]
    fn behind_a_proxy_the_routes_are_kept() {
        let vias = "Via: SIP/2.0/UDP 203.0.113.1;rport;branch=z9hG4bK1, SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK2\r\n";
        let request = subscribe(vias, "Record-Route: <sip:203.0.113.1;lr>\r\n");

        let peer = Peer::subscribing(&request, "ours").unwrap();

        assert_eq!(peer.routes.len(), 1);
        assert!(!peer.met.unwrap().is_direct);
    }

    #[test]
    fn what_is_kept_reads_the_same() {
        let request = subscribe("Via: SIP/2.0/TCP 10.0.0.1;branch=z9hG4bK1\r\n", "Record-Route: <sip:a;lr>, <sip:b;lr>\r\n");
        let peer = Peer::subscribing(&request, "ours").unwrap();
        let proxy = Peer { met: None, routes: Vec::new(), ..peer.clone() };

        for peer in [peer, proxy] {
            let kept = serde_json::to_string(&peer).unwrap();
            assert_eq!(serde_json::from_str::<Peer>(&kept).unwrap(), peer);
        }
    }

    #[test]
    fn only_requests_with_its_names_belong_to_a_dialog() {
        let request = subscribe("Via: SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bK1\r\n", "");
        let peer = Peer::subscribing(&request, "ours").unwrap();

        assert!(peer.fits(&request));
        assert!(!Peer { call_id: "2".to_owned(), ..peer.clone() }.fits(&request));
        assert!(!Peer { remote: "<sip:6001@vm.example>;tag=2".to_owned(), ..peer }.fits(&request));
    }

    proptest! {
        #[test]
        fn no_kept_text_makes_us_panic(target in ".*", route in ".*", transport in ".*") {
            let met = KeptMet {
                transport,
                local: "192.0.2.9:5060".parse().unwrap(),
                remote: "192.0.2.1:5060".parse().unwrap(),
                is_direct: true,
            };
            let _ = Peer::try_from(Kept {
                call_id: String::new(),
                local: String::new(),
                remote: String::new(),
                target,
                routes: vec![route],
                met: Some(met),
            });
        }
    }

    fn subscribe(via: &str, more: &str) -> OutsideRequest {
        let text = format!(
            "SUBSCRIBE sip:6001@vm.example SIP/2.0\r\n{via}From: \"Ann\" <sip:6001@vm.example>;tag=1\r\nTo: <sip:6001@vm.example>\r\n\
             Call-ID: 1\r\nCSeq: 1 SUBSCRIBE\r\nContact: <sip:ann@10.0.0.1:5070>\r\n{more}\r\n"
        );
        let Ok(Message::Request(request)) = wire::parse(text.as_bytes()) else { panic!("{text}") };
        OutsideRequest {
            request,
            flow: Flow::udp("192.0.2.9:5060".parse().unwrap(), "203.0.113.1:40000".parse().unwrap()),
            credentials: None,
        }
    }
}
