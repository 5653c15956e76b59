//! Calls over a bad network: every key counts, nothing is stretched or shortened, and calls begin and end.
//!
//! The numbers of calls are small here; `AFTERBEEP_TEST_CALLS=1000` makes them what is claimed.

use std::{
    process::Stdio,
    sync::atomic::{AtomicUsize, Ordering},
};

use afterbeep::{audio::wav, ivr::PromptId};

use crate::support::{
    caller::{FIRST_PHRASE, SECOND_PHRASE, words},
    impaired_network::{ADDRESS, FarServer, ImpairedNetwork},
    server::{PASSCODE, command},
};

/// 20 % loss, 5 % reordering, 2 % duplicates.
const BAD: [&str; 8] = ["--loss", "0.2", "--reorder", "0.05", "--duplicate", "0.02", "--delay", "10"];
/// What the long message ends with.
const LAST_PHRASE: PromptId = PromptId::ToMainMenu;
/// How many telephones are used at once, at least. Each waits as long as a caller who hears nothing yet: an answer and its ACK can be
/// lost several times in a row, and the next attempt is then many seconds away.
const AT_ONCE: usize = 18;

#[test]
fn every_key_is_right_with_loss_and_jitter() {
    let Some(network) = ImpairedNetwork::new(&["--loss", "0.05", "--jitter", "30", "--delay", "10"]) else { return };
    let server = serve(&network);

    let calls = calls(36);
    passcodes(&network, calls);
    server.wait_until_idle();

    assert_eq!((server.count("a passcode was right"), server.count("a passcode was wrong")), (calls, 0));
}

#[test]
fn passcodes_are_right_on_a_bad_network() {
    let Some(network) = ImpairedNetwork::new(&BAD) else { return };
    let server = serve(&network);

    let calls = calls(36);
    passcodes(&network, calls);
    server.wait_until_idle();

    let (right, wrong) = (server.count("a passcode was right"), server.count("a passcode was wrong"));
    eprintln!("{right} of {calls} passcodes were right, {wrong} were wrong");
    assert!((calls - right) * 1000 <= calls.max(1000), "{right} of {calls} passcodes were right");
}

#[test]
fn a_message_is_as_long_as_it_was_on_a_bad_network() {
    let Some(network) = ImpairedNetwork::new(&BAD) else { return };
    let server = serve(&network);
    // Between the two phrases there is more speech, so that no silence ends the message.
    let (first, last) = (words(FIRST_PHRASE), words(LAST_PHRASE));
    // A beep with holes seems to end early: what is said before its end is in no recording.
    let said = [&[0; 8000][..], &first, &words(SECOND_PHRASE).repeat(6), &last].concat();
    let distance = said.len() - last.len() - 8000;
    let speech = server.path("speech.wav");
    std::fs::write(&speech, wav::from_samples(&said)).unwrap();

    let caller = network
        .at_the_far_end(command().get_program())
        .args(["call", &format!("sip:1001@{ADDRESS}"), "--digits", "#", "--say"])
        .arg(&speech)
        .output()
        .unwrap();
    server.wait_until_idle();

    assert!(caller.status.success(), "{}", String::from_utf8_lossy(&caller.stderr));
    let audio = server.only_message("1001");
    let begin = place(&first, &audio, 8000);
    let end = place(&last, &audio, audio.len() - last.len());
    let measured = end.saturating_sub(begin);
    eprintln!("{measured} samples from {begin} to {end} in {} samples, {distance} were sent", audio.len());
    let allowed = 160 + distance / 200;
    assert!(measured.abs_diff(distance) <= allowed, "{measured} samples between the phrases, {distance} were sent");
    // The telephone is silent for half a second after the speech, and the beep's end is half a packet away at most.
    let longest = said.len() + 8000;
    assert!((said.len() - allowed..=longest).contains(&audio.len()), "{} samples of {}", audio.len(), said.len());
}

#[test]
fn calls_begin_and_end_though_a_fifth_of_all_messages_is_lost() {
    let Some(network) = ImpairedNetwork::new(&["--loss", "0.2", "--sip-only"]) else { return };
    let server = serve(&network);

    let calls = calls(200);
    let folder = tempfile::tempdir().unwrap();
    let output = network
        .at_the_far_end("sipp")
        .args(["-nostdin", "-sn", "uac", "-i", "10.77.0.2", "-p", "5060", "-s", "1001", "-d", "1000"])
        .args(["-m", &calls.to_string(), "-r", "20", "-max_invite_retrans", "8", "-max_non_invite_retrans", "12"])
        .args(["-timeout", "300s", "-trace_stat", "-fd", "1", "-stf"])
        .arg(folder.path().join("statistics.csv"))
        .arg(ADDRESS)
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .output()
        .unwrap();

    let (good, bad) = outcome(&std::fs::read_to_string(folder.path().join("statistics.csv")).unwrap());
    eprintln!("{good} calls were set up and torn down, {bad} were not");
    assert_eq!(good + bad, calls, "sipp ended with {}", output.status);
    assert!(bad * 1000 <= calls.max(1000), "{good} calls were set up and torn down, {bad} were not");
    server.wait_until_idle();
}

/// Where a second of known audio is most alike, within a second of `about`. Lost packets are holes in it, which would mislead a
/// search by loudness.
fn place(known: &[i16], audio: &[i16], about: usize) -> usize {
    let likeness = |at: &usize| -> i64 {
        let there = &audio[*at..*at + 8000];
        let product: i64 = known.iter().zip(there).map(|(&a, &b)| i64::from(a) * i64::from(b)).sum();
        let energy: i64 = there.iter().map(|&b| i64::from(b) * i64::from(b)).sum();
        (product as f64 / (energy as f64).sqrt().max(1.0)) as i64
    };
    let last = audio.len() - 8000;
    (about.saturating_sub(8000).min(last)..=(about + 8000).min(last)).max_by_key(likeness).expect("a second of audio")
}

fn serve(network: &ImpairedNetwork) -> FarServer {
    // One caller calls more often than one caller may: without this it would be turned away, and we would hang up.
    let server = network.serve("trusted_peers = [\"10.77.0.2\"]\n[deposit]\ncalls_per_minute = 0\ncalls_per_hour = 0\n");
    server.run(&["mailbox", "add", "1001", "--passcode", PASSCODE, "--enrolled", "on"]);
    server
}

/// So many callers dial `*98`, and type a mailbox number and a passcode.
fn passcodes(network: &ImpairedNetwork, calls: usize) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.max(calls.min(1000) / 10) {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < calls {
                    let caller = network
                        .at_the_far_end(command().get_program())
                        .args(["call", &format!("sip:*98@{ADDRESS}"), "--listen", "30s", "--digits"])
                        .arg(format!("1001#w{PASSCODE}#"))
                        .output()
                        .unwrap();
                    assert!(caller.status.success(), "{}", String::from_utf8_lossy(&caller.stderr));
                }
            });
        }
    });
}

fn calls(fewest: usize) -> usize {
    std::env::var("AFTERBEEP_TEST_CALLS").ok().and_then(|calls| calls.parse().ok()).unwrap_or(fewest)
}

/// Successful and failed calls by SIPp's own count.
fn outcome(statistics: &str) -> (usize, usize) {
    let mut lines = statistics.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(';').collect();
    let last: Vec<&str> = lines.last().unwrap_or_default().split(';').collect();
    let value = |name| names.iter().position(|it| *it == name).and_then(|at| last.get(at)?.parse().ok()).expect("a count");
    (value("SuccessfulCall(C)"), value("FailedCall(C)"))
}
