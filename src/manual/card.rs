//! What each key does, in the words of the prompts.

use super::words::{self, Heading, Words};
use crate::{
    domain::{keys::KeyProfile, language::Grammar},
    ivr::keymap::{self, Action, Digit, KeyMap, Menu},
};

/// What the configuration of a service says that its subscribers should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// What opens the mailbox.
    pub access_codes: Vec<String>,
    /// What blocks the last caller.
    pub block_codes: Vec<String>,
    /// What refuses callers without a number.
    pub anonymous_codes: Vec<String>,
    /// How many digits a passcode has at least.
    pub shortest_passcode: usize,
}

impl Default for Service {
    /// A service whose configuration says nothing else.
    fn default() -> Self {
        let code = |code: &str| vec![code.to_owned()];
        Self { access_codes: code("*98"), block_codes: code("*60"), anonymous_codes: code("*77"), shortest_passcode: 8 }
    }
}

/// A page with all keys of a key map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The language it is in.
    pub language: Grammar,
    /// Its heading.
    pub title: String,
    /// What holds in every menu.
    pub rules: Vec<String>,
    /// The menus.
    pub sections: Vec<Section>,
}

/// The keys of one menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The menu's name in the key map.
    pub menu: &'static str,
    /// When they do it.
    pub title: String,
    /// What is to be known beside the keys.
    pub note: Option<String>,
    /// What can be done.
    pub rows: Vec<Row>,
}

/// One thing that can be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name in the key map.
    pub action: String,
    /// The keys that do it, such as `4` or `*7`.
    pub keys: Vec<&'static str>,
    /// What it is, in words.
    pub does: String,
}

impl Row {
    /// All its keys.
    #[must_use]
    pub fn all_keys(&self) -> String {
        self.keys.join(", ")
    }
}

impl Card {
    /// The card of a key map.
    #[must_use]
    pub fn new(profile: KeyProfile, language: Grammar, service: &Service) -> Self {
        let words = Words::of(language);
        let title = match profile {
            KeyProfile::Afterbeep => words.card_title.to_owned(),
            other => format!("{} ({other})", words.card_title),
        };
        let rules = words.rules.iter().map(|rule| (*rule).to_owned()).collect();
        Self { language, title, rules, sections: sections(keymap::of(profile), language, service, "") }
    }
}

/// All menus of a key map, in the order in which a caller and then a subscriber meets them; in the notes, keys and codes stand between
/// `quotes`.
pub(super) fn sections(map: &KeyMap, language: Grammar, service: &Service, quotes: &str) -> Vec<Section> {
    // Named one by one, so that no menu is forgotten here.
    let KeyMap {
        greeting,
        end_recording,
        pause_recording,
        review,
        before_operator,
        taping,
        own_review,
        forward,
        send,
        main,
        playing,
        after,
        call_back,
        options,
        greetings,
        recording,
        administration,
        reset,
        block,
    } = map;
    let words = Words::of(language);
    let signs = |keys: &[Digit]| words.either(keys.iter().map(|key| key.as_char().to_string()), quotes);
    let ends = words.ends_recording.replace("{keys}", &signs(end_recording)).replace("{pause}", &signs(pause_recording));
    let dialled = [(words.blocks, &service.block_codes), (words.refuses_anonymous, &service.anonymous_codes)];
    let dialled = dialled.into_iter().filter(|(_, codes)| !codes.is_empty());
    let dialled: Vec<_> =
        dialled.map(|(note, codes)| note.replace("{codes}", &words.either(codes.iter().cloned(), quotes))).collect();
    vec![
        section("greeting", Heading::Greeting, greeting, Some(ends), language),
        section("review", Heading::Review, review, None, language),
        section("before_operator", Heading::BeforeOperator, before_operator, None, language),
        section("main", Heading::Main, main, None, language),
        section("playing", Heading::Playing, playing, None, language),
        section("after", Heading::After, after, None, language),
        section("forward", Heading::Forward, forward, None, language),
        section("send", Heading::Send, send, None, language),
        section("call_back", Heading::CallBack, call_back, None, language),
        section("options", Heading::Options, options, None, language),
        section("taping", Heading::Taping, taping, None, language),
        section("own_review", Heading::OwnReview, own_review, None, language),
        section("greetings", Heading::Greetings, greetings, None, language),
        section("recording", Heading::Recording, recording, None, language),
        section("administration", Heading::Administration, administration, None, language),
        section("reset", Heading::Reset, reset, None, language),
        section("block", Heading::Block, block, (!dialled.is_empty()).then(|| dialled.join(" ")), language),
    ]
}

fn section<A: Action>(menu: &'static str, heading: Heading, keys: Menu<A>, note: Option<String>, language: Grammar) -> Section {
    let mut rows: Vec<Row> = Vec::new();
    for (pressed, action) in keys {
        let name = format!("{action:?}");
        match rows.iter_mut().find(|row| row.action == name) {
            Some(row) => row.keys.push(pressed),
            None => rows.push(Row { action: name, keys: vec![pressed], does: describe(*action, language) }),
        }
    }
    Section { menu, title: Words::of(language).heading(heading).to_owned(), note, rows }
}

/// What an action does, as the prompt says it before "press …".
pub(super) fn describe<A: Action>(action: A, language: Grammar) -> String {
    match action.purpose() {
        Some(purpose) => words::purpose(purpose, language),
        None => Words::of(language).unspoken(action.describe()).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_card_says_what_every_key_does_in_its_language() {
        for language in Grammar::ALL {
            for profile in KeyProfile::ALL {
                for section in Card::new(profile, language, &Service::default()).sections {
                    assert!(!section.title.is_empty() && !section.rows.is_empty(), "{profile} {language:?}: {section:?}");
                    for Row { action, does, .. } in &section.rows {
                        assert!(
                            does.chars().count() > 3 && !does.ends_with([',', '.']),
                            "{profile} {language:?}: {action} {does}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_dialled_is_what_the_service_has() {
        let note = |service: &Service| {
            let sections = Card::new(KeyProfile::Afterbeep, Grammar::English, service).sections;
            sections.into_iter().find(|section| section.menu == "block").unwrap().note
        };
        let codes = |codes: &[&str]| codes.iter().map(ToString::to_string).collect::<Vec<_>>();
        let other = Service { block_codes: codes(&["*61", "#61"]), anonymous_codes: vec![], ..Service::default() };
        let none = Service { block_codes: vec![], ..other.clone() };

        assert_eq!(note(&other).unwrap(), "Dial *61 or #61 to block your last caller.");
        assert_eq!(note(&none), None);
    }

    #[test]
    fn english_says_no_second_to() {
        assert_eq!(words::purpose(crate::ivr::PromptId::ToPause, Grammar::English), "Pause, or continue");
        assert_eq!(words::purpose(crate::ivr::PromptId::ToCompose, Grammar::English), "Send a message to other mailboxes");
    }

    #[test]
    fn keys_of_one_action_share_a_line() {
        let card = Card::new(KeyProfile::Audix, Grammar::English, &Service::default());
        let after = card.sections.iter().find(|section| section.menu == "after").unwrap();
        let delete = after.rows.iter().find(|row| row.action == "DeleteOrRestore").unwrap();

        assert_eq!((delete.all_keys().as_str(), delete.does.as_str()), ("*3, **8", "Delete this message"));
    }

    #[test]
    fn the_words_are_those_that_are_spoken() {
        let card = Card::new(KeyProfile::Afterbeep, Grammar::French, &Service::default());
        let after = card.sections.iter().find(|section| section.menu == "after").unwrap();

        assert!(after.rows.iter().any(|row| row.keys == ["7"] && row.does == "Supprimer ce message"), "{after:?}");
    }
}
