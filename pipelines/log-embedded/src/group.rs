//! Transactions go in one by one, each seeing those before it; one batch comes out, which is synced at once.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use fjall::PersistMode;
use jiff::Timestamp;
use telesift_ports::record_log::{
    Error, NewRecord, Outcome, Result, StateWrite, Transaction, UniqueKey,
};

use crate::{
    codec::{Slot, Tail, encode_record, meta_key, record_key},
    error::{ambiguous, unavailable},
    store::{Partition, Store},
    telemetry::{self, GroupTotals},
};

/// What one sync will make durable.
pub(crate) struct Group<'a> {
    store: &'a Store,
    batch: fjall::OwnedWriteBatch,
    tails: HashMap<Slot, (Arc<Partition>, Tail)>,
    unique: HashSet<UniqueKey>,
    state: BTreeMap<String, Option<Bytes>>,
    totals: GroupTotals,
}

/// What one transaction adds to its group, if nothing is wrong with it.
#[derive(Default)]
struct Staged {
    records: Vec<(Arc<Partition>, [u8; 8], Vec<u8>)>,
    tails: HashMap<Slot, (Arc<Partition>, Tail)>,
    unique: HashSet<UniqueKey>,
    totals: GroupTotals,
}

impl<'a> Group<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Group {
            store,
            batch: store.db.batch().durability(Some(PersistMode::SyncAll)),
            tails: HashMap::new(),
            unique: HashSet::new(),
            state: BTreeMap::new(),
            totals: GroupTotals::default(),
        }
    }

    /// Takes a transaction in, or refuses it without a trace.
    pub(crate) fn stage(&mut self, transaction: Transaction, now_ms: i64) -> Result<Vec<Outcome>> {
        let Transaction {
            appends,
            guards,
            fence: _, // its state is its own, and its directory locked: nobody comes late
            finish,
        } = transaction;
        self.check_guards(&guards)?;
        let mut staged = Staged::default();
        let mut outcomes = Vec::with_capacity(appends.len());
        for (at, record) in &appends {
            let partition = self.store.partition(at)?;
            outcomes.push(self.append(&mut staged, partition, record, now_ms)?);
        }
        // The writer is one thread for everybody: a stage that panics must not take it along.
        let writes = catch_unwind(AssertUnwindSafe(|| finish(&outcomes)))
            .map_err(|_| unavailable("the transaction's own `finish` panicked"))?;
        self.take_in(staged, writes);
        Ok(outcomes)
    }

    fn check_guards(&self, guards: &[StateWrite]) -> Result<()> {
        for (key, expected) in guards {
            let current = match self.state.get(key) {
                Some(written) => written.clone(),
                None => self.store.state(key),
            };
            if current != *expected {
                return Err(Error::GuardFailed { key: key.clone() });
            }
        }
        Ok(())
    }

    fn append(
        &self,
        staged: &mut Staged,
        partition: Arc<Partition>,
        record: &NewRecord,
        now_ms: i64,
    ) -> Result<Outcome> {
        if self.is_known(staged, &record.unique)? {
            staged.totals.n_duplicates += 1;
            return Ok(Outcome::Duplicate);
        }
        let slot = partition.slot;
        let (_, tail) = staged.tails.entry(slot).or_insert_with(|| {
            let tail = match self.tails.get(&slot) {
                Some((_, tail)) => *tail,
                None => partition.tail(),
            };
            (partition.clone(), tail)
        });
        let offset = tail.end;
        tail.last_appended_ms = tail.last_appended_ms.max(now_ms);
        let encoded = encode_record(slot, offset, tail, record);
        tail.n_bytes += record.value.len() as u64;
        tail.end = offset.next();
        let appended_at = Timestamp::from_millisecond(tail.last_appended_ms)
            .map_err(|e| unavailable(format_args!("the clock shows no valid time: {e}")))?;
        staged.unique.extend(record.unique.iter().copied());
        staged.totals.n_records += 1;
        staged.totals.n_bytes += (record.key.len() + record.value.len()) as u64;
        staged
            .records
            .push((partition, record_key(offset), encoded));
        Ok(Outcome::Appended {
            offset,
            appended_at,
        })
    }

    fn is_known(&self, staged: &Staged, keys: &[UniqueKey]) -> Result<bool> {
        for key in keys {
            let known = staged.unique.contains(key)
                || self.unique.contains(key)
                || self
                    .store
                    .unique
                    .contains_key(key.0)
                    .map_err(|e| self.store.fjall_error(&e))?;
            if known {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn take_in(&mut self, staged: Staged, writes: Vec<StateWrite>) {
        for (partition, key, value) in staged.records {
            self.batch.insert(&partition.records, key, value);
        }
        for key in &staged.unique {
            self.batch.insert(&self.store.unique, key.0, []);
        }
        self.tails.extend(staged.tails);
        self.unique.extend(staged.unique);
        self.state.extend(writes);
        self.totals.n_transactions += 1;
        self.totals.n_records += staged.totals.n_records;
        self.totals.n_bytes += staged.totals.n_bytes;
        self.totals.n_duplicates += staged.totals.n_duplicates;
    }

    /// Writes and syncs everything, then lets readers see it.
    ///
    /// # Errors
    /// [`Error::Unavailable`]. The store is marked failed then: what the disk holds is only known after opening it again.
    pub(crate) fn commit(mut self) -> Result<()> {
        // Tails and state may have been written by several transactions; only the last writing counts, and two values
        // of one key in one batch would carry one sequence number.
        for (slot, (_, tail)) in &self.tails {
            let key = meta_key::tail(*slot);
            self.batch.insert(&self.store.meta, key, tail.encode());
        }
        for (key, value) in &self.state {
            let key = meta_key::state(key);
            match value {
                Some(value) => self.batch.insert(&self.store.meta, key, &value[..]),
                None => self.batch.remove(&self.store.meta, key),
            }
        }
        if !self.batch.is_empty() {
            let started = Instant::now();
            write_synced(self.store, self.batch)?;
            telemetry::group_synced(self.totals, started.elapsed());
        }
        self.store.publish_state(self.state);
        for (partition, tail) in self.tails.into_values() {
            partition.tail.send_replace(tail);
        }
        Ok(())
    }
}

/// Commits a batch. fjall syncs the journal before the batch reaches the memory readers look into.
pub(crate) fn write_synced(store: &Store, batch: fjall::OwnedWriteBatch) -> Result<()> {
    batch.commit().map_err(|e| {
        store.mark_failed();
        telemetry::log_failed(true);
        tracing::error!(error = %e, path = %store.path.display(), "the log cannot write any more");
        match e {
            // An earlier failure, in the background: this batch was not touched.
            fjall::Error::Poisoned => unavailable(crate::writer::FAILED),
            other => ambiguous(format_args!("writing the journal failed: {other}")),
        }
    })
}
