//! A caller leaves a message: greeting, beep, recording, review.

use std::time::Duration;

use super::{
    Answer, Effect, Input, Item, MailboxView, PromptId, Question, RecordKind, RecordingEnd,
    asking::Asking,
    keymap::{self, GreetingAction, Meaning, ReviewAction},
    login::Login,
    phrase::{self, say},
    session::{Call, Moment, Wait},
    transfer::ToOperator,
};
use crate::domain::{message::Marks, rules};

/// How often a recording may be too short before we give up on the line.
const TRIES: u32 = 3;
/// How long a pause may be before it is asked whether it goes on.
const PAUSE: Duration = Duration::from_secs(30);
/// How long a caller who cannot leave a message still may log in.
const LAST_CHANCE: Duration = Duration::from_secs(3);

/// A deposit in progress.
#[derive(Debug)]
pub(super) struct Deposit {
    /// None when there is no such mailbox, or none that takes messages.
    mailbox: Option<MailboxView>,
    tries_left: u32,
    /// How much of the message is there already.
    taken: Duration,
    marks: Marks,
    state: State,
}

#[derive(Debug)]
enum State {
    /// What comes before the beep is being said.
    Greeting,
    /// The caller is being told that no message can be left.
    TurnedAway {
        speaking: bool,
    },
    /// The journal is being opened.
    Preparing,
    Beep {
        /// Whether what follows goes behind what was recorded before, be it as good as nothing.
        goes_on: bool,
    },
    Recording {
        /// Whether a key was pressed that pauses it.
        pausing: bool,
    },
    Paused(Asking),
    Review(Asking),
    Storing,
}

impl Deposit {
    pub fn begin(call: &mut Call, mailbox: MailboxView) -> Moment {
        call.follow(&mailbox);
        if mailbox.full {
            return Self::turn_away(call, Some(mailbox));
        }
        let greeting = phrase::greeting(call.language(), &mailbox);
        Self::speak(call, mailbox, greeting)
    }

    /// Takes a message after these words, and not after the greeting, which was heard.
    pub fn begin_after(call: &mut Call, mailbox: MailboxView, mut preface: Vec<Item>) -> Moment {
        preface.extend([phrase::BREATH, Item::Prompt(PromptId::LeaveMessage)]);
        Self::speak(call, mailbox, preface)
    }

    fn speak(call: &mut Call, mailbox: MailboxView, items: Vec<Item>) -> Moment {
        call.tell(items);
        Self { mailbox: Some(mailbox), tries_left: TRIES, taken: Duration::ZERO, marks: Marks::default(), state: State::Greeting }
            .into()
    }

    /// A full mailbox says so after its greeting, before any beep. An unknown and a disabled one cannot be told apart.
    pub fn turn_away(call: &mut Call, mailbox: Option<MailboxView>) -> Moment {
        let greeting = mailbox.as_ref().and_then(|mailbox| mailbox.greeting.clone());
        Self::refuse(call, mailbox, greeting.map(Item::Greeting).into_iter().collect())
    }

    /// Says that the mailbox is full, after these words.
    pub fn turn_away_after(call: &mut Call, mailbox: MailboxView, preface: Vec<Item>) -> Moment {
        Self::refuse(call, Some(mailbox), preface)
    }

    fn refuse(call: &mut Call, mailbox: Option<MailboxView>, mut items: Vec<Item>) -> Moment {
        items.push(match &call.settings.phrases.no_mailbox {
            _ if mailbox.is_some() => Item::Prompt(PromptId::MailboxFull),
            Some(phrase) => Item::Greeting(phrase.clone()),
            None => Item::Prompt(PromptId::NoMessagesHere),
        });
        items.push(Item::Prompt(PromptId::Goodbye));
        call.tell(items);
        Self {
            mailbox,
            tries_left: 0,
            taken: Duration::ZERO,
            marks: Marks::default(),
            state: State::TurnedAway { speaking: true },
        }
        .into()
    }

    pub fn step(mut self, input: Input, call: &mut Call) -> Moment {
        match std::mem::replace(&mut self.state, State::Greeting) {
            State::Greeting => self.greeting(input, call),
            State::TurnedAway { speaking } => self.turned_away(speaking, input, call),
            State::Preparing => self.preparing(input, call),
            State::Beep { goes_on } => self.beep(goes_on, input, call),
            State::Recording { pausing } => self.recording(pausing, input, call),
            State::Paused(asking) => self.paused(asking, input, call),
            State::Review(asking) => self.review(asking, input, call),
            State::Storing => self.storing(input, call),
        }
    }

    pub fn wait(&self) -> Wait {
        match &self.state {
            State::Greeting | State::TurnedAway { speaking: true } | State::Beep { .. } => Wait::Phrase,
            State::TurnedAway { speaking: false } => Wait::Keys(LAST_CHANCE),
            State::Preparing | State::Storing => Wait::Answer,
            State::Recording { .. } => Wait::Recording(rules::room_in_message(self.taken)),
            State::Paused(asking) => match asking.wait() {
                Wait::Keys(_) => Wait::Keys(PAUSE),
                other => other,
            },
            State::Review(asking) => asking.wait(),
        }
    }

    fn greeting(self, input: Input, call: &mut Call) -> Moment {
        match input {
            Input::Digit(digit) => match call.key(call.keys().greeting, digit) {
                Meaning::Does(GreetingAction::SkipGreeting) => {
                    call.effect(Effect::StopPlaying);
                    self.prepare(call)
                }
                Meaning::Does(GreetingAction::LogIn) => self.log_in(call),
                Meaning::Does(GreetingAction::Operator) => self.operator(State::Greeting, call),
                // A slip of the finger does not cut the greeting off.
                Meaning::Begins | Meaning::Nothing => self.at(State::Greeting),
            },
            Input::PlaybackDone | Input::PlaybackFailed | Input::Timeout => self.prepare(call),
            Input::Hangup => Moment::Over,
            Input::RecordingDone { .. } | Input::Answer(_) => self.at(State::Greeting),
        }
    }

    fn turned_away(self, speaking: bool, input: Input, call: &mut Call) -> Moment {
        match input {
            Input::Digit(digit) => match call.key(call.keys().greeting, digit) {
                Meaning::Does(GreetingAction::LogIn) => self.log_in(call),
                Meaning::Does(GreetingAction::Operator) => self.operator(State::TurnedAway { speaking }, call),
                Meaning::Does(GreetingAction::SkipGreeting) | Meaning::Begins | Meaning::Nothing => {
                    self.at(State::TurnedAway { speaking })
                }
            },
            Input::PlaybackDone | Input::PlaybackFailed => self.at(State::TurnedAway { speaking: false }),
            Input::Timeout => call.hang_up(),
            Input::Hangup => Moment::Over,
            Input::RecordingDone { .. } | Input::Answer(_) => self.at(State::TurnedAway { speaking }),
        }
    }

    fn preparing(self, input: Input, call: &mut Call) -> Moment {
        match input {
            Input::Answer(Answer::RecordingReady) => {
                if self.marks != Marks::default() {
                    call.effect(Effect::MarkMessage(self.marks));
                }
                call.beep();
                self.at(State::Beep { goes_on: false })
            }
            Input::Answer(Answer::MailboxFull) => Self::turn_away(call, self.mailbox),
            Input::Answer(Answer::MailboxGone) => Self::turn_away(call, None),
            Input::Answer(_) => call.part(say([PromptId::CannotRecord, PromptId::Goodbye])),
            Input::Timeout => {
                call.excuse();
                self.at(State::Preparing)
            }
            Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
                self.at(State::Preparing)
            }
        }
    }

    fn beep(self, goes_on: bool, input: Input, call: &mut Call) -> Moment {
        match input {
            // Who is adding to a message wants neither to log in nor to go elsewhere.
            Input::Digit(_) if goes_on => self.at(State::Beep { goes_on }),
            Input::Digit(digit) => match call.key(call.keys().greeting, digit) {
                Meaning::Does(GreetingAction::LogIn) => {
                    call.discard_recording();
                    self.log_in(call)
                }
                Meaning::Does(GreetingAction::Operator) if call.may_reach_operator(self.mailbox.as_ref()) => {
                    call.discard_recording();
                    self.operator(State::Beep { goes_on }, call)
                }
                Meaning::Does(GreetingAction::Operator | GreetingAction::SkipGreeting) | Meaning::Begins | Meaning::Nothing => {
                    self.at(State::Beep { goes_on })
                }
            },
            Input::PlaybackDone | Input::PlaybackFailed | Input::Timeout => {
                if goes_on {
                    call.record_more(rules::room_in_message(self.taken));
                } else {
                    call.record(RecordKind::Message, rules::LONGEST_MESSAGE);
                }
                self.at(State::Recording { pausing: false })
            }
            Input::Hangup => self.keep_or_drop(call),
            Input::RecordingDone { .. } | Input::Answer(_) => self.at(State::Beep { goes_on }),
        }
    }

    fn recording(self, pausing: bool, input: Input, call: &mut Call) -> Moment {
        match input {
            Input::RecordingDone { kept, ended_by } => {
                let key_pauses = matches!(ended_by, RecordingEnd::Digit(digit) if call.keys().pause_recording.contains(&digit));
                if key_pauses || (pausing && ended_by == RecordingEnd::Stopped) {
                    Self { taken: kept, ..self }.pause(call)
                } else {
                    self.recorded(kept, ended_by, call)
                }
            }
            Input::Digit(digit) => {
                // A key that did not come in the media stream, such as one by INFO.
                let pauses = call.keys().pause_recording.contains(&digit);
                if pauses || call.keys().end_recording.contains(&digit) {
                    call.stop_recording();
                }
                self.at(State::Recording { pausing: pauses })
            }
            Input::Timeout | Input::Hangup => {
                call.stop_recording();
                self.at(State::Recording { pausing: false })
            }
            Input::PlaybackDone | Input::PlaybackFailed | Input::Answer(_) => self.at(State::Recording { pausing }),
        }
    }

    fn pause(self, call: &mut Call) -> Moment {
        if call.hung_up() {
            return self.keep_or_drop(call);
        }
        let to_go_on = call.keys().pause_recording.iter().take(1).flat_map(|key| keymap::press(&key.as_char().to_string()));
        let menu = [say([PromptId::RecordingPaused, PromptId::ToGoOn]), to_go_on.collect()].concat();
        let asking = Asking::begin(call, vec![], menu);
        self.at(State::Paused(asking))
    }

    fn paused(self, asking: Asking, input: Input, call: &mut Call) -> Moment {
        match input {
            Input::Digit(digit) if call.keys().pause_recording.contains(&digit) => self.go_on(call),
            Input::Digit(digit) if call.keys().end_recording.contains(&digit) => {
                let taken = self.taken;
                self.recorded(taken, RecordingEnd::Digit(digit), call)
            }
            Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed => self.at(State::Paused(asking.silent())),
            Input::Timeout => match asking.nothing_came(call) {
                Some(asking) => self.at(State::Paused(asking)),
                None => {
                    let taken = self.taken;
                    self.recorded(taken, RecordingEnd::Silence, call)
                }
            },
            Input::Hangup => self.keep_or_drop(call),
            Input::RecordingDone { .. } | Input::Answer(_) => self.at(State::Paused(asking)),
        }
    }

    /// Goes on recording behind what there is, after a beep.
    fn go_on(self, call: &mut Call) -> Moment {
        if rules::room_in_message(self.taken).is_zero() {
            let taken = self.taken;
            return self.recorded(taken, RecordingEnd::Longest, call);
        }
        call.beep();
        self.at(State::Beep { goes_on: true })
    }

    /// After a hang-up: what was said is kept, if it is a message already.
    fn keep_or_drop(self, call: &mut Call) -> Moment {
        if rules::is_long_enough(self.taken, call.settings.shortest_message) {
            return self.store(call);
        }
        call.discard_recording();
        Moment::Over
    }

    fn recorded(mut self, kept: Duration, ended_by: RecordingEnd, call: &mut Call) -> Moment {
        self.taken = kept;
        if !rules::is_long_enough(kept, call.settings.shortest_message) {
            call.discard_recording();
            self.taken = Duration::ZERO;
            self.tries_left = self.tries_left.saturating_sub(1);
            if call.hung_up() {
                return Moment::Over;
            }
            if ended_by == RecordingEnd::Failed {
                return call.part(say([PromptId::CannotRecord, PromptId::Goodbye]));
            }
            if self.tries_left == 0 {
                return call.part(say([PromptId::NotLeft, PromptId::Goodbye]));
            }
            call.tell(say([PromptId::TooShort]));
            return self.at(State::Greeting);
        }
        if call.hung_up() {
            return self.store(call);
        }
        let asking = Asking::begin(call, phrase::cut_off(ended_by), self.told(call));
        self.at(State::Review(asking))
    }

    fn review(self, asking: Asking, input: Input, call: &mut Call) -> Moment {
        match input {
            Input::Digit(digit) => match call.key(call.keys().review, digit) {
                Meaning::Does(ReviewAction::Accept) => self.store(call),
                Meaning::Does(ReviewAction::Listen) => {
                    let asking = asking.repeat(call, vec![Item::TheRecording, phrase::BREATH]);
                    self.at(State::Review(asking))
                }
                Meaning::Does(ReviewAction::RecordAgain) => {
                    call.discard_recording();
                    Self { taken: Duration::ZERO, ..self }.prepare(call)
                }
                Meaning::Does(ReviewAction::Add) => {
                    call.effect(Effect::StopPlaying);
                    self.go_on(call)
                }
                Meaning::Does(ReviewAction::Urgent) => {
                    let marks = Marks { urgent: !self.marks.urgent, ..self.marks };
                    let said = if marks.urgent { PromptId::MarkedUrgent } else { PromptId::NotUrgent };
                    self.mark(marks, said, asking, call)
                }
                Meaning::Does(ReviewAction::Private) => {
                    let marks = Marks { private: !self.marks.private, ..self.marks };
                    let said = if marks.private { PromptId::MarkedPrivate } else { PromptId::NotPrivate };
                    self.mark(marks, said, asking, call)
                }
                Meaning::Does(ReviewAction::Cancel) => {
                    call.discard_recording();
                    call.part(say([PromptId::MessageCancelled, PromptId::Goodbye]))
                }
                Meaning::Does(ReviewAction::Operator) => match self.mailbox {
                    Some(mailbox) if call.may_reach_operator(Some(&mailbox)) => ToOperator::begin_after_recording(call, mailbox),
                    mailbox => {
                        let asking = asking.repeat(call, say([PromptId::InvalidChoice]));
                        Self { mailbox, ..self }.at(State::Review(asking))
                    }
                },
                Meaning::Begins => self.at(State::Review(asking.silent())),
                Meaning::Nothing => {
                    let asking = asking.repeat(call, say([PromptId::InvalidChoice]));
                    self.at(State::Review(asking))
                }
            },
            Input::PlaybackDone | Input::PlaybackFailed => self.at(State::Review(asking.silent())),
            Input::Timeout => match asking.nothing_came(call) {
                Some(asking) => self.at(State::Review(asking)),
                None => self.store(call),
            },
            // Most callers finish by hanging up: what they said is kept.
            Input::Hangup => self.store(call),
            Input::RecordingDone { .. } | Input::Answer(_) => self.at(State::Review(asking)),
        }
    }

    fn storing(self, input: Input, call: &mut Call) -> Moment {
        match input {
            Input::Answer(Answer::Stored) => call.part(say([PromptId::MessageSent, PromptId::Goodbye])),
            Input::Answer(Answer::MailboxFull) => call.part(say([PromptId::BecameFull, PromptId::Goodbye])),
            Input::Answer(Answer::NothingSaid) => call.part(say([PromptId::NothingSaid, PromptId::Goodbye])),
            Input::Answer(Answer::MailboxGone) => call.part(say([PromptId::NoMessagesHere, PromptId::Goodbye])),
            Input::Answer(_) => call.part(say([PromptId::NotSaved, PromptId::Goodbye])),
            Input::Timeout => {
                call.excuse();
                self.at(State::Storing)
            }
            Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
                self.at(State::Storing)
            }
        }
    }

    fn mark(self, marks: Marks, said: PromptId, asking: Asking, call: &mut Call) -> Moment {
        call.effect(Effect::MarkMessage(marks));
        let asking = asking.repeat(call, say([said]));
        Self { marks, ..self }.at(State::Review(asking))
    }

    fn prepare(self, call: &mut Call) -> Moment {
        match &self.mailbox {
            Some(mailbox) => {
                let also = mailbox.also.clone().unwrap_or_default();
                call.ask(Question::PrepareRecording { kind: RecordKind::Message, mailbox: mailbox.id.clone(), also });
                self.at(State::Preparing)
            }
            None => Self::turn_away(call, None),
        }
    }

    fn store(self, call: &mut Call) -> Moment {
        call.effect(Effect::StopPlaying);
        call.ask(Question::StoreMessage);
        self.at(State::Storing)
    }

    /// What can be done with the recording.
    fn told(&self, call: &Call) -> Vec<Item> {
        let may_reach_operator = call.may_reach_operator(self.mailbox.as_ref());
        let has_room = !rules::room_in_message(self.taken).is_zero();
        keymap::tell(call.keys().review, |action| match action {
            ReviewAction::Operator => may_reach_operator,
            ReviewAction::Add => has_room,
            _ => true,
        })
    }

    /// Has the caller connected with the operator, if there is one; no message is left then.
    fn operator(self, state: State, call: &mut Call) -> Moment {
        match self.mailbox {
            Some(mailbox) if call.may_reach_operator(Some(&mailbox)) => ToOperator::begin(call, mailbox),
            mailbox => Self { mailbox, ..self }.at(state),
        }
    }

    fn log_in(self, call: &mut Call) -> Moment {
        match self.mailbox {
            // Whose passcode it would be is not known.
            Some(MailboxView { also: Some(_), .. }) => Login::begin_with_number(call, None),
            mailbox => Login::begin_from_greeting(call, mailbox),
        }
    }

    fn at(self, state: State) -> Moment {
        Self { state, ..self }.into()
    }
}

impl From<Deposit> for Moment {
    fn from(deposit: Deposit) -> Self {
        Self::Deposit(Box::new(deposit))
    }
}
