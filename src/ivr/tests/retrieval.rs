use super::*;

const AFTER: &str = "to-delete press-7 to-save press-9 to-next press-6 to-more-choices press-star";
const AFTER_LAST: &str = "to-delete press-7 to-save press-9 to-more-choices press-star to-main-menu press-pound";
const STAMP: &str = "today-at number-9 am from digit-2 digit-0 digit-2-end";

#[test]
fn the_counts_come_first_and_the_menu_offers_what_is_there() {
    let mut telephone = logged_in(&[message("a"), message("b"), message("c"), saved(message("d"))]);
    assert_eq!(
        telephone.look(),
        "new-3-and and-saved-1 to-hear-new press-1 to-hear-saved press-2 to-options press-0 to-help press-star to-leave press-pound"
    );

    let mut telephone = logged_in(&[]);
    assert_eq!(telephone.look(), "no-messages to-options press-0 to-help press-star to-leave press-pound");
}

#[test]
fn the_subscriber_is_told_when_the_mailbox_fills_up() {
    let many = |count: u32| (0..count).map(|at| message(&at.to_string())).collect::<Vec<_>>();

    assert!(!logged_in(&many(269)).look().contains("full"));
    assert!(logged_in(&many(270)).look().contains("new-messages nearly-full to-hear-new"));
    assert!(logged_in(&many(300)).look().contains("new-messages full to-hear-new"));
}

#[test]
fn a_message_is_introduced_played_and_noted_as_heard() {
    let mut telephone = listening(&[message("a"), message("b")]);

    assert_eq!(telephone.look(), format!("first-message {STAMP}"));
    telephone.listen();
    assert_eq!(telephone.look(), "message a from Start");
    telephone.listen();
    assert_eq!(telephone.look(), "heard a v1?");
    telephone.answer(Answer::Changed(Box::new(heard(message("a")))));
    assert_eq!(telephone.look(), AFTER);
    telephone.press("6");
    assert_eq!(telephone.look(), format!("last-message {STAMP}"));
}

#[test]
fn a_message_heard_in_part_stays_new() {
    for leave in ["6", "4", "7", "#*"] {
        let mut telephone = listening(&[message("a"), message("b")]);
        telephone.listen().forget().press(leave).hang_up();

        assert!(!telephone.look().contains("heard"), "{leave}");
    }
}

#[test]
fn heard_messages_are_not_noted_again_and_saved_ones_once() {
    let mut telephone = logged_in(&[heard(message("a"))]);
    telephone.press("2").answer(messages(&[heard(message("a"))])).listen().forget().listen();
    assert_eq!(telephone.look(), AFTER_LAST);

    let mut telephone = logged_in(&[saved(message("a"))]);
    telephone.press("2").answer(messages(&[saved(message("a"))])).listen().forget().listen();
    assert_eq!(telephone.look(), "heard a v2?");
}

#[test]
fn keys_move_within_a_message() {
    let mut telephone = listening(&[message("a")]);

    telephone.listen().forget().press("*#00");
    assert_eq!(telephone.look(), "back 3s, ahead 3s, pause, resume");
    telephone.press("0#");
    assert_eq!(telephone.look(), "pause, ahead 3s, resume");
    telephone.press("1");
    assert_eq!(telephone.look(), "");
    telephone.press("5");
    assert_eq!(telephone.look(), STAMP);
}

#[test]
fn the_stamp_can_be_skipped_repeated_and_held() {
    let mut telephone = listening(&[message("a")]);

    telephone.forget().press("*");
    assert_eq!(telephone.look(), STAMP);
    telephone.press("00");
    assert_eq!(telephone.look(), "pause, resume");
    telephone.press("#");
    assert_eq!(telephone.look(), "message a from Start");
}

#[test]
fn the_envelope_adds_the_length_and_the_message_goes_on() {
    let envelope = format!("{STAMP} length number-1 minute number-5 seconds-long");
    let mut telephone = listening(&[message("a")]);

    telephone.listen().forget().press("3");
    assert_eq!(telephone.look(), envelope);
    telephone.listen();
    assert_eq!(telephone.look(), "message a from WhereItStopped");
    telephone.listen().answer(Answer::Failed).forget().press("3");
    assert_eq!(telephone.look(), format!("{envelope} {AFTER_LAST}"));
}

#[test]
fn the_ends_of_the_list_are_said() {
    let mut telephone = listening(&[message("a"), message("b")]);

    telephone.forget().press("4");
    assert_eq!(telephone.look(), format!("at-first-message {AFTER}"));
    telephone.press("66");
    assert_eq!(telephone.look(), format!("last-message {STAMP}, no-more-messages {AFTER_LAST}"));
    telephone.press("4");
    assert_eq!(telephone.look(), format!("first-message {STAMP}"));
}

#[test]
fn the_middle_of_the_list_is_next_or_previous() {
    let mut telephone = listening(&[message("a"), message("b"), message("c")]);

    telephone.forget().press("66");
    assert_eq!(telephone.look(), format!("next-message {STAMP}, last-message {STAMP}"));
    telephone.press("4");
    assert_eq!(telephone.look(), format!("previous-message {STAMP}"));
}

#[test]
fn deletion_waits_for_the_end_of_the_session() {
    let mut telephone = listening(&[message("a"), message("b")]);

    telephone.listen().forget().press("7");
    assert_eq!(telephone.look(), format!("message-deleted {}", AFTER.replace("to-delete", "to-restore")));
    telephone.press("6").listen().press("7").forget();
    telephone.press("#").answer(messages(&[message("a"), message("b")]));
    assert_eq!(telephone.look(), "list?, no-messages to-options press-0 to-help press-star to-leave press-pound");
    telephone.press("#");
    assert_eq!(telephone.look(), "goodbye, delete a v1?");
    telephone.answer(Answer::Done).answer(Answer::Done);
    assert_eq!(telephone.look(), "delete b v1?");
    telephone.listen();
    assert_eq!(telephone.look(), "hang up");
}

#[test]
fn a_second_press_restores() {
    let mut telephone = listening(&[message("a")]);

    telephone.listen().press("7").forget().press("7");
    assert_eq!(telephone.look(), format!("message-restored {AFTER_LAST}"));
    telephone.press("75").forget().press("7");
    assert!(telephone.look().starts_with("message-restored"));
    telephone.hang_up();
    assert!(telephone.session.is_over());
}

#[test]
fn a_deleted_message_says_so_and_is_not_noted_as_heard() {
    let mut telephone = listening(&[message("a")]);

    telephone.press("7").forget().press("5");
    assert_eq!(telephone.look(), format!("is-deleted {STAMP}"));
    telephone.listen().forget().listen();
    assert_eq!(telephone.look(), AFTER_LAST.replace("to-delete", "to-restore"));
}

#[test]
fn a_hang_up_deletes_what_was_marked() {
    let mut telephone = listening(&[message("a"), message("b")]);
    telephone.press("767").forget().hang_up();

    telephone.answer(Answer::Done).answer(Answer::Failed);

    assert_eq!(telephone.look(), "delete a v1?, delete b v1?");
    assert!(telephone.session.is_over());
}

#[test]
fn a_deletion_outlives_a_mail_but_not_a_save_by_somebody_else() {
    let mailed = Message { version: 2, mailed_at: Some(NOW.parse().unwrap()), ..message("a") };
    let mut telephone = listening(&[message("a")]);
    telephone.press("7").forget().hang_up().answer(Answer::Conflict(Some(Box::new(mailed))));
    assert_eq!(telephone.look(), "delete a v1?, delete a v2?");

    let mut telephone = listening(&[message("a")]);
    telephone.press("7").forget().hang_up().answer(Answer::Conflict(Some(Box::new(saved(message("a"))))));
    assert_eq!(telephone.look(), "delete a v1?");
    assert!(telephone.session.is_over());
}

#[test]
fn nine_saves_and_takes_a_deletion_back() {
    let mut telephone = listening(&[message("a")]);

    telephone.listen().press("7").forget().press("9");
    assert_eq!(telephone.look(), "stop, save a v1?");
    telephone.answer(Answer::Changed(Box::new(saved(message("a")))));
    assert_eq!(telephone.look(), format!("message-saved {AFTER_LAST}"));
    telephone.press("5");
    assert_eq!(telephone.look(), "today-at number-5 pm from digit-2 digit-0 digit-2-end");
    telephone.forget().hang_up();
    assert_eq!(telephone.look(), "");
}

#[test]
fn a_save_that_meets_a_change_is_tried_once_more() {
    let mut telephone = listening(&[message("a")]);
    telephone.listen().press("9").forget();

    telephone.answer(Answer::Conflict(Some(Box::new(heard(message("a"))))));
    assert_eq!(telephone.look(), "save a v2?");
    telephone.answer(Answer::Conflict(Some(Box::new(Message { version: 3, ..heard(message("a")) }))));
    assert_eq!(telephone.look(), format!("not-done {AFTER_LAST}"));
}

#[test]
fn a_message_that_is_gone_is_left_for_the_next_one() {
    let mut telephone = listening(&[message("a"), message("b")]);

    telephone.listen().press("9").forget().answer(Answer::Conflict(None));
    assert_eq!(telephone.look(), format!("message-gone {STAMP}"));
    telephone.listen().listen().forget().answer(Answer::Conflict(None));
    assert_eq!(telephone.look(), "list?");
    telephone.answer(messages(&[]));
    assert!(telephone.look().starts_with("message-gone no-messages"));
}

#[test]
fn a_mailbox_that_is_gone_ends_the_call() {
    let mut telephone = logged_in(&[message("a")]);

    telephone.press("1").forget().answer(Answer::MailboxGone).listen();

    assert_eq!(telephone.look(), "mailbox-gone goodbye, hang up");
}

#[test]
fn audio_that_cannot_be_played_traps_nobody() {
    let mut telephone = listening(&[message("a")]);

    telephone.listen().forget().give(Input::PlaybackFailed);

    assert_eq!(telephone.look(), format!("cannot-play {AFTER_LAST}"));
}

#[test]
fn a_message_cut_off_by_a_crash_says_so() {
    let cut = Message { interrupted: true, ..message("a") };
    let mut telephone = listening(std::slice::from_ref(&cut));

    telephone.listen().listen().forget().answer(Answer::Changed(Box::new(heard(cut))));

    assert_eq!(telephone.look(), format!("end-missing {AFTER_LAST}"));
}

#[test]
fn the_lists_are_separate_and_an_empty_one_says_so() {
    let held = [message("a"), saved(message("b"))];
    let mut telephone = logged_in(&held);

    telephone.press("2").answer(messages(&held)).listen().forget().press("5").listen();
    assert!(telephone.look().ends_with("message b from Start"));
    telephone.give(Input::PlaybackFailed);
    telephone.forget().press("1").answer(messages(&held[1..]));
    assert!(telephone.look().starts_with("list?, no-new to-hear-saved press-2"));
}

#[test]
fn help_tells_every_key() {
    let mut telephone = logged_in(&[]);
    telephone.forget().press("*");
    let help = telephone.look();

    for key in ["press-1", "press-2", "while-playing", "to-pause press-0", "to-back press-star", "to-save press-9"] {
        assert!(help.contains(key), "{key}");
    }
    let mut telephone = listening(&[message("a")]);
    telephone.press("7").forget().press("*");
    assert!(telephone.look().contains("to-restore press-7 to-save press-9 to-next press-6 to-repeat press-5"));
}

#[test]
fn silence_is_asked_twice_and_then_goodbye_is_said() {
    let mut telephone = logged_in(&[message("a")]);

    telephone.listen().forget().wait().listen().wait().listen().wait().listen();

    let menu = "to-hear-new press-1 to-options press-0 to-help press-star to-leave press-pound";
    assert_eq!(telephone.look(), format!("{menu}, {menu}, goodbye, hang up"));
}

#[test]
fn a_wrong_key_says_so_and_starts_the_count_anew() {
    let mut telephone = logged_in(&[]);

    telephone.listen().wait().listen().wait().forget().press("8");
    assert!(telephone.look().starts_with("invalid-choice to-options"));
    telephone.listen().wait().listen().wait().listen().wait();
    assert!(telephone.look().ends_with("goodbye"));
}

#[test]
fn a_pause_that_is_never_ended_leaves_the_message_new() {
    let mut telephone = listening(&[message("a")]);

    telephone.listen().press("0").forget();
    assert_eq!(telephone.session.timeout(), Some(Duration::from_secs(120)));
    telephone.wait();
    assert_eq!(telephone.look(), AFTER_LAST);
}

#[test]
fn everything_can_be_typed_ahead() {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(mailbox()) });

    telephone.press("1#1#").answer(Answer::Passcode(Verdict::Right)).forget();
    telephone.answer(messages(&[message("a")]));
    assert!(telephone.look().ends_with("stop, list?"));
    telephone.answer(messages(&[message("a")]));
    assert_eq!(telephone.look(), format!("{STAMP}, message a from Start"));
}

/// Somebody in the main menu of a mailbox that holds `held`.
pub(super) fn logged_in(held: &[Message]) -> Telephone {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(mailbox()) });
    telephone.press("1#").answer(Answer::Passcode(Verdict::Right)).forget().answer(messages(held));
    telephone
}

/// Somebody who has just opened the list of new messages.
fn listening(held: &[Message]) -> Telephone {
    let mut telephone = logged_in(held);
    telephone.press("1").forget().answer(messages(held));
    telephone
}
