//! What a fetch gave beyond what was asked for, kept for whoever reads on from there.
//!
//! An SPU gives whole batches, and readers ask for a thousand records at a time: without this each batch would be fetched and
//! decoded once per thousand.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use telesift_ports::record_log::StoredRecord;
use telesift_schemas::{Offset, Topic, TopicPartition};

/// Leftovers kept, the newest ones.
const MAX_KEPT: usize = 16;

/// Records that were fetched and not given out, of readers at any place of any partition. Never the last ones before an end:
/// who has read them all must ask where the end is now.
#[derive(Default)]
pub(crate) struct Ahead(Mutex<VecDeque<Kept>>);

struct Kept {
    at: TopicPartition,
    end: Offset,
    records: VecDeque<StoredRecord>,
}

impl Ahead {
    /// The records from `from` on that are left of a fetch, with the end at that time. They are the caller's.
    pub(crate) fn take(
        &self,
        at: &TopicPartition,
        from: Offset,
    ) -> Option<(Offset, VecDeque<StoredRecord>)> {
        let mut all = self.all();
        let is_it =
            |kept: &Kept| kept.at == *at && kept.records.front().is_some_and(|r| r.offset == from);
        let kept = all.iter().position(is_it)?;
        let kept = all.remove(kept)?;
        Some((kept.end, kept.records))
    }

    /// Keeps what is left of a fetch that said where the `end` was.
    pub(crate) fn keep(&self, at: &TopicPartition, end: Offset, records: VecDeque<StoredRecord>) {
        if records.is_empty() {
            return;
        }
        let mut all = self.all();
        if all.len() == MAX_KEPT {
            all.pop_front();
        }
        all.push_back(Kept {
            at: at.clone(),
            end,
            records,
        });
    }

    /// Forgets a topic that is gone.
    pub(crate) fn forget(&self, topic: &Topic) {
        self.all().retain(|kept| kept.at.topic != *topic);
    }

    fn all(&self) -> MutexGuard<'_, VecDeque<Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use telesift_schemas::{PartitionId, Timestamp};

    use super::*;

    fn records(offsets: std::ops::Range<u64>) -> VecDeque<StoredRecord> {
        let record = |offset| StoredRecord {
            offset: Offset(offset),
            appended_at: Timestamp::UNIX_EPOCH,
            key: Bytes::new(),
            value: Bytes::new(),
        };
        offsets.map(record).collect()
    }

    #[test]
    fn leftovers_are_for_whoever_reads_on_there_and_for_nobody_else() {
        let (ahead, topic) = (Ahead::default(), Topic::new("t"));
        let at = |n| TopicPartition::new(topic.clone(), PartitionId(n));
        ahead.keep(&at(0), Offset(9), records(3..9));
        assert!(ahead.take(&at(0), Offset(4)).is_none());
        assert!(ahead.take(&at(1), Offset(3)).is_none());
        assert_eq!(
            ahead.take(&at(0), Offset(3)),
            Some((Offset(9), records(3..9)))
        );
        assert!(ahead.take(&at(0), Offset(3)).is_none(), "once");
        for n in 0..=MAX_KEPT as u64 {
            ahead.keep(&at(0), Offset(100), records(n..100));
        }
        assert!(ahead.take(&at(0), Offset(0)).is_none(), "the oldest goes");
        assert!(ahead.take(&at(0), Offset(1)).is_some());
        ahead.forget(&topic);
        assert!(ahead.take(&at(0), Offset(2)).is_none());
    }
}
