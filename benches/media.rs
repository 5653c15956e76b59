//! What the media of a call costs: CPU of the media threads and the writer, and how even what they send is.
//!
//! `cargo bench --bench media` runs a table; `cargo bench --bench media -- record 1600 20` or `play 800 20 opus` one row. The
//! media threads run on core 0 and the callers on core 1, where there are two. Recordings go to the directory in
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
    ivr::PromptId,
    media::{
        DigitSet, EncodedAudio, MediaConfig, MediaEngine, MediaEvent, MediaSession, PlayId, RecordSpec, RecordingEnd,
        RecordingId, SessionSpec, Stream,
    },
    rtp::{Packet, Security},
};
use rustix::thread::{CpuSet, Pid, sched_setaffinity};
use tokio::sync::mpsc;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const FRAME: Duration = Duration::from_millis(20);
/// How many sockets the callers share.
const SOCKETS: usize = 64;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
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
        _ => Err(io::Error::other("usage: media [codecs | record|play CALLS SECONDS [CODEC]]")),
    }
}

fn number<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse().map_err(|_| io::Error::other(format!("{text} is not a number")))
}

fn row(kind: &str, calls: usize, seconds: u32, codec: Codec) -> io::Result<()> {
    print!("{:5} ", codec.name());
    match kind {
        "record" => record(calls, seconds, codec),
        "play" => play(calls, seconds, codec),
        _ => Err(io::Error::other("measure `record` or `play`")),
    }
}

fn record(calls: usize, seconds: u32, codec: Codec) -> io::Result<()> {
    let directory = std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let engine = MediaEngine::start(MediaConfig::default())?;
    let threads = Threads::find("media-")?;
    threads.pin(0);
    let sockets = sockets()?;
    let mut events = Vec::new();
    let mut sessions = Vec::new();
    for call in 0..calls {
        let (session, told) = open(&engine, sockets[call % SOCKETS].local_addr()?, codec)?;
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
    let callers = on_core(1, move || talk(&sockets, &targets, frames, codec));
    let late = callers.join().map_err(|_| io::Error::other("the callers failed"))?;
    let (cpu, wall) = (threads.cpu()? - before, started.elapsed());
    sessions.iter().for_each(MediaSession::stop_recording);
    // Callers that are late leave pauses in a recording, but nothing may be missing.
    let whole = events.iter_mut().map(recorded).filter(|written| *written >= Some(u64::from(frames) * 160)).count();

    println!(
        "record {calls:5} calls: {:.3} CPU-s per 1000 call-s ({:.0} % of a core); {whole} of {calls} recordings whole; callers at most {:.1} ms late",
        cost(cpu, Duration::from_secs(u64::from(seconds)), calls),
        100.0 * cpu.as_secs_f64() / wall.as_secs_f64(),
        late.as_secs_f64() * 1000.0
    );
    Ok(())
}

fn play(calls: usize, seconds: u32, codec: Codec) -> io::Result<()> {
    let engine = MediaEngine::start(MediaConfig::default())?;
    let threads = Threads::find("media-")?;
    threads.pin(0);
    let sockets = sockets()?;
    let voice: Vec<i16> = voice().into_iter().cycle().take(seconds as usize * 16_000).collect();
    let prompt = Arc::new(EncodedAudio::new(codec, &voice, 16_000));
    let mut sessions = Vec::new();
    let mut events = Vec::new();
    for call in 0..calls {
        let (session, told) = open(&engine, sockets[call % SOCKETS].local_addr()?, codec)?;
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
    println!(
        "play   {calls:5} calls: {:.3} CPU-s per 1000 call-s ({:.0} % of a core); {whole} of {calls} heard whole; deviation p50 {:.1} ms, p99 {:.1} ms, most {:.1} ms",
        cost(cpu, wall, calls),
        100.0 * cpu.as_secs_f64() / wall.as_secs_f64(),
        quantile(0.5).as_secs_f64() * 1000.0,
        quantile(0.99).as_secs_f64() * 1000.0,
        deviations.last().copied().unwrap_or_default().as_secs_f64() * 1000.0
    );
    Ok(())
}

fn cost(cpu: Duration, wall: Duration, calls: usize) -> f64 {
    cpu.as_secs_f64() / (wall.as_secs_f64() * calls as f64) * 1000.0
}

fn open(engine: &MediaEngine, peer: SocketAddr, codec: Codec) -> io::Result<(MediaSession, mpsc::Receiver<MediaEvent>)> {
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
        security: Security::None,
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
fn talk(sockets: &[UdpSocket], targets: &[SocketAddr], frames: u32, codec: Codec) -> Duration {
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
                let _ = sockets[call % SOCKETS].send_to(&datagram[..12 + payload.len()], targets[call]);
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

/// Threads of this process, by the beginning of their names.
struct Threads(Vec<Pid>);

impl Threads {
    fn find(name: &str) -> io::Result<Self> {
        let mut found = Vec::new();
        for task in fs::read_dir("/proc/self/task")? {
            let task = task?;
            if fs::read_to_string(task.path().join("comm"))?.starts_with(name) {
                found.extend(task.file_name().to_str().and_then(|id| id.parse().ok()).and_then(Pid::from_raw));
            }
        }
        Ok(Self(found))
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
