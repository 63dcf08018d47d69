//! The parts of the flow that lie somewhere: opened as the configuration says.

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result};
use telesift_catalog::{CatalogConfig, KeySource, Location, SecretKey, SqlCatalog};
use telesift_engine::{ChainSpec, EngineChain, ModuleSpec};
use telesift_models::HashEmbedder;
use telesift_ports::{
    AtomIndex, Embedder, SmartModuleChain, catalog,
    message_store::{self, StoreSets},
};
use telesift_schemas::Generation;
use telesift_stages::{generations::Models, screen::ChainFactory};
use telesift_store_lance::{LanceStoreConfig, LanceStores, S3Config};

use crate::{config::Config, exit};

pub(super) async fn catalog(config: &Config, data_dir: &Path) -> Result<SqlCatalog> {
    let location = match config.catalog.url.as_str() {
        "" => Location::File(data_dir.join("catalog.db")),
        url => url.parse()?,
    };
    let mut catalog = CatalogConfig::new(location);
    catalog.max_connections = config.catalog.max_connections;
    catalog.secret_key = secret_key(data_dir)?;
    let catalog = SqlCatalog::open(catalog)
        .await
        .context("cannot open the catalog")?;
    if config.is_shared() {
        check_secret_key(config, &catalog).await?;
    }
    Ok(catalog)
}

/// Workers that share a catalog must open what the others seal.
async fn check_secret_key(config: &Config, catalog: &SqlCatalog) -> Result<()> {
    let checked = catalog.check_secret_key().await;
    match (checked, config.catalog.secret_key_lost) {
        (Err(catalog::Error::SecretKey(reason)), true) => {
            tracing::warn!(reason, "the key is lost: what it sealed stays closed");
            catalog.forget_secret_key().await?;
            Ok(())
        }
        (Err(error @ catalog::Error::SecretKey(_)), false) => Err(error).context(
            "this worker has not the secret key of the catalog it shares: give every worker the same TELESIFT_SECRET_KEY (64 hexadecimal digits); if it is lost, start one worker with TELESIFT__CATALOG__SECRET_KEY_LOST=true (see docs/operations.md)",
        ),
        (checked, _) => checked.context("cannot check the secret key of the catalog"),
    }
}

/// The key that seals secrets: of the environment, else of the data directory.
fn secret_key(data_dir: &Path) -> Result<KeySource> {
    match std::env::var("TELESIFT_SECRET_KEY") {
        Ok(text) => {
            let key = SecretKey::from_hex(&text).context("TELESIFT_SECRET_KEY cannot be used");
            Ok(KeySource::Given(key.map_err(exit::usage)?))
        }
        Err(_) => Ok(KeySource::File(data_dir.join("secret.key"))),
    }
}

/// The message stores of all generations; none is open yet.
pub(super) fn stores(config: &Config, data_dir: &Path) -> LanceStores {
    LanceStores::new(store_config(config, data_dir))
}

/// The index of atoms, which lies beside them. A claim may be of several chats and has no consent of its own, so that only a
/// model that keeps texts here is given any: a configured one, else the built-in one. Where the index holds vectors of a model that is configured no more, it is made anew:
/// it is filled from `atoms` again.
pub(super) async fn atom_index(
    config: &Config,
    data_dir: &Path,
    models: &Models,
) -> Result<AtomIndex> {
    let mut store = store_config(config, data_dir);
    store.table = "atoms";
    store.index_cache_bytes = 32 << 20;
    store.metadata_cache_bytes = 16 << 20;
    let sets = LanceStores::new(store);
    let cannot = "cannot open the index of atoms";
    let configured = models.all().iter().filter(|model| model.is_local());
    let mut here: Vec<Arc<dyn Embedder>> = configured.cloned().collect();
    if here.is_empty() {
        here.push(Arc::new(HashEmbedder::default()));
    }
    for embedder in &here {
        match sets.open(Generation::FIRST, embedder.model()).await {
            Ok(store) => return Ok(AtomIndex::new(store, embedder.clone())),
            Err(message_store::Error::ModelMismatch { .. }) => {}
            Err(error) => return Err(error).context(cannot),
        }
    }
    let embedder = here.swap_remove(0);
    tracing::warn!(
        model = embedder.model().id,
        "the index of atoms holds vectors of a model that is not configured: it is made anew"
    );
    sets.remove(Generation::FIRST).await.context(cannot)?;
    let store = sets.open(Generation::FIRST, embedder.model()).await;
    Ok(AtomIndex::new(store.context(cannot)?, embedder))
}

/// Without a model: each store is opened with its own.
fn store_config(config: &Config, data_dir: &Path) -> LanceStoreConfig {
    let uri = match config.store.uri.as_str() {
        "" => data_dir.join("lance").display().to_string(),
        uri => uri.to_owned(),
    };
    let said = |value: &str| (!value.is_empty()).then(|| value.to_owned());
    let mut store = LanceStoreConfig::new(uri, None);
    store.storage_options = S3Config {
        endpoint: said(&config.store.endpoint),
        region: said(&config.store.region),
        access_key_id: config.store.access_key_id.expose(),
        secret_access_key: config.store.secret_access_key.expose(),
    }
    .into();
    store
}

/// The canonical chain, from the `.wasm` this binary carries: `normalize`, then `signal-score` with the rules, which it has
/// already if they ship with it.
pub(super) fn chain_factory(config: &Config) -> ChainFactory {
    let memory_limit_bytes = config.screen.memory_limit_mib << 20;
    Arc::new(move |rules| {
        let scorer = ModuleSpec::new("signal-score", telesift_bundle::SIGNAL_SCORE);
        let scorer = match rules.shipped {
            true => scorer,
            false => scorer.with_param("rules", rules.data.to_string()),
        };
        let normalizer = ModuleSpec::new("normalize", telesift_bundle::NORMALIZE);
        let chain = EngineChain::new(ChainSpec {
            modules: test_guest()
                .into_iter()
                .chain([normalizer, scorer])
                .collect(),
            memory_limit_bytes,
        })?;
        Ok(Box::new(chain) as Box<dyn SmartModuleChain>)
    })
}

/// The guest that misbehaves, in front of the chain of a binary built to be tested with it.
fn test_guest() -> Option<ModuleSpec> {
    #[cfg(feature = "test-guests")]
    if let Ok(mode) = std::env::var("TELESIFT_TEST_GUEST") {
        let guest = ModuleSpec::new("misbehave", telesift_bundle::MISBEHAVE);
        return Some(guest.with_param("mode", mode));
    }
    None
}
