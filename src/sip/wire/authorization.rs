//! Digest challenges and credentials as text (RFC 7616, RFC 8760, with the grammar of RFC 3261 §25.1).

use std::fmt;

use super::text::{Malformed, is_token, split, take_quoted, trim, write_quoted};

/// The hash functions that a digest can be made with, as far as we make any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DigestAlgorithm {
    /// `MD5`, also when none is named.
    Md5,
    /// `SHA-256` (RFC 8760).
    Sha256,
}

impl DigestAlgorithm {
    /// All of them, the preferred one first.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Md5];

    /// The word used in challenges and credentials.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(name))
    }

    /// The length of a digest in bytes.
    #[must_use]
    pub fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha256 => 32,
        }
    }
}

/// What `Authorization: Digest …` says, with `qop=auth`. Other kinds are not read: nobody was asked for them.
#[derive(Clone, PartialEq, Eq)]
pub struct DigestCredentials {
    /// Who it is said to be.
    pub username: String,
    /// The realm they are for.
    pub realm: String,
    /// The nonce they answer.
    pub nonce: String,
    /// The Request-URI they were made for.
    pub uri: String,
    /// The hash.
    pub algorithm: DigestAlgorithm,
    /// What the client added.
    pub cnonce: String,
    /// How often the client has used the nonce, this time included: eight hexadecimal digits on the wire.
    pub nonce_count: u32,
    /// `opaque`, given back.
    pub opaque: Option<String>,
    /// The digest: as many bytes as the algorithm makes.
    pub response: Vec<u8>,
}

/// Logs must not carry credentials.
impl fmt::Debug for DigestCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DigestCredentials").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// What `WWW-Authenticate: Digest …` or `Proxy-Authenticate: Digest …` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestChallenge {
    /// What the credentials are for.
    pub realm: String,
    /// To be hashed with them.
    pub nonce: String,
    /// The hash.
    pub algorithm: DigestAlgorithm,
    /// Whether `qop=auth` is offered.
    pub offers_auth: bool,
    /// To be given back.
    pub opaque: Option<String>,
    /// Whether the credentials were right, and only their nonce was not.
    pub stale: bool,
}

impl DigestCredentials {
    /// Reads a header's value.
    ///
    /// # Errors
    ///
    /// When it is not what RFC 7616 §3.4 asks for, or names another algorithm or quality of protection.
    pub fn parse(value: &str) -> Result<Self, Malformed> {
        let fields = Fields::parse(value)?;
        let algorithm = fields.algorithm()?;
        if !fields.get("qop").is_some_and(|qop| qop.eq_ignore_ascii_case("auth")) {
            return Err(Malformed("qop"));
        }
        let nonce_count = fields.required("nc")?;
        if nonce_count.len() != 8 || !nonce_count.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Malformed("nc"));
        }
        let response = bytes_of_hex(fields.required("response")?).filter(|bytes| bytes.len() == algorithm.length());
        Ok(Self {
            username: fields.required("username")?.to_owned(),
            realm: fields.required("realm")?.to_owned(),
            nonce: fields.required("nonce")?.to_owned(),
            uri: fields.required("uri")?.to_owned(),
            algorithm,
            cnonce: fields.required("cnonce")?.to_owned(),
            nonce_count: u32::from_str_radix(nonce_count, 16).map_err(|_| Malformed("nc"))?,
            opaque: fields.get("opaque").map(ToOwned::to_owned),
            response: response.ok_or(Malformed("response"))?,
        })
    }
}

impl fmt::Display for DigestCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest ")?;
        for (name, value) in [("username", &self.username), ("realm", &self.realm), ("nonce", &self.nonce), ("uri", &self.uri)] {
            write!(f, "{name}=")?;
            write_quoted(value, f)?;
            f.write_str(", ")?;
        }
        write!(f, "response=\"{}\", algorithm={}, cnonce=", hex(&self.response), self.algorithm.name())?;
        write_quoted(&self.cnonce, f)?;
        write!(f, ", qop=auth, nc={:08x}", self.nonce_count)?;
        if let Some(opaque) = &self.opaque {
            f.write_str(", opaque=")?;
            write_quoted(opaque, f)?;
        }
        Ok(())
    }
}

impl DigestChallenge {
    /// Reads a header's value.
    ///
    /// # Errors
    ///
    /// When it is no digest challenge, or asks for another algorithm.
    pub fn parse(value: &str) -> Result<Self, Malformed> {
        let fields = Fields::parse(value)?;
        let offers_auth = |qop: &str| qop.split(',').any(|offered| trim(offered).eq_ignore_ascii_case("auth"));
        Ok(Self {
            realm: fields.required("realm")?.to_owned(),
            nonce: fields.required("nonce")?.to_owned(),
            algorithm: fields.algorithm()?,
            offers_auth: fields.get("qop").is_some_and(offers_auth),
            opaque: fields.get("opaque").map(ToOwned::to_owned),
            stale: fields.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }
}

impl fmt::Display for DigestChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest realm=")?;
        write_quoted(&self.realm, f)?;
        f.write_str(",nonce=")?;
        write_quoted(&self.nonce, f)?;
        write!(f, ",algorithm={}", self.algorithm.name())?;
        if self.offers_auth {
            f.write_str(",qop=\"auth\"")?;
        }
        if let Some(opaque) = &self.opaque {
            f.write_str(",opaque=")?;
            write_quoted(opaque, f)?;
        }
        f.write_str(if self.stale { ",stale=true" } else { "" })
    }
}

/// The parameters after `Digest`, each at most once, quoted ones without quotes and escapes.
struct Fields(Vec<(String, String)>);

/// Most parameters that are read; RFC 7616 has a dozen.
const MOST_FIELDS: usize = 32;

impl Fields {
    fn parse(value: &str) -> Result<Self, Malformed> {
        let value = trim(value);
        let (scheme, rest) = value.split_once([' ', '\t']).ok_or(Malformed("no parameters"))?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return Err(Malformed("not Digest"));
        }
        let mut fields = Self(Vec::new());
        for field in split(rest, b',')?.into_iter().filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=').ok_or(Malformed("parameter without a value"))?;
            let (name, value) = (trim(name), trim(value));
            if !is_token(name) {
                return Err(Malformed("parameter name"));
            }
            // Whoever reads another one than we do could be told something else.
            if fields.get(name).is_some() || fields.0.len() >= MOST_FIELDS {
                return Err(Malformed("repeated parameter"));
            }
            let value = if value.starts_with('"') {
                match take_quoted(value)? {
                    // RFC 7616's quoted strings have none, and a line end would be written as a space: another value.
                    (content, "") if content.contains(|it: char| it.is_ascii_control() && it != '\t') => {
                        return Err(Malformed("control character in a parameter"));
                    }
                    (content, "") => content,
                    _ => return Err(Malformed("text after a quoted parameter")),
                }
            } else if is_token(value) {
                value.to_owned()
            } else {
                return Err(Malformed("parameter value"));
            };
            fields.0.push((name.to_owned(), value));
        }
        Ok(fields)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn required(&self, name: &'static str) -> Result<&str, Malformed> {
        self.get(name).ok_or(Malformed(name))
    }

    fn algorithm(&self) -> Result<DigestAlgorithm, Malformed> {
        self.get("algorithm").map_or(Some(DigestAlgorithm::Md5), DigestAlgorithm::parse).ok_or(Malformed("algorithm"))
    }
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads hexadecimal digits in either case.
#[must_use]
pub fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of RFC 7616 §3.9.1.
    const MUFASA: &str = r#"Digest username="Mufasa",
       realm="http-auth@example.org", uri="/dir/index.html", algorithm=MD5,
       nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001,
       cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth,
       response="8ca523f5e9506fed4657c9700eebdbec", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;

    #[test]
    fn credentials_are_read_and_written() {
        let text = MUFASA.replace('\n', " ");

        let read = DigestCredentials::parse(&text).unwrap();

        assert_eq!((read.username.as_str(), read.nonce_count), ("Mufasa", 1));
        assert_eq!((read.algorithm, read.response.len()), (DigestAlgorithm::Md5, 16));
        assert_eq!(DigestCredentials::parse(&read.to_string()), Ok(read));
    }

    #[test]
    fn quotes_and_escapes_in_a_name_are_its_own() {
        let text = MUFASA.replace('\n', " ").replace("\"Mufasa\"", r#""Mu\"f\\a, s=a""#);

        let read = DigestCredentials::parse(&text).unwrap();

        assert_eq!(read.username, r#"Mu"f\a, s=a"#);
        assert_eq!(DigestCredentials::parse(&read.to_string()), Ok(read));
    }

    #[test]
    fn what_phones_write_differently_is_read() {
        let text = MUFASA.replace('\n', " ");
        for (from, to) in [
            ("Digest", "DIGEST"),
            ("qop=auth", "qop=\"auth\""),
            ("algorithm=MD5, ", ""),
            ("algorithm=MD5", "algorithm=\"md5\""),
            ("username=", "Username = "),
            ("8ca523f5e9506fed4657c9700eebdbec", "8CA523F5E9506FED4657C9700EEBDBEC"),
            ("nc=00000001,", ",, nc=00000001,"),
        ] {
            assert!(text.contains(from), "{from}");
            assert_eq!(DigestCredentials::parse(&text.replace(from, to)), DigestCredentials::parse(&text), "{to}");
        }
    }

    #[test]
    fn what_nobody_asked_for_is_not_read() {
        let text = MUFASA.replace('\n', " ");
        for (from, to) in [
            ("Digest ", "Basic "),
            ("Digest ", "Digest"),
            ("qop=auth", "qop=auth-int"),
            ("qop=auth,", ""),
            ("algorithm=MD5", "algorithm=MD5-sess"),
            ("algorithm=MD5", "algorithm=SHA-256"),
            ("nc=00000001", "nc=1"),
            ("nc=00000001", "nc=+0000001"),
            ("8ca523f5", "8ca523f"),
            ("8ca523f5", "8ca523fx"),
            ("cnonce=", "konce="),
            ("qop=auth", "qop=auth, username=\"Scar\""),
            ("uri=\"/dir", "uri=/dir"),
            ("opaque=\"", "opaque="),
            ("nonce=\"7", "nonce=\"\n7"),
            ("Mufasa", "Muf\\\rasa"),
            ("Mufasa", "Muf\0asa"),
        ] {
            assert!(text.contains(from), "{from}");
            assert!(DigestCredentials::parse(&text.replace(from, to)).is_err(), "{to}");
        }
    }

    #[test]
    fn challenges_are_read_and_written() {
        let challenge = DigestChallenge {
            realm: "after \"beep\"".to_owned(),
            nonce: "abc".to_owned(),
            algorithm: DigestAlgorithm::Sha256,
            offers_auth: true,
            opaque: Some("x".to_owned()),
            stale: true,
        };

        assert_eq!(DigestChallenge::parse(&challenge.to_string()), Ok(challenge));
        let old = DigestChallenge::parse("Digest realm=\"a\", nonce=\"b\", qop=\"auth-int, auth\"").unwrap();
        assert_eq!((old.algorithm, old.offers_auth, old.stale), (DigestAlgorithm::Md5, true, false));
        assert!(!DigestChallenge::parse("Digest realm=\"a\", nonce=\"b\"").unwrap().offers_auth);
        assert!(DigestChallenge::parse("Digest realm=\"a\", nonce=\"b\", algorithm=SHA-512-256").is_err());
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reading_and_what_is_read_is_written_the_same(
            value in "\\PC{0,200}", fields in "[ -~]{0,200}", raw in "(?s).{0,20}",
        ) {
            let digest = MUFASA.replace('\n', " ");
            for text in [value, format!("Digest {fields}"), format!("{digest} {fields}"), digest.replace("7yp", &raw)] {
                if let Ok(credentials) = DigestCredentials::parse(&text) {
                    prop_assert_eq!(DigestCredentials::parse(&credentials.to_string()), Ok(credentials));
                }
                if let Ok(challenge) = DigestChallenge::parse(&text) {
                    prop_assert_eq!(DigestChallenge::parse(&challenge.to_string()), Ok(challenge));
                }
            }
        }

        #[test]
        fn credentials_of_any_name_are_read_as_they_were_written(
            username in "\\PC{0,40}", uri in "[ -~]{0,40}", cnonce in "[ -~]{0,20}", nonce_count: u32,
            response in proptest::array::uniform32(any::<u8>()), opaque in proptest::option::of("[ -~]{0,20}"),
        ) {
            for algorithm in DigestAlgorithm::ALL {
                let credentials = DigestCredentials {
                    username: username.clone(),
                    realm: "afterbeep".to_owned(),
                    nonce: "00".to_owned(),
                    uri: uri.clone(),
                    algorithm,
                    cnonce: cnonce.clone(),
                    nonce_count,
                    opaque: opaque.clone(),
                    response: response[..algorithm.length()].to_vec(),
                };

                prop_assert_eq!(DigestCredentials::parse(&credentials.to_string()), Ok(credentials));
            }
        }
    }

    #[test]
    fn hexadecimal_digits_come_in_pairs() {
        assert_eq!(bytes_of_hex("00fF"), Some(vec![0, 255]));
        assert_eq!(hex(&[0, 255]), "00ff");
        for text in ["0", "0g", "+f", "ää"] {
            assert_eq!(bytes_of_hex(text), None, "{text}");
        }
    }
}
