//! Ringing that must arrive (RFC 3262), and offers in it.

use super::*;

const RELIABLE: &str = "Max-Forwards: 70\r\nRequire: 100rel";

#[test]
fn ringing_is_reliable_for_who_requires_it_and_is_repeated_until_its_prack() {
    let mut test = Test::new();
    test.send(invite(1, OFFER).replace("Max-Forwards: 70", RELIABLE));
    test.announced();

    test.command(Command::Ring { offer: None });
    let ringing = test.learn_tag();
    let repeated = test.sent_during(Duration::from_secs(4));
    let (early, no_number) = (test.prack(2, &rack_of(&ringing, 1)), test.prack(3, ""));
    test.send(early.clone());
    test.send(early);
    test.send(no_number);
    test.send(test.prack(4, &rack_of(&ringing, 1)));

    assert_eq!((status(&ringing), header(&ringing, "Require")), (180, "100rel"));
    assert!((1..1 << 31).contains(&header(&ringing, "RSeq").parse::<u32>().unwrap()));
    assert_eq!(
        repeated.iter().map(|(at, text)| (at.as_millis(), text == &ringing)).collect::<Vec<_>>(),
        [(500, true), (1500, true), (3500, true)]
    );
    let answers: Vec<_> = test.all_received().iter().map(|text| (status(text), cseq_method(text))).collect();
    assert_eq!(answers, [200, 200, 400, 481].map(|status| (status, "PRACK".to_owned())));
    assert!(test.sent_during(Duration::from_secs(60)).is_empty());
    test.command(Command::Answer { sdp: ANSWER.to_vec() });
    let answer = test.received();
    assert!(status(&answer) == 200 && answer.ends_with("v=0 answer"), "{answer}");
}

#[test]
fn ringing_that_nobody_requires_to_be_reliable_is_not() {
    let mut test = Test::new();
    test.send(invite(1, OFFER).replace("Max-Forwards: 70", "Max-Forwards: 70\r\nSupported: 100rel"));
    test.announced();

    test.command(Command::Ring { offer: None });

    let ringing = test.learn_tag();
    assert!(status(&ringing) == 180 && !ringing.contains("RSeq"), "{ringing}");
    assert!(test.sent_during(Duration::from_secs(30)).is_empty());
    test.send(test.prack(2, "1 1 INVITE"));
    assert_eq!(status(&test.received()), 481);
}

#[test]
fn a_caller_who_never_acknowledges_its_ringing_is_refused() {
    let mut test = Test::new();
    test.send(invite(1, OFFER).replace("Max-Forwards: 70", RELIABLE));
    test.announced();
    test.command(Command::Ring { offer: None });

    let sent = test.sent_during(Duration::from_secs(32));

    assert_eq!(sent.last().map(|(at, text)| (at.as_secs(), status(text))), Some((32, 504)));
    assert!(matches!(test.event(), Event::Ended(EndReason::Refused(504))));
    test.settles();
}

#[test]
fn a_call_may_be_answered_before_its_ringing_is_acknowledged() {
    let mut test = Test::new();
    test.send(invite(1, OFFER).replace("Max-Forwards: 70", RELIABLE));
    test.announced();
    test.command(Command::Ring { offer: None });
    let ringing = test.learn_tag();

    test.command(Command::Answer { sdp: ANSWER.to_vec() });
    assert_eq!(status(&test.received()), 200);
    test.send(test.ack(1, ""));
    test.send(test.prack(2, &rack_of(&ringing, 1)));

    assert_eq!(status(&test.received()), 200);
    assert!(matches!(test.event(), Event::Acknowledged { answer: None }));
    assert!(test.sent_during(Duration::from_secs(60)).is_empty());
}

#[test]
fn an_offer_in_ringing_is_answered_by_its_prack_and_the_200_waits_for_that() {
    let mut test = Test::new();
    test.send(invite(1, "").replace("Max-Forwards: 70", RELIABLE));
    assert_eq!(test.announced().offer, None);
    test.command(Command::Ring { offer: Some(b"v=0 ours".to_vec()) });
    let ringing = test.learn_tag();

    test.command(Command::Answer { sdp: b"v=0 ours".to_vec() });
    test.send(test.request("UPDATE", 2, "application/sdp", "v=0 crossing"));
    let crossing = test.received();
    let prack = test.request("PRACK", 3, "application/sdp", "v=0 theirs");
    test.send(prack.replace("Max-Forwards: 70", &format!("RAck: {}", rack_of(&ringing, 1))));
    let answers = test.all_received();
    test.send(test.ack(1, ""));

    assert!(ringing.ends_with("\r\n\r\nv=0 ours"), "{ringing}");
    assert_eq!(status(&crossing), 491);
    assert_eq!(
        answers.iter().map(|text| (status(text), cseq_method(text))).collect::<Vec<_>>(),
        [(200, "PRACK".to_owned()), (200, "INVITE".to_owned())]
    );
    assert!(answers[1].contains("\r\nContent-Length: 0\r\n"), "{}", answers[1]);
    let Event::EarlyAnswer { answer } = test.event() else { panic!("no answer") };
    assert_eq!(answer.as_deref(), Some(&b"v=0 theirs"[..]));
    assert!(matches!(test.event(), Event::Acknowledged { answer: None }));
    assert!(test.no_event());
}

#[test]
fn ringing_that_needs_an_offer_and_has_none_is_left_out() {
    let mut test = Test::new();
    test.send(invite(1, "").replace("Max-Forwards: 70", RELIABLE));
    test.announced();

    test.command(Command::Ring { offer: None });

    assert!(test.nothing_sent());
    test.command(Command::Answer { sdp: ANSWER.to_vec() });
    assert!(test.received().ends_with("v=0 answer"));
}

#[test]
fn a_cancel_or_a_bye_while_reliable_ringing_is_under_way_ends_the_call_cleanly() {
    for method in ["CANCEL", "BYE"] {
        let mut test = Test::new();
        test.send(invite(1, "").replace("Max-Forwards: 70", RELIABLE));
        test.announced();
        test.command(Command::Ring { offer: Some(b"v=0 ours".to_vec()) });
        let ringing = test.learn_tag();
        test.command(Command::Answer { sdp: b"v=0 ours".to_vec() });

        test.send(if method == "CANCEL" { cancel_or_ack("CANCEL") } else { test.request("BYE", 2, "", "") });
        test.send(test.prack(3, &rack_of(&ringing, 1)));

        let answers: Vec<_> = test.all_received().iter().map(|text| (status(text), cseq_method(text))).collect();
        assert_eq!(answers, [(200, method), (487, "INVITE"), (481, "PRACK")].map(|(status, method)| (status, method.to_owned())));
        assert!(matches!(test.event(), Event::Ended(EndReason::Cancelled(None) | EndReason::Bye(None))));
        assert!(test.no_event());
        test.settles();
    }
}

impl Test {
    fn prack(&self, sequence: u32, rack: &str) -> String {
        let request = self.request("PRACK", sequence, "", "");
        if rack.is_empty() { request } else { request.replace("Max-Forwards: 70", &format!("Max-Forwards: 70\r\nRAck: {rack}")) }
    }
}

fn rack_of(response: &str, sequence: u32) -> String {
    format!("{} {sequence} INVITE", header(response, "RSeq"))
}
