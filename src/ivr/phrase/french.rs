//! French: "vingt et une heures trente", "une minute", "zéro un, quarante-deux, soixante-huit".

use super::{GROUP, Item, PromptId, beyond_sixty, digits_in_groups, following, say, usual_groups};
use crate::domain::language::Clock;

/// "Six", "huit" and "dix" sound otherwise before a noun than alone, so counts up to ten are whole phrases.
pub fn whole_count(first: PromptId, count: u32) -> Option<PromptId> {
    let first = match first {
        PromptId::New1 => PromptId::New6,
        PromptId::New1And => PromptId::New6And,
        _ => PromptId::AndSaved6,
    };
    (6..=10).contains(&count).then(|| following(first, 3 * (count - 6)))
}

/// The time, which is neither noon nor midnight. By twelve hours, those after noon and midnight are said by their names.
pub fn time(clock: Clock, hour: u32, minute: u32) -> Vec<Item> {
    let (hour, part) = match (clock, hour) {
        (Clock::TwentyFour, _) => (following(PromptId::Hour0, hour), None),
        (Clock::Twelve, 0) => (PromptId::Midnight, None),
        (Clock::Twelve, 12) => (PromptId::Noon, None),
        (Clock::Twelve, 1..=11) => (following(PromptId::Hour0, hour), Some(PromptId::InTheMorning)),
        (Clock::Twelve, 13..=17) => (following(PromptId::Hour0, hour - 12), Some(PromptId::InTheAfternoon)),
        (Clock::Twelve, _) => (following(PromptId::Hour0, hour - 12), Some(PromptId::InTheEvening)),
    };
    let mut items = say([hour]);
    if minute > 0 {
        // The minutes are feminine, also when their word is left out.
        items.extend(number(minute, true));
    }
    items.extend(part.map(Item::Prompt));
    items
}

/// National numbers in pairs; others digit by digit, so that nobody takes two numbers for one.
pub fn digits(number: &str) -> Vec<Item> {
    match (number.len(), number.as_bytes()) {
        // 00 33 1 42 68 53 00: what a line dials to reach another country, and then as after a plus.
        (8.., [b'0', b'0', ..]) => [say([PromptId::Digit0, PromptId::Digit0]), vec![GROUP], digits(&number[2..])].concat(),
        (8.., [b'0', ..]) => in_pairs(number),
        // +33 1 42 68 53 00
        (11, [b'3', b'3', ..]) => [say([PromptId::Number33]), vec![GROUP], in_pairs(&number[2..])].concat(),
        _ => digits_in_groups(number, usual_groups(number.len())),
    }
}

/// A number in pairs, the first digit alone if they do not come out even.
fn in_pairs(number: &str) -> Vec<Item> {
    let (first, pairs) = number.as_bytes().split_at(number.len() % 2);
    let mut groups: Vec<Vec<Item>> = first.iter().map(|digit| say([digit_prompt(PromptId::Digit0, *digit)])).collect();
    let (pairs, _) = pairs.as_chunks::<2>();
    for (at, [tens, ones]) in pairs.iter().enumerate() {
        let last = if at + 1 == pairs.len() { PromptId::Digit0End } else { PromptId::Digit0 };
        groups.push(match tens {
            b'0' => say([PromptId::Digit0, digit_prompt(last, *ones)]),
            _ => self::number(u32::from(tens - b'0') * 10 + u32::from(ones - b'0'), false),
        });
    }
    groups.join(&GROUP)
}

fn digit_prompt(first: PromptId, digit: u8) -> PromptId {
    following(first, u32::from(digit - b'0'))
}

/// A number from 1 to 999,999; only "un" has a feminine form.
pub fn number(number: u32, feminine: bool) -> Vec<Item> {
    let mut items = vec![];
    if number >= 1000 {
        if number >= 2000 {
            items.extend(self::number(number / 1000, false));
        }
        items.extend(say([PromptId::Thousand]));
    }
    let (hundreds, rest) = (number % 1000 / 100, number % 100);
    if hundreds > 0 {
        items.extend(say([following(PromptId::Number100, hundreds - 1)]));
    }
    match (rest, feminine) {
        (0, _) => {}
        (1, true) => items.extend(say([PromptId::Number1F])),
        (21, true) => items.extend(say([PromptId::Number21F])),
        (31, true) => items.extend(say([PromptId::Number31F])),
        (41, true) => items.extend(say([PromptId::Number41F])),
        (51, true) => items.extend(say([PromptId::Number51F])),
        (61, true) => items.extend(say([PromptId::Number61F])),
        (81, true) => items.extend(say([PromptId::Number81F])),
        (1..=59, _) => items.extend(say([following(PromptId::Number1, rest - 1)])),
        _ => items.extend(say([beyond_sixty(rest)])),
    }
    items
}
