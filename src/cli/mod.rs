//! The command line: what an operator types.
//!
//! Every command takes `--config FILE`; every listing takes `--json`. Commands that change something work beside a running
//! server. Exit codes: 0 done, 1 failed (the reason is on standard error), 2 not understood. `docs/commands.md` describes the
//! output.
//!
//! Start with [`run`]. One file for each command; `output` prints tables and JSON.

mod quickstart;
mod serve;
mod call;
mod mailbox;
mod owner;
mod list;
mod access;
mod destinations;
mod line;
mod screening;
mod message;
mod send;
mod outbox;
mod calls;
mod explain;
mod greeting;
mod phrase;
mod mailbox_log;
mod job;
mod prompts;
mod manual;
mod config;
mod workplace;
mod output;

use std::{
    io,
    path::{Path, PathBuf},
};

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
    Quickstart(quickstart::QuickstartArgs),
    /// Run the server; SIGTERM drains it: no new calls, running ones finish, then it ends. SIGHUP reads the TLS certificate again
    Serve,
    Call(call::CallArgs),
    /// Add, list, show, change or remove mailboxes
    #[command(subcommand)]
    Mailbox(mailbox::MailboxCommand),
    /// Make, list, show, fill or remove distribution lists: one number for several mailboxes
    #[command(subcommand)]
    List(list::ListCommand),
    /// Say from where phones may register and calls may come in
    #[command(subcommand)]
    Access(access::AccessCommand),
    /// Say where subscribers may call back
    #[command(subcommand)]
    Destinations(destinations::DestinationsCommand),
    /// Let phones register directly on the server, as lines of mailboxes
    #[command(subcommand)]
    Line(line::LineCommand),
    /// List, export, delete or send messages
    #[command(subcommand)]
    Message(message::MessageCommand),
    /// List, retry or drop what is still to be sent
    #[command(subcommand)]
    Outbox(outbox::OutboxCommand),
    Calls(calls::CallsArgs),
    Explain(explain::ExplainArgs),
    /// Set, remove and bring back greetings: the standard one, those for callers who were forwarded, a temporary one, the name
    #[command(subcommand)]
    Greeting(greeting::GreetingCommand),
    /// Say what a tenant's callers and subscribers hear instead of our own words
    #[command(subcommand)]
    Phrase(phrase::PhraseCommand),
    /// List the jobs of the calendar, or run one
    #[command(subcommand)]
    Job(job::JobCommand),
    Manual(manual::ManualArgs),
    /// List the prompts of every language, or say what is wrong with them
    #[command(subcommand)]
    Prompts(prompts::PromptsCommand),
    /// Check or show the configuration, or describe what can be set
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Bring the database's schema up to date (the server does so too when it starts)
    Migrate,
}

/// Does what the command line asks for.
///
/// # Errors
///
/// Whatever kept it from being done; the chain of causes is meant for people.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    runtime()?.block_on(dispatch(cli.command, cli.config.as_deref()))
}

async fn dispatch(command: Command, file: Option<&Path>) -> anyhow::Result<()> {
    match command {
        Command::Serve => {
            let config = load(file)?.config;
            start_log(&config.log)?;
            serve::run(config).await
        }
        Command::Quickstart(args) => quickstart::run(args).await,
        Command::Call(args) => call::run(args).await,
        Command::Mailbox(command) => mailbox::run(command, file).await,
        Command::List(command) => list::run(command, file).await,
        Command::Access(command) => access::run(command, file).await,
        Command::Destinations(command) => destinations::run(command, file).await,
        Command::Line(command) => line::run(command, file).await,
        Command::Message(command) => message::run(command, file).await,
        Command::Outbox(command) => outbox::run(command, file).await,
        Command::Greeting(command) => greeting::run(command, file).await,
        Command::Phrase(command) => phrase::run(command, file).await,
        Command::Explain(args) => explain::run(args, file).await,
        Command::Calls(args) => calls::run(args, file).await,
        Command::Job(command) => job::run(command, file).await,
        Command::Manual(args) => manual::run(args, file),
        Command::Prompts(command) => prompts::run(command, file),
        Command::Config(command) => config::run(command, file),
        Command::Migrate => {
            let place = workplace::Workplace::open(file).await?;
            place.store.ping().await?;
            output::text("the database's schema is up to date\n")
        }
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
fn load(file: Option<&Path>) -> anyhow::Result<Loaded> {
    let environment = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let loaded = Config::load(file, environment)?;
    for warning in &loaded.warnings {
        eprintln!("afterbeep: {warning}");
    }
    Ok(loaded)
}

/// Reads a secret from a file, or from standard input for `-`, without the spaces around it.
fn read_secret(file: &Path, what: &str) -> anyhow::Result<String> {
    let text = if file == Path::new("-") {
        io::read_to_string(io::stdin()).with_context(|| format!("cannot read {what} from standard input"))?
    } else {
        std::fs::read_to_string(file).with_context(|| format!("cannot read {what} from the file {}", file.display()))?
    };
    Ok(text.trim().to_owned())
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}
