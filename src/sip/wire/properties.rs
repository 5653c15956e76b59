//! What must hold for every message: it is written as it is read, no bytes break the reader, and where a stream is cut
//! does not matter.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use rsip::{Headers, Method, Request, Response, StatusCode, Version};

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_is_read_as_it_was_written(request in request()) {
        prop_assert_eq!(parse(&write_request(&request)), Ok(Message::Request(request)));
    }

    #[test]
    fn a_response_is_read_as_it_was_written(code in 100_u16..700, headers in headers(), body in vec(any::<u8>(), 0..99)) {
        let status_code = match StatusCode::from(code) {
            StatusCode::Other(code, _) => StatusCode::Other(code, "Words of its own".to_owned()),
            known => known,
        };
        let response = Response { status_code, version: Version::V2, headers, body };

        prop_assert_eq!(parse(&write_response(&response)), Ok(Message::Response(response)));
    }

    #[test]
    fn an_address_is_read_as_it_was_written(uri in uri(), display in "[^\\x00-\\x1F\\x7F-\\x9F\u{10FE00}-\u{10FEFF}]{0,9}", name in "[a-z]{1,5}", value in "\\PC{0,5}") {
        let mut address = NameAddr::new(uri);
        address.display = Some(display).filter(|display| !display.is_empty());
        address.params.push("tag", Some("1"));
        address.params.push(&name, Some(&value));

        prop_assert_eq!(NameAddr::parse(&address.to_string()), Ok(address));
    }

    #[test]
    fn bytes_of_any_kind_break_nothing(bytes in vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
    }

    #[test]
    fn spoilt_messages_break_nothing(request in request(), spoils in vec((any::<Index>(), select(SPOILS), 0_usize..3), 1..9)) {
        let mut bytes = write_request(&request);
        for (at, spoil, removed) in spoils {
            let at = at.index(bytes.len());
            let end = (at + removed).min(bytes.len());
            bytes.splice(at..end, spoil.iter().copied());
        }

        read_all(&bytes);
    }

    #[test]
    fn where_a_stream_is_cut_does_not_matter(
        items in vec(prop_oneof![3 => request().prop_map(|request| write_request(&request)), 1 => Just(b"\r\n\r\n".to_vec())], 1..6),
        cuts in vec(any::<Index>(), 0..20),
        spoil in proptest::option::of((any::<Index>(), any::<u8>())),
    ) {
        let mut stream = items.concat();
        if let Some((at, byte)) = spoil {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.sort_unstable();

        let whole = frames([&stream[..]].into_iter());
        let cut = frames(pieces(&stream, &cuts).into_iter());
        let single = frames(stream.chunks(1));

        prop_assert_eq!(&cut, &whole);
        prop_assert_eq!(&single, &whole);
        if spoil.is_none() {
            prop_assert_eq!(whole.0.len(), items.len());
            prop_assert_eq!(whole.1, None);
        }
    }
}

/// Bytes that mean something to a SIP parser.
const SPOILS: &[&[u8]] = &[
    b"",
    b"\"",
    b"<",
    b">",
    b"\r\n",
    b"\r\n\r\n",
    b";",
    b",",
    b":",
    b"@",
    b"[",
    b"%",
    b"\\",
    b"\xFF",
    b"\0",
    b" ",
    b"\t",
    b"=",
    b"?",
    b"\xF0\x9F",
];

fn read_all(bytes: &[u8]) {
    let headers = match parse(bytes) {
        Ok(Message::Request(request)) => {
            let written = write_request(&request);
            assert_eq!(parse(&written), Ok(Message::Request(request.clone())));
            let capabilities = Capabilities { methods: &[Method::Invite], extensions: &[], bodies: &["application/sdp"] };
            if let Err(refusal) = validate(&request, &capabilities) {
                let response = refusal.response(&request.headers, &capabilities);
                assert!(parse(&write_response(&response)).is_ok());
            }
            let _ = body_of_type(&request.headers, &request.body, "application/sdp");
            request.headers
        }
        Ok(Message::Response(response)) => {
            assert_eq!(parse(&write_response(&response)), Ok(Message::Response(response.clone())));
            let _ = validate_response(&response);
            response.headers
        }
        Err(Rejected::Refuse { headers, .. }) => headers,
        Err(Rejected::Ignore(_)) => return,
    };
    let _ = (headers.top_via(), headers.vias(), headers.from_address(), headers.to_address(), headers.contacts());
    let _ = (headers.routes(), headers.diversions(), headers.history_info(), headers.asserted_identities(), headers.user_agent());
    for header in ["Authorization", "WWW-Authenticate"] {
        let _ = headers.value(header).map(|value| (DigestCredentials::parse(value), DigestChallenge::parse(value)));
    }
    let _ = (min_session_expires(&headers), reliable_number(&headers), Replaces::of(&headers));
    // What is written of them is read the same.
    if let Ok(rack) = RAck::of(&headers) {
        assert_eq!(RAck::parse(&rack.to_string()), Ok(rack));
    }
    if let Ok(Some(expires)) = SessionExpires::of(&headers) {
        assert_eq!(SessionExpires::parse(&expires.to_string()), Ok(expires));
    }
    if let Some(reason) = Reason::of(&headers) {
        let again = Reason::of(&vec![reason.header()].into()).expect("what was read can be written");
        assert_eq!((&again.protocol, again.cause), (&reason.protocol, reason.cause));
    }
    let mut noted = headers.clone();
    note_source(&mut noted, "192.0.2.1:5060".parse().unwrap());
    set_to_tag(&mut noted, "tag");
    if let (Ok(before), Ok(after)) = (headers.top_via(), noted.top_via()) {
        assert_eq!((before.branch(), &before.host), (after.branch(), &after.host));
    }
}

/// All frames, and the error that ended the stream.
fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Frame>, Option<FramingError>) {
    let mut framer = StreamFramer::new();
    let mut frames = Vec::new();
    for piece in pieces {
        framer.push(piece);
        loop {
            match framer.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

fn pieces<'a>(stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([stream.len()]);
    starts.zip(ends).map(|(start, end)| &stream[start..end]).collect()
}

fn request() -> impl Strategy<Value = Request> {
    (select(Method::all()), uri(), headers(), vec(any::<u8>(), 0..99)).prop_map(|(method, mut uri, headers, body)| {
        uri.headers.clear();
        Request { method, uri: (&uri).into(), version: Version::V2, headers, body }
    })
}

fn uri() -> impl Strategy<Value = SipUri> {
    prop_oneof![
        "sips?:(([a-z0-9;?&=+$,/*#%]{1,9}|[^\\x00-\\x7F]{1,3})(:[a-z0-9&=+$,]{0,5})?@)?([a-z][a-z0-9.-]{0,9}|192\\.0\\.2\\.[1-9]|\\[2001:db8::[1-9a-f]\\])(:[1-9][0-9]{0,3})?(;[a-z]{1,5}(=[a-z0-9%-]{0,5})?){0,3}(\\?[a-z]{1,4}=[a-z%0-9]{0,4}(&[a-z]{1,4}=)?)?",
        "tel:\\+?[0-9.()-]{1,15}(;[a-z]{1,5}=[a-z0-9.+]{1,5}){0,2}",
    ]
    .prop_map(|text| SipUri::parse(&text).expect("made to be valid"))
}

/// Headers of all sorts, among them bytes that are not UTF-8.
fn headers() -> impl Strategy<Value = Headers> {
    let name = prop_oneof![
        select(vec![
            "Via",
            "From",
            "To",
            "Call-ID",
            "CSeq",
            "Contact",
            "Diversion",
            "History-Info",
            "Session-Expires",
            "Min-SE",
            "RAck",
            "RSeq",
            "Require",
            "Replaces",
            "Reason",
            "Authorization",
            "WWW-Authenticate",
            "Content-Type"
        ])
        .prop_map(ToOwned::to_owned),
        "[A-Za-z!%*+_`'~.-]{2,8}",
    ];
    let value = prop_oneof![
        select(VALUES).prop_map(|value| value.to_vec()),
        vec(any::<u8>().prop_filter("no line end", |byte| !matches!(byte, b'\r' | b'\n')), 0..30),
    ];
    let header = (name, value).prop_filter_map("not Content-Length", |(name, value)| {
        let value = value.trim_ascii().to_vec();
        (!name.eq_ignore_ascii_case("Content-Length")).then(|| header::header(&name, text::from_bytes(&value)))
    });
    vec(header, 0..12).prop_map(Into::into)
}

const VALUES: &[&[u8]] = &[
    b"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport, SIP/2.0/TCP [2001:db8::1]",
    b"\"J\xF6rg \\\"X\\\"\" <sip:a@b;lr?Reason=SIP%3Bcause%3D302>;tag=1;index=1.1;reason=\"no-answer\"",
    b"tel:+12015550123",
    b"7 INVITE",
    b"application/sdp",
    b"multipart/mixed;boundary=b",
    b"776656 1 INVITE",
    b"100rel, timer",
    b"1800;refresher=uac",
    b"4294967296",
    b"a@b;to-tag=1;from-tag=2;early-only",
    b"Q.850;cause=16;text=\"Terminated\", SIP;cause=600",
    b"Digest username=\"a\", realm=\"b\", nonce=\"c\", uri=\"sip:d\", response=\"00\", qop=auth, nc=00000001, cnonce=\"e\"",
];
