//! The log: append-only topics of records with true offsets, and the small state that commits with them.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use telesift_schemas::{Epoch, Generation, Offset, PartitionId, Timestamp, Topic, TopicPartition};

use crate::leases::Fence;

/// A replayable log.
///
/// No reader ever sees an offset at or above the durable high watermark ([`Bounds::end`]): what is read was promised.
/// Offsets of a partition ascend by one, from 0, without reuse; `appended_at` never descends within a partition.
#[async_trait]
pub trait RecordLog: Send + Sync + 'static {
    /// The identity of this history; cursors of another are refused by whoever holds them.
    fn epoch(&self) -> &Epoch;

    /// What an acknowledgement of [`RecordLog::commit`] means.
    fn durability(&self) -> Durability;

    /// Creates a topic. Doing so again with the same partition count changes its retention only.
    ///
    /// # Errors
    /// [`Error::PartitionCount`] if the topic exists with another partition count.
    async fn create_topic(&self, topic: &Topic, config: TopicConfig) -> Result<()>;

    /// Deletes a topic with its records. One that is not there is deleted already. Readers of it get
    /// [`Error::TopicNotFound`] or [`Error::Closed`]; a topic created under the same name later is another one.
    async fn delete_topic(&self, topic: &Topic) -> Result<()>;

    /// Forgets the identities of [`UniqueKey::of_generation`], once its topics are gone. A log that keeps none has nothing
    /// to do.
    async fn forget_generation(&self, generation: Generation) -> Result<()>;

    /// Every topic, by name.
    async fn topics(&self) -> Result<Vec<TopicInfo>>;

    /// The partitions of one topic, ascending.
    async fn partitions(&self, topic: &Topic) -> Result<Vec<PartitionBounds>>;

    /// The readable range of one partition.
    async fn bounds(&self, at: &TopicPartition) -> Result<Bounds>;

    /// Appends and changes state, as one atomic batch where [`RecordLog::is_transactional`]; returns once durable.
    ///
    /// One outcome per append, in order. A record one of whose [`NewRecord::unique`] keys was seen before (in the log or
    /// earlier in this batch) is refused as [`Outcome::Duplicate`]; the rest goes on. State keys are guarded: see
    /// [`Transaction::guards`].
    ///
    /// # Errors
    /// Nothing was written, unless [`Error::is_ambiguous`].
    async fn commit(&self, transaction: Transaction) -> Result<Vec<Outcome>>;

    /// Whether [`RecordLog::commit`] is one atomic batch. Where it is not, appends come first and state last.
    fn is_transactional(&self) -> bool;

    /// Reads from `from`, at most up to `limits`, never waiting. An empty batch means `from` is the end.
    ///
    /// # Errors
    /// [`Error::Evicted`] if `from` lies before the start, [`Error::BeyondEnd`] if it lies beyond the end.
    async fn read(&self, at: &TopicPartition, from: Offset, limits: ReadLimits) -> Result<Batch>;

    /// The first offset whose record was appended at `time` or later; the end if there is none.
    async fn offset_at(&self, at: &TopicPartition, time: Timestamp) -> Result<Offset>;

    /// Waits until the end lies beyond `offset`, then returns the end. Cancel-safe.
    async fn wait_beyond(&self, at: &TopicPartition, offset: Offset) -> Result<Offset>;

    /// A piece of state, as the last committed transaction left it.
    async fn state(&self, key: &str) -> Result<Option<Bytes>>;

    /// All state whose key starts with `prefix`, by key.
    async fn state_with_prefix(&self, prefix: &str) -> Result<Vec<(String, Bytes)>>;
}

/// Result of a log call.
pub type Result<T> = std::result::Result<T, Error>;

/// What an acknowledgement means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// Gone with the process (the memory log).
    Process,
    /// Synced to disk before the acknowledgement.
    Fsynced,
    /// In the page cache of the leader and of in-sync replicas.
    Replicated,
}

/// How a topic is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// Number of partitions, at least 1; fixed for the life of the topic.
    pub partitions: u32,
    /// What may be evicted.
    pub retention: Retention,
}

/// What of a topic may be evicted, oldest first; both limits absent = nothing, ever.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Records appended longer ago may go, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_s: Option<u64>,
    /// The oldest records of a partition may go while its values exceed this, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
}

/// A topic as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub topic: Topic,
    /// Its partitions, ascending.
    pub partitions: Vec<PartitionBounds>,
    /// Its retention.
    pub retention: Retention,
}

/// The readable range of a partition: `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset still kept.
    pub start: Offset,
    /// The durable high watermark: the offset the next record will get.
    pub end: Offset,
}

/// [`Bounds`] with the partition they belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionBounds {
    /// The partition.
    pub partition: PartitionId,
    /// Its readable range.
    pub bounds: Bounds,
}

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// The key, nearly always a chat id.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
    /// Identities of this record; if one of them was seen before, the record is a duplicate.
    pub unique: Vec<UniqueKey>,
}

/// The hash of an identity, such as (bot, update id). 128 bits: a chance collision among 10⁹ keys has probability under
/// 10⁻²⁰.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UniqueKey(pub [u8; 16]);

impl UniqueKey {
    /// The identity `parts` within `space`, such as `update` or `message`. Parts are length-prefixed, so that
    /// (`a`, `bc`) and (`ab`, `c`) differ. XXH3-128.
    pub fn new(space: &str, parts: &[&str]) -> Self {
        let mut bytes = Vec::with_capacity(64);
        for part in std::iter::once(&space).chain(parts) {
            bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        UniqueKey(xxhash_rust::xxh3::xxh3_128(&bytes).to_be_bytes())
    }

    /// The same within a generation: identities of one are none of another. Those of all but the first share
    /// [`UniqueKey::prefix`], so that they can be forgotten together; 80 bits tell them apart (a chance collision among 10⁹
    /// keys of a generation has probability under 10⁻⁶).
    pub fn of_generation(generation: Generation, space: &str, parts: &[&str]) -> Self {
        let mut key = UniqueKey::new(space, parts);
        if generation != Generation::FIRST {
            let prefix = Self::prefix(generation);
            key.0[..prefix.len()].copy_from_slice(&prefix);
        }
        key
    }

    /// What keys of `generation` begin with. Keys that are hashes throughout begin like that by chance only, one in 2⁴⁸.
    pub fn prefix(generation: Generation) -> [u8; 6] {
        let [a, b, c, d] = generation.0.to_be_bytes();
        [b'g', b'n', a, b, c, d]
    }
}

/// A write to the small state kept with the log, such as a stage's position. `None` removes the key.
pub type StateWrite = (String, Option<Bytes>);

/// What becomes of a transaction's state, once it is known which appends were new.
pub type Finish = Box<dyn FnOnce(&[Outcome]) -> Vec<StateWrite> + Send>;

/// Appends and state changes that belong together.
pub struct Transaction {
    /// What to append, in order.
    pub appends: Vec<(TopicPartition, NewRecord)>,
    /// State keys that must still hold these values (`None`: must be absent), else [`Error::GuardFailed`]: a stale owner
    /// cannot commit.
    pub guards: Vec<StateWrite>,
    /// The lease under which this is done: where state is kept beside the log, it is refused once the lease is lost.
    pub fence: Fence,
    /// Called once, with the outcome of each append, inside the batch; returns the state to write. Must not block.
    pub finish: Finish,
}

impl Transaction {
    /// Appends without any state.
    pub fn appends(appends: Vec<(TopicPartition, NewRecord)>) -> Self {
        Transaction {
            appends,
            guards: Vec::new(),
            fence: Fence::open(),
            finish: Box::new(|_| Vec::new()),
        }
    }

    /// Bytes of keys and values to append.
    pub fn n_bytes(&self) -> usize {
        self.appends
            .iter()
            .map(|(_, r)| r.key.len() + r.value.len())
            .sum()
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("n_appends", &self.appends.len())
            .finish_non_exhaustive()
    }
}

/// What became of one append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Stored at this offset.
    Appended {
        /// Its true offset.
        offset: Offset,
        /// When.
        appended_at: Timestamp,
    },
    /// Refused: seen before.
    Duplicate,
}

/// How much a read may return. At least one record is returned where there is one, whatever its size.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimits {
    /// Records.
    pub max_records: usize,
    /// Bytes of keys and values.
    pub max_bytes: usize,
}

impl Default for ReadLimits {
    /// 1,000 records or 4 MiB.
    fn default() -> Self {
        ReadLimits {
            max_records: 1_000,
            max_bytes: 4 << 20,
        }
    }
}

/// Records read from one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The records, ascending by offset.
    pub records: Vec<StoredRecord>,
    /// Offsets within `from..next` that can no longer be read, ascending: they are no part of `records`.
    pub gaps: Vec<Gap>,
    /// Where to go on.
    pub next: Offset,
    /// The end when this was read.
    pub end: Offset,
}

/// A record as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its true offset.
    pub offset: Offset,
    /// When it was appended.
    pub appended_at: Timestamp,
    /// The key.
    pub key: Bytes,
    /// The value, byte for byte.
    pub value: Bytes,
}

/// A range of offsets (half-open) that cannot be read any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// First missing offset.
    pub from: Offset,
    /// First offset after the gap.
    pub to: Offset,
    /// Why.
    pub reason: GapReason,
}

/// Why offsets are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// Older than the retention allows.
    Evicted,
    /// Erased on request.
    Erased,
    /// Damaged on disk, and quarantined.
    Corrupt,
    /// Another generation took over.
    Switched,
}

/// What can go wrong with a log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such topic.
    #[error("topic `{0}` not found")]
    TopicNotFound(Topic),
    /// The topic has fewer partitions.
    #[error("partition `{0}` not found")]
    PartitionNotFound(TopicPartition),
    /// The topic exists with another count.
    #[error(
        "topic `{topic}` has {actual} partitions, not {wanted}: the count is fixed per generation"
    )]
    PartitionCount {
        /// Which topic.
        topic: Topic,
        /// Partitions it has.
        actual: u32,
        /// Partitions asked for.
        wanted: u32,
    },
    /// The offset was evicted.
    #[error("offset {from} of `{at}` was evicted; the first kept is {first}")]
    Evicted {
        /// Where.
        at: TopicPartition,
        /// Asked for.
        from: Offset,
        /// First offset still kept.
        first: Offset,
    },
    /// The offset does not exist yet: the cursor is of another log.
    #[error("offset {from} of `{at}` lies beyond the end, {end}")]
    BeyondEnd {
        /// Where.
        at: TopicPartition,
        /// Asked for.
        from: Offset,
        /// The end.
        end: Offset,
    },
    /// A guard did not hold: somebody else owns this now.
    #[error("state `{key}` changed meanwhile: another owner committed")]
    GuardFailed {
        /// The state key.
        key: String,
    },
    /// The lease under which this was done expired or went to another worker.
    #[error("the lease `{name}` is lost: another worker may hold it by now")]
    LeaseLost {
        /// Its name.
        name: String,
    },
    /// The record or batch is larger than the log takes.
    #[error("record of {n_bytes} bytes exceeds the limit of {limit}")]
    TooLarge {
        /// Its size.
        n_bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Another process holds the log.
    #[error(
        "the log at `{path}` is in use by another process; stop it first, or choose another data directory"
    )]
    Locked {
        /// Its directory.
        path: String,
    },
    /// The disk is full. Nothing was written; goes on by itself once there is room.
    #[error("no space left for the log at `{path}`")]
    NoSpace {
        /// Its directory.
        path: String,
    },
    /// The log is shutting down.
    #[error("the log is closed")]
    Closed,
    /// The log cannot be reached or its disk fails.
    #[error("log unavailable: {reason}")]
    Unavailable {
        /// What happened, without secrets.
        reason: String,
        /// Whether an append may have been stored all the same.
        ambiguous: bool,
    },
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::NoSpace { .. } | Error::Unavailable { .. })
    }

    /// Whether the call may have taken effect although it failed.
    pub fn is_ambiguous(&self) -> bool {
        matches!(
            self,
            Error::Unavailable {
                ambiguous: true,
                ..
            }
        )
    }
}
