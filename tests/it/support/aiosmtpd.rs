//! A mail server that somebody else wrote: aiosmtpd, with STARTTLS and a login.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::certificate::Authority;

pub const USER: &str = "afterbeep";
pub const PASSWORD: &str = "s3cret: @ñ/%";

pub struct Aiosmtpd {
    folder: TempDir,
    certificate: PathBuf,
    key: PathBuf,
    port: u16,
    running: Option<(Child, ChildStdin)>,
}

impl Aiosmtpd {
    /// A server with a fresh certificate of a fresh authority.
    ///
    /// # Panics
    ///
    /// When it is not installed.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = Authority::new(folder.path()).certify("server", "/CN=localhost", "DNS:localhost");
        let mut server = Self { folder, certificate, key, port: 0, running: None };
        server.resume();
        server
    }

    /// Starts it again, on the port it had.
    pub fn resume(&mut self) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = root.join("target/python/bin/python");
        assert!(python.exists(), "the mail server for this test is not installed: run tests/tools/setup-python.sh once");
        let path = |name| self.folder.path().join(name);
        let mut server = Command::new(python)
            .arg(root.join("tests/tools/smtp_server.py"))
            .args([&self.certificate, &self.key])
            .args([USER, PASSWORD])
            .arg(self.folder.path())
            .arg(self.port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(path("log.txt")).unwrap())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
        let log = || fs::read_to_string(path("log.txt")).unwrap();
        self.port = port.trim().parse().unwrap_or_else(|_| panic!("the mail server did not start: {}", log()));
        let input = server.stdin.take().unwrap();
        self.running = Some((server, input));
    }

    /// Stops it; what it has got stays.
    pub fn stop(&mut self) {
        if let Some((mut server, input)) = self.running.take() {
            drop(input);
            server.wait().unwrap();
        }
    }

    pub fn url(&self) -> String {
        format!("smtp+starttls://{USER}@localhost:{}", self.port)
    }

    /// The authority's certificate.
    pub fn authority(&self) -> Vec<u8> {
        fs::read(self.folder.path().join("authority.pem")).unwrap()
    }

    /// The mails it has got, in their order.
    pub fn mails(&self) -> Vec<Vec<u8>> {
        (1..).map(|number| self.folder.path().join(format!("{number}.eml"))).map_while(|file| fs::read(file).ok()).collect()
    }

    /// Waits until it has got `count` mails.
    pub async fn mails_until(&self, count: usize) -> Vec<Vec<u8>> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let mails = self.mails();
            if mails.len() >= count {
                return mails;
            }
            assert!(Instant::now() < deadline, "{} of {count} mails have come", mails.len());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Aiosmtpd {
    fn drop(&mut self) {
        self.stop();
    }
}
