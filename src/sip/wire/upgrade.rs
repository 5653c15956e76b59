//! The HTTP request that makes a connection a WebSocket (RFC 6455 §4.2), for SIP (RFC 7118 §4).

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha1::{Digest as _, Sha1};

use super::text::{is_token, trim};

/// The longest head of such a request, in bytes; browsers send less than one thousand, and cookies.
pub const LONGEST_UPGRADE: usize = 8 * 1024;
/// The WebSocket subprotocol that is SIP.
const SUBPROTOCOL: &str = "sip";
/// What RFC 6455 §1.3 appends to a key.
const SALT: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Why a connection does not become a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpgradeRefusal {
    /// It is no request that we understand, or it does not want to speak SIP.
    #[error("no WebSocket handshake for SIP")]
    Malformed,
    /// It is a page of a site that is not on the list.
    #[error("the page's origin is not on the list")]
    ForeignOrigin,
    /// It is plain HTTP, or an old version of WebSocket.
    #[error("not a WebSocket of version 13")]
    NoWebSocket,
    /// The head does not end.
    #[error("the request's head is too long")]
    TooLong,
}

impl UpgradeRefusal {
    /// The response, after which the connection is closed.
    #[must_use]
    pub fn response(self) -> &'static str {
        match self {
            Self::Malformed => "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            Self::ForeignOrigin => "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            Self::NoWebSocket => {
                "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Protocol: sip\r\nContent-Length: 0\r\n\r\n"
            }
            Self::TooLong => "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        }
    }
}

/// Answers the head of a request, its last empty line included, with the response that makes the connection a WebSocket.
///
/// `origins` are the sites whose pages may connect, like `https://phone.example.com`; empty, all may. Who sends no Origin is no browser,
/// and could claim any.
///
/// # Errors
///
/// What keeps it from becoming one.
pub fn answer_upgrade(head: &[u8], origins: &[String]) -> Result<String, UpgradeRefusal> {
    let text = std::str::from_utf8(head).map_err(|_| UpgradeRefusal::Malformed)?;
    let mut lines = text.split("\r\n");
    let mut request_line = lines.next().unwrap_or_default().split(' ');
    let parts = [request_line.next(), request_line.next(), request_line.next(), request_line.next()];
    let [Some("GET"), Some(path), Some("HTTP/1.1"), None] = parts else { return Err(UpgradeRefusal::Malformed) };
    if !path.starts_with('/') {
        return Err(UpgradeRefusal::Malformed);
    }
    let mut headers = Vec::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').filter(|(name, _)| is_token(name)).ok_or(UpgradeRefusal::Malformed)?;
        headers.push((name, trim(value)));
    }
    let all =
        |name: &'static str| headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value);
    let has = |name: &'static str, word: &str| {
        all(name).flat_map(|value| value.split(',')).any(|part| trim(part).eq_ignore_ascii_case(word))
    };
    let one = |name: &'static str| all(name).next().filter(|_| all(name).count() == 1);
    if !has("Upgrade", "websocket") || !has("Connection", "upgrade") || one("Sec-WebSocket-Version") != Some("13") {
        return Err(UpgradeRefusal::NoWebSocket);
    }
    let key = one("Sec-WebSocket-Key").filter(|key| BASE64_STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16));
    let (Some(key), Some(_)) = (key, one("Host")) else { return Err(UpgradeRefusal::Malformed) };
    if !has("Sec-WebSocket-Protocol", SUBPROTOCOL) {
        return Err(UpgradeRefusal::Malformed);
    }
    let is_known = |origin: &str| origins.iter().any(|known| known.eq_ignore_ascii_case(origin));
    if !origins.is_empty() && !all("Origin").all(is_known) {
        return Err(UpgradeRefusal::ForeignOrigin);
    }
    let accept = BASE64_STANDARD.encode(Sha1::new().chain_update(key).chain_update(SALT).finalize());
    Ok(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\
         Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 6455 §1.3's handshake, for SIP.
    const HEAD: &str = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\nSec-WebSocket-Protocol: xmpp, sip\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";

    #[test]
    fn a_browser_is_answered_with_the_proof_that_its_key_asks_for() {
        let answer = answer_upgrade(HEAD.as_bytes(), &[]).unwrap();

        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert!(answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
        assert!(answer.contains("\r\nSec-WebSocket-Protocol: sip\r\n"), "{answer}");
    }

    #[test]
    fn only_pages_of_listed_sites_may_connect() {
        let with = |origins: &[&str]| {
            let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
            answer_upgrade(HEAD.as_bytes(), &origins)
        };

        assert!(with(&["https://phone.example", "http://example.com"]).is_ok());
        assert_eq!(with(&["https://example.com"]), Err(UpgradeRefusal::ForeignOrigin));
        let no_browser = HEAD.replace("Origin: http://example.com\r\n", "");
        assert!(answer_upgrade(no_browser.as_bytes(), &["https://example.com".to_owned()]).is_ok());
    }

    #[test]
    fn what_is_no_websocket_for_sip_is_refused_for_its_reason() {
        let refusal = |from: &str, to: &str| answer_upgrade(HEAD.replacen(from, to, 1).as_bytes(), &[]).unwrap_err();

        for (from, to) in [
            ("Upgrade: websocket\r\n", ""),
            ("Upgrade: websocket\r\n", "Upgrade: h2c\r\n"),
            ("Connection: keep-alive, Upgrade", "Connection: close"),
            ("Version: 13", "Version: 8"),
        ] {
            assert_eq!(refusal(from, to), UpgradeRefusal::NoWebSocket, "{to}");
        }
        for (from, to) in [
            ("GET", "POST"),
            ("HTTP/1.1", "HTTP/1.0"),
            ("/chat", "http://other/"),
            ("Host: server.example.com\r\n", ""),
            ("xmpp, sip", "xmpp"),
            ("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="),
            ("Origin:", "no header"),
            ("Sec-WebSocket-Version", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version"),
        ] {
            assert_eq!(refusal(from, to), UpgradeRefusal::Malformed, "{to}");
        }
        assert_eq!(answer_upgrade(b"\xFF\r\n\r\n", &[]), Err(UpgradeRefusal::Malformed));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0..HEAD.len()) {
            let _ = answer_upgrade(&bytes, &[]);
            let _ = answer_upgrade(&[&HEAD.as_bytes()[..cut], &bytes].concat(), &["https://a.example".to_owned()]);
        }
    }
}
