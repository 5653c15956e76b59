//! One task per call: finds out what the call is for, answers it, drives the menus of `ivr`, and carries out what they ask.
//!
//! This is where protocol, audio, menus and store meet. It decides as little as possible: which mailbox is [`route`]'s
//! decision, what is said and done is `ivr`'s, what is kept is `store`'s. Start with [`Calls::run`], then [`driver`].

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use tracing::{Instrument, debug, error, info, info_span};

use crate::{
    audio::codec::Codec,
    domain::{id::CallId, mailbox::Mailbox, rules, time::Timestamp},
    ivr::{self, Entry, MailboxView},
    media::MediaEngine,
    sip::{event::Command, handle::NewCall},
    store::{Store, StoreError},
};

pub mod driver;
pub mod key;
pub mod library;
mod question;
pub mod route;
pub mod session;
pub mod tape;

use library::Library;
use route::{Dialled, Route};

/// What every call needs.
pub struct Calls {
    /// Where messages are kept.
    pub store: Store,
    /// The media threads.
    pub media: Arc<MediaEngine>,
    /// The prompts, encoded once for each codec.
    pub library: Library,
    /// What the menus follow.
    pub menus: ivr::Settings,
    /// What subscribers dial to listen to their messages.
    pub access_codes: Vec<String>,
    /// Whether an address is a trusted peer's.
    pub trusts: Box<dyn Fn(std::net::IpAddr) -> bool + Send + Sync>,
    /// The time on the wall.
    pub now: fn() -> Timestamp,
}

/// When a caller may try again after a refusal for our own trouble.
const RETRY_AFTER: Duration = Duration::from_secs(10);

impl Calls {
    /// Leads every call that comes in until the channel closes, then waits for the calls in progress, but not longer than until
    /// `stop` says so: then they are hung up, and what was recorded is kept.
    pub async fn run(self: Arc<Self>, mut incoming: mpsc::Receiver<NewCall>, stop: watch::Receiver<bool>) {
        let mut running = JoinSet::new();
        loop {
            tokio::select! {
                call = incoming.recv() => match call {
                    Some(call) => {
                        let id = CallId::random();
                        let span = info_span!("call", id = %id, sip = call.invite.call_id);
                        running.spawn(self.clone().lead(call, id, stop.clone()).instrument(span));
                    }
                    None => break,
                },
                Some(ended) = running.join_next(), if !running.is_empty() => report(ended),
            }
        }
        while let Some(ended) = running.join_next().await {
            report(ended);
        }
    }

    /// Leads one call to its end.
    async fn lead(self: Arc<Self>, call: NewCall, id: CallId, stop: watch::Receiver<bool>) {
        let NewCall { invite, handle } = call;
        let trusted = (self.trusts)(invite.source.ip());
        let caller = route::caller(&invite, trusted);
        // A stranger can write any number into From, so only the address tells strangers apart.
        let guesser = match caller.number.as_deref().filter(|_| trusted) {
            Some(number) => format!("number {number}"),
            None => format!("address {}", invite.source.ip()),
        };
        let entry = match self.entry(route::route(&invite, trusted, &self.access_codes)).await {
            Ok(entry) => entry,
            Err(error) => {
                error!(error = &error as &dyn std::error::Error, "a call is refused: the store does not answer");
                handle.send(Command::Refuse { status: 503, retry_after: Some(RETRY_AFTER) });
                return;
            }
        };
        let session = match session::answer(&self.media, &invite, handle).await {
            Ok(session) => session,
            Err(refusal) => return debug!(%refusal, "a call is refused"),
        };
        info!(purpose = purpose(&entry), "a call is answered");
        driver::Driver::new(self, session, id, caller, guesser, entry).run(stop).await;
    }

    /// What the menus begin with.
    async fn entry(&self, route: Route) -> Result<Entry, StoreError> {
        match route {
            Route::Retrieval { own_line: None } => Ok(Entry::Retrieval { mailbox: None }),
            Route::Retrieval { own_line: Some(line) } => {
                let mailbox = self.find(&line).await?.filter(|mailbox| mailbox.enabled);
                let view = mailbox.map(|mailbox| MailboxView::of(&mailbox, false));
                Ok(Entry::Retrieval { mailbox: view })
            }
            Route::Deposit { candidates } => {
                for (dialled, reason) in candidates {
                    let Some(mailbox) = self.find(&dialled).await? else { continue };
                    debug!(mailbox.id = %mailbox.id, ?reason, "the mailbox is chosen");
                    if !mailbox.enabled {
                        return Ok(Entry::Unavailable);
                    }
                    let counts = self.store.counts(&mailbox.id, (self.now)()).await?;
                    return Ok(Entry::Deposit { mailbox: MailboxView::of(&mailbox, !rules::admits(counts.total())) });
                }
                Ok(Entry::Unavailable)
            }
        }
    }

    /// The mailbox in the tenant of the domain dialled, else in the default tenant.
    async fn find(&self, dialled: &Dialled) -> Result<Option<Mailbox>, StoreError> {
        if !dialled.domain.is_empty()
            && let Some(mailbox) = self.store.find_mailbox(&dialled.domain, &dialled.number).await?
        {
            return Ok(Some(mailbox));
        }
        self.store.find_mailbox("", &dialled.number).await
    }
}

fn purpose(entry: &Entry) -> &'static str {
    match entry {
        Entry::Deposit { .. } => "deposit",
        Entry::Retrieval { .. } => "retrieval",
        Entry::Unavailable => "unavailable",
    }
}

/// A call that panicked has hurt nobody else, but somebody must look.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        error!(error = &error as &dyn std::error::Error, "a call broke off");
    }
}

/// The codecs we offer when the caller made no offer, best first.
const OFFERED: [Codec; 2] = Codec::ALL;
