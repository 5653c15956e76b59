//! Distribution lists: whose they are, who is in them, and what becomes of them when mailboxes go.

use afterbeep::{
    audio::wav,
    domain::{id::MailboxId, mailbox::Mailbox, rules},
    store::{
        distribution::{ListError, NewList},
        mailbox::{MailboxChange, MailboxError},
    },
};

use super::{House, NOW, new_mailbox, on_both_databases};

on_both_databases! {
    a_list_is_found_by_its_number_and_knows_its_members
    a_subscribers_own_list_goes_before_the_tenants
    a_number_is_given_once
    only_mailboxes_of_its_tenant_can_be_in_a_list
    a_list_has_a_thousand_members_at_most
    callers_reach_a_tenants_list_that_takes_calls_and_no_other
    a_list_that_callers_reach_has_fifty_members_at_most
    whoever_changes_a_list_at_once_takes_turns
    what_a_lists_callers_hear_goes_with_it
    a_removed_mailbox_leaves_lists_and_takes_its_own_along
}

async fn a_list_is_found_by_its_number_and_knows_its_members(house: House) {
    let [ann, bob] = [house.mailbox("1001").await, house.mailbox("1002").await];
    let list = house.store.create_list(&list("70", None, &[&bob]), NOW).await.unwrap();
    assert_eq!((list.members, list.name.as_str(), &list.owner), (1, "Sales", &None));

    let list = house.store.add_list_members(&list.id, &[ann.id.clone(), bob.id.clone()]).await.unwrap();

    assert_eq!(house.store.find_list("", Some(&ann.id), "70").await.unwrap(), Some(list.clone()));
    assert_eq!(numbers(&house.store.list_members(&list.id).await.unwrap()), ["1001", "1002"]);
    assert_eq!(house.store.remove_list_members(&list.id, std::slice::from_ref(&ann.id)).await.unwrap(), 1);
    assert_eq!(house.store.remove_list_members(&list.id, &[ann.id]).await.unwrap(), 0);
    assert_eq!(house.store.lists().await.unwrap()[0].members, 1);
    house.store.remove_list(&list.id, NOW).await.unwrap();
    assert_eq!(house.store.find_list("", None, "70").await.unwrap(), None);
    assert!(house.store.remove_list(&list.id, NOW).await.is_err());
}

async fn a_subscribers_own_list_goes_before_the_tenants(house: House) {
    let [ann, bob] = [house.mailbox("1001").await, house.mailbox("1002").await];
    let tenants = house.store.create_list(&list("70", None, &[]), NOW).await.unwrap();
    let own = house.store.create_list(&list("70", Some(&ann.id), &[]), NOW).await.unwrap();

    let found = async |owner: Option<&MailboxId>| house.store.find_list("", owner, "70").await.unwrap().unwrap().id;

    assert_eq!(found(Some(&ann.id)).await, own.id);
    assert_eq!(found(Some(&bob.id)).await, tenants.id);
    assert_eq!(found(None).await, tenants.id);
    assert_eq!(house.store.find_list("other.example", Some(&ann.id), "70").await.unwrap(), None);
    assert_eq!(house.store.find_list("", None, "7\0").await.unwrap(), None);
}

async fn a_number_is_given_once(house: House) {
    let ann = house.mailbox("1001").await;
    house.store.create_list(&list("70", None, &[]), NOW).await.unwrap();

    for number in ["70", "1001"] {
        let refused = house.store.create_list(&list(number, None, &[]), NOW).await;
        assert!(matches!(refused, Err(ListError::NumberTaken(taken)) if taken.as_str() == number));
    }
    assert!(house.store.create_list(&list("70", Some(&ann.id), &[]), NOW).await.is_ok());
    let refused = house.store.create_mailbox(new_mailbox("70"), NOW).await;
    assert!(matches!(refused, Err(MailboxError::NumberTaken(taken)) if taken.as_str() == "70"));
    let alias = MailboxChange { aliases: Some(vec!["70".parse().unwrap()]), ..MailboxChange::default() };
    let refused = house.store.update_mailbox(&ann.id, alias, NOW).await;
    assert!(matches!(refused, Err(MailboxError::NumberTaken(taken)) if taken.as_str() == "70"));
    for number in ["71", "72", "73"] {
        let tenants = list(number, None, &[]);
        let (one, other) =
            tokio::join!(house.store.create_list(&tenants, NOW), house.store.create_mailbox(new_mailbox(number), NOW));
        assert!(one.is_ok() != other.is_ok(), "both or neither have {number}");
    }
}

async fn only_mailboxes_of_its_tenant_can_be_in_a_list(house: House) {
    let ann = house.mailbox("1001").await;
    let mut stranger = new_mailbox("1002");
    stranger.tenant = "other.example".to_owned();
    let stranger = house.store.create_mailbox(stranger, NOW).await.unwrap();

    let refused = house.store.create_list(&list("70", None, &[&ann, &stranger]), NOW).await;
    assert!(matches!(refused, Err(ListError::Gone)));
    assert!(matches!(house.store.create_list(&list("70", Some(&stranger.id), &[]), NOW).await, Err(ListError::Gone)));

    assert!(house.store.lists().await.unwrap().is_empty(), "nothing is made by halves");
}

async fn a_list_has_a_thousand_members_at_most(house: House) {
    let ann = house.mailbox("1001").await;
    let list = house.store.create_list(&list("70", None, &[&ann]), NOW).await.unwrap();
    house.add_mailboxes(1001).await;
    let others =
        |range: std::ops::RangeInclusive<u32>| range.map(|n| MailboxId::from_stored(format!("m{n}"))).collect::<Vec<_>>();

    let most = house.store.add_list_members(&list.id, &others(2..=1000)).await.unwrap();
    let refused = house.store.add_list_members(&list.id, &others(1001..=1001)).await;

    assert_eq!(most.members, rules::MOST_LIST_MEMBERS);
    assert!(matches!(refused, Err(ListError::TooManyMembers)));
    assert_eq!(house.store.lists().await.unwrap()[0].members, rules::MOST_LIST_MEMBERS);
}

async fn callers_reach_a_tenants_list_that_takes_calls_and_no_other(house: House) {
    let ann = house.mailbox("1001").await;
    let tenants = house.store.create_list(&list("70", None, &[&ann]), NOW).await.unwrap();
    let own = house.store.create_list(&list("70", Some(&ann.id), &[&ann]), NOW).await.unwrap();
    let other = NewList { tenant: "b.example".to_owned(), members: vec![], ..list("+4470", None, &[]) };
    let other = house.store.create_list(&other, NOW).await.unwrap();
    let called = async |tenant: &str, numbers: &[&str]| {
        let numbers: Vec<String> = numbers.iter().map(|number| (*number).to_owned()).collect();
        house.store.called_list(tenant, &numbers).await.unwrap().map(|list| list.id)
    };

    assert_eq!(called("", &["70"]).await, None, "no list takes calls unless it is told to");
    assert!(matches!(house.store.set_list_calls(&own.id, true).await, Err(ListError::NotForCallers)));
    for id in [&tenants.id, &other.id] {
        assert!(house.store.set_list_calls(id, true).await.unwrap().takes_calls);
    }

    assert_eq!(called("", &["70"]).await, Some(tenants.id.clone()));
    assert_eq!(called("a.example", &["1", "70"]).await, Some(tenants.id.clone()), "the default tenant's, as for mailboxes");
    assert_eq!(called("b.example", &["70", "+4470"]).await, Some(tenants.id.clone()), "as it was dialled first");
    assert_eq!(called("b.example", &["+4470", "70"]).await, Some(other.id.clone()));
    assert_eq!(called("", &["+4470"]).await, None);
    assert_eq!(called("b\0", &["7\0", "%", "", "70&1001"]).await, None);
    house.store.set_list_calls(&tenants.id, false).await.unwrap();
    assert_eq!(called("", &["70"]).await, None);
}

async fn a_list_that_callers_reach_has_fifty_members_at_most(house: House) {
    let ann = house.mailbox("1001").await;
    let list = house.store.create_list(&list("70", None, &[&ann]), NOW).await.unwrap();
    house.add_mailboxes(51).await;
    let member = |n: usize| [MailboxId::from_stored(format!("m{n}"))];
    let most = rules::MAILBOXES_AT_ONCE;
    for n in 2..=most {
        house.store.add_list_members(&list.id, &member(n)).await.unwrap();
    }

    house.store.set_list_calls(&list.id, true).await.unwrap();
    let refused = house.store.add_list_members(&list.id, &member(most + 1)).await;
    house.store.set_list_calls(&list.id, false).await.unwrap();
    house.store.add_list_members(&list.id, &member(most + 1)).await.unwrap();

    assert!(matches!(refused, Err(ListError::TooManyForCallers)), "{refused:?}");
    assert!(matches!(house.store.set_list_calls(&list.id, true).await, Err(ListError::TooManyForCallers)));
    assert!(!house.store.lists().await.unwrap()[0].takes_calls);
}

async fn whoever_changes_a_list_at_once_takes_turns(house: House) {
    let most = rules::MAILBOXES_AT_ONCE;
    house.add_mailboxes(most as u32 + 10).await;
    let ids: Vec<MailboxId> = (2..=most + 10).map(|n| MailboxId::from_stored(format!("m{n}"))).collect();

    for round in 0..5 {
        let made = house.store.create_list(&list(&format!("70{round}"), None, &[]), NOW).await.unwrap();
        house.store.add_list_members(&made.id, &ids[..most - 1]).await.unwrap();

        let adds: Vec<_> = ids[most..]
            .iter()
            .cloned()
            .map(|member| {
                let (store, id) = (house.store.clone(), made.id.clone());
                tokio::spawn(async move { store.add_list_members(&id, &[member]).await.is_ok() })
            })
            .collect();
        let opened = house.store.set_list_calls(&made.id, true).await;
        let mut added = 0;
        for add in adds {
            added += u32::from(add.await.unwrap());
        }

        let now = house.store.find_list("", None, made.number.as_str()).await.unwrap().unwrap();
        assert_eq!(now.members, most as u32 - 1 + added);
        assert_eq!(now.takes_calls, opened.is_ok());
        assert!(!now.takes_calls || now.members <= most as u32, "{} members", now.members);
    }
}

async fn what_a_lists_callers_hear_goes_with_it(house: House) {
    let ann = house.mailbox("1001").await;
    let tenants = house.store.create_list(&list("70", None, &[&ann]), NOW).await.unwrap();
    let own = house.store.create_list(&list("7", Some(&ann.id), &[&ann]), NOW).await.unwrap();
    let wav = || Some(wav::from_samples(&[9; 8000]));

    let first = house.store.set_list_greeting(&tenants.id, wav(), NOW).await.unwrap().greeting.unwrap();
    let second = house.store.set_list_greeting(&tenants.id, wav(), NOW).await.unwrap().greeting.unwrap();
    assert_ne!(first, second);
    assert_eq!(house.audio_files().len(), 1);
    assert_eq!(house.store.set_list_greeting(&tenants.id, None, NOW).await.unwrap().greeting, None);
    assert_eq!(house.audio_files().len(), 0);
    house.store.set_list_greeting(&tenants.id, wav(), NOW).await.unwrap();
    house.store.remove_list(&tenants.id, NOW).await.unwrap();

    assert_eq!(house.audio_files().len(), 0);
    assert!(matches!(house.store.set_list_greeting(&own.id, wav(), NOW).await, Err(ListError::NotForCallers)));
    assert!(matches!(house.store.set_list_greeting(&tenants.id, wav(), NOW).await, Err(ListError::Gone)));
    assert_eq!(house.audio_files().len(), 0);
}

async fn a_removed_mailbox_leaves_lists_and_takes_its_own_along(house: House) {
    let [ann, bob] = [house.mailbox("1001").await, house.mailbox("1002").await];
    house.store.create_list(&list("70", None, &[&ann, &bob]), NOW).await.unwrap();
    house.store.create_list(&list("7", Some(&ann.id), &[&bob]), NOW).await.unwrap();

    house.store.remove_mailbox(&ann.id, NOW).await.unwrap();

    let [left] = &house.store.lists().await.unwrap()[..] else { panic!("one list") };
    assert_eq!((left.number.as_str(), left.members), ("70", 1));
}

fn list(number: &str, owner: Option<&MailboxId>, members: &[&Mailbox]) -> NewList {
    NewList {
        tenant: String::new(),
        owner: owner.cloned(),
        number: number.parse().unwrap(),
        name: "Sales".to_owned(),
        members: members.iter().map(|member| member.id.clone()).collect(),
    }
}

fn numbers(mailboxes: &[Mailbox]) -> Vec<&str> {
    mailboxes.iter().map(|mailbox| mailbox.number.as_str()).collect()
}
