//! SIP over real sockets: UDP and TCP, IPv4 and IPv6, peers that are slow, silent or gone.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use afterbeep::sip::{
    event::{Command, EndReason, Event},
    flow::{ListenAddr, Transport},
    gate::GateConfig,
    transport::{CallHandle, ConnectionLimits, NewCall, SipServer},
    uas::UasConfig,
    user_agent::{DialEnd, DialEvent, DialledCall, Invitation, UserAgent},
    wire::{NameAddr, SipUri},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

/// How long anything here may take; in truth it takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn calls_go_over_udp_and_tcp_and_ipv4_and_ipv6() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        for transport in [Transport::Udp, Transport::Tcp] {
            let mut server = Server::start(transport, listen, UasConfig::default());
            let phone = server.phone().await;

            let (mut ours, mut theirs) = server.answered_call(&phone).await;
            assert_eq!(theirs.0.local, server.address);
            assert_eq!(theirs.0.source, phone.local_addr());
            ours.info("application/dtmf-relay", "Signal=1");
            assert!(matches!(next(&mut theirs.1).await, Event::Info { .. }));
            assert_eq!(told(&mut ours).await, DialEvent::InfoAnswered { status: 200 });
            ours.reinvite(b"hold".to_vec());
            assert!(matches!(next(&mut theirs.1).await, Event::Reoffer { offer: Some(_) }));
            theirs.1.send(Command::AnswerReoffer { sdp: b"held".to_vec() });
            assert_eq!(told(&mut ours).await, DialEvent::Reanswered { sdp: b"held".to_vec() });
            assert!(matches!(next(&mut theirs.1).await, Event::Acknowledged { .. }));
            ours.hangup();

            assert!(matches!(next(&mut theirs.1).await, Event::Ended(EndReason::Bye(_))));
            assert_eq!(told(&mut ours).await, DialEvent::Ended(DialEnd::WeHungUp(200)));
            server.stop().await;
        }
    }
}

#[tokio::test]
async fn a_server_that_listens_everywhere_tells_peers_one_address() {
    let mut server = Server::start(Transport::Udp, "0.0.0.0:0", UasConfig::default());
    server.address.set_ip([127, 0, 0, 1].into());
    let phone = server.phone().await;

    let (mut ours, theirs) = server.answered_call(&phone).await;
    theirs.1.send(Command::Hangup { reason: None });

    assert_eq!(theirs.0.local, server.address);
    assert_eq!(told(&mut ours).await, DialEvent::Ended(DialEnd::TheyHungUp));
    server.stop().await;
}

#[tokio::test]
async fn a_call_whose_handle_is_dropped_is_refused_or_hung_up() {
    let mut server = Server::start(Transport::Udp, "127.0.0.1:0", UasConfig::default());
    let phone = server.phone().await;

    let mut refused = server.dial(&phone).await;
    drop(server.incoming().await);
    let (mut hung_up, theirs) = server.answered_call(&phone).await;
    drop(theirs);

    assert!(matches!(told(&mut refused).await, DialEvent::Rejected { status: 500, .. }));
    assert_eq!(told(&mut hung_up).await, DialEvent::Ended(DialEnd::TheyHungUp));
    server.stop().await;
}

#[tokio::test]
async fn a_caller_who_gives_up_is_not_answered() {
    let mut server = Server::start(Transport::Udp, "127.0.0.1:0", UasConfig::default());
    let phone = server.phone().await;
    let mut ours = server.dial(&phone).await;
    let mut theirs = server.incoming().await;
    theirs.handle.send(Command::Ring { offer: None });
    assert_eq!(told(&mut ours).await, DialEvent::Provisional(180));

    ours.hangup();

    assert!(matches!(next(&mut theirs.handle).await, Event::Ended(EndReason::Cancelled(_))));
    assert!(matches!(told(&mut ours).await, DialEvent::Rejected { status: 487, .. }));
    server.stop().await;
}

#[tokio::test]
async fn a_draining_server_finishes_its_calls_and_takes_no_more() {
    let mut server = Server::start(Transport::Udp, "127.0.0.1:0", UasConfig::default());
    let phone = server.phone().await;
    let (mut ours, _theirs) = server.answered_call(&phone).await;

    server.drain.take().expect("not drained yet").send(()).expect("the server runs");
    let mut late = server.dial(&phone).await;
    let rejected = told(&mut late).await;
    assert!(!server.task.is_finished());
    ours.hangup();

    let retry_after = Some(Duration::from_secs(5));
    assert_eq!(rejected, DialEvent::Rejected { status: 503, reason: "Service Unavailable".to_owned(), retry_after });
    assert_eq!(told(&mut ours).await, DialEvent::Ended(DialEnd::WeHungUp(200)));
    timeout(PATIENCE, server.task).await.expect("the server stops").expect("and does not panic");
}

#[tokio::test]
async fn calls_that_nobody_takes_are_refused() {
    let mut server = Server::start(Transport::Udp, "127.0.0.1:0", UasConfig::default());
    let phone = server.phone().await;
    let mut calls = Vec::new();
    for _ in 0..=Server::QUEUE {
        calls.push(server.dial(&phone).await);
    }

    assert!(matches!(told(calls.last_mut().unwrap()).await, DialEvent::Rejected { status: 503, .. }));
    drop(server.incoming().await);
    assert!(matches!(told(&mut calls[0]).await, DialEvent::Rejected { status: 500, .. }));
}

#[tokio::test]
async fn two_hundred_calls_at_once_are_all_answered() {
    let mut server = Server::start(Transport::Udp, "127.0.0.1:0", trusting());
    let phone = server.phone().await;
    let mut calls = Vec::new();
    for _ in 0..200 {
        calls.push(server.dial(&phone).await);
        let new = server.incoming().await;
        new.handle.send(Command::Answer { sdp: b"v=0".to_vec() });
        assert!(matches!(told(calls.last_mut().unwrap()).await, DialEvent::Answered { .. }));
        server.held.push(new.handle);
    }

    for handle in &mut server.held {
        assert!(matches!(next(handle).await, Event::Acknowledged { .. }));
    }
    for call in &calls {
        call.hangup();
    }
    for call in &mut calls {
        assert_eq!(told(call).await, DialEvent::Ended(DialEnd::WeHungUp(200)));
    }
    server.stop().await;
}

#[tokio::test]
async fn a_keep_alive_on_a_stream_is_answered() {
    let server = Server::start(Transport::Tcp, "127.0.0.1:0", UasConfig::default());
    let mut stream = TcpStream::connect(server.address).await.unwrap();

    stream.write_all(b"\r\n\r\n").await.unwrap();

    assert_eq!(read_some(&mut stream).await, b"\r\n");
    server.stop().await;
}

#[tokio::test]
async fn a_stun_keep_alive_on_the_sip_port_is_answered_with_the_senders_address() {
    let server = Server::start(Transport::Udp, "127.0.0.1:0", UasConfig::default());
    let phone = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = phone.local_addr().unwrap().port();
    // A binding request with a SOFTWARE attribute (RFC 8489 §5).
    let header = |length: u8| [&[0, 1, 0, length, 0x21, 0x12, 0xA4, 0x42][..], b"transaction!"].concat();
    let request = [&header(8)[..], &[0x80, 0x22, 0, 4], b"test"].concat();

    phone.send_to(&request, server.address).await.unwrap();
    let mut buffer = [0; 1500];
    let length = timeout(PATIENCE, phone.recv(&mut buffer)).await.expect("an answer comes").unwrap();

    let xor_port = (port ^ 0x2112).to_be_bytes();
    let mapped = [&[0, 0x20, 0, 8, 0, 1][..], &xor_port, &[127 ^ 0x21, 0x12, 0xA4, 1 ^ 0x42]].concat();
    assert_eq!(&buffer[..length], [&[1, 1, 0, 12][..], &header(0)[4..], &mapped].concat());
    server.stop().await;
}

#[tokio::test]
async fn a_message_may_come_in_pieces_and_two_may_come_at_once() {
    let server = Server::start(Transport::Tcp, "127.0.0.1:0", UasConfig::default());
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let (first, second) = (options("1"), options("2"));
    let both = [first.as_bytes(), second.as_bytes()].concat();

    for piece in both.chunks(100) {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }

    let mut got = String::new();
    while got.matches("Content-Length: 0\r\n\r\n").count() < 2 {
        got.push_str(std::str::from_utf8(&read_some(&mut stream).await).unwrap());
    }
    assert_eq!(got.matches("SIP/2.0 200 OK\r\n").count(), 2, "{got}");
    server.stop().await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_holds_up_nobody() {
    let mut server = Server::start(Transport::Tcp, "127.0.0.1:0", trusting());
    let mut stuck = TcpStream::connect(server.address).await.unwrap();
    let flood = options("1").repeat(200);
    // The kernel takes some until the server cuts the peer off; then writing fails.
    let cut_off = tokio::spawn(async move {
        while stuck.write_all(flood.as_bytes()).await.is_ok() {}
        stuck
    });

    let phone = server.phone().await;
    let (mut ours, _theirs) = server.answered_call(&phone).await;
    ours.hangup();

    assert_eq!(told(&mut ours).await, DialEvent::Ended(DialEnd::WeHungUp(200)));
    timeout(PATIENCE, cut_off).await.expect("the stuck peer is cut off").unwrap();
    server.stop().await;
}

#[tokio::test]
async fn silent_strange_and_surplus_connections_are_closed() {
    let first_message = Duration::from_millis(200);
    let connections = ConnectionLimits { connections_per_address: 2, first_message, ..ConnectionLimits::default() };
    let server = Server::start(Transport::Tcp, "127.0.0.1:0", UasConfig { connections, ..UasConfig::default() });
    let mut dripping = TcpStream::connect(server.address).await.unwrap();
    let mut strange = TcpStream::connect(server.address).await.unwrap();
    let mut surplus = TcpStream::connect(server.address).await.unwrap();

    dripping.write_all(b"OPTIONS").await.unwrap();
    assert!(is_closed(&mut surplus).await);
    strange.write_all(b"\x16\x03\x01 this is TLS\r\n\r\n").await.unwrap();

    assert!(is_closed(&mut strange).await);
    assert!(is_closed(&mut dripping).await);
    server.stop().await;
}

#[tokio::test]
async fn a_bye_finds_the_caller_whose_connection_broke() {
    let mut server = Server::start(Transport::Tcp, "127.0.0.1:0", UasConfig::default());
    let phone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let contact = phone.local_addr().unwrap();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(request("INVITE", "1", "", contact, "v=0").as_bytes()).await.unwrap();
    let mut new = server.incoming().await;
    new.handle.send(Command::Answer { sdp: b"v=0".to_vec() });
    let answer = String::from_utf8(read_some(&mut stream).await).unwrap();
    let tag = answer.split("\r\nTo: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.split_once("tag=")).unwrap().1;
    stream.write_all(request("ACK", "1", tag, contact, "").as_bytes()).await.unwrap();
    assert!(matches!(next(&mut new.handle).await, Event::Acknowledged { .. }));

    stream.shutdown().await.unwrap();
    assert!(is_closed(&mut stream).await);
    new.handle.send(Command::Hangup { reason: None });
    assert!(matches!(next(&mut new.handle).await, Event::Ended(EndReason::HungUp)));
    let (mut accepted, _) = timeout(PATIENCE, phone.accept()).await.expect("the server connects").unwrap();
    let bye = String::from_utf8(read_some(&mut accepted).await).unwrap();

    assert!(bye.starts_with(&format!("BYE sip:phone@{contact};transport=tcp SIP/2.0\r\n")), "{bye}");
    let ok = bye.replacen(bye.lines().next().unwrap(), "SIP/2.0 200 OK", 1);
    accepted.write_all(ok.as_bytes()).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();

    let error = SipServer::bind(&[ListenAddr::udp(address)], UasConfig::default()).unwrap_err();

    assert!(error.to_string().contains(&format!("udp:{address}")), "{error}");
}

/// A server for which this machine is a trusted peer.
fn trusting() -> UasConfig {
    UasConfig { gate: GateConfig { trusts: Arc::new(|_| true), ..GateConfig::default() }, ..UasConfig::default() }
}

/// A server that runs.
struct Server {
    address: SocketAddr,
    transport: Transport,
    calls: mpsc::Receiver<NewCall>,
    held: Vec<CallHandle>,
    drain: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    const QUEUE: usize = 8;

    fn start(transport: Transport, listen: &str, config: UasConfig) -> Self {
        let listen = ListenAddr { transport, address: listen.parse().unwrap() };
        let server = SipServer::bind(&[listen], config).unwrap();
        let address = server.local_addrs()[0].address;
        let (incoming, calls) = mpsc::channel(Self::QUEUE);
        let (drain, drained) = oneshot::channel();
        let (requests, _) = mpsc::channel(1);
        let task = tokio::spawn(server.run(incoming, requests, async { _ = drained.await }));
        Self { address, transport, calls, held: Vec::new(), drain: Some(drain), task }
    }

    async fn phone(&self) -> UserAgent {
        match self.transport {
            Transport::Udp => UserAgent::udp(self.address).unwrap(),
            Transport::Tcp => UserAgent::tcp(self.address).await.unwrap(),
            Transport::Tls | Transport::Ws | Transport::Wss => panic!("these have tests of their own"),
        }
    }

    async fn dial(&self, phone: &UserAgent) -> DialledCall {
        let from = NameAddr::new(SipUri::at(Some("ann"), phone.local_addr()));
        phone.dial(Invitation::new(SipUri::at(Some("6001"), self.address), from, b"v=0".to_vec())).await.unwrap()
    }

    async fn incoming(&mut self) -> NewCall {
        timeout(PATIENCE, self.calls.recv()).await.expect("a call comes").expect("the server runs")
    }

    async fn answered_call(&mut self, phone: &UserAgent) -> (DialledCall, (afterbeep::sip::event::IncomingCall, CallHandle)) {
        let mut ours = self.dial(phone).await;
        let NewCall { invite, mut handle } = self.incoming().await;
        assert_eq!(invite.offer.as_deref(), Some(&b"v=0"[..]));
        handle.send(Command::Answer { sdp: b"v=0 answer".to_vec() });
        assert_eq!(told(&mut ours).await, DialEvent::Answered { sdp: b"v=0 answer".to_vec() });
        assert!(matches!(next(&mut handle).await, Event::Acknowledged { answer: None }));
        (ours, (invite, handle))
    }

    /// Drains, and waits for the end.
    async fn stop(mut self) {
        self.drain.take().map(|drain| drain.send(()));
        timeout(PATIENCE, self.task).await.expect("the server stops").expect("and does not panic");
    }
}

async fn next(handle: &mut CallHandle) -> Event {
    timeout(PATIENCE, handle.next_event()).await.expect("something happens")
}

async fn told(call: &mut DialledCall) -> DialEvent {
    timeout(PATIENCE, call.next_event()).await.expect("something happens")
}

async fn read_some(stream: &mut TcpStream) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    let length = timeout(PATIENCE, stream.read(&mut buffer)).await.expect("something comes").unwrap();
    buffer.truncate(length);
    buffer
}

async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 1];
    matches!(timeout(PATIENCE, stream.read(&mut buffer)).await.expect("the connection is closed"), Ok(0) | Err(_))
}

fn options(call: &str) -> String {
    request("OPTIONS", call, "", "127.0.0.1:9".parse().unwrap(), "")
}

fn request(method: &str, call: &str, tag: &str, contact: SocketAddr, body: &str) -> String {
    let tag = if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
    format!(
        "{method} sip:6001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP {contact};branch=z9hG4bK{call}{method}\r\n\
         From: <sip:phone@127.0.0.1>;tag=p\r\nTo: <sip:6001@127.0.0.1>{tag}\r\nCall-ID: raw-{call}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:phone@{contact};transport=tcp>\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
