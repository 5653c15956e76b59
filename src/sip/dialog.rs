//! A dialog (RFC 3261 §12): what two peers must remember of a call to send each other requests.

use bytes::Bytes;
use rsip::{Header, Headers, Method, Request, Version, headers};

use super::{
    flow::{Flow, Proof, Transport},
    inbound::Inbound,
    wire::{self, HeaderViews, NameAddr, Scheme, SipUri},
};

/// One side's view of a dialog.
#[derive(Clone, Debug)]
pub(super) struct Dialog {
    pub(super) call_id: String,
    /// From in our requests, with our tag.
    pub(super) local: String,
    /// To in our requests, with the peer's tag if it has one.
    pub(super) remote: String,
    pub(super) remote_tag: String,
    /// The Request-URI of our requests: the peer's Contact.
    pub(super) target: SipUri,
    /// Proxies that want to see our requests, nearest first.
    pub(super) routes: Vec<NameAddr>,
    /// CSeq of our latest request.
    pub(super) local_sequence: u32,
    /// CSeq of the peer's latest request; anything not above it is out of order.
    pub(super) remote_sequence: u32,
    /// The path that the dialog began on.
    pub(super) flow: Flow,
    /// Whether the peer itself is at the other end of the path, and reachable there: then its requests' source is a better
    /// address than its Contact, which behind NAT means nothing to us.
    pub(super) is_direct: bool,
    /// Whether it was begun with a `sips:` URI, so that our Contact must be one as well (§12.1.1).
    pub(super) is_sips: bool,
}

impl Dialog {
    /// The dialog that an INVITE to us begins (§12.1.1). None without a Contact.
    pub(super) fn answering(inbound: &Inbound, tag: &str) -> Option<Self> {
        let headers = &inbound.request.headers;
        let to = headers.value("To").unwrap_or_default();
        let routes = headers.record_routes().unwrap_or_default();
        let vias = headers.vias().unwrap_or_default();
        let is_symmetric = inbound.flow.transport.is_reliable() || vias.first().is_some_and(|via| via.wants_rport());
        Some(Self {
            call_id: inbound.call_id.clone(),
            local: format!("{to};tag={tag}"),
            remote: headers.value("From").unwrap_or_default().to_owned(),
            remote_tag: inbound.from_tag.clone(),
            target: headers.contact().ok()??.uri,
            is_sips: inbound.flow.transport.is_secure() && asks_for_sips(inbound),
            is_direct: is_symmetric && vias.len() == 1 && routes.is_empty(),
            routes,
            local_sequence: 0,
            remote_sequence: inbound.sequence,
            flow: inbound.reply_to,
        })
    }

    /// Our Contact on a path.
    pub(super) fn contact(&self, user: &str, path: &Flow) -> Header {
        if !self.is_sips {
            return contact(user, path);
        }
        let mut uri = SipUri { scheme: Scheme::Sips, ..SipUri::at(Some(user), path.local) };
        if path.transport.is_websocket() {
            uri.params.push("transport", path.transport.in_uri());
        }
        Header::Contact(NameAddr::new(uri).to_string().into())
    }

    /// Whether a request belongs to this dialog, our tag apart.
    pub(super) fn fits(&self, inbound: &Inbound) -> bool {
        self.call_id == inbound.call_id && self.remote_tag == inbound.from_tag
    }

    /// Learns where the peer is now, from a request or response that may say so (§12.2).
    pub(super) fn refresh_target(&mut self, headers: &Headers) {
        if let Ok(Some(contact)) = headers.contact() {
            self.target = contact.uri;
        }
    }

    /// The path that our requests take.
    pub(super) fn path(&self) -> Flow {
        let next = self.routes.first().map_or(&self.target, |route| &route.uri);
        let said = next.socket_address().filter(|address| address.is_ipv4() == self.flow.remote.is_ipv4());
        match (said, self.flow.transport) {
            // A browser takes no connections, and the address it gives is made up.
            (_, Transport::Ws | Transport::Wss) => self.flow,
            // A name would have to be looked up; who sent the request knows the way.
            (None, _) => self.flow,
            (Some(_), Transport::Udp) if self.is_direct => self.flow,
            // The connection is used while it is there; when it is gone, this is where to make another.
            (Some(remote), _) if self.is_direct => Flow { remote, ..self.flow },
            (Some(remote), transport) => {
                let says_so = next.params.has("transport") || next.scheme == Scheme::Sips;
                let transport = if says_so { next.transport() } else { transport };
                let is_same_peer = transport == self.flow.transport && remote.ip() == self.flow.remote.ip();
                let connection = self.flow.connection.filter(|_| is_same_peer);
                let proof = if is_same_peer { self.flow.proof } else { Proof::Nothing };
                Flow { transport, local: self.flow.local, remote, connection, proof }
            }
        }
    }

    /// Writes a request inside the dialog (§12.2.1.1).
    pub(super) fn request(&self, method: Method, sequence: u32, branch: &str, more: Vec<Header>, body: Vec<u8>) -> Bytes {
        let (uri, routes) = self.uri_and_routes();
        let mut headers: Vec<Header> = Vec::with_capacity(12);
        headers.push(via(&self.path(), branch));
        headers.push(Header::MaxForwards(headers::MaxForwards::from("70")));
        headers.extend(routes.iter().map(|route| Header::Route(headers::Route::from(route.as_str()))));
        headers.push(Header::From(self.local.as_str().into()));
        headers.push(Header::To(self.remote.as_str().into()));
        headers.push(Header::CallId(self.call_id.as_str().into()));
        headers.push(Header::CSeq(format!("{sequence} {method}").into()));
        headers.extend(more);
        let request = Request { method, uri: (&uri).into(), version: Version::V2, headers: headers.into(), body };
        wire::write_request(&request).into()
    }

    /// The Request-URI and Route: a first proxy that does not know loose routing wants to be in the Request-URI itself. Headers that
    /// the peer's Contact asks for are not sent: they may not stand in a Request-URI, and could be a Route to anywhere (§19.1.5).
    fn uri_and_routes(&self) -> (SipUri, Vec<String>) {
        let target = SipUri { headers: Vec::new(), ..self.target.clone() };
        let all = self.routes.iter().map(ToString::to_string);
        match self.routes.first() {
            Some(first) if !first.uri.params.has("lr") => {
                (first.uri.clone(), all.skip(1).chain([NameAddr::new(target).to_string()]).collect())
            }
            _ => (target, all.collect()),
        }
    }
}

/// Whether the Request-URI, or the top Record-Route or else the Contact, is a `sips:` URI.
fn asks_for_sips(inbound: &Inbound) -> bool {
    let headers = &inbound.request.headers;
    let routes = headers.record_routes().unwrap_or_default();
    let next = routes.into_iter().next().or_else(|| headers.contact().ok().flatten());
    SipUri::from(&inbound.request.uri).scheme == Scheme::Sips || next.is_some_and(|next| next.uri.scheme == Scheme::Sips)
}

/// The Via of a request of ours. It asks for `rport`, so that responses come back the way the request went.
pub(super) fn via(path: &Flow, branch: &str) -> Header {
    Header::Via(format!("SIP/2.0/{} {};rport;branch={branch}", path.transport.in_via(), path.local).into())
}

/// Our Contact on a path, outside a dialog of `sips:` URIs.
pub(super) fn contact(user: &str, path: &Flow) -> Header {
    let mut uri = SipUri::at(Some(user), path.local);
    if let Some(transport) = path.transport.in_uri() {
        uri.params.push("transport", Some(transport));
    }
    Header::Contact(NameAddr::new(uri).to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{flow::ConnectionId, inbound::Keys, wire::Message};

    const LOCAL: &str = "192.0.2.9:5060";

    #[test]
    fn a_peer_that_asks_for_rport_is_reached_where_its_requests_come_from() {
        let dialog = dialog("Via: SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bK1\r\nContact: <sip:x@10.0.0.1:5070>\r\n", false);

        assert_eq!(dialog.path().remote, "203.0.113.1:40000".parse().unwrap());
    }

    #[test]
    fn a_peer_that_does_not_is_reached_at_its_contact() {
        let dialog = dialog("Via: SIP/2.0/UDP 203.0.113.1;branch=z9hG4bK1\r\nContact: <sip:x@203.0.113.1:5070>\r\n", false);

        assert_eq!(dialog.path().remote, "203.0.113.1:5070".parse().unwrap());
    }

    #[test]
    fn a_peer_behind_a_proxy_is_reached_through_its_routes_or_at_its_contact() {
        let vias = "Via: SIP/2.0/UDP 203.0.113.1;rport;branch=z9hG4bK1, SIP/2.0/TCP 10.0.0.1;branch=z9hG4bK2\r\n";
        let contact = "Contact: <sip:x@198.51.100.7:5070;transport=tcp>\r\n";
        let routed = dialog(&format!("{vias}{contact}Record-Route: <sip:203.0.113.2;lr>, <sip:203.0.113.3;lr>\r\n"), false);
        let unrouted = dialog(&format!("{vias}{contact}"), false);

        assert_eq!(routed.path().remote, "203.0.113.2:5060".parse().unwrap());
        let written = text(&routed);
        assert!(written.starts_with("BYE sip:x@198.51.100.7:5070;transport=tcp SIP/2.0\r\n"), "{written}");
        assert!(written.contains("Route: <sip:203.0.113.2;lr>\r\nRoute: <sip:203.0.113.3;lr>\r\n"), "{written}");
        assert_eq!(unrouted.path().remote, "198.51.100.7:5070".parse().unwrap());
        assert_eq!(unrouted.path().transport, Transport::Tcp);
    }

    #[test]
    fn a_strict_router_is_put_in_the_request_line() {
        let dialog = dialog(
            "Via: SIP/2.0/UDP p;branch=z9hG4bK1\r\nContact: <sip:x@198.51.100.7>\r\nRecord-Route: <sip:203.0.113.2>\r\n",
            false,
        );

        let written = text(&dialog);

        assert!(written.starts_with("BYE sip:203.0.113.2 SIP/2.0\r\n"), "{written}");
        assert!(written.contains("\r\nRoute: <sip:x@198.51.100.7>\r\n"), "{written}");
    }

    #[test]
    fn headers_that_a_contact_asks_for_are_not_sent() {
        let asked =
            "Via: SIP/2.0/UDP 203.0.113.1;branch=z9hG4bK1\r\nContact: <sip:x@203.0.113.1?Route=%3Csip:198.51.100.66%3E&X=y>\r\n";
        let plain = text(&dialog(asked, false));
        let strict = text(&dialog(&format!("{asked}Record-Route: <sip:203.0.113.2>\r\n"), false));

        assert!(plain.starts_with("BYE sip:x@203.0.113.1 SIP/2.0\r\n") && !plain.contains("198.51.100.66"), "{plain}");
        assert!(strict.contains("\r\nRoute: <sip:x@203.0.113.1>\r\n") && !strict.contains("198.51.100.66"), "{strict}");
    }

    #[test]
    fn a_stream_is_used_again_and_made_again_to_the_contact() {
        let dialog = dialog("Via: SIP/2.0/TCP 10.0.0.1;branch=z9hG4bK1\r\nContact: <sip:x@203.0.113.1:5070>\r\n", true);

        let path = dialog.path();

        assert_eq!(path.connection, Some(ConnectionId(1)));
        assert_eq!(path.remote, "203.0.113.1:5070".parse().unwrap());
    }

    #[test]
    fn a_browser_is_reached_over_its_connection_only() {
        let inbound = inbound_over(
            Transport::Wss,
            "Via: SIP/2.0/WSS x.invalid;branch=z9hG4bK1\r\nContact: <sip:x@192.0.2.77;transport=ws>\r\nRecord-Route: <sip:192.0.2.3;lr>\r\n",
        );
        let dialog = Dialog::answering(&inbound, "t").unwrap();

        assert_eq!(dialog.path(), inbound.flow);
        assert_eq!(dialog.contact("vm", &inbound.flow).to_string(), "Contact: <sip:vm@192.0.2.9:5060;transport=ws>");
    }

    #[test]
    fn over_tls_we_are_reached_by_tls_and_at_a_sips_uri_where_that_was_asked_for() {
        let contact = |contact: &str| {
            let via = "Via: SIP/2.0/TLS 203.0.113.1;branch=z9hG4bK1\r\n";
            let inbound = inbound_over(Transport::Tls, &format!("{via}Contact: <{contact}>\r\n"));
            Dialog::answering(&inbound, "t").unwrap().contact("vm", &inbound.flow).to_string()
        };

        assert_eq!(contact("sip:x@203.0.113.1;transport=tls"), "Contact: <sip:vm@192.0.2.9:5060;transport=tls>");
        assert_eq!(contact("sips:x@203.0.113.1"), "Contact: <sips:vm@192.0.2.9:5060>");
    }

    #[test]
    fn without_a_contact_there_is_no_dialog() {
        let inbound = inbound("Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\n", false);

        assert!(Dialog::answering(&inbound, "t").is_none());
    }

    fn text(dialog: &Dialog) -> String {
        String::from_utf8(dialog.request(Method::Bye, 1, "z9hG4bK9", Vec::new(), Vec::new()).to_vec()).unwrap()
    }

    fn dialog(headers: &str, is_stream: bool) -> Dialog {
        Dialog::answering(&inbound(headers, is_stream), "t").unwrap()
    }

    fn inbound(headers: &str, is_stream: bool) -> Inbound {
        inbound_over(if is_stream { Transport::Tcp } else { Transport::Udp }, headers)
    }

    fn inbound_over(transport: Transport, headers: &str) -> Inbound {
        let text = format!(
            "INVITE sip:a@b SIP/2.0\r\n{headers}From: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n"
        );
        let (local, remote) = (LOCAL.parse().unwrap(), "203.0.113.1:40000".parse().unwrap());
        let flow = match transport {
            Transport::Udp => Flow::udp(local, remote),
            stream => Flow::connected(stream, local, remote, ConnectionId(1)),
        };
        let Ok(Message::Request(request)) = wire::parse(text.as_bytes()) else { panic!("{text}") };
        Inbound::new(request, &flow, text.len(), &Keys::default()).unwrap()
    }
}
