//! Every call leaves a record, which `afterbeep calls` shows.

use afterbeep::{
    ivr::PromptId,
    phone::{CallError, Phone},
};
use serde_json::Value;

use crate::support::{
    caller::{Caller, speech},
    raw::{RawPhone, authorization, challenges, status},
    server::{CALLER, PASSCODE, Server, eventually},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_call_is_recorded_from_its_answer_to_its_end() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let (speech, _) = speech();

    let mut caller = Caller::dial(&server, "1001").await;
    let running = eventually("the record of a running call", || find(&server, |call| call["outcome"] == "running"));
    caller.skips_to_the_beep().await;
    caller.says(&speech).await;
    caller.hangs_up().await;

    let call = eventually("the record of the call", || find(&server, |call| call["outcome"] == "ended"));
    let message = &server.wait_for_messages("1001", 1)[0];
    assert_eq!(running["id"], call["id"]);
    for (field, value) in [
        ("message_id", message["id"].clone()),
        ("caller_number", "2025550143".into()),
        ("believed", "from".into()),
        ("called", "1001".into()),
        ("mailbox", "1001".into()),
        ("purpose", "deposit".into()),
        ("codec", "PCMU".into()),
        ("source", "127.0.0.1".into()),
        ("transport", "udp".into()),
        ("reason", "the caller hung up".into()),
        ("status", Value::Null),
        ("attempts", 1.into()),
    ] {
        assert_eq!(call[field], value, "{field} of {call}");
    }
    assert!(call["duration_seconds"].as_f64().unwrap() > message["duration_seconds"].as_f64().unwrap(), "{call}");
    let csv = server.run(&["calls", "--csv", "--mailbox", "1001", "--caller", "5550143"]);
    assert_eq!(csv.lines().count(), 2, "{csv}");
    assert!(csv.contains(",2025550143,") && csv.starts_with("id,started_at,"), "{csv}");
    assert_eq!(server.run(&["calls", "--json", "--blocked"]), "[]\n");
    assert!(!server.log().contains("2025550143"), "no full number is in the log");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_call_that_comes_to_nothing_is_recorded_with_the_reason() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let phone = Phone::towards(&format!("sip:1001@{}", server.udp())).await.unwrap();

    let refused = phone.codecs(&[]).dial(&format!("sip:1001@{}", server.udp())).await;

    assert!(matches!(refused, Err(CallError::Refused { .. })));
    let call = eventually("the record of the call", || find(&server, |call| call["outcome"] == "refused"));
    assert_eq!((&call["status"], &call["mailbox"]), (&488.into(), &"1001".into()));
    assert_eq!(call["answered_at"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_forwarded_call_of_a_private_caller_is_recorded_with_the_reasoning_and_spoken_as_such() {
    let server = Server::start("dial_rules = [\"any country=1 national=1 international=011 length=10\"]\n");
    server.add_mailbox("2025550101", &[]);
    let (speech, _) = speech();
    let forwarded = |phone: Phone| {
        phone
            .header("P-Asserted-Identity", "\"Ann Lee\" <tel:+1-202-555-0143>")
            .header("Privacy", "id;critical")
            .header("Diversion", "<sip:1003@pbx.example>;reason=unconditional, <tel:+1-202-555-0101>;reason=user-busy;counter=1")
    };

    let mut caller = Caller::dial_as(&server, "voicemail", forwarded).await;
    caller.skips_to_the_beep().await;
    caller.says(&speech).await;
    caller.hangs_up().await;
    server.wait_for_messages("2025550101", 1);
    let mut subscriber = Caller::log_in(&server, "2025550101").await;
    subscriber.presses("1").await;
    subscriber.hears(PromptId::FromPrivateCaller).await;
    subscriber.hangs_up().await;

    let call = eventually("the record of the call", || find(&server, |call| call["purpose"] == "deposit"));
    assert_eq!(
        (&call["believed"], &call["caller_number"], &call["caller_name"]),
        (&"withheld".into(), &Value::Null, &Value::Null)
    );
    assert_eq!((&call["called"], &call["mailbox"]), (&"voicemail".into(), &"2025550101".into()));
    let reasoning = &call["reasoning"];
    for (field, value) in [("header", "Diversion"), ("forwarded", "busy"), ("caller_from", "Privacy"), ("state", "open")] {
        assert_eq!(reasoning[field], value, "{reasoning}");
    }
    assert_eq!(reasoning["candidates"][0]["looked_for"][0], "+12025550101", "{reasoning}");
    server.expect_tidiness();
}

#[test]
fn what_phones_ask_outside_calls_is_recorded_once_and_what_is_refused_is_counted() {
    let server = Server::start("[strangers]\noffences = 0\n[sip]\ntrusted_peers = []\n");
    server.add_mailbox("1001", &[]);
    std::fs::write(server.path("password"), LINE_PASSWORD).unwrap();
    server.run(&["line", "set", "1001", "--password-file", &server.path("password").to_string_lossy()]);
    let mut phone = RawPhone::new(server.udp(), "1001").with_password(LINE_PASSWORD);
    let contact = format!("Contact: <{}>\r\n", phone.contact());

    for _ in 0..3 {
        assert_eq!(status(&phone.registers(&contact)), 200);
    }
    assert_eq!(status(&phone.asks("REGISTER", "sip:127.0.0.1", "1002", &contact)), 403);
    assert_eq!(status(&phone.registers("Contact: *\r\nExpires: 0\r\n")), 200);
    let mut guesser = RawPhone::new(server.udp(), "1001").with_password("a guess");
    for _ in 0..2 {
        assert_eq!(status(&guesser.registers(&contact)), 401);
    }
    let mut scanner = RawPhone::new(server.udp(), "100");
    assert_eq!(status(&scanner.asks("INVITE", "sip:00442079460123@127.0.0.1", "00442079460123", "")), 401);

    let expected = |calls: &[Value]| {
        let row = |purpose: &str, outcome: &str, reason: &str| {
            let is_it = |it: &&Value| it["purpose"] == purpose && it["outcome"] == outcome && it["reason"] == reason;
            let found: Vec<&Value> = calls.iter().filter(is_it).collect();
            (found.len(), found.first().map_or(0, |it| it["attempts"].as_i64().unwrap()))
        };
        row("registration", "accepted", "registered") == (1, 1)
            && row("registration", "accepted", "unregistered") == (1, 1)
            && row("registration", "refused", "not its own address, too many contacts, or no password") == (1, 1)
            && matches!(row("registration", "blocked", "the credentials are no line's"), (1 | 2, 1..))
            && row("call", "refused", "asked for a password") == (1, 1)
    };
    let calls = eventually("every request has its row", || Some(all(&server)).filter(|calls| expected(calls)));
    let registered = calls.iter().find(|call| call["reason"] == "registered").unwrap();
    for (field, value) in [("line", "1001"), ("mailbox", "1001"), ("believed", "line"), ("source", "127.0.0.1")] {
        assert_eq!(registered[field], value, "{registered}");
    }
    let scanned = calls.iter().find(|call| call["purpose"] == "call").unwrap();
    assert_eq!((&scanned["called"], &scanned["caller_number"]), (&"00442079460123".into(), &"100".into()));
    let blocked: Value = serde_json::from_str(&server.run(&["calls", "--json", "--outcome", "blocked"])).unwrap();
    assert!(blocked.as_array().unwrap().iter().all(|call| call["outcome"] == "blocked"), "{blocked}");
    assert_eq!(server.run(&["calls", "--csv", "--outcome", "accepted", "--limit", "1"]).lines().count(), 2);
}

/// The password of a line.
const LINE_PASSWORD: &str = "a line's very own password";

/// Nothing of what is said, typed or proven may be in a log, however much is logged.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_log_has_no_numbers_names_passcodes_or_secrets_even_when_it_says_everything() {
    let server = Server::start("[log]\nlevel = \"trace\"\n");
    let (number, own, guess) = ("2025550101", "2025550102", "83046217");
    server.add_mailbox(number, &["--name", "Ann Zebrowski", "--email", "ann.zebrowski@example.com", "--voice-to-email", "on"]);
    server.add_mailbox(own, &["--alias", "+12025550102"]);
    std::fs::write(server.path("password"), LINE_PASSWORD).unwrap();
    server.run(&["line", "set", number, "--password-file", &server.path("password").to_string_lossy()]);
    let (speech, _) = speech();

    let forwarded = |phone: Phone| {
        phone
            .header("P-Asserted-Identity", "\"Quentin Caller\" <sip:+442079460123@pbx.example>")
            .header("Diversion", &format!("<sip:{number}@pbx.example>;reason=no-answer"))
            .header("History-Info", &format!("<sip:{number}@pbx.example>;index=1, <sip:vm@pbx.example>;index=1.1"))
    };
    let mut caller = Caller::dial_as(&server, "voicemail", forwarded).await;
    caller.skips_to_the_beep().await;
    caller.says(&speech).await;
    caller.hangs_up().await;
    server.wait_for_messages(number, 1);
    let mut subscriber = Caller::dial(&server, "*98").await;
    subscriber.presses(&format!("{number}#{guess}#")).await;
    subscriber.hears(PromptId::LoginWrong).await;
    subscriber.presses(&format!("{PASSCODE}#1")).await;
    subscriber.hears(PromptId::From).await;
    subscriber.hangs_up().await;
    // Nobody, a guesser, and the line itself.
    let mut phone = RawPhone::new(server.udp(), number);
    let contact = format!("Contact: <{}>\r\n", phone.contact());
    let challenge = challenges(&phone.registers(&contact)).remove(0);
    for password in ["another guess", LINE_PASSWORD] {
        let proof = authorization(&challenge, number, password, "REGISTER", "sip:127.0.0.1");
        phone.asks_once("REGISTER", "sip:127.0.0.1", number, &format!("{proof}{contact}"));
    }
    let proof = authorization(&challenge, number, LINE_PASSWORD, "REGISTER", "sip:127.0.0.1");
    let response = proof.split("response=\"").nth(1).and_then(|it| it.split('"').next()).unwrap();
    phone.asks_once("OPTIONS", &format!("sip:{own}@127.0.0.1"), own, "");
    phone.asks_once("SUBSCRIBE", &format!("sip:{number}@127.0.0.1"), number, "Event: message-summary\r\n");
    phone.send(&format!("INVITE sip:{own}@127.0.0.1 SIP/2.0\r\nFrom: broken {number}\r\n\r\n"));
    eventually("the records are written", || (all(&server).len() >= 4).then_some(()));
    server.expect_tidiness();

    let log = server.log();
    assert!(log.contains("afterbeep::call") && log.contains("sqlx::query"), "everything is logged, also by libraries");
    for secret in [
        number,
        own,
        CALLER,
        "442079460123",
        "Zebrowski",
        "zebrowski",
        "Quentin",
        PASSCODE,
        guess,
        LINE_PASSWORD,
        "another guess",
        response,
        &challenge.nonce,
        "$argon2",
    ] {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret:?} is in the log: {line:?}");
    }
}

fn all(server: &Server) -> Vec<Value> {
    serde_json::from_str(&server.run(&["calls", "--json"])).expect("an array")
}

fn find(server: &Server, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
    all(server).into_iter().find(wanted)
}
