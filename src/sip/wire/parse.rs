//! Bytes to a message.

use std::borrow::Cow;

use rsip::{Headers, Method, Request, Response, StatusCode, Version};

use super::text::{from_bytes, is_token_byte};
use super::{HeaderViews, MAX_HEADERS, MAX_MESSAGE, Refusal, SipUri, header};

/// A message on `rsip`'s types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A request; a `tel:` or unknown Request-URI is read with `SipUri::from(&request.uri)`.
    Request(Request),
    /// A response.
    Response(Response),
}

/// Why bytes did not become a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// Nobody is owed an answer: no SIP, a keep-alive, a broken response or ACK, or no `Via` to answer along. Says why.
    Ignore(&'static str),
    /// A request that is owed a refusal: `refusal.response(&headers, …)`, sent to where the bytes came from.
    Refuse {
        /// What is owed.
        refusal: Refusal,
        /// Whatever headers could be read, for the response to echo.
        headers: Headers,
    },
}

/// Reads one message: a datagram, or a frame of a TCP stream.
///
/// Line ends before the start-line are skipped, and bytes after the body that `Content-Length` announces are ignored.
/// Only what cannot be represented is rejected; see [`validate`](super::validate) for the rest.
///
/// # Errors
///
/// See [`Rejected`].
pub fn parse(datagram: &[u8]) -> Result<Message, Rejected> {
    let start = datagram.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).ok_or(Rejected::Ignore("keep-alive"))?;
    let bytes = &datagram[start..];
    if bytes.len() > MAX_MESSAGE {
        return Err(Rejected::Ignore("larger than a datagram can be"));
    }
    if !is_token_byte(bytes[0]) {
        return Err(Rejected::Ignore("not SIP"));
    }
    let head = Head::read(bytes);
    if head.start_line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/")) {
        read_response(head)
    } else {
        read_request(head)
    }
}

fn read_response(head: Head) -> Result<Message, Rejected> {
    if head.fault.is_some() {
        return Err(Rejected::Ignore("malformed response"));
    }
    let status_code = status_line(head.start_line).ok_or(Rejected::Ignore("malformed status line"))?;
    Ok(Message::Response(Response { status_code, version: Version::V2, headers: head.headers, body: head.body.to_vec() }))
}

fn read_request(head: Head) -> Result<Message, Rejected> {
    let refusal = match (request_line(head.start_line), head.fault) {
        (Ok((_, uri)), None) if !uri.headers.is_empty() => Refusal::Malformed("Request-URI with headers".into()),
        (Ok((method, uri)), None) => {
            let (headers, body) = (head.headers, head.body.to_vec());
            return Ok(Message::Request(Request { method, uri: (&uri).into(), version: Version::V2, headers, body }));
        }
        (Err(Refusal::MethodNotAllowed), None) if !is_cseq_of(head.start_line, &head.headers) => {
            Refusal::Malformed("CSeq method is not the request's".into())
        }
        // An unknown method or version says more than a malformed header does.
        (Err(refusal @ (Refusal::MethodNotAllowed | Refusal::VersionNotSupported)), _) => refusal,
        (_, Some(fault)) => fault,
        (Err(refusal), None) => refusal,
    };
    if head.start_line.starts_with(b"ACK ") {
        return Err(Rejected::Ignore("malformed ACK"));
    }
    if head.headers.value("Via").is_none() {
        return Err(Rejected::Ignore("no Via to answer along"));
    }
    Err(Rejected::Refuse { refusal, headers: head.headers })
}

/// A message in parts; what is wrong with it is remembered, so that as much as possible can be echoed.
struct Head<'a> {
    start_line: &'a [u8],
    headers: Headers,
    body: &'a [u8],
    fault: Option<Refusal>,
}

impl<'a> Head<'a> {
    fn read(bytes: &'a [u8]) -> Self {
        let (head, rest) = match find_head_end(bytes, 0) {
            Some(end) => (&bytes[..end], Some(&bytes[end..])),
            None => (bytes, None),
        };
        let mut lines = Lines::of(head);
        let start_line = lines.next_raw().unwrap_or_default();
        let mut headers = Vec::with_capacity(24);
        let mut fault = rest.is_none().then_some(Refusal::Malformed("No empty line after the headers".into()));
        if !is_clean(start_line) {
            fault.get_or_insert(Refusal::Malformed("Malformed start line".into()));
        }
        let mut declared = None;
        for (index, field) in lines.enumerate() {
            let Some((name, value)) = field else {
                fault.get_or_insert(Refusal::Malformed("Malformed header line".into()));
                continue;
            };
            if index >= MAX_HEADERS {
                fault.get_or_insert(Refusal::Malformed("Too many headers".into()));
                break;
            }
            if is_content_length(name) {
                let length = if declared.is_some() { Err(BadLength::Repeated) } else { content_length(&value) };
                match length {
                    Ok(length) => declared = Some(length),
                    Err(problem) => _ = fault.get_or_insert(problem.refusal()),
                }
                continue;
            }
            let name = std::str::from_utf8(name).expect("a token is ASCII");
            headers.push(header::header(name, from_bytes(&value)));
        }
        let rest = rest.unwrap_or_default();
        let body = match declared {
            Some(length) if length > rest.len() && bytes.len() - rest.len() + length > MAX_MESSAGE => {
                fault.get_or_insert(Refusal::TooLarge);
                rest
            }
            Some(length) if length > rest.len() => {
                fault.get_or_insert(Refusal::Malformed("Body shorter than Content-Length".into()));
                rest
            }
            Some(length) => &rest[..length],
            None => rest,
        };
        Self { start_line, headers: headers.into(), body, fault }
    }
}

fn request_line(line: &[u8]) -> Result<(Method, SipUri), Refusal> {
    let malformed = || Refusal::Malformed("Malformed request line".into());
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(uri), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(malformed());
    };
    if method.is_empty() || !method.iter().copied().all(is_token_byte) {
        return Err(malformed());
    }
    let is_version = version.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/"))
        && version[4..].iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
        && version.len() > 4;
    if !is_version {
        return Err(malformed());
    }
    if &version[4..] != b"2.0" {
        return Err(Refusal::VersionNotSupported);
    }
    let uri =
        SipUri::parse(&from_bytes(uri)).map_err(|problem| Refusal::Malformed(format!("Malformed Request-URI: {problem}")))?;
    let method = known_method(method).ok_or(Refusal::MethodNotAllowed)?;
    Ok((method, uri))
}

/// Methods are compared letter by letter (RFC 3261 §7.1). Those that `rsip` has no word for are none that we allow; they are
/// refused with 405 rather than 501, because `Allow` then tells the sender more.
fn known_method(name: &[u8]) -> Option<Method> {
    METHODS.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, method)| *method)
}

const METHODS: [(&str, Method); 14] = [
    ("INVITE", Method::Invite),
    ("ACK", Method::Ack),
    ("BYE", Method::Bye),
    ("CANCEL", Method::Cancel),
    ("OPTIONS", Method::Options),
    ("REGISTER", Method::Register),
    ("INFO", Method::Info),
    ("SUBSCRIBE", Method::Subscribe),
    ("NOTIFY", Method::Notify),
    ("UPDATE", Method::Update),
    ("PRACK", Method::PRack),
    ("MESSAGE", Method::Message),
    ("REFER", Method::Refer),
    ("PUBLISH", Method::Publish),
];

/// Whether `CSeq` repeats the method of the request line.
fn is_cseq_of(request_line: &[u8], headers: &Headers) -> bool {
    headers.cseq().is_ok_and(|cseq| request_line.split(|byte| *byte == b' ').next() == Some(cseq.method.as_bytes()))
}

fn status_line(line: &[u8]) -> Option<StatusCode> {
    let rest = line.get(4..)?.strip_prefix(b"2.0 ")?;
    // The space before an empty reason phrase is often forgotten.
    let (code, reason) = match rest.split_at_checked(3)? {
        (code, [b' ', reason @ ..]) => (code, reason),
        (code, []) => (code, &[][..]),
        _ => return None,
    };
    let code = std::str::from_utf8(code).ok().filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()))?;
    let code = code.parse::<u16>().ok().filter(|code| (100..700).contains(code))?;
    Some(match StatusCode::from(code) {
        StatusCode::Other(code, _) => StatusCode::Other(code, from_bytes(reason)),
        known => known,
    })
}

/// Where the body begins: after the first empty line. `from` is where nothing ended before.
pub(super) fn find_head_end(bytes: &[u8], from: usize) -> Option<usize> {
    bytes.get(from..)?.windows(4).position(|window| window == b"\r\n\r\n").map(|at| from + at + 4)
}

/// What `Content-Length` among the header lines announces, for the framing of a stream.
///
/// # Errors
///
/// When it cannot be believed.
pub(super) fn declared_length(head: &[u8]) -> Result<Option<usize>, BadLength> {
    let mut lines = Lines::of(head);
    lines.next_raw();
    let mut declared = None;
    for (_, value) in lines.flatten().filter(|(name, _)| is_content_length(name)) {
        if declared.is_some() {
            return Err(BadLength::Repeated);
        }
        declared = Some(content_length(&value)?);
    }
    Ok(declared)
}

/// Whether a header of that long name is among the lines.
pub(super) fn has_header(head: &[u8], long_name: &str) -> bool {
    let mut lines = Lines::of(head);
    lines.next_raw();
    lines
        .flatten()
        .any(|(name, _)| std::str::from_utf8(name).is_ok_and(|name| header::long_name(name).eq_ignore_ascii_case(long_name)))
}

/// Why a `Content-Length` cannot be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadLength {
    Malformed,
    Repeated,
    TooLarge,
}

impl BadLength {
    fn refusal(self) -> Refusal {
        match self {
            Self::Malformed => Refusal::Malformed("Malformed Content-Length header".into()),
            Self::Repeated => Refusal::Malformed("More than one Content-Length header".into()),
            Self::TooLarge => Refusal::TooLarge,
        }
    }
}

fn is_content_length(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"Content-Length") || name.eq_ignore_ascii_case(b"l")
}

fn content_length(value: &[u8]) -> Result<usize, BadLength> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(BadLength::Malformed);
    }
    let length = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
    length.filter(|length| *length <= MAX_MESSAGE).ok_or(BadLength::TooLarge)
}

/// Header lines with their continuation lines joined: name and value, or `None` for what is no header line.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Lines<'a> {
    fn of(head: &'a [u8]) -> Self {
        Self { rest: head }
    }

    /// The next line as it is.
    fn next_raw(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() || self.rest == b"\r\n" {
            return None;
        }
        let end = self.rest.windows(2).position(|window| window == b"\r\n");
        let line = &self.rest[..end.unwrap_or(self.rest.len())];
        self.rest = &self.rest[end.map_or(self.rest.len(), |end| end + 2)..];
        Some(line)
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Option<(&'a [u8], Cow<'a, [u8]>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.next_raw()?;
        let mut name_and_value = line
            .iter()
            .position(|byte| *byte == b':')
            .map(|colon| (line[..colon].trim_ascii_end(), Cow::Borrowed(trim(&line[colon + 1..]))));
        let mut is_clean = is_clean(line);
        while let [b' ' | b'\t', ..] = self.rest {
            let Some(continuation) = self.next_raw() else { break };
            is_clean &= self::is_clean(continuation);
            if let Some((_, value)) = &mut name_and_value {
                let more = trim(continuation);
                if !more.is_empty() {
                    let value = value.to_mut();
                    value.extend((!value.is_empty()).then_some(b' '));
                    value.extend_from_slice(more);
                }
            }
        }
        let is_name = |name: &[u8]| !name.is_empty() && name.iter().copied().all(is_token_byte);
        Some(name_and_value.filter(|(name, _)| is_clean && is_name(name)))
    }
}

/// A lone CR or LF inside a line is what smuggled headers are made of.
fn is_clean(line: &[u8]) -> bool {
    !line.iter().any(|byte| matches!(byte, b'\r' | b'\n'))
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}
