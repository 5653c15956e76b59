use super::*;

const MENU: &str = "to-shared press-4 to-options press-0 to-help press-star to-leave press-pound";
const CHOICE: &str = "for-mailbox digit-5 digit-0 digit-0 digit-1-end press-1";

#[test]
fn an_owner_is_told_of_shared_messages_after_the_own_ones() {
    let mut telephone = owner_enters();
    telephone.forget().answer(messages(&[]));
    assert_eq!(telephone.look(), "shared of ann?");

    telephone.answer(shared(2));

    let told = "mailbox-number digit-5 digit-0 digit-0 digit-1-end has-new number-2 new-messages";
    assert_eq!(telephone.look(), format!("no-messages {told} {MENU}"));
}

#[test]
fn a_shared_mailbox_without_new_messages_is_not_told_of() {
    let mut telephone = owner_enters();
    telephone.answer(messages(&[])).forget().answer(shared(0));
    assert_eq!(telephone.look(), format!("no-messages {MENU}"));

    let mut telephone = owner_enters();
    telephone.answer(messages(&[])).forget().answer(shared(1));
    assert!(telephone.look().contains("digit-1-end has-new-1 to-shared"));

    let mut telephone = owner_enters();
    telephone.answer(messages(&[])).forget().answer(Answer::Failed);
    assert_eq!(telephone.look(), format!("no-messages {MENU}"), "what cannot be looked up keeps nobody from the own messages");
}

#[test]
fn an_owner_opens_a_shared_mailbox_and_goes_back() {
    let mut telephone = in_the_menu();

    telephone.press("4").answer(shared(2));
    assert_eq!(telephone.look(), format!("stop, shared of ann?, {CHOICE} to-cancel press-star"));
    telephone.press("1");
    assert_eq!(telephone.look(), "open sales for ann?");
    telephone.answer(Answer::Mailbox(Some(Box::new(shared_mailbox())))).answer(messages(&[message("a")]));
    assert!(telephone.look().starts_with("count?, in-mailbox digit-5 digit-0 digit-0 digit-1-end new-1 to-hear-new"));

    telephone.press("4").answer(shared(1));
    assert!(telephone.look().ends_with(&format!("{CHOICE} for-own-mailbox press-0 to-cancel press-star")));
    telephone.press("0");
    assert_eq!(telephone.look(), "open ann for ann?");
    telephone.answer(Answer::Mailbox(Some(Box::new(owner())))).answer(messages(&[]));
    assert!(telephone.look().starts_with("count?, in-mailbox digit-1 digit-0 digit-0 digit-1-end no-messages"));
}

#[test]
fn an_owner_is_told_of_no_key_for_the_passcode_of_a_shared_mailbox() {
    let mut telephone = in_the_menu();
    telephone.press("0");
    assert!(telephone.look().contains("to-change-passcode press-3"));
    telephone.press("#").answer(messages(&[])).press("4").answer(shared(1)).press("1");
    telephone.answer(Answer::Mailbox(Some(Box::new(shared_mailbox())))).answer(messages(&[])).forget();

    telephone.press("0*");
    let told = telephone.look();
    assert!(told.contains("to-record-busy") && !told.contains("to-change-passcode"), "{told}");
    telephone.press("3");
    assert!(telephone.look().starts_with("not-done "));
}

#[test]
fn what_an_owner_sends_from_a_shared_mailbox_comes_from_the_owner() {
    let mut telephone = in_the_menu();
    telephone.press("4").answer(shared(1)).press("1").answer(Answer::Mailbox(Some(Box::new(shared_mailbox()))));
    telephone.answer(messages(&[])).forget();

    telephone.press("31002#").answer(Answer::Addressee(Some(addressee("1002"))));

    assert!(telephone.look().contains("ann to 1002?"));
}

#[test]
fn an_owner_does_not_change_the_passcode_of_a_shared_mailbox() {
    let mut telephone = in_the_menu();
    telephone.press("4").answer(shared(1)).press("1").answer(Answer::Mailbox(Some(Box::new(shared_mailbox()))));

    telephone.answer(messages(&[])).press("0").forget().press("3");

    assert!(telephone.look().starts_with("not-done to-record-greeting"));
}

#[test]
fn a_mailbox_that_is_not_the_owners_any_more_is_not_opened() {
    let mut telephone = in_the_menu();

    telephone.press("4").answer(shared(1)).press("1").answer(Answer::Mailbox(None)).forget().answer(messages(&[]));

    assert_eq!(telephone.look(), format!("mailbox-gone no-messages {MENU}"));
}

#[test]
fn a_choice_can_be_left_and_silence_ends_it() {
    let mut telephone = in_the_menu();
    telephone.press("4").answer(shared(1)).forget().press("*").answer(messages(&[]));
    assert_eq!(telephone.look(), format!("count?, no-messages {MENU}"));

    let mut telephone = in_the_menu();
    telephone.press("4").answer(shared(1)).forget().press("7");
    assert_eq!(telephone.look(), format!("invalid-choice {CHOICE} to-cancel press-star"));
    telephone.listen().wait().listen().wait().listen().wait();
    assert!(telephone.look().ends_with("goodbye"));
}

#[test]
fn whoever_owns_none_has_no_such_key() {
    let mut telephone = super::retrieval::logged_in(&[]);

    telephone.forget().press("4");

    assert!(telephone.look().starts_with("invalid-choice"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn whatever_an_owner_does_nothing_is_owed(happenings in vec(happening(), 0..100)) {
        let mut telephone = in_the_menu();
        telephone.press("4");
        live_through(telephone, happenings);
    }
}

fn shared(new: u32) -> Answer {
    Answer::SharedMailboxes(vec![SharedMailbox { view: shared_mailbox(), new }])
}

/// An owner who has said the passcode.
fn owner_enters() -> Telephone {
    let owner = MailboxView { administrator: false, ..owner() };
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(owner) });
    telephone.press("1#").answer(Answer::Passcode(Verdict::Right));
    telephone
}

/// An owner in the main menu.
fn in_the_menu() -> Telephone {
    let mut telephone = owner_enters();
    telephone.answer(messages(&[])).answer(shared(0)).forget();
    telephone
}
