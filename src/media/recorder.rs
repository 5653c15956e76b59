//! One recording: packets in, buffers for the writer out, and the decision when it is over.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use super::{
    journal::{BUFFER, Finish, JournalFile, Writer},
    order::{DigitSet, MediaEvent, RecordSpec, RecordingEnd, RecordingId},
    thread::Orders,
};
use crate::{
    audio::{FRAME_SAMPLES, codec::Codec, level::TrailingSilence, samples_in},
    rtp::{Packet, Run, Timeline, telephone_event::KeyPress},
};

/// How old audio may become before it is handed to the writer although its buffer is not full.
const OLDEST: Duration = Duration::from_millis(500);
/// Without a packet for so long the line counts as silent: longer than any network holds packets back.
const SILENT_LINE: Duration = Duration::from_millis(300);
/// How much later than by its packets a recording reaches its longest by the clock, when packets have stopped.
const GRACE: Duration = Duration::from_secs(1);
/// The longest audio packet that is transcoded.
const LONGEST_PAYLOAD: usize = 1600;

#[derive(Debug)]
pub(super) struct Recorder {
    id: RecordingId,
    codec: Codec,
    longest: Duration,
    trailing_silence: Option<Duration>,
    end_digits: DigitSet,
    timeline: Timeline,
    tape: Tape,
    started: Duration,
    heard_at: Duration,
    held_since: Option<Duration>,
}

impl Recorder {
    pub(super) fn new(spec: RecordSpec, writer: Writer, now: Duration) -> Self {
        let RecordSpec { id, file, codec, longest, trailing_silence, end_digits } = spec;
        Self {
            id,
            codec,
            longest,
            trailing_silence,
            end_digits,
            timeline: Timeline::default(),
            tape: Tape {
                codec,
                longest: samples_in(longest),
                length: 0,
                file: Arc::new(JournalFile::new(file)),
                writer,
                buffer: None,
                begun: now,
                now,
                frame: [codec.silence(); FRAME_SAMPLES],
                filled: 0,
                silence: trailing_silence.map(|_| TrailingSilence::new()),
                full: false,
            },
            started: now,
            heard_at: now,
            held_since: None,
        }
    }

    /// Takes an audio packet; answers why the recording is over, if it is.
    pub(super) fn receive(&mut self, packet: &Packet<'_>, codec: Codec, now: Duration) -> Option<RecordingEnd> {
        self.heard_at = now;
        self.tape.now = now;
        if codec == self.codec {
            self.timeline.push(packet, now, &mut |run| self.tape.write(run));
        } else {
            let mut transcoded = [0; LONGEST_PAYLOAD];
            let transcoded = transcoded.get_mut(..packet.payload.len())?;
            transcoded.copy_from_slice(packet.payload);
            codec.transcode(self.codec, transcoded);
            self.timeline.push(&Packet { payload: transcoded, ..*packet }, now, &mut |run| self.tape.write(run));
        }
        self.is_over(now)
    }

    /// Looks after what time brings, every 20 ms; answers why the recording is over, if it is.
    pub(super) fn poll(&mut self, now: Duration) -> Option<RecordingEnd> {
        if self.held_since.is_some() {
            return None;
        }
        if self.timeline.is_waiting() {
            self.tape.now = now;
            self.timeline.poll(now, &mut |run| self.tape.write(run));
        }
        if self.tape.buffer.is_some() && now.saturating_sub(self.tape.begun) >= OLDEST {
            self.tape.hand_in();
        }
        self.is_over(now)
    }

    /// Stops the clock while the peer holds the call, or starts it again.
    pub(super) fn hold(&mut self, held: bool, now: Duration) {
        match (held, self.held_since) {
            (true, None) => {
                self.tape.now = now;
                self.timeline.finish(now, &mut |run| self.tape.write(run));
                self.tape.hand_in();
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

    pub(super) fn ends_at(&self, digit: char) -> bool {
        self.end_digits.contains(digit)
    }

    /// Where the tone of a key that was just told by telephone-event begins.
    pub(super) fn place_of(&self, press: &KeyPress) -> u64 {
        self.timeline.place_of(press.ssrc, press.timestamp).unwrap_or(u64::MAX)
    }

    /// Where a tone begins that was heard in the audio, and began so many samples ago.
    pub(super) fn place_before(&self, samples: u64) -> u64 {
        self.tape.length.saturating_sub(samples)
    }

    /// Hands everything to the writer. What is beyond `end`, in samples, is not part of the recording.
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
        self.tape.now = now;
        self.timeline.finish(now, &mut |run| self.tape.write(run));
        self.tape.hand_in();
        let silence = match ended_by {
            RecordingEnd::Silence => self.tape.silence.map_or(0, |silence| silence.samples()),
            RecordingEnd::Digit(_) | RecordingEnd::Longest | RecordingEnd::Stopped | RecordingEnd::WriteFailed => 0,
        };
        let kept = self.tape.length.saturating_sub(silence).min(end);
        self.tape.writer.finish(Finish {
            file: self.tape.file,
            session,
            orders: Weak::clone(orders),
            id: self.id,
            kept,
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

/// What the timeline writes to.
#[derive(Debug)]
struct Tape {
    codec: Codec,
    longest: u64,
    length: u64,
    file: Arc<JournalFile>,
    writer: Writer,
    buffer: Option<Vec<u8>>,
    /// When the buffer was begun.
    begun: Duration,
    now: Duration,
    /// The frame that the silence detector hears next, as far as it is filled.
    frame: [u8; FRAME_SAMPLES],
    filled: usize,
    silence: Option<TrailingSilence>,
    /// Whether the longest is reached.
    full: bool,
}

impl Tape {
    fn write(&mut self, run: Run<'_>) {
        match run {
            Run::Audio(audio) => self.write_audio(audio),
            Run::Silence(length) => {
                let silence = [self.codec.silence(); FRAME_SAMPLES];
                let mut rest = length.min(self.longest - self.length) as usize;
                while rest > 0 && !self.file.has_failed() {
                    let part = rest.min(FRAME_SAMPLES);
                    self.write_audio(&silence[..part]);
                    rest -= part;
                }
            }
        }
    }

    fn write_audio(&mut self, audio: &[u8]) {
        let room = self.longest - self.length;
        self.full |= audio.len() as u64 >= room;
        let mut audio = &audio[..room.min(audio.len() as u64) as usize];
        self.listen(audio);
        while !audio.is_empty() {
            let buffer = match &mut self.buffer {
                Some(buffer) => buffer,
                None => {
                    let Some(buffer) = self.writer.buffer() else {
                        self.file.overrun();
                        return;
                    };
                    self.begun = self.now;
                    self.buffer.insert(buffer)
                }
            };
            let part = audio.len().min(BUFFER - buffer.len());
            buffer.extend_from_slice(&audio[..part]);
            self.length += part as u64;
            audio = &audio[part..];
            if buffer.len() == BUFFER {
                self.hand_in();
            }
        }
    }

    fn hand_in(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            self.writer.append(&self.file, buffer);
        }
    }

    fn listen(&mut self, mut audio: &[u8]) {
        let Some(silence) = &mut self.silence else { return };
        let mut samples = [0; FRAME_SAMPLES];
        while !audio.is_empty() {
            let part = audio.len().min(FRAME_SAMPLES - self.filled);
            self.frame[self.filled..self.filled + part].copy_from_slice(&audio[..part]);
            self.filled += part;
            audio = &audio[part..];
            if self.filled == FRAME_SAMPLES {
                self.filled = 0;
                self.codec.decode(&self.frame, &mut samples);
                silence.push(&samples);
            }
        }
    }
}
