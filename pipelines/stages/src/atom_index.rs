//! `atoms` in, the index of atoms out: searchable by words and by meaning.

use std::sync::Arc;

use async_trait::async_trait;
use telesift_ports::{
    AtomIndex, Catalog, Clock, Embedder, RecordLog,
    embedder::{EmbedError, Purpose},
    knowledge::{AtomDocument, searched_text},
    record_log::StoredRecord,
};
use telesift_schemas::{Atom, PartitionId, Topic, TopicPartition};

use crate::{
    consumer::StageError,
    dead_letter::{Refusal, parse},
    projection::{Applied, CatalogCheckpoint, Projection, Projector, Read},
};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = "atom-index";

/// Puts versions of atoms into their index. At least once with idempotent effects: the greatest version stays.
pub struct AtomProjection {
    index: Arc<AtomIndex>,
    embedder: Arc<dyn Embedder>,
}

impl AtomProjection {
    /// The projection of the one partition of `atoms`.
    pub fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        index: Arc<AtomIndex>,
        embedder: Arc<dyn Embedder>,
        clock: Arc<dyn Clock>,
    ) -> Projector<Self> {
        let atoms = AtomProjection { index, embedder };
        Projector::in_catalog(atoms, STAGE, log, catalog, clock, vec![Self::input()])
    }

    /// What it reads.
    pub fn input() -> TopicPartition {
        TopicPartition::new(Topic::ATOMS, PartitionId(0))
    }
}

#[async_trait]
impl Projection for AtomProjection {
    type Said = Atom;
    type Change = ();
    type Kept = CatalogCheckpoint;

    fn read(&self, _: &TopicPartition, record: &StoredRecord) -> Result<Read<Atom>, Refusal> {
        parse("atom record", record).map(Read::Said)
    }

    /// Embeds and stores. Atoms a model refuses are found by their words.
    async fn apply(&mut self, atoms: Vec<Atom>) -> Result<Applied<()>, StageError> {
        if atoms.is_empty() {
            return Ok(Applied::all(()));
        }
        let texts: Vec<String> = atoms.iter().map(searched_text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let vectors = match self.embedder.embed(&texts, Purpose::Passage).await {
            Ok(vectors) => vectors.into_iter().map(Some).collect(),
            Err(EmbedError::Refused { .. }) => vec![None; atoms.len()],
            Err(error) => return Err(error.into()),
        };
        let documents = atoms.into_iter().zip(vectors);
        let documents = documents.map(|(atom, vector)| AtomDocument { atom, vector });
        self.index.put(documents.collect()).await?;
        Ok(Applied::all(()))
    }

    async fn is_lost(&self) -> Result<bool, StageError> {
        Ok(self.index.count().await? == 0)
    }
}
