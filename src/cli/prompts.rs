//! `afterbeep prompts`.

use std::path::Path;

use anyhow::bail;
use clap::Subcommand;
use serde::Serialize;

use super::{load, output};
use crate::{
    audio::{self, WIDE_RATE, wav},
    domain::language::LanguageCode,
    ivr::prompts::PromptId,
    server,
    voice::{Source, Voice, Voices, check},
};

#[derive(Debug, Subcommand)]
pub enum PromptsCommand {
    /// List the languages there are prompts in, or the prompts of one language
    List {
        /// The language whose prompts are listed
        language: Option<String>,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Say what is wrong with the prompts: missing, clipped, cut off, uneven; exit code 1 if anything is
    Check {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
}

pub fn run(command: PromptsCommand, file: Option<&Path>) -> anyhow::Result<()> {
    let config = load(file)?.config;
    let voices = server::voices(&config)?;
    let languages = server::languages(&config)?;
    match command {
        PromptsCommand::List { language: None, json } => list(&voices, json),
        PromptsCommand::List { language: Some(language), json } => {
            let code = languages.find(&language)?;
            let voice = voices.all().find(|(its, _)| *its == code).map(|(_, voice)| voice);
            voice.map_or(Ok(()), |voice| list_prompts(voice, json))
        }
        PromptsCommand::Check { json } => check_all(&voices, json),
    }
}

/// A language in a list.
#[derive(Serialize)]
struct Language<'a> {
    language: &'a str,
    grammar: String,
    clock: &'static str,
    prompts: usize,
    from_folder: usize,
    from_asterisk: usize,
    ours: usize,
}

fn list(voices: &Voices, json: bool) -> anyhow::Result<()> {
    let row = |(code, voice): (&'_ LanguageCode, &Voice)| {
        let sources: Vec<Source> = voice.prompts().map(|(_, source)| source).collect();
        let count = |wanted: Source| sources.iter().filter(|source| **source == wanted).count();
        (code.to_string(), voice.grammar, sources.len(), count(Source::Folder), count(Source::Asterisk), count(Source::Ours))
    };
    let rows: Vec<_> = voices.all().map(row).collect();
    let rows: Vec<Language<'_>> = rows
        .iter()
        .map(|(code, grammar, prompts, from_folder, from_asterisk, ours)| Language {
            language: code,
            grammar: format!("{grammar:?}").to_lowercase(),
            clock: grammar.clock().as_str(),
            prompts: *prompts,
            from_folder: *from_folder,
            from_asterisk: *from_asterisk,
            ours: *ours,
        })
        .collect();
    output::rows(
        &rows,
        &[
            ("LANGUAGE", &|row| row.language.to_owned()),
            ("GRAMMAR", &|row| row.grammar.clone()),
            ("CLOCK", &|row| row.clock.to_owned()),
            ("PROMPTS", &|row| row.prompts.to_string()),
            ("FROM FOLDER", &|row| row.from_folder.to_string()),
            ("FROM ASTERISK", &|row| row.from_asterisk.to_string()),
            ("OURS", &|row| row.ours.to_string()),
        ],
        json,
    )
}

/// A prompt in a list.
#[derive(Serialize)]
struct Prompt {
    prompt: &'static str,
    source: &'static str,
    seconds: f64,
    /// What our recording says, also where another takes its place.
    words: String,
}

fn list_prompts(voice: &Voice, json: bool) -> anyhow::Result<()> {
    let words = |prompt: PromptId| prompt.embedded(voice.grammar).and_then(wav::comment).unwrap_or_default();
    let length = |prompt| voice.prompt(prompt, WIDE_RATE).map_or(0, |samples| samples.len());
    let row = |(prompt, source): (PromptId, Source)| Prompt {
        prompt: prompt.name(),
        source: source.as_str(),
        seconds: (length(prompt) as f64 / f64::from(audio::WIDE_RATE) * 100.0).round() / 100.0,
        words: words(prompt),
    };
    let rows: Vec<Prompt> = voice.prompts().map(row).collect();
    output::rows(
        &rows,
        &[
            ("PROMPT", &|row| row.prompt.to_owned()),
            ("SOURCE", &|row| row.source.to_owned()),
            ("SECONDS", &|row| format!("{:.2}", row.seconds)),
            ("WORDS", &|row| row.words.clone()),
        ],
        json,
    )
}

/// A problem in a list.
#[derive(Serialize)]
struct Problem {
    language: String,
    prompt: String,
    problem: &'static str,
    text: String,
}

fn check_all(voices: &Voices, json: bool) -> anyhow::Result<()> {
    let mut findings: Vec<check::Finding> = voices.findings().cloned().collect();
    findings.extend(voices.all().flat_map(|(code, voice)| voice.faults_of_ours(code)));
    let rows: Vec<Problem> = findings
        .iter()
        .map(|finding| Problem {
            language: finding.language.to_string(),
            prompt: finding.prompt.clone(),
            problem: finding.problem.kind(),
            text: finding.problem.to_string(),
        })
        .collect();
    if json {
        output::json(&rows)?;
    } else if rows.is_empty() {
        output::text("nothing is wrong with the prompts\n")?;
    } else {
        output::rows(
            &rows,
            &[
                ("LANGUAGE", &|row| row.language.clone()),
                ("PROMPT", &|row| row.prompt.clone()),
                ("PROBLEM", &|row| row.text.clone()),
            ],
            false,
        )?;
    }
    match rows.len() {
        0 => Ok(()),
        1 => bail!("one prompt is not as it should be"),
        count => bail!("{count} prompts are not as they should be"),
    }
}
