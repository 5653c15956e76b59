//! Carries out what the menus ask of the store. Every question gets exactly one answer, also when the store fails.

use std::{error::Error, sync::Arc, time::Duration};

use tokio::time::timeout;
use tracing::{Span, error, field, info, warn};

use super::{
    Calls, account, compose,
    driver::Line,
    explain,
    route::Dialled,
    tape::Tape,
    transfer::{self, Decided, Handing},
};
use crate::{
    audio::{codec::Codec, form::Form},
    domain::{
        id::{MailboxId, MessageId},
        message::Message,
        sharing::OwnerAction,
    },
    ivr::{Answer, Digits, Listed, MailboxView, Page, Question, RecordKind, SharedMailbox, Verdict},
    store::{
        ChangeError, StoreError,
        copy::CopyError,
        deleted::RestoreError,
        deposit::DepositError,
        journal::Envelope,
        mailbox::{MailboxChange, MailboxError},
        passcode::{AttemptSource, PasscodeVerdict},
        record::RecordedTransfer,
        screening::BlockError,
    },
};

/// How long a question may take while the caller waits: longer than SQLite waits for another process that has it locked.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the beep waits for the mailbox to be counted.
const COUNTING: Duration = Duration::from_secs(3);

/// A question and what it is about.
pub struct Asking {
    pub calls: Arc<Calls>,
    pub line: Line,
    /// The codec of the line, which a new tape follows.
    pub codec: Codec,
    /// The recording that `StoreMessage` or `SetGreeting` takes over.
    pub recording: Option<(Tape, Duration)>,
    /// The shared mailbox that is open, and its owner, who asks.
    pub acting: Option<(MailboxId, MailboxId)>,
}

/// What came of a question.
pub struct Outcome {
    /// The answer; or what the other side is to be asked, whose answer it is then.
    pub answer: Result<Answer, Box<Handing>>,
    /// The tape that was prepared.
    pub tape: Option<Tape>,
    /// The message that was deposited: of several mailboxes, that of the first which took it.
    pub deposited: Option<MessageId>,
    /// A transfer for the record of the call.
    pub recorded: Option<Box<RecordedTransfer>>,
}

impl Outcome {
    /// Nothing but an answer.
    pub fn answer(answer: Answer) -> Self {
        Self { answer: Ok(answer), tape: None, deposited: None, recorded: None }
    }
}

impl Asking {
    /// Carries out one question.
    pub async fn carry_out(self, question: Question) -> Outcome {
        let tape = match &question {
            Question::PrepareRecording { kind, mailbox, also } => Some(self.prepare(*kind, mailbox, also).await),
            _ => None,
        };
        match tape {
            Some(Ok(tape)) => Outcome { tape: Some(tape), ..Outcome::answer(Answer::RecordingReady) },
            Some(Err(answer)) => Outcome::answer(answer),
            None if let Question::SendMessage(letter) = question => {
                Outcome::answer(compose::send(&self.calls, *letter, self.recording).await)
            }
            // A deposit has time limits of its own: it must not be dropped half-way.
            None if matches!(question, Question::StoreMessage) => self.store_message().await,
            None => match timeout(PATIENCE, self.decide(&question)).await.unwrap_or_else(|_| Err(silent())) {
                Ok(Some(Decided::Answered(answer, recorded))) => Outcome { recorded, ..Outcome::answer(answer) },
                Ok(Some(Decided::Handed(handing))) => Outcome { answer: Err(handing), ..Outcome::answer(Answer::Done) },
                Ok(None) => {
                    let doing = self.acting.clone().zip(deed(&question));
                    let calls = self.calls.clone();
                    let answer = timeout(PATIENCE, self.answer(question)).await.unwrap_or_else(|_| Err(silent()));
                    if let (Some(doing), Ok(Answer::Changed(_) | Answer::Done)) = (doing, &answer) {
                        calls.note_deed(doing).await;
                    }
                    Outcome::answer(answer.unwrap_or_else(failed))
                }
                Err(error) => Outcome::answer(failed(error)),
            },
        }
    }

    /// Decides about those who are to be connected with somebody else; other questions are not its business.
    async fn decide(&self, question: &Question) -> Result<Option<Decided>, StoreError> {
        let (calls, peer) = (&self.calls, self.line.peer.as_ref());
        Ok(Some(match question {
            Question::ConnectOperator(mailbox) => transfer::to_operator(calls, peer, mailbox).await?,
            Question::MayCallBack(mailbox, message) => transfer::may_call_back(calls, peer, mailbox, message).await?,
            Question::CallBack(mailbox, message) => transfer::call_back(calls, peer, mailbox, message).await?,
            _ => return Ok(None),
        }))
    }

    /// Makes the recording possible before its beep: counts the mailboxes, and writes the envelope durably.
    async fn prepare(&self, kind: RecordKind, mailbox: &MailboxId, also: &[MailboxId]) -> Result<Tape, Answer> {
        let store = &self.calls.store;
        let encoding = Form::of(self.codec, self.calls.wideband).into();
        if !matches!(kind, RecordKind::Message) {
            return store.create_scratch(encoding).await.map(Tape::Scratch).map_err(failed);
        }
        // A disk that cannot take a whole message must not take half of one.
        store.check_spool().await.map_err(failed)?;
        let now = (self.calls.now)();
        // Of several, those that have become full are left out by the deposit.
        let mailboxes = [std::slice::from_ref(mailbox), also].concat();
        match timeout(COUNTING, store.has_room_in_any(&mailboxes, now)).await.unwrap_or_else(|_| Err(silent())) {
            Ok(true) => {}
            Ok(false) => return Err(Answer::MailboxFull),
            // It had room when the call came in. The spool takes the message, and the deposit counts again.
            Err(error) => {
                warn!(error = &error as &dyn Error, "a message is taken without counting the mailbox");
            }
        }
        let envelope = Envelope {
            message: MessageId::random(),
            mailbox: mailbox.clone(),
            also: also.to_vec(),
            caller: self.line.caller.clone(),
            called: self.line.called.clone(),
            started_at: now,
            encoding,
            verified: self.line.verified,
            call: self.line.id.clone(),
        };
        store.create_journal(envelope).await.map(|journal| Tape::Message(Box::new(journal))).map_err(failed)
    }

    async fn answer(self, question: Question) -> Result<Answer, StoreError> {
        let store = &self.calls.store;
        let now = (self.calls.now)();
        match question {
            Question::PrepareRecording { .. }
            | Question::StoreMessage
            | Question::SendMessage(_)
            | Question::ConnectOperator(_)
            | Question::MayCallBack(..)
            | Question::CallBack(..) => Ok(Answer::Failed),
            Question::FindMailbox(Digits(number)) => {
                let dialled = Dialled { number, domain: self.line.domain };
                let mailbox = explain::find(store, &dialled, self.line.rule.as_ref()).await?.filter(|mailbox| mailbox.enabled);
                let mailbox = mailbox.filter(|mailbox| self.calls.screening.admits(mailbox, self.line.source));
                mailbox.iter().for_each(|mailbox| _ = Span::current().record("mailbox.id", field::display(&mailbox.id)));
                let Some(mailbox) = mailbox else { return Ok(Answer::Mailbox(None)) };
                let view = transfer::subscribers_view(&self.calls.transfers, store, &mailbox, self.line.peer.is_some()).await?;
                Ok(Answer::Mailbox(Some(Box::new(view))))
            }
            Question::CheckPasscode { mailbox, digits, own_line } => {
                let source = if own_line { AttemptSource::OwnLine } else { AttemptSource::Remote(self.line.guesser.clone()) };
                let verdict = store.check_passcode(mailbox.as_ref(), &source, &digits, now).await?;
                if let Some(mailbox) = &mailbox {
                    account::note_attempt(&self.calls, &self.line, mailbox, verdict, now).await;
                }
                Ok(Answer::Passcode(match verdict {
                    PasscodeVerdict::Right => Verdict::Right,
                    PasscodeVerdict::Wrong => Verdict::Wrong,
                    PasscodeVerdict::LockedOut => Verdict::LockedOut,
                }))
            }
            Question::CountMessages(mailbox) => Ok(Answer::Counted { now, holdings: store.holdings(&mailbox, now).await? }),
            Question::ListMessages { mailbox, tenant, part } => {
                let messages = store.list(&mailbox, &part, now).await?;
                let more = messages.len() >= part.limit as usize;
                let rule = self.line.rule.as_ref();
                let forms = |message| vouched_number(message).map_or_else(Vec::new, |number| explain::stored_forms(number, rule));
                let forms: Vec<Vec<String>> = messages.iter().map(forms).collect();
                let numbers: Vec<&str> = forms.iter().flatten().map(String::as_str).collect();
                let names = store.spoken_names(&tenant, &numbers).await?;
                let listed = messages.into_iter().zip(&forms).map(|(message, forms)| Listed {
                    caller_name: forms.iter().find_map(|form| names.get(form).cloned()),
                    message,
                });
                Ok(Answer::Messages(Page { now, messages: listed.collect(), more }))
            }
            Question::MarkHeard(id, version) => self.changed(&id, store.mark_heard(&id, version, now).await).await,
            Question::Save(id, version) => self.changed(&id, store.save(&id, version, now).await).await,
            Question::KeepAsNew(id, version) => self.changed(&id, store.mark_new(&id, version, now).await).await,
            Question::Delete(id, version) => self.changed(&id, store.move_to_deleted(&id, version, now).await).await,
            Question::Restore(id, version) => match store.restore(&id, version, now).await {
                Ok(message) => Ok(Answer::Changed(Box::new(message))),
                Err(RestoreError::MailboxFull) => Ok(Answer::MailboxFull),
                Err(RestoreError::Change(error)) => self.unchanged(&id, error).await,
            },
            Question::Mail(id) => match store.mail_copy(&id, now).await {
                Ok(()) => Ok(Answer::Done),
                Err(CopyError::NoAddress) => Ok(Answer::NoMailAddress),
                Err(CopyError::Change(error)) => self.unchanged(&id, error).await,
            },
            Question::Prefer(mailbox, preferences) => {
                let change = MailboxChange { preferences: *preferences, ..MailboxChange::default() };
                match store.update_mailbox(&mailbox, change, now).await {
                    Ok(_) => Ok(Answer::Done),
                    Err(MailboxError::Store(error)) => Err(error),
                    Err(MailboxError::Gone | MailboxError::NumberTaken(_)) => Ok(Answer::MailboxGone),
                }
            }
            Question::SetGreeting(mailbox, kind) => {
                account::set_greeting(&self.calls, &self.line, &mailbox, kind, self.recording, now).await
            }
            Question::ChangePasscode(mailbox, passcode) => {
                match store.set_passcode(&mailbox, &passcode, &self.line.origin(), now).await {
                    Ok(()) => Ok(Answer::Done),
                    Err(error) => gone(error),
                }
            }
            Question::Account(question) => account::answer(&self.calls, &self.line, question, self.recording, now).await,
            Question::LastCaller(mailbox) => Ok(Answer::LastCaller(store.last_caller(&mailbox).await?)),
            Question::BlockCaller(mailbox, Digits(number)) => match store.block_caller(&mailbox, &number, now).await {
                Ok(_) => Ok(Answer::Done),
                Err(BlockError::TooMany) => Ok(Answer::Failed),
                Err(BlockError::Store(error)) => Err(error),
            },
            Question::SwitchAnonymous(mailbox) => {
                let refuse = !store.refuses_anonymous(&mailbox).await?;
                store.refuse_anonymous(&mailbox, refuse).await?;
                Ok(Answer::AnonymousRefused(refuse))
            }
            Question::FindAddressee { sender, number: Digits(number) } => {
                compose::find_addressee(store, &sender, &number, self.line.rule.as_ref()).await
            }
            Question::FindSender(message) => compose::find_sender(&self.calls, &message, self.line.rule.as_ref()).await,
            Question::SharedMailboxes(owner) => {
                let shared = store.shared_mailboxes(&owner, now).await?.into_iter().filter(|(mailbox, _)| mailbox.enabled);
                let shared = shared.map(|(it, counts)| SharedMailbox { view: MailboxView::of(&it, false), new: counts.new });
                Ok(Answer::SharedMailboxes(shared.collect()))
            }
            Question::OpenMailbox { mailbox, owner } => {
                let is_theirs = mailbox == owner || store.is_owner(&mailbox, &owner).await?;
                let opened = store.mailbox(&mailbox).await?.filter(|mailbox| mailbox.enabled && is_theirs);
                if opened.is_some() && mailbox != owner {
                    account::note_attempt(&self.calls, &self.line, &mailbox, PasscodeVerdict::Right, now).await;
                }
                let Some(mailbox) = opened else { return Ok(Answer::Mailbox(None)) };
                let view = transfer::subscribers_view(&self.calls.transfers, store, &mailbox, self.line.peer.is_some()).await?;
                Ok(Answer::Mailbox(Some(Box::new(view))))
            }
        }
    }

    async fn store_message(self) -> Outcome {
        let Some((Tape::Message(journal), kept)) = self.recording else { return Outcome::answer(Answer::Failed) };
        // What became of it is in the store's log.
        Outcome::answer(match self.calls.store.deposit(*journal, kept, (self.calls.now)(), false).await {
            Ok(deposited) => {
                return Outcome { deposited: Some(deposited.message.id), ..Outcome::answer(Answer::Stored) };
            }
            // What waits in the spool is safe: for the caller it is as good as stored.
            Err(DepositError::Later(_)) => Answer::Stored,
            Err(DepositError::MailboxFull) => Answer::MailboxFull,
            Err(DepositError::Pointless) => Answer::MailboxGone,
            Err(DepositError::NothingSaid) => Answer::NothingSaid,
            Err(DepositError::TooShort | DepositError::Expired) => Answer::Failed,
        })
    }

    async fn changed(&self, id: &MessageId, change: Result<Message, ChangeError>) -> Result<Answer, StoreError> {
        match change {
            Ok(message) => Ok(Answer::Changed(Box::new(message))),
            Err(error) => self.unchanged(id, error).await,
        }
    }

    /// Says what the message is now, so that the menus can go on with the truth.
    async fn unchanged(&self, id: &MessageId, error: ChangeError) -> Result<Answer, StoreError> {
        match error {
            ChangeError::Store(error) => Err(error),
            ChangeError::Conflict | ChangeError::Gone => {
                let message = self.calls.store.message(id, (self.calls.now)()).await?;
                Ok(Answer::Conflict(message.map(Box::new)))
            }
        }
    }
}

type Doing = ((MailboxId, MailboxId), (OwnerAction, MessageId));

impl Calls {
    /// Notes what an owner did in a shared mailbox. It is done whether it can be noted or not.
    async fn note_deed(&self, ((shared, owner), (what, message)): Doing) {
        info!(mailbox.id = %shared, owner.id = %owner, message.id = %message, what = what.as_str(), "an owner changed a shared message");
        let noting = self.store.note_deed(&shared, &owner, &message, what, (self.now)());
        if let Err(error) = timeout(COUNTING, noting).await.unwrap_or_else(|_| Err(silent())) {
            warn!(error = &error as &dyn Error, "what an owner did in a shared mailbox is not noted");
        }
    }
}

/// The number of a message's caller, if somebody vouched for it: whoever merely shows a subscriber's number is not announced in the
/// subscriber's own voice.
fn vouched_number(message: &Message) -> Option<&str> {
    message.caller.number.as_deref().filter(|_| message.caller_verified)
}

/// What a question does with a message, if it does anything that the owners of a shared mailbox may want to know.
fn deed(question: &Question) -> Option<(OwnerAction, MessageId)> {
    match question {
        Question::MarkHeard(message, _) => Some((OwnerAction::Heard, message.clone())),
        Question::Save(message, _) => Some((OwnerAction::Saved, message.clone())),
        Question::KeepAsNew(message, _) => Some((OwnerAction::KeptAsNew, message.clone())),
        Question::Delete(message, _) => Some((OwnerAction::Deleted, message.clone())),
        Question::Restore(message, _) => Some((OwnerAction::Restored, message.clone())),
        _ => None,
    }
}

pub(super) fn gone(error: ChangeError) -> Result<Answer, StoreError> {
    match error {
        ChangeError::Store(error) => Err(error),
        ChangeError::Conflict | ChangeError::Gone => Ok(Answer::MailboxGone),
    }
}

fn silent() -> StoreError {
    StoreError::Silent("the store")
}

fn failed(error: StoreError) -> Answer {
    error!(error = &error as &dyn Error, "the store does not do what a call needs");
    Answer::Failed
}
