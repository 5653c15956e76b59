//! The commands an operator types, on the real binary.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
    time::Duration,
};

use afterbeep::{
    domain::{
        caller::Caller,
        id::{CallId, MessageId},
        message::Message,
        passcode::Passcode,
        time::Timestamp,
    },
    store::{
        Store, StoreConfig,
        journal::{Encoding, Envelope},
        passcode::{AttemptSource, PasscodeVerdict},
    },
};
use serde_json::{Value, json};
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

    assert!(told.contains("afterbeep.toml:2: sip.listen: \"here\" must start with udp:, tcp:, tls:, wss: or ws:"), "{told}");
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

#[test]
fn a_mailbox_is_added_listed_changed_and_removed() {
    let operator = Operator::new();

    operator.succeeds(&["mailbox", "add", "1001", "--name", "Ann Lee", "--alias", "ann", "--time-zone", "Europe/Paris"]);
    operator.succeeds(&["mailbox", "add", "1002", "--email", "bo@example.org", "--voice-to-email", "on"]);
    let listed = operator.json(&["mailbox", "list", "--json"]);
    let changes = ["--new-number", "2001", "--remove-alias", "ann", "--alias", "lee", "--disable", "--email", "ann@example.org"];
    operator.succeeds(&[&["mailbox", "set", "ann"], &changes[..]].concat());
    let changed = operator.json(&["mailbox", "show", "lee", "--json"]);
    operator.succeeds(&["mailbox", "set", "2001", "--enable", "--voice-to-email", "on"]);
    operator.succeeds(&["mailbox", "remove", "1002"]);

    assert_eq!(listed[0]["name"], "Ann Lee");
    assert_eq!(listed[0]["aliases"], json!(["ann"]));
    assert_eq!(listed[0]["time_zone"], "Europe/Paris");
    assert_eq!(listed[1]["number"], "1002");
    assert_eq!((&listed[0]["voice_to_email"], &listed[1]["voice_to_email"]), (&json!(false), &json!(true)));
    assert_eq!(changed["number"], "2001");
    assert_eq!(changed["aliases"], json!(["lee"]));
    assert_eq!((&changed["enabled"], &changed["email"]), (&json!(false), &json!("ann@example.org")));
    let left = operator.json(&["mailbox", "list", "--json"]);
    assert_eq!(left.as_array().unwrap().len(), 1);
    assert_eq!((&left[0]["enabled"], &left[0]["voice_to_email"]), (&json!(true), &json!(true)));
    let table = operator.succeeds(&["mailbox", "list"]);
    assert!(table.starts_with("NUMBER  TENANT  NAME     ALIASES  EMAIL"), "{table}");
    assert!(table.contains("2001    -       Ann Lee  lee      ann@example.org  on "), "{table}");
}

#[tokio::test]
async fn a_generated_passcode_is_told_once_and_lets_in() {
    let operator = Operator::new();
    let store = operator.server().await;

    let added = operator.json(&["mailbox", "add", "1001", "--json"]);
    let shown = operator.json(&["mailbox", "show", "1001", "--json"]);

    let passcode = added["passcode"].as_str().unwrap();
    assert_eq!(passcode.len(), 8);
    assert!(shown.get("passcode").is_none());
    assert_eq!(try_passcode(&store, "1001", passcode).await, PasscodeVerdict::Right);
}

#[tokio::test]
async fn a_passcode_can_come_from_a_file_or_from_standard_input() {
    let operator = Operator::new();
    let store = operator.server().await;
    std::fs::write(operator.folder.path().join("code"), "49158730\n").unwrap();

    let added = operator.succeeds(&["mailbox", "add", "1001", "--passcode-file", "code"]);
    let from_file = try_passcode(&store, "1001", "49158730").await;
    let changed = operator.succeeds_with(&["mailbox", "set", "1001", "--passcode-file", "-"], "60718294\n");
    let from_input = try_passcode(&store, "1001", "60718294").await;

    assert_eq!((from_file, from_input), (PasscodeVerdict::Right, PasscodeVerdict::Right));
    assert!(!added.contains("49158730") && !changed.contains("60718294"));
}

#[test]
fn what_is_refused_is_explained_and_changes_nothing() {
    let operator = Operator::new();
    operator.succeeds(&["mailbox", "add", "1001"]);

    for (arguments, explanation) in [
        (&["mailbox", "add", "1002", "--passcode", "12345678"][..], "the passcode was refused: a passcode must not be a run"),
        (&["mailbox", "add", "1002", "--passcode", "4915"], "a passcode has at least 8 digits"),
        (&["mailbox", "add", "1002", "--voice-to-email", "on"], "give --email too"),
        (&["mailbox", "add", "1002", "--email", "nobody"], "this is no mail address"),
        (&["mailbox", "add", "1002", "--alias", "1001"], "the number 1001 is already taken"),
        (&["mailbox", "add", "1001"], "the number 1001 is already taken"),
        (&["mailbox", "add", "*98"], "a mailbox number is 1 to 32 letters"),
        (&["mailbox", "add", "1002", "--time-zone", "Paris"], "use a name such as Europe/Paris"),
        (&["mailbox", "add", "1002", "--language", "xx"], "there are en, es, fr"),
        (&["mailbox", "set", "1001", "--name", "X", "--passcode", "11111111"], "the passcode was refused"),
        (&["mailbox", "set", "1001", "--name", "X", "--voice-to-email", "on"], "give --email"),
        (&["mailbox", "set", "1001", "--remove-alias", "x"], "mailbox 1001 has no alias x"),
        (&["mailbox", "show", "1002"], "there is no mailbox 1002; see `afterbeep mailbox list`"),
        (&["message", "list", "1002"], "there is no mailbox 1002"),
        (&["message", "delete", "1001"], "<--id <ID>|--all>"),
        (&["message", "delete", "1001", "--id", "x"], "mailbox 1001 has no message x"),
        (&["outbox", "drop", "x"], "the outbox has no item x; see `afterbeep outbox list`"),
        (&["job", "run", "nothing"], "there is no job \"nothing\"; there are expire-messages"),
        (&["job", "run", "expire-messages", "--at", "noon"], "is not a date and time such as 2026-11-21T08:05:00Z"),
    ] {
        let told = operator.fails(arguments);
        assert!(told.contains(explanation), "{arguments:?}: {told}");
    }

    let mailboxes = operator.json(&["mailbox", "list", "--json"]);
    assert_eq!(mailboxes.as_array().unwrap().len(), 1);
    assert_eq!(mailboxes[0]["name"], "");
}

#[tokio::test]
async fn messages_are_listed_exported_and_deleted_beside_a_running_server() {
    let operator = Operator::new();
    let store = operator.server().await;
    operator.succeeds(&["mailbox", "add", "1001", "--time-zone", "Asia/Tokyo"]);
    let messages = [deposit(&store, "1001", 2).await, deposit(&store, "1001", 3).await];

    let table = operator.succeeds(&["message", "list", "1001"]);
    let listed = operator.json(&["message", "list", "1001", "--json"]);
    let exported = operator.json(&["message", "export", "1001", "--to", "out", "--json"]);
    let one = operator.succeeds(&["message", "export", "1001", "--to", "one", "--id", messages[1].id.as_str()]);
    for (exported, message) in exported.as_array().unwrap().iter().zip(&messages) {
        let file = operator.folder.path().join(exported["file"].as_str().unwrap());
        assert_eq!(std::fs::read(file).unwrap(), store.audio(&message.audio).await.unwrap());
    }
    let refused = operator.fails(&["mailbox", "remove", "1001"]);
    operator.succeeds(&["message", "delete", "1001", "--id", messages[0].id.as_str()]);

    assert_eq!(listed[0]["id"], messages[0].id.as_str());
    assert_eq!((&listed[0]["list"], &listed[1]["duration_seconds"]), (&json!("new"), &json!(3.0)));
    assert_eq!((&listed[0]["caller_number"], &listed[0]["heard_at"]), (&json!("2025550143"), &Value::Null));
    assert!(table.contains("Zoë\u{fffd} (2025550143)"), "{table}");
    assert_eq!(one.lines().count(), 1);
    assert!(one.contains(messages[1].id.as_str()));
    assert_eq!(std::fs::read_dir(operator.folder.path().join("one")).unwrap().count(), 1);
    assert!(refused.contains("holds 2 messages") && refused.contains("--with-messages"), "{refused}");
    let mailbox = store.find_mailbox("", "1001").await.unwrap().unwrap();
    assert_eq!(store.messages(&mailbox.id, now()).await.unwrap(), messages[1..]);
    operator.succeeds(&["mailbox", "remove", "1001", "--with-messages"]);
    assert!(store.find_mailbox("", "1001").await.unwrap().is_none());
    assert!(store.audio(&messages[1].audio).await.is_err());
}

#[test]
fn a_message_of_mulaw_is_sent() {
    let operator = Operator::new();
    operator.succeeds(&["mailbox", "add", "1001"]);
    let audio: Vec<u8> = (0..16_000_u32).map(|sample| (sample % 251) as u8).collect();
    let mut file = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x07\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data\x80\x3e\0\0".to_vec();
    file.extend(audio);
    std::fs::write(operator.folder.path().join("news.wav"), file).unwrap();

    let sent = operator.json(&["message", "send", "news.wav", "--to", "1001", "--json"]);

    assert_eq!(sent["delivered"], 1);
    assert_eq!(operator.json(&["message", "list", "1001", "--json"])[0]["duration_seconds"], 2.0);
}

#[tokio::test]
async fn a_locked_mailbox_is_shown_and_unlocked() {
    let operator = Operator::new();
    let store = operator.server().await;
    operator.succeeds(&["mailbox", "add", "1001", "--passcode", "49158730"]);
    let mailbox = store.find_mailbox("", "1001").await.unwrap().unwrap();
    for attempt in 0..10 {
        let source = AttemptSource::Remote(format!("source {attempt}"));
        store.check_passcode(Some(&mailbox.id), &source, &Passcode::typed("00").unwrap(), now()).await.unwrap();
    }

    let locked = operator.succeeds(&["mailbox", "show", "1001"]);
    let verdict_before = try_passcode(&store, "1001", "49158730").await;
    operator.succeeds(&["mailbox", "set", "1001", "--unlock"]);

    assert!(locked.contains("locked since"), "{locked}");
    assert!(locked.contains("`afterbeep mailbox set 1001 --unlock`"), "{locked}");
    assert_eq!(verdict_before, PasscodeVerdict::Wrong);
    assert_eq!(try_passcode(&store, "1001", "49158730").await, PasscodeVerdict::Right);
}

#[tokio::test]
async fn what_waits_to_be_sent_is_listed_retried_and_dropped() {
    let operator = Operator::new();
    let store = operator.server().await;
    operator.succeeds(&["mailbox", "add", "1001", "--email", "ann@example.org", "--voice-to-email", "on"]);
    let message = deposit(&store, "1001", 2).await;
    let item = store.list_outbox().await.unwrap().remove(0);
    store.dead(&item.id, "550 no such user", now()).await.unwrap();

    let dead = operator.json(&["outbox", "list", "--json"]);
    let retried = operator.succeeds(&["outbox", "retry", item.id.as_str()]);
    let waiting = operator.json(&["outbox", "list", "--json"]);
    operator.succeeds(&["outbox", "drop", "--dead"]);
    let kept = operator.json(&["outbox", "list", "--json"]);
    operator.succeeds(&["outbox", "drop", item.id.as_str()]);

    let of_message = |rows: &Value| rows.as_array().unwrap().iter().find(|row| row["kind"] == "message").cloned();
    let dead = of_message(&dead).unwrap();
    assert_eq!((&dead["state"], &dead["mailbox_number"]), (&json!("dead"), &json!("1001")));
    assert_eq!((&dead["last_error"], &dead["message_id"]), (&json!("550 no such user"), &json!(message.id.as_str())));
    assert!(retried.starts_with("1 to be tried again"), "{retried}");
    assert_eq!(of_message(&waiting).unwrap()["state"], "waiting");
    assert!(of_message(&kept).is_some());
    assert_eq!(operator.json(&["outbox", "list", "--json"]), json!([]));
}

#[tokio::test]
async fn a_job_is_run_at_another_time_and_says_what_it_did() {
    let operator = Operator::new();
    let store = operator.server().await;
    operator.succeeds(&["mailbox", "add", "1001"]);
    let message = deposit(&store, "1001", 2).await;

    let early = message.expires_at.before(Duration::from_secs(1)).to_string();
    let early = operator.succeeds(&["job", "run", "expire-messages", "--at", &early]);
    let late = message.expires_at.after(Duration::from_secs(1)).to_string();
    let late = operator.succeeds(&["job", "run", "expire-messages", "--at", &late]);
    let jobs = operator.json(&["job", "list", "--json"]);

    assert_eq!((early.as_str(), late.as_str()), ("0 expired messages removed\n", "1 expired message removed\n"));
    assert_eq!(jobs.as_array().unwrap().len(), 5);
    assert_eq!((&jobs[0]["name"], &jobs[0]["last_report"]), (&json!("expire-messages"), &json!("1 expired message removed")));
    assert!(jobs[0]["next_run_at"].as_str().unwrap() > jobs[0]["last_run_at"].as_str().unwrap());
    assert_eq!(jobs[1]["last_run_at"], Value::Null);
}

#[test]
fn access_lists_are_made_shown_changed_and_taken_away() {
    let operator = Operator::new();
    operator.configure("[sip]\ntrusted_peers = [\"192.0.2.10\", \"198.51.100.0/24\"]\n");
    operator.succeeds(&["mailbox", "add", "1001"]);

    operator.succeeds(&["access", "set", "register", "192.0.2.0/24,", "2001:db8::/32", "203.0.113.7-203.0.113.9"]);
    operator.succeeds(&["access", "set", "register", "--mailbox", "1001", "192.0.2.0/255.255.255.128"]);
    operator.succeeds(&["access", "add", "register", "--mailbox", "1001", "::ffff:203.0.113.1"]);
    let listed = operator.json(&["access", "list", "--json"]);
    let decided = operator.json(&["access", "show", "register", "--mailbox", "1001", "--json"]);
    let checked = operator.json(&["access", "check", "register", "192.0.2.200", "--mailbox", "1001", "--json"]);
    operator.succeeds(&["access", "remove", "register", "203.0.113.1", "--mailbox", "1001"]);
    let shown = operator.succeeds(&["access", "show", "register", "--mailbox", "1001"]);
    operator.succeeds(&["access", "remove", "register", "--mailbox", "1001"]);

    assert_eq!(listed[0]["entries"], json!(["192.0.2.0/24", "2001:db8::/32", "203.0.113.7-203.0.113.9"]));
    assert_eq!((&listed[0]["scope"], &listed[1]["scope"]), (&json!("service"), &json!("mailbox")));
    assert_eq!((&listed[1]["mailbox"], &listed[1]["purpose"]), (&json!("1001"), &json!("register")));
    assert_eq!(decided["entries"], json!(["192.0.2.0/25", "203.0.113.1"]));
    assert_eq!((&checked["admitted"], &checked["decided_by"]), (&json!(false), &json!("mailbox")));
    assert_eq!(shown, "register, by the mailbox's list: 192.0.2.0/25\n");
    let wider = operator.succeeds(&["access", "check", "register", "192.0.2.200", "--mailbox", "1001"]);
    assert_eq!(wider, "192.0.2.200 is admitted, by the service's list\n");
    assert_eq!(operator.succeeds(&["access", "check", "call", "::1"]), "::1 is admitted: no list keeps anybody out\n");
}

#[test]
fn an_access_list_that_would_lock_somebody_out_needs_a_yes() {
    let operator = Operator::new();
    operator.configure("[sip]\ntrusted_peers = [\"192.0.2.10\", \"198.51.100.0/24\"]\n");

    let peers = operator.fails(&["access", "set", "call", "192.0.2.10, 198.51.100.0-198.51.100.254"]);
    let own = operator.fails(&["access", "set", "register", "192.0.2.1", "--from", "192.0.2.2"]);
    let untouched = operator.json(&["access", "list", "--json"]);
    operator.succeeds(&["access", "set", "call", "192.0.2.10, 198.51.100.0/25, 198.51.100.128/25"]);
    let nobody = operator.succeeds(&["access", "set", "call", "--yes"]);

    assert!(peers.contains("198.51.100.0/24, a trusted peer") && !peers.contains("192.0.2.10,"), "{peers}");
    assert!(own.contains("192.0.2.2, given with --from") && own.contains("Give --yes"), "{own}");
    assert_eq!(untouched, json!([]));
    assert_eq!(nobody, "call, the whole service: nobody is admitted\n");
    assert_eq!(
        operator.succeeds(&["access", "check", "call", "192.0.2.10"]),
        "192.0.2.10 is not admitted, by the service's list\n"
    );
}

#[test]
fn a_tenant_is_the_same_in_every_letter_case() {
    let operator = Operator::new();
    operator.succeeds(&["mailbox", "add", "1001", "--tenant", "Example.COM"]);

    operator.succeeds(&["destinations", "allow", "+44", "--mailbox", "1001", "--tenant", "example.com"]);
    operator.succeeds(&["destinations", "deny", "+4420", "--tenant", "EXAMPLE.com"]);
    operator.succeeds(&["access", "set", "register", "192.0.2.1", "--tenant", "Example.Com"]);
    operator.succeeds(&["list", "add", "700", "--member", "1001", "--tenant", "eXample.com"]);
    let denied = operator.json(&["destinations", "check", "+442079460123", "--tenant", "Example.com", "--json"]);
    let allowed =
        operator.json(&["destinations", "check", "+442079460123", "--mailbox", "1001", "--tenant", "Example.com", "--json"]);
    let lists = operator.json(&["destinations", "list", "--json"]);
    let shown = operator.json(&["list", "show", "700", "--tenant", "example.com", "--json"]);

    assert_eq!(operator.json(&["mailbox", "list", "--json"])[0]["tenant"], "example.com");
    assert_eq!((&denied["allowed"], &allowed["allowed"]), (&json!(false), &json!(true)));
    assert_eq!(lists[0]["tenant"], "example.com");
    assert_eq!((&shown["tenant"], &shown["members"]), (&json!("example.com"), &json!(["1001"])));
    let refused = operator.fails(&["mailbox", "show", "1001", "--tenant", "example com"]);
    assert!(refused.contains("is no SIP domain"), "{refused}");
}

#[test]
fn a_list_of_a_tenant_without_mailboxes_is_kept_with_a_warning() {
    let operator = Operator::new();
    operator.succeeds(&["mailbox", "add", "1001", "--tenant", "example.com"]);
    let told = |arguments: &[&str]| texts(&operator.run(arguments)).1;

    assert_eq!(told(&["access", "set", "register", "192.0.2.1", "--tenant", "example.com"]), "");
    for arguments in [
        &["access", "set", "register", "192.0.2.1", "--tenant", "exmaple.com"][..],
        &["destinations", "deny", "+44", "--tenant", "exmaple.com"],
    ] {
        let told = told(arguments);
        assert!(told.contains("no mailbox belongs to exmaple.com yet"), "{arguments:?}: {told}");
    }
}

#[test]
fn names_are_refused_in_access_lists() {
    let told = Operator::new().fails(&["access", "set", "call", "192.0.2.1", "home.example.org"]);

    assert!(told.contains("\"home.example.org\" is no address: names are not looked up"), "{told}");
}

#[test]
fn migrate_makes_a_database_where_there_is_none() {
    let operator = Operator::new();

    let told = operator.succeeds(&["migrate"]);

    assert_eq!(told, "the database's schema is up to date\n");
    assert!(operator.folder.path().join("data/afterbeep.db").exists());
}

#[test]
fn every_command_explains_itself_and_takes_a_configuration_file() {
    let operator = Operator::new();
    let mut commands = vec![vec![]];
    let mut seen = 0;

    while let Some(command) = commands.pop() {
        let mut arguments: Vec<String> = command.clone();
        arguments.push("--help".to_owned());
        let help = operator.succeeds(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(help.contains("--config <FILE>"), "{arguments:?}: {help}");
        // Its description stands beside an argument, or below it in a long help.
        let told = help.lines().skip_while(|line| *line != "Arguments:").skip(1).take_while(|line| *line != "Options:");
        let told: Vec<&str> = told.collect();
        for (at, line) in told.iter().enumerate().filter(|(_, line)| line.starts_with("  <") || line.starts_with("  [")) {
            let beside = line.trim().split_once("  ").is_some_and(|(_, told)| !told.trim().is_empty());
            let below = told.get(at + 1).is_some_and(|next| next.starts_with("      ") && !next.trim().starts_with("Possible"));
            assert!((beside && !line.contains("  [possible")) || below, "{arguments:?}: {line}");
        }
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| line.starts_with("  "));
        for name in listed.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next()) {
            if name != "help" {
                commands.push([&command[..], &[name.to_owned()]].concat());
            }
        }
        seen += 1;
    }

    assert!(seen > 20, "only {seen} commands");
}

fn now() -> Timestamp {
    chrono::Utc::now().into()
}

async fn try_passcode(store: &Store, number: &str, digits: &str) -> PasscodeVerdict {
    let mailbox = store.find_mailbox("", number).await.unwrap().unwrap();
    let passcode = Passcode::typed(digits).unwrap();
    store.check_passcode(Some(&mailbox.id), &AttemptSource::Remote("somewhere".to_owned()), &passcode, now()).await.unwrap()
}

/// Leaves a message of so many seconds, as a call does.
async fn deposit(store: &Store, number: &str, seconds: u64) -> Message {
    let mailbox = store.find_mailbox("", number).await.unwrap().unwrap();
    let caller = Caller { number: Some("2025550143".to_owned()), name: Some("Zoë\u{7}".to_owned()) };
    let envelope = Envelope {
        message: MessageId::random(),
        mailbox: mailbox.id,
        also: Vec::new(),
        caller,
        started_at: now(),
        called: None,
        encoding: Encoding::Mulaw,
        verified: false,
        call: CallId::random(),
    };
    let journal = store.create_journal(envelope).await.unwrap();
    let audio: Vec<u8> = (0..8000 * seconds).map(|sample| u8::try_from(sample % 251).unwrap()).collect();
    journal.audio_file().unwrap().write_all(&audio).unwrap();
    store.deposit(journal, Duration::from_secs(seconds), now(), false).await.unwrap().message
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

    /// The store of a server that runs while the operator types.
    async fn server(&self) -> Store {
        let store = Store::open(StoreConfig::local(&self.folder.path().join("data")).unwrap()).await.unwrap();
        store.recover(now()).await.unwrap();
        store
    }

    /// Runs a command that must print JSON.
    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.succeeds(arguments)).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
    }

    /// Runs a command that must succeed, with something typed into it, and gives what it printed.
    fn succeeds_with(&self, arguments: &[&str], input: &str) -> String {
        let mut command = command(self.folder.path());
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary that cargo built runs");
        child.stdin.take().expect("it is piped").write_all(input.as_bytes()).expect("the command reads it");
        let output = child.wait_with_output().expect("it was started");
        let (out, error) = texts(&output);
        assert!(output.status.success(), "{arguments:?} failed: {error}");
        out
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
