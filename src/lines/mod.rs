//! Phones that are put directly on the server: what they ask outside calls.
//!
//! Every request has a task of its own, bounded in number, so that a slow database holds up nobody who does not need it. Calls are
//! not here ([`crate::call`]), nor is the wire ([`crate::sip`]).

use tokio::{sync::mpsc, task::JoinSet};
use tracing::error;

use crate::sip::{
    handle::NewRequest,
    request::{OutsideRequest, Reply},
};

/// How many requests are worked on at once; others wait in the channel.
const AT_ONCE: usize = 64;

/// Answers every request that comes in until the channel closes.
pub async fn run(mut requests: mpsc::Receiver<NewRequest>) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            request = requests.recv(), if running.len() < AT_ONCE => match request {
                Some(NewRequest { request, handle }) => {
                    running.spawn(async move { handle.respond(answer(&request).await) });
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

/// No line is known yet, so nobody is let in.
async fn answer(_request: &OutsideRequest) -> Reply {
    Reply::status(403)
}

/// A request's task that panicked has hurt nobody else, but somebody must look.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        error!(error = &error as &dyn std::error::Error, "the answer to a request broke off");
    }
}
