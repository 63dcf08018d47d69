//! What the output partition holds already: how a log without transactions is written to once per input all the same.
//!
//! Appends come before the position there, and the position may be lost. So the owner of a partition reads what the output
//! holds: a raw record whose message stands there is not written again, and an identity that stands there from another raw
//! record makes a duplicate. Screening being pure, going over raw records again gives the same messages and counters.

use std::collections::HashSet;

use telesift_ports::{
    RecordLog,
    record_log::{Error, ReadLimits, StoredRecord, UniqueKey},
};
use telesift_schemas::{Generation, Offset, Topic, TopicPartition};

use super::output;
use crate::{consumer::StageError, origins};

/// Raw records without any message after which a marker is written.
const MARKER_EVERY: u64 = 1_000;

/// The output of one partition, as its owner knows it. Memory: some 40 bytes per message of the partition.
pub(super) struct Taken {
    output: TopicPartition,
    generation: Generation,
    /// Read up to here.
    next: Offset,
    /// The identities of its messages.
    identities: HashSet<UniqueKey>,
    /// Origins not below the position: whose messages stand there although the position does not say so.
    ahead: HashSet<Offset>,
    /// The greatest origin.
    last: Option<Offset>,
    /// Messages from the first offset on, if all of them are kept.
    n_messages: Option<u64>,
}

/// What to do with a screened message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is not there yet.
    New,
    /// It stands there: this raw record was screened before.
    There,
    /// Another raw record gave it.
    Duplicate,
}

impl Taken {
    pub(super) fn new(output: TopicPartition) -> Self {
        let generation = Generation::of_name(Topic::MESSAGES.as_str(), output.topic.as_str());
        Taken {
            output,
            generation: generation.unwrap_or(Generation::FIRST),
            next: Offset::ZERO,
            identities: HashSet::new(),
            ahead: HashSet::new(),
            last: None,
            n_messages: Some(0),
        }
    }

    /// Reads what was appended since the last time, by whomever. `position` is the next raw record to be screened.
    pub(super) async fn catch_up(
        &mut self,
        log: &dyn RecordLog,
        position: Offset,
    ) -> Result<(), StageError> {
        loop {
            let batch = match log
                .read(&self.output, self.next, ReadLimits::default())
                .await
            {
                Err(Error::Evicted { first, .. }) => {
                    self.next = first;
                    self.n_messages = None;
                    continue;
                }
                read => read?,
            };
            for record in &batch.records {
                self.take(record, position);
            }
            self.next = batch.next;
            if batch.next >= batch.end {
                return Ok(());
            }
        }
    }

    /// Adds records of our own, if they were written at `offsets` with nobody's in between; else changes nothing.
    pub(super) fn extend(
        &mut self,
        written: Vec<(Offset, Option<UniqueKey>)>,
        offsets: &[Offset],
    ) -> bool {
        let expected = (self.next.0..).map(Offset).take(written.len());
        if !offsets.iter().copied().eq(expected) {
            return false;
        }
        self.next = Offset(self.next.0 + written.len() as u64);
        for (origin, identity) in written {
            self.last = self.last.max(Some(origin));
            if let Some(identity) = identity {
                self.identities.insert(identity);
                self.n_messages = self.n_messages.map(|n| n + 1);
            }
        }
        true
    }

    fn take(&mut self, record: &StoredRecord, position: Offset) {
        let Some(origin) = origins::origin_of(record) else {
            return;
        };
        if origins::is_retry(record) {
            // A letter tried again, out of order and once.
            let identity = output::identity_of(self.generation, &record.value);
            self.identities.extend(identity);
            self.n_messages = self.n_messages.map(|n| n + 1);
            return;
        }
        if self.last.is_some_and(|last| origin <= last) {
            return; // a late batch: readers do not see it either
        }
        self.last = Some(origin);
        if origins::is_marker(&record.value) {
            return;
        }
        if origin >= position {
            self.ahead.insert(origin);
        }
        let identity = output::identity_of(self.generation, &record.value);
        self.identities.extend(identity);
        self.n_messages = self.n_messages.map(|n| n + 1);
    }

    /// What becomes of the message that the raw record at `origin` gives.
    pub(super) fn judge(&self, origin: Offset, identity: &UniqueKey) -> Verdict {
        if self.ahead.contains(&origin) {
            Verdict::There
        } else if self.identities.contains(identity) {
            Verdict::Duplicate
        } else {
            Verdict::New
        }
    }

    /// The position has moved on.
    pub(super) fn passed(&mut self, position: Offset) {
        self.ahead.retain(|origin| *origin >= position);
    }

    /// Whether a marker is due at `position`, nothing having been written since the last origin.
    pub(super) fn wants_marker(&self, position: Offset) -> bool {
        let since = self.last.map_or(0, |last| last.0 + 1);
        position.0.saturating_sub(since) >= MARKER_EVERY
    }

    /// Whether the log lost messages that the ledger has: it never acknowledged what it loses, but a machine may.
    pub(super) fn lacks(&self, n_emitted: u64) -> bool {
        self.n_messages.is_some_and(|n| n < n_emitted)
    }
}
