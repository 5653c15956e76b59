//! Whether a request's credentials are those of a line: the one place where that is decided, for calls and for all else.
//!
//! Whoever comes with credentials is told one of two things: come in, or another challenge. An unknown name, a disabled mailbox and
//! a wrong password get the same challenge after the same work and the same time: the same question to the store, the same digests.
//! So does a right password from an address that the access lists keep out: whoever stole it does not learn that it is right.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rsip::{Header, Method};
use tokio::{
    sync::watch,
    time::{sleep_until, timeout},
};
use tracing::{debug, info};

use super::{
    access::Admitted,
    credentials::{CredentialUses, Used},
};
use crate::{
    domain::{access::Purpose, credential},
    sip::{
        auth::{Authenticator, DigestSecret, Judgement, NonceCounts, offered},
        flow::Transport,
        handle::GateHandle,
        wire::{DigestCredentials, SipUri},
    },
    store::{Store, StoreError, line::Line},
};

/// Why credentials are no line's.
const NO_LINES: &str = "the credentials are no line's";
/// Why right credentials are not taken.
const NOT_ON_THE_LIST: &str = "right password, but not on the access list";
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
    admitted: Admitted,
    gate: Option<GateHandle>,
    uses: Option<CredentialUses>,
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
    /// It is none, or comes from where it may not, as the word says: 401 with these headers.
    Wrong(Vec<Header>, &'static str),
}

impl Admission {
    /// Lets lines of the store in, with credentials made for the authenticator's challenges. Nonces that were made before `since`
    /// (after the Unix epoch) are not taken, for nobody knows how they were used.
    #[must_use]
    pub fn new(store: Store, authenticator: Arc<Authenticator>, since: Duration) -> Self {
        let (admitted, counts) = (watch::channel(Arc::default()).1, Mutex::new(NonceCounts::since(since)));
        Self { store, authenticator, counts, admitted, gate: None, uses: None }
    }

    /// Lets lines in only from where these access lists allow it.
    #[must_use]
    pub fn admitting(self, admitted: Admitted) -> Self {
        Self { admitted, ..self }
    }

    /// Tells this gate who has shown that it is there, and who guesses.
    #[must_use]
    pub fn telling(self, gate: GateHandle) -> Self {
        Self { gate: Some(gate), ..self }
    }

    /// Notes each use of a right password.
    #[must_use]
    pub fn noting(self, uses: CredentialUses) -> Self {
        Self { uses: Some(uses), ..self }
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
            (Judgement::Right | Judgement::Stale, Some((line, _))) if !self.admits(&line, source) => {
                info!(mailbox.id = %line.mailbox, %source, "a right password came from an address that is not on the access list");
                if judgement == Judgement::Right {
                    self.note_use(attempt, &line, false);
                }
                Ok(self.wrong(attempt, NOT_ON_THE_LIST))
            }
            (Judgement::Right, Some((line, _))) => {
                debug!(mailbox.id = %line.mailbox, %source, method = %attempt.method, "a line has shown who it is");
                self.note_use(attempt, &line, true);
                if let Some(gate) = self.gate.as_ref().filter(|_| self.is_there(attempt)) {
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
                Ok(self.wrong(attempt, NO_LINES))
            }
        }
    }

    /// Whether the access lists let a line's phone be where it is.
    fn admits(&self, line: &Line, source: IpAddr) -> bool {
        self.admitted.borrow().admits(Purpose::Register, &line.tenant, Some(&line.mailbox), source)
    }

    /// Whatever is wrong about credentials, whoever sent them learns and suffers the same.
    fn wrong(&self, attempt: &Attempt<'_>, why: &'static str) -> Verdict {
        if let Some(gate) = self.gate.as_ref().filter(|_| self.is_there(attempt)) {
            gate.wrong_password(attempt.source.ip());
        }
        Verdict::Wrong(self.challenge(attempt, false), why)
    }

    fn judge(&self, attempt: &Attempt<'_>, secret: Option<&DigestSecret>) -> Judgement {
        let method = attempt.method.to_string();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        self.authenticator.judge(attempt.credentials, (&method, attempt.request_uri), secret, &mut counts, Instant::now())
    }

    fn challenge(&self, attempt: &Attempt<'_>, stale: bool) -> Vec<Header> {
        let algorithms = offered(attempt.user_agent, attempt.transport);
        self.authenticator.challenge(algorithms, stale, rand::random(), attempt.source.ip(), Instant::now())
    }

    /// Whether whoever sent credentials receives what is sent to the address that they came from. Otherwise somebody else's address
    /// could be put to its account, or called wrong.
    fn is_there(&self, attempt: &Attempt<'_>) -> bool {
        attempt.transport.is_reliable() || self.authenticator.was_sent_to(&attempt.credentials.nonce, attempt.source.ip())
    }

    fn note_use(&self, attempt: &Attempt<'_>, line: &Line, admitted: bool) {
        if let Some(uses) = &self.uses {
            let (address, agent) = (attempt.source.ip(), attempt.user_agent.map(|agent| credential::agent(Some(agent))));
            uses.note(Used { mailbox: line.mailbox.clone(), address, agent, admitted });
        }
    }
}

#[cfg(test)]
mod tests;
