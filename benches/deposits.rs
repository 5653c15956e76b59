//! How many two-second messages a second become durable, from the envelope before the beep to the removed journal.
//!
//! `cargo bench --bench deposits -- [deposits] [at once] [database URL] [folder]`

use std::{
    env,
    io::Write as _,
    time::{Duration, Instant},
};

use afterbeep::{
    domain::{
        caller::Caller,
        id::{CallId, MailboxId, MessageId},
        passcode::Passcode,
        time::{TimeZone, Timestamp},
    },
    store::{
        Store, StoreConfig,
        journal::{Encoding, Envelope},
        mailbox::NewMailbox,
    },
};
use futures_util::StreamExt as _;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1).filter(|argument| argument != "--bench");
    let deposits: usize = arguments.next().map_or(Ok(2000), |text| text.parse())?;
    let at_once: usize = arguments.next().map_or(Ok(50), |text| text.parse())?;
    let database_url = arguments.next().filter(|url| !url.is_empty());
    let folder = arguments.next().map_or_else(|| env::current_dir().map(|dir| dir.join("target")), |dir| Ok(dir.into()))?;
    let dir = tempfile::tempdir_in(folder)?;
    let mut config = StoreConfig::local(dir.path())?;
    config.database_url = database_url.unwrap_or(config.database_url);
    let store = Store::open(config).await?;
    let now = Timestamp::from(chrono::Utc::now());
    let mut mailboxes = Vec::new();
    for n in 0..deposits.div_ceil(250) {
        mailboxes.push(store.create_mailbox(mailbox(n), now).await?.id);
    }

    let started = Instant::now();
    let mut took: Vec<(Duration, Duration)> = futures_util::stream::iter(0..deposits)
        .map(|n| tokio::spawn(deposit(store.clone(), mailboxes[n % mailboxes.len()].clone(), now)))
        .buffer_unordered(at_once)
        .map(|done| anyhow::Ok(done??))
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect::<Result<_, _>>()?;
    let elapsed = started.elapsed();

    println!("{deposits} deposits, {at_once} at once: {:.0} a second", deposits as f64 / elapsed.as_secs_f64());
    took.sort_unstable();
    println!("envelope before the beep:     median {:?}, p99 {:?}", took[deposits / 2].0, took[deposits * 99 / 100].0);
    took.sort_unstable_by_key(|(_, end)| *end);
    println!("hang-up to message visible:   median {:?}, p99 {:?}", took[deposits / 2].1, took[deposits * 99 / 100].1);
    Ok(())
}

async fn deposit(store: Store, mailbox: MailboxId, now: Timestamp) -> anyhow::Result<(Duration, Duration)> {
    let started = Instant::now();
    let envelope = Envelope {
        message: MessageId::random(),
        mailbox,
        also: Vec::new(),
        caller: Caller { number: Some("2025550143".to_owned()), name: None },
        started_at: now,
        called: None,
        encoding: Encoding::Mulaw,
        verified: false,
        call: CallId::random(),
    };
    let journal = store.create_journal(envelope).await?;
    let before_the_beep = started.elapsed();
    journal.audio_file()?.write_all(&[0x9a; 16_000])?;
    let hung_up = Instant::now();
    store.deposit(journal, Duration::from_secs(2), now, false).await?;
    Ok((before_the_beep, hung_up.elapsed()))
}

fn mailbox(n: usize) -> NewMailbox {
    NewMailbox {
        tenant: String::new(),
        number: format!("{}", 100_000 + n).parse().expect("six digits are a number"),
        aliases: Vec::new(),
        name: String::new(),
        email: None,
        voice_to_email: false,
        time_zone: TimeZone::UTC,
        language: "en".to_owned(),
        passcode: Passcode::typed("49158730").expect("eight digits can be typed"),
    }
}
