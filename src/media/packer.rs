//! Frames of 20 ms into packets as long as the peer asks for.

use crate::audio::codec::Codec;

/// How long a packet may be in milliseconds: what is asked for is brought to the nearest of these.
const TIMES: [u8; 5] = [10, 20, 30, 40, 60];
/// The most frames of Opus in a packet.
const MOST_FRAMES: usize = 3;
/// A length that is said in one byte in a packet of several frames (RFC 6716 §3.2.1).
const SHORT: usize = 252;

/// The length we send packets of, in milliseconds, where `wanted` is asked for.
pub(super) fn packet_time(codec: Codec, wanted: u8) -> u8 {
    let nearest = TIMES.into_iter().min_by_key(|time| time.abs_diff(wanted)).unwrap_or(20);
    match codec {
        // Its frames cannot be cut, and 30 ms are none of its lengths.
        Codec::Opus => nearest / 20 * 20,
        Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::G729 => nearest,
    }
    .max(if codec == Codec::Opus { 20 } else { 10 })
}

/// Collects frames until they are a packet.
#[derive(Debug)]
pub(super) struct Packer {
    codec: Codec,
    /// Milliseconds in a packet.
    time: u8,
    bytes: Vec<u8>,
    /// Where the frames of Opus end in `bytes`.
    ends: [usize; MOST_FRAMES],
    frames: usize,
    /// Frames of Opus as one packet.
    joined: Vec<u8>,
    /// The timestamp of what waits.
    timestamp: u32,
}

/// A packet to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packed<'a> {
    pub(super) timestamp: u32,
    pub(super) payload: &'a [u8],
}

impl Packer {
    /// For packets of `time` milliseconds, as [`packet_time`] gave them.
    pub(super) fn new(codec: Codec, time: u8) -> Self {
        Self { codec, time, bytes: Vec::with_capacity(512), ends: [0; MOST_FRAMES], frames: 0, joined: Vec::new(), timestamp: 0 }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes a frame, and sends what has become a packet.
    pub(super) fn push(&mut self, frame: &[u8], timestamp: u32, send: &mut impl FnMut(Packed<'_>)) {
        if self.codec == Codec::Opus {
            // Only frames of one kind go together.
            if self.frames > 0 && self.bytes[0] & 0xfc != frame[0] & 0xfc || frame[0] & 3 != 0 {
                self.flush(send);
            }
            if frame[0] & 3 != 0 {
                return send(Packed { timestamp, payload: frame });
            }
        }
        if self.bytes.is_empty() {
            self.timestamp = timestamp;
        }
        self.bytes.extend_from_slice(frame);
        if self.codec == Codec::Opus {
            self.ends[self.frames] = self.bytes.len();
            self.frames += 1;
            if self.frames == usize::from(self.time / 20).min(MOST_FRAMES) {
                self.flush(send);
            }
            return;
        }
        // A frame is 20 ms, so what was collected is whole milliseconds.
        let packet = frame.len() * usize::from(self.time) / 20;
        let mut from = 0;
        while packet > 0 && self.bytes.len() - from >= packet {
            send(Packed { timestamp: self.timestamp, payload: &self.bytes[from..from + packet] });
            from += packet;
            self.timestamp = self.timestamp.wrapping_add(u32::from(self.time) * 8 * self.codec.clock_factor());
        }
        self.bytes.drain(..from);
    }

    /// Sends what waits.
    pub(super) fn flush(&mut self, send: &mut impl FnMut(Packed<'_>)) {
        if self.bytes.is_empty() {
            return;
        }
        if self.codec == Codec::Opus && self.frames > 1 {
            self.join();
            send(Packed { timestamp: self.timestamp, payload: &self.joined });
        } else {
            send(Packed { timestamp: self.timestamp, payload: &self.bytes });
        }
        self.bytes.clear();
        self.frames = 0;
    }

    /// Makes the frames of Opus one packet of code 3 with lengths of their own (RFC 6716 §3.2.5).
    fn join(&mut self) {
        let joined = &mut self.joined;
        joined.clear();
        joined.extend([self.bytes[0] | 3, 0x80 | self.frames as u8]);
        let starts = std::iter::once(0).chain(self.ends);
        let frames = || starts.clone().zip(self.ends).take(self.frames).map(|(start, end)| &self.bytes[start + 1..end]);
        for frame in frames().take(self.frames - 1) {
            match frame.len() {
                short @ ..SHORT => joined.push(short as u8),
                long => {
                    let first = SHORT + long % 4;
                    joined.extend([first as u8, ((long - first) / 4) as u8]);
                }
            }
        }
        frames().for_each(|frame| joined.extend(frame));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{decoder::Decoder, encoder::Encoder};

    #[test]
    fn what_is_asked_for_is_what_is_sent() {
        let sent = |codec, wanted| packet_time(codec, wanted);

        assert_eq!([0, 10, 14, 20, 30, 40, 60, 200].map(|time| sent(Codec::Pcmu, time)), [10, 10, 10, 20, 30, 40, 60, 60]);
        assert_eq!([0, 10, 20, 30, 40, 60, 200].map(|time| sent(Codec::Opus, time)), [20, 20, 20, 20, 40, 60, 60]);
    }

    #[test]
    fn frames_become_packets_of_any_length_without_a_byte_lost() {
        for codec in [Codec::Pcmu, Codec::G722] {
            for time in TIMES {
                let mut packer = Packer::new(codec, time);
                let (mut bytes, mut packets) = (Vec::new(), Vec::new());
                let mut send = |packed: Packed<'_>| {
                    packets.push((packed.timestamp, packed.payload.len()));
                    bytes.extend_from_slice(packed.payload);
                };
                for index in 0..7_u8 {
                    packer.push(&[index; 160], u32::from(index) * 160, &mut send);
                }
                packer.flush(&mut send);

                assert!(packer.is_empty());
                assert_eq!(bytes, (0..7).flat_map(|index| [index; 160]).collect::<Vec<u8>>());
                let (last, whole) = packets.split_last().unwrap();
                assert!(whole.iter().all(|&(_, length)| length == usize::from(time) * 8), "{time} ms: {packets:?}");
                assert!(
                    packets
                        .iter()
                        .scan(0, |at, &(stamp, length)| Some(std::mem::replace(at, *at + length as u32) == stamp))
                        .all(|it| it)
                );
                assert!(last.1 <= usize::from(time) * 8);
            }
        }
    }

    #[test]
    fn frames_of_opus_are_joined_and_understood() {
        for time in [20, 40, 60] {
            let (mut encoder, mut packer) = (Encoder::new(Codec::Opus), Packer::new(Codec::Opus, time));
            let (mut alone, mut together) = (Decoder::new(Codec::Opus), Decoder::new(Codec::Opus));
            let (mut expected, mut heard, mut packets) = (Vec::new(), Vec::new(), Vec::new());
            let mut send = |packed: Packed<'_>| packets.push((packed.timestamp, packed.payload.to_vec()));
            for index in 0..30 {
                let frame: Vec<i16> = (0..320).map(|n| ((n + index * 320) * (n % 7 + 3) % 9000) as i16).collect();
                let mut payload = Vec::new();
                encoder.encode(&frame, &mut payload);
                packer.push(&payload, index as u32 * 960, &mut send);
                let mut samples = [0; 320];
                alone.decode(&payload, &mut samples);
                expected.extend(samples);
            }
            packer.flush(&mut send);

            assert!(packets.len() <= 30 * 20 / usize::from(time) + 4);
            for (timestamp, payload) in packets {
                assert_eq!(timestamp as usize / 3, heard.len());
                let mut samples = vec![0; Codec::Opus.length(&payload).unwrap() as usize * 2];
                together.decode(&payload, &mut samples);
                heard.extend(samples);
            }
            assert_eq!(heard, expected);
        }
    }
}
