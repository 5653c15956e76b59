//! A lamp: whoever is told of counts over UDP, answers as told to, and remembers what it heard.

use std::{
    cell::RefCell,
    collections::{HashSet, VecDeque},
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

/// How long a lamp waits for something to be told.
const PATIENCE: Duration = Duration::from_secs(40);

/// A socket that NOTIFYs come to.
pub struct Lamp {
    pub socket: UdpSocket,
    /// Branches that were heard: a repetition is no news.
    seen: RefCell<HashSet<String>>,
    /// What was told while an answer was awaited.
    aside: RefCell<VecDeque<Told>>,
}

/// A NOTIFY as it came.
#[derive(Clone, Debug)]
pub struct Told {
    pub text: String,
    pub source: SocketAddr,
}

impl Lamp {
    pub fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        Self { socket, seen: RefCell::default(), aside: RefCell::default() }
    }

    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("a bound socket")
    }

    /// The next NOTIFY, answered with 200.
    pub fn hears(&self) -> Told {
        self.hears_and_answers("200 OK")
    }

    /// The next NOTIFY, answered with a status, and headers after a line end.
    pub fn hears_and_answers(&self, status: &str) -> Told {
        let told = self.hears_silently();
        self.answer(&told, status);
        told
    }

    /// The next NOTIFY, not answered.
    pub fn hears_silently(&self) -> Told {
        self.next(PATIENCE).unwrap_or_else(|| panic!("nothing was told within {PATIENCE:?}"))
    }

    /// NOTIFYs, answered with 200, until one has these counts: what was told before was true then.
    pub fn hears_counts(&self, counts: &str) -> Told {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let told = self.hears();
            if told.counts() == counts {
                return told;
            }
            assert!(Instant::now() < deadline, "{counts} was not told within {PATIENCE:?}, but {}", told.counts());
        }
    }

    /// Makes sure that no new NOTIFY comes for a while.
    pub fn hears_nothing(&self, span: Duration) {
        if let Some(told) = self.next(span) {
            panic!("nothing was to be told, but {}", told.text);
        }
    }

    pub fn answer(&self, told: &Told, status: &str) {
        let echoed = |line: &&str| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name));
        let lines: Vec<&str> = told.text.split("\r\n").filter(echoed).collect();
        let answer = format!("SIP/2.0 {status}\r\n{}\r\nContent-Length: 0\r\n\r\n", lines.join("\r\n"));
        self.socket.send_to(answer.as_bytes(), told.source).expect("a datagram is sent");
    }

    /// Sends a request, and gives its final answer.
    pub fn asks(&self, server: SocketAddr, request: &str) -> String {
        self.socket.send_to(request.as_bytes(), server).expect("a datagram is sent");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (text, source) = self.receive(deadline).unwrap_or_else(|| panic!("no answer to {request}"));
            if text.starts_with("NOTIFY ") {
                self.aside.borrow_mut().extend(self.news(text, source));
            } else if !text.starts_with("SIP/2.0 1") {
                return text;
            }
        }
    }

    fn next(&self, span: Duration) -> Option<Told> {
        if let Some(told) = self.aside.borrow_mut().pop_front() {
            return Some(told);
        }
        let deadline = Instant::now() + span;
        loop {
            let (text, source) = self.receive(deadline)?;
            if let Some(told) = self.news(text, source) {
                return Some(told);
            }
        }
    }

    fn news(&self, text: String, source: SocketAddr) -> Option<Told> {
        let told = Told { text, source };
        let is_new = told.text.starts_with("NOTIFY ") && self.seen.borrow_mut().insert(told.value("Via").to_owned());
        is_new.then_some(told)
    }

    fn receive(&self, deadline: Instant) -> Option<(String, SocketAddr)> {
        let mut buffer = vec![0; 65_536];
        loop {
            let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
            self.socket.set_read_timeout(Some(left)).expect("a socket has a time-out");
            if let Ok((length, source)) = self.socket.recv_from(&mut buffer) {
                return Some((String::from_utf8(buffer[..length].to_vec()).expect("messages are text"), source));
            }
        }
    }
}

impl Told {
    /// `new/old`.
    pub fn counts(&self) -> &str {
        let line = self.body().lines().find_map(|line| line.strip_prefix("Voice-Message: ")).expect("counts");
        line.strip_suffix(" (0/0)").expect("no urgent messages")
    }

    pub fn is_lit(&self) -> bool {
        match self.body().lines().next() {
            Some("Messages-Waiting: yes") => true,
            Some("Messages-Waiting: no") => false,
            other => panic!("{other:?}"),
        }
    }

    pub fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").expect("a body").1
    }

    pub fn state(&self) -> &str {
        self.value("Subscription-State")
    }

    /// The number in CSeq.
    pub fn sequence(&self) -> u32 {
        self.value("CSeq").strip_suffix(" NOTIFY").and_then(|number| number.parse().ok()).expect("a CSeq")
    }

    /// Whether both are of one dialog.
    pub fn is_beside(&self, other: &Self) -> bool {
        ["Call-ID", "From", "To"].iter().all(|name| self.value(name) == other.value(name))
    }

    /// The value of a header, the first one of its name.
    pub fn value(&self, name: &str) -> &str {
        let found = self.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.unwrap_or_else(|| panic!("no {name} in {}", self.text))
    }
}
