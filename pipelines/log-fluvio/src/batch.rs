//! Records on their way into a batch of the cluster and out of one.
//!
//! Key and value travel as they are. When a record was appended stands where Fluvio keeps the time of a record, which no
//! SPU changes; who wrote a batch and which of his it is stand where the protocol has room for it, so that a batch whose
//! answer was lost can be recognised.

use bytes::Bytes;
use fluvio::dataplane::record::{Batch, RawRecords, Record, RecordData};
use telesift_ports::record_log::{NewRecord, StoredRecord};
use telesift_schemas::{Offset, Timestamp};

use crate::error::Failure;

/// Bytes of a record beyond its key and value, at most.
const RECORD_OVERHEAD: usize = 40;

/// Who wrote a batch, and which of his it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchId {
    /// Drawn at random for each writer of a partition.
    pub(crate) writer: i64,
    /// Counted from 0 by the writer.
    pub(crate) sequence: i32,
}

impl BatchId {
    pub(crate) fn of(batch: &Batch<RawRecords>) -> Self {
        BatchId {
            writer: batch.header.producer_id,
            sequence: batch.header.first_sequence,
        }
    }
}

/// The bytes a record takes in a batch, at most.
pub(crate) fn n_bytes(record: &NewRecord) -> usize {
    record.key.len() + record.value.len() + RECORD_OVERHEAD
}

/// One batch of `records`, all appended at `at`.
pub(crate) fn encode(
    records: &[NewRecord],
    id: BatchId,
    at: Timestamp,
) -> Result<Batch<RawRecords>, Failure> {
    let records: Vec<Record> = records
        .iter()
        .map(|record| Record {
            key: Some(RecordData::from(Vec::from(record.key.clone()))),
            value: RecordData::from(Vec::from(record.value.clone())),
            ..Record::default()
        })
        .collect();
    let mut batch = Batch::from(records);
    batch.header.first_timestamp = at.as_millisecond();
    batch.header.max_time_stamp = at.as_millisecond();
    batch.header.producer_id = id.writer;
    batch.header.first_sequence = id.sequence;
    batch.try_into().map_err(Failure::broken)
}

/// The records of a batch, those that came whole: of the last batch of an answer the rest may be cut off.
pub(crate) fn decode(batch: &Batch<RawRecords>) -> Result<Vec<StoredRecord>, Failure> {
    let records = batch.memory_records().map_err(Failure::broken)?;
    let base = u64::try_from(batch.base_offset).map_err(Failure::broken)?;
    let time = |record: &Record| {
        let ms = batch.header.first_timestamp + record.timestamp_delta();
        Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
    };
    let records = records.into_iter().enumerate();
    Ok(records
        .map(|(i, record)| StoredRecord {
            offset: Offset(base + i as u64),
            appended_at: time(&record),
            key: record.key.as_deref().cloned().unwrap_or_default(),
            value: Bytes::clone(&record.value),
        })
        .collect())
}
