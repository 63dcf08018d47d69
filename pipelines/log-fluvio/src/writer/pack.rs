//! Appends of callers, packed into batches; and the answers, once every batch of a caller is settled.

use std::sync::{Arc, Mutex, PoisonError};

use telesift_ports::record_log::{Error, NewRecord, Outcome, Result};
use telesift_schemas::{Offset, Timestamp};
use tokio::sync::oneshot;

use crate::batch;

/// Records of a batch, at most.
const MAX_BATCH_RECORDS: usize = 10_000;

pub(super) type Answer = oneshot::Sender<Result<Vec<Outcome>>>;

/// Appends of one caller.
pub(super) struct Job {
    records: Vec<NewRecord>,
    n_bytes: usize,
    answer: Answer,
}

/// Records that go out as one batch.
pub(super) struct Packed {
    pub(super) records: Vec<NewRecord>,
    pub(super) parts: Vec<Part>,
    n_bytes: usize,
}

/// A caller's records in one batch.
pub(super) struct Part {
    pub(super) n_records: usize,
    /// Which part of the caller's records.
    index: usize,
    progress: Arc<Mutex<Progress>>,
}

/// What is known of a caller's parts; the answer goes out with the last.
struct Progress {
    n_left: usize,
    outcomes: Vec<Vec<Outcome>>,
    answer: Option<Answer>,
}

impl Job {
    pub(super) fn new(records: Vec<NewRecord>, answer: Answer) -> Self {
        Job {
            n_bytes: records.iter().map(batch::n_bytes).sum(),
            records,
            answer,
        }
    }

    pub(super) fn fail(self, error: Error) {
        // Whoever does not wait any more needs no answer.
        let _ = self.answer.send(Err(error));
    }

    /// One batch, or several if it is larger than that.
    pub(super) fn pack(self, max_bytes: usize) -> Vec<Packed> {
        let mut batches: Vec<(Vec<NewRecord>, usize)> = vec![(Vec::new(), 0)];
        for record in self.records {
            let n_bytes = batch::n_bytes(&record);
            match batches.last_mut() {
                Some((records, n))
                    if records.is_empty()
                        || (*n + n_bytes <= max_bytes && records.len() < MAX_BATCH_RECORDS) =>
                {
                    records.push(record);
                    *n += n_bytes;
                }
                _ => batches.push((vec![record], n_bytes)),
            }
        }
        let progress = Arc::new(Mutex::new(Progress {
            n_left: batches.len(),
            outcomes: vec![Vec::new(); batches.len()],
            answer: Some(self.answer),
        }));
        let packed = batches.into_iter().enumerate();
        let packed = packed.map(|(index, (records, n_bytes))| Packed {
            parts: vec![Part {
                n_records: records.len(),
                index,
                progress: progress.clone(),
            }],
            records,
            n_bytes,
        });
        packed.collect()
    }
}

impl Packed {
    /// Adds another caller's records if all of them fit; else gives them back.
    pub(super) fn join(&mut self, job: Job, max_bytes: usize) -> Option<Job> {
        let fits = self.n_bytes + job.n_bytes <= max_bytes
            && self.records.len() + job.records.len() <= MAX_BATCH_RECORDS;
        if !fits {
            return Some(job);
        }
        for packed in job.pack(max_bytes) {
            self.records.extend(packed.records);
            self.parts.extend(packed.parts);
            self.n_bytes += packed.n_bytes;
        }
        None
    }

    /// Bytes of keys and values.
    pub(super) fn n_value_bytes(&self) -> usize {
        self.records
            .iter()
            .map(|r| r.key.len() + r.value.len())
            .sum()
    }

    pub(super) fn fail(self, error: impl Fn() -> Error) {
        for part in self.parts {
            part.failed(error());
        }
    }
}

impl Part {
    /// Its records stand from `base` on.
    pub(super) fn appended(self, base: Offset, appended_at: Timestamp) {
        let offsets = (base.0..).take(self.n_records).map(Offset);
        let outcomes = offsets.map(|offset| Outcome::Appended {
            offset,
            appended_at,
        });
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.outcomes[self.index] = outcomes.collect();
        progress.n_left -= 1;
        if progress.n_left == 0
            && let Some(answer) = progress.answer.take()
        {
            let outcomes = std::mem::take(&mut progress.outcomes);
            let _ = answer.send(Ok(outcomes.concat()));
        }
    }

    /// The caller is told at once; of its other parts nobody asks any more.
    pub(super) fn failed(self, error: Error) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.n_left -= 1;
        let has_more = progress.outcomes.len() > 1;
        if let Some(answer) = progress.answer.take() {
            let _ = answer.send(Err(if has_more { partly(error) } else { error }));
        }
    }
}

/// Where one part of several failed, others may be stored.
fn partly(error: Error) -> Error {
    match error {
        Error::Unavailable { reason, .. } => Error::Unavailable {
            reason,
            ambiguous: true,
        },
        other => other,
    }
}
