//! Kamailio in front: calls go to nodes in turn, past a node that is gone, and come over TLS and WebSockets.

use std::time::Duration;

use afterbeep::{
    audio::{law::Law, resample::resample, wav},
    ivr::PromptId,
};

use crate::{
    browser,
    support::{
        caller::{FIRST_PHRASE, SECOND_PHRASE, expect_speech, speech, words},
        chromium::{Chromium, Page},
        kamailio::Kamailio,
        pjsip,
        server::{CALLER, PASSCODE, Server, TRUSTING},
        sipp::{Call, Step},
    },
};

#[test]
fn calls_go_to_nodes_in_turn_and_past_one_that_is_gone() {
    let nodes = [Server::start(TRUSTING), Server::start(TRUSTING)];
    for node in &nodes {
        node.add_mailbox("1001", &[]);
    }
    let proxy = Kamailio::start(&[nodes[0].udp(), nodes[1].udp()]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("speech.ul");
    std::fs::write(&file, Law::Mu.encoded(&speech().0)).unwrap();
    let steps =
        [Step::Info('#'), Step::Wait(Duration::from_secs(2)), Step::Speak(&file), Step::Wait(Duration::from_millis(7500))];

    Call::default().run(proxy.udp(), &steps, 4);
    for node in &nodes {
        node.wait_for_messages("1001", 2);
        for message in node.audio("1001") {
            expect_speech(&message);
        }
        node.expect_tidiness();
    }

    let [gone, left] = nodes;
    drop(gone.kill());
    Call::default().run(proxy.udp(), &steps, 2);

    left.wait_for_messages("1001", 4);
    left.expect_tidiness();
}

#[test]
fn a_call_over_tls_is_passed_on_to_a_node() {
    let node = Server::start(TRUSTING);
    node.add_mailbox("1001", &[]);
    let proxy = Kamailio::start(&[node.udp()]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("speech.wav");
    std::fs::write(&file, wav::from_samples(&speech().0)).unwrap();

    let dial = format!("dial=sip:1001@{};transport=tls", proxy.tls());
    let say = format!("say={}", file.display());
    pjsip::run(&["--transport", "tls", "--srtp", &dial, "wait=1", "press=#", "wait=2", &say, "wait=0.5", "hangup"]);

    node.wait_for_messages("1001", 1);
    expect_speech(&node.audio("1001")[0]);
    node.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_leaves_and_hears_a_message_through_the_proxy() {
    let page = Page::serve().await;
    let node = Server::start(TRUSTING);
    node.add_mailbox("1001", &[]);
    let proxy = Kamailio::start(&[node.udp()]);

    let mut caller = Chromium::connect(&page, proxy.tls().port(), CALLER).await;
    caller.dial("1001").await;
    caller.hears("leave-message", &words(PromptId::LeaveMessage), 0).await;
    caller.says(&[&[0; 32_000], &speech().0[..], &[0; 8000]].concat()).await;
    caller.hangs_up().await;
    assert_eq!(node.wait_for_messages("1001", 1)[0]["caller_number"], CALLER);
    browser::expect_speech(&resample(&node.audio_at("1001", 16_000)[0], 16_000, 8000));

    let mut subscriber = Chromium::connect(&page, proxy.tls().port(), CALLER).await;
    subscriber.dial("*98").await;
    let at = subscriber.hears("enter-mailbox", &words(PromptId::EnterMailbox), 0).await;
    subscriber.presses("1001#").await;
    let at = subscriber.hears("enter-passcode", &words(PromptId::EnterPasscode), at).await;
    subscriber.presses(&format!("{PASSCODE}#1")).await;
    let at = subscriber.hears("the first phrase", &words(FIRST_PHRASE), at).await;
    subscriber.hears("the second phrase", &words(SECOND_PHRASE), at).await;
    subscriber.presses("##").await;

    assert_eq!(subscriber.waits_for_the_end().await, "Terminated by remote");
    node.expect_tidiness();
}
