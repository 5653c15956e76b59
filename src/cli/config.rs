//! `afterbeep config`.

use std::path::Path;

use anyhow::Context as _;
use clap::Subcommand;

use super::{load, output};
use crate::config;

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say everything that is wrong with the configuration
    Check,
    /// Print the configuration in force, without its secrets
    Show {
        /// Print JSON instead of TOML
        #[arg(long)]
        json: bool,
    },
    /// Print a commented configuration file to start from
    Example,
    /// Print the description of every setting (docs/configuration.md)
    Reference,
}

pub fn run(command: ConfigCommand, file: Option<&Path>) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Check => check(file),
        ConfigCommand::Show { json: true } => output::json(&load(file)?.config),
        ConfigCommand::Show { json: false } => output::text(&config::show(&load(file)?.config)),
        ConfigCommand::Example => output::text(&config::example_file()),
        ConfigCommand::Reference => output::text(&config::reference_page()),
    }
}

fn check(file: Option<&Path>) -> anyhow::Result<()> {
    let loaded = load(file)?;
    // The files with secrets are read only where they are needed, so say now if they cannot be.
    loaded.config.database_url().context("database_url_file")?;
    loaded.config.mail.password().context("mail.password_file")?;
    loaded.config.tls().check().context("sip.tls_certificate and the other files of TLS")?;
    let file = loaded.file.map_or_else(|| "no file, all defaults".to_owned(), |file| file.display().to_string());
    let variables = match loaded.variables.as_slice() {
        [] => String::new(),
        variables => format!(", with {}", variables.join(", ")),
    };
    output::text(&format!("the configuration is sound ({file}{variables})\n"))
}
