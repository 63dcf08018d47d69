//! A model that costs something, and refuses texts that name the number it does not like.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use telesift_ports::{
    Embedder,
    embedder::{EmbedError, EmbeddingCost, EmbeddingModel, Purpose},
};

pub(crate) struct Slow {
    model: EmbeddingModel,
    /// What it refuses.
    pub(crate) refuses: Mutex<Option<&'static str>>,
    /// Whether nobody can reach it.
    pub(crate) is_away: AtomicBool,
    /// Whether it is somebody else's.
    pub(crate) is_elsewhere: AtomicBool,
}

impl Slow {
    pub(crate) fn new() -> Self {
        Slow {
            model: EmbeddingModel {
                id: "slow@1".to_owned(),
                dimensions: 2,
            },
            refuses: Mutex::default(),
            is_away: AtomicBool::default(),
            is_elsewhere: AtomicBool::default(),
        }
    }
}

#[async_trait]
impl Embedder for Slow {
    fn model(&self) -> &EmbeddingModel {
        &self.model
    }

    fn cost(&self) -> EmbeddingCost {
        EmbeddingCost::Compute
    }

    fn is_local(&self) -> bool {
        !self.is_elsewhere.load(Ordering::SeqCst)
    }

    async fn embed(&self, texts: &[&str], _: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        let (model, reason) = (self.model.id.clone(), "as told".to_owned());
        if self.is_away.load(Ordering::SeqCst) {
            return Err(EmbedError::Unavailable { model, reason });
        }
        let refused = *self.refuses.lock().unwrap();
        if refused.is_some_and(|word| texts.iter().any(|text| text.contains(word))) {
            return Err(EmbedError::Refused { model, reason });
        }
        Ok(vec![vec![0.6, 0.8]; texts.len()])
    }
}
