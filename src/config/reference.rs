//! Writes the documentation of the settings from the table of keys: the reference page, the example file, and the
//! configuration in force.

use std::fmt::Write as _;

use toml::Value;

use super::{Config, KEYS, Key, SECTIONS};

/// `docs/configuration.md`.
#[must_use]
pub fn reference_page() -> String {
    let defaults = values(&Config::default());
    let mut page = String::from(INTRODUCTION);
    for ((section, about), keys) in SECTIONS.iter().zip(KEYS) {
        let heading = if section.is_empty() { "The top of the file".to_owned() } else { format!("`[{section}]`") };
        let _ = write!(page, "\n## {heading}\n\n{}\n", joined(about));
        for key in *keys {
            let default = value(&defaults, key).map_or_else(|| "not set".to_owned(), |value| format!("`{value}`"));
            let list = if key.list { "list of: " } else { "" };
            let _ = write!(
                page,
                "\n### `{}`\n\n{}\n\n- kind: {list}{}\n- default: {default}\n- example: `{} = {}`\n- environment: `{}`\n",
                key.path(),
                joined(key.doc),
                key.shape,
                key.name,
                key.example,
                key.variable(),
            );
        }
    }
    page
}

/// An example file: every key with its meaning, all commented out, so that it is valid and changes nothing.
#[must_use]
pub fn example_file() -> String {
    let defaults = values(&Config::default());
    let mut file = String::from(
        "# The configuration of afterbeep. Every key is optional; what is commented out shows the default, or an example where\n\
         # there is none. `afterbeep config check` says whether the file is sound.\n",
    );
    for ((section, about), keys) in SECTIONS.iter().zip(KEYS) {
        let _ = write!(file, "\n{}", comment(about));
        if !section.is_empty() {
            let _ = writeln!(file, "[{section}]");
        }
        for key in *keys {
            let value = value(&defaults, key).map_or_else(|| key.example.to_owned(), |value| value.to_string());
            let _ = write!(file, "\n{}#{} = {value}\n", comment(key.doc), key.name);
        }
    }
    file
}

/// The configuration in force as TOML, without its secrets.
#[must_use]
pub fn show(config: &Config) -> String {
    let values = values(config);
    let mut text = String::new();
    for ((section, _), keys) in SECTIONS.iter().zip(KEYS) {
        if !section.is_empty() {
            let _ = write!(text, "\n[{section}]\n");
        }
        for key in *keys {
            let _ = match value(&values, key) {
                Some(value) => writeln!(text, "{} = {value}", key.name),
                None => writeln!(text, "# {} is not set", key.name),
            };
        }
    }
    text
}

const INTRODUCTION: &str = "\
# Configuration

<!-- Written from the source by `afterbeep config reference`; a test keeps it up to date. -->

afterbeep reads one TOML file: the one named with `--config FILE` or in the variable `AFTERBEEP_CONFIG`, else
`afterbeep.toml` in the current folder, else `/etc/afterbeep/afterbeep.toml`. Without a file it runs on defaults. Every key
is optional. A key that does not exist is refused, so that a misspelt setting is noticed.

Every key can also be given as an environment variable, which outweighs the file. A list is then separated by commas, and
text stands without quotes: `AFTERBEEP_SIP_TRUSTED_PEERS=192.0.2.10,198.51.100.0/24`.

Relative paths in the file are looked up beside the file; relative paths in variables in the current folder. Spans of time
are a number and `ms`, `s`, `m`, `h` or `d`.

`afterbeep config check` says everything that is wrong with a configuration, with file and line. `afterbeep config show`
prints the configuration in force, without its secrets. `afterbeep config example` prints a commented file to start from.
";

fn values(config: &Config) -> toml::Table {
    toml::Table::try_from(config).expect("every setting is text, a number or a list of them, in one level of tables")
}

fn value<'a>(values: &'a toml::Table, key: &Key) -> Option<&'a Value> {
    match key.section {
        "" => values.get(key.name),
        section => values.get(section)?.get(key.name),
    }
}

fn joined(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join("\n")
}

fn comment(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("# {}\n", line.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_file_changes_nothing() {
        let table: toml::Table = example_file().parse().unwrap();

        assert!(table.values().all(|section| section.as_table().is_some_and(toml::Table::is_empty)));
    }

    #[test]
    fn what_is_commented_out_would_be_accepted() {
        let file: String = example_file()
            .lines()
            .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with([' ', '#'])).unwrap_or(line))
            // Two ways to say one thing exclude each other.
            .filter(|line| !line.starts_with("password") && !line.starts_with("database_url_file"))
            .map(|line| format!("{line}\n"))
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.toml");
        std::fs::write(&path, &file).unwrap();

        let loaded = Config::load(Some(&path), []).unwrap_or_else(|error| panic!("{error}\n{file}"));

        assert_eq!(loaded.config.node.as_deref(), Some("vm1"));
    }

    #[test]
    fn what_is_shown_has_no_secrets_and_can_be_read_back() {
        let mut config = Config::default();
        config.mail.password = Some(super::super::Secret::new("correct horse"));
        config.mail.relay = "smtp://user:horse@relay.example".parse().ok();

        let text = show(&config);

        assert!(!text.contains("horse"), "{text}");
        assert!(toml::from_str::<Config>(&text).is_ok(), "{text}");
    }
}
