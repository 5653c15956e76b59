//! One recording to several mailboxes: whole, once each, whoever stops.

use std::time::Duration;

use afterbeep::{
    audio::wav,
    domain::{
        id::{MailboxId, SendingId},
        mailbox::Mailbox,
        message::Marks,
        rules,
        sending::{SendOutcome, SentKind},
    },
    store::{
        StoreError,
        distribution::NewList,
        mailbox::MailboxChange,
        outbox::Errand,
        sending::{Content, NewSending, Progress, Recipients, SendError},
    },
};

use super::{DAY, House, NOW, new_mailbox, on_both_databases};

on_both_databases! {
    a_recording_goes_to_mailboxes_and_lists_to_each_once
    a_forwarded_message_is_kept_once_until_the_last_of_them_goes
    an_introduction_is_heard_before_the_message_in_all_of_them
    a_private_message_and_one_that_is_gone_are_not_forwarded
    a_reply_names_the_message_it_answers
    mailboxes_that_are_full_or_gone_keep_it_from_nobody_else
    a_message_is_mailed_and_counted_as_any_other
    whatever_is_sent_twice_arrives_once
    a_message_that_was_deleted_does_not_come_back
    what_somebody_began_another_node_finishes
    a_broadcast_goes_to_everybody_of_the_tenant_who_is_in_use
    two_senders_at_once_do_not_overfill_a_mailbox
    nothing_is_sent_while_the_audio_store_is_down
    nobody_is_no_recipient
    a_mailbox_that_was_disabled_before_its_turn_gets_nothing
    what_was_delivered_is_forgotten_after_a_week
}

const PAUSE: Duration = rules::PAUSE_AFTER_INTRODUCTION;

async fn a_recording_goes_to_mailboxes_and_lists_to_each_once(house: House) {
    let [sender, one, two, three] = mailboxes(&house).await;
    let members = vec![sender.id.clone(), two.id.clone(), three.id.clone()];
    let list = NewList { tenant: String::new(), owner: None, number: "70".parse().unwrap(), name: String::new(), members };
    let list = house.store.create_list(&list, NOW).await.unwrap();
    let to = Recipients::These { mailboxes: vec![one.id.clone(), two.id.clone(), one.id.clone()], lists: vec![list.id] };
    let marks = Marks { urgent: true, private: true };
    let new = NewSending { to, marks, ..sending(&sender, SentKind::Sent, recording()) };

    house.store.send(new.clone(), NOW).await.unwrap();
    let progress = house.store.deliver(&new.id, NOW).await.unwrap();

    assert_eq!(progress, Progress { delivered: 3, ..Progress::default() });
    for mailbox in [&one, &two, &three] {
        let [message] = &house.store.messages(&mailbox.id, NOW).await.unwrap()[..] else { panic!("one message") };
        assert_eq!((message.caller.number.as_deref(), message.caller.name.as_deref()), (Some("1001"), Some("Ann Lee")));
        assert_eq!((message.deposited_at, message.expires_at), (NOW, NOW.after(rules::MESSAGE_LIFE)));
        assert_eq!((message.marks(), message.duration), (marks, Duration::from_secs(3)));
        let sent = message.sent.as_ref().unwrap();
        assert_eq!((sent.kind, &sent.sender, &sent.origin), (SentKind::Sent, &Some(sender.id.clone()), &None));
        assert_eq!(samples(&house, mailbox).await, recorded());
    }
    assert_eq!(house.store.counts(&sender.id, NOW).await.unwrap().total(), 0, "a list does not send to its sender");
    assert_eq!(house.audio_files().len(), 1);
}

async fn a_forwarded_message_is_kept_once_until_the_last_of_them_goes(house: House) {
    let [sender, one, two, _] = mailboxes(&house).await;
    let origin = house.deposit(&sender.id, NOW).await;
    let content = Content::Message { message: origin.id.clone(), introduction: None };
    let new = NewSending { to: these(&[&one, &two]), ..sending(&sender, SentKind::Forwarded, content) };
    house.store.send(new.clone(), NOW).await.unwrap();
    house.store.deliver(&new.id, NOW).await.unwrap();
    assert_eq!(house.audio_files().len(), 1);

    house.store.delete(&origin.id, 1, NOW).await.unwrap();

    let [first] = &house.store.messages(&one.id, NOW).await.unwrap()[..] else { panic!("one message") };
    assert_eq!(first.sent.as_ref().unwrap().origin, Some(origin.id));
    assert_eq!((&first.audio, first.duration), (&origin.audio, origin.duration));
    house.store.delete(&first.id, 1, NOW).await.unwrap();
    assert_eq!(samples(&house, &two).await.len(), 24_000, "the last one is whole");
    assert_eq!(house.store.expire(NOW.after(31 * DAY)).await.unwrap(), 1);
    assert!(house.audio_files().is_empty());
}

async fn an_introduction_is_heard_before_the_message_in_all_of_them(house: House) {
    let [sender, one, two, _] = mailboxes(&house).await;
    let origin = house.deposit(&sender.id, NOW).await;
    let heard = samples(&house, &sender).await;
    let introduction = Some(wav::from_samples(&recorded()));
    let content = Content::Message { message: origin.id.clone(), introduction };
    let new = NewSending { to: these(&[&one, &two]), ..sending(&sender, SentKind::Forwarded, content) };

    house.store.send(new.clone(), NOW).await.unwrap();
    house.store.deliver(&new.id, NOW).await.unwrap();

    let pause = vec![0; 8 * PAUSE.as_millis() as usize];
    for mailbox in [&one, &two] {
        assert_eq!(samples(&house, mailbox).await, [recorded(), pause.clone(), heard.clone()].concat());
        let [message] = &house.store.messages(&mailbox.id, NOW).await.unwrap()[..] else { panic!("one message") };
        assert_eq!(message.duration, Duration::from_secs(6) + PAUSE);
    }
    assert_eq!(house.audio_files().len(), 2);
}

async fn a_private_message_and_one_that_is_gone_are_not_forwarded(house: House) {
    let [sender, one, two, _] = mailboxes(&house).await;
    let private = NewSending {
        to: these(&[&one]),
        marks: Marks { urgent: false, private: true },
        ..sending(&sender, SentKind::Sent, recording())
    };
    house.store.send(private.clone(), NOW).await.unwrap();
    house.store.deliver(&private.id, NOW).await.unwrap();
    let private = house.store.messages(&one.id, NOW).await.unwrap().remove(0);
    let forward = |introduction: bool| {
        let introduction = introduction.then(|| wav::from_samples(&recorded()));
        let content = Content::Message { message: private.id.clone(), introduction };
        NewSending { to: these(&[&two]), ..sending(&one, SentKind::Forwarded, content) }
    };

    for introduction in [false, true] {
        assert!(matches!(house.store.send(forward(introduction), NOW).await, Err(SendError::Private)));
    }
    house.store.delete(&private.id, 1, NOW).await.unwrap();
    assert!(matches!(house.store.send(forward(true), NOW).await, Err(SendError::Gone)));

    assert!(house.store.sendings(9).await.unwrap().len() == 1, "only what was sent is noted");
    assert!(house.audio_files().is_empty());
    assert_eq!(house.store.counts(&two.id, NOW).await.unwrap().total(), 0);
}

async fn a_reply_names_the_message_it_answers(house: House) {
    let [sender, one, ..] = mailboxes(&house).await;
    let origin = house.deposit(&sender.id, NOW).await;
    let content = Content::Reply { to: origin.id.clone(), wav: wav::from_samples(&recorded()) };
    let new = NewSending { to: these(&[&one]), ..sending(&sender, SentKind::Reply, content) };

    house.store.send(new.clone(), NOW).await.unwrap();
    house.store.deliver(&new.id, NOW).await.unwrap();

    let [message] = &house.store.messages(&one.id, NOW).await.unwrap()[..] else { panic!("one message") };
    let sent = message.sent.as_ref().unwrap();
    assert_eq!((sent.kind, &sent.origin), (SentKind::Reply, &Some(origin.id)));
    assert_eq!(samples(&house, &one).await, recorded());
}

async fn mailboxes_that_are_full_or_gone_keep_it_from_nobody_else(house: House) {
    let [sender, open, full, gone] = mailboxes(&house).await;
    let disabled = house.mailbox("1009").await;
    house.crowd(&full.id, rules::MAILBOX_CAPACITY).await;
    house.store.remove_mailbox(&gone.id, NOW).await.unwrap();
    let off = MailboxChange { enabled: Some(false), ..MailboxChange::default() };
    house.store.update_mailbox(&disabled.id, off, NOW).await.unwrap();
    let to = these(&[&open, &full, &gone, &disabled]);
    let new = NewSending { to, ..sending(&sender, SentKind::Sent, recording()) };

    house.store.send(new.clone(), NOW).await.unwrap();
    let progress = house.store.deliver(&new.id, NOW).await.unwrap();

    assert_eq!(progress, Progress { waiting: 0, delivered: 1, full: 1, gone: 2 });
    let missed = house.store.missed(&new.id, 9).await.unwrap();
    let mut missed: Vec<_> = missed.into_iter().map(|it| (it.number.map(String::from), it.outcome)).collect();
    missed.sort_by_key(|(number, _)| number.clone());
    let expected =
        [(None, SendOutcome::Gone), (Some("1003".to_owned()), SendOutcome::Full), (Some("1009".to_owned()), SendOutcome::Gone)];
    assert_eq!(missed, expected);
    assert_eq!(house.store.counts(&disabled.id, NOW).await.unwrap().total(), 0);
}

async fn a_message_is_mailed_and_counted_as_any_other(house: House) {
    let [sender, one, ..] = mailboxes(&house).await;
    let on = MailboxChange { voice_to_email: Some(true), ..MailboxChange::default() };
    house.store.update_mailbox(&one.id, on, NOW).await.unwrap();
    house.crowd(&one.id, rules::MAILBOX_CAPACITY / 10 * 9 - 1).await;
    let before = house.store.list_outbox().await.unwrap().len();
    let new = NewSending { to: these(&[&one]), ..sending(&sender, SentKind::Sent, recording()) };

    house.store.send(new.clone(), NOW).await.unwrap();
    house.store.deliver(&new.id, NOW).await.unwrap();

    let errands: Vec<Errand> = house.store.list_outbox().await.unwrap().into_iter().map(|item| item.errand).collect();
    let message = house.store.messages(&one.id, NOW).await.unwrap().into_iter().find(|it| it.sent.is_some()).unwrap();
    assert_eq!(errands.len(), before + 2);
    assert!(errands.contains(&Errand::Message { message: message.id }));
    assert!(errands.contains(&Errand::Fullness { held: 270 }));
}

async fn whatever_is_sent_twice_arrives_once(house: House) {
    let [sender, one, two, _] = mailboxes(&house).await;
    let new = NewSending { to: these(&[&one, &two]), ..sending(&sender, SentKind::Sent, recording()) };
    let another = house.another().await;

    let (first, second) = tokio::join!(house.store.send(new.clone(), NOW), another.send(new.clone(), NOW));
    first.and(second).unwrap();
    let (first, second) = tokio::join!(house.store.deliver(&new.id, NOW), another.deliver(&new.id, NOW));

    first.and(second).unwrap();
    assert_eq!(house.store.deliver(&new.id, NOW).await.unwrap(), Progress { delivered: 2, ..Progress::default() });
    for mailbox in [&one, &two] {
        assert_eq!(house.store.counts(&mailbox.id, NOW).await.unwrap().total(), 1);
    }
    assert_eq!(house.audio_files().len(), 1);
}

async fn a_message_that_was_deleted_does_not_come_back(house: House) {
    let [sender, one, ..] = mailboxes(&house).await;
    let new = NewSending { to: these(&[&one]), ..sending(&sender, SentKind::Sent, recording()) };
    house.store.send(new.clone(), NOW).await.unwrap();
    house.store.deliver(&new.id, NOW).await.unwrap();
    let message = house.store.messages(&one.id, NOW).await.unwrap().remove(0);
    house.store.delete(&message.id, 1, NOW).await.unwrap();

    // As if its outcome had not been noted.
    house.sql("UPDATE sending_recipients SET outcome = NULL").await;
    house.store.deliver(&new.id, NOW).await.unwrap();

    assert_eq!(house.store.counts(&one.id, NOW).await.unwrap().total(), 0);
    assert!(house.audio_files().is_empty());
}

async fn what_somebody_began_another_node_finishes(house: House) {
    let [sender, one, two, _] = mailboxes(&house).await;
    let new = NewSending { to: these(&[&one, &two]), ..sending(&sender, SentKind::Sent, recording()) };
    house.store.send(new.clone(), NOW).await.unwrap();
    let another = house.another_node().await;

    assert_eq!(another.deliver_sendings(NOW.after(Duration::from_secs(59))).await.unwrap(), 0, "it is its sender's");
    assert_eq!(another.deliver_sendings(NOW.after(Duration::from_secs(60))).await.unwrap(), 1);

    assert_eq!(another.deliver_sendings(NOW.after(DAY)).await.unwrap(), 0);
    assert_eq!(house.store.progress(&new.id).await.unwrap(), Progress { delivered: 2, ..Progress::default() });
    assert_eq!(samples(&house, &two).await, recorded());
}

async fn a_broadcast_goes_to_everybody_of_the_tenant_who_is_in_use(house: House) {
    let [sender, ..] = mailboxes(&house).await;
    house.add_mailboxes(101).await;
    let mut other = new_mailbox("1002");
    other.tenant = "other.example".to_owned();
    let other = house.store.create_mailbox(other, NOW).await.unwrap();
    let disabled = house.mailbox("1009").await;
    let off = MailboxChange { enabled: Some(false), ..MailboxChange::default() };
    house.store.update_mailbox(&disabled.id, off, NOW).await.unwrap();
    let to = Recipients::Everybody { tenant: String::new() };
    let new = NewSending { to, ..sending(&sender, SentKind::Broadcast, recording()) };

    house.store.send(new.clone(), NOW).await.unwrap();
    // Nobody waits for it: whoever looks for something to deliver has it at once.
    assert_eq!(house.store.deliver_sendings(NOW).await.unwrap(), 1);

    assert_eq!(house.store.progress(&new.id).await.unwrap(), Progress { delivered: 103, ..Progress::default() });
    for untouched in [&sender, &other, &disabled] {
        assert_eq!(house.store.counts(&untouched.id, NOW).await.unwrap().total(), 0);
    }
    assert_eq!(house.audio_files().len(), 1);
}

async fn two_senders_at_once_do_not_overfill_a_mailbox(house: House) {
    let [sender, one, two, _] = mailboxes(&house).await;
    house.crowd(&one.id, rules::MAILBOX_CAPACITY - 1).await;
    let another = house.another_node().await;
    let [first, second] = [&sender, &two].map(|it| NewSending { to: these(&[&one]), ..sending(it, SentKind::Sent, recording()) });

    house.store.send(first.clone(), NOW).await.unwrap();
    another.send(second.clone(), NOW).await.unwrap();
    let (first, second) = tokio::join!(house.store.deliver(&first.id, NOW), another.deliver(&second.id, NOW));

    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!((first.delivered + second.delivered, first.full + second.full), (1, 1));
    assert_eq!(house.store.counts(&one.id, NOW).await.unwrap().total(), rules::MAILBOX_CAPACITY);
}

async fn nothing_is_sent_while_the_audio_store_is_down(house: House) {
    let [sender, one, ..] = mailboxes(&house).await;
    let new = NewSending { to: these(&[&one]), ..sending(&sender, SentKind::Sent, recording()) };
    house.audio.set_down(true);

    let sent = house.store.send(new.clone(), NOW).await;

    assert!(matches!(sent, Err(SendError::Store(StoreError::Audio(_)))));
    house.audio.set_down(false);
    house.store.send(new.clone(), NOW).await.unwrap();
    assert_eq!(house.store.deliver(&new.id, NOW).await.unwrap().delivered, 1);
}

async fn nobody_is_no_recipient(house: House) {
    let [sender, ..] = mailboxes(&house).await;
    let tenant = "empty.example".to_owned();

    for to in [these(&[]), Recipients::Everybody { tenant }] {
        let new = NewSending { to, ..sending(&sender, SentKind::Sent, recording()) };
        assert!(matches!(house.store.send(new, NOW).await, Err(SendError::Nobody)));
    }

    assert!(house.audio_files().is_empty());
}

async fn a_mailbox_that_was_disabled_before_its_turn_gets_nothing(house: House) {
    let [sender, one, two, ..] = mailboxes(&house).await;
    let new = NewSending { to: these(&[&one, &two]), ..sending(&sender, SentKind::Sent, recording()) };
    house.store.send(new.clone(), NOW).await.unwrap();
    let off = MailboxChange { enabled: Some(false), ..MailboxChange::default() };
    house.store.update_mailbox(&one.id, off, NOW).await.unwrap();

    let progress = house.store.deliver(&new.id, NOW).await.unwrap();

    assert_eq!(progress, Progress { delivered: 1, gone: 1, ..Progress::default() });
    assert_eq!(house.store.counts(&one.id, NOW).await.unwrap().total(), 0);
}

async fn what_was_delivered_is_forgotten_after_a_week(house: House) {
    let [sender, one, ..] = mailboxes(&house).await;
    let [delivered, waiting] = [0, 1].map(|_| NewSending { to: these(&[&one]), ..sending(&sender, SentKind::Sent, recording()) });
    for new in [&delivered, &waiting] {
        house.store.send(new.clone(), NOW).await.unwrap();
    }
    house.store.deliver(&delivered.id, NOW).await.unwrap();

    house.store.sweep_orphans(NOW.after(8 * DAY), DAY).await.unwrap();

    let left: Vec<SendingId> = house.store.sendings(9).await.unwrap().into_iter().map(|it| it.id).collect();
    assert_eq!(left, [waiting.id], "what is still to be delivered stays");
}

/// 1001 to 1004.
async fn mailboxes(house: &House) -> [Mailbox; 4] {
    [house.mailbox("1001").await, house.mailbox("1002").await, house.mailbox("1003").await, house.mailbox("1004").await]
}

fn sending(sender: &Mailbox, kind: SentKind, content: Content) -> NewSending {
    NewSending {
        id: SendingId::random(),
        kind,
        sender: Some(sender.id.clone()),
        to: these(&[]),
        content,
        marks: Marks::default(),
    }
}

fn these(mailboxes: &[&Mailbox]) -> Recipients {
    let mailboxes: Vec<MailboxId> = mailboxes.iter().map(|mailbox| mailbox.id.clone()).collect();
    Recipients::These { mailboxes, lists: vec![] }
}

/// Three seconds.
fn recorded() -> Vec<i16> {
    (0..24_000).map(|at| (at % 251) as i16).collect()
}

fn recording() -> Content {
    Content::Recording(wav::from_samples(&recorded()))
}

/// What is heard of the only message of a mailbox.
async fn samples(house: &House, mailbox: &Mailbox) -> Vec<i16> {
    let [message] = &house.store.messages(&mailbox.id, NOW).await.unwrap()[..] else { panic!("one message") };
    wav::read(&house.store.audio(&message.audio).await.unwrap(), rules::LONGEST_FORWARDED).unwrap()
}
