//! Warnings: what a subscriber should know about the mailbox before it becomes a loss.

mod news;

use super::{
    AddressError, ComposedMail, MailSettings,
    email::{Letter, days, moment, page, wrapped},
    text::Html,
};
use crate::domain::{
    credential::Notice,
    id::OutboxId,
    mailbox::Mailbox,
    mailbox_log::{Event, Origin},
    message::Marks,
    rules::{self, Fullness},
    time::Timestamp,
};

/// What the subscriber is warned of.
#[derive(Clone, PartialEq, Eq)]
pub enum Warning {
    /// The mailbox is filling up, or full.
    Filling {
        /// How many messages it held.
        held: u32,
    },
    /// Messages will soon be removed.
    Expiring {
        /// How many.
        messages: u32,
        /// When the first of them goes.
        first: Timestamp,
    },
    /// Access from other phones was locked after too many wrong passcodes.
    RemoteLock,
    /// The mailbox's credentials were used in a way that is worth a look.
    Credential {
        /// What was noticed.
        notice: Notice,
        /// The address, or the network of an IPv6 address.
        address: String,
        /// The software, by its own word; may be empty.
        agent: String,
        /// Whether further ones within the hour are not mailed.
        last: bool,
    },
    /// The mailbox was opened from a new source, or its passcode or a greeting was changed.
    Noticed {
        /// What happened.
        event: Event,
        /// From where.
        by: Origin,
        /// Whether further ones within the hour are not mailed.
        last: bool,
    },
}

/// Makes the mail for a warning that arose at `written_at`. A repetition is the same mail to the last byte.
///
/// # Errors
///
/// When the mailbox has no address, or one that cannot be written to.
pub fn compose(
    id: &OutboxId,
    warning: Warning,
    mailbox: &Mailbox,
    settings: &MailSettings,
    written_at: Timestamp,
) -> Result<ComposedMail, AddressError> {
    let (subject, paragraphs) = words(&warning, mailbox, written_at);
    let text: Vec<String> = paragraphs.iter().map(|paragraph| wrapped(paragraph)).collect();
    let html: String = paragraphs.iter().map(|paragraph| format!("<p>{}</p>\n", Html(paragraph))).collect();
    let letter = Letter {
        id: id.as_str(),
        subject,
        written_at,
        context: None,
        marks: Marks::default(),
        text: text.join("\n"),
        html: page(&html),
        recording: None,
    };
    letter.compose(mailbox, settings)
}

fn words(warning: &Warning, mailbox: &Mailbox, written_at: Timestamp) -> (String, [String; 2]) {
    let number = &mailbox.number;
    let capacity = rules::MAILBOX_CAPACITY;
    match warning {
        Warning::Filling { held } if rules::fullness(*held) == Fullness::Full => (
            format!("Your mailbox {number} is full"),
            [
                format!("Your mailbox {number} holds {capacity} messages, and that is all it can hold. Callers cannot leave any more."),
                "Please delete messages that you no longer need.".to_owned(),
            ],
        ),
        Warning::Filling { held } => (
            format!("Your mailbox {number} is nearly full"),
            [
                format!("Your mailbox {number} holds {held} of {capacity} messages. When it is full, callers cannot leave any more."),
                "Please delete messages that you no longer need.".to_owned(),
            ],
        ),
        Warning::Expiring { messages, first } => {
            let life = days(rules::MESSAGE_LIFE);
            let first = moment(mailbox, *first);
            match messages {
                1 => (
                    format!("A message in your mailbox {number} will soon be removed"),
                    [
                        format!("A message in your mailbox {number} will be removed on {first}."),
                        format!("To keep it for another {life}, listen to it by phone and save it."),
                    ],
                ),
                messages => (
                    format!("{messages} messages in your mailbox {number} will soon be removed"),
                    [
                        format!("{messages} messages in your mailbox {number} will soon be removed, the first of them on {first}."),
                        format!("To keep a message for another {life}, listen to it by phone and save it."),
                    ],
                ),
            }
        }
        Warning::RemoteLock => (
            format!("Your mailbox {number} was locked for other phones"),
            [
                format!(
                    "On {}, after {} wrong passcodes in a row, your mailbox {number} was locked for all phones but your own.",
                    moment(mailbox, written_at),
                    rules::FAILURES_BEFORE_REMOTE_LOCK
                ),
                "It stays so until your administrator unlocks it. If it was not you who tried, somebody may be guessing your passcode."
                    .to_owned(),
            ],
        ),
        Warning::Credential { notice, address, agent, last } => {
            let what = match notice {
                Notice::NewAddress => "from an address that was not seen before",
                Notice::NewAgent => "by a phone or program that was not seen before",
                Notice::NewAddressAndAgent => "by a phone or program, and from an address, that were not seen before",
                Notice::RightPasswordFromBlockedAddress => "from an address that is not on the access list, and was kept out",
            };
            let agent = if agent.is_empty() { "it did not say which".to_owned() } else { format!("\"{agent}\"") };
            let subject = match notice {
                Notice::RightPasswordFromBlockedAddress => format!("A blocked address knows the password of your mailbox {number}"),
                Notice::NewAddress | Notice::NewAgent | Notice::NewAddressAndAgent => {
                    format!("The password of your mailbox {number} was used in a new way")
                }
            };
            let more = if *last { " Further such uses within this hour are in the access log, and are not mailed." } else { "" };
            (
                subject,
                [
                    format!(
                        "On {}, the password of the phone line of your mailbox {number} was used {what}. Address: {address}. Phone or program: {agent}.",
                        moment(mailbox, written_at)
                    ),
                    format!("If that was not you, have your administrator give the line a new password.{more}"),
                ],
            )
        }
        Warning::Noticed { event, by, last } => news::words(event, by, *last, number, &moment(mailbox, written_at)),
    }
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;
    use crate::{
        delivery::email,
        domain::{id::MailboxId, mailbox::Due},
    };

    #[test]
    fn warnings_say_what_and_what_to_do() {
        let first = "2026-11-24T09:05:00Z".parse().unwrap();

        for (warning, subject, sentence) in [
            (Warning::Filling { held: 270 }, "Your mailbox 1001 is nearly full", "holds 270 of 300 messages"),
            (Warning::Filling { held: 299 }, "Your mailbox 1001 is nearly full", "holds 299 of 300 messages"),
            (Warning::Filling { held: 300 }, "Your mailbox 1001 is full", "Callers cannot leave any more"),
            (
                Warning::Expiring { messages: 1, first },
                "A message in your mailbox 1001 will soon be removed",
                "will be removed on Tuesday, 24 November 2026 at 10:05 (CET)",
            ),
            (
                Warning::Expiring { messages: 7, first },
                "7 messages in your mailbox 1001 will soon be removed",
                "the first of them on Tuesday, 24 November 2026 at 10:05 (CET)",
            ),
            (Warning::RemoteLock, "Your mailbox 1001 was locked for other phones", "after 10 wrong passcodes in a row"),
            (
                credential(Notice::NewAddressAndAgent, false),
                "The password of your mailbox 1001 was used in a new way",
                "that were not seen before. Address: 192.0.2.7.",
            ),
            (
                credential(Notice::RightPasswordFromBlockedAddress, true),
                "A blocked address knows the password of your mailbox 1001",
                "not on the access list, and was kept out",
            ),
            (credential(Notice::NewAgent, true), "The password of your mailbox 1001 was used in a new way", "are not mailed"),
        ] {
            let mail = mail(warning);

            let parsed = MessageParser::new().parse(&mail.bytes).unwrap();
            assert_eq!(parsed.subject(), Some(subject));
            assert_eq!(parsed.attachment_count(), 0);
            for body in [parsed.body_text(0).unwrap(), parsed.body_html(0).unwrap()] {
                let body = body.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(body.contains(sentence), "{body}");
            }
        }
    }

    #[test]
    fn a_repeated_warning_is_the_same_mail() {
        assert_eq!(mail(Warning::RemoteLock).bytes, mail(Warning::RemoteLock).bytes);
    }

    fn credential(notice: Notice, last: bool) -> Warning {
        Warning::Credential { notice, address: "192.0.2.7".to_owned(), agent: "Phone <b>1</b>".to_owned(), last }
    }

    fn mail(warning: Warning) -> ComposedMail {
        let mailbox = Mailbox {
            id: MailboxId::from_stored("m"),
            tenant: String::new(),
            number: "1001".parse().unwrap(),
            aliases: vec![],
            name: String::new(),
            email: Some("zoe@example.org".into()),
            voice_to_email_since: None,
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
        };
        compose(
            &OutboxId::from_stored("o"),
            warning,
            &mailbox,
            &email::tests::settings(),
            "2026-11-21T09:05:00Z".parse().unwrap(),
        )
        .unwrap()
    }
}
