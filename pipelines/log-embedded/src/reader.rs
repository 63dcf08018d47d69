//! Reads records and looks them up by time, beside the writer and never through it.

use std::io;

use fjall::{LsmError, UserValue};
use jiff::Timestamp;
use telesift_ports::record_log::{Batch, Error, Gap, GapReason, ReadLimits, Result, StoredRecord};
use telesift_schemas::{Offset, TopicPartition};

use crate::{
    codec::{EncodedRecord, offset_of_key, record_key},
    error::unavailable,
    store::Partition,
    telemetry,
};

/// Offsets looked at in one read, records and gaps together, so that a long damaged stretch does not hold a reader up.
const MAX_SCANNED: usize = 100_000;

/// Reads forwards from `from`. Damaged records become gaps; the rest is served.
pub(crate) fn read(
    partition: &Partition,
    at: &TopicPartition,
    from: Offset,
    limits: ReadLimits,
) -> Result<Batch> {
    let tail = partition.tail();
    if from < tail.start {
        return Err(Error::Evicted {
            at: at.clone(),
            from,
            first: tail.start,
        });
    }
    if from > tail.end {
        return Err(Error::BeyondEnd {
            at: at.clone(),
            from,
            end: tail.end,
        });
    }
    let mut scan = Scan {
        partition,
        end: tail.end,
        limits,
        next: from,
        records: Vec::new(),
        n_bytes: 0,
        gaps: Vec::new(),
    };
    // Where a block cannot be read, the iterator cannot say what stood in it: go on offset by offset then.
    if !scan.forwards()? {
        scan.one_by_one()?;
    }
    Ok(scan.into_batch())
}

struct Scan<'a> {
    partition: &'a Partition,
    end: Offset,
    limits: ReadLimits,
    next: Offset,
    records: Vec<StoredRecord>,
    n_bytes: usize,
    gaps: Vec<Gap>,
}

impl Scan<'_> {
    /// `false` if it met a block that cannot be read, at `self.next` or later.
    fn forwards(&mut self) -> Result<bool> {
        let range = record_key(self.next)..record_key(self.end);
        for guard in self.partition.records.range(range) {
            if self.is_done() {
                return Ok(true);
            }
            let (key, value) = match guard.into_inner() {
                Ok(pair) => pair,
                Err(e) => return is_damage(e).map(|()| false),
            };
            match offset_of_key(&key) {
                // A hole may be a table gone missing, or a block of another one coming up; look closely.
                Some(offset) if offset == self.next => {
                    if !self.take(&value) {
                        return Ok(true);
                    }
                }
                _ => return Ok(false),
            }
        }
        Ok(self.next == self.end)
    }

    fn one_by_one(&mut self) -> Result<()> {
        while self.next < self.end && !self.is_done() {
            match get(self.partition, self.next)? {
                Some(value) => {
                    if !self.take(&value) {
                        return Ok(());
                    }
                }
                None => self.skip_damaged(),
            }
        }
        Ok(())
    }

    /// Takes the record at `self.next`; `false` if it would exceed the limits.
    fn take(&mut self, value: &UserValue) -> bool {
        let Some(record) = EncodedRecord::decode(self.partition.slot, self.next, value) else {
            self.skip_damaged();
            return true;
        };
        let n_bytes = self.n_bytes + record.n_bytes();
        if n_bytes > self.limits.max_bytes && !self.records.is_empty() {
            return false;
        }
        self.n_bytes = n_bytes;
        self.records.push(record.to_stored());
        self.next = self.next.next();
        true
    }

    fn skip_damaged(&mut self) {
        let to = self.next.next();
        match self.gaps.last_mut() {
            Some(gap) if gap.to == self.next => gap.to = to,
            _ => self.gaps.push(Gap {
                from: self.next,
                to,
                reason: GapReason::Corrupt,
            }),
        }
        self.next = to;
    }

    fn is_done(&self) -> bool {
        let n_skipped: u64 = self.gaps.iter().map(|g| g.to.0 - g.from.0).sum();
        self.records.len() >= self.limits.max_records.max(1)
            || self.records.len() + n_skipped as usize >= MAX_SCANNED.max(self.limits.max_records)
    }

    fn into_batch(mut self) -> Batch {
        // What was evicted while this read went on is not damaged.
        let start = self.partition.tail().start;
        for gap in &mut self.gaps {
            if gap.from < start {
                gap.reason = GapReason::Evicted;
            } else {
                telemetry::records_corrupt(gap.to.0 - gap.from.0);
                tracing::error!(
                    keyspace = self.partition.slot.keyspace_name(),
                    from = gap.from.0,
                    to = gap.to.0,
                    "damaged records"
                );
            }
        }
        telemetry::records_read(self.records.len(), self.n_bytes);
        Batch {
            records: self.records,
            gaps: self.gaps,
            next: self.next,
            end: self.end,
        }
    }
}

/// The first offset whose record was appended at `time` or later; the end if there is none.
pub(crate) fn offset_at(partition: &Partition, time: Timestamp) -> Result<Offset> {
    first_where(partition, |record| record.appended_at() >= time)
}

/// The first offset whose record satisfies `holds`, which must hold for all records after one it holds for. Damaged
/// records count as part of whatever readable record follows; they may be included needlessly, never left out.
pub(crate) fn first_where(
    partition: &Partition,
    holds: impl Fn(&EncodedRecord<'_>) -> bool,
) -> Result<Offset> {
    let tail = partition.tail();
    let (mut low, mut high) = (tail.start.0, tail.end.0);
    while low < high {
        let middle = low + (high - low) / 2;
        match first_readable(partition, middle, high, &holds)? {
            Some((at, false)) => low = at + 1,
            Some((_, true)) | None => high = middle,
        }
    }
    Ok(Offset(low))
}

fn first_readable(
    partition: &Partition,
    from: u64,
    to: u64,
    holds: impl Fn(&EncodedRecord<'_>) -> bool,
) -> Result<Option<(u64, bool)>> {
    for at in from..to.min(from + MAX_SCANNED as u64) {
        let value = get(partition, Offset(at))?;
        let record = value
            .as_ref()
            .and_then(|v| EncodedRecord::decode(partition.slot, Offset(at), v));
        if let Some(record) = record {
            return Ok(Some((at, holds(&record))));
        }
    }
    Ok(None)
}

/// The stored bytes at an offset; `None` if they are missing or cannot be read.
fn get(partition: &Partition, offset: Offset) -> Result<Option<UserValue>> {
    match partition.records.get(record_key(offset)) {
        Ok(value) => Ok(value),
        Err(e) => is_damage(e).map(|()| None),
    }
}

/// Sorts out damage, which becomes a gap, from a disk that does not answer, which does not.
fn is_damage(error: fjall::Error) -> Result<()> {
    match &error {
        fjall::Error::Io(e) | fjall::Error::Storage(LsmError::Io(e))
            if e.kind() != io::ErrorKind::UnexpectedEof =>
        {
            Err(unavailable(format_args!("reading failed: {e}")))
        }
        _ => Ok(()),
    }
}
