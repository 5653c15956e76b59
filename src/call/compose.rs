//! Messages between mailboxes, as the store carries them out for a call: whom a number stands for, whom a reply goes to, sending.

use std::{error::Error, sync::Arc, time::Duration};

use tokio::time::timeout;
use tracing::{error, info};

use super::{Calls, explain, tape::Tape};
use crate::{
    domain::{
        dialling::DialRule,
        id::{MailboxId, MessageId, SendingId},
        mailbox::Mailbox,
        sending::SentKind,
    },
    ivr::{Addressee, Answer, Letter, Missed, SendReport, To},
    store::{
        Store, StoreError,
        sending::{Content, NewSending, Recipients, SendError},
    },
};

/// How long a caller waits for the confirmation. What is not delivered by then is delivered all the same.
const DELIVERING: Duration = Duration::from_secs(8);
/// How many mailboxes that did not get a message are told.
const TOLD: u32 = 20;

/// Whom a number typed by a subscriber stands for: only mailboxes in use and lists of the same tenant. It may be written otherwise than it
/// was typed, as at a call to it.
///
/// # Errors
///
/// [`StoreError`] when the store cannot say.
pub async fn find_addressee(
    store: &Store,
    sender: &MailboxId,
    number: &str,
    rule: Option<&DialRule>,
) -> Result<Answer, StoreError> {
    let Some(sender) = store.mailbox(sender).await? else { return Ok(Answer::MailboxGone) };
    let forms = explain::forms(number, rule);
    if let Some(mailbox) = find(store, &sender.tenant, &forms).await? {
        return Ok(Answer::Addressee(addressee(mailbox)));
    }
    for form in &forms {
        if let Some(list) = store.find_list(&sender.tenant, Some(&sender.id), form).await? {
            return Ok(Answer::Addressee(Some(Addressee::List { id: list.id, number: list.number })));
        }
    }
    Ok(Answer::Addressee(None))
}

/// The mailbox of a tenant that a number means, by the first of these ways of writing it that is one's.
async fn find(store: &Store, tenant: &str, forms: &[String]) -> Result<Option<Mailbox>, StoreError> {
    for form in forms {
        if let Some(mailbox) = store.find_mailbox(tenant, form).await? {
            return Ok(Some(mailbox));
        }
    }
    Ok(None)
}

/// Whom a reply to a message goes to: the mailbox that sent it, or the caller's, if somebody vouched for the caller's number.
///
/// # Errors
///
/// [`StoreError`] when the store cannot say.
pub async fn find_sender(calls: &Calls, message: &MessageId, rule: Option<&DialRule>) -> Result<Answer, StoreError> {
    let store = &calls.store;
    let Some(message) = store.message(message, (calls.now)()).await? else { return Ok(Answer::Conflict(None)) };
    let sender = match (message.sent, message.caller.number) {
        (Some(sent), _) => match sent.sender {
            Some(sender) => store.mailbox(&sender).await?,
            None => None,
        },
        (None, Some(number)) if message.caller_verified => match store.mailbox(&message.mailbox).await? {
            Some(mailbox) => find(store, &mailbox.tenant, &explain::stored_forms(&number, rule)).await?,
            None => return Ok(Answer::MailboxGone),
        },
        (None, _) => None,
    };
    Ok(Answer::Addressee(sender.and_then(addressee)))
}

fn addressee(mailbox: Mailbox) -> Option<Addressee> {
    let Mailbox { id, number, spoken_name, enabled, .. } = mailbox;
    enabled.then_some(Addressee::Mailbox { id, number, spoken_name })
}

/// Sends a message, and says to whom it went. It has time limits of its own: it must not be dropped half-way.
pub async fn send(calls: &Arc<Calls>, letter: Letter, recording: Option<(Tape, Duration)>) -> Answer {
    match try_to_send(calls, letter, recording).await {
        Ok(report) => Answer::Sent(report),
        Err(SendError::Private) => Answer::IsPrivate,
        Err(SendError::Gone) => Answer::Conflict(None),
        Err(SendError::Nobody) => Answer::NobodyThere,
        Err(error @ (SendError::Unfit(_) | SendError::Store(_))) => {
            error!(error = &error as &dyn Error, "a message to other mailboxes is not sent");
            Answer::Failed
        }
    }
}

async fn try_to_send(calls: &Arc<Calls>, letter: Letter, recording: Option<(Tape, Duration)>) -> Result<SendReport, SendError> {
    let (store, now) = (&calls.store, (calls.now)());
    let sender = store.mailbox(&letter.sender).await?.filter(|sender| sender.enabled).ok_or(SendError::Gone)?;
    let wav = match recording {
        Some((Tape::Scratch(scratch), kept)) => Some(store.scratch_wav(scratch, kept).await?),
        Some((Tape::Message(_), _)) | None => None,
    };
    let content = match (letter.kind, letter.about, wav) {
        (SentKind::Forwarded, Some(message), introduction) => Content::Message { message, introduction },
        (SentKind::Reply, Some(to), Some(wav)) => Content::Reply { to, wav },
        (SentKind::Sent | SentKind::Broadcast, None, Some(wav)) => Content::Recording(wav),
        // The recording was lost on its way here; nothing else makes such a letter.
        _ => return Err(SendError::Gone),
    };
    let to = match letter.to {
        To::These(addressees) => recipients(addressees),
        // The menus offer it to no other; whoever loses the right during the call has lost it.
        To::Everybody if sender.administrator => Recipients::Everybody { tenant: sender.tenant },
        To::Everybody => return Err(SendError::Nobody),
    };
    let is_for_everybody = matches!(to, Recipients::Everybody { .. });
    let id = SendingId::random();
    let new = NewSending { id: id.clone(), kind: letter.kind, sender: Some(sender.id), to, content, marks: letter.marks };
    store.send(new, now).await?;
    if is_for_everybody {
        info!(sending.id = %id, "a message to everybody is on its way");
        return Ok(SendReport::default());
    }
    let (deliverer, delivered) = (store.clone(), id.clone());
    // It goes on when the caller waits no longer.
    let delivering = tokio::spawn(async move { deliverer.deliver(&delivered, now).await });
    let progress = match timeout(DELIVERING, delivering).await {
        Ok(Ok(Ok(progress))) => progress,
        Ok(Ok(Err(error))) => {
            error!(error = &error as &dyn Error, "a message to other mailboxes is delivered later");
            store.progress(&id).await?
        }
        Ok(Err(_)) | Err(_) => store.progress(&id).await?,
    };
    info!(sending.id = %id, kind = letter.kind.as_str(), delivered = progress.delivered, waiting = progress.waiting,
        full = progress.full, gone = progress.gone, "a message to other mailboxes is sent");
    let missed = store.missed(&id, TOLD).await?.into_iter();
    let missed = missed.filter_map(|it| Some(Missed { number: it.number?, spoken_name: it.spoken_name, outcome: it.outcome }));
    // What still waits is as good as delivered.
    Ok(SendReport { sent: progress.delivered + progress.waiting, missed: missed.collect() })
}

fn recipients(addressees: Vec<Addressee>) -> Recipients {
    let (mut mailboxes, mut lists) = (Vec::new(), Vec::new());
    for addressee in addressees {
        match addressee {
            Addressee::Mailbox { id, .. } => mailboxes.push(id),
            Addressee::List { id, .. } => lists.push(id),
        }
    }
    Recipients::These { mailboxes, lists }
}
