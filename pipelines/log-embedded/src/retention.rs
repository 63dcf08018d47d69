//! Evicts what topics need not keep: finds the new start of each partition, moves it durably, gives back the disk space.

use std::sync::{Arc, mpsc, mpsc::RecvTimeoutError};

use jiff::Timestamp;
use telesift_ports::record_log::{Result, Retention};
use telesift_schemas::Offset;
use tokio::sync::oneshot;

use crate::{
    error::ambiguous,
    log::Shared,
    reader::{first_where, offset_at},
    store::{Partition, Store},
    writer::Job,
};

/// Runs retention until `stop` is dropped.
pub(crate) fn run_every_interval(shared: &Shared, stop: &mpsc::Receiver<()>) {
    let interval = shared.config.retention_interval;
    while stop.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
        if let Err(e) = run(shared) {
            tracing::warn!(error = %e, "retention did not run");
        }
    }
}

/// Runs retention once; returns how many records were evicted. Blocks.
pub(crate) fn run(shared: &Shared) -> Result<u64> {
    let store = shared.store()?;
    let now = shared.config.clock.now();
    let mut n_evicted = 0;
    for (_, topic) in store.topics() {
        for partition in &topic.partitions {
            n_evicted += evict(shared, &store, partition, &topic.meta.retention, now)?;
        }
    }
    Ok(n_evicted)
}

fn evict(
    shared: &Shared,
    store: &Store,
    partition: &Arc<Partition>,
    retention: &Retention,
    now: Timestamp,
) -> Result<u64> {
    let before = partition.tail().start;
    let start = new_start(partition, retention, now)?;
    if start <= before {
        return Ok(0);
    }
    let (reply, answer) = oneshot::channel();
    let job = Job::Evict {
        partition: partition.clone(),
        start,
        reply,
    };
    shared.send_blocking(job)?;
    answer
        .blocking_recv()
        .map_err(|_| ambiguous("the writer stopped while evicting"))??;
    partition.drop_evicted(&store.path)?;
    Ok(start.0 - before.0)
}

fn new_start(partition: &Partition, retention: &Retention, now: Timestamp) -> Result<Offset> {
    let tail = partition.tail();
    let mut start = tail.start;
    if let Some(max_age_s) = retention.max_age_s {
        let max_age_ms = i64::try_from(max_age_s.saturating_mul(1_000)).unwrap_or(i64::MAX);
        let oldest_ms = now.as_millisecond().saturating_sub(max_age_ms);
        if let Ok(oldest) = Timestamp::from_millisecond(oldest_ms) {
            start = start.max(offset_at(partition, oldest)?);
        }
    }
    if let Some(max_bytes) = retention.max_bytes {
        let n_bytes = tail.n_bytes;
        let fits = |before: u64| n_bytes.saturating_sub(before) <= max_bytes;
        start = start.max(first_where(partition, |r| fits(r.n_bytes_before))?);
    }
    Ok(start)
}
