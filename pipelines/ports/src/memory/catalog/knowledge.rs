//! Units, atoms and subjects of a [`MemoryCatalog`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::Ordering,
};

use async_trait::async_trait;
use telesift_schemas::{
    Atom, AtomStatus, ChatId, Generation, MessageKey, Offset, SubjectRef, Timestamp,
};

use super::{MemoryCatalog, Tables};
use crate::{
    catalog::{Error, Result},
    knowledge::{
        ApprovalRules, AtomFilter, AtomPosition, ExtractionRow, KnowledgeCatalog, KnowledgeChange,
        Moved, ReadingChange, ReadingRow, StoredAtom, SubjectPosition, SubjectRow, SubjectSummary,
        UnitCatalog, UnitCounts, UnitRow, UnitState, WaitingReview,
    },
    leases::Fence,
};

#[derive(Default)]
pub(super) struct KnowledgeTables {
    units: BTreeMap<String, UnitRow>,
    members: BTreeMap<MessageKey, String>,
    extractions: BTreeMap<String, ExtractionRow>,
    atoms: BTreeMap<String, StoredAtom>,
    versions: BTreeMap<String, BTreeMap<u32, Atom>>,
    subjects: BTreeMap<String, SubjectRow>,
    readings: BTreeMap<(String, Generation), Option<Offset>>,
    in_force: Vec<Generation>,
    waiting: BTreeMap<Offset, WaitingReview>,
    rules: ApprovalRules,
    outbox: BTreeMap<u64, Atom>,
    sent: u64,
}

impl MemoryCatalog {
    /// Moves stages and lets `then` change the rest, or neither.
    fn move_stages(
        &self,
        moved: &[Moved],
        fence: &Fence,
        then: impl FnOnce(&mut KnowledgeTables),
    ) -> Result<()> {
        let mut tables = self.tables();
        self.leases.check(fence)?;
        for step in moved {
            if tables.stages.get(&step.key).map(|s| s.next) != step.expected {
                let what = step.key.state_key();
                return Err(Error::Conflict { what });
            }
        }
        let Tables {
            stages, knowledge, ..
        } = &mut *tables;
        for step in moved {
            stages.insert(step.key.clone(), step.state.clone());
        }
        then(knowledge);
        Ok(())
    }
}

impl KnowledgeTables {
    fn is_shown(stored: &StoredAtom, chats: Option<&[ChatId]>) -> bool {
        let is_gone = matches!(
            stored.atom.status,
            AtomStatus::Rejected | AtomStatus::Retracted
        );
        !is_gone && stored.merged_into.is_none() && stored.is_visible_in(chats)
    }
}

#[async_trait]
impl UnitCatalog for MemoryCatalog {
    async fn put_units(&self, units: &[UnitRow], moved: &[Moved], fence: &Fence) -> Result<()> {
        let commit = || {
            self.move_stages(moved, fence, |tables| {
                for unit in units {
                    tables.members.retain(|_, of| *of != unit.id);
                    for member in &unit.members {
                        tables.members.insert(member.message, unit.id.clone());
                    }
                    tables.units.insert(unit.id.clone(), unit.clone());
                }
            })
        };
        self.commits.play(commit).await
    }

    async fn units(&self, ids: &[String]) -> Result<Vec<UnitRow>> {
        let tables = self.tables();
        let ids: BTreeSet<&String> = ids.iter().collect();
        let found = ids.iter().filter_map(|id| tables.knowledge.units.get(*id));
        Ok(found.cloned().collect())
    }

    async fn units_of(&self, messages: &[MessageKey]) -> Result<Vec<(MessageKey, String)>> {
        let tables = self.tables();
        let keys: BTreeSet<&MessageKey> = messages.iter().collect();
        let found = keys.into_iter().filter_map(|key| {
            let unit = tables.knowledge.members.get(key)?;
            Some((*key, unit.clone()))
        });
        Ok(found.collect())
    }

    async fn due_units(&self, now: Timestamp, limit: usize) -> Result<Vec<UnitRow>> {
        let tables = self.tables();
        let units = tables.knowledge.units.values();
        let due =
            units.filter(|u| u.state == UnitState::Due && u.not_before.is_none_or(|t| t <= now));
        let mut due: Vec<&UnitRow> = due.collect();
        due.sort_by(|a, b| (b.class, b.newest, &b.id).cmp(&(a.class, a.newest, &a.id)));
        Ok(due.into_iter().take(limit).cloned().collect())
    }

    async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        let tables = self.tables();
        let units = tables.knowledge.units.values();
        let waiting = units.filter(|u| u.state == UnitState::Due);
        Ok(waiting
            .filter_map(|u| u.not_before)
            .filter(|t| *t > now)
            .min())
    }

    async fn settle_units(&self, units: &[UnitRow]) -> Result<()> {
        for unit in units {
            self.settle_unit(unit).await?;
        }
        Ok(())
    }

    async fn settle_unit(&self, unit: &UnitRow) -> Result<bool> {
        let mut tables = self.tables();
        let Some(row) = tables.knowledge.units.get_mut(&unit.id) else {
            return Ok(false);
        };
        if row.revision != unit.revision {
            return Ok(false);
        }
        row.state = unit.state;
        row.attempts = unit.attempts;
        row.not_before = unit.not_before;
        row.note.clone_from(&unit.note);
        if row.state != UnitState::Due {
            row.again = None;
        }
        Ok(true)
    }

    async fn read_again(&self, ids: &[String], generation: Generation) -> Result<()> {
        let mut tables = self.tables();
        for id in ids {
            let row = tables.knowledge.units.get_mut(id);
            let Some(row) = row.filter(|row| row.again != Some(generation)) else {
                continue;
            };
            row.state = UnitState::Due;
            row.revision += 1;
            row.attempts = 0;
            (row.not_before, row.note) = (None, None);
            row.again = Some(generation);
        }
        Ok(())
    }

    async fn n_read_again(&self, generation: Generation) -> Result<u64> {
        let tables = self.tables();
        let units = tables.knowledge.units.values();
        let again = units.filter(|u| u.again == Some(generation));
        Ok(again.count() as u64)
    }

    async fn end_reading(&self, generation: Generation) -> Result<()> {
        let mut tables = self.tables();
        for row in tables.knowledge.units.values_mut() {
            if row.again == Some(generation) {
                row.again = None;
            }
        }
        Ok(())
    }

    async fn wake_units(&self, chat: Option<ChatId>) -> Result<()> {
        let mut tables = self.tables();
        for row in tables.knowledge.units.values_mut() {
            if chat.is_none_or(|chat| row.chat.id == chat) {
                row.not_before = None;
            }
        }
        Ok(())
    }

    async fn unit_at(&self, partition: u32, offset: Offset) -> Result<Option<UnitRow>> {
        let tables = self.tables();
        let is_it = |u: &&UnitRow| u.origin.partition.0 == partition && u.origin.offset == offset;
        Ok(tables.knowledge.units.values().find(is_it).cloned())
    }

    async fn unit_counts(&self) -> Result<UnitCounts> {
        let tables = self.tables();
        let n = |state| {
            let units = tables.knowledge.units.values();
            units.filter(|u| u.state == state).count() as u64
        };
        let mut passed_by = BTreeMap::new();
        for unit in tables.knowledge.units.values() {
            if let (UnitState::Done, Some(reason)) = (unit.state, &unit.note) {
                *passed_by.entry(reason.clone()).or_default() += 1;
            }
        }
        Ok(UnitCounts {
            due: n(UnitState::Due),
            done: n(UnitState::Done),
            failed: n(UnitState::Failed),
            passed_by,
        })
    }
}

impl MemoryCatalog {
    /// How often atoms, and reviews that wait for them, were looked up by id or unit: each time is a query elsewhere.
    pub fn n_look_ups(&self) -> u64 {
        self.look_ups.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl KnowledgeCatalog for MemoryCatalog {
    async fn apply_knowledge(
        &self,
        change: &KnowledgeChange,
        moved: &[Moved],
        fence: &Fence,
    ) -> Result<()> {
        if self
            .max_changed_atoms
            .is_some_and(|max| change.atoms.len() > max)
        {
            return Err(Error::Unavailable("no answer in time".to_owned()));
        }
        let commit = || {
            self.move_stages(moved, fence, |tables| {
                for stored in &change.atoms {
                    tables.atoms.insert(stored.atom.id.clone(), stored.clone());
                }
                for version in &change.versions {
                    let versions = tables.versions.entry(version.id.clone()).or_default();
                    versions.insert(version.version, version.clone());
                    tables.sent += 1;
                    tables.outbox.insert(tables.sent, version.clone());
                }
                for subject in &change.subjects {
                    tables.subjects.insert(subject.id.clone(), subject.clone());
                }
                for extraction in &change.extractions {
                    tables
                        .extractions
                        .insert(extraction.unit.clone(), extraction.clone());
                }
                for unit in &change.not_extracted {
                    tables.extractions.remove(unit);
                }
                for reading in &change.readings {
                    match reading {
                        ReadingChange::Put(row) => {
                            let key = (row.unit.clone(), row.generation);
                            tables.readings.insert(key, row.offset);
                        }
                        ReadingChange::Dropped(unit) => {
                            tables.readings.retain(|(of, _), _| of != unit);
                        }
                    }
                }
                if let Some(in_force) = &change.in_force {
                    tables.in_force.clone_from(in_force);
                }
                if let Some(rules) = &change.rules {
                    tables.rules = rules.clone();
                }
                for review in &change.waiting {
                    tables.waiting.insert(review.offset, review.clone());
                }
                for offset in &change.not_waiting {
                    tables.waiting.remove(offset);
                }
            })
        };
        self.commits.play(commit).await
    }

    async fn extractions_of(&self, units: &[String]) -> Result<Vec<ExtractionRow>> {
        let tables = self.tables();
        let ids: BTreeSet<&String> = units.iter().collect();
        let rows = &tables.knowledge.extractions;
        Ok(ids.iter().filter_map(|id| rows.get(*id).cloned()).collect())
    }

    async fn readings_of(&self, units: &[String]) -> Result<Vec<ReadingRow>> {
        let tables = self.tables();
        let readings = tables.knowledge.readings.iter();
        let of = readings.filter(|((unit, _), _)| units.contains(unit));
        let row =
            |((unit, generation), offset): (&(String, Generation), &Option<Offset>)| ReadingRow {
                generation: *generation,
                unit: unit.clone(),
                offset: *offset,
            };
        Ok(of.map(row).collect())
    }

    async fn units_read_by(&self, generations: &[Generation]) -> Result<Vec<String>> {
        let tables = self.tables();
        let readings = tables.knowledge.readings.keys();
        let by = readings.filter(|(_, generation)| generations.contains(generation));
        let units: BTreeSet<String> = by.map(|(unit, _)| unit.clone()).collect();
        Ok(units.into_iter().collect())
    }

    async fn readings_in_force(&self) -> Result<Vec<Generation>> {
        Ok(self.tables().knowledge.in_force.clone())
    }

    async fn remove_readings(&self, generation: Generation) -> Result<()> {
        let mut tables = self.tables();
        tables
            .knowledge
            .readings
            .retain(|(_, of), _| *of != generation);
        Ok(())
    }

    async fn stored_atoms(&self, ids: &[String]) -> Result<Vec<StoredAtom>> {
        self.look_ups.fetch_add(1, Ordering::Relaxed);
        let tables = self.tables();
        let ids: BTreeSet<&String> = ids.iter().collect();
        let rows = &tables.knowledge.atoms;
        Ok(ids.iter().filter_map(|id| rows.get(*id).cloned()).collect())
    }

    async fn atoms_of_units(&self, units: &[String]) -> Result<Vec<StoredAtom>> {
        self.look_ups.fetch_add(1, Ordering::Relaxed);
        let tables = self.tables();
        let atoms = tables.knowledge.atoms.values();
        let of = |stored: &&StoredAtom| stored.units().any(|unit| units.contains(unit));
        Ok(atoms.filter(of).cloned().collect())
    }

    async fn atoms_on(&self, subject: &str) -> Result<Vec<StoredAtom>> {
        let tables = self.tables();
        let atoms = tables.knowledge.atoms.values();
        let on = |s: &&StoredAtom| s.atom.subject.as_ref().is_some_and(|s| s.id == subject);
        Ok(atoms.filter(on).cloned().collect())
    }

    async fn subject_rows(&self, ids: &[String]) -> Result<Vec<SubjectRow>> {
        let tables = self.tables();
        let ids: BTreeSet<&String> = ids.iter().collect();
        let rows = &tables.knowledge.subjects;
        Ok(ids.iter().filter_map(|id| rows.get(*id).cloned()).collect())
    }

    async fn waiting_reviews(&self, atoms: &[String]) -> Result<Vec<WaitingReview>> {
        self.look_ups.fetch_add(1, Ordering::Relaxed);
        let tables = self.tables();
        let waiting = tables.knowledge.waiting.values();
        Ok(waiting
            .filter(|r| atoms.contains(&r.atom))
            .cloned()
            .collect())
    }

    async fn approval_rules(&self) -> Result<ApprovalRules> {
        Ok(self.tables().knowledge.rules.clone())
    }

    async fn outbox(&self, limit: usize) -> Result<Vec<(u64, Atom)>> {
        let tables = self.tables();
        let outbox = tables.knowledge.outbox.iter().take(limit);
        Ok(outbox.map(|(place, atom)| (*place, atom.clone())).collect())
    }

    async fn clear_outbox(&self, up_to: u64) -> Result<()> {
        self.tables()
            .knowledge
            .outbox
            .retain(|place, _| *place > up_to);
        Ok(())
    }

    async fn atoms(
        &self,
        filter: &AtomFilter,
        after: Option<&AtomPosition>,
        limit: usize,
    ) -> Result<Vec<StoredAtom>> {
        let tables = self.tables();
        let atoms = tables.knowledge.atoms.values();
        let mut found: Vec<&StoredAtom> = atoms.filter(|s| filter.matches(s)).collect();
        found.sort_by_key(|s| std::cmp::Reverse(AtomPosition::from(*s)));
        let rest = found
            .into_iter()
            .filter(|s| after.is_none_or(|after| AtomPosition::from(*s) < *after));
        Ok(rest.take(limit).cloned().collect())
    }

    async fn atom_versions(&self, id: &str) -> Result<Vec<Atom>> {
        let tables = self.tables();
        let versions = tables.knowledge.versions.get(id);
        Ok(versions
            .into_iter()
            .flat_map(|v| v.values().cloned())
            .collect())
    }

    async fn subjects(
        &self,
        chats: Option<&[ChatId]>,
        after: Option<&SubjectPosition>,
        limit: usize,
    ) -> Result<Vec<SubjectSummary>> {
        let tables = self.tables();
        let mut found: BTreeMap<String, SubjectSummary> = BTreeMap::new();
        for stored in tables.knowledge.atoms.values() {
            let Some(subject) = &stored.atom.subject else {
                continue;
            };
            if !KnowledgeTables::is_shown(stored, chats) {
                continue;
            }
            let summary = found
                .entry(subject.id.clone())
                .or_insert_with(|| SubjectSummary {
                    id: subject.id.clone(),
                    name: subject.name.clone(),
                    n_atoms: 0,
                    last_at: stored.last_at,
                });
            summary.n_atoms += 1;
            summary.last_at = summary.last_at.max(stored.last_at);
        }
        let mut found: Vec<SubjectSummary> = found.into_values().collect();
        found.sort_by_key(|s| SubjectPosition::from(s));
        found.retain(|s| after.is_none_or(|after| SubjectPosition::from(s) > *after));
        found.truncate(limit);
        Ok(found)
    }

    async fn subjects_of(
        &self,
        messages: &[MessageKey],
        chats: Option<&[ChatId]>,
    ) -> Result<Vec<(MessageKey, SubjectRef)>> {
        let tables = self.tables();
        let mut found: BTreeMap<(MessageKey, String), SubjectRef> = BTreeMap::new();
        for stored in tables.knowledge.atoms.values() {
            let Some(subject) = &stored.atom.subject else {
                continue;
            };
            if !KnowledgeTables::is_shown(stored, chats) {
                continue;
            }
            for message in stored.messages().filter(|m| messages.contains(m)) {
                found.insert((message, subject.id.clone()), subject.clone());
            }
        }
        Ok(found.into_iter().map(|((m, _), s)| (m, s)).collect())
    }

    async fn messages_on(
        &self,
        subjects: &[String],
        chats: Option<&[ChatId]>,
        limit: usize,
    ) -> Result<Vec<MessageKey>> {
        let tables = self.tables();
        let mut found: Vec<(Timestamp, MessageKey)> = Vec::new();
        for stored in tables.knowledge.atoms.values() {
            let subject = stored.atom.subject.as_ref();
            if !subject.is_some_and(|s| subjects.contains(&s.id))
                || !KnowledgeTables::is_shown(stored, chats)
            {
                continue;
            }
            let messages = stored
                .messages()
                .filter(|m| chats.is_none_or(|c| c.contains(&m.chat)));
            found.extend(messages.map(|m| (stored.first_at, m)));
        }
        found.sort_by_key(|(at, m)| (std::cmp::Reverse(*at), *m));
        let mut seen = BTreeSet::new();
        let distinct = found.into_iter().filter(|(_, m)| seen.insert(*m));
        Ok(distinct.map(|(_, m)| m).take(limit).collect())
    }
}
