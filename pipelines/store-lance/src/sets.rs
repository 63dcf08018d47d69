//! The table sets of generations, in one place.

use std::sync::Arc;

use async_trait::async_trait;
use telesift_ports::{
    embedder::EmbeddingModel,
    message_store::{MessageStore, Result, StoreSets},
};
use telesift_schemas::Generation;

use crate::{LanceStore, LanceStoreConfig, open};

/// [`StoreSets`] in LanceDB.
#[derive(Clone, Debug)]
pub struct LanceStores(LanceStoreConfig);

impl LanceStores {
    /// Sets that differ from `config` in their generation and their model only.
    pub fn new(config: LanceStoreConfig) -> Self {
        LanceStores(config)
    }

    fn config(&self, generation: Generation) -> LanceStoreConfig {
        LanceStoreConfig {
            generation,
            ..self.0.clone()
        }
    }
}

#[async_trait]
impl StoreSets for LanceStores {
    async fn open(&self, of: Generation, model: &EmbeddingModel) -> Result<Arc<dyn MessageStore>> {
        let config = LanceStoreConfig {
            model: Some(model.clone()),
            ..self.config(of)
        };
        Ok(Arc::new(LanceStore::open(config).await?))
    }

    async fn remove(&self, of: Generation) -> Result<()> {
        Ok(open::remove(&self.config(of)).await?)
    }
}
