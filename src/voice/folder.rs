//! The operator's folder: `DIR/LANGUAGE/ID.wav`, and `DIR/LANGUAGE/language.toml` for a language that is not ours.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    LONGEST_PROMPT, Source, asterisk,
    check::{Finding, Problem},
};
use crate::{
    audio::{SAMPLE_RATE, WIDE_RATE, wav},
    domain::language::{Grammar, LanguageCode},
    ivr::prompts::PromptId,
};

/// What one language's folder holds.
pub struct Contents {
    /// The recordings that can be used, at 16,000 samples a second.
    pub recordings: BTreeMap<PromptId, (Source, Vec<i16>)>,
    /// The files that cannot.
    pub findings: Vec<Finding>,
    /// Whether it is meant to have every prompt, and not only to replace some.
    pub is_whole: bool,
}

/// Why a folder of prompts cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder, one in it, or its `language.toml` cannot be read.
    #[error("cannot read {}", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// The file says something else than what it can.
    #[error("{} is not understood", .0.display())]
    NotUnderstood(PathBuf, #[source] toml::de::Error),
    /// A new language does not say how it is spoken.
    #[error("{} must say by which grammar this language is spoken: grammar = \"english\", \"french\" or \"spanish\"", .0.display())]
    NoGrammar(PathBuf),
    /// A folder's name is no code of a language.
    #[error("{} is not the code of a language, such as fr or pt-br", .0.display())]
    NoLanguage(PathBuf),
}

/// The file that says how a language is spoken.
const LANGUAGE_FILE: &str = "language.toml";

/// The largest file that is read: a minute in stereo at 48,000 Hz and 32 bits has 23 MB.
const LARGEST_FILE: u64 = 32 << 20;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LanguageFile {
    grammar: Option<GrammarName>,
    asterisk_sounds: Option<PathBuf>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum GrammarName {
    English,
    French,
    Spanish,
}

impl From<GrammarName> for Grammar {
    fn from(name: GrammarName) -> Self {
        match name {
            GrammarName::English => Self::English,
            GrammarName::French => Self::French,
            GrammarName::Spanish => Self::Spanish,
        }
    }
}

/// The languages there are folders for, and how they are spoken; no recording is read.
///
/// # Errors
///
/// [`FolderError`].
pub fn languages(folder: &Path) -> Result<Vec<(LanguageCode, Grammar)>, FolderError> {
    Ok(folders(folder)?.into_iter().map(|language| (language.code, language.grammar)).collect())
}

/// Reads the folders of all languages.
///
/// # Errors
///
/// [`FolderError`]; what is wrong with single recordings is among the findings.
pub fn read(folder: &Path) -> Result<Vec<(LanguageCode, Grammar, Contents)>, FolderError> {
    let mut languages = Vec::new();
    for Folder { code, grammar, path, sounds } in folders(folder)? {
        let is_whole = Grammar::of(code.as_str()).is_none() || sounds.is_some();
        let mut contents = Contents { recordings: BTreeMap::new(), findings: vec![], is_whole };
        if let Some(sounds) = &sounds {
            entries(sounds)?;
            asterisk::read(sounds, &code, grammar, &mut contents);
        }
        for wav in entries(&path)?.into_iter().filter(|path| path.extension().is_some_and(|it| it == "wav")) {
            let name = wav.file_stem().unwrap_or_default().to_string_lossy();
            match PromptId::named(&name).filter(|prompt| prompt.is_needed_by(grammar)) {
                None => contents.findings.push(Finding::new(&code, &name, Problem::Unknown)),
                Some(prompt) => match recording(&wav) {
                    Ok(samples) => _ = contents.recordings.insert(prompt, (Source::Folder, samples)),
                    Err(problem) => contents.findings.push(Finding::new(&code, &name, problem)),
                },
            }
        }
        languages.push((code, grammar, contents));
    }
    Ok(languages)
}

/// The folder of one language.
struct Folder {
    code: LanguageCode,
    grammar: Grammar,
    path: PathBuf,
    /// Where the sounds of an Asterisk are.
    sounds: Option<PathBuf>,
}

fn folders(dir: &Path) -> Result<Vec<Folder>, FolderError> {
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let code: LanguageCode = name.parse().map_err(|_| FolderError::NoLanguage(path.clone()))?;
        let LanguageFile { grammar, asterisk_sounds } = language_file(&path)?;
        let grammar = grammar.map(Grammar::from).or(Grammar::of(code.as_str()));
        let grammar = grammar.ok_or_else(|| FolderError::NoGrammar(path.join(LANGUAGE_FILE)))?;
        Ok(Folder { code, grammar, sounds: asterisk_sounds.map(|sounds| path.join(sounds)), path })
    };
    entries(dir)?.into_iter().filter(|path| path.is_dir()).map(read).collect()
}

fn language_file(folder: &Path) -> Result<LanguageFile, FolderError> {
    let path = folder.join(LANGUAGE_FILE);
    match fs::read_to_string(&path) {
        Ok(text) => toml::from_str(&text).map_err(|error| FolderError::NotUnderstood(path, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(LanguageFile::default()),
        Err(error) => Err(FolderError::Unreadable(path, error)),
    }
}

/// What is in a folder, in order.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let unreadable = |error| FolderError::Unreadable(folder.to_owned(), error);
    let entries = fs::read_dir(folder).map_err(unreadable)?;
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>().map_err(unreadable)?;
    paths.sort();
    Ok(paths)
}

/// A WAV of any common form, at 16,000 samples a second.
pub(super) fn recording(path: &Path) -> Result<Vec<i16>, Problem> {
    let size = fs::metadata(path).map_err(|error| Problem::Unreadable(error.to_string()))?.len();
    if size > LARGEST_FILE {
        return Err(Problem::Unreadable(format!("the file has more than {} MB", LARGEST_FILE >> 20)));
    }
    let bytes = fs::read(path).map_err(|error| Problem::Unreadable(error.to_string()))?;
    if let Some(rate) = wav::rate(&bytes).filter(|rate| *rate < SAMPLE_RATE) {
        return Err(Problem::Rate(rate));
    }
    wav::read_at(WIDE_RATE, &bytes, LONGEST_PROMPT).map_err(|error| Problem::Unreadable(error.to_string()))
}
