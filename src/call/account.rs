//! Carries out what the menus ask about a subscriber's own matters, and about other mailboxes for those who look after them.

use std::time::Duration;

use tracing::{error, warn};

use super::{Calls, driver::Line, explain, question::gone, route::Dialled, tape::Tape};
use crate::{
    audio::quality::Fault,
    domain::{
        credential, greeting,
        greeting::GreetingKind,
        id::MailboxId,
        mailbox::Mailbox,
        mailbox_log::{Channel, Event, Origin},
        passcode::Passcode,
        tenant_phrase::TenantPhrase,
        time::Timestamp,
    },
    ivr::{AccountAnswer, AccountQuestion, Answer, Digits, Unfit},
    store::{
        ChangeError, StoreError,
        greeting::{GreetingChange, RecordingError},
        passcode::PasscodeVerdict,
        tenant_phrase::PhraseChange,
    },
};

impl Line {
    /// Where the call comes from, as the logs of mailboxes tell it. A number that nobody vouches for is none.
    pub fn origin(&self) -> Origin {
        let number = self.caller.number.clone().filter(|_| self.believed);
        let channel = match number {
            _ if self.own_line => Channel::OwnLine,
            Some(_) if !self.verified => Channel::UnsureNumber,
            Some(_) | None => Channel::Phone,
        };
        Origin { channel, number, address: Some(credential::place(self.source)) }
    }
}

/// Notes what came of a passcode in the mailbox's log. A failure is noted behind the call, so that it takes as long to be told of one
/// as of a mailbox that does not exist.
pub async fn note_attempt(calls: &Calls, line: &Line, mailbox: &MailboxId, verdict: PasscodeVerdict, now: Timestamp) {
    let (store, mailbox, by, call) = (calls.store.clone(), mailbox.clone(), line.origin(), line.id.clone());
    let failure = match verdict {
        PasscodeVerdict::Right => {
            if let Err(error) = store.note_login(&mailbox, &by, &call, now).await {
                error!(error = &error as &dyn std::error::Error, "a login is missing in the mailbox's log");
            }
            return;
        }
        PasscodeVerdict::Wrong => Event::WrongPasscode,
        PasscodeVerdict::LockedOut => Event::LockedOut,
    };
    tokio::spawn(async move {
        if let Err(error) = store.note_failure(&mailbox, &failure, &by, &call, now).await {
            warn!(error = &error as &dyn std::error::Error, "a failed attempt is missing in the mailbox's log");
        }
    });
}

/// Takes a recording over as the mailbox's greeting or name.
pub async fn set_greeting(
    calls: &Calls,
    line: &Line,
    mailbox: &MailboxId,
    kind: GreetingKind,
    recording: Option<(Tape, Duration)>,
    now: Timestamp,
) -> Result<Answer, StoreError> {
    let Some((Tape::Scratch(scratch), kept)) = recording else { return Ok(Answer::Failed) };
    let change = GreetingChange { mailbox, kind, by: &line.origin() };
    recorded(calls.store.set_greeting(change, scratch, kept, now).await)
}

/// Answers a question about a subscriber's own matters.
pub async fn answer(
    calls: &Calls,
    line: &Line,
    question: AccountQuestion,
    recording: Option<(Tape, Duration)>,
    now: Timestamp,
) -> Result<Answer, StoreError> {
    let (store, by) = (&calls.store, &line.origin());
    let answer = match question {
        AccountQuestion::Greeting(mailbox, kind) => {
            let greeting = store.greetings(&mailbox).await?.into_iter().find(|greeting| greeting.kind == kind);
            AccountAnswer::Greeting { now, greeting }
        }
        AccountQuestion::BringBack(mailbox, kind) => {
            return done(store.bring_back_greeting(GreetingChange { mailbox: &mailbox, kind, by }, now).await);
        }
        AccountQuestion::Remove(mailbox, kind) => {
            // What somebody else has taken away meanwhile is away.
            return done(store.remove_greeting(GreetingChange { mailbox: &mailbox, kind, by }, now).await.map(|_| true));
        }
        AccountQuestion::EndTemporaryAfter(mailbox, days) => {
            let Some(zone) = store.mailbox(&mailbox).await?.map(|mailbox| mailbox.time_zone) else {
                return Ok(Answer::MailboxGone);
            };
            let until = greeting::end_after_days(days, zone, now);
            match store.end_temporary_greeting(&mailbox, Some(until), by, now).await {
                Ok(true) => AccountAnswer::EndsAt { now, until },
                other => return done(other),
            }
        }
        AccountQuestion::Skip(mailbox, kind) => {
            let skipped = store.skip_greeting(GreetingChange { mailbox: &mailbox, kind, by }, now).await;
            return done(skipped.map(|()| true));
        }
        AccountQuestion::LastAccess(mailbox) => {
            AccountAnswer::LastAccess { now, access: store.last_access(&mailbox, &line.id).await? }
        }
        AccountQuestion::ResetPasscode(administrator, Digits(number)) => {
            let Some(administrator) = administrator_of(calls, &administrator).await? else { return Ok(Answer::Failed) };
            let Some(mailbox) = colleague(calls, line, &administrator, number).await? else {
                return Ok(Answer::Account(AccountAnswer::NewPasscode(None)));
            };
            let numbers: Vec<&str> =
                std::iter::once(&mailbox.number).chain(&mailbox.aliases).map(|number| number.as_str()).collect();
            let passcode = Passcode::random(calls.menus.shortest_passcode, &numbers);
            match store.reset_passcode(&mailbox, &passcode, &administrator.id, by, now).await {
                Ok(()) => AccountAnswer::NewPasscode(Some(Digits(passcode.digits().to_owned()))),
                Err(ChangeError::Store(error)) => return Err(error),
                Err(ChangeError::Gone | ChangeError::Conflict) => AccountAnswer::NewPasscode(None),
            }
        }
        AccountQuestion::Phrase(administrator, wanted) => {
            let Some(administrator) = administrator_of(calls, &administrator).await? else { return Ok(Answer::Failed) };
            let phrases = store.tenant_phrases(&administrator.tenant).await?;
            AccountAnswer::Phrase(phrases.into_iter().find(|(phrase, _)| *phrase == wanted).map(|(_, audio)| audio))
        }
        AccountQuestion::SetPhrase(administrator, phrase) => {
            let Some((Tape::Scratch(scratch), kept)) = recording else { return Ok(Answer::Failed) };
            let Some(administrator) = administrator_of(calls, &administrator).await? else { return Ok(Answer::Failed) };
            return recorded(store.set_tenant_phrase(change_of(&administrator, phrase, by), scratch, kept, now).await);
        }
        AccountQuestion::RemovePhrase(administrator, phrase) => {
            let Some(administrator) = administrator_of(calls, &administrator).await? else { return Ok(Answer::Failed) };
            let removed = store.remove_tenant_phrase(change_of(&administrator, phrase, by), now).await;
            return done(removed.map(|_| true));
        }
    };
    Ok(Answer::Account(answer))
}

fn change_of<'a>(administrator: &'a Mailbox, phrase: TenantPhrase, by: &'a Origin) -> PhraseChange<'a> {
    PhraseChange { tenant: &administrator.tenant, phrase, administrator: Some(&administrator.id), by }
}

/// The mailbox, if its subscriber may look after others now: that may have ended since the login.
async fn administrator_of(calls: &Calls, id: &MailboxId) -> Result<Option<Mailbox>, StoreError> {
    Ok(calls.store.mailbox(id).await?.filter(|mailbox| mailbox.enabled && mailbox.administrator))
}

/// The mailbox of the administrator's tenant with the number typed.
async fn colleague(calls: &Calls, line: &Line, administrator: &Mailbox, number: String) -> Result<Option<Mailbox>, StoreError> {
    let dialled = Dialled { number, domain: administrator.tenant.clone() };
    let mailbox = explain::find(&calls.store, &dialled, line.rule.as_ref()).await?;
    Ok(mailbox.filter(|mailbox| mailbox.tenant == administrator.tenant))
}

fn recorded<T>(outcome: Result<T, RecordingError>) -> Result<Answer, StoreError> {
    match outcome {
        Ok(_) => Ok(Answer::Done),
        Err(RecordingError::Unfit(fault)) => Ok(Answer::Account(AccountAnswer::Unfit(match fault {
            Fault::Silent => Unfit::Silent,
            Fault::Clipped => Unfit::Clipped,
        }))),
        Err(RecordingError::Change(error)) => gone(error),
    }
}

fn done(outcome: Result<bool, ChangeError>) -> Result<Answer, StoreError> {
    match outcome {
        Ok(true) => Ok(Answer::Done),
        // There was nothing to change any more.
        Ok(false) => Ok(Answer::Failed),
        Err(error) => gone(error),
    }
}
