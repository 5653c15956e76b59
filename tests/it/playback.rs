//! Subscribers listen faster, louder and to what they have deleted, by a telephone of our own.

use std::time::Duration;

use afterbeep::{
    audio::{
        law::Law,
        level::level,
        stretch::stretch,
        tone::{self, Sine},
    },
    domain::time::Timestamp,
    ivr::PromptId,
};
use serde_json::Value;
use sqlx::{Connection as _, Executor as _};

use crate::support::{
    caller::{Caller, PATIENCE, TOLERANCE, speech, through, words},
    server::{Server, eventually},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_message_is_shorter_at_another_speed_but_has_the_same_pitch() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    server.run(&["mailbox", "set", "1001", "--speed", "150", "--volume", "6"]);
    let tone = tone::tone(&[Sine { frequency: 440.0, level: -20.0 }], Duration::from_secs(6));
    server.leave_message(&server.store().await, "1001", &tone, now()).await;

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::New1).await;
    subscriber.presses("1").await;
    let stamp = subscriber.hears(PromptId::From).await;
    let end = subscriber.hears(PromptId::ToDelete).await;
    let heard = subscriber.call.line().heard()[stamp..end].to_vec();
    subscriber.hangs_up().await;

    // Nothing that is spoken has so steady a level.
    let is_loud_tone = |part: &[i16]| is_tone(part, -14.0, 2.0);
    let frames: Vec<bool> = heard.chunks(800).map(is_loud_tone).collect();
    let first = frames.windows(5).position(|five| five.iter().all(|tone| *tone)).expect("a tone");
    let tone: Vec<i16> = heard[first * 800..].chunks(800).take_while(|part| is_loud_tone(part)).flatten().copied().collect();
    let seconds = tone.len() as f64 / 8000.0;
    assert!((seconds - 4.0).abs() < 0.25, "six seconds took {seconds}");
    let crossings = tone.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count() as f64 / seconds;
    assert!((crossings - 440.0).abs() < 4.0, "the pitch is {crossings} Hz");
    assert!((level(&tone[800..]) - -14.0).abs() < 1.0, "the level is {} dB", level(&tone[800..]));
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn another_speed_goes_on_where_the_message_is_and_is_remembered() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let (speech, second) = speech();
    server.leave_message(&server.store().await, "1001", &speech, now()).await;
    let faster = stretch(&through(Law::Mu, &speech), 8000, 125);

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::New1).await;
    subscriber.presses("1").await;
    let began = subscriber.hears_audio("the beginning", &speech[..8000]).await;
    subscriber.presses("2").await;
    let went_on = subscriber.hears_audio("the second phrase, faster", &faster[second * 100 / 125..]).await;
    subscriber.hears(PromptId::ToDelete).await;
    // Once more, and slower again, while date and caller are said.
    subscriber.presses("51").await;
    subscriber.hears_audio("the beginning once more, as it was spoken", &speech[..8000]).await;
    subscriber.presses("2").await;
    subscriber.hangs_up().await;

    let passed = went_on - began;
    let (shortest, longest) = (second * 100 / 125, second);
    assert!((shortest..longest + TOLERANCE).contains(&passed), "{passed} samples passed, not {shortest} to {longest}");
    eventually("the speed is remembered", || (server.mailbox("1001")["preferences"]["speed"] == 125).then_some(()));
    let mut again = Caller::log_in(&server, "1001").await;
    again.hears(PromptId::ToHearSaved).await;
    again.presses("2").await;
    again.hears_audio("the beginning, faster from the start", &faster[..8000]).await;
    again.hangs_up().await;
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn keys_make_a_message_louder_and_softer_while_it_is_heard() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    let tone = tone::tone(&[Sine { frequency: 440.0, level: -20.0 }], Duration::from_secs(30));
    server.leave_message(&server.store().await, "1001", &tone, now()).await;

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::New1).await;
    subscriber.presses("1").await;
    subscriber.hears(PromptId::From).await;
    hears_tone(&subscriber, -20.0).await;
    subscriber.presses("82").await;
    hears_tone(&subscriber, -14.0).await;
    subscriber.presses("8080").await;
    hears_tone(&subscriber, -26.0).await;
    subscriber.hangs_up().await;

    eventually("the volume is remembered", || (server.mailbox("1001")["preferences"]["volume"] == -6).then_some(()));
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn back_and_ahead_go_as_far_as_was_chosen() {
    let server = Server::start("");
    server.add_mailbox("1001", &["--skip", "2s"]);
    let phrases =
        [PromptId::Welcome, PromptId::WhilePlaying, PromptId::PasscodeLine, PromptId::NotAccepted, PromptId::CannotRestore];
    let message: Vec<i16> = phrases.into_iter().flat_map(words).collect();
    let (early, late) = (6000, message.len() - 6000);
    // Time enough to press keys in between.
    assert!(late - early > 9 * 8000, "the message is too short");
    server.leave_message(&server.store().await, "1001", &message, now()).await;

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::New1).await;
    subscriber.presses("1").await;
    let mut passed = vec![];
    for key in ["#", "*"] {
        let began = subscriber.hears_audio("the beginning", &message[..early]).await;
        // Back from where there are two seconds to go back.
        subscriber.hears_audio("more of it", &message[3 * 8000..][..4000]).await;
        subscriber.presses(key).await;
        let ended = subscriber.hears_audio("the end", &message[late..]).await;
        passed.push(ended - began);
        subscriber.hears(PromptId::ToDelete).await;
        subscriber.presses("5").await;
    }
    subscriber.hangs_up().await;

    let expected = [late - 2 * 8000, late + 2 * 8000];
    assert!(
        passed.iter().zip(expected).all(|(passed, expected)| passed.abs_diff(expected) <= TOLERANCE),
        "{passed:?}, not {expected:?}"
    );
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_message_is_restored_in_a_later_call() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    server.leave_message(&server.store().await, "1001", &words(PromptId::PasscodeLine), now()).await;

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::New1).await;
    subscriber.presses("17").await;
    subscriber.hears(PromptId::MessageDeleted).await;
    subscriber.hangs_up().await;
    let deleted = server.run(&["message", "list", "1001", "--deleted", "--json"]);
    assert!(deleted.contains("\"list\": \"deleted\"") || deleted.contains("\"list\":\"deleted\""), "{deleted}");
    let mut again = Caller::log_in(&server, "1001").await;
    again.hears(PromptId::NoMessages).await;
    again.presses("7").await;
    again.hears_audio("the deleted message", &words(PromptId::PasscodeLine)).await;
    again.hears(PromptId::ToRestore).await;
    again.presses("7").await;
    again.hears(PromptId::MessageRestored).await;
    again.presses("#").await;
    again.hears(PromptId::New1).await;
    again.hangs_up().await;

    assert_eq!(server.wait_for_messages("1001", 1)[0]["list"], "new");
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn two_telephones_in_one_mailbox_delete_and_restore_the_same_message() {
    let server = Server::start("");
    server.add_mailbox("1001", &[]);
    server.leave_message(&server.store().await, "1001", &words(PromptId::PasscodeLine), now()).await;

    let mut one = Caller::log_in(&server, "1001").await;
    one.hears(PromptId::New1).await;
    one.presses("1").await;
    one.hears(PromptId::From).await;
    let mut other = Caller::log_in(&server, "1001").await;
    other.hears(PromptId::New1).await;
    other.presses("1").await;
    other.hears(PromptId::From).await;
    one.presses("7").await;
    one.hears(PromptId::MessageDeleted).await;
    other.presses("9").await;
    other.hears(PromptId::MessageGone).await;
    other.hears(PromptId::NoMessages).await;
    other.presses("77").await;
    other.hears(PromptId::MessageRestored).await;
    one.presses("7").await;
    one.hears(PromptId::MessageRestored).await;
    one.presses("9").await;
    one.hears(PromptId::MessageSaved).await;
    other.presses("7").await;
    other.hears(PromptId::NotDone).await;
    one.hangs_up().await;
    other.hangs_up().await;

    assert_eq!(server.wait_for_messages("1001", 1)[0]["list"], "saved");
    server.expect_tidiness();
}

/// The rows all point at one recording: what is looked at is how many of them the server reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn of_eight_thousand_messages_only_the_parts_that_are_listened_to_are_read() {
    let server = Server::start("[log]\nlevel = \"info,afterbeep=debug,sqlx::query=debug\"\n");
    server.add_mailbox("1001", &[]);
    server.leave_message(&server.store().await, "1001", &words(PromptId::PasscodeLine), now()).await;
    let url = afterbeep::store::sqlite_url(&server.path("data/afterbeep.db"));
    let mut database = sqlx::AnyConnection::connect(&url).await.unwrap();
    database.execute("CREATE TEMP TABLE copies AS SELECT * FROM messages").await.unwrap();
    for _ in 0..13 {
        database.execute("INSERT INTO copies SELECT * FROM copies").await.unwrap();
    }
    database.execute("UPDATE copies SET id = id || '-' || rowid, stamp_at = stamp_at + rowid").await.unwrap();
    database.execute("INSERT INTO messages SELECT * FROM copies").await.unwrap();
    database.close().await.unwrap();

    let mut subscriber = Caller::log_in(&server, "1001").await;
    subscriber.hears(PromptId::NewMessages).await;
    subscriber.presses("1").await;
    subscriber.hears(PromptId::FirstMessage).await;
    // Further than the first part of the list goes.
    for _ in 0..30 {
        subscriber.presses("6").await;
    }
    subscriber.hears(PromptId::NextMessage).await;
    subscriber.hears_audio("the message", &words(PromptId::PasscodeLine)).await;
    subscriber.hears(PromptId::ToDelete).await;
    subscriber.hangs_up().await;

    // The copies are in the order of the numbers behind their ids.
    let heard: Vec<Value> = server.messages("1001").into_iter().filter(|message| !message["heard_at"].is_null()).collect();
    let number = |message: &Value| message["id"].as_str()?.rsplit_once('-')?.1.parse::<u32>().ok();
    assert!(heard.len() == 1 && number(&heard[0]).is_some_and(|number| (26..50).contains(&number)), "{heard:?}");
    let log = server.log();
    let of_call = log.lines().filter(|line| line.contains("call{") && line.contains("sqlx::query"));
    let rows = of_call.filter_map(|line| line.split_once("rows_returned=")?.1.split(' ').next()?.parse().ok());
    let mut rows: Vec<u32> = rows.collect();
    rows.sort_unstable_by(|one, other| other.cmp(one));
    // Two parts of the list, and what is asked for one by one.
    assert_eq!(rows[..2], [25, 25]);
    assert!(rows[2..].iter().all(|rows| *rows <= 1), "{rows:?}");
}

/// Waits until a fifth of a second of the tone has just been heard, as loud as that.
async fn hears_tone(subscriber: &Caller, decibels: f32) {
    let line = subscriber.call.line();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let heard = line.heard();
        let latest = &heard[heard.len().saturating_sub(1600)..];
        // No word has so steady a level.
        if latest.len() == 1600 && latest.chunks(400).all(|part| is_tone(part, decibels, 0.5)) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "no tone of {decibels} dB was heard, but {} dB", level(latest));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn is_tone(part: &[i16], decibels: f32, tolerance: f32) -> bool {
    let crossings = part.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
    (level(part) - decibels).abs() < tolerance && crossings.abs_diff(part.len() * 440 / 8000) <= 3
}

fn now() -> Timestamp {
    chrono::Utc::now().into()
}
