//! What the stages stand on, and how they read.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Result;
use telesift_ports::{
    Catalog, Clock, Generations, MessageStore, RecordLog, record_log::ReadLimits,
};
use telesift_schemas::{Topic, TopicPartition};
use telesift_stages::{
    Consumer,
    after_index::{AfterIndex, IndexLag},
    consumer::Process,
    ingest::{ImportConfig, ImportRunner},
    workers::Held,
};
use telesift_telegram::DesktopExport;

use crate::config::Config;

/// What most stages need.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) config: Arc<Config>,
    pub(super) log: Arc<dyn RecordLog>,
    pub(super) catalog: Arc<dyn Catalog>,
    /// That of the live generation.
    pub(super) store: Arc<dyn MessageStore>,
    pub(super) clock: Arc<dyn Clock>,
    /// Which one is live.
    pub(super) generations: Arc<Generations>,
    /// Whom stages that analyse let go first.
    pub(super) index_lag: Arc<IndexLag>,
}

impl Parts {
    /// The partitions of a topic.
    pub(super) async fn partitions(&self, topic: Topic) -> Result<Vec<TopicPartition>> {
        partitions(&*self.log, topic).await
    }

    /// `stage`, once the index is not far behind.
    pub(super) fn after_index<P: Process>(&self, stage: P, held: &Held) -> AfterIndex<P> {
        AfterIndex {
            stage,
            lag: Some(self.index_lag.clone()),
            stop: held.stop.clone(),
        }
    }

    /// The loop of `stage` over `inputs`, in batches of at most so many records per partition, the small ones at least so
    /// many milliseconds apart.
    pub(super) fn consumer(
        &self,
        stage: &'static str,
        inputs: Vec<TopicPartition>,
        batch_records: usize,
        min_interval_ms: u64,
    ) -> Consumer {
        Consumer {
            log: self.log.clone(),
            stage,
            inputs,
            limits: ReadLimits {
                max_records: batch_records,
                ..ReadLimits::default()
            },
            min_interval: Duration::from_millis(min_interval_ms),
        }
    }

    /// Imports from `spool`, freed of what a crash left; `process` names it among those of others.
    pub(super) async fn imports(
        &self,
        spool: PathBuf,
        process: Option<String>,
    ) -> Result<Arc<ImportRunner>> {
        let config = ImportConfig {
            process,
            max_queued: self.config.import.max_queued,
            ..ImportConfig::new(spool)
        };
        let imports = ImportRunner::new(
            self.log.clone(),
            self.catalog.clone(),
            Arc::new(DesktopExport),
            self.clock.clone(),
            config,
        );
        imports.sweep().await?;
        Ok(Arc::new(imports))
    }
}

/// The partitions of a topic.
pub(super) async fn partitions(log: &dyn RecordLog, topic: Topic) -> Result<Vec<TopicPartition>> {
    let partitions = log.partitions(&topic).await?;
    Ok(partitions
        .iter()
        .map(|p| TopicPartition::new(topic.clone(), p.partition))
        .collect())
}
