//! The deleted list: what leaves it, what cannot, and two sessions that disagree.

use std::time::Duration;

use afterbeep::{
    domain::{
        listening::First,
        message::{Counts, Folder, Holdings, ListPart},
        rules,
    },
    store::{ChangeError, copy::CopyError, deleted::RestoreError, mailbox::MailboxChange, outbox::Errand},
};

use super::{DAY, House, NOW, on_both_databases};

const MILLISECOND: Duration = Duration::from_millis(1);

on_both_databases! {
    a_deleted_message_is_in_the_deleted_list_and_nowhere_else
    a_restored_message_is_as_it_was
    a_message_can_be_restored_for_a_day_and_then_is_removed
    a_life_that_ends_in_the_deleted_list_is_not_prolonged
    deleted_messages_do_not_count_against_the_capacity
    a_message_is_not_restored_into_a_full_mailbox
    of_two_sessions_that_restore_and_delete_for_good_at_once_one_wins
    of_two_sessions_that_delete_at_once_one_is_told
    what_is_deleted_is_not_mailed_and_what_is_restored_is
    a_deleted_message_can_be_deleted_for_good
    a_removed_mailbox_takes_its_deleted_messages_with_it
    a_copy_is_mailed_once_and_changes_nothing_about_the_message
    a_copy_that_was_asked_for_outlives_a_deletion_but_not_the_message
}

async fn a_deleted_message_is_in_the_deleted_list_and_nowhere_else(house: House) {
    let mailbox = house.mailbox("1001").await;
    let message = house.deposit(&mailbox.id, NOW).await;
    let kept = house.deposit(&mailbox.id, NOW).await;

    let deleted = house.store.move_to_deleted(&message.id, 1, NOW.after(DAY)).await.unwrap();

    let now = NOW.after(DAY);
    assert_eq!((deleted.folder(), deleted.version), (Folder::Deleted, 2));
    assert_eq!(house.store.messages(&mailbox.id, now).await.unwrap(), std::slice::from_ref(&kept));
    assert_eq!(house.store.message(&message.id, now).await.unwrap(), None);
    assert_eq!(house.store.deleted_messages(&mailbox.id, now).await.unwrap(), std::slice::from_ref(&deleted));
    assert_eq!(house.store.counts(&mailbox.id, now).await.unwrap(), Counts { new: 1, ..Counts::default() });
    let holdings = Holdings { counts: Counts { new: 1, ..Counts::default() }, deleted: 1 };
    assert_eq!(house.store.holdings(&mailbox.id, now).await.unwrap(), holdings);
    let part = |folder| ListPart { folder, first: First::Oldest, after: None, limit: 10 };
    assert_eq!(house.store.list(&mailbox.id, &part(Folder::New), now).await.unwrap(), [kept]);
    assert_eq!(house.store.list(&mailbox.id, &part(Folder::Deleted), now).await.unwrap(), std::slice::from_ref(&deleted));
    assert!(house.store.audio(&message.audio).await.is_ok());
    for refused in [
        house.store.mark_heard(&message.id, 2, now).await,
        house.store.save(&message.id, 2, now).await,
        house.store.mark_new(&message.id, 2, now).await,
        house.store.move_to_deleted(&message.id, 2, now).await,
    ] {
        assert!(matches!(refused, Err(ChangeError::Gone)), "{refused:?}");
    }
}

async fn a_restored_message_is_as_it_was(house: House) {
    let mailbox = house.mailbox("1001").await;
    let message = house.deposit(&mailbox.id, NOW).await;
    let saved = house.store.save(&message.id, 1, NOW.after(DAY)).await.unwrap();
    house.store.move_to_deleted(&message.id, 2, NOW.after(2 * DAY)).await.unwrap();

    let restored = house.store.restore(&message.id, 3, NOW.after(2 * DAY)).await.unwrap();

    let mut expected = saved;
    expected.version = 4;
    assert_eq!(restored, expected);
    assert_eq!(house.store.message(&message.id, NOW.after(2 * DAY)).await.unwrap(), Some(restored));
    let again = house.store.restore(&message.id, 4, NOW.after(2 * DAY)).await;
    assert!(matches!(again, Err(RestoreError::Change(ChangeError::Gone))), "{again:?}");
}

async fn a_message_can_be_restored_for_a_day_and_then_is_removed(house: House) {
    let mailbox = house.mailbox("1001").await;
    let message = house.deposit(&mailbox.id, NOW).await;
    house.store.move_to_deleted(&message.id, 1, NOW).await.unwrap();
    let end = NOW.after(rules::DELETED_LIFE);

    assert_eq!(house.store.expire(end.before(MILLISECOND)).await.unwrap(), 0);
    assert_eq!(house.store.deleted_messages(&mailbox.id, end.before(MILLISECOND)).await.unwrap().len(), 1);
    assert_eq!(house.store.deleted_messages(&mailbox.id, end).await.unwrap(), []);
    assert_eq!(house.store.holdings(&mailbox.id, end).await.unwrap(), Holdings::default());
    let late = house.store.restore(&message.id, 2, end).await;
    assert!(matches!(late, Err(RestoreError::Change(ChangeError::Gone))), "{late:?}");
    assert_eq!(house.store.expire(end).await.unwrap(), 1);
    assert_eq!(house.audio_files().len(), 0);
}

async fn a_life_that_ends_in_the_deleted_list_is_not_prolonged(house: House) {
    let mailbox = house.mailbox("1001").await;
    let message = house.deposit(&mailbox.id, NOW).await;
    let end = NOW.after(rules::MESSAGE_LIFE);

    house.store.move_to_deleted(&message.id, 1, end.before(MILLISECOND)).await.unwrap();

    let late = house.store.restore(&message.id, 2, end).await;
    assert!(matches!(late, Err(RestoreError::Change(ChangeError::Gone))), "{late:?}");
    assert_eq!(house.store.deleted_messages(&mailbox.id, end).await.unwrap(), []);
    assert_eq!(house.store.expire(end).await.unwrap(), 1);
}

async fn deleted_messages_do_not_count_against_the_capacity(house: House) {
    let mailbox = house.mailbox("1001").await;
    house.fill(&mailbox.id, rules::MAILBOX_CAPACITY).await;
    let one = house.store.messages(&mailbox.id, NOW).await.unwrap().remove(0);

    house.store.move_to_deleted(&one.id, one.version, NOW).await.unwrap();

    house.deposit(&mailbox.id, NOW).await;
    assert_eq!(house.store.counts(&mailbox.id, NOW).await.unwrap().total(), rules::MAILBOX_CAPACITY);
}

async fn a_message_is_not_restored_into_a_full_mailbox(house: House) {
    let mailbox = house.mailbox("1001").await;
    house.fill(&mailbox.id, rules::MAILBOX_CAPACITY).await;
    let held = house.store.messages(&mailbox.id, NOW).await.unwrap();
    house.store.move_to_deleted(&held[0].id, 1, NOW).await.unwrap();
    house.deposit(&mailbox.id, NOW).await;

    let refused = house.store.restore(&held[0].id, 2, NOW).await;
    assert!(matches!(refused, Err(RestoreError::MailboxFull)), "{refused:?}");
    assert_eq!(house.store.deleted_messages(&mailbox.id, NOW).await.unwrap().len(), 1);

    house.store.move_to_deleted(&held[1].id, 1, NOW).await.unwrap();
    let other = house.another_node().await;
    let (one, two) = tokio::join!(house.store.restore(&held[0].id, 2, NOW), other.restore(&held[1].id, 2, NOW));
    assert_eq!([&one, &two].iter().filter(|outcome| outcome.is_ok()).count(), 1, "{one:?} {two:?}");
    assert_eq!(house.store.counts(&mailbox.id, NOW).await.unwrap().total(), rules::MAILBOX_CAPACITY);
}

async fn of_two_sessions_that_restore_and_delete_for_good_at_once_one_wins(house: House) {
    let mailbox = house.mailbox("1001").await;
    let other = house.another_node().await;

    for _ in 0..10 {
        let message = house.deposit(&mailbox.id, NOW).await;
        house.store.move_to_deleted(&message.id, 1, NOW).await.unwrap();

        let (restored, deleted) = tokio::join!(house.store.restore(&message.id, 2, NOW), other.delete(&message.id, 2, NOW));

        let there = house.store.message(&message.id, NOW).await.unwrap();
        match (restored, deleted) {
            (Ok(restored), Err(ChangeError::Conflict)) => {
                assert!(house.store.audio(&restored.audio).await.is_ok());
                assert_eq!(there, Some(restored));
            }
            (Err(RestoreError::Change(ChangeError::Conflict | ChangeError::Gone)), Ok(())) => assert_eq!(there, None),
            (restored, deleted) => panic!("{restored:?} {deleted:?}"),
        }
    }
}

async fn of_two_sessions_that_delete_at_once_one_is_told(house: House) {
    let mailbox = house.mailbox("1001").await;
    let other = house.another_node().await;
    let message = house.deposit(&mailbox.id, NOW).await;

    let (one, two) = tokio::join!(house.store.move_to_deleted(&message.id, 1, NOW), other.move_to_deleted(&message.id, 1, NOW));

    assert_eq!([&one, &two].iter().filter(|outcome| outcome.is_ok()).count(), 1, "{one:?} {two:?}");
    assert_eq!(house.store.deleted_messages(&mailbox.id, NOW).await.unwrap()[0].version, 2);
}

async fn what_is_deleted_is_not_mailed_and_what_is_restored_is(house: House) {
    let mailbox = house.mailbox("1001").await;
    let change =
        MailboxChange { email: Some(Some("ann@example.com".to_owned())), voice_to_email: Some(true), ..MailboxChange::default() };
    house.store.update_mailbox(&mailbox.id, change, NOW).await.unwrap();
    let message = house.deposit(&mailbox.id, NOW.after(DAY)).await;
    assert_eq!(house.store.list_outbox().await.unwrap().len(), 1);

    house.store.move_to_deleted(&message.id, 1, NOW.after(DAY)).await.unwrap();
    assert_eq!(house.store.list_outbox().await.unwrap(), []);
    house.store.restore(&message.id, 2, NOW.after(DAY)).await.unwrap();

    let outbox = house.store.list_outbox().await.unwrap();
    assert_eq!(outbox.into_iter().map(|item| item.errand).collect::<Vec<_>>(), [Errand::Message { message: message.id.clone() }]);
    let item = &house.store.list_outbox().await.unwrap()[0];
    house.store.complete(item, NOW.after(DAY)).await.unwrap();
    house.store.move_to_deleted(&message.id, 3, NOW.after(DAY)).await.unwrap();
    house.store.restore(&message.id, 4, NOW.after(DAY)).await.unwrap();
    assert_eq!(house.store.list_outbox().await.unwrap(), [], "it has been mailed already");
}

async fn a_deleted_message_can_be_deleted_for_good(house: House) {
    let mailbox = house.mailbox("1001").await;
    let message = house.deposit(&mailbox.id, NOW).await;
    house.store.move_to_deleted(&message.id, 1, NOW).await.unwrap();

    assert!(matches!(house.store.delete(&message.id, 1, NOW).await, Err(ChangeError::Conflict)));
    house.store.delete(&message.id, 2, NOW).await.unwrap();

    assert_eq!(house.store.deleted_messages(&mailbox.id, NOW).await.unwrap(), []);
    assert_eq!(house.audio_files().len(), 0);
}

async fn a_removed_mailbox_takes_its_deleted_messages_with_it(house: House) {
    let mailbox = house.mailbox("1001").await;
    let message = house.deposit(&mailbox.id, NOW).await;
    house.store.move_to_deleted(&message.id, 1, NOW).await.unwrap();

    house.store.remove_mailbox(&mailbox.id, NOW).await.unwrap();

    assert_eq!(house.store.message_anywhere(&message.id, NOW).await.unwrap(), None);
    assert_eq!(house.audio_files().len(), 0);
}

async fn a_copy_is_mailed_once_and_changes_nothing_about_the_message(house: House) {
    let mailbox = house.mailbox("1001").await;
    let message = house.deposit(&mailbox.id, NOW).await;
    let other = house.another_node().await;

    let (one, two) = tokio::join!(house.store.mail_copy(&message.id, NOW), other.mail_copy(&message.id, NOW));
    one.unwrap();
    two.unwrap();

    let outbox = house.store.list_outbox().await.unwrap();
    assert_eq!(outbox.iter().map(|item| item.errand.clone()).collect::<Vec<_>>(), [Errand::Copy { message: message.id.clone() }]);
    house.store.complete(&outbox[0], NOW.after(DAY)).await.unwrap();
    assert_eq!(house.store.message(&message.id, NOW.after(DAY)).await.unwrap(), Some(message.clone()));
    house.store.mail_copy(&message.id, NOW.after(DAY)).await.unwrap();
    assert_eq!(house.store.list_outbox().await.unwrap().len(), 1, "another copy of another day");
    let without = MailboxChange { email: Some(None), ..MailboxChange::default() };
    house.store.update_mailbox(&mailbox.id, without, NOW).await.unwrap();
    let refused = house.store.mail_copy(&message.id, NOW).await;
    assert!(matches!(refused, Err(CopyError::NoAddress)), "{refused:?}");
}

async fn a_copy_that_was_asked_for_outlives_a_deletion_but_not_the_message(house: House) {
    let mailbox = house.mailbox("1001").await;
    let message = house.deposit(&mailbox.id, NOW).await;
    house.store.mail_copy(&message.id, NOW).await.unwrap();

    house.store.move_to_deleted(&message.id, 1, NOW).await.unwrap();
    assert_eq!(house.store.list_outbox().await.unwrap().len(), 1);

    house.store.delete(&message.id, 2, NOW).await.unwrap();
    assert_eq!(house.store.list_outbox().await.unwrap(), []);
    let gone = house.store.mail_copy(&message.id, NOW).await;
    assert!(matches!(gone, Err(CopyError::Change(ChangeError::Gone))), "{gone:?}");
}
