//! What a replay asks of the deployment: its rule sets and the labels of its analysts.

use std::sync::Arc;

use async_trait::async_trait;
use telesift_ports::{
    Catalog, Generations, RuleReader, RuleSets,
    catalog::{Error, Result, in_force},
    replays::{
        BaseRules, BaseSection, KeptSet, Label, LabelSource, ReplayError, ReplayRange,
        ResolvedRules, RuleFault, RuleText, RulesChoice, RulesSource,
    },
    rules::{InvalidRules, NewRules, RuleSet, RuleSource, RulesError, RulesInfo},
};
use telesift_schemas::MessageKey;

use crate::decisions::rules::RulesBook;

/// The rule sets of the deployment: by version, as the book says they hold, or as text.
pub struct KeptRules {
    sets: Arc<dyn RuleSets>,
    book: Arc<RulesBook>,
    reader: Arc<dyn RuleReader>,
    generations: Arc<Generations>,
}

impl KeptRules {
    /// The sets that `sets` keeps and `book` puts in force, read by `reader`; `generations` say where others did.
    pub fn new(
        sets: Arc<dyn RuleSets>,
        book: Arc<RulesBook>,
        reader: Arc<dyn RuleReader>,
        generations: Arc<Generations>,
    ) -> Self {
        KeptRules {
            sets,
            book,
            reader,
            generations,
        }
    }

    /// Which set screened what, in the live generation.
    async fn sections(
        &self,
        ranges: &[ReplayRange],
    ) -> std::result::Result<(Vec<RulesInfo>, Vec<BaseSection>), RulesError> {
        let held = self.book.hold().await?;
        let register = self.generations.now();
        let live = register.entry(register.live_parts().messages);
        let stretches = live.map_or(&[][..], |e| &e.stretches);
        let (mut sets, mut sections): (Vec<RulesInfo>, _) = (Vec::new(), Vec::new());
        for range in ranges {
            let mut from = range.from;
            // An empty range names the set that holds there all the same.
            loop {
                let section = held.section_in(stretches, range.partition, from);
                let known = sets.iter().position(|s| s.version == section.rules.version);
                let set = known.unwrap_or_else(|| {
                    sets.push(section.rules);
                    sets.len() - 1
                });
                let to = section.until.map_or(range.to, |until| until.min(range.to));
                if from < to {
                    let partition = range.partition;
                    sections.push(BaseSection {
                        partition,
                        from,
                        to,
                        set,
                    });
                }
                from = to;
                if from >= range.to {
                    break;
                }
            }
        }
        Ok((sets, sections))
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

    async fn active(&self, ranges: &[ReplayRange]) -> Result<BaseRules> {
        let (infos, sections) = self.sections(ranges).await.map_err(failed)?;
        let mut sets = Vec::new();
        for info in &infos {
            let set = self.book.rule_set(info).await.map_err(failed)?;
            sets.push(resolved(set));
        }
        if sets.is_empty() {
            sets.push(resolved(self.reader.shipped()));
        }
        Ok(BaseRules { sets, sections })
    }

    async fn keep(
        &self,
        choice: &RulesChoice,
        by: &str,
    ) -> std::result::Result<KeptSet, ReplayError> {
        let info = match choice {
            RulesChoice::Named(name) if name == SHIPPED => self.sets.shipped().await,
            RulesChoice::Named(name) => self.sets.get(name).await.map(|detail| detail.info),
            RulesChoice::Inline(text) => {
                let (text, is_json) = match text {
                    RuleText::Toml(text) => (text, false),
                    RuleText::Json(text) => (text, true),
                };
                let new = NewRules {
                    text: text.clone(),
                    is_json,
                    by: by.to_owned(),
                    note: Some("for a replay".to_owned()),
                };
                self.sets.add(new).await.map(|added| added.rules)
            }
        };
        let unusable = |InvalidRules { line, reason }| ReplayError::Rules {
            field: "rules",
            fault: RuleFault { line, reason },
        };
        let info = info.map_err(|error| match (error, choice) {
            (RulesError::Invalid(invalid), _) => unusable(invalid),
            (RulesError::Unknown(_) | RulesError::Ambiguous { .. }, RulesChoice::Named(name)) => {
                ReplayError::UnknownRules {
                    field: "rules",
                    name: name.clone(),
                }
            }
            (error, _) => ReplayError::Catalog(failed(error)),
        })?;
        Ok(KeptSet {
            version: info.now.map_err(unusable)?,
            identity: info.version,
            shipped: info.shipped,
        })
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
