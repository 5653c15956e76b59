//! Hearing, saving, deleting; two sessions on one mailbox; lives at their limits.

use std::time::Duration;

use afterbeep::{
    domain::{
        id::MessageId,
        message::{Counts, Folder},
        rules,
    },
    store::ChangeError,
};

use super::{DAY, House, NOW, on_both_databases};

const MILLISECOND: Duration = Duration::from_millis(1);

on_both_databases! {
    new_messages_come_first_and_older_ones_before_younger
    a_message_heard_to_its_end_moves_to_the_saved_list_and_lives_no_longer
    a_save_gives_a_new_stamp_and_thirty_days
    an_expired_message_is_invisible_at_once
    an_expired_message_cannot_be_saved
    a_deleted_message_is_gone_with_its_audio
    a_change_decided_on_an_old_version_is_refused
    of_two_sessions_that_change_one_message_at_once_one_is_refused
    deleting_works_while_the_audio_store_is_down
    a_message_that_is_kept_as_new_is_new_again_and_lives_as_long
}

async fn new_messages_come_first_and_older_ones_before_younger(house: House) {
    let mailbox = house.mailbox("1001").await;
    let third = house.deposit(&mailbox.id, NOW.after(3 * DAY)).await;
    let first = house.deposit(&mailbox.id, NOW.after(DAY)).await;
    let second = house.deposit(&mailbox.id, NOW.after(2 * DAY)).await;
    let fourth = house.deposit(&mailbox.id, NOW.after(4 * DAY)).await;

    house.store.mark_heard(&second.id, 1, NOW.after(5 * DAY)).await.unwrap();
    house.store.save(&first.id, 1, NOW.after(6 * DAY)).await.unwrap();

    let listed = house.store.messages(&mailbox.id, NOW.after(7 * DAY)).await.unwrap();
    let ids: Vec<MessageId> = listed.into_iter().map(|message| message.id).collect();
    assert_eq!(ids, [third.id, fourth.id, second.id, first.id]);
    assert_eq!(house.store.counts(&mailbox.id, NOW).await.unwrap(), Counts { new: 2, saved: 2, ..Counts::default() });
}

async fn a_message_heard_to_its_end_moves_to_the_saved_list_and_lives_no_longer(house: House) {
    let mailbox = house.mailbox("1001").await;
    let message = house.deposit(&mailbox.id, NOW).await;

    let heard = house.store.mark_heard(&message.id, 1, NOW.after(DAY)).await.unwrap();
    let again = house.store.mark_heard(&message.id, 2, NOW.after(2 * DAY)).await.unwrap();

    assert_eq!((heard.folder(), heard.heard_at, heard.version), (Folder::Saved, Some(NOW.after(DAY)), 2));
    assert_eq!((heard.expires_at, heard.stamp_at), (message.expires_at, message.stamp_at));
    assert_eq!((again.heard_at, again.version), (heard.heard_at, 3));
    assert_eq!(house.store.messages(&mailbox.id, NOW).await.unwrap(), [again]);
}

async fn a_save_gives_a_new_stamp_and_thirty_days(house: House) {
    let mailbox = house.mailbox("1001").await;
    let message = house.deposit(&mailbox.id, NOW).await;
    let late = NOW.after(rules::MESSAGE_LIFE).before(MILLISECOND);

    let saved = house.store.save(&message.id, 1, late).await.unwrap();
    let twice = house.store.save(&message.id, 2, late.after(DAY)).await.unwrap();

    assert_eq!((saved.stamp_at, saved.saved_at, saved.deposited_at), (late, Some(late), NOW));
    assert_eq!(saved.expires_at, late.after(rules::MESSAGE_LIFE));
    assert_eq!(twice.expires_at, late.after(DAY).after(rules::MESSAGE_LIFE));
    assert_eq!(house.store.messages(&mailbox.id, late).await.unwrap(), [twice]);
}

async fn an_expired_message_is_invisible_at_once(house: House) {
    let mailbox = house.mailbox("1001").await;
    let message = house.deposit(&mailbox.id, NOW).await;
    let end = NOW.after(rules::MESSAGE_LIFE);

    for (moment, visible) in [(end.before(MILLISECOND), 1), (end, 0), (end.after(MILLISECOND), 0)] {
        assert_eq!(house.store.messages(&mailbox.id, moment).await.unwrap().len(), visible);
        assert_eq!(house.store.counts(&mailbox.id, moment).await.unwrap().total() as usize, visible);
        assert_eq!(house.store.message(&message.id, moment).await.unwrap().is_some(), visible == 1);
    }
}

async fn an_expired_message_cannot_be_saved(house: House) {
    let mailbox = house.mailbox("1001").await;
    let message = house.deposit(&mailbox.id, NOW).await;
    let end = NOW.after(rules::MESSAGE_LIFE);

    assert!(matches!(house.store.save(&message.id, 1, end).await, Err(ChangeError::Gone)));
    assert!(matches!(house.store.mark_heard(&message.id, 1, end).await, Err(ChangeError::Gone)));
    assert!(matches!(house.store.delete(&message.id, 1, end).await, Err(ChangeError::Gone)));
}

async fn a_deleted_message_is_gone_with_its_audio(house: House) {
    let mailbox = house.mailbox("1001").await;
    let message = house.deposit(&mailbox.id, NOW).await;
    let kept = house.deposit(&mailbox.id, NOW).await;

    house.store.delete(&message.id, 1, NOW).await.unwrap();
    let again = house.store.delete(&message.id, 1, NOW).await;

    assert!(matches!(again, Err(ChangeError::Gone)));
    assert!(house.store.audio(&message.audio).await.is_err());
    assert_eq!(house.store.messages(&mailbox.id, NOW).await.unwrap(), [kept]);
    assert_eq!(house.audio_files().len(), 1);
}

async fn a_change_decided_on_an_old_version_is_refused(house: House) {
    let mailbox = house.mailbox("1001").await;
    let message = house.deposit(&mailbox.id, NOW).await;
    let saved = house.store.save(&message.id, message.version, NOW).await.unwrap();

    assert!(matches!(house.store.delete(&message.id, message.version, NOW).await, Err(ChangeError::Conflict)));
    assert!(matches!(house.store.save(&message.id, message.version, NOW).await, Err(ChangeError::Conflict)));
    assert!(matches!(house.store.mark_heard(&message.id, message.version, NOW).await, Err(ChangeError::Conflict)));
    assert_eq!(house.store.messages(&mailbox.id, NOW).await.unwrap(), [saved]);
}

async fn of_two_sessions_that_change_one_message_at_once_one_is_refused(house: House) {
    let mailbox = house.mailbox("1001").await;
    let other = house.another_node().await;

    for _ in 0..10 {
        let message = house.deposit(&mailbox.id, NOW).await;
        let (saved, deleted) =
            tokio::join!(house.store.save(&message.id, message.version, NOW), other.delete(&message.id, message.version, NOW));
        let there = house.store.message(&message.id, NOW).await.unwrap();
        match (saved, deleted) {
            (Ok(saved), Err(ChangeError::Conflict)) => {
                assert_eq!(there.as_ref(), Some(&saved));
                assert!(house.store.audio(&saved.audio).await.is_ok());
            }
            (Err(ChangeError::Conflict | ChangeError::Gone), Ok(())) => assert_eq!(there, None),
            (saved, deleted) => panic!("{saved:?} {deleted:?}"),
        }
    }
}

async fn deleting_works_while_the_audio_store_is_down(house: House) {
    let mailbox = house.mailbox("1001").await;
    let message = house.deposit(&mailbox.id, NOW).await;
    house.audio.set_down(true);

    house.store.delete(&message.id, 1, NOW).await.unwrap();

    assert_eq!((house.store.counts(&mailbox.id, NOW).await.unwrap().total(), house.audio_files().len()), (0, 1));
    house.audio.set_down(false);
    assert_eq!(house.store.sweep_orphans(NOW, DAY).await.unwrap().objects, 1);
    assert_eq!(house.audio_files().len(), 0);
}

async fn a_message_that_is_kept_as_new_is_new_again_and_lives_as_long(house: House) {
    let mailbox = house.mailbox("1001").await;
    let message = house.deposit(&mailbox.id, NOW).await;
    let saved = house.store.save(&message.id, 1, NOW.after(DAY)).await.unwrap();
    house.store.mark_heard(&message.id, saved.version, NOW.after(DAY)).await.unwrap();

    let new = house.store.mark_new(&message.id, 3, NOW.after(2 * DAY)).await.unwrap();
    let stale = house.store.mark_new(&message.id, 3, NOW.after(2 * DAY)).await;

    assert_eq!((new.folder(), new.version), (Folder::New, 4));
    assert_eq!((new.expires_at, new.stamp_at), (saved.expires_at, saved.stamp_at));
    assert!(matches!(stale, Err(ChangeError::Conflict)));
    assert_eq!(house.store.counts(&mailbox.id, NOW.after(2 * DAY)).await.unwrap(), Counts { new: 1, ..Counts::default() });
    assert_eq!(house.store.message(&message.id, NOW.after(2 * DAY)).await.unwrap(), Some(new));
}
