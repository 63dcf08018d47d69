//! One order over several inputs: by time of append, then input, then offset, whatever the batches.

use telesift_ports::record_log::StoredRecord;
use telesift_schemas::{Offset, Timestamp};

use crate::consumer::Input;

/// What can be taken now.
pub(crate) struct Ready<'a> {
    /// In order.
    pub(crate) records: Vec<(&'a Input, &'a StoredRecord)>,
    /// Where each input goes on afterwards.
    pub(crate) positions: Vec<(&'a Input, Offset)>,
}

impl Ready<'_> {
    /// Leaves all but the first `n_taken` records to be read again.
    pub(crate) fn leave(&mut self, n_taken: usize) {
        for (input, next) in &mut self.positions {
            let mut rest = self.records.iter().skip(n_taken);
            if let Some((_, first)) = rest.find(|(of, _)| of.at == input.at) {
                *next = first.offset;
            }
        }
        self.records.truncate(n_taken);
    }
}

/// A record's place among those of all inputs, by their order; offsets ascend within an input anyway.
type Place = (Timestamp, usize);

fn place(input: usize, record: &StoredRecord) -> Place {
    (record.appended_at, input)
}

/// The records that nothing unread comes before. Of an input with more to read, what is unread was appended no earlier
/// than the last record read; so at least the first record of all is ready.
pub(crate) fn ready(inputs: &[Input]) -> Ready<'_> {
    let limits: Vec<Place> = inputs
        .iter()
        .enumerate()
        .filter(|(_, input)| input.batch.next < input.batch.end)
        .filter_map(|(i, input)| Some(place(i, input.batch.records.last()?)))
        .collect();
    let is_ready = |i: usize, record: &StoredRecord| {
        let this = place(i, record);
        limits.iter().all(|limit| this < *limit || limit.1 == i)
    };
    let mut placed = Vec::new();
    let mut positions = Vec::new();
    for (i, input) in inputs.iter().enumerate() {
        let n_ready = input
            .batch
            .records
            .partition_point(|record| is_ready(i, record));
        let (now, later) = input.batch.records.split_at(n_ready);
        placed.extend(now.iter().map(|record| (place(i, record), input, record)));
        let next = later
            .first()
            .map_or(input.batch.next, |record| record.offset);
        positions.push((input, next));
    }
    placed.sort_by_key(|(place, _, record)| (*place, record.offset));
    let records = placed.into_iter().map(|(_, input, record)| (input, record));
    Ready {
        records: records.collect(),
        positions,
    }
}

/// `input` with the gaps of `from..to` only.
pub(crate) fn gaps_before(input: &Input, from: Offset, to: Offset) -> Input {
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
