//! Lamps on the real server: who subscribes, registers or is a configured proxy is told the right counts.

use std::{net::SocketAddr, time::Duration};

use afterbeep::{
    domain::{id::MessageId, rules, time::Timestamp},
    store::{Store, StoreConfig},
};

use crate::support::{
    baresip::{Account, Baresip, Line},
    lamp::Lamp,
    postgres,
    raw::{authorization, challenges, status, values},
    server::{Server, TRUSTING},
};

const SECRET: &str = "a line's own password";
/// The settings under which nobody on this machine is trusted, and nobody banned.
const WARY: &str = "[strangers]\noffences = 0\n[sip]\ntrusted_peers = []\n";

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_that_subscribes_is_told_at_once_and_then_of_every_change() {
    let server = Server::start(WARY);
    let mut phone = Phone::of_line(&server, "1001");
    let store = server.store().await;
    let first = leave(&server, &store, "1001").await;

    let answer = phone.subscribes("Expires: 600\r\nAccept: application/simple-message-summary\r\n");
    assert_eq!((status(&answer), values(&answer, "Expires")), (200, vec!["600"]), "{answer}");
    assert_eq!(values(&answer, "Contact").len(), 1, "{answer}");
    let told = phone.lamp.hears();
    assert_eq!((told.counts(), told.is_lit(), told.sequence()), ("1/0", true, 1));
    assert!(told.text.starts_with(&format!("NOTIFY {} SIP/2.0\r\n", phone.contact())), "{}", told.text);
    assert!(told.state().starts_with("active;expires=") && told.source == server.udp(), "{}", told.text);
    assert!(told.body().contains("\r\nMessage-Account: sip:1001@127.0.0.1\r\n"), "{}", told.body());
    let second = leave(&server, &store, "1001").await;
    let told_again = phone.lamp.hears();
    assert_eq!((told_again.counts(), told_again.sequence(), told_again.is_beside(&told)), ("2/0", 2, true));
    let message = store.message(&first, now()).await.unwrap().unwrap();
    store.mark_heard(&first, message.version, now()).await.unwrap();
    assert_eq!(phone.lamp.hears().counts(), "1/1");
    server.run(&["message", "delete", "1001", "--id", second.as_str()]);
    let dark = phone.lamp.hears();
    assert_eq!((dark.counts(), dark.is_lit()), ("0/1", false));
    server.run(&["job", "run", "expire-messages", "--at", &now().after(rules::MESSAGE_LIFE).after(A_WHILE).to_string()]);
    assert_eq!(phone.lamp.hears().counts(), "0/0");

    let left = phone.subscribes("Expires: 0\r\n");
    assert_eq!((status(&left), values(&left, "Expires")), (200, vec!["0"]));
    let last = phone.lamp.hears();
    assert_eq!((last.state(), last.counts(), last.is_beside(&told)), ("terminated;reason=timeout", "0/0", true));
    leave(&server, &store, "1001").await;
    phone.lamp.hears_nothing(A_WHILE);
    assert_eq!(status(&phone.subscribes("Expires: 600\r\n")), 481);
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_is_answered_once_and_bad_ones_are_refused() {
    let server = Server::start(WARY);
    let mut phone = Phone::of_line(&server, "1001");

    let asked = phone.subscribes("Expires: 0\r\n");
    assert_eq!(status(&asked), 200);
    let told = phone.lamp.hears();
    assert_eq!((told.state(), told.counts(), told.is_lit()), ("terminated;reason=timeout", "0/0", false));
    for (headers, refusal) in [
        ("Expires: 20\r\n", 423),
        ("Expires: soon\r\n", 400),
        ("Accept: application/pidf+xml\r\n", 406),
        ("Expires: 600\r\nX-Without-Event: 1\r\n", 489),
        ("Expires: 600\r\nX-Event: presence\r\n", 489),
    ] {
        phone.forget();
        let event = match headers {
            _ if headers.contains("X-Without-Event") => "",
            _ if headers.contains("X-Event") => "Event: presence\r\n",
            _ => "Event: message-summary\r\n",
        };
        let answer = phone.subscribes_with(event, headers);
        assert_eq!(status(&answer), refusal, "{headers}");
        if refusal == 489 {
            assert_eq!(values(&answer, "Allow-Events"), ["message-summary"]);
        }
    }
    phone.lamp.hears_nothing(A_WHILE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_watches_its_own_mailbox_only_and_learns_nothing_of_others() {
    let server = Server::start(WARY);
    let mut phone = Phone::of_line(&server, "1001");
    server.add_mailbox("1002", &["--alias", "anna"]);
    let mut stranger = Phone::new(&server, "1001", "a wrong password");

    let refused = stranger.subscribes("Expires: 600\r\n");
    assert_eq!(status(&refused), 401, "{refused}");
    let others: Vec<u16> = ["1002", "anna", "1099"]
        .into_iter()
        .map(|number| {
            phone.forget();
            phone.watched = number.to_owned();
            status(&phone.subscribes("Expires: 600\r\n"))
        })
        .collect();
    assert_eq!(others, [403; 3]);
    // Nor may it renew what another line has subscribed to.
    let mut other = Phone::of_line(&server, "1003");
    assert_eq!(status(&other.subscribes("Expires: 600\r\n")), 200);
    other.lamp.hears();
    phone.forget();
    phone.watched = "1003".to_owned();
    phone.dialog = other.dialog.clone();
    assert_eq!(status(&phone.subscribes("Expires: 0\r\n")), 481);

    phone.lamp.hears_nothing(A_WHILE);
    other.lamp.hears_nothing(Duration::from_millis(100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_peer_watches_any_mailbox() {
    let server = Server::start(TRUSTING);
    server.add_mailbox("1001", &[]);
    let store = server.store().await;
    leave(&server, &store, "1001").await;
    let mut pbx = Phone::new(&server, "pbx", "");
    pbx.watched = "1001".to_owned();

    assert_eq!(status(&pbx.subscribes("Expires: 600\r\n")), 200);
    assert_eq!(pbx.lamp.hears().counts(), "1/0");
    pbx.forget();
    pbx.watched = "1099".to_owned();
    assert_eq!(status(&pbx.subscribes("Expires: 600\r\n")), 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_outlives_the_server() {
    let server = Server::start(WARY);
    let mut phone = Phone::of_line(&server, "1001");
    assert_eq!(status(&phone.subscribes("Expires: 600\r\n")), 200);
    let before = phone.lamp.hears();

    let folder = server.kill();
    let server = Server::start_in(folder, WARY);
    let store = server.store().await;
    let anew = phone.lamp.hears();
    assert_eq!((anew.counts(), anew.is_beside(&before), anew.source), ("0/0", true, server.udp()));
    assert!(anew.sequence() > before.sequence());
    leave(&server, &store, "1001").await;
    assert_eq!(phone.lamp.hears().counts(), "1/0");
    phone.server = server.udp();

    assert_eq!(status(&phone.subscribes("Expires: 600\r\n")), 200);
    assert_eq!(phone.lamp.hears().counts(), "1/0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_ends_when_the_phone_says_that_it_has_none_or_says_nothing() {
    let server = Server::start(WARY);
    let mut forgetful = Phone::of_line(&server, "1001");
    let mut silent = Phone::another_of(&forgetful);
    let mut busy = Phone::another_of(&forgetful);
    let store = server.store().await;
    for phone in [&mut forgetful, &mut silent, &mut busy] {
        assert_eq!(status(&phone.subscribes("Expires: 600\r\n")), 200);
        phone.lamp.hears();
    }

    leave(&server, &store, "1001").await;
    forgetful.lamp.hears_and_answers("481 Subscription Does Not Exist");
    busy.lamp.hears_and_answers("500 Server Internal Error");
    let unanswered = silent.lamp.hears_silently();
    assert_eq!(busy.lamp.hears().counts(), "1/0");
    assert_eq!(status(&forgetful.subscribes("Expires: 600\r\n")), 481);
    forgetful.lamp.hears_nothing(Duration::from_secs(33));
    leave(&server, &store, "1001").await;

    assert_eq!(busy.lamp.hears().counts(), "2/0");
    silent.lamp.hears_nothing(A_WHILE);
    assert_eq!(unanswered.counts(), "1/0");
    assert_eq!(status(&silent.subscribes("Expires: 600\r\n")), 481);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registered_phone_is_told_without_asking_until_it_subscribes() {
    let server = Server::start(WARY);
    let mut phone = Phone::of_line(&server, "1001");
    let store = server.store().await;

    assert_eq!(status(&phone.registers("Expires: 600\r\n")), 200);
    let told = phone.lamp.hears();
    assert_eq!((told.counts(), told.state(), told.value("Event")), ("0/0", "terminated", "message-summary"));
    assert!(told.text.starts_with(&format!("NOTIFY {} SIP/2.0\r\n", phone.contact())), "{}", told.text);
    leave(&server, &store, "1001").await;
    assert_eq!(phone.lamp.hears().counts(), "1/0");
    assert_eq!(status(&phone.registers("Expires: 600\r\n")), 200);
    phone.lamp.hears_nothing(A_WHILE);
    assert_eq!(status(&phone.subscribes("Expires: 600\r\n")), 200);
    assert!(phone.lamp.hears().state().starts_with("active;"));
    leave(&server, &store, "1001").await;
    let once = phone.lamp.hears();
    assert_eq!((once.counts(), once.state().starts_with("active;")), ("2/0", true));
    phone.lamp.hears_nothing(A_WHILE);
    assert_eq!(status(&phone.subscribes("Expires: 0\r\n")), 200);
    phone.lamp.hears();
    assert_eq!(status(&phone.registers("Expires: 0\r\n")), 200);
    leave(&server, &store, "1001").await;

    phone.lamp.hears_nothing(A_WHILE);
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registered_phones_are_left_alone_when_the_operator_wants_it() {
    let server = Server::start(&format!("[mwi]\nregistered_phones = false\n{WARY}"));
    let mut phone = Phone::of_line(&server, "1001");

    assert_eq!(status(&phone.registers("Expires: 600\r\n")), 200);
    phone.lamp.hears_nothing(A_WHILE);
    assert_eq!(status(&phone.subscribes("Expires: 600\r\n")), 200);

    assert!(phone.lamp.hears().state().starts_with("active;"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_that_takes_nothing_unasked_is_asked_once_a_change() {
    let server = Server::start(WARY);
    let mut phone = Phone::of_line(&server, "1001");
    let store = server.store().await;

    assert_eq!(status(&phone.registers("Expires: 600\r\n")), 200);
    phone.lamp.hears_and_answers("481 Subscription Does Not Exist");
    phone.lamp.hears_nothing(A_WHILE);
    leave(&server, &store, "1001").await;

    assert_eq!(phone.lamp.hears().counts(), "1/0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_that_the_access_lists_drop_is_told_no_more() {
    let server = Server::start(WARY);
    let mut phone = Phone::of_line(&server, "1001");
    let store = server.store().await;
    assert_eq!(status(&phone.registers("Expires: 600\r\n")), 200);
    phone.lamp.hears();
    assert_eq!(status(&phone.subscribes("Expires: 600\r\n")), 200);
    phone.lamp.hears();

    server.run(&["access", "set", "register", "192.0.2.0/24", "--yes"]);
    assert_eq!(phone.lamp.hears().state(), "terminated;reason=deactivated");
    leave(&server, &store, "1001").await;

    phone.lamp.hears_nothing(A_WHILE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_ends_with_the_password_or_the_mailbox_it_is_for_and_says_why() {
    let proxy = Lamp::new();
    let server = Server::start(&format!("[mwi]\nproxy = \"sip:{}\"\n{WARY}", proxy.address()));
    let mut phone = Phone::of_line(&server, "1001");
    let store = server.store().await;
    leave(&server, &store, "1001").await;
    proxy.hears_counts("1/0");

    assert_eq!(status(&phone.subscribes("Expires: 600\r\n")), 200);
    phone.lamp.hears();
    server.add_line("1001", "another password of the line");
    assert_eq!(phone.lamp.hears().state(), "terminated;reason=deactivated");
    assert_eq!(status(&phone.subscribes("Expires: 600\r\n")), 401, "the old password is none any more");
    phone.password = "another password of the line".to_owned();
    phone.forget();
    assert_eq!(status(&phone.subscribes("Expires: 600\r\n")), 200);
    assert_eq!(phone.lamp.hears().counts(), "1/0");
    server.run(&["mailbox", "set", "1001", "--disable"]);
    let off = phone.lamp.hears();
    assert_eq!((off.state(), off.is_lit()), ("terminated;reason=noresource", false));
    proxy.hears_counts("0/0");
    server.run(&["mailbox", "set", "1001", "--enable"]);
    proxy.hears_counts("1/0");
    phone.forget();
    assert_eq!(status(&phone.subscribes("Expires: 600\r\n")), 200);
    phone.lamp.hears();
    server.run(&["mailbox", "remove", "1001", "--with-messages"]);

    let gone = phone.lamp.hears();
    assert_eq!((gone.state(), gone.counts(), gone.is_lit()), ("terminated;reason=noresource", "0/0", false));
    assert!(proxy.hears_counts("0/0").text.starts_with("NOTIFY sip:1001@"));
    phone.lamp.hears_nothing(A_WHILE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_to_a_notify_gets_no_credentials() {
    let server = Server::start(WARY);
    let mut phone = Phone::of_line(&server, "1001");
    assert_eq!(status(&phone.subscribes("Expires: 600\r\n")), 200);

    let challenge = "WWW-Authenticate: Digest realm=\"afterbeep\",nonce=\"1\",algorithm=MD5,qop=\"auth\"";
    let first = phone.lamp.hears_and_answers(&format!("401 Unauthorized\r\n{challenge}"));
    let second = phone.lamp.hears_and_answers(&format!("407 Proxy Authentication Required\r\nProxy-{}", &challenge[4..]));
    let third = phone.lamp.hears();

    assert!(first.sequence() < second.sequence() && second.sequence() < third.sequence());
    for told in [first, second, third] {
        assert!(!told.text.contains("uthorization: "), "{}", told.text);
        assert_eq!(told.counts(), "0/0");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_has_so_many_subscriptions_and_no_more() {
    let server = Server::start(WARY);
    let first = Phone::of_line(&server, "1001");

    let mut phones: Vec<Phone> = (0..=rules::SUBSCRIPTIONS_PER_MAILBOX).map(|_| Phone::another_of(&first)).collect();
    let answers: Vec<String> = phones.iter_mut().map(|phone| phone.subscribes("Expires: 600\r\n")).collect();

    let (last, others) = answers.split_last().expect("there are some");
    assert!(others.iter().all(|answer| status(answer) == 200), "{others:?}");
    assert_eq!((status(last), values(last, "Retry-After")), (503, vec!["600"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_told_anything_while_the_database_does_not_answer_and_then_what_is_true() {
    let Some(database) = postgres::OwnServer::start() else { return };
    let folder = tempfile::tempdir().expect("a folder for the server");
    let server = Server::start_on(folder, &[], &format!("database_url = \"{}\"\n", database.url()), WARY);
    let mut phone = Phone::of_line(&server, "1001");
    let mut late = Phone::another_of(&phone);
    let config = StoreConfig { database_url: database.url(), ..StoreConfig::local(&server.path("data")).expect("the folders") };
    let store = Store::open(config).await.expect("the store of the server");
    assert_eq!(status(&phone.subscribes("Expires: 600\r\n")), 200);
    phone.lamp.hears();

    leave(&server, &store, "1001").await;
    phone.lamp.hears_and_answers("503 Service Unavailable\r\nRetry-After: 2");
    database.freeze();
    let refused = late.subscribes("Expires: 600\r\n");
    phone.lamp.hears_nothing(A_WHILE);
    database.thaw();

    assert_eq!(status(&refused), 503, "{refused}");
    assert_eq!(values(&refused, "Retry-After").len(), 1, "{refused}");
    assert_eq!(phone.lamp.hears().counts(), "1/0");
    late.forget();
    assert_eq!(status(&late.subscribes("Expires: 600\r\n")), 200);
    assert_eq!(late.lamp.hears_counts("1/0").state().split(';').next(), Some("active"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lamp_of_baresip_goes_on_and_off() {
    let server = Server::start(WARY);
    let store = server.store().await;
    // Its accounts have no place for blanks.
    let password = "correct-horse-battery";
    server.add_mailbox("1001", &[]);
    server.add_line("1001", password);
    // It subscribes over UDP only, whatever it registers over.
    let account = Account { transport: "udp", codec: "PCMU", says: &[] };
    let line = Line { number: "1001", password, server: server.udp() };
    let phone = Baresip::start_registered_with(&account, &line, "module_app mwi.so\n");

    phone.is_told("Voice-Message: 0/0");
    let message = leave(&server, &store, "1001").await;
    phone.is_told("Voice-Message: 1/0");
    server.run(&["message", "delete", "1001", "--id", message.as_str()]);
    phone.is_told("Messages-Waiting: no");
}

/// A phone of a line that subscribes to a mailbox.
struct Phone {
    lamp: Lamp,
    server: SocketAddr,
    number: String,
    password: String,
    /// The number it subscribes to.
    watched: String,
    dialog: Dialog,
    registration: Dialog,
}

#[derive(Clone)]
struct Dialog {
    call_id: u64,
    sequence: u32,
    to_tag: Option<String>,
}

impl Dialog {
    fn new() -> Self {
        Self { call_id: rand::random(), sequence: 0, to_tag: None }
    }
}

impl Phone {
    fn new(server: &Server, number: &str, password: &str) -> Self {
        Self {
            lamp: Lamp::new(),
            server: server.udp(),
            number: number.to_owned(),
            password: password.to_owned(),
            watched: number.to_owned(),
            dialog: Dialog::new(),
            registration: Dialog::new(),
        }
    }

    /// A new mailbox's line.
    fn of_line(server: &Server, number: &str) -> Self {
        server.add_mailbox(number, &[]);
        server.add_line(number, SECRET);
        Self::new(server, number, SECRET)
    }

    fn another_of(phone: &Self) -> Self {
        Self {
            lamp: Lamp::new(),
            server: phone.server,
            number: phone.number.clone(),
            password: phone.password.clone(),
            watched: phone.watched.clone(),
            dialog: Dialog::new(),
            registration: Dialog::new(),
        }
    }

    /// Knows nothing of a subscription any more.
    fn forget(&mut self) {
        self.dialog = Dialog::new();
    }

    fn contact(&self) -> String {
        format!("sip:{}@{}", self.number, self.lamp.address())
    }

    /// Subscribes, or renews its subscription, with more headers, each with its line end. Gives the last answer.
    fn subscribes(&mut self, headers: &str) -> String {
        self.subscribes_with("Event: message-summary\r\n", headers)
    }

    /// Registers its Contact, apart from all subscriptions.
    fn registers(&mut self, headers: &str) -> String {
        std::mem::swap(&mut self.dialog, &mut self.registration);
        let answer = self.proves("REGISTER", "sip:127.0.0.1", headers);
        std::mem::swap(&mut self.dialog, &mut self.registration);
        answer
    }

    fn subscribes_with(&mut self, event: &str, headers: &str) -> String {
        let uri = format!("sip:{}@127.0.0.1", self.watched);
        let answer = self.proves("SUBSCRIBE", &uri, &format!("{event}{headers}"));
        if status(&answer) == 200 {
            let to = values(&answer, "To")[0];
            self.dialog.to_tag = to.split_once(";tag=").map(|(_, tag)| tag.to_owned());
        }
        answer
    }

    /// Sends a request, answers a challenge, and gives the last answer.
    fn proves(&mut self, method: &str, uri: &str, headers: &str) -> String {
        let answer = self.asks(method, uri, headers);
        match challenges(&answer).first() {
            Some(challenge) => {
                let proof = authorization(challenge, &self.number, &self.password, method, uri);
                self.asks(method, uri, &format!("{proof}{headers}"))
            }
            None => answer,
        }
    }

    fn asks(&mut self, method: &str, uri: &str, headers: &str) -> String {
        self.dialog.sequence += 1;
        let Dialog { call_id, sequence, to_tag } = &self.dialog;
        let (own, contact, number, watched) = (self.lamp.address(), self.contact(), &self.number, &self.watched);
        let to_tag = to_tag.as_ref().map(|tag| format!(";tag={tag}")).unwrap_or_default();
        let request = format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};rport;branch=z9hG4bK{:x}\r\nMax-Forwards: 70\r\n\
             From: <sip:{number}@127.0.0.1>;tag=t{call_id:x}\r\nTo: <sip:{watched}@127.0.0.1>{to_tag}\r\n\
             Call-ID: {call_id:x}@lamp\r\nCSeq: {sequence} {method}\r\nContact: <{contact}>\r\n\
             User-Agent: A Lamp 1.0, which says what it is told to\r\n{headers}Content-Length: 0\r\n\r\n",
            rand::random::<u64>()
        );
        self.lamp.asks(self.server, &request)
    }
}

async fn leave(server: &Server, store: &Store, number: &str) -> MessageId {
    server.leave_message(store, number, &[100; 24_000], now()).await
}

fn now() -> Timestamp {
    chrono::Utc::now().into()
}
