//! The credentials of a request: an Authorization value, read, written and judged.

#![no_main]

use std::time::{Duration, Instant};

use afterbeep::sip::{
    auth::{Authenticator, DigestSecret, Judgement, NonceCounts},
    wire::{DigestChallenge, DigestCredentials, SipUri},
};
use libfuzzer_sys::fuzz_target;
use rsip::{Header, Headers};

fuzz_target!(|value: &str| {
    if let Ok(challenge) = DigestChallenge::parse(value) {
        assert_eq!(DigestChallenge::parse(&challenge.to_string()), Ok(challenge));
    }
    let read = DigestCredentials::parse(value);
    if let Ok(credentials) = &read {
        assert_eq!(credentials.response.len(), credentials.algorithm.length());
        assert_eq!(DigestCredentials::parse(&credentials.to_string()).as_ref(), Ok(credentials));
    }

    // Whoever knows neither password nor key is wrong, whatever is said.
    let now = Instant::now();
    let authenticator = Authenticator::new("afterbeep", [7; 32], now, Duration::from_secs(1_800_000_000));
    let headers = Headers::from(vec![Header::Authorization(value.into())]);
    let taken = authenticator.credentials(&headers);
    assert_eq!(taken.is_some(), value.len() <= 2048 && read.is_ok_and(|it| it.realm == "afterbeep"));
    if let (Some(credentials), Ok(uri)) = (taken, SipUri::parse("sip:vm.example")) {
        let secret = DigestSecret::new("1001", "afterbeep", "correct horse");
        for secret in [None, Some(&secret)] {
            let judgement = authenticator.judge(&credentials, ("REGISTER", &uri), secret, &mut NonceCounts::default(), now);
            assert_eq!(judgement, Judgement::Wrong);
        }
    }
});
