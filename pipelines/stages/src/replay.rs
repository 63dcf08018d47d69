//! Rule sets and a range of `telegram-raw` in, a comparison out: dry runs of the screen, one at a time, at low priority.
//!
//! A dry run reads the log and writes its own progress to the catalog; topics, stores and the ledger of the live stages
//! are not within its reach. Positions and counts are stored together, so that a restart counts nothing twice. Every
//! record is judged as it stands: duplicates are refused when they are taken in, not here.

mod attempt;
mod judge;
mod range;
mod sources;
mod tally;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use telesift_ports::{
    Clock, RecordLog, Replays, SmartModuleChain,
    chain::ChainError,
    replays::{
        LabelSource, Order, ReplayCatalog, ReplayError, ReplayProgress, ReplayRange, ReplayRequest,
        ReplaySpec, ReplayStage, ReplayState, ReplayStatus, ResolvedRules, RulePair, RulesChoice,
        RulesSource,
    },
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    StageError,
    consumer::{delays, pause},
};
use attempt::{Attempt, End};
pub use sources::{KeptLabels, KeptRules};

/// The task's name in logs and metrics.
pub const STAGE: &str = "replay";

/// Makes the canonical chain with a rule set, given as JSON.
pub type RuleChains =
    Arc<dyn Fn(&str) -> Result<Box<dyn SmartModuleChain>, ChainError> + Send + Sync>;

/// How replays run.
#[derive(Clone, Debug)]
pub struct ReplayConfig {
    /// Replays that may be unfinished, paused ones too; more are refused.
    pub max_unfinished: usize,
    /// Records judged at once.
    pub batch_records: usize,
    /// How often progress is stored, at most; zero = after each batch.
    pub checkpoint_every: Duration,
    /// How long to rest after a batch, in times of what it took: 0.5 leaves the live stages a third of one core.
    pub rest: f32,
    /// How long both chains may take for one batch.
    pub watchdog: Duration,
}

/// How often the queue is looked at although nothing was queued here.
const LOOK_EVERY: Duration = Duration::from_secs(2);

impl Default for ReplayConfig {
    /// 16 unfinished, 250 records at once, stored every second, resting half the time it works, 30 s for a batch.
    fn default() -> Self {
        ReplayConfig {
            max_unfinished: 16,
            batch_records: 250,
            checkpoint_every: Duration::from_secs(1),
            rest: 0.5,
            watchdog: Duration::from_secs(30),
        }
    }
}

/// What replays stand on.
#[derive(Clone)]
pub struct ReplayParts {
    /// Read only.
    pub log: Arc<dyn RecordLog>,
    /// Keeps the replays.
    pub catalog: Arc<dyn ReplayCatalog>,
    /// Knows the rules.
    pub rules: Arc<dyn RulesSource>,
    /// Knows the labels.
    pub labels: Arc<dyn LabelSource>,
    /// Makes the chains.
    pub chains: RuleChains,
    /// For the times of a replay.
    pub clock: Arc<dyn Clock>,
}

/// Takes in replays and runs them one after the other.
pub struct ReplayRunner {
    parts: ReplayParts,
    config: ReplayConfig,
    queued: Notify,
    /// Held while one is counted and queued, so that two at once do not both take the last place.
    taking_in: tokio::sync::Mutex<()>,
    /// The replay under way, and how to interrupt it.
    current: Mutex<Option<(String, CancellationToken)>>,
}

#[async_trait]
impl Replays for ReplayRunner {
    async fn start(&self, request: ReplayRequest) -> Result<ReplayStatus, ReplayError> {
        let new = self.resolve("rules", &request.rules).await?;
        let ranges = range::resolve(&*self.parts.log, &request.from, &request.to).await?;
        let base = match &request.base {
            Some(choice) => self.resolve("base", choice).await?,
            None => self.parts.rules.active(&ranges).await?,
        };
        self.queue(&request, ranges, base, new).await
    }

    async fn status(&self, id: &str) -> Result<Option<ReplayStatus>, ReplayError> {
        Ok(self.parts.catalog.replay(id).await?)
    }

    async fn list(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ReplayStatus>, ReplayError> {
        Ok(self.parts.catalog.replays(after, limit).await?)
    }

    async fn steer(&self, id: &str, order: Order) -> Result<Option<ReplayStatus>, ReplayError> {
        use ReplayState as S;
        let (from, to): (&[S], S) = match order {
            Order::Pause => (&[S::Running, S::Queued], S::Paused),
            Order::Resume => (&[S::Paused], S::Queued),
            Order::Cancel => (&[S::Running, S::Queued, S::Paused], S::Cancelled),
        };
        let is_moved = self.move_any(id, from, to).await?;
        match (is_moved, order) {
            (true, Order::Resume) => self.queued.notify_one(),
            (true, Order::Pause | Order::Cancel) => self.interrupt(id),
            (false, _) => {}
        }
        let Some(replay) = self.parts.catalog.replay(id).await? else {
            return Ok(None);
        };
        let is_obeyed = is_moved
            || replay.state == to
            || (order == Order::Resume && replay.state == S::Running);
        match is_obeyed {
            true => Ok(Some(replay)),
            false => Err(ReplayError::State(replay.state)),
        }
    }
}

impl ReplayRunner {
    /// A runner; nothing runs before [`ReplayRunner::run`].
    pub fn new(parts: ReplayParts, config: ReplayConfig) -> Self {
        ReplayRunner {
            parts,
            config,
            queued: Notify::new(),
            taking_in: tokio::sync::Mutex::default(),
            current: Mutex::default(),
        }
    }

    async fn resolve(
        &self,
        field: &'static str,
        choice: &RulesChoice,
    ) -> Result<ResolvedRules, ReplayError> {
        match choice {
            RulesChoice::Inline(text) => {
                let read = self.parts.rules.read(text);
                read.map_err(|fault| ReplayError::Rules { field, fault })
            }
            RulesChoice::Named(name) => {
                let found = self.parts.rules.resolve(name).await?;
                found.ok_or_else(|| ReplayError::UnknownRules {
                    field,
                    name: name.clone(),
                })
            }
        }
    }

    async fn queue(
        &self,
        request: &ReplayRequest,
        ranges: Vec<ReplayRange>,
        base: ResolvedRules,
        new: ResolvedRules,
    ) -> Result<ReplayStatus, ReplayError> {
        let catalog = &self.parts.catalog;
        let _alone = self.taking_in.lock().await;
        let n_unfinished = catalog.unfinished_replays().await?.len();
        if n_unfinished >= self.config.max_unfinished {
            return Err(ReplayError::QueueFull(n_unfinished));
        }
        let replay = ReplayStatus {
            id: uuid::Uuid::now_v7().to_string(),
            progress: ReplayProgress::at_start(&ranges),
            spec: ReplaySpec {
                stage: ReplayStage::Screen,
                dry_run: true,
                from: request.from.to_string(),
                to: request.to.to_string(),
                ranges,
                rules: new.version,
                base: base.version,
            },
            state: ReplayState::Queued,
            error: None,
            created_at: self.parts.clock.now(),
            started_at: None,
            ended_at: None,
        };
        let rules = RulePair {
            base: base.json,
            new: new.json,
        };
        catalog.create_replay(&replay, &rules).await?;
        self.queued.notify_one();
        Ok(replay)
    }

    /// Moves a replay that is in one of `from`. Two passes: it may change from one of them to another in between.
    async fn move_any(
        &self,
        id: &str,
        from: &[ReplayState],
        to: ReplayState,
    ) -> Result<bool, ReplayError> {
        for state in from.iter().chain(from) {
            let now = self.parts.clock.now();
            if self
                .parts
                .catalog
                .move_replay(id, *state, to, None, now)
                .await?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes the replay under way look up, if it is this one.
    fn interrupt(&self, id: &str) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, token)) = current.as_ref().filter(|(running, _)| running == id) {
            token.cancel();
        }
    }

    fn set_current(&self, current: Option<(String, CancellationToken)>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = current;
    }

    /// Runs queued replays, oldest first, until `shutdown`; one that a restart interrupted goes first.
    ///
    /// # Errors
    /// What no retry mends: the catalog is damaged, or [`StageError::Hung`], which only a restart gets rid of; the replay
    /// in question has failed by then, so that the next process does not meet it again.
    pub async fn run(&self, shutdown: CancellationToken) -> Result<(), StageError> {
        let mut delays = delays();
        while !shutdown.is_cancelled() {
            let outcome = match self.parts.catalog.unfinished_replays().await {
                Ok(replays) => match next_of(replays) {
                    Some(replay) => self.run_one(replay, &shutdown).await,
                    None => {
                        tokio::select! {
                            () = shutdown.cancelled() => {}
                            () = self.queued.notified() => {}
                            // Asked for in another process.
                            () = tokio::time::sleep(LOOK_EVERY) => {}
                        }
                        Ok(())
                    }
                },
                Err(error) => Err(error.into()),
            };
            match outcome {
                Ok(()) => delays = crate::consumer::delays(),
                Err(error) if error.is_retryable() => {
                    tracing::warn!(%error, "replays wait");
                    pause(delays.next().unwrap_or_default(), &shutdown).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Runs one replay to its end, or until it is interrupted.
    async fn run_one(
        &self,
        replay: ReplayStatus,
        shutdown: &CancellationToken,
    ) -> Result<(), StageError> {
        let (id, token) = (replay.id.clone(), CancellationToken::new());
        self.set_current(Some((id.clone(), token.clone())));
        let is_ours = match replay.state {
            ReplayState::Running => true, // a restart interrupted it
            from => self.move_to(&id, from, ReplayState::Running, None).await?,
        };
        let end = match is_ours {
            true => {
                Attempt::begin(&self.parts, &self.config, &id, token)
                    .await?
                    .run(shutdown)
                    .await
            }
            false => Ok(End::Interrupted),
        };
        self.set_current(None);
        self.finish(&id, end?).await
    }

    async fn finish(&self, id: &str, end: End) -> Result<(), StageError> {
        let (to, error, hung) = match end {
            End::Interrupted => return Ok(()),
            End::Through => (ReplayState::Done, None, None),
            End::Failed(reason) => (ReplayState::Failed, Some(reason), None),
            End::Hung(error) => (ReplayState::Failed, Some(error.to_string()), Some(error)),
        };
        tracing::info!(replay = id, state = to.as_str(), error, "replay ended");
        self.move_to(id, ReplayState::Running, to, error.as_deref())
            .await?;
        hung.map_or(Ok(()), Err)
    }

    async fn move_to(
        &self,
        id: &str,
        from: ReplayState,
        to: ReplayState,
        error: Option<&str>,
    ) -> Result<bool, StageError> {
        let (catalog, now) = (&self.parts.catalog, self.parts.clock.now());
        Ok(catalog.move_replay(id, from, to, error, now).await?)
    }
}

/// The one to run: that which was under way when the last process ended, else the oldest queued.
fn next_of(replays: Vec<ReplayStatus>) -> Option<ReplayStatus> {
    let (running, waiting): (Vec<_>, Vec<_>) = replays
        .into_iter()
        .filter(|r| r.state != ReplayState::Paused)
        .partition(|r| r.state == ReplayState::Running);
    running.into_iter().chain(waiting).next()
}
