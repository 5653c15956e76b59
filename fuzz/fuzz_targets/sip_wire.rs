//! One SIP datagram: parsed, validated, viewed, answered and written again.

#![no_main]

use afterbeep::sip::wire::{
    Capabilities, DigestChallenge, DigestCredentials, HeaderViews, Message, NameAddr, RAck, Reason, ReferNews, Rejected, Replaces,
    SessionExpires, SipUri, alias_port, body_of_type, min_session_expires, note_source, parse, readable, reliable_number,
    set_to_tag, validate, validate_response, write_request, write_response,
};
use libfuzzer_sys::fuzz_target;
use rsip::{Headers, Method};

const CAPABILITIES: Capabilities = Capabilities {
    methods: &[Method::Invite, Method::Ack, Method::Bye, Method::Cancel, Method::Options, Method::Info],
    extensions: &["timer"],
    bodies: &["application/sdp", "application/dtmf-relay"],
};

fuzz_target!(|bytes: &[u8]| {
    let _ = alias_port(bytes);
    match parse(bytes) {
        Ok(Message::Request(request)) => {
            assert_eq!(parse(&write_request(&request)), Ok(Message::Request(request.clone())));
            let _ = body_of_type(&request.headers, &request.body, "application/sdp");
            let _ = ReferNews::of(&request.headers, &request.body);
            match validate(&request, &CAPABILITIES) {
                Ok(()) => views_do_not_fail(&request.headers),
                Err(refusal) => can_be_answered(refusal.response(&request.headers, &CAPABILITIES)),
            }
            view(request.headers);
        }
        Ok(Message::Response(response)) => {
            assert_eq!(parse(&write_response(&response)), Ok(Message::Response(response.clone())));
            if validate_response(&response).is_ok() {
                assert!(response.headers.vias().is_ok() && response.headers.cseq().is_ok());
            }
            view(response.headers);
        }
        Err(Rejected::Refuse { refusal, headers }) => {
            can_be_answered(refusal.response(&headers, &CAPABILITIES));
            view(headers);
        }
        Err(Rejected::Ignore(_)) => {}
    }
});

fn views_do_not_fail(headers: &Headers) {
    assert!(headers.top_via().is_ok() && headers.vias().is_ok() && headers.call_id().is_ok() && headers.cseq().is_ok());
    assert!(headers.from_address().is_ok() && headers.to_address().is_ok() && headers.contacts().is_ok());
    assert!(headers.routes().is_ok() && headers.record_routes().is_ok() && headers.content_type().is_ok());
    assert!(headers.max_forwards().is_ok());
}

fn can_be_answered(response: rsip::Response) {
    let written = write_response(&response);
    let Ok(Message::Response(read)) = parse(&written) else { panic!("our own response is malformed") };
    assert_eq!(read.headers, response.headers);
}

fn view(headers: Headers) {
    let _ = (headers.diversions(), headers.history_info(), headers.asserted_identities(), headers.remote_party_ids());
    let _ = (headers.privacy(), headers.user_agent(), headers.retry_after(), headers.require(), headers.supported());
    for header in ["From", "To", "Contact", "P-Asserted-Identity"] {
        for address in headers.values(header).filter_map(|value| NameAddr::parse(value).ok()) {
            let _ = (address.uri.user_text(), address.uri.socket_address(), address.uri.header("Reason"));
            assert_eq!(SipUri::parse(&address.uri.to_string()).as_ref(), Ok(&address.uri));
            let again = NameAddr::parse(&address.to_string()).expect("what was read can be written");
            assert_eq!((&again.uri, again.tag()), (&address.uri, address.tag()));
            assert_eq!(readable(address.display.as_deref().unwrap_or_default()), address.display.unwrap_or_default());
        }
    }
    let _ = (min_session_expires(&headers), reliable_number(&headers), Replaces::of(&headers));
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
    for header in ["Authorization", "WWW-Authenticate"] {
        let _ = headers.value(header).map(|value| (DigestCredentials::parse(value), DigestChallenge::parse(value)));
    }
    let mut noted = headers.clone();
    note_source(&mut noted, "[2001:db8::1]:5060".parse().expect("an address"));
    if let (Ok(before), Ok(after)) = (headers.top_via(), noted.top_via()) {
        assert_eq!((before.branch(), &before.host, before.port), (after.branch(), &after.host, after.port));
        assert_eq!(after.received(), Some("2001:db8::1".parse().expect("an address")).filter(|_| after.params.has("received")));
    }
    set_to_tag(&mut noted, "tag");
    if headers.to_address().is_ok() {
        assert!(noted.to_address().is_ok_and(|address| address.params.has("tag")));
    }
}
