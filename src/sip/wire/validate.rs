//! Whether a message is one that may be worked on, and if not, the status that its sender is owed.

use rsip::{Header, Headers, Method, Request, Response, StatusCode};

use super::body::{is_optional, parts};
use super::text::trim;
use super::{HeaderError, HeaderViews, MediaType, Scheme, SipUri, reason_phrase, response_to};

/// What this server can do, said in `Allow`, `Supported` and `Accept`, and held against each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Methods that are served.
    pub methods: &'static [Method],
    /// Option tags that may be required of us.
    pub extensions: &'static [&'static str],
    /// Body types that are understood, in lower case; multipart bodies are, when their required parts are.
    pub bodies: &'static [&'static str],
}

impl Capabilities {
    /// `Allow`.
    #[must_use]
    pub fn allow(&self) -> Header {
        Header::Allow(self.methods.iter().map(Method::to_string).collect::<Vec<_>>().join(", ").into())
    }

    /// `Supported`.
    #[must_use]
    pub fn supported(&self) -> Header {
        Header::Supported(self.extensions.join(", ").into())
    }

    /// `Accept`.
    #[must_use]
    pub fn accept(&self) -> Header {
        Header::Accept(self.bodies.join(", ").into())
    }
}

/// Why a request is refused, which is to say with what status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 400, and the reason phrase says what is wrong, as RFC 3261 §21.4.1 asks.
    Malformed(String),
    /// 405 with `Allow`: a method that is not served, or not known at all.
    MethodNotAllowed,
    /// 406: the sender takes no answer that we can give.
    NotAcceptable,
    /// 413: the body is larger than any message may be.
    TooLarge,
    /// 415 with `Accept`: a body that is not understood, and must be.
    UnsupportedMediaType,
    /// 415 with `Accept-Encoding`: a body that is compressed.
    UnsupportedEncoding,
    /// 416: a Request-URI that is neither `sip:`, `sips:` nor `tel:`.
    UnsupportedScheme,
    /// 420 with `Unsupported`: extensions that the sender insists on.
    BadExtension(Vec<String>),
    /// 505: another version of SIP.
    VersionNotSupported,
}

impl Refusal {
    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::MethodNotAllowed => 405,
            Self::NotAcceptable => 406,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType | Self::UnsupportedEncoding => 415,
            Self::UnsupportedScheme => 416,
            Self::BadExtension(_) => 420,
            Self::VersionNotSupported => 505,
        }
    }

    /// The whole response, but for its `To` tag.
    #[must_use]
    pub fn response(&self, request: &Headers, capabilities: &Capabilities) -> Response {
        let (status, extra) = match self {
            Self::Malformed(problem) => (StatusCode::Other(400, problem.clone()), None),
            Self::MethodNotAllowed => (self.status().into(), Some(capabilities.allow())),
            Self::NotAcceptable | Self::UnsupportedMediaType => (self.status().into(), Some(capabilities.accept())),
            Self::UnsupportedEncoding => (self.status().into(), Some(Header::AcceptEncoding("identity".into()))),
            Self::BadExtension(extensions) => (self.status().into(), Some(Header::Unsupported(extensions.join(", ").into()))),
            Self::TooLarge | Self::UnsupportedScheme | Self::VersionNotSupported => (self.status().into(), None),
        };
        let mut response = response_to(request, status);
        response.headers.extend(extra.into_iter().collect());
        response
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(problem) => write!(f, "400 {problem}"),
            other => write!(f, "{} {}", other.status(), reason_phrase(other.status())),
        }
    }
}

impl From<HeaderError> for Refusal {
    fn from(error: HeaderError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Checks a request in the order of RFC 3261 §8.2: syntax, method, Request-URI scheme, required extensions, body.
///
/// After it, the views of `Via`, `From`, `To`, `Call-ID`, `CSeq`, `Contact`, `Route`, `Record-Route` and `Content-Type` do not
/// fail. An ACK is checked for syntax only, and whoever sent a bad one is never answered; nor does a strange body keep anyone
/// from hanging up; that of a NOTIFY is left to whoever knows its event. `Max-Forwards: 0` is fine here, since nothing is forwarded.
///
/// # Errors
///
/// The refusal owed.
pub fn validate(request: &Request, capabilities: &Capabilities) -> Result<(), Refusal> {
    let headers = &request.headers;
    check_syntax(headers)?;
    let cseq = headers.cseq()?;
    if cseq.method != request.method.to_string() {
        return Err(Refusal::Malformed("CSeq method is not the request's".into()));
    }
    if request.method == Method::Ack {
        return Ok(());
    }
    if !capabilities.methods.contains(&request.method) {
        return Err(Refusal::MethodNotAllowed);
    }
    if request.method == Method::Cancel {
        return Ok(());
    }
    if matches!(SipUri::from(&request.uri).scheme, Scheme::Other(_)) {
        return Err(Refusal::UnsupportedScheme);
    }
    let is_supported = |tag: &&str| capabilities.extensions.iter().any(|known| known.eq_ignore_ascii_case(tag));
    let unsupported: Vec<String> = headers.require().into_iter().filter(|tag| !is_supported(tag)).map(Into::into).collect();
    if !unsupported.is_empty() {
        return Err(Refusal::BadExtension(unsupported));
    }
    // What a NOTIFY may have in it depends on its event.
    if matches!(request.method, Method::Bye | Method::Notify) {
        return Ok(());
    }
    check_body(headers, &request.body, capabilities)?;
    if request.method == Method::Invite && !accepts_sdp(headers) {
        return Err(Refusal::NotAcceptable);
    }
    Ok(())
}

/// Checks the syntax of a response; a malformed one is dropped.
///
/// # Errors
///
/// What is wrong with it, for the log.
pub fn validate_response(response: &Response) -> Result<(), HeaderError> {
    let headers = &response.headers;
    headers.vias()?;
    headers.from_address()?;
    headers.to_address()?;
    headers.call_id()?;
    headers.cseq()?;
    headers.contacts()?;
    headers.record_routes()?;
    headers.content_type()?;
    Ok(())
}

fn check_syntax(headers: &Headers) -> Result<(), Refusal> {
    for name in ["From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Type"] {
        if headers.values(name).nth(1).is_some() {
            return Err(Refusal::Malformed(format!("More than one {name} header")));
        }
    }
    let vias = headers.vias()?;
    // The cookie promises a unique branch, and then there is none (RFC 4475 §3.2.1).
    if vias.first().and_then(|via| via.branch()) == Some("z9hG4bK") {
        return Err(Refusal::Malformed("Malformed Via header: branch without an identifier".into()));
    }
    headers.from_address()?;
    headers.to_address()?;
    headers.call_id()?;
    headers.cseq()?;
    headers.max_forwards()?;
    headers.contacts()?;
    headers.routes()?;
    headers.record_routes()?;
    headers.content_type()?;
    Ok(())
}

fn check_body(headers: &Headers, body: &[u8], capabilities: &Capabilities) -> Result<(), Refusal> {
    if body.is_empty() || headers.value("Content-Disposition").is_some_and(is_optional) {
        return Ok(());
    }
    if headers.tokens("Content-Encoding").iter().any(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(Refusal::UnsupportedEncoding);
    }
    let is_understood = |essence: &str| capabilities.bodies.contains(&essence);
    let is_fine = match headers.content_type()? {
        None => true,
        Some(media_type) if media_type.is_multipart() => {
            let boundary =
                media_type.params.get("boundary").ok_or(Refusal::Malformed("Multipart body without a boundary".into()))?;
            is_multipart_fine(&media_type, parts(body, boundary), is_understood)
        }
        Some(media_type) => is_understood(&media_type.essence),
    };
    if is_fine { Ok(()) } else { Err(Refusal::UnsupportedMediaType) }
}

/// One part of `multipart/alternative` must be understood; of other kinds, every part that is not optional.
fn is_multipart_fine<'a>(
    media_type: &MediaType,
    mut parts: impl Iterator<Item = (String, bool, &'a [u8])>,
    is_understood: impl Fn(&str) -> bool,
) -> bool {
    if media_type.essence == "multipart/alternative" {
        parts.any(|(essence, _, _)| is_understood(&essence))
    } else {
        parts.all(|(essence, is_required, _)| !is_required || is_understood(&essence))
    }
}

/// Without `Accept`, or with an empty one, SDP is taken (RFC 3261 §20.1).
fn accepts_sdp(headers: &Headers) -> bool {
    let ranges = headers.tokens("Accept");
    let takes = |range: &&str| {
        let range = trim(range.split(';').next().unwrap_or_default()).to_ascii_lowercase();
        matches!(range.as_str(), "application/sdp" | "application/*" | "*/*" | "multipart/mixed")
    };
    ranges.is_empty() || ranges.iter().any(takes)
}
