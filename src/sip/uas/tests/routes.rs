//! Record-Route: the proxies that stay in a call (RFC 3261 §12.1.1, §12.2).

use super::*;

const ROUTES: [&str; 3] =
    ["<sip:192.0.2.52;lr;ftag=c>", "<sip:192.0.2.51;lr=on>", "\"Edge\" <sips:edge.example:5061;lr;did=7>;x=1"];

#[test]
fn the_routes_are_confirmed_in_every_answer_that_makes_a_dialog_and_followed_to_the_end() {
    let mut test = Test::new();
    // Some in one header, some in their own: it is one list.
    let lines = format!("Record-Route: {}, {}\r\nrecord-route: {}\r\nMax-Forwards: 70", ROUTES[0], ROUTES[1], ROUTES[2]);
    test.send(invite(1, OFFER).replace("Max-Forwards: 70", &lines));
    test.announced();
    test.command(Command::Ring { offer: None });
    let ringing = test.learn_tag();
    test.command(Command::Answer { sdp: ANSWER.to_vec() });
    let answer = test.received();
    test.send(test.ack(1, ""));
    test.event();

    let other = "Record-Route: <sip:203.0.113.9;lr>\r\nMax-Forwards: 70";
    let moved = |request: String| {
        request
            .replace("Max-Forwards: 70", other)
            .replace("Contact: <sip:caller@192.0.2.1:5060>", "Contact: <sip:new@192.0.2.1:5099>")
    };
    test.send(moved(test.request("INVITE", 2, "application/sdp", "v=0 again")));
    test.event();
    test.command(Command::AnswerReoffer { sdp: ANSWER.to_vec() });
    let reanswer = test.received();
    test.send(test.ack(2, ""));
    test.event();
    test.send(moved(test.request("UPDATE", 3, "", "")));
    let updated = test.received();
    test.command(Command::Hangup { reason: None });
    let (path, bye) = (test.path, test.received());

    for response in [&ringing, &answer] {
        let written: Vec<_> = response.lines().filter_map(|line| line.strip_prefix("Record-Route: ")).collect();
        assert_eq!(written.join(", "), ROUTES.join(", "), "{response}");
    }
    for response in [reanswer, updated] {
        assert!(status(&response) == 200 && !response.contains("Record-Route"), "{response}");
    }
    // The target has moved, and the way there is as it was.
    assert!(bye.starts_with("BYE sip:new@192.0.2.1:5099 SIP/2.0\r\n"), "{bye}");
    let routes: Vec<_> = bye.lines().filter_map(|line| line.strip_prefix("Route: ")).collect();
    assert_eq!(routes, ROUTES);
    assert_eq!(path.map(|path| path.remote), Some("192.0.2.52:5060".parse().unwrap()));
}

#[test]
fn a_refusal_confirms_no_routes_and_neither_does_what_comes_without_a_dialog() {
    let mut test = Test::new();
    let routes = "Record-Route: <sip:192.0.2.52;lr>\r\nMax-Forwards: 70";

    test.send(invite(1, OFFER).replace("Max-Forwards: 70", routes));
    test.announced();
    test.command(Command::Refuse { status: 486, retry_after: None });
    test.send(message("OPTIONS", "2", 1, "", "").replace("Max-Forwards: 70", routes));
    test.send(message("BYE", "3", 1, "", "").replace("Max-Forwards: 70", routes));

    let answers = test.all_received();
    assert_eq!(answers.iter().map(|text| status(text)).collect::<Vec<_>>(), [486, 200, 481]);
    assert!(answers.iter().all(|text| !text.contains("Record-Route")), "{answers:?}");
}

#[test]
fn a_route_that_cannot_be_read_is_refused_before_there_is_a_call() {
    let mut test = Test::new();

    test.send(invite(1, OFFER).replace("Max-Forwards: 70", "Record-Route: <sip:192.0.2.52;lr\r\nMax-Forwards: 70"));

    assert_eq!(status(&test.received()), 400);
    assert!(test.no_event());
    test.is_empty();
}
