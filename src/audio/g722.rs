//! G.722 at 64 kbit/s: 16,000 samples a second in the space of G.711.
//!
//! Two bands of 8000 samples each, split and joined by a quadrature mirror filter, and each coded as the difference to what was
//! expected of it: six bits below 4 kHz, two above. Encoder and decoder run the same prediction, and forget an error within
//! some milliseconds. Names and numbers of the blocks are those of ITU-T Recommendation G.722 (11/88).

/// How long a payload is in 8000ths of a second: each byte has one sample of each band.
#[must_use]
pub const fn length(payload: &[u8]) -> u64 {
    payload.len() as u64
}

/// Makes G.722 of samples.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    filter: Filter,
    low: LowBand,
    high: HighBand,
}

impl Encoder {
    /// Encodes pairs of samples into as many bytes; a last odd sample is left out, and the shorter of the two slices decides.
    pub fn encode(&mut self, samples: &[i16], bytes: &mut [u8]) {
        for (byte, &[first, second]) in bytes.iter_mut().zip(samples.as_chunks::<2>().0) {
            let (odd, even) = self.filter.push(first.into(), second.into());
            // Block 1: the two bands, which are half the sum and half the difference.
            *byte = self.high.encode((even - odd) >> 14) << 6 | self.low.encode((even + odd) >> 14);
        }
    }
}

/// Makes samples of G.722.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    filter: Filter,
    low: LowBand,
    high: HighBand,
}

impl Decoder {
    /// Decodes bytes into twice as many samples; the shorter of the two slices decides.
    pub fn decode(&mut self, bytes: &[u8], samples: &mut [i16]) {
        for ([first, second], &byte) in samples.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
            let low = self.low.decode(byte & 0x3f);
            let high = self.high.decode(byte >> 6);
            let (odd, even) = self.filter.push(low + high, low - high);
            (*first, *second) = (clipped(even >> 11) as i16, clipped(odd >> 11) as i16);
        }
    }
}

/// The last 24 values before or behind the quadrature mirror filter, twice in a row, so that they can be read in order from
/// anywhere.
#[derive(Clone, Debug)]
struct Filter {
    values: [i32; 48],
    /// The place of the oldest two.
    oldest: usize,
}

impl Default for Filter {
    fn default() -> Self {
        Self { values: [0; 48], oldest: 0 }
    }
}

impl Filter {
    /// Takes two more values; answers the weighted sum of the odd and of the even ones.
    fn push(&mut self, first: i32, second: i32) -> (i32, i32) {
        for at in [self.oldest, self.oldest + 24] {
            self.values[at] = first;
            self.values[at + 1] = second;
        }
        self.oldest = (self.oldest + 2) % 24;
        let window = &self.values[self.oldest..self.oldest + 24];
        let (mut odd, mut even) = (0, 0);
        for ((&[first, second], &ascending), &descending) in
            window.as_chunks::<2>().0.iter().zip(&MIRROR).zip(MIRROR.iter().rev())
        {
            odd += first * ascending;
            even += second * descending;
        }
        (odd, even)
    }
}

/// Every second coefficient of the filter; the others are the same backwards.
const MIRROR: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

/// The lower band: six bits a sample, of which the upper four feed the prediction.
#[derive(Clone, Debug)]
struct LowBand {
    predictor: Predictor,
    scale: Scale<18_432, 8>,
}

impl Default for LowBand {
    fn default() -> Self {
        Self { predictor: Predictor::default(), scale: Scale { log: 0, step: 32 } }
    }
}

impl LowBand {
    fn encode(&mut self, sample: i32) -> u8 {
        let difference = clipped(sample - self.predictor.expected);
        // Quantisation levels grow, so the first that is too large tells the interval.
        let magnitude = if difference >= 0 { difference } else { !difference };
        let interval = LOW_LEVELS.partition_point(|level| (level * self.scale.step) >> 12 <= magnitude) as u8;
        // Positive intervals count down from 61, negative ones from 63 over 31; the two largest of those lie above.
        let code = match (difference >= 0, interval) {
            (true, _) => 61 - interval,
            (false, 0) => 63,
            (false, 1) => 62,
            (false, _) => 33 - interval,
        };
        self.adapt(code);
        code
    }

    fn decode(&mut self, code: u8) -> i32 {
        let fine = (self.scale.step * LOW_FINE[usize::from(code)]) >> 15;
        let sample = (self.predictor.expected + fine).clamp(-16_384, 16_383);
        self.adapt(code);
        sample
    }

    fn adapt(&mut self, code: u8) {
        let coarse = usize::from(code >> 2);
        let difference = (self.scale.step * LOW_COARSE[coarse]) >> 15;
        self.scale.adapt(LOW_GROWTH[coarse]);
        self.predictor.adapt(difference);
    }
}

/// The upper band: two bits a sample.
#[derive(Clone, Debug)]
struct HighBand {
    predictor: Predictor,
    scale: Scale<22_528, 10>,
}

impl Default for HighBand {
    fn default() -> Self {
        Self { predictor: Predictor::default(), scale: Scale { log: 0, step: 8 } }
    }
}

impl HighBand {
    fn encode(&mut self, sample: i32) -> u8 {
        let difference = clipped(sample - self.predictor.expected);
        let magnitude = if difference >= 0 { difference } else { !difference };
        let large = magnitude >= (564 * self.scale.step) >> 12;
        let code = match (difference >= 0, large) {
            (true, false) => 3,
            (true, true) => 2,
            (false, false) => 1,
            (false, true) => 0,
        };
        self.adapt(code);
        code
    }

    fn decode(&mut self, code: u8) -> i32 {
        let expected = self.predictor.expected;
        (self.adapt(code) + expected).clamp(-16_384, 16_383)
    }

    fn adapt(&mut self, code: u8) -> i32 {
        let code = usize::from(code & 3);
        let difference = (self.scale.step * HIGH[code]) >> 15;
        self.scale.adapt(HIGH_GROWTH[code]);
        self.predictor.adapt(difference);
        difference
    }
}

/// The quantiser's step, which follows how large differences are (LOGSCL and SCALEL, LOGSCH and SCALEH).
#[derive(Clone, Debug)]
struct Scale<const MOST: i32, const SHIFT: i32> {
    log: i32,
    step: i32,
}

impl<const MOST: i32, const SHIFT: i32> Scale<MOST, SHIFT> {
    fn adapt(&mut self, growth: i32) {
        self.log = (((self.log * 127) >> 7) + growth).clamp(0, MOST);
        let mantissa = POWERS[(self.log >> 6 & 31) as usize];
        let shift = SHIFT - (self.log >> 11);
        self.step = if shift < 0 { mantissa << -shift } else { mantissa >> shift } << 2;
    }
}

/// Expects the next sample of a band from its last two and from the last six differences (block 4).
#[derive(Clone, Debug, Default)]
struct Predictor {
    /// What is expected next, and the part of it that comes from the differences.
    expected: i32,
    from_differences: i32,
    /// Weights of the last two samples, and those samples.
    poles: [i32; 2],
    samples: [i32; 2],
    /// The last two samples without what was expected from samples.
    partial: [i32; 2],
    /// Weights of the last six differences, and those differences.
    zeros: [i32; 6],
    differences: [i32; 6],
}

impl Predictor {
    fn adapt(&mut self, difference: i32) {
        let sample = clipped(self.expected + difference);
        let partial = clipped(self.from_differences + difference);
        let agrees = |before: i32| (before ^ partial) >= 0;

        // UPPOL2
        let pull = clipped(self.poles[0] << 2);
        let pull = if agrees(self.partial[0]) { (-pull).min(32_767) } else { pull } >> 7;
        let second = pull + if agrees(self.partial[1]) { 128 } else { -128 } + ((self.poles[1] * 32_512) >> 15);
        let second = second.clamp(-12_288, 12_288);
        // UPPOL1
        let first = clipped(if agrees(self.partial[0]) { 192 } else { -192 } + ((self.poles[0] * 32_640) >> 15));
        let most = clipped(15_360 - second);
        self.poles = [first.clamp(-most, most), second];
        // UPZERO
        let step = if difference == 0 { 0 } else { 128 };
        for (weight, &before) in self.zeros.iter_mut().zip(&self.differences) {
            let pull = if (before ^ difference) >= 0 { step } else { -step };
            *weight = clipped(pull + ((*weight * 32_640) >> 15));
        }
        // DELAYA
        self.samples = [sample, self.samples[0]];
        self.partial = [partial, self.partial[0]];
        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;
        // FILTEP, FILTEZ, PREDIC
        let weighted = |weight: i32, value: i32| (weight * clipped(value * 2)) >> 15;
        let from_samples = clipped(weighted(self.poles[0], self.samples[0]) + weighted(self.poles[1], self.samples[1]));
        let sum = self.zeros.iter().zip(&self.differences).map(|(&weight, &value)| weighted(weight, value)).sum();
        self.from_differences = clipped(sum);
        self.expected = clipped(from_samples + self.from_differences);
    }
}

/// To 16 bits.
fn clipped(value: i32) -> i32 {
    value.clamp(-32_768, 32_767)
}

/// Decision levels of the lower band (table 14, Q6); the first is zero and decides nothing.
const LOW_LEVELS: [i32; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339, 1458, 1612,
    1765, 1980, 2195, 2557, 2919,
];
/// Output levels of the lower band by all six bits (QM6).
const LOW_FINE: [i32; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192, -10_232, -9360, -8576, -7856,
    -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688, -1360, -1040, -728, 24_808,
    21_904, 19_008, 16_704, 14_984, 13_512, 12_280, 11_192, 10_232, 9360, 8576, 7856, 7192, 6576, 6000, 5456, 4944, 4464, 4008,
    3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];
/// Output levels of the lower band by the upper four bits (QM4).
const LOW_COARSE: [i32; 16] =
    [0, -20_456, -12_896, -8968, -6288, -4240, -2584, -1200, 20_456, 12_896, 8968, 6288, 4240, 2584, 1200, 0];
/// How the lower band's step grows with each of them (WL after RL42).
const LOW_GROWTH: [i32; 16] = [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];
/// Output levels of the upper band (QM2), and how its step grows (WH after RH2).
const HIGH: [i32; 4] = [-7408, -1616, 7408, 1616];
const HIGH_GROWTH: [i32; 4] = [798, -214, 798, -214];
/// Powers of two between 1 and 2, in 2048ths (ILB).
const POWERS: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960, 3025, 3091, 3158,
    3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// What other implementations make of the same input: the encoder of SpanDSP 0.0.6, the decoder of FFmpeg 5.1. (The former's
    /// decoder lets what is too loud wrap around.)
    const ENCODED: u64 = 0x329a_d5ec_4ecf_79ef;
    const DECODED: u64 = 0xbedd_19f6_48c3_68c9;
    const ARBITRARY_DECODED: u64 = 0x6b27_61af_d805_6f41;

    #[test]
    fn encoder_and_decoder_do_what_others_do_bit_by_bit() {
        let mut random = 1_u32;
        let noise: Vec<i16> = (0..32_000)
            .map(|n| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 16) as i16 >> (n / 2000 % 8)
            })
            .collect();

        let mut encoded = vec![0; 16_000];
        Encoder::default().encode(&noise, &mut encoded);
        assert_eq!(hash(encoded.iter().copied()), ENCODED);
        assert_eq!(hash(decoded(&encoded).into_iter().flat_map(i16::to_le_bytes)), DECODED);

        let arbitrary: Vec<u8> = (0..16_000_usize).map(|i| (i * i * 7 + i / 3) as u8).collect();
        assert_eq!(hash(decoded(&arbitrary).into_iter().flat_map(i16::to_le_bytes)), ARBITRARY_DECODED);
    }

    #[test]
    fn the_shorter_slice_decides() {
        let mut bytes = [7; 2];
        Encoder::default().encode(&[0, 0, 0], &mut bytes);
        assert_eq!(bytes[1], 7);

        let mut samples = [7; 3];
        Decoder::default().decode(&[0xff, 0xff], &mut samples);
        assert_eq!(samples[2], 7);
    }

    fn decoded(bytes: &[u8]) -> Vec<i16> {
        let mut samples = vec![0; 2 * bytes.len()];
        // In two parts, which is the same.
        let (first, rest) = bytes.split_at(bytes.len() / 3);
        let mut decoder = Decoder::default();
        decoder.decode(first, &mut samples);
        decoder.decode(rest, &mut samples[2 * first.len()..]);
        samples
    }

    /// FNV-1a.
    fn hash(bytes: impl Iterator<Item = u8>) -> u64 {
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
    }
}
