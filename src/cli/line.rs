//! `afterbeep line`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{output, workplace::Workplace};
use crate::{
    domain::{
        mailbox::{Mailbox, MailboxNumber},
        tenant::tenant_name,
        time::Timestamp,
    },
    sip::auth::DigestSecret,
    store::{
        line::{LineSecret, ListedLine},
        registration::Registration,
    },
};

/// The fewest characters of a line's password: it can be guessed from anywhere.
const SHORTEST_PASSWORD: usize = 12;
/// The most characters; phones have small fields.
const LONGEST_PASSWORD: usize = 128;
/// How many characters a generated password has.
const GENERATED: usize = 24;

#[derive(Debug, Subcommand)]
pub enum LineCommand {
    /// Let phones register as a mailbox's line, or give it another password; without a file, one is generated and printed once
    Set {
        #[command(flatten)]
        which: Which,
        /// Make a random password and print it, once (this is also done without --password-file)
        #[arg(long, conflicts_with = "password_file")]
        generate: bool,
        /// A file with the password, 12 characters at least; - reads it from standard input
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List all lines, and how many phones are registered
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show a line and the phones that are registered
    Show {
        #[command(flatten)]
        which: Which,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Let no phone register as a mailbox's line any more, and forget those that have
    Remove {
        #[command(flatten)]
        which: Which,
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

pub async fn run(command: LineCommand, file: Option<&Path>) -> anyhow::Result<()> {
    let place = Workplace::open(file).await?;
    match command {
        LineCommand::Set { which, password_file, json, .. } => set(&place, &which, password_file.as_deref(), json).await,
        LineCommand::List { json } => list(&place, json).await,
        LineCommand::Show { which, json } => show(&place, &which, None, json).await,
        LineCommand::Remove { which } => remove(&place, &which).await,
    }
}

async fn set(place: &Workplace, which: &Which, password_file: Option<&Path>, json: bool) -> anyhow::Result<()> {
    let mailbox = mailbox(place, which).await?;
    let (password, generated) = match password_file {
        Some(file) => (given(file)?, None),
        None => {
            let password = generate();
            (password.clone(), Some(password))
        }
    };
    let realm = &place.config.sip.realm;
    let secret = |number: &MailboxNumber| {
        let DigestSecret { md5, sha256 } = DigestSecret::new(number.as_str(), realm, &password);
        (number.to_string(), LineSecret { md5, sha256 })
    };
    let secrets: Vec<_> = std::iter::once(&mailbox.number).chain(&mailbox.aliases).map(secret).collect();
    place.store.set_line(&mailbox.id, realm, &secrets, place.now).await?;
    show(place, which, generated, json).await
}

async fn list(place: &Workplace, json: bool) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    for line in place.store.lines().await? {
        let registrations = place.store.registrations(&line.line.mailbox, place.now).await?;
        lines.push(Listed::new(place, line, &registrations));
    }
    output::rows(
        &lines,
        &[
            ("NUMBER", &|line| line.number.clone()),
            ("TENANT", &|line| or_dash(&line.tenant)),
            ("NAME", &|line| or_dash(&line.name)),
            ("USERNAMES", &|line| line.usernames.join(",")),
            ("PHONES", &|line| line.registrations.len().to_string()),
            ("PASSWORD SET", &|line| line.changed_at.clone()),
            ("STATE", &|line| line.state().to_owned()),
        ],
        json,
    )
}

async fn show(place: &Workplace, which: &Which, generated: Option<String>, json: bool) -> anyhow::Result<()> {
    let mailbox = mailbox(place, which).await?;
    let line = place.store.lines().await?.into_iter().find(|line| line.line.mailbox == mailbox.id);
    let line = line.with_context(|| format!("mailbox {} has no line; make one with `afterbeep line set`", mailbox.number))?;
    let registrations = place.store.registrations(&mailbox.id, place.now).await?;
    let mut listed = Listed::new(place, line, &registrations);
    listed.password = generated;
    if json {
        return output::json(&listed);
    }
    let mut facts = vec![
        ("number", listed.number.clone()),
        ("tenant", or_dash(&listed.tenant)),
        ("name", or_dash(&listed.name)),
        ("usernames", listed.usernames.join(", ")),
        ("realm", listed.realm.clone()),
        ("password set", listed.changed_at.clone()),
        ("state", listed.state().to_owned()),
    ];
    for phone in &listed.registrations {
        let agent = phone.user_agent.clone().map(|agent| format!(" ({agent})")).unwrap_or_default();
        facts.push((
            "phone",
            format!("{} by {} from {} until {}{agent}", phone.contact, phone.transport, phone.source, phone.expires_at),
        ));
    }
    facts.extend(listed.password.clone().map(|password| ("password", format!("{password} (generated; it is not shown again)"))));
    output::facts(&facts)
}

async fn remove(place: &Workplace, which: &Which) -> anyhow::Result<()> {
    let mailbox = mailbox(place, which).await?;
    if !place.store.remove_line(&mailbox.id, place.now).await? {
        bail!("mailbox {} has no line", mailbox.number);
    }
    output::text(&format!("removed the line of mailbox {}\n", mailbox.number))
}

async fn mailbox(place: &Workplace, which: &Which) -> anyhow::Result<Mailbox> {
    place.mailbox(&which.tenant, which.number.as_str()).await
}

/// The password that was given, if it is good enough.
fn given(file: &Path) -> anyhow::Result<String> {
    let password = super::read_secret(file, "the password")?;
    if !(SHORTEST_PASSWORD..=LONGEST_PASSWORD).contains(&password.chars().count()) || password.chars().any(char::is_control) {
        bail!("the password was refused: use {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters, all on one line");
    }
    Ok(password)
}

/// A random password of letters and digits that nobody mistakes for each other on a small display.
fn generate() -> String {
    use rand::seq::IndexedRandom as _;
    const ALPHABET: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut random = rand::rng();
    (0..GENERATED).filter_map(|_| ALPHABET.choose(&mut random)).map(|&letter| char::from(letter)).collect()
}

/// A line in a list.
#[derive(Serialize)]
struct Listed {
    number: String,
    tenant: String,
    name: String,
    usernames: Vec<String>,
    realm: String,
    /// Whether the realm is the one that is configured now.
    usable: bool,
    changed_at: String,
    registrations: Vec<Phone>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

/// A registered phone.
#[derive(Serialize)]
struct Phone {
    contact: String,
    path: Vec<String>,
    transport: String,
    source: String,
    user_agent: Option<String>,
    registered_at: String,
    expires_at: String,
}

impl Listed {
    fn new(place: &Workplace, line: ListedLine, registrations: &[Registration]) -> Self {
        let ListedLine { line, usernames, realm, changed_at } = line;
        Self {
            number: line.number.to_string(),
            tenant: line.tenant,
            name: line.name,
            usernames,
            usable: realm == place.config.sip.realm,
            realm,
            changed_at: Timestamp::to_string(&changed_at),
            registrations: registrations.iter().map(Phone::of).collect(),
            password: None,
        }
    }

    fn state(&self) -> &'static str {
        match (self.usable, self.registrations.is_empty()) {
            (false, _) => "password set for another realm; set it again",
            (true, true) => "no phone",
            (true, false) => "registered",
        }
    }
}

impl Phone {
    fn of(registration: &Registration) -> Self {
        Self {
            contact: registration.contact.clone(),
            path: registration.path.clone(),
            transport: registration.way.transport.clone(),
            source: registration.way.remote.clone(),
            user_agent: registration.user_agent.clone(),
            registered_at: registration.registered_at.to_string(),
            expires_at: registration.expires_at.to_string(),
        }
    }
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}
