//! `messages` in, the rows of windows out: what the questions over time windows are answered from.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use telesift_ports::{
    Catalog, Clock, RecordLog, catalog, knowledge::Moved, leases::Fence, record_log::StoredRecord,
    windows::WindowCommit,
};
use telesift_schemas::{ChatId, Generation, MessageKey, TopicPartition};
use telesift_windows::{Changes, Told, changes};

use crate::{
    consumer::StageError,
    dead_letter::Refusal,
    generations::stage_name,
    projection::{Applied, CatalogChange, CatalogCheckpoint, Projection, Projector, Read},
};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = "windows";

/// Keeps the rows of windows up to one partition of `messages`.
///
/// Rows, sums and position change in one transaction of the catalog, so each record counts once wherever the stage stops. The
/// current version of a message counts, in the minute it was sent: history imported later counts where it belongs, an edit
/// replaces, a deletion takes away. What is stored is a function of the messages, not of their order.
pub struct Windows {
    catalog: Arc<dyn Catalog>,
    generation: Generation,
}

impl Windows {
    /// The rows of `input`, a partition of `messages`.
    pub fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        clock: Arc<dyn Clock>,
        input: TopicPartition,
    ) -> Projector<Self> {
        let rows = Windows {
            catalog: catalog.clone(),
            generation: Generation::FIRST,
        };
        Projector::in_catalog(rows, STAGE, log, catalog, clock, vec![input])
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

impl Projector<Windows> {
    /// The same for the rows of `generation`: position and ledger are that generation's.
    pub fn of(mut self, generation: Generation) -> Self {
        self.projection.generation = generation;
        self.named(stage_name(STAGE, generation))
    }
}

#[async_trait]
impl Projection for Windows {
    type Said = Told;
    type Change = RowChange;
    type Kept = CatalogCheckpoint;

    fn read(&self, _: &TopicPartition, record: &StoredRecord) -> Result<Read<Told>, Refusal> {
        let told = Told::read(&record.value, record.offset);
        told.map(Read::Said)
            .map_err(|e| Refusal::unreadable("message record", &e))
    }

    async fn apply(&mut self, arrived: Vec<Told>) -> Result<Applied<RowChange>, StageError> {
        let rows = self.changes(arrived).await?;
        Ok(Applied {
            skipped: (0..rows.n_stale).map(|_| "older").collect(),
            change: RowChange {
                generation: self.generation,
                rows,
            },
        })
    }
}

/// What a batch changes in the rows of a generation.
pub struct RowChange {
    generation: Generation,
    rows: Changes,
}

#[async_trait]
impl CatalogChange for RowChange {
    async fn put(
        &self,
        catalog: &dyn Catalog,
        moved: &Moved,
        fence: &Fence,
    ) -> catalog::Result<()> {
        let commit = WindowCommit {
            generation: self.generation,
            key: &moved.key,
            expected: moved.expected,
            state: &moved.state,
            fence,
            told: &self.rows.told,
            minutes: &self.rows.minutes,
        };
        catalog.put_windows(commit).await
    }
}
