//! Drains the outbox: claims what is due, sends several mails at once, and notes what became of each.
//!
//! Woken by the store when something new is due, and by a timer for what must be tried again. What a mail's failure means is
//! decided by [`verdict`], which is pure; everything else here waits.

use std::{
    error::Error,
    future::Future,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::Utc;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};
use tracing::{Instrument as _, info_span};

use super::{
    AddressError, ComposedMail, MailSettings, RelayError,
    backoff::backoff,
    breaker::{Allowance, Breaker},
    email, eml,
    smtp::{SendError, SmtpClient},
    warning::{self, Warning},
};
use crate::{
    audio::wav,
    domain::{mailbox::Mailbox, rules, time::Timestamp},
    store::{
        ChangeError, Store, StoreError,
        outbox::{Errand, OutboxItem},
    },
};

/// How often the outbox is looked at for mails that must be tried again.
const LOOK: Duration = Duration::from_secs(1);
/// How long mails under way may go on when the server stops.
const GRACE: Duration = Duration::from_secs(10);
/// What a lease has on top of the longest delivery: reading audio, composing, noting the outcome.
const LEASE_MARGIN: Duration = Duration::from_secs(30);
/// How many accepted mails share a transaction at most.
const GROUP: usize = 64;
/// How often, and after which pause, noting that a mail was accepted is tried again: not knowing it means sending it twice.
const NOTING: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
];

/// Delivers until `shutdown` is ready; then mails under way are finished, within seconds.
///
/// # Errors
///
/// [`RelayError`] when the relay's settings cannot be used. Nothing that happens later ends it.
pub async fn run(store: Store, settings: MailSettings, shutdown: impl Future<Output = ()>) -> Result<(), RelayError> {
    let post = Post::new(store, settings)?;
    let mut shutdown = std::pin::pin!(shutdown);
    let mut under_way = JoinSet::new();
    let mut database_fails = false;
    // Whether there may be something that can be claimed right now.
    let mut look = true;
    loop {
        let free = post.settings.parallel.saturating_sub(under_way.len());
        let allowance = post.breaker().allowance(Instant::now());
        let limit = match allowance {
            Allowance::Everything => free,
            Allowance::OneProbe => free.min(1),
            Allowance::NothingUntil(_) => 0,
        };
        if look && limit > 0 {
            match post.store.claim_outbox(u32::try_from(limit).unwrap_or(u32::MAX), post.lease, now()).await {
                Ok(items) => {
                    database_fails = false;
                    look = items.len() == limit;
                    if allowance == Allowance::OneProbe && !items.is_empty() {
                        post.breaker().probe_sent();
                    }
                    for item in items {
                        let span = info_span!("delivery", outbox.id = %item.id, mailbox.id = %item.mailbox);
                        under_way.spawn(post.clone().handle(item).instrument(span));
                    }
                    continue;
                }
                Err(error) => {
                    // Once, not every second until it is back.
                    if !std::mem::replace(&mut database_fails, true) {
                        tracing::error!(error = &error as &dyn Error, "the outbox cannot be read; mails wait");
                    }
                    look = false;
                }
            }
        }
        let pause = match allowance {
            Allowance::NothingUntil(Some(until)) => until.saturating_duration_since(Instant::now()).min(LOOK),
            _ => LOOK,
        };
        tokio::select! {
            Some(done) = under_way.join_next(), if !under_way.is_empty() => {
                if let Err(error) = done {
                    tracing::error!(error = &error as &dyn Error, "a delivery failed in our own code; it is tried again when its lease is over");
                    post.breaker().probe_withdrawn();
                }
            }
            () = post.store.outbox_grew().notified() => look = true,
            () = tokio::time::sleep(pause) => {
                look = true;
                post.tidy().await;
            }
            () = &mut shutdown => break,
        }
    }
    let finished = timeout(GRACE, async { while under_way.join_next().await.is_some() {} }).await;
    if finished.is_err() {
        tracing::warn!(mails = under_way.len(), "mails under way were given up; they are tried again after the next start");
    }
    post.close().await;
    Ok(())
}

/// What the deliveries share.
struct Post {
    store: Store,
    settings: MailSettings,
    /// Without one, mails become files.
    client: Option<SmtpClient>,
    breaker: Mutex<Breaker>,
    lease: Duration,
    accepted: mpsc::Sender<Accepted>,
}

/// What there is to send for an item.
enum Prepared {
    Mail(Box<ComposedMail>),
    /// Sending it has become pointless.
    Nothing(&'static str),
    /// It cannot be sent, ever.
    Impossible(AddressError),
}

impl Post {
    fn new(store: Store, settings: MailSettings) -> Result<Arc<Self>, RelayError> {
        let client = settings.relay.as_ref().map(|relay| SmtpClient::new(relay, settings.timeout)).transpose()?;
        match &settings.relay {
            None => {
                tracing::warn!(folder = %settings.mail_dir.display(), "no mail relay is configured: mails are written as files")
            }
            Some(relay) if relay.exposes_password() => {
                tracing::warn!(%relay, "the relay's password crosses the network unencrypted; use smtp+starttls:// or smtps://");
            }
            Some(_) => {}
        }
        let lease = SmtpClient::longest_delivery(settings.timeout) + LEASE_MARGIN;
        let (accepted, to_note) = mpsc::channel(GROUP);
        tokio::spawn(note_in_groups(store.clone(), to_note));
        Ok(Arc::new(Self { store, settings, client, breaker: Mutex::default(), lease, accepted }))
    }

    async fn handle(self: Arc<Self>, item: OutboxItem) {
        let noted = match self.prepare(&item, now()).await {
            Ok(Prepared::Mail(mail)) => self.deliver(&item, &mail).await,
            Ok(Prepared::Nothing(reason)) => {
                self.breaker().probe_withdrawn();
                tracing::info!(reason, "a mail is not needed any more");
                self.remove(&item).await
            }
            Ok(Prepared::Impossible(error)) => {
                self.breaker().probe_withdrawn();
                self.note_failure(&item, &Failure::Final(error.to_string())).await
            }
            Err(error) => {
                self.breaker().probe_withdrawn();
                tracing::warn!(error = &error as &dyn Error, "a mail could not be made; it is tried again");
                self.note_failure(&item, &Failure::Passing(error.to_string())).await
            }
        };
        if let Err(error) = noted {
            tracing::error!(
                error = &error as &dyn Error,
                "the outcome of a delivery could not be noted; it is repeated when its lease is over"
            );
        }
    }

    /// Wideband audio at 8000 samples a second, unless it is wanted as it is.
    async fn wav_to_mail(&self, wav: Vec<u8>) -> Vec<u8> {
        if self.settings.wideband {
            return wav;
        }
        // Five minutes take a tenth of a second.
        let narrowing = tokio::task::spawn_blocking(move || wav::narrowed(&wav).unwrap_or(wav));
        narrowing.await.unwrap_or_default()
    }

    async fn prepare(&self, item: &OutboxItem, now: Timestamp) -> Result<Prepared, StoreError> {
        let Some(mailbox) = self.store.mailbox(&item.mailbox).await? else { return Ok(Prepared::Nothing("the mailbox is gone")) };
        if mailbox.email.is_none() {
            return Ok(Prepared::Nothing("the mailbox has no address any more"));
        }
        let warning = match &item.errand {
            Errand::Message { message } => {
                if mailbox.voice_to_email_since.is_none() {
                    return Ok(Prepared::Nothing("voice-to-email was switched off"));
                }
                let Some(message) = self.store.message(message, now).await? else {
                    return Ok(Prepared::Nothing("the message was deleted or has expired"));
                };
                let wav = self.wav_to_mail(self.store.audio(&message.audio).await?.into()).await;
                return Ok(email::compose(&message, &mailbox, wav, &self.settings, now).into());
            }
            Errand::Copy { message } => {
                let Some(message) = self.store.message_anywhere(message, now).await? else {
                    return Ok(Prepared::Nothing("the message was deleted for good or has expired"));
                };
                let wav = self.wav_to_mail(self.store.audio(&message.audio).await?.into()).await;
                return Ok(email::compose_copy(&item.id, &message, &mailbox, wav, &self.settings, now).into());
            }
            Errand::Fullness { held } => Warning::Filling { held: *held },
            Errand::Expiring { messages, first } => {
                if rules::is_expired(*first, now) {
                    return Ok(Prepared::Nothing("the messages it warns of have expired"));
                }
                Warning::Expiring { messages: *messages, first: *first }
            }
            Errand::RemoteAccessLocked => Warning::RemoteLock,
            Errand::Credential { notice, address, agent, last } => {
                Warning::Credential { notice: *notice, address: address.clone(), agent: agent.clone(), last: *last }
            }
            Errand::Noticed { event, by, last } => Warning::Noticed { event: event.clone(), by: by.clone(), last: *last },
        };
        Ok(self.compose_warning(item, warning, &mailbox).into())
    }

    fn compose_warning(&self, item: &OutboxItem, warning: Warning, mailbox: &Mailbox) -> Result<ComposedMail, AddressError> {
        warning::compose(&item.id, warning, mailbox, &self.settings, item.created_at)
    }

    async fn deliver(&self, item: &OutboxItem, mail: &ComposedMail) -> Result<(), StoreError> {
        let started = Instant::now();
        let Some(client) = &self.client else { return self.write_file(item, mail).await };
        match client.send(mail).await {
            Ok(()) => {
                if self.breaker().succeeded() {
                    tracing::info!(relay = %client.relay(), "the relay takes mails again");
                }
                let accepted_at = now();
                self.note_accepted(item, accepted_at).await?;
                tracing::info!(
                    kind = item.errand.kind(),
                    waited = ?(accepted_at - item.created_at),
                    took = ?started.elapsed(),
                    "a mail was accepted by the relay"
                );
                Ok(())
            }
            Err(error) => {
                self.judge_relay(client, &error);
                self.note_failure(item, &error.into()).await
            }
        }
    }

    /// Tells the breaker, and the operator when there is something new.
    fn judge_relay(&self, client: &SmtpClient, error: &SendError) {
        let relay = client.relay();
        match error {
            SendError::Refused(_) | SendError::Deferred(_) => {
                if self.breaker().succeeded() {
                    tracing::info!(%relay, "the relay answers again");
                }
                tracing::warn!(code = error.code(), "the relay did not take a mail");
            }
            SendError::Unusable { .. } | SendError::Unknown(_) => {
                let opened = self.breaker().failed(Instant::now());
                let trouble = error.without_addresses();
                match error {
                    SendError::Unusable { needs_operator: true, .. } if opened => {
                        tracing::error!(%relay, trouble, "mails wait: the relay refuses us; check [mail] in the configuration");
                    }
                    _ if opened => tracing::error!(%relay, trouble, "mails wait: the relay cannot be used"),
                    _ => tracing::debug!(%relay, trouble, "the relay could not be used"),
                }
            }
        }
    }

    async fn write_file(&self, item: &OutboxItem, mail: &ComposedMail) -> Result<(), StoreError> {
        let (folder, mail) = (self.settings.mail_dir.clone(), mail.clone());
        let written = tokio::task::spawn_blocking(move || eml::write(&folder, &mail))
            .await
            .unwrap_or_else(|panic| Err(io::Error::other(panic)));
        match written {
            Ok(file) => {
                tracing::info!(file = %file.display(), "a mail was written to a file");
                // No mail server has accepted it, so the message keeps its whole life.
                self.remove(item).await
            }
            Err(error) => {
                tracing::error!(folder = %self.settings.mail_dir.display(), error = &error as &dyn Error, "a mail could not be written; it is tried again");
                self.note_failure(item, &Failure::Passing(format!("could not be written: {error}"))).await
            }
        }
    }

    /// Returns when it is on disk that the mail was accepted. Mails accepted in the same moment share a transaction.
    async fn note_accepted(&self, item: &OutboxItem, at: Timestamp) -> Result<(), StoreError> {
        let (reply, noted) = oneshot::channel();
        // Only when the notary is gone, as the process ends, is it done here.
        if self.accepted.send(Accepted { item: item.clone(), at, reply }).await.is_ok()
            && let Ok(noted) = noted.await
        {
            return noted;
        }
        self.store.complete(item, at).await
    }

    async fn note_failure(&self, item: &OutboxItem, failure: &Failure) -> Result<(), StoreError> {
        let now = now();
        match verdict(failure, item, now, rand::random()) {
            Verdict::Retry { at } => self.store.retry_at(&item.id, at, failure.text()).await,
            Verdict::GiveUp => {
                tracing::warn!(
                    kind = item.errand.kind(),
                    attempts = item.attempts + 1,
                    "a mail was given up; see `afterbeep outbox list`"
                );
                self.store.dead(&item.id, failure.text(), now).await
            }
        }
    }

    async fn remove(&self, item: &OutboxItem) -> Result<(), StoreError> {
        match self.store.drop_outbox(&item.id).await {
            Ok(()) | Err(ChangeError::Gone | ChangeError::Conflict) => Ok(()),
            Err(ChangeError::Store(error)) => Err(error),
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn tidy(&self) {
        if let Some(client) = &self.client {
            client.tidy().await;
        }
    }

    async fn close(&self) {
        if let Some(client) = &self.client {
            client.close().await;
        }
    }
}

/// A mail that the relay has accepted, on its way into the store.
struct Accepted {
    item: OutboxItem,
    at: Timestamp,
    reply: oneshot::Sender<Result<(), StoreError>>,
}

/// Notes accepted mails, together those that arrive while the disk is busy with others.
async fn note_in_groups(store: Store, mut accepted: mpsc::Receiver<Accepted>) {
    let mut group = Vec::with_capacity(GROUP);
    while accepted.recv_many(&mut group, GROUP).await > 0 {
        let items: Vec<_> = group.iter().map(|one| (one.item.clone(), one.at)).collect();
        let together = store.complete_all(&items).await;
        for one in group.drain(..) {
            let noted = match &together {
                Ok(()) => Ok(()),
                // One of them may be at fault.
                Err(_) => note(&store, &one.item, one.at).await,
            };
            // Whoever waited may have been given up at a shutdown; it is noted all the same.
            let _ = one.reply.send(noted);
        }
    }
}

async fn note(store: &Store, item: &OutboxItem, at: Timestamp) -> Result<(), StoreError> {
    for pause in NOTING {
        match store.complete(item, at).await {
            Ok(()) => return Ok(()),
            Err(error) => {
                tracing::warn!(outbox.id = %item.id, error = &error as &dyn Error, "that a mail was accepted could not be noted; trying again");
                tokio::time::sleep(pause).await;
            }
        }
    }
    store.complete(item, at).await
}

impl From<Result<ComposedMail, AddressError>> for Prepared {
    fn from(composed: Result<ComposedMail, AddressError>) -> Self {
        composed.map_or_else(Self::Impossible, |mail| Self::Mail(Box::new(mail)))
    }
}

/// Why a mail has not been delivered; the text is kept with it.
#[derive(Debug)]
enum Failure {
    Final(String),
    Passing(String),
}

impl Failure {
    fn text(&self) -> &str {
        match self {
            Self::Final(text) | Self::Passing(text) => text,
        }
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        match &error {
            SendError::Refused(_) => Self::Final(error.to_string()),
            SendError::Deferred(_) | SendError::Unusable { .. } | SendError::Unknown(_) => Self::Passing(error.to_string()),
        }
    }
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Retry { at: Timestamp },
    GiveUp,
}

/// What follows from a failure: another try after a pause, or the dead-letter list. The last try is at the end of the
/// delivery life, however long the pause would be.
fn verdict(failure: &Failure, item: &OutboxItem, now: Timestamp, random: f64) -> Verdict {
    match failure {
        Failure::Final(_) => Verdict::GiveUp,
        Failure::Passing(_) if rules::is_delivery_over(item.created_at, now) => Verdict::GiveUp,
        Failure::Passing(_) => {
            let at = now.after(backoff(item.attempts.saturating_add(1), random));
            Verdict::Retry { at: at.min(item.created_at.after(rules::DELIVERY_LIFE)) }
        }
    }
}

fn now() -> Timestamp {
    Utc::now().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{MailboxId, OutboxId};

    const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn what_is_final_is_given_up_at_once() {
        assert_eq!(verdict(&Failure::Final("550".into()), &item(0), START, 0.0), Verdict::GiveUp);
    }

    #[test]
    fn what_passes_is_tried_for_five_days_to_the_millisecond() {
        let passing = Failure::Passing("451".into());
        let end = START.after(rules::DELIVERY_LIFE);
        let just_before = end.before(Duration::from_millis(1));

        assert_eq!(verdict(&passing, &item(0), START, 0.0), Verdict::Retry { at: START.after(Duration::from_secs(30)) });
        assert_eq!(verdict(&passing, &item(2), START, 0.0), Verdict::Retry { at: START.after(Duration::from_secs(120)) });
        assert_eq!(verdict(&passing, &item(99), just_before, 0.0), Verdict::Retry { at: end });
        assert_eq!(verdict(&passing, &item(99), end, 0.0), Verdict::GiveUp);
    }

    #[test]
    fn only_a_refusal_of_the_mail_is_final() {
        use crate::delivery::smtp::{Reply, Step};
        let reply = || Reply { code: Some(550), text: "550 no".into() };
        let is_final = |error: SendError| matches!(Failure::from(error), Failure::Final(_));

        assert!(is_final(SendError::Refused(reply())));
        assert!(!is_final(SendError::Deferred(reply())));
        assert!(!is_final(SendError::Unknown(reply())));
        assert!(!is_final(SendError::Unusable { step: Step::Login, reply: reply(), needs_operator: true }));
    }

    fn item(attempts: u32) -> OutboxItem {
        OutboxItem {
            id: OutboxId::from_stored("o"),
            mailbox: MailboxId::from_stored("m"),
            errand: Errand::RemoteAccessLocked,
            created_at: START,
            due_at: START,
            attempts,
            last_error: None,
            dead_at: None,
        }
    }
}
