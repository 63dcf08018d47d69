//! `atoms` in, the index of atoms out: searchable by words and by meaning.

use std::sync::Arc;

use async_trait::async_trait;
use telesift_ports::{
    AtomIndex, Catalog, Clock, Embedder, RecordLog,
    embedder::{EmbedError, Purpose},
    knowledge::{AtomDocument, searched_text},
    leases::Fence,
    ledger::{Counters, Fate, StageState},
    record_log::Transaction,
};
use telesift_schemas::{Atom, Offset, PartitionId, Topic, TopicPartition};

use crate::{
    consumer::{Input, Process, StageError},
    dead_letter::{self, Refusal, Retry, Tried},
    screen::gap_counters,
    state::CatalogState,
};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = "atom-index";

/// Puts versions of atoms into their index. At least once with idempotent effects: the greatest version stays.
pub struct AtomProjection {
    log: Arc<dyn RecordLog>,
    index: Arc<AtomIndex>,
    embedder: Arc<dyn Embedder>,
    clock: Arc<dyn Clock>,
    state: CatalogState,
}

impl AtomProjection {
    /// The projection of the one partition of `atoms`.
    pub fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        index: Arc<AtomIndex>,
        embedder: Arc<dyn Embedder>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        AtomProjection {
            state: CatalogState::new(catalog, STAGE, Self::input()),
            log,
            index,
            embedder,
            clock,
        }
    }

    /// What it reads.
    pub fn input() -> TopicPartition {
        TopicPartition::new(Topic::ATOMS, PartitionId(0))
    }

    /// Commits under this lease.
    pub fn under(mut self, fence: Fence) -> Self {
        self.state.set_fence(fence);
        self
    }

    /// Embeds and stores. Atoms a model refuses are found by their words.
    async fn apply(&self, atoms: Vec<Atom>) -> Result<(), StageError> {
        let texts: Vec<String> = atoms.iter().map(searched_text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        if texts.is_empty() {
            return Ok(());
        }
        let vectors = match self.embedder.embed(&texts, Purpose::Passage).await {
            Ok(vectors) => vectors.into_iter().map(Some).collect(),
            Err(EmbedError::Refused { .. }) => vec![None; atoms.len()],
            Err(error) => return Err(error.into()),
        };
        let documents = atoms.into_iter().zip(vectors);
        let documents = documents.map(|(atom, vector)| AtomDocument { atom, vector });
        self.index.put(documents.collect()).await?;
        Ok(())
    }
}

#[async_trait]
impl Process for AtomProjection {
    async fn positions(&mut self) -> Result<Vec<Offset>, StageError> {
        self.state.load().await?;
        let has_stored = self.state.current().counters.emitted > 0;
        if has_stored && self.index.count().await? == 0 {
            tracing::warn!("the index of atoms is empty: it is filled again from `atoms`");
            self.state.commit(StageState::default()).await?;
        }
        Ok(vec![self.state.next()])
    }

    async fn process(&mut self, inputs: &[Input]) -> Result<(), StageError> {
        let [input] = inputs else { return Ok(()) };
        let mut state = self.state.fresh().await?;
        if state.next >= input.batch.next {
            return Ok(()); // committed by an earlier try of this batch
        }
        let (mut atoms, mut letters) = (Vec::new(), Vec::new());
        for record in &input.batch.records {
            match serde_json::from_slice::<Atom>(&record.value) {
                Ok(atom) => atoms.push(atom),
                Err(e) => {
                    let refusal = Refusal::unreadable("atom record", &e);
                    let now = self.clock.now();
                    letters.push(dead_letter::append(STAGE, &input.at, record, refusal, now));
                }
            }
        }
        let (n, n_letters) = (input.batch.records.len() as u64, letters.len() as u64);
        self.apply(atoms).await?;
        if !letters.is_empty() {
            self.log.commit(Transaction::appends(letters)).await?;
        }
        state.counters += &gap_counters(input);
        state.counters += &Counters {
            received: n,
            emitted: n - n_letters,
            dead_lettered: n_letters,
            ..Counters::default()
        };
        state.next = input.batch.next;
        self.state.commit(state).await
    }

    async fn retry(&mut self, retry: &Retry) -> Result<Tried, StageError> {
        if retry.record.offset >= self.state.fresh().await?.next {
            return Ok(Tried::Later);
        }
        let (fate, refusal) = match serde_json::from_slice::<Atom>(&retry.record.value) {
            Ok(atom) => {
                self.apply(vec![atom]).await?;
                (Fate::Emitted, None)
            }
            Err(e) => (Fate::Refused, Some(Refusal::unreadable("atom record", &e))),
        };
        self.state.count_retry(retry.name(), &fate).await?;
        Ok(Tried::Stored(refusal))
    }
}
