use super::*;

use super::deposit::REVIEW;

const AFTER: &str = "to-delete press-7 to-save press-9 to-more-choices press-star to-main-menu press-pound";
const CHOICE: &str = "to-send press-1 to-cancel-message press-2";
const OFFER: &str = "to-call-number press-1 to-go-back press-star";

#[test]
fn zero_during_the_greeting_reaches_the_operator_and_leaves_no_message() {
    let mut telephone = with_operator();

    telephone.press("0");
    assert_eq!(telephone.look(), "connecting");
    telephone.listen();
    assert_eq!(telephone.look(), "operator of ann?");
    telephone.wait();
    assert_eq!(telephone.look(), "", "it takes a moment");
    telephone.wait();
    assert_eq!(telephone.look(), "one-moment", "it takes longer");
    telephone.answer(Answer::Transferred);
    assert_eq!(telephone.look(), "hang up");
}

#[test]
fn zero_means_nothing_where_there_is_no_operator() {
    let mut telephone = Telephone::call(Entry::Deposit { mailbox: mailbox() });
    telephone.forget().press("0");
    assert_eq!(telephone.look(), "");

    telephone.listen().answer(Answer::RecordingReady).press("0").listen();
    telephone.speak(5.0, RecordingEnd::Digit(Digit::Pound));
    assert!(telephone.look().ends_with(REVIEW));
    telephone.press("0");
    assert_eq!(telephone.look(), format!("invalid-choice {REVIEW}"));
}

#[test]
fn an_operator_who_cannot_be_reached_leaves_the_caller_with_a_beep() {
    for answer in [Answer::NotTransferred, Answer::Failed] {
        let mut telephone = with_operator();

        telephone.press("0").listen().forget().answer(answer);
        assert_eq!(telephone.look(), "operator-unavailable leave-message");
        telephone.listen();
        assert_eq!(telephone.look(), "prepare Message?");
        telephone.answer(Answer::RecordingReady).listen().forget();
        telephone.speak(5.0, RecordingEnd::Hangup);
        assert_eq!(telephone.look(), "store?");
        telephone.answer(Answer::Stored);
        assert!(telephone.session.is_over());
    }
}

#[test]
fn keys_pressed_while_the_operator_is_called_count_afterwards() {
    let mut telephone = with_operator();

    telephone.press("0").listen().press("#").forget().answer(Answer::NotTransferred);

    assert_eq!(telephone.look(), "operator-unavailable leave-message, stop, prepare Message?");
}

#[test]
fn an_operator_is_called_three_times_in_a_call_at_most() {
    let mut telephone = with_operator();
    for _ in 0..3 {
        telephone.press("0").listen().answer(Answer::NotTransferred);
    }

    telephone.forget().press("0");

    assert_eq!(telephone.look(), "");
}

#[test]
fn zero_at_the_beep_discards_nothing_but_silence() {
    let mut telephone = with_operator();
    telephone.press("#").answer(Answer::RecordingReady).forget();

    telephone.press("0");

    assert_eq!(telephone.look(), "discard, connecting");
}

#[test]
fn the_caller_of_a_full_mailbox_can_reach_the_operator() {
    let mut telephone = Telephone::call(Entry::Deposit { mailbox: MailboxView { operator: true, ..full_mailbox() } });

    telephone.forget().press("0").listen();
    assert_eq!(telephone.look(), "connecting, operator of ann?");
    telephone.answer(Answer::NotTransferred);
    assert_eq!(telephone.look(), "operator-unavailable mailbox-full goodbye");
    telephone.listen().wait();
    assert_eq!(telephone.look(), "hang up");
}

#[test]
fn after_recording_the_caller_says_what_becomes_of_the_message() {
    let mut telephone = recorded();
    telephone.press("0");
    assert_eq!(telephone.look(), CHOICE);
    telephone.press("1");
    assert_eq!(telephone.look(), "stop, store?");
    telephone.answer(Answer::Stored).listen();
    assert_eq!(telephone.look(), "message-sent connecting, operator of ann?");
    telephone.answer(Answer::Transferred);
    assert_eq!(telephone.look(), "hang up");

    let mut telephone = recorded();
    telephone.press("0").forget().press("2").listen();
    assert_eq!(telephone.look(), "discard, connecting, operator of ann?");
    telephone.answer(Answer::NotTransferred);
    assert_eq!(telephone.look(), "operator-unavailable leave-message");
}

#[test]
fn a_message_that_was_sent_is_not_recorded_again() {
    let mut telephone = recorded();

    telephone.press("01").answer(Answer::Stored).listen().forget().answer(Answer::NotTransferred);

    assert_eq!(telephone.look(), "operator-unavailable goodbye");
}

#[test]
fn who_says_nothing_or_hangs_up_has_the_message_sent() {
    let mut silent = recorded();
    silent.press("0").listen().wait().listen().wait().listen().forget().wait();
    assert_eq!(silent.look(), "stop, store?");

    let mut gone = recorded();
    gone.press("0").forget().hang_up();
    assert_eq!(gone.look(), "store?");
    gone.answer(Answer::Stored);
    assert!(gone.session.is_over());
}

#[test]
fn the_caller_is_told_what_happened_to_a_message_that_could_not_be_stored() {
    let may_try_again = "operator-unavailable leave-message";
    for (answer, said, otherwise) in [
        (Answer::MailboxFull, "became-full", "operator-unavailable goodbye"),
        (Answer::NothingSaid, "nothing-said", may_try_again),
        (Answer::Failed, "not-saved", may_try_again),
    ] {
        let mut telephone = recorded();
        telephone.press("01").forget().answer(answer);
        assert_eq!(telephone.look(), format!("{said} connecting"));
        telephone.listen().forget().answer(Answer::NotTransferred);
        assert_eq!(telephone.look(), otherwise);
    }
}

#[test]
fn a_caller_who_hangs_up_meanwhile_is_waited_for_until_it_is_known_what_came_of_it() {
    let mut telephone = with_operator();

    telephone.press("0").listen().hang_up();
    assert!(!telephone.session.is_over());
    telephone.forget().answer(Answer::Transferred);

    assert_eq!(telephone.look(), "");
    assert!(telephone.session.is_over());
}

#[test]
fn the_number_is_said_and_confirmed_before_it_is_called_back() {
    let mut telephone = after_the_message();

    telephone.press("80");
    assert_eq!(telephone.look(), "stop, may call a back?");
    telephone.answer(may_call());
    assert_eq!(telephone.look(), format!("call-back-number digit-4 digit-4 digit-2 digit-0-end {OFFER}"));
    telephone.press("1").listen();
    assert_eq!(telephone.look(), "connecting, call a back?");
    telephone.answer(Answer::Transferred);
    assert_eq!(telephone.look(), "hang up");
}

#[test]
fn nobody_is_called_who_was_not_confirmed() {
    let mut back = after_the_message();
    back.press("80").answer(may_call()).forget().press("*");
    assert_eq!(back.look(), AFTER);

    let mut silent = after_the_message();
    silent.press("80").answer(may_call()).listen().wait().listen().wait().listen().forget().wait();
    assert_eq!(silent.look(), "goodbye");

    let mut other_key = after_the_message();
    other_key.press("80").answer(may_call()).forget().press("5");
    assert_eq!(other_key.look(), format!("invalid-choice {OFFER}"));
}

#[test]
fn the_subscriber_hears_why_nobody_is_called_back_and_goes_on() {
    for (refusal, said) in [
        (CallBackRefusal::Off, "call-back-off"),
        (CallBackRefusal::NoNumber, "call-back-no-number"),
        (CallBackRefusal::Unverified, "call-back-unverified"),
        (CallBackRefusal::NotAllowed, "call-back-not-allowed"),
        (CallBackRefusal::TooOften, "call-back-too-often"),
    ] {
        let mut at_once = after_the_message();
        at_once.press("80").forget().answer(Answer::CallBackRefused(refusal));
        assert_eq!(at_once.look(), format!("{said} {AFTER}"));

        let mut later = after_the_message();
        later.press("80").answer(may_call()).press("1").listen().forget().answer(Answer::CallBackRefused(refusal));
        assert_eq!(later.look(), format!("{said} {AFTER}"));
    }
    let mut failed = after_the_message();
    failed.press("80").answer(may_call()).press("1").listen().forget().answer(Answer::NotTransferred);
    assert_eq!(failed.look(), format!("not-connected {AFTER}"));
}

#[test]
fn how_messages_are_played_is_remembered_after_a_call_back() {
    let mut telephone = after_the_message();
    telephone.press("5286").press("80").answer(may_call()).press("1").listen().forget();

    telephone.answer(Answer::Transferred);
    assert_eq!(telephone.look(), r#"prefer {"speed":125,"volume":0}?"#);
    telephone.answer(Answer::Done);
    assert_eq!(telephone.look(), "hang up");
}

#[test]
fn every_profile_reaches_the_operator_and_calls_back() {
    use crate::domain::{keys::KeyProfile, preferences::Preferences};
    for (profile, call_back) in [
        (KeyProfile::Afterbeep, "80"),
        (KeyProfile::Asterisk, "32"),
        (KeyProfile::FreeSwitch, "52"),
        (KeyProfile::Unity, "44"),
        (KeyProfile::Audix, "10"),
    ] {
        let preferences = Preferences { keys: Some(profile), ..Preferences::default() };
        let mut caller = Telephone::call(Entry::Deposit { mailbox: MailboxView { operator: true, preferences, ..mailbox() } });
        caller.forget().press("0").listen();
        assert_eq!(caller.look(), "connecting, operator of ann?", "{profile}");
        let keys = keymap::of(profile);
        assert_eq!(
            keymap::meaning(keys.after, call_back, true),
            keymap::Meaning::Does(keymap::AfterAction::CallBack),
            "{profile}"
        );
    }
}

fn with_operator() -> Telephone {
    let mut telephone = Telephone::call(Entry::Deposit { mailbox: MailboxView { operator: true, ..mailbox() } });
    telephone.forget();
    telephone
}

/// A message was recorded for a mailbox with an operator.
fn recorded() -> Telephone {
    let mut telephone = with_operator();
    telephone.press("#").answer(Answer::RecordingReady).listen().forget();
    telephone.speak(5.0, RecordingEnd::Digit(Digit::Pound));
    assert_eq!(telephone.look(), format!("{REVIEW} to-operator press-0"));
    telephone
}

fn may_call() -> Answer {
    Answer::MayCallBack(Digits("4420".to_owned()))
}

/// The only message was heard to its end.
pub(super) fn after_the_message() -> Telephone {
    let mut telephone = retrieval::logged_in(&[message("a")]);
    telephone.press("1").answer(messages(&[message("a")])).listen().listen();
    telephone.answer(Answer::Changed(Box::new(heard(message("a"))))).forget();
    telephone
}
