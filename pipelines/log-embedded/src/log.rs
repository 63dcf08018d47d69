//! The log as its users see it: commits go to the writer's queue, reads go to the disk, beside each other.

use std::{
    sync::{Arc, Mutex, PoisonError, mpsc as std_mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use telesift_ports::{
    RecordLog,
    record_log::{
        Batch, Bounds, Durability, Error, Outcome, PartitionBounds, ReadLimits, Result,
        TopicConfig, TopicInfo, Transaction,
    },
};
use telesift_schemas::{Epoch, Generation, Offset, Topic, TopicPartition};
use tokio::sync::{
    Semaphore,
    mpsc::{self, error::TrySendError},
    oneshot,
};

use crate::{
    EmbeddedLogConfig,
    error::{ambiguous, from_io, no_space, unavailable},
    reader, retention,
    store::Store,
    telemetry,
    writer::{Commit, Job, Writer, free_bytes},
};

/// How soon a failure of the log is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A [`RecordLog`] in a directory of the local disk, held by one process.
///
/// An answer to [`RecordLog::commit`] means that records, identities and state were synced. [`EmbeddedLog::close`] drains
/// the queue and releases the directory; dropping does so too, blocking.
pub struct EmbeddedLog {
    epoch: Epoch,
    shared: Arc<Shared>,
    threads: Mutex<Threads>,
}

/// What the log and its threads share.
pub(crate) struct Shared {
    pub(crate) config: EmbeddedLogConfig,
    /// `None` once closed.
    store: Mutex<Option<Arc<Store>>>,
    /// `None` once closing.
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    queue_bytes: Arc<Semaphore>,
}

struct Threads {
    writer: Option<JoinHandle<()>>,
    retention: Option<(std_mpsc::Sender<()>, JoinHandle<()>)>,
    released: Option<oneshot::Receiver<()>>,
}

impl EmbeddedLog {
    /// Opens the log at `config.path`, or makes an empty one there. Blocks: under a second with millions of records.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process (or this one) holds it, [`Error::NoSpace`], [`Error::Unavailable`] if files
    /// cannot be read or acknowledged records are damaged in a way that cannot be told apart from the rest.
    pub fn open(config: EmbeddedLogConfig) -> Result<Self> {
        telemetry::describe();
        let (released_tx, released) = oneshot::channel();
        let store = Arc::new(Store::open(&config, released_tx)?);
        telemetry::log_failed(false);
        let (queue, jobs) = mpsc::channel(config.queue_transactions.max(1));
        let queue_bytes = config.queue_bytes.max(config.max_transaction_bytes);
        let shared = Arc::new(Shared {
            store: Mutex::new(Some(store.clone())),
            queue: Mutex::new(Some(queue)),
            queue_bytes: Arc::new(Semaphore::new(permits(queue_bytes) as usize)),
            config,
        });
        let epoch = store.epoch.clone();
        let writer = Writer::new(store, jobs, &shared.config);
        let writer = spawn("log-writer", move || writer.run())?;
        let (stop, stopped) = std_mpsc::channel();
        let for_retention = shared.clone();
        let retention = spawn("log-retention", move || {
            retention::run_every_interval(&for_retention, &stopped);
        })?;
        Ok(EmbeddedLog {
            epoch,
            shared,
            threads: Mutex::new(Threads {
                writer: Some(writer),
                retention: Some((stop, retention)),
                released: Some(released),
            }),
        })
    }

    /// Gives the log at `config.path` a new identity and closes it again: what was restored from a backup is not the
    /// history that cursors and positions were made for. Blocks.
    ///
    /// # Errors
    /// As [`EmbeddedLog::open`].
    pub fn renew_epoch(config: &EmbeddedLogConfig) -> Result<Epoch> {
        let (released, _) = oneshot::channel();
        Store::open(config, released)?.renew_epoch()
    }

    /// Waits until a write has failed in a way that only opening the log again can mend: until then every append is
    /// refused. Gives what to say about it. Never returns while the log works.
    pub async fn failed(&self) -> Error {
        loop {
            match self.shared.store() {
                Ok(store) if store.has_failed() => {
                    return unavailable(format_args!(
                        "{}: a write failed (is the disk full or broken?); what was acknowledged is safe, and the next start takes appends again",
                        store.path.display()
                    ));
                }
                Ok(store) => drop(store),
                // Closed: nothing fails any more.
                Err(_) => std::future::pending().await,
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Whether an append would find room on the disk; reads need none.
    ///
    /// # Errors
    /// [`Error::NoSpace`] while no more is free than [`EmbeddedLogConfig::min_free_bytes`], [`Error::Unavailable`] if the
    /// directory cannot be looked at.
    pub fn check_room(&self) -> Result<()> {
        let EmbeddedLogConfig {
            path,
            min_free_bytes,
            ..
        } = &self.shared.config;
        let free = free_bytes(path).map_err(|e| from_io(path, &e))?;
        match free > *min_free_bytes {
            true => Ok(()),
            false => Err(no_space(path)),
        }
    }

    /// Evicts what the retention of each topic allows, now; returns how many records went.
    ///
    /// # Errors
    /// [`Error::Unavailable`], [`Error::Closed`].
    pub async fn run_retention(&self) -> Result<u64> {
        let shared = self.shared.clone();
        blocking(move || retention::run(&shared)).await
    }

    /// Answers what is queued, syncs, and releases the directory once the reads under way are done. Later calls answer
    /// [`Error::Closed`]; closing again does nothing.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if something still reads after 10 s.
    pub async fn close(&self) -> Result<()> {
        let mut threads = {
            let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
            Threads {
                writer: threads.writer.take(),
                retention: threads.retention.take(),
                released: threads.released.take(),
            }
        };
        let released = threads.released.take();
        let queue = self.shared.stop_taking();
        blocking(move || {
            threads.join(queue);
            Ok(())
        })
        .await?;
        self.shared.let_go();
        if let Some(released) = released {
            // The sender is never used: that it is gone is the message.
            tokio::time::timeout(Duration::from_secs(10), released)
                .await
                .map(|_gone| ())
                .map_err(|_| unavailable("the log is still being read"))?;
        }
        Ok(())
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<Result<T>>) -> Job) -> Result<T> {
        let queue = self.shared.queue()?;
        let (reply, answer) = oneshot::channel();
        queue.send(job(reply)).await.map_err(|_| Error::Closed)?;
        drop(queue);
        match tokio::time::timeout(self.shared.config.commit_timeout, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(ambiguous("the writer stopped before it answered")),
            Err(_) => Err(ambiguous("the writer did not answer in time")),
        }
    }

    fn check_size(&self, transaction: &Transaction) -> Result<usize> {
        let config = &self.shared.config;
        let too_large = |n_bytes, limit| Err(Error::TooLarge { n_bytes, limit });
        for (_, record) in &transaction.appends {
            let n_bytes = record.key.len() + record.value.len();
            if n_bytes > config.max_record_bytes {
                return too_large(n_bytes, config.max_record_bytes);
            }
        }
        let n_bytes = transaction.n_bytes();
        if n_bytes > config.max_transaction_bytes {
            return too_large(n_bytes, config.max_transaction_bytes);
        }
        Ok(n_bytes)
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        let queue = self.shared.stop_taking();
        let threads = self.threads.get_mut();
        threads.unwrap_or_else(PoisonError::into_inner).join(queue);
        self.shared.let_go();
    }
}

impl Threads {
    /// Waits for the threads to finish what is queued. `queue` is how the writer is told; callers that still hold a handle
    /// of the queue do not keep it running.
    fn join(&mut self, queue: Option<mpsc::Sender<Job>>) {
        if let Some(queue) = queue {
            while let Err(TrySendError::Full(_)) = queue.try_send(Job::Stop) {
                thread::sleep(Duration::from_millis(1));
            }
        }
        if let Some((stop, retention)) = self.retention.take() {
            drop(stop);
            report_panic(retention.join());
        }
        if let Some(writer) = self.writer.take() {
            report_panic(writer.join());
        }
    }
}

impl Shared {
    pub(crate) fn store(&self) -> Result<Arc<Store>> {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        store.clone().ok_or(Error::Closed)
    }

    fn queue(&self) -> Result<mpsc::Sender<Job>> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.clone().ok_or(Error::Closed)
    }

    pub(crate) fn send_blocking(&self, job: Job) -> Result<()> {
        let queue = self.queue()?;
        queue.blocking_send(job).map_err(|_| Error::Closed)
    }

    fn stop_taking(&self) -> Option<mpsc::Sender<Job>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.take()
    }

    fn let_go(&self) {
        let mut store = self.store.lock().unwrap_or_else(PoisonError::into_inner);
        let last = store.take();
        drop(store);
        drop(last);
    }
}

#[async_trait]
impl RecordLog for EmbeddedLog {
    fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    fn durability(&self) -> Durability {
        Durability::Fsynced
    }

    async fn create_topic(&self, topic: &Topic, config: TopicConfig) -> Result<()> {
        let topic = topic.clone();
        self.ask(|reply| Job::CreateTopic {
            topic,
            config,
            reply,
        })
        .await
    }

    async fn delete_topic(&self, topic: &Topic) -> Result<()> {
        let topic = topic.clone();
        self.ask(|reply| Job::DeleteTopic { topic, reply }).await
    }

    async fn forget_generation(&self, generation: Generation) -> Result<()> {
        // A piece at a time, so that appends wait for one piece only.
        while self.ask(|reply| Job::Forget { generation, reply }).await? {}
        Ok(())
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        let topics = self.shared.store()?.topics();
        Ok(topics.into_iter().map(|(t, entry)| entry.info(t)).collect())
    }

    async fn partitions(&self, topic: &Topic) -> Result<Vec<PartitionBounds>> {
        Ok(self.shared.store()?.topic(topic)?.bounds())
    }

    async fn bounds(&self, at: &TopicPartition) -> Result<Bounds> {
        Ok(self.shared.store()?.partition(at)?.tail().bounds())
    }

    async fn commit(&self, transaction: Transaction) -> Result<Vec<Outcome>> {
        let started = Instant::now();
        let n_bytes = self.check_size(&transaction)?;
        let share = self.shared.queue_bytes.clone();
        let permit = share
            .acquire_many_owned(permits(n_bytes))
            .await
            .map_err(|_| Error::Closed)?;
        let outcomes = self
            .ask(|reply| {
                Job::Commit(Commit {
                    transaction,
                    n_bytes,
                    reply,
                    permit,
                })
            })
            .await;
        telemetry::commit_answered(started.elapsed());
        outcomes
    }

    fn is_transactional(&self) -> bool {
        true
    }

    async fn read(&self, at: &TopicPartition, from: Offset, limits: ReadLimits) -> Result<Batch> {
        let store = self.shared.store()?;
        let at = at.clone();
        blocking(move || {
            let partition = store.partition(&at)?;
            reader::read(&partition, &at, from, limits)
        })
        .await
    }

    async fn offset_at(&self, at: &TopicPartition, time: Timestamp) -> Result<Offset> {
        let store = self.shared.store()?;
        let at = at.clone();
        blocking(move || reader::offset_at(&*store.partition(&at)?, time)).await
    }

    async fn wait_beyond(&self, at: &TopicPartition, offset: Offset) -> Result<Offset> {
        // Only the receiver is held while waiting, so that followers do not keep a closing log open.
        let mut tail = self.shared.store()?.partition(at)?.tail.subscribe();
        let end = tail.borrow().end;
        if end < offset {
            return Err(Error::BeyondEnd {
                at: at.clone(),
                from: offset,
                end,
            });
        }
        let beyond = tail.wait_for(|tail| tail.end > offset).await;
        beyond.map(|tail| tail.end).map_err(|_| Error::Closed)
    }

    async fn state(&self, key: &str) -> Result<Option<Bytes>> {
        Ok(self.shared.store()?.state(key))
    }

    async fn state_with_prefix(&self, prefix: &str) -> Result<Vec<(String, Bytes)>> {
        Ok(self.shared.store()?.state_with_prefix(prefix))
    }
}

/// The queue counts its bytes in KiB, at least one for each transaction.
fn permits(n_bytes: usize) -> u32 {
    u32::try_from(n_bytes.div_ceil(1 << 10).max(1)).unwrap_or(u32::MAX)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let builder = thread::Builder::new().name(name.to_owned());
    builder.spawn(run).map_err(unavailable)
}

fn report_panic(joined: thread::Result<()>) {
    if joined.is_err() {
        tracing::error!("a thread of the log panicked");
    }
}

/// Disk reads wait on threads made for waiting.
async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let joined = tokio::task::spawn_blocking(run).await;
    joined.unwrap_or_else(|e| Err(unavailable(format_args!("a read did not finish: {e}"))))
}
