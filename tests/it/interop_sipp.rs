//! SIPp calls: messages by UDP and TCP, diverted and held calls, keys by INFO, many callers at once.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use afterbeep::{audio::law::Law, domain::time::Timestamp, ivr::PromptId, phone::listen, rtp::Packet};

use crate::support::{
    caller::{FIRST_PHRASE, SECOND_PHRASE, expect_speech, speech, through, words},
    server::{PASSCODE, Server, TRUSTING},
    sipp::{Call, Step},
};

/// After a key: the answer to it, and the beep.
const TO_THE_BEEP: Step<'static> = Step::Wait(Duration::from_secs(2));

#[test]
fn messages_are_left_over_udp_and_tcp() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    server.add_mailbox("1002", &[]);
    let folder = tempfile::tempdir().unwrap();
    let file = mu_law(folder.path(), "speech", &speech().0);
    let steps = [Step::Info('#'), TO_THE_BEEP, Step::Speak(&file), Step::Wait(Duration::from_millis(7500))];

    std::thread::scope(|scope| {
        scope.spawn(|| Call { service: "1001", transport: "u1", ..Call::default() }.run(server.udp(), &steps, 1));
        scope.spawn(|| Call { service: "1002", transport: "t1", ..Call::default() }.run(server.tcp(), &steps, 1));
    });

    for number in ["1001", "1002"] {
        let message = &server.wait_for_messages(number, 1)[0];
        assert_eq!((&message["caller_number"], &message["caller_name"]), (&"2025550143".into(), &"Ann Lee".into()));
        let audio = &server.audio(number)[0];
        let at = expect_speech(audio);
        let said = through(Law::Mu, &speech().0);
        assert!(audio[at..at + said.len()] == said, "{number}: every sample is as it was sent");
    }
    server.expect_tidiness();
}

#[test]
fn a_key_by_telephone_event_ends_the_message() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not tried: SIPp sends its captures of keys as root only");
        return;
    }
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let folder = tempfile::tempdir().unwrap();
    let file = mu_law(folder.path(), "speech", &speech().0);
    // The keys' captures have an SSRC of their own, and their sequence numbers do not go with the audio's.
    let steps = [
        Step::Digit('#'),
        TO_THE_BEEP,
        Step::Speak(&file),
        Step::Wait(Duration::from_millis(7500)),
        Step::Digit('#'),
        Step::Wait(Duration::from_secs(1)),
        Step::Digit('1'),
        Step::Wait(Duration::from_secs(1)),
    ];

    Call::default().run(server.udp(), &steps, 1);

    server.wait_for_messages("1001", 1);
    expect_speech(&server.audio("1001")[0]);
    server.expect_tidiness();
}

#[test]
fn a_message_goes_on_after_the_call_was_on_hold() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let folder = tempfile::tempdir().unwrap();
    let (speech, second) = speech();
    let first_file = mu_law(folder.path(), "first", &speech[..second]);
    let second_file = mu_law(folder.path(), "second", &speech[second..]);
    let steps = [
        Step::Info('#'),
        TO_THE_BEEP,
        Step::Speak(&first_file),
        Step::Wait(Duration::from_millis(5000)),
        Step::Hold,
        Step::Wait(Duration::from_secs(4)),
        Step::Resume,
        Step::Speak(&second_file),
        Step::Wait(Duration::from_secs(3)),
    ];

    Call::default().run(server.udp(), &steps, 1);

    server.wait_for_messages("1001", 1);
    let audio = &server.audio("1001")[0];
    let find = |prompt| listen::find(&words(prompt), audio).unwrap();
    let (first, second_place) = (find(FIRST_PHRASE), find(SECOND_PHRASE));
    assert!(first.likeness > 0.98 && second_place.likeness > 0.98, "{first:?} {second_place:?}");
    let between = second_place.at - first.at;
    assert!(between < 5000 * 8 + 16_000, "the 4 s on hold are not in the message: the phrases are {between} samples apart");
    server.expect_tidiness();
}

#[test]
fn messages_follow_diversion_and_history_info_of_a_trusted_peer() {
    let server = Server::start(TRUSTING);
    for number in ["1001", "1002"] {
        server.add_mailbox(number, &[]);
    }
    let folder = tempfile::tempdir().unwrap();
    let file = mu_law(folder.path(), "speech", &words(FIRST_PHRASE));
    let steps = [Step::Info('#'), TO_THE_BEEP, Step::Speak(&file), Step::Wait(Duration::from_millis(4500))];
    let calls = [
        // The latest diversion stands first: 1001 was called first.
        "Diversion: <sip:7001@pbx.example>;reason=unconditional, \"Ann\" <sip:1001@pbx.example;user=phone>;reason=no-answer\n",
        "History-Info: <sip:1002@pbx.example?Reason=SIP%3Bcause%3D408>;index=1, <sip:vm@127.0.0.1>;index=1.1;mp=1\n",
    ];

    std::thread::scope(|scope| {
        for headers in calls {
            let (server, steps) = (&server, &steps);
            scope.spawn(move || Call { service: "7000", headers, ..Call::default() }.run(server.udp(), steps, 1));
        }
    });

    for number in ["1001", "1002"] {
        server.wait_for_messages(number, 1);
    }
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_subscriber_listens_with_keys_by_info() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let message = speech().0;
    server.leave_message(&server.store().await, "1001", &message, now()).await;
    let ear = Ear::open();
    let mut steps = vec![Step::Wait(Duration::from_secs(4))];
    steps.extend("1001#".chars().map(Step::Info));
    steps.push(Step::Wait(Duration::from_secs(4)));
    steps.extend(PASSCODE.chars().chain(['#']).map(Step::Info));
    steps.push(Step::Wait(Duration::from_secs(3)));
    steps.extend([Step::Info('1'), Step::Wait(Duration::from_secs(20))]);
    steps.extend([Step::Info('9'), Step::Wait(Duration::from_secs(2))]);

    let call = Call { service: "*98", media: Some(ear.address), ..Call::default() };
    tokio::task::block_in_place(|| call.run(server.udp(), &steps, 1));

    let heard = ear.heard();
    let mut from = 0;
    for (what, known) in [
        ("enter-mailbox", words(PromptId::EnterMailbox)),
        ("enter-passcode", words(PromptId::EnterPasscode)),
        ("new-1", words(PromptId::New1)),
        ("today-at", words(PromptId::TodayAt)),
        ("the message", message),
        ("message-saved", words(PromptId::MessageSaved)),
    ] {
        let found = listen::find(&known, &heard[from..]);
        let found = found.filter(|found| found.likeness > 0.95).unwrap_or_else(|| panic!("{what} after {from}: {found:?}"));
        from += found.at + known.len();
    }
    assert_eq!(server.messages("1001")[0]["list"], "saved");
    server.expect_tidiness();
}

#[test]
fn fifty_callers_at_once_all_leave_whole_messages() {
    const CALLERS: u32 = 50;
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let folder = tempfile::tempdir().unwrap();
    let file = mu_law(folder.path(), "speech", &speech().0);
    let steps = [Step::Info('#'), Step::Wait(Duration::from_secs(4)), Step::Speak(&file), Step::Wait(Duration::from_secs(9))];

    Call::default().run(server.udp(), &steps, CALLERS);

    let messages = server.wait_for_messages("1001", CALLERS as usize);
    assert!(messages.iter().all(|message| message["interrupted"] == false));
    let audio = server.audio("1001");
    assert_eq!(audio.len(), CALLERS as usize);
    for message in &audio {
        expect_speech(message);
    }
    server.expect_tidiness();
}

/// Where audio can be sent to, so that it can be listened to. It breathes once a second.
struct Ear {
    address: SocketAddr,
    samples: Arc<Mutex<Vec<i16>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ear {
    fn open() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a free port");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a time-out can be set");
        let address = socket.local_addr().expect("a bound socket has an address");
        let (samples, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (heard, ended) = (samples.clone(), over.clone());
        let thread = std::thread::spawn(move || {
            let mut datagram = [0; 2048];
            let mut start = None;
            let mut received = 0_u16;
            while !ended.load(Ordering::Relaxed) {
                let Ok((length, server)) = socket.recv_from(&mut datagram) else { continue };
                received = received.wrapping_add(1);
                if received.is_multiple_of(50) {
                    // Whoever is silent for 30 s is hung up on.
                    let _ = socket.send_to(&breath(received), server);
                }
                let Some(packet) = Packet::parse(&datagram[..length]) else { continue };
                let at = packet.timestamp.wrapping_sub(*start.get_or_insert(packet.timestamp)) as usize;
                // Nothing that comes before the first packet, or hours later, belongs to the call.
                if at > 8000 * 3600 {
                    continue;
                }
                let mut heard = heard.lock().expect("nobody panics with it");
                let end = at + packet.payload.len();
                if heard.len() < end {
                    heard.resize(end, 0);
                }
                heard[at..end].copy_from_slice(&Law::Mu.decoded(packet.payload));
            }
        });
        Self { address, samples, over, thread: Some(thread) }
    }

    fn heard(mut self) -> Vec<i16> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.take().expect("it is joined once").join().expect("it does not panic");
        std::mem::take(&mut self.samples.lock().expect("nobody panics with it"))
    }
}

/// A packet of silence.
fn breath(number: u16) -> Vec<u8> {
    let (sequence, timestamp) = (number / 50, u32::from(number) * 160);
    Packet { marker: true, payload_type: 0, sequence, timestamp, ssrc: 1, payload: &[0xff; 160] }.to_bytes()
}

/// A file as SIPp streams it.
fn mu_law(folder: &Path, name: &str, samples: &[i16]) -> PathBuf {
    let file = folder.join(format!("{name}.ul"));
    fs::write(&file, Law::Mu.encoded(samples)).expect("the folder is ours");
    file
}

fn now() -> Timestamp {
    chrono::Utc::now().into()
}
