//! How long from the end of a recording to the mail in the relay's hands, at a steady rate of two-second deposits.
//!
//! `cargo bench --bench mails -- [mails a second] [seconds] [mails at once]`

#[path = "../tests/it/support/smtp.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod smtp;

use std::{collections::HashMap, env, io::Write as _, time::Duration};

use afterbeep::{
    delivery::{self, MailSettings, Relay},
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
use tokio::{sync::oneshot, task::JoinSet};

const SUBSCRIBERS: usize = 8;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1).filter(|argument| argument != "--bench");
    let rate: u32 = arguments.next().map_or(Ok(100), |text| text.parse())?;
    let seconds: u32 = arguments.next().map_or(Ok(10), |text| text.parse())?;
    let parallel: usize = arguments.next().map_or(Ok(8), |text| text.parse())?;
    let mails = (rate * seconds) as usize;
    anyhow::ensure!(mails <= SUBSCRIBERS * 300, "the mailboxes hold {} messages", SUBSCRIBERS * 300);
    let folder = tempfile::tempdir_in(env::current_dir()?.join("target"))?;
    let store = Store::open(StoreConfig::local(folder.path())?).await?;
    let mut subscribers = Vec::new();
    for number in 0..SUBSCRIBERS {
        subscribers.push(subscriber(&store, number).await?);
    }
    let server = smtp::SmtpServer::start().await;
    let settings = MailSettings {
        relay: Some(Relay::parse(&server.url(), None)?),
        from: "Voicemail <voicemail@example.com>".parse()?,
        timeout: Duration::from_secs(30),
        parallel,
        wideband: false,
        mail_dir: folder.path().join("mail"),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let delivering = tokio::spawn(delivery::run(store.clone(), settings, async { stopped.await.unwrap_or_default() }));

    let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut deposits = JoinSet::new();
    for number in 0..mails {
        ticks.tick().await;
        deposits.spawn(deposit(store.clone(), subscribers[number % SUBSCRIBERS].clone()));
    }
    let ended: HashMap<MessageId, Timestamp> = deposits.join_all().await.into_iter().collect::<Result<_, _>>()?;
    let received = server.received_until(|received| received.len() >= mails).await;
    stop.send(()).ok();
    delivering.await??;

    let mut waits: Vec<Duration> = received.iter().map(|mail| mail.at - ended[&message_id(&mail.content)]).collect();
    waits.sort();
    let percentile = |percent: usize| waits[(waits.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
    println!(
        "{mails} mails at {rate} a second, {} connections: median {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
        server.connections(),
        percentile(50),
        percentile(99),
        percentile(100)
    );
    Ok(())
}

/// The message, and when its recording ended.
async fn deposit(store: Store, mailbox: MailboxId) -> anyhow::Result<(MessageId, Timestamp)> {
    let message = MessageId::random();
    let now = Timestamp::from(chrono::Utc::now());
    let envelope = Envelope {
        message: message.clone(),
        mailbox,
        also: Vec::new(),
        caller: Caller::private(),
        started_at: now,
        called: None,
        encoding: Encoding::Mulaw,
        verified: false,
        call: CallId::random(),
    };
    let journal = store.create_journal(envelope).await?;
    journal.audio_file()?.write_all(&[0x55; 16_000])?;
    let ended = Timestamp::from(chrono::Utc::now());
    store.deposit(journal, Duration::from_secs(2), now, false).await?;
    Ok((message, ended))
}

fn message_id(mail: &[u8]) -> MessageId {
    let head = String::from_utf8_lossy(&mail[..mail.len().min(2000)]);
    let id = head.split("Message-ID: <").nth(1).and_then(|rest| rest.split('@').next()).expect("our mails have a Message-ID");
    MessageId::from_stored(id)
}

async fn subscriber(store: &Store, number: usize) -> anyhow::Result<MailboxId> {
    let new = NewMailbox {
        tenant: String::new(),
        number: format!("1{number:03}").parse()?,
        aliases: vec![],
        name: String::new(),
        email: Some("zoe@example.org".into()),
        voice_to_email: true,
        time_zone: TimeZone::UTC,
        language: "en".into(),
        passcode: Passcode::typed("49158730").expect("eight digits"),
    };
    Ok(store.create_mailbox(new, chrono::Utc::now().into()).await?.id)
}
