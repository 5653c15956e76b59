//! Greetings for callers who were forwarded for one reason.

use afterbeep::{audio::wav, ivr::PromptId, phone::Phone};

use crate::support::{
    caller::{Caller, FIRST_PHRASE, SECOND_PHRASE, words},
    server::{Server, command},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_caller_hears_the_greeting_for_the_reason_of_the_forward() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let file = |name: &str, prompt| {
        std::fs::write(server.path(name), wav::from_samples(&words(prompt))).unwrap();
        server.path(name).to_string_lossy().into_owned()
    };
    let (busy, own) = (file("busy.wav", FIRST_PHRASE), file("own.wav", SECOND_PHRASE));
    server.run(&["greeting", "set", "1001", &busy, "--forwarded", "busy"]);
    let forwarded = |reason: &str| {
        let diversion = format!("<sip:1001@pbx.example>;reason={reason}");
        move |phone: Phone| phone.header("Diversion", &diversion)
    };

    let mut when_busy = Caller::dial_as(&server, "vm", forwarded("user-busy")).await;
    when_busy.hears(FIRST_PHRASE).await;
    when_busy.hears_beep().await;
    when_busy.hangs_up().await;
    let mut unanswered = Caller::dial_as(&server, "vm", forwarded("no-answer")).await;
    unanswered.hears(PromptId::ReachedNumber).await;
    unanswered.hangs_up().await;
    server.run(&["greeting", "set", "1001", &own]);
    let mut unanswered = Caller::dial_as(&server, "vm", forwarded("no-answer")).await;
    unanswered.hears(SECOND_PHRASE).await;
    unanswered.hangs_up().await;
    let listed = server.run(&["greeting", "list", "1001", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let kinds: Vec<_> = listed.as_array().unwrap().iter().map(|it| (it["kind"].clone(), it["forwarded"].clone())).collect();
    assert_eq!(kinds, [("standard".into(), serde_json::Value::Null), ("busy".into(), "busy".into())]);
    server.run(&["greeting", "remove", "1001", "--forwarded", "busy"]);
    let mut when_busy = Caller::dial_as(&server, "vm", forwarded("user-busy")).await;
    when_busy.hears(SECOND_PHRASE).await;
    when_busy.hangs_up().await;

    server.run(&["greeting", "set", "1001", &busy, "--forwarded", "unavailable"]);
    server.run(&["mailbox", "remove", "1001"]);
    server.expect_tidiness();
}

#[test]
fn what_is_no_greeting_is_refused_in_words() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    std::fs::write(server.path("long.wav"), wav::from_samples(&[1; 16 * 8000])).unwrap();
    std::fs::write(server.path("none.wav"), "no audio").unwrap();
    let refused = |arguments: &[&str]| {
        let output = command().args(arguments).arg("--config").arg(server.path("afterbeep.toml")).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };

    for name in ["long.wav", "none.wav", "missing.wav"] {
        let file = server.path(name).to_string_lossy().into_owned();
        let said = refused(&["greeting", "set", "1001", &file]);
        assert!(said.contains(name), "{said}");
    }
    let said = refused(&["greeting", "remove", "1001", "--forwarded", "busy"]);
    assert!(said.contains("no greeting for busy"), "{said}");
    let said = refused(&["greeting", "set", "1001", "x.wav", "--forwarded", "lazy"]);
    assert!(said.contains("busy, no-answer, unavailable"), "{said}");
}
