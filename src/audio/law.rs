//! The two laws of G.711: 8000 samples a second, one byte a sample, no memory of what came before.

use super::g711;

/// A law of G.711.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Law {
    /// µ-law: North America and Japan.
    Mu,
    /// A-law: everywhere else.
    A,
}

impl Law {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Mu, Self::A];

    /// The byte that fills gaps: positive zero.
    #[must_use]
    pub const fn silence(self) -> u8 {
        match self {
            Self::Mu => 0xff,
            Self::A => 0xd5,
        }
    }

    /// Encodes one sample.
    #[must_use]
    pub fn encode_sample(self, sample: i16) -> u8 {
        match self {
            Self::Mu => g711::encode_ulaw(sample),
            Self::A => g711::encode_alaw(sample),
        }
    }

    /// Decodes one byte.
    #[must_use]
    pub fn decode_byte(self, byte: u8) -> i16 {
        self.decode_table()[usize::from(byte)]
    }

    /// Encodes samples into as many bytes; the shorter of the two slices decides.
    pub fn encode(self, samples: &[i16], bytes: &mut [u8]) {
        // The match is outside the loops, so that each of them is one table look-up a sample.
        match self {
            Self::Mu => bytes.iter_mut().zip(samples).for_each(|(byte, &sample)| *byte = g711::encode_ulaw(sample)),
            Self::A => bytes.iter_mut().zip(samples).for_each(|(byte, &sample)| *byte = g711::encode_alaw(sample)),
        }
    }

    /// Decodes bytes into as many samples; the shorter of the two slices decides.
    pub fn decode(self, bytes: &[u8], samples: &mut [i16]) {
        let table = self.decode_table();
        samples.iter_mut().zip(bytes).for_each(|(sample, &byte)| *sample = table[usize::from(byte)]);
    }

    /// Encodes samples that are not needed as a frame at once, such as a whole prompt.
    #[must_use]
    pub fn encoded(self, samples: &[i16]) -> Vec<u8> {
        let mut bytes = vec![self.silence(); samples.len()];
        self.encode(samples, &mut bytes);
        bytes
    }

    /// Decodes bytes that are not needed as a frame at once, such as a whole message.
    #[must_use]
    pub fn decoded(self, bytes: &[u8]) -> Vec<i16> {
        let mut samples = vec![0; bytes.len()];
        self.decode(bytes, &mut samples);
        samples
    }

    /// Turns bytes of this law into bytes of `to` in place: the same bytes as decoding and encoding them would give.
    pub fn transcode(self, to: Self, bytes: &mut [u8]) {
        let table = match (self, to) {
            (Self::Mu, Self::A) => &g711::ULAW_TO_ALAW,
            (Self::A, Self::Mu) => &g711::ALAW_TO_ULAW,
            (Self::Mu, Self::Mu) | (Self::A, Self::A) => return,
        };
        bytes.iter_mut().for_each(|byte| *byte = table[usize::from(*byte)]);
    }

    fn decode_table(self) -> &'static [i16; 256] {
        match self {
            Self::Mu => &g711::ULAW_TO_LINEAR,
            Self::A => &g711::ALAW_TO_LINEAR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_silent_also_after_transcoding() {
        for (law, other) in [(Law::Mu, Law::A), (Law::A, Law::Mu)] {
            let mut bytes = [law.silence()];
            law.transcode(other, &mut bytes);

            assert_eq!(law.encode_sample(0), law.silence());
            // A-law has no zero: its silence is half of its lowest step.
            assert!(law.decode_byte(law.silence()).abs() <= 8);
            assert!(other.decode_byte(bytes[0]).abs() <= 8);
        }
    }

    #[test]
    fn slices_and_single_samples_agree() {
        let samples: Vec<i16> = (0..=u16::MAX).map(|bits| bits as i16).collect();

        for law in Law::ALL {
            let bytes = law.encoded(&samples);
            let back = law.decoded(&bytes);

            assert!(samples.iter().zip(&bytes).all(|(&sample, &byte)| law.encode_sample(sample) == byte));
            assert!(bytes.iter().zip(&back).all(|(&byte, &sample)| law.decode_byte(byte) == sample));
        }
    }

    #[test]
    fn the_shorter_slice_decides() {
        let mut bytes = [7; 2];
        Law::Mu.encode(&[0], &mut bytes);
        assert_eq!(bytes, [0xff, 7]);

        let mut samples = [7; 1];
        Law::Mu.decode(&[0xff, 0xff], &mut samples);
        assert_eq!(samples, [0]);
    }

    #[test]
    fn transcoding_is_decoding_and_encoding() {
        for (from, to) in [(Law::Mu, Law::A), (Law::A, Law::Mu), (Law::A, Law::A)] {
            let mut bytes: Vec<u8> = (0..=255).collect();
            from.transcode(to, &mut bytes);

            for (byte, transcoded) in (0..=255).zip(bytes) {
                let expected = if from == to { byte } else { to.encode_sample(from.decode_byte(byte)) };
                assert_eq!(transcoded, expected, "{from:?} {byte:#04x} to {to:?}");
            }
        }
    }
}
