//! The stages of one part, wired: what a generation is filled and kept up to date by.

use std::{future::Future, sync::Arc, time::Duration};

use telesift_ports::{
    Catalog, Clock, Embedder, Generations, RecordLog,
    generations::{Entry, Part},
    record_log::{ReadLimits, Retention, TopicConfig},
};
use telesift_schemas::{Generation, PartitionId, Topic, TopicPartition};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    OpenStores, Pace,
    busy::Busy,
    pace::Paced,
    stage_name,
    take_over::{self, MessagesTakeOver, StoriesTakeOver},
};
use crate::{
    Consumer, StageError,
    consumer::Process,
    decisions::rules::RulesBook,
    index::{self, Index},
    screen::{self, ChainFactory, Screen},
    stories::{self, Stories, StoriesConfig},
    story_catalog::{self, StoryCatalog},
};

/// What the stages of a generation stand on.
#[derive(Clone)]
pub struct LineParts {
    /// The log.
    pub log: Arc<dyn RecordLog>,
    /// Positions of the stages that write to stores; stories.
    pub catalog: Arc<dyn Catalog>,
    /// The message stores.
    pub stores: Arc<OpenStores>,
    /// Which generations there are.
    pub generations: Arc<Generations>,
    /// Makes the vectors of messages.
    pub embedder: Arc<dyn Embedder>,
    /// Makes the chains of the screens.
    pub chains: ChainFactory,
    /// Which rules hold where.
    pub book: Arc<RulesBook>,
    /// For what is stamped.
    pub clock: Arc<dyn Clock>,
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
    /// How far stories look back.
    pub stories: StoriesConfig,
    /// Records per partition in one batch of stories.
    pub stories_records: usize,
    /// The least time between two small batches of stories.
    pub stories_interval: Duration,
}

impl Default for LineConfig {
    /// What `deploy/telesift.toml` says, without least times.
    fn default() -> Self {
        LineConfig {
            screen_records: 1_000,
            watchdog: Duration::from_secs(30),
            index_records: 2_500,
            index_interval: Duration::ZERO,
            stories: StoriesConfig::default(),
            stories_records: 1_000,
            stories_interval: Duration::ZERO,
        }
    }
}

/// Runs the stages of parts.
pub struct Line {
    pub(crate) parts: LineParts,
    config: LineConfig,
    /// Parts whose stages run by [`Line::while_used`].
    pub(super) busy: Busy,
}

/// The stages of a part, while they run. Dropped, they end where they stand.
type Running = JoinSet<Result<(), StageError>>;

impl Line {
    /// Of these parts, in this way.
    pub fn new(parts: LineParts, config: LineConfig) -> Self {
        Line {
            parts,
            config,
            busy: Busy::default(),
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
                Part::Store => continue,
            };
            let config = TopicConfig {
                partitions,
                retention: kept_as(base.clone()),
            };
            log.create_topic(&base.of(entry.generation), config).await?;
        }
        Ok(())
    }

    /// Runs the stages of some of the parts that `entry` made, until `stop`; at the pace of a replay, if one is given.
    ///
    /// # Errors
    /// What no retry mends, of any of them; the others have stopped by then.
    pub async fn run(
        &self,
        entry: &Entry,
        own: &[Part],
        pace: Option<Arc<Pace>>,
        stop: CancellationToken,
    ) -> Result<(), StageError> {
        let stop = stop.child_token();
        let mut running = Running::new();
        for part in own {
            match part {
                Part::Messages => self.messages(entry, &pace, &stop, &mut running).await?,
                Part::Store => self.store(entry, &pace, &stop, &mut running).await?,
                Part::Stories => self.stories(entry, &pace, &stop, &mut running).await?,
            }
        }
        let mut outcome = Ok(());
        while let Some(ended) = running.join_next().await {
            let ended = ended.unwrap_or_else(|panic| {
                Err(StageError::State {
                    key: format!("generation {}", entry.generation.0),
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

    /// telegram-raw ─► screen ─► messages: one screen per partition, after what is taken over.
    async fn messages(
        &self,
        entry: &Entry,
        pace: &Option<Arc<Pace>>,
        stop: &CancellationToken,
        running: &mut Running,
    ) -> Result<(), StageError> {
        for input in self.partitions(&Topic::TELEGRAM_RAW).await? {
            let parts = &self.parts;
            let screen = Screen::new(
                parts.log.clone(),
                parts.clock.clone(),
                parts.chains.clone(),
                parts.book.clone(),
                input.clone(),
                self.config.watchdog,
            )
            .of(entry.generation, entry.stretches.clone());
            let before = self.messages_before(entry, input.partition);
            let consumer = self.consumer(
                stage_name(screen::STAGE, entry.generation),
                vec![input],
                self.config.screen_records,
                Duration::ZERO,
            );
            let (pace, stop) = (pace.clone(), stop.clone());
            running.spawn(async move {
                if let Some(mut before) = before
                    && !take_over::run(&mut before, pace.as_deref(), &stop).await?
                {
                    return Ok(());
                }
                run(consumer, screen, pace, stop).await
            });
        }
        Ok(())
    }

    fn messages_before(&self, entry: &Entry, partition: PartitionId) -> Option<MessagesTakeOver> {
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
        })
    }

    /// messages ─► index ─► store: one writer over all partitions.
    async fn store(
        &self,
        entry: &Entry,
        pace: &Option<Arc<Pace>>,
        stop: &CancellationToken,
        running: &mut Running,
    ) -> Result<(), StageError> {
        let parts = &self.parts;
        let inputs = self.partitions(&entry.parts.messages_topic()).await?;
        let index = Index::new(
            parts.log.clone(),
            parts.stores.of(entry.generation).await?,
            parts.catalog.clone(),
            parts.embedder.clone(),
            parts.clock.clone(),
            inputs.clone(),
        )
        .of(entry.generation);
        let consumer = self.consumer(
            stage_name(index::STAGE, entry.generation),
            inputs,
            self.config.index_records,
            self.config.index_interval,
        );
        running.spawn(run(consumer, index, pace.clone(), stop.clone()));
        Ok(())
    }

    /// messages ─► stories ─► `stories` ─► story-catalog ─► catalog, after what is taken over.
    async fn stories(
        &self,
        entry: &Entry,
        pace: &Option<Arc<Pace>>,
        stop: &CancellationToken,
        running: &mut Running,
    ) -> Result<(), StageError> {
        let parts = &self.parts;
        let consumer = |stage, inputs| {
            let (n, interval) = (self.config.stories_records, self.config.stories_interval);
            self.consumer(stage, inputs, n, interval)
        };
        let inputs = self.partitions(&entry.parts.messages_topic()).await?;
        let stage = Stories::new(
            parts.log.clone(),
            parts.clock.clone(),
            inputs.clone(),
            self.config.stories,
        )
        .of(entry.generation);
        let before = self.stories_before(entry);
        let (stories, paced, token) = (
            consumer(stage_name(stories::STAGE, entry.generation), inputs),
            pace.clone(),
            stop.clone(),
        );
        running.spawn(async move {
            if let Some(mut before) = before
                && !take_over::run(&mut before, paced.as_deref(), &token).await?
            {
                return Ok(());
            }
            run(stories, stage, paced, token).await
        });
        for input in self
            .partitions(&Topic::STORIES.of(entry.generation))
            .await?
        {
            let stage = StoryCatalog::new(
                parts.log.clone(),
                parts.catalog.clone(),
                parts.clock.clone(),
                input.clone(),
            )
            .of(entry.generation);
            let consumer = consumer(
                stage_name(story_catalog::STAGE, entry.generation),
                vec![input],
            );
            running.spawn(run(consumer, stage, pace.clone(), stop.clone()));
        }
        Ok(())
    }

    fn stories_before(&self, entry: &Entry) -> Option<StoriesTakeOver> {
        if entry.reassign {
            return None;
        }
        let register = self.parts.generations.now();
        let base = register.entry(entry.base?)?.parts.stories;
        Some(StoriesTakeOver {
            log: self.parts.log.clone(),
            generation: entry.generation,
            messages: entry.parts.messages,
            base,
            base_messages: register.entry(base)?.parts.messages,
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

    async fn partitions(&self, topic: &Topic) -> Result<Vec<TopicPartition>, StageError> {
        let partitions = self.parts.log.partitions(topic).await?;
        Ok(partitions
            .iter()
            .map(|p| TopicPartition::new(topic.clone(), p.partition))
            .collect())
    }
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
