//! Lists part by part, in either order, and how a subscriber listens.

use std::{collections::HashMap, time::Duration};

use afterbeep::domain::{
    greeting::GreetingKind,
    id::{AudioKey, MailboxId, MessageId},
    listening::{First, ListeningWishes, Playback, Speed, Volume},
    mailbox_log::Origin,
    message::{Folder, ListPart, Marks},
    preferences::Preferences,
};
use afterbeep::store::{
    greeting::GreetingChange,
    listing,
    mailbox::{MailboxChange, NewMailbox},
};

use sqlx::{Connection as _, Row as _};

use super::{DAY, House, NOW, new_mailbox, on_both_databases};

on_both_databases! {
    a_list_comes_part_by_part_in_either_order
    urgent_messages_come_first_in_either_order
    a_part_is_found_without_reading_the_messages_of_other_mailboxes
    messages_of_one_moment_are_listed_once_each
    what_happens_between_two_parts_loses_no_message
    the_last_deleted_comes_first_in_the_deleted_list
    names_are_found_by_the_numbers_of_their_mailboxes
    how_messages_are_played_is_remembered_beside_other_preferences
}

async fn a_list_comes_part_by_part_in_either_order(house: House) {
    let mailbox = house.mailbox("1001").await;
    let mut ids = vec![];
    for hour in 0..5 {
        ids.push(house.deposit(&mailbox.id, NOW.after(Duration::from_hours(hour))).await.id);
    }

    assert_eq!(parts(&house, &mailbox.id, Folder::New, First::Oldest, 2).await, ids);
    ids.reverse();
    assert_eq!(parts(&house, &mailbox.id, Folder::New, First::Newest, 2).await, ids);
    assert_eq!(parts(&house, &mailbox.id, Folder::New, First::Newest, 5).await, ids);
    assert_eq!(parts(&house, &mailbox.id, Folder::Saved, First::Newest, 2).await, []);
    for (at, id) in ids.iter().enumerate().take(3) {
        house.store.save(id, 1, NOW.after(DAY + Duration::from_hours(at as u64))).await.unwrap();
    }
    assert_eq!(parts(&house, &mailbox.id, Folder::Saved, First::Oldest, 1).await, ids[..3]);
}

async fn urgent_messages_come_first_in_either_order(house: House) {
    let mailbox = house.mailbox("1001").await;
    let mut ids = vec![];
    for (hour, urgent) in [false, true, false, true, true, false].into_iter().enumerate() {
        let mut journal = house.journal(&mailbox.id, &[0x9a; 24_000]).await;
        journal.mark(Marks { urgent, private: !urgent }).unwrap();
        let at = NOW.after(Duration::from_hours(hour as u64));
        ids.push(house.store.deposit(journal, Duration::from_secs(3), at, false).await.unwrap().message.id);
    }
    let in_order = |order: [usize; 6]| order.map(|at| ids[at].clone());

    // Wherever the parts end: among urgent messages, between them and the others, among the others.
    for limit in 1..=7 {
        assert_eq!(parts(&house, &mailbox.id, Folder::New, First::Oldest, limit).await, in_order([1, 3, 4, 0, 2, 5]));
        assert_eq!(parts(&house, &mailbox.id, Folder::New, First::Newest, limit).await, in_order([4, 3, 1, 5, 2, 0]));
    }
    for (minute, id) in (0..).zip(&ids) {
        house.store.save(id, 1, NOW.after(DAY + Duration::from_mins(minute))).await.unwrap();
    }
    assert_eq!(parts(&house, &mailbox.id, Folder::Saved, First::Newest, 2).await, in_order([4, 3, 1, 5, 2, 0]));
    for (minute, id) in (0..).zip(&ids) {
        house.store.move_to_deleted(id, 2, NOW.after(DAY + Duration::from_mins(10 + minute))).await.unwrap();
    }
    // There, what was deleted last comes first.
    assert_eq!(parts(&house, &mailbox.id, Folder::Deleted, First::Oldest, 2).await, in_order([5, 4, 3, 2, 1, 0]));
}

async fn a_part_is_found_without_reading_the_messages_of_other_mailboxes(house: House) {
    house.add_mailboxes(40).await;
    // Two digits each, so that no two messages have the same id.
    for mailbox in 10..=40 {
        house.crowd(&MailboxId::from_stored(format!("m{mailbox}")), 300).await;
    }
    // A third was heard, a third was deleted half a day ago.
    house.sql("UPDATE messages SET heard_at = stamp_at WHERE id LIKE '%2' OR id LIKE '%5' OR id LIKE '%8'").await;
    house.sql("UPDATE messages SET deleted_at = stamp_at - 43200000 WHERE id LIKE '%3' OR id LIKE '%6' OR id LIKE '%9'").await;
    // PostgreSQL does so by itself, SQLite does not.
    if !house.database_url.starts_with("sqlite") {
        house.sql("ANALYZE messages").await;
    }
    let mut connection = sqlx::AnyConnection::connect(&house.database_url).await.unwrap();
    let (explain, plan, whole) =
        if house.database_url.starts_with("sqlite") { ("EXPLAIN QUERY PLAN", 3, "SCAN ") } else { ("EXPLAIN", 0, "Seq Scan ") };

    for folder in [Folder::New, Folder::Saved, Folder::Deleted] {
        for first in [First::Oldest, First::Newest] {
            let statement = listing::statement(&ListPart { folder, first, after: None, limit: 25 });
            let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{explain} {statement}")))
                .bind("m17")
                .bind(NOW.as_millis())
                .bind(NOW.before(DAY).as_millis())
                .bind(0_i64)
                .bind(NOW.as_millis())
                .bind("m17250")
                .bind(25_i64)
                .fetch_all(&mut connection)
                .await
                .unwrap();
            let steps: Vec<String> = rows.iter().map(|row| row.get(plan)).collect();

            assert!(steps.iter().any(|step| step.contains("by_mailbox")), "{folder:?} {first:?}: {steps:#?}");
            assert!(!steps.iter().any(|step| step.contains(whole)), "{folder:?} {first:?}: {steps:#?}");
        }
    }
    connection.close().await.unwrap();
}

async fn messages_of_one_moment_are_listed_once_each(house: House) {
    let mailbox = house.mailbox("1001").await;
    for _ in 0..8 {
        house.deposit(&mailbox.id, NOW).await;
    }

    for first in [First::Oldest, First::Newest] {
        let mut ids = parts(&house, &mailbox.id, Folder::New, first, 3).await;
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 8);
    }
}

async fn what_happens_between_two_parts_loses_no_message(house: House) {
    let mailbox = house.mailbox("1001").await;
    let mut ids = vec![];
    for hour in 0..6 {
        ids.push(house.deposit(&mailbox.id, NOW.after(Duration::from_hours(hour))).await.id);
    }
    let now = NOW.after(DAY);
    let mut part = ListPart { folder: Folder::New, first: First::Oldest, after: None, limit: 3 };
    let first = house.store.list(&mailbox.id, &part, now).await.unwrap();
    part.after = first.last().map(|message| message.place());

    for message in &first {
        house.store.mark_heard(&message.id, 1, now).await.unwrap();
    }
    house.store.move_to_deleted(&ids[3], 1, now).await.unwrap();
    let late = house.deposit(&mailbox.id, now).await.id;

    let rest: Vec<MessageId> =
        house.store.list(&mailbox.id, &part, now).await.unwrap().into_iter().map(|message| message.id).collect();
    assert_eq!(rest, [ids[4].clone(), ids[5].clone(), late]);
}

async fn the_last_deleted_comes_first_in_the_deleted_list(house: House) {
    let mailbox = house.mailbox("1001").await;
    let mut ids = vec![];
    for minute in 0..4 {
        let message = house.deposit(&mailbox.id, NOW).await;
        house.store.move_to_deleted(&message.id, 1, NOW.after(Duration::from_mins(minute))).await.unwrap();
        ids.insert(0, message.id);
    }

    assert_eq!(parts(&house, &mailbox.id, Folder::Deleted, First::Oldest, 3).await, ids);
}

async fn names_are_found_by_the_numbers_of_their_mailboxes(house: House) {
    let aliases = vec!["2002".parse().unwrap()];
    let ann = house.store.create_mailbox(NewMailbox { aliases, ..new_mailbox("1001") }, NOW).await.unwrap();
    house.mailbox("1002").await;
    let elsewhere = NewMailbox { tenant: "example.com".to_owned(), ..new_mailbox("2002") };
    house.store.create_mailbox(elsewhere, NOW).await.unwrap();
    let change = GreetingChange { mailbox: &ann.id, kind: GreetingKind::Name, by: &Origin::command() };
    let name = house.store.set_greeting_wav(change, None, vec![4], NOW).await.unwrap();

    let numbers = ["1001", "2002", "1002", "9999", "1001"];
    let found = house.store.spoken_names("", &numbers).await.unwrap();

    let expected: HashMap<String, AudioKey> =
        [("1001".to_owned(), name.clone()), ("2002".to_owned(), name)].into_iter().collect();
    assert_eq!(found, expected);
    assert!(house.store.spoken_names("example.com", &numbers).await.unwrap().is_empty());
    assert!(house.store.spoken_names("", &[]).await.unwrap().is_empty());
    let disabled = MailboxChange { enabled: Some(false), ..MailboxChange::default() };
    house.store.update_mailbox(&ann.id, disabled, NOW).await.unwrap();
    assert!(house.store.spoken_names("", &numbers).await.unwrap().is_empty());
}

async fn how_messages_are_played_is_remembered_beside_other_preferences(house: House) {
    let mailbox = house.mailbox("1001").await;
    let wishes = ListeningWishes { new_first: Some(First::Newest), ..ListeningWishes::default() };
    let playback = Playback { speed: Speed::from_percent(150).unwrap(), volume: Volume::from_decibels(-6).unwrap() };

    for listening in [wishes, playback.into()] {
        let preferences = Preferences { listening, ..Preferences::default() };
        house.store.update_mailbox(&mailbox.id, MailboxChange { preferences, ..MailboxChange::default() }, NOW).await.unwrap();
    }

    let listening = house.store.mailbox(&mailbox.id).await.unwrap().unwrap().preferences.listening.settings();
    assert_eq!((listening.playback, listening.new_first, listening.saved_first), (playback, First::Newest, First::Oldest));
}

async fn parts(house: &House, mailbox: &MailboxId, folder: Folder, first: First, limit: u32) -> Vec<MessageId> {
    let mut part = ListPart { folder, first, after: None, limit };
    let mut ids = vec![];
    loop {
        let listed = house.store.list(mailbox, &part, NOW.after(2 * Duration::from_hours(5))).await.unwrap();
        part.after = listed.last().map(|message| message.place());
        let done = (listed.len() as u32) < limit;
        ids.extend(listed.into_iter().map(|message| message.id));
        if done {
            return ids;
        }
    }
}
