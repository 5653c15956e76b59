use super::*;

#[test]
fn an_identified_line_is_asked_for_its_passcode_only() {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(mailbox()) });

    telephone.press("49158730#");

    assert_eq!(telephone.look(), "enter-passcode, ann 49158730 own line?");
}

#[test]
fn any_other_line_is_asked_for_the_number_first() {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: None });

    telephone.press("1001#").answer(Answer::Mailbox(Some(Box::new(mailbox())))).press("4915").wait();

    assert_eq!(telephone.look(), "enter-mailbox, find 1001?, enter-passcode, ann 4915?");
}

#[test]
fn star_on_the_own_line_leads_to_another_mailbox() {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(mailbox()) });
    let other = MailboxView { id: MailboxId::from_stored("bob"), ..mailbox() };

    telephone.press("*1002#").answer(Answer::Mailbox(Some(Box::new(other)))).press("1#");

    assert_eq!(telephone.look(), "enter-passcode, enter-mailbox, find 1002?, enter-passcode, bob 1?");
}

#[test]
fn number_and_passcode_can_be_typed_ahead() {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: None });

    telephone.press("1001#49158730#").answer(Answer::Mailbox(Some(Box::new(mailbox()))));

    assert_eq!(telephone.look(), "enter-mailbox, find 1001?, enter-passcode, stop, ann 49158730?");
}

#[test]
fn a_call_is_no_tool_for_listing_mailboxes() {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: None });
    for _ in 1..rules::NUMBERS_PER_CALL {
        telephone.press("1001#").answer(Answer::Mailbox(None)).press("*");
    }
    telephone.press("1001#").answer(Answer::Mailbox(None)).forget();

    telephone.press("*");

    assert_eq!(telephone.look(), "too-many-attempts goodbye");
}

#[test]
fn whoever_comes_from_a_greeting_is_asked_for_the_passcode_a_few_times() {
    let mut telephone = Telephone::call(Entry::Deposit { mailbox: mailbox() });
    telephone.press("*");
    for _ in 0..rules::NUMBERS_PER_CALL {
        telephone.forget().press("*");
        assert_eq!(telephone.look(), "enter-passcode");
    }

    telephone.press("*");

    assert_eq!(telephone.look(), "too-many-attempts goodbye");
}

#[test]
fn a_call_may_last_longer_once_the_passcode_was_given() {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(mailbox()) });
    assert_eq!(telephone.session.longest(), rules::LONGEST_CALL_BEFORE_LOGIN);
    telephone.press("1#").answer(Answer::Passcode(Verdict::Wrong));
    assert_eq!(telephone.session.longest(), rules::LONGEST_CALL_BEFORE_LOGIN);

    telephone.press("1#").answer(Answer::Passcode(Verdict::Right));

    assert_eq!(telephone.session.longest(), rules::LONGEST_CALL);
}

#[test]
fn a_call_that_lasts_too_long_ends_with_a_goodbye() {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: None });
    telephone.forget().press("12*").forget();

    telephone.end();
    assert_eq!(telephone.look(), "goodbye");
    telephone.press("1").listen();
    assert_eq!(telephone.look(), "hang up");
}

#[test]
fn a_call_that_lasts_too_long_during_a_question_ends_after_its_answer() {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(mailbox()) });
    telephone.press("1#").forget();

    telephone.end();
    assert_eq!(telephone.look(), "");
    telephone.press("1").answer(Answer::Passcode(Verdict::Right)).answer(messages(&[]));
    assert!(telephone.look().ends_with(", goodbye"));
    telephone.hang_up();

    assert!(telephone.session.is_over());
}

#[test]
fn what_is_typed_is_never_printed() {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(mailbox()) });
    telephone.press("49158");
    let typing = format!("{:?}", telephone.session);
    telephone.press("730#49158730#");
    let checking = format!("{:?} {:?}", telephone.session, telephone.open);
    let mut elsewhere = Telephone::call(Entry::Retrieval { mailbox: None });
    elsewhere.press("49158#");

    for printed in [typing, checking, format!("{:?} {:?}", elsewhere.session, elsewhere.open)] {
        assert!(!printed.contains("49158") && !printed.contains("Four"), "{printed}");
    }
}

#[test]
fn unknown_disabled_wrong_and_locked_sound_the_same() {
    let disabled = MailboxView { enabled: false, ..mailbox() };
    let by_number = |found: Option<MailboxView>, verdict| {
        let mut telephone = Telephone::call(Entry::Retrieval { mailbox: None });
        telephone.press("1001#").answer(Answer::Mailbox(found.map(Box::new)));
        fail(telephone, verdict)
    };
    let by_star = |entry, verdict| {
        let mut telephone = Telephone::call(entry);
        telephone.press("*").forget();
        fail(telephone, verdict)
    };

    let wrong = by_number(Some(mailbox()), Verdict::Wrong);
    assert_eq!(by_number(None, Verdict::Wrong), wrong);
    assert_eq!(by_number(Some(disabled.clone()), Verdict::Wrong), wrong);
    assert_eq!(by_number(Some(mailbox()), Verdict::LockedOut), wrong);
    let wrong = by_star(Entry::Deposit { mailbox: mailbox() }, Verdict::Wrong);
    assert_eq!(by_star(Entry::Unavailable, Verdict::Wrong), wrong);
    assert_eq!(by_star(Entry::Deposit { mailbox: disabled.clone() }, Verdict::LockedOut), wrong);
    assert_eq!(by_star(Entry::Deposit { mailbox: full_mailbox() }, Verdict::Wrong), wrong);
    assert_eq!(Telephone::call(Entry::Deposit { mailbox: disabled.clone() }).look(), Telephone::call(Entry::Unavailable).look());
    assert_eq!(Telephone::call(Entry::Retrieval { mailbox: Some(disabled) }).look(), "enter-mailbox");
}

#[test]
fn there_are_three_attempts_a_call() {
    let mut telephone = Telephone::call(Entry::Deposit { mailbox: mailbox() });
    telephone.press("*").forget();

    for _ in 0..2 {
        telephone.press("1#").answer(Answer::Passcode(Verdict::Wrong));
    }
    assert_eq!(telephone.look(), "ann 1?, login-wrong enter-passcode-again, ann 1?, login-wrong enter-passcode-again");
    telephone.press("1#").answer(Answer::Passcode(Verdict::Wrong)).listen();
    assert_eq!(telephone.look(), "ann 1?, login-wrong too-many-attempts goodbye, hang up");
}

#[test]
fn choosing_another_mailbox_gives_no_further_attempts() {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: None });
    for _ in 0..3 {
        telephone.press("1001#").answer(Answer::Mailbox(None)).press("1#").answer(Answer::Passcode(Verdict::Wrong)).press("*");
    }
    telephone.listen();

    assert!(telephone.session.is_over());
}

#[test]
fn a_string_of_forty_digits_is_as_many_guesses_as_it_holds() {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(mailbox()) });
    telephone.forget().press(&"1234567890".repeat(4));
    assert_eq!(telephone.look(), "ann 12345678901234567890 own line?");

    telephone.answer(Answer::Passcode(Verdict::Wrong));
    assert_eq!(telephone.look(), "login-wrong enter-passcode-again other-mailbox, stop");
    telephone.wait();
    assert_eq!(telephone.look(), "ann 12345678901234567890 own line?");
}

#[test]
fn the_pound_after_the_longest_passcode_belongs_to_it() {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(mailbox()) });
    telephone.forget().press("12345678901234567890");
    assert_eq!(telephone.look(), "");

    telephone.press("#").answer(Answer::Passcode(Verdict::Right)).answer(messages(&[]));

    let said = telephone.look();
    assert!(said.starts_with("ann 12345678901234567890 own line?, count?, ") && !said.contains("goodbye"), "{said}");
    telephone.press("#");
    assert_eq!(telephone.look(), "goodbye");
}

#[test]
fn a_star_clears_the_longest_passcode_too() {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(mailbox()) });

    telephone.forget().press("12345678901234567890*34#");

    assert_eq!(telephone.look(), "enter-passcode, ann 34 own line?");
}

#[test]
fn star_clears_what_was_typed() {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(mailbox()) });

    telephone.press("12*34#");

    assert_eq!(telephone.look(), "enter-passcode, enter-passcode, ann 34 own line?");
}

#[test]
fn an_empty_passcode_is_a_failed_attempt_too() {
    let mut telephone = Telephone::call(Entry::Deposit { mailbox: mailbox() });

    telephone.press("*###").listen();

    assert!(telephone.session.is_over());
}

#[test]
fn whoever_types_nothing_is_asked_twice_again() {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: None });

    telephone.listen().wait().listen().wait().listen().wait();

    assert_eq!(telephone.look(), "enter-mailbox, enter-mailbox, enter-mailbox, goodbye");
}

#[test]
fn a_check_that_fails_is_no_wrong_passcode() {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(mailbox()) });

    telephone.press("1#").forget().answer(Answer::Failed);

    assert_eq!(telephone.look(), "something-wrong goodbye");
}

/// What is heard from the passcode prompt on, when three attempts fail.
fn fail(mut telephone: Telephone, verdict: Verdict) -> String {
    telephone.forget();
    for _ in 0..3 {
        telephone.press("49158730#").answer(Answer::Passcode(verdict));
    }
    telephone.listen();
    telephone.look().replace("nobody", "ann")
}
