//! Encrypted calls: what is offered, answered, refused, and heard.

use afterbeep::{
    ivr::PromptId,
    phone::{CallError, Phone},
    rtp::Security,
};

use crate::support::{
    baresip::{Account, Baresip},
    caller::{Caller, expect_speech, speech, words},
    server::{PASSCODE, Server, eventually},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_message_is_left_and_heard_over_encrypted_calls() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let (speech, _) = speech();

    let mut caller = Caller::dial_as(&server, "1001", Phone::encrypted).await;
    assert_ne!(caller.call.negotiated().security, Security::None);
    caller.hears(PromptId::LeaveMessage).await;
    caller.hears_beep().await;
    // Nothing but the hold changes in a re-INVITE, and the keys go on.
    caller.call.hold().await.unwrap();
    caller.call.resume().await.unwrap();
    caller.says(&speech).await;
    caller.hangs_up().await;
    server.wait_for_messages("1001", 1);
    expect_speech(&server.audio("1001")[0]);

    let mut subscriber = Caller::dial_as(&server, "*98", Phone::encrypted).await;
    subscriber.presses(&format!("1001#{PASSCODE}#1")).await;
    subscriber.hears_audio("the message", &speech).await;
    subscriber.hangs_up().await;

    assert!(!server.log().contains("inline:"), "keys are in the log");
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn where_encryption_is_required_calls_without_are_refused() {
    let server = Server::start("[rtp]\nsrtp = \"required\"\n");
    server.add_mailbox("1001", &[]);
    let target = format!("sip:1001@{}", server.udp());

    let plain = Caller::try_to_dial(server.udp(), "1001", |phone| phone).await;
    let encrypted = Caller::dial_as(&server, "1001", Phone::encrypted).await;
    let late = Phone::towards(&target).await.unwrap().dial_without_offer(&target).await.unwrap();

    assert!(matches!(plain, Err(CallError::Refused { status: 488, .. })));
    assert_ne!(encrypted.call.negotiated().security, Security::None);
    assert_ne!(late.negotiated().security, Security::None);
    let mut late = Caller::from(late);
    late.skips_to_the_beep().await;
    late.hangs_up().await;
    encrypted.hangs_up().await;
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn where_encryption_is_off_calls_that_insist_on_it_are_refused() {
    let server = Server::start("[rtp]\nsrtp = \"off\"\n");
    server.add_mailbox("1001", &[]);

    let encrypted = Caller::try_to_dial(server.udp(), "1001", Phone::encrypted).await;
    let plain = Caller::dial(&server, "1001").await;

    assert!(matches!(encrypted, Err(CallError::Refused { status: 488, .. })));
    assert_eq!(plain.call.negotiated().security, Security::None);
    plain.hangs_up().await;
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn baresip_leaves_and_hears_a_message_with_keys_in_the_offer() {
    leaves_and_hears_a_message("srtp-mand").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn baresip_leaves_and_hears_a_message_after_a_handshake() {
    leaves_and_hears_a_message("dtls_srtp").await;
}

/// A message is left, and another is listened to, in one encrypted call each.
async fn leaves_and_hears_a_message(method: &str) {
    let server = Server::start("[rtp]\nsrtp = \"required\"\n");
    server.add_mailbox("1001", &[]);
    let speech = speech().0;
    // baresip speaks from the answer on: the greeting and the beep take 11 s.
    let says = [vec![0; 8000 * 14], speech.clone(), vec![0; 8000 * 60]].concat();
    let mut phone = Baresip::start_encrypted(&Account { transport: "udp", codec: "PCMU", says: &says }, method);
    phone.dial("1001", server.udp());
    phone.hears("leave-message", &words(PromptId::LeaveMessage), 0);
    eventually("the message is spoken", || (phone.said().len() > 8000 * 15 + speech.len()).then_some(()));
    phone.hang_up();
    server.wait_for_messages("1001", 1);
    expect_speech(&server.audio("1001")[0]);

    let mut phone = Baresip::start_encrypted(&Account { transport: "udp", codec: "PCMU", says: &[0; 8000 * 60] }, method);
    phone.dial("1001", server.udp());
    phone.press_all("*");
    let at = phone.hears("enter-passcode", &words(PromptId::EnterPasscode), 0);
    phone.press_all(&format!("{PASSCODE}#1"));
    phone.hears("the message", &speech, at);
    phone.hang_up();

    assert!(!server.log().contains("inline:"), "keys are in the log");
    server.expect_tidiness();
}
