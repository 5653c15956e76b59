//! Symmetric RTP: which source address is believed, and so where we send.
//!
//! The address in the peer's SDP is believed at once. A peer behind NAT sends from elsewhere: another source is believed
//! after a few packets in a row, as long as none came from the address in the SDP. From then on every other source is
//! dropped and counted, or a stranger who sprays our ports could speak into a message, or have its prompts sent to them
//! ("RTP bleed").
//!
//! Nor is a stranger's word enough for where to send: whoever names somebody else's address in its SDP would have us speak to them. Its
//! own host has answered by the ACK; any other is sent nothing before it has sent something itself.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::packet::Packet;

/// How many packets in a row, by sequence number, make a source other than the SDP's believed.
const PROBATION: u8 = 4;
/// How long the believed source must be silent before another port of the same host may follow it: a NAT that forgot.
/// Long enough for a sender that sends nothing while nobody talks to have shown itself with comfort noise or a key.
const FORGOTTEN: Duration = Duration::from_secs(2);

/// Whom to believe in one session.
#[derive(Clone, Debug)]
pub struct Latch {
    announced: SocketAddr,
    believed: Option<SocketAddr>,
    /// The only host that is sent something before it has sent anything; none if all are.
    proven: Option<IpAddr>,
    heard_at: Duration,
    candidate: Option<Candidate>,
    dropped: u64,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It belongs to the call.
    Believed,
    /// It is a stranger's, or somebody's who is not believed yet.
    Dropped,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    source: SocketAddr,
    ssrc: u32,
    next: u16,
    packets: u8,
}

impl Latch {
    /// Expects the peer at the address `announced` in its SDP.
    #[must_use]
    pub fn new(announced: SocketAddr) -> Self {
        Self { announced, believed: None, proven: None, heard_at: Duration::ZERO, candidate: None, dropped: 0 }
    }

    /// Sends nothing to hosts that have sent nothing, but to this one, which has answered us otherwise.
    #[must_use]
    pub fn for_stranger(self, proven: IpAddr) -> Self {
        Self { proven: Some(proven.to_canonical()), ..self }
    }

    /// Whether something may be sent to [`Self::destination`].
    #[must_use]
    pub fn may_send(&self) -> bool {
        self.believed.is_some() || self.proven.is_none_or(|proven| proven == self.announced.ip().to_canonical())
    }

    /// Follows a new offer or answer. The same address again changes nothing.
    pub fn announce(&mut self, announced: SocketAddr) {
        if !same(announced, self.announced) {
            *self = Self { dropped: self.dropped, proven: self.proven, ..Self::new(announced) };
        }
    }

    /// Judges a packet that came from `source` at `now`; `is_key` for telephone-events.
    ///
    /// Keys from the announced address are believed whoever talks: some senders use one socket for audio and another for
    /// keys.
    pub fn judge(&mut self, source: SocketAddr, packet: &Packet<'_>, is_key: bool, now: Duration) -> Verdict {
        if self.believed.is_some_and(|believed| same(believed, source)) {
            self.heard_at = now;
            return Verdict::Believed;
        }
        if same(self.announced, source) {
            if !is_key || self.believed.is_none() {
                self.believe(source, now);
            }
            return Verdict::Believed;
        }
        let eligible = match self.believed {
            None => true,
            Some(believed) => believed.ip() == source.ip() && now.saturating_sub(self.heard_at) >= FORGOTTEN,
        };
        if eligible && self.passes_probation(source, packet) {
            self.believe(source, now);
            return Verdict::Believed;
        }
        self.dropped += 1;
        Verdict::Dropped
    }

    /// Where to send: back to the source that is believed, or to the announced address until there is one.
    #[must_use]
    pub fn destination(&self) -> SocketAddr {
        self.believed.unwrap_or(self.announced)
    }

    /// Whether RTCP from `source` can be of this call: from the host that is believed or announced.
    #[must_use]
    pub fn believes_host(&self, source: SocketAddr) -> bool {
        self.destination().ip() == source.ip()
    }

    /// Packets dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn believe(&mut self, source: SocketAddr, now: Duration) {
        self.believed = Some(source);
        self.heard_at = now;
        self.candidate = None;
    }

    fn passes_probation(&mut self, source: SocketAddr, packet: &Packet<'_>) -> bool {
        let packets = match self.candidate {
            Some(candidate)
                if same(candidate.source, source) && candidate.ssrc == packet.ssrc && candidate.next == packet.sequence =>
            {
                candidate.packets + 1
            }
            _ => 1,
        };
        self.candidate = Some(Candidate { source, ssrc: packet.ssrc, next: packet.sequence.wrapping_add(1), packets });
        packets >= PROBATION
    }
}

/// Compares address and port only: the scope of a link-local IPv6 address is not in an SDP.
fn same(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && a.ip() == b.ip()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_announced_address_is_believed_at_once() {
        let mut latch = Latch::new(addr("192.0.2.1:4000"));

        assert_eq!(latch.judge(addr("192.0.2.1:4000"), &packet(1), false, SECOND), Verdict::Believed);
        assert_eq!(latch.destination(), addr("192.0.2.1:4000"));
    }

    #[test]
    fn a_peer_behind_nat_is_believed_after_four_packets_in_a_row() {
        let mut latch = Latch::new(addr("10.0.0.1:4000"));
        let outside = addr("192.0.2.1:61000");

        let verdicts = [1, 2, 3, 4].map(|sequence| latch.judge(outside, &packet(sequence), false, SECOND));

        assert_eq!(verdicts, [Verdict::Dropped, Verdict::Dropped, Verdict::Dropped, Verdict::Believed]);
        assert_eq!(latch.destination(), outside);
    }

    #[test]
    fn scattered_packets_are_never_believed() {
        let mut latch = Latch::new(addr("10.0.0.1:4000"));

        for sequence in (0..100).step_by(7) {
            assert_eq!(latch.judge(addr("192.0.2.66:61000"), &packet(sequence), false, SECOND), Verdict::Dropped);
        }
        assert_eq!(latch.destination(), addr("10.0.0.1:4000"));
    }

    #[test]
    fn a_second_source_is_dropped_and_counted() {
        let mut latch = Latch::new(addr("192.0.2.1:4000"));
        latch.judge(addr("192.0.2.1:4000"), &packet(1), false, SECOND);

        for sequence in 0..500 {
            let now = SECOND + Duration::from_millis(20) * u32::from(sequence);
            assert_eq!(latch.judge(addr("203.0.113.9:4000"), &packet(sequence), false, now), Verdict::Dropped);
        }
        assert_eq!(latch.dropped(), 500);
        assert_eq!(latch.destination(), addr("192.0.2.1:4000"));
    }

    #[test]
    fn the_announced_address_wins_over_who_came_first() {
        let mut latch = Latch::new(addr("192.0.2.1:4000"));
        for sequence in 0..10 {
            latch.judge(addr("203.0.113.9:4000"), &packet(sequence), false, SECOND);
        }

        assert_eq!(latch.judge(addr("192.0.2.1:4000"), &packet(1), false, SECOND), Verdict::Believed);
        assert_eq!(latch.judge(addr("203.0.113.9:4000"), &packet(11), false, SECOND), Verdict::Dropped);
    }

    #[test]
    fn keys_from_the_announced_address_do_not_silence_the_talker() {
        let mut latch = Latch::new(addr("192.0.2.1:4000"));
        let talker = addr("192.0.2.1:4010");
        for sequence in 0..4 {
            latch.judge(talker, &packet(sequence), false, SECOND);
        }

        assert_eq!(latch.judge(addr("192.0.2.1:4000"), &packet(77), true, SECOND), Verdict::Believed);
        assert_eq!(latch.judge(talker, &packet(4), false, SECOND), Verdict::Believed);
        assert_eq!(latch.destination(), talker);
    }

    #[test]
    fn another_port_of_the_same_host_follows_when_the_first_fell_silent() {
        let mut latch = Latch::new(addr("10.0.0.1:4000"));
        for sequence in 0..4 {
            latch.judge(addr("192.0.2.1:61000"), &packet(sequence), false, SECOND);
        }
        let moved = addr("192.0.2.1:61007");

        let at_once = (4..20).map(|s| latch.judge(moved, &packet(s), false, SECOND)).all(|v| v == Verdict::Dropped);
        let later = (20..24).map(|s| latch.judge(moved, &packet(s), false, SECOND * 3)).last();

        assert!(at_once);
        assert_eq!(later, Some(Verdict::Believed));
    }

    #[test]
    fn another_host_never_follows_without_a_new_offer() {
        let mut latch = Latch::new(addr("192.0.2.1:4000"));
        latch.judge(addr("192.0.2.1:4000"), &packet(0), false, SECOND);
        let other = addr("192.0.2.2:4000");

        assert!((1..50).all(|s| latch.judge(other, &packet(s), false, SECOND * 20) == Verdict::Dropped));
        latch.announce(other);
        assert_eq!(latch.judge(other, &packet(50), false, SECOND * 20), Verdict::Believed);
    }

    #[test]
    fn a_stranger_cannot_have_us_speak_to_somebody_else() {
        let mut latch = Latch::new(addr("203.0.113.9:4000")).for_stranger(addr("192.0.2.1:5060").ip());
        assert!(!latch.may_send(), "nothing has come from there");

        latch.announce(addr("192.0.2.1:4000"));
        assert!(latch.may_send(), "its own host has sent the ACK");
        latch.announce(addr("203.0.113.9:4000"));
        assert!(!latch.may_send());
        latch.judge(addr("192.0.2.1:61000"), &packet(1), false, SECOND);
        assert!(!latch.may_send(), "one packet from elsewhere is not believed");
        latch.judge(addr("203.0.113.9:4000"), &packet(1), false, SECOND);

        assert!(latch.may_send());
        assert!(Latch::new(addr("203.0.113.9:4000")).may_send(), "a trusted peer's media may be anywhere");
    }

    #[test]
    fn the_same_offer_again_keeps_the_latch() {
        let mut latch = Latch::new(addr("10.0.0.1:4000"));
        for sequence in 0..4 {
            latch.judge(addr("192.0.2.1:61000"), &packet(sequence), false, SECOND);
        }

        latch.announce(addr("10.0.0.1:4000"));

        assert_eq!(latch.destination(), addr("192.0.2.1:61000"));
    }

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn packet(sequence: u16) -> Packet<'static> {
        Packet { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc: 1, payload: &[] }
    }
}
