//! Messages that were made to be hard to read (RFC 4475, RFC 5118), noise, and messages as long as they may be: each is acted on,
//! refused with the status owed or dropped, and the next good call works.

use std::{
    collections::HashSet,
    fs::File,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream, UdpSocket},
    os::fd::AsFd as _,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use afterbeep::sip::wire::{Frame, MAX_MESSAGE, StreamFramer};
use rand::{Rng as _, RngCore as _, SeedableRng as _, rngs::StdRng};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::support::{
    raw::{authorization, challenges, status, values},
    server::Server,
};

mod messages;

/// A message, and what its sender is owed.
#[derive(Clone)]
struct Case {
    /// The section of the RFC, and the name it has there.
    name: &'static str,
    owed: Owed,
    /// Whether it is about a call over IPv6.
    by_ipv6: bool,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    /// A call that is answered.
    Call,
    /// A final response.
    Status(u16),
    /// A challenge, and with a line's credentials a registration of this contact.
    Registered(&'static str),
    /// A challenge, and with a line's credentials a refusal: it is for somebody else.
    Forbidden,
    /// No answer at all.
    Ignored,
}

/// 49 messages of RFC 4475, one of them in two ways, and 11 of RFC 5118.
const MESSAGES: usize = 61;

/// The end of these messages is another on a stream, where `Content-Length` alone says where it is.
const ONLY_AS_DATAGRAMS: [&str; 2] = ["3.1.1.8 dblreq", "3.1.2.2 clerr"];

#[test]
fn every_torture_message_gets_what_it_is_owed_and_the_next_call_works() {
    let server = with_a_line();
    let (mut by_ipv4, mut by_ipv6) = (Peer::udp(server.udp()), Peer::udp(server.udp_ipv6()));
    let cases = messages::all();
    let names: HashSet<_> = cases.iter().map(|case| case.name).collect();
    assert_eq!((names.len(), cases.len()), (MESSAGES, MESSAGES));

    for case in &cases {
        let peer = if case.by_ipv6 { &mut by_ipv6 } else { &mut by_ipv4 };
        peer.send(&case.bytes);
        peer.expects(case);
        peer.calls(case.name);
    }

    server.expect_tidiness();
}

#[test]
fn torture_messages_in_pieces_on_streams_are_read_the_same() {
    let server = with_a_line();
    let mut random = StdRng::seed_from_u64(4475);

    for case in messages::all().iter().filter(|case| !case.by_ipv6 && !ONLY_AS_DATAGRAMS.contains(&case.name)) {
        let mut peer = Peer::tcp(server.tcp());
        peer.send_in_pieces(&case.bytes, &mut random);
        peer.expects(case);
        // What cannot be followed any more is closed; another connection is as good.
        let mut next = if case.owed == Owed::Ignored { peer } else { Peer::tcp(server.tcp()) };
        next.calls(case.name);
    }

    server.expect_tidiness();
}

#[test]
fn noise_on_streams_and_in_datagrams_keeps_nobody_from_calling() {
    let server = Server::start("");
    let mut random = StdRng::seed_from_u64(5118);
    let good = good("OPTIONS", "good", 1, "", "");

    for round in 0..100 {
        let mut noise = vec![0; random.random_range(1..3000)];
        random.fill_bytes(&mut noise);
        // Noise with the look of a message, and a message with noise in it.
        let mut spoilt = good.clone().into_bytes();
        for _ in 0..random.random_range(1..20) {
            let at = random.random_range(0..spoilt.len());
            spoilt[at] = random.random();
        }
        let mut noisy = Peer::udp(server.udp());
        noisy.send(&noise);
        noisy.send(&spoilt);
        for bytes in [&noise, &spoilt, &[&good.as_bytes()[..random.random_range(1..good.len())], &noise[..]].concat()] {
            // It may be closed while it is being written to.
            let mut stream = TcpStream::connect(server.tcp()).expect("the server takes connections");
            let _ = stream.write_all(bytes);
        }
        if round % 10 == 0 {
            Peer::udp(server.udp()).calls("noise");
            Peer::tcp(server.tcp()).calls("noise");
        }
    }

    server.expect_tidiness();
}

#[test]
fn requests_one_after_the_other_on_a_stream_are_all_answered() {
    let server = Server::start("");
    let mut random = StdRng::seed_from_u64(3261);
    let mut peer = Peer::tcp(server.tcp());
    let requests: Vec<_> = (1..=100).map(|number| good("OPTIONS", &format!("pipelined-{number}"), number, "", "")).collect();
    let stream = requests.iter().map(|request| format!("{request}\r\n")).collect::<String>();

    peer.send_in_pieces(stream.as_bytes(), &mut random);

    for number in 1..=100 {
        let answer = peer.answer();
        assert_eq!((status(&answer), header(&answer, "CSeq")), (200, format!("{number} OPTIONS").as_str()));
    }
    server.expect_tidiness();
}

#[test]
fn messages_may_be_as_long_as_a_datagram_and_be_answered_at_length() {
    let server = Server::start("");
    // The longest datagram of IPv4 is shorter than the longest message.
    for (mut peer, length) in [(Peer::udp(server.udp()), 65_507), (Peer::tcp(server.tcp()), MAX_MESSAGE)] {
        let routes =
            (0..150).map(|n| format!("Record-Route: <sip:proxy-{n}.{}.example;lr>\r\n", "long".repeat(15))).collect::<String>();
        let short = good("INVITE", &unique(), 1, &format!("{routes}X-Filler: \r\n"), OFFER);
        let filler = "x".repeat(length - short.len());
        let long = short.replace("X-Filler: ", &format!("X-Filler: {filler}"));
        assert_eq!(long.len(), length);

        peer.send(long.as_bytes());
        let answer = peer.answer();

        assert_eq!(status(&answer), 200, "{answer}");
        assert_eq!(answer.matches("\r\nRecord-Route: ").count(), 150);
        assert!(answer.len() > 12_000, "much more than fits into one packet: {}", answer.len());
        peer.hangs_up(&answer);
        peer.calls("long");
    }
    // One byte more is too long, which only a stream can say.
    let mut peer = Peer::tcp(server.tcp());
    let short = good("OPTIONS", "too-long", 1, "", "").replace("Content-Length: 0", "Content-Length: 00000");
    peer.send(short.replace("00000", &(MAX_MESSAGE - short.len() + 1).to_string()).as_bytes());

    assert_eq!(status(&peer.answer()), 413);
    Peer::tcp(server.tcp()).calls("too long");
    server.expect_tidiness();
}

#[test]
fn long_messages_cross_a_network_of_short_packets() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not tried: only root makes networks");
        return;
    }
    in_a_network_of_packets(1280, || {
        let server = Server::start("");
        for (address, offer) in [(server.udp(), OFFER), (server.udp_ipv6(), OFFER_BY_IPV6)] {
            let mut peer = Peer::udp(address);
            let routes = (0..30).map(|n| format!("Record-Route: <sip:proxy-{n}.{}.example;lr>\r\n", "long".repeat(15)));
            let headers = format!("{}X-Filler: {}\r\n", routes.collect::<String>(), "x".repeat(50_000));
            peer.send(good("INVITE", &unique(), 1, &headers, offer).as_bytes());

            let answer = peer.answer();

            assert_eq!(status(&answer), 200, "{answer}");
            assert!(answer.len() > 2 * 1280, "{}", answer.len());
            peer.hangs_up(&answer);
        }
        server.expect_tidiness();
    });
}

/// Runs a test, and what it starts, in a network namespace that has only loopback, whose packets are this long at most.
fn in_a_network_of_packets(longest: u32, test: impl FnOnce() + Send + 'static) {
    let moved = std::thread::spawn(move || {
        // It keeps the namespace until this thread is in it; what it says shows that it has made it.
        let mut holder = Command::new("unshare").args(["--net", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let holder = holder.as_mut().expect("unshare is there (Debian package util-linux)");
        holder.stdin.as_mut().expect("a pipe").write_all(b"!").expect("it listens");
        holder.stdout.as_mut().expect("a pipe").read_exact(&mut [0]).expect("it answers");
        let network = File::open(format!("/proc/{}/ns/net", holder.id())).expect("it has a network");
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may go anywhere");
        let set_up = ["link", "set", "lo", "mtu", &longest.to_string(), "up"];
        assert!(Command::new("ip").args(set_up).status().expect("ip is there (Debian package iproute2)").success());
        holder.kill().and_then(|()| holder.wait()).expect("it ends");
        test();
    });
    if let Err(panic) = moved.join() {
        std::panic::resume_unwind(panic);
    }
}

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";
const OFFER_BY_IPV6: &str = "v=0\r\no=- 1 1 IN IP6 ::1\r\ns=-\r\nc=IN IP6 ::1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";

/// The password of line 1001, which is `user`, too.
const SECRET: &str = "a line's own password";

fn with_a_line() -> Server {
    // The contacts that are registered here are nobody's, and not to be told anything.
    let server = Server::start("[mwi]\nregistered_phones = false\n");
    let password = server.path("password");
    std::fs::write(&password, SECRET).expect("the folder is ours");
    server.add_mailbox("1001", &["--alias", "user"]);
    server.run(&["line", "set", "1001", "--password-file", &password.to_string_lossy()]);
    server
}

/// A name that no other call or transaction of these tests has.
fn unique() -> String {
    static LATEST: AtomicU32 = AtomicU32::new(0);
    format!("good-{}", LATEST.fetch_add(1, Ordering::Relaxed))
}

/// A request as it should be.
fn good(method: &str, call: &str, number: u32, headers: &str, body: &str) -> String {
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:7000@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bK{call}-{number}-{method}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:ann@127.0.0.1>;tag=f{call}\r\nTo: <sip:7000@127.0.0.1>\r\nCall-ID: {call}@127.0.0.1\r\n\
         CSeq: {number} {method}\r\nContact: <sip:ann@127.0.0.1:9>\r\n{headers}{content}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Somebody who sends what it likes.
struct Peer {
    line: Line,
    /// The Call-IDs of requests that were answered.
    settled: HashSet<String>,
}

enum Line {
    Datagrams(UdpSocket),
    Stream(TcpStream, StreamFramer),
}

impl Peer {
    fn udp(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((server.ip(), 0)).expect("loopback has a free port");
        socket.connect(server).expect("a UDP socket can be connected");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket has a time-out");
        Self { line: Line::Datagrams(socket), settled: HashSet::new() }
    }

    fn tcp(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).expect("the server takes connections");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket has a time-out");
        stream.set_nodelay(true).expect("a socket sends at once");
        Self { line: Line::Stream(stream, StreamFramer::new()), settled: HashSet::new() }
    }

    fn send(&mut self, bytes: &[u8]) {
        match &mut self.line {
            Line::Datagrams(socket) => _ = socket.send(bytes).expect("a datagram is sent"),
            Line::Stream(stream, _) => stream.write_all(bytes).expect("the stream is open"),
        }
    }

    fn send_in_pieces(&mut self, bytes: &[u8], random: &mut StdRng) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(random.random_range(1..=rest.len().min(300)));
            self.send(piece);
            rest = more;
        }
    }

    /// The next final response.
    fn answer(&mut self) -> String {
        loop {
            let text = String::from_utf8_lossy(&self.receives()).into_owned();
            if !text.starts_with("SIP/2.0 1") && !self.settled.contains(header(&text, "Call-ID")) {
                return text;
            }
        }
    }

    fn receives(&mut self) -> Vec<u8> {
        let mut buffer = vec![0; MAX_MESSAGE];
        match &mut self.line {
            Line::Datagrams(socket) => {
                let length = socket.recv(&mut buffer).expect("an answer within 30 s");
                buffer.truncate(length);
                buffer
            }
            Line::Stream(stream, framer) => loop {
                match framer.next().expect("answers are SIP") {
                    Some(Frame::Message(bytes)) => return bytes.to_vec(),
                    Some(Frame::Ping) => {}
                    None => {
                        let length = stream.read(&mut buffer).expect("an answer within 30 s");
                        assert!(length > 0, "the server closed the connection");
                        framer.push(&buffer[..length]);
                    }
                }
            },
        }
    }

    /// Gets what is owed. Nothing is, if nothing comes before the answers to the next call.
    fn expects(&mut self, case: &Case) {
        let expected = match case.owed {
            Owed::Ignored => return,
            Owed::Call => 200,
            Owed::Status(status) => status,
            Owed::Registered(_) | Owed::Forbidden => 401,
        };
        let answer = self.answer();
        assert_eq!(status(&answer), expected, "{}: {answer}", case.name);
        assert!(expected != 405 || answer.contains("\r\nAllow: "), "{}: {answer}", case.name);
        assert_eq!(expected == 420, answer.contains("\r\nUnsupported: "), "{}: {answer}", case.name);
        match case.owed {
            Owed::Call => self.hangs_up(&answer),
            Owed::Registered(contact) => {
                let answer = self.comes_again(case, &answer);
                assert_eq!(status(&answer), 200, "{}: {answer}", case.name);
                let contacts = values(&answer, "Contact");
                assert!(contacts.iter().any(|known| known.starts_with(contact)), "{}: {answer}", case.name);
            }
            Owed::Forbidden => {
                let answer = self.comes_again(case, &answer);
                assert_eq!(status(&answer), 403, "{}: {answer}", case.name);
            }
            Owed::Status(_) | Owed::Ignored => {}
        }
    }

    /// Sends a request again, with the credentials of a line.
    fn comes_again(&mut self, case: &Case, challenged: &str) -> String {
        let text = std::str::from_utf8(&case.bytes).expect("text");
        let uri = text.split(' ').nth(1).expect("a Request-URI");
        let credentials = authorization(&challenges(challenged)[0], "1001", SECRET, "REGISTER", uri);
        // Whatever else is in the datagram is not a part of it.
        let again = text.replacen("Max-Forwards", &format!("{credentials}Max-Forwards"), 1);
        self.send(again.replacen("CSeq: 1 ", "CSeq: 2 ", 1).replacen("branch=z9hG4bK", "branch=z9hG4bK-again-", 1).as_bytes());
        self.answer()
    }

    /// Acknowledges a call that was answered, and ends it.
    fn hangs_up(&mut self, answer: &str) {
        let number: u32 = header(answer, "CSeq").split(' ').next().and_then(|number| number.parse().ok()).expect("a number");
        let contact = header(answer, "Contact").trim_matches(['<', '>']);
        let (from, to, call) = (header(answer, "From"), header(answer, "To"), header(answer, "Call-ID"));
        let name = unique();
        for (method, number) in [("ACK", number), ("BYE", number + 1)] {
            let request = format!(
                "{method} {contact} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bK{name}-{method}\r\nFrom: {from}\r\n\
                 To: {to}\r\nCall-ID: {call}\r\nCSeq: {number} {method}\r\nContent-Length: 0\r\n\r\n"
            );
            self.send(request.as_bytes());
        }
        loop {
            let ended = self.answer();
            if header(&ended, "CSeq").ends_with("BYE") {
                assert_eq!(status(&ended), 200, "{ended}");
                break;
            }
        }
        self.settled.insert(call.to_owned());
    }

    /// Makes a call as it should be, after something that was not.
    fn calls(&mut self, after: &str) {
        let call = unique();
        let by_ipv6 = matches!(&self.line, Line::Datagrams(socket) if socket.local_addr().is_ok_and(|it| it.is_ipv6()));
        self.send(good("INVITE", &call, 1, "", if by_ipv6 { OFFER_BY_IPV6 } else { OFFER }).as_bytes());
        let answer = self.answer();
        assert_eq!((status(&answer), header(&answer, "Call-ID")), (200, format!("{call}@127.0.0.1").as_str()), "after {after}");
        self.hangs_up(&answer);
    }
}

fn header<'a>(text: &'a str, name: &str) -> &'a str {
    text.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_default()
}
