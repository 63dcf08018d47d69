//! The one gate to messages and topics: whoever reads passes as a viewer, and sees what the key may see.
//!
//! Invariant: nothing else in this crate holds the message store, and the log's records are read through [`Topic`] (or
//! by the tail, which is opened through it). A new route cannot forget the rule because there is no way around it.

use std::sync::Arc;

use telesift_ports::{
    Generations, MessageStore, RecordLog,
    message_store::{
        ChatSummary, ClassCounts, ClassCountsQuery, Hit, ListPosition, MessageFilter, Result,
        SearchRequest,
    },
    record_log::{self, Batch, Bounds, PartitionBounds, ReadLimits, StoredRecord, TopicInfo},
};
use telesift_schemas::{
    ChatId, Epoch, Generation, Message, MessageKey, Offset, PartitionId, TopicPartition,
};

use crate::{
    auth::{Auditor, Viewer},
    problem::Result as Answer,
};

mod labels;
mod letters;
mod named;
mod stories;
mod trace;

pub(crate) use labels::{Change, decisions};
pub(crate) use named::Named;

/// The message store, closed until someone says who looks.
pub(crate) struct Store(Arc<dyn MessageStore>);

impl Store {
    pub(crate) fn new(store: Arc<dyn MessageStore>) -> Self {
        Store(store)
    }

    /// What `viewer` may see of it.
    pub(crate) fn seen_by<'a>(&'a self, viewer: &'a Viewer) -> VisibleStore<'a> {
        VisibleStore {
            store: &*self.0,
            chats: viewer.visible_chats(),
        }
    }
}

/// A message store without the chats its viewer may not see.
pub(crate) struct VisibleStore<'a> {
    store: &'a dyn MessageStore,
    chats: Option<&'a [ChatId]>,
}

impl VisibleStore<'_> {
    fn shows(&self, chat: ChatId) -> bool {
        self.chats.is_none_or(|chats| chats.contains(&chat))
    }

    fn narrow(&self, filter: &MessageFilter) -> MessageFilter {
        MessageFilter {
            visible_chats: self.chats.map(<[ChatId]>::to_vec),
            ..filter.clone()
        }
    }

    pub(crate) async fn get(&self, key: &MessageKey) -> Result<Option<Message>> {
        if !self.shows(key.chat) {
            return Ok(None);
        }
        self.store.get(key).await
    }

    pub(crate) async fn history(&self, key: &MessageKey) -> Result<Vec<Message>> {
        if !self.shows(key.chat) {
            return Ok(Vec::new());
        }
        self.store.history(key).await
    }

    pub(crate) async fn list(
        &self,
        filter: &MessageFilter,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> Result<Vec<Message>> {
        self.store.list(&self.narrow(filter), after, limit).await
    }

    pub(crate) async fn context(
        &self,
        key: &MessageKey,
        before: usize,
        after: usize,
    ) -> Result<Vec<Message>> {
        if !self.shows(key.chat) {
            return Ok(Vec::new());
        }
        self.store.context(key, before, after).await
    }

    pub(crate) async fn search(&self, request: SearchRequest) -> Result<Vec<Hit>> {
        let filter = self.narrow(&request.filter);
        self.store
            .search(&SearchRequest { filter, ..request })
            .await
    }

    pub(crate) async fn get_many(&self, keys: &[MessageKey]) -> Result<Vec<Message>> {
        let shown: Vec<MessageKey> = keys
            .iter()
            .filter(|key| self.shows(key.chat))
            .copied()
            .collect();
        self.store.get_many(&shown).await
    }

    pub(crate) async fn class_counts(&self, query: ClassCountsQuery) -> Result<ClassCounts> {
        let visible_chats = self.chats.map(<[ChatId]>::to_vec);
        self.store
            .class_counts(&ClassCountsQuery {
                visible_chats,
                ..query
            })
            .await
    }

    pub(crate) async fn message_ids(&self, chat: ChatId) -> Result<Vec<i64>> {
        if !self.shows(chat) {
            return Ok(Vec::new());
        }
        self.store.message_ids(chat).await
    }

    pub(crate) async fn chats(&self) -> Result<Vec<ChatSummary>> {
        let mut chats = self.store.chats().await?;
        chats.retain(|c| self.shows(c.chat.id));
        Ok(chats)
    }
}

/// The log, closed until someone says who looks. Bounds and offsets are not secret.
pub(crate) struct Log(Arc<dyn RecordLog>, Arc<Generations>);

impl Log {
    pub(crate) fn new(log: Arc<dyn RecordLog>, generations: Arc<Generations>) -> Self {
        Log(log, generations)
    }

    /// What is meant by a topic's name now.
    pub(crate) fn named(&self, name: telesift_schemas::Topic) -> Named {
        Named::new(name, &self.1.live())
    }

    pub(crate) fn epoch(&self) -> &Epoch {
        self.0.epoch()
    }

    pub(crate) async fn topics(&self) -> record_log::Result<Vec<TopicInfo>> {
        self.0.topics().await
    }

    pub(crate) async fn partitions(
        &self,
        topic: &telesift_schemas::Topic,
    ) -> record_log::Result<Vec<PartitionBounds>> {
        self.0.partitions(topic).await
    }

    pub(crate) async fn bounds(&self, at: &TopicPartition) -> record_log::Result<Bounds> {
        self.0.bounds(at).await
    }

    /// The ledger of log-to-log stages: it counts every chat.
    pub(crate) async fn ledger(
        &self,
        _: &Auditor,
        prefix: &str,
    ) -> record_log::Result<Vec<(String, bytes::Bytes)>> {
        self.0.state_with_prefix(prefix).await
    }

    /// Opens a topic to a viewer.
    ///
    /// # Errors
    /// 403 for a limited key, unless the topic holds messages keyed by chat.
    pub(crate) fn open<'a>(
        &'a self,
        viewer: &'a Viewer,
        topic: telesift_schemas::Topic,
    ) -> Answer<Topic<'a>> {
        if !holds_messages(&topic) {
            viewer.require_unlimited()?;
        }
        Ok(Topic {
            log: &*self.0,
            topic: self.named(topic).stored,
            chats: viewer.visible_chats(),
        })
    }
}

/// Whether a topic's records are messages keyed by chat: `messages` or a generation of it.
pub(crate) fn holds_messages(topic: &telesift_schemas::Topic) -> bool {
    let messages = telesift_schemas::Topic::MESSAGES;
    Generation::of_name(messages.as_str(), topic.as_str()).is_some()
}

/// A topic as a viewer may read it.
pub(crate) struct Topic<'a> {
    log: &'a dyn RecordLog,
    topic: telesift_schemas::Topic,
    chats: Option<&'a [ChatId]>,
}

impl Topic<'_> {
    pub(crate) fn partition(&self, partition: PartitionId) -> TopicPartition {
        TopicPartition::new(self.topic.clone(), partition)
    }

    pub(crate) async fn bounds(&self, partition: PartitionId) -> record_log::Result<Bounds> {
        self.log.bounds(&self.partition(partition)).await
    }

    /// Reads as [`RecordLog::read`]; records of chats that may not be seen are taken out, `next` moves past them.
    pub(crate) async fn read(
        &self,
        partition: PartitionId,
        from: Offset,
        limits: ReadLimits,
    ) -> record_log::Result<Batch> {
        let at = self.partition(partition);
        let mut batch = self.log.read(&at, from, limits).await?;
        if let Some(chats) = self.chats {
            batch.records.retain(|record| is_of(record, chats));
        }
        Ok(batch)
    }
}

/// Whether a record of `messages` belongs to one of `chats`. Its key is the chat.
fn is_of(record: &StoredRecord, chats: &[ChatId]) -> bool {
    std::str::from_utf8(&record.key)
        .ok()
        .and_then(|key| key.parse::<ChatId>().ok())
        .is_some_and(|chat| chats.contains(&chat))
}
