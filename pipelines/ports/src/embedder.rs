//! Texts to vectors.

use async_trait::async_trait;

/// Turns texts into unit vectors. Vectors of different models never share a table.
#[async_trait]
pub trait Embedder: Send + Sync + 'static {
    /// Which model, and how long its vectors are.
    fn model(&self) -> &EmbeddingModel;

    /// One vector per text, in order, of [`EmbeddingModel::dimensions`] floats and length 1 (all zero for a text
    /// without any token).
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError>;
}

/// An embedding model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddingModel {
    /// Name and version, such as `hash@1`; part of the table's identity.
    pub id: String,
    /// Floats per vector.
    pub dimensions: usize,
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
}

impl EmbedError {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            EmbedError::Unavailable { .. } => true,
        }
    }
}
