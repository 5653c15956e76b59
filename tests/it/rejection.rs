//! What strangers are told: the same, whomever they ask for, by whatever method and transport; and nothing comes of what they ask.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use afterbeep::{
    ivr::PromptId,
    phone::Phone,
    sip::{
        auth::answer,
        wire::{DigestAlgorithm, DigestChallenge},
    },
};
use rsip::{Header, headers::UntypedHeader as _};
use serde_json::Value;

use crate::support::{
    caller::Caller,
    raw::{RawPhone, authorization, challenges, status, values},
    server::{PASSCODE, Server, eventually},
};

const SECRET: &str = "a line's own password";

/// Who may be asked for: a line by its number and by an alias, a mailbox without one, a disabled one, and numbers that are nobody's.
const NAMES: [&str; 6] = ["1001", "ann1", "1002", "1003", "1999", "9999"];

/// Every method there is for SIP, and one there is not. An ACK has no answer.
const METHODS: [&str; 15] = [
    "REGISTER",
    "INVITE",
    "OPTIONS",
    "SUBSCRIBE",
    "BYE",
    "CANCEL",
    "INFO",
    "PRACK",
    "UPDATE",
    "MESSAGE",
    "NOTIFY",
    "PUBLISH",
    "REFER",
    "CONJURE",
    "ACK",
];

/// The settings under which everybody is a stranger, and nobody is kept out for asking too often.
fn wary(more: &str) -> String {
    format!(
        "[strangers]\noffences = 0\nrequests_per_source = 100000\nrequests = 100000\nhalf_open_per_source = 1000\n\
         [sip]\ntrusted_peers = []\n{more}"
    )
}

#[test]
fn every_method_tells_strangers_the_same_of_those_there_are_and_those_there_are_not() {
    for (settings, transport) in [("", "udp"), ("", "tcp"), ("deposits_from_anyone = true\n", "udp")] {
        let server = Server::start(&wary(settings));
        populate(&server);
        for method in METHODS.into_iter().filter(|method| *method != "ACK") {
            let told: Vec<Vec<String>> =
                NAMES.map(|name| Stranger::new(&server, transport, name).hears_all(method)).into_iter().collect();

            for (other, name) in told.iter().zip(NAMES) {
                assert_eq!(&told[0], other, "{method} by {transport} with {settings:?}: {} and {name}", NAMES[0]);
            }
            let is_call_for_anybody = method == "INVITE" && !settings.is_empty();
            let expected = match method {
                _ if is_call_for_anybody => 200,
                "REGISTER" | "INVITE" | "OPTIONS" | "SUBSCRIBE" => 401,
                "BYE" | "CANCEL" | "INFO" | "NOTIFY" | "PRACK" | "UPDATE" => 481,
                _ => 405,
            };
            assert!(told[0].iter().any(|answer| answer.starts_with(&format!("SIP/2.0 {expected} "))), "{method}: {:#?}", told[0]);
            let inside = if method == "REGISTER" || method == "SUBSCRIBE" { 401 } else { expected.max(481) };
            let last = told[0].last().expect("an answer");
            assert!(expected == 405 || last.starts_with(&format!("SIP/2.0 {inside} ")), "{method}: {last}");
        }
    }
}

#[test]
fn nothing_comes_of_what_strangers_ask() {
    let server = Server::start(&wary(""));
    populate(&server);
    let told: Vec<u16> = METHODS
        .into_iter()
        .flat_map(|method| {
            let mut stranger = Stranger::new(&server, "udp", "1001");
            stranger.wants = wish(method, &stranger.phone.contact());
            let request = stranger.sends(method, "");
            let first = if method == "ACK" { None } else { Some(stranger.hears(&request)) };
            let challenge = first.as_deref().and_then(|answer| challenges(answer).into_iter().next());
            let second = challenge.map(|challenge| {
                let wrong = authorization(&challenge, "1001", "not the password", method, &stranger.uri(method));
                let request = stranger.sends(method, &wrong);
                stranger.hears(&request)
            });
            first.into_iter().chain(second).map(|answer| status(&answer)).collect::<Vec<_>>()
        })
        .collect();

    assert!(told.iter().all(|status| [401, 405, 481].contains(status)), "{told:?}");
    let calls = eventually("the two INVITEs with a wrong password are recorded", || {
        Some(records(&server)).filter(|calls| !calls.is_empty())
    });
    assert!(calls.iter().all(|call| call["status"] == 401 && call["answered_at"].is_null()), "{calls:?}");
    let shown: Value = serde_json::from_str(&server.run(&["line", "show", "1001", "--json"])).expect("JSON");
    assert_eq!(shown["registrations"], serde_json::json!([]));
    assert!(server.messages("1001").is_empty() && server.messages("1002").is_empty());
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stranger_who_knows_a_call_but_not_its_tags_cannot_touch_it() {
    let server = Server::start(&wary(""));
    populate(&server);
    let mut caller = Caller::dial_as(&server, "*98", |phone: Phone| phone.line("1001", SECRET)).await;
    caller.hears(PromptId::EnterPasscode).await;
    let call_id = eventually("the call is recorded", || {
        records(&server).first().and_then(|call| Some(call["sip_call_id"].as_str()?.to_owned()))
    });

    for method in ["BYE", "INVITE", "INFO", "UPDATE", "PRACK", "OPTIONS", "CANCEL"] {
        for tag in ["", ";tag=0000000000000001"] {
            let mut stranger = Stranger::new(&server, "udp", "1001");
            stranger.call_id = Some(call_id.clone());
            stranger.tag = tag;
            let request = stranger.sends(method, "");
            let told = status(&stranger.hears(&request));
            assert!([401, 481].contains(&told), "{method}{tag}: {told}");
        }
    }

    caller.presses(&format!("{PASSCODE}#")).await;
    caller.hears(PromptId::NoMessages).await;
    caller.hangs_up().await;
    server.expect_tidiness();
}

/// A mailbox with a line and an alias, one without, and a disabled one.
fn populate(server: &Server) {
    server.add_mailbox("1001", &["--alias", "ann1"]);
    server.add_mailbox("1002", &[]);
    server.add_mailbox("1003", &[]);
    server.run(&["mailbox", "set", "1003", "--disable"]);
    let file = server.path("password");
    std::fs::write(&file, SECRET).expect("the password is written");
    server.run(&["line", "set", "1001", "--password-file", &file.to_string_lossy()]);
}

/// What a request of a method would do if it did anything: its own headers, the body last.
fn wish(method: &str, contact: &str) -> (String, &'static str) {
    const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";
    let contact = format!("Contact: <{contact}>\r\n");
    match method {
        "INVITE" | "UPDATE" => (format!("{contact}Content-Type: application/sdp\r\n"), OFFER),
        "REGISTER" => (format!("{contact}Expires: 600\r\n"), ""),
        "SUBSCRIBE" => (format!("{contact}Event: message-summary\r\nExpires: 600\r\n"), ""),
        "NOTIFY" => (
            format!(
                "{contact}Event: message-summary\r\nSubscription-State: active\r\nContent-Type: application/simple-message-summary\r\n"
            ),
            "Messages-Waiting: yes\r\n",
        ),
        "PUBLISH" => ("Event: presence\r\nContent-Type: application/pidf+xml\r\n".to_owned(), "<presence/>"),
        "MESSAGE" => ("Content-Type: text/plain\r\n".to_owned(), "hello"),
        "REFER" => (format!("{contact}Refer-To: <sip:1002@127.0.0.1>\r\n"), ""),
        "INFO" => ("Content-Type: application/dtmf-relay\r\n".to_owned(), "Signal=1\r\nDuration=160\r\n"),
        "PRACK" => ("RAck: 1 1 INVITE\r\n".to_owned(), ""),
        _ => (String::new(), ""),
    }
}

fn records(server: &Server) -> Vec<Value> {
    serde_json::from_str(&server.run(&["calls", "--json"])).expect("a JSON array")
}

/// Somebody without a password who asks for a name.
struct Stranger {
    phone: RawPhone,
    stream: Option<TcpStream>,
    /// Its own headers and the body.
    wants: (String, &'static str),
    call_id: Option<String>,
    tag: &'static str,
}

impl Stranger {
    fn new(server: &Server, transport: &str, name: &str) -> Self {
        let stream = (transport == "tcp").then(|| {
            let stream = TcpStream::connect(server.tcp()).expect("a connection");
            stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out");
            stream
        });
        let phone = RawPhone::new(server.udp(), name);
        Self { wants: (format!("Contact: <{}>\r\n", phone.contact()), ""), phone, stream, call_id: None, tag: "" }
    }

    fn uri(&self, method: &str) -> String {
        if method == "REGISTER" { "sip:127.0.0.1".to_owned() } else { format!("sip:{}@127.0.0.1", self.phone.number) }
    }

    /// Asks in every way that gets an answer, and gives the answers' shapes.
    fn hears_all(&mut self, method: &str) -> Vec<String> {
        let uri = self.uri(method);
        let name = self.phone.number.clone();
        let foreign = |algorithm| DigestChallenge {
            realm: "afterbeep".to_owned(),
            nonce: "0".repeat(44),
            algorithm,
            offers_auth: true,
            opaque: None,
            stale: false,
        };
        let first = self.asks(method, "");
        let mut shapes = vec![first.1];
        let mut tries: Vec<String> = challenges(&first.0)
            .into_iter()
            .chain(DigestAlgorithm::ALL.map(foreign))
            .map(|challenge| authorization(&challenge, &name, "not the password", method, &uri))
            .collect();
        // What is no credentials of ours, and who somebody else is.
        tries.push("Authorization: Digest username=\"1001\"\r\n".to_owned());
        tries.push(authorization(
            &DigestChallenge { realm: "elsewhere".to_owned(), ..foreign(DigestAlgorithm::Md5) },
            &name,
            SECRET,
            method,
            &uri,
        ));
        tries.push(of_user("", &name, method, &uri));
        shapes.extend(tries.iter().map(|headers| self.asks(method, headers).1));
        // As if there were a dialog.
        self.tag = ";tag=0123456789abcdef";
        shapes.push(self.asks(method, "").1);
        self.tag = "";
        shapes
    }

    /// Asks, and gives the answer and its shape.
    fn asks(&mut self, method: &str, headers: &str) -> (String, String) {
        let request = self.sends(method, headers);
        let answer = self.hears(&request);
        if status(&answer) == 200 {
            self.ends(&answer);
        }
        let shape = shape(&answer, &request, &self.phone.number);
        (answer, shape)
    }

    /// Takes a call, and gives it up.
    fn ends(&mut self, answer: &str) {
        let tag = values(answer, "To")[0].split_once(";tag=").expect("a tag").1.to_owned();
        let request = |method: &str, sequence: u32| {
            let text = self.phone.request(method, &self.uri(method), &self.phone.number, "");
            let (before, after) = text.split_once("\r\nCall-ID").expect("a Call-ID");
            let text = format!("{before};tag={tag}\r\nCall-ID{after}");
            text.replace(&format!("CSeq: {} ", self.phone.sequence), &format!("CSeq: {sequence} "))
        };
        let (ack, bye) = (request("ACK", self.phone.sequence), request("BYE", self.phone.sequence + 1));
        self.phone.send(&ack);
        self.phone.send(&bye);
        assert_eq!(status(&self.hears(&bye)), 200);
    }

    /// The answer to a request; another one's may be repeated meanwhile.
    fn hears(&mut self, request: &str) -> String {
        loop {
            let answer = match &mut self.stream {
                None => self.phone.hears(),
                Some(stream) => read_answer(stream),
            };
            if values(&answer, "CSeq") == values(request, "CSeq") {
                return answer;
            }
        }
    }

    fn sends(&mut self, method: &str, headers: &str) -> String {
        self.phone.sequence += 1;
        let (own, body) = &self.wants;
        let number = self.phone.number.clone();
        let text = self.phone.request(method, &self.uri(method), &number, &format!("{headers}{own}"));
        let mut text = text.replace("Content-Length: 0\r\n\r\n", &format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        let (before, after) = text.split_once("\r\nCall-ID: ").expect("a Call-ID");
        text = format!("{before}{}\r\nCall-ID: {after}", self.tag);
        if let Some(call_id) = &self.call_id {
            let old = values(&text, "Call-ID")[0].to_owned();
            text = text.replace(&format!("Call-ID: {old}"), &format!("Call-ID: {call_id}"));
        }
        match &mut self.stream {
            None => self.phone.send(&text),
            Some(stream) => {
                text = text.replace("SIP/2.0/UDP", "SIP/2.0/TCP");
                stream.write_all(text.as_bytes()).expect("the server reads");
            }
        }
        text
    }
}

/// Credentials of a name that cannot be anybody's.
fn of_user(user: &str, password: &str, method: &str, uri: &str) -> String {
    let challenge = DigestChallenge {
        realm: "afterbeep".to_owned(),
        nonce: "f".repeat(44),
        algorithm: DigestAlgorithm::Sha256,
        offers_auth: true,
        opaque: None,
        stale: false,
    };
    let Header::Authorization(value) = answer(&challenge, user, password, (method, uri), 1) else { unreachable!("credentials") };
    format!("Authorization: {}\r\n", value.value())
}

/// The next final answer, which has no body.
fn read_answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer within 30 s");
        text.push(byte[0].into());
        if text.starts_with("SIP/2.0 1") && text.ends_with("\r\n\r\n") {
            text.clear();
        }
    }
    text
}

/// An answer without what must differ from request to request: its headers in order, of those that it repeats how much longer they
/// are than in the request, of a nonce the length, of a description no digits.
fn shape(answer: &str, request: &str, number: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").expect("an end of the headers");
    let line = |line: &str| match line.split_once(": ") {
        Some((name @ ("Via" | "Call-ID" | "From" | "To" | "CSeq"), value)) => {
            let sent = values(request, name)[0];
            format!("{name} {}", value.len() - sent.len())
        }
        Some(("WWW-Authenticate", value)) => {
            let nonce = DigestChallenge::parse(value).expect("a challenge").nonce;
            format!("WWW-Authenticate: {}", value.replace(&nonce, &format!("{} digits", nonce.len())))
        }
        Some(("Content-Length", _)) if !body.is_empty() => "Content-Length".to_owned(),
        _ => line.replace(number, "NUMBER"),
    };
    let lines: Vec<String> = head.lines().map(line).collect();
    let body: String = body.chars().filter(|letter| !letter.is_ascii_digit()).collect();
    format!("{}\n\n{body}", lines.join("\n"))
}
