//! Transfers: what is asked for, and how its end is told.

use super::{refresh::answer_with, *};
use crate::sip::event::{Referral, TransferEnd};

const TRYING: &str = "SIP/2.0 100 Trying";

#[test]
fn the_other_side_is_asked_to_call_somebody_else_on_our_behalf() {
    let mut test = Test::talking();

    let refer = test.refers();

    assert!(refer.starts_with("REFER sip:caller@192.0.2.1:5060 SIP/2.0\r\n"), "{refer}");
    assert_eq!(header(&refer, "Refer-To"), "<sip:0@pbx.example>");
    assert_eq!(header(&refer, "Referred-By"), "<sip:6001@192.0.2.9>");
    assert_eq!(header(&refer, "Contact"), "<sip:voicemail@192.0.2.9:5060>");
    assert_eq!(header(&refer, "Max-Forwards"), "70");
    assert_eq!(header(&refer, "CSeq"), "1 REFER");
    assert!(header(&refer, "Allow").contains("NOTIFY"), "{refer}");
    assert!(header(&refer, "From").starts_with("<sip:6001@192.0.2.9>;tag="), "{refer}");
}

#[test]
fn what_the_news_come_to_is_told_once_and_all_of_them_are_answered() {
    for (last, end) in [
        ("SIP/2.0 200 OK", TransferEnd::Reached),
        ("SIP/2.0 202 Accepted", TransferEnd::Reached),
        ("SIP/2.0 486 Busy Here", TransferEnd::Failed(486)),
        ("SIP/2.0 403 Forbidden", TransferEnd::Failed(403)),
        ("SIP/2.0 302 Moved", TransferEnd::Failed(302)),
        ("SIP/2.0 603 Decline", TransferEnd::Failed(603)),
    ] {
        let mut test = Test::talking();
        let refer = test.refers();

        test.send(answer_to(&refer, 202));
        test.send(test.notify(2, "refer", "active;expires=60", TRYING));
        test.send(test.notify(3, "refer;id=1", "active;expires=60", "SIP/2.0 180 Ringing"));
        assert!(test.no_event());
        test.send(test.notify(4, "refer", "terminated;reason=noresource", last));
        test.send(test.notify(5, "refer", "terminated", "SIP/2.0 500 Late"));

        assert_eq!(test.transferred(), end, "{last}");
        assert_eq!(test.all_received().iter().map(|text| status(text)).collect::<Vec<_>>(), [200; 4]);
        assert!(test.no_event() && test.sent_during(Duration::from_secs(200)).is_empty());
        assert_eq!(test.uas.calls(), 1);
    }
}

#[test]
fn news_may_come_before_the_answer_to_the_request() {
    let mut test = Test::talking();
    let refer = test.refers();

    test.send(test.notify(2, "refer", "active", TRYING));
    test.pass(Duration::from_secs(20));
    assert!(test.no_event(), "an answer that was lost is no failure");
    test.send(answer_to(&refer, 202));
    test.send(test.notify(3, "refer", "terminated", "SIP/2.0 200 OK"));

    assert_eq!(test.transferred(), TransferEnd::Reached);
}

#[test]
fn who_does_not_transfer_calls_says_so_and_gets_no_credentials() {
    let challenge = "WWW-Authenticate: Digest realm=\"x\", nonce=\"n\"";
    for refusal in [401, 403, 405, 407, 420, 489, 501, 503, 603] {
        let mut test = Test::talking();
        let refer = test.refers();

        test.send(answer_with(&refer, refusal, challenge));
        test.send(answer_with(&refer, refusal, challenge));

        assert_eq!(test.transferred(), TransferEnd::Refused(refusal));
        assert!(test.no_event() && test.sent_during(Duration::from_secs(100)).is_empty());
        assert_eq!(test.uas.calls(), 1);
    }
}

#[test]
fn who_wants_to_tell_nothing_does_as_it_was_asked() {
    let mut silent = Test::talking();
    let refer = silent.refers();
    silent.send(answer_with(&refer, 200, "Refer-Sub: false"));
    let mut brief = Test::talking();
    brief.refers();
    brief.send(brief.notify(2, "refer", "terminated;reason=noresource", TRYING));

    assert_eq!(silent.transferred(), TransferEnd::Untold);
    assert_eq!(brief.transferred(), TransferEnd::Untold);
    silent.pass(Duration::from_secs(100));
    assert!(silent.no_event());
}

#[test]
fn who_answers_nothing_is_given_up_after_ten_seconds_and_who_tells_nothing_after_ninety() {
    let mut mute = Test::talking();
    mute.refers();
    let sent = mute.sent_during(Duration::from_millis(9_999));
    assert!(sent.len() == 4 && sent.iter().all(|(_, text)| text.starts_with("REFER ")), "{sent:?}");
    assert!(mute.no_event());
    mute.pass(Duration::from_millis(1));
    assert_eq!(mute.transferred(), TransferEnd::Silent);

    let mut ringing = Test::talking();
    let refer = ringing.refers();
    ringing.send(answer_to(&refer, 202));
    ringing.send(ringing.notify(2, "refer", "active", "SIP/2.0 180 Ringing"));
    ringing.pass(Duration::from_millis(89_999));
    assert!(ringing.no_event());
    ringing.pass(Duration::from_millis(1));
    assert_eq!(ringing.transferred(), TransferEnd::Silent);
    // What is told later changes nothing.
    ringing.send(ringing.notify(3, "refer", "terminated", "SIP/2.0 200 OK"));
    assert!(ringing.no_event());
}

#[test]
fn a_transfer_that_failed_can_be_followed_by_another_and_old_news_are_not_taken_for_its() {
    let mut test = Test::talking();
    test.refers();
    test.send(test.notify(2, "refer;id=1", "terminated", "SIP/2.0 486 Busy"));
    assert_eq!(test.transferred(), TransferEnd::Failed(486));
    test.received();

    let second = test.refers();
    test.send(test.notify(3, "refer;id=1", "terminated", "SIP/2.0 200 OK"));
    assert_eq!(status(&test.received()), 481);
    assert!(test.no_event());
    test.send(test.notify(4, "refer;id=2", "terminated", "SIP/2.0 200 OK"));

    assert_eq!(header(&second, "CSeq"), "2 REFER");
    assert_eq!(test.transferred(), TransferEnd::Reached);
}

#[test]
fn the_end_of_the_call_ends_the_transfer() {
    let mut theirs = Test::talking();
    theirs.refers();
    theirs.send(theirs.request("BYE", 2, "", ""));
    assert!(matches!(theirs.event(), Event::Ended(EndReason::Bye(_))));
    theirs.received();
    theirs.send(theirs.notify(3, "refer", "terminated", "SIP/2.0 200 OK"));
    assert_eq!(status(&theirs.received()), 481);
    assert!(theirs.no_event());
    theirs.settles();

    let mut ours = Test::talking();
    let refer = ours.refers();
    ours.send(answer_to(&refer, 202));
    ours.command(Command::Hangup { reason: None });
    assert!(matches!(ours.event(), Event::Ended(EndReason::HungUp)));
    assert!(ours.received().starts_with("BYE "));
    ours.send(ours.notify(2, "refer", "terminated", "SIP/2.0 200 OK"));
    assert!(ours.no_event());
}

#[test]
fn news_that_nobody_asked_for_change_nothing() {
    let mut test = Test::talking();
    test.send(test.notify(2, "refer", "active", "SIP/2.0 200 OK"));
    assert_eq!(status(&test.received()), 481);
    test.refers();
    test.send(test.notify(3, "message-summary", "active", ""));
    test.send(test.notify(4, "refer", "active", "v=0").replace("message/sipfrag", "application/sdp"));
    test.send(message("NOTIFY", "9", 1, "", "").replace("Max-Forwards: 70", "Event: refer"));

    let statuses: Vec<_> = test.all_received().iter().map(|text| status(text)).collect();
    assert_eq!(statuses, [489, 415, 481]);
    assert!(test.no_event());
}

#[test]
fn a_call_that_is_not_answered_is_not_transferred() {
    let mut test = Test::new();
    test.send(invite(1, OFFER));
    test.announced();

    test.command(transfer());

    assert!(test.nothing_sent() && test.no_event());
}

fn transfer() -> Command {
    let uri = |text| SipUri::parse(text).unwrap();
    Command::Transfer(Box::new(Referral { target: uri("sip:0@pbx.example"), referred_by: uri("sip:6001@192.0.2.9") }))
}

impl Test {
    /// Asks for a transfer; gives the request.
    fn refers(&mut self) -> String {
        self.command(transfer());
        self.received()
    }

    fn transferred(&mut self) -> TransferEnd {
        match self.event() {
            Event::Transferred(end) => end,
            other => panic!("{other:?}"),
        }
    }

    fn notify(&self, sequence: u32, event: &str, state: &str, fragment: &str) -> String {
        let lines = format!("Max-Forwards: 70\r\nEvent: {event}\r\nSubscription-State: {state}");
        let content_type = if fragment.is_empty() { "" } else { "message/sipfrag;version=2.0" };
        self.request("NOTIFY", sequence, content_type, fragment).replace("Max-Forwards: 70", &lines)
    }
}
