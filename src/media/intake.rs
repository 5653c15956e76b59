//! From payloads in order to what is kept on the tape: decoded where the tape asks for it, with what was lost made up.
//!
//! G.711 into a file of G.711 stays what it is, byte for byte; only a gap is made up from samples. All else is decoded, brought
//! to the file's sample rate, and kept as PCM.

use super::tape::Tape;
use crate::{
    audio::{
        codec::Codec,
        conceal,
        decoder::Decoder,
        form::Form,
        halfband::{Doubler, Halver},
        law::Law,
        noise::Noise,
    },
    rtp::Run,
};

/// More than this was lost because the line was dead, and is not made up: two seconds.
const MADE_UP: u64 = 16_000;
/// Opus leaves out what is silent, and knows best what silence sounded like: for so long, half a second.
const DISCONTINUED: u64 = 4000;
/// How much silence or noise is written at a time.
const PART: u64 = 160;

#[derive(Debug)]
pub(super) struct Intake {
    codec: Codec,
    way: Way,
    /// Samples on their way.
    samples: Vec<i16>,
    resampled: Vec<i16>,
    bytes: Vec<u8>,
    /// What a sender that pauses said its silence sounds like (RFC 3389).
    noise: Option<Noise>,
}

#[derive(Debug)]
enum Way {
    /// G.711 into a file of the same law: what was written last, the newest at the end.
    Bytes { law: Law, memory: Box<[u8; conceal::MEMORY]> },
    /// Anything into anything.
    Samples { decoder: Decoder, rate: Rate },
}

/// How the decoder's samples become as many as the file's.
#[derive(Debug)]
enum Rate {
    Same,
    Double(Box<Doubler>),
    Halve(Box<Halver>),
}

impl Intake {
    /// For payloads of `codec` into a file of `form`.
    pub(super) fn new(codec: Codec, form: Form) -> Self {
        let way = match (codec.law(), form) {
            (Some(law), Form::G711(kept)) if law == kept => {
                Way::Bytes { law, memory: Box::new([law.silence(); conceal::MEMORY]) }
            }
            _ => {
                let rate = match (codec.sample_rate(), form.sample_rate()) {
                    (8000, 16_000) => Rate::Double(Box::default()),
                    (16_000, 8000) => Rate::Halve(Box::default()),
                    _ => Rate::Same,
                };
                Way::Samples { decoder: Decoder::new(codec), rate }
            }
        };
        Self { codec, way, samples: Vec::new(), resampled: Vec::new(), bytes: Vec::new(), noise: None }
    }

    pub(super) fn codec(&self) -> Codec {
        self.codec
    }

    /// Takes a payload of comfort noise: until audio comes again, that is how a pause sounds.
    pub(super) fn pause(&mut self, payload: &[u8]) {
        self.noise = Noise::new(payload);
    }

    /// Writes the next part of the recording.
    pub(super) fn write(&mut self, run: Run<'_>, tape: &mut Tape) {
        let Run { missing, mut lost, .. } = run;
        if self.codec == Codec::Opus && missing <= DISCONTINUED {
            lost = missing;
        } else if lost > MADE_UP {
            lost = 0;
        }
        let lost = lost.min(tape.room());
        if lost == missing {
            self.decode(lost, &run, tape);
        } else {
            let nothing = Run { missing: 0, lost: 0, payload: &[], from: 0, length: 0 };
            self.decode(lost, &nothing, tape);
            self.fill(missing - lost, tape);
            self.decode(0, &run, tape);
        }
        self.noise = self.codec.comfort(run.payload).and_then(|silence| Noise::new(&silence));
    }

    /// Writes what was lost, and the payload after it.
    fn decode(&mut self, lost: u64, run: &Run<'_>, tape: &mut Tape) {
        let (lost, from, length) = (lost as usize, run.from as usize, run.length as usize);
        match &mut self.way {
            Way::Bytes { law, memory } => {
                let own = run.payload.get(from..from + length).unwrap_or_default();
                if lost > 0 {
                    self.samples.clear();
                    self.samples.resize(lost, 0);
                    let mut before = [0; conceal::MEMORY];
                    law.decode(&memory[..], &mut before);
                    let mut after = [0; conceal::OUTLOOK];
                    let known = own.len().min(after.len());
                    law.decode(own, &mut after);
                    conceal::conceal(&before, &mut self.samples, &after[..known], 1);
                    self.bytes.clear();
                    self.bytes.resize(lost, 0);
                    law.encode(&self.samples, &mut self.bytes);
                    tape.write(&self.bytes);
                    remember(memory, &self.bytes);
                }
                tape.write(own);
                remember(memory, own);
            }
            Way::Samples { decoder, rate } => {
                let factor = decoder.factor();
                let whole = self.codec.length(run.payload).unwrap_or(0) as usize;
                self.samples.clear();
                self.samples.resize((lost + whole) * factor, 0);
                decoder.decode(run.payload, &mut self.samples);
                // What is in the recording already lies between what was lost and what is new.
                self.samples.truncate((lost + from + length) * factor);
                self.samples.drain(lost * factor..(lost + from).min(lost + whole) * factor);
                let samples = match rate {
                    Rate::Same => &self.samples,
                    Rate::Double(doubler) => {
                        self.resampled.clear();
                        doubler.push(&self.samples, &mut self.resampled);
                        &self.resampled
                    }
                    Rate::Halve(halver) => {
                        self.resampled.clear();
                        halver.push(&self.samples, &mut self.resampled);
                        &self.resampled
                    }
                };
                self.bytes.clear();
                append(tape.form(), samples, &mut self.bytes);
                tape.write(&self.bytes);
            }
        }
    }

    /// Writes a pause.
    fn fill(&mut self, missing: u64, tape: &mut Tape) {
        let mut rest = missing.min(tape.room());
        while rest > 0 && tape.room() > 0 {
            let part = rest.min(PART);
            let samples = part as usize * tape.form().sample_rate() as usize / 8000;
            self.samples.clear();
            self.samples.resize(samples, 0);
            if let Some(noise) = &mut self.noise {
                noise.fill(&mut self.samples);
            }
            self.bytes.clear();
            append(tape.form(), &self.samples, &mut self.bytes);
            tape.write(&self.bytes);
            rest -= part;
        }
        if let Way::Bytes { memory, .. } = &mut self.way {
            remember(memory, &self.bytes);
        }
    }
}

fn remember(memory: &mut [u8; conceal::MEMORY], written: &[u8]) {
    let newest = &written[written.len().saturating_sub(memory.len())..];
    memory.copy_within(newest.len().., 0);
    memory[conceal::MEMORY - newest.len()..].copy_from_slice(newest);
}

fn append(form: Form, samples: &[i16], bytes: &mut Vec<u8>) {
    match form {
        Form::G711(law) => {
            bytes.resize(samples.len(), 0);
            law.encode(samples, bytes);
        }
        Form::Linear | Form::WideLinear => bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes())),
    }
}
