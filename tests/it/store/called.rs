//! Whom a call for several mailboxes means: as they were named, each once, of no other tenant, and never a part of too many.

use afterbeep::{
    call::{
        route::{Candidate, Dialled, Reason},
        several::{self, Found},
    },
    domain::{
        id::{ListId, MailboxId},
        mailbox::Mailbox,
        rules,
    },
    store::{distribution::NewList, mailbox::NewMailbox},
};

use super::{House, NOW, new_mailbox, on_both_databases};

on_both_databases! {
    a_mailbox_that_is_named_twice_is_meant_once
    nobody_of_another_tenant_is_meant
    a_list_without_mailboxes_is_nobody
    where_too_many_are_named_nobody_is_meant
}

async fn a_mailbox_that_is_named_twice_is_meant_once(house: House) {
    let [ann, bob, cat] = [house.mailbox("1001").await, house.mailbox("1002").await, house.mailbox("1003").await];
    called_list(&house, "", "70", &[&ann, &bob]).await;
    called_list(&house, "", "71", &[&cat, &bob]).await;

    let found = named(&house, "", "71&1002&1009&70&1009&1001").await;

    assert_eq!(numbers(&found), ["1002", "1003", "1001"]);
    assert_eq!(found.unknown, ["1009"]);
    assert!(found.is_several && found.list.is_none() && found.why.is_none());
    let alone = named(&house, "", "71").await;
    assert_eq!(numbers(&alone), ["1002", "1003"]);
    assert_eq!(alone.list.map(|list| list.number.to_string()).as_deref(), Some("71"));
}

async fn nobody_of_another_tenant_is_meant(house: House) {
    let mailbox = async |tenant: &str, number: &str| {
        let new = NewMailbox { tenant: tenant.to_owned(), ..new_mailbox(number) };
        house.store.create_mailbox(new, NOW).await.unwrap()
    };
    let [ann, bob, _] = [mailbox("a.example", "1001").await, mailbox("b.example", "1002").await, mailbox("", "1003").await];
    called_list(&house, "b.example", "70", &[&bob]).await;
    called_list(&house, "a.example", "71", &[&ann]).await;

    let of_a = named(&house, "a.example", "1001&1002&1003&70&71").await;
    let of_b = named(&house, "b.example", "71&70").await;

    assert_eq!(numbers(&of_a), ["1001", "1003"], "the default tenant's are everybody's, as for one number");
    assert_eq!(of_a.unknown, ["1002", "70"]);
    assert_eq!((numbers(&of_b), &of_b.unknown[..]), (vec!["1002"], &["71".to_owned()][..]));
}

async fn a_list_without_mailboxes_is_nobody(house: House) {
    let ann = house.mailbox("1001").await;
    let list = called_list(&house, "", "70", &[&ann]).await;
    house.store.remove_mailbox(&ann.id, NOW).await.unwrap();

    assert!(named(&house, "", "70").await.mailboxes.is_empty());
    house.store.add_list_members(&list, &[house.mailbox("1002").await.id]).await.unwrap();
    assert_eq!(numbers(&named(&house, "", "70").await), ["1002"]);
}

async fn where_too_many_are_named_nobody_is_meant(house: House) {
    let ann = house.mailbox("1001").await;
    let most = rules::MAILBOXES_AT_ONCE;
    house.add_mailboxes(most as u32).await;
    let others: Vec<String> = (2..=most).map(|n| format!("m{n}")).collect();
    let list = called_list(&house, "", "70", &[]).await;
    let ids: Vec<MailboxId> = others.iter().cloned().map(MailboxId::from_stored).collect();
    house.store.add_list_members(&list, &ids).await.unwrap();

    let fifty = named(&house, "", "1001&70").await;
    let bob = house.mailbox("1002").await;
    let with_a_list = named(&house, "", "1001&1002&70").await;
    let by_number = named(&house, "", &format!("1001&1002&{}", others.join("&"))).await;

    assert_eq!((fifty.mailboxes.len(), &fifty.mailboxes[0].id), (most, &ann.id));
    assert_eq!(bob.number.as_str(), "1002");
    for found in [with_a_list, by_number] {
        assert!(found.mailboxes.is_empty() && found.why.is_some(), "{:?}", numbers(&found));
    }
}

/// Whom a trusted peer means that names this in its Request-URI.
async fn named(house: &House, domain: &str, number: &str) -> Found {
    let dialled = Dialled { number: number.to_owned(), domain: domain.to_owned() };
    let candidate = Candidate { dialled, reason: Reason::RequestUri, rule: "", forward: None };
    several::look(&house.store, &candidate, None, true).await.unwrap()
}

async fn called_list(house: &House, tenant: &str, number: &str, members: &[&Mailbox]) -> ListId {
    let new = NewList {
        tenant: tenant.to_owned(),
        owner: None,
        number: number.parse().unwrap(),
        name: "Sales".to_owned(),
        members: members.iter().map(|member| member.id.clone()).collect(),
    };
    let list = house.store.create_list(&new, NOW).await.unwrap();
    house.store.set_list_calls(&list.id, true).await.unwrap().id
}

fn numbers(found: &Found) -> Vec<&str> {
    found.mailboxes.iter().map(|mailbox| mailbox.number.as_str()).collect()
}
