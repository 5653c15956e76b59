//! What the media of a call costs: CPU of the media threads and the writer, and how even what they send is.
//!
//! `cargo bench --bench media` runs a table; `cargo bench --bench media -- record 1600 20` or `play 800 20 opus` one row;
//! `cargo bench --bench media -- encrypted 200 10` what encryption adds, each suite in turn with calls without, and `handshakes` the public-key work before that. The media threads run on core 0 and the callers on core 1, where there are two. Recordings go to the directory in
//! `BENCH_DIR`, or to the one for temporary files.

use std::{
    fs::{self, File},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use afterbeep::{
    audio::{codec::Codec, encoder::Encoder, form::Form, resample::resample, wav},
    dtls::{Handshake, Identity, Output},
    ivr::PromptId,
    media::{
        DigitSet, EncodedAudio, MediaConfig, MediaEngine, MediaEvent, MediaSession, PlayId, RecordSpec, RecordingEnd,
        RecordingId, SessionSpec, Stream,
    },
    rtp::{
        Packet, Security,
        secure::DtlsTerms,
        srtp::{LONGEST_KEY, LONGEST_TRAILER, MasterKey, Protector, Suite},
    },
};
use rustix::thread::{CpuSet, Pid, sched_setaffinity};
use tokio::sync::mpsc;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const FRAME: Duration = Duration::from_millis(20);
/// How many sockets the callers share.
const SOCKETS: usize = 64;
/// The threads of an engine with one media thread. This program's own is named `media-` and something else.
const ENGINE_THREADS: [&str; 4] = ["media-0", "media-sync", "media-finish", "media-write"];

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["handshakes"] => handshakes(),
        ["encrypted", calls, seconds] => encrypted(number(calls)?, number(seconds)?),
        [kind, calls, seconds] => row(kind, number(calls)?, number(seconds)?, Codec::Pcmu),
        [kind, calls, seconds, codec] => {
            let codec = Codec::from_name(codec).ok_or_else(|| io::Error::other(format!("{codec} is no codec of ours")))?;
            row(kind, number(calls)?, number(seconds)?, codec)
        }
        ["codecs"] => {
            for codec in Codec::ALL {
                row("record", 400, 10, codec)?;
                row("play", 400, 10, codec)?;
            }
            Ok(())
        }
        [] => {
            for (kind, calls) in [("record", 400), ("record", 1600), ("record", 4000), ("play", 800), ("play", 2500)] {
                row(kind, calls, 10, Codec::Pcmu)?;
            }
            Ok(())
        }
        _ => Err(io::Error::other(
            "usage: media [codecs | handshakes | encrypted CALLS SECONDS | record|play CALLS SECONDS [CODEC]]",
        )),
    }
}

fn number<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse().map_err(|_| io::Error::other(format!("{text} is not a number")))
}

fn row(kind: &str, calls: usize, seconds: u32, codec: Codec) -> io::Result<()> {
    print!("{:5} ", codec.name());
    match kind {
        "record" => record(calls, seconds, codec, None).map(drop),
        "play" => play(calls, seconds, codec, None).map(drop),
        _ => Err(io::Error::other("measure `record` or `play`")),
    }
}

/// Every suite beside calls without, three rounds of all, so that what else the machine does falls on all of them; the middle one counts.
fn encrypted(calls: usize, seconds: u32) -> io::Result<()> {
    for kind in ["record", "play"] {
        let measure = if kind == "record" { record } else { play };
        let suites: Vec<Option<Suite>> = [None].into_iter().chain(Suite::ALL.map(Some)).collect();
        let mut rounds = vec![Vec::new(); suites.len()];
        for _ in 0..3 {
            for (costs, &suite) in rounds.iter_mut().zip(&suites) {
                costs.push(measure(calls, seconds, Codec::Pcmu, suite)?);
            }
        }
        rounds.iter_mut().for_each(|costs| costs.sort_unstable_by(f64::total_cmp));
        let costs: Vec<f64> = rounds.iter().map(|costs| costs[costs.len() / 2]).collect();
        for (cost, suite) in costs.iter().zip(&suites) {
            let name = suite.map_or("without", Suite::name);
            println!("{kind:6} {calls:5} calls: {cost:.3} CPU-s per 1000 call-s, {:.2} times without: {name}", cost / costs[0]);
        }
    }
    Ok(())
}

/// What the handshake of a call costs the side that answers it.
fn handshakes() -> io::Result<()> {
    const COUNT: u32 = 100;
    let peer = SocketAddr::from((LOOPBACK, 9));
    let [ours, theirs] = [Arc::new(Identity::generate()?), Arc::new(Identity::generate()?)];
    let (mut spent, mut most, mut done) = (Duration::ZERO, Duration::ZERO, 0);
    for _ in 0..COUNT {
        let now = Instant::now();
        let terms = |peer: &Identity, active| DtlsTerms { peer: peer.fingerprint(), active, ice: None };
        let mut server = Handshake::new(&ours, terms(&theirs, false), peer, now);
        let mut client = Handshake::new(&theirs, terms(&ours, true), peer, now);
        let mut on_the_way = Vec::new();
        client.step(now, None, &mut |output| on_the_way.extend(datagram(&output)));
        let mut is_for_us = true;
        while !on_the_way.is_empty() {
            for bytes in std::mem::take(&mut on_the_way) {
                let side = if is_for_us { &mut server } else { &mut client };
                let began = Instant::now();
                side.step(now, Some((peer, &bytes)), &mut |output| on_the_way.extend(datagram(&output)));
                if is_for_us {
                    spent += began.elapsed();
                    most = most.max(began.elapsed());
                }
            }
            is_for_us = !is_for_us;
        }
        done += u32::from(server.is_finished() && client.is_finished());
    }
    println!(
        "{done} of {COUNT} handshakes: {:.2} ms each for the side that answers, {:.2} ms at most at once",
        spent.as_secs_f64() * 1000.0 / f64::from(COUNT),
        most.as_secs_f64() * 1000.0
    );
    Ok(())
}

fn datagram(output: &Output<'_>) -> Option<Vec<u8>> {
    match output {
        Output::Send(_, bytes) => Some(bytes.to_vec()),
        Output::Keys { .. } | Output::Failed => None,
    }
}

/// The key of both directions.
fn key(suite: Suite) -> MasterKey {
    MasterKey::new(suite, &[7; LONGEST_KEY]).expect("as long as the longest")
}

/// An engine, and its threads once all of them are there and those of the row before are gone.
fn start() -> io::Result<(Arc<MediaEngine>, Threads)> {
    Threads::find(0)?;
    Ok((MediaEngine::start(MediaConfig::default())?, Threads::find(ENGINE_THREADS.len())?))
}

fn record(calls: usize, seconds: u32, codec: Codec, suite: Option<Suite>) -> io::Result<f64> {
    let directory = std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let (engine, threads) = start()?;
    threads.pin(0);
    let sockets = sockets()?;
    let mut events = Vec::new();
    let mut sessions = Vec::new();
    for call in 0..calls {
        let (session, told) = open(&engine, sockets[call % SOCKETS].local_addr()?, codec, suite)?;
        let path = directory.join(format!("afterbeep-bench-{}-{call}", std::process::id()));
        let file = File::create_new(&path)?;
        fs::remove_file(path)?;
        session.record(RecordSpec {
            id: RecordingId(0),
            file,
            form: Form::of(codec, true),
            longest: Duration::from_secs(300),
            trailing_silence: Some(Duration::from_secs(10)),
            end_digits: DigitSet::of("#"),
        });
        sessions.push(session);
        events.push(told);
    }

    let frames = seconds * 50;
    let targets: Vec<SocketAddr> = sessions.iter().map(MediaSession::local_addr).collect();
    let (before, started) = (threads.cpu()?, Instant::now());
    let callers = on_core(1, move || talk(&sockets, &targets, frames, codec, suite));
    let late = callers.join().map_err(|_| io::Error::other("the callers failed"))?;
    let (cpu, wall) = (threads.cpu()? - before, started.elapsed());
    sessions.iter().for_each(MediaSession::stop_recording);
    // Callers that are late leave pauses in a recording, but nothing may be missing.
    let whole = events.iter_mut().map(recorded).filter(|written| *written >= Some(u64::from(frames) * 160)).count();

    let cost = cost(cpu, Duration::from_secs(u64::from(seconds)), calls);
    println!(
        "record {calls:5} calls: {cost:.3} CPU-s per 1000 call-s ({:.0} % of a core); {whole} of {calls} recordings whole; callers at most {:.1} ms late",
        100.0 * cpu.as_secs_f64() / wall.as_secs_f64(),
        late.as_secs_f64() * 1000.0
    );
    Ok(cost)
}

fn play(calls: usize, seconds: u32, codec: Codec, suite: Option<Suite>) -> io::Result<f64> {
    let (engine, threads) = start()?;
    threads.pin(0);
    let sockets = sockets()?;
    let voice: Vec<i16> = voice().into_iter().cycle().take(seconds as usize * 16_000).collect();
    let prompt = Arc::new(EncodedAudio::new(codec, &voice, 16_000));
    let mut sessions = Vec::new();
    let mut events = Vec::new();
    for call in 0..calls {
        let (session, told) = open(&engine, sockets[call % SOCKETS].local_addr()?, codec, suite)?;
        sessions.push(session);
        events.push(told);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let callers = on_core(1, {
        let stop = Arc::clone(&stop);
        move || listen(&sockets, &stop)
    });
    for session in &sessions {
        session.play(PlayId(0), vec![Arc::clone(&prompt).into()]);
    }
    thread::sleep(Duration::from_secs(1));
    let (before, started) = (threads.cpu()?, Instant::now());
    thread::sleep(Duration::from_secs(u64::from(seconds.saturating_sub(2).max(1))));
    let (cpu, wall) = (threads.cpu()? - before, started.elapsed());
    for events in &mut events {
        while !matches!(events.blocking_recv(), Some(MediaEvent::PlaybackDone { .. }) | None) {}
    }
    stop.store(true, Ordering::Relaxed);
    let heard = callers.join().map_err(|_| io::Error::other("the callers failed"))?;

    let (mut deviations, mut whole) = (Vec::new(), 0);
    for arrivals in heard.values() {
        whole += usize::from(arrivals.len() == seconds as usize * 50);
        // The line that the middle packet is on: the first comes while all calls are being set up at once.
        let middle = arrivals.len() / 2;
        deviations.extend(
            (0..).zip(arrivals).map(|(index, &at)| (at + FRAME * middle as u32).abs_diff(arrivals[middle] + FRAME * index)),
        );
    }
    deviations.sort_unstable();
    let quantile = |share: f64| deviations.get((deviations.len() as f64 * share) as usize).copied().unwrap_or_default();
    let cost = cost(cpu, wall, calls);
    println!(
        "play   {calls:5} calls: {cost:.3} CPU-s per 1000 call-s ({:.0} % of a core); {whole} of {calls} heard whole; deviation p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms",
        100.0 * cpu.as_secs_f64() / wall.as_secs_f64(),
        quantile(0.5).as_secs_f64() * 1000.0,
        quantile(0.99).as_secs_f64() * 1000.0,
        deviations.last().copied().unwrap_or_default().as_secs_f64() * 1000.0
    );
    Ok(cost)
}

fn cost(cpu: Duration, wall: Duration, calls: usize) -> f64 {
    cpu.as_secs_f64() / (wall.as_secs_f64() * calls as f64) * 1000.0
}

fn open(
    engine: &MediaEngine,
    peer: SocketAddr,
    codec: Codec,
    suite: Option<Suite>,
) -> io::Result<(MediaSession, mpsc::Receiver<MediaEvent>)> {
    let (sender, events) = mpsc::channel(8);
    let session = engine.open(SessionSpec { local_ip: LOOPBACK, proven: None, events: sender })?;
    session.connect(Stream {
        codec,
        payload_type: codec.payload_type(),
        telephone_event: Some(101),
        packet_time: 20,
        remote: peer,
        remote_rtcp: peer,
        rtcp_mux: false,
        send: true,
        receive: true,
        detect_inband: false,
        security: suite.map(key).map_or(Security::None, |key| Security::Keys { send: key, receive: key }),
    });
    Ok((session, events))
}

fn sockets() -> io::Result<Vec<UdpSocket>> {
    (0..SOCKETS)
        .map(|_| {
            let socket = UdpSocket::bind((LOOPBACK, 0))?;
            socket.set_nonblocking(true)?;
            rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 4 << 20)?;
            Ok(socket)
        })
        .collect()
}

/// Somebody speaking, 16,000 samples a second.
fn voice() -> Vec<i16> {
    let spoken = wav::read_at(16_000, PromptId::WhilePlaying.wav(), Duration::from_secs(60));
    spoken.expect("an embedded prompt")
}

/// The same as payloads of 20 ms.
fn payloads(codec: Codec) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(codec);
    let voice = resample(&voice(), 16_000, codec.sample_rate());
    let encode = |frame: &[i16]| {
        let mut payload = Vec::new();
        encoder.encode(frame, &mut payload);
        payload
    };
    voice.chunks_exact(codec.frame_samples()).map(encode).collect()
}

/// Talks to every target, each at its own moment of the 20 ms; answers how late it was at most.
fn talk(sockets: &[UdpSocket], targets: &[SocketAddr], frames: u32, codec: Codec, suite: Option<Suite>) -> Duration {
    let mut protectors: Option<Vec<Protector>> = suite.map(key).map(|key| targets.iter().map(|_| Protector::new(key)).collect());
    let payloads = payloads(codec);
    let started = Instant::now();
    let mut most = Duration::ZERO;
    for frame in 0..frames {
        for part in 0..20 {
            let due = FRAME * frame + Duration::from_millis(part as u64);
            match due.checked_sub(started.elapsed()) {
                Some(rest) => thread::sleep(rest),
                None => most = most.max(started.elapsed() - due),
            }
            for call in (part..targets.len()).step_by(20) {
                let packet = Packet {
                    marker: frame == 0,
                    payload_type: codec.payload_type(),
                    sequence: frame as u16,
                    timestamp: frame * 160 * codec.clock_factor(),
                    ssrc: call as u32,
                    payload: &[],
                };
                let payload = &payloads[frame as usize % payloads.len()];
                let mut datagram = [0; 1500];
                datagram[..12].copy_from_slice(&packet.header());
                datagram[12..12 + payload.len()].copy_from_slice(payload);
                let length = 12 + payload.len();
                let room = &mut datagram[..length + LONGEST_TRAILER];
                let length = protectors.as_mut().map_or(Some(length), |protectors| protectors[call].protect(room, length));
                let _ = sockets[call % SOCKETS].send_to(&datagram[..length.unwrap_or(0)], targets[call]);
            }
        }
    }
    most
}

/// Notes when each packet of each stream arrives.
fn listen(sockets: &[UdpSocket], stop: &AtomicBool) -> std::collections::HashMap<u32, Vec<Duration>> {
    let started = Instant::now();
    let mut heard: std::collections::HashMap<u32, Vec<Duration>> = std::collections::HashMap::new();
    let mut datagram = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        for socket in sockets {
            while let Ok(length) = socket.recv(&mut datagram) {
                if let Some(packet) = Packet::parse(&datagram[..length]) {
                    heard.entry(packet.ssrc).or_default().push(started.elapsed());
                }
            }
        }
        thread::sleep(Duration::from_micros(200));
    }
    heard
}

fn recorded(events: &mut mpsc::Receiver<MediaEvent>) -> Option<u64> {
    loop {
        if let MediaEvent::RecordingDone { written, ended_by, .. } = events.blocking_recv()? {
            return (ended_by == RecordingEnd::Stopped).then_some(written);
        }
    }
}

fn on_core<T: Send + 'static>(core: usize, work: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    thread::spawn(move || {
        pin(None, core);
        work()
    })
}

/// The threads of an engine in this process.
struct Threads(Vec<Pid>);

impl Threads {
    /// Finds them as soon as there are so many: a thread takes its name after it began, and ends after its handle is dropped.
    fn find(count: usize) -> io::Result<Self> {
        for _ in 0..500 {
            let mut found = Vec::new();
            for task in fs::read_dir("/proc/self/task")? {
                let task = task?;
                // It may end between the two.
                if fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| ENGINE_THREADS.contains(&comm.trim_end())) {
                    found.extend(task.file_name().to_str().and_then(|id| id.parse().ok()).and_then(Pid::from_raw));
                }
            }
            if found.len() == count {
                return Ok(Self(found));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(io::Error::other(format!("there were never {count} threads of an engine")))
    }

    fn pin(&self, core: usize) {
        self.0.iter().for_each(|&id| pin(Some(id), core));
    }

    /// The time they have been on a CPU.
    fn cpu(&self) -> io::Result<Duration> {
        self.0.iter().try_fold(Duration::ZERO, |sum, id| {
            let stat = fs::read_to_string(format!("/proc/self/task/{}/schedstat", id.as_raw_nonzero()))?;
            Ok(sum + Duration::from_nanos(number(stat.split(' ').next().unwrap_or_default())?))
        })
    }
}

fn pin(thread: Option<Pid>, core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    // With one core only, the figures are still worth something.
    let _ = sched_setaffinity(thread, &cores);
}
