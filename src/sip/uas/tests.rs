//! Calls of many seconds, lived through in no time.

use super::*;

mod early;
mod ending;
mod refer;
mod refresh;
mod replace;
mod routes;
mod update;

const OFFER: &str = "v=0 offer";
const ANSWER: &[u8] = b"v=0 answer";

#[test]
fn a_call_is_announced_rung_answered_confirmed_and_ended_by_its_caller() {
    let mut test = Test::new();

    test.send(invite(1, OFFER));
    let call = test.announced();
    assert_eq!(call.offer.as_deref(), Some(OFFER.as_bytes()));
    assert_eq!(call.source, test.flow.remote);
    test.command(Command::Ring { offer: None });
    let ringing = test.received();
    test.command(Command::Answer { sdp: ANSWER.to_vec() });
    let answer = test.learn_tag();
    test.send(test.ack(1, ""));
    assert!(matches!(test.event(), Event::Acknowledged { answer: None }));
    test.send(test.request("BYE", 2, "", ""));

    assert!(matches!(test.event(), Event::Ended(EndReason::Bye(_))));
    assert_eq!(status(&ringing), 180);
    assert_eq!(status(&answer), 200);
    assert!(answer.ends_with("\r\n\r\nv=0 answer"), "{answer}");
    assert!(answer.contains("\r\nContact: <sip:voicemail@192.0.2.9:5060>\r\n"), "{answer}");
    assert_eq!(tag_of(&ringing), tag_of(&answer));
    assert_eq!(status(&test.received()), 200);
    test.settles();
}

#[test]
fn a_caller_who_waits_hears_100_and_a_quick_answer_needs_none() {
    let mut test = Test::new();
    test.send(invite(1, OFFER));
    test.event();

    test.pass(Duration::from_millis(99));
    assert!(test.nothing_sent());
    test.pass(Duration::from_millis(1));

    assert_eq!(status(&test.received()), 100);
}

#[test]
fn a_200_is_repeated_until_the_ack_and_then_the_call_is_given_up_with_a_bye() {
    let mut test = Test::answered();

    let sent = test.sent_during(Duration::from_secs(31));

    let times: Vec<_> = sent.iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(times, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500]);
    assert!(sent.iter().all(|(_, text)| status(text) == 200));
    test.pass(Duration::from_secs(1));
    assert!(matches!(test.event(), Event::Ended(EndReason::AckTimeout)));
    let all = test.all_received();
    assert!(all.last().unwrap().starts_with("BYE sip:caller@192.0.2.1:5060 SIP/2.0\r\n"), "{all:?}");
    test.settles();
}

#[test]
fn a_lost_ack_is_made_good_by_the_next() {
    let mut test = Test::answered();

    test.pass(Duration::from_millis(600));
    assert_eq!(status(&test.received()), 200);
    test.send(test.ack(1, ""));
    test.send(test.ack(1, ""));

    assert!(matches!(test.event(), Event::Acknowledged { answer: None }));
    assert!(test.no_event());
    assert!(test.sent_during(Duration::from_secs(60)).is_empty());
    assert_eq!(test.uas.calls(), 1);
}

#[test]
fn an_invite_repeated_after_its_200_is_absorbed() {
    let mut test = Test::answered();

    test.send(invite(1, OFFER));

    assert!(test.nothing_sent());
    assert!(test.no_event());
    assert_eq!(test.uas.calls(), 1);
}

#[test]
fn an_invite_repeated_before_any_answer_gets_the_latest_news_again() {
    let mut test = Test::new();
    test.send(invite(1, OFFER));
    test.event();

    test.send(invite(1, OFFER));
    assert_eq!(status(&test.received()), 100);
    test.command(Command::Ring { offer: None });
    test.received();
    test.send(invite(1, OFFER));

    assert_eq!(status(&test.received()), 180);
    assert!(test.no_event());
}

#[test]
fn a_refusal_is_repeated_until_its_ack() {
    let mut test = Test::new();
    test.send(invite(1, OFFER));
    test.event();

    test.command(Command::Refuse { status: 486, retry_after: Some(Duration::from_secs(7)) });
    let refusal = test.received();
    let repeated = test.sent_during(Duration::from_secs(4));
    test.send(invite(1, OFFER));
    let again = test.received();
    test.send(with_to_tag(&cancel_or_ack("ACK"), &tag_of(&refusal)));

    assert!(matches!(test.event(), Event::Ended(EndReason::Refused(486))));
    assert!(refusal.contains("\r\nRetry-After: 7\r\n"), "{refusal}");
    assert_eq!(repeated.len(), 3);
    assert_eq!(again, refusal);
    assert!(test.sent_during(Duration::from_secs(60)).is_empty());
    test.settles();
}

#[test]
fn a_cancel_ends_a_call_that_rings() {
    let mut test = Test::new();
    test.send(invite(1, OFFER));
    test.event();

    test.send(cancel_or_ack("CANCEL"));
    test.send(cancel_or_ack("CANCEL"));
    test.command(Command::Answer { sdp: ANSWER.to_vec() });

    assert!(matches!(test.event(), Event::Ended(EndReason::Cancelled(_))));
    let got = test.all_received();
    let statuses: Vec<_> = got.iter().map(|text| (status(text), cseq_method(text))).collect();
    assert_eq!(statuses, [(200, "CANCEL"), (487, "INVITE"), (200, "CANCEL")].map(|(s, m)| (s, m.to_owned())));
    assert_eq!(tag_of(&got[0]), tag_of(&got[1]));
    assert!(test.no_event());
    test.settles();
}

#[test]
fn a_cancel_that_comes_after_the_answer_changes_nothing() {
    let mut test = Test::answered();

    test.send(cancel_or_ack("CANCEL"));
    assert_eq!(status(&test.received()), 200);
    test.send(test.ack(1, ""));

    assert!(matches!(test.event(), Event::Acknowledged { .. }));
    assert_eq!(test.uas.calls(), 1);
}

#[test]
fn a_cancel_for_nothing_gets_481() {
    let mut test = Test::new();

    test.send(cancel_or_ack("CANCEL"));

    assert_eq!(status(&test.received()), 481);
    test.is_empty();
}

#[test]
fn a_bye_before_the_ack_ends_the_call() {
    let mut test = Test::answered();

    test.send(test.request("BYE", 2, "", ""));

    assert!(matches!(test.event(), Event::Ended(EndReason::Bye(_))));
    assert_eq!(status(&test.received()), 200);
    assert!(test.sent_during(Duration::from_secs(60)).is_empty());
    test.is_empty();
}

#[test]
fn a_bye_in_an_early_dialog_ends_the_invite_as_well() {
    let mut test = Test::new();
    test.send(invite(1, OFFER));
    test.event();
    test.command(Command::Ring { offer: None });
    test.learn_tag();

    test.send(test.request("BYE", 2, "", ""));

    assert!(matches!(test.event(), Event::Ended(EndReason::Bye(_))));
    let statuses: Vec<_> = test.all_received().iter().map(|text| (status(text), cseq_method(text))).collect();
    assert_eq!(statuses, [(200, "BYE"), (487, "INVITE")].map(|(s, m)| (s, m.to_owned())));
    test.settles();
}

#[test]
fn info_before_the_ack_is_answered_and_told_once() {
    let mut test = Test::answered();
    let info = test.request("INFO", 2, "application/dtmf-relay", "Signal=5");

    test.send(info.clone());
    test.send(info);

    assert_eq!(test.all_received().iter().map(|text| status(text)).collect::<Vec<_>>(), [200, 200]);
    // Who knows our tag has our 200; the call's own side may not take keys before it is told.
    assert!(matches!(test.event(), Event::Acknowledged { answer: None }));
    let Event::Info { content_type, body } = test.event() else { panic!("no INFO") };
    assert_eq!((content_type.as_str(), body.as_slice()), ("application/dtmf-relay", &b"Signal=5"[..]));
    assert!(test.no_event());
}

#[test]
fn info_that_means_no_digit_gets_415_and_the_call_goes_on() {
    let mut test = Test::talking();

    test.send(test.request("INFO", 2, "application/media_control+xml", "<x/>"));
    let unknown = test.received();
    test.send(test.request("INFO", 3, "application/sdp", "v=0"));
    let sdp = test.received();
    test.send(test.request("INFO", 4, "application/dtmf", &"1".repeat(2000)));
    let long = test.received();
    test.send(test.request("INFO", 5, "", ""));
    let empty = test.received();

    assert_eq!([&unknown, &sdp, &long, &empty].map(|text| status(text)), [415, 415, 415, 200]);
    assert!(unknown.contains("\r\nAccept: application/sdp, application/dtmf-relay, application/dtmf\r\n"), "{unknown}");
    assert!(test.no_event());
    assert_eq!(test.uas.calls(), 1);
}

#[test]
fn hold_and_resume_are_reoffers() {
    let mut test = Test::talking();

    for (sequence, offer) in [(2, "hold"), (3, "resume")] {
        test.send(test.request("INVITE", sequence, "application/sdp", offer));
        let Event::Reoffer { offer: Some(told) } = test.event() else { panic!("no offer") };
        assert_eq!(told, offer.as_bytes());
        test.command(Command::AnswerReoffer { sdp: ANSWER.to_vec() });
        assert_eq!(status(&test.received()), 200);
        test.send(test.ack(sequence, ""));
        assert!(matches!(test.event(), Event::Acknowledged { answer: None }));
    }

    assert!(test.sent_during(Duration::from_secs(60)).is_empty());
    assert_eq!(test.uas.calls(), 1);
}

#[test]
fn a_reoffer_that_is_refused_leaves_the_call_as_it_was() {
    let mut test = Test::talking();

    test.send(test.request("INVITE", 2, "application/sdp", "video only"));
    test.event();
    test.command(Command::RefuseReoffer { status: 488 });

    assert_eq!(status(&test.received()), 488);
    test.send(test.request("INFO", 3, "", ""));
    assert_eq!(test.all_received().iter().map(|text| status(text)).collect::<Vec<_>>(), [200]);
    assert_eq!(test.uas.calls(), 1);
}

#[test]
fn a_second_reinvite_before_the_first_is_answered_gets_500_and_a_pause() {
    let mut test = Test::talking();
    test.send(test.request("INVITE", 2, "application/sdp", "one"));
    test.event();

    test.send(test.request("INVITE", 3, "application/sdp", "two"));

    let refusal = test.received();
    assert_eq!(status(&refusal), 500);
    assert!(refusal.contains("\r\nRetry-After: "), "{refusal}");
    assert!(test.no_event());
}

#[test]
fn a_reinvite_that_crosses_an_offer_of_ours_gets_491() {
    let mut test = Test::new();
    test.send(invite(1, ""));
    assert_eq!(test.announced().offer, None);
    test.command(Command::Answer { sdp: ANSWER.to_vec() });
    test.learn_tag();

    test.send(test.request("INVITE", 2, "application/sdp", "mine"));

    assert_eq!(status(&test.received()), 491);
    test.send(test.ack(1, "v=0 late answer"));
    let Event::Acknowledged { answer } = test.event() else { panic!("no ACK") };
    assert_eq!(answer.as_deref(), Some(&b"v=0 late answer"[..]));
}

#[test]
fn a_reinvite_shows_that_only_the_ack_was_lost() {
    let mut test = Test::answered();

    test.send(test.request("INVITE", 2, "application/sdp", "hold"));

    assert!(matches!(test.event(), Event::Acknowledged { answer: None }));
    assert!(matches!(test.event(), Event::Reoffer { .. }));
    test.command(Command::AnswerReoffer { sdp: ANSWER.to_vec() });
    test.learn_tag();
    test.send(test.ack(2, ""));
    assert!(matches!(test.event(), Event::Acknowledged { answer: None }));
    assert!(test.sent_during(Duration::from_secs(60)).is_empty());
}

#[test]
fn a_reinvite_can_be_cancelled_and_the_call_goes_on() {
    let mut test = Test::talking();
    let reinvite = test.request("INVITE", 2, "application/sdp", "hold");
    test.send(reinvite.clone());
    test.event();

    test.send(reinvite.replacen("INVITE", "CANCEL", 1).replace("2 INVITE", "2 CANCEL"));
    test.command(Command::AnswerReoffer { sdp: ANSWER.to_vec() });

    let statuses: Vec<_> = test.all_received().iter().map(|text| (status(text), cseq_method(text))).collect();
    assert_eq!(statuses, [(200, "CANCEL"), (487, "INVITE")].map(|(s, m)| (s, m.to_owned())));
    assert!(test.no_event());
    assert_eq!(test.uas.calls(), 1);
}

#[test]
fn requests_out_of_order_get_500() {
    let mut test = Test::talking();
    test.send(test.request("INFO", 9, "", ""));
    test.received();

    test.send(test.request("INFO", 8, "application/dtmf", "1"));

    assert_eq!(status(&test.received()), 500);
    assert!(test.no_event());
}

#[test]
fn requests_for_no_call_of_ours_get_481() {
    let mut test = Test::talking();
    let strange =
        test.request("BYE", 2, "", "").replace("From: <sip:caller@192.0.2.1>;tag=c", "From: <sip:caller@192.0.2.1>;tag=z");
    let requests = [strange, with_to_tag(&invite(2, OFFER), "0123456789abcdef"), invite(3, "").replace("INVITE", "BYE")];

    for request in requests {
        test.send(request);
        assert_eq!(status(&test.received()), 481);
    }

    assert!(test.no_event());
    assert_eq!(test.uas.calls(), 1);
}

#[test]
fn what_is_malformed_inside_a_call_is_refused_and_the_call_goes_on() {
    let mut test = Test::talking();
    let good = test.request("BYE", 2, "", "");
    for (from, to, expected) in [
        ("CSeq: 2 BYE", "CSeq: two BYE", 400),
        ("CSeq: 2 BYE", "CSeq: 2 INFO", 400),
        ("BYE sip:", "MESSAGE sip:", 405),
        ("BYE sip:", "BOGUS sip:", 405),
        ("SIP/2.0\r\nVia", "SIP/3.0\r\nVia", 505),
        ("Max-Forwards: 70", "Max-Forwards: many", 400),
        ("Max-Forwards: 70", "Require: x, y", 420),
    ] {
        let bad = good.replacen(from, to, 1);
        let bad =
            if expected == 405 { bad.replace("2 BYE", if to.starts_with('M') { "2 MESSAGE" } else { "2 BOGUS" }) } else { bad };
        assert_ne!(bad, good);
        test.send(bad);
        let refusal = test.received();
        assert_eq!(status(&refusal), expected, "{to}: {refusal}");
        assert_eq!(
            refusal
                .contains("\r\nAllow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, PRACK, UPDATE, REGISTER, SUBSCRIBE, NOTIFY\r\n"),
            expected == 405
        );
    }

    assert!(test.no_event());
    assert_eq!(test.uas.calls(), 1);
    test.is_empty_of_transactions_soon();
}

#[test]
fn a_second_copy_of_an_invite_by_another_way_gets_482() {
    let mut test = Test::new();
    test.send(invite(1, OFFER));
    test.event();

    test.send(invite(1, OFFER).replace("z9hG4bK-1-INVITE", "z9hG4bK-other-way"));

    assert_eq!(status(&test.received()), 482);
    assert_eq!(test.uas.calls(), 1);
}

#[test]
fn options_says_what_we_can_do() {
    let mut test = Test::new();

    test.send(invite(1, "").replace("INVITE", "OPTIONS").replace("Max-Forwards: 70", &format!("Subject: {}", "x".repeat(400))));

    let answer = test.received();
    assert_eq!(status(&answer), 200);
    for header in ["Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, INFO", "Accept: application/sdp", "Supported: "] {
        assert!(answer.contains(header), "{answer}");
    }
    test.is_empty();
}

#[test]
fn a_stranger_is_never_sent_more_than_it_sent() {
    let mut test = Test::new();
    for method in ["OPTIONS", "BYE", "INFO", "CANCEL"] {
        let request = invite(1, "").replace("INVITE", method);
        let length = request.len();

        test.send(request);

        assert!(test.received().len() <= length, "{method}");
    }
    test.is_empty();
}

#[test]
fn a_stranger_with_the_shortest_invite_that_calls_need_is_answered_at_once() {
    let mut test = Test::new();
    let offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0 101\r\n\
                 a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n";
    let answer = format!("{offer}a=fmtp:101 0-15\r\na=ptime:20\r\n").replace("o=- 1 1", "o=- 1234567890123456789 1");
    let invite = invite(1, offer);
    test.send(invite.clone());
    test.event();

    test.command(Command::Answer { sdp: answer.into_bytes() });

    let accepted = test.received();
    assert_eq!(status(&accepted), 200);
    assert!(2 * accepted.len() <= 3 * invite.len(), "{} bytes for {}", accepted.len(), invite.len());
}

#[test]
fn we_hang_up_with_a_bye_that_is_repeated_until_answered() {
    let mut test = Test::talking();

    test.command(Command::Hangup { reason: Some(Reason::sip(408, "RTP \"timeout\"\r\n")) });
    let bye = test.received();
    let repeated = test.sent_during(Duration::from_secs(4));
    test.send(answer_to(&bye, 200));

    assert!(matches!(test.event(), Event::Ended(EndReason::HungUp)));
    assert!(bye.starts_with("BYE sip:caller@192.0.2.1:5060 SIP/2.0\r\n"), "{bye}");
    assert!(bye.contains("\r\nReason: SIP;cause=408;text=\"RTP timeout\"\r\n"), "{bye}");
    assert!(bye.contains("\r\nCSeq: 1 BYE\r\n"), "{bye}");
    assert_eq!(repeated.len(), 3);
    assert!(repeated.iter().all(|(_, again)| *again == bye));
    assert!(test.sent_during(Duration::from_secs(60)).is_empty());
    test.is_empty();
}

#[test]
fn a_bye_that_crosses_ours_is_answered() {
    let mut test = Test::talking();
    test.command(Command::Hangup { reason: None });
    let bye = test.received();

    test.send(test.request("BYE", 2, "", ""));
    assert_eq!(status(&test.received()), 200);
    test.send(answer_to(&bye, 481));

    assert!(matches!(test.event(), Event::Ended(EndReason::HungUp)));
    assert!(test.no_event());
    test.settles();
}

#[test]
fn hanging_up_waits_for_the_ack_before_it_says_bye() {
    let mut test = Test::answered();

    test.command(Command::Hangup { reason: None });
    assert!(matches!(test.event(), Event::Ended(EndReason::HungUp)));
    assert!(test.nothing_sent());
    test.send(test.ack(1, ""));

    assert!(test.received().starts_with("BYE "));
    assert!(test.no_event());
    test.settles();
}

#[test]
fn nobody_answering_on_our_side_refuses_the_call_in_the_end() {
    let mut test = Test::new();
    test.send(invite(1, OFFER));
    test.event();

    let sent = test.sent_during(LONGEST_SILENCE);

    assert_eq!(sent.iter().map(|(_, text)| status(text)).collect::<Vec<_>>(), [100, 480]);
    assert!(matches!(test.event(), Event::Ended(EndReason::Unanswered)));
    test.settles();
}

#[test]
fn an_abandoned_call_is_refused_or_hung_up() {
    let mut test = Test::new();
    test.send(invite(1, OFFER));
    test.event();
    test.uas.abandon(CallRef(1), test.now);
    assert_eq!(status(&test.received()), 500);
    assert!(matches!(test.event(), Event::Ended(EndReason::Refused(500))));
    let mut talking = Test::talking();

    talking.uas.abandon(CallRef(1), talking.now);

    assert!(talking.received().starts_with("BYE "));
}

#[test]
fn beyond_the_limit_calls_get_503_and_those_there_are_go_on() {
    let mut test = Test::with(UasConfig { max_calls: 2, ..UasConfig::default() });
    for call in 1..=3 {
        test.send(invite_of_call(call));
    }

    let refusal = test.received();
    assert_eq!(status(&refusal), 503);
    assert!(refusal.contains("\r\nRetry-After: 5\r\n"), "{refusal}");
    assert_eq!(test.uas.calls(), 2);
    test.uas.command(CallRef(1), Command::Refuse { status: 404, retry_after: None }, test.now);
    test.send(invite_of_call(4));
    assert_eq!(test.uas.calls(), 2);
}

#[test]
fn one_address_cannot_take_all_calls_without_ever_acknowledging() {
    let mut test = Test::with(UasConfig { max_unacknowledged_per_address: 2, ..UasConfig::default() });
    for call in 1..=3 {
        test.send(invite_of_call(call));
    }
    assert_eq!(status(&test.received()), 503);

    test.flow.remote.set_ip("192.0.2.77".parse().unwrap());
    test.send(invite_of_call(5));

    assert_eq!(test.uas.calls(), 3);
    assert!(test.nothing_sent());
}

#[test]
fn one_address_cannot_take_all_of_a_small_server_either() {
    let mut test = Test::with(UasConfig { max_calls: 40, ..UasConfig::default() });

    for call in 1..=30 {
        test.send(invite_of_call(call));
    }

    assert_eq!(test.uas.calls(), 20);
}

#[test]
fn an_invite_that_would_fill_the_memory_is_refused_and_forgotten() {
    let mut test = Test::new();

    test.send(invite(1, OFFER).replace("Call-ID: call-1", &format!("Call-ID: call-1{}", "x".repeat(LONGEST_KEPT))));

    assert_eq!(status(&test.received()), 513);
    test.is_empty();
}

#[test]
fn an_invite_of_almost_64_kilobytes_is_a_call_and_little_of_it_is_kept() {
    let mut test = Test::new();
    let long = invite(1, &"x".repeat(30_000))
        .replace("Max-Forwards: 70", &format!("X-Long: {}\r\nMax-Forwards: 70", "y".repeat(30_000)));

    test.send(long);

    assert_eq!(test.announced().offer.map(|offer| offer.len()), Some(30_000));
    let offered = test.uas.calls[&CallRef(1)].offered.as_ref().unwrap();
    assert!(offered.inbound.kept_length() < 600 && offered.inbound.request.body.is_empty());
    test.command(Command::Answer { sdp: ANSWER.to_vec() });
    assert_eq!(status(&test.received()), 200);
}

#[test]
fn a_flood_of_calls_that_are_refused_leaves_bounded_state() {
    let mut test = Test::with(UasConfig { max_calls: 10, ..UasConfig::default() });

    for call in 1..=5000 {
        test.send(invite_of_call(call));
        while let Some((reference, _)) = test.events.pop_front() {
            test.uas.command(reference, Command::Refuse { status: 404, retry_after: None }, test.now);
        }
    }

    assert!(test.uas.transactions() <= 4 * 10 + 1024, "{}", test.uas.transactions());
    test.settles();
}

#[test]
fn a_draining_server_refuses_new_calls_and_waits_for_the_old() {
    let mut test = Test::talking();

    test.uas.drain();
    test.send(invite_of_call(7));
    assert_eq!(status(&test.received()), 503);
    test.send(invite_of_call(8).replace("INVITE", "OPTIONS"));
    assert_eq!(status(&test.received()), 503);
    assert!(!test.uas.is_idle());
    test.send(test.request("BYE", 2, "", ""));

    assert!(test.uas.is_idle());
}

#[test]
fn over_tcp_a_200_is_repeated_as_well_and_nothing_else_is() {
    let mut test = Test::new();
    test.flow = Flow::tcp(test.flow.local, test.flow.remote, ConnectionId(3));
    test.send(invite(1, OFFER).replace("SIP/2.0/UDP", "SIP/2.0/TCP"));
    test.event();
    test.command(Command::Answer { sdp: ANSWER.to_vec() });
    let answer = test.learn_tag();

    let repeated = test.sent_during(Duration::from_secs(2));
    test.send(test.ack(1, ""));
    test.event();
    test.command(Command::Hangup { reason: None });
    test.received();

    assert!(answer.contains("Contact: <sip:voicemail@192.0.2.9:5060;transport=tcp>"), "{answer}");
    assert_eq!(repeated.len(), 2);
    assert!(test.sent_during(Duration::from_secs(31)).is_empty());
    test.settles();
}

/// A user agent server and its one caller.
pub(super) struct Test {
    pub(super) uas: Uas,
    pub(super) flow: Flow,
    start: Instant,
    pub(super) now: Instant,
    sent: VecDeque<(Instant, String)>,
    /// The path that was sent on last.
    path: Option<Flow>,
    events: VecDeque<(CallRef, Event)>,
    pub(super) requests: VecDeque<(RequestRef, OutsideRequest)>,
    tag: String,
}

impl Test {
    pub(super) fn new() -> Self {
        Self::with(UasConfig::default())
    }

    pub(super) fn with(config: UasConfig) -> Self {
        let now = Instant::now();
        Self {
            uas: Uas::new(config, [7; 32]),
            flow: Flow::udp("192.0.2.9:5060".parse().unwrap(), "192.0.2.1:5060".parse().unwrap()),
            start: now,
            now,
            sent: VecDeque::new(),
            path: None,
            events: VecDeque::new(),
            requests: VecDeque::new(),
            tag: String::new(),
        }
    }

    /// With a call that was answered, and waits for its ACK.
    fn answered() -> Self {
        let mut test = Self::new();
        test.send(invite(1, OFFER));
        test.announced();
        test.command(Command::Answer { sdp: ANSWER.to_vec() });
        test.learn_tag();
        test
    }

    /// With a call that goes on.
    fn talking() -> Self {
        let mut test = Self::answered();
        test.send(test.ack(1, ""));
        assert!(matches!(test.event(), Event::Acknowledged { .. }));
        test
    }

    pub(super) fn send(&mut self, text: String) {
        self.uas.handle(&self.flow, text.as_bytes(), self.now);
        self.collect();
    }

    pub(super) fn command(&mut self, command: Command) {
        self.uas.command(CallRef(1), command, self.now);
        self.collect();
    }

    fn collect(&mut self) {
        while let Some(output) = self.uas.poll() {
            match output {
                Output::Send { flow, bytes, .. } => {
                    self.path = Some(flow);
                    self.sent.push_back((self.now, String::from_utf8(bytes.to_vec()).expect("our messages are text")));
                }
                Output::Event(call, event) => self.events.push_back((call, event)),
                Output::Request(reference, request) => self.requests.push_back((reference, *request)),
                Output::Answered(..) => panic!("these tests send no requests outside calls"),
                Output::Farewell(..) => panic!("every Contact here is an address"),
            }
        }
    }

    /// Lets time pass, deadline by deadline.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.uas.next_deadline().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.uas.tick(self.now);
            self.collect();
        }
        self.now = end;
    }

    /// What is sent while time passes, and when.
    fn sent_during(&mut self, time: Duration) -> Vec<(Duration, String)> {
        let begin = self.now;
        self.collect();
        self.sent.clear();
        self.pass(time);
        self.sent.drain(..).map(|(at, text)| (at - begin, text)).collect()
    }

    pub(super) fn received(&mut self) -> String {
        self.collect();
        self.sent.pop_front().expect("something was sent").1
    }

    pub(super) fn all_received(&mut self) -> Vec<String> {
        self.collect();
        self.sent.drain(..).map(|(_, text)| text).collect()
    }

    pub(super) fn nothing_sent(&mut self) -> bool {
        self.all_received().is_empty()
    }

    fn learn_tag(&mut self) -> String {
        let response = self.received();
        self.tag = tag_of(&response);
        response
    }

    pub(super) fn event(&mut self) -> Event {
        self.collect();
        self.events.pop_front().expect("something happened").1
    }

    pub(super) fn announced(&mut self) -> IncomingCall {
        match self.event() {
            Event::Incoming(call) => *call,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn no_event(&mut self) -> bool {
        self.collect();
        self.events.is_empty()
    }

    /// A request of the caller inside the dialog.
    fn request(&self, method: &str, sequence: u32, content_type: &str, body: &str) -> String {
        message(method, "1", sequence, content_type, body)
            .replace("To: <sip:6001@192.0.2.9>", &format!("To: <sip:6001@192.0.2.9>;tag={}", self.tag))
    }

    fn ack(&self, sequence: u32, answer: &str) -> String {
        self.request("ACK", sequence, if answer.is_empty() { "" } else { "application/sdp" }, answer)
    }

    /// After the longest that anything is remembered, nothing is.
    pub(super) fn settles(&mut self) {
        self.pass(Duration::from_secs(70));
        self.is_empty();
    }

    fn is_empty(&mut self) {
        self.pass(Duration::from_secs(33));
        let left = (self.uas.calls.len(), self.uas.dialogs.len(), self.uas.transactions());
        assert_eq!(left, (0, 0, 0), "after {:?}", self.now - self.start);
        let left = (self.uas.merged.len(), self.uas.unacknowledged.len(), self.uas.timers.len());
        assert_eq!(left, (0, 0, 0));
    }

    fn is_empty_of_transactions_soon(&mut self) {
        self.pass(Duration::from_secs(33));
        assert_eq!(self.uas.transactions(), 0);
    }
}

fn invite(sequence: u32, offer: &str) -> String {
    message("INVITE", "1", sequence, if offer.is_empty() { "" } else { "application/sdp" }, offer)
}

fn invite_of_call(call: u32) -> String {
    message("INVITE", &call.to_string(), 1, "application/sdp", OFFER).replace("z9hG4bK-1-", &format!("z9hG4bK-{call}-"))
}

fn cancel_or_ack(method: &str) -> String {
    message(method, "1", 1, "", "").replace(&format!("z9hG4bK-1-{method}"), "z9hG4bK-1-INVITE")
}

pub(super) fn message(method: &str, call: &str, sequence: u32, content_type: &str, body: &str) -> String {
    let content_type = if content_type.is_empty() { String::new() } else { format!("Content-Type: {content_type}\r\n") };
    format!(
        "{method} sip:6001@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-{sequence}-{method}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:caller@192.0.2.1>;tag=c\r\nTo: <sip:6001@192.0.2.9>\r\nCall-ID: call-{call}\r\n\
         CSeq: {sequence} {method}\r\nContact: <sip:caller@192.0.2.1:5060>\r\n{content_type}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn with_to_tag(text: &str, tag: &str) -> String {
    text.replace("To: <sip:6001@192.0.2.9>", &format!("To: <sip:6001@192.0.2.9>;tag={tag}"))
}

fn answer_to(request: &str, status: u16) -> String {
    let Ok(Message::Request(request)) = wire::parse(request.as_bytes()) else { panic!("{request}") };
    String::from_utf8(written(&wire::response_to(&request.headers, status.into())).to_vec()).unwrap()
}

pub(super) fn status(text: &str) -> u16 {
    text.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse().ok()).unwrap_or_else(|| panic!("no response: {text}"))
}

fn header<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap_or_else(|| panic!("no {name}: {text}"))
}

fn tag_of(text: &str) -> String {
    header(text, "To").split_once("tag=").expect("a tag").1.to_owned()
}

fn cseq_method(text: &str) -> String {
    header(text, "CSeq").split_once(' ').expect("a method").1.to_owned()
}
