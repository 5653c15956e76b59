//! One RTP packet (RFC 3550 §5.1).

/// The length of the header we write: no contributing sources, no extension.
pub const HEADER_LENGTH: usize = 12;

/// An RTP packet, its payload borrowed from the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Marks the first packet after a silence, or the first of a telephone-event.
    pub marker: bool,
    /// What the payload is; agreed on in SDP.
    pub payload_type: u8,
    /// Grows by one a packet, and wraps.
    pub sequence: u16,
    /// When the payload was sampled, in samples, from a random start; wraps.
    pub timestamp: u32,
    /// The stream this packet belongs to.
    pub ssrc: u32,
    /// The payload without padding.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads a datagram; `None` when it is not RTP version 2, is cut short, or is RTCP on the same port (RFC 5761 §4).
    #[must_use]
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let (header, mut rest) = datagram.split_first_chunk::<HEADER_LENGTH>()?;
        if header[0] >> 6 != 2 || is_rtcp(datagram) {
            return None;
        }
        let contributing_sources = usize::from(header[0] & 0x0f);
        rest = rest.get(contributing_sources * 4..)?;
        if header[0] & 0x10 != 0 {
            let (extension, after) = rest.split_first_chunk::<4>()?;
            let words = usize::from(u16::from_be_bytes([extension[2], extension[3]]));
            rest = after.get(words * 4..)?;
        }
        if header[0] & 0x20 != 0 {
            // The last byte counts the padding, itself included.
            let padding = usize::from(*rest.last()?);
            rest = if padding == 0 { return None } else { &rest[..rest.len().checked_sub(padding)?] };
        }
        Some(Self {
            marker: header[1] & 0x80 != 0,
            payload_type: header[1] & 0x7f,
            sequence: u16::from_be_bytes([header[2], header[3]]),
            timestamp: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
            ssrc: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
            payload: rest,
        })
    }

    /// The header of this packet as we send it; the payload follows it as it is.
    #[must_use]
    pub fn header(&self) -> [u8; HEADER_LENGTH] {
        let [s0, s1] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3] = self.timestamp.to_be_bytes();
        let [r0, r1, r2, r3] = self.ssrc.to_be_bytes();
        [0x80, u8::from(self.marker) << 7 | self.payload_type & 0x7f, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3]
    }

    /// The whole packet as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.header()[..], self.payload].concat()
    }
}

/// Whether a datagram on a port that carries both is RTCP: its packet type lies where RTP payload types 64–95 with the
/// marker bit would be (RFC 5761 §4).
#[must_use]
pub fn is_rtcp(datagram: &[u8]) -> bool {
    datagram.get(1).is_some_and(|second| (192..=223).contains(second))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_packet_is_read_as_it_was_written() {
        let packet = Packet { marker: true, payload_type: 8, sequence: 65535, timestamp: 0xffff_fff0, ssrc: 7, payload: b"abc" };

        assert_eq!(Packet::parse(&packet.to_bytes()), Some(packet));
    }

    #[test]
    fn sources_extension_and_padding_are_no_payload() {
        let mut datagram = vec![0x80 | 0x20 | 0x10 | 2, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 9];
        datagram.extend([0; 8]); // two contributing sources
        datagram.extend([0xbe, 0xde, 0, 1, 1, 2, 3, 4]); // an extension of one word
        datagram.extend(*b"voice");
        datagram.extend([0, 0, 3]); // padding

        let packet = Packet::parse(&datagram).expect("a valid packet");

        assert_eq!((packet.payload, packet.sequence, packet.timestamp), (&b"voice"[..], 1, 160));
    }

    #[test]
    fn what_is_not_rtp_is_refused() {
        let good = Packet { marker: false, payload_type: 0, sequence: 1, timestamp: 2, ssrc: 3, payload: &[0; 160] }.to_bytes();
        let with = |at: usize, byte: u8| {
            let mut bad = good.clone();
            bad[at] = byte;
            bad
        };

        assert_eq!(Packet::parse(&good[..11]), None, "cut short");
        assert_eq!(Packet::parse(&with(0, 0x40)), None, "version 1");
        assert_eq!(Packet::parse(&with(1, 200)), None, "a sender report");
        assert_eq!(Packet::parse(&with(0, 0x8f)[..40]), None, "fifteen sources promised, seven there");
        assert_eq!(Packet::parse(&with(0, 0xa0)), None, "padding of no bytes");
        let mut padded = with(0, 0xa0);
        *padded.last_mut().expect("not empty") = 161;
        assert_eq!(Packet::parse(&padded), None, "more padding than there is");
    }

    proptest! {
        #[test]
        fn any_datagram_is_read_or_refused(datagram in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(packet) = Packet::parse(&datagram) {
                prop_assert!(packet.payload.len() + HEADER_LENGTH <= datagram.len());
                let bytes = packet.to_bytes();
                prop_assert_eq!(Packet::parse(&bytes), Some(packet));
            }
        }
    }
}
