//! `afterbeep serve`.

use std::{io::Write as _, time::Duration};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::{config::Config, server::Server};

/// How long running calls may go on after the first SIGTERM: longer than the longest message.
const PATIENCE: Duration = Duration::from_mins(10);

/// Runs the server until SIGTERM or SIGINT: then no new calls are taken, running ones finish, and it ends. A second signal hangs
/// up what is still running; recordings are kept all the same. SIGHUP reads the TLS certificate again.
///
/// Says `ready`, and the addresses it listens on, in one line on standard output.
///
/// # Errors
///
/// Whatever keeps the server from starting.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let mut hang_up = signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?;
    let server = Server::start(&config).await?;
    let renewal = server.renewal();
    tokio::spawn(async move {
        while hang_up.recv().await.is_some() {
            info!("SIGHUP: the TLS files are read again; other settings need a restart");
            renewal.renew();
        }
    });
    let addresses: Vec<String> = server.addresses().iter().map(ToString::to_string).collect();
    info!(addresses = addresses.join(" "), data = %config.data_dir.display(), "ready for calls");
    // Nobody may be reading; the log says it too.
    let _ = writeln!(std::io::stdout(), "ready {}", addresses.join(" "));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    info!("draining: no new calls are taken, running ones finish; another signal hangs them up");
    server
        .drain(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = tokio::time::sleep(PATIENCE) => {}
            }
            warn!("running calls are hung up");
        })
        .await;
    info!("stopped");
    Ok(())
}
