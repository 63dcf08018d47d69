//! The whole flow, wired from top to bottom: sources, log, screen, messages, index, store.

mod bots;
mod crew;
pub(crate) mod embed;
mod generations;
mod knowledge;
mod log;
mod open;
mod parts;
mod providers;
mod replays;

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result};
use telesift_engine::{NativeExplainer, NativeRules};
use telesift_ports::{
    AtomIndex, Bots, Catalog, Clock, Embedder, Explainer, Generations, Imports, MessageStore,
    Providers, RecordLog, Replays, RuleReader, RuleSets, SystemClock,
    generations::{Entry, Part},
    leases as lease,
};
use telesift_schemas::{Generation, Topic};
use telesift_stages::{
    Consumer,
    after_index::{IndexLag, IndexLagConfig},
    consumer::Process,
    dead_letter::{self, LetterProjection},
    decisions::rules::{self, RulesBook, RulesKeeper, RulesProjection},
    generations::{Line, LineParts, LiveEmbedder, LiveStore},
    ingest::UpdateIngest,
    origins::OriginLog,
    reactions::{self, ReactionProjection},
    replay::KeptRules,
    screen, stories, story_catalog, windows,
    workers::Work,
};
use tokio_util::sync::CancellationToken;

use crate::{config::Config, server::Tasks};
pub(crate) use crew::Roles;
use parts::{Parts, partitions};

/// The parts of a running flow that the API stands on.
pub(crate) struct Flow {
    pub(crate) log: Arc<dyn RecordLog>,
    pub(crate) store: Arc<dyn MessageStore>,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) imports: Arc<dyn Imports>,
    pub(crate) bots: Arc<dyn Bots>,
    pub(crate) replays: Arc<dyn Replays>,
    pub(crate) providers: Arc<dyn Providers>,
    pub(crate) generations: Arc<Generations>,
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
    ///
    /// From `screen` on, each generation has stages of its own; readers see the live one.
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
        let generations = generations::load(log.clone(), tasks).await?;
        log::create_topics(config, &*log, &generations.now()).await?;

        // The stores: one per generation, and readers see the live one.
        let models = embed::open(config, data_dir).await?;
        let stores = generations::stores(config, data_dir, models.clone(), &generations).await?;
        let atom_index = Arc::new(open::atom_index(config, data_dir, &models).await?);
        let embedder: Arc<dyn Embedder> = Arc::new(LiveEmbedder::new(stores.clone()));

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

        let messages = partitions(&*log, Topic::MESSAGES).await?;
        let index_lag = IndexLag::new(
            log.clone(),
            database.clone(),
            messages,
            IndexLagConfig::default(),
        );
        let parts = Parts {
            config: Arc::new(config.clone()),
            log: log.clone(),
            catalog: database.clone(),
            store: Arc::new(LiveStore::new(stores.clone())),
            clock: clock.clone(),
            generations: generations.clone(),
            index_lag: Arc::new(index_lag),
        };
        let mut crew = crew::of(config, roles, &database);

        // Sources ─► telegram-raw: imports run where their files lie.
        let spool = data_dir.join("spool");
        std::fs::create_dir_all(&spool).context("cannot create the spool directory")?;
        let id = crew::spool_id(&spool)?;
        let process = config.is_shared().then(|| id.clone());
        let imports = parts.imports(spool, process.clone()).await?;
        let runner = imports.clone();
        crew.add_own("api", format!("imports/{id}"), move |held| {
            let runner = runner.clone();
            async move { Ok(runner.run(held.fence(), held.stop).await?) }
        });

        // Bots ─► telegram-raw: webhooks come in through the API, polling is one worker's.
        let door = UpdateIngest::new(log.clone(), clock.clone()).counting_as(process);
        let bots = bots::desk(config, door, database.clone(), clock.clone()).await?;
        let (following, polling) = (bots.clone(), bots.clone());
        if config.is_shared() && roles.contains("api") {
            tasks.spawn("bots", move |stop| async move {
                following.follow(stop).await;
                Ok(())
            });
        }
        crew.add("ingest", "bots", "bots", move |held| {
            let polling = polling.clone();
            async move {
                polling.run(held.stop).await;
                Ok(())
            }
        });

        // From here on each generation has stages of its own. Those of the first one stand here, each under its lease.
        let stages = LineParts {
            log: log.clone(),
            owned,
            catalog: database.clone(),
            stores,
            generations: generations.clone(),
            chains,
            book: book.clone(),
            clock: clock.clone(),
            index_lag: parts.index_lag.clone(),
        };
        let line = Arc::new(Line::new(stages, generations::line_config(config)));
        let first = Arc::new(Entry::first());

        // telegram-raw ─► screen ─► messages: one screen per partition.
        for input in parts.partitions(Topic::TELEGRAM_RAW).await? {
            let (line, first) = (line.clone(), first.clone());
            let lease = lease::of_partition(screen::STAGE, &input);
            crew.add("screen", screen::STAGE, lease, move |held| {
                let (line, first, input) = (line.clone(), first.clone(), input.clone());
                async move {
                    let run = |held| line.screen(&first, input.clone(), None, held);
                    Ok(line.while_used(of_first(Part::Messages), held, run).await?)
                }
            });
        }

        // messages ─► index ─► store ◄─ labels ◄─ decisions: the store has one writer, so all of it is one duty.
        let (writer, its) = (line.clone(), first.clone());
        crew.add("index", lease::STORE, lease::STORE, move |held| {
            let (line, first) = (writer.clone(), its.clone());
            async move {
                let run = |held| line.store(&first, None, held);
                Ok(line.while_used(of_first(Part::Store), held, run).await?)
            }
        });

        // messages ─► stories ─► `stories`: one owner over all partitions; stories ─► story-catalog ─► catalog.
        let (teller, its) = (line.clone(), first.clone());
        crew.add("stories", stories::STAGE, stories::STAGE, move |held| {
            let (line, first) = (teller.clone(), its.clone());
            async move {
                let run = |held| line.stories(&first, None, held);
                Ok(line.while_used(of_first(Part::Stories), held, run).await?)
            }
        });
        let (lister, its) = (line.clone(), first.clone());
        let (group, lease) = (
            story_catalog::STAGE,
            lease::of_partition(story_catalog::STAGE, &stories::topic_of(Generation::FIRST)),
        );
        crew.add("stories", group, lease, move |held| {
            let (line, first) = (lister.clone(), its.clone());
            async move {
                let run = |held| line.story_catalog(&first, None, held);
                Ok(line.while_used(of_first(Part::Stories), held, run).await?)
            }
        });

        // messages ─► windows ─► catalog: what questions over time are answered from.
        for input in parts.partitions(Topic::MESSAGES).await? {
            let (line, first) = (line.clone(), first.clone());
            let lease = lease::of_partition(windows::STAGE, &input);
            crew.add("windows", windows::STAGE, lease, move |held| {
                let (line, first, input) = (line.clone(), first.clone(), input.clone());
                async move {
                    let run = |held| line.windows(&first, input.clone(), None, held);
                    Ok(line.while_used(of_first(Part::Windows), held, run).await?)
                }
            });
        }

        // The same stages of all other generations, and the replays that fill them: one duty.
        let known = KeptRules::new(keeper.clone(), book, reader, generations.clone());
        let extractor = providers::desk(config, database.clone(), providers.clone(), clock.clone());
        let news = Arc::default();
        let units = knowledge::planner(&parts, extractor.clone(), &atom_index, Arc::clone(&news));
        let rows = database.clone();
        let replays = replays::runner(config, line.clone(), units, rows, Arc::new(known));
        generations::add_duty(&mut crew, config, line, replays.clone());

        // messages ─► units ─► extractions ─► atoms.
        knowledge::add(&mut crew, &parts, extractor, atom_index.clone(), news).await?;

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
                    let (log, catalog) = (parts.log.clone(), parts.catalog.clone());
                    let clock = parts.clock.clone();
                    let stage = LetterProjection::new(log, catalog, clock, input.clone());
                    let consumer =
                        parts.consumer(dead_letter::STAGE, vec![input.clone()], 1_000, 0);
                    run(consumer, stage.under(held.fence()), held.stop)
                },
            );
        }
        let decisions = parts.partitions(Topic::DECISIONS).await?;
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
            store: parts.store,
            catalog: parts.catalog,
            imports,
            bots,
            replays,
            providers,
            generations,
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

/// A part of the first generation.
fn of_first(part: Part) -> (Part, Generation) {
    (part, Generation::FIRST)
}

/// A stage on its consumer, as a duty runs it.
fn run(consumer: Consumer, stage: impl Process + 'static, stop: CancellationToken) -> Work {
    Box::pin(async move { Ok(consumer.run(stage, stop).await?) })
}
