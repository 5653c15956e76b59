//! Browsers: as printers of key cards, and as telephones: JsSIP over a secure WebSocket, with audio that is encrypted after a DTLS handshake on a path that ICE found.

use afterbeep::{
    audio::resample::resample,
    domain::{keys::KeyProfile, language::Grammar},
    ivr::PromptId,
    manual::{Card, Service},
    phone::listen,
};
use serde_json::json;

use crate::support::{
    caller::{FIRST_PHRASE, SECOND_PHRASE, TOLERANCE, speech, words},
    chromium::{Chromium, Page},
    server::{PASSCODE, Server},
    tls::server,
};

/// What is left of the waveform after Opus and a browser.
pub const ALIKE: f64 = 0.85;

#[tokio::test]
async fn every_key_card_prints_on_one_sheet() {
    const A4: (f64, f64) = (8.27, 11.69);
    const LETTER: (f64, f64) = (8.5, 11.0);
    let mut browser = Chromium::empty().await;

    for language in Grammar::ALL {
        for profile in KeyProfile::ALL {
            let page = Card::new(profile, language, &Service::default()).html();
            for paper in [A4, LETTER] {
                assert_eq!(browser.sheets(&page, paper).await, 1, "{profile} {language:?} on {paper:?}");
            }
        }
    }
    assert!(browser.sheets(&"<p>long</p>".repeat(100), A4).await > 1, "sheets are not counted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_leaves_a_message_and_another_hears_it() {
    let page = Page::serve().await;
    let (server, _authority) = server(&format!("trusted_peers = []\nwebsocket_origins = [\"{}\"]\n", page.origin()));
    let [ann, ben] = ["1001", "1002"].map(|number| line(&server, number));
    let speech = speech().0;

    let mut caller = Chromium::register(&page, &server, "1001", &ann).await;
    let answer = caller.dial("1002").await;
    for line in ["a=ice-lite\r\n", "a=rtcp-mux\r\n", "a=setup:passive\r\n", "a=fingerprint:sha-256 ", "a=group:BUNDLE "] {
        assert!(answer.contains(line), "{line} in {answer}");
    }
    caller.hears("leave-message", &words(PromptId::LeaveMessage), 0).await;
    let security = caller.security().await;
    assert_eq!((&security["dtls"], &security["codec"]), (&"connected".into(), &"audio/opus".into()), "{security}");
    // The rest of the prompt and the beep come first, and what is on its way through the browser when it hangs up is lost.
    caller.says(&[&[0; 32_000], &speech[..], &[0; 8000]].concat()).await;
    caller.hangs_up().await;
    // Speech of the same voice that was not spoken.
    assert!(caller.share_heard(&words(SECOND_PHRASE)) < 0.2);
    server.wait_for_messages("1002", 1);
    let kept = resample(&server.audio_at("1002", 16_000)[0], 16_000, 8000);
    expect_speech(&kept);

    let mut subscriber = Chromium::register(&page, &server, "1002", &ben).await;
    subscriber.dial("*98").await;
    let at = subscriber.hears("enter-passcode", &words(PromptId::EnterPasscode), 0).await;
    subscriber.presses(&format!("{PASSCODE}#1")).await;
    let at = subscriber.hears("the first phrase", &words(FIRST_PHRASE), at).await;
    let at = subscriber.hears("the second phrase", &words(SECOND_PHRASE), at).await;
    subscriber.presses("9").await;
    subscriber.hears("message-saved", &words(PromptId::MessageSaved), at).await;
    subscriber.presses("##").await;

    assert_eq!(subscriber.waits_for_the_end().await, "Terminated by remote");
    assert_eq!(server.messages("1002")[0]["list"], "saved");
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_that_holds_its_call_and_finds_another_way_goes_on_speaking() {
    let page = Page::serve().await;
    let (server, _authority) = server("trusted_peers = []\n");
    let password = line(&server, "1001");
    server.add_mailbox("1002", &[]);

    let mut caller = Chromium::register(&page, &server, "1001", &password).await;
    caller.dial("1002").await;
    caller.hears("leave-message", &words(PromptId::LeaveMessage), 0).await;
    caller.reoffers("hold", &json!({})).await;
    caller.reoffers("unhold", &json!({})).await;
    caller.reoffers("renegotiate", &json!({ "rtcOfferConstraints": { "iceRestart": true } })).await;
    caller.says(&[&[0; 32_000], &speech().0[..], &[0; 8000]].concat()).await;
    let security = caller.security().await;
    caller.hangs_up().await;

    assert_eq!(security["dtls"], "connected", "{security}");
    server.wait_for_messages("1002", 1);
    expect_speech(&resample(&server.audio_at("1002", 16_000)[0], 16_000, 8000));
    server.expect_tidiness();
}

/// A mailbox whose telephone may register; gives its password.
fn line(server: &Server, number: &str) -> String {
    server.add_mailbox(number, &[]);
    let set: serde_json::Value = serde_json::from_str(&server.run(&["line", "set", number, "--json"])).expect("JSON");
    set["password"].as_str().unwrap_or_else(|| panic!("a password in {set}")).to_owned()
}

/// Both phrases are there, as far from each other as they were said.
pub fn expect_speech(message: &[i16]) {
    let find = |prompt| listen::find(&words(prompt), message).expect("a message longer than the phrase");
    let (first, second) = (find(FIRST_PHRASE), find(SECOND_PHRASE));
    assert!(first.likeness > ALIKE && second.likeness > ALIKE, "{first:?} {second:?} in {} samples", message.len());
    let (distance, said) = (second.at.saturating_sub(first.at), speech().1);
    assert!(distance.abs_diff(said) <= TOLERANCE, "the phrases are {distance} samples apart, and were {said}");
}
