//! The commands an operator types, on the real binary.

use std::{
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

#[test]
fn the_configuration_page_says_what_the_program_knows() {
    let written = std::fs::read_to_string("docs/configuration.md").unwrap_or_default();

    let page = Operator::new().succeeds(&["config", "reference"]);

    assert!(written == page, "run `cargo run -- config reference > docs/configuration.md`");
}

#[test]
fn the_example_configuration_is_up_to_date_and_sound() {
    let written = std::fs::read_to_string("deploy/afterbeep.toml").unwrap_or_default();
    let operator = Operator::new();

    let example = operator.succeeds(&["config", "example"]);
    std::fs::write(operator.folder.path().join("afterbeep.toml"), &example).unwrap();

    assert!(written == example, "run `cargo run -- config example > deploy/afterbeep.toml`");
    assert!(operator.succeeds(&["config", "check"]).starts_with("the configuration is sound (afterbeep.toml"));
}

#[test]
fn config_check_tells_every_problem_with_its_line() {
    let operator = Operator::new();
    operator.configure("[sip]\nlisten = [\"here\"]\n\n[deposit]\nshortest = \"soon\"\n");

    let told = operator.fails(&["config", "check"]);

    assert!(told.contains("afterbeep.toml:2: sip.listen: \"here\" must start with udp: or tcp:"), "{told}");
    assert!(told.contains("afterbeep.toml:5: deposit.shortest: \"soon\" is no span of time"), "{told}");
}

#[test]
fn a_configuration_file_that_is_not_there_is_named() {
    let told = Operator::new().fails(&["config", "show", "--config", "/nowhere/x.toml"]);

    assert!(told.contains("/nowhere/x.toml") && told.contains("No such file"), "{told}");
}

#[test]
fn config_show_prints_what_is_in_force_without_secrets() {
    let operator = Operator::new();
    operator.configure("[mail]\nrelay = \"smtp://user:open sesame@relay.example\"\n");

    let shown = operator.succeeds(&["config", "show"]);
    let json: serde_json::Value = serde_json::from_str(&operator.succeeds(&["config", "show", "--json"])).unwrap();

    assert!(shown.contains("relay = \"smtp://user:***@relay.example\""), "{shown}");
    assert!(shown.contains("shortest = \"2s\""), "{shown}");
    assert!(!shown.contains("sesame") && !json.to_string().contains("sesame"));
    assert_eq!(json["retrieval"]["access_codes"], serde_json::json!(["*98"]));
}

/// Somebody at a terminal, in a folder of their own.
struct Operator {
    folder: TempDir,
}

impl Operator {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn configure(&self, text: &str) {
        std::fs::write(self.folder.path().join("afterbeep.toml"), text).expect("the folder is ours");
    }

    /// Runs a command that must succeed, and gives what it printed.
    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, error) = texts(&output);
        assert!(output.status.success(), "{arguments:?} failed: {error}");
        out
    }

    /// Runs a command that must fail, and gives what it said.
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, error) = texts(&output);
        assert!(!output.status.success(), "{arguments:?} succeeded: {out}");
        error
    }

    fn run(&self, arguments: &[&str]) -> Output {
        command(self.folder.path()).args(arguments).output().expect("the binary that cargo built runs")
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_afterbeep"));
    // The variables of whoever runs the tests must not configure what is tested.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AFTERBEEP_")) {
        command.env_remove(name);
    }
    command.current_dir(folder);
    command
}

fn texts(output: &Output) -> (String, String) {
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}
