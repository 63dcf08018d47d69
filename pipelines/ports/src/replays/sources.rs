//! What a replay asks others for: rule sets by name or text, and the labels analysts gave.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use telesift_schemas::{Class, MessageKey, Offset, PartitionId};

use super::{ReplayError, ReplayRange};
use crate::catalog;

/// Which rules to judge by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RulesChoice {
    /// A version by name, such as `default`.
    Named(String),
    /// A rule set that stands in the request itself.
    Inline(RuleText),
}

/// A rule set as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleText {
    /// As people write it.
    Toml(String),
    /// As the SmartModule takes it.
    Json(String),
}

/// A rule set, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedRules {
    /// `name@version+hash`; equal versions judge alike.
    pub version: String,
    /// The whole set in JSON: the param `rules` of `signal-score`.
    pub json: String,
}

/// A rule set that the decisions hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSet {
    /// Its identity: the version as it was added.
    pub identity: String,
    /// Whether it is the set that ships.
    pub shipped: bool,
    /// `name@version+hash` as this build computes it, which messages carry.
    pub version: String,
}

/// The rules a stretch is compared with: as many sets as screened it, in turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseRules {
    /// The sets, in the order of their first use.
    pub sets: Vec<ResolvedRules>,
    /// Which of them holds where; empty: the first one everywhere.
    pub sections: Vec<BaseSection>,
}

/// A stretch of a partition under one set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseSection {
    /// The partition of `telegram-raw`.
    pub partition: PartitionId,
    /// First offset.
    pub from: Offset,
    /// The offset after the last.
    pub to: Offset,
    /// The index of the set.
    pub set: usize,
}

impl BaseRules {
    /// One set everywhere.
    pub fn one(set: ResolvedRules) -> Self {
        BaseRules {
            sets: vec![set],
            sections: Vec::new(),
        }
    }

    /// The versions, in the order of their first use.
    pub fn versions(&self) -> String {
        let versions: Vec<&str> = self.sets.iter().map(|s| s.version.as_str()).collect();
        versions.join(", ")
    }

    /// The index of the set at `offset`, and where it ends.
    pub fn at(&self, partition: PartitionId, offset: Offset) -> (usize, Option<Offset>) {
        let here = |s: &&BaseSection| s.partition == partition && (s.from..s.to).contains(&offset);
        match self.sections.iter().find(here) {
            Some(section) => (section.set, Some(section.to)),
            None => (0, None),
        }
    }

    /// As the catalog keeps it.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads [`BaseRules::to_text`] back; what is none is one set of `version`, as replays were kept before.
    pub fn from_text(text: &str, version: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|_| {
            BaseRules::one(ResolvedRules {
                version: version.to_owned(),
                json: text.to_owned(),
            })
        })
    }
}

/// A rule set that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFault {
    /// The line of the text it is about, from 1, where one is to blame.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

/// Knows the rules: the versions there are, and how to read a new one.
#[async_trait]
pub trait RulesSource: Send + Sync + 'static {
    /// The version of that name; `None` if there is none. `default` is what ships.
    async fn resolve(&self, name: &str) -> catalog::Result<Option<ResolvedRules>>;

    /// The rules that screened these raw records in the live generation, or will.
    async fn active(&self, ranges: &[ReplayRange]) -> catalog::Result<BaseRules>;

    /// The set chosen, among the decisions; one that stands in the request is added there on behalf of the key `by`.
    ///
    /// # Errors
    /// What is wrong with it; [`ReplayError::UnknownRules`] for a name nobody knows.
    async fn keep(&self, choice: &RulesChoice, by: &str) -> Result<KeptSet, ReplayError>;

    /// Reads and checks a rule set.
    ///
    /// # Errors
    /// Line and reason.
    fn read(&self, text: &RuleText) -> Result<ResolvedRules, RuleFault>;
}

/// What an analyst said of a message version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// The class, where given.
    pub class: Option<Class>,
    /// Whether it is spam, where said.
    pub spam: Option<bool>,
}

/// Knows the labels.
#[async_trait]
pub trait LabelSource: Send + Sync + 'static {
    /// One label per (message, edit), in order; `None` where nobody gave one.
    async fn labels(&self, of: &[(MessageKey, i64)]) -> catalog::Result<Vec<Option<Label>>>;
}

/// A [`LabelSource`] without labels.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLabels;

#[async_trait]
impl LabelSource for NoLabels {
    async fn labels(&self, of: &[(MessageKey, i64)]) -> catalog::Result<Vec<Option<Label>>> {
        Ok(vec![None; of.len()])
    }
}
