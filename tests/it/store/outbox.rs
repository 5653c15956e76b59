//! The outbox: leases, retries, the dead-letter list, warnings.

use std::{collections::HashSet, time::Duration};

use afterbeep::{
    domain::{id::MailboxId, rules},
    store::{
        ChangeError,
        mailbox::MailboxChange,
        outbox::{Errand, OutboxItem},
    },
};

use super::{DAY, House, NOW, on_both_databases};

const LEASE: Duration = Duration::from_mins(2);
const MILLISECOND: Duration = Duration::from_millis(1);

on_both_databases! {
    a_claimed_item_is_nobody_elses_until_its_lease_is_over
    nodes_that_claim_at_once_share_without_overlap
    an_accepted_mail_starts_the_three_days
    a_saved_message_keeps_its_life_when_its_mail_is_accepted
    a_failed_item_comes_again_when_it_is_due
    a_dead_item_stays_to_be_seen_and_can_be_tried_again
    an_accepted_mail_or_a_new_address_clears_the_mail_problem
    what_is_sent_about_a_deleted_message_goes_with_it
    a_mail_that_is_accepted_while_its_message_is_being_deleted_is_not_sent_again
    mails_are_accepted_while_messages_are_deleted_and_mailing_is_switched_off
    only_what_is_due_and_was_tried_for_long_enough_is_overdue
    a_message_about_to_expire_is_warned_of_once
    saved_and_mailed_messages_expire_without_a_warning
    a_mailbox_that_had_no_address_is_warned_of_fullness_later
    a_mailbox_that_had_room_again_is_warned_again
}

async fn a_claimed_item_is_nobody_elses_until_its_lease_is_over(house: House) {
    let mailbox = mailing_mailbox(&house).await;
    let message = house.deposit(&mailbox, NOW).await;

    let claimed = house.store.claim_outbox(10, LEASE, NOW).await.unwrap();
    let meanwhile = house.store.claim_outbox(10, LEASE, NOW.after(LEASE).before(MILLISECOND)).await.unwrap();
    let afterwards = house.store.claim_outbox(10, LEASE, NOW.after(LEASE)).await.unwrap();

    assert_eq!(claimed.len(), 1);
    assert_eq!((&claimed[0].errand, &claimed[0].mailbox), (&Errand::Message { message: message.id }, &mailbox));
    assert_eq!((claimed[0].attempts, claimed[0].created_at), (0, NOW));
    assert_eq!((meanwhile.len(), afterwards.len()), (0, 1));
    assert_eq!(afterwards[0].id, claimed[0].id);
}

async fn nodes_that_claim_at_once_share_without_overlap(house: House) {
    let mailbox = mailing_mailbox(&house).await;
    house.fill(&mailbox, 60).await;
    let other = house.another_node().await;
    let now = NOW.after(DAY);

    let mut claimed: Vec<OutboxItem> = Vec::new();
    loop {
        let (one, two, three) = tokio::join!(
            house.store.claim_outbox(7, LEASE, now),
            other.claim_outbox(7, LEASE, now),
            house.store.claim_outbox(7, LEASE, now)
        );
        let round: Vec<OutboxItem> = [one, two, three].into_iter().flat_map(Result::unwrap).collect();
        if round.is_empty() {
            break;
        }
        claimed.extend(round);
    }

    let different: HashSet<_> = claimed.iter().map(|item| item.id.as_str()).collect();
    assert_eq!((claimed.len(), different.len()), (60, 60));
}

async fn an_accepted_mail_starts_the_three_days(house: House) {
    let mailbox = mailing_mailbox(&house).await;
    let message = house.deposit(&mailbox, NOW).await;
    let item = claim_one(&house).await;
    let accepted = NOW.after(DAY);

    house.store.complete(&item, accepted).await.unwrap();
    house.store.complete(&item, accepted.after(DAY)).await.unwrap();

    let mailed = house.store.message(&message.id, NOW).await.unwrap().unwrap();
    assert_eq!((mailed.mailed_at, mailed.expires_at), (Some(accepted), accepted.after(rules::MAILED_LIFE)));
    assert_eq!(mailed.version, message.version);
    assert_eq!(house.store.list_outbox().await.unwrap(), []);
    let end = accepted.after(rules::MAILED_LIFE);
    assert_eq!(house.store.counts(&mailbox, end.before(MILLISECOND)).await.unwrap().total(), 1);
    assert_eq!(house.store.counts(&mailbox, end).await.unwrap().total(), 0);
}

async fn a_saved_message_keeps_its_life_when_its_mail_is_accepted(house: House) {
    let mailbox = mailing_mailbox(&house).await;
    let message = house.deposit(&mailbox, NOW).await;
    let item = claim_one(&house).await;
    let saved = house.store.save(&message.id, 1, NOW.after(DAY)).await.unwrap();

    house.store.complete(&item, NOW.after(2 * DAY)).await.unwrap();

    let mailed = house.store.message(&message.id, NOW).await.unwrap().unwrap();
    assert_eq!((mailed.mailed_at, mailed.expires_at), (Some(NOW.after(2 * DAY)), saved.expires_at));
    // A save after the mail outweighs it as well.
    let again = house.store.save(&message.id, saved.version, NOW.after(3 * DAY)).await.unwrap();
    assert_eq!(again.expires_at, NOW.after(3 * DAY).after(rules::MESSAGE_LIFE));
}

async fn a_failed_item_comes_again_when_it_is_due(house: House) {
    let mailbox = mailing_mailbox(&house).await;
    house.deposit(&mailbox, NOW).await;
    let item = claim_one(&house).await;
    let at = NOW.after(Duration::from_mins(7));

    house.store.retry_at(&item.id, at, "451 try\0 later").await.unwrap();

    assert_eq!(house.store.claim_outbox(10, LEASE, at.before(MILLISECOND)).await.unwrap(), []);
    let [again] = &house.store.claim_outbox(10, LEASE, at).await.unwrap()[..] else { panic!("it is due") };
    assert_eq!((again.attempts, again.last_error.as_deref(), again.created_at), (1, Some("451 try later"), NOW));
}

async fn a_dead_item_stays_to_be_seen_and_can_be_tried_again(house: House) {
    let mailbox = mailing_mailbox(&house).await;
    house.deposit(&mailbox, NOW).await;
    let item = claim_one(&house).await;
    let dead_at = NOW.after(DAY);

    house.store.dead(&item.id, "550 no such user", dead_at).await.unwrap();
    house.store.retry_at(&item.id, NOW, "too late").await.unwrap();

    let listed = house.store.list_outbox().await.unwrap();
    assert_eq!((listed[0].dead_at, listed[0].last_error.as_deref()), (Some(dead_at), Some("550 no such user")));
    assert_eq!(house.store.claim_outbox(10, LEASE, NOW.after(9 * DAY)).await.unwrap(), []);
    let problem = house.store.mailbox(&mailbox).await.unwrap().unwrap().mail_problem;
    assert_eq!(problem.as_deref(), Some("550 no such user"));
    house.store.retry_outbox(&item.id, NOW.after(10 * DAY)).await.unwrap();
    let [again] = &house.store.claim_outbox(10, LEASE, NOW.after(10 * DAY)).await.unwrap()[..] else { panic!("it is due") };
    assert_eq!((&again.id, again.created_at, again.dead_at), (&item.id, NOW.after(10 * DAY), None));
    house.store.drop_outbox(&item.id).await.unwrap();
    assert!(matches!(house.store.drop_outbox(&item.id).await, Err(ChangeError::Gone)));
    assert!(matches!(house.store.retry_outbox(&item.id, NOW).await, Err(ChangeError::Gone)));
}

async fn an_accepted_mail_or_a_new_address_clears_the_mail_problem(house: House) {
    let mailbox = mailing_mailbox(&house).await;
    let problem = async || house.store.mailbox(&mailbox).await.unwrap().unwrap().mail_problem;
    for new_address in [false, true] {
        house.deposit(&mailbox, NOW).await;
        let item = claim_one(&house).await;
        house.store.dead(&item.id, "550 no", NOW).await.unwrap();
        assert!(problem().await.is_some());

        if new_address {
            let change = MailboxChange { email: Some(Some("new@example.com".to_owned())), ..MailboxChange::default() };
            house.store.update_mailbox(&mailbox, change, NOW).await.unwrap();
        } else {
            house.deposit(&mailbox, NOW).await;
            house.store.complete(&claim_one(&house).await, NOW).await.unwrap();
        }
        assert_eq!(problem().await, None);
    }
}

async fn what_is_sent_about_a_deleted_message_goes_with_it(house: House) {
    let mailbox = mailing_mailbox(&house).await;
    let message = house.deposit(&mailbox, NOW).await;
    let item = claim_one(&house).await;

    house.store.delete(&message.id, 1, NOW).await.unwrap();
    house.store.complete(&item, NOW).await.unwrap();
    house.store.retry_at(&item.id, NOW, "late").await.unwrap();

    assert_eq!(house.store.list_outbox().await.unwrap(), []);
}

async fn a_mail_that_is_accepted_while_its_message_is_being_deleted_is_not_sent_again(house: House) {
    let mailbox = mailing_mailbox(&house).await;
    for restored_first in [false, true] {
        let message = house.deposit(&mailbox, NOW).await;
        let item = claim_one(&house).await;
        house.store.move_to_deleted(&message.id, 1, NOW).await.unwrap();
        if restored_first {
            house.store.restore(&message.id, 2, NOW).await.unwrap();
            house.store.complete(&item, NOW).await.unwrap();
        } else {
            house.store.complete(&item, NOW).await.unwrap();
            house.store.restore(&message.id, 2, NOW).await.unwrap();
        }

        let mailed = house.store.message(&message.id, NOW).await.unwrap().unwrap();
        assert_eq!((mailed.mailed_at, mailed.expires_at), (Some(NOW), NOW.after(rules::MAILED_LIFE)));
        assert_eq!(house.store.list_outbox().await.unwrap(), []);
    }
}

async fn mails_are_accepted_while_messages_are_deleted_and_mailing_is_switched_off(house: House) {
    let mailbox = mailing_mailbox(&house).await;
    for _ in 0..4 {
        let switch = |on| MailboxChange { voice_to_email: Some(on), ..MailboxChange::default() };
        house.store.update_mailbox(&mailbox, switch(true), NOW).await.unwrap();
        house.fill(&mailbox, 40).await;
        let items = house.store.claim_outbox(100, LEASE, NOW.after(DAY)).await.unwrap();
        let accepted: Vec<_> = items.iter().rev().map(|item| (item.clone(), NOW)).collect();
        let messages = house.store.messages(&mailbox, NOW).await.unwrap();

        let deletions = futures_util::future::join_all(
            messages.iter().map(|message| house.store.move_to_deleted(&message.id, message.version, NOW)),
        );
        let (completed, given_up, deleted, off) = tokio::join!(
            house.store.complete_all(&accepted),
            futures_util::future::join_all(items.iter().map(|item| house.store.dead(&item.id, "550 no", NOW))),
            deletions,
            house.store.update_mailbox(&mailbox, switch(false), NOW),
        );

        completed.unwrap();
        assert!(given_up.iter().all(Result::is_ok) && deleted.iter().all(Result::is_ok), "{given_up:?} {deleted:?}");
        off.unwrap();
        assert_eq!(house.store.list_outbox().await.unwrap(), []);
    }
}

async fn only_what_is_due_and_was_tried_for_long_enough_is_overdue(house: House) {
    let mailbox = mailing_mailbox(&house).await;
    house.fill(&mailbox, 3).await;
    let items = house.store.list_outbox().await.unwrap();
    let end = items[1].created_at.after(rules::DELIVERY_LIFE);
    house.store.retry_at(&items[0].id, end.after(MILLISECOND), "451 later").await.unwrap();

    let overdue = house.store.overdue_outbox(10, end).await.unwrap();
    let waiting = house.store.waiting_outbox().await.unwrap();
    house.store.dead(&items[1].id, "451 later", end).await.unwrap();

    assert_eq!(overdue.iter().map(|item| &item.id).collect::<Vec<_>>(), [&items[1].id]);
    assert_eq!((waiting, house.store.waiting_outbox().await.unwrap()), (3, 2));
    assert_eq!(house.store.overdue_outbox(10, end).await.unwrap(), []);
}

async fn a_message_about_to_expire_is_warned_of_once(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let first = house.deposit(&mailbox, NOW).await;
    let second = house.deposit(&mailbox, NOW.after(MILLISECOND)).await;
    house.deposit(&mailbox, NOW.after(2 * DAY)).await;
    let due = second.expires_at.before(rules::EXPIRY_WARNING);

    let early = house.store.warn_expiring(first.expires_at.before(rules::EXPIRY_WARNING + MILLISECOND)).await.unwrap();
    let (one, other) = tokio::join!(house.store.warn_expiring(due), house.store.warn_expiring(due));
    let again = house.store.warn_expiring(due.after(DAY)).await.unwrap();

    assert_eq!((early, one.unwrap() + other.unwrap(), again), (0, 1, 0));
    let errands: Vec<Errand> = house.store.list_outbox().await.unwrap().into_iter().map(|item| item.errand).collect();
    assert_eq!(errands, [Errand::Expiring { messages: 2, first: first.expires_at }]);
}

async fn saved_and_mailed_messages_expire_without_a_warning(house: House) {
    let mailbox = mailing_mailbox(&house).await;
    house.deposit(&mailbox, NOW).await;
    house.store.complete(&claim_one(&house).await, NOW).await.unwrap();
    let off = MailboxChange { voice_to_email: Some(false), ..MailboxChange::default() };
    house.store.update_mailbox(&mailbox, off, NOW).await.unwrap();
    let saved = house.deposit(&mailbox, NOW).await;
    house.store.save(&saved.id, 1, NOW).await.unwrap();
    let nowhere = house.mailbox("1002").await.id;
    house.deposit(&nowhere, NOW).await;
    let no_address = MailboxChange { email: Some(None), ..MailboxChange::default() };
    house.store.update_mailbox(&nowhere, no_address, NOW).await.unwrap();

    let warned = house.store.warn_expiring(NOW.after(29 * DAY)).await.unwrap();

    assert_eq!(warned, 0);
}

async fn a_mailbox_that_had_no_address_is_warned_of_fullness_later(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let address = |email| MailboxChange { email: Some(email), ..MailboxChange::default() };
    house.store.update_mailbox(&mailbox, address(None), NOW).await.unwrap();
    house.fill(&mailbox, 270).await;
    let without = house.store.warn_full(NOW).await.unwrap();
    house.store.update_mailbox(&mailbox, address(Some("ann@example.com".to_owned())), NOW).await.unwrap();

    let with = house.store.warn_full(NOW).await.unwrap();
    let again = house.store.warn_full(NOW).await.unwrap();

    assert_eq!((without, with, again), (0, 1, 0));
}

async fn a_mailbox_that_had_room_again_is_warned_again(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    house.fill(&mailbox, 270).await;
    let told = house.store.warn_full(NOW).await.unwrap();
    let messages = house.store.messages(&mailbox, NOW).await.unwrap();
    house.store.delete(&messages[0].id, 1, NOW).await.unwrap();
    let roomy = house.store.warn_full(NOW).await.unwrap();
    house.deposit(&mailbox, NOW).await;

    let held: Vec<Errand> = house.store.list_outbox().await.unwrap().into_iter().map(|item| item.errand).collect();

    assert_eq!((told, roomy), (0, 0));
    assert_eq!(held, [Errand::Fullness { held: 270 }, Errand::Fullness { held: 270 }]);
}

async fn mailing_mailbox(house: &House) -> MailboxId {
    let mailbox = house.mailbox("1001").await;
    let on = MailboxChange { voice_to_email: Some(true), ..MailboxChange::default() };
    house.store.update_mailbox(&mailbox.id, on, NOW).await.unwrap().id
}

async fn claim_one(house: &House) -> OutboxItem {
    let mut claimed = house.store.claim_outbox(10, LEASE, NOW).await.unwrap();
    assert_eq!(claimed.len(), 1);
    claimed.remove(0)
}
