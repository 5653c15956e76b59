//! A session description, as an offer to us and as an answer to ours.

#![no_main]

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::LazyLock,
};

use afterbeep::{
    audio::codec::Codec,
    rtp::{
        Security,
        secure::{Fingerprint, IceCredentials},
    },
    sdp::{CallKeys, LONGEST_DESCRIPTION, LocalMedia, LocalSecurity, Negotiated, Policy, accept_answer, answer, offer, parse_offer},
};
use libfuzzer_sys::fuzz_target;

const LOCAL: LocalMedia =
    LocalMedia { address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), port: 30_000, session_id: 1, version: 1 };

static SECURITY: LazyLock<LocalSecurity> = LazyLock::new(|| LocalSecurity {
    policy: Policy::Optional,
    keys: CallKeys::new(&[7; CallKeys::LENGTH]),
    fingerprint: Some(Fingerprint::of(b"certificate")),
    ice: IceCredentials::new(&[7; IceCredentials::LENGTH]),
});

fuzz_target!(|input: &[u8]| {
    for own in [offer(&LOCAL, &Codec::ALL), offer(&LOCAL, &Codec::ALL).encrypted(SECURITY.keys.clone())] {
        if let Ok(agreed) = accept_answer(&own, input) {
            check(&agreed);
        }
    }
    let Ok(offer) = parse_offer(input) else { return };
    let required = LocalSecurity { policy: Policy::Required, ..SECURITY.clone() };
    if let Ok((_, agreed)) = answer(&offer, &LOCAL, &Codec::ALL, &required) {
        assert_ne!(agreed.security, Security::None);
    }
    let Ok((bytes, agreed)) = answer(&offer, &LOCAL, &Codec::ALL, &SECURITY) else { return };
    check(&agreed);
    assert!(bytes.len() <= 4 * LONGEST_DESCRIPTION);

    // Whoever reads our answer sees the same agreement from the other side.
    let answered = parse_offer(&bytes).expect("we write what we can read");
    let (_, theirs) = answer(&answered, &LOCAL, &Codec::ALL, &SECURITY).expect("one stream is accepted");
    assert_eq!(theirs.remote.port(), LOCAL.port);
    assert_eq!((theirs.codec, theirs.codec_payload_type), (agreed.codec, agreed.codec_payload_type));
    assert_eq!((theirs.telephone_event, theirs.rtcp_mux), (agreed.telephone_event, agreed.rtcp_mux));
    assert_eq!((theirs.direction_send, theirs.direction_receive), (agreed.direction_receive, agreed.direction_send));
});

fn check(agreed: &Negotiated) {
    for target in [agreed.remote, agreed.remote_rtcp] {
        assert!(target.is_ipv4() || target.ip().is_unspecified());
        assert!(!target.ip().is_multicast() && target.port() != 0);
    }
    let finds_path = matches!(agreed.security, Security::Dtls(terms) if terms.ice.is_some());
    assert!(!(agreed.direction_send && agreed.remote.ip().is_unspecified()) || finds_path);
    assert!(agreed.codec_payload_type < 128 && agreed.telephone_event.is_none_or(|number| number < 128));
    assert_ne!(Some(agreed.codec_payload_type), agreed.telephone_event);
}
