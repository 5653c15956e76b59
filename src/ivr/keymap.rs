//! What each key does where. The menus, the help and the printed key card all follow this table.

use super::{Item, PromptId};

/// A key of a telephone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the keys are their names")]
pub enum Digit {
    Zero,
    One,
    Two,
    Three,
    Four,
    Five,
    Six,
    Seven,
    Eight,
    Nine,
    Star,
    Pound,
}

impl Digit {
    /// All twelve keys.
    pub const ALL: [Self; 12] = [
        Self::Zero,
        Self::One,
        Self::Two,
        Self::Three,
        Self::Four,
        Self::Five,
        Self::Six,
        Self::Seven,
        Self::Eight,
        Self::Nine,
        Self::Star,
        Self::Pound,
    ];

    /// The key with this sign. `A` to `D`, which no telephone here has a use for, are none.
    #[must_use]
    pub fn from_char(sign: char) -> Option<Self> {
        Self::ALL.into_iter().find(|digit| digit.as_char() == sign)
    }

    /// The sign on the key.
    #[must_use]
    pub const fn as_char(self) -> char {
        match self {
            Self::Zero => '0',
            Self::One => '1',
            Self::Two => '2',
            Self::Three => '3',
            Self::Four => '4',
            Self::Five => '5',
            Self::Six => '6',
            Self::Seven => '7',
            Self::Eight => '8',
            Self::Nine => '9',
            Self::Star => '*',
            Self::Pound => '#',
        }
    }

    const fn press(self) -> PromptId {
        match self {
            Self::Zero => PromptId::Press0,
            Self::One => PromptId::Press1,
            Self::Two => PromptId::Press2,
            Self::Three => PromptId::Press3,
            Self::Four => PromptId::Press4,
            Self::Five => PromptId::Press5,
            Self::Six => PromptId::Press6,
            Self::Seven => PromptId::Press7,
            Self::Eight => PromptId::Press8,
            Self::Nine => PromptId::Press9,
            Self::Star => PromptId::PressStar,
            Self::Pound => PromptId::PressPound,
        }
    }
}

/// One menu of the key map: keys and what they do, in the order in which they are told.
pub type Menu<A> = &'static [(Digit, A)];

/// What a key can be made to do in one menu.
pub trait Action: Copy + PartialEq + 'static {
    /// What the key card says it does.
    fn describe(self) -> &'static str;

    /// The first half of "To …, press …"; none for what is told in other words.
    fn purpose(self) -> Option<PromptId>;
}

macro_rules! actions {
    ($(#[$doc:meta])* $name:ident { $($action:ident: $text:literal, $purpose:expr;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = $text] $action,)*
        }

        impl Action for $name {
            fn describe(self) -> &'static str {
                match self {
                    $(Self::$action => $text,)*
                }
            }

            fn purpose(self) -> Option<PromptId> {
                match self {
                    $(Self::$action => $purpose,)*
                }
            }
        }
    };
}

actions! {
    /// While the greeting plays, until the beep.
    GreetingAction {
        SkipGreeting: "go to the beep", None;
        LogIn: "log in to the mailbox", None;
    }
}
actions! {
    /// After a message was recorded.
    ReviewAction {
        Accept: "send the message", Some(PromptId::ToSend);
        Listen: "listen to it", Some(PromptId::ToListen);
        RecordAgain: "record it again", Some(PromptId::ToRecordAgain);
        Cancel: "cancel it", Some(PromptId::ToCancel);
    }
}
actions! {
    /// After a greeting or a name was recorded.
    OwnReviewAction {
        Accept: "keep the recording", Some(PromptId::ToKeep);
        Listen: "listen to it", Some(PromptId::ToListen);
        RecordAgain: "record it again", Some(PromptId::ToRecordAgain);
        Cancel: "cancel; the old one stays", Some(PromptId::ToCancel);
    }
}
actions! {
    /// The main menu.
    MainAction {
        HearNew: "new messages", Some(PromptId::ToHearNew);
        HearSaved: "saved messages", Some(PromptId::ToHearSaved);
        Options: "options: greeting, name, passcode", Some(PromptId::ToOptions);
        Help: "help", Some(PromptId::ToHelp);
        Leave: "leave", Some(PromptId::ToLeave);
    }
}
actions! {
    /// While a message plays.
    PlayingAction {
        Previous: "previous message", Some(PromptId::ToPrevious);
        Repeat: "play it again", Some(PromptId::ToRepeat);
        Next: "next message", Some(PromptId::ToNext);
        DeleteOrRestore: "delete or restore it", Some(PromptId::ToDelete);
        Save: "save it", Some(PromptId::ToSave);
        Envelope: "date, caller and length", Some(PromptId::ToEnvelope);
        Back: "back 3 seconds", Some(PromptId::ToBack);
        Ahead: "ahead 3 seconds", Some(PromptId::ToAhead);
        PauseOrContinue: "pause or continue", Some(PromptId::ToPause);
    }
}
actions! {
    /// After a message.
    AfterAction {
        DeleteOrRestore: "delete or restore it", Some(PromptId::ToDelete);
        Save: "save it", Some(PromptId::ToSave);
        Next: "next message", Some(PromptId::ToNext);
        Repeat: "play it again", Some(PromptId::ToRepeat);
        Previous: "previous message", Some(PromptId::ToPrevious);
        Envelope: "date, caller and length", Some(PromptId::ToEnvelope);
        HearNew: "new messages, from the first", Some(PromptId::ToHearNew);
        HearSaved: "saved messages, from the first", Some(PromptId::ToHearSaved);
        Options: "options: greeting, name, passcode", Some(PromptId::ToOptions);
        Help: "help", Some(PromptId::ToMoreChoices);
        MainMenu: "main menu", Some(PromptId::ToMainMenu);
    }
}
actions! {
    /// The options.
    OptionsAction {
        Greeting: "record the greeting", Some(PromptId::ToRecordGreeting);
        Name: "record the name", Some(PromptId::ToRecordName);
        Passcode: "change the passcode", Some(PromptId::ToChangePasscode);
        Help: "hear the options again", Some(PromptId::ToHelp);
        MainMenu: "main menu", Some(PromptId::ToMainMenu);
    }
}
actions! {
    /// After the last caller's number was said.
    BlockAction {
        Block: "block this caller", Some(PromptId::ToBlock);
        Leave: "leave", Some(PromptId::ToLeave);
    }
}

/// All menus.
#[derive(Debug)]
pub struct KeyMap {
    /// While the greeting plays.
    pub greeting: Menu<GreetingAction>,
    /// The keys that end a recording.
    pub end_recording: &'static [Digit],
    /// After a message was recorded.
    pub review: Menu<ReviewAction>,
    /// After a greeting or a name was recorded.
    pub own_review: Menu<OwnReviewAction>,
    /// The main menu.
    pub main: Menu<MainAction>,
    /// While a message plays.
    pub playing: Menu<PlayingAction>,
    /// After a message.
    pub after: Menu<AfterAction>,
    /// The options.
    pub options: Menu<OptionsAction>,
    /// After the last caller's number was said.
    pub block: Menu<BlockAction>,
}

/// The key map everybody has.
pub static DEFAULT: KeyMap = KeyMap {
    greeting: &[(Digit::Pound, GreetingAction::SkipGreeting), (Digit::Star, GreetingAction::LogIn)],
    end_recording: &[Digit::Pound],
    review: &[
        (Digit::One, ReviewAction::Accept),
        (Digit::Two, ReviewAction::Listen),
        (Digit::Three, ReviewAction::RecordAgain),
        (Digit::Star, ReviewAction::Cancel),
        (Digit::Zero, ReviewAction::Cancel),
    ],
    own_review: &[
        (Digit::One, OwnReviewAction::Accept),
        (Digit::Two, OwnReviewAction::Listen),
        (Digit::Three, OwnReviewAction::RecordAgain),
        (Digit::Star, OwnReviewAction::Cancel),
        (Digit::Zero, OwnReviewAction::Cancel),
    ],
    main: &[
        (Digit::One, MainAction::HearNew),
        (Digit::Two, MainAction::HearSaved),
        (Digit::Zero, MainAction::Options),
        (Digit::Star, MainAction::Help),
        (Digit::Pound, MainAction::Leave),
    ],
    playing: &[
        (Digit::Zero, PlayingAction::PauseOrContinue),
        (Digit::Star, PlayingAction::Back),
        (Digit::Pound, PlayingAction::Ahead),
        (Digit::Three, PlayingAction::Envelope),
        (Digit::Four, PlayingAction::Previous),
        (Digit::Five, PlayingAction::Repeat),
        (Digit::Six, PlayingAction::Next),
        (Digit::Seven, PlayingAction::DeleteOrRestore),
        (Digit::Nine, PlayingAction::Save),
    ],
    after: &[
        (Digit::Seven, AfterAction::DeleteOrRestore),
        (Digit::Nine, AfterAction::Save),
        (Digit::Six, AfterAction::Next),
        (Digit::Five, AfterAction::Repeat),
        (Digit::Four, AfterAction::Previous),
        (Digit::Three, AfterAction::Envelope),
        (Digit::One, AfterAction::HearNew),
        (Digit::Two, AfterAction::HearSaved),
        (Digit::Zero, AfterAction::Options),
        (Digit::Star, AfterAction::Help),
        (Digit::Pound, AfterAction::MainMenu),
    ],
    options: &[
        (Digit::One, OptionsAction::Greeting),
        (Digit::Two, OptionsAction::Name),
        (Digit::Three, OptionsAction::Passcode),
        (Digit::Star, OptionsAction::Help),
        (Digit::Pound, OptionsAction::MainMenu),
    ],
    block: &[(Digit::One, BlockAction::Block), (Digit::Pound, BlockAction::Leave)],
};

/// What `digit` does in `menu`.
#[must_use]
pub fn action<A: Action>(menu: Menu<A>, digit: Digit) -> Option<A> {
    menu.iter().find(|(key, _)| *key == digit).map(|(_, action)| *action)
}

/// "To …, press …" for every action that `told` admits, in the order of `menu`; an action with two keys is told once.
pub fn tell<A: Action>(menu: Menu<A>, told: impl Fn(A) -> bool) -> Vec<Item> {
    let mut items = vec![];
    for (at, (key, action)) in menu.iter().enumerate() {
        let repeated = menu[..at].iter().any(|(_, earlier)| earlier == action);
        if let (false, true, Some(purpose)) = (repeated, told(*action), action.purpose()) {
            items.extend([Item::Prompt(purpose), Item::Prompt(key.press())]);
        }
    }
    items
}

/// The key card for subscribers, `docs/key-card.md`.
#[must_use]
pub fn key_card() -> String {
    let map = &DEFAULT;
    let ends: Vec<_> = map.end_recording.iter().map(|key| format!("`{}`", key.as_char())).collect();
    let mut card = String::from(
        "# Key card\n\n<!-- Made from the key map by `afterbeep`'s tests: change `src/ivr/keymap.rs`, not this page. -->\n\n\
         Any menu can be interrupted: press the key as soon as you know it. Several keys may be pressed ahead.\n\
         Finish a number or a passcode with `#`; `*` clears what you typed.\n",
    );
    section(&mut card, "Leaving a message: during the greeting", map.greeting);
    card.push_str(&format!("\nWhile recording, {} ends the message. Hanging up sends it.\n", ends.join(" or ")));
    section(&mut card, "Leaving a message: after recording", map.review);
    section(&mut card, "Your mailbox: main menu", map.main);
    section(&mut card, "While a message plays", map.playing);
    section(&mut card, "After a message", map.after);
    section(&mut card, "Options", map.options);
    section(&mut card, "After recording your greeting or name", map.own_review);
    card.push_str(
        "\n## Callers you do not want\n\nDial `*60` to block your last caller, `*77` to refuse callers who show no number, and `*77` again to accept them.\n\
         Type your passcode when asked.\n",
    );
    section(&mut card, "After your last caller's number", map.block);
    card
}

fn section<A: Action>(card: &mut String, title: &str, menu: Menu<A>) {
    card.push_str(&format!("\n## {title}\n\n| Key | |\n|---|---|\n"));
    for (key, action) in menu {
        card.push_str(&format!("| `{}` | {} |\n", key.as_char(), action.describe()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_menu_has_a_key_twice() {
        fn check<A: Action>(menu: Menu<A>) {
            for (at, (key, _)) in menu.iter().enumerate() {
                assert!(menu[..at].iter().all(|(earlier, _)| earlier != key), "{key:?}");
            }
        }

        check(DEFAULT.greeting);
        check(DEFAULT.review);
        check(DEFAULT.own_review);
        check(DEFAULT.main);
        check(DEFAULT.playing);
        check(DEFAULT.after);
        check(DEFAULT.options);
        check(DEFAULT.block);
    }

    #[test]
    fn signs_and_keys_correspond() {
        for digit in Digit::ALL {
            assert_eq!(Digit::from_char(digit.as_char()), Some(digit));
        }
        assert_eq!(Digit::from_char('A'), None);
    }

    #[test]
    fn an_action_with_two_keys_is_told_once() {
        let told = tell(DEFAULT.review, |action| action == ReviewAction::Cancel);

        assert_eq!(told, [Item::Prompt(PromptId::ToCancel), Item::Prompt(PromptId::PressStar)]);
    }

    /// Run with `AFTERBEEP_WRITE_DOCS=1` to write the page instead.
    #[test]
    fn the_key_card_in_the_manual_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/key-card.md");
        if std::env::var_os("AFTERBEEP_WRITE_DOCS").is_some() {
            std::fs::create_dir_all(concat!(env!("CARGO_MANIFEST_DIR"), "/docs")).unwrap();
            std::fs::write(path, key_card()).unwrap();
        }

        assert_eq!(std::fs::read_to_string(path).unwrap(), key_card(), "docs/key-card.md differs from the key map");
    }
}
