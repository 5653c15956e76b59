//! Connections that are there are used again for requests of ours, also those that peers have made; and are kept while they are needed.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use afterbeep::sip::{
    flow::{Flow, ListenAddr, Transport},
    outgoing::{Outcome, OutgoingRequest},
    request::Reply,
    transport::{ConnectionLimits, NewRequest, OutgoingHandle, SipServer, TlsSettings},
    uas::UasConfig,
    wire::{NameAddr, SipUri},
};
use futures_util::{SinkExt as _, StreamExt as _};
use rsip::{Header, Method};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::{
    client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use crate::support::{
    caller::PATIENCE,
    certificate::Authority,
    dns::Zone,
    tls::{SERVER_NAMES, connect},
};

const ANSWERED: Outcome = Outcome::Answered { status: 200, retry_after: None };

#[tokio::test]
async fn a_proxy_that_lets_us_use_its_connection_is_told_over_it_if_it_has_proven_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    // A port where nobody takes connections.
    let port = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
    let dns = ["proxy", "other"].into_iter().fold(Zone::default().host("node.example", [127, 0, 0, 1]), |zone, name| {
        zone.server(&format!("_sips._tcp.{name}.example"), 1, port, "node.example")
    });
    let dns = dns.serve().await;
    let server = Server::start(Transport::Tls, |config| {
        let (certificate, key) = authority.certify("server", "/CN=localhost", SERVER_NAMES);
        config.dns_servers = vec![dns.address];
        config.tls = TlsSettings {
            certificate: Some(certificate),
            key: Some(key),
            client_authorities: Some(authority.certificate()),
            peer_authorities: Some(authority.certificate()),
            ..TlsSettings::default()
        };
    });
    let certified = |names: Option<&str>| names.map(|names| authority.certify("proxy", "/CN=proxy", names));

    // It must have asked for it, and have shown a certificate with the name.
    for (names, parameter, expected) in [
        (Some("DNS:proxy.example"), "", Outcome::Unreachable),
        (None, ";alias", Outcome::Unreachable),
        (Some("DNS:other.example"), ";alias", Outcome::Unreachable),
        (Some("DNS:proxy.example"), ";alias", ANSWERED),
    ] {
        let mut proxy = connect(server.address, &client(&authority, certified(names))).await;
        proxy.write_all(request("OPTIONS", &format!("TLS proxy.example:{port}"), parameter).as_bytes()).await.unwrap();
        assert!(read(&mut proxy).await.starts_with("SIP/2.0 200 OK\r\n"));

        let told = tokio::spawn(send(&server.outgoing, outgoing("sips:6001@proxy.example", None)));
        if expected == ANSWERED {
            let notify = read(&mut proxy).await;
            assert!(notify.starts_with("NOTIFY sips:6001@proxy.example SIP/2.0\r\n"), "{notify}");
            proxy.write_all(answer(&notify).as_bytes()).await.unwrap();
        }
        assert_eq!(told.await.unwrap(), expected, "{names:?} {parameter}");
    }
}

#[tokio::test]
async fn a_connection_that_is_lost_ends_the_requests_that_its_peer_let_us_send_over_it() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let port = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
    let server = Server::start(Transport::Tls, |config| {
        let (certificate, key) = authority.certify("server", "/CN=localhost", SERVER_NAMES);
        config.tls = TlsSettings {
            certificate: Some(certificate),
            key: Some(key),
            client_authorities: Some(authority.certificate()),
            ..TlsSettings::default()
        };
    });
    let certified = authority.certify("proxy", "/CN=proxy", "IP:127.0.0.1");
    let mut proxy = connect(server.address, &client(&authority, Some(certified))).await;
    proxy.write_all(request("OPTIONS", &format!("TLS 127.0.0.1:{port}"), ";alias").as_bytes()).await.unwrap();
    read(&mut proxy).await;

    let told = tokio::spawn(send(&server.outgoing, outgoing(&format!("sips:6001@127.0.0.1:{port}"), None)));
    assert!(read(&mut proxy).await.starts_with("NOTIFY "));
    let lost_at = Instant::now();
    proxy.shutdown().await.unwrap();

    assert_eq!(told.await.unwrap(), Outcome::Unreachable);
    assert!(lost_at.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_subscriber_behind_a_proxy_is_told_where_the_proxy_says_that_it_is() {
    let tcp = Server::start(Transport::Tcp, |_| {});
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    // The connection that the subscription came by is no more.
    let gone = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap() };
    let met = Flow { transport: Transport::Tcp, ..Flow::udp(tcp.address, gone) };
    let route = format!("<sip:{};transport=tcp;lr>", proxy.local_addr().unwrap());
    let request = OutgoingRequest {
        routes: vec![NameAddr::parse(&route).unwrap()],
        is_direct: false,
        ..outgoing("sip:6001@10.0.0.1", Some(met))
    };

    let told = tokio::spawn(send(&tcp.outgoing, request));
    let (mut connection, _) = timeout(PATIENCE, proxy.accept()).await.expect("the server connects").unwrap();
    let notify = read(&mut connection).await;
    connection.write_all(answer(&notify).as_bytes()).await.unwrap();

    assert!(notify.contains(&format!("\r\nRoute: {route}\r\n")), "{notify}");
    assert_eq!(told.await.unwrap(), ANSWERED);
}

#[tokio::test]
async fn phones_behind_nat_and_browsers_are_reached_over_the_connections_that_they_made() {
    let tcp = Server::start(Transport::Tcp, |_| {});
    let mut phone = TcpStream::connect(tcp.address).await.unwrap();
    let met = Flow { transport: Transport::Tcp, ..Flow::udp(tcp.address, phone.local_addr().unwrap()) };
    phone.write_all(request("OPTIONS", "TCP 10.0.0.1", "").as_bytes()).await.unwrap();
    read(&mut phone).await;
    let told = tokio::spawn(send(&tcp.outgoing, outgoing("sip:6001@10.0.0.1;transport=tcp", Some(met))));
    let notify = read(&mut phone).await;
    phone.write_all(answer(&notify).as_bytes()).await.unwrap();
    assert_eq!(told.await.unwrap(), ANSWERED);

    let ws = Server::start(Transport::Ws, |_| {});
    let stream = TcpStream::connect(ws.address).await.unwrap();
    let met = Flow { transport: Transport::Ws, ..Flow::udp(ws.address, stream.local_addr().unwrap()) };
    let mut handshake = "ws://localhost/".into_client_request().unwrap();
    handshake.headers_mut().insert("Sec-WebSocket-Protocol", "sip".parse().unwrap());
    let (mut browser, _) = client_async(handshake, stream).await.unwrap();
    let told = tokio::spawn(send(&ws.outgoing, outgoing("sip:6001@x7.invalid;transport=ws", Some(met))));
    let Some(Ok(Message::Text(notify))) = timeout(PATIENCE, browser.next()).await.expect("it is told") else { panic!("no text") };
    browser.send(Message::text(answer(&notify))).await.unwrap();
    assert_eq!(told.await.unwrap(), ANSWERED);

    browser.close(None).await.unwrap();
    while let Some(Ok(_)) = timeout(PATIENCE, browser.next()).await.expect("the connection is closed") {}
    assert_eq!(send(&ws.outgoing, outgoing("sip:6001@x7.invalid;transport=ws", Some(met))).await, Outcome::Unreachable);
}

#[tokio::test]
async fn the_connection_of_a_registered_phone_is_kept_and_any_other_is_closed_when_idle() {
    let idle = Duration::from_millis(300);
    let mut server = Server::start(Transport::Tcp, |config| {
        config.connections = ConnectionLimits { first_message: idle, idle, ..ConnectionLimits::default() };
    });
    let began = Instant::now();
    for (status, life) in [(200, 3), (403, 60)] {
        let mut phone = TcpStream::connect(server.address).await.unwrap();
        phone.write_all(request("REGISTER", "TCP 10.0.0.1", "").as_bytes()).await.unwrap();
        let asked = timeout(PATIENCE, server.requests.recv()).await.expect("it comes").expect("the server runs");
        asked.handle.respond(Reply::status(status).with(Header::Expires(life.to_string().into())));
        assert!(read(&mut phone).await.starts_with(&format!("SIP/2.0 {status} ")));
        let answered_at = Instant::now();

        assert_eq!(timeout(PATIENCE, phone.read(&mut [0; 9])).await.expect("it is closed").unwrap(), 0);

        let kept = answered_at.elapsed();
        assert_eq!(kept > Duration::from_millis(2500), status == 200, "{kept:?} after {:?}", began.elapsed());
    }
}

/// A server that listens by one transport.
struct Server {
    address: SocketAddr,
    outgoing: OutgoingHandle,
    requests: mpsc::Receiver<NewRequest>,
}

impl Server {
    fn start(transport: Transport, set_up: impl FnOnce(&mut UasConfig)) -> Self {
        let mut config = UasConfig::default();
        set_up(&mut config);
        let listen = ListenAddr { transport, address: "127.0.0.1:0".parse().unwrap() };
        let server = SipServer::bind(&[listen], config).unwrap();
        let (address, outgoing) = (server.local_addrs()[0].address, server.outgoing());
        let ((incoming, _), (to_requests, requests)) = (mpsc::channel(1), mpsc::channel(1));
        tokio::spawn(server.run(incoming, to_requests, std::future::pending()));
        Self { address, outgoing, requests }
    }
}

/// A TLS client that believes an authority and shows a certificate, if it has one.
fn client(authority: &Authority, certified: Option<(PathBuf, PathBuf)>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.certificate()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots);
    TlsConnector::from(Arc::new(match certified {
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
            config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
        }
        None => config.with_no_client_auth(),
    }))
}

fn send(outgoing: &OutgoingHandle, request: OutgoingRequest) -> impl Future<Output = Outcome> + Send + use<> {
    let outgoing = outgoing.clone();
    async move { timeout(PATIENCE, outgoing.send(request)).await.expect("every request has an outcome") }
}

/// A NOTIFY: to somebody who was met, or to where the operator says.
fn outgoing(target: &str, met: Option<Flow>) -> OutgoingRequest {
    OutgoingRequest {
        method: Method::Notify,
        target: SipUri::parse(target).unwrap(),
        routes: Vec::new(),
        from: "<sip:6001@vm.example>;tag=ours".to_owned(),
        to: "<sip:6001@pbx.example>".to_owned(),
        call_id: "reuse".to_owned(),
        sequence: 1,
        path: met,
        is_direct: met.is_some(),
        headers: Vec::new(),
        body: Vec::new(),
    }
}

async fn read(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> String {
    let mut buffer = vec![0; 65_536];
    let length = timeout(PATIENCE, stream.read(&mut buffer)).await.expect("something comes").unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

fn answer(request: &str) -> String {
    let echoed = |line: &&str| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|name| line.starts_with(name));
    let lines: Vec<&str> = request.split("\r\n").filter(echoed).collect();
    format!("SIP/2.0 200 OK\r\n{}\r\nContent-Length: 0\r\n\r\n", lines.join("\r\n"))
}

fn request(method: &str, by: &str, parameter: &str) -> String {
    format!(
        "{method} sip:vm.example SIP/2.0\r\nVia: SIP/2.0/{by};branch=z9hG4bK{method}{parameter}\r\nMax-Forwards: 70\r\n\
         From: <sip:6001@vm.example>;tag=p\r\nTo: <sip:6001@vm.example>\r\nCall-ID: reuse-{method}\r\nCSeq: 1 {method}\r\n\
         Contact: <sip:6001@10.0.0.1>\r\nContent-Length: 0\r\n\r\n"
    )
}
