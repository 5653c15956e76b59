//! The user's guide: a text in each language, with places that are filled from the key map, the prompts and the rules.
//!
//! `{key:main.HearNew}` is the keys of an action, `{keys:main}` the table of a menu, `{note:block}` what is to be known beside it,
//! `{key:end-recording}` the keys that end a recording, `{says:enter-passcode}` the words of a prompt, `{code:access}` what is dialled,
//! `{rule:longest-message}` a number of the service.

use super::{
    card::{self, Section, Service},
    words::{self, Words},
};
use crate::{
    domain::{keys::KeyProfile, language::Grammar, rules},
    ivr::{
        PromptId,
        keymap::{self, KeyMap},
    },
};

/// The guide for subscribers with this key map, in Markdown.
///
/// # Errors
///
/// The first place of the text that cannot be filled.
pub fn guide(profile: KeyProfile, language: Grammar, service: &Service) -> Result<String, String> {
    let mut text = text_in(language);
    let map = keymap::of(profile);
    let mut filled = String::new();
    while let Some((before, rest)) = text.split_once('{') {
        let (place, after) = rest.split_once('}').ok_or("a place that does not end")?;
        filled.push_str(before);
        filled.push_str(&fill(place, map, language, service).ok_or_else(|| format!("{{{place}}} means nothing"))?);
        text = after;
    }
    filled.push_str(text);
    Ok(filled)
}

fn text_in(language: Grammar) -> &'static str {
    match language {
        Grammar::English => include_str!("guide/en.md"),
        Grammar::French => include_str!("guide/fr.md"),
        Grammar::Spanish => include_str!("guide/es.md"),
    }
}

fn fill(place: &str, map: &KeyMap, language: Grammar, service: &Service) -> Option<String> {
    let (kind, name) = place.split_once(':')?;
    let sections = card::sections(map, language, service, "`");
    let words = Words::of(language);
    match kind {
        "key" if name == "end-recording" => {
            Some(words.either(map.end_recording.iter().map(|key| key.as_char().to_string()), "`"))
        }
        "key" => {
            let (menu, action) = name.split_once('.')?;
            let section = sections.iter().find(|section| section.menu == menu)?;
            let row = section.rows.iter().find(|row| row.action == action)?;
            Some(words.either(row.keys.iter().map(ToString::to_string), "`"))
        }
        "keys" => sections.iter().find(|section| section.menu == name).map(|section| table(section, language)),
        // There is nothing to know where nothing can be dialled.
        "note" => sections.into_iter().find(|section| section.menu == name).map(|section| section.note.unwrap_or_default()),
        "code" if name == "access" => Some(match &service.access_codes[..] {
            [] => words.own_number.to_owned(),
            codes => words.either(codes.iter().cloned(), "`"),
        }),
        "says" => {
            let prompt = PromptId::named(name)?;
            let words = words::spoken(prompt, language);
            (!words.is_empty()).then(|| words.to_owned())
        }
        "rule" if name == "shortest-passcode" => Some(service.shortest_passcode.to_string()),
        "rule" => rule(name),
        _ => None,
    }
}

fn table(section: &Section, language: Grammar) -> String {
    let words = Words::of(language);
    let mut table = format!("| {} | {} |\n|---|---|", words.key, words.does);
    for row in &section.rows {
        let keys: Vec<_> = row.keys.iter().map(|keys| format!("`{keys}`")).collect();
        table.push_str(&format!("\n| {} | {} |", keys.join(", "), row.does));
    }
    table
}

/// A number of the service.
fn rule(name: &str) -> Option<String> {
    let days = |life: std::time::Duration| life.as_secs() / 86_400;
    let number = match name {
        "longest-message-minutes" => rules::LONGEST_MESSAGE.as_secs() / 60,
        "longest-greeting-seconds" => rules::LONGEST_GREETING.as_secs(),
        "longest-name-seconds" => rules::LONGEST_NAME.as_secs(),
        "capacity" => u64::from(rules::MAILBOX_CAPACITY),
        "life-days" => days(rules::MESSAGE_LIFE),
        "deleted-hours" => rules::DELETED_LIFE.as_secs() / 3600,
        "mailed-days" => days(rules::MAILED_LIFE),
        "warning-days" => days(rules::EXPIRY_WARNING),
        "attempts" => u64::from(rules::ATTEMPTS_PER_CALL),
        "failures-before-lock" => u64::from(rules::FAILURES_BEFORE_LOCK),
        "first-lock-minutes" => rules::FIRST_LOCK.as_secs() / 60,
        "failures-before-remote-lock" => u64::from(rules::FAILURES_BEFORE_REMOTE_LOCK),
        _ => return None,
    };
    Some(number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manual::Card;

    #[test]
    fn every_place_is_filled_for_every_key_map() {
        for language in Grammar::ALL {
            for profile in KeyProfile::ALL {
                let guide = guide(profile, language, &Service::default());

                assert!(guide.is_ok(), "{profile} {language:?}: {guide:?}");
            }
        }
    }

    #[test]
    fn no_menu_and_no_note_is_left_out() {
        for language in Grammar::ALL {
            for section in card::sections(keymap::of(KeyProfile::Afterbeep), language, &Service::default(), "`") {
                let place = |kind| text_in(language).contains(&format!("{{{kind}:{}}}", section.menu));

                assert!(place("keys"), "{language:?} {}", section.menu);
                assert!(section.note.is_none() || place("note"), "{language:?} {}", section.menu);
            }
        }
    }

    #[test]
    fn a_guide_names_the_codes_and_the_passcodes_of_its_service() {
        let codes = |codes: &[&str]| codes.iter().map(ToString::to_string).collect::<Vec<_>>();
        let service = Service {
            access_codes: codes(&["*97", "*1"]),
            block_codes: codes(&["*61"]),
            anonymous_codes: codes(&["*78"]),
            shortest_passcode: 6,
        };
        for (language, said) in
            [(Grammar::English, "has 6 digits"), (Grammar::French, "a 6 chiffres"), (Grammar::Spanish, "tiene 6 cifras")]
        {
            let guide = guide(KeyProfile::Afterbeep, language, &service).unwrap();

            for said in ["`*97`", "`*1`", "`*61`", "`*78`", said] {
                assert!(guide.contains(said), "{language:?}: {said}");
            }
            assert!(!["*98", "*60", "*77"].iter().any(|code| guide.contains(code)), "{language:?}");
        }
    }

    #[test]
    fn a_place_that_means_nothing_is_an_error() {
        let map = keymap::of(KeyProfile::Afterbeep);

        for place in
            ["", "key:main", "key:main.Nothing", "keys:none", "note:none", "code:none", "says:nothing", "rule:none", "other:x"]
        {
            assert_eq!(fill(place, map, Grammar::English, &Service::default()), None, "{place}");
        }
    }

    /// Run with `AFTERBEEP_WRITE_DOCS=1` to write the pages instead.
    #[test]
    fn the_guides_and_cards_in_the_documentation_are_up_to_date() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/user-manual");
        let write = std::env::var_os("AFTERBEEP_WRITE_DOCS").is_some();
        for language in Grammar::ALL {
            let card = Card::new(KeyProfile::Afterbeep, language, &Service::default());
            let guide = guide(KeyProfile::Afterbeep, language, &Service::default()).unwrap();
            for (kind, bytes) in [
                (format!("{}.md", language.code()), guide.into_bytes()),
                (format!("key-card-{}.html", language.code()), card.html().into_bytes()),
                (format!("key-card-{}.pdf", language.code()), card.pdf()),
            ] {
                let path = format!("{folder}/{kind}");
                if write {
                    std::fs::write(&path, &bytes).unwrap();
                }
                assert!(std::fs::read(&path).unwrap() == bytes, "{kind} differs: AFTERBEEP_WRITE_DOCS=1 cargo test manual");
            }
        }
    }
}
