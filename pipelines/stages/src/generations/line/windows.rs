//! messages ─► windows ─► catalog, in one generation.

use telesift_ports::generations::Entry;
use telesift_schemas::TopicPartition;

use super::{Line, Turn, run};
use crate::{
    StageError,
    generations::stage_name,
    windows::{self, Windows},
    workers::Held,
};

impl Line {
    /// messages ─► windows ─► catalog: one partition.
    ///
    /// # Errors
    /// What no retry mends.
    pub async fn windows(
        &self,
        entry: &Entry,
        input: TopicPartition,
        pace: Turn,
        held: Held,
    ) -> Result<(), StageError> {
        let parts = &self.parts;
        let (log, catalog) = (parts.log.clone(), parts.catalog.clone());
        let stage = Windows::new(log, catalog, parts.clock.clone(), input.clone())
            .of(entry.generation)
            .under(held.fence());
        let stage = self.after_index(stage, entry, &held);
        let name = stage_name(windows::STAGE, entry.generation);
        let (n, interval) = (self.config.windows_records, self.config.windows_interval);
        let consumer = self.consumer(name, vec![input], n, interval);
        run(consumer, stage, pace, held.stop).await
    }
}
