//! What a caller says between the end of the tone and the beginning of the recording.
//!
//! A recording is ordered by the task of its call when that hears that the tone is over. On a busy machine that takes a while, and
//! callers do not wait for it: what comes in the meantime is kept here, and the recording begins with it.

use std::time::Duration;

use super::{order::RecordingEnd, recorder::Recorder};
use crate::{audio::codec::Codec, rtp::Packet};

/// How long a recording may be in coming.
const LONGEST: Duration = Duration::from_secs(1);
/// How much is kept of that at most: G.711 in packets of 10 ms is 100 packets and below 10 kB.
const MOST_BYTES: usize = 16 * 1024;
const MOST_PACKETS: usize = 128;

/// Packets that came since something was played to its end.
#[derive(Debug, Default)]
pub(super) struct Prelude {
    /// When that was; none while nothing is kept.
    since: Option<Duration>,
    bytes: Vec<u8>,
    packets: Vec<Kept>,
}

#[derive(Debug)]
struct Kept {
    arrived: Duration,
    matter: Matter,
    /// Where it ends in the bytes; it begins where the one before ends.
    end: usize,
}

/// What a packet is to a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matter {
    Audio(Codec),
    ComfortNoise,
    Key,
}

impl Prelude {
    /// What plays comes to its end at this moment: what is said from then on may belong to a recording.
    pub(super) fn begin(&mut self, at: Duration) {
        *self = Self { since: Some(at), bytes: Vec::with_capacity(MOST_BYTES), packets: Vec::with_capacity(MOST_PACKETS) };
    }

    /// What was said belongs to no recording.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Keeps a packet that arrived at `now`, if it may belong to a recording.
    pub(super) fn keep(&mut self, datagram: &[u8], matter: Matter, now: Duration) {
        let Some(elapsed) = self.since.and_then(|since| now.checked_sub(since)) else { return };
        let is_full = self.bytes.len() + datagram.len() > MOST_BYTES || self.packets.len() == MOST_PACKETS;
        if is_full || elapsed >= LONGEST {
            return;
        }
        self.bytes.extend_from_slice(datagram);
        self.packets.push(Kept { arrived: now, matter, end: self.bytes.len() });
    }

    /// When the recording that begins at `now` has begun in truth.
    pub(super) fn beginning(&self, now: Duration) -> Duration {
        self.since.unwrap_or(now)
    }

    /// How many packets there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }

    /// Has it recorded; answers why the recording is over, if it is already.
    pub(super) fn give(self, recorder: &mut Recorder) -> Option<RecordingEnd> {
        let mut start = 0;
        for Kept { arrived, matter, end } in self.packets {
            let packet = Packet::parse(&self.bytes[start..end]);
            start = end;
            let Some(packet) = packet else { continue };
            match matter {
                Matter::Audio(codec) => {
                    if let Some(over) = recorder.receive(&packet, codec, arrived) {
                        return Some(over);
                    }
                }
                Matter::ComfortNoise => recorder.pause(&packet),
                Matter::Key => recorder.pass(&packet),
            }
        }
        None
    }
}
