//! The keys of Cisco Unity Connection's standard conversation: `1` new messages, `3 1` saved ones, `4` setup options; in a
//! message `1` restarts, `2` saves, `3` deletes, `7` and `9` wind, `8` pauses, `#` skips and `*` leaves; `0` helps.

use super::{
    AfterAction, BlockAction, Digit, GreetingAction, KeyMap, MainAction, OptionsAction, OwnReviewAction, PlayingAction,
    ReviewAction,
};

pub(super) static KEYS: KeyMap = KeyMap {
    greeting: &[("#", GreetingAction::SkipGreeting), ("*", GreetingAction::LogIn)],
    end_recording: &[Digit::Pound],
    review: &[
        ("#", ReviewAction::Accept),
        ("2", ReviewAction::Listen),
        ("3", ReviewAction::RecordAgain),
        ("*", ReviewAction::Cancel),
    ],
    own_review: &[
        ("#", OwnReviewAction::Accept),
        ("2", OwnReviewAction::Listen),
        ("3", OwnReviewAction::RecordAgain),
        ("*", OwnReviewAction::Cancel),
    ],
    main: &[
        ("1", MainAction::HearNew),
        ("31", MainAction::HearSaved),
        ("4", MainAction::Options),
        ("0", MainAction::Help),
        ("*", MainAction::Leave),
        ("#", MainAction::Leave),
    ],
    playing: &[
        ("1", PlayingAction::Repeat),
        ("2", PlayingAction::Save),
        ("3", PlayingAction::DeleteOrRestore),
        ("7", PlayingAction::Back),
        ("8", PlayingAction::PauseOrContinue),
        ("9", PlayingAction::Ahead),
        ("#", PlayingAction::Next),
        ("*", PlayingAction::MainMenu),
    ],
    after: &[
        ("1", AfterAction::Repeat),
        ("2", AfterAction::Save),
        ("3", AfterAction::DeleteOrRestore),
        ("9", AfterAction::Envelope),
        ("#", AfterAction::Next),
        ("7", AfterAction::Previous),
        ("*", AfterAction::MainMenu),
        ("0", AfterAction::Help),
    ],
    options: &[
        ("1", OptionsAction::Greeting),
        ("31", OptionsAction::Passcode),
        ("32", OptionsAction::Name),
        ("0", OptionsAction::Help),
        ("*", OptionsAction::MainMenu),
        ("#", OptionsAction::MainMenu),
    ],
    block: &[("1", BlockAction::Block), ("*", BlockAction::Leave), ("#", BlockAction::Leave)],
};
