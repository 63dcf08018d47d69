//! An object store is asked, before anything is stored there, whether it keeps what every commit stands on: that of two
//! who create one key only one succeeds.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use lance::io::{ObjectStore, ObjectStoreParams, ObjectStoreRegistry, StorageOptionsAccessor};
use object_store::{ObjectStoreExt as _, PutMode, PutOptions, path::Path};
use telesift_ports::message_store::{Error, Result};

use crate::config::LanceStoreConfig;

/// Creates one key twice: the second time must fail.
///
/// # Errors
/// [`Error::Unsuitable`] if it does not; [`Error::Unavailable`] if the store cannot be reached or does not let us in.
pub(crate) async fn check_conditional_put(config: &LanceStoreConfig) -> Result<()> {
    let options = config.storage_options.0.clone().into_iter().collect();
    let params = ObjectStoreParams {
        storage_options_accessor: Some(Arc::new(StorageOptionsAccessor::with_static_options(
            options,
        ))),
        ..ObjectStoreParams::default()
    };
    let registry = Arc::new(ObjectStoreRegistry::default());
    let store = ObjectStore::from_uri_and_params(registry, &config.uri, &params).await;
    let (store, base) = store.map_err(|e| unavailable(config, &e))?;
    let probe = base.join(unique_name().as_str());
    create(&store, &probe)
        .await
        .map_err(|e| unavailable(config, &e))?;
    let second = create(&store, &probe).await;
    if let Err(error) = store.inner.delete(&probe).await {
        tracing::debug!(%error, "the probe's key stays in the object store");
    }
    match second {
        Err(
            object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. },
        ) => Ok(()),
        Ok(()) => Err(Error::Unsuitable(format!(
            "the object store at `{}` ignores conditional writes (`If-None-Match: *`): two writers could overwrite each \
             other's commits. Use one that honours them, such as Amazon S3, MinIO or Ceph of a recent version, or a folder",
            config.uri
        ))),
        Err(other) => Err(unavailable(config, &other)),
    }
}

async fn create(store: &ObjectStore, key: &Path) -> object_store::Result<()> {
    let options = PutOptions {
        mode: PutMode::Create,
        ..PutOptions::default()
    };
    let put = store.inner.put_opts(key, "telesift".into(), options).await;
    put.map(drop)
}

/// A name nobody else probes with.
fn unique_name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = now.map_or(0, |d| d.as_nanos());
    format!("probe-{}-{nanos}", std::process::id())
}

fn unavailable(config: &LanceStoreConfig, error: &impl std::fmt::Display) -> Error {
    Error::Unavailable(format!("object store at `{}`: {error}", config.uri))
}
