//! `messages` in, the rows of windows out: what the questions over time windows are answered from.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use telesift_ports::{
    Catalog, Clock, RecordLog,
    leases::Fence,
    ledger::{Counters, Fate},
    record_log::Transaction,
};
use telesift_schemas::{ChatId, Generation, MessageKey, Offset, TopicPartition};
use telesift_windows::{Changes, Told, changes};

use crate::{
    consumer::{Input, Process, StageError},
    dead_letter::{self, Refusal, Retry, Tried},
    generations::stage_name,
    screen::gap_counters,
    state::CatalogState,
};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = "windows";

/// Keeps the rows of windows up to one partition of `messages`.
///
/// Rows, sums and position change in one transaction of the catalog, so each record counts once wherever the stage stops. The
/// current version of a message counts, in the minute it was sent: history imported later counts where it belongs, an edit
/// replaces, a deletion takes away. What is stored is a function of the messages, not of their order.
pub struct Windows {
    log: Arc<dyn RecordLog>,
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    stage: &'static str,
    generation: Generation,
    state: CatalogState,
}

impl Windows {
    /// The rows of `input`, a partition of `messages`.
    pub fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        clock: Arc<dyn Clock>,
        input: TopicPartition,
    ) -> Self {
        Windows {
            state: CatalogState::new(catalog.clone(), STAGE, input),
            stage: STAGE,
            generation: Generation::FIRST,
            log,
            catalog,
            clock,
        }
    }

    /// The same for the rows of `generation`: position and ledger are that generation's.
    pub fn of(mut self, generation: Generation) -> Self {
        (self.generation, self.stage) = (generation, stage_name(STAGE, generation));
        self.state.set_stage(self.stage);
        self
    }

    /// Commits under this lease.
    pub fn under(mut self, fence: Fence) -> Self {
        self.state.set_fence(fence);
        self
    }

    /// The messages of a batch; what is none becomes a dead letter.
    async fn read(&self, input: &Input) -> Result<Vec<Told>, StageError> {
        let (mut told, mut letters) = (Vec::with_capacity(input.batch.records.len()), Vec::new());
        for record in &input.batch.records {
            match Told::read(&record.value, record.offset) {
                Ok(message) => told.push(message),
                Err(e) => {
                    let (refusal, now) = (unreadable(&e), self.clock.now());
                    letters.push(dead_letter::append(
                        self.stage, &input.at, record, refusal, now,
                    ));
                }
            }
        }
        if !letters.is_empty() {
            self.log.commit(Transaction::appends(letters)).await?;
        }
        Ok(told)
    }

    /// What these messages make of what is stored.
    async fn changes(&self, arrived: Vec<Told>) -> Result<Changes, StageError> {
        let known = self.known(&arrived).await?;
        let known: HashMap<_, _> = known.into_iter().map(|told| (told.key, told)).collect();
        Ok(changes(known, arrived))
    }

    /// The stored rows of these messages. Most are newer than all their chat has: one question per chat tells which, and only
    /// the others are looked for one by one.
    async fn known(&self, arrived: &[Told]) -> Result<Vec<Told>, StageError> {
        let chats: BTreeSet<ChatId> = arrived.iter().map(|told| told.key.chat).collect();
        let chats: Vec<ChatId> = chats.into_iter().collect();
        let newest = self.catalog.newest_told(self.generation, &chats).await?;
        let newest: HashMap<ChatId, i64> = newest.iter().map(|k| (k.chat, k.message_id)).collect();
        let may_be_stored = |key: &MessageKey| {
            let newest = newest.get(&key.chat);
            newest.is_some_and(|newest| key.message_id <= *newest)
        };
        let keys = arrived.iter().map(|told| told.key);
        let keys: Vec<MessageKey> = keys.filter(may_be_stored).collect();
        Ok(self.catalog.told(self.generation, &keys).await?)
    }
}

#[async_trait]
impl Process for Windows {
    async fn positions(&mut self) -> Result<Vec<Offset>, StageError> {
        Ok(vec![self.state.load().await?])
    }

    async fn process(&mut self, inputs: &[Input]) -> Result<(), StageError> {
        let [input] = inputs else { return Ok(()) };
        let mut state = self.state.fresh().await?;
        if state.next >= input.batch.next {
            return Ok(()); // committed by an earlier try of this batch
        }
        let arrived = self.read(input).await?;
        let (n, n_read) = (input.batch.records.len() as u64, arrived.len() as u64);
        let changed = self.changes(arrived).await?;
        state.counters += &gap_counters(input);
        let mut counters = Counters {
            received: n,
            emitted: n_read - changed.n_stale,
            dead_lettered: n - n_read,
            ..Counters::default()
        };
        for _ in 0..changed.n_stale {
            counters.skip("older");
        }
        state.counters += &counters;
        state.next = input.batch.next;
        self.state
            .commit_windows(self.generation, state, &changed)
            .await
    }

    async fn retry(&mut self, retry: &Retry) -> Result<Tried, StageError> {
        let mut state = self.state.fresh().await?;
        if retry.record.offset >= state.next {
            return Ok(Tried::Later);
        }
        let (changed, fate, refusal) = match Told::read(&retry.record.value, retry.record.offset) {
            Ok(told) => (self.changes(vec![told]).await?, Fate::Emitted, None),
            Err(e) => (Changes::default(), Fate::Refused, Some(unreadable(&e))),
        };
        let before = state.clone();
        state.count_retry(retry.name(), &fate);
        if state != before {
            self.state
                .commit_windows(self.generation, state, &changed)
                .await?;
        }
        Ok(Tried::Stored(refusal))
    }
}

fn unreadable(error: &serde_json::Error) -> Refusal {
    Refusal::unreadable("message record", error)
}
