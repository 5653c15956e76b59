//! Linphone calls: it leaves a message, and hears it back.

use afterbeep::{ivr::PromptId, phone::listen};

use crate::{
    browser,
    support::{
        caller::{FIRST_PHRASE, SECOND_PHRASE, speech, words},
        impaired_network::LonelyNetwork,
        linphone::Linphone,
        server::{PASSCODE, eventually},
    },
};

/// What is left of the waveform after Opus both ways and linphone's own mixer; what was not said is less than 0.1 alike.
const TWICE_ALIKE: f64 = 0.7;

#[test]
fn linphone_leaves_a_message_and_hears_it_back() {
    let Some(network) = LonelyNetwork::new("linphone") else { return };
    let server = network.serve("127.0.0.1:5070", "trusted_peers = [\"127.0.0.1\"]\n");
    server.run(&["mailbox", "add", "1001", "--passcode", PASSCODE, "--enrolled", "on"]);
    let speech = speech().0;

    let mut caller = Linphone::start(&network);
    caller.dial("sip:1001@127.0.0.1:5070;transport=udp");
    hears(&caller, "leave-message", &words(PromptId::LeaveMessage), 0);
    std::thread::sleep(std::time::Duration::from_secs(2));
    caller.say(&speech);
    std::thread::sleep(std::time::Duration::from_secs(7));
    caller.hang_up();
    server.wait_until_idle();
    browser::expect_speech(&server.only_message("1001"));

    let mut subscriber = Linphone::start(&network);
    subscriber.dial("sip:*98@127.0.0.1:5070;transport=tcp");
    let at = hears(&subscriber, "enter-mailbox", &words(PromptId::EnterMailbox), 0);
    subscriber.press("1001#");
    let at = hears(&subscriber, "enter-passcode", &words(PromptId::EnterPasscode), at);
    subscriber.press(&format!("{PASSCODE}#"));
    let at = hears(&subscriber, "new-1", &words(PromptId::New1), at);
    subscriber.press("1");
    let at = hears(&subscriber, "the first phrase", &words(FIRST_PHRASE), at);
    hears(&subscriber, "the second phrase", &words(SECOND_PHRASE), at);
    subscriber.hang_up();
    server.wait_until_idle();
}

/// Waits until known audio was heard after `from`; says where it ended.
fn hears(phone: &Linphone, what: &str, known: &[i16], from: usize) -> usize {
    eventually(&format!("linphone hears {what}"), || {
        let heard = phone.heard();
        let found = listen::find(known, heard.get(from..)?)?;
        (found.likeness > TWICE_ALIKE).then_some(from + found.at + known.len())
    })
}
