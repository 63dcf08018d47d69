//! The section `[embed]`: which model makes vectors, and how hard it may work.

use std::num::NonZeroU32;

use anyhow::{Result, ensure};
use serde::Deserialize;
use telesift_models::{CallPolicy, Prefixes, RemoteKind};
use telesift_ports::Secret;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Embed {
    pub(crate) kind: EmbedKind,
    pub(crate) model: String,
    pub(crate) url: String,
    pub(crate) key: Secret,
    pub(crate) dimensions: usize,
    query_prefix: String,
    passage_prefix: String,
    pub(crate) batch: usize,
    pub(crate) include_noise: bool,
    timeout_s: u64,
    max_concurrent: usize,
    requests_per_minute: u32,
    tokens_per_minute: u32,
}

/// Where vectors come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EmbedKind {
    Hash,
    Local,
    OpenAi,
    Ollama,
}

impl EmbedKind {
    /// The interface of a provider, if it is one.
    pub(crate) fn remote(self) -> Option<RemoteKind> {
        match self {
            EmbedKind::OpenAi => Some(RemoteKind::OpenAi),
            EmbedKind::Ollama => Some(RemoteKind::Ollama),
            EmbedKind::Hash | EmbedKind::Local => None,
        }
    }
}

impl Embed {
    pub(super) fn check(&self) -> Result<()> {
        ensure!(self.batch >= 1, "embed.batch must be at least 1");
        ensure!(
            self.kind == EmbedKind::Hash || !self.model.is_empty(),
            "embed.model must name the model: a folder for `local`, the provider's name for it for `openai` and `ollama`"
        );
        if self.kind.remote().is_some() {
            ensure!(
                !self.url.is_empty(),
                "embed.url must name the provider's address"
            );
            ensure!(
                self.dimensions >= 1,
                "embed.dimensions must say how many floats a vector of `{}` has",
                self.model
            );
            ensure!(
                self.max_concurrent >= 1 && self.timeout_s >= 1,
                "embed.max_concurrent and embed.timeout_s must be at least 1"
            );
        }
        Ok(())
    }

    /// The prefixes, where any is set.
    pub(crate) fn prefixes(&self) -> Option<Prefixes> {
        let prefixes = Prefixes {
            query: self.query_prefix.clone(),
            passage: self.passage_prefix.clone(),
        };
        (prefixes != Prefixes::default()).then_some(prefixes)
    }

    pub(crate) fn policy(&self) -> CallPolicy {
        CallPolicy {
            timeout: std::time::Duration::from_secs(self.timeout_s),
            max_concurrent: self.max_concurrent,
            requests_per_minute: NonZeroU32::new(self.requests_per_minute),
            tokens_per_minute: NonZeroU32::new(self.tokens_per_minute),
            ..CallPolicy::default()
        }
    }
}
