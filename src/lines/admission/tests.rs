use super::*;
use crate::{
    domain::{
        access::{AccessPolicy, Scope},
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
            // The proof of the nonce that came, the request's hash, the response, and the mark and the proof of the nonce that is given.
            assert_eq!(work.len(), 5, "{work:?}");
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

#[tokio::test]
async fn a_right_password_from_where_it_may_not_come_looks_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let mut policy = AccessPolicy::default();
    policy.set(Scope::Service, Purpose::Register, Some("198.51.100.0/24".parse().unwrap()));
    let admission = admission(folder.path()).await.admitting(watch::channel(Arc::new(policy)).1);
    let wrong = credentials("1001", "not the password", DigestAlgorithm::Sha256, &nonce(&admission));
    let as_wrong = refusal(&admission, &wrong).await;

    let right = credentials("1001", SECRET, DigestAlgorithm::Sha256, &nonce(&admission));
    // The second time, its nonce has been used.
    for _ in 0..2 {
        let Verdict::Wrong(headers, why) = admission.decide(&attempt(&right, &uri())).await.unwrap() else { panic!("let in") };

        assert_eq!((headers.iter().map(shape).collect::<Vec<_>>(), why), (as_wrong.clone(), NOT_ON_THE_LIST));
    }
    let request_uri = uri();
    let elsewhere = Attempt { source: "198.51.100.7:5060".parse().unwrap(), ..attempt(&right, &request_uri) };
    assert!(matches!(admission.decide(&elsewhere).await.unwrap(), Verdict::OtherNonce(_)));
}

/// The challenges that wrong credentials get, without their nonces.
async fn refusal(admission: &Admission, credentials: &DigestCredentials) -> Vec<DigestChallenge> {
    let verdict = admission.decide(&attempt(credentials, &uri())).await.unwrap();
    let Verdict::Wrong(headers, NO_LINES) = verdict else { panic!("{verdict:?}") };
    headers.iter().map(shape).collect()
}

/// A challenge without its nonce, but for the length.
fn shape(header: &Header) -> DigestChallenge {
    let challenge = challenge(header);
    DigestChallenge { nonce: "x".repeat(challenge.nonce.len()), ..challenge }
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
        source: SocketAddr::new(source(), 5060),
        transport: Transport::Udp,
        user_agent: Some("Phone 1.0"),
    }
}

fn source() -> IpAddr {
    IpAddr::from([192, 0, 2, 7])
}

fn uri() -> SipUri {
    SipUri::parse("sip:vm.example").unwrap()
}

fn nonce(admission: &Admission) -> String {
    challenge(&admission.authenticator.challenge(&DigestAlgorithm::ALL, false, rand::random(), source(), Instant::now())[0]).nonce
}

/// One with a proof of ours, but made so long ago that nobody knows how it was used.
fn nonce_from_before(admission: &Admission) -> String {
    let earlier = Authenticator::new(REALM, [7; 32], Instant::now(), Duration::from_secs(1_700_000_000));
    assert_eq!(admission.authenticator.realm(), earlier.realm());
    challenge(&earlier.challenge(&DigestAlgorithm::ALL, false, rand::random(), source(), Instant::now())[0]).nonce
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
