//! Subscriptions to a mailbox's counts: what a SUBSCRIBE of a line, or of a trusted peer, does (RFC 6665, RFC 3842).
//!
//! A line may watch its own mailbox, a trusted peer any. The first NOTIFY, and all others, are [`crate::delivery`]'s.

use std::time::Duration;

use rsip::headers;
use tokio::time::timeout;

use super::{Lines, unavailable};
use crate::{
    domain::id::{MailboxId, SubscriptionId},
    sip::{
        mwi::{Watcher, Wish},
        request::{OutsideRequest, Reply},
        wire::{HeaderViews as _, SipUri},
    },
    store::{
        ChangeError, StoreError,
        line::Line,
        subscription::{NewSubscription, SubscribeError, Subscription},
    },
};

/// When a phone may try again whose mailbox has too many subscriptions, in seconds: some of them will have ended.
const CROWDED: u32 = 600;
/// How long the database may take.
const PATIENCE: Duration = Duration::from_secs(8);
/// The user part of our Contact in a subscription.
const USER: &str = "voicemail";

impl Lines {
    /// Does what a SUBSCRIBE wants, of a line, or of a trusted peer where there is none, and answers it.
    pub(super) async fn subscribe(&self, request: &OutsideRequest, line: Option<&Line>) -> Reply {
        let wish = match Wish::of(request) {
            Ok(wish) => wish,
            Err(refusal) => return refusal,
        };
        let to = request.request.headers.to_address().ok();
        let doing = async {
            match to.as_ref().and_then(|to| to.tag()) {
                Some(tag) => self.renew(request, &wish, &SubscriptionId::from_stored(tag), line).await,
                None => self.begin(request, &wish, line).await,
            }
        };
        match timeout(PATIENCE, doing).await {
            Ok(Ok(reply) | Err(reply)) => reply,
            // If it was kept after all, the phone says to the first NOTIFY that it knows of none.
            Err(_) => unavailable(&StoreError::Silent("the database")),
        }
    }

    async fn begin(&self, request: &OutsideRequest, wish: &Wish, line: Option<&Line>) -> Result<Reply, Reply> {
        let mailbox = self.watched(request, line).await.map_err(|error| unavailable(&error))?;
        // Another line's mailbox and none at all are the same to a line; a trusted peer may know.
        let mailbox = mailbox.ok_or_else(|| Reply::status(if line.is_some() { 403 } else { 404 }))?;
        let id = SubscriptionId::random();
        let watcher = Watcher::subscribing(request, wish, id.as_str())?;
        let now = (self.now)();
        let new = NewSubscription {
            id,
            mailbox,
            dialog: watcher.to_text(),
            remote_sequence: sequence(request)?,
            expires_at: now.after(wish.life),
        };
        match self.store.subscribe(&new, now).await {
            Ok(()) => Ok(wish.accepted(request, USER, Some(new.id.as_str().to_owned()))),
            Err(SubscribeError::TooMany) => {
                let later = headers::RetryAfter::from(CROWDED.to_string().as_str());
                Err(Reply::status(503).with(later.into()))
            }
            Err(SubscribeError::Store(error)) => Err(unavailable(&error)),
        }
    }

    async fn renew(
        &self,
        request: &OutsideRequest,
        wish: &Wish,
        id: &SubscriptionId,
        line: Option<&Line>,
    ) -> Result<Reply, Reply> {
        let gone = || Reply::status(481);
        let now = (self.now)();
        let kept = self.store.subscription(id, now).await.map_err(|error| unavailable(&error))?.ok_or_else(gone)?;
        let mut watcher = Watcher::from_text(&kept.dialog).map_err(|_| gone())?;
        let is_theirs = line.is_none_or(|line| line.mailbox == kept.mailbox);
        if !is_theirs || !watcher.peer.fits(request) || watcher.event_id != wish.event_id {
            return Err(gone());
        }
        watcher.peer.refresh(request);
        let renewed = Subscription {
            dialog: watcher.to_text(),
            remote_sequence: sequence(request)?,
            expires_at: now.after(wish.life),
            ..kept
        };
        match self.store.renew_subscription(&renewed, now).await {
            Ok(()) => Ok(wish.accepted(request, USER, None)),
            // A request out of order (RFC 3261 §12.2.2).
            Err(ChangeError::Conflict) => Err(Reply::status(500)),
            Err(ChangeError::Gone) => Err(gone()),
            Err(ChangeError::Store(error)) => Err(unavailable(&error)),
        }
    }

    /// The mailbox that a SUBSCRIBE is about, if whoever sent it may watch it.
    async fn watched(&self, request: &OutsideRequest, line: Option<&Line>) -> Result<Option<MailboxId>, StoreError> {
        let target = SipUri::from(&request.request.uri);
        let number = target.user_text().unwrap_or_default();
        match line {
            Some(line) if number == line.number.as_str() => Ok(Some(line.mailbox.clone())),
            Some(line) => {
                let mailbox = self.store.find_mailbox(&line.tenant, &number).await?;
                Ok(mailbox.map(|mailbox| mailbox.id).filter(|id| *id == line.mailbox))
            }
            None => {
                let of_tenant = self.store.find_mailbox(&target.host_text(), &number).await?;
                let mailbox = match of_tenant {
                    Some(mailbox) => Some(mailbox),
                    None => self.store.find_mailbox("", &number).await?,
                };
                Ok(mailbox.filter(|mailbox| mailbox.enabled).map(|mailbox| mailbox.id))
            }
        }
    }
}

fn sequence(request: &OutsideRequest) -> Result<u32, Reply> {
    request.request.headers.cseq().map(|sequence| sequence.number).map_err(|_| Reply::status(400))
}
