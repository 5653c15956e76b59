//! What a receiver can say about a stream (RFC 3550 §6.4.1 and §A.3, §A.8): how much was lost, how much the packets jitter.

use std::time::Duration;

use super::{
    packet::Packet,
    rtcp::{ReportBlock, Sent},
};

/// Counts the packets of one stream.
#[derive(Clone, Debug, Default)]
pub struct Reception {
    stream: Option<Stream>,
    received: u64,
    last_report: Option<(u32, Duration)>,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    first: u16,
    highest: u16,
    wraps: u16,
    received: u32,
    /// Sixteen times the jitter, so that whole numbers are enough.
    jitter: u32,
    transit: u32,
    expected_before: u32,
    received_before: u32,
}

impl Reception {
    /// Counts a packet that arrived at `now`, of a stream with so many timestamp units a second.
    pub fn count(&mut self, packet: &Packet<'_>, clock_rate: u32, now: Duration) {
        self.received += 1;
        let arrival = (now.as_micros() * u128::from(clock_rate) / 1_000_000) as u32;
        let transit = arrival.wrapping_sub(packet.timestamp);
        match &mut self.stream {
            Some(stream) if stream.ssrc == packet.ssrc => {
                stream.count(packet);
                // A timestamp that leaps is no jitter; without this one leap would spoil the figure for seconds.
                let difference = transit.wrapping_sub(stream.transit).cast_signed().unsigned_abs().min(clock_rate);
                stream.transit = transit;
                stream.jitter = stream.jitter + difference - ((stream.jitter + 8) >> 4);
            }
            _ => {
                self.stream = Some(Stream {
                    ssrc: packet.ssrc,
                    first: packet.sequence,
                    highest: packet.sequence,
                    wraps: 0,
                    received: 1,
                    jitter: 0,
                    transit,
                    expected_before: 0,
                    received_before: 0,
                });
            }
        }
    }

    /// Counts a packet of the stream that is heard whose timestamp does not say when it was sent: all packets of one
    /// telephone-event carry the time it began (RFC 4733 §2.5.1.2).
    pub fn count_event(&mut self, packet: &Packet<'_>) {
        if let Some(stream) = self.stream.as_mut().filter(|stream| stream.ssrc == packet.ssrc) {
            self.received += 1;
            stream.count(packet);
        }
    }

    /// Notes the peer's sender report, so that it can work out the round trip from our next one.
    pub fn heard_report(&mut self, sent: &Sent, now: Duration) {
        self.last_report = Some(((sent.ntp >> 16) as u32, now));
    }

    /// Packets counted since the beginning, in all streams.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The stream that is heard.
    #[must_use]
    pub fn ssrc(&self) -> Option<u32> {
        self.stream.map(|stream| stream.ssrc)
    }

    /// What to report about the stream now; the next report counts its fraction from here.
    pub fn block(&mut self, now: Duration) -> Option<ReportBlock> {
        let stream = self.stream.as_mut()?;
        let highest_sequence = u32::from(stream.wraps) << 16 | u32::from(stream.highest);
        let expected = highest_sequence.wrapping_sub(u32::from(stream.first)).wrapping_add(1);
        let expected_lately = expected.wrapping_sub(stream.expected_before);
        let received_lately = stream.received.wrapping_sub(stream.received_before);
        let lost_lately = expected_lately.saturating_sub(received_lately);
        stream.expected_before = expected;
        stream.received_before = stream.received;
        let (last_report, since_last_report) = match self.last_report {
            Some((ntp, at)) => (ntp, (now.saturating_sub(at).as_micros() * 65_536 / 1_000_000) as u32),
            None => (0, 0),
        };
        Some(ReportBlock {
            ssrc: stream.ssrc,
            fraction_lost: (u64::from(lost_lately) * 256).checked_div(u64::from(expected_lately)).unwrap_or(0).min(255) as u8,
            lost: expected.wrapping_sub(stream.received).cast_signed(),
            highest_sequence,
            jitter: stream.jitter >> 4,
            last_report,
            since_last_report,
        })
    }
}

impl Stream {
    fn count(&mut self, packet: &Packet<'_>) {
        self.received += 1;
        let ahead = packet.sequence.wrapping_sub(self.highest);
        if ahead != 0 && ahead < 0x8000 {
            self.wraps = self.wraps.wrapping_add(u16::from(packet.sequence < self.highest));
            self.highest = packet.sequence;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_no_loss_and_no_jitter() {
        let mut reception = Reception::default();

        for index in 0..20_u16 {
            let timestamp = if (5..15).contains(&index) { 5 } else { index };
            let packet = packet(index, timestamp);
            if timestamp == index && index != 5 {
                reception.count(&packet, 8000, at(index))
            } else {
                reception.count_event(&packet)
            }
        }

        let block = reception.block(at(20)).expect("a stream");
        assert_eq!((block.lost, block.jitter), (0, 0));
    }

    #[test]
    fn an_even_stream_has_neither_loss_nor_jitter() {
        let mut reception = Reception::default();

        for index in 0..100_u16 {
            reception.count(&packet(index.wrapping_add(65_500), index), 8000, at(index));
        }

        let block = reception.block(at(100)).expect("a stream");
        assert_eq!((block.lost, block.fraction_lost, block.jitter), (0, 0, 0));
        assert_eq!(block.highest_sequence, 65_536 + (65_599 - 65_536), "the wrap is counted");
    }

    #[test]
    fn losses_are_counted_in_all_and_since_the_last_report() {
        let mut reception = Reception::default();
        for index in 0..100_u16 {
            if index % 4 != 3 {
                reception.count(&packet(index, index), 8000, at(index));
            }
        }

        let first = reception.block(at(100)).expect("a stream");
        let second = reception.block(at(100)).expect("a stream");

        assert_eq!((first.lost, first.fraction_lost), (24, 62), "the last loss is not known yet");
        assert_eq!((second.lost, second.fraction_lost), (24, 0));
    }

    #[test]
    fn duplicates_make_the_loss_negative() {
        let mut reception = Reception::default();

        for index in [0, 1, 1, 2] {
            reception.count(&packet(index, index), 8000, at(index));
        }

        assert_eq!(reception.block(at(3)).expect("a stream").lost, -1);
    }

    #[test]
    fn jitter_follows_uneven_arrivals() {
        let mut reception = Reception::default();

        for index in 0..400_u16 {
            let late = Duration::from_millis(if index % 2 == 0 { 0 } else { 10 });
            reception.count(&packet(index, index), 8000, at(index) + late);
        }

        let jitter = reception.block(at(400)).expect("a stream").jitter;
        assert!((70..=80).contains(&jitter), "ten milliseconds are 80 samples: {jitter}");
    }

    #[test]
    fn a_new_stream_starts_over() {
        let mut reception = Reception::default();
        reception.count(&packet(5, 0), 8000, at(0));
        reception.count(&Packet { ssrc: 2, ..packet(60_000, 900) }, 8000, at(1));

        let block = reception.block(at(2)).expect("a stream");

        assert_eq!((block.ssrc, block.lost), (2, 0));
        assert_eq!(reception.received(), 2);
    }

    #[test]
    fn the_round_trip_can_be_worked_out_from_our_report() {
        let mut reception = Reception::default();
        reception.count(&packet(0, 0), 8000, at(0));
        reception.heard_report(&Sent { ntp: 0x0102_0304_0506_0708, ..Sent::default() }, Duration::from_secs(1));

        let block = reception.block(Duration::from_millis(1500)).expect("a stream");

        assert_eq!((block.last_report, block.since_last_report), (0x0304_0506, 32_768));
    }

    fn at(index: u16) -> Duration {
        Duration::from_millis(20) * u32::from(index)
    }

    fn packet(sequence: u16, frame: u16) -> Packet<'static> {
        Packet { marker: false, payload_type: 0, sequence, timestamp: u32::from(frame) * 160, ssrc: 1, payload: &[0xff; 160] }
    }
}
