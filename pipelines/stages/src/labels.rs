//! `decisions` in, labels in catalog and message store out.
//!
//! Two stages set labels in the store: this one when a label is decided, `index` when a message is stored. Whatever their
//! order, the label ends up there. This stage stores a label in the catalog first and looks for its message then; `index`
//! stores the message first and looks for its labels then; so one of the two sees both. Should both write, the store
//! keeps what was decided later.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use serde::Deserialize;
use telesift_ports::{
    Catalog, Clock, MessageStore, RecordLog,
    catalog::{LABELS_STAGE, LabelRow, in_force},
    leases::Fence,
    ledger::{Fate, StageState},
    message_store::VersionLabel,
    record_log::{StoredRecord, Transaction},
};
use telesift_schemas::{Decision, DecisionKind, Generation, MessageKey, Offset, TopicPartition};

use crate::{
    consumer::{Input, Process, StageError},
    dead_letter::{self, Refusal, Retry, Tried},
    generations::stage_name,
    screen::gap_counters,
    state::CatalogState,
};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = LABELS_STAGE;

/// Why a decision of another kind is skipped.
const OTHER_DECISION: &str = "other_decision";

/// Projects the labels among the decisions.
///
/// At least once with idempotent effects: catalog and store keep the latest decision, so a batch repeated after a crash
/// changes nothing.
pub struct LabelProjection {
    log: Arc<dyn RecordLog>,
    catalog: Arc<dyn Catalog>,
    store: Arc<dyn MessageStore>,
    clock: Arc<dyn Clock>,
    stage: &'static str,
    state: CatalogState,
}

impl LabelProjection {
    /// The projection of `input`, the one partition of `decisions`.
    pub fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        store: Arc<dyn MessageStore>,
        clock: Arc<dyn Clock>,
        input: TopicPartition,
    ) -> Self {
        LabelProjection {
            stage: STAGE,
            state: CatalogState::new(catalog.clone(), STAGE, input),
            log,
            catalog,
            store,
            clock,
        }
    }

    /// The same for the store of `generation`: position and ledger are that generation's. The labels in the catalog are
    /// everybody's, and each puts them there.
    pub fn of(mut self, generation: Generation) -> Self {
        self.stage = stage_name(STAGE, generation);
        self.state.set_stage(self.stage);
        self
    }

    /// Commits under this lease.
    pub fn under(mut self, fence: Fence) -> Self {
        self.state.set_fence(fence);
        self
    }

    async fn apply(&self, labels: Vec<LabelRow>) -> Result<(), StageError> {
        let labels = last_of_each(labels);
        self.catalog.put_labels(&labels).await?;
        let mut messages: Vec<MessageKey> = labels.iter().map(|l| l.message).collect();
        messages.dedup();
        set_in_force(&*self.catalog, &*self.store, &messages).await
    }
}

#[async_trait]
impl Process for LabelProjection {
    async fn positions(&mut self) -> Result<Vec<Offset>, StageError> {
        self.state.load().await?;
        let has_stored = self.state.current().counters.emitted > 0;
        if has_stored && !self.catalog.has_labels().await? {
            tracing::warn!("no label is left in the catalog: they are read again from `decisions`");
            self.state.commit(StageState::default()).await?;
        }
        Ok(vec![self.state.next()])
    }

    async fn process(&mut self, inputs: &[Input]) -> Result<(), StageError> {
        for input in inputs {
            let mut state = self.state.fresh().await?;
            if state.next >= input.batch.next {
                continue; // committed by an earlier try
            }
            state.counters += &gap_counters(input);
            let (mut labels, mut letters) = (Vec::new(), Vec::new());
            for record in &input.batch.records {
                state.counters.received += 1;
                match read(record) {
                    Ok(Some(label)) => {
                        state.counters.emitted += 1;
                        labels.push(label);
                    }
                    Ok(None) => state.counters.skip(OTHER_DECISION),
                    Err(refusal) => {
                        state.counters.dead_lettered += 1;
                        let now = self.clock.now();
                        letters.push(dead_letter::append(
                            self.stage, &input.at, record, refusal, now,
                        ));
                    }
                }
            }
            self.apply(labels).await?;
            if !letters.is_empty() {
                self.log.commit(Transaction::appends(letters)).await?;
            }
            state.next = input.batch.next;
            self.state.commit(state).await?;
        }
        Ok(())
    }

    async fn retry(&mut self, retry: &Retry) -> Result<Tried, StageError> {
        if retry.record.offset >= self.state.fresh().await?.next {
            return Ok(Tried::Later);
        }
        let (fate, refusal) = match read(&retry.record) {
            Ok(Some(label)) => {
                self.apply(vec![label]).await?;
                (Fate::Emitted, None)
            }
            Ok(None) => (Fate::Skipped(OTHER_DECISION.to_owned()), None),
            Err(refusal) => (Fate::Refused, Some(refusal)),
        };
        self.state.count_retry(retry.name(), &fate).await?;
        Ok(Tried::Stored(refusal))
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
    let labels: Vec<VersionLabel> = in_force(stored)
        .into_iter()
        .map(|found| VersionLabel {
            key: found.message,
            edit: found.edit,
            class: found.label.as_ref().and_then(|l| l.class),
            spam: found.label.as_ref().and_then(|l| l.spam),
            decided: found.decided,
        })
        .collect();
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
    #[derive(Deserialize)]
    struct Kind {
        decision: String,
    }
    let unreadable = |e: serde_json::Error| Refusal::unreadable("decision record", &e);
    let kind: Kind = serde_json::from_slice(&record.value).map_err(unreadable)?;
    if kind.decision != "labelled" {
        return Ok(None);
    }
    let decision: Decision = serde_json::from_slice(&record.value).map_err(unreadable)?;
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
