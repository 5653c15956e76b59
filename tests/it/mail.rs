//! Voice-to-email: from the outbox to a mail server, through everything that can go wrong on the way.

use std::{io::Write as _, time::Duration};

use afterbeep::{
    delivery::{
        self, ComposedMail, MailSettings, Relay,
        smtp::{SendError, SmtpClient, Step},
    },
    domain::{
        caller::Caller,
        id::{CallId, MessageId},
        mailbox::Mailbox,
        message::Message,
        passcode::Passcode,
        rules,
        time::Timestamp,
    },
    jobs::{self, Job},
    store::{
        ChangeError, Store, StoreConfig,
        journal::{Encoding, Envelope},
        mailbox::{MailboxChange, NewMailbox},
        outbox::OutboxItem,
    },
};
use mail_parser::MessageParser;
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::support::{
    aiosmtpd::{Aiosmtpd, PASSWORD},
    smtp::{At, Plan, SmtpServer},
};

mod relay {
    //! One mail and the relay.

    use super::*;

    #[tokio::test]
    async fn an_accepted_mail_arrives_as_it_was_and_the_connection_is_kept() {
        let server = SmtpServer::start().await;
        let client = client(&server.url());
        let lines = b"Subject: x\r\n\r\n.\r\n..two dots\r\n.one\r\nlast\r\n";

        client.send(&mail(lines)).await.unwrap();
        client.send(&mail(lines)).await.unwrap();

        let received = server.received();
        assert_eq!(received.len(), 2);
        assert_eq!(received[0].from, "MAIL FROM:<voicemail@example.com>");
        assert_eq!(received[0].to, "RCPT TO:<zoe@example.org>");
        assert_eq!(received[1].content, [&lines[..], b"\r\n"].concat());
        assert_eq!(server.connections(), 1);
    }

    #[tokio::test]
    async fn a_connection_that_the_relay_closed_while_idle_is_no_failure() {
        let server = SmtpServer::start().await;
        let client = client(&server.url());

        client.send(&mail(b"first")).await.unwrap();
        server.hang_up();
        client.send(&mail(b"second")).await.unwrap();

        assert_eq!(server.received().len(), 2);
        assert_eq!(server.connections(), 2);
    }

    #[tokio::test]
    async fn replies_are_sorted_by_whom_they_are_about() {
        let server = SmtpServer::start().await;
        let client = client(&server.url());
        let outcomes = [
            (Plan::Reply(At::Mail, "451 4.3.0 later"), "put off: 451 4.3.0 later"),
            (Plan::Reply(At::Mail, "553 5.1.8 who?"), "the relay does not take our sender address: 553 5.1.8 who?"),
            (Plan::Reply(At::Rcpt, "450 4.2.1 greylisted"), "put off: 450 4.2.1 greylisted"),
            (Plan::Reply(At::Rcpt, "550 5.1.1 unknown"), "refused: 550 5.1.1 unknown"),
            (Plan::Reply(At::Rcpt, "421 4.3.2 closing"), "the relay failed at the recipient: 421 4.3.2 closing"),
            (Plan::Reply(At::Data, "554 5.7.1 no"), "refused: 554 5.7.1 no"),
            (Plan::Reply(At::End, "452 4.3.1 disk full"), "put off: 452 4.3.1 disk full"),
            (Plan::Reply(At::End, "552 5.3.4 too big"), "refused: 552 5.3.4 too big"),
            (Plan::Drop(At::Rcpt), "the relay failed at the recipient: response error: incomplete response"),
            (Plan::Drop(At::End), "no verdict, so it may arrive twice: response error: incomplete response"),
        ];

        for (plan, outcome) in outcomes {
            server.plan([plan.clone()]);
            assert_eq!(client.send(&mail(b"content")).await.unwrap_err().to_string(), outcome, "{plan:?}");
        }

        client.send(&mail(b"content")).await.unwrap();
        assert_eq!(server.received().iter().filter(|mail| mail.accepted).count(), 1);
    }

    #[tokio::test]
    async fn a_late_verdict_is_never_taken_for_the_next_mails() {
        let server = SmtpServer::start().await;
        server.plan([Plan::Hang(At::End), Plan::Reply(At::End, "552 5.3.4 too big")]);
        let client = SmtpClient::new(&relay(&server.url()), Duration::from_millis(20)).unwrap();

        let first = client.send(&mail(b"first")).await.unwrap_err();
        let second = client.send(&mail(b"second")).await.unwrap_err();

        assert!(matches!(first, SendError::Unknown(_)), "{first:?}");
        assert!(matches!(second, SendError::Refused(_)), "{second:?}");
        assert_eq!(server.connections(), 2);
    }

    #[tokio::test]
    async fn a_relay_that_hangs_at_any_step_is_given_up() {
        let server = SmtpServer::start().await;
        let client = SmtpClient::new(&relay(&server.url()), Duration::from_millis(20)).unwrap();

        for at in [At::Mail, At::Rcpt, At::Data, At::End] {
            server.plan([Plan::Hang(at)]);
            let error = client.send(&mail(b"content")).await.unwrap_err();
            assert!(error.to_string().contains("nothing happened for 0."), "{error}");
        }
    }

    #[tokio::test]
    async fn a_relay_that_is_not_there_is_unusable() {
        let server = SmtpServer::start().await;
        let client = client(&server.url());
        drop(server);

        let error = client.send(&mail(b"content")).await.unwrap_err();

        assert!(matches!(error, SendError::Unusable { step: Step::Connect, needs_operator: false, .. }), "{error:?}");
    }

    #[tokio::test]
    async fn a_wrong_password_is_the_operators_business() {
        let server = SmtpServer::start().await;
        server.auth("535 5.7.8 no");
        let client = client(&format!("smtp://user:wrong@{}", server.address()));

        let error = client.send(&mail(b"content")).await.unwrap_err();

        assert!(matches!(error, SendError::Unusable { step: Step::Login, needs_operator: true, .. }), "{error:?}");
        assert_eq!(error.code(), Some(535));
        assert!(server.received().is_empty());
    }

    #[tokio::test]
    async fn without_starttls_nothing_is_sent_in_the_clear() {
        let server = SmtpServer::start().await;
        server.auth("235 2.7.0 welcome");
        let client = client(&format!("smtp+starttls://user:secret@{}", server.address()));

        let error = client.send(&mail(b"content")).await.unwrap_err();

        assert!(matches!(error, SendError::Unusable { step: Step::Tls, needs_operator: true, .. }), "{error:?}");
    }

    #[tokio::test]
    async fn replies_slipped_in_before_the_handshake_do_not_count() {
        let server = SmtpServer::start().await;
        server.starttls("220 go ahead\r\n250 injected\r\n250 injected\r\n250 injected\r\n354 injected\r\n250 injected");
        let client = client(&format!("smtp+starttls://{}", server.address()));

        let error = client.send(&mail(b"content")).await.unwrap_err();

        assert!(matches!(error, SendError::Unusable { step: Step::Tls, .. }), "{error:?}");
        assert!(error.to_string().contains("corrupt message"), "{error}");
    }

    #[tokio::test]
    async fn an_address_beyond_ascii_needs_a_relay_that_can() {
        let server = SmtpServer::start().await;
        let mail = ComposedMail { to: "zoë@example.org".parse().unwrap(), ..mail("To: zoë@example.org\r\n".as_bytes()) };

        let error = client(&server.url()).send(&mail).await.unwrap_err();

        assert!(matches!(error, SendError::Refused(_)), "{error:?}");
    }
}

mod outbox {
    //! A deposit, the outbox, and the relay.

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_deposit_is_mailed_with_its_wav_and_its_three_days_begin() {
        let server = SmtpServer::start().await;
        let (system, mailbox) = System::with_subscriber().await;
        let delivery = system.deliver(&server.url());

        let message = system.deposit(&mailbox, "Ann Lee").await;

        let received = server.received_until(|received| received.len() == 1).await;
        let parsed = MessageParser::new().parse(&received[0].content).unwrap();
        assert_eq!(parsed.subject(), Some("Voice message from Ann Lee (2025550143), 0:03"));
        assert_eq!(parsed.message_id().unwrap(), format!("{}@example.com", message.id));
        assert_eq!(parsed.attachment(0).unwrap().contents(), &system.store.audio(&message.audio).await.unwrap()[..]);
        let mailed = system.message_when(&message, |message| message.mailed_at.is_some()).await;
        let mailed_at = mailed.mailed_at.unwrap();
        assert!(mailed_at >= received[0].at, "{mailed_at:?} is before {:?}", received[0].at);
        assert_eq!(mailed.expires_at, mailed_at.after(rules::MAILED_LIFE));
        assert!(system.store.list_outbox().await.unwrap().is_empty());
        delivery.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_refused_recipient_ends_in_the_dead_letter_list_and_nothing_else_does() {
        let server = SmtpServer::start().await;
        server.plan([Plan::Reply(At::Rcpt, "550 5.1.1 <zoe@example.org>: no such user")]);
        let (system, mailbox) = System::with_subscriber().await;
        let message = system.deposit(&mailbox, "Ann Lee").await;
        let delivery = system.deliver(&server.url());

        let item = system.only_item_when(|item| item.dead_at.is_some()).await;

        assert_eq!(item.last_error.as_deref(), Some("refused: 550 5.1.1 <zoe@example.org>: no such user"));
        let problem = system.store.mailbox(&mailbox.id).await.unwrap().unwrap().mail_problem;
        assert_eq!(problem, item.last_error);
        let kept = system.message_when(&message, |_| true).await;
        assert_eq!((kept.mailed_at, kept.expires_at), (None, message.expires_at));

        system.store.retry_outbox(&item.id, now()).await.unwrap();
        server.received_until(|received| received.len() == 1).await;
        system.message_when(&message, |message| message.mailed_at.is_some()).await;
        assert_eq!(system.store.mailbox(&mailbox.id).await.unwrap().unwrap().mail_problem, None);
        delivery.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_mail_that_is_put_off_waits_and_keeps_its_message_whole() {
        for plan in [
            Plan::Reply(At::Rcpt, "450 4.2.1 greylisted"),
            Plan::Reply(At::End, "452 4.3.1 disk full"),
            Plan::Reply(At::Mail, "530 5.7.0 log in first"),
            Plan::Drop(At::Data),
            Plan::Drop(At::End),
        ] {
            let server = SmtpServer::start().await;
            server.plan([plan.clone()]);
            let (system, mailbox) = System::with_subscriber().await;
            let message = system.deposit(&mailbox, "Ann Lee").await;
            let delivery = system.deliver(&server.url());

            let item = system.only_item_when(|item| item.attempts == 1).await;

            assert_eq!(item.dead_at, None, "{plan:?}");
            assert!(item.due_at >= item.created_at.after(Duration::from_secs(15)), "{plan:?}");
            assert_eq!(system.message_when(&message, |_| true).await.mailed_at, None, "{plan:?}");
            delivery.stop().await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lost_verdict_is_followed_by_the_same_mail() {
        let server = SmtpServer::start().await;
        server.plan([Plan::Drop(At::End)]);
        let (system, mailbox) = System::with_subscriber().await;
        let message = system.deposit(&mailbox, "Ann Lee").await;
        let delivery = system.deliver(&server.url());
        let item = system.only_item_when(|item| item.attempts == 1).await;

        system.store.retry_outbox(&item.id, now()).await.unwrap();

        let received = server.received_until(|received| received.len() == 2).await;
        assert_eq!(received.iter().map(|mail| mail.accepted).collect::<Vec<_>>(), [false, true]);
        let ids: Vec<String> = received
            .iter()
            .map(|mail| MessageParser::new().parse(&mail.content).unwrap().message_id().unwrap().to_owned())
            .collect();
        assert_eq!(ids, [format!("{}@example.com", message.id), format!("{}@example.com", message.id)]);
        system.message_when(&message, |message| message.mailed_at.is_some()).await;
        delivery.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_relay_that_is_down_costs_a_few_mails_one_attempt_and_then_gets_them_all() {
        let server = SmtpServer::start().await;
        let address = server.address();
        let url = server.url();
        drop(server);
        let (system, mailbox) = System::with_subscriber().await;
        for number in 0..40 {
            system.deposit(&mailbox, &format!("Caller {number}")).await;
        }
        let delivery = system.deliver(&url);
        let down = system.outbox_when(|items| items.iter().filter(|item| item.attempts > 0).count() >= 3).await;

        let server = SmtpServer::start_at(address).await;
        // Those that have waited for nothing but the breaker come by themselves; the others would come after their pause.
        let tried: Vec<_> = down.iter().filter(|item| item.attempts > 0).collect();
        server.received_until(|received| received.len() >= 40 - 8 - 8).await;
        for item in system.store.list_outbox().await.unwrap() {
            match system.store.retry_outbox(&item.id, now()).await {
                // Delivered in this moment.
                Ok(()) | Err(ChangeError::Gone) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let received = server.received_until(|received| received.len() == 40).await;

        assert!(tried.len() <= 8, "{} mails were tried while the relay was down", tried.len());
        assert!(received.iter().all(|mail| mail.accepted));
        system.outbox_when(Vec::is_empty).await;
        delivery.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_wrong_password_costs_nobody_a_mail() {
        let server = SmtpServer::start().await;
        server.auth("535 5.7.8 no");
        let (system, mailbox) = System::with_subscriber().await;
        for _ in 0..20 {
            system.deposit(&mailbox, "Ann Lee").await;
        }
        let delivery = system.deliver(&format!("smtp://user:wrong@{}", server.address()));
        system.outbox_when(|items| items.iter().filter(|item| item.attempts > 0).count() >= 3).await;

        delivery.stop().await;
        server.auth("235 2.7.0 welcome");
        for item in system.store.list_outbox().await.unwrap() {
            assert_eq!(item.dead_at, None);
            system.store.retry_outbox(&item.id, now()).await.unwrap();
        }
        let delivery = system.deliver(&format!("smtp://user:right@{}", server.address()));

        server.received_until(|received| received.len() == 20).await;
        delivery.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_a_relay_mails_become_files_and_no_life_is_shortened() {
        let (system, mailbox) = System::with_subscriber().await;
        let delivery = system.deliver_with(system.settings(None));
        let message = system.deposit(&mailbox, "Ann Lee").await;

        system.outbox_when(Vec::is_empty).await;

        let file = system.folder.path().join(format!("mail/{}.eml", message.id));
        let mail = std::fs::read(file).unwrap();
        let parsed = MessageParser::new().parse(&mail).unwrap();
        assert_eq!(parsed.attachment(0).unwrap().contents(), &system.store.audio(&message.audio).await.unwrap()[..]);
        let kept = system.message_when(&message, |_| true).await;
        assert_eq!((kept.mailed_at, kept.expires_at), (None, message.expires_at));
        delivery.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_has_become_pointless_is_not_sent() {
        let server = SmtpServer::start().await;
        let (system, mailbox) = System::with_subscriber().await;
        let deleted = system.deposit(&mailbox, "Deleted").await;
        system.store.delete(&deleted.id, deleted.version, now()).await.unwrap();
        system.deposit(&mailbox, "Switched off").await;
        let off = MailboxChange { voice_to_email: Some(false), ..MailboxChange::default() };
        system.store.update_mailbox(&mailbox.id, off, now()).await.unwrap();

        let delivery = system.deliver(&server.url());

        system.outbox_when(Vec::is_empty).await;
        assert!(server.received().is_empty());
        delivery.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn warnings_are_mailed() {
        let server = SmtpServer::start().await;
        let (system, mailbox) = System::with_subscriber().await;
        let off = MailboxChange { voice_to_email: Some(false), ..MailboxChange::default() };
        system.store.update_mailbox(&mailbox.id, off, now()).await.unwrap();
        let message = system.deposit(&mailbox, "Ann Lee").await;
        let soon = message.expires_at.before(Duration::from_hours(24));
        jobs::run(Job::WarnSubscribers, &system.store, soon).await.unwrap();
        // It was written "at" a day that is yet to come.
        let item = system.only_item_when(|_| true).await;
        system.store.retry_outbox(&item.id, now()).await.unwrap();

        let delivery = system.deliver(&server.url());

        let received = server.received_until(|received| received.len() == 1).await;
        let parsed = MessageParser::new().parse(&received[0].content).unwrap();
        assert_eq!(parsed.subject(), Some("A message in your mailbox 1001 will soon be removed"));
        system.outbox_when(Vec::is_empty).await;
        delivery.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn stopping_finishes_the_mails_under_way() {
        let server = SmtpServer::start().await;
        let (system, mailbox) = System::with_subscriber().await;
        for _ in 0..8 {
            system.deposit(&mailbox, "Ann Lee").await;
        }
        let delivery = system.deliver(&server.url());
        server.received_until(|received| !received.is_empty()).await;

        delivery.stop().await;

        assert_eq!(server.received().len() + system.store.list_outbox().await.unwrap().len(), 8);
    }
}

mod real_server {
    //! aiosmtpd, with STARTTLS and a login.

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_mail_goes_encrypted_and_logged_in() {
        let server = Aiosmtpd::start();
        let relay = Relay::parse(&server.url(), Some(PASSWORD)).unwrap().trusting(&server.authority()).unwrap();
        let client = SmtpClient::new(&relay, Duration::from_secs(30)).unwrap();

        client.send(&mail(b"Subject: x\r\n\r\n.body\r\n")).await.unwrap();

        assert_eq!(server.mails(), [b"Subject: x\r\n\r\n.body\r\n\r\n"]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_is_lost_while_the_server_is_down() {
        let mut server = Aiosmtpd::start();
        let relay = Relay::parse(&server.url(), Some(PASSWORD)).unwrap().trusting(&server.authority()).unwrap();
        let (system, mailbox) = System::with_subscriber().await;
        let delivery = system.deliver_with(system.settings(Some(relay)));
        let first = system.deposit(&mailbox, "Before").await;
        server.mails_until(1).await;

        server.stop();
        let second = system.deposit(&mailbox, "While it was down").await;
        let item = system.only_item_when(|item| item.attempts > 0).await;
        assert_eq!(item.dead_at, None);
        server.resume();
        system.store.retry_outbox(&item.id, now()).await.unwrap();

        let mails = server.mails_until(2).await;
        for (mail, message) in mails.iter().zip([first, second]) {
            let parsed = MessageParser::new().parse(mail).unwrap();
            assert_eq!(parsed.message_id().unwrap(), format!("{}@example.com", message.id));
            assert_eq!(parsed.attachment(0).unwrap().contents(), &system.store.audio(&message.audio).await.unwrap()[..]);
            system.message_when(&message, |message| message.mailed_at.is_some()).await;
        }
        delivery.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_wrong_password_and_an_unknown_certificate_are_told_apart() {
        let server = Aiosmtpd::start();
        let unknown = Relay::parse(&server.url(), Some(PASSWORD)).unwrap();
        let wrong = Relay::parse(&server.url(), Some("wrong")).unwrap().trusting(&server.authority()).unwrap();

        for (relay, expected, text) in [(unknown, Step::Tls, "UnknownIssuer"), (wrong, Step::Login, "535")] {
            let client = SmtpClient::new(&relay, Duration::from_secs(30)).unwrap();
            let error = client.send(&mail(b"content")).await.unwrap_err();
            assert!(matches!(error, SendError::Unusable { step, needs_operator: true, .. } if step == expected), "{error:?}");
            assert!(error.to_string().contains(text), "{error}");
        }
        assert!(server.mails().is_empty());
    }
}

/// A store with one subscriber, and what delivers its outbox.
struct System {
    store: Store,
    folder: TempDir,
}

impl System {
    async fn with_subscriber() -> (Self, Mailbox) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(StoreConfig::local(folder.path()).unwrap()).await.unwrap();
        let subscriber = NewMailbox {
            tenant: String::new(),
            number: "1001".parse().unwrap(),
            aliases: vec![],
            name: "Zoë Ångström".into(),
            email: Some("zoe@example.org".into()),
            voice_to_email: true,
            time_zone: "Europe/Paris".parse().unwrap(),
            language: "en".into(),
            passcode: Passcode::typed("49158730").unwrap(),
        };
        let mailbox = store.create_mailbox(subscriber, now()).await.unwrap();
        (Self { store, folder }, mailbox)
    }

    /// Three seconds of noise.
    async fn deposit(&self, mailbox: &Mailbox, caller: &str) -> Message {
        let envelope = Envelope {
            message: MessageId::random(),
            mailbox: mailbox.id.clone(),
            also: Vec::new(),
            caller: Caller { number: Some("2025550143".into()), name: Some(caller.into()) },
            started_at: now(),
            called: None,
            encoding: Encoding::Mulaw,
            verified: false,
            call: CallId::random(),
        };
        let journal = self.store.create_journal(envelope).await.unwrap();
        let noise: Vec<u8> = std::iter::repeat_with(rand::random).take(24_000).collect();
        journal.audio_file().unwrap().write_all(&noise).unwrap();
        self.store.deposit(journal, Duration::from_secs(3), now(), false).await.unwrap().message
    }

    fn settings(&self, relay: Option<Relay>) -> MailSettings {
        MailSettings {
            relay,
            from: "Voicemail <voicemail@example.com>".parse().unwrap(),
            timeout: Duration::from_secs(30),
            parallel: 8,
            wideband: false,
            mail_dir: self.folder.path().join("mail"),
        }
    }

    fn deliver(&self, url: &str) -> Delivery {
        self.deliver_with(self.settings(Some(relay(url))))
    }

    fn deliver_with(&self, settings: MailSettings) -> Delivery {
        let (stop, stopped) = oneshot::channel::<()>();
        let store = self.store.clone();
        let running = tokio::spawn(async move {
            let stopped = async { stopped.await.unwrap_or_default() };
            delivery::run(store, settings, stopped).await.unwrap();
        });
        Delivery { stop, running }
    }

    async fn message_when(&self, message: &Message, ready: impl Fn(&Message) -> bool) -> Message {
        let now = now();
        until(async || self.store.message(&message.id, now).await.unwrap().filter(&ready)).await
    }

    async fn only_item_when(&self, ready: impl Fn(&OutboxItem) -> bool) -> OutboxItem {
        self.outbox_when(|items| items.len() == 1 && ready(&items[0])).await.remove(0)
    }

    async fn outbox_when(&self, ready: impl Fn(&Vec<OutboxItem>) -> bool) -> Vec<OutboxItem> {
        until(async || Some(self.store.list_outbox().await.unwrap()).filter(&ready)).await
    }
}

struct Delivery {
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Delivery {
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap();
    }
}

/// Asks again and again, for half a minute at most.
async fn until<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asking).await.expect("what is waited for should have happened")
}

fn now() -> Timestamp {
    chrono::Utc::now().into()
}

fn client(url: &str) -> SmtpClient {
    SmtpClient::new(&relay(url), Duration::from_secs(30)).unwrap()
}

fn relay(url: &str) -> Relay {
    Relay::parse(url, None).unwrap()
}

fn mail(content: &[u8]) -> ComposedMail {
    ComposedMail {
        message_id: "0123@example.com".into(),
        from: "voicemail@example.com".parse().unwrap(),
        to: "zoe@example.org".parse().unwrap(),
        bytes: content.to_vec(),
    }
}
