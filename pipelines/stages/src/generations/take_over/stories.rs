//! Recorded stories of the base in, the same stories of the new generation out; its own stage goes on where the base stood.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use telesift_ports::{
    RecordLog,
    generations::{Consumed, consumed, first_at, messages_of},
    leases::Fence,
    ledger::{Counters, StageKey, StageState},
    record_log::{NewRecord, StateWrite, Transaction},
};
use telesift_schemas::{Generation, MessageKey, Offset, PartitionId, StoryAssigned};

use super::{Step, Steps, read, to_bytes};
use crate::{
    StageError,
    generations::{positions, stage_name},
    identities, stories,
};

/// Why the messages before are no input of the new stage.
const TAKEN_OVER: &str = "taken_over";

/// Takes over the stories of `base`, which were made of `base_messages`, for those of `generation`, which go on with
/// `messages`.
pub(in crate::generations) struct StoriesTakeOver {
    pub(in crate::generations) log: Arc<dyn RecordLog>,
    pub(in crate::generations) generation: Generation,
    pub(in crate::generations) messages: Generation,
    pub(in crate::generations) base: Generation,
    pub(in crate::generations) base_messages: Generation,
    /// Commits are under this lease.
    pub(in crate::generations) fence: Fence,
}

/// Fixed with the first step, so that a restart goes on with the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Plan {
    /// The raw offsets below which the base has decided, per partition.
    decided: Vec<(PartitionId, Offset)>,
    /// The next assignment to copy.
    next: Offset,
    /// The offset after the last.
    to: Offset,
    done: bool,
}

/// The state that holds how far the stories of `generation` are taken over.
pub(crate) fn state_key(generation: Generation) -> String {
    format!("take-over/{}", generation.name(stories::STAGE))
}

/// Whether they are all there.
pub(crate) async fn is_done(
    log: &dyn RecordLog,
    generation: Generation,
) -> Result<bool, StageError> {
    let stored = log.state(&state_key(generation)).await?;
    Ok(match stored {
        Some(bytes) => plan(generation, &bytes)?.done,
        None => false,
    })
}

fn plan(generation: Generation, bytes: &Bytes) -> Result<Plan, StageError> {
    serde_json::from_slice(bytes).map_err(|e| StageError::State {
        key: state_key(generation),
        reason: e.to_string(),
    })
}

#[async_trait]
impl Steps for StoriesTakeOver {
    async fn step(&mut self) -> Result<Step, StageError> {
        let stored = self.log.state(&state_key(self.generation)).await?;
        let plan = match &stored {
            Some(bytes) => plan(self.generation, bytes)?,
            None => {
                let plan = self.make_plan().await?;
                self.commit(stored, plan, Vec::new(), Vec::new()).await?;
                return Ok(Step::Went);
            }
        };
        if plan.done {
            return Ok(Step::Done);
        }
        // Copies are appended after the messages they are about, as the originals were.
        for (partition, decided) in &plan.decided {
            let screened = positions::screened(&*self.log, self.messages, *partition).await?;
            if screened.next < *decided {
                return Ok(Step::Waits);
            }
        }
        if plan.next < plan.to {
            self.copy(stored, plan).await?;
            return Ok(Step::Went);
        }
        let seeds = self.seeds(&plan).await?;
        let plan = Plan { done: true, ..plan };
        self.commit(stored, plan, Vec::new(), seeds).await?;
        Ok(Step::Done)
    }
}

impl StoriesTakeOver {
    /// Positions and recorded assignments that fit each other.
    async fn make_plan(&self) -> Result<Plan, StageError> {
        let topic = stories::topic_of(self.base);
        loop {
            let before = self.base_positions().await?;
            let bounds = self.log.bounds(&topic).await?;
            if self.base_positions().await? != before {
                continue; // it has just committed
            }
            let mut decided = Vec::new();
            for (partition, next) in before {
                let at = messages_of(self.base_messages, partition);
                let below = match consumed(&*self.log, &at, next).await? {
                    Consumed::Below(raw) => raw,
                    // Nothing of it is left: what was screened was decided on.
                    Consumed::Unknown => {
                        positions::screened(&*self.log, self.base_messages, partition)
                            .await?
                            .next
                    }
                };
                decided.push((partition, below));
            }
            return Ok(Plan {
                decided,
                next: bounds.start,
                to: bounds.end,
                done: false,
            });
        }
    }

    async fn base_positions(&self) -> Result<Vec<(PartitionId, Offset)>, StageError> {
        let topic = telesift_schemas::Topic::MESSAGES.of(self.base_messages);
        let mut found = Vec::new();
        for p in self.log.partitions(&topic).await? {
            let key = StageKey {
                stage: stage_name(stories::STAGE, self.base).to_owned(),
                input: messages_of(self.base_messages, p.partition),
            };
            let state = positions::state_of(&*self.log, &key.state_key()).await?;
            found.push((p.partition, state.map_or(Offset::ZERO, |s| s.next)));
        }
        Ok(found)
    }

    async fn copy(&self, stored: Option<Bytes>, mut plan: Plan) -> Result<(), StageError> {
        let (_, batch) = read(&*self.log, &stories::topic_of(self.base), plan.next).await?;
        let mut appends = Vec::new();
        for record in batch.records.iter().filter(|r| r.offset < plan.to) {
            // What this version cannot read it did not write, and nobody reads it.
            let Ok(assigned) = serde_json::from_slice::<StoryAssigned>(&record.value) else {
                continue;
            };
            let message: &MessageKey = &assigned.message;
            appends.push((
                stories::topic_of(self.generation),
                NewRecord {
                    key: record.key.clone(),
                    value: record.value.clone(),
                    unique: vec![identities::of_story(self.generation, message)],
                },
            ));
        }
        plan.next = batch.next.min(plan.to);
        if batch.next == batch.end {
            plan.next = plan.to; // evicted meanwhile, or all read
        }
        self.commit(stored, plan, appends, Vec::new()).await
    }

    /// The new stage begins with the first message that the base had not decided on.
    async fn seeds(&self, plan: &Plan) -> Result<Vec<StateWrite>, StageError> {
        let mut seeds = Vec::new();
        for (partition, decided) in &plan.decided {
            let input = messages_of(self.messages, *partition);
            let next = first_at(&*self.log, &input, *decided).await?;
            let mut counters = Counters {
                received: next.0,
                ..Counters::default()
            };
            if next > Offset::ZERO {
                counters.skipped.insert(TAKEN_OVER.to_owned(), next.0);
            }
            let key = StageKey {
                stage: stage_name(stories::STAGE, self.generation).to_owned(),
                input,
            };
            let state = StageState {
                next,
                counters,
                last_retry: None,
            };
            seeds.push((key.state_key(), Some(to_bytes(&state))));
        }
        Ok(seeds)
    }

    async fn commit(
        &self,
        stored: Option<Bytes>,
        plan: Plan,
        appends: Vec<(telesift_schemas::TopicPartition, NewRecord)>,
        seeds: Vec<StateWrite>,
    ) -> Result<(), StageError> {
        let key = state_key(self.generation);
        let guards = vec![(key.clone(), stored)];
        let transaction = Transaction {
            appends,
            guards,
            fence: self.fence.clone(),
            finish: Box::new(move |_| {
                let mut writes = seeds;
                writes.push((key, Some(to_bytes(&plan))));
                writes
            }),
        };
        self.log.commit(transaction).await?;
        Ok(())
    }
}
