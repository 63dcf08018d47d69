//! Replays: a stretch of the log goes through a stage once more, beside the live flow, and what would change comes out.
//!
//! So far there is one kind, the dry run of `screen`: two rule sets judge the same raw records, and nothing but the
//! comparison is kept.

mod bound;
mod result;
mod rows;
mod sources;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use telesift_schemas::{Offset, PartitionId, Timestamp};

pub use bound::{Bound, BoundError};
pub use result::{
    Confusion, FactorChange, LabelCounts, Passing, Quality, ReplayLedger, Sample, Samples,
    ScreenDiff, SpamCounts, Twin, Verdict, estimated_tokens,
};
pub use rows::{ReplayCatalog, RulePair};
pub use sources::{
    Label, LabelSource, NoLabels, ResolvedRules, RuleFault, RuleText, RulesChoice, RulesSource,
};

/// Runs replays in the background, one at a time and at low priority, resuming by itself after a restart.
#[async_trait]
pub trait Replays: Send + Sync + 'static {
    /// Checks rules and range, then queues the dry run.
    ///
    /// # Errors
    /// [`ReplayError::Rules`], [`ReplayError::Range`] and their like say what is wrong with the request;
    /// [`ReplayError::QueueFull`] that too many are unfinished. Nothing was queued.
    async fn start(&self, request: ReplayRequest) -> Result<ReplayStatus, ReplayError>;

    /// One replay, with its progress as last stored.
    async fn status(&self, id: &str) -> Result<Option<ReplayStatus>, ReplayError>;

    /// Replays, newest first, after the replay `after` if given; without their samples.
    async fn list(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ReplayStatus>, ReplayError>;

    /// Pauses, resumes or cancels; `None` if there is no such replay. An order that is obeyed already changes nothing.
    ///
    /// # Errors
    /// [`ReplayError::State`] if the replay is over.
    async fn steer(&self, id: &str, order: Order) -> Result<Option<ReplayStatus>, ReplayError>;
}

/// A dry run of `screen` to be made.
#[derive(Clone, Debug)]
pub struct ReplayRequest {
    /// First raw records.
    pub from: Bound,
    /// The raw records to stop before.
    pub to: Bound,
    /// The new rules.
    pub rules: RulesChoice,
    /// What they are compared with; `None`: the rules active in the range.
    pub base: Option<RulesChoice>,
}

/// What can be asked of a replay under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Stop after the batch in flight, keeping its place.
    Pause,
    /// Queue it again, to go on where it stands.
    Resume,
    /// Give it up; what was counted stays readable.
    Cancel,
}

/// The stages a replay can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names of the stages")]
pub enum ReplayStage {
    Screen,
    Index,
    Stories,
    Embed,
    Extract,
    Alert,
    Windows,
}

impl ReplayStage {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Screen => "screen",
            Self::Index => "index",
            Self::Stories => "stories",
            Self::Embed => "embed",
            Self::Extract => "extract",
            Self::Alert => "alert",
            Self::Windows => "windows",
        }
    }
}

/// States of a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayState {
    /// Waits for its turn.
    Queued,
    /// Under way; after a restart it goes on by itself.
    Running,
    /// Stopped until it is resumed.
    Paused,
    /// Through the whole range.
    Done,
    /// Given up; see `error`.
    Failed,
    /// Given up on request.
    Cancelled,
}

impl ReplayState {
    /// All states.
    pub const ALL: [ReplayState; 6] = [
        Self::Queued,
        Self::Running,
        Self::Paused,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing happens to it any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// What a replay does, fixed when it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplaySpec {
    /// The stage run again.
    pub stage: ReplayStage,
    /// Whether it writes nothing.
    pub dry_run: bool,
    /// The beginning, as it was asked for.
    pub from: String,
    /// The end, as it was asked for.
    pub to: String,
    /// The range these came to, ascending by partition.
    pub ranges: Vec<ReplayRange>,
    /// `name@version+hash` of the new rules.
    pub rules: String,
    /// `name@version+hash` of the rules compared with.
    pub base: String,
}

impl ReplaySpec {
    /// Offsets in the range.
    pub fn total(&self) -> u64 {
        self.ranges.iter().map(|r| r.to.0 - r.from.0).sum()
    }
}

/// The offsets `from..to` of one partition of `telegram-raw`; `from` is at most `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayRange {
    /// The partition.
    pub partition: PartitionId,
    /// First offset.
    pub from: Offset,
    /// The offset after the last.
    pub to: Offset,
}

/// Where a replay stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayStatus {
    /// Its id; sorts by time (UUID v7).
    pub id: String,
    /// What it does.
    pub spec: ReplaySpec,
    /// Where it stands.
    pub state: ReplayState,
    /// How far it is and what was found so far, as of the last checkpoint.
    pub progress: ReplayProgress,
    /// Why it failed.
    pub error: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it first ran.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
}

/// Positions and the result so far; always stored together, so that nothing is counted twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplayProgress {
    /// The next offset of each range, in their order.
    pub next: Vec<Offset>,
    /// What was found before these positions.
    pub result: ScreenDiff,
    /// Examples of each change.
    pub samples: Samples,
}

impl ReplayProgress {
    /// At the beginning of `ranges`.
    pub fn at_start(ranges: &[ReplayRange]) -> Self {
        ReplayProgress {
            next: ranges.iter().map(|r| r.from).collect(),
            ..ReplayProgress::default()
        }
    }

    /// Offsets passed.
    pub fn processed(&self) -> u64 {
        self.result.ledger.received
    }
}

/// Why a replay cannot be started, steered or looked up.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A rule set cannot be used.
    #[error("`{field}`: {fault}")]
    Rules {
        /// `rules` or `base`.
        field: &'static str,
        /// What is wrong with it.
        fault: RuleFault,
    },
    /// There is no rules version of that name.
    #[error("`{field}`: there is no rules version `{name}`")]
    UnknownRules {
        /// `rules` or `base`.
        field: &'static str,
        /// The name asked for.
        name: String,
    },
    /// The range makes no sense.
    #[error("`{field}`: {reason}")]
    Range {
        /// `from` or `to`.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A cursor of another log, or beyond the end.
    #[error("`{field}`: {reason}")]
    CursorUnknown {
        /// `from` or `to`.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Too many replays are unfinished.
    #[error("{0} replays are unfinished already; try again when one is over, or cancel one")]
    QueueFull(usize),
    /// The replay's state does not allow it.
    #[error("the replay is {}", .0.as_str())]
    State(ReplayState),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] crate::record_log::Error),
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] crate::catalog::Error),
}
