//! The keys of Avaya's AUDIX: `2` gets messages, `*3` (`*D`) deletes, `**8` (`**U`) restores, `**4` (`**H`) holds, `*4` (`*H`)
//! helps, `*7` (`*R`) returns to the main menu and `**9` (`**X`) leaves; in a message `0` listens, `3` pauses, `5` and `6` wind,
//! `2 3` goes back to date and caller.

use super::{
    AfterAction, BlockAction, Digit, GreetingAction, KeyMap, MainAction, OptionsAction, OwnReviewAction, PlayingAction,
    ReviewAction,
};

pub(super) static KEYS: KeyMap = KeyMap {
    greeting: &[("#", GreetingAction::SkipGreeting), ("*", GreetingAction::LogIn)],
    end_recording: &[Digit::Pound],
    review: &[
        ("#", ReviewAction::Accept),
        ("23", ReviewAction::Listen),
        ("1", ReviewAction::RecordAgain),
        ("*3", ReviewAction::Cancel),
    ],
    own_review: &[
        ("#", OwnReviewAction::Accept),
        ("23", OwnReviewAction::Listen),
        ("1", OwnReviewAction::RecordAgain),
        ("*3", OwnReviewAction::Cancel),
    ],
    main: &[
        ("2", MainAction::HearNew),
        ("7", MainAction::HearSaved),
        ("5", MainAction::Options),
        ("3", MainAction::Options),
        ("*4", MainAction::Help),
        ("**9", MainAction::Leave),
    ],
    playing: &[
        ("3", PlayingAction::PauseOrContinue),
        ("5", PlayingAction::Back),
        ("6", PlayingAction::Ahead),
        ("0", PlayingAction::Repeat),
        ("2", PlayingAction::Repeat),
        ("23", PlayingAction::Envelope),
        ("22", PlayingAction::Previous),
        ("#", PlayingAction::Next),
        ("*3", PlayingAction::DeleteOrRestore),
        ("**8", PlayingAction::DeleteOrRestore),
        ("**4", PlayingAction::Save),
        ("*7", PlayingAction::MainMenu),
    ],
    after: &[
        ("*3", AfterAction::DeleteOrRestore),
        ("**8", AfterAction::DeleteOrRestore),
        ("**4", AfterAction::Save),
        ("#", AfterAction::Next),
        ("0", AfterAction::Repeat),
        ("2", AfterAction::Repeat),
        ("22", AfterAction::Previous),
        ("23", AfterAction::Envelope),
        ("*4", AfterAction::Help),
        ("*7", AfterAction::MainMenu),
    ],
    options: &[
        ("1", OptionsAction::Greeting),
        ("4", OptionsAction::Passcode),
        ("5", OptionsAction::Name),
        ("*4", OptionsAction::Help),
        ("*7", OptionsAction::MainMenu),
        ("#", OptionsAction::MainMenu),
    ],
    block: &[("1", BlockAction::Block), ("**9", BlockAction::Leave), ("#", BlockAction::Leave)],
};
