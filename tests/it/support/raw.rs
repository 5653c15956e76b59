//! A phone that says what it is told to, over UDP, and shows the answer as it came.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    time::Duration,
};

use afterbeep::sip::{auth, wire::DigestChallenge};
use rsip::{Header, headers::UntypedHeader as _};

/// A socket, and what names the phone's requests.
pub struct RawPhone {
    pub socket: UdpSocket,
    server: SocketAddr,
    /// The number it says is its own.
    pub number: String,
    password: Option<String>,
    call_id: u64,
    /// The number in the latest CSeq.
    pub sequence: u32,
    /// What it calls itself.
    pub agent: String,
}

/// What a phone calls itself that is not told otherwise.
const AGENT: &str = "Raw Phone 1.0, which says what it is told to";

impl RawPhone {
    /// A phone without a password.
    pub fn new(server: SocketAddr, number: &str) -> Self {
        Self::at(server.ip(), server, number)
    }

    /// A phone at another address of this machine, such as any that begins with 127.
    pub fn at(address: IpAddr, server: SocketAddr, number: &str) -> Self {
        let socket = UdpSocket::bind((address, 0)).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket has a time-out");
        let (number, agent) = (number.to_owned(), AGENT.to_owned());
        Self { socket, server, number, password: None, call_id: rand::random(), sequence: 0, agent }
    }

    pub fn with_password(self, password: &str) -> Self {
        Self { password: Some(password.to_owned()), ..self }
    }

    /// Another phone of the same line.
    pub fn another(&self) -> Self {
        let another = Self::new(self.server, &self.number);
        Self { password: self.password.clone(), ..another }
    }

    /// Its Contact, at its own address.
    pub fn contact(&self) -> String {
        format!("sip:{}@{}", self.number, self.socket.local_addr().expect("a bound socket"))
    }

    /// Registers with these headers, each with its line end.
    pub fn registers(&mut self, headers: &str) -> String {
        let number = self.number.clone();
        self.asks("REGISTER", "sip:127.0.0.1", &number, headers)
    }

    /// Sends a request, answers a challenge if it has a password, and gives the last answer.
    pub fn asks(&mut self, method: &str, uri: &str, to: &str, headers: &str) -> String {
        let answer = self.asks_once(method, uri, to, headers);
        let (Some(password), Some(challenge)) = (self.password.clone(), challenges(&answer).into_iter().next()) else {
            return answer;
        };
        let authorization = authorization(&challenge, &self.number, &password, method, uri);
        self.asks_once(method, uri, to, &format!("{authorization}{headers}"))
    }

    /// Sends a request, and gives the first final answer.
    pub fn asks_once(&mut self, method: &str, uri: &str, to: &str, headers: &str) -> String {
        self.sequence += 1;
        let request = self.request(method, uri, to, headers);
        self.send(&request);
        self.hears()
    }

    /// A request as it would be sent now.
    pub fn request(&self, method: &str, uri: &str, to: &str, headers: &str) -> String {
        let (host, own) = (self.server.ip(), self.socket.local_addr().expect("a bound socket"));
        let (number, call, sequence, agent) = (&self.number, self.call_id, self.sequence, &self.agent);
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};rport;branch=z9hG4bK{call:x}{sequence}{method}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{number}@{host}>;tag=t{call:x}\r\nTo: <sip:{to}@{host}>\r\n\
             Call-ID: {call:x}@raw\r\nCSeq: {sequence} {method}\r\nUser-Agent: {agent}\r\n\
             {headers}Content-Length: 0\r\n\r\n"
        )
    }

    pub fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.server).expect("a datagram is sent");
    }

    /// The next final answer.
    pub fn hears(&self) -> String {
        let mut buffer = vec![0; 65_536];
        loop {
            let length = self.socket.recv(&mut buffer).expect("an answer within 30 s");
            let text = String::from_utf8(buffer[..length].to_vec()).expect("answers are text");
            // A registered phone is told of its counts meanwhile.
            if text.starts_with("SIP/2.0 ") && !text.starts_with("SIP/2.0 1") {
                return text;
            }
        }
    }
}

/// The status of an answer.
pub fn status(answer: &str) -> u16 {
    answer.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
}

/// All values of a header.
pub fn values<'a>(answer: &'a str, name: &str) -> Vec<&'a str> {
    answer.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect()
}

/// The challenges of an answer, in order.
pub fn challenges(answer: &str) -> Vec<DigestChallenge> {
    values(answer, "WWW-Authenticate").into_iter().map(|value| DigestChallenge::parse(value).expect("a challenge")).collect()
}

/// An Authorization header with its line end.
pub fn authorization(challenge: &DigestChallenge, user: &str, password: &str, method: &str, uri: &str) -> String {
    let Header::Authorization(value) = auth::answer(challenge, user, password, (method, uri), 7) else {
        unreachable!("credentials are an Authorization header")
    };
    format!("Authorization: {}\r\n", value.value())
}
