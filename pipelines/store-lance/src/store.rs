//! The store as the rest of telesift sees it.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, atomic::AtomicUsize},
};

use async_trait::async_trait;
use lancedb::Table;
use telesift_ports::{
    leases::Term,
    message_store::{
        Applied, ChatSummary, ClassCounts, ClassCountsQuery, Hit, IndexedMessage, ListPosition,
        MessageFilter, MessageStore, Result, SearchRequest, StoreStats, VersionLabel,
    },
    providers::KeptHere,
};
use telesift_schemas::{ChatId, Class, Message, MessageKey};

use crate::{
    config::LanceStoreConfig, counts::CachedChats, read::TimeSpan, term::CurrentTerm, write::Writer,
};

/// Messages in LanceDB. Cheap to share behind an `Arc`; one per process and generation may write.
pub struct LanceStore {
    pub(crate) config: LanceStoreConfig,
    /// The current versions. Each read takes one snapshot of it, so that row ids stay valid while it lasts.
    pub(crate) messages: Table,
    /// The superseded versions.
    pub(crate) versions: Table,
    /// Where the tables lie, if on a local disk.
    pub(crate) folder: Option<PathBuf>,
    /// Who may commit.
    pub(crate) term: Arc<CurrentTerm>,
    /// Held by whoever writes rows.
    pub(crate) writer: tokio::sync::Mutex<Writer>,
    /// Held by whoever compacts and indexes.
    pub(crate) maintenance: tokio::sync::Mutex<()>,
    /// Rows of `messages` when maintenance looked last.
    pub(crate) n_rows_seen: AtomicUsize,
    pub(crate) chats: Mutex<Option<Arc<CachedChats>>>,
    pub(crate) span: Mutex<Option<TimeSpan>>,
}

impl std::fmt::Debug for LanceStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LanceStore")
            .field("uri", &self.config.uri)
            .field("table", &self.messages.name())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl MessageStore for LanceStore {
    async fn begin_term(&self, term: Term) -> Result<()> {
        self.take_over(term).await
    }

    async fn apply(&self, batch: Vec<IndexedMessage>) -> Result<Applied> {
        self.apply_batch(batch).await
    }

    async fn set_labels(&self, labels: &[VersionLabel]) -> Result<usize> {
        self.write_labels(labels).await
    }

    async fn get(&self, key: &MessageKey) -> Result<Option<Message>> {
        let found = self.read_many(std::slice::from_ref(key)).await?;
        Ok(found.into_iter().next())
    }

    async fn history(&self, key: &MessageKey) -> Result<Vec<Message>> {
        self.read_history(key).await
    }

    async fn list(
        &self,
        filter: &MessageFilter,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> Result<Vec<Message>> {
        self.read_newest(filter, after, limit).await
    }

    async fn context(&self, key: &MessageKey, before: usize, after: usize) -> Result<Vec<Message>> {
        self.read_context(key, before, after).await
    }

    async fn search(&self, request: &SearchRequest) -> Result<Vec<Hit>> {
        self.find(request).await
    }

    async fn get_many(&self, keys: &[MessageKey]) -> Result<Vec<Message>> {
        self.read_many(keys).await
    }

    async fn without_vector(
        &self,
        classes: &[Class],
        kept: Option<&KeptHere>,
        limit: usize,
    ) -> Result<Vec<Message>> {
        self.read_without_vector(classes, kept, limit).await
    }

    async fn count_without_vector(
        &self,
        classes: &[Class],
        kept: Option<&KeptHere>,
    ) -> Result<u64> {
        self.number_without_vector(classes, kept).await
    }

    async fn class_counts(&self, query: &ClassCountsQuery) -> Result<ClassCounts> {
        self.count_classes(query).await
    }

    async fn chats(&self) -> Result<Vec<ChatSummary>> {
        self.sum_up_chats().await
    }

    async fn message_ids(&self, chat: ChatId) -> Result<Vec<i64>> {
        self.read_message_ids(chat).await
    }

    async fn maintain(&self) -> Result<()> {
        self.run_maintenance().await
    }

    async fn stats(&self) -> Result<StoreStats> {
        self.read_stats().await
    }
}
