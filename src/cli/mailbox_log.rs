//! `afterbeep mailbox log`: who opened a mailbox or tried to, and what was changed about it.

use clap::Args;
use serde::Serialize;

use super::{mailbox::Which, output, workplace::Workplace};
use crate::{
    domain::{
        mailbox_log::{Event, Origin},
        time::Timestamp,
    },
    store::{credential::AccessLogEntry, mailbox_log::LogEntry},
};

#[derive(Args, Debug)]
pub struct LogArgs {
    #[command(flatten)]
    which: Which,
    /// How many at most
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    limit: u32,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// An entry. What does not fit what happened is missing.
#[derive(Serialize)]
struct Logged {
    #[serde(skip)]
    moment: Timestamp,
    at: String,
    what: String,
    greeting: Option<String>,
    phrase: Option<String>,
    how: Option<&'static str>,
    of_mailbox: Option<String>,
    channel: &'static str,
    number: Option<String>,
    address: Option<String>,
    agent: Option<String>,
    call_id: Option<String>,
    repeated: u32,
    last_at: String,
    mailed: bool,
}

pub async fn run(place: &Workplace, args: LogArgs) -> anyhow::Result<()> {
    let mailbox = place.mailbox(&args.which.tenant, args.which.number.as_str()).await?.id;
    let mut rows: Vec<Logged> = place.store.mailbox_log(&mailbox, args.limit).await?.into_iter().map(Logged::from).collect();
    rows.extend(place.store.access_log(Some(&mailbox), args.limit).await?.into_iter().map(Logged::from));
    rows.sort_by_key(|row| std::cmp::Reverse(row.moment));
    rows.truncate(usize::try_from(args.limit).unwrap_or(usize::MAX));
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    output::rows(
        &rows,
        &[
            ("AT", &|row: &Logged| row.at.clone()),
            ("WHAT", &|row| row.what.clone()),
            ("WHICH", &|row| row.which()),
            ("BY", &|row| row.channel.to_owned()),
            ("NUMBER", &|row| or_dash(&row.number)),
            ("ADDRESS", &|row| or_dash(&row.address)),
            ("AGAIN", &|row| row.repeated.to_string()),
            ("MAILED", &|row| if row.mailed { "yes" } else { "no" }.to_owned()),
        ],
        args.json,
    )
}

impl Logged {
    fn which(&self) -> String {
        let words = [self.greeting.as_deref(), self.phrase.as_deref(), self.of_mailbox.as_deref(), self.how];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        if words.is_empty() { "-".to_owned() } else { words.join(" ") }
    }
}

impl From<LogEntry> for Logged {
    fn from(entry: LogEntry) -> Self {
        let Origin { channel, number, address } = entry.by;
        let (mut greeting, mut phrase, mut how, mut of_mailbox) = (None, None, None, None);
        match &entry.event {
            Event::GreetingChanged { greeting: kind, how: change } => {
                (greeting, how) = (Some(kind.to_string()), Some(change.as_str()))
            }
            Event::PhraseChanged { phrase: which, how: change } => {
                (phrase, how) = (Some(which.to_string()), Some(change.as_str()))
            }
            Event::ResetPasscodeOf { mailbox } => of_mailbox = Some(mailbox.to_string()),
            Event::LoggedIn
            | Event::WrongPasscode
            | Event::LockedOut
            | Event::PasscodeChanged
            | Event::PasscodeReset
            | Event::SetUp => {}
        }
        Self {
            moment: entry.at,
            at: entry.at.to_string(),
            what: entry.event.what().to_owned(),
            greeting,
            phrase,
            how,
            of_mailbox,
            channel: channel.as_str(),
            number,
            address,
            agent: None,
            call_id: entry.call.map(|call| call.to_string()),
            repeated: entry.repeated,
            last_at: entry.last_at.to_string(),
            mailed: entry.mailed,
        }
    }
}

/// What was noticed about the line's password.
impl From<AccessLogEntry> for Logged {
    fn from(entry: AccessLogEntry) -> Self {
        Self {
            moment: entry.at,
            at: entry.at.to_string(),
            what: entry.notice.to_string(),
            greeting: None,
            phrase: None,
            how: None,
            of_mailbox: None,
            channel: "line",
            number: None,
            address: Some(entry.address),
            agent: Some(entry.agent),
            call_id: None,
            repeated: entry.repeated,
            last_at: entry.last_at.to_string(),
            mailed: entry.mailed,
        }
    }
}
