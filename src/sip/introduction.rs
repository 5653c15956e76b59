//! What a peer has shown of itself while hands were shaken, and so for whom its connection may be used.

use rustls::pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

use super::flow::Proof;

/// A longer certificate, in bytes, is forgotten after the handshake: it is kept as long as the connection.
const LONGEST_KEPT: usize = 16 * 1024;

/// What the handshake of a connection has shown about the peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Introduction {
    /// Whether it is trusted.
    pub(super) proof: Proof,
    /// Its own certificate, which an authority that we believe has signed.
    certificate: Option<CertificateDer<'static>>,
}

impl Introduction {
    /// Of a peer that has shown a certificate, if any, that was checked.
    pub(super) fn new(proof: Proof, certificate: Option<&CertificateDer<'_>>) -> Self {
        let certificate = certificate.filter(|certificate| certificate.len() <= LONGEST_KEPT);
        Self { proof, certificate: certificate.map(|certificate| certificate.clone().into_owned()) }
    }

    /// Whether there is a certificate to look for names in.
    pub(super) fn is_certified(&self) -> bool {
        self.certificate.is_some()
    }

    /// Whether the peer is the host of this name: then requests for the host may go to it.
    pub(super) fn names(&self, name: &ServerName<'_>) -> bool {
        let certificate = self.certificate.as_ref().and_then(|certificate| EndEntityCert::try_from(certificate).ok());
        certificate.is_some_and(|certificate| certificate.verify_is_valid_for_subject_name(name).is_ok())
    }
}

impl From<Proof> for Introduction {
    fn from(proof: Proof) -> Self {
        Self { proof, certificate: None }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn who_has_shown_nothing_is_nobody() {
        let nobody = Introduction::from(Proof::TrustedName);

        assert!(!nobody.is_certified() && !nobody.names(&ServerName::try_from("proxy.example").unwrap()));
        let too_long = CertificateDer::from(vec![0x30; LONGEST_KEPT + 1]);
        assert!(!Introduction::new(Proof::Nothing, Some(&too_long)).is_certified());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let shown = Introduction::new(Proof::Nothing, Some(&CertificateDer::from(bytes)));
            prop_assert!(!shown.names(&ServerName::try_from("proxy.example").unwrap()));
        }
    }
}
