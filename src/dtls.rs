//! DTLS handshakes on a stream's own port (RFC 5764), as values: datagrams and the time in, datagrams and in the end the keys out.
//!
//! The protocol is the `dimpl` crate's, versions 1.2 and 1.3. Here is what a call adds: who the peer must be, how often it may fail, and that
//! nobody is sent what they did not ask for.

// Tests may take their first moment from the clock.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use dimpl::{Config, Dtls, DtlsCertificate, SrtpProfile};

use crate::rtp::{
    secure::{DtlsTerms, Fingerprint},
    srtp::{MasterKey, Suite},
};

/// The most bytes of a datagram, so that it passes tunnels.
pub const LONGEST_DATAGRAM: usize = 1200;
/// How long a handshake may take.
const LONGEST: Duration = Duration::from_secs(20);
/// How long a finished one is kept, to repeat its last words to a peer that did not hear them.
const LINGER: Duration = Duration::from_secs(30);
/// How often a call's handshake may fail, as when a stranger meddles, before the call does.
const ATTEMPTS: u8 = 3;

/// The certificate with which this process answers handshakes. Made anew at each start, as descriptions name it.
#[derive(Debug)]
pub struct Identity {
    certificate: DtlsCertificate,
    fingerprint: Fingerprint,
    config: Arc<Config>,
}

impl Identity {
    /// A new key on the curve P-256, which every peer has (RFC 8827 §6.5), and a certificate for it.
    ///
    /// # Errors
    ///
    /// When the system has no randomness.
    pub fn generate() -> io::Result<Self> {
        let make = || {
            let key = rcgen::KeyPair::generate()?;
            let mut parameters = rcgen::CertificateParams::default();
            // Some peers take two certificates with one serial number for the same.
            parameters.serial_number = Some(rcgen::SerialNumber::from(rand::random::<[u8; 16]>().to_vec()));
            let certificate = parameters.self_signed(&key)?;
            Ok((certificate.der().to_vec(), key.serialize_der()))
        };
        let (certificate, private_key) = make().map_err(|error: rcgen::Error| io::Error::other(error))?;
        let fingerprint = Fingerprint::of(&certificate);
        let config = Config::builder().mtu(LONGEST_DATAGRAM).handshake_timeout(LONGEST).build();
        let config = Arc::new(config.map_err(io::Error::other)?);
        Ok(Self { certificate: DtlsCertificate { certificate, private_key }, fingerprint, config })
    }

    /// The fingerprint that descriptions name.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// What comes of a handshake.
#[derive(Debug)]
pub enum Output<'a> {
    /// Send this to the peer.
    Send(SocketAddr, &'a [u8]),
    /// The handshake is done, and these are the keys.
    Keys {
        /// For what we send.
        send: MasterKey,
        /// For what the peer sends.
        receive: MasterKey,
    },
    /// Nothing comes of it.
    Failed,
}

/// The handshake of one call.
pub struct Handshake {
    identity: Arc<Identity>,
    dtls: Dtls,
    terms: DtlsTerms,
    peer: SocketAddr,
    /// Whether anything has come from the peer.
    heard: bool,
    due: Instant,
    /// When it is forgotten.
    end: Instant,
    finished: bool,
    peer_is_right: bool,
    failures: u8,
}

impl Handshake {
    /// A handshake that begins with its first [`step`](Self::step), if it is for us to begin; `peer` is where it is begun.
    #[must_use]
    pub fn new(identity: &Arc<Identity>, terms: DtlsTerms, peer: SocketAddr, now: Instant) -> Self {
        Self {
            identity: Arc::clone(identity),
            dtls: dtls(identity, terms.active, now),
            terms,
            peer,
            heard: false,
            due: now,
            end: now + LONGEST,
            finished: false,
            peer_is_right: false,
            failures: 0,
        }
    }

    /// Whose keys it brings.
    #[must_use]
    pub fn terms(&self) -> &DtlsTerms {
        &self.terms
    }

    /// When it wants the next step, if no datagram comes before.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.due.min(self.end)
    }

    /// Whether its keys are told.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Who the peer is by its address, once something has come from it.
    #[must_use]
    pub fn heard_from(&self) -> Option<SocketAddr> {
        self.heard.then_some(self.peer)
    }

    /// Gives it the time and perhaps a datagram with its source, and tells what comes of it. Says whether it goes on.
    pub fn step(&mut self, now: Instant, datagram: Option<(SocketAddr, &[u8])>, tell: &mut dyn FnMut(Output<'_>)) -> bool {
        if self.end <= now {
            if !self.finished {
                tell(Output::Failed);
            }
            return false;
        }
        let mut went = self.dtls.handle_timeout(now).map_err(Failure::Dtls);
        if let (Ok(()), Some((source, bytes))) = (&went, datagram) {
            (self.peer, self.heard) = (source, true);
            went = self.dtls.handle_packet(bytes).map_err(Failure::Dtls);
        }
        let Err(error) = went.and_then(|()| self.pass_on(now, tell)) else { return true };
        if self.finished {
            // Its keys go on without it.
            return false;
        }
        self.failures += 1;
        tracing::debug!(%error, attempt = self.failures, "a DTLS handshake failed");
        // Whoever got as far as to show a certificate does not begin again, nor is it begun with somebody who said nothing.
        if self.failures == ATTEMPTS || !self.heard || !matches!(error, Failure::Dtls(_)) {
            tell(Output::Failed);
            return false;
        }
        self.dtls = dtls(&self.identity, self.terms.active, now);
        (self.due, self.peer_is_right) = (now, false);
        true
    }

    /// Passes on what DTLS has to say.
    fn pass_on(&mut self, now: Instant, tell: &mut dyn FnMut(Output<'_>)) -> Result<(), Failure> {
        let mut buffer = vec![0; 2 * LONGEST_DATAGRAM];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                dimpl::Output::Packet(bytes) => tell(Output::Send(self.peer, bytes)),
                dimpl::Output::BufferTooSmall { needed } => buffer.resize(needed, 0),
                dimpl::Output::PeerCert(certificate) => {
                    if !self.terms.peer.matches(certificate) {
                        return Err(Failure::WrongCertificate);
                    }
                    self.peer_is_right = true;
                }
                dimpl::Output::KeyingMaterial(material, profile) => {
                    if !self.peer_is_right {
                        return Err(Failure::NoCertificate);
                    }
                    tell(keys(&material, profile, self.terms.active).ok_or(Failure::UnknownSuite)?);
                    self.finished = true;
                    self.end = now + LINGER;
                }
                dimpl::Output::Timeout(due) => {
                    // Never at once again, whatever it asks for.
                    self.due = due.max(now + Duration::from_millis(1));
                    return Ok(());
                }
                // We have no use for data, and the end of the call is told by SIP.
                dimpl::Output::Connected | dimpl::Output::ApplicationData(_) | dimpl::Output::CloseNotify => {}
                _ => {}
            }
        }
    }
}

fn dtls(identity: &Identity, active: bool, now: Instant) -> Dtls {
    // A client of DTLS 1.3 fills its first datagram up to be answered by much; ours may go to somebody who asked for nothing.
    let new = if active { Dtls::new_12 } else { Dtls::new_auto };
    let mut dtls = new(Arc::clone(&identity.config), identity.certificate.clone(), now);
    dtls.set_active(active);
    dtls
}

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("DTLS: {0}")]
    Dtls(dimpl::Error),
    #[error("the peer's certificate is not the one that its description names")]
    WrongCertificate,
    #[error("the peer has shown no certificate")]
    NoCertificate,
    #[error("the handshake chose an encryption that we do not have")]
    UnknownSuite,
}

/// Splits the keys that both sides derive: the client's and the server's key, then the client's and the server's salt
/// (RFC 5764 §4.2).
fn keys(material: &[u8], profile: SrtpProfile, active: bool) -> Option<Output<'static>> {
    let suite = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Suite::AesCm128HmacSha1_80,
        SrtpProfile::AEAD_AES_128_GCM => Suite::AeadAes128Gcm,
        SrtpProfile::AEAD_AES_256_GCM => Suite::AeadAes256Gcm,
        // One that a later version of the crate may know.
        _ => return None,
    };
    let (keys, salts) = material.split_at_checked(2 * suite.key_length())?;
    let (client_key, server_key) = keys.split_at(suite.key_length());
    let (client_salt, server_salt) = salts.get(..2 * suite.salt_length())?.split_at(suite.salt_length());
    let of_client = MasterKey::new(suite, &[client_key, client_salt].concat())?;
    let of_server = MasterKey::new(suite, &[server_key, server_salt].concat())?;
    let (send, receive) = if active { (of_client, of_server) } else { (of_server, of_client) };
    Some(Output::Keys { send, receive })
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_sides_agree_on_keys() {
        let mut call = Call::new();

        let (ours, theirs) = call.shake_hands(|_| false);

        let (Told::Keys(send, receive), Told::Keys(sent, received)) = (ours, theirs) else { panic!("no keys") };
        assert!(send == received && receive == sent && send != receive);
        assert!(call.server.is_finished() && call.client.is_finished());
    }

    #[test]
    fn what_is_lost_on_the_way_comes_again() {
        // The first of each flight.
        let (ours, theirs) = Call::new().shake_hands(|datagram| [0, 3, 5].contains(&datagram));

        assert!(matches!((ours, theirs), (Told::Keys(..), Told::Keys(..))));
    }

    #[test]
    fn another_certificate_than_the_one_described_fails() {
        let mut call = Call::new();
        call.server.terms.peer = Fingerprint::of(b"somebody else's");

        let (ours, _) = call.shake_hands(|_| false);

        assert!(matches!(ours, Told::Failed));
    }

    #[test]
    fn bytes_that_are_no_handshake_do_not_hinder_it() {
        let mut call = Call::new();
        for length in 1..100 {
            call.server.step(call.now, Some((PEER, &vec![22; length])), &mut |_| {});
        }

        let (ours, theirs) = call.shake_hands(|_| false);

        assert!(matches!((ours, theirs), (Told::Keys(..), Told::Keys(..))));
    }

    #[test]
    fn who_does_not_show_that_it_is_there_is_sent_no_more_than_it_sent() {
        let mut call = Call::new();
        let mut hello = Vec::new();
        call.client.step(call.now, None, &mut |output| hello = sent(&output).to_vec());

        let (mut received, mut answered) = (0, 0);
        for _ in 0..3 {
            received += hello.len();
            call.server.step(call.now, Some((PEER, &hello)), &mut |output| answered += sent(&output).len());
        }
        while call.server.step(call.now, None, &mut |output| answered += sent(&output).len()) {
            call.now = call.server.due();
        }

        assert!((1..=received).contains(&answered), "{answered} bytes for {received}");
    }

    #[test]
    fn who_says_nothing_is_asked_a_few_times_and_no_more() {
        let mut call = Call::new();
        let (mut bytes, mut failed) = (0, 0);
        while call.client.step(call.now, None, &mut |output| match output {
            Output::Failed => failed += 1,
            output => bytes += sent(&output).len(),
        }) {
            call.now = call.client.due();
        }

        // The request that named the address was longer than that, with its acknowledgement.
        assert!((200..2000).contains(&bytes) && failed == 1, "{bytes} bytes, {failed}");
    }

    #[test]
    fn a_finished_handshake_lingers_and_is_forgotten() {
        let mut call = Call::new();
        call.shake_hands(|_| false);

        let finished = call.now;
        let mut told = 0;
        while call.server.step(call.now, None, &mut |_| told += 1) {
            call.now = call.server.due().max(call.now + Duration::from_millis(1));
        }

        assert!(call.now - finished <= LINGER + Duration::from_secs(1) && told == 0);
    }

    proptest! {
        #[test]
        fn any_records_at_all(
            active: bool,
            records in prop::collection::vec((19_u8..26, 0_u16..2, 0_u8..30, prop::collection::vec(any::<u8>(), 0..80), 0_usize..400), 0..20),
        ) {
            let mut call = Call::new();
            let (handshake, other) = if active { (&mut call.client, &mut call.server) } else { (&mut call.server, &mut call.client) };
            let mut real = vec![0; 1];
            for side in [&mut *handshake, other] {
                side.step(call.now, None, &mut |output| real = sent(&output).to_vec());
            }
            for (kind, epoch, message, body, at) in records {
                let mut record = vec![kind, 254, 253];
                record.extend(epoch.to_be_bytes());
                record.extend([0; 6]);
                record.extend((body.len() as u16 + 1).to_be_bytes());
                record.push(message);
                record.extend(&body);
                // And a real one that was changed on the way.
                let at = at % real.len();
                real[at] ^= message;
                for datagram in [&record, &real] {
                    handshake.step(call.now, Some((PEER, datagram)), &mut |output| assert!(!matches!(output, Output::Keys { .. })));
                }
            }
        }
    }

    const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 4000);

    #[derive(Debug)]
    enum Told {
        Keys(MasterKey, MasterKey),
        Failed,
    }

    /// Two sides, and a time that passes when both wait.
    struct Call {
        server: Handshake,
        client: Handshake,
        now: Instant,
    }

    impl Call {
        fn new() -> Self {
            static IDENTITIES: LazyLock<[Arc<Identity>; 2]> =
                LazyLock::new(|| [(); 2].map(|()| Arc::new(Identity::generate().expect("randomness"))));
            let [server, client] = &*IDENTITIES;
            let now = Instant::now();
            let terms = |peer: &Identity, active| DtlsTerms { peer: peer.fingerprint(), active, ice: None };
            Self {
                server: Handshake::new(server, terms(client, false), PEER, now),
                client: Handshake::new(client, terms(server, true), PEER, now),
                now,
            }
        }

        /// Carries datagrams from one side to the other, but for those that `loses` says, until both know what came of it, or the
        /// server does and the client cannot.
        fn shake_hands(&mut self, loses: impl Fn(usize) -> bool) -> (Told, Told) {
            let mut told = [None, None];
            let mut on_the_way: Vec<(usize, Vec<u8>)> = Vec::new();
            let mut carried = 0;
            for _ in 0..1000 {
                let arriving = std::mem::take(&mut on_the_way);
                if arriving.is_empty() {
                    self.now = self.server.due().min(self.client.due()).max(self.now + Duration::from_millis(1));
                }
                let steps =
                    [(0, None), (1, None)].into_iter().chain(arriving.iter().map(|(to, bytes)| (*to, Some((PEER, &bytes[..])))));
                for (side, datagram) in steps {
                    let handshake = if side == 0 { &mut self.server } else { &mut self.client };
                    handshake.step(self.now, datagram, &mut |output| match output {
                        Output::Send(to, bytes) => {
                            assert!(to == PEER && bytes.len() <= LONGEST_DATAGRAM);
                            if !loses(carried) {
                                on_the_way.push((1 - side, bytes.to_vec()));
                            }
                            carried += 1;
                        }
                        Output::Keys { send, receive } => told[side] = Some(Told::Keys(send, receive)),
                        Output::Failed => told[side] = Some(Told::Failed),
                    });
                }
                match std::mem::take(&mut told) {
                    [Some(Told::Failed), other] => return (Told::Failed, other.unwrap_or(Told::Failed)),
                    [Some(ours), Some(theirs)] => return (ours, theirs),
                    other => told = other,
                }
            }
            panic!("no end: {told:?}")
        }
    }

    fn sent<'a>(output: &Output<'a>) -> &'a [u8] {
        match output {
            Output::Send(_, bytes) => bytes,
            Output::Keys { .. } | Output::Failed => &[],
        }
    }
}
