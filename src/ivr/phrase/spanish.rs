//! Spanish: "a las veintiuna horas", "a la una y media de la tarde", "veintiún mensajes".

use super::{Item, PromptId, beyond_sixty, digits_in_groups, following, say, usual_groups};
use crate::domain::language::Clock;

/// The time with its "a la" or "a las", which is neither noon nor midnight.
pub fn time(clock: Clock, hour: u32, minute: u32) -> Vec<Item> {
    let shown = match clock {
        Clock::Twelve => (hour + 11) % 12 + 1,
        Clock::TwentyFour => hour,
    };
    let mut items = say([following(PromptId::Hour0, shown)]);
    match (clock, minute) {
        // "A la una" needs no "hora".
        (Clock::TwentyFour, 0) if shown == 1 => {}
        (Clock::TwentyFour, 0) => items.extend(say([PromptId::Hours])),
        (Clock::Twelve, 0) => {}
        (Clock::Twelve, 15) => items.extend(say([PromptId::PastQuarter])),
        (Clock::Twelve, 30) => items.extend(say([PromptId::PastHalf])),
        _ => items.extend(say([following(PromptId::Past1, minute - 1)])),
    }
    if clock == Clock::Twelve {
        items.extend(say([match hour {
            1..=11 => PromptId::InTheMorning,
            12..=19 => PromptId::InTheAfternoon,
            _ => PromptId::InTheEvening,
        }]));
    }
    items
}

/// Digit by digit: nine digits in threes, also behind the country code 34.
pub fn digits(number: &str) -> Vec<Item> {
    match (number.len(), number.as_bytes()) {
        (9, _) | (11, [b'3', b'4', ..]) => digits_in_groups(number, |left| left.is_multiple_of(3)),
        _ => digits_in_groups(number, usual_groups(number.len())),
    }
}

/// A number from 1 to 999,999: "uno", "veintiuno"; before a masculine noun "un", "veintiún".
pub fn number(number: u32, before_noun: bool) -> Vec<Item> {
    let mut items = vec![];
    if number >= 1000 {
        if number >= 2000 {
            items.extend(self::number(number / 1000, true));
        }
        items.extend(say([PromptId::Thousand]));
    }
    let (hundreds, rest) = (number % 1000 / 100, number % 100);
    match (hundreds, rest) {
        (0, _) => {}
        (1, 1..) => items.extend(say([PromptId::Number100And])),
        _ => items.extend(say([following(PromptId::Number100, hundreds - 1)])),
    }
    match rest {
        0 => {}
        1 if before_noun => items.extend(say([PromptId::Number1M])),
        21 | 31 | 41 | 51 | 61 | 71 | 81 | 91 if before_noun => {
            items.extend(say([following(PromptId::Number21M, rest / 10 - 2)]))
        }
        1..=59 => items.extend(say([following(PromptId::Number1, rest - 1)])),
        _ => items.extend(say([beyond_sixty(rest)])),
    }
    items
}
