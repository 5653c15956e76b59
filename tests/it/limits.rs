//! A mailbox at its limit of 300 messages.

use afterbeep::{domain::rules::MAILBOX_CAPACITY, ivr::PromptId};
use futures_util::{StreamExt, stream};

use crate::support::{
    caller::{Caller, speech, words},
    server::{PASSCODE, Server},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn two_callers_leave_the_300th_message_and_one_is_told_that_the_mailbox_became_full() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let store = server.store().await;
    let before = chrono::Utc::now().into();
    let filler = words(PromptId::PasscodeLine);
    // More at once than a slow disk deposits in the time the store waits would not all be taken.
    let fillers = stream::iter(1..MAILBOX_CAPACITY).map(|_| server.leave_message(&store, "1001", &filler, before));
    fillers.buffer_unordered(8).for_each(async |_| ()).await;
    let speech = speech().0;
    let leave = async || {
        let mut caller = Caller::dial(&server, "1001").await;
        caller.skips_to_the_beep().await;
        caller.says(&speech).await;
        caller.presses("#").await;
        caller.hears(PromptId::ToSend).await;
        caller.presses("1").await;
        // Both end in the same words.
        caller.hears(PromptId::Goodbye).await;
        let told = [PromptId::MessageSent, PromptId::BecameFull].map(|prompt| caller.has_heard(prompt));
        caller.waits_for_the_end().await;
        told
    };

    let (one, other) = tokio::join!(leave(), leave());

    let mut told = [one, other];
    told.sort();
    assert_eq!(told, [[false, true], [true, false]], "one is sent, and one is told that there was no place");
    assert_eq!(server.messages("1001").len(), MAILBOX_CAPACITY as usize);
    server.expect_tidiness();

    let mut late = Caller::dial(&server, "1001").await;
    late.hears(PromptId::MailboxFull).await;
    late.presses("*").await;
    late.hears(PromptId::EnterPasscode).await;
    late.presses(&format!("{PASSCODE}#")).await;
    late.hears(PromptId::YouHave).await;
    late.hears(PromptId::Number300).await;
    late.hears(PromptId::Full).await;
    late.hangs_up().await;

    assert_eq!(server.messages("1001").len(), MAILBOX_CAPACITY as usize);
    server.expect_tidiness();
}
