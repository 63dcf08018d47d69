//! The one writer: a bounded queue goes in, synced groups and answers come out.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use fjall::PersistMode;
use telesift_ports::{
    Clock,
    record_log::{Error, Outcome, Result, TopicConfig, Transaction},
};
use telesift_schemas::{Generation, Offset, Topic};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::{
    EmbeddedLogConfig,
    codec::{Slot, Tail, TopicMeta, meta_key},
    deletion,
    error::{from_io, no_space, unavailable},
    group::{Group, write_synced},
    store::{Partition, Store, TopicEntry},
    telemetry,
};

/// Why nothing is written any more.
pub(crate) const FAILED: &str =
    "an earlier write failed; the log takes appends again once it was closed and opened";

/// Something for the writer to do.
pub(crate) enum Job {
    Commit(Commit),
    CreateTopic {
        topic: Topic,
        config: TopicConfig,
        reply: oneshot::Sender<Result<()>>,
    },
    DeleteTopic {
        topic: Topic,
        reply: oneshot::Sender<Result<()>>,
    },
    /// Forgets some identities of a generation; answers whether there may be more.
    Forget {
        generation: Generation,
        reply: oneshot::Sender<Result<bool>>,
    },
    /// Moves the start of a partition.
    Evict {
        partition: Arc<Partition>,
        start: Offset,
        reply: oneshot::Sender<Result<()>>,
    },
    /// Takes nothing more; what is queued is done.
    Stop,
}

/// A transaction and who waits for it.
pub(crate) struct Commit {
    pub(crate) transaction: Transaction,
    pub(crate) n_bytes: usize,
    pub(crate) reply: oneshot::Sender<Result<Vec<Outcome>>>,
    /// Its share of the queue's bytes, given back when it is answered.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// Runs on a thread of its own until it is told to stop and the queue is empty.
pub(crate) struct Writer {
    store: Arc<Store>,
    jobs: mpsc::Receiver<Job>,
    clock: Arc<dyn Clock>,
    max_group_records: usize,
    max_group_bytes: usize,
    free_space: FreeSpace,
}

impl Writer {
    pub(crate) fn new(
        store: Arc<Store>,
        jobs: mpsc::Receiver<Job>,
        config: &EmbeddedLogConfig,
    ) -> Self {
        Writer {
            store,
            jobs,
            clock: config.clock.clone(),
            max_group_records: config.max_group_records,
            max_group_bytes: config.max_group_bytes,
            free_space: FreeSpace::new(config.min_free_bytes),
        }
    }

    pub(crate) fn run(mut self) {
        let mut held = None;
        while let Some(job) = held.take().or_else(|| self.jobs.blocking_recv()) {
            match job {
                Job::Commit(first) => {
                    let (group, next) = self.collect(first);
                    held = next;
                    self.commit(group);
                }
                Job::CreateTopic {
                    topic,
                    config,
                    reply,
                } => {
                    let _gone_if_err = reply.send(self.create_topic(topic, config));
                }
                Job::DeleteTopic { topic, reply } => {
                    let _gone_if_err = reply.send(deletion::delete_topic(&self.store, &topic));
                }
                Job::Forget { generation, reply } => {
                    let _gone_if_err = reply.send(deletion::forget(&self.store, generation));
                }
                Job::Evict {
                    partition,
                    start,
                    reply,
                } => {
                    let _gone_if_err = reply.send(self.evict(&partition, start));
                }
                Job::Stop => self.jobs.close(),
            }
        }
    }

    /// Whatever is queued already, up to the limits of a group. Waiting for more would only add latency: while one group
    /// is synced, the next one gathers.
    fn collect(&mut self, first: Commit) -> (Vec<Commit>, Option<Job>) {
        let mut n_bytes = first.n_bytes;
        let mut n_records = first.transaction.appends.len();
        let mut group = vec![first];
        while let Ok(job) = self.jobs.try_recv() {
            let Job::Commit(commit) = job else {
                return (group, Some(job));
            };
            n_bytes += commit.n_bytes;
            n_records += commit.transaction.appends.len();
            if n_bytes > self.max_group_bytes || n_records > self.max_group_records {
                return (group, Some(Job::Commit(commit)));
            }
            group.push(commit);
        }
        (group, None)
    }

    fn commit(&mut self, commits: Vec<Commit>) {
        let n_bytes = commits.iter().map(|c| c.n_bytes).sum::<usize>();
        let ready = self.check_ready(n_bytes as u64);
        let now_ms = self.clock.now().as_millisecond();
        let mut group = Group::new(&self.store);
        let mut answers = Vec::with_capacity(commits.len());
        for commit in commits {
            let result = match &ready {
                Ok(()) => group.stage(commit.transaction, now_ms),
                Err(refusal) => Err(refusal.to_error(&self.store)),
            };
            answers.push((commit.reply, commit.permit, result));
        }
        let failure = group.commit().err();
        for (reply, permit, result) in answers {
            let result = match (&failure, result) {
                (Some(failure), Ok(_)) => Err(copy_of(failure)),
                (_, result) => result,
            };
            // Who went away does not want the answer; the append stands.
            let _gone_if_err = reply.send(result);
            drop(permit);
        }
    }

    fn check_ready(&mut self, n_bytes: u64) -> std::result::Result<(), Refusal> {
        if self.store.has_failed() {
            return Err(Refusal::Failed);
        }
        match self.free_space.allows(&self.store, n_bytes) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::NoSpace),
            Err(_) => Err(Refusal::Failed),
        }
    }

    fn create_topic(&self, topic: Topic, config: TopicConfig) -> Result<()> {
        let wanted = config.partitions.max(1);
        let (id, known) = match self.store.topic(&topic) {
            Ok(entry) => (entry.meta.id, Some(entry)),
            Err(_) => (deletion::next_topic_id(&self.store)?, None),
        };
        let partitions = match known {
            Some(entry) if entry.meta.partitions != wanted => {
                return Err(Error::PartitionCount {
                    topic,
                    actual: entry.meta.partitions,
                    wanted,
                });
            }
            Some(entry) if entry.meta.retention == config.retention => return Ok(()),
            Some(entry) => entry.partitions.clone(),
            None => (0..wanted)
                .map(|n| Ok(Arc::new(self.store.open_partition(Slot::new(id, n))?)))
                .collect::<Result<Vec<_>>>()?,
        };
        if self.store.has_failed() {
            return Err(unavailable(FAILED));
        }
        let meta = TopicMeta {
            id,
            partitions: wanted,
            retention: config.retention,
        };
        let json = serde_json::to_vec(&meta).map_err(unavailable)?;
        let mut batch = self.store.db.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(&self.store.meta, meta_key::topic(&topic), json);
        write_synced(&self.store, batch)?;
        self.store.put_topic(topic, TopicEntry { meta, partitions });
        Ok(())
    }

    fn evict(&self, partition: &Partition, start: Offset) -> Result<()> {
        if self.store.has_failed() {
            return Err(unavailable(FAILED));
        }
        let tail = partition.tail();
        let moved = Tail {
            start: start.max(tail.start).min(tail.end),
            ..tail
        };
        let mut batch = self.store.db.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(
            &self.store.meta,
            meta_key::tail(partition.slot),
            moved.encode(),
        );
        write_synced(&self.store, batch)?;
        partition.tail.send_replace(moved);
        telemetry::records_evicted(moved.start.0 - tail.start.0);
        Ok(())
    }
}

/// Why a group is not even tried.
enum Refusal {
    Failed,
    NoSpace,
}

impl Refusal {
    fn to_error(&self, store: &Store) -> Error {
        match self {
            Refusal::Failed => unavailable(FAILED),
            Refusal::NoSpace => no_space(&store.path),
        }
    }
}

/// A group fails as one; each of its transactions is told.
fn copy_of(error: &Error) -> Error {
    Error::Unavailable {
        reason: match error {
            Error::Unavailable { reason, .. } => reason.clone(),
            other => other.to_string(),
        },
        ambiguous: error.is_ambiguous(),
    }
}

/// Bytes that may still be written to the disk `path` lies on.
///
/// # Errors
/// If `path` is not there.
pub fn free_bytes(path: &Path) -> std::io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Keeps away from the end of the disk: once fjall fails to write, nothing but opening it again helps.
struct FreeSpace {
    min_free_bytes: u64,
    checked_at: Option<Instant>,
    /// Bytes that may be written before looking again.
    allowance: u64,
}

impl FreeSpace {
    const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(500);
    const LOOK_AGAIN_AT_BYTES: u64 = 32 << 20;

    fn new(min_free_bytes: u64) -> Self {
        FreeSpace {
            min_free_bytes,
            checked_at: None,
            allowance: 0,
        }
    }

    fn allows(&mut self, store: &Store, n_bytes: u64) -> Result<bool> {
        let is_fresh = self
            .checked_at
            .is_some_and(|at| at.elapsed() < Self::LOOK_AGAIN_AFTER);
        if !is_fresh || self.allowance < n_bytes {
            let free = free_bytes(&store.path).map_err(|e| from_io(&store.path, &e))?;
            telemetry::free_space(free);
            self.checked_at = Some(Instant::now());
            let spare = free.saturating_sub(self.min_free_bytes);
            self.allowance = spare.min(Self::LOOK_AGAIN_AT_BYTES.max(n_bytes));
        }
        if self.allowance < n_bytes || self.allowance == 0 {
            return Ok(false);
        }
        self.allowance -= n_bytes;
        Ok(true)
    }
}
