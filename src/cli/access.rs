//! `afterbeep access`: from where phones may register and calls may come in.

use std::{net::IpAddr, path::Path};

use anyhow::bail;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::{output, workplace::Workplace};
use crate::{
    domain::{
        access::{AccessList, AccessPolicy, Purpose, Scope},
        mailbox::{Mailbox, MailboxNumber},
        tenant::tenant_name,
    },
    lines::access::may_register,
    store::{access::FollowedAccess, registration::RegisteredPhone},
};

/// How many of those who would be locked out are named.
const MOST_SHOWN: usize = 20;

#[derive(Debug, Subcommand)]
pub enum AccessCommand {
    /// List all access lists
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show which list decides, and who is on it
    Show {
        /// What is admitted or kept out
        purpose: PurposeArg,
        #[command(flatten)]
        whose: Whose,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a list, or put another in its place; an empty one admits nobody
    Set {
        /// What is admitted or kept out
        purpose: PurposeArg,
        /// Addresses (192.0.2.1), ranges (192.0.2.10-192.0.2.20), networks (192.0.2.0/24, 192.0.2.0/255.255.255.0,
        /// 2001:db8::/32), separated by commas or as arguments of their own
        #[arg(value_name = "ADDRESSES")]
        entries: Vec<String>,
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        caution: Caution,
    },
    /// Put more addresses on a list that is there
    Add {
        /// What is admitted or kept out
        purpose: PurposeArg,
        /// As for `set`
        #[arg(value_name = "ADDRESSES", required = true)]
        entries: Vec<String>,
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        caution: Caution,
    },
    /// Take addresses off a list, or without any the whole list away, so that the next wider one decides
    Remove {
        /// What is admitted or kept out
        purpose: PurposeArg,
        /// Entries as `show` prints them
        #[arg(value_name = "ADDRESSES")]
        entries: Vec<String>,
        #[command(flatten)]
        whose: Whose,
        #[command(flatten)]
        caution: Caution,
    },
    /// Show what was noticed about uses of passwords, latest first
    Log {
        /// Only of the mailbox with this number
        #[arg(long, value_name = "NUMBER")]
        mailbox: Option<MailboxNumber>,
        /// The SIP domain the mailbox belongs to, if it is not the default tenant's
        #[arg(long, value_name = "DOMAIN", value_parser = tenant_name, default_value = "", hide_default_value = true)]
        tenant: String,
        /// How many at most
        #[arg(long, value_name = "COUNT", default_value_t = 1000)]
        limit: u32,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Say whether an address is admitted, and which list decides
    Check {
        /// What is admitted or kept out
        purpose: PurposeArg,
        /// The address, IPv4 or IPv6
        #[arg(value_name = "ADDRESS")]
        address: IpAddr,
        #[command(flatten)]
        whose: Whose,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PurposeArg {
    /// Registering a phone
    Register,
    /// Sending a call
    Call,
}

impl From<PurposeArg> for Purpose {
    fn from(purpose: PurposeArg) -> Self {
        match purpose {
            PurposeArg::Register => Self::Register,
            PurposeArg::Call => Self::Call,
        }
    }
}

/// Whom a list is for; the whole service if nothing is given.
#[derive(Args, Debug)]
pub struct Whose {
    /// For the mailbox with this number
    #[arg(long, value_name = "NUMBER")]
    mailbox: Option<MailboxNumber>,
    /// For the mailboxes of this SIP domain; with --mailbox, the domain the mailbox belongs to
    #[arg(long, value_name = "DOMAIN", value_parser = tenant_name)]
    tenant: Option<String>,
}

#[derive(Args, Debug)]
pub struct Caution {
    /// An address that must not be locked out, such as your own; can be given several times
    #[arg(long = "from", value_name = "ADDRESS")]
    own: Vec<IpAddr>,
    /// Do it even if phones, trusted peers or the addresses given would be locked out
    #[arg(long)]
    yes: bool,
}

pub async fn run(command: AccessCommand, file: Option<&Path>) -> anyhow::Result<()> {
    let place = Workplace::open(file).await?;
    match command {
        AccessCommand::List { json } => list(&place, json).await,
        AccessCommand::Show { purpose, whose, json } => show(&place, purpose.into(), &whose, json).await,
        AccessCommand::Set { purpose, entries, whose, caution } => {
            let subject = Subject::find(&place, &whose).await?;
            change(&place, purpose.into(), &subject, &caution, |_| Ok(Some(read(&entries)?))).await
        }
        AccessCommand::Add { purpose, entries, whose, caution } => {
            let subject = Subject::find(&place, &whose).await?;
            change(&place, purpose.into(), &subject, &caution, |list| Ok(Some(there(list, purpose)?.with(&read(&entries)?)?)))
                .await
        }
        AccessCommand::Remove { purpose, entries, whose, caution } => {
            let subject = Subject::find(&place, &whose).await?;
            change(&place, purpose.into(), &subject, &caution, |list| {
                let list = there(list, purpose)?;
                Ok(if entries.is_empty() { None } else { Some(list.without(&read(&entries)?)?) })
            })
            .await
        }
        AccessCommand::Log { mailbox, tenant, limit, json } => log(&place, mailbox.as_ref(), &tenant, limit, json).await,
        AccessCommand::Check { purpose, address, whose, json } => check(&place, purpose.into(), address, &whose, json).await,
    }
}

fn read(entries: &[String]) -> anyhow::Result<AccessList> {
    Ok(entries.join(",").parse()?)
}

fn there(list: Option<AccessList>, purpose: PurposeArg) -> anyhow::Result<AccessList> {
    match list {
        Some(list) => Ok(list),
        None => bail!("there is no such list; make it with `afterbeep access set {} …`", Purpose::from(purpose)),
    }
}

/// A scope that was looked up.
struct Subject {
    tenant: String,
    mailbox: Option<Mailbox>,
    scope: Scope,
}

impl Subject {
    async fn find(place: &Workplace, whose: &Whose) -> anyhow::Result<Self> {
        let tenant = whose.tenant.clone().unwrap_or_default();
        Ok(match (&whose.mailbox, &whose.tenant) {
            (Some(number), _) => {
                let mailbox = place.mailbox(&tenant, number.as_str()).await?;
                Self { tenant, scope: Scope::Mailbox(mailbox.id.clone()), mailbox: Some(mailbox) }
            }
            (None, Some(_)) => Self { scope: Scope::Tenant(tenant.clone()), tenant, mailbox: None },
            (None, None) => Self { tenant, scope: Scope::Service, mailbox: None },
        })
    }
}

async fn policy(place: &Workplace) -> anyhow::Result<AccessPolicy> {
    let mut known = FollowedAccess::default();
    place.store.follow_access(&mut known).await?;
    Ok(known.policy)
}

/// Replaces a list by what `edit` makes of it, unless somebody would be locked out who must not be.
async fn change(
    place: &Workplace,
    purpose: Purpose,
    subject: &Subject,
    caution: &Caution,
    edit: impl FnOnce(Option<AccessList>) -> anyhow::Result<Option<AccessList>>,
) -> anyhow::Result<()> {
    let before = policy(place).await?;
    let list = edit(before.of(&subject.scope, purpose).cloned())?;
    let mut after = before.clone();
    after.set(subject.scope.clone(), purpose, list.clone());
    let locked_out = locked_out(place, purpose, subject, &before, &after, &caution.own).await?;
    if !locked_out.is_empty() && !caution.yes {
        let shown = locked_out.len().min(MOST_SHOWN);
        let more = match locked_out.len() - shown {
            0 => String::new(),
            more => format!("\n  and {more} more"),
        };
        let shown = locked_out[..shown].join("\n  ");
        bail!("nothing was changed, for this would lock out:\n  {shown}{more}\nGive --yes to do it all the same.");
    }
    if subject.mailbox.is_none() {
        place.warn_of_empty_tenant(&subject.tenant).await?;
    }
    place.store.set_access_list(&subject.scope, purpose, list.as_ref(), place.now).await?;
    let whom = name(&subject.scope, subject.mailbox.as_ref());
    output::text(&match list {
        Some(list) if list.is_empty() => format!("{purpose}, {whom}: nobody is admitted\n"),
        Some(list) => format!("{purpose}, {whom}: {list}\n"),
        None => format!("{purpose}, {whom}: the list is gone\n"),
    })
}

/// Who is admitted now and would not be any more, as lines for people.
async fn locked_out(
    place: &Workplace,
    purpose: Purpose,
    subject: &Subject,
    before: &AccessPolicy,
    after: &AccessPolicy,
    own: &[IpAddr],
) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let mailbox = subject.mailbox.as_ref().map(|mailbox| &mailbox.id);
    for address in own {
        if !after.admits(purpose, &subject.tenant, mailbox, *address) {
            found.push(format!("{address}, given with --from"));
        }
    }
    if purpose == Purpose::Call {
        for peer in &place.config.sip.trusted_peers {
            // What is written as a network in the configuration is one on a list.
            let Ok(addresses) = peer.to_string().parse::<AccessList>() else { continue };
            let admits = |policy: &AccessPolicy| {
                policy.deciding(purpose, &subject.tenant, mailbox).is_none_or(|(_, list)| list.covers_all(&addresses))
            };
            if admits(before) && !admits(after) {
                found.push(format!("{peer}, a trusted peer"));
            }
        }
    }
    if purpose == Purpose::Register {
        let mut last = None;
        loop {
            let page = place.store.registered_phones(last.as_ref(), 500, place.now).await?;
            let lost = |phone: &&RegisteredPhone| may_register(before, phone) && !may_register(after, phone);
            found.extend(
                page.iter()
                    .filter(lost)
                    .map(|phone| format!("{}, a phone of mailbox {} that is registered now", phone.remote, phone.number)),
            );
            match page.into_iter().next_back() {
                Some(phone) => last = Some(phone),
                None => break,
            }
        }
    }
    Ok(found)
}

#[derive(Serialize)]
struct Listed {
    purpose: String,
    scope: &'static str,
    tenant: Option<String>,
    mailbox: Option<String>,
    entries: Vec<String>,
    changed_at: String,
}

async fn list(place: &Workplace, json: bool) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for scoped in place.store.access_lists().await? {
        let mailbox = match &scoped.scope {
            Scope::Mailbox(id) => place.store.mailbox(id).await?,
            Scope::Service | Scope::Tenant(_) => None,
        };
        let (scope, tenant) = match &scoped.scope {
            Scope::Service => ("service", None),
            Scope::Tenant(tenant) => ("tenant", Some(tenant.clone())),
            Scope::Mailbox(_) => ("mailbox", mailbox.as_ref().map(|mailbox| mailbox.tenant.clone())),
        };
        rows.push(Listed {
            purpose: scoped.purpose.to_string(),
            scope,
            tenant,
            mailbox: mailbox.map(|mailbox| mailbox.number.to_string()),
            entries: scoped.list.entries().collect(),
            changed_at: scoped.changed_at.to_string(),
        });
    }
    let or_dash = |text: Option<&String>| text.filter(|text| !text.is_empty()).map_or_else(|| "-".to_owned(), Clone::clone);
    output::rows(
        &rows,
        &[
            ("PURPOSE", &|row: &Listed| row.purpose.clone()),
            ("FOR", &|row| row.scope.to_owned()),
            ("TENANT", &|row| or_dash(row.tenant.as_ref())),
            ("MAILBOX", &|row| or_dash(row.mailbox.as_ref())),
            ("ADDRESSES", &|row| if row.entries.is_empty() { "nobody".to_owned() } else { row.entries.join(", ") }),
        ],
        json,
    )
}

#[derive(Serialize)]
struct Decision {
    purpose: String,
    /// Which list decides; none keeps nobody out.
    decided_by: Option<&'static str>,
    entries: Option<Vec<String>>,
}

fn decision(policy: &AccessPolicy, purpose: Purpose, subject: &Subject) -> Decision {
    let deciding = policy.deciding(purpose, &subject.tenant, subject.mailbox.as_ref().map(|mailbox| &mailbox.id));
    Decision {
        purpose: purpose.to_string(),
        decided_by: deciding.map(|(level, _)| level.word()),
        entries: deciding.map(|(_, list)| list.entries().collect()),
    }
}

async fn show(place: &Workplace, purpose: Purpose, whose: &Whose, json: bool) -> anyhow::Result<()> {
    let subject = Subject::find(place, whose).await?;
    let decision = decision(&policy(place).await?, purpose, &subject);
    if json {
        return output::json(&decision);
    }
    let entries = decision.entries.unwrap_or_default();
    output::text(&match decision.decided_by {
        None => format!("{purpose}: no list keeps anybody out\n"),
        Some(level) if entries.is_empty() => format!("{purpose}, by the {level}'s list: nobody is admitted\n"),
        Some(level) => format!("{purpose}, by the {level}'s list: {}\n", entries.join(", ")),
    })
}

#[derive(Serialize)]
struct Checked {
    address: IpAddr,
    admitted: bool,
    #[serde(flatten)]
    decision: Decision,
}

async fn check(place: &Workplace, purpose: Purpose, address: IpAddr, whose: &Whose, json: bool) -> anyhow::Result<()> {
    let subject = Subject::find(place, whose).await?;
    let policy = policy(place).await?;
    let admitted = policy.admits(purpose, &subject.tenant, subject.mailbox.as_ref().map(|mailbox| &mailbox.id), address);
    let checked = Checked { address, admitted, decision: decision(&policy, purpose, &subject) };
    if json {
        return output::json(&checked);
    }
    let verdict = if admitted { "is admitted" } else { "is not admitted" };
    output::text(&match checked.decision.decided_by {
        None => format!("{address} {verdict}: no list keeps anybody out\n"),
        Some(level) => format!("{address} {verdict}, by the {level}'s list\n"),
    })
}

#[derive(Serialize)]
struct Logged {
    at: String,
    mailbox: Option<String>,
    notice: String,
    address: String,
    agent: String,
    repeated: u32,
    last_at: String,
    mailed: bool,
}

async fn log(place: &Workplace, number: Option<&MailboxNumber>, tenant: &str, limit: u32, json: bool) -> anyhow::Result<()> {
    let only = match number {
        Some(number) => Some(place.mailbox(tenant, number.as_str()).await?.id),
        None => None,
    };
    let mut rows = Vec::new();
    for entry in place.store.access_log(only.as_ref(), limit).await? {
        rows.push(Logged {
            at: entry.at.to_string(),
            mailbox: place.store.mailbox(&entry.mailbox).await?.map(|mailbox| mailbox.number.to_string()),
            notice: entry.notice.to_string(),
            address: entry.address,
            agent: entry.agent,
            repeated: entry.repeated,
            last_at: entry.last_at.to_string(),
            mailed: entry.mailed,
        });
    }
    output::rows(
        &rows,
        &[
            ("AT", &|row: &Logged| row.at.clone()),
            ("MAILBOX", &|row| row.mailbox.clone().unwrap_or_else(|| "-".to_owned())),
            ("NOTICE", &|row| row.notice.clone()),
            ("ADDRESS", &|row| row.address.clone()),
            ("AGENT", &|row| row.agent.clone()),
            ("AGAIN", &|row| row.repeated.to_string()),
            ("MAILED", &|row| if row.mailed { "yes" } else { "no" }.to_owned()),
        ],
        json,
    )
}

fn name(scope: &Scope, mailbox: Option<&Mailbox>) -> String {
    match (scope, mailbox) {
        (_, Some(mailbox)) => format!("mailbox {}", mailbox.number),
        (Scope::Tenant(tenant), None) if tenant.is_empty() => "the default tenant".to_owned(),
        (Scope::Tenant(tenant), None) => format!("tenant {tenant}"),
        (Scope::Service | Scope::Mailbox(_), None) => "the whole service".to_owned(),
    }
}
