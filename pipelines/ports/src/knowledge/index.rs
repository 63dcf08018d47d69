//! Atoms by what they say: words and vectors, beside the catalog.

use async_trait::async_trait;
use telesift_schemas::{Atom, AtomKind};

use crate::message_store::{Result, SearchMode};

/// A searchable projection of `atoms`. It can be thrown away and rebuilt by replay.
#[async_trait]
pub trait AtomIndex: Send + Sync + 'static {
    /// Merges versions, durably: the greatest of an atom stays. Idempotent.
    async fn put_atoms(&self, atoms: Vec<AtomDocument>) -> Result<()>;

    /// The best hits, best first.
    async fn search_atoms(&self, search: &AtomSearch) -> Result<Vec<AtomHit>>;

    /// How many atoms it holds.
    async fn count_atoms(&self) -> Result<u64>;
}

/// An atom on its way into the index.
#[derive(Clone, Debug)]
pub struct AtomDocument {
    /// The version.
    pub atom: Atom,
    /// The vector of [`searched_text`], of the store's model.
    pub vector: Option<Vec<f32>>,
}

/// What of an atom is searched.
pub fn searched_text(atom: &Atom) -> String {
    let subject = atom.subject.as_ref().map_or("", |s| s.name.as_str());
    format!("{}\n{}\n{subject}", atom.title, atom.content)
}

/// A search among atoms.
#[derive(Clone, Debug)]
pub struct AtomSearch {
    /// What to look for.
    pub query: telesift_text::Query,
    /// The query's vector, for modes that need one.
    pub vector: Option<Vec<f32>>,
    /// How.
    pub mode: SearchMode,
    /// Of these kinds; empty: of any.
    pub kinds: Vec<AtomKind>,
    /// At most this many hits.
    pub limit: usize,
}

/// A hit.
#[derive(Clone, Debug, PartialEq)]
pub struct AtomHit {
    /// The atom.
    pub id: String,
    /// What it is ranked by; comparable within one answer only.
    pub score: f64,
    /// Cosine similarity, −1..1, where vectors were compared.
    pub vector_score: Option<f64>,
}
