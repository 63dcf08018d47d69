//! What a replay asks of the deployment: its rule sets and the labels of its analysts.

use std::sync::Arc;

use async_trait::async_trait;
use telesift_ports::{
    Catalog, RuleReader, RuleSets,
    catalog::{Error, Result, in_force},
    replays::{Label, LabelSource, ReplayRange, ResolvedRules, RuleFault, RuleText, RulesSource},
    rules::{InvalidRules, RuleSet, RuleSource, RulesError},
};
use telesift_schemas::{MessageKey, Offset};

use crate::decisions::rules::RulesBook;

/// The rule sets of the deployment: by version, as the book says they hold, or as text.
pub struct KeptRules {
    sets: Arc<dyn RuleSets>,
    book: Arc<RulesBook>,
    reader: Arc<dyn RuleReader>,
}

impl KeptRules {
    /// The sets that `sets` keeps and `book` puts in force, read by `reader`.
    pub fn new(sets: Arc<dyn RuleSets>, book: Arc<RulesBook>, reader: Arc<dyn RuleReader>) -> Self {
        KeptRules { sets, book, reader }
    }
}

/// The name of the rules that ship.
const SHIPPED: &str = "default";

#[async_trait]
impl RulesSource for KeptRules {
    async fn resolve(&self, name: &str) -> Result<Option<ResolvedRules>> {
        if name == SHIPPED {
            return Ok(Some(resolved(self.reader.shipped())));
        }
        let set = match self.sets.get(name).await {
            Ok(detail) => detail.data,
            Err(RulesError::Unknown(_) | RulesError::Ambiguous { .. }) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let set = self.reader.read(RuleSource::Json(&set));
        set.map(|set| Some(resolved(set)))
            .map_err(|e| Error::Damaged(e.to_string()))
    }

    async fn active(&self, ranges: &[ReplayRange]) -> Result<ResolvedRules> {
        let held = self.book.hold().await.map_err(failed)?;
        let last = |range: &ReplayRange| Offset(range.to.0.saturating_sub(1).max(range.from.0));
        let sections = ranges
            .iter()
            .map(|range| held.section(range.partition, last(range)));
        // Of several partitions, the set that was decided last.
        let latest = sections.max_by_key(|s| s.rules.added.as_ref().map(|made| made.decision));
        let Some(section) = latest else {
            return Ok(resolved(self.reader.shipped()));
        };
        drop(held);
        self.book
            .rule_set(&section.rules)
            .await
            .map(resolved)
            .map_err(failed)
    }

    fn read(&self, text: &RuleText) -> std::result::Result<ResolvedRules, RuleFault> {
        let source = match text {
            RuleText::Toml(toml) => RuleSource::Toml(toml),
            RuleText::Json(json) => RuleSource::Json(json),
        };
        let fault = |InvalidRules { line, reason }| RuleFault { line, reason };
        self.reader.read(source).map(resolved).map_err(fault)
    }
}

fn resolved(set: RuleSet) -> ResolvedRules {
    ResolvedRules {
        version: set.version,
        json: set.data.to_string(),
    }
}

fn failed(error: RulesError) -> Error {
    match error {
        RulesError::Catalog(error) => error,
        RulesError::Unreadable { .. } | RulesError::Refused { .. } => {
            Error::Damaged(error.to_string())
        }
        error => Error::Unavailable(error.to_string()),
    }
}

/// The labels of the catalog.
pub struct KeptLabels(Arc<dyn Catalog>);

impl KeptLabels {
    /// The labels that `catalog` keeps.
    pub fn new(catalog: Arc<dyn Catalog>) -> Self {
        KeptLabels(catalog)
    }
}

#[async_trait]
impl LabelSource for KeptLabels {
    async fn labels(&self, of: &[(MessageKey, i64)]) -> Result<Vec<Option<Label>>> {
        if of.is_empty() || !self.0.has_labels().await? {
            return Ok(vec![None; of.len()]);
        }
        let keys: Vec<MessageKey> = of.iter().map(|(key, _)| *key).collect();
        let known = in_force(self.0.labels_of(&keys).await?);
        let label = |(key, edit): &(MessageKey, i64)| {
            let found = known
                .iter()
                .find(|k| k.message == *key && k.edit == *edit)?;
            let label = found.label.as_ref()?;
            Some(Label {
                class: label.class,
                spam: label.spam,
            })
        };
        Ok(of.iter().map(label).collect())
    }
}
