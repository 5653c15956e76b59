//! Every key map in every language over SIP: a caller leaves two messages, the subscriber hears, saves, deletes and restores them,
//! records a name, and leaves. What is heard is told by its likeness to the prompts of the language.

use std::time::Duration;

use afterbeep::{
    domain::{keys::KeyProfile, language::Grammar},
    ivr::{
        PromptId,
        keymap::{
            self, Action, AfterAction, GreetingAction, MainAction, Menu, OptionsAction, OwnReviewAction, PlayingAction,
            ReviewAction,
        },
    },
};

use crate::support::{
    caller::{Caller, speech, words},
    server::Server,
};

macro_rules! sessions {
    ($($test:ident: $profile:ident, $language:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
        async fn $test() {
            a_caller_and_a_subscriber(KeyProfile::$profile, Grammar::$language).await;
        }
    )*};
}

sessions! {
    our_keys_in_english: Afterbeep, English;
    our_keys_in_french: Afterbeep, French;
    our_keys_in_spanish: Afterbeep, Spanish;
    the_keys_of_asterisk_in_english: Asterisk, English;
    the_keys_of_asterisk_in_french: Asterisk, French;
    the_keys_of_asterisk_in_spanish: Asterisk, Spanish;
    the_keys_of_freeswitch_in_english: FreeSwitch, English;
    the_keys_of_freeswitch_in_french: FreeSwitch, French;
    the_keys_of_freeswitch_in_spanish: FreeSwitch, Spanish;
    the_keys_of_unity_in_english: Unity, English;
    the_keys_of_unity_in_french: Unity, French;
    the_keys_of_unity_in_spanish: Unity, Spanish;
    the_keys_of_audix_in_english: Audix, English;
    the_keys_of_audix_in_french: Audix, French;
    the_keys_of_audix_in_spanish: Audix, Spanish;
}

async fn a_caller_and_a_subscriber(profile: KeyProfile, language: Grammar) {
    let server = Server::start("");
    server.add_mailbox("1001", &["--keys", profile.as_str(), "--language", language.code()]);
    let keys = keymap::of(profile);
    let speech = speech().0;

    let mut caller = Caller::dial(&server, "1001").await.listening_in(language);
    caller.hears(PromptId::ReachedNumber).await;
    caller.presses(key(keys.greeting, GreetingAction::SkipGreeting)).await;
    caller.hears_beep().await;
    caller.says(&speech).await;
    caller.presses("#").await;
    caller.hears(PromptId::ToListen).await;
    caller.presses(key(keys.review, ReviewAction::Listen)).await;
    caller.hears_audio("the recording", &speech[..8000]).await;
    caller.hears(PromptId::ToSend).await;
    caller.presses(key(keys.review, ReviewAction::Accept)).await;
    caller.hears(PromptId::MessageSent).await;
    caller.waits_for_the_end().await;
    let mut caller = Caller::dial(&server, "1001").await;
    caller.presses(key(keys.greeting, GreetingAction::SkipGreeting)).await;
    caller.hears_beep().await;
    caller.says(&speech).await;
    caller.hangs_up().await;
    server.wait_for_messages("1001", 2);

    let mut subscriber = Caller::log_in(&server, "1001").await.listening_in(language);
    subscriber.hears(PromptId::New2).await;
    subscriber.hears(PromptId::ToHearNew).await;
    subscriber.presses(key(keys.main, MainAction::HearNew)).await;
    subscriber.hears(PromptId::FirstMessage).await;
    subscriber.hears(PromptId::TodayAt).await;
    subscriber.hears_audio("the first message", &speech[..8000]).await;
    subscriber.presses(key(keys.playing, PlayingAction::PauseOrContinue)).await;
    let line = subscriber.call.line();
    line.wait_for_quiet(line.position(), Duration::from_secs(1), Duration::from_secs(20)).await.expect("a pause");
    subscriber.presses(key(keys.playing, PlayingAction::PauseOrContinue)).await;
    subscriber.presses(key(keys.playing, PlayingAction::Back)).await;
    subscriber.hears_audio("the beginning again", &speech[..4000]).await;
    subscriber.presses(key(keys.playing, PlayingAction::Next)).await;
    subscriber.hears(PromptId::LastMessage).await;
    subscriber.hears_audio("the second message", &speech[..8000]).await;
    subscriber.presses(key(keys.playing, PlayingAction::Save)).await;
    subscriber.hears(PromptId::MessageSaved).await;
    subscriber.presses(key(keys.after, AfterAction::Envelope)).await;
    subscriber.hears(PromptId::Length).await;
    subscriber.presses(key(keys.after, AfterAction::Previous)).await;
    subscriber.hears(PromptId::FirstMessage).await;
    subscriber.presses(key(keys.playing, PlayingAction::DeleteOrRestore)).await;
    subscriber.hears(PromptId::MessageDeleted).await;
    subscriber.presses(key(keys.after, AfterAction::DeleteOrRestore)).await;
    subscriber.hears(PromptId::MessageRestored).await;
    subscriber.presses(key(keys.after, AfterAction::Repeat)).await;
    subscriber.hears(PromptId::TodayAt).await;
    subscriber.presses(key(keys.playing, PlayingAction::DeleteOrRestore)).await;
    subscriber.hears(PromptId::MessageDeleted).await;
    subscriber.presses(key(keys.after, AfterAction::MainMenu)).await;
    subscriber.hears(PromptId::AndSaved1).await;
    subscriber.hears(PromptId::ToOptions).await;
    subscriber.presses(key(keys.main, MainAction::Options)).await;
    subscriber.hears(PromptId::ToRecordName).await;
    subscriber.presses(key(keys.options, OptionsAction::Name)).await;
    subscriber.hears(PromptId::RecordName).await;
    subscriber.hears_beep().await;
    subscriber.says(&words(PromptId::Reached)).await;
    subscriber.presses("#").await;
    subscriber.hears(PromptId::YouRecorded).await;
    subscriber.hears(PromptId::ToKeep).await;
    subscriber.presses(key(keys.own_review, OwnReviewAction::Accept)).await;
    subscriber.hears(PromptId::NameSaved).await;
    subscriber.presses(key(keys.options, OptionsAction::MainMenu)).await;
    subscriber.hears(PromptId::NoNewBut).await;
    subscriber.presses(key(keys.main, MainAction::Leave)).await;
    subscriber.hears(PromptId::Goodbye).await;
    subscriber.waits_for_the_end().await;

    let left = server.wait_for_messages("1001", 1);
    assert_eq!(left[0]["list"], "saved");
    assert_eq!(server.mailbox("1001")["has_spoken_name"], true);
    server.expect_tidiness();
}

/// The shortest keys that do something.
fn key<A: Action>(menu: Menu<A>, action: A) -> &'static str {
    let keys = menu.iter().filter(|(_, it)| *it == action).map(|(keys, _)| *keys);
    keys.min_by_key(|keys| keys.len()).expect("the action has keys")
}
