//! Delivers what was sent to several mailboxes: what is for everybody of a tenant, and what somebody has begun who was stopped.
//!
//! Woken by the store when there is something to deliver, and by a timer for what is another process's or was left.

use std::{error::Error, future::Future, time::Duration};

use chrono::Utc;

use crate::store::Store;

/// How often the store is looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Delivers until `shutdown` is ready. What is under way then goes on after the next start, or on another node.
pub async fn run(store: Store, shutdown: impl Future<Output = ()>) {
    let mut shutdown = std::pin::pin!(shutdown);
    let mut fails = false;
    loop {
        let delivering = async {
            match store.deliver_sendings(Utc::now().into()).await {
                Ok(_) => fails = false,
                // Once, not every two seconds until it is back.
                Err(error) if !std::mem::replace(&mut fails, true) => {
                    tracing::error!(
                        error = &error as &dyn Error,
                        "what was sent to several mailboxes cannot be delivered, and waits"
                    );
                }
                Err(_) => {}
            }
            tokio::select! {
                () = store.sendings_grew().notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        };
        tokio::select! {
            () = delivering => {}
            () = &mut shutdown => return,
        }
    }
}
