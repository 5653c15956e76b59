//! Bodies: their type, and finding the part of one type in a multipart body.

use super::text::{Malformed, find_outside, is_token, trim};
use super::{HeaderViews, Params};

/// Most parts of a multipart body that are looked at.
const MAX_PARTS: usize = 16;

/// A media type with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType {
    /// `type/subtype` in lower case.
    pub essence: String,
    /// Parameters, as `boundary`.
    pub params: Params,
}

impl MediaType {
    /// Reads `application/sdp;charset=x`.
    ///
    /// # Errors
    ///
    /// When it is malformed.
    pub fn parse(value: &str) -> Result<Self, Malformed> {
        let end = find_outside(value, b";")?.unwrap_or(value.len());
        let (kind, subtype) = value[..end].split_once('/').ok_or(Malformed("no subtype"))?;
        let (kind, subtype) = (trim(kind), trim(subtype));
        if !is_token(kind) || !is_token(subtype) {
            return Err(Malformed("not a media type"));
        }
        Ok(Self { essence: format!("{kind}/{subtype}").to_ascii_lowercase(), params: Params::parse(&value[end..])? })
    }

    /// Whether the body is in parts.
    #[must_use]
    pub fn is_multipart(&self) -> bool {
        self.essence.starts_with("multipart/")
    }
}

/// The body of that type: the whole one, or the first such part of a multipart body (an SDP offer beside ISUP, say).
///
/// A body without `Content-Type` is taken for `application/sdp`, which some gateways forget to say.
#[must_use]
pub fn body_of_type<'a>(headers: &rsip::Headers, body: &'a [u8], essence: &str) -> Option<&'a [u8]> {
    if body.is_empty() {
        return None;
    }
    match headers.content_type().ok()? {
        Some(media_type) if media_type.essence == essence => Some(body),
        Some(media_type) if media_type.is_multipart() => {
            let boundary = media_type.params.get("boundary")?;
            parts(body, boundary).find(|(part_type, _, _)| part_type == essence).map(|(_, _, content)| content)
        }
        Some(_) => None,
        None => (essence == "application/sdp").then_some(body),
    }
}

/// The parts of a multipart body: type in lower case, whether it must be understood, content.
pub(super) fn parts<'a>(body: &'a [u8], boundary: &str) -> impl Iterator<Item = (String, bool, &'a [u8])> {
    let delimiter = [b"--", boundary.as_bytes()].concat();
    let mut rest = after_delimiter(body, &delimiter, true).map(|(_, rest)| rest);
    std::iter::from_fn(move || {
        let part = rest?;
        let (content, next) = after_delimiter(part, &delimiter, false)?;
        rest = Some(next);
        Some(read_part(content))
    })
    .take(MAX_PARTS)
}

/// What is before the next delimiter line, and what follows that line. `None` at the end.
fn after_delimiter<'a>(bytes: &'a [u8], delimiter: &[u8], at_start: bool) -> Option<(&'a [u8], &'a [u8])> {
    let mut from = 0;
    loop {
        let at = from + bytes.get(from..)?.windows(delimiter.len()).position(|window| window == delimiter)?;
        let before = &bytes[..at];
        if (at == 0 && at_start) || before.ends_with(b"\r\n") {
            let after = &bytes[at + delimiter.len()..];
            let content = before.strip_suffix(b"\r\n").unwrap_or(before);
            let line_end = after.windows(2).position(|window| window == b"\r\n").map_or(after.len(), |end| end + 2);
            // "--" after the delimiter closes the body: its last part is complete, and nothing follows.
            let rest = if after.starts_with(b"--") { &[][..] } else { &after[line_end..] };
            return Some((content, rest));
        }
        from = at + 1;
    }
}

fn read_part(part: &[u8]) -> (String, bool, &[u8]) {
    let (head, content) = match part.windows(4).position(|window| window == b"\r\n\r\n") {
        Some(at) => (&part[..at], &part[at + 4..]),
        // A part may begin with the empty line: then it has no headers.
        None => (&[][..], part.strip_prefix(b"\r\n").unwrap_or(part)),
    };
    let mut essence = "text/plain".to_owned();
    let mut is_required = true;
    for line in String::from_utf8_lossy(head).split("\r\n") {
        let Some((name, value)) = line.split_once(':') else { continue };
        if trim(name).eq_ignore_ascii_case("Content-Type") || trim(name).eq_ignore_ascii_case("c") {
            essence = MediaType::parse(trim(value)).map(|media_type| media_type.essence).unwrap_or_default();
        } else if trim(name).eq_ignore_ascii_case("Content-Disposition") {
            is_required = !is_optional(value);
        }
    }
    (essence, is_required, content)
}

/// Whether a `Content-Disposition` says that the body need not be understood.
pub(super) fn is_optional(disposition: &str) -> bool {
    let params = disposition.find(';').map_or("", |at| &disposition[at..]);
    Params::parse(params)
        .is_ok_and(|params| params.get("handling").is_some_and(|handling| handling.eq_ignore_ascii_case("optional")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &[u8] = b"preamble\r\n--b 1\r\nContent-Type: application/ISUP;version=x\r\n\
        Content-Disposition: signal;handling=optional\r\n\r\n\x01\x02--b 1 \r\n--b 1\r\nc : application/sdp\r\n\r\nv=0\r\n\r\n\
        --b 1\r\n\r\nplain\r\n--b 1--\r\nepilogue";

    fn headers(content_type: &str) -> rsip::Headers {
        rsip::Header::ContentType(content_type.into()).into()
    }

    #[test]
    fn the_offer_is_found_beside_other_parts() {
        let headers = headers("multipart/mixed ; boundary=\"b 1\"");

        assert_eq!(body_of_type(&headers, MIXED, "application/sdp"), Some(&b"v=0\r\n"[..]));
        assert_eq!(body_of_type(&headers, MIXED, "application/isup"), Some(&b"\x01\x02--b 1 "[..]));
        assert_eq!(body_of_type(&headers, MIXED, "text/plain"), Some(&b"plain"[..]));
        assert_eq!(body_of_type(&headers, MIXED, "application/pkcs7-mime"), None);
    }

    #[test]
    fn a_part_says_whether_it_must_be_understood() {
        let required: Vec<_> = parts(MIXED, "b 1").map(|(_, is_required, _)| is_required).collect();

        assert_eq!(required, [false, true, true]);
    }

    #[test]
    fn a_single_body_is_taken_by_its_type() {
        assert_eq!(body_of_type(&headers("Application/SDP;charset=utf-8"), b"v=0", "application/sdp"), Some(&b"v=0"[..]));
        assert_eq!(body_of_type(&headers("text/plain"), b"v=0", "application/sdp"), None);
        assert_eq!(body_of_type(&rsip::Headers::default(), b"v=0", "application/sdp"), Some(&b"v=0"[..]));
        assert_eq!(body_of_type(&headers("multipart/mixed"), b"v=0", "application/sdp"), None);
        assert_eq!(body_of_type(&headers("application/sdp"), b"", "application/sdp"), None);
    }
}
