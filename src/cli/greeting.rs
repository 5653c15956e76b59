//! `afterbeep greeting`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{output, workplace::Workplace};
use crate::{
    audio::wav,
    domain::{forward::Forward, greeting::GreetingKind, mailbox::MailboxNumber, rules},
};

/// The largest file that is read, in bytes: 15 s in any PCM form are less.
const LARGEST_FILE: u64 = 64 * 1024 * 1024;

#[derive(Debug, Subcommand)]
pub enum GreetingCommand {
    /// Show which greetings a mailbox has
    List {
        #[command(flatten)]
        which: Which,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Make a WAV file of any PCM form a mailbox's greeting, or the one for callers who were forwarded for a reason
    Set {
        #[command(flatten)]
        which: Which,
        /// The WAV file, 15 s at most
        file: PathBuf,
        /// For callers who were forwarded for this reason only: busy, no-answer, unavailable, unconditional
        #[arg(long, value_name = "REASON")]
        forwarded: Option<Forward>,
    },
    /// Remove a mailbox's greeting, or the one for callers who were forwarded for a reason
    Remove {
        #[command(flatten)]
        which: Which,
        /// The one for callers who were forwarded for this reason
        #[arg(long, value_name = "REASON")]
        forwarded: Option<Forward>,
    },
}

#[derive(Args, Debug)]
pub struct Which {
    /// The mailbox's number or an alias
    number: MailboxNumber,
    /// Its tenant, when it is not in the default one
    #[arg(long, value_name = "DOMAIN", default_value = "")]
    tenant: String,
}

pub async fn run(command: GreetingCommand, file: Option<&Path>) -> anyhow::Result<()> {
    let place = Workplace::open(file).await?;
    match command {
        GreetingCommand::List { which, json } => list(&place, &which, json).await,
        GreetingCommand::Set { which, file, forwarded } => set(&place, &which, &file, forwarded).await,
        GreetingCommand::Remove { which, forwarded } => remove(&place, &which, forwarded).await,
    }
}

async fn set(place: &Workplace, which: &Which, file: &Path, forwarded: Option<Forward>) -> anyhow::Result<()> {
    let mailbox = place.mailbox(&which.tenant, which.number.as_str()).await?.id;
    let metadata = std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?;
    if metadata.len() > LARGEST_FILE {
        bail!("{} is too large for a greeting", file.display());
    }
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let samples =
        wav::read(&bytes, rules::LONGEST_GREETING).with_context(|| format!("{} cannot be a greeting", file.display()))?;
    if samples.is_empty() {
        bail!("{} has no audio in it", file.display());
    }
    let wav = wav::from_samples(&samples);
    match forwarded {
        Some(forward) => place.store.set_forward_greeting(&mailbox, forward, wav, place.now).await?,
        None => place.store.set_greeting_wav(&mailbox, GreetingKind::Greeting, wav, place.now).await?,
    };
    Ok(())
}

async fn remove(place: &Workplace, which: &Which, forwarded: Option<Forward>) -> anyhow::Result<()> {
    let mailbox = place.mailbox(&which.tenant, which.number.as_str()).await?.id;
    match forwarded {
        Some(forward) => {
            if !place.store.remove_forward_greeting(&mailbox, forward, place.now).await? {
                bail!("mailbox {} has no greeting for {}", which.number, forward.as_str());
            }
        }
        None => place.store.remove_greeting(&mailbox, GreetingKind::Greeting, place.now).await?,
    }
    Ok(())
}

/// A greeting that there is.
#[derive(Serialize)]
struct Listed {
    /// The reason it is for; none for the mailbox's own.
    forwarded: Option<&'static str>,
}

async fn list(place: &Workplace, which: &Which, json: bool) -> anyhow::Result<()> {
    let mailbox = place.mailbox(&which.tenant, which.number.as_str()).await?;
    let own = mailbox.greeting.is_some().then_some(Listed { forwarded: None });
    let forwarded = place.store.forward_greetings(&mailbox.id).await?;
    let rows: Vec<Listed> =
        own.into_iter().chain(forwarded.into_iter().map(|it| Listed { forwarded: Some(it.as_str()) })).collect();
    output::rows(&rows, &[("GREETING", &|row| row.forwarded.unwrap_or("for everybody").to_owned())], json)
}
