//! SIPp calls that use more of SIP than most: reliable ringing, session timers kept by either side, UPDATE, routes, and callers who
//! leave at every moment.

use std::{fmt::Write as _, fs, net::SocketAddr};

use afterbeep::audio::law::Law;
use serde_json::Value;

use crate::support::{
    caller::speech,
    server::{CALLER, Server, TRUSTING, eventually},
    sipp::Call,
};

/// The server lets every call ring for a while.
fn ringing() -> Server {
    Server::start(&format!("{TRUSTING}ring = \"700ms\"\n"))
}

const TRANSPORTS: [&str; 2] = ["u1", "t1"];

#[test]
fn ringing_is_acknowledged_with_an_offer_or_for_one() {
    let server = ringing();
    server.add_mailbox("1001", &[]);
    let offer_in_invite = Scenario::new()
        .invite(1, "Require: 100rel\n", OFFER)
        .rings_reliably()
        .request("PRACK", 2, "RAck: [$rseq] 1 INVITE\n", "")
        .receives(200, &[])
        .receives(200, &[("Content-Type:", "application/sdp")])
        .acknowledges(1, "")
        .says_bye(3);
    // The offer comes with the ringing, the answer with the PRACK, and nothing with the 200.
    let offer_in_ringing = Scenario::new()
        .invite(1, "Require: 100rel\n", "")
        .rings_reliably()
        .request("PRACK", 2, "RAck: [$rseq] 1 INVITE\n", OFFER)
        .receives(200, &[])
        .receives(200, &[("Content-Length:", "0")])
        .acknowledges(1, "")
        .request("UPDATE", 3, "", OFFER)
        .receives(200, &[("Content-Type:", "application/sdp")])
        .says_bye(4);

    play(&server, &[offer_in_invite, offer_in_ringing]);

    server.expect_tidiness();
}

#[test]
fn callers_leave_at_every_moment_and_nothing_is_left_of_them() {
    let server = ringing();
    server.add_mailbox("1001", &[]);
    let refused = |scenario: Scenario| scenario.receives(487, &[]).acknowledges_refusal(1);
    // SIPp waits for a provisional response before it cancels, as everybody should; see `hang_up` for who does not.
    let ringing = refused(Scenario::new().invite(1, "", OFFER).rings().cancels(1).receives(200, &[]));
    let unacknowledged =
        refused(Scenario::new().invite(1, "Require: 100rel\n", OFFER).rings_reliably().cancels(1).receives(200, &[]));
    let acknowledged = refused(
        Scenario::new()
            .invite(1, "Require: 100rel\n", "")
            .rings_reliably()
            .request("PRACK", 2, "RAck: [$rseq] 1 INVITE\n", OFFER)
            .receives(200, &[])
            .cancels(1)
            .receives(200, &[]),
    );
    let bye_while_ringing = Scenario::new().invite(1, "", OFFER).rings().request("BYE", 2, "", "").receives(200, &[]);
    let bye_while_ringing = refused(bye_while_ringing);
    // Too late: the call was answered, and goes on until BYE.
    let answered = Scenario::new().invite(1, "", OFFER).rings().receives(200, &[]).cancels(1).receives(200, &[]);
    let answered = answered.acknowledges(1, "").says_bye(2);
    let confirmed = Scenario::new().invite(1, "", OFFER).rings().receives(200, &[]).acknowledges(1, "");
    let confirmed = confirmed.cancels(1).receives(200, &[]).says_bye(2);
    let bye_without_ack = Scenario::new().invite(1, "", OFFER).rings().receives(200, &[]).says_bye(2);
    // Nothing that CANCEL could mean.
    let stray = Scenario::new().stray_cancel().receives(481, &[]);
    let reason = "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\n";
    let with_reason = refused(Scenario::new().invite(1, "", OFFER).rings().cancels_because(1, reason).receives(200, &[]));

    let all =
        [ringing, unacknowledged, acknowledged, bye_while_ringing, answered, confirmed, bye_without_ack, stray, with_reason];
    play(&server, &all);

    server.expect_tidiness();
    assert!(server.messages("1001").is_empty());
    // Over UDP and over TCP: every call has a record, soon after it, and the stray CANCEL is none.
    let records = eventually("every call is recorded", || {
        let records: Vec<Value> = serde_json::from_str(&server.run(&["calls", "--json"])).unwrap();
        (records.len() >= 2 * (all.len() - 1)).then_some(records)
    });
    let ended = |how: &str| records.iter().filter(|record| record.to_string().contains(how)).count();
    assert_eq!(records.len(), 2 * (all.len() - 1), "{records:?}");
    assert_eq!(ended("Call completed elsewhere"), 2, "{records:?}");
}

#[test]
fn a_session_is_refreshed_by_the_caller_after_422_by_update_and_by_invite() {
    let server = Server::start(TRUSTING);
    server.add_mailbox("1001", &[]);
    let timer = |interval: &str| format!("Supported: timer\nSession-Expires: {interval}\n");
    let scenario = Scenario::new()
        .invite(1, &timer("60;refresher=uac"), OFFER)
        .receives(422, &[("Min-SE:", "90")])
        .acknowledges_refusal(1)
        .invite(2, &timer("90;refresher=uac"), OFFER)
        .receives(200, &[("Session-Expires:", "90;refresher=uac"), ("Require:", "timer")])
        .acknowledges(2, "")
        .request("UPDATE", 3, &timer("120;refresher=uac"), "")
        .receives(200, &[("Session-Expires:", "120;refresher=uac")])
        .request("UPDATE", 4, &timer("30"), "")
        .receives(422, &[("Min-SE:", "90")])
        .invite(5, &timer("90;refresher=uac"), OFFER)
        .receives(200, &[("Session-Expires:", "90;refresher=uac")])
        .acknowledges(5, "")
        .says_bye(6);

    play(&server, &[scenario]);

    server.expect_tidiness();
}

#[test]
fn a_session_is_refreshed_by_us_by_update_by_invite_and_after_422() {
    let server = Server::start(TRUSTING);
    server.add_mailbox("1001", &[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("speech.ul");
    fs::write(&file, Law::Mu.encoded(&speech().0)).unwrap();
    let talking = |headers: &str| {
        let talking = Scenario::new().invite(1, headers, OFFER);
        talking.receives(200, &[("Session-Expires:", "90;refresher=uas")]).acknowledges(1, "").speaks(&file.to_string_lossy())
    };
    let timer = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE\nSupported: timer\nSession-Expires: 90;refresher=uas\n";
    let confirm = "Session-Expires: 90;refresher=uas\nSupported: timer\nRequire: timer\n";
    let by_update = talking(timer).gets_asked("UPDATE", "90;refresher=uac").answers(200, confirm, "").says_bye(2);
    let without_update = timer.replace(", UPDATE", "");
    let by_invite = talking(&without_update).gets_asked("INVITE", "90;refresher=uac").answers(200, confirm, OFFER);
    let by_invite = by_invite.gets_acknowledged().says_bye(2);
    let for_longer = talking(timer).gets_asked("UPDATE", "90;refresher=uac").answers(422, "Min-SE: 120\n", "");
    let for_longer =
        for_longer.gets_asked("UPDATE", "120;refresher=uac").answers(200, &confirm.replace("90", "120"), "").says_bye(2);
    // Whoever asks us for credentials gets none; and the session ends when it is over.
    let challenge = "WWW-Authenticate: Digest realm=\"x\", nonce=\"n\"\n";
    let challenged = talking(timer).gets_asked("UPDATE", "90;refresher=uac").answers(401, challenge, "");
    let challenged = challenged.gets_asked("UPDATE", "90;refresher=uac").answers(401, challenge, "").says_bye(2);

    std::thread::scope(|scope| {
        for scenario in [&by_update, &by_invite, &for_longer, &challenged] {
            scope.spawn(|| scenario.play("u1", server.udp()));
        }
    });

    server.expect_tidiness();
}

#[test]
fn routes_are_recorded_and_requests_of_ours_take_them() {
    let server = Server::start(TRUSTING);
    server.add_mailbox("1001", &[]);
    // Both proxies are SIPp itself: whatever is sent comes there.
    let routes = "Record-Route: <sip:[local_ip]:[local_port];lr;p=2>, <sip:[local_ip]:[local_port];lr;p=1>\n";
    let timer = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE\nSupported: timer\nSession-Expires: 90;refresher=uac\n";
    let scenario = Scenario::new()
        .invite(1, &format!("{routes}{timer}"), OFFER)
        .receives(200, &[("Record-Route:", ";lr;p=2>, <sip:")])
        .acknowledges(1, "")
        // Nothing changes the routes any more (RFC 3261 §12.2).
        .request("UPDATE", 2, "Record-Route: <sip:192.0.2.1;lr>\n", "")
        .receives(200, &[])
        // After half a minute without audio we hang up.
        .gets_hung_up_on("p=2", "no audio from the caller");

    play(&server, &[scenario]);

    server.expect_tidiness();
}

/// Plays each scenario over UDP and over TCP, all at once.
fn play(server: &Server, scenarios: &[Scenario]) {
    std::thread::scope(|scope| {
        for transport in TRANSPORTS {
            for scenario in scenarios {
                let address = if transport == "u1" { server.udp() } else { server.tcp() };
                scope.spawn(move || scenario.play(transport, address));
            }
        }
    });
}

const OFFER: &str = "v=0\no=user1 53655765 2353687637 IN IP4 [local_ip]\ns=-\nc=IN IP4 [media_ip]\nt=0 0\n\
                     m=audio [rtpstream_audio_port] RTP/AVP 0 101\na=rtpmap:0 PCMU/8000\na=rtpmap:101 telephone-event/8000\n";

/// What SIPp is to do, as it is written step by step.
struct Scenario {
    xml: String,
}

impl Scenario {
    fn new() -> Self {
        Self { xml: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<scenario name=\"dialog\">\n".to_owned() }
    }

    fn play(&self, transport: &str, server: SocketAddr) {
        Call { transport, ..Call::default() }.play(&format!("{}</scenario>\n", self.xml), server, 1);
    }

    fn with(mut self, step: &str) -> Self {
        self.xml.push_str(step);
        self
    }

    fn invite(self, number: u32, headers: &str, body: &str) -> Self {
        self.request("INVITE", number, headers, body)
    }

    /// Sends a request; after the first response that had a tag, inside the dialog.
    fn request(self, method: &str, number: u32, headers: &str, body: &str) -> Self {
        // A call that was refused is made anew, with a number of its own.
        let is_first = method == "INVITE" && !self.xml.contains("<recv response=\"200\"");
        self.sends(method, method, number, if is_first { "" } else { "[peer_tag_param]" }, headers, body)
    }

    fn sends(self, method: &str, branch: &str, number: u32, tag: &str, headers: &str, body: &str) -> Self {
        let retransmit = if method == "ACK" { "" } else { " retrans=\"500\"" };
        let contact = if matches!(method, "INVITE" | "UPDATE") {
            format!("Contact: <sip:{CALLER}@[local_ip]:[local_port];transport=[transport]>\n")
        } else {
            String::new()
        };
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\n" };
        self.with(&format!(
            "<send{retransmit}><![CDATA[\n{method} sip:[service]@[remote_ip]:[remote_port] SIP/2.0\n\
             Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bK-[pid]-[call_number]-{number}-{branch}\n\
             From: \"Ann Lee\" <sip:{CALLER}@[local_ip]:[local_port]>;tag=[pid]SIPp[call_number]\n\
             To: <sip:[service]@[remote_ip]:[remote_port]>{tag}\nCall-ID: [call_id]\nCSeq: {number} {method}\nMax-Forwards: 70\n\
             {contact}{headers}{content}Content-Length: [len]\n\n{body}]]></send>\n"
        ))
    }

    /// Gets a response whose headers contain these texts.
    fn receives(self, status: u16, headers: &[(&str, &str)]) -> Self {
        let mut actions = String::new();
        for (name, text) in headers {
            let _ = write!(
                actions,
                "<ereg regexp=\"{}\" search_in=\"hdr\" header=\"{name}\" check_it=\"true\" assign_to=\"checked\"/>",
                pattern(text)
            );
        }
        self.with(&format!(
            "<recv response=\"100\" optional=\"true\"/>\n<recv response=\"180\" optional=\"true\"/>\n<recv response=\"{status}\">\
             <action>{actions}</action></recv>\n"
        ))
        .refers_to_checked(headers.is_empty())
    }

    fn rings(self) -> Self {
        self.with("<recv response=\"100\" optional=\"true\"/>\n<recv response=\"180\"/>\n")
    }

    fn rings_reliably(self) -> Self {
        self.with(
            "<recv response=\"100\" optional=\"true\"/>\n<recv response=\"180\"><action>\
             <ereg regexp=\"100rel\" search_in=\"hdr\" header=\"Require:\" check_it=\"true\" assign_to=\"checked\"/>\
             <ereg regexp=\"[0-9]+\" search_in=\"hdr\" header=\"RSeq:\" check_it=\"true\" assign_to=\"rseq\"/>\
             <log message=\"[$rseq]\"/></action></recv>\n",
        )
        .refers_to_checked(false)
    }

    /// SIPp insists that every variable is used.
    fn refers_to_checked(self, is_unused: bool) -> Self {
        if is_unused { self } else { self.with("<nop><action><log message=\"[$checked]\"/></action></nop>\n") }
    }

    fn acknowledges(self, number: u32, body: &str) -> Self {
        self.sends("ACK", "ACK", number, "[peer_tag_param]", "", body)
    }

    fn acknowledges_refusal(self, number: u32) -> Self {
        self.sends("ACK", "INVITE", number, "[peer_tag_param]", "", "")
    }

    fn cancels(self, number: u32) -> Self {
        self.cancels_because(number, "")
    }

    fn cancels_because(self, number: u32, headers: &str) -> Self {
        self.sends("CANCEL", "INVITE", number, "", headers, "")
    }

    fn stray_cancel(self) -> Self {
        self.sends("CANCEL", "INVITE", 7, "", "", "")
    }

    fn says_bye(self, number: u32) -> Self {
        self.request("BYE", number, "", "").receives(200, &[])
    }

    /// Speaks without end.
    fn speaks(self, file: &str) -> Self {
        self.with(&format!("<nop><action><exec rtp_stream=\"{file},-1,0\"/></action></nop>\n"))
    }

    /// Gets a request that refreshes the session.
    fn gets_asked(self, method: &str, session: &str) -> Self {
        self.with(&format!(
            "<recv request=\"{method}\" timeout=\"100000\"><action>\
             <ereg regexp=\"{}\" search_in=\"hdr\" header=\"Session-Expires:\" check_it=\"true\" assign_to=\"checked\"/>\
             <ereg regexp=\"[Aa]uthorization\" search_in=\"msg\" check_it_inverse=\"true\" assign_to=\"credentials\"/>\
             <log message=\"[$checked][$credentials]\"/></action></recv>\n",
            pattern(session)
        ))
    }

    /// Answers the request that came last.
    fn answers(self, status: u16, headers: &str, body: &str) -> Self {
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\n" };
        self.with(&format!(
            "<send><![CDATA[\nSIP/2.0 {status} Answer\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\n\
             Contact: <sip:{CALLER}@[local_ip]:[local_port];transport=[transport]>\n{headers}{content}Content-Length: [len]\n\n\
             {body}]]></send>\n"
        ))
    }

    fn gets_acknowledged(self) -> Self {
        self.with("<recv request=\"ACK\" timeout=\"10000\"/>\n")
    }

    /// Gets a BYE that came by this proxy first, for this reason.
    fn gets_hung_up_on(self, proxy: &str, reason: &str) -> Self {
        self.with(&format!(
            "<recv request=\"BYE\" timeout=\"100000\"><action>\
             <ereg regexp=\"{proxy}\" search_in=\"hdr\" header=\"Route:\" check_it=\"true\" assign_to=\"checked\"/>\
             <ereg regexp=\"{reason}\" search_in=\"hdr\" header=\"Reason:\" check_it=\"true\" assign_to=\"reason\"/>\
             <log message=\"[$checked][$reason]\"/></action></recv>\n"
        ))
        .answers(200, "", "")
    }
}

/// As SIPp's regular expressions and XML want it.
fn pattern(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
