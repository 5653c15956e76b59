//! `afterbeep greeting`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{output, workplace::Workplace};
use crate::{
    audio::{import, quality},
    domain::{
        forward::Forward,
        greeting::GreetingKind,
        mailbox::{Mailbox, MailboxNumber},
        mailbox_log::Origin,
        tenant::tenant_name,
        time::{TimeZone, Timestamp},
    },
    store::greeting::GreetingChange,
};

/// The largest file that is read, in bytes: 15 s in any form are less.
const LARGEST_FILE: u64 = 64 * 1024 * 1024;

#[derive(Debug, Subcommand)]
pub enum GreetingCommand {
    /// Show which greetings a mailbox has, and which can be brought back
    List {
        #[command(flatten)]
        which: Which,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Make a WAV file of any common form (PCM, floating point, G.711) a mailbox's greeting; one that is silent or distorted is refused
    Set {
        #[command(flatten)]
        which: Which,
        /// The WAV file: 15 s at most, 5 s for a name
        file: PathBuf,
        #[command(flatten)]
        kind: Kind,
        /// The last day on which the temporary greeting is heard, such as 2026-12-24
        #[arg(long, value_name = "DATE", requires = "temporary")]
        until: Option<String>,
    },
    /// Say when the temporary greeting ends; without a date it stays until it is removed
    Until {
        #[command(flatten)]
        which: Which,
        /// The last day on which it is heard, such as 2026-12-24
        date: Option<String>,
    },
    /// Bring back the recording that was there before
    Previous {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        kind: Kind,
    },
    /// Remove a mailbox's greeting; it can be brought back until the next change
    Remove {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        kind: Kind,
    },
}

#[derive(Args, Debug)]
pub struct Which {
    /// The mailbox's number or an alias
    number: MailboxNumber,
    /// Its tenant, when it is not in the default one
    #[arg(long, value_name = "DOMAIN", value_parser = tenant_name, default_value = "", hide_default_value = true)]
    tenant: String,
}

/// Which recording; the greeting for everybody if nothing is given.
#[derive(Args, Clone, Copy, Debug)]
#[group(multiple = false)]
pub struct Kind {
    /// The one for callers who were forwarded for this reason: busy, no-answer, unavailable, unconditional
    #[arg(long, value_name = "REASON")]
    forwarded: Option<Forward>,
    /// The temporary one, which is heard instead of all others
    #[arg(long)]
    temporary: bool,
    /// The spoken name
    #[arg(long)]
    name: bool,
}

impl From<Kind> for GreetingKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind { forwarded: Some(forward), .. } => Self::Forwarded(forward),
            Kind { temporary: true, .. } => Self::Temporary,
            Kind { name: true, .. } => Self::Name,
            Kind { .. } => Self::Standard,
        }
    }
}

pub async fn run(command: GreetingCommand, file: Option<&Path>) -> anyhow::Result<()> {
    let place = Workplace::open(file).await?;
    match command {
        GreetingCommand::List { which, json } => list(&place, &which, json).await,
        GreetingCommand::Set { which, file, kind, until } => set(&place, &which, &file, kind.into(), until.as_deref()).await,
        GreetingCommand::Until { which, date } => until(&place, &which, date.as_deref()).await,
        GreetingCommand::Previous { which, kind } => previous(&place, &which, kind.into()).await,
        GreetingCommand::Remove { which, kind } => remove(&place, &which, kind.into()).await,
    }
}

async fn set(place: &Workplace, which: &Which, file: &Path, kind: GreetingKind, until: Option<&str>) -> anyhow::Result<()> {
    let mailbox = place.find(which).await?;
    let until = until.map(|date| end(place, mailbox.time_zone, date)).transpose()?;
    let wav = read(file, kind.longest())?;
    place.store.set_greeting_wav(change(&mailbox, kind, &Origin::command()), until, wav, place.now).await?;
    Ok(())
}

/// Reads a file that is fit to be heard by others, as a WAV of ours.
pub fn read(file: &Path, longest: std::time::Duration) -> anyhow::Result<Vec<u8>> {
    let metadata = std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?;
    if metadata.len() > LARGEST_FILE {
        bail!("{} is too large for a greeting", file.display());
    }
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let audio = import::read(&bytes, longest).with_context(|| format!("{} cannot be a greeting", file.display()))?;
    if let Some(fault) = quality::fault(&audio.samples, audio.rate) {
        bail!("{} cannot be a greeting: {fault}", file.display());
    }
    Ok(audio.to_wav())
}

async fn until(place: &Workplace, which: &Which, date: Option<&str>) -> anyhow::Result<()> {
    let mailbox = place.find(which).await?;
    let until = date.map(|date| end(place, mailbox.time_zone, date)).transpose()?;
    if !place.store.end_temporary_greeting(&mailbox.id, until, &Origin::command(), place.now).await? {
        bail!("mailbox {} has no temporary greeting", which.number);
    }
    Ok(())
}

/// The midnight after a day, where the subscriber is.
fn end(place: &Workplace, zone: TimeZone, date: &str) -> anyhow::Result<Timestamp> {
    let end = zone.end_of_day(date)?;
    if end <= place.now {
        bail!("{date} is over");
    }
    Ok(end)
}

async fn previous(place: &Workplace, which: &Which, kind: GreetingKind) -> anyhow::Result<()> {
    let mailbox = place.find(which).await?;
    if !place.store.bring_back_greeting(change(&mailbox, kind, &Origin::command()), place.now).await? {
        bail!("mailbox {} has nothing to bring back for {kind}", which.number);
    }
    Ok(())
}

async fn remove(place: &Workplace, which: &Which, kind: GreetingKind) -> anyhow::Result<()> {
    let mailbox = place.find(which).await?;
    let was_there = place.store.remove_greeting(change(&mailbox, kind, &Origin::command()), place.now).await?;
    // The standard greeting has always been gone afterwards, whether it was there or not.
    if !was_there && kind != GreetingKind::Standard {
        bail!("mailbox {} has no greeting for {kind}", which.number);
    }
    Ok(())
}

fn change<'a>(mailbox: &'a Mailbox, kind: GreetingKind, by: &'a Origin) -> GreetingChange<'a> {
    GreetingChange { mailbox: &mailbox.id, kind, by }
}

impl Workplace {
    async fn find(&self, which: &Which) -> anyhow::Result<Mailbox> {
        self.mailbox(&which.tenant, which.number.as_str()).await
    }
}

/// A recording that there is, or can be brought back.
#[derive(Serialize)]
struct Listed {
    /// Which.
    kind: &'static str,
    /// The reason it is for; none for the others.
    forwarded: Option<&'static str>,
    /// Whether callers can hear it.
    recorded: bool,
    /// Whether there is one before it.
    previous: bool,
    /// When it ends.
    until: Option<String>,
}

async fn list(place: &Workplace, which: &Which, json: bool) -> anyhow::Result<()> {
    let mailbox = place.find(which).await?;
    let greetings = place.store.greetings(&mailbox.id).await?;
    let rows: Vec<Listed> = greetings
        .into_iter()
        .map(|greeting| Listed {
            kind: greeting.kind.as_str(),
            forwarded: match greeting.kind {
                GreetingKind::Forwarded(forward) => Some(forward.as_str()),
                GreetingKind::Standard | GreetingKind::Temporary | GreetingKind::Name => None,
            },
            recorded: greeting.audio.is_some(),
            previous: greeting.previous.is_some(),
            until: greeting.until.map(|until| until.to_string()),
        })
        .collect();
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    output::rows(
        &rows,
        &[
            ("GREETING", &|row| row.kind.to_owned()),
            ("RECORDED", &|row| yes(row.recorded)),
            ("PREVIOUS", &|row| yes(row.previous)),
            ("UNTIL", &|row| row.until.clone().unwrap_or_else(|| "-".to_owned())),
        ],
        json,
    )
}
