//! Labels in a map, by version and owner.

use async_trait::async_trait;
use telesift_schemas::{MessageKey, Offset};

use super::MemoryCatalog;
use crate::catalog::{LabelFilter, LabelRow, Labels, Result};

#[async_trait]
impl Labels for MemoryCatalog {
    async fn put_labels(&self, labels: &[LabelRow]) -> Result<()> {
        let mut tables = self.tables();
        for label in labels {
            let place = (label.message, label.edit, label.owner.clone());
            match tables.labels.get_mut(&place) {
                Some(held) if held.decided > label.decided => {}
                Some(held) => *held = label.clone(),
                None => {
                    tables.labels.insert(place, label.clone());
                }
            }
        }
        Ok(())
    }

    async fn labels_of(&self, messages: &[MessageKey]) -> Result<Vec<LabelRow>> {
        let wanted: std::collections::BTreeSet<_> = messages.iter().collect();
        let tables = self.tables();
        let found = tables.labels.values();
        Ok(found
            .filter(|l| wanted.contains(&l.message))
            .cloned()
            .collect())
    }

    async fn labels(
        &self,
        filter: &LabelFilter,
        before: Option<Offset>,
        limit: usize,
    ) -> Result<Vec<LabelRow>> {
        let tables = self.tables();
        let mut found: Vec<&LabelRow> = tables
            .labels
            .values()
            .filter(|l| before.is_none_or(|before| l.decided < before) && filter.matches(l))
            .collect();
        found.sort_by_key(|l| std::cmp::Reverse(l.decided));
        Ok(found.into_iter().take(limit).cloned().collect())
    }

    async fn has_labels(&self) -> Result<bool> {
        Ok(!self.tables().labels.is_empty())
    }
}
