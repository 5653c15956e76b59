//! The voices: for each language, the audio of every prompt its grammar needs.
//!
//! Ours are embedded. A folder of the operator's replaces single prompts or adds languages ([`folder`]), also with the sounds of
//! an Asterisk ([`asterisk`]); what it lacks is said in our voice. [`check`] finds what would sound bad. What is said and in which
//! order is decided in `ivr`; a voice only has the recordings. Start with [`Voices`].

use std::{collections::BTreeMap, path::Path, time::Duration};

use crate::{
    audio::{WIDE_RATE, import::Imported, resample::resample, wav},
    domain::language::{Grammar, LanguageCode, Languages},
    ivr::prompts::PromptId,
};

pub mod asterisk;
pub mod check;
pub mod folder;

use check::Finding;
pub use folder::FolderError;

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
    /// The operator's recordings, which outweigh ours.
    recordings: BTreeMap<PromptId, Recording>,
    /// What was wrong with the operator's files.
    findings: Vec<Finding>,
}

/// A recording of a prompt.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Where it comes from.
    pub source: Source,
    /// 16,000 a second.
    pub samples: Vec<i16>,
    /// Whether its peaks are cut off, as its file has them.
    pub is_clipped: bool,
}

impl Recording {
    fn new(source: Source, audio: &Imported) -> Self {
        let samples = resample(&audio.samples, audio.rate, WIDE_RATE);
        Self { source, samples, is_clipped: check::is_clipped(&audio.samples, audio.rate) }
    }

    /// One after the other.
    fn joined(source: Source, pieces: &[Self]) -> Self {
        let samples = pieces.iter().flat_map(|piece| piece.samples.iter().copied()).collect();
        Self { source, samples, is_clipped: pieces.iter().any(|piece| piece.is_clipped) }
    }
}

/// Where the recording of a prompt comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Embedded, of the language whose grammar it is.
    Ours,
    /// A file of the operator's.
    Folder,
    /// Sounds of an Asterisk.
    Asterisk,
}

impl Source {
    /// One word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Folder => "folder",
            Self::Asterisk => "asterisk",
        }
    }
}

impl Voices {
    /// The languages we have prompts in.
    #[must_use]
    pub fn ours() -> Self {
        let voices = Languages::default();
        let voices = voices.all().map(|(code, grammar)| (code.clone(), Voice::ours(grammar)));
        Self { by_language: voices.collect() }
    }

    /// Ours, with what is in the folder of the operator's.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read, or does not say by which grammar a language is spoken. What is wrong with single files is
    /// among the findings.
    pub fn with_folder(folder: &Path) -> Result<Self, FolderError> {
        let mut voices = Self::ours();
        for (code, grammar, contents) in folder::read(folder)? {
            voices.by_language.insert(code.clone(), Voice::of(&code, grammar, contents));
        }
        Ok(voices)
    }

    /// Every language with its voice, in the order of their codes.
    pub fn all(&self) -> impl Iterator<Item = (&LanguageCode, &Voice)> {
        self.by_language.iter()
    }

    /// A prompt in a language, at a rate in samples a second; `None` for a language that is not there, or a prompt that its
    /// grammar has no use for.
    #[must_use]
    pub fn prompt(&self, language: &LanguageCode, prompt: PromptId, rate: u32) -> Option<Vec<i16>> {
        self.by_language.get(language)?.prompt(prompt, rate)
    }

    /// The findings in a few lines: language, kind of problem, and the prompts it is about.
    #[must_use]
    pub fn summary(&self) -> Vec<(&LanguageCode, &'static str, Vec<&str>)> {
        let mut lines = BTreeMap::<(&LanguageCode, &'static str), Vec<&str>>::new();
        for finding in self.findings() {
            lines.entry((&finding.language, finding.problem.kind())).or_default().push(&finding.prompt);
        }
        lines.into_iter().map(|((language, problem), prompts)| (language, problem, prompts)).collect()
    }

    /// What is wrong with the operator's recordings, in the order of languages.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.by_language.values().flat_map(|voice| &voice.findings)
    }
}

impl Voice {
    fn ours(grammar: Grammar) -> Self {
        Self { grammar, recordings: BTreeMap::new(), findings: vec![] }
    }

    fn of(code: &LanguageCode, grammar: Grammar, contents: folder::Contents) -> Self {
        let mut findings = contents.findings;
        findings.extend(check::faults(code, grammar, &contents.recordings));
        // One of our languages lacks nothing; a new one, or the sounds of somebody else, should be complete.
        if contents.is_whole {
            let missing = needed(grammar).filter(|prompt| !contents.recordings.contains_key(prompt));
            findings.extend(missing.map(|prompt| Finding::missing(code, prompt)));
        }
        Self { grammar, recordings: contents.recordings, findings }
    }

    /// A prompt at a rate in samples a second: the operator's recording, else ours.
    #[must_use]
    pub fn prompt(&self, prompt: PromptId, rate: u32) -> Option<Vec<i16>> {
        if let Some(Recording { samples, .. }) = self.recordings.get(&prompt) {
            return Some(if rate == WIDE_RATE { samples.clone() } else { resample(samples, WIDE_RATE, rate) });
        }
        let samples = wav::read_at(rate, prompt.embedded(self.grammar)?, LONGEST_PROMPT);
        Some(samples.expect("every embedded prompt is read by a test"))
    }

    /// What is wrong with those of our recordings that are heard: nothing, as a test says, but files may have been damaged.
    #[must_use]
    pub fn faults_of_ours(&self, code: &LanguageCode) -> Vec<Finding> {
        let ours = self.prompts().filter(|(_, source)| *source == Source::Ours);
        let recording = |samples| Recording::new(Source::Ours, &Imported { rate: WIDE_RATE, samples });
        let ours = ours.filter_map(|(prompt, _)| Some((prompt, recording(self.prompt(prompt, WIDE_RATE)?)))).collect();
        check::faults(code, self.grammar, &ours)
    }

    /// The prompts that its grammar needs, and where each comes from.
    pub fn prompts(&self) -> impl Iterator<Item = (PromptId, Source)> {
        needed(self.grammar)
            .map(|prompt| (prompt, self.recordings.get(&prompt).map_or(Source::Ours, |recording| recording.source)))
    }
}

/// The prompts that phrases of a grammar are made of.
fn needed(grammar: Grammar) -> impl Iterator<Item = PromptId> {
    PromptId::ALL.iter().copied().filter(move |prompt| prompt.is_needed_by(grammar))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recording_of_ours_says_the_words_of_its_table() {
        for grammar in Grammar::ALL {
            let table = format!("{}/prompts/{}/prompts.tsv", env!("CARGO_MANIFEST_DIR"), grammar.code());
            let table = std::fs::read_to_string(table).unwrap();
            for (name, words) in table.lines().map(|line| line.split_once('\t').unwrap()) {
                let wav = PromptId::named(name).unwrap().embedded(grammar).unwrap();

                assert_eq!(wav::comment(wav).as_deref(), Some(words), "{grammar:?} {name}");
            }
        }
    }
}
