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
    message_store::{Error, MessageStore, Result, StoreSets},
};

/// [`StoreSets`] in memory.
#[derive(Default)]
pub struct MemoryStores {
    sets: Mutex<BTreeMap<Generation, Arc<MemoryStore>>>,
}

impl MemoryStores {
    /// The generations that have a set.
    pub fn there_are(&self) -> Vec<Generation> {
        let sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        sets.keys().copied().collect()
    }
}

#[async_trait]
impl StoreSets for MemoryStores {
    async fn open(&self, of: Generation, model: &EmbeddingModel) -> Result<Arc<dyn MessageStore>> {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let set = sets
            .entry(of)
            .or_insert_with(|| Arc::new(MemoryStore::new(Some(model.clone()))));
        if set.model.as_ref() != Some(model) {
            return Err(Error::ModelMismatch {
                actual: set
                    .model
                    .as_ref()
                    .map_or_else(String::new, EmbeddingModel::name),
                configured: format!("`{}`", model.name()),
            });
        }
        Ok(set.clone())
    }

    async fn remove(&self, of: Generation) -> Result<()> {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        sets.remove(&of);
        Ok(())
    }
}
