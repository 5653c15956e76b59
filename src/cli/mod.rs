//! The command line: what an operator types.
//!
//! Every command takes `--config FILE`; every listing takes `--json`. Commands that change something work beside a running
//! server. Exit codes: 0 done, 1 failed (the reason is on standard error), 2 not understood. `docs/commands.md` describes the
//! output.
//!
//! Start with [`run`]. One file for each command; `output` prints tables and JSON.

mod config;
mod output;
mod serve;

use std::{io, path::PathBuf};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::config::{Config, Loaded, LogFormat, LogSettings};

/// A unified-messaging voicemail server: SIP in, messages kept, WAVs e-mailed.
#[derive(Debug, Parser)]
#[command(name = "afterbeep", version, max_term_width = 120, arg_required_else_help = true)]
pub struct Cli {
    /// The configuration file [default: afterbeep.toml, else /etc/afterbeep/afterbeep.toml, else none]
    #[arg(long, global = true, env = "AFTERBEEP_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server; SIGTERM drains it: no new calls, running ones finish, then it ends
    Serve,
    /// Check or show the configuration, or describe what can be set
    #[command(subcommand)]
    Config(config::ConfigCommand),
}

/// Does what the command line asks for.
///
/// # Errors
///
/// Whatever kept it from being done; the chain of causes is meant for people.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Serve => {
            let config = load(cli.config.as_deref())?.config;
            start_log(&config.log)?;
            runtime()?.block_on(serve::run(config))
        }
        Command::Config(command) => config::run(command, cli.config.as_deref()),
    }
}

/// Whether the error is only that nobody reads our output any more.
#[must_use]
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe))
}

/// Starts writing the log to standard error.
///
/// # Errors
///
/// When the level's filter is not accepted, or the log was started before.
pub fn start_log(settings: &LogSettings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(settings.level.as_str()).context("log.level")?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match settings.format {
        LogFormat::Human => log.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("the log cannot be started: {error}"))
}

/// Reads the configuration that the command line names, and mentions what looks like a mistake.
fn load(file: Option<&std::path::Path>) -> anyhow::Result<Loaded> {
    let environment = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let loaded = Config::load(file, environment)?;
    for warning in &loaded.warnings {
        eprintln!("afterbeep: {warning}");
    }
    Ok(loaded)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}
