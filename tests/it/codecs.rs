//! Calls in every codec: what is said is kept, and what was kept is heard, with all that the codec carries.

use afterbeep::{
    audio::{codec::Codec, resample::resample},
    ivr::PromptId,
    phone::{Phone, listen},
};

use crate::support::{
    caller::{Caller, TOLERANCE, speech},
    server::{PASSCODE, Server},
};

/// Those that are not G.711, and how alike speech is that went through them.
const OTHERS: [(Codec, f64); 2] = [(Codec::G722, 0.98), (Codec::Opus, 0.9)];

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
        let kept = server.audio_at("1001", 16_000).remove(0);
        let found = find_wide(&speech, &kept);
        assert!(found.likeness > alike, "{codec:?}: {found:?} in what was kept");
        assert!(has_treble(&kept), "{codec:?}");
        assert!((kept.len() - found.at).abs_diff(speech.len() + 8000) <= 2 * TOLERANCE, "{} from {}", kept.len(), found.at);

        let mut subscriber = Caller::dial_as(&server, "*98", in_codec).await;
        subscriber.presses(&format!("1001#{PASSCODE}#")).await;
        subscriber.hears(PromptId::New1).await;
        subscriber.presses("1").await;
        subscriber.hears(PromptId::ToDelete).await;
        let heard = subscriber.call.line().heard_wide();
        let found = find_wide(&kept[found.at..found.at + speech.len()], &heard);
        assert!(found.likeness > alike, "{codec:?}: {found:?} in what was heard");
        assert!(has_treble(&heard), "{codec:?}");
        subscriber.hangs_up().await;
        server.expect_tidiness();
    }
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
