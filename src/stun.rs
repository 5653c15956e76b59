//! STUN (RFC 8489) as far as a server needs it: reading binding requests and answering them.
//!
//! It serves the checks of a peer's ICE agent to our lite one (RFC 8445 §2.5), and keep-alives of telephones on the SIP port
//! (RFC 5626 §4.4.2). Pure: bytes in, bytes out, nothing allocated.

use std::net::{IpAddr, SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// Longer than any answer of ours.
pub const LONGEST_ANSWER: usize = 128;

const HEADER: usize = 20;
const ATTRIBUTE_HEADER: usize = 4;
const MAGIC: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;

const INTEGRITY_LENGTH: usize = 20;
const FINGERPRINT_XOR: u32 = 0x5354_554e;
/// How many attributes we do not know, and should, are named in an answer.
const MOST_UNKNOWN: usize = 4;

/// Whether a datagram is STUN, and neither RTP nor DTLS nor SIP on the same port (RFC 7983, RFC 8489 §5).
#[must_use]
pub fn is_stun(datagram: &[u8]) -> bool {
    let Some(header) = datagram.first_chunk::<HEADER>() else { return false };
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    header[0] < 4 && header[4..8] == MAGIC && length.is_multiple_of(4) && HEADER + length == datagram.len()
}

/// A binding request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    message: &'a [u8],
    username: Option<&'a [u8]>,
    /// Where its MESSAGE-INTEGRITY begins.
    integrity: Option<usize>,
    has_fingerprint: bool,
    use_candidate: bool,
    unknown: [u16; MOST_UNKNOWN],
    unknown_count: usize,
}

impl<'a> Request<'a> {
    /// Reads a datagram; `None` when it is no binding request, is malformed, or its FINGERPRINT is wrong.
    #[must_use]
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        if !is_stun(datagram) || u16::from_be_bytes([datagram[0], datagram[1]]) != BINDING_REQUEST {
            return None;
        }
        let mut request = Self {
            message: datagram,
            username: None,
            integrity: None,
            has_fingerprint: false,
            use_candidate: false,
            unknown: [0; MOST_UNKNOWN],
            unknown_count: 0,
        };
        let mut at = HEADER;
        while at < datagram.len() {
            let [kind_high, kind_low, length_high, length_low] = *datagram.get(at..)?.first_chunk::<ATTRIBUTE_HEADER>()?;
            let kind = u16::from_be_bytes([kind_high, kind_low]);
            let length = usize::from(u16::from_be_bytes([length_high, length_low]));
            let value = datagram.get(at + ATTRIBUTE_HEADER..at + ATTRIBUTE_HEADER + length)?;
            match kind {
                FINGERPRINT => {
                    let end = at + ATTRIBUTE_HEADER + length;
                    if value != fingerprint(&datagram[..at]) || end != datagram.len() {
                        return None;
                    }
                    request.has_fingerprint = true;
                }
                // What follows the integrity is not protected by it, and does not count.
                _ if request.integrity.is_some() => {}
                MESSAGE_INTEGRITY if length == INTEGRITY_LENGTH => request.integrity = Some(at),
                MESSAGE_INTEGRITY => return None,
                USERNAME => request.username = request.username.or(Some(value)),
                USE_CANDIDATE => request.use_candidate = true,
                PRIORITY => {}
                // Of the others, those below 0x8000 must be understood.
                0..0x8000 => {
                    if let Some(place) = request.unknown.get_mut(request.unknown_count) {
                        *place = kind;
                        request.unknown_count += 1;
                    }
                }
                0x8000.. => {}
            }
            at += ATTRIBUTE_HEADER + length.next_multiple_of(4);
        }
        Some(request)
    }

    /// Whom it says it is for and from: `ours:theirs` in a check of ICE.
    #[must_use]
    pub fn username(&self) -> Option<&'a [u8]> {
        self.username
    }

    /// Whether the peer's agent wants this path to be used (RFC 8445 §7.1.2).
    #[must_use]
    pub fn nominates(&self) -> bool {
        self.use_candidate
    }

    /// Whether it was made by somebody who knows the password. Compares in constant time.
    #[must_use]
    pub fn is_authentic(&self, password: &[u8]) -> bool {
        let Some(at) = self.integrity else { return false };
        let tag = &self.message[at + ATTRIBUTE_HEADER..at + ATTRIBUTE_HEADER + INTEGRITY_LENGTH];
        integrity(&self.message[..at], password).verify_slice(tag).is_ok()
    }

    /// The answer: where the request came from, or which of its attributes we do not know; protected by the password when there
    /// is one, and with a FINGERPRINT if it had one.
    #[must_use]
    pub fn answer<'b>(&self, source: SocketAddr, password: Option<&[u8]>, buffer: &'b mut [u8; LONGEST_ANSWER]) -> &'b [u8] {
        let mut answer = Answer { buffer, length: HEADER };
        answer.buffer[4..HEADER].copy_from_slice(&self.message[4..HEADER]);
        if self.unknown_count == 0 {
            answer.set_kind(BINDING_SUCCESS);
            let mut transaction = [0; 16];
            transaction.copy_from_slice(&self.message[4..HEADER]);
            let (value, length) = xor_mapped(source, &transaction);
            answer.push(XOR_MAPPED_ADDRESS, &value[..length]);
        } else {
            answer.set_kind(BINDING_ERROR);
            answer.push(ERROR_CODE, &[0, 0, 4, 20]);
            let mut unknown = [0; MOST_UNKNOWN * 2];
            for (place, kind) in unknown.chunks_exact_mut(2).zip(self.unknown) {
                place.copy_from_slice(&kind.to_be_bytes());
            }
            answer.push(UNKNOWN_ATTRIBUTES, &unknown[..self.unknown_count * 2]);
        }
        if let Some(password) = password {
            let tag = integrity(&answer.buffer[..answer.length], password).finalize().into_bytes();
            answer.push(MESSAGE_INTEGRITY, &tag);
        }
        if self.has_fingerprint {
            answer.set_length(answer.length + ATTRIBUTE_HEADER + 4);
            let value = fingerprint(&answer.buffer[..answer.length]);
            answer.push(FINGERPRINT, &value);
        }
        let Answer { buffer, length } = answer;
        &buffer[..length]
    }
}

/// An answer being written.
struct Answer<'b> {
    buffer: &'b mut [u8; LONGEST_ANSWER],
    length: usize,
}

impl Answer<'_> {
    fn set_kind(&mut self, kind: u16) {
        self.buffer[..2].copy_from_slice(&kind.to_be_bytes());
    }

    fn set_length(&mut self, end: usize) {
        self.buffer[2..4].copy_from_slice(&((end - HEADER) as u16).to_be_bytes());
    }

    fn push(&mut self, kind: u16, value: &[u8]) {
        let start = self.length + ATTRIBUTE_HEADER;
        self.buffer[self.length..self.length + 2].copy_from_slice(&kind.to_be_bytes());
        self.buffer[self.length + 2..start].copy_from_slice(&(value.len() as u16).to_be_bytes());
        self.length = start + value.len().next_multiple_of(4);
        self.buffer[start..self.length].fill(0);
        self.buffer[start..start + value.len()].copy_from_slice(value);
        self.set_length(self.length);
    }
}

/// The value of XOR-MAPPED-ADDRESS and its length (RFC 8489 §14.2); `key` is the magic cookie and the transaction.
fn xor_mapped(source: SocketAddr, key: &[u8; 16]) -> ([u8; 20], usize) {
    let mut value = [0; 20];
    let mut xored = |at: usize, bytes: &[u8]| {
        for (place, (byte, key)) in value[at..].iter_mut().zip(bytes.iter().zip(key)) {
            *place = byte ^ key;
        }
    };
    xored(2, &source.port().to_be_bytes());
    match source.ip().to_canonical() {
        IpAddr::V4(address) => {
            xored(4, &address.octets());
            value[1] = 1;
            (value, 8)
        }
        IpAddr::V6(address) => {
            xored(4, &address.octets());
            value[1] = 2;
            (value, 20)
        }
    }
}

/// The HMAC of a message up to its MESSAGE-INTEGRITY, with the length it has with it (RFC 8489 §14.5).
fn integrity(before: &[u8], password: &[u8]) -> Hmac<Sha1> {
    let length = (before.len() + ATTRIBUTE_HEADER + INTEGRITY_LENGTH - HEADER) as u16;
    let mac = Hmac::<Sha1>::new_from_slice(password).expect("HMAC takes keys of any length");
    mac.chain_update(&before[..2]).chain_update(length.to_be_bytes()).chain_update(&before[4..])
}

/// The value of FINGERPRINT of a message up to it: CRC-32, so that a peer is not confused by other protocols' packets.
fn fingerprint(before: &[u8]) -> [u8; 4] {
    let mut crc = u32::MAX;
    for &byte in before {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    (!crc ^ FINGERPRINT_XOR).to_be_bytes()
}

/// A check as the peer's ICE agent sends it.
#[cfg(test)]
pub(crate) fn check(username: &str, password: &[u8], nominate: bool) -> Vec<u8> {
    let mut message = [&BINDING_REQUEST.to_be_bytes()[..], &[0, 0], &MAGIC, &[7; 12]].concat();
    let mut push = |kind: u16, value: &[u8]| {
        message.extend(kind.to_be_bytes());
        message.extend((value.len() as u16).to_be_bytes());
        message.extend(value);
        message.resize(message.len().next_multiple_of(4), 0);
    };
    push(USERNAME, username.as_bytes());
    push(PRIORITY, &[1, 2, 3, 4]);
    if nominate {
        push(USE_CANDIDATE, &[]);
    }
    let tag = integrity(&message, password).finalize().into_bytes();
    message.extend([0, 8, 0, 20]);
    message.extend(tag);
    let length = (message.len() - HEADER) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
    message
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PASSWORD: &[u8] = b"VOkJxbRl1RmTxUk/WvJxBt";

    #[test]
    fn the_request_of_rfc_5769_is_understood() {
        let message = sample_request();

        let request = Request::parse(&message).expect("a request");

        assert_eq!(request.username(), Some(&b"evtj:h6vY"[..]));
        assert!(request.is_authentic(PASSWORD));
        assert!(!request.is_authentic(b"VOkJxbRl1RmTxUk/WvJxBu"));
        assert!(!request.nominates());
        assert_eq!((request.unknown_count, request.has_fingerprint), (0, true));
    }

    #[test]
    fn the_answers_of_rfc_5769_are_ours_but_for_the_name_of_the_software() {
        // The vectors name the software in front; what follows must be the same but for the sums.
        let cases = [
            ("192.0.2.1:32853", "0020 0008 0001a147e112a643"),
            ("[2001:db8:1234:5678:11:2233:4455:6677]:32853", "0020 0014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9"),
        ];

        for (source, mapped) in cases {
            let request = sample_request();
            let mut buffer = [0; LONGEST_ANSWER];
            let answer = Request::parse(&request).unwrap().answer(source.parse().unwrap(), Some(PASSWORD), &mut buffer);

            let mapped = unhex(mapped);
            assert_eq!(answer[..2], BINDING_SUCCESS.to_be_bytes());
            assert_eq!(answer[4..20], request[4..20]);
            assert_eq!(answer[20..20 + mapped.len()], mapped);
            assert!(is_stun(answer));
            let (before, sum) = answer.split_at(answer.len() - 4);
            assert_eq!(sum, fingerprint(&before[..before.len() - 4]));
            let at = 20 + mapped.len();
            assert!(integrity(&answer[..at], PASSWORD).verify_slice(&answer[at + 4..at + 24]).is_ok());
        }
        let sample = unhex(
            "0101003c2112a442b7e7a701bc34d686fa87dfae 8022000b7465737420766563746f7220 002000080001a147e112a643
             000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004c07d4c96",
        );
        assert!(integrity(&sample[..48], PASSWORD).verify_slice(&sample[52..72]).is_ok());
        assert_eq!(fingerprint(&sample[..72]), sample[76..]);
    }

    #[test]
    fn a_keep_alive_without_password_is_answered_without() {
        let message = unhex("000100002112a442 000102030405060708090a0b");
        let mut buffer = [0; LONGEST_ANSWER];

        let answer = Request::parse(&message).unwrap().answer("192.0.2.1:32853".parse().unwrap(), None, &mut buffer);

        assert_eq!(answer, unhex("0101000c2112a442 000102030405060708090a0b 002000080001a147e112a643"));
    }

    #[test]
    fn what_we_do_not_know_and_should_is_named() {
        let mut message = unhex("000100082112a442 000102030405060708090a0b 7ff10000 80770000");
        let mut buffer = [0; LONGEST_ANSWER];
        let answer = Request::parse(&message).unwrap().answer("192.0.2.1:1".parse().unwrap(), None, &mut buffer);

        assert_eq!(answer, unhex("011100102112a442 000102030405060708090a0b 0009000400000414 000a00027ff10000"));
        message[20] = 0x80;
        assert_eq!(Request::parse(&message).unwrap().unknown_count, 0);
    }

    #[test]
    fn what_is_behind_the_integrity_does_not_count() {
        let mut message = sample_request();
        let at = message.len() - 8;
        message.truncate(at);
        message.extend(unhex("00250000"));
        message[3] = (message.len() - HEADER) as u8;

        let request = Request::parse(&message).expect("a request");

        assert!(request.is_authentic(PASSWORD) && !request.nominates());
    }

    #[test]
    fn any_change_on_the_way_is_noticed() {
        let message = sample_request();
        for at in 0..message.len() {
            let mut changed = message.clone();
            changed[at] ^= 0x10;
            // A sum that is no sum any more is an attribute that may be left out.
            assert!(Request::parse(&changed).is_none_or(|request| !request.has_fingerprint), "byte {at}");
        }
        for length in 0..message.len() {
            assert!(Request::parse(&message[..length]).is_none(), "{length} bytes");
        }
    }

    #[test]
    fn other_protocols_are_not_stun() {
        assert!(!is_stun(b"REGISTER sip:example.com SIP/2.0\r\n\r\n"));
        assert!(!is_stun(&[0x80; 172]));
        assert!(!is_stun(&[22, 254, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
        assert!(!is_stun(&[]));
    }

    proptest! {
        #[test]
        fn no_bytes_make_us_panic(
            kind in 0_u16..4,
            attributes in prop::collection::vec((any::<u16>(), prop::collection::vec(any::<u8>(), 0..30)), 0..8),
            source in any::<(IpAddr, u16)>(),
        ) {
            let mut message = [&kind.to_be_bytes()[..], &[0, 0], &MAGIC, &[7; 12]].concat();
            for (kind, value) in attributes {
                message.extend(kind.to_be_bytes());
                message.extend((value.len() as u16).to_be_bytes());
                message.extend(&value);
                message.resize(message.len().next_multiple_of(4), 0);
            }
            let length = (message.len() - HEADER) as u16;
            message[2..4].copy_from_slice(&length.to_be_bytes());
            if let Some(request) = Request::parse(&message) {
                let _ = request.is_authentic(b"secret");
                let mut buffer = [0; LONGEST_ANSWER];
                prop_assert!(is_stun(request.answer(source.into(), Some(b"secret"), &mut buffer)));
            }
        }

        #[test]
        fn any_datagram_is_read_or_refused(datagram in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Request::parse(&datagram);
        }
    }

    fn sample_request() -> Vec<u8> {
        unhex(
            "000100582112a442b7e7a701bc34d686fa87dfae 802200105354554e207465737420636c69656e74 002400046e0001ff
             80290008932ff9b151263b36 000600096576746a3a68367659202020 000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2
             80280004e57a3bcf",
        )
    }

    fn unhex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
    }
}
