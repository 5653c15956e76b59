//! Chromium as a telephone: a page with JsSIP (`tests/tools/jssip`) in a headless browser, driven by the DevTools protocol.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

use super::{
    caller::{PATIENCE, pieces_heard},
    server::{Server, eventually},
};

/// How many of the pieces must be heard, in their order. A machine that has too much to do makes a browser stumble.
const SHARE: f64 = 0.5;

/// A port from which a page with the telephone is served.
pub struct Page(SocketAddr);

impl Page {
    pub async fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                // A request fits into one packet here, and each is for the page.
                let _ = stream.read(&mut [0; 4096]).await;
                let page = page();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n", page.len());
                let _ = stream.write_all(format!("{head}{page}").as_bytes()).await;
            }
        });
        Self(address)
    }

    /// What the browser says it comes from.
    pub fn origin(&self) -> String {
        format!("http://localhost:{}", self.0.port())
    }
}

/// A browser with one telephone in it.
pub struct Chromium {
    process: Child,
    socket: WebSocketStream<TcpStream>,
    session: Value,
    commands: u64,
    folder: TempDir,
    /// What was heard, at 8000 Hz.
    heard: Vec<i16>,
}

impl Chromium {
    /// Opens the page with a telephone that registers over a secure WebSocket as the line of a mailbox.
    pub async fn register(page: &Page, server: &Server, number: &str, password: &str) -> Self {
        let socket = format!("wss://localhost:{}", server.address("wss").port());
        let account = json!({ "socket": socket, "host": "127.0.0.1", "number": number, "password": password });
        Self::open(page, &account, "register").await
    }

    /// Opens the page with a telephone that connects to a secure WebSocket of a proxy on this port, and is nobody's line.
    pub async fn connect(page: &Page, port: u16, number: &str) -> Self {
        let account = json!({ "socket": format!("wss://localhost:{port}"), "host": "127.0.0.1", "number": number });
        Self::open(page, &account, "connect").await
    }

    async fn open(page: &Page, account: &Value, begin: &str) -> Self {
        let mut browser = Self::start().await;
        let target = browser.command("Target.createTarget", json!({ "url": page.origin() })).await["targetId"].take();
        let attached = browser.command("Target.attachToTarget", json!({ "targetId": target, "flatten": true })).await;
        browser.session = attached["sessionId"].clone();
        let deadline = Instant::now() + PATIENCE;
        while browser.evaluate("document.readyState + typeof Phone").await != "completefunction" {
            assert!(Instant::now() < deadline, "the page is not there");
        }
        browser.evaluate(&format!("globalThis.phone = new Phone({account}); phone.{begin}()")).await;
        browser
    }

    /// Opens an empty page.
    pub async fn empty() -> Self {
        let mut browser = Self::start().await;
        let target = browser.command("Target.createTarget", json!({ "url": "about:blank" })).await["targetId"].take();
        let attached = browser.command("Target.attachToTarget", json!({ "targetId": target, "flatten": true })).await;
        browser.session = attached["sessionId"].clone();
        browser
    }

    /// On how many sheets of `width` and `height` (inches) it prints a page.
    pub async fn sheets(&mut self, html: &str, (width, height): (f64, f64)) -> usize {
        let frame = self.command("Page.getFrameTree", json!({})).await["frameTree"]["frame"]["id"].take();
        self.command("Page.setDocumentContent", json!({ "frameId": frame, "html": html })).await;
        let printed = self.command("Page.printToPDF", json!({ "paperWidth": width, "paperHeight": height })).await;
        let pdf = BASE64_STANDARD.decode(printed["data"].as_str().expect("a file")).expect("it is base 64");
        // Not `/Type /Pages`, which holds them.
        pdf.windows(12).filter(|bytes| bytes.starts_with(b"/Type /Page") && bytes[11] != b's').count()
    }

    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the browser");
        let log = std::fs::File::create(folder.path().join("log")).expect("the log is opened");
        let process = Command::new("chromium")
            .arg(format!("--user-data-dir={}", folder.path().display()))
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-extensions"])
            // The server's certificate is of an authority that was made for the test; that it is checked is for others to test.
            .args(["--ignore-certificate-errors", "--allow-loopback-in-peer-connection", "--use-fake-ui-for-media-stream"])
            .args(["--autoplay-policy=no-user-gesture-required", "--mute-audio", "about:blank"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("a browser is installed (Debian package chromium)");
        let described = folder.path().join("DevToolsActivePort");
        let (port, path) = eventually("the browser takes commands", || {
            let text = std::fs::read_to_string(&described).ok()?;
            let (port, path) = text.trim().split_once('\n')?;
            Some((port.parse::<u16>().ok()?, path.to_owned()))
        });
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the browser is there");
        let (socket, _) = client_async(format!("ws://127.0.0.1:{port}{path}"), stream).await.expect("the browser shakes hands");
        Self { process, socket, session: Value::Null, commands: 0, folder, heard: Vec::new() }
    }

    /// Calls a number and waits until audio can flow. Gives the description with which the server answered.
    pub async fn dial(&mut self, number: &str) -> String {
        let answer = self.evaluate(&format!("phone.dial({})", json!(number))).await;
        answer.as_str().expect("a description").to_owned()
    }

    /// Speaks to the end.
    pub async fn says(&mut self, samples: &[i16]) {
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        self.evaluate(&format!("phone.say('{}')", BASE64_STANDARD.encode(bytes))).await;
    }

    /// Presses keys one after the other.
    pub async fn presses(&mut self, keys: &str) {
        self.evaluate(&format!("phone.press('{keys}')")).await;
    }

    /// Waits until it has heard known audio, after the first `from` samples. Says where that audio ends.
    pub async fn hears(&mut self, what: &str, known: &[i16], from: usize) -> usize {
        let deadline = Instant::now() + PATIENCE;
        let mut best: f64 = 0.0;
        loop {
            let more = self.evaluate("phone.newlyHeard()").await;
            let bytes = BASE64_STANDARD.decode(more.as_str().expect("text")).expect("base64");
            self.heard.extend(bytes.chunks_exact(2).map(|s| i16::from_le_bytes([s[0], s[1]])));
            let (share, end) = self.heard.get(from..).map_or((0.0, 0), |heard| pieces_heard(known, heard));
            if share >= SHARE {
                return from + end;
            }
            best = best.max(share);
            assert!(Instant::now() < deadline, "{what} was not heard in {} samples; at best {best:.2} of it", self.heard.len());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Which share of known audio is in what was heard so far.
    pub fn share_heard(&self, known: &[i16]) -> f64 {
        pieces_heard(known, &self.heard).0
    }

    /// Offers again by a method of JsSIP's session, and waits for the answer.
    pub async fn reoffers(&mut self, method: &str, options: &Value) {
        self.evaluate(&format!("phone.reoffer('{method}', {options})")).await;
    }

    /// How the media is protected and coded, as the browser sees it.
    pub async fn security(&mut self) -> Value {
        self.evaluate("phone.security()").await
    }

    pub async fn hangs_up(&mut self) {
        self.evaluate("phone.hangUp()").await;
    }

    /// Waits until the call is over, and says how it ended.
    pub async fn waits_for_the_end(&mut self) -> String {
        self.evaluate("phone.ended").await.as_str().expect("a cause").to_owned()
    }

    /// Evaluates JavaScript in the page, and waits for what it promises.
    async fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut result = self.command("Runtime.evaluate", parameters).await;
        assert!(result.get("exceptionDetails").is_none(), "{expression:.60}: {result}\n{}", self.log());
        result["result"]["value"].take()
    }

    async fn command(&mut self, method: &str, parameters: Value) -> Value {
        self.commands += 1;
        let mut command = json!({ "id": self.commands, "method": method, "params": parameters });
        if !self.session.is_null() {
            command["sessionId"] = self.session.clone();
        }
        self.socket.send(Message::text(command.to_string())).await.expect("the browser takes commands");
        loop {
            let message = timeout(2 * PATIENCE, self.socket.next()).await.unwrap_or_else(|_| panic!("{method}: {}", self.log()));
            let message = message.expect("the browser goes on").expect("whole frames").into_data();
            let mut message: Value = serde_json::from_slice(&message).expect("JSON");
            if message["id"] == self.commands {
                assert!(message.get("error").is_none(), "{method}: {message}");
                return message["result"].take();
            }
        }
    }

    fn log(&self) -> String {
        std::fs::read(self.folder.path().join("log")).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The page: JsSIP and what it depends on, as modules behind a `require` of our own, and the telephone.
fn page() -> &'static str {
    static PAGE: OnceLock<String> = OnceLock::new();
    PAGE.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let setup = Command::new(root.join("tests/tools/setup-jssip.sh")).status().expect("a shell");
        assert!(setup.success(), "JsSIP cannot be installed");
        let modules = root.join("target/jssip/node_modules");
        let mut script = String::from("const modules = {};\n");
        for folder in
            ["jssip", "jssip/lib", "jssip/lib/Dialog", "jssip/lib/RTCSession", "debug/src", "events", "ms", "sdp-transform/lib"]
        {
            for file in sources(&modules.join(folder)) {
                let name = file.strip_prefix(&modules).expect("it was found there").display().to_string();
                let text = std::fs::read_to_string(&file).expect("a source");
                let text = if name.ends_with(".json") { format!("module.exports = {text};") } else { text };
                let _ = writeln!(script, "modules['{name}'] = function (module, exports, require) {{\n{text}\n}};");
            }
        }
        let phone = std::fs::read_to_string(root.join("tests/tools/jssip/phone.js")).expect("the telephone");
        format!("<!doctype html><meta charset=\"utf-8\"><title>A telephone</title>\n<script>{script}{REQUIRE}{phone}</script>\n")
    })
}

const REQUIRE: &str = "
const entries = { debug: 'debug/src/browser', events: 'events/events', ms: 'ms/index', 'sdp-transform': 'sdp-transform/lib/index' };
const loaded = {};
function load(from, wanted) {
    const path = wanted.startsWith('.') ? new URL(wanted, 'x:/' + from).pathname.slice(1) : entries[wanted];
    const name = [path, path + '.js'].find((name) => name in modules);
    if (!(name in loaded)) {
        const module = loaded[name] = { exports: {} };
        modules[name].call(module.exports, module, module.exports, (wanted) => load(name, wanted));
    }
    return loaded[name].exports;
}
const JsSIP = load('', './jssip/lib/JsSIP');
";

/// The modules directly in a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let is_source = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "js" || extension == "json");
    entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file() && is_source(path)).collect()
}
