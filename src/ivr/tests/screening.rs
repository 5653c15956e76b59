//! What a mailbox does with callers, by phone.

use super::*;

const OFFER: &str = "last-caller digit-2 digit-0 digit-2-end to-block press-1 to-leave press-pound";

#[test]
fn the_last_caller_is_said_and_blocked_by_a_key() {
    let mut telephone = logged_in(ScreeningWish::BlockLastCaller);
    assert_eq!(telephone.look(), "last caller of ann?");

    telephone.answer(last_caller(Some("202")));
    assert_eq!(telephone.look(), OFFER);
    telephone.press("1");
    assert_eq!(telephone.look(), "block 202 for ann?");
    telephone.answer(Answer::Done);

    assert_eq!(telephone.look(), "caller-blocked goodbye");
    assert_eq!(telephone.listen().look(), "hang up");
}

#[test]
fn nobody_is_blocked_without_the_key() {
    for keys in ["#", "9#"] {
        let mut telephone = logged_in(ScreeningWish::BlockLastCaller);
        telephone.answer(last_caller(Some("202"))).forget();

        let said = telephone.press(keys).look();

        assert!(said.ends_with("goodbye") && !said.contains("block 202"), "{said}");
    }
    let mut telephone = logged_in(ScreeningWish::BlockLastCaller);
    telephone.answer(last_caller(Some("202"))).listen().wait().listen().wait().listen().forget();

    assert_eq!(telephone.wait().look(), "goodbye");
}

#[test]
fn a_last_caller_who_is_not_known_cannot_be_blocked() {
    for caller in [Answer::LastCaller(None), last_caller(None)] {
        let mut telephone = logged_in(ScreeningWish::BlockLastCaller);
        telephone.forget().answer(caller);

        assert_eq!(telephone.look(), "no-last-caller goodbye");
    }
}

#[test]
fn a_last_caller_without_digits_is_offered_all_the_same() {
    let mut telephone = logged_in(ScreeningWish::BlockLastCaller);
    telephone.forget().answer(last_caller(Some("zoe")));

    assert_eq!(telephone.look(), "to-block press-1 to-leave press-pound");
}

#[test]
fn anonymous_callers_are_refused_and_accepted_in_turn() {
    for (refused, said) in [(true, "anonymous-refused goodbye"), (false, "anonymous-accepted goodbye")] {
        let mut telephone = logged_in(ScreeningWish::SwitchAnonymous);
        assert_eq!(telephone.look(), "switch anonymous of ann?");

        telephone.answer(Answer::AnonymousRefused(refused));

        assert_eq!(telephone.look(), said);
    }
}

#[test]
fn what_cannot_be_done_is_said_so() {
    for (answer, said) in [(Answer::Failed, "not-done goodbye"), (Answer::MailboxGone, "mailbox-gone goodbye")] {
        let mut telephone = logged_in(ScreeningWish::SwitchAnonymous);
        telephone.forget().answer(answer);

        assert_eq!(telephone.look(), said);
    }
}

#[test]
fn from_another_line_the_mailbox_is_asked_first() {
    let mut telephone = Telephone::call(Entry::Screening { mailbox: None, wish: ScreeningWish::SwitchAnonymous });

    assert_eq!(telephone.look(), "enter-mailbox");
    telephone.press("1001#").answer(Answer::Mailbox(Some(Box::new(mailbox())))).press("49158730#").forget();
    telephone.answer(Answer::Passcode(Verdict::Right));

    assert_eq!(telephone.look(), "switch anonymous of ann?");
}

#[test]
fn a_wrong_passcode_decides_nothing() {
    let mut telephone = Telephone::call(Entry::Screening { mailbox: Some(mailbox()), wish: ScreeningWish::SwitchAnonymous });
    telephone.press("11112222#").forget();

    assert!(telephone.answer(Answer::Passcode(Verdict::Wrong)).look().starts_with("login-wrong"));
}

fn logged_in(wish: ScreeningWish) -> Telephone {
    let mut telephone = Telephone::call(Entry::Screening { mailbox: Some(mailbox()), wish });
    telephone.press("49158730#").answer(Answer::Passcode(Verdict::Right));
    let question = telephone.effects.split_off(telephone.effects.len() - 1);
    telephone.effects = question;
    telephone
}

fn last_caller(number: Option<&str>) -> Answer {
    Answer::LastCaller(Some(Caller { number: number.map(ToOwned::to_owned), name: None }))
}
