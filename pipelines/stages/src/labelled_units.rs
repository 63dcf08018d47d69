//! `decisions` in, `units` out: a message that an analyst calls a signal is read although the screen found nothing in it, and
//! what was read is read again where a label says something else of a message.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use telesift_ports::{
    Catalog, Clock, MessageStore, RecordLog,
    catalog::{LabelRow, in_force},
    leases::Fence,
    ledger::{Counters, Fate, StageKey, StageState},
    record_log::{NewRecord, Transaction},
};
use telesift_schemas::{
    Class, Message, MessageKey, MessageKind, Offset, Topic, TopicPartition, UnitEvent, UnitMember,
    UnitRecord, flags,
};

use crate::{
    consumer::{Input, Process, StageError},
    dead_letter::{self, Refusal, Retry, Tried},
    labels,
    screen::gap_counters,
};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = "labelled-units";

/// Why a decision of another kind is skipped.
const OTHER_DECISION: &str = "other_decision";

/// Writes to `units` what labels change there.
///
/// Events and position commit in one transaction of the log. An event says what the unit of a message is to be made of now; said
/// twice, the unit is looked at twice, and nobody is asked for what was answered.
pub struct LabelledUnits {
    log: Arc<dyn RecordLog>,
    catalog: Arc<dyn Catalog>,
    store: Arc<dyn MessageStore>,
    clock: Arc<dyn Clock>,
    input: TopicPartition,
    stored: Option<Bytes>,
    state: StageState,
    fence: Fence,
}

impl LabelledUnits {
    /// What the labels on `input`, the one partition of `decisions`, change in the units of the messages in `store`.
    pub fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        store: Arc<dyn MessageStore>,
        clock: Arc<dyn Clock>,
        input: TopicPartition,
    ) -> Self {
        LabelledUnits {
            log,
            catalog,
            store,
            clock,
            input,
            stored: None,
            state: StageState::default(),
            fence: Fence::open(),
        }
    }

    /// Commits under this lease.
    pub fn under(mut self, fence: Fence) -> Self {
        self.fence = fence;
        self
    }

    fn state_key(&self) -> String {
        let key = StageKey {
            stage: STAGE.to_owned(),
            input: self.input.clone(),
        };
        key.state_key()
    }

    async fn load(&mut self) -> Result<(), StageError> {
        let key = self.state_key();
        self.stored = self.log.state(&key).await?;
        self.state = match &self.stored {
            None => StageState::default(),
            Some(bytes) => serde_json::from_slice(bytes).map_err(|e| StageError::State {
                key,
                reason: e.to_string(),
            })?,
        };
        Ok(())
    }

    /// What these labels change, and what became of each.
    async fn changes(
        &self,
        labels: &[LabelRow],
    ) -> Result<(Vec<Message>, Vec<UnitEvent>, Vec<Fate>), StageError> {
        // Whoever reads a unit from now on must see them, whether or not the projection of labels has come so far.
        self.catalog.put_labels(labels).await?;
        let mut keys: Vec<MessageKey> = labels.iter().map(|l| l.message).collect();
        keys.sort();
        keys.dedup();
        let stored = self.store.get_many(&keys).await?;
        let in_force = in_force(self.catalog.labels_of(&keys).await?);
        let in_units = self.catalog.units_of(&keys).await?;
        let in_units: HashSet<MessageKey> = in_units.into_iter().map(|(key, _)| key).collect();
        let (mut messages, mut events) = (Vec::new(), Vec::new());
        for message in stored {
            let label = in_force
                .iter()
                .find(|l| l.message == message.id && l.edit == message.edit);
            let said = label.and_then(|l| l.label.as_ref());
            let said = said.map(|l| (l.class, l.spam));
            let event = event(&message, said, in_units.contains(&message.id));
            if let Some(event) = event {
                messages.push(message);
                events.push(event);
            }
        }
        let changed: HashSet<MessageKey> = messages.iter().map(|m| m.id).collect();
        let fate = |label: &LabelRow| match changed.contains(&label.message) {
            true => Fate::Emitted,
            false => Fate::Skipped("no_unit_changes".to_owned()),
        };
        let fates = labels.iter().map(fate).collect();
        Ok((messages, events, fates))
    }

    /// Everything in one transaction.
    async fn commit(
        &mut self,
        changed: Vec<(Message, UnitEvent)>,
        letters: Vec<(TopicPartition, NewRecord)>,
        state: StageState,
        retry: Option<(&Retry, Option<&Refusal>)>,
    ) -> Result<(), StageError> {
        let now = self.clock.now();
        let append = |(message, event): (Message, UnitEvent)| {
            let partition = message
                .origin
                .as_ref()
                .map_or(self.input.partition, |o| o.partition);
            let record = UnitRecord {
                v: UnitRecord::VERSION,
                at: now,
                event,
            };
            let record = NewRecord {
                key: Bytes::from(message.id.chat.to_string()),
                value: json(&record),
                unique: Vec::new(),
            };
            (TopicPartition::new(Topic::UNITS, partition), record)
        };
        let mut appends: Vec<_> = changed.into_iter().map(append).collect();
        appends.extend(letters);
        let mut guards = vec![(self.state_key(), self.stored.clone())];
        let mut writes = vec![(self.state_key(), Some(json(&state)))];
        if let Some((retry, refusal)) = retry {
            let (letter, over) = retry.end(refusal, now);
            appends.push(letter);
            guards.push(retry.guard());
            writes.push(over);
        }
        let transaction = Transaction {
            appends,
            guards,
            fence: self.fence.clone(),
            finish: Box::new(move |_| writes),
        };
        self.log.commit(transaction).await?;
        Ok(())
    }
}

#[async_trait]
impl Process for LabelledUnits {
    async fn positions(&mut self) -> Result<Vec<Offset>, StageError> {
        self.load().await?;
        Ok(vec![self.state.next])
    }

    async fn process(&mut self, inputs: &[Input]) -> Result<(), StageError> {
        let [input] = inputs else { return Ok(()) };
        // The last commit may have happened although it failed.
        self.load().await?;
        if self.state.next >= input.batch.next {
            return Ok(());
        }
        let (mut counters, mut labels, mut letters) = (Counters::default(), Vec::new(), Vec::new());
        for record in &input.batch.records {
            counters.received += 1;
            match labels::read(record) {
                Ok(Some(label)) => labels.push(label),
                Ok(None) => counters.skip(OTHER_DECISION),
                Err(refusal) => {
                    counters.dead_lettered += 1;
                    let now = self.clock.now();
                    letters.push(dead_letter::append(STAGE, &input.at, record, refusal, now));
                }
            }
        }
        let (messages, events, fates) = self.changes(&labels).await?;
        for fate in fates {
            match fate {
                Fate::Skipped(reason) => counters.skip(&reason),
                _ => counters.emitted += 1,
            }
        }
        let mut state = self.state.clone();
        state.counters += &gap_counters(input);
        state.counters += &counters;
        state.next = input.batch.next;
        let changed = messages.into_iter().zip(events).collect();
        self.commit(changed, letters, state, None).await
    }

    async fn retry(&mut self, retry: &Retry) -> Result<Tried, StageError> {
        self.load().await?;
        if retry.record.offset >= self.state.next {
            return Ok(Tried::Later);
        }
        let mut changed = Vec::new();
        let (fate, refusal) = match labels::read(&retry.record) {
            Ok(Some(label)) => {
                let (messages, events, fates) = self.changes(&[label]).await?;
                changed.extend(messages.into_iter().zip(events));
                (fates.into_iter().next().unwrap_or(Fate::Emitted), None)
            }
            Ok(None) => (Fate::Skipped(OTHER_DECISION.to_owned()), None),
            Err(refusal) => (Fate::Refused, Some(refusal)),
        };
        let mut state = self.state.clone();
        state.count_retry(retry.name(), &fate);
        self.commit(changed, Vec::new(), state, Some((retry, refusal.as_ref())))
            .await?;
        Ok(Tried::Committed)
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

fn json(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value)
        .expect("strings and numbers")
        .into()
}
