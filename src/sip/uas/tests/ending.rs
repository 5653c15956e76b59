//! Who ended a call, and why, as the other side says it.

use super::*;

#[test]
fn a_bye_and_a_cancel_may_say_why() {
    let why = "Max-Forwards: 70\r\nReason: Q.850;cause=16;text=\"Normal call clearing\", SIP;cause=200";
    let mut talking = Test::talking();
    talking.send(talking.request("BYE", 2, "", "").replace("Max-Forwards: 70", why));
    let mut early = Test::new();
    early.send(invite(1, OFFER));
    early.announced();
    early.send(cancel_or_ack("CANCEL").replace("Max-Forwards: 70", why));

    let Event::Ended(EndReason::Bye(Some(hung_up))) = talking.event() else { panic!("no reason") };
    let Event::Ended(EndReason::Cancelled(Some(cancelled))) = early.event() else { panic!("no reason") };
    assert_eq!(hung_up.to_string(), "Q.850 16 Normal call clearing");
    assert_eq!(hung_up, cancelled);
}

#[test]
fn a_reason_that_cannot_be_read_keeps_nobody_from_hanging_up() {
    let mut test = Test::talking();

    test.send(test.request("BYE", 2, "", "").replace("Max-Forwards: 70", "Reason: ;;\"\r\nMax-Forwards: 70"));

    assert_eq!(status(&test.received()), 200);
    assert!(matches!(test.event(), Event::Ended(EndReason::Bye(None))));
}
