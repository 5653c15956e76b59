//! UPDATE (RFC 3311): the other side moves, refreshes its session, or offers another one without an INVITE.

use super::*;
use crate::sip::{
    session_timer::{SHORTEST_SESSION, SessionTimer, TooShort, Wish},
    wire::{Refresher, SessionExpires},
};

/// How long an UPDATE may wait for the answer of our own side; its sender gives it up after 32 s.
const LONGEST_UPDATE: Duration = Duration::from_secs(20);

/// An UPDATE whose offer waits for our side's answer.
#[derive(Debug)]
pub(super) struct Updating {
    pub(super) inbound: Inbound,
    session: Option<SessionExpires>,
    pub(super) give_up_at: Instant,
}

impl Uas {
    pub(super) fn update(&mut self, reference: CallRef, mut inbound: Inbound, now: Instant) {
        let Some(call) = self.calls.get(&reference) else { return };
        if matches!(call.phase, Phase::Leaving { .. }) {
            return self.respond_and_remember(&inbound, &inbound.response(481, 0), now);
        }
        let offer = session_description(&inbound);
        if let Some(status) = call.glare(offer.is_some()) {
            let response = self.glare_response(&inbound, status);
            return self.respond_and_remember(&inbound, &response, now);
        }
        let session = match self.wished_session(&inbound) {
            // An INVITE that is not answered yet has no session to refresh.
            Ok(session) => Some(session).filter(|_| matches!(call.phase, Phase::Talking)),
            Err(response) => return self.respond_and_remember(&inbound, &response, now),
        };
        match offer {
            None => self.accept_update(reference, &inbound, session, None, now),
            Some(offer) => {
                inbound.keep_what_a_response_needs();
                if let Some(call) = self.calls.get_mut(&reference) {
                    call.updating = Some(Box::new(Updating { inbound, session, give_up_at: now + LONGEST_UPDATE }));
                }
                self.set_call_timer(reference);
                self.outputs.push_back(Output::Event(reference, Event::Reoffer { offer: Some(offer) }));
            }
        }
    }

    /// Answers the UPDATE that waits, if one does.
    pub(super) fn answer_update(&mut self, reference: CallRef, sdp: &[u8], now: Instant) {
        let Some(waiting) = self.calls.get_mut(&reference).and_then(|call| call.updating.take()) else { return };
        self.accept_update(reference, &waiting.inbound, waiting.session, Some(sdp), now);
    }

    /// Refuses the UPDATE that waits, if one does.
    pub(super) fn refuse_update(&mut self, reference: CallRef, status: u16, now: Instant) {
        let Some(waiting) = self.calls.get_mut(&reference).and_then(|call| call.updating.take()) else { return };
        self.respond_and_remember(&waiting.inbound, &waiting.inbound.response(status, 0), now);
        self.set_call_timer(reference);
    }

    fn accept_update(
        &mut self,
        reference: CallRef,
        inbound: &Inbound,
        session: Option<SessionExpires>,
        sdp: Option<&[u8]>,
        now: Instant,
    ) {
        let Some(call) = self.calls.get_mut(&reference) else { return };
        call.dialog.refresh_target(&inbound.request.headers);
        call.learn_abilities(&inbound.request.headers);
        let mut response = inbound.response(200, call.tag);
        response.headers.push(call.dialog.contact(&self.config.user, &inbound.reply_to));
        response.headers.extend(vec![IN_CALL.allow(), IN_CALL.supported()]);
        if let Some(session) = session {
            response.headers.extend(call.start_session(session, now));
        }
        if let Some(sdp) = sdp {
            response.headers.push(Header::ContentType("application/sdp".into()));
            response.body = sdp.to_vec();
            call.description = sdp.to_vec();
        }
        self.respond_and_remember(inbound, &response, now);
        self.set_call_timer(reference);
    }

    /// What session timer a request asks for, as we agree to it, or its refusal.
    pub(super) fn wished_session(&self, inbound: &Inbound) -> Result<SessionExpires, Response> {
        let headers = &inbound.request.headers;
        let wish = Wish::of(headers).map_err(|problem| Refusal::from(problem).response(headers, &CAPABILITIES))?;
        wish.agree(self.config.session_expires).map_err(|TooShort| {
            let mut response = inbound.response(422, self.keys.stateless_tag(headers));
            response.headers.push(Header::Other("Min-SE".to_owned(), SHORTEST_SESSION.as_secs().to_string()));
            response
        })
    }

    /// The refusal of an offer that meets another: 491, or 500 with a pause (RFC 3311 §5.2, RFC 3261 §14.2).
    pub(super) fn glare_response(&mut self, inbound: &Inbound, status: u16) -> Response {
        let mut response = inbound.response(status, self.keys.stateless_tag(&inbound.request.headers));
        if status == 500 {
            response.headers.push(Header::RetryAfter(self.random.random_range(0..=10_u8).to_string().into()));
        }
        response
    }
}

impl Call {
    /// What an UPDATE is refused with that comes while another offer, or another UPDATE, is not answered.
    fn glare(&self, has_offer: bool) -> Option<u16> {
        if self.updating.is_some() {
            return Some(500);
        }
        if !has_offer {
            return None;
        }
        if self.awaits_answer() {
            return Some(491);
        }
        self.offered.as_ref().is_some_and(|_| !self.is_agreed).then_some(500)
    }

    /// Whether an offer of ours waits for its answer.
    pub(super) fn awaits_answer(&self) -> bool {
        self.answered.as_ref().is_some_and(|answered| answered.offer_is_ours)
            || self.reliable.as_ref().is_some_and(|reliable| reliable.awaits_answer())
            || self.reoffering
    }

    /// Notes what the other side says of itself with every INVITE, UPDATE and answer to one.
    pub(super) fn learn_abilities(&mut self, headers: &Headers) {
        let allowed = headers.tokens("Allow");
        if !allowed.is_empty() {
            self.takes_update = allowed.contains(&"UPDATE");
        }
    }

    /// Starts the session's clock after a request of the other side, and says so in the response's headers.
    pub(super) fn start_session(&mut self, agreed: SessionExpires, now: Instant) -> Vec<Header> {
        let is_ours = agreed.refresher == Some(Refresher::Uas);
        self.session = Some(SessionTimer::start(agreed.interval, is_ours, now));
        let mut headers = vec![Header::Other("Session-Expires".to_owned(), agreed.to_string())];
        // Only who knows session timers was given the part of refreshing (RFC 4028 §9).
        headers.extend((!is_ours).then(|| Header::Require("timer".into())));
        headers
    }
}
