//! `stories` in, the catalog out: what the API reads the stories of messages from.

use std::sync::Arc;

use async_trait::async_trait;
use telesift_ports::{
    Catalog, Clock, RecordLog,
    leases::Fence,
    ledger::{Counters, Fate},
    record_log::Transaction,
};
use telesift_schemas::{Generation, Offset, StoryAssigned, TopicPartition};

use crate::{
    consumer::{Input, Process, StageError},
    dead_letter::{self, Refusal, Retry, Tried},
    generations::stage_name,
    screen::gap_counters,
    state::CatalogState,
};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = "story-catalog";

/// Puts the assignments of one partition of `stories` into the catalog. At least once: a message keeps the story it has
/// there, so a batch repeated after a crash changes nothing.
pub struct StoryCatalog {
    log: Arc<dyn RecordLog>,
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    generation: Generation,
    stage: &'static str,
    state: CatalogState,
}

impl StoryCatalog {
    /// The projection of `input`, a partition of `stories`.
    pub fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        clock: Arc<dyn Clock>,
        input: TopicPartition,
    ) -> Self {
        StoryCatalog {
            state: CatalogState::new(catalog.clone(), STAGE, input),
            log,
            catalog,
            clock,
            generation: Generation::FIRST,
            stage: STAGE,
        }
    }

    /// The same for the stories of `generation`.
    pub fn of(mut self, generation: Generation) -> Self {
        self.generation = generation;
        self.stage = stage_name(STAGE, generation);
        self.state.set_stage(self.stage);
        self
    }

    /// Commits under this lease.
    pub fn under(mut self, fence: Fence) -> Self {
        self.state.set_fence(fence);
        self
    }

    /// The assignments of a batch; what is none becomes a dead letter.
    async fn read(&self, input: &Input) -> Result<Vec<StoryAssigned>, StageError> {
        let (mut members, mut letters) = (Vec::new(), Vec::new());
        for record in &input.batch.records {
            match serde_json::from_slice(&record.value) {
                Ok(member) => members.push(member),
                Err(e) => {
                    let refusal = unreadable(&e);
                    let now = self.clock.now();
                    letters.push(dead_letter::append(
                        self.stage, &input.at, record, refusal, now,
                    ));
                }
            }
        }
        if !letters.is_empty() {
            self.log.commit(Transaction::appends(letters)).await?;
        }
        Ok(members)
    }
}

#[async_trait]
impl Process for StoryCatalog {
    async fn positions(&mut self) -> Result<Vec<Offset>, StageError> {
        Ok(vec![self.state.load().await?])
    }

    async fn process(&mut self, inputs: &[Input]) -> Result<(), StageError> {
        let [input] = inputs else { return Ok(()) };
        let mut state = self.state.fresh().await?;
        if state.next >= input.batch.next {
            return Ok(()); // committed by an earlier try of this batch
        }
        let members = self.read(input).await?;
        self.catalog
            .add_story_members(self.generation, &members)
            .await?;
        let n = input.batch.records.len() as u64;
        let emitted = members.len() as u64;
        state.counters += &gap_counters(input);
        state.counters += &Counters {
            received: n,
            emitted,
            dead_lettered: n - emitted,
            ..Counters::default()
        };
        state.next = input.batch.next;
        self.state.commit(state).await
    }

    async fn retry(&mut self, retry: &Retry) -> Result<Tried, StageError> {
        if retry.record.offset >= self.state.fresh().await?.next {
            return Ok(Tried::Later);
        }
        let (fate, refusal) = match serde_json::from_slice::<StoryAssigned>(&retry.record.value) {
            Ok(member) => {
                self.catalog
                    .add_story_members(self.generation, &[member])
                    .await?;
                (Fate::Emitted, None)
            }
            Err(e) => (Fate::Refused, Some(unreadable(&e))),
        };
        self.state.count_retry(retry.name(), &fate).await?;
        Ok(Tried::Stored(refusal))
    }
}

fn unreadable(error: &serde_json::Error) -> Refusal {
    Refusal::unreadable("story record", error)
}
