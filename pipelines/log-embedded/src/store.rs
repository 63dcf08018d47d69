//! The database below: opened, checked, and read back into memory as far as it has to be there.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use fjall::{
    AbstractTree as _, CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode,
    config::{BlockSizePolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry},
};
use rand::Rng as _;
use telesift_ports::record_log::{Error, PartitionBounds, Result, TopicInfo};
use telesift_schemas::{Epoch, Offset, PartitionId, Topic, TopicPartition};
use tokio::sync::{oneshot, watch};

use crate::{
    EmbeddedLogConfig,
    codec::{Slot, Tail, TopicMeta, meta_key, offset_of_key, record_key},
    error::{from_fjall, from_io, locked, unavailable},
    journal,
};

/// Everything that holds the directory. Dropping the last handle releases it.
pub(crate) struct Store {
    pub(crate) epoch: Epoch,
    topics: RwLock<BTreeMap<Topic, Arc<TopicEntry>>>,
    /// All state, as the last durable group left it. It is small: positions, counters, progress.
    state: RwLock<BTreeMap<String, Bytes>>,
    pub(crate) unique: Keyspace,
    pub(crate) meta: Keyspace,
    pub(crate) db: Database,
    pub(crate) path: PathBuf,
    write_buffer_bytes: u64,
    /// Set by the writer after a failed sync.
    failed: AtomicBool,
    // Fields drop in this order: the lock goes after the database, and who waits for the release is told last.
    _lock: DirectoryLock,
    _released: oneshot::Sender<()>,
}

/// A topic in memory.
pub(crate) struct TopicEntry {
    pub(crate) meta: TopicMeta,
    pub(crate) partitions: Vec<Arc<Partition>>,
}

/// A partition in memory: where its records lie, and how far they may be read.
pub(crate) struct Partition {
    pub(crate) slot: Slot,
    pub(crate) records: Keyspace,
    /// Moved by the writer, after the sync.
    pub(crate) tail: watch::Sender<Tail>,
}

impl Store {
    /// Opens the log at `config.path`. `released` hears when everything is closed again.
    pub(crate) fn open(config: &EmbeddedLogConfig, released: oneshot::Sender<()>) -> Result<Self> {
        let path = config.path.as_path();
        fs::create_dir_all(path).map_err(|e| from_io(path, &e))?;
        let lock = DirectoryLock::acquire(path)?;
        let db_path = path.join("store");
        if db_path.join("version").exists() {
            journal::prepare(&db_path)?;
        }
        let fjall_error = |e: fjall::Error| from_fjall(path, &e);
        // Journal values stay uncompressed: fjall checks them by compressing again, which another version of the
        // compressor would fail. One worker: of several, one is kept free for flushing, and spins while another compacts
        // (a quarter of an import's CPU time, measured).
        let db = Database::builder(&db_path)
            .cache_size(config.block_cache_bytes)
            .max_journaling_size(config.max_journal_bytes.max(64 << 20))
            .journal_compression(CompressionType::None)
            .worker_threads(1)
            .open()
            .map_err(fjall_error)?;
        let meta = db.keyspace("meta", meta_options).map_err(fjall_error)?;
        let unique = db.keyspace("unique", unique_options).map_err(fjall_error)?;
        let epoch = match load_epoch(path, &meta)? {
            Some(epoch) => epoch,
            None => store_new_epoch(path, &db, &meta)?,
        };
        let mut store = Store {
            epoch,
            topics: RwLock::default(),
            state: RwLock::new(load_state(path, &meta)?),
            unique,
            meta,
            db,
            path: path.to_owned(),
            write_buffer_bytes: config.write_buffer_bytes.clamp(1 << 20, 64 << 20),
            failed: AtomicBool::new(false),
            _lock: lock,
            _released: released,
        };
        store.topics = RwLock::new(store.load_topics()?);
        store.sweep_deleted()?;
        Ok(store)
    }

    /// Gives this history a new identity, for a restored copy.
    pub(crate) fn renew_epoch(&mut self) -> Result<Epoch> {
        self.epoch = store_new_epoch(&self.path, &self.db, &self.meta)?;
        Ok(self.epoch.clone())
    }

    pub(crate) fn fjall_error(&self, error: &fjall::Error) -> Error {
        from_fjall(&self.path, error)
    }

    pub(crate) fn mark_failed(&self) {
        self.failed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    pub(crate) fn topic(&self, topic: &Topic) -> Result<Arc<TopicEntry>> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        let entry = topics.get(topic).cloned();
        entry.ok_or_else(|| Error::TopicNotFound(topic.clone()))
    }

    pub(crate) fn partition(&self, at: &TopicPartition) -> Result<Arc<Partition>> {
        let topic = self.topic(&at.topic)?;
        let partition = topic.partitions.get(at.partition.0 as usize).cloned();
        partition.ok_or_else(|| Error::PartitionNotFound(at.clone()))
    }

    pub(crate) fn topics(&self) -> Vec<(Topic, Arc<TopicEntry>)> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        topics.iter().map(|(t, e)| (t.clone(), e.clone())).collect()
    }

    pub(crate) fn put_topic(&self, topic: Topic, entry: TopicEntry) {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.insert(topic, Arc::new(entry));
    }

    pub(crate) fn drop_topic(&self, topic: &Topic) {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.remove(topic);
    }

    pub(crate) fn state(&self, key: &str) -> Option<Bytes> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.get(key).cloned()
    }

    pub(crate) fn state_with_prefix(&self, prefix: &str) -> Vec<(String, Bytes)> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let from = state.range(prefix.to_owned()..);
        let found = from.take_while(|(key, _)| key.starts_with(prefix));
        found.map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    pub(crate) fn publish_state(&self, writes: BTreeMap<String, Option<Bytes>>) {
        if writes.is_empty() {
            return;
        }
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in writes {
            match value {
                Some(value) => state.insert(key, value),
                None => state.remove(&key),
            };
        }
    }

    /// A keyspace of records, made if absent.
    pub(crate) fn open_keyspace(&self, name: &str) -> Result<Keyspace> {
        let options = || records_options(self.write_buffer_bytes);
        let opened = self.db.keyspace(name, options);
        opened.map_err(|e| self.fjall_error(&e))
    }

    /// The partition's keyspace, made if absent, and its tail.
    pub(crate) fn open_partition(&self, slot: Slot) -> Result<Partition> {
        let records = self.open_keyspace(&slot.keyspace_name())?;
        let stored = self
            .meta
            .get(meta_key::tail(slot))
            .map_err(|e| self.fjall_error(&e))?;
        let tail = match stored {
            Some(bytes) => Tail::decode(&bytes).ok_or_else(|| damaged(&self.path, "a tail"))?,
            None => Tail::NEW,
        };
        // Tail and records are written in one batch; a record above the tail means one of them is not what it was.
        if let Some(last) = records.last_key_value() {
            let key = last.key().map_err(|e| self.fjall_error(&e))?;
            if offset_of_key(&key).is_none_or(|last| last >= tail.end) {
                return Err(damaged(&self.path, "a tail"));
            }
        }
        let partition = Partition {
            slot,
            records,
            tail: watch::Sender::new(tail),
        };
        partition.drop_evicted(&self.path)?;
        Ok(partition)
    }

    fn load_topics(&self) -> Result<BTreeMap<Topic, Arc<TopicEntry>>> {
        let mut topics = BTreeMap::new();
        for (name, value) in prefixed(&self.path, &self.meta, meta_key::TOPICS)? {
            let meta: TopicMeta = serde_json::from_slice(&value)
                .map_err(|_| damaged(&self.path, "the list of topics"))?;
            let partitions = (0..meta.partitions)
                .map(|n| Ok(Arc::new(self.open_partition(Slot::new(meta.id, n))?)));
            let partitions = partitions.collect::<Result<Vec<_>>>()?;
            topics.insert(Topic::new(name), Arc::new(TopicEntry { meta, partitions }));
        }
        Ok(topics)
    }
}

impl TopicEntry {
    pub(crate) fn bounds(&self) -> Vec<PartitionBounds> {
        let numbered = self.partitions.iter().zip(0..);
        let bounds = numbered.map(|(p, n)| PartitionBounds {
            partition: PartitionId(n),
            bounds: p.tail().bounds(),
        });
        bounds.collect()
    }

    pub(crate) fn info(&self, topic: Topic) -> TopicInfo {
        TopicInfo {
            topic,
            partitions: self.bounds(),
            retention: self.meta.retention.clone(),
        }
    }
}

impl Partition {
    pub(crate) fn tail(&self) -> Tail {
        *self.tail.borrow()
    }

    /// Gives back the disk space of tables that lie wholly before the start. No table is rewritten for it; what is evicted
    /// of the table at the start, and of the write buffer, goes with a later run.
    pub(crate) fn drop_evicted(&self, path: &Path) -> Result<()> {
        let start = self.tail().start;
        if start == Offset::ZERO {
            return Ok(());
        }
        self.records
            .tree
            .drop_range(..record_key(start))
            .map_err(|e| from_fjall(path, &fjall::Error::Storage(e)))
    }
}

/// The lock that keeps a second process out.
struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    fn acquire(path: &Path) -> Result<Self> {
        let lock_path = path.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|e| from_io(&lock_path, &e))?;
        match file.try_lock() {
            Ok(()) => Ok(DirectoryLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(locked(path)),
            Err(TryLockError::Error(e)) => Err(from_io(&lock_path, &e)),
        }
    }
}

/// Records: keys only ascend within a keyspace, so tables never overlap, and compaction moves them without rewriting. So
/// values stay with their keys (separating them pays where compaction copies them), and blocks are compressed when first
/// written. 16 KiB blocks: forward reads, better compression. No filters: every offset asked for exists.
fn records_options(write_buffer_bytes: u64) -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(write_buffer_bytes)
        .data_block_size_policy(BlockSizePolicy::all(16 << 10))
        .data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4))
        .filter_policy(FilterPolicy::all(FilterPolicyEntry::None))
}

/// Unique keys: random hashes, nearly all asked for before they exist: filters on every level, no compression.
fn unique_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(16 << 20)
        .data_block_compression_policy(CompressionPolicy::all(CompressionType::None))
}

/// Epoch, topics, tails, state: small, and written over and over.
fn meta_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().max_memtable_size(4 << 20)
}

fn load_epoch(path: &Path, meta: &Keyspace) -> Result<Option<Epoch>> {
    let stored = meta
        .get(meta_key::EPOCH)
        .map_err(|e| from_fjall(path, &e))?;
    let Some(stored) = stored else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&stored).into_owned();
    Epoch::new(text)
        .map(Some)
        .map_err(|_| damaged(path, "the epoch"))
}

fn store_new_epoch(path: &Path, db: &Database, meta: &Keyspace) -> Result<Epoch> {
    const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut random = rand::rng();
    // 36⁸ histories: enough to tell a restored log from the one it was copied from, short enough for a cursor.
    let text: String = (0..8)
        .map(|_| char::from(ALPHABET[random.random_range(0..ALPHABET.len())]))
        .collect();
    let epoch = Epoch::new(text).map_err(unavailable_epoch)?;
    let mut batch = db.batch().durability(Some(PersistMode::SyncAll));
    batch.insert(meta, meta_key::EPOCH, epoch.as_str());
    batch.commit().map_err(|e| from_fjall(path, &e))?;
    Ok(epoch)
}

fn unavailable_epoch(error: telesift_schemas::CursorError) -> Error {
    unavailable(error)
}

fn load_state(path: &Path, meta: &Keyspace) -> Result<BTreeMap<String, Bytes>> {
    let stored = prefixed(path, meta, meta_key::STATES)?;
    Ok(stored
        .into_iter()
        .map(|(k, v)| (k, Bytes::from(v)))
        .collect())
}

fn prefixed(path: &Path, meta: &Keyspace, prefix: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    let mut found = Vec::new();
    for guard in meta.prefix(prefix) {
        let (key, value) = guard.into_inner().map_err(|e| from_fjall(path, &e))?;
        let name =
            String::from_utf8(key[prefix.len()..].to_vec()).map_err(|_| damaged(path, "a name"))?;
        found.push((name, value.to_vec()));
    }
    Ok(found)
}

fn damaged(path: &Path, what: &str) -> Error {
    unavailable(format_args!(
        "{}: {what} is damaged: restore a backup",
        path.display()
    ))
}
