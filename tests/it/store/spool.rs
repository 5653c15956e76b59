//! Recordings whose server died, and spools that cannot be used.

use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _, time::Duration};

use afterbeep::{
    domain::{message::Marks, rules},
    store::{StoreError, deposit::DepositError, journal::Journal, spool::SpoolReport},
};

use super::{House, NOW, deposit, envelope, journal, on_both_databases};

on_both_databases! {
    a_recording_whose_server_died_becomes_an_interrupted_message
    what_its_caller_marked_it_as_outlives_the_server
    a_recording_of_a_call_in_progress_is_left_alone
    two_recoveries_at_once_make_one_message_of_each_journal
    recovery_discards_what_is_no_message
    a_clock_that_leaps_destroys_no_recording
    recovery_fills_a_mailbox_but_does_not_overfill_it
    what_a_caller_was_told_is_sent_waits_until_the_mailbox_has_room
    zeros_at_the_end_of_a_recording_are_no_audio
    an_unreadable_envelope_is_put_aside_with_its_audio
    an_accepted_recording_is_not_interrupted_by_a_restart
    a_spool_belongs_to_one_server
    what_never_got_its_beep_is_swept_away
    a_spool_that_takes_no_recording_is_seen_before_the_beep
}

async fn a_recording_whose_server_died_becomes_an_interrupted_message(house: House) {
    let mailbox = house.mailbox("1001").await;
    let journal = house.journal(&mailbox.id, &[0x9a; 32_000]).await;
    let envelope = journal.envelope().clone();
    drop(journal);

    let report = house.store.recover(NOW.after(Duration::from_mins(5))).await.unwrap();

    assert_eq!(report, SpoolReport { deposited: 1, ..SpoolReport::default() });
    let messages = house.store.messages(&mailbox.id, NOW).await.unwrap();
    assert_eq!(messages.len(), 1);
    let message = &messages[0];
    assert_eq!((&message.id, &message.caller, message.interrupted), (&envelope.message, &envelope.caller, true));
    assert_eq!((message.duration, message.deposited_at), (Duration::from_secs(4), NOW.after(Duration::from_secs(4))));
    assert_eq!(house.spooled_files(), Vec::<String>::new());
}

async fn what_its_caller_marked_it_as_outlives_the_server(house: House) {
    let mailbox = house.mailbox("1001").await;
    let mut journal = house.journal(&mailbox.id, &[0x9a; 32_000]).await;
    journal.mark(Marks { urgent: true, private: false }).unwrap();
    journal.mark(Marks { urgent: true, private: true }).unwrap();
    drop(journal);

    house.store.recover(NOW.after(Duration::from_mins(5))).await.unwrap();

    let messages = house.store.messages(&mailbox.id, NOW).await.unwrap();
    assert_eq!((messages.len(), messages[0].urgent, messages[0].private), (1, true, true));
}

async fn a_recording_of_a_call_in_progress_is_left_alone(house: House) {
    let mailbox = house.mailbox("1001").await;
    let live = house.journal(&mailbox.id, &[0x9a; 32_000]).await;
    let command = house.another().await;

    let swept = command.sweep_orphans(NOW, Duration::ZERO).await.unwrap().spool;
    let recovered = house.store.recover(NOW).await.unwrap();
    let held = house.store.counts(&mailbox.id, NOW).await.unwrap().total();
    let deposited = house.store.deposit(live, Duration::from_secs(4), NOW, false).await;

    assert_eq!((swept, recovered, held), (SpoolReport::default(), SpoolReport::default(), 0));
    assert!(!deposited.unwrap().message.interrupted);
}

async fn two_recoveries_at_once_make_one_message_of_each_journal(house: House) {
    let mailbox = house.mailbox("1001").await;
    for _ in 0..20 {
        drop(house.journal(&mailbox.id, &[0x9a; 24_000]).await);
    }
    let command = house.another().await;

    let (one, other) = tokio::join!(house.store.retry_spool(NOW), command.retry_spool(NOW));

    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.deposited + other.deposited, 20, "{one:?} {other:?}");
    assert_eq!(house.store.counts(&mailbox.id, NOW).await.unwrap().total(), 20);
    assert_eq!((house.audio_files().len(), house.spooled_files().len()), (20, 0));
}

async fn recovery_discards_what_is_no_message(house: House) {
    let mailbox = house.mailbox("1001").await;
    let gone = house.mailbox("1002").await;
    drop(house.journal(&mailbox.id, &[]).await);
    drop(house.journal(&mailbox.id, &[0x9a; 15_999]).await);
    drop(house.journal(&gone.id, &[0x9a; 24_000]).await);
    house.store.remove_mailbox(&gone.id, NOW).await.unwrap();
    let without_audio = house.journal(&mailbox.id, &[]).await;
    let name = format!("{}.audio", without_audio.envelope().message);
    fs::remove_file(house.spool().join(name)).unwrap();
    drop(without_audio);

    let report = house.store.recover(NOW).await.unwrap();

    assert_eq!(report, SpoolReport { discarded: 4, ..SpoolReport::default() });
    assert_eq!((house.audio_files().len(), house.spooled_files().len()), (0, 0));
    assert_eq!(house.store.counts(&mailbox.id, NOW).await.unwrap().total(), 0);
}

async fn a_clock_that_leaps_destroys_no_recording(house: House) {
    let mailbox = house.mailbox("1001").await;
    drop(house.journal(&mailbox.id, &[0x9a; 24_000]).await);

    let report = house.store.recover(NOW.after(rules::MESSAGE_LIFE + Duration::from_secs(3))).await.unwrap();

    assert_eq!(report, SpoolReport { quarantined: 1, ..SpoolReport::default() });
    assert_eq!(fs::read_dir(house.spool().join("quarantine")).unwrap().count(), 2);
}

async fn recovery_fills_a_mailbox_but_does_not_overfill_it(house: House) {
    let mailbox = house.mailbox("1001").await;
    house.fill(&mailbox.id, 297).await;
    for _ in 0..5 {
        drop(house.journal(&mailbox.id, &[0x9a; 24_000]).await);
    }

    let report = house.store.recover(NOW).await.unwrap();

    assert_eq!(report, SpoolReport { deposited: 3, discarded: 2, ..SpoolReport::default() });
    assert_eq!(house.store.counts(&mailbox.id, NOW).await.unwrap().total(), 300);
}

async fn what_a_caller_was_told_is_sent_waits_until_the_mailbox_has_room(house: House) {
    let mailbox = house.mailbox("1001").await;
    house.fill(&mailbox.id, 299).await;
    house.audio.set_down(true);
    let kept = deposit(&house.store, &mailbox.id, NOW).await;
    house.audio.set_down(false);
    let last = house.deposit(&mailbox.id, NOW).await;

    let full = house.store.retry_spool(NOW).await.unwrap();
    house.store.delete(&last.id, last.version, NOW).await.unwrap();
    let roomy = house.store.retry_spool(NOW).await.unwrap();

    assert!(matches!(kept, Err(DepositError::Later(_))), "{kept:?}");
    assert_eq!(full, SpoolReport { waiting: 1, ..SpoolReport::default() });
    assert_eq!(roomy, SpoolReport { deposited: 1, ..SpoolReport::default() });
    assert_eq!(house.store.counts(&mailbox.id, NOW).await.unwrap().total(), 300);
}

async fn zeros_at_the_end_of_a_recording_are_no_audio(house: House) {
    let mailbox = house.mailbox("1001").await;
    let mut torn = vec![0x9a; 24_000];
    torn.extend([0; 4096]);
    drop(house.journal(&mailbox.id, &torn).await);

    house.store.recover(NOW).await.unwrap();

    let messages = house.store.messages(&mailbox.id, NOW).await.unwrap();
    assert_eq!(messages[0].duration, Duration::from_secs(3));
}

async fn an_unreadable_envelope_is_put_aside_with_its_audio(house: House) {
    let mailbox = house.mailbox("1001").await;
    let mut names = Vec::new();
    for broken in 0..3 {
        let journal = house.journal(&mailbox.id, &[0x9a; 24_000]).await;
        let name = journal.envelope().message.to_string();
        drop(journal);
        let path = house.spool().join(format!("{name}.envelope"));
        let text = fs::read(&path).unwrap();
        match broken {
            0 => fs::write(&path, b"").unwrap(),
            1 => fs::write(&path, &text[..text.len() / 2]).unwrap(),
            _ => fs::write(&path, [b"x", &text[..]].concat()).unwrap(),
        }
        names.extend([format!("{name}.audio"), format!("{name}.envelope")]);
    }
    let good = house.journal(&mailbox.id, &[0x9a; 24_000]).await;
    drop(good);

    let report = house.store.recover(NOW).await.unwrap();

    assert_eq!(report, SpoolReport { deposited: 1, quarantined: 3, ..SpoolReport::default() });
    let mut kept: Vec<String> = fs::read_dir(house.spool().join("quarantine"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    kept.sort();
    names.sort();
    assert_eq!(kept, names);
    assert_eq!(house.store.retry_spool(NOW).await.unwrap(), SpoolReport::default());
}

async fn an_accepted_recording_is_not_interrupted_by_a_restart(house: House) {
    let mailbox = house.mailbox("1001").await;
    let recording = house.journal(&mailbox.id, &[0x9a; 40_000]).await;
    house.audio.set_down(true);
    house.store.deposit(recording, Duration::from_millis(4200), NOW, false).await.unwrap_err();
    house.audio.set_down(false);

    let restarted = house.another().await;
    restarted.recover(NOW.after(Duration::from_hours(1))).await.unwrap();

    let messages = restarted.messages(&mailbox.id, NOW).await.unwrap();
    assert_eq!(messages.len(), 1);
    let message = &messages[0];
    assert_eq!((message.duration, message.deposited_at, message.interrupted), (Duration::from_millis(4200), NOW, false));
}

async fn a_spool_belongs_to_one_server(house: House) {
    house.store.recover(NOW).await.unwrap();
    let second = house.another().await;

    let refused = second.recover(NOW).await;
    let elsewhere = house.another_node().await.recover(NOW).await;

    assert!(matches!(refused, Err(StoreError::SpoolInUse(_))), "{refused:?}");
    assert!(elsewhere.is_ok());
}

async fn what_never_got_its_beep_is_swept_away(house: House) {
    let mailbox = house.mailbox("1001").await;
    let message = house.deposit(&mailbox.id, NOW).await;
    let spool = house.spool();
    let old = std::time::SystemTime::now() - Duration::from_hours(2);
    let leave = |name: &str, contents: &[u8], modified| {
        let mut file = fs::File::create(spool.join(name)).unwrap();
        file.write_all(contents).unwrap();
        file.set_modified(modified).unwrap();
    };
    leave("torn1.unfinished", b"half an enve", old);
    leave("torn1.audio", b"", old);
    leave("greeting1.scratch", &[0xff; 800], old);
    leave(&format!("{}.audio", message.id), &[0xff; 800], old);
    leave("unknown1.audio", &[0xff; 24_000], old);
    leave("young1.audio", b"", std::time::SystemTime::now());

    house.store.recover(NOW).await.unwrap();
    let scraps = house.store.sweep_orphans(NOW, Duration::ZERO).await.unwrap().scraps;

    assert_eq!(scraps, 2);
    assert_eq!(house.spooled_files(), ["quarantine", "young1.audio"]);
    assert!(spool.join("quarantine/unknown1.audio").exists());
}

async fn a_spool_that_takes_no_recording_is_seen_before_the_beep(house: House) {
    let mailbox = house.mailbox("1001").await;
    house.store.check_spool().await.unwrap();
    drop(journal(&house.store, &mailbox.id, &[]).await);

    fs::remove_dir_all(house.spool()).unwrap();
    let gone = house.store.check_spool().await;
    let refused = house.store.create_journal(envelope(&mailbox.id)).await;

    assert!(matches!(gone, Err(StoreError::Spool { .. })));
    assert!(matches!(refused, Err(StoreError::Spool { .. })));
    fs::write(house.spool(), b"a file").unwrap();
    assert!(house.store.check_spool().await.is_err());
    fs::remove_file(house.spool()).unwrap();
}

#[test]
fn a_journal_that_cannot_be_made_leaves_nothing_behind() {
    let spool = tempfile::tempdir().unwrap();
    let envelope = envelope(&afterbeep::domain::id::MailboxId::random());
    let audio = spool.path().join(format!("{}.audio", envelope.message));
    fs::create_dir(&audio).unwrap();
    fs::set_permissions(&audio, fs::Permissions::from_mode(0o700)).unwrap();

    let refused = Journal::create(spool.path(), envelope);

    assert!(refused.is_err());
    let left: Vec<_> = fs::read_dir(spool.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, [audio]);
}
