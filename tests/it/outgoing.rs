//! Requests of ours that belong to no call, over real sockets.

use std::{net::SocketAddr, time::Duration};

use afterbeep::sip::{
    flow::ListenAddr,
    outgoing::{Outcome, OutgoingRequest},
    transport::{OutgoingHandle, SipServer},
    uas::UasConfig,
    wire::SipUri,
};
use rsip::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

/// How long anything here may take; in truth it takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);
const ANSWERED: Outcome = Outcome::Answered { status: 200, retry_after: None };

#[tokio::test]
async fn a_request_over_udp_gets_its_answer() {
    let server = Server::start();
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let asked = tokio::spawn(server.send(peer.local_addr().unwrap(), ""));

    let mut buffer = vec![0; 4096];
    let (length, source) = timeout(PATIENCE, peer.recv_from(&mut buffer)).await.expect("the request comes").unwrap();
    let request = String::from_utf8(buffer[..length].to_vec()).unwrap();
    peer.send_to(&answer(&request), source).await.unwrap();

    assert_eq!(timeout(PATIENCE, asked).await.expect("the outcome is told").unwrap(), ANSWERED);
    assert_eq!(source, server.udp);
    assert!(request.starts_with("NOTIFY sip:6001@127.0.0.1:"), "{request}");
    assert!(request.contains(&format!("\r\nContact: <sip:voicemail@{}>\r\n", server.udp)), "{request}");
    server.stop().await;
}

#[tokio::test]
async fn a_request_over_tcp_makes_a_connection_and_uses_it_again() {
    let server = Server::start();
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = peer.local_addr().unwrap();
    let answering = tokio::spawn(async move {
        let (mut stream, _) = peer.accept().await.unwrap();
        let mut buffer = vec![0; 4096];
        for _ in 0..2 {
            let length = stream.read(&mut buffer).await.unwrap();
            stream.write_all(&answer(std::str::from_utf8(&buffer[..length]).unwrap())).await.unwrap();
        }
        stream
    });

    for _ in 0..2 {
        let asked = server.send(address, ";transport=tcp");
        assert_eq!(timeout(PATIENCE, asked).await.expect("the outcome is told"), ANSWERED);
    }

    drop(timeout(PATIENCE, answering).await.expect("both came on one connection").unwrap());
    server.stop().await;
}

#[tokio::test]
async fn a_peer_that_takes_no_connection_is_unreachable() {
    let server = Server::start();
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();

    let outcome = timeout(PATIENCE, server.send(unused, ";transport=tcp")).await.expect("the outcome is told");

    assert_eq!(outcome, Outcome::Unreachable);
    server.stop().await;
}

#[tokio::test]
async fn a_connection_that_is_closed_before_the_answer_is_told() {
    let server = Server::start();
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let asked = tokio::spawn(server.send(peer.local_addr().unwrap(), ";transport=tcp"));

    drop(timeout(PATIENCE, peer.accept()).await.expect("a connection comes").unwrap());

    assert_eq!(timeout(PATIENCE, asked).await.expect("the outcome is told").unwrap(), Outcome::Unreachable);
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_sends_nothing_more() {
    let server = Server::start();
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let under_way = tokio::spawn(server.send(peer.local_addr().unwrap(), ""));
    let mut buffer = vec![0; 4096];
    timeout(PATIENCE, peer.recv_from(&mut buffer)).await.expect("the request comes").unwrap();
    let later = server.send(peer.local_addr().unwrap(), "");

    server.stop().await;

    assert_eq!(timeout(PATIENCE, under_way).await.expect("the outcome is told").unwrap(), Outcome::NotSent);
    assert_eq!(timeout(PATIENCE, later).await.expect("the outcome is told"), Outcome::NotSent);
}

struct Server {
    udp: SocketAddr,
    outgoing: OutgoingHandle,
    drain: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    fn start() -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        let server = SipServer::bind(&[ListenAddr::udp(any), ListenAddr::tcp(any)], UasConfig::default()).unwrap();
        let (udp, outgoing) = (server.local_addrs()[0].address, server.outgoing());
        let (drain, draining) = oneshot::channel();
        let ((incoming, _), (requests, _)) = (mpsc::channel(1), mpsc::channel(1));
        let task = tokio::spawn(server.run(incoming, requests, async {
            let _ = draining.await;
        }));
        Self { udp, outgoing, drain, task }
    }

    fn send(&self, peer: SocketAddr, parameters: &str) -> impl Future<Output = Outcome> + Send + use<> {
        let outgoing = self.outgoing.clone();
        let request = OutgoingRequest {
            method: Method::Notify,
            target: SipUri::parse(&format!("sip:6001@{peer}{parameters}")).unwrap(),
            routes: Vec::new(),
            from: "<sip:6001@vm.example>;tag=1".to_owned(),
            to: "<sip:6001@phone.example>".to_owned(),
            call_id: "c1".to_owned(),
            sequence: 1,
            path: None,
            is_direct: false,
            headers: Vec::new(),
            body: Vec::new(),
        };
        async move { outgoing.send(request).await }
    }

    async fn stop(self) {
        let _ = self.drain.send(());
        timeout(PATIENCE, self.task).await.expect("the server stops").expect("and does not panic");
    }
}

fn answer(request: &str) -> Vec<u8> {
    let echoed = |line: &&str| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name));
    let lines: Vec<&str> = request.split("\r\n").filter(echoed).collect();
    format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", lines.join("\r\n")).into_bytes()
}
