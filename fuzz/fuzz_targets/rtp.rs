//! RTP: the input is read as one datagram, and again as the story of a talker whose packets come as the network likes.

#![no_main]

use std::{net::SocketAddr, time::Duration};

use afterbeep::rtp::{Extent, Latch, Packet, Run, Timeline, Verdict};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(packet) = Packet::parse(bytes) {
        assert_eq!(Packet::parse(&packet.to_bytes()), Some(packet));
    }
    let mut talk = Talk::default();
    for step in bytes.chunks_exact(8) {
        talk.take(step.first_chunk().expect("a chunk of eight"));
    }
    talk.end();
});

#[derive(Default)]
struct Talk {
    timeline: Timeline,
    latch: Option<Latch>,
    believed: u64,
    dropped: u64,
    sequence: u16,
    timestamp: u32,
    now: Duration,
    /// How much came out.
    length: u64,
}

impl Talk {
    /// A packet: how long after the one before, from whom, and how far on its numbers are.
    fn take(&mut self, &[wait, flags, sequence, stamp, stamps, length, ssrc, source]: &[u8; 8]) {
        self.now += Duration::from_millis(u64::from(wait) * if flags & 1 == 1 { 20 } else { 1 });
        self.sequence = self.sequence.wrapping_add_signed(i16::from(sequence.cast_signed()));
        let step = i32::from(i16::from_be_bytes([stamp, stamps]));
        self.timestamp = self.timestamp.wrapping_add_signed(if flags & 2 == 2 { step << 12 } else { step });
        let payload = &[0x55; 2048][..usize::from(length) * if flags & 4 == 4 { 8 } else { 2 }];
        let packet = Packet {
            marker: flags & 8 == 8,
            payload_type: 0,
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: u32::from(ssrc & 3),
            payload,
        };
        let announced = SocketAddr::from(([127, 0, 0, 1], 4000));
        let source = SocketAddr::from(([127, 0, 0, 1 + (source & 1)], 4000 + u16::from(source >> 6)));
        let latch = self.latch.get_or_insert_with(|| Latch::new(announced));
        match latch.judge(source, &packet, flags & 16 == 16, self.now) {
            Verdict::Believed => self.believed += 1,
            Verdict::Dropped => self.dropped += 1,
        }
        assert!(source != announced || latch.dropped() == self.dropped);
        assert_eq!(latch.dropped(), self.dropped);

        let mut came = 0;
        let mut out = |run: Run<'_>| came += length_of(run);
        if flags & 32 == 32 {
            self.timeline.poll(self.now, &mut out);
        }
        let extent = Extent { length: payload.len() as u64, clock_factor: 1 };
        self.timeline.push(&packet, extent, self.now, &mut out);
        if flags & 192 == 192 {
            self.timeline.finish(self.now, &mut out);
        }
        self.length += came;
        assert_eq!(self.timeline.written(), self.length);
        // Real time as a clock of a phone may see it, and the two seconds that a sender may be ahead.
        assert!(self.length <= self.now.as_micros() as u64 / 125 * 51 / 50 + 2 * 8000, "longer than real time");
        let _ = self.timeline.place_of(packet.ssrc, packet.timestamp);
    }

    fn end(&mut self) {
        let mut came = 0;
        self.timeline.finish(self.now, &mut |run| came += length_of(run));
        assert!(!self.timeline.is_waiting());
        assert_eq!(self.timeline.written(), self.length + came);
    }
}

fn length_of(run: Run<'_>) -> u64 {
    assert!(run.lost <= run.missing);
    assert!(run.from + run.length <= run.payload.len() as u64);
    run.missing + run.length
}
