//! Topics and identities that are given up: first nobody finds them any more, durably; then the disk space is given back.

use fjall::PersistMode;
use telesift_ports::record_log::{Result, UniqueKey};
use telesift_schemas::{Generation, Topic};

use crate::{
    codec::{Slot, meta_key},
    error::unavailable,
    group::write_synced,
    store::Store,
    writer::FAILED,
};

/// Identities forgotten in one batch: a few milliseconds of the writer's time.
const FORGET_AT_ONCE: usize = 20_000;

/// Deletes a topic; one that is not there is deleted already.
pub(crate) fn delete_topic(store: &Store, topic: &Topic) -> Result<()> {
    let Ok(entry) = store.topic(topic) else {
        return Ok(());
    };
    if store.has_failed() {
        return Err(unavailable(FAILED));
    }
    let mut batch = store.db.batch().durability(Some(PersistMode::SyncAll));
    batch.remove(&store.meta, meta_key::topic(topic));
    for partition in &entry.partitions {
        batch.remove(&store.meta, meta_key::tail(partition.slot));
    }
    // Its number is never given to another topic, so what a crash leaves behind is nobody's.
    let highest = highest_deleted(store)?.map_or(entry.meta.id, |id| id.max(entry.meta.id));
    batch.insert(&store.meta, meta_key::DELETED, highest.to_le_bytes());
    write_synced(store, batch)?;
    store.drop_topic(topic);
    for partition in &entry.partitions {
        let deleted = store.db.delete_keyspace(partition.records.clone());
        deleted.map_err(|e| store.fjall_error(&e))?;
    }
    Ok(())
}

/// A number no topic has or had.
pub(crate) fn next_topic_id(store: &Store) -> Result<u32> {
    let ids = store.topics().into_iter().map(|(_, e)| e.meta.id);
    let highest = ids.chain(highest_deleted(store)?).max();
    Ok(highest.map_or(0, |highest| highest + 1))
}

fn highest_deleted(store: &Store) -> Result<Option<u32>> {
    let stored = store
        .meta
        .get(meta_key::DELETED)
        .map_err(|e| store.fjall_error(&e))?;
    Ok(stored
        .and_then(|bytes| bytes[..].try_into().ok())
        .map(u32::from_le_bytes))
}

/// Forgets some of the identities of `generation`; whether there may be more.
pub(crate) fn forget(store: &Store, generation: Generation) -> Result<bool> {
    if store.has_failed() {
        return Err(unavailable(FAILED));
    }
    let mut batch = store.db.batch().durability(Some(PersistMode::SyncAll));
    let mut n = 0;
    for found in store
        .unique
        .prefix(UniqueKey::prefix(generation))
        .take(FORGET_AT_ONCE)
    {
        let key = found.key().map_err(|e| store.fjall_error(&e))?;
        batch.remove(&store.unique, key);
        n += 1;
    }
    if n > 0 {
        write_synced(store, batch)?;
    }
    Ok(n == FORGET_AT_ONCE)
}

impl Store {
    /// Gives back what a crash in the middle of a deletion left behind.
    pub(crate) fn sweep_deleted(&self) -> Result<()> {
        let mut known: Vec<String> = Vec::new();
        for (_, entry) in self.topics() {
            let slots = (0..entry.meta.partitions).map(|n| Slot::new(entry.meta.id, n));
            known.extend(slots.map(Slot::keyspace_name));
        }
        for name in self.db.list_keyspace_names() {
            let name = name.to_string();
            if !name.starts_with(Slot::KEYSPACES) || known.contains(&name) {
                continue;
            }
            let left = self.open_keyspace(&name)?;
            self.db
                .delete_keyspace(left)
                .map_err(|e| self.fjall_error(&e))?;
        }
        Ok(())
    }
}
