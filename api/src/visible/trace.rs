//! From a message the viewer was shown back to its raw record, and forward to its record on `messages`.

use serde::Deserialize;
use telesift_ports::{
    generations::{first_at, messages_of},
    record_log::{self, ReadLimits, StoredRecord},
};
use telesift_schemas::{Message, Origin, TopicPartition};

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

    /// Where on the live `messages` the screen stage put a message the viewer was shown by the store; `None` where it is not
    /// kept any more.
    pub(crate) async fn screened_record_of(
        &self,
        message: &Message,
    ) -> record_log::Result<Option<(TopicPartition, StoredRecord)>> {
        let Some(origin) = &message.origin else {
            return Ok(None);
        };
        let at = messages_of(self.1.live().messages, origin.partition);
        let found = match first_at(&*self.0, &at, origin.offset).await {
            Err(error) => return absent(error),
            Ok(offset) => self.0.read(&at, offset, ONE).await,
        };
        let batch = match found {
            Err(error) => return absent(error),
            Ok(batch) => batch,
        };
        let is_its = |record: &StoredRecord| {
            origin_of(record).is_some_and(|found| found.offset == origin.offset)
        };
        Ok(batch.records.into_iter().find(is_its).map(|r| (at, r)))
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
