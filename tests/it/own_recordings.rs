//! Greetings, first logins and administration by phone, over SIP.

use afterbeep::{audio::wav, ivr::PromptId, phone::Phone};

use crate::support::{
    caller::{Caller, FIRST_PHRASE, SECOND_PHRASE, words},
    server::{PASSCODE, Server, TRUSTING, command},
};

/// Nobody's number but the subscriber's.
const IDENTITY: &str = "<sip:1001@pbx.example>";
const CHOSEN: &str = "60718293";

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_recording_is_made_heard_accepted_and_told_by_mail() {
    let server = Server::start(TRUSTING);
    server.add_mailbox("1001", &["--email", "ann@example.com"]);
    let mut ann = own_line(&server).await;
    ann.presses(&format!("{PASSCODE}#")).await;
    ann.hears(PromptId::NoMessages).await;
    ann.presses("0").await;

    for (key, instruction, phrase, saved) in [
        ("1", PromptId::RecordGreeting, FIRST_PHRASE, PromptId::GreetingSaved),
        ("4", PromptId::RecordBusy, SECOND_PHRASE, PromptId::GreetingSaved),
        ("2", PromptId::RecordName, PromptId::Reached, PromptId::NameSaved),
    ] {
        ann.presses(key).await;
        ann.hears(instruction).await;
        records(&mut ann, &words(phrase)).await;
        ann.hears(phrase).await;
        ann.presses("1").await;
        ann.hears(saved).await;
    }
    ann.hangs_up().await;

    let busy = |phone: Phone| phone.header("Diversion", "<sip:1001@pbx.example>;reason=user-busy");
    let mut caller = Caller::dial_as(&server, "vm", busy).await;
    caller.hears(SECOND_PHRASE).await;
    caller.hangs_up().await;
    let mut caller = Caller::dial(&server, "1001").await;
    caller.hears(FIRST_PHRASE).await;
    caller.hangs_up().await;
    let log = log(&server, "1001");
    let changed: Vec<_> = log.iter().filter(|entry| entry["what"] == "greeting_changed").collect();
    let which: Vec<_> = changed.iter().map(|entry| entry["greeting"].as_str().unwrap()).collect();
    assert_eq!(which, ["name", "busy", "standard"]);
    assert!(changed.iter().all(|entry| entry["mailed"] == true && entry["channel"] == "own-line"), "{changed:?}");
    for subject in [
        "The greeting of your mailbox 1001 was changed",
        "The greeting for when you are busy of your mailbox 1001 was changed",
        "The spoken name of your mailbox 1001 was changed",
    ] {
        wait_for_mail(&server, subject).await;
    }
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_temporary_greeting_is_heard_first_announced_at_login_and_erased() {
    let server = Server::start(TRUSTING);
    server.add_mailbox("1001", &[]);
    let file = server.path("own.wav").to_string_lossy().into_owned();
    std::fs::write(&file, wav::from_samples(&words(SECOND_PHRASE))).unwrap();
    server.run(&["greeting", "set", "1001", &file]);
    let mut ann = own_line(&server).await;
    ann.presses(&format!("{PASSCODE}#05")).await;
    ann.hears(PromptId::RecordTemporary).await;
    records(&mut ann, &words(FIRST_PHRASE)).await;
    ann.presses("1").await;
    ann.hears(PromptId::GreetingSaved).await;
    ann.presses("4").await;
    ann.hears(PromptId::EnterDays).await;
    ann.presses("3#").await;
    ann.hears(PromptId::LastDay).await;
    ann.hangs_up().await;

    let mut caller = Caller::dial(&server, "1001").await;
    caller.hears(FIRST_PHRASE).await;
    caller.hangs_up().await;
    let mut ann = own_line(&server).await;
    ann.presses(&format!("{PASSCODE}#")).await;
    ann.hears(PromptId::TemporaryOn).await;
    ann.hears(PromptId::LastDay).await;
    ann.presses("8").await;
    ann.hears(PromptId::TemporaryOff).await;
    ann.hangs_up().await;
    let mut caller = Caller::dial(&server, "1001").await;
    caller.hears(SECOND_PHRASE).await;
    caller.hangs_up().await;
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_previous_greeting_is_brought_back_by_one_key_and_a_silent_one_is_refused() {
    let server = Server::start(TRUSTING);
    server.add_mailbox("1001", &[]);
    for phrase in [FIRST_PHRASE, SECOND_PHRASE] {
        let file = server.path("own.wav").to_string_lossy().into_owned();
        std::fs::write(&file, wav::from_samples(&words(phrase))).unwrap();
        server.run(&["greeting", "set", "1001", &file]);
    }
    let mut ann = own_line(&server).await;
    ann.presses(&format!("{PASSCODE}#061")).await;
    ann.hears(PromptId::ToHearIt).await;
    ann.presses("3").await;
    ann.hears(PromptId::BroughtBack).await;
    ann.presses("1").await;
    ann.hears(FIRST_PHRASE).await;
    ann.presses("2").await;
    ann.hears(PromptId::RecordGreeting).await;
    // The hum of a line, which no silence detector ends.
    records(&mut ann, &hum(3.0)).await;
    ann.presses("1").await;
    ann.hears(PromptId::NothingHeard).await;
    ann.hangs_up().await;

    let mut caller = Caller::dial(&server, "1001").await;
    caller.hears(FIRST_PHRASE).await;
    caller.hangs_up().await;
    server.run(&["greeting", "previous", "1001"]);
    let mut caller = Caller::dial(&server, "1001").await;
    caller.hears(SECOND_PHRASE).await;
    caller.hangs_up().await;
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_first_login_that_is_broken_off_goes_on_at_each_step() {
    let server = Server::start(TRUSTING);
    server.run(&["mailbox", "add", "1001", "--passcode", PASSCODE, "--email", "ann@example.com"]);

    // Nothing was done.
    let mut ann = own_line(&server).await;
    ann.presses(&format!("{PASSCODE}#")).await;
    ann.hears(PromptId::Welcome).await;
    ann.presses(&format!("{CHOSEN}#")).await;
    ann.hears(PromptId::ConfirmPasscode).await;
    ann.hangs_up().await;
    // The passcode was chosen.
    let mut ann = own_line(&server).await;
    ann.presses(&format!("{PASSCODE}#")).await;
    ann.hears(PromptId::Welcome).await;
    ann.presses(&format!("{CHOSEN}#{CHOSEN}#")).await;
    ann.hears(PromptId::PasscodeChanged).await;
    ann.hangs_up().await;
    // A name that was not accepted.
    let mut ann = own_line(&server).await;
    ann.presses(&format!("{CHOSEN}#")).await;
    ann.hears(PromptId::RecordName).await;
    records(&mut ann, &words(PromptId::Reached)).await;
    ann.hangs_up().await;
    // The name was accepted.
    let mut ann = own_line(&server).await;
    ann.presses(&format!("{CHOSEN}#")).await;
    ann.hears(PromptId::RecordName).await;
    records(&mut ann, &words(PromptId::Reached)).await;
    ann.presses("1").await;
    ann.hears(PromptId::NameSaved).await;
    ann.hangs_up().await;
    // The greeting is not wanted, and all is done.
    let mut ann = own_line(&server).await;
    ann.presses(&format!("{CHOSEN}#")).await;
    ann.hears(PromptId::RecordGreeting).await;
    ann.presses("*").await;
    ann.hears(PromptId::MailboxReady).await;
    ann.hangs_up().await;
    let mut ann = own_line(&server).await;
    ann.presses(&format!("{CHOSEN}#")).await;
    ann.hears(PromptId::NoMessages).await;
    ann.hangs_up().await;

    let mailbox = server.run(&["mailbox", "show", "1001", "--json"]);
    let mailbox: serde_json::Value = serde_json::from_str(&mailbox).unwrap();
    assert_eq!(
        (&mailbox["enrolled"], &mailbox["has_spoken_name"], &mailbox["has_greeting"]),
        (&true.into(), &true.into(), &false.into())
    );
    wait_for_mail(&server, "The passcode of your mailbox 1001 was changed").await;
    wait_for_mail(&server, "Your mailbox 1001 is ready").await;
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_log_tells_of_logins_and_failures_and_new_numbers_are_mailed() {
    let server = Server::start(TRUSTING);
    server.add_mailbox("1001", &["--email", "ann@example.com"]);
    let from = |number: &'static str| move |phone: Phone| phone.from(number);
    for number in ["2025550101", "2025550101"] {
        let mut ann = Caller::dial_as(&server, "*98", from(number)).await;
        ann.presses(&format!("1001#{PASSCODE}#")).await;
        ann.hears(PromptId::NoMessages).await;
        ann.hangs_up().await;
    }
    let mut guesser = Caller::dial_as(&server, "*98", from("2025550102")).await;
    guesser.presses("1001#83046217#").await;
    guesser.hears(PromptId::LoginWrong).await;
    guesser.presses("83046217#").await;
    guesser.hears(PromptId::LoginWrong).await;
    guesser.hangs_up().await;

    let mut ann = own_line(&server).await;
    ann.presses(&format!("{PASSCODE}#07")).await;
    ann.hears(PromptId::LastOpened).await;
    ann.hears(PromptId::WrongPasscodes).await;
    ann.hears(PromptId::Number2).await;
    ann.hangs_up().await;

    let log = log(&server, "1001");
    let told: Vec<_> = log
        .iter()
        .map(|it| (it["what"].as_str().unwrap(), it["channel"].as_str().unwrap(), it["repeated"].as_u64().unwrap()))
        .collect();
    // Their From says who they are, and nobody vouches for it.
    let unsure = "unsure-number";
    assert_eq!(
        told,
        [("logged_in", "own-line", 0), ("wrong_passcode", unsure, 1), ("logged_in", unsure, 0), ("logged_in", unsure, 0)]
    );
    assert_eq!((&log[1]["number"], &log[2]["number"]), (&"2025550102".into(), &"2025550101".into()));
    assert_eq!((&log[2]["mailed"], &log[3]["mailed"]), (&false.into(), &true.into()));
    wait_for_mail(&server, "Your mailbox 1001 was opened from a new phone").await;
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_administrator_resets_a_passcode_and_records_the_tenants_phrases() {
    let server = Server::start(TRUSTING);
    server.add_mailbox("1001", &["--administrator", "on"]);
    server.add_mailbox("1002", &["--email", "bob@example.com"]);
    let mut ann = own_line(&server).await;
    ann.presses(&format!("{PASSCODE}#09")).await;
    ann.hears(PromptId::ToResetPasscode).await;
    ann.presses("1").await;
    ann.hears(PromptId::EnterOtherMailbox).await;
    ann.presses("1002#").await;
    ann.hears(PromptId::MailboxIs).await;
    ann.presses("1").await;
    ann.hears(PromptId::NewPasscodeIs).await;
    ann.presses("*").await;
    ann.hears(PromptId::ToResetPasscode).await;
    ann.presses("4").await;
    ann.hears(PromptId::NoRecording).await;
    ann.presses("2").await;
    ann.hears(PromptId::RecordPhrase).await;
    records(&mut ann, &words(FIRST_PHRASE)).await;
    ann.presses("1").await;
    ann.hears(PromptId::RecordingKept).await;
    ann.hangs_up().await;

    let mut nobody = Caller::dial(&server, "1009").await;
    nobody.hears(FIRST_PHRASE).await;
    nobody.hangs_up().await;
    let file = server.path("phrase.wav").to_string_lossy().into_owned();
    std::fs::write(&file, wav::from_samples(&words(SECOND_PHRASE))).unwrap();
    for phrase in ["greeting", "welcome"] {
        server.run(&["phrase", "set", phrase, &file]);
    }
    let mut caller = Caller::dial(&server, "1002").await;
    caller.hears(SECOND_PHRASE).await;
    caller.hears_beep().await;
    caller.hangs_up().await;
    let mut bob = Caller::dial_as(&server, "*98", |phone| phone.from("2025550101")).await;
    bob.hears(SECOND_PHRASE).await;
    bob.hears(PromptId::EnterMailbox).await;
    bob.presses(&format!("1002#{PASSCODE}#")).await;
    // The old one is no more.
    bob.hears(PromptId::LoginWrong).await;
    bob.hangs_up().await;
    let phrases: serde_json::Value = serde_json::from_str(&server.run(&["phrase", "list", "--json"])).unwrap();
    assert_eq!(phrases.as_array().unwrap().len(), 3);
    wait_for_mail(&server, "The passcode of your mailbox 1002 was reset").await;
    assert_eq!(log(&server, "1002").iter().filter(|entry| entry["what"] == "passcode_reset").count(), 1);
    let done: Vec<_> = log(&server, "1001").iter().map(|entry| entry["what"].as_str().unwrap().to_owned()).collect();
    assert_eq!(done, ["phrase_changed", "reset_passcode_of", "logged_in"]);
    server.expect_tidiness();
}

#[test]
fn a_file_that_is_no_good_is_refused_and_every_common_form_is_taken() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let file = |name: &str, bytes: Vec<u8>| {
        std::fs::write(server.path(name), bytes).unwrap();
        server.path(name).to_string_lossy().into_owned()
    };
    let refused = |arguments: &[&str]| {
        let output = command().args(arguments).arg("--config").arg(server.path("afterbeep.toml")).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let speech = words(FIRST_PHRASE);

    let silent = file("silent.wav", wav::from_samples(&[0; 16_000]));
    let loud: Vec<i16> = speech.iter().map(|sample| sample.saturating_mul(20)).collect();
    let loud = file("loud.wav", wav::from_samples(&loud));
    assert!(refused(&["greeting", "set", "1001", &silent]).contains("nothing can be heard"));
    assert!(refused(&["greeting", "set", "1001", &loud]).contains("distorted"));
    let long: Vec<i16> = speech.iter().copied().cycle().take(5 * 8000 + 8).collect();
    let long = file("long.wav", wav::from_samples(&long));
    assert!(refused(&["greeting", "set", "1001", &long, "--name"]).contains("longer than 5 seconds"));
    server.run(&["greeting", "set", "1001", &long, "--temporary", "--until", "2099-12-24"]);
    assert!(refused(&["greeting", "set", "1001", &long, "--temporary", "--until", "2020-12-24"]).contains("is over"));
    assert!(refused(&["greeting", "set", "1001", &long, "--until", "2099-12-24"]).contains("--temporary"));

    let wide = file("wide.wav", wav::from_samples_at(16_000, &speech));
    server.run(&["greeting", "set", "1001", &wide, "--forwarded", "no-answer"]);
    let listed: serde_json::Value = serde_json::from_str(&server.run(&["greeting", "list", "1001", "--json"])).unwrap();
    let kinds: Vec<_> = listed.as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["no-answer", "temporary"]);
    assert_eq!(listed[1]["until"], "2099-12-25T00:00:00Z");
    server.run(&["greeting", "until", "1001"]);
    server.run(&["greeting", "remove", "1001", "--temporary"]);
    server.run(&["greeting", "previous", "1001", "--temporary"]);
}

/// Says something after the beep, and hears that it is recorded.
async fn records(caller: &mut Caller, samples: &[i16]) {
    caller.hears_beep().await;
    caller.says(samples).await;
    caller.presses("#").await;
    caller.hears(PromptId::YouRecorded).await;
}

async fn own_line(server: &Server) -> Caller {
    Caller::dial_as(server, "*98", |phone| phone.header("P-Asserted-Identity", IDENTITY)).await
}

fn log(server: &Server, number: &str) -> Vec<serde_json::Value> {
    serde_json::from_str(&server.run(&["mailbox", "log", number, "--json"])).unwrap()
}

/// Waits until a mail with this subject has been written.
async fn wait_for_mail(server: &Server, subject: &str) {
    let deadline = tokio::time::Instant::now() + crate::support::caller::PATIENCE;
    loop {
        let mails = std::fs::read_dir(server.path("data/mail")).into_iter().flatten().flatten();
        let found = mails.filter_map(|file| std::fs::read(file.path()).ok()).any(|mail| {
            let mail = mail_parser::MessageParser::new().parse(&mail).and_then(|mail| mail.subject().map(str::to_owned));
            mail.as_deref() == Some(subject)
        });
        if found {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "no mail {subject:?}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// A hum that is heard, and is no speech.
fn hum(seconds: f64) -> Vec<i16> {
    (0..(seconds * 8000.0) as usize).map(|n| ((n as f64 * 0.08).sin() * 700.0) as i16).collect()
}
