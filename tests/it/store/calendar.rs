//! What the calendar remembers.

use std::time::Duration;

use super::{DAY, House, NOW, on_both_databases};

const LEASE: Duration = Duration::from_mins(10);

on_both_databases! {
    one_job_runs_once_at_a_time
    a_run_is_remembered
    the_clock_is_remembered
}

async fn one_job_runs_once_at_a_time(house: House) {
    let other = house.another_node().await;

    let (one, two) = tokio::join!(house.store.try_lock_job("expire", LEASE, NOW), other.try_lock_job("expire", LEASE, NOW));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert!(one.is_some() != two.is_some());
    let lock = one.or(two).unwrap();

    assert!(house.store.try_lock_job("sweep", LEASE, NOW).await.unwrap().is_some());
    assert!(house.store.try_lock_job("expire", LEASE, NOW.after(LEASE - Duration::from_millis(1))).await.unwrap().is_none());
    // Its lease is over, so another takes it; giving it back late must not free the other's.
    let taken_over = other.try_lock_job("expire", LEASE, NOW.after(LEASE)).await.unwrap().unwrap();
    house.store.unlock_job(lock).await.unwrap();
    assert!(house.store.try_lock_job("expire", LEASE, NOW.after(LEASE)).await.unwrap().is_none());
    other.unlock_job(taken_over).await.unwrap();
    assert!(house.store.try_lock_job("expire", LEASE, NOW.after(LEASE)).await.unwrap().is_some());
}

async fn a_run_is_remembered(house: House) {
    assert_eq!(house.store.last_run("expire").await.unwrap(), None);
    let lock = house.store.try_lock_job("expire", LEASE, NOW).await.unwrap().unwrap();
    assert_eq!(house.store.last_run("expire").await.unwrap(), None);

    house.store.record_run("expire", NOW, "removed 1 message").await.unwrap();
    house.store.record_run("expire", NOW.after(DAY), "removed 2 messages").await.unwrap();
    house.store.unlock_job(lock).await.unwrap();

    let run = house.another().await.last_run("expire").await.unwrap().unwrap();
    assert_eq!((run.at, run.report.as_str()), (NOW.after(DAY), "removed 2 messages"));
}

async fn the_clock_is_remembered(house: House) {
    assert_eq!(house.store.last_clock().await.unwrap(), None);

    house.store.record_clock(NOW.after(DAY)).await.unwrap();
    house.store.record_clock(NOW).await.unwrap();

    assert_eq!(house.store.last_clock().await.unwrap(), Some(NOW));
}
