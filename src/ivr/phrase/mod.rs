//! What is said: prompts put together by the grammar of a language, with the pauses of somebody speaking.
//!
//! What languages do in the same way is here; what each does in its own way is in the module with its name.

use std::time::Duration;

use chrono::Weekday;

use super::{Item, MailboxView, PromptId, RecordingEnd, Rejection};
use crate::domain::{
    caller::Caller,
    language::{Grammar, Language},
    message::Counts,
    passcode::WeakPasscode,
    rules::{self, Fullness},
    time::{LocalTime, TimeZone, Timestamp},
};

mod account;
mod compose;
mod english;
mod envelope;
mod french;
mod spanish;
pub(super) use envelope::{announcement, called, kept_until, urgent_among};
#[cfg(test)]
mod tests;

pub(super) use account::{last_access, last_day, mailbox_is, new_passcode};
pub(super) use compose::{addressee, for_mailbox, in_mailbox, marked_private, marked_urgent, reply_to, sent, sent_as, shared};

/// Between two thoughts.
pub(super) const BREATH: Item = Item::Pause(Duration::from_millis(250));
/// Between two groups of digits.
const GROUP: Item = Item::Pause(Duration::from_millis(180));

/// The prompts, one after the other.
pub(super) fn say<const N: usize>(prompts: [PromptId; N]) -> Vec<Item> {
    prompts.map(Item::Prompt).to_vec()
}

/// What a caller hears first: the personal greeting; else the name; else the number as numbers are said.
pub(super) fn greeting(language: &Language, mailbox: &MailboxView) -> Vec<Item> {
    if let Some(greeting) = &mailbox.greeting {
        let mut items = vec![Item::Greeting(greeting.clone())];
        if mailbox.instructions {
            items.extend([BREATH, Item::Prompt(PromptId::LeaveMessage)]);
        }
        return items;
    }
    let number = Caller { number: Some(mailbox.number.as_str().to_owned()), name: None };
    let mut items = match (&mailbox.spoken_name, number.spoken_digits()) {
        (Some(name), _) => vec![Item::Prompt(PromptId::Reached), Item::SpokenName(name.clone())],
        (None, Some(number)) => {
            let mut items = say([PromptId::ReachedNumber]);
            items.extend(digits(language, number));
            items
        }
        (None, None) => say([PromptId::NobodyAvailable]),
    };
    items.extend([BREATH, Item::Prompt(PromptId::LeaveMessage)]);
    items
}

/// That the recording of a message ended before its speaker did.
pub(super) fn cut_off(ended_by: RecordingEnd) -> Vec<Item> {
    match ended_by {
        RecordingEnd::Longest => say([PromptId::LongestReached]),
        RecordingEnd::Failed => say([PromptId::RestNotRecorded]),
        RecordingEnd::Digit(_) | RecordingEnd::Silence | RecordingEnd::Stopped | RecordingEnd::Hangup => vec![],
    }
}

/// Why the mailbox does not take the call.
pub(super) fn rejection(rejection: Rejection) -> Vec<Item> {
    match rejection {
        Rejection::Blocked => say([PromptId::NotAccepted]),
        Rejection::Anonymous => say([PromptId::NotAnonymous]),
        Rejection::TooOften => say([PromptId::CannotRecord]),
    }
}

/// "Your last caller was number two zero two." Nothing of a number that is not made of digits.
pub(super) fn last_caller(language: &Language, caller: &Caller) -> Vec<Item> {
    let Some(number) = caller.spoken_digits() else { return vec![] };
    let mut items = say([PromptId::LastCaller]);
    items.extend(digits(language, number));
    items.push(BREATH);
    items
}

/// "The number is two zero two."
pub(super) fn call_back_number(language: &Language, number: &str) -> Vec<Item> {
    let mut items = say([PromptId::CallBackNumber]);
    items.extend(digits(language, number));
    items.push(BREATH);
    items
}

/// "You have three new messages, and one saved message."
pub(super) fn counts(language: &Language, counts: Counts) -> Vec<Item> {
    let whole = |first: PromptId, count: u32| match language.grammar {
        // Each count has three prompts in a row: alone, followed by more, and saved.
        _ if count <= 5 => Some(following(first, 3 * (count - 1))),
        Grammar::French => french::whole_count(first, count),
        Grammar::English | Grammar::Spanish => None,
    };
    let mut items = match (counts.new, counts.saved) {
        (0, 0) => return say([PromptId::NoMessages]),
        (0, _) => say([PromptId::NoNewBut]),
        (new, saved) => match whole(if saved == 0 { PromptId::New1 } else { PromptId::New1And }, new) {
            Some(prompt) => say([prompt]),
            None => {
                let mut items = say([PromptId::YouHave]);
                items.extend(number(language, new, Noun::Message));
                items.push(Item::Prompt(if saved == 0 { PromptId::NewMessages } else { PromptId::NewMessagesAnd }));
                items
            }
        },
    };
    if counts.saved > 0 {
        match whole(PromptId::AndSaved1, counts.saved) {
            Some(prompt) => items.push(Item::Prompt(prompt)),
            None => {
                items.push(Item::Prompt(PromptId::And));
                items.extend(number(language, counts.saved, Noun::Message));
                items.push(Item::Prompt(PromptId::SavedMessages));
            }
        }
    }
    items
}

/// What the subscriber is told about the room that is left.
pub(super) fn fullness(counts: Counts) -> Vec<Item> {
    match rules::fullness(counts.total()) {
        Fullness::Roomy => vec![],
        Fullness::NearlyFull => say([PromptId::NearlyFull]),
        Fullness::Full => say([PromptId::Full]),
    }
}

/// Why a passcode is refused.
pub(super) fn weakness(language: &Language, weakness: WeakPasscode) -> Vec<Item> {
    match weakness {
        WeakPasscode::TooShort { shortest } => {
            let mut items = say([PromptId::PasscodeNeeds]);
            items.extend(number(language, u32::try_from(shortest).unwrap_or(u32::MAX), Noun::Digit));
            items.push(Item::Prompt(PromptId::Digits));
            items
        }
        WeakPasscode::NotDigits => say([PromptId::PasscodeTooLong]),
        WeakPasscode::Repetition => say([PromptId::PasscodeRepeats]),
        WeakPasscode::Run => say([PromptId::PasscodeRun]),
        WeakPasscode::KeypadLine => say([PromptId::PasscodeLine]),
        WeakPasscode::MailboxNumber => say([PromptId::PasscodeIsNumber]),
    }
}

/// "Today at", "Yesterday at", the weekday within the last week, else the date; then the time.
pub(super) fn moment(language: &Language, stamp: &LocalTime, now: &LocalTime) -> Vec<Item> {
    let mut items = match stamp.days_before(now) {
        0 => say([PromptId::TodayAt]),
        1 => say([PromptId::YesterdayAt]),
        2..=6 => say([weekday(stamp.weekday)]),
        _ => {
            let mut items = date(language, stamp.month, stamp.day);
            // In Spanish the hour brings its own "at".
            if language.grammar != Grammar::Spanish {
                items.push(Item::Prompt(PromptId::At));
            }
            items
        }
    };
    items.extend(time(language, stamp.hour, stamp.minute));
    items
}

/// "November thirteenth", "le treize novembre", "el trece de noviembre"; month 1 to 12, day 1 to 31.
pub(super) fn date(language: &Language, month: u32, day: u32) -> Vec<Item> {
    let (month, day) = (following(PromptId::January, (month - 1).min(11)), following(PromptId::Day1, (day - 1).min(30)));
    match language.grammar {
        Grammar::English => say([month, day]),
        Grammar::French | Grammar::Spanish => say([day, month]),
    }
}

/// The time of day, by the clock of the language or of the mailbox.
pub(super) fn time(language: &Language, hour: u32, minute: u32) -> Vec<Item> {
    match (hour, minute) {
        (0, 0) => return say([PromptId::Midnight]),
        (12, 0) => return say([PromptId::Noon]),
        _ => {}
    }
    match language.grammar {
        Grammar::English => english::time(language.clock, hour, minute),
        Grammar::French => french::time(language.clock, hour, minute),
        Grammar::Spanish => spanish::time(language.clock, hour, minute),
    }
}

/// A telephone number as people of the language say it, with a falling voice at its end.
pub(super) fn digits(language: &Language, number: &str) -> Vec<Item> {
    match language.grammar {
        Grammar::English => english::digits(number),
        Grammar::French => french::digits(number),
        Grammar::Spanish => spanish::digits(number),
    }
}

/// What is counted: some languages have other words for its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noun {
    Message,
    Digit,
    Minute,
    Second,
    Mailbox,
    /// Nothing behind it: "Wrong passcodes: twenty-one."
    Alone,
}

/// A number up to 999,999, in front of what is counted; what is more is said as that.
pub(super) fn number(language: &Language, number: u32, noun: Noun) -> Vec<Item> {
    match (number.min(999_999), language.grammar) {
        (0, _) => say([PromptId::Digit0]),
        (number, Grammar::English) => english::number(number),
        (number, Grammar::French) => french::number(number, matches!(noun, Noun::Minute | Noun::Second | Noun::Mailbox)),
        // "Mensajes", "dígitos", "minutos", "segundos" and "buzones" are all masculine.
        (number, Grammar::Spanish) => spanish::number(number, noun != Noun::Alone),
    }
}

/// "The message is two minutes five seconds long."
pub(super) fn length(language: &Language, duration: Duration) -> Vec<Item> {
    let seconds = u32::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let mut items = say([PromptId::Length]);
    let mut count = |amount: u32, noun: Noun, one: PromptId, many: PromptId| {
        items.extend(number(language, amount, noun));
        items.push(Item::Prompt(if amount == 1 { one } else { many }));
    };
    if seconds == 0 {
        count(minutes, Noun::Minute, PromptId::MinuteLong, PromptId::MinutesLong);
    } else {
        if minutes > 0 {
            count(minutes, Noun::Minute, PromptId::Minute, PromptId::Minutes);
        }
        count(seconds, Noun::Second, PromptId::SecondLong, PromptId::SecondsLong);
    }
    items
}

fn weekday(day: Weekday) -> PromptId {
    following(PromptId::MondayAt, day.num_days_from_monday())
}

fn from(language: &Language, caller: &Caller) -> Vec<Item> {
    match (caller.spoken_digits(), &caller.number) {
        (Some(number), _) => {
            let mut items = say([PromptId::From]);
            items.extend(digits(language, number));
            items
        }
        (None, Some(_)) => say([PromptId::FromUnknownNumber]),
        (None, None) => say([PromptId::FromPrivateCaller]),
    }
}

/// A number digit by digit, with a pause where `begins_group` says so of how many digits are left; the last one with a falling
/// voice.
fn digits_in_groups(number: &str, begins_group: impl Fn(usize) -> bool) -> Vec<Item> {
    let mut items = vec![];
    for (at, digit) in number.bytes().enumerate() {
        let left = number.len() - at;
        if at > 0 && begins_group(left) {
            items.push(GROUP);
        }
        let first = if left == 1 { PromptId::Digit0End } else { PromptId::Digit0 };
        items.push(Item::Prompt(following(first, u32::from(digit.saturating_sub(b'0')))));
    }
    items
}

/// The groups that most of the world uses: the last four together, before them threes; short numbers in one group.
fn usual_groups(length: usize) -> impl Fn(usize) -> bool {
    move |left| length >= 7 && left >= 4 && (left - 4).is_multiple_of(3)
}

/// The prompt `steps` further in the table, where prompts of one family stand in order.
fn following(first: PromptId, steps: u32) -> PromptId {
    PromptId::ALL[first as usize + steps as usize]
}

/// The prompts of 61 to 99 without the tens, which some languages have as words of their own.
fn beyond_sixty(number: u32) -> PromptId {
    match number % 10 {
        0 => following(PromptId::Number60, number / 10 - 6),
        ones => following(PromptId::Number61, (number / 10 - 6) * 9 + ones - 1),
    }
}
