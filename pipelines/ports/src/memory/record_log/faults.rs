//! What can happen to a commit on a log without transactions: any part of it may be lost, and may come late.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use telesift_schemas::TopicPartition;

use super::{Inner, MemoryLog};
use crate::{
    Clock,
    record_log::{Error, NewRecord, Outcome, Result, StateWrite},
};

/// What becomes of a commit, whose caller is told in each case that nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing of it happens.
    LoseAll,
    /// Records are appended, state is not written: the process died in between.
    LoseState,
    /// All of it happens.
    LoseAnswer,
    /// Its records are appended when [`MemoryLog::release_held`] says so, its state never: its owner was frozen.
    HoldAppends,
}

/// What is to happen, and what is held back.
#[derive(Default)]
pub(super) struct Faults {
    next: VecDeque<Option<Fault>>,
    held: Vec<(TopicPartition, NewRecord)>,
}

impl MemoryLog {
    /// An empty log on `clock` that has no transactions: appends come first and state last, as [`MemoryLog::fail_next`]
    /// lets them.
    pub fn without_transactions(clock: Arc<dyn Clock>) -> Self {
        MemoryLog {
            faults: Some(Mutex::default()),
            ..MemoryLog::with_clock(clock)
        }
    }

    /// What becomes of the next commits, one each: `None` lets one pass. Later ones pass.
    ///
    /// # Panics
    /// If the log has transactions.
    pub fn fail_next(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.faults().next.extend(faults);
    }

    /// Appends what was held back, whatever came in between; how many records. Identities are not looked at: whoever
    /// sends them has done so already.
    ///
    /// # Panics
    /// If the log has transactions.
    pub fn release_held(&self) -> usize {
        let held = std::mem::take(&mut self.faults().held);
        let n_held = held.len();
        let bare = held.into_iter().map(|(at, mut record)| {
            record.unique.clear();
            (at, record)
        });
        let bare: Vec<_> = bare.collect();
        let mut inner = self.lock();
        if let Ok(outcomes) = inner.stage(&bare, self.clock.now()) {
            inner.apply(bare, &outcomes);
        }
        drop(inner);
        self.n_commits.send_modify(|n| *n += 1);
        n_held
    }

    /// Loses the newest records of a partition, as a machine that loses power may.
    pub fn truncate(&self, at: &TopicPartition, n: usize) {
        let mut inner = self.lock();
        let partitions = inner.topics.get_mut(&at.topic).map(|t| &mut t.partitions);
        if let Some(p) = partitions.and_then(|p| p.get_mut(at.partition.0 as usize)) {
            let n_left = p.records.len().saturating_sub(n);
            p.records.truncate(n_left);
        }
    }

    /// Forgets every identity: they are remembered as long as the log cares to.
    pub fn forget_identities(&self) {
        self.lock().unique.clear();
    }

    /// Forgets all state: its store was lost.
    pub fn forget_state(&self) {
        self.lock().state.clear();
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        let faults = self.faults.as_ref().expect("a log without transactions");
        faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn next_fault(&self) -> Option<Fault> {
        self.faults.as_ref()?;
        self.faults().next.pop_front().flatten()
    }

    pub(super) fn fail(
        &self,
        fault: Fault,
        mut inner: MutexGuard<'_, Inner>,
        appends: Vec<(TopicPartition, NewRecord)>,
        writes: Vec<StateWrite>,
    ) -> Result<Vec<Outcome>> {
        let outcomes = inner.stage(&appends, self.clock.now())?;
        match fault {
            Fault::LoseAll => {}
            Fault::HoldAppends => self.faults().held.extend(appends),
            Fault::LoseState => inner.apply(appends, &outcomes),
            Fault::LoseAnswer => {
                inner.apply(appends, &outcomes);
                inner.write_state(writes);
            }
        }
        drop(inner);
        self.n_commits.send_modify(|n| *n += 1);
        Err(Error::Unavailable {
            reason: format!("{fault:?}"),
            ambiguous: true,
        })
    }
}
