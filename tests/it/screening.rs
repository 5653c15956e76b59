//! Who is let in: access lists that act at once, callers whom a mailbox refuses, and callers who call too often.

use afterbeep::{
    ivr::PromptId,
    phone::{CallError, Phone},
};
use serde_json::Value;

use crate::support::{
    caller::Caller,
    raw::{RawPhone, challenges, status},
    server::{CALLER, OPEN, PASSCODE, Server, TRUSTING, eventually},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_access_list_acts_at_once_on_a_running_server() {
    let server = Server::start(OPEN);
    server.add_mailbox("1001", &[]);
    server.add_mailbox("1002", &[]);

    server.run(&["access", "set", "call", "192.0.2.0/24"]);
    let refused = eventually("calls from elsewhere are refused", || refusal(&server, "1001"));
    let unknown = refusal(&server, "4711");
    server.run(&["access", "set", "call", "--mailbox", "1002", "127.0.0.0-127.0.0.9, ::1"]);
    eventually("the mailbox's own list decides", || refusal(&server, "1002").is_none().then_some(()));
    let still_refused = refusal(&server, "1001");
    server.run(&["access", "set", "call", "127.0.0.1"]);
    eventually("the caller is on the list now", || refusal(&server, "1001").is_none().then_some(()));
    server.run(&["access", "set", "call", "--mailbox", "1002", "--yes"]);
    eventually("the fourth change is seen", || {
        (server.log().matches("the access lists have changed").count() == 4).then_some(())
    });
    let mut away = Caller::dial(&server, "1002").await;
    away.hears(PromptId::NoMessagesHere).await;
    away.waits_for_the_end().await;

    assert_eq!((refused, unknown, still_refused), (403, Some(403), Some(403)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn blocked_and_anonymous_callers_hear_why_and_leave_nothing() {
    let server = Server::start(TRUSTING);
    server.add_mailbox("1001", &[]);
    server.run(&["mailbox", "block", "1001", CALLER, "--anonymous", "on"]);

    let mut blocked = Caller::dial(&server, "1001").await;
    blocked.hears(PromptId::NotAccepted).await;
    blocked.waits_for_the_end().await;
    let mut anonymous = Caller::dial_as(&server, "1001", |phone: Phone| phone.header("Privacy", "id")).await;
    anonymous.hears(PromptId::NotAnonymous).await;
    anonymous.waits_for_the_end().await;
    server.run(&["mailbox", "unblock", "1001", CALLER]);
    let mut welcome = Caller::dial(&server, "1001").await;
    welcome.hears(PromptId::LeaveMessage).await;
    welcome.hangs_up().await;

    let listed: serde_json::Value = serde_json::from_str(&server.run(&["mailbox", "blocked", "1001", "--json"])).unwrap();
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    assert!(server.messages("1001").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_caller_who_calls_too_often_hears_to_call_later() {
    let server = Server::start(&format!("[deposit]\ncalls_per_minute = 2\n{TRUSTING}"));
    server.add_mailbox("1001", &[]);
    server.add_mailbox("1002", &[]);

    for _ in 0..2 {
        let mut caller = Caller::dial(&server, "1001").await;
        caller.hears(PromptId::LeaveMessage).await;
        caller.hangs_up().await;
    }
    let mut again = Caller::dial(&server, "1001").await;
    again.hears(PromptId::CannotRecord).await;
    again.waits_for_the_end().await;
    let mut elsewhere = Caller::dial(&server, "1002").await;

    elsewhere.hears(PromptId::LeaveMessage).await;
    elsewhere.hangs_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn subscribers_decide_about_callers_by_phone() {
    let server = Server::start(TRUSTING);
    server.add_mailbox("1001", &[]);
    let mut unwanted = Caller::dial(&server, "1001").await;
    unwanted.hears(PromptId::LeaveMessage).await;
    unwanted.hangs_up().await;
    eventually("the call is recorded", || (calls(&server).len() == 1).then_some(()));

    let mut block = Caller::dial(&server, "*60").await;
    block.presses(&format!("1001#{PASSCODE}#")).await;
    block.hears(PromptId::LastCaller).await;
    block.hears(PromptId::ToBlock).await;
    block.presses("1").await;
    block.hears(PromptId::CallerBlocked).await;
    block.waits_for_the_end().await;
    // From the own line, which the peer vouches for, the mailbox is not asked.
    let own_line = |phone: Phone| phone.header("P-Asserted-Identity", "<sip:1001@127.0.0.1>");
    let mut switch = Caller::dial_as(&server, "*77", own_line).await;
    switch.presses(&format!("{PASSCODE}#")).await;
    switch.hears(PromptId::AnonymousRefused).await;
    switch.waits_for_the_end().await;
    let mut blocked = Caller::dial(&server, "1001").await;
    blocked.hears(PromptId::NotAccepted).await;
    blocked.waits_for_the_end().await;
    let mut anonymous = Caller::dial_as(&server, "1001", |phone: Phone| phone.header("Privacy", "id")).await;
    anonymous.hears(PromptId::NotAnonymous).await;
    anonymous.waits_for_the_end().await;

    let reasons = eventually("both are recorded as blocked", || {
        let all = calls(&server);
        let blocked = all.iter().filter(|call| call["outcome"] == "blocked").map(|call| call["reason"].clone());
        Some(blocked.collect::<Vec<_>>()).filter(|reasons| reasons.len() == 2)
    });
    assert_eq!(reasons, ["the subscriber refuses callers who show no number", "the subscriber blocks this caller"]);
    let mut again = Caller::dial_as(&server, "*77", own_line).await;
    again.presses(&format!("{PASSCODE}#")).await;
    again.hears(PromptId::AnonymousAccepted).await;
    again.waits_for_the_end().await;
    assert!(server.messages("1001").is_empty());
    server.expect_tidiness();
}

#[test]
fn a_list_is_not_changed_when_that_would_lock_a_phone_out_and_if_it_is_the_phone_is_dropped_at_once() {
    let server = Server::start(WARY);
    server.add_mailbox("1001", &["--email", "zoe@example.org"]);
    let mut phone = line(&server, "1001");
    let contact = format!("Contact: <{}>\r\n", phone.contact());
    assert_eq!(status(&phone.registers(&contact)), 200);

    let elsewhere = ["access", "set", "register", "192.0.2.0/24"];
    let refused = server.fails(&elsewhere);
    assert!(refused.contains("a phone of mailbox 1001 that is registered now"), "{refused}");
    assert!(server.fails(&["access", "set", "register", "127.0.0.1", "--from", "192.0.2.7"]).contains("192.0.2.7"));
    assert_eq!(registrations(&server, "1001"), 1);
    server.run(&[&elsewhere[..], &["--yes"]].concat());
    eventually("the registration is dropped", || (registrations(&server, "1001") == 0).then_some(()));
    let stolen = phone.registers(&contact);
    let wrong = RawPhone::new(server.udp(), "1001").with_password("not the password").registers(&contact);

    let shape = |answer: &str| (status(answer), challenges(answer).iter().map(|it| (it.algorithm, it.stale)).collect::<Vec<_>>());
    assert_eq!(shape(&stolen), shape(&wrong), "nobody learns that the password is right");
    eventually("the attempts are recorded", || {
        let all = calls(&server);
        let has = |reason: &str| all.iter().any(|call| call["reason"] == reason && call["purpose"] == "registration");
        (has("right password, but not on the access list") && has("the credentials are no line's")).then_some(())
    });
    eventually("the subscriber is told", || {
        let mails = mails(&server);
        mails.iter().any(|mail| mail.contains("Subject: A blocked address knows the password of your mailbox 1001")).then_some(())
    });
    let log = access_log(&server);
    assert!(log.contains(&("right_password_from_blocked_address".to_owned(), "127.0.0.1".to_owned())), "{log:?}");
    server.run(&["access", "remove", "register"]);
    eventually("the phone may register again", || (status(&phone.registers(&contact)) == 200).then_some(()));
    assert!(!server.log().contains("zoe@example.org"));
}

#[test]
fn a_password_that_is_used_from_a_new_place_or_by_a_new_phone_is_told_as_the_subscriber_wishes() {
    let server = Server::start(WARY);
    server.add_mailbox("1001", &["--email", "zoe@example.org"]);
    let mut phone = line(&server, "1001");
    let at = |address: &str, agent: &str| {
        let mut phone = RawPhone::at(address.parse().expect("an address"), server.udp(), "1001").with_password(SECRET);
        phone.agent = format!("{agent}, {}", "a telephone of some make ".repeat(4));
        assert_eq!(status(&phone.registers(&format!("Contact: <{}>\r\n", phone.contact()))), 200);
    };
    let notices = |count: usize| {
        eventually("the uses are noted", || Some(access_log(&server)).filter(|log| log.len() == count));
    };

    phone.registers("");
    notices(1);
    phone.registers("");
    at("127.0.0.2", "Kitchen");
    notices(2);
    at("127.0.0.2", "Kitchen");
    at("127.0.0.3", "Kitchen");
    notices(3);
    assert_eq!(server.run(&["mailbox", "alerts", "1001", "new-agent"]), "new-agent\n");
    at("127.0.0.4", "Kitchen");
    at("127.0.0.4", "Hall");
    notices(4);
    server.run(&["mailbox", "alerts", "1001", "none"]);
    at("127.0.0.5", "Cellar");
    server.run(&["mailbox", "alerts", "1001", "new-address-or-agent"]);
    at("127.0.0.5", "Attic");
    notices(5);

    let told: Vec<_> = access_log(&server).into_iter().rev().collect();
    let expected = [
        ("new_address_and_agent", "127.0.0.1"),
        ("new_address_and_agent", "127.0.0.2"),
        ("new_address", "127.0.0.3"),
        ("new_agent", "127.0.0.4"),
        ("new_agent", "127.0.0.5"),
    ];
    assert_eq!(told, expected.map(|(what, address)| (what.to_owned(), address.to_owned())));
    eventually("four mails an hour, the last of which says so", || {
        let alerts = mails(&server).into_iter().filter(|mail| mail.contains("was used in a new way"));
        let alerts: Vec<_> = alerts.collect();
        (alerts.len() == 4 && alerts.iter().filter(|mail| mail.contains("Further such uses")).count() == 1).then_some(())
    });
}

#[test]
fn without_an_address_an_alert_is_in_the_log_only() {
    let server = Server::start(WARY);
    server.add_mailbox("1001", &[]);
    let mut phone = line(&server, "1001");

    assert_eq!(status(&phone.registers("")), 200);

    eventually("the use is noted", || (access_log(&server).len() == 1).then_some(()));
    assert!(mails(&server).is_empty());
    assert_eq!(server.run(&["outbox", "list", "--json"]).trim(), "[]");
}

const SECRET: &str = "a line's own password";

/// The settings under which everybody is a stranger, and nobody is kept out for trying too often.
const WARY: &str = "[strangers]\noffences = 0\n[sip]\ntrusted_peers = []\n";

/// The phone of a mailbox that is there.
fn line(server: &Server, number: &str) -> RawPhone {
    let file = server.path("password");
    std::fs::write(&file, format!("{SECRET}\n")).expect("the password is written");
    server.run(&["line", "set", number, "--password-file", &file.to_string_lossy()]);
    RawPhone::new(server.udp(), number).with_password(SECRET)
}

fn registrations(server: &Server, number: &str) -> usize {
    let shown: Value = serde_json::from_str(&server.run(&["line", "show", number, "--json"])).expect("a JSON object");
    shown["registrations"].as_array().expect("a list").len()
}

fn calls(server: &Server) -> Vec<Value> {
    serde_json::from_str(&server.run(&["calls", "--json"])).expect("an array")
}

/// What was noticed and from where, latest first.
fn access_log(server: &Server) -> Vec<(String, String)> {
    let rows: Vec<Value> = serde_json::from_str(&server.run(&["access", "log", "--json"])).expect("an array");
    let text = |row: &Value, field: &str| row[field].as_str().expect("text").to_owned();
    rows.iter().map(|row| (text(row, "notice"), text(row, "address"))).collect()
}

/// The mails that were written, as there is no relay, with their lines unfolded.
fn mails(server: &Server) -> Vec<String> {
    let files = std::fs::read_dir(server.path("data/mail")).into_iter().flatten().flatten();
    files.map(|file| std::fs::read_to_string(file.path()).expect("a mail").replace("\r\n", " ").replace("  ", " ")).collect()
}

/// The status that a call is refused with; none if it is answered.
fn refusal(server: &Server, number: &str) -> Option<u16> {
    match block_on(Caller::try_to_dial(server.udp(), number, |phone| phone)) {
        Err(CallError::Refused { status, .. }) => Some(status),
        Err(other) => panic!("{other}"),
        Ok(caller) => {
            block_on(caller.hangs_up());
            None
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(future))
}
