//! In which language a session is spoken, and when that changes.

use super::*;
use crate::domain::language::{Clock, Grammar, Languages};

#[test]
fn callers_hear_the_mailbox_unless_the_number_dialled_has_a_language() {
    let spanish = || Entry::Deposit { mailbox: in_language("es") };

    assert_eq!(languages(spanish(), None), ["es"]);
    assert_eq!(languages(spanish(), Some("fr")), ["fr"]);
    assert_eq!(languages(Entry::Deposit { mailbox: in_language("gone") }, None), ["en"]);
}

#[test]
fn an_unknown_mailbox_and_a_disabled_one_are_spoken_for_alike() {
    for dialled in [None, Some("fr")] {
        let disabled = Entry::Deposit { mailbox: MailboxView { enabled: false, ..in_language("es") } };

        assert_eq!(languages(disabled, dialled), languages(Entry::Unavailable, dialled));
    }
}

#[test]
fn a_mailbox_that_was_typed_is_not_spoken_for_before_the_passcode_is_right() {
    let mut telephone = call(Entry::Retrieval { mailbox: None }, None);

    telephone.press("1001#").answer(Answer::Mailbox(Some(Box::new(in_language("fr")))));
    telephone.press("49158730#").answer(Answer::Passcode(Verdict::Wrong));
    let before = spoken(&telephone);
    telephone.forget().press("49158731#").answer(Answer::Passcode(Verdict::Right)).answer(messages(&[]));

    assert_eq!(before, ["en"]);
    assert_eq!(spoken(&telephone), ["fr"]);
}

#[test]
fn an_own_line_is_spoken_to_in_its_language_at_once_whatever_was_dialled() {
    assert_eq!(languages(Entry::Retrieval { mailbox: Some(in_language("fr")) }, Some("es")), ["fr"]);
}

#[test]
fn a_caller_who_logs_in_leaves_the_language_of_the_number_dialled() {
    let mut telephone = call(Entry::Deposit { mailbox: in_language("es") }, Some("fr"));

    telephone.press("*49158730#");
    let before = spoken(&telephone);
    telephone.forget().answer(Answer::Passcode(Verdict::Right)).answer(messages(&[]));

    assert_eq!((before, spoken(&telephone)), (vec!["fr".to_owned()], vec!["es".to_owned()]));
}

#[test]
fn the_stamp_is_said_by_the_clock_of_the_mailbox() {
    for (clock, said) in [(None, "today-at hour-9"), (Some(Clock::Twelve), "today-at hour-9 in-the-morning")] {
        let preferences = Preferences { clock, ..Preferences::default() };
        let mailbox = MailboxView { preferences, ..in_language("fr") };
        let mut telephone = call(Entry::Retrieval { mailbox: Some(mailbox) }, None);

        telephone.press("49158730#").answer(Answer::Passcode(Verdict::Right)).answer(messages(&[message("a")]));
        telephone.forget().press("1").answer(messages(&[message("a")]));

        let heard = telephone.look();
        assert!(heard.contains(&format!("{said} from")), "{heard}");
    }
}

fn in_language(language: &str) -> MailboxView {
    MailboxView { language: language.to_owned(), ..mailbox() }
}

/// A call to a number that has this language.
fn call(entry: Entry, dialled: Option<&str>) -> Telephone {
    let languages = Languages::new([], Grammar::English.code()).unwrap();
    let callers_language = dialled.map(|code| languages.find(code).unwrap().clone());
    Telephone::call_with(entry, Settings { languages, callers_language, ..Settings::default() })
}

/// The languages of what is played first.
fn languages(entry: Entry, dialled: Option<&str>) -> Vec<String> {
    spoken(&call(entry, dialled))
}

/// The languages of what was played since the last look.
fn spoken(telephone: &Telephone) -> Vec<String> {
    let played = telephone.effects.iter().filter_map(|effect| match effect {
        Effect::Play { language, .. } => Some(language.to_string()),
        _ => None,
    });
    let mut languages: Vec<String> = played.collect();
    languages.dedup();
    languages
}
