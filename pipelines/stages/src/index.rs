//! `messages` in, the message store out: micro-batches over all partitions, one writer, effect first, then the positions.

mod prepare;

use std::sync::Arc;

use async_trait::async_trait;
use telesift_ports::{
    Catalog, Clock, Embedder, MessageStore, RecordLog,
    leases::Fence,
    ledger::{Counters, Fate, StageState},
    message_store,
    record_log::Transaction,
};
use telesift_schemas::{ChatId, DeadLetterCode, Generation, Message, Offset, TopicPartition};

use crate::{
    consumer::{Input, Process, StageError},
    dead_letter::{self, Refusal, Retry, Tried},
    generations::stage_name,
    labels,
    screen::gap_counters,
    state::CatalogState,
};
use prepare::{Ahead, Candidates, Prepared, Refused, prepare, prepare_these};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = "index";

/// Indexes all partitions of `messages`.
///
/// At least once with idempotent effects: the store merges by (edit, origin), so a batch repeated after a crash changes
/// nothing, and its counters are stored only with its position.
pub struct Index {
    log: Arc<dyn RecordLog>,
    store: Arc<dyn MessageStore>,
    catalog: Arc<dyn Catalog>,
    embedder: Arc<dyn Embedder>,
    clock: Arc<dyn Clock>,
    stage: &'static str,
    states: Vec<CatalogState>,
    ahead: Ahead,
}

impl Index {
    /// The index of `inputs`, all partitions of `messages`.
    pub fn new(
        log: Arc<dyn RecordLog>,
        store: Arc<dyn MessageStore>,
        catalog: Arc<dyn Catalog>,
        embedder: Arc<dyn Embedder>,
        clock: Arc<dyn Clock>,
        inputs: Vec<TopicPartition>,
    ) -> Self {
        let state = |input| CatalogState::new(catalog.clone(), STAGE, input);
        let states = inputs.into_iter().map(state).collect();
        Index {
            log,
            store,
            catalog,
            embedder,
            clock,
            stage: STAGE,
            states,
            ahead: Ahead::default(),
        }
    }

    /// The same for the store of `generation`: position and ledger are that generation's.
    pub fn of(mut self, generation: Generation) -> Self {
        self.stage = stage_name(STAGE, generation);
        for state in &mut self.states {
            state.set_stage(self.stage);
        }
        self
    }

    /// Commits under this lease.
    pub fn under(mut self, fence: Fence) -> Self {
        for state in &mut self.states {
            state.set_fence(fence.clone());
        }
        self
    }

    fn state_of(&mut self, at: &TopicPartition) -> Option<&mut CatalogState> {
        self.states.iter_mut().find(|state| state.input() == at)
    }

    /// A store that was thrown away is filled again: one that holds nothing, although messages were stored, begins with
    /// the first record.
    async fn start_over_if_lost(&mut self) -> Result<(), StageError> {
        let has_stored = |s: &CatalogState| s.current().counters.emitted > 0;
        if !self.states.iter().any(has_stored) || self.store.stats().await?.n_messages > 0 {
            return Ok(());
        }
        tracing::warn!("the message store is empty: it is filled again from `messages`");
        for state in &mut self.states {
            if state.next() > Offset::ZERO {
                state.commit(StageState::default()).await?;
            }
        }
        Ok(())
    }

    /// Merges into the store; a message it refuses for good is taken out and the rest goes on.
    async fn apply(
        &self,
        inputs: &[Input],
        mut candidates: Candidates,
        refused: &mut Vec<Refused>,
    ) -> Result<(), StageError> {
        loop {
            let (key, reason) = match self.store.apply(candidates.rows).await {
                Ok(_) => return Ok(()),
                Err(message_store::Error::Rejected { key, reason }) => (key, reason),
                Err(e) => return Err(e.into()),
            };
            let named = candidates.places.into_iter().zip(candidates.keys);
            let (bad, good): (Vec<_>, Vec<_>) = named.partition(|(_, k)| *k == key);
            if bad.is_empty() {
                return Err(message_store::Error::Rejected { key, reason }.into());
            }
            refused.extend(bad.into_iter().map(|(place, _)| Refused {
                place,
                refusal: Refusal::new(DeadLetterCode::StoreRejected, reason.clone()),
            }));
            // The store has what it was given: the others are read anew, which is rare.
            let good = good.into_iter().map(|(place, _)| place);
            (candidates, _) = prepare_these(&*self.embedder, inputs, good).await?;
        }
    }

    /// Dead letters are written before the position, and refused by the log if they are there already.
    async fn bury(&self, inputs: &[Input], refused: &[Refused]) -> Result<(), StageError> {
        if refused.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let appends = refused
            .iter()
            .map(|r| {
                let (at, record) = r.place.of(inputs);
                dead_letter::append(self.stage, at, record, r.refusal.clone(), now)
            })
            .collect();
        self.log.commit(Transaction::appends(appends)).await?;
        Ok(())
    }

    async fn commit(&mut self, input: &Input, n_refused: u64) -> Result<(), StageError> {
        let Some(stored) = self.state_of(&input.at) else {
            return Ok(());
        };
        let mut state = stored.fresh().await?;
        if state.next >= input.batch.next {
            return Ok(()); // committed by an earlier try of this batch
        }
        let n = input.batch.records.len() as u64;
        state.counters += &gap_counters(input);
        state.counters += &Counters {
            received: n,
            emitted: n - n_refused,
            dead_lettered: n_refused,
            ..Counters::default()
        };
        state.next = input.batch.next;
        stored.commit(state).await
    }

    /// Stores what can be, and says what cannot.
    async fn store(
        &self,
        inputs: &[Input],
        (candidates, mut refused): Prepared,
    ) -> Result<Vec<Refused>, StageError> {
        let keys = candidates.keys.clone();
        for (from, to) in candidates.rows.iter().filter_map(|r| migration(&r.message)) {
            self.catalog.link_chats(from, to).await?;
        }
        self.apply(inputs, candidates, &mut refused).await?;
        // After the messages are stored: whoever labels one now finds it there. See `labels`.
        labels::set_in_force(&*self.catalog, &*self.store, &keys).await?;
        Ok(refused)
    }
}

#[async_trait]
impl Process for Index {
    async fn positions(&mut self) -> Result<Vec<Offset>, StageError> {
        for state in &mut self.states {
            state.load().await?;
        }
        self.start_over_if_lost().await?;
        Ok(self.states.iter().map(CatalogState::next).collect())
    }

    async fn process(&mut self, inputs: &[Input]) -> Result<(), StageError> {
        let prepared = match self.ahead.take(inputs).await {
            Some(prepared) => prepared,
            None => prepare(&*self.embedder, inputs).await?,
        };
        let refused = self.store(inputs, prepared).await?;
        self.bury(inputs, &refused).await?;
        for input in inputs {
            let here = refused.iter().filter(|r| *r.place.of(inputs).0 == input.at);
            self.commit(input, here.count() as u64).await?;
        }
        Ok(())
    }

    fn looks_ahead(&self) -> bool {
        true
    }

    fn look_ahead(&mut self, inputs: &Arc<[Input]>) {
        self.ahead.begin(self.embedder.clone(), inputs.clone());
    }

    async fn retry(&mut self, retry: &Retry) -> Result<Tried, StageError> {
        let inputs = [Input::alone(&retry.at, &retry.record)];
        let Some(state) = self.state_of(&retry.at) else {
            return Ok(Tried::Later);
        };
        if retry.record.offset >= state.fresh().await?.next {
            return Ok(Tried::Later);
        }
        let prepared = prepare(&*self.embedder, &inputs).await?;
        let refused = self.store(&inputs, prepared).await?;
        let refusal = refused.into_iter().next().map(|r| r.refusal);
        let fate = match refusal {
            Some(_) => Fate::Refused,
            None => Fate::Emitted,
        };
        if let Some(state) = self.state_of(&retry.at) {
            state.count_retry(retry.name(), &fate).await?;
        }
        Ok(Tried::Stored(refusal))
    }
}

/// The basic group and the supergroup it went on as, if the message tells of that. Two service messages do, one on each side.
fn migration(message: &Message) -> Option<(ChatId, ChatId)> {
    let here = message.chat.id;
    let (from, to) = match (message.migrated_to, message.migrated_from) {
        (Some(to), _) => (here, to),
        (None, from) => (from?, here),
    };
    let is_group = from.0 < 0 && from.channel_id().is_none();
    (is_group && to.channel_id().is_some()).then_some((from, to))
}
