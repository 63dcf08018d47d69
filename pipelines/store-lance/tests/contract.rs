//! LanceDB keeps the contract of every message store.

use telesift_ports::contract::message_store::model;
use telesift_store_lance::{LanceStore, LanceStoreConfig};

async fn open() -> (LanceStore, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let uri = folder.path().to_str().expect("a path");
    let mut config = LanceStoreConfig::new(uri, Some(model()));
    // Every maintenance of the suite shall index and merge.
    config.max_unindexed_rows = 0;
    let store = LanceStore::open(config).await.expect("the store opens");
    (store, folder)
}

telesift_ports::message_store_contract!(open);
