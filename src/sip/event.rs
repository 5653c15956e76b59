//! What happens in a call, and what can be done with it: the words between [`super::uas`] and those who hold a call.

use std::{fmt, net::SocketAddr, time::Duration};

use rsip::Header;

use super::{
    flow::{Proof, Transport},
    wire::{DigestCredentials, Diversion, HistoryEntry, NameAddr, Reason, RemoteParty, SipUri},
};

/// One call, among all since the server started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallRef(pub u64);

/// Something happened in a call.
///
/// `Incoming` comes first and `Ended` last, each exactly once, whoever ended the call and however.
pub enum Event {
    /// A call arrived and waits for [`Command::Answer`] or [`Command::Refuse`].
    Incoming(Box<IncomingCall>),
    /// The caller answered the offer in [`Command::Ring`] before the call was answered; [`Command::Answer`] brings no other.
    EarlyAnswer {
        /// The caller's SDP answer, if there was one.
        answer: Option<Vec<u8>>,
    },
    /// The caller confirmed our answer, the first one or that to a [`Event::Reoffer`]. RTP may be sent from now on.
    Acknowledged {
        /// The caller's SDP answer, when the offer was ours because the INVITE had none.
        answer: Option<Vec<u8>>,
    },
    /// The caller wants to change the session (hold, resume, another address): a re-INVITE or an UPDATE, which waits for
    /// [`Command::AnswerReoffer`] or [`Command::RefuseReoffer`]. Only a re-INVITE is acknowledged.
    Reoffer {
        /// The new SDP offer; without one, the answer is to be a full offer of ours.
        offer: Option<Vec<u8>>,
    },
    /// The caller answered a re-INVITE of ours that changes nothing on our side, and may have changed something on its own.
    Refreshed {
        /// Its description.
        answer: Vec<u8>,
    },
    /// An INFO request came, already answered 200. Its content type is `application/dtmf-relay` or `application/dtmf`.
    Info {
        /// The media type in lower case, without parameters.
        content_type: String,
        /// The body, a few hundred bytes at most.
        body: Vec<u8>,
    },
    /// What came of [`Command::Transfer`], once for each, unless the call ends before. The call goes on whatever came of it.
    Transferred(TransferEnd),
    /// The call is over; no command has an effect any more.
    Ended(EndReason),
}

/// What came of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferEnd {
    /// The other side has been connected with whom we named.
    Reached,
    /// The other side does as it was asked, and tells nothing more (RFC 4488).
    Untold,
    /// The other side was asked in vain, with this status: it does not transfer calls, or not this one.
    Refused(u16),
    /// The other side has called whom we named, who did not take the call, with this status.
    Failed(u16),
    /// Nothing was heard in time: of the request in 10 s, or of whom we named in 90 s.
    Silent,
}

/// The body of an INFO request is a key, and may be one of a passcode.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Incoming(call) => f.debug_tuple("Incoming").field(call).finish(),
            Self::EarlyAnswer { .. } => f.write_str("EarlyAnswer"),
            Self::Acknowledged { .. } => f.write_str("Acknowledged"),
            Self::Refreshed { .. } => f.write_str("Refreshed"),
            Self::Reoffer { .. } => f.write_str("Reoffer"),
            Self::Info { .. } => f.write_str("Info"),
            Self::Transferred(end) => f.debug_tuple("Transferred").field(end).finish(),
            Self::Ended(reason) => f.debug_tuple("Ended").field(reason).finish(),
        }
    }
}

/// Why a call is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The caller hung up, perhaps with a reason (RFC 3326).
    Bye(Option<Reason>),
    /// The caller gave up before we answered, perhaps with a reason.
    Cancelled(Option<Reason>),
    /// Our answer was never confirmed by an ACK.
    AckTimeout,
    /// Nobody on our side answered or refused in time.
    Unanswered,
    /// We refused it with this status.
    Refused(u16),
    /// We hung up.
    HungUp,
    /// Nobody refreshed the session (RFC 4028), or the caller's side does not know it any more.
    SessionExpired,
    /// Another call took its place (RFC 3891).
    Replaced,
    /// The server stopped while the call was going on.
    Stopped,
}

/// Something to do with a call. A command that does not fit the moment has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Lets the caller hear ringing: 180.
    Ring {
        /// An offer for an INVITE without one. It is sent to a caller who acknowledges ringing (RFC 3262), and only then.
        offer: Option<Vec<u8>>,
    },
    /// Takes the call: 200 with this SDP, the answer to the offer or, if there was none, an offer.
    Answer {
        /// The session description.
        sdp: Vec<u8>,
    },
    /// Refuses the call with a status of 300 or above.
    Refuse {
        /// The status, like 404, 486 or 488.
        status: u16,
        /// When the caller may try again (503, 480, 486).
        retry_after: Option<Duration>,
    },
    /// Refuses the call with 401, and asks for credentials.
    Challenge {
        /// The `WWW-Authenticate` headers.
        challenges: Vec<Header>,
    },
    /// Accepts a re-INVITE with this SDP.
    AnswerReoffer {
        /// The session description.
        sdp: Vec<u8>,
    },
    /// Refuses a re-INVITE; the session goes on as it was.
    RefuseReoffer {
        /// The status, like 488.
        status: u16,
    },
    /// Asks the other side of an answered call to call somebody else instead of us: REFER.
    Transfer(Box<Referral>),
    /// Ends the call: BYE, or 480 when it was not answered yet.
    Hangup {
        /// What the BYE says of it (RFC 3326), for the other side's records and for those who read traces.
        reason: Option<Reason>,
    },
}

/// Whom the other side is to call instead of us.
#[derive(Clone, PartialEq, Eq)]
pub struct Referral {
    /// Whom to call (Refer-To).
    pub target: SipUri,
    /// On whose behalf (Referred-By, RFC 3892).
    pub referred_by: SipUri,
}

/// Logs must not carry full numbers.
impl fmt::Debug for Referral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Referral").finish_non_exhaustive()
    }
}

/// A call that arrives, as its INVITE tells it. Nothing in it is proven: who is believed is decided by `call`.
#[derive(Clone)]
pub struct IncomingCall {
    /// The Call-ID, for logs.
    pub call_id: String,
    /// Who sent us the INVITE: a trusted peer or anybody.
    pub source: SocketAddr,
    /// What the connection it came by proves about who sent it.
    pub proof: Proof,
    /// What the INVITE came by.
    pub transport: Transport,
    /// The address of ours it came to; media should use the same IP address.
    pub local: SocketAddr,
    /// Whom the INVITE is for.
    pub request_uri: SipUri,
    /// From: the caller by its own word.
    pub from: NameAddr,
    /// To: whom the caller dialled first.
    pub to: NameAddr,
    /// Diversion (RFC 5806), topmost first: the topmost is the latest diversion, the last the first.
    pub diversions: Vec<Diversion>,
    /// History-Info (RFC 7044) in order of its indexes, as sent.
    pub history: Vec<HistoryEntry>,
    /// P-Asserted-Identity (RFC 3325).
    pub asserted: Vec<NameAddr>,
    /// Remote-Party-ID, which older exchanges send instead.
    pub remote_parties: Vec<RemoteParty>,
    /// Privacy (RFC 3323) values in lower case, like `id`.
    pub privacy: Vec<String>,
    /// The caller's software, for logs and known quirks.
    pub user_agent: Option<String>,
    /// Credentials that must be checked before anything is done; none when the call needs none.
    pub credentials: Option<Box<DigestCredentials>>,
    /// The SDP offer; without one our answer is to be an offer.
    pub offer: Option<Vec<u8>>,
}

/// Logs must not carry names or full numbers.
impl fmt::Debug for IncomingCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingCall").field("source", &self.source).field("local", &self.local).finish_non_exhaustive()
    }
}
