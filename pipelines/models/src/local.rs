//! Local models: BERT-shaped sentence encoders from a directory, on every core, without another runtime.

mod batches;
mod bert;
mod directory;
mod encoder;
mod kernels;
mod script;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use rayon::{ThreadPool, ThreadPoolBuilder};
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
    /// One thread each, as many as there are cores: each works on a batch of its own, and nobody takes part of another's
    /// matrix product and makes him wait for it.
    for_passages: Arc<[ThreadPool]>,
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
        let thread = || {
            let pool = ThreadPoolBuilder::new().num_threads(1).build();
            pool.map_err(|_| LoadError::Threads)
        };
        let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
        let for_passages = (0..n_cores).map(|_| thread()).collect::<Result<_, _>>()?;
        Ok(LocalEmbedder {
            model,
            encoder,
            for_queries: Arc::new(thread()?),
            for_passages,
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
        let threads = match purpose {
            Purpose::Query => std::slice::from_ref(&*self.for_queries),
            Purpose::Passage => &*self.for_passages,
        };
        let mut vectors = vec![Vec::new(); texts.len()];
        for (batch, rows) in self.encoded(&tokens, &batches, threads).map_err(refused)? {
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

    /// The vectors of each batch, worked out by `threads`, each of which takes the next one when it is done.
    fn encoded<'a>(
        &self,
        tokens: &[Vec<u32>],
        batches: &'a [Vec<usize>],
        threads: &[ThreadPool],
    ) -> Result<Vec<Encoded<'a>>, String> {
        let next = AtomicUsize::new(0);
        let take = || batches.get(next.fetch_add(1, Ordering::Relaxed));
        let work = || -> Result<Vec<Encoded<'a>>, String> {
            let mut done = Vec::new();
            while let Some(batch) = take() {
                done.push((batch.as_slice(), self.encoder.encode(tokens, batch)?));
            }
            Ok(done)
        };
        let ended: Vec<_> = std::thread::scope(|scope| {
            // One that would find nothing to do is not begun.
            let threads = threads.iter().take(batches.len());
            let begun: Vec<_> = threads
                .map(|t| scope.spawn(move || t.install(work)))
                .collect();
            begun.into_iter().map(|thread| thread.join()).collect()
        });
        let mut all = Vec::new();
        for done in ended {
            all.extend(done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(all)
    }
}

/// A batch and the vectors of its texts.
type Encoded<'a> = (&'a [usize], Vec<Vec<f32>>);

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
