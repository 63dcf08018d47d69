//! `decisions` in, labels in catalog and message store out.
//!
//! Two stages set labels in the store: this one when a label is decided, `index` when a message is stored. Whatever their
//! order, the label ends up there. This stage stores a label in the catalog first and looks for its message then; `index`
//! stores the message first and looks for its labels then; so one of the two sees both. Should both write, the store
//! keeps what was decided later.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use telesift_ports::{
    Catalog, Clock, MessageStore, RecordLog,
    catalog::{LABELS_STAGE, LabelRow, in_force},
    message_store::VersionLabel,
    record_log::StoredRecord,
};
use telesift_schemas::{DecisionKind, Generation, MessageKey, TopicPartition};

use crate::{
    consumer::StageError,
    dead_letter::Refusal,
    decisions,
    generations::stage_name,
    projection::{Applied, CatalogCheckpoint, Projection, Projector, Read},
};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = LABELS_STAGE;

/// Projects the labels among the decisions.
///
/// At least once with idempotent effects: catalog and store keep the latest decision, so a batch repeated after a crash
/// changes nothing.
pub struct LabelProjection {
    catalog: Arc<dyn Catalog>,
    store: Arc<dyn MessageStore>,
}

impl LabelProjection {
    /// The projection of `input`, the one partition of `decisions`.
    pub fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        store: Arc<dyn MessageStore>,
        clock: Arc<dyn Clock>,
        input: TopicPartition,
    ) -> Projector<Self> {
        let labels = LabelProjection {
            catalog: catalog.clone(),
            store,
        };
        Projector::in_catalog(labels, STAGE, log, catalog, clock, vec![input])
    }
}

impl Projector<LabelProjection> {
    /// The same for the store of `generation`: position and ledger are that generation's. The labels in the catalog are
    /// everybody's, and each puts them there.
    pub fn of(self, generation: Generation) -> Self {
        self.named(stage_name(STAGE, generation))
    }
}

#[async_trait]
impl Projection for LabelProjection {
    type Said = LabelRow;
    type Change = ();
    type Kept = CatalogCheckpoint;

    fn read(&self, _: &TopicPartition, record: &StoredRecord) -> Result<Read<LabelRow>, Refusal> {
        read(record).map(|label| Read::or_skipped(label, decisions::OTHER))
    }

    async fn apply(&mut self, labels: Vec<LabelRow>) -> Result<Applied<()>, StageError> {
        let labels = last_of_each(labels);
        self.catalog.put_labels(&labels).await?;
        let mut messages: Vec<MessageKey> = labels.iter().map(|l| l.message).collect();
        messages.dedup();
        set_in_force(&*self.catalog, &*self.store, &messages).await?;
        Ok(Applied::all(()))
    }

    async fn is_lost(&self) -> Result<bool, StageError> {
        Ok(!self.catalog.has_labels().await?)
    }
}

/// Sets in the store what the catalog holds in force of these messages.
pub(crate) async fn set_in_force(
    catalog: &dyn Catalog,
    store: &dyn MessageStore,
    messages: &[MessageKey],
) -> Result<(), StageError> {
    let stored = catalog.labels_of(messages).await?;
    if stored.is_empty() {
        return Ok(());
    }
    let labels: Vec<VersionLabel> = in_force(stored).into_iter().map(Into::into).collect();
    store.set_labels(&labels).await?;
    Ok(())
}

/// The last label of each owner and version, by version: a catalog pays per row.
fn last_of_each(labels: Vec<LabelRow>) -> Vec<LabelRow> {
    let mut last: BTreeMap<(MessageKey, i64, String), LabelRow> = BTreeMap::new();
    for label in labels {
        last.insert((label.message, label.edit, label.owner.clone()), label);
    }
    last.into_values().collect()
}

/// The label a record decides; `None` for a decision about something else, of a kind yet unknown too.
pub(crate) fn read(record: &StoredRecord) -> Result<Option<LabelRow>, Refusal> {
    let Some(decision) = decisions::read(record, &["labelled"])? else {
        return Ok(None);
    };
    let DecisionKind::Labelled {
        message,
        edit,
        class,
        spam,
        owner,
    } = decision.decision
    else {
        return Ok(None);
    };
    Ok(Some(LabelRow {
        message,
        edit,
        owner: owner.unwrap_or(decision.by),
        class,
        spam,
        at: decision.at,
        decided: record.offset,
    }))
}
