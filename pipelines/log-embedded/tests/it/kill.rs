//! A process is killed while it appends; a second one is kept out while it lives.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use crate::{
    child,
    support::{assert_consistent, open},
};

#[tokio::test]
async fn every_acknowledged_record_survives_kill_9_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut last_acked = None;
    for round in 0..8 {
        let mut child = child::spawn("append", directory.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut n_seen = 0;
        for line in lines {
            let line = line.unwrap();
            let Some((_, n)) = line.split_once("ack ") else {
                continue;
            };
            last_acked = Some(n.parse::<u64>().unwrap());
            n_seen += 1;
            if n_seen > round * 37 {
                // SIGKILL; what the child still writes into the pipe is read too.
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(n_seen > 0);
    }
    let n_acked = last_acked.unwrap() + 1;
    assert!(n_acked > 8 * 37 / 2);
    assert_consistent(&open(directory.path()), n_acked).await;
}

#[tokio::test]
async fn a_second_process_is_refused_until_the_first_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let mut holder = child::spawn("hold", directory.path());
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let held = lines.any(|line| line.unwrap().contains("holding"));
    assert!(held);
    let attempt = || {
        let output = child::command("try", directory.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(attempt().contains("locked"));
    let here = telesift_log_embedded::EmbeddedLog::open(crate::support::config(directory.path()));
    let error = here.err().unwrap();
    assert!(
        error.to_string().contains("in use by another process"),
        "{error}"
    );
    assert!(!error.is_retryable());
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(attempt().contains("opened"));
}
