//! `decisions` in, settings of chats out: which models may read a chat, so that a lost catalog has them again.
//!
//! Who sets one stores it too, at once: a consent that is taken back must not wait. Whichever comes second changes nothing.

use std::sync::Arc;

use async_trait::async_trait;
use telesift_ports::{
    Catalog, ChatSettings, Clock, RecordLog,
    providers::{ChatSetting, Consent, Enrich},
    record_log::StoredRecord,
};
use telesift_schemas::{DecisionKind, TopicPartition};

use crate::{
    consumer::StageError,
    dead_letter::Refusal,
    decisions,
    projection::{Applied, CatalogCheckpoint, Projection, Projector, Read},
};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = "chat-settings";

/// Projects the settings of chats among the decisions. At least once with idempotent effects: what was decided later stays.
pub struct ChatProjection {
    settings: Arc<dyn ChatSettings>,
    catalog: Arc<dyn Catalog>,
}

impl ChatProjection {
    /// The projection of `input`, the one partition of `decisions`, into `settings`; its position is kept in `catalog`.
    pub fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        settings: Arc<dyn ChatSettings>,
        clock: Arc<dyn Clock>,
        input: TopicPartition,
    ) -> Projector<Self> {
        let settings = ChatProjection {
            settings,
            catalog: catalog.clone(),
        };
        Projector::in_catalog(settings, STAGE, log, catalog, clock, vec![input])
    }
}

#[async_trait]
impl Projection for ChatProjection {
    type Said = ChatSetting;
    type Change = ();
    type Kept = CatalogCheckpoint;

    fn read(
        &self,
        _: &TopicPartition,
        record: &StoredRecord,
    ) -> Result<Read<ChatSetting>, Refusal> {
        read(record).map(|setting| Read::or_skipped(setting, decisions::OTHER))
    }

    async fn apply(&mut self, settings: Vec<ChatSetting>) -> Result<Applied<()>, StageError> {
        for setting in &settings {
            self.settings.put_chat_setting(setting).await?;
            // Whoever may read it now need not wait for who might before.
            self.catalog.wake_units(Some(setting.chat)).await?;
        }
        Ok(Applied::all(()))
    }
}

/// The setting a record decides; `None` for a decision about something else, of a kind yet unknown too.
fn read(record: &StoredRecord) -> Result<Option<ChatSetting>, Refusal> {
    let Some(decision) = decisions::read(record, &["chat_set"])? else {
        return Ok(None);
    };
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
