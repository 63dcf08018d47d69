//! Position and counters of a stage on one partition: as the catalog keeps them, and as the log does.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use telesift_ports::{
    Catalog, RecordLog,
    knowledge::Moved,
    leases::Fence,
    ledger::{Fate, StageKey, StageState},
    record_log::StateWrite,
};
use telesift_schemas::{Offset, TopicPartition};

use crate::{consumer::StageError, projection::CatalogChange};

/// What the catalog holds of a log-to-store stage, and how to store what comes next.
pub(crate) struct CatalogState {
    catalog: Arc<dyn Catalog>,
    key: StageKey,
    stored: Option<StageState>,
    /// Whether the catalog must be asked again: at first, and after a write whose answer was lost.
    is_stale: bool,
    /// Under which lease.
    fence: Fence,
}

impl CatalogState {
    /// The state of `stage` on `input`; nothing is read yet.
    pub(crate) fn new(catalog: Arc<dyn Catalog>, stage: &str, input: TopicPartition) -> Self {
        CatalogState {
            catalog,
            key: StageKey {
                stage: stage.to_owned(),
                input,
            },
            stored: None,
            is_stale: true,
            fence: Fence::open(),
        }
    }

    /// The same of another stage; nothing of it is read yet.
    pub(crate) fn set_stage(&mut self, stage: &str) {
        stage.clone_into(&mut self.key.stage);
        (self.stored, self.is_stale) = (None, true);
    }

    /// Commits under this lease from now on.
    pub(crate) fn set_fence(&mut self, fence: Fence) {
        self.fence = fence;
    }

    /// The input.
    pub(crate) fn input(&self) -> &TopicPartition {
        &self.key.input
    }

    /// Reads it anew; the position.
    pub(crate) async fn load(&mut self) -> Result<Offset, StageError> {
        self.stored = self.catalog.stage_state(&self.key).await?;
        self.is_stale = false;
        Ok(self.next())
    }

    /// A copy to be changed and committed, read anew if the last commit may or may not have happened.
    pub(crate) async fn fresh(&mut self) -> Result<StageState, StageError> {
        if self.is_stale {
            self.load().await?;
        }
        Ok(self.current())
    }

    /// As last read or written.
    pub(crate) fn current(&self) -> StageState {
        self.stored.clone().unwrap_or_default()
    }

    /// The next offset to read.
    pub(crate) fn next(&self) -> Offset {
        self.stored.as_ref().map_or(Offset::ZERO, |s| s.next)
    }

    /// Stores `state`, if nobody else went on from what was read.
    pub(crate) async fn commit(&mut self, state: StageState) -> Result<(), StageError> {
        self.commit_with(state, &()).await
    }

    /// As [`CatalogState::commit`], and `change` in the same transaction.
    pub(crate) async fn commit_with(
        &mut self,
        state: StageState,
        change: &impl CatalogChange,
    ) -> Result<(), StageError> {
        let moved = Moved {
            key: self.key.clone(),
            expected: self.stored.as_ref().map(|s| s.next),
            state,
        };
        self.is_stale = true;
        change.put(&*self.catalog, &moved, &self.fence).await?;
        self.stored = Some(moved.state);
        self.is_stale = false;
        Ok(())
    }

    /// Counts what the retry of that name made of its input, once.
    pub(crate) async fn count_retry(
        &mut self,
        name: String,
        fate: &Fate,
    ) -> Result<(), StageError> {
        let mut state = self.fresh().await?;
        let before = state.clone();
        state.count_retry(name, fate);
        if state == before {
            return Ok(());
        }
        self.commit(state).await
    }
}

/// What the log holds of a log-to-log stage, for the transactions that move it.
pub(crate) struct LogState {
    key: StageKey,
    /// As the log has it: what a transaction is guarded by.
    stored: Option<Bytes>,
    state: StageState,
}

impl LogState {
    /// The state of `stage` on `input`; nothing is read yet.
    pub(crate) fn new(stage: &str, input: TopicPartition) -> Self {
        LogState {
            key: StageKey {
                stage: stage.to_owned(),
                input,
            },
            stored: None,
            state: StageState::default(),
        }
    }

    /// The same of another stage; nothing of it is read yet.
    pub(crate) fn set_stage(&mut self, stage: &str) {
        *self = LogState::new(stage, self.key.input.clone());
    }

    /// The input.
    pub(crate) fn input(&self) -> &TopicPartition {
        &self.key.input
    }

    /// Where the log keeps it.
    pub(crate) fn key(&self) -> String {
        self.key.state_key()
    }

    /// Reads it anew.
    pub(crate) async fn load(&mut self, log: &dyn RecordLog) -> Result<(), StageError> {
        let key = self.key();
        self.stored = log.state(&key).await?;
        self.state = match &self.stored {
            Some(bytes) => read(key, bytes)?,
            None => StageState::default(),
        };
        Ok(())
    }

    /// As last read or committed.
    pub(crate) fn current(&self) -> &StageState {
        &self.state
    }

    /// What must still stand for a transaction that goes on from here.
    pub(crate) fn guard(&self) -> StateWrite {
        (self.key(), self.stored.clone())
    }

    /// What such a transaction writes.
    pub(crate) fn write(&self, state: &StageState) -> StateWrite {
        (self.key(), Some(json(state)))
    }

    /// To be called once that is committed.
    pub(crate) fn moved(&mut self, state: StageState, (_, written): StateWrite) {
        (self.state, self.stored) = (state, written);
    }
}

/// What is kept under `key`.
pub(crate) fn read<T: DeserializeOwned>(key: String, bytes: &[u8]) -> Result<T, StageError> {
    serde_json::from_slice(bytes).map_err(|e| StageError::State {
        key,
        reason: e.to_string(),
    })
}

/// A record's value, or one of state, as it is written.
pub(crate) fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value)
        .expect("strings and finite numbers")
        .into()
}
