//! The real binary as a server of its own, with a fresh data folder, on ports the system chooses.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

use tempfile::TempDir;

/// A passcode that no rule refuses.
pub const PASSCODE: &str = "49158730";

/// A running `afterbeep serve`; killed when dropped.
pub struct Server {
    process: Child,
    _output: BufReader<ChildStdout>,
    folder: TempDir,
    udp: SocketAddr,
}

impl Server {
    /// Starts a server with `settings` (TOML) beside its own, and waits until it takes calls.
    pub fn start(settings: &str) -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder for the server"), settings)
    }

    /// Starts a server with more at the top of its settings.
    pub fn start_with(top: &str) -> Self {
        Self::start_on(tempfile::tempdir().expect("a folder for the server"), top, "")
    }

    /// Starts a server on a folder that an earlier one left behind.
    pub fn start_in(folder: TempDir, settings: &str) -> Self {
        Self::start_on(folder, "", settings)
    }

    fn start_on(folder: TempDir, top: &str, settings: &str) -> Self {
        let own = format!("data_dir = \"data\"\n{top}");
        let own_sip = "listen = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\n";
        let settings = if settings.contains("[sip]") {
            settings.replacen("[sip]\n", &format!("[sip]\n{own_sip}"), 1)
        } else {
            format!("{settings}\n[sip]\n{own_sip}")
        };
        std::fs::write(folder.path().join("afterbeep.toml"), format!("{own}{settings}")).expect("the configuration is written");
        let log = std::fs::File::options().create(true).append(true).open(folder.path().join("log")).expect("the log is opened");
        let mut process = Command::new(env!("CARGO_BIN_EXE_afterbeep"))
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
        let address = |transport: &str| {
            let found = ready.split_whitespace().find_map(|word| word.strip_prefix(transport)).and_then(|a| a.parse().ok());
            found.unwrap_or_else(|| panic!("not ready: {ready:?}\n{}", read(&folder.path().join("log"))))
        };
        Self { udp: address("udp:"), process, _output: output, folder }
    }

    pub fn udp(&self) -> SocketAddr {
        self.udp
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Adds a mailbox with [`PASSCODE`].
    pub fn add_mailbox(&self, number: &str, options: &[&str]) {
        let add = ["mailbox", "add", number, "--passcode", PASSCODE];
        self.run(&[&add, options].concat());
    }

    /// Runs a command beside the server and gives back what it printed.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_afterbeep"))
            .args(arguments)
            .arg("--config")
            .arg(self.path("afterbeep.toml"))
            .output()
            .expect("the command starts");
        assert!(
            output.status.success(),
            "{arguments:?} ended with {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("commands print UTF-8")
    }

    pub fn log(&self) -> String {
        read(&self.path("log"))
    }

    /// Pulls the plug: no signal can be handled. What is on the disk stays.
    pub fn kill(mut self) -> TempDir {
        self.process.kill().expect("a running server");
        self.process.wait().expect("a killed server");
        std::mem::replace(&mut self.folder, tempfile::tempdir().expect("a folder"))
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

fn read(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
