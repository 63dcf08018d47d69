//! `reactions` in, the catalog out: the latest of each hand, whatever the order, and whether or not the message is known.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use telesift_ports::{
    Catalog, Clock, RecordLog,
    catalog::{REACTIONS_STAGE, ReactionRow},
    leases::Fence,
    ledger::{StageKey, StageState},
    record_log::{StoredRecord, Transaction},
};
use telesift_schemas::{
    DeadLetterCode, MessageKey, Offset, Reactions, ReactionsOf, TopicPartition,
};

use crate::{
    consumer::{Input, Process, StageError},
    dead_letter::{self, Refusal},
    screen::gap_counters,
};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = REACTIONS_STAGE;

/// Projects one partition of `reactions`.
///
/// At least once with idempotent effects: the catalog keeps the latest row of each message and hand, so a batch repeated
/// after a crash changes nothing.
pub struct ReactionProjection {
    log: Arc<dyn RecordLog>,
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    input: TopicPartition,
    state: Option<StageState>,
    fence: Fence,
}

impl ReactionProjection {
    /// The projection of `input`, a partition of `reactions`.
    pub fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        clock: Arc<dyn Clock>,
        input: TopicPartition,
    ) -> Self {
        ReactionProjection {
            log,
            catalog,
            clock,
            input,
            state: None,
            fence: Fence::open(),
        }
    }

    /// Commits under this lease.
    pub fn under(mut self, fence: Fence) -> Self {
        self.fence = fence;
        self
    }

    fn key(&self) -> StageKey {
        StageKey {
            stage: STAGE.into(),
            input: self.input.clone(),
        }
    }

    async fn commit(&mut self, state: StageState) -> Result<(), StageError> {
        let stored = self.state.as_ref().map(|s| s.next);
        self.catalog
            .put_stage_state(&self.key(), stored, &state, &self.fence)
            .await?;
        self.state = Some(state);
        Ok(())
    }
}

#[async_trait]
impl Process for ReactionProjection {
    async fn positions(&mut self) -> Result<Vec<Offset>, StageError> {
        self.state = self.catalog.stage_state(&self.key()).await?;
        let has_stored = self.state.as_ref().is_some_and(|s| s.counters.emitted > 0);
        if has_stored && !self.catalog.has_reactions().await? {
            tracing::warn!("no reaction is left in the catalog: they are read again");
            self.commit(StageState::default()).await?;
        }
        Ok(vec![self.state.as_ref().map_or(Offset::ZERO, |s| s.next)])
    }

    async fn process(&mut self, inputs: &[Input]) -> Result<(), StageError> {
        for input in inputs {
            let mut state = self.state.clone().unwrap_or_default();
            if state.next >= input.batch.next {
                continue; // committed by an earlier try
            }
            state.counters += &gap_counters(input);
            let (mut rows, mut letters) = (Vec::new(), Vec::new());
            for record in &input.batch.records {
                state.counters.received += 1;
                match read(record) {
                    Ok(row) => {
                        state.counters.emitted += 1;
                        rows.push(row);
                    }
                    Err(refusal) => {
                        state.counters.dead_lettered += 1;
                        let now = self.clock.now();
                        letters.push(dead_letter::append(STAGE, &input.at, record, refusal, now));
                    }
                }
            }
            self.catalog.put_reactions(&last_of_each(rows)).await?;
            if !letters.is_empty() {
                self.log.commit(Transaction::appends(letters)).await?;
            }
            state.next = input.batch.next;
            self.commit(state).await?;
        }
        Ok(())
    }
}

/// The latest of each message and hand: a catalog pays per row.
fn last_of_each(rows: Vec<ReactionRow>) -> Vec<ReactionRow> {
    let mut last: BTreeMap<(MessageKey, ReactionsOf), ReactionRow> = BTreeMap::new();
    for row in rows {
        let place = (row.message, row.of);
        if last
            .get(&place)
            .is_none_or(|held| held.rank() <= row.rank())
        {
            last.insert(place, row);
        }
    }
    last.into_values().collect()
}

fn read(record: &StoredRecord) -> Result<ReactionRow, Refusal> {
    let read: Reactions = serde_json::from_slice(&record.value).map_err(|e| Refusal {
        code: DeadLetterCode::Unreadable,
        // Not the parser's own words: they may quote the record.
        message: format!("not a record of reactions, at {}:{}", e.line(), e.column()),
        attempts: 1,
    })?;
    Ok(ReactionRow {
        message: read.id,
        of: read.of,
        at: read.at,
        // By the raw record, so that a topic written anew gives the same order.
        offset: read.origin.map_or(record.offset, |o| o.offset),
        reactions: read.reactions,
    })
}
