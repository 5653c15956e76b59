//! Uses of right credentials on their way into the database: where the subscriber is alerted to those that are new.
//!
//! Whoever decides about a request does not wait for this, so that the answer tells nothing by the time it takes.

use std::{collections::HashSet, error::Error, future::Future, net::IpAddr, pin::pin};

use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::{
    domain::{credential, id::MailboxId, time::Timestamp},
    store::{Store, credential::CredentialUse},
};

/// How many uses may wait; what exceeds them is not noticed.
const WAITING: usize = 1024;
/// How many uses are remembered as noted already, so that phones that register every minute cost no look at the database.
const MOST_REMEMBERED: usize = 16 * 1024;

/// A use of a line's right password.
pub(super) struct Used {
    pub(super) mailbox: MailboxId,
    pub(super) address: IpAddr,
    pub(super) agent: Option<String>,
    /// Whether the access list lets this address in.
    pub(super) admitted: bool,
}

/// Takes uses without waiting.
#[derive(Clone)]
pub struct CredentialUses(mpsc::Sender<Used>);

impl CredentialUses {
    pub(super) fn note(&self, used: Used) {
        if self.0.try_send(used).is_err() {
            warn!("a use of a password was not noted, for those before it wait for the database");
        }
    }
}

/// Where uses are noted.
pub struct CredentialNotes(mpsc::Receiver<Used>);

/// Makes both ends.
#[must_use]
pub fn credential_uses() -> (CredentialUses, CredentialNotes) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (CredentialUses(sender), CredentialNotes(receiver))
}

impl CredentialNotes {
    /// Notes what comes until `stop` is ready.
    pub async fn run(mut self, store: Store, now: fn() -> Timestamp, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut noted = HashSet::new();
        loop {
            let used = tokio::select! {
                () = &mut stop => return,
                used = self.0.recv() => used,
            };
            let Some(used) = used else { return };
            let known = (used.mailbox.clone(), credential::place(used.address), credential::agent(used.agent.as_deref()));
            if used.admitted && noted.contains(&known) {
                continue;
            }
            let of_store = CredentialUse {
                mailbox: &used.mailbox,
                address: used.address,
                agent: used.agent.as_deref(),
                admitted: used.admitted,
            };
            match store.note_credential_use(&of_store, now()).await {
                Ok(notice) => {
                    if let Some(notice) = notice {
                        info!(mailbox.id = %used.mailbox, source = %used.address, %notice, "a password was used in a way that is told");
                    }
                    if noted.len() >= MOST_REMEMBERED {
                        noted.clear();
                    }
                    if used.admitted {
                        noted.insert(known);
                    }
                }
                Err(error) => warn!(error = &error as &dyn Error, "a use of a password cannot be noted"),
            }
        }
    }
}
