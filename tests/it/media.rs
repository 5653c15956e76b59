//! Two ends of the media engine talk to each other over loopback, in real time.

use std::{
    fs::File,
    io::{Read, Seek},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use afterbeep::{
    audio::{codec::Codec, form::Form, law::Law},
    media::{
        Clip, DigitSet, EncodedAudio, MediaConfig, MediaEngine, MediaEvent, MediaSession, PlayId, RecordSpec, RecordingEnd,
        RecordingId, SessionSpec, Stream,
    },
    rtp::{Packet, Security},
};
use tokio::{sync::mpsc, time::timeout};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

#[tokio::test]
async fn what_one_end_plays_the_other_records_byte_for_byte() {
    for (ip, codec, law) in [(V4, Codec::Pcmu, Law::Mu), (V6, Codec::Pcma, Law::A)] {
        let (mut caller, mut mailbox) = connected(ip, codec);
        let speech: Vec<u8> = (0..12_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 23) as u8).collect();
        let mut file = mailbox.record(codec, "#");

        caller.session.play(PlayId(1), vec![Arc::new(EncodedAudio::from_g711(law, &speech)).into()]);
        assert_eq!(caller.next_event().await, MediaEvent::PlaybackDone { id: PlayId(1) });
        caller.session.send_digit('#', Duration::from_millis(100));

        assert_eq!(mailbox.next_event().await, MediaEvent::FirstPacket);
        let done = MediaEvent::RecordingDone {
            id: RecordingId(1),
            kept: Duration::from_millis(1500),
            written: 12_000,
            ended_by: RecordingEnd::Digit('#'),
        };
        assert_eq!(mailbox.next_event().await, done);
        let mut recorded = Vec::new();
        file.rewind().expect("a file");
        file.read_to_end(&mut recorded).expect("a file");
        assert!(recorded == speech, "{ip}: {} bytes", recorded.len());
    }
}

#[tokio::test]
async fn every_key_that_one_end_presses_the_other_hears() {
    let (caller, mut mailbox) = connected(V4, Codec::Pcmu);
    let keys = "1002*#D9";

    for key in keys.chars() {
        caller.session.send_digit(key, Duration::from_millis(60));
    }

    assert_eq!(mailbox.next_event().await, MediaEvent::FirstPacket);
    for key in keys.chars() {
        assert_eq!(mailbox.next_event().await, MediaEvent::Digit { digit: key });
    }
}

#[tokio::test]
async fn a_pause_holds_the_position_and_going_on_reaches_the_end() {
    let (mut caller, mut mailbox) = connected(V4, Codec::Pcmu);
    let pause = Clip::Silence(Duration::from_millis(300));

    caller.session.play(PlayId(5), vec![pause]);
    assert_eq!(mailbox.next_event().await, MediaEvent::FirstPacket);
    caller.session.pause_playing();
    // The order after it is obeyed after it: when its effect is there, the pause is too.
    caller.session.send_digit('1', Duration::from_millis(40));
    assert_eq!(mailbox.next_event().await, MediaEvent::Digit { digit: '1' });
    let held = caller.session.position(PlayId(5)).expect("it has begun");
    caller.session.send_digit('2', Duration::from_millis(40));
    assert_eq!(mailbox.next_event().await, MediaEvent::Digit { digit: '2' });

    assert_eq!(caller.session.position(PlayId(5)), Some(held));
    assert_eq!(caller.session.position(PlayId(6)), None);
    caller.session.resume_playing();
    assert_eq!(caller.next_event().await, MediaEvent::PlaybackDone { id: PlayId(5) });
    assert_eq!(caller.session.position(PlayId(5)), Some(Duration::from_millis(300)));
}

#[tokio::test]
async fn what_arrived_before_a_recording_is_stopped_belongs_to_it() {
    let (caller, mut mailbox) = connected(V4, Codec::Pcmu);
    caller.session.play(PlayId(1), vec![Clip::Silence(Duration::from_millis(20))]);
    assert_eq!(mailbox.next_event().await, MediaEvent::FirstPacket);
    let _file = mailbox.record(Codec::Pcmu, "");

    // Sent at once, and so faster than the thread looks; the end is ordered right behind.
    let phone = std::net::UdpSocket::bind((V4, 0)).expect("a port");
    mailbox.connect(Codec::Pcmu, phone.local_addr().expect("bound"));
    for index in 0..50_u16 {
        let (sequence, timestamp) = (index, u32::from(index) * 160);
        let packet = Packet { marker: false, payload_type: 0, sequence, timestamp, ssrc: 7, payload: &[0x55; 160] };
        phone.send_to(&packet.to_bytes(), mailbox.session.local_addr()).expect("sent");
    }
    mailbox.session.stop_recording();

    let done = mailbox.next_event().await;
    assert!(matches!(done, MediaEvent::RecordingDone { written: 8000, .. }), "{done:?}");
}

#[tokio::test]
async fn dropping_a_session_ends_its_recording_and_frees_its_ports() {
    let (caller, mut mailbox) = connected(V4, Codec::Pcmu);
    let _file = mailbox.record(Codec::Pcmu, "");
    caller.session.play(PlayId(1), vec![Clip::Silence(Duration::from_secs(60))]);
    assert_eq!(mailbox.next_event().await, MediaEvent::FirstPacket);

    let End { session, mut events } = mailbox;
    let address = session.local_addr();
    drop(session);

    let ended = timeout(Duration::from_secs(20), events.recv()).await.expect("in time").expect("an event");
    assert!(matches!(ended, MediaEvent::RecordingDone { ended_by: RecordingEnd::Stopped, .. }), "{ended:?}");
    assert_eq!(timeout(Duration::from_secs(20), events.recv()).await.expect("in time"), None, "nobody is left to tell more");
    std::net::UdpSocket::bind(address).expect("the port is free again");
}

/// One end of a call.
struct End {
    session: MediaSession,
    events: mpsc::Receiver<MediaEvent>,
}

impl End {
    fn open(engine: &MediaEngine, ip: IpAddr) -> Self {
        let (sender, events) = mpsc::channel(16);
        Self { session: engine.open(SessionSpec { local_ip: ip, proven: None, events: sender }).expect("a session"), events }
    }

    fn connect(&self, codec: Codec, peer: SocketAddr) {
        self.session.connect(Stream {
            codec,
            payload_type: codec.payload_type(),
            telephone_event: Some(101),
            packet_time: 20,
            remote: peer,
            remote_rtcp: SocketAddr::new(peer.ip(), peer.port() + 1),
            rtcp_mux: false,
            send: true,
            receive: true,
            detect_inband: false,
            security: Security::None,
        });
    }

    fn record(&self, codec: Codec, end_digits: &str) -> File {
        let file = tempfile::tempfile().expect("a file");
        self.session.record(RecordSpec {
            id: RecordingId(1),
            file: file.try_clone().expect("a file"),
            form: Form::of(codec, true),
            longest: Duration::from_secs(300),
            trailing_silence: None,
            end_digits: DigitSet::of(end_digits),
        });
        file
    }

    async fn next_event(&mut self) -> MediaEvent {
        timeout(Duration::from_secs(20), self.events.recv()).await.expect("an event in time").expect("a session that lives")
    }
}

fn connected(ip: IpAddr, codec: Codec) -> (End, End) {
    let engine = MediaEngine::start(MediaConfig::default()).expect("threads");
    let (caller, mailbox) = (End::open(&engine, ip), End::open(&engine, ip));
    caller.connect(codec, mailbox.session.local_addr());
    mailbox.connect(codec, caller.session.local_addr());
    (caller, mailbox)
}
