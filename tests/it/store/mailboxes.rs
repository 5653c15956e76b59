//! Mailboxes, their numbers, and switching voice-to-email.

use std::time::Duration;

use afterbeep::{
    domain::{
        greeting::GreetingKind,
        keys::{KeyProfile, MenuLength},
        mailbox_log::Origin,
        preferences::Preferences,
        rules,
    },
    store::{
        ChangeError,
        greeting::GreetingChange,
        mailbox::{MailboxChange, MailboxError, MailboxPage, NewMailbox},
        outbox::Errand,
    },
};

use super::{DAY, House, NOW, new_mailbox, on_both_databases};

on_both_databases! {
    a_mailbox_is_found_by_its_number_and_its_aliases_exactly
    a_number_is_given_once_in_a_tenant
    of_two_mailboxes_made_at_once_with_one_number_one_is_refused
    changing_a_mailbox_changes_what_was_named_only
    preferences_change_one_by_one_and_are_forgotten_together
    numbers_move_with_their_mailbox
    the_list_comes_in_pages
    a_removed_mailbox_takes_everything_with_it
    switching_voice_to_email_off_gives_lives_back
    switching_voice_to_email_on_again_keeps_its_first_moment
    a_schema_is_made_once_by_processes_that_start_together
}

async fn a_mailbox_is_found_by_its_number_and_its_aliases_exactly(house: House) {
    let aliases = vec!["2002".parse().unwrap(), "+12025550143".parse().unwrap()];
    let made = house.store.create_mailbox(NewMailbox { aliases, ..new_mailbox("Ann.Lee") }, NOW).await.unwrap();

    for dialled in ["Ann.Lee", "2002", "+12025550143"] {
        assert_eq!(house.store.find_mailbox("", dialled).await.unwrap().as_ref(), Some(&made), "{dialled}");
    }
    for dialled in ["ann.lee", "200", "20022", "12025550143", "", "%", "' OR 1=1 --"] {
        assert_eq!(house.store.find_mailbox("", dialled).await.unwrap(), None, "{dialled}");
    }
    assert_eq!(house.store.find_mailbox("example.com", "2002").await.unwrap(), None);
    for impossible in ["\0", "1001\0", "*98", "1001;x", "", &"1".repeat(60_000)] {
        assert_eq!(house.store.find_mailbox("", impossible).await.unwrap(), None);
    }
    assert_eq!(house.store.find_mailbox("\0", "1001").await.unwrap(), None);
    assert_eq!(house.store.mailbox(&made.id).await.unwrap(), Some(made));
}

async fn a_number_is_given_once_in_a_tenant(house: House) {
    let aliases = vec!["2002".parse().unwrap()];
    let first = house.store.create_mailbox(NewMailbox { aliases: aliases.clone(), ..new_mailbox("1001") }, NOW).await.unwrap();

    for clash in [
        new_mailbox("1001"),
        new_mailbox("2002"),
        NewMailbox { aliases: aliases.clone(), ..new_mailbox("1002") },
        NewMailbox { aliases: vec!["1001".parse().unwrap()], ..new_mailbox("1002") },
        NewMailbox { aliases: vec!["1002".parse().unwrap()], ..new_mailbox("1002") },
    ] {
        let outcome = house.store.create_mailbox(clash, NOW).await;
        assert!(matches!(outcome, Err(MailboxError::NumberTaken(_))), "{outcome:?}");
    }
    let elsewhere = NewMailbox { tenant: "example.com".to_owned(), aliases, ..new_mailbox("1001") };
    house.store.create_mailbox(elsewhere, NOW).await.unwrap();

    assert_eq!(house.store.find_mailbox("", "1002").await.unwrap(), None);
    let second = house.mailbox("1002").await;
    let change = MailboxChange { number: Some(first.number), ..MailboxChange::default() };
    let moved = house.store.update_mailbox(&second.id, change, NOW).await;
    assert!(matches!(moved, Err(MailboxError::NumberTaken(_))), "{moved:?}");
    let change = MailboxChange { aliases: Some(first.aliases), ..MailboxChange::default() };
    let moved = house.store.update_mailbox(&second.id, change, NOW).await;
    assert!(matches!(moved, Err(MailboxError::NumberTaken(_))), "{moved:?}");
    assert_eq!(house.store.mailbox(&second.id).await.unwrap(), Some(second));
}

async fn of_two_mailboxes_made_at_once_with_one_number_one_is_refused(house: House) {
    let other = house.another_node().await;

    let (one, two) =
        tokio::join!(house.store.create_mailbox(new_mailbox("1001"), NOW), other.create_mailbox(new_mailbox("1001"), NOW));

    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    assert!(matches!(one.and(two), Err(MailboxError::NumberTaken(_))));
}

async fn changing_a_mailbox_changes_what_was_named_only(house: House) {
    let made = house.mailbox("1001").await;

    let change = MailboxChange {
        name: Some("Zoë Ångström".to_owned()),
        email: Some(None),
        time_zone: Some("Pacific/Auckland".parse().unwrap()),
        language: Some("fr".to_owned()),
        enabled: Some(false),
        enrolled: Some(true),
        administrator: Some(true),
        ..MailboxChange::default()
    };
    let changed = house.store.update_mailbox(&made.id, change, NOW).await.unwrap();
    let same = house.store.update_mailbox(&made.id, MailboxChange::default(), NOW).await.unwrap();

    assert_eq!((changed.name.as_str(), changed.email.as_ref(), changed.language.as_str()), ("Zoë Ångström", None, "fr"));
    assert_eq!((changed.enabled, changed.enrolled, &changed.number), (false, true, &made.number));
    assert_eq!((made.administrator, changed.administrator), (false, true));
    assert_eq!(changed.time_zone.to_string(), "Pacific/Auckland");
    assert_eq!(same, changed);
    house.store.remove_mailbox(&made.id, NOW).await.unwrap();
    let gone = house.store.update_mailbox(&made.id, MailboxChange::default(), NOW).await;
    assert!(matches!(gone, Err(MailboxError::Gone)));
}

async fn preferences_change_one_by_one_and_are_forgotten_together(house: House) {
    let made = house.mailbox("1001").await;
    let change = |preferences| MailboxChange { preferences, ..MailboxChange::default() };
    let keys = Preferences { keys: Some(KeyProfile::Unity), ..Preferences::default() };
    let menus = Preferences { menu_length: Some(MenuLength::Full), ..Preferences::default() };

    house.store.update_mailbox(&made.id, change(keys.clone()), NOW).await.unwrap();
    let both = house.store.update_mailbox(&made.id, change(menus.clone()), NOW).await.unwrap();
    let forget = MailboxChange { forget_preferences: true, ..change(menus.clone()) };
    let one = house.store.update_mailbox(&made.id, forget, NOW).await.unwrap();

    assert_eq!(made.preferences, Preferences::default());
    assert_eq!(both.preferences, keys.changed(menus.clone()));
    assert_eq!(one.preferences, menus);
    assert_eq!(house.store.mailbox(&made.id).await.unwrap(), Some(one));
}

async fn numbers_move_with_their_mailbox(house: House) {
    let made = house.mailbox("1001").await;

    let change = MailboxChange {
        number: Some("1002".parse().unwrap()),
        aliases: Some(vec!["1001".parse().unwrap()]),
        ..MailboxChange::default()
    };
    let moved = house.store.update_mailbox(&made.id, change, NOW).await.unwrap();

    assert_eq!((moved.number.as_str(), moved.aliases[0].as_str()), ("1002", "1001"));
    assert_eq!(house.store.find_mailbox("", "1001").await.unwrap(), Some(moved.clone()));
    assert_eq!(house.store.find_mailbox("", "1002").await.unwrap(), Some(moved));
}

async fn the_list_comes_in_pages(house: House) {
    for number in ["1003", "1001", "1002", "1005", "1004"] {
        let aliases = vec![format!("a{number}").parse().unwrap(), format!("b{number}").parse().unwrap()];
        house.store.create_mailbox(NewMailbox { aliases, ..new_mailbox(number) }, NOW).await.unwrap();
    }

    let mut page = MailboxPage { after: None, limit: 2 };
    let mut pages = Vec::new();
    loop {
        let mailboxes = house.store.list_mailboxes(&page).await.unwrap();
        let Some(last) = mailboxes.last() else { break };
        page.after = Some((last.tenant.clone(), last.number.clone()));
        assert!(mailboxes.iter().all(|mailbox| mailbox.aliases.len() == 2));
        pages.push(mailboxes.iter().map(|mailbox| mailbox.number.to_string()).collect::<Vec<_>>());
    }

    assert_eq!(pages, [vec!["1001", "1002"], vec!["1003", "1004"], vec!["1005"]]);
}

async fn a_removed_mailbox_takes_everything_with_it(house: House) {
    let change = MailboxChange { voice_to_email: Some(true), ..MailboxChange::default() };
    let mailbox = house.mailbox("1001").await;
    house.store.update_mailbox(&mailbox.id, change, NOW).await.unwrap();
    house.fill(&mailbox.id, 5).await;
    for kind in GreetingKind::ALL {
        let change = GreetingChange { mailbox: &mailbox.id, kind, by: &Origin::command() };
        for wav in [1, 2] {
            house.store.set_greeting_wav(change, None, vec![wav], NOW).await.unwrap();
        }
    }

    house.store.remove_mailbox(&mailbox.id, NOW).await.unwrap();
    let again = house.store.remove_mailbox(&mailbox.id, NOW).await;

    assert!(matches!(again, Err(ChangeError::Gone)));
    assert_eq!(house.store.find_mailbox("", "1001").await.unwrap(), None);
    assert_eq!((house.audio_files().len(), house.store.list_outbox().await.unwrap().len()), (0, 0));
    let anew = house.mailbox("1001").await;
    assert_eq!(house.store.counts(&anew.id, NOW).await.unwrap().total(), 0);
}

async fn switching_voice_to_email_off_gives_lives_back(house: House) {
    let switch = |on| MailboxChange { voice_to_email: Some(on), ..MailboxChange::default() };
    let mailbox = house.mailbox("1001").await;
    house.store.update_mailbox(&mailbox.id, switch(true), NOW).await.unwrap();
    let mailed = house.deposit(&mailbox.id, NOW).await;
    let mailed_and_saved = house.deposit(&mailbox.id, NOW.after(Duration::from_secs(1))).await;
    let accepted = NOW.after(DAY);
    for item in house.store.claim_outbox(10, DAY, NOW.after(Duration::from_secs(2))).await.unwrap() {
        house.store.complete(&item, accepted).await.unwrap();
    }
    let on_its_way = house.deposit(&mailbox.id, NOW.after(2 * DAY)).await;
    let saved = house.store.save(&mailed_and_saved.id, 1, NOW.after(2 * DAY)).await.unwrap();
    let short = house.store.message(&mailed.id, NOW).await.unwrap().unwrap();
    assert_eq!(short.expires_at, accepted.after(rules::MAILED_LIFE));
    let [sending] = &house.store.claim_outbox(10, DAY, NOW.after(2 * DAY)).await.unwrap()[..] else { panic!("one is due") };

    house.store.update_mailbox(&mailbox.id, switch(false), NOW.after(3 * DAY)).await.unwrap();
    house.store.complete(sending, NOW.after(3 * DAY)).await.unwrap();

    let expiry = async |id| house.store.message(id, NOW).await.unwrap().unwrap().expires_at;
    assert_eq!(expiry(&mailed.id).await, NOW.after(rules::MESSAGE_LIFE));
    assert_eq!(expiry(&saved.id).await, NOW.after(2 * DAY).after(rules::MESSAGE_LIFE));
    assert_eq!(expiry(&on_its_way.id).await, on_its_way.expires_at);
    assert_eq!(sending.errand, Errand::Message { message: on_its_way.id });
    assert_eq!(house.store.list_outbox().await.unwrap(), []);
}

async fn switching_voice_to_email_on_again_keeps_its_first_moment(house: House) {
    let switch = |on| MailboxChange { voice_to_email: Some(on), ..MailboxChange::default() };
    let mailbox = house.mailbox("1001").await;

    let mut since = Vec::new();
    for (on, days) in [(true, 1), (true, 2), (false, 3), (true, 4)] {
        let changed = house.store.update_mailbox(&mailbox.id, switch(on), NOW.after(days * DAY)).await.unwrap();
        since.push(changed.voice_to_email_since);
    }

    assert_eq!(since, [Some(NOW.after(DAY)), Some(NOW.after(DAY)), None, Some(NOW.after(4 * DAY))]);
}

async fn a_schema_is_made_once_by_processes_that_start_together(house: House) {
    // A second, empty database: beside the first on SQLite, by name on PostgreSQL.
    let url = if house.database_url.starts_with("sqlite:") {
        house.database_url.replace(".db", "-2.db")
    } else {
        crate::support::postgres::new_database().await.unwrap()
    };
    let house = House { database_url: url, ..house };

    let stores = futures_util::future::join_all((0..6).map(|_| house.another())).await;

    for store in stores {
        store.ping().await.unwrap();
        assert_eq!(store.find_mailbox("", "1001").await.unwrap(), None);
    }
}
