//! Embedding models and, in time, LLM clients.

mod hash;

pub use hash::HashEmbedder;
