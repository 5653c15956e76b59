//! `afterbeep mailbox owner`.

use anyhow::bail;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{mailbox::Which, output, workplace::Workplace};
use crate::domain::mailbox::{Mailbox, MailboxNumber};

#[derive(Debug, Subcommand)]
pub enum OwnerCommand {
    /// Let a subscriber open a shared mailbox from their own, and tell their lamp of its messages
    Add(Owning),
    /// Take a shared mailbox from a subscriber
    Remove(Owning),
    /// Show what owners did with the messages of a shared mailbox in the last 90 days, the latest first
    Log {
        #[command(flatten)]
        which: Which,
        /// How many lines at most
        #[arg(long, value_name = "COUNT", default_value_t = 100)]
        limit: u32,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// List the owners of a shared mailbox
    List {
        #[command(flatten)]
        which: Which,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args, Debug)]
pub struct Owning {
    #[command(flatten)]
    shared: Which,
    /// The subscriber's own mailbox, of the same tenant
    #[arg(value_name = "OWNER")]
    owner: MailboxNumber,
}

pub async fn run(command: OwnerCommand, place: &Workplace) -> anyhow::Result<()> {
    match command {
        OwnerCommand::Add(owning) => {
            let (shared, owner) = find(place, &owning).await?;
            let is_new = place.store.add_owner(&shared.id, &owner.id, place.now).await?;
            let owns = if is_new { "owns" } else { "already owns" };
            output::text(&format!("{} {owns} mailbox {}\n", owner.number, shared.number))
        }
        OwnerCommand::Remove(owning) => {
            let (shared, owner) = find(place, &owning).await?;
            if !place.store.remove_owner(&shared.id, &owner.id, place.now).await? {
                bail!("{} does not own mailbox {}", owner.number, shared.number);
            }
            output::text(&format!("{} does not own mailbox {} any longer\n", owner.number, shared.number))
        }
        OwnerCommand::Log { which, limit, json } => {
            let shared = place.mailbox(&which.tenant, which.number.as_str()).await?;
            let deeds = place.store.deeds(&shared.id, limit).await?;
            output::rows(
                &deeds,
                &[
                    ("DATE", &|deed| shared.time_zone.format(deed.at, "%Y-%m-%d %H:%M")),
                    ("OWNER", &|deed| deed.owner.clone()),
                    ("DID", &|deed| deed.what.as_str().to_owned()),
                    ("MESSAGE", &|deed| deed.message.to_string()),
                ],
                json,
            )
        }
        OwnerCommand::List { which, json } => {
            let shared = place.mailbox(&which.tenant, which.number.as_str()).await?;
            let owners: Vec<Owner> = place.store.owners(&shared.id).await?.into_iter().map(Owner::from).collect();
            output::rows(&owners, &[("OWNER", &|owner| owner.number.clone()), ("NAME", &|owner| owner.name.clone())], json)
        }
    }
}

async fn find(place: &Workplace, owning: &Owning) -> anyhow::Result<(Mailbox, Mailbox)> {
    let shared = place.mailbox(&owning.shared.tenant, owning.shared.number.as_str()).await?;
    Ok((shared, place.mailbox(&owning.shared.tenant, owning.owner.as_str()).await?))
}

#[derive(Serialize)]
struct Owner {
    number: String,
    name: String,
}

impl From<Mailbox> for Owner {
    fn from(mailbox: Mailbox) -> Self {
        Self { number: mailbox.number.to_string(), name: mailbox.name }
    }
}
