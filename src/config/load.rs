//! Reads the file and the environment, and says everything that is wrong with them at once.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
};

use toml::{Table, Value, de::DeTable};

use super::{Config, KEYS, Key, SECTIONS};

/// What every variable of ours starts with.
pub const PREFIX: &str = "AFTERBEEP_";

/// Where a configuration is looked for when none is named.
const PLACES: [&str; 2] = ["afterbeep.toml", "/etc/afterbeep/afterbeep.toml"];

/// A configuration and where it comes from.
#[derive(Debug)]
pub struct Loaded {
    /// What was set, and defaults for the rest.
    pub config: Config,
    /// The file it was read from; without one everything is defaults and environment.
    pub file: Option<PathBuf>,
    /// The variables that were used.
    pub variables: Vec<String>,
    /// What is probably a mistake but stops nothing.
    pub warnings: Vec<String>,
}

impl Config {
    /// Reads `file`, or the first of `afterbeep.toml` and `/etc/afterbeep/afterbeep.toml` that exists, or nothing; then
    /// lets `environment` outweigh it.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Unreadable`] when the file cannot be read, else all [`Problem`]s that were found.
    pub fn load(file: Option<&Path>, environment: impl IntoIterator<Item = (String, String)>) -> Result<Loaded, ConfigError> {
        let file = match file {
            Some(file) => Some(file.to_owned()),
            None => PLACES.iter().map(PathBuf::from).find(|place| place.exists()),
        };
        let text = match &file {
            Some(path) => {
                std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?
            }
            None => String::new(),
        };
        let mut reading = Reading::default();
        reading.read_file(file.as_deref().unwrap_or(Path::new("")), &text);
        reading.read_environment(environment);
        let (config, variables, warnings) = reading.finish()?;
        Ok(Loaded { config, file, variables, warnings })
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there, or not ours to read.
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Everything that must be put right first.
    #[error("the configuration has {}:\n{}", count(.0.len()), .0.iter().map(|problem| format!("  {problem}")).collect::<Vec<_>>().join("\n"))]
    Wrong(Vec<Problem>),
}

/// One thing that must be put right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `afterbeep.toml:12`, a variable's name, or nothing when a default is in the way.
    pub place: Option<String>,
    /// The key, if it is about one.
    pub key: Option<String>,
    /// What is wrong and what to do.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.place, &self.key].into_iter().flatten() {
            write!(f, "{part}: ")?;
        }
        f.write_str(&self.text)
    }
}

/// The values found so far, each with the place it was found in.
#[derive(Default)]
struct Reading {
    values: Table,
    places: BTreeMap<String, String>,
    variables: Vec<String>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

impl Reading {
    fn read_file(&mut self, path: &Path, text: &str) {
        let line_at =
            |position: usize| text.as_bytes()[..position.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1;
        let place_at = |position: usize| format!("{}:{}", path.display(), line_at(position));
        let (spans, values) = match (DeTable::parse(text), text.parse::<Table>()) {
            (Ok(spans), Ok(values)) => (spans.into_inner(), values),
            (Err(error), _) | (_, Err(error)) => {
                let place = place_at(error.span().map_or(0, |span| span.start));
                let text = format!("this is not TOML: {}", error.message().lines().collect::<Vec<_>>().join(", "));
                self.problems.push(Problem { place: Some(place), key: None, text });
                return;
            }
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        let in_order = |spans: &DeTable<'_>| -> Vec<(usize, String)> {
            let mut keys: Vec<_> = spans.iter().map(|(name, _)| (name.span().start, name.get_ref().to_string())).collect();
            keys.sort();
            keys
        };
        for (start, name) in in_order(&spans) {
            let value = values[&name].clone();
            let is_section = SECTIONS.iter().any(|(section, _)| *section == name);
            match (is_section, value) {
                (true, Value::Table(values)) => {
                    let Some(spans) = spans.get(name.as_str()).and_then(|value| value.get_ref().as_table()) else { continue };
                    for (start, key) in in_order(spans) {
                        self.offer(&name, &key, values[&key].clone(), place_at(start), Some(folder));
                    }
                }
                (true, _) => {
                    let text = format!("this is a table of settings; write [{name}] on a line of its own");
                    self.problems.push(Problem { place: Some(place_at(start)), key: Some(name), text });
                }
                (false, value) => self.offer("", &name, value, place_at(start), Some(folder)),
            }
        }
        // Without a file or a word about it, the data folder still lies beside the file, wherever we were started.
        if !values.contains_key("data_dir") {
            let beside = folder.join(Config::default().data_dir);
            self.values.insert("data_dir".to_owned(), Value::String(beside.display().to_string()));
        }
    }

    fn read_environment(&mut self, environment: impl IntoIterator<Item = (String, String)>) {
        // What the command line and the tests read themselves.
        const NOT_SETTINGS: [&str; 2] = ["AFTERBEEP_CONFIG", "AFTERBEEP_TEST_"];
        let ours: BTreeMap<String, String> = environment
            .into_iter()
            .filter(|(name, _)| name.starts_with(PREFIX) && !NOT_SETTINGS.iter().any(|other| name.starts_with(other)))
            .collect();
        for (name, text) in ours {
            let Some(key) = KEYS.iter().copied().flatten().find(|key| key.variable() == name) else {
                // Not refused: container platforms make up variables with the service's name in front.
                self.warnings.push(format!("the environment variable {name} is none of ours and has no effect"));
                continue;
            };
            let value = value_from_variable(key, &text);
            self.offer(key.section, key.name, value, name.clone(), None);
            self.variables.push(name);
        }
    }

    /// Takes the value if its key exists and the value alone would be accepted, else notes what is wrong with it.
    fn offer(&mut self, section: &str, name: &str, value: Value, place: String, folder: Option<&Path>) {
        let Some(key) = KEYS.iter().copied().flatten().find(|key| key.section == section && key.name == name) else {
            let path = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
            self.problems.push(Problem { place: Some(place), key: Some(path), text: unknown_key(section, name) });
            return;
        };
        let value = match (value, folder) {
            (Value::String(path), Some(folder)) if key.shape == "path" => Value::String(folder.join(path).display().to_string()),
            (value, _) => value,
        };
        let mut alone = Table::new();
        insert(&mut alone, key, value.clone());
        match alone.try_into::<Config>() {
            Ok(_) => {
                insert(&mut self.values, key, value);
                self.places.insert(key.path(), place);
            }
            Err(error) => {
                let text = match error.message().strip_prefix("invalid type: ") {
                    Some(mismatch) => format!("{mismatch}; write for example {} = {}", key.name, key.example),
                    None => error.message().to_owned(),
                };
                self.problems.push(Problem { place: Some(place), key: Some(key.path()), text });
            }
        }
    }

    fn finish(mut self) -> Result<(Config, Vec<String>, Vec<String>), ConfigError> {
        let config = match self.values.try_into::<Config>() {
            Ok(config) => config,
            // Cannot be: each value was accepted alone, and serde looks at nothing but single values.
            Err(error) => {
                self.problems.push(Problem { place: None, key: None, text: error.message().to_owned() });
                return Err(ConfigError::Wrong(self.problems));
            }
        };
        for (key, text) in config.contradictions() {
            self.problems.push(Problem { place: self.places.get(key).cloned(), key: Some(key.to_owned()), text });
        }
        if self.problems.is_empty() {
            Ok((config, self.variables, self.warnings))
        } else {
            Err(ConfigError::Wrong(self.problems))
        }
    }
}

fn insert(table: &mut Table, key: &Key, value: Value) {
    let table = if key.section.is_empty() {
        table
    } else {
        let section = table.entry(key.section).or_insert_with(|| Value::Table(Table::new()));
        section.as_table_mut().expect("only this function makes sections, and it makes tables")
    };
    table.insert(key.name.to_owned(), value);
}

/// A variable's text as the file would have it: a list separated by commas, a bare number or true, text without quotes.
fn value_from_variable(key: &Key, text: &str) -> Value {
    let single = |text: &str| match text.parse::<i64>() {
        Ok(number) if !key.quoted => Value::Integer(number),
        _ => match text.parse() {
            Ok(yes_or_no) if !key.quoted => Value::Boolean(yes_or_no),
            _ => Value::String(text.to_owned()),
        },
    };
    if key.list {
        Value::Array(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(single).collect())
    } else {
        single(text)
    }
}

fn unknown_key(section: &str, name: &str) -> String {
    let known = KEYS.iter().copied().flatten().filter(|key| key.section == section).map(|key| key.name);
    if section.is_empty() {
        let tables = SECTIONS.iter().map(|(section, _)| *section).filter(|section| !section.is_empty());
        let elsewhere = KEYS.iter().copied().flatten().find(|key| key.name == name && !key.section.is_empty());
        let hint = elsewhere.map(|key| format!(" ({name} belongs below [{}])", key.section)).unwrap_or_default();
        let tables: Vec<String> = tables.map(|table| format!("[{table}]")).collect();
        format!(
            "there is no such key{hint}; there are {}, and the tables {}",
            known.collect::<Vec<_>>().join(", "),
            tables.join(" ")
        )
    } else {
        format!("there is no such key; [{section}] has {}", known.collect::<Vec<_>>().join(", "))
    }
}

fn count(problems: usize) -> String {
    if problems == 1 { "a problem".to_owned() } else { format!("{problems} problems") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_configuration_is_the_defaults() {
        let loaded = read("", &[]).unwrap();

        assert_eq!(loaded.0.deposit.shortest.as_secs(), 2);
        assert_eq!(loaded.0.retrieval.access_codes, ["*98"]);
        assert!(loaded.2.is_empty());
    }

    #[test]
    fn the_environment_outweighs_the_file() {
        let file = "[sip]\nlisten = [\"udp:127.0.0.1:5070\"]\nmax_calls = 7\n[deposit]\nshortest = \"3s\"\n";

        let (config, variables, _) =
            read(file, &[("AFTERBEEP_SIP_LISTEN", "udp:127.0.0.1:0, tcp:[::1]:0"), ("AFTERBEEP_SIP_MAX_CALLS", "9")]).unwrap();

        assert_eq!(config.sip.listen.iter().map(ToString::to_string).collect::<Vec<_>>(), ["udp:127.0.0.1:0", "tcp:[::1]:0"]);
        assert_eq!(config.sip.max_calls, 9);
        assert_eq!(config.deposit.shortest.as_secs(), 3);
        assert_eq!(variables, ["AFTERBEEP_SIP_LISTEN", "AFTERBEEP_SIP_MAX_CALLS"]);
    }

    #[test]
    fn relative_paths_lie_beside_the_file() {
        assert_eq!(read("", &[]).unwrap().0.data_dir, Path::new("/etc/vm/data"));
        assert_eq!(read("data_dir = \"x\"", &[]).unwrap().0.data_dir, Path::new("/etc/vm/x"));
        assert_eq!(read("data_dir = \"/x\"", &[]).unwrap().0.data_dir, Path::new("/x"));
        assert_eq!(read("", &[("AFTERBEEP_DATA_DIR", "x")]).unwrap().0.data_dir, Path::new("x"));
    }

    #[test]
    fn every_problem_is_told_with_its_line() {
        let file = "[sip]\nlisten = [\"5060\"]\n[retrieval]\nacces = 3\n[deposit]\nshortest = 2\n[passcode]\nshortest = 2\n";

        let problems = problems(file, &[("AFTERBEEP_RTP_PORTS", "many")]);

        let expected = [
            "/etc/vm/x.toml:2: sip.listen: \"5060\" must start with udp:, tcp:, tls:, wss: or ws:, as in udp:0.0.0.0:5060",
            "/etc/vm/x.toml:4: retrieval.acces: there is no such key; [retrieval] has access_codes, block_codes, anonymous_codes",
            "/etc/vm/x.toml:6: deposit.shortest: integer `2`, expected a string; write for example shortest = \"3s\"",
            "AFTERBEEP_RTP_PORTS: rtp.ports: \"many\" is no port range; \
             write the lowest (at least 1024) and the highest port, as in 30000-39999",
            "/etc/vm/x.toml:8: passcode.shortest: use 4 to 20 digits; 8 is the default",
        ];
        assert_eq!(problems, expected);
    }

    #[test]
    fn a_key_outside_its_table_is_shown_the_way() {
        let problems = problems("listen = [\"udp:0.0.0.0:5060\"]\nsip = 3", &[]);

        assert!(problems[0].contains("(listen belongs below [sip])"), "{problems:?}");
        assert!(problems[1].contains("/etc/vm/x.toml:2: sip: this is a table of settings"), "{problems:?}");
    }

    #[test]
    fn broken_toml_is_told_with_its_line() {
        let problems = problems("[sip]\nlisten = \n", &[]);

        assert!(problems[0].starts_with("/etc/vm/x.toml:2: this is not TOML: "), "{problems:?}");
    }

    #[test]
    fn settings_that_contradict_each_other_are_refused() {
        let problems = problems(
            "[mail]\npassword = \"a\"\n",
            &[("AFTERBEEP_MAIL_PASSWORD_FILE", "/x"), ("AFTERBEEP_MAIL_RELAY", "http://x")],
        );

        assert_eq!(
            problems,
            [
                "AFTERBEEP_MAIL_RELAY: mail.relay: a relay starts with smtp://, smtp+starttls:// or smtps://",
                "/etc/vm/x.toml:2: mail.password: give either password or password_file, not both",
            ]
        );
    }

    #[test]
    fn tls_is_listened_for_with_a_certificate_only() {
        let listen = "[sip]\nlisten = [\"tls:[::]\"]\n";

        let config = read(&format!("{listen}tls_certificate = \"c.pem\"\ntls_key = \"k.pem\"\n"), &[]).unwrap().0;

        assert_eq!(config.sip.listen[0].to_string(), "tls:[::]:5061");
        assert_eq!(config.tls().key.as_deref(), Some(Path::new("/etc/vm/k.pem")));
        assert!(problems(listen, &[])[0].contains("sip.tls_certificate: to listen for TLS"));
        let names = "tls_certificate = \"c.pem\"\ntls_key = \"k.pem\"\ntls_trusted_names = [\"pbx.example\"]\n";
        assert!(problems(&format!("{listen}{names}"), &[])[0].contains("say in tls_client_authorities"));
    }

    #[test]
    fn calls_are_limited_by_the_ports_too() {
        assert_eq!(read("[rtp]\nports = \"30000-30009\"\n", &[]).unwrap().0.max_calls(), 5);
        assert_eq!(read("[sip]\nmax_calls = 6\n", &[]).unwrap().0.max_calls(), 6);
    }

    #[test]
    fn a_foreign_variable_is_mentioned_and_ignored() {
        let warnings = read("", &[("AFTERBEEP_PORT", "tcp://10.0.0.1:5060"), ("AFTERBEEP_CONFIG", "x")]).unwrap().2;

        assert_eq!(warnings, ["the environment variable AFTERBEEP_PORT is none of ours and has no effect"]);
    }

    #[test]
    fn every_example_is_accepted_alone_in_file_and_environment() {
        for key in KEYS.iter().copied().flatten() {
            let table = if key.section.is_empty() { String::new() } else { format!("[{}]\n", key.section) };
            read(&format!("{table}{} = {}\n", key.name, key.example), &[]).unwrap_or_else(|error| panic!("{error}"));
            let bare = key.example.replace(['"', '[', ']'], "");
            if !key.path().contains("listen") {
                read("", &[(&key.variable(), &bare)]).unwrap_or_else(|error| panic!("{error}"));
            }
        }
    }

    #[test]
    fn the_table_of_keys_is_the_struct() {
        let mut in_struct = Vec::new();
        for (name, value) in serde_json::to_value(Config::default()).unwrap().as_object().unwrap() {
            match value.as_object() {
                Some(section) => in_struct.extend(section.keys().map(|key| format!("{name}.{key}"))),
                None => in_struct.push(name.clone()),
            }
        }
        let mut in_table: Vec<String> = KEYS.iter().copied().flatten().map(Key::path).collect();
        in_struct.sort();
        in_table.sort();

        assert_eq!(in_table, in_struct);
    }

    fn read(file: &str, environment: &[(&str, &str)]) -> Result<(Config, Vec<String>, Vec<String>), ConfigError> {
        let mut reading = Reading::default();
        reading.read_file(Path::new("/etc/vm/x.toml"), file);
        reading.read_environment(environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        reading.finish()
    }

    fn problems(file: &str, environment: &[(&str, &str)]) -> Vec<String> {
        match read(file, environment) {
            Err(ConfigError::Wrong(problems)) => problems.iter().map(ToString::to_string).collect(),
            other => panic!("accepted: {other:?}"),
        }
    }
}
