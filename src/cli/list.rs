//! `afterbeep list`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{greeting, mailbox::Switch, output, workplace::Workplace};
use crate::{
    domain::{
        distribution::DistributionList,
        id::MailboxId,
        mailbox::{Mailbox, MailboxNumber},
        rules,
        tenant::tenant_name,
    },
    store::distribution::NewList,
};

#[derive(Debug, Subcommand)]
pub enum ListCommand {
    /// Make a distribution list: one number for several mailboxes
    Add {
        #[command(flatten)]
        which: Which,
        /// Its name
        #[arg(long, default_value = "", hide_default_value = true)]
        name: String,
        /// A mailbox in it, by number or alias; can be given several times
        #[arg(long = "member", value_name = "MAILBOX")]
        members: Vec<MailboxNumber>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List all distribution lists
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show a distribution list and who is in it
    Show {
        #[command(flatten)]
        which: Which,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let callers reach a distribution list by its number, and say what they hear
    ///
    /// What a caller leaves there goes to every mailbox of the list that takes it: 50 at most.
    Set {
        #[command(flatten)]
        which: Which,
        /// Whether callers reach it
        #[arg(long, value_name = "on|off", hide_possible_values = true)]
        calls: Option<Switch>,
        /// A WAV file that callers hear instead of the first mailbox's greeting, 15 s at most
        #[arg(long, value_name = "FILE", conflicts_with = "no_greeting")]
        greeting: Option<PathBuf>,
        /// Remove the list's greeting
        #[arg(long)]
        no_greeting: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Put mailboxes into a distribution list, or take them out
    #[command(subcommand)]
    Member(MemberCommand),
    /// Remove a distribution list; its mailboxes stay
    Remove {
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Debug, Subcommand)]
pub enum MemberCommand {
    /// Put mailboxes into a distribution list
    Add(Members),
    /// Take mailboxes out of a distribution list
    Remove(Members),
}

#[derive(Args, Debug)]
pub struct Members {
    #[command(flatten)]
    which: Which,
    /// The mailboxes, by number or alias
    #[arg(value_name = "MAILBOX", required = true)]
    members: Vec<MailboxNumber>,
}

/// A list, named by the operator.
#[derive(Args, Clone, Debug)]
pub struct Which {
    /// The list's number
    #[arg(value_name = "NUMBER")]
    number: MailboxNumber,
    /// The mailbox whose own list it is; without it, everybody of the tenant can send to the list
    #[arg(long, value_name = "MAILBOX")]
    of: Option<MailboxNumber>,
    /// The SIP domain it belongs to, if it is not the default tenant's
    #[arg(long, value_name = "DOMAIN", value_parser = tenant_name, default_value = "", hide_default_value = true)]
    tenant: String,
}

pub async fn run(command: ListCommand, file: Option<&Path>) -> anyhow::Result<()> {
    let place = Workplace::open(file).await?;
    match command {
        ListCommand::Add { which, name, members, json } => add(&place, which, name, &members, json).await,
        ListCommand::List { json } => list(&place, json).await,
        ListCommand::Show { which, json } => {
            let list = find(&place, &which).await?;
            show(&place, list, json).await
        }
        ListCommand::Set { which, calls, greeting, no_greeting, json } => {
            let mut list = find(&place, &which).await?;
            // Looked at before anything is changed.
            let wav = greeting.map(|file| greeting::read(&file, rules::LONGEST_GREETING)).transpose()?;
            if let Some(calls) = calls {
                list = place.store.set_list_calls(&list.id, calls == Switch::On).await?;
            }
            if wav.is_some() || no_greeting {
                list = place.store.set_list_greeting(&list.id, wav, place.now).await?;
            }
            show(&place, list, json).await
        }
        ListCommand::Member(MemberCommand::Add(Members { which, members })) => {
            let list = find(&place, &which).await?;
            let members = ids(&place, &which.tenant, &members).await?;
            let list = place.store.add_list_members(&list.id, &members).await?;
            output::text(&format!("list {} has {}\n", list.number, counted(list.members)))
        }
        ListCommand::Member(MemberCommand::Remove(Members { which, members })) => {
            let list = find(&place, &which).await?;
            let members = ids(&place, &which.tenant, &members).await?;
            if place.store.remove_list_members(&list.id, &members).await? == 0 {
                bail!("none of these mailboxes is in list {}; see `afterbeep list show {}`", list.number, list.number);
            }
            let list = find(&place, &which).await?;
            output::text(&format!("list {} has {}\n", list.number, counted(list.members)))
        }
        ListCommand::Remove { which } => {
            let list = find(&place, &which).await?;
            place.store.remove_list(&list.id, place.now).await?;
            output::text(&format!("removed list {}\n", list.number))
        }
    }
}

async fn add(place: &Workplace, which: Which, name: String, members: &[MailboxNumber], json: bool) -> anyhow::Result<()> {
    let owner = owner(place, &which).await?.map(|owner| owner.id);
    let members = ids(place, &which.tenant, members).await?;
    let new = NewList { tenant: which.tenant, owner, number: which.number, name, members };
    let list = place.store.create_list(&new, place.now).await?;
    show(place, list, json).await
}

async fn list(place: &Workplace, json: bool) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for list in place.store.lists().await? {
        rows.push(listed(place, list).await?);
    }
    output::rows(
        &rows,
        &[
            ("NUMBER", &|row| row.number.clone()),
            ("TENANT", &|row| or_dash(&row.tenant)),
            ("OF", &|row| or_dash(row.owner.as_deref().unwrap_or_default())),
            ("NAME", &|row| or_dash(&row.name)),
            ("MEMBERS", &|row| row.member_count.to_string()),
            ("CALLS", &|row| on_or_off(row.takes_calls)),
        ],
        json,
    )
}

async fn show(place: &Workplace, list: DistributionList, json: bool) -> anyhow::Result<()> {
    let members = place.store.list_members(&list.id).await?.iter().map(|member| member.number.to_string()).collect();
    let shown = Shown { listed: listed(place, list).await?, members };
    if json {
        return output::json(&shown);
    }
    output::facts(&[
        ("number", shown.listed.number.clone()),
        ("tenant", or_dash(&shown.listed.tenant)),
        ("of", shown.listed.owner.clone().unwrap_or_else(|| "everybody".to_owned())),
        ("name", or_dash(&shown.listed.name)),
        ("members", or_dash(&shown.members.join(", "))),
        ("calls", on_or_off(shown.listed.takes_calls)),
        ("greeting", if shown.listed.greeting { "its own" } else { "the first mailbox's" }.to_owned()),
    ])
}

async fn find(place: &Workplace, which: &Which) -> anyhow::Result<DistributionList> {
    let owner = owner(place, which).await?.map(|owner| owner.id);
    let list = place.store.find_list(&which.tenant, owner.as_ref(), which.number.as_str()).await?;
    list.filter(|list| list.owner == owner)
        .with_context(|| format!("there is no such list {}; see `afterbeep list list`", which.number))
}

/// The mailbox whose own list is meant.
async fn owner(place: &Workplace, which: &Which) -> anyhow::Result<Option<Mailbox>> {
    match &which.of {
        Some(owner) => Ok(Some(place.mailbox(&which.tenant, owner.as_str()).await?)),
        None => Ok(None),
    }
}

async fn ids(place: &Workplace, tenant: &str, numbers: &[MailboxNumber]) -> anyhow::Result<Vec<MailboxId>> {
    let mut ids = Vec::with_capacity(numbers.len());
    for number in numbers {
        ids.push(place.mailbox(tenant, number.as_str()).await?.id);
    }
    Ok(ids)
}

async fn listed(place: &Workplace, list: DistributionList) -> anyhow::Result<Listed> {
    let owner = match &list.owner {
        Some(owner) => place.store.mailbox(owner).await?.map(|owner| owner.number.to_string()),
        None => None,
    };
    Ok(Listed {
        number: list.number.to_string(),
        tenant: list.tenant,
        owner,
        name: list.name,
        member_count: list.members,
        takes_calls: list.takes_calls,
        greeting: list.greeting.is_some(),
        created_at: list.created_at.to_string(),
    })
}

/// A list among others.
#[derive(Serialize)]
struct Listed {
    number: String,
    tenant: String,
    owner: Option<String>,
    name: String,
    member_count: u32,
    takes_calls: bool,
    greeting: bool,
    created_at: String,
}

/// A list on its own.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    listed: Listed,
    members: Vec<String>,
}

fn counted(members: u32) -> String {
    format!("{members} member{}", if members == 1 { "" } else { "s" })
}

fn on_or_off(is_on: bool) -> String {
    if is_on { "on" } else { "off" }.to_owned()
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}
