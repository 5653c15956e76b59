//! Whether a request's credentials are those of a line: the one place where that is decided, for calls and for all else.
//!
//! Whoever comes with credentials is told one of two things: come in, or another challenge. An unknown name, a disabled mailbox and
//! a wrong password get the same challenge after the same work and the same time: the same question to the store, the same digests.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rsip::{Header, Method};
use tokio::time::{sleep_until, timeout};
use tracing::{debug, info};

use crate::{
    sip::{
        auth::{Authenticator, DigestSecret, Judgement, NonceCounts, offered},
        flow::Transport,
        handle::GateHandle,
        wire::{DigestCredentials, SipUri},
    },
    store::{Store, StoreError, line::Line},
};

/// How long the store may take to say whose line it is.
const DECIDE: Duration = Duration::from_secs(5);
/// How long after it came wrong credentials are answered. The hashes are the same for every name, but a database finds a row in another
/// time than none: what it took is over by then, and a timer that counts milliseconds hides what is left.
const REFUSED_AFTER: Duration = Duration::from_millis(20);

/// Decides who is let in as a line. All calls and requests of the server share one.
pub struct Admission {
    store: Store,
    authenticator: Arc<Authenticator>,
    counts: Mutex<NonceCounts>,
    gate: Option<GateHandle>,
}

/// Credentials, and what they came with.
pub struct Attempt<'a> {
    /// What is to be done.
    pub method: Method,
    /// The Request-URI.
    pub request_uri: &'a SipUri,
    /// What is to be checked.
    pub credentials: &'a DigestCredentials,
    /// The domain of the address that the phone gives as its own: lines of that tenant are looked for first.
    pub domain: &'a str,
    /// Where the request came from.
    pub source: SocketAddr,
    /// What carried it.
    pub transport: Transport,
    /// The software that sent it.
    pub user_agent: Option<&'a str>,
}

/// What becomes of an attempt.
#[derive(Debug)]
pub enum Verdict {
    /// It is this line.
    Line(Line),
    /// It may be a line, but what it has shown could be a copy: 401 with these headers, and it will come again.
    OtherNonce(Vec<Header>),
    /// It is none: 401 with these headers.
    Wrong(Vec<Header>),
}

impl Admission {
    /// Lets lines of the store in, with credentials made for the authenticator's challenges. Nonces that were made before `since`
    /// (after the Unix epoch) are not taken, for nobody knows how they were used.
    #[must_use]
    pub fn new(store: Store, authenticator: Arc<Authenticator>, since: Duration) -> Self {
        Self { store, authenticator, counts: Mutex::new(NonceCounts::since(since)), gate: None }
    }

    /// Tells this gate who has shown that it is there.
    #[must_use]
    pub fn telling(self, gate: GateHandle) -> Self {
        Self { gate: Some(gate), ..self }
    }

    /// Decides about an attempt.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the store cannot say, or not in time; nobody is let in then, and nobody is called wrong.
    pub async fn decide(&self, attempt: &Attempt<'_>) -> Result<Verdict, StoreError> {
        let refused_at = tokio::time::Instant::now() + REFUSED_AFTER;
        let verdict = self.verdict(attempt).await;
        if let Ok(Verdict::Wrong(..)) = verdict {
            sleep_until(refused_at).await;
        }
        verdict
    }

    async fn verdict(&self, attempt: &Attempt<'_>) -> Result<Verdict, StoreError> {
        let username = &attempt.credentials.username;
        let asked = self.store.find_line(attempt.domain, username, self.authenticator.realm());
        let found = timeout(DECIDE, asked).await.unwrap_or(Err(StoreError::Silent("the database")))?;
        let secret = found.as_ref().map(|(_, secret)| DigestSecret { md5: secret.md5.clone(), sha256: secret.sha256.clone() });
        let judgement = self.judge(attempt, secret.as_ref());
        let source = attempt.source.ip();
        match (judgement, found) {
            (Judgement::Right, Some((line, _))) => {
                debug!(mailbox.id = %line.mailbox, %source, method = %attempt.method, "a line has shown who it is");
                if let Some(gate) = &self.gate {
                    gate.authenticated(source);
                }
                Ok(Verdict::Line(line))
            }
            (Judgement::Stale, Some((line, _))) => {
                debug!(mailbox.id = %line.mailbox, %source, "a line is asked to use another nonce");
                Ok(Verdict::OtherNonce(self.challenge(attempt, true)))
            }
            (Judgement::Right | Judgement::Stale | Judgement::Wrong, _) => {
                info!(%source, method = %attempt.method, "credentials were wrong");
                Ok(Verdict::Wrong(self.challenge(attempt, false)))
            }
        }
    }

    fn judge(&self, attempt: &Attempt<'_>, secret: Option<&DigestSecret>) -> Judgement {
        let method = attempt.method.to_string();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        self.authenticator.judge(attempt.credentials, (&method, attempt.request_uri), secret, &mut counts, Instant::now())
    }

    fn challenge(&self, attempt: &Attempt<'_>, stale: bool) -> Vec<Header> {
        let algorithms = offered(attempt.user_agent, attempt.transport);
        self.authenticator.challenge(algorithms, stale, rand::random(), Instant::now())
    }
}

#[cfg(test)]
mod tests;
