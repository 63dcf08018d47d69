//! A log that keeps everything in memory: the same promises as on disk, but for durability.

mod faults;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use telesift_schemas::{Epoch, Generation, Offset, PartitionId, Timestamp, Topic, TopicPartition};
use tokio::sync::watch;

use crate::{
    Clock, RecordLog, SystemClock,
    memory::Script,
    record_log::{
        Batch, Bounds, Durability, Error, NewRecord, Outcome, PartitionBounds, ReadLimits, Result,
        Retention, StateWrite, StoredRecord, TopicConfig, TopicInfo, Transaction, UniqueKey,
    },
};

pub use faults::Fault;
use faults::Faults;

/// The largest record a [`MemoryLog`] takes, in bytes of key and value; that of the embedded log.
pub const MAX_RECORD_BYTES: usize = 16 << 20;

/// A [`RecordLog`] in memory.
pub struct MemoryLog {
    epoch: Epoch,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
    /// Faults of coming commits.
    pub commits: Script<Error>,
    /// Counts commits, so that followers wake.
    n_commits: watch::Sender<u64>,
    /// Present in a log without transactions.
    faults: Option<Mutex<Faults>>,
}

#[derive(Default)]
struct Inner {
    topics: BTreeMap<Topic, TopicLog>,
    unique: HashSet<UniqueKey>,
    state: BTreeMap<String, Bytes>,
}

struct TopicLog {
    retention: Retention,
    partitions: Vec<PartitionLog>,
}

#[derive(Default)]
struct PartitionLog {
    start: u64,
    records: Vec<StoredRecord>,
    /// When the last record was appended, evicted or not: the next one is no earlier.
    last_appended: Option<Timestamp>,
}

impl MemoryLog {
    /// An empty log on the machine's clock.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty log on `clock`.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        // Two logs of one process differ; nothing outlives the process, so a counter is random enough.
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let n = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        MemoryLog {
            epoch: Epoch::new(format!("m{n}")).expect("digits and a lower-case letter"),
            clock,
            inner: Mutex::default(),
            commits: Script::default(),
            n_commits: watch::Sender::new(0),
            faults: None,
        }
    }

    /// Evicts what the retention of each topic allows; returns how many records went.
    pub fn run_retention(&self) -> u64 {
        let now = self.clock.now();
        let mut inner = self.lock();
        let mut n_evicted = 0;
        for topic in inner.topics.values_mut() {
            for partition in &mut topic.partitions {
                n_evicted += partition.evict(&topic.retention, now);
            }
        }
        n_evicted
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic inside `finish` leaves nothing half-written: it runs before anything changes.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new()
    }
}

impl PartitionLog {
    fn bounds(&self) -> Bounds {
        Bounds {
            start: Offset(self.start),
            end: Offset(self.start + self.records.len() as u64),
        }
    }

    fn evict(&mut self, retention: &Retention, now: Timestamp) -> u64 {
        let mut n = 0;
        if let Some(max_age_s) = retention.max_age_s {
            let max_age_ms = i64::try_from(max_age_s.saturating_mul(1_000)).unwrap_or(i64::MAX);
            let oldest_ms = now.as_millisecond().saturating_sub(max_age_ms);
            n = self
                .records
                .partition_point(|r| r.appended_at.as_millisecond() < oldest_ms);
        }
        if let Some(max_bytes) = retention.max_bytes {
            let mut kept: u64 = 0;
            let n_kept = self
                .records
                .iter()
                .rev()
                .take_while(|r| {
                    kept += r.value.len() as u64;
                    kept <= max_bytes
                })
                .count();
            n = n.max(self.records.len() - n_kept);
        }
        self.records.drain(..n);
        self.start += n as u64;
        n as u64
    }

    fn read(&self, at: &TopicPartition, from: Offset, limits: ReadLimits) -> Result<Batch> {
        let Bounds { start, end } = check_readable(at, from, self.bounds())?;
        let mut records = Vec::new();
        let mut n_bytes = 0;
        for record in &self.records[(from.0 - start.0) as usize..] {
            n_bytes += record.key.len() + record.value.len();
            let full = records.len() >= limits.max_records || n_bytes > limits.max_bytes;
            if full && !records.is_empty() {
                break;
            }
            records.push(record.clone());
        }
        Ok(Batch {
            next: Offset(from.0 + records.len() as u64),
            records,
            gaps: Vec::new(),
            end,
        })
    }
}

fn check_readable(at: &TopicPartition, from: Offset, bounds: Bounds) -> Result<Bounds> {
    if from < bounds.start {
        return Err(Error::Evicted {
            at: at.clone(),
            from,
            first: bounds.start,
        });
    }
    if from > bounds.end {
        return Err(Error::BeyondEnd {
            at: at.clone(),
            from,
            end: bounds.end,
        });
    }
    Ok(bounds)
}

impl Inner {
    fn topic(&self, topic: &Topic) -> Result<&TopicLog> {
        self.topics
            .get(topic)
            .ok_or_else(|| Error::TopicNotFound(topic.clone()))
    }

    fn partition(&self, at: &TopicPartition) -> Result<&PartitionLog> {
        self.topic(&at.topic)?
            .partitions
            .get(at.partition.0 as usize)
            .ok_or_else(|| Error::PartitionNotFound(at.clone()))
    }

    fn check_guards(&self, guards: &[StateWrite]) -> Result<()> {
        for (key, expected) in guards {
            if self.state.get(key) != expected.as_ref() {
                return Err(Error::GuardFailed { key: key.clone() });
            }
        }
        Ok(())
    }

    /// Decides what becomes of each append, changing nothing.
    fn stage(
        &self,
        appends: &[(TopicPartition, NewRecord)],
        now: Timestamp,
    ) -> Result<Vec<Outcome>> {
        let mut tails: HashMap<&TopicPartition, (Offset, Timestamp)> = HashMap::new();
        let mut seen = HashSet::new();
        let mut outcomes = Vec::with_capacity(appends.len());
        for (at, record) in appends {
            let partition = self.partition(at)?;
            let is_duplicate = record
                .unique
                .iter()
                .any(|key| self.unique.contains(key) || seen.contains(key));
            if is_duplicate {
                outcomes.push(Outcome::Duplicate);
                continue;
            }
            seen.extend(record.unique.iter().copied());
            let (offset, last) = tails.entry(at).or_insert_with(|| {
                let last = partition.last_appended.unwrap_or(Timestamp::MIN);
                (partition.bounds().end, last)
            });
            let appended_at = now.max(*last);
            outcomes.push(Outcome::Appended {
                offset: *offset,
                appended_at,
            });
            (*offset, *last) = (offset.next(), appended_at);
        }
        Ok(outcomes)
    }

    fn apply(&mut self, appends: Vec<(TopicPartition, NewRecord)>, outcomes: &[Outcome]) {
        for ((at, record), outcome) in appends.into_iter().zip(outcomes) {
            let &Outcome::Appended {
                offset,
                appended_at,
            } = outcome
            else {
                continue;
            };
            self.unique.extend(record.unique);
            let partitions = self.topics.get_mut(&at.topic).map(|t| &mut t.partitions);
            if let Some(p) = partitions.and_then(|p| p.get_mut(at.partition.0 as usize)) {
                p.last_appended = Some(appended_at);
                p.records.push(StoredRecord {
                    offset,
                    appended_at,
                    key: record.key,
                    value: record.value,
                });
            }
        }
    }

    fn write_state(&mut self, writes: Vec<StateWrite>) {
        for (key, value) in writes {
            match value {
                Some(value) => self.state.insert(key, value),
                None => self.state.remove(&key),
            };
        }
    }
}

fn numbered(partitions: &[PartitionLog]) -> Vec<PartitionBounds> {
    partitions
        .iter()
        .zip(0..)
        .map(|(p, n)| PartitionBounds {
            partition: PartitionId(n),
            bounds: p.bounds(),
        })
        .collect()
}

#[async_trait]
impl RecordLog for MemoryLog {
    fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    fn durability(&self) -> Durability {
        Durability::Process
    }

    async fn create_topic(&self, topic: &Topic, config: TopicConfig) -> Result<()> {
        let mut inner = self.lock();
        let wanted = config.partitions.max(1);
        let log = inner
            .topics
            .entry(topic.clone())
            .or_insert_with(|| TopicLog {
                retention: Retention::default(),
                partitions: (0..wanted).map(|_| PartitionLog::default()).collect(),
            });
        let actual = log.partitions.len() as u32;
        if actual != wanted {
            return Err(Error::PartitionCount {
                topic: topic.clone(),
                actual,
                wanted,
            });
        }
        log.retention = config.retention;
        Ok(())
    }

    async fn delete_topic(&self, topic: &Topic) -> Result<()> {
        self.lock().topics.remove(topic);
        // Whoever waits for it is to look again.
        self.n_commits.send_modify(|n| *n += 1);
        Ok(())
    }

    async fn forget_generation(&self, generation: Generation) -> Result<()> {
        let prefix = UniqueKey::prefix(generation);
        self.lock().unique.retain(|key| !key.0.starts_with(&prefix));
        Ok(())
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        let inner = self.lock();
        let infos = inner.topics.iter().map(|(topic, log)| TopicInfo {
            topic: topic.clone(),
            partitions: numbered(&log.partitions),
            retention: log.retention.clone(),
        });
        Ok(infos.collect())
    }

    async fn partitions(&self, topic: &Topic) -> Result<Vec<PartitionBounds>> {
        Ok(numbered(&self.lock().topic(topic)?.partitions))
    }

    async fn bounds(&self, at: &TopicPartition) -> Result<Bounds> {
        Ok(self.lock().partition(at)?.bounds())
    }

    async fn commit(&self, transaction: Transaction) -> Result<Vec<Outcome>> {
        let Transaction {
            appends,
            guards,
            fence: _,
            finish,
        } = transaction;
        for (_, record) in &appends {
            let n_bytes = record.key.len() + record.value.len();
            if n_bytes > MAX_RECORD_BYTES {
                return Err(Error::TooLarge {
                    n_bytes,
                    limit: MAX_RECORD_BYTES,
                });
            }
        }
        let commit = || {
            let mut inner = self.lock();
            inner.check_guards(&guards)?;
            let outcomes = inner.stage(&appends, self.clock.now())?;
            let writes = finish(&outcomes);
            if let Some(fault) = self.next_fault() {
                return self.fail(fault, inner, appends, writes);
            }
            inner.apply(appends, &outcomes);
            inner.write_state(writes);
            drop(inner);
            self.n_commits.send_modify(|n| *n += 1);
            Ok(outcomes)
        };
        self.commits.play(commit).await
    }

    fn is_transactional(&self) -> bool {
        self.faults.is_none()
    }

    async fn read(&self, at: &TopicPartition, from: Offset, limits: ReadLimits) -> Result<Batch> {
        self.lock().partition(at)?.read(at, from, limits)
    }

    async fn offset_at(&self, at: &TopicPartition, time: Timestamp) -> Result<Offset> {
        let inner = self.lock();
        let partition = inner.partition(at)?;
        let n_before = partition.records.partition_point(|r| r.appended_at < time);
        Ok(Offset(partition.start + n_before as u64))
    }

    async fn wait_beyond(&self, at: &TopicPartition, offset: Offset) -> Result<Offset> {
        let mut commits = self.n_commits.subscribe();
        loop {
            let bounds = self.bounds(at).await?;
            if bounds.end > offset {
                return Ok(bounds.end);
            }
            if bounds.end < offset {
                return Err(Error::BeyondEnd {
                    at: at.clone(),
                    from: offset,
                    end: bounds.end,
                });
            }
            commits.changed().await.map_err(|_| Error::Closed)?;
        }
    }

    async fn state(&self, key: &str) -> Result<Option<Bytes>> {
        Ok(self.lock().state.get(key).cloned())
    }

    async fn state_with_prefix(&self, prefix: &str) -> Result<Vec<(String, Bytes)>> {
        let inner = self.lock();
        let from = inner.state.range(prefix.to_owned()..);
        let found = from.take_while(|(key, _)| key.starts_with(prefix));
        Ok(found.map(|(k, v)| (k.clone(), v.clone())).collect())
    }
}
