//! Phones that are put directly on the server, each a line of a mailbox: who they are ([`admission`]), where they are
//! ([`registrar`], [`contact`]), and what else they ask outside calls.
//!
//! Every request has a task of its own, bounded in number, so that a slow database holds up nobody who does not need it. Calls are
//! not here ([`crate::call`]), nor is the wire ([`crate::sip`]). Start with [`Lines::run`].

use std::{error::Error, sync::Arc, time::Duration};

use rsip::{Header, Method};
use tokio::{
    sync::{broadcast, mpsc},
    task::JoinSet,
};
use tracing::error;

use crate::{
    domain::time::Timestamp,
    sip::{
        handle::NewRequest,
        mwi,
        registrar::Lives,
        request::{OutsideRequest, Reply},
        uas::CAPABILITIES,
        wire::{HeaderViews as _, SipUri},
    },
    store::{Store, StoreError, line::Line, record::Records},
};

pub mod access;
pub mod admission;
pub mod contact;
pub mod credentials;
pub mod registrar;
mod record;
mod subscribe;

use admission::{Admission, Attempt, Verdict};
use record::{Recorder, Standing};
use registrar::Registered;

/// How many requests are worked on at once; others wait in the channel.
const AT_ONCE: usize = 64;
/// When a phone may try again whose request met trouble of ours.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// How many registrations may be told before somebody who wants to know has heard of the first.
const UNHEARD: usize = 1024;

/// The lines of a server.
pub struct Lines {
    store: Store,
    admission: Arc<Admission>,
    lives: Lives,
    /// Names this run of this server, so that a connection of an earlier one is not taken for one of now.
    run: String,
    registered: broadcast::Sender<Registered>,
    recorder: Recorder,
    now: fn() -> Timestamp,
}

impl Lines {
    /// The lines that the store knows.
    #[must_use]
    pub fn new(store: Store, admission: Arc<Admission>, lives: Lives, now: fn() -> Timestamp) -> Self {
        let run = format!("{:016x}", rand::random::<u64>());
        let (registered, recorder) = (broadcast::Sender::new(UNHEARD), Recorder::default());
        Self { store, admission, lives, run, registered, recorder, now }
    }

    /// Has what is asked recorded.
    #[must_use]
    pub fn recording(self, records: Records) -> Self {
        Self { recorder: Recorder::new(records), ..self }
    }

    /// Tells of every registration from now on, as a REGISTER is answered. Who listens too slowly misses some.
    #[must_use]
    pub fn registrations(&self) -> broadcast::Receiver<Registered> {
        self.registered.subscribe()
    }

    /// Answers every request that comes in until the channel closes.
    pub async fn run(self: Arc<Self>, mut requests: mpsc::Receiver<NewRequest>) {
        let mut running = JoinSet::new();
        loop {
            tokio::select! {
                request = requests.recv(), if running.len() < AT_ONCE => match request {
                    Some(NewRequest { request, handle }) => {
                        let lines = self.clone();
                        running.spawn(async move {
                            let (reply, standing) = lines.answer(&request).await;
                            lines.recorder.note(&request, &standing, &reply, lines.lives, (lines.now)());
                            handle.respond(reply);
                        });
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

    /// The answer to a request, and who it came from.
    async fn answer(&self, request: &OutsideRequest) -> (Reply, Standing) {
        match self.admit(request).await {
            Ok(Some(line)) => (self.carry_out(request, Some(&line)).await, Standing::Line(line)),
            Ok(None) => (self.carry_out(request, None).await, Standing::Peer),
            Err(refused) => refused,
        }
    }

    async fn carry_out(&self, request: &OutsideRequest, line: Option<&Line>) -> Reply {
        match (request.method(), line) {
            (Method::Register, Some(line)) => self.register(request, line).await,
            // A trusted peer's word is not enough: what it passes on may come from anywhere.
            (Method::Register, None) => Reply::status(403),
            (Method::Options, _) => Reply::status(200)
                .with(CAPABILITIES.allow())
                .with(CAPABILITIES.accept())
                .with(CAPABILITIES.supported())
                .with(mwi::allow_events()),
            (Method::Subscribe, line) => self.subscribe(request, line).await,
            _ => Reply::status(405).with(CAPABILITIES.allow()),
        }
    }

    /// Whose line a request comes from; none when it needs no credentials, for its peer is trusted.
    async fn admit(&self, request: &OutsideRequest) -> Result<Option<Line>, (Reply, Standing)> {
        let Some(credentials) = &request.credentials else { return Ok(None) };
        let headers = &request.request.headers;
        // A registration is for the address in To; whatever else a phone asks comes from the one in From.
        let own = if request.method() == Method::Register { headers.to_address() } else { headers.from_address() };
        let user_agent = headers.user_agent();
        let attempt = Attempt {
            method: request.method(),
            request_uri: &SipUri::from(&request.request.uri),
            credentials,
            domain: &own.map(|address| address.uri.host_text()).unwrap_or_default(),
            source: request.flow.remote,
            transport: request.flow.transport,
            user_agent: user_agent.as_deref(),
        };
        match self.admission.decide(&attempt).await {
            Ok(Verdict::Line(line)) => Ok(Some(line)),
            Ok(Verdict::OtherNonce(challenges)) => Err((Reply { headers: challenges, ..Reply::status(401) }, Standing::NotYet)),
            Ok(Verdict::Wrong(challenges, why)) => {
                Err((Reply { headers: challenges, ..Reply::status(401) }, Standing::Wrong(why)))
            }
            Err(error) => Err((unavailable(&error), Standing::Unknown)),
        }
    }
}

/// The store does not say what must be known: later it may.
fn unavailable(error: &StoreError) -> Reply {
    error!(error = error as &dyn Error, "a request is refused: the store does not answer");
    Reply::status(503).with(Header::RetryAfter(RETRY_AFTER.as_secs().to_string().into()))
}

/// A request's task that panicked has hurt nobody else, but somebody must look.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        error!(error = &error as &dyn Error, "the answer to a request broke off");
    }
}
