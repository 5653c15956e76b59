//! `alias` in Via: a peer that has connected to us lets us use its connection for requests of ours (RFC 5923).

use super::{HeaderViews as _, Message, parse};

/// The port that a peer names when it names none.
const USUAL_PORT: u16 = 5061;

/// The port where the sender of a request over TLS takes connections, if it asks for requests on this connection instead.
#[must_use]
pub fn alias_port(message: &[u8]) -> Option<u16> {
    // Few ask, and reading a message costs more than this.
    if !message.windows(5).any(|word| word.eq_ignore_ascii_case(b"alias")) {
        return None;
    }
    let Ok(Message::Request(request)) = parse(message) else { return None };
    let via = request.headers.top_via().ok()?;
    let asks = via.transport.eq_ignore_ascii_case("TLS") && via.params.has("alias");
    asks.then_some(via.port.unwrap_or(USUAL_PORT))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_sender_of_a_request_over_tls_can_ask_and_names_its_port() {
        for (vias, port) in [
            ("SIP/2.0/TLS p.example:5071;branch=z9hG4bK1;alias", Some(5071)),
            ("SIP/2.0/TLS p.example;alias;branch=z9hG4bK1", Some(5061)),
            ("SIP/2.0/TLS p.example;branch=z9hG4bK1", None),
            ("SIP/2.0/TCP p.example;branch=z9hG4bK1;alias", None),
            ("SIP/2.0/TLS p.example;branch=z9hG4bK1, SIP/2.0/TLS q.example;branch=z9hG4bK2;alias", None),
        ] {
            let rest = "From: <sip:alias@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n";
            assert_eq!(alias_port(format!("OPTIONS sip:a@b SIP/2.0\r\nVia: {vias}\r\n{rest}").as_bytes()), port, "{vias}");
            assert_eq!(alias_port(format!("SIP/2.0 200 OK\r\nVia: {vias}\r\n{rest}").as_bytes()), None, "{vias}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(before in prop::collection::vec(any::<u8>(), 0..100), after in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = alias_port(&[&before[..], b";alias", &after].concat());
        }
    }
}
