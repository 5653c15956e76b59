//! The four transactions of RFC 3261 §17, with the Accepted state of RFC 6026, as data.
//!
//! A transaction knows only what it last sent and when it wants to be woken. Finding it for a message is
//! [`TransactionId`]'s part; what its user makes of a message is said in [`super::uas`] and [`super::uac`].

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::timer::{T1, T4, TRANSACTION_LIFE, doubled};

/// How long a caller waits before it hears 100: RFC 3261 §17.2.1 gives 200 ms, and most calls are answered sooner.
const TRYING_AFTER: Duration = Duration::from_millis(100);

/// Names one server or client transaction: a keyed hash of branch, sent-by and method, or of the five fields that stood
/// for a branch before RFC 3261.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionId(pub u128);

/// What a transaction wants when its deadline has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// This is to be sent, perhaps again.
    Send(Bytes),
    /// The peer did not react in 64 × T1; the transaction is over.
    GaveUp,
    /// The transaction has absorbed every repetition it had to; it is over.
    Over,
}

/// An INVITE that we answer (§17.2.1).
#[derive(Debug)]
pub struct ServerInvite {
    reliable: bool,
    state: ServerInviteState,
}

#[derive(Debug)]
enum ServerInviteState {
    /// Not answered yet; `latest` is the provisional response that a repeated INVITE gets.
    Proceeding { latest: Bytes, trying_at: Option<Instant> },
    /// Refused; the refusal is repeated until its ACK.
    Completed { refusal: Bytes, interval: Duration, send_at: Option<Instant>, give_up_at: Instant },
    /// The ACK of the refusal came; more of them are absorbed.
    Confirmed { over_at: Instant },
    /// A 2xx was sent, which its user repeats; the INVITE's repetitions are absorbed (RFC 6026 §7.1).
    Accepted { over_at: Instant },
}

impl ServerInvite {
    /// Starts with the 100 (Trying) at hand, to be sent when nothing better is known soon.
    #[must_use]
    pub fn new(trying: Bytes, reliable: bool, now: Instant) -> Self {
        let state = ServerInviteState::Proceeding { latest: trying, trying_at: Some(now + TRYING_AFTER) };
        Self { reliable, state }
    }

    /// Whether no final response was given yet.
    #[must_use]
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, ServerInviteState::Proceeding { .. })
    }

    /// Notes a provisional response, which its user sends.
    pub fn provisional(&mut self, response: Bytes) {
        if self.is_proceeding() {
            self.state = ServerInviteState::Proceeding { latest: response, trying_at: None };
        }
    }

    /// Notes a final response of 300 or above, which its user sends once.
    pub fn refuse(&mut self, refusal: Bytes, now: Instant) {
        self.state = ServerInviteState::Completed {
            refusal,
            interval: T1,
            send_at: (!self.reliable).then(|| now + T1),
            give_up_at: now + TRANSACTION_LIFE,
        };
    }

    /// Notes a 2xx, which its user sends and repeats.
    pub fn accept(&mut self, now: Instant) {
        self.state = ServerInviteState::Accepted { over_at: now + TRANSACTION_LIFE };
    }

    /// What a repeated INVITE gets.
    #[must_use]
    pub fn repetition(&mut self) -> Option<Bytes> {
        match &mut self.state {
            ServerInviteState::Proceeding { latest, trying_at } => {
                *trying_at = None;
                Some(latest.clone())
            }
            ServerInviteState::Completed { refusal, .. } => Some(refusal.clone()),
            ServerInviteState::Confirmed { .. } | ServerInviteState::Accepted { .. } => None,
        }
    }

    /// Takes the ACK of a refusal.
    pub fn acknowledge(&mut self, now: Instant) {
        if matches!(self.state, ServerInviteState::Completed { .. }) {
            self.state = ServerInviteState::Confirmed { over_at: if self.reliable { now } else { now + T4 } };
        }
    }

    /// When [`Self::tick`] wants to be called.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            ServerInviteState::Proceeding { trying_at, .. } => trying_at,
            ServerInviteState::Completed { send_at, give_up_at, .. } => Some(send_at.map_or(give_up_at, |at| at.min(give_up_at))),
            ServerInviteState::Confirmed { over_at } | ServerInviteState::Accepted { over_at } => Some(over_at),
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) -> Option<Due> {
        match &mut self.state {
            ServerInviteState::Proceeding { latest, trying_at } => {
                trying_at.take_if(|at| *at <= now).map(|_| Due::Send(latest.clone()))
            }
            ServerInviteState::Completed { give_up_at, .. } if *give_up_at <= now => Some(Due::GaveUp),
            ServerInviteState::Completed { refusal, interval, send_at, .. } => {
                send_at.take_if(|at| *at <= now)?;
                *interval = doubled(*interval);
                *send_at = Some(now + *interval);
                Some(Due::Send(refusal.clone()))
            }
            ServerInviteState::Confirmed { over_at } | ServerInviteState::Accepted { over_at } => {
                (*over_at <= now).then_some(Due::Over)
            }
        }
    }
}

/// Another request that we have answered (§17.2.2). We answer such requests at once, so only Completed is left of it.
#[derive(Debug)]
pub struct ServerRequest {
    response: Bytes,
    over_at: Instant,
}

impl ServerRequest {
    /// Keeps the response for the request's repetitions. Over a reliable transport there are none (timer J).
    #[must_use]
    pub fn answered(response: Bytes, reliable: bool, now: Instant) -> Self {
        Self { response, over_at: if reliable { now } else { now + TRANSACTION_LIFE } }
    }

    /// What a repeated request gets.
    #[must_use]
    pub fn repetition(&self) -> Bytes {
        self.response.clone()
    }

    /// When the transaction is over.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.over_at
    }
}

/// An INVITE that we send (§17.1.1, RFC 6026 §7.2).
#[derive(Debug)]
pub struct ClientInvite {
    reliable: bool,
    state: ClientInviteState,
}

/// How long an INVITE may ring before we think that nobody will ever answer (timer C of a proxy).
const LONGEST_RINGING: Duration = Duration::from_mins(3);

#[derive(Debug)]
enum ClientInviteState {
    Calling {
        request: Bytes,
        interval: Duration,
        send_at: Option<Instant>,
        give_up_at: Instant,
    },
    Proceeding {
        give_up_at: Instant,
    },
    /// Refused; each repetition of the refusal gets the ACK again.
    Completed {
        ack: Bytes,
        over_at: Instant,
    },
    /// A 2xx came; each goes to the transaction's user, who repeats the ACK.
    Accepted {
        over_at: Instant,
    },
}

/// What a response means to the user of a client transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is news.
    New,
    /// It was known already.
    Repeated,
}

impl ClientInvite {
    /// Starts with the request, which its user sends for the first time.
    #[must_use]
    pub fn new(request: Bytes, reliable: bool, now: Instant) -> Self {
        let state = ClientInviteState::Calling {
            request,
            interval: T1,
            send_at: (!reliable).then(|| now + T1),
            give_up_at: now + TRANSACTION_LIFE,
        };
        Self { reliable, state }
    }

    /// Whether no final response has come.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(self.state, ClientInviteState::Calling { .. } | ClientInviteState::Proceeding { .. })
    }

    /// Whether a provisional response has come and no final one: only now may it be cancelled (§9.1).
    #[must_use]
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, ClientInviteState::Proceeding { .. })
    }

    /// Takes a response below 200.
    pub fn provisional(&mut self, now: Instant) -> Received {
        if !self.is_pending() {
            return Received::Repeated;
        }
        self.state = ClientInviteState::Proceeding { give_up_at: now + LONGEST_RINGING };
        Received::New
    }

    /// Takes a 2xx.
    pub fn accepted(&mut self, now: Instant) -> Received {
        match self.state {
            ClientInviteState::Calling { .. } | ClientInviteState::Proceeding { .. } => {
                self.state = ClientInviteState::Accepted { over_at: now + TRANSACTION_LIFE };
                Received::New
            }
            ClientInviteState::Completed { .. } | ClientInviteState::Accepted { .. } => Received::Repeated,
        }
    }

    /// Takes a response of 300 or above, and the ACK for it, which its user sends; answers a repetition with that ACK.
    pub fn refused(&mut self, ack: impl FnOnce() -> Bytes, now: Instant) -> (Received, Option<Bytes>) {
        match &self.state {
            ClientInviteState::Calling { .. } | ClientInviteState::Proceeding { .. } => {
                let ack = ack();
                let over_at = if self.reliable { now } else { now + TRANSACTION_LIFE };
                self.state = ClientInviteState::Completed { ack: ack.clone(), over_at };
                (Received::New, Some(ack))
            }
            ClientInviteState::Completed { ack, .. } => (Received::Repeated, Some(ack.clone())),
            ClientInviteState::Accepted { .. } => (Received::Repeated, None),
        }
    }

    /// When [`Self::tick`] wants to be called.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        match self.state {
            ClientInviteState::Calling { send_at, give_up_at, .. } => send_at.map_or(give_up_at, |at| at.min(give_up_at)),
            ClientInviteState::Proceeding { give_up_at } => give_up_at,
            ClientInviteState::Completed { over_at, .. } | ClientInviteState::Accepted { over_at } => over_at,
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) -> Option<Due> {
        match &mut self.state {
            ClientInviteState::Calling { give_up_at, .. } | ClientInviteState::Proceeding { give_up_at }
                if *give_up_at <= now =>
            {
                Some(Due::GaveUp)
            }
            ClientInviteState::Calling { request, interval, send_at, .. } => {
                send_at.take_if(|at| *at <= now)?;
                // Timer A doubles without an upper limit (§17.1.1.2).
                *interval *= 2;
                *send_at = Some(now + *interval);
                Some(Due::Send(request.clone()))
            }
            ClientInviteState::Proceeding { .. } => None,
            ClientInviteState::Completed { over_at, .. } | ClientInviteState::Accepted { over_at } => {
                (*over_at <= now).then_some(Due::Over)
            }
        }
    }
}

/// Another request that we send (§17.1.2).
#[derive(Debug)]
pub struct ClientRequest {
    reliable: bool,
    state: ClientRequestState,
}

#[derive(Debug)]
enum ClientRequestState {
    /// No final response yet; a provisional one stretches the interval to T2.
    Trying { request: Bytes, interval: Duration, send_at: Option<Instant>, give_up_at: Instant },
    /// Answered; more responses are absorbed.
    Completed { over_at: Instant },
}

impl ClientRequest {
    /// Starts with the request, which its user sends for the first time.
    #[must_use]
    pub fn new(request: Bytes, reliable: bool, now: Instant) -> Self {
        let state = ClientRequestState::Trying {
            request,
            interval: T1,
            send_at: (!reliable).then(|| now + T1),
            give_up_at: now + TRANSACTION_LIFE,
        };
        Self { reliable, state }
    }

    /// The same, but given up at this moment if that is sooner.
    #[must_use]
    pub fn given_up_at(mut self, sooner: Instant) -> Self {
        if let ClientRequestState::Trying { give_up_at, .. } = &mut self.state {
            *give_up_at = sooner.min(*give_up_at);
        }
        self
    }

    /// Takes any response. Only the first final one is new.
    pub fn response(&mut self, status: u16, now: Instant) -> Received {
        match &mut self.state {
            ClientRequestState::Trying { interval, .. } if status < 200 => {
                *interval = super::timer::T2;
                Received::Repeated
            }
            ClientRequestState::Trying { .. } => {
                self.state = ClientRequestState::Completed { over_at: if self.reliable { now } else { now + T4 } };
                Received::New
            }
            ClientRequestState::Completed { .. } => Received::Repeated,
        }
    }

    /// When [`Self::tick`] wants to be called.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        match self.state {
            ClientRequestState::Trying { send_at, give_up_at, .. } => send_at.map_or(give_up_at, |at| at.min(give_up_at)),
            ClientRequestState::Completed { over_at } => over_at,
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) -> Option<Due> {
        match &mut self.state {
            ClientRequestState::Trying { give_up_at, .. } if *give_up_at <= now => Some(Due::GaveUp),
            ClientRequestState::Trying { request, interval, send_at, .. } => {
                send_at.take_if(|at| *at <= now)?;
                *interval = doubled(*interval);
                *send_at = Some(now + *interval);
                Some(Due::Send(request.clone()))
            }
            ClientRequestState::Completed { over_at } => (*over_at <= now).then_some(Due::Over),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSAL: Bytes = Bytes::from_static(b"486");
    const TRYING: Bytes = Bytes::from_static(b"100");
    const REQUEST: Bytes = Bytes::from_static(b"request");

    #[test]
    fn trying_is_sent_late_or_to_a_repeated_invite() {
        let start = Instant::now();
        let mut quiet = ServerInvite::new(TRYING, false, start);
        let mut repeated = ServerInvite::new(TRYING, false, start);

        assert_eq!(quiet.tick(start), None);
        assert_eq!(quiet.tick(start + TRYING_AFTER), Some(Due::Send(TRYING)));
        assert_eq!(quiet.deadline(), None);
        assert_eq!(repeated.repetition(), Some(TRYING));
        assert_eq!(repeated.deadline(), None);
    }

    #[test]
    fn a_refusal_over_udp_is_repeated_until_the_peer_is_given_up() {
        let start = Instant::now();
        let mut invite = ServerInvite::new(TRYING, false, start);
        invite.refuse(REFUSAL, start);

        let (sent, end) = run(start, &mut invite, ServerInvite::deadline, ServerInvite::tick);

        assert_eq!(sent, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
        assert_eq!(end, (Due::GaveUp, 32_000));
    }

    #[test]
    fn a_refusal_over_tcp_is_sent_once() {
        let start = Instant::now();
        let mut invite = ServerInvite::new(TRYING, true, start);
        invite.refuse(REFUSAL, start);

        let (sent, end) = run(start, &mut invite, ServerInvite::deadline, ServerInvite::tick);

        assert!(sent.is_empty());
        assert_eq!(end, (Due::GaveUp, 32_000));
    }

    #[test]
    fn an_acknowledged_refusal_absorbs_more_acks_for_t4() {
        let start = Instant::now();
        let mut invite = ServerInvite::new(TRYING, false, start);
        invite.refuse(REFUSAL, start);
        invite.acknowledge(start);

        assert_eq!(invite.repetition(), None);
        assert_eq!(invite.tick(start + T4 - T1), None);
        assert_eq!(invite.tick(start + T4), Some(Due::Over));
    }

    #[test]
    fn an_accepted_invite_absorbs_its_repetitions_for_32_seconds() {
        let start = Instant::now();
        let mut invite = ServerInvite::new(TRYING, false, start);
        invite.accept(start);

        assert_eq!(invite.repetition(), None);
        assert_eq!(invite.tick(start + TRANSACTION_LIFE), Some(Due::Over));
    }

    #[test]
    fn our_invite_is_repeated_with_growing_intervals_until_something_comes() {
        let start = Instant::now();
        let mut unanswered = ClientInvite::new(REQUEST, false, start);
        let (sent, end) = run(start, &mut unanswered, |t| Some(t.deadline()), ClientInvite::tick);
        let mut answered = ClientInvite::new(REQUEST, false, start);

        assert_eq!(sent, [500, 1500, 3500, 7500, 15_500, 31_500]);
        assert_eq!(end, (Due::GaveUp, 32_000));
        assert_eq!(answered.provisional(start), Received::New);
        assert_eq!(answered.tick(start + TRANSACTION_LIFE), None);
        assert_eq!(answered.tick(start + LONGEST_RINGING), Some(Due::GaveUp));
    }

    #[test]
    fn a_refusal_of_our_invite_is_acknowledged_each_time() {
        let start = Instant::now();
        let ack = Bytes::from_static(b"ack");
        let mut invite = ClientInvite::new(REQUEST, false, start);

        assert_eq!(invite.refused(|| ack.clone(), start), (Received::New, Some(ack.clone())));
        assert_eq!(invite.refused(|| unreachable!("made once"), start), (Received::Repeated, Some(ack)));
        assert_eq!(invite.accepted(start), Received::Repeated);
        assert_eq!(invite.tick(start + TRANSACTION_LIFE), Some(Due::Over));
    }

    #[test]
    fn our_bye_is_repeated_every_four_seconds_at_most() {
        let start = Instant::now();
        let mut bye = ClientRequest::new(REQUEST, false, start);
        let (sent, end) = run(start, &mut bye, |t| Some(t.deadline()), ClientRequest::tick);
        let mut answered = ClientRequest::new(REQUEST, false, start);

        assert_eq!(sent, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
        assert_eq!(end, (Due::GaveUp, 32_000));
        assert_eq!(answered.response(200, start), Received::New);
        assert_eq!(answered.response(200, start), Received::Repeated);
        assert_eq!(answered.tick(start + T4), Some(Due::Over));
    }

    /// Wakes a transaction at each of its deadlines; returns the milliseconds at which it sent, and how it ended.
    fn run<T>(
        start: Instant,
        transaction: &mut T,
        deadline: fn(&T) -> Option<Instant>,
        tick: fn(&mut T, Instant) -> Option<Due>,
    ) -> (Vec<u128>, (Due, u128)) {
        let mut sent = Vec::new();
        loop {
            let now = deadline(transaction).expect("a transaction that sends has a deadline");
            match tick(transaction, now) {
                Some(Due::Send(_)) => sent.push((now - start).as_millis()),
                Some(end) => return (sent, (end, (now - start).as_millis())),
                None => {}
            }
        }
    }
}
