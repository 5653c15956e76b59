//! A network that loses, delays, repeats and reorders packets, with the server at one end and callers at the other.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use afterbeep::audio::wav;
use tempfile::TempDir;

use super::server::{command, eventually};

/// Where the server is called.
pub const ADDRESS: &str = "10.77.0.1:5060";

/// Two network namespaces and the wire between them. Dropping it removes them.
pub struct ImpairedNetwork {
    wire: Child,
    input: Option<ChildStdin>,
    near: String,
    far: String,
}

impl ImpairedNetwork {
    /// A wire with these faults, as options of `impaired_network.py`; `None` where this process may not make namespaces.
    pub fn new(faults: &[&str]) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if !rustix::process::geteuid().is_root() || !Path::new("/dev/net/tun").exists() {
            eprintln!("not tried: only root can make a network, and only with /dev/net/tun");
            return None;
        }
        let name = format!("afterbeep-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let (near, far) = (format!("{name}-a"), format!("{name}-b"));
        let mut wire = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/impaired_network.py"))
            .args([&near, &far])
            .args(faults)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is installed");
        let input = wire.stdin.take();
        let mut ready = String::new();
        BufReader::new(wire.stdout.take().expect("its output is piped")).read_line(&mut ready).expect("it says that it is ready");
        assert_eq!(ready, "ready\n", "the network could not be made");
        Some(Self { wire, input, near, far })
    }

    /// A program at the callers' end.
    pub fn at_the_far_end(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        inside(&self.far, program.as_ref())
    }

    /// Starts the server at its end, and waits until it takes calls.
    pub fn serve(&self, settings: &str) -> FarServer {
        FarServer::start(&self.near, ADDRESS, settings)
    }
}

impl Drop for ImpairedNetwork {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.wire.wait();
    }
}

fn inside(namespace: &str, program: &std::ffi::OsStr) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program);
    command
}

/// A network namespace that has nothing but its own loopback. Dropping it removes it.
pub struct LonelyNetwork(String);

impl LonelyNetwork {
    /// A new one; `None` where this process may not make namespaces.
    pub fn new(name: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("not tried: only root can make a network");
            return None;
        }
        let network = Self(format!("afterbeep-{}-{name}", std::process::id()));
        for words in [&["netns", "add", &network.0][..], &["-n", &network.0, "link", "set", "lo", "up"]] {
            assert!(Command::new("ip").args(words).status().expect("iproute2 is installed").success());
        }
        Some(network)
    }

    /// A program inside.
    pub fn inside(&self, program: &str) -> Command {
        inside(&self.0, program.as_ref())
    }

    /// Starts a server inside, and waits until it takes calls.
    pub fn serve(&self, address: &str, settings: &str) -> FarServer {
        FarServer::start(&self.0, address, settings)
    }
}

impl Drop for LonelyNetwork {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

/// A server in a namespace; commands run beside it, in none.
pub struct FarServer {
    process: Child,
    folder: TempDir,
}

impl FarServer {
    fn start(namespace: &str, address: &str, settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the server");
        let configuration = format!("data_dir = \"data\"\n[sip]\nlisten = [\"udp:{address}\", \"tcp:{address}\"]\n{settings}");
        std::fs::write(folder.path().join("afterbeep.toml"), configuration).expect("the configuration is written");
        let log = std::fs::File::create(folder.path().join("log")).expect("the log is opened");
        let plain = command();
        let mut process = inside(namespace, plain.get_program())
            .args(["serve", "--config"])
            .arg(folder.path().join("afterbeep.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the server starts");
        let mut ready = String::new();
        BufReader::new(process.stdout.take().expect("its output is piped")).read_line(&mut ready).expect("it says so");
        let server = Self { process, folder };
        assert!(ready.contains(address), "not ready: {ready:?}\n{}", server.log());
        server
    }

    /// The samples of the only message of a mailbox.
    pub fn only_message(&self, number: &str) -> Vec<i16> {
        let to = tempfile::tempdir().expect("a folder for the export");
        self.run(&["message", "export", number, "--to", &to.path().to_string_lossy()]);
        let files = std::fs::read_dir(to.path()).expect("the export").flatten().map(|entry| entry.path());
        let messages: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|it| it == "wav")).collect();
        assert_eq!(messages.len(), 1, "{messages:?}");
        wav::read(&std::fs::read(&messages[0]).expect("a file"), Duration::from_mins(5)).expect("a WAV")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command beside the server and gives back what it printed.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output =
            command().args(arguments).arg("--config").arg(self.path("afterbeep.toml")).output().expect("the command starts");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("commands print UTF-8")
    }

    /// Waits until every call that was answered is over.
    pub fn wait_until_idle(&self) {
        eventually("every call is over", || (self.count("a call is answered") == self.count("a call is over")).then_some(()));
    }

    /// How many lines of the log say this.
    pub fn count(&self, what: &str) -> usize {
        self.log().lines().filter(|line| line.contains(what)).count()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for FarServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            eprintln!("--- the end of the server's log\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}
