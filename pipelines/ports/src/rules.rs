//! Rule sets: read and checked, kept as decisions, made active from an offset of `telegram-raw` on.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use telesift_schemas::{Offset, PartitionId, Timestamp};

use crate::{catalog as sql, record_log};

mod catalog;

pub use catalog::{ActivationRow, RulesCatalog, RulesRow};

/// A rule set as the SmartModules take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSet {
    /// `name@version+hash` as this build computes it: what a message screened by it carries in `screen.rules`.
    pub version: String,
    /// The whole set as JSON.
    pub data: Arc<str>,
    /// Whether it is the one that ships with this build; a SmartModule without params has it already.
    pub shipped: bool,
}

impl RuleSet {
    /// `name` of `name@version+hash`.
    pub fn name(&self) -> &str {
        name_of(&self.version)
    }
}

/// `name` of `name@version+hash`.
pub fn name_of(version: &str) -> &str {
    version.split_once('@').map_or(version, |(name, _)| name)
}

/// A rule set as somebody wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleSource<'a> {
    /// TOML, the form people write.
    Toml(&'a str),
    /// JSON, the form programs write.
    Json(&'a str),
}

/// Reads rule sets with the code that stands in the SmartModules.
pub trait RuleReader: Send + Sync + 'static {
    /// The rules that ship: present without anybody's decision, and active from offset 0 until somebody decides.
    fn shipped(&self) -> RuleSet;

    /// Reads and checks a set. Reading the `data` of a set again gives the same set, in the same build.
    ///
    /// # Errors
    /// What is wrong with it, and in which line.
    fn read(&self, source: RuleSource<'_>) -> Result<RuleSet, InvalidRules>;

    /// The `data` of a set in TOML.
    ///
    /// # Errors
    /// When it is no set.
    fn to_toml(&self, data: &str) -> Result<String, InvalidRules>;
}

/// A rule set that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct InvalidRules {
    /// The line of the source that is to blame, from 1, where one is.
    pub line: Option<usize>,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for InvalidRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "line {line}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

/// The rule sets of a deployment: what the API and the commands may do with them.
///
/// Wherever a set is named, `asked` is its version as added or as this build computes it, or a beginning of that
/// (`name`, `name@version`) that fits one set only.
#[async_trait]
pub trait RuleSets: Send + Sync + 'static {
    /// Adds a set, durably, as a decision of `by`. The same data again is the same set, and changes nothing.
    ///
    /// # Errors
    /// [`RulesError::Invalid`] if it cannot be used.
    async fn add(&self, set: NewRules) -> Result<Added, RulesError>;

    /// Makes a set screen what lies from some positions of `telegram-raw` on, durably, as a decision of `by`. On return
    /// nothing at or above these positions was, or will be, screened by another set, unless one is activated later.
    /// Without `from`, a set that is active already stays so and nothing is decided.
    ///
    /// # Errors
    /// [`RulesError::AlreadyScreened`] below what was screened; [`RulesError::Refused`] if the SmartModules do not start
    /// with it; [`RulesError::Busy`] if a batch did not end in time. Nothing was decided then.
    async fn activate(&self, asked: ActivateRules) -> Result<Activation, RulesError>;

    /// The sets that were added, newest first, from before the decision `before` if given. Not the shipped one.
    async fn list(
        &self,
        before: Option<Offset>,
        limit: usize,
    ) -> Result<Vec<RulesInfo>, RulesError>;

    /// The set that ships with this build.
    async fn shipped(&self) -> Result<RulesInfo, RulesError>;

    /// One set, the shipped one too.
    async fn get(&self, asked: &str) -> Result<RulesDetail, RulesError>;

    /// The last activation; `None` = the shipped rules, from offset 0.
    async fn active(&self) -> Result<Option<Activation>, RulesError>;

    /// Which rules the next record of each partition of `telegram-raw` will be screened by.
    async fn in_force(&self) -> Result<Vec<InForce>, RulesError>;

    /// Activations, newest first, from before the decision `before` if given.
    async fn history(
        &self,
        before: Option<Offset>,
        limit: usize,
    ) -> Result<Vec<Activation>, RulesError>;

    /// The set that gave a message its `screen.rules`; `None` if it is not known here, or cannot be read any more.
    async fn screened_by(&self, version: &str) -> Result<Option<RuleSet>, RulesError>;
}

/// A set to be added.
#[derive(Clone, Debug)]
pub struct NewRules {
    /// What was written.
    pub text: String,
    /// Whether that is JSON; else TOML.
    pub is_json: bool,
    /// The key (by id) whose owner adds it.
    pub by: String,
    /// Why, in words.
    pub note: Option<String>,
}

/// What became of a set to be added.
#[derive(Clone, Debug)]
pub struct Added {
    /// The set.
    pub rules: RulesInfo,
    /// Whether it was not there before.
    pub is_new: bool,
}

/// A set to be activated.
#[derive(Clone, Debug)]
pub struct ActivateRules {
    /// Which, see [`RuleSets`].
    pub asked: String,
    /// From where on.
    pub from: StartFrom,
    /// The key (by id) whose owner activates it.
    pub by: String,
    /// Why, in words.
    pub note: Option<String>,
}

/// From where on a set screens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartFrom {
    /// From the end of every partition: what is appended from now on.
    Latest,
    /// From the first record of every partition that is not screened yet.
    Unscreened,
    /// From these offsets; partitions that are not named, from their end.
    Offsets(Vec<(PartitionId, Offset)>),
}

/// A set, without its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesInfo {
    /// Its identity: the version as added. For the shipped set, as this build computes it.
    pub version: String,
    /// The version as this build computes it, which messages carry; the hash differs from that of `version` once the code
    /// has changed. Else why this build cannot use the set.
    pub now: Result<String, InvalidRules>,
    /// Whether it ships with this build.
    pub shipped: bool,
    /// The decision that added it; `None` for the shipped set.
    pub added: Option<Made>,
}

/// Who decided what is told beside it, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its offset on `decisions`.
    pub decision: Offset,
    /// When.
    pub at: Timestamp,
    /// The key, by id.
    pub by: String,
    /// Why, in words.
    pub note: Option<String>,
}

/// A set with its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesDetail {
    /// The set.
    pub info: RulesInfo,
    /// The whole set as JSON.
    pub data: Arc<str>,
    /// TOML: what was given; the whole set where that was JSON, and of the shipped set.
    pub toml: String,
}

/// A set made active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// The set's identity, see [`RulesInfo::version`]. For the shipped set, as the build of that time computed it.
    pub version: String,
    /// Whether it was the set that ships, in whatever build.
    pub shipped: bool,
    /// The first offset of each partition of `telegram-raw` that it screens, ascending by partition.
    pub from: Vec<(PartitionId, Offset)>,
    /// Who decided it, and when.
    pub made: Made,
}

/// Which rules a partition of `telegram-raw` is screened by next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// The partition.
    pub partition: PartitionId,
    /// The next offset to be screened.
    pub next: Offset,
    /// The set that screens it, as messages will carry it.
    pub version: String,
    /// Where that ends because another set was activated from there on.
    pub until: Option<Offset>,
}

/// What can go wrong with rule sets.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The set cannot be used.
    #[error(transparent)]
    Invalid(#[from] InvalidRules),
    /// No set of that version.
    #[error("rules `{0}` not found")]
    Unknown(String),
    /// The text fits several sets.
    #[error("`{asked}` fits several rule sets: {}", versions.join(", "))]
    Ambiguous {
        /// What was asked for.
        asked: String,
        /// Those it fits.
        versions: Vec<String>,
    },
    /// The SmartModules do not start with the set, or this build cannot read it.
    #[error("the rules `{version}` are refused: {reason}")]
    Refused {
        /// The set.
        version: String,
        /// Why.
        reason: String,
    },
    /// What was screened is not screened again by an activation.
    #[error(
        "partition {partition} is screened up to offset {screened} already, so rules cannot count from {from} on"
    )]
    AlreadyScreened {
        /// The partition of `telegram-raw`.
        partition: PartitionId,
        /// Asked for.
        from: Offset,
        /// The next offset to be screened.
        screened: Offset,
    },
    /// A batch that is being screened did not end in time; nothing was decided.
    #[error("a batch that is being screened did not end in time; nothing was decided")]
    Busy,
    /// The log failed.
    #[error(transparent)]
    Log(#[from] record_log::Error),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] sql::Error),
    /// A decision that this version cannot read: going on without it would screen by the wrong rules.
    #[error("decision {offset} is unreadable: {reason}")]
    Unreadable {
        /// Its offset on `decisions`.
        offset: Offset,
        /// The parser's words.
        reason: String,
    },
    /// A bug.
    #[error("internal: {0}")]
    Internal(String),
}
