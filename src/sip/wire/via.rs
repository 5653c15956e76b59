//! `Via`: where a request has been, and so where its response goes.

use std::fmt::{self, Display};
use std::net::{IpAddr, SocketAddr};

use super::text::{Malformed, find_outside, is_space, is_token, split, trim};
use super::{Host, Params};

/// One `Via` value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP`, `TLS`, `WS`, `WSS`, … as received.
    pub transport: String,
    /// Sent-by host.
    pub host: Host,
    /// Sent-by port.
    pub port: Option<u16>,
    /// Parameters: `branch`, `received`, `rport`, `maddr`, …
    pub params: Params,
}

impl Via {
    /// Reads one value, `SIP/2.0/UDP host:port;branch=…`, with white space wherever the grammar lets it be.
    ///
    /// # Errors
    ///
    /// When it is malformed.
    pub fn parse(value: &str) -> Result<Self, Malformed> {
        let end = find_outside(value, b";")?.unwrap_or(value.len());
        let mut protocol = value[..end].splitn(3, '/');
        let mut next = || protocol.next().map(trim).ok_or(Malformed("protocol"));
        if !next()?.eq_ignore_ascii_case("SIP") || next()? != "2.0" {
            return Err(Malformed("protocol"));
        }
        let (transport, sent_by) = next()?.split_once(is_space).ok_or(Malformed("no sent-by"))?;
        if !is_token(transport) {
            return Err(Malformed("transport"));
        }
        let (host, port) = Host::parse_with_port(trim(sent_by))?;
        Ok(Self { transport: transport.to_owned(), host, port, params: Params::parse(&value[end..])? })
    }

    /// Reads a comma-separated list.
    ///
    /// # Errors
    ///
    /// When any value is malformed or empty.
    pub fn parse_list(value: &str) -> Result<Vec<Self>, Malformed> {
        split(value, b',')?.into_iter().map(Self::parse).collect()
    }

    /// The transaction's name; an empty one is none.
    #[must_use]
    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch").filter(|branch| !branch.is_empty())
    }

    /// Whether the response port is asked for (RFC 3581).
    #[must_use]
    pub fn wants_rport(&self) -> bool {
        self.params.has("rport")
    }

    /// The port that the request came from, once noted.
    #[must_use]
    pub fn rport(&self) -> Option<u16> {
        self.params.get("rport")?.parse().ok()
    }

    /// The address that the request came from, once noted; IPv6 with or without brackets (RFC 5118 §4.5).
    #[must_use]
    pub fn received(&self) -> Option<IpAddr> {
        self.params.get("received")?.trim_matches(['[', ']']).parse().ok()
    }
}

impl Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)
    }
}

/// Notes in the top `Via` where the request really came from, so that the response and its hops find the way back.
///
/// `received` is added when `rport` was asked for or the sent-by host is not the source's address; `rport` gets the source's
/// port where it was asked for (RFC 3261 §18.2.1, RFC 3581). A `received` that the sender wrote itself is not believed.
/// The rest of the header stays as it was, letter by letter.
pub fn note_source(headers: &mut rsip::Headers, source: SocketAddr) {
    let Some(header) = headers.iter_mut().find_map(|header| match header {
        rsip::Header::Via(via) => Some(via),
        _ => None,
    }) else {
        return;
    };
    let value = rsip::headers::UntypedHeader::value(header).to_owned();
    let end = find_outside(&value, b",").ok().flatten().unwrap_or(value.len());
    let (Ok(via), Ok(parts)) = (Via::parse(&value[..end]), split(&value[..end], b';')) else {
        return;
    };
    let is = |part: &str, name: &str| part.split('=').next().is_some_and(|known| trim(known).eq_ignore_ascii_case(name));
    let mut noted: Vec<String> = Vec::with_capacity(parts.len() + 1);
    for part in parts {
        if is(part, "rport") {
            noted.push(format!("rport={}", source.port()));
        } else if !is(part, "received") {
            noted.push(part.to_owned());
        }
    }
    if via.wants_rport() || via.host != Host::Ip(source.ip()) {
        noted.push(format!("received={}", source.ip()));
    }
    *header = format!("{}{}", noted.join(";"), &value[end..]).into();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(value: &str, source: &str) -> String {
        let mut headers = rsip::Headers::from(rsip::Header::Via(value.into()));
        note_source(&mut headers, source.parse().unwrap());
        match headers.iter().next() {
            Some(rsip::Header::Via(via)) => rsip::headers::UntypedHeader::value(via).to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn white_space_and_unknown_transports_are_fine() {
        let via = Via::parse("SIP  / 2.0  / UNKNOWN   t5.example.com : 5070   ; branch =  z9hG4bK1 ; rport").unwrap();

        assert_eq!((via.transport.as_str(), via.port, via.branch()), ("UNKNOWN", Some(5070), Some("z9hG4bK1")));
        assert!(via.wants_rport());
        assert_eq!(via.to_string(), "SIP/2.0/UNKNOWN t5.example.com:5070;branch=z9hG4bK1;rport");
    }

    #[test]
    fn received_may_have_brackets_or_not() {
        for received in ["2001:db8::9:255", "[2001:db8::9:255]"] {
            let via = Via::parse(&format!("SIP/2.0/UDP [2001:db8::9:1];received={received};branch=z9hG4bKas3")).unwrap();

            assert_eq!(via.received(), Some("2001:db8::9:255".parse().unwrap()));
            assert_eq!(via.host, Host::Ip("2001:db8::9:1".parse().unwrap()));
        }
    }

    #[test]
    fn what_is_no_via_is_refused() {
        for text in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/3.0/UDP a",
            "HTTP/2.0/UDP a",
            "SIP/2.0 a",
            "SIP/2.0/UDP a:b",
            "SIP/2.0/UDP ::1",
        ] {
            assert!(Via::parse(text).is_err(), "{text}");
        }
        assert!(Via::parse_list("SIP/2.0/UDP 192.0.2.15;;,;,,").is_err());
    }

    #[test]
    fn the_source_is_noted_where_it_is_owed() {
        assert_eq!(noted("SIP/2.0/UDP 192.0.2.1;branch=x", "192.0.2.1:5062"), "SIP/2.0/UDP 192.0.2.1;branch=x");
        assert_eq!(noted("SIP/2.0/UDP pc;branch=x", "192.0.2.1:5062"), "SIP/2.0/UDP pc;branch=x;received=192.0.2.1");
        assert_eq!(
            noted("SIP/2.0/UDP 192.0.2.1;rport;branch=x, SIP/2.0/TCP b;rport", "192.0.2.1:5062"),
            "SIP/2.0/UDP 192.0.2.1;rport=5062;branch=x;received=192.0.2.1, SIP/2.0/TCP b;rport"
        );
    }

    #[test]
    fn a_received_that_the_sender_wrote_is_not_believed() {
        assert_eq!(
            noted("SIP/2.0/UDP pc;received=198.51.100.1;rport=9", "[2001:db8::1]:5062"),
            "SIP/2.0/UDP pc;rport=5062;received=2001:db8::1"
        );
    }
}
