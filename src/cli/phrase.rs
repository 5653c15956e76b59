//! `afterbeep phrase`: what a tenant's callers and subscribers hear instead of our own words.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Subcommand;
use serde::Serialize;

use super::{greeting, output, workplace::Workplace};
use crate::{
    domain::{mailbox_log::Origin, tenant::tenant_name, tenant_phrase::TenantPhrase},
    store::tenant_phrase::PhraseChange,
};

#[derive(Debug, Subcommand)]
pub enum PhraseCommand {
    /// Show which phrases a tenant has
    List {
        /// The SIP domain, if it is not the default tenant's
        #[arg(long, value_name = "DOMAIN", value_parser = tenant_name, default_value = "", hide_default_value = true)]
        tenant: String,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Make a WAV file of any common form, 15 s at most, a tenant's phrase
    Set {
        /// greeting (of mailboxes that have neither greeting nor name), welcome (before the login) or no-mailbox (for callers of a
        /// number without one)
        phrase: TenantPhrase,
        /// The WAV file
        file: PathBuf,
        /// The SIP domain, if it is not the default tenant's
        #[arg(long, value_name = "DOMAIN", value_parser = tenant_name, default_value = "", hide_default_value = true)]
        tenant: String,
    },
    /// Go back to our own words
    Remove {
        /// greeting, welcome or no-mailbox
        phrase: TenantPhrase,
        /// The SIP domain, if it is not the default tenant's
        #[arg(long, value_name = "DOMAIN", value_parser = tenant_name, default_value = "", hide_default_value = true)]
        tenant: String,
    },
}

pub async fn run(command: PhraseCommand, file: Option<&Path>) -> anyhow::Result<()> {
    let place = Workplace::open(file).await?;
    let by = &Origin::command();
    match command {
        PhraseCommand::List { tenant, json } => list(&place, &tenant, json).await,
        PhraseCommand::Set { phrase, file, tenant } => {
            let wav = greeting::read(&file, phrase.longest())?;
            place.warn_of_empty_tenant(&tenant).await?;
            let change = PhraseChange { tenant: &tenant, phrase, administrator: None, by };
            Ok(place.store.set_tenant_phrase_wav(change, wav, place.now).await?)
        }
        PhraseCommand::Remove { phrase, tenant } => {
            let change = PhraseChange { tenant: &tenant, phrase, administrator: None, by };
            if !place.store.remove_tenant_phrase(change, place.now).await? {
                bail!("there is no phrase {phrase} of this tenant");
            }
            Ok(())
        }
    }
}

#[derive(Serialize)]
struct Listed {
    phrase: TenantPhrase,
}

async fn list(place: &Workplace, tenant: &str, json: bool) -> anyhow::Result<()> {
    let phrases = place.store.tenant_phrases(tenant).await?;
    let rows: Vec<Listed> = phrases.into_iter().map(|(phrase, _)| Listed { phrase }).collect();
    output::rows(&rows, &[("PHRASE", &|row| row.phrase.to_string())], json)
}
