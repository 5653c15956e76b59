use super::*;

pub(super) const REVIEW: &str = "to-send press-1 to-listen press-2 to-record-again press-3 to-add press-4 to-mark-urgent press-5 \
                      to-mark-private press-6 to-cancel press-star";
const PAUSED: &str = "recording-paused to-go-on press-8";

#[test]
fn the_greeting_is_personal_or_the_name_or_the_number() {
    let greeting = Some(AudioKey::random());
    let spoken_name = Some(AudioKey::random());
    let heard = |mailbox| Telephone::call(Entry::Deposit { mailbox }).look();

    assert_eq!(heard(MailboxView { greeting, spoken_name: spoken_name.clone(), ..mailbox() }), "GREETING");
    assert_eq!(heard(MailboxView { spoken_name, ..mailbox() }), "reached NAME leave-message");
    assert_eq!(heard(mailbox()), "reached-number digit-1 digit-0 digit-0 digit-1-end leave-message");
    assert_eq!(heard(MailboxView { number: "ann.lee".parse().unwrap(), ..mailbox() }), "nobody-available leave-message");
}

#[test]
fn a_message_is_recorded_reviewed_and_sent() {
    let mut telephone = Telephone::call(Entry::Deposit { mailbox: mailbox() });

    telephone.forget().listen();
    assert_eq!(telephone.look(), "prepare Message?");
    telephone.answer(Answer::RecordingReady);
    assert_eq!(telephone.look(), "BEEP");
    telephone.listen();
    assert_eq!(telephone.look(), "record Message 300s");
    telephone.speak(5.0, RecordingEnd::Digit(Digit::Pound));
    assert_eq!(telephone.look(), REVIEW);
    telephone.press("1");
    assert_eq!(telephone.look(), "stop, store?");
    telephone.answer(Answer::Stored);
    assert_eq!(telephone.look(), "message-sent goodbye");
    telephone.listen();
    assert_eq!(telephone.look(), "hang up");
}

#[test]
fn pound_skips_the_greeting_and_a_slip_of_the_finger_does_not() {
    let mut telephone = Telephone::call(Entry::Deposit { mailbox: mailbox() });

    telephone.forget().press("5");
    assert_eq!(telephone.look(), "");
    telephone.press("#");
    assert_eq!(telephone.look(), "stop, prepare Message?");
}

#[test]
fn a_message_for_several_is_prepared_for_all_of_them() {
    let also = vec![MailboxId::from_stored("bob"), MailboxId::from_stored("cat")];
    let mut telephone = Telephone::call(Entry::Deposit { mailbox: MailboxView { also: Some(also.clone()), ..mailbox() } });

    telephone.press("#");

    let prepare = |also| Question::PrepareRecording { kind: RecordKind::Message, mailbox: mailbox().id, also };
    assert_eq!(telephone.open, Some(prepare(also.clone())));
    telephone.answer(Answer::RecordingReady).listen().speak(5.0, RecordingEnd::Digit(Digit::Pound)).press("3");
    assert_eq!(telephone.open, Some(prepare(also)), "recorded again");
    telephone.answer(Answer::MailboxFull).forget();
}

#[test]
fn star_asks_whose_mailbox_is_meant_where_there_are_several() {
    for also in [vec![], vec![MailboxId::from_stored("bob")]] {
        let mut telephone = Telephone::call(Entry::Deposit { mailbox: MailboxView { also: Some(also), ..mailbox() } });
        telephone.forget().press("*");
        assert_eq!(telephone.look(), "enter-mailbox");
    }
}

#[test]
fn star_asks_for_the_passcode_the_moment_it_is_pressed() {
    let mut telephone = Telephone::call(Entry::Deposit { mailbox: mailbox() });
    telephone.forget().press("*");
    assert_eq!(telephone.look(), "enter-passcode");

    let mut telephone = Telephone::call(Entry::Deposit { mailbox: mailbox() });
    telephone.press("#").answer(Answer::RecordingReady).forget().press("*");
    assert_eq!(telephone.look(), "discard, enter-passcode");
}

#[test]
fn a_hang_up_keeps_what_was_said() {
    for hang_up in [
        (|telephone: &mut Telephone| {
            telephone.speak(5.0, RecordingEnd::Hangup);
        }) as fn(&mut Telephone),
        |telephone| {
            telephone.hang_up().speak(5.0, RecordingEnd::Stopped);
        },
        |telephone| {
            telephone.speak(5.0, RecordingEnd::Silence).hang_up();
        },
    ] {
        let mut telephone = recording();
        hang_up(&mut telephone);

        assert_eq!(telephone.open, Some(Question::StoreMessage));
        telephone.answer(Answer::Stored);
        assert!(telephone.session.is_over());
    }
}

#[test]
fn a_hang_up_before_anything_was_said_leaves_no_message() {
    let mut telephone = recording();
    telephone.speak(1.999, RecordingEnd::Hangup);

    assert_eq!(telephone.look(), "discard");
    assert!(telephone.session.is_over());

    let mut telephone = Telephone::call(Entry::Deposit { mailbox: mailbox() });
    telephone.press("#").hang_up().forget().answer(Answer::RecordingReady);
    assert_eq!(telephone.look(), "discard");
    assert!(telephone.session.is_over());
}

#[test]
fn too_short_is_said_and_asked_again() {
    let mut telephone = recording();

    telephone.speak(1.999, RecordingEnd::Digit(Digit::Pound));
    assert_eq!(telephone.look(), "discard, too-short");
    telephone.listen().answer(Answer::RecordingReady).listen();
    assert_eq!(telephone.look(), "prepare Message?, BEEP, record Message 300s");
    telephone.speak(2.0, RecordingEnd::Digit(Digit::Pound));
    assert_eq!(telephone.look(), REVIEW);
}

#[test]
fn a_dead_line_is_given_up() {
    let mut telephone = recording();
    for _ in 0..2 {
        telephone.speak(0.0, RecordingEnd::Silence).listen().answer(Answer::RecordingReady).listen();
    }

    telephone.forget().speak(0.0, RecordingEnd::Silence);

    assert_eq!(telephone.look(), "discard, not-left goodbye");
}

#[test]
fn a_message_can_be_heard_recorded_again_and_cancelled() {
    let mut telephone = recording();
    telephone.speak(5.0, RecordingEnd::Silence).forget();

    telephone.press("2");
    assert_eq!(telephone.look(), format!("RECORDING {REVIEW}"));
    telephone.press("3");
    assert_eq!(telephone.look(), "discard, prepare Message?");
    telephone.answer(Answer::RecordingReady).listen().speak(4.0, RecordingEnd::Silence).forget();
    telephone.press("7");
    assert_eq!(telephone.look(), format!("invalid-choice {REVIEW}"));
    telephone.press("*");
    assert_eq!(telephone.look(), "discard, message-cancelled goodbye");
}

#[test]
fn whoever_says_nothing_more_is_asked_twice_and_the_message_is_sent() {
    let mut telephone = recording();
    telephone.speak(5.0, RecordingEnd::Silence).listen().forget();

    telephone.wait().listen().wait().listen().wait();

    assert_eq!(telephone.look(), format!("{REVIEW}, {REVIEW}, stop, store?"));
}

#[test]
fn a_full_mailbox_says_so_before_the_beep_and_lets_its_owner_in() {
    let mut telephone = Telephone::call(Entry::Deposit { mailbox: full_mailbox() });

    assert_eq!(telephone.look(), "mailbox-full goodbye");
    telephone.press("#").listen().press("*1#");
    assert_eq!(telephone.look(), "enter-passcode, ann 1?");

    let mut telephone = Telephone::call(Entry::Deposit { mailbox: full_mailbox() });
    telephone.forget().listen().wait();
    assert_eq!(telephone.look(), "hang up");
}

#[test]
fn a_mailbox_that_fills_up_meanwhile_says_so() {
    let mut telephone = Telephone::call(Entry::Deposit { mailbox: mailbox() });
    telephone.press("#").forget().answer(Answer::MailboxFull);
    assert_eq!(telephone.look(), "mailbox-full goodbye");

    let mut telephone = recording();
    telephone.speak(5.0, RecordingEnd::Silence).press("1").forget().answer(Answer::MailboxFull);
    assert_eq!(telephone.look(), "became-full goodbye");
}

#[test]
fn what_cannot_be_recorded_is_not_announced_by_a_beep() {
    let mut telephone = Telephone::call(Entry::Deposit { mailbox: mailbox() });
    telephone.press("#").forget().answer(Answer::Failed);

    assert_eq!(telephone.look(), "cannot-record goodbye");
}

#[test]
fn a_slow_store_is_excused() {
    let mut telephone = recording();
    telephone.speak(5.0, RecordingEnd::Silence).press("1").forget().wait();

    assert_eq!(telephone.look(), "one-moment");
}

#[test]
fn an_end_key_outside_the_audio_ends_the_recording() {
    let mut telephone = recording();
    telephone.press("5#");

    assert_eq!(telephone.look(), "stop recording");
}

#[test]
fn a_message_can_be_added_to() {
    let mut telephone = reviewing(5.0);

    telephone.press("4");
    assert_eq!(telephone.look(), "stop, BEEP");
    telephone.press("*").listen();
    assert_eq!(telephone.look(), "record 295s more");
    telephone.speak(12.5, RecordingEnd::Digit(Digit::Pound));
    assert_eq!(telephone.look(), REVIEW);
    telephone.press("4").listen();
    assert_eq!(telephone.look(), "stop, BEEP, record 287.5s more");
}

#[test]
fn whoever_adds_nothing_loses_nothing() {
    for hang_up in [
        (|telephone: &mut Telephone| {
            telephone.hang_up();
        }) as fn(&mut Telephone),
        |telephone| {
            telephone.listen().speak(5.0, RecordingEnd::Hangup);
        },
        |telephone| {
            telephone.listen().hang_up().speak(5.0, RecordingEnd::Stopped);
        },
    ] {
        let mut telephone = reviewing(5.0);
        telephone.press("4");

        hang_up(&mut telephone);

        assert_eq!(telephone.open, Some(Question::StoreMessage));
        telephone.answer(Answer::Stored);
        assert!(telephone.session.is_over());
    }
}

#[test]
fn what_could_not_be_added_is_said_and_the_rest_is_kept() {
    let mut telephone = reviewing(5.0);

    telephone.press("4").listen().forget().speak(6.0, RecordingEnd::Failed);

    assert_eq!(telephone.look(), format!("rest-not-recorded {REVIEW}"));
}

#[test]
fn a_message_that_is_as_long_as_can_be_is_not_added_to() {
    let mut telephone = recording();
    telephone.speak(300.0, RecordingEnd::Longest);
    let without = REVIEW.replace("to-add press-4 ", "");
    assert_eq!(telephone.look(), format!("longest-reached {without}"));

    telephone.press("4");

    assert_eq!(telephone.look(), format!("stop, longest-reached {without}"));
}

#[test]
fn recording_can_be_paused_and_goes_on_behind_what_was_said() {
    let mut telephone = recording();

    telephone.speak(1.5, RecordingEnd::Digit(Digit::Eight));
    assert_eq!(telephone.look(), PAUSED);
    telephone.press("8").listen();
    assert_eq!(telephone.look(), "BEEP, record 298.5s more");
    telephone.press("8");
    assert_eq!(telephone.look(), "stop recording");
    telephone.speak(4.0, RecordingEnd::Stopped);
    assert_eq!(telephone.look(), PAUSED);
    telephone.press("#");
    assert_eq!(telephone.look(), REVIEW);
}

#[test]
fn a_pause_waits_patiently_and_is_not_for_ever() {
    let mut telephone = recording();
    telephone.speak(5.0, RecordingEnd::Digit(Digit::Eight)).listen();
    assert_eq!(telephone.session.timeout(), Some(Duration::from_secs(30)));

    telephone.forget().press("5").wait().listen().wait().listen().wait();

    assert_eq!(telephone.look(), format!("{PAUSED}, {PAUSED}, {REVIEW}"));
}

#[test]
fn a_hang_up_during_a_pause_keeps_a_message_and_drops_what_is_none() {
    let mut telephone = recording();
    telephone.speak(5.0, RecordingEnd::Digit(Digit::Eight)).hang_up();
    assert_eq!(telephone.open, Some(Question::StoreMessage));

    let mut telephone = recording();
    telephone.speak(1.0, RecordingEnd::Digit(Digit::Eight)).forget().hang_up();
    assert_eq!(telephone.look(), "discard");
    assert!(telephone.session.is_over());
}

#[test]
fn a_message_is_marked_and_unmarked_and_it_is_said() {
    let mut telephone = reviewing(5.0);

    telephone.press("5");
    assert_eq!(telephone.look(), format!("urgent true, private false, marked-urgent {REVIEW}"));
    telephone.press("6");
    assert_eq!(telephone.look(), format!("urgent true, private true, marked-private {REVIEW}"));
    telephone.press("5");
    assert_eq!(telephone.look(), format!("urgent false, private true, not-urgent {REVIEW}"));
    telephone.press("6");
    assert_eq!(telephone.look(), format!("urgent false, private false, not-private {REVIEW}"));
}

#[test]
fn the_marks_stay_when_it_is_recorded_again() {
    let mut telephone = reviewing(5.0);

    telephone.press("53").forget().answer(Answer::RecordingReady);

    assert_eq!(telephone.look(), "urgent true, private false, BEEP");
}

#[test]
fn instructions_follow_a_personal_greeting_where_they_are_wanted_and_can_be_skipped() {
    let greeting = Some(AudioKey::random());
    let mut telephone = Telephone::call(Entry::Deposit { mailbox: MailboxView { greeting, instructions: true, ..mailbox() } });

    assert_eq!(telephone.look(), "GREETING leave-message");
    telephone.press("#");
    assert_eq!(telephone.look(), "stop, prepare Message?");
}

#[test]
fn what_was_not_kept_is_said_as_it_is() {
    for (answer, said) in [
        (Answer::NothingSaid, "nothing-said goodbye"),
        (Answer::MailboxFull, "became-full goodbye"),
        (Answer::MailboxGone, "no-messages-here goodbye"),
        (Answer::Failed, "not-saved goodbye"),
    ] {
        let mut telephone = reviewing(5.0);
        telephone.press("1").forget().answer(answer);

        assert_eq!(telephone.look(), said);
    }
}

fn reviewing(seconds: f64) -> Telephone {
    let mut telephone = recording();
    telephone.speak(seconds, RecordingEnd::Digit(Digit::Pound)).forget();
    telephone
}

fn recording() -> Telephone {
    let mut telephone = Telephone::call(Entry::Deposit { mailbox: mailbox() });
    telephone.listen().answer(Answer::RecordingReady).listen().forget();
    telephone
}

#[test]
fn a_message_that_is_being_left_when_the_call_has_lasted_too_long_is_kept_whole() {
    let recording = || {
        let mut telephone = Telephone::call(Entry::Deposit { mailbox: mailbox() });
        telephone.listen().answer(Answer::RecordingReady).listen().forget().end();
        assert_eq!(telephone.look(), "", "it is recorded to its end");
        telephone
    };

    let mut telephone = recording();
    telephone.speak(5.0, RecordingEnd::Silence);
    assert_eq!(telephone.look().rsplit(", ").next(), Some("store?"));
    telephone.answer(Answer::Stored);
    assert_eq!(telephone.look(), "goodbye");
    telephone.listen();
    assert_eq!(telephone.look(), "hang up");

    let mut telephone = recording();
    telephone.speak(5.0, RecordingEnd::Hangup);
    assert_eq!(telephone.look(), "store?");
    telephone.answer(Answer::Stored);
    assert_eq!(telephone.look(), "");
}

#[test]
fn a_pause_before_the_first_word_goes_on_with_the_same_recording() {
    let mut telephone = Telephone::call(Entry::Deposit { mailbox: mailbox() });
    telephone.listen().answer(Answer::RecordingReady).listen().speak(0.0, RecordingEnd::Digit(Digit::Eight)).forget();

    telephone.press("8").press("*").listen();

    assert_eq!(telephone.look(), "BEEP, record 300s more");
}
