//! A place in one generation's messages becomes the same place in another's: by origin, which ascends in every partition.

use serde::Deserialize;
use telesift_schemas::{Offset, Origin, TopicPartition};

use crate::{
    RecordLog,
    record_log::{Error, ReadLimits, Result, StoredRecord},
};

const ONE: ReadLimits = ReadLimits {
    max_records: 1,
    max_bytes: 4 << 20,
};

/// What a reader has consumed of the raw records behind a derived partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consumed {
    /// Everything below this raw offset, and nothing at or above it.
    Below(Offset),
    /// It cannot be told: no record before or after its place is left.
    Unknown,
}

/// What a reader at `next` has consumed: all up to the origin of the last record before; or, where that is not kept any more,
/// all below the origin of the first one after.
///
/// # Errors
/// [`Error::BeyondEnd`] if `next` lies beyond the end; whatever the log says.
pub async fn consumed(log: &dyn RecordLog, at: &TopicPartition, next: Offset) -> Result<Consumed> {
    let bounds = log.bounds(at).await?;
    if next > bounds.end {
        return Err(Error::BeyondEnd {
            at: at.clone(),
            from: next,
            end: bounds.end,
        });
    }
    if next == Offset::ZERO {
        return Ok(Consumed::Below(Offset::ZERO));
    }
    // The nearest one before; what was erased or damaged is stepped over.
    let mut before = next;
    while before > bounds.start {
        before = Offset(before.0 - 1);
        if let Some(origin) = record_at(log, at, before).await?.and_then(|r| origin_of(&r)) {
            return Ok(Consumed::Below(origin.offset.next()));
        }
    }
    let mut after = next.max(bounds.start);
    while let Some(record) = first_from(log, at, after).await? {
        match origin_of(&record) {
            Some(origin) => return Ok(Consumed::Below(origin.offset)),
            None => after = record.offset.next(),
        }
    }
    Ok(Consumed::Unknown)
}

/// The first offset of `at` whose record's origin is not below `raw`; the end if there is none.
///
/// # Errors
/// Whatever the log says.
pub async fn first_at(log: &dyn RecordLog, at: &TopicPartition, raw: Offset) -> Result<Offset> {
    let bounds = log.bounds(at).await?;
    let (mut low, mut high) = (bounds.start, bounds.end);
    while low < high {
        let middle = Offset(low.0 + (high.0 - low.0) / 2);
        // Nothing readable from the middle on: what is left lies before it.
        let found = first_from(log, at, middle).await?;
        let Some(record) = found.filter(|r| r.offset < high) else {
            high = middle;
            continue;
        };
        match origin_of(&record) {
            Some(origin) if origin.offset >= raw => high = middle,
            _ => low = record.offset.next(),
        }
    }
    Ok(low)
}

/// The raw record that a record of messages names.
pub(crate) fn origin_of(record: &StoredRecord) -> Option<Origin> {
    #[derive(Deserialize)]
    struct OriginOnly {
        origin: Option<Origin>,
    }
    let parsed: OriginOnly = serde_json::from_slice(&record.value).ok()?;
    parsed.origin
}

async fn record_at(
    log: &dyn RecordLog,
    at: &TopicPartition,
    offset: Offset,
) -> Result<Option<StoredRecord>> {
    let found = first_from(log, at, offset).await?;
    Ok(found.filter(|r| r.offset == offset))
}

/// The first readable record from `offset` on.
async fn first_from(
    log: &dyn RecordLog,
    at: &TopicPartition,
    mut offset: Offset,
) -> Result<Option<StoredRecord>> {
    loop {
        match log.read(at, offset, ONE).await {
            Ok(batch) => match batch.records.into_iter().next() {
                Some(record) => return Ok(Some(record)),
                None if batch.next > offset && batch.next < batch.end => offset = batch.next,
                None => return Ok(None),
            },
            Err(Error::Evicted { first, .. }) if first > offset => offset = first,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(all(test, feature = "memory"))]
mod tests {
    use bytes::Bytes;
    use telesift_schemas::{PartitionId, Topic};

    use super::*;
    use crate::{
        memory::MemoryLog,
        record_log::{NewRecord, Retention, TopicConfig, Transaction},
    };

    /// A partition whose records have these origins.
    async fn with_origins(log: &MemoryLog, name: &str, origins: &[u64]) -> TopicPartition {
        let at = TopicPartition::new(Topic::new(name), PartitionId(0));
        let config = TopicConfig {
            partitions: 1,
            retention: Retention::default(),
        };
        log.create_topic(&at.topic, config).await.unwrap();
        let record = |origin: &u64| {
            let value = format!(
                r#"{{"origin":{{"topic":"telegram-raw","partition":0,"offset":{origin}}}}}"#
            );
            let record = NewRecord {
                key: Bytes::new(),
                value: value.into(),
                unique: Vec::new(),
            };
            (at.clone(), record)
        };
        let appends = origins.iter().map(record).collect();
        log.commit(Transaction::appends(appends)).await.unwrap();
        at
    }

    #[tokio::test]
    async fn a_reader_goes_on_where_it_stood_whatever_either_side_left_out() {
        let log = MemoryLog::new();
        let old = with_origins(&log, "old", &[1, 2, 5, 9]).await;
        let new = with_origins(&log, "new", &[0, 2, 3, 5, 6, 9, 11]).await;
        // Having read n records of the old one, the reader goes on at this origin of the new one.
        for (n, origin) in [(0, Some(0)), (1, Some(2)), (2, Some(3)), (3, Some(6)), (4, Some(11))] {
            let Consumed::Below(raw) = consumed(&log, &old, Offset(n)).await.unwrap() else {
                panic!("known");
            };
            let start = first_at(&log, &new, raw).await.unwrap();
            let next = first_from(&log, &new, start).await.unwrap();
            let found = next.and_then(|r| origin_of(&r)).map(|o| o.offset.0);
            assert_eq!(found, origin, "after {n}");
        }
        let end = first_at(&log, &new, Offset(12)).await.unwrap();
        assert_eq!(end, Offset(7));
        let beyond = consumed(&log, &old, Offset(5)).await.unwrap_err();
        assert!(matches!(beyond, Error::BeyondEnd { .. }));
    }
}
