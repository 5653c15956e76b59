//! `afterbeep quickstart`: everything on loopback, tried out with real SIP, real RTP and a real mail before your eyes.

use std::{
    fs,
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use rand::Rng as _;

use crate::{
    audio::wav,
    config::Config,
    domain::{
        id::MailboxId,
        message::{Folder, Message},
        passcode::Passcode,
        time::TimeZone,
    },
    ivr::PromptId,
    phone::{Call, Phone, listen},
    server::{self, Server},
    store::{
        Store,
        mailbox::{MailboxChange, NewMailbox},
    },
};

/// What the self-test's caller says.
const SPEECH: &[u8] = include_bytes!("../../prompts/selftest/caller.wav");
/// The caller's number: one that belongs to nobody.
const CALLER: &str = "2025550143";
/// How much what is heard must be like what was meant: normalised correlation.
const ALIKE: f64 = 0.8;
/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts everything on loopback in a fresh folder, calls itself, and stays up for a softphone
#[derive(Debug, clap::Args)]
pub struct QuickstartArgs {
    /// The folder to make; when it is taken, a number is added
    #[arg(long, value_name = "DIR", default_value = "afterbeep-quickstart")]
    dir: PathBuf,
    /// End after the self-test instead of staying up
    #[arg(long)]
    once: bool,
}

/// Tells its story on standard output.
///
/// # Errors
///
/// The first step that failed, and why.
pub async fn run(args: QuickstartArgs) -> anyhow::Result<()> {
    let folder = fresh_folder(&args.dir)?;
    let port = if is_free(5060) { 5060 } else { 0 };
    let file = folder.join("afterbeep.toml");
    let text = format!(
        "# Made by `afterbeep quickstart`: everything on loopback.\ndata_dir = \"data\"\n\n[sip]\n\
         listen = [\"udp:127.0.0.1:{port}\", \"tcp:127.0.0.1:{port}\"]\n# Our own telephone says whose line it is.\n\
         trusted_peers = [\"127.0.0.1\"]\n"
    );
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    let config = Config::load(Some(&file), std::iter::empty())?.config;
    super::start_log(&crate::config::LogSettings { level: "error".parse().context("log level")?, ..config.log.clone() })?;

    tell("afterbeep quickstart: a voicemail server on loopback, and a telephone that tries it out\n");
    let server = Server::start(&config).await?;
    let address = server.addresses().first().context("the server listens nowhere")?.address;
    step(1, &format!("the server takes calls on {address} (UDP and TCP); its data is in {}", folder.display()));
    let ann = Subscriber::add(server.store(), "1001", "Ann Lee", "ann@example.com").await?;
    let bob = Subscriber::add(server.store(), "1002", "Bob Ray", "bob@example.com").await?;
    // Ann has been here before, so the self-test need not record a name and a greeting; Bob has not.
    let enrolled = MailboxChange { enrolled: Some(true), ..MailboxChange::default() };
    server.store().update_mailbox(&ann.id, enrolled, server::now()).await?;

    let story = tokio::select! {
        story = story(&config, server.store(), address, &ann) => story,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    };
    if let Err(error) = story {
        server.drain(std::future::ready(())).await;
        return Err(error);
    }
    tell("\nEverything works.\n");
    if !args.once {
        invite(address, &file, &ann, &bob);
        tokio::signal::ctrl_c().await.context("cannot wait for Ctrl-C")?;
    }
    server.drain(tokio::time::sleep(Duration::from_secs(2))).await;
    Ok(())
}

async fn story(config: &Config, store: &Store, address: SocketAddr, ann: &Subscriber) -> anyhow::Result<()> {
    let speech = wav::read(SPEECH, PATIENCE).context("the self-test's speech")?;
    leave_a_message(address, ann.number, &speech).await.context("leaving a message failed")?;
    let message = only_message(store, &ann.id).await?;
    let seconds = message.duration.as_secs_f64();
    step(3, &format!("the message is in the mailbox: {seconds:.1} s from {}", message.caller.display()));
    let mail = await_mail(&config.mail_dir()).await?;
    step(4, &format!("the e-mail with the WAV is written (no relay is configured): {}", mail.display()));
    for line in mail_headers(&mail)? {
        tell(&format!("         {line}\n"));
    }
    listen_and_save(address, ann, &speech).await.context("listening to the message failed")?;
    let saved = only_message(store, &ann.id).await?;
    ensure!(saved.folder() == Folder::Saved && saved.saved_at.is_some(), "the message is not saved");
    step(6, &format!("the message is saved, and kept until {}", saved.expires_at));
    Ok(())
}

/// Calls, hears the greeting and the beep, speaks, hangs up.
async fn leave_a_message(address: SocketAddr, number: &str, speech: &[i16]) -> anyhow::Result<()> {
    let target = format!("sip:{number}@{address}");
    let call = Phone::towards(&target).await?.from(CALLER).dial(&target).await?;
    let beep = call.line().wait_for_beep(0, PATIENCE).await.context("no beep was heard")?;
    call.line().say(speech.to_vec());
    ensure!(call.line().wait_until_said(PATIENCE).await, "the message could not be spoken");
    let heard = call.line().heard();
    call.hang_up().await;
    recognise(PromptId::LeaveMessage, &heard)?;
    let greeting = beep as f64 / 8000.0;
    step(2, &format!("{CALLER} called {number}, heard the greeting and the beep ({greeting:.1} s), spoke, and hung up"));
    Ok(())
}

/// Calls `*98` from the subscriber's own line, logs in, hears the message, saves it.
async fn listen_and_save(address: SocketAddr, ann: &Subscriber, speech: &[i16]) -> anyhow::Result<()> {
    let target = format!("sip:*98@{address}");
    let own_line = format!("<sip:{}@{}>", ann.number, address.ip());
    let phone = Phone::towards(&target).await?.from(ann.number).header("P-Asserted-Identity", &own_line);
    let mut call = phone.dial(&target).await?;
    await_prompt(&call, PromptId::EnterPasscode, 0).await?;
    let at = call.line().position();
    call.line().press(&format!("{}#", ann.passcode.digits()));
    await_prompt(&call, PromptId::New1, at).await?;
    let at = call.line().position();
    call.line().press("1");
    let heard = await_audio(&call, speech, at).await.context("the message was not played")?;
    call.line().press("9");
    await_prompt(&call, PromptId::MessageSaved, at).await?;
    call.line().press("##");
    call.wait_for_the_end(PATIENCE).await;
    let likeness = heard * 100.0;
    step(5, &format!("{} dialled *98, gave the passcode, heard the message ({likeness:.0} % alike), and saved it", ann.number));
    Ok(())
}

/// Waits until a prompt has been heard from `from` on.
async fn await_prompt(call: &Call, prompt: PromptId, from: usize) -> anyhow::Result<()> {
    let known = wav::read(prompt.wav(), PATIENCE).context("an embedded prompt")?;
    await_audio(call, &known, from).await.with_context(|| format!("the phrase {:?} was not heard", prompt.name()))?;
    Ok(())
}

async fn await_audio(call: &Call, known: &[i16], from: usize) -> Option<f64> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let heard = call.line().heard();
        // Comparing takes longer than a task may keep others waiting.
        let found = tokio::task::block_in_place(|| listen::find(known, heard.get(from..)?));
        if let Some(found) = found.filter(|found| found.likeness >= ALIKE) {
            return Some(found.likeness);
        }
    }
    None
}

fn recognise(prompt: PromptId, heard: &[i16]) -> anyhow::Result<()> {
    let known = wav::read(prompt.wav(), PATIENCE).context("an embedded prompt")?;
    let found = listen::find(&known, heard);
    ensure!(found.is_some_and(|found| found.likeness >= ALIKE), "the phrase {:?} was not heard: {found:?}", prompt.name());
    Ok(())
}

/// A mailbox with the passcode that was made for it.
struct Subscriber {
    id: MailboxId,
    number: &'static str,
    passcode: Passcode,
}

impl Subscriber {
    async fn add(store: &Store, number: &'static str, name: &str, email: &str) -> anyhow::Result<Self> {
        let passcode = random_passcode(number);
        let new = NewMailbox {
            tenant: String::new(),
            number: number.parse()?,
            aliases: vec![],
            name: name.to_owned(),
            email: Some(email.to_owned()),
            voice_to_email: true,
            time_zone: TimeZone::UTC,
            language: "en".to_owned(),
            passcode: passcode.clone(),
        };
        let mailbox = store.create_mailbox(new, server::now()).await.context("cannot add a mailbox")?;
        Ok(Self { id: mailbox.id, number, passcode })
    }
}

fn random_passcode(number: &str) -> Passcode {
    let mut random = rand::rng();
    loop {
        let digits: String = (0..8).map(|_| char::from(b'0' + random.random_range(0..10))).collect();
        if let Ok(passcode) = Passcode::chosen(&digits, 8, &[number]) {
            return passcode;
        }
    }
}

/// Waits until the mailbox holds its one message.
async fn only_message(store: &Store, mailbox: &MailboxId) -> anyhow::Result<Message> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < deadline {
        if let [message] = store.messages(mailbox, server::now()).await?.as_slice() {
            return Ok(message.clone());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("the message did not arrive in the mailbox")
}

async fn await_mail(folder: &Path) -> anyhow::Result<PathBuf> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while tokio::time::Instant::now() < deadline {
        let mails = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        if let Some(mail) = mails.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "eml")) {
            return Ok(mail);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("no e-mail was written to {}", folder.display())
}

/// The lines of a mail that show what it is.
fn mail_headers(mail: &Path) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(mail).with_context(|| format!("cannot read {}", mail.display()))?;
    let (header, body) = text.split_once("\r\n\r\n").context("the e-mail has no body")?;
    let shown = |line: &&str| ["From: ", "To: ", "Subject: "].iter().any(|start| line.starts_with(start));
    let mut lines: Vec<String> = header.lines().filter(shown).map(str::to_owned).collect();
    ensure!(body.contains("Content-Type: audio/wav"), "the e-mail has no WAV attached");
    let name = body.split_once("filename=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(name, _)| name);
    lines.push(format!("Attached: {}", name.context("the attachment has no name")?));
    Ok(lines)
}

fn invite(address: SocketAddr, config: &Path, ann: &Subscriber, bob: &Subscriber) {
    let config = config.display();
    tell(&format!(
        "\nNow it is your turn. Call from a softphone on this machine (no registration needed):\n\n\
         \u{20}  sip:{}@{address}   leave Ann a message; press * during the greeting to log in, passcode {}\n\
         \u{20}  sip:{}@{address}   leave Bob one; his passcode is {}, and his first login sets up his mailbox\n\
         \u{20}  sip:*98@{address}    listen to messages: mailbox number, #, passcode, #\n\n\
         Or from another terminal:\n\n\
         \u{20}  afterbeep call sip:{}@{address} --say FILE.wav\n\
         \u{20}  afterbeep message list {} --config {config}\n\n\
         Ctrl-C ends it.\n",
        ann.number,
        ann.passcode.digits(),
        bob.number,
        bob.passcode.digits(),
        bob.number,
        ann.number,
    ));
}

fn fresh_folder(wanted: &Path) -> anyhow::Result<PathBuf> {
    for number in 1..1000 {
        let folder = if number == 1 { wanted.to_owned() } else { PathBuf::from(format!("{}-{number}", wanted.display())) };
        match fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot make the folder {}; name another with --dir", folder.display()));
            }
        }
    }
    bail!("{} and its next 998 names are taken; name another folder with --dir", wanted.display())
}

fn is_free(port: u16) -> bool {
    let address = (Ipv4Addr::LOCALHOST, port);
    UdpSocket::bind(address).is_ok() && std::net::TcpListener::bind(address).is_ok()
}

fn step(number: u32, text: &str) {
    tell(&format!("  [{number}/6]  {text}\n"));
}

fn tell(text: &str) {
    let mut out = io::stdout();
    // Whoever closed our output does not want to know.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
