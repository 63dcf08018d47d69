//! A process of its own that appends and says so: this test binary, started again.

use std::{
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use telesift_log_embedded::EmbeddedLog;
use telesift_ports::{RecordLog, record_log::Error};

use crate::support::{append, config, create, open};

const ROLE: &str = "TELESIFT_LOG_TEST_ROLE";
const DIRECTORY: &str = "TELESIFT_LOG_TEST_DIRECTORY";

/// A command that runs this binary as `role` on the log at `path`.
pub(crate) fn command(role: &str, path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(arguments())
        .env(ROLE, role)
        .env(DIRECTORY, path);
    command
}

/// What makes the test binary run [`as_child`] only.
pub(crate) fn arguments() -> [&'static str; 4] {
    [
        "child::as_child",
        "--exact",
        "--nocapture",
        "--test-threads=1",
    ]
}

pub(crate) fn environment(role: &str, path: &Path) -> [(String, String); 2] {
    [
        (ROLE.to_owned(), role.to_owned()),
        (DIRECTORY.to_owned(), path.display().to_string()),
    ]
}

pub(crate) fn spawn(role: &str, path: &Path) -> Child {
    command(role, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Does nothing in an ordinary run; plays its role in a process that was started for it.
#[test]
fn as_child() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let path = std::path::PathBuf::from(std::env::var(DIRECTORY).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    match role.as_str() {
        "append-20" => runtime.block_on(append_and_say(&path, Some(20))),
        "append" => runtime.block_on(append_and_say(&path, None)),
        "hold" => hold(&path),
        "try" => say(match EmbeddedLog::open(config(&path)) {
            Ok(_) => "opened\n",
            Err(Error::Locked { .. }) => "locked\n",
            Err(_) => "failed\n",
        }),
        other => panic!("no role `{other}`"),
    }
}

/// One write, so that a trace shows it as one call.
fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(line.as_bytes()).unwrap();
    stdout.flush().unwrap();
}

async fn append_and_say(path: &Path, n_at_most: Option<u64>) {
    let log = open(path);
    create(&log, 2, Default::default()).await;
    let first = match log.state("last").await.unwrap() {
        Some(last) => std::str::from_utf8(&last).unwrap().parse::<u64>().unwrap() + 1,
        None => 0,
    };
    for n in (first..).take(n_at_most.unwrap_or(u64::MAX) as usize) {
        append(&log, n..n + 1).await.unwrap();
        say(&format!("ack {n}\n"));
    }
}

fn hold(path: &Path) {
    let _log = open(path);
    say("holding\n");
    // Until the parent goes away or closes the pipe.
    let _ = std::io::stdin().read(&mut [0]);
}
