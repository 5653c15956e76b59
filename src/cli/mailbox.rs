//! `afterbeep mailbox`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::{mailbox_log, output, owner, screening, workplace::Workplace};
use crate::{
    config::Config,
    delivery::Sender,
    domain::{
        keys::{KeyProfile, MenuLength},
        language::Clock,
        listening::{Announcement, First, Listening, ListeningWishes, Playback, Skip, Speed, Volume},
        mailbox::{Mailbox, MailboxNumber},
        mailbox_log::Origin,
        passcode::Passcode,
        preferences::Preferences,
        tenant::tenant_name,
        time::{TimeZone, Timestamp},
    },
    server,
    store::{
        destination::TransferChange,
        mailbox::{MailboxChange, MailboxPage, NewMailbox},
    },
};

#[derive(Debug, Subcommand)]
pub enum MailboxCommand {
    /// Make a mailbox; without a passcode given, one is generated and printed once
    Add {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        passcode: GivenPasscode,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List all mailboxes
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show a mailbox, how many messages it holds, and whether it is locked
    Show {
        #[command(flatten)]
        which: Which,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change a mailbox; what is not named stays as it is
    Set {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        change: Change,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Refuse callers: by their numbers, or those who show none
    Block(screening::Blocking),
    /// Accept callers again
    Unblock {
        #[command(flatten)]
        which: Which,
        /// The callers' numbers
        #[arg(value_name = "CALLER", required = true)]
        callers: Vec<String>,
    },
    /// List the callers that are refused
    Blocked {
        #[command(flatten)]
        which: Which,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Say who opens a shared mailbox, each from a mailbox of their own
    #[command(subcommand)]
    Owner(owner::OwnerCommand),
    /// Show who opened a mailbox or tried to, and who changed its passcode or greetings, latest first
    Log(mailbox_log::LogArgs),
    /// Show or set which uses of the line's password are told by mail
    Alerts(screening::AlertsArgs),
    /// Remove a mailbox
    Remove {
        #[command(flatten)]
        which: Which,
        /// Remove its messages as well
        #[arg(long)]
        with_messages: bool,
    },
}

/// A mailbox, named by the operator.
#[derive(Args, Clone, Debug)]
pub struct Which {
    /// The mailbox's number
    #[arg(value_name = "NUMBER")]
    pub number: MailboxNumber,
    /// The SIP domain it belongs to, if it is not the default tenant's
    #[arg(long, value_name = "DOMAIN", value_parser = tenant_name, default_value = "", hide_default_value = true)]
    pub tenant: String,
}

#[derive(Args, Debug)]
pub struct Settings {
    /// The subscriber's name
    #[arg(long)]
    name: Option<String>,
    /// Where mails to the subscriber go
    #[arg(long, value_name = "ADDRESS", value_parser = mail_address)]
    email: Option<String>,
    /// Whether messages are mailed
    #[arg(long, value_name = "on|off", hide_possible_values = true)]
    voice_to_email: Option<Switch>,
    /// The time zone of its dates and times, such as Europe/Paris
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<TimeZone>,
    /// The language of its prompts, such as fr
    #[arg(long, value_name = "LANGUAGE")]
    language: Option<String>,
    /// The clock that times are spoken by, if not that of the language: 12 or 24
    #[arg(long, value_name = "12|24")]
    clock: Option<Clock>,
    /// A further number that reaches the mailbox; can be given several times
    #[arg(long = "alias", value_name = "NUMBER")]
    aliases: Vec<MailboxNumber>,
    /// Which keys do what: afterbeep, asterisk, freeswitch, unity or audix
    #[arg(long, value_name = "PROFILE")]
    keys: Option<KeyProfile>,
    /// How much its menus tell unasked: brief or full
    #[arg(long, value_name = "brief|full")]
    menus: Option<MenuLength>,
    /// How fast messages are played to its subscriber: 60, 80, 100, 125, 150 or 200 percent; the pitch stays
    #[arg(long, value_name = "PERCENT")]
    speed: Option<Speed>,
    /// How loud messages are played: -12, -6, 0, 6 or 12 decibels above how they were recorded
    #[arg(long, value_name = "DECIBELS", allow_hyphen_values = true)]
    volume: Option<Volume>,
    /// How far the keys for back and ahead go in a message: 1s to 60s
    #[arg(long, value_name = "SECONDS")]
    skip: Option<Skip>,
    /// Which of its new messages is heard first: oldest or newest
    #[arg(long, value_name = "oldest|newest")]
    new_first: Option<First>,
    /// Which of its saved messages is heard first: oldest or newest
    #[arg(long, value_name = "oldest|newest")]
    saved_first: Option<First>,
    /// What is said of a message before it is played: full, time, caller or none
    #[arg(long, value_name = "full|time|caller|none")]
    announce: Option<Announcement>,
    /// Whether the first login is done; off asks for passcode, name and greeting at the next
    #[arg(long, value_name = "on|off", hide_possible_values = true)]
    enrolled: Option<Switch>,
    /// Whether the subscriber may look after the tenant's mailboxes by phone
    #[arg(long, value_name = "on|off", hide_possible_values = true)]
    administrator: Option<Switch>,
    /// Whether callers are told how to leave a message after a personal greeting, too
    #[arg(long, value_name = "on|off", hide_possible_values = true)]
    instructions: Option<Switch>,
}

#[derive(Args, Debug)]
pub struct Change {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    passcode: GivenPasscode,
    /// Generate a new passcode and print it once
    #[arg(long, conflicts_with_all = ["passcode", "passcode_file"])]
    new_passcode: bool,
    /// Another number for the mailbox
    #[arg(long, value_name = "NUMBER")]
    new_number: Option<MailboxNumber>,
    /// A number that does not reach the mailbox any longer; can be given several times
    #[arg(long = "remove-alias", value_name = "NUMBER")]
    removed_aliases: Vec<MailboxNumber>,
    /// Forget all preferences that are not named: they are those of the tenant or the service again
    #[arg(long)]
    default_preferences: bool,
    /// Forget the mail address
    #[arg(long, conflicts_with = "email")]
    no_email: bool,
    /// Take messages and let the subscriber in again
    #[arg(long)]
    enable: bool,
    /// Take no messages and let nobody in, but keep everything
    #[arg(long, conflicts_with = "enable")]
    disable: bool,
    /// Whom callers reach with 0, one of operator.targets in the configuration; off for nobody
    #[arg(long, value_name = "TARGET|off")]
    operator: Option<String>,
    /// Whether its subscriber may call back whoever left a message
    #[arg(long, value_name = "on|off", hide_possible_values = true)]
    call_back: Option<Switch>,
    /// Open it to logins again after too many wrong passcodes
    #[arg(long)]
    unlock: bool,
}

#[derive(Args, Debug)]
pub struct GivenPasscode {
    /// The passcode; others on this machine may see the command line, so better use --passcode-file
    #[arg(long, value_name = "DIGITS", conflicts_with = "passcode_file")]
    passcode: Option<String>,
    /// A file with the passcode; - reads it from standard input
    #[arg(long, value_name = "FILE")]
    passcode_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

pub async fn run(command: MailboxCommand, file: Option<&Path>) -> anyhow::Result<()> {
    let place = Workplace::open(file).await?;
    match command {
        MailboxCommand::Add { which, settings, passcode, json } => add(&place, which, settings, &passcode, json).await,
        MailboxCommand::List { json } => list(&place, json).await,
        MailboxCommand::Show { which, json } => {
            let mailbox = place.mailbox(&which.tenant, which.number.as_str()).await?;
            print_one(&place, mailbox, None, json).await
        }
        MailboxCommand::Set { which, change, json } => set(&place, &which, change, json).await,
        MailboxCommand::Block(args) => screening::block(&place, args).await,
        MailboxCommand::Unblock { which, callers } => screening::unblock(&place, &which, &callers).await,
        MailboxCommand::Blocked { which, json } => screening::blocked(&place, &which, json).await,
        MailboxCommand::Owner(command) => owner::run(command, &place).await,
        MailboxCommand::Log(args) => mailbox_log::run(&place, args).await,
        MailboxCommand::Alerts(args) => screening::alerts(&place, args).await,
        MailboxCommand::Remove { which, with_messages } => remove(&place, &which, with_messages).await,
    }
}

async fn add(place: &Workplace, which: Which, settings: Settings, passcode: &GivenPasscode, json: bool) -> anyhow::Result<()> {
    let defaults = &place.config.mailbox;
    let voice_to_email = settings.voice_to_email == Some(Switch::On);
    if voice_to_email && settings.email.is_none() {
        bail!("voice-to-email needs an address: give --email too");
    }
    let numbers: Vec<&str> = std::iter::once(&which.number).chain(&settings.aliases).map(MailboxNumber::as_str).collect();
    let (passcode, generated) = match passcode.chosen(&place.config, &numbers)? {
        Some(passcode) => (passcode, None),
        None => generate(&place.config, &numbers),
    };
    let language = known_language(&place.config, settings.language.as_ref())?;
    let preferences = settings.preferences();
    let new = NewMailbox {
        tenant: which.tenant,
        number: which.number,
        aliases: settings.aliases,
        name: settings.name.unwrap_or_default(),
        email: settings.email,
        voice_to_email,
        time_zone: settings.time_zone.unwrap_or(defaults.time_zone),
        language: language.unwrap_or(&defaults.language).clone(),
        passcode,
    };
    let mut mailbox = place.store.create_mailbox(new, place.now).await?;
    let (enrolled, administrator) = (on(settings.enrolled), on(settings.administrator));
    let instructions = on(settings.instructions);
    let is_plain = [enrolled, administrator, instructions].iter().all(|wish| *wish != Some(true));
    if !is_plain || preferences != Preferences::default() {
        let change = MailboxChange { enrolled, administrator, instructions, preferences, ..MailboxChange::default() };
        mailbox = place.store.update_mailbox(&mailbox.id, change, place.now).await?;
    }
    print_one(place, mailbox, generated, json).await
}

async fn list(place: &Workplace, json: bool) -> anyhow::Result<()> {
    const PAGE: u32 = 1000;
    let mut mailboxes: Vec<Listed> = Vec::new();
    let mut after = None;
    loop {
        let page = place.store.list_mailboxes(&MailboxPage { after, limit: PAGE }).await?;
        after = page.last().map(|last| (last.tenant.clone(), last.number.clone()));
        mailboxes.extend(page.into_iter().map(Listed::from));
        if after.is_none() {
            break;
        }
    }
    output::rows(
        &mailboxes,
        &[
            ("NUMBER", &|mailbox| mailbox.number.clone()),
            ("TENANT", &|mailbox| or_dash(&mailbox.tenant)),
            ("NAME", &|mailbox| or_dash(&mailbox.name)),
            ("ALIASES", &|mailbox| or_dash(&mailbox.aliases.join(","))),
            ("EMAIL", &|mailbox| or_dash(mailbox.email.as_deref().unwrap_or_default())),
            ("VOICE-TO-EMAIL", &|mailbox| on_off(mailbox.voice_to_email).to_owned()),
            ("TIME ZONE", &|mailbox| mailbox.time_zone.clone()),
            ("STATE", &|mailbox| mailbox.state().to_owned()),
        ],
        json,
    )
}

async fn set(place: &Workplace, which: &Which, change: Change, json: bool) -> anyhow::Result<()> {
    let before = place.mailbox(&which.tenant, which.number.as_str()).await?;
    known_language(&place.config, change.settings.language.as_ref())?;
    let mailbox_change = change.to_store(&before)?;
    let number = change.new_number.as_ref().unwrap_or(&before.number);
    let aliases = mailbox_change.aliases.as_ref().unwrap_or(&before.aliases);
    let numbers: Vec<&str> = std::iter::once(number).chain(aliases).map(MailboxNumber::as_str).collect();
    // Refused before anything is changed.
    let transfers = change.transfers(&place.config)?;
    let (passcode, generated) = match change.passcode.chosen(&place.config, &numbers)? {
        Some(passcode) => (Some(passcode), None),
        None if change.new_passcode => {
            let (passcode, text) = generate(&place.config, &numbers);
            (Some(passcode), text)
        }
        None => (None, None),
    };
    let mailbox = place.store.update_mailbox(&before.id, mailbox_change, place.now).await?;
    if let Some(passcode) = passcode {
        place.store.set_passcode(&mailbox.id, &passcode, &Origin::command(), place.now).await?;
    }
    if transfers != TransferChange::default() {
        place.store.change_transfer_settings(&mailbox.id, transfers).await?;
    }
    if change.unlock {
        place.store.unlock(&mailbox.id).await?;
    }
    print_one(place, mailbox, generated, json).await
}

/// The language, if there are prompts in it.
fn known_language<'a>(config: &Config, language: Option<&'a String>) -> anyhow::Result<Option<&'a String>> {
    if let Some(language) = language {
        server::languages(config)?.find(language)?;
    }
    Ok(language)
}

async fn remove(place: &Workplace, which: &Which, with_messages: bool) -> anyhow::Result<()> {
    let mailbox = place.mailbox(&which.tenant, which.number.as_str()).await?;
    let held = place.store.counts(&mailbox.id, place.now).await?.total();
    if held > 0 && !with_messages {
        bail!(
            "mailbox {} holds {held} message{}; save them with `afterbeep message export`, or add --with-messages to remove them too",
            mailbox.number,
            if held == 1 { "" } else { "s" }
        );
    }
    place.store.remove_mailbox(&mailbox.id, place.now).await?;
    output::text(&format!("removed mailbox {}\n", mailbox.number))
}

/// Prints a mailbox, and its passcode if it was made just now.
async fn print_one(place: &Workplace, mailbox: Mailbox, generated: Option<String>, json: bool) -> anyhow::Result<()> {
    let counts = place.store.counts(&mailbox.id, place.now).await?;
    let access = place.store.remote_access(&mailbox.id).await?;
    let transfers = place.store.transfer_settings(&mailbox.id).await?;
    let shown = Shown {
        listed: mailbox.into(),
        new_messages: counts.new,
        saved_messages: counts.saved,
        remote_access_locked_at: access.locked_at.map(|at| at.to_string()),
        operator: transfers.operator,
        call_back: transfers.call_back,
        passcode: generated,
    };
    if json {
        return output::json(&shown);
    }
    let Listed { number, tenant, aliases, name, email, time_zone, language, mail_problem, .. } = &shown.listed;
    let remote = shown.remote_access_locked_at.as_ref().map_or_else(
        || "open".to_owned(),
        |at| format!("locked since {at} after too many wrong passcodes; open it with `afterbeep mailbox set {number} --unlock`"),
    );
    let mut facts = vec![
        ("number", number.clone()),
        ("tenant", or_dash(tenant)),
        ("aliases", or_dash(&aliases.join(", "))),
        ("name", or_dash(name)),
        ("email", or_dash(email.as_deref().unwrap_or_default())),
        ("voice-to-email", on_off(shown.listed.voice_to_email).to_owned()),
        ("time zone", time_zone.clone()),
        ("language", language.clone()),
        ("clock", preferred(shown.listed.preferences.clock)),
        ("keys", preferred(shown.listed.preferences.keys)),
        ("menus", preferred(shown.listed.preferences.menu_length)),
        ("listening", listening(shown.listed.preferences.listening.settings())),
        ("state", shown.listed.state().to_owned()),
        ("administrator", on_off(shown.listed.administrator).to_owned()),
        ("instructions", on_off(shown.listed.instructions).to_owned()),
        ("remote access", remote),
        ("operator", shown.operator.clone().unwrap_or_else(|| "off".to_owned())),
        ("call back", on_off(shown.call_back).to_owned()),
        ("messages", format!("{} new, {} saved", shown.new_messages, shown.saved_messages)),
    ];
    facts.extend(mail_problem.clone().map(|problem| ("mail problem", problem)));
    facts.extend(shown.passcode.clone().map(|passcode| ("passcode", format!("{passcode} (generated; it is not shown again)"))));
    output::facts(&facts)
}

impl Change {
    fn transfers(&self, config: &Config) -> anyhow::Result<TransferChange> {
        let operator = match self.operator.as_deref() {
            None => None,
            Some("off") => Some(None),
            Some(target) => {
                let targets: Vec<_> = config.operator.targets.iter().map(ToString::to_string).collect();
                if !targets.iter().any(|known| known == target) {
                    bail!("{target} is none of operator.targets in the configuration: {}", or_dash(&targets.join(", ")));
                }
                Some(Some(target.to_owned()))
            }
        };
        Ok(TransferChange { operator, call_back: self.call_back.map(|switch| switch == Switch::On) })
    }

    fn to_store(&self, before: &Mailbox) -> anyhow::Result<MailboxChange> {
        let settings = &self.settings;
        let has_address = (before.email.is_some() && !self.no_email) || settings.email.is_some();
        let mails = settings.voice_to_email.map_or(before.voice_to_email_since.is_some(), |switch| switch == Switch::On);
        if mails && !has_address {
            bail!("voice-to-email needs an address: give --email, or --voice-to-email off");
        }
        let mut aliases = before.aliases.clone();
        for alias in &self.removed_aliases {
            let at = aliases.iter().position(|its| its == alias);
            aliases.remove(at.with_context(|| format!("mailbox {} has no alias {alias}", before.number))?);
        }
        aliases.extend(settings.aliases.iter().filter(|alias| !before.aliases.contains(alias)).cloned());
        Ok(MailboxChange {
            number: self.new_number.clone(),
            aliases: (aliases != before.aliases).then_some(aliases),
            name: settings.name.clone(),
            email: if self.no_email { Some(None) } else { settings.email.clone().map(Some) },
            voice_to_email: on(settings.voice_to_email),
            time_zone: settings.time_zone,
            language: settings.language.clone(),
            enabled: (self.enable || self.disable).then_some(self.enable),
            enrolled: on(settings.enrolled),
            administrator: on(settings.administrator),
            instructions: on(settings.instructions),
            preferences: settings.preferences(),
            forget_preferences: self.default_preferences,
        })
    }
}

impl Settings {
    fn preferences(&self) -> Preferences {
        let listening = ListeningWishes {
            speed: self.speed,
            volume: self.volume,
            skip: self.skip,
            new_first: self.new_first,
            saved_first: self.saved_first,
            announcement: self.announce,
        };
        Preferences { keys: self.keys, menu_length: self.menus, clock: self.clock, listening }
    }
}

impl GivenPasscode {
    /// The passcode that was given, if it is good enough.
    fn chosen(&self, config: &Config, numbers: &[&str]) -> anyhow::Result<Option<Passcode>> {
        let digits = match (&self.passcode, &self.passcode_file) {
            (Some(digits), _) => digits.clone(),
            (None, Some(file)) => super::read_secret(file, "the passcode")?,
            (None, None) => return Ok(None),
        };
        let passcode = Passcode::chosen(&digits, config.passcode.shortest, numbers).context("the passcode was refused")?;
        Ok(Some(passcode))
    }
}

/// A random passcode, and its digits for the one who asked for it.
fn generate(config: &Config, numbers: &[&str]) -> (Passcode, Option<String>) {
    let passcode = Passcode::random(config.passcode.shortest, numbers);
    let digits = passcode.digits().to_owned();
    (passcode, Some(digits))
}

fn mail_address(text: &str) -> Result<String, String> {
    match Sender::new("", text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A mailbox in a list.
#[derive(Serialize)]
struct Listed {
    number: String,
    tenant: String,
    aliases: Vec<String>,
    name: String,
    email: Option<String>,
    voice_to_email: bool,
    time_zone: String,
    language: String,
    enabled: bool,
    enrolled: bool,
    administrator: bool,
    instructions: bool,
    has_greeting: bool,
    has_spoken_name: bool,
    preferences: Preferences,
    mail_problem: Option<String>,
    created_at: String,
}

/// A mailbox on its own.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    listed: Listed,
    new_messages: u32,
    saved_messages: u32,
    remote_access_locked_at: Option<String>,
    operator: Option<String>,
    call_back: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    passcode: Option<String>,
}

impl From<Mailbox> for Listed {
    fn from(mailbox: Mailbox) -> Self {
        Self {
            number: mailbox.number.to_string(),
            tenant: mailbox.tenant,
            aliases: mailbox.aliases.iter().map(ToString::to_string).collect(),
            name: mailbox.name,
            email: mailbox.email,
            voice_to_email: mailbox.voice_to_email_since.is_some(),
            time_zone: mailbox.time_zone.to_string(),
            language: mailbox.language,
            enabled: mailbox.enabled,
            enrolled: mailbox.enrolled,
            administrator: mailbox.administrator,
            instructions: mailbox.instructions,
            has_greeting: mailbox.greeting.is_some(),
            has_spoken_name: mailbox.spoken_name.is_some(),
            preferences: mailbox.preferences,
            mail_problem: mailbox.mail_problem,
            created_at: Timestamp::to_string(&mailbox.created_at),
        }
    }
}

impl Listed {
    fn state(&self) -> &'static str {
        match (self.enabled, self.enrolled) {
            (false, _) => "disabled",
            (true, false) => "awaits first login",
            (true, true) => "in use",
        }
    }
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}

/// How messages are listened to, in one line.
fn listening(Listening { playback, skip, new_first, saved_first, announcement }: Listening) -> String {
    let Playback { speed, volume } = playback;
    format!(
        "speed {speed} %, volume {volume:?}, skip {skip}, new: {new_first} first, saved: {saved_first} first, said before: {announcement}"
    )
}

/// A preference, or that there is none.
fn preferred(preference: Option<impl ToString>) -> String {
    preference.map_or_else(|| "default".to_owned(), |preference| preference.to_string())
}

fn on(switch: Option<Switch>) -> Option<bool> {
    switch.map(|switch| switch == Switch::On)
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
