//! The protection of one call's media: the keys, where they come from, and the path that the peer's ICE agent has chosen.

use std::{net::SocketAddr, time::Duration};

use crate::{
    rtp::{
        Security,
        secure::{DtlsTerms, Fingerprint, IceCredentials},
        srtp::{Channel, MasterKey},
    },
    stun::{self, LONGEST_ANSWER},
};

/// How many addresses of a peer are remembered that have passed a check.
const MOST_PATHS: usize = 8;
/// How long we send on without a check of the peer's (RFC 7675 §5.1).
const CONSENT: Duration = Duration::from_secs(30);
/// How many datagrams of a handshake are taken at once, and again each 20 ms: more is no handshake.
const MOST_AT_ONCE: u8 = 16;

/// What protects one call.
#[derive(Debug)]
pub(super) struct Secure {
    /// Both directions, once there are keys.
    channel: Option<Channel>,
    dtls: Option<DtlsTerms>,
    /// Whether the handshake has begun.
    begun: bool,
    ice: Option<Ice>,
    /// How many datagrams of a handshake may still come in this moment.
    allowance: u8,
    /// Whether DTLS came from the host that the peer's description names.
    announced_heard: bool,
}

/// The lite agent's side of one call (RFC 8445 §2.5): it answers checks and believes nominations.
#[derive(Debug)]
struct Ice {
    credentials: IceCredentials,
    /// Who passed a check, the latest last.
    checked: Vec<SocketAddr>,
    nominated: Option<SocketAddr>,
    checked_at: Duration,
}

/// What a STUN request was.
pub(super) struct Check {
    /// What to answer.
    pub(super) answer: [u8; LONGEST_ANSWER],
    /// How long the answer is.
    pub(super) length: usize,
    /// Whether this is now the path, and was not before.
    pub(super) chosen: bool,
}

impl Secure {
    /// The protection that was agreed on after `before`, `None` for none.
    pub(super) fn follow(before: Option<Box<Self>>, security: Security) -> Option<Box<Self>> {
        let nothing =
            Self { channel: None, dtls: None, begun: false, ice: None, allowance: MOST_AT_ONCE, announced_heard: false };
        match security {
            Security::None => None,
            Security::Keys { send, receive } => {
                let before = before.and_then(|before| before.channel);
                Some(Box::new(Self { channel: Some(Channel::follow(before, send, receive)), ..nothing }))
            }
            Security::Dtls(terms) => {
                let ice = terms.ice.map(|credentials| Ice {
                    credentials,
                    checked: Vec::with_capacity(MOST_PATHS),
                    nominated: None,
                    checked_at: Duration::ZERO,
                });
                // With the same certificate on both sides the association goes on, and with the same credentials the path.
                let same = before.filter(|before| before.dtls.is_some_and(|dtls| dtls.peer == terms.peer));
                let Some(mut same) = same else { return Some(Box::new(Self { dtls: Some(terms), ice, ..nothing })) };
                if same.dtls.and_then(|dtls| dtls.ice) != terms.ice {
                    same.ice = ice;
                }
                same.dtls = Some(terms);
                Some(same)
            }
        }
    }

    /// What handshake to begin now, and with whom; once, and where the peer's agent checks paths only after a check was passed, so
    /// that nothing is sent to an address that has not asked for it.
    pub(super) fn begin(&mut self, announced: SocketAddr) -> Option<(DtlsTerms, SocketAddr)> {
        let terms = self.dtls.filter(|_| !self.begun)?;
        let peer = match &self.ice {
            Some(ice) => *ice.checked.last()?,
            None => announced,
        };
        self.begun = true;
        Some((terms, peer))
    }

    /// Whether keys are there and a path, so that audio can be sent.
    pub(super) fn is_ready(&self, now: Duration) -> bool {
        let consents = |ice: &Ice| ice.nominated.is_some() && now.saturating_sub(ice.checked_at) < CONSENT;
        self.channel.is_some() && self.ice.as_ref().is_none_or(consents)
    }

    /// Whether the peer's agent has chosen a path.
    pub(super) fn has_path(&self) -> bool {
        self.ice.as_ref().is_some_and(|ice| ice.nominated.is_some())
    }

    /// Takes what a handshake with the owner of a certificate has come to, if that is still the peer.
    pub(super) fn set_keys(&mut self, peer: Fingerprint, send: MasterKey, receive: MasterKey) {
        if self.dtls.is_none_or(|terms| terms.peer != peer) {
            return;
        }
        self.channel = Some(Channel::follow(self.channel.take(), send, receive));
    }

    /// Answers a check; `None` when it is not the peer's, who gets no answer.
    pub(super) fn check(&mut self, datagram: &[u8], source: SocketAddr, now: Duration) -> Option<Check> {
        let ice = self.ice.as_mut()?;
        let request = stun::Request::parse(datagram)?;
        let password = ice.credentials.password().as_bytes();
        if !request.username().is_some_and(|username| ice.credentials.is_for_us(username)) || !request.is_authentic(password) {
            return None;
        }
        let mut answer = [0; LONGEST_ANSWER];
        let length = request.answer(source, Some(password), &mut answer).len();
        ice.checked_at = now;
        if !ice.checked.contains(&source) {
            if ice.checked.len() == MOST_PATHS {
                ice.checked.remove(0);
            }
            ice.checked.push(source);
        }
        let chosen = request.nominates() && ice.nominated.replace(source) != Some(source);
        Some(Check { answer, length, chosen })
    }

    /// Whether a datagram of a handshake is the peer's, as far as its address can tell: one that passed a check, or else one of
    /// the `announced` host. A peer behind NAT comes from elsewhere; it is listened to while nothing came from that host.
    pub(super) fn takes_handshake_from(&mut self, source: SocketAddr, announced: SocketAddr) -> bool {
        let Some(allowance) = self.allowance.checked_sub(1).filter(|_| self.dtls.is_some()) else { return false };
        self.allowance = allowance;
        if let Some(ice) = &self.ice {
            return ice.checked.contains(&source);
        }
        let is_announced = source.ip().to_canonical() == announced.ip().to_canonical();
        self.announced_heard |= is_announced;
        is_announced || !self.announced_heard
    }

    /// 20 ms have passed.
    pub(super) fn rest(&mut self) {
        self.allowance = MOST_AT_ONCE;
    }

    /// Whether reports go out and come in: RTCP on a port of its own would need a handshake of its own, which we do not do.
    pub(super) fn has_reports(&self, mux: bool) -> bool {
        mux || self.dtls.is_none()
    }

    /// Protects a packet of ours in place; answers its new length, or `None` when it cannot be sent.
    pub(super) fn protect(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        self.channel.as_mut()?.protector.protect(buffer, length)
    }

    /// Protects a report of ours in place.
    pub(super) fn protect_report(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        self.channel.as_mut()?.protector.protect_rtcp(buffer, length)
    }

    /// Decrypts a packet of the peer's in place; `None` when it is not the peer's, which is counted.
    pub(super) fn unprotect(&mut self, datagram: &mut [u8]) -> Option<usize> {
        self.channel.as_mut()?.unprotector.unprotect(datagram).ok()
    }

    /// Decrypts a report of the peer's in place.
    pub(super) fn unprotect_report(&mut self, datagram: &mut [u8]) -> Option<usize> {
        self.channel.as_mut()?.unprotector.unprotect_rtcp(datagram).ok()
    }

    /// Packets that were dropped because they were forged, and because they had been there before.
    pub(super) fn refused(&self) -> (u64, u64) {
        let unprotector = self.channel.as_ref().map(|channel| &channel.unprotector);
        unprotector.map_or((0, 0), |unprotector| (unprotector.forged(), unprotector.replayed()))
    }
}
