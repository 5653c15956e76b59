//! Mail addresses.

use std::{fmt, str::FromStr};

use super::text::presentable_name;

/// Whom our mails are from: `Voicemail <voicemail@example.com>`, or the address alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    name: String,
    address: lettre::Address,
}

impl Sender {
    /// From a display name (may be empty) and an address.
    ///
    /// # Errors
    ///
    /// When the address cannot be one.
    pub fn new(name: &str, address: &str) -> Result<Self, AddressError> {
        Ok(Self { name: presentable_name(name), address: parse(address)? })
    }

    /// The display name; may be empty.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> &lettre::Address {
        &self.address
    }
}

impl FromStr for Sender {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        match text.trim().strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
            Some((name, address)) => Self::new(name.trim().trim_matches('"'), address),
            None => Self::new("", text.trim()),
        }
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() { write!(f, "{}", self.address) } else { write!(f, "{} <{}>", self.name, self.address) }
    }
}

/// Reads an address that goes into SMTP commands and header fields, so nothing in it may end either.
pub(super) fn parse(text: &str) -> Result<lettre::Address, AddressError> {
    let dangerous = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | '"' | '\\' | ',' | ';');
    // RFC 5321 §4.5.3.1.3: a path has at most 256 characters, two of them the angle brackets.
    if text.len() > 254 || text.contains(dangerous) {
        return Err(AddressError);
    }
    text.parse().map_err(|_| AddressError)
}

/// A text that is no mail address. The text itself is left out: it would end up in logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no mail address; it looks like name@example.com")]
pub struct AddressError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_has_a_name_or_not() {
        for text in ["Voicemail <vm@example.com>", "vm@example.com"] {
            assert_eq!(text.parse::<Sender>().unwrap().to_string(), text);
        }
        assert_eq!("\"Voice, Mail\" <vm@localhost>".parse::<Sender>().unwrap().name(), "Voice, Mail");
    }

    #[test]
    fn nothing_in_an_address_ends_a_command() {
        for text in [
            "",
            "vm",
            "@",
            "a@b\r\nRCPT TO:<c@d.example>",
            "a@b.example>",
            "a b@c.example",
            "\"a b\"@c.example",
            "a@b.example,c@d.example",
        ] {
            assert_eq!(parse(text), Err(AddressError), "{text}");
        }
        assert_eq!(parse(&format!("{}@example.com", "a".repeat(250))), Err(AddressError));
    }
}
