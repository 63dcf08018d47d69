//! Retries of dead letters, taken up by the owner of their partition between two batches.

use std::time::{Duration, Instant};

use bytes::Bytes;
use telesift_ports::{
    Clock as _, SystemClock,
    dead_letters::{self, RetryRequest},
    record_log::{self, ReadLimits, StoredRecord},
};
use telesift_schemas::{DeadLetterCode, Offset, TopicPartition};
use tokio_util::sync::CancellationToken;

use super::{Consumer, Process, StageError, delays};
use crate::dead_letter::{Refusal, Retry, Tried};

/// How often a busy stage looks for retries, at most.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a loop knows of the retries that wait for it.
#[derive(Default)]
pub(super) struct Retries {
    /// The end of `dead-letters` when it was looked at last.
    seen: Option<Offset>,
    looked_at: Option<Instant>,
    /// Whether some wait for the stage to come by.
    has_later: bool,
}

impl Retries {
    /// Where to wait for more; `None` before the first look, and where nobody writes letters.
    pub(super) fn seen(&self) -> Option<Offset> {
        self.seen
    }

    /// To be called when the stage has nothing else to do: the next look is due.
    pub(super) fn look_again(&mut self) {
        self.looked_at = None;
    }
}

impl Consumer {
    /// Tries again what somebody asked for. Retryable failures are repeated in place, as for batches.
    ///
    /// # Errors
    /// What no retry mends.
    pub(super) async fn run_retries(
        &self,
        stage: &mut impl Process,
        retries: &mut Retries,
        shutdown: &CancellationToken,
    ) -> Result<(), StageError> {
        if !self.has_new_requests(retries).await? {
            return Ok(());
        }
        retries.has_later = false;
        for at in &self.inputs {
            let requests = match self.requests(at).await {
                Ok(requests) => requests,
                // Looked for again in a moment; the next read or commit backs off from whatever is wrong.
                Err(error) if error.is_retryable() => {
                    retries.has_later = true;
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            for request in requests {
                retries.has_later |= self
                    .retry_until_ended(stage, at, &request, shutdown)
                    .await?;
                if shutdown.is_cancelled() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn has_new_requests(&self, retries: &mut Retries) -> Result<bool, StageError> {
        if retries
            .looked_at
            .is_some_and(|at| at.elapsed() < LOOK_EVERY)
        {
            return Ok(false);
        }
        retries.looked_at = Some(Instant::now());
        let end = match self.log.bounds(&dead_letters::partition()).await {
            Ok(bounds) => bounds.end,
            Err(record_log::Error::TopicNotFound(_) | record_log::Error::PartitionNotFound(_)) => {
                return Ok(false);
            }
            // Whatever is wrong with the log, the next read backs off from it.
            Err(e) if e.is_retryable() => return Ok(false),
            Err(e) => return Err(e.into()),
        };
        let is_new = retries.seen != Some(end);
        retries.seen = Some(end);
        Ok(is_new || retries.has_later)
    }

    /// What waits on one partition, by offset.
    async fn requests(&self, at: &TopicPartition) -> Result<Vec<RetryRequest>, StageError> {
        let prefix = RetryRequest::prefix(self.stage, at);
        let mut requests = Vec::new();
        for (key, value) in self.log.state_with_prefix(&prefix).await? {
            match serde_json::from_slice::<RetryRequest>(&value) {
                Ok(request) => requests.push(request),
                Err(error) => tracing::error!(key, %error, "a request for a retry is unreadable"),
            }
        }
        requests.sort_by_key(|request| request.origin.offset);
        Ok(requests)
    }

    /// `true` if the stage has not come to this input yet.
    async fn retry_until_ended(
        &self,
        stage: &mut impl Process,
        at: &TopicPartition,
        request: &RetryRequest,
        shutdown: &CancellationToken,
    ) -> Result<bool, StageError> {
        let mut delays = delays();
        loop {
            match self.retry_once(stage, at, request).await {
                Ok(tried) => return Ok(tried == Tried::Later),
                Err(e) if !e.is_retryable() => return Err(e),
                Err(e) => self.back_off(&e, &mut delays, shutdown).await,
            }
            if shutdown.is_cancelled() {
                return Ok(false);
            }
        }
    }

    async fn retry_once(
        &self,
        stage: &mut impl Process,
        at: &TopicPartition,
        request: &RetryRequest,
    ) -> Result<Tried, StageError> {
        let key = RetryRequest::key(self.stage, &request.origin);
        let Some(stored) = self.log.state(&key).await? else {
            return Ok(Tried::Committed); // ended by an earlier try whose answer was lost
        };
        let retry = |record| Retry {
            at: at.clone(),
            record,
            request: request.clone(),
            stage: self.stage,
            stored: stored.clone(),
        };
        let (retry, tried) = match self.input_of(at, request.origin.offset).await? {
            Some(record) => {
                let retry = retry(record);
                let tried = stage.retry(&retry).await?;
                (retry, tried)
            }
            None => {
                let message = format!("the record at {} cannot be read any more", request.origin);
                let refusal = Refusal::new(DeadLetterCode::Gone, message);
                (
                    retry(nothing(request.origin.offset)),
                    Tried::Stored(Some(refusal)),
                )
            }
        };
        if let Tried::Stored(refusal) = &tried {
            let ended = retry.ended(refusal.as_ref(), SystemClock.now());
            self.log.commit(ended).await?;
        }
        tracing::info!(
            letter = request.id,
            attempt = request.attempt,
            ?tried,
            "a dead letter was tried again"
        );
        Ok(tried)
    }

    /// The record, if it is still there.
    async fn input_of(
        &self,
        at: &TopicPartition,
        offset: Offset,
    ) -> Result<Option<StoredRecord>, StageError> {
        let one = ReadLimits {
            max_records: 1,
            ..ReadLimits::default()
        };
        match self.log.read(at, offset, one).await {
            Ok(batch) => Ok(batch.records.into_iter().find(|r| r.offset == offset)),
            Err(
                record_log::Error::Evicted { .. }
                | record_log::Error::BeyondEnd { .. }
                | record_log::Error::TopicNotFound(_)
                | record_log::Error::PartitionNotFound(_),
            ) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

/// Stands for a record that need not be read.
pub(crate) fn nothing(offset: Offset) -> StoredRecord {
    StoredRecord {
        offset,
        appended_at: telesift_schemas::Timestamp::UNIX_EPOCH,
        key: Bytes::new(),
        value: Bytes::new(),
    }
}
