//! The voices: for each language, the audio of every prompt its grammar needs.
//!
//! What is said and in which order is decided in `ivr`; a voice only has the recordings. Start with [`Voices`].

use std::{collections::BTreeMap, time::Duration};

use crate::{
    audio::wav,
    domain::language::{Grammar, LanguageCode, Languages, UnknownLanguage},
    ivr::prompts::PromptId,
};

/// The longest that a prompt may be.
pub const LONGEST_PROMPT: Duration = Duration::from_secs(60);

/// All languages with their recordings.
pub struct Voices {
    by_language: BTreeMap<LanguageCode, Voice>,
}

/// The recordings of one language.
pub struct Voice {
    /// How its phrases are put together.
    pub grammar: Grammar,
}

impl Voices {
    /// The languages we have prompts in.
    #[must_use]
    pub fn ours() -> Self {
        let languages = Languages::default();
        let voices = languages.all().map(|(code, grammar)| (code.clone(), Voice { grammar }));
        Self { by_language: voices.collect() }
    }

    /// The languages there are, with the one that is spoken where nothing else says which.
    ///
    /// # Errors
    ///
    /// When `default` is none of them.
    pub fn languages(&self, default: &str) -> Result<Languages, UnknownLanguage> {
        Languages::new(self.by_language.iter().map(|(code, voice)| (code.clone(), voice.grammar)), default)
    }

    /// The codes of all languages, in order.
    pub fn codes(&self) -> impl Iterator<Item = &LanguageCode> {
        self.by_language.keys()
    }

    /// A prompt in a language, at a rate in samples a second; `None` for a language that is not there, or a prompt that its
    /// grammar has no use for.
    #[must_use]
    pub fn prompt(&self, language: &LanguageCode, prompt: PromptId, rate: u32) -> Option<Vec<i16>> {
        let voice = self.by_language.get(language)?;
        let samples = wav::read_at(rate, prompt.embedded(voice.grammar)?, LONGEST_PROMPT);
        Some(samples.expect("every embedded prompt is read by a test"))
    }
}
