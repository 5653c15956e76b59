//! Addresses with a name and parameters: From, To, Contact, Route, Diversion, History-Info, P-Asserted-Identity.

use std::fmt::{self, Display};

use super::text::{Malformed, find_outside, is_token, readable, split, take_quoted, trim, write_quoted};
use super::uri::is_plain_value;
use super::{Reason, SipUri, text};

/// A display name, a URI and header parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// The name for people, without quotes and escapes; bytes that were not UTF-8 are read as ISO 8859-1.
    pub display: Option<String>,
    /// The address.
    pub uri: SipUri,
    /// Parameters of the header, after the address.
    pub params: Params,
}

/// Parameters in the order received, names in any case; a quoted value is kept without its quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params(Vec<(String, Option<String>)>);

/// One `Diversion` (RFC 5806): a party that sent the call on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diversion {
    /// Who diverted.
    pub address: NameAddr,
    /// Why, in lower case: `no-answer`, `user-busy`, `unconditional` …
    pub reason: Option<String>,
    /// How many diversions this entry stands for.
    pub counter: Option<u32>,
    /// How many diversions the whole call may have.
    pub limit: Option<u32>,
    /// What of it may be shown, in lower case: `full`, `name`, `uri`, `off`.
    pub privacy: Option<String>,
}

/// One `History-Info` entry (RFC 7044): a target the call has had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The target.
    pub address: NameAddr,
    /// Its place in the tree of targets: `1.1`.
    pub index: Option<String>,
    /// The SIP status for which this target was given up (`Reason` in the URI).
    pub status: Option<u16>,
    /// The cause of Q.850 for which it was given up, where a gateway says so instead.
    pub q850: Option<u16>,
    /// Why the call came to this target (`cause` of RFC 4458): 302 unconditional, 408 no answer, 486 busy …
    pub cause: Option<u16>,
    /// The index of the entry that was retargeted to this one, and how: `mp`, `rc` or `np`.
    pub retargeted: Option<(String, String)>,
    /// Whether the entry is not to be shown (`Privacy` in the URI names `history`, `header`, `session`, `id` or `user`).
    pub private: bool,
}

impl NameAddr {
    /// An address without name and parameters.
    #[must_use]
    pub fn new(uri: SipUri) -> Self {
        Self { display: None, uri, params: Params::default() }
    }

    /// Reads `"Name" <uri>;params` or `uri;params`.
    ///
    /// # Errors
    ///
    /// When it is neither. Unquoted names may have any characters but a comma and a quote: phones do write `O(ffice) <sip:…>`.
    pub fn parse(value: &str) -> Result<Self, Malformed> {
        let value = trim(value);
        let (display, rest) = if value.starts_with('"') {
            let (display, rest) = take_quoted(value)?;
            let rest = rest.trim_start_matches(text::is_space);
            if !rest.starts_with('<') {
                return Err(Malformed("quoted name without <"));
            }
            (Some(display), rest)
        } else if let Some(bracket) = find_outside(value, b";<")?.filter(|&at| value.as_bytes()[at] == b'<') {
            let display = trim(&value[..bracket]);
            if display.contains([',', '"']) {
                return Err(Malformed("display name needs quotes"));
            }
            (Some(display.to_owned()), &value[bracket..])
        } else {
            (None, value)
        };
        let (uri, params) = if let Some(inner) = rest.strip_prefix('<') {
            let (uri, params) = inner.split_once('>').ok_or(Malformed("unterminated angle bracket"))?;
            let params = trim(params);
            if !params.is_empty() && !params.starts_with(';') {
                return Err(Malformed("text after the address"));
            }
            (uri, params)
        } else {
            let end = rest.find(';').unwrap_or(rest.len());
            let (uri, params) = (trim(&rest[..end]), &rest[end..]);
            // RFC 3261 §20: such a URI must be in angle brackets, or nobody can tell whose its parts are.
            if uri.contains([',', '?']) {
                return Err(Malformed("URI needs angle brackets"));
            }
            (uri, params)
        };
        Ok(Self {
            display: display.map(|display| readable(&display)).filter(|display| !display.is_empty()),
            uri: SipUri::parse(uri)?,
            params: Params::parse(params)?,
        })
    }

    /// Reads a comma-separated list of addresses.
    ///
    /// # Errors
    ///
    /// When any of them is malformed or empty.
    pub fn parse_list(value: &str) -> Result<Vec<Self>, Malformed> {
        split(value, b',')?.into_iter().map(Self::parse).collect()
    }

    /// The `tag` parameter.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag")
    }
}

impl Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write_quoted(display, f)?;
            f.write_str(" ")?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

impl Params {
    /// Reads `;name=value;name`; spaces around the separators and empty parameters are tolerated.
    pub(super) fn parse(text: &str) -> Result<Self, Malformed> {
        let mut params = Self::default();
        for param in split(text, b';')?.into_iter().filter(|param| !param.is_empty()) {
            let (name, value) = match param.split_once('=') {
                Some((name, value)) => (trim(name), Some(trim(value))),
                None => (param, None),
            };
            if !is_token(name) {
                return Err(Malformed("parameter name"));
            }
            match value {
                Some(value) if value.starts_with('"') => match take_quoted(value)? {
                    (content, "") => params.0.push((name.to_owned(), Some(content))),
                    _ => return Err(Malformed("text after a quoted parameter")),
                },
                Some(value) if value.contains([' ', '\t', '"', '<', '>']) => return Err(Malformed("parameter value")),
                value => params.push(name, value),
            }
        }
        Ok(params)
    }

    /// The value of a parameter; `None` when it is absent or has no value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?.1.as_deref()
    }

    /// Whether the parameter is there, with or without a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// Adds a parameter at the end.
    pub fn push(&mut self, name: &str, value: Option<&str>) {
        self.0.push((name.to_owned(), value.map(ToOwned::to_owned)));
    }

    /// Gives a parameter this value, in its place or at the end.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        match self.0.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some(param) => param.1 = value.map(ToOwned::to_owned),
            None => self.push(name, value),
        }
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }
}

impl Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.iter() {
            write!(f, ";{name}")?;
            match value {
                Some(value) if is_plain_value(value) => write!(f, "={value}")?,
                Some(value) => {
                    f.write_str("=")?;
                    write_quoted(value, f)?;
                }
                None => {}
            }
        }
        Ok(())
    }
}

impl Diversion {
    /// Reads one entry.
    ///
    /// # Errors
    ///
    /// When its address is malformed.
    pub fn parse(value: &str) -> Result<Self, Malformed> {
        let address = NameAddr::parse(value)?;
        let lower = |name| address.params.get(name).map(str::to_ascii_lowercase);
        let number = |name| address.params.get(name).and_then(|number| number.parse().ok());
        Ok(Self {
            reason: lower("reason"),
            counter: number("counter"),
            limit: number("limit"),
            privacy: lower("privacy"),
            address,
        })
    }
}

impl HistoryEntry {
    /// Reads one entry.
    ///
    /// # Errors
    ///
    /// When its address is malformed.
    pub fn parse(value: &str) -> Result<Self, Malformed> {
        let address = NameAddr::parse(value)?;
        let reason = address.uri.header("Reason").unwrap_or_default();
        let reasons: Vec<Reason> = split(&reason, b',')?.into_iter().filter_map(|reason| Reason::parse(reason).ok()).collect();
        let cause_of = |protocol: &str| reasons.iter().find(|it| it.protocol.eq_ignore_ascii_case(protocol))?.cause;
        let privacy = address.uri.header("Privacy").unwrap_or_default().to_ascii_lowercase();
        Ok(Self {
            index: address.params.get("index").map(ToOwned::to_owned),
            status: cause_of("SIP"),
            q850: cause_of("Q.850"),
            cause: address.uri.params.get("cause").and_then(|cause| cause.parse().ok()),
            retargeted: ["mp", "rc", "np"]
                .into_iter()
                .find_map(|how| address.params.get(how).map(|index| (index.to_owned(), how.to_owned()))),
            private: privacy.split([';', ',', ' ']).any(|part| matches!(part, "history" | "header" | "session" | "id" | "user")),
            address,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> NameAddr {
        NameAddr::parse(text).unwrap()
    }

    #[test]
    fn names_come_quoted_bare_or_not_at_all() {
        assert_eq!(address(r#""J. \"R\" \\ <x>" <sip:a@b>;tag=1"#).display.as_deref(), Some(r#"J. "R" \ <x>"#));
        assert_eq!(address("Anna  Lee (office) <sip:a@b>").display.as_deref(), Some("Anna  Lee (office)"));
        assert_eq!(address("caller<sip:a@b>").display.as_deref(), Some("caller"));
        assert_eq!(address("\"\" <sip:a@b>").display, None);
        assert_eq!(address(&text::from_bytes(b"J\xF6rg <sip:a@b>")).display.as_deref(), Some("Jörg"));
    }

    #[test]
    fn parameters_after_a_bare_uri_belong_to_the_header() {
        let address = address("sip:a@b;tag=9;x");

        assert_eq!(address.tag(), Some("9"));
        assert!(!address.uri.params.has("tag"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "\"\" <>",
            "Bell, Alexander <sip:a@b>",
            "\"Mr. J <sip:a@b>",
            "\"x\" sip:a@b",
            "<sip:a@b> x",
            "<sip:a@b",
            "< sip:a@b>",
            "sip:a@b?Route=%3Csip:c%3E",
            "<sip:a@b>;=1",
            "<sip:a@b>;a=\"b\"c",
            "<sip:a@b>;a b",
        ] {
            assert!(NameAddr::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_is_written_so_that_it_reads_the_same() {
        for text in [
            r#""J. \"R\" \\" <sip:a@b;lr?x=y>;tag=1;q=0.5;z="a;b";flag"#,
            "<tel:+1;phone-context=x>;received=2001:db8::1;empty=\"\"",
        ] {
            assert_eq!(address(text).to_string(), text);
        }
    }

    #[test]
    fn a_diversion_has_reason_counter_and_privacy() {
        let diversion = Diversion::parse("\"Bob\" <sip:6001@pbx>;Reason=No-Answer;counter=2;limit=5;privacy=\"off\"").unwrap();

        assert_eq!(diversion.reason.as_deref(), Some("no-answer"));
        assert_eq!((diversion.counter, diversion.limit), (Some(2), Some(5)));
        assert_eq!(diversion.privacy.as_deref(), Some("off"));
        assert_eq!(diversion.address.uri.user_text().as_deref(), Some("6001"));
    }

    #[test]
    fn a_history_entry_says_why_the_target_was_left_and_reached() {
        let left = "<sip:bob@b.example?Reason=SIP%3Bcause%3D302%3Btext%3D%22Moved%22&Privacy=history>;index=1.1;rc=1";
        let reached = "<sip:vm@b.example;target=sip:bob%40b.example;cause=486>;index=1.2;mp=1.1";

        let left = HistoryEntry::parse(left).unwrap();
        let reached = HistoryEntry::parse(reached).unwrap();

        assert_eq!((left.status, left.cause, left.private), (Some(302), None, true));
        assert_eq!(left.index.as_deref(), Some("1.1"));
        assert_eq!((reached.status, reached.cause, reached.private), (None, Some(486), false));
        assert_eq!(reached.retargeted, Some(("1.1".to_owned(), "mp".to_owned())));
    }
}
