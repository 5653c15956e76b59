//! Calls of all kinds, one after the other, leave nothing behind: no memory, no descriptor, no task.
//!
//! There are few of them here; `AFTERBEEP_TEST_CALLS=20000` (with `--release`) makes them what is claimed.

use std::{fmt, path::Path, time::Duration};

use afterbeep::audio::law::Law;

use crate::support::{
    caller::speech,
    process::{open_files, own_memory},
    server::{PASSCODE, Server, TRUSTING},
    sipp::{Call, Step},
};

/// What an allocator keeps to itself, and tables grow to, whatever the number of calls.
const SLACK: u64 = 16 << 20;
/// How long transactions are remembered (64 T1, RFC 3261 §17.2), and until tasks have been counted after that.
const FORGOTTEN: Duration = Duration::from_secs(32 + 12);
/// How many calls begin in a second.
const RATE: u32 = 60;

#[test]
fn calls_leave_nothing_behind() {
    let calls = std::env::var("AFTERBEEP_TEST_CALLS").ok().and_then(|calls| calls.parse().ok()).unwrap_or(600);
    let server = Server::start(TRUSTING);
    for number in ["1001", "1002", "1003"] {
        server.add_mailbox(number, &[]);
    }
    let file = server.path("speech.ul");
    std::fs::write(&file, Law::Mu.encoded(&speech().0)).expect("the folder is ours");

    call(&server, &file, calls / 5);
    let before = Use::of(&server);
    call(&server, &file, calls - calls / 5);
    let after = Use::of(&server);

    eprintln!("before: {before}\nafter:  {after}");
    assert!(after.memory < before.memory + SLACK, "{before}\n{after}");
    assert_eq!((after.files, after.tasks), (before.files, before.tasks));
    server.expect_tidiness();
}

/// So many calls: most are hung up on during the greeting; others leave messages (in the end in a full mailbox), listen, or go to
/// nobody.
fn call(server: &Server, file: &Path, calls: u32) {
    let wait = |milliseconds| Step::Wait(Duration::from_millis(milliseconds));
    let greeting = [wait(400)];
    let message = [wait(200), Step::Info('#'), wait(600), Step::Speak(file), wait(3000)];
    let keys = "1001#".chars().map(Step::Info).chain([wait(200)]);
    let retrieval: Vec<Step<'_>> = keys.chain(format!("{PASSCODE}#1").chars().map(Step::Info)).chain([wait(1000)]).collect();
    let (udp, tcp) = (server.udp(), server.tcp());
    let kinds = [
        (udp, "u1", "1002", &greeting[..], 60),
        (tcp, "t1", "1003", &greeting[..], 20),
        (udp, "u1", "1001", &message[..], 10),
        (tcp, "t1", "5555", &greeting[..], 5),
        (udp, "u1", "*98", &retrieval[..], 5),
    ];
    std::thread::scope(|scope| {
        for (address, transport, service, steps, share) in kinds {
            let rate = Some((RATE * share / 100).max(1));
            scope.spawn(move || Call { service, transport, rate, ..Call::default() }.run(address, steps, calls * share / 100));
        }
    });
}

/// What a server uses while it leads no call.
struct Use {
    memory: u64,
    files: usize,
    tasks: usize,
}

impl Use {
    /// Once all calls are over, and their transactions.
    fn of(server: &Server) -> Self {
        server.expect_tidiness();
        std::thread::sleep(FORGOTTEN);
        let process = server.process_id();
        let tasks = tasks(&server.log()).pop().expect("they are counted");
        Self { memory: own_memory(process), files: open_files(process), tasks }
    }
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { memory, files, tasks } = self;
        write!(f, "{} kB of memory, {files} descriptors, {tasks} tasks", memory / 1024)
    }
}

/// The numbers of tasks that a log tells of, in order.
fn tasks(log: &str) -> Vec<usize> {
    let alive = log.lines().filter(|line| line.contains("the server is alive"));
    alive.filter_map(|line| line.split_once("tasks=")?.1.split_whitespace().next()?.parse().ok()).collect()
}
