//! The range in which a module once hung, kept with the log so that the next process treats it with care.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use telesift_ports::{
    RecordLog,
    record_log::{StateWrite, StoredRecord, Transaction},
};
use telesift_schemas::{Offset, TopicPartition};

use crate::consumer::StageError;

/// How often a record may hang alone: twice, so that a machine that was merely stopped for a while condemns nothing.
pub(super) const MAX_ATTEMPTS: u32 = 2;

/// A range to run one by one, and the record of it that hung alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Range {
    from: Offset,
    to: Offset,
    hung_alone: Option<(Offset, u32)>,
}

pub(super) struct Suspects {
    key: String,
    range: Option<Range>,
}

impl Suspects {
    pub(super) fn new(stage: &str, input: &TopicPartition) -> Self {
        Suspects {
            key: format!("suspects/{stage}/{}/{}", input.topic, input.partition),
            range: None,
        }
    }

    pub(super) async fn load(&mut self, log: &dyn RecordLog) -> Result<(), StageError> {
        self.range = match log.state(&self.key).await? {
            Some(bytes) => Some(
                serde_json::from_slice(&bytes).map_err(|e| StageError::State {
                    key: self.key.clone(),
                    reason: e.to_string(),
                })?,
            ),
            None => None,
        };
        Ok(())
    }

    pub(super) fn contains(&self, offset: Offset) -> bool {
        self.range.is_some_and(|r| (r.from..r.to).contains(&offset))
    }

    pub(super) fn is_convicted(&self, offset: Offset) -> bool {
        self.range
            .and_then(|r| r.hung_alone)
            .is_some_and(|(at, attempts)| at == offset && attempts >= MAX_ATTEMPTS)
    }

    /// Notes, durably, that a module did not return from `records`.
    pub(super) async fn note(
        &mut self,
        log: &dyn RecordLog,
        records: &[StoredRecord],
    ) -> Result<(), StageError> {
        let (Some(first), Some(last)) = (records.first(), records.last()) else {
            return Ok(());
        };
        let range = match (self.range, records) {
            (Some(range), [alone]) if self.contains(alone.offset) => {
                let before = range
                    .hung_alone
                    .filter(|(at, _)| *at == alone.offset)
                    .map_or(0, |(_, n)| n);
                Range {
                    hung_alone: Some((alone.offset, before + 1)),
                    ..range
                }
            }
            _ => Range {
                from: first.offset,
                to: last.offset.next(),
                hung_alone: None,
            },
        };
        let value = serde_json::to_vec(&range).expect("a few numbers");
        let key = self.key.clone();
        log.commit(Transaction {
            finish: Box::new(move |_| vec![(key, Some(Bytes::from(value)))]),
            ..Transaction::appends(Vec::new())
        })
        .await?;
        self.range = Some(range);
        Ok(())
    }

    /// The state write that ends the suspicion once the position has passed the range.
    pub(super) fn done_at(&mut self, next: Offset) -> Option<StateWrite> {
        let range = self.range.filter(|r| next >= r.to)?;
        debug_assert!(range.from < range.to);
        self.range = None;
        Some((self.key.clone(), None))
    }
}
