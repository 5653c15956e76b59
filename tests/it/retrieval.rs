//! Subscribers listen to their messages and set up their mailboxes, by a telephone of our own.

use std::time::Duration;

use afterbeep::{
    audio::{codec::Codec, law::Law},
    domain::time::Timestamp,
    ivr::PromptId,
    phone::{CallError, Phone},
};

use crate::support::{
    caller::{Caller, expect_speech, speech, through, words},
    server::{OPEN, PASSCODE, Server, TRUSTING},
};

const DAY: Duration = Duration::from_hours(24);

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_message_of_yesterday_is_heard_with_its_stamp_and_saved_for_thirty_days() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let speech = speech().0;
    let before = now();
    server.leave_message(&server.store().await, "1001", &speech, before.before(DAY)).await;

    let mut subscriber = Caller::dial(&server, "*98").await;
    subscriber.hears(PromptId::EnterMailbox).await;
    subscriber.presses("1001#").await;
    subscriber.hears(PromptId::EnterPasscode).await;
    subscriber.presses(&format!("{PASSCODE}#")).await;
    subscriber.hears(PromptId::New1).await;
    subscriber.hears(PromptId::ToHearNew).await;
    subscriber.presses("1").await;
    subscriber.hears(PromptId::YesterdayAt).await;
    subscriber.hears(PromptId::From).await;
    subscriber.hears(PromptId::Digit3End).await;
    subscriber.hears_audio("the message", &speech).await;
    subscriber.hears(PromptId::ToDelete).await;
    subscriber.presses("9").await;
    subscriber.hears(PromptId::MessageSaved).await;
    subscriber.presses("#").await;
    subscriber.hears(PromptId::NoNewBut).await;
    subscriber.hears(PromptId::AndSaved1).await;
    subscriber.presses("#").await;
    subscriber.hears(PromptId::Goodbye).await;
    subscriber.waits_for_the_end().await;

    let saved = &server.messages("1001")[0];
    let moment = |key: &str| saved[key].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(saved["list"], "saved");
    assert!(moment("deposited_at") <= before.before(DAY));
    // They are told to the second.
    assert!(moment("saved_at").after(Duration::from_secs(1)) >= before && moment("saved_at") <= now());
    assert_eq!(moment("stamp_at"), moment("saved_at"));
    assert_eq!(moment("expires_at"), moment("saved_at").after(DAY * 30));
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_deleted_message_goes_at_once_and_a_restored_one_stays() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let store = server.store().await;
    server.leave_message(&store, "1001", &words(PromptId::PasscodeLine), now()).await;
    let second = server.leave_message(&store, "1001", &speech().0, now()).await;

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::New2).await;
    subscriber.presses("1").await;
    subscriber.hears(PromptId::FirstMessage).await;
    subscriber.presses("7").await;
    subscriber.hears(PromptId::MessageDeleted).await;
    subscriber.presses("6").await;
    subscriber.hears(PromptId::LastMessage).await;
    subscriber.presses("7").await;
    subscriber.hears(PromptId::MessageDeleted).await;
    assert_eq!(server.messages("1001").len(), 0, "what is said to be deleted is");
    subscriber.presses("7").await;
    subscriber.hears(PromptId::MessageRestored).await;
    subscriber.presses("#").await;
    subscriber.hears(PromptId::New1).await;
    subscriber.presses("#").await;
    subscriber.hears(PromptId::Goodbye).await;
    subscriber.waits_for_the_end().await;

    let left = server.wait_for_messages("1001", 1);
    assert_eq!(left[0]["id"], second.as_str());
    expect_speech(&server.audio("1001")[0]);
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn keys_move_about_in_a_message() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let (speech, second) = speech();
    let first_words = &speech[..4000];
    server.leave_message(&server.store().await, "1001", &speech, now()).await;

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::New1).await;
    subscriber.presses("1").await;
    subscriber.hears_audio("the beginning", first_words).await;
    subscriber.presses("*").await;
    subscriber.hears_audio("the beginning, after going back", first_words).await;
    subscriber.presses("0").await;
    let line = subscriber.call.line();
    let paused_at = line.position();
    line.wait_for_quiet(paused_at, Duration::from_secs(1), Duration::from_secs(20)).await.expect("a pause");
    subscriber.presses("0").await;
    subscriber.presses("#").await;
    subscriber.hears_audio("what comes three seconds later", &speech[second + 4000..]).await;
    subscriber.hears(PromptId::ToDelete).await;
    subscriber.presses("3").await;
    subscriber.hears(PromptId::TodayAt).await;
    subscriber.hears(PromptId::Length).await;
    subscriber.hears(PromptId::Number6).await;
    subscriber.hears(PromptId::SecondsLong).await;
    subscriber.hangs_up().await;

    assert_eq!(server.messages("1001")[0]["list"], "saved", "it was heard to its end");
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_message_waits_while_its_listener_holds_the_call() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let (speech, second) = speech();
    server.leave_message(&server.store().await, "1001", &speech, now()).await;

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::New1).await;
    subscriber.presses("1").await;
    let began = subscriber.hears_audio("the beginning", &speech[..8000]).await;
    subscriber.call.hold().await.unwrap();
    let held_at = subscriber.call.line().position();
    let other_business = Duration::from_millis(1500);
    subscriber.call.line().wait_for_quiet(held_at, other_business, Duration::from_secs(20)).await.expect("nothing is heard");
    subscriber.call.resume().await.unwrap();
    let went_on = subscriber.hears_audio("the end", &speech[second..]).await;
    subscriber.hears(PromptId::ToDelete).await;
    subscriber.hangs_up().await;

    let waited = (went_on - began).checked_sub(second).expect("nothing was skipped");
    assert!(waited >= 12_000, "{waited} samples passed while the call was held");
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_telephone_that_has_only_tones_logs_in_and_listens() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let speech = speech().0;
    server.leave_message(&server.store().await, "1001", &speech, now()).await;
    let set_up = |phone: Phone| phone.without_telephone_event().codecs(&[Codec::Pcma]);

    let mut subscriber = Caller::dial_as(&server, "*98", set_up).await;
    subscriber.hears(PromptId::EnterMailbox).await;
    subscriber.presses(&format!("1001#{PASSCODE}#")).await;
    subscriber.hears(PromptId::New1).await;
    subscriber.presses("1").await;
    subscriber.hears_audio("the message", &through(Law::Mu, &speech)).await;
    subscriber.presses("9").await;
    subscriber.hears(PromptId::MessageSaved).await;
    subscriber.hangs_up().await;

    assert_eq!(server.messages("1001")[0]["list"], "saved");
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_star_during_the_greeting_asks_for_the_passcode() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    server.leave_message(&server.store().await, "1001", &speech().0, now()).await;

    let mut subscriber = Caller::dial(&server, "1001").await;
    subscriber.hears(PromptId::ReachedNumber).await;
    let pressed = subscriber.call.line().position();
    subscriber.presses("*").await;
    let asked = subscriber.hears(PromptId::EnterPasscode).await;
    subscriber.presses(&format!("{PASSCODE}#")).await;
    subscriber.hears(PromptId::New1).await;
    subscriber.hangs_up().await;

    assert!(asked - pressed < 16_000, "asked {} samples later", asked - pressed);
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_own_line_is_known_by_a_trusted_peer_only() {
    let trusting = Server::start(TRUSTING);
    let wary = Server::start(OPEN);
    for server in [&trusting, &wary] {
        server.add_mailbox("1001", &[]);
    }
    let own_line = |phone: Phone| phone.from("1001").header("P-Asserted-Identity", "\"Ann\" <sip:1001@pbx.example>");

    let mut believed = Caller::dial_as(&trusting, "*98", own_line).await;
    let mut only_from = Caller::dial_as(&trusting, "*98", |phone| phone.from("1001")).await;
    let stranger = Caller::try_to_dial(wary.udp(), "*98", own_line).await;

    believed.hears(PromptId::EnterPasscode).await;
    only_from.hears(PromptId::EnterMailbox).await;
    assert!(matches!(stranger, Err(CallError::Refused { status: 401, .. })));
    believed.presses(&format!("{PASSCODE}#")).await;
    believed.hears(PromptId::NoMessages).await;
    for caller in [believed, only_from] {
        caller.hangs_up().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_first_login_sets_the_mailbox_up_and_the_next_caller_hears_the_greeting() {
    let server = Server::start("");
    server.run(&["mailbox", "add", "1001", "--passcode", PASSCODE]);
    let (name, greeting) = (words(PromptId::NoSaved), words(PromptId::PasscodeLine));

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::Welcome).await;
    subscriber.hears(PromptId::NewPasscode).await;
    subscriber.presses("12345678#").await;
    subscriber.hears(PromptId::PasscodeRun).await;
    subscriber.presses("60271945#").await;
    subscriber.hears(PromptId::ConfirmPasscode).await;
    subscriber.presses("60271945#").await;
    subscriber.hears(PromptId::PasscodeChanged).await;
    for (instruction, recording, kept) in
        [(PromptId::RecordName, &name, PromptId::NameSaved), (PromptId::RecordGreeting, &greeting, PromptId::GreetingSaved)]
    {
        subscriber.hears(instruction).await;
        subscriber.hears_beep().await;
        subscriber.says(recording).await;
        subscriber.presses("#").await;
        subscriber.hears(PromptId::YouRecorded).await;
        subscriber.hears_audio("the recording", recording).await;
        subscriber.hears(PromptId::ToKeep).await;
        subscriber.presses("1").await;
        subscriber.hears(kept).await;
    }
    subscriber.hears(PromptId::MailboxReady).await;
    subscriber.hears(PromptId::NoMessages).await;
    subscriber.hangs_up().await;
    let mut old_passcode = Caller::log_in(&server, "1001").await;
    let mut new_passcode = Caller::dial(&server, "*98").await;
    new_passcode.presses("1001#60271945#").await;
    let mut caller = Caller::dial(&server, "1001").await;

    old_passcode.hears(PromptId::LoginWrong).await;
    new_passcode.hears(PromptId::NoMessages).await;
    caller.hears_audio("the greeting", &greeting).await;
    caller.hears_beep().await;
    assert!(!caller.has_heard(PromptId::LeaveMessage), "the greeting stands alone");
    for caller in [old_passcode, new_passcode, caller] {
        caller.hangs_up().await;
    }
    let mailbox = server.mailbox("1001");
    assert_eq!(
        (&mailbox["enrolled"], &mailbox["has_greeting"], &mailbox["has_spoken_name"]),
        (&true.into(), &true.into(), &true.into())
    );
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_options_change_name_and_passcode() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let name = words(PromptId::NoSaved);

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::NoMessages).await;
    subscriber.presses("02").await;
    subscriber.hears(PromptId::RecordName).await;
    subscriber.hears_beep().await;
    subscriber.says(&name).await;
    subscriber.presses("#").await;
    subscriber.hears(PromptId::YouRecorded).await;
    subscriber.presses("1").await;
    subscriber.hears(PromptId::NameSaved).await;
    subscriber.presses(&format!("3{PASSCODE}#")).await;
    subscriber.hears(PromptId::PasscodeIsOld).await;
    subscriber.presses("60271945#60271946#").await;
    subscriber.hears(PromptId::PasscodesDiffer).await;
    subscriber.presses("60271945#60271945#").await;
    subscriber.hears(PromptId::PasscodeChanged).await;
    subscriber.hangs_up().await;
    let mut old_passcode = Caller::log_in(&server, "1001").await;
    let mut caller = Caller::dial(&server, "1001").await;

    old_passcode.hears(PromptId::LoginWrong).await;
    caller.hears(PromptId::Reached).await;
    caller.hears_audio("the name", &name).await;
    caller.hears(PromptId::LeaveMessage).await;
    old_passcode.hangs_up().await;
    caller.hangs_up().await;
    server.expect_tidiness();
}

fn now() -> Timestamp {
    chrono::Utc::now().into()
}
