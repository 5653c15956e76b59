use super::*;
use crate::domain::listening::{Announcement, ListeningWishes, Skip, Speed, Volume};

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
fn keys_that_the_end_of_a_message_cuts_short_mean_nothing_in_the_next_menu() {
    let unity = Preferences { keys: Some(KeyProfile::Unity), ..Preferences::default() };
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(MailboxView { preferences: unity, ..mailbox() }) });
    let held = messages(&[heard(message("a"))]);
    telephone.press("1#").answer(Answer::Passcode(Verdict::Right)).answer(held.clone()).press("31").answer(held);
    telephone.listen().press("5").listen();
    assert_ne!(telephone.session.timeout(), Some(Duration::from_secs(2)), "nothing is half pressed any more");
    telephone.forget().press("9");
    let told = telephone.look();
    assert!(told.contains(" length number-1 minute"), "9 is the envelope, and 59 no key: {told}");

    // What would have been done without a further key is done.
    let mut telephone = listening(&[message("a")]);
    telephone.listen().forget().press("8").listen();
    assert_eq!(telephone.look(), "enter-addressee");
}

#[test]
fn a_message_heard_in_part_stays_new() {
    for leave in ["6", "4", "7", "#*", "86"] {
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
    telephone.press("87");
    assert_eq!(telephone.look(), "");
    telephone.press("5");
    assert_eq!(telephone.look(), STAMP);
}

#[test]
fn keys_change_how_fast_and_how_loud_messages_are_played_and_it_is_remembered() {
    let mut telephone = listening(&[message("a"), message("b")]);

    telephone.listen().forget().press("22282");
    assert_eq!(telephone.look(), "at 125% +0 dB, at 150% +0 dB, at 200% +0 dB, at 200% +6 dB");
    telephone.press("2");
    assert_eq!(telephone.look(), "", "there is nothing faster");
    telephone.press("1858080");
    assert_eq!(telephone.look(), "at 150% +6 dB, at 100% +6 dB, at 100% +0 dB, at 100% -6 dB");
    telephone.press("16").listen();
    assert_eq!(telephone.look(), format!("at 80% -6 dB, last-message {STAMP}, message b from Start at 80% -6 dB"));
    telephone.hang_up();
    assert_eq!(telephone.look(), r#"prefer {"speed":80,"volume":-6}?"#);
    telephone.answer(Answer::Failed);
    assert!(telephone.session.is_over());
}

#[test]
fn a_speed_that_is_chosen_during_the_stamp_holds_for_the_message() {
    let mut telephone = listening(&[message("a")]);

    telephone.forget().press("2").listen();

    assert_eq!(telephone.look(), "message a from Start at 125% +0 dB");
}

#[test]
fn what_was_changed_back_need_not_be_remembered() {
    let mut telephone = listening(&[message("a")]);

    telephone.listen().press("2185").forget().hang_up();

    assert_eq!(telephone.look(), "");
    assert!(telephone.session.is_over());
}

#[test]
fn messages_are_played_as_the_mailbox_remembers() {
    let listening = ListeningWishes {
        speed: Speed::from_percent(150),
        volume: Volume::from_decibels(6),
        skip: Skip::new(Duration::from_secs(10)),
        ..ListeningWishes::default()
    };
    let preferences = Preferences { listening, ..Preferences::default() };
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(MailboxView { preferences, ..mailbox() }) });
    telephone.press("1#").answer(Answer::Passcode(Verdict::Right)).answer(messages(&[message("a")]));

    telephone.press("1").answer(messages(&[message("a")])).listen().forget().press("*#");
    assert_eq!(telephone.look(), "back 10s, ahead 10s");
    telephone.press("5").listen();
    assert_eq!(telephone.look(), format!("{STAMP}, message a from Start at 150% +6 dB"));
    telephone.hang_up();
    assert_eq!(telephone.look(), "");
}

#[test]
fn the_goodbye_waits_for_what_is_remembered() {
    let mut telephone = listening(&[message("a")]);
    telephone.listen().press("2").listen().answer(Answer::Failed).press("#").answer(messages(&[])).forget();

    telephone.press("#").listen();
    assert_eq!(telephone.look(), r#"goodbye, prefer {"speed":125,"volume":0}?"#);
    telephone.answer(Answer::Done);
    assert_eq!(telephone.look(), "hang up");
}

#[test]
fn keys_lead_to_the_start_and_to_the_end() {
    let mut telephone = listening(&[message("a")]);

    telephone.listen().forget().press("84");
    assert_eq!(telephone.look(), "to the start");
    telephone.press("084");
    assert_eq!(telephone.look(), "pause, to the start, resume");
    telephone.press("86");
    assert_eq!(telephone.look(), format!("stop, {AFTER_LAST}"));
}

#[test]
fn a_long_list_is_listed_part_by_part() {
    let mut telephone = logged_in(&[message("a"), message("b"), message("c")]);
    let part = |names: &[&str], more| {
        let Answer::Messages(page) = messages(&names.iter().map(|name| message(name)).collect::<Vec<_>>()) else { panic!() };
        Answer::Messages(Page { more, ..page })
    };

    telephone.press("1").answer(part(&["a", "b"], true)).forget().press("6");
    assert_eq!(telephone.look(), format!("next-message {STAMP}"));
    telephone.press("6");
    assert_eq!(telephone.look(), "list new after b?");
    telephone.answer(part(&["c"], false));
    assert_eq!(telephone.look(), format!("last-message {STAMP}"));
    telephone.press("444");
    assert_eq!(telephone.look(), format!("previous-message {STAMP}, first-message {STAMP}, at-first-message {AFTER}"));
}

#[test]
fn whoever_saves_every_saved_message_hears_each_once() {
    let old = ["a", "b", "c"].map(|name| Message { saved_at: Some(message(name).deposited_at), ..message(name) });
    let mut telephone = logged_in(&old);
    let part = |listed: &[Message], more| {
        let Answer::Messages(page) = messages(listed) else { panic!() };
        Answer::Messages(Page { more, ..page })
    };
    telephone.press("2").answer(part(&old[..2], true));
    for message in &old[..2] {
        telephone.press("9").answer(Answer::Changed(Box::new(saved(message.clone())))).press("6");
    }
    telephone.forget();

    // Each save has moved its message behind the others.
    telephone.answer(part(&[old[2].clone(), saved(old[0].clone())], true));
    assert_eq!(telephone.look(), format!("next-message {STAMP}"));
    telephone.press("9").answer(Answer::Changed(Box::new(saved(old[2].clone())))).forget().press("6");
    assert_eq!(telephone.look(), "list saved after a?");
    telephone.answer(part(&[saved(old[1].clone())], true));
    assert_eq!(telephone.look(), "list saved after b?");
    telephone.answer(part(&[saved(old[2].clone())], false));
    assert_eq!(telephone.look(), format!("no-more-messages {AFTER_LAST}"));
}

#[test]
fn a_list_whose_rest_is_gone_has_come_to_its_end() {
    let mut telephone = logged_in(&[message("a"), message("b")]);
    let Answer::Messages(page) = messages(&[message("a")]) else { panic!() };
    telephone.press("1").answer(Answer::Messages(Page { more: true, ..page })).forget();

    telephone.press("6").answer(messages(&[]));

    assert_eq!(telephone.look(), format!("list new after a?, no-more-messages {AFTER_LAST}"));
}

#[test]
fn a_message_that_is_gone_is_left_for_one_that_was_not_listed_yet() {
    let mut telephone = logged_in(&[message("a"), message("b")]);
    let Answer::Messages(page) = messages(&[message("a"), message("b")]) else { panic!() };
    telephone.press("1").answer(Answer::Messages(Page { more: true, ..page })).press("69").forget();

    telephone.answer(Answer::Conflict(None));
    assert_eq!(telephone.look(), "list new after b?");
    telephone.answer(messages(&[message("c")]));
    assert_eq!(telephone.look(), format!("message-gone last-message {STAMP}"));
}

#[test]
fn urgent_messages_are_told_of_with_the_counts_and_before_each() {
    let urgent = |name| Message { urgent: true, ..message(name) };

    assert!(logged_in(&[urgent("a")]).look().starts_with("new-1 it-is-urgent to-hear-new"));
    assert!(logged_in(&[urgent("a"), message("b"), message("c")]).look().starts_with("new-3 one-is-urgent to-hear-new"));
    assert!(logged_in(&[urgent("a"), urgent("b"), message("c")]).look().starts_with("new-3 number-2 are-urgent to-hear-new"));
    assert!(logged_in(&[urgent("a"), urgent("b")]).look().starts_with("new-2 all-are-urgent to-hear-new"));
    let held = [urgent("a"), saved(urgent("b"))];
    assert!(logged_in(&held).look().starts_with("new-1-and and-saved-1 one-is-urgent to-hear-new"));
    let mut telephone = listening(&[Message { private: true, ..urgent("a") }]);
    assert_eq!(telephone.look(), format!("urgent-message private-message {STAMP}"));
}

#[test]
fn as_much_is_said_before_a_message_as_its_subscriber_wants() {
    for (announcement, said) in [
        (Announcement::Full, format!("urgent-message {STAMP}")),
        (Announcement::Time, "urgent-message today-at number-9 am".to_owned()),
        (Announcement::Caller, "urgent-message from digit-2 digit-0 digit-2-end".to_owned()),
        (Announcement::None, String::new()),
    ] {
        let wishes = ListeningWishes { announcement: Some(announcement), ..ListeningWishes::default() };
        let preferences = Preferences { listening: wishes, ..Preferences::default() };
        let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(MailboxView { preferences, ..mailbox() }) });
        let held = [Message { urgent: true, ..message("a") }];
        telephone.press("1#").answer(Answer::Passcode(Verdict::Right)).answer(messages(&held));

        telephone.press("1").forget().answer(messages(&held));
        assert_eq!(telephone.look(), said);
        telephone.listen().forget().press("3");
        let envelope = format!("urgent-message {STAMP} length number-1 minute number-5 seconds-long");
        assert_eq!(telephone.look(), envelope, "the envelope tells everything");
    }
}

#[test]
fn a_caller_with_a_mailbox_is_named_and_the_envelope_says_whom_they_called() {
    let held = [Message { called: Some("2002".to_owned()), ..message("a") }];
    let Answer::Messages(mut page) = messages(&held) else { panic!() };
    page.messages[0].caller_name = Some(AudioKey::from_stored("the name of 202"));
    let mut telephone = logged_in(&held);

    telephone.press("1").forget().answer(Answer::Messages(page));
    assert_eq!(telephone.look(), "today-at number-9 am from-name NAME");
    telephone.press("3");

    let called = "to-number digit-2 digit-0 digit-0 digit-2-end";
    let envelope = format!("today-at number-9 am from-name NAME {called} length number-1 minute number-5 seconds-long");
    assert_eq!(telephone.look(), envelope);
}

#[test]
fn how_long_a_message_is_kept_is_said_on_request() {
    let mut telephone = listening(&[message("a")]);
    telephone.press("86").forget().press("85");
    assert_eq!(telephone.look(), format!("kept-until december day-20 at number-9 am {AFTER_LAST}"));

    let held = [deleted(message("a"))];
    let mut telephone = logged_in(&held);
    telephone.press("7").answer(messages(&held)).press("86").forget().press("85");
    assert!(telephone.look().starts_with("kept-until november day-21 at number-5 pm to-restore"), "a day after it was deleted");
}

#[test]
fn a_message_is_mailed_on_request_if_there_is_an_address() {
    let mut telephone = listening(&[message("a")]);

    telephone.press("86").forget().press("83");
    assert_eq!(telephone.look(), "stop, mail a?");
    telephone.answer(Answer::Done);
    assert_eq!(telephone.look(), format!("mail-is-sent {AFTER_LAST}"));
    telephone.press("83").forget().answer(Answer::NoMailAddress);
    assert_eq!(telephone.look(), format!("no-mail-address {AFTER_LAST}"));
    telephone.press("83").forget().answer(Answer::Failed);
    assert_eq!(telephone.look(), format!("not-done {AFTER_LAST}"));
}

#[test]
fn a_caller_is_blocked_and_the_message_deleted_with_one_action() {
    let mut telephone = listening(&[message("a")]);

    telephone.press("86").forget().press("87");
    assert_eq!(telephone.look(), "stop, block 202 for ann?");
    telephone.answer(Answer::Done);
    assert_eq!(telephone.look(), "stop, delete a v1?");
    telephone.answer(Answer::Changed(Box::new(deleted(message("a")))));
    let restorable = AFTER_LAST.replace("to-delete", "to-restore");
    assert_eq!(telephone.look(), format!("caller-blocked message-deleted {restorable}"));
    telephone.press("87").answer(Answer::Done);
    assert_eq!(telephone.look(), format!("stop, block 202 for ann?, caller-blocked {restorable}"));
}

#[test]
fn a_caller_who_cannot_be_blocked_leaves_the_message_as_it_is() {
    let mut telephone = listening(&[message("a")]);
    telephone.press("86").press("87").forget().answer(Answer::Failed);
    assert_eq!(telephone.look(), format!("not-done {AFTER_LAST}"));

    let mut telephone = listening(&[Message { caller: Caller::private(), ..message("a") }]);
    telephone.press("86").forget().press("87");
    assert_eq!(telephone.look(), format!("cannot-block {AFTER_LAST}"));

    let mut telephone = listening(&[message("a")]);
    telephone.press("86").press("87").answer(Answer::Done).forget().answer(Answer::Failed);
    assert_eq!(telephone.look(), format!("caller-blocked not-done {AFTER_LAST}"));
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
fn a_deletion_is_done_at_once_and_the_message_stays_in_the_list_of_this_call() {
    let mut telephone = listening(&[message("a"), message("b")]);

    telephone.listen().forget().press("7");
    assert_eq!(telephone.look(), "stop, delete a v1?");
    telephone.answer(Answer::Changed(Box::new(deleted(message("a")))));
    assert_eq!(telephone.look(), format!("message-deleted {}", AFTER.replace("to-delete", "to-restore")));
    telephone.press("64");
    assert_eq!(telephone.look(), format!("last-message {STAMP}, first-message is-deleted {STAMP}"));
    telephone.hang_up();
    assert!(telephone.session.is_over());
}

#[test]
fn a_second_press_restores() {
    let mut telephone = listening(&[message("a")]);

    telephone.listen().press("7").answer(Answer::Changed(Box::new(deleted(message("a"))))).forget().press("7");
    assert_eq!(telephone.look(), "stop, restore a v2?");
    telephone.answer(Answer::Changed(Box::new(Message { version: 3, ..message("a") })));
    assert_eq!(telephone.look(), format!("message-restored {AFTER_LAST}"));
    telephone.press("7");
    assert_eq!(telephone.look(), "stop, delete a v3?");
    telephone.answer(Answer::Failed);
    assert_eq!(telephone.look(), format!("not-done {AFTER_LAST}"));
}

#[test]
fn a_deleted_message_says_so_and_is_not_noted_as_heard() {
    let mut telephone = listening(&[message("a")]);

    telephone.press("7").answer(Answer::Changed(Box::new(deleted(message("a"))))).forget().press("5");
    assert_eq!(telephone.look(), format!("is-deleted {STAMP}"));
    telephone.listen().forget().listen();
    assert_eq!(telephone.look(), AFTER_LAST.replace("to-delete", "to-restore"));
}

#[test]
fn the_deleted_list_is_heard_and_restored_from() {
    let held = [message("a"), deleted(message("b")), deleted(message("c"))];
    let mut telephone = logged_in(&held);

    telephone.forget().press("7").answer(messages(&held));
    assert_eq!(telephone.look(), format!("list deleted?, first-message {STAMP}"));
    telephone.listen().listen().forget().press("7");
    assert_eq!(telephone.look(), "stop, restore b v2?");
    telephone.answer(Answer::Changed(Box::new(Message { version: 3, ..message("b") })));
    assert_eq!(telephone.look(), format!("message-restored {AFTER}"));
    telephone.press("6");
    assert_eq!(telephone.look(), format!("last-message {STAMP}"));

    let mut telephone = logged_in(&[]);
    telephone.forget().press("7").answer(messages(&[]));
    assert!(telephone.look().starts_with("list deleted?, no-deleted to-options"));
}

#[test]
fn a_message_is_not_restored_into_a_full_mailbox() {
    let held = [deleted(message("a"))];
    let mut telephone = logged_in(&held);

    telephone.press("7").answer(messages(&held)).press("7").forget().answer(Answer::MailboxFull);

    assert_eq!(telephone.look(), format!("cannot-restore {}", AFTER_LAST.replace("to-delete", "to-restore")));
}

#[test]
fn what_somebody_else_has_restored_already_is_restored() {
    let held = [deleted(message("a"))];
    let mut telephone = logged_in(&held);

    telephone.press("7").answer(messages(&held)).press("7").forget();
    telephone.answer(Answer::Conflict(Some(Box::new(Message { version: 3, ..message("a") }))));

    assert_eq!(telephone.look(), format!("message-restored {AFTER_LAST}"));
}

#[test]
fn a_deletion_outlives_a_mail_but_not_a_save_by_somebody_else() {
    let mailed = Message { version: 2, mailed_at: Some(NOW.parse().unwrap()), ..message("a") };
    let mut telephone = listening(&[message("a")]);
    telephone.press("7").forget().answer(Answer::Conflict(Some(Box::new(mailed.clone()))));
    assert_eq!(telephone.look(), "delete a v2?");
    telephone.answer(Answer::Conflict(Some(Box::new(Message { version: 3, ..mailed }))));
    assert_eq!(telephone.look(), format!("not-done {AFTER_LAST}"));

    let mut telephone = listening(&[message("a")]);
    telephone.press("7").forget().answer(Answer::Conflict(Some(Box::new(saved(message("a"))))));
    assert_eq!(telephone.look(), format!("not-done {AFTER_LAST}"));
    telephone.press("7");
    assert_eq!(telephone.look(), "stop, delete a v2?");
}

#[test]
fn a_message_can_be_kept_as_new() {
    let mut telephone = listening(&[message("a")]);

    telephone.listen().listen().answer(Answer::Changed(Box::new(heard(message("a"))))).forget().press("89");
    assert_eq!(telephone.look(), "stop, as new a v2?");
    telephone.answer(Answer::Changed(Box::new(Message { version: 3, ..message("a") })));

    assert_eq!(telephone.look(), format!("kept-as-new {AFTER_LAST}"));
}

#[test]
fn a_deleted_message_is_restored_before_it_is_kept_as_new() {
    let held = [deleted(message("a"))];
    let mut telephone = logged_in(&held);

    telephone.press("7").answer(messages(&held)).press("89").forget();
    telephone.answer(Answer::Changed(Box::new(Message { version: 3, ..heard(message("a")) })));

    assert_eq!(telephone.look(), "stop, as new a v3?");
}

#[test]
fn nine_saves_and_takes_a_deletion_back() {
    let mut telephone = listening(&[message("a")]);

    telephone.listen().press("7").answer(Answer::Changed(Box::new(deleted(message("a"))))).forget().press("9");
    assert_eq!(telephone.look(), "stop, restore a v2?");
    telephone.answer(Answer::Changed(Box::new(Message { version: 3, ..message("a") })));
    assert_eq!(telephone.look(), "stop, save a v3?");
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
    assert_eq!(telephone.look(), "count?");
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
    assert!(telephone.look().starts_with("list new?, no-new to-hear-saved press-2"));
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
    telephone.press("7").answer(Answer::Changed(Box::new(deleted(message("a"))))).forget().press("*");
    assert!(telephone.look().contains("to-restore press-7 to-save press-9 to-keep-as-new press-8 digit-9-end"));
}

#[test]
fn help_tells_nothing_that_cannot_be_done() {
    let mut telephone = logged_in(&[message("a")]);
    telephone.press("*");
    assert!(!telephone.look().contains("to-end-temporary"));
    let temporary = Some(Temporary { until: None });
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(MailboxView { temporary, ..mailbox() }) });
    telephone.press("1#").answer(Answer::Passcode(Verdict::Right)).answer(messages(&[])).forget().press("*");
    assert!(telephone.look().contains("to-end-temporary press-8"));

    for (held, lacking) in [
        (Message { private: true, ..message("a") }, "to-forward "),
        (Message { caller: Caller::private(), ..message("a") }, "to-delete-and-block"),
    ] {
        let mut telephone = listening(&[held]);
        telephone.listen().press("86").forget().press("*");
        let told = telephone.look();
        assert!(told.contains("to-reply") && !told.contains(lacking), "{told}");
    }
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
    assert!(telephone.look().ends_with("stop, list new?"));
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
