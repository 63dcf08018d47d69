//! A topic in, its projection out: the frame of every stage that applies records in the order of their partition and commits what
//! they come to with its position.
//!
//! A stage of this kind says three things: what one record says ([`Projection::read`]), what a batch of them changes
//! ([`Projection::apply`]), and where its position is kept ([`Projection::Kept`]): in the catalog, after or together with the change,
//! or in the log, in the one transaction that writes the change. All else is here: the ledger, dead letters and their retries, the
//! fence, the position that is read again after a commit of which nobody knows whether it happened. The loop, with its delays,
//! metrics and the end in order, is [`crate::Consumer`]'s.
//!
//! Whatever fails between two steps, a batch is applied again from its beginning, or was committed and is passed over: so a change
//! that is stored before the position must be one that changes nothing the second time.

mod checkpoint;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use telesift_ports::{
    Catalog, Clock, RecordLog,
    leases::Fence,
    ledger::{Fate, StageState},
    record_log::StoredRecord,
};
use telesift_schemas::{Offset, TopicPartition};

use crate::{
    consumer::{Input, Process, StageError},
    dead_letter::{self, Refusal, Retry, Tried},
    screen::gap_counters,
};

pub use checkpoint::{CatalogChange, CatalogCheckpoint, Checkpoint, LogChange, LogCheckpoint};

/// What one stage makes of a topic; [`Projector`] does the rest.
#[async_trait]
pub trait Projection: Send + Sync {
    /// What one record says.
    type Said: Send;
    /// What a batch changes together with the position: `()` where all of it is stored before, by [`Projection::apply`].
    type Change: Send;
    /// Where position and counters are kept.
    type Kept: Checkpoint<Self::Change>;

    /// Reads one record of `at`; pure.
    ///
    /// # Errors
    /// Why it becomes a dead letter.
    fn read(&self, at: &TopicPartition, record: &StoredRecord)
    -> Result<Read<Self::Said>, Refusal>;

    /// Applies what a batch says, in order; or one record alone, when its dead letter is tried again; or nothing.
    ///
    /// # Errors
    /// What ends the try: a retryable error is followed by [`Projection::load`] and the same batch.
    async fn apply(&mut self, said: Vec<Self::Said>) -> Result<Applied<Self::Change>, StageError>;

    /// Reads what it remembers between batches: at first, and again whenever a change may or may not have been committed.
    ///
    /// # Errors
    /// If that cannot be read.
    async fn load(&mut self) -> Result<(), StageError> {
        Ok(())
    }

    /// Whether all that was applied is gone, though the position is not: then everything is read again. Asked once, at first.
    ///
    /// # Errors
    /// If that cannot be told.
    async fn is_lost(&self) -> Result<bool, StageError> {
        Ok(false)
    }

    /// What the clock changes, though nothing comes; committed with the position as it stands (of the first input).
    ///
    /// # Errors
    /// As for [`Projection::apply`].
    async fn due(&mut self) -> Result<Due<Self::Change>, StageError> {
        Ok(Due::default())
    }
}

/// What a stage reads in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read<T> {
    /// Something to apply.
    Said(T),
    /// Nothing of this stage's, for this reason.
    Skipped(&'static str),
}

impl<T> Read<T> {
    /// What was read, if anything; else skipped for `reason`.
    pub fn or_skipped(read: Option<T>, reason: &'static str) -> Self {
        read.map_or(Read::Skipped(reason), Read::Said)
    }
}

/// What a batch comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied<C> {
    /// What is still to be stored, with the position.
    pub change: C,
    /// Why records that were read have no effect, one reason each; all others have one.
    pub skipped: Vec<&'static str>,
}

impl<C> Applied<C> {
    /// Every record that was read has its effect.
    pub fn all(change: C) -> Self {
        Applied {
            change,
            skipped: Vec::new(),
        }
    }
}

/// What is due by the clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due<C> {
    /// What changes now.
    pub change: Option<C>,
    /// When to be asked again though nothing comes.
    pub again: Option<Duration>,
}

impl<C> Default for Due<C> {
    fn default() -> Self {
        Due {
            change: None,
            again: None,
        }
    }
}

/// Runs a projection: what [`crate::Consumer`] is given.
pub struct Projector<P: Projection> {
    stage: &'static str,
    clock: Arc<dyn Clock>,
    pub(crate) projection: P,
    kept: P::Kept,
    /// Whether what is remembered is what is stored: not at first, nor after a change whose commit was not seen to succeed.
    is_sure: bool,
}

impl<P: Projection<Kept = CatalogCheckpoint>> Projector<P> {
    /// `projection` of `inputs` as the stage of this name, its position in `catalog`.
    pub fn in_catalog(
        projection: P,
        stage: &'static str,
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        clock: Arc<dyn Clock>,
        inputs: Vec<TopicPartition>,
    ) -> Self {
        let kept = CatalogCheckpoint::new(log, catalog, stage, inputs);
        Projector::new(projection, stage, clock, kept)
    }
}

impl<P: Projection<Kept = LogCheckpoint>> Projector<P> {
    /// `projection` of `input` as the stage of this name, its position in `log`.
    pub fn in_log(
        projection: P,
        stage: &'static str,
        log: Arc<dyn RecordLog>,
        clock: Arc<dyn Clock>,
        input: TopicPartition,
    ) -> Self {
        let kept = LogCheckpoint::new(log, stage, input);
        Projector::new(projection, stage, clock, kept)
    }
}

impl<P: Projection> Projector<P> {
    fn new(projection: P, stage: &'static str, clock: Arc<dyn Clock>, kept: P::Kept) -> Self {
        Projector {
            stage,
            clock,
            projection,
            kept,
            is_sure: false,
        }
    }

    /// Commits under this lease.
    pub fn under(mut self, fence: Fence) -> Self {
        self.kept.set_fence(fence);
        self
    }

    /// The same under another name: position and ledger are that stage's.
    pub(crate) fn named(mut self, stage: &'static str) -> Self {
        self.stage = stage;
        self.kept.set_stage(stage);
        self.is_sure = false;
        self
    }

    async fn load(&mut self) -> Result<(), StageError> {
        self.kept.load().await?;
        self.projection.load().await?;
        self.is_sure = true;
        Ok(())
    }

    async fn be_sure(&mut self) -> Result<(), StageError> {
        match self.is_sure {
            true => Ok(()),
            false => self.load().await,
        }
    }

    fn state(&self, at: &TopicPartition) -> Option<StageState> {
        let mut states = self.kept.states().into_iter();
        states
            .find(|(input, _)| input == at)
            .map(|(_, state)| state)
    }

    async fn start_over_if_lost(&mut self) -> Result<(), StageError> {
        let states = self.kept.states();
        let has_stored = states.iter().any(|(_, s)| s.counters.emitted > 0);
        if !has_stored || !self.projection.is_lost().await? {
            return Ok(());
        }
        for (at, state) in states.iter().filter(|(_, s)| s.next > Offset::ZERO) {
            tracing::warn!(stage = self.stage, from = %state.next, "what `{at}` came to is gone: it is read again");
            let nothing = self.projection.apply(Vec::new()).await?.change;
            let anew = StageState::default();
            self.kept.commit(at, anew, nothing, Vec::new()).await?;
        }
        Ok(())
    }

    async fn take(&mut self, input: &Input) -> Result<(), StageError> {
        self.be_sure().await?;
        let Some(mut state) = self.state(&input.at) else {
            return Ok(());
        };
        if state.next >= input.batch.next {
            return Ok(()); // committed by an earlier try of this batch
        }
        let (now, records) = (self.clock.now(), &input.batch.records);
        let (mut said, mut letters) = (Vec::with_capacity(records.len()), Vec::new());
        state.counters += &gap_counters(input);
        for record in records {
            state.counters.received += 1;
            match self.projection.read(&input.at, record) {
                Ok(Read::Said(what)) => said.push(what),
                Ok(Read::Skipped(reason)) => state.counters.skip(reason),
                Err(refusal) => {
                    state.counters.dead_lettered += 1;
                    let letter = dead_letter::append(self.stage, &input.at, record, refusal, now);
                    letters.push(letter);
                }
            }
        }
        let n_said = said.len() as u64;
        self.is_sure = false;
        let applied = self.projection.apply(said).await?;
        for reason in &applied.skipped {
            state.counters.skip(reason);
        }
        state.counters.emitted += n_said - applied.skipped.len() as u64;
        state.next = input.batch.next;
        let committed = self.kept.commit(&input.at, state, applied.change, letters);
        committed.await?;
        self.is_sure = true;
        Ok(())
    }

    /// Reads and applies one record alone: what became of it, what that changes, and why it is refused if it is.
    async fn take_alone(
        &mut self,
        retry: &Retry,
    ) -> Result<(Fate, P::Change, Option<Refusal>), StageError> {
        let skipped = |reason: &str| Fate::Skipped(reason.to_owned());
        let (said, fate, refusal) = match self.projection.read(&retry.at, &retry.record) {
            Ok(Read::Said(what)) => (vec![what], Fate::Emitted, None),
            Ok(Read::Skipped(reason)) => (Vec::new(), skipped(reason), None),
            Err(refusal) => (Vec::new(), Fate::Refused, Some(refusal)),
        };
        let applied = self.projection.apply(said).await?;
        let fate = applied.skipped.first().map_or(fate, |why| skipped(why));
        Ok((fate, applied.change, refusal))
    }
}

#[async_trait]
impl<P: Projection> Process for Projector<P> {
    async fn positions(&mut self) -> Result<Vec<Offset>, StageError> {
        self.load().await?;
        self.start_over_if_lost().await?;
        let states = self.kept.states().into_iter();
        Ok(states.map(|(_, state)| state.next).collect())
    }

    async fn process(&mut self, inputs: &[Input]) -> Result<(), StageError> {
        for input in inputs {
            self.take(input).await?;
        }
        Ok(())
    }

    async fn idle(&mut self) -> Result<Option<Duration>, StageError> {
        self.be_sure().await?;
        self.is_sure = false;
        let due = self.projection.due().await?;
        if let Some(change) = due.change
            && let Some((at, state)) = self.kept.states().into_iter().next()
        {
            self.kept.commit(&at, state, change, Vec::new()).await?;
        }
        self.is_sure = true;
        Ok(due.again)
    }

    async fn retry(&mut self, retry: &Retry) -> Result<Tried, StageError> {
        self.be_sure().await?;
        let state = self.state(&retry.at);
        let Some(mut state) = state.filter(|s| retry.record.offset < s.next) else {
            return Ok(Tried::Later);
        };
        self.is_sure = false;
        let (fate, change, refusal) = self.take_alone(retry).await?;
        state.count_retry(retry.name(), &fate);
        let now = self.clock.now();
        let committed = self.kept.commit_retry(state, change, retry, refusal, now);
        let tried = committed.await?;
        self.is_sure = true;
        Ok(tried)
    }
}
