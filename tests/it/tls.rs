//! Calls over TLS: both versions, certificates that are renewed, clients that prove who they are.

use std::{net::SocketAddr, time::Duration};

use afterbeep::{
    ivr::PromptId,
    phone::{CallError, Phone},
    sip::{
        flow::{ListenAddr, Transport},
        transport::{ConnectionLimits, SipServer, TlsSettings},
        uas::UasConfig,
    },
};
use rustls::version::{TLS12, TLS13};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{
    baresip::{Account, Baresip},
    caller::{Caller, PATIENCE, expect_speech, speech, words},
    certificate::Authority,
    server::{CALLER, eventually},
    tls::{SERVER_NAMES, connect, connector, is_closed, server, server_in},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_left_over_either_version_of_tls() {
    let (server, authority) = server("");
    server.add_mailbox("1001", &[]);

    for (count, version) in [&TLS12, &TLS13].into_iter().enumerate() {
        let bridge = bridge(server.address("tls"), connector(&authority, version)).await;
        let target = format!("sip:1001@{bridge};transport=tcp");
        let phone = Phone::towards(&target).await.expect("a connection").from(CALLER);
        let mut caller = Caller::from(phone.dial(&target).await.expect("the call is answered"));
        caller.skips_to_the_beep().await;
        caller.says(&speech().0).await;
        caller.hangs_up().await;

        server.wait_for_messages("1001", count + 1);
        expect_speech(&server.audio("1001")[count]);
    }
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_telephone_calls_a_sips_uri_and_believes_no_other_server() {
    let (server, authority) = server("");
    let other = Authority::new(&server.path("other"));
    let at = |host: &str| format!("sips:*98@{host}:{}", server.address("tls").port());
    let believing =
        |authority: &Authority| TlsSettings { peer_authorities: Some(authority.certificate()), ..TlsSettings::default() };

    for host in ["127.0.0.1", "localhost"] {
        let phone = Phone::securely_towards(&at(host), &believing(&authority)).await.expect("the server proves its name");
        let mut caller = Caller::from(phone.dial(&at(host)).await.expect("the call is answered"));
        caller.hears(PromptId::EnterMailbox).await;
        caller.hangs_up().await;
    }
    let stranger = Phone::securely_towards(&at("127.0.0.1"), &believing(&other)).await;

    assert!(matches!(stranger, Err(CallError::Unreachable(_))));
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_renewed_without_a_restart_and_a_bad_one_is_not_taken() {
    let (server, authority) = server("");
    let shown = async || {
        let stream = connect(server.address("tls"), &connector(&authority, &TLS13)).await;
        stream.get_ref().1.peer_certificates().expect("the server shows a certificate")[0].clone().into_owned()
    };
    let first = shown().await;
    let mut talking = connect(server.address("tls"), &connector(&authority, &TLS13)).await;

    let (renewed, renewed_key) = authority.certify("renewed", "/CN=localhost", SERVER_NAMES);
    std::fs::copy(renewed, server.path("tls/server-certificate.pem")).unwrap();
    std::fs::copy(renewed_key, server.path("tls/server-key.pem")).unwrap();
    until("the new certificate is shown", async || shown().await != first).await;
    let second = shown().await;
    std::fs::write(server.path("tls/server-certificate.pem"), "not a certificate").unwrap();
    eventually("the bad certificate is told", || server.log().contains("the new TLS certificate cannot be used").then_some(()));

    assert_eq!(shown().await, second);
    talking.write_all(b"\r\n\r\n").await.unwrap();
    assert_eq!(read(&mut talking).await, b"\r\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_signal_reads_the_certificate_again_and_ends_nothing() {
    let (server, authority) = server("");
    let renewals = || server.log().matches("the TLS files are read again; new connections").count();

    // As it is: there is nothing that the files' looks would tell.
    server.signal(rustix::process::Signal::HUP);
    eventually("it is read", || (renewals() == 1).then_some(()));
    authority.certify("server", "/CN=localhost", "DNS:localhost");
    std::fs::write(server.path("tls/server-key.pem"), "no key").unwrap();
    server.signal(rustix::process::Signal::HUP);
    eventually("the bad key is told", || server.log().contains("the new TLS certificate cannot be used").then_some(()));

    connect(server.address("tls"), &connector(&authority, &TLS13)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_trusted_for_a_name_in_its_certificate_and_for_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let clients = Authority::new(&folder.path().join("clients"));
    let files = |name: &str, subject: &str, names: &str| {
        let (certificate, key) = clients.certify(name, subject, names);
        (Some(certificate), Some(key))
    };
    let strangers = Authority::new(&folder.path().join("strangers"));
    let (server, authority) = server_in(
        folder,
        "trusted_peers = []\ntls_client_authorities = \"clients/authority.pem\"\n\
         tls_trusted_names = [\"pbx.example\", \"sip:carrier.example\", \"127.9.9.9\", \"old-pbx.example\"]\n",
    );
    server.add_mailbox("1001", &[]);
    let call = async |(certificate, key)| {
        let settings =
            TlsSettings { peer_authorities: Some(authority.certificate()), certificate, key, ..TlsSettings::default() };
        let target = format!("sip:*98@{};transport=tls", server.address("tls"));
        let phone = Phone::securely_towards(&target, &settings).await?.header("P-Asserted-Identity", "<sip:1001@pbx.example>");
        Ok::<_, CallError>(Caller::from(phone.from("1001").dial(&target).await?))
    };

    for trusted in [
        files("dns", "/CN=somebody", "DNS:pbx.example"),
        files("uri", "/CN=somebody", "URI:sip:carrier.example"),
        files("address", "/CN=somebody", "IP:127.9.9.9"),
        files("common", "/O=Example/CN=old-pbx.example", ""),
    ] {
        let mut caller = call(trusted).await.expect("the call is answered");
        caller.hears(PromptId::EnterPasscode).await;
        assert!(!caller.has_heard(PromptId::EnterMailbox));
        caller.hangs_up().await;
    }
    for untrusted in
        [(None, None), files("other", "/CN=pbx.example", "DNS:other.example"), files("wild", "/CN=somebody", "DNS:*.example")]
    {
        assert!(matches!(call(untrusted).await, Err(CallError::Refused { status: 401, .. })));
    }
    let (certificate, key) = strangers.certify("forged", "/CN=somebody", "DNS:pbx.example");

    // In TLS 1.3 the client learns only afterwards that it is not let in.
    assert!(matches!(call((Some(certificate), Some(key))).await, Err(CallError::Unreachable(_) | CallError::Ended)));
    server.expect_tidiness();
}

#[test]
fn baresip_leaves_a_message_over_tls() {
    let (server, authority) = server("");
    server.add_mailbox("1001", &[]);
    let speech = speech().0;
    // baresip speaks from the answer on: the greeting and the beep take 11 s.
    let says = [vec![0; 8000 * 14], speech.clone(), vec![0; 8000 * 60]].concat();
    let account = Account { transport: "tls", codec: "PCMU", says: &says };
    let authority = format!("sip_cafile {}\n", authority.certificate().display());
    let mut phone = Baresip::start_with(&account, &authority);

    phone.dial("1001", server.address("tls"));
    phone.hears("leave-message", &words(PromptId::LeaveMessage), 0);
    eventually("the message is spoken", || (phone.said().len() > 8000 * 15 + speech.len()).then_some(()));
    phone.hang_up();

    server.wait_for_messages("1001", 1);
    expect_speech(&server.audio("1001")[0]);
    server.expect_tidiness();
}

#[tokio::test]
async fn who_does_not_shake_hands_is_cut_off_and_so_are_too_many_who_might() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path());
    let (certificate, key) = authority.certify("server", "/CN=localhost", SERVER_NAMES);
    let tls = TlsSettings { certificate: Some(certificate), key: Some(key), ..TlsSettings::default() };
    let connections =
        ConnectionLimits { handshake: Duration::from_secs(5), handshakes_per_address: 2, ..ConnectionLimits::default() };
    let listen = ListenAddr { transport: Transport::Tls, address: "127.0.0.1:0".parse().unwrap() };
    let server = SipServer::bind(&[listen], UasConfig { connections, tls, ..UasConfig::default() }).unwrap();
    let address = server.local_addrs()[0].address;
    let (incoming, _calls) = mpsc::channel(1);
    let (requests, _requests) = mpsc::channel(1);
    tokio::spawn(server.run(incoming, requests, std::future::pending()));
    let connector = connector(&authority, &TLS13);

    // One that says nothing, one that stops in the middle of its first record, and one too many.
    let start = Instant::now();
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await.unwrap();
    let mut surplus = TcpStream::connect(address).await.unwrap();
    assert!(is_closed(&mut surplus).await);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(is_closed(&mut silent).await && is_closed(&mut slow).await);
    assert!(start.elapsed() >= Duration::from_secs(5));

    // Who speaks no TLS is found out at once, and there is room again.
    let mut strange = TcpStream::connect(address).await.unwrap();
    strange.write_all(b"OPTIONS sip:x SIP/2.0\r\n\r\n").await.unwrap();
    assert!(is_closed(&mut strange).await);
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(connect(address, &connector).await);
    }
    for stream in &mut streams {
        stream.write_all(b"\r\n\r\n").await.unwrap();
        assert_eq!(read(stream).await, b"\r\n");
    }
    // More keep-alives than anybody needs.
    streams[0].write_all(&b"\r\n\r\n".repeat(100)).await.unwrap();
    let mut pongs = Vec::new();
    timeout(PATIENCE, streams[0].read_to_end(&mut pongs)).await.expect("the connection is closed").ok();
    assert!(pongs.len() < 50, "{} bytes", pongs.len());
}

/// A TCP port whose connections go on to the server by TLS.
async fn bridge(server: SocketAddr, connector: TlsConnector) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut plain, _)) = listener.accept().await {
            let mut secure = connect(server, &connector).await;
            tokio::spawn(async move { copy_bidirectional(&mut plain, &mut secure).await });
        }
    });
    address
}

async fn read(stream: &mut TlsStream<TcpStream>) -> Vec<u8> {
    let mut buffer = vec![0; 65_536];
    let length = timeout(PATIENCE, stream.read(&mut buffer)).await.expect("something comes").unwrap();
    buffer.truncate(length);
    buffer
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "waited a minute until {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
