//! Callers leave messages, by a telephone of our own: what is heard, what is kept, and what is not.

use std::time::Duration;

use afterbeep::{
    audio::{codec::Codec, law::Law, loudness::speech_level, tone},
    ivr::PromptId,
    phone::{CallError, Phone, listen},
    sdp::Negotiated,
};

use crate::support::{
    caller::{Caller, FIRST_PHRASE, SECOND_PHRASE, TOLERANCE, expect_speech, speech, through, words},
    server::{OPEN, Server, TRUSTING, eventually},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_message_is_kept_to_the_byte_as_it_was_spoken() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let (speech, _) = speech();

    let mut caller = Caller::dial(&server, "1001").await;
    caller.hears(PromptId::ReachedNumber).await;
    caller.hears(PromptId::LeaveMessage).await;
    caller.hears_beep().await;
    caller.says(&speech).await;
    caller.hangs_up().await;

    let message = &server.wait_for_messages("1001", 1)[0];
    let audio = &server.audio("1001")[0];
    let at = place_of(audio, &through(Law::Mu, &speech));
    assert!(audio[..at].iter().all(|&sample| sample == 0), "before the speech there is silence");
    assert!((audio.len() - at).abs_diff(speech.len()) <= TOLERANCE, "{} samples from {at} on", audio.len());
    let seconds = message["duration_seconds"].as_f64().unwrap();
    assert!((seconds - audio.len() as f64 / 8000.0).abs() < 0.001, "{message}");
    assert_eq!((&message["list"], &message["caller_number"]), (&"new".into(), &"2025550143".into()));
    assert_eq!(message["interrupted"], false);
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_soft_message_is_made_louder_and_the_busy_tone_after_it_is_cut_off() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let spoken = speech().0;
    let soft: Vec<i16> = spoken.iter().map(|sample| sample / 3).collect();
    let busy = tone::busy(Duration::from_secs(4));

    let mut caller = Caller::dial(&server, "1001").await;
    caller.skips_to_the_beep().await;
    caller.says(&[soft.clone(), busy].concat()).await;
    caller.hangs_up().await;

    let message = &server.wait_for_messages("1001", 1)[0];
    let (heard, recorded) = (server.cleaned_audio("1001").remove(0), server.audio("1001").remove(0));
    assert_eq!(message["cleaned"], true, "{message}");
    assert!((message["duration_seconds"].as_f64().unwrap() - heard.len() as f64 / 8000.0).abs() < 0.001, "{message}");
    // The pause at the end of the last phrase may be gone.
    expect_speech(&[heard.clone(), vec![0; 1000]].concat());
    let start = place_of(&recorded, &through(Law::Mu, &soft));
    assert!(recorded.len() - start > soft.len() + 30_000, "the original is whole: {} samples", recorded.len());
    assert!(
        heard.len() <= start + soft.len() + 4200,
        "{} samples, and the voice is over after {}",
        heard.len(),
        start + soft.len()
    );
    let (level, wanted) = (speech_level(&heard), speech_level(&spoken));
    assert!((level - wanted).abs() < 1.5, "{level} dB, and prompts are at {wanted}");
    server.run(&["message", "delete", "1001", "--all"]);
    assert_eq!(server.audio_files(), 0, "the original goes with the message");
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_said_in_parts_is_one_message_with_its_marks() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let (first, second) = (words(FIRST_PHRASE), words(SECOND_PHRASE));

    let mut caller = Caller::dial(&server, "1001").await;
    caller.skips_to_the_beep().await;
    caller.says(&first).await;
    caller.presses("8").await;
    caller.hears(PromptId::RecordingPaused).await;
    // Nobody records this.
    caller.says(&[9000; 8000]).await;
    caller.presses("8").await;
    caller.hears_beep().await;
    caller.says(&second).await;
    caller.presses("#").await;
    caller.hears(PromptId::ToSend).await;
    caller.presses("4").await;
    caller.hears_beep().await;
    caller.says(&first).await;
    caller.presses("#").await;
    caller.hears(PromptId::ToSend).await;
    caller.presses("5").await;
    caller.hears(PromptId::MarkedUrgent).await;
    caller.presses("6").await;
    caller.hears(PromptId::MarkedPrivate).await;
    caller.presses("1").await;
    caller.hears(PromptId::MessageSent).await;
    caller.waits_for_the_end().await;

    let message = &server.wait_for_messages("1001", 1)[0];
    assert_eq!((&message["urgent"], &message["private"], &message["interrupted"]), (&true.into(), &true.into(), &false.into()));
    let audio = server.audio("1001").remove(0);
    let is_level = |part: &[i16]| part[0].abs() > 1000 && part.iter().all(|sample| *sample == part[0]);
    assert!(!audio.windows(100).any(is_level), "what was said in the pause is there");
    let at = |phrase: &[i16], from: usize| {
        let found = listen::find(phrase, &audio[from..]).expect("a phrase");
        assert!(found.likeness > 0.98, "{found:?} behind {from} in {}", audio.len());
        from + found.at + phrase.len()
    };
    let paused = at(&first, 0);
    let over = at(&second, paused - TOLERANCE);
    let pause = words(PromptId::RecordingPaused).len() + 8000;
    assert!(over - second.len() < paused + pause, "{over} and {paused}: the pause is there, of {pause} samples at least");
    at(&first, over - TOLERANCE);
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_server_that_dies_while_a_caller_adds_to_a_message_loses_neither_part_nor_mark() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    server.add_mailbox("1002", &[]);
    let (first, second) = (words(FIRST_PHRASE), words(SECOND_PHRASE));

    let mut adding = Caller::dial(&server, "1001").await;
    let mut pausing = Caller::dial(&server, "1002").await;
    adding.skips_to_the_beep().await;
    adding.says(&first).await;
    adding.presses("#").await;
    adding.hears(PromptId::ToSend).await;
    adding.presses("5").await;
    adding.hears(PromptId::MarkedUrgent).await;
    adding.presses("4").await;
    adding.hears_beep().await;
    adding.says(&second).await;
    pausing.skips_to_the_beep().await;
    pausing.says(&first).await;
    pausing.presses("8").await;
    pausing.hears(PromptId::RecordingPaused).await;
    let written =
        || std::fs::read_dir(server.path("data/spool")).unwrap().flatten().filter_map(|it| it.metadata().ok()).map(|it| it.len());
    eventually("all but half a second is written", || {
        (written().max()? as usize > first.len() + second.len() - 4000).then_some(())
    });
    let folder = server.kill();

    let again = Server::start_in(folder, "");
    for (number, phrases, urgent) in [("1001", vec![&first, &second], true), ("1002", vec![&first], false)] {
        let message = &again.wait_for_messages(number, 1)[0];
        assert_eq!((&message["interrupted"], &message["urgent"]), (&true.into(), &urgent.into()), "{number}");
        let audio = again.audio(number).remove(0);
        for phrase in phrases {
            // What was written last is not there yet.
            let found = listen::find(&phrase[..phrase.len() - 4800], &audio).expect("a phrase");
            assert!(found.likeness > 0.98, "{number}: {found:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_prefix_leads_to_the_mailbox_whose_number_follows_and_to_no_other() {
    let server = Server::start("[deposit]\ndirect_prefixes = [\"*55\", \"*\"]\n");
    server.add_mailbox("1001", &[]);
    server.add_mailbox("1002", &[]);
    let diverted = |phone: Phone| phone.header("Diversion", "<sip:1002@pbx.example>;reason=no-answer");

    for number in ["*551001", "*1001"] {
        let mut caller = Caller::dial_as(&server, number, diverted).await;
        caller.skips_to_the_beep().await;
        caller.says(&speech().0).await;
        caller.hangs_up().await;
    }
    let mut owner = Caller::dial(&server, "*98").await;
    owner.hears(PromptId::EnterMailbox).await;
    owner.hangs_up().await;

    server.wait_for_messages("1001", 2);
    assert!(server.messages("1002").is_empty());
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_caller_whose_audio_ceases_is_hung_up_on_and_what_was_said_is_kept() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let (speech, _) = speech();
    let target = format!("sip:1001@{}", server.udp());
    let mut call = Phone::towards(&target).await.unwrap().dial(&target).await.unwrap();
    call.line().press("#");
    call.line().wait_for_beep(0, Duration::from_secs(20)).await.expect("a beep");
    call.line().say(speech.clone());
    assert!(call.line().wait_until_said(Duration::from_secs(30)).await);

    // The cable is pulled: no RTP any more, and no BYE.
    call.line().connect(&Negotiated { direction_send: false, ..*call.negotiated() });
    let hung_up = call.wait_for_the_end(Duration::from_secs(40)).await;

    assert!(hung_up, "thirty seconds without audio end a call");
    let message = &server.wait_for_messages("1001", 1)[0];
    assert_eq!(message["interrupted"], false);
    place_of(&server.audio("1001")[0], &through(Law::Mu, &speech));
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_caller_with_a_law_over_tcp_or_ipv6_or_without_an_offer_leaves_a_message_as_well() {
    let server = Server::start("");
    for number in ["1001", "1002", "1003"] {
        server.add_mailbox(number, &[]);
    }
    let (speech, _) = speech();
    let a_law = async {
        let target = format!("sip:1001@{};transport=tcp", server.tcp());
        let phone = Phone::towards(&target).await.unwrap().codecs(&[Codec::Pcma]);
        let call = phone.dial(&target).await.unwrap();
        assert_eq!(call.negotiated().codec, Codec::Pcma);
        call
    };
    let ipv6 = async {
        let target = format!("sip:1002@{}", server.udp_ipv6());
        let call = Phone::towards(&target).await.unwrap().dial(&target).await.unwrap();
        assert!(call.negotiated().remote.is_ipv6());
        call
    };
    let late_offer = async {
        let target = format!("sip:1003@{}", server.udp());
        Phone::towards(&target).await.unwrap().dial_without_offer(&target).await.unwrap()
    };
    let calls = [a_law.await, ipv6.await, late_offer.await];

    let deposits = calls.map(|call| {
        let mut caller = Caller::from(call);
        let speech = speech.clone();
        tokio::spawn(async move {
            caller.skips_to_the_beep().await;
            caller.says(&speech).await;
            caller.hangs_up().await;
        })
    });
    for deposit in deposits {
        deposit.await.unwrap();
    }

    for (number, law) in [("1001", Law::A), ("1002", Law::Mu), ("1003", Law::Mu)] {
        server.wait_for_messages(number, 1);
        place_of(&server.audio(number)[0], &through(law, &speech));
    }
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_key_that_ends_a_message_is_not_in_it() {
    let server = Server::start("");
    for number in ["1001", "1002"] {
        server.add_mailbox(number, &[]);
    }
    let speech = through(Law::Mu, &speech().0);
    let leave = async |number: &str, in_band: bool| {
        let set_up = |phone: Phone| if in_band { phone.without_telephone_event() } else { phone };
        let mut caller = Caller::dial_as(&server, number, set_up).await;
        caller.skips_to_the_beep().await;
        caller.says(&speech).await;
        caller.presses("#").await;
        caller.hears(PromptId::ToSend).await;
        caller.presses("1").await;
        caller.hears(PromptId::MessageSent).await;
        caller.waits_for_the_end().await;
    };

    tokio::join!(leave("1001", false), leave("1002", true));

    for number in ["1001", "1002"] {
        server.wait_for_messages(number, 1);
        let audio = &server.audio(number)[0];
        let end = place_of(audio, &speech[..speech.len() - 2 * TOLERANCE]) + speech.len();
        assert!(audio.len().abs_diff(end) <= TOLERANCE, "{number}: {} samples, the speech ends at {end}", audio.len());
    }
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn silence_ends_a_message_and_is_cut_off() {
    let server = Server::start("[deposit]\ntrailing_silence = \"2s\"\n");
    server.add_mailbox("1001", &[]);
    let speech = through(Law::Mu, &speech().0);

    let mut caller = Caller::dial(&server, "1001").await;
    caller.skips_to_the_beep().await;
    caller.says(&speech).await;
    caller.hears(PromptId::ToSend).await;
    caller.hangs_up().await;

    server.wait_for_messages("1001", 1);
    let audio = &server.audio("1001")[0];
    let end = expect_speech(audio) + speech.len();
    assert!(audio.len().abs_diff(end) <= 2400, "{} samples, the speech ends at {end}", audio.len());
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_caller_who_said_too_little_is_asked_again() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let (speech, _) = speech();

    let mut caller = Caller::dial(&server, "1001").await;
    caller.skips_to_the_beep().await;
    caller.says(&speech[..8000]).await;
    caller.presses("#").await;
    caller.hears(PromptId::TooShort).await;
    caller.hears_beep().await;
    caller.says(&speech).await;
    caller.hangs_up().await;

    server.wait_for_messages("1001", 1);
    expect_speech(&server.audio("1001")[0]);
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_message_is_listened_to_and_recorded_again_before_it_is_sent() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let (speech, _) = speech();
    let slip = words(PromptId::PasscodeLine);

    let mut caller = Caller::dial(&server, "1001").await;
    caller.skips_to_the_beep().await;
    caller.says(&slip).await;
    caller.presses("#2").await;
    caller.hears_audio("the recording", &slip).await;
    caller.hears(PromptId::ToSend).await;
    caller.presses("3").await;
    caller.hears_beep().await;
    caller.says(&speech).await;
    caller.presses("#1").await;
    caller.hears(PromptId::MessageSent).await;
    caller.hears(PromptId::Goodbye).await;
    caller.waits_for_the_end().await;

    server.wait_for_messages("1001", 1);
    expect_speech(&server.audio("1001")[0]);
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_music_of_whoever_holds_the_call_is_not_in_the_message() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let (speech, second) = speech();
    let music = words(PromptId::PasscodeLine);

    let mut caller = Caller::dial(&server, "1001").await;
    caller.skips_to_the_beep().await;
    caller.says(&speech[..second]).await;
    caller.call.hold().await.unwrap();
    caller.says(&music).await;
    caller.call.resume().await.unwrap();
    caller.says(&speech[second..]).await;
    caller.hangs_up().await;

    server.wait_for_messages("1001", 1);
    let audio = &server.audio("1001")[0];
    let find = |known: &[i16]| listen::find(known, audio).unwrap();
    let (before, after) = (find(&words(FIRST_PHRASE)), find(&words(SECOND_PHRASE)));
    assert!(before.likeness > 0.98 && after.likeness > 0.98, "{before:?} {after:?}");
    let distance = after.at - before.at;
    assert!(distance.abs_diff(second) < 4000, "{distance} samples between phrases that were {second} apart without the hold");
    assert!(find(&music).likeness < 0.5, "{:?}", find(&music));
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn messages_follow_a_diversion_from_a_trusted_peer_only() {
    let trusting = Server::start(TRUSTING);
    let wary = Server::start(OPEN);
    for server in [&trusting, &wary] {
        server.add_mailbox("1001", &[]);
    }
    let diverted = |phone: Phone| phone.header("Diversion", "<sip:1001@pbx.example>;reason=no-answer");

    let mut believed = Caller::dial_as(&trusting, "7000", diverted).await;
    let mut stranger = Caller::dial_as(&wary, "7000", diverted).await;
    believed.skips_to_the_beep().await;
    believed.says(&speech().0).await;
    believed.hangs_up().await;
    stranger.hears(PromptId::NoMessagesHere).await;
    stranger.hears(PromptId::Goodbye).await;
    stranger.waits_for_the_end().await;

    expect_speech(&{
        trusting.wait_for_messages("1001", 1);
        trusting.audio("1001").remove(0)
    });
    assert!(wary.messages("1001").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_server_that_is_told_to_stop_lets_callers_finish() {
    let mut server = Server::start("");
    server.add_mailbox("1001", &[]);
    let (speech, _) = speech();

    let mut caller = Caller::dial(&server, "1001").await;
    caller.skips_to_the_beep().await;
    server.terminate();
    let refused = eventually("a new call is refused", || {
        let attempt = Caller::try_to_dial(server.udp(), "1001", |phone| phone);
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(attempt)).err()
    });
    caller.says(&speech).await;
    caller.presses("#1").await;
    caller.hears(PromptId::MessageSent).await;
    caller.hears(PromptId::Goodbye).await;
    caller.waits_for_the_end().await;

    assert!(matches!(refused, CallError::Refused { status: 503, .. }), "{refused}");
    assert!(server.wait_for_the_end().success());
    assert_eq!(server.messages("1001").len(), 1);
    expect_speech(&server.audio("1001")[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_server_that_is_told_twice_hangs_up_and_keeps_what_was_said() {
    let mut server = Server::start("");
    server.add_mailbox("1001", &[]);

    let mut caller = Caller::dial(&server, "1001").await;
    caller.skips_to_the_beep().await;
    caller.says(&speech().0).await;
    server.terminate();
    eventually("the server drains", || server.log().contains("draining").then_some(()));
    server.terminate();
    tokio::time::timeout(Duration::from_secs(30), caller.waits_for_the_end()).await.unwrap();

    assert!(server.wait_for_the_end().success());
    assert_eq!(server.messages("1001").len(), 1);
    expect_speech(&server.audio("1001")[0]);
}

/// Where exactly these samples are in a message.
fn place_of(message: &[i16], samples: &[i16]) -> usize {
    let place = message.windows(samples.len()).position(|window| window == samples);
    place.unwrap_or_else(|| {
        let best = listen::find(samples, message);
        panic!("the {} samples are not among the {} of the message; at best {best:?}", samples.len(), message.len())
    })
}
