//! Rule sets and activations in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use telesift_schemas::Offset;

use super::MemoryCatalog;
use crate::{
    catalog::Result,
    rules::{ActivationRow, RulesCatalog, RulesRow},
};

/// Both tables, by decision.
#[derive(Default)]
pub(super) struct RulesTables {
    sets: BTreeMap<Offset, RulesRow>,
    activations: BTreeMap<Offset, ActivationRow>,
}

#[async_trait]
impl RulesCatalog for MemoryCatalog {
    async fn put_rules(&self, row: &RulesRow) -> Result<()> {
        let sets = &mut self.tables().rules.sets;
        if !sets.values().any(|kept| kept.version == row.version) {
            sets.entry(row.decision).or_insert_with(|| row.clone());
        }
        Ok(())
    }

    async fn rules_list(&self, before: Option<Offset>, limit: usize) -> Result<Vec<RulesRow>> {
        Ok(newest_first(&self.tables().rules.sets, before, limit))
    }

    async fn put_activation(&self, row: &ActivationRow) -> Result<()> {
        let activations = &mut self.tables().rules.activations;
        activations
            .entry(row.decision)
            .or_insert_with(|| row.clone());
        Ok(())
    }

    async fn activations(
        &self,
        before: Option<Offset>,
        limit: usize,
    ) -> Result<Vec<ActivationRow>> {
        Ok(newest_first(
            &self.tables().rules.activations,
            before,
            limit,
        ))
    }
}

fn newest_first<T: Clone>(
    rows: &BTreeMap<Offset, T>,
    before: Option<Offset>,
    limit: usize,
) -> Vec<T> {
    let all = rows.iter().rev();
    let wanted = all.filter(|(decision, _)| before.is_none_or(|before| **decision < before));
    wanted.take(limit).map(|(_, row)| row.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::MemoryCatalog;

    #[tokio::test]
    async fn keeps_the_contract_of_rules_in_a_catalog() {
        crate::contract::rules_catalog::run(|| async { MemoryCatalog::new() }).await;
    }
}
