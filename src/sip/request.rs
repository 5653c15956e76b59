//! Requests outside calls that somebody else answers: REGISTER, SUBSCRIBE in a subscription or without one, and whatever else brings
//! credentials that must be checked.
//!
//! The user agent server knows nothing of registrations and subscriptions. It hands such a request over as it is, keeps what the
//! answer must echo, absorbs the request's repetitions while it waits (RFC 3261 §17.2.2, Trying), and answers 503 by itself when
//! nobody else did in time.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    fmt,
    net::IpAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rsip::{Header, Method, Request, Response, headers::UntypedHeader as _};

use super::{
    flow::{ConnectionId, Flow},
    inbound::{Inbound, written},
    room::Roomy as _,
    transaction::TransactionId,
    wire::{self, DigestCredentials, NameAddr},
};

/// The longest such request that is taken, in bytes, for the same reason as with an INVITE.
pub(super) const LONGEST_REQUEST: usize = 16 * 1024;
/// How many may wait for their answer.
const MOST_WAITING: usize = 1024;
/// How many of one address may: a proxy sends those of many phones, but leaves room for others.
const MOST_WAITING_OF_AN_ADDRESS: usize = MOST_WAITING / 2;
/// How long one waits for its answer. The sender gives up after 32 s.
const PATIENCE: Duration = Duration::from_secs(10);

/// One request outside a call, among all since the server started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestRef(pub u64);

/// A request outside a call, which waits for [`Uas::respond`](super::uas::Uas::respond). It was validated: see [`wire::validate`].
#[derive(Clone)]
pub struct OutsideRequest {
    /// The request; its top Via says where it came from.
    pub request: Request,
    /// The path it came by.
    pub flow: Flow,
    /// Credentials that must be checked before anything is done; none when it needs none, for its peer is trusted.
    pub credentials: Option<Box<DigestCredentials>>,
}

impl OutsideRequest {
    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        self.request.method
    }
}

/// Logs must not carry names, numbers or credentials.
impl fmt::Debug for OutsideRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutsideRequest").field("method", &self.request.method).field("flow", &self.flow).finish_non_exhaustive()
    }
}

/// The answer to a request outside a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// A final status, 200 or above.
    pub status: u16,
    /// Headers beside those that every response echoes; with a body, its Content-Type.
    pub headers: Vec<Header>,
    /// The body.
    pub body: Vec<u8>,
    /// The tag of the dialog that the answer begins. Without one, and where the request has none, a tag is made.
    pub to_tag: Option<String>,
}

impl Reply {
    /// An answer of nothing but its status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), to_tag: None }
    }

    /// How long the sender may expect to be reached by the way that it came: while its registration or subscription lives, if this begins
    /// or goes on with one. Where several contacts are told, the longest life counts.
    pub(super) fn promised_life(&self) -> Option<Duration> {
        if !(200..300).contains(&self.status) {
            return None;
        }
        let lives = self.headers.iter().filter_map(|header| match header {
            Header::Expires(expires) => expires.value().trim().parse().ok(),
            Header::Contact(contact) => NameAddr::parse(contact.value()).ok()?.params.get("expires")?.parse().ok(),
            _ => None,
        });
        lives.max().map(Duration::from_secs)
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, header: Header) -> Self {
        self.headers.push(header);
        self
    }
}

/// The requests that wait for their answer.
#[derive(Debug, Default)]
pub(super) struct WaitingRequests {
    waiting: HashMap<RequestRef, Waiting>,
    transactions: HashSet<TransactionId>,
    /// What copies of one of them that come another way have in common with it (RFC 3261 §8.2.2.2).
    merge_keys: HashSet<u128>,
    by_address: HashMap<IpAddr, usize>,
    latest: u64,
}

/// A request in Trying, as far as its answer needs it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) id: TransactionId,
    pub(super) reply_to: Flow,
    source: IpAddr,
    merge_key: u128,
    /// What every response echoes, yet without a tag of ours.
    echo: Response,
    fallback_tag: String,
}

impl WaitingRequests {
    /// Whether one more of this address may wait.
    pub(super) fn has_room_for(&self, source: IpAddr) -> bool {
        let of_address = self.by_address.get(&source).copied().unwrap_or_default();
        self.waiting.len() < MOST_WAITING && of_address < MOST_WAITING_OF_AN_ADDRESS
    }

    /// Takes a request, and says until when it waits.
    pub(super) fn take(
        &mut self,
        inbound: Inbound,
        merge_key: u128,
        tag: String,
        now: Instant,
    ) -> (RequestRef, OutsideRequest, Instant) {
        let source = inbound.flow.remote.ip();
        self.latest += 1;
        let reference = RequestRef(self.latest);
        let echo = wire::response_to(&inbound.request.headers, 200.into());
        let waiting = Waiting { id: inbound.id, reply_to: inbound.reply_to, source, merge_key, echo, fallback_tag: tag };
        self.waiting.insert(reference, waiting);
        self.transactions.insert(inbound.id);
        self.merge_keys.insert(merge_key);
        *self.by_address.entry(source).or_default() += 1;
        let Inbound { request, flow, credentials, .. } = inbound;
        (reference, OutsideRequest { request, flow, credentials }, now + PATIENCE)
    }

    /// The connection that a request came by.
    pub(super) fn connection(&self, reference: RequestRef) -> Option<ConnectionId> {
        self.waiting.get(&reference)?.reply_to.connection
    }

    /// Takes a request out, to answer it.
    pub(super) fn remove(&mut self, reference: RequestRef) -> Option<Waiting> {
        let waiting = self.waiting.remove(&reference)?;
        self.transactions.remove(&waiting.id);
        self.merge_keys.remove(&waiting.merge_key);
        if let Entry::Occupied(mut entry) = self.by_address.entry(waiting.source) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
        Some(waiting)
    }

    /// Whether the request of this transaction waits: then another copy of it is nothing new.
    pub(super) fn has(&self, id: TransactionId) -> bool {
        self.transactions.contains(&id)
    }

    /// Whether another copy of a request waits, which came another way.
    pub(super) fn has_copy_of(&self, merge_key: u128) -> bool {
        self.merge_keys.contains(&merge_key)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Gives back the room that a flood has left.
    pub(super) fn give_room_back(&mut self) {
        self.waiting.give_room_back();
        self.transactions.give_room_back();
        self.merge_keys.give_room_back();
        self.by_address.give_room_back();
    }
}

impl Waiting {
    /// Writes the answer.
    pub(super) fn answered(mut self, reply: Reply) -> Bytes {
        // A provisional or unheard-of status is a mistake of ours.
        let status = if (200..700).contains(&reply.status) { reply.status } else { 500 };
        self.echo.status_code = status.into();
        wire::set_to_tag(&mut self.echo.headers, reply.to_tag.as_deref().unwrap_or(&self.fallback_tag));
        self.echo.headers.extend(reply.headers);
        self.echo.body = reply.body;
        written(&self.echo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_promises_the_longest_life_that_it_tells() {
        let told = |status, headers: &[Header]| Reply { headers: headers.to_vec(), ..Reply::status(status) }.promised_life();
        let contact = |value: &str| Header::Contact(value.into());

        let registered = [contact("<sip:a@b>;expires=60"), contact("<sip:a@c>;expires=600;q=0.5"), contact("<sip:a@d>")];
        assert_eq!(told(200, &registered), Some(Duration::from_secs(600)));
        assert_eq!(told(200, &[Header::Expires("3600".into())]), Some(Duration::from_secs(3600)));
        assert_eq!(told(423, &[Header::Expires("3600".into())]), None);
        assert_eq!(told(200, &[contact("<sip:a@b>;expires=soon"), Header::Expires("-1".into())]), None);
    }
}
