//! The cluster for commands that need no server: topics, SmartModules, checks.

use std::sync::Arc;

use anyhow::Result;
use telesift_log_fluvio::FluvioLog;
use telesift_ports::memory::MemoryState;

use crate::{
    cli::ConfigArgs,
    cluster,
    config::{Config, Log, LogKind},
    exit::{self, Usage},
};

/// The part of the configuration that names the cluster.
///
/// # Errors
/// Wrong usage if the log is none.
pub(super) fn config(args: &ConfigArgs) -> Result<Log> {
    let config = Config::load(args.config.as_deref()).map_err(exit::usage)?;
    if config.log.kind != LogKind::Fluvio {
        return Err(anyhow::Error::new(Usage(
            "the log of this configuration is embedded: this command is for a Fluvio cluster (log.kind = \"fluvio\")"
                .to_owned(),
        )));
    }
    Ok(config.log)
}

/// The cluster, without the state that only a server has: nothing is appended here.
pub(super) async fn open(config: &Log) -> Result<FluvioLog> {
    cluster::open(config, Arc::new(MemoryState::new())).await
}
