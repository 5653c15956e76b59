//! What a peer says of who calls and for whom: History-Info, Diversion, P-Asserted-Identity, Remote-Party-ID, Privacy, `target` and
//! `cause`, `tel:` numbers. Parsed, and decided about as for a call; the decision is written as text and read again.

#![no_main]

use afterbeep::{
    call::route::{Reason, Route, identify, route},
    domain::dialling::DialRule,
    sip::{
        flow::Flow,
        uas::read_invite,
        wire::{Diversion, HistoryEntry, NameAddr, RemoteParty, SipUri},
    },
};
use libfuzzer_sys::fuzz_target;

const PARTS: [&str; 5] = ["History-Info", "Diversion", "P-Asserted-Identity", "Remote-Party-ID", "Privacy"];

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines();
    // The first line is what follows the Request-URI's host; each other one is a header, by its first character.
    let parameters = lines.next().unwrap_or_default();
    let mut invite = format!(
        "INVITE sip:vm@vm.example{parameters} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: <sip:1@far>;tag=1\r\nTo: <sip:2@vm>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContact: <sip:1@far>\r\n"
    );
    for line in lines {
        let mut characters = line.chars();
        let Some(first) = characters.next() else { continue };
        let value = characters.as_str();
        let _ = (Diversion::parse(value), HistoryEntry::parse(value), RemoteParty::parse(value), NameAddr::parse(value));
        if let Ok(uri) = SipUri::parse(value) {
            let _ = (uri.user_text(), uri.phone_context(), uri.verstat(), uri.header("Reason"));
        }
        invite.push_str(&format!("{}: {value}\r\n", PARTS[first as usize % PARTS.len()]));
    }
    invite.push_str("\r\n");
    let flow = Flow::udp("192.0.2.2:5060".parse().expect("an address"), "192.0.2.1:5060".parse().expect("an address"));
    let Ok(invite) = read_invite(invite.as_bytes(), &flow) else { return };
    let rule: DialRule = "country=1 national=1 international=011 length=10".parse().expect("a rule");
    for trusted in [true, false] {
        let identity = identify(&invite, trusted, Some(&rule));
        if let Some(number) = &identity.caller.number {
            assert!(rule.forms(number).len() <= 5);
        }
        if let Route::Deposit { candidates } = route(&invite, trusted, &["*98".to_owned()]) {
            assert!(candidates.len() <= 8 && candidates.last().is_some_and(|last| last.reason == Reason::RequestUri));
        }
    }
});
