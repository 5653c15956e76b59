//! Prompts as ready-made frames, one set a codec, encoded when first played and shared by all calls.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use crate::{
    audio::{SAMPLE_RATE, codec::Codec, tone, wav},
    ivr::prompts::PromptId,
    media::EncodedAudio,
};

/// All prompts and the beep.
#[derive(Default)]
pub struct Library {
    sets: [Set; Codec::ALL.len()],
}

struct Set {
    prompts: Vec<OnceLock<Arc<EncodedAudio>>>,
    beep: OnceLock<Arc<EncodedAudio>>,
}

impl Default for Set {
    fn default() -> Self {
        Self { prompts: PromptId::ALL.iter().map(|_| OnceLock::new()).collect(), beep: OnceLock::new() }
    }
}

impl Library {
    /// A prompt in a codec.
    #[must_use]
    pub fn prompt(&self, prompt: PromptId, codec: Codec) -> Arc<EncodedAudio> {
        self.set(codec).prompts[prompt as usize]
            .get_or_init(|| {
                let rate = codec.sample_rate();
                let samples = wav::read_at(rate, prompt.wav(), Duration::from_secs(60));
                Arc::new(EncodedAudio::new(codec, &samples.expect("every embedded prompt is read by a test"), rate))
            })
            .clone()
    }

    /// The tone before a recording.
    #[must_use]
    pub fn beep(&self, codec: Codec) -> Arc<EncodedAudio> {
        self.set(codec).beep.get_or_init(|| Arc::new(EncodedAudio::new(codec, &tone::beep(), SAMPLE_RATE))).clone()
    }

    fn set(&self, codec: Codec) -> &Set {
        &self.sets[codec as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prompt_can_be_played_in_every_codec() {
        let library = Library::default();

        for codec in Codec::ALL {
            // Encoding all of them in G.729 or Opus takes a minute without optimisation, and would tell nothing new.
            let prompts = if codec.law().is_some() || codec == Codec::G722 { PromptId::ALL } else { &PromptId::ALL[..3] };
            for &prompt in prompts {
                assert!(library.prompt(prompt, codec).duration() > Duration::from_millis(100), "{}", prompt.name());
            }
            assert_eq!(library.beep(codec).duration(), tone::BEEP);
        }
    }
}
