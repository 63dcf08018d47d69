//! Where replays are kept: the catalog's part of them.

use async_trait::async_trait;
use telesift_schemas::Timestamp;

use super::{ReplayProgress, ReplayState, ReplayStatus};
use crate::catalog::Result;

/// The catalog of replays. State and progress are written apart: people move the one, the runner the other.
#[async_trait]
pub trait ReplayCatalog: Send + Sync + 'static {
    /// Registers a replay with the rules it compares.
    ///
    /// # Errors
    /// [`Conflict`](crate::catalog::Error::Conflict) if the id is taken.
    async fn create_replay(&self, replay: &ReplayStatus, rules: &RulePair) -> Result<()>;

    /// A replay, with its samples.
    async fn replay(&self, id: &str) -> Result<Option<ReplayStatus>>;

    /// The rules of a replay.
    async fn replay_rules(&self, id: &str) -> Result<Option<RulePair>>;

    /// Replays, newest first, after `after` if given; without their samples.
    async fn replays(&self, after: Option<&str>, limit: usize) -> Result<Vec<ReplayStatus>>;

    /// Replays that are not over, oldest first; without their samples.
    async fn unfinished_replays(&self) -> Result<Vec<ReplayStatus>>;

    /// Stores positions, result and samples in one transaction, if the replay is not over and the stored progress still
    /// has processed `expected` offsets.
    ///
    /// # Errors
    /// [`Conflict`](crate::catalog::Error::Conflict) if it is not so: it was ended, or another owner went on from here.
    async fn put_replay_progress(
        &self,
        id: &str,
        expected: u64,
        progress: &ReplayProgress,
    ) -> Result<()>;

    /// Moves a replay from one state to another at `at`; `false` if it is not in `from`. The first start and the end
    /// are noted; `error` is that of [`ReplayState::Failed`].
    async fn move_replay(
        &self,
        id: &str,
        from: ReplayState,
        to: ReplayState,
        error: Option<&str>,
        at: Timestamp,
    ) -> Result<bool>;
}

/// The rules of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulePair {
    /// The rules compared with: [`super::BaseRules::to_text`]; empty where nothing is compared.
    pub base: String,
    /// The new rules, as JSON; empty where nothing is compared.
    pub new: String,
}
