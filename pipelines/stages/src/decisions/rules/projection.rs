//! `decisions` in, the catalog's rows of rule sets and activations out: lost with the catalog, and back by reading again.

use std::sync::Arc;

use async_trait::async_trait;
use telesift_ports::{
    Catalog, Clock, RecordLog, RulesCatalog, catalog,
    leases::Fence,
    ledger::Fate,
    record_log::{StoredRecord, Transaction},
    rules::{ActivationRow, RulesRow, name_of},
};
use telesift_schemas::{Decision, DecisionKind, Offset};

use super::{decisions, timeline};
use crate::{
    consumer::{Input, Process, StageError},
    dead_letter::{self, Refusal, Retry, Tried},
    screen::gap_counters,
    state::CatalogState,
};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = "rules";

/// Why a decision of another kind is skipped.
const OTHER_DECISION: &str = "other_decision";

/// Projects rules decisions; a row written again changes nothing.
pub struct RulesProjection {
    log: Arc<dyn RecordLog>,
    rules: Arc<dyn RulesCatalog>,
    clock: Arc<dyn Clock>,
    state: CatalogState,
}

impl RulesProjection {
    /// Writes to `rules`, and its position to `catalog`: one database, so that both are lost together.
    pub fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        rules: Arc<dyn RulesCatalog>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        RulesProjection {
            state: CatalogState::new(catalog, STAGE, decisions()),
            log,
            rules,
            clock,
        }
    }

    /// Commits under this lease.
    pub fn under(mut self, fence: Fence) -> Self {
        self.state.set_fence(fence);
        self
    }

    /// Writes what a record decides.
    async fn take(&self, record: &StoredRecord) -> Result<Result<Fate, Refusal>, StageError> {
        match timeline::read(&record.value) {
            Ok(Some(decision)) => {
                write(&*self.rules, record.offset, &decision).await?;
                Ok(Ok(Fate::Emitted))
            }
            Ok(None) => Ok(Ok(Fate::Skipped(OTHER_DECISION.to_owned()))),
            Err(error) => Ok(Err(Refusal::unreadable("decision record", &error))),
        }
    }
}

#[async_trait]
impl Process for RulesProjection {
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
            match self.take(record).await? {
                Ok(Fate::Skipped(reason)) => state.counters.skip(&reason),
                Ok(_) => state.counters.emitted += 1,
                Err(refusal) => {
                    state.counters.dead_lettered += 1;
                    let now = self.clock.now();
                    letters.push(dead_letter::append(STAGE, &input.at, record, refusal, now));
                }
            }
        }
        if !letters.is_empty() {
            self.log.commit(Transaction::appends(letters)).await?;
        }
        state.counters += &gap_counters(input);
        state.next = input.batch.next;
        self.state.commit(state).await
    }

    async fn retry(&mut self, retry: &Retry) -> Result<Tried, StageError> {
        if retry.record.offset >= self.state.fresh().await?.next {
            return Ok(Tried::Later);
        }
        let (fate, refusal) = match self.take(&retry.record).await? {
            Ok(fate) => (fate, None),
            Err(refusal) => (Fate::Refused, Some(refusal)),
        };
        self.state.count_retry(retry.name(), &fate).await?;
        Ok(Tried::Stored(refusal))
    }
}

/// Writes the row of the decision at `offset`, if it is one about rules.
pub(super) async fn write(
    catalog: &dyn RulesCatalog,
    offset: Offset,
    decision: &Decision,
) -> catalog::Result<()> {
    match &decision.decision {
        DecisionKind::RulesAdded {
            rules,
            data,
            source,
            note,
        } => {
            let row = RulesRow {
                decision: offset,
                version: rules.clone(),
                name: name_of(rules).to_owned(),
                data: data.clone(),
                source: source.clone(),
                by: decision.by.clone(),
                at: decision.at,
                note: note.clone(),
            };
            catalog.put_rules(&row).await
        }
        DecisionKind::RulesActivated {
            rules,
            from,
            shipped,
            note,
        } => {
            let mut from = DecisionKind::read_positions(from).unwrap_or_default();
            from.sort_unstable();
            let row = ActivationRow {
                decision: offset,
                version: rules.clone(),
                shipped: *shipped,
                from,
                by: decision.by.clone(),
                at: decision.at,
                note: note.clone(),
            };
            catalog.put_activation(&row).await
        }
        _ => Ok(()),
    }
}
