//! Opening, closing, refusing: what an operator meets.

use std::{path::Path, sync::Arc, time::Duration};

use telesift_log_embedded::{EmbeddedLog, EmbeddedLogConfig};
use telesift_ports::{
    RecordLog,
    memory::ManualClock,
    record_log::{Durability, Error, Outcome, ReadLimits, Retention},
};
use telesift_schemas::Offset;

use crate::support::{append, assert_consistent, at, config, create, numbered, open, read_numbers};

/// A new log with ten records in two partitions.
async fn with_ten(directory: &Path) -> EmbeddedLog {
    let log = open(directory);
    create(&log, 2, Retention::default()).await;
    append(&log, 0..10).await.unwrap();
    log
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    let retention = Retention {
        max_age_s: Some(7),
        max_bytes: Some(1 << 40),
    };
    create(&log, 2, retention.clone()).await;
    append(&log, 0..100).await.unwrap();
    let epoch = log.epoch().clone();
    log.close().await.unwrap();

    let log = open(directory.path());
    assert_eq!(*log.epoch(), epoch, "the same history");
    assert_eq!(log.durability(), Durability::Fsynced);
    let topics = log.topics().await.unwrap();
    assert_eq!(topics[0].retention, retention);
    assert_eq!(topics[0].partitions[1].bounds.end, Offset(50));
    assert_consistent(&log, 100).await;
}

#[tokio::test]
async fn duplicates_are_known_across_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let log = with_ten(directory.path()).await;
    drop(log);
    let log = open(directory.path());
    let outcomes = append(&log, 5..15).await.unwrap();
    let n_duplicates = outcomes
        .iter()
        .filter(|o| **o == Outcome::Duplicate)
        .count();
    assert_eq!(n_duplicates, 5);
    assert_eq!(read_numbers(&log).await, (0..15).collect::<Vec<_>>());
}

#[tokio::test]
async fn guards_hold_across_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let log = with_ten(directory.path()).await;
    drop(log);
    let log = open(directory.path());
    let mut stale = numbered(10..12);
    stale.guards = vec![("last".to_owned(), Some("3".into()))];
    let error = log.commit(stale).await.unwrap_err();
    assert!(matches!(error, Error::GuardFailed { .. }), "{error}");
    let mut fresh = numbered(10..12);
    fresh.guards = vec![("last".to_owned(), Some("9".into()))];
    log.commit(fresh).await.unwrap();
}

#[tokio::test]
async fn closing_answers_what_is_queued_and_releases_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let log = Arc::new(open(directory.path()));
    create(&log, 2, Retention::default()).await;
    let mut unanswered = Vec::new();
    for n in 0..50u64 {
        let log = log.clone();
        let mut commit = Box::pin(async move { append(&log, n..n + 1).await });
        // Queued now: polled once before the log is closed. The writer may be so fast as to answer at once.
        match futures_poll_once(&mut commit).await {
            Some(answer) => drop(answer.unwrap()),
            None => unanswered.push(commit),
        }
    }
    let follower = log.clone();
    let mut waiting =
        Box::pin(async move { follower.wait_beyond(&at(0), Offset(1_000_000)).await });
    assert!(matches!(
        futures_poll_once(&mut waiting).await,
        Some(Err(Error::BeyondEnd { .. }))
    ));
    log.close().await.unwrap();
    log.close().await.unwrap();
    let error = append(&log, 99..100).await.unwrap_err();
    assert!(matches!(error, Error::Closed), "{error}");
    let error = log
        .read(&at(0), Offset::ZERO, ReadLimits::default())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Closed), "{error}");
    for commit in unanswered {
        commit.await.unwrap();
    }
    // The old handle is still there, the directory is free.
    let again = open(directory.path());
    assert_eq!(read_numbers(&again).await, (0..50).collect::<Vec<_>>());
}

/// What `future` says when asked once.
async fn futures_poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(cx) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[tokio::test]
async fn followers_hear_of_the_close() {
    let directory = tempfile::tempdir().unwrap();
    let log = Arc::new(open(directory.path()));
    create(&log, 2, Retention::default()).await;
    let follower = log.clone();
    let mut waiting = Box::pin(async move { follower.wait_beyond(&at(0), Offset::ZERO).await });
    assert!(futures_poll_once(&mut waiting).await.is_none());
    log.close().await.unwrap();
    let error = waiting.await.unwrap_err();
    assert!(matches!(error, Error::Closed), "{error}");
}

#[tokio::test]
async fn a_restored_copy_gets_an_epoch_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let log = with_ten(directory.path()).await;
    let before = log.epoch().clone();
    drop(log);
    let renewed = EmbeddedLog::renew_epoch(&config(directory.path())).unwrap();
    assert_ne!(renewed, before);
    let log = open(directory.path());
    assert_eq!(*log.epoch(), renewed);
    assert_consistent(&log, 10).await;
}

#[tokio::test]
async fn a_full_disk_refuses_appends_and_keeps_serving_reads() {
    let directory = tempfile::tempdir().unwrap();
    let log = with_ten(directory.path()).await;
    drop(log);
    let log = EmbeddedLog::open(EmbeddedLogConfig {
        // No disk has as much.
        min_free_bytes: u64::MAX,
        ..config(directory.path())
    })
    .unwrap();
    let error = append(&log, 10..11).await.unwrap_err();
    assert!(matches!(error, Error::NoSpace { .. }), "{error}");
    assert!(error.is_retryable() && !error.is_ambiguous());
    assert_eq!(read_numbers(&log).await.len(), 10);
    drop(log);
    let log = open(directory.path());
    append(&log, 10..11).await.unwrap();
    assert_consistent(&log, 11).await;
}

#[tokio::test]
async fn a_panicking_finish_fails_its_own_transaction_only() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    create(&log, 2, Retention::default()).await;
    let mut bad = numbered(0..2);
    bad.finish = Box::new(|_| panic!("on purpose"));
    let error = log.commit(bad).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Unavailable {
                ambiguous: false,
                ..
            }
        ),
        "{error}"
    );
    append(&log, 0..2).await.unwrap();
    assert_consistent(&log, 2).await;
}

#[tokio::test]
async fn retention_runs_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::default());
    let log = EmbeddedLog::open(EmbeddedLogConfig {
        clock: clock.clone(),
        retention_interval: Duration::from_millis(1),
        ..EmbeddedLogConfig::new(directory.path())
    })
    .unwrap();
    let retention = Retention {
        max_age_s: Some(60),
        ..Retention::default()
    };
    create(&log, 2, retention).await;
    append(&log, 0..10).await.unwrap();
    clock.advance(Duration::from_secs(61));
    let evicted = async {
        while log.bounds(&at(0)).await.unwrap().start < Offset(5) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), evicted)
        .await
        .unwrap();
}

#[tokio::test]
async fn large_records_within_the_limit_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let log = open(directory.path());
    create(&log, 2, Retention::default()).await;
    let mut large = numbered(0..1);
    let value: bytes::Bytes = (0..16u32 << 20)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .take((16 << 20) - 14)
        .collect();
    large.appends[0].1.value = value.clone();
    log.commit(large).await.unwrap();
    drop(log);
    let log = open(directory.path());
    let batch = log
        .read(&at(0), Offset::ZERO, ReadLimits::default())
        .await
        .unwrap();
    assert_eq!(batch.records[0].value, value);
}
