//! Looks keys up by the hash of their secret, for a second out of memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use telesift_ports::{
    Catalog, Clock,
    catalog::{self, KeyRow},
};

use super::{Viewer, is_valid, issue::id_in, unauthorized};
use crate::problem::Result;

/// SHA-256 of a key's whole text. A key holds 256 random bits, so it needs no salt and no slow hash.
pub(crate) type SecretHash = [u8; 32];

/// The hash a key is stored under.
pub(crate) fn hash(secret: &str) -> SecretHash {
    Sha256::digest(secret.as_bytes()).into()
}

/// A found key is taken from memory this long: an upper bound for how late a revocation by another process counts.
const FRESH: Duration = Duration::from_secs(1);
/// Last use is noted at most this often.
const TOUCH_EVERY: Duration = Duration::from_secs(60);
/// Keys held in memory.
const CAPACITY: usize = 1_024;

/// The keys seen lately, before the catalog.
pub(crate) struct KeyRing {
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    seen: Mutex<HashMap<SecretHash, Seen>>,
}

struct Seen {
    key: Arc<KeyRow>,
    /// When it was looked up; `None` if that does not count any more.
    at: Option<Instant>,
    touched: Option<Instant>,
}

impl Seen {
    fn is_fresh(&self) -> bool {
        self.at.is_some_and(|at| at.elapsed() < FRESH)
    }
}

impl KeyRing {
    pub(crate) fn new(catalog: Arc<dyn Catalog>, clock: Arc<dyn Clock>) -> Self {
        KeyRing {
            catalog,
            clock,
            seen: Mutex::default(),
        }
    }

    /// Whether the key with this hash was valid when last looked up, and has not expired since.
    pub(crate) fn knows(&self, hash: &SecretHash) -> bool {
        let now = self.clock.now();
        self.seen().get(hash).is_some_and(|s| is_valid(&s.key, now))
    }

    /// The owner of `secret`.
    ///
    /// # Errors
    /// 401 if there is no such key or it does not work any more.
    pub(crate) async fn viewer(&self, secret: &str) -> Result<Viewer> {
        let id = id_in(secret).ok_or_else(unauthorized)?;
        let viewer = self.by_hash(hash(secret)).await?;
        // The look-up by hash decides already; the id in the key's text must be its own too.
        if bool::from(viewer.key.id.as_bytes().ct_eq(id.as_bytes())) {
            Ok(viewer)
        } else {
            Err(unauthorized())
        }
    }

    /// The owner of the key with this hash, as [`KeyRing::viewer`].
    pub(crate) async fn by_hash(&self, hash: SecretHash) -> Result<Viewer> {
        let key = match self.remembered(&hash) {
            Some(key) => key,
            None => self.look_up(hash).await?.ok_or_else(unauthorized)?,
        };
        if !is_valid(&key, self.clock.now()) {
            return Err(unauthorized());
        }
        self.touch(&hash, &key).await;
        Ok(Viewer { key, hash })
    }

    /// Has every key looked up anew, so that a revocation made here counts at once.
    pub(crate) fn forget_all(&self) {
        for seen in self.seen().values_mut() {
            seen.at = None;
        }
    }

    fn remembered(&self, hash: &SecretHash) -> Option<Arc<KeyRow>> {
        let seen = self.seen();
        let found = seen.get(hash)?;
        found.is_fresh().then(|| found.key.clone())
    }

    async fn look_up(&self, hash: SecretHash) -> catalog::Result<Option<Arc<KeyRow>>> {
        let found = self.catalog.key_by_hash(&hash).await?.map(Arc::new);
        let mut seen = self.seen();
        let touched = seen.remove(&hash).and_then(|s| s.touched);
        if let Some(key) = &found {
            if seen.len() >= CAPACITY {
                seen.retain(|_, s| s.is_fresh());
            }
            if seen.len() >= CAPACITY {
                seen.clear();
            }
            seen.insert(
                hash,
                Seen {
                    key: key.clone(),
                    at: Some(Instant::now()),
                    touched,
                },
            );
        }
        Ok(found)
    }

    async fn touch(&self, hash: &SecretHash, key: &KeyRow) {
        {
            let mut seen = self.seen();
            let Some(seen) = seen.get_mut(hash) else {
                return;
            };
            if seen.touched.is_some_and(|t| t.elapsed() < TOUCH_EVERY) {
                return;
            }
            seen.touched = Some(Instant::now());
        }
        if let Err(error) = self.catalog.touch_key(&key.id, self.clock.now()).await {
            tracing::warn!(key = key.id, %error, "last use of a key was not noted");
        }
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<SecretHash, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
