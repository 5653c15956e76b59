//! Every call leaves a record, which `afterbeep calls` shows.

use afterbeep::phone::{CallError, Phone};
use serde_json::Value;

use crate::support::{
    caller::{Caller, speech},
    server::{Server, eventually},
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

fn find(server: &Server, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
    let calls: Vec<Value> = serde_json::from_str(&server.run(&["calls", "--json"])).expect("an array");
    calls.into_iter().find(wanted)
}
