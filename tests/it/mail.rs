//! Voice-to-email: from the outbox to a mail server, through everything that can go wrong on the way.

use std::time::Duration;

use afterbeep::delivery::{
    ComposedMail, Relay,
    smtp::{SendError, SmtpClient, Step},
};

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
