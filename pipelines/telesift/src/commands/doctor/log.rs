//! What an acknowledgement of the configured log is worth, and whether its cluster is as it should be.

use std::path::Path;

use anyhow::Result;
use telesift_log_embedded::free_bytes;
use telesift_schemas::TopicPartition;

use super::Check;
use crate::{
    cli::ConfigArgs,
    commands::{block_on_cluster, cluster_log, smartmodules},
    config::{Config, Log, LogKind},
};

/// `is_shared`: the server shares its work with other processes.
pub(super) fn checks(args: &ConfigArgs, data_dir: Option<&Path>, is_shared: bool) -> Vec<Check> {
    let config = match Config::load(args.config.as_deref()) {
        Ok(config) => config,
        Err(error) => return vec![Check::failed("configuration", format!("{error:#}"))],
    };
    match config.log.kind {
        LogKind::Embedded if is_shared => vec![Check::warning(
            "log",
            "not looked at: the server shares its work with others, so its log is a cluster; name its configuration with --config",
        )],
        LogKind::Embedded => vec![embedded(&config, data_dir)],
        LogKind::Fluvio => block_on_cluster(cluster(&config.log))
            .unwrap_or_else(|error| vec![Check::failed("log", format!("{error:#}"))]),
    }
}

/// Whether there is room for what comes.
fn embedded(config: &Config, data_dir: Option<&Path>) -> Check {
    let dir = match data_dir {
        Some(dir) => Ok(dir.to_owned()),
        None => config.data_dir(),
    };
    let free = dir.ok().and_then(|dir| free_bytes(&dir).ok());
    let free_mib = free.map(|bytes| bytes >> 20);
    match free_mib {
        Some(free) if free < config.log.min_free_mib => Check::failed(
            "log",
            format!(
                "embedded: it takes nothing while its disk has less than {} MiB free (log.min_free_mib), and {free} are: make room",
                config.log.min_free_mib
            ),
        ),
        _ => Check::ok(
            "log",
            "embedded: what is acknowledged is synced to this machine's disk",
        ),
    }
}

async fn cluster(config: &Log) -> Result<Vec<Check>> {
    let log = cluster_log::open(config).await?;
    let replication = log.replication().await?;
    let topics = telesift_schemas::Topic::ALL;
    let lowest = topics
        .iter()
        .filter_map(|(topic, _)| replication.get(topic).map(|n| (*n, topic)))
        .min();
    let endpoint = &config.fluvio.endpoint;
    let durability = match lowest {
        None => Check::warning(
            "log",
            format!(
                "Fluvio at `{endpoint}`: it has no topics yet; `telesift topics apply` or `serve` makes them"
            ),
        ),
        Some((1, topic)) => Check::warning(
            "log",
            format!(
                "Fluvio at `{endpoint}`: `{topic}` is kept on one SPU; what is acknowledged is in its page cache and lost with it. Give deploy/topics.toml a replication of 2 or 3"
            ),
        ),
        Some((n, _)) => Check::ok(
            "log",
            format!(
                "Fluvio at `{endpoint}`: what is acknowledged is in the page cache of {n} SPUs or more"
            ),
        ),
    };
    let leaders = leaders(endpoint, &log.without_leader().await?);
    let modules = smartmodules::compare(&log.smartmodules().await?);
    let n_off = modules
        .iter()
        .filter(|(_, state)| *state != smartmodules::State::Same)
        .count();
    let modules = match n_off {
        0 => Check::ok("smartmodules", "the cluster has those of this binary"),
        n => Check::warning(
            "smartmodules",
            format!(
                "{n} of the cluster are not those of this binary; reads with Fluvio's own tools differ until `telesift smartmodules push`"
            ),
        ),
    };
    Ok(vec![durability, leaders, modules])
}

/// Whether every partition has somebody to lead it.
fn leaders(endpoint: &str, without: &[TopicPartition]) -> Check {
    const NAMED: usize = 3;
    let name = "partitions";
    if without.is_empty() {
        return Check::ok(name, "each has a leader");
    }
    let mut names: Vec<String> = without
        .iter()
        .take(NAMED)
        .map(|at| format!("`{at}`"))
        .collect();
    if without.len() > NAMED {
        names.push(format!("{} more", without.len() - NAMED));
    }
    Check::failed(
        name,
        format!(
            "Fluvio at `{endpoint}`: its controller knows no leader of {}. What they hold is with the SPUs; workers that ran before go on, others wait. Delete nothing: docs/fluvio.md says how to mend the controller's metadata",
            names.join(", ")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_not_called_embedded_where_processes_share_it() {
        let of = |is_shared| {
            let args = ConfigArgs { config: None };
            checks(&args, None, is_shared).remove(0)
        };
        assert!(!of(false).is_warning);
        let shared = of(true);
        assert!(shared.is_warning && shared.detail.contains("--config"));
    }
}
