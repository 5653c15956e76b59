//! Before a call is answered: ringing, which some callers want to acknowledge (RFC 3262).

use super::*;
use crate::sip::{reliable::Reliable, wire::RAck};

impl Uas {
    /// Lets the caller hear ringing. Who requires `100rel` gets it reliably; and if the INVITE had no offer, then with ours,
    /// which the first reliable response must bring (RFC 3262 §5). Without an offer to send, nothing is.
    pub(super) fn ring(&mut self, reference: CallRef, offer: Option<Vec<u8>>, now: Instant) {
        let Some(call) = self.calls.get_mut(&reference) else { return };
        let Some(offered) = &call.offered else { return };
        let Some(invite) = self.invites.get_mut(&offered.transaction) else { return };
        let mut response = offered.inbound.response(180, call.tag);
        response.headers.extend(offered.inbound.record_routes());
        response.headers.push(call.dialog.contact(&self.config.user, &invite.flow));
        let mut reliable = None;
        if offered.wants_reliable {
            let needs_offer = !offered.has_offer && !call.is_agreed;
            let offer = offer.filter(|_| needs_offer);
            let is_free = call.reliable.as_ref().is_none_or(|latest| latest.is_acknowledged());
            if !is_free || (needs_offer && offer.is_none()) {
                return;
            }
            let first = self.random.random_range(1..1 << 31);
            let number = call.reliable.as_ref().map_or(first, |latest| latest.next_number());
            response.headers.push(IN_CALL.allow());
            response.headers.push(Header::Require("100rel".into()));
            response.headers.push(Header::Other("RSeq".to_owned(), number.to_string()));
            response.headers.extend(offer.is_some().then(|| Header::ContentType("application/sdp".into())).into_iter().collect());
            reliable = Some((number, offer.is_some()));
            response.body = offer.unwrap_or_default();
        }
        let bytes = written(&response);
        if let Some((number, has_offer)) = reliable {
            let sequence = offered.inbound.sequence;
            call.reliable = Some(Box::new(Reliable::new(number, sequence, has_offer, bytes.clone(), now)));
        }
        invite.transaction.provisional(bytes.clone());
        self.timers.set(Timer::Invite(offered.transaction), invite.transaction.deadline());
        self.outputs.push_back(self::response(invite.flow, bytes));
        self.set_call_timer(reference);
    }

    /// Takes the acknowledgement of a reliable response, and with it the answer if that brought our offer.
    pub(super) fn prack(&mut self, reference: CallRef, inbound: &Inbound, now: Instant) {
        let Some(call) = self.calls.get_mut(&reference) else { return };
        let rack = match RAck::of(&inbound.request.headers) {
            Ok(rack) => rack,
            Err(problem) => {
                let response = Refusal::from(problem).response(&inbound.request.headers, &CAPABILITIES);
                return self.respond_and_remember(inbound, &response, now);
            }
        };
        let Some(reliable) = call.reliable.as_mut() else {
            return self.respond_and_remember(inbound, &inbound.response(481, 0), now);
        };
        if !reliable.acknowledge(&rack) {
            return self.respond_and_remember(inbound, &inbound.response(481, 0), now);
        }
        let has_answer = reliable.has_offer && !call.is_agreed;
        call.is_agreed |= has_answer;
        let postponed = call.postponed_answer.take();
        self.respond_and_remember(inbound, &inbound.response(200, 0), now);
        self.set_call_timer(reference);
        if has_answer {
            let answer = session_description(inbound);
            self.outputs.push_back(Output::Event(reference, Event::EarlyAnswer { answer }));
        }
        if let Some(sdp) = postponed {
            self.accept(reference, sdp, now);
        }
    }

    /// Repeats a reliable response, or gives the call up when its PRACK never comes (§3). Whether the call is still there.
    pub(super) fn reliable_is_due(&mut self, reference: CallRef, now: Instant) -> bool {
        let Some(call) = self.calls.get_mut(&reference) else { return false };
        match call.reliable.as_mut().and_then(|reliable| reliable.tick(now)) {
            Some(Due::Send(bytes)) => {
                let flow = call.offered.as_ref().map_or(call.dialog.flow, |offered| offered.inbound.reply_to);
                self.outputs.push_back(response(flow, bytes));
                true
            }
            Some(Due::GaveUp | Due::Over) => {
                self.refuse_offered(reference, 504, Vec::new(), now);
                self.end(reference, EndReason::Refused(504), now);
                false
            }
            None => true,
        }
    }
}
