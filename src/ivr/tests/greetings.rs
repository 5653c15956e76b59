use super::{
    account::greeting,
    options::{MENU, options},
    *,
};
use crate::domain::{
    forward::Forward,
    greeting::{Greeting, GreetingKind},
};

const KINDS: &str = "to-the-greeting press-1 to-the-busy press-2 to-the-no-answer press-3 to-the-temporary press-4 to-the-name press-5 \
     to-go-back press-star";
const ALL: &str = "to-hear-it press-1 to-record-it press-2 to-bring-back press-3 to-remove-it press-7 to-go-back press-star";

#[test]
fn the_previous_recording_of_every_kind_is_brought_back_by_one_key() {
    for (key, kind) in [
        ("1", GreetingKind::Standard),
        ("2", GreetingKind::Forwarded(Forward::Busy)),
        ("3", GreetingKind::Forwarded(Forward::NoAnswer)),
        ("4", GreetingKind::Temporary),
        ("5", GreetingKind::Name),
    ] {
        let mut telephone = greetings();
        assert_eq!(telephone.look(), KINDS);

        telephone.press(key);
        assert_eq!(telephone.look(), format!("which {kind}?"));
        telephone.answer(found(Some(greeting(kind)))).forget().press("3");
        assert_eq!(telephone.look(), format!("bring back {kind}?"));
        telephone.answer(Answer::Done).answer(found(Some(Greeting { until: None, ..greeting(kind) })));
        assert!(telephone.look().starts_with(&format!("which {kind}?, brought-back to-hear-it press-1")), "{kind}");
    }
}

#[test]
fn a_greeting_can_be_heard_and_removed() {
    let mut telephone = greetings();
    telephone.press("1").forget().answer(found(Some(greeting(GreetingKind::Standard))));
    assert_eq!(telephone.look(), ALL);

    telephone.press("1");
    assert_eq!(telephone.look(), format!("GREETING {ALL}"));
    telephone.press("7");
    assert_eq!(telephone.look(), "remove standard?");
    telephone.answer(Answer::Done);
    let removed = Greeting { audio: None, ..greeting(GreetingKind::Standard) };
    telephone.answer(found(Some(removed)));
    assert_eq!(
        telephone.look(),
        "which standard?, recording-removed no-recording to-record-it press-2 to-bring-back press-3 to-go-back press-star"
    );
    telephone.press("1");
    assert!(telephone.look().starts_with("invalid-choice "), "there is nothing to hear");
    telephone.press("*");
    assert_eq!(telephone.look(), KINDS);
    telephone.press("*");
    assert_eq!(telephone.look(), MENU);
}

#[test]
fn a_temporary_greeting_is_given_an_end() {
    let mut telephone = options();
    telephone.press("5#").answer(Answer::RecordingReady).listen().speak(3.0, RecordingEnd::Silence).press("1");
    telephone.forget().answer(Answer::Done).answer(found(Some(greeting(GreetingKind::Temporary))));
    assert_eq!(
        telephone.look(),
        "which temporary?, greeting-saved to-hear-it press-1 to-record-it press-2 to-bring-back press-3 to-set-end press-4 \
         to-remove-it press-7 to-go-back press-star"
    );

    telephone.press("4");
    assert_eq!(telephone.look(), "enter-days");
    telephone.press("0#");
    assert_eq!(telephone.look(), "invalid-choice enter-days");
    telephone.press("5#");
    assert_eq!(telephone.look(), "end after 5?");
    let (now, until) = (NOW.parse().unwrap(), "2026-11-25T00:00:00Z".parse().unwrap());
    telephone.answer(Answer::Account(AccountAnswer::EndsAt { now, until }));
    telephone.answer(found(Some(Greeting { until: Some(until), ..greeting(GreetingKind::Temporary) })));
    assert!(telephone.look().starts_with("which temporary?, last-day november day-24 to-hear-it"));
    telephone.press("*");
    assert_eq!(telephone.look(), MENU);
}

#[test]
fn a_temporary_greeting_is_announced_at_login_and_erased_by_one_key() {
    let until: Timestamp = "2026-11-25T00:00:00Z".parse().unwrap();
    for (temporary, reminder) in [
        (Some(Temporary { until: None }), "temporary-on "),
        (Some(Temporary { until: Some(until) }), "temporary-on last-day november day-24 "),
        (Some(Temporary { until: Some(NOW.parse().unwrap()) }), ""),
        (None, ""),
    ] {
        let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(MailboxView { temporary, ..mailbox() }) });
        telephone.press("1#").answer(Answer::Passcode(Verdict::Right)).forget().answer(messages(&[]));

        let erase = if reminder.is_empty() { "" } else { "to-end-temporary press-8 " };
        let menu = format!("{erase}to-options press-0 to-help press-star to-leave press-pound");
        assert_eq!(telephone.look(), format!("no-messages {reminder}{menu}"));
        telephone.press("8");
        if reminder.is_empty() {
            assert_eq!(telephone.look(), format!("invalid-choice {menu}"));
            continue;
        }
        assert_eq!(telephone.look(), "remove temporary?");
        telephone.answer(Answer::Done).answer(messages(&[]));
        let menu = "to-options press-0 to-help press-star to-leave press-pound";
        assert_eq!(telephone.look(), format!("count?, temporary-off no-messages {menu}"));
    }
}

#[test]
fn the_reminder_comes_once_a_call() {
    let temporary = Some(Temporary { until: None });
    let mut telephone = Telephone::call(Entry::Retrieval { mailbox: Some(MailboxView { temporary, ..mailbox() }) });
    telephone.press("1#").answer(Answer::Passcode(Verdict::Right)).answer(messages(&[]));

    telephone.press("0#").forget().answer(messages(&[]));

    assert!(telephone.look().starts_with("no-messages to-end-temporary press-8"));
}

#[test]
fn what_cannot_be_looked_up_or_changed_is_said() {
    let mut telephone = greetings();
    telephone.press("1").forget().answer(Answer::Failed);
    assert_eq!(telephone.look(), format!("not-done {KINDS}"));

    telephone.press("1").answer(found(Some(greeting(GreetingKind::Standard)))).press("3").forget().answer(Answer::Failed);
    telephone.answer(found(None));
    assert_eq!(telephone.look(), "which standard?, not-done no-recording to-record-it press-2 to-go-back press-star");
    telephone.press("*").press("2").answer(Answer::MailboxGone).listen();
    assert!(telephone.session.is_over());
}

/// Somebody who is asked which greeting is meant.
pub(super) fn greetings() -> Telephone {
    let mut telephone = options();
    telephone.press("6");
    telephone
}

fn found(greeting: Option<Greeting>) -> Answer {
    Answer::Account(AccountAnswer::Greeting { now: NOW.parse().unwrap(), greeting })
}
