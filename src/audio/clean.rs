//! A message made fit to be heard: as loud as our prompts, and without what networks and keys add to its end.

use super::{
    FRAME_SAMPLES, SAMPLE_RATE,
    ending::{self, Ending},
    halfband::Halver,
    loudness,
};

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cleaned {
    /// It is well as it is.
    AsItWas,
    /// It should rather sound so, at the rate at which it was.
    Better(Vec<i16>),
    /// There is nothing in it but silence and the tones of a network.
    NothingSaid,
}

/// Silence at the end that is left where it is: nobody minds it.
const BEARABLE: u32 = 1;

/// Cleans a message of so many samples a second: 8000 or 16,000.
///
/// Its level is brought to that of our prompts, by 12 dB at most either way. A busy tone, a key's tone and long silence are
/// taken from its end. Neither touches what may be speech: noise without a voice is not made louder, and nothing is cut of it.
#[must_use]
pub fn clean(samples: &[i16], rate: u32) -> Cleaned {
    let factor = (rate / SAMPLE_RATE).max(1) as usize;
    let narrow = if factor == 1 { None } else { Some(halved(samples)) };
    let narrow = narrow.as_deref().unwrap_or(samples);
    let levels = ending::levels(narrow);
    let Ending { kept, is_sharp, voice } = ending::find(narrow, &levels);
    if !voice.said_something() {
        return if voice.is_silence() { Cleaned::NothingSaid } else { Cleaned::AsItWas };
    }
    let heard = levels.iter().take(kept / FRAME_SAMPLES).copied().filter(|level| *level > voice.least).collect();
    let gain = loudness::gain(loudness::active_level(heard), voice.background);
    let kept = (kept * factor).min(samples.len());
    let is_cut = samples.len() - kept > (BEARABLE * rate) as usize || (is_sharp && kept < samples.len());
    if gain == 0.0 && !is_cut {
        return Cleaned::AsItWas;
    }
    let mut better = if is_cut { samples[..kept].to_vec() } else { samples.to_vec() };
    if gain != 0.0 {
        loudness::amplify(&mut better, rate, gain);
    }
    if is_cut {
        loudness::fade_out(&mut better, rate);
    }
    Cleaned::Better(better)
}

/// The same at half the rate, for measuring: what is cut is found there.
fn halved(samples: &[i16]) -> Vec<i16> {
    let mut narrow = Vec::with_capacity(samples.len() / 2 + 1);
    Halver::default().push(samples, &mut narrow);
    narrow
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;
    use crate::audio::{
        WIDE_RATE,
        law::Law,
        level::level,
        loudness::{WANTED, speech_level},
        resample::resample,
        testing::{mixed, noise, speech, wide_speech},
        tone::{self, Sine},
    };

    /// How networks say that nobody is there any more: the frequencies, and how long they sound and pause.
    const TONES: [(&str, &[f64], &[u64]); 15] = [
        ("North America, busy", &[480.0, 620.0], &[500, 500]),
        ("North America, congestion", &[480.0, 620.0], &[250, 250]),
        ("North America, dial tone", &[350.0, 440.0], &[10_000, 0]),
        ("United Kingdom, busy", &[400.0], &[375, 375]),
        ("United Kingdom, congestion", &[400.0], &[400, 350, 225, 525]),
        ("United Kingdom, unobtainable", &[400.0], &[10_000, 0]),
        ("Germany, busy", &[425.0], &[480, 480]),
        ("Germany, congestion", &[425.0], &[240, 240]),
        ("France, busy", &[440.0], &[500, 500]),
        ("Spain, busy", &[425.0], &[200, 200]),
        ("Spain, congestion", &[425.0], &[200, 200, 200, 200, 200, 600]),
        ("Austria, congestion", &[420.0], &[200, 200]),
        ("Japan, busy", &[400.0], &[500, 500]),
        ("China, busy", &[450.0], &[350, 350]),
        ("Mexico, busy", &[425.0], &[250, 250]),
    ];

    #[test]
    fn the_tones_of_every_network_are_cut_off_and_no_word_with_them() {
        for (network, frequencies, cadence) in TONES {
            for level in [-10.0, -25.0, -35.0] {
                for law in Law::ALL {
                    let said = speech(6.0, -20.0);
                    let pause = vec![0; 4000];
                    let call = [said.clone(), pause, tones(frequencies, cadence, level, 5.3)].concat();
                    let call = law.decoded(&law.encoded(&mixed(&noise(12.0, -60.0), &call)));

                    let kept = kept(&call, 8000);

                    assert!((said.len()..=said.len() + 4080).contains(&kept), "{network}, {level} dB, {law:?}: {kept}");
                }
            }
        }
    }

    #[test]
    fn a_tone_that_begins_in_the_last_word_takes_no_more_than_a_blink_of_it() {
        for (network, frequencies, cadence) in TONES {
            let said = loud_to_its_end(5.0);
            let call = [said.clone(), tones(frequencies, cadence, -15.0, 4.0)].concat();

            let kept = kept(&call, 8000);

            assert!(kept.abs_diff(said.len()) <= 400, "{network}: {kept} of {}", said.len());
        }
    }

    #[test]
    fn whatever_is_left_of_a_key_is_cut_off() {
        for key in "0123456789*#".chars() {
            for milliseconds in [36, 60, 200] {
                let said = speech(4.0, -20.0);
                let call = [said.clone(), vec![0; 3200], tone::key(key, Duration::from_millis(milliseconds)).unwrap()].concat();

                let kept = kept(&mixed(&call, &noise(5.0, -65.0)), 8000);

                assert!((said.len()..=said.len() + 3200).contains(&kept), "{key}, {milliseconds} ms: {kept}");
            }
        }
    }

    #[test]
    fn a_click_and_silence_after_the_last_word_are_cut_off() {
        for background in [-100.0, -60.0, -50.0] {
            let said = speech(6.0, -20.0);
            let mut call = [said.clone(), vec![0; 40_000]].concat();
            call[said.len() + 32_000..][..60].fill(9000);

            let kept = kept(&mixed(&call, &noise(11.0, background)), 8000);

            assert!((said.len()..=said.len() + 4200).contains(&kept), "{background} dB: {kept}");
        }
    }

    #[test]
    fn speech_of_any_level_is_brought_towards_that_of_the_prompts() {
        for (from, to) in [(-40.0, -28.0), (-32.0, -20.0), (-27.0, -17.0), (-17.0, -17.0), (-10.0, -17.0), (-5.0, -17.0)] {
            for rate in [8000, WIDE_RATE] {
                let said = if rate == 8000 { speech(10.0, 0.0) } else { wide_speech(10.0, 0.0) };
                let said = at_active_level(&said, rate, from);

                let better = match clean(&said, rate) {
                    Cleaned::Better(better) => better,
                    Cleaned::AsItWas => said,
                    Cleaned::NothingSaid => panic!("somebody spoke at {from} dB"),
                };

                let level = speech_level(&resample(&better, rate, 8000));
                assert!((level - to).abs() < 1.2, "{from} dB at {rate} Hz: {level}");
                assert!(better.iter().all(|sample| sample.unsigned_abs() < 32_700));
            }
        }
    }

    #[test]
    fn one_loud_noise_does_not_keep_a_soft_voice_soft() {
        let mut call = at_active_level(&speech(10.0, 0.0), 8000, -29.0);
        for n in 0..400 {
            call[40_000 + n] = if n % 20 < 10 { 30_000 } else { -30_000 };
        }

        let Cleaned::Better(better) = clean(&call, 8000) else { panic!("it should be louder") };

        let level = speech_level(&better[44_000..]);
        assert!((level - WANTED).abs() < 1.5, "{level}");
        assert!(better.iter().all(|sample| sample.unsigned_abs() < 29_300));
    }

    #[test]
    fn noise_without_a_voice_stays_as_it_was() {
        for decibels in [-50.0, -40.0, -30.0, -15.0] {
            assert_eq!(clean(&noise(20.0, decibels), 8000), Cleaned::AsItWas, "{decibels} dB");
        }
        let chord = [440.0, 554.0, 659.0].map(|frequency| Sine { frequency, level: -28.0 });
        assert_eq!(clean(&tone::tone(&chord, Duration::from_secs(20)), 8000), Cleaned::AsItWas);
    }

    #[test]
    fn a_caller_who_says_nothing_says_nothing() {
        let mut clicks = vec![0; 80_000];
        clicks[20_000..20_080].fill(8000);
        for call in [vec![], vec![0; 80_000], noise(10.0, -65.0), clicks, [noise(4.0, -62.0), busy(6.0)].concat(), busy(10.0)] {
            assert_eq!(clean(&call, 8000), Cleaned::NothingSaid);
        }
    }

    #[test]
    fn the_shortest_word_is_something() {
        for background in [-100.0, -70.0, -60.0] {
            for frames in [3_u16, 5, 7, 9, 10, 11] {
                let mut call = noise(6.0, background);
                let word =
                    mixed(&loud_to_its_end(1.0)[..usize::from(frames) * 160], &noise(0.02 * f64::from(frames), background));
                call[8000..8000 + word.len()].copy_from_slice(&word);

                assert_ne!(clean(&call, 8000), Cleaned::NothingSaid, "{frames} frames over {background} dB");
            }
        }
    }

    #[test]
    fn soft_speech_is_never_taken_for_silence_and_nothing_of_it_is_cut() {
        for decibels in [-20.0, -30.0, -40.0, -46.0] {
            for background in [-100.0, -70.0, decibels - 15.0] {
                let said = loud_to_its_end(20.0);
                let said = mixed(&at_active_level(&said, 8000, decibels), &noise(20.0, background));

                assert_eq!(kept(&said, 8000), said.len(), "{decibels} dB before {background} dB");
            }
        }
    }

    #[test]
    fn what_is_well_is_left_as_it_was() {
        let said = at_active_level(&loud_to_its_end(8.0), 8000, WANTED);

        assert_eq!(clean(&said, 8000), Cleaned::AsItWas);
    }

    #[test]
    fn wideband_is_cut_at_the_same_place() {
        let said = at_active_level(&wide_speech(6.0, 0.0), WIDE_RATE, -27.0);
        let call = [said.clone(), vec![0; 8000], resample(&busy(4.0), 8000, WIDE_RATE)].concat();

        let kept = kept(&call, WIDE_RATE);

        assert!((said.len()..=said.len() + 8160).contains(&kept), "{kept} of {}", said.len());
    }

    #[test]
    fn cleaning_costs_little() {
        let call = [speech(60.0, -30.0), busy(10.0)].concat();
        let started = Instant::now();

        let cleaned = clean(&call, 8000);

        let took = started.elapsed();
        println!("{:?} for a second of audio", took / 70);
        assert!(matches!(cleaned, Cleaned::Better(_)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

        #[test]
        fn nothing_clips_and_nothing_grows(
            samples in prop::collection::vec(any::<i16>(), 0..4000),
            repeated in 1_usize..8,
            shift in 0_u32..12,
            wide in any::<bool>(),
        ) {
            let samples: Vec<i16> = samples.repeat(repeated).into_iter().map(|sample| sample >> shift).collect();
            let rate = if wide { WIDE_RATE } else { 8000 };

            if let Cleaned::Better(better) = clean(&samples, rate) {
                prop_assert!(better.len() <= samples.len());
                for (before, after) in samples.iter().zip(&better) {
                    prop_assert!(after.unsigned_abs() <= before.unsigned_abs().max(29_300));
                    prop_assert!(i32::from(*before) * i32::from(*after) >= 0, "the sign is kept");
                }
            }
        }
    }

    fn kept(samples: &[i16], rate: u32) -> usize {
        match clean(samples, rate) {
            Cleaned::Better(better) => better.len(),
            Cleaned::AsItWas => samples.len(),
            Cleaned::NothingSaid => 0,
        }
    }

    fn tones(frequencies: &[f64], cadence: &[u64], level: f64, seconds: f64) -> Vec<i16> {
        let sines: Vec<Sine> = frequencies.iter().map(|&frequency| Sine { frequency, level }).collect();
        let mut tones = Vec::new();
        for (at, milliseconds) in cadence.iter().cycle().enumerate() {
            let part = Duration::from_millis(*milliseconds);
            let part = if at % 2 == 0 { tone::tone(&sines, part) } else { vec![0; part.as_millis() as usize * 8] };
            tones.extend(part);
            if tones.len() as f64 >= seconds * 8000.0 {
                break;
            }
        }
        tones.truncate((seconds * 8000.0) as usize);
        tones
    }

    fn busy(seconds: f64) -> Vec<i16> {
        tones(&[425.0], &[500, 500], -15.0, seconds)
    }

    /// Speech that does not end in a breath.
    fn loud_to_its_end(seconds: f64) -> Vec<i16> {
        let mut said = speech(seconds + 1.0, -20.0);
        let last = (0..said.len() / 160).rev().find(|at| level(&said[at * 160..][..160]) > -26.0 && at * 160 < said.len() - 4000);
        said.truncate((last.unwrap() + 1) * 160);
        said.split_off(said.len() - (seconds * 8000.0) as usize)
    }

    fn at_active_level(samples: &[i16], rate: u32, decibels: f32) -> Vec<i16> {
        let gain = 10_f32.powf((decibels - speech_level(&resample(samples, rate, 8000))) / 20.0);
        samples.iter().map(|&sample| (f32::from(sample) * gain).round() as i16).collect()
    }
}
