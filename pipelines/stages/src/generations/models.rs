//! The embedding models at hand: the one of a new store, and those that other stores may hold vectors of.

use std::sync::Arc;

use telesift_ports::Embedder;

/// Models, the one of a new store first.
#[derive(Clone)]
pub struct Models(Arc<[Arc<dyn Embedder>]>);

impl Models {
    /// `first` is the model of a store that is made without a word about its model.
    pub fn new(
        first: Arc<dyn Embedder>,
        others: impl IntoIterator<Item = Arc<dyn Embedder>>,
    ) -> Self {
        Models(std::iter::once(first).chain(others).collect())
    }

    /// All of them, the first one first.
    pub fn all(&self) -> &[Arc<dyn Embedder>] {
        &self.0
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|embedder| embedder.model().name())
    }
}
