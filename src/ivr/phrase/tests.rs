//! Phrases of every language as tables, and what holds for every number, minute and date.

use proptest::prelude::*;

use super::*;
use crate::domain::language::{Clock, Languages};

#[test]
fn counts_are_whole_phrases_when_frequent_and_composed_when_not() {
    for (new, saved, english, french, spanish) in [
        (0, 0, "no-messages", "no-messages", "no-messages"),
        (1, 0, "new-1", "new-1", "new-1"),
        (3, 1, "new-3-and and-saved-1", "new-3-and and-saved-1", "new-3-and and-saved-1"),
        (0, 5, "no-new-but and-saved-5", "no-new-but and-saved-5", "no-new-but and-saved-5"),
        (6, 0, "you-have number-6 new-messages", "new-6", "you-have number-6 new-messages"),
        (
            10,
            8,
            "you-have number-10 new-messages-and and number-8 saved-messages",
            "new-10-and and-saved-8",
            "you-have number-10 new-messages-and and number-8 saved-messages",
        ),
        (
            21,
            131,
            "you-have number-21 new-messages-and and number-100 number-31 saved-messages",
            "you-have number-21 new-messages-and and number-100 number-31 saved-messages",
            "you-have number-21-m new-messages-and and number-100-and number-31-m saved-messages",
        ),
        (
            72,
            228,
            "you-have number-70 number-2 new-messages-and and number-200 number-28 saved-messages",
            "you-have number-72 new-messages-and and number-200 number-28 saved-messages",
            "you-have number-72 new-messages-and and number-200 number-28 saved-messages",
        ),
    ] {
        let counts = Counts { new, saved, ..Counts::default() };
        assert_eq!(in_all(|language| super::counts(language, counts)), [english, french, spanish]);
    }
}

#[test]
fn a_last_access_is_told_from_a_place_and_a_message_from_somebody() {
    use crate::domain::mailbox_log::{Channel, LastAccess, Origin};
    let (opened, now) = ("2026-11-19T00:00:00Z".parse().unwrap(), "2026-11-19T14:05:00Z".parse().unwrap());
    let by = Origin { channel: Channel::Phone, number: Some("1002".to_owned()), address: None };
    let access = LastAccess { opened: Some((opened, by)), failures: 0 };

    assert_eq!(
        in_all(|language| last_access(language, &access, TimeZone::UTC, now)),
        ["from", "from-phone", "from-phone"].map(|from| format!(
            "last-opened today-at midnight {from} digit-1 digit-0 digit-0 digit-2-end … wrong-passcodes digit-0 …"
        ))
    );
}

#[test]
fn every_number_to_999_is_said() {
    for language in languages() {
        for noun in [Noun::Message, Noun::Minute, Noun::Alone] {
            for wanted in 1..=999 {
                let said: u32 = names(&number(&language, wanted, noun)).iter().map(|name| value(name)).sum();

                assert_eq!(said, wanted, "{language:?}");
            }
        }
    }
}

#[test]
fn numbers_follow_the_grammar_of_what_is_counted() {
    for (amount, noun, english, french, spanish) in [
        (0, Noun::Message, "digit-0", "digit-0", "digit-0"),
        (1, Noun::Minute, "number-1", "number-1-f", "number-1-m"),
        (1, Noun::Digit, "number-1", "number-1", "number-1-m"),
        (21, Noun::Alone, "number-21", "number-21", "number-21"),
        (1, Noun::Alone, "number-1", "number-1", "number-1"),
        (21_001, Noun::Alone, "number-21 thousand number-1", "number-21 thousand number-1", "number-21-m thousand number-1"),
        (21, Noun::Second, "number-21", "number-21-f", "number-21-m"),
        (61, Noun::Minute, "number-60 number-1", "number-61-f", "number-61-m"),
        (71, Noun::Second, "number-70 number-1", "number-71", "number-71-m"),
        (80, Noun::Message, "number-80", "number-80", "number-80"),
        (81, Noun::Second, "number-80 number-1", "number-81-f", "number-81-m"),
        (99, Noun::Message, "number-90 number-9", "number-99", "number-99"),
        (100, Noun::Message, "number-100", "number-100", "number-100"),
        (101, Noun::Message, "number-100 number-1", "number-100 number-1", "number-100-and number-1-m"),
        (1000, Noun::Message, "number-1 thousand", "thousand", "thousand"),
        (2_021, Noun::Message, "number-2 thousand number-21", "number-2 thousand number-21", "number-2 thousand number-21-m"),
        (
            21_100,
            Noun::Message,
            "number-21 thousand number-100",
            "number-21 thousand number-100",
            "number-21-m thousand number-100",
        ),
    ] {
        assert_eq!(in_all(|language| number(language, amount, noun)), [english, french, spanish], "{amount}");
    }
    assert_eq!(number(&english(), u32::MAX, Noun::Message), number(&english(), 999_999, Noun::Message));
}

#[test]
fn the_time_is_said_by_twelve_or_by_twenty_four_hours() {
    use Clock::{Twelve, TwentyFour};
    for (clock, hour, minute, english, french, spanish) in [
        (Twelve, 0, 0, "midnight", "midnight", "midnight"),
        (Twelve, 0, 1, "number-12 oh-1 am", "midnight number-1-f", "hour-12 past-1 in-the-evening"),
        (Twelve, 1, 0, "number-1 am", "hour-1 in-the-morning", "hour-1 in-the-morning"),
        (Twelve, 9, 0, "number-9 am", "hour-9 in-the-morning", "hour-9 in-the-morning"),
        (Twelve, 12, 0, "noon", "noon", "noon"),
        (Twelve, 12, 30, "number-12 number-30 pm", "noon number-30", "hour-12 past-half in-the-afternoon"),
        (Twelve, 13, 21, "number-1 number-21 pm", "hour-1 number-21-f in-the-afternoon", "hour-1 past-21 in-the-afternoon"),
        (Twelve, 15, 15, "number-3 number-15 pm", "hour-3 number-15 in-the-afternoon", "hour-3 past-quarter in-the-afternoon"),
        (Twelve, 23, 59, "number-11 number-59 pm", "hour-11 number-59 in-the-evening", "hour-11 past-59 in-the-evening"),
        (TwentyFour, 0, 0, "midnight", "midnight", "midnight"),
        (TwentyFour, 0, 5, "digit-0 oh-5", "hour-0 number-5", "hour-0 past-5"),
        (TwentyFour, 1, 0, "oh-1 hundred-hours", "hour-1", "hour-1"),
        (TwentyFour, 9, 30, "oh-9 number-30", "hour-9 number-30", "hour-9 past-30"),
        (TwentyFour, 12, 0, "noon", "noon", "noon"),
        (TwentyFour, 15, 0, "number-15 hundred-hours", "hour-15", "hour-15 hours"),
        (TwentyFour, 21, 0, "number-21 hundred-hours", "hour-21", "hour-21 hours"),
        (TwentyFour, 21, 41, "number-21 number-41", "hour-21 number-41-f", "hour-21 past-41"),
    ] {
        let said = in_all(|language| time(&Language { clock, ..language.clone() }, hour, minute));
        assert_eq!(said, [english, french, spanish], "{hour}:{minute}");
    }
}

#[test]
fn every_minute_of_the_day_is_said_and_understood() {
    for language in languages() {
        for clock in [Clock::Twelve, Clock::TwentyFour] {
            let language = Language { clock, ..language.clone() };
            for (hour, minute) in (0..24).flat_map(|hour| (0..60).map(move |minute| (hour, minute))) {
                let items = time(&language, hour, minute);

                assert_eq!(understood(&names(&items), clock), (hour, minute), "{language:?}");
            }
        }
    }
}

#[test]
fn the_day_is_said_as_people_do() {
    let zone: TimeZone = "America/New_York".parse().unwrap();
    let now = zone.local("2026-11-20T17:00:00Z".parse().unwrap());
    for (at, english, french, spanish) in [
        ("2026-11-20T05:00:00Z", "today-at midnight", "today-at midnight", "today-at midnight"),
        (
            "2026-11-20T04:59:00Z",
            "yesterday-at number-11 number-59 pm",
            "yesterday-at hour-23 number-59",
            "yesterday-at hour-23 past-59",
        ),
        ("2026-11-18T14:05:00Z", "wednesday-at number-9 oh-5 am", "wednesday-at hour-9 number-5", "wednesday-at hour-9 past-5"),
        ("2026-11-14T14:00:00Z", "saturday-at number-9 am", "saturday-at hour-9", "saturday-at hour-9 hours"),
        ("2026-11-13T14:00:00Z", "november day-13 at number-9 am", "day-13 november at hour-9", "day-13 november hour-9 hours"),
        ("2026-05-01T13:00:00Z", "may day-1 at number-9 am", "day-1 may at hour-9", "day-1 may hour-9 hours"),
        ("2026-12-31T14:00:00Z", "december day-31 at number-9 am", "day-31 december at hour-9", "day-31 december hour-9 hours"),
    ] {
        let stamp = zone.local(at.parse().unwrap());
        assert_eq!(in_all(|language| moment(language, &stamp, &now)), [english, french, spanish]);
    }
}

#[test]
fn telephone_numbers_are_grouped_as_people_say_them_and_fall_at_their_end() {
    for (number, english, french, spanish) in [
        ("1001", "1 0 0 1.", "1 0 0 1.", "1 0 0 1."),
        ("0142685300", "0 1 4 … 2 6 8 … 5 3 0 0.", "0 1 … n42 … n68 … n53 … 0 0.", "0 1 4 … 2 6 8 … 5 3 0 0."),
        ("021234567", "0 2 … 1 2 3 … 4 5 6 7.", "0 … n21 … n23 … n45 … n67", "0 2 1 … 2 3 4 … 5 6 7."),
        (
            "0033142685300",
            "0 0 3 … 3 1 4 … 2 6 8 … 5 3 0 0.",
            "0 0 … n33 … 1 … n42 … n68 … n53 … 0 0.",
            "0 0 3 … 3 1 4 … 2 6 8 … 5 3 0 0.",
        ),
        ("33142685301", "3 … 3 1 4 … 2 6 8 … 5 3 0 1.", "n33 … 1 … n42 … n68 … n53 … 0 1.", "3 … 3 1 4 … 2 6 8 … 5 3 0 1."),
        ("12025550143", "1 … 2 0 2 … 5 5 5 … 0 1 4 3.", "1 … 2 0 2 … 5 5 5 … 0 1 4 3.", "1 … 2 0 2 … 5 5 5 … 0 1 4 3."),
        ("34915550123", "3 … 4 9 1 … 5 5 5 … 0 1 2 3.", "3 … 4 9 1 … 5 5 5 … 0 1 2 3.", "3 4 … 9 1 5 … 5 5 0 … 1 2 3."),
        ("915550123", "9 1 … 5 5 5 … 0 1 2 3.", "9 1 … 5 5 5 … 0 1 2 3.", "9 1 5 … 5 5 0 … 1 2 3."),
    ] {
        let short = |text: String| {
            let words = text.split(' ').map(|name| match name.strip_prefix("digit-") {
                Some(digit) => digit.replace("-end", "."),
                None => name.replace("number-", "n"),
            });
            words.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(in_all(|language| digits(language, number)).map(short), [english, french, spanish], "{number}");
    }
}

#[test]
fn callers_are_named_by_number_or_not_at_all() {
    let caller = |number: Option<&str>| Caller { number: number.map(str::to_owned), name: Some("Ann".to_owned()) };

    for language in languages() {
        assert_eq!(heard(&from(&language, &caller(Some("+12")))), "from digit-1 digit-2-end");
        assert_eq!(heard(&from(&language, &caller(Some("ann.lee")))), "from-unknown-number");
        assert_eq!(heard(&from(&language, &caller(None))), "from-private-caller");
    }
}

#[test]
fn the_length_is_said_in_minutes_and_seconds() {
    for (millis, english, french, spanish) in [
        (0, "length number-1 second-long", "length number-1-f second-long", "length number-1-m second-long"),
        (1_001, "length number-2 seconds-long", "length number-2 seconds-long", "length number-2 seconds-long"),
        (60_000, "length number-1 minute-long", "length number-1-f minute-long", "length number-1-m minute-long"),
        (
            81_000,
            "length number-1 minute number-21 seconds-long",
            "length number-1-f minute number-21-f seconds-long",
            "length number-1-m minute number-21-m seconds-long",
        ),
        (300_000, "length number-5 minutes-long", "length number-5 minutes-long", "length number-5 minutes-long"),
    ] {
        let length = |language: &Language| super::length(language, Duration::from_millis(millis));
        assert_eq!(in_all(length), [english, french, spanish]);
    }
}

#[test]
fn every_date_is_said() {
    for language in languages() {
        for (month, day) in (1..=12).flat_map(|month| (1..=31).map(move |day| (month, day))) {
            let said = names(&date(&language, month, day));

            assert!(said.contains(&format!("day-{day}")));
            assert!(said.contains(&PromptId::ALL[PromptId::January as usize + month as usize - 1].name().to_owned()));
        }
    }
}

proptest! {
    #[test]
    fn no_phrase_needs_a_prompt_that_its_language_lacks(
        new in 0u32..2_000,
        saved in 0u32..2_000_000,
        digits in "[0-9]{1,20}",
        millis in 0u64..10_000_000,
        at in 0i64..4_000_000_000_000,
        back in 0i64..1_000_000_000,
        clock in prop_oneof![Just(Clock::Twelve), Just(Clock::TwentyFour)],
    ) {
        for language in languages() {
            let language = Language { clock, ..language };
            let (stamp, now) = (Timestamp::from_millis(at - back), Timestamp::from_millis(at));
            let items = [
                counts(&language, Counts { new, saved, ..Counts::default() }),
                super::digits(&language, &digits),
                length(&language, Duration::from_millis(millis)),
                number(&language, saved, Noun::Second),
                moment(&language, &TimeZone::UTC.local(stamp), &TimeZone::UTC.local(now)),
            ]
            .concat();

            for item in items {
                if let Item::Prompt(prompt) = item {
                    prop_assert!(prompt.is_needed_by(language.grammar), "{} in {:?}", prompt.name(), language);
                }
            }
        }
    }
}

fn languages() -> [Language; 3] {
    Grammar::ALL.map(|grammar| Languages::default().spoken(Some(grammar.code()), None))
}

fn english() -> Language {
    Languages::default().spoken(Some("en"), None)
}

/// What is heard in English, French and Spanish.
fn in_all(phrase: impl Fn(&Language) -> Vec<Item>) -> [String; 3] {
    languages().map(|language| heard(&phrase(&language)))
}

fn heard(items: &[Item]) -> String {
    names(items).join(" ")
}

fn names(items: &[Item]) -> Vec<String> {
    let names = items.iter().map(|item| match item {
        Item::Prompt(prompt) => prompt.name().to_owned(),
        _ => "…".to_owned(),
    });
    names.collect()
}

/// The number in the name of a prompt.
fn value(name: &str) -> u32 {
    name.split('-').find_map(|part| part.parse().ok()).unwrap_or_else(|| panic!("{name} has no number"))
}

/// The hour and the minute that a listener takes from the prompts.
fn understood(names: &[String], clock: Clock) -> (u32, u32) {
    let (mut hour, mut minute) = (None, 0);
    for name in names {
        let is_first = hour.is_none();
        match name.as_str() {
            "midnight" => hour = Some(0),
            "noon" => hour = Some(12),
            "past-quarter" => minute = 15,
            "past-half" => minute = 30,
            "pm" | "in-the-afternoon" => hour = hour.map(|hour| if hour == 12 { 12 } else { hour + 12 }),
            // By the Spanish clock, twelve at night is the hour after midnight.
            "in-the-evening" => hour = hour.map(|hour| if hour == 12 { 0 } else { hour + 12 }),
            "am" => hour = hour.map(|hour| hour % 12),
            "in-the-morning" | "hours" | "hundred-hours" => {}
            name if is_first => hour = Some(value(name)),
            name => minute += value(name),
        }
    }
    assert!(clock == Clock::Twelve || !names.iter().any(|name| name.starts_with("in-the-")));
    (hour.unwrap(), minute)
}
