//! Callers who are handed on: to an operator, and by a subscriber who calls back. PJSIP is the peer that does it.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use afterbeep::{audio::wav, ivr::PromptId, phone::Phone};
use serde_json::Value;

use crate::support::{
    caller::{Caller, expect_speech, speech},
    pjsip,
    raw::values,
    raw_call::RawCall,
    server::{OPEN, PASSCODE, Server, eventually},
};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Whom callers are called back at in these tests: numbers that Ofcom keeps for films.
const SENDER: &str = "+442079460123";
/// Where calls back may go, and how numbers of theirs are dialled.
const CALLING_BACK: &str = "[call_back]\nenabled = true\nallow = [\"+44\", \"+1\"]\ndeny = [\"+4413\"]\n";

#[test]
fn pjsip_is_asked_to_call_the_operator_who_answers_and_no_message_is_left() {
    let (operator, address) = pjsip::start_listening(&["--user", "operator", "answer=200", "wait=4", "hangup"]);
    let server = with_operator(&format!("sip:operator@{address}"));

    pjsip::run(&[&format!("dial=sip:1001@{}", server.udp()), "wait=1", "press=0", "transferred", "over"]);
    drop(operator);

    let record = record(&server);
    let transfer = &record["transfers"][0];
    assert_eq!((&transfer["what"], &transfer["outcome"]), (&"operator".into(), &"connected".into()), "{record}");
    assert_eq!(transfer["to"], format!("sip:operator@{address}"));
    assert_eq!(record["message_id"], Value::Null);
    assert_eq!(server.messages("1001").len(), 0);
    let table = server.run(&["calls"]);
    assert!(table.contains("operator connected"), "{table}");
    server.expect_tidiness();
}

#[test]
fn pjsip_tells_that_the_operator_is_busy_and_its_caller_leaves_a_message() {
    let (_operator, address) = pjsip::start_listening(&["--user", "operator", "answer=486", "wait=1"]);
    let server = with_operator(&format!("sip:operator@{address}"));
    let folder = tempfile::tempdir().unwrap();
    let speech_file = folder.path().join("speech.wav");
    fs::write(&speech_file, wav::from_samples(&speech().0)).unwrap();

    let (dial, say) = (format!("dial=sip:1001@{}", server.udp()), format!("say={}", speech_file.display()));
    pjsip::run(&[&dial, "wait=1", "press=0", "transferred", "wait=4", "press=#", "wait=2", &say, "wait=0.5", "hangup"]);

    server.wait_for_messages("1001", 1);
    expect_speech(&server.audio("1001")[0]);
    let record = record(&server);
    let transfer = &record["transfers"][0];
    assert_eq!((&transfer["outcome"], &transfer["status"]), (&"not connected".into(), &486.into()), "{record}");
    assert!(record["message_id"].is_string());
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_peer_that_transfers_no_calls_leaves_its_caller_with_a_beep() {
    let server = with_operator("100");

    // Our own telephone knows nothing of REFER.
    let mut caller = Caller::dial(&server, "1001").await;
    caller.presses("0").await;
    caller.hears(PromptId::Connecting).await;
    caller.hears(PromptId::OperatorUnavailable).await;
    caller.hears_beep().await;
    caller.says(&speech().0).await;
    caller.presses("#").await;
    caller.hears(PromptId::ToOperator).await;
    caller.presses("1").await;
    caller.hears(PromptId::MessageSent).await;
    caller.waits_for_the_end().await;

    expect_speech(&server.audio("1001")[0]);
    let record = record(&server);
    let transfer = &record["transfers"][0];
    assert_eq!(
        (&transfer["outcome"], &transfer["status"], &transfer["to"]),
        (&"not connected".into(), &405.into(), &"100".into())
    );
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_message_is_sent_before_the_operator_is_called() {
    let server = with_operator("100");

    let mut caller = Caller::dial(&server, "1001").await;
    caller.skips_to_the_beep().await;
    caller.says(&speech().0).await;
    caller.presses("#0").await;
    caller.hears(PromptId::ToCancelMessage).await;
    caller.presses("1").await;
    caller.hears(PromptId::MessageSent).await;
    caller.hears(PromptId::OperatorUnavailable).await;
    caller.waits_for_the_end().await;
    let mut other = Caller::dial(&server, "1001").await;
    other.skips_to_the_beep().await;
    other.says(&speech().0).await;
    other.presses("#02").await;
    other.hears(PromptId::OperatorUnavailable).await;
    other.hangs_up().await;

    server.expect_tidiness();
    assert_eq!(server.messages("1001").len(), 1, "one was sent, and one was cancelled");
}

#[test]
fn a_refer_says_whom_to_call_and_its_challenge_gets_no_credentials() {
    let server = with_operator("100");
    let call = RawCall::begin(server.udp(), HERE, HERE, "1001", "6001").expect("the call is answered");

    call.press(0, 1, 0);
    let refer = call.receives_request("REFER");
    call.answers(&refer, "401 Unauthorized", "WWW-Authenticate: Digest realm=\"x\", nonce=\"n\"\r\n");

    assert_eq!(values(&refer, "Refer-To"), ["<sip:100@pbx.example;transport=tcp>"]);
    assert!(values(&refer, "Referred-By")[0].starts_with("<sip:1001@127.0.0.1:"), "{refer}");
    assert!(values(&refer, "Authorization").is_empty());
    let more = call.receives(Duration::from_secs(2));
    assert!(more.is_none(), "{more:?}");
    call.hang_up();
    assert_eq!(record(&server)["transfers"][0]["status"], 401);
}

#[test]
fn whoever_was_handed_on_is_hung_up_when_its_side_does_not() {
    let server = with_operator("100");
    for (news, outcome) in [("SIP/2.0 200 OK", "connected"), ("SIP/2.0 100 Trying", "handed over")] {
        let call = RawCall::begin(server.udp(), HERE, HERE, "1001", "6001").expect("the call is answered");
        call.press(0, 1, 0);
        let refer = call.receives_request("REFER");
        call.answers(&refer, "202 Accepted", "");
        let more = "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\nContent-Type: message/sipfrag\r\n";
        call.sends("NOTIFY", 2, "n", more, news);

        let bye = call.receives_request("BYE");
        call.answers(&bye, "200 OK", "");
        assert_eq!(record(&server)["transfers"][0]["outcome"], outcome);
    }
    server.expect_tidiness();
    assert_eq!(server.messages("1001").len(), 0);
}

#[test]
fn no_stranger_is_ever_asked_to_call_anybody() {
    let settings = format!("{OPEN}{OPERATOR}{CALLING_BACK}").replace("TARGET", "100");
    let server = Server::start(&settings);
    server.add_mailbox("1001", &[]);
    server.run(&["mailbox", "set", "1001", "--operator", "100"]);
    let call = RawCall::begin(server.udp(), HERE, HERE, "1001", "6001").expect("the call is answered");

    call.press(0, 1, 0);
    call.press(0, 7, 8_000);
    let mut received = Vec::new();
    while let Some(text) = call.receives(Duration::from_secs(3)) {
        received.push(text);
    }
    call.hang_up();

    assert!(received.iter().all(|text| !text.starts_with("REFER ")), "{received:?}");
    assert_eq!(record(&server)["transfers"], Value::Array(vec![]));
}

#[test]
fn pjsip_is_asked_to_call_back_after_the_subscriber_has_confirmed_the_number() {
    let (_sender, address) = pjsip::start_listening(&["--user", "sender", "answer=200", "wait=4", "hangup"]);
    let server = Server::start(&format!("{CALLING_BACK}[transfer]\ndomain = \"sip:{address}\"\n"));
    server.add_mailbox("1001", &[]);
    server.run(&["mailbox", "set", "1001", "--call-back", "on"]);
    leave(&server, "1001", Some(SENDER), true);

    // The message is marked and its mark is taken away, to be at its menu without listening to all of it.
    let keys = format!("press={PASSCODE}#1");
    let dial = format!("dial=sip:*98@{}", server.udp());
    pjsip::run(&[
        &dial,
        "wait=1",
        "press=1001#",
        "wait=5",
        &keys,
        "wait=5",
        "press=77",
        "wait=1",
        "press=80",
        "wait=3",
        "press=1",
        "transferred",
        "over",
    ]);

    let transfer = &record(&server)["transfers"][0];
    assert_eq!(
        (&transfer["what"], &transfer["outcome"], &transfer["to"]),
        (&"call back".into(), &"connected".into(), &SENDER.into())
    );
    assert_eq!(server.messages("1001").len(), 1);
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_subscriber_hears_why_nobody_is_called_back_and_the_record_says_so() {
    let server = Server::start(&format!("{CALLING_BACK}mailbox_per_hour = 1\n"));
    server.add_mailbox("1001", &[]);
    server.run(&["mailbox", "set", "1001", "--call-back", "on"]);
    server.run(&["destinations", "deny", "+4420", "--mailbox", "1001"]);
    server.run(&["destinations", "allow", "+442079460", "--mailbox", "1001"]);
    for (number, verified, said, reason) in [
        (None, true, PromptId::CallBackNoNumber, "the caller withheld the number"),
        (Some(SENDER), false, PromptId::CallBackUnverified, "nobody vouches for the caller's number"),
        (Some("1002"), true, PromptId::CallBackNoNumber, "the caller's number is no telephone number outside"),
        (Some("+449098790000"), true, PromptId::CallBackNotAllowed, "the number costs more than a call"),
        (Some("+441334960123"), true, PromptId::CallBackNotAllowed, "the service's list denies the number"),
        (Some("+442071234567"), true, PromptId::CallBackNotAllowed, "the mailbox's list denies the number"),
        (Some("+18765550123"), true, PromptId::CallBackNotAllowed, "no list allows the number"),
    ] {
        leave_one(&server, number, verified).await;
        let mut subscriber = at_the_message(&server).await;
        subscriber.presses("80").await;
        subscriber.hears(said).await;
        subscriber.hangs_up().await;

        let transfer = &record(&server)["transfers"][0];
        assert_eq!((&transfer["what"], &transfer["outcome"]), (&"call back".into(), &"refused".into()), "{reason}");
        assert_eq!((&transfer["reason"], transfer["to"].as_str()), (&reason.into(), number));
    }
    // The one call that may be made in an hour; our own telephone knows nothing of REFER.
    leave_one(&server, Some(SENDER), true).await;
    let mut subscriber = at_the_message(&server).await;
    subscriber.presses("80").await;
    subscriber.hears(PromptId::ToCallNumber).await;
    subscriber.presses("1").await;
    subscriber.hears(PromptId::NotConnected).await;
    subscriber.presses("80").await;
    subscriber.hears(PromptId::CallBackTooOften).await;
    subscriber.hangs_up().await;

    let record = record(&server);
    let outcomes: Vec<_> = record["transfers"].as_array().unwrap().iter().map(|it| it["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["not connected", "refused"], "{record}");
    assert_eq!(record["transfers"][1]["reason"], "too many calls back from this mailbox in an hour");
    let csv = server.run(&["calls", "--csv"]);
    assert!(csv.contains("too many calls back from this mailbox in an hour"), "{csv}");
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn calling_back_is_off_until_it_is_switched_on_twice_and_never_for_a_line_of_ours() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    leave_one(&server, Some(SENDER), true).await;
    expect_off(at_the_message(&server).await, &server, "calling back is off").await;
    drop(server);

    let server = Server::start(CALLING_BACK);
    server.add_mailbox("1001", &[]);
    leave_one(&server, Some(SENDER), true).await;
    expect_off(at_the_message(&server).await, &server, "calling back is off for this mailbox").await;

    drop(server);

    let server = Server::start(&format!("[sip]\ntrusted_peers = []\n{CALLING_BACK}"));
    server.add_mailbox("1001", &[]);
    leave_one(&server, Some(SENDER), true).await;
    server.run(&["mailbox", "set", "1001", "--call-back", "on"]);
    server.add_line("1001", "correct-horse-battery");
    let mut line = Caller::dial_as(&server, "*98", |phone| phone.line("1001", "correct-horse-battery")).await;
    line.hears(PromptId::EnterPasscode).await;
    line.presses(&format!("{PASSCODE}#")).await;
    line.presses("177").await;
    line.hears(PromptId::MessageRestored).await;
    expect_off(line, &server, "the call does not come from a trusted peer").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn calling_back_is_offered_whichever_way_a_subscriber_has_come_in() {
    let server = Server::start(CALLING_BACK);
    for number in ["1001", "1002", "1003", "5001"] {
        server.add_mailbox(number, &[]);
        server.run(&["mailbox", "set", number, "--call-back", "on"]);
    }
    server.run(&["mailbox", "owner", "add", "5001", "1003"]);
    let store = server.store().await;
    for number in ["1001", "1002", "1003"] {
        server.leave_message_of(&store, number, Some(SENDER), true, &speech().0, afterbeep::server::now()).await;
    }

    let own_line = async {
        let own_line = |phone: Phone| phone.header("P-Asserted-Identity", "<sip:1001@pbx.example>");
        let mut subscriber = Caller::dial_as(&server, "*98", own_line).await;
        subscriber.hears(PromptId::EnterPasscode).await;
        subscriber.presses(&format!("{PASSCODE}#")).await;
        expect_offered(subscriber).await;
    };
    let greeting = async {
        let subscriber = Caller::dial(&server, "1002").await;
        subscriber.presses(&format!("*{PASSCODE}#")).await;
        expect_offered(subscriber).await;
    };
    let shared_mailbox = async {
        let mut subscriber = Caller::log_in(&server, "1003").await;
        for mailbox in ["1", "0"] {
            subscriber.presses("4").await;
            subscriber.hears(PromptId::ToCancel).await;
            subscriber.presses(mailbox).await;
            subscriber.hears(PromptId::ToOptions).await;
        }
        expect_offered(subscriber).await;
    };
    tokio::join!(own_line, greeting, shared_mailbox);

    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn whether_the_network_vouches_for_a_number_is_kept_with_the_message() {
    let server = Server::start(CALLING_BACK);
    server.add_mailbox("1001", &[]);
    server.run(&["mailbox", "set", "1001", "--call-back", "on"]);
    let asserted = format!("<sip:{SENDER}@pbx.example>");
    let failed = format!("<sip:{SENDER};verstat=TN-Validation-Failed@pbx.example;user=phone>");
    for (identity, said) in [(&failed, PromptId::CallBackUnverified), (&asserted, PromptId::CallBackNumber)] {
        let mut caller = Caller::dial_as(&server, "1001", |phone| phone.header("P-Asserted-Identity", identity)).await;
        caller.skips_to_the_beep().await;
        caller.says(&speech().0).await;
        caller.hangs_up().await;
        server.wait_for_messages("1001", 1);

        let mut subscriber = at_the_message(&server).await;
        subscriber.presses("80").await;
        subscriber.hears(said).await;
        subscriber.hangs_up().await;
        server.expect_tidiness();
        let id = server.messages("1001")[0]["id"].as_str().unwrap().to_owned();
        server.run(&["message", "delete", "1001", "--id", &id]);
    }
}

#[test]
fn destinations_are_listed_checked_and_taken_off_and_dear_ones_are_refused() {
    let server = Server::start(CALLING_BACK);
    server.add_mailbox("1001", &[]);
    server.run(&["destinations", "allow", "+33", "+1876", "--tenant", "example.com"]);
    server.run(&["destinations", "deny", "+447", "--mailbox", "1001"]);
    let check = |number: &str, whose: &[&str]| -> Value {
        let words = [&["destinations", "check", number, "--json"], whose].concat();
        serde_json::from_str(&server.run(&words)).expect("JSON")
    };

    let listed: Value = serde_json::from_str(&server.run(&["destinations", "list", "--json"])).expect("a JSON array");
    let rows: Vec<_> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {} {}", row["scope"].as_str().unwrap(), row["prefix"].as_str().unwrap(), row["allowed"]))
        .collect();
    assert_eq!(
        rows,
        [
            "service +1 true",
            "service +44 true",
            "service +4413 false",
            "tenant +1876 true",
            "tenant +33 true",
            "mailbox +447 false"
        ]
    );
    assert_eq!(check("+33142685300", &["--tenant", "example.com"])["allowed"], true);
    assert_eq!(check("+33142685300", &[])["allowed"], false);
    assert_eq!(check("+447911123456", &["--mailbox", "1001"])["why"], "the list of the mailbox decides");
    assert_eq!(check("+33899123456", &["--tenant", "example.com"])["allowed"], false);
    server.run(&["destinations", "remove", "+447", "--mailbox", "1001"]);
    assert_eq!(check("+447911123456", &["--mailbox", "1001"])["allowed"], true);
    assert!(server.fails(&["destinations", "remove", "+447", "--mailbox", "1001"]).contains("not on the list"));
    assert!(server.fails(&["destinations", "allow", "+449", "--mailbox", "1001"]).contains("cost more than a call"));
    assert!(server.fails(&["destinations", "allow", "+44"]).contains("--mailbox"));
    assert!(server.fails(&["mailbox", "set", "1001", "--operator", "100"]).contains("operator.targets"));
    server.run(&["mailbox", "remove", "1001"]);
    assert!(!server.run(&["destinations", "list"]).contains("mailbox"));
}

/// An operator, and where numbers are dialled.
const OPERATOR: &str = "[operator]\ntargets = [\"TARGET\"]\n[transfer]\ndomain = \"sip:pbx.example;transport=tcp\"\n";

/// A server with mailbox 1001, whose callers reach this operator.
fn with_operator(target: &str) -> Server {
    let server = Server::start(&OPERATOR.replace("TARGET", target));
    server.add_mailbox("1001", &[]);
    server.run(&["mailbox", "set", "1001", "--operator", target]);
    assert_eq!(server.mailbox("1001")["operator"], target);
    server
}

/// The record of the latest call, once it is over.
fn record(server: &Server) -> Value {
    eventually("the record is written", || {
        let records: Vec<Value> = serde_json::from_str(&server.run(&["calls", "--json"])).expect("a JSON array");
        records.into_iter().find(|record| record["answered_at"].is_string()).filter(|record| record["outcome"] != "running")
    })
}

/// Leaves a message without a call.
fn leave(server: &Server, mailbox: &str, number: Option<&str>, verified: bool) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = server.store().await;
        server.leave_message_of(&store, mailbox, number, verified, &speech().0, afterbeep::server::now()).await;
    });
}

/// Leaves the only message of mailbox 1001 without a call.
async fn leave_one(server: &Server, number: Option<&str>, verified: bool) {
    for message in server.messages("1001") {
        server.run(&["message", "delete", "1001", "--id", message["id"].as_str().expect("an id")]);
    }
    let store = server.store().await;
    server.leave_message_of(&store, "1001", number, verified, &speech().0, afterbeep::server::now()).await;
}

/// A subscriber at the menu of the first message: it was marked, and its mark taken away, to be there without listening to all of it.
async fn at_the_message(server: &Server) -> Caller {
    let mut subscriber = Caller::log_in(server, "1001").await;
    subscriber.presses("177").await;
    subscriber.hears(PromptId::MessageRestored).await;
    subscriber
}

/// A subscriber who is in is told of the key that calls back, at the menu of the first message.
async fn expect_offered(mut subscriber: Caller) {
    subscriber.presses("177").await;
    subscriber.hears(PromptId::MessageRestored).await;
    subscriber.presses("*").await;
    subscriber.hears(PromptId::ToCallBack).await;
    subscriber.hangs_up().await;
}

/// The subscriber hears that nobody can be called back from here, and the record says why.
async fn expect_off(mut subscriber: Caller, server: &Server, reason: &str) {
    subscriber.presses("80").await;
    subscriber.hears(PromptId::CallBackOff).await;
    subscriber.hangs_up().await;
    let transfer = &record(server)["transfers"][0];
    assert_eq!(transfer["outcome"], "refused");
    assert!(transfer["reason"].as_str().is_some_and(|it| it.contains(reason)), "{transfer}");
}
