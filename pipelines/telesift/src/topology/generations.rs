//! Generations, wired beside the flow: the stores of all of them, and the stages of all but the first.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use telesift_ports::{
    Embedder, Generations, RecordLog,
    generations::{Part, Register},
    record_log::TopicConfig,
};
use telesift_schemas::{Generation, Topic};
use telesift_stages::generations::{Line, LineConfig, OpenStores, Upkeep, UpkeepConfig};
use telesift_store_lance::{LanceStoreConfig, LanceStores};

use crate::{config::Config, server::Tasks};

/// The stage's name in health and logs.
const STAGE: &str = "generations";

/// Which generations there are.
pub(super) async fn load(log: Arc<dyn RecordLog>) -> Result<Arc<Generations>> {
    let loaded = Generations::load(log).await;
    Ok(Arc::new(
        loaded.context("cannot read which generations there are")?,
    ))
}

/// Makes the topics of the first generation, and of all; but not those that were given up with it.
pub(super) async fn create_topics(
    config: &Config,
    log: &dyn RecordLog,
    register: &Register,
) -> Result<()> {
    for (topic, partitions) in Topic::ALL {
        let part = match () {
            () if topic == Topic::MESSAGES => Some(Part::Messages),
            () if topic == Topic::STORIES => Some(Part::Stories),
            () => None,
        };
        if part.is_some_and(|part| !register.is_used((part, Generation::FIRST))) {
            continue;
        }
        let retention = config.log.retention.get(topic.as_str()).copied();
        let spec = TopicConfig {
            partitions: partitions.unwrap_or(config.log.partitions),
            retention: retention.unwrap_or_default().into(),
        };
        log.create_topic(&topic, spec)
            .await
            .with_context(|| format!("cannot create the topic `{topic}`"))?;
    }
    Ok(())
}

/// The message stores; those of the live generation are opened at once, so that what is wrong with them is said now.
pub(super) async fn open_stores(
    config: &Config,
    data_dir: &Path,
    embedder: &dyn Embedder,
    generations: &Arc<Generations>,
) -> Result<Arc<OpenStores>> {
    let uri = match config.store.uri.as_str() {
        "" => data_dir.join("lance").display().to_string(),
        uri => uri.to_owned(),
    };
    let sets = LanceStores::new(LanceStoreConfig::new(uri, Some(embedder.model().clone())));
    let stores = Arc::new(OpenStores::new(Arc::new(sets), generations.clone()));
    let live = stores.of(generations.live().store).await;
    live.context("cannot open the message store; it is filled again from the log: stop every server, move its folder away, start again")?;
    Ok(stores)
}

/// How the stages run, in every generation.
pub(super) fn line_config(config: &Config) -> LineConfig {
    LineConfig {
        screen_records: config.screen.batch_records,
        watchdog: Duration::from_secs(config.screen.watchdog_s),
        index_records: config.index.batch_records,
        index_interval: Duration::from_millis(config.index.min_interval_ms),
        stories: (&config.stories).into(),
        stories_records: config.stories.batch_records,
        stories_interval: Duration::from_millis(config.stories.min_interval_ms),
    }
}

/// Starts the stages of every complete generation but the first, whose stages the flow itself runs.
pub(super) fn start(config: &Config, line: Arc<Line>, tasks: &mut Tasks) {
    let days = config.replay.keep_days;
    let upkeep = Upkeep::new(
        line,
        UpkeepConfig {
            keep_for: (days > 0).then(|| Duration::from_secs(days.saturating_mul(86_400))),
            runs_first: false,
            ..UpkeepConfig::default()
        },
    );
    tasks.spawn(
        STAGE,
        move |stop| async move { Ok(upkeep.run(stop).await?) },
    );
}
