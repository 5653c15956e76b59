//! Samples into payloads.

use super::{codec::Codec, g722, g729, law::Law, opus};

/// Makes payloads of one stream of samples, 20 ms each.
#[derive(Debug)]
pub enum Encoder {
    /// Has no memory.
    G711(Law),
    /// Has little.
    G722(Box<g722::Encoder>),
    /// Has much.
    Opus(Box<opus::Encoder>),
    /// Has much, and two frames in 20 ms.
    G729(Box<g729::Encoder>),
}

impl Encoder {
    /// An encoder at the beginning of a stream.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        match codec {
            Codec::Pcmu => Self::G711(Law::Mu),
            Codec::Pcma => Self::G711(Law::A),
            Codec::G722 => Self::G722(Box::default()),
            Codec::Opus => Self::Opus(Box::default()),
            Codec::G729 => Self::G729(Box::default()),
        }
    }

    /// Encodes a frame of [`Codec::frame_samples`] and appends its payload.
    ///
    /// # Panics
    ///
    /// When the frame has another length.
    pub fn encode(&mut self, frame: &[i16], payload: &mut Vec<u8>) {
        let start = payload.len();
        match self {
            Self::G711(law) => {
                payload.resize(start + frame.len(), 0);
                law.encode(frame, &mut payload[start..]);
            }
            Self::G722(encoder) => {
                payload.resize(start + frame.len() / 2, 0);
                encoder.encode(frame, &mut payload[start..]);
            }
            Self::Opus(encoder) => encoder.encode(frame, payload),
            Self::G729(encoder) => {
                for frame in frame.as_chunks().0 {
                    payload.extend(encoder.encode(frame));
                }
            }
        }
    }
}
