//! From the packets of a talker to a recording without gaps, whose length is real time.
//!
//! Packets are placed by their RTP timestamp, which knows what a phone left out while nobody talked (DTX) and what the
//! network lost; both become silence. Timestamps are believed only as far as the clock on our wall agrees, since phones
//! restart them, leap with them, or forget to count on.

use std::time::Duration;

use super::packet::Packet;

/// How long a packet waits for one that should come before it.
const REORDERING: Duration = Duration::from_millis(60);
/// How much further than our clock a timestamp may have moved: what the network can have delayed.
const AHEAD: u64 = samples(Duration::from_secs(1));
/// A pause in arrivals that the timestamps do not show, and so is either the network's or the phone's.
const STALL: u64 = samples(Duration::from_millis(300));
/// How long it is watched which of the two.
const WATCH: Duration = Duration::from_millis(100);
/// How many packets wait at most.
const WAITING: usize = 12;
/// Unevenness that is not worth a gap when a stream is placed by its arrival.
const JITTER: u64 = samples(Duration::from_millis(60));
/// How far a recording may be ahead of real time: senders begin with a burst.
const BURST: u64 = samples(Duration::from_secs(2));
/// The longest payload that is taken for audio.
const LONGEST_PAYLOAD: u64 = samples(Duration::from_millis(200));
/// How long a stream that was replaced by another must wait to come back: its last packets may still be on their way.
const REPLACED: Duration = Duration::from_millis(500);

/// A part of the recording: each follows the one before without a gap. Lengths are in 8000ths of a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run<'a> {
    /// How much never came before this audio.
    pub missing: u64,
    /// How much of that, at its beginning, was sent and lost on the way; the rest was never sent.
    pub lost: u64,
    /// A payload as it was received.
    pub payload: &'a [u8],
    /// How much of its audio is in the recording already.
    pub from: u64,
    /// How much of its audio, from there on, comes now.
    pub length: u64,
}

/// How much audio a payload has, which only its codec knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// In 8000ths of a second.
    pub length: u64,
    /// RTP timestamp units in an 8000th of a second.
    pub clock_factor: u32,
}

/// Puts packets in their places.
///
/// Everything comes out as [`Run`]s through the function that is given. What is in order comes out at once, uncopied.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    written: u64,
    started: Option<Duration>,
    stream: Option<Stream>,
    replaced: Option<u32>,
    /// Waiting packets by their place.
    waiting: Vec<Waiting>,
    /// Their buffers, for the next ones.
    spare: Vec<Vec<u8>>,
    stall: Option<Stall>,
    /// The packet that was written last, and how many that are no audio came since.
    latest: Option<u16>,
    passed: u16,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    clock_factor: u32,
    /// The highest sequence number, and its arrival.
    sequence: u16,
    arrived: Duration,
    /// Where its audio ends, and the timestamp of that place.
    end: u64,
    end_timestamp: u32,
}

#[derive(Clone, Debug)]
struct Waiting {
    place: u64,
    sequence: u16,
    arrived: Duration,
    length: u64,
    audio: Vec<u8>,
}

/// Arrivals stopped and went on as if nothing had been. When the packets of the pause now come all at once, the network
/// held them back; when they come at their usual pace, the phone did not count on, and the pause belongs into the recording.
#[derive(Clone, Copy, Debug)]
struct Stall {
    since: Duration,
    pause: u64,
}

impl Timeline {
    /// Takes an audio packet that arrived at `now`.
    pub fn push(&mut self, packet: &Packet<'_>, extent: Extent, now: Duration, out: &mut impl FnMut(Run<'_>)) {
        let length = extent.length;
        if length == 0 || length > LONGEST_PAYLOAD {
            return;
        }
        self.started.get_or_insert(now);
        if self.end() + length > self.farthest(now) {
            // A flood.
            return;
        }
        match self.stream {
            Some(stream) if stream.ssrc == packet.ssrc && stream.clock_factor != extent.clock_factor => {
                self.restart(&stream, packet, extent, now, out);
            }
            Some(stream) if stream.ssrc == packet.ssrc => {
                let step = packet.sequence.wrapping_sub(stream.sequence).cast_signed();
                if step <= 0 {
                    self.push_late(&stream, packet, extent, now, out);
                } else {
                    self.push_new(&stream, packet, extent, step, now, out);
                }
            }
            Some(stream) if self.replaced == Some(packet.ssrc) && now.saturating_sub(stream.arrived) < REPLACED => {}
            Some(stream) => {
                self.replaced = Some(stream.ssrc);
                self.restart(&stream, packet, extent, now, out);
            }
            None => self.place(packet, extent, self.written, now, out),
        }
    }

    /// Lets go what has waited long enough; to be called every 20 ms or so while [`is_waiting`](Self::is_waiting).
    pub fn poll(&mut self, now: Duration, out: &mut impl FnMut(Run<'_>)) {
        if self.stall.is_some_and(|stall| now.saturating_sub(stall.since) >= WATCH || self.waiting.len() >= WAITING) {
            self.end_stall(now);
        }
        if self.stall.is_none() {
            self.release(Some(now), out);
        }
    }

    /// Whether packets wait.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes note of a packet that is no audio, as its number is not missing.
    pub fn pass(&mut self, packet: &Packet<'_>) {
        if self.stream.is_some_and(|stream| stream.ssrc == packet.ssrc) {
            self.passed = self.passed.saturating_add(1);
        }
    }

    /// Lets go what waits, as what comes next is of another codec.
    pub fn flush(&mut self, now: Duration, out: &mut impl FnMut(Run<'_>)) {
        self.end_stall(now);
        self.release(None, out);
    }

    /// Lets everything go, as the recording ends or the call is put on hold. The next packet follows without a gap.
    pub fn finish(&mut self, now: Duration, out: &mut impl FnMut(Run<'_>)) {
        self.flush(now, out);
        self.stream = None;
        self.replaced = None;
        self.latest = None;
    }

    /// The length of what has come out, in samples.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The place of a moment on the clock of stream `ssrc`, `None` when that is not the stream being recorded or the moment
    /// is not near its end.
    #[must_use]
    pub fn place_of(&self, ssrc: u32, timestamp: u32) -> Option<u64> {
        let stream = self.stream.filter(|stream| stream.ssrc == ssrc)?;
        let offset = stream.since_end(timestamp);
        (offset.unsigned_abs() <= AHEAD).then(|| stream.end.checked_add_signed(offset)).flatten()
    }

    /// Where the audio ends, with what waits, and with a pause if it turns out to belong into the recording.
    fn end(&self) -> u64 {
        self.stream.map_or(self.written, |stream| stream.end) + self.stall.map_or(0, |stall| stall.pause)
    }

    /// The real time since the first packet.
    fn elapsed(&self, now: Duration) -> u64 {
        self.started.map_or(0, |started| samples(now.saturating_sub(started)))
    }

    /// How far a recording can be: clocks of phones run up to a per cent off, or two.
    fn farthest(&self, now: Duration) -> u64 {
        let elapsed = self.elapsed(now);
        elapsed + elapsed / 50 + BURST
    }

    /// The next packet of the stream, or one further on.
    fn push_new(
        &mut self,
        stream: &Stream,
        packet: &Packet<'_>,
        extent: Extent,
        step: i16,
        now: Duration,
        out: &mut impl FnMut(Run<'_>),
    ) {
        let length = extent.length;
        let pause = samples(now.saturating_sub(stream.arrived)).saturating_sub(length);
        let gap = stream.since_end(packet.timestamp);
        let believable = |gap: &u64| *gap <= pause + AHEAD && self.end() + gap + length <= self.farthest(now);
        let Some(gap) = u64::try_from(gap).ok().filter(believable) else {
            // A new packet in an old place, or in one that the clock cannot have reached.
            return self.restart(stream, packet, extent, now, out);
        };
        let missing = pause.saturating_sub(gap).min(self.elapsed(now).saturating_sub(stream.end + gap));
        if self.stall.is_none() && missing > STALL {
            if packet.marker {
                // The phone says itself that there was a silence, though it did not count it.
                return self.restart(stream, packet, extent, now, out);
            }
            self.stall = Some(Stall { since: now, pause: missing });
        }
        let place = stream.end + gap;
        self.note(packet, extent, place, now);
        if self.stall.is_some() {
            self.wait(packet, length, place, now);
            self.poll(now, out);
        } else if self.waiting.is_empty() && (place == self.written || step == 1) {
            // In order, or nothing is missing in between but what was never sent.
            self.write(packet, length, place - self.written, out);
        } else {
            self.wait(packet, length, place, now);
            self.release(Some(now), out);
        }
    }

    /// A packet that others have overtaken, or a repetition.
    fn push_late(&mut self, stream: &Stream, packet: &Packet<'_>, extent: Extent, now: Duration, out: &mut impl FnMut(Run<'_>)) {
        let back = stream.since_end(packet.timestamp);
        let Some(place) = stream.end.checked_add_signed(back).filter(|_| back < 0 && back > -(AHEAD as i64)) else {
            // Not the past of this stream: the phone began again with the same SSRC. One such packet alone is a stray.
            if now.saturating_sub(stream.arrived) >= REORDERING {
                self.restart(stream, packet, extent, now, out);
            }
            return;
        };
        if place >= self.written && self.waiting.iter().all(|waiting| waiting.sequence != packet.sequence) {
            // Whatever it claims to hold, newer packets have the last word on what comes after it.
            self.wait(packet, extent.length.min(back.unsigned_abs()), place, now);
            self.poll(now, out);
        }
    }

    /// Places a stream anew by its arrival, as its timestamps say nothing about what came before.
    fn restart(&mut self, before: &Stream, packet: &Packet<'_>, extent: Extent, now: Duration, out: &mut impl FnMut(Run<'_>)) {
        self.flush(now, out);
        self.latest = None;
        let pause = samples(now.saturating_sub(before.arrived)).saturating_sub(extent.length);
        let pause = pause.min(self.elapsed(now).saturating_sub(self.written));
        self.place(packet, extent, self.written + if pause > JITTER { pause } else { 0 }, now, out);
    }

    fn place(&mut self, packet: &Packet<'_>, extent: Extent, place: u64, now: Duration, out: &mut impl FnMut(Run<'_>)) {
        self.note(packet, extent, place, now);
        self.write(packet, extent.length, place - self.written, out);
    }

    fn note(&mut self, packet: &Packet<'_>, Extent { length, clock_factor }: Extent, place: u64, now: Duration) {
        self.stream = Some(Stream {
            ssrc: packet.ssrc,
            clock_factor,
            sequence: packet.sequence,
            arrived: now,
            end: place + length,
            end_timestamp: packet.timestamp.wrapping_add(length as u32 * clock_factor),
        });
    }

    fn wait(&mut self, packet: &Packet<'_>, length: u64, place: u64, now: Duration) {
        let mut audio = self.spare.pop().unwrap_or_default();
        audio.clear();
        audio.extend_from_slice(packet.payload);
        let at = self.waiting.partition_point(|waiting| waiting.place <= place);
        self.waiting.insert(at, Waiting { place, sequence: packet.sequence, arrived: now, length, audio });
    }

    /// Writes what waits, as far as nothing is missing before it or it has waited long enough; all of it without `now`.
    fn release(&mut self, now: Option<Duration>, out: &mut impl FnMut(Run<'_>)) {
        let mut released = 0;
        while let Some(first) = self.waiting.get(released) {
            let due =
                now.is_none_or(|now| now.saturating_sub(first.arrived) >= REORDERING) || self.waiting.len() - released > WAITING;
            if first.place > self.written && !due {
                break;
            }
            let (place, sequence, length) = (first.place, first.sequence, first.length);
            let from = self.written.saturating_sub(place).min(length);
            let missing = place.saturating_sub(self.written);
            if from < length {
                let lost = lost(self.latest, self.passed, sequence, length).min(missing);
                out(Run { missing, lost, payload: &first.audio, from, length: length - from });
                (self.latest, self.passed) = (Some(sequence), 0);
            }
            self.written += missing + length - from;
            released += 1;
        }
        self.spare.extend(self.waiting.drain(..released).map(|waiting| waiting.audio));
    }

    /// Decides whose pause it was.
    fn end_stall(&mut self, now: Duration) {
        let Some(stall) = self.stall.take() else { return };
        let came: u64 = self.waiting.iter().map(|waiting| waiting.length).sum();
        let usual = samples(now.saturating_sub(stall.since));
        if came < usual * 2 + JITTER {
            for waiting in self.waiting.iter_mut().filter(|waiting| waiting.arrived >= stall.since) {
                waiting.place += stall.pause;
            }
            if let Some(stream) = &mut self.stream {
                stream.end += stall.pause;
            }
        }
    }

    fn write(&mut self, packet: &Packet<'_>, length: u64, missing: u64, out: &mut impl FnMut(Run<'_>)) {
        let lost = lost(self.latest, self.passed, packet.sequence, length).min(missing);
        self.written += missing + length;
        (self.latest, self.passed) = (Some(packet.sequence), 0);
        out(Run { missing, lost, payload: packet.payload, from: 0, length });
    }
}

impl Stream {
    /// How far a timestamp is behind the end of the audio.
    fn since_end(&self, timestamp: u32) -> i64 {
        i64::from(timestamp.wrapping_sub(self.end_timestamp).cast_signed()) / i64::from(self.clock_factor.max(1))
    }
}

/// How much was lost before packet `sequence`, if packets are of its length: as much as numbers are missing.
fn lost(latest: Option<u16>, passed: u16, sequence: u16, length: u64) -> u64 {
    let Some(latest) = latest else { return 0 };
    let step = sequence.wrapping_sub(latest);
    if step == 0 || step >= 0x8000 { 0 } else { u64::from((step - 1).saturating_sub(passed)) * length }
}

/// A span of time in samples of 8000 Hz.
const fn samples(span: Duration) -> u64 {
    (span.as_micros() / 125) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SILENCE: u8 = 0xff;

    #[test]
    fn what_comes_in_order_comes_out_as_it_is() {
        let mut call = Recorded::default();

        for index in 0..100 {
            call.receive(frame(index), 20 * index);
        }

        assert_eq!(call.audio, original(0..100));
    }

    #[test]
    fn sequence_and_timestamp_wrap_unnoticed() {
        let mut call = Recorded::default();

        for index in 0..100 {
            let mut packet = frame(index);
            packet.sequence = packet.sequence.wrapping_add(65_500);
            packet.timestamp = packet.timestamp.wrapping_sub(8000);
            call.receive(packet, 20 * index);
        }

        assert_eq!(call.audio, original(0..100));
    }

    #[test]
    fn overtaken_packets_are_put_back_in_order() {
        let mut call = Recorded::default();

        for (tick, index) in [0, 2, 1, 3, 6, 5, 4, 7, 8].into_iter().enumerate() {
            call.receive(frame(index), 20 * tick as u64);
        }

        assert_eq!(call.audio, original(0..9));
    }

    #[test]
    fn what_was_lost_becomes_silence_after_sixty_milliseconds() {
        let mut call = Recorded::default();

        for index in [0, 1, 3, 4] {
            call.receive(frame(index), 20 * index);
        }
        assert_eq!(call.audio, original(0..2), "frame 2 may still come");
        for index in [5, 6, 7] {
            call.receive(frame(index), 20 * index);
        }

        assert_eq!(call.audio, [original(0..2), silence(1), original(3..8)].concat());
    }

    #[test]
    fn what_was_lost_is_told_from_what_was_not_sent() {
        let mut timeline = Timeline::default();
        let mut gaps = Vec::new();
        let mut receive = |packet: Packet<'_>, at: u64| {
            let now = Duration::from_millis(at);
            let mut note = |run: Run<'_>| gaps.extend((run.missing > 0).then_some((run.missing / 160, run.lost / 160)));
            timeline.poll(now, &mut note);
            timeline.push(&packet, extent(&packet), now, &mut note);
        };

        receive(frame(0), 0);
        // Two are lost.
        receive(frame(3), 60);
        (4..8).for_each(|index| receive(frame(index), 20 * index));
        // Ten were not sent.
        receive(Packet { sequence: 8, ..frame(18) }, 360);
        // One was lost, and then nine were not sent.
        receive(Packet { sequence: 10, ..frame(29) }, 580);
        (30..34).for_each(|index| receive(Packet { sequence: index as u16 - 19, ..frame(index) }, 20 * index));

        assert_eq!(gaps, [(2, 2), (10, 0), (10, 1)]);
    }

    #[test]
    fn keys_and_comfort_noise_are_not_missing() {
        let mut timeline = Timeline::default();
        let mut gaps = Vec::new();
        let mut note = |run: Run<'_>| gaps.extend((run.missing > 0).then_some((run.missing / 160, run.lost / 160)));

        timeline.push(&frame(0), extent(&frame(0)), Duration::ZERO, &mut note);
        (1..4).for_each(|index| timeline.pass(&frame(index)));
        timeline.push(&frame(4), extent(&frame(4)), Duration::from_millis(80), &mut note);
        timeline.flush(Duration::from_millis(90), &mut note);

        assert_eq!(gaps, [(3, 0)]);
    }

    #[test]
    fn another_clock_places_the_same() {
        let mut timeline = Timeline::default();
        let mut places = Vec::new();
        let mut written = 0;
        let mut note = |run: Run<'_>| {
            places.push((written + run.missing) / 160);
            written += run.missing + run.length;
        };

        for index in [0_u64, 1, 2, 7, 8] {
            let packet = Packet { timestamp: index as u32 * 960, payload: &[1; 30], ..frame(index) };
            let extent = Extent { length: 160, clock_factor: 6 };
            timeline.push(&packet, extent, Duration::from_millis(20 * index), &mut note);
        }
        timeline.flush(Duration::from_secs(1), &mut note);

        assert_eq!(places, [0, 1, 2, 7, 8]);
        assert_eq!(timeline.place_of(1, 9 * 960 - 96), Some(9 * 160 - 16));
    }

    #[test]
    fn what_comes_after_its_silence_was_written_is_dropped() {
        let mut call = Recorded::default();

        for (tick, index) in [0, 2, 3, 4, 5, 6, 1, 7].into_iter().enumerate() {
            call.receive(frame(index), 20 * tick as u64);
        }

        assert_eq!(call.audio, [original(0..1), silence(1), original(2..8)].concat());
    }

    #[test]
    fn a_late_packet_does_not_reach_beyond_the_newest() {
        let mut call = Recorded::default();

        call.receive(frame(0), 0);
        call.receive(frame(2), 40);
        let long = original(1..4);
        call.receive(Packet { payload: &long, ..frame(1) }, 41);
        call.receive(frame(3), 60);

        assert_eq!(call.audio, original(0..4));
    }

    #[test]
    fn repeated_packets_count_once() {
        let mut call = Recorded::default();

        for index in 0..20 {
            call.receive(frame(index), 20 * index);
            call.receive(frame(index), 20 * index + 1);
            call.receive(frame(index.saturating_sub(1)), 20 * index + 2);
        }

        assert_eq!(call.audio, original(0..20));
    }

    #[test]
    fn a_silence_that_was_not_sent_keeps_its_length() {
        let mut call = Recorded::default();

        for index in 0..5 {
            call.receive(frame(index), 20 * index);
        }
        for index in 105..110 {
            // Sequence numbers go on where they were: nothing is missing, so nothing waits.
            call.receive(Packet { sequence: index as u16 - 100, marker: index == 105, ..frame(index) }, 20 * index);
        }

        assert_eq!(call.audio, [original(0..5), silence(100), original(105..110)].concat());
    }

    #[test]
    fn a_silence_whose_timestamps_stood_still_keeps_its_length_too() {
        for marker in [true, false] {
            let mut call = Recorded::default();

            for index in 0..50 {
                call.receive(frame(index), 20 * index);
            }
            for index in 50..100 {
                call.receive(Packet { marker: marker && index == 50, ..frame(index) }, 20 * index + 3000);
            }

            assert_eq!(call.audio, [original(0..50), silence(150), original(50..100)].concat(), "marker: {marker}");
        }
    }

    #[test]
    fn what_the_network_held_back_is_not_stretched() {
        let mut call = Recorded::default();

        for index in 0..50 {
            call.receive(frame(index), 20 * index);
        }
        for index in 50..100 {
            call.receive(frame(index), 2000 + (index - 50) / 10);
        }
        for index in 100..150 {
            call.receive(frame(index), 20 * index);
        }

        assert_eq!(call.audio, original(0..150));
    }

    #[test]
    fn a_timestamp_that_leaps_is_not_believed() {
        let mut call = Recorded::default();

        for index in 0..10 {
            call.receive(frame(index), 20 * index);
        }
        for index in 10..20 {
            call.receive(Packet { timestamp: frame(index).timestamp.wrapping_add(9_000_000), ..frame(index) }, 20 * index);
        }

        assert_eq!(call.audio, original(0..20));
    }

    #[test]
    fn timestamps_that_never_move_are_not_believed() {
        let mut call = Recorded::default();

        for index in 0..20 {
            call.receive(Packet { timestamp: 77, ..frame(index) }, 20 * index);
        }

        assert_eq!(call.audio, original(0..20));
    }

    #[test]
    fn another_ssrc_is_placed_by_its_arrival() {
        let mut call = Recorded::default();

        for index in 0..10 {
            call.receive(frame(index), 20 * index);
        }
        for index in 10..20 {
            let other = Packet { ssrc: 2, sequence: 40_000 + index as u16, timestamp: 5 + 160 * index as u32, ..frame(index) };
            call.receive(other, 20 * index + 1000);
        }

        assert_eq!(call.audio, [original(0..10), silence(50), original(10..20)].concat());
    }

    #[test]
    fn stragglers_of_the_stream_before_do_not_bring_it_back() {
        let mut call = Recorded::default();

        for index in 0..20 {
            call.receive(frame(index), 20 * index);
            if index >= 10 {
                call.receive(Packet { ssrc: 2, ..frame(index) }, 20 * index + 1);
            }
        }

        assert_eq!(call.audio.len(), 21 * 160, "one stream, and the packet that the other was first with");
    }

    #[test]
    fn the_same_ssrc_beginning_again_is_placed_by_its_arrival() {
        let mut call = Recorded::default();

        for index in 1000..1010 {
            call.receive(Packet { timestamp: 3_000_000 + 160 * index as u32, ..frame(index) }, 20 * (index - 1000));
        }
        for index in 10..20 {
            call.receive(frame(index), 20 * index + 200);
        }

        assert_eq!(call.audio, [original(1000..1010), silence(10), original(10..20)].concat());
    }

    #[test]
    fn a_flood_does_not_make_a_recording_longer_than_real_time() {
        let mut call = Recorded::default();

        for index in 0..5000 {
            call.receive(frame(index), index);
        }

        assert!(call.audio.len() as u64 <= samples(Duration::from_secs(5)) * 102 / 100 + BURST, "{}", call.audio.len());
    }

    #[test]
    fn what_is_claimed_while_a_pause_is_watched_comes_on_top_of_the_pause() {
        let mut call = Recorded::default();
        for index in 0..2 {
            call.receive(frame(index), 20 * index);
        }

        for index in 0..4 {
            let claim = Packet { sequence: 2 + index as u16 * 9, timestamp: 320 + index as u32 * 6160, ..frame(2) };
            call.receive(claim, 2900 + 24 * index);
        }
        let audio = &mut call.audio;
        call.timeline.finish(Duration::from_secs(3), &mut |run| write(audio, run));

        assert!(call.audio.len() as u64 <= samples(Duration::from_secs(3)) * 102 / 100 + BURST, "{}", call.audio.len());
    }

    #[test]
    fn frames_of_any_length_are_taken() {
        for length in [80_u64, 240, 480, 1600] {
            let mut call = Recorded::default();
            let audio = original(0..30);

            for (index, part) in audio.chunks(length as usize).enumerate() {
                let index = index as u64;
                let packet = Packet { timestamp: (index * length) as u32, payload: part, ..frame(index) };
                call.receive(packet, index * length / 8);
            }

            assert_eq!(call.audio, audio, "{length} samples");
        }
    }

    #[test]
    fn a_hold_leaves_no_gap() {
        let mut call = Recorded::default();
        for index in 0..10 {
            call.receive(frame(index), 20 * index);
        }

        let audio = &mut call.audio;
        call.timeline.finish(Duration::from_millis(200), &mut |run| write(audio, run));
        for index in 10..20 {
            call.receive(Packet { timestamp: frame(index).timestamp + 800_000, ..frame(index) }, 20 * index + 100_000);
        }

        assert_eq!(call.audio, original(0..20));
    }

    #[test]
    fn the_end_lets_go_what_waits() {
        let mut call = Recorded::default();
        for index in [0, 1, 3] {
            call.receive(frame(index), 20 * index);
        }

        let audio = &mut call.audio;
        call.timeline.finish(Duration::from_millis(61), &mut |run| write(audio, run));

        assert_eq!(call.audio, [original(0..2), silence(1), original(3..4)].concat());
    }

    #[test]
    fn a_moment_on_the_senders_clock_has_its_place() {
        let mut call = Recorded::default();
        for index in 0..10 {
            call.receive(frame(index), 20 * index);
        }

        assert_eq!(call.timeline.place_of(1, 10 * 160), Some(1600));
        assert_eq!(call.timeline.place_of(1, 9 * 160 - 3), Some(1437));
        assert_eq!(call.timeline.place_of(2, 10 * 160), None, "another stream");
        assert_eq!(call.timeline.place_of(1, 9_000_000), None, "another clock");
    }

    #[test]
    fn timestamps_that_run_ahead_are_not_believed_for_long() {
        let mut call = Recorded::default();

        // Each claims twice the time that passed; and in the end packets stop, which adds nothing to what was claimed.
        for index in 0..40 {
            call.receive(Packet { timestamp: index as u32 * 8000, ..frame(index) }, 500 * index);
        }
        for index in 40..60 {
            call.receive(Packet { timestamp: 320_000 + index as u32 * 160, ..frame(index) }, 22_000 + 20 * index);
        }

        assert!(call.audio.len() as u64 <= samples(Duration::from_secs(24)) + BURST, "{}", call.audio.len());
    }

    proptest! {
        /// A network that loses, repeats and swaps within the window: each frame comes out in its place or as silence.
        #[test]
        fn every_frame_is_in_its_place(fates in prop::collection::vec((0_u8..20, 0_u64..55), 50..200)) {
            let mut call = Recorded::default();
            let mut arrivals = vec![(0, 0)];
            for (index, &(fate, late)) in (1_u64..).zip(&fates) {
                let at = 20 * index + late;
                match fate {
                    0 => {}
                    1 => arrivals.extend([(at, index), (at + 7, index)]),
                    _ => arrivals.push((at, index)),
                }
            }
            arrivals.sort_unstable();
            let last = arrivals.iter().map(|&(_, index)| index).max().expect("the first is never lost");

            for &(at, index) in &arrivals {
                call.receive(frame(index), at);
            }
            let audio = &mut call.audio;
            call.timeline.finish(Duration::from_secs(100), &mut |run| write(audio, run));

            prop_assert_eq!(call.audio.len() as u64, (last + 1) * 160);
            for (index, part) in (0_u64..).zip(call.audio.chunks(160)) {
                let lost = arrivals.iter().all(|&(_, arrived)| arrived != index);
                prop_assert_eq!(part, if lost { &[SILENCE; 160][..] } else { frame(index).payload }, "frame {}", index);
            }
        }

        /// Whatever comes, nothing breaks and the recording stays near real time.
        #[test]
        fn any_packets_at_all(
            packets in prop::collection::vec((any::<u16>(), any::<u32>(), 0_u32..3, 0_usize..400, 0_u64..700, any::<bool>()), 0..300),
            tame in any::<bool>(),
        ) {
            let mut call = Recorded::default();
            let mut now = 0;
            for &(sequence, timestamp, ssrc, length, wait, marker) in &packets {
                now += wait;
                let (sequence, timestamp) = if tame { (sequence % 16, timestamp % 16_000) } else { (sequence, timestamp) };
                let payload = &[1; 400][..length];
                call.receive(Packet { marker, payload_type: 0, sequence, timestamp, ssrc, payload }, now);
                prop_assert_eq!(call.timeline.written(), call.audio.len() as u64);
            }
            let bound = samples(Duration::from_millis(now)) * 102 / 100 + BURST;
            prop_assert!(call.audio.len() as u64 <= bound, "{} of {}", call.audio.len(), bound);
        }
    }

    #[derive(Default)]
    struct Recorded {
        timeline: Timeline,
        audio: Vec<u8>,
    }

    impl Recorded {
        /// Takes a packet at `at` milliseconds, after polling every 20 ms as media does.
        fn receive(&mut self, packet: Packet<'_>, at: u64) {
            let audio = &mut self.audio;
            let now = Duration::from_millis(at);
            self.timeline.poll(now, &mut |run| write(audio, run));
            self.timeline.push(&packet, extent(&packet), now, &mut |run| write(audio, run));
        }
    }

    fn write(audio: &mut Vec<u8>, run: Run<'_>) {
        assert!(run.lost <= run.missing);
        audio.resize(audio.len() + run.missing as usize, SILENCE);
        audio.extend_from_slice(&run.payload[run.from as usize..][..run.length as usize]);
    }

    /// Of a codec with a byte a sample.
    fn extent(packet: &Packet<'_>) -> Extent {
        Extent { length: packet.payload.len() as u64, clock_factor: 1 }
    }

    /// Frame `index` of a stream of frames that all differ.
    fn frame(index: u64) -> Packet<'static> {
        static FRAMES: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
            (0..5000_usize * 160)
                .map(|at| if at % 160 < 2 { ((at / 160) >> (at % 160 * 8)) as u8 } else { at as u8 | 1 })
                .collect()
        });
        let start = index as usize * 160;
        Packet {
            marker: false,
            payload_type: 0,
            sequence: index as u16,
            timestamp: index as u32 * 160,
            ssrc: 1,
            payload: &FRAMES[start..start + 160],
        }
    }

    fn original(frames: std::ops::Range<u64>) -> Vec<u8> {
        frames.flat_map(|index| frame(index).payload.to_vec()).collect()
    }

    fn silence(frames: usize) -> Vec<u8> {
        vec![SILENCE; frames * 160]
    }
}
