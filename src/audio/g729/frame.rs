//! The 80 bits of a frame (table 8 of the Recommendation).

use super::FRAME_BYTES;

/// What a frame says, as indices into tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub filter: FilterIndices,
    /// Whether the first delay is as it was sent, as far as its parity tells.
    pub delay_is_sound: bool,
    pub halves: [Half; 2],
}

/// The filter (L0 to L3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FilterIndices {
    pub predictor: usize,
    pub first: usize,
    pub low: usize,
    pub high: usize,
}

/// The excitation of a subframe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Half {
    /// P1 or P2.
    pub delay: usize,
    /// C1 or C2.
    pub positions: usize,
    /// S1 or S2.
    pub signs: usize,
    /// GA and GB.
    pub gains: [usize; 2],
}

impl Frame {
    pub(super) fn read(bytes: &[u8; FRAME_BYTES]) -> Self {
        let mut rest = bytes.iter().fold(0_u128, |bits, &byte| bits << 8 | u128::from(byte)) << 48;
        let mut take = |bits: u32| {
            let field = rest >> (128 - bits);
            rest <<= bits;
            field as usize
        };
        let filter = FilterIndices { predictor: take(1), first: take(7), low: take(5), high: take(5) };
        let delay = take(8);
        let delay_is_sound = take(1) == parity(delay);
        let first = Half { delay, positions: take(13), signs: take(4), gains: [take(3), take(4)] };
        let second = Half { delay: take(5), positions: take(13), signs: take(4), gains: [take(3), take(4)] };
        Self { filter, delay_is_sound, halves: [first, second] }
    }

    pub(super) fn write(&self) -> [u8; FRAME_BYTES] {
        let mut all = 0_u128;
        let mut put = |field: usize, bits: u32| all = all << bits | field as u128;
        let FilterIndices { predictor, first, low, high } = self.filter;
        for (field, bits) in [(predictor, 1), (first, 7), (low, 5), (high, 5)] {
            put(field, bits);
        }
        for (half, delay_bits) in self.halves.iter().zip([8, 5]) {
            put(half.delay, delay_bits);
            if delay_bits == 8 {
                put(parity(half.delay) ^ usize::from(!self.delay_is_sound), 1);
            }
            for (field, bits) in [(half.positions, 13), (half.signs, 4), (half.gains[0], 3), (half.gains[1], 4)] {
                put(field, bits);
            }
        }
        let bytes = all.to_be_bytes();
        *bytes.last_chunk().expect("sixteen bytes are more than ten")
    }
}

/// The parity of the upper six bits of the first delay, so that they and it are odd (§3.7.2).
fn parity(delay: usize) -> usize {
    ((delay >> 2).count_ones() as usize + 1) % 2
}
