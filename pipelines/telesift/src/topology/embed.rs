//! Vectors: the model they come from, and the stage that fills them in behind the store.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use telesift_models::{
    Caller, Endpoint, HashEmbedder, LocalEmbedder, RemoteEmbedder, RemoteKind, RemoteModel,
};
use telesift_ports::Embedder;
use telesift_schemas::Class;
use telesift_stages::{embed::EmbedConfig, generations::Models};

use crate::config::{Config, Embed, EmbedKind};

/// Models are looked for here by name, below the data directory.
pub(crate) const MODELS_DIR: &str = "models";

/// The configured models, ready to use: the one, and the other where there is one.
pub(super) async fn open(config: &Config, data_dir: &Path) -> Result<Models> {
    let first = one(&config.embed, data_dir).await?;
    let other = match config.embed.next() {
        Some(next) => Some(one(&next, data_dir).await.context("in [embed.next]")?),
        None => None,
    };
    let other = other.filter(|other| other.model() != first.model());
    Ok(Models::new(first, other))
}

async fn one(embed: &Embed, data_dir: &Path) -> Result<Arc<dyn Embedder>> {
    match (embed.kind, embed.kind.remote()) {
        (EmbedKind::Hash, _) => Ok(Arc::new(HashEmbedder::default())),
        (_, Some(kind)) => remote(embed, kind),
        (_, None) => local(embed, data_dir).await,
    }
}

async fn local(embed: &Embed, data_dir: &Path) -> Result<Arc<dyn Embedder>> {
    let folder = folder(&embed.model, data_dir);
    let prefixes = embed.prefixes();
    let shown = folder.display().to_string();
    let loaded = tokio::task::spawn_blocking(move || LocalEmbedder::load(&folder, prefixes));
    let model = loaded.await?.with_context(|| {
        format!(
            "cannot load the embedding model from {shown}; `telesift models pull` brings one, embed.kind = \"hash\" does without"
        )
    })?;
    tracing::info!(model = model.model().id, "embedding model loaded");
    Ok(Arc::new(model))
}

/// A path as it is; a mere name below `<data dir>/models`.
fn folder(model: &str, data_dir: &Path) -> PathBuf {
    let named = Path::new(model);
    match named.components().count() {
        1 if !named.is_dir() => data_dir.join(MODELS_DIR).join(named),
        _ => named.to_owned(),
    }
}

fn remote(embed: &Embed, kind: RemoteKind) -> Result<Arc<dyn Embedder>> {
    // The address stands in the configuration file: whoever writes that is trusted.
    let endpoint = Endpoint::trusted(&embed.url).context("in embed.url")?;
    let provider = match kind {
        RemoteKind::OpenAi => "openai",
        RemoteKind::Ollama => "ollama",
    };
    ensure!(
        !(embed.local && kind.passes_on(&embed.model)),
        "embed.local says that texts stay here, and Ollama passes those of `{}` on",
        embed.model
    );
    let is_local = embed.local || kind.stays_here(&endpoint, &embed.model);
    let caller = Caller::new(provider, endpoint, embed.policy())?;
    let model = RemoteModel {
        kind,
        name: embed.model.clone(),
        dimensions: embed.dimensions,
        prefixes: embed.prefixes().unwrap_or_default(),
        key: (!embed.key.expose().is_empty()).then(|| embed.key.clone()),
        is_local,
    };
    Ok(Arc::new(RemoteEmbedder::new(model, Arc::new(caller))))
}

/// How vectors are made behind the store.
pub(super) fn stage(config: &Config) -> EmbedConfig {
    let mut stage = EmbedConfig {
        batch: config.embed.batch,
        // The index makes rows a moment after the log moved on.
        pause: Duration::from_millis(config.index.min_interval_ms + 500),
        ..EmbedConfig::default()
    };
    if config.embed.include_noise {
        stage.classes.push(Class::Noise);
    }
    stage
}
