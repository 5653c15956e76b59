use super::{retrieval::logged_in, *};
use crate::domain::{
    id::ListId,
    keys::KeyProfile,
    sending::{SendOutcome, Sent, SentKind},
};

const FORWARD: &str =
    "to-introduce press-1 to-forward-now press-2 to-mark-urgent press-4 to-mark-private press-5 to-cancel press-star";
const REVIEW: &str = "to-send press-1 to-listen press-2 to-record-again press-3 to-mark-urgent press-4 to-mark-private press-5 \
                      to-cancel press-star";

#[test]
fn a_message_is_forwarded_to_two_mailboxes_as_it_is() {
    let mut telephone = forwarding();
    assert_eq!(telephone.look(), "enter-addressee");

    telephone.press("1002#");
    assert_eq!(telephone.look(), "ann to 1002?");
    telephone.answer(found("1002"));
    assert_eq!(telephone.look(), "mailbox-number digit-1 digit-0 digit-0 digit-2-end another-addressee");
    telephone.press("1003#").forget().answer(named("1003"));
    assert_eq!(telephone.look(), "NAME another-addressee");
    telephone.press("#");
    assert_eq!(telephone.look(), FORWARD);
    telephone.press("2");
    assert_eq!(telephone.look(), "stop, forwarded from ann to 1002 and 1003 about a?");
    telephone.answer(Answer::Sent(SendReport { sent: 2, missed: vec![] }));
    assert!(telephone.look().starts_with("sent-to number-2 mailboxes to-delete press-7"), "and the message's menu follows");
}

#[test]
fn an_introduction_is_recorded_heard_and_accepted_before_the_message_goes() {
    let mut telephone = addressed();

    telephone.press("1");
    assert_eq!(telephone.look(), "record-introduction");
    telephone.listen().answer(Answer::RecordingReady).listen();
    assert_eq!(telephone.look(), "prepare Letter?, BEEP, record Letter 120s");
    telephone.speak(4.0, RecordingEnd::Digit(Digit::Pound));
    assert_eq!(telephone.look(), REVIEW);
    telephone.press("2");
    assert_eq!(telephone.look(), format!("RECORDING {REVIEW}"));
    telephone.press("3");
    assert_eq!(telephone.look(), "discard, prepare Letter?");
    telephone.answer(Answer::RecordingReady).listen().speak(4.0, RecordingEnd::Silence).forget().press("1");
    assert_eq!(telephone.look(), "stop, forwarded from ann to 1002 about a recorded?");
    telephone.answer(Answer::Sent(SendReport { sent: 1, missed: vec![] }));
    assert!(telephone.look().starts_with("sent-to-1 to-delete"));
}

#[test]
fn a_hang_up_before_an_introduction_is_accepted_forwards_nothing() {
    let mut telephone = addressed();
    telephone.press("1#").answer(Answer::RecordingReady).listen().forget().speak(4.0, RecordingEnd::Hangup);
    assert_eq!(telephone.look(), "discard");
    assert!(telephone.session.is_over());

    let mut telephone = addressed();
    telephone.press("1#").answer(Answer::RecordingReady).listen().speak(4.0, RecordingEnd::Silence).forget().hang_up();
    assert_eq!(telephone.look(), "discard");
    assert!(telephone.session.is_over());

    for keys in ["", "1", "1#"] {
        let mut telephone = addressed();
        telephone.press(keys).hang_up();
        if telephone.open.is_some() {
            telephone.answer(Answer::RecordingReady);
        }
        assert!(!telephone.look().contains("forwarded from"), "{keys}");
        assert!(telephone.session.is_over(), "{keys}");
    }
}

#[test]
fn a_private_message_cannot_be_forwarded() {
    let mut telephone = listening(Message { private: true, ..message("a") });

    telephone.press("8").wait();

    assert!(telephone.look().starts_with("private-not-forwarded to-delete"));
}

#[test]
fn a_forwarded_message_can_be_marked() {
    let mut telephone = addressed();

    telephone.press("45");
    assert_eq!(telephone.look(), format!("marked-urgent {FORWARD}, marked-private {FORWARD}"));
    telephone.press("4").forget().press("2");
    assert_eq!(telephone.look(), "stop, forwarded from ann to 1002 about a private?");
}

#[test]
fn a_message_without_room_for_an_introduction_is_forwarded_without_one() {
    let mut telephone = listening(Message { duration: rules::LONGEST_FORWARDED, ..message("a") });
    let menu = FORWARD.strip_prefix("to-introduce press-1 ").unwrap();

    telephone.press("8").wait().press("1002#").answer(found("1002")).forget().press("#");
    assert_eq!(telephone.look(), menu);
    telephone.press("1");
    assert_eq!(telephone.look(), format!("invalid-choice {menu}"));
    telephone.press("42");

    assert_eq!(telephone.look(), format!("marked-urgent {menu}, stop, forwarded from ann to 1002 about a urgent?"));
}

#[test]
fn an_introduction_gets_no_longer_than_there_is_room() {
    let length = rules::LONGEST_FORWARDED - rules::PAUSE_AFTER_INTRODUCTION - Duration::from_secs(20);
    let mut telephone = listening(Message { duration: length, ..message("a") });

    telephone.press("8").wait().press("1002#").answer(found("1002")).press("#1#").answer(Answer::RecordingReady).listen();

    assert!(telephone.look().ends_with("record Letter 20s"));
}

#[test]
fn numbers_that_stand_for_nobody_are_refused_a_few_times_in_a_call() {
    let mut telephone = composing();

    for _ in 1..rules::NUMBERS_PER_CALL {
        telephone.press("9999#").forget().answer(Answer::Addressee(None));
        assert_eq!(telephone.look(), "addressee-unknown enter-addressee");
    }
    telephone.press("9999#").forget().answer(Answer::Addressee(None)).answer(messages(&[]));
    assert!(telephone.look().starts_with("count?, addressee-unknown too-many-attempts no-messages"));

    telephone.press("3").answer(messages(&[]));
    assert!(telephone.look().starts_with("count?, too-many-attempts no-messages"), "nor are more asked for in this call");
}

#[test]
fn whoever_has_typed_too_many_wrong_numbers_goes_on_with_the_right_ones() {
    let mut telephone = composing();
    telephone.press("1002#").answer(found("1002"));

    for _ in 0..rules::NUMBERS_PER_CALL {
        telephone.press("9999#").forget().answer(Answer::Addressee(None));
    }

    assert_eq!(telephone.look(), "addressee-unknown record-message");
}

#[test]
fn what_cannot_be_looked_up_is_refused_like_what_is_not_there() {
    let mut telephone = composing();

    telephone.press("1002#").forget().answer(Answer::Failed);

    assert_eq!(telephone.look(), "addressee-unknown enter-addressee");
}

#[test]
fn a_number_is_taken_back_and_counts_once() {
    let mut telephone = composing();
    telephone.press("1002#").answer(found("1002")).press("1002#").answer(found("1002")).press("1003#").answer(found("1003"));

    telephone.forget().press("*");
    assert_eq!(telephone.look(), "addressee-removed mailbox-number digit-1 digit-0 digit-0 digit-3-end another-addressee");
    telephone.press("70#").answer(Answer::Addressee(Some(list("70")))).forget().press("#");
    assert_eq!(telephone.look(), "record-message");
    record(&mut telephone).press("1");
    assert!(telephone.look().ends_with("sent from ann to 1002 and list 70 recorded?"));
}

#[test]
fn a_star_without_any_number_cancels() {
    let mut telephone = composing();

    telephone.press("*");
    assert_eq!(telephone.look(), "count?");
    telephone.answer(messages(&[]));
    assert!(telephone.look().starts_with("message-cancelled no-messages"));
}

#[test]
fn a_message_has_fifty_addressees_at_most() {
    let mut telephone = composing();

    for at in 0..rules::MOST_ADDRESSEES {
        let number = (2000 + at).to_string();
        telephone.press(&format!("{number}#")).forget().answer(found(&number));
    }

    assert_eq!(telephone.look(), "mailbox-number digit-2 digit-0 digit-4 digit-9-end no-more-addressees record-message");
}

#[test]
fn a_reply_goes_to_the_senders_mailbox() {
    let mut telephone = listening(message("a"));

    telephone.press("88");
    assert_eq!(telephone.look(), "stop, sender of a?");
    telephone.answer(found("202"));
    assert_eq!(telephone.look(), "reply-to digit-2 digit-0 digit-2-end record-message");
    record(&mut telephone).press("1");
    assert!(telephone.look().ends_with("stop, reply from ann to 202 about a recorded?"));
    telephone.answer(Answer::Sent(SendReport { sent: 1, missed: vec![] }));
    assert!(telephone.look().starts_with("sent-to-1 to-delete"));
}

#[test]
fn nobody_replies_to_a_caller_without_a_mailbox() {
    for (answer, said) in
        [(Answer::Addressee(None), "nobody-to-reply-to"), (Answer::Failed, "not-done"), (Answer::Conflict(None), "message-gone")]
    {
        let mut telephone = listening(message("a"));
        telephone.press("88").forget().answer(answer);

        assert!(telephone.look().starts_with(&format!("{said} to-delete")), "{said}");
    }
}

#[test]
fn a_message_of_ones_own_is_sent_also_by_hanging_up() {
    let mut telephone = recorded();
    telephone.forget().hang_up();
    assert_eq!(telephone.look(), "sent from ann to 1002 recorded?");
    telephone.answer(Answer::Sent(SendReport { sent: 1, missed: vec![] })).answer(messages(&[]));
    assert!(telephone.session.is_over());

    let mut telephone = instructed();
    telephone.press("#").answer(Answer::RecordingReady).listen().forget().speak(3.0, RecordingEnd::Hangup);
    assert_eq!(telephone.look(), "sent from ann to 1002 recorded?");

    let mut telephone = instructed();
    telephone.press("#").answer(Answer::RecordingReady).listen().forget().speak(0.5, RecordingEnd::Hangup);
    assert!(telephone.look().starts_with("discard"));
}

#[test]
fn a_cancelled_message_is_not_sent() {
    let mut telephone = recorded();

    telephone.forget().press("*");

    assert_eq!(telephone.look(), "discard, count?");
    telephone.answer(messages(&[]));
    assert!(telephone.look().starts_with("message-cancelled"));
}

#[test]
fn what_is_too_short_is_asked_again_and_then_given_up() {
    let mut telephone = instructed();
    telephone.press("#");
    for _ in 0..2 {
        telephone.answer(Answer::RecordingReady).listen().forget().speak(0.5, RecordingEnd::Silence);
        assert_eq!(telephone.look(), "discard, too-short");
        telephone.listen();
    }
    telephone.answer(Answer::RecordingReady).listen().forget().speak(0.5, RecordingEnd::Silence);

    assert_eq!(telephone.look(), "discard, goodbye");
}

#[test]
fn what_cannot_be_recorded_is_said() {
    let mut telephone = instructed();
    telephone.press("#").answer(Answer::Failed).forget().answer(messages(&[]));
    assert!(telephone.look().starts_with("not-done"));

    let mut telephone = instructed();
    telephone.press("#").answer(Answer::RecordingReady).listen().forget().speak(0.0, RecordingEnd::Failed);
    assert_eq!(telephone.look(), "discard, count?");

    let mut telephone = instructed();
    telephone.press("#").answer(Answer::RecordingReady).listen().forget().speak(4.0, RecordingEnd::Failed);
    assert!(telephone.look().starts_with("rest-not-recorded to-send press-1"));
}

#[test]
fn only_administrators_send_to_everybody() {
    let mut telephone = logged_in(&[]);
    telephone.forget().press("9");
    assert!(telephone.look().starts_with("invalid-choice"));

    let mut telephone = administrating();
    telephone.press("9");
    assert_eq!(telephone.look(), "record-broadcast");
    record(&mut telephone).forget().press("1");
    assert_eq!(telephone.look(), "stop, broadcast from ann to everybody recorded?");
    telephone.answer(Answer::Sent(SendReport::default())).forget().answer(messages(&[]));
    assert!(telephone.look().starts_with("sent-to-everybody no-messages"));
}

#[test]
fn a_hang_up_sends_nothing_to_everybody() {
    let mut telephone = administrating();
    telephone.press("9");

    record(&mut telephone).forget().hang_up();

    assert_eq!(telephone.look(), "discard, count?");
}

#[test]
fn whoever_did_not_get_a_message_is_named() {
    let missed = |number: &str, outcome| Missed { number: number.parse().unwrap(), spoken_name: None, outcome };
    let with_name = Missed { spoken_name: Some(AudioKey::from_stored("n")), ..missed("1005", SendOutcome::Full) };
    let report = |sent| SendReport {
        sent,
        missed: vec![missed("1003", SendOutcome::Full), with_name.clone(), missed("1004", SendOutcome::Gone)],
    };
    let not = "not-sent-to-full digit-1 digit-0 digit-0 digit-3-end NAME not-sent-to digit-1 digit-0 digit-0 digit-4-end";

    for (sent, said) in [(0, "sent-to-nobody"), (1, "sent-to-1"), (21, "sent-to number-21 mailboxes")] {
        let mut telephone = addressed();
        telephone.press("2").forget().answer(Answer::Sent(report(sent)));
        assert!(telephone.look().starts_with(&format!("{said} {not} to-delete")));
    }
}

#[test]
fn what_was_not_sent_is_said() {
    for (answer, said) in [
        (Answer::IsPrivate, "private-not-forwarded"),
        (Answer::NobodyThere, "sent-to-nobody"),
        (Answer::Conflict(None), "message-gone"),
        (Answer::Failed, "not-done"),
    ] {
        let mut telephone = addressed();
        telephone.press("2").forget().answer(answer);
        assert!(telephone.look().starts_with(&format!("{said} to-delete")), "{said}");
    }
    let mut telephone = addressed();
    telephone.press("2").forget().answer(Answer::MailboxGone);
    assert_eq!(telephone.look(), "mailbox-gone goodbye");
}

#[test]
fn silence_while_a_message_is_addressed_ends_the_call() {
    let mut telephone = composing();

    telephone.listen().wait().listen().wait().listen().wait();

    assert!(telephone.look().ends_with("goodbye"));
}

#[test]
fn a_message_from_another_mailbox_says_how_it_came() {
    for (kind, said) in [
        (SentKind::Forwarded, "forwarded-message today-at"),
        (SentKind::Reply, "reply-message today-at"),
        (SentKind::Broadcast, "broadcast-message today-at"),
        (SentKind::Sent, "today-at"),
    ] {
        let sent = Some(Sent { kind, sender: None, origin: None });
        let held = [Message { sent, ..message("a") }];
        let mut telephone = logged_in(&held);
        telephone.press("1").forget().answer(messages(&held));

        assert!(telephone.look().starts_with(said), "{said}");
    }
}

#[test]
fn every_key_map_forwards_replies_and_sends() {
    for (profile, forward, as_it_is, reply, send) in [
        (KeyProfile::Afterbeep, "8", "2", "88", "3"),
        (KeyProfile::Asterisk, "8", "2", "31", "35"),
        (KeyProfile::FreeSwitch, "8", "2", "88", "3"),
        (KeyProfile::Unity, "5", "#", "4", "2"),
        (KeyProfile::Audix, "12", "#", "11", "1"),
    ] {
        let preferences = Preferences { keys: Some(profile), ..Preferences::default() };
        let call = || {
            let mut telephone = Telephone::call(Entry::Retrieval {
                mailbox: Some(MailboxView { preferences: preferences.clone(), ..mailbox() }),
            });
            telephone.press("1#").answer(Answer::Passcode(Verdict::Right)).answer(messages(&[message("a")])).forget();
            telephone
        };
        let after = || {
            let mut telephone = call();
            telephone.press(if profile == KeyProfile::Audix { "2" } else { "1" });
            telephone.answer(messages(&[message("a")])).listen().listen();
            telephone.answer(Answer::Changed(Box::new(heard(message("a"))))).forget();
            telephone
        };

        let mut telephone = after();
        telephone.press(forward);
        if telephone.open.is_none() && telephone.effects.is_empty() {
            telephone.wait();
        }
        assert_eq!(telephone.look(), "enter-addressee", "{profile}");
        telephone.press("1002#").answer(found("1002")).press("#").forget().press(as_it_is);
        assert_eq!(telephone.look(), "stop, forwarded from ann to 1002 about a?", "{profile}");
        let mut telephone = after();
        telephone.press(reply);
        if telephone.open.is_none() {
            telephone.wait();
        }
        assert!(telephone.look().ends_with("sender of a?"), "{profile}");
        let mut telephone = call();
        telephone.press(send);
        assert_eq!(telephone.look(), "enter-addressee", "{profile}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn whatever_a_subscriber_does_while_forwarding_nothing_is_owed(happenings in vec(happening(), 0..80)) {
        live_through(forwarding(), happenings);
    }

    #[test]
    fn whatever_a_subscriber_does_with_an_introduction_nothing_is_owed(happenings in vec(happening(), 0..40)) {
        let mut telephone = addressed();
        telephone.press("1#").answer(Answer::RecordingReady);
        live_through(telephone, happenings);
    }

    #[test]
    fn whatever_a_subscriber_does_with_a_message_of_their_own_nothing_is_owed(happenings in vec(happening(), 0..40)) {
        live_through(recorded(), happenings);
    }

    #[test]
    fn whatever_an_administrator_does_nothing_is_owed(happenings in vec(happening(), 0..80)) {
        let mut telephone = administrating();
        telephone.press("9");
        live_through(telephone, happenings);
    }
}

fn found(number: &str) -> Answer {
    Answer::Addressee(Some(addressee(number)))
}

fn named(number: &str) -> Answer {
    let (id, number) = (MailboxId::from_stored(number), number.parse().unwrap());
    Answer::Addressee(Some(Addressee::Mailbox { id, number, spoken_name: Some(AudioKey::from_stored("n")) }))
}

fn list(number: &str) -> Addressee {
    Addressee::List { id: ListId::from_stored(number), number: number.parse().unwrap() }
}

/// Somebody who hears the only message.
fn listening(message: Message) -> Telephone {
    let held = [message];
    let mut telephone = logged_in(&held);
    telephone.press("1").answer(messages(&held)).listen().forget();
    telephone
}

/// Somebody who is asked to whom a message is to be forwarded.
fn forwarding() -> Telephone {
    let mut telephone = listening(message("a"));
    telephone.press("8").wait();
    telephone
}

/// Somebody who is to forward a message to 1002, and is asked for an introduction.
fn addressed() -> Telephone {
    let mut telephone = forwarding();
    telephone.press("1002#").answer(found("1002")).press("#").forget();
    telephone
}

/// Somebody who is asked to whom a message is to be sent.
fn composing() -> Telephone {
    let mut telephone = logged_in(&[]);
    telephone.press("3").forget();
    telephone
}

/// Somebody who is about to record a message to 1002.
fn instructed() -> Telephone {
    let mut telephone = composing();
    telephone.press("1002#").answer(found("1002")).press("#").forget();
    telephone
}

/// Somebody who has recorded it.
fn recorded() -> Telephone {
    let mut telephone = instructed();
    record(&mut telephone);
    telephone
}

fn record(telephone: &mut Telephone) -> &mut Telephone {
    telephone.press("#").answer(Answer::RecordingReady).listen().speak(4.0, RecordingEnd::Digit(Digit::Pound))
}

/// An administrator in the main menu.
fn administrating() -> Telephone {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(MailboxView { administrator: true, ..mailbox() }) });
    telephone.press("1#").answer(Answer::Passcode(Verdict::Right)).answer(messages(&[])).forget();
    telephone
}
