//! PJSIP as a telephone that does given steps.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

/// Starts `pjsip_phone.py` with options and steps.
pub fn start(words: &[&str]) -> Child {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/python/bin/python");
    assert!(python.exists(), "PJSIP is not installed: run tests/tools/setup-python.sh once");
    Command::new(python)
        .arg(root.join("tests/tools/pjsip_phone.py"))
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python starts")
}

/// Starts a telephone that others call, and says where.
pub fn start_listening(words: &[&str]) -> (Child, SocketAddr) {
    let mut phone = start(words);
    let mut output = BufReader::new(phone.stdout.take().expect("its output is piped"));
    let address = loop {
        let mut line = String::new();
        assert!(output.read_line(&mut line).expect("it speaks") > 0, "it ended without listening");
        if let Some(address) = line.strip_prefix("listening ") {
            break address.trim().parse().expect("an address");
        }
    };
    // Somebody has to take what else it says.
    std::thread::spawn(move || output.lines().count());
    (phone, address)
}

/// Waits until all steps are done.
pub fn expect_done(phone: Child) {
    let output = phone.wait_with_output().expect("a child of ours");
    let said = String::from_utf8_lossy(&output.stdout);
    let end = said.lines().rev().take(80).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n");
    assert!(output.status.success() && said.contains("\ndone"), "{end}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Does all steps.
pub fn run(words: &[&str]) {
    expect_done(start(words));
}
