//! Lamps on the real server: who subscribes, registers or is a configured proxy is told the right counts.

use std::time::Duration;

use afterbeep::{
    domain::{rules, time::Timestamp},
    store::Store,
};

use crate::support::{lamp::Lamp, server::Server};

/// Long enough for a NOTIFY to come that ought not to.
const A_WHILE: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_is_told_of_every_change_of_every_mailbox() {
    let proxy = Lamp::new();
    let server = Server::start(&format!("[mwi]\nproxy = \"sip:{}\"\n", proxy.address()));
    server.add_mailbox("1001", &[]);
    server.add_mailbox("1002", &[]);
    let store = server.store().await;

    let first = leave(&server, &store, "1001").await;
    let told = proxy.hears_counts("1/0");
    assert!(told.text.starts_with(&format!("NOTIFY sip:1001@{} SIP/2.0\r\n", proxy.address())), "{}", told.text);
    assert_eq!(told.value("To"), format!("<sip:1001@{}>", proxy.address().ip()));
    assert_eq!((told.value("Event"), told.state(), told.is_lit()), ("message-summary", "terminated", true));
    leave(&server, &store, "1002").await;
    assert!(proxy.hears_counts("1/0").text.starts_with("NOTIFY sip:1002@"));
    leave(&server, &store, "1001").await;
    let later = proxy.hears_counts("2/0");
    assert_eq!(later.value("Call-ID"), told.value("Call-ID"));
    assert!(later.sequence() > told.sequence());
    server.run(&["message", "delete", "1001", "--id", first.as_str()]);
    proxy.hears_counts("1/0");
    server.run(&["job", "run", "expire-messages", "--at", &now().after(rules::MESSAGE_LIFE).after(A_WHILE).to_string()]);

    let both = [proxy.hears_counts("0/0"), proxy.hears_counts("0/0")];
    assert!(both.iter().all(|told| !told.is_lit()));
    proxy.hears_nothing(A_WHILE);
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_is_busy_is_told_later_what_is_true_then() {
    let proxy = Lamp::new();
    let server = Server::start(&format!("[mwi]\nproxy = \"sip:{}\"\n", proxy.address()));
    server.add_mailbox("1001", &[]);
    let store = server.store().await;

    leave(&server, &store, "1001").await;
    let refused = proxy.hears_and_answers("503 Service Unavailable\r\nRetry-After: 2");
    leave(&server, &store, "1001").await;
    let told = proxy.hears();

    assert_eq!((refused.counts(), told.counts()), ("1/0", "2/0"));
    assert!(told.sequence() > refused.sequence());
    proxy.hears_nothing(A_WHILE);
}

async fn leave(server: &Server, store: &Store, number: &str) -> afterbeep::domain::id::MessageId {
    server.leave_message(store, number, &[100; 24_000], now()).await
}

fn now() -> Timestamp {
    chrono::Utc::now().into()
}
