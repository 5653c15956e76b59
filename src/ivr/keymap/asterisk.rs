//! The keys of Asterisk's `app_voicemail`: `0` mailbox options, `3` advanced options, `4 5 6` previous, repeat and next, `7`
//! delete, `9` save; its advanced options are two keys here (`3 3` envelope).

use super::{
    AfterAction, BlockAction, Digit, GreetingAction, KeyMap, MainAction, OptionsAction, OwnReviewAction, PlayingAction,
    ReviewAction,
};

pub(super) static KEYS: KeyMap = KeyMap {
    greeting: &[("#", GreetingAction::SkipGreeting), ("*", GreetingAction::LogIn)],
    end_recording: &[Digit::Pound],
    review: &[
        ("1", ReviewAction::Accept),
        ("2", ReviewAction::Listen),
        ("3", ReviewAction::RecordAgain),
        ("*", ReviewAction::Cancel),
    ],
    own_review: &[
        ("1", OwnReviewAction::Accept),
        ("2", OwnReviewAction::Listen),
        ("3", OwnReviewAction::RecordAgain),
        ("*", OwnReviewAction::Cancel),
    ],
    main: &[
        ("1", MainAction::HearNew),
        ("2", MainAction::HearSaved),
        ("0", MainAction::Options),
        ("*", MainAction::Help),
        ("#", MainAction::Leave),
    ],
    playing: &[
        ("0", PlayingAction::PauseOrContinue),
        ("*", PlayingAction::Back),
        ("#", PlayingAction::Ahead),
        ("33", PlayingAction::Envelope),
        ("4", PlayingAction::Previous),
        ("5", PlayingAction::Repeat),
        ("6", PlayingAction::Next),
        ("7", PlayingAction::DeleteOrRestore),
        ("9", PlayingAction::Save),
    ],
    after: &[
        ("7", AfterAction::DeleteOrRestore),
        ("9", AfterAction::Save),
        ("6", AfterAction::Next),
        ("5", AfterAction::Repeat),
        ("4", AfterAction::Previous),
        ("33", AfterAction::Envelope),
        ("1", AfterAction::HearNew),
        ("2", AfterAction::HearSaved),
        ("0", AfterAction::Options),
        ("*", AfterAction::Help),
        ("#", AfterAction::MainMenu),
    ],
    options: &[
        ("1", OptionsAction::Greeting),
        ("3", OptionsAction::Name),
        ("5", OptionsAction::Passcode),
        ("0", OptionsAction::Help),
        ("*", OptionsAction::MainMenu),
        ("#", OptionsAction::MainMenu),
    ],
    block: &[("1", BlockAction::Block), ("#", BlockAction::Leave)],
};
