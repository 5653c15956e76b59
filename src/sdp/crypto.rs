//! Keys of SRTP inside the session description (RFC 4568): reading the lines of an offer or answer, and writing ours.

use std::fmt;

use base64::{
    Engine,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use sdp_types::{Attribute, Media};

use crate::rtp::srtp::{LONGEST_KEY, MasterKey, Suite};

/// The most `a=crypto` lines of a stream that are looked at. The longest list seen has eleven.
const MOST_LINES: usize = 32;

/// Longer than any key in base64, after which the decoder need not look.
const LONGEST_TEXT: usize = 64;
/// The longest name of a key in packets (RFC 4568 §6.1).
const LONGEST_IDENTIFIER: u8 = 128;

/// Standard base64; some telephones leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);

/// A line that can be used: `a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CryptoLine {
    pub tag: u32,
    pub key: MasterKey,
}

/// Keys of ours for one call, one for each suite, so that no two algorithms ever share one. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct CallKeys([[u8; LONGEST_KEY]; Suite::ALL.len()]);

impl CallKeys {
    /// How many random bytes the keys of a call are made of.
    pub const LENGTH: usize = LONGEST_KEY * Suite::ALL.len();

    /// Keys made of random bytes.
    #[must_use]
    pub fn new(random: &[u8; Self::LENGTH]) -> Self {
        let mut keys = [[0; LONGEST_KEY]; Suite::ALL.len()];
        for (key, bytes) in keys.iter_mut().zip(random.chunks_exact(LONGEST_KEY)) {
            key.copy_from_slice(bytes);
        }
        Self(keys)
    }

    /// Ours for that suite: what we send is protected with it.
    pub(super) fn of(&self, suite: Suite) -> MasterKey {
        let index = Suite::ALL.iter().position(|&other| other == suite).unwrap_or_default();
        MasterKey::new(suite, &self.0[index]).expect("each is as long as the longest key")
    }
}

impl fmt::Debug for CallKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallKeys")
    }
}

/// The lines of a stream that we can use, in the order of preference of whoever wrote them.
pub(super) fn lines(media: &Media) -> Vec<CryptoLine> {
    let values = media.attributes.iter().filter(|attribute| attribute.attribute == "crypto");
    values.take(MOST_LINES).filter_map(|attribute| line(attribute.value.as_deref()?)).collect()
}

/// Our line, with that tag.
pub(super) fn attribute(tag: u32, key: &MasterKey) -> Attribute {
    Attribute::with_value("crypto", format_args!("{tag} {} inline:{}", key.suite().name(), BASE64.encode(key.expose())))
}

/// Reads `1 AES_CM_128_HMAC_SHA1_80 inline:WVNf…|2^20|1:4 WSH=128`. `None` for what we cannot do: other suites, keys of another
/// length, more than one key, and parameters that change what is protected or how (RFC 4568 §6.3.7).
fn line(value: &str) -> Option<CryptoLine> {
    let mut words = value.split_ascii_whitespace();
    let (tag, suite, key) = (words.next()?, words.next()?, words.next()?);
    // The size of the replay window is only advice: ours is larger than the smallest allowed.
    if !words.all(|parameter| parameter.starts_with("WSH=")) {
        return None;
    }
    let tag = tag.parse().ok().filter(|&tag: &u32| tag <= 999_999_999)?;
    let suite = Suite::from_name(suite)?;
    // Several keys, told apart by their identifiers in each packet, stand in a row after semicolons.
    if key.contains(';') {
        return None;
    }
    let (method, info) = key.split_once(':')?;
    if !method.eq_ignore_ascii_case("inline") {
        return None;
    }
    let mut parts = info.split('|');
    let bytes = parts.next().filter(|text| text.len() <= LONGEST_TEXT)?;
    let bytes = BASE64.decode(bytes).ok().filter(|bytes| bytes.len() == suite.length())?;
    let key = MasterKey::new(suite, &bytes)?;
    // The life of a key, which no call outlasts, and its name in packets may follow, each on its own.
    let identifier = parts.find_map(|part| part.split_once(':'));
    let Some((_, length)) = identifier else { return Some(CryptoLine { tag, key }) };
    let length = length.parse().ok().filter(|length| (1..=LONGEST_IDENTIFIER).contains(length))?;
    Some(CryptoLine { tag, key: key.named_in_packets_by(length) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

    #[test]
    fn a_line_is_read_as_it_is_written() {
        let keys = CallKeys::new(&std::array::from_fn(|at| at as u8));

        for (tag, suite) in (1..).zip(Suite::ALL) {
            let written = attribute(tag, &keys.of(suite));
            let value = written.value.unwrap();

            assert!(value.starts_with(&format!("{tag} {} inline:", suite.name())), "{value}");
            assert_eq!(line(&value), Some(CryptoLine { tag, key: keys.of(suite) }));
        }
    }

    #[test]
    fn no_two_suites_share_a_key() {
        let keys = CallKeys::new(&std::array::from_fn(|at| at as u8));
        let starts: std::collections::BTreeSet<_> = Suite::ALL.map(|suite| keys.of(suite).expose()[0]).into();

        assert_eq!(starts.len(), Suite::ALL.len());
    }

    #[test]
    fn lives_names_and_windows_are_taken() {
        let plain = line(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}")).expect("a line");
        let named = |length| CryptoLine { key: plain.key.named_in_packets_by(length), ..plain };
        let cases = [
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20"), plain),
            (format!("1 aes_cm_128_hmac_sha1_80 INLINE:{KEY}|1048576  WSH=128"), plain),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^31|1:1"), named(1)),
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1066:4"), named(4)),
        ];

        for (text, expected) in cases {
            assert_eq!(line(&text), Some(expected), "{text}");
        }
        let padded =
            line("1 AEAD_AES_256_GCM inline:HhXUPzm1vPSbCPdLQoYnMxqiuZ8Q9YHsQvYWxUAVHmIIXfDDj5ZYzm8GAto=").expect("a line");
        let bare = line("1 AEAD_AES_256_GCM inline:HhXUPzm1vPSbCPdLQoYnMxqiuZ8Q9YHsQvYWxUAVHmIIXfDDj5ZYzm8GAto").expect("a line");
        assert_eq!(padded, bare);
    }

    #[test]
    fn what_we_cannot_do_is_passed_over() {
        let bad = [
            String::new(),
            "1".to_owned(),
            "1 AES_CM_128_HMAC_SHA1_80".to_owned(),
            format!("x AES_CM_128_HMAC_SHA1_80 inline:{KEY}"),
            format!("1000000000 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"),
            format!("1 F8_128_HMAC_SHA1_80 inline:{KEY}"),
            format!("1 AES_CM_128_HMAC_SHA1_80 prompt:{KEY}"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{}", &KEY[4..]),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}AAAA"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{}", "A".repeat(30_000)),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{}!", &KEY[1..]),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:0"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:129"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4;inline:{KEY}|2^20|2:4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTCP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNAUTHENTICATED_SRTP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} KDR=1"),
        ];

        for text in bad {
            assert_eq!(line(&text), None, "{text}");
        }
    }

    #[test]
    fn keys_are_not_shown() {
        let keys = CallKeys::new(&[7; CallKeys::LENGTH]);
        let line = line(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}")).unwrap();

        assert_eq!(format!("{keys:?} {line:?}"), "CallKeys CryptoLine { tag: 1, key: MasterKey(AES_CM_128_HMAC_SHA1_80) }");
    }
}
