//! G.711 by table, bit-exact with the ITU's reference (Recommendation G.191).
//!
//! µ-law sees the upper 14 bits of a sample and A-law the upper 12, so the encoding tables have 16 and 4 KiB and stay in the
//! first-level cache, where 64 KiB would not.

/// Every µ-law byte as a sample.
pub static ULAW_TO_LINEAR: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = expand_ulaw(byte as u8);
        byte += 1;
    }
    table
};

/// Every A-law byte as a sample.
pub static ALAW_TO_LINEAR: [i16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = expand_alaw(byte as u8);
        byte += 1;
    }
    table
};

/// Every µ-law byte as the A-law byte of the same sample.
///
/// This is decoding and encoding again. Tables 3 and 4 of G.711 take the neighbouring step for a few values, because there the
/// two laws differ by 0.03 dB in level; ours gives what a message reads when it is kept as linear samples in between.
pub static ULAW_TO_ALAW: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = compress_alaw(expand_ulaw(byte as u8));
        byte += 1;
    }
    table
};

/// Every A-law byte as the µ-law byte of the same sample.
pub static ALAW_TO_ULAW: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = compress_ulaw(expand_alaw(byte as u8));
        byte += 1;
    }
    table
};

/// Encodes a sample as µ-law.
#[must_use]
#[inline]
pub fn encode_ulaw(sample: i16) -> u8 {
    LINEAR_TO_ULAW[usize::from(sample as u16 >> ULAW_DROPPED_BITS)]
}

/// Encodes a sample as A-law.
#[must_use]
#[inline]
pub fn encode_alaw(sample: i16) -> u8 {
    LINEAR_TO_ALAW[usize::from(sample as u16 >> ALAW_DROPPED_BITS)]
}

const ULAW_DROPPED_BITS: u32 = 2;
const ALAW_DROPPED_BITS: u32 = 4;

/// µ-law bytes, by the upper bits of the sample.
static LINEAR_TO_ULAW: [u8; 1 << (16 - ULAW_DROPPED_BITS)] = {
    let mut table = [0; 1 << (16 - ULAW_DROPPED_BITS)];
    let mut upper = 0;
    while upper < table.len() {
        table[upper] = compress_ulaw((upper << ULAW_DROPPED_BITS) as u16 as i16);
        upper += 1;
    }
    table
};

/// A-law bytes, by the upper bits of the sample.
static LINEAR_TO_ALAW: [u8; 1 << (16 - ALAW_DROPPED_BITS)] = {
    let mut table = [0; 1 << (16 - ALAW_DROPPED_BITS)];
    let mut upper = 0;
    while upper < table.len() {
        table[upper] = compress_alaw((upper << ALAW_DROPPED_BITS) as u16 as i16);
        upper += 1;
    }
    table
};

/// Sign and magnitude, where the negative numbers are the mirror of the positive ones around -0.5 (one's complement), as G.191
/// has it: dropping low bits before or after gives the same.
const fn split(sample: i16) -> (u8, u32) {
    if sample < 0 { (0x00, !sample as u32) } else { (0x80, sample as u32) }
}

const fn compress_ulaw(sample: i16) -> u8 {
    let (sign, magnitude) = split(sample);
    let biased = (magnitude >> ULAW_DROPPED_BITS) + 33;
    let biased = if biased > 0x1fff { 0x1fff } else { biased };
    // The bias makes the leading one one of bits 5 to 12: that is the segment, and the four bits after it the step.
    let leading = biased.ilog2();
    let step = (biased >> (leading - 4)) & 0x0f;
    // All bits but the sign are inverted.
    sign | (!(((leading - 5) << 4 | step) as u8) & 0x7f)
}

const fn expand_ulaw(byte: u8) -> i16 {
    let inverted = !byte;
    let segment = (inverted >> 4) & 0x07;
    let step = (inverted & 0x0f) as i16;
    // 33 is the bias in 14 bits; half a step puts the value in the middle of its interval.
    let magnitude = ((((step << 1) + 33) << segment) - 33) << ULAW_DROPPED_BITS;
    if byte & 0x80 == 0 { -magnitude } else { magnitude }
}

const fn compress_alaw(sample: i16) -> u8 {
    let (sign, magnitude) = split(sample);
    let magnitude = magnitude >> ALAW_DROPPED_BITS;
    let code = if magnitude < 16 {
        magnitude
    } else {
        let leading = magnitude.ilog2();
        (leading - 3) << 4 | ((magnitude >> (leading - 4)) & 0x0f)
    };
    // Every other bit is inverted, so that a line at rest has transitions.
    (sign | code as u8) ^ 0x55
}

const fn expand_alaw(byte: u8) -> i16 {
    let code = byte ^ 0x55;
    let segment = (code >> 4) & 0x07;
    let step = (code & 0x0f) as i16;
    // In half steps of the lowest segment, so that the middle of each interval is a whole number.
    let half_steps = if segment == 0 { (step << 1) + 1 } else { ((step << 1) + 33) << (segment - 1) };
    let magnitude = half_steps << (ALAW_DROPPED_BITS - 1);
    if code & 0x80 == 0 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recommendation G.711, table 2a: decoder output values of positive µ-law codes, in 14-bit units.
    #[test]
    fn ulaw_decodes_as_published() {
        let published = [
            (0x80, 8031),
            (0x81, 7775),
            (0x8f, 4191),
            (0x90, 3999),
            (0x9f, 2079),
            (0xa0, 1983),
            (0xaf, 1023),
            (0xb0, 975),
            (0xbf, 495),
            (0xc0, 471),
            (0xcf, 231),
            (0xd0, 219),
            (0xdf, 99),
            (0xe0, 93),
            (0xef, 33),
            (0xf0, 30),
            (0xfe, 2),
            (0xff, 0),
        ];

        for (byte, value) in published {
            assert_eq!(ULAW_TO_LINEAR[byte], value * 4, "{byte:#04x}");
            assert_eq!(ULAW_TO_LINEAR[byte & 0x7f], value * -4, "{byte:#04x}, negative");
        }
    }

    /// Recommendation G.711, table 1a: decoder output values of positive A-law codes, in 13-bit units.
    #[test]
    fn alaw_decodes_as_published() {
        let published = [
            (0xaa, 4032),
            (0xab, 3904),
            (0xa5, 2112),
            (0xba, 2016),
            (0xb5, 1056),
            (0x8a, 1008),
            (0x85, 528),
            (0x9a, 504),
            (0x95, 264),
            (0xea, 252),
            (0xe5, 132),
            (0xfa, 126),
            (0xf5, 66),
            (0xca, 63),
            (0xd4, 3),
            (0xd5, 1),
        ];

        for (byte, value) in published {
            assert_eq!(ALAW_TO_LINEAR[byte], value * 8, "{byte:#04x}");
            assert_eq!(ALAW_TO_LINEAR[byte & 0x7f], value * -8, "{byte:#04x}, negative");
        }
    }

    /// The checksums are of what the C reference of Recommendation G.191 gives for every possible input.
    #[test]
    fn every_input_gives_what_the_reference_gives() {
        let samples = i16::MIN..=i16::MAX;
        let ulaw = samples.clone().map(encode_ulaw);
        let alaw = samples.map(encode_alaw);
        let from_ulaw = ULAW_TO_LINEAR.iter().flat_map(|sample| sample.to_le_bytes());
        let from_alaw = ALAW_TO_LINEAR.iter().flat_map(|sample| sample.to_le_bytes());

        assert_eq!(fnv1a(ulaw), 0x04ec_1f08_3fd7_8c2d);
        assert_eq!(fnv1a(alaw), 0xf030_666e_b780_cf25);
        assert_eq!(fnv1a(from_ulaw), 0xb91e_65d6_8481_a1a8);
        assert_eq!(fnv1a(from_alaw), 0x693a_40ca_62a3_d2a5);
    }

    #[test]
    fn decoding_and_encoding_again_changes_nothing_but_negative_zero() {
        for byte in 0..=255 {
            let again = encode_ulaw(ULAW_TO_LINEAR[usize::from(byte)]);
            assert_eq!(again, if byte == 0x7f { 0xff } else { byte });
            assert_eq!(encode_alaw(ALAW_TO_LINEAR[usize::from(byte)]), byte);
        }
    }

    /// Recommendation G.711, tables 5 and 6: one period of 1 kHz at 0 dBm0.
    #[test]
    fn the_digital_milliwatt_is_the_same_tone_in_both_laws() {
        let ulaw = [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e].map(|byte: usize| f64::from(ULAW_TO_LINEAR[byte]));
        let alaw = [0x34, 0x21, 0x21, 0x34, 0xb4, 0xa1, 0xa1, 0xb4].map(|byte: usize| f64::from(ALAW_TO_LINEAR[byte]));

        let power = |period: [f64; 8]| period.iter().map(|sample| sample * sample).sum::<f64>() / 8.0;
        assert!((10.0 * (power(ulaw) / power(alaw)).log10()).abs() < 0.1);
    }

    #[test]
    fn transcoding_keeps_the_sign_and_is_off_by_a_step_at_most() {
        for byte in 0..=255_usize {
            let (sample, transcoded) = (ULAW_TO_LINEAR[byte], ALAW_TO_LINEAR[usize::from(ULAW_TO_ALAW[byte])]);
            let allowed = 8 + sample.unsigned_abs() / 24;

            assert!(sample.abs_diff(transcoded) <= allowed, "{byte:#04x}: {sample} became {transcoded}");
            let (sample, transcoded) = (ALAW_TO_LINEAR[byte], ULAW_TO_LINEAR[usize::from(ALAW_TO_ULAW[byte])]);
            assert!(sample.abs_diff(transcoded) <= allowed.max(8 + sample.unsigned_abs() / 24), "{byte:#04x}");
        }
    }

    fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}
