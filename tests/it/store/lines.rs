//! Lines and registrations: who a phone is, where it is, and until when.

use std::time::Duration;

use afterbeep::{
    domain::{id::MailboxId, time::Timestamp},
    store::{
        ChangeError,
        line::LineSecret,
        mailbox::MailboxChange,
        registration::{ContactChange, NewContact, Registration, RegistrationChange, RegistrationError, Way},
    },
};

use super::{House, NOW, on_both_databases};

const REALM: &str = "afterbeep";
const MINUTE: Duration = Duration::from_mins(1);

on_both_databases! {
    a_line_is_found_by_its_names_in_its_realm_while_its_mailbox_is_enabled
    a_line_has_one_password_and_goes_with_its_mailbox
    a_registration_lasts_until_the_moment_it_was_made_for
    a_refresh_moves_the_end_and_says_the_new_way
    several_contacts_come_and_go_together_the_preferred_ones_first
    a_request_that_was_overtaken_changes_nothing
    ten_contacts_are_taken_and_an_eleventh_takes_none
    phones_that_register_at_once_are_all_kept_and_never_too_many
}

async fn a_line_is_found_by_its_names_in_its_realm_while_its_mailbox_is_enabled(house: House) {
    let mailbox = line(&house, "1001", &["1001", "ann"]).await;
    house.mailbox("1002").await;
    let find = async |tenant: &str, name: &str, realm: &str| {
        let found = house.store.find_line(tenant, name, realm).await.unwrap();
        found.map(|(line, secret)| (line.mailbox, line.number.to_string(), secret.md5))
    };
    let is = |name: &str| Some((mailbox.clone(), "1001".to_owned(), format!("md5 of {name}")));

    assert_eq!(find("", "1001", REALM).await, is("1001"));
    assert_eq!(find("example.com", "1001", REALM).await, is("1001"), "the default tenant is everywhere");
    // `ann` is no alias of the mailbox, so that what it calls itself is not its own.
    for (tenant, name, realm) in [("", "ann", REALM), ("", "1002", REALM), ("", "1001", "other"), ("", "", REALM)] {
        assert_eq!(find(tenant, name, realm).await, None, "{name} in {realm}");
    }
    for odd in ["10\u{0}01", "1001\u{0}", "' OR 1=1 --", "1001 ", "ü", &"9".repeat(5000)] {
        assert_eq!(find(odd, odd, REALM).await, None, "{odd}");
    }
    house.store.update_mailbox(&mailbox, MailboxChange { enabled: Some(false), ..MailboxChange::default() }, NOW).await.unwrap();
    assert_eq!(find("", "1001", REALM).await, None);
}

async fn a_line_has_one_password_and_goes_with_its_mailbox(house: House) {
    let mailbox = line(&house, "1001", &["1001"]).await;
    register(&house, &mailbox, "a", 1, &[("sip:1001@192.0.2.1", Some(MINUTE))], NOW).await.unwrap();
    let other = LineSecret { md5: "other".to_owned(), sha256: "other".to_owned() };
    house.store.set_line(&mailbox, REALM, &[("1001".to_owned(), other.clone())], NOW).await.unwrap();

    let (_, secret) = house.store.find_line("", "1001", REALM).await.unwrap().unwrap();
    assert_eq!(secret, other);
    assert_eq!(house.store.lines().await.unwrap().len(), 1);
    assert!(house.store.remove_line(&mailbox, NOW).await.unwrap());
    assert!(!house.store.remove_line(&mailbox, NOW).await.unwrap());
    assert!(house.store.registrations(&mailbox, NOW).await.unwrap().is_empty());
    let late = register(&house, &mailbox, "a", 2, &[("sip:1001@192.0.2.1", Some(MINUTE))], NOW).await;
    assert!(matches!(late, Err(RegistrationError::Gone)));
    let nobody = house.store.set_line(&MailboxId::from_stored("nobody"), REALM, &[("1".to_owned(), other)], NOW).await;
    assert!(matches!(nobody, Err(ChangeError::Gone)));
}

async fn a_registration_lasts_until_the_moment_it_was_made_for(house: House) {
    let mailbox = line(&house, "1001", &["1001"]).await;
    let contacts = [("sip:1001@192.0.2.1", Some(MINUTE)), ("sip:1001@192.0.2.2", Some(2 * MINUTE))];

    let made = register(&house, &mailbox, "a", 1, &contacts, NOW).await.unwrap();

    assert_eq!(made.len(), 2);
    let at = async |after: Duration| {
        let known = house.store.registrations(&mailbox, NOW.after(after)).await.unwrap();
        known.into_iter().map(|it| it.contact).collect::<Vec<_>>()
    };
    assert_eq!(at(MINUTE - Duration::from_millis(1)).await.len(), 2);
    assert_eq!(at(MINUTE).await, ["sip:1001@192.0.2.2"]);
    assert!(at(2 * MINUTE).await.is_empty());
    // What has ended counts no more, not even for the order of requests.
    let again = register(&house, &mailbox, "a", 1, &contacts[..1], NOW.after(2 * MINUTE)).await.unwrap();
    assert_eq!(again.len(), 1);
}

async fn a_refresh_moves_the_end_and_says_the_new_way(house: House) {
    let mailbox = line(&house, "1001", &["1001"]).await;
    register(&house, &mailbox, "a", 1, &[("sip:1001@192.0.2.1", Some(MINUTE))], NOW).await.unwrap();
    let mut change = change("a", 2, &[("sip:1001@192.0.2.1", Some(2 * MINUTE))], NOW);
    change.way = Way { remote: "198.51.100.7:5060".to_owned(), connection: Some("run 7".to_owned()), ..change.way };
    change.path = vec!["<sip:edge.example;lr>".to_owned(), "<sip:core.example;lr>".to_owned()];

    let known = house.store.register(&mailbox, &change, NOW).await.unwrap();

    assert_eq!(known.len(), 1);
    assert_eq!((known[0].expires_at, &known[0].way, &known[0].path), (NOW.after(2 * MINUTE), &change.way, &change.path));
}

async fn several_contacts_come_and_go_together_the_preferred_ones_first(house: House) {
    let mailbox = line(&house, "1001", &["1001"]).await;
    let (desk, mobile) = ("sip:1001@192.0.2.1", "sip:1001@192.0.2.2");
    let mut both = change("a", 1, &[(desk, Some(MINUTE)), (mobile, Some(MINUTE))], NOW);
    if let ContactChange::Each(contacts) = &mut both.contacts {
        contacts[0].preference = Some(300);
        contacts[1].preference = Some(700);
    }
    let listed = |known: Vec<Registration>| -> Vec<String> { known.into_iter().map(|it| it.contact).collect() };

    assert_eq!(listed(house.store.register(&mailbox, &both, NOW).await.unwrap()), [mobile, desk]);
    assert_eq!(listed(register(&house, &mailbox, "b", 1, &[], NOW).await.unwrap()), [mobile, desk], "only asked");
    assert_eq!(listed(register(&house, &mailbox, "b", 1, &[(mobile, None)], NOW).await.unwrap()), [desk]);
    register(&house, &mailbox, "c", 1, &[(mobile, Some(MINUTE))], NOW).await.unwrap();
    let all = RegistrationChange { contacts: ContactChange::RemoveAll, ..change("a", 2, &[], NOW) };
    assert!(house.store.register(&mailbox, &all, NOW).await.unwrap().is_empty());
}

async fn a_request_that_was_overtaken_changes_nothing(house: House) {
    let mailbox = line(&house, "1001", &["1001"]).await;
    let contacts = [("sip:1001@192.0.2.1", Some(MINUTE)), ("sip:1001@192.0.2.2", Some(MINUTE))];
    register(&house, &mailbox, "a", 5, &contacts, NOW).await.unwrap();

    for sequence in [4, 5] {
        let late = register(&house, &mailbox, "a", sequence, &[("sip:1001@192.0.2.1", None)], NOW).await;
        assert!(matches!(late, Err(RegistrationError::OutOfOrder)));
    }
    let all = RegistrationChange { contacts: ContactChange::RemoveAll, ..change("a", 5, &[], NOW) };
    assert!(matches!(house.store.register(&mailbox, &all, NOW).await, Err(RegistrationError::OutOfOrder)));

    assert_eq!(house.store.registrations(&mailbox, NOW).await.unwrap().len(), 2);
    // A phone that has started anew has another Call-ID, and counts from one again.
    assert_eq!(register(&house, &mailbox, "b", 1, &[("sip:1001@192.0.2.1", None)], NOW).await.unwrap().len(), 1);
}

async fn ten_contacts_are_taken_and_an_eleventh_takes_none(house: House) {
    let mailbox = line(&house, "1001", &["1001"]).await;
    let contacts: Vec<String> = (0..12).map(|number| format!("sip:1001@192.0.2.{number}")).collect();
    let contacts: Vec<_> = contacts.iter().map(|contact| (contact.as_str(), Some(MINUTE))).collect();
    register(&house, &mailbox, "a", 1, &contacts[..9], NOW).await.unwrap();

    let two_more = register(&house, &mailbox, "b", 1, &contacts[9..11], NOW).await;
    assert!(matches!(two_more, Err(RegistrationError::TooMany)));
    assert_eq!(house.store.registrations(&mailbox, NOW).await.unwrap().len(), 9);
    assert_eq!(register(&house, &mailbox, "b", 1, &contacts[9..10], NOW).await.unwrap().len(), 10);

    let later = NOW.after(MINUTE);
    assert_eq!(register(&house, &mailbox, "c", 1, &contacts[10..], later).await.unwrap().len(), 2, "the others have ended");
}

async fn phones_that_register_at_once_are_all_kept_and_never_too_many(house: House) {
    let mailbox = line(&house, "1001", &["1001"]).await;
    let another = house.another_node().await;
    let stores = [&house.store, &another];

    let tries = (0..14_usize).map(|number| {
        let contact = format!("sip:1001@192.0.2.{number}");
        let change = change(&number.to_string(), 1, &[(&contact, Some(MINUTE))], NOW);
        let (store, mailbox) = (stores[number % 2].clone(), mailbox.clone());
        tokio::spawn(async move { store.register(&mailbox, &change, NOW).await.is_ok() })
    });
    let mut taken = 0;
    for attempt in tries.collect::<Vec<_>>() {
        taken += usize::from(attempt.await.unwrap());
    }

    assert_eq!((taken, house.store.registrations(&mailbox, NOW).await.unwrap().len()), (10, 10));
}

/// A mailbox with a line that calls itself by these names.
async fn line(house: &House, number: &str, names: &[&str]) -> MailboxId {
    let mailbox = house.mailbox(number).await.id;
    let secret =
        |name: &&str| ((*name).to_owned(), LineSecret { md5: format!("md5 of {name}"), sha256: format!("sha256 of {name}") });
    house.store.set_line(&mailbox, REALM, &names.iter().map(secret).collect::<Vec<_>>(), NOW).await.unwrap();
    mailbox
}

async fn register(
    house: &House,
    mailbox: &MailboxId,
    call_id: &str,
    sequence: u32,
    contacts: &[(&str, Option<Duration>)],
    now: Timestamp,
) -> Result<Vec<Registration>, RegistrationError> {
    house.store.register(mailbox, &change(call_id, sequence, contacts, now), now).await
}

fn change(call_id: &str, sequence: u32, contacts: &[(&str, Option<Duration>)], now: Timestamp) -> RegistrationChange {
    let new = |(contact, life): &(&str, Option<Duration>)| NewContact {
        key: (*contact).to_owned(),
        contact: (*contact).to_owned(),
        preference: None,
        expires_at: life.map(|life| now.after(life)),
    };
    RegistrationChange {
        call_id: call_id.to_owned(),
        sequence,
        contacts: ContactChange::Each(contacts.iter().map(new).collect()),
        path: Vec::new(),
        user_agent: Some("Phone 1.0".to_owned()),
        way: Way {
            transport: "udp".to_owned(),
            remote: "192.0.2.1:5060".to_owned(),
            local: "192.0.2.9:5060".to_owned(),
            connection: None,
            is_direct: true,
        },
    }
}
