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
