//! Calls from browsers: SIP over WebSocket (RFC 7118).

use std::{net::SocketAddr, time::Duration};

use afterbeep::{
    phone::Phone,
    sip::{
        event::{Command, EndReason, Event},
        flow::{ListenAddr, Transport},
        transport::{ConnectionLimits, NewCall, SipServer},
        uas::UasConfig,
        wire::{Frame, StreamFramer},
    },
};
use futures_util::{SinkExt as _, StreamExt as _};
use rustls::version::TLS13;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use crate::support::{
    caller::{Caller, PATIENCE, expect_speech, speech},
    server::CALLER,
    tls::{connect, connector, is_closed, server},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_left_over_a_secure_websocket() {
    // Over a WebSocket not even a trusted address makes anybody a trusted peer.
    let (server, authority) = server("deposits_from_anyone = true\n");
    server.add_mailbox("1001", &[]);
    let secure = connect(server.address("wss"), &connector(&authority, &TLS13)).await;
    let bridge = bridge(browser(secure, "wss://localhost/", &[]).await.expect("the handshake is answered")).await;

    let target = format!("sip:1001@{bridge};transport=tcp");
    let phone = Phone::towards(&target).await.expect("a connection").from(CALLER);
    let mut caller = Caller::from(phone.dial(&target).await.expect("the call is answered"));
    caller.skips_to_the_beep().await;
    caller.says(&speech().0).await;
    caller.hangs_up().await;

    server.wait_for_messages("1001", 1);
    expect_speech(&server.audio("1001")[0]);
    server.expect_tidiness();
}

#[tokio::test]
async fn a_browser_whose_contact_is_nowhere_is_hung_up_over_its_connection() {
    let mut server = Sockets::start(|_| {});
    let mut browser = server.browser().await;
    browser.send(Message::text(request("INVITE", "", "v=0"))).await.unwrap();
    let mut call = timeout(PATIENCE, server.calls.recv()).await.expect("a call comes").expect("the server runs");
    call.handle.send(Command::Answer { sdp: b"v=0".to_vec() });
    let answer = next_text(&mut browser).await;
    let tag = answer.split("\r\nTo: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.split_once("tag=")).unwrap().1;
    // Binary frames are as good as text.
    browser.send(Message::binary(request("ACK", tag, "").into_bytes())).await.unwrap();
    assert!(matches!(happens(&mut call).await, Event::Acknowledged { .. }));

    call.handle.send(Command::Hangup { reason: None });
    let bye = next_text(&mut browser).await;

    assert!(answer.starts_with("SIP/2.0 200 OK\r\n"), "{answer}");
    assert!(answer.contains(&format!("\r\nContact: <sip:voicemail@{};transport=ws>\r\n", server.address)), "{answer}");
    assert!(bye.starts_with("BYE sip:x7@kq3h.invalid;transport=ws SIP/2.0\r\n"), "{bye}");
    assert!(bye.contains(&format!("\r\nVia: SIP/2.0/WS {};", server.address)), "{bye}");
    assert!(matches!(happens(&mut call).await, Event::Ended(EndReason::HungUp)));
}

#[tokio::test]
async fn keep_alives_of_every_kind_are_answered() {
    let server = Sockets::start(|_| {});
    let mut browser = server.browser().await;

    browser.send(Message::text("\r\n\r\n")).await.unwrap();
    assert_eq!(next_text(&mut browser).await, "\r\n");
    browser.send(Message::Ping("here".into())).await.unwrap();
    assert_eq!(next(&mut browser).await, Some(Message::Pong("here".into())));
}

#[tokio::test]
async fn what_is_no_handshake_for_sip_gets_a_short_answer_and_is_closed() {
    let server = Sockets::start(|config| config.websocket_origins = vec!["https://phone.example".to_owned()]);
    let from = |origin: &'static str| [("Origin", origin), ("Sec-WebSocket-Protocol", "sip")];

    let listed = browser(server.connect().await, "ws://localhost/", &from("https://phone.example")[..1]).await;
    let foreign = browser(server.connect().await, "ws://localhost/", &from("https://evil.example")[..1]).await;
    for (sent, answer) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 426 "),
        ("POST / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "),
        ("OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TCP x\r\n\r\n", "HTTP/1.1 400 "),
        (&format!("GET / HTTP/1.1\r\nCookie: {}", "x".repeat(9000)), "HTTP/1.1 431 "),
    ] {
        let mut stream = server.connect().await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut got)).await.expect("the connection is closed");
        let got = String::from_utf8(got).unwrap();
        assert!(got.starts_with(answer) && got.len() < 250, "{got}");
    }

    assert!(listed.is_ok());
    assert!(foreign.unwrap_err().to_string().contains("403"));
}

#[tokio::test]
async fn frames_that_are_too_large_and_handshakes_that_take_too_long_are_cut_off() {
    let server = Sockets::start(|config| {
        config.connections = ConnectionLimits { handshake: Duration::from_millis(500), ..ConnectionLimits::default() };
    });
    let mut greedy = server.browser().await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();

    // Longer than any message, in one frame and in pieces.
    let _ = greedy.send(Message::text("x".repeat(70_000))).await;

    let left = timeout(PATIENCE, async { while let Some(Ok(_)) = greedy.next().await {} }).await;
    assert!(left.is_ok(), "the connection is closed");
    assert!(is_closed(&mut slow).await);
    // Others are served as before.
    let mut browser = server.browser().await;
    browser.send(Message::text(request("OPTIONS", "", ""))).await.unwrap();
    assert!(next_text(&mut browser).await.starts_with("SIP/2.0 200 OK\r\n"));
}

/// A server with a WebSocket address only.
struct Sockets {
    address: SocketAddr,
    calls: mpsc::Receiver<NewCall>,
}

impl Sockets {
    fn start(set_up: impl FnOnce(&mut UasConfig)) -> Self {
        let mut config = UasConfig::default();
        set_up(&mut config);
        let listen = ListenAddr { transport: Transport::Ws, address: "127.0.0.1:0".parse().unwrap() };
        let server = SipServer::bind(&[listen], config).unwrap();
        let address = server.local_addrs()[0].address;
        let (incoming, calls) = mpsc::channel(1);
        let (requests, _) = mpsc::channel(1);
        tokio::spawn(server.run(incoming, requests, std::future::pending()));
        Self { address, calls }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn browser(&self) -> WebSocketStream<TcpStream> {
        browser(self.connect().await, "ws://localhost/", &[]).await.expect("the handshake is answered")
    }
}

/// Shakes hands as a browser does.
async fn browser<S>(
    stream: S,
    url: &str,
    headers: &[(&'static str, &str)],
) -> Result<WebSocketStream<S>, Box<dyn std::error::Error>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = url.into_client_request()?;
    request.headers_mut().insert("Sec-WebSocket-Protocol", "sip".parse()?);
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse()?);
    }
    Ok(timeout(PATIENCE, client_async(request, stream)).await??.0)
}

async fn next<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) -> Option<Message> {
    timeout(PATIENCE, socket.next()).await.expect("something comes").transpose().expect("whole frames")
}

async fn next_text<S: AsyncRead + AsyncWrite + Unpin>(socket: &mut WebSocketStream<S>) -> String {
    match next(socket).await {
        Some(Message::Text(text)) => text.to_string(),
        other => panic!("{other:?}"),
    }
}

async fn happens(call: &mut NewCall) -> Event {
    timeout(PATIENCE, call.handle.next_event()).await.expect("something happens")
}

/// A TCP port for one telephone, whose messages go on as frames.
async fn bridge<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(mut socket: WebSocketStream<S>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut phone, _) = listener.accept().await.unwrap();
        let mut framer = StreamFramer::new();
        let mut buffer = vec![0; 65_536];
        loop {
            tokio::select! {
                length = phone.read(&mut buffer) => match length {
                    Ok(1..) => framer.push(&buffer[..length.unwrap()]),
                    _ => return,
                },
                message = socket.next() => match message {
                    Some(Ok(message)) => phone.write_all(&message.into_data()).await.unwrap(),
                    _ => return,
                },
            }
            while let Ok(Some(Frame::Message(message))) = framer.next() {
                socket.send(Message::text(String::from_utf8(message.to_vec()).unwrap())).await.unwrap();
            }
        }
    });
    address
}

fn request(method: &str, tag: &str, body: &str) -> String {
    let tag = if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
    format!(
        "{method} sip:6001@vm.example SIP/2.0\r\nVia: SIP/2.0/WS kq3h.invalid;branch=z9hG4bK{method}\r\nMax-Forwards: 70\r\n\
         From: <sip:x7@vm.example>;tag=p\r\nTo: <sip:6001@vm.example>{tag}\r\nCall-ID: ws\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:x7@kq3h.invalid;transport=ws>\r\nContent-Type: application/sdp\r\n\r\n{body}",
    )
}
