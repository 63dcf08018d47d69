//! A gate before a log or a store: who comes while it is shut waits, frozen, with what he is about to do.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use telesift_ports::{
    MessageStore, RecordLog,
    leases::Term,
    message_store::{
        self, Applied, ChatSummary, ClassCounts, ClassCountsQuery, Hit, IndexedMessage,
        ListPosition, MessageFilter, SearchRequest, StoreStats, VersionLabel,
    },
    providers::KeptHere,
    record_log::{
        Batch, Bounds, Durability, Outcome, PartitionBounds, ReadLimits, Result, TopicConfig,
        TopicInfo, Transaction,
    },
};
use telesift_schemas::{
    ChatId, Class, Epoch, Generation, Message, MessageKey, Offset, Timestamp, Topic, TopicPartition,
};
use tokio::sync::watch;

pub(super) struct Gate {
    is_shut: watch::Sender<bool>,
    n_waiting: watch::Sender<usize>,
}

impl Gate {
    pub(super) fn open() -> Arc<Self> {
        Arc::new(Gate {
            is_shut: watch::Sender::new(false),
            n_waiting: watch::Sender::new(0),
        })
    }

    pub(super) fn shut(&self) {
        self.is_shut.send_replace(true);
    }

    pub(super) fn open_again(&self) {
        self.is_shut.send_replace(false);
    }

    pub(super) async fn until_waiting(&self, n: usize) {
        let mut waiting = self.n_waiting.subscribe();
        waiting.wait_for(|now| *now >= n).await.unwrap();
    }

    async fn pass(&self) {
        let mut is_shut = self.is_shut.subscribe();
        if *is_shut.borrow_and_update() {
            self.n_waiting.send_modify(|n| *n += 1);
            is_shut.wait_for(|shut| !shut).await.unwrap();
        }
    }
}

pub(super) struct GatedLog(pub(super) Arc<dyn RecordLog>, pub(super) Arc<Gate>);

#[async_trait]
impl RecordLog for GatedLog {
    async fn commit(&self, transaction: Transaction) -> Result<Vec<Outcome>> {
        self.1.pass().await;
        self.0.commit(transaction).await
    }

    fn epoch(&self) -> &Epoch {
        self.0.epoch()
    }

    fn durability(&self) -> Durability {
        self.0.durability()
    }

    async fn create_topic(&self, topic: &Topic, config: TopicConfig) -> Result<()> {
        self.0.create_topic(topic, config).await
    }

    async fn delete_topic(&self, topic: &Topic) -> Result<()> {
        self.0.delete_topic(topic).await
    }

    async fn forget_generation(&self, generation: Generation) -> Result<()> {
        self.0.forget_generation(generation).await
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>> {
        self.0.topics().await
    }

    async fn partitions(&self, topic: &Topic) -> Result<Vec<PartitionBounds>> {
        self.0.partitions(topic).await
    }

    async fn bounds(&self, at: &TopicPartition) -> Result<Bounds> {
        self.0.bounds(at).await
    }

    fn is_transactional(&self) -> bool {
        self.0.is_transactional()
    }

    async fn read(&self, at: &TopicPartition, from: Offset, limits: ReadLimits) -> Result<Batch> {
        self.0.read(at, from, limits).await
    }

    async fn offset_at(&self, at: &TopicPartition, time: Timestamp) -> Result<Offset> {
        self.0.offset_at(at, time).await
    }

    async fn wait_beyond(&self, at: &TopicPartition, offset: Offset) -> Result<Offset> {
        self.0.wait_beyond(at, offset).await
    }

    async fn state(&self, key: &str) -> Result<Option<Bytes>> {
        self.0.state(key).await
    }

    async fn state_with_prefix(&self, prefix: &str) -> Result<Vec<(String, Bytes)>> {
        self.0.state_with_prefix(prefix).await
    }
}

pub(super) struct GatedStore(pub(super) Arc<dyn MessageStore>, pub(super) Arc<Gate>);

#[async_trait]
impl MessageStore for GatedStore {
    async fn apply(&self, batch: Vec<IndexedMessage>) -> message_store::Result<Applied> {
        self.1.pass().await;
        self.0.apply(batch).await
    }

    async fn begin_term(&self, term: Term) -> message_store::Result<()> {
        self.0.begin_term(term).await
    }

    async fn set_labels(&self, labels: &[VersionLabel]) -> message_store::Result<usize> {
        self.0.set_labels(labels).await
    }

    async fn get(&self, key: &MessageKey) -> message_store::Result<Option<Message>> {
        self.0.get(key).await
    }

    async fn history(&self, key: &MessageKey) -> message_store::Result<Vec<Message>> {
        self.0.history(key).await
    }

    async fn list(
        &self,
        filter: &MessageFilter,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> message_store::Result<Vec<Message>> {
        self.0.list(filter, after, limit).await
    }

    async fn context(
        &self,
        key: &MessageKey,
        before: usize,
        after: usize,
    ) -> message_store::Result<Vec<Message>> {
        self.0.context(key, before, after).await
    }

    async fn search(&self, request: &SearchRequest) -> message_store::Result<Vec<Hit>> {
        self.0.search(request).await
    }

    async fn get_many(&self, keys: &[MessageKey]) -> message_store::Result<Vec<Message>> {
        self.0.get_many(keys).await
    }

    async fn message_ids(&self, chat: ChatId) -> message_store::Result<Vec<i64>> {
        self.0.message_ids(chat).await
    }

    async fn without_vector(
        &self,
        classes: &[Class],
        kept: Option<&KeptHere>,
        limit: usize,
    ) -> message_store::Result<Vec<Message>> {
        self.0.without_vector(classes, kept, limit).await
    }

    async fn count_without_vector(
        &self,
        classes: &[Class],
        kept: Option<&KeptHere>,
    ) -> message_store::Result<u64> {
        self.0.count_without_vector(classes, kept).await
    }

    async fn class_counts(&self, query: &ClassCountsQuery) -> message_store::Result<ClassCounts> {
        self.0.class_counts(query).await
    }

    async fn chats(&self) -> message_store::Result<Vec<ChatSummary>> {
        self.0.chats().await
    }

    async fn maintain(&self) -> message_store::Result<()> {
        self.0.maintain().await
    }

    async fn stats(&self) -> message_store::Result<StoreStats> {
        self.0.stats().await
    }
}
