//! `stories` in, the catalog out: what the API reads the stories of messages from.

use std::sync::Arc;

use async_trait::async_trait;
use telesift_ports::{Catalog, Clock, RecordLog, record_log::StoredRecord};
use telesift_schemas::{Generation, StoryAssigned, TopicPartition};

use crate::{
    consumer::StageError,
    dead_letter::{Refusal, parse},
    generations::stage_name,
    projection::{Applied, CatalogCheckpoint, Projection, Projector, Read},
};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = "story-catalog";

/// Puts the assignments of one partition of `stories` into the catalog. At least once: a message keeps the story it has
/// there, so a batch repeated after a crash changes nothing.
pub struct StoryCatalog {
    catalog: Arc<dyn Catalog>,
    generation: Generation,
}

impl StoryCatalog {
    /// The projection of `input`, a partition of `stories`.
    pub fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        clock: Arc<dyn Clock>,
        input: TopicPartition,
    ) -> Projector<Self> {
        let stories = StoryCatalog {
            catalog: catalog.clone(),
            generation: Generation::FIRST,
        };
        Projector::in_catalog(stories, STAGE, log, catalog, clock, vec![input])
    }
}

impl Projector<StoryCatalog> {
    /// The same for the stories of `generation`.
    pub fn of(mut self, generation: Generation) -> Self {
        self.projection.generation = generation;
        self.named(stage_name(STAGE, generation))
    }
}

#[async_trait]
impl Projection for StoryCatalog {
    type Said = StoryAssigned;
    type Change = ();
    type Kept = CatalogCheckpoint;

    fn read(
        &self,
        _: &TopicPartition,
        record: &StoredRecord,
    ) -> Result<Read<StoryAssigned>, Refusal> {
        parse("story record", record).map(Read::Said)
    }

    async fn apply(&mut self, members: Vec<StoryAssigned>) -> Result<Applied<()>, StageError> {
        let catalog = &self.catalog;
        catalog.add_story_members(self.generation, &members).await?;
        Ok(Applied::all(()))
    }
}
