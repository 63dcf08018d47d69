//! `stories` in, the catalog out: what the API reads the stories of messages from.

use std::sync::Arc;

use async_trait::async_trait;
use telesift_ports::{
    Catalog, Clock, RecordLog,
    ledger::{Counters, StageKey, StageState},
    record_log::Transaction,
};
use telesift_schemas::{DeadLetterCode, Generation, Offset, StoryAssigned, TopicPartition};

use crate::{
    consumer::{Input, Process, StageError},
    dead_letter::{self, Refusal},
    generations::stage_name,
    screen::gap_counters,
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
    input: TopicPartition,
    state: Option<StageState>,
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
            log,
            catalog,
            clock,
            generation: Generation::FIRST,
            stage: STAGE,
            input,
            state: None,
        }
    }

    /// The same for the stories of `generation`.
    pub fn of(mut self, generation: Generation) -> Self {
        self.generation = generation;
        self.stage = stage_name(STAGE, generation);
        self
    }

    fn key(&self) -> StageKey {
        StageKey {
            stage: self.stage.into(),
            input: self.input.clone(),
        }
    }

    /// The assignments of a batch; what is none becomes a dead letter.
    async fn read(&self, input: &Input) -> Result<Vec<StoryAssigned>, StageError> {
        let (mut members, mut letters) = (Vec::new(), Vec::new());
        for record in &input.batch.records {
            match serde_json::from_slice(&record.value) {
                Ok(member) => members.push(member),
                Err(e) => {
                    let refusal = Refusal {
                        code: DeadLetterCode::Unreadable,
                        message: format!("not a story record: {e}"),
                        attempts: 1,
                    };
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
        self.state = self.catalog.stage_state(&self.key()).await?;
        let next = self.state.as_ref().map(|state| state.next);
        Ok(vec![next.unwrap_or(Offset::ZERO)])
    }

    async fn process(&mut self, inputs: &[Input]) -> Result<(), StageError> {
        let [input] = inputs else { return Ok(()) };
        let mut state = self.state.clone().unwrap_or_default();
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
        let expected = self.state.as_ref().map(|state| state.next);
        self.catalog
            .put_stage_state(&self.key(), expected, &state)
            .await?;
        self.state = Some(state);
        Ok(())
    }
}
