//! The message stores of all generations, opened as they are needed; and the live one among them, for readers.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use telesift_ports::{
    Generations, MessageStore,
    leases::Term,
    message_store::{
        Applied, ChatSummary, ClassCounts, ClassCountsQuery, Hit, IndexedMessage, ListPosition,
        MessageFilter, Result, SearchRequest, StoreSets, StoreStats, VersionLabel,
    },
};
use telesift_schemas::{ChatId, Class, Generation, Message, MessageKey};
use tokio::sync::{Mutex, RwLock};

/// Stores by the generation that made them; each is opened once.
pub struct OpenStores {
    sets: Arc<dyn StoreSets>,
    generations: Arc<Generations>,
    open: RwLock<BTreeMap<Generation, Arc<dyn MessageStore>>>,
    /// Held while one is opened or removed, which takes its time: readers of the others do not wait for it.
    changing: Mutex<()>,
}

impl OpenStores {
    /// None is open yet.
    pub fn new(sets: Arc<dyn StoreSets>, generations: Arc<Generations>) -> Self {
        OpenStores {
            sets,
            generations,
            open: RwLock::default(),
            changing: Mutex::default(),
        }
    }

    /// The store that `generation` made.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub async fn of(&self, generation: Generation) -> Result<Arc<dyn MessageStore>> {
        if let Some(store) = self.open.read().await.get(&generation) {
            return Ok(store.clone());
        }
        let _alone = self.changing.lock().await;
        if let Some(store) = self.open.read().await.get(&generation) {
            return Ok(store.clone());
        }
        let store = self.sets.open(generation).await?;
        self.open.write().await.insert(generation, store.clone());
        Ok(store)
    }

    /// Closes and removes the store that `generation` made.
    ///
    /// # Errors
    /// If its tables cannot be removed; doing it again goes on.
    pub async fn remove(&self, generation: Generation) -> Result<()> {
        let _alone = self.changing.lock().await;
        self.open.write().await.remove(&generation);
        self.sets.remove(generation).await
    }

    async fn live(&self) -> Result<Arc<dyn MessageStore>> {
        self.of(self.generations.live().store).await
    }
}

/// The store of the live generation, whichever that is when it is asked. For readers: each store is written by the stages of
/// its generation.
pub struct LiveStore(Arc<OpenStores>);

impl LiveStore {
    /// The live one of `stores`.
    pub fn new(stores: Arc<OpenStores>) -> Self {
        LiveStore(stores)
    }
}

#[async_trait]
impl MessageStore for LiveStore {
    async fn begin_term(&self, term: Term) -> Result<()> {
        self.0.live().await?.begin_term(term).await
    }

    async fn apply(&self, batch: Vec<IndexedMessage>) -> Result<Applied> {
        self.0.live().await?.apply(batch).await
    }

    async fn set_labels(&self, labels: &[VersionLabel]) -> Result<usize> {
        self.0.live().await?.set_labels(labels).await
    }

    async fn get(&self, key: &MessageKey) -> Result<Option<Message>> {
        self.0.live().await?.get(key).await
    }

    async fn history(&self, key: &MessageKey) -> Result<Vec<Message>> {
        self.0.live().await?.history(key).await
    }

    async fn list(
        &self,
        filter: &MessageFilter,
        after: Option<&ListPosition>,
        limit: usize,
    ) -> Result<Vec<Message>> {
        self.0.live().await?.list(filter, after, limit).await
    }

    async fn context(&self, key: &MessageKey, before: usize, after: usize) -> Result<Vec<Message>> {
        self.0.live().await?.context(key, before, after).await
    }

    async fn search(&self, request: &SearchRequest) -> Result<Vec<Hit>> {
        self.0.live().await?.search(request).await
    }

    async fn get_many(&self, keys: &[MessageKey]) -> Result<Vec<Message>> {
        self.0.live().await?.get_many(keys).await
    }

    async fn without_vector(&self, classes: &[Class], limit: usize) -> Result<Vec<Message>> {
        self.0.live().await?.without_vector(classes, limit).await
    }

    async fn count_without_vector(&self, classes: &[Class]) -> Result<u64> {
        self.0.live().await?.count_without_vector(classes).await
    }

    async fn class_counts(&self, query: &ClassCountsQuery) -> Result<ClassCounts> {
        self.0.live().await?.class_counts(query).await
    }

    async fn chats(&self) -> Result<Vec<ChatSummary>> {
        self.0.live().await?.chats().await
    }

    async fn message_ids(&self, chat: ChatId) -> Result<Vec<i64>> {
        self.0.live().await?.message_ids(chat).await
    }

    async fn maintain(&self) -> Result<()> {
        self.0.live().await?.maintain().await
    }

    async fn stats(&self) -> Result<StoreStats> {
        self.0.live().await?.stats().await
    }
}
