//! Generations, wired beside the flow: the stores of all of them, and the stages of all but the first.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use telesift_ports::{Generations, RecordLog, leases as lease, message_store};
use telesift_stages::{
    Crew,
    generations::{Line, LineConfig, Models, OpenStores, Upkeep, UpkeepConfig},
    replay::ReplayRunner,
    workers::{Held, Work, together},
};

use super::{embed, open};
use crate::{config::Config, server::Tasks};

/// How often it is looked whether another process switched.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Which generations there are, kept up with as long as the process runs.
pub(super) async fn load(log: Arc<dyn RecordLog>, tasks: &mut Tasks) -> Result<Arc<Generations>> {
    let loaded = Generations::load(log).await;
    let loaded = Arc::new(loaded.context("cannot read which generations there are")?);
    let generations = loaded.clone();
    tasks.spawn("generations", move |stop| async move {
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {
                    if let Err(error) = generations.refresh().await {
                        tracing::warn!(%error, "cannot read which generation is live");
                    }
                }
            }
        }
        Ok(())
    });
    Ok(loaded)
}

/// The message stores; that of the live generation is opened at once, so that what is wrong with it is said now.
pub(super) async fn stores(
    config: &Config,
    data_dir: &Path,
    models: Models,
    generations: &Arc<Generations>,
) -> Result<Arc<OpenStores>> {
    let sets = open::stores(config, data_dir);
    let stores = Arc::new(OpenStores::new(Arc::new(sets), generations.clone(), models));
    let live = stores.of(generations.live().store).await;
    live.map_err(|error| {
        let what = advice(&error);
        anyhow::Error::new(error).context(what)
    })?;
    Ok(stores)
}

/// What to do about a store that cannot be opened, as far as its error does not say so itself.
fn advice(error: &message_store::Error) -> &'static str {
    match error {
        message_store::Error::ModelMismatch { .. } => "cannot search by another model at once",
        // A damaged file may be told by no more than that it cannot be read.
        message_store::Error::Unavailable(_) => {
            "cannot open the message store; see that it can be reached. If it can, and nothing else helps: it is filled again from the log: stop every server, move its folder away, start again"
        }
        _ => "cannot open the message store",
    }
}

/// How the stages run, in every generation.
pub(super) fn line_config(config: &Config) -> LineConfig {
    LineConfig {
        screen_records: config.screen.batch_records,
        watchdog: Duration::from_secs(config.screen.watchdog_s),
        index_records: config.index.batch_records,
        index_interval: Duration::from_millis(config.index.min_interval_ms),
        embed: embed::stage(config),
        maintain_every: Duration::from_secs(config.index.maintain_every_s.max(1)),
        stories: (&config.stories).into(),
        stories_records: config.stories.batch_records,
        stories_interval: Duration::from_millis(config.stories.min_interval_ms),
        windows_records: config.windows.batch_records,
        windows_interval: Duration::from_millis(config.windows.min_interval_ms),
    }
}

/// Adds the stages of every generation but the first, whose stages the flow itself has, and the replays that fill them.
pub(super) fn add_duty(
    crew: &mut Crew,
    config: &Config,
    line: Arc<Line>,
    replays: Arc<ReplayRunner>,
) {
    let days = config.replay.keep_days;
    let config = UpkeepConfig {
        keep_for: (days > 0).then(|| Duration::from_secs(days.saturating_mul(86_400))),
        runs_first: false,
        ..UpkeepConfig::default()
    };
    crew.add(
        "screen",
        lease::GENERATIONS,
        lease::GENERATIONS,
        move |held: Held| {
            let upkeep = Upkeep::new(line.clone(), config);
            let (replays, under) = (replays.clone(), held.clone());
            let parts: Vec<Work> = vec![
                Box::pin(async move { Ok(upkeep.run(under).await?) }),
                Box::pin(async move { Ok(replays.run(held).await?) }),
            ];
            together(parts)
        },
    );
}
