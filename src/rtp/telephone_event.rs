//! Keys as RTP packets (RFC 4733): a press is a dozen packets that repeat one timestamp and a growing duration.

use std::time::Duration;

use super::packet::Packet;

/// The longest press we send: what a duration field of 16 bits has room for, in whole frames.
const LONGEST_PRESS: Duration = Duration::from_secs(8);
/// How often the last packet of a press is sent, as any of them may be lost (RFC 4733 §2.5.1.4).
const END_PACKETS: u8 = 3;
/// A frame of 20 ms in units of 8000 a second, and the most clocks count in it: 48,000 a second, beside Opus.
const FRAME: u16 = 160;
const LONGEST_FRAME: u16 = 6 * FRAME;

/// The key of an event code, `None` for what is not on a keypad (flash, fax tones and so on).
#[must_use]
pub fn digit(event: u8) -> Option<char> {
    b"0123456789*#ABCD".get(usize::from(event)).map(|&byte| char::from(byte))
}

/// The event code of a key.
#[must_use]
pub fn event(digit: char) -> Option<u8> {
    "0123456789*#ABCD".find(digit.to_ascii_uppercase()).map(|at| at as u8)
}

/// The payload of one telephone-event packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What: 0–9, 10 for `*`, 11 for `#`, 12–15 for A–D, more that is not a key.
    pub code: u8,
    /// Whether the key has been let go.
    pub end: bool,
    /// How loud, in dB below the maximum.
    pub volume: u8,
    /// For how long so far, in timestamp units.
    pub duration: u16,
}

impl Event {
    /// Reads a payload. What follows the first event is padding of some senders.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let &[code, flags, high, low] = payload.first_chunk::<4>()?;
        Some(Self { code, end: flags & 0x80 != 0, volume: flags & 0x3f, duration: u16::from_be_bytes([high, low]) })
    }

    /// The payload as we send it.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 4] {
        let [high, low] = self.duration.to_be_bytes();
        [self.code, u8::from(self.end) << 7 | self.volume & 0x3f, high, low]
    }

    /// Whether a packet of a payload type nobody agreed on can only be a key: some test tools send theirs with the
    /// payload type of a capture.
    #[must_use]
    pub fn is_likely(packet: &Packet<'_>) -> bool {
        (96..128).contains(&packet.payload_type)
            && packet.payload.len() == 4
            && packet.payload[1] & 0x40 == 0
            && digit(packet.payload[0]).is_some()
    }
}

/// A key that went down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPress {
    /// Which.
    pub digit: char,
    /// The stream it came in.
    pub ssrc: u32,
    /// When it went down, on that stream's clock.
    pub timestamp: u32,
}

/// How long after its last packet a press is over when its timestamp begins anew: a capture played twice.
const REPLAY: Duration = Duration::from_millis(500);
/// The same for a packet that says itself that it is the first.
const REPLAY_MARKED: Duration = Duration::from_millis(150);
/// How long after its last packet a press is over, whatever comes. Packets that have waited in the socket while this machine was
/// busy are read much later than the ones before them.
const FORGOTTEN: Duration = Duration::from_secs(5);
/// How long a key without an end is taken for held down.
const PAUSE: Duration = Duration::from_millis(150);
/// How many presses are remembered, for packets that come late.
const REMEMBERED: usize = 8;

/// What the repeated end packets of a press span at most, in timestamp units: sooner than any key is pressed again.
const ENDS: u32 = END_PACKETS as u32 * FRAME as u32;

/// Reports each press once, and at its first packet: whichever packets are lost, repeated or late.
///
/// A press is known by stream, timestamp and key. Sequence numbers are not looked at, as some senders number their events
/// apart from their audio.
#[derive(Clone, Debug, Default)]
pub struct KeyReceiver {
    presses: [Option<Press>; REMEMBERED],
    newest: usize,
}

#[derive(Clone, Copy, Debug)]
struct Press {
    ssrc: u32,
    timestamp: u32,
    code: u8,
    duration: u16,
    ended: bool,
    heard_at: Duration,
}

impl KeyReceiver {
    /// Takes a telephone-event packet that arrived at `now`; answers the press it begins.
    pub fn receive(&mut self, packet: &Packet<'_>, now: Duration) -> Option<KeyPress> {
        let event = Event::parse(packet.payload)?;
        let digit = digit(event.code)?;
        if self.repeats_a_press(packet, event, now) || self.goes_on(packet, event, now) {
            return None;
        }
        self.newest = (self.newest + 1) % REMEMBERED;
        self.presses[self.newest] = Some(Press {
            ssrc: packet.ssrc,
            timestamp: packet.timestamp,
            code: event.code,
            duration: event.duration,
            ended: event.end,
            heard_at: now,
        });
        Some(KeyPress { digit, ssrc: packet.ssrc, timestamp: packet.timestamp })
    }

    /// Whether a key is held down at `now`, as far as is known: its end packets may all be lost.
    #[must_use]
    pub fn is_down(&self, now: Duration) -> bool {
        self.presses[self.newest].is_some_and(|press| !press.ended && now.saturating_sub(press.heard_at) <= PAUSE)
    }

    /// The ordinary case: another packet of a press that is known.
    fn repeats_a_press(&mut self, packet: &Packet<'_>, event: Event, now: Duration) -> bool {
        let known = self.presses.iter_mut().find(|press| {
            press
                .is_some_and(|press| press.ssrc == packet.ssrc && press.timestamp == packet.timestamp && press.code == event.code)
        });
        let Some(slot) = known else { return false };
        let Some(press) = slot else { return false };
        let pause = now.saturating_sub(press.heard_at);
        let restarts = !event.end && (event.duration < press.duration || press.ended);
        let replay = if packet.marker { REPLAY_MARKED } else { REPLAY };
        if pause > FORGOTTEN || restarts && pause > replay {
            *slot = None;
            return false;
        }
        press.duration = press.duration.max(event.duration);
        press.ended |= event.end;
        press.heard_at = now;
        true
    }

    /// The newest press under another timestamp: a long one goes on in a new segment (RFC 4733 §2.5.1.3), and some senders
    /// wrongly count the timestamp on in every packet.
    fn goes_on(&mut self, packet: &Packet<'_>, event: Event, now: Duration) -> bool {
        let Some(press) = &mut self.presses[self.newest] else { return false };
        let step = packet.timestamp.wrapping_sub(press.timestamp);
        let is_forgotten = now.saturating_sub(press.heard_at) > FORGOTTEN;
        if packet.marker || press.ssrc != packet.ssrc || press.code != event.code || is_forgotten {
            return false;
        }
        let next_segment =
            !press.ended && press.duration > u16::MAX - 2 * LONGEST_FRAME && step.abs_diff(u32::from(press.duration)) < 2400;
        // Such a timestamp grows as the duration does; that of the same key pressed again has grown by the pause as well.
        let longer = u32::from(event.duration.saturating_sub(press.duration));
        let counts_on = !press.ended && longer > 0 && step.abs_diff(longer) <= u32::from(FRAME);
        let ends_again = press.ended && event.end && event.duration == press.duration && (1..=ENDS).contains(&step);
        if !(next_segment || counts_on || ends_again) {
            return false;
        }
        *press = Press {
            timestamp: packet.timestamp,
            duration: event.duration,
            ended: press.ended || event.end,
            heard_at: now,
            ..*press
        };
        true
    }
}

/// Sends one press: a packet every 20 ms, its end thrice.
#[derive(Clone, Debug)]
pub struct KeySender {
    code: u8,
    frame: u16,
    total: u16,
    sent: u16,
    ends: u8,
}

/// The next packet of a press: its timestamp is that of the moment the key went down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPacket {
    /// Whether it is the first.
    pub marker: bool,
    /// What to send.
    pub payload: [u8; 4],
}

impl KeySender {
    /// Begins to press `digit` for `length`, in whole frames; `None` when there is no such key.
    #[must_use]
    pub fn new(digit: char, length: Duration) -> Option<Self> {
        Self::with_clock(digit, length, 1)
    }

    /// The same by a clock with so many units in an 8000th of a second, 6 at most.
    #[must_use]
    pub fn with_clock(digit: char, length: Duration, clock_factor: u32) -> Option<Self> {
        let frame = FRAME * clock_factor.clamp(1, 6) as u16;
        let frames = length.min(LONGEST_PRESS).as_millis().div_ceil(20).max(1) as u16;
        Some(Self { code: event(digit)?, frame, total: frames.min(u16::MAX / frame) * frame, sent: 0, ends: 0 })
    }

    /// The packet of the next 20 ms; `None` when the press is over.
    pub fn next_packet(&mut self) -> Option<KeyPacket> {
        if self.ends == END_PACKETS {
            return None;
        }
        let marker = self.sent == 0;
        self.sent = self.sent.saturating_add(self.frame).min(self.total);
        let end = self.sent == self.total && !marker;
        self.ends += u8::from(end);
        Some(KeyPacket { marker, payload: Event { code: self.code, end, volume: 10, duration: self.sent }.to_bytes() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

    use super::*;

    #[test]
    fn every_key_has_its_code() {
        for (code, key) in "0123456789*#ABCD".chars().enumerate() {
            assert_eq!(event(key), Some(code as u8));
            assert_eq!(digit(code as u8), Some(key));
        }
        assert_eq!((event('x'), digit(16)), (None, None));
    }

    #[test]
    fn a_press_is_reported_once_and_at_once() {
        let mut receiver = KeyReceiver::default();

        let reported = deliver(&mut receiver, &press('5', 1000, 1), 0);

        assert_eq!(reported, [(0, '5')]);
    }

    #[test]
    fn the_same_key_twice_is_two_presses() {
        let mut receiver = KeyReceiver::default();

        let mut reported = deliver(&mut receiver, &press('5', 1000, 1), 0);
        reported.extend(deliver(&mut receiver, &press('5', 3000, 1), 300));

        assert_eq!(keys(&reported), "55");
    }

    #[test]
    fn the_same_key_twice_is_two_presses_though_the_first_never_ended() {
        let mut receiver = KeyReceiver::default();
        let mut first = press('5', 1000, 1);
        first.truncate(4);

        let mut reported = deliver(&mut receiver, &first, 0);
        reported.extend(deliver(&mut receiver, &press('5', 2600, 1), 160));

        assert_eq!(keys(&reported), "55");
    }

    #[test]
    fn only_the_last_end_packet_arrives_and_counts() {
        let mut receiver = KeyReceiver::default();

        let reported = deliver(&mut receiver, &press('#', 1000, 1).split_off(6), 0);

        assert_eq!(keys(&reported), "#");
    }

    #[test]
    fn late_packets_of_an_earlier_press_do_not_count_again() {
        let mut receiver = KeyReceiver::default();
        let first = press('1', 1000, 1);

        let mut reported = deliver(&mut receiver, &first[..3], 0);
        reported.extend(deliver(&mut receiver, &press('2', 2600, 1), 100));
        reported.extend(deliver(&mut receiver, &first[3..], 180));

        assert_eq!(keys(&reported), "12");
    }

    #[test]
    fn a_stream_of_its_own_for_every_key_is_fine() {
        let mut receiver = KeyReceiver::default();

        let reported: Vec<_> = (0..4).flat_map(|n| deliver(&mut receiver, &press('7', 0, 100 + n), u64::from(n) * 200)).collect();

        assert_eq!(keys(&reported), "7777");
    }

    #[test]
    fn a_capture_played_twice_is_two_presses() {
        let mut receiver = KeyReceiver::default();

        let mut reported = deliver(&mut receiver, &press('3', 1000, 1), 0);
        reported.extend(deliver(&mut receiver, &press('3', 1000, 1), 400));

        assert_eq!(keys(&reported), "33");
    }

    #[test]
    fn a_capture_played_twice_without_marks_is_two_presses() {
        let mut receiver = KeyReceiver::default();
        let mut packets = press('3', 1000, 1);
        packets[0].marker = false;

        let mut reported = deliver(&mut receiver, &packets, 0);
        reported.extend(deliver(&mut receiver, &packets, 1000));

        assert_eq!(keys(&reported), "33");
    }

    #[test]
    fn timestamps_that_wrongly_count_on_are_one_press() {
        let mut receiver = KeyReceiver::default();
        let mut packets = press('9', 1000, 1);
        for (index, packet) in packets.iter_mut().enumerate() {
            packet.timestamp += 160 * index as u32;
        }

        let reported = deliver(&mut receiver, &packets, 0);

        assert_eq!(keys(&reported), "9");
    }

    #[test]
    fn a_press_of_ten_seconds_goes_on_in_a_new_segment() {
        let mut receiver = KeyReceiver::default();
        let mut packets: Vec<_> = (1..=409_u16)
            .map(|n| Sent { marker: n == 1, ssrc: 1, timestamp: 0, payload: event_bytes(1, false, n * 160) })
            .collect();
        packets.push(Sent { marker: false, ssrc: 1, timestamp: 0, payload: event_bytes(1, false, 0xffff) });
        packets.extend((1..=90).map(|n| Sent {
            marker: false,
            ssrc: 1,
            timestamp: 0xffff,
            payload: event_bytes(1, n > 87, n * 160),
        }));

        let reported = deliver(&mut receiver, &packets, 0);

        assert_eq!(keys(&reported), "1");
    }

    #[test]
    fn what_is_not_a_key_is_passed_over() {
        let mut receiver = KeyReceiver::default();
        let flash = Sent { marker: true, ssrc: 1, timestamp: 0, payload: event_bytes(16, false, 160) };

        assert!(deliver(&mut receiver, &[flash], 0).is_empty());
    }

    #[test]
    fn a_key_is_down_until_its_end_or_until_packets_stop() {
        let mut receiver = KeyReceiver::default();
        let packets = press('5', 1000, 1);

        deliver(&mut receiver, &packets[..2], 0);
        assert!(receiver.is_down(Duration::from_millis(100)));
        assert!(!receiver.is_down(Duration::from_millis(300)));
        deliver(&mut receiver, &packets[2..], 40);
        assert!(!receiver.is_down(Duration::from_millis(200)));
    }

    #[test]
    fn a_press_of_100_ms_is_five_packets_and_two_more_ends() {
        let mut sender = KeySender::new('#', Duration::from_millis(100)).expect("a key");

        let packets: Vec<_> = std::iter::from_fn(|| sender.next_packet()).collect();

        let events: Vec<_> = packets.iter().filter_map(|packet| Event::parse(&packet.payload)).collect();
        assert_eq!(packets.iter().map(|p| p.marker).collect::<Vec<_>>(), [true, false, false, false, false, false, false]);
        assert_eq!(events.iter().map(|e| e.duration).collect::<Vec<_>>(), [160, 320, 480, 640, 800, 800, 800]);
        assert_eq!(events.iter().map(|e| e.end).collect::<Vec<_>>(), [false, false, false, false, true, true, true]);
    }

    #[test]
    fn a_likely_key_has_four_bytes_and_a_dynamic_payload_type() {
        let payload = event_bytes(11, false, 160);
        let packet = Packet { marker: true, payload_type: 96, sequence: 1, timestamp: 1, ssrc: 1, payload: &payload };

        assert!(Event::is_likely(&packet));
        assert!(!Event::is_likely(&Packet { payload_type: 13, ..packet }));
        assert!(!Event::is_likely(&Packet { payload: &[16, 0, 0, 160], ..packet }));
        assert!(!Event::is_likely(&Packet { payload: &[0xff; 160], ..packet }));
    }

    /// A fifth of all packets lost, one in twenty overtaken by those of the next 50 ms, one in fifty doubled.
    #[test]
    fn passcodes_are_right_on_a_bad_network() {
        const PASSCODES: usize = 20_000;
        let mut chance = StdRng::seed_from_u64(1);
        let mut wrong = 0;
        for number in 0..PASSCODES {
            let typed: String = (0..8).map(|_| char::from(b'0' + chance.random_range(0..10_u8))).collect();
            let mut arriving = Vec::new();
            for (index, key) in (0_u64..).zip(typed.chars()) {
                // Held for 100 ms, let go for 80 ms: a quick dialler.
                let down = index * 180;
                for (packet, sent) in (0_u64..).zip(press(key, down as u32 * 8, 1)) {
                    let at = down + packet * 20 + if chance.random_bool(0.05) { 50 } else { 0 };
                    if !chance.random_bool(0.2) {
                        arriving.push((at, sent));
                        arriving.extend(chance.random_bool(0.02).then_some((at + 5, sent)));
                    }
                }
            }
            arriving.sort_by_key(|(at, _)| *at);
            let mut receiver = KeyReceiver::default();

            let heard: String =
                arriving.iter().flat_map(|(at, sent)| deliver(&mut receiver, &[*sent], *at)).map(|(_, key)| key).collect();

            if heard != typed {
                wrong += 1;
                println!("{number}: {typed} was heard as {heard}");
            }
        }
        // All seven packets of one of eight keys are lost in one passcode of ten thousand.
        assert!(wrong * 1000 <= PASSCODES, "{wrong} of {PASSCODES} passcodes were wrong");
    }

    proptest! {
        /// Whatever is lost (but not all), repeated or swapped within a press, each press counts once.
        #[test]
        fn each_press_counts_once(
            digits in prop::collection::vec(0_u8..16, 1..12),
            losses in prop::collection::vec(any::<u8>(), 12),
            swaps in prop::collection::vec((any::<u8>(), any::<u8>()), 8),
        ) {
            let mut receiver = KeyReceiver::default();
            let mut reported = Vec::new();
            for (index, &code) in digits.iter().enumerate() {
                let key = digit(code).expect("a key");
                let all = press(key, 1_000_000_u32.wrapping_add(index as u32 * 4800), 1);
                let mut packets: Vec<_> =
                    (0..).zip(&all).filter(|(at, _)| losses[index] >> at & 1 == 0).map(|(_, &packet)| packet).collect();
                packets.push(all[usize::from(losses[index]) % all.len()]);
                for &(from, to) in &swaps {
                    let (from, to) = (usize::from(from) % packets.len(), usize::from(to) % packets.len());
                    packets.swap(from, to);
                    packets.push(packets[from]);
                }
                reported.extend(deliver(&mut receiver, &packets, index as u64 * 600));
            }
            let expected: String = digits.iter().filter_map(|&code| digit(code)).collect();
            prop_assert_eq!(keys(&reported), expected);
        }

        /// Whenever this machine is too busy to read what has come, each press counts once.
        #[test]
        fn each_press_counts_once_on_a_machine_that_stalls(
            digits in prop::collection::vec(0_u8..16, 1..12),
            stalls in prop::collection::vec((0_u64..2400, 0_u64..2000), 0..4),
            counts_on in any::<bool>(),
        ) {
            let mut receiver = KeyReceiver::default();
            let mut reported = Vec::new();
            for (index, &code) in (0_u64..).zip(&digits) {
                let down = index * 180;
                let packets = press(digit(code).expect("a key"), down as u32 * 8, 1);
                for (packet, mut sent) in (0_u64..).zip(packets) {
                    let came = down + packet * 20;
                    sent.timestamp += if counts_on { packet as u32 * 160 } else { 0 };
                    let read = stalls.iter().filter(|(from, _)| *from <= came).map(|(from, length)| from + length).fold(came, u64::max);
                    reported.extend(deliver(&mut receiver, &[sent], read));
                }
            }
            let expected: String = digits.iter().filter_map(|&code| digit(code)).collect();
            prop_assert_eq!(keys(&reported), expected);
        }

        #[test]
        fn any_payload_is_taken_or_passed_over(
            packets in prop::collection::vec((any::<bool>(), any::<u32>(), prop::collection::vec(any::<u8>(), 0..8), 0_u64..10_000), 0..60),
        ) {
            let mut receiver = KeyReceiver::default();
            for (marker, timestamp, payload, at) in &packets {
                let packet =
                    Packet { marker: *marker, payload_type: 101, sequence: 0, timestamp: *timestamp, ssrc: 1, payload };
                let _ = receiver.receive(&packet, Duration::from_millis(*at));
            }
        }
    }

    #[derive(Clone, Copy)]
    struct Sent {
        marker: bool,
        ssrc: u32,
        timestamp: u32,
        payload: [u8; 4],
    }

    fn event_bytes(code: u8, end: bool, duration: u16) -> [u8; 4] {
        Event { code, end, volume: 10, duration }.to_bytes()
    }

    fn press(key: char, timestamp: u32, ssrc: u32) -> Vec<Sent> {
        let mut sender = KeySender::new(key, Duration::from_millis(100)).expect("a key");
        std::iter::from_fn(|| sender.next_packet())
            .map(|packet| Sent { marker: packet.marker, ssrc, timestamp, payload: packet.payload })
            .collect()
    }

    /// Delivers packets 20 ms apart from `start` (milliseconds); answers the reports with the index of their packet.
    fn deliver(receiver: &mut KeyReceiver, packets: &[Sent], start: u64) -> Vec<(usize, char)> {
        packets
            .iter()
            .enumerate()
            .filter_map(|(index, sent)| {
                let packet = Packet {
                    marker: sent.marker,
                    payload_type: 101,
                    sequence: 0,
                    timestamp: sent.timestamp,
                    ssrc: sent.ssrc,
                    payload: &sent.payload,
                };
                receiver.receive(&packet, Duration::from_millis(start + 20 * index as u64)).map(|press| (index, press.digit))
            })
            .collect()
    }

    fn keys(reported: &[(usize, char)]) -> String {
        reported.iter().map(|(_, key)| *key).collect()
    }
}
