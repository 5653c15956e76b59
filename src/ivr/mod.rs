//! The telephone menus as pure state machines: deposit, login, retrieval, greetings, settings, enrolment.
//!
//! A [`Session`] is one call from its first phrase to its end. [`Input`]s go in, [`Effect`]s come out; there is no clock,
//! no waiting and no I/O here. What a key does is in the table of [`keymap`], what is said is composed in [`phrase`] of
//! the [`prompts`]. Start with `session`, then follow `deposit`, `login` and `retrieval`.
//!
//! What holds between a session and whoever runs it:
//!
//! 1. Effects are performed in order. `Play` and `PlayMessage` replace what is playing. An interruptible phrase is stopped
//!    the moment any key is pressed; a phrase that was stopped or replaced gets no `PlaybackDone`.
//! 2. Every digit is handed in, whatever is playing. The digit that ended a recording is not: it is in `RecordingDone`.
//! 3. Every `Record` and every `RecordMore` ends in exactly one `RecordingDone`. A hang-up while recording is best told as `RecordingDone` ended by
//!    `Hangup`; a plain `Hangup` is answered with `StopRecording` and does as well.
//! 4. Every question gets exactly one answer, also on failure and after a hang-up, until [`Session::is_over`].
//! 5. What was prepared for recording (`Question::PrepareRecording` answered with `RecordingReady`) ends exactly once: by
//!    `StoreMessage`, `SetGreeting`, `SetPhrase` or a `SendMessage` that says so, which take it over whatever they answer, or by
//!    `DiscardRecording`.
//! 6. If nothing is handed in for [`Session::timeout`] after the latest call of `handle`, `Timeout` is.
//! 7. After the end, inputs give no effects.

// Tests may take their first moment from the clock.
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use crate::domain::{
    caller::Caller,
    destination::Refusal,
    greeting::{GreetingKind, Temporary},
    id::{AudioKey, MailboxId, MessageId},
    keys::{KeyProfile, MenuLength},
    language::{Language, LanguageCode, Languages},
    listening::Playback,
    mailbox::{Due, Mailbox, MailboxNumber},
    message::{Holdings, ListPart, Marks, Message},
    passcode::Passcode,
    preferences::Preferences,
    screening::RefusedCaller,
    time::{TimeZone, Timestamp},
};

mod session;
mod asking;
mod taping;
mod deposit;
mod login;
mod enrolment;
mod retrieval;
mod options;
mod greeting;
mod greetings;
mod administration;
mod passcode;
mod screening;
mod account;
mod compose;
mod letter;
mod shared;
mod transfer;
mod phrase;
pub mod keymap;
pub mod prompts;
#[cfg(test)]
mod tests;

pub use account::{AccountAnswer, AccountQuestion, Unfit};
pub use keymap::Digit;
pub use letter::{Addressee, Letter, Missed, SendReport, SharedMailbox, To};
pub use prompts::PromptId;
pub use session::Session;

/// Why the call is here.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A caller reached a mailbox that takes messages, or would if it were not full.
    Deposit {
        /// The mailbox called.
        mailbox: MailboxView,
    },
    /// Somebody dialled the access code.
    Retrieval {
        /// The mailbox of the identified line that calls; its passcode is asked at once. Without it the number is asked.
        mailbox: Option<MailboxView>,
    },
    /// Somebody dialled the code for something that a mailbox does with callers.
    Screening {
        /// As for a retrieval.
        mailbox: Option<MailboxView>,
        /// What is to be done once the passcode is right.
        wish: ScreeningWish,
    },
    /// The number called is unknown or disabled. Both sound the same, also after `*`.
    Unavailable,
    /// The mailbox does not take this call. The caller hears why, and the call ends.
    Rejected(Rejection),
}

/// What a subscriber wants a mailbox to do with callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScreeningWish {
    /// To refuse the caller who called last.
    BlockLastCaller,
    /// To refuse callers who show no number, or to accept them again.
    SwitchAnonymous,
}

/// Why a mailbox does not take a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The subscriber blocks this caller.
    Blocked,
    /// The subscriber accepts no callers who show no number.
    Anonymous,
    /// The caller has called too often in a short time.
    TooOften,
}

impl From<RefusedCaller> for Rejection {
    fn from(refused: RefusedCaller) -> Self {
        match refused {
            RefusedCaller::Blocked => Self::Blocked,
            RefusedCaller::Anonymous => Self::Anonymous,
        }
    }
}

/// What the menus need to know about a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxView {
    /// Stable id.
    pub id: MailboxId,
    /// The others that get a message which is left here; none when the call is for this mailbox alone, and not for several.
    pub also: Option<Vec<MailboxId>>,
    /// The SIP domain it belongs to; empty for the default tenant.
    pub tenant: String,
    /// Its number, spoken when there is neither greeting nor name.
    pub number: MailboxNumber,
    /// Its other numbers, which no passcode may be.
    pub aliases: Vec<MailboxNumber>,
    /// The recording of the subscriber's name.
    pub spoken_name: Option<AudioKey>,
    /// The greeting that this call hears.
    pub greeting: Option<AudioKey>,
    /// The temporary greeting; it may have ended.
    pub temporary: Option<Temporary>,
    /// The code of the language its subscriber is spoken to in.
    pub language: String,
    /// The zone stamps are spoken in.
    pub time_zone: TimeZone,
    /// Whether the first login is done.
    pub enrolled: bool,
    /// What the first login still asks for.
    pub due: Due,
    /// Whether its subscriber may look after the tenant's mailboxes.
    pub administrator: bool,
    /// Whether it owns shared mailboxes.
    pub owns_shared: bool,
    /// Whether it takes no further message (`rules::admits`).
    pub full: bool,
    /// Whether anybody may leave messages or log in.
    pub enabled: bool,
    /// Whether callers can be connected with an operator.
    pub operator: bool,
    /// Whether callers who left a message may be called back.
    pub call_back: bool,
    /// Whether callers are told how to leave a message after a personal greeting, too.
    pub instructions: bool,
    /// What the subscriber prefers.
    pub preferences: Preferences,
}

impl MailboxView {
    /// The view of `mailbox`; `full` is decided by `rules::admits` from its counts. Nobody can be transferred until somebody says so.
    #[must_use]
    pub fn of(mailbox: &Mailbox, full: bool) -> Self {
        Self {
            id: mailbox.id.clone(),
            also: None,
            tenant: mailbox.tenant.clone(),
            number: mailbox.number.clone(),
            aliases: mailbox.aliases.clone(),
            spoken_name: mailbox.spoken_name.clone(),
            greeting: mailbox.greeting.clone(),
            temporary: mailbox.temporary,
            language: mailbox.language.clone(),
            time_zone: mailbox.time_zone,
            enrolled: mailbox.enrolled,
            due: mailbox.due,
            administrator: mailbox.administrator,
            owns_shared: mailbox.owns_shared,
            full,
            enabled: mailbox.enabled,
            operator: false,
            call_back: false,
            instructions: mailbox.instructions,
            preferences: mailbox.preferences.clone(),
        }
    }
}

/// What a tenant has its callers and subscribers hear instead of our words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantPhrases {
    /// Before the login.
    pub welcome: Option<AudioKey>,
    /// At a number without a mailbox, or with one that is closed.
    pub no_mailbox: Option<AudioKey>,
}

/// Settings of the operator's that the menus follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The shortest recording that is a message.
    pub shortest_message: Duration,
    /// How much silence ends a recording; `None` means none does.
    pub trailing_silence: Option<Duration>,
    /// The fewest digits of a new passcode.
    pub shortest_passcode: usize,
    /// The key maps of those who have none of their own.
    pub keys: KeySettings,
    /// How much menus tell, where a mailbox has no wish of its own.
    pub menu_length: MenuLength,
    /// The languages that are spoken.
    pub languages: Languages,
    /// The language of callers, when the number that was dialled has one.
    pub callers_language: Option<LanguageCode>,
    /// What the tenant of this call says in its own words.
    pub phrases: TenantPhrases,
}

/// The key maps of those who have none of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySettings {
    /// Of everybody else.
    pub otherwise: KeyProfile,
    /// By tenant.
    pub tenants: Arc<BTreeMap<String, KeyProfile>>,
}

impl KeySettings {
    /// The key map of a tenant's mailboxes.
    #[must_use]
    pub fn of(&self, tenant: &str) -> KeyProfile {
        self.tenants.get(tenant).copied().unwrap_or(self.otherwise)
    }
}

impl Settings {
    /// The language a call begins in. A caller hears that of the number dialled, else the mailbox's; whoever calls from their own
    /// line hears their mailbox's; everybody else the default, so that no language tells whether there is a mailbox.
    fn first_language(&self, entry: &Entry) -> Language {
        let (dialled, of_mailbox) = match entry {
            Entry::Deposit { mailbox } => (self.callers_language.as_ref(), mailbox.enabled.then_some(mailbox)),
            Entry::Retrieval { mailbox: Some(mailbox) } | Entry::Screening { mailbox: Some(mailbox), .. } => {
                (None, mailbox.enabled.then_some(mailbox))
            }
            Entry::Retrieval { mailbox: None }
            | Entry::Screening { mailbox: None, .. }
            | Entry::Unavailable
            | Entry::Rejected(_) => (self.callers_language.as_ref(), None),
        };
        let code = dialled.map(LanguageCode::as_str).or(of_mailbox.map(|mailbox| mailbox.language.as_str()));
        self.languages.spoken(code, of_mailbox.and_then(|mailbox| mailbox.preferences.clock))
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shortest_message: Duration::from_secs(2),
            trailing_silence: Some(Duration::from_secs(10)),
            shortest_passcode: 8,
            keys: KeySettings::default(),
            menu_length: MenuLength::default(),
            languages: Languages::default(),
            phrases: TenantPhrases::default(),
            callers_language: None,
        }
    }
}

/// What happens to a session.
#[derive(Clone, Debug)]
pub enum Input {
    /// A key was pressed.
    Digit(Digit),
    /// What the latest `Play` or `PlayMessage` started has ended by itself.
    PlaybackDone,
    /// What the latest `Play` or `PlayMessage` asked for cannot be played (its audio is missing or unreadable).
    PlaybackFailed,
    /// The recording has ended.
    RecordingDone {
        /// Its length, without the key that ended it and without trailing silence.
        kept: Duration,
        /// Why it ended.
        ended_by: RecordingEnd,
    },
    /// Nothing was handed in for [`Session::timeout`].
    Timeout,
    /// The caller is gone: BYE, RTP time-out, or a lost connection.
    Hangup,
    /// The answer to the one question that is open.
    Answer(Answer),
}

/// Why a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingEnd {
    /// One of its end digits.
    Digit(Digit),
    /// Trailing silence.
    Silence,
    /// Its longest length.
    Longest,
    /// `StopRecording`.
    Stopped,
    /// The caller is gone. No `Hangup` need follow, but may.
    Hangup,
    /// The audio could no longer be written; what had been is kept.
    Failed,
}

/// What the outside has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Plays the items one after the other, instead of what is playing.
    Play {
        /// What to play.
        items: Vec<Item>,
        /// Whose prompts are played.
        language: LanguageCode,
        /// Whether any key stops it at once. Otherwise it goes on until the session replaces or stops it.
        interruptible: bool,
    },
    /// Plays a message, instead of what is playing. No key stops it by itself.
    PlayMessage {
        /// The message.
        id: MessageId,
        /// Its audio.
        audio: AudioKey,
        /// Where to begin.
        from: PlayFrom,
        /// How fast and how loud.
        playback: Playback,
    },
    /// Plays the message that is playing or held otherwise, from where it is. What plays goes on until that is prepared.
    ChangePlayback(Playback),
    /// Stops what is playing.
    StopPlaying,
    /// Holds what is playing where it is.
    PausePlaying,
    /// Goes on where `PausePlaying` held it.
    ResumePlaying,
    /// Moves within what is playing or held. Before the start means the start, past the end means the end.
    Seek(Seek),
    /// Starts recording into what was prepared.
    Record {
        /// What is recorded.
        kind: RecordKind,
        /// How long it may get.
        longest: Duration,
        /// How much silence ends it.
        trailing_silence: Option<Duration>,
        /// The keys that end it.
        end_digits: Vec<Digit>,
    },
    /// Goes on recording a message behind what was kept of it. The length in `RecordingDone` is that of all.
    RecordMore {
        /// How much longer it may get.
        longest: Duration,
        /// How much silence ends it.
        trailing_silence: Option<Duration>,
        /// The keys that end it.
        end_digits: Vec<Digit>,
    },
    /// Marks the message that is being recorded, or is about to be.
    MarkMessage(Marks),
    /// Ends the recording; `RecordingDone` follows. Means nothing when it has just ended by itself.
    StopRecording,
    /// Forgets what was recorded, or only prepared.
    DiscardRecording,
    /// Asks; exactly one answer comes. Never two questions are open at once.
    Ask(Question),
    /// Ends the call. The session is over.
    HangUp,
}

/// Where a message begins to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayFrom {
    /// At its start.
    Start,
    /// Where it was when it was last replaced; its start if that is unknown.
    WhereItStopped,
}

/// A move within what is playing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// Towards the start.
    Back(Duration),
    /// Towards the end.
    Ahead(Duration),
    /// To the start.
    Start,
}

/// One piece of a phrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A prompt of ours.
    Prompt(PromptId),
    /// A personal greeting. One that cannot be played is left out.
    Greeting(AudioKey),
    /// A spoken name. One that cannot be played is left out.
    SpokenName(AudioKey),
    /// What the caller has just recorded.
    TheRecording,
    /// Silence.
    Pause(Duration),
    /// The tone before a recording.
    Beep,
}

/// What is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// A message for the mailbox called.
    Message,
    /// The subscriber's greeting.
    Greeting,
    /// The subscriber's spoken name.
    Name,
    /// What a tenant's callers or subscribers hear.
    Phrase,
    /// A message to other mailboxes, or an introduction to one. Like a greeting it is nothing until it is accepted.
    Letter,
}

impl From<GreetingKind> for RecordKind {
    fn from(kind: GreetingKind) -> Self {
        match kind {
            GreetingKind::Standard | GreetingKind::Forwarded(_) | GreetingKind::Temporary => Self::Greeting,
            GreetingKind::Name => Self::Name,
        }
    }
}

/// Something only the outside knows or can do. Any question may be answered with `MailboxGone` or `Failed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Makes a recording possible, before its beep (the journal's envelope is written). `RecordingReady`, `MailboxFull`.
    PrepareRecording {
        /// What will be recorded.
        kind: RecordKind,
        /// For which mailbox.
        mailbox: MailboxId,
        /// Which others get the message, too. `MailboxFull` only if all of them are.
        also: Vec<MailboxId>,
    },
    /// Looks up the mailbox with the number typed. `Mailbox`.
    FindMailbox(Digits),
    /// Checks a passcode. For `mailbox: None` the same work is done, and the verdict is `Wrong`. `Passcode`.
    CheckPasscode {
        /// The mailbox, if there is one.
        mailbox: Option<MailboxId>,
        /// What was typed.
        digits: Passcode,
        /// Whether the call comes from the mailbox's own identified line.
        own_line: bool,
    },
    /// Takes the recording over as a message. `Stored`, also when it waits in the spool; `MailboxFull`, and it is dropped.
    StoreMessage,
    /// Counts what the mailbox holds. `Counted`.
    CountMessages(MailboxId),
    /// Lists a part of what the mailbox holds. `Messages`.
    ListMessages {
        /// The mailbox.
        mailbox: MailboxId,
        /// Its tenant, whose subscribers' names are looked up for the callers.
        tenant: String,
        /// Which part.
        part: ListPart,
    },
    /// Notes that the message was heard to its end. `Changed`, `Conflict`.
    MarkHeard(MessageId, i64),
    /// Saves the message: its life and its stamp begin anew. `Changed`, `Conflict`.
    Save(MessageId, i64),
    /// Puts the message back among the new ones; its life and its stamp stay. `Changed`, `Conflict`.
    KeepAsNew(MessageId, i64),
    /// Moves the message to the deleted list. `Changed`, `Conflict`.
    Delete(MessageId, i64),
    /// Moves the message back from the deleted list. `Changed`, `MailboxFull`; `Conflict` with the message if it is back already.
    Restore(MessageId, i64),
    /// Has the message mailed to the mailbox's address, whatever happens to other messages. `Done`, `NoMailAddress`, `Conflict` if
    /// it is gone.
    Mail(MessageId),
    /// Notes what the subscriber prefers from now on; what is not named stays. `Done`.
    Prefer(MailboxId, Box<Preferences>),
    /// Takes the recording over as the subscriber's greeting or name, instead of the old one. `Done`, `Account(Unfit)`.
    SetGreeting(MailboxId, GreetingKind),
    /// Sets the passcode. `Done`.
    ChangePasscode(MailboxId, Passcode),
    /// Looks up who called the mailbox last. `LastCaller`.
    LastCaller(MailboxId),
    /// Lets the mailbox refuse the caller with this number. `Done`.
    BlockCaller(MailboxId, Digits),
    /// Lets the mailbox refuse callers who show no number, or accept them if it refuses them. `AnonymousRefused`.
    SwitchAnonymous(MailboxId),
    /// Asks about the subscriber's own matters.
    Account(AccountQuestion),
    /// Looks up whom a number stands for that a subscriber typed: a mailbox of the same tenant, or a list. `Addressee`.
    FindAddressee {
        /// The subscriber's mailbox.
        sender: MailboxId,
        /// What was typed.
        number: Digits,
    },
    /// Looks up whom a reply to the message goes to. `Addressee`; `Conflict(None)` when the message is gone.
    FindSender(MessageId),
    /// Sends a message to other mailboxes, and takes the recording over if the letter has one. `Sent`; `IsPrivate`, `NobodyThere`, or
    /// `Conflict(None)` when the message that it is about is gone.
    SendMessage(Box<Letter>),
    /// Lists the shared mailboxes that the mailbox owns. `SharedMailboxes`.
    SharedMailboxes(MailboxId),
    /// Opens a shared mailbox for its owner, or the owner's own again. From here on what is done there is the owner's doing.
    /// `Mailbox`, which is none if it is not the owner's (any more).
    OpenMailbox {
        /// The mailbox to be opened.
        mailbox: MailboxId,
        /// Who opens it.
        owner: MailboxId,
    },
    /// Has the caller connected with the operator of the mailbox. `Transferred`, when the call is to be ended; `NotTransferred`.
    ConnectOperator(MailboxId),
    /// Asks whether whoever left the message may be called back. `MayCallBack`, `CallBackRefused`.
    MayCallBack(MailboxId, MessageId),
    /// Has the subscriber connected with whoever left the message. `Transferred`, when the call is to be ended; `NotTransferred`,
    /// `CallBackRefused`.
    CallBack(MailboxId, MessageId),
}

/// Digits as they were typed. Not printable: where a number is asked, a passcode may be typed.
#[derive(Clone, PartialEq, Eq)]
pub struct Digits(pub String);

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digits(…)")
    }
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The recording may begin.
    RecordingReady,
    /// The mailbox, if there is one with the number typed.
    Mailbox(Option<Box<MailboxView>>),
    /// Whether the passcode fits.
    Passcode(Verdict),
    /// The message is safe.
    Stored,
    /// The mailbox takes no further message.
    MailboxFull,
    /// Nobody said anything in the recording, and it is not kept.
    NothingSaid,
    /// How many messages are in each list.
    Counted {
        /// Now.
        now: Timestamp,
        /// How many.
        holdings: Holdings,
    },
    /// The part of the list that was asked for.
    Messages(Page),
    /// The message as it is after the change.
    Changed(Box<Message>),
    /// Nothing was changed, because the message is not what the version named: this is what it is now, if it is there.
    Conflict(Option<Box<Message>>),
    /// Who called last, if anybody did.
    LastCaller(Option<Caller>),
    /// Whether callers who show no number are refused now.
    AnonymousRefused(bool),
    /// What was asked about the subscriber's own matters.
    Account(AccountAnswer),
    /// Whom the number stands for, or the reply goes to, if there is anybody.
    Addressee(Option<Addressee>),
    /// The message is sent.
    Sent(SendReport),
    /// The message is private: it is not passed on.
    IsPrivate,
    /// There is nobody to send it to.
    NobodyThere,
    /// The shared mailboxes that there are, in order of their numbers; nine at most.
    SharedMailboxes(Vec<SharedMailbox>),
    /// The caller is connected with somebody else, or will be without our hearing of it.
    Transferred,
    /// The caller is still here.
    NotTransferred,
    /// Whoever left the message may be called back, at this number.
    MayCallBack(Digits),
    /// Nobody is called back, for this reason.
    CallBackRefused(CallBackRefusal),
    /// The mailbox has no mail address.
    NoMailAddress,
    /// It is done.
    Done,
    /// The mailbox was removed or disabled meanwhile.
    MailboxGone,
    /// It could not be done; the reason is in the log.
    Failed,
}

/// Why nobody is called back, as far as the subscriber is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallBackRefusal {
    /// It is switched off, or cannot be done from here.
    Off,
    /// The message came without a telephone number.
    NoNumber,
    /// The number may be made up.
    Unverified,
    /// The number may not be called.
    NotAllowed,
    /// There were too many calls back.
    TooOften,
}

impl From<Refusal> for CallBackRefusal {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::SwitchedOff(_) | Refusal::UntrustedPeer => Self::Off,
            Refusal::NoNumber | Refusal::NoTelephone => Self::NoNumber,
            Refusal::Unverified => Self::Unverified,
            Refusal::Premium | Refusal::Denied(_) | Refusal::NotListed => Self::NotAllowed,
            Refusal::ThisHour(_) | Refusal::Today(_) | Refusal::AtOnce(_) => Self::TooOften,
        }
    }
}

/// A part of a list of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Now: stamps say "today" by it.
    pub now: Timestamp,
    /// The messages, in their order.
    pub messages: Vec<Listed>,
    /// Whether there are more after them.
    pub more: bool,
}

/// A message, and what else is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The message.
    pub message: Message,
    /// The recording of the caller's name, if the caller has a mailbox here.
    pub caller_name: Option<AudioKey>,
}

/// Whether a passcode fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Right,
    /// It does not, or there is no such mailbox.
    Wrong,
    /// Too many failures: it was not looked at. Sounds the same as `Wrong`.
    LockedOut,
}
