//! The user agent server's part in requests outside calls: handing them over, and sending their answers.

use super::*;
use crate::sip::request::{LONGEST_REQUEST, Reply};

impl Uas {
    /// Hands over a request that others answer.
    pub(super) fn outside(&mut self, inbound: Inbound, now: Instant) {
        if inbound.length > LONGEST_REQUEST {
            return self.reject(&inbound, 513);
        }
        let merge_key = self.keys.merge_key(&inbound);
        if inbound.to_tag.is_none() && self.waiting.has_copy_of(merge_key) {
            return self.reject(&inbound, 482);
        }
        let has_room = self.waiting.has_room_for(inbound.flow.remote.ip()) && self.requests.len() < self.most_transactions();
        if self.draining || !has_room {
            return self.reject_for_overload(&inbound);
        }
        let tag = tag_text(self.keys.stateless_tag(&inbound.request.headers));
        let (reference, request, give_up_at) = self.waiting.take(inbound, merge_key, tag, now);
        self.timers.set(Timer::Waiting(reference), Some(give_up_at));
        self.outputs.push_back(Output::Request(reference, Box::new(request)));
    }

    /// The connection that a request outside a call came by, while it waits for its answer.
    #[must_use]
    pub fn came_by(&self, reference: RequestRef) -> Option<ConnectionId> {
        self.waiting.connection(reference)
    }

    /// Answers a request outside a call. One that was answered already, or timed out, is not answered again.
    pub fn respond(&mut self, reference: RequestRef, reply: Reply, now: Instant) {
        let Some(waiting) = self.waiting.remove(reference) else { return };
        self.timers.set(Timer::Waiting(reference), None);
        let (id, path) = (waiting.id, waiting.reply_to);
        self.send_and_remember(id, path, waiting.answered(reply), now);
    }

    /// Answers a request outside a call that nobody has answered in time, or can.
    pub fn shed(&mut self, reference: RequestRef, now: Instant) {
        let reply = Reply::status(503).with(retry_after(self.config.retry_after));
        self.respond(reference, reply, now);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Test, message, status};
    use super::*;
    use crate::sip::request::OutsideRequest;

    #[test]
    fn a_request_waits_for_its_answer_and_its_repetitions_get_the_same() {
        let mut test = Test::new();

        test.send(register(1));
        let (reference, request) = test.request_handed_over();
        test.send(register(1));
        assert!(test.nothing_sent());
        test.uas.respond(reference, Reply::status(200).with(Header::Expires("60".into())), test.now);
        let answer = test.received();
        test.send(register(1));

        assert_eq!(request.method(), Method::Register);
        assert_eq!(request.flow, test.flow);
        assert_eq!(status(&answer), 200);
        assert!(answer.contains("\r\nExpires: 60\r\n"), "{answer}");
        assert_eq!(test.received(), answer);
        assert!(test.requests.is_empty());
        test.settles();
    }

    #[test]
    fn a_second_copy_by_another_way_gets_482_while_the_first_waits() {
        let mut test = Test::new();
        let by_another_way = register(1).replace("z9hG4bK-1-", "z9hG4bK-other-way-");

        test.send(register(1));
        let (reference, _) = test.request_handed_over();
        test.send(by_another_way.clone());
        let merged = test.received();
        test.send(by_another_way.replace("REGISTER", "SUBSCRIBE"));
        let (subscription, _) = test.request_handed_over();
        for waiting in [reference, subscription] {
            test.uas.respond(waiting, Reply::status(200), test.now);
        }

        assert_eq!(status(&merged), 482);
        assert_eq!(test.all_received().iter().map(|text| status(text)).collect::<Vec<_>>(), [200, 200]);
        assert!(test.requests.is_empty());
        test.settles();
    }

    #[test]
    fn an_answer_may_begin_a_dialog_and_a_request_in_one_is_handed_over_too() {
        let mut test = Test::new();

        test.send(message("SUBSCRIBE", "1", 1, "", ""));
        let (reference, _) = test.request_handed_over();
        test.uas.respond(reference, Reply { to_tag: Some("ours".to_owned()), ..Reply::status(200) }, test.now);
        assert!(test.received().contains("\r\nTo: <sip:6001@192.0.2.9>;tag=ours\r\n"));
        test.send(message("SUBSCRIBE", "1", 2, "", "").replace("6001@192.0.2.9>\r\n", "6001@192.0.2.9>;tag=ours\r\n"));

        let (reference, _) = test.request_handed_over();
        test.uas.respond(reference, Reply::status(481), test.now);
        let answer = test.received();
        assert_eq!(status(&answer), 481);
        assert_eq!(answer.matches("tag=ours").count(), 1);
    }

    #[test]
    fn a_request_that_nobody_answers_is_shed() {
        let mut test = Test::new();
        test.send(register(1));
        let (reference, _) = test.request_handed_over();

        test.pass(Duration::from_secs(9));
        assert!(test.nothing_sent());
        test.pass(Duration::from_secs(1));
        let answer = test.received();
        test.uas.respond(reference, Reply::status(200), test.now);

        assert_eq!(status(&answer), 503);
        assert!(answer.contains("\r\nRetry-After: 5\r\n"), "{answer}");
        assert!(test.nothing_sent());
        test.settles();
    }

    #[test]
    fn one_address_leaves_room_for_others_and_all_together_are_bounded() {
        let mut test = Test::new();
        let shed = |test: &mut Test, address: &str| {
            test.flow.remote = address.parse().unwrap();
            let from_there = |number| {
                let own = [("192.0.2.1:5060;", format!("{address};")), ("call-", format!("call-of-{address}-"))];
                own.iter().fold(register(number), |request, (of_other, own)| request.replace(of_other, own))
            };
            (0..1000).for_each(|number| test.send(from_there(number)));
            test.all_received().iter().filter(|answer| status(answer) == 503).count()
        };

        assert_eq!(shed(&mut test, "192.0.2.1:5060"), 1000 - 512);
        assert_eq!(shed(&mut test, "192.0.2.2:5060"), 1000 - 512);
        assert_eq!(shed(&mut test, "192.0.2.3:5060"), 1000);
        test.pass(Duration::from_secs(10));
        test.all_received();
        test.pass(Duration::from_secs(33));
        test.requests.clear();
        assert_eq!(shed(&mut test, "192.0.2.3:5060"), 1000 - 512);
    }

    #[test]
    fn a_request_of_pages_is_refused_and_so_is_one_to_a_server_that_stops() {
        let mut test = Test::new();

        test.send(register(1).replace("Max-Forwards", &format!("X-Long: {}\r\nMax-Forwards", "x".repeat(LONGEST_REQUEST))));
        assert_eq!(status(&test.received()), 513);
        test.uas.drain();
        test.send(register(2));

        assert_eq!(status(&test.received()), 503);
        assert!(test.requests.is_empty());
    }

    fn register(number: u32) -> String {
        message("REGISTER", &number.to_string(), 1, "", "").replace("z9hG4bK-1-", &format!("z9hG4bK-{number}-"))
    }

    impl Test {
        pub(in crate::sip::uas) fn request_handed_over(&mut self) -> (RequestRef, OutsideRequest) {
            self.requests.pop_front().expect("a request was handed over")
        }
    }
}
