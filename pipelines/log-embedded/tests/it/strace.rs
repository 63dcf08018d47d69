//! The system calls themselves show that the journal was synced before the acknowledgement was written.

use std::{fs, process::Command};

use crate::child;

#[test]
fn the_sync_returns_before_the_acknowledgement_is_written() {
    if Command::new("strace").arg("-V").output().is_err() {
        eprintln!("skipped: strace is not installed");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace");
    let log = directory.path().join("log");
    let status = Command::new("strace")
        .args(["-f", "-y", "-s", "32", "-o"])
        .arg(&trace)
        .args(["-e", "trace=fsync,fdatasync,write,pwrite64,writev"])
        .arg(std::env::current_exe().unwrap())
        .args(child::arguments())
        .envs(child::environment("append-20", &log))
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    let trace = fs::read_to_string(trace).unwrap();
    if !status.success() && trace.is_empty() {
        eprintln!("skipped: strace may not trace here");
        return;
    }
    assert!(status.success());
    assert_each_ack_follows_its_sync(&trace, 20);
}

/// Follows the journal through the trace: a write makes it dirty, the *return* of a successful sync makes it clean.
fn assert_each_ack_follows_its_sync(trace: &str, n_acks: usize) {
    let (mut is_dirty, mut n_syncs, mut acks) = (false, 0, Vec::new());
    for line in trace.lines() {
        let (pid, call) = line.split_once(' ').unwrap();
        let call = call.trim_start();
        let is_journal = call.contains(".jnl>");
        let is_sync = call.starts_with("fsync(") || call.starts_with("fdatasync(");
        if is_journal && !is_sync {
            is_dirty = true;
        }
        let returned = if call.starts_with("<... f") {
            // The end of a call that was interrupted in the trace: of this thread's last sync.
            call.contains("sync resumed") && syncs_journal(trace, line, pid)
        } else {
            is_sync && is_journal && !call.contains("<unfinished")
        };
        if returned && call.ends_with("= 0") {
            is_dirty = false;
            n_syncs += 1;
        }
        if let Some((_, rest)) = call.split_once("\"ack ") {
            assert!(!is_dirty, "acknowledged before the sync returned: {line}");
            let n: usize = rest.split('\\').next().unwrap().parse().unwrap();
            assert!(
                n_syncs > acks.len(),
                "each acknowledgement has a sync of its own"
            );
            acks.push(n);
        }
    }
    assert_eq!(acks, (0..n_acks).collect::<Vec<_>>());
}

/// Whether the sync that `resumed` ends is one of the journal.
fn syncs_journal(trace: &str, resumed: &str, pid: &str) -> bool {
    let before = trace
        .lines()
        .take_while(|line| !std::ptr::eq(*line, resumed));
    let started = before.filter(|line| {
        line.starts_with(pid) && line.contains("sync(") && line.contains("<unfinished")
    });
    started.last().is_some_and(|line| line.contains(".jnl>"))
}
