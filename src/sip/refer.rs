//! Whom a call can be transferred to, as an operator writes it.

use std::{fmt, str::FromStr};

use super::wire::{Scheme, SipUri};

/// A number, to be dialled wherever numbers are, or a whole URI.
#[derive(Clone, PartialEq, Eq)]
pub enum ReferTarget {
    /// 1 to 40 characters of `0-9`, `A-Z a-z`, `*`, `#`, `.`, `_`, `-`, with an optional `+` first.
    Number(String),
    /// A `sip:`, `sips:` or `tel:` URI without headers.
    Uri(SipUri),
}

/// What is wrong with a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a number, such as 100, or a SIP URI, such as sip:reception@pbx.example")]
pub struct ReferTargetError;

impl ReferTarget {
    /// The URI to be called; a number is dialled at the host of `domain`.
    #[must_use]
    pub fn uri(&self, domain: &SipUri) -> SipUri {
        match self {
            Self::Number(number) => dialled(number, domain),
            Self::Uri(uri) => uri.clone(),
        }
    }
}

/// A number dialled at the host of `domain`.
#[must_use]
pub fn dialled(number: &str, domain: &SipUri) -> SipUri {
    let mut uri = domain.clone();
    // None of the characters of a number needs an escape but the hash.
    uri.user = Some(number.replace('#', "%23"));
    if number.starts_with('+') {
        uri.params.set("user", Some("phone"));
    }
    uri
}

impl FromStr for ReferTarget {
    type Err = ReferTargetError;

    fn from_str(text: &str) -> Result<Self, ReferTargetError> {
        if text.contains(':') {
            let uri = SipUri::parse(text).map_err(|_| ReferTargetError)?;
            let is_called = matches!(uri.scheme, Scheme::Sip | Scheme::Sips | Scheme::Tel) && uri.headers.is_empty();
            return if is_called { Ok(Self::Uri(uri)) } else { Err(ReferTargetError) };
        }
        let body = text.strip_prefix('+').unwrap_or(text);
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"*#._-".contains(&byte);
        if (1..=40).contains(&body.len()) && body.bytes().all(is_fine) {
            Ok(Self::Number(text.to_owned()))
        } else {
            Err(ReferTargetError)
        }
    }
}

impl fmt::Display for ReferTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => f.write_str(number),
            Self::Uri(uri) => write!(f, "{uri}"),
        }
    }
}

/// Logs must not carry full numbers.
impl fmt::Debug for ReferTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReferTarget(…)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_dialled_at_the_domain_and_a_uri_is_called_as_it_is() {
        let domain = SipUri::parse("sip:pbx.example:5070;transport=tcp").unwrap();
        let called = |text: &str| text.parse::<ReferTarget>().unwrap().uri(&domain).to_string();

        assert_eq!(called("100"), "sip:100@pbx.example:5070;transport=tcp");
        assert_eq!(called("*0#"), "sip:*0%23@pbx.example:5070;transport=tcp");
        assert_eq!(called("+442079460123"), "sip:+442079460123@pbx.example:5070;transport=tcp;user=phone");
        assert_eq!(called("sips:reception@other.example"), "sips:reception@other.example");
        assert_eq!(called("tel:+442079460123"), "tel:+442079460123");
    }

    #[test]
    fn what_is_neither_is_refused() {
        for text in ["", "+", "1 2", "1@2", "http://x", "sip:", "sip:a@b?Route=%3Csip:c%3E", "mailto:a@b", "é", &"1".repeat(41)]
        {
            assert!(text.parse::<ReferTarget>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_number_becomes_more_than_a_user(number in "[ -~]{0,45}") {
            let Ok(target @ ReferTarget::Number(_)) = number.parse::<ReferTarget>() else { return Ok(()) };
            let uri = target.uri(&SipUri::parse("sip:pbx.example").unwrap());
            let read = SipUri::parse(&uri.to_string()).unwrap();
            prop_assert_eq!(read.host_text(), "pbx.example");
            prop_assert!(read.headers.is_empty() && read.port.is_none());
            prop_assert_eq!(read.user_text().map(|user| user.replace(['-', '.'], "")), Some(number.replace(['-', '.'], "")));
        }
    }
}
