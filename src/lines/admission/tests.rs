use super::*;
use crate::{
    domain::{
        passcode::Passcode,
        time::{TimeZone, Timestamp},
    },
    sip::{
        auth::{answer, work},
        wire::{DigestAlgorithm, DigestChallenge},
    },
    store::{
        StoreConfig,
        line::LineSecret,
        mailbox::{MailboxChange, NewMailbox},
    },
};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const REALM: &str = "afterbeep";
const SECRET: &str = "a line's own password";

/// A line, by number and by alias; a mailbox without one; a disabled line; a line that was set under another realm; nobody.
const NAMES: [&str; 6] = ["1001", "ann1", "1002", "1003", "1004", "1999"];

#[tokio::test]
async fn wrong_credentials_get_the_same_answer_for_the_same_work_whoever_they_name() {
    let folder = tempfile::tempdir().unwrap();
    let admission = admission(folder.path()).await;
    for algorithm in DigestAlgorithm::ALL {
        // A fresh nonce of ours, one that was made before the server started, and one that is not ours.
        for nonce in [nonce(&admission), nonce_from_before(&admission), "0".repeat(44)] {
            let mut told = Vec::new();
            for name in NAMES {
                let wrong = credentials(name, "not the password", algorithm, &nonce);
                work::done();
                let begin = Instant::now();
                let challenges = refusal(&admission, &wrong).await;
                told.push((challenges, work::done()));
                assert!(begin.elapsed() >= REFUSED_AFTER, "{name}");
            }

            let [first, others @ ..] = told.as_slice() else { unreachable!("there are names") };
            for (other, name) in others.iter().zip(&NAMES[1..]) {
                assert_eq!(first, other, "{name} with {algorithm:?} and the nonce {nonce}");
            }
            let (challenges, work) = first;
            assert_eq!(challenges.len(), 2);
            // The proof of the nonce that came, the request's hash, the response, and the proof of the nonce that is given.
            assert_eq!(work.len(), 4, "{work:?}");
            assert!(work.iter().filter(|(used, _)| *used == algorithm).count() >= 2, "{work:?}");
        }
    }
}

#[tokio::test]
async fn only_the_right_password_of_an_enabled_line_lets_in() {
    let folder = tempfile::tempdir().unwrap();
    let admission = admission(folder.path()).await;

    let mut let_in = Vec::new();
    for name in NAMES {
        let credentials = credentials(name, SECRET, DigestAlgorithm::Sha256, &nonce(&admission));
        if let Verdict::Line(line) = admission.decide(&attempt(&credentials, &uri())).await.unwrap() {
            let_in.push((name, line.number.to_string()));
        }
    }

    assert_eq!(let_in, [("1001", "1001".to_owned()), ("ann1", "1001".to_owned())]);
}

/// The challenges that wrong credentials get, without their nonces.
async fn refusal(admission: &Admission, credentials: &DigestCredentials) -> Vec<DigestChallenge> {
    let verdict = admission.decide(&attempt(credentials, &uri())).await.unwrap();
    let Verdict::Wrong(headers) = verdict else { panic!("{verdict:?}") };
    let without_nonce = |challenge: DigestChallenge| DigestChallenge { nonce: "x".repeat(challenge.nonce.len()), ..challenge };
    headers.iter().map(|header| without_nonce(challenge(header))).collect()
}

fn credentials(name: &str, password: &str, algorithm: DigestAlgorithm, nonce: &str) -> DigestCredentials {
    let challenge = DigestChallenge {
        realm: REALM.to_owned(),
        nonce: nonce.to_owned(),
        algorithm,
        offers_auth: true,
        opaque: None,
        stale: false,
    };
    DigestCredentials::parse(&value(&answer(&challenge, name, password, ("REGISTER", "sip:vm.example"), 1))).unwrap()
}

fn attempt<'a>(credentials: &'a DigestCredentials, request_uri: &'a SipUri) -> Attempt<'a> {
    Attempt {
        method: Method::Register,
        request_uri,
        credentials,
        domain: "vm.example",
        source: "192.0.2.7:5060".parse().unwrap(),
        transport: Transport::Udp,
        user_agent: Some("Phone 1.0"),
    }
}

fn uri() -> SipUri {
    SipUri::parse("sip:vm.example").unwrap()
}

fn nonce(admission: &Admission) -> String {
    challenge(&admission.authenticator.challenge(&DigestAlgorithm::ALL, false, rand::random(), Instant::now())[0]).nonce
}

/// One with a proof of ours, but made so long ago that nobody knows how it was used.
fn nonce_from_before(admission: &Admission) -> String {
    let earlier = Authenticator::new(REALM, [7; 32], Instant::now(), Duration::from_secs(1_700_000_000));
    assert_eq!(admission.authenticator.realm(), earlier.realm());
    challenge(&earlier.challenge(&DigestAlgorithm::ALL, false, rand::random(), Instant::now())[0]).nonce
}

fn challenge(header: &Header) -> DigestChallenge {
    DigestChallenge::parse(&value(header)).unwrap()
}

fn value(header: &Header) -> String {
    use rsip::headers::UntypedHeader as _;
    match header {
        Header::Authorization(value) => value.value().to_owned(),
        Header::WwwAuthenticate(value) => value.value().to_owned(),
        other => panic!("{other:?}"),
    }
}

async fn admission(folder: &std::path::Path) -> Admission {
    let store = Store::open(StoreConfig::local(folder).unwrap()).await.unwrap();
    for (number, aliases, realm) in [
        ("1001", vec!["ann1"], Some(REALM)),
        ("1002", vec![], None),
        ("1003", vec![], Some(REALM)),
        ("1004", vec![], Some("other")),
    ] {
        let new = NewMailbox {
            tenant: String::new(),
            number: number.parse().unwrap(),
            aliases: aliases.iter().map(|alias| alias.parse().unwrap()).collect(),
            name: String::new(),
            email: None,
            voice_to_email: false,
            time_zone: TimeZone::UTC,
            language: "en".to_owned(),
            passcode: Passcode::typed("49158730").unwrap(),
        };
        let mailbox = store.create_mailbox(new, NOW).await.unwrap().id;
        if let Some(realm) = realm {
            let secret = |name: &str| {
                let DigestSecret { md5, sha256 } = DigestSecret::new(name, realm, SECRET);
                (name.to_owned(), LineSecret { md5, sha256 })
            };
            let secrets: Vec<_> = std::iter::once(number).chain(aliases).map(secret).collect();
            store.set_line(&mailbox, realm, &secrets, NOW).await.unwrap();
        }
        if number == "1003" {
            let off = MailboxChange { enabled: Some(false), ..MailboxChange::default() };
            store.update_mailbox(&mailbox, off, NOW).await.unwrap();
        }
    }
    let since = Duration::from_secs(1_800_000_000);
    let authenticator = Authenticator::new(REALM, [7; 32], Instant::now(), since);
    Admission::new(store, Arc::new(authenticator), since - Duration::from_secs(1))
}
