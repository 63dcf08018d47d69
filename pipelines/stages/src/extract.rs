//! Units that wait in, `extractions` out: what each unit claims, as far as its messages say so literally; asked for once.

mod appender;
mod finish;
mod flight;
mod neighbours;
mod outcome;
mod plan;
mod read;
mod retries;
mod told;
pub mod verify;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use telesift_ports::{
    Catalog, Clock, Embedder, Extractor, MessageStore, RecordLog,
    knowledge::{ExtractionRow, UnitRow},
    leases::Fence,
    ledger::StageKey,
};
use telesift_schemas::{ChatId, MessageKey, Offset, PartitionId, Topic, TopicPartition};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    consumer::{StageError, delays, pause},
    index, telemetry,
};
use appender::Queue;
use flight::{Flight, Handled, joined};
use neighbours::Neighbours;
use outcome::Outcome;
pub use plan::{Planned, UnitPlanner};

/// The stage's name in logs, metrics and dead letters.
pub const STAGE: &str = "extract";

/// How the stage works.
#[derive(Clone, Debug, PartialEq)]
pub struct ExtractConfig {
    /// Units asked for at once.
    pub workers: usize,
    /// Tries of a unit whose answers cannot be used, before it becomes a dead letter.
    pub max_unusable: u32,
    /// Characters of one message an extractor is given; quotes are checked against all of it.
    pub max_text_chars: usize,
    /// How long to wait for stories that do not get on, and, once the index has passed by, for messages to be in the
    /// store.
    pub patience: Duration,
    /// The longest pause without news.
    pub max_pause: Duration,
    /// Cosine similarity from which on two claims of one kind say the same.
    pub same_atom: f32,
    /// Cosine similarity from which on two names mean one subject.
    pub same_subject: f32,
}

impl Default for ExtractConfig {
    fn default() -> Self {
        ExtractConfig {
            workers: 16,
            max_unusable: 3,
            max_text_chars: 6_000,
            patience: Duration::from_secs(30),
            max_pause: Duration::from_secs(15),
            same_atom: 0.97,
            same_subject: 0.85,
        }
    }
}

/// What the stage stands on.
#[derive(Clone)]
pub struct ExtractParts {
    /// The log.
    pub log: Arc<dyn RecordLog>,
    /// Where texts are read.
    pub store: Arc<dyn MessageStore>,
    /// Units, stories, and what is known.
    pub catalog: Arc<dyn Catalog>,
    /// Who is asked.
    pub extractor: Arc<dyn Extractor>,
    /// Tells whether claims, and names of subjects, mean the same.
    pub embedder: Arc<dyn Embedder>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Works off the units that wait: signals first, the newest first, a story once.
///
/// The answer is appended to `extractions` before anything is made of it, and the unit is done once it was applied; so a unit
/// is never asked for twice, wherever the process dies: after a restart nobody is asked before all of `extractions` is applied.
pub struct Extract {
    parts: ExtractParts,
    config: ExtractConfig,
    /// The partitions of `messages`, whose stories must be known.
    messages: Vec<TopicPartition>,
    news: Arc<Notify>,
    /// Up to where `extractions` is applied.
    applied: watch::Receiver<Offset>,
    fence: Fence,
    /// Failures of providers in a row.
    away: AtomicU32,
    /// Units that wait for their messages.
    waiting: Mutex<HashMap<String, Waiting>>,
    /// What chats are about, as of a moment ago.
    subjects: Mutex<HashMap<ChatId, (Instant, Vec<String>)>>,
    neighbours: tokio::sync::Mutex<Neighbours>,
    /// Where answers go on their way to the log; made when the stage runs.
    queue: OnceLock<Queue>,
}

/// A unit that waits for its messages.
#[derive(Clone)]
struct Waiting {
    since: Instant,
    /// The ends of `messages` then.
    ends: Vec<Offset>,
}

/// Records of `messages` the index may be behind when units are begun: more than a moment of live traffic, less than an import.
const MAX_INDEX_LAG: u64 = 5_000;
/// How often to look whether it has caught up.
const LOOK_AT_INDEX: Duration = Duration::from_secs(1);

impl Extract {
    /// Works off what waits in the catalog; `news` tells of it, and `applied` where the knowledge stage stands on
    /// `extractions`.
    pub fn new(
        parts: ExtractParts,
        messages: Vec<TopicPartition>,
        news: Arc<Notify>,
        applied: watch::Receiver<Offset>,
        config: ExtractConfig,
    ) -> Self {
        let neighbours = Neighbours::new(parts.embedder.clone(), &config);
        Extract {
            parts,
            config,
            messages,
            news,
            applied,
            fence: Fence::open(),
            away: AtomicU32::new(0),
            waiting: Mutex::default(),
            subjects: Mutex::default(),
            neighbours: tokio::sync::Mutex::new(neighbours),
            queue: OnceLock::new(),
        }
    }

    /// Appends under this lease.
    pub fn under(mut self, fence: Fence) -> Self {
        self.fence = fence;
        self
    }

    /// Runs until `shutdown`. What is being asked then is asked again after the next start, unless its answer was stored.
    ///
    /// # Errors
    /// What no retry mends.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), StageError> {
        if !self.catch_up(&shutdown).await? {
            return Ok(());
        }
        // Tasks of their own: what this loop waits for must not depend on itself driving those who hold it, such as
        // connections of the catalog.
        let queue = appender::start(self.parts.log.clone(), self.fence.clone());
        let this = Arc::new(Extract {
            queue: OnceLock::from(queue),
            ..self
        });
        let mut running = JoinSet::new();
        let mut flight = Flight::default();
        let mut delays = delays();
        while !shutdown.is_cancelled() {
            match this.next_units(&mut flight).await {
                Ok(units) => {
                    delays = self::delays();
                    for (unit, stories) in units {
                        let this = this.clone();
                        running.spawn(async move {
                            Handled {
                                outcome: this.handle(&unit).await,
                                unit: unit.id,
                                stories,
                            }
                        });
                    }
                }
                Err(error) if error.is_retryable() => {
                    this.back_off(&error, delays.next(), &shutdown).await;
                    continue;
                }
                Err(error) => return Err(error),
            }
            let has_room = flight.units.len() < this.config.workers.max(1);
            let early = flight.is_early.then_some(LOOK_AT_INDEX);
            let look_in = early.or(flight.gate.is_some().then_some(told::LOOK_EVERY));
            tokio::select! {
                () = shutdown.cancelled() => {}
                Some(first) = running.join_next() => {
                    let mut ended: Vec<Handled> = joined(first).into_iter().collect();
                    while let Some(more) = running.try_join_next() {
                        ended.extend(joined(more));
                    }
                    match this.note_ends(&mut flight, ended).await {
                        Err(error) if error.is_retryable() => {
                            this.back_off(&error, delays.next(), &shutdown).await;
                        }
                        noted => noted?,
                    }
                }
                () = this.wait(look_in), if has_room => {}
            }
        }
        Ok(())
    }

    async fn back_off(
        &self,
        error: &StageError,
        delay: Option<Duration>,
        shutdown: &CancellationToken,
    ) {
        let delay = delay.unwrap_or(self.config.max_pause);
        metrics::counter!(telemetry::RETRIES, "stage" => STAGE).increment(1);
        tracing::warn!(stage = STAGE, delay_ms = delay.as_millis() as u64, %error, "will try again");
        pause(delay, shutdown).await;
    }

    /// Waits until all of `extractions` is applied; `false` if `shutdown` came first.
    async fn catch_up(&self, shutdown: &CancellationToken) -> Result<bool, StageError> {
        let end = self.parts.log.bounds(&extractions()).await?.end;
        let mut applied = self.applied.clone();
        tokio::select! {
            () = shutdown.cancelled() => Ok(false),
            reached = applied.wait_for(|at| *at >= end) => Ok(reached.is_ok()),
        }
    }

    /// Units to begin with now, each with the stories it tells. One that tells a story which is being worked on waits: it may
    /// cost nothing.
    async fn next_units(
        &self,
        flight: &mut Flight,
    ) -> Result<Vec<(UnitRow, Vec<String>)>, StageError> {
        let workers = self.config.workers.max(1);
        let room = workers.saturating_sub(flight.units.len());
        if room == 0 {
            return Ok(Vec::new());
        }
        self.run_retries(flight).await?;
        if flight.due.is_empty() {
            flight.is_early = self.index_lag().await? > MAX_INDEX_LAG;
            if flight.is_early {
                return Ok(Vec::new());
            }
            self.look(flight, workers * 8).await?;
        }
        if flight.due.is_empty() || !self.are_stories_known(flight).await? {
            return Ok(Vec::new());
        }
        let mut begun = Vec::new();
        let mut rest = Vec::new();
        for unit in std::mem::take(&mut flight.due) {
            let stories = self.stories_of(&unit).await?;
            let is_told = stories.iter().any(|story| flight.stories.contains(story));
            if begun.len() == room || is_told {
                rest.push(unit);
                continue;
            }
            flight.stories.extend(stories.iter().cloned());
            flight.units.insert(unit.id.clone());
            begun.push((unit, stories));
        }
        flight.due = rest;
        Ok(begun)
    }

    /// Records of `messages` that are not in the store yet.
    async fn index_lag(&self) -> Result<u64, StageError> {
        let mut lag = 0;
        for at in &self.messages {
            let key = StageKey {
                stage: index::STAGE.to_owned(),
                input: at.clone(),
            };
            let next = self.parts.catalog.stage_state(&key).await?;
            let end = self.parts.log.bounds(at).await?.end;
            lag += end.0.saturating_sub(next.unwrap_or_default().next.0);
        }
        Ok(lag)
    }

    /// Looks which units are due, and what must be known of stories before they are begun.
    async fn look(&self, flight: &mut Flight, n_wanted: usize) -> Result<(), StageError> {
        let now = self.parts.clock.now();
        let wanted = n_wanted + flight.units.len();
        let mut due = self.parts.catalog.due_units(now, wanted).await?;
        due.retain(|unit| !flight.units.contains(&unit.id));
        if flight.units.is_empty() {
            let counts = self.parts.catalog.unit_counts().await?;
            telemetry::backlog(STAGE, "units", counts.due);
        }
        flight.gate = match due.is_empty() {
            true => None,
            false => Some(self.gate().await?),
        };
        flight.due = due;
        Ok(())
    }

    /// Waits for news, for the time of the next unit, or for the longest pause; or just for `look_in`.
    async fn wait(&self, look_in: Option<Duration>) {
        if let Some(pause) = look_in {
            return tokio::time::sleep(pause).await;
        }
        let now = self.parts.clock.now();
        let next = self.parts.catalog.next_due(now).await.ok().flatten();
        let next = next.map(|t| t.as_millisecond() - now.as_millisecond());
        let next = next.map(|ms| Duration::from_millis(ms.max(1).unsigned_abs()));
        let pause = next.map_or(self.config.max_pause, |t| t.min(self.config.max_pause));
        tokio::select! {
            () = self.news.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    /// Works on one unit; gives it as that leaves it.
    async fn handle(&self, unit: &UnitRow) -> Result<UnitRow, StageError> {
        let started = Instant::now();
        let outcome = self.work(unit).await?;
        let row = self.settled(unit, outcome).await?;
        telemetry::batch(STAGE, 1, started.elapsed());
        Ok(row)
    }

    async fn work(&self, unit: &UnitRow) -> Result<Outcome, StageError> {
        let before = self.extraction_of(&unit.id).await?;
        let is_alone = match &before {
            Some(before) => self.stands_alone(before).await?,
            None => true,
        };
        // What was extracted stands, unless a replay wants it done anew.
        let is_wanted = unit.again.is_some();
        if is_alone && !is_wanted && before.as_ref().is_some_and(|b| covers(b, unit)) {
            return Ok(Outcome::Done);
        }
        let messages = match self.read(unit).await? {
            read::Read::Messages(messages) => messages,
            read::Read::NotThere(what) => return self.not_there(unit, what).await,
        };
        self.waiting().remove(&unit.id);
        let members: Vec<_> = messages.iter().map(read::member).collect();
        match &before {
            None if members.is_empty() => return Ok(Outcome::Done),
            Some(before) if is_alone && !is_wanted && before.members == members => {
                return Ok(Outcome::Done);
            }
            _ => {}
        }
        if members.is_empty() {
            return self.finish_empty(unit, before).await;
        }
        let was_own = before.as_ref().is_some_and(|b| b.same_as.is_none());
        let keys: Vec<MessageKey> = members.iter().map(|m| m.message).collect();
        if !was_own && let Some(told) = self.told_in(unit, &keys).await? {
            return self.finish_same(unit, members, told).await;
        }
        let asked = self.unit(unit, &messages).await?;
        match self.parts.extractor.extract(&asked).await {
            Ok(extracted) => {
                self.away.store(0, Ordering::Relaxed);
                self.finish(unit, members, &messages, extracted).await
            }
            Err(error) => Ok(self.failed(unit, error)),
        }
    }

    /// A unit whose messages have not reached the store waits for them.
    async fn not_there(&self, unit: &UnitRow, what: MessageKey) -> Result<Outcome, StageError> {
        let known = self.waiting().get(&unit.id).map(|w| w.since);
        let since = match known {
            Some(since) => since,
            None => {
                let mut ends = Vec::new();
                for at in &self.messages {
                    ends.push(self.parts.log.bounds(at).await?.end);
                }
                let since = Instant::now();
                self.waiting()
                    .insert(unit.id.clone(), Waiting { since, ends });
                since
            }
        };
        let delay = since.elapsed() / 2;
        Ok(Outcome::Later {
            delay: delay.clamp(Duration::from_millis(200), Duration::from_secs(10)),
            note: format!("waits for {what} to reach the message store"),
        })
    }

    /// Whether the index has gone past all that stood on `messages` when the unit began to wait, and some time has passed: what
    /// has not reached the store by then never will.
    async fn is_passed_by(&self, unit: &UnitRow) -> Result<bool, StageError> {
        let waiting = self.waiting().get(&unit.id).cloned();
        let Some(waiting) = waiting.filter(|w| w.since.elapsed() >= self.config.patience) else {
            return Ok(false);
        };
        for (at, end) in self.messages.iter().zip(waiting.ends) {
            let key = StageKey {
                stage: index::STAGE.to_owned(),
                input: at.clone(),
            };
            let state = self.parts.catalog.stage_state(&key).await?;
            if state.unwrap_or_default().next < end {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<String, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn extraction_of(&self, unit: &str) -> Result<Option<ExtractionRow>, StageError> {
        let asked = [unit.to_owned()];
        Ok(self.parts.catalog.extractions_of(&asked).await?.pop())
    }

    /// Whether what was extracted stands by itself: a unit that counts as the same as another needs that other.
    async fn stands_alone(&self, extraction: &ExtractionRow) -> Result<bool, StageError> {
        let Some(other) = &extraction.same_as else {
            return Ok(true);
        };
        let other = self.extraction_of(other).await?;
        Ok(other.is_some_and(|other| !other.members.is_empty()))
    }
}

/// The one partition of `extractions`.
pub(crate) fn extractions() -> TopicPartition {
    TopicPartition::new(Topic::EXTRACTIONS, PartitionId(0))
}

/// Whether nothing of the unit came after what was extracted.
fn covers(extraction: &ExtractionRow, unit: &UnitRow) -> bool {
    let version = |m: &telesift_schemas::UnitMember| (m.edit, m.origin.offset);
    let find = |key| extraction.members.iter().find(|m| m.message == key);
    let has = |m: &telesift_schemas::UnitMember| {
        find(m.message).is_some_and(|read| version(read) >= version(m))
    };
    let is_left = |m: &telesift_schemas::UnitMember| {
        unit.members.iter().any(|left| left.message == m.message)
    };
    unit.members.iter().all(has) && extraction.members.iter().all(is_left)
}
