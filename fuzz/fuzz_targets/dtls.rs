//! DTLS at our edge: the input is read as datagrams to a handshake that waits for the peer, and to one that we have begun.

#![no_main]

use std::{
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Instant,
};

use afterbeep::{
    dtls::{Handshake, Identity, LONGEST_DATAGRAM, Output},
    rtp::secure::DtlsTerms,
};
use libfuzzer_sys::fuzz_target;

static IDENTITY: LazyLock<Arc<Identity>> = LazyLock::new(|| Arc::new(Identity::generate().expect("randomness")));

fuzz_target!(|input: &[u8]| {
    let peer = SocketAddr::from(([192, 0, 2, 1], 4000));
    for active in [false, true] {
        let now = Instant::now();
        let terms = DtlsTerms { peer: IDENTITY.fingerprint(), active, ice: None };
        let mut handshake = Handshake::new(&IDENTITY, terms, peer, now);
        let (mut received, mut sent) = (0, 0);
        let mut tell = |output: Output<'_>| match output {
            Output::Send(to, bytes) => {
                assert!(to == peer && bytes.len() <= LONGEST_DATAGRAM);
                sent += bytes.len();
            }
            Output::Keys { .. } => panic!("keys from somebody who has none"),
            Output::Failed => {}
        };
        let mut goes_on = handshake.step(now, None, &mut tell);
        for datagram in datagrams(input) {
            goes_on = goes_on && handshake.step(now, Some((peer, datagram)), &mut tell);
            received += datagram.len();
        }
        // Nobody can return a cookie that was never sent.
        assert!(active || sent <= received, "{sent} bytes for {received}");
    }
});

/// Each begins with its length, in two bytes.
fn datagrams(mut input: &[u8]) -> Vec<&[u8]> {
    let mut datagrams = Vec::new();
    while let Some((length, rest)) = input.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (datagram, rest) = rest.split_at(length);
        datagrams.push(datagram);
        input = rest;
    }
    datagrams
}
