//! `afterbeep message send` and `afterbeep message sent`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{ArgGroup, Args};
use serde::Serialize;

use super::{output, workplace::Workplace};
use crate::{
    audio::import,
    domain::{
        id::SendingId,
        mailbox::MailboxNumber,
        message::Marks,
        rules,
        sending::{SendOutcome, SentKind},
        tenant::tenant_name,
    },
    store::sending::{Content, ListedSending, NewSending, Progress, Recipients},
};

/// The largest file that is read, in bytes: five minutes in any usual form are less.
const LARGEST_FILE: u64 = 256 * 1024 * 1024;
/// How many mailboxes that did not get it are named.
const NAMED: u32 = 100;

#[derive(Args, Debug)]
#[command(group(ArgGroup::new("recipients").required(true).args(["to", "all"])))]
pub struct SendArgs {
    /// The WAV file, of any common form, 300 s at most
    file: PathBuf,
    /// A mailbox or a distribution list to send it to; can be given several times
    #[arg(long, value_name = "NUMBER")]
    to: Vec<MailboxNumber>,
    /// Send it to every mailbox of the tenant that is in use
    #[arg(long)]
    all: bool,
    /// The mailbox that it comes from, which gets the replies [default: none]
    #[arg(long, value_name = "MAILBOX")]
    from: Option<MailboxNumber>,
    /// The SIP domain of all these mailboxes, if they are not the default tenant's
    #[arg(long, value_name = "DOMAIN", value_parser = tenant_name, default_value = "", hide_default_value = true)]
    tenant: String,
    /// Mark it as urgent
    #[arg(long)]
    urgent: bool,
    /// Mark it as private: it cannot be forwarded
    #[arg(long)]
    private: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Sends a recording to mailboxes, and waits until each has it.
pub async fn send(args: SendArgs, place: &Workplace) -> anyhow::Result<()> {
    let content = Content::Recording(recording(&args)?);
    let sender = match &args.from {
        Some(number) => Some(place.mailbox(&args.tenant, number.as_str()).await?.id),
        None => None,
    };
    let (kind, to) = match args.all {
        true => (SentKind::Broadcast, Recipients::Everybody { tenant: args.tenant.clone() }),
        false => (SentKind::Sent, recipients(&args, place, sender.as_ref()).await?),
    };
    let id = SendingId::random();
    let marks = Marks { urgent: args.urgent, private: args.private };
    place.store.send(NewSending { id: id.clone(), kind, sender, to, content, marks }, place.now).await?;
    let progress = place.store.deliver(&id, place.now).await?;
    let missed = place.store.missed(&id, NAMED).await?;
    let missed = missed.into_iter().map(|missed| Unsent { number: missed.number.map(String::from), outcome: missed.outcome });
    let shown = Shown { id: id.to_string(), counts: progress.into(), missed: missed.collect() };
    if args.json {
        return output::json(&shown);
    }
    let Counts { delivered, full, gone, .. } = shown.counts;
    let mut text = format!("delivered to {delivered} mailbox{}\n", if delivered == 1 { "" } else { "es" });
    for missed in &shown.missed {
        let number = missed.number.as_deref().unwrap_or("a mailbox that was removed");
        text.push_str(&format!("not to {number}: {}\n", missed.outcome.as_str()));
    }
    let unnamed = (full + gone) as usize - shown.missed.len();
    if unnamed > 0 {
        text.push_str(&format!("nor to {unnamed} more\n"));
    }
    output::text(&text)
}

fn recording(args: &SendArgs) -> anyhow::Result<Vec<u8>> {
    let file = &args.file;
    let metadata = std::fs::metadata(file).with_context(|| format!("cannot read {}", file.display()))?;
    if metadata.len() > LARGEST_FILE {
        bail!("{} is too large for a message", file.display());
    }
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let audio =
        import::read(&bytes, rules::LONGEST_MESSAGE).with_context(|| format!("{} cannot be a message", file.display()))?;
    if audio.samples.is_empty() {
        bail!("{} has no audio in it", file.display());
    }
    Ok(audio.to_wav())
}

async fn recipients(
    args: &SendArgs,
    place: &Workplace,
    sender: Option<&crate::domain::id::MailboxId>,
) -> anyhow::Result<Recipients> {
    let (mut mailboxes, mut lists) = (Vec::new(), Vec::new());
    for number in &args.to {
        match place.store.find_mailbox(&args.tenant, number.as_str()).await? {
            Some(mailbox) => mailboxes.push(mailbox.id),
            None => {
                let list = place.store.find_list(&args.tenant, sender, number.as_str()).await?;
                lists.push(list.with_context(|| format!("there is no mailbox or list {number}"))?.id);
            }
        }
    }
    Ok(Recipients::These { mailboxes, lists })
}

/// What was sent to several mailboxes, for as long as it is remembered.
pub async fn list(place: &Workplace, limit: u32, json: bool) -> anyhow::Result<()> {
    let rows: Vec<Listed> = place.store.sendings(limit).await?.into_iter().map(Listed::from).collect();
    output::rows(
        &rows,
        &[
            ("DATE", &|row| row.created_at.clone()),
            ("KIND", &|row| row.kind.to_string()),
            ("FROM", &|row| row.sender.clone().unwrap_or_else(|| "-".to_owned())),
            ("DELIVERED", &|row| row.counts.delivered.to_string()),
            ("WAITING", &|row| row.counts.waiting.to_string()),
            ("FULL", &|row| row.counts.full.to_string()),
            ("GONE", &|row| row.counts.gone.to_string()),
        ],
        json,
    )
}

#[derive(Serialize)]
struct Shown {
    id: String,
    #[serde(flatten)]
    counts: Counts,
    missed: Vec<Unsent>,
}

#[derive(Serialize)]
struct Unsent {
    number: Option<String>,
    outcome: SendOutcome,
}

#[derive(Serialize)]
struct Counts {
    delivered: u32,
    waiting: u32,
    full: u32,
    gone: u32,
}

impl From<Progress> for Counts {
    fn from(Progress { waiting, delivered, full, gone }: Progress) -> Self {
        Self { delivered, waiting, full, gone }
    }
}

#[derive(Serialize)]
struct Listed {
    id: String,
    kind: SentKind,
    sender: Option<String>,
    duration_seconds: f64,
    created_at: String,
    finished_at: Option<String>,
    #[serde(flatten)]
    counts: Counts,
}

impl From<ListedSending> for Listed {
    fn from(sending: ListedSending) -> Self {
        Self {
            id: sending.id.to_string(),
            kind: sending.kind,
            sender: sending.sender,
            duration_seconds: sending.duration.as_secs_f64(),
            created_at: sending.created_at.to_string(),
            finished_at: sending.finished_at.map(|at| at.to_string()),
            counts: sending.progress.into(),
        }
    }
}
