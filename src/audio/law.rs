//! The codecs we speak.

use super::g711;

/// An audio codec of 8000 samples a second, one byte a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law: North America and Japan.
    Pcmu,
    /// G.711 A-law: everywhere else.
    Pcma,
}

impl Codec {
    /// All of them, in the order we offer them.
    pub const ALL: [Self; 2] = [Self::Pcmu, Self::Pcma];

    /// RTP timestamp units a second.
    pub const CLOCK_RATE: u32 = 8000;

    /// The static RTP payload type (RFC 3551 table 4).
    #[must_use]
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// The codec with this static payload type.
    #[must_use]
    pub const fn from_payload_type(payload_type: u8) -> Option<Self> {
        match payload_type {
            0 => Some(Self::Pcmu),
            8 => Some(Self::Pcma),
            _ => None,
        }
    }

    /// The encoding name in SDP and in journals.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// The codec of this encoding name, in any case (RFC 4855 §3).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// The byte that fills gaps: positive zero.
    #[must_use]
    pub const fn silence(self) -> u8 {
        match self {
            Self::Pcmu => 0xff,
            Self::Pcma => 0xd5,
        }
    }

    /// Encodes one sample.
    #[must_use]
    pub fn encode_sample(self, sample: i16) -> u8 {
        match self {
            Self::Pcmu => g711::encode_ulaw(sample),
            Self::Pcma => g711::encode_alaw(sample),
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
            Self::Pcmu => bytes.iter_mut().zip(samples).for_each(|(byte, &sample)| *byte = g711::encode_ulaw(sample)),
            Self::Pcma => bytes.iter_mut().zip(samples).for_each(|(byte, &sample)| *byte = g711::encode_alaw(sample)),
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

    /// Turns bytes of this codec into bytes of `to` in place: the same bytes as decoding and encoding them would give.
    pub fn transcode(self, to: Self, bytes: &mut [u8]) {
        let table = match (self, to) {
            (Self::Pcmu, Self::Pcma) => &g711::ULAW_TO_ALAW,
            (Self::Pcma, Self::Pcmu) => &g711::ALAW_TO_ULAW,
            (Self::Pcmu, Self::Pcmu) | (Self::Pcma, Self::Pcma) => return,
        };
        bytes.iter_mut().for_each(|byte| *byte = table[usize::from(*byte)]);
    }

    fn decode_table(self) -> &'static [i16; 256] {
        match self {
            Self::Pcmu => &g711::ULAW_TO_LINEAR,
            Self::Pcma => &g711::ALAW_TO_LINEAR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_payload_types_lead_back() {
        for codec in Codec::ALL {
            assert_eq!(Codec::from_name(&codec.name().to_lowercase()), Some(codec));
            assert_eq!(Codec::from_payload_type(codec.payload_type()), Some(codec));
        }
        assert_eq!(Codec::from_name("G722"), None);
        assert_eq!(Codec::from_payload_type(9), None);
    }

    #[test]
    fn silence_is_silent_also_after_transcoding() {
        for (codec, other) in [(Codec::Pcmu, Codec::Pcma), (Codec::Pcma, Codec::Pcmu)] {
            let mut bytes = [codec.silence()];
            codec.transcode(other, &mut bytes);

            assert_eq!(codec.encode_sample(0), codec.silence());
            // A-law has no zero: its silence is half of its lowest step.
            assert!(codec.decode_byte(codec.silence()).abs() <= 8);
            assert!(other.decode_byte(bytes[0]).abs() <= 8);
        }
    }

    #[test]
    fn slices_and_single_samples_agree() {
        let samples: Vec<i16> = (0..=u16::MAX).map(|bits| bits as i16).collect();

        for codec in Codec::ALL {
            let bytes = codec.encoded(&samples);
            let back = codec.decoded(&bytes);

            assert!(samples.iter().zip(&bytes).all(|(&sample, &byte)| codec.encode_sample(sample) == byte));
            assert!(bytes.iter().zip(&back).all(|(&byte, &sample)| codec.decode_byte(byte) == sample));
        }
    }

    #[test]
    fn the_shorter_slice_decides() {
        let mut bytes = [7; 2];
        Codec::Pcmu.encode(&[0], &mut bytes);
        assert_eq!(bytes, [0xff, 7]);

        let mut samples = [7; 1];
        Codec::Pcmu.decode(&[0xff, 0xff], &mut samples);
        assert_eq!(samples, [0]);
    }

    #[test]
    fn transcoding_is_decoding_and_encoding() {
        for (from, to) in [(Codec::Pcmu, Codec::Pcma), (Codec::Pcma, Codec::Pcmu), (Codec::Pcma, Codec::Pcma)] {
            let mut bytes: Vec<u8> = (0..=255).collect();
            from.transcode(to, &mut bytes);

            for (byte, transcoded) in (0..=255).zip(bytes) {
                let expected = if from == to { byte } else { to.encode_sample(from.decode_byte(byte)) };
                assert_eq!(transcoded, expected, "{from:?} {byte:#04x} to {to:?}");
            }
        }
    }
}
