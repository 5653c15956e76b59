//! Opus (RFC 6716) by libopus, as mono at 16,000 samples a second, whatever the sender chose: the decoder resamples and mixes.

use ::opus::{Application, Bandwidth, Bitrate, Channels, Signal};

/// Samples a second of what goes in and comes out.
const RATE: u32 = 16_000;
/// Bits a second that speech at this rate needs to sound like itself.
const BITRATE: i32 = 24_000;
/// The longest packet we make: five times the usual, for the loudest moments.
pub const LONGEST_PACKET: usize = 320;
/// The longest audio of a packet (RFC 6716 §3.2.5, R5), in 8000ths of a second: 120 ms.
const LONGEST: u64 = 960;

/// How long the audio of a packet is in 8000ths of a second, by its first two bytes (RFC 6716 §3.1 and §3.2); `None` when it
/// is not a packet.
#[must_use]
pub fn length(packet: &[u8]) -> Option<u64> {
    let &toc = packet.first()?;
    // In 8000ths of a second: from 2.5 ms to 60 ms.
    let frame: u64 = match toc >> 3 {
        // SILK.
        mode @ 0..12 => [80, 160, 320, 480][usize::from(mode & 3)],
        // Hybrid.
        mode @ 12..16 => [80, 160][usize::from(mode & 1)],
        // CELT.
        mode => [20, 40, 80, 160][usize::from(mode & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u64::from(packet.get(1)? & 0x3f),
    };
    Some(frames * frame).filter(|length| (1..=LONGEST).contains(length))
}

/// Makes packets of 20 ms.
#[derive(Debug)]
pub struct Encoder(::opus::Encoder);

impl Encoder {
    /// An encoder for speech.
    #[must_use]
    pub fn new() -> Self {
        let encoder = ::opus::Encoder::new(RATE, Channels::Mono, Application::Voip).and_then(|mut encoder| {
            encoder.set_bitrate(Bitrate::Bits(BITRATE))?;
            encoder.set_signal(Signal::Voice)?;
            encoder.set_max_bandwidth(Bandwidth::Wideband)?;
            // What a lost packet had is in the next one as well.
            encoder.set_inband_fec(true)?;
            encoder.set_packet_loss_perc(5)?;
            Ok(encoder)
        });
        Self(encoder.expect("libopus knows all of these settings"))
    }

    /// Encodes a frame of 320 samples and appends the packet.
    ///
    /// # Panics
    ///
    /// When the frame has another length.
    pub fn encode(&mut self, frame: &[i16], packets: &mut Vec<u8>) {
        let start = packets.len();
        packets.resize(start + LONGEST_PACKET, 0);
        let length = self.0.encode(frame, &mut packets[start..]).expect("a frame is 20 ms, and any packet fits");
        packets.truncate(start + length);
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes samples of packets, and of the lack of them.
#[derive(Debug)]
pub struct Decoder(::opus::Decoder);

impl Decoder {
    /// A decoder that has heard nothing.
    #[must_use]
    pub fn new() -> Self {
        Self(::opus::Decoder::new(RATE, Channels::Mono).expect("libopus decodes at this rate"))
    }

    /// Decodes a packet into the beginning of `samples`; answers how many there are. `None` for what is no packet, or one that
    /// `samples` has no room for.
    pub fn decode(&mut self, packet: &[u8], samples: &mut [i16]) -> Option<usize> {
        // An empty packet would mean a lost one.
        length(packet)?;
        self.0.decode(packet, samples, false).ok()
    }

    /// Makes up for packets that were lost, in whole multiples of 2.5 ms. If `next` comes right after them, what it says about
    /// them again is heard (in-band FEC).
    pub fn conceal(&mut self, samples: &mut [i16], next: Option<&[u8]>) {
        let again = next.filter(|packet| length(packet).is_some());
        let again_length = again.and_then(length).map_or(0, |length| (length as usize * 2).min(samples.len()));
        let (made_up, repeated) = samples.split_at_mut(samples.len() - again_length);
        for part in made_up.chunks_mut(FRAME) {
            self.make_up(part);
        }
        if let Some(packet) = again
            && !repeated.is_empty()
            && self.0.decode(packet, repeated, true).is_err()
        {
            self.make_up(repeated);
        }
    }

    fn make_up(&mut self, samples: &mut [i16]) {
        if self.0.decode(&[], samples, false).is_err() {
            samples.fill(0);
        }
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Samples in 20 ms.
const FRAME: usize = 320;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audio::testing::{likeness, wide_speech};

    #[test]
    fn speech_sounds_like_itself() {
        let speech = wide_speech(3.0, -20.0);

        let heard = round_trip(&speech, |_| false);

        // 6.5 ms of looking ahead.
        let (delay, likeness) = likeness(&speech, &heard, 400);
        assert!(likeness > 0.9 && (80..=140).contains(&delay), "{likeness} after {delay} samples");
    }

    #[test]
    fn what_was_lost_is_heard_from_the_packet_after_it() {
        let speech = wide_speech(4.0, -20.0);
        let whole = round_trip(&speech, |_| false);

        let concealed = round_trip(&speech, |packet| packet % 10 == 5);
        let (_, with) = likeness(&whole, &concealed, 0);

        assert!(with > 0.93, "{with}");
    }

    #[test]
    fn lengths_are_those_of_the_decoder() {
        let mut decoder = Decoder::new();
        let mut samples = [0; 1920];
        for toc in 0..=255 {
            for count in 0..64 {
                let packet = [toc, count, 1, 2, 3, 4];
                let told = ::opus::packet::get_nb_samples(&packet, 48_000).ok();
                assert_eq!(length(&packet).map(|length| length as usize * 6), told.filter(|&n| n > 0), "{toc} {count}");
                if let Some(decoded) = decoder.decode(&packet, &mut samples) {
                    assert_eq!(Some(decoded as u64), length(&packet).map(|length| length * 2));
                }
            }
        }
        assert_eq!(length(&[]), None);
        assert_eq!(length(&[3]), None);
    }

    proptest! {
        #[test]
        fn any_packets_at_all(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..20), gap in 1_usize..20) {
            let mut decoder = Decoder::new();
            let mut samples = [0; 1920];
            for packet in &packets {
                if let Some(count) = decoder.decode(packet, &mut samples) {
                    prop_assert_eq!(Some(count as u64), length(packet).map(|length| length * 2));
                }
                decoder.conceal(&mut samples[..gap * 40], Some(packet));
            }
        }
    }

    fn round_trip(speech: &[i16], lost: impl Fn(usize) -> bool) -> Vec<i16> {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        let packets: Vec<Vec<u8>> = speech
            .chunks_exact(FRAME)
            .map(|frame| {
                let mut packet = Vec::new();
                encoder.encode(frame, &mut packet);
                packet
            })
            .collect();
        let mut heard = vec![0; packets.len() * FRAME];
        for (index, (packet, samples)) in packets.iter().zip(heard.chunks_mut(FRAME)).enumerate() {
            if lost(index) {
                decoder.conceal(samples, packets.get(index + 1).map(Vec::as_slice));
            } else {
                assert_eq!(decoder.decode(packet, samples), Some(FRAME));
            }
        }
        heard
    }
}
