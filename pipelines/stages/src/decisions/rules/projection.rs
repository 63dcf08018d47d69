//! `decisions` in, the catalog's rows of rule sets and activations out: lost with the catalog, and back by reading again.

use std::sync::Arc;

use async_trait::async_trait;
use telesift_ports::{
    Catalog, RulesCatalog, catalog,
    leases::Fence,
    ledger::{Counters, StageKey, StageState},
    rules::{ActivationRow, RulesRow, name_of},
};
use telesift_schemas::{Decision, DecisionKind, Offset};

use super::{decisions, timeline};
use crate::{
    consumer::{Input, Process, StageError},
    screen::gap_counters,
};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = "rules";

/// Projects rules decisions; a row written again changes nothing.
pub struct RulesProjection {
    catalog: Arc<dyn Catalog>,
    rules: Arc<dyn RulesCatalog>,
    state: Option<StageState>,
    fence: Fence,
}

impl RulesProjection {
    /// Writes to `rules`, and its position to `catalog`: one database, so that both are lost together.
    pub fn new(catalog: Arc<dyn Catalog>, rules: Arc<dyn RulesCatalog>) -> Self {
        RulesProjection {
            catalog,
            rules,
            state: None,
            fence: Fence::open(),
        }
    }

    /// Commits under this lease.
    pub fn under(mut self, fence: Fence) -> Self {
        self.fence = fence;
        self
    }

    fn key() -> StageKey {
        StageKey {
            stage: STAGE.into(),
            input: decisions(),
        }
    }
}

#[async_trait]
impl Process for RulesProjection {
    async fn positions(&mut self) -> Result<Vec<Offset>, StageError> {
        self.state = self.catalog.stage_state(&Self::key()).await?;
        Ok(vec![self.state.as_ref().map_or(Offset::ZERO, |s| s.next)])
    }

    async fn process(&mut self, inputs: &[Input]) -> Result<(), StageError> {
        let [input] = inputs else { return Ok(()) };
        let mut state = self.state.clone().unwrap_or_default();
        if state.next >= input.batch.next {
            return Ok(()); // committed by an earlier try of this batch
        }
        let mut counters = Counters::default();
        for record in &input.batch.records {
            counters.received += 1;
            match timeline::read(&record.value) {
                Ok(Some(decision)) => {
                    write(&*self.rules, record.offset, &decision).await?;
                    counters.emitted += 1;
                }
                Ok(None) => counters.skip("other_decision"),
                Err(error) => {
                    tracing::error!(offset = %record.offset, %error, "a decision is unreadable");
                    counters.skip("unreadable");
                }
            }
        }
        state.counters += &counters;
        state.counters += &gap_counters(input);
        state.next = input.batch.next;
        let expected = self.state.as_ref().map(|s| s.next);
        self.catalog
            .put_stage_state(&Self::key(), expected, &state, &self.fence)
            .await?;
        self.state = Some(state);
        Ok(())
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
