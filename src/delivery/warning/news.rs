//! News of a mailbox that its subscriber should know of at once: somebody else may have caused it.

use crate::domain::{
    forward::Forward,
    greeting::GreetingKind,
    mailbox::MailboxNumber,
    mailbox_log::{Change, Channel, Event, Origin},
};

const NOT_YOU: &str = "If that was not you, change your passcode, and tell your administrator.";

/// Subject and paragraphs.
pub(super) fn words(event: &Event, by: &Origin, last: bool, number: &MailboxNumber, moment: &str) -> (String, [String; 2]) {
    let from = from(by);
    let advice = match (by.channel, last) {
        (Channel::Command, _) => "If you did not ask for that, ask your administrator.".to_owned(),
        (Channel::OwnLine | Channel::Phone | Channel::UnsureNumber, false) => NOT_YOU.to_owned(),
        (Channel::OwnLine | Channel::Phone | Channel::UnsureNumber, true) => {
            format!("{NOT_YOU} Further such logins within this hour are in the mailbox's log, and are not mailed.")
        }
    };
    match event {
        Event::PasscodeChanged => (
            format!("The passcode of your mailbox {number} was changed"),
            [format!("On {moment}, the passcode of your mailbox {number} was changed {from}."), advice],
        ),
        Event::PasscodeReset => (
            format!("The passcode of your mailbox {number} was reset"),
            [
                format!(
                    "On {moment}, an administrator gave your mailbox {number} a new passcode, {from}. It is not in this mail."
                ),
                "The administrator will tell you. At your next login you are asked for one of your own.".to_owned(),
            ],
        ),
        Event::GreetingChanged { greeting, how } => {
            let greeting = name(*greeting);
            let how = match how {
                Change::Replaced => "recorded anew",
                Change::BroughtBack => "changed back to the one before",
                Change::Removed => "removed",
                Change::EndSet => "given another end",
            };
            let advice = match by.channel {
                Channel::OwnLine | Channel::Phone | Channel::UnsureNumber => format!("Callers hear it from now on. {advice}"),
                Channel::Command => advice,
            };
            (
                format!("The {greeting} of your mailbox {number} was changed"),
                [format!("On {moment}, the {greeting} of your mailbox {number} was {how} {from}."), advice],
            )
        }
        Event::SetUp => (
            format!("Your mailbox {number} is ready"),
            [format!("On {moment}, your mailbox {number} was set up {from}: passcode, name and greeting."), advice],
        ),
        Event::LoggedIn
        | Event::WrongPasscode
        | Event::LockedOut
        | Event::ResetPasscodeOf { .. }
        | Event::PhraseChanged { .. } => (
            format!("Your mailbox {number} was opened from a new phone"),
            [
                // An owner of a shared mailbox opens it with the passcode of the own one.
                format!("On {moment}, your mailbox {number} was opened {from}, for the first time from there."),
                advice,
            ],
        ),
    }
}

/// What the subscriber calls it.
fn name(greeting: GreetingKind) -> &'static str {
    match greeting {
        GreetingKind::Standard => "greeting",
        GreetingKind::Forwarded(Forward::Busy) => "greeting for when you are busy",
        GreetingKind::Forwarded(Forward::NoAnswer) => "greeting for when you do not answer",
        GreetingKind::Forwarded(Forward::Unavailable) => "greeting for when your phone cannot be reached",
        GreetingKind::Forwarded(Forward::Unconditional | Forward::Other) => "greeting for when all calls are forwarded",
        GreetingKind::Temporary => "temporary greeting",
        GreetingKind::Name => "spoken name",
    }
}

fn from(by: &Origin) -> String {
    match (by.channel, &by.number, &by.address) {
        (Channel::Command, _, _) => "by a command of your administrator".to_owned(),
        (Channel::OwnLine, _, _) => "from the mailbox's own phone".to_owned(),
        (Channel::Phone, Some(number), _) => format!("by phone from the number {number}"),
        (Channel::UnsureNumber, Some(number), _) => {
            format!("by phone by a caller who shows the number {number}, which may not be the caller's own")
        }
        (Channel::Phone | Channel::UnsureNumber, None, Some(address)) => {
            format!("by phone from the address {address}, by a caller whose number is not certain")
        }
        (Channel::Phone | Channel::UnsureNumber, None, None) => "by phone".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mail_says_what_happened_when_and_from_where() {
        let phone =
            Origin { channel: Channel::Phone, number: Some("2025550143".to_owned()), address: Some("192.0.2.7".to_owned()) };
        let stranger = Origin { number: None, ..phone.clone() };
        let own_line = Origin { channel: Channel::OwnLine, ..phone.clone() };
        let unsure = Origin { channel: Channel::UnsureNumber, ..phone.clone() };
        let busy = GreetingKind::Forwarded(Forward::Busy);
        for (event, by, subject, sentence) in [
            (Event::PasscodeChanged, &own_line, "The passcode of your mailbox 1001 was changed", "from the mailbox's own phone."),
            (Event::PasscodeChanged, &Origin::command(), "The passcode of your mailbox 1001 was changed", "by a command"),
            (Event::PasscodeReset, &phone, "The passcode of your mailbox 1001 was reset", "It is not in this mail."),
            (
                Event::LoggedIn,
                &phone,
                "Your mailbox 1001 was opened from a new phone",
                "from the number 2025550143, for the first time",
            ),
            (
                Event::LoggedIn,
                &stranger,
                "Your mailbox 1001 was opened from a new phone",
                "from the address 192.0.2.7, by a caller",
            ),
            (
                Event::LoggedIn,
                &unsure,
                "Your mailbox 1001 was opened from a new phone",
                "by a caller who shows the number 2025550143, which may not be the caller's own, for the first time",
            ),
            (Event::SetUp, &phone, "Your mailbox 1001 is ready", "was set up by phone from the number 2025550143"),
            (
                Event::GreetingChanged { greeting: busy, how: Change::Replaced },
                &phone,
                "The greeting for when you are busy of your mailbox 1001 was changed",
                "was recorded anew by phone from the number 2025550143.",
            ),
            (
                Event::GreetingChanged { greeting: GreetingKind::Name, how: Change::BroughtBack },
                &own_line,
                "The spoken name of your mailbox 1001 was changed",
                "was changed back to the one before from the mailbox's own phone.",
            ),
        ] {
            let (said, paragraphs) = words(&event, by, false, &"1001".parse().unwrap(), "Friday at 10:05 (CET)");

            assert_eq!(said, subject);
            assert!(paragraphs[0].starts_with("On Friday at 10:05 (CET), "), "{paragraphs:?}");
            assert!(paragraphs[0].contains(sentence), "{paragraphs:?}");
        }
    }
}
