//! Replays: history goes through a stage once more, beside the live flow.
//!
//! A dry run of `screen` compares two rule sets and writes nothing else. Any other replay fills a generation
//! ([`crate::generations`]), which can be switched to, and back from.

mod bound;
mod error;
mod result;
mod rows;
mod sources;
mod stage;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use telesift_schemas::{Generation, Offset, PartitionId, Timestamp, Topic, TopicPartition};

use crate::generations::Entry;

pub use bound::{Bound, BoundError};
pub use error::ReplayError;
pub use result::{
    Confusion, FactorChange, LabelCounts, Passing, Quality, Reading, ReplayLedger, Sample, Samples,
    ScreenDiff, SpamCounts, Twin, Verdict, estimated_tokens,
};
pub use rows::{ReplayCatalog, RulePair};
pub use sources::{
    BaseRules, BaseSection, KeptSet, Label, LabelSource, NoLabels, ResolvedRules, RuleFault,
    RuleText, RulesChoice, RulesSource,
};
pub use stage::ReplayStage;

/// Runs replays in the background, one at a time and at low priority, resuming by itself after a restart.
#[async_trait]
pub trait Replays: Send + Sync + 'static {
    /// Checks rules and range, then queues the replay.
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

    /// Makes the generation of a replay the live one, once it has everything the live one had when this was called; `None`
    /// if there is no such replay. Where it is live already nothing changes.
    ///
    /// # Errors
    /// [`ReplayError::NoGeneration`] for a dry run, [`ReplayError::State`] while it is being filled,
    /// [`ReplayError::NotCaughtUp`] if it stays behind for longer than a request should take.
    async fn switch(&self, id: &str) -> Result<Option<ReplayStatus>, ReplayError>;

    /// Makes the generation live again that was live before the replay's was; `None` if there is no such replay. Where it was
    /// switched back already nothing changes.
    ///
    /// # Errors
    /// As [`Replays::switch`]; [`ReplayError::Generation`] if the replay's generation was never live, or the one before is
    /// retired.
    async fn switch_back(&self, id: &str) -> Result<Option<ReplayStatus>, ReplayError>;

    /// Every generation, by number, and how far its stages are.
    async fn generations(&self) -> Result<Vec<GenerationStatus>, ReplayError>;

    /// Gives a generation up: what it alone uses is removed, soon. `false` if there is none of that number. Doing so again
    /// changes nothing.
    ///
    /// # Errors
    /// [`ReplayError::Generation`] for the live one, and for one that is being filled or read for another.
    async fn retire(&self, generation: Generation) -> Result<bool, ReplayError>;
}

/// A replay to be made.
#[derive(Clone, Debug)]
pub struct ReplayRequest {
    /// The stage to run again.
    pub stage: ReplayStage,
    /// Whether to compare only.
    pub dry_run: bool,
    /// First raw records.
    pub from: Bound,
    /// The raw records to stop before.
    pub to: Bound,
    /// The new rules; `None`: those that screened each record. A dry run needs some.
    pub rules: Option<RulesChoice>,
    /// What a dry run compares with; `None`: the rules that screened each record.
    pub base: Option<RulesChoice>,
    /// Whether stories are decided anew.
    pub reassign: bool,
    /// The key (by id) whose owner asks.
    pub by: String,
}

/// A generation, and how far it is.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerationStatus {
    /// What it is.
    pub entry: Entry,
    /// Whether it is the live one.
    pub is_live: bool,
    /// The model of the vectors in the store it uses; `None` if it is retired, or none of the models at hand.
    pub model: Option<String>,
    /// The stages that fill its parts, shared parts too.
    pub stages: Vec<StagePosition>,
}

/// How far a stage is in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagePosition {
    /// The stage, such as `screen-g2`.
    pub stage: String,
    /// What it reads.
    pub input: TopicPartition,
    /// The next offset it reads.
    pub next: Offset,
    /// The end of the partition.
    pub end: Offset,
}

impl StagePosition {
    /// Records it has not taken yet.
    pub fn lag(&self) -> u64 {
        self.end.0.saturating_sub(self.next.0)
    }
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
    /// The topic that is read.
    #[serde(default = "telegram_raw")]
    pub input: Topic,
    /// The range these came to, ascending by partition.
    pub ranges: Vec<ReplayRange>,
    /// `name@version+hash` of the new rules; empty: those that screened each record.
    pub rules: String,
    /// `name@version+hash` of the rules compared with, in order where there are several; empty where nothing is compared.
    pub base: String,
    /// The new rules as the decisions hold them, for a replay that fills a generation: identity, and whether they ship.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules_kept: Option<(String, bool)>,
    /// Of a replay of `screen` that fills a generation: the raw records that are screened anew. Those before are taken over,
    /// and `ranges` holds them too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub screens: Vec<ReplayRange>,
    /// Whether stories are decided anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reassign: bool,
    /// The model whose vectors a replay of `embed` makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The generation it was made from; fixed when it is queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_generation: Option<Generation>,
}

fn telegram_raw() -> Topic {
    Topic::TELEGRAM_RAW
}

impl ReplaySpec {
    /// Offsets in the range.
    pub fn total(&self) -> u64 {
        self.ranges.iter().map(|r| r.to.0 - r.from.0).sum()
    }
}

/// The offsets `from..to` of one partition of a replay's input; `from` is at most `to`.
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

    /// Leaves out what was found by comparing; positions and ledger stay.
    pub fn forget_comparison(&mut self) {
        self.samples.clear();
        self.result = ScreenDiff {
            ledger: std::mem::take(&mut self.result.ledger),
            ..ScreenDiff::default()
        };
    }

    /// Offsets passed.
    pub fn processed(&self) -> u64 {
        self.result.ledger.received
    }
}
