//! `messages` as readers see it on a log without transactions: each raw record once, and no markers.
//!
//! The owner of a partition writes its records in the order of the raw ones. A frozen owner that wakes may still append a
//! batch of long ago, and an append whose answer was lost may be repeated: such a record's origin is not above those
//! before it, and is dropped here, in one place for every reader.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;
use telesift_ports::{
    RecordLog,
    record_log::{
        Batch, Bounds, Durability, Error, Outcome, PartitionBounds, ReadLimits, Result,
        StoredRecord, TopicConfig, TopicInfo, Transaction,
    },
};
use telesift_schemas::{
    Epoch, Generation, Marker, Offset, Origin, Timestamp, Topic, TopicPartition,
};

/// How far a reader that starts in the middle looks back for the origins before, in records. An owner that lost its
/// partition leaves one late batch at most, and a batch must be shorter than half of this.
pub const LOOK_BACK: u64 = 4_096;

/// Positions per partition at which the greatest origin before is remembered.
const MAX_KNOWN: usize = 256;

/// A log whose `messages` (and its generations) hold each origin once.
pub struct OriginLog {
    inner: Arc<dyn RecordLog>,
    known: Mutex<HashMap<TopicPartition, Known>>,
}

/// The greatest origin before some positions of a partition, the latest learnt last.
#[derive(Default)]
struct Known {
    positions: VecDeque<(Offset, Option<Offset>)>,
}

impl OriginLog {
    /// `log` itself where it is transactional, else what readers may see of it.
    pub fn over(log: Arc<dyn RecordLog>) -> Arc<dyn RecordLog> {
        match log.is_transactional() {
            true => log,
            false => Arc::new(OriginLog {
                inner: log,
                known: Mutex::default(),
            }),
        }
    }

    fn known(&self, at: &TopicPartition, position: Offset) -> Option<Option<Offset>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let positions = &known.get(at)?.positions;
        let found = positions.iter().rev().find(|(p, _)| *p == position)?;
        Some(found.1)
    }

    fn learn(&self, at: &TopicPartition, position: Offset, last: Option<Offset>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let positions = &mut known.entry(at.clone()).or_default().positions;
        positions.retain(|(p, _)| *p != position);
        positions.push_back((position, last));
        if positions.len() > MAX_KNOWN {
            positions.pop_front();
        }
    }

    /// The greatest origin of the records before `position`.
    async fn last_before(&self, at: &TopicPartition, position: Offset) -> Result<Option<Offset>> {
        if let Some(last) = self.known(at, position) {
            return Ok(last);
        }
        let start = self.inner.bounds(at).await?.start;
        let mut next = start.max(Offset(position.0.saturating_sub(LOOK_BACK)));
        let mut last = None;
        while next < position {
            let left = usize::try_from(position.0 - next.0).unwrap_or(usize::MAX);
            let limits = ReadLimits {
                max_records: left.min(ReadLimits::default().max_records),
                ..ReadLimits::default()
            };
            let batch = match self.inner.read(at, next, limits).await {
                Err(Error::Evicted { first, .. }) if first > next => {
                    next = first;
                    continue;
                }
                read => read?,
            };
            let origins = batch.records.iter().filter(|r| r.offset < position);
            let origins = origins.filter(|r| !is_retry(r));
            last = last.max(origins.filter_map(origin_of).max());
            if batch.next == next {
                break;
            }
            next = batch.next;
        }
        self.learn(at, position, last);
        Ok(last)
    }

    async fn read_messages(
        &self,
        at: &TopicPartition,
        from: Offset,
        limits: ReadLimits,
    ) -> Result<Batch> {
        let mut whole = self.inner.read(at, from, limits).await?;
        let mut last = self.last_before(at, from).await?;
        retain_new(&mut whole.records, &mut last);
        self.learn(at, whole.next, last);
        // Whoever reads expects a record where there is one.
        while whole.records.is_empty() && whole.next < whole.end {
            let batch = self.inner.read(at, whole.next, limits).await?;
            if batch.next == whole.next {
                break;
            }
            whole.records = batch.records;
            whole.gaps.extend(batch.gaps);
            (whole.next, whole.end) = (batch.next, batch.end);
            retain_new(&mut whole.records, &mut last);
            self.learn(at, whole.next, last);
        }
        Ok(whole)
    }
}

/// Keeps the messages whose origin is above the last, and moves that on.
fn retain_new(records: &mut Vec<StoredRecord>, last: &mut Option<Offset>) {
    records.retain(|record| {
        let Some(origin) = origin_of(record) else {
            return true; // no record of ours: for the reader to judge
        };
        if is_retry(record) {
            return true; // a dead letter tried again comes late, and by leave of the log's state
        }
        let is_new = last.is_none_or(|last| origin > last);
        *last = (*last).max(Some(origin));
        is_new && !is_marker(&record.value)
    });
}

/// Whether a topic holds screened messages.
fn holds_messages(topic: &Topic) -> bool {
    Generation::of_name(Topic::MESSAGES.as_str(), topic.as_str()).is_some()
}

/// The offset of the raw record that a record of `messages` came from.
pub(crate) fn origin_of(record: &StoredRecord) -> Option<Offset> {
    const FIELD: &[u8] = b",\"origin\":";
    #[derive(Deserialize)]
    struct Whole {
        origin: Option<Origin>,
    }
    // It is the last field: nothing of the rest need be parsed.
    let value = record.value.strip_suffix(b"}")?;
    let tail = value.len().saturating_sub(256);
    let field = value[tail..].windows(FIELD.len()).rposition(|w| w == FIELD);
    let last =
        field.and_then(|i| serde_json::from_slice::<Origin>(&value[tail + i + FIELD.len()..]).ok());
    let origin = last.or_else(|| serde_json::from_slice::<Whole>(&record.value).ok()?.origin)?;
    Some(origin.offset)
}

/// Whether a record came by a retry of a dead letter: such a one is not in the order of origins.
pub(crate) fn is_retry(record: &StoredRecord) -> bool {
    const FIELD: &[u8] = b"},\"retry\":";
    let tail = record.value.len().saturating_sub(32);
    let tail = &record.value[tail..];
    tail.windows(FIELD.len()).any(|w| w == FIELD)
}

/// Whether a value is a marker between messages.
pub(crate) fn is_marker(value: &Bytes) -> bool {
    const MAX_BYTES: usize = 512;
    value.len() <= MAX_BYTES && serde_json::from_slice::<Marker>(value).is_ok()
}

#[async_trait]
impl RecordLog for OriginLog {
    fn epoch(&self) -> &Epoch {
        self.inner.epoch()
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }

    async fn create_topic(&self, topic: &Topic, config: TopicConfig) -> Result<()> {
        self.inner.create_topic(topic, config).await
    }

    async fn delete_topic(&self, topic: &Topic) -> Result<()> {
        self.inner.delete_topic(topic).await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|at, _| at.topic != *topic);
        Ok(())
    }

    async fn forget_generation(&self, generation: Generation) -> Result<()> {
        self.inner.forget_generation(generation).await
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        self.inner.topics().await
    }

    async fn partitions(&self, topic: &Topic) -> Result<Vec<PartitionBounds>> {
        self.inner.partitions(topic).await
    }

    async fn bounds(&self, at: &TopicPartition) -> Result<Bounds> {
        self.inner.bounds(at).await
    }

    async fn commit(&self, transaction: Transaction) -> Result<Vec<Outcome>> {
        self.inner.commit(transaction).await
    }

    fn is_transactional(&self) -> bool {
        self.inner.is_transactional()
    }

    async fn read(&self, at: &TopicPartition, from: Offset, limits: ReadLimits) -> Result<Batch> {
        match holds_messages(&at.topic) {
            true => self.read_messages(at, from, limits).await,
            false => self.inner.read(at, from, limits).await,
        }
    }

    async fn offset_at(&self, at: &TopicPartition, time: Timestamp) -> Result<Offset> {
        self.inner.offset_at(at, time).await
    }

    async fn wait_beyond(&self, at: &TopicPartition, offset: Offset) -> Result<Offset> {
        self.inner.wait_beyond(at, offset).await
    }

    async fn state(&self, key: &str) -> Result<Option<Bytes>> {
        self.inner.state(key).await
    }

    async fn state_with_prefix(&self, prefix: &str) -> Result<Vec<(String, Bytes)>> {
        self.inner.state_with_prefix(prefix).await
    }
}
