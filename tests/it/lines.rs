//! Phones that are put directly on the server: who may register, where they are kept, and what strangers learn.

use std::time::{Duration, Instant};

use afterbeep::sip::wire::{DigestAlgorithm, DigestChallenge, hex};
use serde_json::Value;

use crate::support::{
    raw::{RawPhone, authorization, challenges, status, values},
    server::{OPEN, Server, TRUSTING},
};

const SECRET: &str = "a line's own password";

/// The settings under which everybody is a stranger, and nobody is kept out for trying too often.
const WARY: &str = "[strangers]\noffences = 0\nrequests_per_source = 100000\nrequests = 100000\n[sip]\ntrusted_peers = []\n";

#[test]
fn a_phone_registers_and_is_known_after_a_crash_until_it_leaves() {
    let server = Server::start(WARY);
    let mut phone = line(&server, "1001");
    let contact = phone.contact();

    let answer = phone.registers(&format!("Contact: <{contact}>;q=0.5\r\nExpires: 600\r\n"));
    assert_eq!(status(&answer), 200, "{answer}");
    assert_eq!(values(&answer, "Contact"), [format!("<{contact}>;expires=600;q=0.500")]);
    assert_eq!(values(&answer, "Date").len(), 1);
    let folder = server.kill();
    let server = Server::start_in(folder, WARY);
    let known = registrations(&server, "1001");
    assert_eq!((known.len(), known[0]["contact"].as_str(), known[0]["transport"].as_str()), (1, Some(&*contact), Some("udp")));

    let mut phone = RawPhone::new(server.udp(), "1001").with_password(SECRET);
    let asked = phone.registers("");
    assert_eq!(values(&asked, "Contact").len(), 1, "{asked}");
    let left = phone.registers("Contact: *\r\nExpires: 0\r\n");
    assert_eq!((status(&left), values(&left, "Contact").len()), (200, 0));
    assert!(registrations(&server, "1001").is_empty());
}

#[test]
fn a_registration_says_for_how_long_and_over_which_proxies() {
    let server = Server::start(&format!("{WARY}shortest_registration = \"90s\"\nlongest_registration = \"5m\"\n"));
    let mut phone = line(&server, "1001");
    let contact = phone.contact();

    let short = phone.registers(&format!("Contact: <{contact}>;expires=89\r\n"));
    assert_eq!((status(&short), values(&short, "Min-Expires")), (423, vec!["90"]));
    let long = phone.registers(&format!("Contact: <{contact}>\r\n"));
    assert_eq!(values(&long, "Contact"), [format!("<{contact}>;expires=300")]);
    let path = "Path: <sip:edge.example;lr>\r\nPath: <sip:core.example;lr>\r\n";
    let through_proxies = phone.registers(&format!("Contact: <sip:1001@192.0.2.7>\r\nSupported: path\r\n{path}"));
    assert_eq!(values(&through_proxies, "Path"), ["<sip:edge.example;lr>", "<sip:core.example;lr>"]);
    let paths: Vec<_> = registrations(&server, "1001").into_iter().map(|it| it["path"].clone()).collect();
    assert!(paths.contains(&serde_json::json!(["<sip:edge.example;lr>", "<sip:core.example;lr>"])), "{paths:?}");
    assert!(paths.contains(&serde_json::json!([])), "{paths:?}");
}

#[test]
fn several_phones_register_in_one_request_and_the_preferred_is_told_first() {
    let server = Server::start(WARY);
    let mut phone = line(&server, "1001");

    let both =
        "Contact: <sip:1001@192.0.2.1>;q=0.2;expires=120, <sip:1001@192.0.2.2:5070;transport=tcp>;q=0.9\r\nExpires: 240\r\n";
    let told = phone.registers(&format!("{both}Require: path\r\nPath: <sip:edge.example;lr>\r\n"));
    assert_eq!(
        values(&told, "Contact"),
        ["<sip:1001@192.0.2.2:5070;transport=tcp>;expires=240;q=0.900", "<sip:1001@192.0.2.1>;expires=120;q=0.200"],
        "{told}"
    );
    let unknown = phone.registers("Contact: <sip:1001@192.0.2.3>\r\nRequire: gruu\r\n");
    assert_eq!((status(&unknown), values(&unknown, "Unsupported")), (420, vec!["gruu"]));
    assert_eq!(registrations(&server, "1001").len(), 2);
}

#[test]
fn a_registration_that_comes_late_changes_nothing_and_there_are_ten_at_most() {
    let server = Server::start(WARY);
    let mut phone = line(&server, "1001");
    let contact = phone.contact();
    phone.sequence = 10;
    assert_eq!(status(&phone.registers(&format!("Contact: <{contact}>\r\n"))), 200);

    phone.sequence = 4;
    let late = phone.registers(&format!("Contact: <{contact}>;expires=0\r\n"));
    assert_eq!(status(&late), 500);
    let others: Vec<_> =
        (0..10).map(|number| status(&phone.another().registers(&format!("Contact: <sip:{number}@192.0.2.1>\r\n")))).collect();

    assert_eq!(others, [[200; 9].as_slice(), &[403]].concat());
    assert_eq!(registrations(&server, "1001").len(), 10);
    assert_eq!(status(&phone.another().registers("Contact: <sip:0@192.0.2.1>;expires=0\r\n")), 200);
    assert_eq!(registrations(&server, "1001").len(), 9);
}

#[test]
fn a_phone_registers_for_its_own_mailbox_only_by_its_number_or_an_alias() {
    let server = Server::start(WARY);
    server.add_mailbox("1002", &[]);
    let mut phone = line(&server, "1001");
    let contact = format!("Contact: <{}>\r\n", phone.contact());

    assert_eq!(status(&phone.asks("REGISTER", "sip:127.0.0.1", "1002", &contact)), 403);
    assert_eq!(status(&phone.asks("REGISTER", "sip:127.0.0.1", "1099", &contact)), 403);
    assert_eq!(status(&phone.asks("REGISTER", "sip:127.0.0.1", "ann", &contact)), 200);
    let mut by_alias = RawPhone::new(server.udp(), "ann").with_password(SECRET);
    assert_eq!(status(&by_alias.registers(&contact)), 200);

    server.run(&["mailbox", "set", "1001", "--remove-alias", "ann"]);
    assert_eq!(status(&by_alias.registers(&contact)), 401);
    assert_eq!(status(&phone.registers(&contact)), 200);
    server.run(&["mailbox", "set", "1001", "--disable"]);
    assert_eq!(status(&phone.registers(&contact)), 401);
    server.run(&["mailbox", "set", "1001", "--enable"]);
    server.run(&["line", "remove", "1001"]);
    assert_eq!(status(&phone.registers(&contact)), 401);
}

#[test]
fn a_password_is_taken_by_either_algorithm_and_no_request_twice() {
    let server = Server::start(WARY);
    let mut phone = line(&server, "1001");
    for index in [0, 1] {
        // The shorter the request, the fewer challenges fit into its answer.
        let asked = phone.asks_once("REGISTER", "sip:127.0.0.1", "1001", "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO\r\n");
        let challenge = &challenges(&asked)[index];
        let right = authorization(challenge, "1001", SECRET, "REGISTER", "sip:127.0.0.1");

        assert_eq!(status(&phone.asks_once("REGISTER", "sip:127.0.0.1", "1001", &right)), 200, "{}", challenge.algorithm.name());
        // The same nonce once more, with the next count, as RFC 7616 has it; and then with a count that was used.
        let next = counted(challenge, "1001", SECRET, ("REGISTER", "sip:127.0.0.1"), 2);
        assert_eq!(status(&phone.asks_once("REGISTER", "sip:127.0.0.1", "1001", &next)), 200, "{}", challenge.algorithm.name());
        let uncounted = next.replace("nc=00000002", "nc=00000003");
        assert_eq!(status(&phone.asks_once("REGISTER", "sip:127.0.0.1", "1001", &uncounted)), 401);
        let again = phone.asks_once("REGISTER", "sip:127.0.0.1", "1001", &right);
        assert_eq!((status(&again), challenges(&again).iter().all(|it| it.stale)), (401, true), "{again}");
        let wrong = authorization(&challenges(&again)[index], "1001", "another password", "REGISTER", "sip:127.0.0.1");
        let refused = phone.asks_once("REGISTER", "sip:127.0.0.1", "1001", &wrong);
        assert_eq!((status(&refused), challenges(&refused).iter().any(|it| it.stale)), (401, false), "{refused}");
    }
}

#[test]
fn a_trusted_peers_phones_register_with_a_password_as_well() {
    let server = Server::start(TRUSTING);
    let mut phone = line(&server, "1001");
    let contact = format!("Contact: <{}>\r\n", phone.contact());

    assert_eq!(status(&phone.asks_once("REGISTER", "sip:127.0.0.1", "1001", &contact)), 401);
    assert_eq!(status(&phone.registers(&contact)), 200);
    assert_eq!(status(&phone.asks_once("OPTIONS", "sip:127.0.0.1", "1001", "")), 200);
}

#[test]
fn a_line_asks_what_can_be_done_and_an_unknown_event_is_no_event() {
    let server = Server::start(OPEN);
    let mut phone = line(&server, "1001");

    let options = phone.asks("OPTIONS", "sip:127.0.0.1", "1001", "");
    assert_eq!(status(&options), 200);
    assert!(values(&options, "Allow")[0].contains("REGISTER"), "{options}");
    assert_eq!(status(&phone.asks("SUBSCRIBE", "sip:1001@127.0.0.1", "1001", "Event: unheard-of\r\n")), 489);
    // Whatever else telephones can do, a line may not: nor does it learn who else is a subscriber.
    server.add_mailbox("1002", &[]);
    for (method, expected) in [("MESSAGE", 405), ("PUBLISH", 405), ("REFER", 405), ("NOTIFY", 481), ("CONJURE", 405)] {
        let told =
            ["1001", "1002", "1999"].map(|number| status(&phone.asks(method, &format!("sip:{number}@127.0.0.1"), number, "")));
        assert_eq!(told, [expected; 3], "{method}");
    }
}

#[test]
fn a_generated_password_is_shown_once_and_works() {
    let server = Server::start(WARY);
    server.add_mailbox("1001", &[]);

    let made: Value = serde_json::from_str(&server.run(&["line", "set", "1001", "--generate", "--json"])).expect("JSON");
    let password = made["password"].as_str().expect("a password");
    let mut phone = RawPhone::new(server.udp(), "1001").with_password(password);
    assert_eq!(status(&phone.registers("Contact: <sip:1001@192.0.2.1>\r\n")), 200);

    let listed: Value = serde_json::from_str(&server.run(&["line", "list", "--json"])).expect("JSON");
    assert_eq!((listed[0]["number"].as_str(), listed[0]["registrations"].as_array().map(Vec::len)), (Some("1001"), Some(1)));
    assert!(listed[0]["password"].is_null());
    let log_and_data =
        server.log() + &String::from_utf8_lossy(&std::fs::read(server.path("data/afterbeep.db")).expect("a database"));
    assert!(!log_and_data.contains(password));
}

/// Known and unknown names are asked in turns, and the times that their refusals take are compared: the medians must be within what
/// the times of one kind differ among themselves. What makes it so is that both do the same; this finds gross mistakes.
#[test]
fn a_wrong_password_takes_as_long_for_nobody_as_for_somebody() {
    const ROUNDS: usize = 150;
    let server = Server::start(WARY);
    line(&server, "1001");
    let mut times = [Vec::new(), Vec::new()];
    let mut phones = ["1001", "1999"].map(|number| RawPhone::new(server.udp(), number));
    for _ in 0..ROUNDS {
        for (phone, times) in phones.iter_mut().zip(&mut times) {
            let number = phone.number.clone();
            let asked = phone.asks_once("REGISTER", "sip:127.0.0.1", &number, "");
            let wrong = authorization(&challenges(&asked)[0], &number, "not the password", "REGISTER", "sip:127.0.0.1");
            let begin = Instant::now();
            let refused = phone.asks_once("REGISTER", "sip:127.0.0.1", &number, &wrong);
            times.push(begin.elapsed());
            assert_eq!(status(&refused), 401);
        }
    }

    let [known, unknown] = times.map(quartiles);
    let spread = (known.2 - known.0).max(unknown.2 - unknown.0);
    let difference = known.1.abs_diff(unknown.1);
    assert!(difference <= spread + Duration::from_micros(200), "known {known:?}, unknown {unknown:?}");
}

fn quartiles(mut times: Vec<Duration>) -> (Duration, Duration, Duration) {
    times.sort();
    (times[times.len() / 4], times[times.len() / 2], times[times.len() * 3 / 4])
}

/// Credentials that were made without our own code, by RFC 7616 §3.4.1: the nonce is used for the `count`th time.
fn counted(challenge: &DigestChallenge, user: &str, password: &str, request: (&str, &str), count: u32) -> String {
    let hash = |text: String| match challenge.algorithm {
        DigestAlgorithm::Md5 => hex(&<md5::Md5 as md5::Digest>::digest(text)),
        DigestAlgorithm::Sha256 => hex(&<sha2::Sha256 as sha2::Digest>::digest(text)),
    };
    let (DigestChallenge { realm, nonce, .. }, (method, uri)) = (challenge, request);
    let (secret, what) = (hash(format!("{user}:{realm}:{password}")), hash(format!("{method}:{uri}")));
    let response = hash(format!("{secret}:{nonce}:{count:08x}:abc:auth:{what}"));
    format!(
        "Authorization: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         algorithm={}, cnonce=\"abc\", qop=auth, nc={count:08x}, response=\"{response}\"\r\n",
        challenge.algorithm.name()
    )
}

/// A mailbox with a line, and its phone.
fn line(server: &Server, number: &str) -> RawPhone {
    server.add_mailbox(number, &["--alias", "ann"]);
    server.add_line(number, SECRET);
    RawPhone::new(server.udp(), number).with_password(SECRET)
}

fn registrations(server: &Server, number: &str) -> Vec<Value> {
    let shown: Value = serde_json::from_str(&server.run(&["line", "show", number, "--json"])).expect("a JSON object");
    shown["registrations"].as_array().expect("a list").clone()
}
