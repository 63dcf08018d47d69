//! The stages of one part, wired: what a generation is filled and kept up to date by.

mod store;
mod stories;
mod windows;

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::Duration,
};

use telesift_ports::{
    Catalog, Clock, Generations, RecordLog,
    generations::{Entry, Part},
    record_log::{ReadLimits, Retention, TopicConfig},
};
use telesift_schemas::{Generation, Topic, TopicPartition};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    OpenStores, Pace,
    busy::Busy,
    pace::Paced,
    stage_name,
    take_over::{self, MessagesTakeOver},
};
use crate::{
    Consumer, StageError,
    after_index::{AfterIndex, IndexLag},
    consumer::Process,
    decisions::rules::RulesBook,
    embed::EmbedConfig,
    screen::{self, ChainFactory, Screen},
    stories::StoriesConfig,
    workers::Held,
};

/// What the stages of a generation stand on.
#[derive(Clone)]
pub struct LineParts {
    /// The log as readers see it.
    pub log: Arc<dyn RecordLog>,
    /// The same log as the owner of a partition needs it.
    pub owned: Arc<dyn RecordLog>,
    /// Positions of the stages that write to stores; stories.
    pub catalog: Arc<dyn Catalog>,
    /// The message stores, and what makes their vectors.
    pub stores: Arc<OpenStores>,
    /// Which generations there are.
    pub generations: Arc<Generations>,
    /// Makes the chains of the screens.
    pub chains: ChainFactory,
    /// Which rules hold where.
    pub book: Arc<RulesBook>,
    /// For what is stamped.
    pub clock: Arc<dyn Clock>,
    /// Whom the first generation's stages that only analyse let go first; those of others have the pace of their replay.
    pub index_lag: Arc<IndexLag>,
}

/// How the stages run; the same for every generation.
#[derive(Clone, Debug)]
pub struct LineConfig {
    /// Records per batch through the SmartModules.
    pub screen_records: usize,
    /// How long the SmartModules may take for a batch.
    pub watchdog: Duration,
    /// Records per partition in one batch of the index.
    pub index_records: usize,
    /// The least time between two small batches of the index.
    pub index_interval: Duration,
    /// How vectors are made behind a store whose index does not make them.
    pub embed: EmbedConfig,
    /// How often a store is compacted, and its indexes extended.
    pub maintain_every: Duration,
    /// How far stories look back.
    pub stories: StoriesConfig,
    /// Records per partition in one batch of stories.
    pub stories_records: usize,
    /// The least time between two small batches of stories.
    pub stories_interval: Duration,
    /// Records in one batch of windows.
    pub windows_records: usize,
    /// The least time between two small batches of windows.
    pub windows_interval: Duration,
}

impl Default for LineConfig {
    /// What `deploy/telesift.toml` says, without least times.
    fn default() -> Self {
        LineConfig {
            screen_records: 1_000,
            watchdog: Duration::from_secs(30),
            index_records: 2_500,
            index_interval: Duration::ZERO,
            embed: EmbedConfig::default(),
            maintain_every: Duration::from_secs(300),
            stories: StoriesConfig::default(),
            stories_records: 1_000,
            stories_interval: Duration::ZERO,
            windows_records: 1_000,
            windows_interval: Duration::ZERO,
        }
    }
}

/// Runs the stages of parts, each under the lease it is given.
pub struct Line {
    pub(crate) parts: LineParts,
    config: LineConfig,
    /// Parts whose stages run by [`Line::while_used`].
    pub(super) busy: Busy,
    /// How many texts the models of stores refused.
    refused: Mutex<HashMap<Generation, Arc<AtomicU64>>>,
}

/// Stages side by side. Dropped, they end where they stand.
type Running = JoinSet<Result<(), StageError>>;

/// The turn of a replay, for stages that fill a generation; none for those that keep one up to date.
type Turn = Option<Arc<Pace>>;

impl Line {
    /// Of these parts, in this way.
    pub fn new(parts: LineParts, config: LineConfig) -> Self {
        Line {
            parts,
            config,
            busy: Busy::default(),
            refused: Mutex::default(),
        }
    }

    /// What its stages stand on.
    pub fn parts(&self) -> &LineParts {
        &self.parts
    }

    /// Makes the topics of a generation's own parts, as they are in the first one.
    ///
    /// # Errors
    /// If the log fails.
    pub async fn prepare(&self, entry: &Entry) -> Result<(), StageError> {
        let log = &self.parts.log;
        let topics = log.topics().await?;
        let n_raw = log.partitions(&Topic::TELEGRAM_RAW).await?.len() as u32;
        let kept_as = |base: Topic| -> Retention {
            let mut alike = topics
                .iter()
                .filter(|t| Generation::of_name(base.as_str(), t.topic.as_str()).is_some());
            alike
                .next_back()
                .map(|t| t.retention.clone())
                .unwrap_or_default()
        };
        for part in entry.own_parts() {
            let (base, partitions) = match part {
                Part::Messages => (Topic::MESSAGES, n_raw),
                Part::Stories => (Topic::STORIES, 1),
                Part::Store | Part::Windows | Part::Knowledge => continue,
            };
            let config = TopicConfig {
                partitions,
                retention: kept_as(base.clone()),
            };
            log.create_topic(&base.of(entry.generation), config).await?;
        }
        Ok(())
    }

    /// Runs the stages of some of the parts that `entry` made, until `held` ends; at the pace of a replay, if one is given.
    ///
    /// # Errors
    /// What no retry mends, of any of them; the others have stopped by then.
    pub async fn run(
        self: &Arc<Self>,
        entry: &Entry,
        own: &[Part],
        pace: Turn,
        held: Held,
    ) -> Result<(), StageError> {
        let held = held.child();
        let mut running = Running::new();
        let mut start = |stages: Stages| running.spawn(stages);
        for part in own {
            let (line, entry) = (self.clone(), Arc::new(entry.clone()));
            let (pace, held) = (pace.clone(), held.clone());
            match part {
                Part::Messages => {
                    for input in self.partitions(&Topic::TELEGRAM_RAW).await? {
                        let (line, entry) = (line.clone(), entry.clone());
                        let (pace, held) = (pace.clone(), held.clone());
                        start(Box::pin(async move {
                            line.screen(&entry, input, pace, held).await
                        }));
                    }
                }
                Part::Store => {
                    start(Box::pin(
                        async move { line.store(&entry, pace, held).await },
                    ));
                }
                Part::Stories => {
                    let (other, of, turn, under) =
                        (line.clone(), entry.clone(), pace.clone(), held.clone());
                    start(Box::pin(
                        async move { other.stories(&of, turn, under).await },
                    ));
                    start(Box::pin(async move {
                        line.story_catalog(&entry, pace, held).await
                    }));
                }
                Part::Windows => {
                    for input in self.partitions(&entry.parts.messages_topic()).await? {
                        let (line, entry) = (line.clone(), entry.clone());
                        let (pace, held) = (pace.clone(), held.clone());
                        start(Box::pin(async move {
                            line.windows(&entry, input, pace, held).await
                        }));
                    }
                }
                // A replay asks for what is read anew; no stage follows.
                Part::Knowledge => {}
            }
        }
        all(running, entry.generation, &held.stop).await
    }

    /// telegram-raw ─► screen ─► messages: one partition, after what is taken over.
    ///
    /// # Errors
    /// What no retry mends.
    pub async fn screen(
        &self,
        entry: &Entry,
        input: TopicPartition,
        pace: Turn,
        held: Held,
    ) -> Result<(), StageError> {
        let parts = &self.parts;
        if let Some(mut before) = self.messages_before(entry, &input, &held)
            && !take_over::run(&mut before, pace.as_deref(), &held.stop).await?
        {
            return Ok(());
        }
        let screen = Screen::new(
            parts.owned.clone(),
            parts.clock.clone(),
            parts.chains.clone(),
            parts.book.clone(),
            input.clone(),
            self.config.watchdog,
        )
        .of(entry.generation, entry.stretches.clone())
        .under(held.fence());
        let stage = stage_name(screen::STAGE, entry.generation);
        let batch = self.config.screen_records;
        let consumer = self.consumer(stage, vec![input], batch, Duration::ZERO);
        run(consumer, screen, pace, held.stop).await
    }

    fn messages_before(
        &self,
        entry: &Entry,
        input: &TopicPartition,
        held: &Held,
    ) -> Option<MessagesTakeOver> {
        let partition = input.partition;
        let base = entry.base?;
        let until = entry.screens_from.iter().find(|(p, _)| *p == partition)?.1;
        let register = self.parts.generations.now();
        Some(MessagesTakeOver {
            log: self.parts.log.clone(),
            book: self.parts.book.clone(),
            generation: entry.generation,
            base: register.entry(base)?.parts.messages,
            partition,
            until,
            fence: held.fence(),
            there: None,
        })
    }

    fn consumer(
        &self,
        stage: &'static str,
        inputs: Vec<TopicPartition>,
        max_records: usize,
        min_interval: Duration,
    ) -> Consumer {
        Consumer {
            log: self.parts.log.clone(),
            stage,
            inputs,
            limits: ReadLimits {
                max_records,
                ..ReadLimits::default()
            },
            min_interval,
        }
    }

    /// A stage that only analyses, in the first generation after the index; others have the pace of their replay.
    fn after_index<P: Process>(&self, stage: P, entry: &Entry, held: &Held) -> AfterIndex<P> {
        AfterIndex {
            stage,
            lag: (entry.generation == Generation::FIRST).then(|| self.parts.index_lag.clone()),
            stop: held.stop.clone(),
        }
    }

    async fn partitions(&self, topic: &Topic) -> Result<Vec<TopicPartition>, StageError> {
        let partitions = self.parts.log.partitions(topic).await?;
        Ok(partitions
            .iter()
            .map(|p| TopicPartition::new(topic.clone(), p.partition))
            .collect())
    }
}

/// Stages to be run beside others.
type Stages = std::pin::Pin<Box<dyn Future<Output = Result<(), StageError>> + Send>>;

/// Waits for all of them; when one fails, the others are asked to end.
async fn all(
    mut running: Running,
    generation: Generation,
    stop: &CancellationToken,
) -> Result<(), StageError> {
    let mut outcome = Ok(());
    while let Some(ended) = running.join_next().await {
        let ended = ended.unwrap_or_else(|panic| {
            Err(StageError::State {
                key: format!("generation {}", generation.0),
                reason: format!("a stage panicked: {panic}"),
            })
        });
        if ended.is_err() {
            stop.cancel();
        }
        outcome = outcome.and(ended);
    }
    outcome
}

/// A consumer at the pace of a replay.
fn run(
    consumer: Consumer,
    stage: impl Process + 'static,
    pace: Option<Arc<Pace>>,
    stop: CancellationToken,
) -> impl Future<Output = Result<(), StageError>> + Send {
    let paced = Paced {
        stage,
        pace,
        stop: stop.clone(),
    };
    consumer.run(paced, stop)
}
