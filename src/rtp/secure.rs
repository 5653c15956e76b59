//! What two sides agreed on to protect their media: keys out of the session description (SDES), or a DTLS handshake whose
//! certificates it names (DTLS-SRTP).

use std::fmt;

use sha2::{Digest, Sha256, Sha384, Sha512};

use super::srtp::MasterKey;

/// How a stream is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    #[default]
    None,
    /// By keys that both sides know already.
    Keys {
        /// What we send is protected with this.
        send: MasterKey,
        /// What the peer sends is protected with this.
        receive: MasterKey,
    },
    /// By keys that a DTLS handshake on the stream's own port agrees on (RFC 5764).
    Dtls(DtlsTerms),
}

/// What is agreed on before a DTLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DtlsTerms {
    /// The certificate that the peer must have.
    pub peer: Fingerprint,
    /// Whether the handshake is for us to begin. Browsers begin it themselves.
    pub active: bool,
    /// The credentials of the checks by which the peer finds a path, when it does (RFC 8445).
    pub ice: Option<IceCredentials>,
}

/// The hash of a certificate (RFC 8122).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    hash: Hash,
    digest: [u8; 64],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    const ALL: [Self; 3] = [Self::Sha256, Self::Sha384, Self::Sha512];

    const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    const fn length(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl Fingerprint {
    /// The SHA-256 of a certificate in DER.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        Self::with(Hash::Sha256, certificate)
    }

    fn with(hash: Hash, certificate: &[u8]) -> Self {
        let mut digest = [0; 64];
        let place = &mut digest[..hash.length()];
        match hash {
            Hash::Sha256 => place.copy_from_slice(&Sha256::digest(certificate)),
            Hash::Sha384 => place.copy_from_slice(&Sha384::digest(certificate)),
            Hash::Sha512 => place.copy_from_slice(&Sha512::digest(certificate)),
        }
        Self { hash, digest }
    }

    /// Whether it is that certificate's.
    #[must_use]
    pub fn matches(&self, certificate: &[u8]) -> bool {
        *self == Self::with(self.hash, certificate)
    }

    /// Reads `sha-256 12:DF:3E:…`. `None` for other hashes: the weaker ones prove nothing any more.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let (name, bytes, None) = (words.next()?, words.next()?, words.next()) else { return None };
        let hash = Hash::ALL.into_iter().find(|hash| hash.name().eq_ignore_ascii_case(name))?;
        let mut digest = [0; 64];
        let mut pairs = bytes.split(':');
        for place in &mut digest[..hash.length()] {
            let pair = pairs.next().filter(|pair| pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
            *place = u8::from_str_radix(pair, 16).ok()?;
        }
        pairs.next().is_none().then_some(Self { hash, digest })
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hash.name())?;
        for (index, byte) in self.digest[..self.hash.length()].iter().enumerate() {
            write!(f, "{}{byte:02X}", if index == 0 { ' ' } else { ':' })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who we are to the peer's ICE agent, for one call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IceCredentials {
    fragment: [u8; Self::FRAGMENT],
    password: [u8; Self::PASSWORD],
}

impl IceCredentials {
    /// 48 bits; RFC 8445 §5.3 asks for 24.
    const FRAGMENT: usize = 8;
    /// 144 bits; RFC 8445 §5.3 asks for 128.
    const PASSWORD: usize = 24;
    /// How many random bytes they are made of.
    pub const LENGTH: usize = Self::FRAGMENT + Self::PASSWORD;

    /// Credentials made of random bytes.
    #[must_use]
    pub fn new(random: &[u8; Self::LENGTH]) -> Self {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let letter = |at: usize| ALPHABET[usize::from(random[at] & 63)];
        Self { fragment: std::array::from_fn(letter), password: std::array::from_fn(|at| letter(Self::FRAGMENT + at)) }
    }

    /// The user name fragment.
    #[must_use]
    pub fn fragment(&self) -> &str {
        std::str::from_utf8(&self.fragment).expect("letters of the alphabet above")
    }

    /// The password.
    #[must_use]
    pub fn password(&self) -> &str {
        std::str::from_utf8(&self.password).expect("letters of the alphabet above")
    }

    /// Whether a check with that user name is for us: ours comes first.
    #[must_use]
    pub fn is_for_us(&self, username: &[u8]) -> bool {
        username.strip_prefix(&self.fragment).is_some_and(|rest| rest.first() == Some(&b':'))
    }
}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IceCredentials({})", self.fragment())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_reads_as_it_is_written() {
        let fingerprint = Fingerprint::of(b"certificate");
        let text = fingerprint.to_string();

        assert!(text.starts_with("sha-256 ") && text.len() == 8 + 32 * 3 - 1, "{text}");
        assert_eq!(Fingerprint::parse(&text), Some(fingerprint));
        assert_eq!(Fingerprint::parse(&text.to_lowercase()), Some(fingerprint));
        assert!(fingerprint.matches(b"certificate") && !fingerprint.matches(b"another"));
        for hash in Hash::ALL {
            let fingerprint = Fingerprint::with(hash, b"certificate");
            assert_eq!(Fingerprint::parse(&fingerprint.to_string()), Some(fingerprint));
            assert!(fingerprint.matches(b"certificate") && !fingerprint.matches(b"another"));
        }
    }

    #[test]
    fn what_is_no_fingerprint_is_refused() {
        let good = Fingerprint::of(b"certificate").to_string();
        let sha1 = format!("sha-1 {}", ["AB"; 20].join(":"));
        let signed = good.replacen(&good[8..10], "+1", 1);

        for bad in ["", "sha-256", &good[..good.len() - 3], &format!("{good}:00"), &format!("{good} x"), &sha1, &signed] {
            assert_eq!(Fingerprint::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn credentials_are_letters_and_the_password_is_not_shown() {
        let random = std::array::from_fn(|at| at as u8 * 8 + 3);
        let credentials = IceCredentials::new(&random);

        assert_eq!((credentials.fragment().len(), credentials.password().len()), (8, 24));
        assert!(!format!("{credentials:?}").contains(credentials.password()));
        assert!(credentials.is_for_us(format!("{}:theirs", credentials.fragment()).as_bytes()));
        assert!(!credentials.is_for_us(credentials.fragment().as_bytes()));
        assert!(!credentials.is_for_us(b"theirs:ours"));
    }
}
