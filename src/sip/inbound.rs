//! A request as transactions and dialogs see it: what names it, where it came from, where its response goes.

use std::hash::{BuildHasher, RandomState};

use bytes::Bytes;
use rsip::{Header, Headers, Method, Request, Response};

use super::{
    flow::{Flow, Transport},
    transaction::TransactionId,
    wire::{self, DigestCredentials, HeaderError, HeaderViews},
};

/// A request that was validated.
#[derive(Debug)]
pub(super) struct Inbound {
    /// The request; its top Via says where it came from.
    pub(super) request: Request,
    /// Its transaction. An ACK has that of its INVITE (§17.2.3).
    pub(super) id: TransactionId,
    pub(super) call_id: String,
    pub(super) from_tag: String,
    pub(super) to_tag: Option<String>,
    pub(super) sequence: u32,
    /// The path it came by.
    pub(super) flow: Flow,
    /// The path its response takes.
    pub(super) reply_to: Flow,
    /// Credentials that must be checked before anything is done; none when it needs none.
    pub(super) credentials: Option<Box<DigestCredentials>>,
    /// Its size on the wire.
    pub(super) length: usize,
}

impl Inbound {
    /// Reads what names the request.
    ///
    /// # Errors
    ///
    /// The header that cannot be read, which [`wire::validate`] would have found.
    pub(super) fn new(mut request: Request, flow: &Flow, length: usize, keys: &Keys) -> Result<Self, HeaderError> {
        let headers = &request.headers;
        let method = if request.method == Method::Ack { Method::Invite } else { request.method };
        let id = keys.transaction(headers, method)?;
        let call_id = headers.call_id()?.to_owned();
        // Before RFC 3261 a From needed no tag.
        let from_tag = headers.from_address()?.tag().unwrap_or_default().to_owned();
        let to_tag = headers.to_address()?.tag().map(ToOwned::to_owned);
        let sequence = headers.cseq()?.number;
        let reply_to = reply_path(headers, flow);
        wire::note_source(&mut request.headers, flow.remote);
        Ok(Self { request, id, call_id, from_tag, to_tag, sequence, flow: *flow, reply_to, credentials: None, length })
    }

    /// The method.
    pub(super) fn method(&self) -> Method {
        self.request.method
    }

    /// A response with all that it must echo, and our tag.
    pub(super) fn response(&self, status: u16, tag: u64) -> Response {
        let mut response = wire::response_to(&self.request.headers, status.into());
        wire::set_to_tag(&mut response.headers, &tag_text(tag));
        response
    }

    /// Forgets what no response repeats, nor tells where the peer is.
    pub(super) fn keep_what_a_response_needs(&mut self) {
        let kept = self.request.headers.iter().filter(|header| is_kept(header)).cloned().collect::<Vec<_>>();
        self.request.headers = kept.into();
        self.request.body = Vec::new();
    }

    /// How many bytes [`Self::keep_what_a_response_needs`] leaves, about.
    pub(super) fn kept_length(&self) -> usize {
        if self.length <= 1024 {
            return self.length;
        }
        self.request.headers.iter().filter(|header| is_kept(header)).map(|header| header.to_string().len()).sum()
    }

    /// The Record-Route headers, which the response that makes a dialog echoes (§12.1.1).
    pub(super) fn record_routes(&self) -> Vec<Header> {
        self.request.headers.iter().filter(|header| matches!(header, Header::RecordRoute(_))).cloned().collect()
    }
}

fn is_kept(header: &Header) -> bool {
    matches!(
        header,
        Header::Via(_)
            | Header::From(_)
            | Header::To(_)
            | Header::CallId(_)
            | Header::CSeq(_)
            | Header::RecordRoute(_)
            | Header::Contact(_)
    )
}

/// Where a response goes: back on a stream, else to the source's address, and to its port if it asked for that (RFC 3581).
pub(super) fn reply_path(headers: &Headers, flow: &Flow) -> Flow {
    let mut path = *flow;
    if flow.transport == Transport::Udp
        && let Ok(via) = headers.top_via()
        && !via.wants_rport()
    {
        path.remote.set_port(via.port.unwrap_or(5060));
    }
    path
}

/// How a tag of ours is written.
pub(super) fn tag_text(tag: u64) -> String {
    format!("{tag:016x}")
}

/// Reads a tag of ours.
pub(super) fn read_tag(text: &str) -> Option<u64> {
    let is_ours = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_ours.then(|| u64::from_str_radix(text, 16).ok())?
}

/// Writes a response.
pub(super) fn written(response: &Response) -> Bytes {
    wire::write_response(response).into()
}

/// Keyed hashes, which nobody outside can make collide.
#[derive(Debug, Default)]
pub(super) struct Keys(RandomState, RandomState);

impl Keys {
    /// Names the transaction of a request of this method (§17.2.3).
    pub(super) fn transaction(&self, headers: &Headers, method: Method) -> Result<TransactionId, HeaderError> {
        let via = headers.top_via()?;
        let method = method.to_string();
        let id = match via.branch().filter(|branch| branch.starts_with("z9hG4bK")) {
            Some(branch) => self.hash((branch, &via.host, via.port, method)),
            None => {
                let from = headers.from_address()?;
                let number = headers.cseq()?.number;
                self.hash((headers.call_id()?, from.tag(), number, headers.value("Via"), method))
            }
        };
        Ok(TransactionId(id))
    }

    /// Names a transaction of our own.
    pub(super) fn client_transaction(&self, branch: &str, method: &str) -> TransactionId {
        TransactionId(self.hash((branch, method)))
    }

    /// What copies of one request have in common that came different ways (§8.2.2.2).
    pub(super) fn merge_key(&self, inbound: &Inbound) -> u128 {
        self.hash((&inbound.call_id, &inbound.from_tag, inbound.sequence, inbound.method().to_string()))
    }

    /// A tag for a response that is not remembered: the same each time.
    pub(super) fn stateless_tag(&self, headers: &Headers) -> u64 {
        self.0.hash_one((headers.value("Call-ID"), headers.value("From"), headers.value("CSeq")))
    }

    fn hash(&self, what: impl std::hash::Hash) -> u128 {
        u128::from(self.0.hash_one(&what)) << 64 | u128::from(self.1.hash_one(&what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::wire::Message;

    #[test]
    fn an_ack_of_a_refusal_belongs_to_its_invite_and_nothing_else_does() {
        let keys = Keys::default();
        let id = |method: &str, via: &str| inbound(method, via, &keys).id;
        let via = "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1";

        assert_eq!(id("INVITE", via), id("ACK", via));
        assert_ne!(id("INVITE", via), id("BYE", via));
        assert_ne!(id("INVITE", via), id("INVITE", "SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1"));
        assert_ne!(id("INVITE", via), id("INVITE", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK2"));
        assert_eq!(id("INVITE", "SIP/2.0/UDP old;branch=1"), id("ACK", "SIP/2.0/UDP old;branch=1"));
    }

    #[test]
    fn a_response_goes_to_the_port_asked_for() {
        let keys = Keys::default();
        let port = |via: &str| inbound("OPTIONS", via, &keys).reply_to.remote.port();

        assert_eq!(port("SIP/2.0/UDP 192.0.2.1:5070;rport;branch=z9hG4bK1"), 40_000);
        assert_eq!(port("SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1"), 5070);
        assert_eq!(port("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"), 5060);
    }

    #[test]
    fn only_tags_of_ours_are_read() {
        assert_eq!(read_tag(&tag_text(0xAB)), Some(0xAB));
        for text in ["", "ab", "00000000000000AB", "+0000000000000ab", "0000000000000000ab"] {
            assert_eq!(read_tag(text), None, "{text}");
        }
    }

    fn inbound(method: &str, via: &str, keys: &Keys) -> Inbound {
        let text = format!(
            "{method} sip:a@b SIP/2.0\r\nVia: {via}\r\nFrom: <sip:c@d>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 {method}\r\n\r\n"
        );
        let flow = Flow::udp("192.0.2.9:5060".parse().unwrap(), "192.0.2.1:40000".parse().unwrap());
        let Ok(Message::Request(request)) = wire::parse(text.as_bytes()) else { panic!("{text}") };
        Inbound::new(request, &flow, text.len(), keys).unwrap()
    }
}
