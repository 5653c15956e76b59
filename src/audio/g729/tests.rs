use proptest::prelude::*;

use super::{frame::Frame, *};
use crate::audio::{
    level::level,
    testing::{likeness, noise, segmental_snr, speech},
};

/// Three seconds as another implementation encoded them, and as it decodes that.
const FOREIGN: &[u8] = include_bytes!("../../../tests/data/g729/speech.g729");
const FOREIGN_DECODED: &[u8] = include_bytes!("../../../tests/data/g729/speech.s16le");

#[test]
fn speech_that_others_encoded_is_heard_as_they_hear_it() {
    let theirs: Vec<i16> = FOREIGN_DECODED.as_chunks().0.iter().copied().map(i16::from_le_bytes).collect();

    let ours = decoded(FOREIGN);

    assert_eq!(ours.len(), theirs.len());
    let energy: f64 = theirs.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    let error: f64 = theirs.iter().zip(&ours).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
    let below = 10.0 * (energy / error).log10();
    assert!(below > 36.0, "the difference is {below} dB below");
    assert!(segmental_snr(&theirs, &ours, 1) > 32.0, "{}", segmental_snr(&theirs, &ours, 1));
}

#[test]
fn speech_sounds_like_itself() {
    for level in [-35.0, -20.0, -12.0] {
        let speech = speech(4.0, level);

        let heard = decoded(&encoded(&speech));

        let (delay, likeness) = likeness(&speech, &heard, 80);
        assert!(delay.abs_diff(DELAY) <= 1 && likeness > 0.9, "{level} dB: {likeness} after {delay}");
        let change = crate::audio::level::level(&heard) - crate::audio::level::level(&speech);
        assert!(change.abs() < 1.5, "{level} dB: {change}");
    }
}

#[test]
fn silence_stays_silent_and_noise_is_no_louder_than_it_was() {
    let silent = decoded(&encoded(&[0; 80_000]));
    assert!(level(&silent) < -75.0, "{}", level(&silent));

    // The same frame over and over, as we send it where there is nothing to say.
    let frame = encoded(&[0; 1600])[190..].to_vec();
    let silent = decoded(&frame.repeat(1000));
    assert!(level(&silent[800..]) < -75.0, "{}", level(&silent[800..]));

    let background = noise(4.0, -50.0);
    let heard = decoded(&encoded(&background));
    // Pulses are no noise: 5 or 6 dB are lost, in all encoders of this kind.
    assert!((-57.0..-50.0).contains(&level(&heard)), "{}", level(&heard));
}

#[test]
fn a_lost_frame_is_made_up_and_soon_forgotten() {
    let frames = FOREIGN;
    let whole = decoded(frames);

    let mut decoder = Decoder::new();
    let mut heard = vec![0; whole.len()];
    for (index, (samples, frames)) in heard.chunks_mut(2 * FRAME).zip(frames.chunks(2 * FRAME_BYTES)).enumerate() {
        if index % 20 == 7 { decoder.conceal(samples) } else { decoder.decode(frames, samples) }
    }

    let (_, alike) = likeness(&whole, &heard, 0);
    assert!(alike > 0.9, "{alike}");
    // A quarter of a second after each loss.
    for start in (8 * 160 + 2400..whole.len()).step_by(20 * 160) {
        let end = (start + 400).min(whole.len());
        let (_, alike) = likeness(&whole[start..end], &heard[start..end], 0);
        assert!(alike > 0.9, "{alike} at {start}");
    }
}

#[test]
fn a_line_that_went_dead_grows_silent() {
    let frames = encoded(&speech(1.0, -12.0));
    let mut decoder = Decoder::new();
    decoder.decode(&frames, &mut vec![0; 8000]);
    let mut samples = vec![0; 16_000];

    decoder.conceal(&mut samples);

    assert!(level(&samples[8000..]) < -60.0, "{}", level(&samples[8000..]));
}

#[test]
fn payloads_have_frames_and_perhaps_silence_at_the_end() {
    assert_eq!([0, 10, 20, 60].map(|bytes| length(&vec![0; bytes])), [0, 80, 160, 480].map(Some));
    assert_eq!([2, 12, 22].map(|bytes| length(&vec![0; bytes])), [80, 160, 240].map(Some));
    assert_eq!([1, 9, 11, 13].map(|bytes| length(&vec![0; bytes])), [None; 4]);
    assert_eq!(comfort(&[0; 20]), None);
    assert_eq!(comfort(&[]), None);
}

#[test]
fn silence_is_described_as_loud_as_it_was() {
    // What bcg729 says of pink noise with an RMS 59 dB below the overload point.
    for said in [[0, 8 << 1], [0xff, 9 << 1 | 0xc1]] {
        let [level] = comfort(&said).unwrap();
        assert!((57..=59).contains(&level), "{level}");
    }
    let all: Vec<u8> = (0..32).map(|gain| comfort(&[[0; 20].as_slice(), &[0, gain << 1]].concat()).unwrap()[0]).collect();
    assert!(all.windows(2).all(|pair| pair[0] > pair[1]), "{all:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_frame_reads_as_it_was_written(bytes in any::<[u8; FRAME_BYTES]>()) {
        prop_assert_eq!(Frame::read(&bytes).write(), bytes);
    }

    #[test]
    fn any_bytes_are_some_sound(bytes in prop::collection::vec(any::<u8>(), 0..800), gap in 0_usize..300) {
        let mut decoder = Decoder::new();
        let mut samples = vec![0; bytes.len() * 8 + gap];
        decoder.decode(&bytes, &mut samples);
        decoder.conceal(&mut samples[..gap]);

        // Whatever that was, speech after it is heard.
        let speech = &FOREIGN[..1500];
        let mut heard = vec![0; 12_000];
        decoder.decode(speech, &mut heard);
        prop_assert!(likeness(&decoded(speech)[8000..], &heard[8000..], 0).1 > 0.9);
    }

    #[test]
    fn any_samples_can_be_encoded(samples in prop::collection::vec(any::<i16>(), 0..1600), peak in 1_i16..) {
        let samples: Vec<i16> = samples.iter().map(|sample| sample % peak).collect();
        let heard = decoded(&encoded(&samples));
        prop_assert_eq!(heard.len(), samples.len() / FRAME * FRAME);
    }
}

fn encoded(samples: &[i16]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    samples.as_chunks().0.iter().flat_map(|frame| encoder.encode(frame)).collect()
}

fn decoded(frames: &[u8]) -> Vec<i16> {
    let mut samples = vec![0; frames.len() / FRAME_BYTES * FRAME];
    Decoder::new().decode(frames, &mut samples);
    samples
}
