use super::{retrieval::logged_in, *};

const MENU: &str = "to-record-greeting press-1 to-record-name press-2 to-change-passcode press-3 to-main-menu press-pound";
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
fn marked_messages_are_deleted_when_the_caller_hangs_up_among_the_options() {
    let mut telephone = logged_in(&[message("a")]);
    telephone.press("1").answer(messages(&[message("a")])).press("70").forget();

    telephone.press("1").hang_up();

    assert_eq!(telephone.look(), "record-greeting, delete a v1?");
}

#[test]
fn the_first_login_asks_for_passcode_name_and_greeting() {
    let mut telephone = first_login();
    assert_eq!(telephone.look(), "welcome new-passcode");

    telephone.press("49158730#49158730#").forget().answer(Answer::Done);
    assert_eq!(telephone.look(), "passcode-changed record-name");
    telephone.listen().answer(Answer::RecordingReady).listen().speak(1.0, RecordingEnd::Silence).press("1");
    telephone.forget().answer(Answer::Done);
    assert_eq!(telephone.look(), "name-saved record-greeting");
    telephone.listen().answer(Answer::RecordingReady).listen().speak(9.0, RecordingEnd::Silence).press("1");
    telephone.forget().answer(Answer::Done).answer(messages(&[]));
    assert!(telephone.look().starts_with("list?, greeting-saved mailbox-ready no-messages"));
}

#[test]
fn the_first_login_survives_wrong_input() {
    let mut telephone = first_login();

    telephone.press("*12#").forget().press("1#");
    assert_eq!(telephone.look(), "passcode-needs number-8 digits new-passcode");
    telephone.press("49158730#1#").forget().press("49158730#49158730#").answer(Answer::Done);
    telephone.press("5#").answer(Answer::RecordingReady).listen().speak(0.0, RecordingEnd::Silence).forget();
    telephone.press("#").answer(Answer::RecordingReady).listen().speak(1.0, RecordingEnd::Silence).press("8").forget();
    telephone.press("1").answer(Answer::Done);
    assert_eq!(telephone.look(), "stop, set name?, name-saved record-greeting");
}

#[test]
fn a_name_or_greeting_nobody_wants_can_be_left_out() {
    let mut telephone = first_login();
    telephone.press("49158730#49158730#").answer(Answer::Done).forget();

    telephone.press("*").answer(Answer::Done).press("*").answer(Answer::Done);

    assert_eq!(telephone.look(), "skip name?, not-kept record-greeting, skip standard?, list?");
}

#[test]
fn a_first_login_that_is_given_up_is_not_noted_as_done() {
    let mut telephone = first_login();
    telephone.press("49158730#49158730#").answer(Answer::Done).press("#").answer(Answer::RecordingReady).listen().forget();

    telephone.speak(1.0, RecordingEnd::Hangup);

    assert_eq!(telephone.look(), "discard");
    assert!(telephone.session.is_over());
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

pub(super) fn first_login() -> Telephone {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(new_mailbox()) });
    telephone.press("1#").forget().answer(Answer::Passcode(Verdict::Right));
    telephone
}
