//! The catalog's part: providers as rows with sealed keys, and answers that were paid for.

use std::time::Duration;

use async_trait::async_trait;
use telesift_schemas::Timestamp;

use super::{ProviderKind, Terms};
use crate::{catalog::Result, secret::Secret};

/// The providers of the catalog.
#[async_trait]
pub trait ProviderCatalog: Send + Sync + 'static {
    /// Stores a provider.
    ///
    /// # Errors
    /// [`crate::catalog::Error::Conflict`] if one of that name is there; [`crate::catalog::Error::SecretKey`] if its key
    /// cannot be sealed.
    async fn add_provider(&self, provider: &ProviderRow) -> Result<()>;

    /// All providers, by name; those too whose keys cannot be read.
    async fn providers(&self) -> Result<Vec<ProviderRow>>;

    /// Removes a provider; `false` if there is none of that name.
    async fn remove_provider(&self, name: &str) -> Result<bool>;
}

/// A provider as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderRow {
    /// Its name here.
    pub name: String,
    /// The interface it speaks.
    pub kind: ProviderKind,
    /// Its base address.
    pub url: String,
    /// Its name of the model.
    pub model: String,
    /// The key, where there is one; if it cannot be read, why, and what to do.
    pub key: std::result::Result<Option<Secret>, String>,
    /// How it may be called, and what that costs.
    pub terms: Terms,
    /// When it was added.
    pub created_at: Timestamp,
}

/// Answers by what was asked: the same texts, prompt and model are paid for once.
#[async_trait]
pub trait AnswerCache: Send + Sync + 'static {
    /// The answer to this input.
    async fn answer(&self, input: &str) -> Result<Option<CachedAnswer>>;

    /// Keeps an answer. The first one to an input stays.
    async fn keep_answer(&self, answer: &CachedAnswer) -> Result<()>;

    /// Forgets the answers that came before `before`; returns how many. Nothing but a later question with the same input
    /// needs one: what was made of it stands on `extractions`.
    async fn forget_answers(&self, before: Timestamp) -> Result<u64>;

    /// Says that `asker` asks about this input, for so long, or goes on asking: `false` if somebody else does.
    async fn begin_asking(&self, input: &str, asker: &str, length: Duration) -> Result<bool>;

    /// Says that `asker` is done with this input.
    async fn end_asking(&self, input: &str, asker: &str) -> Result<()>;
}

/// An answer as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedAnswer {
    /// Hash of what was asked, as [`super::Estimate::input`].
    pub input: String,
    /// The answer, as [`super::Provider::claims`] takes it.
    pub answer: String,
    /// When it came.
    pub at: Timestamp,
}
