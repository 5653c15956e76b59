//! Session timers (RFC 4028): who refreshes, and what becomes of who does not.

use super::*;

#[test]
fn an_interval_below_90_seconds_gets_422_and_a_call_with_it_is_none() {
    let mut test = Test::new();

    test.send(invite(1, OFFER).replace("Max-Forwards: 70", "Supported: timer\r\nSession-Expires: 89"));

    let refusal = test.received();
    assert_eq!((status(&refusal), header(&refusal, "Min-SE")), (422, "90"));
    assert!(test.no_event());
    test.is_empty();
}

#[test]
fn a_malformed_interval_gets_400() {
    let mut test = Test::talking();

    test.send(invite_of_call(2).replace("Max-Forwards: 70", "Session-Expires: soon"));
    test.send(test.request("UPDATE", 2, "", "").replace("Max-Forwards: 70", "Min-SE: soon"));

    assert_eq!(test.all_received().iter().map(|text| status(text)).collect::<Vec<_>>(), [400, 400]);
}

#[test]
fn a_caller_who_refreshes_keeps_its_call_and_one_that_stops_gets_a_bye() {
    let mut test = with_session("Supported: timer\r\nSession-Expires: 90;refresher=uac", "90;refresher=uac");
    test.pass(Duration::from_secs(50));
    test.send(
        test.request("UPDATE", 2, "", "").replace("Max-Forwards: 70", "Supported: timer\r\nSession-Expires: 120;refresher=uac"),
    );
    let refreshed = test.received();
    test.pass(Duration::from_secs(70));
    test.send(
        test.request("INVITE", 3, "application/sdp", "v=0")
            .replace("Max-Forwards: 70", "Supported: timer\r\nSession-Expires: 90;refresher=uac"),
    );
    test.event();
    test.command(Command::AnswerReoffer { sdp: ANSWER.to_vec() });
    let reinvited = test.received();
    test.send(test.ack(3, ""));
    test.event();

    assert_eq!((header(&refreshed, "Session-Expires"), header(&refreshed, "Require")), ("120;refresher=uac", "timer"));
    assert_eq!(header(&reinvited, "Session-Expires"), "90;refresher=uac");
    assert!(test.sent_during(Duration::from_secs(59)).is_empty());
    let sent = test.sent_during(Duration::from_secs(1));
    assert!(sent[0].1.starts_with("BYE ") && sent[0].1.contains("text=\"session expired\""), "{sent:?}");
    assert!(matches!(test.event(), Event::Ended(EndReason::SessionExpired)));
    test.settles();
}

#[test]
fn we_refresh_by_update_for_who_takes_it_and_may_hand_the_part_over() {
    let mut test =
        with_session("Allow: INVITE, ACK, UPDATE\r\nSupported: timer\r\nSession-Expires: 90;refresher=uas", "90;refresher=uas");

    let sent = test.sent_during(Duration::from_secs(45));
    let update = sent[0].1.clone();
    test.send(answer_with(&update, 200, "Session-Expires: 100;refresher=uac\r\nContact: <sip:moved@192.0.2.1:5061>"));
    let again = test.sent_during(Duration::from_secs(50))[0].1.clone();
    test.send(answer_with(&again, 200, "Session-Expires: 90;refresher=uas"));

    assert!(update.starts_with("UPDATE sip:caller@192.0.2.1:5060 SIP/2.0\r\n"), "{update}");
    assert_eq!(
        (header(&update, "Session-Expires"), header(&update, "Supported")),
        ("90;refresher=uac", "100rel, timer, replaces")
    );
    assert!(update.ends_with("Content-Length: 0\r\n\r\n"), "{update}");
    assert!(again.starts_with("UPDATE sip:moved@192.0.2.1:5061 SIP/2.0\r\n"), "{again}");
    // It is the other side's part now, and it does nothing.
    assert!(test.sent_during(Duration::from_secs(59)).is_empty());
    assert!(test.sent_during(Duration::from_secs(1))[0].1.starts_with("BYE "));
}

#[test]
fn we_refresh_by_an_invite_that_changes_nothing_for_who_knows_neither_timers_nor_update() {
    let mut test = with_session("", "1800;refresher=uas");

    let invite = test.sent_during(Duration::from_secs(900))[0].1.clone();
    test.send(answer_with(&invite, 100, "Subject: x"));
    test.send(answer_with(&invite, 200, "Content-Type: application/sdp\r\n\r\nv=0 theirs"));
    test.send(answer_with(&invite, 200, "Content-Type: application/sdp\r\n\r\nv=0 theirs"));
    let acks = test.all_received();

    assert!(invite.starts_with("INVITE ") && invite.ends_with("\r\n\r\nv=0 answer"), "{invite}");
    assert!(acks.len() == 2 && acks[0] == acks[1], "{acks:?}");
    assert!(acks[0].starts_with("ACK ") && cseq_method(&acks[0]) == "ACK", "{}", acks[0]);
    let Event::Refreshed { answer } = test.event() else { panic!("no answer") };
    assert_eq!(answer, b"v=0 theirs");
    assert!(test.no_event());
    assert!(test.sent_during(Duration::from_secs(899)).is_empty());
    assert!(test.sent_during(Duration::from_secs(1))[0].1.starts_with("INVITE "));
}

#[test]
fn a_peer_that_vanished_is_found_out_by_the_refresh_and_hung_up() {
    let mut silent = with_session("", "1800;refresher=uas");
    let sent = silent.sent_during(Duration::from_secs(933));
    assert_eq!(sent.last().map(|(at, text)| (at.as_secs(), text[..4].to_owned())), Some((932, "BYE ".to_owned())));
    assert!(matches!(silent.event(), Event::Ended(EndReason::SessionExpired)));
    silent.pass(Duration::from_secs(300));
    silent.is_empty();
    let mut rebooted = with_session("Allow: UPDATE", "1800;refresher=uas");

    let update = rebooted.sent_during(Duration::from_secs(900))[0].1.clone();
    rebooted.send(answer_with(&update, 481, "Subject: x"));

    assert!(rebooted.received().starts_with("BYE "));
    assert!(matches!(rebooted.event(), Event::Ended(EndReason::SessionExpired)));
}

#[test]
fn a_refresh_that_is_refused_is_tried_otherwise_later_or_for_longer() {
    let offered = |status: u16, more: &str| {
        let mut test = with_session("Allow: UPDATE", "1800;refresher=uas");
        let update = test.sent_during(Duration::from_secs(900))[0].1.clone();
        test.send(answer_with(&update, status, more));
        let next = test.sent_during(Duration::from_secs(440)).first().cloned();
        next.map(|(at, text)| {
            (
                at,
                text.split(' ').next().unwrap().to_owned(),
                header(&text, "Session-Expires").to_owned(),
                header(&text, "Min-SE").to_owned(),
            )
        })
    };

    let (_, method, ..) = offered(405, "Allow: INVITE").unwrap();
    assert_eq!(method, "INVITE");
    let (at, method, ..) = offered(491, "Subject: x").unwrap();
    assert!(at <= Duration::from_secs(2) && method == "UPDATE", "{at:?}");
    let (_, _, interval, shortest) = offered(422, "Min-SE: 3600").unwrap();
    assert_eq!((interval.as_str(), shortest.as_str()), ("3600;refresher=uac", "3600"));
    let (at, ..) = offered(503, "Subject: x").unwrap();
    assert_eq!(at.as_secs(), 434);
}

#[test]
fn a_reinvite_that_crosses_our_refresh_gets_491() {
    let mut test = with_session("", "1800;refresher=uas");
    let ours = test.sent_during(Duration::from_secs(900))[0].1.clone();

    test.send(test.request("INVITE", 2, "application/sdp", "v=0 theirs"));
    test.send(test.request("UPDATE", 3, "application/sdp", "v=0 theirs"));
    let refusals = test.all_received();
    test.send(answer_with(&ours, 491, "Subject: x"));

    assert_eq!(refusals.iter().map(|text| status(text)).collect::<Vec<_>>(), [491, 491]);
    assert!(test.received().starts_with("ACK "));
    assert!(test.no_event());
}

#[test]
fn a_challenge_to_a_request_of_ours_is_never_answered_with_credentials() {
    for status in [401, 407] {
        let challenge =
            "WWW-Authenticate: Digest realm=\"x\", nonce=\"n\"\r\nProxy-Authenticate: Digest realm=\"x\", nonce=\"n\"";
        let mut test = with_session("Allow: UPDATE", "1800;refresher=uas");
        let mut sent = Vec::new();
        for _ in 0..40 {
            let batch = test.sent_during(Duration::from_secs(60));
            for (_, request) in &batch {
                test.send(answer_with(request, status, challenge));
            }
            sent.extend(batch);
        }

        assert!(sent.len() > 2 && sent.iter().any(|(_, text)| text.starts_with("BYE ")), "{sent:?}");
        assert!(sent.iter().all(|(_, text)| !text.to_ascii_lowercase().contains("authorization")), "{sent:?}");
        assert!(matches!(test.event(), Event::Ended(EndReason::SessionExpired)));
        test.settles();
    }
}

#[test]
fn requests_of_ours_take_the_route_that_the_call_came_by() {
    let routes = "Record-Route: <sip:192.0.2.51;lr>, <sip:192.0.2.52;lr>\r\nAllow: UPDATE\r\nSupported: timer\r\nSession-Expires: 90;refresher=uas";
    let mut test = with_session(routes, "90;refresher=uas");

    let update = test.sent_during(Duration::from_secs(45))[0].1.clone();
    test.send(answer_with(&update, 200, "Record-Route: <sip:203.0.113.9;lr>"));
    test.command(Command::Hangup { reason: None });
    let bye = test.received();

    for request in [update, bye] {
        let sent_to: Vec<_> = request.lines().filter_map(|line| line.strip_prefix("Route: ")).collect();
        assert_eq!(sent_to, ["<sip:192.0.2.51;lr>", "<sip:192.0.2.52;lr>"], "{request}");
    }
}

/// A call that goes on, whose INVITE had these lines and whose 200 said this of the session.
fn with_session(lines: &str, expected: &str) -> Test {
    let mut test = Test::new();
    let lines = if lines.is_empty() { "Subject: x" } else { lines };
    test.send(invite(1, OFFER).replace("Max-Forwards: 70", lines));
    test.announced();
    test.command(Command::Answer { sdp: ANSWER.to_vec() });
    let answer = test.learn_tag();
    test.send(test.ack(1, ""));
    assert!(matches!(test.event(), Event::Acknowledged { .. }));
    assert_eq!(header(&answer, "Session-Expires"), expected);
    assert_eq!(answer.contains("\r\nRequire: timer\r\n"), expected.ends_with("uac"));
    test
}

/// A response with more headers, and after an empty line a body.
pub(super) fn answer_with(request: &str, status: u16, more: &str) -> String {
    let (lines, body) = more.split_once("\r\n\r\n").unwrap_or((more, ""));
    let plain = answer_to(request, status);
    plain.replace("Content-Length: 0\r\n\r\n", &format!("{lines}\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}
