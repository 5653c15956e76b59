//! What a subscriber sends from the menus, and which of their mailboxes is open.

use super::{List, Retrieval, State, after, at, part_for};
use crate::ivr::{
    Answer, Input, MailboxView,
    compose::{self, Compose},
    login::Subscriber,
    phrase,
    session::{Call, Moment},
    shared::{self, Choice},
};

/// Forwards the current message.
pub(super) fn forward(who: Subscriber, list: List, call: &mut Call) -> Moment {
    let step = Compose::forward(call, &who, list.current());
    compose(who, Some(list), step, call)
}

/// Replies to the current message.
pub(super) fn reply(who: Subscriber, list: List, call: &mut Call) -> Moment {
    let step = Compose::reply(call, &who, list.current());
    compose(who, Some(list), step, call)
}

/// Goes on with a message to other mailboxes that was begun at a message of the list, or in the main menu.
pub(super) fn compose(who: Subscriber, list: Option<List>, step: compose::Step, call: &mut Call) -> Moment {
    match step {
        compose::Step::More(compose) => at(who, State::Composing { list, compose }),
        compose::Step::Done(compose::Outcome::Said(items)) => match list {
            Some(list) => after::offer(who, list, items, call),
            None => Retrieval::begin(call, who, items),
        },
        compose::Step::Done(compose::Outcome::Silence) => Retrieval::leave(call, who),
        compose::Step::Done(compose::Outcome::MailboxGone) => part_for(Answer::MailboxGone, call),
    }
}

pub(super) fn composing(mut who: Subscriber, list: Option<List>, compose: Compose, input: Input, call: &mut Call) -> Moment {
    let step = compose.step(input, &mut who, call);
    self::compose(who, list, step, call)
}

pub(super) fn choosing(who: Subscriber, choice: Choice, input: Input, call: &mut Call) -> Moment {
    match choice.step(input, call) {
        shared::Step::More(choice) => at(who, State::Choosing(choice)),
        shared::Step::Done(shared::Outcome::Opened(view)) => opened(who, *view, call),
        shared::Step::Done(shared::Outcome::Stayed(items)) => Retrieval::begin(call, who, items),
        shared::Step::Done(shared::Outcome::Silence) => Retrieval::leave(call, who),
        shared::Step::Done(shared::Outcome::MailboxGone) => part_for(Answer::MailboxGone, call),
    }
}

/// Goes on in another mailbox. Keys and language stay those of whoever is logged in.
fn opened(mut who: Subscriber, mailbox: MailboxView, call: &mut Call) -> Moment {
    let items = phrase::in_mailbox(call.language(), &mailbox.number, mailbox.spoken_name.as_ref());
    if who.own().id == mailbox.id {
        who.own = None;
    } else if who.own.is_none() {
        who.own = Some(Box::new(who.mailbox));
    }
    who.mailbox = mailbox;
    Retrieval::begin(call, who, items)
}
