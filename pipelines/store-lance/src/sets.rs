//! The table sets of generations, in one place.

use std::sync::Arc;

use async_trait::async_trait;
use telesift_ports::message_store::{MessageStore, Result, StoreSets};
use telesift_schemas::Generation;

use crate::{LanceStore, LanceStoreConfig, open};

/// [`StoreSets`] in LanceDB.
#[derive(Clone, Debug)]
pub struct LanceStores(LanceStoreConfig);

impl LanceStores {
    /// Sets that differ from `config` in their generation only.
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
    async fn open(&self, of: Generation) -> Result<Arc<dyn MessageStore>> {
        Ok(Arc::new(LanceStore::open(self.config(of)).await?))
    }

    async fn remove(&self, of: Generation) -> Result<()> {
        Ok(open::remove(&self.config(of)).await?)
    }
}
