use super::*;

const TASKS: &str = "to-reset-passcode press-1 to-phrase-greeting press-2 to-phrase-welcome press-3 to-phrase-no-mailbox press-4 \
     to-go-back press-star";

#[test]
fn only_an_administrator_hears_of_administration_and_gets_there() {
    let mut somebody = super::options::options();
    somebody.press("*");
    assert!(!somebody.look().contains("administer"));
    somebody.press("9");
    assert!(somebody.look().starts_with("invalid-choice "));

    let mut administrator = administrator();
    assert!(administrator.look().contains("to-administer press-9"));
    administrator.press("9");
    assert_eq!(administrator.look(), TASKS);
    administrator.press("*");
    assert!(administrator.look().contains("to-administer press-9"));
}

#[test]
fn an_owner_of_a_shared_mailbox_that_administrates_is_no_administrator() {
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(MailboxView { owns_shared: true, ..mailbox() }) });
    let shared = MailboxView { id: MailboxId::from_stored("desk"), administrator: true, ..mailbox() };
    telephone.press("1#").answer(Answer::Passcode(Verdict::Right)).answer(messages(&[]));
    telephone.answer(Answer::SharedMailboxes(vec![])).press("4");
    telephone.answer(Answer::SharedMailboxes(vec![SharedMailbox { view: shared.clone(), new: 0 }])).press("1");
    telephone.answer(Answer::Mailbox(Some(Box::new(shared)))).answer(messages(&[])).press("0").forget();

    telephone.press("9");

    assert!(telephone.look().starts_with("invalid-choice "));
}

#[test]
fn a_passcode_is_reset_after_the_number_was_said_and_told_digit_by_digit() {
    let mut telephone = administration();

    telephone.press("1");
    assert_eq!(telephone.look(), "enter-other-mailbox");
    telephone.press("1002#");
    let number = "mailbox-is digit-1 digit-0 digit-0 digit-2-end";
    assert_eq!(telephone.look(), format!("{number} to-reset press-1 to-go-back press-star"));
    telephone.press("1");
    assert_eq!(telephone.look(), "reset 1002?");
    telephone.answer(Answer::Account(AccountAnswer::NewPasscode(Some(Digits("60718293".to_owned())))));
    let told = "new-passcode-is digit-6 digit-0 digit-7 digit-1 digit-8 digit-2 digit-9 digit-3-end";
    let menu = "to-hear-again press-2 to-go-back press-star";
    assert_eq!(telephone.look(), format!("{told} {menu}"));
    telephone.press("2");
    assert_eq!(telephone.look(), format!("{told} {menu}"));
    telephone.press("1");
    assert_eq!(telephone.look(), format!("invalid-choice {menu}"), "nothing is reset twice");
    telephone.press("#");
    assert_eq!(telephone.look(), TASKS);
}

#[test]
fn nothing_is_reset_that_was_not_confirmed() {
    let mut telephone = administration();
    telephone.press("11002#").forget().press("2");
    assert!(telephone.look().starts_with("invalid-choice "));
    telephone.press("*");
    assert_eq!(telephone.look(), TASKS);

    telephone.press("11002#").forget().hang_up();
    assert!(!telephone.look().contains("reset"));
    assert!(telephone.session.is_over());
}

#[test]
fn a_mailbox_that_is_not_there_is_asked_for_again() {
    let mut telephone = administration();
    telephone.press("11009#1").forget().answer(Answer::Account(AccountAnswer::NewPasscode(None)));
    assert_eq!(telephone.look(), "no-such-mailbox enter-other-mailbox");

    telephone.press("1002#1").forget().answer(Answer::Failed);
    assert_eq!(telephone.look(), format!("not-done {TASKS}"));
}

#[test]
fn the_new_passcode_is_never_printed() {
    let mut telephone = administration();
    telephone.press("11002#1").answer(Answer::Account(AccountAnswer::NewPasscode(Some(Digits("60718293".to_owned())))));

    let printed = format!("{:?}", telephone.session);
    assert!(!printed.contains("60718293") && !printed.contains("Digit6"), "{printed}");
}

#[test]
fn every_phrase_of_the_tenant_is_recorded_heard_and_removed() {
    for (key, phrase) in [("2", "greeting"), ("3", "welcome"), ("4", "no-mailbox")] {
        let mut telephone = administration();

        telephone.press(key);
        assert_eq!(telephone.look(), format!("which {phrase}?"));
        telephone.answer(Answer::Account(AccountAnswer::Phrase(None)));
        assert_eq!(telephone.look(), "no-recording to-record-it press-2 to-go-back press-star");
        telephone.press("2#").answer(Answer::RecordingReady).listen();
        assert_eq!(telephone.look(), "record-phrase, stop, prepare Phrase?, BEEP, record Phrase 15s");
        telephone.speak(4.0, RecordingEnd::Silence).forget().press("1");
        assert_eq!(telephone.look(), format!("stop, set phrase {phrase}?"));
        telephone.answer(Answer::Done);
        assert_eq!(telephone.look(), format!("recording-kept {TASKS}"));
        telephone.press(key).forget().answer(Answer::Account(AccountAnswer::Phrase(Some(AudioKey::random()))));
        let menu = "to-hear-it press-1 to-record-it press-2 to-remove-it press-7 to-go-back press-star";
        assert_eq!(telephone.look(), menu);
        telephone.press("1").press("3");
        assert_eq!(telephone.look(), format!("GREETING {menu}, invalid-choice {menu}"));
        telephone.press("7");
        assert_eq!(telephone.look(), format!("remove phrase {phrase}?"));
    }
}

#[test]
fn the_tenant_speaks_before_a_login_and_at_a_number_without_a_mailbox() {
    let phrases = TenantPhrases { welcome: Some(AudioKey::random()), no_mailbox: Some(AudioKey::random()) };
    let heard = |entry| {
        let settings = Settings { phrases: phrases.clone(), ..Settings::default() };
        let (_, effects) = Session::new(entry, settings);
        effects.iter().map(super::describe).collect::<Vec<_>>().join(", ")
    };

    assert_eq!(heard(Entry::Retrieval { mailbox: None }), "GREETING enter-mailbox");
    assert_eq!(heard(Entry::Retrieval { mailbox: Some(mailbox()) }), "GREETING enter-passcode");
    assert_eq!(heard(Entry::Unavailable), "GREETING goodbye");
}

/// An administrator among the options.
fn administrator() -> Telephone {
    let mailbox = MailboxView { administrator: true, ..mailbox() };
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(mailbox) });
    telephone.press("1#").answer(Answer::Passcode(Verdict::Right)).answer(messages(&[])).forget().press("0");
    telephone
}

/// An administrator among the tasks.
pub(super) fn administration() -> Telephone {
    let mut telephone = administrator();
    telephone.press("9").forget();
    telephone
}
