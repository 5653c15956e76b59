//! The operator tries the server out from a terminal: `afterbeep call`, `afterbeep quickstart`, and what goes wrong at start.

use std::{net::UdpSocket, process::Output};

use afterbeep::{audio::wav, ivr::PromptId, phone::listen};

use crate::support::{
    caller::{PATIENCE, expect_speech, speech, words},
    server::{PASSCODE, Server, command},
};

#[test]
fn a_call_from_the_terminal_leaves_a_message_and_records_what_it_hears() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("speech.wav"), wav::from_samples(&speech().0)).unwrap();
    let target = format!("sip:1001@{}", server.udp());

    let told = succeeds(
        command().current_dir(&folder).args(["call", &target, "--say", "speech.wav", "--record", "heard.wav"]).output().unwrap(),
    );

    assert!(told.starts_with("answered, PCMU"), "{told}");
    let heard = wav::read(&std::fs::read(folder.path().join("heard.wav")).unwrap(), PATIENCE).unwrap();
    assert!(listen::find(&words(PromptId::LeaveMessage), &heard).unwrap().likeness > 0.95);
    server.wait_for_messages("1001", 1);
    expect_speech(&server.audio("1001")[0]);
    server.expect_tidiness();
}

#[test]
fn a_call_from_the_terminal_presses_keys_over_tcp() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let folder = tempfile::tempdir().unwrap();
    let (target, keys) = (format!("sip:*98@{};transport=tcp", server.tcp()), format!("1001#w{PASSCODE}#www#"));

    succeeds(
        command().current_dir(&folder).args(["call", &target, "--digits", &keys, "--record", "heard.wav"]).output().unwrap(),
    );

    let heard = wav::read(&std::fs::read(folder.path().join("heard.wav")).unwrap(), PATIENCE).unwrap();
    for prompt in [PromptId::NoMessages, PromptId::Goodbye] {
        assert!(listen::find(&words(prompt), &heard).unwrap().likeness > 0.95, "{}", prompt.name());
    }
    server.expect_tidiness();
}

#[test]
fn a_call_that_is_refused_fails_and_says_why() {
    let folder = tempfile::tempdir().unwrap();

    let no_uri = command().current_dir(&folder).args(["call", "1001"]).output().unwrap();

    assert_eq!(no_uri.status.code(), Some(1));
    assert!(texts(&no_uri).contains("\"1001\" is not a SIP URI: write sip:NUMBER@HOST"), "{}", texts(&no_uri));
}

#[test]
fn quickstart_shows_the_whole_service_at_work() {
    let folder = tempfile::tempdir().unwrap();

    let told = succeeds(command().current_dir(&folder).args(["quickstart", "--once"]).output().unwrap());

    for step in 1..=6 {
        assert!(told.contains(&format!("[{step}/6]")), "{told}");
    }
    assert!(told.trim_end().ends_with("Everything works."), "{told}");
    let folder = folder.path().join("afterbeep-quickstart");
    assert!(folder.join("afterbeep.toml").is_file() && folder.join("data").is_dir());
}

#[test]
fn a_server_that_cannot_start_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let serve = |config: &str| {
        std::fs::write(folder.path().join("afterbeep.toml"), config).unwrap();
        command().current_dir(&folder).arg("serve").output().unwrap()
    };

    let wrong = serve("[sip]\nlisten = [\"udp:127.0.0.1:0\"]\nlisten_on = 5060\n");
    let busy = serve(&format!("[sip]\nlisten = [\"udp:{taken}\"]\n"));
    let unknown = command().arg("ring").output().unwrap();

    assert_eq!((wrong.status.code(), busy.status.code(), unknown.status.code()), (Some(1), Some(1), Some(2)));
    assert!(texts(&wrong).contains("afterbeep.toml:3: sip.listen_on"), "{}", texts(&wrong));
    assert!(texts(&busy).contains("check sip.listen (addresses of this machine that are free)"), "{}", texts(&busy));
}

fn succeeds(output: Output) -> String {
    assert!(output.status.success(), "{}\n{}", output.status, texts(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn texts(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
