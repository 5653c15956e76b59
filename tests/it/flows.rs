//! What people and systems have always done with voicemail, retold for ours: several tenants, several callers at once beside a
//! reader who deletes, wrong passcodes, and callers who leave half-way.

use afterbeep::{ivr::PromptId, phone::Phone};

use crate::support::{
    caller::{Caller, expect_speech, speech, words},
    server::{CALLER, PASSCODE, Server, TRUSTING, eventually},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_callers_leave_messages_while_the_subscriber_deletes_others() {
    let server = Server::start(TRUSTING);
    server.add_mailbox("1001", &[]);
    let store = server.store().await;
    let now = chrono::Utc::now().into();
    let mut old = Vec::new();
    for _ in 0..3 {
        old.push(server.leave_message(&store, "1001", &words(PromptId::PasscodeLine), now).await);
    }

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::New3).await;
    subscriber.presses("1").await;
    subscriber.hears(PromptId::FirstMessage).await;
    let callers = (0..5).map(|_| async {
        let mut caller = Caller::dial(&server, "1001").await;
        caller.skips_to_the_beep().await;
        caller.says(&speech().0).await;
        caller.hangs_up().await;
    });
    let reader = async {
        for last in [false, false, true] {
            subscriber.presses("7").await;
            subscriber.hears(PromptId::MessageDeleted).await;
            if !last {
                subscriber.presses("6").await;
                subscriber.hears(PromptId::TodayAt).await;
            }
        }
        subscriber.presses("#").await;
        subscriber.hears(PromptId::ToLeave).await;
        subscriber.presses("#").await;
        subscriber.hears(PromptId::Goodbye).await;
        subscriber.waits_for_the_end().await;
    };
    tokio::join!(futures_util::future::join_all(callers), reader);

    let left = eventually("five messages", || Some(server.messages("1001")).filter(|messages| messages.len() == 5));
    for message in &left {
        assert!(old.iter().all(|old| message["id"] != old.as_str()), "a deleted message is there");
        assert_eq!(message["list"], "new");
    }
    for audio in server.audio("1001") {
        expect_speech(&audio);
    }
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_same_number_in_two_tenants_is_two_mailboxes() {
    let server = Server::start(TRUSTING);
    for tenant in ["a.example", "b.example"] {
        server.run(&["mailbox", "add", "1001", "--tenant", tenant, "--passcode", PASSCODE, "--enrolled", "on"]);
    }
    let phone = Phone::towards(&format!("sip:{}", server.udp())).await.unwrap().from(CALLER);

    let mut caller = Caller::from(phone.dial("sip:1001@b.example").await.unwrap());
    caller.skips_to_the_beep().await;
    caller.says(&speech().0).await;
    caller.presses("#").await;
    caller.hears(PromptId::ToSend).await;
    caller.presses("1").await;
    caller.hears(PromptId::MessageSent).await;
    caller.waits_for_the_end().await;

    let held = |tenant| {
        let listed = server.run(&["message", "list", "1001", "--tenant", tenant, "--json"]);
        serde_json::from_str::<Vec<serde_json::Value>>(&listed).unwrap().len()
    };
    assert_eq!((held("a.example"), held("b.example")), (0, 1));
    for (tenant, counts) in [("a.example", PromptId::NoMessages), ("b.example", PromptId::New1)] {
        let mut subscriber = Caller::from(phone.dial(&format!("sip:*98@{tenant}")).await.unwrap());
        subscriber.presses(&format!("1001#{PASSCODE}#")).await;
        subscriber.hears(counts).await;
        subscriber.hangs_up().await;
    }
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn three_wrong_passcodes_end_the_call() {
    let server = Server::start(TRUSTING);
    server.add_mailbox("1001", &[]);

    let mut guesser = Caller::dial(&server, "*98").await;
    guesser.hears(PromptId::EnterMailbox).await;
    guesser.presses("1001#").await;
    for guess in ["11223344#", "22334455#"] {
        guesser.presses(guess).await;
        guesser.hears(PromptId::LoginWrong).await;
        guesser.hears(PromptId::EnterPasscodeAgain).await;
    }
    guesser.presses("33445566#").await;
    guesser.hears(PromptId::TooManyAttempts).await;
    guesser.waits_for_the_end().await;

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::NoMessages).await;
    subscriber.hangs_up().await;
    server.expect_tidiness();
}

/// During the greeting, before the beep, in the beep, and after too little.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn whoever_hangs_up_before_saying_anything_leaves_no_message() {
    let server = Server::start(TRUSTING);
    server.add_mailbox("1001", &[]);

    Caller::dial(&server, "1001").await.hangs_up().await;
    let mut caller = Caller::dial(&server, "1001").await;
    caller.hears(PromptId::ReachedNumber).await;
    caller.hangs_up().await;
    let mut caller = Caller::dial(&server, "1001").await;
    caller.skips_to_the_beep().await;
    caller.hangs_up().await;
    let mut caller = Caller::dial(&server, "1001").await;
    caller.skips_to_the_beep().await;
    caller.says(&words(PromptId::Goodbye)[..4000]).await;
    caller.hangs_up().await;

    eventually("calls that are over", || {
        let over = server.log().matches("a call is over").count();
        (over == 4).then_some(())
    });
    assert_eq!(server.messages("1001").len(), 0);
    server.expect_tidiness();
}
