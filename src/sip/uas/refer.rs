//! Transfers (RFC 5589): REFER asks the other side to call somebody else instead of us, and its NOTIFY requests say what came of
//! it (RFC 3515). The call itself goes on until somebody ends it.

use super::*;
use crate::sip::{
    event::{Referral, TransferEnd},
    wire::{NameAddr, NoReferNews, ReferNews},
};

/// How long a REFER may be without an answer: whoever transfers calls accepts one at once.
const ACCEPTED_WITHIN: Duration = Duration::from_secs(10);
/// How long the other side may take to tell what came of the new call: longer than anybody lets a telephone ring.
const TOLD_WITHIN: Duration = Duration::from_secs(90);

/// A transfer that the other side was asked for. It stays after its end, for NOTIFY requests that are still to come.
#[derive(Debug)]
pub(super) struct Transfer {
    /// CSeq of the REFER.
    sequence: u32,
    /// Whether the other side has told anything of it.
    is_heard_of: bool,
    /// Until its end was told.
    give_up_at: Option<Instant>,
}

impl Transfer {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.give_up_at
    }
}

/// A REFER that we sent. It outlives its call.
#[derive(Debug)]
pub(super) struct Referring {
    transaction: ClientRequest,
    flow: Flow,
    call: CallRef,
    sequence: u32,
}

impl Uas {
    /// Asks the other side to call somebody else.
    pub(super) fn refer(&mut self, reference: CallRef, referral: &Referral, now: Instant) {
        let is_full = self.referring.len() >= self.most_transactions();
        let branch = format!("z9hG4bK{:016x}", self.random.random::<u64>());
        let Some(call) = self.calls.get_mut(&reference) else { return };
        if is_full || call.transfer.as_ref().is_some_and(|transfer| transfer.give_up_at.is_some()) {
            return self.outputs.push_back(Output::Event(reference, Event::Transferred(TransferEnd::Refused(503))));
        }
        call.dialog.local_sequence += 1;
        let (sequence, flow) = (call.dialog.local_sequence, call.dialog.path());
        let address = |uri: &SipUri| NameAddr::new(uri.clone()).to_string();
        let more = vec![
            call.dialog.contact(&self.config.user, &flow),
            Header::Other("Refer-To".to_owned(), address(&referral.target)),
            Header::Other("Referred-By".to_owned(), address(&referral.referred_by)),
            IN_CALL.allow(),
        ];
        let bytes = call.dialog.request(Method::Refer, sequence, &branch, more, Vec::new());
        call.transfer = Some(Transfer { sequence, is_heard_of: false, give_up_at: Some(now + TOLD_WITHIN) });
        let is_reliable = flow.transport.is_reliable();
        let transaction = ClientRequest::new(bytes.clone(), is_reliable, now).given_up_at(now + ACCEPTED_WITHIN);
        let id = self.keys.client_transaction(&branch, "REFER");
        self.timers.set(Timer::Referring(id), Some(transaction.deadline()));
        self.referring.insert(id, Referring { transaction, flow, call: reference, sequence });
        self.set_call_timer(reference);
        self.outputs.push_back(Output::Send { flow, bytes, reach: Reach::Connect });
    }

    /// Takes the response to a REFER of ours. Whether it is one.
    pub(super) fn referred(&mut self, id: TransactionId, response: &Response, now: Instant) -> bool {
        let Some(referring) = self.referring.get_mut(&id) else { return false };
        let status = response.status_code.code();
        let is_news = referring.transaction.response(status, now) == Received::New;
        self.timers.set(Timer::Referring(id), Some(referring.transaction.deadline()));
        let (reference, sequence) = (referring.call, referring.sequence);
        if is_news {
            // Who says so tells nothing more (RFC 4488 §4).
            let is_silent =
                response.headers.value("Refer-Sub").is_some_and(|value| value.to_ascii_lowercase().starts_with("false"));
            match status {
                200..300 if is_silent => self.end_transfer(reference, sequence, TransferEnd::Untold),
                200..300 => {}
                // Also a challenge: there are no credentials that we could show.
                _ => self.end_transfer(reference, sequence, TransferEnd::Refused(status)),
            }
        }
        true
    }

    /// Takes a NOTIFY in the dialog.
    pub(super) fn notify(&mut self, reference: CallRef, inbound: &Inbound, now: Instant) {
        let mut transfer = self.calls.get_mut(&reference).and_then(|call| call.transfer.as_mut());
        let news = ReferNews::of(&inbound.request.headers, &inbound.request.body);
        let response = match &news {
            Err(NoReferNews::OtherEvent) => inbound.response(489, 0),
            Err(NoReferNews::OtherBody) => {
                let mut response = inbound.response(415, 0);
                response.headers.push(ReferNews::accept());
                response
            }
            Ok(news) => {
                transfer = transfer.filter(|transfer| news.id.is_none_or(|id| id == transfer.sequence));
                inbound.response(if transfer.is_some() { 200 } else { 481 }, 0)
            }
        };
        let sequence = transfer.map(|transfer| {
            transfer.is_heard_of |= news.is_ok();
            transfer.sequence
        });
        self.respond_and_remember(inbound, &response, now);
        let (Ok(news), Some(sequence)) = (news, sequence) else { return };
        let end = match news.status {
            Some(200..300) => TransferEnd::Reached,
            Some(status @ 300..) => TransferEnd::Failed(status),
            Some(_) | None if news.is_last => TransferEnd::Untold,
            Some(_) | None => return,
        };
        self.end_transfer(reference, sequence, end);
    }

    /// Tells how a transfer ended, once.
    fn end_transfer(&mut self, reference: CallRef, sequence: u32, end: TransferEnd) {
        let Some(call) = self.calls.get_mut(&reference) else { return };
        let is_told = matches!(call.phase, Phase::Leaving { .. });
        let Some(transfer) = call.transfer.as_mut().filter(|transfer| transfer.sequence == sequence) else { return };
        if transfer.give_up_at.take().is_some() && !is_told {
            self.outputs.push_back(Output::Event(reference, Event::Transferred(end)));
        }
        self.set_call_timer(reference);
    }

    /// Gives a transfer up of which nothing was heard for too long.
    pub(super) fn transfer_is_due(&mut self, reference: CallRef, now: Instant) {
        let transfer = self.calls.get(&reference).and_then(|call| call.transfer.as_ref());
        let due = transfer.filter(|transfer| transfer.give_up_at.is_some_and(|at| at <= now)).map(|transfer| transfer.sequence);
        if let Some(sequence) = due {
            self.end_transfer(reference, sequence, TransferEnd::Silent);
        }
    }

    pub(super) fn referring_is_due(&mut self, id: TransactionId, now: Instant) {
        let Some(referring) = self.referring.get_mut(&id) else { return };
        match referring.transaction.tick(now) {
            Some(Due::Send(bytes)) => {
                self.outputs.push_back(Output::Send { flow: referring.flow, bytes, reach: Reach::Connect });
            }
            Some(end @ (Due::GaveUp | Due::Over)) => {
                let Some(Referring { call, sequence, .. }) = self.referring.remove(&id) else { return };
                let transfer = self.calls.get(&call).and_then(|call| call.transfer.as_ref());
                // An answer may be lost that came before its news.
                if end == Due::GaveUp && transfer.is_some_and(|transfer| !transfer.is_heard_of) {
                    self.end_transfer(call, sequence, TransferEnd::Silent);
                }
                return;
            }
            None => {}
        }
        self.timers.set(Timer::Referring(id), Some(referring.transaction.deadline()));
    }
}
