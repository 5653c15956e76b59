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
use crate::domain::rules;

/// How often a recording may be too short before we give up on the line.
const TRIES: u32 = 3;
/// How long a caller who cannot leave a message still may log in.
const LAST_CHANCE: Duration = Duration::from_secs(3);

/// A deposit in progress.
#[derive(Debug)]
pub(super) struct Deposit {
    /// None when there is no such mailbox, or none that takes messages.
    mailbox: Option<MailboxView>,
    tries_left: u32,
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
    Beep,
    Recording,
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
        Self { mailbox: Some(mailbox), tries_left: TRIES, state: State::Greeting }.into()
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
        Self { mailbox, tries_left: 0, state: State::TurnedAway { speaking: true } }.into()
    }

    pub fn step(mut self, input: Input, call: &mut Call) -> Moment {
        match std::mem::replace(&mut self.state, State::Greeting) {
            State::Greeting => self.greeting(input, call),
            State::TurnedAway { speaking } => self.turned_away(speaking, input, call),
            State::Preparing => self.preparing(input, call),
            State::Beep => self.beep(input, call),
            State::Recording => self.recording(input, call),
            State::Review(asking) => self.review(asking, input, call),
            State::Storing => self.storing(input, call),
        }
    }

    pub fn wait(&self) -> Wait {
        match &self.state {
            State::Greeting | State::TurnedAway { speaking: true } | State::Beep => Wait::Phrase,
            State::TurnedAway { speaking: false } => Wait::Keys(LAST_CHANCE),
            State::Preparing | State::Storing => Wait::Answer,
            State::Recording => Wait::Recording(rules::LONGEST_MESSAGE),
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
                call.beep();
                self.at(State::Beep)
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

    fn beep(self, input: Input, call: &mut Call) -> Moment {
        match input {
            Input::Digit(digit) => match call.key(call.keys().greeting, digit) {
                Meaning::Does(GreetingAction::LogIn) => {
                    call.discard_recording();
                    self.log_in(call)
                }
                Meaning::Does(GreetingAction::Operator) if call.may_reach_operator(self.mailbox.as_ref()) => {
                    call.discard_recording();
                    self.operator(State::Beep, call)
                }
                Meaning::Does(GreetingAction::Operator | GreetingAction::SkipGreeting) | Meaning::Begins | Meaning::Nothing => {
                    self.at(State::Beep)
                }
            },
            Input::PlaybackDone | Input::PlaybackFailed | Input::Timeout => {
                call.record(RecordKind::Message, rules::LONGEST_MESSAGE);
                self.at(State::Recording)
            }
            Input::Hangup => {
                call.discard_recording();
                Moment::Over
            }
            Input::RecordingDone { .. } | Input::Answer(_) => self.at(State::Beep),
        }
    }

    fn recording(self, input: Input, call: &mut Call) -> Moment {
        match input {
            Input::RecordingDone { kept, ended_by } => self.recorded(kept, ended_by, call),
            Input::Digit(digit) => {
                // An end digit that did not come in the media stream, such as one by INFO.
                if call.keys().end_recording.contains(&digit) {
                    call.stop_recording();
                }
                self.at(State::Recording)
            }
            Input::Timeout | Input::Hangup => {
                call.stop_recording();
                self.at(State::Recording)
            }
            Input::PlaybackDone | Input::PlaybackFailed | Input::Answer(_) => self.at(State::Recording),
        }
    }

    fn recorded(mut self, kept: Duration, ended_by: RecordingEnd, call: &mut Call) -> Moment {
        if !rules::is_long_enough(kept, call.settings.shortest_message) {
            call.discard_recording();
            self.tries_left = self.tries_left.saturating_sub(1);
            if call.hung_up() {
                return Moment::Over;
            }
            if ended_by == RecordingEnd::Failed {
                return call.part(say([PromptId::CannotRecord, PromptId::Goodbye]));
            }
            if self.tries_left == 0 {
                return call.part(say([PromptId::Goodbye]));
            }
            call.tell(say([PromptId::TooShort]));
            return self.at(State::Greeting);
        }
        if call.hung_up() {
            return self.store(call);
        }
        let preface = match ended_by {
            RecordingEnd::Longest => say([PromptId::LongestReached]),
            RecordingEnd::Digit(_)
            | RecordingEnd::Silence
            | RecordingEnd::Stopped
            | RecordingEnd::Hangup
            | RecordingEnd::Failed => vec![],
        };
        let asking = Asking::begin(call, preface, self.told(call));
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
                    self.prepare(call)
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
            Input::Answer(Answer::NothingSaid) => call.part(say([PromptId::MessageCancelled, PromptId::Goodbye])),
            Input::Answer(Answer::MailboxGone) => call.part(say([PromptId::NoMessagesHere, PromptId::Goodbye])),
            Input::Answer(_) => call.part(say([PromptId::SomethingWrong, PromptId::Goodbye])),
            Input::Timeout => {
                call.excuse();
                self.at(State::Storing)
            }
            Input::Digit(_) | Input::PlaybackDone | Input::PlaybackFailed | Input::RecordingDone { .. } | Input::Hangup => {
                self.at(State::Storing)
            }
        }
    }

    fn prepare(self, call: &mut Call) -> Moment {
        match &self.mailbox {
            Some(mailbox) => {
                call.ask(Question::PrepareRecording { kind: RecordKind::Message, mailbox: mailbox.id.clone() });
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
        keymap::tell(call.keys().review, |action| action != ReviewAction::Operator || may_reach_operator)
    }

    /// Has the caller connected with the operator, if there is one; no message is left then.
    fn operator(self, state: State, call: &mut Call) -> Moment {
        match self.mailbox {
            Some(mailbox) if call.may_reach_operator(Some(&mailbox)) => ToOperator::begin(call, mailbox),
            mailbox => Self { mailbox, ..self }.at(state),
        }
    }

    fn log_in(self, call: &mut Call) -> Moment {
        Login::begin_from_greeting(call, self.mailbox)
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
