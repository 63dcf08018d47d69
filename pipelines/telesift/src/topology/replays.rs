//! Replays, wired beside the flow: they read the log, and write to nothing but their own rows of the catalog.

use std::{sync::Arc, time::Duration};

use telesift_engine::{ChainSpec, EngineChain, ModuleSpec};
use telesift_ports::{
    SmartModuleChain,
    replays::{ReplayCatalog, RulesSource},
};
use telesift_stages::replay::{KeptLabels, ReplayConfig, ReplayParts, ReplayRunner, RuleChains};

use super::Parts;
use crate::config::Config;

/// The runner; nothing runs yet.
pub(super) fn runner(
    parts: &Parts,
    rows: Arc<dyn ReplayCatalog>,
    rules: Arc<dyn RulesSource>,
) -> Arc<ReplayRunner> {
    let config = ReplayConfig {
        watchdog: Duration::from_secs(parts.config.screen.watchdog_s),
        ..ReplayConfig::default()
    };
    let parts = ReplayParts {
        log: parts.log.clone(),
        catalog: rows,
        rules,
        labels: Arc::new(KeptLabels::new(parts.catalog.clone())),
        chains: chains(&parts.config),
        clock: parts.clock.clone(),
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
