//! Pulling the plug at random moments under concurrent deposits: what was promised is there once, what was interrupted is there
//! but for its end, and nothing is left over.
//!
//! `AFTERBEEP_CRASH_ROUNDS` (default: 50) says how often, `AFTERBEEP_CRASH_SEED` repeats a run as far as chance is ours.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    env, fs,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use afterbeep::{
    audio::{codec::Codec, law::Law, wav},
    domain::{
        id::{MailboxId, MessageId},
        message::Message,
        time::Timestamp,
    },
    ivr::PromptId,
    phone::{Call, Phone},
    store::{Store, StoreConfig, outbox::Errand},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tempfile::TempDir;

use crate::support::server::Server;

/// How many data folders are crashed on at the same time, and how many callers each has.
const LANES: u32 = 3;
const CALLERS: u32 = 6;
/// After so many rounds a lane takes a fresh folder, so that no mailbox gets full.
const ROUNDS_A_FOLDER: u32 = 40;
/// The shortest recording that becomes a message, as the servers here are set.
const SHORTEST: Duration = Duration::from_secs(1);
/// How much of its end an interrupted recording may lose.
const LOSS: Duration = Duration::from_secs(1);
/// What every caller waits for at most.
const PATIENCE: Duration = Duration::from_secs(20);
/// How much later than that a caller on a busy machine may begin, in samples.
const LATE: usize = 16_000;
/// A caller draws breath after the beep.
pub const BREATH: usize = 1600;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_killed_server_loses_nothing_it_promised() {
    let number = |name: &str| env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")));
    let rounds = number("AFTERBEEP_CRASH_ROUNDS").map_or(50, |rounds: u64| u32::try_from(rounds).expect("fewer rounds"));
    let seed: u64 = number("AFTERBEEP_CRASH_SEED").unwrap_or_else(rand::random);
    eprintln!("AFTERBEEP_CRASH_SEED={seed} AFTERBEEP_CRASH_ROUNDS={rounds}");
    let figures = Arc::new(Figures::default());

    let mut begun = 0;
    // Which moments are hit is chance; a full run goes on until none is left out.
    for more in [rounds, rounds, rounds] {
        let rest = Arc::new(AtomicU32::new(more));
        let lanes: Vec<_> = (begun..begun + LANES)
            .map(|lane| {
                let (rest, figures) = (rest.clone(), figures.clone());
                let random = StdRng::seed_from_u64(seed.wrapping_add(u64::from(lane)));
                tokio::spawn(Lane { lane, random, figures }.run(rest))
            })
            .collect();
        for lane in lanes {
            if let Err(error) = lane.await {
                panic!("AFTERBEEP_CRASH_SEED={seed}: {error}");
            }
        }
        begun += LANES;
        eprintln!("{}", figures.report());
        if rounds < 50 || figures.covers_every_phase() {
            return;
        }
    }
    panic!("some moment of a call was never hit");
}

/// One data folder after another, with a server on it that is killed again and again.
struct Lane {
    lane: u32,
    random: StdRng,
    figures: Arc<Figures>,
}

impl Lane {
    async fn run(mut self, rest: Arc<AtomicU32>) {
        let one_less = |rest: u32| rest.checked_sub(1);
        let mut house: Option<House> = None;
        let mut round = 0;
        while rest.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
            round += 1;
            let mut current = match house.take() {
                Some(house) => house,
                None => House::build().await,
            };
            current = self.round(current, round).await;
            if round % ROUNDS_A_FOLDER == 0 {
                current.inspect_the_rest().await;
            } else {
                house = Some(current);
            }
        }
        if let Some(house) = house {
            house.inspect_the_rest().await;
        }
    }

    /// Lets callers call, kills the server, starts it again, and looks what is left of each call.
    async fn round(&mut self, house: House, round: u32) -> House {
        let House { server, mailboxes, ledger } = house;
        let callers: Vec<_> = (0..CALLERS)
            .map(|slot| {
                let random = StdRng::seed_from_u64(self.random.random());
                let prefix = format!("2{}{round:04}{slot}", self.lane);
                // Every other caller leaves each message in a neighbour's mailbox as well.
                let copies = 1 + slot as usize % 2;
                let named = [number(slot), number((slot + 1) % CALLERS)][..copies].join("&");
                let target = format!("sip:{named}@{}", server.udp());
                let attempts = Arc::new(Mutex::new(Vec::new()));
                (attempts.clone(), copies, tokio::spawn(keep_calling(target, prefix, random, attempts)))
            })
            .collect();

        tokio::time::sleep(Duration::from_millis(self.random.random_range(300..7000))).await;
        let seen = ids(&messages(server.path("data").as_path(), &mailboxes).await);
        let killed_at = Instant::now();
        let folder = tokio::task::block_in_place(|| server.kill());
        // What was on its way to the callers may still be heard by them.
        tokio::time::sleep(Duration::from_millis(60)).await;
        for (_, _, caller) in &callers {
            caller.abort();
        }
        self.figures.rounds.fetch_add(1, Ordering::Relaxed);

        for _ in 0..4 {
            if self.random.random_ratio(2, 3) {
                break;
            }
            tokio::task::block_in_place(|| crash_while_recovering(&folder, self.random.random_range(5..250)));
            self.figures.recoveries.fetch_add(1, Ordering::Relaxed);
        }
        let server = tokio::task::block_in_place(|| Server::start_in(folder, SETTINGS));

        let data = server.path("data");
        assert_eq!(envelopes(&data), Vec::<String>::new(), "everything is recovered before calls are taken");
        assert!(!data.join("spool/quarantine").exists(), "nothing was put aside");
        let left = messages(&data, &mailboxes).await;
        let there = ids(&left);
        assert_eq!(seen.difference(&there).collect::<Vec<_>>(), Vec::<&MessageId>::new(), "messages that were seen are gone");
        let mut house = House { server, mailboxes, ledger };
        assert_eq!(house.ledger.difference(&there).collect::<Vec<_>>(), Vec::<&MessageId>::new(), "older messages are gone");
        let mut new: HashMap<String, Vec<Message>> = HashMap::new();
        for message in left {
            if !house.ledger.contains(&message.id) {
                new.entry(message.caller.number.clone().unwrap_or_default()).or_default().push(message);
            }
        }
        let store = open(&data).await;
        for (attempts, copies, _) in callers {
            let attempts = std::mem::take(&mut *lock(&attempts));
            for attempt in attempts {
                let found = new.remove(&attempt.number).unwrap_or_default();
                let audio = match found.first() {
                    Some(message) => Some(store.audio(&message.audio).await.expect("the audio of every message is there")),
                    None => None,
                };
                attempt.check(copies, &found, audio.as_deref(), killed_at, &self.figures);
            }
        }
        assert!(new.is_empty(), "messages of nobody, or of calls long over: {new:?}");
        house.ledger = there;
        house
    }
}

/// What was said is compared with what is kept, so nothing is made better of it.
const SETTINGS: &str = "[deposit]\nshortest = \"1s\"\nclean_audio = false\n";

/// A server with its mailboxes, and what is known to be in them.
struct House {
    server: Server,
    mailboxes: Vec<MailboxId>,
    ledger: HashSet<MessageId>,
}

impl House {
    async fn build() -> Self {
        let server = tokio::task::block_in_place(|| {
            let server = Server::start(SETTINGS);
            for slot in 0..CALLERS {
                let email = format!("s{slot}@example.com");
                server.add_mailbox(&number(slot), &["--email", &email, "--voice-to-email", "on"]);
            }
            server
        });
        let store = open(&server.path("data")).await;
        let mut mailboxes = Vec::new();
        for slot in 0..CALLERS {
            let mailbox = store.find_mailbox("", &number(slot)).await.expect("the store answers");
            mailboxes.push(mailbox.expect("it was just added").id);
        }
        Self { server, mailboxes, ledger: HashSet::new() }
    }

    /// Looks at what is left over when all is quiet: one mail for each message, an empty spool, no audio of nobody.
    async fn inspect_the_rest(self) {
        let folder = tokio::task::block_in_place(|| self.server.kill());
        let data = folder.path().join("data");
        // Scraps without a word in them are left to the sweep, which takes only what is old.
        for scrap in files(&data.join("spool")) {
            let file = fs::File::options().write(true).open(&scrap).expect("a file of the spool");
            file.set_modified(std::time::SystemTime::now() - Duration::from_hours(3)).expect("its time is set");
        }
        let server = tokio::task::block_in_place(|| Server::start_in(folder, SETTINGS));
        server.run(&["job", "run", "sweep-orphans"]);

        let spool = files(&data.join("spool")).into_iter().filter(|path| path.file_name().is_some_and(|name| name != "lock"));
        assert_eq!(spool.collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new(), "the spool is empty");
        let store = open(&data).await;
        let mut rows: HashMap<MessageId, u32> = HashMap::new();
        for item in store.list_outbox().await.expect("the outbox") {
            match item.errand {
                Errand::Message { message } => *rows.entry(message).or_default() += 1,
                other => panic!("nothing else happened: {other:?}"),
            }
        }
        let messages = messages(&data, &self.mailboxes).await;
        for message in &messages {
            let mail = data.join("mail").join(message.id.as_str()).with_extension("eml");
            // A mail that was written but not noted has both; it is written over when its lease is over.
            match rows.remove(&message.id) {
                None => assert!(mail.is_file(), "no mail, and none to come: {message:?}"),
                Some(rows) => assert_eq!(rows, 1, "{message:?}"),
            }
        }
        let mails = files(&data.join("mail")).into_iter().filter(|file| file.extension().is_some_and(|end| end == "eml")).count();
        assert!(mails <= messages.len(), "{mails} mails of {} messages", messages.len());
        assert!(rows.is_empty(), "mails about nothing: {rows:?}");
    }
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Dialling,
    Greeting,
    Speaking,
    HangingUp,
    HungUp,
    EndingByKey,
    Reviewing,
    Accepting,
    Sent,
    Cancelling,
    Cancelled,
}

/// One call: who, what they meant to say, and how far they got.
struct Attempt {
    number: String,
    /// What the caller says, as it sounds after the codec.
    words: Vec<i16>,
    phase: Phase,
    /// How many samples of the words had been sent, and when.
    said: Vec<(Instant, usize)>,
}

impl Attempt {
    /// Compares what became of a call with what its caller knows.
    fn check(&self, copies: usize, found: &[Message], audio: Option<&[u8]>, killed_at: Instant, figures: &Figures) {
        let who = format!("the call from {} in {:?}", self.number, self.phase);
        let kept_in: HashSet<&MailboxId> = found.iter().map(|message| &message.mailbox).collect();
        assert_eq!(kept_in.len(), found.len(), "{who} was kept twice in a mailbox");
        assert!(found.is_empty() || found.len() == copies, "{who} was kept {} times, and not {copies} times", found.len());
        if let [message, other] = found {
            assert_eq!((&message.audio, message.interrupted), (&other.audio, other.interrupted), "{who}");
            figures.in_two.fetch_add(1, Ordering::Relaxed);
        }
        // The first look after the kill: no less than had been said by then.
        let said = self.said.iter().find(|(at, _)| *at >= killed_at).or(self.said.last()).map_or(0, |(_, said)| *said);
        let spoken = duration(said);
        figures.count(self.phase);
        let must_be_there = match self.phase {
            Phase::Dialling | Phase::Greeting | Phase::Cancelling | Phase::Cancelled => false,
            Phase::Speaking | Phase::HangingUp | Phase::HungUp | Phase::EndingByKey => spoken >= SHORTEST + LOSS,
            Phase::Reviewing | Phase::Accepting | Phase::Sent => true,
        };
        let Some((message, audio)) = found.first().zip(audio) else {
            assert!(!must_be_there, "{who}, {spoken:?} after the beep, is lost");
            return;
        };
        assert!(self.phase != Phase::Cancelled, "{who} was taken back, and is there");
        let samples = wav::read(audio, Duration::from_secs(60)).expect("a WAV that can be read");
        assert_eq!(duration(samples.len()).as_millis(), message.duration.as_millis(), "{who}");
        if said == 0 {
            return;
        }
        let kept = kept_words(&self.words, &samples).unwrap_or_else(|| {
            panic!("{who} does not begin with what was said: {said} samples of it, {} kept, found {found:?}", samples.len())
        });
        let lost = duration(said.saturating_sub(kept));
        let whole = match self.phase {
            Phase::Reviewing | Phase::Accepting | Phase::Sent => true,
            // Nobody crashed before it was finished.
            _ => !message.interrupted,
        };
        assert!(self.phase != Phase::Sent || !message.interrupted, "{who} was said to be sent, and counts as interrupted");
        if whole {
            assert_eq!(lost, Duration::ZERO, "{who} is not whole");
            figures.whole.fetch_add(1, Ordering::Relaxed);
        }
        if message.interrupted {
            assert!(lost <= LOSS, "{who}, {spoken:?} after the beep, lost {lost:?}");
            lock(&figures.losses).push((self.phase, lost));
        }
    }
}

/// How many samples of the words there are at the beginning of a recording, after the caller's breath; damaged frames in between
/// count, as the network may lose some.
pub fn kept_words(words: &[i16], recorded: &[i16]) -> Option<usize> {
    // The recording starts with what the line carried between the beep and the first word.
    let latest = (BREATH + LATE).min(recorded.len());
    let start = (0..latest).find(|&at| {
        let voice = recorded[at..].iter().zip(&words[BREATH..]).take(400);
        recorded.len() - at >= 400 && voice.clone().all(|(a, b)| a == b)
    })?;
    let words = &words[BREATH..];
    let common = (recorded.len() - start).min(words.len());
    let frames = recorded[start..start + common].chunks(160).zip(words.chunks(160));
    let alike: Vec<bool> = frames.map(|(a, b)| a == &b[..a.len()]).collect();
    let last = alike.iter().rposition(|alike| *alike)?;
    assert!(alike[..last].iter().filter(|alike| !**alike).count() * 50 <= last, "more than 2 % of the frames are damaged");
    Some(BREATH + ((last + 1) * 160).min(common))
}

/// Calls again and again, until it is aborted.
async fn keep_calling(target: String, prefix: String, mut random: StdRng, attempts: Arc<Mutex<Vec<Attempt>>>) {
    let prompts = [PromptId::MessageSent, PromptId::MessageCancelled];
    for count in 0..100 {
        let (codec, law) = [(Codec::Pcmu, Law::Mu), (Codec::Pcma, Law::A)][random.random_range(0..2)];
        let spoken = random.random_range(SHORTEST.as_millis() as usize + 300..3000) * 8;
        let mut words = vec![0; BREATH];
        words.extend(babble(&mut random, spoken - spoken % 160));
        let number = format!("{prefix}{count:02}");
        let heard_words = law.decoded(&law.encoded(&words));
        let index = {
            let mut attempts = lock(&attempts);
            attempts.push(Attempt { number: number.clone(), words: heard_words, phase: Phase::Dialling, said: Vec::new() });
            attempts.len() - 1
        };
        let enter = |phase: Phase| lock(&attempts)[index].phase = phase;
        let Ok(phone) = Phone::towards(&target).await else { return };
        let Ok(call) = phone.from(&number).codecs(&[codec]).dial(&target).await else { return };
        enter(Phase::Greeting);
        call.line().press("#");
        if call.line().wait_for_beep(0, PATIENCE).await.is_none() {
            return;
        }
        enter(Phase::Speaking);
        let length = words.len();
        call.line().say(words);
        loop {
            let all = call.line().wait_until_said(Duration::from_millis(10)).await;
            let said = length.saturating_sub(call.line().unsaid());
            lock(&attempts)[index].said.push((Instant::now(), said));
            if all {
                break;
            }
        }
        match random.random_range(0..10) {
            0..4 => {
                enter(Phase::HangingUp);
                call.hang_up().await;
                enter(Phase::HungUp);
            }
            way @ 4..=9 => {
                enter(Phase::EndingByKey);
                let at = call.line().position();
                call.line().press("#");
                // Where the line lost much of it, the caller is told instead that it was too short.
                if !hears(&call, PromptId::ToSend, law, at).await {
                    return;
                }
                enter(Phase::Reviewing);
                tokio::time::sleep(Duration::from_millis(random.random_range(0..600))).await;
                let (key, during, prompt, after) = match way {
                    4..8 => ("1", Phase::Accepting, prompts[0], Phase::Sent),
                    _ => ("*", Phase::Cancelling, prompts[1], Phase::Cancelled),
                };
                let at = call.line().position();
                enter(during);
                call.line().press(key);
                if !hears(&call, prompt, law, at).await {
                    return;
                }
                enter(after);
            }
            _ => unreachable!("ten ways"),
        }
    }
}

/// Waits until a prompt begins to be heard, to the very sample.
pub async fn hears(call: &Call, prompt: PromptId, law: Law, from: usize) -> bool {
    let samples = wav::read(prompt.wav(), PATIENCE).expect("an embedded prompt");
    let samples = law.decoded(&law.encoded(&samples));
    let energy = |part: &[i16]| part.iter().map(|&sample| i64::from(sample).pow(2)).sum::<i64>();
    let excerpt = samples[..8000.min(samples.len())].chunks_exact(400).max_by_key(|part| energy(part)).expect("a prompt");
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if call.line().heard().get(from..).is_some_and(|heard| heard.windows(excerpt.len()).any(|window| window == excerpt)) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

/// Starts the server on a crashed folder, and kills it while it is at work on it, if it is not faster.
fn crash_while_recovering(folder: &TempDir, after_ms: u64) {
    let mut process = Command::new(env!("CARGO_BIN_EXE_afterbeep"))
        .args(["serve", "--config"])
        .arg(folder.path().join("afterbeep.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the server starts");
    std::thread::sleep(Duration::from_millis(after_ms));
    process.kill().expect("a running server");
    process.wait().expect("a killed server");
}

fn number(slot: u32) -> String {
    (1001 + slot).to_string()
}

async fn open(data: &Path) -> Store {
    let config = StoreConfig::local(data).expect("the data folder");
    Store::open(config).await.expect("the store of the server")
}

/// What is in all mailboxes, seen through a connection of our own.
async fn messages(data: &Path, mailboxes: &[MailboxId]) -> Vec<Message> {
    let store = open(data).await;
    let now = Timestamp::from_millis(chrono::Utc::now().timestamp_millis());
    let mut all = Vec::new();
    for mailbox in mailboxes {
        all.extend(store.messages(mailbox, now).await.expect("the messages"));
    }
    all
}

fn ids(messages: &[Message]) -> HashSet<MessageId> {
    messages.iter().map(|message| message.id.clone()).collect()
}

fn envelopes(data: &Path) -> Vec<String> {
    let names = files(&data.join("spool")).into_iter().map(|path| path.to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".envelope")).collect()
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn duration(samples: usize) -> Duration {
    Duration::from_micros(samples as u64 * 125)
}

/// Speech-like noise that nobody else says.
pub fn babble(random: &mut StdRng, samples: usize) -> Vec<i16> {
    let mut audio = Vec::with_capacity(samples + 3200);
    while audio.len() < samples {
        let loudness = random.random_range(2000..9000);
        for _ in 0..random.random_range(800..3200) {
            audio.push(random.random_range(-loudness..=loudness));
        }
    }
    audio.truncate(samples);
    audio
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What all rounds together have shown.
#[derive(Default)]
struct Figures {
    rounds: AtomicU32,
    recoveries: AtomicU32,
    whole: AtomicU32,
    in_two: AtomicU32,
    phases: Mutex<BTreeMap<Phase, u32>>,
    losses: Mutex<Vec<(Phase, Duration)>>,
}

impl Figures {
    fn count(&self, phase: Phase) {
        *lock(&self.phases).entry(phase).or_default() += 1;
    }

    fn covers_every_phase(&self) -> bool {
        let phases = lock(&self.phases);
        // A hang-up takes a moment that is seldom hit.
        let wanted = [Phase::Greeting, Phase::Speaking, Phase::HungUp, Phase::Reviewing, Phase::Sent, Phase::Cancelled];
        wanted.iter().all(|phase| phases.contains_key(phase))
    }

    fn report(&self) -> String {
        let losses = lock(&self.losses);
        let longest = losses.iter().map(|(_, lost)| *lost).max().unwrap_or_default();
        let mean = losses.iter().map(|(_, lost)| *lost).sum::<Duration>() / u32::try_from(losses.len().max(1)).unwrap_or(1);
        format!(
            "{} kills and {} more while recovering; calls by how far they were: {:?}; {} whole, {} interrupted with at most \
             {longest:?} lost, {mean:?} on average; {} kept in two mailboxes each",
            self.rounds.load(Ordering::Relaxed),
            self.recoveries.load(Ordering::Relaxed),
            lock(&self.phases),
            self.whole.load(Ordering::Relaxed),
            losses.len(),
            self.in_two.load(Ordering::Relaxed),
        )
    }
}
