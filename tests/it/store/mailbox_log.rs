//! The logs of mailboxes: logins, failures, new sources.

use std::time::Duration;

use afterbeep::{
    domain::{
        credential::{Alerts, MOST_ALERTS},
        id::{CallId, MailboxId},
        mailbox_log::{Channel, Event, MOST_ENTRIES, Origin},
        time::Timestamp,
    },
    store::{credential::CredentialUse, mailbox::MailboxChange},
};

use super::{DAY, House, NOW, on_both_databases};

on_both_databases! {
    a_login_from_a_new_source_is_mailed_once
    nobody_is_mailed_who_does_not_want_to_be
    new_sources_are_mailed_a_few_times_an_hour
    the_last_access_is_another_calls_and_failures_count_from_there
    failures_are_counted_together_and_push_nothing_out
    old_entries_are_pruned_with_the_records
}

async fn a_login_from_a_new_source_is_mailed_once(house: House) {
    let mailbox = house.mailbox("1001").await.id;

    for origin in [number("2025550101"), number("2025550101"), address("192.0.2.7"), own_line(), address("192.0.2.7")] {
        house.store.note_login(&mailbox, &origin, &CallId::random(), NOW).await.unwrap();
    }

    assert_eq!(mails(&house).await, ["new_source", "new_source"]);
    let mut told: Vec<bool> = house.store.mailbox_log(&mailbox, 10).await.unwrap().iter().map(|entry| entry.mailed).collect();
    told.sort_unstable();
    assert_eq!(told, [false, false, false, true, true]);
}

async fn nobody_is_mailed_who_does_not_want_to_be(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let without_address = house.mailbox("1002").await.id;
    house.store.set_alerts(&mailbox, Alerts::None).await.unwrap();
    let no_email = MailboxChange { email: Some(None), ..MailboxChange::default() };
    house.store.update_mailbox(&without_address, no_email, NOW).await.unwrap();

    for mailbox in [&mailbox, &without_address] {
        house.store.note_login(mailbox, &number("2025550101"), &CallId::random(), NOW).await.unwrap();
    }

    assert!(mails(&house).await.is_empty());
    assert_eq!(house.store.mailbox_log(&mailbox, 10).await.unwrap().len(), 1);
}

async fn new_sources_are_mailed_a_few_times_an_hour(house: House) {
    let mailbox = house.mailbox("1001").await.id;

    for n in 0..10 {
        house.store.note_login(&mailbox, &number(&format!("20255501{n:02}")), &CallId::random(), NOW).await.unwrap();
    }

    assert_eq!(mails(&house).await.len(), MOST_ALERTS as usize);
}

async fn the_last_access_is_another_calls_and_failures_count_from_there(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let this = CallId::random();
    let at = |seconds| NOW.after(Duration::from_secs(seconds));
    let failed = async |origin: Origin, at: Timestamp| {
        house.store.note_failure(&mailbox, &Event::WrongPasscode, &origin, &CallId::random(), at).await.unwrap();
    };
    let never = house.store.last_access(&mailbox, &this).await.unwrap();
    assert_eq!((never.opened, never.failures), (None, 0));

    failed(number("2025550101"), at(0)).await;
    house.store.note_login(&mailbox, &number("2025550101"), &CallId::random(), at(1)).await.unwrap();
    failed(number("2025550101"), at(2)).await;
    failed(number("2025550101"), at(3)).await;
    failed(address("192.0.2.9"), at(4)).await;
    house.store.note_failure(&mailbox, &Event::LockedOut, &address("192.0.2.9"), &CallId::random(), at(5)).await.unwrap();
    house.store.note_login(&mailbox, &own_line(), &this, at(6)).await.unwrap();

    let access = house.store.last_access(&mailbox, &this).await.unwrap();
    assert_eq!((access.opened, access.failures), (Some((at(1), number("2025550101"))), 4));
    let another = house.store.last_access(&mailbox, &CallId::random()).await.unwrap();
    assert_eq!((another.opened, another.failures), (Some((at(6), own_line())), 0));
}

async fn failures_are_counted_together_and_push_nothing_out(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    house.store.note_login(&mailbox, &own_line(), &CallId::random(), NOW).await.unwrap();
    let failed = async |origin: &Origin, at: Timestamp| {
        house.store.note_failure(&mailbox, &Event::WrongPasscode, origin, &CallId::random(), at).await.unwrap();
    };

    for n in 1..=3 {
        failed(&number("2025550101"), NOW.after(Duration::from_mins(n))).await;
    }
    failed(&number("2025550101"), NOW.after(Duration::from_hours(2))).await;
    let log = house.store.mailbox_log(&mailbox, 10).await.unwrap();
    assert_eq!(log.iter().map(|entry| entry.repeated).collect::<Vec<_>>(), [0, 2, 0]);
    assert_eq!(log[1].last_at, NOW.after(Duration::from_mins(3)));

    for n in 0..MOST_ENTRIES + 20 {
        failed(&number(&format!("20255{n:05}")), NOW.after(DAY)).await;
    }
    let log = house.store.mailbox_log(&mailbox, 10_000).await.unwrap();
    assert_eq!(log.len(), MOST_ENTRIES as usize + 1);
    assert_eq!(log.last().unwrap().event, Event::LoggedIn);
}

async fn old_entries_are_pruned_with_the_records(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    for days in [0, 1, 2] {
        house.store.note_login(&mailbox, &own_line(), &CallId::random(), NOW.after(days * DAY)).await.unwrap();
    }

    for days in [0, 1, 2] {
        let used = CredentialUse { mailbox: &mailbox, address: [192, 0, 2, 7].into(), agent: None, admitted: false };
        house.store.note_credential_use(&used, NOW.after(days * DAY)).await.unwrap();
    }

    house.store.prune_logs(NOW.after(DAY)).await.unwrap();

    assert_eq!(house.store.mailbox_log(&mailbox, 10).await.unwrap().len(), 2);
    assert_eq!(house.store.access_log(None, 10).await.unwrap().len(), 2);
    house.store.remove_mailbox(&mailbox, NOW).await.unwrap();
    assert_eq!(house.store.mailbox_log(&MailboxId::from_stored("x"), 10).await.unwrap().len(), 0);
}

fn number(number: &str) -> Origin {
    Origin { channel: Channel::Phone, number: Some(number.to_owned()), address: Some("192.0.2.1".to_owned()) }
}

fn address(address: &str) -> Origin {
    Origin { channel: Channel::Phone, number: None, address: Some(address.to_owned()) }
}

fn own_line() -> Origin {
    Origin { channel: Channel::OwnLine, number: Some("1001".to_owned()), address: Some("192.0.2.1".to_owned()) }
}

async fn mails(house: &House) -> Vec<&'static str> {
    house.store.list_outbox().await.unwrap().iter().map(|mail| mail.errand.kind()).collect()
}
