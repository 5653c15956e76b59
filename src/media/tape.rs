//! What is recorded, as bytes in buffers on their way to the writer.

use std::{sync::Arc, time::Duration};

use super::journal::{BUFFER, JournalFile, Writer};
use crate::audio::{FRAME_SAMPLES, form::Form, level::TrailingSilence};

/// The most bytes in a frame of 20 ms.
const LONGEST_FRAME: usize = 4 * FRAME_SAMPLES;

/// A recording as it grows. Lengths are in 8000ths of a second.
#[derive(Debug)]
pub(super) struct Tape {
    form: Form,
    longest: u64,
    length: u64,
    pub(super) file: Arc<JournalFile>,
    pub(super) writer: Writer,
    buffer: Option<Vec<u8>>,
    /// When the buffer was begun.
    begun: Duration,
    pub(super) now: Duration,
    /// The frame that the silence detector hears next, as far as it is filled.
    frame: [u8; LONGEST_FRAME],
    filled: usize,
    pub(super) silence: Option<TrailingSilence>,
    /// Whether the longest is reached.
    pub(super) full: bool,
}

impl Tape {
    pub(super) fn new(form: Form, file: JournalFile, writer: Writer, longest: u64, detect_silence: bool, now: Duration) -> Self {
        Self {
            form,
            longest,
            length: 0,
            file: Arc::new(file),
            writer,
            buffer: None,
            begun: now,
            now,
            frame: [0; LONGEST_FRAME],
            filled: 0,
            silence: detect_silence.then(TrailingSilence::new),
            full: false,
        }
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// How much more there is room for.
    pub(super) fn room(&self) -> u64 {
        if self.file.has_failed() { 0 } else { self.longest - self.length }
    }

    /// Whether something has waited for longer than `span` to be handed in.
    pub(super) fn has_waited(&self, span: Duration) -> bool {
        self.buffer.is_some() && self.now.saturating_sub(self.begun) >= span
    }

    /// Appends bytes of the tape's form, as far as there is room.
    pub(super) fn write(&mut self, audio: &[u8]) {
        let width = self.form.width();
        let room = (self.longest - self.length).saturating_mul(width as u64);
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
            // A buffer holds whole samples, as its size is a multiple of every width.
            let part = audio.len().min(BUFFER - buffer.len());
            buffer.extend_from_slice(&audio[..part]);
            self.length += (part / width) as u64;
            audio = &audio[part..];
            if buffer.len() == BUFFER {
                self.hand_in();
            }
        }
    }

    pub(super) fn hand_in(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            self.writer.append(&self.file, buffer);
        }
    }

    fn listen(&mut self, mut audio: &[u8]) {
        let Some(silence) = &mut self.silence else { return };
        let frame_length = FRAME_SAMPLES * self.form.width();
        let mut samples = [0; FRAME_SAMPLES];
        while !audio.is_empty() {
            let part = audio.len().min(frame_length - self.filled);
            self.frame[self.filled..self.filled + part].copy_from_slice(&audio[..part]);
            self.filled += part;
            audio = &audio[part..];
            if self.filled == frame_length {
                self.filled = 0;
                let frame = &self.frame[..frame_length];
                match self.form {
                    Form::G711(law) => law.decode(frame, &mut samples),
                    Form::Linear => {
                        let linear = frame.as_chunks().0.iter().copied().map(i16::from_le_bytes);
                        samples.iter_mut().zip(linear).for_each(|(sample, linear)| *sample = linear);
                    }
                    // As loud, but for the very highest, is the mean of two.
                    Form::WideLinear => {
                        for (sample, &[a, b, c, d]) in samples.iter_mut().zip(frame.as_chunks::<4>().0) {
                            *sample = i16::midpoint(i16::from_le_bytes([a, b]), i16::from_le_bytes([c, d]));
                        }
                    }
                }
                silence.push(&samples);
            }
        }
    }
}
