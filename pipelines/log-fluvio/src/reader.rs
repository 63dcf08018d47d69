//! Reading any stretch of a partition: true offsets, nothing that is not committed.

use std::{collections::VecDeque, sync::Arc};

use fluvio::{
    Isolation,
    dataplane::{
        link::ErrorCode,
        record::{RawRecords, RecordSet},
    },
};
use fluvio_spu_schema::{
    fetch::{FetchPartition, FetchRequest, FetchablePartitionResponse, FetchableTopic},
    server::fetch_offset::{FetchOffsetPartitionResponse, FetchOffsetsRequest},
};
use telesift_ports::record_log::{Batch, Bounds, Error, ReadLimits, Result, StoredRecord};
use telesift_schemas::{Offset, Timestamp, Topic, TopicPartition};

use crate::{
    ahead::Ahead,
    batch,
    connection::Connections,
    error::{Failure, offset, unavailable},
    retry::Retry,
    telemetry,
};

/// What a batch may be on disk, and a little more.
const MIN_FETCH_BYTES: usize = 2 << 20;
const MAX_FETCH_BYTES: usize = 32 << 20;

/// An answer to a fetch.
type Fetched = FetchablePartitionResponse<RecordSet<RawRecords>>;

/// Reads partitions, each request from its leader.
pub(crate) struct Reader {
    connections: Arc<Connections>,
    ahead: Ahead,
}

impl Reader {
    pub(crate) fn new(connections: Arc<Connections>) -> Self {
        Reader {
            connections,
            ahead: Ahead::default(),
        }
    }

    /// Forgets a topic that is gone.
    pub(crate) fn forget(&self, topic: &Topic) {
        self.ahead.forget(topic);
    }

    /// The readable range of `at`.
    pub(crate) async fn bounds(&self, at: &TopicPartition) -> Result<Bounds> {
        let mut retry = self.patience("bounds");
        loop {
            match self.try_bounds(at).await {
                Ok(bounds) => return Ok(bounds),
                Err(failure) => self.again(&mut retry, failure).await?,
            }
        }
    }

    pub(crate) async fn try_bounds(
        &self,
        at: &TopicPartition,
    ) -> std::result::Result<Bounds, Failure> {
        let name = self.connections.cluster().config().name_of(&at.topic);
        let connection = self.connections.shared(at).await?;
        let request = FetchOffsetsRequest::new(name, at.partition.0);
        let response = connection.call(request).await?;
        let mut partitions = response.topics.into_iter().flat_map(|t| t.partitions);
        let found: FetchOffsetPartitionResponse = partitions
            .next()
            .ok_or_else(|| Failure::broken("an answer without the partition"))?;
        if found.error_code.is_error() {
            return Err(Failure::Code(found.error_code));
        }
        let mut end = offset(found.last_stable_offset);
        if self.is_kept_alone(at).await? {
            end = self.end_of_log(at, end).await?;
        }
        let start = offset(found.start_offset);
        Ok(Bounds { start, end })
    }

    /// Whether nobody but its leader keeps `at`. All that one has is committed then, whatever it says: how far it was is written
    /// to a file a moment later than the records, so one that was killed says less when it is back, until the next append.
    pub(crate) async fn is_kept_alone(
        &self,
        at: &TopicPartition,
    ) -> std::result::Result<bool, Failure> {
        self.connections.cluster().is_kept_alone(at).await
    }

    /// The end of what the leader of `at` has, which says that everything before `known` is committed.
    async fn end_of_log(
        &self,
        at: &TopicPartition,
        known: Offset,
    ) -> std::result::Result<Offset, Failure> {
        let mut end = known;
        loop {
            let fetched = match self
                .fetch(at, end, MIN_FETCH_BYTES, Isolation::ReadUncommitted)
                .await
            {
                Ok(fetched) => fetched,
                // Retention ran meanwhile, or there is nothing.
                Err(Failure::Code(_)) => return Ok(end),
                Err(failure) => return Err(failure),
            };
            let committed = offset(fetched.high_watermark);
            let last = end_of(&fetched);
            if committed > end || last <= end {
                return Ok(end.max(committed));
            }
            end = last;
        }
    }

    /// Why there is nothing at `from`, which lies beyond the `end`: there was nothing ever, or a new leader does not know yet how
    /// far the other replicas are.
    pub(crate) async fn beyond(&self, at: &TopicPartition, from: Offset, end: Offset) -> Error {
        let fetch = self.fetch(at, from, MIN_FETCH_BYTES, Isolation::ReadUncommitted);
        match fetch.await {
            Ok(_) => unavailable(format_args!(
                "`{at}` was read up to {from}, and its leader knows of replicas up to {end} yet"
            )),
            Err(Failure::Code(ErrorCode::Other(_) | ErrorCode::OffsetOutOfRange)) => {
                Error::BeyondEnd {
                    at: at.clone(),
                    from,
                    end,
                }
            }
            Err(failure) => unavailable(failure),
        }
    }

    /// Records from `from` on, as [`RecordLog::read`](telesift_ports::RecordLog::read).
    pub(crate) async fn read(
        &self,
        at: &TopicPartition,
        from: Offset,
        limits: ReadLimits,
    ) -> Result<Batch> {
        let mut max_bytes = limits.max_bytes.clamp(MIN_FETCH_BYTES, MAX_FETCH_BYTES);
        let mut all = Batch {
            records: Vec::new(),
            gaps: Vec::new(),
            next: from,
            end: from,
        };
        let mut left = limits;
        let mut retry = self.patience("read");
        if let Some((end, mut records)) = self.ahead.take(at, from) {
            take(&mut all, &mut records, &mut left);
            if !records.is_empty() {
                all.end = end;
                self.ahead.keep(at, end, records);
                return Ok(given(all));
            }
        }
        loop {
            let (end, mut records) = match self.try_read(at, all.next, max_bytes).await {
                Ok(Some(fetched)) => fetched,
                // Nothing there: the end, or beyond it.
                Ok(None) => {
                    let bounds = self.bounds(at).await?;
                    if from > bounds.end {
                        return Err(self.beyond(at, from, bounds.end).await);
                    }
                    if from < bounds.start {
                        return Err(Error::Evicted {
                            at: at.clone(),
                            from,
                            first: bounds.start,
                        });
                    }
                    if from < bounds.end && all.records.is_empty() {
                        // It was appended between the two questions.
                        let missing = format!("`{at}` has no record at offset {from} yet");
                        retry.pause(missing).await.map_err(unavailable)?;
                        continue;
                    }
                    all.end = bounds.end;
                    return Ok(all);
                }
                Err(failure) => {
                    self.again(&mut retry, failure).await?;
                    continue;
                }
            };
            all.end = end;
            if records.is_empty() {
                if max_bytes >= MAX_FETCH_BYTES {
                    return Err(unavailable(format_args!(
                        "the batch at offset {} of `{at}` cannot be read",
                        all.next
                    )));
                }
                max_bytes *= 2;
                continue;
            }
            let is_done = take(&mut all, &mut records, &mut left);
            if is_done || all.next >= all.end {
                // Who asks for one record looks for a place, and reads on elsewhere.
                if limits.max_records > 1 {
                    self.ahead.keep(at, end, records);
                }
                return Ok(given(all));
            }
        }
    }

    /// The end and the records from `from` on that fit into `max_bytes`; none if there is nothing at `from`.
    async fn try_read(
        &self,
        at: &TopicPartition,
        from: Offset,
        max_bytes: usize,
    ) -> std::result::Result<Option<(Offset, VecDeque<StoredRecord>)>, Failure> {
        let is_kept_alone = self.is_kept_alone(at).await?;
        let fetched = match self
            .fetch(at, from, max_bytes, isolation(is_kept_alone))
            .await
        {
            Ok(fetched) => fetched,
            // An SPU has no code of its own for what lies beyond its end.
            Err(Failure::Code(ErrorCode::Other(_) | ErrorCode::OffsetOutOfRange)) => {
                return Ok(None);
            }
            Err(failure) => {
                return Err(failure.of_read(at, from).map_or_else(|f| f, Failure::Final));
            }
        };
        let mut end = offset(fetched.high_watermark);
        if is_kept_alone {
            end = end.max(end_of(&fetched));
        }
        if from >= end {
            return Ok(None);
        }
        let mut records = VecDeque::new();
        for batch in &fetched.records.batches {
            records.extend(batch::decode(batch)?);
        }
        // An answer starts with the batch that holds `from`, and may end with one that is not committed yet.
        records.retain(|r| r.offset >= from && r.offset < end);
        Ok(Some((end, records)))
    }

    pub(crate) async fn fetch(
        &self,
        at: &TopicPartition,
        from: Offset,
        max_bytes: usize,
        isolation: Isolation,
    ) -> std::result::Result<Fetched, Failure> {
        let connection = self.connections.shared(at).await?;
        let max_bytes = i32::try_from(max_bytes).unwrap_or(i32::MAX);
        let fetch_offset = i64::try_from(from.0).unwrap_or(i64::MAX);
        let request: FetchRequest<RecordSet<RawRecords>> = FetchRequest {
            max_bytes,
            isolation_level: isolation,
            topics: vec![FetchableTopic {
                name: self.connections.cluster().config().name_of(&at.topic),
                fetch_partitions: vec![FetchPartition {
                    partition_index: at.partition.0,
                    fetch_offset,
                    max_bytes,
                    ..FetchPartition::default()
                }],
            }],
            ..FetchRequest::default()
        };
        let response = connection.call(request).await?;
        let mut partitions = response.topics.into_iter().flat_map(|t| t.partitions);
        let found = partitions
            .next()
            .ok_or_else(|| Failure::broken("an answer without the partition"))?;
        match found.error_code {
            ErrorCode::None => Ok(found),
            code => Err(Failure::Code(code)),
        }
    }

    /// The first record at or after `time`, by bisection; the end if there is none.
    pub(crate) async fn offset_at(&self, at: &TopicPartition, time: Timestamp) -> Result<Offset> {
        let one = ReadLimits {
            max_records: 1,
            max_bytes: 0,
        };
        let bounds = self.bounds(at).await?;
        let (mut low, mut high) = (bounds.start, bounds.end);
        while low < high {
            let middle = Offset(low.0 + (high.0 - low.0) / 2);
            let found = match self.read(at, middle, one).await {
                Ok(batch) => batch.records.first().map(|r| r.appended_at),
                // Retention runs meanwhile.
                Err(Error::Evicted { first, .. }) => {
                    low = first.min(high);
                    continue;
                }
                Err(e) => return Err(e),
            };
            match found {
                Some(appended_at) if appended_at < time => low = middle.next(),
                _ => high = middle,
            }
        }
        Ok(low)
    }

    fn patience(&self, call: &'static str) -> Retry {
        Retry::new(call, self.connections.cluster().config().retry_for)
    }

    /// Waits before the next try, and asks for the leader anew; or says that there is to be none.
    async fn again(&self, retry: &mut Retry, failure: Failure) -> Result<()> {
        if let Failure::Final(error) = failure {
            return Err(error);
        }
        let is_about_leader = failure.is_about_leader();
        retry.pause(failure).await.map_err(unavailable)?;
        if is_about_leader {
            self.connections.cluster().look_again().await;
        }
        Ok(())
    }
}

/// What may be read of a partition.
pub(crate) fn isolation(is_kept_alone: bool) -> Isolation {
    match is_kept_alone {
        true => Isolation::ReadUncommitted,
        false => Isolation::ReadCommitted,
    }
}

/// The offset after the last record of an answer.
fn end_of(fetched: &Fetched) -> Offset {
    let batches = fetched.records.batches.iter();
    let ends = batches.map(|batch| offset(batch.computed_last_offset()));
    ends.max().unwrap_or_default()
}

/// Counts what is given to a reader.
fn given(batch: Batch) -> Batch {
    let n_bytes = batch.records.iter().map(|r| r.key.len() + r.value.len());
    telemetry::read(batch.records.len(), n_bytes.sum());
    batch
}

/// Moves what the limits allow; whether they are reached.
fn take(all: &mut Batch, records: &mut VecDeque<StoredRecord>, left: &mut ReadLimits) -> bool {
    while let Some(record) = records.front() {
        let n_bytes = record.key.len() + record.value.len();
        let is_full = left.max_records == 0 || n_bytes > left.max_bytes;
        if is_full && !all.records.is_empty() {
            return true;
        }
        left.max_records = left.max_records.saturating_sub(1);
        left.max_bytes = left.max_bytes.saturating_sub(n_bytes);
        all.next = record.offset.next();
        all.records.extend(records.pop_front());
    }
    left.max_records == 0 || left.max_bytes == 0
}
