//! Telephone-events in any order: a packet that comes twice in a row is never a second press.

#![no_main]

use std::time::Duration;

use afterbeep::rtp::{KeyReceiver, Packet, telephone_event::Event};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut receiver = KeyReceiver::default();
    let mut now = Duration::ZERO;
    for step in bytes.chunks(9) {
        let Some((&[wait, flags, ssrc, high, low], payload)) = step.split_first_chunk::<5>() else { return };
        now += Duration::from_millis(u64::from(wait) * if flags & 1 == 1 { 10 } else { 1 });
        let packet = Packet {
            marker: flags & 2 == 2,
            payload_type: 96 + (flags >> 2 & 7),
            sequence: 0,
            timestamp: u32::from_be_bytes([0, 0, high, low]),
            ssrc: u32::from(ssrc & 3),
            payload,
        };

        let press = receiver.receive(&packet, now);

        if let Some(press) = press {
            let event = Event::parse(payload).expect("a press comes from an event");
            assert_eq!(afterbeep::rtp::telephone_event::event(press.digit), Some(event.code));
            assert_eq!((press.ssrc, press.timestamp), (packet.ssrc, packet.timestamp));
            assert!(Event::is_likely(&packet) || payload.get(1).is_some_and(|flags| flags & 0x40 != 0) || payload.len() != 4);
        }
        assert_eq!(receiver.receive(&packet, now), None, "the same packet again");
        let _ = receiver.is_down(now);
    }
});
