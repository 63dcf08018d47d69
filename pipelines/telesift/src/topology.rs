//! The whole flow, wired from top to bottom: sources, log, screen, messages, index, store.

mod bots;
pub(crate) mod embed;
mod reactions;
mod replays;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use telesift_catalog::{CatalogConfig, KeySource, Location, SecretKey, SqlCatalog};
use telesift_engine::{ChainSpec, EngineChain, ModuleSpec, NativeExplainer, NativeRules};
use telesift_log_embedded::{EmbeddedLog, EmbeddedLogConfig};
use telesift_ports::{
    Bots, Catalog, Clock, Embedder, Explainer, Imports, MessageStore, RecordLog, Replays,
    RuleReader, RuleSets, SmartModuleChain, SystemClock,
    record_log::{ReadLimits, TopicConfig},
};
use telesift_schemas::{Topic, TopicPartition};
use telesift_stages::{
    Consumer,
    dead_letter::{self, LetterProjection},
    decisions::rules::{self, RulesBook, RulesKeeper, RulesProjection},
    index::{self, Index},
    ingest::{ImportConfig, ImportRunner},
    labels::{self, LabelProjection},
    replay::KeptRules,
    screen::{self, ChainFactory, Screen},
    stories::{self, Stories},
    story_catalog::{self, StoryCatalog},
};
use telesift_store_lance::{LanceStore, LanceStoreConfig};
use telesift_telegram::DesktopExport;
use tokio_util::sync::CancellationToken;

use crate::{config::Config, exit, server::Tasks};

/// The parts of a running flow that the API stands on.
pub(crate) struct Flow {
    pub(crate) log: Arc<dyn RecordLog>,
    pub(crate) store: Arc<dyn MessageStore>,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) imports: Arc<dyn Imports>,
    pub(crate) bots: Arc<dyn Bots>,
    pub(crate) replays: Arc<dyn Replays>,
    pub(crate) embedder: Arc<dyn Embedder>,
    pub(crate) rules: Arc<dyn RuleSets>,
    pub(crate) explainer: Arc<dyn Explainer>,
    pub(crate) clock: Arc<dyn Clock>,
    embedded: Arc<EmbeddedLog>,
}

impl Flow {
    /// Opens every part on `data_dir` and starts every stage as a task of `tasks`.
    ///
    /// ```text
    /// imports ─┬─► telegram-raw ─► screen (SmartModules) ─► messages ─┬─► index ─► message store ◄── labels ◄── decisions
    /// bots    ─┘                     ▲            │                   │              ▲ embed
    ///                                │            │                   └─► stories ─► stories ─► story-catalog ─► catalog
    ///           rules ─► decisions ──┘            └─► reactions ─► catalog
    ///           (from which offset on)
    /// ```
    pub(crate) async fn start(config: &Config, data_dir: &Path, tasks: &mut Tasks) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);

        // The log, and its topics.
        let embedded = Arc::new(open_log(config, data_dir).await?);
        let log: Arc<dyn RecordLog> = embedded.clone();
        create_topics(config, &*log).await?;
        let watched = embedded.clone();
        tasks.spawn("log", move |stop| async move {
            match stop.run_until_cancelled(watched.failed()).await {
                Some(failure) => Err(failure.into()),
                None => Ok(()),
            }
        });

        // The stores.
        let database = Arc::new(open_catalog(config, data_dir).await?);
        let catalog: Arc<dyn Catalog> = database.clone();
        let embedder = embed::open(config, data_dir).await?;
        let store: Arc<dyn MessageStore> =
            Arc::new(open_store(config, data_dir, &*embedder).await?);

        // Sources ─► telegram-raw.
        let spool_dir = data_dir.join("spool");
        std::fs::create_dir_all(&spool_dir).context("cannot create the spool directory")?;
        let import_config = ImportConfig {
            max_queued: config.import.max_queued,
            ..ImportConfig::new(spool_dir)
        };
        let imports = Arc::new(ImportRunner::new(
            log.clone(),
            catalog.clone(),
            Arc::new(DesktopExport),
            clock.clone(),
            import_config,
        ));
        imports.sweep().await?;
        let runner = imports.clone();
        tasks.spawn(
            "import",
            move |stop| async move { Ok(runner.run(stop).await?) },
        );

        let bots = bots::start(config, log.clone(), database.clone(), clock.clone(), tasks).await?;

        // Rules ─► decisions ─► the book that the screens go by; and the catalog's lists of them.
        let chains = chain_factory(config);
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
        let projection = RulesProjection::new(
            log.clone(),
            catalog.clone(),
            database.clone(),
            clock.clone(),
        );
        let consumer = Consumer {
            log: log.clone(),
            stage: rules::STAGE,
            inputs: partitions(&*log, Topic::DECISIONS).await?,
            limits: ReadLimits::default(),
            min_interval: Duration::ZERO,
        };
        tasks.spawn(rules::STAGE, move |stop| async move {
            Ok(consumer.run(projection, stop).await?)
        });

        // telegram-raw ─► screen ─► messages: one screen per partition.
        for input in partitions(&*log, Topic::TELEGRAM_RAW).await? {
            let watchdog = Duration::from_secs(config.screen.watchdog_s);
            let screen = Screen::new(
                log.clone(),
                clock.clone(),
                chains.clone(),
                book.clone(),
                input.clone(),
                watchdog,
            );
            let consumer = Consumer {
                log: log.clone(),
                stage: screen::STAGE,
                inputs: vec![input],
                limits: ReadLimits {
                    max_records: config.screen.batch_records,
                    ..ReadLimits::default()
                },
                min_interval: Duration::ZERO,
            };
            tasks.spawn(screen::STAGE, move |stop| async move {
                Ok(consumer.run(screen, stop).await?)
            });
        }

        // telegram-raw ─► dry runs, which write nothing but their own progress.
        let kept = KeptRules::new(keeper.clone(), book, reader);
        let replays = replays::start(
            config,
            log.clone(),
            database,
            Arc::new(kept),
            catalog.clone(),
            clock.clone(),
            tasks,
        );

        // messages ─► index ─► store: one writer over all partitions.
        let inputs = partitions(&*log, Topic::MESSAGES).await?;
        let index = Index::new(
            log.clone(),
            store.clone(),
            catalog.clone(),
            embedder.clone(),
            clock.clone(),
            inputs.clone(),
        );
        let consumer = Consumer {
            log: log.clone(),
            stage: index::STAGE,
            inputs: inputs.clone(),
            limits: ReadLimits {
                max_records: config.index.batch_records,
                ..ReadLimits::default()
            },
            min_interval: Duration::from_millis(config.index.min_interval_ms),
        };
        tasks.spawn(index::STAGE, move |stop| async move {
            Ok(consumer.run(index, stop).await?)
        });
        embed::start(config, &log, &store, &embedder, &clock, inputs, tasks);

        // decisions ─► labels ─► catalog, store.
        for input in partitions(&*log, Topic::DECISIONS).await? {
            let projection = LabelProjection::new(
                log.clone(),
                catalog.clone(),
                store.clone(),
                clock.clone(),
                input.clone(),
            );
            let consumer = Consumer {
                log: log.clone(),
                stage: labels::STAGE,
                inputs: vec![input],
                limits: ReadLimits::default(),
                min_interval: Duration::ZERO,
            };
            tasks.spawn(labels::STAGE, move |stop| async move {
                Ok(consumer.run(projection, stop).await?)
            });
        }

        // Every stage ─► dead-letters ─► the catalog's list of them.
        for input in partitions(&*log, Topic::DEAD_LETTERS).await? {
            let projection = LetterProjection::new(catalog.clone(), input.clone());
            let consumer = Consumer {
                log: log.clone(),
                stage: dead_letter::STAGE,
                inputs: vec![input],
                limits: ReadLimits::default(),
                min_interval: Duration::ZERO,
            };
            tasks.spawn(dead_letter::STAGE, move |stop| async move {
                Ok(consumer.run(projection, stop).await?)
            });
        }

        reactions::start(&log, &catalog, &clock, tasks).await?;
        start_stories(config, &log, &catalog, &clock, tasks).await?;
        let (maintained, every) = (
            store.clone(),
            Duration::from_secs(config.index.maintain_every_s.max(1)),
        );
        tasks.spawn("maintain", move |stop| maintain(maintained, every, stop));

        Ok(Flow {
            log,
            store,
            catalog,
            imports,
            bots,
            replays,
            embedder,
            rules: keeper,
            explainer: Arc::new(NativeExplainer::default()),
            clock,
            embedded,
        })
    }

    /// Closes the log: what was taken is synced, the directory is free again. The stages must have ended.
    pub(crate) async fn close(self) -> Result<()> {
        self.embedded
            .close()
            .await
            .context("the log did not close cleanly")
    }
}

/// messages ─► stories ─► `stories` ─► story-catalog ─► catalog: one owner over all partitions.
async fn start_stories(
    config: &Config,
    log: &Arc<dyn RecordLog>,
    catalog: &Arc<dyn Catalog>,
    clock: &Arc<dyn Clock>,
    tasks: &mut Tasks,
) -> Result<()> {
    let inputs = partitions(&**log, Topic::MESSAGES).await?;
    let limits = ReadLimits {
        max_records: config.stories.batch_records,
        ..ReadLimits::default()
    };
    let consumer = |stage, inputs| Consumer {
        log: log.clone(),
        stage,
        inputs,
        limits,
        min_interval: Duration::from_millis(config.stories.min_interval_ms),
    };
    let stage = Stories::new(
        log.clone(),
        clock.clone(),
        inputs.clone(),
        (&config.stories).into(),
    );
    let run = consumer(stories::STAGE, inputs);
    tasks.spawn(stories::STAGE, move |stop| async move {
        Ok(run.run(stage, stop).await?)
    });
    for input in partitions(&**log, Topic::STORIES).await? {
        let stage = StoryCatalog::new(log.clone(), catalog.clone(), clock.clone(), input.clone());
        let run = consumer(story_catalog::STAGE, vec![input]);
        tasks.spawn(story_catalog::STAGE, move |stop| async move {
            Ok(run.run(stage, stop).await?)
        });
    }
    Ok(())
}

async fn open_log(config: &Config, data_dir: &Path) -> Result<EmbeddedLog> {
    let mut log = EmbeddedLogConfig::new(data_dir.join("log"));
    log.block_cache_bytes = config.log.cache_mib << 20;
    log.write_buffer_bytes = config.log.write_buffer_mib << 20;
    log.min_free_bytes = config.log.min_free_mib.saturating_mul(1 << 20);
    let opened = tokio::task::spawn_blocking(move || EmbeddedLog::open(log)).await?;
    opened.context("cannot open the log")
}

async fn open_catalog(config: &Config, data_dir: &Path) -> Result<SqlCatalog> {
    let location = match config.catalog.url.as_str() {
        "" => Location::File(data_dir.join("catalog.db")),
        url => url.parse()?,
    };
    let mut catalog = CatalogConfig::new(location);
    catalog.secret_key = secret_key(data_dir)?;
    SqlCatalog::open(catalog)
        .await
        .context("cannot open the catalog")
}

/// The key that seals secrets: of the environment, else of the data directory.
fn secret_key(data_dir: &Path) -> Result<KeySource> {
    match std::env::var("TELESIFT_SECRET_KEY") {
        Ok(text) => {
            let key = SecretKey::from_hex(&text).context("TELESIFT_SECRET_KEY cannot be used");
            Ok(KeySource::Given(key.map_err(exit::usage)?))
        }
        Err(_) => Ok(KeySource::File(data_dir.join("secret.key"))),
    }
}

async fn open_store(
    config: &Config,
    data_dir: &Path,
    embedder: &dyn Embedder,
) -> Result<LanceStore> {
    let uri = match config.store.uri.as_str() {
        "" => data_dir.join("lance").display().to_string(),
        uri => uri.to_owned(),
    };
    LanceStore::open(LanceStoreConfig::new(uri, Some(embedder.model().clone())))
        .await
        .context("cannot open the message store; it is filled again from the log: stop every server, move its folder away, start again")
}

async fn create_topics(config: &Config, log: &dyn RecordLog) -> Result<()> {
    for (topic, partitions) in Topic::ALL {
        let retention = config
            .log
            .retention
            .get(topic.as_str())
            .copied()
            .unwrap_or_default();
        let spec = TopicConfig {
            partitions: partitions.unwrap_or(config.log.partitions),
            retention: retention.into(),
        };
        log.create_topic(&topic, spec)
            .await
            .with_context(|| format!("cannot create the topic `{topic}`"))?;
    }
    Ok(())
}

async fn partitions(log: &dyn RecordLog, topic: Topic) -> Result<Vec<TopicPartition>> {
    let partitions = log.partitions(&topic).await?;
    Ok(partitions
        .iter()
        .map(|p| TopicPartition::new(topic.clone(), p.partition))
        .collect())
}

/// The canonical chain, from the `.wasm` this binary carries: `normalize`, then `signal-score` with the rules, which it has
/// already if they ship with it.
fn chain_factory(config: &Config) -> ChainFactory {
    let memory_limit_bytes = config.screen.memory_limit_mib << 20;
    Arc::new(move |rules| {
        let scorer = ModuleSpec::new("signal-score", telesift_bundle::SIGNAL_SCORE);
        let scorer = match rules.shipped {
            true => scorer,
            false => scorer.with_param("rules", rules.data.to_string()),
        };
        let normalizer = ModuleSpec::new("normalize", telesift_bundle::NORMALIZE);
        let chain = EngineChain::new(ChainSpec {
            modules: test_guest()
                .into_iter()
                .chain([normalizer, scorer])
                .collect(),
            memory_limit_bytes,
        })?;
        Ok(Box::new(chain) as Box<dyn SmartModuleChain>)
    })
}

/// The guest that misbehaves, in front of the chain of a binary built to be tested with it.
fn test_guest() -> Option<ModuleSpec> {
    #[cfg(feature = "test-guests")]
    if let Ok(mode) = std::env::var("TELESIFT_TEST_GUEST") {
        let guest = ModuleSpec::new("misbehave", telesift_bundle::MISBEHAVE);
        return Some(guest.with_param("mode", mode));
    }
    None
}

/// Compacts and extends the indexes now and then; a failure is logged and tried again next time.
async fn maintain(
    store: Arc<dyn MessageStore>,
    every: Duration,
    stop: CancellationToken,
) -> Result<()> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(every) => {}
        }
        if let Err(error) = store.maintain().await {
            tracing::warn!(%error, "store maintenance failed; it runs again in {} s", every.as_secs());
        }
    }
}
