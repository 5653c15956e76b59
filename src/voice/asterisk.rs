//! The sounds of an Asterisk as a voice: which of its files, one after the other, say one of our prompts.
//!
//! Its menus name the keys of its own key map, so ours cannot be said by it: neither "To save this message," nor, lest the voice change in
//! mid-sentence, "press nine". Numbers, dates, counts and plain sentences can.
//! The names of the files are those of Asterisk's core sounds, in English, French and Spanish.

use std::path::Path;

use super::{
    Recording, Source,
    check::Finding,
    folder::{Contents, recording},
    needed,
};
use crate::{
    domain::language::{Grammar, LanguageCode},
    ivr::prompts::PromptId,
};

/// Adds every prompt that the sounds in `folder` can say.
pub(super) fn read(folder: &Path, code: &LanguageCode, grammar: Grammar, contents: &mut Contents) {
    for prompt in needed(grammar) {
        let Some(files) = files(grammar, prompt.name()) else { continue };
        let paths: Vec<_> = files.iter().map(|file| folder.join(format!("{file}.wav"))).collect();
        // A sound set that lacks a word cannot say the prompt, which then is reported as missing.
        if !paths.iter().all(|path| path.is_file()) {
            continue;
        }
        let pieces: Result<Vec<_>, _> = paths.iter().map(|path| recording(path, Source::Asterisk)).collect();
        match pieces {
            Ok(pieces) => _ = contents.recordings.insert(prompt, Recording::joined(Source::Asterisk, &pieces)),
            Err(problem) => contents.findings.push(Finding::new(code, prompt.name(), problem)),
        }
    }
    // "This message lasts two seconds" is one sentence, "The message is two seconds long" the other.
    if grammar == Grammar::English && !contents.recordings.contains_key(&PromptId::Length) {
        contents.recordings.retain(|prompt, _| !LONG.contains(prompt));
    }
}

/// What ends the sentence that begins with [`PromptId::Length`].
const LONG: [PromptId; 4] = [PromptId::SecondLong, PromptId::SecondsLong, PromptId::MinuteLong, PromptId::MinutesLong];

/// The files, without `.wav`, that say the prompt with this name; `None` if none do.
#[must_use]
pub fn files(grammar: Grammar, prompt: &str) -> Option<Vec<String>> {
    let sentence = SENTENCES.iter().find(|(name, _)| *name == prompt).map(|(_, file)| vec![(*file).to_owned()]);
    sentence.or_else(|| word(grammar, prompt)).or_else(|| count(grammar, prompt)).or_else(|| family(grammar, prompt))
}

/// Whole sentences, the same in every language.
const SENTENCES: [(&str, &str); 24] = [
    ("goodbye", "vm-goodbye"),
    ("one-moment", "one-moment-please"),
    ("something-wrong", "something-terribly-wrong"),
    ("invalid-choice", "vm-sorry"),
    ("nobody-available", "vm-nobodyavail"),
    ("mailbox-full", "vm-mailboxfull"),
    ("too-short", "vm-tooshort"),
    ("message-sent", "vm-msgsaved"),
    ("login-wrong", "vm-incorrect"),
    ("message-deleted", "vm-deleted"),
    ("message-restored", "vm-undeleted"),
    ("no-more-messages", "vm-nomore"),
    ("from", "vm-from-phonenumber"),
    ("from-phone", "vm-from-phonenumber"),
    ("from-unknown-number", "vm-unknown-caller"),
    ("from-private-caller", "vm-unknown-caller"),
    ("length", "vm-duration"),
    ("record-greeting", "vm-rec-unv"),
    ("record-name", "vm-rec-name"),
    ("new-passcode", "vm-newpassword"),
    ("confirm-passcode", "vm-reenterpassword"),
    ("passcodes-differ", "vm-mismatch"),
    ("passcode-changed", "vm-passchanged"),
    ("you-have", "vm-youhave"),
];

fn owned<const N: usize>(files: [&str; N]) -> Vec<String> {
    files.map(str::to_owned).to_vec()
}

/// Single words.
fn word(grammar: Grammar, prompt: &str) -> Option<Vec<String>> {
    use Grammar::{English, French, Spanish};
    Some(owned(match (grammar, prompt) {
        (_, "first-message") => ["vm-first", "vm-message"],
        (_, "last-message") => ["vm-last", "vm-message"],
        (English | French, "today-at") => ["digits/today", "digits/at"],
        (English | French, "yesterday-at") => ["digits/yesterday", "digits/at"],
        (Spanish, "hour-1") => ["digits/at", "digits/1F"],
        (Spanish, "hour-21") => return Some(owned(["digits/at_s", "digits/20-and", "digits/1F"])),
        (Spanish, "day-1") => ["digits/es-el", "digits/h-1"],
        _ => {
            return Some(owned([match (grammar, prompt) {
                (_, "and") => "vm-and",
                (English | French, "at") => "digits/at",
                (French, "day-1") => "digits/h-1",
                (English, "am") => "digits/a-m",
                (English, "pm") => "digits/p-m",
                (_, "thousand") => "digits/thousand",
                (_, "minute") => "minute",
                (_, "minutes") => "minutes",
                (_, "second-long") => "second",
                (_, "seconds-long") => "seconds",
                (_, "minute-long") => "minute",
                (_, "minutes-long") => "minutes",
                (Spanish, "today-at") => "digits/today",
                (Spanish, "yesterday-at") => "digits/yesterday",
                (Spanish, "in-the-afternoon") => "digits/afternoon",
                (Spanish, "hours") => "hours",
                (Spanish, "number-100-and") => "digits/100-and",
                _ => return None,
            }]));
        }
    }))
}

/// Counts of messages: "You have three new messages."
fn count(grammar: Grammar, prompt: &str) -> Option<Vec<String>> {
    use Grammar::{English, French, Spanish};
    let kind = |new: bool, many: bool| match (grammar, new, many) {
        // The adjective stands behind in Spanish.
        (Spanish, true, true) => owned(["vm-messages", "vm-INBOXs"]),
        (Spanish, true, false) => owned(["vm-message", "vm-INBOX"]),
        (Spanish, false, true) => owned(["vm-messages", "vm-Olds"]),
        (Spanish, false, false) => owned(["vm-message", "vm-Old"]),
        (English | French, true, many) => owned(["vm-INBOX", if many { "vm-messages" } else { "vm-message" }]),
        (English | French, false, many) => owned(["vm-Old", if many { "vm-messages" } else { "vm-message" }]),
    };
    let of = |count: &str| -> Option<Vec<String>> {
        let count: u32 = count.parse().ok()?;
        if count == 1 && grammar == Spanish { Some(owned(["digits/1M"])) } else { number(grammar, count) }
    };
    let none = |new| [owned(["vm-youhave", "vm-no"]), kind(new, true)].concat();
    Some(match prompt {
        "no-messages" => owned(["vm-youhave", "vm-no", "vm-messages"]),
        "no-new" | "no-new-but" => none(true),
        "no-saved" => none(false),
        "new-messages" | "new-messages-and" => kind(true, true),
        "saved-messages" => kind(false, true),
        _ => {
            if let Some(saved) = prompt.strip_prefix("and-saved-") {
                [owned(["vm-and"]), of(saved)?, kind(false, saved != "1")].concat()
            } else {
                let new = prompt.strip_prefix("new-")?;
                let new = new.strip_suffix("-and").unwrap_or(new);
                [owned(["vm-youhave"]), of(new)?, kind(true, new != "1")].concat()
            }
        }
    })
}

const MONTHS: [&str; 12] =
    ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];
/// Asterisk's week begins on Sunday.
const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/// What comes in families: digits, numbers, days, months, hours and minutes.
fn family(grammar: Grammar, prompt: &str) -> Option<Vec<String>> {
    use Grammar::{English, French, Spanish};
    let file = |name: String| Some(vec![name]);
    if let Some(month) = MONTHS.iter().position(|month| *month == prompt) {
        let name = format!("digits/mon-{month}");
        return Some(if grammar == Spanish { vec!["digits/es-de".to_owned(), name] } else { vec![name] });
    }
    if let Some(day) = WEEKDAYS.iter().position(|day| prompt.strip_suffix("-at") == Some(day)) {
        let name = format!("digits/day-{day}");
        return Some(match grammar {
            Spanish => vec!["digits/es-el".to_owned(), name],
            English | French => vec![name, "digits/at".to_owned()],
        });
    }
    let (name, rest) = prompt.split_once('-')?;
    let (amount, form) = rest.split_once('-').unwrap_or((rest, ""));
    let amount: u32 = amount.parse().ok()?;
    match (name, form) {
        ("digit", "" | "end") => file(format!("digits/{amount}")),
        ("oh", "") => Some(vec!["digits/oh".to_owned(), format!("digits/{amount}")]),
        ("number", "") => number(grammar, amount),
        ("number", "m") => masculine(amount),
        ("day", "") => match (grammar, amount) {
            (English, 1..=20 | 30) => file(format!("digits/h-{amount}")),
            (English, _) => Some(vec![format!("digits/{}", amount / 10 * 10), format!("digits/h-{}", amount % 10)]),
            (French, _) => number(grammar, amount),
            (Spanish, _) => Some([vec!["digits/es-el".to_owned()], number(grammar, amount)?].concat()),
        },
        // "Une heure" and "vingt et une heures" have no sound in French.
        ("hour", "") if grammar == French && !matches!(amount, 0 | 1 | 21) => {
            Some([number(grammar, amount)?, vec!["digits/oclock".to_owned()]].concat())
        }
        ("hour", "") if grammar == Spanish => Some([vec!["digits/at_s".to_owned()], number(grammar, amount)?].concat()),
        ("past", "") => Some([vec!["digits/and".to_owned()], number(grammar, amount)?].concat()),
        _ => None,
    }
}

/// A number from 0 to 99, or whole hundreds.
fn number(grammar: Grammar, amount: u32) -> Option<Vec<String>> {
    use Grammar::{English, French, Spanish};
    let digits = |amount: u32| format!("digits/{amount}");
    let and = |tens: u32, word: &str, ones: u32| vec![digits(tens), format!("digits/{word}"), digits(ones)];
    let (tens, ones) = (amount / 10 * 10, amount % 10);
    Some(match (grammar, amount) {
        (_, 0..=20) => vec![digits(amount)],
        (_, 100) => match grammar {
            English => vec![digits(1), "digits/hundred".to_owned()],
            French | Spanish => vec!["digits/hundred".to_owned()],
        },
        (Spanish, 200 | 300 | 400 | 500 | 600 | 700 | 800 | 900) => vec![digits(amount)],
        (English | French, 200 | 300 | 400 | 500 | 600 | 700 | 800 | 900) => {
            vec![digits(amount / 100), "digits/hundred".to_owned()]
        }
        (Spanish, 21..=29) => vec![digits(amount)],
        (French, 71) => and(60, "et", 11),
        (French, 72..=79 | 91..=99) => vec![digits(tens - 10), digits(ones + 10)],
        (French, 81) => vec![digits(80), digits(1)],
        (_, 21..=99) if ones == 0 => vec![digits(tens)],
        (French, 21..=99) if ones == 1 => and(tens, "et", 1),
        (Spanish, 31..=99) => and(tens, "and", ones),
        (_, 21..=99) => vec![digits(tens), digits(ones)],
        _ => return None,
    })
}

/// The Spanish numbers that end in one, before a masculine noun.
fn masculine(amount: u32) -> Option<Vec<String>> {
    match (amount, amount % 10) {
        (1, _) => Some(owned(["digits/1M"])),
        (21, _) => Some(owned(["digits/20-and", "digits/1M"])),
        (31..=91, 1) => Some(vec![format!("digits/{}", amount - 1), "digits/and".to_owned(), "digits/1M".to_owned()]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ivr::prompts::PromptId;

    #[test]
    fn numbers_counts_and_dates_are_said_with_asterisks_words() {
        use Grammar::{English, French, Spanish};
        for (grammar, prompt, said) in [
            (English, "goodbye", "vm-goodbye"),
            (English, "new-3-and", "vm-youhave digits/3 vm-INBOX vm-messages"),
            (English, "and-saved-1", "vm-and digits/1 vm-Old vm-message"),
            (English, "number-42", "digits/40 digits/2"),
            (English, "day-21", "digits/20 digits/h-1"),
            (English, "sunday-at", "digits/day-0 digits/at"),
            (English, "seconds-long", "seconds"),
            (English, "from-private-caller", "vm-unknown-caller"),
            (French, "number-71", "digits/60 digits/et digits/11"),
            (French, "number-81", "digits/80 digits/1"),
            (French, "number-95", "digits/80 digits/15"),
            (French, "hour-15", "digits/15 digits/oclock"),
            (Spanish, "new-1", "vm-youhave digits/1M vm-message vm-INBOX"),
            (Spanish, "number-41-m", "digits/40 digits/and digits/1M"),
            (Spanish, "hour-21", "digits/at_s digits/20-and digits/1F"),
            (Spanish, "past-59", "digits/and digits/50 digits/and digits/9"),
            (Spanish, "may", "digits/es-de digits/mon-4"),
            (Spanish, "day-21", "digits/es-el digits/21"),
        ] {
            assert_eq!(files(grammar, prompt).unwrap_or_default().join(" "), said, "{prompt}");
        }
        assert_eq!(files(French, "hour-21"), None);
        for prompt in ["to-block", "press-7", "press-star", "press-pound"] {
            assert_eq!(files(English, prompt), None, "{prompt}");
        }
    }

    #[test]
    fn a_sentence_that_begins_in_our_words_ends_in_them() {
        let dir = tempfile::tempdir().unwrap();
        let spoken = crate::voice::Voice::ours(Grammar::English).prompt(PromptId::Goodbye, 16_000).unwrap();
        let sound = |name: &str| {
            std::fs::write(dir.path().join(format!("{name}.wav")), crate::audio::wav::from_samples_at(16_000, &spoken)).unwrap();
        };
        let read = || {
            let mut contents = Contents { recordings: std::collections::BTreeMap::new(), findings: vec![], is_whole: true };
            read(dir.path(), &"en".parse().unwrap(), Grammar::English, &mut contents);
            contents.recordings.into_keys().collect::<Vec<_>>()
        };

        sound("seconds");
        assert_eq!(read(), []);
        sound("vm-duration");
        assert!(read().contains(&PromptId::SecondsLong) && read().contains(&PromptId::Length));
    }

    #[test]
    fn only_prompts_are_named() {
        for (name, _) in SENTENCES {
            assert!(PromptId::named(name).is_some(), "{name}");
        }
    }
}
