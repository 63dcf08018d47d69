//! How a store is set up.

use std::{collections::BTreeMap, fmt, time::Duration};

use telesift_ports::embedder::EmbeddingModel;
use telesift_schemas::Generation;

/// Where a store lies, and how much it may use.
#[derive(Clone, Debug)]
pub struct LanceStoreConfig {
    /// A folder, or an object store's URL such as `s3://bucket/prefix` (where built in). Made if it is not there.
    pub uri: String,
    /// Options of the object store, such as region and endpoint.
    pub storage_options: StorageOptions,
    /// The model of the vectors; part of the tables' identity. `None`: no vectors, search by text only.
    pub model: Option<EmbeddingModel>,
    /// What the tables are called: `messages`, unless the store is of something else.
    pub table: &'static str,
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
            storage_options: StorageOptions::default(),
            model,
            table: "messages",
            generation: Generation::FIRST,
            index_cache_bytes: 256 << 20,
            metadata_cache_bytes: 64 << 20,
            keep_replaced: Duration::from_secs(600),
            max_unindexed_rows: 2_000,
            min_vectors_for_index: 10_000,
        }
    }
}

/// Where an S3-compatible object store is, and who asks. What is not said is taken from the environment (`AWS_REGION`,
/// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, …), a profile, or the machine's own role.
#[derive(Clone, Default)]
pub struct S3Config {
    /// Its address, such as `http://minio.local:9000`; Amazon's if `None`. Plain HTTP is spoken only if this says so.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// The id of the access key.
    pub access_key_id: Option<String>,
    /// The access key itself.
    pub secret_access_key: Option<String>,
}

/// Options of an object store, by Lance's names. Some are secrets: `Debug` shows the names alone.
#[derive(Clone, Default)]
pub struct StorageOptions(pub(crate) BTreeMap<String, String>);

impl From<S3Config> for StorageOptions {
    fn from(s3: S3Config) -> Self {
        let is_plain = s3
            .endpoint
            .as_ref()
            .is_some_and(|e| e.starts_with("http://"));
        let plain = is_plain.then(|| "true".to_owned());
        let named = [
            ("aws_endpoint", s3.endpoint),
            ("aws_region", s3.region),
            ("aws_access_key_id", s3.access_key_id),
            ("aws_secret_access_key", s3.secret_access_key),
            ("allow_http", plain),
        ];
        let said = named
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        StorageOptions(said.collect())
    }
}

impl fmt::Debug for StorageOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl fmt::Debug for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        StorageOptions::from(self.clone()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_never_shown() {
        let s3 = S3Config {
            endpoint: Some("http://127.0.0.1:9000".to_owned()),
            access_key_id: Some("AKIA0".to_owned()),
            secret_access_key: Some("hunter2".to_owned()),
            ..S3Config::default()
        };
        let mut config = LanceStoreConfig::new("s3://bucket/path", None);
        config.storage_options = s3.clone().into();
        let shown = format!("{config:?} {s3:?}");
        assert!(shown.contains("aws_secret_access_key"), "{shown}");
        assert!(
            !shown.contains("hunter2") && !shown.contains("AKIA0"),
            "{shown}"
        );
        assert_eq!(config.storage_options.0["allow_http"], "true");
        let secure = S3Config {
            endpoint: Some("https://objects.example".to_owned()),
            ..S3Config::default()
        };
        assert!(!StorageOptions::from(secure).0.contains_key("allow_http"));
    }
}
