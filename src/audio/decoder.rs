//! Payloads into samples, and what to hear where some are missing.

use super::{codec::Codec, conceal, g722, g729, law::Law, opus};

/// The longest payload that is decoded, in 8000ths of a second: 200 ms.
pub const LONGEST_PAYLOAD: usize = 1600;

/// Makes samples of the payloads of one stream, at [`Codec::sample_rate`]. Made once a stream; decoding allocates nothing.
#[derive(Debug)]
pub struct Decoder {
    codec: Codec,
    state: State,
    /// What was heard last, for what is made up.
    memory: Box<[i16; 2 * conceal::MEMORY]>,
}

#[derive(Debug)]
enum State {
    G711(Law),
    G722(Box<g722::Decoder>),
    Opus(Box<opus::Decoder>),
    G729(Box<g729::Decoder>),
}

impl Decoder {
    /// A decoder at the beginning of a stream.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        let state = match codec {
            Codec::Pcmu => State::G711(Law::Mu),
            Codec::Pcma => State::G711(Law::A),
            Codec::G722 => State::G722(Box::default()),
            Codec::Opus => State::Opus(Box::default()),
            Codec::G729 => State::G729(Box::default()),
        };
        Self { codec, state, memory: Box::new([0; 2 * conceal::MEMORY]) }
    }

    /// The codec.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Samples in an 8000th of a second.
    #[must_use]
    pub fn factor(&self) -> usize {
        self.codec.sample_rate() as usize / 8000
    }

    /// Decodes a payload into the end of `samples`. What `samples` has room for before it was lost and is made up.
    ///
    /// Without a payload all of it is made up; a payload that cannot be decoded is as good as lost.
    pub fn decode(&mut self, payload: &[u8], samples: &mut [i16]) {
        let factor = self.factor();
        let own = self.codec.length(payload).unwrap_or(0) as usize * factor;
        let (made_up, own) = samples.split_at_mut(samples.len().saturating_sub(own));
        match &mut self.state {
            State::G711(law) => law.decode(payload, own),
            State::G722(decoder) => decoder.decode(payload, own),
            State::Opus(decoder) => {
                if !made_up.is_empty() {
                    decoder.conceal(made_up, Some(payload));
                }
                if decoder.decode(payload, own) != Some(own.len()) {
                    decoder.conceal(own, None);
                }
                return;
            }
            State::G729(decoder) => {
                decoder.conceal(made_up);
                return decoder.decode(payload, own);
            }
        }
        if !made_up.is_empty() {
            let after = &own[..own.len().min(conceal::OUTLOOK * factor)];
            conceal::conceal(&self.memory[..conceal::MEMORY * factor], made_up, after, factor);
        }
        self.remember(samples);
    }

    fn remember(&mut self, heard: &[i16]) {
        let memory = &mut self.memory[..conceal::MEMORY * (self.codec.sample_rate() as usize / 8000)];
        let newest = &heard[heard.len().saturating_sub(memory.len())..];
        memory.copy_within(newest.len().., 0);
        let kept = memory.len() - newest.len();
        memory[kept..].copy_from_slice(newest);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audio::{
        encoder::Encoder,
        testing::{likeness, speech, wide_speech},
    };

    #[test]
    fn every_codec_carries_speech() {
        for codec in Codec::ALL {
            let speech = if codec.is_wideband() { wide_speech(3.0, -20.0) } else { speech(3.0, -20.0) };

            let heard = decoded(codec, &speech, |_| false);

            let (_, likeness) = likeness(&speech, &heard, 400);
            assert!(likeness > 0.9, "{codec:?}: {likeness}");
        }
    }

    #[test]
    fn a_lost_payload_leaves_no_hole() {
        for codec in Codec::ALL {
            let speech = if codec.is_wideband() { wide_speech(3.0, -20.0) } else { speech(3.0, -20.0) };
            let whole = decoded(codec, &speech, |_| false);

            let concealed = decoded(codec, &speech, |index| index % 10 == 7);

            assert_eq!(whole.len(), concealed.len());
            let (_, likeness) = likeness(&whole, &concealed, 0);
            // A decoder of G.729 needs some frames to find its way back.
            let least = if codec == Codec::G729 { 0.45 } else { 0.9 };
            assert!(likeness > least, "{codec:?}: {likeness}");
        }
    }

    proptest! {
        #[test]
        fn any_payloads_at_all(
            payloads in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..200), 0_usize..400), 1..12),
        ) {
            for codec in Codec::ALL {
                let mut decoder = Decoder::new(codec);
                for (payload, lost) in &payloads {
                    let length = codec.length(payload).unwrap_or(0) as usize;
                    let mut samples = vec![0; (lost + length) * decoder.factor()];
                    decoder.decode(payload, &mut samples);
                }
            }
        }
    }

    fn decoded(codec: Codec, speech: &[i16], is_lost: impl Fn(usize) -> bool) -> Vec<i16> {
        let (mut encoder, mut decoder) = (Encoder::new(codec), Decoder::new(codec));
        let (mut heard, mut missing) = (Vec::new(), 0);
        for (index, frame) in speech.chunks_exact(codec.frame_samples()).enumerate() {
            let mut payload = Vec::new();
            encoder.encode(frame, &mut payload);
            assert_eq!(codec.length(&payload), Some(160));
            if is_lost(index) {
                missing += 160;
                continue;
            }
            let mut samples = vec![0; (missing + 160) * decoder.factor()];
            decoder.decode(&payload, &mut samples);
            heard.extend(samples);
            missing = 0;
        }
        heard
    }
}
