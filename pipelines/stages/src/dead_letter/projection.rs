//! `dead-letters` in, the catalog's list of them out: lost with the catalog, and back by reading again.

use std::sync::Arc;

use async_trait::async_trait;
use telesift_ports::{Catalog, dead_letters::LetterRow, leases::Fence};
use telesift_schemas::{DeadLetter, Offset, TopicPartition};

use crate::{
    consumer::{Input, Process, StageError},
    screen::gap_counters,
    state::CatalogState,
};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = "dead-letters";

/// Projects dead letters; a record read again changes nothing.
pub struct LetterProjection {
    catalog: Arc<dyn Catalog>,
    state: CatalogState,
}

impl LetterProjection {
    /// The projection of `input`, the one partition of `dead-letters`.
    pub fn new(catalog: Arc<dyn Catalog>, input: TopicPartition) -> Self {
        LetterProjection {
            state: CatalogState::new(catalog.clone(), STAGE, input),
            catalog,
        }
    }

    /// Commits under this lease.
    pub fn under(mut self, fence: Fence) -> Self {
        self.state.set_fence(fence);
        self
    }
}

#[async_trait]
impl Process for LetterProjection {
    async fn positions(&mut self) -> Result<Vec<Offset>, StageError> {
        Ok(vec![self.state.load().await?])
    }

    async fn process(&mut self, inputs: &[Input]) -> Result<(), StageError> {
        let [input] = inputs else { return Ok(()) };
        let mut state = self.state.fresh().await?;
        if state.next >= input.batch.next {
            return Ok(()); // committed by an earlier try of this batch
        }
        let mut letters = Vec::new();
        for record in &input.batch.records {
            state.counters.received += 1;
            match serde_json::from_slice::<DeadLetter>(&record.value) {
                Ok(letter) => {
                    state.counters.emitted += 1;
                    letters.push(LetterRow::new(letter, record.offset));
                }
                // No letter about a letter: it would be one about itself for ever.
                Err(error) => {
                    let (line, column) = (error.line(), error.column());
                    tracing::error!(offset = %record.offset, line, column, "no dead letter");
                    state.counters.skip("unreadable");
                }
            }
        }
        self.catalog.put_letters(&letters).await?;
        state.counters += &gap_counters(input);
        state.next = input.batch.next;
        self.state.commit(state).await
    }
}
