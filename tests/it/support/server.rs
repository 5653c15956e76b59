//! The real binary as a server of its own, with a fresh data folder, on ports the system chooses.

use std::{
    io::{BufRead, BufReader, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use afterbeep::{
    audio::{duration_of, law::Law},
    domain::{
        caller::Caller,
        id::{CallId, MessageId},
        message::Marks,
        time::Timestamp,
    },
    store::{
        Store, StoreConfig,
        journal::{Encoding, Envelope, Journal},
    },
};
use serde_json::Value;
use tempfile::TempDir;

/// A passcode that no rule refuses.
pub const PASSCODE: &str = "49158730";

/// Our caller's number: one that belongs to nobody.
pub const CALLER: &str = "2025550143";

/// The settings under which every peer on this machine is trusted, as it is when nothing else is said.
pub const TRUSTING: &str = "[sip]\ntrusted_peers = [\"127.0.0.1\"]\n";

/// The settings under which everybody is a stranger, who may leave messages.
pub const OPEN: &str = "[sip]\ntrusted_peers = []\ndeposits_from_anyone = true\n";

/// A running `afterbeep serve`; killed when dropped.
pub struct Server {
    process: Child,
    _output: BufReader<ChildStdout>,
    folder: TempDir,
    udp: SocketAddr,
    tcp: SocketAddr,
    udp_ipv6: SocketAddr,
    /// What it said when it was ready.
    ready: String,
}

impl Server {
    /// Starts a server with `settings` (TOML tables) beside its own, and waits until it takes calls.
    pub fn start(settings: &str) -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder for the server"), settings)
    }

    /// Starts a server with more keys at the top of its settings.
    pub fn start_with(top: &str) -> Self {
        Self::start_on(tempfile::tempdir().expect("a folder for the server"), &[], top, "")
    }

    /// Starts a server on a folder that an earlier one may have left behind.
    pub fn start_in(folder: TempDir, settings: &str) -> Self {
        Self::start_on(folder, &[], "", settings)
    }

    /// Starts a server that listens on more addresses, on a folder with what they need.
    pub fn start_listening(folder: TempDir, also: &[&str], settings: &str) -> Self {
        Self::start_on(folder, also, "", settings)
    }

    /// Starts a server on a folder, with more addresses, keys at the top and settings.
    pub fn start_on(folder: TempDir, also: &[&str], top: &str, settings: &str) -> Self {
        let listen = ["udp:127.0.0.1:0", "tcp:127.0.0.1:0", "udp:[::1]:0"].iter().chain(also).collect::<Vec<_>>();
        let mut listen = format!("listen = {listen:?}\n");
        if !settings.contains("trusted_peers") {
            listen.push_str("trusted_peers = [\"127.0.0.1\", \"::1\"]\n");
        }
        let settings = match settings.split_once("[sip]\n") {
            Some((before, after)) => format!("{before}[sip]\n{listen}{after}"),
            None => format!("[sip]\n{listen}{settings}"),
        };
        let log = if settings.contains("[log]") { "" } else { "[log]\nlevel = \"info,afterbeep=debug\"\n" };
        let own = format!("data_dir = \"data\"\n{top}{log}");
        std::fs::write(folder.path().join("afterbeep.toml"), format!("{own}{settings}")).expect("the configuration is written");
        let log = std::fs::File::options().create(true).append(true).open(folder.path().join("log")).expect("the log is opened");
        let mut serve = command();
        if !settings.contains("calls_per_") {
            // One caller of a test is everybody who calls.
            serve.envs([("AFTERBEEP_DEPOSIT_CALLS_PER_MINUTE", "0"), ("AFTERBEEP_DEPOSIT_CALLS_PER_HOUR", "0")]);
        }
        let mut process = serve
            .args(["serve", "--config"])
            .arg(folder.path().join("afterbeep.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the server starts");
        let mut output = BufReader::new(process.stdout.take().expect("its output is piped"));
        let mut ready = String::new();
        output.read_line(&mut ready).expect("it says that it is ready");
        let address = |start: &str| -> SocketAddr {
            let (transport, _) = start.split_once(':').expect("a transport");
            let word = ready.split_whitespace().find(|word| word.starts_with(start));
            let found = word.and_then(|word| word.strip_prefix(transport)?.strip_prefix(':')?.parse().ok());
            found.unwrap_or_else(|| panic!("not ready: {ready:?}\n{}", read(&folder.path().join("log"))))
        };
        Self {
            udp: address("udp:127"),
            tcp: address("tcp:127"),
            udp_ipv6: address("udp:[::1]"),
            ready: ready.clone(),
            process,
            _output: output,
            folder,
        }
    }

    pub fn udp(&self) -> SocketAddr {
        self.udp
    }

    pub fn tcp(&self) -> SocketAddr {
        self.tcp
    }

    pub fn udp_ipv6(&self) -> SocketAddr {
        self.udp_ipv6
    }

    /// Where it listens for another transport, such as `tls`.
    pub fn address(&self, transport: &str) -> SocketAddr {
        let word = self.ready.split_whitespace().find_map(|word| word.strip_prefix(transport)?.strip_prefix(':'));
        word.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("no {transport} in {:?}", self.ready))
    }

    /// Asks the server to drain.
    pub fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, signal).expect("the server is there");
    }

    /// The process of the server.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Pulls the plug: no signal can be handled. What is on the disk stays.
    pub fn kill(mut self) -> TempDir {
        self.process.kill().expect("a running server");
        self.process.wait().expect("a killed server");
        std::mem::replace(&mut self.folder, tempfile::tempdir().expect("a folder"))
    }

    /// Waits until the server has ended by itself, and says how.
    pub fn wait_for_the_end(&mut self) -> ExitStatus {
        eventually("the server ends", || self.process.try_wait().expect("a child of ours"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Adds an enrolled mailbox with [`PASSCODE`].
    pub fn add_mailbox(&self, number: &str, options: &[&str]) {
        let add = ["mailbox", "add", number, "--passcode", PASSCODE, "--enrolled", "on"];
        self.run(&[&add, options].concat());
    }

    /// Gives a mailbox a line with this password.
    pub fn add_line(&self, number: &str, password: &str) {
        let file = self.path(&format!("password of {number}"));
        std::fs::write(&file, format!("{password}\n")).expect("the password is written");
        self.run(&["line", "set", number, "--password-file", &file.to_string_lossy()]);
    }

    /// The mailbox, as `mailbox show --json` prints it.
    pub fn mailbox(&self, number: &str) -> Value {
        serde_json::from_str(&self.run(&["mailbox", "show", number, "--json"])).expect("a JSON object")
    }

    /// The server's store, seen from another process, with a spool of its own.
    pub async fn store(&self) -> Store {
        let local = StoreConfig::local(&self.path("data")).expect("the server's folders");
        Store::open(StoreConfig { spool_dir: self.path("other-spool"), ..local }).await.expect("a store beside the server")
    }

    /// Leaves a message without a call, as it would have been left at `at`.
    pub async fn leave_message(&self, store: &Store, number: &str, audio: &[i16], at: Timestamp) -> MessageId {
        self.leave_message_of(store, number, Some(CALLER), false, audio, at).await
    }

    /// The same, marked by its caller.
    pub async fn leave_marked_message(
        &self,
        store: &Store,
        number: &str,
        marks: Marks,
        audio: &[i16],
        at: Timestamp,
    ) -> MessageId {
        let mut journal = self.journal(store, number, Some(CALLER), false, at).await;
        journal.mark(marks).expect("the marks are written");
        deposit(store, journal, audio, at).await
    }

    /// The same, from a caller with this number, for which somebody vouches or nobody does.
    pub async fn leave_message_of(
        &self,
        store: &Store,
        number: &str,
        caller: Option<&str>,
        verified: bool,
        audio: &[i16],
        at: Timestamp,
    ) -> MessageId {
        let journal = self.journal(store, number, caller, verified, at).await;
        deposit(store, journal, audio, at).await
    }

    async fn journal(&self, store: &Store, number: &str, caller: Option<&str>, verified: bool, at: Timestamp) -> Journal {
        let mailbox = store.find_mailbox("", number).await.expect("the store works").expect("a mailbox");
        let caller = Caller { number: caller.map(ToOwned::to_owned), name: None };
        let envelope = Envelope {
            message: MessageId::random(),
            mailbox: mailbox.id,
            also: Vec::new(),
            caller,
            started_at: at,
            called: None,
            encoding: Encoding::Mulaw,
            verified,
            call: CallId::random(),
        };
        store.create_journal(envelope).await.expect("a journal")
    }

    /// Runs a command beside the server and gives back what it printed.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output =
            command().args(arguments).arg("--config").arg(self.path("afterbeep.toml")).output().expect("the command starts");
        assert!(
            output.status.success(),
            "{arguments:?} ended with {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("commands print UTF-8")
    }

    /// Runs a command that fails, and gives back what it says.
    pub fn fails(&self, arguments: &[&str]) -> String {
        let output =
            command().args(arguments).arg("--config").arg(self.path("afterbeep.toml")).output().expect("the command starts");
        assert!(!output.status.success(), "{arguments:?} did not fail");
        String::from_utf8(output.stderr).expect("commands print UTF-8")
    }

    /// The messages of a mailbox, as `message list --json` prints them.
    pub fn messages(&self, number: &str) -> Vec<Value> {
        serde_json::from_str(&self.run(&["message", "list", number, "--json"])).expect("a JSON array")
    }

    /// Waits until a mailbox holds `count` messages.
    pub fn wait_for_messages(&self, number: &str, count: usize) -> Vec<Value> {
        eventually(&format!("mailbox {number} holds {count}\n{}", self.log()), || {
            Some(self.messages(number)).filter(|messages| messages.len() == count)
        })
    }

    /// The samples of every message of a mailbox, oldest first; all are at 8000 Hz.
    pub fn audio(&self, number: &str) -> Vec<Vec<i16>> {
        self.audio_at(number, 8000)
    }

    /// The samples of every message of a mailbox as they were recorded, oldest first; all are at this rate.
    pub fn audio_at(&self, number: &str, rate: u32) -> Vec<Vec<i16>> {
        self.exported(number, rate, &["--original"])
    }

    /// The samples of every message of a mailbox as the subscriber hears them, oldest first, at 8000 Hz.
    pub fn cleaned_audio(&self, number: &str) -> Vec<Vec<i16>> {
        self.exported(number, 8000, &[])
    }

    /// How many audio objects there are.
    pub fn audio_files(&self) -> usize {
        let shards = std::fs::read_dir(self.path("data/audio/audio")).into_iter().flatten().flatten();
        shards.flat_map(|shard| std::fs::read_dir(shard.path()).into_iter().flatten()).count()
    }

    fn exported(&self, number: &str, rate: u32, how: &[&str]) -> Vec<Vec<i16>> {
        let to = tempfile::tempdir().expect("a folder for the export");
        self.run(&[&["message", "export", number, "--to", &to.path().to_string_lossy()], how].concat());
        let mut files: Vec<_> = std::fs::read_dir(to.path()).expect("the export").flatten().map(|entry| entry.path()).collect();
        files.sort();
        files
            .iter()
            .filter(|file| file.extension().is_some_and(|extension| extension == "wav"))
            .map(|file| {
                let mut wav = hound::WavReader::open(file).expect("a WAV");
                assert_eq!((wav.spec().sample_rate, wav.spec().channels, wav.spec().bits_per_sample), (rate, 1, 16));
                wav.samples().collect::<Result<_, _>>().expect("whole samples")
            })
            .collect()
    }

    /// Waits until every call is over, and makes sure that nothing was left behind: no recording in the spool, no error in
    /// the log.
    pub fn expect_tidiness(&self) {
        eventually("every call is over and the spool is empty", || {
            let log = self.log();
            let calls =
                |what: &str| log.lines().filter(|line| line.ends_with(what) || line.contains(&format!("{what} "))).count();
            let spooled = std::fs::read_dir(self.path("data/spool")).map_or(0, |spool| {
                spool.flatten().filter(|entry| entry.path().is_file() && entry.metadata().is_ok_and(|it| it.len() > 0)).count()
            });
            (calls("a call is answered") == calls("a call is over") && spooled == 0).then_some(())
        });
        let log = self.log();
        let trouble = log.lines().find(|line| line.contains(" ERROR ") || line.contains("panicked"));
        assert!(trouble.is_none(), "{trouble:?}\n{log}");
    }

    pub fn log(&self) -> String {
        read(&self.path("log"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("--- the server's log\n{}", self.log());
        }
    }
}

async fn deposit(store: &Store, journal: Journal, audio: &[i16], at: Timestamp) -> MessageId {
    let bytes = Law::Mu.encoded(audio);
    journal.audio_file().and_then(|mut file| file.write_all(&bytes)).expect("the audio is written");
    let kept = duration_of(audio.len() as u64);
    store.deposit(journal, kept, at, false).await.expect("the message is deposited").message.id
}

/// Asks until there is an answer, for 30 s at most.
pub fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(done) = attempt() {
            return done;
        }
        assert!(Instant::now() < deadline, "waited 30 s until {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The real binary, which the variables of whoever runs the tests do not configure.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_afterbeep"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AFTERBEEP_")) {
        command.env_remove(name);
    }
    command
}

fn read(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
