//! The protection of one call's media.

use crate::rtp::{Security, srtp::Channel};

/// What protects one call.
#[derive(Debug)]
pub(super) struct Secure {
    /// Both directions, once there are keys.
    channel: Option<Channel>,
}

impl Secure {
    /// The protection that was agreed on after `before`, `None` for none.
    pub(super) fn follow(before: Option<Box<Self>>, security: Security) -> Option<Box<Self>> {
        match security {
            Security::Keys { send, receive } => {
                let before = before.and_then(|before| before.channel);
                Some(Box::new(Self { channel: Some(Channel::follow(before, send, receive)) }))
            }
            Security::None | Security::Dtls(_) => None,
        }
    }

    /// Whether keys are there, so that audio can be sent.
    pub(super) fn is_ready(&self) -> bool {
        self.channel.is_some()
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
