//! Linphone as a telephone: it dials, presses keys, plays a WAV into the call, and records what it hears.

use std::{
    io::Write as _,
    process::{Child, ChildStdin, Stdio},
    time::Duration,
};

use afterbeep::audio::{resample::resample, wav};
use tempfile::TempDir;

use super::{
    impaired_network::LonelyNetwork,
    server::{CALLER, eventually},
};

/// The rate of what it records: that of Opus, which it calls with.
const RATE: u32 = 48_000;

/// A running `linphonec`. It puts the machine's own address into its offers, so it lives in a network that has only loopback.
pub struct Linphone {
    process: Child,
    input: ChildStdin,
    folder: TempDir,
}

impl Linphone {
    pub fn start(network: &LonelyNetwork) -> Self {
        let folder = tempfile::tempdir().expect("a folder for linphone");
        let home = folder.path().join("home");
        for needed in [".local/share/linphone", ".config/linphone"] {
            std::fs::create_dir_all(home.join(needed)).expect("a folder of ours");
        }
        let settings = format!(
            "[sip]\nsip_port=5080\nsip_tcp_port=-1\nsip_tls_port=0\nguess_hostname=0\nuse_ipv6=0\n\
             contact=\"Ann Lee\" <sip:{CALLER}@127.0.0.1:5080>\n[rtp]\naudio_rtp_port=17078\n[sound]\nechocancellation=0\n"
        );
        std::fs::write(folder.path().join("rc"), settings).expect("a folder of ours");
        let output = std::fs::File::create(folder.path().join("output")).expect("a folder of ours");
        let mut process = network
            .inside("linphonec")
            .arg("-c")
            .arg(folder.path().join("rc"))
            .env("HOME", &home)
            .stdin(Stdio::piped())
            .stdout(output.try_clone().expect("a descriptor"))
            .stderr(output)
            .spawn()
            .expect("linphonec is installed (Debian package linphone-cli)");
        let input = process.stdin.take().expect("its input is piped");
        let mut phone = Self { process, input, folder };
        phone.does("soundcard use files", "Using wav files");
        phone
    }

    /// Calls, and waits for audio. Silence is spoken until [`Self::say`].
    pub fn dial(&mut self, uri: &str) {
        self.tell(&format!("record {}", self.folder.path().join("heard.wav").display()));
        self.play(&[0; 8000 * 120]);
        self.does(&format!("call {uri}"), "Media streams established");
    }

    pub fn press(&mut self, keys: &str) {
        for key in keys.chars() {
            self.tell(&key.to_string());
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// Speaks, and then is silent until the call ends.
    pub fn say(&mut self, samples: &[i16]) {
        self.play(&[samples, &[0; 8000 * 60]].concat());
    }

    /// What was heard so far, at 8000 Hz.
    pub fn heard(&self) -> Vec<i16> {
        let bytes = std::fs::read(self.folder.path().join("heard.wav")).unwrap_or_default();
        // The header is written at the end of the call.
        let samples = bytes.get(44..).unwrap_or_default().as_chunks().0.iter().map(|&pair| i16::from_le_bytes(pair));
        resample(&samples.collect::<Vec<_>>(), RATE, 8000)
    }

    pub fn hang_up(mut self) {
        self.does("terminate", "ended");
        self.tell("quit");
        eventually("linphone ends", || self.process.try_wait().expect("a child of ours"));
    }

    fn play(&mut self, samples: &[i16]) {
        let file = tempfile::Builder::new().suffix(".wav").tempfile_in(self.folder.path()).expect("a folder of ours");
        std::fs::write(file.path(), wav::from_samples(samples)).expect("a folder of ours");
        let (_, path) = file.keep().expect("a file that stays");
        self.tell(&format!("play {}", path.display()));
    }

    /// Tells it something, and waits until it says that it is done.
    fn does(&mut self, command: &str, done: &str) {
        let before = self.output().matches(done).count();
        self.tell(command);
        eventually(&format!("linphone says {done:?} to {command:?}"), || {
            (self.output().matches(done).count() > before).then_some(())
        });
    }

    fn tell(&mut self, command: &str) {
        writeln!(self.input, "{command}").expect("linphone listens");
    }

    fn output(&self) -> String {
        let bytes = std::fs::read(self.folder.path().join("output")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Linphone {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("--- what linphone said\n{}", self.output());
        }
    }
}
