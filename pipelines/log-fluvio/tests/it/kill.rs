//! What happens to appends, reads and followers when an SPU or the controller is killed, and comes back.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use telesift_log_fluvio::{FluvioLog, testing::TestCluster};
use telesift_ports::{
    RecordLog,
    record_log::{Outcome, ReadLimits},
};
use telesift_schemas::{Offset, Topic, TopicPartition};

use crate::support::{append, at, config, create, read_all};

/// Appends numbers, one commit each, as long as it may; gives those that were acknowledged, with their offsets.
async fn write_numbers(
    log: Arc<FluvioLog>,
    at: TopicPartition,
    writer: u32,
    stop: Arc<AtomicBool>,
    n_acknowledged: Arc<AtomicU64>,
) -> Vec<(u64, String)> {
    let mut acknowledged = Vec::new();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let value = format!("{writer}/{n}");
        // What failed is not tried again: only what was acknowledged is promised.
        if let Ok(outcomes) = append(&*log, &at, [value.clone()]).await {
            let [Outcome::Appended { offset, .. }] = outcomes[..] else {
                panic!("one outcome, no duplicate");
            };
            acknowledged.push((offset.0, value));
            n_acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }
    acknowledged
}

/// Follows a partition from its start, whatever happens, until it has seen `until` values or is told to stop.
async fn follow(
    log: Arc<FluvioLog>,
    at: TopicPartition,
    stop: Arc<AtomicBool>,
) -> Vec<(u64, String)> {
    let (mut next, mut seen) = (Offset::ZERO, Vec::new());
    loop {
        let wait = log.wait_beyond(&at, next);
        match tokio::time::timeout(Duration::from_secs(1), wait).await {
            Err(_) if stop.load(Ordering::Relaxed) => return seen,
            Ok(Err(e)) if !e.is_retryable() => panic!("{e}"),
            _ => {}
        }
        match log.read(&at, next, ReadLimits::default()).await {
            Ok(batch) => {
                let values = batch.records.into_iter();
                seen.extend(
                    values.map(|r| (r.offset.0, String::from_utf8_lossy(&r.value).into_owned())),
                );
                next = batch.next;
            }
            Err(e) if e.is_retryable() => {}
            Err(e) => panic!("{e}"),
        }
    }
}

async fn wait_for_more(n: &AtomicU64, more: u64) {
    let before = n.load(Ordering::Relaxed);
    let wait = async {
        while n.load(Ordering::Relaxed) < before + more {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(90), wait)
        .await
        .expect("appends go on");
}

/// Every acknowledged record stands where it was said to stand, once, and followers saw the same.
fn check(acknowledged: &[(u64, String)], read: &[(u64, String)], followed: &[(u64, String)]) {
    let offsets: Vec<u64> = read.iter().map(|(offset, _)| *offset).collect();
    assert_eq!(offsets, (0..read.len() as u64).collect::<Vec<_>>());
    for (offset, value) in acknowledged {
        assert_eq!(read[*offset as usize].1, *value, "at offset {offset}");
    }
    let values: HashSet<&String> = read.iter().map(|(_, v)| v).collect();
    assert_eq!(values.len(), read.len(), "no record stands twice");
    assert_eq!(
        followed, read,
        "a follower sees every record once, in order"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_spu_loses_and_repeats_nothing() {
    let Some(mut cluster) = TestCluster::start(1).await else {
        return;
    };
    let log = Arc::new(FluvioLog::open(config(&cluster.endpoint())).await.unwrap());
    let topic = Topic::new("killed");
    create(&log, &topic, 1).await;
    let (stop, n) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let writers: Vec<_> = (0..4)
        .map(|w| {
            tokio::spawn(write_numbers(
                log.clone(),
                at(&topic),
                w,
                stop.clone(),
                n.clone(),
            ))
        })
        .collect();
    let follower = tokio::spawn(follow(log.clone(), at(&topic), stop.clone()));
    for _ in 0..3 {
        wait_for_more(&n, 50).await;
        cluster.kill_spu(0);
        cluster.start_spu(0);
        cluster.wait_for_spu(0).await;
        wait_for_more(&n, 50).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.unwrap());
    }
    let followed = follower.await.unwrap();
    let read = read_all(&*log, &at(&topic)).await;
    eprintln!(
        "{} acknowledged, {} in the log",
        acknowledged.len(),
        read.len()
    );
    check(&acknowledged, &read, &followed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_controller_stops_neither_appends_nor_reads() {
    let Some(mut cluster) = TestCluster::start(1).await else {
        return;
    };
    let log = Arc::new(FluvioLog::open(config(&cluster.endpoint())).await.unwrap());
    let topic = Topic::new("headless");
    create(&log, &topic, 1).await;
    append(&*log, &at(&topic), ["before".to_owned()])
        .await
        .unwrap();
    cluster.kill_controller();
    append(&*log, &at(&topic), ["without".to_owned()])
        .await
        .unwrap();
    let end = log.wait_beyond(&at(&topic), Offset(1)).await.unwrap();
    assert_eq!(end, Offset(2));
    cluster.start_controller();
    cluster.wait_for_spu(0).await;
    append(&*log, &at(&topic), ["after".to_owned()])
        .await
        .unwrap();
    let values = read_all(&*log, &at(&topic)).await;
    let values: Vec<&str> = values.iter().map(|(_, v)| v.as_str()).collect();
    assert_eq!(values, ["before", "without", "after"]);
    assert_eq!(log.topics().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_spu_is_waited_for_and_its_commit_is_not_repeated() {
    let Some(cluster) = TestCluster::start(1).await else {
        return;
    };
    let mut config = config(&cluster.endpoint());
    config.request_timeout = Duration::from_secs(1);
    config.retry_for = Duration::from_secs(30);
    let log = Arc::new(FluvioLog::open(config).await.unwrap());
    let topic = Topic::new("frozen");
    create(&log, &topic, 1).await;
    append(&*log, &at(&topic), ["before".to_owned()])
        .await
        .unwrap();
    cluster.freeze_spu(0, true);
    let mut waiting = {
        let (log, at) = (log.clone(), at(&topic));
        tokio::spawn(async move { append(&*log, &at, ["frozen".to_owned()]).await })
    };
    // Long enough for the first answer to be given up.
    let answer = tokio::time::timeout(Duration::from_secs(3), &mut waiting).await;
    assert!(answer.is_err(), "nobody knows yet: {answer:?}");
    cluster.freeze_spu(0, false);
    waiting.await.unwrap().unwrap();
    append(&*log, &at(&topic), ["after".to_owned()])
        .await
        .unwrap();
    let values = read_all(&*log, &at(&topic)).await;
    let values: Vec<&str> = values.iter().map(|(_, v)| v.as_str()).collect();
    assert_eq!(values, ["before", "frozen", "after"]);
}
