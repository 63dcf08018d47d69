//! Watches the keys of open streams, so that a revoked or expired one closes them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use telesift_ports::{Catalog, Clock};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{SecretHash, is_valid};

/// The keys of open streams: one watcher per key, however many streams it has.
pub(crate) struct LiveKeys {
    every: Duration,
    watched: Mutex<HashMap<SecretHash, Weak<LiveKey>>>,
}

/// A key some stream lives on. The watcher ends with the last holder.
pub(crate) struct LiveKey {
    ended: CancellationToken,
    _watcher: DropGuard,
}

impl LiveKey {
    /// Returns once the key does not work any more.
    pub(crate) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

impl LiveKeys {
    pub(crate) fn new(every: Duration) -> Self {
        LiveKeys {
            every,
            watched: Mutex::default(),
        }
    }

    /// Watches the key with this hash.
    pub(crate) fn watch(
        &self,
        hash: SecretHash,
        catalog: &Arc<dyn Catalog>,
        clock: &Arc<dyn Clock>,
    ) -> Arc<LiveKey> {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = watched.get(&hash).and_then(Weak::upgrade) {
            return key;
        }
        watched.retain(|_, key| key.strong_count() > 0);
        let stop = CancellationToken::new();
        let key = Arc::new(LiveKey {
            ended: CancellationToken::new(),
            _watcher: stop.clone().drop_guard(),
        });
        watched.insert(hash, Arc::downgrade(&key));
        let watcher = Watcher {
            hash,
            every: self.every,
            catalog: catalog.clone(),
            clock: clock.clone(),
            ended: key.ended.clone(),
        };
        tokio::spawn(async move {
            stop.run_until_cancelled(watcher.run()).await;
        });
        key
    }
}

struct Watcher {
    hash: SecretHash,
    every: Duration,
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    ended: CancellationToken,
}

impl Watcher {
    async fn run(self) {
        loop {
            tokio::time::sleep(self.every).await;
            match self.catalog.key_by_hash(&self.hash).await {
                Ok(Some(key)) if is_valid(&key, self.clock.now()) => {}
                Ok(_) => {
                    self.ended.cancel();
                    return;
                }
                // An unreachable catalog revokes nobody; requests are refused meanwhile.
                Err(error) => tracing::warn!(%error, "key of an open stream could not be checked"),
            }
        }
    }
}
