//! Greetings and spoken names.

use std::{io::Write as _, time::Duration};

use afterbeep::{
    domain::{greeting::GreetingKind, id::MailboxId},
    store::{ChangeError, journal::Encoding},
};

use super::{House, NOW, on_both_databases};

on_both_databases! {
    an_accepted_greeting_replaces_the_old_one
    a_recording_that_is_not_accepted_leaves_nothing
    a_greeting_needs_a_mailbox
}

async fn an_accepted_greeting_replaces_the_old_one(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let old = house.store.set_greeting_wav(&mailbox, GreetingKind::Greeting, vec![1, 2, 3], NOW).await.unwrap();
    let name = house.store.set_greeting_wav(&mailbox, GreetingKind::Name, vec![4], NOW).await.unwrap();

    let scratch = house.store.create_scratch(Encoding::Alaw).await.unwrap();
    scratch.audio_file().unwrap().write_all(&[0xd5; 900]).unwrap();
    scratch.restart().unwrap().write_all(&[0x2a; 16_000]).unwrap();
    let kept = Duration::from_millis(1500);
    let new = house.store.set_greeting(&mailbox, GreetingKind::Greeting, scratch, kept, NOW).await.unwrap();

    let stored = house.store.mailbox(&mailbox).await.unwrap().unwrap();
    assert_eq!((stored.greeting.as_ref(), stored.spoken_name), (Some(&new), Some(name)));
    assert!(house.store.audio(&old).await.is_err());
    let wav = house.store.audio(&new).await.unwrap();
    let samples: Vec<i16> = hound::WavReader::new(&wav[..]).unwrap().into_samples().map(Result::unwrap).collect();
    assert_eq!(samples, vec![-32256; 12_000]);
    house.store.remove_greeting(&mailbox, GreetingKind::Greeting, NOW).await.unwrap();
    assert_eq!(house.store.mailbox(&mailbox).await.unwrap().unwrap().greeting, None);
    assert_eq!((house.audio_files().len(), house.spooled_files().len()), (1, 0));
}

async fn a_recording_that_is_not_accepted_leaves_nothing(house: House) {
    let scratch = house.store.create_scratch(Encoding::Mulaw).await.unwrap();
    scratch.audio_file().unwrap().write_all(&[0xff; 900]).unwrap();
    assert_eq!(scratch.reader(Duration::from_millis(100))().unwrap().len(), 800);
    // A server that starts beside it leaves it alone.
    house.another().await.recover(NOW).await.unwrap();
    assert_eq!(house.spooled_files().len(), 1);

    drop(scratch);

    assert_eq!((house.spooled_files().len(), house.audio_files().len()), (0, 0));
}

async fn a_greeting_needs_a_mailbox(house: House) {
    let outcome = house.store.set_greeting_wav(&MailboxId::random(), GreetingKind::Name, vec![1], NOW).await;

    assert!(matches!(outcome, Err(ChangeError::Gone)));
    assert_eq!(house.audio_files().len(), 0);
}
