//! How a store is set up.

use std::{collections::BTreeMap, time::Duration};

use telesift_ports::embedder::EmbeddingModel;
use telesift_schemas::Generation;

/// Where a store lies, and how much it may use.
#[derive(Clone, Debug)]
pub struct LanceStoreConfig {
    /// A folder, or an object store's URL such as `s3://bucket/prefix` (where built in). Made if it is not there.
    pub uri: String,
    /// Options of the object store, such as region and endpoint. May hold secrets; never shown.
    pub storage_options: BTreeMap<String, String>,
    /// The model of the vectors; part of the tables' identity. `None`: no vectors, search by text only.
    pub model: Option<EmbeddingModel>,
    /// Which generation; all but the first have tables of their own, such as `messages-g2`.
    pub generation: Generation,
    /// Memory for cached parts of indexes, in bytes.
    pub index_cache_bytes: usize,
    /// Memory for cached file metadata, in bytes.
    pub metadata_cache_bytes: usize,
    /// How long replaced files are kept for readers that still use them.
    pub keep_replaced: Duration,
    /// Maintenance lets this many fresh rows be found by a scan before it extends the indexes over them.
    pub max_unindexed_rows: usize,
    /// Below this many vectors comparing all of them is as fast as an index, and exact.
    pub min_vectors_for_index: usize,
}

impl LanceStoreConfig {
    /// The defaults, for a store at `uri` with vectors of `model`.
    pub fn new(uri: impl Into<String>, model: Option<EmbeddingModel>) -> Self {
        LanceStoreConfig {
            uri: uri.into(),
            storage_options: BTreeMap::new(),
            model,
            generation: Generation::FIRST,
            index_cache_bytes: 256 << 20,
            metadata_cache_bytes: 64 << 20,
            keep_replaced: Duration::from_secs(600),
            max_unindexed_rows: 2_000,
            min_vectors_for_index: 10_000,
        }
    }
}
