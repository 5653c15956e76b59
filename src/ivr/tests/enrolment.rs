use super::*;

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
    assert!(telephone.look().starts_with("count?, greeting-saved mailbox-ready no-messages"));
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

    assert_eq!(telephone.look(), "skip name?, not-kept record-greeting, skip standard?, count?");
}

#[test]
fn a_first_login_that_is_given_up_is_not_noted_as_done() {
    let mut telephone = first_login();
    telephone.press("49158730#49158730#").answer(Answer::Done).press("#").answer(Answer::RecordingReady).listen().forget();

    telephone.speak(1.0, RecordingEnd::Hangup);

    assert_eq!(telephone.look(), "discard");
    assert!(telephone.session.is_over());
}

/// Whatever was done before the caller hung up stays done, and is not asked for again.
#[test]
fn a_first_login_goes_on_with_what_is_missing() {
    for (due, first_words) in [
        (Due { passcode: true, name: true, greeting: true }, "welcome new-passcode"),
        (Due { passcode: false, name: true, greeting: true }, "record-name"),
        (Due { passcode: false, name: false, greeting: true }, "record-greeting"),
        (Due { passcode: true, name: false, greeting: true }, "new-passcode"),
        (Due { passcode: true, name: false, greeting: false }, "new-passcode"),
    ] {
        let mut telephone = login_of(MailboxView { due, ..new_mailbox() });

        assert_eq!(telephone.look(), first_words, "{due:?}");
    }
}

#[test]
fn whose_passcode_was_reset_is_asked_for_a_new_one_only() {
    let due = Due { passcode: true, ..Due::NOTHING };
    let mut telephone = login_of(MailboxView { due, ..new_mailbox() });

    telephone.press("49158730#49158730#").forget().answer(Answer::Done).answer(messages(&[]));

    assert!(telephone.look().starts_with("count?, passcode-changed mailbox-ready no-messages"));
}

#[test]
fn a_hang_up_at_any_step_owes_nothing_and_undoes_nothing() {
    let steps: [fn(&mut Telephone); 7] = [
        |_| {},
        |telephone| {
            telephone.press("4915");
        },
        |telephone| {
            telephone.press("49158730#49158730#");
        },
        |telephone| {
            telephone.press("49158730#49158730#").answer(Answer::Done);
        },
        |telephone| {
            telephone.press("49158730#49158730#").answer(Answer::Done).press("#").answer(Answer::RecordingReady);
        },
        |telephone| {
            telephone.press("49158730#49158730#").answer(Answer::Done).press("#").answer(Answer::RecordingReady).listen();
            telephone.speak(1.0, RecordingEnd::Silence).press("1");
        },
        |telephone| {
            telephone.press("49158730#49158730#").answer(Answer::Done).press("*");
        },
    ];
    for (at, step) in steps.into_iter().enumerate() {
        let mut telephone = first_login();
        step(&mut telephone);
        let asked = telephone.look();

        telephone.hang_up();
        if telephone.open.is_some() {
            telephone.answer(Answer::Done);
        }

        assert!(telephone.session.is_over(), "{at}: {asked}");
        let after = telephone.look();
        assert!(!after.contains("set ") && !after.contains("skip "), "{at}: {after}");
    }
}

#[test]
fn whose_greeting_cannot_be_used_hears_why_before_the_goodbye() {
    let unfit = || Answer::Account(AccountAnswer::Unfit(Unfit::Silent));
    let mut telephone = login_of(MailboxView { due: Due { greeting: true, ..Due::NOTHING }, ..new_mailbox() });

    for _ in 0..3 {
        telephone.press("#").answer(Answer::RecordingReady).listen().speak(3.0, RecordingEnd::Silence);
        telephone.press("1").forget().answer(unfit());
    }

    assert_eq!(telephone.look(), "nothing-heard not-kept goodbye");
}

pub(super) fn first_login() -> Telephone {
    login_of(new_mailbox())
}

fn login_of(mailbox: MailboxView) -> Telephone {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(mailbox) });
    telephone.press("1#").forget().answer(Answer::Passcode(Verdict::Right));
    telephone
}
