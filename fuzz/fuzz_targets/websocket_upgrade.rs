//! The HTTP request that makes a connection a WebSocket.

#![no_main]

use afterbeep::sip::wire::answer_upgrade;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|head: &[u8]| {
    let origins = ["https://phone.example.com".to_owned()];
    let strict = answer_upgrade(head, &origins);
    let lax = answer_upgrade(head, &[]);

    // The list of origins only ever refuses more, and an answer is one response and nothing else.
    assert!(strict.is_err() || strict == lax);
    let answer = match &lax {
        Ok(answer) => answer.as_str(),
        Err(refusal) => refusal.response(),
    };
    assert!(answer.starts_with("HTTP/1.1 ") && answer.find("\r\n\r\n") == Some(answer.len() - 4));
});
