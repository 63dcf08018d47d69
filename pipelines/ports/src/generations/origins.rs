//! A place in one generation's messages becomes the same place in another's: by origin, which ascends in every partition but
//! for strays.

use serde::Deserialize;
use telesift_schemas::{Generation, Offset, Origin, PartitionId, Topic, TopicPartition};

use super::messages_of;
use crate::{
    RecordLog,
    ledger::{StageKey, StageState},
    record_log::{Error, ReadLimits, Result, StoredRecord},
};

/// The stage that writes messages, as the first generation calls it.
const SCREEN: &str = "screen";

const ONE: ReadLimits = ReadLimits {
    max_records: 1,
    max_bytes: 4 << 20,
};

/// A record that was given up on and tried again later stands behind others with greater origins. Among this many records
/// in a row at least one is no such stray.
const STRAYS: u64 = 64;

/// What a reader has consumed of the raw records behind a derived partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consumed {
    /// Everything below this raw offset, and nothing at or above it.
    Below(Offset),
    /// It cannot be told: no record before or after its place is left.
    Unknown,
}

/// What a reader at `next` has consumed: all up to the greatest origin of the last records before; or, where none of these
/// is kept any more, all below the origin of the first one after.
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
    // Further back only where all of these were erased or damaged.
    let mut to = next;
    while to > bounds.start {
        let from = Offset(to.0.saturating_sub(STRAYS)).max(bounds.start);
        let before = records_in(log, at, from, to).await?;
        if let Some(last) = before.iter().filter_map(origin_of).map(|o| o.offset).max() {
            return Ok(Consumed::Below(last.next()));
        }
        to = from;
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

/// Where a reader of the messages of `from`, who stands at `next`, goes on in those of `to`: nothing is lost and nothing
/// repeated, counted in raw records. `None`: `to` has not come as far yet.
///
/// # Errors
/// Whatever the log says; [`Error::TopicNotFound`] where either is gone.
pub async fn moved(
    log: &dyn RecordLog,
    (from, to): (Generation, Generation),
    partition: PartitionId,
    next: Offset,
) -> Result<Option<Offset>> {
    // Read first: what lies before it was appended before the end that is seen next.
    let screened = screened(log, from, partition).await?;
    let raw = match consumed(log, &messages_of(from, partition), next).await? {
        Consumed::Below(raw) => raw,
        Consumed::Unknown => screened,
    };
    if self::screened(log, to, partition).await? < raw {
        return Ok(None);
    }
    first_at(log, &messages_of(to, partition), raw)
        .await
        .map(Some)
}

/// The next raw offset that the screen of a generation takes.
async fn screened(log: &dyn RecordLog, of: Generation, partition: PartitionId) -> Result<Offset> {
    let key = StageKey {
        stage: of.name(SCREEN),
        input: TopicPartition::new(Topic::TELEGRAM_RAW, partition),
    };
    let stored = log.state(&key.state_key()).await?;
    let state = stored.and_then(|bytes| serde_json::from_slice::<StageState>(&bytes).ok());
    Ok(state.map_or(Offset::ZERO, |state| state.next))
}

/// The first offset of `at` whose record's origin is not below `raw`; the end if there is none.
///
/// # Errors
/// Whatever the log says.
pub async fn first_at(log: &dyn RecordLog, at: &TopicPartition, raw: Offset) -> Result<Offset> {
    let bounds = log.bounds(at).await?;
    let mut end = bounds.end;
    loop {
        let found = halve(log, at, (bounds.start, end), raw).await?;
        // A stray in the middle may have sent the search too far: then one of the records before tells.
        let from = Offset(found.0.saturating_sub(STRAYS)).max(bounds.start);
        let before = records_in(log, at, from, found).await?;
        let is_above = |r: &&StoredRecord| origin_of(r).is_some_and(|o| o.offset >= raw);
        match before.iter().find(is_above) {
            Some(earlier) => end = earlier.offset,
            None => return Ok(found),
        }
    }
}

/// The first offset of a range whose record's origin is not below `raw`; its end if there is none. By halving.
async fn halve(
    log: &dyn RecordLog,
    at: &TopicPartition,
    (mut low, mut high): (Offset, Offset),
    raw: Offset,
) -> Result<Offset> {
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

/// The readable records of `from..to`, which is short.
async fn records_in(
    log: &dyn RecordLog,
    at: &TopicPartition,
    mut from: Offset,
    to: Offset,
) -> Result<Vec<StoredRecord>> {
    let mut found = Vec::new();
    while from < to {
        let limits = ReadLimits {
            max_records: STRAYS as usize,
            ..ONE
        };
        match log.read(at, from, limits).await {
            Ok(batch) => {
                found.extend(batch.records.into_iter().filter(|r| r.offset < to));
                if batch.next == from {
                    break;
                }
                from = batch.next;
            }
            Err(Error::Evicted { first, .. }) if first > from => from = first,
            Err(error) => return Err(error),
        }
    }
    Ok(found)
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
        log.create_topic(&at.topic, config)
            .await
            .expect("the log takes it");
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
        log.commit(Transaction::appends(appends))
            .await
            .expect("the log takes it");
        at
    }

    #[tokio::test]
    async fn a_stray_leads_nobody_astray() {
        let log = MemoryLog::new();
        let mut origins: Vec<u64> = (0..200).collect();
        // Tried again late: in the middle, where halving looks first, and last.
        origins[100] = 3;
        origins.push(50);
        let at = with_origins(&log, "m", &origins).await;
        for raw in [1, 60, 99, 101, 150] {
            assert_eq!(first_at(&log, &at, Offset(raw)).await.unwrap(), Offset(raw));
        }
        let all = consumed(&log, &at, Offset(201)).await.unwrap();
        assert_eq!(all, Consumed::Below(Offset(200)));
        let after_stray = consumed(&log, &at, Offset(101)).await.unwrap();
        assert_eq!(after_stray, Consumed::Below(Offset(100)));
    }

    #[tokio::test]
    async fn a_reader_goes_on_where_it_stood_whatever_either_side_left_out() {
        let log = MemoryLog::new();
        let old = with_origins(&log, "old", &[1, 2, 5, 9]).await;
        let new = with_origins(&log, "new", &[0, 2, 3, 5, 6, 9, 11]).await;
        // Having read n records of the old one, the reader goes on at this origin of the new one.
        for (n, origin) in [
            (0, Some(0)),
            (1, Some(2)),
            (2, Some(3)),
            (3, Some(6)),
            (4, Some(11)),
        ] {
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
