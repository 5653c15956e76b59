//! A call in the place of another (RFC 3891).

use super::*;

#[test]
fn a_call_that_replaces_another_ends_it_when_it_is_answered() {
    let mut test = Test::talking();
    let tag = test.tag.clone();

    test.send(replacing(&format!("call-1;to-tag={tag};from-tag=c")));
    assert!(matches!(test.event(), Event::Incoming(_)));
    assert!(test.no_event());
    test.uas.command(CallRef(2), Command::Answer { sdp: ANSWER.to_vec() }, test.now);

    let sent = test.all_received();
    assert_eq!(status(&sent[0]), 200);
    assert!(sent[1].starts_with("BYE ") && sent[1].contains("Call-ID: call-1\r\n"), "{}", sent[1]);
    let (call, Event::Ended(EndReason::Replaced)) = test.events.pop_front().unwrap() else { panic!("not replaced") };
    assert_eq!((call, test.uas.calls()), (CallRef(1), 1));
}

#[test]
fn what_is_no_call_of_ours_cannot_be_replaced() {
    let mut test = Test::talking();
    let tag = test.tag.clone();
    let right = format!("call-1;to-tag={tag};from-tag=c");

    for (replaces, expected) in [
        ("call-1;to-tag=0123456789abcdef;from-tag=c".to_owned(), 481),
        (right.replace("call-1", "call-9"), 481),
        (right.replace("from-tag=c", "from-tag=d"), 481),
        (format!("{right};early-only"), 486),
        ("call-1".to_owned(), 400),
        (format!("{right}\r\nReplaces: {right}"), 400),
    ] {
        test.send(replacing(&replaces));
        assert_eq!(status(&test.received()), expected, "{replaces}");
    }
    test.flow.remote.set_ip("192.0.2.77".parse().unwrap());
    test.send(replacing(&right));

    assert_eq!(status(&test.received()), 481, "a stranger cannot end somebody's call");
    assert!(test.no_event());
    assert_eq!(test.uas.calls(), 1);
}

#[test]
fn a_call_that_rings_or_is_being_hung_up_cannot_be_replaced() {
    let mut ringing = Test::new();
    ringing.send(invite(1, OFFER));
    ringing.announced();
    ringing.command(Command::Ring { offer: None });
    ringing.learn_tag();
    let mut leaving = Test::answered();
    leaving.command(Command::Hangup { reason: None });

    ringing.send(replacing(&format!("call-1;to-tag={};from-tag=c", ringing.tag)));
    leaving.send(replacing(&format!("call-1;to-tag={};from-tag=c", leaving.tag)));

    assert_eq!((status(&ringing.received()), status(&leaving.received())), (481, 603));
}

fn replacing(replaces: &str) -> String {
    invite_of_call(2).replace("Max-Forwards: 70", &format!("Require: replaces\r\nReplaces: {replaces}"))
}
