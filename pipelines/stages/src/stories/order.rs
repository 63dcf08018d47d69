//! One order over several partitions: by time of append, then partition, then offset, whatever the batches.

use telesift_ports::record_log::StoredRecord;
use telesift_schemas::{Offset, PartitionId, Timestamp};

use crate::consumer::Input;

/// What can be taken now.
pub(super) struct Ready<'a> {
    /// In order.
    pub(super) records: Vec<(&'a Input, &'a StoredRecord)>,
    /// Where each input goes on afterwards.
    pub(super) positions: Vec<(&'a Input, Offset)>,
}

/// A record's place among those of all partitions; offsets ascend within a partition anyway.
type Place = (Timestamp, PartitionId);

fn place(input: &Input, record: &StoredRecord) -> Place {
    (record.appended_at, input.at.partition)
}

/// The records that nothing unread comes before. Of an input with more to read, what is unread was appended no earlier
/// than the last record read; so at least the first record of all is ready.
pub(super) fn ready(inputs: &[Input]) -> Ready<'_> {
    let limits: Vec<Place> = inputs
        .iter()
        .filter(|input| input.batch.next < input.batch.end)
        .filter_map(|input| Some(place(input, input.batch.records.last()?)))
        .collect();
    let is_ready = |input: &Input, record: &StoredRecord| {
        let this = place(input, record);
        limits
            .iter()
            .all(|limit| this < *limit || limit.1 == input.at.partition)
    };
    let mut records = Vec::new();
    let mut positions = Vec::new();
    for input in inputs {
        let n_ready = input
            .batch
            .records
            .partition_point(|record| is_ready(input, record));
        let (now, later) = input.batch.records.split_at(n_ready);
        records.extend(now.iter().map(|record| (input, record)));
        let next = later
            .first()
            .map_or(input.batch.next, |record| record.offset);
        positions.push((input, next));
    }
    records.sort_by_key(|(input, record)| (place(input, record), record.offset));
    Ready { records, positions }
}

/// `input` with the gaps of `from..to` only.
pub(super) fn gaps_before(input: &Input, from: Offset, to: Offset) -> Input {
    let mut input = Input {
        batch: telesift_ports::record_log::Batch {
            records: Vec::new(),
            ..input.batch.clone()
        },
        ..input.clone()
    };
    input
        .batch
        .gaps
        .retain(|gap| gap.from >= from && gap.to <= to);
    input
}
