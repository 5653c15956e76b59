//! Names of header fields, long and compact, and `rsip`'s variants for them.

use rsip::Header;
use rsip::headers::UntypedHeader;

macro_rules! known_headers {
    ($($variant:ident $name:literal $(or $compact:literal)?),* $(,)?) => {
        /// Makes the header of that name, compact or in any case; other names are kept as they are.
        pub(super) fn header(name: &str, value: String) -> Header {
            let name = long_name(name);
            $(if name.eq_ignore_ascii_case($name) {
                return Header::$variant(rsip::headers::$variant::new(value));
            })*
            Header::Other(name.to_owned(), value)
        }

        /// The header's long name and its value.
        pub(super) fn name_and_value(header: &Header) -> (&str, &str) {
            match header {
                $(Header::$variant(inner) => ($name, inner.value()),)*
                Header::Other(name, value) => (name, value),
            }
        }

        fn known_long_name(compact: u8) -> Option<&'static str> {
            $($(if compact == $compact {
                return Some($name);
            })?)*
            None
        }
    };
}

known_headers! {
    Via "Via" or b'v',
    From "From" or b'f',
    To "To" or b't',
    CallId "Call-ID" or b'i',
    CSeq "CSeq",
    Contact "Contact" or b'm',
    MaxForwards "Max-Forwards",
    Route "Route",
    RecordRoute "Record-Route",
    ContentType "Content-Type" or b'c',
    ContentLength "Content-Length" or b'l',
    Accept "Accept",
    AcceptEncoding "Accept-Encoding",
    AcceptLanguage "Accept-Language",
    AlertInfo "Alert-Info",
    Allow "Allow",
    AuthenticationInfo "Authentication-Info",
    Authorization "Authorization",
    CallInfo "Call-Info",
    ContentDisposition "Content-Disposition",
    ContentEncoding "Content-Encoding" or b'e',
    ContentLanguage "Content-Language",
    Date "Date",
    ErrorInfo "Error-Info",
    Event "Event" or b'o',
    Expires "Expires",
    InReplyTo "In-Reply-To",
    MimeVersion "MIME-Version",
    MinExpires "Min-Expires",
    Organization "Organization",
    Priority "Priority",
    ProxyAuthenticate "Proxy-Authenticate",
    ProxyAuthorization "Proxy-Authorization",
    ProxyRequire "Proxy-Require",
    ReplyTo "Reply-To",
    Require "Require",
    RetryAfter "Retry-After",
    Server "Server",
    Subject "Subject" or b's',
    SubscriptionState "Subscription-State",
    Supported "Supported" or b'k',
    Timestamp "Timestamp",
    Unsupported "Unsupported",
    UserAgent "User-Agent",
    Warning "Warning",
    WwwAuthenticate "WWW-Authenticate",
}

/// Compact names of headers that `rsip` does not know.
const OTHER_COMPACT: &[(u8, &str)] = &[
    (b'a', "Accept-Contact"),
    (b'b', "Referred-By"),
    (b'd', "Request-Disposition"),
    (b'j', "Reject-Contact"),
    (b'n', "Identity-Info"),
    (b'r', "Refer-To"),
    (b'u', "Allow-Events"),
    (b'x', "Session-Expires"),
    (b'y', "Identity"),
];

/// The long form of a compact name; other names as they are.
pub(super) fn long_name(name: &str) -> &str {
    match name.as_bytes() {
        [letter] => {
            let letter = letter.to_ascii_lowercase();
            known_long_name(letter)
                .or_else(|| OTHER_COMPACT.iter().find(|(compact, _)| *compact == letter).map(|(_, long)| *long))
                .unwrap_or(name)
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_every_spelling() {
        for name in ["Call-ID", "call-id", "i", "I"] {
            assert_eq!(header(name, "x".to_owned()), Header::CallId("x".into()));
        }
        assert_eq!(header("x", "90".to_owned()), Header::Other("Session-Expires".to_owned(), "90".to_owned()));
        assert_eq!(header("X-Own", "1".to_owned()), Header::Other("X-Own".to_owned(), "1".to_owned()));
        assert_eq!(name_and_value(&Header::CallId("x".into())), ("Call-ID", "x"));
    }
}
