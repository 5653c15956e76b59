//! Real voices, real levels: what becomes of a message before it is kept.

use std::{fs, path::Path};

use afterbeep::audio::{
    WIDE_RATE,
    clean::{Cleaned, clean},
    law::Law,
    level::level,
    loudness::speech_level,
    resample::resample,
    wav,
};

/// The package `pocketsphinx-testdata`: people who read, count and command, in quiet rooms and others.
const VOICES: &str = "/usr/share/pocketsphinx/test/data";

#[test]
fn no_word_of_a_real_voice_is_cut_however_soft() {
    for (name, voice) in voices() {
        for rate in [8000, WIDE_RATE] {
            for decibels in [-10.0, -20.0, -30.0, -40.0, -48.0] {
                let said = at_level(&resample(&voice, WIDE_RATE, rate), rate, decibels);
                let said = if rate == 8000 { Law::Mu.decoded(&Law::Mu.encoded(&said)) } else { said };

                let cleaned = clean(&said, rate);

                let kept = kept(&cleaned, said.len());
                let end = end_of_speech(&said, rate);
                assert!(kept >= end, "{name} at {decibels} dB and {rate} Hz ends at {end}, and was cut at {kept}");
                if let Cleaned::Better(better) = cleaned {
                    let (before, after) = (last_word(&said, end, rate), last_word(&better, end, rate));
                    let gain = after.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>().sqrt()
                        / before.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>().sqrt();
                    let worst =
                        before.iter().zip(after).map(|(&a, &b)| (f64::from(a) * gain - f64::from(b)).abs()).fold(0.0, f64::max);
                    assert!(worst < 600.0, "{name} at {decibels} dB and {rate} Hz sounds otherwise: {worst}");
                }
            }
        }
    }
}

#[test]
fn real_voices_come_to_the_level_of_the_prompts() {
    let prompts: Vec<f32> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("prompts/en"))
        .expect("the prompts")
        .map(|entry| entry.expect("a folder that can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wav"))
        .map(|path| speech_level(&wav::read(&fs::read(path).expect("a prompt"), std::time::Duration::MAX).expect("a WAV")))
        .collect();
    let wanted = median(prompts);
    for (name, voice) in voices() {
        for decibels in [-28.0, -24.0, -17.0, -10.0, -6.0] {
            let said = at_level(&resample(&voice, WIDE_RATE, 8000), 8000, decibels);

            let better = match clean(&said, 8000) {
                Cleaned::Better(better) => better,
                Cleaned::AsItWas => said,
                Cleaned::NothingSaid => panic!("{name} said something"),
            };

            let level = speech_level(&better);
            assert!(
                (level - wanted).abs() <= 2.0,
                "{name}, said at {decibels} dB, is at {level} dB, and the prompts at {wanted}"
            );
            assert!(better.iter().all(|sample| sample.unsigned_abs() < 32_700), "{name} at {decibels} dB clips");
        }
    }
}

#[test]
fn a_busy_tone_after_a_real_voice_is_cut_and_the_voice_is_not() {
    for (name, voice) in voices() {
        for (on, off, pause) in [(500, 500, 0), (250, 250, 400), (375, 375, 1500)] {
            for law in Law::ALL {
                let said = at_level(&resample(&voice, WIDE_RATE, 8000), 8000, -24.0);
                let busy = busy(on, off, 5000);
                let call = [said.clone(), vec![0; pause * 8], busy].concat();
                let call = law.decoded(&law.encoded(&call));

                let kept = kept(&clean(&call, 8000), call.len());

                let (from, to) = (end_of_speech(&said, 8000), said.len() + pause * 8 + 160);
                assert!((from..=to).contains(&kept), "{name}, {on}/{off} ms after {pause} ms: {kept} is not in {from} to {to}");
            }
        }
    }
}

/// Every recording of the package, at 16,000 Hz.
fn voices() -> Vec<(String, Vec<i16>)> {
    let mut voices = Vec::new();
    for folder in ["", "cards", "librivox", "tidigits"] {
        let entries = fs::read_dir(Path::new(VOICES).join(folder)).expect("install the Debian package pocketsphinx-testdata");
        for path in entries.map(|entry| entry.expect("a folder that can be read").path()) {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let samples = match path.extension().and_then(|extension| extension.to_str()) {
                Some("wav") => {
                    let bytes = fs::read(&path).expect("a recording");
                    wav::read_at(WIDE_RATE, &bytes, std::time::Duration::MAX).expect("a WAV")
                }
                Some("raw") => {
                    let bytes = fs::read(&path).expect("a recording");
                    bytes.as_chunks().0.iter().copied().map(i16::from_le_bytes).collect()
                }
                _ => continue,
            };
            voices.push((name, samples));
        }
    }
    assert!(voices.len() >= 10, "{} voices", voices.len());
    voices
}

fn kept(cleaned: &Cleaned, before: usize) -> usize {
    match cleaned {
        Cleaned::Better(better) => better.len(),
        Cleaned::AsItWas => before,
        Cleaned::NothingSaid => 0,
    }
}

/// Where the last 10 ms end that are within 30 dB of the loudest, with another such 10 ms beside them: by another measure than
/// that of what is tested.
fn end_of_speech(samples: &[i16], rate: u32) -> usize {
    let part = rate as usize / 100;
    let levels: Vec<f32> = samples.chunks_exact(part).map(level).collect();
    let loudest = levels.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut floor = levels.clone();
    floor.sort_by(f32::total_cmp);
    let least = (loudest - 30.0).max(floor[floor.len() / 20] + 10.0);
    let last = levels.windows(2).rposition(|pair| pair.iter().all(|level| *level > least)).expect("a voice");
    (last + 2) * part
}

/// The half second before the end of the speech.
fn last_word(samples: &[i16], end: usize, rate: u32) -> &[i16] {
    &samples[end.saturating_sub(rate as usize / 2)..end.saturating_sub(rate as usize / 50)]
}

fn at_level(samples: &[i16], rate: u32, decibels: f32) -> Vec<i16> {
    let gain = 10_f32.powf((decibels - speech_level(&resample(samples, rate, 8000))) / 20.0);
    let ceiling =
        samples.iter().map(|sample| sample.unsigned_abs()).max().map_or(gain, |peak| gain.min(32_000.0 / f32::from(peak)));
    samples.iter().map(|&sample| (f32::from(sample) * ceiling).round() as i16).collect()
}

fn busy(on: usize, off: usize, length: usize) -> Vec<i16> {
    let sine = |n: usize| (6000.0 * (std::f64::consts::TAU * 425.0 * n as f64 / 8000.0).sin()) as i16;
    (0..length * 8).map(|n| if n / 8 % (on + off) < on { sine(n) } else { 0 }).collect()
}

fn median(mut levels: Vec<f32>) -> f32 {
    levels.sort_by(f32::total_cmp);
    levels[levels.len() / 2]
}
