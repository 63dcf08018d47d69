//! The identities seen lately, to refuse duplicates: best effort, where the log itself knows none.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use telesift_ports::record_log::{NewRecord, UniqueKey};
use telesift_schemas::TopicPartition;
use tokio::sync::Notify;

/// Identities, bounded in number; the oldest go first.
pub(crate) struct Recent {
    inner: Mutex<Inner>,
    /// Rung whenever a claim ends.
    ended: Notify,
    max_keys: usize,
}

#[derive(Default)]
struct Inner {
    known: HashSet<UniqueKey>,
    order: VecDeque<UniqueKey>,
    /// Being appended: what becomes of them is not known yet.
    claimed: HashSet<UniqueKey>,
    loaded: HashMap<TopicPartition, Arc<tokio::sync::Mutex<bool>>>,
}

/// The identities of appends under way. Dropped without [`Claim::keep`], they are forgotten: better a duplicate, which
/// screening refuses, than a record refused that was never stored.
pub(crate) struct Claim<'a> {
    recent: &'a Recent,
    keys: Vec<UniqueKey>,
}

impl Recent {
    pub(crate) fn new(max_keys: usize) -> Self {
        Recent {
            inner: Mutex::default(),
            ended: Notify::new(),
            max_keys,
        }
    }

    /// Whether the end of a partition was looked through already; held by the one who does.
    pub(crate) fn loaded(&self, at: &TopicPartition) -> Arc<tokio::sync::Mutex<bool>> {
        self.lock().loaded.entry(at.clone()).or_default().clone()
    }

    /// Remembers the identities of records found in the log.
    pub(crate) fn remember(&self, keys: impl IntoIterator<Item = UniqueKey>) {
        self.lock().remember(keys, self.max_keys);
    }

    /// Claims the identities of `appends`; says of each append whether it is new. Waits for claims of others on the same
    /// identities, whose fate decides.
    pub(crate) async fn claim(
        &self,
        appends: &[(TopicPartition, NewRecord)],
    ) -> (Claim<'_>, Vec<bool>) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if let Some((keys, is_new)) = self.lock().claim(appends) {
                return (Claim { recent: self, keys }, is_new);
            }
            ended.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn claim(
        &mut self,
        appends: &[(TopicPartition, NewRecord)],
    ) -> Option<(Vec<UniqueKey>, Vec<bool>)> {
        let mut keys = HashSet::new();
        let mut is_new = Vec::with_capacity(appends.len());
        for (_, record) in appends {
            if record.unique.iter().any(|key| self.claimed.contains(key)) {
                return None;
            }
            let is_known = |key: &UniqueKey| self.known.contains(key) || keys.contains(key);
            let new = !record.unique.iter().any(is_known);
            if new {
                keys.extend(record.unique.iter().copied());
            }
            is_new.push(new);
        }
        self.claimed.extend(keys.iter().copied());
        Some((keys.into_iter().collect(), is_new))
    }

    fn remember(&mut self, keys: impl IntoIterator<Item = UniqueKey>, max_keys: usize) {
        for key in keys {
            if self.known.insert(key) {
                self.order.push_back(key);
            }
        }
        while self.order.len() > max_keys {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}

impl Claim<'_> {
    /// The appends are in the log.
    pub(crate) fn keep(self) {
        let keys = self.keys.clone();
        self.recent.lock().remember(keys, self.recent.max_keys);
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut inner = self.recent.lock();
        for key in &self.keys {
            inner.claimed.remove(key);
        }
        drop(inner);
        self.recent.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use telesift_schemas::{PartitionId, Topic};

    use super::*;

    fn append(keys: &[&str]) -> (TopicPartition, NewRecord) {
        let record = NewRecord {
            key: Bytes::new(),
            value: Bytes::new(),
            unique: keys.iter().map(|k| UniqueKey::new("t", &[k])).collect(),
        };
        (TopicPartition::new(Topic::MESSAGES, PartitionId(0)), record)
    }

    #[tokio::test]
    async fn what_failed_is_new_again_and_what_was_kept_is_not() {
        let recent = Recent::new(10);
        let (claim, is_new) = recent.claim(&[append(&["a"]), append(&["a", "b"])]).await;
        assert_eq!(is_new, [true, false]);
        drop(claim);
        let (claim, is_new) = recent.claim(&[append(&["a"])]).await;
        assert_eq!(is_new, [true]);
        claim.keep();
        let (_, is_new) = recent.claim(&[append(&["b"]), append(&["a"])]).await;
        assert_eq!(is_new, [true, false]);
    }

    #[tokio::test]
    async fn a_second_claim_waits_for_the_fate_of_the_first() {
        let recent = Recent::new(10);
        let appends = [append(&["a"])];
        let (first, _) = recent.claim(&appends).await;
        let mut second = Box::pin(recent.claim(&appends));
        assert!(futures::poll!(&mut second).is_pending());
        first.keep();
        let (_, is_new) = second.await;
        assert_eq!(is_new, [false]);
    }

    #[tokio::test]
    async fn the_oldest_are_forgotten() {
        let recent = Recent::new(2);
        for key in ["a", "b", "c"] {
            recent.claim(&[append(&[key])]).await.0.keep();
        }
        let (_, is_new) = recent
            .claim(&[append(&["a"]), append(&["b"]), append(&["c"])])
            .await;
        assert_eq!(is_new, [true, false, false]);
    }
}
