//! Shared mailboxes: who owns them, whose lamps tell of them, and two owners at once.

use std::time::Duration;

use afterbeep::{
    domain::{
        id::{MailboxId, MessageId, SubscriptionId},
        message::Counts,
        rules,
        sharing::OwnerAction,
        time::Timestamp,
    },
    store::{
        ChangeError,
        mailbox::MailboxChange,
        shared::OwnerError,
        subscription::{NewSubscription, Settled},
    },
};

use super::{DAY, House, NOW, new_mailbox, on_both_databases};

on_both_databases! {
    an_owner_opens_what_is_shared_and_is_forgotten_with_either_mailbox
    who_cannot_be_an_owner_is_none
    a_mailbox_and_an_owner_have_limits
    the_lamps_of_all_owners_tell_of_a_shared_mailbox
    of_two_owners_at_once_each_change_is_made_once
    what_owners_did_is_kept_for_ninety_days
}

async fn an_owner_opens_what_is_shared_and_is_forgotten_with_either_mailbox(house: House) {
    let [sales, support, ann, bob] = mailboxes(&house).await;
    assert!(house.store.add_owner(&sales, &ann, NOW).await.unwrap());
    assert!(!house.store.add_owner(&sales, &ann, NOW).await.unwrap(), "already");
    house.store.add_owner(&sales, &bob, NOW).await.unwrap();
    house.store.add_owner(&support, &ann, NOW).await.unwrap();
    house.deposit(&support, NOW).await;

    let shared = house.store.shared_mailboxes(&ann, NOW).await.unwrap();
    let shared: Vec<_> = shared.iter().map(|(mailbox, counts)| (mailbox.number.as_str(), counts.new)).collect();
    assert_eq!(shared, [("5001", 0), ("5002", 1)]);
    assert!(house.store.is_owner(&sales, &bob).await.unwrap());
    assert_eq!(house.store.owners(&sales).await.unwrap().len(), 2);

    assert!(house.store.remove_owner(&sales, &bob, NOW).await.unwrap());
    assert!(!house.store.remove_owner(&sales, &bob, NOW).await.unwrap());
    house.store.remove_mailbox(&support, NOW).await.unwrap();
    assert_eq!(house.store.shared_mailboxes(&ann, NOW).await.unwrap().len(), 1);
    house.store.remove_mailbox(&ann, NOW).await.unwrap();
    assert!(house.store.owners(&sales).await.unwrap().is_empty());
}

async fn who_cannot_be_an_owner_is_none(house: House) {
    let [sales, support, ann, bob] = mailboxes(&house).await;
    let mut stranger = new_mailbox("1001");
    stranger.tenant = "other.example".to_owned();
    let stranger = house.store.create_mailbox(stranger, NOW).await.unwrap().id;
    house.store.add_owner(&sales, &ann, NOW).await.unwrap();

    for (shared, owner) in [(&ann, &ann), (&sales, &stranger), (&ann, &bob), (&support, &sales)] {
        assert!(matches!(house.store.add_owner(shared, owner, NOW).await, Err(OwnerError::Unfit)), "{shared} {owner}");
    }
    let nobody = MailboxId::random();
    assert!(matches!(house.store.add_owner(&sales, &nobody, NOW).await, Err(OwnerError::Gone)));
}

async fn a_mailbox_and_an_owner_have_limits(house: House) {
    let [sales, _, ann, _] = mailboxes(&house).await;
    house.add_mailboxes(100).await;
    let other = |n: u32| MailboxId::from_stored(format!("m{n}"));
    for n in 0..rules::OWNERS_PER_MAILBOX {
        house.store.add_owner(&sales, &other(2 + n), NOW).await.unwrap();
    }
    assert!(matches!(house.store.add_owner(&sales, &ann, NOW).await, Err(OwnerError::TooMany)));

    for n in 0..rules::SHARED_PER_OWNER {
        house.store.add_owner(&other(50 + n), &ann, NOW).await.unwrap();
    }
    assert!(matches!(house.store.add_owner(&other(99), &ann, NOW).await, Err(OwnerError::TooMany)));
}

async fn the_lamps_of_all_owners_tell_of_a_shared_mailbox(house: House) {
    let [sales, _, ann, bob] = mailboxes(&house).await;
    for owner in [&ann, &bob] {
        subscribe(&house, owner).await;
    }
    told(&house, NOW).await;
    house.store.add_owner(&sales, &ann, NOW).await.unwrap();
    assert_eq!(told(&house, minutes(1)).await, std::slice::from_ref(&ann));

    house.deposit(&ann, NOW).await;
    assert_eq!(told(&house, minutes(2)).await, std::slice::from_ref(&ann));
    let message = house.deposit(&sales, NOW).await;
    assert_eq!(told(&house, minutes(3)).await, std::slice::from_ref(&ann));
    assert_eq!(house.store.lamp_counts(&ann, NOW).await.unwrap(), Counts { new: 2, ..Counts::default() });
    assert_eq!(house.store.counts(&ann, NOW).await.unwrap().new, 1, "it takes no room in the owner's mailbox");

    house.store.add_owner(&sales, &bob, NOW).await.unwrap();
    told(&house, minutes(4)).await;
    house.store.mark_heard(&message.id, 1, NOW).await.unwrap();
    let mut both = [ann.clone(), bob.clone()];
    both.sort();
    assert_eq!(told(&house, minutes(5)).await, both, "what one has heard is heard");
    assert_eq!(house.store.lamp_counts(&bob, NOW).await.unwrap(), Counts { saved: 1, ..Counts::default() });

    let off = MailboxChange { enabled: Some(false), ..MailboxChange::default() };
    house.store.update_mailbox(&sales, off, NOW).await.unwrap();
    assert_eq!(told(&house, minutes(6)).await, both);
    assert_eq!(house.store.lamp_counts(&bob, NOW).await.unwrap(), Counts::default(), "nobody can listen to it");

    house.store.remove_mailbox(&sales, NOW).await.unwrap();
    assert_eq!(told(&house, minutes(7)).await, both);
}

async fn of_two_owners_at_once_each_change_is_made_once(house: House) {
    let [sales, _, ann, bob] = mailboxes(&house).await;
    for owner in [&ann, &bob] {
        house.store.add_owner(&sales, owner, NOW).await.unwrap();
    }
    let message = house.deposit(&sales, NOW).await;
    let another = house.another_node().await;

    let (saved, deleted) =
        tokio::join!(house.store.save(&message.id, 1, NOW), another.delete(&message.id, 1, NOW.after(Duration::from_millis(1))));

    match (saved, deleted) {
        (Ok(saved), Err(ChangeError::Conflict)) => {
            assert_eq!(another.messages(&sales, NOW).await.unwrap(), [saved]);
        }
        (Err(ChangeError::Gone | ChangeError::Conflict), Ok(())) => {
            assert!(another.messages(&sales, NOW).await.unwrap().is_empty());
        }
        other => panic!("one of them is the first: {other:?}"),
    }
}

async fn what_owners_did_is_kept_for_ninety_days(house: House) {
    let [sales, _, ann, bob] = mailboxes(&house).await;
    let [first, second] = [MessageId::random(), MessageId::random()];
    house.store.note_deed(&sales, &ann, &first, OwnerAction::Saved, NOW).await.unwrap();
    house.store.note_deed(&sales, &bob, &second, OwnerAction::Deleted, minutes(1)).await.unwrap();

    let deeds = house.store.deeds(&sales, 9).await.unwrap();
    let shown: Vec<_> = deeds.iter().map(|deed| (deed.at, deed.owner.as_str(), deed.what, deed.message.clone())).collect();
    let expected = [(minutes(1), "1002", OwnerAction::Deleted, second), (NOW, "1001", OwnerAction::Saved, first)];
    assert_eq!(shown, expected);

    house.store.remove_mailbox(&bob, NOW).await.unwrap();
    house.store.sweep_orphans(NOW.after(rules::RECORD_LIFE), DAY).await.unwrap();
    assert_eq!(house.store.deeds(&sales, 9).await.unwrap().len(), 1, "also of an owner who is gone");
    house.store.remove_mailbox(&sales, NOW).await.unwrap();
}

/// Two that are to be shared, 5001 and 5002, and two to own them.
async fn mailboxes(house: &House) -> [MailboxId; 4] {
    [
        house.mailbox("5001").await.id,
        house.mailbox("5002").await.id,
        house.mailbox("1001").await.id,
        house.mailbox("1002").await.id,
    ]
}

async fn subscribe(house: &House, mailbox: &MailboxId) {
    let new = NewSubscription {
        id: SubscriptionId::random(),
        mailbox: mailbox.clone(),
        dialog: String::new(),
        remote_sequence: 1,
        expires_at: NOW.after(Duration::from_hours(1)),
    };
    house.store.subscribe(&new, NOW).await.unwrap();
}

/// The mailboxes whose subscribers are told of something now.
async fn told(house: &House, now: Timestamp) -> Vec<MailboxId> {
    while house.store.spread_changes(None, now).await.unwrap() {}
    let notices = house.store.claim_notices(false, 64, Duration::from_mins(1), now).await.unwrap();
    let settled: Vec<_> = notices.iter().map(|notice| (notice.clone(), Settled::Taken { quiet_until: now })).collect();
    house.store.settle_notices(&settled).await.unwrap();
    let mut mailboxes: Vec<MailboxId> = notices.into_iter().map(|notice| notice.mailbox).collect();
    mailboxes.sort();
    mailboxes
}

fn minutes(minutes: u64) -> Timestamp {
    NOW.after(Duration::from_mins(minutes))
}
