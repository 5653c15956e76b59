//! Handing a caller on: whether and where to, and what came of it, for the menus and for the record.
//!
//! Only a trusted peer is ever asked to connect anybody ([`TrustedPeer`] is the one way to a [`Referral`]), and only with a target of
//! the operator's, or a number that [`destination::decide`] admits. Calls are never bridged here.

use std::{net::SocketAddr, time::Duration};

use tokio::{sync::watch, time::timeout};
use tracing::info;

use super::Calls;
use crate::{
    domain::{
        destination::{self, Caller, Destinations, E164, Refusal, Wish},
        id::{CallId, MailboxId, MessageId},
        mailbox::Mailbox,
        rules,
    },
    ivr::{Answer, Digits, MailboxView},
    sip::{
        event::{Referral, TransferEnd},
        refer::{ReferTarget, dialled},
        wire::SipUri,
    },
    store::{Store, StoreError, destination::CallBackState, record::RecordedTransfer},
};

/// How long the other side may take to hang up after it has done what it was asked for; then we do.
const FAREWELL: Duration = Duration::from_secs(5);

/// Who may be handed on, and where to.
#[derive(Clone, Debug, Default)]
pub struct Transfers {
    /// Whom mailboxes may have as their operator.
    pub operators: Vec<ReferTarget>,
    /// The host that numbers are dialled at; without one, the peer's address.
    pub domain: Option<SipUri>,
    /// Calling back.
    pub call_back: CallBackRules,
}

/// What calls back are judged by, for all mailboxes.
#[derive(Clone, Debug, Default)]
pub struct CallBackRules {
    /// Whether subscribers can call back at all.
    pub enabled: bool,
    /// The list of the whole service.
    pub destinations: Destinations,
    /// How much one mailbox may call.
    pub of_mailbox: destination::Calls,
    /// How much all may call together.
    pub of_service: destination::Calls,
}

/// A peer that is trusted, and so can be asked to connect its caller with somebody else.
#[derive(Clone, Debug)]
pub struct TrustedPeer {
    /// Where it is.
    pub address: SocketAddr,
    /// The address of ours that it knows.
    pub local: SocketAddr,
}

impl TrustedPeer {
    /// Where numbers are dialled.
    fn domain(&self, transfers: &Transfers) -> SipUri {
        transfers.domain.clone().unwrap_or_else(|| SipUri { port: None, ..SipUri::at(None, self.address) })
    }

    fn referral(&self, target: SipUri, mailbox: &Mailbox) -> Referral {
        Referral { target, referred_by: SipUri::at(Some(mailbox.number.as_str()), self.local) }
    }
}

/// A transfer that is to be asked for.
#[derive(Clone, Debug)]
pub struct Handing {
    /// What the other side is asked.
    pub referral: Referral,
    /// What is kept of it in the record.
    pub recorded: Recorded,
    /// A call back, which is counted.
    pub call_back: Option<CallId>,
}

/// A transfer in the record of the call, until it is known what came of it.
#[derive(Clone)]
pub struct Recorded(RecordedTransfer);

/// Logs must not carry full numbers.
impl std::fmt::Debug for Recorded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recorded(…)")
    }
}

impl Recorded {
    fn new(calls: &Calls, what: &str, to: Option<String>) -> Self {
        let at = (calls.now)().to_string();
        Self(RecordedTransfer { at, what: what.to_owned(), to, outcome: String::new(), status: None, reason: None })
    }

    /// We refuse it.
    fn refused(mut self, reason: &str) -> RecordedTransfer {
        info!(what = self.0.what, reason, "a transfer is refused");
        (self.0.outcome, self.0.reason) = ("refused".to_owned(), Some(reason.to_owned()));
        self.0
    }

    /// It came to this; none when the call ended before.
    #[must_use]
    pub fn ended(mut self, end: Option<TransferEnd>) -> RecordedTransfer {
        let (outcome, status, reason) = match end {
            Some(TransferEnd::Reached) => ("connected", None, None),
            Some(TransferEnd::Untold) => ("handed over", None, Some("the peer tells nothing more")),
            Some(TransferEnd::Refused(status)) => ("not connected", Some(status), Some("the peer does not transfer the call")),
            Some(TransferEnd::Failed(status)) => ("not connected", Some(status), Some("the call was not taken")),
            Some(TransferEnd::Silent) => ("not connected", None, Some("the peer told nothing in time")),
            None => ("handed over", None, Some("the call ended before anything was told")),
        };
        info!(what = self.0.what, outcome, status, "a transfer is over");
        (self.0.outcome, self.0.status, self.0.reason) = (outcome.to_owned(), status, reason.map(ToOwned::to_owned));
        self.0
    }
}

/// What is to be done about a wish of the menus.
pub enum Decided {
    /// It is refused, or answered without asking anybody.
    Answered(Answer, Option<Box<RecordedTransfer>>),
    /// The peer is to be asked; the answer is what comes of it.
    Handed(Box<Handing>),
}

/// Has the caller connected with the operator of a mailbox.
///
/// # Errors
///
/// [`StoreError`]; nothing is done then.
pub async fn to_operator(calls: &Calls, peer: Option<&TrustedPeer>, mailbox: &MailboxId) -> Result<Decided, StoreError> {
    let Some(mailbox) = calls.store.mailbox(mailbox).await?.filter(|mailbox| mailbox.enabled) else {
        return Ok(Decided::Answered(Answer::MailboxGone, None));
    };
    let operator = calls.store.transfer_settings(&mailbox.id).await?.operator;
    let recorded = Recorded::new(calls, "operator", operator.clone());
    let refuse = |reason| Ok(Decided::Answered(Answer::NotTransferred, Some(Box::new(recorded.clone().refused(reason)))));
    let Some(operator) = operator else { return refuse("the mailbox has no operator") };
    let Some(peer) = peer else { return refuse("the call does not come from a trusted peer") };
    let Some(target) = calls.transfers.operators.iter().find(|target| target.to_string() == operator) else {
        return refuse("the mailbox's operator is not among operator.targets");
    };
    let referral = peer.referral(target.uri(&peer.domain(&calls.transfers)), &mailbox);
    Ok(Decided::Handed(Box::new(Handing { referral, recorded, call_back: None })))
}

/// Says whether whoever left a message may be called back, and at which number.
///
/// # Errors
///
/// [`StoreError`].
pub async fn may_call_back(
    calls: &Calls,
    peer: Option<&TrustedPeer>,
    mailbox: &MailboxId,
    message: &MessageId,
) -> Result<Decided, StoreError> {
    let Some(case) = Case::find(calls, peer, mailbox, message).await? else {
        return Ok(Decided::Answered(Answer::MailboxGone, None));
    };
    let state = calls.store.call_back_state(&case.mailbox, (calls.now)()).await?;
    Ok(match case.decide(&state) {
        Ok(number) => Decided::Answered(Answer::MayCallBack(Digits(number.digits().to_owned())), None),
        Err(refusal) => case.refused(refusal),
    })
}

/// Has the subscriber connected with whoever left a message.
///
/// # Errors
///
/// [`StoreError`]; nothing is done then.
pub async fn call_back(
    calls: &Calls,
    peer: Option<&TrustedPeer>,
    mailbox: &MailboxId,
    message: &MessageId,
) -> Result<Decided, StoreError> {
    let Some(case) = Case::find(calls, peer, mailbox, message).await? else {
        return Ok(Decided::Answered(Answer::MailboxGone, None));
    };
    let begun = calls.store.begin_call_back(&case.mailbox, (calls.now)(), |state| case.decide(state)).await?;
    let (id, number) = match begun {
        Ok(begun) => begun,
        Err(refusal) => return Ok(case.refused(refusal)),
    };
    let Some(peer) = peer else { return Ok(case.refused(Refusal::UntrustedPeer)) };
    let target = dialled(&number.to_string(), &peer.domain(&calls.transfers));
    let recorded = Recorded::new(calls, "call back", Some(number.to_string()));
    let referral = peer.referral(target, &case.mailbox);
    Ok(Decided::Handed(Box::new(Handing { referral, recorded, call_back: Some(id) })))
}

/// The view of a mailbox for its subscriber, who may call back.
///
/// # Errors
///
/// [`StoreError`].
pub async fn subscribers_view(
    transfers: &Transfers,
    store: &Store,
    mailbox: &Mailbox,
    peer_is_trusted: bool,
) -> Result<MailboxView, StoreError> {
    let mut view = MailboxView::of(mailbox, false);
    offer(transfers, store, &mut view, peer_is_trusted).await?;
    Ok(view)
}

/// Puts into a mailbox's view whether its callers can be connected with an operator, and whether its subscriber may call back: whoever
/// hears its greeting may be either, and logs in from there.
///
/// # Errors
///
/// [`StoreError`].
pub async fn offer(
    transfers: &Transfers,
    store: &Store,
    view: &mut MailboxView,
    peer_is_trusted: bool,
) -> Result<(), StoreError> {
    if !peer_is_trusted || (transfers.operators.is_empty() && !transfers.call_back.enabled) {
        return Ok(());
    }
    let settings = store.transfer_settings(&view.id).await?;
    view.operator =
        settings.operator.is_some_and(|operator| transfers.operators.iter().any(|target| target.to_string() == operator));
    view.call_back = transfers.call_back.enabled && settings.call_back;
    Ok(())
}

/// A wish to call back, and whom.
struct Case<'a> {
    calls: &'a Calls,
    peer: Option<&'a TrustedPeer>,
    mailbox: Mailbox,
    number: Option<String>,
    is_verified: bool,
}

impl<'a> Case<'a> {
    async fn find(
        calls: &'a Calls,
        peer: Option<&'a TrustedPeer>,
        mailbox: &MailboxId,
        message: &MessageId,
    ) -> Result<Option<Self>, StoreError> {
        let Some(mailbox) = calls.store.mailbox(mailbox).await?.filter(|mailbox| mailbox.enabled) else { return Ok(None) };
        let caller = calls.store.message_caller(&mailbox.id, message, (calls.now)()).await?;
        let (number, is_verified) = caller.map(|caller| (caller.number, caller.is_verified)).unwrap_or_default();
        Ok(Some(Self { calls, peer, mailbox, number, is_verified }))
    }

    fn decide(&self, state: &CallBackState) -> Result<E164, Refusal> {
        let rules = &self.calls.transfers.call_back;
        let lists = destination::Lists { service: rules.destinations.clone(), ..state.lists.clone() };
        destination::decide(&Wish {
            service_allows: rules.enabled,
            mailbox_allows: state.mailbox_allows,
            peer_is_trusted: self.peer.is_some(),
            caller: Caller { number: self.number.as_deref(), is_verified: self.is_verified },
            lists: &lists,
            of_mailbox: (state.of_mailbox, rules.of_mailbox),
            of_service: (state.of_service, rules.of_service),
        })
    }

    fn refused(&self, refusal: Refusal) -> Decided {
        let recorded = Recorded::new(self.calls, "call back", self.number.clone());
        Decided::Answered(Answer::CallBackRefused(refusal.into()), Some(Box::new(recorded.refused(refusal.words()))))
    }
}

/// How far a transfer has come that the other side was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Nothing,
    /// The other side does it, and is to hang up.
    Done,
    NotDone,
    /// The call is over.
    CallEnded,
}

/// A transfer that the other side was asked for.
pub struct Transfer {
    recorded: Option<Recorded>,
    news: watch::Sender<News>,
}

impl Transfer {
    /// Begins to wait. The future gives the answer for the menus: when it failed, or when it was done and the other side has hung up
    /// or should have by now.
    pub fn begin(calls: std::sync::Arc<Calls>, handing: Handing) -> (Self, impl Future<Output = Answer> + Send + use<>) {
        let (news, mut told) = watch::channel(News::Nothing);
        let call_back = handing.call_back;
        let answer = async move {
            let is_news = told.wait_for(|news| *news != News::Nothing);
            // The user agent server gives up sooner; whoever leads the call may be gone.
            let latest = match timeout(rules::LONGEST_TRANSFER, is_news).await {
                Ok(Ok(news)) => *news,
                Ok(Err(_)) | Err(_) => News::NotDone,
            };
            if let Some(id) = call_back
                && let Err(error) = calls.store.end_call_back(&id, (calls.now)()).await
            {
                tracing::warn!(error = &error as &dyn std::error::Error, "a call back is counted as going on for a while");
            }
            match latest {
                News::Nothing | News::NotDone => Answer::NotTransferred,
                News::CallEnded => Answer::Transferred,
                News::Done => {
                    let _ = timeout(FAREWELL, told.wait_for(|news| *news == News::CallEnded)).await;
                    Answer::Transferred
                }
            }
        };
        (Self { recorded: Some(handing.recorded), news }, answer)
    }

    /// It is not asked for, because the call is over already; gives what the record keeps.
    pub fn never_asked(&mut self) -> Option<RecordedTransfer> {
        self.news.send_replace(News::NotDone);
        self.recorded.take().map(|recorded| recorded.refused("the caller hung up before"))
    }

    /// Whether it is not known yet what comes of it, or the other side is to hang up.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(*self.news.borrow(), News::Nothing | News::Done)
    }

    /// Hears what came of it; gives what the record keeps.
    pub fn ended(&mut self, end: TransferEnd) -> Option<RecordedTransfer> {
        let is_done = matches!(end, TransferEnd::Reached | TransferEnd::Untold);
        self.news.send_replace(if is_done { News::Done } else { News::NotDone });
        self.recorded.take().map(|recorded| recorded.ended(Some(end)))
    }

    /// Hears that the call is over; gives what the record keeps, unless that was known before.
    pub fn call_ended(&mut self) -> Option<RecordedTransfer> {
        self.news.send_replace(News::CallEnded);
        self.recorded.take().map(|recorded| recorded.ended(None))
    }
}
