//! Voice-to-email: a message as a mail with its WAV attached.

use std::time::Duration;

use mail_builder::{
    encoders::quoted_printable::quoted_printable_encode,
    headers::{content_type::ContentType, raw::Raw},
    mime::{BodyPart, MimePart},
};

use super::{
    AddressError, ComposedMail, MailSettings, address,
    header::Headers,
    text::{Html, Isolated, presentable, presentable_name},
};
use crate::domain::{
    caller::Caller,
    id::OutboxId,
    mailbox::Mailbox,
    message::{Marks, Message},
    rules,
    time::Timestamp,
};

/// Makes the mail that carries `message` to the subscriber of `mailbox`. `wav` goes along byte for byte.
///
/// A repetition has the same Message-ID and Date; `now` is only used to tell how long the message will stay.
///
/// # Errors
///
/// When the mailbox has no address, or one that cannot be written to.
pub fn compose(
    message: &Message,
    mailbox: &Mailbox,
    wav: Vec<u8>,
    settings: &MailSettings,
    now: Timestamp,
) -> Result<ComposedMail, AddressError> {
    compose_as(message.id.as_str(), message, mailbox, wav, settings, settings.relay.is_some(), now)
}

/// Makes the mail that carries a copy the subscriber asked for, under an id of its own: it is another mail than the one that may have
/// carried the message before, and its acceptance does not shorten the message's life.
///
/// # Errors
///
/// As for [`compose`].
pub fn compose_copy(
    id: &OutboxId,
    message: &Message,
    mailbox: &Mailbox,
    wav: Vec<u8>,
    settings: &MailSettings,
    now: Timestamp,
) -> Result<ComposedMail, AddressError> {
    compose_as(id.as_str(), message, mailbox, wav, settings, false, now)
}

/// `shortens` says whether a message that is not saved stays for a shorter time once the mail is accepted.
fn compose_as(
    id: &str,
    message: &Message,
    mailbox: &Mailbox,
    wav: Vec<u8>,
    settings: &MailSettings,
    shortens: bool,
    now: Timestamp,
) -> Result<ComposedMail, AddressError> {
    let caller = presentable(&message.caller);
    let letter = Letter {
        id,
        subject: format!("{} from {}, {}", kind(message), Isolated(&caller.display()), clock(message.duration)),
        written_at: message.deposited_at,
        context: Some("voice-message"),
        marks: message.marks(),
        text: text(message, mailbox, &caller, shortens, now),
        html: html(message, mailbox, &caller, shortens, now),
        recording: Some(Recording { file_name: file_name(message, mailbox), wav, duration: message.duration }),
    };
    letter.compose(mailbox, settings)
}

/// A mail before it is bytes; warnings are made of it, too.
pub(super) struct Letter<'a> {
    /// Stable over all attempts: the first half of the Message-ID.
    pub id: &'a str,
    pub subject: String,
    pub written_at: Timestamp,
    /// RFC 3458.
    pub context: Option<&'static str>,
    pub marks: Marks,
    pub text: String,
    pub html: String,
    pub recording: Option<Recording>,
}

pub(super) struct Recording {
    pub file_name: String,
    pub wav: Vec<u8>,
    pub duration: Duration,
}

impl Letter<'_> {
    pub fn compose(self, mailbox: &Mailbox, settings: &MailSettings) -> Result<ComposedMail, AddressError> {
        let to = address::parse(mailbox.email.as_deref().ok_or(AddressError)?)?;
        let from = settings.from.address().clone();
        let message_id = format!("{}@{}", self.id, from.domain());

        let mut headers = Headers::default();
        headers.address("From", settings.from.name(), from.as_ref());
        headers.address("To", &presentable_name(&mailbox.name), to.as_ref());
        headers.text("Subject", &self.subject);
        headers.token("Date", &mailbox.time_zone.format(self.written_at, "%a, %d %b %Y %H:%M:%S %z"));
        headers.token("Message-ID", &format!("<{message_id}>"));
        headers.token("Auto-Submitted", "auto-generated");
        if let Some(context) = self.context {
            headers.token("Message-Context", context);
        }
        if self.marks.urgent {
            // RFC 2156, in which RFC 3801 says it of voice messages, and what most programs look at.
            headers.token("Importance", "high");
            headers.token("Priority", "urgent");
            headers.token("X-Priority", "1");
        }
        if self.marks.private {
            headers.token("Sensitivity", "private");
        }
        headers.token("MIME-Version", "1.0");
        let mut bytes = headers.into_bytes();

        // Boundaries are made of the id, so that a repetition is the same mail to the last byte. `=_` occurs in neither
        // quoted-printable nor base 64 (RFC 2045 §6.7), so not even a reader who takes a boundary anywhere in a line is misled.
        let multipart = |kind: &'static str| {
            ContentType::new(format!("multipart/{kind}")).attribute("boundary", format!("=_{kind}_{}", self.id))
        };
        let words = vec![quoted_printable("text/plain", &self.text), quoted_printable("text/html", &self.html)];
        let words = MimePart::new(multipart("alternative"), words);
        let body = match self.recording {
            None => words,
            Some(recording) => {
                bytes.reserve(recording.wav.len() / 3 * 4 + recording.wav.len() / 28 + 4096);
                MimePart::new(multipart("mixed"), vec![words, recording.into_part()])
            }
        };
        body.write_part(&mut bytes).expect("writing to memory cannot fail");
        Ok(ComposedMail { message_id, from, to, bytes })
    }
}

fn quoted_printable(content_type: &'static str, text: &str) -> MimePart<'static> {
    let mut encoded = Vec::with_capacity(text.len() * 2);
    quoted_printable_encode(text.as_bytes(), &mut encoded, true).expect("writing to memory cannot fail");
    let encoded = String::from_utf8(encoded).expect("quoted-printable is ASCII");
    MimePart::new(content_type, encoded).transfer_encoding("quoted-printable")
}

impl Recording {
    fn into_part(self) -> MimePart<'static> {
        MimePart::new(ContentType::new("audio/wav").attribute("name", self.file_name.clone()), BodyPart::Binary(self.wav.into()))
            .attachment(self.file_name)
            // RFC 3803: whole seconds.
            .header("Content-Duration", Raw::new(seconds(self.duration).to_string()))
    }
}

fn text(message: &Message, mailbox: &Mailbox, caller: &Caller, shortens: bool, now: Timestamp) -> String {
    let mut text = format!(
        "You have a voice message.\n\n\
         From:      {}\n\
         Received:  {}\n\
         Length:    {}\n\
         Mailbox:   {}\n\n\
         The recording is attached.\n",
        Isolated(&caller.display()),
        moment(mailbox, message.deposited_at),
        clock(message.duration),
        mailbox.number,
    );
    for remark in remarks(message, mailbox, shortens, now) {
        text.push('\n');
        text.push_str(&wrapped(&remark));
    }
    text
}

fn html(message: &Message, mailbox: &Mailbox, caller: &Caller, shortens: bool, now: Timestamp) -> String {
    let row = |name: &str, value: &str| format!("<tr><td>{name}</td><td><bdi>{}</bdi></td></tr>\n", Html(value));
    let rows = [
        row("From", &caller.display()),
        row("Received", &moment(mailbox, message.deposited_at)),
        row("Length", &clock(message.duration)),
        row("Mailbox", mailbox.number.as_str()),
    ];
    let remarks: String =
        remarks(message, mailbox, shortens, now).iter().map(|remark| format!("<p>{}</p>\n", Html(remark))).collect();
    page(&format!(
        "<p>You have a voice message.</p>\n<table>\n{}</table>\n<p>The recording is attached.</p>\n{remarks}",
        rows.concat()
    ))
}

/// A whole HTML document; `body` is HTML already.
pub(super) fn page(body: &str) -> String {
    format!("<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"></head>\n<body>\n{body}</body>\n</html>\n")
}

/// What it is, as the subject begins.
fn kind(message: &Message) -> &'static str {
    match message.marks() {
        Marks { urgent: false, private: false } => "Voice message",
        Marks { urgent: true, private: false } => "Urgent voice message",
        Marks { urgent: false, private: true } => "Private voice message",
        Marks { urgent: true, private: true } => "Urgent private voice message",
    }
}

/// What the subscriber should know beyond the message itself.
fn remarks(message: &Message, mailbox: &Mailbox, shortens: bool, now: Timestamp) -> Vec<String> {
    let mut remarks = Vec::new();
    if message.urgent {
        remarks.push("The caller marked it as urgent.".to_owned());
    }
    if message.private {
        remarks.push("The caller marked it as private: please do not pass it on.".to_owned());
    }
    if message.interrupted {
        remarks.push("The recording was interrupted on our side; its end may be missing.".to_owned());
    }
    remarks.push(stay(message, mailbox, shortens, now));
    remarks
}

/// How long the message stays in the mailbox, as far as can be said before the relay has accepted the mail.
fn stay(message: &Message, mailbox: &Mailbox, shortens: bool, now: Timestamp) -> String {
    let life = days(rules::MESSAGE_LIFE);
    if let Some(deleted_at) = message.deleted_at {
        let until = moment(mailbox, rules::end_in_deleted_list(deleted_at).min(message.expires_at));
        return format!("It has been deleted from your mailbox, where it can be restored until {until}.");
    }
    if message.saved_at.is_some() || !shortens {
        let until = moment(mailbox, message.expires_at);
        return format!("It also stays in your mailbox until {until}. Saving it there keeps it for another {life}.");
    }
    let until = moment(mailbox, rules::expiry_after_mail(message, now));
    format!(
        "It also stays in your mailbox for {} after this mail was delivered, that is until {until} at least. \
         Save it there to keep it for {life}.",
        days(rules::MAILED_LIFE)
    )
}

/// A moment on the subscriber's clock and calendar: `Saturday, 21 November 2026 at 10:05 (CET)`.
pub(super) fn moment(mailbox: &Mailbox, moment: Timestamp) -> String {
    mailbox.time_zone.format(moment, "%A, %-d %B %Y at %H:%M (%Z)")
}

/// A length in minutes and seconds: `0:42`.
fn clock(length: Duration) -> String {
    let seconds = seconds(length);
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// Whole seconds, rounded; a message has one at least.
fn seconds(length: Duration) -> u128 {
    ((length.as_millis() + 500) / 1000).max(1)
}

pub(super) fn days(span: Duration) -> String {
    format!("{} days", span.as_secs() / (24 * 60 * 60))
}

/// An ASCII name that sorts by time and names the caller if they are a number: `voice-message-20261121-100500-2025550143.wav`.
fn file_name(message: &Message, mailbox: &Mailbox) -> String {
    let stamp = mailbox.time_zone.format(message.deposited_at, "%Y%m%d-%H%M%S");
    match message.caller.spoken_digits() {
        Some(digits) => format!("voice-message-{stamp}-{digits}.wav"),
        None => format!("voice-message-{stamp}.wav"),
    }
}

/// Breaks a paragraph into lines of up to 72 characters.
pub(super) fn wrapped(paragraph: &str) -> String {
    let mut lines = String::new();
    let mut column = 0;
    for word in paragraph.split(' ') {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > 72 {
            lines.push('\n');
            column = 0;
        } else if column > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += width;
    }
    lines.push('\n');
    lines
}

#[cfg(test)]
pub(super) mod tests {
    use mail_parser::{HeaderValue, MessageParser, MimeHeaders};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        delivery::Relay,
        domain::{
            id::{AudioKey, MailboxId, MessageId},
            mailbox::Due,
        },
    };

    #[test]
    fn a_copy_is_another_mail_and_says_how_long_the_message_stays() {
        let id = OutboxId::from_stored("a-copy");
        let deleted = Message { deleted_at: Some(now()), ..message() };
        let body = |message: &Message| {
            let mail = compose_copy(&id, message, &mailbox(), vec![], &settings(), now()).unwrap();
            let parsed = MessageParser::new().parse(&mail.bytes).unwrap();
            assert!(mail.message_id.starts_with("a-copy@"), "{}", mail.message_id);
            parsed.body_text(0).unwrap().replace("\r\n", " ").replace('\n', " ")
        };

        assert!(body(&message()).contains("It also stays in your mailbox until"), "{}", body(&message()));
        assert!(body(&deleted).contains("where it can be restored until"), "{}", body(&deleted));
    }

    #[test]
    fn a_mail_carries_the_message() {
        let wav: Vec<u8> = (0..=255).cycle().take(32_044).collect();

        let mail = compose(&message(), &mailbox(), wav.clone(), &settings(), now()).unwrap();

        let parsed = MessageParser::new().parse(&mail.bytes).unwrap();
        assert_eq!(parsed.subject(), Some("Voice message from Ann Lee (2025550143), 0:42"));
        assert_eq!(parsed.message_id(), Some(mail.message_id.as_str()));
        assert_eq!(parsed.date().unwrap().to_rfc822(), "Sat, 21 Nov 2026 10:05:00 +0100");
        assert_eq!(parsed.header("Auto-Submitted").and_then(HeaderValue::as_text), Some("auto-generated"));
        assert_eq!(parsed.header("Message-Context").and_then(HeaderValue::as_text), Some("voice-message"));
        assert_eq!(parsed.from().and_then(|from| from.first()).and_then(|from| from.address()), Some("voicemail@example.com"));
        let to = parsed.to().and_then(|to| to.first()).unwrap();
        assert_eq!((to.name(), to.address()), (Some("Zoë Ångström"), Some("zoe@example.org")));
        let attachment = parsed.attachment(0).unwrap();
        assert_eq!(attachment.contents(), wav);
        assert_eq!(attachment.attachment_name(), Some("voice-message-20261121-100500-2025550143.wav"));
        assert_eq!(attachment.content_type().unwrap().subtype(), Some("wav"));
        assert!(mail.bytes.windows(24).any(|field| field == b"\r\nContent-Duration: 42\r\n"));
        assert!(parsed.body_html(0).unwrap().contains("Ann Lee (2025550143)"));
    }

    #[test]
    fn the_text_reads_well() {
        let mail = compose(&message(), &mailbox(), vec![0; 44], &settings(), now()).unwrap();

        let parsed = MessageParser::new().parse(&mail.bytes).unwrap();
        assert_eq!(
            parsed.body_text(0).unwrap().replace("\r\n", "\n"),
            "You have a voice message.\n\n\
             From:      Ann Lee (2025550143)\n\
             Received:  Saturday, 21 November 2026 at 10:05 (CET)\n\
             Length:    0:42\n\
             Mailbox:   1001\n\n\
             The recording is attached.\n\n\
             It also stays in your mailbox for 3 days after this mail was delivered,\n\
             that is until Tuesday, 24 November 2026 at 11:00 (CET) at least. Save it\n\
             there to keep it for 30 days.\n"
        );
    }

    #[test]
    fn a_repetition_is_the_same_mail() {
        let compose = || compose(&message(), &mailbox(), vec![7; 1000], &settings(), now()).unwrap();

        assert_eq!(compose().bytes, compose().bytes);
    }

    #[test]
    fn three_days_are_only_told_when_a_mail_server_starts_them() {
        let files = MailSettings { relay: None, ..settings() };
        let saved = Message { saved_at: Some(now()), expires_at: rules::expiry_after_save(now()), ..message() };
        let told = |message: &Message, settings: &MailSettings| stay(message, &mailbox(), settings.relay.is_some(), now());

        assert!(told(&message(), &settings()).contains("until Tuesday, 24 November"));
        assert!(told(&message(), &files).contains("until Monday, 21 December 2026 at 10:05"));
        assert!(told(&saved, &settings()).contains("until Monday, 21 December 2026 at 11:00"));
    }

    #[test]
    fn an_interrupted_message_says_so() {
        let message = Message { interrupted: true, ..message() };

        assert!(text(&message, &mailbox(), &message.caller, true, now()).contains("its end may be missing"));
    }

    #[test]
    fn an_urgent_message_and_a_private_one_look_so() {
        for (urgent, private, subject, fields, remarks) in [
            (false, false, "Voice message from", "", ""),
            (true, false, "Urgent voice message from", "Importance: high, Priority: urgent, X-Priority: 1", "as urgent"),
            (false, true, "Private voice message from", "Sensitivity: private", "as private"),
            (
                true,
                true,
                "Urgent private voice message from",
                "Importance: high, Priority: urgent, X-Priority: 1, Sensitivity: private",
                "as urgent as private",
            ),
        ] {
            let mail = compose(&Message { urgent, private, ..message() }, &mailbox(), vec![], &settings(), now()).unwrap();

            let parsed = MessageParser::new().parse(&mail.bytes).unwrap();
            assert!(parsed.subject().unwrap().starts_with(subject), "{:?}", parsed.subject());
            let written = ["Importance", "Priority", "X-Priority", "Sensitivity"]
                .iter()
                .filter_map(|name| Some(format!("{name}: {}", parsed.header(*name)?.as_text()?)))
                .collect::<Vec<_>>();
            assert_eq!(written.join(", "), fields);
            for words in [parsed.body_text(0).unwrap(), parsed.body_html(0).unwrap()] {
                assert!(["as urgent", "as private"].iter().all(|mark| words.contains(mark) == remarks.contains(mark)), "{words}");
            }
        }
    }

    #[test]
    fn a_private_caller_and_a_strange_one_have_subjects_and_file_names() {
        let subject = |caller: Caller| {
            let mail = compose(&Message { caller, ..message() }, &mailbox(), vec![], &settings(), now()).unwrap();
            let parsed = MessageParser::new().parse(&mail.bytes).unwrap();
            (parsed.subject().unwrap().to_owned(), parsed.attachment(0).unwrap().attachment_name().unwrap().to_owned())
        };

        assert_eq!(
            subject(Caller::private()),
            ("Voice message from Private caller, 0:42".into(), "voice-message-20261121-100500.wav".into())
        );
        let named = Caller { number: Some("ann/../é".into()), name: None };
        assert_eq!(subject(named), ("Voice message from ann/../é, 0:42".into(), "voice-message-20261121-100500.wav".into()));
    }

    #[test]
    fn a_caller_who_guesses_a_boundary_gains_nothing() {
        for filler in 0..40 {
            let name = format!("{}(---=_alternative_{}", "é".repeat(filler), message().id);
            let message = Message { caller: Caller { number: Some(name.clone()), name: Some(name) }, ..message() };

            let mail = compose(&message, &mailbox(), vec![], &settings(), now()).unwrap();

            let parsed = MessageParser::new().parse(&mail.bytes).unwrap();
            assert_eq!((parsed.text_body_count(), parsed.html_body_count(), parsed.attachment_count()), (1, 1, 1));
        }
    }

    #[test]
    fn a_mailbox_without_a_usable_address_gets_no_mail() {
        for email in [None, Some("nobody"), Some("a@example.com\r\nBcc: b@example.com")] {
            let mailbox = Mailbox { email: email.map(str::to_owned), ..mailbox() };

            assert_eq!(compose(&message(), &mailbox, vec![], &settings(), now()).unwrap_err(), AddressError);
        }
    }

    proptest! {
        #[test]
        fn no_caller_can_break_the_mail(name in any::<Option<String>>(), number in any::<Option<String>>(), wav in any::<Vec<u8>>()) {
            let message = Message { caller: Caller { number, name }, ..message() };

            let mail = compose(&message, &mailbox(), wav.clone(), &settings(), now()).unwrap();

            prop_assert!(mail.bytes.is_ascii());
            let text = String::from_utf8(mail.bytes.clone()).unwrap();
            prop_assert!(text.split("\r\n").all(|line| line.len() <= 78 && !line.contains(['\r', '\n'])), "{text}");
            let fields: Vec<&str> = text.split("\r\n\r\n").next().unwrap().split("\r\n").filter(|line| !line.starts_with([' ', '\t']))
                .map(|line| line.split(':').next().unwrap()).collect();
            prop_assert_eq!(fields, ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Message-Context", "MIME-Version", "Content-Type"]);
            let parsed = MessageParser::new().parse(&mail.bytes).unwrap();
            prop_assert_eq!(parsed.attachment_count(), 1);
            prop_assert_eq!(parsed.attachment(0).unwrap().contents(), wav);
            let shown = presentable(&message.caller).display();
            let subject = format!("Voice message from {}, 0:42", Isolated(&shown));
            prop_assert_eq!(parsed.subject(), Some(subject.as_str()));
            prop_assert!(parsed.body_text(0).unwrap().contains(&shown));
        }
    }

    fn now() -> Timestamp {
        "2026-11-21T10:00:00Z".parse().unwrap()
    }

    fn message() -> Message {
        let deposited_at = "2026-11-21T09:05:00Z".parse().unwrap();
        Message {
            id: MessageId::from_stored("0123456789abcdefghjkmnpqrs"),
            mailbox: MailboxId::from_stored("m"),
            caller: Caller { number: Some("2025550143".into()), name: Some("Ann Lee".into()) },
            called: None,
            deposited_at,
            stamp_at: deposited_at,
            expires_at: rules::expiry_after_deposit(deposited_at),
            heard_at: None,
            saved_at: None,
            mailed_at: None,
            deleted_at: None,
            duration: Duration::from_millis(42_400),
            audio: AudioKey::random(),
            original_audio: None,
            interrupted: false,
            caller_verified: false,
            urgent: false,
            private: false,
            sent: None,
            version: 1,
        }
    }

    fn mailbox() -> Mailbox {
        Mailbox {
            id: MailboxId::from_stored("m"),
            tenant: String::new(),
            number: "1001".parse().unwrap(),
            aliases: vec![],
            name: "Zoë Ångström".into(),
            email: Some("zoe@example.org".into()),
            voice_to_email_since: Some(Timestamp::from_millis(0)),
            time_zone: "Europe/Paris".parse().unwrap(),
            language: "en".into(),
            enabled: true,
            enrolled: true,
            due: Due::NOTHING,
            administrator: false,
            owns_shared: false,
            instructions: false,
            greeting: None,
            spoken_name: None,
            temporary: None,
            preferences: Default::default(),
            mail_problem: None,
            created_at: Timestamp::from_millis(0),
        }
    }

    pub(in crate::delivery) fn settings() -> MailSettings {
        MailSettings {
            relay: Some(Relay::parse("smtp://relay.example", None).unwrap()),
            from: "Voicemail <voicemail@example.com>".parse().unwrap(),
            timeout: Duration::from_secs(30),
            parallel: 8,
            wideband: false,
            mail_dir: "mail".into(),
        }
    }
}
