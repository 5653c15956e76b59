//! `afterbeep outbox`.

use std::{
    collections::{HashMap, hash_map::Entry},
    path::Path,
};

use anyhow::bail;
use clap::{ArgGroup, Subcommand};
use serde::Serialize;

use super::{output, workplace::Workplace};
use crate::{
    domain::id::{MailboxId, MessageId, OutboxId},
    store::{
        ChangeError,
        outbox::{Errand, OutboxItem},
    },
};

#[derive(Debug, Subcommand)]
pub enum OutboxCommand {
    /// List what is still to be sent, and what was given up
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Try items again now; those that were given up start over
    #[command(group(ArgGroup::new("what").required(true).args(["ids", "all"])))]
    Retry {
        /// What to try again, as listed
        #[arg(value_name = "ID")]
        ids: Vec<String>,
        /// Everything
        #[arg(long)]
        all: bool,
    },
    /// Remove items unsent; the messages themselves stay in their mailboxes
    #[command(group(ArgGroup::new("what").required(true).args(["ids", "dead"])))]
    Drop {
        /// What to remove, as listed
        #[arg(value_name = "ID")]
        ids: Vec<String>,
        /// Everything that was given up
        #[arg(long)]
        dead: bool,
    },
}

pub async fn run(command: OutboxCommand, file: Option<&Path>) -> anyhow::Result<()> {
    let place = Workplace::open(file).await?;
    let items = place.store.list_outbox().await?;
    match command {
        OutboxCommand::List { json } => list(&place, &items, json).await,
        OutboxCommand::Retry { ids, all } => {
            let chosen = choose(&items, &ids, |_| all)?;
            let mut done = 0;
            for id in chosen {
                done += count(place.store.retry_outbox(&id, place.now).await)?;
            }
            output::text(&format!("{done} to be tried again; a running server does so within a minute\n"))
        }
        OutboxCommand::Drop { ids, dead } => {
            let chosen = choose(&items, &ids, |item| dead && item.dead_at.is_some())?;
            let mut done = 0;
            for id in chosen {
                done += count(place.store.drop_outbox(&id).await)?;
            }
            output::text(&format!("{done} removed\n"))
        }
    }
}

/// The named items, or without names those that `wanted` takes.
fn choose(items: &[OutboxItem], ids: &[String], wanted: impl Fn(&OutboxItem) -> bool) -> anyhow::Result<Vec<OutboxId>> {
    if let Some(unknown) = ids.iter().find(|id| !items.iter().any(|item| item.id.as_str() == *id)) {
        bail!("the outbox has no item {unknown}; see `afterbeep outbox list`");
    }
    let named = |item: &OutboxItem| ids.iter().any(|id| item.id.as_str() == id);
    let chosen = items.iter().filter(|item| if ids.is_empty() { wanted(item) } else { named(item) });
    Ok(chosen.map(|item| item.id.clone()).collect())
}

/// 1 when it was done, 0 when delivery was quicker.
fn count(outcome: Result<(), ChangeError>) -> anyhow::Result<u32> {
    match outcome {
        Ok(()) => Ok(1),
        Err(ChangeError::Gone) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

async fn list(place: &Workplace, items: &[OutboxItem], json: bool) -> anyhow::Result<()> {
    let mut numbers: HashMap<MailboxId, Option<String>> = HashMap::new();
    let mut rows = Vec::new();
    for item in items {
        let number = match numbers.entry(item.mailbox.clone()) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(unknown) => {
                let mailbox = place.store.mailbox(&item.mailbox).await?;
                unknown.insert(mailbox.map(|mailbox| mailbox.number.to_string())).clone()
            }
        };
        rows.push(Listed {
            id: item.id.clone(),
            mailbox_number: number,
            kind: item.errand.kind(),
            message_id: match &item.errand {
                Errand::Message { message } | Errand::Copy { message } => Some(message.clone()),
                Errand::Fullness { .. }
                | Errand::Expiring { .. }
                | Errand::RemoteAccessLocked
                | Errand::Credential { .. }
                | Errand::Noticed { .. } => None,
            },
            state: if item.dead_at.is_some() { "dead" } else { "waiting" },
            attempts: item.attempts,
            created_at: item.created_at.to_string(),
            due_at: item.due_at.to_string(),
            dead_at: item.dead_at.map(|at| at.to_string()),
            last_error: item.last_error.clone(),
        });
    }
    let or_dash = |text: Option<&String>| text.cloned().unwrap_or_else(|| "-".to_owned());
    output::rows(
        &rows,
        &[
            ("ID", &|row| row.id.to_string()),
            ("MAILBOX", &|row| or_dash(row.mailbox_number.as_ref())),
            ("KIND", &|row| row.kind.to_owned()),
            ("STATE", &|row| row.state.to_owned()),
            ("ATTEMPTS", &|row| row.attempts.to_string()),
            ("SINCE", &|row| row.created_at.clone()),
            ("NEXT", &|row| if row.dead_at.is_some() { "-".to_owned() } else { row.due_at.clone() }),
            ("LAST ERROR", &|row| or_dash(row.last_error.as_ref())),
        ],
        json,
    )
}

#[derive(Serialize)]
struct Listed {
    id: OutboxId,
    mailbox_number: Option<String>,
    kind: &'static str,
    message_id: Option<MessageId>,
    state: &'static str,
    attempts: u32,
    created_at: String,
    due_at: String,
    dead_at: Option<String>,
    last_error: Option<String>,
}
