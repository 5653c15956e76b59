//! `afterbeep message`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{ArgGroup, Subcommand};
use serde::Serialize;

use super::{mailbox::Which, output, send, workplace::Workplace};
use crate::{
    domain::{
        id::MessageId,
        mailbox::Mailbox,
        message::Message,
        rules,
        sending::SentKind,
        time::{TimeZone, Timestamp},
    },
    store::{ChangeError, deleted::RestoreError},
};

#[derive(Debug, Subcommand)]
pub enum MessageCommand {
    /// List a mailbox's messages: new ones, then saved ones, each oldest first
    List {
        #[command(flatten)]
        which: Which,
        /// Those that its subscriber has deleted and that can still be restored, the last deleted first
        #[arg(long)]
        deleted: bool,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Write messages as WAV files; a file that is there already is left alone
    Export {
        #[command(flatten)]
        which: Which,
        /// Only this message; can be given several times [default: all]
        #[arg(long = "id", value_name = "ID")]
        ids: Vec<String>,
        /// The folder for the files; it is made if need be
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
        /// As they came, before their level was set and tones and silence were cut off their end
        #[arg(long)]
        original: bool,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Send a WAV file as a message to mailboxes
    Send(send::SendArgs),
    /// List what was sent to mailboxes by other mailboxes or by `send` in the last seven days, the latest first
    Sent {
        /// How many at most
        #[arg(long, value_name = "COUNT", default_value_t = 100)]
        limit: u32,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Restore messages that their subscriber has deleted; it is possible for a day after that
    Restore {
        #[command(flatten)]
        which: Which,
        /// This message; can be given several times
        #[arg(long = "id", value_name = "ID", required = true)]
        ids: Vec<String>,
    },
    /// Delete messages for good, be they in the deleted list or not
    #[command(group(ArgGroup::new("what").required(true).args(["ids", "all"])))]
    Delete {
        #[command(flatten)]
        which: Which,
        /// This message; can be given several times
        #[arg(long = "id", value_name = "ID")]
        ids: Vec<String>,
        /// Every message of the mailbox, those in the deleted list too
        #[arg(long)]
        all: bool,
    },
}

pub async fn run(command: MessageCommand, file: Option<&Path>) -> anyhow::Result<()> {
    let place = Workplace::open(file).await?;
    match command {
        MessageCommand::List { which, deleted, json } => {
            let (mailbox, mut messages) = find(&place, &which, &[], Among::Both).await?;
            messages.retain(|message| message.deleted_at.is_some() == deleted);
            list(&mailbox, &messages, json)
        }
        MessageCommand::Restore { which, ids } => {
            let (mailbox, messages) = find(&place, &which, &ids, Among::Deleted).await?;
            restore(&place, &mailbox, &messages).await
        }
        MessageCommand::Export { which, ids, to, original, json } => {
            let among = if ids.is_empty() { Among::Held } else { Among::Both };
            let (mailbox, messages) = find(&place, &which, &ids, among).await?;
            export(&place, &mailbox, &messages, &to, original, json).await
        }
        MessageCommand::Send(args) => send::send(args, &place).await,
        MessageCommand::Sent { limit, json } => send::list(&place, limit, json).await,
        MessageCommand::Delete { which, ids, all: _ } => {
            let (_, messages) = find(&place, &which, &ids, Among::Both).await?;
            delete(&place, &messages).await
        }
    }
}

/// Where messages are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Among {
    /// Those that the mailbox holds.
    Held,
    /// Those in the deleted list.
    Deleted,
    Both,
}

/// The mailbox and the named messages in it; all of them when none is named.
async fn find(place: &Workplace, which: &Which, ids: &[String], among: Among) -> anyhow::Result<(Mailbox, Vec<Message>)> {
    let mailbox = place.mailbox(&which.tenant, which.number.as_str()).await?;
    let mut messages = Vec::new();
    if among != Among::Deleted {
        messages.extend(place.store.messages(&mailbox.id, place.now).await?);
    }
    if among != Among::Held {
        messages.extend(place.store.deleted_messages(&mailbox.id, place.now).await?);
    }
    let (what, option) = if among == Among::Deleted { ("deleted message", " --deleted") } else { ("message", "") };
    for id in ids {
        if !messages.iter().any(|message| message.id.as_str() == id) {
            bail!("mailbox {} has no {what} {id}; see `afterbeep message list {}{option}`", mailbox.number, mailbox.number);
        }
    }
    messages.retain(|message| ids.is_empty() || ids.iter().any(|id| message.id.as_str() == id));
    Ok((mailbox, messages))
}

fn list(mailbox: &Mailbox, messages: &[Message], json: bool) -> anyhow::Result<()> {
    let rows: Vec<Listed> = messages.iter().map(Listed::from).collect();
    let local = |moment: Timestamp| mailbox.time_zone.format(moment, "%Y-%m-%d %H:%M");
    output::rows(
        &rows,
        &[
            ("ID", &|row| row.id.to_string()),
            ("LIST", &|row| row.message.folder().as_str().to_owned()),
            ("DATE", &|row| local(row.message.stamp_at)),
            ("LENGTH", &|row| clock(row.message.duration.as_secs())),
            ("CALLER", &|row| row.message.caller.display()),
            ("MAILED", &|row| row.message.mailed_at.map_or_else(|| "-".to_owned(), local)),
            ("KEPT UNTIL", &|row| local(kept_until(row.message))),
            ("NOTE", &|row| row.note()),
        ],
        json,
    )
}

async fn export(
    place: &Workplace,
    mailbox: &Mailbox,
    messages: &[Message],
    to: &Path,
    original: bool,
    json: bool,
) -> anyhow::Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("cannot make the folder {}", to.display()))?;
    let mut written = Vec::new();
    for message in messages {
        let original = message.original_audio.as_ref().filter(|_| original);
        let file = to.join(file_name(message, mailbox.time_zone, original.is_some()));
        if !file.exists() {
            let audio =
                place.store.audio(original.unwrap_or(&message.audio)).await.with_context(|| format!("message {}", message.id))?;
            write_whole(&file, &audio).with_context(|| format!("cannot write {}", file.display()))?;
        }
        written.push(Exported { id: message.id.clone(), file });
    }
    if json {
        return output::json(&written);
    }
    let lines: String = written.iter().map(|exported| format!("{}\n", exported.file.display())).collect();
    output::text(&lines)
}

/// Nobody sees half a file under its name.
fn write_whole(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let unfinished = file.with_extension("part");
    std::fs::write(&unfinished, bytes)?;
    std::fs::rename(&unfinished, file)
}

/// When the message was left, for people, and its id, so that no two are alike. The caller's words are kept out of it.
fn file_name(message: &Message, zone: TimeZone, original: bool) -> String {
    let kind = if original { "_original" } else { "" };
    format!("{}_{}{kind}.wav", zone.format(message.deposited_at, "%Y-%m-%d_%H-%M-%S"), message.id)
}

async fn restore(place: &Workplace, mailbox: &Mailbox, messages: &[Message]) -> anyhow::Result<()> {
    for message in messages {
        match place.store.restore(&message.id, message.version, place.now).await {
            Ok(_) => {}
            Err(RestoreError::MailboxFull) => {
                bail!("mailbox {} is full; message {} stays in the deleted list", mailbox.number, message.id)
            }
            Err(error) => return Err(error).with_context(|| format!("message {}", message.id)),
        }
    }
    output::text(&format!("restored {} message{}\n", messages.len(), if messages.len() == 1 { "" } else { "s" }))
}

/// When a message goes, if nothing else happens.
fn kept_until(message: &Message) -> Timestamp {
    message.deleted_at.map_or(message.expires_at, |at| message.expires_at.min(rules::end_in_deleted_list(at)))
}

async fn delete(place: &Workplace, messages: &[Message]) -> anyhow::Result<()> {
    let mut deleted = 0;
    for message in messages {
        if delete_one(place, message).await.with_context(|| format!("message {}", message.id))? {
            deleted += 1;
        }
    }
    output::text(&format!("deleted {deleted} message{}\n", if deleted == 1 { "" } else { "s" }))
}

/// Deletes a message even if its subscriber is listening to it: the operator wants it gone, whatever changed about it.
async fn delete_one(place: &Workplace, message: &Message) -> anyhow::Result<bool> {
    let mut version = message.version;
    loop {
        match place.store.delete(&message.id, version, place.now).await {
            Ok(()) => return Ok(true),
            Err(ChangeError::Gone) => return Ok(false),
            Err(ChangeError::Conflict) => match place.store.message_anywhere(&message.id, place.now).await? {
                Some(changed) => version = changed.version,
                None => return Ok(false),
            },
            Err(error @ ChangeError::Store(_)) => return Err(error.into()),
        }
    }
}

#[derive(Serialize)]
struct Listed<'a> {
    id: &'a MessageId,
    list: &'static str,
    caller_number: Option<&'a str>,
    caller_name: Option<&'a str>,
    caller_verified: bool,
    sent: Option<SentKind>,
    duration_seconds: f64,
    deposited_at: String,
    stamp_at: String,
    heard_at: Option<String>,
    saved_at: Option<String>,
    mailed_at: Option<String>,
    deleted_at: Option<String>,
    called_number: Option<&'a str>,
    expires_at: String,
    interrupted: bool,
    urgent: bool,
    private: bool,
    cleaned: bool,
    #[serde(skip)]
    message: &'a Message,
}

impl<'a> From<&'a Message> for Listed<'a> {
    fn from(message: &'a Message) -> Self {
        let text = |moment: Option<Timestamp>| moment.map(|moment| moment.to_string());
        Self {
            id: &message.id,
            list: message.folder().as_str(),
            caller_number: message.caller.number.as_deref(),
            caller_name: message.caller.name.as_deref(),
            caller_verified: message.caller_verified,
            sent: message.sent.as_ref().map(|sent| sent.kind),
            duration_seconds: message.duration.as_secs_f64(),
            deposited_at: message.deposited_at.to_string(),
            stamp_at: message.stamp_at.to_string(),
            heard_at: text(message.heard_at),
            saved_at: text(message.saved_at),
            mailed_at: text(message.mailed_at),
            deleted_at: text(message.deleted_at),
            called_number: message.called.as_deref(),
            expires_at: kept_until(message).to_string(),
            interrupted: message.interrupted,
            urgent: message.urgent,
            private: message.private,
            cleaned: message.original_audio.is_some(),
            message,
        }
    }
}

impl Listed<'_> {
    fn note(&self) -> String {
        let words = [(self.urgent, "urgent"), (self.private, "private"), (self.interrupted, "interrupted")];
        let sent = self.sent.as_ref().map(SentKind::as_str);
        sent.into_iter().chain(words.into_iter().filter(|(is_so, _)| *is_so).map(|(_, word)| word)).collect::<Vec<_>>().join(", ")
    }
}

#[derive(Serialize)]
struct Exported {
    id: MessageId,
    file: PathBuf,
}

/// Minutes and seconds: `1:05`.
fn clock(seconds: u64) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
