//! The numbers of RFC 3262: `RSeq` in a reliable provisional response, `RAck` in the PRACK that acknowledges it.

use super::text::{Malformed, is_space, is_token, trim};
use super::{HeaderError, HeaderViews};

/// What a PRACK acknowledges (RFC 3262 §7.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RAck {
    /// The `RSeq` of the response.
    pub response: u32,
    /// The number in the `CSeq` of the request that was answered.
    pub sequence: u32,
    /// Its method.
    pub method: String,
}

impl RAck {
    /// Reads `776656 1 INVITE`.
    ///
    /// # Errors
    ///
    /// When it is not two numbers and a method, or the first is 0.
    pub fn parse(value: &str) -> Result<Self, Malformed> {
        let mut words = value.split(is_space).filter(|word| !word.is_empty());
        let (Some(response), Some(sequence), Some(method), None) = (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Malformed("not two numbers and a method"));
        };
        if !is_token(method) {
            return Err(Malformed("no method"));
        }
        let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        let numbers = (number(response).filter(|number| *number > 0), number(sequence));
        let (Some(response), Some(sequence)) = numbers else { return Err(Malformed("not two numbers and a method")) };
        Ok(Self { response, sequence, method: method.to_owned() })
    }

    /// The `RAck` of a PRACK.
    ///
    /// # Errors
    ///
    /// When it is missing or malformed.
    pub fn of(headers: &rsip::Headers) -> Result<Self, HeaderError> {
        let value = headers.value("RAck").ok_or(HeaderError::Missing("RAck"))?;
        Self::parse(trim(value)).map_err(|problem| HeaderError::Malformed("RAck", problem))
    }
}

impl std::fmt::Display for RAck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.response, self.sequence, self.method)
    }
}

/// The `RSeq` of a response that wants a PRACK: it has a number, and says that it requires `100rel`.
#[must_use]
pub fn reliable_number(headers: &rsip::Headers) -> Option<u32> {
    let is_reliable = headers.require().iter().any(|tag| tag.eq_ignore_ascii_case("100rel"));
    headers.value("RSeq").filter(|_| is_reliable)?.parse().ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rack_is_two_numbers_and_a_method() {
        let read = RAck::parse("776656   1\tINVITE").unwrap();

        assert_eq!(read, RAck { response: 776_656, sequence: 1, method: "INVITE".to_owned() });
        assert_eq!(read.to_string(), "776656 1 INVITE");
        for text in
            ["", "1", "1 INVITE", "1 2", "0 1 INVITE", "4294967296 1 INVITE", "+1 1 INVITE", "1 1 IN VITE", "1 1 I(", "1 -1 A"]
        {
            assert!(RAck::parse(text).is_err(), "{text}");
        }
    }
}
