//! `decisions` in, the catalog's rows of rule sets and activations out: lost with the catalog, and back by reading again.

use std::sync::Arc;

use async_trait::async_trait;
use telesift_ports::{
    Catalog, Clock, RecordLog, RulesCatalog, catalog,
    record_log::StoredRecord,
    rules::{ActivationRow, RulesRow, name_of},
};
use telesift_schemas::{Decision, DecisionKind, Offset, TopicPartition};

use super::{decisions, timeline};
use crate::{
    consumer::StageError,
    dead_letter::Refusal,
    decisions::OTHER,
    projection::{Applied, CatalogCheckpoint, Projection, Projector, Read},
};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = "rules";

/// Projects rules decisions; a row written again changes nothing.
pub struct RulesProjection {
    rules: Arc<dyn RulesCatalog>,
}

impl RulesProjection {
    /// Writes to `rules`, and its position to `catalog`: one database, so that both are lost together.
    pub fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        rules: Arc<dyn RulesCatalog>,
        clock: Arc<dyn Clock>,
    ) -> Projector<Self> {
        let rules = RulesProjection { rules };
        Projector::in_catalog(rules, STAGE, log, catalog, clock, vec![decisions()])
    }
}

#[async_trait]
impl Projection for RulesProjection {
    type Said = (Offset, Decision);
    type Change = ();
    type Kept = CatalogCheckpoint;

    fn read(
        &self,
        _: &TopicPartition,
        record: &StoredRecord,
    ) -> Result<Read<(Offset, Decision)>, Refusal> {
        let decision = crate::decisions::read(record, &timeline::KINDS)?;
        let placed = decision.map(|decision| (record.offset, decision));
        Ok(Read::or_skipped(placed, OTHER))
    }

    async fn apply(&mut self, decided: Vec<(Offset, Decision)>) -> Result<Applied<()>, StageError> {
        for (offset, decision) in &decided {
            write(&*self.rules, *offset, decision).await?;
        }
        Ok(Applied::all(()))
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
