//! STUN: the input is read as a datagram and, when it is a request, answered.

#![no_main]

use afterbeep::stun::{self, LONGEST_ANSWER, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(request) = Request::parse(bytes) {
        assert!(stun::is_stun(bytes));
        let _ = (request.is_authentic(b"secret"), request.nominates(), request.username());
        let mut buffer = [0; LONGEST_ANSWER];
        for password in [None, Some(&b"secret"[..])] {
            let answer = request.answer("192.0.2.1:4000".parse().expect("an address"), password, &mut buffer);
            assert!(stun::is_stun(answer));
            assert!(Request::parse(answer).is_none(), "an answer is no request");
        }
    }
});
