//! Calls in every codec: what is said is kept, and what was kept is heard, with all that the codec carries.

use std::{fs, process::Command, time::Duration};

use afterbeep::{
    audio::{codec::Codec, g729, resample::resample},
    ivr::PromptId,
    phone::{Phone, listen},
};

use crate::support::{
    baresip::{Account, Baresip},
    caller::{Caller, TOLERANCE, speech, words},
    server::{PASSCODE, Server, eventually},
    sipp::{Call, Step},
};

/// Those that are not G.711, and how alike speech is that went through them.
const OTHERS: [(Codec, f64); 3] = [(Codec::G722, 0.98), (Codec::Opus, 0.9), (Codec::G729, 0.6)];

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_message_is_left_and_heard_in_every_codec() {
    for (codec, alike) in OTHERS {
        let server = Server::start("");
        server.add_mailbox("1001", &[]);
        let speech = bright_speech();
        let in_codec = |phone: Phone| phone.codecs(&[codec]);

        let mut caller = Caller::dial_as(&server, "1001", in_codec).await;
        assert_eq!(caller.call.negotiated().codec, codec);
        caller.hears(PromptId::ReachedNumber).await;
        caller.skips_to_the_beep().await;
        caller.call.line().say_wide(&speech);
        caller.says(&[0; 4000]).await;
        caller.hangs_up().await;

        server.wait_for_messages("1001", 1);
        let kept = resample(&server.audio_at("1001", codec.sample_rate()).remove(0), codec.sample_rate(), 16_000);
        let found = find_wide(&speech, &kept);
        assert!(found.likeness > alike, "{codec:?}: {found:?} in what was kept");
        assert_eq!(has_treble(&kept), codec.is_wideband(), "{codec:?}");
        // How long the line is still open after the last word is up to the machine.
        let behind = (kept.len() - found.at).checked_sub(speech.len() + 8000 - 2 * TOLERANCE);
        assert!(behind.is_some_and(|behind| behind < 16_000), "{codec:?}: {} from {}", kept.len(), found.at);

        let mut subscriber = Caller::dial_as(&server, "*98", in_codec).await;
        subscriber.presses(&format!("1001#{PASSCODE}#")).await;
        subscriber.hears(PromptId::New1).await;
        subscriber.presses("1").await;
        subscriber.hears(PromptId::ToDelete).await;
        let heard = subscriber.call.line().heard_wide();
        let found = find_wide(&kept[found.at..found.at + speech.len()], &heard);
        assert!(found.likeness > alike, "{codec:?}: {found:?} in what was heard");
        assert_eq!(has_treble(&heard), codec.is_wideband(), "{codec:?}");
        subscriber.hangs_up().await;
        server.expect_tidiness();
    }
}

#[test]
fn baresip_leaves_a_message_in_wideband_and_hears_it_back() {
    for (name, alike) in [("G722", 0.98), ("opus", 0.85)] {
        let server = Server::start("");
        server.add_mailbox("1001", &[]);
        let speech = bright_speech();
        // baresip speaks from the answer on: the greeting and the beep take 11 s.
        let says = [vec![0; 16_000 * 14], speech.clone(), vec![0; 16_000 * 60]].concat();
        let mut phone = Baresip::start(&Account { transport: "udp", codec: name, says: &says });
        phone.dial("1001", server.udp());
        phone.hears("leave-message", &words(PromptId::LeaveMessage), 0);
        eventually("the message is spoken", || (phone.said().len() > 8000 * 15 + speech.len() / 2).then_some(()));
        phone.hang_up();

        server.wait_for_messages("1001", 1);
        let kept = server.audio_at("1001", 16_000).remove(0);
        let found = find_wide(&speech, &kept);
        assert!(found.likeness > alike, "{name}: {found:?} in what was kept");
        assert!(has_treble(&kept), "{name}");

        let mut phone = Baresip::start(&Account { transport: "udp", codec: name, says: &[0; 16_000 * 120] });
        phone.dial("*98", server.udp());
        let at = phone.hears("enter-mailbox", &words(PromptId::EnterMailbox), 0);
        phone.press_all("1001#");
        let at = phone.hears("enter-passcode", &words(PromptId::EnterPasscode), at);
        phone.press_all(&format!("{PASSCODE}#"));
        let at = phone.hears("new-1", &words(PromptId::New1), at);
        phone.press_all("1");
        phone.hears("to-delete", &words(PromptId::ToDelete), at);
        let heard = phone.heard_at(16_000);
        let found = find_wide(&kept[found.at..found.at + speech.len()], &heard);
        assert!(found.likeness > alike, "{name}: {found:?} in what was heard");
        assert!(has_treble(&heard), "{name}");
        phone.hang_up();
        server.expect_tidiness();
    }
}

#[test]
fn g729_of_others_is_kept_as_they_hear_it() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let data = |name: &str| fs::canonicalize("tests/data/g729").expect("a folder").join(name);
    let theirs = samples(&fs::read(data("speech.s16le")).expect("three seconds"));
    let steps = [
        Step::Info('#'),
        Step::Wait(Duration::from_secs(4)),
        Step::Speak(&data("speech.g729")),
        Step::Wait(Duration::from_millis(4500)),
    ];

    Call { format: (18, "G729"), ..Call::default() }.run(server.udp(), &steps, 1);

    server.wait_for_messages("1001", 1);
    let kept = server.audio("1001").remove(0);
    let found = listen::find(&theirs, &kept).expect("three seconds at least");
    // SIPp begins when it likes, and a frame that is not heard is missed by those after it.
    assert!(found.likeness > 0.99, "{found:?}");
    server.expect_tidiness();
}

#[test]
fn others_hear_our_g729_as_we_do() {
    let speech = speech().0;
    let mut encoder = g729::Encoder::new();
    let frames: Vec<u8> = speech.as_chunks().0.iter().flat_map(|frame| encoder.encode(frame)).collect();
    let mut ours = vec![0; frames.len() * 8];
    g729::Decoder::new().decode(&frames, &mut ours);
    let folder = tempfile::tempdir().expect("a folder");
    let (file, raw) = (folder.path().join("speech.g729"), folder.path().join("speech.raw"));
    fs::write(&file, &frames).expect("the folder is ours");

    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-f", "g729", "-i"])
        .arg(&file)
        .args(["-f", "s16le"])
        .arg(&raw)
        .output()
        .expect("ffmpeg is installed (Debian package ffmpeg)");

    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let theirs = samples(&fs::read(raw).expect("what ffmpeg heard"));
    assert_eq!(theirs.len(), ours.len());
    let energy = |samples: &mut dyn Iterator<Item = f64>| samples.map(|sample| sample * sample).sum::<f64>();
    let differences = &mut theirs.iter().zip(&ours).map(|(&theirs, &ours)| f64::from(theirs) - f64::from(ours));
    let below = 10.0 * (energy(&mut theirs.iter().map(|&sample| f64::from(sample))) / energy(differences)).log10();
    // FFmpeg has the finer post-filter of the main body.
    assert!(below > 18.0, "the difference is {below} dB below");
    let found = listen::find(&speech[..speech.len() - 800], &ours).expect("more than was said");
    assert!(found.likeness > 0.65 && found.at.abs_diff(g729::DELAY) <= 2, "{found:?}");
}

fn samples(bytes: &[u8]) -> Vec<i16> {
    bytes.as_chunks().0.iter().copied().map(i16::from_le_bytes).collect()
}

/// The usual speech, with a bright noise beside each word, so that there is something above what a telephone carries.
fn bright_speech() -> Vec<i16> {
    let narrow = resample(&speech().0, 8000, 16_000);
    let mut random = 1_u32;
    narrow
        .iter()
        .enumerate()
        .map(|(n, &sample)| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Nothing but alternating signs is at 8 kHz; modulated noise is around it.
            let bright = (random >> 22) as i16 * if n % 2 == 0 { 1 } else { -1 };
            sample.saturating_add(if sample.unsigned_abs() > 1000 { bright } else { 0 })
        })
        .collect()
}

/// Looks for wideband audio at the rate at which `listen` knows its way.
fn find_wide(known: &[i16], heard: &[i16]) -> listen::Match {
    let (known, heard) = (resample(known, 16_000, 8000), resample(heard, 16_000, 8000));
    let found = listen::find(&known, &heard).expect("as much as was said");
    listen::Match { at: 2 * found.at, ..found }
}

/// Whether there is anything between 4 and 8 kHz that a telephone would not carry.
fn has_treble(audio: &[i16]) -> bool {
    let narrowed = resample(&resample(audio, 16_000, 8000), 8000, 16_000);
    let energy = |samples: &mut dyn Iterator<Item = i64>| samples.map(|sample| sample * sample).sum::<i64>();
    let above = energy(&mut audio.iter().zip(&narrowed).map(|(&all, &low)| i64::from(all) - i64::from(low)));
    above * 2000 > energy(&mut audio.iter().map(|&sample| i64::from(sample)))
}
