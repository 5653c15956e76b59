//! A recording becomes a message, durably, exactly once.

use std::{fs, time::Duration};

use afterbeep::{
    audio::{law::Law, tone},
    domain::{
        id::MailboxId,
        message::{Counts, Marks},
        rules,
    },
    store::{Store, deposit::DepositError, mailbox::MailboxChange, outbox::Errand, spool::SpoolReport},
};

use super::{House, NOW, deposit, journal, on_both_databases};
use crate::support::caller::syllables;

on_both_databases! {
    a_deposited_message_is_whole
    what_its_caller_marked_a_message_as_is_kept_and_counted
    what_was_recorded_after_the_kept_part_is_left_out
    a_mailbox_with_299_messages_takes_one_of_two_deposits_at_once
    two_nodes_together_do_not_overfill_a_mailbox
    an_expired_message_does_not_take_a_place
    a_recording_below_the_shortest_is_discarded
    a_cleaned_message_keeps_its_original_until_it_is_gone
    a_message_in_which_nobody_speaks_is_kept_unless_the_operator_wants_none
    a_deposit_without_its_mailbox_is_discarded
    voice_to_email_leaves_an_errand_in_the_same_transaction
    a_subscriber_is_told_once_at_nine_tenths_and_once_when_full
    a_message_deposited_twice_is_one_message
    a_deleted_message_does_not_come_back_with_its_journal
    a_message_waits_in_the_spool_while_the_audio_store_is_down
    a_message_waits_in_the_spool_while_the_database_is_down
    one_bad_deposit_does_not_harm_those_in_its_group
    what_a_phone_may_send_can_be_stored
}

async fn a_deposited_message_is_whole(house: House) {
    let mailbox = house.mailbox("1001").await;
    let recorded: Vec<u8> = (0..24_001u32).map(|n| (n * 7 % 251) as u8).collect();
    let journal = house.journal(&mailbox.id, &recorded).await;
    let envelope = journal.envelope().clone();

    // On another task, as a call does it.
    let store = house.store.clone();
    let deposited = tokio::spawn(async move { store.deposit(journal, Duration::from_micros(3_000_125), NOW, false).await })
        .await
        .unwrap()
        .unwrap();

    let messages = house.store.messages(&mailbox.id, NOW).await.unwrap();
    assert_eq!(messages, std::slice::from_ref(&deposited.message));
    assert_eq!(deposited.counts, Counts { new: 1, saved: 0, ..Counts::default() });
    let message = deposited.message;
    assert_eq!((message.id, message.caller, message.interrupted), (envelope.message, envelope.caller, false));
    assert_eq!((message.deposited_at, message.stamp_at, message.expires_at), (NOW, NOW, NOW.after(rules::MESSAGE_LIFE)));
    let wav = house.store.audio(&message.audio).await.unwrap();
    let samples = hound::WavReader::new(&wav[..]).unwrap().into_samples::<i16>().count();
    assert_eq!(samples, 24_001);
    assert_eq!(house.spooled_files(), Vec::<String>::new());
}

async fn what_its_caller_marked_a_message_as_is_kept_and_counted(house: House) {
    let mailbox = house.mailbox("1001").await;
    let plain = house.deposit(&mailbox.id, NOW).await;
    let mut marked = Vec::new();
    for marks in
        [Marks { urgent: true, private: false }, Marks { urgent: false, private: true }, Marks { urgent: true, private: true }]
    {
        let mut journal = house.journal(&mailbox.id, &[0x9a; 24_000]).await;
        journal.mark(marks).unwrap();
        let deposited = house.store.deposit(journal, Duration::from_secs(3), NOW, false).await.unwrap();
        assert_eq!(deposited.message.marks(), marks);
        marked.push(deposited);
    }

    let both = marked.pop().unwrap();
    assert_eq!(both.counts, Counts { new: 4, saved: 0, urgent_new: 2, urgent_saved: 0 });
    assert_eq!(house.store.message(&both.message.id, NOW).await.unwrap(), Some(both.message.clone()));
    house.store.save(&both.message.id, 1, NOW).await.unwrap();
    house.store.mark_heard(&plain.id, 1, NOW).await.unwrap();
    let counts = house.store.counts(&mailbox.id, NOW).await.unwrap();
    assert_eq!(counts, Counts { new: 2, saved: 2, urgent_new: 1, urgent_saved: 1 });
    assert!(house.store.message(&both.message.id, NOW).await.unwrap().unwrap().private);
}

async fn what_was_recorded_after_the_kept_part_is_left_out(house: House) {
    let mailbox = house.mailbox("1001").await;
    let journal = house.journal(&mailbox.id, &[0xff; 40_000]).await;

    let message = house.store.deposit(journal, Duration::from_millis(2500), NOW, false).await.unwrap().message;

    assert_eq!(message.duration, Duration::from_millis(2500));
    assert_eq!(house.store.audio(&message.audio).await.unwrap().len(), 44 + 2 * 20_000);
}

async fn a_mailbox_with_299_messages_takes_one_of_two_deposits_at_once(house: House) {
    let mailbox = house.mailbox("1001").await;
    house.fill(&mailbox.id, 299).await;

    let (one, other) = tokio::join!(deposit(&house.store, &mailbox.id, NOW), deposit(&house.store, &mailbox.id, NOW));

    assert_eq!(house.store.counts(&mailbox.id, NOW).await.unwrap().total(), 300);
    let (stored, refused) = if one.is_ok() { (one, other) } else { (other, one) };
    assert_eq!(stored.unwrap().counts.total(), 300);
    assert!(matches!(refused, Err(DepositError::MailboxFull)), "{refused:?}");
    assert_eq!(house.audio_files().len(), 300);
    assert_eq!(house.spooled_files(), Vec::<String>::new());
}

async fn two_nodes_together_do_not_overfill_a_mailbox(house: House) {
    let mailbox = house.mailbox("1001").await;
    house.fill(&mailbox.id, 290).await;
    let other = house.another_node().await;

    let deposits = (0..30).map(|n| {
        let store = if n % 2 == 0 { house.store.clone() } else { other.clone() };
        let mailbox = mailbox.id.clone();
        tokio::spawn(async move { deposit(&store, &mailbox, NOW).await })
    });
    let outcomes = futures_util::future::join_all(deposits).await;

    let stored = outcomes.iter().filter(|outcome| outcome.as_ref().unwrap().is_ok()).count();
    assert_eq!((stored, house.store.counts(&mailbox.id, NOW).await.unwrap().total()), (10, 300));
}

async fn an_expired_message_does_not_take_a_place(house: House) {
    let mailbox = house.mailbox("1001").await;
    house.fill(&mailbox.id, 300).await;
    let last = NOW.after(rules::MESSAGE_LIFE).before(Duration::from_millis(1));

    let early = deposit(&house.store, &mailbox.id, last).await;
    let later = deposit(&house.store, &mailbox.id, NOW.after(rules::MESSAGE_LIFE)).await;

    assert!(matches!(early, Err(DepositError::MailboxFull)));
    assert_eq!(later.unwrap().counts.total(), 300);
}

async fn a_recording_below_the_shortest_is_discarded(house: House) {
    let mailbox = house.mailbox("1001").await;
    let short = house.journal(&mailbox.id, &[0xff; 15_999]).await;
    let enough = house.journal(&mailbox.id, &[0xff; 16_000]).await;

    let short = house.store.deposit(short, Duration::from_secs(2), NOW, false).await;
    let enough = house.store.deposit(enough, Duration::from_secs(2), NOW, false).await;

    assert!(matches!(short, Err(DepositError::TooShort)));
    assert_eq!(enough.unwrap().counts.new, 1);
    assert_eq!(house.spooled_files(), Vec::<String>::new());
}

async fn a_cleaned_message_keeps_its_original_until_it_is_gone(house: House) {
    let (mailbox, removed) = (house.mailbox("1001").await.id, house.mailbox("1002").await.id);
    let recorded = Law::Mu.encoded(&[syllables(4.0), tone::busy(Duration::from_secs(3))].concat());
    let leave = async |mailbox: &MailboxId| {
        let journal = house.journal(mailbox, &recorded).await;
        house.store.deposit(journal, Duration::from_secs(7), NOW, false).await.unwrap().message
    };
    let (deleted, expired, _) = (leave(&mailbox).await, leave(&mailbox).await, leave(&removed).await);

    assert!((3.9..4.6).contains(&deleted.duration.as_secs_f64()), "{:?}", deleted.duration);
    assert_eq!(house.store.message(&deleted.id, NOW).await.unwrap(), Some(deleted.clone()));
    let original = deleted.original_audio.clone().unwrap();
    assert_eq!(house.store.audio(&original).await.unwrap().len(), 44 + 2 * 56_000);
    assert!(house.store.audio(&deleted.audio).await.unwrap().len() < 44 + 2 * 37_000);
    for file in house.audio_files() {
        let old = std::time::SystemTime::now() - Duration::from_hours(48);
        fs::File::options().append(true).open(file).unwrap().set_modified(old).unwrap();
    }
    assert_eq!(house.store.sweep_orphans(NOW, Duration::from_hours(1)).await.unwrap().objects, 0);
    assert_eq!(house.audio_files().len(), 6);

    house.store.delete(&deleted.id, 1, NOW).await.unwrap();
    assert_eq!(house.audio_files().len(), 4);
    house.store.remove_mailbox(&removed, NOW).await.unwrap();
    assert_eq!(house.audio_files().len(), 2);
    assert_eq!(house.store.expire(expired.expires_at).await.unwrap(), 1);
    assert_eq!(house.audio_files().len(), 0);
}

async fn a_message_in_which_nobody_speaks_is_kept_unless_the_operator_wants_none(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let recorded = Law::Mu.encoded(&[vec![0; 16_000], tone::busy(Duration::from_secs(3))].concat());
    let picky = house.another_that_keeps_no_silence().await;
    let leave = async |store: &Store, recorded: &[u8]| {
        let journal = journal(store, &mailbox, recorded).await;
        store.deposit(journal, Duration::from_secs(5), NOW, false).await
    };

    let kept = leave(&house.store, &recorded).await.unwrap().message;
    let refused = leave(&picky, &recorded).await.unwrap_err();
    let whispered = leave(&picky, &Law::Mu.encoded(&syllables(5.0).iter().map(|sample| sample / 12).collect::<Vec<_>>())).await;

    assert_eq!((kept.duration, kept.original_audio), (Duration::from_secs(5), None));
    assert!(matches!(refused, DepositError::NothingSaid), "{refused:?}");
    assert!(whispered.is_ok(), "{whispered:?}");
    assert_eq!((house.audio_files().len(), house.spooled_files().len()), (3, 0));
}

async fn a_deposit_without_its_mailbox_is_discarded(house: House) {
    let nobody = MailboxId::random();

    let outcome = deposit(&house.store, &nobody, NOW).await;

    assert!(matches!(outcome, Err(DepositError::Pointless)));
    assert_eq!((house.spooled_files().len(), house.audio_files().len()), (0, 0));
}

async fn voice_to_email_leaves_an_errand_in_the_same_transaction(house: House) {
    let mailbox = house.mailbox("1001").await;
    let before = house.deposit(&mailbox.id, NOW).await;
    let on = MailboxChange { voice_to_email: Some(true), ..MailboxChange::default() };
    house.store.update_mailbox(&mailbox.id, on, NOW.after(Duration::from_secs(10))).await.unwrap();

    let older = house.deposit(&mailbox.id, NOW.after(Duration::from_millis(9_999))).await;
    let newer = house.deposit(&mailbox.id, NOW.after(Duration::from_secs(10))).await;
    house.store.outbox_grew().notified().await;

    let errands: Vec<Errand> = house.store.list_outbox().await.unwrap().into_iter().map(|item| item.errand).collect();
    assert_eq!(errands, [Errand::Message { message: newer.id.clone() }]);
    assert_eq!(house.store.messages(&mailbox.id, NOW).await.unwrap(), [before, older, newer]);
}

async fn a_subscriber_is_told_once_at_nine_tenths_and_once_when_full(house: House) {
    let mailbox = house.mailbox("1001").await;

    let mut told = Vec::new();
    for held in [269, 270, 271, 299, 300] {
        let missing = held - house.store.counts(&mailbox.id, NOW).await.unwrap().total();
        house.fill(&mailbox.id, missing).await;
        let outbox = house.store.list_outbox().await.unwrap();
        let mut levels: Vec<u32> = outbox
            .into_iter()
            .map(|item| match item.errand {
                Errand::Fullness { held } => held,
                other => panic!("{other:?} is no warning of fullness"),
            })
            .collect();
        levels.sort_unstable();
        told.push(levels);
    }

    assert_eq!(told, [vec![], vec![270], vec![270], vec![270], vec![270, 300]]);
}

async fn a_message_deposited_twice_is_one_message(house: House) {
    let mailbox = house.mailbox("1001").await;
    let journal = house.journal(&mailbox.id, &[0xff; 24_000]).await;
    let copies = copy_spool(&house);
    let first = house.store.deposit(journal, Duration::from_secs(3), NOW, false).await.unwrap().message;

    // The crash came after the commit, before the journal was removed.
    put_back(&house, copies);
    let report = house.store.retry_spool(NOW).await.unwrap();

    assert_eq!(report, SpoolReport { deposited: 1, ..SpoolReport::default() });
    assert_eq!(house.store.messages(&mailbox.id, NOW).await.unwrap(), [first]);
    assert_eq!(house.audio_files().len(), 1);
    assert_eq!(house.spooled_files(), Vec::<String>::new());
}

async fn a_deleted_message_does_not_come_back_with_its_journal(house: House) {
    let mailbox = house.mailbox("1001").await;
    let journal = house.journal(&mailbox.id, &[0xff; 24_000]).await;
    let copies = copy_spool(&house);
    let message = house.store.deposit(journal, Duration::from_secs(3), NOW, false).await.unwrap().message;
    house.store.delete(&message.id, message.version, NOW).await.unwrap();

    put_back(&house, copies);
    let report = house.store.retry_spool(NOW).await.unwrap();

    assert_eq!(report, SpoolReport { discarded: 1, ..SpoolReport::default() });
    assert_eq!(house.store.messages(&mailbox.id, NOW).await.unwrap(), []);
    assert_eq!((house.spooled_files().len(), house.audio_files().len()), (0, 0));
}

async fn a_message_waits_in_the_spool_while_the_audio_store_is_down(house: House) {
    let mailbox = house.mailbox("1001").await;
    house.audio.set_down(true);

    let outcome = deposit(&house.store, &mailbox.id, NOW).await;
    let still_down = house.store.retry_spool(NOW).await.unwrap();
    house.audio.set_down(false);
    let up = house.store.retry_spool(NOW.after(Duration::from_hours(1))).await.unwrap();

    assert!(matches!(outcome, Err(DepositError::Later(_))));
    assert_eq!(still_down, SpoolReport { waiting: 1, ..SpoolReport::default() });
    assert_eq!(up, SpoolReport { deposited: 1, ..SpoolReport::default() });
    let messages = house.store.messages(&mailbox.id, NOW).await.unwrap();
    assert_eq!(messages.len(), 1);
    assert_eq!((messages[0].deposited_at, messages[0].interrupted), (NOW, false));
    assert_eq!(house.spooled_files(), Vec::<String>::new());
}

async fn a_message_waits_in_the_spool_while_the_database_is_down(house: House) {
    let mailbox = house.mailbox("1001").await;
    house.sql("ALTER TABLE deposited RENAME TO elsewhere").await;

    let outcome = deposit(&house.store, &mailbox.id, NOW).await;
    let still_down = house.store.retry_spool(NOW).await.unwrap();
    let left_behind = house.audio_files();
    house.sql("ALTER TABLE elsewhere RENAME TO deposited").await;
    let up = house.store.retry_spool(NOW).await.unwrap();

    assert!(matches!(outcome, Err(DepositError::Later(_))));
    assert_eq!((still_down.waiting, up.deposited), (1, 1));
    assert_eq!(left_behind, Vec::<std::path::PathBuf>::new());
    assert_eq!(house.store.counts(&mailbox.id, NOW).await.unwrap().new, 1);
}

async fn one_bad_deposit_does_not_harm_those_in_its_group(house: House) {
    let mailbox = house.mailbox("1001").await;
    let bad = house.mailbox("1002").await;
    house.sql("CREATE UNIQUE INDEX one_length ON messages (duration_ms) WHERE duration_ms = 3500").await;
    let journal = house.journal(&bad.id, &[0xff; 28_000]).await;
    house.store.deposit(journal, Duration::from_millis(3500), NOW, false).await.unwrap();

    let journal = house.journal(&bad.id, &[0xff; 28_000]).await;
    let refused = house.store.deposit(journal, Duration::from_millis(3500), NOW, false);
    let good = futures_util::future::join_all((0..20).map(|_| deposit(&house.store, &mailbox.id, NOW)));
    let (refused, good) = tokio::join!(refused, good);

    assert!(matches!(refused, Err(DepositError::Later(_))));
    assert!(good.iter().all(Result::is_ok));
    assert_eq!(house.store.counts(&mailbox.id, NOW).await.unwrap().new, 20);
    assert_eq!(house.store.counts(&bad.id, NOW).await.unwrap().new, 1);
}

async fn what_a_phone_may_send_can_be_stored(house: House) {
    let mailbox = house.mailbox("1001").await;
    let mut envelope = super::envelope(&mailbox.id);
    envelope.caller.name = Some("a\0b'; DROP TABLE messages; -- \u{1f600}".to_owned());
    let journal = house.store.create_journal(envelope).await.unwrap();
    std::io::Write::write_all(&mut journal.audio_file().unwrap(), &[0xff; 24_000]).unwrap();

    house.store.deposit(journal, Duration::from_secs(3), NOW, false).await.unwrap();

    let stored = house.store.messages(&mailbox.id, NOW).await.unwrap().remove(0);
    assert_eq!(stored.caller.name.unwrap(), "ab'; DROP TABLE messages; -- \u{1f600}");
}

fn copy_spool(house: &House) -> Vec<(String, Vec<u8>)> {
    house.spooled_files().into_iter().map(|name| (name.clone(), fs::read(house.spool().join(name)).unwrap())).collect()
}

fn put_back(house: &House, copies: Vec<(String, Vec<u8>)>) {
    assert_eq!(copies.len(), 2);
    for (name, contents) in copies {
        fs::write(house.spool().join(name), contents).unwrap();
    }
}
