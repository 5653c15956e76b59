//! The key maps: keys in a row, and those of other systems.

use super::*;
use crate::{
    domain::{
        keys::{KeyProfile, MenuLength},
        language::Grammar,
    },
    ivr::keymap::{self, MainAction},
};

/// A subscriber with this key map, at the main menu.
fn at_main_menu(keys: KeyProfile, held: &[Message]) -> Telephone {
    logged_in(with_keys(keys), held)
}

fn logged_in(mailbox: MailboxView, held: &[Message]) -> Telephone {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(mailbox) });
    telephone.press("49158730#").answer(Answer::Passcode(Verdict::Right)).answer(messages(held)).forget();
    telephone
}

/// The same, while the first message of a list plays.
fn listening(mailbox: MailboxView, keys: KeyProfile, list: MainAction, held: &[Message]) -> Telephone {
    let (pressed, _) = keymap::of(keys).main.iter().find(|(_, action)| *action == list).expect("every map has it");
    let mut telephone = logged_in(mailbox, held);
    telephone.press(pressed).answer(messages(held)).listen();
    telephone
}

fn with_keys(keys: KeyProfile) -> MailboxView {
    in_language(keys, Grammar::English)
}

fn in_language(keys: KeyProfile, language: Grammar) -> MailboxView {
    let preferences = Preferences { keys: Some(keys), ..Preferences::default() };
    MailboxView { preferences, language: language.code().to_owned(), ..mailbox() }
}

/// The same, while its first new message plays.
fn hearing(keys: KeyProfile, key_for_new: &str) -> Telephone {
    let held = [message("a"), message("b")];
    let mut telephone = at_main_menu(keys, &held);
    telephone.press(key_for_new).answer(messages(&held)).listen().forget();
    telephone
}

#[test]
fn two_keys_in_a_row_are_one_action() {
    let mut telephone = hearing(KeyProfile::Asterisk, "1");

    telephone.press("3");
    assert_eq!(telephone.look(), "");
    telephone.press("3");

    assert!(telephone.look().contains("length number-1 minute"), "the envelope");
}

#[test]
fn what_begins_an_action_and_goes_on_otherwise_is_nothing() {
    let mut telephone = hearing(KeyProfile::Asterisk, "1");

    telephone.press("39");

    assert_eq!(telephone.look(), "");
    telephone.press("9");
    assert_eq!(telephone.look(), "stop, save a v1?");
}

#[test]
fn a_key_that_only_begins_an_action_is_forgotten_after_a_while() {
    let mut telephone = hearing(KeyProfile::Asterisk, "1");

    telephone.press("3");
    assert_eq!(telephone.session.timeout(), Some(Duration::from_secs(2)));
    telephone.wait();
    telephone.press("3");

    assert_eq!(telephone.look(), "", "the second 3 is a first one again");
}

#[test]
fn a_key_that_begins_another_action_acts_when_nothing_follows() {
    let mut telephone = hearing(KeyProfile::Audix, "2");

    telephone.press("2");
    assert_eq!(telephone.look(), "");
    telephone.wait();
    assert!(telephone.look().starts_with("today-at"), "2 rewinds to the start");

    telephone.press("23");
    assert!(telephone.look().contains("length"), "2 3 goes to the header");
}

#[test]
fn three_keys_save_a_message_as_they_did_in_audix() {
    let mut telephone = hearing(KeyProfile::Audix, "2");

    telephone.press("**4");

    assert_eq!(telephone.look(), "stop, save a v1?");
}

#[test]
fn a_recording_is_cancelled_before_the_tone_with_the_keys_of_the_map() {
    for (keys, to_record, cancels) in [
        (KeyProfile::Afterbeep, "01", "*"),
        (KeyProfile::Asterisk, "01", "*"),
        (KeyProfile::FreeSwitch, "51", "7"),
        (KeyProfile::Unity, "41", "*"),
        (KeyProfile::Audix, "51", "*3"),
    ] {
        let mut telephone = at_main_menu(keys, &[]);
        telephone.press(to_record);
        assert!(telephone.look().ends_with("record-greeting"), "{keys}");
        telephone.press(cancels);
        assert!(telephone.look().starts_with("not-kept "), "{keys}: after the instruction");

        let mut telephone = at_main_menu(keys, &[]);
        telephone.press(to_record).press("#").answer(Answer::RecordingReady).forget().press(cancels);
        assert!(telephone.look().starts_with("discard, not-kept "), "{keys}: during the tone");
    }
}

#[test]
fn what_is_typed_ahead_may_be_several_keys_in_a_row() {
    let held = [message("a")];
    let mut telephone = at_main_menu(KeyProfile::Audix, &held);

    telephone.press("2**4").answer(messages(&held));

    assert!(telephone.look().ends_with("stop, save a v1?"));
}

#[test]
fn in_a_menu_an_unfinished_key_lets_the_menu_be_told_again() {
    let mut telephone = at_main_menu(KeyProfile::Unity, &[]);

    telephone.press("3").wait();

    assert!(telephone.look().starts_with("invalid-choice"));
}

#[test]
fn a_subscriber_hears_the_keys_of_the_own_map() {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(with_keys(KeyProfile::Unity)) });
    telephone.press("49158730#").answer(Answer::Passcode(Verdict::Right)).forget();

    telephone.answer(messages(&[message("a"), saved(message("b"))]));

    let told = telephone.look();
    assert!(told.contains("to-hear-saved press-3 digit-1-end"), "{told}");
    assert!(told.contains("to-options press-4"), "{told}");
}

#[test]
fn a_tenant_has_its_own_keys() {
    let tenants = [("example.com".to_owned(), KeyProfile::Audix)].into();
    let keys = KeySettings { otherwise: KeyProfile::Unity, tenants: Arc::new(tenants) };

    assert_eq!(keys.of("example.com"), KeyProfile::Audix);
    assert_eq!(keys.of(""), KeyProfile::Unity);
}

#[test]
fn full_menus_tell_everything_after_a_message() {
    let preferences = Preferences { menu_length: Some(MenuLength::Full), ..Preferences::default() };
    let held = [message("a")];
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(MailboxView { preferences, ..mailbox() }) });
    telephone.press("49158730#").answer(Answer::Passcode(Verdict::Right)).answer(messages(&held));
    telephone.press("1").answer(messages(&held)).listen().listen().forget();

    telephone.answer(Answer::Changed(Box::new(heard(message("a")))));

    let told = telephone.look();
    for purpose in ["to-delete", "to-save", "to-repeat", "to-previous", "to-envelope", "to-options", "to-main-menu"] {
        assert!(told.contains(purpose), "{purpose} in {told}");
    }
}

/// So many sessions for each key map and language.
const SESSIONS: u32 = 2000;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(SESSIONS) })]

    #[test]
    fn whatever_is_done_with_any_keys_in_any_language_nothing_is_owed(happenings in vec(happening(), 0..120), begun in 0u8..4) {
        for keys in KeyProfile::ALL {
            for language in Grammar::ALL {
                let mailbox = in_language(keys, language);
                let held = [message("a"), saved(message("b")), deleted(message("c"))];
                let telephone = match begun {
                    0 => Telephone::call(Entry::Deposit { mailbox }),
                    1 => logged_in(mailbox, &held),
                    2 => listening(mailbox, keys, MainAction::HearNew, &held),
                    _ => listening(mailbox, keys, MainAction::HearDeleted, &held),
                };
                live_through(telephone, happenings.clone());
            }
        }
    }
}
