//! Per topic: one reader per partition, and the newest records in memory for all who follow.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::Duration,
};

use telesift_ports::{
    RecordLog,
    record_log::{self, Batch, PartitionBounds, ReadLimits, StoredRecord},
};
use telesift_schemas::{Message, Offset, PartitionId, Topic, TopicPartition};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::config::TailConfig;

/// Pause after a failed read, doubled up to the greatest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// A record on its way to clients; what is worked out of it once serves all.
pub(super) struct LiveRecord {
    pub(super) stored: StoredRecord,
    message: OnceLock<Option<Box<Message>>>,
    pub(super) encoded: OnceLock<Vec<u8>>,
}

impl LiveRecord {
    pub(super) fn new(stored: StoredRecord) -> Arc<Self> {
        Arc::new(LiveRecord {
            stored,
            message: OnceLock::new(),
            encoded: OnceLock::new(),
        })
    }

    /// The record as a message, parsed once; `None` if it is none.
    pub(super) fn message(&self) -> Option<&Message> {
        let parse = || serde_json::from_slice(&self.stored.value).ok();
        self.message.get_or_init(parse).as_deref()
    }

    fn n_bytes(&self) -> usize {
        self.stored.key.len() + self.stored.value.len()
    }
}

/// The feeds of the topics somebody follows.
pub(crate) struct Hub {
    log: Arc<dyn RecordLog>,
    config: TailConfig,
    shutdown: CancellationToken,
    topics: Mutex<HashMap<Topic, Weak<TopicFeed>>>,
}

impl Hub {
    pub(crate) fn new(
        log: Arc<dyn RecordLog>,
        config: TailConfig,
        shutdown: CancellationToken,
    ) -> Self {
        Hub {
            log,
            config,
            shutdown,
            topics: Mutex::default(),
        }
    }

    /// The feed of `topic`, whose partitions stand at `bounds`; its readers run while somebody holds it.
    pub(super) fn feed(&self, topic: &Topic, bounds: &[PartitionBounds]) -> Arc<TopicFeed> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = topics.get(topic).and_then(Weak::upgrade) {
            return feed;
        }
        topics.retain(|_, feed| feed.strong_count() > 0);
        let stop = self.shutdown.child_token();
        let partitions: Vec<Arc<Recent>> = bounds
            .iter()
            .map(|p| Arc::new(Recent::new(p.partition, p.bounds.end, &self.config)))
            .collect();
        let (changed, _) = watch::channel(());
        for recent in &partitions {
            let reader = Reader {
                log: self.log.clone(),
                at: TopicPartition::new(topic.clone(), recent.partition),
                recent: recent.clone(),
                changed: changed.clone(),
                together: self.config.together(),
            };
            let stop = stop.clone();
            tokio::spawn(async move {
                stop.run_until_cancelled(reader.run()).await;
            });
        }
        let feed = Arc::new(TopicFeed {
            log: self.log.clone(),
            topic: topic.clone(),
            partitions,
            changed: changed.subscribe(),
            _stop: stop.drop_guard(),
        });
        topics.insert(topic.clone(), Arc::downgrade(&feed));
        feed
    }

    pub(super) fn log(&self) -> &Arc<dyn RecordLog> {
        &self.log
    }

    pub(super) fn config(&self) -> &TailConfig {
        &self.config
    }
}

/// A followed topic.
pub(super) struct TopicFeed {
    log: Arc<dyn RecordLog>,
    topic: Topic,
    partitions: Vec<Arc<Recent>>,
    changed: watch::Receiver<()>,
    _stop: DropGuard,
}

impl TopicFeed {
    pub(super) fn partition(&self, partition: PartitionId) -> Option<&Arc<Recent>> {
        self.partitions.iter().find(|r| r.partition == partition)
    }

    /// Tells when some partition has grown.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.clone()
    }

    /// Reads from the log itself, for a client that is behind the recent records.
    pub(super) async fn read(
        &self,
        partition: PartitionId,
        from: Offset,
        limits: ReadLimits,
    ) -> record_log::Result<Batch> {
        let at = TopicPartition::new(self.topic.clone(), partition);
        self.log.read(&at, from, limits).await
    }
}

/// The newest records of a partition: an unbroken run up to `end`.
pub(super) struct Recent {
    partition: PartitionId,
    max_records: usize,
    max_bytes: usize,
    run: Mutex<Run>,
}

struct Run {
    records: VecDeque<Arc<LiveRecord>>,
    n_bytes: usize,
    /// First offset of the run; `end` while it is empty.
    start: Offset,
    end: Offset,
}

/// What is to be had from `from` on.
pub(super) enum Window {
    /// Records in a row from `from`, at least one.
    Records(Vec<Arc<LiveRecord>>),
    /// Nothing yet.
    AtEnd,
    /// `from` lies before the run: the log has it.
    Behind,
}

impl Recent {
    fn new(partition: PartitionId, end: Offset, config: &TailConfig) -> Self {
        Recent {
            partition,
            max_records: config.recent_records.max(1),
            max_bytes: config.recent_bytes.max(1),
            run: Mutex::new(Run {
                records: VecDeque::new(),
                n_bytes: 0,
                start: end,
                end,
            }),
        }
    }

    pub(super) fn window(&self, from: Offset, max: usize) -> Window {
        let run = self.run();
        if from >= run.end {
            return Window::AtEnd;
        }
        if from < run.start {
            return Window::Behind;
        }
        let skip = (from.0 - run.start.0) as usize;
        Window::Records(run.records.iter().skip(skip).take(max).cloned().collect())
    }

    /// The end as last seen by the reader.
    pub(super) fn end(&self) -> Offset {
        self.run().end
    }

    fn push(&self, batch: Batch) {
        let mut run = self.run();
        for record in batch.records {
            if record.offset != run.end {
                run.restart(record.offset);
            }
            let record = LiveRecord::new(record);
            run.n_bytes += record.n_bytes();
            run.end = record.stored.offset.next();
            run.records.push_back(record);
        }
        if batch.next > run.end {
            // The batch ends in a gap: whoever comes from before finds it in the log.
            run.restart(batch.next);
        }
        while run.records.len() > self.max_records || run.n_bytes > self.max_bytes {
            let Some(oldest) = run.records.pop_front() else {
                break;
            };
            run.n_bytes -= oldest.n_bytes();
            run.start = oldest.stored.offset.next();
        }
    }

    fn skip_to(&self, offset: Offset) {
        self.run().restart(offset);
    }

    fn run(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    /// The run must have no hole: it begins anew.
    fn restart(&mut self, at: Offset) {
        self.records.clear();
        self.n_bytes = 0;
        self.start = at;
        self.end = at;
    }
}

/// Reads one partition as it grows.
struct Reader {
    log: Arc<dyn RecordLog>,
    at: TopicPartition,
    recent: Arc<Recent>,
    changed: watch::Sender<()>,
    /// Records that come within this time go out together.
    together: Duration,
}

impl Reader {
    async fn run(self) {
        let (mut pause, mut not_before) = (FIRST_PAUSE, Instant::now());
        loop {
            match self.step(not_before).await {
                Ok(()) => {
                    not_before = Instant::now() + self.together;
                    pause = FIRST_PAUSE;
                }
                Err(record_log::Error::Closed) => return,
                Err(record_log::Error::Evicted { first, .. }) => {
                    self.recent.skip_to(first);
                    self.changed.send_replace(());
                }
                Err(error) => {
                    tracing::warn!(at = %self.at, %error, "the tail cannot read the log; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(MAX_PAUSE);
                }
            }
        }
    }

    async fn step(&self, not_before: Instant) -> record_log::Result<()> {
        let from = self.recent.end();
        self.log.wait_beyond(&self.at, from).await?;
        // What comes soon after goes out together: each time wakes every client. The first after a pause goes at once.
        if not_before > Instant::now() {
            tokio::time::sleep_until(not_before).await;
        }
        let batch = self.log.read(&self.at, from, ReadLimits::default()).await?;
        self.recent.push(batch);
        self.changed.send_replace(());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recent(max_records: usize) -> Recent {
        let config = TailConfig {
            recent_records: max_records,
            ..TailConfig::default()
        };
        Recent::new(PartitionId(0), Offset(10), &config)
    }

    fn batch(offsets: impl IntoIterator<Item = u64>, next: u64) -> Batch {
        let records = offsets.into_iter().map(|offset| StoredRecord {
            offset: Offset(offset),
            appended_at: telesift_schemas::Timestamp::UNIX_EPOCH,
            key: bytes::Bytes::from_static(b"1"),
            value: bytes::Bytes::from_static(b"{}"),
        });
        Batch {
            records: records.collect(),
            gaps: Vec::new(),
            next: Offset(next),
            end: Offset(next),
        }
    }

    fn offsets(recent: &Recent, from: u64) -> Option<Vec<u64>> {
        match recent.window(Offset(from), 100) {
            Window::Records(records) => Some(records.iter().map(|r| r.stored.offset.0).collect()),
            Window::AtEnd => Some(Vec::new()),
            Window::Behind => None,
        }
    }

    #[test]
    fn serves_the_newest_records_only() {
        let recent = recent(3);
        recent.push(batch(10..15, 15));
        assert_eq!(offsets(&recent, 12), Some(vec![12, 13, 14]));
        assert_eq!(offsets(&recent, 14), Some(vec![14]));
        assert_eq!(offsets(&recent, 15), Some(vec![]));
        assert_eq!(offsets(&recent, 11), None, "the log has it");
    }

    #[test]
    fn a_hole_sends_clients_to_the_log() {
        let recent = recent(100);
        recent.push(batch([10, 11, 14, 15], 16));
        assert_eq!(offsets(&recent, 12), None);
        assert_eq!(offsets(&recent, 14), Some(vec![14, 15]));
        recent.push(batch([], 20));
        assert_eq!(offsets(&recent, 16), None);
        assert_eq!(offsets(&recent, 20), Some(vec![]));
    }
}
