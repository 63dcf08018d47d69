//! `units` in, the catalog out: which units wait for extraction, and which messages stand in which.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use telesift_ports::{
    Catalog, Clock, RecordLog, catalog,
    knowledge::{Moved, UNITS_STAGE, UnitRow, UnitState},
    leases::Fence,
    record_log::StoredRecord,
};
use telesift_schemas::{
    Chat, Class, MessageKey, Origin, TopicPartition, UnitEvent, UnitMember, UnitRecord,
};
use tokio::sync::Notify;

use crate::{
    consumer::StageError,
    dead_letter::{Refusal, parse},
    projection::{Applied, CatalogChange, CatalogCheckpoint, Projection, Projector, Read},
    units::unit_id,
};

/// The stage's name in ledger, logs and metrics.
pub const STAGE: &str = UNITS_STAGE;

/// Note of a unit whose members are as they were, but are said to be something else.
const LABELLED: &str = "a label of one of its messages changed";

/// Keeps the units of all partitions of `units` in the catalog.
///
/// Rows and position are stored in one transaction. A message stands in one unit: one that comes again in a later unit, because
/// it was edited before it was first seen, is another version in its first. What changes in a unit makes it due again.
pub struct UnitProjection {
    catalog: Arc<dyn Catalog>,
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
    ) -> Projector<Self> {
        let units = UnitProjection {
            catalog: catalog.clone(),
            news,
        };
        Projector::in_catalog(units, STAGE, log, catalog, clock, inputs)
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
}

#[async_trait]
impl Projection for UnitProjection {
    type Said = (UnitEvent, Origin);
    type Change = UnitChange;
    type Kept = CatalogCheckpoint;

    fn read(
        &self,
        at: &TopicPartition,
        record: &StoredRecord,
    ) -> Result<Read<(UnitEvent, Origin)>, Refusal> {
        let read: UnitRecord = parse("unit record", record)?;
        let origin = Origin {
            topic: at.topic.clone(),
            partition: at.partition,
            offset: record.offset,
        };
        Ok(Read::Said((read.event, origin)))
    }

    async fn apply(
        &mut self,
        events: Vec<(UnitEvent, Origin)>,
    ) -> Result<Applied<UnitChange>, StageError> {
        let mut shelf = self.shelf(&events).await?;
        let mut skipped = Vec::new();
        for (event, origin) in events {
            skipped.extend(shelf.take(event, origin).err());
        }
        let change = UnitChange {
            rows: shelf.changed(),
            news: self.news.clone(),
        };
        Ok(Applied { change, skipped })
    }
}

/// Units as they stand after a batch, and whom to tell once they are stored.
pub struct UnitChange {
    rows: Vec<UnitRow>,
    news: Arc<Notify>,
}

#[async_trait]
impl CatalogChange for UnitChange {
    async fn put(
        &self,
        catalog: &dyn Catalog,
        moved: &Moved,
        fence: &Fence,
    ) -> catalog::Result<()> {
        let moved = std::slice::from_ref(moved);
        catalog.put_units(&self.rows, moved, fence).await?;
        if !self.rows.is_empty() {
            self.news.notify_one();
        }
        Ok(())
    }
}

/// Why an event changes nothing.
type Skipped = &'static str;

/// The units a batch speaks of, as they stand while it is worked through.
struct Shelf {
    units: BTreeMap<String, UnitRow>,
    unit_of: BTreeMap<MessageKey, String>,
    changed: BTreeSet<String>,
}

impl Shelf {
    /// The units that are not what they were.
    fn changed(&self) -> Vec<UnitRow> {
        let changed = self.changed.iter();
        changed
            .filter_map(|id| self.units.get(id).cloned())
            .collect()
    }

    fn take(&mut self, event: UnitEvent, origin: Origin) -> Result<(), Skipped> {
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
                        Some(of) => _ = self.version(&of, member, true),
                        None => fresh.push(member),
                    }
                }
                match fresh.is_empty() {
                    true => Err("in_another_unit"),
                    false => self.open(unit, chat, class, fresh, origin),
                }
            }
            UnitEvent::Touched {
                chat,
                member,
                class,
                labelled,
                ..
            } => match (self.unit_of.get(&member.message).cloned(), class) {
                (Some(of), Some(_)) if labelled => self.again(&of),
                (Some(of), class) => self.version(&of, member, class.is_some()),
                // It was of no use as it was, and is now.
                (None, Some(class)) => {
                    let unit = unit_id(&member.message);
                    self.open(unit, chat, class, vec![member], origin)
                }
                (None, None) => Err("in_no_unit"),
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
    ) -> Result<(), Skipped> {
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
        Ok(())
    }

    /// A label says something else of a member: what is read of the unit now may be something else.
    fn again(&mut self, unit: &str) -> Result<(), Skipped> {
        let Some(row) = self.units.get_mut(unit) else {
            return Err("in_no_unit");
        };
        is_due_again(row);
        row.note = Some(LABELLED.to_owned());
        self.changed.insert(unit.to_owned());
        Ok(())
    }

    /// Another version of a member: in its place, or out.
    fn version(&mut self, unit: &str, member: UnitMember, stays: bool) -> Result<(), Skipped> {
        let Some(row) = self.units.get_mut(unit) else {
            return Err("in_no_unit");
        };
        let known = row.members.iter().position(|m| m.message == member.message);
        let Some(place) = known else {
            return Err("in_no_unit");
        };
        let version = |m: &UnitMember| (m.edit, m.origin.offset);
        if stays && version(&row.members[place]) >= version(&member) {
            return Err("known");
        }
        match stays {
            true => row.members[place] = member,
            false => {
                let gone = row.members.remove(place);
                self.unit_of.remove(&gone.message);
            }
        }
        is_due_again(row);
        self.changed.insert(unit.to_owned());
        Ok(())
    }
}

fn is_due_again(row: &mut UnitRow) {
    row.revision += 1;
    row.state = UnitState::Due;
    row.attempts = 0;
    row.not_before = None;
    row.note = None;
    // What it says now is read for all generations.
    row.again = None;
}
