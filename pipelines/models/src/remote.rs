//! Embedding models behind HTTP: any OpenAI-compatible endpoint, and Ollama.

mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use telesift_ports::{
    Secret,
    embedder::{EmbedError, Embedder, EmbeddingCost, EmbeddingModel, Purpose},
};

use crate::{
    Endpoint, Prefixes,
    call::{CallError, Caller},
    telemetry,
};

/// Texts per call: what every provider takes.
const MAX_TEXTS: usize = 96;
/// Characters of a text that are sent; more than any of these models reads.
const MAX_CHARS: usize = 16_000;

/// Which interface a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteKind {
    /// `POST {base}/embeddings`.
    OpenAi,
    /// `POST {base}/api/embed`.
    Ollama,
}

impl RemoteKind {
    /// Whether what `endpoint` is given is sure to stay on this machine: Ollama there, unless it passes the model's texts on
    /// to its makers.
    pub fn stays_here(self, endpoint: &Endpoint, model: &str) -> bool {
        self == RemoteKind::Ollama && endpoint.is_loopback() && !self.passes_on(model)
    }

    /// Whether a provider only passes on what `model` is given.
    pub fn passes_on(self, model: &str) -> bool {
        self == RemoteKind::Ollama && model.ends_with("cloud")
    }
}

/// A model of a provider.
#[derive(Clone, Debug)]
pub struct RemoteModel {
    /// The interface.
    pub kind: RemoteKind,
    /// Its name there.
    pub name: String,
    /// Floats per vector. The provider is held to it.
    pub dimensions: usize,
    /// What it wants before a text.
    pub prefixes: Prefixes,
    /// The key, where one is needed. Never shown.
    pub key: Option<Secret>,
    /// Whether texts stay with whoever runs this: see [`Embedder::is_local`].
    pub is_local: bool,
}

/// An embedder behind HTTP.
#[derive(Clone, Debug)]
pub struct RemoteEmbedder {
    model: EmbeddingModel,
    remote: RemoteModel,
    caller: Arc<Caller>,
}

impl RemoteEmbedder {
    /// The model `remote`, called through `caller`.
    pub fn new(remote: RemoteModel, caller: Arc<Caller>) -> Self {
        let model = EmbeddingModel {
            id: format!("{}:{}", caller.provider(), remote.name),
            dimensions: remote.dimensions,
        };
        RemoteEmbedder {
            model,
            remote,
            caller,
        }
    }

    async fn call(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, CallError> {
        // A token is about four letters of English and two of Cyrillic; the limit is better hit early than late.
        let n_chars: usize = texts.iter().map(|t| t.chars().count()).sum();
        let n_tokens = u32::try_from(n_chars / 2 + texts.len()).unwrap_or(u32::MAX);
        let body = wire::request(&self.remote, texts);
        let path = match self.remote.kind {
            RemoteKind::OpenAi => "embeddings",
            RemoteKind::Ollama => "api/embed",
        };
        let answer = self
            .caller
            .post(path, &body, n_tokens, |request| match &self.remote.key {
                Some(key) => request.bearer_auth(key.expose()),
                None => request,
            });
        let vectors = wire::answer(self.remote.kind, &answer.await?)?;
        wire::check(vectors, texts.len(), self.remote.dimensions)
    }

    /// A refusal of what was sent, or else something that can be mended without changing it: a key, a name, a limit.
    fn error(&self, error: CallError) -> EmbedError {
        let model = self.model.id.clone();
        let reason = error.to_string();
        let is_refusal = match &error {
            CallError::Status { status, .. } => matches!(status, 400 | 413 | 422),
            CallError::Answer { .. } | CallError::AnswerTooLarge { .. } => true,
            _ => false,
        };
        match is_refusal {
            true => EmbedError::Refused { model, reason },
            false => EmbedError::Unavailable { model, reason },
        }
    }
}

#[async_trait]
impl Embedder for RemoteEmbedder {
    fn model(&self) -> &EmbeddingModel {
        &self.model
    }

    fn cost(&self) -> EmbeddingCost {
        EmbeddingCost::Remote
    }

    fn is_local(&self) -> bool {
        self.remote.is_local
    }

    async fn embed(&self, texts: &[&str], purpose: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        let prefix = match purpose {
            Purpose::Passage => &self.remote.prefixes.passage,
            Purpose::Query => &self.remote.prefixes.query,
        };
        let mut vectors = vec![vec![0.0; self.model.dimensions]; texts.len()];
        // Providers refuse empty inputs; such a text has a vector of zeros.
        let told: Vec<usize> = (0..texts.len())
            .filter(|&i| !texts[i].trim().is_empty())
            .collect();
        for part in told.chunks(MAX_TEXTS) {
            let sent: Vec<String> = part
                .iter()
                .map(|&i| {
                    prefix
                        .chars()
                        .chain(texts[i].chars().take(MAX_CHARS))
                        .collect()
                })
                .collect();
            let found = self.call(&sent).await.map_err(|e| self.error(e))?;
            for (&i, vector) in part.iter().zip(found) {
                vectors[i] = vector;
            }
            telemetry::embedded(&self.model.id, part.len());
        }
        Ok(vectors)
    }
}
