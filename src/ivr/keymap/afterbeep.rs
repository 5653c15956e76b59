//! Our own keys. Those while a message plays and after it are where Asterisk has them, as most people know these.

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
        ("0", ReviewAction::Cancel),
    ],
    own_review: &[
        ("1", OwnReviewAction::Accept),
        ("2", OwnReviewAction::Listen),
        ("3", OwnReviewAction::RecordAgain),
        ("*", OwnReviewAction::Cancel),
        ("0", OwnReviewAction::Cancel),
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
        ("3", PlayingAction::Envelope),
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
        ("3", AfterAction::Envelope),
        ("1", AfterAction::HearNew),
        ("2", AfterAction::HearSaved),
        ("0", AfterAction::Options),
        ("*", AfterAction::Help),
        ("#", AfterAction::MainMenu),
    ],
    options: &[
        ("1", OptionsAction::Greeting),
        ("2", OptionsAction::Name),
        ("3", OptionsAction::Passcode),
        ("*", OptionsAction::Help),
        ("#", OptionsAction::MainMenu),
    ],
    block: &[("1", BlockAction::Block), ("#", BlockAction::Leave)],
};
