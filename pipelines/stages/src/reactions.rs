//! `reactions` in, the catalog out: the latest of each hand, whatever the order, and whether or not the message is known.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use telesift_ports::{
    Catalog, Clock, RecordLog,
    catalog::{REACTIONS_STAGE, ReactionRow},
    record_log::StoredRecord,
};
use telesift_schemas::{DeadLetterCode, MessageKey, Reactions, ReactionsOf, TopicPartition};

use crate::{
    consumer::StageError,
    dead_letter::Refusal,
    projection::{Applied, CatalogCheckpoint, Projection, Projector, Read},
};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = REACTIONS_STAGE;

/// Projects one partition of `reactions`.
///
/// At least once with idempotent effects: the catalog keeps the latest row of each message and hand, so a batch repeated
/// after a crash changes nothing.
pub struct ReactionProjection {
    catalog: Arc<dyn Catalog>,
}

impl ReactionProjection {
    /// The projection of `input`, a partition of `reactions`.
    pub fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        clock: Arc<dyn Clock>,
        input: TopicPartition,
    ) -> Projector<Self> {
        let reactions = ReactionProjection {
            catalog: catalog.clone(),
        };
        Projector::in_catalog(reactions, STAGE, log, catalog, clock, vec![input])
    }
}

#[async_trait]
impl Projection for ReactionProjection {
    type Said = ReactionRow;
    type Change = ();
    type Kept = CatalogCheckpoint;

    fn read(
        &self,
        _: &TopicPartition,
        record: &StoredRecord,
    ) -> Result<Read<ReactionRow>, Refusal> {
        read(record).map(Read::Said)
    }

    async fn apply(&mut self, rows: Vec<ReactionRow>) -> Result<Applied<()>, StageError> {
        self.catalog.put_reactions(&last_of_each(rows)).await?;
        Ok(Applied::all(()))
    }

    async fn is_lost(&self) -> Result<bool, StageError> {
        Ok(!self.catalog.has_reactions().await?)
    }
}

/// The latest of each message and hand: a catalog pays per row.
fn last_of_each(rows: Vec<ReactionRow>) -> Vec<ReactionRow> {
    let mut last: BTreeMap<(MessageKey, ReactionsOf), ReactionRow> = BTreeMap::new();
    for row in rows {
        let place = (row.message, row.of);
        if last
            .get(&place)
            .is_none_or(|held| held.rank() <= row.rank())
        {
            last.insert(place, row);
        }
    }
    last.into_values().collect()
}

fn read(record: &StoredRecord) -> Result<ReactionRow, Refusal> {
    let read: Reactions = serde_json::from_slice(&record.value).map_err(|e| Refusal {
        code: DeadLetterCode::Unreadable,
        // Not the parser's own words: they may quote the record.
        message: format!("not a record of reactions, at {}:{}", e.line(), e.column()),
        attempts: 1,
    })?;
    Ok(ReactionRow {
        message: read.id,
        of: read.of,
        at: read.at,
        // By the raw record, so that a topic written anew gives the same order.
        offset: read.origin.map_or(record.offset, |o| o.offset),
        reactions: read.reactions,
    })
}
