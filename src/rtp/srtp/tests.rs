use proptest::prelude::*;

use super::*;
use crate::rtp::{
    Packet,
    rtcp::{self, Sent},
};

#[test]
fn packets_and_reports_are_those_of_other_stacks() {
    // The reference values that libsrtp checks itself with; its first report has the index 1.
    let cases = [
        (
            Suite::AesCm128HmacSha1_80,
            "e1f97a0d3e018be0d64fa32c06de4139 0ec675ad498afeebb6960b3aabe6",
            "800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb",
            "81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798",
        ),
        (
            Suite::AeadAes128Gcm,
            "000102030405060708090a0b0c0d0e0f a0a1a2a3a4a5a6a7a8a9aaab",
            "800f1234decafbadcafebabe c5002ede04cfdd2eb91159e0880aa06e d2976826f796b201df3131a127e8a392",
            "81c8000bcafebabe c98b8b5df0392a55852b6c21ac8e7025 c52c6fbea2b3b446ea31123ba88ce61e 80000001",
        ),
    ];
    let packet = unhex("800f1234decafbadcafebabe abababababababababababababababab");
    let report = unhex("81c8000bcafebabe abababababababababababababababab");

    for (suite, key, protected_packet, protected_report) in cases {
        let key = MasterKey::new(suite, &unhex(key)).unwrap();
        let mut protector = Protector::new(key);
        let mut buffer = [0; 100];

        buffer[..packet.len()].copy_from_slice(&packet);
        let length = protector.protect(&mut buffer, packet.len()).unwrap();
        assert_eq!(buffer[..length], unhex(protected_packet), "{suite:?}");
        let mut unprotector = Unprotector::new(key);
        assert_eq!(unprotector.unprotect(&mut buffer[..length]), Ok(packet.len()));
        assert_eq!(buffer[..packet.len()], packet);

        protector.protect_rtcp(&mut buffer, packet.len());
        buffer[..report.len()].copy_from_slice(&report);
        let length = protector.protect_rtcp(&mut buffer, report.len()).unwrap();
        assert_eq!(buffer[..length], unhex(protected_report), "{suite:?}");
        assert_eq!(unprotector.unprotect_rtcp(&mut buffer[..length]), Ok(report.len()));
        assert_eq!(buffer[..report.len()], report);
    }
}

#[test]
fn what_is_protected_can_be_read_by_the_peer_and_nobody_else() {
    for suite in Suite::ALL {
        let (mut protector, mut unprotector) = (Protector::new(key(suite, 1)), Unprotector::new(key(suite, 1)));
        let mut others = Unprotector::new(key(suite, 2));

        for sequence in 0..50 {
            let protected = protector.protected(&packet(7, sequence));
            assert_ne!(protected[12..40], packet(7, sequence)[12..40]);

            assert_eq!(others.unprotect(&mut protected.clone()), Err(Refused::Forged));
            assert_eq!(unprotector.unprotected(&protected), Ok(packet(7, sequence)), "{suite:?}");
        }
        assert_eq!((others.forged(), unprotector.forged()), (50, 0));
    }
}

#[test]
fn tags_have_their_lengths() {
    let lengths = Suite::ALL.map(|suite| {
        let mut protector = Protector::new(key(suite, 1));
        let report = rtcp::report(7, None, None, b"me", false);
        (protector.protected(&packet(7, 1)).len() - 172, protector.protected_report(&report).len() - report.len())
    });

    assert_eq!(lengths, [(10, 14), (16, 20), (16, 20), (4, 14)]);
}

#[test]
fn any_change_on_the_way_is_noticed() {
    for suite in Suite::ALL {
        let protected = Protector::new(key(suite, 1)).protected(&packet(7, 1));
        let mut unprotector = Unprotector::new(key(suite, 1));

        for at in 0..protected.len() {
            let mut changed = protected.clone();
            changed[at] ^= 1;
            assert!(unprotector.unprotect(&mut changed).is_err(), "{suite:?}, byte {at}");
        }
        for length in 0..protected.len() {
            assert!(unprotector.unprotect(&mut protected[..length].to_vec()).is_err(), "{suite:?}, {length} bytes");
        }
        assert_eq!(unprotector.unprotected(&protected), Ok(packet(7, 1)));
    }
}

#[test]
fn the_sequence_number_may_wrap_and_packets_be_lost_and_late() {
    for suite in Suite::ALL {
        let (mut protector, mut unprotector) = (Protector::new(key(suite, 1)), Unprotector::new(key(suite, 1)));
        // Three wraps in steps of 11, of which one in nine is lost and one in seven comes five later.
        let mut late = std::collections::VecDeque::new();
        for count in 0..18_000_u32 {
            let plain = packet(7, (count * 11 + 30_000) as u16);
            let protected = protector.protected(&plain);
            if count % 7 == 3 {
                late.push_back((count + 5, plain, protected));
            } else if count % 9 != 4 {
                assert_eq!(unprotector.unprotected(&protected), Ok(plain), "packet {count}");
            }
            if let Some((_, plain, protected)) = late.pop_front_if(|(due, ..)| *due <= count) {
                assert_eq!(unprotector.unprotected(&protected), Ok(plain), "late packet before {count}");
            }
        }
        assert_eq!((unprotector.forged(), unprotector.replayed()), (0, 0));
    }
}

#[test]
fn a_stream_whose_first_packets_before_a_wrap_were_lost_is_understood() {
    let (mut protector, mut unprotector) = protector_and_unprotector();
    for sequence in [65_533, 65_534, 65_535] {
        protector.protected(&packet(7, sequence));
    }

    for sequence in 0..10 {
        let protected = protector.protected(&packet(7, sequence));
        assert_eq!(unprotector.unprotected(&protected), Ok(packet(7, sequence)));
    }
    assert_eq!(unprotector.forged(), 0);
}

#[test]
fn a_packet_is_taken_once() {
    let (mut protector, mut unprotector) = protector_and_unprotector();
    let protected: Vec<_> = (0..200).map(|sequence| protector.protected(&packet(7, sequence))).collect();

    for protected in protected[..100].iter().rev().chain(&protected[100..]) {
        assert!(unprotector.unprotect(&mut protected.clone()).is_ok());
    }
    for protected in &protected {
        assert_eq!(unprotector.unprotect(&mut protected.clone()), Err(Refused::Replayed));
    }
    assert_eq!(unprotector.replayed(), 200);
}

#[test]
fn a_report_is_taken_once() {
    let (mut protector, mut unprotector) = protector_and_unprotector();
    let report = rtcp::report(7, Some(Sent::default()), None, b"me", false);
    let [first, second] = [(); 2].map(|()| protector.protected_report(&report));

    assert_eq!(unprotector.unprotect_rtcp(&mut second.clone()), Ok(report.len()));
    assert_eq!(unprotector.unprotect_rtcp(&mut second.clone()), Err(Refused::Replayed));
    assert_eq!(unprotector.unprotect_rtcp(&mut first.clone()), Ok(report.len()));
    assert_eq!(unprotector.unprotect_rtcp(&mut first.clone()), Err(Refused::Replayed));
}

#[test]
fn a_report_that_is_not_encrypted_is_refused() {
    for suite in Suite::ALL {
        let report = rtcp::report(7, None, None, b"me", false);
        let mut protected = Protector::new(key(suite, 1)).protected_report(&report);
        let at = if matches!(suite, Suite::AeadAes128Gcm | Suite::AeadAes256Gcm) { protected.len() - 4 } else { report.len() };
        protected[at] &= 0x7f;

        assert_eq!(Unprotector::new(key(suite, 1)).unprotect_rtcp(&mut protected), Err(Refused::Malformed));
    }
}

#[test]
fn packets_that_name_their_key_are_read() {
    for suite in Suite::ALL {
        let mut protector = Protector::new(key(suite, 1));
        let mut unprotector = Unprotector::new(key(suite, 1).named_in_packets_by(4));
        let gcm = matches!(suite, Suite::AeadAes128Gcm | Suite::AeadAes256Gcm);
        let named = |mut packet: Vec<u8>, tag: usize| {
            let at = packet.len() - if gcm { 0 } else { tag };
            packet.splice(at..at, [0, 0, 0, 1]);
            packet
        };

        let protected = named(protector.protected(&packet(7, 1)), if suite == Suite::AesCm128HmacSha1_32 { 4 } else { 10 });
        assert_eq!(unprotector.unprotected(&protected), Ok(packet(7, 1)));
        let report = rtcp::report(7, None, None, b"me", false);
        let mut protected = named(protector.protected_report(&report), 10);
        assert_eq!(unprotector.unprotect_rtcp(&mut protected), Ok(report.len()));
        for length in 0..20 {
            assert!(unprotector.unprotect(&mut vec![0x80; length]).is_err());
        }
    }
}

#[test]
fn streams_of_one_key_are_bounded_and_the_one_that_talks_is_kept() {
    let (_, mut unprotector) = protector_and_unprotector();
    let mut talking = Protector::new(key(Suite::AesCm128HmacSha1_80, 1));

    for ssrc in 0..100 {
        let talked = talking.protected(&packet(1000, ssrc as u16));
        assert!(unprotector.unprotect(&mut talked.clone()).is_ok());
        let other = Protector::new(key(Suite::AesCm128HmacSha1_80, 1)).protected(&packet(ssrc, 1));
        assert!(unprotector.unprotect(&mut other.clone()).is_ok());
        assert_eq!(unprotector.unprotect(&mut talked.clone()), Err(Refused::Replayed));
    }
    assert_eq!(unprotector.streams.iter().flatten().count(), MOST_STREAMS);
}

#[test]
fn forged_packets_of_other_streams_push_nobody_out() {
    let (mut protector, mut unprotector) = protector_and_unprotector();
    let first = protector.protected(&packet(7, 1));
    assert!(unprotector.unprotect(&mut first.clone()).is_ok());

    for ssrc in 100..1000 {
        let forged = Protector::new(key(Suite::AesCm128HmacSha1_80, 9)).protected(&packet(ssrc, 1));
        assert_eq!(unprotector.unprotect(&mut forged.clone()), Err(Refused::Forged));
    }

    assert_eq!(unprotector.unprotect(&mut first.clone()), Err(Refused::Replayed));
    assert_eq!(unprotector.streams.iter().flatten().count(), 1);
}

#[test]
fn a_buffer_without_room_is_refused() {
    let mut protector = Protector::new(key(Suite::AeadAes256Gcm, 1));
    let mut buffer = packet(7, 1);
    let length = buffer.len();

    assert_eq!(protector.protect(&mut buffer, length), None);
    assert_eq!(protector.protect(&mut buffer, length + 1), None);
    assert_eq!(protector.protect_rtcp(&mut buffer, length), None);
    assert_eq!(protector.protect_rtcp(&mut buffer, 7), None);
}

#[test]
fn a_direction_whose_key_stays_goes_on_where_it_was() {
    let (ours, theirs, new) =
        (key(Suite::AesCm128HmacSha1_80, 1), key(Suite::AesCm128HmacSha1_80, 2), key(Suite::AeadAes128Gcm, 3));
    let mut channel = Channel::follow(None, ours, theirs);
    let mut peer = Channel::follow(None, theirs, ours);
    let (first, wrapped) = (packet(7, 65_535), packet(7, 0));
    let heard = peer.protector.protected(&packet(9, 1));
    assert_eq!(peer.unprotector.unprotected(&channel.protector.protected(&first)), Ok(first));
    assert!(channel.unprotector.unprotect(&mut heard.clone()).is_ok());

    let mut channel = Channel::follow(Some(channel), ours, theirs);
    assert_eq!(peer.unprotector.unprotected(&channel.protector.protected(&wrapped)), Ok(wrapped));
    assert_eq!(channel.unprotector.unprotect(&mut heard.clone()), Err(Refused::Replayed));

    let mut channel = Channel::follow(Some(channel), ours, new);
    let next = packet(7, 1);
    assert_eq!(peer.unprotector.unprotected(&channel.protector.protected(&next)), Ok(next));
    assert_eq!(channel.unprotector.unprotect(&mut heard.clone()), Err(Refused::Forged));
    let changed = Protector::new(new).protected(&packet(9, 1));
    assert_eq!(channel.unprotector.unprotected(&changed), Ok(packet(9, 1)));
}

#[test]
fn keys_are_not_shown() {
    let secret = MasterKey::new(Suite::AesCm128HmacSha1_80, &[0xab; 30]).unwrap();

    let shown = format!("{secret:?} {:?} {:?}", Protector::new(secret), Unprotector::new(secret));

    assert!(!shown.to_lowercase().contains("ab,") && !shown.contains("171") && !shown.contains("abab"), "{shown}");
    assert_eq!(MasterKey::new(Suite::AesCm128HmacSha1_80, &[0; 29]), None);
}

proptest! {
    #[test]
    fn no_bytes_make_us_panic(bytes in prop::collection::vec(any::<u8>(), 0..120), suite in prop::sample::select(&Suite::ALL[..])) {
        let (mut protector, mut unprotector) = (Protector::new(key(suite, 1)), Unprotector::new(key(suite, 1)));
        let _ = unprotector.unprotect(&mut bytes.clone());
        let _ = unprotector.unprotect_rtcp(&mut bytes.clone());
        let mut buffer = [bytes.clone(), vec![0; LONGEST_TRAILER]].concat();
        if let Some(length) = protector.protect(&mut buffer, bytes.len()) {
            prop_assert_eq!(unprotector.unprotected(&buffer[..length]), Ok(bytes.clone()));
        }
        let mut buffer = [bytes.clone(), vec![0; LONGEST_TRAILER]].concat();
        if let Some(length) = protector.protect_rtcp(&mut buffer, bytes.len()) {
            prop_assert_eq!(unprotector.unprotect_rtcp(&mut buffer[..length]), Ok(bytes.len()));
            prop_assert_eq!(&buffer[..bytes.len()], &bytes[..]);
        }
    }
}

impl Protector {
    fn protected(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut buffer = [packet, &[0; LONGEST_TRAILER]].concat();
        let length = self.protect(&mut buffer, packet.len()).unwrap();
        buffer.truncate(length);
        buffer
    }

    fn protected_report(&mut self, report: &[u8]) -> Vec<u8> {
        let mut buffer = [report, &[0; LONGEST_TRAILER]].concat();
        let length = self.protect_rtcp(&mut buffer, report.len()).unwrap();
        buffer.truncate(length);
        buffer
    }
}

impl Unprotector {
    fn unprotected(&mut self, protected: &[u8]) -> Result<Vec<u8>, Refused> {
        let mut buffer = protected.to_vec();
        let length = self.unprotect(&mut buffer)?;
        buffer.truncate(length);
        Ok(buffer)
    }
}

fn protector_and_unprotector() -> (Protector, Unprotector) {
    let key = key(Suite::AesCm128HmacSha1_80, 1);
    (Protector::new(key), Unprotector::new(key))
}

fn key(suite: Suite, seed: u8) -> MasterKey {
    MasterKey::new(suite, &[seed; LONGEST_KEY]).unwrap()
}

fn packet(ssrc: u32, sequence: u16) -> Vec<u8> {
    Packet { marker: false, payload_type: 0, sequence, timestamp: 160, ssrc, payload: &[sequence as u8; 160] }.to_bytes()
}

pub(super) fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
