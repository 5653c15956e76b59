//! A mail about any caller, to any subscriber: it stays one mail to one recipient, and its WAV comes back byte for byte.

#![no_main]

use std::time::Duration;

use afterbeep::{
    delivery::{MailSettings, Relay, email},
    domain::{
        caller::Caller,
        id::{AudioKey, MailboxId, MessageId},
        mailbox::{Due, Mailbox},
        message::Message,
        preferences::Preferences,
        time::Timestamp,
    },
};
use libfuzzer_sys::fuzz_target;
use mail_parser::MessageParser;

const FIELDS: [&str; 9] =
    ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Message-Context", "MIME-Version", "Content-Type"];

fuzz_target!(|input: (Option<String>, Option<String>, String, Vec<u8>, u32)| {
    let (number, name, subscriber, wav, length) = input;
    let message = message(Caller { number, name }, Duration::from_millis(length.into()));
    let mailbox = mailbox(subscriber);
    let settings = MailSettings {
        relay: Some(Relay::parse("smtp://relay.example", None).unwrap()),
        from: "Voicemail <voicemail@example.com>".parse().unwrap(),
        timeout: Duration::from_secs(30),
        parallel: 8,
        wideband: false,
        mail_dir: "mail".into(),
    };

    let mail = email::compose(&message, &mailbox, wav.clone(), &settings, message.deposited_at).unwrap();

    let text = std::str::from_utf8(&mail.bytes).expect("mails are ASCII");
    assert!(text.is_ascii());
    assert!(text.split("\r\n").all(|line| line.len() <= 78 && !line.contains(['\r', '\n', '\0'])), "{text}");
    let (head, _) = text.split_once("\r\n\r\n").unwrap();
    let begins = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
    assert!(begins.map(|line| line.split(':').next().unwrap()).eq(FIELDS), "{head}");
    let parsed = MessageParser::new().parse(&mail.bytes).unwrap();
    let recipients: Vec<_> = parsed.to().unwrap().iter().map(|to| to.address()).collect();
    assert_eq!(recipients, [Some("zoe@example.org")]);
    assert_eq!(parsed.attachment_count(), 1);
    assert_eq!(parsed.attachment(0).unwrap().contents(), wav);
    assert_eq!((parsed.text_body_count(), parsed.html_body_count()), (1, 1));
    assert!(parsed.subject().unwrap().starts_with("Voice message from "));
});

fn message(caller: Caller, duration: Duration) -> Message {
    let deposited_at = Timestamp::from_millis(1_795_253_100_000);
    Message {
        id: MessageId::from_stored("0123456789abcdefghjkmnpqrs"),
        mailbox: MailboxId::from_stored("m"),
        caller,
        deposited_at,
        stamp_at: deposited_at,
        expires_at: deposited_at.after(Duration::from_hours(24)),
        heard_at: None,
        saved_at: None,
        mailed_at: None,
        duration,
        audio: AudioKey::from_stored("a"),
        original_audio: None,
        interrupted: false,
        caller_verified: false,
        urgent: false,
        private: false,
        sent: None,
        version: 1,
    }
}

fn mailbox(name: String) -> Mailbox {
    Mailbox {
        id: MailboxId::from_stored("m"),
        tenant: String::new(),
        number: "1001".parse().unwrap(),
        aliases: vec![],
        name,
        email: Some("zoe@example.org".into()),
        voice_to_email_since: Some(Timestamp::from_millis(0)),
        time_zone: "Europe/Paris".parse().unwrap(),
        language: "en".into(),
        enabled: true,
        enrolled: true,
        due: Due::NOTHING,
        administrator: false,
        owns_shared: false,
        greeting: None,
        spoken_name: None,
        temporary: None,
        preferences: Preferences::default(),
        mail_problem: None,
        created_at: Timestamp::from_millis(0),
    }
}
