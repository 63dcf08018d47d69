//! A log whose process dies at a commit of its choice: right before it, or right after it took effect.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use telesift_ports::{
    RecordLog,
    generations::STATE_KEY,
    memory::MemoryLog,
    record_log::{
        Batch, Bounds, Durability, Outcome, PartitionBounds, ReadLimits, Result, TopicConfig,
        TopicInfo, Transaction,
    },
};
use telesift_schemas::{Epoch, Generation, Offset, Timestamp, Topic, TopicPartition};
use tokio::sync::Notify;

/// A view of a log for a process that is to die.
pub(crate) struct DyingLog {
    inner: Arc<MemoryLog>,
    commits: AtomicUsize,
    dies_at: usize,
    is_after: bool,
    /// Whether only changes of the register of generations count.
    is_of_register: bool,
    dead: Arc<Notify>,
}

impl DyingLog {
    /// Dies at the commit with this number, from 0; after it took effect, or before.
    pub(crate) fn new(inner: Arc<MemoryLog>, dies_at: usize, is_after: bool) -> Self {
        DyingLog {
            inner,
            commits: AtomicUsize::new(0),
            dies_at,
            is_after,
            is_of_register: false,
            dead: Arc::new(Notify::new()),
        }
    }

    /// Dies at the first change of the register of generations, whatever else is committed before.
    pub(crate) fn at_register(inner: Arc<MemoryLog>, is_after: bool) -> Self {
        DyingLog {
            is_of_register: true,
            ..Self::new(inner, 0, is_after)
        }
    }

    /// Returns once the process has died.
    pub(crate) async fn dead(&self) {
        self.dead.notified().await;
    }

    async fn die(&self) -> ! {
        self.dead.notify_one();
        std::future::pending().await
    }

    /// Whatever changes the log counts.
    async fn before(&self) -> usize {
        let n = self.commits.fetch_add(1, Ordering::SeqCst);
        if n > self.dies_at || (n == self.dies_at && !self.is_after) {
            self.die().await;
        }
        n
    }

    async fn after(&self, n: usize) {
        if n == self.dies_at {
            self.die().await;
        }
    }
}

#[async_trait]
impl RecordLog for DyingLog {
    fn epoch(&self) -> &Epoch {
        self.inner.epoch()
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }

    async fn create_topic(&self, topic: &Topic, config: TopicConfig) -> Result<()> {
        if self.is_of_register {
            return self.inner.create_topic(topic, config).await;
        }
        let n = self.before().await;
        let outcome = self.inner.create_topic(topic, config).await;
        self.after(n).await;
        outcome
    }

    async fn delete_topic(&self, topic: &Topic) -> Result<()> {
        if self.is_of_register {
            return self.inner.delete_topic(topic).await;
        }
        let n = self.before().await;
        let outcome = self.inner.delete_topic(topic).await;
        self.after(n).await;
        outcome
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
        let is_register = transaction.guards.iter().any(|(key, _)| key == STATE_KEY);
        if self.is_of_register && !is_register {
            return self.inner.commit(transaction).await;
        }
        let n = self.before().await;
        let outcome = self.inner.commit(transaction).await;
        self.after(n).await;
        outcome
    }

    fn is_transactional(&self) -> bool {
        self.inner.is_transactional()
    }

    async fn read(&self, at: &TopicPartition, from: Offset, limits: ReadLimits) -> Result<Batch> {
        self.inner.read(at, from, limits).await
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
