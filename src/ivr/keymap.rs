//! What each key does where: a table for each [`KeyProfile`]. The menus, the help and the printed key card all follow them.
//!
//! An action has one key or several in a row. Where the keys of one action begin those of another, as `4` and `44`, the
//! shorter one acts when no further key comes.

use super::{Item, PromptId};
use crate::domain::keys::KeyProfile;

mod afterbeep;
mod asterisk;
mod audix;
mod freeswitch;
mod unity;

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

    /// "Press four".
    pub(super) const fn press(self) -> PromptId {
        self.pressed(true)
    }

    /// "Press four", or what is said of it after another key.
    const fn pressed(self, first: bool) -> PromptId {
        match self {
            Self::Zero if !first => PromptId::Digit0End,
            Self::One if !first => PromptId::Digit1End,
            Self::Two if !first => PromptId::Digit2End,
            Self::Three if !first => PromptId::Digit3End,
            Self::Four if !first => PromptId::Digit4End,
            Self::Five if !first => PromptId::Digit5End,
            Self::Six if !first => PromptId::Digit6End,
            Self::Seven if !first => PromptId::Digit7End,
            Self::Eight if !first => PromptId::Digit8End,
            Self::Nine if !first => PromptId::Digit9End,
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

/// One menu of a key map: the signs of the keys and what they do, in the order in which they are told.
pub type Menu<A> = &'static [(&'static str, A)];

/// What a key can be made to do in one menu.
pub trait Action: Copy + PartialEq + std::fmt::Debug + 'static {
    /// All of the menu's actions.
    const ALL: &[Self];

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
            const ALL: &[Self] = &[$(Self::$action,)*];

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
        Operator: "reach an operator, where the mailbox has one", None;
    }
}
actions! {
    /// After a message was recorded.
    ReviewAction {
        Accept: "send the message", Some(PromptId::ToSend);
        Listen: "listen to it", Some(PromptId::ToListen);
        RecordAgain: "record it again", Some(PromptId::ToRecordAgain);
        Add: "add to it", Some(PromptId::ToAdd);
        Urgent: "mark it as urgent, or not", Some(PromptId::ToMarkUrgent);
        Private: "mark it as private, or not", Some(PromptId::ToMarkPrivate);
        Cancel: "cancel it", Some(PromptId::ToCancel);
        Operator: "reach an operator, where the mailbox has one", Some(PromptId::ToOperator);
    }
}
actions! {
    /// After a message was recorded by a caller who wants to reach an operator.
    BeforeOperatorAction {
        Send: "send the message first", Some(PromptId::ToSend);
        Drop: "cancel the message", Some(PromptId::ToCancelMessage);
    }
}
actions! {
    /// Before the recording of a greeting, a name or a message to other mailboxes, until the beep.
    TapingAction {
        Begin: "go to the beep", None;
        Cancel: "cancel; nothing is recorded", None;
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
    /// Before a message is forwarded.
    ForwardAction {
        Introduce: "record an introduction", Some(PromptId::ToIntroduce);
        Send: "send it as it is", Some(PromptId::ToForwardNow);
        MarkUrgent: "mark it as urgent, or not", Some(PromptId::ToMarkUrgent);
        MarkPrivate: "mark it as private, or not", Some(PromptId::ToMarkPrivate);
        Cancel: "cancel", Some(PromptId::ToCancel);
    }
}
actions! {
    /// After a message to other mailboxes, or an introduction to one, was recorded.
    SendAction {
        Accept: "send it", Some(PromptId::ToSend);
        Listen: "listen to it", Some(PromptId::ToListen);
        RecordAgain: "record it again", Some(PromptId::ToRecordAgain);
        MarkUrgent: "mark it as urgent, or not", Some(PromptId::ToMarkUrgent);
        MarkPrivate: "mark it as private, or not", Some(PromptId::ToMarkPrivate);
        Cancel: "cancel it", Some(PromptId::ToCancel);
    }
}
actions! {
    /// The main menu.
    MainAction {
        HearNew: "new messages", Some(PromptId::ToHearNew);
        HearSaved: "saved messages", Some(PromptId::ToHearSaved);
        HearDeleted: "deleted messages, to restore them", Some(PromptId::ToHearDeleted);
        EndTemporary: "switch the temporary greeting off", Some(PromptId::ToEndTemporary);
        Compose: "send a message to other mailboxes", Some(PromptId::ToCompose);
        Broadcast: "send a message to everybody, as an administrator", Some(PromptId::ToBroadcast);
        Shared: "your shared mailboxes", Some(PromptId::ToShared);
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
        KeepAsNew: "keep it as new", Some(PromptId::ToKeepAsNew);
        Forward: "forward it", Some(PromptId::ToForward);
        Reply: "reply to it", Some(PromptId::ToReply);
        Envelope: "date, caller and length", Some(PromptId::ToEnvelope);
        Back: "back a little, as far as you chose", Some(PromptId::ToBack);
        Ahead: "ahead a little, as far as you chose", Some(PromptId::ToAhead);
        ToStart: "to the start of the message", Some(PromptId::ToStart);
        ToEnd: "to the end of the message", Some(PromptId::ToEnd);
        Slower: "slower", Some(PromptId::ToSlower);
        Faster: "faster", Some(PromptId::ToFaster);
        NormalSpeed: "as fast as it was spoken", Some(PromptId::ToNormalSpeed);
        Louder: "louder", Some(PromptId::ToLouder);
        Softer: "softer", Some(PromptId::ToSofter);
        PauseOrContinue: "pause or continue", Some(PromptId::ToPause);
        MainMenu: "main menu", Some(PromptId::ToMainMenu);
    }
}
actions! {
    /// After a message.
    AfterAction {
        DeleteOrRestore: "delete or restore it", Some(PromptId::ToDelete);
        Save: "save it", Some(PromptId::ToSave);
        KeepAsNew: "keep it as new", Some(PromptId::ToKeepAsNew);
        Next: "next message", Some(PromptId::ToNext);
        Repeat: "play it again", Some(PromptId::ToRepeat);
        Previous: "previous message", Some(PromptId::ToPrevious);
        Forward: "forward it", Some(PromptId::ToForward);
        Reply: "reply to it", Some(PromptId::ToReply);
        Envelope: "date, caller and length", Some(PromptId::ToEnvelope);
        KeptUntil: "how long it is kept", Some(PromptId::ToKeptUntil);
        Mail: "send it by e-mail", Some(PromptId::ToMail);
        DeleteAndBlock: "delete it and block the caller", Some(PromptId::ToDeleteAndBlock);
        HearNew: "new messages, from the first", Some(PromptId::ToHearNew);
        HearSaved: "saved messages, from the first", Some(PromptId::ToHearSaved);
        Options: "options: greeting, name, passcode", Some(PromptId::ToOptions);
        CallBack: "call back whoever left it, where that may be done", Some(PromptId::ToCallBack);
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
        Busy: "record the greeting for busy", Some(PromptId::ToRecordBusy);
        Temporary: "record the temporary greeting", Some(PromptId::ToRecordTemporary);
        Greetings: "hear, bring back or remove greetings", Some(PromptId::ToGreetings);
        LastAccess: "when the mailbox was last opened", Some(PromptId::ToLastAccess);
        Administration: "look after other mailboxes, as an administrator", Some(PromptId::ToAdminister);
        Help: "hear the options again", Some(PromptId::ToHelp);
        MainMenu: "main menu", Some(PromptId::ToMainMenu);
    }
}
actions! {
    /// Which greeting is meant.
    GreetingsAction {
        Standard: "the greeting", Some(PromptId::ToTheGreeting);
        Busy: "the greeting for busy", Some(PromptId::ToTheBusy);
        NoAnswer: "the greeting for no answer", Some(PromptId::ToTheNoAnswer);
        Temporary: "the temporary greeting", Some(PromptId::ToTheTemporary);
        Name: "the name", Some(PromptId::ToTheName);
        Back: "back to the options", Some(PromptId::ToGoBack);
    }
}
actions! {
    /// What is to be done with a greeting, the name or a tenant's phrase.
    RecordingAction {
        Hear: "hear it", Some(PromptId::ToHearIt);
        Record: "record it", Some(PromptId::ToRecordIt);
        BringBack: "bring back the one before", Some(PromptId::ToBringBack);
        SetEnd: "say when it ends", Some(PromptId::ToSetEnd);
        Remove: "remove it", Some(PromptId::ToRemoveIt);
        Back: "back", Some(PromptId::ToGoBack);
    }
}
actions! {
    /// What administrators do.
    AdministrationAction {
        ResetPasscode: "give a mailbox a new passcode", Some(PromptId::ToResetPasscode);
        Greeting: "what callers hear of mailboxes without a greeting", Some(PromptId::ToPhraseGreeting);
        Welcome: "what is said before the passcode", Some(PromptId::ToPhraseWelcome);
        NoMailbox: "what callers hear at a number without a mailbox", Some(PromptId::ToPhraseNoMailbox);
        Back: "back to the options", Some(PromptId::ToGoBack);
    }
}
actions! {
    /// Before and after a mailbox gets a new passcode.
    ResetAction {
        Confirm: "give it a new passcode", Some(PromptId::ToReset);
        Again: "hear the new passcode again", Some(PromptId::ToHearAgain);
        Back: "back", Some(PromptId::ToGoBack);
    }
}
actions! {
    /// After the number was said that would be called back.
    CallBackAction {
        Call: "call this number", Some(PromptId::ToCallNumber);
        Leave: "back to the message", Some(PromptId::ToGoBack);
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
    /// The keys that pause the recording of a message, and go on with it.
    pub pause_recording: &'static [Digit],
    /// After a message was recorded.
    pub review: Menu<ReviewAction>,
    /// Before an operator is called, when a message was recorded.
    pub before_operator: Menu<BeforeOperatorAction>,
    /// Before the recording of a greeting, a name or a message to other mailboxes.
    pub taping: Menu<TapingAction>,
    /// After a greeting or a name was recorded.
    pub own_review: Menu<OwnReviewAction>,
    /// Before a message is forwarded.
    pub forward: Menu<ForwardAction>,
    /// After a message to other mailboxes was recorded.
    pub send: Menu<SendAction>,
    /// The main menu.
    pub main: Menu<MainAction>,
    /// While a message plays.
    pub playing: Menu<PlayingAction>,
    /// After a message.
    pub after: Menu<AfterAction>,
    /// The options.
    pub options: Menu<OptionsAction>,
    /// Which greeting is meant.
    pub greetings: Menu<GreetingsAction>,
    /// What is to be done with a recording.
    pub recording: Menu<RecordingAction>,
    /// What administrators do.
    pub administration: Menu<AdministrationAction>,
    /// Before and after a mailbox gets a new passcode.
    pub reset: Menu<ResetAction>,
    /// After the number was said that would be called back.
    pub call_back: Menu<CallBackAction>,
    /// After the last caller's number was said.
    pub block: Menu<BlockAction>,
}

/// The key map of a profile.
#[must_use]
pub fn of(profile: KeyProfile) -> &'static KeyMap {
    match profile {
        KeyProfile::Afterbeep => &afterbeep::KEYS,
        KeyProfile::Asterisk => &asterisk::KEYS,
        KeyProfile::FreeSwitch => &freeswitch::KEYS,
        KeyProfile::Unity => &unity::KEYS,
        KeyProfile::Audix => &audix::KEYS,
    }
}

/// What the keys pressed so far mean in a menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning<A> {
    /// This is to be done.
    Does(A),
    /// They begin the keys of an action.
    Begins,
    /// Nothing.
    Nothing,
}

/// What `pressed` means in `menu`, if further keys may follow or, when `complete`, none.
pub fn meaning<A: Action>(menu: Menu<A>, pressed: &str, complete: bool) -> Meaning<A> {
    let begins = |keys: &str| keys.len() > pressed.len() && keys.starts_with(pressed);
    if !complete && menu.iter().any(|(keys, _)| begins(keys)) {
        return Meaning::Begins;
    }
    menu.iter().find(|(keys, _)| *keys == pressed).map_or(Meaning::Nothing, |(_, action)| Meaning::Does(*action))
}

/// "To …, press …" for every action that `told` admits, in the order of `menu`; an action with two keys is told once.
pub fn tell<A: Action>(menu: Menu<A>, told: impl Fn(A) -> bool) -> Vec<Item> {
    let mut items = vec![];
    for (at, (key, action)) in menu.iter().enumerate() {
        let repeated = menu[..at].iter().any(|(_, earlier)| earlier == action);
        if let (false, true, Some(purpose)) = (repeated, told(*action), action.purpose()) {
            items.push(Item::Prompt(purpose));
            items.extend(press(key));
        }
    }
    items
}

/// "Press four.", or "Press star. Four." where it takes several keys.
pub(super) fn press(keys: &str) -> Vec<Item> {
    keys.chars().filter_map(Digit::from_char).enumerate().map(|(at, key)| key.pressed(at == 0)).map(Item::Prompt).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What need not have a key while a message plays, because it has one after it.
    const AFTER_IS_ENOUGH: [PlayingAction; 5] =
        [PlayingAction::MainMenu, PlayingAction::Previous, PlayingAction::Envelope, PlayingAction::Forward, PlayingAction::Reply];
    /// What other menus lead to as well.
    const MAIN_MENU_IS_ENOUGH: [AfterAction; 4] =
        [AfterAction::HearNew, AfterAction::HearSaved, AfterAction::Options, AfterAction::Help];

    #[test]
    fn no_keys_clash_and_everything_has_a_key() {
        fn check<A: Action>(profile: KeyProfile, menu: Menu<A>, may_lack: &[A]) {
            for (at, (keys, _)) in menu.iter().enumerate() {
                assert!(menu[..at].iter().all(|(earlier, _)| earlier != keys), "{profile}: {keys} in {menu:?}");
                assert!((1..=3).contains(&keys.len()), "{profile}: {keys}");
                assert!(keys.chars().all(|key| Digit::from_char(key).is_some()), "{profile}: {keys}");
                assert_eq!(meaning(menu, keys, true), Meaning::Does(menu[at].1), "{profile}: {keys}");
            }
            for action in A::ALL {
                let has_key = menu.iter().any(|(_, it)| it == action);
                assert!(has_key || may_lack.contains(action), "{profile}: {action:?} has no key");
            }
        }

        for profile in KeyProfile::ALL {
            let map = of(profile);
            check(profile, map.greeting, &[]);
            check(profile, map.review, &[]);
            check(profile, map.before_operator, &[]);
            check(profile, map.taping, &[]);
            check(profile, map.own_review, &[]);
            check(profile, map.forward, &[]);
            check(profile, map.send, &[]);
            check(profile, map.main, &[]);
            check(profile, map.playing, &AFTER_IS_ENOUGH);
            check(profile, map.after, &MAIN_MENU_IS_ENOUGH);
            check(profile, map.options, &[]);
            check(profile, map.greetings, &[]);
            check(profile, map.recording, &[]);
            check(profile, map.administration, &[]);
            check(profile, map.reset, &[]);
            check(profile, map.call_back, &[]);
            check(profile, map.block, &[]);
            assert!(!map.end_recording.is_empty() && !map.pause_recording.is_empty(), "{profile}");
            assert!(!map.end_recording.iter().any(|key| map.pause_recording.contains(key)), "{profile}: one key ends and pauses");
            // While it is recorded there are single keys only.
            for keys in [map.end_recording, map.pause_recording] {
                assert!(keys.iter().enumerate().all(|(at, key)| !keys[..at].contains(key)), "{profile}: {keys:?}");
            }
        }
    }

    /// Whoever calls hears nothing of who is called: the way to the passcode is the same everywhere.
    #[test]
    fn a_star_during_any_greeting_leads_to_the_passcode() {
        for profile in KeyProfile::ALL {
            assert_eq!(meaning(of(profile).greeting, "*", false), Meaning::Does(GreetingAction::LogIn), "{profile}");
        }
    }

    /// A recording is cancelled before its beep with the same keys as after it.
    #[test]
    fn what_cancels_a_recording_cancels_it_before_the_beep() {
        fn cancelling<A: Action>(menu: Menu<A>, action: A) -> Vec<&'static str> {
            menu.iter().filter(|(_, it)| *it == action).map(|(keys, _)| *keys).filter(|keys| *keys != "0").collect()
        }

        for profile in KeyProfile::ALL {
            let map = of(profile);
            let before = cancelling(map.taping, TapingAction::Cancel);
            for after in [cancelling(map.own_review, OwnReviewAction::Cancel), cancelling(map.send, SendAction::Cancel)] {
                assert!(after.iter().all(|keys| before.contains(keys)), "{profile}: {after:?} but {before:?}");
            }
        }
    }

    #[test]
    fn keys_that_begin_others_wait_for_more() {
        let menu: Menu<MainAction> = &[("4", MainAction::Help), ("44", MainAction::Leave), ("*7", MainAction::Options)];

        assert_eq!(meaning(menu, "4", false), Meaning::Begins);
        assert_eq!(meaning(menu, "4", true), Meaning::Does(MainAction::Help));
        assert_eq!(meaning(menu, "44", false), Meaning::Does(MainAction::Leave));
        assert_eq!(meaning(menu, "*", false), Meaning::Begins);
        assert_eq!(meaning(menu, "*", true), Meaning::Nothing);
        assert_eq!(meaning(menu, "45", false), Meaning::Nothing);
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
        let told = tell(of(KeyProfile::Afterbeep).review, |action| action == ReviewAction::Cancel);

        assert_eq!(told, [Item::Prompt(PromptId::ToCancel), Item::Prompt(PromptId::PressStar)]);
    }

    #[test]
    fn several_keys_are_told_one_after_the_other() {
        let told = tell(of(KeyProfile::Audix).after, |action| action == AfterAction::Save);

        let said = [PromptId::ToSave, PromptId::PressStar, PromptId::PressStar, PromptId::Digit4End];
        assert_eq!(told, said.map(Item::Prompt));
    }
}
