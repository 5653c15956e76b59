//! One message left in several mailboxes: named together by a trusted peer, or behind the number of a distribution list.

use std::{collections::BTreeSet, io::Write as _, process::Stdio};

use afterbeep::{audio::wav, domain::rules, ivr::PromptId, phone::Phone, store::sqlite_url};
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::support::{
    caller::{Caller, FIRST_PHRASE, SECOND_PHRASE, expect_speech, speech, words},
    lamp::Lamp,
    server::{CALLER, OPEN, PASSCODE, Server, TRUSTING, command, eventually},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mailboxes_that_a_trusted_peer_names_together_get_a_message_each() {
    let proxy = Lamp::new();
    let server = Server::start(&format!("[mwi]\nproxy = \"sip:{}\"\n", proxy.address()));
    for number in ["1001", "1002", "1003"] {
        server.add_mailbox(number, &["--email", &format!("m{number}@example.org"), "--voice-to-email", "on"]);
    }
    server.add_mailbox("1004", &[]);

    for target in
        [format!("sip:1001&1002&1009@{}", server.udp()), format!("sip:vm@{};target=sip:1003%261002%40pbx", server.udp())]
    {
        let phone = Phone::towards(&target).await.expect("a way to the server").from(CALLER);
        leave(phone.dial(&target).await.expect("the call is answered").into()).await;
    }

    let mut ids = BTreeSet::new();
    for (number, count) in [("1001", 1), ("1002", 2), ("1003", 1), ("1004", 0)] {
        for message in server.wait_for_messages(number, count) {
            assert_eq!((&message["caller_number"], &message["list"]), (&CALLER.into(), &"new".into()));
            assert!(message["called_number"].is_null(), "each was named by its own number");
            ids.insert(message["id"].as_str().expect("an id").to_owned());
        }
        for audio in server.audio(number) {
            expect_speech(&audio);
        }
    }
    assert_eq!(ids.len(), 4, "each has an id of its own");
    let mut lit = BTreeSet::new();
    while lit.len() < 3 {
        let told = proxy.hears();
        assert!(told.is_lit(), "{}", told.text);
        lit.insert(told.text.split('@').next().unwrap_or_default().to_owned());
    }
    assert_eq!(lit, ["1001", "1002", "1003"].map(|number| format!("NOTIFY sip:{number}")).into());
    for id in &ids {
        let mail = server.path("data/mail").join(id).with_extension("eml");
        eventually("each message is mailed", || mail.exists().then_some(()));
    }
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_record_names_the_message_that_there_is() {
    let server = Server::start("");
    for number in ["1001", "1002"] {
        server.add_mailbox(number, &[]);
    }

    let mut caller = Caller::dial(&server, "1001&1002").await;
    caller.skips_to_the_beep().await;
    caller.says(&words(FIRST_PHRASE)).await;
    server.run(&["mailbox", "remove", "1001"]);
    caller.hangs_up().await;

    let message = &server.wait_for_messages("1002", 1)[0];
    let recorded = eventually("the record of the call", || {
        let records: Vec<Value> = serde_json::from_str(&server.run(&["calls", "--json"])).expect("a JSON array");
        records.into_iter().find(|record| record["message_id"].is_string())
    });
    assert_eq!(recorded["message_id"], message["id"]);
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn each_copy_is_heard_and_deleted_by_its_subscriber_alone() {
    let server = Server::start(TRUSTING);
    server.add_mailbox("1001", &[]);
    server.add_mailbox("1002", &[]);
    leave(Caller::dial(&server, "1001&1002").await).await;
    server.wait_for_messages("1002", 1);

    for number in ["1001", "1002"] {
        let mut subscriber = Caller::log_in(&server, number).await;
        subscriber.hears(PromptId::New1).await;
        subscriber.presses("1").await;
        subscriber.hears(FIRST_PHRASE).await;
        subscriber.hears(SECOND_PHRASE).await;
        subscriber.hangs_up().await;
    }
    let files = server.audio_files();
    server.run(&["message", "delete", "1001", "--all"]);

    assert_eq!((server.messages("1001").len(), server.messages("1002").len(), server.audio_files()), (0, 1, files));
    expect_speech(&server.audio("1002")[0]);
    server.run(&["message", "delete", "1002", "--all"]);
    assert_eq!(server.audio_files(), 0);
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_lists_number_is_for_everybody_in_it_who_takes_the_call() {
    let server = Server::start(TRUSTING);
    for number in ["1001", "1002", "1003", "1004", "1005"] {
        server.add_mailbox(number, &[]);
    }
    let greeting = server.path("greeting.wav");
    std::fs::write(&greeting, wav::from_samples(&words(PromptId::GreetingSaved))).expect("a WAV is written");
    let members = ["1001", "1002", "1003", "1004", "1005"].iter().flat_map(|number| ["--member", number]);
    server.run(&["list", "add", "700", "--name", "Sales"].into_iter().chain(members).collect::<Vec<_>>());
    let mut unknown = Caller::dial(&server, "700").await;
    unknown.hears(PromptId::NoMessagesHere).await;
    unknown.hangs_up().await;
    let set = server.run(&["list", "set", "700", "--calls", "on", "--greeting", &greeting.to_string_lossy(), "--json"]);
    let set: Value = serde_json::from_str(&set).expect("a JSON object");
    assert_eq!((&set["takes_calls"], &set["greeting"], &set["member_count"]), (&true.into(), &true.into(), &5.into()));
    server.run(&["mailbox", "set", "1001", "--disable"]);
    server.run(&["mailbox", "block", "1002", CALLER]);
    fill(&server, "1003").await;

    let mut caller = Caller::dial(&server, "700").await;
    caller.hears(PromptId::GreetingSaved).await;
    caller.hears_beep().await;
    speak_and_send(caller).await;

    for (number, count) in [("1001", 0), ("1002", 0), ("1003", rules::MAILBOX_CAPACITY as usize), ("1004", 1), ("1005", 1)] {
        server.wait_for_messages(number, count);
    }
    let record = eventually("the call is recorded", || {
        let calls: Vec<Value> = serde_json::from_str(&server.run(&["calls", "--json"])).expect("an array");
        calls.into_iter().find(|call| call["called"] == "700" && !call["message_id"].is_null())
    });
    assert_eq!(server.messages("1005")[0]["called_number"], "700", "whom the caller dialled");
    let (reasoning, mailbox) = (&record["reasoning"], &record["mailbox"]);
    assert_eq!((&reasoning["list"], mailbox, &reasoning["hears"]), (&"700".into(), &"1004".into(), &"list".into()));
    let standing = json!([
        { "mailbox": "1001", "state": "disabled" },
        { "mailbox": "1002", "state": "blocks the caller" },
        { "mailbox": "1003", "state": "full" },
        { "mailbox": "1004", "state": "open" },
        { "mailbox": "1005", "state": "open" },
    ]);
    assert_eq!(reasoning["several"], standing);
    // Whoever was among others learns who called, and blocks them, as anybody.
    let mut block = Caller::dial(&server, "*60").await;
    block.presses(&format!("1005#{PASSCODE}#")).await;
    block.hears(PromptId::LastCaller).await;
    block.hears(PromptId::ToBlock).await;
    block.presses("1").await;
    block.hears(PromptId::CallerBlocked).await;
    block.waits_for_the_end().await;
    leave(Caller::dial(&server, "700").await).await;
    server.wait_for_messages("1004", 2);
    assert_eq!(server.messages("1005").len(), 1);
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn when_nobody_takes_the_call_it_is_said_why() {
    let server = Server::start(TRUSTING);
    server.add_mailbox("1001", &[]);
    server.add_mailbox("1002", &[]);
    let expect = async |prompt: PromptId| {
        let mut caller = Caller::dial(&server, "1001&1002").await;
        caller.hears(prompt).await;
        caller.waits_for_the_end().await;
    };

    server.run(&["mailbox", "block", "1001", CALLER]);
    server.run(&["mailbox", "set", "1002", "--disable"]);
    expect(PromptId::NotAccepted).await;
    server.run(&["mailbox", "set", "1001", "--disable"]);
    expect(PromptId::NoMessagesHere).await;
    server.run(&["mailbox", "set", "1002", "--enable"]);
    fill(&server, "1002").await;
    expect(PromptId::MailboxFull).await;

    assert!(server.messages("1001").is_empty());
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_stranger_cannot_name_several_and_a_key_asks_whose_mailbox_is_to_be_opened() {
    let server = Server::start(OPEN);
    server.add_mailbox("1001", &[]);
    server.add_mailbox("1002", &[]);
    server.run(&["list", "add", "700", "--member", "1002", "--member", "1001"]);
    server.run(&["list", "set", "700", "--calls", "on"]);

    let mut stranger = Caller::dial(&server, "1001&1002").await;
    stranger.hears(PromptId::NoMessagesHere).await;
    stranger.waits_for_the_end().await;
    let mut subscriber = Caller::dial(&server, "700").await;
    subscriber.hears(PromptId::ReachedNumber).await;
    subscriber.presses("*").await;
    subscriber.hears(PromptId::EnterMailbox).await;
    subscriber.presses(&format!("1002#{PASSCODE}#")).await;
    subscriber.hears(PromptId::NoMessages).await;
    subscriber.hangs_up().await;

    assert!(server.messages("1001").is_empty() && server.messages("1002").is_empty());
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_server_that_dies_while_it_is_recorded_leaves_an_interrupted_message_in_each() {
    let server = Server::start(TRUSTING);
    server.add_mailbox("1001", &[]);
    server.add_mailbox("1002", &[]);
    let speech = speech().0;

    let mut caller = Caller::dial(&server, "1001&1002").await;
    caller.skips_to_the_beep().await;
    caller.says(&speech).await;
    let written =
        || std::fs::read_dir(server.path("data/spool")).unwrap().flatten().filter_map(|it| it.metadata().ok()).map(|it| it.len());
    eventually("nearly all is written", || (written().max()? as usize + 4000 > speech.len()).then_some(()));
    let again = Server::start_in(server.kill(), "[deposit]\nclean_audio = false\n");
    let once = ["1001", "1002"].map(|number| again.wait_for_messages(number, 1)[0].clone());
    let twice = Server::start_in(again.kill(), "");

    for (number, message) in ["1001", "1002"].iter().zip(&once) {
        assert_eq!(message["interrupted"], true, "{number}");
        assert_eq!(&twice.wait_for_messages(number, 1)[0]["id"], &message["id"]);
    }
    assert_eq!(twice.audio_files(), 1, "the recording is kept once, and not cleaned here");
}

#[test]
fn an_operator_sees_whom_a_call_for_several_would_reach() {
    let server = Server::start(TRUSTING);
    for number in ["1001", "1002"] {
        server.add_mailbox(number, &[]);
    }
    server.run(&["list", "add", "700", "--member", "1002", "--member", "1001"]);
    server.run(&["list", "set", "700", "--calls", "on"]);
    server.run(&["mailbox", "set", "1001", "--disable"]);

    let named = explain(&server, "1001&1002&1009", &["--trusted"]);
    let strangers = explain(&server, "1001&1002", &["--source", "203.0.113.9"]);
    let listed = explain(&server, "700", &["--source", "203.0.113.9"]);
    let many = (1..=rules::MAILBOXES_AT_ONCE + 1).map(|n| n.to_string()).collect::<Vec<_>>().join("&");
    let many = explain(&server, &many, &["--trusted"]);

    for words in
        ["member        1001: disabled\n", "member        1002: open\n", "member        1009: none\n", "mailbox       1002, by"]
    {
        assert!(named.contains(words), "{words:?} is not in\n{named}");
    }
    assert!(strangers.contains("mailbox       none"), "{strangers}");
    for words in ["list          700\n", "member        1001: disabled\n", "member        1002: open\n"] {
        assert!(listed.contains(words), "{words:?} is not in\n{listed}");
    }
    assert!(many.contains("no mailbox; names more mailboxes than get a message at once"), "{many}");
}

/// Leaves [`speech`], and hears that it was sent.
async fn leave(mut caller: Caller) {
    caller.skips_to_the_beep().await;
    speak_and_send(caller).await;
}

async fn speak_and_send(mut caller: Caller) {
    caller.says(&speech().0).await;
    caller.presses("#").await;
    caller.hears(PromptId::ToSend).await;
    caller.presses("1").await;
    caller.hears(PromptId::MessageSent).await;
    caller.waits_for_the_end().await;
}

/// Fills a mailbox with messages without audio, behind the server's back.
async fn fill(server: &Server, number: &str) {
    let (now, count) = (chrono::Utc::now().timestamp_millis(), rules::MAILBOX_CAPACITY);
    let sql = format!(
        "INSERT INTO messages (id, mailbox_id, deposited_at, stamp_at, expires_at, duration_ms, audio, interrupted, version)
         WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count})
         SELECT m.id || n, m.id, {now}, {now}, {now} + 86400000, 3000, m.id || n, 0, 1 FROM n, mailboxes m WHERE m.number = '{number}'"
    );
    sqlx::any::install_default_drivers();
    let url = sqlite_url(&server.path("data/afterbeep.db"));
    let mut connection = sqlx::AnyConnection::connect(&url).await.expect("the server's database");
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.expect("messages are added");
    connection.close().await.expect("nothing is left to write");
}

/// What `afterbeep explain` says of a call for `user`.
fn explain(server: &Server, user: &str, options: &[&str]) -> String {
    let invite = format!(
        "INVITE sip:{user}@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: <sip:{CALLER}@192.0.2.10>;tag=1\r\nTo: <sip:{user}@192.0.2.2>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:{CALLER}@192.0.2.10>\r\nContent-Length: 0\r\n\r\n"
    );
    let mut explain = command()
        .args(["explain", "-", "--config"])
        .arg(server.path("afterbeep.toml"))
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the command starts");
    explain.stdin.take().expect("its input is piped").write_all(invite.as_bytes()).expect("it reads");
    let output = explain.wait_with_output().expect("the command ends");
    String::from_utf8(output.stdout).expect("commands print UTF-8")
}
