//! `dead-letters` in, the catalog's list of them out: lost with the catalog, and back by reading again.

use std::sync::Arc;

use async_trait::async_trait;
use telesift_ports::{
    Catalog, Clock, RecordLog, dead_letters::LetterRow, record_log::StoredRecord,
};
use telesift_schemas::{DeadLetter, TopicPartition};

use super::Refusal;
use crate::{
    consumer::StageError,
    projection::{Applied, CatalogCheckpoint, Projection, Projector, Read},
};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = "dead-letters";

/// Projects dead letters; a record read again changes nothing.
pub struct LetterProjection {
    catalog: Arc<dyn Catalog>,
}

impl LetterProjection {
    /// The projection of `input`, the one partition of `dead-letters`.
    pub fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        clock: Arc<dyn Clock>,
        input: TopicPartition,
    ) -> Projector<Self> {
        let letters = LetterProjection {
            catalog: catalog.clone(),
        };
        Projector::in_catalog(letters, STAGE, log, catalog, clock, vec![input])
    }
}

#[async_trait]
impl Projection for LetterProjection {
    type Said = LetterRow;
    type Change = ();
    type Kept = CatalogCheckpoint;

    fn read(&self, _: &TopicPartition, record: &StoredRecord) -> Result<Read<LetterRow>, Refusal> {
        match serde_json::from_slice::<DeadLetter>(&record.value) {
            Ok(letter) => Ok(Read::Said(LetterRow::new(letter, record.offset))),
            // No letter about a letter: it would be one about itself for ever.
            Err(error) => {
                let (line, column) = (error.line(), error.column());
                tracing::error!(offset = %record.offset, line, column, "no dead letter");
                Ok(Read::Skipped("unreadable"))
            }
        }
    }

    async fn apply(&mut self, letters: Vec<LetterRow>) -> Result<Applied<()>, StageError> {
        self.catalog.put_letters(&letters).await?;
        Ok(Applied::all(()))
    }
}
