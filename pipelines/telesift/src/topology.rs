//! The whole flow, wired from top to bottom: sources, log, screen, messages, index, store.

mod bots;
mod crew;
pub(crate) mod embed;
mod knowledge;
mod log;
mod open;
mod parts;
mod providers;
mod replays;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use telesift_engine::{NativeExplainer, NativeRules};
use telesift_ports::{
    AtomIndex, Bots, Catalog, Clock, Embedder, Explainer, Imports, MessageStore, Providers,
    RecordLog, Replays, RuleReader, RuleSets, SystemClock, leases as lease, message_store,
};
use telesift_schemas::{Topic, TopicPartition};
use telesift_stages::{
    Consumer,
    consumer::Process,
    dead_letter::{self, LetterProjection},
    decisions::rules::{self, RulesBook, RulesKeeper, RulesProjection},
    index::{self, Index},
    labels::{self, LabelProjection},
    origins::OriginLog,
    reactions::{self, ReactionProjection},
    replay::{self, KeptRules},
    screen::{self, Screen},
    stories::{self, Stories},
    story_catalog::{self, StoryCatalog},
    windows::{self, Windows},
    workers::{DutyError, Held, Work, together},
};
use tokio_util::sync::CancellationToken;

use crate::{config::Config, server::Tasks};
pub(crate) use crew::Roles;
use parts::Parts;

/// The parts of a running flow that the API stands on.
pub(crate) struct Flow {
    pub(crate) log: Arc<dyn RecordLog>,
    pub(crate) store: Arc<dyn MessageStore>,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) imports: Arc<dyn Imports>,
    pub(crate) bots: Arc<dyn Bots>,
    pub(crate) replays: Arc<dyn Replays>,
    pub(crate) providers: Arc<dyn Providers>,
    pub(crate) embedder: Arc<dyn Embedder>,
    pub(crate) atom_index: Arc<AtomIndex>,
    pub(crate) rules: Arc<dyn RuleSets>,
    pub(crate) explainer: Arc<dyn Explainer>,
    pub(crate) clock: Arc<dyn Clock>,
    kept: log::Kept,
}

impl Flow {
    /// Opens every part on `data_dir`, and hands out the stages: each runs while this process holds its lease.
    ///
    /// ```text
    /// imports ─┬─► telegram-raw ─► screen (SmartModules) ─► messages ─┬─► index ─► message store ◄── labels ◄── decisions
    /// bots    ─┘                     ▲            │                   │              ▲ embed
    ///                                │            │                   ├─► stories ─► stories ─► story-catalog ─► catalog
    ///                                │            │                   ├─► units ─► extract ─► extractions ─► knowledge ─► atoms
    ///                                │            │                   └─► windows ─► catalog
    ///           rules ─► decisions ──┘            └─► reactions ─► catalog
    ///           (from which offset on)
    /// ```
    pub(crate) async fn start(
        config: &Config,
        data_dir: &Path,
        roles: &Roles,
        tasks: &mut Tasks,
    ) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);

        // The log, and its topics: as it is for its owners, and as readers see it.
        let database = Arc::new(open::catalog(config, data_dir).await?);
        let (owned, held) = log::open(config, data_dir, &database).await?;
        let log = OriginLog::over(owned.clone());
        held.watch(tasks);

        // The stores.
        let embedder = embed::open(config, data_dir).await?;
        let store = Arc::new(open::store(config, data_dir, &*embedder).await?);
        let atom_index = Arc::new(open::atom_index(config, data_dir, &*embedder).await?);

        // Rules ─► decisions ─► the book that the screens go by.
        let chains = open::chain_factory(config);
        let reader: Arc<dyn RuleReader> = Arc::new(NativeRules);
        let book = RulesBook::load(log.clone(), reader.clone()).await;
        let book = Arc::new(book.context("cannot read which rules were activated")?);
        let keeper = Arc::new(RulesKeeper::new(
            book.clone(),
            log.clone(),
            database.clone(),
            reader.clone(),
            chains.clone(),
            clock.clone(),
        ));

        // Language models: nobody is asked before a unit of a chat that allows it comes.
        let providers = providers::open(config, database.clone(), clock.clone())?;

        let parts = Parts {
            config: Arc::new(config.clone()),
            log: log.clone(),
            catalog: database.clone(),
            store: store.clone(),
            embedder: embedder.clone(),
            clock: clock.clone(),
        };
        let mut crew = crew::of(config, roles, &database);

        // Sources ─► telegram-raw: imports run where their files lie.
        let spool = data_dir.join("spool");
        let imports = parts.imports(spool.clone()).await?;
        let runner = imports.clone();
        crew.add_own("api", crew::spool_lease(&spool)?, move |held| {
            let runner = runner.clone();
            async move { Ok(runner.run(held.fence(), held.stop).await?) }
        });

        // Bots ─► telegram-raw: webhooks come in through the API, polling is one worker's.
        let bots = bots::desk(config, log.clone(), database.clone(), clock.clone()).await?;
        let polling = bots.clone();
        crew.add("ingest", "bots", "bots", move |held| {
            let polling = polling.clone();
            async move {
                polling.run(held.stop).await;
                Ok(())
            }
        });

        // telegram-raw ─► screen ─► messages: one screen per partition.
        for input in parts.partitions(Topic::TELEGRAM_RAW).await? {
            let (parts, owned, chains, book) =
                (parts.clone(), owned.clone(), chains.clone(), book.clone());
            let lease = lease::of_partition(screen::STAGE, &input);
            crew.add("screen", screen::STAGE, lease, move |held| {
                let screen = Screen::new(
                    owned.clone(),
                    parts.clock.clone(),
                    chains.clone(),
                    book.clone(),
                    input.clone(),
                    Duration::from_secs(parts.config.screen.watchdog_s),
                );
                let batch = parts.config.screen.batch_records;
                let consumer = parts.consumer(screen::STAGE, vec![input.clone()], batch, 0);
                run(consumer, screen.under(held.fence()), held.stop)
            });
        }

        // telegram-raw ─► dry runs, which write nothing but their own progress.
        let known = KeptRules::new(keeper.clone(), book, reader);
        let replays = replays::runner(&parts, database.clone(), Arc::new(known));
        let runner = replays.clone();
        crew.add("screen", replay::STAGE, replay::STAGE, move |held| {
            let runner = runner.clone();
            async move { Ok(runner.run(held.stop).await?) }
        });

        // messages ─► index ─► store ◄─ labels ◄─ decisions: the store has one writer, so all of it is one duty.
        let messages = parts.partitions(Topic::MESSAGES).await?;
        let decisions = parts.partitions(Topic::DECISIONS).await?;
        let writer = (parts.clone(), messages.clone(), decisions.clone());
        crew.add("index", lease::STORE, lease::STORE, move |held| {
            let (parts, messages, decisions) = writer.clone();
            async move { write_store(parts, messages, decisions, held).await }
        });

        // messages ─► stories ─► `stories`: one owner over all partitions.
        let of_stories = parts.clone();
        crew.add("stories", stories::STAGE, stories::STAGE, move |held| {
            let parts = &of_stories;
            let config = (&parts.config.stories).into();
            let (log, clock) = (parts.log.clone(), parts.clock.clone());
            let stage = Stories::new(log, clock, messages.clone(), config).under(held.fence());
            let consumer = parts.stories_consumer(stories::STAGE, messages.clone());
            run(consumer, stage, held.stop)
        });

        // stories ─► story-catalog ─► catalog, and the rules' decisions ─► its lists of them.
        for input in parts.partitions(Topic::STORIES).await? {
            let parts = parts.clone();
            let lease = lease::of_partition(story_catalog::STAGE, &input);
            crew.add("stories", story_catalog::STAGE, lease, move |held| {
                let (log, catalog) = (parts.log.clone(), parts.catalog.clone());
                let stage = StoryCatalog::new(log, catalog, parts.clock.clone(), input.clone());
                let consumer = parts.stories_consumer(story_catalog::STAGE, vec![input.clone()]);
                run(consumer, stage.under(held.fence()), held.stop)
            });
        }
        // messages ─► units ─► extractions ─► atoms.
        let extractor = providers::desk(config, database.clone(), providers.clone(), clock.clone());
        knowledge::add(&mut crew, &parts, extractor, atom_index.clone()).await?;

        // messages ─► windows ─► catalog: what questions over time are answered from.
        for input in parts.partitions(Topic::MESSAGES).await? {
            let parts = parts.clone();
            let lease = lease::of_partition(windows::STAGE, &input);
            crew.add("windows", windows::STAGE, lease, move |held| {
                let (log, catalog) = (parts.log.clone(), parts.catalog.clone());
                let stage = Windows::new(log, catalog, parts.clock.clone(), input.clone());
                let limits = &parts.config.windows;
                let (batch, interval) = (limits.batch_records, limits.min_interval_ms);
                let inputs = vec![input.clone()];
                let consumer = parts.consumer(windows::STAGE, inputs, batch, interval);
                run(consumer, stage.under(held.fence()), held.stop)
            });
        }
        // Reactions, and what no stage could process ─► the catalog.
        for input in parts.partitions(Topic::REACTIONS).await? {
            let parts = parts.clone();
            let lease = lease::of_partition(reactions::STAGE, &input);
            crew.add("index", reactions::STAGE, lease, move |held| {
                let (log, catalog) = (parts.log.clone(), parts.catalog.clone());
                let stage =
                    ReactionProjection::new(log, catalog, parts.clock.clone(), input.clone());
                let consumer = parts.consumer(reactions::STAGE, vec![input.clone()], 1_000, 0);
                run(consumer, stage.under(held.fence()), held.stop)
            });
        }
        for input in parts.partitions(Topic::DEAD_LETTERS).await? {
            let parts = parts.clone();
            crew.add(
                "index",
                dead_letter::STAGE,
                dead_letter::STAGE,
                move |held| {
                    let stage = LetterProjection::new(parts.catalog.clone(), input.clone());
                    let consumer =
                        parts.consumer(dead_letter::STAGE, vec![input.clone()], 1_000, 0);
                    run(consumer, stage.under(held.fence()), held.stop)
                },
            );
        }
        let (of_rules, tables) = (parts.clone(), database.clone());
        crew.add("index", rules::STAGE, rules::STAGE, move |held| {
            let projection = RulesProjection::new(
                of_rules.log.clone(),
                of_rules.catalog.clone(),
                tables.clone(),
                of_rules.clock.clone(),
            );
            let consumer = of_rules.consumer(rules::STAGE, decisions.clone(), 1_000, 0);
            run(consumer, projection.under(held.fence()), held.stop)
        });

        tasks.spawn("stages", move |stop| crew::run(crew, stop));
        Ok(Flow {
            log,
            store,
            catalog: parts.catalog,
            imports,
            bots,
            replays,
            providers,
            embedder,
            atom_index,
            rules: keeper,
            explainer: Arc::new(NativeExplainer::default()),
            clock,
            kept: held,
        })
    }

    /// Closes the log: what was taken is synced, the directory is free again. The stages must have ended.
    pub(crate) async fn close(self) -> Result<()> {
        self.kept.close().await
    }
}

/// Everything that writes to the message store, under one lease: the index, the vectors behind it, the labels, the upkeep.
async fn write_store(
    parts: Parts,
    messages: Vec<TopicPartition>,
    decisions: Vec<TopicPartition>,
    held: Held,
) -> Result<(), DutyError> {
    parts.store.begin_term(held.term.clone()).await?;
    let index = Index::new(
        parts.log.clone(),
        parts.store.clone(),
        parts.catalog.clone(),
        parts.embedder.clone(),
        parts.clock.clone(),
        messages.clone(),
    );
    let limits = &parts.config.index;
    let consumer = parts.consumer(
        index::STAGE,
        messages.clone(),
        limits.batch_records,
        limits.min_interval_ms,
    );
    let mut writers = vec![run(consumer, index.under(held.fence()), held.stop.clone())];
    writers.extend(embed::stage(&parts, messages, held.stop.clone()));
    for input in decisions {
        let labels = LabelProjection::new(
            parts.log.clone(),
            parts.catalog.clone(),
            parts.store.clone(),
            parts.clock.clone(),
            input.clone(),
        );
        let consumer = parts.consumer(labels::STAGE, vec![input], 1_000, 0);
        writers.push(run(consumer, labels.under(held.fence()), held.stop.clone()));
    }
    let every = Duration::from_secs(limits.maintain_every_s.max(1));
    writers.push(Box::pin(maintain(parts.store.clone(), every, held.stop)));
    together(writers).await
}

/// Compacts and extends the indexes now and then; a failure is logged and tried again next time.
async fn maintain(
    store: Arc<dyn MessageStore>,
    every: Duration,
    stop: CancellationToken,
) -> Result<(), DutyError> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(every) => {}
        }
        match store.maintain().await {
            Err(lost @ message_store::Error::LeaseLost { .. }) => return Err(lost.into()),
            Err(error) => {
                tracing::warn!(%error, "store maintenance failed; it runs again in {} s", every.as_secs());
            }
            Ok(()) => {}
        }
    }
}

/// A stage on its consumer, as a duty runs it.
fn run(consumer: Consumer, stage: impl Process + 'static, stop: CancellationToken) -> Work {
    Box::pin(async move { Ok(consumer.run(stage, stop).await?) })
}
