//! What callers notice, and what is left of their messages, when a disk, a database or a part of the server itself fails.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use afterbeep::{
    audio::{codec::Codec, law::Law, wav},
    call::{
        Calls,
        driver::{Driver, Line},
        library::Library,
        record::RunningRecord,
        screening::{Screening, ScreeningCodes},
        session,
        transfer::Transfers,
    },
    domain::{
        caller::Caller, id::CallId, mailbox::Mailbox, message::Message, passcode::Passcode, time::TimeZone, time::Timestamp,
    },
    ivr::{self, Entry, MailboxView, PromptId},
    lines::admission::Admission,
    media::{MediaConfig, MediaEngine},
    phone::{Call, Phone},
    sip::{auth::Authenticator, flow::ListenAddr, handle::NewCall, transport::SipServer, uas::UasConfig},
    store::{Store, StoreConfig, mailbox::NewMailbox, record::Records},
};
use rand::{SeedableRng as _, rngs::StdRng};
use sqlx::{Connection as _, Executor as _};
use tokio::sync::{mpsc, watch};

use crate::{
    crash::{BREATH, babble, hears, kept_words},
    support::{postgres, server::Server},
};

const SECOND: Duration = Duration::from_secs(1);
/// How long anything may take, a retry of the spool included.
const PATIENCE: Duration = Duration::from_secs(60);
const LAW: Law = Law::Mu;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fills_up_keeps_what_was_recorded_and_turns_the_next_caller_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(disk) = Disk::mount(&folder.path().join("data"), "size=288m") else { return };
    let server = Server::start_in(folder, "");
    server.add_mailbox("1001", &[]);
    let store = open(&server).await;
    let filler = disk.path.join("filler");

    let (call, words) = speak(&server, 6).await;
    say_until(&call, &words, 3 * 8000).await;
    fill(&filler);
    let at = call.line().position();
    let told = call.line().wait_for_audio(at, PATIENCE).await;
    call.hang_up().await;
    let next = dial(&server).await;
    let turned_away = hears(&next, PromptId::CannotRecord, LAW, 0).await;
    fs::remove_file(filler).expect("the filler goes");
    let messages = arrived(&store, 1).await;

    assert!(told.is_some(), "the caller hears that the recording is over");
    assert!(turned_away, "the next caller hears that nothing can be recorded");
    let kept = kept(&store, &messages[0], &words).await;
    assert!(kept >= 2 * 8000, "3 s were on the disk but for the last buffer, {kept} samples are in the message");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spool_that_cannot_be_written_keeps_the_server_from_starting() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("data")).expect("a folder");
    let Some(_disk) = Disk::mount(&folder.path().join("data/spool"), "size=1m,ro") else { return };
    fs::write(folder.path().join("afterbeep.toml"), CONFIG).expect("the configuration is written");

    let output = serve(folder.path());

    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("data/spool") && said.contains("ead-only"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_on_a_spool_is_refused_and_the_first_goes_on() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let store = open(&server).await;

    let output = tokio::task::block_in_place(|| serve(server.path("").as_path()));

    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("belongs to another running server"), "{said}");
    let (call, words) = speak(&server, 3).await;
    accept(&call).await;
    let messages = arrived(&store, 1).await;
    assert_eq!(kept(&store, &messages[0], &words).await, words.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_locked_is_not_noticed_by_callers_and_gets_their_messages_later() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let store = open(&server).await;
    let callers = [speak(&server, 3).await, speak(&server, 3).await, speak(&server, 3).await];
    sqlx::any::install_default_drivers();
    let url = afterbeep::store::sqlite_url(&server.path("data/afterbeep.db"));
    let mut lock = sqlx::AnyConnection::connect(&url).await.expect("a connection");
    lock.execute("BEGIN EXCLUSIVE").await.expect("the lock");

    let (first, second, third) = tokio::join!(accept(&callers[0].0), accept(&callers[1].0), accept(&callers[2].0));
    let before = messages(&store).await.len();
    lock.execute("ROLLBACK").await.expect("the lock is given back");
    let messages = arrived(&store, 3).await;

    assert!(first && second && third, "every caller hears that the message is sent");
    assert_eq!(before, 0);
    assert!(messages.iter().all(|message| !message.interrupted), "{messages:?}");
    within("the spool is empty", async || (envelopes(&server) == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn audio_that_cannot_be_stored_waits_in_the_spool() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let store = open(&server).await;
    let (call, words) = speak(&server, 3).await;
    let (audio, away) = (server.path("data/audio"), server.path("data/away"));
    fs::rename(&audio, &away).expect("the folder goes away");
    fs::write(&audio, "in the way").expect("something else is there");

    let told = accept(&call).await;
    let before = messages(&store).await.len();
    fs::remove_file(&audio).expect("it goes");
    fs::rename(&away, &audio).expect("the folder comes back");
    let messages = arrived(&store, 1).await;

    assert!(told, "the caller hears that the message is sent");
    assert_eq!(before, 0);
    assert!(!messages[0].interrupted);
    assert_eq!(kept(&store, &messages[0], &words).await, words.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_lets_calls_end_and_gets_their_messages_later() {
    let Some(database) = postgres::OwnServer::start() else { return };
    let server = Server::start_with(&format!("database_url = \"{}\"\n", database.url()));
    server.add_mailbox("1001", &[]);
    let config = StoreConfig { database_url: database.url(), ..StoreConfig::local(&server.path("data")).expect("the folders") };
    let store = Store::open(config).await.expect("the store of the server");
    let (call, words) = speak(&server, 3).await;
    database.freeze();

    let told = accept(&call).await;
    let refused = Phone::towards(&target(&server)).await.expect("a telephone").dial(&target(&server)).await;
    database.thaw();

    assert!(told, "the caller hears that the message is sent");
    assert!(
        matches!(refused, Err(afterbeep::phone::CallError::Refused { status: 503, .. })),
        "a new call is refused while nobody knows whose mailbox it is for"
    );
    let messages = arrived(&store, 1).await;
    assert!(!messages[0].interrupted);
    assert_eq!(kept(&store, &messages[0], &words).await, words.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_breaks_off_leaves_its_message() {
    static BROKEN: AtomicBool = AtomicBool::new(false);
    fn clock() -> Timestamp {
        assert!(!BROKEN.load(Ordering::SeqCst), "the clock is broken on purpose");
        now()
    }
    let mut house = InProcess::build(clock).await;
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(house.calls.clone().run(std::mem::replace(&mut house.incoming, mpsc::channel(1).1), stopping));
    let (call, words) = speak_at(&house.target, 3).await;

    BROKEN.store(true, Ordering::SeqCst);
    call.hang_up().await;
    let messages = house.recovered().await;

    assert!(messages[0].interrupted, "nobody knows how it would have ended");
    let kept = kept(&house.store, &messages[0], &words).await;
    assert!(words.len() - kept <= 8000, "{kept} of {} samples", words.len());
    drop(stop);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_media_thread_is_gone_ends_and_leaves_its_message() {
    let mut house = InProcess::build(now).await;
    let target = house.target.clone();
    let caller = tokio::spawn(async move { speak_at(&target, 3).await });
    let NewCall { invite, handle } = house.incoming.recv().await.expect("a call");
    let record = RunningRecord::begin(Records::default(), now, CallId::random(), &invite);
    let answered =
        session::answer(&house.calls.media, &Codec::ALL, house.calls.srtp, &invite, handle, Duration::ZERO, true).await;
    let mut session = answered.expect("a session");
    let (events, relayed) = mpsc::channel(64);
    let mut real = std::mem::replace(&mut session.media_events, relayed);
    let relay = tokio::spawn(async move {
        while let Some(event) = real.recv().await {
            events.send(event).await.expect("the call listens");
        }
    });
    let entry = Entry::Deposit { mailbox: MailboxView::of(&house.mailbox, false) };
    let line = Line {
        id: CallId::random(),
        caller: Caller::private(),
        verified: false,
        rule: None,
        peer: None,
        called: None,
        guesser: "nobody".to_owned(),
        source: [127, 0, 0, 1].into(),
        domain: String::new(),
        language: None,
        phrases: afterbeep::ivr::TenantPhrases::default(),
        believed: false,
        own_line: false,
    };
    let driver = Driver::new(house.calls.clone(), session, line, entry, record);
    let (_stop, stopping) = watch::channel(false);
    let driver = tokio::spawn(driver.run(stopping));
    let (mut call, _) = caller.await.expect("a caller");

    relay.abort();
    let hung_up = call.wait_for_the_end(PATIENCE).await;
    tokio::time::timeout(PATIENCE, driver).await.expect("the call ends").expect("without a panic");
    let messages = house.recovered().await;

    assert!(hung_up);
    assert!(messages[0].interrupted && messages[0].duration >= SECOND * 2, "{messages:?}");
}

const CONFIG: &str = "data_dir = \"data\"\n[sip]\nlisten = [\"udp:127.0.0.1:0\"]\n";

/// The parts of a server that lead calls, in this process.
struct InProcess {
    calls: Arc<Calls>,
    store: Store,
    mailbox: Mailbox,
    incoming: mpsc::Receiver<NewCall>,
    target: String,
    _folder: tempfile::TempDir,
}

impl InProcess {
    async fn build(clock: fn() -> Timestamp) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(StoreConfig::local(folder.path()).expect("folders")).await.expect("a store");
        let new = NewMailbox {
            tenant: String::new(),
            number: "1001".parse().expect("a number"),
            aliases: Vec::new(),
            name: String::new(),
            email: None,
            voice_to_email: false,
            time_zone: TimeZone::UTC,
            language: "en".to_owned(),
            passcode: Passcode::typed("49158730").expect("a passcode"),
        };
        let mailbox = store.create_mailbox(new, now()).await.expect("a mailbox");
        let sip = SipServer::bind(&[ListenAddr::udp(([127, 0, 0, 1], 0).into())], UasConfig::default()).expect("a socket");
        let target = format!("sip:1001@{}", sip.local_addrs()[0].address);
        let (new_calls, incoming) = mpsc::channel(8);
        let (requests, _) = mpsc::channel(1);
        tokio::spawn(sip.run(new_calls, requests, std::future::pending()));
        let authenticator = Authenticator::new("afterbeep", [0; 32], std::time::Instant::now(), Duration::ZERO);
        let calls = Arc::new(Calls {
            store: store.clone(),
            admission: Arc::new(Admission::new(store.clone(), Arc::new(authenticator), Duration::ZERO)),
            media: MediaEngine::start(MediaConfig::default()).expect("media threads"),
            library: Library::default(),
            menus: ivr::Settings { shortest_message: SECOND, trailing_silence: None, ..ivr::Settings::default() },
            access_languages: vec![],
            srtp: afterbeep::sdp::Policy::Optional,
            codecs: Codec::ALL.to_vec(),
            wideband: true,
            screening: Screening::open(),
            access_codes: Vec::new(),
            transfers: Transfers::default(),
            direct_prefixes: Vec::new(),
            screening_codes: ScreeningCodes::default(),
            ring: Duration::ZERO,
            trusts: Box::new(|_| false),
            dial_rule: Box::new(|_| None),
            records: Records::default(),
            now: clock,
        });
        Self { calls, store, mailbox, incoming, target, _folder: folder }
    }

    /// What the spool's retry makes of a recording that its call left behind.
    async fn recovered(&self) -> Vec<Message> {
        within("the recording is left to the spool", async || {
            self.store.retry_spool(now()).await.expect("the spool");
            Some(self.store.messages(&self.mailbox.id, now()).await.expect("messages")).filter(|messages| messages.len() == 1)
        })
        .await
    }
}

/// A file system of our own, gone when dropped.
struct Disk {
    path: PathBuf,
}

impl Disk {
    /// `None`, and a line that says so, where we may not mount anything.
    fn mount(path: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(path).expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "afterbeep-test"]).arg(path).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { path: path.to_owned() }),
            _ => {
                eprintln!("skipped: this test must be allowed to mount a tmpfs (root, with CAP_SYS_ADMIN)");
                None
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.path).status();
        // What could not be removed around it while it was there.
        let _ = self.path.parent().map(fs::remove_dir_all);
    }
}

/// Writes until the disk takes no more.
fn fill(filler: &Path) {
    let mut file = fs::File::create(filler).expect("a file");
    let block = vec![0x55; 1 << 20];
    for size in [1 << 20, 4096] {
        while std::io::Write::write_all(&mut file, &block[..size]).is_ok() {}
    }
}

/// Starts a server that is expected to end by itself.
fn serve(folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_afterbeep"));
    command.args(["serve", "--config"]).arg(folder.join("afterbeep.toml")).stdin(Stdio::null());
    command.output().expect("the server starts")
}

fn target(server: &Server) -> String {
    format!("sip:1001@{}", server.udp())
}

async fn dial(server: &Server) -> Call {
    let call = dial_at(&target(server)).await;
    call.line().press("#");
    call
}

async fn dial_at(target: &str) -> Call {
    let phone = Phone::towards(target).await.expect("a telephone").from("2025550143").codecs(&[Codec::Pcmu]);
    phone.dial(target).await.expect("an answer")
}

/// Calls and says so many seconds after the beep; gives back the call and what was said.
async fn speak(server: &Server, seconds: usize) -> (Call, Vec<i16>) {
    let spoken = speak_at(&target(server), seconds).await;
    assert!(seconds > 3 || spoken.0.line().unsaid() == 0);
    spoken
}

async fn speak_at(target: &str, seconds: usize) -> (Call, Vec<i16>) {
    let call = dial_at(target).await;
    call.line().press("#");
    assert!(call.line().wait_for_beep(0, PATIENCE).await.is_some(), "no beep");
    let mut words = vec![0; BREATH];
    words.extend(babble(&mut StdRng::seed_from_u64(seconds as u64), seconds * 8000 - BREATH));
    call.line().say(words.clone());
    if seconds <= 3 {
        assert!(call.line().wait_until_said(PATIENCE).await, "nothing can be said");
    }
    (call, LAW.decoded(&LAW.encoded(&words)))
}

async fn say_until(call: &Call, words: &[i16], said: usize) {
    within("enough is said", async || (words.len() - call.line().unsaid() >= said).then_some(())).await;
}

/// Ends the recording by key, accepts it, and says whether "message sent" was heard.
async fn accept(call: &Call) -> bool {
    let at = call.line().position();
    call.line().press("#");
    assert!(call.line().wait_for_audio(at, PATIENCE).await.is_some(), "no review");
    let at = call.line().position();
    call.line().press("1");
    within("the end of the deposit", async || {
        let sent = hears(call, PromptId::MessageSent, LAW, at).await;
        sent.then_some(())
    })
    .await;
    true
}

async fn open(server: &Server) -> Store {
    Store::open(StoreConfig::local(&server.path("data")).expect("the folders")).await.expect("the store of the server")
}

async fn messages(store: &Store) -> Vec<Message> {
    let mailbox = store.find_mailbox("", "1001").await.expect("the store answers").expect("it was added");
    store.messages(&mailbox.id, now()).await.expect("messages")
}

/// Waits until so many messages are there.
async fn arrived(store: &Store, count: usize) -> Vec<Message> {
    within("the messages arrive", async || Some(messages(store).await).filter(|found| found.len() == count)).await
}

/// How many samples of what was said are in a message.
async fn kept(store: &Store, message: &Message, words: &[i16]) -> usize {
    let audio = store.audio(&message.audio).await.expect("its audio");
    kept_words(words, &wav::read(&audio, PATIENCE).expect("a WAV")).expect("it begins with what was said")
}

fn envelopes(server: &Server) -> usize {
    let spool = fs::read_dir(server.path("data/spool")).expect("the spool");
    spool.flatten().filter(|entry| entry.path().extension().is_some_and(|extension| extension == "envelope")).count()
}

async fn within<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited {PATIENCE:?} until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn now() -> Timestamp {
    Timestamp::from_millis(chrono::Utc::now().timestamp_millis())
}
