//! The log on a cluster keeps the contract of every record log, but for what only transactions give and for evictions
//! that a test cannot order.

use std::sync::Arc;

use telesift_log_fluvio::{FluvioLog, FluvioLogConfig, testing::any_cluster};
use telesift_ports::{
    RecordLog,
    contract::record_log::{ALWAYS, Harness, WITHOUT_TRANSACTIONS},
    memory::ManualClock,
    record_log::{Durability, Error, ReadLimits, Retention, TopicConfig},
};
use telesift_schemas::{Offset, Timestamp, Topic};

use crate::support::{append, at, config, create, read_all};

async fn fresh(endpoint: &str) -> Harness {
    let clock = Arc::new(ManualClock::default());
    let log = FluvioLog::open(FluvioLogConfig {
        clock: clock.clone(),
        ..config(endpoint)
    });
    Harness {
        log: Arc::new(log.await.unwrap()),
        clock,
        run_retention: Box::new(|| Box::pin(async {})),
        guard: Box::new(()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract_of_a_log_without_transactions() {
    let Some((endpoint, _cluster)) = any_cluster().await else {
        return;
    };
    for (name, check) in ALWAYS.iter().chain(WITHOUT_TRANSACTIONS) {
        let harness = fresh(&endpoint).await;
        assert!(!harness.log.is_transactional());
        assert_eq!(harness.log.durability(), Durability::Replicated);
        eprintln!("checking {name}");
        check(harness).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_is_opened_again_goes_on() {
    let Some((endpoint, _cluster)) = any_cluster().await else {
        return;
    };
    let config = config(&endpoint);
    let topic = Topic::new("kept");
    let first = FluvioLog::open(config.clone()).await.unwrap();
    create(&first, &topic, 1).await;
    append(&first, &at(&topic), ["a".into(), "b".into()])
        .await
        .unwrap();
    let again = FluvioLog::open(config).await.unwrap();
    assert_eq!(again.epoch(), first.epoch());
    append(&again, &at(&topic), ["c".into()]).await.unwrap();
    let expected = [
        (0, "a".to_owned()),
        (1, "b".to_owned()),
        (2, "c".to_owned()),
    ];
    assert_eq!(read_all(&again, &at(&topic)).await, expected);
    // Another state is another history.
    let other = crate::support::config(&endpoint);
    let other = FluvioLog::open(other).await.unwrap();
    assert_ne!(other.epoch(), first.epoch());
}

/// Where the end is and what stands there are two questions, between which records come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_at_an_end_that_moves_is_told_of_no_hole() {
    let Some((endpoint, _cluster)) = any_cluster().await else {
        return;
    };
    const N: usize = 1_000;
    let config = config(&endpoint);
    let topic = Topic::new("moving");
    let log = FluvioLog::open(config.clone()).await.unwrap();
    create(&log, &topic, 1).await;
    let appending = tokio::spawn({
        let at = at(&topic);
        async move {
            for n in 0..N {
                append(&log, &at, [n.to_string()]).await.unwrap();
            }
        }
    });
    let reader = FluvioLog::open(config).await.unwrap();
    let (mut next, mut n_read) = (Offset::ZERO, 0);
    while n_read < N {
        let limits = ReadLimits::default();
        let batch = reader.read(&at(&topic), next, limits).await.unwrap();
        n_read += batch.records.len();
        next = batch.next;
    }
    appending.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_commit_keeps_its_order_over_many_batches() {
    let Some((endpoint, _cluster)) = any_cluster().await else {
        return;
    };
    let log = FluvioLog::open(config(&endpoint)).await.unwrap();
    let topic = Topic::new("large");
    create(&log, &topic, 1).await;
    let values: Vec<String> = (0..300).map(|n| format!("{n:05}").repeat(10_000)).collect();
    let outcomes = append(&log, &at(&topic), values.clone()).await.unwrap();
    assert_eq!(outcomes.len(), 300);
    let read = read_all(&log, &at(&topic)).await;
    let offsets: Vec<u64> = read.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, (0..300).collect::<Vec<_>>());
    assert!(read.iter().map(|(_, v)| v).eq(&values), "order and bytes");
}

/// Retention is the cluster's: by whole files, oldest first, some time after a record is too old. What is gone is an error
/// that names the first offset left, and offsets go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evicted_offsets_are_an_error_that_names_the_first_one_left() {
    let Some((endpoint, _cluster)) = any_cluster().await else {
        return;
    };
    let log = FluvioLog::open(config(&endpoint)).await.unwrap();
    let topic = Topic::new("short");
    let retention = Retention {
        max_age_s: None,
        // Two files of four MiB.
        max_bytes: Some(8 << 20),
    };
    let spec = TopicConfig {
        partitions: 1,
        retention,
    };
    log.create_topic(&topic, spec).await.unwrap();
    let value = "x".repeat(1 << 20);
    let mut n = 0;
    let started = std::time::Instant::now();
    while log.bounds(&at(&topic)).await.unwrap().start == Offset::ZERO {
        append(&log, &at(&topic), [value.clone()]).await.unwrap();
        n += 1;
        assert!(
            started.elapsed().as_secs() < 120,
            "nothing was evicted of {n} MiB"
        );
    }
    let bounds = log.bounds(&at(&topic)).await.unwrap();
    let error = log
        .read(&at(&topic), Offset::ZERO, ReadLimits::default())
        .await
        .unwrap_err();
    match error {
        Error::Evicted { from, first, .. } => {
            assert_eq!(from, Offset::ZERO);
            assert!(first >= bounds.start);
        }
        other => panic!("{other}"),
    }
    let long_ago = log.offset_at(&at(&topic), Timestamp::UNIX_EPOCH).await;
    assert!(long_ago.unwrap() >= bounds.start);
    let last = append(&log, &at(&topic), ["last".to_owned()])
        .await
        .unwrap();
    assert_eq!(last.len(), 1);
    assert_eq!(log.bounds(&at(&topic)).await.unwrap().end, Offset(n + 1));
}
