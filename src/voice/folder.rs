//! The operator's folder: `DIR/LANGUAGE/ID.wav`, and `DIR/LANGUAGE/language.toml` for a language that is not ours.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{
    LONGEST_PROMPT, Recording, Source, asterisk,
    check::{Finding, Problem},
};
use crate::{
    audio::{SAMPLE_RATE, import, wav::WavError},
    domain::language::{Grammar, LanguageCode},
    ivr::prompts::PromptId,
};

/// What one language's folder holds.
pub struct Contents {
    /// The recordings that can be used.
    pub recordings: BTreeMap<PromptId, Recording>,
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
        for file in entries(&path)?.into_iter().filter(|path| is_meant_to_be_heard(path)) {
            let is_wav = file.extension().is_some_and(|it| it.eq_ignore_ascii_case("wav"));
            let name = if is_wav { file.file_stem() } else { file.file_name() }.unwrap_or_default().to_string_lossy();
            match PromptId::named(&name).filter(|prompt| is_wav && prompt.is_needed_by(grammar)) {
                None => contents.findings.push(Finding::new(&code, &name, Problem::Unknown)),
                Some(prompt) => match recording(&file, Source::Folder) {
                    Ok(recording) => _ = contents.recordings.insert(prompt, recording),
                    Err(problem) => contents.findings.push(Finding::new(&code, &name, problem)),
                },
            }
        }
        languages.push((code, grammar, contents));
    }
    Ok(languages)
}

/// Whether somebody who put this here wanted it to be heard: not what file managers and the like leave behind.
fn is_meant_to_be_heard(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.is_file() && name != LANGUAGE_FILE && !name.starts_with('.')
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

/// What is in a WAV of any common form.
pub(super) fn recording(path: &Path, source: Source) -> Result<Recording, Problem> {
    let size = fs::metadata(path).map_err(|error| Problem::Unreadable(error.to_string()))?.len();
    if size > LARGEST_FILE {
        return Err(Problem::Unreadable(format!("the file has more than {} MB", LARGEST_FILE >> 20)));
    }
    let bytes = fs::read(path).map_err(|error| Problem::Unreadable(error.to_string()))?;
    match import::read(&bytes, LONGEST_PROMPT) {
        Ok(audio) if audio.rate < SAMPLE_RATE => Err(Problem::Rate(audio.rate)),
        Ok(audio) => Ok(Recording::new(source, &audio)),
        Err(WavError::Rate(rate)) if rate < SAMPLE_RATE => Err(Problem::Rate(rate)),
        Err(error) => Err(Problem::Unreadable(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        audio::{WIDE_RATE, law::Law, resample::resample, wav},
        voice::{Voice, Voices},
    };

    #[test]
    fn whatever_is_not_heard_is_reported() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("en");
        fs::create_dir_all(folder.join("sounds")).unwrap();
        let spoken = Voice::ours(Grammar::English).prompt(PromptId::Goodbye, WIDE_RATE).unwrap();
        fs::write(folder.join("goodbye.WAV"), wav::from_samples_at(WIDE_RATE, &spoken)).unwrap();
        fs::write(folder.join("press-1.wav"), g711(Law::Mu, &resample(&spoken, WIDE_RATE, SAMPLE_RATE))).unwrap();
        for name in ["goodbye.mp3", "at", "hello.wav", ".DS_Store", LANGUAGE_FILE] {
            fs::write(folder.join(name), "").unwrap();
        }

        let voices = Voices::with_folder(dir.path()).unwrap();

        assert_eq!(
            voices.summary().iter().map(|(_, kind, prompts)| (*kind, prompts.clone())).collect::<Vec<_>>(),
            [("unknown", vec!["at", "goodbye.mp3", "hello"])]
        );
        let (_, english) = voices.all().find(|(code, _)| code.as_str() == "en").unwrap();
        let replaced: Vec<_> = english.prompts().filter(|(_, source)| *source == Source::Folder).map(|(it, _)| it).collect();
        assert!(
            replaced.len() == 2 && replaced.contains(&PromptId::Goodbye) && replaced.contains(&PromptId::Press1),
            "{replaced:?}"
        );
    }

    #[test]
    fn a_clipped_file_is_told_at_every_rate() {
        let spoken = Voice::ours(Grammar::English).prompt(PromptId::Goodbye, WIDE_RATE).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("goodbye.wav");
        for rate in [8000, 16_000, 44_100] {
            for (decibels, is_clipped) in [(0.0, false), (20.0, true)] {
                let samples = resample(&spoken, WIDE_RATE, rate);
                let peak = samples.iter().map(|sample| f32::from(*sample).abs()).fold(0.0, f32::max);
                let gain = 32_000.0 / peak * 10.0_f32.powf(decibels / 20.0);
                let samples: Vec<i16> = samples.iter().map(|sample| (f32::from(*sample) * gain) as i16).collect();
                let mut files = vec![wav::from_samples_at(rate, &samples)];
                if rate == 8000 {
                    files.extend(Law::ALL.map(|law| g711(law, &samples)));
                }
                for file in files {
                    fs::write(&path, file).unwrap();

                    assert_eq!(recording(&path, Source::Folder).unwrap().is_clipped, is_clipped, "{rate} {decibels}");
                }
            }
        }
    }

    /// A WAV of G.711 at 8000 Hz.
    fn g711(law: Law, samples: &[i16]) -> Vec<u8> {
        let form: u16 = if law == Law::A { 6 } else { 7 };
        let data = law.encoded(samples);
        let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0".to_vec();
        file.extend(form.to_le_bytes());
        file.extend(b"\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data");
        file.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
        file.extend(data);
        file
    }
}
