//! Logs of one test on a cluster that others may use too.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use telesift_log_fluvio::{FluvioLog, FluvioLogConfig};
use telesift_ports::{
    RecordLog,
    memory::MemoryState,
    record_log::{NewRecord, Outcome, ReadLimits, Result, Retention, TopicConfig, Transaction},
};
use telesift_schemas::{Offset, PartitionId, Topic, TopicPartition};

/// A name that no other test uses, on this cluster or any.
pub(crate) fn prefix() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    format!("t{}-{}-{n}-", now.as_micros(), std::process::id())
}

/// Options for a log of its own on the cluster at `endpoint`.
pub(crate) fn config(endpoint: &str) -> FluvioLogConfig {
    FluvioLogConfig {
        prefix: prefix(),
        watchdog_interval: Duration::from_millis(500),
        ..FluvioLogConfig::new(endpoint, Arc::new(MemoryState::new()))
    }
}

pub(crate) async fn create(log: &FluvioLog, topic: &Topic, partitions: u32) {
    let config = TopicConfig {
        partitions,
        retention: Retention::default(),
    };
    log.create_topic(topic, config).await.unwrap();
}

pub(crate) fn at(topic: &Topic) -> TopicPartition {
    TopicPartition::new(topic.clone(), PartitionId(0))
}

pub(crate) fn record(value: impl Into<Bytes>) -> NewRecord {
    NewRecord {
        key: Bytes::from_static(b"k"),
        value: value.into(),
        unique: Vec::new(),
    }
}

pub(crate) async fn append(
    log: &dyn RecordLog,
    at: &TopicPartition,
    values: impl IntoIterator<Item = String>,
) -> Result<Vec<Outcome>> {
    let appends = values.into_iter().map(|v| (at.clone(), record(v)));
    log.commit(Transaction::appends(appends.collect())).await
}

/// Offset and value of everything in a partition, tried again while the cluster is away.
pub(crate) async fn read_all(log: &dyn RecordLog, at: &TopicPartition) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    let mut next = Offset::ZERO;
    loop {
        let batch = match log.read(at, next, ReadLimits::default()).await {
            Ok(batch) => batch,
            Err(e) if e.is_retryable() => continue,
            Err(e) => panic!("{e}"),
        };
        let values = batch.records.into_iter();
        all.extend(values.map(|r| (r.offset.0, String::from_utf8_lossy(&r.value).into_owned())));
        next = batch.next;
        if next >= batch.end {
            return all;
        }
    }
}
