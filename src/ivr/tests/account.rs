//! How the outside answers what is asked about a subscriber's own matters.

use super::*;
use crate::domain::{
    greeting::{Greeting, GreetingKind},
    mailbox_log::{LastAccess, Origin},
};

pub(super) fn describe(question: &AccountQuestion) -> String {
    match question {
        AccountQuestion::Greeting(_, kind) => format!("which {kind}?"),
        AccountQuestion::BringBack(_, kind) => format!("bring back {kind}?"),
        AccountQuestion::Remove(_, kind) => format!("remove {kind}?"),
        AccountQuestion::EndTemporaryAfter(_, days) => format!("end after {days}?"),
        AccountQuestion::Skip(_, kind) => format!("skip {kind}?"),
        AccountQuestion::LastAccess(_) => "last access?".to_owned(),
        AccountQuestion::ResetPasscode(_, Digits(number)) => format!("reset {number}?"),
        AccountQuestion::Phrase(_, phrase) => format!("which {phrase}?"),
        AccountQuestion::SetPhrase(_, phrase) => format!("set phrase {phrase}?"),
        AccountQuestion::RemovePhrase(_, phrase) => format!("remove phrase {phrase}?"),
    }
}

pub(super) fn fitting(question: &AccountQuestion, at: usize) -> Answer {
    let now = NOW.parse().unwrap();
    let odd = !at.is_multiple_of(2);
    Answer::Account(match question {
        AccountQuestion::Greeting(_, kind) => AccountAnswer::Greeting { now, greeting: odd.then(|| greeting(*kind)) },
        AccountQuestion::EndTemporaryAfter(..) => AccountAnswer::EndsAt { now, until: now.after(Duration::from_secs(9000)) },
        AccountQuestion::LastAccess(_) => {
            let opened = odd.then(|| (now, Origin::command()));
            AccountAnswer::LastAccess { now, access: LastAccess { opened, failures: 2 } }
        }
        AccountQuestion::ResetPasscode(..) => AccountAnswer::NewPasscode(odd.then(|| Digits("60718293".to_owned()))),
        AccountQuestion::Phrase(..) => AccountAnswer::Phrase(odd.then(AudioKey::random)),
        AccountQuestion::SetPhrase(..) if odd => AccountAnswer::Unfit(Unfit::Clipped),
        AccountQuestion::BringBack(..)
        | AccountQuestion::Remove(..)
        | AccountQuestion::Skip(..)
        | AccountQuestion::SetPhrase(..)
        | AccountQuestion::RemovePhrase(..) => return Answer::Done,
    })
}

/// A recording of this kind, with one before it.
pub(super) fn greeting(kind: GreetingKind) -> Greeting {
    Greeting { kind, audio: Some(AudioKey::random()), previous: Some(AudioKey::random()), until: None }
}
