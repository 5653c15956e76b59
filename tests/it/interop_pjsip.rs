//! PJSIP calls: it leaves a message, and hears it back; it is a line of the server's, with a lamp.

use std::{fs, path::Path, time::Duration};

use afterbeep::{audio::wav, ivr::PromptId};

use crate::support::{
    caller::{FIRST_PHRASE, SECOND_PHRASE, expect_speech, pieces_heard, speech, words},
    pjsip,
    server::{PASSCODE, Server},
    tls,
};

#[test]
fn pjsip_leaves_a_message_and_hears_it_back() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let folder = tempfile::tempdir().unwrap();
    let (speech_file, heard_file) = (folder.path().join("speech.wav"), folder.path().join("heard.wav"));
    fs::write(&speech_file, wav::from_samples(&speech().0)).unwrap();

    let mailbox = format!("dial=sip:1001@{}", server.udp());
    let say = format!("say={}", speech_file.display());
    pjsip::run(&[&mailbox, "wait=1", "press=#", "wait=2", &say, "wait=0.5", "hangup"]);

    server.wait_for_messages("1001", 1);
    expect_speech(&server.audio("1001")[0]);

    let access = format!("dial=sip:*98@{};transport=tcp", server.tcp());
    let record = format!("record={}", heard_file.display());
    let passcode = format!("press={PASSCODE}#1");
    pjsip::run(&["--transport", "tcp", &access, &record, "wait=1", "press=1001#", "wait=5", &passcode, "wait=22", "hangup"]);

    expect_heard(&heard_file);
    server.expect_tidiness();
}

/// The password of every line here.
const SECRET: &str = "correct-horse-battery";

#[test]
fn pjsip_is_a_line_over_tls_with_a_lamp_and_encrypted_calls() {
    let (server, _authority) = tls::server("trusted_peers = []\n[rtp]\nsrtp = \"required\"\n");
    let folder = tempfile::tempdir().unwrap();
    let [password, speech_file, heard_file] = ["password", "speech.wav", "heard.wav"].map(|name| folder.path().join(name));
    fs::write(&password, SECRET).unwrap();
    fs::write(&speech_file, wav::from_samples(&speech().0)).unwrap();
    for number in ["1001", "1002"] {
        server.add_mailbox(number, &[]);
        server.run(&["line", "set", number, "--password-file", &password.to_string_lossy()]);
    }
    let address = format!("{};transport=tls", server.address("tls"));
    let registrar = format!("sip:{address}");
    let password = password.to_string_lossy();
    let line = |user, steps: &[&str]| {
        let options =
            ["--transport", "tls", "--srtp", "--user", user, "--password-file", &password, "--registrar", &registrar, "register"];
        pjsip::start(&[&options, steps].concat())
    };

    let lamp = line("1001", &["mwi=Voice-Message: 0/0", "mwi=Voice-Message: 1/0", "mwi=Voice-Message: 0/1", "unregister"]);
    let (mailbox, access) = (format!("dial=sip:1001@{address}"), format!("dial=sip:*98@{address}"));
    let say = format!("say={}", speech_file.display());
    pjsip::expect_done(line("1002", &[&mailbox, "wait=1", "press=#", "wait=2", &say, "wait=0.5", "hangup", "unregister"]));
    let message = &server.wait_for_messages("1001", 1)[0];
    assert_eq!(message["caller_number"], "1002");
    expect_speech(&server.audio("1001")[0]);
    let record = format!("record={}", heard_file.display());
    let listen = format!("press={PASSCODE}#1");
    pjsip::expect_done(line("1001", &[&access, &record, "wait=5", &listen, "wait=22", "press=9", "wait=2", "hangup"]));
    pjsip::expect_done(lamp);

    expect_heard(&heard_file);
    server.expect_tidiness();
}

/// How many of the pieces of what is said PJSIP must have played: on a busy machine it repeats 20 ms now and then, which costs one.
const SHARE: f64 = 0.7;

/// Finds the question for the passcode and then the two phrases of the message in what a subscriber heard.
fn expect_heard(file: &Path) {
    let heard = wav::read(&fs::read(file).unwrap(), Duration::from_mins(5)).unwrap();
    let mut from = 0;
    for prompt in [PromptId::EnterPasscode, FIRST_PHRASE, SECOND_PHRASE] {
        let (share, end) = pieces_heard(&words(prompt), &heard[from..]);
        assert!(share >= SHARE, "{share:.2} of {prompt:?} is heard after {from} of {}", heard.len());
        from += end;
    }
}
