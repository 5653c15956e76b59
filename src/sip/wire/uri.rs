//! URIs: `sip:`, `sips:` and `tel:` taken apart, others kept as they are.

use std::fmt::{self, Display};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::super::flow::Transport;
use super::text::{Malformed, is_token_byte, percent_decode, percent_encode, readable};
use super::{Params, write};

/// A URI as it stands in a request line or a header. Parts are kept escaped, as received; methods read them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipUri {
    /// What kind of URI.
    pub scheme: Scheme,
    /// The user part; the number of a `tel:` URI; everything after the colon for [`Scheme::Other`].
    pub user: Option<String>,
    /// The password, that nobody should use.
    pub password: Option<String>,
    /// Absent in `tel:` and other schemes.
    pub host: Option<Host>,
    /// The port, if it is given.
    pub port: Option<u16>,
    /// Parameters after the host or the telephone number.
    pub params: Params,
    /// Headers after `?`, escaped.
    pub headers: Vec<(String, String)>,
}

/// The scheme of a URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:` (RFC 3966)
    Tel,
    /// Something else, in lower case.
    Other(String),
}

/// A host: a name, or an address (IPv6 in brackets on the wire).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A domain or machine name.
    Name(String),
    /// An address literal.
    Ip(IpAddr),
}

impl SipUri {
    /// A `sip:` URI of a user (escaped as needed) at a host.
    #[must_use]
    pub fn sip(user: Option<&str>, host: Host, port: Option<u16>) -> Self {
        Self {
            scheme: Scheme::Sip,
            user: user.map(percent_encode),
            password: None,
            host: Some(host),
            port,
            params: Params::default(),
            headers: Vec::new(),
        }
    }

    /// A `sip:` URI of a user at a socket address.
    #[must_use]
    pub fn at(user: Option<&str>, address: SocketAddr) -> Self {
        Self::sip(user, Host::Ip(address.ip()), Some(address.port()))
    }

    /// Reads a URI. Nothing but the URI may be in the text.
    ///
    /// # Errors
    ///
    /// When the text is no URI, or a `sip:` or `sips:` URI whose parts cannot be told apart with certainty.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.contains(|c: char| c.is_ascii_control() || matches!(c, ' ' | '<' | '>' | '"')) {
            return Err(Malformed("character not allowed in a URI"));
        }
        let (scheme, rest) = text.split_once(':').ok_or(Malformed("URI without a scheme"))?;
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            || !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        {
            return Err(Malformed("URI scheme"));
        }
        match scheme.to_ascii_lowercase().as_str() {
            "sip" => Self::parse_sip(Scheme::Sip, rest),
            "sips" => Self::parse_sip(Scheme::Sips, rest),
            "tel" => Self::parse_tel(rest),
            other => Ok(Self { user: Some(rest.to_owned()), ..Self::empty(Scheme::Other(other.to_owned())) }),
        }
    }

    fn parse_sip(scheme: Scheme, rest: &str) -> Result<Self, Malformed> {
        let (user_info, rest) = match rest.split_once('@') {
            Some((user_info, rest)) => (Some(user_info), rest),
            None => (None, rest),
        };
        let (user, password) = match user_info.map(|info| info.split_once(':').unwrap_or((info, ""))) {
            Some(("", _)) => return Err(Malformed("URI with an empty user")),
            Some((user, _)) => {
                let password = user_info.and_then(|info| info.split_once(':')).map(|(_, password)| password.to_owned());
                (Some(user.to_owned()), password)
            }
            None => (None, None),
        };
        let (rest, headers) = match rest.split_once('?') {
            Some((rest, headers)) => (rest, parse_headers(headers)),
            None => (rest, Vec::new()),
        };
        if rest.contains('@') {
            return Err(Malformed("URI with two @"));
        }
        let (host_port, params) = rest.split_once(';').unwrap_or((rest, ""));
        let (host, port) = Host::parse_with_port(host_port)?;
        Ok(Self { scheme, user, password, host: Some(host), port, params: parse_params(params)?, headers })
    }

    fn parse_tel(rest: &str) -> Result<Self, Malformed> {
        let (number, params) = rest.split_once(';').unwrap_or((rest, ""));
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_hexdigit() || b"+-.()*#%".contains(&byte)) {
            return Err(Malformed("telephone number"));
        }
        Ok(Self { user: Some(number.to_owned()), params: parse_params(params)?, ..Self::empty(Scheme::Tel) })
    }

    fn empty(scheme: Scheme) -> Self {
        Self { scheme, user: None, password: None, host: None, port: None, params: Params::default(), headers: Vec::new() }
    }

    /// The user part without escapes and without its own parameters: `6001` of `sip:6001;phone-context=x@host`. A telephone
    /// number, in a `tel:` URI or with `user=phone`, also without visual separators. Nothing else is interpreted.
    #[must_use]
    pub fn user_text(&self) -> Option<String> {
        let user = self.user.as_deref()?;
        let text = readable(&percent_decode(user.split(';').next().unwrap_or(user)));
        match self.scheme {
            Scheme::Tel => Some(without_separators(&text)),
            Scheme::Sip | Scheme::Sips if self.is_telephone_number(&text) => Some(without_separators(&text)),
            Scheme::Sip | Scheme::Sips => Some(text),
            Scheme::Other(_) => None,
        }
    }

    /// Where a telephone number is valid that is not valid everywhere (RFC 3966 §5.1.5): a domain, or a plus and the digits before
    /// it, without visual separators. In a `sip:` URI it stands in the user part.
    #[must_use]
    pub fn phone_context(&self) -> Option<String> {
        let context = percent_decode(self.number_param("phone-context")?);
        Some(if context.starts_with('+') { without_separators(&context) } else { context })
    }

    /// What a carrier has found out about the number's signature (3GPP TS 24.229 §7.2A.20), like `TN-Validation-Passed`.
    #[must_use]
    pub fn verstat(&self) -> Option<String> {
        self.number_param("verstat").map(percent_decode)
    }

    /// A parameter of a telephone number, which in a `sip:` URI stands in the user part.
    fn number_param(&self, name: &str) -> Option<&str> {
        let in_user = || {
            let mut parts = self.user.as_deref()?.split(';').skip(1).filter_map(|part| part.split_once('='));
            parts.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        match self.scheme {
            Scheme::Tel => self.params.get(name),
            Scheme::Sip | Scheme::Sips => in_user(),
            Scheme::Other(_) => None,
        }
    }

    /// Not everything that a gateway marks `user=phone` is a number: `anonymous` is not.
    fn is_telephone_number(&self, user: &str) -> bool {
        let is_marked = self.params.get("user").is_some_and(|kind| kind.eq_ignore_ascii_case("phone"));
        is_marked && user.bytes().all(|byte| byte.is_ascii_digit() || b"+-.()*#".contains(&byte))
    }

    /// The host in lower case; empty where there is none.
    #[must_use]
    pub fn host_text(&self) -> String {
        self.host.as_ref().map(|host| host.to_string().to_ascii_lowercase()).unwrap_or_default()
    }

    /// The value of a header after `?`, without escapes; the name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(known, _)| percent_decode(known).eq_ignore_ascii_case(name))?;
        Some(percent_decode(value))
    }

    /// The address and port when the host is an address; the port of the scheme when none is given.
    #[must_use]
    pub fn socket_address(&self) -> Option<SocketAddr> {
        match self.host {
            Some(Host::Ip(address)) => Some(SocketAddr::new(address, self.port.unwrap_or(self.transport().default_port()))),
            Some(Host::Name(_)) | None => None,
        }
    }

    /// What the URI is to be reached over: `sips:` is TLS always, or WebSocket over it; `sip:` is what its `transport` parameter
    /// says, or UDP. (RFC 3261 §19.1.2, §26.2.2; RFC 7118 §4.1)
    #[must_use]
    pub fn transport(&self) -> Transport {
        let said = self.params.get("transport").map(str::to_ascii_lowercase);
        match (&self.scheme, said.as_deref()) {
            (Scheme::Sips, Some("ws" | "wss")) | (_, Some("wss")) => Transport::Wss,
            (Scheme::Sips, _) | (_, Some("tls")) => Transport::Tls,
            (_, Some("tcp")) => Transport::Tcp,
            (_, Some("ws")) => Transport::Ws,
            _ => Transport::Udp,
        }
    }
}

/// Leaves out what RFC 3966 lets people write into a number to read it better.
fn without_separators(number: &str) -> String {
    number.replace(['-', '.', '(', ')'], "")
}

fn parse_headers(text: &str) -> Vec<(String, String)> {
    let pair = |header: &str| header.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    text.split('&').filter(|header| !header.is_empty()).map(|h| pair(h).unwrap_or((h.to_owned(), String::new()))).collect()
}

fn parse_params(text: &str) -> Result<Params, Malformed> {
    let mut params = Params::default();
    for param in text.split(';').filter(|param| !param.is_empty()) {
        match param.split_once('=') {
            Some(("", _)) => return Err(Malformed("URI parameter without a name")),
            Some((name, value)) => params.push(name, Some(value)),
            None => params.push(param, None),
        }
    }
    Ok(params)
}

impl Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme)?;
        if let Some(user) = &self.user {
            f.write_str(user)?;
        }
        if let Some(password) = &self.password {
            write!(f, ":{password}")?;
        }
        if let Some(host) = &self.host {
            f.write_str(if self.user.is_some() { "@" } else { "" })?;
            write!(f, "{host}")?;
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        for (name, value) in self.params.iter() {
            write!(f, ";{name}")?;
            if let Some(value) = value {
                write!(f, "={value}")?;
            }
        }
        for (index, (name, value)) in self.headers.iter().enumerate() {
            write!(f, "{}{name}={value}", if index == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

impl FromStr for SipUri {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::parse(text)
    }
}

impl Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sip => "sip",
            Self::Sips => "sips",
            Self::Tel => "tel",
            Self::Other(other) => other,
        })
    }
}

impl Host {
    /// Reads a host name, an IPv4 address or an IPv6 address in brackets.
    ///
    /// # Errors
    ///
    /// When it is none of these.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            // RFC 3261's grammar itself made some write three colons before an embedded IPv4 address (RFC 5118 §4.10).
            let address = inner.parse().or_else(|_| inner.replacen(":::", "::", 1).parse::<Ipv6Addr>());
            return address.map(|address| Self::Ip(address.into())).map_err(|_| Malformed("IPv6 address"));
        }
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
            return Err(Malformed("host name"));
        }
        Ok(text.parse().map_or_else(|_| Self::Name(text.to_owned()), |address| Self::Ip(IpAddr::V4(address))))
    }

    /// Reads `host` or `host:port`.
    ///
    /// # Errors
    ///
    /// When either is not what it should be. An IPv6 address without brackets is not guessed at.
    pub(super) fn parse_with_port(text: &str) -> Result<(Self, Option<u16>), Malformed> {
        let brackets = text.rfind(']').unwrap_or(0);
        let Some(colon) = text[brackets..].find(':').map(|at| brackets + at) else {
            return Ok((Self::parse(text)?, None));
        };
        let port = text[colon + 1..].trim_start_matches(super::text::is_space);
        if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Malformed("port"));
        }
        let port = port.parse().map_err(|_| Malformed("port"))?;
        Ok((Self::parse(text[..colon].trim_end_matches(super::text::is_space))?, Some(port)))
    }

    /// The address, when it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Name(_) => None,
        }
    }
}

impl Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self::Ip(address)
    }
}

/// Headers are left out: `rsip` cannot hold them, and a Request-URI must not have any (RFC 3261 §19.1.1).
impl From<&SipUri> for rsip::Uri {
    fn from(uri: &SipUri) -> Self {
        let host = match &uri.host {
            Some(Host::Name(name)) => rsip::Host::Domain(name.as_str().into()),
            Some(Host::Ip(address)) => rsip::Host::IpAddr(*address),
            None => rsip::Host::Domain("".into()),
        };
        Self {
            scheme: Some(match &uri.scheme {
                Scheme::Sip => rsip::Scheme::Sip,
                Scheme::Sips => rsip::Scheme::Sips,
                other => rsip::Scheme::Other(other.to_string()),
            }),
            auth: uri.user.as_ref().map(|user| rsip::Auth { user: user.clone(), password: uri.password.clone() }),
            host_with_port: rsip::HostWithPort { host, port: uri.port.map(Into::into) },
            params: uri.params.iter().map(|(name, value)| exact_param(name, value)).collect(),
            headers: Vec::new(),
        }
    }
}

/// The named kind of parameter when it says the same as the text, the general kind otherwise (`transport=SNMP`).
fn exact_param(name: &str, value: Option<&str>) -> rsip::Param {
    let text = write::param_text(name, value);
    rsip::Param::try_from((name, value))
        .ok()
        .filter(|param| param.to_string() == text)
        .unwrap_or_else(|| rsip::Param::Other(name.into(), value.map(Into::into)))
}

impl From<&rsip::Uri> for SipUri {
    fn from(uri: &rsip::Uri) -> Self {
        let mut params = Params::default();
        for param in &uri.params {
            let text = param.to_string();
            let text = text.strip_prefix(';').unwrap_or(&text);
            match text.split_once('=') {
                Some((name, value)) => params.push(name, Some(value)),
                None => params.push(text, None),
            }
        }
        Self {
            scheme: match &uri.scheme {
                None | Some(rsip::Scheme::Sip) => Scheme::Sip,
                Some(rsip::Scheme::Sips) => Scheme::Sips,
                Some(rsip::Scheme::Other(other)) if other.eq_ignore_ascii_case("tel") => Scheme::Tel,
                Some(rsip::Scheme::Other(other)) => Scheme::Other(other.clone()),
            },
            user: uri.auth.as_ref().map(|auth| auth.user.clone()),
            password: uri.auth.as_ref().and_then(|auth| auth.password.clone()),
            host: match &uri.host_with_port.host {
                rsip::Host::Domain(domain) if domain.to_string().is_empty() => None,
                rsip::Host::Domain(domain) => Some(Host::Name(domain.to_string())),
                rsip::Host::IpAddr(address) => Some(Host::Ip(*address)),
            },
            port: uri.host_with_port.port.map(Into::into),
            params,
            headers: Vec::new(),
        }
    }
}

/// Whether the text can stand in a parameter without quotes: a token or a host.
pub(super) fn is_plain_value(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| is_token_byte(byte) || b"[]:".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> SipUri {
        SipUri::parse(text).unwrap()
    }

    #[test]
    fn a_full_uri_is_taken_apart_and_written_again() {
        let text = "sip:al%69ce;day=tuesday:secret@example.com:5070;transport=tcp;lr?Subject=a%20b&x=";

        let uri = uri(text);

        assert_eq!(uri.user.as_deref(), Some("al%69ce;day=tuesday"));
        assert_eq!(uri.user_text().as_deref(), Some("alice"));
        assert_eq!(uri.password.as_deref(), Some("secret"));
        assert_eq!(uri.host, Some(Host::Name("example.com".to_owned())));
        assert_eq!(uri.port, Some(5070));
        assert_eq!(uri.params.get("TRANSPORT"), Some("tcp"));
        assert!(uri.params.has("lr"));
        assert_eq!(uri.header("subject").as_deref(), Some("a b"));
        assert_eq!(uri.to_string(), text);
    }

    #[test]
    fn ipv6_needs_brackets() {
        assert_eq!(uri("sip:[2001:db8::10]:5070").socket_address(), Some("[2001:db8::10]:5070".parse().unwrap()));
        assert_eq!(uri("sip:[2001:db8::10:5070]").port, None);
        assert_eq!(uri("sip:u@[2001:db8:::192.0.2.1]").to_string(), "sip:u@[2001:db8::c000:201]");
        assert!(SipUri::parse("sip:2001:db8::10").is_err());
        assert!(SipUri::parse("sip:[2001:db8::10").is_err());
        assert!(SipUri::parse("sip:[192.0.2.1]").is_err());
    }

    #[test]
    fn a_telephone_uri_has_a_number_and_no_host() {
        let uri = uri("tel:+1-201-555-0123;phone-context=example.com");

        assert_eq!(uri.user_text().as_deref(), Some("+12015550123"));
        assert_eq!(uri.params.get("phone-context"), Some("example.com"));
        assert_eq!(uri.host, None);
        assert_eq!(uri.to_string(), "tel:+1-201-555-0123;phone-context=example.com");
    }

    #[test]
    fn a_number_marked_as_one_loses_its_visual_separators() {
        assert_eq!(uri("sip:+1-201-555-0123@gw;user=phone").user_text().as_deref(), Some("+12015550123"));
        assert_eq!(uri("sip:mary.jones@gw;user=phone").user_text().as_deref(), Some("mary.jones"));
        assert_eq!(uri("sip:20.1-5@gw").user_text().as_deref(), Some("20.1-5"));
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        for text in [
            "",
            "sip:",
            "sip",
            "sip:@host",
            "sip:a@",
            "sip:a@b@c",
            "sip:a b@c",
            "<sip:a@b>",
            "sip:a@b:",
            "sip:a@b:70000",
            "sip:a@b:5o",
            "sip:a@[::1",
            "sip:a@b;=x",
            "tel:",
            "tel:x",
            "1ip:a@b",
            "sip:a@b\u{0}",
        ] {
            assert!(SipUri::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn other_schemes_are_kept_as_they_are() {
        let uri = uri("nobodyKnows:a@b;c?d=e");

        assert_eq!(uri.scheme, Scheme::Other("nobodyknows".to_owned()));
        assert_eq!(uri.to_string(), "nobodyknows:a@b;c?d=e");
    }

    #[test]
    fn rsips_type_holds_what_a_request_line_can_say() {
        for text in [
            "sip:alice@example.com",
            "sips:alice:pw@[2001:db8::1]:5061;transport=SNMP;lr;maddr=192.0.2.1;x=",
            "sip:example.com;method=INVITE;LR",
            "tel:+12015550123;phone-context=+1",
            "soap.beep://192.0.2.103:3002",
        ] {
            assert_eq!(SipUri::from(&rsip::Uri::from(&uri(text))), uri(text));
        }
    }

    #[test]
    fn a_user_is_escaped_when_made() {
        let uri = SipUri::at(Some("*98 #"), "192.0.2.1:5060".parse().unwrap());

        assert_eq!(uri.to_string(), "sip:*98%20%23@192.0.2.1:5060");
    }
}
