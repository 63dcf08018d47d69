//! `units` in, the catalog out: which units wait for extraction, and which messages stand in which.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use telesift_ports::{
    Catalog, Clock, RecordLog,
    knowledge::{Moved, UNITS_STAGE, UnitRow, UnitState},
    leases::Fence,
    ledger::{Fate, StageKey, StageState},
    record_log::{StoredRecord, Transaction},
};
use telesift_schemas::{
    Chat, Class, MessageKey, Offset, Origin, TopicPartition, UnitEvent, UnitMember, UnitRecord,
};
use tokio::sync::Notify;

use crate::{
    consumer::{Input, Process, StageError},
    dead_letter::{self, Refusal, Retry, Tried},
    screen::gap_counters,
    units::unit_id,
};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = UNITS_STAGE;

/// Keeps the units of all partitions of `units` in the catalog.
///
/// Rows and position are stored in one transaction. A message stands in one unit: one that comes again in a later unit, because
/// it was edited before it was first seen, is another version in its first. What changes in a unit makes it due again.
pub struct UnitProjection {
    log: Arc<dyn RecordLog>,
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    inputs: Vec<TopicPartition>,
    fence: Fence,
    news: Arc<Notify>,
}

impl UnitProjection {
    /// The projection of `inputs`, the partitions of `units`; `news` is told when units are due.
    pub fn new(
        log: Arc<dyn RecordLog>,
        catalog: Arc<dyn Catalog>,
        clock: Arc<dyn Clock>,
        inputs: Vec<TopicPartition>,
        news: Arc<Notify>,
    ) -> Self {
        UnitProjection {
            log,
            catalog,
            clock,
            inputs,
            fence: Fence::open(),
            news,
        }
    }

    /// Commits under this lease.
    pub fn under(mut self, fence: Fence) -> Self {
        self.fence = fence;
        self
    }

    async fn state(
        &self,
        at: &TopicPartition,
    ) -> Result<(StageKey, Option<StageState>), StageError> {
        let key = StageKey {
            stage: STAGE.to_owned(),
            input: at.clone(),
        };
        let state = self.catalog.stage_state(&key).await?;
        Ok((key, state))
    }

    /// What the catalog holds of everything these events speak of.
    async fn shelf(&self, events: &[(UnitEvent, Origin)]) -> Result<Shelf, StageError> {
        let (mut messages, mut ids) = (Vec::new(), BTreeSet::new());
        for (event, _) in events {
            match event {
                UnitEvent::Closed { unit, members, .. } => {
                    ids.insert(unit.clone());
                    messages.extend(members.iter().map(|m| m.message));
                }
                UnitEvent::Touched { member, .. } => {
                    ids.insert(unit_id(&member.message));
                    messages.push(member.message);
                }
            }
        }
        let unit_of: BTreeMap<_, _> = self
            .catalog
            .units_of(&messages)
            .await?
            .into_iter()
            .collect();
        ids.extend(unit_of.values().cloned());
        let ids: Vec<String> = ids.into_iter().collect();
        let units = self.catalog.units(&ids).await?;
        Ok(Shelf {
            units: units.into_iter().map(|u| (u.id.clone(), u)).collect(),
            unit_of,
            changed: BTreeSet::new(),
        })
    }

    async fn store(&self, shelf: Shelf, moved: &[Moved]) -> Result<(), StageError> {
        let changed: Vec<UnitRow> = shelf
            .changed
            .iter()
            .filter_map(|id| shelf.units.get(id).cloned())
            .collect();
        self.catalog.put_units(&changed, moved, &self.fence).await?;
        if !changed.is_empty() {
            self.news.notify_one();
        }
        Ok(())
    }
}

#[async_trait]
impl Process for UnitProjection {
    async fn positions(&mut self) -> Result<Vec<Offset>, StageError> {
        let mut positions = Vec::new();
        for at in &self.inputs {
            let (_, state) = self.state(at).await?;
            positions.push(state.unwrap_or_default().next);
        }
        Ok(positions)
    }

    async fn process(&mut self, inputs: &[Input]) -> Result<(), StageError> {
        for input in inputs {
            let (key, stored) = self.state(&input.at).await?;
            let expected = stored.as_ref().map(|s| s.next);
            let mut state = stored.unwrap_or_default();
            if state.next >= input.batch.next {
                continue; // committed by an earlier try
            }
            state.counters += &gap_counters(input);
            let (mut events, mut letters) = (Vec::new(), Vec::new());
            for record in &input.batch.records {
                state.counters.received += 1;
                match read(&input.at, record) {
                    Ok(event) => events.push(event),
                    Err(refusal) => {
                        state.counters.dead_lettered += 1;
                        let now = self.clock.now();
                        letters.push(dead_letter::append(STAGE, &input.at, record, refusal, now));
                    }
                }
            }
            let mut shelf = self.shelf(&events).await?;
            for (event, origin) in events {
                match shelf.take(event, origin) {
                    Fate::Skipped(reason) => state.counters.skip(&reason),
                    _ => state.counters.emitted += 1,
                }
            }
            if !letters.is_empty() {
                self.log.commit(Transaction::appends(letters)).await?;
            }
            state.next = input.batch.next;
            let moved = Moved {
                key,
                expected,
                state,
            };
            self.store(shelf, &[moved]).await?;
        }
        Ok(())
    }

    async fn retry(&mut self, retry: &Retry) -> Result<Tried, StageError> {
        let (key, stored) = self.state(&retry.at).await?;
        let expected = stored.as_ref().map(|s| s.next);
        let mut state = stored.unwrap_or_default();
        if retry.record.offset >= state.next {
            return Ok(Tried::Later);
        }
        let (shelf, fate, refusal) = match read(&retry.at, &retry.record) {
            Ok((event, origin)) => {
                let event = [(event, origin)];
                let mut shelf = self.shelf(&event).await?;
                let [(event, origin)] = event;
                let fate = shelf.take(event, origin);
                (shelf, fate, None)
            }
            Err(refusal) => (Shelf::default(), Fate::Refused, Some(refusal)),
        };
        state.count_retry(retry.name(), &fate);
        let moved = Moved {
            key,
            expected,
            state,
        };
        self.store(shelf, &[moved]).await?;
        Ok(Tried::Stored(refusal))
    }
}

fn read(at: &TopicPartition, record: &StoredRecord) -> Result<(UnitEvent, Origin), Refusal> {
    let read: UnitRecord = serde_json::from_slice(&record.value)
        .map_err(|e| Refusal::unreadable("unit record", &e))?;
    let origin = Origin {
        topic: at.topic.clone(),
        partition: at.partition,
        offset: record.offset,
    };
    Ok((read.event, origin))
}

/// The units a batch speaks of, as they stand while it is worked through.
#[derive(Default)]
struct Shelf {
    units: BTreeMap<String, UnitRow>,
    unit_of: BTreeMap<MessageKey, String>,
    changed: BTreeSet<String>,
}

impl Shelf {
    fn take(&mut self, event: UnitEvent, origin: Origin) -> Fate {
        match event {
            UnitEvent::Closed {
                unit,
                chat,
                members,
                class,
                ..
            } => {
                let mut fresh = Vec::new();
                for member in members {
                    match self.unit_of.get(&member.message).cloned() {
                        Some(of) => drop(self.version(&of, member, true)),
                        None => fresh.push(member),
                    }
                }
                match fresh.is_empty() {
                    true => Fate::Skipped("in_another_unit".to_owned()),
                    false => self.open(unit, chat, class, fresh, origin),
                }
            }
            UnitEvent::Touched {
                chat,
                member,
                class,
                ..
            } => match (self.unit_of.get(&member.message).cloned(), class) {
                (Some(of), class) => self.version(&of, member, class.is_some()),
                // It was of no use as it was, and is now.
                (None, Some(class)) => {
                    let unit = unit_id(&member.message);
                    self.open(unit, chat, class, vec![member], origin)
                }
                (None, None) => Fate::Skipped("in_no_unit".to_owned()),
            },
        }
    }

    fn open(
        &mut self,
        id: String,
        chat: Chat,
        class: Class,
        members: Vec<UnitMember>,
        origin: Origin,
    ) -> Fate {
        for member in &members {
            self.unit_of.insert(member.message, id.clone());
        }
        let before = self.units.remove(&id);
        let revision = before.as_ref().map_or(0, |b| b.revision) + 1;
        // One of that first message whose messages are gone, or part of one that was written twice.
        let mut all = before.map_or_else(Vec::new, |b| b.members);
        all.extend(members);
        let newest = all.iter().map(|m| m.event_time).max();
        let row = UnitRow {
            id: id.clone(),
            chat,
            class,
            newest: newest.unwrap_or_default(),
            members: all,
            origin,
            revision,
            state: UnitState::Due,
            attempts: 0,
            not_before: None,
            note: None,
            again: None,
        };
        self.units.insert(id.clone(), row);
        self.changed.insert(id);
        Fate::Emitted
    }

    /// Another version of a member: in its place, or out.
    fn version(&mut self, unit: &str, member: UnitMember, stays: bool) -> Fate {
        let Some(row) = self.units.get_mut(unit) else {
            return Fate::Skipped("in_no_unit".to_owned());
        };
        let known = row.members.iter().position(|m| m.message == member.message);
        let Some(place) = known else {
            return Fate::Skipped("in_no_unit".to_owned());
        };
        let version = |m: &UnitMember| (m.edit, m.origin.offset);
        if stays && version(&row.members[place]) >= version(&member) {
            return Fate::Skipped("known".to_owned());
        }
        match stays {
            true => row.members[place] = member,
            false => {
                let gone = row.members.remove(place);
                self.unit_of.remove(&gone.message);
            }
        }
        row.revision += 1;
        row.state = UnitState::Due;
        row.attempts = 0;
        row.not_before = None;
        row.note = None;
        self.changed.insert(unit.to_owned());
        Fate::Emitted
    }
}
