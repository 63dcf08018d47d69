//! The log of the configuration: embedded, or a Fluvio cluster.

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result};
use telesift_catalog::SqlCatalog;
use telesift_log_embedded::{EmbeddedLog, EmbeddedLogConfig};
use telesift_ports::{
    RecordLog,
    generations::{Part, Register},
    record_log::{self, TopicConfig},
};
use telesift_schemas::{Generation, Topic};

use crate::{
    cluster,
    config::{Config, LogKind},
    exit,
    server::Tasks,
};

/// What must be closed, or held, as long as the log is used.
pub(super) enum Kept {
    Embedded(Arc<EmbeddedLog>),
    /// Held so that no second server uses the data directory.
    Fluvio(#[expect(dead_code, reason = "held, not read")] std::fs::File),
}

impl Kept {
    /// A log that fails for good ends the process, one without room is not ready; a cluster is waited for.
    pub(super) fn watch(&self, tasks: &mut Tasks) {
        let Kept::Embedded(log) = self else { return };
        let looked_at = log.clone();
        tasks.look_at("disk", move || looked_at.check_room());
        let watched = log.clone();
        tasks.spawn("log", move |stop| async move {
            match stop.run_until_cancelled(watched.failed()).await {
                Some(failure) => Err(failure.into()),
                None => Ok(()),
            }
        });
    }

    /// Closes the log: what was taken is synced, the data directory is free again.
    pub(super) async fn close(self) -> Result<()> {
        match self {
            Kept::Embedded(log) => log.close().await.context("the log did not close cleanly"),
            // What was acknowledged is with the cluster.
            Kept::Fluvio(_) => Ok(()),
        }
    }
}

/// The log of the configuration.
pub(super) async fn open(
    config: &Config,
    data_dir: &Path,
    state: &Arc<SqlCatalog>,
) -> Result<(Arc<dyn RecordLog>, Kept)> {
    match config.log.kind {
        LogKind::Embedded => {
            let log = Arc::new(open_embedded(config, data_dir).await?);
            let shared: Arc<dyn RecordLog> = log.clone();
            Ok((shared, Kept::Embedded(log)))
        }
        LogKind::Fluvio => {
            let lock = lock(data_dir)?;
            let log = cluster::open_patiently(&config.log, state.clone()).await?;
            Ok((Arc::new(log), Kept::Fluvio(lock)))
        }
    }
}

async fn open_embedded(config: &Config, data_dir: &Path) -> Result<EmbeddedLog> {
    let mut log = EmbeddedLogConfig::new(data_dir.join("log"));
    log.block_cache_bytes = config.log.cache_mib << 20;
    log.write_buffer_bytes = config.log.write_buffer_mib << 20;
    log.min_free_bytes = config.log.min_free_mib.saturating_mul(1 << 20);
    let opened = tokio::task::spawn_blocking(move || EmbeddedLog::open(log)).await?;
    opened.context("cannot open the log")
}

/// Takes the data directory for this process: the embedded log does so itself.
fn lock(data_dir: &Path) -> Result<std::fs::File> {
    let path = data_dir.join("lock");
    let file = std::fs::File::create(&path).context("cannot create the lock file")?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => anyhow::bail!(
            "the data directory {} is in use by another server; stop it first, or choose another data directory",
            data_dir.display()
        ),
        Err(std::fs::TryLockError::Error(e)) => Err(e).context("cannot lock the data directory"),
    }
}

/// Makes every topic of the flow that is missing; but not the stories of the first generation if they were given up.
pub(super) async fn create_topics(
    config: &Config,
    log: &dyn RecordLog,
    register: &Register,
) -> Result<()> {
    let is_given_up = |topic: &Topic| {
        *topic == Topic::STORIES && !register.is_used((Part::Stories, Generation::FIRST))
    };
    for (topic, spec) in topics(config)? {
        if is_given_up(&topic) {
            continue;
        }
        let created = log.create_topic(&topic, spec).await;
        created.map_err(|error| not_created(&topic, error))?;
    }
    Ok(())
}

/// A topic that is there with other partitions is a matter of the configuration.
fn not_created(topic: &Topic, error: record_log::Error) -> anyhow::Error {
    let is_configured_wrong = matches!(error, record_log::Error::PartitionCount { .. });
    let error = anyhow::Error::new(error).context(format!("cannot create the topic `{topic}`"));
    match is_configured_wrong {
        true => exit::usage(error),
        false => error,
    }
}

fn topics(config: &Config) -> Result<Vec<(Topic, TopicConfig)>> {
    if config.log.kind == LogKind::Fluvio {
        return cluster::wanted(&config.log);
    }
    let all = Topic::ALL.into_iter().map(|(topic, partitions)| {
        let retention = config.log.retention.get(topic.as_str()).copied();
        let spec = TopicConfig {
            partitions: partitions.unwrap_or(config.log.partitions),
            retention: retention.unwrap_or_default().into(),
        };
        (topic, spec)
    });
    Ok(all.collect())
}
