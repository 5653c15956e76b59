//! Digest authentication (RFC 7616, RFC 8760): challenges made without memory, and whether credentials answer one.
//!
//! A nonce says when it was made, and proves with a keyed hash that we made it; it depends on the address it is sent to, and on nothing
//! else of whom it is for. What must be remembered is small and only of those whose credentials were right: the counts they have used with each nonce
//! ([`NonceCounts`]), so that no request is taken twice.

use std::{
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    time::{Duration, Instant},
};

use md5::Md5;
use rsip::{Header, Headers};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{
    flow::Transport,
    wire::{DigestAlgorithm, DigestChallenge, DigestCredentials, HeaderViews, SipUri, bytes_of_hex, hex},
};

/// How long a nonce is taken. After it, right credentials are told to come again with another one.
pub const NONCE_LIFE: Duration = Duration::from_mins(5);
/// The longest credentials that are read, in bytes.
const LONGEST_CREDENTIALS: usize = 2048;
/// The most Authorization headers of a request that are looked at.
const MOST_CREDENTIALS: usize = 8;
/// How many nonces in use are remembered.
const MOST_NONCES: usize = 65_536;

/// A name and a password under a realm, as far as digests need them. Whoever has this can answer challenges, but not read the
/// password.
#[derive(Clone, PartialEq, Eq)]
pub struct DigestSecret {
    /// The hash of name, realm and password (HA1), as hexadecimal digits.
    pub md5: String,
    /// The same with SHA-256.
    pub sha256: String,
}

impl DigestSecret {
    /// Makes one.
    #[must_use]
    pub fn new(username: &str, realm: &str, password: &str) -> Self {
        let text = format!("{username}:{realm}:{password}");
        Self { md5: digest(DigestAlgorithm::Md5, &text), sha256: digest(DigestAlgorithm::Sha256, &text) }
    }

    fn of(&self, algorithm: DigestAlgorithm) -> &str {
        match algorithm {
            DigestAlgorithm::Md5 => &self.md5,
            DigestAlgorithm::Sha256 => &self.sha256,
        }
    }
}

/// Nobody must read it.
impl fmt::Debug for DigestSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestSecret")
    }
}

/// Makes challenges, and judges what comes back. All nodes of a service share the key, so that each takes the others' nonces.
#[derive(Clone)]
pub struct Authenticator {
    realm: String,
    key: [u8; 32],
    /// A moment, and how long after the Unix epoch it was: nonces carry the time on the wall, which nodes share.
    epoch: (Instant, Duration),
}

/// Nobody must read the key.
impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("realm", &self.realm).finish_non_exhaustive()
    }
}

/// What credentials are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// They are right, and were not used before.
    Right,
    /// They are right, but their nonce is too old, or was used in this way before: another challenge is owed, with `stale`.
    Stale,
    /// They are not.
    Wrong,
}

impl Authenticator {
    /// Challenges in the name of a realm.
    #[must_use]
    pub fn new(realm: &str, key: [u8; 32], now: Instant, since_unix_epoch: Duration) -> Self {
        Self { realm: realm.to_owned(), key, epoch: (now, since_unix_epoch) }
    }

    /// The realm.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// Asks for credentials: one header for each algorithm, the preferred one first.
    #[must_use]
    pub fn challenge(&self, algorithms: &[DigestAlgorithm], stale: bool, random: u16, to: IpAddr, now: Instant) -> Vec<Header> {
        let nonce = self.nonce(random, to, now);
        let challenge = |algorithm| DigestChallenge {
            realm: self.realm.clone(),
            nonce: nonce.clone(),
            algorithm,
            offers_auth: true,
            opaque: None,
            stale,
        };
        algorithms.iter().map(|&it| Header::WwwAuthenticate(challenge(it).to_string().into())).collect()
    }

    /// The credentials for our realm, made with the best algorithm, if a request has any.
    #[must_use]
    pub fn credentials(&self, headers: &Headers) -> Option<DigestCredentials> {
        let read = |value: &str| DigestCredentials::parse(value).ok().filter(|it| it.realm == self.realm);
        let all = headers.values("Authorization").take(MOST_CREDENTIALS).filter(|value| value.len() <= LONGEST_CREDENTIALS);
        all.filter_map(read).max_by_key(|credentials| credentials.algorithm)
    }

    /// Judges credentials of a request. Without a secret (nobody has that name) they are wrong, after the same work.
    ///
    /// Right ones are noted in `counts`, and are not right again.
    #[must_use]
    pub fn judge(
        &self,
        credentials: &DigestCredentials,
        request: (&str, &SipUri),
        secret: Option<&DigestSecret>,
        counts: &mut NonceCounts,
        now: Instant,
    ) -> Judgement {
        let (method, request_uri) = request;
        let made_at = self.made_at(&credentials.nonce);
        let means_request = SipUri::parse(&credentials.uri).is_ok_and(|uri| is_same_resource(&uri, request_uri));
        let dummy = DigestSecret { md5: "0".repeat(32), sha256: "0".repeat(64) };
        let expected = response(credentials, method, secret.unwrap_or(&dummy));
        let fits = bool::from(expected.ct_eq(&credentials.response));
        // Everything was looked at before anything is decided, so that all that is wrong takes as long.
        match made_at {
            Some(made_at) if fits && means_request && secret.is_some() => {
                let now = self.on_the_wall(now);
                // Another node's clock may be ahead of ours.
                let is_fresh = made_at < now + NONCE_LIFE && now < made_at + NONCE_LIFE;
                if is_fresh && counts.take(made_at, &credentials.nonce, credentials.nonce_count, now) {
                    Judgement::Right
                } else {
                    Judgement::Stale
                }
            }
            _ => Judgement::Wrong,
        }
    }

    fn on_the_wall(&self, now: Instant) -> Duration {
        self.epoch.1 + now.saturating_duration_since(self.epoch.0)
    }

    /// Whether a nonce was sent to this address, so that whoever uses it is there. One in 65,536 of those that were sent elsewhere
    /// seems so.
    #[must_use]
    pub fn was_sent_to(&self, nonce: &str, address: IpAddr) -> bool {
        self.made_at(nonce).is_some() && nonce.get(16..20).is_some_and(|mark| mark == hex(&self.mark(address)))
    }

    /// Milliseconds, something random, the mark of the address it goes to, and the proof that it is ours: 6, 2, 2 and 12 bytes, so that
    /// challenges are short.
    fn nonce(&self, random: u16, to: IpAddr, now: Instant) -> String {
        let milliseconds = u64::try_from(self.on_the_wall(now).as_millis()).unwrap_or(u64::MAX);
        let [_, _, time @ ..] = milliseconds.to_be_bytes();
        let mut nonce = [time.as_slice(), &random.to_be_bytes(), &self.mark(to)].concat();
        nonce.extend_from_slice(&self.proof(&nonce));
        hex(&nonce)
    }

    /// When a nonce of ours was made. The time that this takes says nothing but whether it is.
    fn made_at(&self, nonce: &str) -> Option<Duration> {
        let bytes = bytes_of_hex(nonce).filter(|bytes| bytes.len() == NONCE_LENGTH)?;
        let (signed, proof) = bytes.split_at(NONCE_LENGTH - PROOF_LENGTH);
        let is_ours = bool::from(self.proof(signed).ct_eq(proof));
        let milliseconds = signed[..6].iter().fold(0, |time, byte| time << 8 | u64::from(*byte));
        is_ours.then_some(Duration::from_millis(milliseconds))
    }

    /// What tells an address from others, and nobody else can make.
    fn mark(&self, address: IpAddr) -> [u8; 2] {
        let address = match address.to_canonical() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        let proof = self.proof(&address.octets());
        [proof[0], proof[1]]
    }

    /// A keyed hash. What is hashed has one of two lengths, a nonce's or an address's, so that nothing can be appended to it.
    fn proof(&self, signed: &[u8]) -> [u8; PROOF_LENGTH] {
        #[cfg(test)]
        work::note(DigestAlgorithm::Sha256, self.key.len() + size_of::<usize>() + self.realm.len() + signed.len());
        let hash: [u8; 32] = Sha256::new()
            .chain_update(self.key)
            .chain_update(self.realm.len().to_be_bytes())
            .chain_update(&self.realm)
            .chain_update(signed)
            .finalize()
            .into();
        let mut proof = [0; PROOF_LENGTH];
        proof.copy_from_slice(&hash[..PROOF_LENGTH]);
        proof
    }
}

const NONCE_LENGTH: usize = 6 + 4 + PROOF_LENGTH;
const PROOF_LENGTH: usize = 12;

/// The algorithms that a phone is offered, the preferred one first.
///
/// RFC 8760 has phones pass over what they do not know, but some give up instead: baresip (libre) before version 3 at any challenge that
/// is not MD5, and browsers' libraries, which know MD5 only, look at one of several: SIP.js at the first, JsSIP at the last.
#[must_use]
pub fn offered(user_agent: Option<&str>, transport: Transport) -> &'static [DigestAlgorithm] {
    const MD5_ONLY: [&str; 3] = ["baresip v0.", "baresip v1.", "baresip v2."];
    match user_agent {
        Some(agent) if MD5_ONLY.iter().any(|start| agent.starts_with(start)) => &[DigestAlgorithm::Md5],
        _ if transport.is_websocket() => &[DigestAlgorithm::Md5],
        _ => &DigestAlgorithm::ALL,
    }
}

/// Answers a challenge (RFC 7616 §3.4.1, with `qop=auth`).
#[must_use]
pub fn answer(challenge: &DigestChallenge, username: &str, password: &str, request: (&str, &str), cnonce: u64) -> Header {
    let (method, uri) = request;
    let mut credentials = DigestCredentials {
        username: username.to_owned(),
        realm: challenge.realm.clone(),
        nonce: challenge.nonce.clone(),
        uri: uri.to_owned(),
        algorithm: challenge.algorithm,
        cnonce: format!("{cnonce:016x}"),
        nonce_count: 1,
        opaque: challenge.opaque.clone(),
        response: Vec::new(),
    };
    credentials.response = response(&credentials, method, &DigestSecret::new(username, &challenge.realm, password));
    Header::Authorization(credentials.to_string().into())
}

/// The digest that these credentials would have if they were right.
fn response(credentials: &DigestCredentials, method: &str, secret: &DigestSecret) -> Vec<u8> {
    let DigestCredentials { algorithm, nonce, nonce_count, cnonce, uri, .. } = credentials;
    let request = digest(*algorithm, &format!("{method}:{uri}"));
    let text = format!("{}:{nonce}:{nonce_count:08x}:{cnonce}:auth:{request}", secret.of(*algorithm));
    bytes_of_hex(&digest(*algorithm, &text)).unwrap_or_default()
}

fn digest(algorithm: DigestAlgorithm, text: &str) -> String {
    #[cfg(test)]
    work::note(algorithm, text.len());
    match algorithm {
        DigestAlgorithm::Md5 => hex(&<Md5 as md5::Digest>::digest(text)),
        DigestAlgorithm::Sha256 => hex(&Sha256::digest(text)),
    }
}

/// Which hashes were computed, for tests that compare what is done for one name and for another.
#[cfg(test)]
pub(crate) mod work {
    use std::cell::RefCell;

    use super::DigestAlgorithm;

    thread_local! {
        static DONE: RefCell<Vec<(DigestAlgorithm, usize)>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn note(algorithm: DigestAlgorithm, length: usize) {
        DONE.with_borrow_mut(|done| done.push((algorithm, length)));
    }

    /// The hashes of this thread since this was last asked: the function, and how many bytes went in.
    pub(crate) fn done() -> Vec<(DigestAlgorithm, usize)> {
        DONE.take()
    }
}

/// Whether two URIs mean the same, with what proxies and phones add or leave out: parameters, and the port of the scheme.
fn is_same_resource(one: &SipUri, other: &SipUri) -> bool {
    let port = |uri: &SipUri| uri.port.unwrap_or(5060);
    one.user_text() == other.user_text() && one.host_text() == other.host_text() && port(one) == port(other)
}

/// Which counts were used with which nonces, as long as those are taken.
///
/// Only right credentials are noted, so that strangers fill nothing. When there are too many nonces, the oldest are taken no more.
#[derive(Debug, Default)]
pub struct NonceCounts {
    /// By the time the nonce was made, and the nonce.
    nonces: BTreeMap<(Duration, String), Used>,
    /// Nonces made then or before are not taken.
    floor: Duration,
}

/// The highest count of a nonce, and which of the 64 below it were used, the highest in bit 0.
#[derive(Clone, Copy, Debug)]
struct Used {
    highest: u32,
    below: u64,
}

impl NonceCounts {
    /// Takes no nonces from before a moment: who restarts does not know what was used then.
    #[must_use]
    pub fn since(since_unix_epoch: Duration) -> Self {
        Self { nonces: BTreeMap::new(), floor: since_unix_epoch }
    }

    /// Uses a nonce with a count; whether that is new.
    fn take(&mut self, made_at: Duration, nonce: &str, count: u32, now: Duration) -> bool {
        if made_at <= self.floor {
            return false;
        }
        self.forget_old(now);
        let key = (made_at, nonce.to_ascii_lowercase());
        let Some(used) = self.nonces.get_mut(&key) else {
            self.nonces.insert(key, Used { highest: count, below: 1 });
            return true;
        };
        if count > used.highest {
            used.below = used.below.checked_shl(count - used.highest).unwrap_or(0) | 1;
            used.highest = count;
            return true;
        }
        let bit = 1_u64.checked_shl(used.highest - count).unwrap_or(0);
        let is_new = bit != 0 && used.below & bit == 0;
        used.below |= bit;
        is_new
    }

    fn forget_old(&mut self, now: Duration) {
        while let Some(((made_at, _), _)) = self.nonces.first_key_value() {
            let is_over = *made_at + NONCE_LIFE <= now;
            if !is_over && self.nonces.len() < MOST_NONCES {
                return;
            }
            if !is_over {
                self.floor = *made_at;
            }
            self.nonces.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "correct horse";
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const EPOCH: Duration = Duration::from_secs(1_800_000_000);

    #[test]
    fn the_examples_of_rfc_7616_come_out_right() {
        let credentials = |algorithm, response: &str| DigestCredentials {
            username: "Mufasa".to_owned(),
            realm: "http-auth@example.org".to_owned(),
            nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v".to_owned(),
            uri: "/dir/index.html".to_owned(),
            algorithm,
            cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ".to_owned(),
            nonce_count: 1,
            opaque: None,
            response: bytes_of_hex(response).unwrap(),
        };
        let secret = DigestSecret::new("Mufasa", "http-auth@example.org", "Circle of Life");
        for (algorithm, expected) in [
            (DigestAlgorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (DigestAlgorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let credentials = credentials(algorithm, expected);

            assert_eq!(response(&credentials, "GET", &secret), credentials.response, "{algorithm:?}");
        }
    }

    #[test]
    fn every_challenge_is_answered_with_what_it_asks_for() {
        let mut test = Test::new();
        let challenges = test.authenticator.challenge(&DigestAlgorithm::ALL, false, 7, HERE, test.now);
        let names: Vec<_> = challenges.iter().map(|header| challenge_of(header).algorithm).collect();
        assert_eq!(names, [DigestAlgorithm::Sha256, DigestAlgorithm::Md5]);

        for (challenge, count) in challenges.iter().zip(1..) {
            let credentials = test.answered(&challenge_of(challenge), count);

            assert_eq!(test.judge(&credentials), Judgement::Right);
        }
    }

    #[test]
    fn phones_that_give_up_at_what_they_do_not_know_are_offered_what_they_do() {
        let names = |agent, transport| offered(agent, transport).iter().map(|it| it.name()).collect::<Vec<_>>();

        assert_eq!(names(None, Transport::Udp), ["SHA-256", "MD5"]);
        assert_eq!(names(Some("baresip v1.0.0 (x86_64/linux)"), Transport::Tls), ["MD5"]);
        assert_eq!(names(Some("baresip v3.1.0"), Transport::Tls), ["SHA-256", "MD5"]);
        assert_eq!(names(Some("anything"), Transport::Wss), ["MD5"]);
    }

    #[test]
    fn nothing_but_the_right_answer_is_right() {
        let mut test = Test::new();
        let right = test.credentials(1);
        let other = |change: fn(&mut DigestCredentials)| {
            let mut changed = right.clone();
            change(&mut changed);
            changed
        };

        for wrong in [
            other(|it| it.response[0] ^= 1),
            other(|it| it.response.truncate(31)),
            other(|it| it.response.clear()),
            other(|it| it.nonce_count = 2),
            other(|it| it.cnonce.push('x')),
            other(|it| it.uri = "sip:1002@vm.example".to_owned()),
            other(|it| it.algorithm = DigestAlgorithm::Md5),
            other(|it| it.nonce.replace_range(..1, "f")),
            other(|it| it.nonce.replace_range(20..21, "x")),
        ] {
            assert_eq!(test.judge(&wrong), Judgement::Wrong, "{wrong}");
        }
        assert_eq!(test.judge_for("INVITE", "sip:1001@other.example", &right), Judgement::Wrong);
        assert_eq!(test.judge_for("BYE", "sip:vm.example", &right), Judgement::Wrong);
        let nobody = test.authenticator.judge(
            &right,
            ("REGISTER", &SipUri::parse("sip:vm.example").unwrap()),
            None,
            &mut test.counts,
            test.now,
        );
        assert_eq!(nobody, Judgement::Wrong);
        assert_eq!(test.judge_for("REGISTER", "sip:VM.example:5060;transport=udp", &right), Judgement::Right);
    }

    #[test]
    fn what_is_wrong_costs_the_same_whatever_is_wrong_with_it() {
        let mut test = Test::new();
        let right = test.credentials(1);
        let wrong = DigestCredentials { response: vec![0; 32], ..right.clone() };
        let elsewhere = DigestCredentials { uri: "sip:1002@vm.example".to_owned(), ..right.clone() };
        let uri = SipUri::parse("sip:vm.example").unwrap();
        let secret = DigestSecret::new("1001", "afterbeep", SECRET);

        let costs =
            [(&right, None), (&wrong, None), (&wrong, Some(&secret)), (&elsewhere, Some(&secret)), (&right, Some(&secret))].map(
                |(credentials, secret)| {
                    work::done();
                    let judgement = test.authenticator.judge(credentials, ("REGISTER", &uri), secret, &mut test.counts, test.now);
                    (judgement, work::done())
                },
            );

        let (judgements, costs): (Vec<_>, Vec<_>) = costs.into_iter().unzip();
        assert_eq!(judgements, [[Judgement::Wrong; 4].as_slice(), &[Judgement::Right]].concat());
        assert_eq!(costs[0].len(), 3, "the nonce's proof, the request's hash, the response");
        // The URI is the stranger's own, and longer.
        assert_eq!(costs[3].len(), 3);
        assert!(costs[0] == costs[1] && costs[1] == costs[2] && costs[2] == costs[4], "{costs:?}");
    }

    #[test]
    fn a_nonce_is_taken_for_five_minutes_and_one_of_another_key_never() {
        let mut test = Test::new();
        let credentials = test.credentials(1);
        let again = test.credentials_with_count(&credentials, 2);
        let other = Authenticator::new("afterbeep", [8; 32], test.now, EPOCH);
        let foreign = answered_with(&other, test.now);

        assert_eq!(test.judge(&foreign), Judgement::Wrong);
        test.now += NONCE_LIFE - Duration::from_millis(1);
        assert_eq!(test.judge(&credentials), Judgement::Right);
        test.now += Duration::from_millis(1);
        assert_eq!(test.judge(&again), Judgement::Stale);
    }

    #[test]
    fn nodes_take_each_others_nonces_but_none_from_before_their_start() {
        let mut test = Test::new();
        let elsewhere = Authenticator::new("afterbeep", [7; 32], test.now, EPOCH + Duration::from_secs(2));
        let credentials = answered_with(&elsewhere, test.now);
        assert_eq!(test.judge(&credentials), Judgement::Right);
        let before = test.credentials(1);

        test.counts = NonceCounts::since(EPOCH + Duration::from_secs(3));

        assert_eq!(test.judge(&before), Judgement::Stale);
    }

    #[test]
    fn a_count_is_taken_once_in_any_order_within_a_window() {
        let mut counts = NonceCounts::default();
        let mut take = |count| counts.take(EPOCH, "n", count, EPOCH);

        assert_eq!(
            [5, 5, 3, 4, 3, 6, 200, 136, 137, 137, 5].map(&mut take),
            [true, false, true, true, false, true, true, false, true, false, false]
        );
        assert!(take(u32::MAX));
        assert!(!take(0));
    }

    #[test]
    fn too_many_nonces_push_out_the_oldest_which_are_then_taken_no_more() {
        let mut counts = NonceCounts::default();
        let at = |number: usize| EPOCH + Duration::from_millis(number as u64);

        for number in 0..MOST_NONCES + 10 {
            assert!(counts.take(at(number), "n", 1, EPOCH));
        }

        assert!(counts.nonces.len() <= MOST_NONCES);
        assert!(!counts.take(at(9), "n", 2, EPOCH));
        assert!(counts.take(at(10), "n", 2, EPOCH));
        assert!(counts.take(EPOCH + NONCE_LIFE * 2, "m", 1, EPOCH + NONCE_LIFE * 2));
        assert_eq!(counts.nonces.len(), 1);
    }

    #[test]
    fn among_several_credentials_those_of_our_realm_and_the_best_algorithm_count() {
        let test = Test::new();
        let best = test.credentials(1);
        let weaker = DigestCredentials { algorithm: DigestAlgorithm::Md5, response: vec![0; 16], ..best.clone() };
        let elsewhere = DigestCredentials { realm: "elsewhere".to_owned(), ..best.clone() };
        let headers = |all: &[&dyn ToString]| {
            let headers: Vec<Header> = all.iter().map(|it| Header::Authorization(it.to_string().into())).collect();
            Headers::from(headers)
        };

        let chosen = test.authenticator.credentials(&headers(&[&"Basic abc", &elsewhere, &weaker, &best, &weaker]));

        assert_eq!(chosen, Some(best));
        assert_eq!(test.authenticator.credentials(&headers(&[&elsewhere, &"Digest x"])), None);
        assert_eq!(test.authenticator.credentials(&headers(&[&format!("{weaker}, x=\"{}\"", "x".repeat(3000))])), None);
    }

    #[test]
    fn secrets_and_keys_are_not_shown() {
        let test = Test::new();
        let shown = format!("{:?} {:?} {:?}", test.authenticator, test.secret, test.credentials(1));

        assert!(!shown.contains(&test.secret.md5) && !shown.contains("1001") && !shown.contains("[7"), "{shown}");
    }

    #[test]
    fn a_nonce_shows_whom_it_was_sent_to() {
        let test = Test::new();
        let nonce = test.authenticator.nonce(7, HERE, test.now);
        let elsewhere = |n: u32| IpAddr::from(std::net::Ipv4Addr::from_bits(0xcb00_7100 + n));

        assert!(test.authenticator.was_sent_to(&nonce, HERE));
        assert!(test.authenticator.was_sent_to(&nonce, "::ffff:192.0.2.1".parse().unwrap()));
        assert!((0..200).filter(|n| test.authenticator.was_sent_to(&nonce, elsewhere(*n))).count() <= 1);
        let forged = format!("{}{}", &nonce[..43], if nonce.ends_with('0') { '1' } else { '0' });
        assert!(!test.authenticator.was_sent_to(&forged, HERE));
    }

    proptest! {
        #[test]
        fn no_text_makes_credentials_that_break_or_fit(text in "(Digest )?[ -~\\\\\"=,a-z0-9ä]{0,200}", random: u16) {
            let mut test = Test::new();
            let nonce = test.authenticator.nonce(random, HERE, test.now);
            let text = text.replace("nonce=", &format!("nonce={nonce}"));

            let headers = Headers::from(vec![Header::Authorization(text.into())]);
            if let Some(credentials) = test.authenticator.credentials(&headers) {
                prop_assert_eq!(test.judge(&credentials), Judgement::Wrong);
            }
        }

        #[test]
        fn any_name_and_password_fit_themselves_only(name in "\\PC{1,40}", password in "\\PC{0,40}", random: u16) {
            let mut test = Test::new();
            let challenge = challenge_of(&test.authenticator.challenge(&DigestAlgorithm::ALL, false, random, HERE, test.now)[0]);
            let Header::Authorization(value) = answer(&challenge, &name, &password, ("REGISTER", "sip:vm.example"), random.into())
            else { panic!("no credentials") };
            let credentials = DigestCredentials::parse(rsip::headers::UntypedHeader::value(&value)).unwrap();
            prop_assert_eq!(&credentials.username, &name);
            test.secret = DigestSecret::new(&name, "afterbeep", &format!("{password}x"));
            prop_assert_eq!(test.judge(&credentials), Judgement::Wrong);
            test.secret = DigestSecret::new(&name, "afterbeep", &password);
            prop_assert_eq!(test.judge(&credentials), Judgement::Right);
            prop_assert_eq!(test.judge(&credentials), Judgement::Stale);
        }
    }

    struct Test {
        authenticator: Authenticator,
        counts: NonceCounts,
        secret: DigestSecret,
        now: Instant,
    }

    impl Test {
        fn new() -> Self {
            let now = Instant::now();
            Self {
                authenticator: Authenticator::new("afterbeep", [7; 32], now, EPOCH),
                counts: NonceCounts::default(),
                secret: DigestSecret::new("1001", "afterbeep", SECRET),
                now,
            }
        }

        fn credentials(&self, count: u32) -> DigestCredentials {
            let challenge = challenge_of(&self.authenticator.challenge(&DigestAlgorithm::ALL, false, 7, HERE, self.now)[0]);
            self.answered(&challenge, count)
        }

        fn answered(&self, challenge: &DigestChallenge, count: u32) -> DigestCredentials {
            let Header::Authorization(value) = answer(challenge, "1001", SECRET, ("REGISTER", "sip:vm.example"), 9) else {
                panic!("no credentials")
            };
            let credentials = DigestCredentials::parse(rsip::headers::UntypedHeader::value(&value)).unwrap();
            self.credentials_with_count(&credentials, count)
        }

        fn credentials_with_count(&self, credentials: &DigestCredentials, count: u32) -> DigestCredentials {
            let mut credentials = DigestCredentials { nonce_count: count, ..credentials.clone() };
            credentials.response = response(&credentials, "REGISTER", &self.secret);
            credentials
        }

        fn judge(&mut self, credentials: &DigestCredentials) -> Judgement {
            self.judge_for("REGISTER", "sip:vm.example", credentials)
        }

        fn judge_for(&mut self, method: &str, uri: &str, credentials: &DigestCredentials) -> Judgement {
            let uri = SipUri::parse(uri).unwrap();
            self.authenticator.judge(credentials, (method, &uri), Some(&self.secret), &mut self.counts, self.now)
        }
    }

    fn answered_with(authenticator: &Authenticator, now: Instant) -> DigestCredentials {
        let challenge = challenge_of(&authenticator.challenge(&DigestAlgorithm::ALL, false, 7, HERE, now)[0]);
        Test::new().answered(&challenge, 1)
    }

    fn challenge_of(header: &Header) -> DigestChallenge {
        let Header::WwwAuthenticate(value) = header else { panic!("{header:?}") };
        DigestChallenge::parse(rsip::headers::UntypedHeader::value(value)).unwrap()
    }
}
