//! Who may log in: lock-out across calls, and nothing that tells an unknown mailbox from a wrong passcode.

use std::time::{Duration, Instant};

use afterbeep::{ivr::PromptId, phone::Phone};
use futures_util::future::join_all;

use crate::support::{
    caller::Caller,
    server::{PASSCODE, Server, TRUSTING},
};

/// Nobody's passcode.
const GUESS: &str = "83046217";

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn whoever_guesses_is_locked_out_across_calls_but_the_own_line_is_not() {
    let server = Server::start(TRUSTING);
    server.add_mailbox("1001", &[]);
    let guess = |number: &'static str| Caller::dial_as(&server, "*98", move |phone: Phone| phone.from(number));

    let mut first = guess("2025550101").await;
    first.presses(&format!("1001#{GUESS}#")).await;
    first.hears(PromptId::LoginWrong).await;
    first.presses(&format!("{GUESS}#{GUESS}#")).await;
    first.hears(PromptId::TooManyAttempts).await;
    first.hears(PromptId::Goodbye).await;
    first.waits_for_the_end().await;
    let mut second = guess("2025550101").await;
    second.presses(&format!("1001#{GUESS}#{GUESS}#{PASSCODE}#")).await;
    second.hears(PromptId::TooManyAttempts).await;
    second.waits_for_the_end().await;
    let mut third = guess("2025550101").await;
    third.presses(&format!("1001#{PASSCODE}#")).await;
    let mut somebody_else = guess("2025550102").await;
    somebody_else.presses(&format!("1001#{PASSCODE}#")).await;
    let identity = "<sip:1001@pbx.example>";
    let mut own_line = Caller::dial_as(&server, "*98", |phone| phone.header("P-Asserted-Identity", identity)).await;
    own_line.presses(&format!("{PASSCODE}#")).await;

    third.hears(PromptId::LoginWrong).await;
    somebody_else.hears(PromptId::NoMessages).await;
    own_line.hears(PromptId::NoMessages).await;
    for caller in [third, somebody_else, own_line] {
        caller.hangs_up().await;
    }
    server.run(&["mailbox", "set", "1001", "--unlock"]);
    let mut again = guess("2025550101").await;
    again.presses(&format!("1001#{PASSCODE}#")).await;
    again.hears(PromptId::NoMessages).await;
    again.hangs_up().await;
    server.expect_tidiness();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn unknown_disabled_and_wrong_sound_the_same_and_take_as_long() {
    let server = Server::start(TRUSTING);
    for number in ["1001", "1002"] {
        server.add_mailbox(number, &[]);
    }
    server.run(&["mailbox", "set", "1002", "--disable"]);
    // A wrong passcode, the right one of a disabled mailbox, no such mailbox; the latter two from their greetings as well.
    let cases = [
        ("*98", "1001#", GUESS),
        ("*98", "1002#", PASSCODE),
        ("*98", "1003#", GUESS),
        ("1002", "*", PASSCODE),
        ("1003", "*", GUESS),
    ];

    // Whatever else this machine is busy with makes some attempts slow, but not the same ones each time.
    let mut quickest = [Duration::MAX; 5];
    for round in 1..=2 {
        let refusals = cases.iter().enumerate().map(|(case, (dialled, keys, passcode))| {
            let from = format!("20255501{round}{case}");
            quickest_refusal(&server, from, dialled, keys, passcode)
        });
        for (quickest, refusal) in quickest.iter_mut().zip(join_all(refusals).await) {
            *quickest = refusal.min(*quickest);
        }
    }

    let (shortest, longest) = (quickest.iter().min().unwrap(), quickest.iter().max().unwrap());
    assert!(*longest - *shortest < Duration::from_millis(400), "{quickest:?}");
    server.expect_tidiness();
}

/// Calls, and hears what everybody hears who has no right to log in. How long it takes from the first digit of the passcode to the
/// refusal, at best of two.
async fn quickest_refusal(server: &Server, from: String, dialled: &str, keys: &str, passcode: &str) -> Duration {
    let mut caller = Caller::dial_as(server, dialled, |phone| phone.from(&from)).await;
    caller.hears(if dialled == "*98" { PromptId::EnterMailbox } else { PromptId::NoMessagesHere }).await;
    caller.presses(keys).await;
    caller.hears(PromptId::EnterPasscode).await;
    let mut quickest = Duration::MAX;
    for _ in 0..2 {
        // Told by the clock, as the server sends nothing while it waits for keys.
        let began = Instant::now();
        caller.call.line().press(&format!("{passcode}#"));
        caller.hears(PromptId::LoginWrong).await;
        quickest = quickest.min(began.elapsed());
        caller.hears(PromptId::EnterPasscodeAgain).await;
    }
    caller.hangs_up().await;
    quickest
}
