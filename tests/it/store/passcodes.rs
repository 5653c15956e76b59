//! Passcodes: uniform answers, and locks that last across calls and nodes.

use std::time::Duration;

use PasscodeVerdict::{LockedOut, Right, Wrong};
use afterbeep::{
    domain::{id::MailboxId, mailbox_log::Origin, rules, time::Timestamp},
    store::{
        Store,
        mailbox::MailboxChange,
        outbox::Errand,
        passcode::{AttemptSource, PasscodeVerdict},
    },
};

use super::{House, NOW, on_both_databases, passcode};

const RIGHT: &str = "49158730";
const BAD: &str = "11223344";

on_both_databases! {
    the_right_passcode_lets_in_and_others_do_not
    unknown_and_disabled_mailboxes_are_wrong_like_a_wrong_passcode
    the_fifth_failure_locks_a_source_and_each_lock_is_twice_as_long
    a_lock_outlives_the_server_and_holds_on_every_node
    guesses_made_at_once_count_like_guesses_in_a_row
    subscribers_who_log_in_at_once_through_one_pbx_do_not_lock_each_other_out
    a_success_forgets_the_failures_before_it
    knowing_one_passcode_does_not_pay_for_guessing_another
    ten_failures_in_a_row_end_remote_access_and_tell_the_owner
    strangers_do_not_lock_the_owners_line
    a_new_passcode_replaces_the_old_one
}

async fn the_right_passcode_lets_in_and_others_do_not(house: House) {
    let mailbox = house.mailbox("1001").await.id;

    assert_eq!(attempt(&house.store, Some(&mailbox), "a", RIGHT, NOW).await, Right);
    for wrong in [BAD, "4915873", "491587300", "0"] {
        assert_eq!(attempt(&house.store, Some(&mailbox), wrong, wrong, NOW).await, Wrong);
    }
}

async fn unknown_and_disabled_mailboxes_are_wrong_like_a_wrong_passcode(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let off = MailboxChange { enabled: Some(false), ..MailboxChange::default() };
    house.store.update_mailbox(&mailbox, off, NOW).await.unwrap();

    let tries = [Some(&mailbox), None, Some(&MailboxId::from_stored("removed"))];
    for (n, mailbox) in tries.into_iter().enumerate() {
        let source = n.to_string();
        for _ in 0..5 {
            assert_eq!(attempt(&house.store, mailbox, &source, RIGHT, NOW).await, Wrong);
        }
        assert_eq!(attempt(&house.store, mailbox, &source, RIGHT, NOW).await, LockedOut);
    }
}

async fn the_fifth_failure_locks_a_source_and_each_lock_is_twice_as_long(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let mut now = NOW;

    for lock in [rules::FIRST_LOCK, rules::FIRST_LOCK * 2, rules::FIRST_LOCK * 4] {
        // Opened by the owner each time, so that only the source's lock is seen here.
        house.sql("UPDATE mailboxes SET remote_failures = 0").await;
        for _ in 0..5 {
            assert_eq!(attempt(&house.store, Some(&mailbox), "a", BAD, now).await, Wrong);
        }
        assert_eq!(attempt(&house.store, Some(&mailbox), "a", RIGHT, now).await, LockedOut);
        let last = now.after(lock).before(Duration::from_millis(1));
        assert_eq!(attempt(&house.store, Some(&mailbox), "a", RIGHT, last).await, LockedOut);
        assert_eq!(attempt(&house.store, Some(&mailbox), "b", RIGHT, last).await, Right);
        now = now.after(lock);
    }
    assert_eq!(attempt(&house.store, Some(&mailbox), "a", RIGHT, now).await, Right);
    assert_eq!(attempt(&house.store, Some(&mailbox), "a", BAD, now).await, Wrong);
}

async fn a_lock_outlives_the_server_and_holds_on_every_node(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let node = house.another_node().await;
    for n in 0..5 {
        let store = if n % 2 == 0 { &house.store } else { &node };
        assert_eq!(attempt(store, Some(&mailbox), "a", BAD, NOW).await, Wrong);
    }

    let restarted = house.another().await;

    for store in [&restarted, &node] {
        assert_eq!(attempt(store, Some(&mailbox), "a", RIGHT, NOW).await, LockedOut);
    }
}

async fn guesses_made_at_once_count_like_guesses_in_a_row(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let node = house.another_node().await;

    let guesses = (0..20).map(|n| {
        let store = if n % 2 == 0 { &house.store } else { &node };
        attempt(store, Some(&mailbox), "a", BAD, NOW)
    });
    let verdicts = futures_util::future::join_all(guesses).await;

    assert_eq!(verdicts.iter().filter(|verdict| **verdict == Wrong).count(), 5);
    assert_eq!(verdicts.iter().filter(|verdict| **verdict == LockedOut).count(), 15);
}

async fn subscribers_who_log_in_at_once_through_one_pbx_do_not_lock_each_other_out(house: House) {
    let mut mailboxes = Vec::new();
    for n in 0..12 {
        mailboxes.push(house.mailbox(&format!("10{n:02}")).await.id);
    }

    let logins = mailboxes.iter().map(|mailbox| attempt(&house.store, Some(mailbox), "pbx", RIGHT, NOW));
    let verdicts = futures_util::future::join_all(logins).await;

    assert_eq!(verdicts, [Right; 12]);
}

async fn a_success_forgets_the_failures_before_it(house: House) {
    let mailbox = house.mailbox("1001").await.id;

    for _ in 0..3 {
        for _ in 0..4 {
            assert_eq!(attempt(&house.store, Some(&mailbox), "a", BAD, NOW).await, Wrong);
        }
        assert_eq!(attempt(&house.store, Some(&mailbox), "a", RIGHT, NOW).await, Right);
    }

    assert_eq!(house.store.remote_access(&mailbox).await.unwrap().failures, 0);
}

async fn knowing_one_passcode_does_not_pay_for_guessing_another(house: House) {
    let own = house.mailbox("1001").await.id;
    let other = house.mailbox("1002").await.id;

    let mut guesses = 0;
    for _ in 0..8 {
        if attempt(&house.store, Some(&other), "a", BAD, NOW).await == Wrong {
            guesses += 1;
        }
        attempt(&house.store, Some(&own), "a", RIGHT, NOW).await;
    }

    assert_eq!(guesses, 5);
}

async fn ten_failures_in_a_row_end_remote_access_and_tell_the_owner(house: House) {
    let mailbox = house.mailbox("1001").await.id;

    for n in 0..9 {
        assert_eq!(attempt(&house.store, Some(&mailbox), &format!("source {n}"), BAD, NOW).await, Wrong);
    }
    let open = house.store.remote_access(&mailbox).await.unwrap();
    assert_eq!(attempt(&house.store, Some(&mailbox), "tenth", BAD, NOW).await, Wrong);
    let locked = house.store.remote_access(&mailbox).await.unwrap();

    assert_eq!((open.failures, open.locked_at, locked.locked_at), (9, None, Some(NOW)));
    assert_eq!(attempt(&house.store, Some(&mailbox), "owner abroad", RIGHT, NOW.after(super::DAY)).await, Wrong);
    assert_eq!(own_line(&house.store, &mailbox, RIGHT).await, Right);
    assert_eq!(attempt(&house.store, Some(&mailbox), "owner abroad", RIGHT, NOW.after(super::DAY)).await, Wrong);
    let errands: Vec<Errand> = house.store.list_outbox().await.unwrap().into_iter().map(|item| item.errand).collect();
    assert_eq!(errands, [Errand::RemoteAccessLocked]);
    house.store.unlock(&mailbox).await.unwrap();
    assert_eq!(attempt(&house.store, Some(&mailbox), "owner abroad", RIGHT, NOW.after(super::DAY)).await, Right);
}

async fn strangers_do_not_lock_the_owners_line(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    for _ in 0..6 {
        attempt(&house.store, Some(&mailbox), "a", BAD, NOW).await;
    }
    for _ in 0..5 {
        assert_eq!(own_line(&house.store, &mailbox, BAD).await, Wrong);
    }

    assert_eq!(own_line(&house.store, &mailbox, RIGHT).await, LockedOut);
    assert_eq!(attempt(&house.store, Some(&mailbox), "b", RIGHT, NOW).await, Right);
    house.store.unlock(&mailbox).await.unwrap();
    assert_eq!(own_line(&house.store, &mailbox, RIGHT).await, Right);
}

async fn a_new_passcode_replaces_the_old_one(house: House) {
    let mailbox = house.mailbox("1001").await.id;

    house.store.set_passcode(&mailbox, &passcode("60271948"), &Origin::command(), NOW).await.unwrap();

    assert_eq!(attempt(&house.store, Some(&mailbox), "a", RIGHT, NOW).await, Wrong);
    assert_eq!(attempt(&house.store, Some(&mailbox), "a", "60271948", NOW).await, Right);
    assert!(
        house.store.set_passcode(&MailboxId::from_stored("removed"), &passcode(RIGHT), &Origin::command(), NOW).await.is_err()
    );
}

async fn attempt(store: &Store, mailbox: Option<&MailboxId>, from: &str, digits: &str, now: Timestamp) -> PasscodeVerdict {
    store.check_passcode(mailbox, &AttemptSource::Remote(from.to_owned()), &passcode(digits), now).await.unwrap()
}

async fn own_line(store: &Store, mailbox: &MailboxId, digits: &str) -> PasscodeVerdict {
    store.check_passcode(Some(mailbox), &AttemptSource::OwnLine, &passcode(digits), NOW).await.unwrap()
}
