//! Kamailio in front: calls go to nodes in turn, past a node that is gone, and come over TLS.

use std::time::Duration;

use afterbeep::audio::{law::Law, wav};

use crate::support::{
    caller::{expect_speech, speech},
    kamailio::Kamailio,
    pjsip,
    server::{Server, TRUSTING},
    sipp::{Call, Step},
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
