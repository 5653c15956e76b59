use super::*;

const REVIEW: &str = "to-send press-1 to-listen press-2 to-record-again press-3 to-cancel press-star";

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

    assert_eq!(telephone.look(), "discard, goodbye");
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
fn the_time_limit_is_said() {
    let mut telephone = recording();
    telephone.speak(300.0, RecordingEnd::Longest);

    assert_eq!(telephone.look(), format!("longest-reached {REVIEW}"));
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

fn recording() -> Telephone {
    let mut telephone = Telephone::call(Entry::Deposit { mailbox: mailbox() });
    telephone.listen().answer(Answer::RecordingReady).listen().forget();
    telephone
}
