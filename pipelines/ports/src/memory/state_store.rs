//! The state of a log, in memory.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    StateStore,
    leases::Fence,
    record_log::StateWrite,
    state_store::{Error, Result},
};

/// A [`StateStore`] in memory.
#[derive(Default)]
pub struct MemoryState {
    values: Mutex<BTreeMap<String, Bytes>>,
}

impl MemoryState {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl StateStore for MemoryState {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        Ok(self.lock().get(key).cloned())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<(String, Bytes)>> {
        let values = self.lock();
        let from = values.range(prefix.to_owned()..);
        let found = from.take_while(|(key, _)| key.starts_with(prefix));
        Ok(found.map(|(k, v)| (k.clone(), v.clone())).collect())
    }

    /// Its owners are of one process, whose leases nobody else takes: no fence stands in their way.
    async fn compare_and_set_under(
        &self,
        guards: &[StateWrite],
        writes: &[StateWrite],
        _fence: &Fence,
    ) -> Result<()> {
        let mut values = self.lock();
        for (key, expected) in guards {
            if values.get(key) != expected.as_ref() {
                return Err(Error::GuardFailed { key: key.clone() });
            }
        }
        for (key, value) in writes {
            match value {
                Some(value) => values.insert(key.clone(), value.clone()),
                None => values.remove(key),
            };
        }
        Ok(())
    }
}
