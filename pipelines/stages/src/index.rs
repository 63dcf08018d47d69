//! `messages` in, the message store out: micro-batches over all partitions, one writer, effect first, then the positions.

use std::sync::Arc;

use async_trait::async_trait;
use telesift_ports::{
    Catalog, Clock, Embedder, MessageStore, RecordLog,
    embedder::{EmbeddingCost, Purpose},
    leases::Fence,
    ledger::{Counters, Fate, StageState},
    message_store::{self, IndexedMessage},
    record_log::{StoredRecord, Transaction},
};
use telesift_schemas::{
    ChatId, DeadLetterCode, Generation, Message, MessageKey, Offset, TopicPartition,
};

use crate::{
    consumer::{Input, Process, StageError},
    dead_letter::{self, Refusal, Retry, Tried},
    generations::stage_name,
    labels,
    screen::gap_counters,
    state::CatalogState,
};

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

    /// Parses, and embeds where that is cheap, what can be indexed; the rest is to be refused.
    async fn prepare<'a>(
        &self,
        records: &[Record<'a>],
    ) -> Result<(Candidates<'a>, Vec<Refused<'a>>), StageError> {
        let (mut candidates, mut refused) = (Candidates::default(), Vec::new());
        for &record in records {
            match serde_json::from_slice::<Message>(&record.stored.value) {
                Ok(message) => candidates.push(record, message),
                Err(e) => {
                    let refusal = Refusal::unreadable("message record", &e);
                    refused.push(Refused { record, refusal });
                }
            }
        }
        self.embed(&mut candidates.rows).await?;
        Ok((candidates, refused))
    }

    /// Vectors that cost next to nothing are made here; others follow behind, so that text search never waits for them.
    async fn embed(&self, rows: &mut [IndexedMessage]) -> Result<(), StageError> {
        if self.embedder.cost() != EmbeddingCost::Negligible {
            return Ok(());
        }
        let texts: Vec<&str> = rows.iter().map(|row| row.message.text.as_str()).collect();
        let vectors = self.embedder.embed(&texts, Purpose::Passage).await?;
        for (row, vector) in rows.iter_mut().zip(vectors) {
            row.vector = (!row.message.text.is_empty()).then_some(vector);
        }
        Ok(())
    }

    /// Merges into the store; a message it refuses for good is taken out and the rest goes on.
    async fn apply<'a>(
        &self,
        mut candidates: Candidates<'a>,
        refused: &mut Vec<Refused<'a>>,
    ) -> Result<(), StageError> {
        loop {
            let (key, reason) = match self.store.apply(candidates.rows).await {
                Ok(_) => return Ok(()),
                Err(message_store::Error::Rejected { key, reason }) => (key, reason),
                Err(e) => return Err(e.into()),
            };
            let named = candidates.records.into_iter().zip(candidates.keys);
            let (bad, good): (Vec<_>, Vec<_>) = named.partition(|(_, k)| *k == key);
            if bad.is_empty() {
                return Err(message_store::Error::Rejected { key, reason }.into());
            }
            refused.extend(bad.into_iter().map(|(record, _)| Refused {
                record,
                refusal: Refusal::new(DeadLetterCode::StoreRejected, reason.clone()),
            }));
            // The store has what it was given: the others are read anew, which is rare.
            let good: Vec<_> = good.into_iter().map(|(record, _)| record).collect();
            (candidates, _) = self.prepare(&good).await?;
        }
    }

    /// Dead letters are written before the position, and refused by the log if they are there already.
    async fn bury(&self, refused: &[Refused<'_>]) -> Result<(), StageError> {
        if refused.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let appends = refused
            .iter()
            .map(|r| {
                let (at, record) = (r.record.at, r.record.stored);
                dead_letter::append(self.stage, at, record, r.refusal.clone(), now)
            })
            .collect();
        self.log.commit(Transaction::appends(appends)).await?;
        Ok(())
    }

    async fn commit(&mut self, input: &Input, refused: &[Refused<'_>]) -> Result<(), StageError> {
        let Some(stored) = self.state_of(&input.at) else {
            return Ok(());
        };
        let mut state = stored.fresh().await?;
        if state.next >= input.batch.next {
            return Ok(()); // committed by an earlier try of this batch
        }
        let n_refused = refused.iter().filter(|r| *r.record.at == input.at).count() as u64;
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
    async fn store<'a>(&self, inputs: &'a [Input]) -> Result<Vec<Refused<'a>>, StageError> {
        let records: Vec<Record<'a>> = inputs.iter().flat_map(Record::all).collect();
        let (candidates, mut refused) = self.prepare(&records).await?;
        let keys = candidates.keys.clone();
        for (from, to) in candidates.rows.iter().filter_map(|r| migration(&r.message)) {
            self.catalog.link_chats(from, to).await?;
        }
        self.apply(candidates, &mut refused).await?;
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
        let refused = self.store(inputs).await?;
        self.bury(&refused).await?;
        for input in inputs {
            self.commit(input, &refused).await?;
        }
        Ok(())
    }

    async fn retry(&mut self, retry: &Retry) -> Result<Tried, StageError> {
        let inputs = [Input::alone(&retry.at, &retry.record)];
        let Some(state) = self.state_of(&retry.at) else {
            return Ok(Tried::Later);
        };
        if retry.record.offset >= state.fresh().await?.next {
            return Ok(Tried::Later);
        }
        let refused = self.store(&inputs).await?;
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

/// A record, and where it stands.
#[derive(Clone, Copy)]
struct Record<'a> {
    at: &'a TopicPartition,
    stored: &'a StoredRecord,
}

impl<'a> Record<'a> {
    fn all(input: &'a Input) -> impl Iterator<Item = Self> {
        let at = &input.at;
        let records = input.batch.records.iter();
        records.map(move |stored| Record { at, stored })
    }
}

/// Messages to be indexed, with the records they stand in: three lists of one length.
#[derive(Default)]
struct Candidates<'a> {
    records: Vec<Record<'a>>,
    keys: Vec<MessageKey>,
    rows: Vec<IndexedMessage>,
}

impl<'a> Candidates<'a> {
    fn push(&mut self, record: Record<'a>, message: Message) {
        self.records.push(record);
        self.keys.push(message.id);
        self.rows.push(IndexedMessage {
            message,
            vector: None,
        });
    }
}

/// A record that cannot be indexed.
struct Refused<'a> {
    record: Record<'a>,
    refusal: Refusal,
}
