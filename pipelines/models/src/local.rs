//! Local models: BERT-shaped sentence encoders from a directory, on every core, without another runtime.

mod batches;
mod directory;
mod encoder;
mod script;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use rayon::{ThreadPool, ThreadPoolBuilder, prelude::*};
use telesift_ports::embedder::{EmbedError, Embedder, EmbeddingCost, EmbeddingModel, Purpose};

use crate::telemetry;
pub use directory::{LoadError, Prefixes};
use encoder::Encoder;

/// A sentence encoder in the layout of sentence-transformers: `config.json`, `tokenizer.json`, `model.safetensors`, and
/// where present `sentence_bert_config.json` (longest input). Mean pooling over the tokens, scaled to length 1: the
/// vectors of all-MiniLM-L6-v2 and of intfloat/multilingual-e5-small.
///
/// Texts are cut at the model's longest input.
#[derive(Clone)]
pub struct LocalEmbedder {
    model: EmbeddingModel,
    encoder: Arc<Encoder>,
    /// Threads of their own for queries: somebody waits for those, and a batch of passages may take a second.
    for_queries: Arc<ThreadPool>,
    for_passages: Arc<ThreadPool>,
}

impl std::fmt::Debug for LocalEmbedder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LocalEmbedder").field(&self.model).finish()
    }
}

impl LocalEmbedder {
    /// Loads the model in `directory`; reads all of it into memory. Blocking: some seconds for a large model.
    ///
    /// The model's id is the directory's name and a hash of the files that decide its vectors, so that another model of
    /// the same name never shares a table with this one. `prefixes` absent: those the model is known to want (`query: `
    /// and `passage: ` for the e5 family), else none.
    ///
    /// # Errors
    /// [`LoadError`] says which file is missing or does not fit.
    pub fn load(directory: &Path, prefixes: Option<Prefixes>) -> Result<Self, LoadError> {
        let files = directory::read(directory, prefixes)?;
        let model = EmbeddingModel {
            id: files.id.clone(),
            dimensions: files.config.hidden_size,
        };
        let encoder = Arc::new(Encoder::new(files)?);
        let pool = |n_threads: usize| {
            let pool = ThreadPoolBuilder::new().num_threads(n_threads).build();
            pool.map(Arc::new).map_err(|_| LoadError::Threads)
        };
        Ok(LocalEmbedder {
            model,
            encoder,
            for_queries: pool(1)?,
            for_passages: pool(0)?, // as many as there are cores
        })
    }

    /// The vectors of `texts`, in order; zeros for a query in a script the model only knows the letters of: what it would
    /// say of that is noise. Blocking: milliseconds a text, passages on all cores.
    ///
    /// # Errors
    /// [`EmbedError::Refused`] if the model cannot compute them.
    pub fn vectors(&self, texts: &[&str], purpose: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        let refused = |reason: String| EmbedError::Refused {
            model: self.model.id.clone(),
            reason,
        };
        let tokens = self.encoder.tokens(texts, purpose).map_err(refused)?;
        let batches = batches::by_length(&tokens);
        let encode = || {
            let encoded = batches.par_iter();
            let encoded = encoded.map(|batch| self.encoder.encode(&tokens, batch).map_err(refused));
            encoded.collect::<Result<Vec<_>, _>>()
        };
        let encoded = match purpose {
            Purpose::Query => self.for_queries.install(encode),
            Purpose::Passage => self.for_passages.install(encode),
        }?;
        let mut vectors = vec![Vec::new(); texts.len()];
        for (batch, rows) in batches.iter().zip(encoded) {
            for (i, row) in batch.iter().zip(rows) {
                vectors[*i] = row;
            }
        }
        if purpose == Purpose::Query {
            for (vector, (text, tokens)) in vectors.iter_mut().zip(texts.iter().zip(&tokens)) {
                if !script::is_known(&self.encoder.prefixed(text, purpose), tokens.len()) {
                    vector.fill(0.0);
                }
            }
        }
        telemetry::embedded(&self.model.id, texts.len());
        Ok(vectors)
    }
}

#[async_trait]
impl Embedder for LocalEmbedder {
    fn model(&self) -> &EmbeddingModel {
        &self.model
    }

    fn cost(&self) -> EmbeddingCost {
        EmbeddingCost::Compute
    }

    async fn embed(&self, texts: &[&str], purpose: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        let this = self.clone();
        let texts: Vec<String> = texts.iter().map(|&t| t.to_owned()).collect();
        let embedded = tokio::task::spawn_blocking(move || {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            this.vectors(&texts, purpose)
        });
        embedded.await.unwrap_or_else(|e| {
            Err(EmbedError::Refused {
                model: self.model.id.clone(),
                reason: format!("the model panicked: {}", e.is_panic()),
            })
        })
    }
}
