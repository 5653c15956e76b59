//! `afterbeep destinations`: where subscribers may call back.

use std::path::Path;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{output, workplace::Workplace};
use crate::domain::{
    access::Scope,
    destination::{Destinations, E164, Lists, Prefix},
    mailbox::MailboxNumber,
    tenant::tenant_name,
};

#[derive(Debug, Subcommand)]
pub enum DestinationsCommand {
    /// Let numbers be called back that begin so
    Allow {
        /// A country's code with its plus, and perhaps more digits: +44, +4420
        #[arg(value_name = "PREFIX", required = true)]
        prefixes: Vec<Prefix>,
        #[command(flatten)]
        whose: Whose,
    },
    /// Let numbers not be called back that begin so
    Deny {
        /// As for `allow`
        #[arg(value_name = "PREFIX", required = true)]
        prefixes: Vec<Prefix>,
        #[command(flatten)]
        whose: Whose,
    },
    /// Take entries off a list, so that the next wider one decides
    Remove {
        /// Entries as `list` prints them
        #[arg(value_name = "PREFIX", required = true)]
        prefixes: Vec<Prefix>,
        #[command(flatten)]
        whose: Whose,
    },
    /// List all entries: of the configuration, of tenants, of mailboxes
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Say whether a number may be called back, and which list decides
    Check {
        /// The number in E.164, such as +442079460123
        #[arg(value_name = "NUMBER")]
        number: String,
        #[command(flatten)]
        whose: Whose,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Whose list it is; that of the whole service is in the configuration (`call_back.allow` and `call_back.deny`).
#[derive(Args, Debug)]
pub struct Whose {
    /// Of the mailbox with this number
    #[arg(long, value_name = "NUMBER")]
    mailbox: Option<MailboxNumber>,
    /// Of the mailboxes of this SIP domain (the default tenant's name is empty); with --mailbox, the domain the mailbox belongs to
    #[arg(long, value_name = "DOMAIN", value_parser = tenant_name)]
    tenant: Option<String>,
}

pub async fn run(command: DestinationsCommand, file: Option<&Path>) -> anyhow::Result<()> {
    let place = Workplace::open(file).await?;
    match command {
        DestinationsCommand::Allow { prefixes, whose } => enter(&place, &whose, prefixes, true).await,
        DestinationsCommand::Deny { prefixes, whose } => enter(&place, &whose, prefixes, false).await,
        DestinationsCommand::Remove { prefixes, whose } => remove(&place, &whose, &prefixes).await,
        DestinationsCommand::List { json } => list(&place, json).await,
        DestinationsCommand::Check { number, whose, json } => check(&place, &number, &whose, json).await,
    }
}

impl Whose {
    async fn scope(&self, place: &Workplace) -> anyhow::Result<Scope> {
        match (&self.mailbox, &self.tenant) {
            (Some(number), tenant) => {
                let tenant = tenant.as_deref().unwrap_or_default();
                Ok(Scope::Mailbox(place.mailbox(tenant, number.as_str()).await?.id))
            }
            (None, Some(tenant)) => {
                place.warn_of_empty_tenant(tenant).await?;
                Ok(Scope::Tenant(tenant.clone()))
            }
            (None, None) => bail!(
                "say whose list: --mailbox NUMBER or --tenant DOMAIN; that of the whole service is call_back.allow in the configuration"
            ),
        }
    }
}

async fn enter(place: &Workplace, whose: &Whose, prefixes: Vec<Prefix>, is_allowed: bool) -> anyhow::Result<()> {
    let scope = whose.scope(place).await?;
    let enter = |list: Destinations| prefixes.into_iter().try_fold(list, |list, prefix| list.with(prefix, is_allowed));
    place.store.change_destinations(&scope, place.now, enter).await??;
    if is_allowed && !place.config.call_back.enabled {
        eprintln!("afterbeep: calling back is off: set call_back.enabled, and `afterbeep mailbox set NUMBER --call-back on`");
    }
    Ok(())
}

async fn remove(place: &Workplace, whose: &Whose, prefixes: &[Prefix]) -> anyhow::Result<()> {
    let scope = whose.scope(place).await?;
    let take_off = |list: Destinations| {
        prefixes.iter().try_fold(list, |list, prefix| {
            list.without(prefix).with_context(|| format!("{prefix} is not on the list; see `afterbeep destinations list`"))
        })
    };
    place.store.change_destinations(&scope, place.now, take_off).await?
}

#[derive(Serialize)]
struct Listed {
    scope: &'static str,
    tenant: Option<String>,
    mailbox: Option<String>,
    prefix: String,
    allowed: bool,
}

async fn list(place: &Workplace, json: bool) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    let mut add = |scope, tenant: Option<String>, mailbox: Option<String>, list: &Destinations| {
        rows.extend(list.entries().map(|(prefix, allowed)| Listed {
            scope,
            tenant: tenant.clone(),
            mailbox: mailbox.clone(),
            prefix: prefix.to_string(),
            allowed,
        }));
    };
    add("service", None, None, &place.config.call_back.destinations()?);
    for entry in place.store.all_destinations().await? {
        match entry.scope {
            Scope::Service => {}
            Scope::Tenant(tenant) => add("tenant", Some(tenant), None, &entry.list),
            Scope::Mailbox(id) => {
                let mailbox = place.store.mailbox(&id).await?;
                let (tenant, number) = mailbox.map(|mailbox| (mailbox.tenant, mailbox.number.to_string())).unzip();
                add("mailbox", tenant, number, &entry.list);
            }
        }
    }
    output::rows(
        &rows,
        &[
            ("SCOPE", &|row: &Listed| row.scope.to_owned()),
            ("TENANT", &|row| row.tenant.clone().filter(|tenant| !tenant.is_empty()).unwrap_or_else(|| "-".to_owned())),
            ("MAILBOX", &|row| row.mailbox.clone().unwrap_or_else(|| "-".to_owned())),
            ("PREFIX", &|row| row.prefix.clone()),
            ("CALLS", &|row| if row.allowed { "allowed" } else { "denied" }.to_owned()),
        ],
        json,
    )
}

#[derive(Serialize)]
struct Checked {
    number: String,
    allowed: bool,
    why: String,
}

async fn check(place: &Workplace, number: &str, whose: &Whose, json: bool) -> anyhow::Result<()> {
    let number = E164::of(number).context("write the number in E.164, with its plus, such as +442079460123")?;
    let tenant = Scope::Tenant(whose.tenant.clone().unwrap_or_default());
    let lists = Lists {
        service: place.config.call_back.destinations()?,
        tenant: place.store.destinations(&tenant).await?,
        mailbox: match &whose.mailbox {
            Some(_) => place.store.destinations(&whose.scope(place).await?).await?,
            None => Destinations::default(),
        },
    };
    let (allowed, why) = match (number.premium(), lists.verdict(&number)) {
        (Some(premium), _) => {
            (false, format!("numbers that begin with +{} cost more than a call, and are never called back", premium.0))
        }
        (None, Some((level, allowed))) => (allowed, format!("the list of the {} decides", level.word())),
        (None, None) => (false, "no list allows it".to_owned()),
    };
    let checked = Checked { number: number.to_string(), allowed, why };
    if json {
        return output::json(&checked);
    }
    let is = if checked.allowed { "may be called back" } else { "may not be called back" };
    output::text(&format!("{} {is}: {}\n", checked.number, checked.why))
}
