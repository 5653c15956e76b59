//! Who is told of counts: changes, notices, leases, CSeq numbers.

use std::time::Duration;

use afterbeep::{
    domain::{
        id::{MailboxId, SubscriptionId},
        time::Timestamp,
    },
    store::{
        ChangeError, Store,
        line::LineSecret,
        mailbox::MailboxChange,
        registration::{ContactChange, NewContact, RegistrationChange, Way},
        subscription::{LastReason, Listener, NewSubscription, Notice, Settled, SubscribeError, Subscription},
    },
};

use super::{DAY, House, NOW, on_both_databases};

const LEASE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

on_both_databases! {
    a_subscription_owes_a_first_notice_at_once
    every_change_of_counts_makes_a_notice_due
    what_changes_no_counts_makes_none_due
    a_burst_is_one_notice_and_what_comes_meanwhile_is_another
    a_change_made_by_another_process_is_found
    a_change_that_is_not_committed_yet_is_not_forgotten
    a_claimed_notice_is_nobody_elses_until_its_lease_is_over
    no_sequence_number_is_used_twice
    a_subscription_that_is_not_renewed_gets_a_last_notice
    a_renewed_subscription_goes_on
    an_older_subscribe_changes_nothing
    a_question_is_answered_once
    a_subscription_to_a_removed_mailbox_ends
    a_failed_notice_comes_again_when_it_is_due
    who_is_gone_is_told_no_more
    a_restarted_node_tells_everybody_it_owns_anew
    another_node_takes_over_from_one_that_is_gone
    a_proxy_is_told_of_every_mailbox_that_changes
    a_registered_phone_is_told_while_it_is_registered
    a_mailbox_has_a_limit_of_subscriptions
    another_password_or_none_ends_the_subscriptions_of_a_line
    a_mailbox_that_is_switched_off_or_renumbered_makes_a_notice_due
    a_proxy_is_told_that_a_mailbox_was_removed
}

async fn a_subscription_owes_a_first_notice_at_once(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let new = subscribe(&house.store, &mailbox, HOUR).await;

    let [notice] = &claim(&house.store, NOW).await[..] else { panic!("one is due") };

    assert_eq!((&notice.id, &notice.mailbox, &notice.dialog), (&new.id, &mailbox, &new.dialog));
    assert_eq!((notice.listener, notice.sequence, notice.last, notice.attempts), (Listener::Subscriber, 1, None, 0));
    assert_eq!(notice.expires_at, NOW.after(HOUR));
    let kept = house.store.subscription(&new.id, NOW).await.unwrap().unwrap();
    assert_eq!((kept.mailbox, kept.remote_sequence), (mailbox, 7));
}

async fn every_change_of_counts_makes_a_notice_due(house: House) {
    let store = &house.store;
    let mailbox = house.mailbox("1001").await.id;
    subscribe(store, &mailbox, 90 * DAY).await;
    assert!(is_told(store, NOW).await);

    let message = house.deposit(&mailbox, NOW).await;
    assert!(is_told(store, NOW.after(SECOND)).await, "a deposit");
    let heard = store.mark_heard(&message.id, 1, NOW).await.unwrap();
    assert!(is_told(store, NOW.after(2 * SECOND)).await, "a message heard");
    let saved = store.save(&message.id, heard.version, NOW).await.unwrap();
    assert!(is_told(store, NOW.after(3 * SECOND)).await, "a message saved");
    store.delete(&message.id, saved.version, NOW).await.unwrap();
    assert!(is_told(store, NOW.after(4 * SECOND)).await, "a message deleted");
    house.deposit(&mailbox, NOW).await;
    assert!(is_told(store, NOW.after(5 * SECOND)).await, "another deposit");
    assert_eq!(store.expire(NOW.after(60 * DAY)).await.unwrap(), 1);
    assert!(is_told(store, NOW.after(6 * SECOND)).await, "a message expired");
    assert!(!is_told(store, NOW.after(DAY)).await);
}

async fn what_changes_no_counts_makes_none_due(house: House) {
    let store = &house.store;
    let mailbox = house.mailbox("1001").await.id;
    let other = house.mailbox("1002").await.id;
    let message = house.deposit(&mailbox, NOW).await;
    subscribe(store, &mailbox, HOUR).await;
    assert!(is_told(store, NOW).await);

    house.deposit(&other, NOW).await;
    assert!(matches!(store.save(&message.id, 99, NOW).await, Err(ChangeError::Conflict)));
    assert_eq!(store.expire(NOW).await.unwrap(), 0);

    assert!(!is_told(store, NOW.after(SECOND)).await);
}

async fn a_burst_is_one_notice_and_what_comes_meanwhile_is_another(house: House) {
    let store = &house.store;
    let mailbox = house.mailbox("1001").await.id;
    subscribe(store, &mailbox, HOUR).await;
    house.fill(&mailbox, 5).await;
    let notices = claim(store, NOW).await;
    assert_eq!(notices.len(), 1);

    house.fill(&mailbox, 5).await;
    assert!(claim(store, NOW).await.is_empty(), "one is under way");
    settle(store, &notices[0], Settled::Taken { quiet_until: NOW.after(SECOND) }).await;

    assert!(claim(store, NOW.after(SECOND).before(MILLISECOND)).await.is_empty(), "it is left alone for a second");
    let next = claim(store, NOW.after(SECOND)).await;
    assert_eq!(next.iter().map(|notice| notice.sequence).collect::<Vec<_>>(), [2]);
}

async fn a_change_made_by_another_process_is_found(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let message = house.deposit(&mailbox, NOW).await;
    subscribe(&house.store, &mailbox, HOUR).await;
    assert!(is_told(&house.store, NOW).await);

    house.another().await.delete(&message.id, 1, NOW).await.unwrap();

    assert!(is_told(&house.store, NOW.after(SECOND)).await);
}

async fn a_change_that_is_not_committed_yet_is_not_forgotten(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    subscribe(&house.store, &mailbox, HOUR).await;
    let rounds = 40;

    let depositing = async {
        for _ in 0..rounds {
            house.deposit(&mailbox, NOW).await;
        }
    };
    let telling = async {
        let (mut told, mut now) = (0, NOW);
        while told < rounds {
            now = now.after(2 * SECOND);
            house.store.spread_changes(None, now).await.unwrap();
            for notice in house.store.claim_notices(false, 10, LEASE, now).await.unwrap() {
                told = house.store.counts(&mailbox, now).await.unwrap().new;
                settle(&house.store, &notice, Settled::Taken { quiet_until: now }).await;
            }
            tokio::task::yield_now().await;
        }
    };

    let both = async { tokio::join!(depositing, telling) };
    tokio::time::timeout(Duration::from_secs(60), both).await.expect("the last count is told");
}

async fn a_claimed_notice_is_nobody_elses_until_its_lease_is_over(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    subscribe(&house.store, &mailbox, HOUR).await;
    let first = claim(&house.store, NOW).await.remove(0);

    assert!(claim(&house.store, NOW.after(LEASE).before(MILLISECOND)).await.is_empty());
    let second = claim(&house.store, NOW.after(LEASE)).await.remove(0);
    // Who was slow changes nothing any more.
    settle(&house.store, &first, Settled::Over).await;

    assert_eq!((first.sequence, second.sequence), (1, 2));
    assert!(house.store.subscription(&second.id, NOW).await.unwrap().is_some());
}

async fn no_sequence_number_is_used_twice(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    subscribe(&house.store, &mailbox, 90 * DAY).await;
    let stores = [house.store.clone(), house.another().await, house.another().await];

    let mut seen = Vec::new();
    for round in 0..20_u32 {
        let now = NOW.after(LEASE * (round + 1));
        let [one, two, three] = &stores;
        let (one, two, three) = tokio::join!(
            one.claim_notices(false, 10, LEASE, now),
            two.claim_notices(false, 10, LEASE, now),
            three.claim_notices(false, 10, LEASE, now)
        );
        seen.extend([one, two, three].into_iter().flat_map(Result::unwrap).map(|notice| notice.sequence));
    }

    assert_eq!(seen, (1..=20).collect::<Vec<_>>());
}

async fn a_subscription_that_is_not_renewed_gets_a_last_notice(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let new = subscribe(&house.store, &mailbox, HOUR).await;
    assert!(is_told(&house.store, NOW).await);
    let end = NOW.after(HOUR);

    assert!(claim(&house.store, end.before(MILLISECOND)).await.is_empty());
    let last = claim(&house.store, end).await.remove(0);
    assert_eq!(last.last, Some(LastReason::Timeout));
    let late = Subscription { expires_at: end.after(HOUR), ..kept(&new, 8) };
    assert!(matches!(house.store.renew_subscription(&late, end).await, Err(ChangeError::Gone)));
    settle(&house.store, &last, Settled::Over).await;

    assert!(claim(&house.store, end.after(DAY)).await.is_empty());
}

async fn a_renewed_subscription_goes_on(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let new = subscribe(&house.store, &mailbox, HOUR).await;
    assert!(is_told(&house.store, NOW).await);
    let later = NOW.after(HOUR / 2);
    let renewed = Subscription { expires_at: later.after(HOUR), dialog: "moved".to_owned(), ..kept(&new, 8) };

    house.store.renew_subscription(&renewed, later).await.unwrap();

    let notice = claim(&house.store, later).await.remove(0);
    assert_eq!((notice.dialog.as_str(), notice.sequence, notice.last), ("moved", 2, None));
    settle(&house.store, &notice, Settled::Taken { quiet_until: later.after(SECOND) }).await;
    assert!(claim(&house.store, NOW.after(HOUR)).await.is_empty());
    assert_eq!(claim(&house.store, later.after(HOUR)).await.len(), 1);
}

async fn an_older_subscribe_changes_nothing(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let new = subscribe(&house.store, &mailbox, HOUR).await;

    for sequence in [6, 7] {
        let old = Subscription { expires_at: NOW.after(DAY), ..kept(&new, sequence) };
        assert!(matches!(house.store.renew_subscription(&old, NOW).await, Err(ChangeError::Conflict)));
    }
    let unknown = Subscription { id: SubscriptionId::random(), ..kept(&new, 8) };
    assert!(matches!(house.store.renew_subscription(&unknown, NOW).await, Err(ChangeError::Gone)));

    assert_eq!(house.store.subscription(&new.id, NOW).await.unwrap().unwrap().expires_at, NOW.after(HOUR));
}

async fn a_question_is_answered_once(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let new = subscribe(&house.store, &mailbox, Duration::ZERO).await;

    let notice = claim(&house.store, NOW).await.remove(0);

    assert_eq!((notice.sequence, notice.last), (1, Some(LastReason::Timeout)));
    assert_eq!(house.store.subscription(&new.id, NOW).await.unwrap(), None);
}

async fn a_subscription_to_a_removed_mailbox_ends(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    subscribe(&house.store, &mailbox, HOUR).await;
    assert!(is_told(&house.store, NOW).await);
    house.deposit(&mailbox, NOW).await;

    house.store.remove_mailbox(&mailbox, NOW).await.unwrap();

    assert_eq!(claim(&house.store, NOW).await.remove(0).last, Some(LastReason::NoResource));
}

async fn a_failed_notice_comes_again_when_it_is_due(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    subscribe(&house.store, &mailbox, HOUR).await;
    let notice = claim(&house.store, NOW).await.remove(0);
    let at = NOW.after(7 * SECOND);

    settle(&house.store, &notice, Settled::Again { at }).await;
    house.deposit(&mailbox, NOW).await;

    assert!(claim(&house.store, at.before(MILLISECOND)).await.is_empty(), "a new change does not hurry a peer that is busy");
    let again = claim(&house.store, at).await.remove(0);
    assert_eq!((again.attempts, again.sequence), (1, 2));
    settle(&house.store, &again, Settled::Taken { quiet_until: at }).await;
    house.deposit(&mailbox, NOW).await;
    assert_eq!(claim(&house.store, at).await.remove(0).attempts, 0);
}

async fn who_is_gone_is_told_no_more(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let new = subscribe(&house.store, &mailbox, HOUR).await;
    let notice = claim(&house.store, NOW).await.remove(0);

    settle(&house.store, &notice, Settled::Over).await;
    house.deposit(&mailbox, NOW).await;

    assert!(claim(&house.store, NOW.after(DAY)).await.is_empty());
    assert_eq!(house.store.subscription(&new.id, NOW).await.unwrap(), None);
}

async fn a_restarted_node_tells_everybody_it_owns_anew(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    for _ in 0..2 {
        subscribe(&house.store, &mailbox, HOUR).await;
    }
    let mut before = claim(&house.store, NOW).await;
    settle(&house.store, &before.remove(0), Settled::Taken { quiet_until: NOW.after(SECOND) }).await;

    // The other one was under way when the node stopped.
    let restarted = house.another().await;
    restarted.begin_notifying(None, NOW).await.unwrap();

    let mut numbers: Vec<u32> = claim(&restarted, NOW).await.iter().map(|notice| notice.sequence).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [2, 2]);
}

async fn another_node_takes_over_from_one_that_is_gone(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    subscribe(&house.store, &mailbox, HOUR).await;
    house.store.notifier_lives(NOW.after(SECOND)).await.unwrap();
    let other = house.another_named("other").await;

    assert!(claim(&other, NOW).await.is_empty(), "its node is alive");
    let taken = claim(&other, NOW.after(SECOND)).await.remove(0);
    settle(&other, &taken, Settled::Taken { quiet_until: NOW }).await;
    other.notifier_lives(NOW.after(HOUR)).await.unwrap();
    house.deposit(&mailbox, NOW).await;

    assert!(claim(&house.store, NOW.after(2 * SECOND)).await.is_empty(), "it is the other node's now");
    assert_eq!(claim(&other, NOW.after(2 * SECOND)).await.len(), 1);
}

async fn a_proxy_is_told_of_every_mailbox_that_changes(house: House) {
    let store = &house.store;
    let quiet = house.mailbox("1001").await.id;
    let mailbox = house.mailbox("1002").await.id;
    subscribe(store, &quiet, HOUR).await;
    house.deposit(&mailbox, NOW).await;

    let told = claim_to_proxy(store, "sip:proxy.example", NOW).await;
    assert_eq!(told.iter().map(|n| (&n.mailbox, n.listener, n.sequence)).collect::<Vec<_>>(), [(&mailbox, Listener::Proxy, 1)]);
    settle(store, &told[0], Settled::Taken { quiet_until: NOW }).await;
    assert!(claim_to_proxy(store, "sip:proxy.example", NOW.after(DAY)).await.is_empty());
    house.deposit(&mailbox, NOW).await;
    assert_eq!(claim_to_proxy(store, "sip:proxy.example", NOW).await[0].sequence, 2);
    // Another proxy is configured.
    store.begin_notifying(Some("sip:other.example"), NOW).await.unwrap();

    let told = claim_to_proxy(store, "sip:other.example", NOW).await;
    assert_eq!(told.iter().map(|n| (&n.mailbox, n.sequence)).collect::<Vec<_>>(), [(&mailbox, 1)], "it has new messages");
    settle(store, &told[0], Settled::Taken { quiet_until: NOW }).await;
    // The same proxy after a restart knows what it was told.
    store.begin_notifying(Some("sip:other.example"), NOW).await.unwrap();
    assert!(claim_to_proxy(store, "sip:other.example", NOW.after(DAY)).await.is_empty());
}

async fn a_proxy_is_told_that_a_mailbox_was_removed(house: House) {
    let store = &house.store;
    let mailbox = house.mailbox("1002").await.id;
    house.deposit(&mailbox, NOW).await;
    let told = claim_to_proxy(store, "sip:proxy.example", NOW).await;
    settle(store, &told[0], Settled::Taken { quiet_until: NOW }).await;

    store.remove_mailbox(&mailbox, NOW).await.unwrap();

    let [last] = &claim_to_proxy(store, "sip:proxy.example", NOW).await[..] else { panic!("one is due") };
    assert_eq!((last.last, last.dialog.as_str()), (Some(LastReason::NoResource), "1002 "));
}

async fn another_password_or_none_ends_the_subscriptions_of_a_line(house: House) {
    let store = &house.store;
    let mailbox = house.mailbox("1001").await.id;
    let secret = |digit: &str| ("1001".to_owned(), LineSecret { md5: digit.repeat(32), sha256: digit.repeat(64) });
    subscribe(store, &mailbox, HOUR).await;
    assert!(is_told(store, NOW).await);

    store.set_line(&mailbox, "afterbeep", &[secret("0")], NOW).await.unwrap();
    assert!(!is_told(store, NOW.after(SECOND)).await, "it had no line before");
    store.set_line(&mailbox, "afterbeep", &[secret("1")], NOW).await.unwrap();
    let ended = claim(store, NOW).await.remove(0);
    assert_eq!(ended.last, Some(LastReason::Deactivated));
    assert_eq!(store.subscription(&ended.id, NOW).await.unwrap(), None);
    settle(store, &ended, Settled::Over).await;
    let new = subscribe(store, &mailbox, HOUR).await;
    assert!(is_told(store, NOW).await);

    assert!(store.remove_line(&mailbox, NOW).await.unwrap());
    let ended = claim(store, NOW).await.remove(0);
    assert_eq!((ended.id, ended.last), (new.id, Some(LastReason::Deactivated)));
}

async fn a_mailbox_that_is_switched_off_or_renumbered_makes_a_notice_due(house: House) {
    let store = &house.store;
    let mailbox = house.mailbox("1001").await.id;
    subscribe(store, &mailbox, HOUR).await;
    assert!(is_told(store, NOW).await);
    let change = |change: MailboxChange| store.update_mailbox(&mailbox, change, NOW);

    change(MailboxChange { enabled: Some(false), ..MailboxChange::default() }).await.unwrap();
    assert!(is_told(store, NOW.after(SECOND)).await);
    change(MailboxChange { number: Some("1009".parse().unwrap()), ..MailboxChange::default() }).await.unwrap();
    assert!(is_told(store, NOW.after(2 * SECOND)).await);
    change(MailboxChange { name: Some("Ann".to_owned()), ..MailboxChange::default() }).await.unwrap();

    assert!(!is_told(store, NOW.after(3 * SECOND)).await);
}

async fn a_registered_phone_is_told_while_it_is_registered(house: House) {
    let store = &house.store;
    let mailbox = house.mailbox("1001").await.id;
    let secret = LineSecret { md5: "0".repeat(32), sha256: "0".repeat(64) };
    store.set_line(&mailbox, "afterbeep", &[("1001".to_owned(), secret)], NOW).await.unwrap();

    register(store, &mailbox, 1, Some(HOUR), "192.0.2.1:5060").await;
    let notices = claim(store, NOW).await;
    let told: Vec<_> = notices.iter().map(|notice| (notice.listener, notice.contact.as_deref(), notice.last)).collect();
    assert_eq!(told, [(Listener::Phone, Some("sip:ann@192.0.2.1"), None)]);
    settle(store, &notices[0], Settled::Taken { quiet_until: NOW }).await;
    register(store, &mailbox, 2, Some(HOUR), "192.0.2.1:5060").await;
    assert!(!is_told(store, NOW).await, "it is only registered for longer");
    register(store, &mailbox, 3, Some(HOUR), "192.0.2.1:6060").await;
    assert!(is_told(store, NOW).await, "it has moved");
    house.deposit(&mailbox, NOW).await;
    assert!(is_told(store, NOW.after(SECOND)).await);
    register(store, &mailbox, 4, None, "192.0.2.1:6060").await;
    house.deposit(&mailbox, NOW).await;
    assert!(!is_told(store, NOW.after(2 * SECOND)).await, "it has left");
    register(store, &mailbox, 5, Some(HOUR), "192.0.2.1:6060").await;

    assert!(is_told(store, NOW.after(3 * SECOND)).await, "it is back");
}

async fn register(store: &Store, mailbox: &MailboxId, sequence: u32, life: Option<Duration>, remote: &str) {
    let contact = NewContact {
        key: "ann".to_owned(),
        contact: "sip:ann@192.0.2.1".to_owned(),
        preference: None,
        expires_at: life.map(|life| NOW.after(life)),
    };
    let way = Way {
        transport: "udp".to_owned(),
        remote: remote.to_owned(),
        local: "192.0.2.9:5060".to_owned(),
        connection: None,
        is_direct: true,
    };
    let change = RegistrationChange {
        call_id: "1".to_owned(),
        sequence,
        contacts: ContactChange::Each(vec![contact]),
        path: Vec::new(),
        user_agent: None,
        way,
    };
    store.register(mailbox, &change, NOW).await.unwrap();
}

async fn a_mailbox_has_a_limit_of_subscriptions(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let other = house.mailbox("1002").await.id;
    for _ in 0..32 {
        subscribe(&house.store, &mailbox, HOUR).await;
    }

    let refused = house.store.subscribe(&new_subscription(&mailbox, HOUR), NOW).await;

    assert!(matches!(refused, Err(SubscribeError::TooMany)));
    subscribe(&house.store, &other, HOUR).await;
}

async fn subscribe(store: &Store, mailbox: &MailboxId, life: Duration) -> NewSubscription {
    let new = new_subscription(mailbox, life);
    store.subscribe(&new, NOW).await.unwrap();
    new
}

fn new_subscription(mailbox: &MailboxId, life: Duration) -> NewSubscription {
    NewSubscription {
        id: SubscriptionId::random(),
        mailbox: mailbox.clone(),
        dialog: "a dialog".to_owned(),
        remote_sequence: 7,
        expires_at: NOW.after(life),
    }
}

fn kept(new: &NewSubscription, remote_sequence: u32) -> Subscription {
    Subscription {
        id: new.id.clone(),
        mailbox: new.mailbox.clone(),
        dialog: new.dialog.clone(),
        remote_sequence,
        expires_at: new.expires_at,
    }
}

async fn claim(store: &Store, now: Timestamp) -> Vec<Notice> {
    while store.spread_changes(None, now).await.unwrap() {}
    store.claim_notices(false, 100, LEASE, now).await.unwrap()
}

async fn claim_to_proxy(store: &Store, proxy: &str, now: Timestamp) -> Vec<Notice> {
    while store.spread_changes(Some(proxy), now).await.unwrap() {}
    store.claim_notices(true, 100, LEASE, now).await.unwrap()
}

async fn settle(store: &Store, notice: &Notice, settled: Settled) {
    store.settle_notices(&[(notice.clone(), settled)]).await.unwrap();
}

/// Whether one notice is due, which is then taken.
async fn is_told(store: &Store, now: Timestamp) -> bool {
    let notices = claim(store, now).await;
    for notice in &notices {
        settle(store, notice, Settled::Taken { quiet_until: now.after(SECOND) }).await;
    }
    assert!(notices.len() <= 1, "{notices:?}");
    !notices.is_empty()
}
