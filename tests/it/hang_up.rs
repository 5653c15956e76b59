//! Callers and subscribers hang up at every point of a call: what should be kept is kept, once, and nothing else is; the server
//! goes on.

use std::{net::SocketAddr, time::Duration};

use afterbeep::{domain::time::Timestamp, ivr::PromptId};
use serde_json::Value;
use tokio::{net::UdpSocket, time::timeout};

use crate::support::{
    caller::{Caller, PATIENCE, expect_speech, speech, words},
    server::{CALLER, PASSCODE, Server},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn during_a_deposit() {
    let server = Server::start("");
    // Each moment has a mailbox of its own: in order.
    let kept: Vec<(&str, bool)> = vec![
        ("greeting", false),
        ("beep", false),
        ("recording, too early", false),
        ("recording", true),
        ("review", true),
        ("review, listening", true),
        ("sent", true),
        ("cancelled", false),
        ("recording again", false),
        ("recorded again", true),
        ("login", false),
    ];
    let number = |at: usize| (1001 + at).to_string();
    for at in 0..kept.len() {
        server.add_mailbox(&number(at), &[]);
    }

    let calls = kept.iter().enumerate().map(|(at, (moment, _))| deposit_until(&server, number(at), moment));
    futures_util::future::join_all(calls).await;

    server.expect_tidiness();
    for (at, (moment, is_kept)) in kept.iter().enumerate() {
        let messages = server.messages(&number(at));
        assert_eq!(messages.len(), usize::from(*is_kept), "hung up at: {moment}");
        if *is_kept {
            assert_eq!(messages[0]["interrupted"], false, "hung up at: {moment}");
            expect_speech(&server.audio(&number(at))[0]);
        }
    }
    let mut next = Caller::dial(&server, "1001").await;
    next.skips_to_the_beep().await;
    next.hangs_up().await;
}

/// Leaves a message, and hangs up at this moment.
async fn deposit_until(server: &Server, number: String, moment: &str) {
    let (speech, second) = speech();
    let mut caller = Caller::dial(server, &number).await;
    match moment {
        "greeting" => _ = caller.hears(PromptId::ReachedNumber).await,
        "login" => {
            caller.presses("*").await;
            caller.hears(PromptId::EnterPasscode).await;
        }
        "beep" => {
            caller.presses("#").await;
            let line = caller.call.line();
            line.wait_for_audio(line.position(), PATIENCE).await.expect("the beginning of the beep");
        }
        _ => {
            caller.skips_to_the_beep().await;
            if moment == "recording, too early" {
                caller.says(&speech[..8000]).await;
                return caller.hangs_up().await;
            }
            if moment == "recorded again" {
                caller.says(&words(PromptId::PasscodeLine)).await;
                caller.presses("#3").await;
                caller.hears_beep().await;
            }
            caller.says(&speech).await;
            if matches!(moment, "recording" | "recorded again") {
                return caller.hangs_up().await;
            }
            caller.presses("#").await;
            caller.hears(PromptId::ToSend).await;
            match moment {
                "review" => {}
                "review, listening" => {
                    caller.presses("2").await;
                    caller.hears_audio("the recording", &speech[..second / 2]).await;
                }
                "sent" => {
                    caller.presses("1").await;
                    caller.hears(PromptId::MessageSent).await;
                }
                "cancelled" => {
                    caller.presses("*").await;
                    caller.hears(PromptId::MessageCancelled).await;
                }
                "recording again" => {
                    caller.presses("3").await;
                    caller.hears_beep().await;
                    caller.says(&speech[..8000]).await;
                }
                other => panic!("no such moment: {other}"),
            }
        }
    }
    caller.hangs_up().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn during_a_retrieval() {
    let server = Server::start("");
    // What becomes of the one message in each mailbox.
    let moments: Vec<(&str, Option<&str>)> = vec![
        ("number", Some("new")),
        ("passcode", Some("new")),
        ("counts", Some("new")),
        ("stamp", Some("new")),
        ("message", Some("new")),
        ("heard", Some("saved")),
        ("deleted", None),
        ("saved", Some("saved")),
        ("options", Some("new")),
        ("new passcode", Some("new")),
        ("greeting, recording", Some("new")),
        ("greeting, review", Some("new")),
    ];
    let number = |at: usize| (1001 + at).to_string();
    let store = server.store().await;
    for at in 0..moments.len() {
        server.add_mailbox(&number(at), &[]);
        server.leave_message(&store, &number(at), &words(PromptId::PasscodeLine), now()).await;
    }

    let calls = moments.iter().enumerate().map(|(at, (moment, _))| listen_until(&server, number(at), moment));
    futures_util::future::join_all(calls).await;

    server.expect_tidiness();
    for (at, (moment, expected)) in moments.iter().enumerate() {
        let messages = server.messages(&number(at));
        let list = messages.first().map(|message| message["list"].clone());
        assert_eq!(list, expected.map(Value::from), "hung up at: {moment}");
        assert_eq!(server.mailbox(&number(at))["has_greeting"], false, "hung up at: {moment}");
    }
    let mut next = Caller::log_in(&server, &number(9)).await;
    next.hears(PromptId::New1).await;
    next.hangs_up().await;
}

/// Logs in and listens, and hangs up at this moment.
async fn listen_until(server: &Server, number: String, moment: &str) {
    let message = words(PromptId::PasscodeLine);
    let mut subscriber = Caller::dial(server, "*98").await;
    match moment {
        "number" => {
            subscriber.hears(PromptId::EnterMailbox).await;
            subscriber.presses(&number[..2]).await;
            return subscriber.hangs_up().await;
        }
        "passcode" => {
            subscriber.presses(&format!("{number}#")).await;
            subscriber.hears(PromptId::EnterPasscode).await;
            subscriber.presses(&PASSCODE[..7]).await;
            return subscriber.hangs_up().await;
        }
        _ => subscriber.presses(&format!("{number}#{PASSCODE}#")).await,
    }
    subscriber.hears(PromptId::New1).await;
    match moment {
        "counts" => {}
        "stamp" => {
            subscriber.presses("1").await;
            subscriber.hears(PromptId::TodayAt).await;
        }
        "options" => {
            subscriber.presses("0").await;
            subscriber.hears(PromptId::ToRecordGreeting).await;
        }
        "new passcode" => {
            subscriber.presses("0360271945#").await;
            subscriber.hears(PromptId::ConfirmPasscode).await;
        }
        "greeting, recording" | "greeting, review" => {
            subscriber.presses("01").await;
            subscriber.hears(PromptId::RecordGreeting).await;
            subscriber.hears_beep().await;
            subscriber.says(&message).await;
            if moment == "greeting, review" {
                subscriber.presses("#").await;
                subscriber.hears(PromptId::ToKeep).await;
            }
        }
        _ => {
            subscriber.presses("1").await;
            subscriber.hears_audio("half of the message", &message[..message.len() / 2]).await;
            match moment {
                "message" => {}
                "heard" => _ = subscriber.hears(PromptId::ToDelete).await,
                "deleted" => {
                    subscriber.presses("7").await;
                    subscriber.hears(PromptId::MessageDeleted).await;
                }
                "saved" => {
                    subscriber.presses("9").await;
                    subscriber.hears(PromptId::MessageSaved).await;
                }
                other => panic!("no such moment: {other}"),
            }
        }
    }
    subscriber.hangs_up().await;
}

#[tokio::test]
async fn before_the_call_is_acknowledged() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);

    let mut statuses = Vec::new();
    for attempt in 0..5 {
        let phone = BarePhone::towards(server.udp(), attempt).await;
        phone.send("INVITE", 1, "", OFFER).await;
        phone.send("CANCEL", 1, "", "").await;
        assert_eq!(phone.final_response("1 CANCEL").await.0, 200);
        let (status, tag) = phone.final_response("1 INVITE").await;
        phone.send("ACK", 1, &tag, "").await;
        if status == 200 {
            // The answer was quicker than the CANCEL.
            phone.send("BYE", 2, &tag, "").await;
            phone.final_response("2 BYE").await;
        }
        statuses.push(status);
    }
    let phone = BarePhone::towards(server.udp(), 9).await;
    phone.send("INVITE", 1, "", OFFER).await;
    let (answered, tag) = phone.final_response("1 INVITE").await;
    phone.send("BYE", 2, &tag, "").await;
    let (ended, _) = phone.final_response("2 BYE").await;

    assert!(statuses.iter().all(|status| [200, 487].contains(status)) && statuses.contains(&487), "{statuses:?}");
    assert_eq!((answered, ended), (200, 200));
    let mut next = Caller::dial(&server, "1001").await;
    next.skips_to_the_beep().await;
    next.hangs_up().await;
    server.expect_tidiness();
    assert!(server.messages("1001").is_empty());
}

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";

/// A telephone that does what no telephone of ours would: just a socket.
struct BarePhone {
    socket: UdpSocket,
    server: SocketAddr,
    call: u32,
}

impl BarePhone {
    async fn towards(server: SocketAddr, call: u32) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("loopback has a free port");
        socket.connect(server).await.expect("a UDP socket can be connected");
        Self { socket, server, call }
    }

    async fn send(&self, method: &str, number: u32, to_tag: &str, body: &str) {
        let (Self { server, call, .. }, us) = (self, self.socket.local_addr().expect("a bound socket has an address"));
        // A CANCEL belongs to its INVITE's transaction; the ACK of a 2xx and everything else have their own.
        let branch = if method == "CANCEL" { "INVITE" } else { method };
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let request = format!(
            "{method} sip:1001@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {us};branch=z9hG4bK-{call}-{number}-{branch}\r\n\
             From: <sip:{CALLER}@{us}>;tag=f{call}\r\nTo: <sip:1001@{server}>{to_tag}\r\nCall-ID: {call}@{us}\r\n\
             CSeq: {number} {method}\r\nMax-Forwards: 70\r\nContact: <sip:{CALLER}@{us}>\r\n{content}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.socket.send(request.as_bytes()).await.expect("the server is there");
    }

    /// The status of the final response to a request, and the tag in its To, with the semicolon.
    async fn final_response(&self, cseq: &str) -> (u16, String) {
        let mut datagram = [0; 4096];
        loop {
            let length = timeout(Duration::from_secs(20), self.socket.recv(&mut datagram)).await.expect("a response").unwrap();
            let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
            let header = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
            let status: u16 = text.get(8..11).and_then(|status| status.parse().ok()).unwrap_or(0);
            if status >= 200 && header("CSeq:") == cseq {
                let to = header("To:");
                let tag = to.split_once(";tag=").map(|(_, tag)| format!(";tag={tag}")).unwrap_or_default();
                return (status, tag);
            }
        }
    }
}

fn now() -> Timestamp {
    chrono::Utc::now().into()
}
