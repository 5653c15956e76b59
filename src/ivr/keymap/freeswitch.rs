//! The keys of FreeSWITCH's `mod_voicemail` as its vanilla configuration has them: `2` save, `7` delete, `5` options, `0` main
//! menu; while a message plays `4` and `6` wind, `0` pauses, `1` starts again and `*` tells date and caller.

use super::{
    AfterAction, BlockAction, Digit, GreetingAction, KeyMap, MainAction, OptionsAction, OwnReviewAction, PlayingAction,
    ReviewAction,
};

pub(super) static KEYS: KeyMap = KeyMap {
    greeting: &[("#", GreetingAction::SkipGreeting), ("*", GreetingAction::LogIn)],
    end_recording: &[Digit::Pound],
    review: &[
        ("1", ReviewAction::Listen),
        ("2", ReviewAction::Accept),
        ("3", ReviewAction::RecordAgain),
        ("7", ReviewAction::Cancel),
    ],
    own_review: &[
        ("1", OwnReviewAction::Listen),
        ("2", OwnReviewAction::Accept),
        ("3", OwnReviewAction::RecordAgain),
        ("7", OwnReviewAction::Cancel),
    ],
    main: &[
        ("1", MainAction::HearNew),
        ("2", MainAction::HearSaved),
        ("5", MainAction::Options),
        ("0", MainAction::Help),
        ("#", MainAction::Leave),
    ],
    playing: &[
        ("0", PlayingAction::PauseOrContinue),
        ("1", PlayingAction::Repeat),
        ("4", PlayingAction::Back),
        ("6", PlayingAction::Ahead),
        ("3", PlayingAction::Next),
        ("9", PlayingAction::Previous),
        ("2", PlayingAction::Save),
        ("7", PlayingAction::DeleteOrRestore),
        ("*", PlayingAction::Envelope),
        ("#", PlayingAction::MainMenu),
    ],
    after: &[
        ("1", AfterAction::Repeat),
        ("2", AfterAction::Save),
        ("7", AfterAction::DeleteOrRestore),
        ("3", AfterAction::Next),
        ("9", AfterAction::Previous),
        ("*", AfterAction::Envelope),
        ("0", AfterAction::MainMenu),
        ("#", AfterAction::MainMenu),
    ],
    options: &[
        ("1", OptionsAction::Greeting),
        ("3", OptionsAction::Name),
        ("6", OptionsAction::Passcode),
        ("*", OptionsAction::Help),
        ("0", OptionsAction::MainMenu),
        ("#", OptionsAction::MainMenu),
    ],
    block: &[("1", BlockAction::Block), ("#", BlockAction::Leave)],
};
