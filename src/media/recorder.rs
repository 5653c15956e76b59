//! One recording: packets in, buffers for the writer out, and the decision when it is over.

use std::{sync::Weak, time::Duration};

use super::{
    intake::Intake,
    journal::{Finish, JournalFile, Writer},
    order::{DigitSet, MediaEvent, RecordSpec, RecordingEnd, RecordingId},
    tape::Tape,
    thread::Orders,
};
use crate::{
    audio::{codec::Codec, samples_in},
    rtp::{Extent, Packet, Timeline, telephone_event::KeyPress},
};

/// How old audio may become before it is handed to the writer although its buffer is not full.
const OLDEST: Duration = Duration::from_millis(500);
/// Without a packet for so long the line counts as silent: longer than any network holds packets back.
const SILENT_LINE: Duration = Duration::from_millis(300);
/// How much later than by its packets a recording reaches its longest by the clock, when packets have stopped.
const GRACE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Recorder {
    id: RecordingId,
    longest: Duration,
    trailing_silence: Option<Duration>,
    end_digits: DigitSet,
    timeline: Timeline,
    intake: Intake,
    tape: Tape,
    started: Duration,
    heard_at: Duration,
    held_since: Option<Duration>,
}

impl Recorder {
    /// Begins a recording, mostly of payloads of `codec`.
    pub(super) fn new(spec: RecordSpec, codec: Codec, writer: Writer, now: Duration) -> Self {
        let RecordSpec { id, file, form, longest, trailing_silence, end_digits } = spec;
        Self {
            id,
            longest,
            trailing_silence,
            end_digits,
            timeline: Timeline::default(),
            intake: Intake::new(codec, form),
            tape: Tape::new(form, JournalFile::new(file), writer, samples_in(longest), trailing_silence.is_some(), now),
            started: now,
            heard_at: now,
            held_since: None,
        }
    }

    /// Takes an audio packet; answers why the recording is over, if it is.
    pub(super) fn receive(&mut self, packet: &Packet<'_>, codec: Codec, now: Duration) -> Option<RecordingEnd> {
        let length = codec.length(packet.payload)?;
        self.heard_at = now;
        self.tape.now = now;
        let (intake, tape) = (&mut self.intake, &mut self.tape);
        if codec != intake.codec() {
            self.timeline.flush(now, &mut |run| intake.write(run, tape));
            *intake = Intake::new(codec, tape.form());
        }
        let extent = Extent { length, clock_factor: codec.clock_factor() };
        self.timeline.push(packet, extent, now, &mut |run| intake.write(run, tape));
        self.is_over(now)
    }

    /// Takes a packet of comfort noise (RFC 3389).
    pub(super) fn pause(&mut self, packet: &Packet<'_>) {
        self.timeline.pass(packet);
        self.intake.pause(packet.payload);
    }

    /// Takes note of a packet that is a key.
    pub(super) fn pass(&mut self, packet: &Packet<'_>) {
        self.timeline.pass(packet);
    }

    /// Looks after what time brings, every 20 ms; answers why the recording is over, if it is.
    pub(super) fn poll(&mut self, now: Duration) -> Option<RecordingEnd> {
        if self.held_since.is_some() {
            return None;
        }
        self.tape.now = now;
        if self.timeline.is_waiting() {
            let (intake, tape) = (&mut self.intake, &mut self.tape);
            self.timeline.poll(now, &mut |run| intake.write(run, tape));
        }
        if self.tape.has_waited(OLDEST) {
            self.tape.hand_in();
        }
        self.is_over(now)
    }

    /// Stops the clock while the peer holds the call, or starts it again.
    pub(super) fn hold(&mut self, held: bool, now: Duration) {
        match (held, self.held_since) {
            (true, None) => {
                self.finish_timeline(now);
                self.held_since = Some(now);
            }
            (false, Some(since)) => {
                self.held_since = None;
                self.started += now.saturating_sub(since);
                self.heard_at = now;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }

    /// Writes what waits, and hands it in.
    fn finish_timeline(&mut self, now: Duration) {
        self.tape.now = now;
        let (intake, tape) = (&mut self.intake, &mut self.tape);
        self.timeline.finish(now, &mut |run| intake.write(run, tape));
        self.tape.hand_in();
    }

    pub(super) fn ends_at(&self, digit: char) -> bool {
        self.end_digits.contains(digit)
    }

    /// Where the tone of a key that was just told by telephone-event begins.
    pub(super) fn place_of(&self, press: &KeyPress) -> u64 {
        self.timeline.place_of(press.ssrc, press.timestamp).unwrap_or(u64::MAX)
    }

    /// Where a tone begins that was heard in the audio, and began so many samples ago.
    pub(super) fn place_before(&self, samples: u64) -> u64 {
        self.tape.length().saturating_sub(samples)
    }

    /// Hands everything to the writer. What is beyond `end`, in 8000ths of a second, is not part of the recording.
    ///
    /// # Errors
    ///
    /// What to tell the call at once, as nobody else will.
    pub(super) fn finish(
        mut self,
        ended_by: RecordingEnd,
        end: u64,
        now: Duration,
        session: u64,
        orders: &Weak<Orders>,
    ) -> Result<(), MediaEvent> {
        self.finish_timeline(now);
        let silence = match ended_by {
            RecordingEnd::Silence => self.tape.silence.as_ref().map_or(0, |silence| silence.samples()),
            RecordingEnd::Digit(_) | RecordingEnd::Longest | RecordingEnd::Stopped | RecordingEnd::WriteFailed => 0,
        };
        let kept = self.tape.length().saturating_sub(silence).min(end);
        let width = self.tape.form().width();
        self.tape.writer.finish(Finish {
            file: self.tape.file,
            session,
            orders: Weak::clone(orders),
            id: self.id,
            kept,
            width,
            ended_by,
        })
    }

    fn is_over(&self, now: Duration) -> Option<RecordingEnd> {
        let line_silent = now.saturating_sub(self.heard_at);
        let line_silent = if line_silent >= SILENT_LINE { line_silent } else { Duration::ZERO };
        if self.tape.file.has_failed() {
            Some(RecordingEnd::WriteFailed)
        } else if self.tape.full || now.saturating_sub(self.started) >= self.longest.saturating_add(GRACE) {
            Some(RecordingEnd::Longest)
        } else if let (Some(longest), Some(silence)) = (self.trailing_silence, &self.tape.silence)
            && silence.length() + line_silent >= longest
        {
            Some(RecordingEnd::Silence)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{Read as _, Seek as _},
        sync::Arc,
    };

    use super::*;
    use crate::{
        audio::{FRAME_SAMPLES, decoder::Decoder, encoder::Encoder, form::Form, law::Law, level::level, resample::resample, wav},
        media::order::Order,
    };

    const SECOND: Duration = Duration::from_secs(1);
    const G711: Form = Form::G711(Law::Mu);

    #[test]
    fn packets_of_any_length_are_recorded_whole_in_every_codec() {
        for codec in Codec::ALL {
            for frames in [1, 2, 3] {
                let mut talk = Talk::new(codec, Form::of(codec, true));

                for packet in talk.payloads(codec, 3.0).chunks(frames) {
                    talk.say(codec, &joined(codec, packet));
                }

                let audio = talk.recorded();
                assert_eq!(audio.len(), 3 * audio_rate(codec), "{codec:?}, {frames} frames a packet");
                assert!(talk.likeness(&audio, audio_rate(codec)) > alike(codec), "{codec:?}, {frames} frames a packet");
            }
        }
        // Where a frame can be cut: packets of ten milliseconds, and of thirty.
        for (codec, ten) in [(Codec::Pcmu, 80), (Codec::Pcma, 80), (Codec::G722, 80), (Codec::G729, 10)] {
            for bytes in [ten, 3 * ten] {
                let mut talk = Talk::new(codec, Form::of(codec, true));
                talk.payloads(codec, 3.0).concat().chunks(bytes).for_each(|payload| talk.say(codec, payload));

                let audio = talk.recorded();
                assert_eq!(audio.len(), 3 * audio_rate(codec));
                assert!(talk.likeness(&audio, audio_rate(codec)) > alike(codec), "{codec:?}, {bytes} bytes a packet");
            }
        }
    }

    #[test]
    fn what_is_lost_is_made_up_and_takes_its_time() {
        for codec in Codec::ALL {
            let mut whole = Talk::new(codec, Form::of(codec, true));
            let payloads = whole.payloads(codec, 4.0);
            payloads.iter().for_each(|payload| whole.say(codec, payload));
            let whole = whole.recorded();

            let least = match codec {
                Codec::Opus => [0.98, 0.95],
                Codec::Pcmu | Codec::Pcma => [0.98, 0.9],
                // What is predicted of the past is amiss for a while after a loss.
                Codec::G722 => [0.92, 0.76],
                Codec::G729 => [0.85, 0.4],
            };
            for (every, alike) in [20, 5].into_iter().zip(least) {
                let mut talk = Talk::new(codec, Form::of(codec, true));
                for (index, payload) in payloads.iter().enumerate() {
                    if index % every == 3 { talk.lose() } else { talk.say(codec, payload) }
                }

                let audio = talk.recorded();
                assert_eq!(audio.len(), whole.len(), "{codec:?}");
                let holes = with_holes(&payloads, every, codec);
                let (made_up, empty) = (correlation(&whole, &audio), correlation(&whole, &holes));
                assert!(made_up > alike && made_up > empty, "{codec:?}: {made_up} against {empty}");
            }
        }
    }

    #[test]
    fn another_payload_type_in_the_middle_is_the_same_recording() {
        for form in [G711, Form::Linear, Form::WideLinear] {
            let mut talk = Talk::new(Codec::G722, form);
            let codecs = [Codec::G722, Codec::Pcma, Codec::G729, Codec::Opus];
            for (index, codec) in codecs.into_iter().enumerate() {
                let payloads = talk.payloads(codec, 4.0);
                payloads[index * 50..][..50].iter().for_each(|payload| talk.say(codec, payload));
            }

            let audio = talk.recorded();
            assert_eq!(audio.len(), 4 * form.sample_rate() as usize, "{form:?}");
            for (part, codec) in codecs.into_iter().enumerate() {
                let part = part * form.sample_rate() as usize..(part + 1) * form.sample_rate() as usize;
                let said = resample(&talk.voice, 16_000, form.sample_rate());
                let alike = best_correlation(&said[part.start + 800..part.end - 800], &audio, part.start + 800);
                let least = if codec == Codec::G729 { 0.6 } else { 0.85 };
                assert!(alike > least, "{form:?}, {codec:?}: {alike}");
            }
        }
    }

    #[test]
    fn another_stream_in_the_middle_is_the_same_recording() {
        for codec in Codec::ALL {
            let mut talk = Talk::new(codec, Form::of(codec, true));
            let payloads = talk.payloads(codec, 4.0);
            for (index, payload) in payloads.iter().enumerate() {
                if index == 100 {
                    (talk.ssrc, talk.sequence, talk.timestamp) = (2, 60_000, 4_000_000_000);
                }
                talk.say(codec, payload);
            }

            let audio = talk.recorded();
            assert_eq!(audio.len(), 4 * audio_rate(codec), "{codec:?}");
            assert!(talk.likeness(&audio, audio_rate(codec)) > alike(codec), "{codec:?}");
        }
    }

    #[test]
    fn a_pause_is_as_long_as_it_was_and_sounds_as_the_sender_says() {
        for (codec, noise) in [(Codec::Pcmu, true), (Codec::Pcmu, false), (Codec::G722, true), (Codec::G722, false)] {
            let mut talk = Talk::new(codec, Form::of(codec, true));
            let payloads = talk.payloads(codec, 2.0);
            payloads.iter().for_each(|payload| talk.say(codec, payload));
            if noise {
                talk.comfort(&[50]);
            }
            talk.pass(SECOND * 3);
            payloads.iter().for_each(|payload| talk.say(codec, payload));

            let audio = talk.recorded();
            let rate = audio_rate(codec);
            assert_eq!(audio.len(), 7 * rate, "{codec:?}");
            let pause = level(&audio[2 * rate + rate / 10..5 * rate]);
            if noise {
                assert!((pause + 47.0).abs() < 2.0, "{codec:?}: {pause} dB");
            } else {
                assert!(pause < -80.0, "{codec:?}: {pause} dB");
            }
        }
    }

    #[test]
    fn a_pause_of_g729_sounds_as_its_description_of_silence_says() {
        let mut talk = Talk::new(Codec::G729, Form::Linear);
        let payloads = talk.payloads(Codec::G729, 2.0);
        payloads.iter().for_each(|payload| talk.say(Codec::G729, payload));
        for gain in [10, 10, 12] {
            // Annex B: a frame of two bytes, then nothing until something changes.
            talk.say(Codec::G729, &[0, gain << 1]);
            talk.pass(Duration::from_millis(990));
        }
        payloads.iter().for_each(|payload| talk.say(Codec::G729, payload));

        let audio = talk.recorded();
        assert_eq!(audio.len(), 7 * 8000);
        let levels = [3 * 8000, 4 * 8000 + 400].map(|start| level(&audio[start..start + 7000]));
        assert!((levels[0] + 52.0).abs() < 2.0 && (levels[1] + 48.0).abs() < 2.0, "{levels:?}");
    }

    #[test]
    fn a_sender_of_opus_may_fall_silent_and_go_on() {
        let mut talk = Talk::new(Codec::Opus, Form::WideLinear);
        let payloads = talk.payloads(Codec::Opus, 2.0);
        payloads.iter().for_each(|payload| talk.say(Codec::Opus, payload));
        for _ in 0..5 {
            talk.pass(Duration::from_millis(380));
            talk.say(Codec::Opus, &payloads[0]);
        }
        payloads.iter().for_each(|payload| talk.say(Codec::Opus, payload));

        assert_eq!(talk.recorded().len(), 6 * 16_000);
    }

    #[test]
    fn silence_ends_a_wideband_recording_too() {
        let mut talk = Talk::with_silence(Codec::G722, Form::WideLinear, SECOND * 2);
        let payloads = talk.payloads(Codec::G722, 2.0);
        payloads.iter().for_each(|payload| talk.say(Codec::G722, payload));
        let silence = silence();

        let ended = silence.iter().take(150).position(|payload| {
            talk.say(Codec::G722, payload);
            talk.ended.is_some()
        });

        assert!((90..=130).contains(&ended.expect("an end")), "{ended:?}");
        assert_eq!(talk.ended, Some(RecordingEnd::Silence));
    }

    /// Payloads of nothing.
    fn silence() -> Vec<Vec<u8>> {
        let mut encoder = Encoder::new(Codec::G722);
        let encode = |_| {
            let mut payload = Vec::new();
            encoder.encode(&[0; 2 * FRAME_SAMPLES], &mut payload);
            payload
        };
        (0..200).map(encode).collect()
    }

    /// How alike speech is that went through a codec, at least.
    fn alike(codec: Codec) -> f64 {
        // G.729 keeps what is heard of a voice, not its waveform.
        if codec == Codec::G729 { 0.65 } else { 0.9 }
    }

    fn audio_rate(codec: Codec) -> usize {
        Form::of(codec, true).sample_rate() as usize
    }

    /// Frames as one packet.
    fn joined(codec: Codec, frames: &[Vec<u8>]) -> Vec<u8> {
        if codec != Codec::Opus {
            return frames.concat();
        }
        let mut packer = crate::media::packer::Packer::new(codec, 60);
        let mut packets = Vec::new();
        let mut send = |packed: crate::media::packer::Packed<'_>| packets.push(packed.payload.to_vec());
        frames.iter().for_each(|frame| packer.push(frame, 0, &mut send));
        packer.flush(&mut send);
        assert_eq!(packets.len(), 1, "all frames of this voice are of one kind");
        packets.swap_remove(0)
    }

    /// What is heard when nothing is made up.
    fn with_holes(payloads: &[Vec<u8>], every: usize, codec: Codec) -> Vec<i16> {
        let mut decoder = Decoder::new(codec);
        let mut audio = vec![0; payloads.len() * codec.frame_samples()];
        for ((index, payload), samples) in payloads.iter().enumerate().zip(audio.chunks_mut(codec.frame_samples())) {
            if index % every != 3 {
                decoder.decode(payload, samples);
            }
        }
        audio
    }

    fn correlation(a: &[i16], b: &[i16]) -> f64 {
        let (mut ab, mut aa, mut bb) = (0.0, 1.0, 1.0);
        for (&a, &b) in a.iter().zip(b) {
            let (a, b) = (f64::from(a), f64::from(b));
            (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b);
        }
        ab / f64::sqrt(aa * bb)
    }

    /// The best correlation at `place` or a little later.
    fn best_correlation(said: &[i16], heard: &[i16], place: usize) -> f64 {
        let later = (place..(place + 260).min(heard.len())).map(|at| correlation(said, &heard[at..]));
        later.fold(-1.0, f64::max)
    }

    /// Somebody who speaks into a recording; time passes as they do.
    struct Talk {
        recorder: Option<Recorder>,
        ended: Option<RecordingEnd>,
        file: File,
        voice: Vec<i16>,
        now: Duration,
        ssrc: u32,
        sequence: u16,
        timestamp: u32,
        clock_factor: u32,
        orders: std::sync::mpsc::Receiver<(u64, Order)>,
        way: Arc<Orders>,
    }

    impl Talk {
        fn new(codec: Codec, form: Form) -> Self {
            Self::begin(codec, form, None)
        }

        fn with_silence(codec: Codec, form: Form, silence: Duration) -> Self {
            Self::begin(codec, form, Some(silence))
        }

        fn begin(codec: Codec, form: Form, trailing_silence: Option<Duration>) -> Self {
            let file = tempfile::tempfile().expect("a file");
            let spec = RecordSpec {
                id: RecordingId(1),
                file: file.try_clone().expect("a file"),
                form,
                longest: SECOND * 60,
                trailing_silence,
                end_digits: DigitSet::NONE,
            };
            let (way, orders) = Orders::unserved();
            let speech = include_bytes!("../../tests/data/voice.wav");
            Self {
                recorder: Some(Recorder::new(spec, codec, Writer::start().expect("threads"), Duration::ZERO)),
                ended: None,
                file,
                voice: wav::read_at(16_000, speech, SECOND * 60).expect("a prompt").into_iter().cycle().take(80_000).collect(),
                now: Duration::ZERO,
                ssrc: 1,
                sequence: 65_500,
                timestamp: 1000,
                clock_factor: codec.clock_factor(),
                orders,
                way,
            }
        }

        /// The beginning of the voice, as payloads of 20 ms.
        fn payloads(&self, codec: Codec, seconds: f64) -> Vec<Vec<u8>> {
            let voice = resample(&self.voice, 16_000, codec.sample_rate());
            let mut encoder = Encoder::new(codec);
            let encode = |frame: &[i16]| {
                let mut payload = Vec::new();
                encoder.encode(frame, &mut payload);
                payload
            };
            voice.chunks_exact(codec.frame_samples()).take((seconds * 50.0) as usize).map(encode).collect()
        }

        fn say(&mut self, codec: Codec, payload: &[u8]) {
            let length = codec.length(payload).expect("a payload");
            if self.clock_factor != codec.clock_factor() {
                (self.clock_factor, self.timestamp) = (codec.clock_factor(), 77);
            }
            let packet = self.packet(payload);
            let recorder = self.recorder.as_mut().expect("a recording");
            self.ended = self.ended.or(recorder.receive(&packet, codec, self.now));
            self.sequence = self.sequence.wrapping_add(1);
            self.pass(Duration::from_micros(125 * length));
        }

        fn lose(&mut self) {
            self.sequence = self.sequence.wrapping_add(1);
            self.pass(Duration::from_millis(20));
        }

        fn comfort(&mut self, payload: &[u8]) {
            let packet = self.packet(payload);
            self.recorder.as_mut().expect("a recording").pause(&packet);
            self.sequence = self.sequence.wrapping_add(1);
        }

        fn packet<'a>(&self, payload: &'a [u8]) -> Packet<'a> {
            Packet {
                marker: false,
                payload_type: 96,
                sequence: self.sequence,
                timestamp: self.timestamp,
                ssrc: self.ssrc,
                payload,
            }
        }

        fn pass(&mut self, span: Duration) {
            self.timestamp = self.timestamp.wrapping_add(samples_in(span) as u32 * self.clock_factor);
            let until = self.now + span;
            while self.now < until {
                self.now = until.min(self.now + Duration::from_millis(20));
                let recorder = self.recorder.as_mut().expect("a recording");
                self.ended = self.ended.or(recorder.poll(self.now));
            }
        }

        /// Ends the recording, and reads it.
        fn recorded(&mut self) -> Vec<i16> {
            let recorder = self.recorder.take().expect("a recording");
            let form = recorder.tape.form();
            let orders = Arc::downgrade(&self.way);
            recorder.finish(RecordingEnd::Stopped, u64::MAX, self.now, 1, &orders).expect("a writer");
            let (_, order) = self.orders.recv_timeout(SECOND * 20).expect("the end of the recording");
            let mut bytes = Vec::new();
            self.file.rewind().expect("a file");
            self.file.read_to_end(&mut bytes).expect("a file");
            let Order::Recorded(MediaEvent::RecordingDone { kept, written, .. }) = order else { panic!("{order:?}") };
            assert_eq!((samples_in(kept), written), (written, bytes.len() as u64 / form.width() as u64));
            form.samples(&bytes)
        }

        /// How alike a recording is to the voice.
        fn likeness(&self, audio: &[i16], rate: usize) -> f64 {
            let said = resample(&self.voice, 16_000, rate as u32);
            best_correlation(&said[..audio.len() - 300], audio, 0)
        }
    }
}
