use super::{retrieval::logged_in, *};

pub(super) const MENU: &str = "to-record-greeting press-1 to-record-name press-2 to-change-passcode press-3 to-record-temporary press-5 \
     to-help press-star to-main-menu press-pound";
const REVIEW: &str = "to-keep press-1 to-listen press-2 to-record-again press-3 to-cancel press-star";

#[test]
fn a_greeting_is_heard_and_accepted_before_it_replaces_the_old_one() {
    let mut telephone = options();

    telephone.press("1").listen().answer(Answer::RecordingReady).listen();
    assert_eq!(telephone.look(), "record-greeting, prepare Greeting?, BEEP, record Greeting 15s");
    telephone.speak(4.0, RecordingEnd::Digit(Digit::Pound));
    assert_eq!(telephone.look(), format!("you-recorded RECORDING {REVIEW}"));
    telephone.press("1");
    assert_eq!(telephone.look(), "stop, set standard?");
    telephone.answer(Answer::Done);
    assert_eq!(telephone.look(), format!("greeting-saved {MENU}"));
}

#[test]
fn a_name_is_recorded_for_five_seconds_at_most() {
    let mut telephone = options();

    telephone.press("2#").answer(Answer::RecordingReady).listen();

    assert_eq!(telephone.look(), "record-name, stop, prepare Name?, BEEP, record Name 5s");
}

#[test]
fn an_unaccepted_recording_changes_nothing() {
    let mut telephone = recorded();
    telephone.press("*");
    assert_eq!(telephone.look(), format!("discard, not-kept {MENU}"));

    let mut telephone = recorded();
    telephone.hang_up();
    assert_eq!(telephone.look(), "discard");
    assert!(telephone.session.is_over());

    let mut telephone = options();
    telephone.press("1#").answer(Answer::RecordingReady).listen().forget().speak(3.0, RecordingEnd::Hangup);
    assert_eq!(telephone.look(), "discard");
    assert!(telephone.session.is_over());
}

#[test]
fn a_recording_can_be_heard_and_made_again() {
    let mut telephone = recorded();

    telephone.press("2");
    assert_eq!(telephone.look(), format!("RECORDING {REVIEW}"));
    telephone.press("3");
    assert_eq!(telephone.look(), "discard, prepare Greeting?");
}

#[test]
fn a_silent_recording_is_asked_again() {
    let mut telephone = options();

    telephone.press("1#").answer(Answer::RecordingReady).listen().forget().speak(0.1, RecordingEnd::Silence);

    assert_eq!(telephone.look(), "discard, nothing-recorded record-greeting");
}

#[test]
fn what_could_not_be_kept_is_said() {
    let mut telephone = recorded();
    telephone.press("1").forget().answer(Answer::Failed);

    assert_eq!(telephone.look(), format!("not-done {MENU}"));
}

#[test]
fn what_could_not_be_recorded_to_its_end_is_said() {
    let recording = || {
        let mut telephone = options();
        telephone.press("1#").answer(Answer::RecordingReady).listen().forget();
        telephone
    };

    let mut telephone = recording();
    telephone.speak(4.0, RecordingEnd::Failed);
    assert_eq!(telephone.look(), format!("rest-not-recorded you-recorded RECORDING {REVIEW}"));
    let mut telephone = recording();
    telephone.speak(0.0, RecordingEnd::Failed);
    assert_eq!(telephone.look(), format!("discard, not-done {MENU}"));
}

#[test]
fn a_passcode_is_typed_twice() {
    let mut telephone = options();

    telephone.press("349158730#49158730#").answer(Answer::Done);

    assert_eq!(telephone.look(), format!("new-passcode, confirm-passcode, passcode 49158730?, passcode-changed {MENU}"));
}

#[test]
fn two_different_entries_change_nothing() {
    let mut telephone = options();

    telephone.press("349158730#49158731#");

    assert_eq!(telephone.look(), "new-passcode, confirm-passcode, passcodes-differ new-passcode");
}

#[test]
fn a_weak_passcode_is_refused_with_the_reason() {
    for (typed, reason) in [
        ("4915873", "passcode-needs number-8 digits"),
        ("", "passcode-needs number-8 digits"),
        ("123456789012345678905", "passcode-too-long"),
        ("11111111", "passcode-repeats"),
        ("23456789", "passcode-run"),
        ("14725836", "passcode-line"),
        ("12025550143", "passcode-is-number"),
    ] {
        let mut telephone = options();
        telephone.press("3").forget().press(typed).press("#");

        assert_eq!(telephone.look(), format!("{reason} new-passcode"), "{typed}");
    }
}

#[test]
fn the_old_passcode_is_no_new_one() {
    let mut telephone = options();
    telephone.press("349158730#49158730#").answer(Answer::Done).press("3").forget().press("49158730#");

    assert_eq!(telephone.look(), "passcode-is-old new-passcode");
}

#[test]
fn star_leaves_the_passcode_as_it_is() {
    let mut telephone = options();
    telephone.press("3").forget().press("*");

    assert_eq!(telephone.look(), MENU);
}

#[test]
fn how_messages_are_played_is_remembered_when_the_caller_hangs_up_among_the_options() {
    let mut telephone = logged_in(&[message("a")]);
    telephone.press("1").answer(messages(&[message("a")])).press("27").answer(Answer::Failed).press("0").forget();

    telephone.press("1").hang_up();

    assert_eq!(telephone.look(), r#"record-greeting, prefer {"speed":125,"volume":0}?"#);
    telephone.answer(Answer::Done);
    assert!(telephone.session.is_over());
}

#[test]
fn help_tells_everything_that_can_be_done() {
    let mut telephone = options();

    telephone.press("*");

    let everything = "to-record-greeting press-1 to-record-name press-2 to-change-passcode press-3 to-record-busy press-4 \
         to-record-temporary press-5 to-greetings press-6 to-last-access press-7 to-main-menu press-pound";
    assert_eq!(telephone.look(), everything);
}

#[test]
fn every_greeting_is_recorded_heard_and_accepted() {
    for (key, instruction, kind) in [
        ("1", "record-greeting", "standard"),
        ("2", "record-name", "name"),
        ("4", "record-busy", "busy"),
        ("5", "record-temporary", "temporary"),
    ] {
        let mut telephone = options();

        telephone.press(key).listen();
        assert!(telephone.look().starts_with(&format!("{instruction}, prepare ")), "{kind}");
        telephone.answer(Answer::RecordingReady).listen().speak(3.0, RecordingEnd::Digit(Digit::Pound)).forget();
        telephone.press("2");
        assert_eq!(telephone.look(), format!("RECORDING {REVIEW}"));
        telephone.press("1");
        assert_eq!(telephone.look(), format!("stop, set {kind}?"));
        let saved = if kind == "name" { "name-saved" } else { "greeting-saved" };
        telephone.answer(Answer::Done);
        match kind {
            // It may be given an end.
            "temporary" => assert_eq!(telephone.look(), "which temporary?"),
            _ => assert_eq!(telephone.look(), format!("{saved} {MENU}")),
        }
    }
}

#[test]
fn a_recording_that_cannot_be_used_is_refused_with_the_reason_and_made_again() {
    for (unfit, reason) in [(Unfit::Silent, "nothing-heard"), (Unfit::Clipped, "too-loud")] {
        let mut telephone = recorded();
        telephone.press("1").forget().answer(Answer::Account(AccountAnswer::Unfit(unfit)));
        assert_eq!(telephone.look(), format!("{reason} record-greeting"));

        telephone.press("#").answer(Answer::RecordingReady).listen().speak(3.0, RecordingEnd::Silence);
        telephone.press("1").answer(Answer::Account(AccountAnswer::Unfit(unfit))).press("#").answer(Answer::RecordingReady);
        telephone.listen().speak(3.0, RecordingEnd::Silence).press("1").forget();
        // Three times are enough.
        telephone.answer(Answer::Account(AccountAnswer::Unfit(unfit)));
        assert_eq!(telephone.look(), format!("{reason} not-kept {MENU}"));
    }
}

#[test]
fn the_last_access_is_told_with_what_failed_since() {
    use crate::domain::mailbox_log::{Channel, LastAccess, Origin};
    let told = |opened, failures| {
        let mut telephone = options();
        telephone.press("7");
        assert_eq!(telephone.look(), "last access?");
        let access = LastAccess { opened, failures };
        telephone.answer(Answer::Account(AccountAnswer::LastAccess { now: NOW.parse().unwrap(), access }));
        telephone.look().replace(MENU, "MENU")
    };
    let by = |channel, number: Option<&str>| {
        let origin = Origin { channel, number: number.map(str::to_owned), address: Some("192.0.2.7".to_owned()) };
        Some(("2026-11-19T14:05:00Z".parse().unwrap(), origin))
    };

    assert_eq!(told(None, 0), "never-opened wrong-passcodes digit-0 MENU");
    assert_eq!(
        told(by(Channel::OwnLine, Some("1001")), 0),
        "last-opened yesterday-at number-2 oh-5 pm from-own-phone wrong-passcodes digit-0 MENU"
    );
    assert_eq!(
        told(by(Channel::Phone, Some("202")), 12),
        "last-opened yesterday-at number-2 oh-5 pm from digit-2 digit-0 digit-2-end wrong-passcodes number-12 MENU"
    );
    assert_eq!(
        told(by(Channel::Phone, None), 1),
        "last-opened yesterday-at number-2 oh-5 pm from-private-caller wrong-passcodes number-1 MENU"
    );
}

pub(super) fn options() -> Telephone {
    let mut telephone = logged_in(&[]);
    telephone.press("0").forget();
    telephone
}

pub(super) fn recorded() -> Telephone {
    let mut telephone = options();
    telephone.press("1#").answer(Answer::RecordingReady).listen().speak(4.0, RecordingEnd::Silence).forget();
    telephone
}
