//! `afterbeep manual`.

use std::{io::Write as _, path::PathBuf};

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};

use crate::{
    domain::{keys::KeyProfile, language::Grammar},
    manual::{self, Card},
};

/// Print the user's guide or the key card for subscribers, in their language and for their keys
#[derive(Args, Debug)]
pub struct ManualArgs {
    /// What to print
    #[arg(value_enum)]
    what: What,
    /// Whose keys: afterbeep, asterisk, freeswitch, unity or audix
    #[arg(long, value_name = "PROFILE", default_value_t = KeyProfile::Afterbeep)]
    keys: KeyProfile,
    /// The language: en, fr or es
    #[arg(long, value_name = "LANGUAGE", default_value = "en", value_parser = language)]
    language: Grammar,
    /// Where to; standard output if it is not given
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// The guide, in Markdown
    Guide,
    /// The key card, as an HTML page
    Card,
    /// The key card, as a PDF of one page
    CardPdf,
}

pub fn run(args: ManualArgs) -> anyhow::Result<()> {
    let card = || Card::new(args.keys, args.language);
    let bytes = match args.what {
        What::Guide => {
            manual::guide(args.keys, args.language).map_err(|place| anyhow!("the guide is broken: {place}"))?.into_bytes()
        }
        What::Card => card().html().into_bytes(),
        What::CardPdf => card().pdf(),
    };
    match args.output {
        Some(file) => std::fs::write(&file, bytes).with_context(|| format!("{} cannot be written", file.display())),
        None => Ok(std::io::stdout().lock().write_all(&bytes)?),
    }
}

fn language(code: &str) -> Result<Grammar, String> {
    Grammar::of(code).ok_or_else(|| "there are guides in en, fr and es".to_owned())
}
