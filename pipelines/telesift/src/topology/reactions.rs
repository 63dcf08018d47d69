//! reactions ─► catalog: one projection per partition.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use telesift_ports::{Catalog, Clock, RecordLog, record_log::ReadLimits};
use telesift_schemas::Topic;
use telesift_stages::{
    Consumer,
    reactions::{self, ReactionProjection},
};

use super::partitions;
use crate::server::Tasks;

pub(super) async fn start(
    log: &Arc<dyn RecordLog>,
    catalog: &Arc<dyn Catalog>,
    clock: &Arc<dyn Clock>,
    tasks: &mut Tasks,
) -> Result<()> {
    for input in partitions(&**log, Topic::REACTIONS).await? {
        let projection =
            ReactionProjection::new(log.clone(), catalog.clone(), clock.clone(), input.clone());
        let consumer = Consumer {
            log: log.clone(),
            stage: reactions::STAGE,
            inputs: vec![input],
            limits: ReadLimits::default(),
            min_interval: Duration::ZERO,
        };
        tasks.spawn(reactions::STAGE, move |stop| async move {
            Ok(consumer.run(projection, stop).await?)
        });
    }
    Ok(())
}
