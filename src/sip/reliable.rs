//! A provisional response that must arrive (RFC 3262), as data: it is repeated until its PRACK.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{
    timer::{T1, TRANSACTION_LIFE},
    transaction::Due,
    wire::RAck,
};

/// The latest reliable provisional response to an INVITE. There is never a second one before the first is acknowledged (§3).
#[derive(Debug)]
pub(super) struct Reliable {
    number: u32,
    /// CSeq of the INVITE.
    sequence: u32,
    /// Whether it brought an offer of ours, and the PRACK is to bring the answer (§5).
    pub(super) has_offer: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    Repeating {
        response: Bytes,
        interval: Duration,
        send_at: Instant,
        give_up_at: Instant,
    },
    /// A final response was sent, so it is repeated no more; a PRACK is still welcome.
    Overtaken,
    Acknowledged,
}

impl Reliable {
    /// Starts with the response, which its user sends for the first time.
    pub(super) fn new(number: u32, sequence: u32, has_offer: bool, response: Bytes, now: Instant) -> Self {
        let state = State::Repeating { response, interval: T1, send_at: now + T1, give_up_at: now + TRANSACTION_LIFE };
        Self { number, sequence, has_offer, state }
    }

    /// The number of the next such response.
    pub(super) fn next_number(&self) -> u32 {
        self.number + 1
    }

    /// Takes a PRACK. Returns whether it acknowledges this response, which can happen once.
    pub(super) fn acknowledge(&mut self, rack: &RAck) -> bool {
        let is_meant = !self.is_acknowledged()
            && (rack.response, rack.sequence, rack.method.as_str()) == (self.number, self.sequence, "INVITE");
        if is_meant {
            self.state = State::Acknowledged;
        }
        is_meant
    }

    /// Whether its PRACK has come.
    pub(super) fn is_acknowledged(&self) -> bool {
        matches!(self.state, State::Acknowledged)
    }

    /// Whether an offer of ours waits for its answer.
    pub(super) fn awaits_answer(&self) -> bool {
        self.has_offer && !self.is_acknowledged()
    }

    /// Notes that a final response was sent.
    pub(super) fn overtake(&mut self) {
        if !self.is_acknowledged() {
            self.state = State::Overtaken;
        }
    }

    /// When [`Self::tick`] wants to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Repeating { send_at, give_up_at, .. } => Some(send_at.min(give_up_at)),
            State::Overtaken | State::Acknowledged => None,
        }
    }

    /// Does what is due. The intervals double without an upper limit (§3).
    pub(super) fn tick(&mut self, now: Instant) -> Option<Due> {
        match &mut self.state {
            State::Repeating { give_up_at, .. } if *give_up_at <= now => Some(Due::GaveUp),
            State::Repeating { response, interval, send_at, .. } if *send_at <= now => {
                *interval *= 2;
                *send_at = now + *interval;
                Some(Due::Send(response.clone()))
            }
            State::Repeating { .. } | State::Overtaken | State::Acknowledged => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RINGING: Bytes = Bytes::from_static(b"180");

    fn rack(text: &str) -> RAck {
        RAck::parse(text).unwrap()
    }

    #[test]
    fn it_is_repeated_with_doubling_intervals_until_it_is_given_up() {
        let start = Instant::now();
        let mut reliable = Reliable::new(7, 1, false, RINGING, start);
        let mut sent = Vec::new();

        let end = loop {
            let now = reliable.deadline().unwrap();
            match reliable.tick(now) {
                Some(Due::Send(_)) => sent.push((now - start).as_millis()),
                end => break (end, now - start),
            }
        };

        assert_eq!(sent, [500, 1500, 3500, 7500, 15_500, 31_500]);
        assert_eq!(end, (Some(Due::GaveUp), TRANSACTION_LIFE));
    }

    #[test]
    fn only_the_right_prack_ends_it_and_only_once() {
        let mut reliable = Reliable::new(7, 1, true, RINGING, Instant::now());

        assert!(!reliable.acknowledge(&rack("8 1 INVITE")));
        assert!(!reliable.acknowledge(&rack("7 2 INVITE")));
        assert!(!reliable.acknowledge(&rack("7 1 UPDATE")));
        assert!(reliable.awaits_answer());
        assert!(reliable.acknowledge(&rack("7 1 INVITE")));
        assert!(!reliable.acknowledge(&rack("7 1 INVITE")));
        assert_eq!((reliable.deadline(), reliable.awaits_answer(), reliable.next_number()), (None, false, 8));
    }

    #[test]
    fn a_final_response_overtakes_it_and_its_prack_may_still_come() {
        let start = Instant::now();
        let mut reliable = Reliable::new(7, 1, false, RINGING, start);

        reliable.overtake();

        assert_eq!((reliable.deadline(), reliable.tick(start + TRANSACTION_LIFE)), (None, None));
        assert!(reliable.acknowledge(&rack("7 1 INVITE")));
    }
}
