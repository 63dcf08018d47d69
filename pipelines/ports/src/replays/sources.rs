//! What a replay asks others for: rule sets by name or text, and the labels analysts gave.

use std::fmt;

use async_trait::async_trait;
use telesift_schemas::{Class, MessageKey};

use super::ReplayRange;
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedRules {
    /// `name@version+hash`; equal versions judge alike.
    pub version: String,
    /// The whole set in JSON: the param `rules` of `signal-score`.
    pub json: String,
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

    /// The rules that screen these raw records; where several apply in turn, the last of them.
    async fn active(&self, ranges: &[ReplayRange]) -> catalog::Result<ResolvedRules>;

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
