//! What strangers get out of the server, and what they cannot do to others through it.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{
    raw::{RawPhone, authorization, challenges, status},
    raw_call::{RawCall, invite, send_rtp},
    server::{OPEN, Server, eventually},
};

/// Every method, with and without credentials, short and long, sent once and several times, by sources that react to nothing: until
/// everything that the server repeats by itself is over, no source gets more than one and a half times the bytes that came from it.
#[test]
fn no_source_that_has_proven_nothing_gets_more_than_one_and_a_half_times_its_bytes() {
    let server = Server::start(OPEN);
    server.add_mailbox("1001", &[]);
    let (mut sources, mut requests) = (Vec::new(), Vec::new());
    let challenge = {
        let mut phone = RawPhone::new(server.udp(), "1001");
        challenges(&phone.asks_once("REGISTER", "sip:127.0.0.1", "1001", &format!("X: {}\r\n", "x".repeat(300)))).remove(0)
    };
    for method in
        ["INVITE", "REGISTER", "SUBSCRIBE", "OPTIONS", "BYE", "CANCEL", "INFO", "UPDATE", "NOTIFY", "MESSAGE", "NONSENSE"]
    {
        for repeats in [1, 5] {
            for headers in ["", "X-Long: 1\r\n", "Supported: 100rel\r\nRequire: 100rel\r\n", "credentials"] {
                let number = u32::try_from(sources.len()).expect("few");
                let address = IpAddr::V4(Ipv4Addr::from_bits(0x7f40_0101 + number * 0x100));
                let phone = RawPhone::at(address, server.udp(), "1001");
                let headers = match headers {
                    "X-Long: 1\r\n" => format!("X-Long: {}\r\n", "1".repeat(700)),
                    "credentials" => authorization(&challenge, "1001", "a guess", method, "sip:1001@127.0.0.1"),
                    other => other.to_owned(),
                };
                let request = phone.request(method, "sip:1001@127.0.0.1", "1001", &headers);
                requests.push((vec![request.into_bytes(); repeats], method));
                sources.push(phone.socket);
            }
        }
    }
    for (at, what) in [&b"\xff\xfe rubbish"[..], b"INVITE", b"OPTIONS sip:a SIP/7.0\r\n\r\n", b"\r\n\r\n"].into_iter().enumerate()
    {
        let address = Ipv4Addr::new(127, 65, 0, u8::try_from(at + 1).expect("few"));
        sources.push(UdpSocket::bind((address, 0)).expect("a socket"));
        requests.push((vec![what.to_vec(); 3], "rubbish"));
    }
    // A call with an offer, whose audio is to go to somebody else.
    let (caller, victim) =
        (UdpSocket::bind("127.66.0.1:0").expect("a socket"), UdpSocket::bind("127.66.0.2:0").expect("a socket"));
    let offer = invite("1001", "6001", "amplified", caller.local_addr().expect("bound"), victim.local_addr().expect("bound"));
    sources.push(caller);
    requests.push((vec![offer.into_bytes(); 5], "INVITE"));

    let begin = Instant::now();
    let mut received = vec![0; sources.len()];
    let mut buffer = vec![0; 65_536];
    // A call that nobody acknowledges is over after 32 s, and what is repeated by itself before.
    for round in 0_usize.. {
        for (at, source) in sources.iter().enumerate() {
            if let Some(request) = requests[at].0.get(round) {
                source.send_to(request, server.udp()).expect("a datagram is sent");
            }
            source.set_nonblocking(true).expect("a socket");
            while let Ok(length) = source.recv(&mut buffer) {
                received[at] += length;
            }
        }
        if begin.elapsed() > Duration::from_secs(36) {
            break;
        }
        std::thread::sleep(Duration::from_millis(500));
    }

    let mut answered = 0;
    for ((texts, method), received) in requests.iter().zip(&received) {
        let sent: usize = texts.iter().map(Vec::len).sum();
        assert!(2 * received <= 3 * sent, "{method}: {received} bytes for {sent}");
        answered += usize::from(*received > 0);
    }
    assert!(answered > requests.len() / 2, "only {answered} of {} are answered at all", requests.len());
    victim.set_nonblocking(true).expect("a socket");
    assert_eq!(
        victim.recv(&mut buffer).map_err(|error| error.kind()),
        Err(ErrorKind::WouldBlock),
        "nothing goes to somebody else"
    );
}

#[test]
fn audio_goes_to_nobody_who_has_not_answered_and_comes_from_nobody_else() {
    let server = Server::start(OPEN);
    server.add_mailbox("1001", &[]);
    let (caller, elsewhere): (IpAddr, IpAddr) =
        ("127.0.0.8".parse().expect("an address"), "127.0.0.9".parse().expect("an address"));

    let at_home = RawCall::begin(server.udp(), caller, caller, "1001", "6001").expect("the call is answered");
    assert!(at_home.hears(Duration::from_secs(10)), "the ACK came from there");
    let to_another = RawCall::begin(server.udp(), caller, elsewhere, "1001", "6002").expect("the call is answered");
    assert!(!to_another.hears(Duration::from_secs(2)), "nothing has come from there");
    to_another.speak(&[0xff; 160], 1, 160);
    assert!(to_another.hears(Duration::from_secs(10)), "it has sent audio, and gets its greeting");
    let stranger = UdpSocket::bind("127.0.0.10:0").expect("a socket");
    stranger.set_read_timeout(Some(Duration::from_millis(200))).expect("a socket");
    for number in 0..200 {
        send_rtp(&stranger, to_another.media, (0, number, u32::from(number) * 160), &[0x12; 160]);
    }
    assert!(stranger.recv(&mut [0; 2048]).is_err(), "whoever joins in hears nothing");
    to_another.hang_up();
    at_home.hang_up();

    let dropped = eventually("the strange packets are counted", || {
        let log = server.log();
        let counts = log.split("rtp.dropped=").skip(1).filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok());
        counts.max().filter(|most| *most > 0)
    });
    assert_eq!(dropped, 200);
}

#[test]
fn a_guesser_is_banned_and_those_beside_it_are_not() {
    let server = Server::start("[sip]\ntrusted_peers = []\n");
    server.add_mailbox("1001", &[]);
    let file = server.path("password");
    std::fs::write(&file, "the right password\n").expect("the password is written");
    server.run(&["line", "set", "1001", "--password-file", &file.to_string_lossy()]);
    let guesser = "127.0.0.77".parse().expect("an address");
    let mut guesses = 0;
    let mut phone = RawPhone::at(guesser, server.udp(), "1001");
    phone.socket.set_read_timeout(Some(Duration::from_secs(3))).expect("a socket");
    let hears = |phone: &mut RawPhone, headers: &str| {
        phone.sequence += 1;
        phone.send(&phone.request("REGISTER", "sip:127.0.0.1", "1001", headers));
        let mut buffer = vec![0; 4096];
        phone.socket.recv(&mut buffer).ok().map(|length| String::from_utf8_lossy(&buffer[..length]).into_owned())
    };

    while let Some(asked) = hears(&mut phone, "") {
        let guess = authorization(&challenges(&asked)[0], "1001", &guesses.to_string(), "REGISTER", "sip:127.0.0.1");
        guesses += 1;
        assert!(guesses < 100, "nobody stops the guesser");
        if hears(&mut phone, &guess).is_none() {
            break;
        }
    }

    assert!((5..=11).contains(&guesses), "{guesses}");
    let mut neighbour = RawPhone::new(server.udp(), "1001").with_password("the right password");
    assert_eq!(status(&neighbour.registers("")), 200);
    eventually("what the ban keeps out is recorded", || {
        let calls: Vec<Value> = serde_json::from_str(&server.run(&["calls", "--json", "--blocked"])).expect("an array");
        calls.iter().any(|call| call["reason"] == "the source is banned" && call["called"] == "").then_some(())
    });
}

#[test]
fn connections_that_drip_say_too_much_or_nothing_are_cut_off() {
    let server = Server::start(OPEN);
    let connect = || {
        let stream = TcpStream::connect(server.tcp()).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        stream.set_write_timeout(Some(Duration::from_secs(60))).expect("a socket");
        stream
    };
    let mut dripping = connect();
    let (mut endless_header, mut huge_body) = (connect(), connect());

    // Both are more than 64 kB.
    let _ = endless_header.write_all(format!("OPTIONS sip:a SIP/2.0\r\nX: {}", "x".repeat(100_000)).as_bytes());
    let _ = huge_body.write_all(b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 99999999\r\n\r\nabc");
    let begin = Instant::now();
    let drip = std::thread::spawn({
        let mut stream = dripping.try_clone().expect("the same connection");
        move || {
            // Whoever sends a byte now and then is not silent, and gets no further.
            while stream.write_all(b"a").is_ok() {
                std::thread::sleep(Duration::from_secs(2));
            }
        }
    });

    assert!(is_closed(&mut endless_header) && is_closed(&mut huge_body));
    assert!(begin.elapsed() < Duration::from_secs(20), "at once, and not when they are idle");
    assert!(is_closed(&mut dripping));
    drip.join().expect("its writing has ended");
    assert!(begin.elapsed() < Duration::from_secs(60));
}

/// Waits until the server has closed a connection, whatever it says before.
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }
}
