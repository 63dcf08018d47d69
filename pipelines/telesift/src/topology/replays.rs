//! Replays, wired beside the flow: comparisons write to nothing but their own rows of the catalog, all others to a generation
//! of their own.

use std::{sync::Arc, time::Duration};

use telesift_engine::{ChainSpec, EngineChain, ModuleSpec};
use telesift_ports::{
    SmartModuleChain,
    replays::{ReplayCatalog, RulesSource},
};
use telesift_stages::{
    extract::UnitPlanner,
    generations::Line,
    replay::{KeptLabels, ReplayConfig, ReplayParts, ReplayRunner, RuleChains},
};

use crate::config::Config;

/// The runner; nothing runs yet.
pub(super) fn runner(
    config: &Config,
    line: Arc<Line>,
    units: Arc<UnitPlanner>,
    rows: Arc<dyn ReplayCatalog>,
    rules: Arc<dyn RulesSource>,
) -> Arc<ReplayRunner> {
    let on = line.parts();
    let parts = ReplayParts {
        log: on.log.clone(),
        catalog: rows,
        rules,
        labels: Arc::new(KeptLabels::new(on.catalog.clone())),
        chains: chains(config),
        clock: on.clock.clone(),
        units,
        line,
    };
    let config = ReplayConfig {
        watchdog: Duration::from_secs(config.screen.watchdog_s),
        cpu_share: config.replay.cpu_share,
        ..ReplayConfig::default()
    };
    Arc::new(ReplayRunner::new(parts, config))
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
