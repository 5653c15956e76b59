//! One recording that several mailboxes get: each a message of its own, all of them or none, and none twice.

use std::{fs, io::Write as _, time::Duration};

use afterbeep::{
    audio::{law::Law, tone},
    domain::{
        caller::Caller,
        id::MailboxId,
        mailbox::Mailbox,
        message::{Marks, Message},
        rules,
        time::Timestamp,
    },
    store::{
        Store,
        deposit::{DepositError, Deposited},
        journal::{Envelope, Journal},
        mailbox::MailboxChange,
        outbox::Errand,
        spool::SpoolReport,
    },
};

use super::{DAY, House, NOW, envelope, on_both_databases};
use crate::support::caller::syllables;

on_both_databases! {
    every_mailbox_gets_a_message_of_its_own_and_the_audio_is_kept_once
    each_message_lives_is_saved_and_is_deleted_by_itself
    mails_and_warnings_go_to_each_mailbox_by_its_own_settings
    a_cleaned_recording_and_its_original_go_with_the_last_message
    mailboxes_that_are_full_or_gone_keep_it_from_nobody_else
    when_all_are_full_it_is_refused_and_when_all_are_gone_it_is_pointless
    a_recording_met_again_after_its_commit_is_deposited_once
    who_was_full_does_not_get_it_when_its_journal_is_met_again
    a_fault_between_two_copies_leaves_none_and_the_next_attempt_makes_all
    a_fault_at_the_last_copy_does_not_harm_others_of_the_group
    it_waits_in_the_spool_for_the_database_and_for_room_in_one_of_them
    a_recording_whose_server_died_is_an_interrupted_message_in_each
    what_every_mailbox_deleted_does_not_come_back
    callers_of_the_same_mailboxes_in_any_order_do_not_wait_for_each_other_nor_overfill_one
    fifty_mailboxes_get_it_at_once
    whoever_left_it_is_the_last_caller_of_each
}

async fn every_mailbox_gets_a_message_of_its_own_and_the_audio_is_kept_once(house: House) {
    let [ann, bob, cat] = mailboxes(&house).await;
    let mut journal = journal(&house.store, &[&ann, &bob, &cat, &bob]).await;
    let envelope = journal.envelope().clone();
    journal.mark(Marks { urgent: true, private: false }).unwrap();

    let deposited = house.store.deposit(journal, Duration::from_secs(3), NOW, false).await.unwrap();

    let all = [only(&house, &ann).await, only(&house, &bob).await, only(&house, &cat).await];
    assert_eq!(deposited.message, all[0]);
    assert_eq!(all[0].id, envelope.message);
    assert!(all[0].id != all[1].id && all[1].id != all[2].id && all[0].id != all[2].id);
    for (message, mailbox) in all.iter().zip([&ann, &bob, &cat]) {
        assert_eq!((&message.mailbox, &message.caller, message.urgent), (&mailbox.id, &envelope.caller, true));
        assert_eq!((message.deposited_at, message.expires_at, &message.sent), (NOW, NOW.after(rules::MESSAGE_LIFE), &None));
        assert_eq!(message.audio, all[0].audio);
    }
    assert_eq!((house.audio_files().len(), house.spooled_files().len()), (1, 0));
}

async fn each_message_lives_is_saved_and_is_deleted_by_itself(house: House) {
    let [ann, bob, cat] = mailboxes(&house).await;
    leave(&house.store, &[&ann, &bob, &cat], NOW).await.unwrap();
    let [anns, bobs] = [only(&house, &ann).await, only(&house, &bob).await];

    house.store.save(&bobs.id, 1, NOW.after(DAY)).await.unwrap();
    house.store.delete(&anns.id, 1, NOW).await.unwrap();
    assert_eq!(house.store.audio(&bobs.audio).await.unwrap().len(), 44 + 2 * 24_000);
    house.store.remove_mailbox(&cat.id, NOW).await.unwrap();
    assert_eq!(house.store.audio(&bobs.audio).await.unwrap().len(), 44 + 2 * 24_000);
    assert_eq!(house.store.expire(NOW.after(rules::MESSAGE_LIFE)).await.unwrap(), 0, "it was saved a day later");
    assert_eq!(house.store.expire(NOW.after(rules::MESSAGE_LIFE).after(DAY)).await.unwrap(), 1);

    assert_eq!(house.audio_files().len(), 0);
}

async fn mails_and_warnings_go_to_each_mailbox_by_its_own_settings(house: House) {
    let [ann, bob, cat] = mailboxes(&house).await;
    let on = MailboxChange { voice_to_email: Some(true), ..MailboxChange::default() };
    for mailbox in [&bob, &cat] {
        house.store.update_mailbox(&mailbox.id, on.clone(), NOW).await.unwrap();
    }
    house.crowd(&cat.id, rules::MAILBOX_CAPACITY / 10 * 9 - 1).await;

    leave(&house.store, &[&ann, &bob, &cat], NOW).await.unwrap();
    house.store.outbox_grew().notified().await;

    let outbox = house.store.list_outbox().await.unwrap();
    let cats = house.store.messages(&cat.id, NOW).await.unwrap().into_iter().find(|it| it.caller.number.is_some()).unwrap();
    let mut errands: Vec<(MailboxId, Errand)> = outbox.into_iter().map(|item| (item.mailbox, item.errand)).collect();
    let mut expected = vec![
        (bob.id.clone(), Errand::Message { message: only(&house, &bob).await.id }),
        (cat.id.clone(), Errand::Message { message: cats.id }),
        (cat.id.clone(), Errand::Fullness { held: 270 }),
    ];
    let text = |it: &(MailboxId, Errand)| format!("{it:?}");
    errands.sort_by_key(text);
    expected.sort_by_key(text);
    assert_eq!(errands, expected);
}

async fn a_cleaned_recording_and_its_original_go_with_the_last_message(house: House) {
    let [ann, bob, _] = mailboxes(&house).await;
    let journal = house.store.create_journal(addressed(&[&ann, &bob])).await.unwrap();
    let recorded = Law::Mu.encoded(&[syllables(4.0), tone::busy(Duration::from_secs(3))].concat());
    journal.audio_file().unwrap().write_all(&recorded).unwrap();

    house.store.deposit(journal, Duration::from_secs(7), NOW, false).await.unwrap();

    let [anns, bobs] = [only(&house, &ann).await, only(&house, &bob).await];
    assert!(anns.original_audio.is_some());
    assert_eq!(anns.original_audio, bobs.original_audio);
    assert_eq!(house.audio_files().len(), 2);
    house.store.delete(&anns.id, 1, NOW).await.unwrap();
    assert_eq!(house.audio_files().len(), 2);
    house.store.delete(&bobs.id, 1, NOW).await.unwrap();
    assert_eq!(house.audio_files().len(), 0);
}

async fn mailboxes_that_are_full_or_gone_keep_it_from_nobody_else(house: House) {
    let [full, gone, open] = mailboxes(&house).await;
    house.crowd(&full.id, rules::MAILBOX_CAPACITY).await;
    let journal = journal(&house.store, &[&full, &gone, &open]).await;
    house.store.remove_mailbox(&gone.id, NOW).await.unwrap();

    let deposited = house.store.deposit(journal, Duration::from_secs(3), NOW, false).await.unwrap();

    assert_eq!(deposited.message, only(&house, &open).await);
    assert_eq!(deposited.counts.total(), 1);
    assert_eq!(held(&house, &full).await, rules::MAILBOX_CAPACITY);
    assert_eq!((house.audio_files().len(), house.spooled_files().len()), (1, 0));
}

async fn when_all_are_full_it_is_refused_and_when_all_are_gone_it_is_pointless(house: House) {
    let [ann, bob, cat] = mailboxes(&house).await;
    for mailbox in [&ann, &bob] {
        house.crowd(&mailbox.id, rules::MAILBOX_CAPACITY).await;
    }

    let full = leave(&house.store, &[&ann, &bob], NOW).await;
    let journal = journal(&house.store, &[&cat]).await;
    house.store.remove_mailbox(&cat.id, NOW).await.unwrap();
    let gone = house.store.deposit(journal, Duration::from_secs(3), NOW, false).await;

    assert!(matches!(full, Err(DepositError::MailboxFull)), "{full:?}");
    assert!(matches!(gone, Err(DepositError::Pointless)), "{gone:?}");
    assert_eq!((house.audio_files().len(), house.spooled_files().len()), (0, 0));
}

async fn a_recording_met_again_after_its_commit_is_deposited_once(house: House) {
    let [ann, bob, cat] = mailboxes(&house).await;
    let journal = journal(&house.store, &[&ann, &bob, &cat]).await;
    let copies = copy_spool(&house);
    house.store.deposit(journal, Duration::from_secs(3), NOW, false).await.unwrap();
    let before = [only(&house, &ann).await, only(&house, &bob).await, only(&house, &cat).await];

    for _ in 0..2 {
        put_back(&house, &copies);
        let report = house.store.retry_spool(NOW).await.unwrap();
        assert_eq!(report, SpoolReport { deposited: 1, ..SpoolReport::default() });
    }

    assert_eq!([only(&house, &ann).await, only(&house, &bob).await, only(&house, &cat).await], before);
    assert_eq!((house.audio_files().len(), house.spooled_files().len()), (1, 0));
}

async fn who_was_full_does_not_get_it_when_its_journal_is_met_again(house: House) {
    let [full, open, _] = mailboxes(&house).await;
    house.crowd(&full.id, rules::MAILBOX_CAPACITY).await;
    let journal = journal(&house.store, &[&full, &open]).await;
    let copies = copy_spool(&house);
    house.store.deposit(journal, Duration::from_secs(3), NOW, false).await.unwrap();
    house.store.remove_mailbox(&open.id, NOW).await.unwrap();
    house.sql("DELETE FROM messages").await;

    put_back(&house, &copies);
    let report = house.store.retry_spool(NOW).await.unwrap();

    assert_eq!(report, SpoolReport { discarded: 1, ..SpoolReport::default() });
    assert_eq!(held(&house, &full).await, 0);
    assert_eq!(house.spooled_files().len(), 0);
}

async fn a_fault_between_two_copies_leaves_none_and_the_next_attempt_makes_all(house: House) {
    let [ann, bob, cat] = mailboxes(&house).await;
    // Whichever of them is written first, the second of the three fails.
    house.sql("CREATE UNIQUE INDEX one_length ON messages (duration_ms)").await;

    let outcome = leave(&house.store, &[&ann, &bob, &cat], NOW).await;
    let still = house.store.retry_spool(NOW).await.unwrap();
    for mailbox in [&ann, &bob, &cat] {
        assert_eq!(held(&house, mailbox).await, 0);
    }
    assert_eq!(house.audio_files().len(), 0);
    house.sql("DROP INDEX one_length").await;
    let done = house.store.retry_spool(NOW).await.unwrap();
    let again = house.store.retry_spool(NOW).await.unwrap();

    assert!(matches!(outcome, Err(DepositError::Later(_))), "{outcome:?}");
    assert_eq!((still.waiting, done.deposited, again), (1, 1, SpoolReport::default()));
    let all = [only(&house, &ann).await, only(&house, &bob).await, only(&house, &cat).await];
    assert!(all.iter().all(|message| !message.interrupted && message.deposited_at == NOW));
    assert_eq!((house.audio_files().len(), house.spooled_files().len()), (1, 0));
}

async fn a_fault_at_the_last_copy_does_not_harm_others_of_the_group(house: House) {
    let [ann, bob, other] = mailboxes(&house).await;
    house.sql("CREATE UNIQUE INDEX one_length ON messages (duration_ms) WHERE duration_ms = 3500").await;
    let faulty = house.store.create_journal(addressed(&[&ann, &bob])).await.unwrap();
    faulty.audio_file().unwrap().write_all(&[0xff; 28_000]).unwrap();

    let refused = house.store.deposit(faulty, Duration::from_millis(3500), NOW, false);
    let two = [&other, &bob];
    let good = futures_util::future::join_all((0..20).map(|_| leave(&house.store, &two, NOW)));
    let (refused, good) = tokio::join!(refused, good);

    assert!(matches!(refused, Err(DepositError::Later(_))), "{refused:?}");
    assert!(good.iter().all(Result::is_ok));
    assert_eq!([held(&house, &ann).await, held(&house, &bob).await, held(&house, &other).await], [0, 20, 20]);
}

async fn it_waits_in_the_spool_for_the_database_and_for_room_in_one_of_them(house: House) {
    let [ann, bob, _] = mailboxes(&house).await;
    house.sql("ALTER TABLE deposited RENAME TO elsewhere").await;
    let outcome = leave(&house.store, &[&ann, &bob], NOW).await;
    assert!(matches!(outcome, Err(DepositError::Later(_))), "{outcome:?}");
    house.sql("ALTER TABLE elsewhere RENAME TO deposited").await;
    for mailbox in [&ann, &bob] {
        house.crowd(&mailbox.id, rules::MAILBOX_CAPACITY).await;
    }

    // Its caller was told that it is sent.
    let full = house.store.retry_spool(NOW).await.unwrap();
    let first = house.store.messages(&bob.id, NOW).await.unwrap().remove(0);
    house.store.delete(&first.id, 1, NOW).await.unwrap();
    let room = house.store.retry_spool(NOW).await.unwrap();

    assert_eq!((full.waiting, room.deposited), (1, 1));
    let came = async |mailbox: &Mailbox| {
        let messages = house.store.messages(&mailbox.id, NOW).await.unwrap();
        messages.iter().filter(|message| message.caller.number.is_some()).count()
    };
    assert_eq!((came(&ann).await, came(&bob).await), (0, 1));
}

async fn a_recording_whose_server_died_is_an_interrupted_message_in_each(house: House) {
    let [ann, bob, _] = mailboxes(&house).await;
    drop(journal(&house.store, &[&ann, &bob]).await);

    let [first, second] = [house.store.retry_spool(NOW).await.unwrap(), house.store.retry_spool(NOW).await.unwrap()];

    assert_eq!((first.deposited, second), (1, SpoolReport::default()));
    assert!(only(&house, &ann).await.interrupted && only(&house, &bob).await.interrupted);
}

async fn what_every_mailbox_deleted_does_not_come_back(house: House) {
    let [ann, bob, _] = mailboxes(&house).await;
    let journal = journal(&house.store, &[&ann, &bob]).await;
    let copies = copy_spool(&house);
    house.store.deposit(journal, Duration::from_secs(3), NOW, false).await.unwrap();
    let [anns, bobs] = [only(&house, &ann).await, only(&house, &bob).await];
    house.store.delete(&anns.id, 1, NOW).await.unwrap();

    put_back(&house, &copies);
    let one_left = house.store.retry_spool(NOW).await.unwrap();
    house.store.delete(&bobs.id, 1, NOW).await.unwrap();
    put_back(&house, &copies);
    let none_left = house.store.retry_spool(NOW).await.unwrap();

    assert_eq!((one_left.deposited, none_left.discarded), (1, 1));
    assert_eq!((held(&house, &ann).await, held(&house, &bob).await, house.audio_files().len()), (0, 0, 0));
}

async fn callers_of_the_same_mailboxes_in_any_order_do_not_wait_for_each_other_nor_overfill_one(house: House) {
    let [ann, bob, cat] = mailboxes(&house).await;
    house.crowd(&bob.id, rules::MAILBOX_CAPACITY - 10).await;
    let another = house.another_node().await;
    // Whoever owns one is told of what comes into it, also while their own mailbox has its turn.
    for (shared, owner) in [(&bob, &ann), (&bob, &cat)] {
        house.store.add_owner(&shared.id, &owner.id, NOW).await.unwrap();
    }

    let deposits = (0..48).map(|n| {
        let store = if n % 2 == 0 { house.store.clone() } else { another.clone() };
        let orders = [vec![&ann, &bob, &cat], vec![&cat, &bob, &ann], vec![&bob], vec![&bob, &cat, &ann], vec![&cat], vec![&bob]];
        let order: Vec<Mailbox> = orders[n % 6].iter().map(|mailbox| (*mailbox).clone()).collect();
        tokio::spawn(async move { leave(&store, &order.iter().collect::<Vec<_>>(), NOW).await })
    });
    let outcomes = futures_util::future::join_all(deposits).await;

    for outcome in outcomes {
        let outcome = outcome.unwrap();
        assert!(matches!(outcome, Ok(_) | Err(DepositError::MailboxFull)), "{outcome:?}");
    }
    let counts = [held(&house, &ann).await, held(&house, &bob).await, held(&house, &cat).await];
    assert_eq!(counts, [24, rules::MAILBOX_CAPACITY, 32]);
}

async fn fifty_mailboxes_get_it_at_once(house: House) {
    let ann = house.mailbox("1001").await;
    house.add_mailboxes(rules::MAILBOXES_AT_ONCE as u32).await;
    let also = (2..=rules::MAILBOXES_AT_ONCE).map(|n| MailboxId::from_stored(format!("m{n}"))).collect();
    let journal = house.store.create_journal(Envelope { also, ..envelope(&ann.id) }).await.unwrap();
    journal.audio_file().unwrap().write_all(&[0xff; 24_000]).unwrap();

    house.store.deposit(journal, Duration::from_secs(3), NOW, false).await.unwrap();

    for n in 2..=rules::MAILBOXES_AT_ONCE {
        let mailbox = MailboxId::from_stored(format!("m{n}"));
        assert_eq!(house.store.counts(&mailbox, NOW).await.unwrap().new, 1, "{n}");
    }
    assert_eq!(house.audio_files().len(), 1);
}

async fn whoever_left_it_is_the_last_caller_of_each(house: House) {
    let [ann, bob, _] = mailboxes(&house).await;
    assert_eq!(house.store.last_caller(&bob.id).await.unwrap(), None);

    let deposited = leave(&house.store, &[&ann, &bob], NOW).await.unwrap();

    for mailbox in [&ann, &bob] {
        assert_eq!(house.store.last_caller(&mailbox.id).await.unwrap().as_ref(), Some(&deposited.message.caller));
    }
}

async fn mailboxes(house: &House) -> [Mailbox; 3] {
    [house.mailbox("1001").await, house.mailbox("1002").await, house.mailbox("1003").await]
}

fn addressed(mailboxes: &[&Mailbox]) -> Envelope {
    let also = mailboxes[1..].iter().map(|mailbox| mailbox.id.clone()).collect();
    let caller = Caller { number: Some("2025550143".to_owned()), name: None };
    Envelope { also, caller, ..envelope(&mailboxes[0].id) }
}

/// A recording of three seconds for these mailboxes.
async fn journal(store: &Store, mailboxes: &[&Mailbox]) -> Journal {
    let journal = store.create_journal(addressed(mailboxes)).await.unwrap();
    journal.audio_file().unwrap().write_all(&[0xff; 24_000]).unwrap();
    journal
}

async fn leave(store: &Store, mailboxes: &[&Mailbox], at: Timestamp) -> Result<Deposited, DepositError> {
    let journal = journal(store, mailboxes).await;
    store.deposit(journal, Duration::from_secs(3), at, false).await
}

/// The one message of a mailbox.
async fn only(house: &House, mailbox: &Mailbox) -> Message {
    let mut messages = house.store.messages(&mailbox.id, NOW).await.unwrap();
    assert_eq!(messages.len(), 1, "messages of {}", mailbox.number.as_str());
    messages.remove(0)
}

async fn held(house: &House, mailbox: &Mailbox) -> u32 {
    house.store.counts(&mailbox.id, NOW).await.unwrap().total()
}

fn copy_spool(house: &House) -> Vec<(String, Vec<u8>)> {
    house.spooled_files().into_iter().map(|name| (name.clone(), fs::read(house.spool().join(name)).unwrap())).collect()
}

fn put_back(house: &House, copies: &[(String, Vec<u8>)]) {
    assert_eq!(copies.len(), 2);
    for (name, contents) in copies {
        fs::write(house.spool().join(name), contents).unwrap();
    }
}
