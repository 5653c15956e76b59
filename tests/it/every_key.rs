//! Every action of every key map over SIP: for each profile, callers and subscribers come into each menu and press each key that its
//! table has. An action that nobody has pressed fails the test, and so does a key that is said to be none.

use std::{
    any::type_name,
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use afterbeep::{
    domain::{keys::KeyProfile, language::Grammar},
    ivr::{
        PromptId,
        keymap::{
            self, Action, AdministrationAction, AfterAction, BeforeOperatorAction, BlockAction, CallBackAction, ForwardAction,
            GreetingAction, GreetingsAction, KeyMap, MainAction, Menu, OptionsAction, OwnReviewAction, PlayingAction,
            RecordingAction, ResetAction, ReviewAction, SendAction, TapingAction,
        },
    },
    phone::listen,
    server::now,
};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::support::{
    caller::{Caller, FIRST_PHRASE, PATIENCE, SECOND_PHRASE, speech, words, words_in},
    server::{PASSCODE, Server, eventually},
};

/// An operator that our own telephone does not connect anybody with, and numbers that it does not call back.
const SETTINGS: &str = "[operator]\ntargets = [\"100\"]\n[transfer]\ndomain = \"sip:pbx.example;transport=tcp\"\n\
                        [call_back]\nenabled = true\nallow = [\"+44\"]\n";
/// Whom the network vouches for: a number that Ofcom keeps for films.
const SENDER: &str = "+442079460123";
/// What else is recorded; no test hears the server say it.
const THIRD_PHRASE: PromptId = PromptId::PasscodeLine;
/// How many calls of these tests a busy machine is to bear at once.
static LINES: Semaphore = Semaphore::const_new(9);

macro_rules! profiles {
    ($($test:ident: $profile:ident, $language:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            everything_is_pressed(KeyProfile::$profile, Grammar::$language).await;
        }
    )*};
}

profiles! {
    every_key_of_ours_does_what_its_table_says: Afterbeep, English;
    every_key_of_asterisk_does_what_its_table_says: Asterisk, French;
    every_key_of_freeswitch_does_what_its_table_says: FreeSwitch, Spanish;
    every_key_of_unity_does_what_its_table_says: Unity, English;
    every_key_of_audix_does_what_its_table_says: Audix, French;
}

async fn everything_is_pressed(profile: KeyProfile, language: Grammar) {
    let fingers = Fingers { keys: keymap::of(profile), language, pressed: Arc::default() };
    // What an administrator does here concerns every mailbox of a server.
    let (server, administered) = tokio::task::block_in_place(|| (Server::start(SETTINGS), Server::start(SETTINGS)));
    for (server, numbers) in
        [(&server, &["1001", "1002", "1003", "1004", "1005"][..]), (&administered, &["1001", "1002", "1003", "1004"])]
    {
        for number in numbers {
            let options = ["--keys", profile.as_str(), "--language", language.code(), "--email", "ann@example.com"];
            server.add_mailbox(number, &options);
        }
    }
    let (server, administered) = (Arc::new(server), Arc::new(administered));

    let flows = [
        tokio::spawn(callers(server.clone(), fingers.clone())),
        tokio::spawn(while_a_message_plays(server.clone(), fingers.clone())),
        tokio::spawn(after_a_message(server.clone(), fingers.clone())),
        tokio::spawn(own_recordings(server.clone(), fingers.clone())),
        tokio::spawn(the_last_caller(server.clone(), fingers.clone())),
        tokio::spawn(to_other_mailboxes(administered.clone(), fingers.clone())),
        tokio::spawn(administration(administered.clone(), fingers.clone())),
    ];
    for flow in flows {
        flow.await.expect("the flow ends");
    }

    let pressed = fingers.pressed.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(all_actions(fingers.keys).difference(&pressed).collect::<Vec<_>>(), Vec::<&String>::new(), "never pressed");
    for server in [server, administered] {
        tokio::task::block_in_place(|| server.expect_tidiness());
    }
}

async fn callers(server: Arc<Server>, fingers: Fingers) {
    let keys = fingers.keys;
    server.run(&["mailbox", "set", "1001", "--operator", "100"]);

    let mut caller = fingers.dial(&server, "1001").await;
    caller.presses(keys.greeting, GreetingAction::Operator).await;
    caller.hears(PromptId::OperatorUnavailable).await;
    caller.says_after_the_beep(THIRD_PHRASE).await;
    caller.presses(keys.review, ReviewAction::RecordAgain).await;
    caller.says_after_the_beep(FIRST_PHRASE).await;
    caller.presses(keys.review, ReviewAction::Add).await;
    caller.says_after_the_beep(SECOND_PHRASE).await;
    caller.presses(keys.review, ReviewAction::Listen).await;
    caller.hears_said(FIRST_PHRASE).await;
    caller.hears_said(SECOND_PHRASE).await;
    caller.presses(keys.review, ReviewAction::Urgent).await;
    caller.hears(PromptId::MarkedUrgent).await;
    caller.presses(keys.review, ReviewAction::Private).await;
    caller.hears(PromptId::MarkedPrivate).await;
    caller.presses(keys.review, ReviewAction::Accept).await;
    caller.hears(PromptId::MessageSent).await;
    caller.waits_for_the_end().await;

    let mut caller = fingers.dial(&server, "1001").await;
    caller.presses(keys.greeting, GreetingAction::SkipGreeting).await;
    caller.says_after_the_beep(FIRST_PHRASE).await;
    caller.presses(keys.review, ReviewAction::Cancel).await;
    caller.hears(PromptId::MessageCancelled).await;
    caller.waits_for_the_end().await;
    for action in [BeforeOperatorAction::Send, BeforeOperatorAction::Drop] {
        let mut caller = fingers.dial(&server, "1001").await;
        caller.presses(keys.greeting, GreetingAction::SkipGreeting).await;
        caller.says_after_the_beep(FIRST_PHRASE).await;
        caller.presses(keys.review, ReviewAction::Operator).await;
        caller.hears(PromptId::ToCancelMessage).await;
        caller.presses(keys.before_operator, action).await;
        if action == BeforeOperatorAction::Send {
            caller.hears(PromptId::MessageSent).await;
        }
        caller.hears(PromptId::OperatorUnavailable).await;
        caller.hangs_up().await;
    }

    let mut subscriber = fingers.dial(&server, "1001").await;
    subscriber.presses(keys.greeting, GreetingAction::LogIn).await;
    subscriber.hears(PromptId::EnterPasscode).await;
    subscriber.types(&format!("{PASSCODE}#")).await;
    subscriber.hears(PromptId::New2).await;
    subscriber.presses(keys.main, MainAction::Help).await;
    subscriber.hears(PromptId::WhilePlaying).await;
    subscriber.presses(keys.main, MainAction::Leave).await;
    subscriber.hears(PromptId::Goodbye).await;
    subscriber.waits_for_the_end().await;

    let mut marks: Vec<_> = server.messages("1001").iter().map(|it| (it["urgent"] == true, it["private"] == true)).collect();
    marks.sort_unstable();
    assert_eq!(marks, [(false, false), (true, true)]);
}

async fn while_a_message_plays(server: Arc<Server>, fingers: Fingers) {
    let keys = fingers.keys;
    // Two phrases, far enough from each other for a leap between them.
    let mut message = words(FIRST_PHRASE);
    message.extend([0; 6 * 8000]);
    let distance = message.len();
    message.extend(words(SECOND_PHRASE));
    message.extend([0; 8000]);
    let store = server.store().await;
    for _ in 0..2 {
        server.leave_message(&store, "1002", &message, now()).await;
    }

    let mut subscriber = fingers.log_in(&server, "1002").await;
    subscriber.hears(PromptId::New2).await;
    subscriber.presses(keys.main, MainAction::HearNew).await;
    subscriber.hears(PromptId::FirstMessage).await;
    let began = subscriber.hears_said(FIRST_PHRASE).await;
    subscriber.presses(keys.playing, PlayingAction::Ahead).await;
    let leapt = subscriber.hears_said(SECOND_PHRASE).await;
    assert!(leapt - began < distance - 16_000, "{} samples to what comes {distance} later", leapt - began);
    subscriber.presses(keys.playing, PlayingAction::ToStart).await;
    subscriber.hears_said(FIRST_PHRASE).await;
    subscriber.presses(keys.playing, PlayingAction::PauseOrContinue).await;
    let line = subscriber.caller.call.line();
    line.wait_for_quiet(line.position(), Duration::from_secs(7), PATIENCE).await.expect("a pause");
    subscriber.presses(keys.playing, PlayingAction::PauseOrContinue).await;
    subscriber.presses(keys.playing, PlayingAction::Back).await;
    // Back goes three seconds, which is not quite to the beginning.
    subscriber.caller.hears_audio("the end of the phrase again", &words(FIRST_PHRASE)[12_000..]).await;
    if subscriber.presses(keys.playing, PlayingAction::Envelope).await {
        subscriber.hears(PromptId::Length).await;
    }
    if subscriber.presses(keys.playing, PlayingAction::Repeat).await {
        subscriber.hears(PromptId::TodayAt).await;
    }
    subscriber.presses(keys.playing, PlayingAction::Next).await;
    subscriber.hears(PromptId::LastMessage).await;
    if subscriber.presses(keys.playing, PlayingAction::Previous).await {
        subscriber.hears(PromptId::FirstMessage).await;
    }
    for (action, said) in [
        (PlayingAction::DeleteOrRestore, PromptId::MessageDeleted),
        (PlayingAction::DeleteOrRestore, PromptId::MessageRestored),
        (PlayingAction::Save, PromptId::MessageSaved),
        (PlayingAction::KeepAsNew, PromptId::KeptAsNew),
        (PlayingAction::Forward, PromptId::EnterAddressee),
        (PlayingAction::Reply, PromptId::NobodyToReplyTo),
    ] {
        if subscriber.presses(keys.playing, action).await {
            subscriber.hears(said).await;
            if action == PlayingAction::Forward {
                subscriber.types("*").await;
                subscriber.hears(PromptId::MessageCancelled).await;
            }
            subscriber.presses(keys.after, AfterAction::Repeat).await;
            subscriber.hears(PromptId::TodayAt).await;
        }
    }
    if subscriber.presses(keys.playing, PlayingAction::ToEnd).await {
        subscriber.hears(PromptId::ToDelete).await;
        subscriber.presses(keys.after, AfterAction::Repeat).await;
    }
    subscriber.hears_said(FIRST_PHRASE).await;
    if subscriber.presses(keys.playing, PlayingAction::MainMenu).await {
        subscriber.hears(PromptId::New2).await;
    }
    subscriber.hangs_up().await;

    // What is chosen is remembered when the call ends.
    let (mut speed, mut volume) = (100, 0);
    for actions in [
        [PlayingAction::Faster, PlayingAction::Louder],
        [PlayingAction::NormalSpeed, PlayingAction::Softer],
        [PlayingAction::Slower, PlayingAction::Softer],
    ] {
        let mut subscriber = fingers.log_in(&server, "1002").await;
        subscriber.hears(PromptId::New2).await;
        subscriber.presses(keys.main, MainAction::HearNew).await;
        subscriber.hears(PromptId::FirstMessage).await;
        for action in actions {
            if subscriber.presses(keys.playing, action).await {
                match action {
                    PlayingAction::Faster => speed = 125,
                    PlayingAction::NormalSpeed => speed = 100,
                    PlayingAction::Slower => speed = 80,
                    PlayingAction::Louder => volume += 6,
                    _ => volume -= 6,
                }
            }
        }
        subscriber.hears(PromptId::TodayAt).await;
        subscriber.hangs_up().await;
        tokio::task::block_in_place(|| {
            eventually("what was chosen is remembered", || {
                let preferences = server.mailbox("1002")["preferences"].clone();
                let chosen = (preferences["speed"].as_i64().unwrap_or(100), preferences["volume"].as_i64().unwrap_or(0));
                (chosen == (speed, volume)).then_some(())
            });
        });
    }
}

async fn after_a_message(server: Arc<Server>, fingers: Fingers) {
    let keys = fingers.keys;
    server.run(&["mailbox", "set", "1003", "--call-back", "on"]);
    let store = server.store().await;
    for _ in 0..2 {
        server.leave_message_of(&store, "1003", Some(SENDER), true, &speech().0, now()).await;
    }

    let mut subscriber = fingers.log_in(&server, "1003").await;
    subscriber.hears(PromptId::New2).await;
    subscriber.presses(keys.main, MainAction::HearNew).await;
    subscriber.hears(PromptId::FirstMessage).await;
    subscriber.presses(keys.playing, PlayingAction::Save).await;
    subscriber.hears(PromptId::MessageSaved).await;
    for (action, said) in [
        (AfterAction::Envelope, PromptId::Length),
        (AfterAction::KeptUntil, PromptId::KeptUntil),
        (AfterAction::Mail, PromptId::MailIsSent),
        (AfterAction::DeleteOrRestore, PromptId::MessageDeleted),
        (AfterAction::DeleteOrRestore, PromptId::MessageRestored),
        (AfterAction::KeepAsNew, PromptId::KeptAsNew),
        (AfterAction::Save, PromptId::MessageSaved),
        (AfterAction::Help, PromptId::ToPrevious),
        (AfterAction::Forward, PromptId::EnterAddressee),
        (AfterAction::Reply, PromptId::NobodyToReplyTo),
        (AfterAction::CallBack, PromptId::ToCallNumber),
    ] {
        if !subscriber.presses(keys.after, action).await {
            continue;
        }
        subscriber.hears(said).await;
        if action == AfterAction::Forward {
            subscriber.types("*").await;
            subscriber.hears(PromptId::MessageCancelled).await;
        } else if action == AfterAction::CallBack {
            subscriber.presses(keys.call_back, CallBackAction::Leave).await;
            subscriber.hears(PromptId::ToDelete).await;
            subscriber.presses(keys.after, action).await;
            subscriber.hears(PromptId::ToCallNumber).await;
            subscriber.presses(keys.call_back, CallBackAction::Call).await;
            subscriber.hears(PromptId::NotConnected).await;
        }
    }
    subscriber.presses(keys.after, AfterAction::Next).await;
    subscriber.hears(PromptId::LastMessage).await;
    subscriber.presses(keys.playing, PlayingAction::Save).await;
    subscriber.hears(PromptId::MessageSaved).await;
    subscriber.presses(keys.after, AfterAction::Repeat).await;
    subscriber.hears(PromptId::TodayAt).await;
    subscriber.presses(keys.playing, PlayingAction::Save).await;
    subscriber.hears(PromptId::MessageSaved).await;
    subscriber.presses(keys.after, AfterAction::Previous).await;
    subscriber.hears(PromptId::FirstMessage).await;
    subscriber.presses(keys.playing, PlayingAction::KeepAsNew).await;
    subscriber.hears(PromptId::KeptAsNew).await;
    for action in [AfterAction::HearSaved, AfterAction::HearNew] {
        if subscriber.presses(keys.after, action).await {
            subscriber.hears(PromptId::TodayAt).await;
            subscriber.presses(keys.playing, PlayingAction::KeepAsNew).await;
            subscriber.hears(PromptId::KeptAsNew).await;
        }
    }
    if subscriber.presses(keys.after, AfterAction::Options).await {
        subscriber.hears(PromptId::ToRecordGreeting).await;
        subscriber.presses(keys.options, OptionsAction::MainMenu).await;
    } else {
        subscriber.presses(keys.after, AfterAction::MainMenu).await;
    }
    subscriber.hears(PromptId::ToHearNew).await;
    subscriber.presses(keys.main, MainAction::HearNew).await;
    subscriber.hears(PromptId::TodayAt).await;
    subscriber.presses(keys.playing, PlayingAction::Save).await;
    subscriber.hears(PromptId::MessageSaved).await;
    if subscriber.presses(keys.after, AfterAction::DeleteAndBlock).await {
        subscriber.hears(PromptId::CallerBlocked).await;
    } else {
        subscriber.presses(keys.after, AfterAction::DeleteOrRestore).await;
    }
    subscriber.hears(PromptId::MessageDeleted).await;
    subscriber.presses(keys.after, AfterAction::MainMenu).await;
    if subscriber.presses(keys.main, MainAction::HearDeleted).await {
        subscriber.hears(PromptId::TodayAt).await;
        subscriber.presses(keys.playing, PlayingAction::DeleteOrRestore).await;
        subscriber.hears(PromptId::MessageRestored).await;
        subscriber.presses(keys.after, AfterAction::MainMenu).await;
    }
    subscriber.hears(PromptId::ToHearSaved).await;
    subscriber.presses(keys.main, MainAction::HearSaved).await;
    subscriber.hears(PromptId::TodayAt).await;
    subscriber.hangs_up().await;
}

async fn own_recordings(server: Arc<Server>, fingers: Fingers) {
    let keys = fingers.keys;

    let mut subscriber = fingers.log_in(&server, "1004").await;
    subscriber.hears(PromptId::NoMessages).await;
    subscriber.presses(keys.main, MainAction::Options).await;
    subscriber.hears(PromptId::ToRecordGreeting).await;
    subscriber.presses(keys.options, OptionsAction::Greeting).await;
    subscriber.presses(keys.taping, TapingAction::Cancel).await;
    subscriber.hears(PromptId::NotKept).await;
    subscriber.presses(keys.options, OptionsAction::Greeting).await;
    subscriber.presses(keys.taping, TapingAction::Begin).await;
    subscriber.says_after_the_beep(THIRD_PHRASE).await;
    subscriber.hears(PromptId::YouRecorded).await;
    subscriber.presses(keys.own_review, OwnReviewAction::RecordAgain).await;
    subscriber.says_after_the_beep(FIRST_PHRASE).await;
    subscriber.hears_said(FIRST_PHRASE).await;
    subscriber.presses(keys.own_review, OwnReviewAction::Listen).await;
    subscriber.hears_said(FIRST_PHRASE).await;
    subscriber.presses(keys.own_review, OwnReviewAction::Accept).await;
    subscriber.hears(PromptId::GreetingSaved).await;
    for (action, instruction, answer, said) in [
        (OptionsAction::Busy, PromptId::RecordBusy, OwnReviewAction::Cancel, PromptId::NotKept),
        (OptionsAction::Name, PromptId::RecordName, OwnReviewAction::Accept, PromptId::NameSaved),
        (OptionsAction::Temporary, PromptId::RecordTemporary, OwnReviewAction::Accept, PromptId::GreetingSaved),
    ] {
        subscriber.presses(keys.options, action).await;
        subscriber.hears(instruction).await;
        subscriber.says_after_the_beep(THIRD_PHRASE).await;
        subscriber.hears(PromptId::YouRecorded).await;
        subscriber.presses(keys.own_review, answer).await;
        subscriber.hears(said).await;
    }
    // After a temporary greeting comes the menu in which its end is said.
    subscriber.hears(PromptId::ToHearIt).await;
    subscriber.presses(keys.recording, RecordingAction::SetEnd).await;
    subscriber.hears(PromptId::EnterDays).await;
    subscriber.types("3#").await;
    subscriber.hears(PromptId::LastDay).await;
    subscriber.presses(keys.recording, RecordingAction::Back).await;
    subscriber.hears(PromptId::ToRecordGreeting).await;
    subscriber.presses(keys.options, OptionsAction::Help).await;
    subscriber.hears(PromptId::ToLastAccess).await;
    subscriber.presses(keys.options, OptionsAction::MainMenu).await;
    subscriber.hears(PromptId::NoMessages).await;
    subscriber.presses(keys.main, MainAction::EndTemporary).await;
    subscriber.hears(PromptId::TemporaryOff).await;
    subscriber.hangs_up().await;

    let mut subscriber = fingers.log_in(&server, "1004").await;
    subscriber.hears(PromptId::NoMessages).await;
    subscriber.presses(keys.main, MainAction::Options).await;
    subscriber.hears(PromptId::ToRecordGreeting).await;
    subscriber.presses(keys.options, OptionsAction::LastAccess).await;
    subscriber.hears(PromptId::LastOpened).await;
    subscriber.presses(keys.options, OptionsAction::Greetings).await;
    subscriber.hears(PromptId::ToTheGreeting).await;
    subscriber.presses(keys.greetings, GreetingsAction::Standard).await;
    subscriber.hears(PromptId::ToHearIt).await;
    subscriber.presses(keys.recording, RecordingAction::Record).await;
    subscriber.hears(PromptId::RecordGreeting).await;
    subscriber.says_after_the_beep(THIRD_PHRASE).await;
    subscriber.hears(PromptId::YouRecorded).await;
    subscriber.presses(keys.own_review, OwnReviewAction::Accept).await;
    subscriber.hears(PromptId::GreetingSaved).await;
    subscriber.presses(keys.greetings, GreetingsAction::Standard).await;
    subscriber.hears(PromptId::ToHearIt).await;
    subscriber.presses(keys.recording, RecordingAction::BringBack).await;
    subscriber.hears(PromptId::BroughtBack).await;
    subscriber.presses(keys.recording, RecordingAction::Hear).await;
    subscriber.hears_said(FIRST_PHRASE).await;
    subscriber.presses(keys.recording, RecordingAction::Remove).await;
    subscriber.hears(PromptId::RecordingRemoved).await;
    subscriber.hears(PromptId::NoRecording).await;
    for (action, said) in [
        (GreetingsAction::Busy, PromptId::NoRecording),
        (GreetingsAction::NoAnswer, PromptId::NoRecording),
        (GreetingsAction::Temporary, PromptId::NoRecording),
        (GreetingsAction::Name, PromptId::ToHearIt),
    ] {
        subscriber.presses(keys.recording, RecordingAction::Back).await;
        subscriber.hears(PromptId::ToTheGreeting).await;
        subscriber.presses(keys.greetings, action).await;
        subscriber.hears(said).await;
    }
    subscriber.presses(keys.recording, RecordingAction::Back).await;
    subscriber.hears(PromptId::ToTheGreeting).await;
    subscriber.presses(keys.greetings, GreetingsAction::Back).await;
    subscriber.hears(PromptId::ToRecordGreeting).await;
    subscriber.presses(keys.options, OptionsAction::Passcode).await;
    subscriber.hears(PromptId::NewPasscode).await;
    subscriber.types("60718293#").await;
    subscriber.hears(PromptId::ConfirmPasscode).await;
    subscriber.types("60718293#").await;
    subscriber.hears(PromptId::PasscodeChanged).await;
    subscriber.hangs_up().await;
}

async fn the_last_caller(server: Arc<Server>, fingers: Fingers) {
    let keys = fingers.keys;
    fingers.dial(&server, "1005").await.hangs_up().await;
    tokio::task::block_in_place(|| {
        eventually("the call is recorded", || {
            let calls = server.run(&["calls", "--mailbox", "1005", "--json"]);
            serde_json::from_str::<Vec<serde_json::Value>>(&calls).is_ok_and(|calls| calls.len() == 1).then_some(())
        });
    });

    for (action, said) in [(BlockAction::Leave, PromptId::Goodbye), (BlockAction::Block, PromptId::CallerBlocked)] {
        let mut subscriber = fingers.dial(&server, "*60").await;
        subscriber.types(&format!("1005#{PASSCODE}#")).await;
        subscriber.hears(PromptId::ToBlock).await;
        subscriber.presses(keys.block, action).await;
        subscriber.hears(said).await;
        subscriber.waits_for_the_end().await;
    }
}

async fn to_other_mailboxes(server: Arc<Server>, fingers: Fingers) {
    let keys = fingers.keys;
    server.run(&["mailbox", "owner", "add", "1003", "1001"]);
    server.run(&["mailbox", "set", "1001", "--administrator", "on"]);
    server.leave_message(&server.store().await, "1001", &speech().0, now()).await;

    let mut subscriber = fingers.log_in(&server, "1001").await;
    subscriber.hears(PromptId::New1).await;
    for (answer, said) in [(SendAction::Cancel, PromptId::MessageCancelled), (SendAction::Accept, PromptId::SentTo1)] {
        subscriber.presses(keys.main, MainAction::Compose).await;
        subscriber.hears(PromptId::EnterAddressee).await;
        subscriber.types("1002##").await;
        subscriber.says_after_the_beep(THIRD_PHRASE).await;
        subscriber.hears(PromptId::ToMarkUrgent).await;
        subscriber.presses(keys.send, SendAction::RecordAgain).await;
        subscriber.says_after_the_beep(FIRST_PHRASE).await;
        subscriber.hears(PromptId::ToMarkUrgent).await;
        subscriber.presses(keys.send, SendAction::Listen).await;
        subscriber.hears_said(FIRST_PHRASE).await;
        subscriber.presses(keys.send, SendAction::MarkUrgent).await;
        subscriber.hears(PromptId::MarkedUrgent).await;
        subscriber.presses(keys.send, SendAction::MarkPrivate).await;
        subscriber.hears(PromptId::MarkedPrivate).await;
        subscriber.presses(keys.send, answer).await;
        subscriber.hears(said).await;
        subscriber.hears(PromptId::New1).await;
    }

    subscriber.presses(keys.main, MainAction::HearNew).await;
    subscriber.hears(PromptId::TodayAt).await;
    subscriber.presses(keys.playing, PlayingAction::Save).await;
    subscriber.hears(PromptId::MessageSaved).await;
    for (answer, said) in [
        (ForwardAction::Cancel, PromptId::MessageCancelled),
        (ForwardAction::Send, PromptId::SentTo1),
        (ForwardAction::Introduce, PromptId::SentTo1),
    ] {
        subscriber.presses(keys.after, AfterAction::Forward).await;
        subscriber.hears(PromptId::EnterAddressee).await;
        subscriber.types("1002##").await;
        subscriber.hears(PromptId::ToIntroduce).await;
        subscriber.presses(keys.forward, ForwardAction::MarkUrgent).await;
        subscriber.hears(PromptId::MarkedUrgent).await;
        subscriber.presses(keys.forward, ForwardAction::MarkPrivate).await;
        subscriber.hears(PromptId::MarkedPrivate).await;
        subscriber.presses(keys.forward, answer).await;
        if answer == ForwardAction::Introduce {
            subscriber.hears(PromptId::RecordIntroduction).await;
            subscriber.says_after_the_beep(FIRST_PHRASE).await;
            subscriber.hears(PromptId::ToMarkUrgent).await;
            subscriber.presses(keys.send, SendAction::Accept).await;
        }
        subscriber.hears(said).await;
    }
    subscriber.presses(keys.after, AfterAction::MainMenu).await;
    subscriber.hears(PromptId::ToHearSaved).await;
    subscriber.presses(keys.main, MainAction::Broadcast).await;
    subscriber.hears(PromptId::RecordBroadcast).await;
    subscriber.says_after_the_beep(FIRST_PHRASE).await;
    subscriber.hears(PromptId::ToMarkUrgent).await;
    subscriber.presses(keys.send, SendAction::Accept).await;
    subscriber.hears(PromptId::SentToEverybody).await;
    subscriber.presses(keys.main, MainAction::Shared).await;
    subscriber.hears(PromptId::ForMailbox).await;
    subscriber.types("1").await;
    subscriber.hears(PromptId::InMailbox).await;
    subscriber.hangs_up().await;

    let got = tokio::task::block_in_place(|| server.wait_for_messages("1002", 4));
    let mut kinds: Vec<_> = got.iter().map(|it| (it["sent"].as_str().expect("sent by somebody"), it["urgent"] == true)).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [("broadcast", false), ("forwarded", true), ("forwarded", true), ("sent", true)]);
}

async fn administration(server: Arc<Server>, fingers: Fingers) {
    let keys = fingers.keys;
    server.run(&["mailbox", "set", "1004", "--administrator", "on"]);

    let mut administrator = fingers.log_in(&server, "1004").await;
    administrator.hears(PromptId::ToHelp).await;
    administrator.presses(keys.main, MainAction::Options).await;
    administrator.hears(PromptId::ToRecordGreeting).await;
    administrator.presses(keys.options, OptionsAction::Administration).await;
    administrator.hears(PromptId::ToResetPasscode).await;
    administrator.presses(keys.administration, AdministrationAction::ResetPasscode).await;
    administrator.hears(PromptId::EnterOtherMailbox).await;
    administrator.types("1003#").await;
    administrator.hears(PromptId::MailboxIs).await;
    administrator.presses(keys.reset, ResetAction::Confirm).await;
    administrator.hears(PromptId::NewPasscodeIs).await;
    administrator.presses(keys.reset, ResetAction::Again).await;
    administrator.hears(PromptId::NewPasscodeIs).await;
    administrator.presses(keys.reset, ResetAction::Back).await;
    administrator.hears(PromptId::ToResetPasscode).await;
    for action in [AdministrationAction::Greeting, AdministrationAction::Welcome, AdministrationAction::NoMailbox] {
        administrator.presses(keys.administration, action).await;
        administrator.hears(PromptId::NoRecording).await;
        administrator.presses(keys.recording, RecordingAction::Back).await;
        administrator.hears(PromptId::ToResetPasscode).await;
    }
    administrator.presses(keys.administration, AdministrationAction::Back).await;
    administrator.hears(PromptId::ToRecordGreeting).await;
    administrator.hangs_up().await;
}

/// The keys of a profile, and which of its actions somebody has pressed keys for.
#[derive(Clone)]
struct Fingers {
    keys: &'static KeyMap,
    language: Grammar,
    pressed: Arc<Mutex<BTreeSet<String>>>,
}

impl Fingers {
    async fn dial(&self, server: &Server, number: &str) -> Person {
        let line = LINES.acquire().await.expect("never closed");
        let caller = Caller::dial(server, number).await.listening_in(self.language);
        Person { caller, fingers: self.clone(), _line: line }
    }

    async fn log_in(&self, server: &Server, number: &str) -> Person {
        let line = LINES.acquire().await.expect("never closed");
        let caller = Caller::log_in(server, number).await.listening_in(self.language);
        Person { caller, fingers: self.clone(), _line: line }
    }
}

/// Somebody on the telephone who knows the keys.
struct Person {
    caller: Caller,
    fingers: Fingers,
    _line: SemaphorePermit<'static>,
}

impl Person {
    /// Presses the shortest keys that do it; answers whether there are any.
    async fn presses<A: Action>(&mut self, menu: Menu<A>, action: A) -> bool {
        let keys = menu.iter().filter(|(_, it)| *it == action).map(|(keys, _)| *keys).min_by_key(|keys| keys.len());
        if let Some(keys) = keys {
            self.fingers.pressed.lock().unwrap_or_else(PoisonError::into_inner).insert(name(action));
            self.caller.presses(keys).await;
        }
        keys.is_some()
    }

    async fn types(&self, keys: &str) {
        self.caller.presses(keys).await;
    }

    async fn hears(&mut self, prompt: PromptId) -> usize {
        self.caller.hears(prompt).await
    }

    async fn hears_said(&mut self, phrase: PromptId) -> usize {
        self.caller.hears_audio(phrase.name(), &words(phrase)).await
    }

    async fn says_after_the_beep(&mut self, phrase: PromptId) {
        self.caller.hears_beep().await;
        self.caller.says(&words(phrase)).await;
        self.caller.presses(&self.fingers.keys.end_recording[0].as_char().to_string()).await;
    }

    async fn hangs_up(self) {
        self.expect_no_wrong_key();
        self.caller.hangs_up().await;
    }

    async fn waits_for_the_end(self) {
        self.expect_no_wrong_key();
        self.caller.waits_for_the_end().await;
    }

    fn expect_no_wrong_key(&self) {
        let invalid = words_in(PromptId::InvalidChoice, self.fingers.language);
        let found = listen::find(&invalid, &self.caller.call.line().heard());
        assert!(found.is_none_or(|found| found.likeness < 0.95), "a key was said to be none");
    }
}

fn all_actions(keys: &KeyMap) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    macro_rules! add {
        ($($menu:ident)*) => { $(all.extend(keys.$menu.iter().map(|(_, action)| name(*action)));)* };
    }
    add!(greeting review before_operator taping own_review forward send main playing after options greetings recording);
    add!(administration reset call_back block);
    all
}

fn name<A: Action>(action: A) -> String {
    format!("{}::{action:?}", type_name::<A>().rsplit("::").next().unwrap_or_default())
}
