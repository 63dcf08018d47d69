//! A stretch of history in, a comparison or a generation out: replays, one at a time, at low priority.
//!
//! A dry run (`attempt`) reads the log and writes its own progress to the catalog; topics, stores and the ledger of the live
//! stages are not within its reach. Positions and counts are stored together, so that a restart counts nothing twice. Every
//! record is judged as it stands: duplicates are refused when they are taken in, not here.
//!
//! Any other replay (`build`) fills a generation beside the live one, with stages and positions of its own; live positions
//! are untouched. `switch` makes it the live one.

mod attempt;
mod build;
mod compare;
mod judge;
mod order;
mod range;
mod reading;
mod run;
mod sources;
mod survey;
mod switch;
mod tally;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use telesift_ports::{
    Clock, RecordLog, Replays, SmartModuleChain,
    chain::ChainError,
    generations::{GenerationState, Generations, Register},
    replays::{
        GenerationStatus, LabelSource, Order, ReplayCatalog, ReplayError, ReplayRequest,
        ReplayStage, ReplayState, ReplayStatus, RulesSource,
    },
};
use telesift_schemas::Generation;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{
    StageError,
    consumer::{delays, pause},
    extract::UnitPlanner,
    generations::Line,
    workers::Held,
};
use attempt::{Attempt, End};
use build::Build;
use reading::UnitReading;
use run::Run;
pub use sources::{KeptLabels, KeptRules};
use survey::Survey;

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
    /// The share of the time a replay may work, 0..=1: after a batch it rests for as long as that takes.
    pub cpu_share: f64,
    /// How long both chains of a dry run may take for one batch.
    pub watchdog: Duration,
    /// How long a switch waits until the generation has what the live one has.
    pub switch_within: Duration,
}

/// How often the queue is looked at although nothing was queued here.
const LOOK_EVERY: Duration = Duration::from_secs(2);

impl Default for ReplayConfig {
    /// 16 unfinished, 250 records at once, stored every second, half of the time, 30 s for a batch, 10 s for a switch.
    fn default() -> Self {
        ReplayConfig {
            max_unfinished: 16,
            batch_records: 250,
            checkpoint_every: Duration::from_secs(1),
            cpu_share: 0.5,
            watchdog: Duration::from_secs(30),
            switch_within: Duration::from_secs(10),
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
    /// Makes the chains of dry runs.
    pub chains: RuleChains,
    /// Tells what a replay of `extract` makes of a unit.
    pub units: Arc<UnitPlanner>,
    /// Runs the stages that fill generations.
    pub line: Arc<Line>,
    /// For the times of a replay.
    pub clock: Arc<dyn Clock>,
}

impl ReplayParts {
    /// A replay that was begun, as it was last stored.
    async fn replay(&self, id: &str) -> Result<ReplayStatus, StageError> {
        let missing = || StageError::State {
            key: format!("replay/{id}"),
            reason: "it is gone".to_owned(),
        };
        self.catalog.replay(id).await?.ok_or_else(missing)
    }
}

impl ReplayParts {
    fn generations(&self) -> &Generations {
        &self.line.parts.generations
    }
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
        let ordered = order::prepare(&self.parts, request).await?;
        self.queue(ordered).await
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
            (true, Order::Pause) => {
                self.interrupt(id);
            }
            // One that is under way is given up by its runner, once its stages have ended.
            (true, Order::Cancel) if !self.interrupt(id) => {
                self.discard(id).await.map_err(switch::failed)?;
            }
            (true, Order::Cancel) | (false, _) => {}
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

    async fn switch(&self, id: &str) -> Result<Option<ReplayStatus>, ReplayError> {
        let Some(replay) = self.parts.catalog.replay(id).await? else {
            return Ok(None);
        };
        switch::to(&self.parts, &self.config, &replay).await?;
        Ok(Some(replay))
    }

    async fn switch_back(&self, id: &str) -> Result<Option<ReplayStatus>, ReplayError> {
        let Some(replay) = self.parts.catalog.replay(id).await? else {
            return Ok(None);
        };
        switch::back(&self.parts, &self.config, &replay).await?;
        Ok(Some(replay))
    }

    async fn generations(&self) -> Result<Vec<GenerationStatus>, ReplayError> {
        switch::list(&self.parts).await
    }

    async fn retire(&self, generation: Generation) -> Result<bool, ReplayError> {
        switch::retire(&self.parts, generation).await
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

    async fn queue(&self, ordered: order::Ordered) -> Result<ReplayStatus, ReplayError> {
        let catalog = &self.parts.catalog;
        let _alone = self.taking_in.lock().await;
        let n_unfinished = catalog.unfinished_replays().await?.len();
        if n_unfinished >= self.config.max_unfinished {
            return Err(ReplayError::QueueFull(n_unfinished));
        }
        let replay = ReplayStatus {
            id: uuid::Uuid::now_v7().to_string(),
            progress: ordered.progress,
            spec: ordered.spec,
            state: ReplayState::Queued,
            error: None,
            created_at: self.parts.clock.now(),
            started_at: None,
            ended_at: None,
        };
        catalog.create_replay(&replay, &ordered.rules).await?;
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

    /// Makes the replay under way look up, if it is this one; whether it is.
    fn interrupt(&self, id: &str) -> bool {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let is_its = current.as_ref().filter(|(running, _)| running == id);
        if let Some((_, token)) = is_its {
            token.cancel();
        }
        is_its.is_some()
    }

    /// Gives up the generation of a replay, if it has one that is not live.
    async fn discard(&self, id: &str) -> Result<(), StageError> {
        let now = self.parts.clock.now();
        let give_up = |register: &mut Register| {
            let live = register.live;
            let its = register
                .all
                .iter_mut()
                .filter(|e| e.is_kept() && e.generation != live && e.replay.as_deref() == Some(id));
            its.for_each(|e| {
                e.state = GenerationState::Retired;
                e.idle_since = Some(now);
            });
            Ok::<_, ()>(())
        };
        self.parts.generations().change(give_up).await?.ok();
        if let Some(entry) = self.parts.generations().now().made_by(id) {
            let catalog = &self.parts.line.parts.catalog;
            catalog.end_reading(entry.generation).await?;
        }
        Ok(())
    }

    /// Gives up generations whose replay is over, or gone: the last process ended in between.
    async fn sweep(&self) -> Result<(), StageError> {
        let register = self.parts.generations().refresh().await?;
        let building = register
            .all
            .iter()
            .filter(|e| e.state == GenerationState::Building);
        for id in building.filter_map(|e| e.replay.clone()) {
            let replay = self.parts.catalog.replay(&id).await?;
            if replay.is_none_or(|r| r.state.is_over()) {
                self.discard(&id).await?;
            }
        }
        Ok(())
    }

    fn set_current(&self, current: Option<(String, CancellationToken)>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = current;
    }

    /// Runs queued replays, oldest first, until `held` ends; one that a restart interrupted goes first.
    ///
    /// # Errors
    /// What no retry mends: the catalog is damaged, or [`StageError::Hung`], which only a restart gets rid of; the replay
    /// in question has failed by then, so that the next process does not meet it again.
    pub async fn run(&self, held: Held) -> Result<(), StageError> {
        let shutdown = held.stop.clone();
        let mut delays = delays();
        while !shutdown.is_cancelled() {
            let outcome = self.run_next(&held).await;
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

    /// Runs the next replay, or waits for one.
    async fn run_next(&self, held: &Held) -> Result<(), StageError> {
        self.sweep().await?;
        match next_of(self.parts.catalog.unfinished_replays().await?) {
            Some(replay) => self.run_one(replay, held).await,
            None => {
                tokio::select! {
                    () = held.stop.cancelled() => {}
                    () = self.queued.notified() => {}
                    // Asked for in another process.
                    () = tokio::time::sleep(LOOK_EVERY) => {}
                }
                Ok(())
            }
        }
    }

    /// Runs one replay to its end, or until it is interrupted.
    async fn run_one(&self, replay: ReplayStatus, held: &Held) -> Result<(), StageError> {
        let (id, token) = (replay.id.clone(), CancellationToken::new());
        self.set_current(Some((id.clone(), token.clone())));
        let is_ours = match replay.state {
            ReplayState::Running => true, // a restart interrupted it
            from => self.move_to(&id, from, ReplayState::Running, None).await?,
        };
        let end = match is_ours {
            true => self.run_as(&replay, token, held).await,
            false => Ok(End::Interrupted),
        };
        self.set_current(None);
        self.finish(&id, end?).await
    }

    /// Runs it as what it is: a dry run that compares, reads or only counts, or one that fills a generation.
    async fn run_as(
        &self,
        replay: &ReplayStatus,
        token: CancellationToken,
        held: &Held,
    ) -> Result<End, StageError> {
        let (stage, is_dry) = (replay.spec.stage, replay.spec.dry_run);
        let run = Run::begin(&self.parts, &self.config, &replay.id, token).await?;
        match (stage, is_dry) {
            (ReplayStage::Extract, true) => UnitReading::new(run).run(None, &held.stop).await,
            (ReplayStage::Extract, false) => {
                let build = Build::new(run.clone());
                UnitReading::new(run).run(Some(build), &held.stop).await
            }
            (ReplayStage::Screen, true) => Attempt::new(run).run(&held.stop).await,
            (_, true) => Survey::begin(run).await?.run(&held.stop).await,
            (_, false) => Build::new(run).run(held).await,
        }
    }

    async fn finish(&self, id: &str, end: End) -> Result<(), StageError> {
        let (to, error, hung) = match end {
            End::Interrupted => return Ok(()),
            End::Through => (ReplayState::Done, None, None),
            End::Failed(reason) => (ReplayState::Failed, Some(reason), None),
            End::Hung(error) => (ReplayState::Failed, Some(error.to_string()), Some(error)),
        };
        tracing::info!(replay = id, state = to.as_str(), error, "replay ended");
        let is_moved = self
            .move_to(id, ReplayState::Running, to, error.as_deref())
            .await?;
        if !is_moved {
            let replay = self.parts.catalog.replay(id).await?;
            if replay.is_none_or(|r| r.state == ReplayState::Cancelled) {
                self.discard(id).await?; // cancelled in the last moment
            }
        }
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
