//! `decisions` in, settings of chats out: which models may read a chat, so that a lost catalog has them again.
//!
//! Who sets one stores it too, at once: a consent that is taken back must not wait. Whichever comes second changes nothing.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use telesift_ports::{
    Catalog, ChatSettings, Clock, RecordLog,
    leases::Fence,
    ledger::Fate,
    providers::{ChatSetting, Consent, Enrich},
    record_log::{StoredRecord, Transaction},
};
use telesift_schemas::{Decision, DecisionKind, Offset, TopicPartition};

use crate::{
    consumer::{Input, Process, StageError},
    dead_letter::{self, Refusal, Retry, Tried},
    screen::gap_counters,
    state::CatalogState,
};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = "chat-settings";

/// Why a decision of another kind is skipped.
const OTHER_DECISION: &str = "other_decision";

/// Projects the settings of chats among the decisions. At least once with idempotent effects: what was decided later stays.
pub struct ChatProjection {
    log: Arc<dyn RecordLog>,
    settings: Arc<dyn ChatSettings>,
    clock: Arc<dyn Clock>,
    state: CatalogState,
}

impl ChatProjection {
    /// The projection of `input`, the one partition of `decisions`, into `settings`; its position is kept in `catalog`.
    pub fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        settings: Arc<dyn ChatSettings>,
        clock: Arc<dyn Clock>,
        input: TopicPartition,
    ) -> Self {
        ChatProjection {
            state: CatalogState::new(catalog, STAGE, input),
            log,
            settings,
            clock,
        }
    }

    /// Commits under this lease.
    pub fn under(mut self, fence: Fence) -> Self {
        self.state.set_fence(fence);
        self
    }

    async fn take(&self, record: &StoredRecord) -> Result<Result<Fate, Refusal>, StageError> {
        match read(record) {
            Ok(Some(setting)) => {
                self.settings.put_chat_setting(&setting).await?;
                Ok(Ok(Fate::Emitted))
            }
            Ok(None) => Ok(Ok(Fate::Skipped(OTHER_DECISION.to_owned()))),
            Err(refusal) => Ok(Err(refusal)),
        }
    }
}

#[async_trait]
impl Process for ChatProjection {
    async fn positions(&mut self) -> Result<Vec<Offset>, StageError> {
        Ok(vec![self.state.load().await?])
    }

    async fn process(&mut self, inputs: &[Input]) -> Result<(), StageError> {
        for input in inputs {
            let mut state = self.state.fresh().await?;
            if state.next >= input.batch.next {
                continue; // committed by an earlier try
            }
            state.counters += &gap_counters(input);
            let mut letters = Vec::new();
            for record in &input.batch.records {
                state.counters.received += 1;
                match self.take(record).await? {
                    Ok(Fate::Skipped(reason)) => state.counters.skip(&reason),
                    Ok(_) => state.counters.emitted += 1,
                    Err(refusal) => {
                        state.counters.dead_lettered += 1;
                        let now = self.clock.now();
                        letters.push(dead_letter::append(STAGE, &input.at, record, refusal, now));
                    }
                }
            }
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
        let (fate, refusal) = match self.take(&retry.record).await? {
            Ok(fate) => (fate, None),
            Err(refusal) => (Fate::Refused, Some(refusal)),
        };
        self.state.count_retry(retry.name(), &fate).await?;
        Ok(Tried::Stored(refusal))
    }
}

/// The setting a record decides; `None` for a decision about something else, of a kind yet unknown too.
fn read(record: &StoredRecord) -> Result<Option<ChatSetting>, Refusal> {
    #[derive(Deserialize)]
    struct Kind {
        decision: String,
    }
    let unreadable = |e: serde_json::Error| Refusal::unreadable("decision record", &e);
    let kind: Kind = serde_json::from_slice(&record.value).map_err(unreadable)?;
    if kind.decision != "chat_set" {
        return Ok(None);
    }
    let decision: Decision = serde_json::from_slice(&record.value).map_err(unreadable)?;
    let DecisionKind::ChatSet {
        chat,
        enrich,
        consent,
        owner,
    } = decision.decision
    else {
        return Ok(None);
    };
    Ok(Some(ChatSetting {
        chat,
        enrich,
        consent: (consent && enrich == Enrich::Remote).then_some(Consent {
            by: owner,
            at: decision.at,
        }),
        updated_at: decision.at,
        decided: Some(record.offset),
    }))
}
