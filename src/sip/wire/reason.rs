//! `Reason` (RFC 3326): why a request was sent, as BYE and CANCEL say it.

use std::fmt;

use rsip::Header;

use super::text::{Malformed, is_token, readable, split, trim};
use super::{HeaderViews, Params};

/// So many characters of a reason's text are kept; real ones are a few words.
const LONGEST_TEXT: usize = 120;
/// So many characters of a protocol's name are kept.
const LONGEST_PROTOCOL: usize = 16;

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Whose causes these are: `SIP`, `Q.850`, …; 16 characters at most.
    pub protocol: String,
    /// The cause: a SIP status, or a Q.850 number like 16 for a normal end.
    pub cause: Option<u16>,
    /// Words for people, 120 characters at most.
    pub text: Option<String>,
}

impl Reason {
    /// Reads `SIP;cause=200;text="Call completed elsewhere"`.
    ///
    /// # Errors
    ///
    /// When it does not begin with a protocol's name, or its parameters cannot be told apart.
    pub fn parse(value: &str) -> Result<Self, Malformed> {
        let (protocol, params) = value.split_once(';').unwrap_or((value, ""));
        let protocol = trim(protocol);
        if !is_token(protocol) {
            return Err(Malformed("no protocol"));
        }
        let params = Params::parse(params)?;
        Ok(Self {
            protocol: protocol.chars().take(LONGEST_PROTOCOL).collect(),
            cause: params.get("cause").and_then(|cause| cause.parse().ok()),
            text: params.get("text").map(|text| readable(text).chars().take(LONGEST_TEXT).collect()),
        })
    }

    /// A reason of our own: a SIP status as its cause, and words.
    #[must_use]
    pub fn sip(cause: u16, text: &str) -> Self {
        Self { protocol: "SIP".to_owned(), cause: Some(cause), text: Some(text.to_owned()) }
    }

    /// As a message carries it, with text that cannot break out of its quotes.
    #[must_use]
    pub fn header(&self) -> Header {
        let cause = self.cause.map(|cause| format!(";cause={cause}")).unwrap_or_default();
        let clean = |text: &String| text.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect::<String>();
        let text = self.text.as_ref().map(|text| format!(";text=\"{}\"", clean(text))).unwrap_or_default();
        Header::Other("Reason".to_owned(), format!("{}{cause}{text}", self.protocol))
    }

    /// The first reason of a message that can be read.
    #[must_use]
    pub fn of(headers: &rsip::Headers) -> Option<Self> {
        headers
            .values("Reason")
            .flat_map(|value| split(value, b',').unwrap_or_default())
            .find_map(|value| Self::parse(value).ok())
    }
}

/// As a log or a record shows it: `SIP 200 Call completed elsewhere`.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.protocol)?;
        if let Some(cause) = self.cause {
            write!(f, " {cause}")?;
        }
        match &self.text {
            Some(text) => write!(f, " {text}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::wire::header::header;

    #[test]
    fn a_reason_has_a_protocol_and_perhaps_a_cause_and_words() {
        let read = |text: &str| Reason::parse(text).unwrap().to_string();

        assert_eq!(read("SIP ;cause=200 ;text=\"Call completed; elsewhere\""), "SIP 200 Call completed; elsewhere");
        assert_eq!(read("Q.850;cause=16"), "Q.850 16");
        assert_eq!(read("preemption;cause=none"), "preemption");
        assert_eq!(Reason::parse(&format!("SIP;text=\"{}\"", "x".repeat(5000))).unwrap().text.unwrap().len(), LONGEST_TEXT);
        for text in ["", ";cause=1", "two words;cause=1", "SIP;text=\"open"] {
            assert!(Reason::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_reason_of_our_own_is_read_as_it_was_meant() {
        let written = |text: &str| Reason::sip(408, text).header().to_string();

        assert_eq!(written("no audio"), "Reason: SIP;cause=408;text=\"no audio\"");
        assert_eq!(written("a \"trap\"\r\n\\"), "Reason: SIP;cause=408;text=\"a trap\"");
    }

    #[test]
    fn of_several_reasons_the_first_that_can_be_read_counts() {
        let headers: rsip::Headers =
            vec![header("Reason", "?".to_owned()), header("Reason", "Q.850;cause=17;text=\"a, b\", SIP;cause=486".to_owned())]
                .into();

        assert_eq!(Reason::of(&headers).unwrap().to_string(), "Q.850 17 a, b");
        assert_eq!(Reason::of(&rsip::Headers::default()), None);
    }
}
