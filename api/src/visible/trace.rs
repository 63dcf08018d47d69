//! From a message the viewer was shown back to its raw record, and forward to its record on `messages`.

use serde::Deserialize;
use telesift_ports::record_log::{self, ReadLimits, StoredRecord};
use telesift_schemas::{Message, Offset, Origin, Topic, TopicPartition};

use super::Log;

const ONE: ReadLimits = ReadLimits {
    max_records: 1,
    max_bytes: 4 << 20,
};

impl Log {
    /// The raw record of a message the viewer was shown by the store; `None` where it is not kept any more.
    pub(crate) async fn raw_record_of(
        &self,
        message: &Message,
    ) -> record_log::Result<Option<StoredRecord>> {
        let Some(origin) = &message.origin else {
            return Ok(None);
        };
        let at = TopicPartition::new(origin.topic.clone(), origin.partition);
        let batch = match self.0.read(&at, origin.offset, ONE).await {
            Err(error) => return absent(error),
            Ok(batch) => batch,
        };
        let mut records = batch.records.into_iter();
        Ok(records.find(|r| r.offset == origin.offset))
    }

    /// Where on `messages` the screen stage put a message the viewer was shown by the store; `None` where it is not kept
    /// any more. Partition p of `messages` is written by the owner of raw partition p alone and in order, so origins
    /// ascend there and halving finds the record.
    pub(crate) async fn screened_record_of(
        &self,
        message: &Message,
    ) -> record_log::Result<Option<StoredRecord>> {
        let Some(origin) = &message.origin else {
            return Ok(None);
        };
        let at = TopicPartition::new(Topic::MESSAGES, origin.partition);
        let bounds = match self.0.bounds(&at).await {
            Err(error) => return absent(error),
            Ok(bounds) => bounds,
        };
        let (mut low, mut high) = (bounds.start, bounds.end);
        while low < high {
            let middle = Offset(low.0 + (high.0 - low.0) / 2);
            let found = match self.0.read(&at, middle, ONE).await {
                Err(error) => return absent(error),
                Ok(batch) => batch.records.into_iter().next(),
            };
            // Nothing readable from the middle on: what is left lies before it.
            let Some(record) = found.filter(|r| r.offset < high) else {
                high = middle;
                continue;
            };
            match origin_of(&record) {
                Some(found) if found.offset == origin.offset => return Ok(Some(record)),
                Some(found) if found.offset > origin.offset => high = middle,
                _ => low = record.offset.next(),
            }
        }
        Ok(None)
    }
}

fn origin_of(record: &StoredRecord) -> Option<Origin> {
    #[derive(Deserialize)]
    struct OriginOnly {
        origin: Option<Origin>,
    }
    let parsed: OriginOnly = serde_json::from_slice(&record.value).ok()?;
    parsed.origin
}

/// What was evicted, or never was in this log, is merely absent.
fn absent<T>(error: record_log::Error) -> record_log::Result<Option<T>> {
    use record_log::Error as E;
    match error {
        E::Evicted { .. } | E::TopicNotFound(_) | E::PartitionNotFound(_) | E::BeyondEnd { .. } => {
            Ok(None)
        }
        other => Err(other),
    }
}
