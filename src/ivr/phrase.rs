//! What is said: prompts put together by English grammar, with the pauses of somebody speaking.

use std::time::Duration;

use chrono::Weekday;

use super::{Item, MailboxView, PromptId, Rejection};
use crate::domain::{
    caller::Caller,
    message::{Counts, Message},
    passcode::WeakPasscode,
    rules::{self, Fullness},
    time::{LocalTime, TimeZone, Timestamp},
};

/// Between two thoughts.
pub(super) const BREATH: Item = Item::Pause(Duration::from_millis(250));
/// Between two groups of digits.
const GROUP: Item = Item::Pause(Duration::from_millis(180));

/// The prompts, one after the other.
pub(super) fn say<const N: usize>(prompts: [PromptId; N]) -> Vec<Item> {
    prompts.map(Item::Prompt).to_vec()
}

/// What a caller hears first: the personal greeting; else the name; else the number digit by digit.
pub(super) fn greeting(mailbox: &MailboxView) -> Vec<Item> {
    if let Some(greeting) = &mailbox.greeting {
        return vec![Item::Greeting(greeting.clone())];
    }
    let number = Caller { number: Some(mailbox.number.as_str().to_owned()), name: None };
    let mut items = match (&mailbox.spoken_name, number.spoken_digits()) {
        (Some(name), _) => vec![Item::Prompt(PromptId::Reached), Item::SpokenName(name.clone())],
        (None, Some(number)) => {
            let mut items = say([PromptId::ReachedNumber]);
            items.extend(digits(number));
            items
        }
        (None, None) => say([PromptId::NobodyAvailable]),
    };
    items.extend([BREATH, Item::Prompt(PromptId::LeaveMessage)]);
    items
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
pub(super) fn last_caller(caller: &Caller) -> Vec<Item> {
    let Some(number) = caller.spoken_digits() else { return vec![] };
    let mut items = say([PromptId::LastCaller]);
    items.extend(digits(number));
    items.push(BREATH);
    items
}

/// "You have three new messages, and one saved message."
pub(super) fn counts(counts: Counts) -> Vec<Item> {
    let mut items = match (counts.new, counts.saved) {
        (0, 0) => return say([PromptId::NoMessages]),
        (0, _) => say([PromptId::NoNewBut]),
        (new @ 1..=5, saved) => {
            let whole = if saved == 0 { PromptId::New1 } else { PromptId::New1And };
            // Each count has three prompts in a row: alone, followed by more, and saved.
            say([following(whole, 3 * (new - 1))])
        }
        (new, saved) => {
            let mut items = say([PromptId::YouHave]);
            items.extend(number(new));
            items.push(Item::Prompt(if saved == 0 { PromptId::NewMessages } else { PromptId::NewMessagesAnd }));
            items
        }
    };
    match counts.saved {
        0 => {}
        saved @ 1..=5 => items.push(Item::Prompt(following(PromptId::AndSaved1, 3 * (saved - 1)))),
        saved => {
            items.push(Item::Prompt(PromptId::And));
            items.extend(number(saved));
            items.push(Item::Prompt(PromptId::SavedMessages));
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

/// "Today, at three fifteen P.M., from two zero two …"
pub(super) fn stamp(message: &Message, zone: TimeZone, now: Timestamp) -> Vec<Item> {
    let mut items = moment(&zone.local(message.stamp_at), &zone.local(now));
    items.extend(from(&message.caller));
    items
}

/// The stamp and the length.
pub(super) fn envelope(message: &Message, zone: TimeZone, now: Timestamp) -> Vec<Item> {
    let mut items = stamp(message, zone, now);
    items.push(BREATH);
    items.extend(length(message.duration));
    items
}

/// Why a passcode is refused.
pub(super) fn weakness(weakness: WeakPasscode) -> Vec<Item> {
    match weakness {
        WeakPasscode::TooShort { shortest } => {
            let mut items = say([PromptId::PasscodeNeeds]);
            items.extend(number(u32::try_from(shortest).unwrap_or(u32::MAX)));
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
fn moment(stamp: &LocalTime, now: &LocalTime) -> Vec<Item> {
    let mut items = match stamp.days_before(now) {
        0 => say([PromptId::TodayAt]),
        1 => say([PromptId::YesterdayAt]),
        2..=6 => say([weekday(stamp.weekday)]),
        _ => say([following(PromptId::January, stamp.month - 1), following(PromptId::Day1, stamp.day - 1), PromptId::At]),
    };
    items.extend(time(stamp.hour, stamp.minute));
    items
}

fn weekday(day: Weekday) -> PromptId {
    following(PromptId::MondayAt, day.num_days_from_monday())
}

/// The time of day on a clock of twelve hours.
fn time(hour: u32, minute: u32) -> Vec<Item> {
    match (hour, minute) {
        (0, 0) => return say([PromptId::Midnight]),
        (12, 0) => return say([PromptId::Noon]),
        _ => {}
    }
    let mut items = number((hour + 11) % 12 + 1);
    match minute {
        0 => {}
        1..=9 => items.push(Item::Prompt(following(PromptId::Oh1, minute - 1))),
        _ => items.extend(number(minute)),
    }
    items.push(Item::Prompt(if hour < 12 { PromptId::Am } else { PromptId::Pm }));
    items
}

fn from(caller: &Caller) -> Vec<Item> {
    match (caller.spoken_digits(), &caller.number) {
        (Some(number), _) => {
            let mut items = say([PromptId::From]);
            items.extend(digits(number));
            items
        }
        (None, Some(_)) => say([PromptId::FromUnknownNumber]),
        (None, None) => say([PromptId::FromPrivateCaller]),
    }
}

/// A number digit by digit, the last one with a falling voice, in groups as people say telephone numbers: the last four
/// together, before them threes.
fn digits(number: &str) -> Vec<Item> {
    let last = number.len().saturating_sub(1);
    let mut items = vec![];
    for (at, digit) in number.bytes().enumerate() {
        let left = number.len() - at;
        if at > 0 && number.len() >= 7 && left >= 4 && (left - 4).is_multiple_of(3) {
            items.push(GROUP);
        }
        let first = if at == last { PromptId::Digit0End } else { PromptId::Digit0 };
        items.push(Item::Prompt(following(first, u32::from(digit.saturating_sub(b'0')))));
    }
    items
}

/// "The message is two minutes five seconds long."
fn length(duration: Duration) -> Vec<Item> {
    let seconds = u32::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    let mut items = say([PromptId::Length]);
    let mut count = |amount: u32, one: PromptId, many: PromptId| {
        items.extend(number(amount));
        items.push(Item::Prompt(if amount == 1 { one } else { many }));
    };
    if seconds == 0 {
        count(minutes, PromptId::MinuteLong, PromptId::MinutesLong);
    } else {
        if minutes > 0 {
            count(minutes, PromptId::Minute, PromptId::Minutes);
        }
        count(seconds, PromptId::SecondLong, PromptId::SecondsLong);
    }
    items
}

/// A number from 1 to 999; what is more is said as 999.
fn number(number: u32) -> Vec<Item> {
    let mut items = vec![];
    let (hundreds, rest) = (number.min(999) / 100, number.min(999) % 100);
    if hundreds > 0 {
        items.push(Item::Prompt(following(PromptId::Number100, hundreds - 1)));
    }
    match rest {
        0 => {}
        1..=59 => items.push(Item::Prompt(following(PromptId::Number1, rest - 1))),
        _ => {
            items.push(Item::Prompt(following(PromptId::Number60, rest / 10 - 6)));
            if !rest.is_multiple_of(10) {
                items.push(Item::Prompt(following(PromptId::Number1, rest % 10 - 1)));
            }
        }
    }
    items
}

/// The prompt `steps` further in the table, where prompts of one family stand in order.
fn following(first: PromptId, steps: u32) -> PromptId {
    PromptId::ALL[first as usize + steps as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_whole_phrases_when_frequent_and_composed_when_not() {
        assert_eq!(heard(&counts(Counts { new: 0, saved: 0, ..Counts::default() })), "no-messages");
        assert_eq!(heard(&counts(Counts { new: 1, saved: 0, ..Counts::default() })), "new-1");
        assert_eq!(heard(&counts(Counts { new: 3, saved: 1, ..Counts::default() })), "new-3-and and-saved-1");
        assert_eq!(heard(&counts(Counts { new: 0, saved: 5, ..Counts::default() })), "no-new-but and-saved-5");
        assert_eq!(heard(&counts(Counts { new: 6, saved: 0, ..Counts::default() })), "you-have number-6 new-messages");
        assert_eq!(
            heard(&counts(Counts { new: 72, saved: 228, ..Counts::default() })),
            "you-have number-70 number-2 new-messages-and and number-200 number-28 saved-messages"
        );
    }

    #[test]
    fn every_number_to_999_is_said() {
        for wanted in 1..=999 {
            let said: u32 = heard(&number(wanted)).split(' ').map(|name| name["number-".len()..].parse::<u32>().unwrap()).sum();

            assert_eq!(said, wanted);
        }
        assert_eq!(heard(&number(1000)), "number-900 number-90 number-9");
    }

    #[test]
    fn every_minute_of_the_day_is_said() {
        for (hour, minute, said) in [
            (0, 0, "midnight"),
            (0, 1, "number-12 oh-1 am"),
            (9, 0, "number-9 am"),
            (12, 0, "noon"),
            (12, 30, "number-12 number-30 pm"),
            (15, 15, "number-3 number-15 pm"),
            (23, 59, "number-11 number-59 pm"),
        ] {
            assert_eq!(heard(&time(hour, minute)), said);
        }
    }

    #[test]
    fn the_day_is_said_as_people_do() {
        let zone: TimeZone = "America/New_York".parse().unwrap();
        let now = zone.local("2026-11-20T17:00:00Z".parse().unwrap());
        let said = |at: &str| heard(&moment(&zone.local(at.parse().unwrap()), &now));

        assert_eq!(said("2026-11-20T05:00:00Z"), "today-at midnight");
        assert_eq!(said("2026-11-20T04:59:00Z"), "yesterday-at number-11 number-59 pm");
        assert_eq!(said("2026-11-18T14:05:00Z"), "wednesday-at number-9 oh-5 am");
        assert_eq!(said("2026-11-14T14:00:00Z"), "saturday-at number-9 am");
        assert_eq!(said("2026-11-13T14:00:00Z"), "november day-13 at number-9 am");
        assert_eq!(said("2026-12-31T14:00:00Z"), "december day-31 at number-9 am");
    }

    #[test]
    fn a_number_is_grouped_and_falls_at_its_end() {
        assert_eq!(heard(&digits("1001")), "digit-1 digit-0 digit-0 digit-1-end");
        assert_eq!(
            heard(&digits("12025550143")),
            "digit-1 … digit-2 digit-0 digit-2 … digit-5 digit-5 digit-5 … digit-0 digit-1 digit-4 digit-3-end"
        );
    }

    #[test]
    fn callers_are_named_by_number_or_not_at_all() {
        let caller = |number: Option<&str>| Caller { number: number.map(str::to_owned), name: Some("Ann".to_owned()) };

        assert_eq!(heard(&from(&caller(Some("+12")))), "from digit-1 digit-2-end");
        assert_eq!(heard(&from(&caller(Some("ann.lee")))), "from-unknown-number");
        assert_eq!(heard(&from(&caller(None))), "from-private-caller");
    }

    #[test]
    fn the_length_is_said_in_minutes_and_seconds() {
        for (millis, said) in [
            (0, "length number-1 second-long"),
            (1_001, "length number-2 seconds-long"),
            (60_000, "length number-1 minute-long"),
            (61_000, "length number-1 minute number-1 second-long"),
            (300_000, "length number-5 minutes-long"),
        ] {
            assert_eq!(heard(&length(Duration::from_millis(millis))), said);
        }
    }

    fn heard(items: &[Item]) -> String {
        let names = items.iter().map(|item| match item {
            Item::Prompt(prompt) => prompt.name(),
            _ => "…",
        });
        names.collect::<Vec<_>>().join(" ")
    }
}
