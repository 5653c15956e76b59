//! `afterbeep manual`.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};

use super::load;
use crate::{
    config::Config,
    domain::{keys::KeyProfile, language::Grammar},
    manual::{self, Card, Service},
};

/// Print the user's guide or the key card for subscribers, in their language and for their keys
///
/// The codes to dial and the shortest passcode are those of the configuration.
#[derive(Args, Debug)]
pub struct ManualArgs {
    /// What to print
    #[arg(value_enum)]
    what: What,
    /// Whose keys: afterbeep, asterisk, freeswitch, unity or audix; those of menus.keys in the configuration if it is not given
    #[arg(long, value_name = "PROFILE")]
    keys: Option<KeyProfile>,
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

pub fn run(args: ManualArgs, file: Option<&Path>) -> anyhow::Result<()> {
    let config = load(file)?.config;
    let keys = args.keys.unwrap_or(config.menus.keys);
    let service = service(config);
    let card = || Card::new(keys, args.language, &service);
    let bytes = match args.what {
        What::Guide => {
            manual::guide(keys, args.language, &service).map_err(|place| anyhow!("the guide is broken: {place}"))?.into_bytes()
        }
        What::Card => card().html().into_bytes(),
        What::CardPdf => card().pdf(),
    };
    match args.output {
        Some(file) => std::fs::write(&file, bytes).with_context(|| format!("{} cannot be written", file.display())),
        None => Ok(std::io::stdout().lock().write_all(&bytes)?),
    }
}

/// What the configuration says that subscribers should know.
fn service(config: Config) -> Service {
    let retrieval = config.retrieval;
    Service {
        access_codes: retrieval.access_codes,
        block_codes: retrieval.block_codes,
        anonymous_codes: retrieval.anonymous_codes,
        shortest_passcode: config.passcode.shortest,
    }
}

fn language(code: &str) -> Result<Grammar, String> {
    Grammar::of(code).ok_or_else(|| "there are guides in en, fr and es".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_in_the_documentation_is_that_of_a_service_with_the_default_configuration() {
        assert_eq!(service(Config::default()), Service::default());
    }
}
