//! Access lists, and servers that follow their changes.

use afterbeep::{
    domain::access::{AccessList, Purpose, Scope},
    store::access::FollowedAccess,
};

use super::{House, NOW, on_both_databases};

on_both_databases! {
    a_running_server_follows_every_change
    changes_made_at_once_are_all_followed
    a_removed_mailbox_takes_its_lists_along
}

async fn a_running_server_follows_every_change(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    let server = house.another().await;
    let mut known = FollowedAccess::default();
    assert!(!server.follow_access(&mut known).await.unwrap());

    house.store.set_access_list(&Scope::Service, Purpose::Register, Some(&list("192.0.2.0/24")), NOW).await.unwrap();
    house.store.set_access_list(&Scope::Tenant("b.example".into()), Purpose::Call, Some(&list("")), NOW).await.unwrap();
    house.store.set_access_list(&Scope::Mailbox(mailbox.clone()), Purpose::Register, Some(&list("::1")), NOW).await.unwrap();

    assert!(server.follow_access(&mut known).await.unwrap());
    assert!(!server.follow_access(&mut known).await.unwrap());
    let admits = |known: &FollowedAccess, purpose, tenant, mailbox, from: &str| {
        known.policy.admits(purpose, tenant, mailbox, from.parse().unwrap())
    };
    assert!(admits(&known, Purpose::Register, "", None, "192.0.2.9") && !admits(&known, Purpose::Register, "", None, "::1"));
    assert!(admits(&known, Purpose::Register, "", Some(&mailbox), "::1"));
    assert!(!admits(&known, Purpose::Call, "b.example", None, "::1") && admits(&known, Purpose::Call, "", None, "::1"));

    house.store.set_access_list(&Scope::Mailbox(mailbox.clone()), Purpose::Register, None, NOW).await.unwrap();
    house.store.set_access_list(&Scope::Service, Purpose::Register, Some(&list("198.51.100.1")), NOW).await.unwrap();

    assert!(server.follow_access(&mut known).await.unwrap());
    assert!(admits(&known, Purpose::Register, "", Some(&mailbox), "198.51.100.1"));
    let lists = house.store.access_lists().await.unwrap();
    assert_eq!(
        lists.iter().map(|it| (it.purpose, it.list.to_string())).collect::<Vec<_>>(),
        [(Purpose::Register, "198.51.100.1".to_owned()), (Purpose::Call, String::new())]
    );
    let mut fresh = FollowedAccess::default();
    house.another().await.follow_access(&mut fresh).await.unwrap();
    assert_eq!(fresh.policy, known.policy);
}

async fn changes_made_at_once_are_all_followed(house: House) {
    let other = house.another_node().await;
    let mut known = FollowedAccess::default();
    let writing = async |store: &afterbeep::store::Store, who: &str| {
        for n in 0..10 {
            let scope = Scope::Tenant(format!("{who}{n}.example"));
            store.set_access_list(&scope, Purpose::Call, Some(&list("192.0.2.1")), NOW).await.unwrap();
        }
    };

    let following = async {
        for _ in 0..20 {
            house.store.follow_access(&mut known).await.unwrap();
        }
    };
    tokio::join!(writing(&house.store, "a"), writing(&other, "b"), following);
    house.store.follow_access(&mut known).await.unwrap();

    for who in ["a", "b"] {
        for n in 0..10 {
            assert!(known.policy.of(&Scope::Tenant(format!("{who}{n}.example")), Purpose::Call).is_some(), "{who}{n}");
        }
    }
}

async fn a_removed_mailbox_takes_its_lists_along(house: House) {
    let mailbox = house.mailbox("1001").await.id;
    house.store.set_access_list(&Scope::Mailbox(mailbox.clone()), Purpose::Call, Some(&list("::1")), NOW).await.unwrap();

    house.store.remove_mailbox(&mailbox, NOW).await.unwrap();

    assert_eq!(house.store.access_lists().await.unwrap(), []);
}

fn list(text: &str) -> AccessList {
    text.parse().unwrap()
}
