//! baresip calls: keys by RFC 4733, what it hears, hold, TCP, A-law.

use std::time::Duration;

use afterbeep::{domain::time::Timestamp, ivr::PromptId};
use serde_json::Value;

use crate::support::{
    baresip::{Account, Baresip},
    caller::{expect_speech, speech, words},
    server::{PASSCODE, Server, eventually},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_subscriber_listens_with_keys_by_telephone_event() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let message = speech().0;
    server.leave_message(&server.store().await, "1001", &message, now()).await;
    let mut phone = Baresip::start(&Account { transport: "udp", codec: "PCMU", says: &[0; 8000 * 120] });

    phone.dial("*98", server.udp());
    let at = phone.hears("enter-mailbox", &words(PromptId::EnterMailbox), 0);
    phone.press_all("1001#");
    let at = phone.hears("enter-passcode", &words(PromptId::EnterPasscode), at);
    phone.press_all(&format!("{PASSCODE}#"));
    let at = phone.hears("new-1", &words(PromptId::New1), at);
    phone.press_all("1");
    let at = phone.hears("today-at", &words(PromptId::TodayAt), at);
    let at = phone.hears("the message", &message, at);
    phone.press_all("9");
    phone.hears("message-saved", &words(PromptId::MessageSaved), at);
    phone.press_all("##");
    phone.wait_for_event("CALL_CLOSED");

    assert_eq!(server.messages("1001")[0]["list"], "saved");
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_message_waits_while_its_listener_holds_the_call() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let message = speech().0;
    server.leave_message(&server.store().await, "1001", &message, now()).await;
    let mut phone = Baresip::start(&Account { transport: "udp", codec: "PCMU", says: &[0; 8000 * 120] });

    phone.dial("1001", server.udp());
    phone.press_all("*");
    let at = phone.hears("enter-passcode", &words(PromptId::EnterPasscode), 0);
    phone.press_all(&format!("{PASSCODE}#1"));
    phone.hears("the beginning", &message[..8000], at);
    phone.hold();
    // Longer than what is left of the message.
    phone.hears_nothing(Duration::from_secs(6));
    let on_hold = server.messages("1001").remove(0);
    phone.resume();
    let heard = eventually("the message is heard to its end", || {
        let message = server.messages("1001").remove(0);
        (message["list"] == "saved").then_some(message)
    });
    phone.hang_up();

    assert_eq!(on_hold["heard_at"], Value::Null);
    assert_eq!(heard["saved_at"], Value::Null);
    server.expect_tidiness();
}

#[test]
fn a_message_is_left_over_tcp_in_a_law() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let speech = speech().0;
    // baresip speaks from the answer on: the greeting and the beep take 11 s.
    let says = [vec![0; 8000 * 14], speech.clone(), vec![0; 8000 * 60]].concat();
    let mut phone = Baresip::start(&Account { transport: "tcp", codec: "PCMA", says: &says });

    phone.dial("1001", server.tcp());
    phone.hears("leave-message", &words(PromptId::LeaveMessage), 0);
    eventually("the message is spoken", || (phone.said().len() > 8000 * 15 + speech.len()).then_some(()));
    phone.hang_up();

    server.wait_for_messages("1001", 1);
    expect_speech(&server.audio("1001")[0]);
    server.expect_tidiness();
}

fn now() -> Timestamp {
    chrono::Utc::now().into()
}
