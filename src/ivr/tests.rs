//! The menus as callers meet them: scripts, and properties that hold whatever a caller does.

use std::time::Duration;

use proptest::{collection::vec, prelude::*, sample::Index};

use super::*;
use crate::domain::{caller::Caller, language::Grammar, message::Counts, rules, sending::SentKind};

mod account;
mod admin;
mod compose;
mod deposit;
mod enrolment;
mod greetings;
mod keys;
mod languages;
mod login;
mod options;
mod retrieval;
mod screening;
mod shared;
mod transfer;

const NOW: &str = "2026-11-20T17:00:00Z";

/// A caller with a telephone, who also stands for the outside: keeps the rules at the head of `ivr`, and fails when the
/// session breaks them.
struct Telephone {
    session: Session,
    effects: Vec<Effect>,
    playing: bool,
    open: Option<Question>,
    recording: Recording,
    hung_up: bool,
    /// Whether the passcode was given in this call.
    let_in: bool,
    /// How many recordings were made ready, and how many were taken over or discarded.
    made_ready: u32,
    ended: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recording {
    None,
    Ready,
    Running,
    Done,
}

impl Telephone {
    fn call(entry: Entry) -> Self {
        Self::call_with(entry, Settings::default())
    }

    fn call_with(entry: Entry, settings: Settings) -> Self {
        let (session, effects) = Session::new(entry, settings);
        let mut telephone = Self {
            session,
            effects: vec![],
            playing: false,
            open: None,
            recording: Recording::None,
            hung_up: false,
            let_in: false,
            made_ready: 0,
            ended: 0,
        };
        telephone.perform(effects);
        telephone
    }

    fn give(&mut self, input: Input) {
        let was_over = self.session.is_over();
        match &input {
            Input::Digit(_) | Input::Timeout => {}
            Input::PlaybackDone | Input::PlaybackFailed => self.playing = false,
            Input::RecordingDone { ended_by, .. } => {
                assert_eq!(self.recording, Recording::Running);
                self.recording = Recording::Done;
                self.hung_up |= *ended_by == RecordingEnd::Hangup;
            }
            Input::Hangup => self.hung_up = true,
            Input::Answer(answer) => {
                let question = self.open.take().expect("a question is open");
                self.let_in |= *answer == Answer::Passcode(Verdict::Right);
                if matches!((&question, answer), (Question::PrepareRecording { .. }, Answer::RecordingReady)) {
                    assert_eq!(self.recording, Recording::None);
                    self.recording = Recording::Ready;
                    self.made_ready += 1;
                }
            }
        }
        let effects = self.session.handle(input);
        assert!(!was_over || effects.is_empty(), "after the end: {effects:?}");
        self.perform(effects);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        let mut hung_up_by_us = false;
        for effect in &effects {
            assert!(!hung_up_by_us, "after HangUp: {effect:?}");
            match effect {
                Effect::Play { items, language, .. } => {
                    assert!(!self.hung_up, "played to nobody: {effect:?}");
                    self.playing = true;
                    expect_in_language(items, language);
                }
                Effect::PlayMessage { .. } => {
                    assert!(!self.hung_up, "played to nobody: {effect:?}");
                    assert!(self.let_in, "nobody has given the passcode: {effect:?}");
                    self.playing = true;
                }
                Effect::StopPlaying => self.playing = false,
                Effect::PausePlaying | Effect::ResumePlaying | Effect::Seek(_) | Effect::ChangePlayback(_) => {
                    assert!(!self.hung_up)
                }
                Effect::Record { kind, .. } => {
                    let is_ours = matches!(kind, RecordKind::Greeting | RecordKind::Name | RecordKind::Phrase);
                    assert!(self.let_in || !is_ours, "nobody has given the passcode: {effect:?}");
                    assert_eq!(self.recording, Recording::Ready);
                    self.recording = Recording::Running;
                }
                Effect::RecordMore { .. } => {
                    assert_eq!(self.recording, Recording::Done);
                    self.recording = Recording::Running;
                }
                Effect::MarkMessage(_) => assert!(matches!(self.recording, Recording::Ready | Recording::Done)),
                Effect::StopRecording => assert_ne!(self.recording, Recording::None),
                Effect::DiscardRecording => self.end_recording(&[Recording::Ready, Recording::Done]),
                Effect::Ask(question) => {
                    assert_eq!(self.open, None, "two questions at once");
                    assert!(self.let_in || is_for_anybody(question), "nobody has given the passcode: {effect:?}");
                    if let Question::SendMessage(letter) = question {
                        let is_private = letter.about.as_ref().is_some_and(|message| message.as_str() == PRIVATE);
                        assert!(letter.kind != SentKind::Forwarded || !is_private, "forwarded what is private");
                    }
                    if takes_the_recording(question) {
                        self.end_recording(&[Recording::Done]);
                    }
                    self.open = Some(question.clone());
                }
                Effect::HangUp => {
                    assert!(!self.hung_up);
                    hung_up_by_us = true;
                }
            }
        }
        self.effects.extend(effects);
        assert_eq!(self.session.timeout().is_none(), self.session.is_over(), "every wait has a deadline");
        if self.session.is_over() {
            assert_eq!((&self.open, self.recording), (&None, Recording::None), "something is still owed");
            assert_eq!(self.made_ready, self.ended);
            assert!(self.hung_up || self.effects.contains(&Effect::HangUp));
        }
    }

    fn end_recording(&mut self, from: &[Recording]) {
        assert!(from.contains(&self.recording), "{:?}", self.recording);
        self.recording = Recording::None;
        self.ended += 1;
    }

    /// Presses keys; a key stops an interruptible phrase.
    fn press(&mut self, keys: &str) -> &mut Self {
        for key in keys.chars() {
            self.give(Input::Digit(Digit::from_char(key).unwrap()));
        }
        self
    }

    /// Listens until the phrase or the message has ended.
    fn listen(&mut self) -> &mut Self {
        assert!(self.playing, "nothing is playing");
        self.give(Input::PlaybackDone);
        self
    }

    fn wait(&mut self) -> &mut Self {
        self.give(Input::Timeout);
        self
    }

    /// The call has lasted too long.
    fn end(&mut self) -> &mut Self {
        let effects = self.session.end();
        self.perform(effects);
        self
    }

    fn hang_up(&mut self) -> &mut Self {
        self.give(Input::Hangup);
        self
    }

    /// Messages that were given as all there are become the counts, or the list, that was asked for.
    fn answer(&mut self, answer: Answer) -> &mut Self {
        let answer = match (&self.open, answer) {
            (Some(Question::CountMessages(_)), Answer::Messages(page)) => counted(&page),
            (Some(Question::ListMessages { part, .. }), Answer::Messages(mut page)) => {
                page.messages.retain(|listed| listed.message.folder() == part.folder);
                Answer::Messages(page)
            }
            (_, answer) => answer,
        };
        self.give(Input::Answer(answer));
        self
    }

    fn speak(&mut self, seconds: f64, ended_by: RecordingEnd) -> &mut Self {
        self.give(Input::RecordingDone { kept: Duration::from_secs_f64(seconds), ended_by });
        self
    }

    /// What was to be heard, asked and done since the last look.
    fn look(&mut self) -> String {
        let effects = std::mem::take(&mut self.effects);
        effects.iter().map(describe).collect::<Vec<_>>().join(", ")
    }

    fn forget(&mut self) -> &mut Self {
        self.effects.clear();
        self
    }
}

/// Whether it may be asked for somebody who has not given the passcode.
fn is_for_anybody(question: &Question) -> bool {
    match question {
        Question::PrepareRecording { kind, .. } => *kind == RecordKind::Message,
        Question::FindMailbox(_) | Question::CheckPasscode { .. } | Question::StoreMessage | Question::ConnectOperator(_) => true,
        _ => false,
    }
}

fn takes_the_recording(question: &Question) -> bool {
    match question {
        Question::StoreMessage | Question::SetGreeting(..) | Question::Account(AccountQuestion::SetPhrase(..)) => true,
        Question::SendMessage(letter) => letter.recorded,
        _ => false,
    }
}

/// Every prompt that is played must be one that its language has.
fn expect_in_language(items: &[Item], language: &LanguageCode) {
    let grammar = Grammar::of(language.as_str()).expect("one of ours");
    for item in items {
        if let Item::Prompt(prompt) = item {
            assert!(prompt.is_needed_by(grammar), "{language} has no {}", prompt.name());
        }
    }
}

fn describe(effect: &Effect) -> String {
    match effect {
        Effect::Play { items, .. } => {
            let items = items.iter().filter(|item| !matches!(item, Item::Pause(_)));
            items
                .map(|item| match item {
                    Item::Prompt(prompt) => prompt.name(),
                    Item::Greeting(_) => "GREETING",
                    Item::SpokenName(_) => "NAME",
                    Item::TheRecording => "RECORDING",
                    Item::Pause(_) => "",
                    Item::Beep => "BEEP",
                })
                .collect::<Vec<_>>()
                .join(" ")
        }
        Effect::PlayMessage { id, from, playback, .. } if *playback == Playback::default() => {
            format!("message {id} from {from:?}")
        }
        Effect::PlayMessage { id, from, playback, .. } => {
            format!("message {id} from {from:?} at {:?} {:?}", playback.speed, playback.volume)
        }
        Effect::ChangePlayback(playback) => format!("at {:?} {:?}", playback.speed, playback.volume),
        Effect::StopPlaying => "stop".to_owned(),
        Effect::PausePlaying => "pause".to_owned(),
        Effect::ResumePlaying => "resume".to_owned(),
        Effect::Seek(Seek::Back(by)) => format!("back {by:?}"),
        Effect::Seek(Seek::Ahead(by)) => format!("ahead {by:?}"),
        Effect::Seek(Seek::Start) => "to the start".to_owned(),
        Effect::Record { kind, longest, .. } => format!("record {kind:?} {longest:?}"),
        Effect::RecordMore { longest, .. } => format!("record {longest:?} more"),
        Effect::MarkMessage(Marks { urgent, private }) => format!("urgent {urgent}, private {private}"),
        Effect::StopRecording => "stop recording".to_owned(),
        Effect::DiscardRecording => "discard".to_owned(),
        Effect::Ask(question) => match question {
            Question::PrepareRecording { kind, .. } => format!("prepare {kind:?}?"),
            Question::FindMailbox(Digits(number)) => format!("find {number}?"),
            Question::CheckPasscode { mailbox, digits, own_line } => {
                let mailbox = mailbox.as_ref().map_or("nobody", MailboxId::as_str);
                format!("{mailbox} {}{}?", digits.digits(), if *own_line { " own line" } else { "" })
            }
            Question::StoreMessage => "store?".to_owned(),
            Question::CountMessages(_) => "count?".to_owned(),
            Question::ListMessages { part, .. } => match &part.after {
                None => format!("list {}?", part.folder.as_str()),
                Some(place) => format!("list {} after {}?", part.folder.as_str(), place.id),
            },
            Question::MarkHeard(id, version) => format!("heard {id} v{version}?"),
            Question::Save(id, version) => format!("save {id} v{version}?"),
            Question::KeepAsNew(id, version) => format!("as new {id} v{version}?"),
            Question::Restore(id, version) => format!("restore {id} v{version}?"),
            Question::Mail(id) => format!("mail {id}?"),
            Question::Prefer(_, preferences) => format!("prefer {}?", serde_json::to_string(preferences).unwrap()),
            Question::Delete(id, version) => format!("delete {id} v{version}?"),
            Question::SetGreeting(_, kind) => format!("set {}?", kind.as_str()),
            Question::ChangePasscode(_, passcode) => format!("passcode {}?", passcode.digits()),
            Question::LastCaller(mailbox) => format!("last caller of {mailbox}?"),
            Question::BlockCaller(mailbox, Digits(number)) => format!("block {number} for {mailbox}?"),
            Question::SwitchAnonymous(mailbox) => format!("switch anonymous of {mailbox}?"),
            Question::Account(question) => account::describe(question),
            Question::FindAddressee { sender, number: Digits(number) } => format!("{sender} to {number}?"),
            Question::FindSender(message) => format!("sender of {message}?"),
            Question::SendMessage(letter) => describe_letter(letter),
            Question::SharedMailboxes(owner) => format!("shared of {owner}?"),
            Question::OpenMailbox { mailbox, owner } => format!("open {mailbox} for {owner}?"),
            Question::ConnectOperator(mailbox) => format!("operator of {mailbox}?"),
            Question::MayCallBack(_, message) => format!("may call {message} back?"),
            Question::CallBack(_, message) => format!("call {message} back?"),
        },
        Effect::HangUp => "hang up".to_owned(),
    }
}

fn describe_letter(letter: &Letter) -> String {
    let Letter { kind, sender, to, about, recorded, marks } = letter;
    let to = match to {
        To::Everybody => "everybody".to_owned(),
        To::These(addressees) => {
            let numbers = addressees.iter().map(|it| match it {
                Addressee::Mailbox { number, .. } => number.to_string(),
                Addressee::List { number, .. } => format!("list {number}"),
            });
            numbers.collect::<Vec<_>>().join(" and ")
        }
    };
    let about = about.as_ref().map_or_else(String::new, |message| format!(" about {message}"));
    let words = [(*recorded, " recorded"), (marks.urgent, " urgent"), (marks.private, " private")];
    let words: String = words.iter().filter(|(is_so, _)| *is_so).map(|(_, word)| *word).collect();
    format!("{kind} from {sender} to {to}{about}{words}?")
}

/// Mailbox 1002 or another with this number.
fn addressee(number: &str) -> Addressee {
    Addressee::Mailbox { id: MailboxId::from_stored(number), number: number.parse().unwrap(), spoken_name: None }
}

fn mailbox() -> MailboxView {
    MailboxView {
        tenant: String::new(),
        id: MailboxId::from_stored("ann"),
        also: None,
        number: "1001".parse().unwrap(),
        aliases: vec!["12025550143".parse().unwrap()],
        spoken_name: None,
        greeting: None,
        temporary: None,
        language: "en".to_owned(),
        time_zone: TimeZone::UTC,
        enrolled: true,
        due: Due::NOTHING,
        administrator: false,
        owns_shared: false,
        instructions: false,
        full: false,
        enabled: true,
        operator: false,
        call_back: false,
        preferences: Preferences::default(),
    }
}

/// One whose subscriber has not logged in yet.
fn new_mailbox() -> MailboxView {
    MailboxView { enrolled: false, due: Due::EVERYTHING, ..mailbox() }
}

/// A mailbox that owns [`shared_mailbox`], of an administrator.
fn owner() -> MailboxView {
    MailboxView { owns_shared: true, administrator: true, ..mailbox() }
}

fn shared_mailbox() -> MailboxView {
    MailboxView { id: MailboxId::from_stored("sales"), number: "5001".parse().unwrap(), aliases: vec![], ..mailbox() }
}

fn full_mailbox() -> MailboxView {
    MailboxView { full: true, ..mailbox() }
}

/// A message with this name, left today at nine by 202.
fn message(name: &str) -> Message {
    let deposited_at: Timestamp = "2026-11-20T09:00:00Z".parse().unwrap();
    Message {
        id: MessageId::from_stored(name),
        mailbox: MailboxId::from_stored("ann"),
        caller: Caller { number: Some("202".to_owned()), name: None },
        called: None,
        deposited_at,
        stamp_at: deposited_at,
        expires_at: rules::expiry_after_deposit(deposited_at),
        heard_at: None,
        saved_at: None,
        mailed_at: None,
        deleted_at: None,
        duration: Duration::from_secs(65),
        audio: AudioKey::from_stored(name),
        original_audio: None,
        interrupted: false,
        caller_verified: false,
        urgent: false,
        private: false,
        sent: None,
        version: 1,
    }
}

/// The message with this name that is private in random sessions.
const PRIVATE: &str = "p";

/// A message as a random session finds it.
fn held(name: &str) -> Message {
    Message { private: name == PRIVATE, ..message(name) }
}

fn saved(message: Message) -> Message {
    Message { saved_at: Some(NOW.parse().unwrap()), stamp_at: NOW.parse().unwrap(), version: message.version + 1, ..message }
}

fn heard(message: Message) -> Message {
    Message { heard_at: Some(NOW.parse().unwrap()), version: message.version + 1, ..message }
}

fn messages(messages: &[Message]) -> Answer {
    let messages = messages.iter().map(|message| Listed { message: message.clone(), caller_name: None });
    Answer::Messages(Page { now: NOW.parse().unwrap(), messages: messages.collect(), more: false })
}

fn deleted(message: Message) -> Message {
    Message { deleted_at: Some(NOW.parse().unwrap()), version: message.version + 1, ..message }
}

fn counted(page: &Page) -> Answer {
    let mut counts = Counts::default();
    let mut deleted = 0;
    for Listed { message, .. } in &page.messages {
        counts.add(message.folder(), message.urgent);
        deleted += u32::from(message.deleted_at.is_some());
    }
    Answer::Counted { now: NOW.parse().unwrap(), holdings: Holdings { counts, deleted } }
}

/// One thing that may happen; what cannot happen now is passed over.
#[derive(Clone, Debug)]
enum Happening {
    Keys(&'static str),
    PlaybackDone,
    PlaybackFailed,
    /// The fitting answer.
    Answer,
    /// Any answer, also one to another question.
    Astray(Index),
    Recorded(u64, RecordingEnd),
    Timeout,
    /// Nobody does anything for a long time.
    Silence,
    /// The call has lasted too long.
    End,
    Hangup,
}

fn happening() -> impl Strategy<Value = Happening> {
    let keys = prop::sample::select(vec![
        "0",
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "7",
        "8",
        "9",
        "*",
        "#",
        "#",
        "1001#",
        "49158730#",
        "60718293#",
        "1",
        "3",
        "9",
    ]);
    let end = prop::sample::select(vec![
        RecordingEnd::Digit(Digit::Pound),
        RecordingEnd::Silence,
        RecordingEnd::Longest,
        RecordingEnd::Stopped,
        RecordingEnd::Failed,
        // It pauses a message, in some key maps.
        RecordingEnd::Digit(Digit::Eight),
        RecordingEnd::Digit(Digit::Three),
        RecordingEnd::Digit(Digit::Pound),
        RecordingEnd::Hangup,
    ]);
    prop_oneof![
        10 => keys.prop_map(Happening::Keys),
        8 => Just(Happening::PlaybackDone),
        1 => Just(Happening::PlaybackFailed),
        12 => Just(Happening::Answer),
        1 => any::<Index>().prop_map(Happening::Astray),
        6 => (prop_oneof![1 => Just(0u64), 7 => 0u64..8_000], end).prop_map(|(millis, end)| Happening::Recorded(millis, end)),
        2 => Just(Happening::Timeout),
        1 => Just(Happening::Silence),
        1 => Just(Happening::End),
        1 => Just(Happening::Hangup),
    ]
}

fn fitting(question: &Question, at: usize) -> Answer {
    let mailboxes = [mailbox(), new_mailbox(), MailboxView { enabled: false, ..mailbox() }];
    let lists = [
        messages(&[]),
        messages(&[message("a")]),
        messages(&[message("a"), Message { interrupted: true, ..message("b") }, saved(message("c")), heard(message("d"))]),
        messages(&[held(PRIVATE), message("a")]),
    ];
    match question {
        Question::PrepareRecording { .. } => Answer::RecordingReady,
        Question::FindMailbox(_) => Answer::Mailbox(Some(Box::new(mailboxes[at % 3].clone()))),
        Question::CheckPasscode { .. } => Answer::Passcode(if at.is_multiple_of(5) { Verdict::Wrong } else { Verdict::Right }),
        Question::StoreMessage => Answer::Stored,
        Question::CountMessages(_) => match &lists[at % 4] {
            Answer::Messages(page) => counted(page),
            other => other.clone(),
        },
        Question::ListMessages { part, .. } => match lists[at % 4].clone() {
            Answer::Messages(mut page) => {
                page.messages.retain(|listed| listed.message.folder() == part.folder);
                page.more = at.is_multiple_of(2) && !page.messages.is_empty();
                Answer::Messages(page)
            }
            other => other,
        },
        Question::MarkHeard(id, _) => Answer::Changed(Box::new(heard(held(id.as_str())))),
        Question::Save(id, _) => Answer::Changed(Box::new(saved(held(id.as_str())))),
        Question::KeepAsNew(id, _) | Question::Restore(id, _) => Answer::Changed(Box::new(held(id.as_str()))),
        Question::Delete(id, _) => Answer::Changed(Box::new(deleted(held(id.as_str())))),
        Question::Mail(_) if at.is_multiple_of(2) => Answer::NoMailAddress,
        Question::Mail(_) | Question::Prefer(..) | Question::SetGreeting(..) | Question::ChangePasscode(..) => Answer::Done,
        Question::Account(question) => account::fitting(question, at),
        Question::LastCaller(_) => Answer::LastCaller(Some(Caller { number: Some("202".to_owned()), name: None })),
        Question::BlockCaller(..) => Answer::Done,
        Question::SwitchAnonymous(_) => Answer::AnonymousRefused(at.is_multiple_of(2)),
        Question::FindAddressee { .. } if at.is_multiple_of(4) => Answer::Addressee(None),
        Question::FindAddressee { number: Digits(number), .. } => {
            Answer::Addressee(number.parse().ok().map(|_: crate::domain::mailbox::MailboxNumber| addressee(number)))
        }
        Question::FindSender(_) => Answer::Addressee((!at.is_multiple_of(3)).then(|| addressee("202"))),
        Question::SendMessage(_) => Answer::Sent(SendReport { sent: at as u32 % 3, missed: vec![] }),
        Question::SharedMailboxes(_) => {
            Answer::SharedMailboxes(vec![SharedMailbox { view: shared_mailbox(), new: at as u32 % 3 }])
        }
        Question::OpenMailbox { mailbox, .. } => {
            let view = if mailbox.as_str() == "sales" { shared_mailbox() } else { owner() };
            Answer::Mailbox(Some(Box::new(view)))
        }
        Question::ConnectOperator(_) if at.is_multiple_of(3) => Answer::Transferred,
        Question::ConnectOperator(_) => Answer::NotTransferred,
        Question::MayCallBack(..) if at.is_multiple_of(4) => Answer::CallBackRefused(CallBackRefusal::Unverified),
        Question::MayCallBack(..) => Answer::MayCallBack(Digits("442079460123".to_owned())),
        Question::CallBack(..) => [Answer::Transferred, Answer::NotTransferred][at % 2].clone(),
    }
}

fn live_through(mut telephone: Telephone, happenings: Vec<Happening>) {
    let astray = [
        Answer::RecordingReady,
        Answer::Mailbox(None),
        Answer::Passcode(Verdict::LockedOut),
        Answer::Stored,
        Answer::MailboxFull,
        messages(&[]),
        Answer::Changed(Box::new(message("a"))),
        Answer::Conflict(Some(Box::new(Message { version: 7, ..message("a") }))),
        Answer::Conflict(None),
        Answer::LastCaller(None),
        Answer::AnonymousRefused(true),
        Answer::Account(AccountAnswer::Unfit(Unfit::Silent)),
        Answer::Account(AccountAnswer::NewPasscode(None)),
        Answer::Addressee(None),
        Answer::Addressee(Some(addressee("1002"))),
        Answer::Sent(SendReport::default()),
        Answer::IsPrivate,
        Answer::NobodyThere,
        Answer::SharedMailboxes(vec![]),
        Answer::Transferred,
        Answer::NotTransferred,
        Answer::MayCallBack(Digits("1".to_owned())),
        Answer::CallBackRefused(CallBackRefusal::Off),
        Answer::Done,
        Answer::MailboxGone,
        Answer::Failed,
    ];
    for (at, happening) in happenings.into_iter().enumerate() {
        let open = telephone.open.clone();
        match (happening, open) {
            (Happening::Keys(keys), _) => {
                telephone.press(keys);
            }
            (Happening::PlaybackDone, _) if telephone.playing => telephone.give(Input::PlaybackDone),
            (Happening::PlaybackFailed, _) if telephone.playing => telephone.give(Input::PlaybackFailed),
            (Happening::Answer, Some(question)) => telephone.give(Input::Answer(fitting(&question, at))),
            (Happening::Astray(index), Some(question)) => {
                // A recording cannot be ready that nobody asked for.
                let answer = index.get(&astray).clone();
                let asked = matches!(question, Question::PrepareRecording { .. });
                if asked || answer != Answer::RecordingReady {
                    telephone.give(Input::Answer(answer));
                }
            }
            (Happening::Recorded(millis, ended_by), _) if telephone.recording == Recording::Running => {
                telephone.give(Input::RecordingDone { kept: Duration::from_millis(millis), ended_by });
            }
            (Happening::Timeout, _) => telephone.give(Input::Timeout),
            (Happening::Silence, _) => {
                for _ in 0..4 {
                    if telephone.playing {
                        telephone.listen();
                    }
                    telephone.wait();
                }
            }
            (Happening::End, _) => {
                telephone.end();
            }
            (Happening::Hangup, _) => telephone.give(Input::Hangup),
            _ => {}
        }
    }
    telephone.give(Input::Hangup);
    for at in 0..50 {
        match (telephone.recording, telephone.open.clone()) {
            (Recording::Running, _) => {
                telephone.give(Input::RecordingDone { kept: Duration::from_secs(3), ended_by: RecordingEnd::Stopped });
            }
            (_, Some(question)) => telephone.give(Input::Answer(fitting(&question, at))),
            (_, None) => break,
        }
    }
    assert!(telephone.session.is_over(), "{:?}", telephone.session);
    telephone.press("1").wait();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn whatever_a_caller_does_a_deposit_owes_nothing(happenings in vec(happening(), 0..60)) {
        live_through(Telephone::call(Entry::Deposit { mailbox: mailbox() }), happenings);
    }

    #[test]
    fn whatever_a_caller_of_several_mailboxes_does_nothing_is_owed(happenings in vec(happening(), 0..60), full in any::<bool>()) {
        let also = Some(vec![MailboxId::from_stored("bob")]);
        live_through(Telephone::call(Entry::Deposit { mailbox: MailboxView { also, full, ..mailbox() } }), happenings);
    }

    #[test]
    fn whatever_a_caller_does_who_can_reach_an_operator_nothing_is_owed(happenings in vec(happening(), 0..60), full in any::<bool>()) {
        live_through(Telephone::call(Entry::Deposit { mailbox: MailboxView { operator: true, full, ..mailbox() } }), happenings);
    }

    #[test]
    fn whatever_a_subscriber_does_who_calls_back_nothing_is_owed(happenings in vec(happening(), 0..60)) {
        live_through(transfer::after_the_message(), happenings);
    }

    #[test]
    fn whatever_a_caller_does_to_a_full_mailbox_nothing_is_owed(happenings in vec(happening(), 0..40)) {
        live_through(Telephone::call(Entry::Deposit { mailbox: full_mailbox() }), happenings);
    }

    #[test]
    fn whatever_a_caller_does_where_no_mailbox_is_nothing_is_owed(happenings in vec(happening(), 0..40)) {
        live_through(Telephone::call(Entry::Unavailable), happenings);
    }

    #[test]
    fn whatever_is_typed_as_a_passcode_nothing_is_owed(happenings in vec(happening(), 0..40)) {
        live_through(Telephone::call(Entry::Retrieval { mailbox: Some(mailbox()) }), happenings);
    }

    #[test]
    fn whatever_a_subscriber_does_a_retrieval_owes_nothing(happenings in vec(happening(), 0..100)) {
        live_through(retrieval::logged_in(&[message("a"), saved(message("b"))]), happenings);
    }

    #[test]
    fn whatever_a_subscriber_does_among_the_options_nothing_is_owed(happenings in vec(happening(), 0..60)) {
        live_through(options::options(), happenings);
    }

    #[test]
    fn whatever_a_subscriber_does_after_recording_a_greeting_nothing_is_owed(happenings in vec(happening(), 0..30)) {
        live_through(options::recorded(), happenings);
    }

    #[test]
    fn whatever_is_typed_as_a_mailbox_number_nothing_is_owed(happenings in vec(happening(), 0..60)) {
        live_through(Telephone::call(Entry::Retrieval { mailbox: None }), happenings);
    }

    #[test]
    fn whatever_a_subscriber_does_about_callers_nothing_is_owed(happenings in vec(happening(), 0..40), block in any::<bool>()) {
        let wish = if block { ScreeningWish::BlockLastCaller } else { ScreeningWish::SwitchAnonymous };
        live_through(Telephone::call(Entry::Screening { mailbox: Some(mailbox()), wish }), happenings);
    }

    #[test]
    fn whatever_a_new_subscriber_does_a_first_login_owes_nothing(happenings in vec(happening(), 0..120)) {
        live_through(enrolment::first_login(), happenings);
    }

    #[test]
    fn whatever_a_subscriber_does_with_a_greeting_nothing_is_owed(happenings in vec(happening(), 0..60), key in 1_u8..6) {
        let mut telephone = greetings::greetings();
        telephone.press(&key.to_string());
        live_through(telephone, happenings);
    }

    #[test]
    fn whatever_an_administrator_does_nothing_is_owed(happenings in vec(happening(), 0..80)) {
        live_through(admin::administration(), happenings);
    }
}

#[test]
fn no_silence_lasts_for_ever() {
    for entry in [
        Entry::Deposit { mailbox: mailbox() },
        Entry::Deposit { mailbox: full_mailbox() },
        Entry::Unavailable,
        Entry::Retrieval { mailbox: None },
        Entry::Retrieval { mailbox: Some(mailbox()) },
        Entry::Retrieval { mailbox: Some(new_mailbox()) },
        Entry::Screening { mailbox: None, wish: ScreeningWish::SwitchAnonymous },
        Entry::Screening { mailbox: Some(mailbox()), wish: ScreeningWish::BlockLastCaller },
    ] {
        let mut telephone = Telephone::call(entry);
        telephone.press("1");
        for at in 0..100 {
            match (telephone.playing, telephone.recording, telephone.open.clone()) {
                (_, _, Some(question)) => telephone.give(Input::Answer(fitting(&question, at + 1))),
                (_, Recording::Running, _) => {
                    telephone.speak(0.0, RecordingEnd::Silence);
                }
                (true, _, _) => {
                    telephone.listen();
                }
                _ => {
                    telephone.wait();
                }
            }
        }

        assert!(telephone.session.is_over(), "{:?}", telephone.session);
    }
}
