//! Typed views over headers kept as text: hand-written, lenient in what they take.

use std::time::Duration;

use super::text::{Malformed, is_space, is_token, readable, split, trim};
use super::{Diversion, HistoryEntry, MediaType, NameAddr, RemoteParty, Via, header};

/// A header that is missing or cannot be read; its text can stand in a reason phrase.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The header is not there.
    #[error("Missing {0} header")]
    Missing(&'static str),
    /// The header is there, but is not what it should be.
    #[error("Malformed {0} header: {1}")]
    Malformed(&'static str, Malformed),
}

/// `CSeq`: the number and method of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CSeq {
    /// Below 2³¹.
    pub number: u32,
    /// The method, letter by letter.
    pub method: String,
}

impl CSeq {
    /// Reads `1 INVITE`.
    ///
    /// # Errors
    ///
    /// When it is malformed, or the number is 2³¹ or more (RFC 3261 §8.1.1.5).
    pub fn parse(value: &str) -> Result<Self, Malformed> {
        let (number, method) = value.split_once(is_space).ok_or(Malformed("no method"))?;
        let method = trim(method);
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) || !is_token(method) {
            return Err(Malformed("not a number and a method"));
        }
        let number = number.parse::<u32>().ok().filter(|number| *number < 1 << 31).ok_or(Malformed("number too large"))?;
        Ok(Self { number, method: method.to_owned() })
    }
}

impl std::fmt::Display for CSeq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}

/// Reads the headers of a message. Lists join all headers of a name and the values in each, in order.
///
/// What routing depends on is an error when it is malformed; what only informs (Diversion, History-Info, identities) is left
/// out where it cannot be read.
pub trait HeaderViews {
    /// The values of all headers of that long name, as received.
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str>;

    /// The value of the first header of that long name, as received.
    fn value<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.values(name).next()
    }

    /// The topmost `Via`.
    ///
    /// # Errors
    ///
    /// When it is missing or malformed.
    fn top_via(&self) -> Result<Via, HeaderError> {
        let value = self.value("Via").ok_or(HeaderError::Missing("Via"))?;
        let first = split(value, b',').and_then(|list| Via::parse(list.first().copied().unwrap_or_default()));
        first.map_err(|problem| HeaderError::Malformed("Via", problem))
    }

    /// All `Via` values, topmost first.
    ///
    /// # Errors
    ///
    /// When there is none or one is malformed.
    fn vias(&self) -> Result<Vec<Via>, HeaderError> {
        let vias = list(self.values("Via"), "Via", Via::parse_list)?;
        if vias.is_empty() { Err(HeaderError::Missing("Via")) } else { Ok(vias) }
    }

    /// `From`.
    ///
    /// # Errors
    ///
    /// When it is missing or malformed.
    #[expect(clippy::wrong_self_convention, reason = "From is the header's name")]
    fn from_address(&self) -> Result<NameAddr, HeaderError> {
        single(self.value("From"), "From", NameAddr::parse)
    }

    /// `To`.
    ///
    /// # Errors
    ///
    /// When it is missing or malformed.
    fn to_address(&self) -> Result<NameAddr, HeaderError> {
        single(self.value("To"), "To", NameAddr::parse)
    }

    /// `Call-ID`.
    ///
    /// # Errors
    ///
    /// When it is missing or empty.
    fn call_id(&self) -> Result<&str, HeaderError> {
        let value = self.value("Call-ID").ok_or(HeaderError::Missing("Call-ID"))?;
        if value.is_empty() || value.contains(is_space) {
            return Err(HeaderError::Malformed("Call-ID", Malformed("not one word")));
        }
        Ok(value)
    }

    /// `CSeq`.
    ///
    /// # Errors
    ///
    /// When it is missing or malformed.
    fn cseq(&self) -> Result<CSeq, HeaderError> {
        single(self.value("CSeq"), "CSeq", CSeq::parse)
    }

    /// All `Contact` addresses; none for `Contact: *` (see [`contact_is_star`](Self::contact_is_star)).
    ///
    /// # Errors
    ///
    /// When one is malformed.
    fn contacts(&self) -> Result<Vec<NameAddr>, HeaderError> {
        if self.contact_is_star() { Ok(Vec::new()) } else { list(self.values("Contact"), "Contact", NameAddr::parse_list) }
    }

    /// The first `Contact` address, if there is one.
    ///
    /// # Errors
    ///
    /// When one is malformed.
    fn contact(&self) -> Result<Option<NameAddr>, HeaderError> {
        Ok(self.contacts()?.into_iter().next())
    }

    /// Whether the only `Contact` is `*`, which removes all bindings in a REGISTER.
    fn contact_is_star(&self) -> bool {
        let mut values = self.values("Contact");
        values.next() == Some("*") && values.next().is_none()
    }

    /// `Route`, topmost first.
    ///
    /// # Errors
    ///
    /// When one is malformed.
    fn routes(&self) -> Result<Vec<NameAddr>, HeaderError> {
        list(self.values("Route"), "Route", NameAddr::parse_list)
    }

    /// `Record-Route`, topmost first.
    ///
    /// # Errors
    ///
    /// When one is malformed.
    fn record_routes(&self) -> Result<Vec<NameAddr>, HeaderError> {
        list(self.values("Record-Route"), "Record-Route", NameAddr::parse_list)
    }

    /// `Max-Forwards`, if it is given.
    ///
    /// # Errors
    ///
    /// When it is not a number from 0 to 255.
    fn max_forwards(&self) -> Result<Option<u8>, HeaderError> {
        let Some(value) = self.value("Max-Forwards") else {
            return Ok(None);
        };
        let number =
            Some(value).filter(|value| value.bytes().all(|byte| byte.is_ascii_digit())).and_then(|value| value.parse().ok());
        number.map(Some).ok_or(HeaderError::Malformed("Max-Forwards", Malformed("not a number from 0 to 255")))
    }

    /// The comma-separated tokens of all headers of that name: `Require`, `Supported`, `Allow`, `Accept-Encoding` …
    fn tokens<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        self.values(name).flat_map(|value| value.split(',')).map(trim).filter(|token| !token.is_empty()).collect()
    }

    /// Extensions that the sender insists on.
    fn require(&self) -> Vec<&str> {
        self.tokens("Require")
    }

    /// Extensions that the sender understands.
    fn supported(&self) -> Vec<&str> {
        self.tokens("Supported")
    }

    /// `Content-Type`, if it is given.
    ///
    /// # Errors
    ///
    /// When it is malformed.
    fn content_type(&self) -> Result<Option<MediaType>, HeaderError> {
        match self.value("Content-Type") {
            Some(value) => single(Some(value), "Content-Type", MediaType::parse).map(Some),
            None => Ok(None),
        }
    }

    /// `Diversion` (RFC 5806), the latest diverting party first, as the header is read.
    fn diversions(&self) -> Vec<Diversion> {
        readable_items(self.values("Diversion"), Diversion::parse)
    }

    /// `History-Info` (RFC 7044), oldest first, as the header is read.
    fn history_info(&self) -> Vec<HistoryEntry> {
        readable_items(self.values("History-Info"), HistoryEntry::parse)
    }

    /// `P-Asserted-Identity` (RFC 3325): who the network says is calling; believed from trusted peers only.
    fn asserted_identities(&self) -> Vec<NameAddr> {
        readable_items(self.values("P-Asserted-Identity"), NameAddr::parse)
    }

    /// `Remote-Party-ID`, the older way to say the same; `privacy` and `screen` are among its parameters.
    fn remote_party_ids(&self) -> Vec<RemoteParty> {
        readable_items(self.values("Remote-Party-ID"), RemoteParty::parse)
    }

    /// The parts of `Privacy` (RFC 3323) in lower case: `id`, `user`, `header`, `session`, `none`, `critical`.
    fn privacy(&self) -> Vec<String> {
        let parts = self.values("Privacy").flat_map(|value| value.split([';', ',']));
        parts.map(|part| trim(part).to_ascii_lowercase()).filter(|part| !part.is_empty()).collect()
    }

    /// `User-Agent`, or `Server` of a response, as text for people.
    fn user_agent(&self) -> Option<String> {
        self.value("User-Agent").or_else(|| self.value("Server")).map(readable)
    }

    /// `Retry-After`, without its comment and parameters.
    fn retry_after(&self) -> Option<Duration> {
        let digits = self.value("Retry-After")?.split(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok().map(Duration::from_secs)
    }
}

impl HeaderViews for rsip::Headers {
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter().map(header::name_and_value).filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

fn single<T>(value: Option<&str>, name: &'static str, parse: impl Fn(&str) -> Result<T, Malformed>) -> Result<T, HeaderError> {
    let value = value.ok_or(HeaderError::Missing(name))?;
    parse(value).map_err(|problem| HeaderError::Malformed(name, problem))
}

fn list<'a, T>(
    values: impl Iterator<Item = &'a str>,
    name: &'static str,
    parse: impl Fn(&str) -> Result<Vec<T>, Malformed>,
) -> Result<Vec<T>, HeaderError> {
    let mut all = Vec::new();
    for value in values {
        all.extend(parse(value).map_err(|problem| HeaderError::Malformed(name, problem))?);
    }
    Ok(all)
}

fn readable_items<'a, T>(values: impl Iterator<Item = &'a str>, parse: impl Fn(&str) -> Result<T, Malformed>) -> Vec<T> {
    values.flat_map(|value| split(value, b',').unwrap_or_default()).filter_map(|item| parse(item).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> rsip::Headers {
        lines.iter().map(|(name, value)| header::header(name, (*value).to_owned())).collect::<Vec<_>>().into()
    }

    #[test]
    fn comma_joined_and_repeated_headers_are_one_list() {
        let headers = headers(&[
            ("Diversion", "\"A, B\" <sip:1@x>;reason=user-busy, <sip:2@x>;reason=no-answer"),
            ("diversion", "broken, <tel:+3>"),
            ("Route", "<sip:a;lr>, <sip:b;lr>"),
            ("Route", "<sip:c;lr>"),
        ]);

        let users: Vec<_> = headers.diversions().iter().filter_map(|diversion| diversion.address.uri.user_text()).collect();

        assert_eq!(users, ["1", "2", "+3"]);
        assert_eq!(headers.routes().unwrap().len(), 3);
    }

    #[test]
    fn identities_and_privacy_are_read() {
        let headers = headers(&[
            ("P-Asserted-Identity", "\"Cullen\" <sip:f@cisco.example>, tel:+14085264000"),
            ("Privacy", "id; Critical"),
            ("Remote-Party-ID", "\"x\" <sip:9@x>;party=calling;privacy=full"),
        ]);

        assert_eq!(headers.asserted_identities().len(), 2);
        assert_eq!(headers.privacy(), ["id", "critical"]);
        assert!(headers.remote_party_ids()[0].is_private);
    }

    #[test]
    fn cseq_is_a_number_below_two_to_the_31_and_a_method() {
        assert_eq!(CSeq::parse("0009   INVITE"), Ok(CSeq { number: 9, method: "INVITE".to_owned() }));
        assert!(CSeq::parse("2147483647 ACK").is_ok());
        for text in ["2147483648 ACK", "36893488147419103232 REGISTER", "1", "INVITE", "+1 ACK", "1 A B", ""] {
            assert!(CSeq::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_star_contact_is_no_address() {
        assert!(headers(&[("m", "*")]).contact_is_star());
        assert_eq!(headers(&[("m", "*")]).contact(), Ok(None));
        assert!(headers(&[("m", "*"), ("m", "<sip:a@b>")]).contacts().is_err());
    }

    #[test]
    fn retry_after_is_read_without_its_comment() {
        assert_eq!(headers(&[("Retry-After", "120 (busy);duration=3600")]).retry_after(), Some(Duration::from_secs(120)));
        assert_eq!(headers(&[("Retry-After", "soon")]).retry_after(), None);
        assert_eq!(headers(&[]).max_forwards(), Ok(None));
        assert_eq!(headers(&[("Max-Forwards", "0068")]).max_forwards(), Ok(Some(68)));
        assert!(headers(&[("Max-Forwards", "300")]).max_forwards().is_err());
    }
}
