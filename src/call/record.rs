//! The record of one call while it lasts. However the call ends, also by a panic of its task, what is known of it is kept.

use tokio::time::Instant;

use super::{explain::Reasoning, session::NoSession};
use crate::{
    domain::{
        caller::Caller,
        id::{CallId, MessageId},
        time::Timestamp,
    },
    ivr::MailboxView,
    sip::{
        event::{EndReason, IncomingCall},
        flow::Flow,
        wire::{HeaderError, HeaderViews as _, NameAddr, Reason, SipUri},
    },
    store::{
        line::Line,
        record::{Attempt, Belief, CallRecord, Outcome, Purpose, RecordedMailbox, RecordedTransfer, Records},
    },
};

impl From<&MailboxView> for RecordedMailbox {
    fn from(mailbox: &MailboxView) -> Self {
        Self { id: mailbox.id.clone(), tenant: mailbox.tenant.clone(), number: mailbox.number.to_string() }
    }
}

/// An INVITE that was asked for a password: a stranger's, or the first of a phone that will answer with one. They are counted together.
#[must_use]
pub fn without_credentials(invite: &rsip::Request, flow: &Flow, at: Timestamp) -> Attempt {
    let user = |address: Result<NameAddr, HeaderError>| address.ok().and_then(|it| it.uri.user_text());
    Attempt {
        at,
        source: flow.remote.ip(),
        transport: flow.transport.to_string().into(),
        purpose: Purpose::Call,
        called: SipUri::from(&invite.uri).user_text().unwrap_or_default(),
        caller: Caller { number: user(invite.headers.from_address()), name: None },
        sip_call_id: invite.headers.call_id().ok().map(ToOwned::to_owned),
        reason: "asked for a password".into(),
        status: Some(401),
    }
}

/// A call that goes on, and is noted when this is dropped at the latest.
pub struct RunningRecord {
    record: CallRecord,
    records: Records,
    now: fn() -> Timestamp,
    begun: Instant,
    /// Why the caller is told that the call is not taken.
    turned_away: Option<&'static str>,
    /// Whether it is counted with others, and has no row of its own.
    is_counted: bool,
}

impl RunningRecord {
    /// Begins the record of a call that has just come in.
    #[must_use]
    pub fn begin(records: Records, now: fn() -> Timestamp, id: CallId, invite: &IncomingCall) -> Self {
        let mut record = CallRecord::new(id, now(), invite.source.ip(), invite.transport);
        record.sip_call_id = Some(invite.call_id.clone());
        record.called = invite.request_uri.user_text().unwrap_or_default();
        Self { record, records, now, begun: Instant::now(), turned_away: None, is_counted: false }
    }

    /// Who calls, and who vouches for it.
    pub fn caller(&mut self, caller: &Caller, believed: Belief) {
        self.record.caller = caller.clone();
        self.record.believed = believed;
    }

    /// The line that it comes from, if it has proven to be one of ours.
    pub fn line(&mut self, line: Option<&Line>) {
        self.record.line = line.map(|line| line.number.to_string());
    }

    /// The mailbox it is for.
    pub fn mailbox(&mut self, mailbox: impl Into<RecordedMailbox>) {
        self.record.mailbox = Some(mailbox.into());
    }

    /// What the call is for, and why.
    pub fn reasoning(&mut self, reasoning: &Reasoning) {
        self.record.purpose = reasoning.purpose;
        self.record.reasoning = Some(reasoning.to_json());
    }

    /// It was answered; from now on the record shows a running call.
    pub fn answered(&mut self, codec: &'static str) {
        self.record.answered_at = Some((self.now)());
        self.record.codec = Some(codec.to_owned());
        self.records.note(self.record.clone());
    }

    /// A message was left.
    pub fn message(&mut self, message: MessageId) {
        self.record.message = Some(message);
    }

    /// The caller was to be connected with somebody, and this came of it.
    pub fn transfer(&mut self, transfer: RecordedTransfer) {
        self.record.transfers.push(transfer);
    }

    /// It was refused, for a reason in words.
    pub fn refused(&mut self, status: u16, reason: &str) {
        self.record.outcome = Outcome::Refused;
        self.record.status = Some(status);
        self.record.reason = Some(reason.to_owned());
    }

    /// It was not let in, for a reason that is counted together with others like it: no row of its own.
    pub fn blocked(mut self, status: u16, reason: &'static str, invite: &IncomingCall) {
        self.is_counted = true;
        self.records.blocked(Attempt {
            at: self.record.started_at,
            source: invite.source.ip(),
            transport: self.record.transport.clone().into(),
            purpose: Purpose::Call,
            called: self.record.called.clone(),
            caller: self.record.caller.clone(),
            sip_call_id: self.record.sip_call_id.clone(),
            reason: reason.into(),
            status: Some(status),
        });
    }

    /// Whether the caller is told that the mailbox does not take the call, and why it does not.
    pub fn turned_away(&mut self, reason: Option<&'static str>) {
        self.turned_away = reason;
    }

    /// It came to no session.
    pub fn no_session(&mut self, why: &NoSession) {
        match why {
            NoSession::Unacceptable(error) => self.refused(488, &error.to_string()),
            NoSession::NoPort(_) => self.refused(503, "no port for audio"),
            NoSession::Ended(end) => self.ended_by(end),
        }
    }

    /// It ended in a way that we decided on, in words. Only the first end counts.
    pub fn ended(&mut self, reason: &str) {
        if self.record.outcome == Outcome::Running {
            self.record.outcome = match self.record.answered_at {
                Some(_) if self.turned_away.is_some() => Outcome::Blocked,
                Some(_) => Outcome::Ended,
                None => Outcome::Abandoned,
            };
            self.record.reason = Some(self.turned_away.unwrap_or(reason).to_owned());
        }
    }

    fn ended_with(&mut self, reason: &str, cause: Option<&Reason>) {
        self.ended(reason);
        self.record.end_cause = cause.map(ToString::to_string);
    }

    /// It ended as SIP tells it. Only the first end counts.
    pub fn ended_by(&mut self, end: &EndReason) {
        match end {
            EndReason::Bye(cause) => self.ended_with("the caller hung up", cause.as_ref()),
            EndReason::Cancelled(cause) => self.ended_with("the caller gave up", cause.as_ref()),
            EndReason::AckTimeout => self.ended("the answer was never confirmed"),
            EndReason::Unanswered => self.ended("nobody answered"),
            EndReason::Refused(status) if self.record.outcome == Outcome::Running => self.refused(*status, "refused"),
            EndReason::Refused(_) => {}
            EndReason::HungUp => self.ended("we hung up"),
            EndReason::SessionExpired => self.ended("nobody refreshed the session"),
            EndReason::Replaced => self.ended("replaced by another call"),
            EndReason::Stopped => self.ended("the server stopped"),
        }
    }
}

impl Drop for RunningRecord {
    fn drop(&mut self) {
        if self.is_counted {
            return;
        }
        if self.record.outcome == Outcome::Running {
            self.record.outcome = Outcome::BrokenOff;
        }
        // Not asked of the clock: what breaks a call off may be the clock, and a panic in here would end the server.
        self.record.ended_at = Some(self.record.started_at.after(self.begun.elapsed()));
        self.records.note(self.record.clone());
    }
}
