//! baresip as a telephone: dials, presses keys by RFC 4733, speaks a WAV, and records what it hears.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use afterbeep::{
    audio::{resample::resample, wav},
    phone::listen,
};
use tempfile::TempDir;

use super::server::{CALLER, eventually};

/// A running baresip with its control connection.
pub struct Baresip {
    process: Child,
    control: BufReader<TcpStream>,
    /// Events that nobody has waited for yet.
    events: VecDeque<String>,
    folder: TempDir,
}

/// How a call goes over the wire.
pub struct Account<'a> {
    pub transport: &'a str,
    pub codec: &'a str,
    /// What the telephone says from the answer on; the end of it hangs up, so it ends in silence. Wideband codecs have 16,000
    /// samples a second.
    pub says: &'a [i16],
}

/// A line of the server, for a phone that registers.
pub struct Line<'a> {
    pub number: &'a str,
    pub password: &'a str,
    pub server: SocketAddr,
}

impl Baresip {
    pub fn start(account: &Account<'_>) -> Self {
        Self::launch(account, "", "")
    }

    /// Starts it as the phone of a line, and waits until it is registered.
    pub fn start_registered(account: &Account<'_>, line: &Line<'_>) -> Self {
        Self::start_registered_with(account, line, "")
    }

    /// The same, with more lines in its configuration.
    pub fn start_registered_with(account: &Account<'_>, line: &Line<'_>, more: &str) -> Self {
        let phone = Self::launch_as(account, Some(line), "", more);
        // The event may be over before anybody listens for events.
        eventually("baresip is registered", || phone.log().contains("200 OK () [1 binding]").then_some(()));
        phone
    }

    /// Starts it with more lines in its configuration.
    pub fn start_with(account: &Account<'_>, more: &str) -> Self {
        Self::launch(account, "", more)
    }

    /// Encrypts its calls with `srtp-mand` (SDES) or `dtls_srtp`.
    pub fn start_encrypted(account: &Account<'_>, method: &str) -> Self {
        let more = "module srtp.so\nmodule dtls_srtp.so\nrtcp_mux yes\n";
        Self::launch(account, &format!(";mediaenc={method}"), more)
    }

    fn launch(account: &Account<'_>, parameters: &str, more: &str) -> Self {
        Self::launch_as(account, None, parameters, more)
    }

    fn launch_as(account: &Account<'_>, line: Option<&Line<'_>>, parameters: &str, more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for baresip");
        let at = |name: &str| folder.path().join(name);
        let port = free_port();
        let recordings = at("heard");
        std::fs::create_dir(&recordings).expect("a folder for recordings");
        let Account { transport, codec, says } = account;
        let format = match *codec {
            "G722" => "16000/1",
            "opus" => "48000/2",
            _ => "8000/1",
        };
        write_wav(&at("says.wav"), says, format);
        let config = format!(
            "sip_listen 127.0.0.1:0\nnet_interface 127.0.0.1\nmodule_path /usr/lib/baresip/modules\nmodule g711.so\nmodule g722.so\nmodule opus.so\n\
             module aufile.so\nmodule aubridge.so\nmodule sndfile.so\nmodule_tmp uuid.so\nmodule_tmp account.so\n\
             module_app ctrl_tcp.so\nmodule_app menu.so\nctrl_tcp_listen 127.0.0.1:{port}\naudio_player aubridge,nil\n\
             audio_source aufile,{}\naudio_alert aubridge,nil\nsnd_path {}\n{more}",
            at("says.wav").display(),
            recordings.display()
        );
        std::fs::write(at("config"), config).expect("the configuration is written");
        let (address, registration) = match line {
            Some(Line { number, password, server }) => {
                (format!("{number}@{server}"), format!("auth_user={number};auth_pass={password};regint=600"))
            }
            None => (format!("{CALLER}@127.0.0.1"), "regint=0".to_owned()),
        };
        let text = format!("<sip:{address};transport={transport}>;{registration};audio_codecs={codec}/{format}{parameters}\n");
        std::fs::write(at("accounts"), text).expect("the account is written");
        std::fs::write(at("contacts"), "").expect("the contacts are written");
        let log = std::fs::File::create(at("log")).expect("the log is opened");
        let process = Command::new("baresip")
            .arg("-f")
            .arg(folder.path())
            .envs(ec_certificate(folder.path()))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log is shared"))
            .stderr(log)
            .spawn()
            .expect("baresip is installed (Debian package baresip-core)");
        let control = eventually("baresip takes commands", || TcpStream::connect(("127.0.0.1", port)).ok());
        control.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out can be set");
        Self { process, control: BufReader::new(control), events: VecDeque::new(), folder }
    }

    /// Calls and waits until the call is up.
    pub fn dial(&mut self, number: &str, server: SocketAddr) {
        self.command("dial", &format!("sip:{number}@{server}"));
        self.wait_for_event("CALL_ESTABLISHED");
    }

    /// Presses one key, as long as a finger does.
    pub fn press(&mut self, key: char) {
        self.command("sndcode", &key.to_string());
        std::thread::sleep(Duration::from_millis(140));
        // An end-of-key code: baresip sends the event until it gets one.
        self.command("sndcode", "\u{4}");
        std::thread::sleep(Duration::from_millis(120));
    }

    /// Presses keys one after the other.
    pub fn press_all(&mut self, keys: &str) {
        keys.chars().for_each(|key| self.press(key));
    }

    pub fn hold(&mut self) {
        self.command("hold", "");
    }

    pub fn resume(&mut self) {
        self.command("resume", "");
    }

    pub fn hang_up(&mut self) {
        self.command("hangup", "");
        self.wait_for_event("CALL_CLOSED");
    }

    /// Waits until baresip reports `event`, such as `CALL_CLOSED`.
    pub fn wait_for_event(&mut self, event: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            let text = self.events.pop_front().unwrap_or_else(|| self.read());
            if text.contains(&format!("\"type\":\"{event}\"")) {
                return;
            }
        }
        panic!("no {event} within a minute\n{}", self.log());
    }

    /// Waits until what it was last told of its mailbox has these words in it. It needs the module `mwi`.
    pub fn is_told(&self, words: &str) {
        eventually(&format!("its lamp says {words}"), || {
            let log = self.log();
            log.rsplit_once("----- MWI for").is_some_and(|(_, last)| last.contains(words)).then_some(())
        });
    }

    /// What it heard so far.
    pub fn heard(&self) -> Vec<i16> {
        self.heard_at(8000)
    }

    /// What it heard so far, at a rate in samples a second.
    pub fn heard_at(&self, rate: u32) -> Vec<i16> {
        self.recording("dec", rate, 0)
    }

    /// What it said so far.
    pub fn said(&self) -> Vec<i16> {
        self.recording("enc", 8000, 0)
    }

    /// Waits until it has heard known audio, after the first `from` samples. Says where that audio ends.
    pub fn hears(&self, what: &str, known: &[i16], from: usize) -> usize {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let heard = self.recording("dec", 8000, from);
            if let Some(found) = listen::find(known, &heard).filter(|found| found.likeness > 0.88) {
                return from + found.at + known.len();
            }
            assert!(Instant::now() < deadline, "waited two minutes until {what} is heard\n{}", self.log());
            // Looking for it is work.
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Waits until it has heard nothing for `span`: no sound, and no packets either.
    pub fn hears_nothing(&self, span: Duration) {
        let (mut length, mut since) = (0, Instant::now());
        eventually("nothing is heard", || {
            if self.heard().len() > length + 800 {
                (length, since) = (self.heard().len(), Instant::now());
            }
            (since.elapsed() > span).then_some(())
        });
    }

    /// The samples of a WAV that it writes, at a rate in samples a second, without the first `from`. It writes none
    /// after a hold.
    fn recording(&self, which: &str, rate: u32, from: usize) -> Vec<i16> {
        let recordings = std::fs::read_dir(self.folder.path().join("heard")).expect("a folder with recordings");
        let recording = recordings.flatten().map(|entry| entry.path()).find(|path| path.to_string_lossy().contains(which));
        let Some(recording) = recording else { return Vec::new() };
        // While the call is up the header's length is not written yet: the samples are what follows it.
        let bytes = std::fs::read(&recording).expect("a readable recording");
        let Some((header, samples)) = bytes.split_at_checked(44) else { return Vec::new() };
        let channels = usize::from(header[22].max(1));
        let written = u32::from_le_bytes([header[24], header[25], header[26], header[27]]);
        let first = samples.chunks_exact(2 * channels).map(|s| i16::from_le_bytes([s[0], s[1]]));
        let before = (from as u64 * u64::from(written) / u64::from(rate)) as usize;
        resample(&first.skip(before).collect::<Vec<i16>>(), written, rate)
    }

    fn command(&mut self, command: &str, params: &str) {
        let message = serde_json::json!({ "command": command, "params": params, "token": "t" }).to_string();
        write!(self.control.get_mut(), "{}:{message},", message.len()).expect("baresip takes the command");
        loop {
            let answer = self.read();
            if answer.contains("\"response\":true") {
                assert!(answer.contains("\"ok\":true"), "baresip refused {command} {params}: {answer}");
                return;
            }
            self.events.push_back(answer);
        }
    }

    /// One netstring.
    fn read(&mut self) -> String {
        let mut length = Vec::new();
        self.control.read_until(b':', &mut length).unwrap_or_else(|e| panic!("baresip is silent: {e}\n{}", self.log()));
        let length: usize =
            String::from_utf8_lossy(&length).trim_end_matches(':').parse().unwrap_or_else(|_| panic!("{}", self.log()));
        let mut text = vec![0; length + 1];
        self.control.read_exact(&mut text).expect("the whole netstring");
        text.pop();
        String::from_utf8_lossy(&text).into_owned()
    }

    fn log(&self) -> String {
        std::fs::read(self.folder.path().join("log")).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Writes a WAV of what baresip's codec takes.
fn write_wav(path: &Path, samples: &[i16], format: &str) {
    if format == "48000/2" {
        let mono = resample(samples, 16_000, 48_000);
        let mut bytes = wav::from_samples_at(48_000, &mono.iter().flat_map(|&sample| [sample; 2]).collect::<Vec<i16>>());
        // Two channels: twice the bytes a second, and in a block.
        bytes[22] = 2;
        bytes[28..32].copy_from_slice(&192_000_u32.to_le_bytes());
        bytes[32] = 4;
        return std::fs::write(path, bytes).expect("a WAV to speak");
    }
    let rate = if format == "16000/1" { 16_000 } else { 8000 };
    std::fs::write(path, wav::from_samples_at(rate, samples)).expect("a WAV to speak");
}

fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    socket.local_addr().expect("a bound socket has an address").port()
}

/// An EC certificate for DTLS, and the library that makes baresip use it: see its source.
fn ec_certificate(folder: &Path) -> [(&'static str, std::path::PathBuf); 3] {
    let key = rcgen::KeyPair::generate().expect("randomness");
    let certificate = rcgen::CertificateParams::default().self_signed(&key).expect("a certificate");
    let [key_path, certificate_path, library] = ["key.der", "certificate.der", "baresip_ec.so"].map(|name| folder.join(name));
    std::fs::write(&key_path, key.serialize_der()).expect("the key is written");
    std::fs::write(&certificate_path, certificate.der()).expect("the certificate is written");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/baresip_ec.c");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, Path::new(source)]).status();
    assert!(compiled.expect("a C compiler is installed (Debian package build-essential)").success());
    [("BARESIP_EC_KEY", key_path), ("BARESIP_EC_CERTIFICATE", certificate_path), ("LD_PRELOAD", library)]
}
