//! Greetings and spoken names, what is told of them, and first logins that are broken off.

use std::{io::Write as _, time::Duration};

use afterbeep::{
    audio::{law::Law, quality::Fault},
    domain::{
        forward::Forward,
        greeting::{GreetingKind, Temporary},
        id::{AudioKey, MailboxId},
        mailbox::Due,
        mailbox_log::{Change, Channel, Event, Origin},
        tenant_phrase::TenantPhrase,
        time::Timestamp,
    },
    store::{
        ChangeError,
        greeting::{GreetingChange, RecordingError},
        journal::Encoding,
        outbox::Errand,
        tenant_phrase::PhraseChange,
    },
};

use super::{DAY, House, NOW, on_both_databases, passcode};

on_both_databases! {
    an_accepted_greeting_replaces_the_old_one
    every_greeting_can_be_brought_back_once_more
    of_two_changes_at_once_each_keeps_what_it_replaced
    a_temporary_greeting_has_an_end_or_none
    a_temporary_greeting_keeps_an_end_that_is_ahead_when_it_is_recorded_anew_or_brought_back
    a_silent_or_distorted_recording_is_no_greeting
    a_recording_that_is_not_accepted_leaves_nothing
    a_greeting_needs_a_mailbox
    a_change_is_logged_and_mailed_with_where_it_came_from
    a_first_login_goes_on_where_it_was_broken_off
    whoever_gets_a_new_passcode_is_asked_for_it_only
    a_tenant_has_phrases_of_its_own
}

const PHONE: fn() -> Origin =
    || Origin { channel: Channel::Phone, number: Some("2025550143".to_owned()), address: Some("192.0.2.7".to_owned()) };

async fn an_accepted_greeting_replaces_the_old_one(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let old = set(&house, &mailbox, GreetingKind::Standard).await;
    let name = set(&house, &mailbox, GreetingKind::Name).await;

    let scratch = house.store.create_scratch(Encoding::Alaw).await.unwrap();
    scratch.audio_file().unwrap().write_all(&[0xd5; 900]).unwrap();
    let said = spoken(1.5);
    scratch.restart().unwrap().write_all(&Law::A.encoded(&spoken(2.0))).unwrap();
    let kept = Duration::from_millis(1500);
    let new = house.store.set_greeting(change(&mailbox, GreetingKind::Standard), scratch, kept, NOW).await.unwrap();

    let stored = house.store.mailbox(&mailbox).await.unwrap().unwrap();
    assert_eq!((stored.greeting.as_ref(), stored.spoken_name), (Some(&new), Some(name)));
    let wav = house.store.audio(&new).await.unwrap();
    let samples: Vec<i16> = hound::WavReader::new(&wav[..]).unwrap().into_samples().map(Result::unwrap).collect();
    assert_eq!(samples, Law::A.decoded(&Law::A.encoded(&said)));
    assert!(house.store.audio(&old).await.is_ok(), "it can be brought back");
    set(&house, &mailbox, GreetingKind::Standard).await;
    assert!(house.store.audio(&old).await.is_err(), "the one before the last change is gone");
    assert!(house.store.remove_greeting(change(&mailbox, GreetingKind::Standard), NOW).await.unwrap());
    assert!(!house.store.remove_greeting(change(&mailbox, GreetingKind::Standard), NOW).await.unwrap());
    assert_eq!(house.store.mailbox(&mailbox).await.unwrap().unwrap().greeting, None);
    assert_eq!((house.audio_files().len(), house.spooled_files().len()), (2, 0));
}

async fn every_greeting_can_be_brought_back_once_more(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    for kind in GreetingKind::ALL {
        let change = change(&mailbox, kind);
        let current = async || {
            let greetings = house.store.greetings(&mailbox).await.unwrap();
            greetings.into_iter().find(|greeting| greeting.kind == kind).map(|greeting| (greeting.audio, greeting.previous))
        };
        assert!(!house.store.bring_back_greeting(change, NOW).await.unwrap(), "{kind}");
        assert_eq!(current().await, None);

        let first = set(&house, &mailbox, kind).await;
        let second = set(&house, &mailbox, kind).await;
        assert_eq!(current().await, Some((Some(second.clone()), Some(first.clone()))), "{kind}");

        assert!(house.store.bring_back_greeting(change, NOW).await.unwrap());
        assert_eq!(current().await, Some((Some(first.clone()), Some(second.clone()))), "{kind}");
        assert!(house.store.bring_back_greeting(change, NOW).await.unwrap());
        assert!(house.store.remove_greeting(change, NOW).await.unwrap());
        assert_eq!(current().await, Some((None, Some(second.clone()))), "{kind}");
        assert!(house.store.audio(&first).await.is_err());
        // After a removal the one that is brought back is the one that was removed.
        let third = set(&house, &mailbox, kind).await;
        assert_eq!(current().await, Some((Some(third), Some(second.clone()))), "{kind}");
        assert!(house.store.bring_back_greeting(change, NOW).await.unwrap());
    }
    assert_eq!(house.audio_files().len(), 2 * GreetingKind::ALL.len());
    let kinds: Vec<_> = house.store.greetings(&mailbox).await.unwrap().into_iter().map(|greeting| greeting.kind).collect();
    assert_eq!(kinds, GreetingKind::ALL);
    house.store.remove_mailbox(&mailbox, NOW).await.unwrap();
    assert_eq!(house.audio_files().len(), 0);
}

async fn of_two_changes_at_once_each_keeps_what_it_replaced(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let first = set(&house, &mailbox, GreetingKind::Temporary).await;

    let (one, two) = tokio::join!(set(&house, &mailbox, GreetingKind::Temporary), set(&house, &mailbox, GreetingKind::Temporary));

    let greeting = house.store.greetings(&mailbox).await.unwrap().remove(0);
    let (audio, previous) = (greeting.audio.unwrap(), greeting.previous.unwrap());
    assert!((audio == one && previous == two) || (audio == two && previous == one));
    assert!(house.store.audio(&first).await.is_err());
    assert_eq!(house.audio_files().len(), 2);
}

async fn a_temporary_greeting_has_an_end_or_none(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let by = Origin::command();
    let kept = async || house.store.mailbox(&mailbox).await.unwrap().unwrap().temporary;
    assert!(!house.store.end_temporary_greeting(&mailbox, None, &by, NOW).await.unwrap());

    let until = NOW.after(DAY);
    let change = change(&mailbox, GreetingKind::Temporary);
    house.store.set_greeting_wav(change, Some(until), vec![1], NOW).await.unwrap();

    assert_eq!(kept().await, Some(Temporary { until: Some(until) }));
    assert_eq!(house.store.greetings(&mailbox).await.unwrap()[0].until, Some(until));
    assert!(house.store.end_temporary_greeting(&mailbox, None, &by, NOW).await.unwrap());
    assert_eq!(kept().await, Some(Temporary { until: None }));
    house.store.remove_greeting(change, NOW).await.unwrap();
    assert_eq!(kept().await, None);
}

async fn a_temporary_greeting_keeps_an_end_that_is_ahead_when_it_is_recorded_anew_or_brought_back(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let change = change(&mailbox, GreetingKind::Temporary);
    let ends = async || house.store.mailbox(&mailbox).await.unwrap().unwrap().temporary.map(|temporary| temporary.until);
    let until = NOW.after(DAY);
    house.store.set_greeting_wav(change, Some(until), vec![1], NOW).await.unwrap();

    record(&house, change, NOW.after(Duration::from_mins(1))).await;
    assert_eq!(ends().await, Some(Some(until)), "recorded anew");
    house.store.set_greeting_wav(change, None, vec![2], NOW).await.unwrap();
    assert_eq!(ends().await, Some(None), "a command that names no end means none");
    house.store.bring_back_greeting(change, NOW).await.unwrap();
    assert_eq!(ends().await, Some(Some(until)), "brought back");
    house.store.remove_greeting(change, NOW).await.unwrap();
    house.store.bring_back_greeting(change, NOW).await.unwrap();
    assert_eq!(ends().await, Some(Some(until)), "brought back after its removal");

    record(&house, change, until).await;
    assert_eq!(ends().await, Some(None), "an end that has passed");
    house.store.bring_back_greeting(change, until).await.unwrap();
    assert_eq!(ends().await, Some(None), "what had ended is to be heard when it is brought back");
}

async fn record(house: &House, change: GreetingChange<'_>, now: Timestamp) {
    let scratch = house.store.create_scratch(Encoding::Mulaw).await.unwrap();
    scratch.audio_file().unwrap().write_all(&Law::Mu.encoded(&spoken(2.0))).unwrap();
    house.store.set_greeting(change, scratch, Duration::from_secs(2), now).await.unwrap();
}

async fn a_silent_or_distorted_recording_is_no_greeting(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let old = set(&house, &mailbox, GreetingKind::Standard).await;
    let loud: Vec<i16> = spoken(3.0).iter().map(|sample| sample.saturating_mul(40)).collect();

    for (samples, fault) in [(vec![0; 24_000], Fault::Silent), (loud, Fault::Clipped)] {
        let scratch = house.store.create_scratch(Encoding::Mulaw).await.unwrap();
        scratch.audio_file().unwrap().write_all(&Law::Mu.encoded(&samples)).unwrap();
        let change = change(&mailbox, GreetingKind::Standard);
        let refused = house.store.set_greeting(change, scratch, Duration::from_secs(3), NOW).await;

        assert!(matches!(refused, Err(RecordingError::Unfit(why)) if why == fault), "{refused:?}");
    }
    assert_eq!(house.store.mailbox(&mailbox).await.unwrap().unwrap().greeting, Some(old));
    assert_eq!((house.audio_files().len(), house.spooled_files().len()), (1, 0));
}

async fn a_recording_that_is_not_accepted_leaves_nothing(house: House) {
    let scratch = house.store.create_scratch(Encoding::Mulaw).await.unwrap();
    scratch.audio_file().unwrap().write_all(&[0xff; 900]).unwrap();
    assert_eq!(scratch.reader(Duration::from_millis(100))().unwrap().len(), 800);
    // A server that starts beside it leaves it alone.
    house.another().await.recover(NOW).await.unwrap();
    assert_eq!(house.spooled_files().len(), 1);

    drop(scratch);

    assert_eq!((house.spooled_files().len(), house.audio_files().len()), (0, 0));
}

async fn a_greeting_needs_a_mailbox(house: House) {
    let nobody = MailboxId::random();
    let outcome = house.store.set_greeting_wav(change(&nobody, GreetingKind::Name), None, vec![1], NOW).await;

    assert!(matches!(outcome, Err(ChangeError::Gone)));
    assert_eq!(house.audio_files().len(), 0);
}

async fn a_change_is_logged_and_mailed_with_where_it_came_from(house: House) {
    let mailbox = enrolled(&house, "1001").await;
    let busy = GreetingKind::Forwarded(Forward::Busy);
    let by = PHONE();
    let change = GreetingChange { mailbox: &mailbox, kind: busy, by: &by };

    house.store.set_greeting_wav(change, None, vec![1], NOW).await.unwrap();
    house.store.remove_greeting(change, NOW.after(Duration::from_secs(1))).await.unwrap();
    house.store.bring_back_greeting(change, NOW.after(Duration::from_secs(2))).await.unwrap();

    let changes = [Change::Replaced, Change::Removed, Change::BroughtBack];
    let wanted: Vec<Event> = changes.into_iter().map(|how| Event::GreetingChanged { greeting: busy, how }).collect();
    let mut logged = house.store.mailbox_log(&mailbox, 10).await.unwrap();
    logged.reverse();
    assert!(logged.iter().all(|entry| entry.by == by && entry.mailed && entry.repeated == 0), "{logged:?}");
    assert_eq!(logged.into_iter().map(|entry| entry.event).collect::<Vec<_>>(), wanted);
    let mails = house.store.list_outbox().await.unwrap();
    assert!(mails.iter().all(|mail| mail.errand.kind() == "greeting_changed" && mail.mailbox == mailbox));
    let errands: Vec<Errand> = mails.into_iter().map(|mail| mail.errand).collect();
    let noticed = |event: Event| Errand::Noticed { event, by: by.clone(), last: false };
    assert_eq!(errands, wanted.into_iter().map(noticed).collect::<Vec<_>>());
}

async fn a_first_login_goes_on_where_it_was_broken_off(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let due = async || {
        let mailbox = house.store.mailbox(&mailbox).await.unwrap().unwrap();
        (mailbox.due, mailbox.enrolled)
    };
    let by = PHONE();
    let name = GreetingChange { mailbox: &mailbox, kind: GreetingKind::Name, by: &by };
    assert_eq!(due().await, (Due::EVERYTHING, false));

    house.store.set_passcode(&mailbox, &passcode("60271948"), &by, NOW).await.unwrap();
    assert_eq!(due().await, (Due { passcode: false, name: true, greeting: true }, false));
    house.store.set_greeting_wav(name, None, vec![1], NOW).await.unwrap();
    assert_eq!(due().await, (Due { passcode: false, name: false, greeting: true }, false));
    house.store.skip_greeting(GreetingChange { kind: GreetingKind::Standard, ..name }, NOW).await.unwrap();
    assert_eq!(due().await, (Due::NOTHING, true));

    // The passcode at once, and the rest in one mail at the end.
    let mails: Vec<_> = house.store.list_outbox().await.unwrap().iter().map(|mail| mail.errand.kind()).collect();
    assert_eq!(mails.len(), 2, "{mails:?}");
    assert!(mails.contains(&"passcode_changed") && mails.contains(&"set_up"), "{mails:?}");
    let logged: Vec<_> = house.store.mailbox_log(&mailbox, 9).await.unwrap().iter().map(|entry| entry.event.what()).collect();
    assert_eq!(logged.len(), 3, "{logged:?}");
}

async fn whoever_gets_a_new_passcode_is_asked_for_it_only(house: House) {
    let (mailbox, administrator) = (enrolled(&house, "1001").await, enrolled(&house, "1002").await);
    for _ in 0..10 {
        let guess = afterbeep::store::passcode::AttemptSource::Remote(format!("{}", rand::random::<u64>()));
        house.store.check_passcode(Some(&mailbox), &guess, &passcode("1"), NOW).await.unwrap();
    }
    assert!(house.store.remote_access(&mailbox).await.unwrap().locked_at.is_some());
    let mailbox = house.store.mailbox(&mailbox).await.unwrap().unwrap();
    let locked = house.store.list_outbox().await.unwrap().len();

    house.store.reset_passcode(&mailbox, &passcode("60271948"), &administrator, &PHONE(), NOW).await.unwrap();

    let after = house.store.mailbox(&mailbox.id).await.unwrap().unwrap();
    assert_eq!((after.due, after.enrolled), (Due { passcode: true, name: false, greeting: false }, false));
    assert_eq!(house.store.remote_access(&mailbox.id).await.unwrap().locked_at, None);
    let mails = house.store.list_outbox().await.unwrap();
    let reset: Vec<_> = mails.iter().filter(|mail| mail.errand.kind() == "passcode_reset").collect();
    assert_eq!((reset.len(), mails.len()), (1, locked + 1));
    assert!(!serde_json::to_string(&reset[0].errand).unwrap().contains("60271948"));
    let log = house.store.mailbox_log(&administrator, 10).await.unwrap();
    assert_eq!(log[0].event, Event::ResetPasscodeOf { mailbox: "1001".parse().unwrap() });
    assert_eq!(house.store.mailbox_log(&mailbox.id, 10).await.unwrap()[0].event, Event::PasscodeReset);
    house.store.set_passcode(&mailbox.id, &passcode("49158731"), &PHONE(), NOW).await.unwrap();
    assert!(house.store.mailbox(&mailbox.id).await.unwrap().unwrap().enrolled);
}

async fn a_tenant_has_phrases_of_its_own(house: House) {
    let administrator = enrolled(&house, "1001").await;
    let by = PHONE();
    let change = |tenant| PhraseChange { tenant, phrase: TenantPhrase::Welcome, administrator: Some(&administrator), by: &by };

    house.store.set_tenant_phrase_wav(change("a.example"), vec![1], NOW).await.unwrap();
    house.store.set_tenant_phrase_wav(change("a.example"), vec![2], NOW).await.unwrap();
    house.store.set_tenant_phrase_wav(change(""), vec![3], NOW).await.unwrap();

    let phrases = house.store.tenant_phrases("a.example").await.unwrap();
    assert_eq!(phrases.len(), 1);
    assert_eq!(house.store.audio(&phrases[0].1).await.unwrap()[..], [2]);
    assert_eq!(house.store.tenant_phrases("b.example").await.unwrap(), []);
    assert_eq!(house.audio_files().len(), 2);
    assert!(house.store.remove_tenant_phrase(change("a.example"), NOW).await.unwrap());
    assert!(!house.store.remove_tenant_phrase(change("a.example"), NOW).await.unwrap());
    assert_eq!(house.audio_files().len(), 1);
    assert_eq!(house.store.mailbox_log(&administrator, 10).await.unwrap().len(), 4);
}

fn change(mailbox: &MailboxId, kind: GreetingKind) -> GreetingChange<'_> {
    static COMMAND: Origin = Origin::command();
    GreetingChange { mailbox, kind, by: &COMMAND }
}

async fn set(house: &House, mailbox: &MailboxId, kind: GreetingKind) -> AudioKey {
    house.store.set_greeting_wav(change(mailbox, kind), None, vec![1, 2, 3], NOW).await.unwrap()
}

async fn enrolled(house: &House, number: &str) -> MailboxId {
    let mailbox = house.mailbox(number).await.id;
    let change = afterbeep::store::mailbox::MailboxChange { enrolled: Some(true), ..Default::default() };
    house.store.update_mailbox(&mailbox, change, NOW).await.unwrap().id
}

/// Something that is no silence: a tone that comes and goes.
fn spoken(seconds: f64) -> Vec<i16> {
    let samples = (0..(seconds * 8000.0) as usize).map(|n| {
        let on = (n / 1600).is_multiple_of(2);
        if on { ((n as f64 * 0.4).sin() * 8000.0) as i16 } else { 0 }
    });
    samples.collect()
}
