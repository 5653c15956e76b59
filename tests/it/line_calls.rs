//! Calls of phones that are put directly on the server: by our own telephone, from the terminal, by baresip and SIPp.

use afterbeep::{
    domain::time::Timestamp,
    ivr::PromptId,
    phone::{CallError, Phone},
};
use serde_json::Value;

use crate::support::{
    baresip::{Account, Baresip, Line},
    caller::{Caller, expect_speech, speech, words},
    server::{OPEN, PASSCODE, Server, command, eventually},
    sipp::Call,
};

const SECRET: &str = "correct-horse-battery";

/// The settings under which everybody is a stranger.
const WARY: &str = "[sip]\ntrusted_peers = []\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_line_listens_to_its_mailbox_without_naming_it_and_leaves_messages_in_its_own_name() {
    let server = Server::start(WARY);
    let line = line(&server);
    server.add_mailbox("1002", &[]);

    let mut subscriber = Caller::dial_as(&server, "*98", line).await;
    subscriber.hears(PromptId::EnterPasscode).await;
    assert!(!subscriber.has_heard(PromptId::EnterMailbox));
    subscriber.presses(&format!("{PASSCODE}#")).await;
    subscriber.hears(PromptId::NoMessages).await;
    subscriber.hangs_up().await;
    let pretender = |phone: Phone| line(phone).header("P-Asserted-Identity", "<sip:1002@127.0.0.1>");
    let mut caller = Caller::dial_as(&server, "1002", pretender).await;
    caller.skips_to_the_beep().await;
    caller.says(&speech().0).await;
    caller.hangs_up().await;

    let message = &server.wait_for_messages("1002", 1)[0];
    assert_eq!((&message["caller_number"], &message["caller_name"]), (&"1001".into(), &"Ann Lee".into()));
    expect_speech(&server.audio("1002")[0]);
    let believed: Vec<Value> = calls(&server, 2).into_iter().map(|call| call["believed"].clone()).collect();
    assert_eq!(believed, ["line", "line"]);
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_line_reaches_mailboxes_and_nothing_else_and_a_stranger_not_even_them() {
    let server = Server::start(WARY);
    let line = line(&server);
    let refused = |result: Result<Caller, CallError>| match result {
        Err(CallError::Refused { status, .. }) => status,
        _ => 0,
    };

    let mut nowhere = Caller::dial_as(&server, "00442079460000", line).await;
    nowhere.hears(PromptId::NoMessagesHere).await;
    nowhere.hears(PromptId::Goodbye).await;
    nowhere.waits_for_the_end().await;
    let wrong = |phone: Phone| phone.line("1001", "incorrect-horse-battery");
    assert_eq!(refused(Caller::try_to_dial(server.udp(), "1001", wrong).await), 401);
    assert_eq!(refused(Caller::try_to_dial(server.udp(), "1001", |phone| phone.line("1999", SECRET)).await), 401);
    assert_eq!(refused(Caller::try_to_dial(server.udp(), "1001", |phone| phone).await), 401);
    assert_eq!(refused(Caller::try_to_dial(server.udp(), "*98", |phone| phone).await), 401);

    let refusals: Vec<Value> = calls(&server, 2).into_iter().filter(|call| call["status"] == 401).collect();
    assert_eq!(refusals.iter().filter_map(|call| call["attempts"].as_u64()).sum::<u64>(), 2);
    assert!(refusals.iter().all(|call| call["reason"] == "the credentials are no line's"), "{refusals:?}");
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn where_anybody_may_leave_messages_nobody_may_do_more() {
    let server = Server::start(OPEN);
    let line = line(&server);

    let mut stranger = Caller::dial(&server, "1001").await;
    stranger.skips_to_the_beep().await;
    stranger.says(&speech().0).await;
    stranger.hangs_up().await;
    let listener = Caller::try_to_dial(server.udp(), "*98", |phone| phone).await;
    assert!(matches!(listener, Err(CallError::Refused { status: 401, .. })));
    let mut subscriber = Caller::dial_as(&server, "*98", line).await;
    subscriber.hears(PromptId::EnterPasscode).await;
    subscriber.hangs_up().await;

    server.wait_for_messages("1001", 1);
    server.expect_tidiness();
}

#[test]
fn the_terminal_registers_calls_and_takes_the_registration_back() {
    let server = Server::start(WARY);
    line(&server);
    let target = format!("sip:*98@{};transport=tcp", server.tcp());

    let arguments =
        ["call", &target, "--user", "1001", "--password-file", "-", "--register", "--digits", &format!("{PASSCODE}#ww#")];
    let mut call = command();
    let mut call = call.args(arguments).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut call.stdin.take().unwrap(), format!("{SECRET}\n").as_bytes()).unwrap();
    let output = call.wait_with_output().unwrap();

    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && told.starts_with("registered for 600 s\nanswered, "), "{told}");
    let shown: Value = serde_json::from_str(&server.run(&["line", "show", "1001", "--json"])).unwrap();
    assert_eq!(shown["registrations"], serde_json::json!([]));
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn baresip_registers_and_listens() {
    for transport in ["udp", "tcp"] {
        let server = Server::start(WARY);
        line(&server);
        let message = speech().0;
        server.leave_message(&server.store().await, "1001", &message, Timestamp::from(chrono::Utc::now())).await;
        let address = if transport == "udp" { server.udp() } else { server.tcp() };
        let account = Account { transport, codec: "PCMU", says: &[0; 8000 * 120] };
        let mut phone = Baresip::start_registered(&account, &Line { number: "1001", password: SECRET, server: address });
        let shown: Value = serde_json::from_str(&server.run(&["line", "show", "1001", "--json"])).unwrap();
        assert_eq!(shown["registrations"][0]["transport"], transport);

        phone.dial("*98", address);
        let at = phone.hears("enter-passcode", &words(PromptId::EnterPasscode), 0);
        phone.press_all(&format!("{PASSCODE}#"));
        let at = phone.hears("new-1", &words(PromptId::New1), at);
        phone.press_all("1");
        phone.hears("the message", &message, at);
        phone.hang_up();

        server.expect_tidiness();
    }
}

#[test]
fn sipp_registers_with_a_digest() {
    let server = Server::start(WARY);
    line(&server);
    let register = |cseq: u32, authorization: &str| {
        format!(
            "<send retrans=\"500\"><![CDATA[\nREGISTER sip:[remote_ip]:[remote_port] SIP/2.0\n\
             Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n\
             From: <sip:1001@[remote_ip]>;tag=[pid]SIPp[call_number]\nTo: <sip:1001@[remote_ip]>\nCall-ID: [call_id]\n\
             CSeq: {cseq} REGISTER\nMax-Forwards: 70\nContact: <sip:1001@[local_ip]:[local_port]>\nExpires: 120\n\
             User-Agent: SIPp\n{authorization}Content-Length: 0\n\n]]></send>\n"
        )
    };
    let credentials = format!("[authentication username=1001 password={SECRET}]\n");
    let scenario = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<scenario name=\"register\">\n{}<recv response=\"401\" auth=\"true\"/>\n{}\
         <recv response=\"200\"/>\n</scenario>\n",
        register(1, ""),
        register(2, &credentials)
    );

    Call::default().play(&scenario, server.udp(), 1);

    let shown: Value = serde_json::from_str(&server.run(&["line", "show", "1001", "--json"])).unwrap();
    assert_eq!((shown["registrations"][0]["user_agent"].as_str(), shown["state"].as_str()), (Some("SIPp"), None));
    server.expect_tidiness();
}

/// Gives mailbox 1001 a line, and says how a telephone becomes it.
fn line(server: &Server) -> fn(Phone) -> Phone {
    server.add_mailbox("1001", &["--name", "Ann Lee"]);
    let file = server.path("password");
    std::fs::write(&file, SECRET).expect("the password is written");
    server.run(&["line", "set", "1001", "--password-file", &file.to_string_lossy()]);
    |phone| phone.line("1001", SECRET)
}

/// The records of all calls, once there are so many that are over.
fn calls(server: &Server, count: usize) -> Vec<Value> {
    eventually("every call is recorded", || {
        let mut calls: Vec<Value> = serde_json::from_str(&server.run(&["calls", "--json"])).expect("a JSON array");
        // Every phone is asked for its password once, which says nothing about what becomes of the call.
        calls.retain(|call| call["reason"] != "asked for a password");
        let is_over = |call: &Value| call["outcome"] != "running";
        (calls.len() == count && calls.iter().all(is_over)).then_some(calls)
    })
}
