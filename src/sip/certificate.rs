//! The names in a peer's certificate, and whether one of them is trusted (RFC 5922 §7.1).

use std::net::IpAddr;

use rustls::pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

/// The longest subject that is read, in bytes; a common name has 64 characters at most.
const LONGEST_SUBJECT: usize = 4096;

/// Whether a certificate, whose signature was checked before, names one of `trusted`.
///
/// A name is a DNS name, a URI or an IP address of the subject alternative names. A certificate without any of these may say its name
/// in the subject's common name. A URI `sip:example.com` also names `example.com`. A wildcard names nobody but itself: it would
/// let any machine of a domain speak for each other (RFC 5922 §7.2).
pub(super) fn names_one_of(certificate: &CertificateDer<'_>, trusted: &[String]) -> bool {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return false };
    let mut names: Vec<String> = certificate.valid_dns_names().map(str::to_owned).collect();
    for uri in certificate.valid_uri_names() {
        names.push(uri.to_owned());
        let domain = uri.strip_prefix("sip:").or_else(|| uri.strip_prefix("sips:"));
        names.extend(domain.filter(|domain| !domain.contains(['@', ';', '?', ':'])).map(str::to_owned));
    }
    let has_address = |name: &String| {
        name.parse::<IpAddr>()
            .is_ok_and(|address| certificate.verify_is_valid_for_subject_name(&ServerName::IpAddress(address.into())).is_ok())
    };
    if trusted.iter().any(has_address) {
        return true;
    }
    if names.is_empty() {
        names.extend(common_name(certificate.subject()));
    }
    trusted.iter().any(|trusted| names.iter().any(|name| name.eq_ignore_ascii_case(trusted)))
}

/// The last common name of a subject, which is a DER sequence of sets of sequences of a type and a value (RFC 5280 §4.1.2.4).
fn common_name(subject: &[u8]) -> Option<String> {
    const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    let mut sets = subject.get(..subject.len().min(LONGEST_SUBJECT))?;
    // Libraries differ in whether the outermost header is part of a subject.
    if let Some((SEQUENCE, content, [])) = element(sets) {
        sets = content;
    }
    let mut found = None;
    while let Some((SET, mut attributes, rest)) = element(sets) {
        while let Some((SEQUENCE, attribute, more)) = element(attributes) {
            let name = element(attribute).filter(|(tag, kind, _)| (*tag, *kind) == (OBJECT_IDENTIFIER, COMMON_NAME));
            if let Some((UTF8_STRING | PRINTABLE_STRING | IA5_STRING, text, _)) = name.and_then(|(_, _, value)| element(value)) {
                found = std::str::from_utf8(text).ok().map(str::to_owned);
            }
            attributes = more;
        }
        sets = rest;
    }
    found
}

const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0C;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

/// The first DER element: its tag, its content, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7F => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => (usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?])), &rest[2..]),
        // Longer than anything that is read here.
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_common_name_is_found_among_other_parts() {
        // C=FR, O=Carrier, CN=sbc.example
        let subject = [
            &[0x31, 0x0B, 0x30, 0x09, 0x06, 0x03, 0x55, 0x04, 0x06, 0x13, 0x02][..],
            b"FR",
            &[0x31, 0x10, 0x30, 0x0E, 0x06, 0x03, 0x55, 0x04, 0x0A, 0x0C, 0x07],
            b"Carrier",
            &[0x31, 0x14, 0x30, 0x12, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0C, 0x0B],
            b"sbc.example",
        ]
        .concat();
        let whole = [&[0x30, u8::try_from(subject.len()).unwrap()][..], &subject].concat();

        assert_eq!(common_name(&subject).as_deref(), Some("sbc.example"));
        assert_eq!(common_name(&whole).as_deref(), Some("sbc.example"));
        assert_eq!(common_name(&subject[..30]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = common_name(&bytes);
            let _ = names_one_of(&CertificateDer::from(bytes), &["a".to_owned()]);
        }
    }
}
