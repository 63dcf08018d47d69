//! Units that wait in, `extractions` out: what each unit claims, as far as its messages say so literally; asked for once.

mod appender;
mod config;
mod finish;
mod flight;
mod look_up;
mod neighbours;
mod outcome;
mod plan;
mod read;
mod retries;
mod told;
mod unread;
pub mod verify;
mod wait;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use telesift_ports::{
    Catalog, Clock, Embedder, Extractor, Generations, MessageStore, RecordLog,
    extractor::ExtractError,
    knowledge::{ExtractionRow, UnitRow},
    leases::Fence,
    ledger::StageKey,
};
use telesift_schemas::{
    ChatId, Generation, MessageKey, Offset, PartitionId, Topic, TopicPartition,
};
use tokio::{
    sync::{Notify, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    after_index::IndexLag,
    chat_settings,
    consumer::{StageError, delays, pause},
    generations::stage_name,
    index, labels, telemetry,
};
use appender::Queue;
pub use config::ExtractConfig;
use flight::{Begun, Flight, Handled, joined};
use look_up::LookUps;
use neighbours::Neighbours;
use outcome::Outcome;
pub use plan::{Planned, UnitPlanner};

/// The stage's name in logs, metrics and dead letters.
pub const STAGE: &str = "extract";

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
    /// Which generation is live: its store is read, and its stories count.
    pub generations: Arc<Generations>,
    /// Tells whether claims, and names of subjects, mean the same.
    pub embedder: Arc<dyn Embedder>,
    /// Whether the store has more to do than units should add to: they would only wait for it.
    pub index_lag: Arc<IndexLag>,
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
    /// The partitions of `messages` in the first generation.
    messages: Vec<TopicPartition>,
    news: Arc<Notify>,
    /// Up to where `extractions` is applied.
    applied: watch::Receiver<Offset>,
    fence: Fence,
    /// Who failed last, and how often in a row.
    away: Mutex<HashMap<String, outcome::Away>>,
    /// Units that wait for their messages.
    waiting: Mutex<HashMap<String, Waiting>>,
    /// What chats are about, as of a moment ago.
    subjects: Mutex<HashMap<ChatId, (Instant, Vec<String>)>>,
    neighbours: tokio::sync::Mutex<Neighbours>,
    /// Where answers go on their way to the log; made when the stage runs.
    queue: OnceLock<Queue>,
    /// Where messages of units are looked up; made when the stage runs.
    look_ups: OnceLock<LookUps>,
}

/// The ends of the messages that a part of a generation is made of.
#[derive(Clone)]
struct Ends {
    /// Whose part.
    of: Generation,
    messages: Vec<(TopicPartition, Offset)>,
}

/// A unit that waits for its messages.
#[derive(Clone)]
struct Waiting {
    since: Instant,
    /// The ends of `messages` then.
    ends: Ends,
}

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
            away: Mutex::default(),
            waiting: Mutex::default(),
            subjects: Mutex::default(),
            neighbours: tokio::sync::Mutex::new(neighbours),
            queue: OnceLock::new(),
            look_ups: OnceLock::new(),
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
        let mut delays = delays();
        loop {
            match self.catch_up(&shutdown).await {
                Ok(true) => break,
                Ok(false) => return Ok(()),
                // The log may have no leader yet, as after the death of an SPU.
                Err(error) if error.is_retryable() && !shutdown.is_cancelled() => {
                    self.back_off(&error, delays.next(), &shutdown).await;
                }
                Err(error) if error.is_retryable() => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        // Tasks of their own: what this loop waits for must not depend on itself driving those who hold it, such as
        // connections of the catalog.
        let queue = appender::start(self.parts.log.clone(), self.fence.clone());
        let this = Arc::new(Extract {
            queue: OnceLock::from(queue),
            look_ups: OnceLock::from(LookUps::start(self.parts.store.clone())),
            ..self
        });
        let mut running = JoinSet::new();
        let mut flight = Flight::default();
        delays = self::delays();
        while !shutdown.is_cancelled() {
            let looked = this.next_units(&mut flight).await;
            for one in std::mem::take(&mut flight.begun) {
                running.spawn(this.clone().worked(one));
            }
            match looked {
                Ok(()) => delays = self::delays(),
                Err(error) if error.is_retryable() => {
                    this.back_off(&error, delays.next(), &shutdown).await;
                    continue;
                }
                Err(error) => return Err(error),
            }
            let has_room = flight.has_room(this.config.workers.max(1));
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
                () = this.wait(&flight, look_in), if has_room => {}
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

    /// Waits until all of `extractions` is applied, and what was decided is in force; `false` if `shutdown` came first.
    async fn catch_up(&self, shutdown: &CancellationToken) -> Result<bool, StageError> {
        let end = self.parts.log.bounds(&extractions()).await?.end;
        let mut applied = self.applied.clone();
        let is_there = tokio::select! {
            () = shutdown.cancelled() => return Ok(false),
            reached = applied.wait_for(|at| *at >= end) => reached.is_ok(),
        };
        self.await_decisions(shutdown).await?;
        // Budgets and providers may be others now than those that units wait for.
        self.parts.catalog.wake_units(None).await?;
        Ok(is_there)
    }

    /// Waits until what people decided about messages and chats is in force: labels, and who may read a chat. Where nobody
    /// puts it in force any more, units are read all the same.
    async fn await_decisions(&self, shutdown: &CancellationToken) -> Result<(), StageError> {
        let decisions = TopicPartition::new(Topic::DECISIONS, PartitionId(0));
        let end = self.parts.log.bounds(&decisions).await?.end;
        let (mut stood_at, mut moved) = (0, Instant::now());
        while !shutdown.is_cancelled() {
            let (mut stands_at, mut is_passed) = (0, true);
            for stage in [labels::STAGE, chat_settings::STAGE] {
                let key = StageKey {
                    stage: stage.to_owned(),
                    input: decisions.clone(),
                };
                let state = self.parts.catalog.stage_state(&key).await?;
                let next = state.unwrap_or_default().next;
                stands_at += next.0;
                is_passed &= next >= end;
            }
            if stands_at != stood_at {
                (stood_at, moved) = (stands_at, Instant::now());
            }
            if is_passed || moved.elapsed() >= self.config.patience {
                break;
            }
            pause(told::LOOK_EVERY, shutdown).await;
        }
        Ok(())
    }

    /// Works on what was begun.
    async fn worked(self: Arc<Self>, begun: Begun) -> Handled {
        let Begun {
            unit,
            stories,
            retry,
        } = begun;
        let (retry, outcome) = match retry {
            None => (None, self.handle(&unit).await.map(Some)),
            Some(asked) => {
                let outcome = self.try_again(&unit, &asked).await;
                (Some(asked.key), outcome.map(|()| None))
            }
        };
        Handled {
            unit: unit.id,
            stories,
            retry,
            outcome,
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
        // A note may say that the same messages are to be looked at anew; so may a replay, unless that has its answer.
        let is_wanted = self.is_wanted(unit).await?;
        let is_known = |b: &&ExtractionRow| covers(b, unit) && unit.note.is_none();
        if let Some(before) = before.as_ref().filter(is_known)
            && is_alone
            && !is_wanted
        {
            return Ok(Outcome::of(before));
        }
        let messages = match self.read(unit).await? {
            read::Read::Messages(messages) => messages,
            read::Read::NotThere(what) => return self.not_there(unit, what).await,
        };
        self.waiting().remove(&unit.id);
        let members: Vec<_> = messages.iter().map(read::member).collect();
        match &before {
            None if members.is_empty() => return Ok(Outcome::PassedBy(outcome::GONE)),
            Some(before) if is_alone && !is_wanted && before.members == members => {
                return Ok(Outcome::of(before));
            }
            _ => {}
        }
        if members.is_empty() {
            return self.finish_empty(unit, before).await;
        }
        let was_own = before
            .as_ref()
            .is_some_and(|b| b.same_as.is_none() && !b.extractor.is_nobody());
        let keys: Vec<MessageKey> = members.iter().map(|m| m.message).collect();
        if !was_own && let Some(told) = self.told_in(unit, &keys).await? {
            return self.finish_same(unit, before.as_ref(), members, told).await;
        }
        let asked = self.unit(unit, &messages).await?;
        match self.parts.extractor.extract(&asked).await {
            Ok(extracted) => {
                self.is_back(&extracted.by.name);
                self.finish(unit, before.as_ref(), members, &messages, extracted)
                    .await
            }
            Err(ExtractError::Off) => self.finish_unread(unit, before.as_ref(), members).await,
            Err(error) => Ok(self.failed(unit, error)),
        }
    }

    /// Whether a generation wants to read the unit anew, and has not.
    async fn is_wanted(&self, unit: &UnitRow) -> Result<bool, StageError> {
        let Some(generation) = unit.again else {
            return Ok(false);
        };
        let ids = std::slice::from_ref(&unit.id);
        let readings = self.parts.catalog.readings_of(ids).await?;
        Ok(readings.iter().all(|row| row.generation != generation))
    }

    /// A unit whose messages have not reached the store waits for them.
    async fn not_there(&self, unit: &UnitRow, what: MessageKey) -> Result<Outcome, StageError> {
        let known = self.waiting().get(&unit.id).map(|w| w.since);
        let since = match known {
            Some(since) => since,
            None => {
                let ends = self.ends_of(self.parts.generations.live().store).await?;
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
        let stage = stage_name(index::STAGE, waiting.ends.of);
        for (input, end) in waiting.ends.messages {
            let key = StageKey {
                stage: stage.to_owned(),
                input,
            };
            let state = self.parts.catalog.stage_state(&key).await?;
            if state.unwrap_or_default().next < end {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Where the messages that `of` made a part of end now.
    async fn ends_of(&self, of: Generation) -> Result<Ends, StageError> {
        let register = self.parts.generations.now();
        let entry = register.entry(of);
        let topic = entry.map_or(Topic::MESSAGES, |entry| entry.parts.messages_topic());
        let mut messages = Vec::new();
        for at in &self.messages {
            let at = TopicPartition::new(topic.clone(), at.partition);
            let end = self.parts.log.bounds(&at).await?.end;
            messages.push((at, end));
        }
        Ok(Ends { of, messages })
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
        Ok(other.is_some_and(|other| tells(&other)))
    }
}

/// The one partition of `extractions`.
pub(crate) fn extractions() -> TopicPartition {
    TopicPartition::new(Topic::EXTRACTIONS, PartitionId(0))
}

/// Whether a unit was read for itself, and something of it is left: others that say the same need not be.
fn tells(extraction: &ExtractionRow) -> bool {
    extraction.same_as.is_none()
        && !extraction.members.is_empty()
        && !extraction.extractor.is_nobody()
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
