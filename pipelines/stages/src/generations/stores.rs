//! The message stores of all generations, opened as they are needed; and the live one among them, for readers.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use telesift_ports::{
    Embedder, Generations, MessageStore,
    embedder::{EmbedError, EmbeddingCost, EmbeddingModel, Purpose},
    leases::Term,
    message_store::{
        Applied, ChatSummary, ClassCounts, ClassCountsQuery, Error, Hit, IndexedMessage,
        ListPosition, MessageFilter, Result, SearchRequest, StoreSets, StoreStats, VersionLabel,
    },
    providers::KeptHere,
};
use telesift_schemas::{ChatId, Class, Generation, Message, MessageKey};
use tokio::sync::{Mutex, RwLock};

use super::Models;

/// Stores by the generation that made them; each is opened once.
pub struct OpenStores {
    sets: Arc<dyn StoreSets>,
    generations: Arc<Generations>,
    models: Models,
    open: RwLock<BTreeMap<Generation, Opened>>,
    /// Held while one is opened or removed, which takes its time: readers of the others do not wait for it.
    changing: Mutex<()>,
}

/// A store, and what makes its vectors.
#[derive(Clone)]
struct Opened {
    store: Arc<dyn MessageStore>,
    embedder: Arc<dyn Embedder>,
}

impl OpenStores {
    /// None is open yet. Each holds vectors of one of `models`.
    pub fn new(sets: Arc<dyn StoreSets>, generations: Arc<Generations>, models: Models) -> Self {
        OpenStores {
            sets,
            generations,
            models,
            open: RwLock::default(),
            changing: Mutex::default(),
        }
    }

    /// The store that `generation` made.
    ///
    /// # Errors
    /// If it cannot be opened; [`Error::ModelMismatch`] if it holds vectors of a model that is not at hand.
    pub async fn of(&self, generation: Generation) -> Result<Arc<dyn MessageStore>> {
        Ok(self.opened(generation).await?.store)
    }

    /// What makes the vectors of that store.
    ///
    /// # Errors
    /// As [`OpenStores::of`].
    pub async fn embedder_of(&self, generation: Generation) -> Result<Arc<dyn Embedder>> {
        Ok(self.opened(generation).await?.embedder)
    }

    /// The models at hand.
    pub fn models(&self) -> &Models {
        &self.models
    }

    async fn opened(&self, generation: Generation) -> Result<Opened> {
        if let Some(opened) = self.open.read().await.get(&generation) {
            return Ok(opened.clone());
        }
        let _alone = self.changing.lock().await;
        if let Some(opened) = self.open.read().await.get(&generation) {
            return Ok(opened.clone());
        }
        let opened = self.open(generation).await?;
        self.open.write().await.insert(generation, opened.clone());
        Ok(opened)
    }

    /// With the model its generation names; else with the one its tables name, and a new one with the first model.
    async fn open(&self, generation: Generation) -> Result<Opened> {
        let register = self.generations.now();
        let named = register.entry(generation).and_then(|e| e.model.as_deref());
        let mut actual = named.map(str::to_owned);
        for embedder in self.models.all() {
            let model = embedder.model();
            if named.is_some_and(|named| named != model.name()) {
                continue;
            }
            match self.sets.open(generation, model).await {
                Ok(store) => {
                    let embedder = embedder.clone();
                    return Ok(Opened { store, embedder });
                }
                Err(Error::ModelMismatch { actual: held, .. }) => actual = Some(held),
                Err(error) => return Err(error),
            }
        }
        let names: Vec<String> = self.models.names().map(|n| format!("`{n}`")).collect();
        Err(Error::ModelMismatch {
            actual: actual.unwrap_or_default(),
            configured: names.join(" and "),
        })
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

    async fn without_vector(
        &self,
        classes: &[Class],
        kept: Option<&KeptHere>,
        limit: usize,
    ) -> Result<Vec<Message>> {
        let live = self.0.live().await?;
        live.without_vector(classes, kept, limit).await
    }

    async fn count_without_vector(
        &self,
        classes: &[Class],
        kept: Option<&KeptHere>,
    ) -> Result<u64> {
        let live = self.0.live().await?;
        live.count_without_vector(classes, kept).await
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

/// The model of the live store, whichever that is when it is asked: for those who look for something there.
pub struct LiveEmbedder(Arc<OpenStores>);

impl LiveEmbedder {
    /// That of the live one of `stores`.
    pub fn new(stores: Arc<OpenStores>) -> Self {
        LiveEmbedder(stores)
    }

    /// As far as it is known without asking: the live store is open, but for the moment after a switch elsewhere.
    fn known(&self) -> &dyn Embedder {
        let live = self.0.generations.live().store;
        let opened = self.0.open.try_read().ok();
        let name = opened.and_then(|open| Some(open.get(&live)?.embedder.model().name()));
        let all = self.0.models.all();
        let its = all.iter().find(|e| Some(e.model().name()) == name);
        &**its.unwrap_or(&all[0])
    }
}

#[async_trait]
impl Embedder for LiveEmbedder {
    fn model(&self) -> &EmbeddingModel {
        self.known().model()
    }

    fn cost(&self) -> EmbeddingCost {
        self.known().cost()
    }

    fn is_local(&self) -> bool {
        self.known().is_local()
    }

    async fn embed(
        &self,
        texts: &[&str],
        purpose: Purpose,
    ) -> std::result::Result<Vec<Vec<f32>>, EmbedError> {
        let live = self.0.generations.live().store;
        let embedder = self.0.embedder_of(live).await;
        let embedder = embedder.map_err(|error| EmbedError::Unavailable {
            model: self.model().id.clone(),
            reason: error.to_string(),
        })?;
        embedder.embed(texts, purpose).await
    }
}
