//! Messages between mailboxes, by the real server: sent by a command, forwarded, answered and sent by telephone.

use afterbeep::audio::wav;
use serde_json::{Value, json};

use crate::support::{
    caller::{expect_speech, speech},
    server::Server,
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

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).expect("JSON")
}
