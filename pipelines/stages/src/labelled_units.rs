//! `decisions` in, `units` out: a message that an analyst calls a signal is read although the screen found nothing in it, and
//! what was read is read again where a label says something else of a message.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use telesift_ports::{
    Catalog, Clock, MessageStore, RecordLog,
    catalog::{LabelRow, in_force},
    record_log::{NewRecord, StoredRecord},
};
use telesift_schemas::{
    Class, Message, MessageKey, MessageKind, PartitionId, Timestamp, Topic, TopicPartition,
    UnitEvent, UnitMember, UnitRecord, flags,
};

use crate::{
    consumer::StageError,
    dead_letter::Refusal,
    decisions, labels,
    projection::{Applied, LogChange, LogCheckpoint, Projection, Projector, Read},
    state::json,
};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = "labelled-units";

/// Why a label is skipped: what it says of its message makes no unit another.
const NO_UNIT_CHANGES: &str = "no_unit_changes";

/// Writes to `units` what labels change there.
///
/// Events and position commit in one transaction of the log. An event says what the unit of a message is to be made of now; said
/// twice, the unit is looked at twice, and nobody is asked for what was answered.
pub struct LabelledUnits {
    catalog: Arc<dyn Catalog>,
    store: Arc<dyn MessageStore>,
    clock: Arc<dyn Clock>,
}

impl LabelledUnits {
    /// What the labels on `input`, the one partition of `decisions`, change in the units of the messages in `store`.
    pub fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        store: Arc<dyn MessageStore>,
        clock: Arc<dyn Clock>,
        input: TopicPartition,
    ) -> Projector<Self> {
        let units = LabelledUnits {
            catalog,
            store,
            clock: clock.clone(),
        };
        Projector::in_log(units, STAGE, log, clock, input)
    }
}

#[async_trait]
impl Projection for LabelledUnits {
    type Said = LabelRow;
    type Change = LogChange;
    type Kept = LogCheckpoint;

    fn read(&self, _: &TopicPartition, record: &StoredRecord) -> Result<Read<LabelRow>, Refusal> {
        labels::read(record).map(|label| Read::or_skipped(label, decisions::OTHER))
    }

    async fn apply(&mut self, labels: Vec<LabelRow>) -> Result<Applied<LogChange>, StageError> {
        // Whoever reads a unit from now on must see them, whether or not the projection of labels has come so far.
        self.catalog.put_labels(&labels).await?;
        let mut keys: Vec<MessageKey> = labels.iter().map(|l| l.message).collect();
        keys.sort();
        keys.dedup();
        let stored = self.store.get_many(&keys).await?;
        let in_force = in_force(self.catalog.labels_of(&keys).await?);
        let in_units = self.catalog.units_of(&keys).await?;
        let in_units: HashSet<MessageKey> = in_units.into_iter().map(|(key, _)| key).collect();
        let (mut change, mut changed) = (LogChange::default(), HashSet::new());
        let now = self.clock.now();
        for message in stored {
            let label = in_force
                .iter()
                .find(|l| l.message == message.id && l.edit == message.edit);
            let said = label.and_then(|l| l.label.as_ref());
            let said = said.map(|l| (l.class, l.spam));
            if let Some(event) = event(&message, said, in_units.contains(&message.id)) {
                changed.insert(message.id);
                change.appends.push(append(&message, event, now));
            }
        }
        let unchanged = labels.iter().filter(|l| !changed.contains(&l.message));
        Ok(Applied {
            skipped: unchanged.map(|_| NO_UNIT_CHANGES).collect(),
            change,
        })
    }
}

/// What a label in force (its class, whether it is spam), or its end, changes for the units.
///
/// What the screen keeps is grouped anyway, and a label counts when that is read: only what was read already is read again. What
/// the screen does not keep has a unit of its own while a label calls it a signal.
fn event(
    message: &Message,
    said: Option<(Option<Class>, Option<bool>)>,
    is_in_unit: bool,
) -> Option<UnitEvent> {
    let origin = message.origin.clone()?;
    let screen = message.screen.as_ref()?;
    let has = |flag: &str| screen.flags.iter().any(|f| f == flag);
    let is_text = !matches!(message.kind, MessageKind::Deleted | MessageKind::Service)
        && !has(flags::SERVICE)
        && !message.text.trim().is_empty();
    let is_kept =
        is_text && !has(flags::SPAM) && !has(flags::AUTO_FORWARD) && screen.class != Class::Noise;
    let wanted = match said {
        Some((class, spam)) if spam != Some(true) => class.filter(|c| *c != Class::Noise),
        _ => None,
    };
    let class = match (is_kept, wanted) {
        (true, _) if is_in_unit => Some(wanted.unwrap_or(screen.class)),
        (true, _) => return None,
        (false, Some(class)) if is_text => Some(class),
        (false, _) if is_in_unit => None,
        (false, _) => return None,
    };
    Some(UnitEvent::Touched {
        chat: message.chat.clone(),
        member: UnitMember {
            message: message.id,
            edit: message.edit,
            event_time: message.event_time,
            origin,
        },
        class,
        deleted: false,
        labelled: true,
    })
}

fn append(message: &Message, event: UnitEvent, at: Timestamp) -> (TopicPartition, NewRecord) {
    let partition = message
        .origin
        .as_ref()
        .map_or(PartitionId(0), |o| o.partition);
    let record = UnitRecord {
        v: UnitRecord::VERSION,
        at,
        event,
    };
    let record = NewRecord {
        key: Bytes::from(message.id.chat.to_string()),
        value: json(&record),
        unique: Vec::new(),
    };
    (TopicPartition::new(Topic::UNITS, partition), record)
}
