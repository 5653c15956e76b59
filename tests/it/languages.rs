//! Languages and voices of the operator's: a folder that replaces prompts or adds a language, and the sounds of an Asterisk.

use std::{fs, path::Path, process::Command, time::Duration};

use afterbeep::{
    audio::{self, wav},
    domain::language::Grammar,
    ivr::PromptId,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    caller::Caller,
    server::{PASSCODE, Server},
};

/// Where Debian puts the sounds of an Asterisk, of a Canadian and of a Mexican voice.
const FRENCH_SOUNDS: &str = "/usr/share/asterisk/sounds/fr_CA_f_June";
const SPANISH_SOUNDS: &str = "/usr/share/asterisk/sounds/es_MX_f_Allison";
const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn callers_hear_the_language_of_the_mailbox_or_of_the_number_they_dialled() {
    let server = Server::start("[prompts]\nlanguages = [\"1002=fr\", \"+34...=es\"]\n");
    server.add_mailbox("1001", &["--language", "es"]);
    server.add_mailbox("1002", &["--language", "es"]);

    for (dialled, grammar) in [("1001", Grammar::Spanish), ("1002", Grammar::French), ("1003", Grammar::English)] {
        let mut caller = Caller::dial(&server, dialled).await;
        let prompt = if dialled == "1003" { PromptId::NoMessagesHere } else { PromptId::ReachedNumber };
        caller.hears_audio(prompt.name(), &words(prompt, grammar)).await;
        caller.hangs_up().await;
    }

    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_is_said_in_the_language_of_a_mailbox_before_its_passcode_is_right() {
    let server = Server::start("");
    server.add_mailbox("1001", &["--language", "fr", "--clock", "12"]);

    let mut subscriber = Caller::dial(&server, "*98").await;
    subscriber.presses("1001#").await;
    subscriber.hears_audio("in English", &words(PromptId::EnterPasscode, Grammar::English)).await;
    subscriber.presses("1111#").await;
    subscriber.hears_audio("in English", &words(PromptId::EnterPasscodeAgain, Grammar::English)).await;
    subscriber.presses(&format!("{PASSCODE}#")).await;
    subscriber.hears_audio("in French", &words(PromptId::NoMessages, Grammar::French)).await;
    subscriber.hangs_up().await;

    server.expect_tidiness();
}

#[test]
fn a_language_without_prompts_is_refused_and_those_there_are_are_named() {
    let server = Server::start("");

    let told = server.fails(&["mailbox", "add", "1001", "--language", "de"]);

    assert!(told.contains("there are no prompts in the language \"de\"; there are en, es, fr"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_operator_replaces_a_prompt_and_adds_a_language() {
    let folder = Folder::new();
    let hello = words(PromptId::PasscodeLine, Grammar::English);
    folder.write("en/no-messages-here.wav", &faded(&hello, 44_100));
    folder.write("pt/language.toml", b"grammar = \"spanish\"\n");
    folder.write("pt/reached-number.wav", &faded(&hello, 8000));
    let server = Server::start(&folder.settings());
    server.add_mailbox("1001", &["--language", "pt"]);
    server.add_mailbox("1002", &["--language", "es"]);

    let mut unknown = Caller::dial(&server, "1003").await;
    unknown.hears_audio("the replaced prompt", &hello[2000..10_000]).await;
    unknown.waits_for_the_end().await;
    let mut caller = Caller::dial(&server, "1001").await;
    caller.hears_audio("the prompt of the new language", &hello[2000..10_000]).await;
    // What it lacks is said by the language whose grammar it follows.
    caller.hears_audio("in Spanish", &words(PromptId::LeaveMessage, Grammar::Spanish)).await;
    caller.hangs_up().await;

    let languages: Value = serde_json::from_str(&server.run(&["prompts", "list", "--json"])).unwrap();
    let of = |code: &str| languages.as_array().unwrap().iter().find(|language| language["language"] == code).unwrap().clone();
    assert_eq!((&of("pt")["grammar"], &of("pt")["from_folder"]), (&"spanish".into(), &1.into()));
    assert_eq!((&of("en")["from_folder"], &of("fr")["from_folder"]), (&1.into(), &0.into()));
    let log = server.log();
    assert!(log.contains("language=pt") && log.contains("problem=\"missing\""), "{log}");
    server.expect_tidiness();
}

#[test]
fn the_check_finds_every_kind_of_bad_prompt() {
    let folder = Folder::new();
    let good = wav::read_at(16_000, PromptId::Goodbye.wav(), MINUTE).unwrap();
    let write = |name: &str, samples: &[i16]| folder.write(name, &wav::from_samples_at(16_000, samples));
    write("en/goodbye.wav", &good);
    write("en/welcome.wav", &[]);
    let loudest = (0..good.len()).max_by_key(|at| good[*at].unsigned_abs()).unwrap();
    write("en/full.wav", &good[loudest..]);
    write("en/from.wav", &good.iter().map(|sample| sample / 4).collect::<Vec<_>>());
    write("en/digits.wav", &good.iter().map(|sample| sample.saturating_mul(9)).collect::<Vec<_>>());
    write("en/godbye.wav", &good);
    folder.write("en/at.wav", b"no WAV");
    folder.write("en/and.wav", &wav::from_samples_at(6000, &good));
    folder.write("afterbeep.toml", folder.settings().as_bytes());

    let (status, found) = folder.check();

    let mut found: Vec<String> =
        found.iter().map(|finding| format!("{} {}", finding["prompt"], finding["problem"]).replace('"', "")).collect();
    found.sort();
    assert_eq!(status, Some(1));
    assert_eq!(
        found,
        [
            "and wrong-rate",
            "at unreadable",
            "digits clipped",
            "digits uneven",
            "from uneven",
            "full begins-abruptly",
            "godbye unknown",
            "welcome empty"
        ]
    );
    folder.write("afterbeep.toml", b"");
    assert_eq!(folder.check(), (Some(0), vec![]));
}

#[test]
fn a_language_that_does_not_say_how_it_is_spoken_is_refused() {
    let folder = Folder::new();
    folder.write("pt/goodbye.wav", b"");
    folder.write("afterbeep.toml", folder.settings().as_bytes());

    let output = folder.run(&["prompts", "list"]);

    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("must say by which grammar this language is spoken"), "{told}");
}

/// Sounds like those of Debian's packages, which are installed for the tests.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_sounds_of_an_asterisk_are_a_voice_and_what_they_lack_is_ours() {
    let folder = Folder::new();
    folder.write("fr/language.toml", format!("asterisk_sounds = {FRENCH_SOUNDS:?}\n").as_bytes());
    folder.write("es-mx/language.toml", format!("grammar = \"spanish\"\nasterisk_sounds = {SPANISH_SOUNDS:?}\n").as_bytes());
    let server = Server::start(&folder.settings());
    server.add_mailbox("1001", &["--language", "fr"]);

    let mut caller = Caller::dial(&server, "1001").await;
    caller.hears_audio("our voice", &words(PromptId::ReachedNumber, Grammar::French)).await;
    for digit in [1, 0, 0, 1] {
        let sound = fs::read(Path::new(FRENCH_SOUNDS).join(format!("digits/{digit}.wav"))).unwrap();
        let sound = wav::read(&sound, MINUTE).unwrap();
        let loud = sound.iter().position(|sample| sample.unsigned_abs() > 2000).unwrap();
        caller.hears_audio("June", &sound[loud..loud + 2400.min(sound.len() - loud)]).await;
    }
    caller.hangs_up().await;

    let languages: Value = serde_json::from_str(&server.run(&["prompts", "list", "--json"])).unwrap();
    for code in ["fr", "es-mx"] {
        let language = languages.as_array().unwrap().iter().find(|language| language["language"] == code).unwrap();
        assert!(language["from_asterisk"].as_u64().unwrap() > 150, "{language}");
    }
    let told = server.fails(&["prompts", "check"]);
    assert!(told.contains("not as they should be"), "{told}");
    let log = server.log();
    assert!(log.lines().filter(|line| line.contains("see `afterbeep prompts check`")).count() <= 12, "{log}");
    assert!(log.contains("language=es-mx") && log.contains("problem=\"missing\""), "{log}");
    server.expect_tidiness();
}

/// A prompt of ours in a language.
fn words(prompt: PromptId, grammar: Grammar) -> Vec<i16> {
    wav::read(prompt.embedded(grammar).expect("the language needs it"), MINUTE).expect("an embedded prompt")
}

/// A WAV at a rate, which begins and ends softly.
fn faded(samples: &[i16], rate: u32) -> Vec<u8> {
    let mut samples = audio::resample::resample(samples, 8000, rate);
    let (count, fade) = (samples.len(), rate as usize / 20);
    for at in 0..fade {
        for place in [at, count - 1 - at] {
            samples[place] = (i32::from(samples[place]) * at as i32 / fade as i32) as i16;
        }
    }
    let spec = hound::WavSpec { channels: 1, sample_rate: rate, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut file = std::io::Cursor::new(vec![]);
    let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
    samples.iter().for_each(|&sample| writer.write_sample(sample).unwrap());
    writer.finalize().unwrap();
    file.into_inner()
}

/// A folder of the operator's.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn settings(&self) -> String {
        format!("[prompts]\ndir = {:?}\n", self.0.path().join("prompts"))
    }

    /// Writes a prompt; the configuration lies beside them.
    fn write(&self, name: &str, contents: &[u8]) {
        let place = if name == "afterbeep.toml" { self.0.path().to_owned() } else { self.0.path().join("prompts") };
        let path = place.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_afterbeep"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AFTERBEEP_")) {
            command.env_remove(name);
        }
        command.args(arguments).current_dir(self.0.path()).output().unwrap()
    }

    /// The exit code and the findings of the check.
    fn check(&self) -> (Option<i32>, Vec<Value>) {
        let output = self.run(&["prompts", "check", "--json"]);
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap())
    }
}
