//! Messages to bytes, and the making of responses.

use rsip::{Header, Headers, Request, Response, StatusCode, Version};

use super::text::push_bytes;
use super::{NameAddr, SipUri, header};

/// Writes a request. `Content-Length` is written from the body; one among the headers is left out.
#[must_use]
pub fn write_request(request: &Request) -> Vec<u8> {
    let start_line = format!("{} {} SIP/2.0", request.method, SipUri::from(&request.uri));
    write_message(&start_line, &request.headers, &request.body)
}

/// Writes a response. `Content-Length` is written from the body; one among the headers is left out.
#[must_use]
pub fn write_response(response: &Response) -> Vec<u8> {
    let code = response.status_code.code();
    let start_line = match &response.status_code {
        StatusCode::Other(_, reason) => format!("SIP/2.0 {code} {reason}"),
        _ => format!("SIP/2.0 {code} {}", reason_phrase(code)),
    };
    write_message(&start_line, &response.headers, &response.body)
}

fn write_message(start_line: &str, headers: &Headers, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(512 + body.len());
    push_bytes(start_line, &mut out);
    out.extend_from_slice(b"\r\n");
    for header in headers.iter().filter(|header| !matches!(header, Header::ContentLength(_))) {
        let (name, value) = header::name_and_value(header);
        push_bytes(name, &mut out);
        out.extend_from_slice(b": ");
        push_bytes(value, &mut out);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    out.extend_from_slice(body);
    out
}

/// Makes a response with the headers that every response echoes: all `Via`, `From`, `To`, `Call-ID` and `CSeq`, as received.
///
/// The `To` tag is the caller's ([`set_to_tag`]), as are `Record-Route` and `Contact` where a dialog begins.
#[must_use]
pub fn response_to(request: &Headers, status_code: StatusCode) -> Response {
    let is_echoed = |header: &&Header| {
        matches!(header, Header::Via(_) | Header::From(_) | Header::To(_) | Header::CallId(_) | Header::CSeq(_))
    };
    let headers: Vec<Header> = request.iter().filter(is_echoed).cloned().collect();
    Response { status_code, version: Version::V2, headers: headers.into(), body: Vec::new() }
}

/// Gives the `To` header this tag, if it has none.
pub fn set_to_tag(headers: &mut Headers, tag: &str) {
    for header in headers.iter_mut() {
        if let Header::To(to) = header {
            let value = rsip::headers::UntypedHeader::value(to);
            // A `To` that cannot be read, in a refusal for just that, is echoed as it came.
            if NameAddr::parse(value).is_ok_and(|address| address.tag().is_none()) {
                *to = format!("{value};tag={tag}").into();
            }
        }
    }
}

/// A URI parameter as text, the way `rsip` prints one.
pub(super) fn param_text(name: &str, value: Option<&str>) -> String {
    value.map_or_else(|| format!(";{name}"), |value| format!(";{name}={value}"))
}

/// The customary words for a status.
#[must_use]
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        199 => "Early Dialog Terminated",
        200 => "OK",
        202 => "Accepted",
        204 => "No Notification",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        305 => "Use Proxy",
        380 => "Alternative Service",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Conditional Request Failed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        417 => "Unknown Resource-Priority",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        424 => "Bad Location Information",
        428 => "Use Identity Header",
        429 => "Provide Referrer Identity",
        433 => "Anonymity Disallowed",
        436 => "Bad Identity Info",
        437 => "Unsupported Certificate",
        438 => "Invalid Identity Header",
        439 => "First Hop Lacks Outbound Support",
        440 => "Max-Breadth Exceeded",
        469 => "Bad Info Package",
        470 => "Consent Needed",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        485 => "Ambiguous",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        493 => "Undecipherable",
        494 => "Security Agreement Required",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        580 => "Precondition Failure",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        607 => "Unwanted",
        other => match other / 100 {
            1 => "Progress",
            2 => "Success",
            3 => "Redirection",
            4 => "Request Failure",
            5 => "Server Failure",
            _ => "Global Failure",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::{HeaderViews, Message, parse};
    use super::*;

    #[test]
    fn a_response_echoes_what_it_must_and_is_written_out() {
        let request = b"OPTIONS sip:x@y SIP/2.0\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1,SIP/2.0/UDP b\r\nVia: SIP/2.0/TCP c\r\n\
            From: \"J\xF6rg\" <sip:a@b>;tag=1\r\nT: <sip:x@y>\r\nSubject: no\r\ni: 1@a\r\nCSeq: 7  OPTIONS\r\n\r\n";
        let Ok(Message::Request(request)) = parse(request) else { panic!("valid") };

        let mut response = response_to(&request.headers, StatusCode::CallTransactionDoesNotExist);
        set_to_tag(&mut response.headers, "t9");
        set_to_tag(&mut response.headers, "other");
        response.body = vec![0, 0xFF];

        let expected = b"SIP/2.0 481 Call/Transaction Does Not Exist\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1,SIP/2.0/UDP b\r\n\
            Via: SIP/2.0/TCP c\r\nFrom: \"J\xF6rg\" <sip:a@b>;tag=1\r\nTo: <sip:x@y>;tag=t9\r\nCall-ID: 1@a\r\n\
            CSeq: 7  OPTIONS\r\nContent-Length: 2\r\n\r\n\x00\xFF";
        assert_eq!(String::from_utf8_lossy(&write_response(&response)), String::from_utf8_lossy(expected));
        assert_eq!(write_response(&response), expected);
    }

    #[test]
    fn a_request_is_written_with_the_uri_that_rsip_cannot_print() {
        let uri = SipUri::parse("sip:6001@[2001:db8::1]:5070;transport=tcp").unwrap();
        let headers = vec![Header::ContentLength("99".into()), Header::CallId("a\r\nX: y".into())];
        let request = Request {
            method: rsip::Method::Bye,
            uri: (&uri).into(),
            version: Version::V2,
            headers: headers.into(),
            body: vec![],
        };

        let written = String::from_utf8(write_request(&request)).unwrap();

        assert_eq!(
            written,
            "BYE sip:6001@[2001:db8::1]:5070;transport=tcp SIP/2.0\r\nCall-ID: a  X: y\r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn every_status_that_rsip_names_has_its_own_words() {
        for status in 100..700 {
            let is_named = !matches!(StatusCode::from(status), StatusCode::Other(..)) && status != 201;
            let is_generic = matches!(
                reason_phrase(status),
                "Progress" | "Success" | "Redirection" | "Request Failure" | "Server Failure" | "Global Failure"
            );
            assert!(!(is_named && is_generic), "{status}");
        }
        assert!(Headers::default().vias().is_err());
    }
}
