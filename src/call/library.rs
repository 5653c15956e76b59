//! Prompts as ready-made frames, one set a language and codec, encoded when first played and shared by all calls.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use crate::{
    audio::{SAMPLE_RATE, codec::Codec, tone},
    domain::language::LanguageCode,
    ivr::prompts::PromptId,
    media::EncodedAudio,
    voice::Voices,
};

/// All prompts of all languages, and the beep.
pub struct Library {
    voices: Voices,
    sets: BTreeMap<LanguageCode, [Set; Codec::ALL.len()]>,
    beeps: [OnceLock<Arc<EncodedAudio>>; Codec::ALL.len()],
}

/// The prompts of one language in one codec; those that are not there are remembered as well.
struct Set(Vec<OnceLock<Option<Arc<EncodedAudio>>>>);

impl Default for Set {
    fn default() -> Self {
        Self(PromptId::ALL.iter().map(|_| OnceLock::new()).collect())
    }
}

impl Library {
    /// A library of these voices.
    #[must_use]
    pub fn new(voices: Voices) -> Self {
        let sets = voices.all().map(|(code, _)| (code.clone(), <[Set; Codec::ALL.len()]>::default())).collect();
        Self { voices, sets, beeps: Default::default() }
    }

    /// A prompt in a language and a codec; `None` if that language has no such prompt.
    #[must_use]
    pub fn prompt(&self, language: &LanguageCode, prompt: PromptId, codec: Codec) -> Option<Arc<EncodedAudio>> {
        let Set(prompts) = &self.sets.get(language)?[codec as usize];
        let encoded = prompts[prompt as usize].get_or_init(|| {
            let rate = codec.sample_rate();
            let samples = self.voices.prompt(language, prompt, rate)?;
            Some(Arc::new(EncodedAudio::new(codec, &samples, rate)))
        });
        encoded.clone()
    }

    /// The tone before a recording.
    #[must_use]
    pub fn beep(&self, codec: Codec) -> Arc<EncodedAudio> {
        self.beeps[codec as usize].get_or_init(|| Arc::new(EncodedAudio::new(codec, &tone::beep(), SAMPLE_RATE))).clone()
    }
}

impl Default for Library {
    /// The languages we have prompts in.
    fn default() -> Self {
        Self::new(Voices::ours())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::language::{Grammar, Languages};

    #[test]
    fn every_prompt_can_be_played_in_every_codec() {
        let library = Library::default();

        for codec in Codec::ALL {
            for grammar in Grammar::ALL {
                let code = Languages::default().spoken(Some(grammar.code()), None).code;
                let needed: Vec<_> = PromptId::ALL.iter().filter(|prompt| prompt.is_needed_by(grammar)).collect();
                // Encoding all of them in G.729 or Opus takes a minute without optimisation, and would tell nothing new.
                let prompts = if codec == Codec::Pcmu && grammar == Grammar::English { &needed[..] } else { &needed[..3] };
                for prompt in prompts {
                    let audio = library.prompt(&code, **prompt, codec).unwrap();
                    assert!(audio.duration() > Duration::from_millis(100), "{}", prompt.name());
                }
            }
            assert_eq!(library.beep(codec).duration(), tone::BEEP);
        }
    }

    #[test]
    fn what_a_language_does_not_have_is_left_out() {
        let library = Library::default();
        let code = |code| Languages::new([("de".parse().unwrap(), Grammar::English)], "en").unwrap().find(code).unwrap().clone();

        assert!(library.prompt(&code("es"), PromptId::Pm, Codec::Pcmu).is_none());
        assert!(library.prompt(&code("de"), PromptId::Goodbye, Codec::Pcmu).is_none());
    }
}
