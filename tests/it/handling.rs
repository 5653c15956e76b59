//! What subscribers do with messages beside listening: their order, the envelope, kept as new, mailed, deleted with their caller
//! blocked.

use std::time::Duration;

use afterbeep::{
    audio::wav,
    domain::{message::Marks, time::Timestamp},
    ivr::PromptId,
    phone::listen,
};
use serde_json::Value;

use crate::support::{
    caller::{Caller, FIRST_PHRASE, words},
    lamp::Lamp,
    server::{CALLER, Server, TRUSTING, eventually},
    smtp::SmtpServer,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn urgent_messages_are_heard_first_and_the_others_from_the_end_that_was_chosen() {
    let server = Server::start("");
    let store = server.store().await;
    let (oldest, middle, urgent) =
        (words(PromptId::CannotRestore), words(PromptId::NoMailAddress), words(PromptId::PasscodeLine));
    for (number, options) in [("1001", &[][..]), ("1002", &["--new-first", "newest"])] {
        server.add_mailbox(number, options);
        let minutes_ago = |minutes| now().before(Duration::from_mins(minutes));
        server.leave_message(&store, number, &oldest, minutes_ago(3)).await;
        server.leave_message(&store, number, &middle, minutes_ago(2)).await;
        let marks = Marks { urgent: true, private: false };
        server.leave_marked_message(&store, number, marks, &urgent, minutes_ago(1)).await;
    }

    for (number, [second, third]) in [("1001", [&oldest, &middle]), ("1002", [&middle, &oldest])] {
        let mut subscriber = Caller::log_in(&server, number).await;
        subscriber.hears(PromptId::OneIsUrgent).await;
        subscriber.presses("1").await;
        subscriber.hears(PromptId::FirstMessage).await;
        subscriber.hears(PromptId::UrgentMessage).await;
        let first_at = subscriber.hears_audio("the urgent message", &urgent).await;
        subscriber.presses("6").await;
        subscriber.hears_audio("the second message", second).await;
        subscriber.presses("6").await;
        let third_at = subscriber.hears_audio("the third message", third).await;
        // Of the three, only the first was called urgent.
        let heard = subscriber.call.line().heard()[first_at..third_at].to_vec();
        let again = listen::find(&words(PromptId::UrgentMessage), &heard);
        subscriber.hangs_up().await;

        assert!(again.is_some_and(|again| again.likeness < 0.8), "{again:?} in mailbox {number}");
    }
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_envelope_says_which_number_was_called_if_it_is_another() {
    let server = Server::start("");
    server.add_mailbox("1001", &["--alias", "7350"]);
    for number in ["7350", "1001"] {
        let mut caller = Caller::dial(&server, number).await;
        caller.skips_to_the_beep().await;
        caller.says(&words(PromptId::PasscodeLine)).await;
        caller.presses("#").await;
        caller.hears(PromptId::ToSend).await;
        caller.presses("1").await;
        caller.hears(PromptId::MessageSent).await;
        caller.waits_for_the_end().await;
    }

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::New2).await;
    subscriber.presses("1").await;
    subscriber.hears(PromptId::FirstMessage).await;
    subscriber.hears(PromptId::From).await;
    subscriber.presses("3").await;
    subscriber.hears(PromptId::ToNumber).await;
    for digit in [PromptId::Digit7, PromptId::Digit3, PromptId::Digit5, PromptId::Digit0End] {
        subscriber.hears(digit).await;
    }
    subscriber.hears(PromptId::Length).await;
    subscriber.presses("6").await;
    let second = subscriber.hears(PromptId::LastMessage).await;
    subscriber.hears(PromptId::From).await;
    subscriber.presses("3").await;
    let length = subscriber.hears(PromptId::Length).await;
    let heard = subscriber.call.line().heard()[second..length].to_vec();
    subscriber.hangs_up().await;

    let called = listen::find(&words(PromptId::ToNumber), &heard);
    assert!(called.is_some_and(|called| called.likeness < 0.8), "{called:?}");
    let listed: Vec<Value> = server.messages("1001").into_iter().map(|message| message["called_number"].clone()).collect();
    assert_eq!(listed, [Value::from("7350"), Value::Null]);
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_caller_is_named_in_the_own_voice_only_if_somebody_vouches_for_the_number() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    server.add_mailbox("1002", &[]);
    let name = server.path("name.wav");
    std::fs::write(&name, wav::from_samples(&words(FIRST_PHRASE))).unwrap();
    server.run(&["greeting", "set", "1002", &name.to_string_lossy(), "--name"]);
    let (store, message) = (server.store().await, words(PromptId::PasscodeLine));
    for (is_vouched_for, minutes) in [(true, 2), (false, 1)] {
        let at = now().before(Duration::from_mins(minutes));
        server.leave_message_of(&store, "1001", Some("1002"), is_vouched_for, &message, at).await;
    }

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::New2).await;
    subscriber.presses("1").await;
    subscriber.hears(PromptId::FirstMessage).await;
    subscriber.hears(PromptId::FromName).await;
    subscriber.hears_audio("the caller's name", &words(FIRST_PHRASE)).await;
    subscriber.presses("6").await;
    subscriber.hears(PromptId::LastMessage).await;
    subscriber.hears(PromptId::From).await;
    subscriber.hears(PromptId::Digit2End).await;
    subscriber.hangs_up().await;

    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_kept_as_new_lights_the_lamp_again() {
    let proxy = Lamp::new();
    let server = Server::start(&format!("[mwi]\nproxy = \"sip:{}\"\n", proxy.address()));
    server.add_mailbox("1001", &[]);
    let message = words(PromptId::PasscodeLine);
    server.leave_message(&server.store().await, "1001", &message, now()).await;
    proxy.hears_counts("1/0");

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::New1).await;
    subscriber.presses("1").await;
    subscriber.hears_audio("the message", &message).await;
    subscriber.hears(PromptId::ToDelete).await;
    assert!(!proxy.hears_counts("0/1").is_lit());
    subscriber.presses("89").await;
    subscriber.hears(PromptId::KeptAsNew).await;
    assert!(proxy.hears_counts("1/0").is_lit());
    subscriber.presses("#").await;
    subscriber.hears(PromptId::New1).await;
    subscriber.hangs_up().await;

    let kept = &server.messages("1001")[0];
    assert_eq!((&kept["list"], &kept["heard_at"]), (&Value::from("new"), &Value::Null));
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_mailed_once_when_the_subscriber_asks_for_it() {
    let relay = SmtpServer::start().await;
    let server = Server::start(&format!("[mail]\nrelay = \"{}\"\n", relay.url()));
    server.add_mailbox("1001", &["--email", "ann@example.com"]);
    server.add_mailbox("1002", &[]);
    let store = server.store().await;
    let message = words(PromptId::PasscodeLine);
    server.leave_message(&store, "1001", &message, now()).await;
    server.leave_message(&store, "1002", &message, now()).await;
    let before = server.messages("1001")[0]["expires_at"].clone();

    for (number, answer) in [("1001", PromptId::MailIsSent), ("1002", PromptId::NoMailAddress)] {
        let mut subscriber = Caller::log_in(&server, number).await;
        subscriber.hears(PromptId::New1).await;
        subscriber.presses("1").await;
        subscriber.hears_audio("the message", &message).await;
        subscriber.hears(PromptId::ToDelete).await;
        subscriber.presses("83").await;
        subscriber.hears(answer).await;
        subscriber.hangs_up().await;
    }

    let is_voice = |content: &[u8]| String::from_utf8_lossy(content).contains("audio/");
    let mails = relay.received_until(|mails| mails.iter().any(|mail| is_voice(&mail.content))).await;
    eventually("nothing waits to be sent", || (server.run(&["outbox", "list", "--json"]).trim() == "[]").then_some(()));
    let voice: Vec<_> = relay.received().into_iter().filter(|mail| is_voice(&mail.content)).collect();
    assert_eq!(voice.len(), 1, "{} mails came", mails.len());
    assert!(voice[0].accepted && voice[0].to.contains("ann@example.com"), "{}", voice[0].to);
    let mailed = &server.messages("1001")[0];
    assert_eq!((&mailed["mailed_at"], &mailed["expires_at"]), (&Value::Null, &before));
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_message_is_deleted_and_its_caller_heard_no_more() {
    let server = Server::start(TRUSTING);
    server.add_mailbox("1001", &[]);
    server.leave_message(&server.store().await, "1001", &words(PromptId::PasscodeLine), now()).await;

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::New1).await;
    subscriber.presses("1").await;
    subscriber.hears(PromptId::From).await;
    subscriber.hears(PromptId::ToDelete).await;
    subscriber.presses("87").await;
    subscriber.hears(PromptId::CallerBlocked).await;
    subscriber.hears(PromptId::MessageDeleted).await;
    subscriber.hangs_up().await;
    let mut caller = Caller::dial(&server, "1001").await;
    caller.hears(PromptId::NotAccepted).await;
    caller.waits_for_the_end().await;

    assert!(server.messages("1001").is_empty());
    assert!(server.run(&["mailbox", "blocked", "1001"]).contains(CALLER));
    assert!(server.run(&["message", "list", "1001", "--deleted", "--json"]).contains("deleted_at"));
    server.expect_tidiness();
}

fn now() -> Timestamp {
    chrono::Utc::now().into()
}
