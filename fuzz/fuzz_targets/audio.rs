//! The payloads of a talker, as the network brings them: a byte that chooses the codec, then for each payload its length, how
//! much was lost before it, and its bytes. And a payload of comfort noise.

#![no_main]

use afterbeep::audio::{
    codec::Codec,
    decoder::{Decoder, LONGEST_PAYLOAD},
    encoder::Encoder,
    noise::Noise,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&choice, mut rest)) = input.split_first() else { return };
    let codec = Codec::ALL[usize::from(choice) % Codec::ALL.len()];
    let (mut decoder, mut encoder) = (Decoder::new(codec), Encoder::new(codec));
    let mut payloads = 0;
    while let Some((&[length, lost], behind)) = rest.split_first_chunk() {
        let (payload, behind) = behind.split_at(usize::from(length).min(behind.len()));
        rest = behind;
        payloads += 1;
        if payloads > 40 {
            return;
        }
        let Some(length) = codec.length(payload) else { continue };
        let mut samples = vec![0; (length as usize + 8 * usize::from(lost)) * decoder.factor()];
        decoder.decode(payload, &mut samples);

        // Whatever was heard can be said again, and what is said is a frame.
        for frame in samples.chunks_exact(codec.frame_samples()).take(4) {
            let mut said = Vec::new();
            encoder.encode(frame, &mut said);
            assert_eq!(codec.length(&said), Some(160));
        }
        // A description of silence is a level that comfort noise can have.
        if let Some(silence) = codec.comfort(payload) {
            assert!(silence[0] < 128 && length >= 80);
        }
        if let Some(mut noise) = Noise::new(payload) {
            let mut samples = [0; LONGEST_PAYLOAD];
            noise.fill(&mut samples);
            assert!(samples.iter().all(|sample| sample.unsigned_abs() < 16_000));
        }
    }
});
