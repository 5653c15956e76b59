//! Messages between mailboxes, by the real server: sent by a command, forwarded, answered and sent by telephone.

use afterbeep::{
    audio::wav,
    domain::{
        greeting::GreetingKind, id::SendingId, mailbox_log::Origin, message::Marks, rules, sending::SentKind, time::Timestamp,
    },
    ivr::PromptId,
    phone::{Phone, listen},
    store::{
        greeting::GreetingChange,
        sending::{Content, NewSending, Recipients},
    },
};
use serde_json::{Value, json};

use crate::support::{
    caller::{Caller, expect_speech, speech, words},
    server::{Server, eventually},
};

#[test]
fn an_operator_sends_a_file_to_mailboxes_lists_and_everybody() {
    let server = Server::start("");
    for number in ["1001", "1002", "1003"] {
        server.add_mailbox(number, &["--name", "Ann Lee"]);
    }
    let file = server.path("message.wav").to_string_lossy().into_owned();
    std::fs::write(&file, wav::from_samples(&speech().0)).unwrap();
    let list = parsed(&server.run(&["list", "add", "70", "--name", "Sales", "--member", "1002", "--json"]));
    assert_eq!((&list["members"], &list["owner"]), (&json!(["1002"]), &Value::Null));
    assert_eq!(server.run(&["list", "member", "add", "70", "1003"]), "list 70 has 2 members\n");

    let sent =
        parsed(&server.run(&["message", "send", &file, "--to", "70", "--to", "1002", "--from", "1001", "--urgent", "--json"]));
    let all = server.run(&["message", "send", &file, "--all", "--from", "1001", "--private"]);

    assert_eq!((&sent["delivered"], &sent["missed"]), (&json!(2), &json!([])));
    assert_eq!(all, "delivered to 2 mailboxes\n");
    for number in ["1002", "1003"] {
        let [first, second] = &server.messages(number)[..] else { panic!("two messages") };
        assert_eq!((&first["sent"], &first["urgent"], &first["caller_number"]), (&json!("sent"), &json!(true), &json!("1001")));
        assert_eq!((&second["sent"], &second["private"]), (&json!("broadcast"), &json!(true)));
        for audio in server.audio(number) {
            expect_speech(&audio);
        }
    }
    assert!(server.messages("1001").is_empty());
    let sent = parsed(&server.run(&["message", "sent", "--json"]));
    assert_eq!((&sent[0]["kind"], &sent[1]["sender"], sent.as_array().unwrap().len()), (&json!("broadcast"), &json!("1001"), 2));
    assert!(server.fails(&["message", "send", &file, "--to", "1009"]).contains("there is no mailbox or list 1009"));
    assert!(server.fails(&["list", "add", "1001"]).contains("the number 1001 is already taken"));
    server.expect_tidiness();
}

#[test]
fn an_operator_says_who_owns_a_shared_mailbox() {
    let server = Server::start("");
    for number in ["5001", "1001", "1002"] {
        server.add_mailbox(number, &[]);
    }

    assert_eq!(server.run(&["mailbox", "owner", "add", "5001", "1001"]), "1001 owns mailbox 5001\n");
    assert_eq!(server.run(&["mailbox", "owner", "add", "5001", "1001"]), "1001 already owns mailbox 5001\n");
    server.run(&["mailbox", "owner", "add", "5001", "1002"]);
    server.run(&["mailbox", "owner", "remove", "5001", "1002"]);

    let owners = parsed(&server.run(&["mailbox", "owner", "list", "5001", "--json"]));
    assert_eq!(owners, json!([{ "number": "1001", "name": "" }]));
    assert!(server.fails(&["mailbox", "owner", "add", "1001", "1001"]).contains("an owner is another mailbox"));
    assert!(server.fails(&["mailbox", "owner", "remove", "5001", "1002"]).contains("1002 does not own mailbox 5001"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_message_is_forwarded_to_two_boxes_with_an_introduction_and_as_it_is() {
    let server = with_mailboxes(&["1001", "1002", "1003"]);
    let (said, _) = speech();
    server.leave_message(&server.store().await, "1001", &said, now()).await;
    let introduction = words(PromptId::PasscodeLine);

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::New1).await;
    subscriber.presses("1").await;
    subscriber.hears_audio("the message", &said).await;
    subscriber.hears(PromptId::ToDelete).await;
    subscriber.presses("8").await;
    subscriber.hears(PromptId::EnterAddressee).await;
    subscriber.presses("1002#").await;
    subscriber.hears(PromptId::Digit2End).await;
    subscriber.presses("1009#").await;
    subscriber.hears(PromptId::AddresseeUnknown).await;
    subscriber.presses("1003#").await;
    subscriber.hears(PromptId::AnotherAddressee).await;
    subscriber.presses("#").await;
    subscriber.hears(PromptId::ToIntroduce).await;
    subscriber.presses("1").await;
    subscriber.hears(PromptId::RecordIntroduction).await;
    subscriber.hears_beep().await;
    subscriber.says(&introduction).await;
    subscriber.presses("#").await;
    subscriber.hears(PromptId::ToListen).await;
    subscriber.presses("2").await;
    subscriber.hears_audio("the introduction", &introduction).await;
    subscriber.presses("1").await;
    subscriber.hears(PromptId::SentTo).await;
    subscriber.hears(PromptId::Number2).await;
    subscriber.hears(PromptId::Mailboxes).await;
    // Once more, as it is.
    subscriber.hears(PromptId::ToDelete).await;
    subscriber.presses("8").await;
    subscriber.hears(PromptId::EnterAddressee).await;
    subscriber.presses("1002##").await;
    subscriber.hears(PromptId::ToIntroduce).await;
    subscriber.presses("2").await;
    subscriber.hears(PromptId::SentTo1).await;
    subscriber.hangs_up().await;

    for (number, count) in [("1002", 2), ("1003", 1)] {
        let messages = server.messages(number);
        assert_eq!(messages.len(), count);
        for message in &messages {
            assert_eq!((&message["sent"], &message["caller_number"]), (&json!("forwarded"), &json!("1001")));
        }
        let audio = &server.audio(number)[0];
        let introduced = listen::find(&introduction, audio).expect("a message longer than its introduction");
        assert!(introduced.likeness > 0.98, "{introduced:?}");
        assert!(expect_speech(audio) > introduced.at + introduction.len(), "the introduction comes first");
    }
    expect_speech(&server.audio("1002")[1]);
    assert_eq!(server.messages("1001").len(), 1, "the message itself stays");
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_hang_up_during_the_introduction_forwards_nothing() {
    let server = with_mailboxes(&["1001", "1002"]);
    server.leave_message(&server.store().await, "1001", &words(PromptId::Welcome), now()).await;

    for accepted in [false, true] {
        let mut subscriber = Caller::log_in(&server, "1001").await;
        subscriber.hears(PromptId::ToHelp).await;
        subscriber.presses(if accepted { "2" } else { "1" }).await;
        subscriber.hears(PromptId::ToDelete).await;
        subscriber.presses("8").await;
        subscriber.hears(PromptId::EnterAddressee).await;
        subscriber.presses("1002##").await;
        subscriber.hears(PromptId::ToIntroduce).await;
        subscriber.presses("1").await;
        subscriber.hears(PromptId::RecordIntroduction).await;
        subscriber.hears_beep().await;
        subscriber.says(&words(PromptId::PasscodeLine)).await;
        if accepted {
            subscriber.presses("#").await;
            subscriber.hears(PromptId::ToListen).await;
        }
        subscriber.hangs_up().await;
        server.expect_tidiness();
    }

    assert!(server.messages("1002").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_private_message_is_not_forwarded() {
    let server = with_mailboxes(&["1001", "1002"]);
    let file = wav_file(&server, &words(PromptId::Welcome));
    server.run(&["message", "send", &file, "--to", "1001", "--private"]);

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::New1).await;
    subscriber.presses("1").await;
    subscriber.hears(PromptId::ToDelete).await;
    subscriber.presses("8").await;
    subscriber.hears(PromptId::PrivateNotForwarded).await;
    subscriber.hears(PromptId::ToDelete).await;
    subscriber.hangs_up().await;

    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_caller_on_an_own_line_gets_a_reply_and_a_stranger_none() {
    let server = with_mailboxes(&["1001", "1002"]);
    let (said, _) = speech();
    for header in [Some("<sip:1002@pbx.example>"), None] {
        let set_up = |phone: Phone| match header {
            Some(identity) => phone.from("1002").header("P-Asserted-Identity", identity),
            None => phone.from("1002"),
        };
        let mut caller = Caller::dial_as(&server, "1001", set_up).await;
        caller.skips_to_the_beep().await;
        caller.says(&words(PromptId::Welcome)).await;
        caller.hangs_up().await;
    }
    server.wait_for_messages("1001", 2);

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::New2).await;
    subscriber.presses("1").await;
    subscriber.hears(PromptId::FirstMessage).await;
    subscriber.presses("88").await;
    subscriber.hears(PromptId::ReplyTo).await;
    subscriber.hears(PromptId::RecordMessage).await;
    subscriber.hears_beep().await;
    subscriber.says(&said).await;
    subscriber.presses("#").await;
    subscriber.hears(PromptId::ToMarkUrgent).await;
    subscriber.presses("4").await;
    subscriber.hears(PromptId::MarkedUrgent).await;
    subscriber.presses("1").await;
    subscriber.hears(PromptId::SentTo1).await;
    subscriber.presses("6").await;
    subscriber.hears(PromptId::LastMessage).await;
    subscriber.presses("88").await;
    subscriber.hears(PromptId::NobodyToReplyTo).await;
    subscriber.hangs_up().await;

    let [reply] = &server.messages("1002")[..] else { panic!("one reply") };
    assert_eq!((&reply["sent"], &reply["urgent"], &reply["caller_number"]), (&json!("reply"), &json!(true), &json!("1001")));
    expect_speech(&server.audio("1002")[0]);
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_colleague_is_named_found_and_answered_however_the_number_is_written() {
    let server = Server::start("dial_rules = [\"any country=1 national=1 international=011 length=10\"]\n");
    for number in ["1001", "2025550101"] {
        server.add_mailbox(number, &[]);
    }
    let name = words(PromptId::PasscodeLine);
    let store = server.store().await;
    let colleague = store.find_mailbox("", "2025550101").await.unwrap().expect("a mailbox");
    let change = GreetingChange { mailbox: &colleague.id, kind: GreetingKind::Name, by: &Origin::command() };
    store.set_greeting_wav(change, None, wav::from_samples(&name), now()).await.unwrap();
    let asserted = |phone: Phone| phone.header("P-Asserted-Identity", "<tel:+1-202-555-0101>");
    let mut caller = Caller::dial_as(&server, "1001", asserted).await;
    caller.skips_to_the_beep().await;
    caller.says(&words(PromptId::Welcome)).await;
    caller.hangs_up().await;
    server.wait_for_messages("1001", 1);

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::New1).await;
    subscriber.presses("13").await;
    subscriber.hears_audio("the colleague's name", &name).await;
    subscriber.presses("88").await;
    subscriber.hears(PromptId::ReplyTo).await;
    subscriber.hears(PromptId::RecordMessage).await;
    subscriber.hangs_up().await;
    let mut colleague = Caller::log_in(&server, "12025550101").await;
    colleague.hears(PromptId::NoMessages).await;
    colleague.hangs_up().await;
    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::ToHelp).await;
    subscriber.presses("3").await;
    subscriber.hears(PromptId::EnterAddressee).await;
    subscriber.presses("12025550101#").await;
    subscriber.hears(PromptId::AnotherAddressee).await;
    subscriber.hangs_up().await;

    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_message_is_sent_to_a_list_by_hanging_up() {
    let server = with_mailboxes(&["1001", "1002", "1003"]);
    server.run(&["list", "add", "70", "--of", "1001", "--member", "1002", "--member", "1003"]);

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::ToHelp).await;
    subscriber.presses("3").await;
    subscriber.hears(PromptId::EnterAddressee).await;
    subscriber.presses("70#").await;
    subscriber.hears(PromptId::ListNumber).await;
    subscriber.hears(PromptId::AnotherAddressee).await;
    subscriber.presses("#").await;
    subscriber.hears(PromptId::RecordMessage).await;
    subscriber.hears_beep().await;
    subscriber.says(&speech().0).await;
    subscriber.hangs_up().await;

    for number in ["1002", "1003"] {
        let messages = server.wait_for_messages(number, 1);
        assert_eq!(messages[0]["sent"], "sent");
        expect_speech(&server.audio(number)[0]);
    }
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_administrator_sends_to_everybody() {
    let server = with_mailboxes(&["1001", "1002", "1003", "1004"]);
    server.run(&["mailbox", "set", "1001", "--administrator", "on"]);

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::ToHelp).await;
    subscriber.presses("9").await;
    subscriber.hears(PromptId::RecordBroadcast).await;
    subscriber.hears_beep().await;
    subscriber.says(&speech().0).await;
    subscriber.presses("#").await;
    subscriber.hears(PromptId::ToListen).await;
    subscriber.presses("1").await;
    subscriber.hears(PromptId::SentToEverybody).await;
    subscriber.hangs_up().await;

    for number in ["1002", "1003", "1004"] {
        assert_eq!(server.wait_for_messages(number, 1)[0]["sent"], "broadcast");
        expect_speech(&server.audio(number)[0]);
    }
    assert!(server.messages("1001").is_empty());
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn two_owners_open_a_shared_mailbox_at_once() {
    let server = with_mailboxes(&["5001", "1001", "1002"]);
    for owner in ["1001", "1002"] {
        server.run(&["mailbox", "owner", "add", "5001", owner]);
    }
    let (said, _) = speech();
    server.leave_message(&server.store().await, "5001", &said, now()).await;

    let mut ann = Caller::log_in(&server, "1001").await;
    ann.hears(PromptId::HasNew1).await;
    let mut bob = Caller::log_in(&server, "1002").await;
    bob.hears(PromptId::HasNew1).await;
    for owner in [&mut ann, &mut bob] {
        owner.presses("4").await;
        owner.hears(PromptId::ForMailbox).await;
        owner.presses("1").await;
        owner.hears(PromptId::InMailbox).await;
        owner.hears(PromptId::New1).await;
        owner.presses("1").await;
        owner.hears(PromptId::TodayAt).await;
    }
    // Each decides on the message as it was before the other's change.
    for owner in [&mut ann, &mut bob] {
        owner.presses("9").await;
        owner.hears(PromptId::MessageSaved).await;
    }
    ann.hangs_up().await;
    bob.hangs_up().await;
    server.expect_tidiness();

    let saved = &server.messages("5001");
    assert_eq!((saved.len(), &saved[0]["list"]), (1, &json!("saved")));
    let log = parsed(&server.run(&["mailbox", "owner", "log", "5001", "--json"]));
    let deeds: Vec<_> = log.as_array().unwrap().iter().map(|deed| (&deed["owner"], &deed["what"], &deed["message"])).collect();
    let id = &saved[0]["id"];
    assert_eq!(deeds, [(&json!("1002"), &json!("saved"), id), (&json!("1001"), &json!("saved"), id)]);
    eventually("both calls are recorded as the shared mailbox's", || {
        let calls = parsed(&server.run(&["calls", "--mailbox", "5001", "--json"]));
        (calls.as_array().map(Vec::len) == Some(2)).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_longest_message_is_heard_with_its_introduction() {
    let server = with_mailboxes(&["1001", "1002"]);
    let store = server.store().await;
    let introduction = words(PromptId::PasscodeLine);
    let quiet = vec![0; 8000 * rules::LONGEST_MESSAGE.as_secs() as usize];
    let message = server.leave_message(&store, "1001", &quiet, now()).await;
    let recipient = store.find_mailbox("", "1002").await.unwrap().expect("a mailbox").id;
    let new = NewSending {
        id: SendingId::random(),
        kind: SentKind::Forwarded,
        sender: None,
        to: Recipients::These { mailboxes: vec![recipient], lists: vec![] },
        content: Content::Message { message, introduction: Some(wav::from_samples(&introduction)) },
        marks: Marks::default(),
    };
    store.send(new.clone(), now()).await.unwrap();
    store.deliver(&new.id, now()).await.unwrap();

    let mut subscriber = Caller::log_in(&server, "1002").await;
    subscriber.hears(PromptId::New1).await;
    subscriber.presses("1").await;
    subscriber.hears(PromptId::ForwardedMessage).await;
    subscriber.hears_audio("the introduction", &introduction).await;
    subscriber.hangs_up().await;

    let length = server.messages("1002")[0]["duration_seconds"].as_f64().unwrap();
    assert!(length > rules::LONGEST_MESSAGE.as_secs_f64(), "{length} s");
    server.expect_tidiness();
}

/// A server with enrolled mailboxes.
fn with_mailboxes(numbers: &[&str]) -> Server {
    let server = Server::start("");
    for number in numbers {
        server.add_mailbox(number, &[]);
    }
    server
}

fn wav_file(server: &Server, audio: &[i16]) -> String {
    let file = server.path("message.wav");
    std::fs::write(&file, wav::from_samples(audio)).unwrap();
    file.to_string_lossy().into_owned()
}

fn now() -> Timestamp {
    chrono::Utc::now().into()
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).expect("JSON")
}
