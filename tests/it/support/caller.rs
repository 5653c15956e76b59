//! Somebody with a telephone of our own, who knows the prompts by heart.

use std::{net::SocketAddr, time::Duration};

use afterbeep::{
    audio::{codec::Codec, g729, law::Law, wav},
    domain::language::Grammar,
    ivr::PromptId,
    phone::{Call, CallError, Phone, listen},
};

use super::server::{CALLER, PASSCODE, Server};

/// How long a caller waits for anything before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How much what is heard must be like what is known: the same audio through G.711 is more than 0.99.
const ALIKE: f64 = 0.95;
/// Opus keeps what is heard, not the waveform: about 0.94.
const ALIKE_BY_OPUS: f64 = 0.88;
/// Where a telephone stretches and squeezes what it plays, to keep the delay short, what is known is looked for in pieces of 0.3 s.
const PIECE: usize = 2400;
/// How much a piece of what is heard must be like the known one. Unrelated speech is less than 0.5 alike.
const PIECE_ALIKE: f64 = 0.8;

/// A call in progress, and how much of it the caller has listened to.
pub struct Caller {
    pub call: Call,
    heard: usize,
    /// Of the prompts that are listened for.
    language: Grammar,
}

impl Caller {
    /// Calls a number over UDP.
    pub async fn dial(server: &Server, number: &str) -> Self {
        Self::dial_as(server, number, |phone| phone).await
    }

    /// Calls a number over UDP with a telephone that is set up otherwise.
    pub async fn dial_as(server: &Server, number: &str, set_up: impl FnOnce(Phone) -> Phone) -> Self {
        Self::try_to_dial(server.udp(), number, set_up).await.expect("the call is answered")
    }

    /// Calls a number, and may be refused.
    pub async fn try_to_dial(to: SocketAddr, number: &str, set_up: impl FnOnce(Phone) -> Phone) -> Result<Self, CallError> {
        let target = format!("sip:{number}@{to}");
        let phone = set_up(Phone::towards(&target).await?.from(CALLER));
        Ok(phone.dial(&target).await?.into())
    }

    /// Calls `*98` and logs in to a mailbox with [`PASSCODE`].
    pub async fn log_in(server: &Server, number: &str) -> Self {
        let caller = Self::dial(server, "*98").await;
        caller.presses(&format!("{number}#{PASSCODE}#")).await;
        caller
    }

    /// The same caller, who listens for prompts in another language from here on.
    pub fn listening_in(self, language: Grammar) -> Self {
        Self { language, ..self }
    }

    /// Listens until a prompt is over; what came before it need not be listened to again. Says where the prompt began.
    pub async fn hears(&mut self, prompt: PromptId) -> usize {
        self.hears_audio(prompt.name(), &words_in(prompt, self.language)).await
    }

    /// Listens until known audio is over.
    pub async fn hears_audio(&mut self, what: &str, known: &[i16]) -> usize {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let coded;
        let (known, alike) = match self.call.negotiated().codec {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => (known, ALIKE),
            Codec::Opus => (known, ALIKE_BY_OPUS),
            // It keeps so little of the waveform that it is looked for as its encoder makes it.
            Codec::G729 => {
                coded = through_g729(known);
                (&*coded, ALIKE_BY_OPUS)
            }
        };
        let mut from = self.heard;
        let mut best: f64 = 0.0;
        loop {
            let heard = self.call.line().heard();
            if heard.len() >= from + known.len() {
                let found = listen::find(known, &heard[from..]);
                if let Some(found) = found {
                    best = best.max(found.likeness);
                }
                if let Some(found) = found.filter(|found| found.likeness >= alike) {
                    self.heard = from + found.at + known.len();
                    return from + found.at;
                }
                // What was searched is not searched again, but what may be the beginning of it.
                from = heard.len() - known.len();
            }
            assert!(tokio::time::Instant::now() < deadline, "{what:?} was not heard; at best {best:.2} alike");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Goes on from a place further on.
    pub fn has_listened_to(&mut self, place: usize) {
        self.heard = self.heard.max(place);
    }

    /// Whether known audio is among what has been heard so far, listened to or not.
    pub fn has_heard(&self, prompt: PromptId) -> bool {
        listen::find(&words(prompt), &self.call.line().heard()).is_some_and(|found| found.likeness >= ALIKE)
    }

    /// Listens until the beep is over.
    pub async fn hears_beep(&mut self) {
        self.heard = self.call.line().wait_for_beep(self.heard, PATIENCE).await.expect("a beep");
    }

    /// Skips the greeting, and listens until the beep is over.
    pub async fn skips_to_the_beep(&mut self) {
        self.presses("#").await;
        self.hears_beep().await;
    }

    /// Speaks to the end.
    pub async fn says(&self, samples: &[i16]) {
        self.call.line().say(samples.to_vec());
        assert!(self.call.line().wait_until_said(PATIENCE).await, "everything can be said");
    }

    /// Presses keys one after the other, the way the call has agreed on.
    pub async fn presses(&self, keys: &str) {
        self.call.line().press(keys);
        assert!(self.call.line().wait_until_said(PATIENCE).await, "every key can be pressed");
    }

    pub async fn hangs_up(self) {
        self.call.hang_up().await;
    }

    /// Waits until the server hangs up.
    pub async fn waits_for_the_end(mut self) {
        assert!(self.call.wait_for_the_end(PATIENCE).await, "the server hangs up");
    }
}

impl From<Call> for Caller {
    fn from(call: Call) -> Self {
        Self { call, heard: 0, language: Grammar::English }
    }
}

/// The audio of a prompt, which serves as speech, too.
pub fn words(prompt: PromptId) -> Vec<i16> {
    wav::read(prompt.wav(), PATIENCE).expect("an embedded prompt")
}

/// The audio of a prompt in a language.
pub fn words_in(prompt: PromptId, language: Grammar) -> Vec<i16> {
    wav::read(prompt.embedded(language).expect("the language has the prompt"), PATIENCE).expect("an embedded prompt")
}

/// What somebody says in a message: two phrases with a second between them, 5.6 s together; and where the second begins.
pub fn speech() -> (Vec<i16>, usize) {
    let mut speech = words(FIRST_PHRASE);
    speech.extend([0; 8000]);
    let second = speech.len();
    speech.extend(words(SECOND_PHRASE));
    (speech, second)
}

/// A soft voice without words: harmonics of a wandering pitch, four syllables a second.
pub fn syllables(seconds: f64) -> Vec<i16> {
    use std::f64::consts::{PI, TAU};
    let samples = (0..(seconds * 8000.0) as usize).map(|n| {
        let time = n as f64 / 8000.0;
        let phase = 150.0 * time + 8.0 * (TAU * 1.5 * time).sin();
        let voice: f64 = (1..8).map(f64::from).map(|harmonic| (TAU * phase * harmonic).sin() / harmonic).sum();
        (800.0 * (PI * (time * 4.0 % 1.0)).sin().powi(4) * voice) as i16
    });
    samples.collect()
}

/// What [`speech`] begins with; no test hears the server say it.
pub const FIRST_PHRASE: PromptId = PromptId::Welcome;
/// What [`speech`] ends with.
pub const SECOND_PHRASE: PromptId = PromptId::WhilePlaying;

/// The samples as they are after a line with this codec.
pub fn through(law: Law, samples: &[i16]) -> Vec<i16> {
    law.decoded(&law.encoded(samples))
}

/// The samples as they are after G.729, as long as before.
pub fn through_g729(samples: &[i16]) -> Vec<i16> {
    let mut padded = samples.to_vec();
    padded.resize(samples.len().next_multiple_of(g729::FRAME) + g729::FRAME, 0);
    let mut encoder = g729::Encoder::new();
    let frames: Vec<u8> = padded.as_chunks().0.iter().flat_map(|frame| encoder.encode(frame)).collect();
    g729::Decoder::new().decode(&frames, &mut padded);
    padded[g729::DELAY..][..samples.len()].to_vec()
}

/// Which share of the pieces of known audio was heard in their order, and where the last one ends.
pub fn pieces_heard(known: &[i16], heard: &[i16]) -> (f64, usize) {
    let pieces: Vec<_> = known.chunks(PIECE).filter(|piece| piece.len() == PIECE || known.len() < PIECE).collect();
    let (mut found, mut end) = (0_u32, 0);
    for piece in &pieces {
        let place = listen::find(piece, &heard[end..]).filter(|place| place.likeness >= PIECE_ALIKE);
        if let Some(place) = place {
            found += 1;
            end += place.at + piece.len();
        }
    }
    (f64::from(found) / pieces.len() as f64, end)
}

/// Makes sure that both phrases of [`speech`] are in a message, whole and as far from each other as they were said. Says where
/// the speech begins.
pub fn expect_speech(message: &[i16]) -> usize {
    let find = |prompt| listen::find(&words(prompt), message).expect("a message longer than the phrase");
    let (first, second) = (find(FIRST_PHRASE), find(SECOND_PHRASE));
    assert!(first.likeness > 0.98 && second.likeness > 0.98, "{first:?} {second:?} in {} samples", message.len());
    let (distance, said) = (second.at.saturating_sub(first.at), speech().1);
    assert!(distance.abs_diff(said) <= TOLERANCE, "the phrases are {distance} samples apart, and were {said}");
    first.at
}

/// 40 ms.
pub const TOLERANCE: usize = 320;
