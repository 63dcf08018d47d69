//! One import on its way into the log: batches come in, appends with the progress they make leave, as fast as the log takes
//! them.

use std::{sync::Arc, time::Duration};

use telesift_ports::{catalog::ImportRow, imports::ImportError, record_log};
use tokio_util::sync::CancellationToken;

use super::{
    Flow, ImportRunner,
    batch::{PendingBatch, Running, count, read},
    storage,
};
use crate::{
    consumer::{delays, pause},
    ingest,
};

impl ImportRunner {
    pub(super) async fn append_all(
        &self,
        row: &ImportRow,
        import: &mut Running,
        shutdown: &CancellationToken,
    ) -> Result<Flow, ImportError> {
        let Some(n_partitions) = self.begin(import, shutdown).await? else {
            return Ok(Flow::ShutDown);
        };
        let (reading, mut batches) = read(
            Arc::clone(&self.reader),
            row,
            import.progress.messages_read,
            n_partitions,
            self.config.clone(),
        );
        while let Some(batch) = batches.recv().await {
            if self.commit(import, &batch, shutdown).await?.is_shut_down() {
                return Ok(Flow::ShutDown);
            }
        }
        reading.await.map_err(storage)??;
        Ok(match shutdown.is_cancelled() {
            true => Flow::ShutDown,
            false => Flow::Finished,
        })
    }

    /// Reads how far the import is, and the partition count; `None` = shut down first.
    async fn begin(
        &self,
        import: &mut Running,
        shutdown: &CancellationToken,
    ) -> Result<Option<u32>, ImportError> {
        let mut delays = delays();
        while !shutdown.is_cancelled() {
            let begun = match import.load(&*self.log).await {
                Ok(()) => ingest::n_partitions(&*self.log).await,
                Err(e) => Err(e),
            };
            match begun {
                Ok(n_partitions) => return Ok(Some(n_partitions)),
                Err(e) if e.is_retryable() => wait_for_log(&e, &mut delays, shutdown).await,
                Err(record_log::Error::Closed) => return Ok(None),
                Err(e) => return Err(storage(e)),
            }
        }
        Ok(None)
    }

    /// Appends a batch with the progress it makes, repeating what is retryable: a log that is full or away makes an import
    /// wait, never fail.
    async fn commit(
        &self,
        import: &mut Running,
        batch: &PendingBatch,
        shutdown: &CancellationToken,
    ) -> Result<Flow, ImportError> {
        let mut delays = delays();
        let (before, mut is_stale) = (import.progress.messages_read, false);
        while !shutdown.is_cancelled() {
            match self.append(import, batch, before, &mut is_stale).await {
                Ok(()) => return Ok(Flow::Finished),
                Err(e) if e.is_retryable() => wait_for_log(&e, &mut delays, shutdown).await,
                // Only our own shutdown closes the log: the import goes on after the restart.
                Err(record_log::Error::Closed) => return Ok(Flow::ShutDown),
                Err(
                    e @ (record_log::Error::LeaseLost { .. }
                    | record_log::Error::GuardFailed { .. }),
                ) => return Err(ImportError::HandedOver(e.to_string())),
                Err(e) => return Err(storage(e)),
            }
        }
        Ok(Flow::ShutDown)
    }

    /// One try. `is_stale` says whether an earlier one may have taken effect although it failed.
    async fn append(
        &self,
        import: &mut Running,
        batch: &PendingBatch,
        before: u64,
        is_stale: &mut bool,
    ) -> record_log::Result<()> {
        if *is_stale {
            import.load(&*self.log).await?;
            if import.progress.messages_read > before {
                return Ok(());
            }
        }
        *is_stale = true;
        count(&self.log.commit(import.transaction(batch)).await?);
        import.load(&*self.log).await
    }
}

async fn wait_for_log(
    error: &record_log::Error,
    delays: &mut (impl Iterator<Item = Duration> + Send),
    shutdown: &CancellationToken,
) {
    tracing::warn!(%error, "an import waits for the log");
    pause(delays.next().unwrap_or_default(), shutdown).await;
}
