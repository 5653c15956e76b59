//! What plays is encoded in one codec; when a new offer changes to another in the middle, it is encoded again as it is sent.

use std::cmp::Ordering;

use crate::audio::{
    codec::Codec,
    decoder::Decoder,
    encoder::Encoder,
    halfband::{Doubler, Halver},
};

/// Turns frames of one codec into frames of another.
#[derive(Debug)]
pub(super) struct Transcoder {
    decoder: Decoder,
    encoder: Encoder,
    to: Codec,
    doubler: Doubler,
    halver: Halver,
    samples: Vec<i16>,
    resampled: Vec<i16>,
    payload: Vec<u8>,
}

impl Transcoder {
    pub(super) fn new(from: Codec, to: Codec) -> Self {
        Self {
            decoder: Decoder::new(from),
            encoder: Encoder::new(to),
            to,
            doubler: Doubler::default(),
            halver: Halver::default(),
            samples: vec![0; from.frame_samples()],
            resampled: Vec::new(),
            payload: Vec::new(),
        }
    }

    /// Whether it is for these codecs.
    pub(super) fn is_for(&self, from: Codec, to: Codec) -> bool {
        (self.decoder.codec(), self.to) == (from, to)
    }

    /// The payload of a frame of 20 ms.
    pub(super) fn frame(&mut self, payload: &[u8]) -> &[u8] {
        let Self { decoder, samples, resampled, .. } = self;
        decoder.decode(payload, samples);
        resampled.clear();
        match samples.len().cmp(&self.to.frame_samples()) {
            Ordering::Less => self.doubler.push(samples, resampled),
            Ordering::Equal => resampled.extend_from_slice(samples),
            Ordering::Greater => self.halver.push(samples, resampled),
        }
        self.payload.clear();
        self.encoder.encode(resampled, &mut self.payload);
        &self.payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_becomes_every_other() {
        let tone: Vec<i16> = (0..8000).map(|n| ((f64::from(n) * 0.3).sin() * 9000.0) as i16).collect();
        for from in Codec::ALL {
            for to in Codec::ALL {
                let mut transcoder = Transcoder::new(from, to);
                let (mut encoder, mut decoder) = (Encoder::new(from), Decoder::new(to));
                let mut loudest = 0;
                for frame in tone.chunks_exact(from.frame_samples()) {
                    let mut payload = Vec::new();
                    encoder.encode(frame, &mut payload);
                    let mut heard = vec![0; to.frame_samples()];
                    decoder.decode(transcoder.frame(&payload), &mut heard);
                    loudest = heard.iter().map(|sample: &i16| sample.unsigned_abs()).max().unwrap_or(0);
                }

                assert!(transcoder.is_for(from, to));
                assert!((6000..12_000).contains(&loudest), "{from:?} to {to:?}: {loudest}");
            }
        }
    }
}
