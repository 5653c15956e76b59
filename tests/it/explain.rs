//! Which mailbox an INVITE would reach, for messages as PBXs, proxies and carriers write them (`tests/data`).

use std::{io::Write as _, path::Path, process::Stdio};

use serde_json::Value;

use crate::support::server::command;

/// A captured INVITE from a trusted peer and what is to come of it: status, mailbox, the header that decides, why the call was
/// forwarded, and the caller by which header.
type Case =
    (&'static str, u16, Option<&'static str>, Option<&'static str>, Option<&'static str>, Option<&'static str>, &'static str);

const CASES: [Case; 23] = [
    ("asterisk_diversion", 200, Some("1001"), Some("Diversion"), Some("no-answer"), Some("+12025550143"), "asserted"),
    ("asterisk_chan_sip_rpid", 200, Some("1001"), Some("Request-URI"), None, Some("+12025550143"), "remote-party-id"),
    ("freeswitch_diversion_and_history", 200, Some("1002"), Some("Diversion"), Some("busy"), Some("+12025550143"), "asserted"),
    (
        "cisco_cube_two_diversions",
        200,
        Some("1001"),
        Some("Diversion"),
        Some("no-answer"),
        Some("+12025550143"),
        "remote-party-id",
    ),
    ("cucm_unanswered", 200, Some("1001"), Some("Diversion"), Some("no-answer"), Some("+12025550143"), "asserted"),
    ("kamailio_target_and_cause", 200, Some("1001"), Some("target"), Some("busy"), Some("+12025550143"), "asserted"),
    ("teams_sbc_history", 200, Some("2025550101"), Some("History-Info"), Some("no-answer"), Some("+12025550143"), "asserted"),
    ("carrier_history_private", 200, Some("2025550101"), Some("History-Info"), Some("unconditional"), None, "withheld"),
    ("carrier_local_number", 200, Some("2025550101"), Some("Request-URI"), None, Some("02079460143"), "from"),
    (
        "ribbon_comma_joined_diversions",
        200,
        Some("2025550101"),
        Some("Diversion"),
        Some("no-answer"),
        Some("+12025550143"),
        "asserted",
    ),
    (
        "oracle_nested_history_q850",
        200,
        Some("2025550101"),
        Some("History-Info"),
        Some("unavailable"),
        Some("+442079460143"),
        "asserted",
    ),
    ("kamailio_hunt_group", 200, Some("1002"), Some("Diversion"), Some("busy"), Some("+12025550143"), "asserted"),
    ("privacy_user_compact_ipv6", 200, Some("1001"), Some("Request-URI"), None, None, "withheld"),
    ("asterisk_pbx_serves_tenants", 200, Some("1001"), Some("target"), Some("no-answer"), None, "withheld"),
    ("freeswitch_siptrace_text", 200, Some("1002"), Some("History-Info"), Some("busy"), Some("+12025550143"), "remote-party-id"),
    ("asterisk_pjsip_logger_text", 200, Some("1002"), Some("Request-URI"), None, Some("1002"), "asserted"),
    ("tcpdump_ascii_text", 200, Some("2025550101"), Some("Diversion"), Some("unavailable"), Some("1002"), "asserted"),
    ("loop_through_us", 482, None, None, None, Some("+12025550143"), "from"),
    ("forwarded_beyond_the_limit", 480, None, None, None, Some("+12025550143"), "from"),
    ("own_line_dials_access_code", 200, Some("1001"), Some("Request-URI"), None, Some("1001"), "asserted"),
    ("only_unknown_codecs", 488, Some("1001"), Some("Request-URI"), None, Some("+12025550143"), "from"),
    ("sngrep_text", 200, Some("1001"), Some("Request-URI"), None, Some("+12025550143"), "from"),
    ("not_answerable", 420, None, None, None, None, ""),
];

#[test]
fn invites_as_they_are_really_written_reach_the_mailbox_they_are_meant_for() {
    let house = House::build();
    let mut wrong = Vec::new();
    for (name, status, mailbox, header, forwarded, caller, believed) in CASES {
        let (code, told) = house.explain(&format!("tests/data/{name}.sip"), &["--trusted"]);
        let expected: Value = serde_json::json!({
            "status": status, "mailbox": mailbox, "header": header, "forwarded": forwarded, "caller_number": caller,
            "believed": Some(believed).filter(|it| !it.is_empty()), "exit": if status == 200 { 0 } else { 3 },
        });
        let mut got = told.clone();
        got["exit"] = code.into();
        for (field, expected) in expected.as_object().unwrap() {
            if got[field] != *expected {
                wrong.push(format!("{name}: {field} is {} and not {expected}", got[field]));
            }
        }
    }

    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_capture_is_in_the_table() {
    for entry in std::fs::read_dir("tests/data").unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "sip") {
            assert!(CASES.iter().any(|case| path.file_stem().is_some_and(|stem| stem == case.0)), "{}", path.display());
        }
    }
}

#[test]
fn a_stranger_is_believed_nothing_but_whom_it_calls() {
    let house = House::build();

    let (_, told) = house.explain("tests/data/asterisk_diversion.sip", &["--source", "203.0.113.9"]);

    assert_eq!((&told["mailbox"], &told["believed"], &told["trusted"]), (&Value::Null, &"from".into(), &false.into()));
    assert_eq!(told["candidates"].as_array().unwrap().len(), 1);
    let (_, listed) = house.explain("tests/data/asterisk_diversion.sip", &["--source", "192.0.2.10"]);
    assert_eq!(listed["mailbox"], "1001", "a trusted peer of the configuration");
}

#[test]
fn an_operator_reads_why() {
    let house = House::build();

    let told = house.run(&["explain", "tests/data/cisco_cube_two_diversions.sip", "--trusted"]);

    for words in [
        "from          192.0.2.12, a trusted peer",
        "caller        Ann Lee +12025550143, by Remote-Party-ID (remote-party-id)",
        "considered    1001 at 192.0.2.12, Diversion: mailbox 1001; the first diverting party",
        "mailbox       1001, by Diversion",
        "forwarded     no-answer",
        "hears         number",
        "audio         G729 18, telephone-event 101, to 192.0.2.12:16384",
        "answer        200",
    ] {
        assert!(told.contains(words), "{words:?} is not in\n{told}");
    }
}

#[test]
fn a_disabled_or_unknown_mailbox_is_told_apart_for_the_operator() {
    let house = House::build();
    house.run(&["mailbox", "set", "1001", "--disable"]);

    let (_, disabled) = house.explain("tests/data/sngrep_text.sip", &[]);
    let (_, unknown) = house.explain("tests/data/asterisk_diversion.sip", &["--source", "203.0.113.9"]);

    assert_eq!((&disabled["state"], &disabled["hears"]), (&"disabled".into(), &"unavailable".into()));
    assert_eq!((&unknown["state"], &unknown["hears"]), (&"none".into(), &"unavailable".into()));
}

#[test]
fn a_mailbox_of_a_tenant_is_told() {
    let house = House::build();
    house.run(&["mailbox", "add", "1001", "--tenant", "b.example"]);

    let (_, told) = house.explain("tests/data/asterisk_pbx_serves_tenants.sip", &[]);

    assert_eq!((&told["tenant"], &told["trusted"], &told["source"]), (&"b.example".into(), &true.into(), &"192.0.2.10".into()));
}

#[test]
fn what_cannot_be_explained_is_an_error_in_words() {
    let house = House::build();
    let file = |name: &str, bytes: &[u8]| {
        let path = house.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_string_lossy().into_owned()
    };
    let folder = house.folder.path().to_string_lossy().into_owned();
    for (file, words) in [
        ("tests/data/no_such_file.sip".to_owned(), "cannot read tests/data/no_such_file.sip"),
        (folder, "cannot read"),
        (file("empty", b" \r\n"), "it is empty"),
        (file("packets", &[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0]), "a file of captured packets"),
        (file("long", &vec![b'x'; 5 << 20]), "more than 4 MiB"),
    ] {
        let output = house.output(&["explain", &file]);

        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{file}: {said}");
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
}

#[test]
fn what_is_no_invite_is_said_to_be_none() {
    let house = House::build();
    let mut explain = command()
        .args(["explain", "-", "--json", "--config"])
        .arg(house.folder.path().join("afterbeep.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    explain.stdin.take().unwrap().write_all(b"\xFF\x00no message at all\r\n\r\n").unwrap();

    let output = explain.wait_with_output().unwrap();

    assert_eq!(output.status.code(), Some(3));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["status"], Value::Null);
}

/// A data folder with three mailboxes, and a configuration that trusts an exchange in Washington.
struct House {
    folder: tempfile::TempDir,
}

impl House {
    fn build() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("afterbeep.toml"),
            "[sip]\nlisten = [\"udp:192.0.2.2:5060\"]\ntrusted_peers = [\"192.0.2.10\"]\n\
             dial_rules = [\"any country=1 national=1 international=011 length=10\"]\n",
        )
        .unwrap();
        let house = Self { folder };
        for number in ["1001", "1002", "2025550101"] {
            house.run(&["mailbox", "add", number]);
        }
        house
    }

    fn explain(&self, file: &str, options: &[&str]) -> (i32, Value) {
        let output = self.output(&[&["explain", file, "--json"], options].concat());
        let told = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{file}: {}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code().unwrap(), told)
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn output(&self, arguments: &[&str]) -> std::process::Output {
        let config: &Path = &self.folder.path().join("afterbeep.toml");
        command().args(arguments).arg("--config").arg(config).output().unwrap()
    }
}
