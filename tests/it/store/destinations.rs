//! Where subscribers may call back, and calls back that are counted.

use std::time::Duration;

use afterbeep::{
    domain::{
        access::Scope,
        destination::{Calls, Destinations, E164, Refusal},
        rules,
    },
    store::destination::{CallBackState, TransferChange, TransferSettings},
};
use futures_util::future::join_all;

use super::{DAY, House, NOW, on_both_databases};

on_both_databases! {
    what_a_mailbox_may_is_nothing_until_it_is_changed
    lists_are_kept_for_tenants_and_mailboxes_and_go_with_the_mailbox
    changes_at_once_do_not_undo_each_other
    calls_back_are_counted_for_an_hour_a_day_and_until_they_end
    of_calls_back_at_once_only_so_many_are_made_as_may_be
}

async fn what_a_mailbox_may_is_nothing_until_it_is_changed(house: House) {
    let mailbox = house.mailbox("1001").await;
    let other = house.mailbox("1002").await;
    assert_eq!(house.store.transfer_settings(&mailbox.id).await.unwrap(), TransferSettings::default());

    let operator = TransferChange { operator: Some(Some("100".to_owned())), call_back: None };
    house.store.change_transfer_settings(&mailbox.id, operator).await.unwrap();
    house.store.change_transfer_settings(&mailbox.id, TransferChange { operator: None, call_back: Some(true) }).await.unwrap();

    let both = TransferSettings { operator: Some("100".to_owned()), call_back: true };
    assert_eq!(house.store.transfer_settings(&mailbox.id).await.unwrap(), both);
    assert_eq!(house.store.transfer_settings(&other.id).await.unwrap(), TransferSettings::default());
    house.store.change_transfer_settings(&mailbox.id, TransferChange { operator: Some(None), call_back: None }).await.unwrap();
    assert_eq!(house.store.transfer_settings(&mailbox.id).await.unwrap().operator, None);
}

async fn lists_are_kept_for_tenants_and_mailboxes_and_go_with_the_mailbox(house: House) {
    let mailbox = house.mailbox("1001").await;
    let (tenant, own) = (Scope::Tenant("a.example".to_owned()), Scope::Mailbox(mailbox.id.clone()));
    let change = TransferChange { operator: None, call_back: Some(true) };
    house.store.change_transfer_settings(&mailbox.id, change).await.unwrap();

    allow(&house, &tenant, "+33").await;
    allow(&house, &tenant, "+44").await;
    allow(&house, &own, "+1").await;
    let off = |list: Destinations| list.without(&"+44".parse().unwrap()).ok_or(());
    house.store.change_destinations(&tenant, NOW, off).await.unwrap().unwrap();
    assert_eq!(house.store.change_destinations(&tenant, NOW, off).await.unwrap(), Err(()));

    assert_eq!(house.store.destinations(&tenant).await.unwrap(), list(&["+33"]));
    let kept = house.store.all_destinations().await.unwrap();
    assert_eq!(kept.into_iter().map(|it| it.scope).collect::<Vec<_>>(), [tenant, own.clone()]);
    let state = house.store.call_back_state(&mailbox, NOW).await.unwrap();
    assert_eq!((state.mailbox_allows, &state.lists.mailbox), (true, &list(&["+1"])));
    assert_eq!(state.lists.tenant, Destinations::default(), "it is another tenant's mailbox");

    house.store.remove_mailbox(&mailbox.id, NOW).await.unwrap();
    assert_eq!(house.store.destinations(&own).await.unwrap(), Destinations::default());
}

async fn changes_at_once_do_not_undo_each_other(house: House) {
    let (mailbox, tenant) = (house.mailbox("1001").await.id, Scope::Tenant("a.example".to_owned()));
    let prefixes: Vec<String> = (30..50).map(|code| format!("+{code}")).collect();

    join_all(prefixes.iter().map(|prefix| allow(&house, &tenant, prefix))).await;
    for number in ["100", "101", "102"] {
        let operator = TransferChange { operator: Some(Some(number.to_owned())), call_back: None };
        let (one, two) = tokio::join!(
            house.store.change_transfer_settings(&mailbox, operator),
            house.store.change_transfer_settings(&mailbox, TransferChange { operator: None, call_back: Some(true) }),
        );
        one.unwrap();
        two.unwrap();
        let both = TransferSettings { operator: Some(number.to_owned()), call_back: true };
        assert_eq!(house.store.transfer_settings(&mailbox).await.unwrap(), both);
        let neither = TransferChange { operator: Some(None), call_back: Some(false) };
        house.store.change_transfer_settings(&mailbox, neither).await.unwrap();
    }

    assert_eq!(house.store.destinations(&tenant).await.unwrap().entries().count(), prefixes.len());
}

async fn allow(house: &House, scope: &Scope, prefix: &str) {
    let enter = |list: Destinations| list.with(prefix.parse().unwrap(), true);
    house.store.change_destinations(scope, NOW, enter).await.unwrap().unwrap();
}

async fn calls_back_are_counted_for_an_hour_a_day_and_until_they_end(house: House) {
    let (mailbox, other) = (house.mailbox("1001").await, house.mailbox("1002").await);
    let counted = async |at| {
        let state = house.store.call_back_state(&mailbox, at).await.unwrap();
        let shown = |calls: Calls| (calls.an_hour, calls.a_day, calls.at_once);
        (shown(state.of_mailbox), shown(state.of_service))
    };

    let (first, _) = house.store.begin_call_back(&mailbox, NOW, |_| Ok(number())).await.unwrap().unwrap();
    house.store.begin_call_back(&other, NOW, |_| Ok(number())).await.unwrap().unwrap();
    let refused = house.store.begin_call_back(&mailbox, NOW, |_| Err(Refusal::NotListed)).await.unwrap();

    assert_eq!(refused.map(|_| ()), Err(Refusal::NotListed));
    assert_eq!(counted(NOW).await, ((1, 1, 1), (2, 2, 2)));
    house.store.end_call_back(&first, NOW).await.unwrap();
    assert_eq!(counted(NOW).await, ((1, 1, 0), (2, 2, 1)));
    // What a server that stopped dead has not ended is over some time.
    assert_eq!(counted(NOW.after(rules::LONGEST_TRANSFER)).await, ((1, 1, 0), (2, 2, 0)));
    assert_eq!(counted(NOW.after(rules::CALL_BACK_HOUR)).await, ((0, 1, 0), (0, 2, 0)));
    assert_eq!(counted(NOW.after(DAY - Duration::from_millis(1))).await, ((0, 1, 0), (0, 2, 0)));
    assert_eq!(counted(NOW.after(DAY)).await, ((0, 0, 0), (0, 0, 0)));
}

async fn of_calls_back_at_once_only_so_many_are_made_as_may_be(house: House) {
    let (mailbox, node) = (house.mailbox("1001").await, house.another_node().await);
    let may = |state: &CallBackState| if state.of_mailbox.an_hour < 5 { Ok(number()) } else { Err(Refusal::NotListed) };

    let both = [house.store.clone(), node];
    let attempts = (0..20).map(|n| {
        let (store, mailbox) = (both[n % 2].clone(), mailbox.clone());
        async move { store.begin_call_back(&mailbox, NOW, may).await.unwrap().is_ok() }
    });
    let made = join_all(attempts).await.into_iter().filter(|made| *made).count();

    assert_eq!(made, 5);
}

fn number() -> E164 {
    E164::of("+442079460123").unwrap()
}

fn list(prefixes: &[&str]) -> Destinations {
    prefixes.iter().fold(Destinations::default(), |list, prefix| list.with(prefix.parse().unwrap(), true).unwrap())
}
