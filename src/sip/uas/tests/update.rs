//! UPDATE (RFC 3311).

use super::*;

#[test]
fn an_update_without_an_offer_moves_the_target_and_nothing_else() {
    let mut test = Test::talking();

    let moved =
        test.request("UPDATE", 2, "", "").replace("Contact: <sip:caller@192.0.2.1:5060>", "Contact: <sip:new@192.0.2.1:5099>");
    test.send(moved.clone());
    test.send(moved);
    test.command(Command::Hangup { reason: None });

    let sent = test.all_received();
    assert_eq!(sent[..2].iter().map(|text| status(text)).collect::<Vec<_>>(), [200, 200]);
    assert!(sent[0].contains("\r\nContact: <sip:voicemail@192.0.2.9:5060>\r\n"), "{}", sent[0]);
    assert!(sent[2].starts_with("BYE sip:new@192.0.2.1:5099 SIP/2.0\r\n"), "{}", sent[2]);
    assert!(matches!(test.event(), Event::Ended(EndReason::HungUp)));
}

#[test]
fn an_offer_in_an_update_waits_for_our_side_and_its_repetitions_wait_with_it() {
    let mut test = Test::talking();
    let update = test.request("UPDATE", 2, "application/sdp", "v=0 hold");

    test.send(update.clone());
    test.send(update.clone());
    assert!(test.nothing_sent());
    let Event::Reoffer { offer: Some(offer) } = test.event() else { panic!("no offer") };
    test.command(Command::AnswerReoffer { sdp: ANSWER.to_vec() });
    let answer = test.received();
    test.send(update);

    assert_eq!(offer, b"v=0 hold");
    assert!(status(&answer) == 200 && answer.ends_with("v=0 answer"), "{answer}");
    assert_eq!(test.received(), answer);
    assert!(test.no_event());
    test.send(test.request("UPDATE", 3, "application/sdp", "v=0 video"));
    assert!(matches!(test.event(), Event::Reoffer { .. }));
    test.command(Command::RefuseReoffer { status: 488 });
    assert_eq!(status(&test.received()), 488);
}

#[test]
fn only_one_offer_at_a_time_is_open() {
    let mut test = Test::talking();
    let statuses = |test: &mut Test| test.all_received().iter().map(|text| status(text)).collect::<Vec<_>>();

    // An UPDATE waits.
    test.send(test.request("UPDATE", 2, "application/sdp", "v=0 a"));
    test.send(test.request("UPDATE", 3, "", ""));
    test.send(test.request("INVITE", 4, "application/sdp", "v=0 b"));
    assert_eq!(statuses(&mut test), [500, 500]);
    test.command(Command::AnswerReoffer { sdp: ANSWER.to_vec() });
    assert_eq!(statuses(&mut test), [200]);
    // A re-INVITE waits: whoever only refreshes meanwhile is let.
    test.send(test.request("INVITE", 5, "application/sdp", "v=0 c"));
    test.send(test.request("UPDATE", 6, "application/sdp", "v=0 d"));
    test.send(test.request("UPDATE", 7, "", ""));
    let sent = test.all_received();
    assert_eq!(sent.iter().map(|text| status(text)).collect::<Vec<_>>(), [500, 200]);
    assert!((0..=10).contains(&header(&sent[0], "Retry-After").parse::<u32>().unwrap()));
}

#[test]
fn an_update_that_meets_an_offer_of_ours_gets_491_and_one_before_our_answer_500() {
    let mut ours = Test::new();
    ours.send(invite(1, ""));
    ours.announced();
    ours.command(Command::Answer { sdp: ANSWER.to_vec() });
    ours.learn_tag();
    let mut theirs = Test::new();
    theirs.send(invite(1, OFFER));
    theirs.announced();
    theirs.command(Command::Ring { offer: None });
    theirs.learn_tag();

    ours.send(ours.request("UPDATE", 2, "application/sdp", "v=0"));
    theirs.send(theirs.request("UPDATE", 2, "application/sdp", "v=0"));

    assert_eq!((status(&ours.received()), status(&theirs.received())), (491, 500));
    theirs.send(theirs.request("UPDATE", 3, "", ""));
    assert_eq!(status(&theirs.received()), 200);
}

#[test]
fn a_refused_reinvite_is_refused_alike_when_it_is_repeated() {
    let mut test = Test::talking();
    test.send(test.request("UPDATE", 2, "application/sdp", "v=0 a"));
    let reinvite = test.request("INVITE", 3, "application/sdp", "v=0 b");

    test.send(reinvite.clone());
    test.send(reinvite.clone());
    let sent = test.all_received();
    test.send(reinvite.replacen("INVITE", "ACK", 1).replace("3 INVITE", "3 ACK"));

    assert!(sent.len() == 2 && sent[0] == sent[1], "{sent:?}");
    assert!(test.sent_during(Duration::from_secs(10)).is_empty());
}

#[test]
fn an_update_that_nobody_answers_is_refused_in_time_and_so_is_one_whose_call_ends() {
    let mut test = Test::talking();
    test.send(test.request("UPDATE", 2, "application/sdp", "v=0 a"));
    let sent = test.sent_during(Duration::from_secs(30));
    assert_eq!(sent.iter().map(|(at, text)| (at.as_secs(), status(text))).collect::<Vec<_>>(), [(20, 504)]);

    test.send(test.request("UPDATE", 3, "application/sdp", "v=0 b"));
    test.send(test.request("BYE", 4, "", ""));

    let sent = test.all_received();
    assert_eq!(
        sent.iter().map(|text| (status(text), cseq_method(text))).collect::<Vec<_>>(),
        [(200, "BYE"), (487, "UPDATE")].map(|(s, m)| (s, m.to_owned()))
    );
    test.settles();
}

#[test]
fn an_update_for_no_call_gets_481() {
    let mut test = Test::new();

    test.send(with_to_tag(&message("UPDATE", "1", 2, "", ""), "0123456789abcdef"));
    test.send(message("UPDATE", "2", 2, "", ""));
    test.send(message("PRACK", "2", 3, "", ""));

    assert_eq!(test.all_received().iter().map(|text| status(text)).collect::<Vec<_>>(), [481, 481, 481]);
}
