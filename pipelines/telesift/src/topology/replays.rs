//! Replays, wired beside the flow: comparisons write to nothing but their own rows of the catalog, all others to a generation
//! of their own.

use std::{sync::Arc, time::Duration};

use telesift_engine::{ChainSpec, EngineChain, ModuleSpec};
use telesift_ports::{
    Replays, SmartModuleChain,
    replays::{ReplayCatalog, RulesSource},
};
use telesift_stages::{
    generations::Line,
    replay::{self, KeptLabels, ReplayConfig, ReplayParts, ReplayRunner, RuleChains},
};

use crate::{config::Config, server::Tasks};

/// Starts the runner as a task of `tasks`.
pub(super) fn start(
    config: &Config,
    line: Arc<Line>,
    rows: Arc<dyn ReplayCatalog>,
    rules: Arc<dyn RulesSource>,
    tasks: &mut Tasks,
) -> Arc<dyn Replays> {
    let on = line.parts();
    let parts = ReplayParts {
        log: on.log.clone(),
        catalog: rows,
        rules,
        labels: Arc::new(KeptLabels::new(on.catalog.clone())),
        chains: chains(config),
        clock: on.clock.clone(),
        line,
    };
    let replays = Arc::new(ReplayRunner::new(
        parts,
        ReplayConfig {
            watchdog: Duration::from_secs(config.screen.watchdog_s),
            cpu_share: config.replay.cpu_share,
            ..ReplayConfig::default()
        },
    ));
    let runner = replays.clone();
    tasks.spawn(replay::STAGE, move |stop| async move {
        Ok(runner.run(stop).await?)
    });
    replays
}

/// The canonical chain under given rules.
fn chains(config: &Config) -> RuleChains {
    let memory_limit_bytes = config.screen.memory_limit_mib << 20;
    Arc::new(move |rules| {
        let modules = vec![
            ModuleSpec::new("normalize", telesift_bundle::NORMALIZE),
            ModuleSpec::new("signal-score", telesift_bundle::SIGNAL_SCORE)
                .with_param("rules", rules),
        ];
        let chain = EngineChain::new(ChainSpec {
            modules,
            memory_limit_bytes,
        })?;
        Ok(Box::new(chain) as Box<dyn SmartModuleChain>)
    })
}
