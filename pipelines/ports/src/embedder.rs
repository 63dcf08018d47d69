//! Texts to vectors.

use async_trait::async_trait;

/// Turns texts into unit vectors. Vectors of different models never share a table.
#[async_trait]
pub trait Embedder: Send + Sync + 'static {
    /// Which model, and how long its vectors are.
    fn model(&self) -> &EmbeddingModel;

    /// What a vector costs; decides whether texts are embedded on their way into the store or behind it.
    fn cost(&self) -> EmbeddingCost;

    /// Whether texts stay with whoever runs this. To one that does not keep them here no text of a private chat may go unless
    /// the chat consents to it, nor any of a chat that is kept here: see [`crate::providers::KeptHere`].
    fn is_local(&self) -> bool {
        self.cost() != EmbeddingCost::Remote
    }

    /// One vector per text, in order, of [`EmbeddingModel::dimensions`] floats and length 1 (all zero for a text
    /// without any token).
    async fn embed(&self, texts: &[&str], purpose: Purpose) -> Result<Vec<Vec<f32>>, EmbedError>;
}

/// What texts are embedded for. Some models put other words before a query than before what is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be found.
    Passage,
    /// To find with.
    Query,
}

/// What one vector costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbeddingCost {
    /// Microseconds: made on the way into the store, of noise too.
    Negligible,
    /// Milliseconds of this machine: made behind the store, signals first, and not of noise.
    Compute,
    /// A call to another machine, and perhaps money: the same.
    Remote,
}

/// An embedding model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddingModel {
    /// Name and version, such as `hash@1`; part of the table's identity.
    pub id: String,
    /// Floats per vector.
    pub dimensions: usize,
}

impl EmbeddingModel {
    /// How tables and generations name it: vectors of another length are another model too.
    pub fn name(&self) -> String {
        format!("{}/{}", self.id, self.dimensions)
    }
}

/// Why texts could not be embedded.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// The model cannot be reached or failed; the same call may succeed later.
    #[error("embedding model `{model}` unavailable: {reason}")]
    Unavailable {
        /// Which model.
        model: String,
        /// What happened, without secrets.
        reason: String,
    },
    /// The model refuses these texts, or this key: the same call fails again.
    #[error("embedding model `{model}` refused the texts: {reason}")]
    Refused {
        /// Which model.
        model: String,
        /// What it said, without secrets.
        reason: String,
    },
}

impl EmbedError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            EmbedError::Unavailable { .. } => true,
            EmbedError::Refused { .. } => false,
        }
    }
}
