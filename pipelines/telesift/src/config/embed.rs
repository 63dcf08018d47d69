//! The section `[embed]`: which model makes vectors, and how hard it may work.

use std::num::NonZeroU32;

use anyhow::{Context, Result, ensure};
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
    pub(crate) local: bool,
    pub(crate) dimensions: usize,
    query_prefix: String,
    passage_prefix: String,
    pub(crate) batch: usize,
    pub(crate) include_noise: bool,
    timeout_s: u64,
    max_concurrent: usize,
    requests_per_minute: u32,
    tokens_per_minute: u32,
    next: Next,
}

/// Another model beside the one above; how hard it may work is said there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Next {
    kind: EmbedKind,
    model: String,
    url: String,
    key: Secret,
    local: bool,
    dimensions: usize,
    query_prefix: String,
    passage_prefix: String,
}

/// Where vectors come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EmbedKind {
    None,
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
            EmbedKind::None | EmbedKind::Hash | EmbedKind::Local => None,
        }
    }
}

impl Embed {
    /// The other model, as if it were the one.
    pub(crate) fn next(&self) -> Option<Embed> {
        let next = self.next.clone();
        (next.kind != EmbedKind::None).then(|| Embed {
            kind: next.kind,
            model: next.model,
            url: next.url,
            key: next.key,
            local: next.local,
            dimensions: next.dimensions,
            query_prefix: next.query_prefix,
            passage_prefix: next.passage_prefix,
            ..self.clone()
        })
    }

    pub(super) fn check(&self) -> Result<()> {
        ensure!(
            self.kind != EmbedKind::None,
            "embed.kind must say what makes the vectors; \"hash\" is built in"
        );
        self.check_model()?;
        self.next().map_or(Ok(()), |next| {
            next.check_model().context("of the model in embed.next")
        })
    }

    fn check_model(&self) -> Result<()> {
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
