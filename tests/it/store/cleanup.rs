//! Expiry, and audio that nothing refers to.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use afterbeep::{
    domain::{greeting::GreetingKind, mailbox_log::Origin, rules},
    store::greeting::GreetingChange,
};

use super::{DAY, House, NOW, on_both_databases};

on_both_databases! {
    the_job_removes_what_has_expired_and_nothing_else
    expiring_twice_at_once_does_nothing_twice
    audio_that_no_message_refers_to_is_swept_when_it_is_old
    a_sweep_at_another_time_takes_no_young_audio
    a_sweep_keeps_greetings_and_messages
    half_written_audio_is_swept
}

async fn the_job_removes_what_has_expired_and_nothing_else(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let first = house.deposit(&mailbox, NOW).await;
    let second = house.deposit(&mailbox, NOW.after(Duration::from_millis(1))).await;
    let saved = house.deposit(&mailbox, NOW).await;
    house.store.save(&saved.id, 1, NOW.after(DAY)).await.unwrap();
    let end = NOW.after(rules::MESSAGE_LIFE);

    let early = house.store.expire(end.before(Duration::from_millis(1))).await.unwrap();
    let due = house.store.expire(end).await.unwrap();

    assert_eq!((early, due), (0, 1));
    let left: Vec<_> = house.store.messages(&mailbox, NOW).await.unwrap().into_iter().map(|message| message.id).collect();
    assert_eq!(left, [second.id, saved.id]);
    assert!(house.store.audio(&first.audio).await.is_err());
    assert_eq!(house.audio_files().len(), 2);
}

async fn expiring_twice_at_once_does_nothing_twice(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    house.fill(&mailbox, 250).await;
    let other = house.another_node().await;
    let end = NOW.after(rules::MESSAGE_LIFE + DAY);

    let (one, two) = tokio::join!(house.store.expire(end), other.expire(end));

    assert_eq!(one.unwrap() + two.unwrap(), 250);
    assert_eq!(house.audio_files().len(), 0);
}

async fn audio_that_no_message_refers_to_is_swept_when_it_is_old(house: House) {
    let (old, young) = (leave_orphan(&house, "0ld", 2), leave_orphan(&house, "y0ung", 0));

    let first = house.store.sweep_orphans(NOW, Duration::from_hours(1)).await.unwrap();
    let second = house.store.sweep_orphans(NOW, Duration::from_hours(1)).await.unwrap();

    assert_eq!((first.objects, second.objects), (1, 0));
    assert_eq!((old.exists(), young.exists()), (false, true));
}

async fn a_sweep_at_another_time_takes_no_young_audio(house: House) {
    let young = leave_orphan(&house, "y0ung", 0);

    let swept = house.store.sweep_orphans(NOW.after(1000 * DAY), Duration::ZERO).await.unwrap();

    assert_eq!((swept.objects, young.exists()), (0, true));
}

async fn a_sweep_keeps_greetings_and_messages(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    house.fill(&mailbox, 5).await;
    for kind in GreetingKind::ALL {
        let change = GreetingChange { mailbox: &mailbox, kind, by: &Origin::command() };
        for wav in [1, 2] {
            house.store.set_greeting_wav(change, None, vec![wav], NOW).await.unwrap();
        }
    }
    let long_ago = SystemTime::now() - 9 * DAY;
    for file in house.audio_files() {
        fs::File::options().write(true).open(file).unwrap().set_modified(long_ago).unwrap();
    }

    let swept = house.store.sweep_orphans(NOW, Duration::ZERO).await.unwrap();

    assert_eq!((swept.objects, swept.scraps, house.audio_files().len()), (0, 0, 5 + 14));
}

async fn half_written_audio_is_swept(house: House) {
    let orphan = leave_orphan(&house, "zz", 0);
    let half = |name: &str, hours| {
        let path = orphan.with_file_name(name);
        write(&path, hours);
        path
    };
    let (old, young) = (half("zz1.wav#1", 2), half("zz2.wav#1", 0));

    let swept = house.store.sweep_orphans(NOW, Duration::ZERO).await.unwrap();

    assert_eq!((swept.scraps, old.exists(), young.exists()), (1, false, true));
}

fn leave_orphan(house: &House, key: &str, hours_old: u64) -> std::path::PathBuf {
    let folder = house.spool().with_file_name("audio").join("audio").join(&key[..2]);
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{key}.wav"));
    write(&path, hours_old);
    path
}

fn write(path: &Path, hours_old: u64) {
    fs::write(path, b"RIFF").unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_hours(hours_old)).unwrap();
}
