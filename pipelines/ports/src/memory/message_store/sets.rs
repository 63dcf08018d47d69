//! The table sets of generations, in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use telesift_schemas::Generation;

use super::MemoryStore;
use crate::{
    embedder::EmbeddingModel,
    message_store::{MessageStore, Result, StoreSets},
};

/// [`StoreSets`] in memory.
#[derive(Default)]
pub struct MemoryStores {
    model: Option<EmbeddingModel>,
    sets: Mutex<BTreeMap<Generation, Arc<MemoryStore>>>,
}

impl MemoryStores {
    /// No set yet; each will have vectors of `model`.
    pub fn new(model: Option<EmbeddingModel>) -> Self {
        MemoryStores {
            model,
            sets: Mutex::default(),
        }
    }

    /// The generations that have a set.
    pub fn there_are(&self) -> Vec<Generation> {
        let sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        sets.keys().copied().collect()
    }
}

#[async_trait]
impl StoreSets for MemoryStores {
    async fn open(&self, of: Generation) -> Result<Arc<dyn MessageStore>> {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let set = sets
            .entry(of)
            .or_insert_with(|| Arc::new(MemoryStore::new(self.model.clone())));
        Ok(set.clone())
    }

    async fn remove(&self, of: Generation) -> Result<()> {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        sets.remove(&of);
        Ok(())
    }
}
