//! Requests of ours to host names: where the DNS sends them, and what happens when a place does not answer.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use afterbeep::sip::{
    event::{Command, EndReason, Event},
    flow::ListenAddr,
    gate::GateConfig,
    outgoing::{Outcome, OutgoingRequest},
    transport::{NewCall, OutgoingHandle, SipServer, TlsSettings},
    uas::UasConfig,
    user_agent::{Invitation, UserAgent},
    wire::{NameAddr, SipUri},
};
use rsip::Method;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UdpSocket},
    sync::mpsc,
    time::{Instant, timeout},
};

use crate::support::{caller::PATIENCE, certificate::Authority, dns::Zone, tls::acceptor};

#[tokio::test]
async fn a_bye_to_a_name_goes_where_the_dns_says_and_on_when_nobody_is_there() {
    let (dead, alive) = (bind().await, bind().await);
    let dns = Zone::default()
        .service("proxy.example", 1, "SIP+D2U", "_sip._udp.proxy.example")
        .server("_sip._udp.proxy.example", 1, port(&dead), "a.proxy.example")
        .server("_sip._udp.proxy.example", 2, port(&alive), "b.proxy.example")
        .host("a.proxy.example", [127, 0, 0, 1])
        .host("b.proxy.example", [127, 0, 0, 1])
        .serve()
        .await;
    let mut server = Server::start(dns.address, TlsSettings::default());
    let caller = bind().await;
    let mut call = server.answered_call(&caller, "Record-Route: <sip:proxy.example;lr>\r\n").await;

    call.handle.send(Command::Hangup { reason: None });
    let (first, from) = receive(&dead).await;
    let hung_up_at = Instant::now();
    let (second, _) = receive(&alive).await;
    let waited = hung_up_at.elapsed();
    alive.send_to(response(&second, "200 OK").as_bytes(), from).await.unwrap();

    assert!(matches!(happens(&mut call).await, Event::Ended(EndReason::HungUp)));
    for bye in [&first, &second] {
        assert!(bye.starts_with("BYE sip:phone@phone.example SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:"), "{bye}");
        assert!(bye.contains("\r\nRoute: <sip:proxy.example;lr>\r\n"), "{bye}");
    }
    assert!(waited > Duration::from_secs(2) && waited < Duration::from_secs(20), "{waited:?}");
    assert_eq!(dns.asked()[..2], ["NAPTR proxy.example.", "SRV _sip._udp.proxy.example."]);
    // The proxy has confirmed it, so nothing is left to wait for.
    server.stop().await;
}

#[tokio::test]
async fn a_place_that_is_busy_or_refuses_connections_is_passed_over() {
    let (busy, free) = (bind().await, bind().await);
    let nobody = { TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port() };
    let dns = Zone::default()
        .service("mwi.example", 1, "SIP+D2T", "_sip._tcp.mwi.example")
        .service("mwi.example", 2, "SIP+D2U", "_sip._udp.mwi.example")
        .server("_sip._tcp.mwi.example", 1, nobody, "h.example")
        .server("_sip._udp.mwi.example", 1, port(&busy), "h.example")
        .server("_sip._udp.mwi.example", 2, port(&free), "h.example")
        .host("h.example", [127, 0, 0, 1])
        .serve()
        .await;
    let server = Server::start(dns.address, TlsSettings::default());

    let sending = tokio::spawn(notify(server.outgoing.clone(), "sip:mwi.example"));
    let (first, from) = receive(&busy).await;
    busy.send_to(response(&first, "503 Service Unavailable").as_bytes(), from).await.unwrap();
    let (second, from) = receive(&free).await;
    free.send_to(response(&second, "200 OK").as_bytes(), from).await.unwrap();
    let outcome = sending.await.unwrap();

    assert_eq!(outcome, Outcome::Answered { status: 200, retry_after: None });
    assert_ne!(branch(&first), branch(&second));
    // The next one does not wait for those that have failed.
    let sending = tokio::spawn(notify(server.outgoing.clone(), "sip:mwi.example"));
    let (third, from) = receive(&free).await;
    free.send_to(response(&third, "200 OK").as_bytes(), from).await.unwrap();
    assert_eq!(sending.await.unwrap(), Outcome::Answered { status: 200, retry_after: None });
    assert!(busy.try_recv_from(&mut [0; 1500]).is_err());
    assert_eq!(notify(server.outgoing.clone(), "sip:unknown.example").await, Outcome::NotSent);
    server.stop().await;
}

#[tokio::test]
async fn a_host_is_reached_by_either_family_and_the_peer_is_told_an_address_of_the_same() {
    let peer = UdpSocket::bind("[::1]:0").await.unwrap();
    let dns = Zone::default()
        .server("_sip._udp.six.example", 1, port(&peer), "h.example")
        .host_ipv6("h.example", std::net::Ipv6Addr::LOCALHOST)
        .serve()
        .await;
    let server = Server::start(dns.address, TlsSettings::default());

    let sending = tokio::spawn(notify(server.outgoing.clone(), "sip:six.example"));
    let (request, from) = receive(&peer).await;
    peer.send_to(response(&request, "200 OK").as_bytes(), from).await.unwrap();

    assert_eq!(sending.await.unwrap(), Outcome::Answered { status: 200, retry_after: None });
    assert!(request.contains(&format!("\r\nVia: SIP/2.0/UDP {from};")) && from.is_ipv6(), "{request}");
    assert!(dns.asked().contains(&"A h.example.".to_owned()) && dns.asked().contains(&"AAAA h.example.".to_owned()));
    server.stop().await;
}

#[tokio::test]
async fn a_sips_proxy_must_prove_the_name_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dns = Zone::default()
        .server("_sips._tcp.proxy.example", 1, proxy.local_addr().unwrap().port(), "node-7.hoster.example")
        .server("_sips._tcp.same.example", 1, proxy.local_addr().unwrap().port(), "node-7.hoster.example")
        .server("_sips._tcp.other.example", 1, other.local_addr().unwrap().port(), "node-7.hoster.example")
        .host("node-7.hoster.example", [127, 0, 0, 1])
        .serve()
        .await;
    let certified = authority.certify("proxy", "/CN=proxy", "DNS:proxy.example");
    let server =
        Server::start(dns.address, TlsSettings { peer_authorities: Some(authority.certificate()), ..TlsSettings::default() });
    for listener in [proxy, other] {
        let acceptor = acceptor(&certified);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut buffer = vec![0; 65_536];
                let Ok(length @ 1..) = stream.read(&mut buffer).await else { continue };
                let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
                assert!(request.contains("\r\nVia: SIP/2.0/TLS 127.0.0.1:"), "{request}");
                stream.write_all(response(&request, "200 OK").as_bytes()).await.unwrap();
            }
        });
    }

    let proven = notify(server.outgoing.clone(), "sips:proxy.example").await;
    let unproven = notify(server.outgoing.clone(), "sips:other.example").await;
    // Not even when there is a connection to the same place, made for another name.
    let unproven_there = notify(server.outgoing.clone(), "sips:same.example").await;

    assert_eq!(proven, Outcome::Answered { status: 200, retry_after: None });
    assert_eq!([unproven, unproven_there], [Outcome::Unreachable; 2]);
    server.stop().await;
}

#[tokio::test]
async fn a_dns_that_does_not_answer_keeps_no_call_waiting_and_a_bye_for_seconds_only() {
    let silent = bind().await;
    let mut server = Server::start(silent.local_addr().unwrap(), TlsSettings::default());
    let caller = bind().await;
    // More than are looked up at once.
    let many = (0..200).map(|n| tokio::spawn(notify(server.outgoing.clone(), format!("sip:slow-{n}.example"))));
    let many: Vec<_> = many.collect();
    timeout(PATIENCE, silent.recv_from(&mut [0; 1500])).await.expect("it is asked").unwrap();

    let began = Instant::now();
    let mut call = server.answered_call(&caller, "Record-Route: <sip:proxy.example;lr>\r\n").await;
    let answered_after = began.elapsed();
    call.handle.send(Command::Hangup { reason: None });
    assert!(matches!(happens(&mut call).await, Event::Ended(EndReason::HungUp)));
    let (bye, from) = receive(&caller).await;
    caller.send_to(response(&bye, "200 OK").as_bytes(), from).await.unwrap();

    // Nobody knows the proxy: the BYE goes to whoever brought the call.
    assert!(bye.starts_with("BYE sip:phone@phone.example SIP/2.0\r\n"), "{bye}");
    assert!(answered_after < Duration::from_secs(3), "{answered_after:?}");
    for sending in many {
        assert_eq!(sending.await.unwrap(), Outcome::NotSent);
    }
    server.stop().await;
}

#[tokio::test]
async fn our_own_telephone_finds_a_server_by_its_name() {
    let mut server = Server::start("127.0.0.1:9".parse().unwrap(), TlsSettings::default());
    let nobody = { TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port() };
    let dns = Zone::default()
        .service("vm.example", 1, "SIP+D2T", "_sip._tcp.vm.example")
        .service("vm.example", 2, "SIP+D2U", "_sip._udp.vm.example")
        .server("_sip._tcp.vm.example", 1, nobody, "h.example")
        .server("_sip._udp.vm.example", 1, server.address.port(), "h.example")
        .host("h.example", [127, 0, 0, 1])
        .serve()
        .await;
    let target = SipUri::parse("sip:6001@vm.example").unwrap();

    let phone = UserAgent::towards(&target, &TlsSettings::default(), &[dns.address]).await.expect("the server is found");
    let from = NameAddr::new(SipUri::at(Some("ann"), phone.local_addr()));
    let _dialled = phone.dial(Invitation::new(target, from, b"v=0".to_vec())).await.unwrap();
    let call = timeout(PATIENCE, server.calls.recv()).await.expect("a call comes").expect("the server runs");

    assert_eq!(call.invite.source, phone.local_addr());
    let nowhere = SipUri::parse("sip:6001@unknown.example").unwrap();
    assert!(UserAgent::towards(&nowhere, &TlsSettings::default(), &[dns.address]).await.is_err());
}

/// A server with UDP addresses that asks a DNS server of ours.
struct Server {
    address: SocketAddr,
    calls: mpsc::Receiver<NewCall>,
    outgoing: OutgoingHandle,
    drain: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    fn start(dns: SocketAddr, tls: TlsSettings) -> Self {
        let gate = GateConfig { trusts: Arc::new(|_| true), ..GateConfig::default() };
        let config = UasConfig { dns_servers: vec![dns], tls, gate, ..UasConfig::default() };
        let listen = ["127.0.0.1:0", "[::1]:0"].map(|address| ListenAddr::udp(address.parse().unwrap()));
        let server = SipServer::bind(&listen, config).unwrap();
        let address = server.local_addrs()[0].address;
        let outgoing = server.outgoing();
        let (incoming, calls) = mpsc::channel(1);
        let (requests, _) = mpsc::channel(1);
        let (drain, drained) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(server.run(incoming, requests, async { _ = drained.await }));
        Self { address, calls, outgoing, drain, task }
    }

    /// A call through a proxy, which has come as far as its ACK.
    async fn answered_call(&mut self, caller: &UdpSocket, headers: &str) -> NewCall {
        caller.send_to(request("INVITE", "", headers).as_bytes(), self.address).await.unwrap();
        let mut call = timeout(PATIENCE, self.calls.recv()).await.expect("a call comes").expect("the server runs");
        call.handle.send(Command::Answer { sdp: b"v=0".to_vec() });
        let answer = loop {
            let (answer, _) = receive(caller).await;
            if answer.starts_with("SIP/2.0 200 ") {
                break answer;
            }
        };
        let tag = answer.split("\r\nTo: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.split_once("tag=")).unwrap().1;
        caller.send_to(request("ACK", tag, "").as_bytes(), self.address).await.unwrap();
        assert!(matches!(happens(&mut call).await, Event::Acknowledged { .. }));
        call
    }

    async fn stop(self) {
        let _ = self.drain.send(());
        timeout(PATIENCE, self.task).await.expect("the server stops").expect("and does not panic");
    }
}

async fn notify(outgoing: OutgoingHandle, target: impl Into<String>) -> Outcome {
    let target = target.into();
    let request = OutgoingRequest {
        method: Method::Notify,
        target: SipUri::parse(&target).unwrap(),
        routes: Vec::new(),
        from: "<sip:6001@vm.example>;tag=ours".to_owned(),
        to: "<sip:6001@pbx.example>".to_owned(),
        call_id: target,
        sequence: 1,
        path: None,
        is_direct: false,
        headers: Vec::new(),
        body: Vec::new(),
    };
    timeout(PATIENCE, outgoing.send(request)).await.expect("every request has an outcome")
}

async fn bind() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

fn port(socket: &UdpSocket) -> u16 {
    socket.local_addr().unwrap().port()
}

async fn receive(socket: &UdpSocket) -> (String, SocketAddr) {
    let mut buffer = vec![0; 65_536];
    let (length, from) = timeout(PATIENCE, socket.recv_from(&mut buffer)).await.expect("something comes").unwrap();
    (String::from_utf8(buffer[..length].to_vec()).unwrap(), from)
}

async fn happens(call: &mut NewCall) -> Event {
    timeout(PATIENCE, call.handle.next_event()).await.expect("something happens")
}

fn branch(request: &str) -> &str {
    request.split("branch=").nth(1).and_then(|rest| rest.split(['\r', ';']).next()).unwrap()
}

fn response(request: &str, status: &str) -> String {
    let echoed = |line: &&str| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name));
    let lines: Vec<&str> = request.split("\r\n").filter(echoed).collect();
    format!("SIP/2.0 {status}\r\n{}\r\nContent-Length: 0\r\n\r\n", lines.join("\r\n"))
}

/// A request as it comes through a proxy: with two Vias, and a Contact that is a name.
fn request(method: &str, tag: &str, headers: &str) -> String {
    let tag = if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
    format!(
        "{method} sip:6001@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP proxy.example;rport;branch=z9hG4bKp{method}\r\n\
         Via: SIP/2.0/UDP phone.example;branch=z9hG4bK{method}\r\n{headers}From: <sip:phone@phone.example>;tag=p\r\n\
         To: <sip:6001@127.0.0.1>{tag}\r\nCall-ID: dns\r\nCSeq: 1 {method}\r\nContact: <sip:phone@phone.example>\r\n\
         Content-Length: 0\r\n\r\n"
    )
}
