//! English: "three fifteen P.M.", "seven hundred twenty-one", "two zero two, five five five".

use super::{Item, PromptId, digits_in_groups, following, say, usual_groups};
use crate::domain::language::Clock;

/// The time, which is neither noon nor midnight.
pub fn time(clock: Clock, hour: u32, minute: u32) -> Vec<Item> {
    let mut items = match (clock, hour) {
        (Clock::Twelve, _) => number((hour + 11) % 12 + 1),
        (Clock::TwentyFour, 0) => say([PromptId::Digit0]),
        (Clock::TwentyFour, 1..=9) => say([following(PromptId::Oh1, hour - 1)]),
        (Clock::TwentyFour, _) => number(hour),
    };
    match (clock, minute) {
        (Clock::Twelve, 0) => {}
        (Clock::TwentyFour, 0) => items.extend(say([PromptId::HundredHours])),
        (_, 1..=9) => items.extend(say([following(PromptId::Oh1, minute - 1)])),
        _ => items.extend(number(minute)),
    }
    if clock == Clock::Twelve {
        items.extend(say([if hour < 12 { PromptId::Am } else { PromptId::Pm }]));
    }
    items
}

/// Digit by digit.
pub fn digits(number: &str) -> Vec<Item> {
    digits_in_groups(number, usual_groups(number.len()))
}

/// A number from 1 to 999,999.
pub fn number(number: u32) -> Vec<Item> {
    let mut items = vec![];
    if number >= 1000 {
        items.extend(self::number(number / 1000));
        items.extend(say([PromptId::Thousand]));
    }
    let (hundreds, rest) = (number % 1000 / 100, number % 100);
    if hundreds > 0 {
        items.extend(say([following(PromptId::Number100, hundreds - 1)]));
    }
    match rest {
        0 => {}
        1..=59 => items.extend(say([following(PromptId::Number1, rest - 1)])),
        _ => {
            items.extend(say([following(PromptId::Number60, rest / 10 - 6)]));
            if !rest.is_multiple_of(10) {
                items.extend(say([following(PromptId::Number1, rest % 10 - 1)]));
            }
        }
    }
    items
}
