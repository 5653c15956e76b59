//! What is done with the current message: noted as heard, saved, kept as new, deleted, restored.
//!
//! A change names the version that was heard. Whoever was quicker is not overruled without the subscriber: a change that
//! contradicts nothing is tried once more, any other is said not to be done.

use super::{Retrieval, State, after, at, list::List, part_for, playing};
use crate::{
    domain::message::Message,
    ivr::{
        Answer, Digits, Effect, Input, Item, PromptId, Question,
        login::Subscriber,
        phrase::say,
        session::{Call, Moment},
    },
};

/// What is being done with the current message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It was heard to its end.
    Heard,
    Save,
    KeepAsNew,
    Delete,
    /// Taken out of the deleted list, for what follows.
    Restore(Then),
    /// Sent to the mailbox's address.
    Mail,
    /// Its caller is blocked, then it is deleted.
    Block,
    /// Its caller has been blocked.
    DeleteBlocked,
}

/// What follows a restored message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Nothing,
    Save,
    KeepAsNew,
}

pub(super) fn delete_or_restore(who: Subscriber, list: List, call: &mut Call) -> Moment {
    let change = if list.current().deleted_at.is_some() { Change::Restore(Then::Nothing) } else { Change::Delete };
    begin(who, list, change, call)
}

/// Saves the message; a deleted one is restored first.
pub(super) fn save(who: Subscriber, list: List, call: &mut Call) -> Moment {
    let change = if list.current().deleted_at.is_some() { Change::Restore(Then::Save) } else { Change::Save };
    begin(who, list, change, call)
}

/// Puts the message back among the new ones; a deleted one is restored first.
pub(super) fn keep_as_new(who: Subscriber, list: List, call: &mut Call) -> Moment {
    let change = if list.current().deleted_at.is_some() { Change::Restore(Then::KeepAsNew) } else { Change::KeepAsNew };
    begin(who, list, change, call)
}

pub(super) fn mail(who: Subscriber, list: List, call: &mut Call) -> Moment {
    begin(who, list, Change::Mail, call)
}

/// Blocks the caller, and deletes the message unless it is deleted already.
pub(super) fn delete_and_block(who: Subscriber, list: List, call: &mut Call) -> Moment {
    if list.current().caller.number.is_none() {
        return after::offer(who, list, say([PromptId::CannotBlock]), call);
    }
    begin(who, list, Change::Block, call)
}

pub(super) fn begin(who: Subscriber, list: List, change: Change, call: &mut Call) -> Moment {
    if change != Change::Heard {
        call.effect(Effect::StopPlaying);
    }
    ask(change, &who, list.current(), call);
    at(who, State::Changing { list, change, retried: false })
}

fn ask(change: Change, who: &Subscriber, message: &Message, call: &mut Call) {
    let (id, version) = (message.id.clone(), message.version);
    call.ask(match change {
        Change::Heard => Question::MarkHeard(id, version),
        Change::Save => Question::Save(id, version),
        Change::KeepAsNew => Question::KeepAsNew(id, version),
        Change::Delete | Change::DeleteBlocked => Question::Delete(id, version),
        Change::Mail => Question::Mail(id),
        Change::Block => Question::BlockCaller(who.mailbox.id.clone(), Digits(message.caller.number.clone().unwrap_or_default())),
        Change::Restore(_) => Question::Restore(id, version),
    });
}

pub(super) fn changing(who: Subscriber, mut list: List, change: Change, retried: bool, input: Input, call: &mut Call) -> Moment {
    match input {
        Input::Answer(Answer::Changed(message)) => {
            list.replace_current(*message);
            done(who, list, change, call)
        }
        Input::Answer(Answer::Conflict(Some(message))) => {
            let agrees = agrees(change, list.current(), &message);
            list.replace_current(*message);
            match agrees {
                Agrees::IsDone => done(who, list, change, call),
                Agrees::Yes if !retried => {
                    ask(change, &who, list.current(), call);
                    at(who, State::Changing { list, change, retried: true })
                }
                Agrees::Yes | Agrees::No => not_done(who, list, change, say([PromptId::NotDone]), call),
            }
        }
        Input::Answer(Answer::Conflict(None)) => gone(who, list, call),
        Input::Answer(Answer::MailboxGone) => part_for(Answer::MailboxGone, call),
        Input::Answer(Answer::Done) if matches!(change, Change::Mail | Change::Block) => done(who, list, change, call),
        Input::Answer(Answer::NoMailAddress) => not_done(who, list, change, say([PromptId::NoMailAddress]), call),
        Input::Answer(Answer::MailboxFull) => not_done(who, list, change, say([PromptId::CannotRestore]), call),
        Input::Answer(_) => not_done(who, list, change, say([PromptId::NotDone]), call),
        Input::Timeout => {
            call.excuse();
            at(who, State::Changing { list, change, retried })
        }
        Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
            at(who, State::Changing { list, change, retried })
        }
    }
}

/// How a change goes together with what somebody else did meanwhile.
enum Agrees {
    /// It is what they did.
    IsDone,
    /// Neither contradicts the other.
    Yes,
    No,
}

fn agrees(change: Change, before: &Message, now: &Message) -> Agrees {
    match change {
        Change::Heard if now.heard_at.is_some() => Agrees::IsDone,
        // The message that was to be restored is in its mailbox.
        Change::Restore(_) if now.deleted_at.is_none() => Agrees::IsDone,
        // It was saved by somebody who wants to keep it.
        Change::Delete | Change::DeleteBlocked if now.saved_at != before.saved_at => Agrees::No,
        Change::Heard
        | Change::Save
        | Change::KeepAsNew
        | Change::Delete
        | Change::Restore(_)
        | Change::Mail
        | Change::Block
        | Change::DeleteBlocked => Agrees::Yes,
    }
}

fn done(who: Subscriber, list: List, change: Change, call: &mut Call) -> Moment {
    let said = match change {
        Change::Heard => return after::offer_after_hearing(who, list, call),
        Change::Restore(Then::Save) => return begin(who, list, Change::Save, call),
        Change::Restore(Then::KeepAsNew) => return begin(who, list, Change::KeepAsNew, call),
        Change::Block if list.current().deleted_at.is_none() => return begin(who, list, Change::DeleteBlocked, call),
        Change::Block => PromptId::CallerBlocked,
        Change::DeleteBlocked => {
            return after::offer(who, list, say([PromptId::CallerBlocked, PromptId::MessageDeleted]), call);
        }
        Change::Mail => PromptId::MailIsSent,
        Change::Save => PromptId::MessageSaved,
        Change::KeepAsNew => PromptId::KeptAsNew,
        Change::Delete => PromptId::MessageDeleted,
        Change::Restore(Then::Nothing) => PromptId::MessageRestored,
    };
    after::offer(who, list, say([said]), call)
}

fn not_done(who: Subscriber, list: List, change: Change, why: Vec<Item>, call: &mut Call) -> Moment {
    match change {
        // It stays new; nobody has to be told.
        Change::Heard => after::offer_after_hearing(who, list, call),
        // That much is done.
        Change::DeleteBlocked => after::offer(who, list, [say([PromptId::CallerBlocked]), why].concat(), call),
        Change::Save | Change::KeepAsNew | Change::Delete | Change::Restore(_) | Change::Mail | Change::Block => {
            after::offer(who, list, why, call)
        }
    }
}

/// The current message was deleted by somebody else.
fn gone(who: Subscriber, mut list: List, call: &mut Call) -> Moment {
    let preface = say([PromptId::MessageGone]);
    let turns = list.turns_after().is_some();
    match list.forget_current() {
        false => Retrieval::begin(call, who, preface),
        true if turns => playing::next_after(preface, who, list, call),
        true => playing::introduce_after(preface, who, list, PromptId::NextMessage, call),
    }
}
