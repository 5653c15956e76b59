//! Floods on loopback, from thousands of addresses in 127.0.0.0/8: what is going on goes on, and what was taken is given back.
//!
//! `cargo test` runs them with small numbers. With `AFTERBEEP_TEST_FLOOD=full` they have the numbers that count, which need a release
//! build and a machine that does nothing else; what is measured is printed:
//!
//! ```sh
//! AFTERBEEP_TEST_FLOOD=full cargo test --release --test it floods:: -- --nocapture --test-threads 1
//! ```

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use afterbeep::audio::law::Law;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::{
    process::{open_files, own_memory},
    raw_call::{RawCall, invite},
    server::{Server, eventually},
};

/// The only trusted peer is the one whose callers are speaking; anybody may leave messages, which costs more than a challenge.
const SETTINGS: &str = "[sip]\ntrusted_peers = [\"127.0.0.1\"]\ndeposits_from_anyone = true\n";
const TRUSTED: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// How often a caller speaks, and how long.
const FRAME: Duration = Duration::from_millis(20);
const SAMPLES: usize = 160;
const MEGABYTE: u64 = 1024 * 1024;

/// How much of everything.
struct Scale {
    recordings: usize,
    /// INVITEs a second, for so many seconds, from so many addresses.
    rate: u32,
    seconds: u32,
    sources: u32,
    unacknowledged: u32,
    /// How often they come.
    rounds: u32,
    connections: usize,
    /// How soon others must get through.
    soon: Duration,
    /// Whether the figures count.
    is_full: bool,
}

impl Scale {
    fn chosen() -> Self {
        let is_full = std::env::var("AFTERBEEP_TEST_FLOOD").is_ok_and(|scale| scale == "full");
        let second = Duration::from_secs(1);
        if is_full {
            let (rate, unacknowledged) = (10_000, 50_000);
            Self {
                recordings: 100,
                rate,
                seconds: 30,
                sources: 1000,
                unacknowledged,
                rounds: 2,
                connections: 5000,
                soon: second,
                is_full,
            }
        } else {
            // An unoptimised server on a machine that runs other tests beside it.
            let (rate, unacknowledged, soon) = (1000, 2000, second * 15);
            Self { recordings: 10, rate, seconds: 3, sources: 100, unacknowledged, rounds: 1, connections: 400, soon, is_full }
        }
    }
}

#[test]
fn a_flood_of_invites_leaves_running_recordings_whole() {
    let scale = Scale::chosen();
    allow_many_sockets();
    let server = Server::start(SETTINGS);
    let mailboxes: Vec<_> = (0..scale.recordings.div_ceil(10)).map(|number| format!("10{number:02}")).collect();
    mailboxes.iter().for_each(|number| server.add_mailbox(number, &[]));
    let calls: Vec<_> = (0..scale.recordings)
        .map(|number| {
            let (mailbox, caller) = (&mailboxes[number % mailboxes.len()], format!("60{number:03}"));
            RawCall::begin(server.udp(), TRUSTED, TRUSTED, mailbox, &caller).expect("the call is answered")
        })
        .collect();
    let speaker = Speaker::start(calls);
    eventually("every call is being recorded", || {
        let spool = std::fs::read_dir(server.path("data/spool")).ok()?;
        let long = spool.flatten().filter(|entry| entry.metadata().is_ok_and(|it| it.is_file() && it.len() > 8000)).count();
        (long == scale.recordings).then_some(())
    });

    let memory = Watch::start(server.process_id());
    let flood = Flood::start(server.udp(), scale.sources, scale.rate, scale.rate * scale.seconds);
    // Whoever is trusted gets through in the middle of it.
    std::thread::sleep(Duration::from_secs(scale.seconds.into()) / 2);
    let begin = Instant::now();
    let beside =
        RawCall::begin(server.udp(), TRUSTED, TRUSTED, &mailboxes[0], "60999").expect("a trusted peer's call is answered");
    let answered_in_the_flood = begin.elapsed();
    beside.hang_up();
    let flooded = flood.end();
    let end = Instant::now();
    let after = RawCall::begin(server.udp(), "127.99.0.1".parse().expect("an address"), TRUSTED, &mailboxes[0], "60998");
    let normal_after = end.elapsed();
    let grown = memory.end().saturating_sub(memory.before);
    let frames = speaker.end();
    for (at, number) in mailboxes.iter().enumerate() {
        server.wait_for_messages(number, (at..scale.recordings).step_by(mailboxes.len()).count());
    }
    let heard: Vec<_> = mailboxes.iter().flat_map(|number| server.audio(number)).collect();

    println!(
        "{} recordings; {} INVITEs at {:.0} a second; a trusted call in the flood answered after {answered_in_the_flood:?}, a stranger's \
         {normal_after:?} after it; memory +{:.1} MB at most; {} bytes sent for {} received",
        heard.len(),
        flooded.sent,
        f64::from(flooded.sent) / flooded.took.as_secs_f64(),
        grown as f64 / MEGABYTE as f64,
        flooded.bytes_back,
        flooded.bytes
    );
    let gaps: Vec<_> = heard.iter().map(|message| longest_gap(message, &frames)).collect();
    println!("longest gap of each recording, ms: {:?}", gaps.iter().map(Duration::as_millis).collect::<Vec<_>>());
    after.expect("a stranger's call is answered").hang_up();
    assert_eq!(heard.len(), scale.recordings);
    assert!(gaps.iter().all(|gap| *gap <= Duration::from_millis(40)));
    assert!(grown < 150 * MEGABYTE, "{grown} bytes");
    assert!(normal_after <= scale.soon && answered_in_the_flood <= scale.soon, "{normal_after:?} {answered_in_the_flood:?}");
    assert!(2 * flooded.bytes_back <= 3 * flooded.bytes, "{} bytes sent for {}", flooded.bytes_back, flooded.bytes);
    assert!(!scale.is_full || flooded.took < Duration::from_secs(u64::from(scale.seconds) * 11 / 10), "{:?}", flooded.took);
}

#[test]
fn calls_that_nobody_acknowledges_leave_no_memory_behind() {
    let scale = Scale::chosen();
    allow_many_sockets();
    // Once as it is delivered, and once without limits for strangers, where each INVITE becomes a call or is refused for overload.
    let open = format!(
        "{SETTINGS}[strangers]\nrequests_per_source = 100000\nrequests = 100000\ncalls = 100000\ncalls_per_source = 100000\n\
         half_open_per_source = 100000\nhalf_open = 100000\n"
    );
    for (what, settings, may_stay) in [("as delivered", SETTINGS, LEFT), ("without limits", &open, LEFT_UNLIMITED)] {
        let server = Server::start(settings);
        server.add_mailbox("1001", &[]);
        let stranger = || RawCall::begin(server.udp(), "127.99.0.2".parse().expect("an address"), TRUSTED, "1001", "6001");
        stranger().expect("the call is answered").hang_up();
        // The second flood shows that what stays of the first is all that stays.
        for round in 1..=scale.rounds {
            let memory = Watch::start(server.process_id());
            let files = open_files(server.process_id());

            let flooded = Flood::start(server.udp(), scale.sources, 5000, scale.unacknowledged).end();
            let end = Instant::now();
            let (returned, left, left_open) = loop {
                let left = own_memory(server.process_id()).saturating_sub(memory.before);
                let left_open = open_files(server.process_id());
                // What came before has been looked at when this is answered.
                let is_normal = stranger().map(RawCall::hang_up).is_ok();
                if is_normal && left <= may_stay && left_open <= files + 8 || end.elapsed() > Duration::from_secs(75) {
                    break (end.elapsed(), left, left_open);
                }
                std::thread::sleep(Duration::from_millis(200));
            };
            let highest = memory.end();

            println!(
                "{what}, flood {round}: {} INVITEs in {:?}; memory {:.1} MB before, +{:.1} MB at most, +{:.1} MB {returned:?} after the last",
                flooded.sent,
                flooded.took,
                memory.before as f64 / MEGABYTE as f64,
                highest.saturating_sub(memory.before) as f64 / MEGABYTE as f64,
                left as f64 / MEGABYTE as f64
            );
            assert!(
                returned <= Duration::from_secs(60),
                "{left} bytes and {left_open} files (before {files}) are left {returned:?} after"
            );
        }
    }
}

/// What a process may keep of the memory it had in a flood: SQLite's page caches, tables at their least size, pages in half use.
const LEFT: u64 = 6 * MEGABYTE;
/// The same where thousands of calls were taken at once.
const LEFT_UNLIMITED: u64 = 12 * MEGABYTE;

#[test]
fn idle_connections_keep_nobody_out() {
    let scale = Scale::chosen();
    allow_many_sockets();
    let server = Server::start(SETTINGS);
    server.add_mailbox("1001", &[]);

    let idle: Vec<_> = (0..scale.connections)
        .map(|number| connect(source(0x7f1e_0001, u32::try_from(number / 50).expect("few")), server.tcp()).expect("a connection"))
        .collect();
    let begin = Instant::now();
    let over_tcp = {
        let mut stream = connect("127.99.0.3".parse().expect("an address"), server.tcp()).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a socket");
        stream.write_all(options(stream.local_addr().expect("connected")).as_bytes()).expect("it can be written to");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"SIP/2.0 401 ");
        begin.elapsed()
    };
    let begin = Instant::now();
    let call = RawCall::begin(server.udp(), "127.99.0.4".parse().expect("an address"), TRUSTED, "1001", "6001");
    let over_udp = begin.elapsed();
    call.expect("the call is answered").hang_up();

    println!(
        "{} idle connections; a request over TCP answered after {over_tcp:?}, a call over UDP after {over_udp:?}",
        idle.len()
    );
    assert!(over_tcp <= scale.soon && over_udp <= scale.soon, "{over_tcp:?} {over_udp:?}");
}

/// The addresses from one on.
fn source(first: u32, number: u32) -> IpAddr {
    Ipv4Addr::from_bits(first + number).into()
}

fn connect(from: IpAddr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(from, 0).into())?;
    socket.connect_timeout(&to.into(), Duration::from_secs(30))?;
    Ok(socket.into())
}

fn options(own: SocketAddr) -> String {
    format!(
        "OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP {own};branch=z9hG4bKo\r\nMax-Forwards: 70\r\nFrom: <sip:a@127.0.0.1>;tag=1\r\n\
         To: <sip:127.0.0.1>\r\nCall-ID: {own}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

/// Lets this process have as many sockets as it may.
fn allow_many_sockets() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("more files, up to what is allowed");
}

/// INVITEs from many addresses, each only once, and none of them acknowledged.
struct Flood(JoinHandle<Flooded>);

struct Flooded {
    sent: u32,
    took: Duration,
    /// What was sent, and what came back.
    bytes: usize,
    bytes_back: usize,
}

impl Flood {
    fn start(to: SocketAddr, sources: u32, rate: u32, count: u32) -> Self {
        let sockets: Vec<_> =
            (0..sources).map(|number| UdpSocket::bind((source(0x7f0a_0001, number), 0)).expect("a socket")).collect();
        sockets.iter().for_each(|socket| socket.set_nonblocking(true).expect("a socket"));
        Self(std::thread::spawn(move || {
            let begin = Instant::now();
            let (mut bytes, mut bytes_back, mut buffer) = (0, 0, [0; 4096]);
            for sent in 0..count {
                let due = begin + Duration::from_secs(1) * sent / rate;
                if let Some(early) = due.checked_duration_since(Instant::now()) {
                    std::thread::sleep(early);
                }
                let socket = &sockets[sent as usize % sockets.len()];
                let own = socket.local_addr().expect("bound");
                let request = invite(if sent % 2 == 0 { "1000" } else { "1001" }, "6000", &format!("flood{sent}"), own, own);
                // A full buffer loses it, like any way.
                bytes += socket.send_to(request.as_bytes(), to).unwrap_or(0);
                while let Ok(length) = socket.recv(&mut buffer) {
                    bytes_back += length;
                }
            }
            let took = begin.elapsed();
            for socket in &sockets {
                while let Ok(length) = socket.recv(&mut buffer) {
                    bytes_back += length;
                }
            }
            Flooded { sent: count, took, bytes, bytes_back }
        }))
    }

    fn end(self) -> Flooded {
        self.0.join().expect("the flood has not failed")
    }
}

/// Callers who press `#` to skip the greeting and then speak all the time, each 20 ms unlike any other.
struct Speaker {
    thread: JoinHandle<(Vec<RawCall>, Vec<Vec<u8>>)>,
    stop: Arc<AtomicBool>,
}

impl Speaker {
    fn start(calls: Vec<RawCall>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            calls.iter().for_each(|call| call.press(11, 0, 0));
            let (begin, mut frames) = (Instant::now(), Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                let number = u16::try_from(frames.len()).expect("less than 20 minutes");
                if let Some(early) = (begin + FRAME * number.into()).checked_duration_since(Instant::now()) {
                    std::thread::sleep(early);
                }
                // Loud enough for speech, and no tone.
                let frame: Vec<u8> = (0..160).map(|_| rand::random_range(0x90..=0xbf) & !(rand::random::<u8>() & 0x80)).collect();
                calls.iter().for_each(|call| call.speak(&frame, number + 6, (u32::from(number) + 6) * 160));
                frames.push(frame);
            }
            (calls, frames)
        });
        Self { thread, stop }
    }

    /// Ends the calls, and gives what was said in each of them.
    fn end(self) -> Vec<Vec<u8>> {
        self.stop.store(true, Ordering::Relaxed);
        let (calls, frames) = self.thread.join().expect("the callers have not failed");
        calls.into_iter().for_each(RawCall::hang_up);
        frames
    }
}

/// The longest span of what was said, from the first that is in a message to the last, that is not in its place.
fn longest_gap(message: &[i16], frames: &[Vec<u8>]) -> Duration {
    let frames: Vec<_> = frames.iter().map(|frame| Law::Mu.decoded(frame)).collect();
    let numbers: HashMap<&[i16], usize> = frames.iter().enumerate().map(|(number, frame)| (frame.as_slice(), number)).collect();
    let mut places = message.windows(SAMPLES).enumerate();
    let (at, known) = places.find_map(|(at, window)| Some((at, *numbers.get(window)?))).expect("something is there");
    let (mut gap, mut longest) = (0, 0);
    for (number, frame) in frames.iter().enumerate().skip(known) {
        let from = at + (number - known) * frame.len();
        let Some(there) = message.get(from..from + frame.len()) else { break };
        gap = if there == frame.as_slice() { 0 } else { gap + 1 };
        longest = longest.max(gap);
    }
    FRAME * longest
}

/// Looks at the memory of a process all the time.
struct Watch {
    before: u64,
    highest: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    fn start(process: u32) -> Self {
        let before = own_memory(process);
        let (highest, stop) = (Arc::new(AtomicU64::new(before)), Arc::new(AtomicBool::new(false)));
        let (seen, stopped) = (highest.clone(), stop.clone());
        std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                seen.fetch_max(own_memory(process), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Self { before, highest, stop }
    }

    fn highest(&self) -> u64 {
        self.highest.load(Ordering::Relaxed)
    }

    fn end(&self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.highest()
    }
}
