//! G.729 at 8 kbit/s, with the simpler search and post-filter of Annex A: speech at 8000 samples a second in a tenth of the space
//! of G.711. Its frames are 10 ms, 80 bits.
//!
//! A voice is modelled as a filter, the mouth, and what excites it: the last period of the excitation once more, and four pulses.
//! Each frame names the filter, and twice the delay, the pulses and how strong both are. Whoever decodes runs the same
//! model, so it knows what the encoder knows.
//!
//! Written from ITU-T Recommendation G.729 (06/2012), to whose sections comments refer, in floating point as its Annex C has
//! it: what is decoded is within rounding of what fixed-point decoders give, not the same to the last bit. Patents ended in 2017.
//! Nothing is sent in pauses (Annex B): we answer `annexb=no`, but what peers send in them all the same is understood.
//!
//! Start with [`Decoder`] and [`Encoder`]; what they share is in `lsp` (the filter) and `excitation`.

mod tables;
mod frame;
mod lsp;
mod excitation;
mod decoder;
mod post_filter;
mod encoder;
mod search;
#[cfg(test)]
mod tests;

pub use self::{decoder::Decoder, encoder::Encoder};

/// Samples in a frame.
pub const FRAME: usize = 80;
/// Bytes of a frame.
pub const FRAME_BYTES: usize = 10;
/// By how many samples a decoder is behind its encoder's input.
pub const DELAY: usize = 40;

/// Bytes of a frame that describes silence (Annex B).
const SILENCE_BYTES: usize = 2;
/// Samples for which there is an excitation of its own.
const SUBFRAME: usize = 40;
/// How many samples back the filter looks.
const ORDER: usize = 10;
/// The longest and shortest delay of what is repeated.
const LONGEST_DELAY: usize = 143;
const SHORTEST_DELAY: usize = 20;

/// Values of a filter of the mouth: the coefficients behind the first, which is 1.
type Filter = [f32; ORDER];

/// How long a payload is in 8000ths of a second: frames, and perhaps a description of silence behind them (RFC 3551 §4.5.6), which
/// counts as a frame. `None` when it is no payload.
#[must_use]
pub const fn length(payload: &[u8]) -> Option<u64> {
    let frames = (payload.len() / FRAME_BYTES * FRAME) as u64;
    match payload.len() % FRAME_BYTES {
        0 => Some(frames),
        SILENCE_BYTES => Some(frames + FRAME as u64),
        _ => None,
    }
}

/// What a payload says about the silence after it, as a payload of comfort noise (RFC 3389); `None` when audio follows.
#[must_use]
pub fn comfort(payload: &[u8]) -> Option<[u8; 1]> {
    let &[_, last] = payload.last_chunk::<SILENCE_BYTES>()?;
    (payload.len() % FRAME_BYTES == SILENCE_BYTES).then(|| {
        // The excitation's five bits: -12 dB, then -4 to 16 by fours, then to 66 by twos (§B.4.2.1).
        let decibels = match last >> 1 & 0x1f {
            0 => -12,
            few @ 1..6 => i16::from(few) * 4 - 8,
            many => i16::from(many) * 2 + 4,
        };
        // The overload point is at 84, and the filter of a usual background adds 5.
        [(79 - decibels) as u8]
    })
}
