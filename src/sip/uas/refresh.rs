//! Requests of ours that keep a session alive (RFC 4028 §7.1): UPDATE where the other side takes it, else an INVITE that
//! changes nothing.

use super::*;
use crate::sip::{
    session_timer::{SHORTEST_SESSION, SessionDue, SessionTimer},
    transaction::ClientInvite,
    wire::{Refresher, SessionExpires, min_session_expires},
};

/// How long a refresh waits for an INVITE, an UPDATE or an ACK that is under way.
const OTHERS_FIRST: Duration = Duration::from_secs(1);
/// The longest interval that the other side may raise ours to with 422.
const LONGEST_SESSION: Duration = Duration::from_hours(24);

/// A refresh that we sent. It outlives its call, for whoever answers an INVITE is owed an ACK.
#[derive(Debug)]
pub(super) struct Refresh {
    call: CallRef,
    dialog: Box<Dialog>,
    flow: Flow,
    branch: String,
    sequence: u32,
    interval: Duration,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Update(ClientRequest),
    Invite {
        transaction: ClientInvite,
        /// The ACK of the 2xx, for its repetitions.
        ack: Option<Bytes>,
    },
}

impl Refresh {
    fn deadline(&self) -> Instant {
        match &self.kind {
            Kind::Update(transaction) => transaction.deadline(),
            Kind::Invite { transaction, .. } => transaction.deadline(),
        }
    }

    fn tick(&mut self, now: Instant) -> Option<Due> {
        match &mut self.kind {
            Kind::Update(transaction) => transaction.tick(now),
            Kind::Invite { transaction, .. } => transaction.tick(now),
        }
    }
}

impl Uas {
    /// Refreshes a session or ends it, as its clock says. Whether the call goes on.
    pub(super) fn session_is_due(&mut self, reference: CallRef, now: Instant) -> bool {
        let is_full = self.refreshes.len() >= self.most_transactions();
        let Some(call) = self.calls.get_mut(&reference) else { return false };
        let Some(session) = call.session.as_mut().filter(|_| matches!(call.phase, Phase::Talking)) else { return true };
        match session.tick(now) {
            None => true,
            Some(SessionDue::Over) => {
                self.hang_up(reference, Some(Reason::sip(408, "session expired")), EndReason::SessionExpired, now);
                false
            }
            Some(SessionDue::Refresh) => {
                let is_busy = call.offered.is_some() || call.answered.is_some() || call.updating.is_some();
                if is_busy || call.refreshing || is_full {
                    session.postpone(OTHERS_FIRST, now);
                } else {
                    self.refresh(reference, now);
                }
                true
            }
        }
    }

    fn refresh(&mut self, reference: CallRef, now: Instant) {
        let branch = format!("z9hG4bK{:016x}", self.random.random::<u64>());
        let Some(call) = self.calls.get_mut(&reference) else { return };
        let Some(interval) = call.session.as_ref().map(|session| session.interval) else { return };
        call.dialog.local_sequence += 1;
        let (sequence, flow) = (call.dialog.local_sequence, call.dialog.path());
        let expires = SessionExpires { interval, refresher: Some(Refresher::Uac) };
        let mut more = vec![
            call.dialog.contact(&self.config.user, &flow),
            IN_CALL.allow(),
            IN_CALL.supported(),
            Header::Other("Session-Expires".to_owned(), expires.to_string()),
            Header::Other("Min-SE".to_owned(), call.shortest_session.max(SHORTEST_SESSION).as_secs().to_string()),
        ];
        let is_reliable = flow.transport.is_reliable();
        let (bytes, kind, method) = if call.takes_update {
            let bytes = call.dialog.request(Method::Update, sequence, &branch, more, Vec::new());
            (bytes.clone(), Kind::Update(ClientRequest::new(bytes, is_reliable, now)), "UPDATE")
        } else {
            more.push(Header::ContentType("application/sdp".into()));
            let bytes = call.dialog.request(Method::Invite, sequence, &branch, more, call.description.clone());
            call.reoffering = true;
            (bytes.clone(), Kind::Invite { transaction: ClientInvite::new(bytes, is_reliable, now), ack: None }, "INVITE")
        };
        call.refreshing = true;
        let refresh = Refresh { call: reference, dialog: Box::new(call.dialog.clone()), flow, branch, sequence, interval, kind };
        let id = self.keys.client_transaction(&refresh.branch, method);
        self.timers.set(Timer::Refresh(id), Some(refresh.deadline()));
        self.refreshes.insert(id, refresh);
        self.outputs.push_back(Output::Send { flow, bytes, reach: Reach::Connect });
    }

    /// Takes the response to a refresh of ours, if it is one.
    pub(super) fn refreshed(&mut self, id: TransactionId, response: &Response, now: Instant) {
        let Some(refresh) = self.refreshes.get_mut(&id) else { return };
        let status = response.status_code.code();
        let mut is_news = false;
        match &mut refresh.kind {
            Kind::Update(transaction) => is_news = transaction.response(status, now) == Received::New,
            Kind::Invite { transaction, .. } if status < 200 => _ = transaction.provisional(now),
            Kind::Invite { transaction, ack } if status < 300 => {
                is_news = transaction.accepted(now) == Received::New;
                if is_news {
                    let branch = format!("z9hG4bK{:016x}", self.random.random::<u64>());
                    refresh.dialog.refresh_target(&response.headers);
                    *ack = Some(refresh.dialog.request(Method::Ack, refresh.sequence, &branch, Vec::new(), Vec::new()));
                }
                let flow = refresh.dialog.path();
                self.outputs.extend(ack.clone().map(|bytes| Output::Send { flow, bytes, reach: Reach::Connect }));
            }
            Kind::Invite { transaction, .. } => {
                let (dialog, sequence, branch) = (&refresh.dialog, refresh.sequence, &refresh.branch);
                let ack = || dialog.request(Method::Ack, sequence, branch, Vec::new(), Vec::new());
                let (received, ack) = transaction.refused(ack, now);
                is_news = received == Received::New;
                let flow = refresh.flow;
                self.outputs.extend(ack.map(|bytes| Output::Send { flow, bytes, reach: Reach::Connect }));
            }
        }
        self.timers.set(Timer::Refresh(id), Some(refresh.deadline()));
        if is_news {
            let (reference, interval, is_update) = (refresh.call, refresh.interval, matches!(refresh.kind, Kind::Update(_)));
            self.settle_refresh(reference, interval, is_update, response, now);
        }
    }

    /// Draws the consequences of the final response to a refresh.
    fn settle_refresh(&mut self, reference: CallRef, interval: Duration, is_update: bool, response: &Response, now: Instant) {
        let pause = Duration::from_millis(10 * self.random.random_range(0..=200));
        let Some(call) = self.calls.get_mut(&reference) else { return };
        (call.refreshing, call.reoffering) = (false, false);
        if matches!(call.phase, Phase::Leaving { .. }) {
            return;
        }
        let Some(session) = &mut call.session else { return };
        match response.status_code.code() {
            200..300 => {
                call.dialog.refresh_target(&response.headers);
                // Who says nothing of session timers leaves them to us.
                let agreed = SessionExpires::of(&response.headers).ok().flatten();
                let interval = agreed.map_or(interval, |agreed| agreed.interval.max(SHORTEST_SESSION));
                let is_ours = agreed.and_then(|agreed| agreed.refresher) != Some(Refresher::Uas);
                call.session = Some(SessionTimer::start(interval, is_ours, now));
                call.learn_abilities(&response.headers);
                if !is_update {
                    let answer = body_of_type(&response.headers, &response.body, "application/sdp").map(<[u8]>::to_vec);
                    self.outputs.extend(answer.map(|answer| Output::Event(reference, Event::Refreshed { answer })));
                }
            }
            422 => {
                // Somebody on the way wants longer intervals.
                let shortest = min_session_expires(&response.headers).ok().flatten();
                match shortest.filter(|shortest| (interval..=LONGEST_SESSION).contains(shortest) && *shortest > interval) {
                    Some(shortest) => {
                        (call.shortest_session, session.interval) = (shortest, shortest);
                        session.postpone(Duration::ZERO, now);
                    }
                    None => session.postpone_halfway(now),
                }
            }
            // The other side knows nothing of the call any more.
            408 | 481 => return self.hang_up(reference, Some(Reason::sip(408, "session lost")), EndReason::SessionExpired, now),
            // Each side offered something at the same time (RFC 3261 §14.1; the Call-ID is not ours).
            491 => session.postpone(pause, now),
            405 | 420 | 501 if is_update => {
                call.takes_update = false;
                session.postpone(Duration::ZERO, now);
            }
            // Also a challenge: there are no credentials that we could show.
            _ => session.postpone_halfway(now),
        }
        self.set_call_timer(reference);
    }

    pub(super) fn refresh_is_due(&mut self, id: TransactionId, now: Instant) {
        let Some(refresh) = self.refreshes.get_mut(&id) else { return };
        match refresh.tick(now) {
            Some(Due::Send(bytes)) => {
                self.outputs.push_back(Output::Send { flow: refresh.flow, bytes, reach: Reach::Connect });
            }
            Some(end @ (Due::GaveUp | Due::Over)) => {
                let Some(refresh) = self.refreshes.remove(&id) else { return };
                let is_awaited = end == Due::GaveUp && self.calls.get(&refresh.call).is_some_and(|call| call.refreshing);
                if is_awaited {
                    self.hang_up(refresh.call, Some(Reason::sip(408, "session lost")), EndReason::SessionExpired, now);
                }
                return;
            }
            None => {}
        }
        self.timers.set(Timer::Refresh(id), Some(refresh.deadline()));
    }
}
