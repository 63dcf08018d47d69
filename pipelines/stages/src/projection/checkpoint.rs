//! Where a projection keeps position and counters, and what it commits with them: in the catalog, or in the log.

use std::sync::Arc;

use async_trait::async_trait;
use telesift_ports::{
    Catalog, RecordLog, catalog,
    knowledge::Moved,
    leases::Fence,
    ledger::StageState,
    record_log::{NewRecord, StateWrite, Transaction},
};
use telesift_schemas::{Timestamp, TopicPartition};

use crate::{
    consumer::StageError,
    dead_letter::{Refusal, Retry, Tried},
    state::{CatalogState, LogState},
};

/// A record for a partition.
type Append = (TopicPartition, NewRecord);

/// Position and counters of a projection on each of its inputs, moved together with changes `C`.
///
/// A commit is refused if somebody else went on from where this one stands, or the lease is lost; after one that failed,
/// [`Checkpoint::load`] tells whether it happened.
#[async_trait]
pub trait Checkpoint<C>: Send {
    /// Under another name from now on; to be loaded.
    fn set_stage(&mut self, stage: &str);

    /// Commits under this lease from now on.
    fn set_fence(&mut self, fence: Fence);

    /// Reads them anew.
    ///
    /// # Errors
    /// If they cannot be read.
    async fn load(&mut self) -> Result<(), StageError>;

    /// As last read or committed, in the order of the inputs.
    fn states(&self) -> Vec<(TopicPartition, StageState)>;

    /// Commits what a batch of `at` comes to: dead letters, the change, and with it `state`.
    ///
    /// # Errors
    /// If that fails; the change is stored with `state` or not at all.
    async fn commit(
        &mut self,
        at: &TopicPartition,
        state: StageState,
        change: C,
        letters: Vec<Append>,
    ) -> Result<(), StageError>;

    /// Commits what a retry comes to, once: `state` with the change, and the letter's end where the same transaction can write it.
    ///
    /// # Errors
    /// As for [`Checkpoint::commit`].
    async fn commit_retry(
        &mut self,
        state: StageState,
        change: C,
        retry: &Retry,
        refusal: Option<Refusal>,
        now: Timestamp,
    ) -> Result<Tried, StageError>;
}

/// What is stored in the catalog in one transaction with a stage's next state.
#[async_trait]
pub trait CatalogChange: Send + Sync {
    /// Stores it and moves the stage, all or nothing.
    ///
    /// # Errors
    /// Those of [`Catalog::put_stage_state`], under the same conditions.
    async fn put(&self, catalog: &dyn Catalog, moved: &Moved, fence: &Fence)
    -> catalog::Result<()>;
}

/// Nothing but the state: the effect is stored already.
#[async_trait]
impl CatalogChange for () {
    async fn put(
        &self,
        catalog: &dyn Catalog,
        moved: &Moved,
        fence: &Fence,
    ) -> catalog::Result<()> {
        let Moved {
            key,
            expected,
            state,
        } = moved;
        catalog.put_stage_state(key, *expected, state, fence).await
    }
}

/// In the catalog: dead letters first, then the change with the position. What is repeated finds the letters there.
pub struct CatalogCheckpoint {
    log: Arc<dyn RecordLog>,
    states: Vec<CatalogState>,
}

impl CatalogCheckpoint {
    pub(super) fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        stage: &str,
        inputs: Vec<TopicPartition>,
    ) -> Self {
        let state = |input| CatalogState::new(catalog.clone(), stage, input);
        CatalogCheckpoint {
            log,
            states: inputs.into_iter().map(state).collect(),
        }
    }

    fn of(&mut self, at: &TopicPartition) -> Option<&mut CatalogState> {
        self.states.iter_mut().find(|state| state.input() == at)
    }
}

#[async_trait]
impl<C: CatalogChange + 'static> Checkpoint<C> for CatalogCheckpoint {
    fn set_stage(&mut self, stage: &str) {
        for state in &mut self.states {
            state.set_stage(stage);
        }
    }

    fn set_fence(&mut self, fence: Fence) {
        for state in &mut self.states {
            state.set_fence(fence.clone());
        }
    }

    async fn load(&mut self) -> Result<(), StageError> {
        for state in &mut self.states {
            state.load().await?;
        }
        Ok(())
    }

    fn states(&self) -> Vec<(TopicPartition, StageState)> {
        let states = self.states.iter();
        states.map(|s| (s.input().clone(), s.current())).collect()
    }

    async fn commit(
        &mut self,
        at: &TopicPartition,
        state: StageState,
        change: C,
        letters: Vec<Append>,
    ) -> Result<(), StageError> {
        if !letters.is_empty() {
            self.log.commit(Transaction::appends(letters)).await?;
        }
        match self.of(at) {
            Some(stored) => stored.commit_with(state, &change).await,
            None => Ok(()),
        }
    }

    async fn commit_retry(
        &mut self,
        state: StageState,
        change: C,
        retry: &Retry,
        refusal: Option<Refusal>,
        _: Timestamp,
    ) -> Result<Tried, StageError> {
        if let Some(stored) = self.of(&retry.at)
            && stored.current() != state
        {
            stored.commit_with(state, &change).await?;
        }
        Ok(Tried::Stored(refusal))
    }
}

/// What is written to the log in one transaction with a stage's next state.
#[derive(Clone, Debug, Default)]
pub struct LogChange {
    /// Records.
    pub appends: Vec<(TopicPartition, NewRecord)>,
    /// State of the stage's own.
    pub writes: Vec<StateWrite>,
}

/// In the log: everything in one transaction, dead letters and the ends of retries too.
pub struct LogCheckpoint {
    log: Arc<dyn RecordLog>,
    state: LogState,
    fence: Fence,
}

impl LogCheckpoint {
    pub(super) fn new(log: Arc<dyn RecordLog>, stage: &str, input: TopicPartition) -> Self {
        LogCheckpoint {
            log,
            state: LogState::new(stage, input),
            fence: Fence::open(),
        }
    }

    /// `state` and `change` in one transaction, together with what must stand before it.
    async fn put(
        &mut self,
        state: StageState,
        change: LogChange,
        guard: Option<StateWrite>,
    ) -> Result<(), StageError> {
        let LogChange {
            appends,
            mut writes,
        } = change;
        let written = self.state.write(&state);
        writes.push(written.clone());
        let transaction = Transaction {
            appends,
            guards: std::iter::once(self.state.guard()).chain(guard).collect(),
            fence: self.fence.clone(),
            finish: Box::new(move |_| writes),
        };
        self.log.commit(transaction).await?;
        self.state.moved(state, written);
        Ok(())
    }
}

#[async_trait]
impl Checkpoint<LogChange> for LogCheckpoint {
    fn set_stage(&mut self, stage: &str) {
        self.state.set_stage(stage);
    }

    fn set_fence(&mut self, fence: Fence) {
        self.fence = fence;
    }

    async fn load(&mut self) -> Result<(), StageError> {
        self.state.load(&*self.log).await
    }

    fn states(&self) -> Vec<(TopicPartition, StageState)> {
        vec![(self.state.input().clone(), self.state.current().clone())]
    }

    async fn commit(
        &mut self,
        _: &TopicPartition,
        state: StageState,
        mut change: LogChange,
        letters: Vec<Append>,
    ) -> Result<(), StageError> {
        change.appends.extend(letters);
        self.put(state, change, None).await
    }

    async fn commit_retry(
        &mut self,
        state: StageState,
        mut change: LogChange,
        retry: &Retry,
        refusal: Option<Refusal>,
        now: Timestamp,
    ) -> Result<Tried, StageError> {
        let (letter, over) = retry.end(refusal.as_ref(), now);
        change.appends.push(letter);
        change.writes.push(over);
        self.put(state, change, Some(retry.guard())).await?;
        Ok(Tried::Committed)
    }
}
