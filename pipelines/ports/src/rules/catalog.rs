//! The catalog's part: rule sets and activations as rows, a projection of `decisions` that can be thrown away.

use async_trait::async_trait;
use telesift_schemas::{Offset, PartitionId, Timestamp};

use crate::catalog::Result;

/// Rule sets and activations by the offset of the decision they come from. Writing a row again changes nothing, so the
/// topic can be projected any number of times.
#[async_trait]
pub trait RulesCatalog: Send + Sync + 'static {
    /// Keeps a rule set. If one of that version or decision is there, it stays as it is.
    async fn put_rules(&self, row: &RulesRow) -> Result<()>;

    /// Rule sets, newest decision first, from before the decision `before` if given.
    async fn rules_list(&self, before: Option<Offset>, limit: usize) -> Result<Vec<RulesRow>>;

    /// Keeps an activation. If one of that decision is there, it stays as it is.
    async fn put_activation(&self, row: &ActivationRow) -> Result<()>;

    /// Activations, newest decision first, from before the decision `before` if given.
    async fn activations(&self, before: Option<Offset>, limit: usize)
    -> Result<Vec<ActivationRow>>;
}

/// A rule set as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesRow {
    /// The offset of its decision on `decisions`.
    pub decision: Offset,
    /// `name@version+hash`, as added.
    pub version: String,
    /// `name` of it.
    pub name: String,
    /// The whole set as JSON.
    pub data: String,
    /// What was given, as TOML.
    pub source: String,
    /// The key, by id, whose owner added it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why, in words.
    pub note: Option<String>,
}

/// An activation as kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivationRow {
    /// The offset of its decision on `decisions`.
    pub decision: Offset,
    /// The version of the rule set, as in [`RulesRow::version`].
    pub version: String,
    /// Whether it is the set that ships.
    pub shipped: bool,
    /// First raw offset per partition, ascending by partition.
    pub from: Vec<(PartitionId, Offset)>,
    /// The key, by id, whose owner activated it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why, in words.
    pub note: Option<String>,
}
