//! One call from its first phrase to its end: hands each input to the moment the caller is in.

use std::{collections::VecDeque, fmt, time::Duration};

use super::{
    Effect, Entry, Input, Item, MailboxView, PromptId, Question, RecordKind, RecordingEnd, Settings,
    deposit::Deposit,
    enrolment::Enrolment,
    keymap::{self, Action, Digit, KeyMap, Meaning, Menu},
    login::Login,
    options::Options,
    phrase,
    retrieval::Retrieval,
    screening::Screening,
    transfer::{CallBack, ToOperator},
};
use crate::domain::{keys::MenuLength, language::Language, rules};

/// The menus of one call.
pub struct Session {
    call: Call,
    moment: Moment,
    typed_ahead: VecDeque<Digit>,
    /// The caller is gone.
    gone: bool,
    /// The call has lasted long enough.
    is_overdue: bool,
}

/// What is typed ahead may be a passcode.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("moment", &self.moment).finish_non_exhaustive()
    }
}

/// How many keys can be pressed ahead while an answer is awaited.
const MOST_TYPED_AHEAD: usize = 64;

impl Session {
    /// Starts a session and gives its first effects.
    #[must_use]
    pub fn new(entry: Entry, settings: Settings) -> (Self, Vec<Effect>) {
        let keys = keymap::of(settings.keys.of(""));
        let language = settings.first_language(&entry);
        let (pressed, complete, menu_length) = (String::new(), false, settings.menu_length);
        let effects = vec![];
        let (handed_back, hung_up, logged_in, transfers) = (None, false, false, 0);
        let mut call = Call {
            settings,
            language,
            keys,
            menu_length,
            pressed,
            complete,
            handed_back,
            effects,
            hung_up,
            logged_in,
            transfers,
        };
        let moment = match entry {
            Entry::Deposit { mailbox } if mailbox.enabled => Deposit::begin(&mut call, mailbox),
            Entry::Deposit { .. } | Entry::Unavailable => Deposit::turn_away(&mut call, None),
            Entry::Rejected(rejection) => call.part(phrase::rejection(rejection)),
            Entry::Retrieval { mailbox: Some(mailbox) } if mailbox.enabled => Login::begin_on_own_line(&mut call, mailbox, None),
            Entry::Retrieval { .. } => Login::begin_with_number(&mut call, None),
            Entry::Screening { mailbox: Some(mailbox), wish } if mailbox.enabled => {
                Login::begin_on_own_line(&mut call, mailbox, Some(wish))
            }
            Entry::Screening { wish, .. } => Login::begin_with_number(&mut call, Some(wish)),
        };
        let effects = std::mem::take(&mut call.effects);
        (Self { call, moment, typed_ahead: VecDeque::new(), gone: false, is_overdue: false }, effects)
    }

    /// Takes what happened and gives what has to be done.
    pub fn handle(&mut self, input: Input) -> Vec<Effect> {
        match input {
            Input::Digit(digit) if self.moment.wait() == Wait::Answer => {
                if self.typed_ahead.len() < MOST_TYPED_AHEAD && !self.call.hung_up && !self.is_overdue {
                    self.typed_ahead.push_back(digit);
                }
            }
            Input::Hangup if self.gone => {}
            Input::Hangup => {
                self.gone = true;
                self.call.hung_up = true;
                self.step(Input::Hangup);
            }
            Input::RecordingDone { ended_by: RecordingEnd::Hangup, .. } => {
                self.gone = true;
                self.call.hung_up = true;
                self.step(input);
            }
            Input::Timeout if self.awaits_further_keys() => self.complete_keys(),
            Input::Digit(_)
            | Input::PlaybackDone
            | Input::PlaybackFailed
            | Input::RecordingDone { .. }
            | Input::Timeout
            | Input::Answer(_) => self.step(input),
        }
        self.hand_in_what_was_typed();
        self.wind_up();
        std::mem::take(&mut self.call.effects)
    }

    /// Ends a call that has lasted [`Session::longest`], and gives what has to be done: what is being recorded is recorded to its end,
    /// then everything is as if the caller had hung up, and goodbye is said.
    pub fn end(&mut self) -> Vec<Effect> {
        self.is_overdue = true;
        self.typed_ahead.clear();
        self.wind_up();
        std::mem::take(&mut self.call.effects)
    }

    /// How long this call may last. It is longer once the passcode was given.
    #[must_use]
    pub fn longest(&self) -> Duration {
        if self.call.logged_in { rules::LONGEST_CALL } else { rules::LONGEST_CALL_BEFORE_LOGIN }
    }

    /// After how long without an input `Timeout` is due; `None` once the session is over.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        match self.moment.wait() {
            Wait::Phrase | Wait::Keys(_) if self.awaits_further_keys() => Some(FURTHER_KEY),
            // A phrase ends by itself; the deadline is for one that never does.
            Wait::Phrase => Some(rules::LONGEST_FORWARDED * 2),
            Wait::Keys(wait) => Some(wait),
            Wait::Answer => Some(ONE_MOMENT),
            Wait::Recording(longest) => Some(longest + Duration::from_secs(10)),
            Wait::Nothing => None,
        }
    }

    /// Whether nothing more comes of this session.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.moment, Moment::Over)
    }

    fn step(&mut self, input: Input) {
        let moment = std::mem::replace(&mut self.moment, Moment::Over);
        self.moment = moment.step(input, &mut self.call);
        if let Some(digit) = self.call.handed_back.take() {
            self.typed_ahead.push_front(digit);
        }
    }

    /// Whether keys were pressed that begin those of an action.
    fn awaits_further_keys(&self) -> bool {
        !self.call.pressed.is_empty() && matches!(self.moment.wait(), Wait::Phrase | Wait::Keys(_))
    }

    /// No further key came: hands in the last one again, as the end of what was pressed.
    fn complete_keys(&mut self) {
        let last = self.call.pressed.pop().and_then(Digit::from_char);
        self.call.complete = true;
        if let Some(digit) = last {
            self.step(Input::Digit(digit));
        }
        self.call.complete = false;
        self.call.pressed.clear();
    }

    fn hand_in_what_was_typed(&mut self) {
        loop {
            match self.moment.wait() {
                Wait::Answer => return,
                // What is pressed once a recording runs belongs to the recording.
                Wait::Recording(_) | Wait::Nothing => self.typed_ahead.clear(),
                Wait::Phrase | Wait::Keys(_) => {}
            }
            let Some(digit) = self.typed_ahead.pop_front() else { return };
            if let Some(Effect::Play { interruptible: true, .. }) = self.call.effects.last() {
                self.call.effects.push(Effect::StopPlaying);
            }
            self.step(Input::Digit(digit));
        }
    }

    /// Once the caller is gone, every moment that awaits nothing is told so, until the session is over. After too long a call the
    /// moments are told the same, and then the caller is who is told.
    fn wind_up(&mut self) {
        let is_parting = matches!(self.moment, Moment::Parting);
        if self.is_overdue && !is_parting && matches!(self.moment.wait(), Wait::Phrase | Wait::Keys(_)) {
            self.call.hung_up = true;
        }
        while self.call.hung_up && matches!(self.moment.wait(), Wait::Phrase | Wait::Keys(_)) {
            self.step(Input::Hangup);
        }
        if self.is_overdue && self.call.hung_up && !self.gone && self.is_over() {
            self.call.hung_up = false;
            self.moment = self.call.part(phrase::say([PromptId::Goodbye]));
        }
    }
}

/// After how long an unanswered question is excused to the caller.
const ONE_MOMENT: Duration = Duration::from_secs(5);

/// How long a further key is waited for where one key, or two, begin the keys of an action.
const FURTHER_KEY: Duration = Duration::from_secs(2);

/// Where the caller is.
#[derive(Debug)]
pub(super) enum Moment {
    Deposit(Box<Deposit>),
    Login(Box<Login>),
    Enrolment(Box<Enrolment>),
    Retrieval(Box<Retrieval>),
    Options(Box<Options>),
    Screening(Box<Screening>),
    ToOperator(Box<ToOperator>),
    CallBack(Box<CallBack>),
    /// The last words are being said.
    Parting,
    Over,
}

impl Moment {
    fn step(self, input: Input, call: &mut Call) -> Self {
        match self {
            Self::Deposit(deposit) => deposit.step(input, call),
            Self::Login(login) => login.step(input, call),
            Self::Enrolment(enrolment) => enrolment.step(input, call),
            Self::Retrieval(retrieval) => retrieval.step(input, call),
            Self::Options(options) => options.step(input, call),
            Self::Screening(screening) => screening.step(input, call),
            Self::ToOperator(operator) => operator.step(input, call),
            Self::CallBack(call_back) => call_back.step(input, call),
            Self::Parting => parting(input, call),
            Self::Over => Self::Over,
        }
    }

    fn wait(&self) -> Wait {
        match self {
            Self::Deposit(deposit) => deposit.wait(),
            Self::Login(login) => login.wait(),
            Self::Enrolment(enrolment) => enrolment.wait(),
            Self::Retrieval(retrieval) => retrieval.wait(),
            Self::Options(options) => options.wait(),
            Self::Screening(screening) => screening.wait(),
            Self::ToOperator(operator) => operator.wait(),
            Self::CallBack(call_back) => call_back.wait(),
            Self::Parting => Wait::Phrase,
            Self::Over => Wait::Nothing,
        }
    }
}

fn parting(input: Input, call: &mut Call) -> Moment {
    match input {
        Input::PlaybackDone | Input::PlaybackFailed | Input::Timeout => call.hang_up(),
        Input::Hangup => Moment::Over,
        Input::Digit(_) | Input::RecordingDone { .. } | Input::Answer(_) => Moment::Parting,
    }
}

/// What a moment awaits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// The end of a phrase, or a key.
    Phrase,
    /// A key, so long.
    Keys(Duration),
    /// The answer to a question; keys wait as well.
    Answer,
    /// The end of a recording that may get so long.
    Recording(Duration),
    Nothing,
}

/// What all moments share: the settings, the keys, the effects so far, and whether anybody still listens.
pub(super) struct Call {
    pub settings: Settings,
    language: Language,
    keys: &'static KeyMap,
    menu_length: MenuLength,
    /// The signs of the keys that begin those of an action.
    pressed: String,
    /// Whether no further key follows those pressed.
    complete: bool,
    /// A key that the moment left to the next one.
    handed_back: Option<Digit>,
    effects: Vec<Effect>,
    /// Whether the caller is gone, or is taken to be.
    hung_up: bool,
    /// Whether the passcode was given.
    logged_in: bool,
    /// How often an operator was called.
    pub transfers: u32,
}

impl Call {
    /// Whether the caller is gone: then nothing is played any more, and moments end.
    pub fn hung_up(&self) -> bool {
        self.hung_up
    }

    /// Whether the caller can be connected with the operator of a mailbox.
    pub fn may_reach_operator(&self, mailbox: Option<&MailboxView>) -> bool {
        mailbox.is_some_and(|mailbox| mailbox.operator) && rules::admits_transfer(self.transfers)
    }

    /// From here on the language, the keys, and how much is told of them, are those of `mailbox`.
    pub fn follow(&mut self, mailbox: &MailboxView) {
        self.keys = keymap::of(mailbox.preferences.keys.unwrap_or_else(|| self.settings.keys.of(&mailbox.tenant)));
        self.menu_length = mailbox.preferences.menu_length.unwrap_or(self.settings.menu_length);
        self.pressed.clear();
    }

    /// From here on the caller is the subscriber of `mailbox`, and is spoken to in the subscriber's language.
    pub fn let_in(&mut self, mailbox: &MailboxView) {
        self.logged_in = true;
        self.language = self.settings.languages.spoken(Some(&mailbox.language), mailbox.preferences.clock);
    }

    /// The language that is spoken.
    pub fn language(&self) -> &Language {
        &self.language
    }

    /// What the tenant says before a login.
    pub fn welcome(&self) -> Vec<Item> {
        self.settings.phrases.welcome.clone().map(Item::Greeting).into_iter().collect()
    }

    /// What each key does.
    pub fn keys(&self) -> &'static KeyMap {
        self.keys
    }

    /// Whether everything is told that can be done, and not only what is needed most.
    pub fn tells_all(&self) -> bool {
        self.menu_length == MenuLength::Full
    }

    /// What `digit` means in `menu`, after the keys pressed before it. While it only begins something, the moment stays.
    pub fn key<A: Action>(&mut self, menu: Menu<A>, digit: Digit) -> Meaning<A> {
        self.pressed.push(digit.as_char());
        let meaning = keymap::meaning(menu, &self.pressed, self.complete);
        if meaning != Meaning::Begins {
            self.pressed.clear();
        }
        meaning
    }

    /// What the keys pressed so far mean in `menu`, which is left: no further one belongs to them.
    pub fn complete_key<A: Action>(&mut self, menu: Menu<A>) -> Meaning<A> {
        keymap::meaning(menu, &std::mem::take(&mut self.pressed), true)
    }

    /// Leaves a key to what follows, as if it was pressed only then.
    pub fn hand_back(&mut self, digit: Digit) {
        self.handed_back = Some(digit);
    }

    pub fn effect(&mut self, effect: Effect) {
        if !self.hung_up {
            self.effects.push(effect);
        }
    }

    /// Plays a phrase that any key stops.
    pub fn ask_caller(&mut self, items: Vec<Item>) {
        let language = self.language.code.clone();
        self.effect(Effect::Play { items, language, interruptible: true });
    }

    /// Plays a phrase that only we stop.
    pub fn tell(&mut self, items: Vec<Item>) {
        let language = self.language.code.clone();
        self.effect(Effect::Play { items, language, interruptible: false });
    }

    pub fn ask(&mut self, question: Question) {
        self.effects.push(Effect::Ask(question));
    }

    /// Says that it takes a moment, if a question is still open.
    pub fn excuse(&mut self) {
        self.tell(phrase::say([PromptId::OneMoment]));
    }

    pub fn beep(&mut self) {
        self.tell(vec![Item::Beep]);
    }

    pub fn record(&mut self, kind: RecordKind, longest: Duration) {
        let trailing_silence = self.settings.trailing_silence;
        let end_digits = match kind {
            RecordKind::Message => self.keys_while_recording(),
            _ => self.keys.end_recording.to_vec(),
        };
        self.pressed.clear();
        self.effects.push(Effect::Record { kind, longest, trailing_silence, end_digits });
    }

    /// Goes on with a message.
    pub fn record_more(&mut self, longest: Duration) {
        let (trailing_silence, end_digits) = (self.settings.trailing_silence, self.keys_while_recording());
        self.pressed.clear();
        self.effects.push(Effect::RecordMore { longest, trailing_silence, end_digits });
    }

    /// The keys that end or pause the recording of a message.
    fn keys_while_recording(&self) -> Vec<Digit> {
        [self.keys.end_recording, self.keys.pause_recording].concat()
    }

    pub fn stop_recording(&mut self) {
        self.effects.push(Effect::StopRecording);
    }

    pub fn discard_recording(&mut self) {
        self.effects.push(Effect::DiscardRecording);
    }

    /// Says the last words, then hangs up.
    pub fn part(&mut self, items: Vec<Item>) -> Moment {
        self.tell(items);
        Moment::Parting
    }

    pub fn hang_up(&mut self) -> Moment {
        self.effect(Effect::HangUp);
        Moment::Over
    }
}
