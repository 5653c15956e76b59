//! Uses of credentials: what is noticed, logged and mailed.

use std::{net::IpAddr, time::Duration};

use afterbeep::{
    domain::{
        credential::{Alerts, MOST_ALERTS, Notice},
        id::MailboxId,
        time::Timestamp,
    },
    store::{credential::CredentialUse, mailbox::MailboxChange, outbox::Errand},
};

use super::{DAY, House, NOW, on_both_databases};

on_both_databases! {
    new_places_and_phones_are_told_once
    only_new_phones_are_told_if_that_is_wanted
    a_right_password_from_a_blocked_address_is_told_and_not_remembered
    without_an_address_nothing_is_mailed
    alerts_stop_at_a_few_an_hour_and_the_log_has_the_rest
    callers_are_blocked_and_unblocked
}

async fn new_places_and_phones_are_told_once(house: House) {
    let mailbox = subscriber(&house).await;

    let first = noted(&house, &mailbox, "192.0.2.1", "Phone/1", true, NOW).await;
    let same = noted(&house, &mailbox, "192.0.2.1", "Phone/1", true, NOW.after(DAY)).await;
    let moved = noted(&house, &mailbox, "2001:db8::1", "Phone/1", true, NOW.after(DAY)).await;
    let same_network = noted(&house, &mailbox, "2001:db8::2:2", "Phone/1", true, NOW.after(DAY)).await;
    let updated = noted(&house, &mailbox, "192.0.2.1", "Phone/2", true, NOW.after(DAY)).await;

    assert_eq!(
        [first, same, moved, same_network, updated],
        [Some(Notice::NewAddressAndAgent), None, Some(Notice::NewAddress), None, Some(Notice::NewAgent)]
    );
    assert_eq!(mails(&house, NOW.after(DAY)).await.len(), 3);
    let log = house.store.access_log(Some(&mailbox), 10).await.unwrap();
    assert_eq!(log.len(), 3);
    assert!(log.iter().all(|entry| entry.mailed && entry.repeated == 0));
    assert_eq!((log[2].address.as_str(), log[2].agent.as_str()), ("192.0.2.1", "Phone/1"));
}

async fn only_new_phones_are_told_if_that_is_wanted(house: House) {
    let mailbox = subscriber(&house).await;
    house.store.set_alerts(&mailbox, Alerts::NewAgent).await.unwrap();
    noted(&house, &mailbox, "192.0.2.1", "Phone/1", true, NOW).await;

    assert_eq!(noted(&house, &mailbox, "192.0.2.2", "Phone/1", true, NOW).await, None);
    assert_eq!(noted(&house, &mailbox, "192.0.2.2", "Phone/2", true, NOW).await, Some(Notice::NewAgent));
    house.store.set_alerts(&mailbox, Alerts::None).await.unwrap();
    assert_eq!(noted(&house, &mailbox, "192.0.2.3", "Phone/3", true, NOW).await, None);

    assert_eq!(house.store.access_log(None, 10).await.unwrap().len(), 2);
}

async fn a_right_password_from_a_blocked_address_is_told_and_not_remembered(house: House) {
    let mailbox = subscriber(&house).await;
    let blocked = Some(Notice::RightPasswordFromBlockedAddress);

    assert_eq!(noted(&house, &mailbox, "192.0.2.1", "Thief", false, NOW).await, blocked);
    assert_eq!(noted(&house, &mailbox, "192.0.2.1", "Thief", false, NOW).await, blocked);
    assert_eq!(noted(&house, &mailbox, "192.0.2.1", "Thief", true, NOW).await, Some(Notice::NewAddressAndAgent));

    let mails = mails(&house, NOW).await;
    assert_eq!(mails.iter().filter(|notice| Some(**notice) == blocked).count(), 1, "a repetition is counted, not mailed");
    let log = house.store.access_log(None, 10).await.unwrap();
    assert!(log.iter().any(|entry| Some(entry.notice) == blocked && entry.repeated == 1));
}

async fn without_an_address_nothing_is_mailed(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let none = MailboxChange { email: Some(None), ..MailboxChange::default() };
    house.store.update_mailbox(&mailbox, none, NOW).await.unwrap();

    noted(&house, &mailbox, "192.0.2.1", "Phone/1", true, NOW).await;
    noted(&house, &mailbox, "192.0.2.1", "Phone/1", false, NOW).await;

    assert!(mails(&house, NOW).await.is_empty());
    let log = house.store.access_log(None, 10).await.unwrap();
    assert_eq!(log.iter().map(|entry| entry.mailed).collect::<Vec<_>>(), [false, false]);
}

async fn alerts_stop_at_a_few_an_hour_and_the_log_has_the_rest(house: House) {
    let mailbox = subscriber(&house).await;
    for host in 0..50 {
        noted(&house, &mailbox, &format!("192.0.2.{host}"), "Phone/1", true, NOW.after(Duration::from_secs(host))).await;
    }
    let within = mails(&house, NOW.after(DAY)).await.len();
    noted(&house, &mailbox, "198.51.100.1", "Phone/1", true, NOW.after(DAY)).await;

    assert_eq!(within, MOST_ALERTS as usize);
    assert_eq!(mails(&house, NOW.after(2 * DAY)).await.len(), 1);
    assert_eq!(house.store.access_log(Some(&mailbox), 100).await.unwrap().len(), 51);
    house.store.remove_mailbox(&mailbox, NOW).await.unwrap();
    assert!(house.store.access_log(None, 100).await.unwrap().is_empty());
}

async fn callers_are_blocked_and_unblocked(house: House) {
    use afterbeep::domain::screening::RefusedCaller;
    let mailbox = house.mailbox("1001").await.id;
    let refuses = async |number: Option<&str>| house.store.refuses_caller(&mailbox, number).await.unwrap();
    assert_eq!((refuses(Some("2025550143")).await, refuses(None).await), (None, None));

    assert!(house.store.block_caller(&mailbox, "202 555-0143", NOW).await.unwrap());
    assert!(!house.store.block_caller(&mailbox, "2025550143", NOW).await.unwrap());
    house.store.refuse_anonymous(&mailbox, true).await.unwrap();

    assert_eq!(refuses(Some("2025550143")).await, Some(RefusedCaller::Blocked));
    assert_eq!((refuses(Some("2025550144")).await, refuses(None).await), (None, Some(RefusedCaller::Anonymous)));
    assert_eq!(refuses(Some("\0")).await, Some(RefusedCaller::Anonymous));
    assert_eq!(house.store.blocked_callers(&mailbox).await.unwrap()[0].number, "2025550143");
    assert!(house.store.unblock_caller(&mailbox, "2025550143").await.unwrap());
    assert!(!house.store.unblock_caller(&mailbox, "2025550143").await.unwrap());
    assert_eq!(refuses(Some("2025550143")).await, None);
}

async fn subscriber(house: &House) -> MailboxId {
    let mailbox = house.mailbox("1001").await.id;
    let with_mail = MailboxChange { email: Some(Some("zoe@example.org".to_owned())), ..MailboxChange::default() };
    house.store.update_mailbox(&mailbox, with_mail, NOW).await.unwrap();
    mailbox
}

async fn noted(house: &House, mailbox: &MailboxId, address: &str, agent: &str, admitted: bool, at: Timestamp) -> Option<Notice> {
    let address: IpAddr = address.parse().unwrap();
    let used = CredentialUse { mailbox, address, agent: Some(agent), admitted };
    house.store.note_credential_use(&used, at).await.unwrap()
}

/// Takes the mails that wait out of the outbox.
async fn mails(house: &House, now: Timestamp) -> Vec<Notice> {
    let items = house.store.claim_outbox(100, Duration::from_secs(1), now).await.unwrap();
    let mut notices = Vec::new();
    for item in items {
        if let Errand::Credential { notice, .. } = item.errand {
            notices.push(notice);
        }
        house.store.complete(&item, now).await.unwrap();
    }
    notices
}
