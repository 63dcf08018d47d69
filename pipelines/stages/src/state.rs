//! Position and counters of a log-to-store stage on one partition, as the catalog keeps them.

use std::sync::Arc;

use telesift_ports::{
    Catalog,
    leases::Fence,
    ledger::{Fate, StageKey, StageState},
    windows::WindowCommit,
};
use telesift_schemas::{Generation, Offset, TopicPartition};
use telesift_windows::Changes;

use crate::consumer::StageError;

/// What is stored, and how to store what comes next.
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
        let expected = self.stored.as_ref().map(|s| s.next);
        self.is_stale = true;
        self.catalog
            .put_stage_state(&self.key, expected, &state, &self.fence)
            .await?;
        self.stored = Some(state);
        self.is_stale = false;
        Ok(())
    }

    /// As [`CatalogState::commit`], with what it changes in the rows of windows of a generation.
    pub(crate) async fn commit_windows(
        &mut self,
        generation: Generation,
        state: StageState,
        changed: &Changes,
    ) -> Result<(), StageError> {
        let commit = WindowCommit {
            generation,
            key: &self.key,
            expected: self.stored.as_ref().map(|s| s.next),
            state: &state,
            fence: &self.fence,
            told: &changed.told,
            minutes: &changed.minutes,
        };
        self.is_stale = true;
        self.catalog.put_windows(commit).await?;
        self.stored = Some(state);
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
