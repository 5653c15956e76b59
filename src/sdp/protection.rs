//! How an offer's stream can be protected, and the lines of a description that say so: SDES (RFC 4568), DTLS-SRTP (RFC 5763,
//! RFC 5764) with a lite ICE agent of ours (RFC 8445 §2.5), and bundles (RFC 9143).

use std::net::SocketAddr;

use sdp_types::{Attribute, Media};

use super::{
    crypto::{self, CallKeys, CryptoLine},
    description::attribute,
};
use crate::rtp::secure::{DtlsTerms, Fingerprint, IceCredentials, Security};

/// The longest name of a stream (`a=mid`) that is repeated.
const LONGEST_NAME: usize = 64;
/// The priority of a host's only address (RFC 8445 §5.1.2), for RTP; RTCP has one less.
const HOST_PRIORITY: u32 = 126 << 24 | 65_535 << 8 | 255;

/// Whether calls are encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Offers of encryption are refused.
    Off,
    /// Those who offer it get it, and others do without.
    Optional,
    /// Offers without encryption are refused.
    Required,
}

/// What we have to protect one call with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalSecurity {
    /// What is accepted.
    pub policy: Policy,
    /// Our keys, for peers that exchange keys in the description.
    pub keys: CallKeys,
    /// The fingerprint of our certificate, if there is one; without it nothing comes of DTLS.
    pub fingerprint: Option<Fingerprint>,
    /// Who we are to the peer's ICE agent.
    pub ice: IceCredentials,
}

impl LocalSecurity {
    /// For calls without encryption.
    #[must_use]
    pub fn none() -> Self {
        Self {
            policy: Policy::Off,
            keys: CallKeys::new(&[0; CallKeys::LENGTH]),
            fingerprint: None,
            ice: IceCredentials::new(&[0; IceCredentials::LENGTH]),
        }
    }
}

/// What a stream's lines say about protection.
#[derive(Clone, Debug, Default)]
pub(super) struct Offered {
    pub crypto: Vec<CryptoLine>,
    fingerprint: Option<Fingerprint>,
    /// What `a=setup` says.
    setup: Option<String>,
    /// Whether the peer has an ICE agent that will check paths.
    pub ice: bool,
    /// Its `a=mid`.
    name: Option<String>,
    bundled: bool,
}

impl Offered {
    /// Reads the lines of a stream; some may stand above all streams instead.
    pub fn read(media: &Media, session: &[Attribute]) -> Self {
        let find = |name: &str| attribute(&media.attributes, name).or_else(|| attribute(session, name));
        let fingerprints = [&media.attributes[..], session].into_iter().map(|attributes| {
            let values = attributes.iter().filter(|attribute| attribute.attribute == "fingerprint");
            values.filter_map(|attribute| Fingerprint::parse(attribute.value.as_deref()?)).next()
        });
        let is_name = |name: &&str| (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
        let name = attribute(&media.attributes, "mid").map(str::trim).filter(is_name).map(str::to_owned);
        let is_lite = |attribute: &Attribute| attribute.attribute == "ice-lite";
        let groups = session.iter().filter(|attribute| attribute.attribute == "group").filter_map(|group| group.value.as_deref());
        let bundled = groups
            .map(str::split_ascii_whitespace)
            .any(|mut words| words.next() == Some("BUNDLE") && words.any(|word| Some(word) == name.as_deref()));
        Self {
            crypto: crypto::lines(media),
            fingerprint: fingerprints.flatten().next(),
            setup: find("setup").map(|setup| setup.trim().to_ascii_lowercase()),
            // Two lite agents would both wait for the other's checks: without ICE they meet at once (RFC 8839 §4.2.2).
            ice: find("ice-ufrag").is_some() && find("ice-pwd").is_some() && !session.iter().any(is_lite),
            name,
            bundled,
        }
    }

    /// How the stream would be protected under that protocol; `None` when we cannot do what it asks for.
    pub fn protection(&self, protocol: &str, local: &LocalSecurity) -> Option<Protection> {
        let is = |names: [&str; 2]| names.iter().any(|name| protocol.eq_ignore_ascii_case(name));
        let by_keys = || self.crypto.first().map(|&line| Protection::Keys(line));
        // AVPF (RFC 4585) without feedback messages differs from AVP only in when RTCP may be sent.
        if is(["RTP/AVP", "RTP/AVPF"]) {
            // Lines with keys are there for those who insist (RFC 8643); some telephones write them whether they mean it or not.
            return if local.policy == Policy::Required { by_keys() } else { Some(Protection::None) };
        }
        match local.policy {
            Policy::Off => None,
            Policy::Optional | Policy::Required if is(["RTP/SAVP", "RTP/SAVPF"]) => self.by_dtls(local).or_else(by_keys),
            Policy::Optional | Policy::Required if is(["UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"]) => self.by_dtls(local),
            Policy::Optional | Policy::Required => None,
        }
    }

    fn by_dtls(&self, local: &LocalSecurity) -> Option<Protection> {
        let (peer, _ours) = self.fingerprint.zip(local.fingerprint)?;
        let active = match self.setup.as_deref() {
            // Whoever may begin the handshake does it: so it begins when a path is there (RFC 5763 §5).
            Some("actpass" | "active") | None => false,
            Some("passive") => true,
            Some(_) => return None,
        };
        Some(Protection::Dtls(DtlsTerms { peer, active, ice: self.ice.then_some(local.ice) }))
    }

    /// What the answer says about the bundle above its streams, when this stream is the one that was accepted.
    pub fn session_attributes(&self, protection: &Protection) -> Vec<Attribute> {
        let mut attributes = Vec::new();
        if let Some(name) = self.name.as_deref().filter(|_| self.bundled) {
            attributes.push(Attribute::with_value("group", format_args!("BUNDLE {name}")));
        }
        if protection.ice().is_some() {
            attributes.push(Attribute::new("ice-lite"));
        }
        attributes
    }

    /// Adds to the accepted stream of an answer what protects it.
    pub fn describe(&self, media: &mut Media, protection: &Protection, local: SocketAddr, security: &LocalSecurity, mux: bool) {
        let attributes = &mut media.attributes;
        if let Some(name) = &self.name {
            attributes.push(Attribute::with_value("mid", name));
        }
        match protection {
            Protection::None => {}
            Protection::Keys(line) => attributes.push(crypto::attribute(line.tag, &security.keys.of(line.key.suite()))),
            Protection::Dtls(terms) => {
                let setup = if terms.active { "active" } else { "passive" };
                describe_dtls(attributes, setup, security.fingerprint.as_ref());
            }
        }
        if let Some(ice) = protection.ice() {
            describe_ice(attributes, ice, local, mux);
        }
    }
}

/// How a stream that we accept is protected.
#[derive(Clone, Copy, Debug)]
pub(super) enum Protection {
    None,
    Keys(CryptoLine),
    Dtls(DtlsTerms),
}

impl Protection {
    /// What was agreed on by answering with our keys.
    pub fn agreed(self, security: &LocalSecurity) -> Security {
        match self {
            Self::None => Security::None,
            Self::Keys(line) => Security::Keys { send: security.keys.of(line.key.suite()), receive: line.key },
            Self::Dtls(terms) => Security::Dtls(terms),
        }
    }

    /// Our credentials, if the peer checks paths.
    pub fn ice(&self) -> Option<&IceCredentials> {
        match self {
            Self::Dtls(terms) => terms.ice.as_ref(),
            Self::None | Self::Keys(_) => None,
        }
    }
}

fn describe_dtls(attributes: &mut Vec<Attribute>, setup: &str, fingerprint: Option<&Fingerprint>) {
    attributes.push(Attribute::with_value("setup", setup));
    attributes.extend(fingerprint.map(|fingerprint| Attribute::with_value("fingerprint", fingerprint)));
}

/// Our credentials and the one address at which a check will find us.
fn describe_ice(attributes: &mut Vec<Attribute>, ice: &IceCredentials, local: SocketAddr, mux: bool) {
    attributes.push(Attribute::with_value("ice-ufrag", ice.fragment()));
    attributes.push(Attribute::with_value("ice-pwd", ice.password()));
    let mut candidate = |component: u16, port: u16| {
        let priority = HOST_PRIORITY + 1 - u32::from(component);
        let ip = local.ip();
        attributes.push(Attribute::with_value("candidate", format_args!("1 {component} UDP {priority} {ip} {port} typ host")));
    };
    candidate(1, local.port());
    if !mux {
        candidate(2, local.port().saturating_add(1));
    }
    attributes.push(Attribute::new("end-of-candidates"));
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        audio::codec::Codec,
        rtp::srtp::{MasterKey, Suite},
        sdp::{AnswerError, LocalMedia, Negotiated, accept_answer, answer, offer, parse_offer},
    };

    const LOCAL: LocalMedia =
        LocalMedia { address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), port: 30_000, session_id: 7001, version: 1 };
    const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    const FINGERPRINT: &str =
        "sha-256 19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2";

    #[test]
    fn keys_in_the_offer_are_answered_with_a_key_of_ours() {
        let (bytes, agreed) = answered(
            Policy::Optional,
            &format!(
                "m=audio 40000 RTP/SAVP 0 101\na=rtpmap:101 telephone-event/8000\na=crypto:1 AES_256_CM_HMAC_SHA1_80 inline:x\n\
                 a=crypto:4 AES_CM_128_HMAC_SHA1_32 inline:{KEY}|2^20\na=crypto:5 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\n"
            ),
        )
        .unwrap();

        let Security::Keys { send, receive } = agreed.security else { panic!("{agreed:?}") };
        assert_eq!((send, receive.suite()), (security(Policy::Optional).keys.of(receive.suite()), Suite::AesCm128HmacSha1_32));
        assert_eq!(receive, MasterKey::new(Suite::AesCm128HmacSha1_32, b"YS___semctl () {\t220;}\n}\nunles").unwrap());
        assert!(bytes.contains("m=audio 30000 RTP/SAVP 0 101\r\n"), "{bytes}");
        assert!(bytes.contains("\r\na=crypto:4 AES_CM_128_HMAC_SHA1_32 inline:"), "{bytes}");
        assert_eq!(bytes.matches("a=crypto").count(), 1);
        assert!(!bytes.contains(KEY), "the peer's key is not repeated");
    }

    #[test]
    fn stray_keys_of_an_offer_without_encryption_are_ignored_unless_encryption_is_required() {
        let lines = format!("m=audio 40000 RTP/AVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\n");

        for policy in [Policy::Off, Policy::Optional] {
            let (bytes, agreed) = answered(policy, &lines).unwrap();
            assert!(agreed.security == Security::None && !bytes.contains("crypto"), "{bytes}");
        }
        let (bytes, agreed) = answered(Policy::Required, &lines).unwrap();
        assert!(matches!(agreed.security, Security::Keys { .. }));
        assert!(bytes.contains("m=audio 30000 RTP/AVP 0\r\n") && bytes.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80"), "{bytes}");
    }

    #[test]
    fn a_policy_decides_what_is_refused() {
        let crypto = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\n");
        let dtls = format!("a=setup:actpass\na=fingerprint:{FINGERPRINT}\n");
        let plain = "m=audio 40000 RTP/AVP 0\n".to_owned();
        let cases = [
            (plain.clone(), "Ok", "Ok", "NotEncrypted"),
            (format!("m=audio 40000 RTP/SAVP 0\n{crypto}"), "NoAudio", "Ok", "Ok"),
            (format!("m=audio 40000 RTP/SAVPF 0\n{dtls}"), "NoAudio", "Ok", "Ok"),
            (format!("m=audio 40000 UDP/TLS/RTP/SAVPF 0\n{dtls}"), "NoAudio", "Ok", "Ok"),
            (format!("m=audio 40000 UDP/TLS/RTP/SAVP 0\n{crypto}"), "NoAudio", "NoAudio", "NotEncrypted"),
            ("m=audio 40000 RTP/SAVP 0\n".to_owned(), "NoAudio", "NoAudio", "NotEncrypted"),
            (
                format!("m=audio 40000 RTP/SAVP 0\na=fingerprint:{FINGERPRINT}\na=setup:holdconn\n"),
                "NoAudio",
                "NoAudio",
                "NotEncrypted",
            ),
            (format!("m=audio 40000 RTP/SAVP 3\n{crypto}"), "NoAudio", "NoCommonCodec", "NoCommonCodec"),
        ];

        for (lines, off, optional, required) in cases {
            for (policy, expected) in [(Policy::Off, off), (Policy::Optional, optional), (Policy::Required, required)] {
                let result = answered(policy, &lines).map(|_| ());
                let told = result.map_or_else(|error| format!("{error:?}"), |()| "Ok".to_owned());
                assert_eq!(told, expected, "{policy:?}: {lines}");
            }
        }
    }

    #[test]
    fn of_two_streams_the_encrypted_one_is_taken() {
        let lines = format!(
            "m=audio 40000 RTP/AVP 0\nm=audio 40002 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\n\
             m=audio 40004 RTP/AVP 8\n"
        );

        let (bytes, agreed) = answered(Policy::Optional, &lines).unwrap();
        assert_eq!(agreed.remote.port(), 40_002);
        assert!(bytes.contains("m=audio 0 RTP/AVP 0\r\nm=audio 30000 RTP/SAVP 0\r\n"), "{bytes}");
        let (_, agreed) = answered(Policy::Off, &lines).unwrap();
        assert_eq!(agreed.remote.port(), 40_000);
    }

    #[test]
    fn a_browser_is_answered_with_fingerprint_candidate_and_bundle() {
        let lines = format!(
            "a=group:BUNDLE audio-0 1\na=extmap-allow-mixed\na=msid-semantic: WMS x\n\
             m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0 8 13 110 126\nc=IN IP4 0.0.0.0\na=rtcp:9 IN IP4 0.0.0.0\n\
             a=candidate:1 1 udp 2113937151 0b4f5a1e.local 51234 typ host generation 0 network-cost 999\n\
             a=ice-ufrag:Yk4t\na=ice-pwd:asd88fgpdd777uzjYhagZg00\na=ice-options:trickle\na=fingerprint:{FINGERPRINT}\n\
             a=setup:actpass\na=mid:audio-0\na=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\na=sendrecv\na=rtcp-mux\n\
             a=rtcp-rsize\na=rtpmap:111 opus/48000/2\na=rtpmap:126 telephone-event/8000\n\
             m=video 9 UDP/TLS/RTP/SAVPF 96\na=mid:1\na=bundle-only\n"
        );

        let (bytes, agreed) = answered(Policy::Optional, &lines).unwrap();

        let ours = security(Policy::Optional);
        let Security::Dtls(terms) = agreed.security else { panic!("{agreed:?}") };
        assert_eq!((terms.peer, terms.active, terms.ice), (Fingerprint::parse(FINGERPRINT).unwrap(), false, Some(ours.ice)));
        assert!(agreed.direction_send && agreed.direction_receive && agreed.rtcp_mux && agreed.remote.ip().is_unspecified());
        let (session, streams) = bytes.split_once("m=audio").unwrap();
        assert!(session.contains("a=group:BUNDLE audio-0\r\n") && session.contains("a=ice-lite\r\n"), "{bytes}");
        let (audio, video) = streams.split_once("m=video").unwrap();
        for line in [
            "a=mid:audio-0",
            "a=rtcp-mux",
            "a=setup:passive",
            &format!("a=fingerprint:{}", ours.fingerprint.unwrap()),
            &format!("a=ice-ufrag:{}", ours.ice.fragment()),
            &format!("a=ice-pwd:{}", ours.ice.password()),
            "a=candidate:1 1 UDP 2130706431 192.0.2.1 30000 typ host",
            "a=end-of-candidates",
        ] {
            assert!(audio.contains(&format!("\r\n{line}\r\n")), "{line} in {bytes}");
        }
        assert_eq!(audio.matches("a=candidate").count(), 1);
        assert!(!bytes.contains("extmap") && !bytes.contains("rsize"), "{bytes}");
        assert_eq!(video, " 0 UDP/TLS/RTP/SAVPF 96\r\n");
    }

    #[test]
    fn a_peer_that_would_wait_for_our_checks_is_answered_without_ice() {
        let lines = format!(
            "a=ice-lite\nm=audio 40000 UDP/TLS/RTP/SAVPF 0\na=setup:actpass\na=fingerprint:{FINGERPRINT}\na=ice-ufrag:Yk4t\n\
             a=ice-pwd:asd88fgpdd777uzjYhagZg00\na=candidate:1 1 UDP 2130706431 198.51.100.7 40000 typ host\n"
        );

        let (bytes, agreed) = answered(Policy::Optional, &lines).unwrap();

        assert!(matches!(agreed.security, Security::Dtls(DtlsTerms { ice: None, .. })), "{agreed:?}");
        assert!(agreed.direction_send && !bytes.contains("ice") && !bytes.contains("candidate"), "{bytes}");
    }

    #[test]
    fn a_peer_that_waits_for_the_handshake_gets_it_begun() {
        let lines = format!("a=setup:passive\na=fingerprint:{FINGERPRINT}\nm=audio 40000 UDP/TLS/RTP/SAVP 0\n");

        let (bytes, agreed) = answered(Policy::Required, &lines).unwrap();

        let terms = DtlsTerms { peer: Fingerprint::parse(FINGERPRINT).unwrap(), active: true, ice: None };
        assert_eq!(agreed.security, Security::Dtls(terms));
        assert!(bytes.contains("a=setup:active\r\n") && !bytes.contains("ice"), "{bytes}");
    }

    #[test]
    fn a_name_that_is_none_is_not_repeated() {
        let long = "x".repeat(LONGEST_NAME + 1);
        for name in ["", "a b", "a\u{e4}", &long] {
            let (bytes, _) =
                answered(Policy::Optional, &format!("a=group:BUNDLE {name}\nm=audio 40000 RTP/AVP 0\na=mid:{name}\n")).unwrap();
            assert!(!bytes.contains("mid") && !bytes.contains("BUNDLE"), "{bytes}");
        }
    }

    #[test]
    fn our_encrypted_offer_and_our_answer_agree() {
        let (ours, theirs) = (
            security(Policy::Required),
            LocalSecurity { keys: CallKeys::new(&[9; CallKeys::LENGTH]), ..security(Policy::Required) },
        );
        let own = offer(&LOCAL, &Codec::ALL).encrypted(ours.keys.clone());

        let (bytes, seen_there) = answer(&parse_offer(&own.bytes()).unwrap(), &LOCAL, &Codec::ALL, &theirs).unwrap();
        let seen_here = accept_answer(&own, &bytes).unwrap();

        let Security::Keys { send, receive } = seen_here.security else { panic!("{seen_here:?}") };
        assert_eq!(seen_there.security, Security::Keys { send: receive, receive: send });
        assert_ne!(send, receive);
    }

    #[test]
    fn an_answer_without_the_encryption_that_was_offered_is_refused() {
        let keys = security(Policy::Required).keys;
        let own = offer(&LOCAL, &Codec::ALL).encrypted(keys);
        for lines in [
            "m=audio 40000 RTP/AVP 0\n".to_owned(),
            "m=audio 40000 RTP/SAVP 0\n".to_owned(),
            format!("m=audio 40000 RTP/AVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\n"),
            format!("m=audio 40000 RTP/SAVP 0\na=crypto:4 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\n"),
            format!("m=audio 40000 RTP/SAVP 0\na=crypto:9 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\n"),
        ] {
            let error = accept_answer(&own, with(&lines).as_bytes()).unwrap_err();
            assert!(matches!(error, AnswerError::NoAudio), "{lines}: {error:?}");
        }
        let good = format!("m=audio 40000 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\n");
        assert!(accept_answer(&own, with(&good).as_bytes()).is_ok());
    }

    #[test]
    fn nothing_that_is_shown_has_a_secret_in_it() {
        let security = security(Policy::Optional);
        let lines = format!("m=audio 40000 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\n");
        let (_, agreed) = answered(Policy::Optional, &lines).unwrap();
        let own = offer(&LOCAL, &Codec::ALL).encrypted(security.keys.clone());

        let shown = format!("{security:?} {agreed:?} {own:?}");

        assert!(!shown.contains(KEY) && !shown.contains(security.ice.password()) && !shown.contains("[7, 7"), "{shown}");
    }

    proptest! {
        /// Whatever an offer says about protection, it gets what the policy allows, and whoever reads our answer sees the same.
        #[test]
        fn any_lines_about_protection(
            policy in prop_oneof![Just(Policy::Off), Just(Policy::Optional), Just(Policy::Required)],
            lines in prop::collection::vec(line(), 0..16),
        ) {
            let Ok(offer) = parse_offer(with(&lines.concat()).as_bytes()) else { return Ok(()) };
            let security = security(policy);
            let Ok((bytes, agreed)) = answer(&offer, &LOCAL, &Codec::ALL, &security) else { return Ok(()) };

            let (_, seen) = answer(&parse_offer(&bytes).unwrap(), &LOCAL, &Codec::ALL, &security).unwrap();
            match (agreed.security, seen.security) {
                (Security::None, Security::None) => prop_assert_ne!(policy, Policy::Required),
                (Security::Keys { send, .. }, Security::Keys { receive, .. }) => prop_assert_eq!(send, receive),
                (Security::Dtls(ours), Security::Dtls(theirs)) => {
                    prop_assert!(!(ours.active && theirs.active));
                    prop_assert_eq!(theirs.peer, security.fingerprint.unwrap());
                }
                other => prop_assert!(false, "{other:?}"),
            }
            prop_assert!(agreed.security == Security::None || policy != Policy::Off);
        }

        #[test]
        fn any_text_is_a_fingerprint_or_none(text in "(sha-(1|256|384|512) )?([0-9a-fA-F+]{2}:){0,64}\\PC{0,4}") {
            if let Some(fingerprint) = Fingerprint::parse(&text) {
                prop_assert_eq!(Fingerprint::parse(&fingerprint.to_string()), Some(fingerprint));
            }
        }
    }

    /// Lines as peers write them, whole and broken.
    fn line() -> impl Strategy<Value = String> {
        let protocol = prop_oneof![
            Just("RTP/AVP"),
            Just("RTP/SAVP"),
            Just("RTP/SAVPF"),
            Just("UDP/TLS/RTP/SAVP"),
            Just("UDP/TLS/RTP/SAVPF"),
            Just("TCP/TLS/RTP/SAVP")
        ];
        let suite = prop_oneof![Just("AES_CM_128_HMAC_SHA1_80"), Just("AEAD_AES_256_GCM"), Just("F8_128_HMAC_SHA1_80")];
        let setup = prop_oneof![Just("actpass"), Just("active"), Just("passive"), Just("holdconn"), Just("")];
        let rest = "\\PC{0,20}";
        prop_oneof![
            (1_u16.., protocol).prop_map(|(port, protocol)| format!("m=audio {port} {protocol} 0\n")),
            (any::<u32>(), suite, rest).prop_map(|(tag, suite, rest)| format!("a=crypto:{tag} {suite} inline:{KEY}{rest}\n")),
            Just(format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}\n")),
            Just(format!("a=fingerprint:{FINGERPRINT}\n")),
            rest.prop_map(|rest| format!("a=fingerprint:{rest}\n")),
            setup.prop_map(|setup| format!("a=setup:{setup}\n")),
            rest.prop_map(|rest| format!("a=ice-ufrag:{rest}\na=ice-pwd:{rest}\n")),
            rest.prop_map(|rest| format!("a=candidate:1 1 udp {rest} typ host\n")),
            rest.prop_map(|rest| format!("a=group:BUNDLE {rest}\na=mid:{rest}\n")),
            Just("a=rtcp-mux\n".to_owned()),
            Just("a=ice-lite\n".to_owned()),
        ]
    }

    fn security(policy: Policy) -> LocalSecurity {
        LocalSecurity {
            policy,
            keys: CallKeys::new(&[7; CallKeys::LENGTH]),
            fingerprint: Some(Fingerprint::of(b"our certificate")),
            ice: IceCredentials::new(&std::array::from_fn(|at| at as u8)),
        }
    }

    fn answered(policy: Policy, lines: &str) -> Result<(String, Negotiated), AnswerError> {
        let (bytes, agreed) = answer(&parse_offer(with(lines).as_bytes()).unwrap(), &LOCAL, &Codec::ALL, &security(policy))?;
        Ok((String::from_utf8(bytes).unwrap(), agreed))
    }

    fn with(lines: &str) -> String {
        format!("v=0\nc=IN IP4 198.51.100.7\n{lines}")
    }
}
