//! The menu after a message.

use super::{
    Retrieval, State, at, changing,
    list::List,
    open,
    playing::{self, envelope},
    sending,
};
use crate::{
    domain::{message::Folder, rules},
    ivr::{
        Input, Item, PromptId,
        asking::Asking,
        keymap::{self, AfterAction, Digit, Meaning},
        login::Subscriber,
        options::Options,
        phrase::{self, say},
        session::{Call, Moment},
        transfer::CallBack,
    },
};

pub(super) fn offer_after_hearing(who: Subscriber, list: List, call: &mut Call) -> Moment {
    let preface = if list.current().interrupted { say([PromptId::EndMissing]) } else { vec![] };
    offer(who, list, preface, call)
}

pub(super) fn offer(who: Subscriber, list: List, preface: Vec<Item>, call: &mut Call) -> Moment {
    let is_last = list.is_at_last();
    let menu = message_menu(call, &who, &list, |action| match action {
        AfterAction::DeleteOrRestore | AfterAction::Save | AfterAction::Help => true,
        AfterAction::Next => !is_last,
        AfterAction::MainMenu => is_last,
        AfterAction::Repeat
        | AfterAction::Previous
        | AfterAction::Envelope
        | AfterAction::KeepAsNew
        | AfterAction::Forward
        | AfterAction::Reply
        | AfterAction::KeptUntil
        | AfterAction::Mail
        | AfterAction::DeleteAndBlock
        | AfterAction::HearNew
        | AfterAction::HearSaved
        | AfterAction::Options
        | AfterAction::CallBack => false,
    });
    let asking = Asking::begin(call, preface, menu);
    at(who, State::After { list, asking })
}

fn message_menu(call: &Call, who: &Subscriber, list: &List, told: impl Fn(AfterAction) -> bool) -> Vec<Item> {
    let can = |action| match action {
        AfterAction::CallBack => who.mailbox.call_back,
        AfterAction::Forward => !list.current().private,
        AfterAction::DeleteAndBlock => list.current().caller.number.is_some(),
        _ => true,
    };
    let mut menu = keymap::tell(call.keys().after, |action| can(action) && (told(action) || call.tells_all()));
    if list.current().deleted_at.is_some() {
        for item in &mut menu {
            if *item == Item::Prompt(PromptId::ToDelete) {
                *item = Item::Prompt(PromptId::ToRestore);
            }
        }
    }
    menu
}

pub(super) fn after(who: Subscriber, list: List, asking: Asking, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Digit(digit) => key(who, list, asking, digit, call),
        Input::PlaybackDone | Input::PlaybackFailed => at(who, State::After { list, asking: asking.silent() }),
        Input::Timeout => match asking.nothing_came(call) {
            Some(asking) => at(who, State::After { list, asking }),
            None => Retrieval::leave(call, who),
        },
        Input::Hangup => Retrieval::leave(call, who),
        Input::RecordingDone { .. } | Input::Answer(_) => at(who, State::After { list, asking }),
    }
}

fn key(who: Subscriber, list: List, asking: Asking, digit: Digit, call: &mut Call) -> Moment {
    match call.key(call.keys().after, digit) {
        Meaning::Does(AfterAction::DeleteOrRestore) => changing::delete_or_restore(who, list, call),
        Meaning::Does(AfterAction::Save) => changing::save(who, list, call),
        Meaning::Does(AfterAction::KeepAsNew) => changing::keep_as_new(who, list, call),
        Meaning::Does(AfterAction::Forward) => sending::forward(who, list, call),
        Meaning::Does(AfterAction::Reply) => sending::reply(who, list, call),
        Meaning::Does(AfterAction::Next) => playing::next(who, list, call),
        Meaning::Does(AfterAction::Repeat) => playing::repeat(who, list, call),
        Meaning::Does(AfterAction::Previous) => playing::previous(who, list, call),
        Meaning::Does(AfterAction::Envelope) => {
            let items = envelope(call, &who, &list);
            at(who, State::After { list, asking: asking.repeat(call, items) })
        }
        Meaning::Does(AfterAction::KeptUntil) => {
            let message = list.current();
            let end = message.deleted_at.map_or(message.expires_at, |at| message.expires_at.min(rules::end_in_deleted_list(at)));
            let items = phrase::kept_until(call.language(), end, who.mailbox.time_zone);
            at(who, State::After { list, asking: asking.repeat(call, items) })
        }
        Meaning::Does(AfterAction::Mail) => changing::mail(who, list, call),
        Meaning::Does(AfterAction::DeleteAndBlock) => changing::delete_and_block(who, list, call),
        Meaning::Does(AfterAction::HearNew) => open(who, Folder::New, call),
        Meaning::Does(AfterAction::HearSaved) => open(who, Folder::Saved, call),
        Meaning::Does(AfterAction::Options) => Options::begin(call, who),
        Meaning::Does(AfterAction::CallBack) => CallBack::begin(call, who, list),
        Meaning::Does(AfterAction::Help) => {
            let asking = Asking::begin(call, vec![], message_menu(call, &who, &list, |action| action != AfterAction::Help));
            at(who, State::After { list, asking })
        }
        Meaning::Does(AfterAction::MainMenu) => Retrieval::begin(call, who, vec![]),
        Meaning::Begins => at(who, State::After { list, asking: asking.silent() }),
        Meaning::Nothing => at(who, State::After { list, asking: asking.repeat(call, say([PromptId::InvalidChoice])) }),
    }
}
